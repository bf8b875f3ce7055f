/* Dense products by instructions for bfloat16, of vectors or matrix units: float32 operands are rounded to it on the
 * way, sums are float32. The bits of an element depend on its row of a, its column of b and k alone: not on M or N,
 * tiles or threads. */
#ifndef ATT_KERNEL_GEMM_BF16_H
#define ATT_KERNEL_GEMM_BF16_H

#include <stdbool.h>
#include <stdint.h>

#include <attend/product.h>

enum {
    ATT_BF16_TILE = 32,   /* rows and columns of a micro-tile of c, and k of one step    */
    ATT_BF16_STEP = 1024, /* elements of 32 rows of a, or columns of b, for one step     */
    ATT_BF16_KC = 512,    /* depth of a block                                            */
    ATT_BF16_MC = 512     /* rows of a block of a: what the second-level cache holds     */
};

/* c(rows,cols) = [c +] a b, then bias and activation when it is the last block. Strip i of 32 rows of a lies at
 * i * steps * ATT_BF16_STEP, panel j of 32 columns of b at j * b_panel. */
typedef struct att_bf16_block {
    float *c; /* dense rows, c_row apart */
    int64_t c_row, rows, cols, steps;
    const uint16_t *a, *b;
    int64_t b_panel;
    bool add, last;
    const float *bias; /* of the block's columns; may be NULL */
    att_activation activation;
} att_bf16_block;

typedef struct att_bf16_kernels {
    /* A strip of a(rows,k), rows <= 32; zeros behind the last row and the last k. */
    void (*pack_a)(uint16_t *dst, const float *a, int64_t a_row, int64_t rows, int64_t k);
    /* The same of an a that lies transposed: element (i,k) at a[i + k * a_col]. */
    void (*turn_a)(uint16_t *dst, const float *a, int64_t a_col, int64_t rows, int64_t k);
    /* A panel of b(k,cols), cols <= 32; zeros behind the last column and the last k. */
    void (*pack_b)(uint16_t *dst, const float *b, int64_t b_row, int64_t k, int64_t cols);
    void (*block)(const att_bf16_block *block); /* NULL: this machine has no such instructions */
} att_bf16_kernels;

#endif
