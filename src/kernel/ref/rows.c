#include "kernel/ref/real.h"

#include <tgmath.h> /* exp is expf where real is float */

#include "kernel/ref/rows.h"

void ATT_REF(sums)(const real *x, int64_t n, double *sum, double *squares)
{
    *sum = *squares = 0;
    for (int64_t i = 0; i < n; i++) {
        *sum += (double)x[i];
        *squares += (double)x[i] * (double)x[i];
    }
}

static real largest(const real *x, int64_t n)
{
    real max = (real)-INFINITY;
    for (int64_t j = 0; j < n; j++)
        if (x[j] > max) max = x[j];
    return max;
}

/* y_j += x_0j + x_1j + ..., row after row */
void ATT_REF(sum_rows)(real *y, const real *x, int64_t x_row, int64_t rows, int64_t n)
{
    for (int64_t m = 0; m < rows; m++)
        for (int64_t j = 0; j < n; j++) y[j] += x[m * x_row + j];
}

/* y_j = exp(x_j - max x) / sum_m exp(x_m - max x); a row of -inf gives zeros. y may be x. */
void ATT_REF(softmax)(real *y, const real *x, int64_t n)
{
    real max = largest(x, n), sum = 0;
    if (max == (real)-INFINITY) max = 0;
    for (int64_t j = 0; j < n; j++) sum += y[j] = exp(x[j] - max);
    real scale = sum == 0 ? 0 : 1 / sum;
    for (int64_t j = 0; j < n; j++) y[j] *= scale;
}

/* forward: y = softmax(x).  dx_j += y_j (dy_j - sum_m y_m dy_m); x is not needed. */
void ATT_REF(softmax_bwd)(real *dx, const real *dy, const real *y, int64_t n)
{
    real dot = 0;
    for (int64_t j = 0; j < n; j++) dot += y[j] * dy[j];
    for (int64_t j = 0; j < n; j++) dx[j] += y[j] * (dy[j] - dot);
}

/* y_j = (x_j - mean) rstd gain_j + bias_j,   rstd = 1 / sqrt(mean((x - mean)^2) + eps)      (Ba, Kiros, Hinton 2016) */
void ATT_REF(layer_norm)(real *y, real *mean, real *rstd, const real *x, const real *gain, const real *bias, double eps,
                         int64_t n)
{
    real sum = 0, squares = 0;
    for (int64_t j = 0; j < n; j++) sum += x[j];
    real mu = sum / (real)n;
    for (int64_t j = 0; j < n; j++) squares += (x[j] - mu) * (x[j] - mu);
    real r = 1 / sqrt(squares / (real)n + (real)eps);
    for (int64_t j = 0; j < n; j++) y[j] = (x[j] - mu) * r * (gain ? gain[j] : 1) + (bias ? bias[j] : 0);
    *mean = mu;
    *rstd = r;
}

/* forward: y_j = xh_j gain_j + bias_j,  xh_j = (x_j - mean) rstd.  With g_j = dy_j gain_j:
 * dx_j += rstd (g_j - mean(g) - xh_j mean(g xh)) */
void ATT_REF(layer_norm_bwd)(real *dx, const real *dy, const real *x, real mean, real rstd, const real *gain,
                             int accumulate, int64_t n)
{
    real sum = 0, dot = 0;
    for (int64_t j = 0; j < n; j++) {
        real g = dy[j] * (gain ? gain[j] : 1);
        sum += g;
        dot += g * (x[j] - mean) * rstd;
    }
    sum /= (real)n;
    dot /= (real)n;
    for (int64_t j = 0; j < n; j++) {
        real d = rstd * (dy[j] * (gain ? gain[j] : 1) - sum - (x[j] - mean) * rstd * dot);
        dx[j] = accumulate ? dx[j] + d : d;
    }
}

/* dgain_j += dy_j xh_j,  dbias_j += dy_j: one row's share. Either may be NULL. */
void ATT_REF(layer_norm_bwd_gain)(real *dgain, real *dbias, const real *dy, const real *x, real mean, real rstd,
                                  int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        if (dgain) dgain[j] += dy[j] * (x[j] - mean) * rstd;
        if (dbias) dbias[j] += dy[j];
    }
}

/* The pair (x_d, x_{d+half}) turned by the angle of cosine_d and sign sine_d. Backward: the same with -sign. */
void ATT_REF(rotary)(real *y, const real *x, const real *cosine, const real *sine, real sign, int accumulate,
                     int64_t half)
{
    for (int64_t d = 0; d < half; d++) {
        real a = x[d] * cosine[d] - x[d + half] * (sign * sine[d]),
             b = x[d + half] * cosine[d] + x[d] * (sign * sine[d]);
        y[d] = accumulate ? y[d] + a : a;
        y[d + half] = accumulate ? y[d + half] + b : b;
    }
}

/* max_v x_v,  lse = max + log sum_v exp(x_v - max),  sum_v x_v */
void ATT_REF(logits)(att_logit_row *row, const real *x, int64_t n)
{
    real max = largest(x, n), exps = 0, sum = 0;
    real shift = max == (real)-INFINITY ? 0 : max;
    for (int64_t j = 0; j < n; j++) {
        exps += exp(x[j] - shift);
        sum += x[j];
    }
    *row = (att_logit_row){.max = max, .lse = shift + log(exps), .sum = sum};
}

/* x_v <- scale (exp(x_v - lse) - smooth); the target's own share is the caller's. */
void ATT_REF(logits_bwd)(real *x, real lse, real scale, real smooth, int64_t n)
{
    for (int64_t j = 0; j < n; j++) x[j] = scale * (exp(x[j] - lse) - smooth);
}

/* m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2,  p -= rate m / (root sqrt(v) + eps) + shrink p   (Kingma & Ba 2015) */
void ATT_REF(adam)(const att_adam_scalars *s, real *p, real *m, real *v, const real *g, int64_t n)
{
    real b1 = (real)s->beta1, c1 = (real)(1 - s->beta1), b2 = (real)s->beta2, c2 = (real)(1 - s->beta2);
    for (int64_t i = 0; i < n; i++) {
        real gi = g[i] * (real)s->gscale;
        m[i] = b1 * m[i] + c1 * gi;
        v[i] = b2 * v[i] + c2 * gi * gi;
        p[i] -= (real)s->rate * m[i] / ((real)s->root * sqrt(v[i]) + (real)s->eps) + (real)s->shrink * p[i];
    }
}
