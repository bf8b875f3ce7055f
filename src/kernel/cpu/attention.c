/* Attention in one stream over the keys, whatever the score: running maximum m and sum l of each query's row (Milakov,
 * Gimelshein 2018; Dao et al. 2022), o rescaled when m grows. No Tq x Tk array exists; the backward recomputes scores
 * and takes the weights from the forward's log-sum-exp. */
#include <attend/random.h>

#include "kernel/cpu/tile.h"
#include "kernel/cpu/vmath.h"

#define ROW ATT_KEY_BLOCK /* floats from one query's scores to the next query's */

typedef struct block { /* of queries, and the scratch to work on it */
    att_score_tile t;
    const att_score_kernels *core;
    float *s, *slope, *dp; /* [n][ROW]: scores, then weights; softcap's derivative; do . v, then de */
    float *m, *l, *delta;  /* [n] */
} block;

static bool serves(const att_attention_problem *p)
{
    const att_attention_desc *d = &p->desc;
    bool positions = p->q_positions.data || p->k_positions.data || p->relative.data || p->slopes.data;
    return p->dtype == ATT_F32 && p->kv_dtype == ATT_F32 && d->score != ATT_SCORE_CUSTOM &&
           d->window != ATT_WINDOW_GAUSS && d->align == ATT_ALIGN_SOFTMAX && d->masked_rows == ATT_MASKED_ZERO &&
           p->temperature == 1 && !positions && !p->query_mask.data && !p->sinks.data && !p->block_starts.data;
}

static int64_t scratch_floats(const att_attention_problem *p)
{
    (void)p;
    return 3 * ATT_QUERY_BLOCK * ROW + 3 * ATT_QUERY_BLOCK;
}

