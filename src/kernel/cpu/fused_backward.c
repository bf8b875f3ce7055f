/* Fused dot-product attention, backward. Weights are recomputed from the forward's log-sum-exp, tile by tile:
 *   S = Q K^T,  P = e^(S - lse),  dP = dO V^T,  dS = P (dP - delta),  delta = dO . O  by rows
 *   dV += P^T dO,   dQ += scale dS K,   dK += scale dS^T Q
 * Five products on the one micro-kernel. A part sums the gradients of its queries and keys in scratch memory; an
 * element's sum runs over blocks in ascending order whether one part goes through all blocks or many share them. */
#define FUSED_KEYS    256
#define FUSED_QUERIES 96
#define FUSED_PARTS   2 /* of a number, for fused_bf16.h */
#include "kernel/cpu/fused_rows.h"

typedef struct task {
    fused_tile t;
    const att_attention_problem *p;
    const att_fused_part *part;
    int64_t width; /* D rounded up to whole panels */
    operands packed;
    float *s, *dp, *slope;      /* scores, then weights; dP, then dS; softcap's derivative */
    float *room;                /* to convert rows of other types */
    float lse[SUB], delta[SUB]; /* -inf where a row saw nothing or does not count */
    float *term, *dterm;        /* find_terms', and the sum of dE by distance */
    float *dq, *dk, *dv;        /* sums: (n,width), and as add_to_keys has them */
} task;

/* Lays the task out from `scratch` on; returns how many floats it takes. */
static int64_t lay_out(task *x, const att_attention_problem *p, const att_fused_part *part, float *scratch)
{
    layout at = {scratch, 0};
    *x = (task){.p = p, .part = part, .width = panels(p->D) * NR};
    lay_out_operands(&x->packed, &at, p);
    x->s = take(&at, SUB * LD);
    x->dp = take(&at, SUB * LD);
    x->slope = take(&at, p->desc.softcap > 0 ? SUB * LD : 0);
    x->room = take(&at, room_floats(p));
    x->term = take(&at, has_distances(p) ? DISTANCES : 0);
    x->dterm = take(&at, p->relative.data ? DISTANCES : 0);
    x->dq = take(&at, part->queries ? whole_strips(part->n) * x->width : 0);
    x->dk = take(&at, part->keys ? key_sum_floats(part->m, p->D) : 0);
    x->dv = take(&at, part->keys ? key_sum_floats(part->m, p->Dv) : 0);
    return at.floats;
}

static int64_t backward_floats(const att_attention_problem *p, const att_fused_part *part)
{
    task x;
    return lay_out(&x, p, part, NULL);
}

