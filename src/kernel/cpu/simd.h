/* One vector of floats, whatever the instruction set this file is compiled for. Everything here is static: a variant's
 * helpers must never be shared with another variant by the linker.
 *
 *   vf          VF_LANES floats          vm   a mask of as many booleans
 *   vf_load_bf16 reads 2 VF_LANES bfloat16: those at even places and those at odd ones, widened.
 *   vf_load_n / vf_store_n touch exactly the first n < VF_LANES elements; the rest of a loaded vector is 0. */
#ifndef ATT_SIMD_H
#define ATT_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define ATT_GLUE_(a, b)   a##_##b
#define ATT_GLUE(a, b)    ATT_GLUE_(a, b)
#define ATT_VARIANT(name) ATT_GLUE(name, ATT_VARIANT_NAME) /* att_register_gemm -> att_register_gemm_avx2 */

#define VF_INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)

#include <immintrin.h>
#define VF_LANES 16
typedef __m512 vf;
typedef __mmask16 vm;

VF_INLINE vm vm_first(int64_t n)
{
    return (vm)((1u << n) - 1u);
}
VF_INLINE vf vf_set1(float a)
{
    return _mm512_set1_ps(a);
}
VF_INLINE vf vf_zero(void)
{
    return _mm512_setzero_ps();
}
VF_INLINE vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
VF_INLINE void vf_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}
VF_INLINE void vf_load_bf16(const uint16_t *p, vf *even, vf *odd)
{
    __m512i both = _mm512_loadu_si512(p);
    *even = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
    *odd = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(-65536)));
}
VF_INLINE vf vf_load_n(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(vm_first(n), p);
}
VF_INLINE void vf_store_n(float *p, vf a, int64_t n)
{
    _mm512_mask_storeu_ps(p, vm_first(n), a);
}
VF_INLINE vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
VF_INLINE vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
VF_INLINE vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
VF_INLINE vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
VF_INLINE vf vf_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
VF_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
} /*  a*b + c */
VF_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
} /* -a*b + c */
VF_INLINE vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
} /* b when a is NaN */
VF_INLINE vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
VF_INLINE vf vf_abs(vf a)
{
    return _mm512_abs_ps(a);
}
VF_INLINE vf vf_copysign(vf magnitude, vf sign)
{
    return _mm512_or_ps(_mm512_andnot_ps(_mm512_set1_ps(-0.0f), magnitude), _mm512_and_ps(_mm512_set1_ps(-0.0f), sign));
}
VF_INLINE vf vf_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VF_INLINE vf vf_ldexp(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
} /* a * 2^n, n integral, no early overflow */
VF_INLINE vf vf_fraction(vf a)
{
    return _mm512_reduce_ps(a, _MM_FROUND_TO_NEG_INF);
} /* a - floor(a) */
VF_INLINE vf vf_scale_from(vf least, vf a, vf n)
{
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(n, least, _CMP_NLT_UQ), a, n);
} /* a 2^floor(n), or 0 for n < least; a NaN in n stays */
VF_INLINE vf vf_rcp_fast(vf a)
{
    return _mm512_rcp14_ps(a);
} /* 1/a to 14 bits */
VF_INLINE vm vf_lt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
VF_INLINE vm vf_le(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}
VF_INLINE vm vf_isnan(vf a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
VF_INLINE vf vf_select(vm m, vf yes, vf no)
{
    return _mm512_mask_blend_ps(m, no, yes);
}
VF_INLINE vf vf_select_first(int64_t n, vf yes, vf no)
{
    return _mm512_mask_blend_ps(vm_first(n), no, yes);
}
VF_INLINE int vm_any(vm m)
{
    return m != 0;
}
VF_INLINE vf vf_shift_to_exponent(vf a)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), 23));
} /* the low 9 bits of every lane become its sign and exponent */
VF_INLINE vm vm_from_bytes(const uint8_t *p)
{
    return _mm512_test_epi32_mask(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)),
                                  _mm512_set1_epi32(255));
} /* true where a byte is not 0 */

