/* A micro-tile of products with 8-bit weights, and how weights lie where bytes are multiplied, which VNNI and AMX
 * share: in fours of k, those of a column side by side, 32 columns to the row. Before them 128 times the sum of each
 * column: instructions that take bytes without a sign on the left get u + 128, and that is then too much. */
#ifndef ATT_CPU_GEMM8_TILE_H
#define ATT_CPU_GEMM8_TILE_H

#include <stdint.h>
#include <string.h>

typedef struct tile8 {
    const int16_t *a;
    int64_t a_row, k;
    int32_t limit; /* of the values in a */
    const float *step, *scale;
    const int8_t *b;
    const char *ask; /* what to fetch into the cache meanwhile: a place for each two of k, `ask_step` bytes apart */
    int64_t ask_step;
} tile8;

#if defined(__AVX512VNNI__)

enum { NR = 32, ROW = 4 * NR /* bytes of a row of a panel */, HEAD = ROW };

static void pack(int8_t *panel, const int8_t *w, int64_t k0, int64_t k)
{
    int8_t *dst = panel + HEAD + k0 * NR;
    int32_t sum[NR] = {0};
    if (k0 > 0) memcpy(sum, panel, sizeof sum);
    for (; k > 0; k -= 4, w += 4 * NR)
        for (int64_t j = 0; j < NR; j++)
            for (int64_t i = 0; i < 4; i++) {
                *dst++ = w[i * NR + j];
                sum[j] += 128 * w[i * NR + j];
            }
    memcpy(panel, sum, sizeof sum);
}

static int8_t weight(const int8_t *panel, int64_t k, int64_t j)
{
    return panel[HEAD + k / 4 * ROW + j * 4 + k % 4];
}

#endif

#endif
