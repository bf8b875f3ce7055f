/* The reference's row kernels (kernel/ref/elementwise.c, rows.c: the formulas are there) on vectors. Every loop body is
 * a function of the number n of lanes that count: VF_LANES, or fewer at the end of the row. */
#include <math.h>

#include "kernel/cpu/activation.h"
#include "kernel/cpu/philox.h"
#include "kernel/tables.h"

/* ---- elementwise ---- */

VF_INLINE void axpby_lanes(float *y, vf alpha, const float *x, vf beta, int64_t n)
{
    vf_store_some(y, vf_fma(alpha, vf_load_some(x, n), vf_mul(beta, vf_load_some(y, n))), n);
}

VF_INLINE void scale_lanes(float *y, vf alpha, const float *x, int64_t n)
{
    vf_store_some(y, vf_mul(alpha, vf_load_some(x, n)), n);
}

static void axpby(float *y, float alpha, const float *x, float beta, int64_t n)
{
    vf a = vf_set1(alpha), b = vf_set1(beta);
    int64_t i = 0;
    if (beta == 0.0f) {
        for (; i + VF_LANES <= n; i += VF_LANES) scale_lanes(y + i, a, x + i, VF_LANES);
        if (i < n) scale_lanes(y + i, a, x + i, n - i);
    } else {
        for (; i + VF_LANES <= n; i += VF_LANES) axpby_lanes(y + i, a, x + i, b, VF_LANES);
        if (i < n) axpby_lanes(y + i, a, x + i, b, n - i);
    }
}

static void add(float *y, const float *a, const float *b, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) vf_store(y + i, vf_add(vf_load(a + i), vf_load(b + i)));
    for (; i < n; i++) y[i] = a[i] + b[i];
}

VF_INLINE void multiply_lanes(float *y, const float *a, const float *b, const int accumulate, int64_t n)
{
    vf va = vf_load_some(a, n), vb = vf_load_some(b, n);
    vf_store_some(y, accumulate ? vf_fma(va, vb, vf_load_some(y, n)) : vf_mul(va, vb), n);
}

static void multiply(float *y, const float *a, const float *b, int accumulate, int64_t n)
{
    int64_t i = 0;
    if (accumulate) {
        for (; i + VF_LANES <= n; i += VF_LANES) multiply_lanes(y + i, a + i, b + i, 1, VF_LANES);
        if (i < n) multiply_lanes(y + i, a + i, b + i, 1, n - i);
    } else {
        for (; i + VF_LANES <= n; i += VF_LANES) multiply_lanes(y + i, a + i, b + i, 0, VF_LANES);
        if (i < n) multiply_lanes(y + i, a + i, b + i, 0, n - i);
    }
}

static void exponential(float *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) vf_store(y + i, vf_exp(vf_load(x + i)));
    if (i < n) vf_store_n(y + i, vf_exp(vf_load_n(x + i, n - i)), n - i);
}

VF_INLINE void activate_all(const att_activation act, float *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) vf_store(y + i, activate(vf_load(x + i), act));
    if (i < n) vf_store_n(y + i, activate(vf_load_n(x + i, n - i), act), n - i);
}

static void activation(att_activation act, float *y, const float *x, int64_t n)
{
    switch (act) {
    case ATT_ACT_NONE: activate_all(ATT_ACT_NONE, y, x, n); break;
    case ATT_ACT_RELU: activate_all(ATT_ACT_RELU, y, x, n); break;
    case ATT_ACT_TANH: activate_all(ATT_ACT_TANH, y, x, n); break;
    case ATT_ACT_SIGMOID: activate_all(ATT_ACT_SIGMOID, y, x, n); break;
    case ATT_ACT_GELU: activate_all(ATT_ACT_GELU, y, x, n); break;
    case ATT_ACT_GELU_TANH: activate_all(ATT_ACT_GELU_TANH, y, x, n); break;
    case ATT_ACT_SILU: activate_all(ATT_ACT_SILU, y, x, n); break;
    }
}

