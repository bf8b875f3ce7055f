/* Sizes of the micro-kernel for each instruction set, and the packing of both operands. */
#ifndef ATT_CPU_GEMM_PACK_H
#define ATT_CPU_GEMM_PACK_H

#include "kernel/cpu/simd.h"
#include "kernel/gemm.h"

/* MR x NV accumulators, NV vectors of b and one of a fill the registers: 31 of 32, 15 of 16, 11 of 16. The loop
 * takes UNROLL values of k in a turn where its own instructions count. Blocks of a, MC x KC, lie in the second-level
 * cache; the deeper, the seldomer is c read and written. FETCHES: a tile leaves room for instructions that fetch its c,
 * rows of b that come soon, and an a that lies transposed. STAY: rows and panels of a micro-tile whose a stays where it
 * lies; at most as many rows as a set of the first-level cache has ways, for they may all meet in one. */
#if VF_LANES == 16
#define GEMM_MR          14
#define GEMM_MC          168
#define GEMM_KC          512
#define GEMM_UNROLL      2
#define GEMM_FETCHES     1
#define GEMM_STAY_ROWS   7
#define GEMM_STAY_PANELS 2
#elif VF_LANES == 8
#define GEMM_MR          6
#define GEMM_MC          96
#define GEMM_KC          256
#define GEMM_UNROLL      4
#define GEMM_FETCHES     0
#define GEMM_STAY_ROWS   6
#define GEMM_STAY_PANELS 1
#else
#define GEMM_MR          4
#define GEMM_MC          64
#define GEMM_KC          256
#define GEMM_UNROLL      1
#define GEMM_FETCHES     0
#define GEMM_STAY_ROWS   4
#define GEMM_STAY_PANELS 1
#endif
#define GEMM_NV       2
#define GEMM_A_STRIDE (GEMM_KC + 16) /* a cache line more than KC: rows fall into different sets */
#define GEMM_STRIP    16
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

/* A shuffle of every group of four lanes alike; lane VF_LANES + i is lane i of its second operand. Group g of
 * load_groups, if it is one of the first `groups`, holds four floats from p[4 g]. */
#if VF_LANES == 16
VF_INLINE vf load_groups(const float *const *p, int64_t at, const int groups)
{
    vf x = _mm512_castps128_ps512(_mm_loadu_ps(p[0] + at));
    if (groups > 1) x = _mm512_insertf32x4(x, _mm_loadu_ps(p[4] + at), 1);
    if (groups > 2) x = _mm512_insertf32x4(x, _mm_loadu_ps(p[8] + at), 2);
    if (groups > 3) x = _mm512_insertf32x4(x, _mm_loadu_ps(p[12] + at), 3);
    return x;
}
typedef int32_t lanes __attribute__((vector_size(64)));
#define GROUPS(a, b, c, d)                                                                                             \
    ((lanes){a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8, a + 12, b + 12, c + 12, d + 12})
#elif VF_LANES == 8
VF_INLINE vf load_groups(const float *const *p, int64_t at, const int groups)
{
    vf x = _mm256_castps128_ps256(_mm_loadu_ps(p[0] + at));
    return groups > 1 ? _mm256_insertf128_ps(x, _mm_loadu_ps(p[4] + at), 1) : x;
}
typedef int32_t lanes __attribute__((vector_size(32)));
#define GROUPS(a, b, c, d) ((lanes){a, b, c, d, a + 4, b + 4, c + 4, d + 4})
#else
VF_INLINE vf load_groups(const float *const *p, int64_t at, const int groups)
{
    (void)groups;
    return vf_load(p[0] + at);
}
typedef vm lanes;
#define GROUPS(a, b, c, d) ((lanes){a, b, c, d})
#endif

/* Lane i of column[c] = row[i][j + c], for four columns: every group of lanes transposes a block of 4 x 4. */
VF_INLINE void transpose_four(vf *column, const float *const *row, int64_t j, const int groups)
{
    enum { L = VF_LANES };
    vf r0 = load_groups(row, j, groups), r1 = load_groups(row + 1, j, groups);
    vf r2 = load_groups(row + 2, j, groups), r3 = load_groups(row + 3, j, groups);
    vf a = vf_shuffle(r0, r1, GROUPS(0, L, 1, L + 1)), b = vf_shuffle(r2, r3, GROUPS(0, L, 1, L + 1));
    vf c = vf_shuffle(r0, r1, GROUPS(2, L + 2, 3, L + 3)), d = vf_shuffle(r2, r3, GROUPS(2, L + 2, 3, L + 3));
    column[0] = vf_shuffle(a, b, GROUPS(0, 1, L, L + 1));
    column[1] = vf_shuffle(a, b, GROUPS(2, 3, L + 2, L + 3));
    column[2] = vf_shuffle(c, d, GROUPS(0, 1, L, L + 1));
    column[3] = vf_shuffle(c, d, GROUPS(2, 3, L + 2, L + 3));
}

