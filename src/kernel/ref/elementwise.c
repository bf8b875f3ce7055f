#include "kernel/ref/real.h"

#include <tgmath.h> /* exp is expf where real is float */

#include <attend/random.h>

#include "kernel/ref/rows.h"

#define ROOT_HALF    ((real)0.70710678118654752440) /* 1 / sqrt 2      */
#define INV_ROOT_2PI ((real)0.39894228040143267794) /* 1 / sqrt(2 pi)  */
#define ROOT_2_BY_PI ((real)0.79788456080286535588) /* sqrt(2 / pi)    */
#define GELU_CUBIC   ((real)0.044715)

/* y = alpha x + beta y; with beta = 0 the old y is not read. */
void ATT_REF(axpby)(real *y, real alpha, const real *x, real beta, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = beta == 0 ? alpha * x[i] : alpha * x[i] + beta * y[i];
}

/* y_i = a_i + b_i */
void ATT_REF(add)(real *y, const real *a, const real *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

/* y = a b, or y += a b */
void ATT_REF(multiply)(real *y, const real *a, const real *b, int accumulate, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = accumulate ? y[i] + a[i] * b[i] : a[i] * b[i];
}

void ATT_REF(exp)(real *y, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = exp(x[i]);
}

static real sigmoid(real x) /* 1 / (1 + e^-x), without overflow */
{
    real e = exp(-fabs(x));
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

static real act(att_activation kind, real x)
{
    switch (kind) {
    case ATT_ACT_NONE: return x;
    case ATT_ACT_RELU: return x < 0 ? 0 : x;
    case ATT_ACT_TANH: return tanh(x);
    case ATT_ACT_SIGMOID: return sigmoid(x);
    case ATT_ACT_GELU: return (real)0.5 * x * (1 + erf(x * ROOT_HALF));
    case ATT_ACT_GELU_TANH: return (real)0.5 * x * (1 + tanh(ROOT_2_BY_PI * (x + GELU_CUBIC * x * x * x)));
    case ATT_ACT_SILU: return x * sigmoid(x);
    }
    return x;
}

void ATT_REF(activation)(att_activation kind, real *y, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = act(kind, x[i]);
}

/* act'(x). RELU, TANH and SIGMOID from y = act(x):  [y > 0],  1 - y^2,  y (1 - y). */
static real slope(att_activation kind, real y, real x)
{
    switch (kind) {
    case ATT_ACT_NONE: return 1;
    case ATT_ACT_RELU: return y > 0 ? 1 : 0;
    case ATT_ACT_TANH: return 1 - y * y;
    case ATT_ACT_SIGMOID: return y * (1 - y);
    case ATT_ACT_GELU: /* Phi(x) + x phi(x), the normal distribution and its density */
        return (real)0.5 * (1 + erf(x * ROOT_HALF)) + x * INV_ROOT_2PI * exp((real)-0.5 * x * x);
    case ATT_ACT_GELU_TANH: { /* t = tanh(u(x)):  (1 + t)/2 + x/2 (1 - t^2) u'(x) */
        real t = tanh(ROOT_2_BY_PI * (x + GELU_CUBIC * x * x * x));
        return (real)0.5 * (1 + t) + (real)0.5 * x * (1 - t * t) * ROOT_2_BY_PI * (1 + 3 * GELU_CUBIC * x * x);
    }
    case ATT_ACT_SILU: { /* s + x s (1 - s) */ real s = sigmoid(x); return s + x * s * (1 - s);
    }
    }
    return 1;
}

/* dx += dy act'(x) */
void ATT_REF(activation_bwd)(att_activation kind, real *dx, const real *dy, const real *y, const real *x,
                             int accumulate, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        real d = dy[i] * slope(kind, y ? y[i] : 0, x ? x[i] : 0);
        dx[i] = accumulate ? dx[i] + d : d;
    }
}

/* y = x [draw(index + i) >= p 2^32] / (1 - p), where draw(k) is word k % 4 of philox(seed, stream, k / 4) */
void ATT_REF(dropout)(real *y, const real *x, double p, uint64_t seed, uint64_t stream, uint64_t index, int accumulate,
                      int64_t n)
{
    real scale = (real)(1.0 / (1.0 - p));
    for (int64_t i = 0; i < n; i++) {
        uint64_t k = index + (uint64_t)i;
        uint32_t word[4];
        att_philox(seed, stream, k / 4, word);
        real kept = (double)word[k % 4] >= p * 0x1p32 ? x[i] * scale : 0;
        y[i] = accumulate ? y[i] + kept : kept;
    }
}
