/* Products with weights of 8 bits. Column n of b is scale[n] w[:,n] with whole w in -127 .. 127, and a row of a is
 * rounded to step[m] q[m,:] with whole |q| <= limit, so that
 *   c[m,n] = (step[m] scale[n]) sum_k q[m,k] w[k,n],    |q w| summed over k < 2^31:  the sum is exact in int32.
 * Activations thus keep 12 to 16 bits (limit = 2^31 / (127 K)), at the price of 8: the kernels multiply pairs of 16-bit
 * numbers. Two weights u + 256 v in a word are a 16-bit number as they are: with V, the sum of q v, and W, that of q
 * times the words, the sum of q u is W - 256 V modulo 2^32, which is all of it; so only v has to be widened. Only the
 * rounding of a and one float per row and column decide the bits: they are the same for every instruction set, any
 * tiling and any number of threads. */
#ifndef ATT_KERNEL_GEMM8_H
#define ATT_KERNEL_GEMM8_H

#include <stdbool.h>
#include <stdint.h>

#include <attend/product.h>

#define ATT_GEMM8_MAX_K 65536 /* leaves activations 9 bits */

typedef struct att_gemm8_block {
    float *c;
    int64_t c_row, c_col;
    int64_t rows, cols, pairs; /* pairs: of values of k */
    const int16_t *a;          /* row m at m * a_row; 2 * pairs values */
    int64_t a_row;
    const float *step;  /* [rows] */
    const int16_t *b;   /* panel j at j * nr * pairs: for each pair of k, for n = 0 .. nr/2-1, of the first k and of the
                           second: w[k,n] + 256 w[k,n+nr/2] */
    const float *scale; /* of the block's columns */
    bool add;           /* c += */
    const float *bias;  /* of the block's columns; may be NULL */
    int64_t bias_stride;
    att_activation activation;
} att_gemm8_block;

typedef struct att_gemm8_kernels {
    int64_t mr, nr; /* the micro-tile of c */
    /* q[0 .. 2 ceil(K/2)) of x, a row of K values `stride` apart, a zero behind an odd last one; returns the step. A
     * row that is not finite has the step NaN. */
    float (*quantise)(int16_t *q, const float *x, int64_t stride, int64_t K, int32_t limit);
    void (*block)(const att_gemm8_block *block);
} att_gemm8_kernels;

#endif