/* act'(x), from u = y (RELU, TANH, SIGMOID) or u = x (the others). */
VF_INLINE vf slope(vf u, const att_activation act)
{
    const vf one = vf_set1(1.0f);
    switch (act) {
    case ATT_ACT_RELU: return vf_select(vf_lt(vf_zero(), u), one, vf_zero());
    case ATT_ACT_TANH: return vf_fnma(u, u, one);
    case ATT_ACT_SIGMOID: return vf_fnma(u, u, u);
    case ATT_ACT_GELU: {
        vf density = vf_mul(vf_set1(0.39894228f), vf_exp(vf_mul(vf_mul(u, u), vf_set1(-0.5f))));
        return vf_fma(u, density, gaussian(u));
    }
    case ATT_ACT_GELU_TANH: { /* x s with s = sigmoid(2 a(x)):  s + 2 x s (1 - s) a'(x) */
        vf a = gelu_argument(u), s = vf_sigmoid(vf_add(a, a));
        vf inner = vf_mul(vf_set1(1.5957691f), vf_fma(vf_set1(0.134145f), vf_mul(u, u), one));
        return vf_fma(vf_mul(u, inner), vf_fnma(s, s, s), s);
    }
    case ATT_ACT_SILU: {
        vf s = vf_sigmoid(u);
        return vf_fma(u, vf_fnma(s, s, s), s);
    }
    default: return one;
    }
}

VF_INLINE void slope_lanes(const att_activation act, float *dx, const float *dy, const float *u, int accumulate,
                           int64_t n)
{
    vf d = act == ATT_ACT_NONE ? vf_set1(1.0f) : slope(vf_load_some(u, n), act), g = vf_load_some(dy, n);
    vf_store_some(dx, accumulate ? vf_fma(g, d, vf_load_some(dx, n)) : vf_mul(g, d), n);
}

VF_INLINE void slope_all(const att_activation act, float *dx, const float *dy, const float *u, int accumulate,
                         int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) slope_lanes(act, dx + i, dy + i, u + i, accumulate, VF_LANES);
    if (i < n) slope_lanes(act, dx + i, dy + i, u + i, accumulate, n - i);
}

static void activation_bwd(att_activation act, float *dx, const float *dy, const float *y, const float *x,
                           int accumulate, int64_t n)
{
    switch (act) {
    case ATT_ACT_NONE: axpby(dx, 1.0f, dy, accumulate ? 1.0f : 0.0f, n); break;
    case ATT_ACT_RELU: slope_all(ATT_ACT_RELU, dx, dy, y, accumulate, n); break;
    case ATT_ACT_TANH: slope_all(ATT_ACT_TANH, dx, dy, y, accumulate, n); break;
    case ATT_ACT_SIGMOID: slope_all(ATT_ACT_SIGMOID, dx, dy, y, accumulate, n); break;
    case ATT_ACT_GELU: slope_all(ATT_ACT_GELU, dx, dy, x, accumulate, n); break;
    case ATT_ACT_GELU_TANH: slope_all(ATT_ACT_GELU_TANH, dx, dy, x, accumulate, n); break;
    case ATT_ACT_SILU: slope_all(ATT_ACT_SILU, dx, dy, x, accumulate, n); break;
    }
}

/* ---- dropout ---- */

static void dropout(float *y, const float *x, double p, uint64_t seed, uint64_t stream, uint64_t index, int accumulate,
                    int64_t n)
{
    const uint64_t threshold = (uint64_t)ceil(p * 0x1p32);
    const float scale = (float)(1.0 / (1.0 - p));
    if (threshold == 0) {
        axpby(y, 1.0f, x, accumulate ? 1.0f : 0.0f, n);
        return;
    }
    const uint32_t last_dropped = (uint32_t)(threshold - 1);
    uint32_t words[PHILOX_WORDS];
    for (int64_t i = 0; i < n;) {
        uint64_t at = index + (uint64_t)i;
        int64_t skip = (int64_t)(at % 4), m = PHILOX_WORDS - skip < n - i ? PHILOX_WORDS - skip : n - i;
        const uint32_t *draw = words + skip;
        philox_words(seed, stream, at / 4, words);
        if (accumulate)
            for (int64_t j = 0; j < m; j++) y[i + j] += draw[j] > last_dropped ? x[i + j] * scale : 0.0f;
        else
            for (int64_t j = 0; j < m; j++) y[i + j] = draw[j] > last_dropped ? x[i + j] * scale : 0.0f;
        i += m;
    }
}

