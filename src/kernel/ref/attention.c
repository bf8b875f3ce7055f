/* Attention, row by row: scores e[j], weights w[j], then the output; and the same recomputed for the gradients. */
#include <attend/random.h>

#include "kernel/ref/real.h"
#include "kernel/ref/attention.h"

typedef struct row { /* one query: the coordinates that everything below needs */
    const att_attention_problem *p;
    int64_t b, h, hkv, i;
} row;

static real *at(const att_grid *g, int64_t b, int64_t h, int64_t t)
{
    return (real *)g->data + b * g->b + h * g->h + t * g->t;
}

static row row_of(const att_attention_problem *p, int64_t b, int64_t h, int64_t i)
{
    return (row){p, b, h, h / (p->Hq / p->Hkv), i};
}

static bool masked_out(const row *r, int64_t j)
{
    const att_grid *m = &r->p->mask, *bias = &r->p->bias;
    if (m->data && ((const uint8_t *)m->data)[r->b * m->b + r->h * m->h + r->i * m->t + j * m->d] == 0) return true;
    return bias->data && at(bias, r->b, r->h, r->i)[j * bias->d] == (real)-INFINITY;
}

static real score_weight(const att_attention_problem *p, int64_t d)
{
    return p->score_w.data ? ((const real *)p->score_w.data)[d * p->score_w.d] : (real)1;
}

/* scale * score(q_i, k_j), before softcap and bias. */
static real raw_score(const row *r, int64_t j)
{
    const att_attention_problem *p = r->p;
    if (p->desc.score == ATT_SCORE_NONE) return 0;
    const real *q = at(&p->q, r->b, r->h, r->i), *k = at(&p->k, r->b, r->hkv, j);
    real sum = 0;
    if (p->desc.score == ATT_SCORE_DOT)
        for (int64_t d = 0; d < p->D; d++) sum += q[d] * k[d];
    else
        for (int64_t d = 0; d < p->D; d++) sum += score_weight(p, d) * (real)tanh(q[d] + k[d]);
    return (real)p->scale * sum;
}

static real capped(const row *r, real e)
{
    real c = (real)r->p->desc.softcap;
    return c > 0 ? c * (real)tanh(e / c) : e;
}

/* e[j] for every key; -inf for the hidden ones, whose keys are not read. */
static void score_row(const row *r, real *e)
{
    const att_grid *bias = &r->p->bias;
    int64_t lo, hi;
    att_attention_range(r->p, r->b, r->i, &lo, &hi);
    for (int64_t j = 0; j < r->p->Tk; j++) {
        if (j < lo || j >= hi || masked_out(r, j)) {
            e[j] = (real)-INFINITY;
            continue;
        }
        e[j] = capped(r, raw_score(r, j));
        if (bias->data) e[j] += at(bias, r->b, r->h, r->i)[j * bias->d];
    }
}

/* The first largest score; -1 when every key is hidden. */
static int64_t first_largest(const real *e, int64_t n)
{
    int64_t best = -1;
    for (int64_t j = 0; j < n; j++)
        if (e[j] != (real)-INFINITY && (best < 0 || e[j] > e[best])) best = j;
    return best;
}

/* log sum_j exp e[j]; -inf when every key is hidden. */
static real log_sum_exp(const real *e, int64_t n)
{
    int64_t best = first_largest(e, n);
    if (best < 0) return (real)-INFINITY;
    real sum = 0;
    for (int64_t j = 0; j < n; j++) sum += (real)exp(e[j] - e[best]);
    return e[best] + (real)log(sum);
}

/* w = align(e). lse as above. */
static void weight_row(const att_attention_problem *p, real *w, const real *e, real lse)
{
    int64_t best = first_largest(e, p->Tk);
    for (int64_t j = 0; j < p->Tk; j++) {
        if (best < 0)
            w[j] = p->desc.masked_rows == ATT_MASKED_UNIFORM ? (real)1 / (real)p->Tk : (real)0;
        else if (p->desc.align == ATT_ALIGN_ARGMAX)
            w[j] = (real)(j == best);
        else
            w[j] = (real)exp(e[j] - lse);
    }
}

/* 0 or 1/(1-p): what dropout multiplies weight (b,h,i,j) by. */
static real keep(const row *r, int64_t j)
{
    double drop = (double)r->p->desc.dropout;
    if (drop == 0) return 1;
    uint32_t draw[4];
    uint64_t stream = (uint64_t)(r->b * r->p->Hq + r->h) << 32 | (uint64_t)r->i;
    att_philox(r->p->desc.seed, stream, (uint64_t)(j / 4), draw);
    return (double)draw[j % 4] >= drop * 4294967296.0 ? (real)(1 / (1 - drop)) : (real)0;
}

