/* What follows a product in place: bias and activation. */
#ifndef ATT_FINISH_H
#define ATT_FINISH_H

#include "kernel/cpu/activation.h"

/* c = act(c + bias) on rows x cols; `activation` is a constant of the caller, so each has its own loop. */
VF_INLINE void finish_with(float *c, int64_t c_row, int64_t rows, int64_t cols, const float *bias,
                           const att_activation activation)
{
    for (int64_t m = 0; m < rows; m++) {
        float *row = c + m * c_row;
        int64_t n = 0;
        for (; n + VF_LANES <= cols; n += VF_LANES) {
            vf x = vf_load(row + n);
            if (bias) x = vf_add(x, vf_load(bias + n));
            vf_store(row + n, activate(x, activation));
        }
        if (n < cols) {
            vf x = vf_load_n(row + n, cols - n);
            if (bias) x = vf_add(x, vf_load_n(bias + n, cols - n));
            vf_store_n(row + n, activate(x, activation), cols - n);
        }
    }
}

static inline __attribute__((unused)) void finish(float *c, int64_t c_row, int64_t rows, int64_t cols,
                                                  const float *bias, att_activation activation)
{
    switch (activation) {
    case ATT_ACT_NONE: finish_with(c, c_row, rows, cols, bias, ATT_ACT_NONE); break;
    case ATT_ACT_RELU: finish_with(c, c_row, rows, cols, bias, ATT_ACT_RELU); break;
    case ATT_ACT_TANH: finish_with(c, c_row, rows, cols, bias, ATT_ACT_TANH); break;
    case ATT_ACT_SIGMOID: finish_with(c, c_row, rows, cols, bias, ATT_ACT_SIGMOID); break;
    case ATT_ACT_GELU: finish_with(c, c_row, rows, cols, bias, ATT_ACT_GELU); break;
    case ATT_ACT_GELU_TANH: finish_with(c, c_row, rows, cols, bias, ATT_ACT_GELU_TANH); break;
    case ATT_ACT_SILU: finish_with(c, c_row, rows, cols, bias, ATT_ACT_SILU); break;
    }
}

#endif
