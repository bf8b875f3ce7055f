/* Products with 8-bit weights on the matrix units of Intel's AMX. A rounded activation is q = 256 u + l with u in
 * -128 .. 127 and l in 0 .. 255, and so are the sums: each of two products of bytes. A tile is 16 rows by 32 columns;
 * its four registers hold the sums of l, and of u, with the left and the right columns.
 *
 * A rounded row lies in steps of 64: their l, then their u. One or two rows take the vector instructions for bytes. */
#ifndef ATT_CPU_GEMM8_AMX_H
#define ATT_CPU_GEMM8_AMX_H

#include "kernel/cpu/gemm8_tile.h"
#include "kernel/cpu/pairs.h"
#include "kernel/cpu/tiles_amx.h"
#include "kernel/gemm8.h"

enum { MR = 16, DEPTH = 64, FEW = 2 };

static inline int64_t tile_rows(int32_t limit)
{
    (void)limit;
    return MR;
}

/* rows: the most that a tile of the block has. */
static inline void begin_block(int64_t rows)
{
    tile_config c = {.palette = 1};
    if (rows <= FEW) return;
    for (int i = 0; i < 8; i++) c.bytes[i] = LINE;
    for (int i = 0; i < 8; i++) c.rows[i] = (uint8_t)(i < 6 ? rows : DEPTH / 4);
    _tile_loadconfig(&c);
}

static inline void end_block(void)
{
    _tile_release();
}

/* Vector k / 16 of a row. */
VF_INLINE void store_rounded(int16_t *q, int64_t k, int64_t width, int32_t limit, vf x)
{
    (void)width, (void)limit;
    int8_t *step = (int8_t *)(q + k / DEPTH * DEPTH) + k % DEPTH;
    __m512i whole = _mm512_cvtepi16_epi32(_mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(x)));
    _mm_storeu_si128((__m128i *)(void *)step, _mm512_cvtepi32_epi8(whole));
    _mm_storeu_si128((__m128i *)(void *)(step + DEPTH), _mm512_cvtepi32_epi8(_mm512_srai_epi32(whole, 8)));
}

VF_INLINE void put_sums(float *c, __m512i low, __m512i high, __m512 factor)
{
    __m512i sum = _mm512_add_epi32(low, _mm512_slli_epi32(high, 8));
    _mm512_storeu_ps(c, _mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor));
}

static void many_rows(int64_t m, float *c, const tile8 *t)
{
    int32_t low[MR * NR] __attribute__((aligned(64))), high[MR * NR] __attribute__((aligned(64)));
    const char *ask = t->ask;
    const int64_t a_row = t->a_row * (int64_t)sizeof *t->a, ask_step = t->ask_step * (DEPTH / 2);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < t->k; k += DEPTH, ask += ask_step) {
        for (int64_t at = 0; at < ask_step; at += LINE) __builtin_prefetch(ask + at);
        const int8_t *a = (const int8_t *)(t->a + k), *b = t->b + k * NR;
        _tile_loadd(4, a, a_row);
        _tile_loadd(5, a + DEPTH, a_row);
        _tile_loadd(6, b, ROW);
        _tile_loadd(7, b + ROW / 2, ROW);
        _tile_dpbusd(0, 4, 6);
        _tile_dpbssd(1, 5, 6);
        _tile_dpbusd(2, 4, 7);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_stored(0, low, NR * sizeof *low);
    _tile_stored(1, high, NR * sizeof *high);
    _tile_stored(2, low + NR / 2, NR * sizeof *low);
    _tile_stored(3, high + NR / 2, NR * sizeof *high);
    for (int64_t i = 0; i < m; i++)
        for (int64_t v = 0; v < NR; v += VF_LANES) {
            __m512 factor = _mm512_mul_ps(_mm512_set1_ps(t->step[i]), _mm512_loadu_ps(t->scale + v));
            put_sums(c + i * NR + v, _mm512_load_si512(low + i * NR + v), _mm512_load_si512(high + i * NR + v), factor);
        }
}

/* Four activations, for all columns. */
VF_INLINE __m512i four(const int8_t *a)
{
    int32_t bytes;
    memcpy(&bytes, a, sizeof bytes);
    __m512i all = _mm512_set1_epi32(bytes);
    __asm__("" : "+v"(all)); /* from memory: from a register it would take the place of a multiply-add */
    return all;
}

VF_INLINE __m512i dot_fours(__m512i sum, __m512i a, __m512i w)
{
    sum = _mm512_dpbusd_epi32(sum, a, w);
    VI_IN_ORDER(sum, "v");
    return sum;
}

/* One row of a panel: sums[i][0 .. 1] of l, [2 .. 3] of u of row i. The instruction takes bytes without sign on the
 * left, so u + 128. */
VF_INLINE void add_fours(const int m, __m512i (*sums)[4], const int8_t *a, int64_t a_row, const int8_t *b)
{
    const __m512i bias = _mm512_set1_epi8(-128), w[2] = {_mm512_loadu_si512(b), _mm512_loadu_si512(b + LINE)};
#pragma GCC unroll 4
    for (int i = 0; i < m; i++) {
        const __m512i l = four(a + i * a_row), u = _mm512_xor_si512(four(a + i * a_row + DEPTH), bias);
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++) {
            sums[i][v] = dot_fours(sums[i][v], l, w[v]);
            sums[i][2 + v] = dot_fours(sums[i][2 + v], u, w[v]);
        }
    }
}

/* m rows; m is a constant after inlining. Several sets of sums take turns, so that none waits for the sum before. */
VF_INLINE void few_rows(const int m, float *c, const tile8 *t)
{
    enum { SETS = 4 };
    __m512i sums[SETS][4];
    const int sets = SETS / m;
    const int64_t a_row = t->a_row * (int64_t)sizeof *t->a;
    const int8_t *b = t->b;
    const char *ask = t->ask;
#pragma GCC unroll 16
    for (int i = 0; i < sets * m; i++)
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) sums[i][v] = _mm512_setzero_si512();
    for (int64_t k = 0; k < t->k; k += DEPTH) {
        const int8_t *a = (const int8_t *)(t->a + k);
        for (int n = 0; n < DEPTH / 4; n += sets)
#pragma GCC unroll 4
            for (int s = 0; s < sets; s++, a += 4, b += ROW) {
                __builtin_prefetch(ask);
                __builtin_prefetch(ask + t->ask_step);
                ask += 2 * t->ask_step;
                add_fours(m, sums + s * m, a, a_row, b);
            }
    }
#pragma GCC unroll 16
    for (int i = m; i < sets * m; i++)
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) sums[i % m][v] = _mm512_add_epi32(sums[i % m][v], sums[i][v]);
#pragma GCC unroll 4
    for (int i = 0; i < m; i++)
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++) {
            __m512 factor = _mm512_mul_ps(_mm512_set1_ps(t->step[i]), _mm512_loadu_ps(t->scale + v * VF_LANES));
            __m512i high = _mm512_sub_epi32(sums[i][2 + v], _mm512_loadu_si512(t->b - HEAD + v * LINE));
            put_sums(c + i * NR + v * VF_LANES, sums[i][v], high, factor);
        }
}

/* c(m,NR) dense. `scale` has NR readable values. */
static void tile(int64_t m, float *c, const tile8 *t)
{
    switch (m) {
    case 1: few_rows(1, c, t); break;
    case 2: few_rows(2, c, t); break;
    default: many_rows(m, c, t); break;
    }
}

#endif
