/* Kernels on runs of adjacent elements: elementwise functions, rows of a matrix, the optimiser. n may be 0. Outputs
 * may be the input of the same position, element by element, and overlap nothing else. */
#ifndef ATT_KERNEL_ROWS_H
#define ATT_KERNEL_ROWS_H

#include <stdint.h>

#include <attend/product.h>

/* The scalars of one Adam step, corrections for the first steps included: see att_ref_adam. */
typedef struct att_adam_scalars {
    double beta1, beta2, gscale;
    double rate;   /* lr / (1 - beta1^step)        */
    double root;   /* 1 / sqrt(1 - beta2^step)     */
    double eps;    /* added to root * sqrt(v)      */
    double shrink; /* lr * decay                   */
} att_adam_scalars;

/* What one row of logits comes down to. */
typedef struct att_logit_row {
    double max, lse, sum;
} att_logit_row;

typedef struct att_rows_kernels {
    void (*axpby)(float *y, float alpha, const float *x, float beta, int64_t n);
    void (*add)(float *y, const float *a, const float *b, int64_t n);
    void (*multiply)(float *y, const float *a, const float *b, int accumulate, int64_t n);
    void (*exp)(float *y, const float *x, int64_t n);
    void (*activation)(att_activation act, float *y, const float *x, int64_t n);
    void (*activation_bwd)(att_activation act, float *dx, const float *dy, const float *y, const float *x,
                           int accumulate, int64_t n);
    void (*dropout)(float *y, const float *x, double p, uint64_t seed, uint64_t stream, uint64_t index, int accumulate,
                    int64_t n);
    void (*sums)(const float *x, int64_t n, double *sum, double *squares);
    void (*sum_rows)(float *y, const float *x, int64_t x_row, int64_t rows, int64_t n); /* y += each row, in order */
    void (*softmax)(float *y, const float *x, int64_t n);
    void (*softmax_bwd)(float *dx, const float *dy, const float *y, int64_t n);
    void (*layer_norm)(float *y, float *mean, float *rstd, const float *x, const float *gain, const float *bias,
                       double eps, int64_t n);
    void (*layer_norm_bwd)(float *dx, const float *dy, const float *x, float mean, float rstd, const float *gain,
                           int accumulate, int64_t n);
    void (*layer_norm_bwd_gain)(float *dgain, float *dbias, const float *dy, const float *x, float mean, float rstd,
                                int64_t n);
    void (*rotary)(float *y, const float *x, const float *cosine, const float *sine, float sign, int accumulate,
                   int64_t half);
    void (*logits)(att_logit_row *row, const float *x, int64_t n);
    void (*logits_bwd)(float *x, float lse, float scale, float smooth, int64_t n);
    void (*adam)(const att_adam_scalars *s, float *p, float *m, float *v, const float *g, int64_t n);
} att_rows_kernels;

#endif
