/* Sizes of the micro-kernel for each instruction set, and the packing of both operands. */
#ifndef ATT_CPU_GEMM_PACK_H
#define ATT_CPU_GEMM_PACK_H

#include "kernel/cpu/simd.h"
#include "kernel/gemm.h"

/* MR x NV accumulators, NV vectors of b and one of a fill the registers: 31 of 32, 15 of 16, 11 of 16. */
#if VF_LANES == 16
#define GEMM_MR 14
#define GEMM_MC 168
#elif VF_LANES == 8
#define GEMM_MR 6
#define GEMM_MC 96
#else
#define GEMM_MR 4
#define GEMM_MC 64
#endif
#define GEMM_NV       2
#define GEMM_KC       256
#define GEMM_A_STRIDE (GEMM_KC + 16) /* a cache line more than KC: rows fall into different sets */
#define GEMM_ACC      (GEMM_MR * GEMM_NV > 12 ? GEMM_MR * GEMM_NV : 12)

/* `rows` rows go into as few tiles as can be, their heights differing by one at most. */
VF_INLINE int64_t gemm_tiles(int64_t rows)
{
    return (rows + GEMM_MR - 1) / GEMM_MR;
}

VF_INLINE int64_t gemm_tile_rows(int64_t rows, int64_t tiles, int64_t i)
{
    return rows / tiles + (i < rows % tiles);
}

typedef float vf4 __attribute__((vector_size(16)));
typedef int32_t vi4 __attribute__((vector_size(16)));

VF_INLINE vf4 load4(const float *p)
{
    vf4 a;
    memcpy(&a, p, sizeof a);
    return a;
}

VF_INLINE void store4(float *p, vf4 a)
{
    memcpy(p, &a, sizeof a);
}

/* dst[j * dst_row + i] = src[i * src_row + j] for 4 x 4. */
VF_INLINE void transpose4(float *dst, int64_t dst_row, const float *src, int64_t src_row)
{
    vf4 r0 = load4(src), r1 = load4(src + src_row), r2 = load4(src + 2 * src_row), r3 = load4(src + 3 * src_row);
    const vi4 low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, first = {0, 1, 4, 5}, second = {2, 3, 6, 7};
    vf4 a = __builtin_shuffle(r0, r1, low), b = __builtin_shuffle(r2, r3, low);
    vf4 c = __builtin_shuffle(r0, r1, high), d = __builtin_shuffle(r2, r3, high);
    store4(dst, __builtin_shuffle(a, b, first));
    store4(dst + dst_row, __builtin_shuffle(a, b, second));
    store4(dst + 2 * dst_row, __builtin_shuffle(c, d, first));
    store4(dst + 3 * dst_row, __builtin_shuffle(c, d, second));
}

/* dst(cols,rows) = transpose of src(rows,cols), both with dense rows. */
static void transpose(float *dst, int64_t dst_row, const float *src, int64_t src_row, int64_t rows, int64_t cols)
{
    for (int64_t i = 0; i < rows; i += 4)
        for (int64_t j = 0; j < cols; j += 4) {
            float *d = dst + j * dst_row + i;
            const float *s = src + i * src_row + j;
            if (i + 4 <= rows && j + 4 <= cols)
                transpose4(d, dst_row, s, src_row);
            else
                for (int64_t x = 0; x < 4 && i + x < rows; x++)
                    for (int64_t y = 0; y < 4 && j + y < cols; y++) d[y * dst_row + x] = s[x * src_row + y];
        }
}

static void copy_strided(float *dst, int64_t dst_row, const float *src, int64_t row, int64_t col, int64_t rows,
                         int64_t cols)
{
    if (col == 1)
        for (int64_t i = 0; i < rows; i++) memcpy(dst + i * dst_row, src + i * row, (size_t)cols * sizeof *dst);
    else if (row == 1)
        transpose(dst, dst_row, src, col, cols, rows);
    else
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++) dst[i * dst_row + j] = src[i * row + j * col];
}

static void pack_a(float *dst, att_gemm_layout layout, int64_t k_at, const float *a, int64_t a_row, int64_t a_col,
                   int64_t rows, int64_t k)
{
    if (layout == ATT_GEMM_ROWS) {
        copy_strided(dst + k_at, GEMM_A_STRIDE, a, a_row, a_col, rows, k);
        return;
    }
    int64_t tiles = gemm_tiles(rows);
    for (int64_t i = 0, row = 0; i < tiles; i++) {
        int64_t m = gemm_tile_rows(rows, tiles, i);
        copy_strided(dst + (i * GEMM_KC + k_at) * GEMM_MR, GEMM_MR, a + row * a_row, a_col, a_row, k, m);
        row += m;
    }
}

static void pack_b(float *dst, const float *b, int64_t b_row, int64_t b_col, int64_t k, int64_t cols)
{
    const int64_t width = GEMM_NV * VF_LANES;
    if (b_col == 1 && cols == width) {
        for (int64_t i = 0; i < k; i++, dst += width, b += b_row)
            for (int v = 0; v < GEMM_NV; v++) vf_store(dst + v * VF_LANES, vf_load(b + v * VF_LANES));
        return;
    }
    if (cols < width) memset(dst, 0, (size_t)(k * width) * sizeof *dst);
    copy_strided(dst, width, b, b_row, b_col, k, cols);
}

#endif