static float row_dot(const float *a, const float *b, int64_t n)
{
    vf sum[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    int64_t d = 0;
    for (; d + 4 * VF_LANES <= n; d += 4 * VF_LANES)
        for (int64_t k = 0; k < 4; k++)
            sum[k] = vf_fma(vf_load(a + d + k * VF_LANES), vf_load(b + d + k * VF_LANES), sum[k]);
    for (; d < n; d += VF_LANES) sum[0] = vf_fma(vf_load_some(a + d, n - d), vf_load_some(b + d, n - d), sum[0]);
    return vf_sum(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
}

static rows output_rows(const fused_tile *t)
{
    const att_attention_problem *p = t->p;
    return (rows){.grid = &p->o, .dtype = p->dtype, .b = t->b, .h = t->h, .t = t->i, .n = t->n, .width = p->Dv};
}

static void pack_queries(task *x)
{
    const att_attention_problem *p = x->p;
    const fused_tile *t = &x->t;
    const float *d_o = row_of(&p->d_o, t->b, t->h, t->i);
    int64_t step;
    rows outputs = output_rows(t);
    pack_query_operands(&x->packed, t, query_factor(p), x->part->keys, x->room);
    const float *o = as_floats(&outputs, x->room, &step);
    for (int64_t r = 0; r < t->n; r++) {
        x->lse[r] = row_counts(t, t->i + r) ? *row_of(&p->lse, t->b, t->h, t->i + r) : -INFINITY;
        x->delta[r] = row_dot(d_o + r * p->d_o.t, o + r * step, p->Dv);
    }
}

/* ---- one tile ---- */

/* w: scores -> weights 2^(e - lse log2(e)), none where the row saw nothing;  dp -> w (dp - delta), and 0 where w is: a
 * hidden value may be NaN. */
static void weigh_row(float *w, float *dp, float lse, float delta, int64_t lo, int64_t hi)
{
    if (lse == -INFINITY) {
        fill(w, 0, lo, hi);
        fill(dp, 0, lo, hi);
        return;
    }
    if (lse != lse) { /* of a query that is NaN: hidden keys still do not see it */
        for (int64_t c = lo; c < hi; c++) w[c] = dp[c] = w[c] == -INFINITY ? 0 : lse;
        return;
    }
    const vf s = vf_set1(lse), unit = vf_set1((float)LOG2E), minus = vf_set1(delta), zero = vf_zero();
    for (int64_t c = lo; c < hi; c += VF_LANES) {
        vf y = vf_exp2(vf_fnma(s, unit, vf_load(w + c))), x = vf_mul(y, vf_sub(vf_load(dp + c), minus));
        vf_store(w + c, y);
        vf_store(dp + c, vf_select(vf_le(y, zero), zero, x));
    }
}

static void add_bias_gradient(const task *x, int64_t r, const float *de)
{
    const att_grid *g = &x->p->dbias;
    float *to = row_of(g, x->t.b, x->t.h, x->t.i + r) + x->t.j * g->d;
    const float cool = (float)(1 / x->p->temperature);
    for (int64_t c = x->t.row_lo[r]; c < x->t.row_hi[r]; c++) to[c * g->d] += cool * de[c];
}

/* dE of row r, by the entries of the relative table: over distances where those lie side by side. */
static void add_relative_gradient(const task *x, int64_t r, const float *de)
{
    const fused_tile *t = &x->t;
    const att_attention_problem *p = x->p;
    float *to = x->dterm + near_of(r);
    if (att_positions_are_indices(p)) {
        for (int64_t c = t->row_lo[r]; c < t->row_hi[r]; c++) to[c] += de[c];
        return;
    }
    float *entry = x->part->terms + (t->h - x->part->h) * (p->R + 1);
    int64_t at = att_query_position(p, t->b, t->i + r);
    for (int64_t c = t->row_lo[r]; c < t->row_hi[r]; c++)
        if (de[c] != 0) entry[att_relative_index(p, att_key_position(p, t->b, t->j + c) - at)] += de[c];
}

static void gather_distances(const task *x)
{
    const fused_tile *t = &x->t;
    float *entry = x->part->terms + (t->h - x->part->h) * (x->p->R + 1);
    int64_t n = first_distance(t);
    for (int64_t d = near_of(t->n - 1) + t->lo; d < near_of(0) + t->hi; d++)
        entry[att_relative_index(x->p, n + d)] += x->dterm[d];
}

/* forward: w_j = p_j exp(-(j - c)^2 / (2 sigma^2)).  dc += sum_j dw_j w_j (j - c) / sigma^2, where dw_j w_j is
 * dE_j + delta p_j. */
static void add_centre_gradient(const task *x, int64_t r, const float *weight, const float *de)
{
    const fused_tile *t = &x->t;
    const att_grid *g = &x->p->dcentre;
    float centre = *row_of(&x->p->centre, t->b, t->h, t->i + r), sigma = x->p->desc.sigma, sum = 0;
    for (int64_t c = t->row_lo[r]; c < t->row_hi[r]; c++)
        if (weight[c] != 0) sum += (de[c] + x->delta[r] * weight[c]) * ((float)(t->j + c) - centre);
    *row_of(g, t->b, t->h, t->i + r) += sum / (sigma * sigma);
}

/* Of what belongs to queries, from the weights before dropout and the Gaussian. */
static void add_row_gradients(const task *x, int64_t r, const float *weight, const float *de)
{
    const att_attention_problem *p = x->p;
    if (p->dbias.data) add_bias_gradient(x, r, de);
    if (p->drelative.data) add_relative_gradient(x, r, de);
    if (p->dcentre.data) add_centre_gradient(x, r, weight, de);
}

/* Scores of row r to the weights that mix the values, dP to dS. */
static void gradient_row(task *x, int64_t r)
{
    const fused_tile *t = &x->t;
    const att_attention_problem *p = x->p;
    float *w = x->s + r * LD, *dp = x->dp + r * LD, *slope = p->desc.softcap > 0 ? x->slope + r * LD : NULL;
    int64_t lo = lanes_down(t->row_lo[r]), hi = lanes_up(t->row_hi[r]);
    dress_row(t, r, w, slope, x->term);
    if (p->desc.dropout > 0) drop_row(t, r, dp);
    if (p->centre.data) gauss_row(t, r, dp);
    weigh_row(w, dp, x->lse[r], x->delta[r], lo, hi);
    if (x->part->queries) add_row_gradients(x, r, w, dp);
    if (p->centre.data) gauss_row(t, r, w);
    if (p->desc.dropout > 0) drop_row(t, r, w);
    if (slope)
        for (int64_t c = lo; c < hi; c += VF_LANES) {
            vf y = vf_load(dp + c);
            vf_store(dp + c, vf_select(vf_le(vf_abs(y), vf_zero()), vf_zero(), vf_mul(y, vf_load(slope + c))));
        }
}

static void backward_tile(task *x)
{
    const att_attention_problem *p = x->p;
    const fused_tile *t = &x->t;
    pack_queries(x);
    score_products(&x->packed, t, x->s, x->dp, query_factor(p));
    bool indices = att_positions_are_indices(p);
    if (has_distances(p) && indices) find_terms(t, x->term);
    if (p->relative.data) memset(x->dterm, 0, DISTANCES * sizeof *x->dterm);
    for (int64_t r = 0; r < t->n; r++) {
        if (t->row_hi[r] > t->row_lo[r]) gradient_row(x, r);
        clear_around(t, r, x->s + r * LD, t->lo, t->hi);
        clear_around(t, r, x->dp + r * LD, t->lo, t->hi);
    }
    if (p->drelative.data && indices && x->part->queries) gather_distances(x);
    if (x->part->keys) add_to_keys(&x->packed, t, x->dv, x->dk, x->part->m, t->j - x->part->j, x->s, x->dp);
    if (x->part->queries) add_to_queries(&x->packed, t, x->dq + (t->i - x->part->i) * x->width, x->dp);
}

/* ---- all tiles of a part ---- */

/* The keys that some query of the part may see. */
static void visible_keys(const task *x, int64_t *lo, int64_t *hi)
{
    const att_fused_part *part = x->part;
    int64_t other;
    att_attention_range(x->p, x->t.b, part->i, lo, &other);
    att_attention_range(x->p, x->t.b, part->i + part->n - 1, &other, hi);
    if (*lo < part->j) *lo = part->j;
    if (*hi > part->j + part->m) *hi = part->j + part->m;
}

/* forward: a row's weights are those of a softmax with one more score, the sink, whose value is 0. So its dE is
 * - p_sink delta. */
static void add_sink_gradient(task *x, int64_t h)
{
    const att_attention_problem *p = x->p;
    const att_fused_part *part = x->part;
    double sink = (double)*row_of(&p->sinks, 0, h, 0) / p->temperature, sum = 0;
    x->t.n = 1;
    for (x->t.i = part->i; x->t.i < part->i + part->n; x->t.i++) {
        int64_t step;
        rows outputs = output_rows(&x->t);
        float lse = *row_of(&p->lse, part->b, h, x->t.i);
        if (!row_counts(&x->t, x->t.i) || lse == -INFINITY) continue;
        const float *o = as_floats(&outputs, x->room, &step), *d_o = row_of(&p->d_o, part->b, h, x->t.i);
        sum -= exp(sink - (double)lse) * (double)row_dot(d_o, o, p->Dv);
    }
    part->terms[(h - part->h) * (p->R + 1) + p->R] += (float)sum;
}

static void backward_head(task *x, int64_t h)
{
    const att_fused_part *part = x->part;
    int64_t lo, hi;
    x->t.h = h;
    if (part->queries) memset(x->dq, 0, (size_t)(whole_strips(part->n) * x->width) * sizeof *x->dq);
    visible_keys(x, &lo, &hi);
    for (int64_t j = lo / KEYS * KEYS; j < hi; j += KEYS) {
        bool packed = false; /* nobody may see this block */
        for (int64_t i = part->i, end = part->i + part->n; i < end; i += SUB) {
            if (!place_tile(&x->t, i, end - i < SUB ? end - i : SUB, j)) continue;
            if (!packed)
                pack_key_operands(&x->packed, &x->t, lo > j ? lo - j : 0, hi < j + KEYS ? hi - j : KEYS, part->queries,
                                  x->room);
            packed = true;
            backward_tile(x);
        }
    }
    if (part->queries && x->p->dsinks.data) add_sink_gradient(x, h);
    if (part->queries && x->p->dq.data)
        add_rows(&x->p->dq, part->b, h, part->i, part->n, x->p->D, x->dq, x->width,
                 (float)(x->p->scale / x->p->temperature));
}

static void backward(const att_attention_problem *p, const att_fused_part *part, float *scratch)
{
    task x;
    lay_out(&x, p, part, scratch);
    x.t = (fused_tile){.p = p, .b = part->b, .hkv = part->h / (p->Hq / p->Hkv)};
    if (part->keys) {
        memset(x.dk, 0, (size_t)key_sum_floats(part->m, p->D) * sizeof *x.dk);
        memset(x.dv, 0, (size_t)key_sum_floats(part->m, p->Dv) * sizeof *x.dv);
    }
    begin_products();
    for (int64_t h = part->h; part->n > 0 && h < part->h + part->heads; h++) backward_head(&x, h);
    end_products();
    const float scale = (float)(p->scale / p->temperature);
    if (part->keys && p->dk.data) add_key_sums(&p->dk, part->b, x.t.hkv, part->j, part->m, p->D, x.dk, scale);
    if (part->keys && p->dv.data) add_key_sums(&p->dv, part->b, x.t.hkv, part->j, part->m, p->Dv, x.dv, 1);
}

void ATT_VARIANT(att_register_fused_backward)(att_fused_kernels *t);
void ATT_VARIANT(att_register_fused_backward)(att_fused_kernels *t)
{
    t->backward_queries = SUB;
    t->backward_keys = KEYS;
    t->backward_floats = backward_floats;
    t->backward = backward;
}
