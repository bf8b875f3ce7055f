/* Vectors of pairs of 16-bit integers, as many as a vf has lanes, and sums of 32 bits.
 *
 *   vi   VF_LANES 32-bit integers, or as many pairs
 *   vi_load_i8   4 VF_LANES bytes: those at even places widened to VF_LANES pairs, and those at odd places */
#ifndef ATT_PAIRS_H
#define ATT_PAIRS_H

#include "kernel/cpu/simd.h"

/* Compilers would compute the products of a whole step before the sums, for which there are no registers. */
#define VI_IN_ORDER(sum, constraint) __asm__("" : "+" constraint(sum))

#if VF_LANES == 16

typedef __m512i vi;
VF_INLINE vi vi_zero(void)
{
    return _mm512_setzero_si512();
}
VF_INLINE void vi_load_i8(const int8_t *p, vi *even, vi *odd)
{
    vi both = _mm512_loadu_si512(p);
    *even = _mm512_srai_epi16(_mm512_slli_epi16(both, 8), 8);
    *odd = _mm512_srai_epi16(both, 8);
}
VF_INLINE vi vi_set1_pair(const int16_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
}
VF_INLINE vi vi_dot(vi sum, vi a, vi b) /* sum + a0 b0 + a1 b1 */
{
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
    VI_IN_ORDER(sum, "v");
    return sum;
}
VF_INLINE vf vi_float(vi a)
{
    return _mm512_cvtepi32_ps(a);
}
VF_INLINE void vf_store_i16(int16_t *p, vf a) /* whole numbers that fit */
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(a)));
}

#elif VF_LANES == 8

typedef __m256i vi;
VF_INLINE vi vi_zero(void)
{
    return _mm256_setzero_si256();
}
VF_INLINE void vi_load_i8(const int8_t *p, vi *even, vi *odd)
{
    vi both = _mm256_loadu_si256((const __m256i *)(const void *)p);
    *even = _mm256_srai_epi16(_mm256_slli_epi16(both, 8), 8);
    *odd = _mm256_srai_epi16(both, 8);
}
VF_INLINE vi vi_set1_pair(const int16_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm256_set1_epi32(pair);
}
VF_INLINE vi vi_dot(vi sum, vi a, vi b)
{
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
    VI_IN_ORDER(sum, "x");
    return sum;
}
VF_INLINE vf vi_float(vi a)
{
    return _mm256_cvtepi32_ps(a);
}
VF_INLINE void vf_store_i16(int16_t *p, vf a)
{
    __m256i whole = _mm256_cvtps_epi32(a);
    __m128i packed = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storeu_si128((__m128i *)(void *)p, packed);
}

#else

typedef vm vi;
typedef int16_t vi_halves __attribute__((vector_size(16)));
VF_INLINE vi vi_zero(void)
{
    return (vi){0, 0, 0, 0};
}
VF_INLINE void vi_load_i8(const int8_t *p, vi *even, vi *odd)
{
    *even = (vi)(vi_halves){p[0], p[2], p[4], p[6], p[8], p[10], p[12], p[14]};
    *odd = (vi)(vi_halves){p[1], p[3], p[5], p[7], p[9], p[11], p[13], p[15]};
}
VF_INLINE vi vi_set1_pair(const int16_t *p)
{
    return (vi)(vi_halves){p[0], p[1], p[0], p[1], p[0], p[1], p[0], p[1]};
}
VF_INLINE vi vi_dot(vi sum, vi a, vi b)
{
    vi_halves x = (vi_halves)a, y = (vi_halves)b;
    for (int i = 0; i < VF_LANES; i++) sum[i] += x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1];
    return sum;
}
VF_INLINE vf vi_float(vi a)
{
    return __builtin_convertvector(a, vf);
}
VF_INLINE void vf_store_i16(int16_t *p, vf a)
{
    for (int i = 0; i < VF_LANES; i++) p[i] = (int16_t)a[i];
}

#endif

#endif