/* ---- rows ---- */

#define CHAINS 16 /* independent sums: enough to fill any vector unit with doubles */

static void sums(const float *x, int64_t n, double *sum, double *squares)
{
    double s[CHAINS] = {0}, q[CHAINS] = {0};
    int64_t i = 0;
    for (; i + CHAINS <= n; i += CHAINS)
        for (int64_t j = 0; j < CHAINS; j++) {
            double a = (double)x[i + j];
            s[j] += a;
            q[j] += a * a;
        }
    for (int64_t j = 0; i < n; i++, j++) {
        s[j] += (double)x[i];
        q[j] += (double)x[i] * (double)x[i];
    }
    *sum = *squares = 0.0;
    for (int64_t j = 0; j < CHAINS; j++) {
        *sum += s[j];
        *squares += q[j];
    }
}

/* y += `rows` rows of x, in order: so many streams side by side, each read from its start to its end. */
VF_INLINE void sum_rows_of(float *y, const float *x, int64_t x_row, const int rows, int64_t n)
{
    int64_t j = 0;
    for (; j + VF_LANES <= n; j += VF_LANES) {
        vf sum = vf_load(y + j);
#pragma GCC unroll 4
        for (int m = 0; m < rows; m++) sum = vf_add(sum, vf_load(x + m * x_row + j));
        vf_store(y + j, sum);
    }
    if (j == n) return;
    vf sum = vf_load_n(y + j, n - j);
    for (int m = 0; m < rows; m++) sum = vf_add(sum, vf_load_n(x + m * x_row + j, n - j));
    vf_store_n(y + j, sum, n - j);
}

static void sum_rows(float *y, const float *x, int64_t x_row, int64_t rows, int64_t n)
{
    int64_t m = 0;
    for (; m + 4 <= rows; m += 4) sum_rows_of(y, x + m * x_row, x_row, 4, n);
    for (; m < rows; m++) sum_rows_of(y, x + m * x_row, x_row, 1, n);
}

/* The largest that is not NaN; -inf without any. */
static float largest(const float *x, int64_t n)
{
    vf m0 = vf_set1(-INFINITY), m1 = m0;
    int64_t i = 0;
    for (; i + 2 * VF_LANES <= n; i += 2 * VF_LANES) { /* a NaN in the first operand yields the second */
        m0 = vf_max(vf_load(x + i), m0);
        m1 = vf_max(vf_load(x + i + VF_LANES), m1);
    }
    float max = vf_hmax(vf_max(m0, m1));
    for (; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

VF_INLINE vf exp_lanes(float *y, const float *x, vf max, int64_t n)
{
    vf e = vf_exp(vf_sub(vf_load_some(x, n), max));
    vf_store_some(y, e, n);
    return vf_keep_some(e, n);
}

static void softmax(float *y, const float *x, int64_t n)
{
    float top = largest(x, n);
    vf max = vf_set1(top == -INFINITY ? 0.0f : top), sums_of = vf_zero();
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) sums_of = vf_add(sums_of, exp_lanes(y + i, x + i, max, VF_LANES));
    if (i < n) sums_of = vf_add(sums_of, exp_lanes(y + i, x + i, max, n - i));
    float sum = vf_sum(sums_of);
    axpby(y, sum == 0.0f ? 0.0f : 1.0f / sum, y, 0.0f, n);
}

static float dot(const float *x, const float *y, int64_t n)
{
    vf d0 = vf_zero(), d1 = d0;
    int64_t i = 0;
    for (; i + 2 * VF_LANES <= n; i += 2 * VF_LANES) {
        d0 = vf_fma(vf_load(x + i), vf_load(y + i), d0);
        d1 = vf_fma(vf_load(x + i + VF_LANES), vf_load(y + i + VF_LANES), d1);
    }
    for (; i < n; i += VF_LANES) d0 = vf_fma(vf_load_some(x + i, n - i), vf_load_some(y + i, n - i), d0);
    return vf_sum(vf_add(d0, d1));
}

VF_INLINE void softmax_bwd_lanes(float *dx, const float *dy, const float *y, vf d, int64_t n)
{
    vf g = vf_sub(vf_load_some(dy, n), d);
    vf_store_some(dx, vf_fma(vf_load_some(y, n), g, vf_load_some(dx, n)), n);
}

static void softmax_bwd(float *dx, const float *dy, const float *y, int64_t n)
{
    vf d = vf_set1(dot(y, dy, n));
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) softmax_bwd_lanes(dx + i, dy + i, y + i, d, VF_LANES);
    if (i < n) softmax_bwd_lanes(dx + i, dy + i, y + i, d, n - i);
}

