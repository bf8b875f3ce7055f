/* The tile registers of Intel's AMX as this project uses them: eight of 16 rows of 64 bytes. Four hold a micro-tile of
 * 32 x 32 floats, 4 and 5 the upper and lower rows of a left operand, 6 and 7 the left and right columns of a right
 * one. A left tile holds 32 bfloat16 of each row; row r of a right tile the pairs of k = 2 r and 2 r + 1 for 16
 * columns. */
#ifndef ATT_CPU_TILES_AMX_H
#define ATT_CPU_TILES_AMX_H

#include <immintrin.h>

#include "kernel/cpu/simd.h"

enum {
    TILE = 32,       /* rows, columns, and k of one step */
    HALF = TILE / 2, /* those of a register */
    ONE = 512,       /* bfloat16 of a register */
    STEP = 2 * ONE,  /* bfloat16 of 32 rows, or columns, of one step */
    LINE = 64
};

/* What LDTILECFG reads. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_config;

static inline void begin_tiles(void)
{
    static const tile_config whole __attribute__((aligned(64))) = {
        .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&whole);
}

/* c: the micro-tile whose rows lie c_row floats apart. */
VF_INLINE void load_micro_tile(const float *c, int64_t c_row)
{
    const int64_t bytes = c_row * (int64_t)sizeof *c;
    _tile_loadd(0, c, bytes);
    _tile_loadd(1, c + HALF, bytes);
    _tile_loadd(2, c + HALF * c_row, bytes);
    _tile_loadd(3, c + HALF * c_row + HALF, bytes);
}

VF_INLINE void zero_micro_tile(void)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

VF_INLINE void store_micro_tile(float *c, int64_t c_row)
{
    const int64_t bytes = c_row * (int64_t)sizeof *c;
    _tile_stored(0, c, bytes);
    _tile_stored(1, c + HALF, bytes);
    _tile_stored(2, c + HALF * c_row, bytes);
    _tile_stored(3, c + HALF * c_row + HALF, bytes);
}

VF_INLINE void load_left(const uint16_t *a)
{
    _tile_loadd(4, a, LINE);
    _tile_loadd(5, a + ONE, LINE);
}

VF_INLINE void load_right(const uint16_t *b)
{
    _tile_loadd(6, b, LINE);
    _tile_loadd(7, b + ONE, LINE);
}

VF_INLINE void multiply_tiles(void)
{
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

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
