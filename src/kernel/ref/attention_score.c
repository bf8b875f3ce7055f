/* A row of scores: what each visible key is worth to the query, before the row is aligned. */
#include <stdlib.h>

#include "base/half.h"
#include "kernel/ref/attention_row.h"

/* ---- rows of q, k, v in whatever type they have ---- */

/* n elements at data + at: where they lie when they are `real`s, else converted into room, times `times`. */
static const real *load(real *room, const att_grid *g, att_dtype dtype, int64_t at, int64_t n, real times)
{
    const void *data = g->data;
    if (dtype == ATT_F32 || dtype == ATT_F64) return (const real *)data + at;
    for (int64_t d = 0; d < n; d++) {
        if (dtype == ATT_I8)
            room[d] = times * (real)((const int8_t *)data)[at + d];
        else if (dtype == ATT_BF16)
            room[d] = (real)att_float_of_bf16(((const uint16_t *)data)[at + d]);
        else
            room[d] = (real)att_float_of_f16(((const uint16_t *)data)[at + d]);
    }
    return room;
}

static const real *load_kv(const att_ref_row *r, real *room, const att_grid *g, const att_grid *scale, int64_t j,
                           int64_t n)
{
    int64_t at = r->b * g->b + r->hkv * g->h + j * g->t;
    real times =
        scale->data ? (real)((const float *)scale->data)[r->b * scale->b + r->hkv * scale->h + j * scale->t] : (real)1;
    return load(room, g, r->p->kv_dtype, at, n, times);
}

const real *ATT_REF(attention_query)(const att_ref_row *r)
{
    const att_grid *q = &r->p->q;
    if (!q->data) return NULL;
    return load(r->room_q, q, r->p->dtype, r->b * q->b + r->h * q->h + r->i * q->t, r->p->D, 1);
}

const real *ATT_REF(attention_key)(const att_ref_row *r, int64_t j)
{
    return load_kv(r, r->room_k, &r->p->k, &r->p->k_scale, j, r->p->D);
}

const real *ATT_REF(attention_value)(const att_ref_row *r, int64_t j)
{
    return load_kv(r, r->room_v, &r->p->v, &r->p->v_scale, j, r->p->Dv);
}

/* ---- which keys a query sees ---- */

static bool hidden_by_data(const att_ref_row *r, int64_t j)
{
    const att_grid *m = &r->p->mask, *bias = &r->p->bias;
    if (m->data && ((const uint8_t *)m->data)[r->b * m->b + r->h * m->h + r->i * m->t + j * m->d] == 0) return true;
    return bias->data && att_ref_at(bias, r->b, r->h, r->i)[j * bias->d] == (real)-INFINITY;
}

/* A centre that is NaN hides nothing, and so shows in the output. */
static bool outside_gauss(const att_ref_row *r, int64_t j)
{
    if (r->p->desc.window != ATT_WINDOW_GAUSS || r->p->desc.untruncated) return false;
    return (real)fabs((real)j - *att_ref_at(&r->p->centre, r->b, r->h, r->i)) > (real)r->p->desc.half_width;
}

/* y_j - x_i */
static int64_t distance(const att_ref_row *r, int64_t j)
{
    return att_key_position(r->p, r->b, j) - att_query_position(r->p, r->b, r->i);
}

/* z = 0 for the keys that the query sees, -inf for the others. */
static void find_visible(const att_ref_row *r)
{
    const att_attention_problem *p = r->p;
    int64_t lo, hi;
    att_attention_range(p, r->b, r->i, &lo, &hi);
    for (int64_t j = 0; j < p->Tk; j++) {
        bool shown = j >= lo && j < hi && att_window_shows(&p->desc, distance(r, j)) && att_blocks_show(p, r->i, j) &&
                     !outside_gauss(r, j) && !hidden_by_data(r, j);
        r->z[j] = shown ? (real)0 : (real)-INFINITY;
    }
}

/* ---- scores ---- */

static real score_weight(const att_attention_problem *p, int64_t d)
{
    return p->score_w.data ? ((const real *)p->score_w.data)[d * p->score_w.d] : (real)1;
}

static real score(const att_ref_row *r, const real *k)
{
    const att_attention_problem *p = r->p;
    real sum = 0;
    if (p->desc.score == ATT_SCORE_DOT)
        for (int64_t d = 0; d < p->D; d++) sum += r->q[d] * k[d];
    if (p->desc.score == ATT_SCORE_ADDITIVE)
        for (int64_t d = 0; d < p->D; d++) sum += score_weight(p, d) * (real)tanh(r->q[d] + k[d]);
    return sum;
}

/* One query and the keys j <= . < j + m for a custom score function, the keys copied side by side. */
static att_tile custom_tile(const att_ref_row *r, int64_t j, int64_t m)
{
    int64_t D = r->p->D;
    for (int64_t c = 0; c < m; c++) {
        const real *k = ATT_REF(attention_key)(r, j + c);
        for (int64_t d = 0; d < D; d++) r->tile[c * D + d] = k[d];
    }
    return (att_tile){.dtype = sizeof(real) == sizeof(double) ? ATT_F64 : ATT_F32,
                      .b = r->b,
                      .h = r->h,
                      .i0 = r->i,
                      .n = 1,
                      .j0 = j,
                      .m = m,
                      .D = D,
                      .q = r->q,
                      .k = r->tile,
                      .q_step = D,
                      .k_step = D,
                      .s_step = ATT_REF_TILE};
}

static int64_t tile_end(const att_ref_row *r, int64_t j)
{
    return r->p->Tk - j < ATT_REF_TILE ? r->p->Tk - j : ATT_REF_TILE;
}

