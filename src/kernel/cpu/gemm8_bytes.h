/* Products with 8-bit weights by multiply-adds of four bytes each (VNNI). A rounded activation of 16 bits is
 * q = 256 u + l with u in -128 .. 127 and l in 0 .. 255, and so are the sums, whole numbers both; one of 8 bits is u
 * alone, at half the price. The instruction takes bytes without a sign on the left, so u lies as u + 128.
 *
 * A rounded row lies as all of its l, if it has them, and then all of its u: lines of bytes. A tile of c keeps its
 * sums, NV vectors for each line, in registers. */
#ifndef ATT_CPU_GEMM8_BYTES_H
#define ATT_CPU_GEMM8_BYTES_H

#include "kernel/cpu/gemm8_tile.h"
#include "kernel/cpu/pairs.h"
#include "kernel/gemm8.h"

enum { LINES = 12 /* of a tile */, MR = LINES, NV = NR / VF_LANES, DEPTH = 16 };

/* Bytes of an activation. */
static inline int parts(int32_t limit)
{
    return limit <= INT8_MAX ? 1 : 2;
}

static inline int64_t tile_rows(int32_t limit)
{
    return LINES / parts(limit);
}

static inline void begin_block(int64_t rows)
{
    (void)rows;
}

static inline void end_block(void) {}

/* Vector k / 16 of a row of `width`. */
VF_INLINE void store_rounded(int16_t *q, int64_t k, int64_t width, int32_t limit, vf x)
{
    int8_t *line = (int8_t *)q + k;
    __m512i whole = _mm512_cvtps_epi32(x);
    if (parts(limit) == 2) {
        _mm_storeu_si128((__m128i *)(void *)line, _mm512_cvtepi32_epi8(whole));
        whole = _mm512_srai_epi32(whole, 8);
        line += width;
    }
    _mm_storeu_si128((__m128i *)(void *)line, _mm_xor_si128(_mm512_cvtepi32_epi8(whole), _mm_set1_epi8(-128)));
}

/* Four activations, for all columns. */
VF_INLINE __m512i four(const int8_t *a)
{
    int32_t bytes;
    memcpy(&bytes, a, sizeof bytes);
    return _mm512_set1_epi32(bytes);
}

/* A row of a panel. Line p of row i: sums[(i * lines + p) * NV ...]. */
VF_INLINE void add_fours(const int m, const int lines, __m512i *sums, const int8_t *a, int64_t a_row, int64_t line,
                         const int8_t *b)
{
    const __m512i w[NV] = {_mm512_loadu_si512(b), _mm512_loadu_si512(b + ROW / NV)};
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 2
        for (int p = 0; p < lines; p++) {
            const __m512i q = four(a + i * a_row + p * line);
#pragma GCC unroll 2
            for (int v = 0; v < NV; v++) {
                __m512i *sum = &sums[(i * lines + p) * NV + v];
                *sum = _mm512_dpbusd_epi32(*sum, q, w[v]);
                VI_IN_ORDER(*sum, "v");
            }
        }
}

/* c(m,NR) dense; m and the lines of a row are constants after inlining, and so is the number of `sets` of sums that
 * take turns, so that few rows do not wait for the sum before. `scale` has NR readable values. */
VF_INLINE void tile_body(const int m, const int lines, float *c, const tile8 *t)
{
    const int count = m * lines * NV, sets = (VI_DOT_CHAINS + count - 1) / count;
    __m512i sums[LINES * NV + VI_DOT_CHAINS];
    const int8_t *a = (const int8_t *)t->a, *b = t->b;
    const int64_t a_row = t->a_row * (int64_t)sizeof *t->a, line = t->k;
    const char *ask = t->ask;
    int64_t fours = t->k / 4;
#pragma GCC unroll 32
    for (int i = 0; i < sets * count; i++) sums[i] = _mm512_setzero_si512();
    for (; fours >= sets; fours -= sets)
#pragma GCC unroll 8
        for (int s = 0; s < sets; s++, a += 4, b += ROW, ask += 2 * t->ask_step) {
            __builtin_prefetch(ask);
            __builtin_prefetch(ask + t->ask_step);
            add_fours(m, lines, sums + s * count, a, a_row, line, b);
        }
    for (; fours > 0; fours--, a += 4, b += ROW) add_fours(m, lines, sums, a, a_row, line, b);
#pragma GCC unroll 32
    for (int i = count; i < sets * count; i++) sums[i % count] = _mm512_add_epi32(sums[i % count], sums[i]);
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 2
        for (int v = 0; v < NV; v++) {
            __m512 factor = _mm512_mul_ps(_mm512_set1_ps(t->step[i]), _mm512_loadu_ps(t->scale + v * VF_LANES));
            __m512i sum = sums[(i * lines + lines - 1) * NV + v];
            sum = _mm512_sub_epi32(sum, _mm512_loadu_si512(t->b - HEAD + v * (HEAD / NV)));
            if (lines == 2) sum = _mm512_add_epi32(sums[i * lines * NV + v], _mm512_slli_epi32(sum, 8));
            _mm512_storeu_ps(c + i * NR + v * VF_LANES, _mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor));
        }
}

static void words(int64_t m, float *c, const tile8 *t)
{
    switch (m) {
    case 1: tile_body(1, 2, c, t); break;
    case 2: tile_body(2, 2, c, t); break;
    case 3: tile_body(3, 2, c, t); break;
    case 4: tile_body(4, 2, c, t); break;
    case 5: tile_body(5, 2, c, t); break;
    case 6: tile_body(6, 2, c, t); break;
    default: break;
    }
}

static void bytes(int64_t m, float *c, const tile8 *t)
{
    switch (m) {
    case 1: tile_body(1, 1, c, t); break;
    case 2: tile_body(2, 1, c, t); break;
    case 3: tile_body(3, 1, c, t); break;
    case 4: tile_body(4, 1, c, t); break;
    case 5: tile_body(5, 1, c, t); break;
    case 6: tile_body(6, 1, c, t); break;
    case 7: tile_body(7, 1, c, t); break;
    case 8: tile_body(8, 1, c, t); break;
    case 9: tile_body(9, 1, c, t); break;
    case 10: tile_body(10, 1, c, t); break;
    case 11: tile_body(11, 1, c, t); break;
    case 12: tile_body(12, 1, c, t); break;
    default: break;
    }
}

static void tile(int64_t m, float *c, const tile8 *t)
{
    if (parts(t->limit) == 2)
        words(m, c, t);
    else
        bytes(m, c, t);
}

#endif
