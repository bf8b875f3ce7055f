/* Products with weights of 8 bits. Column n of b is scale[n] w[:,n] with whole w in -127 .. 127, and a row of a is
 * rounded to step[m] q[m,:] with whole |q| <= limit, so that
 *   c[m,n] = (step[m] scale[n]) sum_k q[m,k] w[k,n],    |q w| summed over k < 2^31:  the sum is exact in int32.
 * Activations thus keep 12 to 16 bits (limit = 2^31 / (127 K)), or 8 where the caller says so (limit = 127, W8A8): half
 * the price in gemm8_bytes.h, the same elsewhere. Only the rounding of a and one float per row and column decide
 * the bits: they are the same for every instruction set, any tiling and any number of threads. How rounded rows and
 * weights lie is the kernels' own. */
#ifndef ATT_KERNEL_GEMM8_H
#define ATT_KERNEL_GEMM8_H

#include <stdbool.h>
#include <stdint.h>

#include <attend/product.h>

#define ATT_GEMM8_MAX_K 65536 /* leaves activations 9 bits */

typedef struct att_gemm8_block {
    float *c;
    int64_t c_row, c_col;
    int64_t rows, cols, k; /* k: whole steps of `depth` */
    const int16_t *a;      /* row m at m * a_row, as quantise leaves it; one row more may be read */
    int64_t a_row;
    int32_t limit;      /* of the rounded values, as quantise had it */
    const float *step;  /* [rows] */
    const int8_t *b;    /* panel j at j * (head + nr * k), as pack leaves it */
    const float *scale; /* of the block's columns */
    bool add;           /* c += */
    const float *bias;  /* of the block's columns; may be NULL */
    int64_t bias_stride;
    att_activation activation;
} att_gemm8_block;

typedef struct att_gemm8_kernels {
    int64_t mr, nr; /* the micro-tile of c */
    int64_t depth;  /* K is filled up with zeros to a multiple of it */
    int64_t head;   /* bytes before a panel's weights */
    /* Rows k0 .. k0 + k - 1 of a panel, nr weights each, to where the products want them; from k0 = 0 on, in order, k0
     * and k multiples of depth. */
    void (*pack)(int8_t *panel, const int8_t *w, int64_t k0, int64_t k);
    int8_t (*weight)(const int8_t *panel, int64_t k, int64_t j);
    /* x, a row of K values `stride` apart, rounded; q has room for K values, and for up to 64 in all. Returns the step.
     * A row that is not finite has the step NaN. */
    float (*quantise)(int16_t *q, const float *x, int64_t stride, int64_t K, int32_t limit);
    void (*block)(const att_gemm8_block *block);
} att_gemm8_kernels;

#endif