static void forward_row(const row *r, real *e, real *w)
{
    const att_attention_problem *p = r->p;
    real *o = at(&p->o, r->b, r->h, r->i);
    score_row(r, e);
    real lse = log_sum_exp(e, p->Tk);
    weight_row(p, w, e, lse);
    if (p->lse.data) *at(&p->lse, r->b, r->h, r->i) = lse;
    if (p->weights.data)
        for (int64_t j = 0; j < p->Tk; j++) at(&p->weights, r->b, r->h, r->i)[j] = w[j];
    for (int64_t d = 0; d < p->Dv; d++) o[d] = 0;
    for (int64_t j = 0; j < p->Tk; j++) {
        real kept = w[j] * keep(r, j);
        if (w[j] == 0 || kept == 0) continue; /* hidden or dropped: v[j] may be NaN */
        for (int64_t d = 0; d < p->Dv; d++) o[d] += kept * at(&p->v, r->b, r->hkv, j)[d];
    }
}

void ATT_REF(attention_forward)(const att_attention_problem *p, int64_t b, int64_t h, int64_t i_lo, int64_t i_hi,
                                real *scratch)
{
    for (int64_t i = i_lo; i < i_hi; i++) {
        row r = row_of(p, b, h, i);
        forward_row(&r, scratch, scratch + p->Tk);
    }
}

/* forward: s = scale score(q_i, k_j). From ds: DOT gives dq_i += ds scale k_j, dk_j += ds scale q_i; ADDITIVE with
 * t_d = tanh(q_id + k_jd) gives dw_d += ds scale t_d and dq_id, dk_jd += ds scale w_d (1 - t_d^2). */
static void score_backward(const row *r, int64_t j, real ds)
{
    const att_attention_problem *p = r->p;
    if (p->desc.score == ATT_SCORE_NONE) return;
    const real *q = at(&p->q, r->b, r->h, r->i), *k = at(&p->k, r->b, r->hkv, j);
    real *dq = p->dq.data ? at(&p->dq, r->b, r->h, r->i) : NULL, *dk = p->dk.data ? at(&p->dk, r->b, r->hkv, j) : NULL;
    real g = ds * (real)p->scale;
    for (int64_t d = 0; d < p->D; d++) {
        real to_q = g * k[d], to_k = g * q[d];
        if (p->desc.score == ATT_SCORE_ADDITIVE) {
            real t = (real)tanh(q[d] + k[d]);
            to_q = to_k = g * score_weight(p, d) * (1 - t * t);
            if (p->dscore_w.data) ((real *)p->dscore_w.data)[d * p->dscore_w.d] += g * t;
        }
        if (dq) dq[d] += to_q;
        if (dk) dk[d] += to_k;
    }
}

/* forward: o = sum_j w_j keep_j v_j, w = softmax(e). With do the gradient of o and delta = do . o,
 *   dv_j += w_j keep_j do,   de_j = w_j (keep_j do . v_j - delta). */
static void backward_row(const row *r, real *e, real *w, real *de)
{
    const att_attention_problem *p = r->p;
    const real *d_o = at(&p->d_o, r->b, r->h, r->i), *o = at(&p->o, r->b, r->h, r->i);
    real lse = *at(&p->lse, r->b, r->h, r->i), delta = 0;
    score_row(r, e);
    weight_row(p, w, e, lse);
    for (int64_t d = 0; d < p->Dv; d++) delta += d_o[d] * o[d];
    bool soft = p->desc.align == ATT_ALIGN_SOFTMAX && lse != (real)-INFINITY;
    for (int64_t j = 0; j < p->Tk; j++) {
        de[j] = 0;
        if (w[j] == 0) continue;
        real kept = keep(r, j), dot = 0;
        if (kept != 0) {
            const real *v = at(&p->v, r->b, r->hkv, j);
            for (int64_t d = 0; d < p->Dv; d++) dot += d_o[d] * v[d];
            if (p->dv.data)
                for (int64_t d = 0; d < p->Dv; d++) at(&p->dv, r->b, r->hkv, j)[d] += w[j] * kept * d_o[d];
        }
        if (soft) de[j] = w[j] * (kept * dot - delta);
    }
}

/* forward: e = capped(s) + bias, capped(s) = c tanh(s/c): ds = de (1 - tanh(s/c)^2). */
static void backward_scores(const row *r, const real *de)
{
    const att_attention_problem *p = r->p;
    real c = (real)p->desc.softcap;
    for (int64_t j = 0; j < p->Tk; j++) {
        if (de[j] == 0) continue;
        real ds = de[j];
        if (p->dbias.data) at(&p->dbias, r->b, r->h, r->i)[j * p->dbias.d] += ds;
        if (c > 0) {
            real t = (real)tanh(raw_score(r, j) / c);
            ds *= 1 - t * t;
        }
        score_backward(r, j, ds);
    }
}

void ATT_REF(attention_backward)(const att_attention_problem *p, real *scratch)
{
    for (int64_t b = 0; b < p->B; b++)
        for (int64_t h = 0; h < p->Hq; h++)
            for (int64_t i = 0; i < p->Tq; i++) {
                row r = row_of(p, b, h, i);
                backward_row(&r, scratch, scratch + p->Tk, scratch + 2 * p->Tk);
                backward_scores(&r, scratch + 2 * p->Tk);
            }
}
