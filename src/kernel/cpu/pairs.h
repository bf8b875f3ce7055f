/* Vectors of pairs of 16-bit integers, as many as a vf has lanes, and sums of 32 bits, modulo 2^32.
 *
 *   vi   VF_LANES 32-bit integers, or as many pairs
 *   vi_odd    v of each word u + 256 v with u, v in -127 .. 127
 *   vi_even   the sum for u, given those for the words and for v
 *   vi_largest   of the bits of |x|: as integers they have the order of their values, infinity and NaN above all others
 *   vf_store_i16   the nearest whole numbers, of 16 bits */
#ifndef ATT_PAIRS_H
#define ATT_PAIRS_H

#include "kernel/cpu/simd.h"

/* Compilers would compute the products of a whole step before the sums, for which there are no registers. */
#define VI_IN_ORDER(sum, constraint) __asm__("" : "+" constraint(sum))

/* Sums that are made at once, so that none waits for itself. */
#if defined(__AVX512VNNI__)
#define VI_DOT_CHAINS 10 /* two multiply-adds a cycle, each of which takes five */
#else
#define VI_DOT_CHAINS 2
#endif

#if VF_LANES == 16

typedef __m512i vi;
VF_INLINE vi vi_zero(void)
{
    return _mm512_setzero_si512();
}
VF_INLINE vi vi_load(const int16_t *p)
{
    return _mm512_loadu_si512(p);
}
VF_INLINE vi vi_odd(vi words)
{
    return _mm512_mulhrs_epi16(words, _mm512_set1_epi16(128)); /* (128 w + 2^14) / 2^15, rounded down */
}
VF_INLINE vi vi_even(vi words, vi odd)
{
    return _mm512_sub_epi32(words, _mm512_slli_epi32(odd, 8));
}
VF_INLINE vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
VF_INLINE vi vi_set1_pair(const int16_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
}
VF_INLINE vi vi_dot(vi sum, vi a, vi b) /* sum + a0 b0 + a1 b1 */
{
#if defined(__AVX512VNNI__)
    sum = _mm512_dpwssd_epi32(sum, a, b);
#else
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
    VI_IN_ORDER(sum, "v");
    return sum;
}
VF_INLINE vf vi_float(vi a)
{
    return _mm512_cvtepi32_ps(a);
}
VF_INLINE vi vi_largest(vi most, vf x)
{
    return _mm512_max_epi32(most, _mm512_castps_si512(vf_abs(x)));
}
VF_INLINE vf vf_of_bits(vi a)
{
    return _mm512_castsi512_ps(a);
}
VF_INLINE void vf_store_i16(int16_t *p, vf a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(a)));
}

#elif VF_LANES == 8

typedef __m256i vi;
VF_INLINE vi vi_zero(void)
{
    return _mm256_setzero_si256();
}
VF_INLINE vi vi_load(const int16_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
VF_INLINE vi vi_odd(vi words)
{
    return _mm256_mulhrs_epi16(words, _mm256_set1_epi16(128)); /* (128 w + 2^14) / 2^15, rounded down */
}
VF_INLINE vi vi_even(vi words, vi odd)
{
    return _mm256_sub_epi32(words, _mm256_slli_epi32(odd, 8));
}
VF_INLINE vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
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
VF_INLINE vi vi_largest(vi most, vf x)
{
    return _mm256_max_epi32(most, _mm256_castps_si256(vf_abs(x)));
}
VF_INLINE vf vf_of_bits(vi a)
{
    return _mm256_castsi256_ps(a);
}
VF_INLINE void vf_store_i16(int16_t *p, vf a)
{
    __m256i whole = _mm256_cvtps_epi32(a);
    __m128i packed = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storeu_si128((__m128i *)(void *)p, packed);
}

#else

typedef uint32_t vi __attribute__((vector_size(16)));
typedef int16_t vi_halves __attribute__((vector_size(16)));
VF_INLINE vi vi_zero(void)
{
    return (vi){0, 0, 0, 0};
}
VF_INLINE vi vi_load(const int16_t *p)
{
    vi words;
    memcpy(&words, p, sizeof words);
    return words;
}
VF_INLINE vi vi_odd(vi words)
{
    return (vi)(((vi_halves)words + 128) >> 8);
}
VF_INLINE vi vi_even(vi words, vi odd)
{
    return words - (odd << 8);
}
VF_INLINE vi vi_add(vi a, vi b)
{
    return a + b;
}
VF_INLINE vi vi_set1_pair(const int16_t *p)
{
    return (vi)(vi_halves){p[0], p[1], p[0], p[1], p[0], p[1], p[0], p[1]};
}
VF_INLINE vi vi_dot(vi sum, vi a, vi b)
{
    vi_halves x = (vi_halves)a, y = (vi_halves)b;
    for (int i = 0; i < VF_LANES; i++) sum[i] += (uint32_t)(x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1]);
    return sum;
}
VF_INLINE vf vi_float(vi a)
{
    return __builtin_convertvector((vm)a, vf);
}
VF_INLINE vi vi_largest(vi most, vf x)
{
    vm bits = (vm)vf_abs(x), more = bits > (vm)most;
    return (vi)((bits & more) | ((vm)most & ~more));
}
VF_INLINE vf vf_of_bits(vi a)
{
    return (vf)a;
}
VF_INLINE void vf_store_i16(int16_t *p, vf a)
{
    vf whole = vf_round(a);
    for (int i = 0; i < VF_LANES; i++) p[i] = (int16_t)whole[i];
}

#endif

#endif