#elif defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>
#define VF_LANES 8
typedef __m256 vf;
typedef __m256 vm;

VF_INLINE __m256i vm_first(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VF_INLINE vf vf_set1(float a)
{
    return _mm256_set1_ps(a);
}
VF_INLINE vf vf_zero(void)
{
    return _mm256_setzero_ps();
}
VF_INLINE vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
VF_INLINE void vf_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a);
}
VF_INLINE void vf_load_bf16(const uint16_t *p, vf *even, vf *odd)
{
    __m256i both = _mm256_loadu_si256((const __m256i *)(const void *)p);
    *even = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16));
    *odd = _mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32(-65536)));
}
VF_INLINE vf vf_load_n(const float *p, int64_t n)
{
    return _mm256_maskload_ps(p, vm_first(n));
}
VF_INLINE void vf_store_n(float *p, vf a, int64_t n)
{
    _mm256_maskstore_ps(p, vm_first(n), a);
}
VF_INLINE vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
VF_INLINE vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
VF_INLINE vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
VF_INLINE vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
VF_INLINE vf vf_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
VF_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
VF_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
VF_INLINE vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
VF_INLINE vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
VF_INLINE vf vf_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
VF_INLINE vf vf_copysign(vf magnitude, vf sign)
{
    vf bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
VF_INLINE vf vf_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VF_INLINE vf vf_exp2i(__m256i n) /* 2^n for -126 <= n <= 127 */
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
VF_INLINE vf vf_ldexp(vf a, vf n) /* in two halves, so that neither 2^(n/2) over- nor underflows for |n| <= 252 */
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return _mm256_mul_ps(_mm256_mul_ps(a, vf_exp2i(half)), vf_exp2i(_mm256_sub_epi32(whole, half)));
}
VF_INLINE vf vf_rcp_fast(vf a)
{
    return _mm256_rcp_ps(a);
} /* 1/a to 12 bits */
VF_INLINE vm vf_lt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
VF_INLINE vm vf_le(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LE_OQ);
}
VF_INLINE vm vf_isnan(vf a)
{
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}
VF_INLINE vf vf_select(vm m, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, m);
}
VF_INLINE vf vf_select_first(int64_t n, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(vm_first(n)));
}
VF_INLINE int vm_any(vm m)
{
    return _mm256_movemask_ps(m) != 0;
}
VF_INLINE vf vf_shift_to_exponent(vf a)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), 23));
}
VF_INLINE vm vm_from_bytes(const uint8_t *p)
{
    __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(wide, _mm256_setzero_si256()));
}

#else /* the compiler's own vectors: any processor */

#define VF_LANES 4
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vm __attribute__((vector_size(16)));

