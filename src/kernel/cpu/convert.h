/* Vectors of floats from and to bfloat16, float16 and int8 in memory. Rounding is to nearest, ties to even. The _n
 * versions touch exactly the first n < VF_LANES elements; the rest of a loaded vector is 0. */
#ifndef ATT_CONVERT_H
#define ATT_CONVERT_H

#include "base/half.h"
#include "kernel/cpu/simd.h"

#if VF_LANES == 16

VF_INLINE vf vf_of_bf16(const uint16_t *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
VF_INLINE vf vf_of_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
VF_INLINE vf vf_of_i8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
VF_INLINE void vf_to_bf16(uint16_t *p, vf a)
{
    __m512i bits = _mm512_castps_si512(a), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i even = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i nan = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000)); /* rounding could carry it over to infinity */
    __m512i rounded = _mm512_srli_epi32(_mm512_mask_blend_epi32(vf_isnan(a), even, nan), 16);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(rounded));
}
VF_INLINE void vf_to_f16(uint16_t *p, vf a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

#elif VF_LANES == 8

VF_INLINE vf vf_of_bf16(const uint16_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
VF_INLINE vf vf_of_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
VF_INLINE vf vf_of_i8(const int8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}
VF_INLINE void vf_to_bf16(uint16_t *p, vf a)
{
    __m256i bits = _mm256_castps_si256(a), odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i even = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i nan = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000)); /* rounding could carry it over to infinity */
    __m256i rounded = _mm256_srli_epi32(_mm256_blendv_epi8(even, nan, _mm256_castps_si256(vf_isnan(a))), 16);
    __m128i low = _mm256_castsi256_si128(rounded), high = _mm256_extracti128_si256(rounded, 1);
    _mm_storeu_si128((__m128i *)(void *)p, _mm_packus_epi32(low, high));
}
VF_INLINE void vf_to_f16(uint16_t *p, vf a)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

#else

VF_INLINE vf vf_of_bf16(const uint16_t *p)
{
    return (vf)((vm){p[0], p[1], p[2], p[3]} << 16);
}
VF_INLINE vf vf_of_f16(const uint16_t *p)
{
    return (vf){att_float_of_f16(p[0]), att_float_of_f16(p[1]), att_float_of_f16(p[2]), att_float_of_f16(p[3])};
}
VF_INLINE vf vf_of_i8(const int8_t *p)
{
    return (vf){p[0], p[1], p[2], p[3]};
}
VF_INLINE void vf_to_bf16(uint16_t *p, vf a)
{
    for (int i = 0; i < VF_LANES; i++) p[i] = att_bf16_of_float(a[i]);
}
VF_INLINE void vf_to_f16(uint16_t *p, vf a)
{
    for (int i = 0; i < VF_LANES; i++) p[i] = att_f16_of_float(a[i]);
}

#endif

VF_INLINE vf vf_of_bf16_n(const uint16_t *p, int64_t n)
{
    uint16_t all[VF_LANES] = {0};
    memcpy(all, p, (size_t)n * sizeof *p);
    return vf_of_bf16(all);
}
VF_INLINE vf vf_of_f16_n(const uint16_t *p, int64_t n)
{
    uint16_t all[VF_LANES] = {0};
    memcpy(all, p, (size_t)n * sizeof *p);
    return vf_of_f16(all);
}
VF_INLINE vf vf_of_i8_n(const int8_t *p, int64_t n)
{
    int8_t all[VF_LANES] = {0};
    memcpy(all, p, (size_t)n * sizeof *p);
    return vf_of_i8(all);
}
VF_INLINE void vf_to_bf16_n(uint16_t *p, vf a, int64_t n)
{
    uint16_t all[VF_LANES];
    vf_to_bf16(all, a);
    memcpy(p, all, (size_t)n * sizeof *p);
}
VF_INLINE void vf_to_f16_n(uint16_t *p, vf a, int64_t n)
{
    uint16_t all[VF_LANES];
    vf_to_f16(all, a);
    memcpy(p, all, (size_t)n * sizeof *p);
}

#endif