static block block_of(const att_score_kernels *core, const att_attention_problem *p, int64_t b, int64_t h, float *s)
{
    block x = {.t = {.p = p, .b = b, .h = h, .hkv = h / (p->Hq / p->Hkv)}, .core = core};
    x.s = s;
    x.slope = x.s + ATT_QUERY_BLOCK * ROW;
    x.dp = x.slope + ATT_QUERY_BLOCK * ROW;
    x.m = x.dp + ATT_QUERY_BLOCK * ROW;
    x.l = x.m + ATT_QUERY_BLOCK;
    x.delta = x.l + ATT_QUERY_BLOCK;
    x.t.scratch = x.delta + ATT_QUERY_BLOCK;
    return x;
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* The keys that some query of the block may see. */
static void block_range(const block *x, int64_t *lo, int64_t *hi)
{
    int64_t other;
    att_attention_range(x->t.p, x->t.b, x->t.i, lo, &other);
    att_attention_range(x->t.p, x->t.b, x->t.i + x->t.n - 1, &other, hi);
    if (*hi < *lo) *hi = *lo;
}

/* ---- scores of one tile ---- */

/* e -> c tanh(e/c), and its derivative 1 - tanh^2 into slope. */
static void cap_row(float *e, float *slope, float cap, int64_t m)
{
    for (int64_t c = 0; c < m; c += VF_LANES) {
        vf t = vf_tanh(vf_div(vf_load_upto(e + c, m - c), vf_set1(cap)));
        vf_store_upto(e + c, vf_mul(vf_set1(cap), t), m - c);
        vf_store_upto(slope + c, vf_fnma(t, t, vf_set1(1.0f)), m - c);
    }
}

static void bias_row(float *e, const float *bias, int64_t step, int64_t m)
{
    for (int64_t c = 0; c < m; c++) e[c] = bias[c * step] == -INFINITY ? -INFINITY : e[c] + bias[c * step];
}

static void mask_row(float *e, const uint8_t *mask, int64_t step, int64_t m)
{
    for (int64_t c = 0; c < m; c++)
        if (mask[c * step] == 0) e[c] = -INFINITY;
}

/* Raw scores to e: softcap, bias, and -inf by selection wherever a key is hidden. */
static void finish_scores(const block *x)
{
    const att_attention_problem *p = x->t.p;
    for (int64_t r = 0; r < x->t.n; r++) {
        float *e = x->s + r * ROW;
        int64_t i = x->t.i + r, lo, hi;
        if (p->desc.softcap > 0) cap_row(e, x->slope + r * ROW, p->desc.softcap, x->t.m);
        if (p->bias.data) bias_row(e, row_at(&p->bias, x->t.b, x->t.h, i) + x->t.j * p->bias.d, p->bias.d, x->t.m);
        if (p->mask.data)
            mask_row(e,
                     (const uint8_t *)p->mask.data + x->t.b * p->mask.b + x->t.h * p->mask.h + i * p->mask.t +
                         x->t.j * p->mask.d,
                     p->mask.d, x->t.m);
        att_attention_range(p, x->t.b, i, &lo, &hi);
        lo = clamp(lo - x->t.j, 0, x->t.m);
        hi = clamp(hi - x->t.j, 0, x->t.m);
        for (int64_t c = 0; c < lo; c++) e[c] = -INFINITY;
        for (int64_t c = hi; c < x->t.m; c++) e[c] = -INFINITY;
    }
}

static void score_tile(block *x, int64_t j, int64_t m)
{
    x->t.j = j;
    x->t.m = m;
    x->core->keys(&x->t);
    x->core->forward(&x->t, x->s);
    finish_scores(x);
}

/* Weight (b,h,i,j) times 0 or 1/(1-p): word j % 4 of the draw j / 4 decides. */
static void drop_row(const block *x, int64_t r, float *w)
{
    const att_attention_problem *p = x->t.p;
    double least = (double)p->desc.dropout * 4294967296.0;
    float up = (float)(1.0 / (1.0 - (double)p->desc.dropout));
    uint64_t stream = (uint64_t)(x->t.b * p->Hq + x->t.h) << 32 | (uint64_t)(x->t.i + r);
    uint32_t draw[4];
    for (int64_t c = 0, drawn = -1; c < x->t.m; c++) {
        int64_t j = x->t.j + c;
        if (j / 4 != drawn) att_philox(p->desc.seed, stream, (uint64_t)(drawn = j / 4), draw);
        w[c] = (double)draw[j % 4] >= least ? w[c] * up : 0.0f;
    }
}

/* ---- forward ---- */

static float row_max(const float *e, int64_t m)
{
    vf best = vf_set1(-INFINITY);
    int64_t c = 0;
    for (; c + VF_LANES <= m; c += VF_LANES) best = vf_max(best, vf_load(e + c));
    float top = vf_hmax(best);
    for (; c < m; c++) top = e[c] > top ? e[c] : top;
    return top;
}

/* e -> exp(e - shift); returns the sum. */
static float exp_row(float *e, float shift, int64_t m)
{
    vf sum = vf_zero(), s = vf_set1(shift);
    int64_t c = 0;
    for (; c + VF_LANES <= m; c += VF_LANES) {
        vf w = vf_exp(vf_sub(vf_load(e + c), s));
        vf_store(e + c, w);
        sum = vf_add(sum, w);
    }
    if (c < m) { /* lane by lane too: a row's sum is the same whether hidden keys follow it in the block or not */
        vf w = vf_exp(vf_sub(vf_load_n(e + c, m - c), s));
        vf_store_n(e + c, w, m - c);
        sum = vf_add(sum, vf_keep_some(w, m - c));
    }
    return vf_sum(sum);
}

static void scale_row(float *y, float by, int64_t D)
{
    vf f = vf_set1(by);
    for (int64_t d = 0; d < D; d += VF_LANES) vf_store_upto(y + d, vf_mul(f, vf_load_upto(y + d, D - d)), D - d);
}

/* Scores to weights relative to the running maximum; o follows when that grows. */
static void stream_row(const block *x, int64_t r)
{
    const att_attention_problem *p = x->t.p;
    float *e = x->s + r * ROW, top = row_max(e, x->t.m), old = x->m[r];
    if (!(top > old)) top = old;
    if (top == -INFINITY) { /* nothing visible so far, unless all is NaN */
        for (int64_t c = 0; c < x->t.m; c++) {
            e[c] = e[c] == -INFINITY ? 0.0f : NAN;
            x->l[r] += e[c];
        }
        return;
    }
    if (top > old && old != -INFINITY) {
        float shrink = expf(old - top);
        x->l[r] *= shrink;
        scale_row(row_at(&p->o, x->t.b, x->t.h, x->t.i + r), shrink, p->Dv);
    }
    x->m[r] = top;
    x->l[r] += exp_row(e, top, x->t.m);
    if (p->desc.dropout > 0) drop_row(x, r, e);
}

static void mix_values(const block *x)
{
    const att_attention_problem *p = x->t.p;
    tile_mix(row_at(&p->o, x->t.b, x->t.h, x->t.i), p->o.t, x->t.n, x->s, ROW, 1, 1.0f,
             row_at(&p->v, x->t.b, x->t.hkv, x->t.j), p->v.t, x->t.m, p->Dv);
}

static void end_rows(const block *x)
{
    const att_attention_problem *p = x->t.p;
    for (int64_t r = 0; r < x->t.n; r++) {
        bool none = x->l[r] == 0;
        if (!none) scale_row(row_at(&p->o, x->t.b, x->t.h, x->t.i + r), 1.0f / x->l[r], p->Dv);
        x->m[r] = none ? -INFINITY : x->m[r] + logf(x->l[r]);
        if (p->lse.data) *row_at(&p->lse, x->t.b, x->t.h, x->t.i + r) = x->m[r];
    }
}

/* s = exp(e - lse): the weights before dropout. */
static void weights_of_tile(const block *x, const float *lse)
{
    for (int64_t r = 0; r < x->t.n; r++) {
        float *e = x->s + r * ROW;
        if (lse[r] == -INFINITY)
            for (int64_t c = 0; c < x->t.m; c++) e[c] = 0;
        else
            exp_row(e, lse[r], x->t.m);
    }
}

/* A second pass over the keys, for callers who ask to see the weights. */
static void write_weights(block *x, int64_t lo, int64_t hi)
{
    const att_attention_problem *p = x->t.p;
    for (int64_t r = 0; r < x->t.n; r++)
        memset(row_at(&p->weights, x->t.b, x->t.h, x->t.i + r), 0, (size_t)p->Tk * sizeof(float));
    for (int64_t j = lo; j < hi; j += ATT_KEY_BLOCK) {
        score_tile(x, j, hi - j < ATT_KEY_BLOCK ? hi - j : ATT_KEY_BLOCK);
        weights_of_tile(x, x->m);
        for (int64_t r = 0; r < x->t.n; r++)
            memcpy(row_at(&p->weights, x->t.b, x->t.h, x->t.i + r) + j, x->s + r * ROW, (size_t)x->t.m * sizeof(float));
    }
}

static void forward(const att_score_kernels *core, const att_attention_problem *p, int64_t b, int64_t h, int64_t i,
                    int64_t n, float *scratch)
{
    block x = block_of(core, p, b, h, scratch);
    int64_t lo, hi;
    x.t.i = i;
    x.t.n = n;
    block_range(&x, &lo, &hi);
    core->start(&x.t);
    core->queries(&x.t);
    for (int64_t r = 0; r < n; r++) {
        x.m[r] = -INFINITY;
        x.l[r] = 0;
        memset(row_at(&p->o, b, h, i + r), 0, (size_t)p->Dv * sizeof(float));
    }
    for (int64_t j = lo; j < hi; j += ATT_KEY_BLOCK) {
        score_tile(&x, j, hi - j < ATT_KEY_BLOCK ? hi - j : ATT_KEY_BLOCK);
        for (int64_t r = 0; r < n; r++) stream_row(&x, r);
        mix_values(&x);
    }
    end_rows(&x);
    if (p->weights.data) write_weights(&x, lo, hi);
}

/* ---- backward ---- */

/* forward: o = sum_j w_j keep_j v_j. dv_j += w_j keep_j do; de_j = w_j (keep_j do . v_j - do . o) into dp; then ds. */
static void backward_tile(block *x)
{
    const att_attention_problem *p = x->t.p;
    const att_score_tile *t = &x->t;
    const float *d_o = row_at(&p->d_o, t->b, t->h, t->i), *v = row_at(&p->v, t->b, t->hkv, t->j);
    weights_of_tile(x, x->m);
    tile_dots(x->dp, 1.0f, d_o, p->d_o.t, t->n, v, p->v.t, t->m, p->Dv);
    for (int64_t r = 0; r < t->n; r++) {
        float *w = x->s + r * ROW, *dp = x->dp + r * ROW;
        if (p->desc.dropout > 0) drop_row(x, r, dp);
        for (int64_t c = 0; c < t->m; c++) dp[c] = w[c] == 0 ? 0.0f : w[c] * (dp[c] - x->delta[r]);
        if (p->desc.dropout > 0) drop_row(x, r, w);
    }
    if (p->dv.data)
        tile_mix(row_at(&p->dv, t->b, t->hkv, t->j), p->dv.t, t->m, x->s, 1, ROW, 1.0f, d_o, p->d_o.t, t->n, p->Dv);
    for (int64_t r = 0; p->dbias.data && r < t->n; r++) {
        float *to = row_at(&p->dbias, t->b, t->h, t->i + r) + t->j * p->dbias.d;
        for (int64_t c = 0; c < t->m; c++) to[c * p->dbias.d] += x->dp[r * ROW + c];
    }
    for (int64_t r = 0; p->desc.softcap > 0 && r < t->n; r++)
        for (int64_t c = 0; c < t->m; c++)
            x->dp[r * ROW + c] = x->dp[r * ROW + c] == 0 ? 0.0f : x->dp[r * ROW + c] * x->slope[r * ROW + c];
    x->core->backward(t, x->dp);
}

static void backward_queries(block *x)
{
    const att_attention_problem *p = x->t.p;
    int64_t lo, hi;
    block_range(x, &lo, &hi);
    x->core->queries(&x->t);
    for (int64_t r = 0; r < x->t.n; r++) {
        int64_t i = x->t.i + r;
        x->delta[r] = dot_1x1(1.0f, row_at(&p->d_o, x->t.b, x->t.h, i), row_at(&p->o, x->t.b, x->t.h, i), p->Dv);
        x->m[r] = *row_at(&p->lse, x->t.b, x->t.h, i);
    }
    for (int64_t j = lo; j < hi; j += ATT_KEY_BLOCK) {
        score_tile(x, j, hi - j < ATT_KEY_BLOCK ? hi - j : ATT_KEY_BLOCK);
        backward_tile(x);
        x->core->end_keys(&x->t);
    }
    x->core->end_queries(&x->t);
}

static void backward(const att_score_kernels *core, const att_attention_problem *p, int64_t b, int64_t hkv,
                     float *dscore_w, float *scratch)
{
    int64_t group = p->Hq / p->Hkv;
    for (int64_t h = hkv * group; h < (hkv + 1) * group; h++) {
        block x = block_of(core, p, b, h, scratch);
        core->start(&x.t);
        for (x.t.i = 0; x.t.i < p->Tq; x.t.i += ATT_QUERY_BLOCK) {
            x.t.n = p->Tq - x.t.i < ATT_QUERY_BLOCK ? p->Tq - x.t.i : ATT_QUERY_BLOCK;
            backward_queries(&x);
        }
        core->end(&x.t, dscore_w);
    }
}

void ATT_VARIANT(att_register_attention)(att_attention_kernels *t);
void ATT_VARIANT(att_register_attention)(att_attention_kernels *t)
{
    t->serves = serves;
    t->scratch_floats = scratch_floats;
    t->forward = forward;
    t->backward = backward;
}
