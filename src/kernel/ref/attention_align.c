/* How a row z of scores becomes weights. */
#include <stdlib.h>

#include <attend/random.h>

#include "kernel/ref/attention_row.h"

int64_t ATT_REF(attention_largest)(const real *x, int64_t n)
{
    int64_t best = -1;
    for (int64_t j = 0; j < n; j++)
        if (x[j] != (real)-INFINITY && (best < 0 || x[j] > x[best])) best = j;
    return best;
}

/* ---- the sparse ones: a threshold found by sorting ---- */

static int falling(const void *a, const void *b)
{
    real x = *(const real *)a, y = *(const real *)b;
    return (x < y) - (x > y);
}

/* Into spare, falling: factor (z_j - top) for those that can get a weight, which all lie within 1 of the top. */
static int64_t candidates(const att_ref_row *r, real top, real factor)
{
    int64_t n = 0;
    for (int64_t j = 0; j < r->p->Tk; j++)
        if (factor * (r->z[j] - top) > -1) r->spare[n++] = factor * (r->z[j] - top);
    qsort(r->spare, (size_t)n, sizeof(real), falling);
    return n;
}

/* tau with sum_j max(x_j - tau, 0) = 1, x falling: the last k that is still above the tau of the first k counts. */
static double sparsemax_tau(const real *x, int64_t n)
{
    double sum = 0, tau = -1; /* double: all weights have the error of the threshold */
    for (int64_t k = 1; k <= n; k++) {
        sum += (double)x[k - 1];
        if ((double)k * (double)x[k - 1] <= sum - 1) break;
        tau = (sum - 1) / (double)k;
    }
    return tau;
}

/* tau with sum_j max(x_j - tau, 0)^2 = 1: with the mean m and the sum of squared deviations d of the first k it is
 * m - sqrt((1 - d) / k)                                         (Peters, Niculae, Martins 2019, algorithm 2). */
static double entmax15_tau(const real *x, int64_t n)
{
    double mean = 0, deviations = 0, tau = -1;
    for (int64_t k = 1; k <= n; k++) {
        double step = (double)x[k - 1] - mean;
        mean += step / (double)k;
        deviations += step * ((double)x[k - 1] - mean);
        if (deviations > 1) break;
        double next = mean - sqrt((1 - deviations) / (double)k);
        if (next > (double)x[k - 1]) break;
        tau = next;
    }
    return tau;
}

/* factor (z_j - top) - tau is how far key j is above the threshold. */
typedef struct threshold {
    real top, factor, tau;
} threshold;

static threshold find_threshold(const att_ref_row *r, int64_t best)
{
    bool sparsemax = r->p->desc.align == ATT_ALIGN_SPARSEMAX;
    threshold t = {.top = r->z[best], .factor = sparsemax ? (real)1 : (real)0.5};
    int64_t n = candidates(r, t.top, t.factor);
    t.tau = (real)(sparsemax ? sparsemax_tau(r->spare, n) : entmax15_tau(r->spare, n));
    return t;
}

static void sparse_align(const att_ref_row *r, int64_t best)
{
    threshold t = find_threshold(r, best);
    for (int64_t j = 0; j < r->p->Tk; j++) {
        real above = t.factor * (r->z[j] - t.top) - t.tau;
        r->a[j] = above <= 0 ? (real)0 : r->p->desc.align == ATT_ALIGN_SPARSEMAX ? above : above * above;
    }
}

/* ---- softmax and its draws ---- */

static bool is_sparse(const att_ref_row *r)
{
    return r->p->desc.align == ATT_ALIGN_SPARSEMAX || r->p->desc.align == ATT_ALIGN_ENTMAX15;
}

static bool is_hard(const att_ref_row *r)
{
    return r->p->desc.align == ATT_ALIGN_ARGMAX || r->p->desc.align == ATT_ALIGN_SAMPLE;
}

/* The sink's score, -inf where there is none. */
static real sink_of(const att_ref_row *r)
{
    const att_grid *sinks = &r->p->sinks;
    return sinks->data ? *att_ref_at(sinks, 0, r->h, 0) / (real)r->p->temperature : (real)-INFINITY;
}

