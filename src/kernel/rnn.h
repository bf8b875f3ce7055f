/* One step of a recurrent layer for one row of the batch, U units, what a product does not do: gates from
 * pre-activations, and back. The formulas stand with the reference (kernel/ref/rnn.c). */
#ifndef ATT_KERNEL_RNN_H
#define ATT_KERNEL_RNN_H

#include <stdint.h>

typedef struct att_rnn_kernels {
    void (*gru)(float *h, float *saved, const float *gx, const float *hg, const float *prev, int64_t U);
    void (*gru_bwd)(float *dgx, float *dhg, float *carry, const float *dh, const float *saved, const float *prev,
                    int64_t U);
    void (*gru_reset)(float *gates, float *rh, const float *gx, const float *hg, const float *prev, int64_t U);
    void (*gru_blend)(float *h, float *gates, const float *gx, const float *hn, const float *prev, int64_t U);
    void (*gru_blend_bwd)(float *dg, float *carry, const float *dh, const float *saved, const float *prev, int64_t U);
    void (*gru_reset_bwd)(float *dg, float *carry, float *rh, const float *drh, const float *saved, const float *prev,
                          int64_t U);
    void (*lstm)(float *h, float *c, float *saved, const float *gx, const float *hg, const float *c_prev, int64_t U);
    void (*lstm_bwd)(float *dg, float *carry, float *carry_c, const float *dh, const float *saved, const float *c,
                     const float *c_prev, int64_t U);
} att_rnn_kernels;

#endif
