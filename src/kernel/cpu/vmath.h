/* Elementary functions on vectors, from simd.h's operations alone. Errors are measured in tests/kernel. */
#ifndef ATT_VMATH_H
#define ATT_VMATH_H

#include "kernel/cpu/simd.h"

/* e^x, relative error < 1.2e-7; below -103.97 gives 0, above 88.72 gives inf, NaN stays NaN.
 * x = n ln2 + r with |r| <= ln2/2, and a polynomial of degree 6 for e^r (minimax, fitted to 7e-9). */
VF_INLINE vf vf_exp(vf x)
{
    vf clamped = vf_min(vf_set1(89.0f), vf_max(vf_set1(-104.0f), x)); /* NaN: max gives x, min gives x */
    vf n = vf_round(vf_mul(clamped, vf_set1(1.44269504f)));
    vf r = vf_fnma(n, vf_set1(0.693359375f), clamped);
    r = vf_fnma(n, vf_set1(-2.12194440e-4f), r);
    vf p = vf_set1(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set1(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set1(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set1(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set1(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set1(5.0000001201e-1f));
    p = vf_fma(p, vf_mul(r, r), r);
    return vf_ldexp(vf_add(p, vf_set1(1.0f)), n); /* 1 comes last: one rounding at full size */
}

/* 2^x for x <= 127, relative error < 1e-7; from -126.5 down 0 (AVX-512: below -126), NaN stays NaN. The polynomials are
 * minimax with the constant 1, so that 2^0 is 1. */
#if VF_LANES == 16
/* By instructions of its own, which take the whole and the rest of x apart and together: 10 instead of 14. In two parts
 * for loops that begin one vector while they end the one before: the chain of a whole 2^x, 40 cycles, is longer than
 * what a processor looks ahead. The coefficients are tests/kernel/exp2_coefficients.py's. */
VF_INLINE vf vf_exp2_begin(vf x, vf *t)
{
    *t = x;
    return vf_fraction(x);
}

VF_INLINE vf vf_exp2_end(vf r, vf t)
{
    vf p = vf_fma(r, vf_set1(1.960706431e-04f), vf_set1(1.297782874e-03f));
    p = vf_fma(p, r, vf_set1(9.629200213e-03f));
    p = vf_fma(p, r, vf_set1(5.550335720e-02f));
    p = vf_fma(p, r, vf_set1(2.402264029e-01f));
    p = vf_fma(p, r, vf_set1(6.931471825e-01f));
    return vf_scale_from(vf_set1(-126.0f), vf_fma(p, r, vf_set1(1.0f)), t);
}

VF_INLINE vf vf_exp2(vf x)
{
    vf t, r = vf_exp2_begin(x, &t);
    return vf_exp2_end(r, t);
}
#else
/* What a loop keeps in registers: read from memory each time, they are half as many instructions again. */
typedef struct vf_exp2_terms {
    vf least, rounder, c[7];
} vf_exp2_terms;

/* The rounding constant leaves n + 127 in the lowest bits of a sum, the exponent of 2^n but for its place; n = -127
 * gives 0. */
VF_INLINE vf_exp2_terms vf_exp2_begin(void)
{
    static const float c[7] = {1.0f,
                               6.931471825e-01f,
                               2.402264774e-01f,
                               5.550332367e-02f,
                               9.618436918e-03f,
                               1.339887502e-03f,
                               1.535336196e-04f};
    vf_exp2_terms k = {vf_in_register(vf_set1(-127.0f)), vf_in_register(vf_set1(12582912.0f + 127.0f))};
#pragma GCC unroll 8
    for (int i = 0; i < 7; i++) k.c[i] = vf_in_register(vf_set1(c[i]));
    return k;
}

VF_INLINE vf vf_exp2_of(const vf_exp2_terms *k, vf x)
{
    x = vf_max(k->least, x); /* NaN: max gives x */
    vf t = vf_add(x, k->rounder), r = vf_sub(x, vf_sub(t, k->rounder)), p = k->c[6];
#pragma GCC unroll 8
    for (int i = 5; i >= 0; i--) p = vf_fma(p, r, k->c[i]);
    return vf_mul(p, vf_shift_to_exponent(t));
}

VF_INLINE vf vf_exp2(vf x)
{
    const vf_exp2_terms k = vf_exp2_begin();
    return vf_exp2_of(&k, x);
}
#endif

/* tanh x, absolute and relative error < 3e-7 (4.2e-7 without fused multiply-add): a rational function of degrees 13 and
 * 6 on |x| < 7.91, its value there as far as 8.2, where 1 is nearer, and +-1 beyond. NaN stays NaN. The form through
 * e^2x - 1 reaches 1.6e-7 at 1.6 times the cost; the additive score, which spends its time here, does not need it. */
VF_INLINE vf vf_tanh(vf x)
{
    vf t = vf_min(vf_set1(7.90531110763549805f), vf_max(vf_set1(-7.90531110763549805f), x));
    vf s = vf_mul(t, t);
    vf p = vf_set1(-2.76076847742355e-16f);
    p = vf_fma(p, s, vf_set1(2.00018790482477e-13f));
    p = vf_fma(p, s, vf_set1(-8.60467152213735e-11f));
    p = vf_fma(p, s, vf_set1(5.12229709037114e-08f));
    p = vf_fma(p, s, vf_set1(1.48572235717979e-05f));
    p = vf_fma(p, s, vf_set1(6.37261928875436e-04f));
    p = vf_fma(p, s, vf_set1(4.89352455891786e-03f));
    vf q = vf_set1(1.19825839466702e-06f);
    q = vf_fma(q, s, vf_set1(1.18534705686654e-04f));
    q = vf_fma(q, s, vf_set1(2.26843463243900e-03f));
    q = vf_fma(q, s, vf_set1(4.89352518554385e-03f));
    vf one = vf_copysign(vf_set1(1.0f), x);
    return vf_select(vf_lt(vf_set1(8.2f), vf_abs(x)), one, vf_div(vf_mul(t, p), q));
}

/* 1 / (1 + e^-x), absolute error < 1.5e-7, and relative error < 4e-7 where it is small. */
VF_INLINE vf vf_sigmoid(vf x)
{
    vf e = vf_exp(vf_sub(vf_zero(), vf_abs(x))); /* in (0, 1]: no overflow */
    vf small = vf_div(e, vf_add(vf_set1(1.0f), e));
    return vf_select(vf_lt(x, vf_zero()), small, vf_sub(vf_set1(1.0f), small));
}

/* r = 1 / (1 + a b) to float accuracy: an estimate r0 and e = (1 - r0) - a b r0, which keeps what rounding 1 + a b
 * would lose. AVX2's estimate has 12 bits, too few for one Newton step: it gets the cubic one. */
VF_INLINE vf vf_rcp_one_plus(vf a, vf b)
{
    const vf one = vf_set1(1.0f);
    vf ab = vf_mul(a, b), r = vf_rcp_fast(vf_add(ab, one));
    vf e = vf_fnma(ab, r, vf_sub(one, r));
    if (VF_LANES == 8) e = vf_fma(e, e, e);
    return vf_fma(r, e, r);
}

#endif