/* log(exp(sink) + sum_j exp z_j) */
static real log_sum_exp(const att_ref_row *r, int64_t best)
{
    real sink = sink_of(r), top = best >= 0 && !(sink > r->z[best]) ? r->z[best] : sink;
    if (top == (real)-INFINITY) return top;
    real sum = sink == (real)-INFINITY ? (real)0 : (real)exp(sink - top);
    for (int64_t j = 0; j < r->p->Tk; j++)
        if (r->z[j] != (real)-INFINITY) sum += (real)exp(r->z[j] - top);
    return top + (real)log(sum);
}

real ATT_REF(attention_lse)(const att_ref_row *r)
{
    int64_t best = ATT_REF(attention_largest)(r->z, r->p->Tk);
    if (!is_sparse(r)) return log_sum_exp(r, best);
    if (best < 0) return (real)-INFINITY;
    threshold t = find_threshold(r, best);
    return t.factor * t.top + t.tau;
}

/* p = softmax(z), without a sink's share */
static void softmax(const att_ref_row *r, real *p, real lse)
{
    for (int64_t j = 0; j < r->p->Tk; j++) p[j] = r->z[j] == (real)-INFINITY ? (real)0 : (real)exp(r->z[j] - lse);
}

/* Key j with probability softmax(z)_j: the largest of z_j + G_j, G_j = -log(-log u_j) (Gumbel 1954; Maddison, Tarlow,
 * Minka 2014). Each key has its own draw, so that any tiling chooses the same. The counter's top bit keeps these draws
 * apart from dropout's. */
static int64_t sample(const att_ref_row *r)
{
    uint64_t stream = (uint64_t)(r->b * r->p->Hq + r->h) << 32 | (uint64_t)r->i;
    int64_t best = -1;
    double top = 0;
    for (int64_t j = 0; j < r->p->Tk; j++) {
        uint32_t draw[4];
        if (r->z[j] == (real)-INFINITY) continue;
        att_philox(r->p->desc.seed, stream, (uint64_t)1 << 63 | (uint64_t)(j / 4), draw);
        double e = (double)r->z[j] - log(-log(((double)draw[j % 4] + 0.5) * 0x1p-32));
        if (best >= 0 && !(e > top)) continue;
        best = j;
        top = e;
    }
    return best;
}

/* exp(-(j - centre_i)^2 / (2 sigma^2)); 1 without GAUSS */
static real gauss(const att_ref_row *r, int64_t j)
{
    if (r->p->desc.window != ATT_WINDOW_GAUSS) return 1;
    real off = (real)j - *att_ref_at(&r->p->centre, r->b, r->h, r->i), sigma = (real)r->p->desc.sigma;
    return (real)exp(-off * off / (2 * sigma * sigma));
}

void ATT_REF(attention_align)(const att_ref_row *r, real lse)
{
    const att_attention_problem *p = r->p;
    int64_t best = ATT_REF(attention_largest)(r->z, p->Tk);
    if (best < 0) {
        real each = p->desc.masked_rows == ATT_MASKED_UNIFORM ? (real)1 / (real)p->Tk : (real)0;
        for (int64_t j = 0; j < p->Tk; j++) r->a[j] = r->w[j] = each;
        return;
    }
    if (is_hard(r)) {
        int64_t chosen = p->desc.align == ATT_ALIGN_SAMPLE ? sample(r) : best;
        for (int64_t j = 0; j < p->Tk; j++) r->a[j] = (real)(j == chosen);
    } else if (is_sparse(r)) {
        sparse_align(r, best);
    } else {
        softmax(r, r->a, lse);
    }
    for (int64_t j = 0; j < p->Tk; j++) r->w[j] = r->a[j] == 0 ? (real)0 : r->a[j] * gauss(r, j);
}

/* ---- backward ---- */

