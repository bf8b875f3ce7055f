#include "kernel/rows.h"

/* Elementwise; n adjacent elements. */
void ATT_REF(axpby)(real *y, real alpha, const real *x, real beta, int64_t n);
void ATT_REF(add)(real *y, const real *a, const real *b, int64_t n);
void ATT_REF(multiply)(real *y, const real *a, const real *b, int accumulate, int64_t n);
void ATT_REF(exp)(real *y, const real *x, int64_t n);
void ATT_REF(activation)(att_activation act, real *y, const real *x, int64_t n);
void ATT_REF(activation_bwd)(att_activation act, real *dx, const real *dy, const real *y, const real *x, int accumulate,
                             int64_t n);
void ATT_REF(dropout)(real *y, const real *x, double p, uint64_t seed, uint64_t stream, uint64_t index, int accumulate,
                      int64_t n);

/* Rows. */
void ATT_REF(sums)(const real *x, int64_t n, double *sum, double *squares);
void ATT_REF(sum_rows)(real *y, const real *x, int64_t x_row, int64_t rows, int64_t n);
void ATT_REF(softmax)(real *y, const real *x, int64_t n);
void ATT_REF(softmax_bwd)(real *dx, const real *dy, const real *y, int64_t n);
void ATT_REF(layer_norm)(real *y, real *mean, real *rstd, const real *x, const real *gain, const real *bias, double eps,
                         int64_t n);
void ATT_REF(layer_norm_bwd)(real *dx, const real *dy, const real *x, real mean, real rstd, const real *gain,
                             int accumulate, int64_t n);
void ATT_REF(layer_norm_bwd_gain)(real *dgain, real *dbias, const real *dy, const real *x, real mean, real rstd,
                                  int64_t n);
void ATT_REF(rotary)(real *y, const real *x, const real *cosine, const real *sine, real sign, int accumulate,
                     int64_t half);
void ATT_REF(logits)(att_logit_row *row, const real *x, int64_t n);
void ATT_REF(logits_bwd)(real *x, real lse, real scale, real smooth, int64_t n);
void ATT_REF(adam)(const att_adam_scalars *s, real *p, real *m, real *v, const real *g, int64_t n);
