/* Products of bfloat16 by AVX512_BF16's instruction for pairs, with the functions of tiles_amx.h: a micro-tile of 32 x
 * 32 floats, eight rows at a time, whose sums stay in registers. */
#ifndef ATT_CPU_TILES_AVX512_H
#define ATT_CPU_TILES_AVX512_H

#include "kernel/cpu/layout_bf16.h"

enum { ROWS = 8 };

static inline void begin_tiles(void) {}

static inline void end_tiles(void) {}

/* sum += left right for ROWS rows from `a` on and all k of a step. */
VF_INLINE void multiply_step(__m512 *sum, const uint16_t *a, const uint16_t *b)
{
    for (int64_t k = 0; k < TILE; k += 2, b += TILE) {
        const __m512bh left = (__m512bh)_mm512_loadu_si512(b), right = (__m512bh)_mm512_loadu_si512(b + ONE);
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++) {
            int32_t pair;
            memcpy(&pair, a + r * TILE + k, sizeof pair);
            const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
            sum[2 * r] = _mm512_dpbf16_ps(sum[2 * r], x, left);
            sum[2 * r + 1] = _mm512_dpbf16_ps(sum[2 * r + 1], x, right);
        }
    }
}

/* See tiles_amx.h. */
VF_INLINE void micro_tile(float *c, int64_t c_row, bool add, const uint16_t *a, const uint16_t *b, int64_t steps,
                          const int a_parts, const int b_parts)
{
    const int parts = a_parts > b_parts ? a_parts : b_parts;
    for (int64_t row = 0; row < TILE; row += ROWS, c += ROWS * c_row) {
        __m512 sum[2 * ROWS];
#pragma GCC unroll 16
        for (int i = 0; i < 2 * ROWS; i++)
            sum[i] = add ? _mm512_loadu_ps(c + i / 2 * c_row + i % 2 * HALF) : _mm512_setzero_ps();
        for (int64_t s = 0; s < steps; s++) {
            const uint16_t *left = a + s * a_parts * STEP + left_row(row), *right = b + s * b_parts * STEP;
#pragma GCC unroll 3
            for (int i = 0; i < a_parts; i++) {
                const int end = b_parts < parts - i ? b_parts : parts - i;
#pragma GCC unroll 3
                for (int j = 0; j < end; j++) multiply_step(sum, left + i * STEP, right + j * STEP);
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < 2 * ROWS; i++) _mm512_storeu_ps(c + i / 2 * c_row + i % 2 * HALF, sum[i]);
    }
}

#endif