/* ---- layer norm ---- */

static float sum_of(const float *x, int64_t n)
{
    vf s0 = vf_zero(), s1 = s0;
    int64_t i = 0;
    for (; i + 2 * VF_LANES <= n; i += 2 * VF_LANES) {
        s0 = vf_add(s0, vf_load(x + i));
        s1 = vf_add(s1, vf_load(x + i + VF_LANES));
    }
    for (; i < n; i += VF_LANES) s0 = vf_add(s0, vf_load_some(x + i, n - i));
    return vf_sum(vf_add(s0, s1));
}

static float deviations(const float *x, float mean, int64_t n)
{
    vf s0 = vf_zero(), s1 = s0, mu = vf_set1(mean);
    int64_t i = 0;
    for (; i + 2 * VF_LANES <= n; i += 2 * VF_LANES) {
        vf a = vf_sub(vf_load(x + i), mu), b = vf_sub(vf_load(x + i + VF_LANES), mu);
        s0 = vf_fma(a, a, s0);
        s1 = vf_fma(b, b, s1);
    }
    for (; i < n; i += VF_LANES) {
        vf a = vf_keep_some(vf_sub(vf_load_some(x + i, n - i), mu), n - i);
        s0 = vf_fma(a, a, s0);
    }
    return vf_sum(vf_add(s0, s1));
}

VF_INLINE void normalise_lanes(float *y, const float *x, const float *gain, const float *bias, vf mu, vf r, int64_t n)
{
    vf xh = vf_mul(vf_sub(vf_load_some(x, n), mu), r);
    vf_store_some(y, vf_fma(xh, vf_load_some(gain, n), vf_load_some(bias, n)), n);
}

static void layer_norm(float *y, float *mean, float *rstd, const float *x, const float *gain, const float *bias,
                       double eps, int64_t n)
{
    *mean = sum_of(x, n) / (float)n;
    *rstd = 1.0f / sqrtf(deviations(x, *mean, n) / (float)n + (float)eps);
    vf mu = vf_set1(*mean), r = vf_set1(*rstd);
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) normalise_lanes(y + i, x + i, gain + i, bias + i, mu, r, VF_LANES);
    if (i < n) normalise_lanes(y + i, x + i, gain + i, bias + i, mu, r, n - i);
}

/* g and xh of some lanes, both 0 where no lane counts because dy is. */
VF_INLINE vf gained(const float *dy, const float *gain, int64_t n)
{
    return vf_mul(vf_load_some(dy, n), vf_load_some(gain, n));
}

VF_INLINE void layer_norm_bwd_lanes(float *dx, const float *dy, const float *x, const float *gain, vf mu, vf r, vf sum,
                                    vf along, int accumulate, int64_t n)
{
    vf xh = vf_mul(vf_sub(vf_load_some(x, n), mu), r);
    vf d = vf_fnma(xh, along, vf_sub(gained(dy, gain, n), sum));
    vf_store_some(dx, accumulate ? vf_fma(r, d, vf_load_some(dx, n)) : vf_mul(r, d), n);
}

