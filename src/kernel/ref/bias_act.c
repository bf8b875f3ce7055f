#include <attend/product.h>

#include "kernel/ref/real.h"
#include "kernel/ref/bias_act.h"

#include <tgmath.h>

static real activate(real x, int activation)
{
    const real half = (real)0.5, one = 1;
    switch (activation) {
    case ATT_ACT_RELU: return x < 0 ? 0 : x; /* NaN stays NaN */
    case ATT_ACT_TANH: return tanh(x);
    case ATT_ACT_SIGMOID: return one / (one + exp(-x));
    case ATT_ACT_GELU: return half * x * (one + erf(x * (real)0.70710678118654752440));
    case ATT_ACT_GELU_TANH:
        return half * x * (one + tanh((real)0.79788456080286535588 * (x + (real)0.044715 * x * x * x)));
    case ATT_ACT_SILU: return x / (one + exp(-x));
    default: return x;
    }
}

void ATT_REF(bias_act)(real *c, int64_t c_row, int64_t c_col, const real *bias, int64_t bias_stride, int64_t M,
                       int64_t N, int activation)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            real *x = &c[m * c_row + n * c_col];
            *x = activate(bias ? *x + bias[n * bias_stride] : *x, activation);
        }
}