/* forward: w_j = a_j exp(-(j - c)^2 / (2 sigma^2)):  dc += sum_j dw_j w_j (j - c) / sigma^2,  da_j = dw_j w_j / a_j. */
static void gauss_bwd(const att_ref_row *r)
{
    const att_attention_problem *p = r->p;
    if (p->desc.window != ATT_WINDOW_GAUSS) return;
    real centre = *att_ref_at(&p->centre, r->b, r->h, r->i), sigma = (real)p->desc.sigma, sum = 0;
    for (int64_t j = 0; j < p->Tk; j++) {
        if (r->w[j] != 0) sum += r->g[j] * r->w[j] * ((real)j - centre);
        if (r->g[j] != 0) r->g[j] *= gauss(r, j);
    }
    if (p->dcentre.data) *att_ref_at(&p->dcentre, r->b, r->h, r->i) += sum / (sigma * sigma);
}

/* Softmax, forward: p = softmax(z).  dz_j = p_j (dp_j - sum_m p_m dp_m); the sink's share is -p_sink of that sum. */
static void softmax_bwd(const att_ref_row *r, const real *prob, real lse)
{
    const att_attention_problem *p = r->p;
    real mean = 0, sink = sink_of(r);
    for (int64_t j = 0; j < p->Tk; j++) mean += prob[j] == 0 ? (real)0 : prob[j] * r->g[j];
    for (int64_t j = 0; j < p->Tk; j++) r->g[j] = prob[j] == 0 ? (real)0 : prob[j] * (r->g[j] - mean);
    if (p->dsinks.data && sink != (real)-INFINITY)
        *att_ref_at(&p->dsinks, 0, r->h, 0) -= (real)exp(sink - lse) * mean / (real)p->temperature;
}

/* forward: a_j = max(z_j - tau, 0), or max(z_j/2 - tau, 0)^2. With s_j = 1 on the support, or sqrt(a_j):
 * dz_j = s_j (da_j - sum_m s_m da_m / sum_m s_m). */
static void sparse_bwd(const att_ref_row *r)
{
    bool sparsemax = r->p->desc.align == ATT_ALIGN_SPARSEMAX;
    real total = 0, sum = 0;
    for (int64_t j = 0; j < r->p->Tk; j++) {
        real s = sparsemax ? (real)(r->a[j] > 0) : (real)sqrt(r->a[j]);
        r->spare[j] = s;
        total += s;
        sum += s == 0 ? (real)0 : s * r->g[j];
    }
    for (int64_t j = 0; j < r->p->Tk; j++) r->g[j] = r->spare[j] == 0 ? (real)0 : r->spare[j] * (r->g[j] - sum / total);
}

/* d log p(chosen) / dz_j = [j = chosen] - p_j,  dH(p) / dz_j = - p_j (log p_j + H)               (Xu et al. 2015, eq.
 * 12)
 */
static void reinforce_bwd(const att_ref_row *r, const real *prob, real lse)
{
    const att_attention_problem *p = r->p;
    real to_log = *att_ref_at(&p->d_log_prob, r->b, r->h, r->i), entropy = 0;
    real to_entropy = p->d_entropy.data ? *att_ref_at(&p->d_entropy, r->b, r->h, r->i) : (real)0;
    for (int64_t j = 0; j < p->Tk; j++)
        if (prob[j] != 0) entropy -= prob[j] * (r->z[j] - lse);
    for (int64_t j = 0; j < p->Tk; j++) {
        r->g[j] = to_log * (r->a[j] - prob[j]);
        if (prob[j] != 0) r->g[j] -= to_entropy * prob[j] * (r->z[j] - lse + entropy);
    }
}

void ATT_REF(attention_align_bwd)(const att_ref_row *r, real lse)
{
    att_estimator estimator = r->p->desc.estimator;
    bool none = ATT_REF(attention_largest)(r->z, r->p->Tk) < 0;
    if (none || (is_hard(r) && estimator == ATT_ESTIMATOR_NONE)) {
        if (!none) gauss_bwd(r);
        for (int64_t j = 0; j < r->p->Tk; j++) r->g[j] = 0;
        return;
    }
    gauss_bwd(r);
    if (is_sparse(r)) {
        sparse_bwd(r);
    } else if (is_hard(r)) {
        softmax(r, r->spare, lse);
        if (estimator == ATT_ESTIMATOR_REINFORCE)
            reinforce_bwd(r, r->spare, lse);
        else
            softmax_bwd(r, r->spare, lse);
    } else {
        softmax_bwd(r, r->a, lse);
    }
}