static void layer_norm_bwd(float *dx, const float *dy, const float *x, float mean, float rstd, const float *gain,
                           int accumulate, int64_t n)
{
    vf mu = vf_set1(mean), r = vf_set1(rstd), sum = vf_zero(), along = sum;
    for (int64_t i = 0; i < n; i += VF_LANES) {
        vf g = gained(dy + i, gain + i, n - i);
        sum = vf_add(sum, g);
        along = vf_fma(g, vf_mul(vf_sub(vf_load_some(x + i, n - i), mu), r), along);
    }
    vf mean_g = vf_set1(vf_sum(sum) / (float)n), mean_along = vf_set1(vf_sum(along) / (float)n);
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        layer_norm_bwd_lanes(dx + i, dy + i, x + i, gain + i, mu, r, mean_g, mean_along, accumulate, VF_LANES);
    if (i < n) layer_norm_bwd_lanes(dx + i, dy + i, x + i, gain + i, mu, r, mean_g, mean_along, accumulate, n - i);
}

static void layer_norm_bwd_gain(float *dgain, float *dbias, const float *dy, const float *x, float mean, float rstd,
                                int64_t n)
{
    vf mu = vf_set1(mean), r = vf_set1(rstd);
    for (int64_t i = 0; i < n; i += VF_LANES) {
        vf d = vf_load_some(dy + i, n - i), xh = vf_mul(vf_sub(vf_load_some(x + i, n - i), mu), r);
        if (dgain) vf_store_some(dgain + i, vf_fma(d, xh, vf_load_some(dgain + i, n - i)), n - i);
        if (dbias) vf_store_some(dbias + i, vf_add(d, vf_load_some(dbias + i, n - i)), n - i);
    }
}

/* ---- rotary positions ---- */

VF_INLINE void rotary_lanes(float *y, const float *x, const float *cosine, const float *sine, vf sign, int accumulate,
                            int64_t half, int64_t n)
{
    vf c = vf_load_some(cosine, n), s = vf_mul(sign, vf_load_some(sine, n));
    vf x0 = vf_load_some(x, n), x1 = vf_load_some(x + half, n);
    vf a = vf_fnma(x1, s, vf_mul(x0, c)), b = vf_fma(x0, s, vf_mul(x1, c));
    vf_store_some(y, accumulate ? vf_add(vf_load_some(y, n), a) : a, n);
    vf_store_some(y + half, accumulate ? vf_add(vf_load_some(y + half, n), b) : b, n);
}

static void rotary(float *y, const float *x, const float *cosine, const float *sine, float sign, int accumulate,
                   int64_t half)
{
    vf v = vf_set1(sign);
    int64_t d = 0;
    for (; d + VF_LANES <= half; d += VF_LANES)
        rotary_lanes(y + d, x + d, cosine + d, sine + d, v, accumulate, half, VF_LANES);
    if (d < half) rotary_lanes(y + d, x + d, cosine + d, sine + d, v, accumulate, half, half - d);
}

/* ---- cross-entropy ---- */

#define BLOCK 1024 /* logits read twice, the second time from the first-level cache */

VF_INLINE void logit_lanes(const float *x, vf max, vf *exps, vf *sum, int64_t n)
{
    vf a = vf_load_some(x, n);
    *exps = vf_add(*exps, vf_keep_some(vf_exp(vf_sub(a, max)), n));
    *sum = vf_add(*sum, a);
}

/* One pass over memory: every block is summed relative to the largest logit so far, and what was summed before is
 * scaled down when that grows (Milakov & Gimelshein 2018). */