static void custom_raw(const att_ref_row *r)
{
    const att_score_function *f = r->p->desc.function;
    for (int64_t j = 0; j < r->p->Tk; j += ATT_REF_TILE) {
        att_tile t = custom_tile(r, j, tile_end(r, j));
        f->forward(f->ctx, &t, r->s + j);
    }
}

void ATT_REF(attention_raw)(const att_ref_row *r)
{
    const att_attention_problem *p = r->p;
    if (p->desc.score == ATT_SCORE_CUSTOM) custom_raw(r);
    for (int64_t j = 0; j < p->Tk; j++) {
        if (r->z[j] == (real)-INFINITY || p->desc.score == ATT_SCORE_NONE)
            r->s[j] = 0;
        else if (p->desc.score == ATT_SCORE_CUSTOM)
            r->s[j] *= (real)p->scale;
        else
            r->s[j] = (real)p->scale * score(r, ATT_REF(attention_key)(r, j));
    }
}

static real capped(const att_ref_row *r, real e)
{
    real c = (real)r->p->desc.softcap;
    return c > 0 ? c * (real)tanh(e / c) : e;
}

/* What is added to score j: bias, relative entry, ALiBi. */
static real added(const att_ref_row *r, int64_t j)
{
    const att_attention_problem *p = r->p;
    real sum = 0;
    if (p->bias.data) sum += att_ref_at(&p->bias, r->b, r->h, r->i)[j * p->bias.d];
    if (p->relative.data)
        sum += att_ref_at(&p->relative, 0, r->h, 0)[att_relative_index(p, distance(r, j)) * p->relative.d];
    if (p->slopes.data) sum -= *att_ref_at(&p->slopes, 0, r->h, 0) * (real)llabs(distance(r, j));
    return sum;
}

void ATT_REF(attention_score)(const att_ref_row *r)
{
    find_visible(r);
    ATT_REF(attention_raw)(r);
    for (int64_t j = 0; j < r->p->Tk; j++)
        if (r->z[j] == 0) r->z[j] = (capped(r, r->s[j]) + added(r, j)) / (real)r->p->temperature;
}

/* ---- backward ---- */

/* forward: s = scale score(q_i, k_j). From ds: DOT gives dq_i += ds scale k_j, dk_j += ds scale q_i; ADDITIVE with
 * t_d = tanh(q_id + k_jd) gives dw_d += ds scale t_d and dq_id, dk_jd += ds scale w_d (1 - t_d^2). */
static void score_bwd(const att_ref_row *r, int64_t j, real ds)
{
    const att_attention_problem *p = r->p;
    const real *q = r->q, *k = ATT_REF(attention_key)(r, j);
    real *dq = p->dq.data ? att_ref_at(&p->dq, r->b, r->h, r->i) : NULL;
    real *dk = p->dk.data ? att_ref_at(&p->dk, r->b, r->hkv, j) : NULL;
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

/* The same for a custom function; a gradient of keys goes to those alone whose ds is not 0. */
static void custom_bwd(const att_ref_row *r)
{
    const att_attention_problem *p = r->p;
    const att_score_function *f = p->desc.function;
    int64_t D = p->D;
    for (int64_t d = 0; d < D; d++) r->dquery[d] = 0;
    for (int64_t j = 0; j < p->Tk; j += ATT_REF_TILE) {
        att_tile t = custom_tile(r, j, tile_end(r, j));
        for (int64_t c = 0; c < t.m; c++) r->g[j + c] *= (real)p->scale;
        for (int64_t d = 0; d < t.m * D; d++) r->dtile[d] = 0;
        f->backward(f->ctx, &t, p->dq.data ? r->dquery : NULL, p->dk.data ? r->dtile : NULL, r->g + j);
        for (int64_t c = 0; p->dk.data && c < t.m; c++) {
            real *dk = att_ref_at(&p->dk, r->b, r->hkv, j + c);
            for (int64_t d = 0; r->g[j + c] != 0 && d < D; d++) dk[d] += r->dtile[c * D + d];
        }
    }
    real *dq = p->dq.data ? att_ref_at(&p->dq, r->b, r->h, r->i) : NULL;
    for (int64_t d = 0; dq && d < D; d++) dq[d] += r->dquery[d];
}

/* forward: z = (c tanh(s/c) + bias + relative - slope |distance|) / temperature. */
static void added_bwd(const att_ref_row *r)
{
    const att_attention_problem *p = r->p;
    real c = (real)p->desc.softcap;
    for (int64_t j = 0; j < p->Tk; j++) {
        if (r->g[j] == 0) continue;
        real g = r->g[j] / (real)p->temperature;
        if (p->dbias.data) att_ref_at(&p->dbias, r->b, r->h, r->i)[j * p->dbias.d] += g;
        if (p->drelative.data)
            att_ref_at(&p->drelative, 0, r->h, 0)[att_relative_index(p, distance(r, j)) * p->drelative.d] += g;
        real t = c > 0 ? (real)tanh(r->s[j] / c) : (real)0;
        r->g[j] = g * (1 - t * t);
    }
}

void ATT_REF(attention_score_bwd)(const att_ref_row *r)
{
    added_bwd(r);
    if (r->p->desc.score == ATT_SCORE_CUSTOM) {
        custom_bwd(r);
        return;
    }
    for (int64_t j = 0; r->p->desc.score != ATT_SCORE_NONE && j < r->p->Tk; j++)
        if (r->g[j] != 0) score_bwd(r, j, r->g[j]);
}