VF_INLINE vf vf_set1(float a)
{
    return (vf){a, a, a, a};
}
VF_INLINE vf vf_zero(void)
{
    return vf_set1(0.0f);
}
VF_INLINE vf vf_load(const float *p)
{
    vf a;
    memcpy(&a, p, sizeof a);
    return a;
}
VF_INLINE void vf_store(float *p, vf a)
{
    memcpy(p, &a, sizeof a);
}
VF_INLINE void vf_load_bf16(const uint16_t *p, vf *even, vf *odd)
{
    uint32_t both[VF_LANES], low[VF_LANES], high[VF_LANES];
    memcpy(both, p, sizeof both);
    for (int i = 0; i < VF_LANES; i++) {
        low[i] = both[i] << 16;
        high[i] = both[i] & 0xffff0000u;
    }
    memcpy(even, low, sizeof low);
    memcpy(odd, high, sizeof high);
}
VF_INLINE vf vf_load_n(const float *p, int64_t n)
{
    vf a = vf_zero();
    for (int64_t i = 0; i < n; i++) a[i] = p[i];
    return a;
}
VF_INLINE void vf_store_n(float *p, vf a, int64_t n)
{
    for (int64_t i = 0; i < n; i++) p[i] = a[i];
}
VF_INLINE vf vf_add(vf a, vf b)
{
    return a + b;
}
VF_INLINE vf vf_sub(vf a, vf b)
{
    return a - b;
}
VF_INLINE vf vf_mul(vf a, vf b)
{
    return a * b;
}
VF_INLINE vf vf_div(vf a, vf b)
{
    return a / b;
}
VF_INLINE vf vf_sqrt(vf a)
{
    for (int i = 0; i < VF_LANES; i++) a[i] = sqrtf(a[i]);
    return a;
}
VF_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return a * b + c;
}
VF_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return c - a * b;
}
VF_INLINE vf vf_select(vm m, vf yes, vf no)
{
    return (vf)(((vm)yes & m) | ((vm)no & ~m));
}
VF_INLINE vm vf_lt(vf a, vf b)
{
    return a < b;
}
VF_INLINE vm vf_le(vf a, vf b)
{
    return a <= b;
}
VF_INLINE vm vf_isnan(vf a)
{
    return a != a;
}
VF_INLINE vf vf_select_first(int64_t n, vf yes, vf no)
{
    const vm place = {0, 1, 2, 3}, first = place < (vm){(int32_t)n, (int32_t)n, (int32_t)n, (int32_t)n};
    return vf_select(first, yes, no);
}
VF_INLINE int vm_any(vm m)
{
    return (m[0] | m[1] | m[2] | m[3]) != 0;
}
VF_INLINE vf vf_shift_to_exponent(vf a)
{
    typedef uint32_t bits __attribute__((vector_size(16)));
    return (vf)((bits)a << 23);
}
VF_INLINE vm vm_from_bytes(const uint8_t *p)
{
    return (vm){p[0], p[1], p[2], p[3]} != 0;
}
VF_INLINE vf vf_max(vf a, vf b)
{
    return vf_select(a > b, a, b);
}
VF_INLINE vf vf_min(vf a, vf b)
{
    return vf_select(a < b, a, b);
}
VF_INLINE vf vf_abs(vf a)
{
    return (vf)((vm)a & (vm){INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX});
}
VF_INLINE vf vf_copysign(vf magnitude, vf sign)
{
    vm bit = {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN};
    return (vf)(((vm)magnitude & ~bit) | ((vm)sign & bit));
}
VF_INLINE vf vf_round(vf a) /* adding 1.5 2^23 leaves no room for a fraction: for |a| < 2^22 */
{
    vf big = vf_set1(12582912.0f);
    return (a + big) - big;
}
VF_INLINE vf vf_exp2i(vm n) /* 2^n for -126 <= n <= 127 */
{
    return (vf)((n + 127) << 23);
}
VF_INLINE vf vf_ldexp(vf a, vf n) /* in two halves, so that neither 2^(n/2) over- nor underflows for |n| <= 252 */
{
    vm whole = __builtin_convertvector(vf_select(vf_isnan(n), vf_zero(), n), vm), half = whole >> 1;
    return a * vf_exp2i(half) * vf_exp2i(whole - half);
}
VF_INLINE vf vf_rcp_fast(vf a)
{
    return vf_set1(1.0f) / a;
}

#endif

/* The same for any n > 0: where n is a constant VF_LANES, a plain load or store. So the body of a loop is written once,
 * in a function that takes how many of its lanes count. */
VF_INLINE vf vf_load_some(const float *p, int64_t n)
{
    return n >= VF_LANES ? vf_load(p) : vf_load_n(p, n);
}
VF_INLINE void vf_store_some(float *p, vf a, int64_t n)
{
    if (n >= VF_LANES)
        vf_store(p, a);
    else
        vf_store_n(p, a, n);
}
/* The first n lanes of a, zeros behind. */
VF_INLINE vf vf_keep_some(vf a, int64_t n)
{
    return n >= VF_LANES ? a : vf_select_first(n, a, vf_zero());
}

