/* Attention, row by row: scores, weights, then the output; and the same again for the gradients. */
#include <attend/random.h>

#include "base/half.h"
#include "kernel/ref/attention_row.h"

/* ---- a row and its scratch ---- */

int64_t ATT_REF(attention_scratch)(const att_attention_problem *p)
{
    int64_t tile = p->desc.score == ATT_SCORE_CUSTOM ? (2 * ATT_REF_TILE + 1) * p->D : 0;
    return 6 * p->Tk + 2 * p->D + 2 * p->Dv + tile;
}

static real *take(real **scratch, int64_t n)
{
    real *start = *scratch;
    *scratch += n;
    return start;
}

static att_ref_row row_of(const att_attention_problem *p, int64_t b, int64_t h, int64_t i, real *scratch)
{
    att_ref_row r = {.p = p, .b = b, .h = h, .hkv = h / (p->Hq / p->Hkv), .i = i};
    real **const by_key[] = {&r.s, &r.z, &r.a, &r.w, &r.g, &r.spare};
    for (size_t n = 0; n < sizeof by_key / sizeof *by_key; n++) *by_key[n] = take(&scratch, p->Tk);
    r.room_q = take(&scratch, p->D);
    r.room_k = take(&scratch, p->D);
    r.room_v = take(&scratch, p->Dv);
    r.o = take(&scratch, p->Dv);
    if (p->desc.score == ATT_SCORE_CUSTOM) {
        r.tile = take(&scratch, ATT_REF_TILE * p->D);
        r.dtile = take(&scratch, ATT_REF_TILE * p->D);
        r.dquery = take(&scratch, p->D);
    }
    r.q = ATT_REF(attention_query)(&r);
    return r;
}

/* The caller's query mask lets this row's output through. */
static bool counts(const att_ref_row *r)
{
    const att_grid *m = &r->p->query_mask;
    return !m->data || ((const uint8_t *)m->data)[r->b * m->b + r->i * m->t] != 0;
}

/* 0 or 1/(1-p): what dropout multiplies weight (b,h,i,j) by. */
static real keep(const att_ref_row *r, int64_t j)
{
    double drop = (double)r->p->desc.dropout;
    if (drop == 0) return 1;
    uint32_t draw[4];
    uint64_t stream = (uint64_t)(r->b * r->p->Hq + r->h) << 32 | (uint64_t)r->i;
    att_philox(r->p->desc.seed, stream, (uint64_t)(j / 4), draw);
    return (double)draw[j % 4] >= drop * 4294967296.0 ? (real)(1 / (1 - drop)) : (real)0;
}

/* ---- forward ---- */

static void store_output(const att_ref_row *r)
{
    const att_grid *o = &r->p->o;
    int64_t at = r->b * o->b + r->h * o->h + r->i * o->t;
    for (int64_t d = 0; d < r->p->Dv; d++) {
        if (r->p->dtype == ATT_BF16)
            ((uint16_t *)o->data)[at + d] = att_bf16_of_float((float)r->o[d]);
        else if (r->p->dtype == ATT_F16)
            ((uint16_t *)o->data)[at + d] = att_f16_of_float((float)r->o[d]);
        else
            ((real *)o->data)[at + d] = r->o[d];
    }
}

/* o = sum_j w_j keep_j v_j. A hidden or dropped value is not read: it may be NaN. */
static void mix_values(const att_ref_row *r)
{
    for (int64_t d = 0; d < r->p->Dv; d++) r->o[d] = 0;
    for (int64_t j = 0; counts(r) && j < r->p->Tk; j++) {
        if (r->w[j] == 0) continue;
        real kept = r->w[j] * keep(r, j);
        if (kept == 0) continue;
        const real *v = ATT_REF(attention_value)(r, j);
        for (int64_t d = 0; d < r->p->Dv; d++) r->o[d] += kept * v[d];
    }
    store_output(r);
}

/* H = - sum_j w_j log w_j */
static real entropy_of(const att_ref_row *r)
{
    real sum = 0;
    for (int64_t j = 0; j < r->p->Tk; j++)
        if (r->w[j] != 0) sum -= r->w[j] * (real)log(r->w[j]);
    return sum;
}

/* The top weights so far, of which `found` of n are filled. */
typedef struct top_list {
    int32_t *key;
    real *weight;
    int64_t key_step, weight_step, found, n;
} top_list;

static void put_top(top_list *top, int64_t at, int64_t key, real weight)
{
    top->key[at * top->key_step] = (int32_t)key;
    top->weight[at * top->weight_step] = weight;
}

/* Before the first smaller one: the lower key stays first among equals. */
static void insert_top(top_list *top, int64_t j, real w)
{
    int64_t at = top->found;
    while (at > 0 && w > top->weight[(at - 1) * top->weight_step]) at--;
    if (at == top->n) return;
    if (top->found < top->n) top->found++;
    for (int64_t m = top->found - 1; m > at; m--)
        put_top(top, m, top->key[(m - 1) * top->key_step], top->weight[(m - 1) * top->weight_step]);
    put_top(top, at, j, w);
}

