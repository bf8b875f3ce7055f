/* Activations on vectors. */
#ifndef ATT_ACTIVATION_H
#define ATT_ACTIVATION_H

#include <attend/product.h>

#include "kernel/cpu/vmath.h"

/* erfc z for z >= 0, relative error 1.2e-7 before rounding (Press et al., Numerical Recipes in C, 2nd ed., 6.2). */
VF_INLINE vf erfc_positive(vf z)
{
    vf t = vf_div(vf_set1(1.0f), vf_fma(vf_set1(0.5f), z, vf_set1(1.0f)));
    vf p = vf_set1(0.17087277f);
    p = vf_fma(p, t, vf_set1(-0.82215223f));
    p = vf_fma(p, t, vf_set1(1.48851587f));
    p = vf_fma(p, t, vf_set1(-1.13520398f));
    p = vf_fma(p, t, vf_set1(0.27886807f));
    p = vf_fma(p, t, vf_set1(-0.18628806f));
    p = vf_fma(p, t, vf_set1(0.09678418f));
    p = vf_fma(p, t, vf_set1(0.37409196f));
    p = vf_fma(p, t, vf_set1(1.00002368f));
    p = vf_fma(p, t, vf_set1(-1.26551223f));
    return vf_mul(t, vf_exp(vf_fnma(z, z, p)));
}

/* (1 + erf(x / sqrt 2)) / 2, the normal distribution; its tail for negative x is erfc itself: no cancellation. */
VF_INLINE vf gaussian(vf x)
{
    vf z = vf_min(vf_mul(vf_abs(x), vf_set1(0.70710678f)), vf_set1(12.0f));
    vf tail = vf_mul(vf_set1(0.5f), erfc_positive(z));
    return vf_select(vf_lt(x, vf_zero()), tail, vf_sub(vf_set1(1.0f), tail));
}

VF_INLINE vf gelu(vf x)
{
    return vf_mul(x, gaussian(x));
}

/* (1 + tanh u) / 2 is sigmoid(2u), which keeps its relative precision where tanh is near -1. */
VF_INLINE vf gelu_tanh(vf x)
{
    vf u = vf_mul(vf_set1(1.5957691f), vf_fma(vf_mul(vf_mul(x, x), x), vf_set1(0.044715f), x));
    return vf_mul(x, vf_sigmoid(u));
}

/* `activation` is a constant of the caller, so that each has its own loop. */
VF_INLINE vf activate(vf x, const att_activation activation)
{
    switch (activation) {
    case ATT_ACT_RELU: return vf_max(vf_zero(), x); /* NaN stays NaN */
    case ATT_ACT_TANH: return vf_tanh(x);
    case ATT_ACT_SIGMOID: return vf_sigmoid(x);
    case ATT_ACT_GELU: return gelu(x);
    case ATT_ACT_GELU_TANH: return gelu_tanh(x);
    case ATT_ACT_SILU: return vf_mul(x, vf_sigmoid(x));
    default: return x;
    }
}

#endif