/* dst[j * dst_row + i] = row[i][j] for n <= VF_LANES rows and `cols` columns, where all VF_LANES pointers may be read.
 */
VF_INLINE void transpose_rows(float *dst, int64_t dst_row, const float *const *row, int64_t n, int64_t cols)
{
    int64_t j = 0;
    for (; j + 4 <= cols; j += 4, dst += 4 * dst_row) {
        vf column[4];
        transpose_four(column, row, j, VF_LANES / 4);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) vf_store_some(dst + i * dst_row, column[i], n);
    }
    for (; j < cols; j++, dst += dst_row)
        for (int64_t i = 0; i < n; i++) dst[i] = row[i][j];
}

/* dst(cols,rows) = transpose of src(rows,cols), both with dense rows. */
static inline void transpose(float *dst, int64_t dst_row, const float *src, int64_t src_row, int64_t rows, int64_t cols)
{
    const float *row[VF_LANES];
    for (int64_t lo = 0; lo < rows; lo += VF_LANES) {
        const int64_t n = rows - lo < VF_LANES ? rows - lo : VF_LANES;
        for (int64_t i = 0; i < VF_LANES; i++) row[i] = src + (lo + (i < n ? i : 0)) * src_row;
        if (n == VF_LANES) /* a constant: stores without a mask */
            transpose_rows(dst + lo, dst_row, row, VF_LANES, cols);
        else
            transpose_rows(dst + lo, dst_row, row, n, cols);
    }
}

static inline void copy_strided(float *dst, int64_t dst_row, const float *src, int64_t row, int64_t col, int64_t rows,
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

/* dst[i * GEMM_MR + j] = src[i * row + j] for k rows of m <= GEMM_MR columns. Whole vectors are stored: what one writes
 * too much is where the next row goes, and the last row is exact. */
static inline void copy_narrow(float *dst, const float *src, int64_t row, int64_t k, int64_t m)
{
    for (int64_t i = 0; i < k - 1; i++) vf_store(dst + i * GEMM_MR, vf_load_n(src + i * row, m));
    for (int64_t j = 0; k > 0 && j < m; j++) dst[(k - 1) * GEMM_MR + j] = src[(k - 1) * row + j];
}

/* Column panels: element (i,k) of tile t at dst[(t * GEMM_KC + k) * GEMM_MR + i]. */
static inline void pack_columns(float *dst, const float *a, int64_t a_row, int64_t a_col, int64_t rows, int64_t k)
{
    int64_t tiles = gemm_tiles(rows);
    for (int64_t i = 0, row = 0; i < tiles; i++) {
        int64_t m = gemm_tile_rows(rows, tiles, i);
        float *to = dst + i * GEMM_KC * GEMM_MR;
        if (a_row == 1 && m < VF_LANES)
            copy_narrow(to, a + row * a_row, a_col, k, m);
        else
            copy_strided(to, GEMM_MR, a + row * a_row, a_col, a_row, k, m);
        row += m;
    }
}

static inline void pack_a(float *dst, att_gemm_layout layout, int64_t k_at, const float *a, int64_t a_row,
                          int64_t a_col, int64_t rows, int64_t k)
{
    if (layout == ATT_GEMM_ROWS) {
        copy_strided(dst + k_at, GEMM_A_STRIDE, a, a_row, a_col, rows, k);
        return;
    }
    for (int64_t lo = 0; lo < k; lo += GEMM_STRIP) /* all tiles of a few k together: they lie in the same lines of a */
        pack_columns(dst + (k_at + lo) * GEMM_MR, a + lo * a_col, a_row, a_col, rows,
                     k - lo < GEMM_STRIP ? k - lo : GEMM_STRIP);
}

static inline void pack_b(float *dst, const float *b, int64_t b_row, int64_t b_col, int64_t k, int64_t cols)
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
