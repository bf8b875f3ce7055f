/* How bfloat16 lies for products, and how it gets there. A step is 32 of k: of a left operand 32 rows, two halves of
 * 16, a row's 32 numbers side by side; of a right one 32 columns, two halves of 16, whose row r holds the pairs of k =
 * 2 r and 2 r + 1. tiles_amx.h and tiles_avx512.h multiply them. */
#ifndef ATT_CPU_LAYOUT_BF16_H
#define ATT_CPU_LAYOUT_BF16_H

#include <immintrin.h>
#include <stdbool.h>

#include "kernel/cpu/simd.h"

enum {
    TILE = 32,       /* rows, columns, and k of one step */
    HALF = TILE / 2, /* rows or columns of a half */
    ONE = 512,       /* bfloat16 of a half */
    STEP = 2 * ONE   /* bfloat16 of 32 rows, or columns, of one step */
};

/* Where row r of 32 lies within a step of a left operand. */
VF_INLINE int64_t left_row(int64_t r)
{
    return r / HALF * ONE + r % HALF * TILE;
}

/* Rounded to nearest, ties to even. */
VF_INLINE __m512i two_rounded(__m512 low, __m512 high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* Sixteen pairs of a's lower or upper half and b's. */
VF_INLINE __m512i lower_pairs(__m512i a, __m512i b)
{
    static const uint16_t at[32]
        __attribute__((aligned(64))) = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                        8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
    return _mm512_permutex2var_epi16(a, _mm512_load_si512(at), b);
}

VF_INLINE __m512i upper_pairs(__m512i a, __m512i b)
{
    static const uint16_t at[32]
        __attribute__((aligned(64))) = {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
                                        24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63};
    return _mm512_permutex2var_epi16(a, _mm512_load_si512(at), b);
}

/* r[i] lane j -> r[j] lane i, 32 bits each. */
VF_INLINE void transpose_words(__m512i *r)
{
    __m512i t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) { /* r[4 g + i]: column i of each lane's four, rows 4 g .. 4 g + 3 */
        t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
        r[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
        r[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
        r[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd);
    }
}

#endif