/* The sum of all lanes, halves first: ((a0+a4)+(a2+a6)) + ((a1+a5)+(a3+a7)). The order is fixed per instruction set. */
#if VF_LANES == 4
VF_INLINE float vf_sum(vf a)
{
    return (a[0] + a[2]) + (a[1] + a[3]);
}
VF_INLINE float vf_hmax(vf a)
{
    float x = a[0] > a[2] ? a[0] : a[2], y = a[1] > a[3] ? a[1] : a[3];
    return x > y ? x : y;
}
#else
#if VF_LANES == 16
VF_INLINE __m256 vf_half(vf a, int high)
{
    return high ? _mm512_extractf32x8_ps(a, 1) : _mm512_castps512_ps256(a);
}
#endif
VF_INLINE float vf_sum(vf a)
{
#if VF_LANES == 16
    __m256 b = _mm256_add_ps(vf_half(a, 0), vf_half(a, 1));
#else
    __m256 b = a;
#endif
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
VF_INLINE float vf_hmax(vf a)
{
#if VF_LANES == 16
    __m256 b = _mm256_max_ps(vf_half(a, 0), vf_half(a, 1));
#else
    __m256 b = a;
#endif
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
#endif

/* Of four vectors at once, each by the additions of vf_sum in its order, or largest lanes: what is left of two vectors
 * shares one. */
VF_INLINE vf vf_fold(vf a, vf b, const int largest)
{
    return largest ? vf_max(a, b) : vf_add(a, b);
}
VF_INLINE void vf_fold4(float *out, vf a, vf b, vf c, vf d, const int largest)
{
#if VF_LANES == 16
    vf ab = vf_fold(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee), largest);
    vf cd = vf_fold(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee), largest);
    vf all = vf_fold(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd), largest);
    all = vf_fold(all, _mm512_permute_ps(all, 0x4e), largest);
    all = vf_fold(all, _mm512_permute_ps(all, 0xb1), largest);
    const __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    _mm_storeu_ps(out, _mm512_castps512_ps128(_mm512_permutexvar_ps(first, all)));
#elif VF_LANES == 8
    vf ab = vf_fold(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31), largest);
    vf cd = vf_fold(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31), largest);
    vf all = vf_fold(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee), largest); /* a, c; b, d */
    all = vf_fold(all, _mm256_permute_ps(all, 0xb1), largest);
    __m128 ac = _mm256_castps256_ps128(all), bd = _mm256_extractf128_ps(all, 1);
    _mm_storeu_ps(out, _mm_unpacklo_ps(_mm_shuffle_ps(ac, ac, 0x88), _mm_shuffle_ps(bd, bd, 0x88)));
#else
    const vf x[4] = {a, b, c, d};
    for (int i = 0; i < 4; i++) out[i] = largest ? vf_hmax(x[i]) : vf_sum(x[i]);
#endif
}
VF_INLINE void vf_sum4(float *out, vf a, vf b, vf c, vf d)
{
    vf_fold4(out, a, b, c, d, 0);
}
VF_INLINE void vf_hmax4(float *out, vf a, vf b, vf c, vf d)
{
    vf_fold4(out, a, b, c, d, 1);
}

/* 1/a to about 1e-7 relative: one Newton step on the fast estimate. a normal, 1e-37 < |a| < 1e37. */
VF_INLINE vf vf_rcp(vf a)
{
    vf r = vf_rcp_fast(a);
    return vf_fma(r, vf_fnma(a, r, vf_set1(1.0f)), r);
}

/* Keeps the compiler from reading x again in each of its uses: loads are as scarce as multiply-adds. */
VF_INLINE vf vf_in_register(vf x)
{
#if VF_LANES >= 8
    __asm__("" : "+v"(x));
#endif
    return x;
}

/* Lane i of the result is lane at[i] of a and b side by side. */
typedef int32_t vf_places __attribute__((vector_size(VF_LANES * 4)));
VF_INLINE vf vf_shuffle(vf a, vf b, vf_places at)
{
#ifdef __clang__ /* which shuffles by constants only */
    vf out = vf_zero();
    for (int i = 0; i < VF_LANES; i++) out[i] = at[i] < VF_LANES ? a[at[i]] : b[at[i] - VF_LANES];
    return out;
#else
    return (vf)__builtin_shuffle(a, b, at);
#endif
}

#endif
