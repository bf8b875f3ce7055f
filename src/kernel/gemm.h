/* Dense products: packed panels and one micro-kernel per instruction set.
 *
 * Every element of c is a sum over blocks of `kc` values of k, and a block's sum is one chain of fused multiply-adds in
 * the order of k:
 *   c[m,n] = (old c[m,n], or nothing) + sum(k = 0 .. kc-1) + sum(k = kc .. 2kc-1) + ...   from left to right.
 * Nothing else decides the bits: not M or N, not the place of the element in a tile, not packing, not threads. */
#ifndef ATT_KERNEL_GEMM_H
#define ATT_KERNEL_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include <attend/product.h>

/* How a block of a lies in scratch memory. ROWS suits an a with dense rows, COLUMNS a transposed one. */
typedef enum att_gemm_layout {
    ATT_GEMM_ROWS = 0, /* row m at m * a_stride                                      */
    ATT_GEMM_COLUMNS   /* micro-tile t at t * mr * kc, in it column k at k * mr       */
} att_gemm_layout;

/* One block: c(rows,cols) = [c +] a(rows,k) b(k,cols), k <= kc, then bias and activation when it is the last one. */
typedef struct att_gemm_block {
    float *c;
    int64_t c_row, c_col; /* strides of c; c_col = 1 is the fast one */
    int64_t rows, cols, k;
    const float *a; /* packed by pack_a; for rows = 1 and ROWS, k values in a row */
    att_gemm_layout a_layout;
    int64_t a_row;       /* ROWS: 0, or an a that is not packed, whose element (m,k) is at m * a_row + k; then b is
                            packed float, and c and bias are dense */
    int64_t a_col;       /* COLUMNS: 0, or an a that is not packed, whose element (m,k) is at m + k * a_col */
    const float *a_next; /* ROWS: where the rows of the next block lie, a_next_row apart, to be fetched; or NULL */
    int64_t a_next_row, a_next_k; /* a_next_k: how many floats of each */
    const void *b;                /* panel j at j * b_panel, in it row k at k * b_row, in elements */
    float *b_room;                /* for a panel of float b, where that is not packed; or NULL */
    bool b_half;                  /* b is bfloat16 and packed, a in layout ROWS; otherwise b is float */
    int64_t b_row, b_panel;       /* every panel holds nr readable columns but for unpacked b, where cols % nr == 0 */
    bool b_far;                   /* float b comes from beyond the second-level cache */
    bool add;                     /* c += ..., otherwise the old c is not read */
    bool last;                    /* bias and activation follow */
    const float *bias;            /* of the block's columns; may be NULL */
    int64_t bias_stride;
    att_activation activation;
} att_gemm_block;

typedef struct att_gemm_kernels {
    int64_t mr, nr;   /* the micro-tile of c: mr rows, nr columns                 */
    int64_t kc;       /* depth of a block                                         */
    int64_t mc;       /* rows of a block of a: what the second-level cache holds  */
    int64_t a_stride; /* floats between rows of a packed block in layout ROWS     */
    int64_t a_floats; /* scratch floats of a packed block of mc rows, either layout */

    /* Columns k_at .. k_at + k - 1 of the packed block dst from a(rows,k) with strides a_row, a_col. */
    void (*pack_a)(float *dst, att_gemm_layout layout, int64_t k_at, const float *a, int64_t a_row, int64_t a_col,
                   int64_t rows, int64_t k);
    /* k rows of nr floats from b(k,cols), cols <= nr; zeros in the other columns. */
    void (*pack_b)(float *dst, const float *b, int64_t b_row, int64_t b_col, int64_t k, int64_t cols);
    int64_t (*panels_at_once)(int64_t rows); /* that a tile of so many rows spans; best a block has a multiple */
    void (*block)(const att_gemm_block *block);
} att_gemm_kernels;

#endif