static void find_top(const att_ref_row *r)
{
    const att_grid *keys = &r->p->top_keys, *weights = &r->p->top_weights;
    top_list top = {.key = (int32_t *)keys->data + r->b * keys->b + r->h * keys->h + r->i * keys->t,
                    .weight = att_ref_at(weights, r->b, r->h, r->i),
                    .key_step = keys->d,
                    .weight_step = weights->d,
                    .n = r->p->top};
    for (int64_t j = 0; j < r->p->Tk; j++)
        if (r->z[j] != (real)-INFINITY || r->w[j] != 0) insert_top(&top, j, r->w[j]);
    for (int64_t m = top.found; m < top.n; m++) put_top(&top, m, -1, 0);
}

static void gather_row(const att_ref_row *r)
{
    const att_attention_problem *p = r->p;
    if (p->entropy.data) *att_ref_at(&p->entropy, r->b, r->h, r->i) = entropy_of(r);
    if (p->top_keys.data) find_top(r);
    for (int64_t j = 0; p->column_sums.data && j < p->Tk; j++) *att_ref_at(&p->column_sums, r->b, r->h, j) += r->w[j];
}

void ATT_REF(attention_forward)(const att_attention_problem *p, int64_t b, int64_t h, int64_t i_lo, int64_t i_hi,
                                real *scratch)
{
    for (int64_t i = i_lo; i < i_hi; i++) {
        att_ref_row r = row_of(p, b, h, i, scratch);
        ATT_REF(attention_score)(&r);
        real lse = ATT_REF(attention_lse)(&r);
        ATT_REF(attention_align)(&r, lse);
        if (p->lse.data) *att_ref_at(&p->lse, b, h, i) = lse;
        for (int64_t j = 0; p->weights.data && j < p->Tk; j++) att_ref_at(&p->weights, b, h, i)[j] = r.w[j];
        gather_row(&r);
        mix_values(&r);
    }
}

void ATT_REF(attention_gather)(const att_attention_problem *p, int64_t b, int64_t h, int64_t i_lo, int64_t i_hi,
                               real *scratch)
{
    for (int64_t i = i_lo; i < i_hi; i++) {
        att_ref_row r = row_of(p, b, h, i, scratch);
        ATT_REF(attention_score)(&r);
        ATT_REF(attention_align)(&r, p->lse.data ? *att_ref_at(&p->lse, b, h, i) : ATT_REF(attention_lse)(&r));
        gather_row(&r);
    }
}

/* ---- weights on demand ---- */

void ATT_REF(attention_stage)(const att_attention_problem *p, att_stage stage, int64_t b, int64_t h, int64_t i,
                              real *out, real *scratch)
{
    att_ref_row r = row_of(p, b, h, i, scratch);
    const real *row = stage == ATT_STAGE_RAW ? r.s : stage == ATT_STAGE_MASKED ? r.z : r.w;
    if (stage == ATT_STAGE_RAW) {
        for (int64_t j = 0; j < p->Tk; j++) r.z[j] = 0;
        ATT_REF(attention_raw)(&r);
    } else {
        ATT_REF(attention_score)(&r);
    }
    if (stage >= ATT_STAGE_WEIGHTS)
        ATT_REF(attention_align)(&r, p->lse.data ? *att_ref_at(&p->lse, b, h, i) : ATT_REF(attention_lse)(&r));
    for (int64_t j = 0; j < p->Tk; j++)
        out[j] = stage == ATT_STAGE_DROPPED && row[j] != 0 ? row[j] * keep(&r, j) : row[j];
}

/* ---- backward ---- */

/* forward: o = sum_j w_j keep_j v_j. With do the gradient of o:  dv_j += w_j keep_j do,  dw_j = keep_j do . v_j, the
 * latter for every visible key: a weight of 0 may be on its way to somewhere. */
static void mix_values_bwd(const att_ref_row *r)
{
    const att_attention_problem *p = r->p;
    const real *d_o = att_ref_at(&p->d_o, r->b, r->h, r->i);
    for (int64_t j = 0; j < p->Tk; j++) {
        r->g[j] = 0;
        if (r->z[j] == (real)-INFINITY && r->w[j] == 0) continue;
        real kept = keep(r, j);
        if (kept == 0) continue;
        const real *v = ATT_REF(attention_value)(r, j);
        for (int64_t d = 0; d < p->Dv; d++) r->g[j] += kept * d_o[d] * v[d];
        real *dv = p->dv.data && r->w[j] != 0 ? att_ref_at(&p->dv, r->b, r->hkv, j) : NULL;
        for (int64_t d = 0; dv && d < p->Dv; d++) dv[d] += r->w[j] * kept * d_o[d];
    }
}

static void backward_row(const att_attention_problem *p, int64_t b, int64_t h, int64_t i, real *scratch)
{
    att_ref_row r = row_of(p, b, h, i, scratch);
    real lse = *att_ref_at(&p->lse, b, h, i);
    if (!counts(&r)) return;
    ATT_REF(attention_score)(&r);
    ATT_REF(attention_align)(&r, lse);
    mix_values_bwd(&r);
    ATT_REF(attention_align_bwd)(&r, lse);
    ATT_REF(attention_score_bwd)(&r);
}

void ATT_REF(attention_backward)(const att_attention_problem *p, real *scratch)
{
    for (int64_t b = 0; b < p->B; b++)
        for (int64_t h = 0; h < p->Hq; h++)
            for (int64_t i = 0; i < p->Tq; i++) backward_row(p, b, h, i, scratch);
}