static void logits(att_logit_row *row, const float *x, int64_t n)
{
    float max = -INFINITY;
    double exps = 0.0, sum = 0.0;
    for (int64_t lo = 0; lo < n; lo += BLOCK) {
        int64_t hi = lo + BLOCK < n ? lo + BLOCK : n, i = lo;
        float top = largest(x + lo, hi - lo);
        if (top > max) {
            exps = exps > 0.0 || exps != exps ? exps * exp((double)max - (double)top) : exps; /* 0 while max is -inf */
            max = top;
        }
        vf shift = vf_set1(max == -INFINITY ? 0.0f : max), block_exps = vf_zero(), block_sum = vf_zero();
        for (; i + VF_LANES <= hi; i += VF_LANES) logit_lanes(x + i, shift, &block_exps, &block_sum, VF_LANES);
        if (i < hi) logit_lanes(x + i, shift, &block_exps, &block_sum, hi - i);
        exps += (double)vf_sum(block_exps);
        sum += (double)vf_sum(block_sum);
    }
    double shift = max == -INFINITY ? 0.0 : (double)max;
    *row = (att_logit_row){.max = (double)max, .lse = shift + log(exps), .sum = sum};
}

VF_INLINE void logits_bwd_lanes(float *x, vf lse, vf scale, vf smooth, int64_t n)
{
    vf_store_some(x, vf_mul(scale, vf_sub(vf_exp(vf_sub(vf_load_some(x, n), lse)), smooth)), n);
}

static void logits_bwd(float *x, float lse, float scale, float smooth, int64_t n)
{
    vf l = vf_set1(lse), s = vf_set1(scale), m = vf_set1(smooth);
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) logits_bwd_lanes(x + i, l, s, m, VF_LANES);
    if (i < n) logits_bwd_lanes(x + i, l, s, m, n - i);
}

/* ---- Adam ---- */

typedef struct adam_lanes {
    vf b1, c1, b2, c2, gscale, rate, root, eps, shrink;
} adam_lanes;

VF_INLINE void adam_step(const adam_lanes *s, float *p, float *m, float *v, const float *g, int64_t n)
{
    vf gi = vf_mul(vf_load_some(g, n), s->gscale), old = vf_load_some(p, n);
    vf mi = vf_fma(s->b1, vf_load_some(m, n), vf_mul(s->c1, gi));
    vf vi = vf_fma(s->b2, vf_load_some(v, n), vf_mul(vf_mul(s->c2, gi), gi));
    vf step = vf_div(vf_mul(s->rate, mi), vf_fma(s->root, vf_sqrt(vi), s->eps));
    vf_store_some(m, mi, n);
    vf_store_some(v, vi, n);
    vf_store_some(p, vf_sub(old, vf_fma(s->shrink, old, step)), n);
}

static void adam(const att_adam_scalars *s, float *p, float *m, float *v, const float *g, int64_t n)
{
    const adam_lanes lanes = {.b1 = vf_set1((float)s->beta1),
                              .c1 = vf_set1((float)(1.0 - s->beta1)),
                              .b2 = vf_set1((float)s->beta2),
                              .c2 = vf_set1((float)(1.0 - s->beta2)),
                              .gscale = vf_set1((float)s->gscale),
                              .rate = vf_set1((float)s->rate),
                              .root = vf_set1((float)s->root),
                              .eps = vf_set1((float)s->eps),
                              .shrink = vf_set1((float)s->shrink)};
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) adam_step(&lanes, p + i, m + i, v + i, g + i, VF_LANES);
    if (i < n) adam_step(&lanes, p + i, m + i, v + i, g + i, n - i);
}

void ATT_VARIANT(att_register_rows)(att_rows_kernels *t);
void ATT_VARIANT(att_register_rows)(att_rows_kernels *t)
{
    *t = (att_rows_kernels){
        .axpby = axpby,
        .add = add,
        .multiply = multiply,
        .exp = exponential,
        .activation = activation,
        .activation_bwd = activation_bwd,
        .dropout = dropout,
        .sums = sums,
        .sum_rows = sum_rows,
        .softmax = softmax,
        .softmax_bwd = softmax_bwd,
        .layer_norm = layer_norm,
        .layer_norm_bwd = layer_norm_bwd,
        .layer_norm_bwd_gain = layer_norm_bwd_gain,
        .rotary = rotary,
        .logits = logits,
        .logits_bwd = logits_bwd,
        .adam = adam,
    };
}
