/* e[i,j] = scale sum_d w_d tanh(q_id + k_jd) without a tanh per (i,j,d). With a = e^(2 q_i) and b = e^(2 k_j), T D
 * exponentials in all,
 *   r = 1 / (1 + a b),   tanh(q + k) = 1 - 2 r,   1 - tanh^2 = 4 (r - r^2),
 * so that an element costs a product, a reciprocal estimate and its correction. The products stay within float's
 * range while |q|, |k| <= 21. A row beyond that, or with NaN, is marked: its a[0] or b[0] is -1, which no exponential
 * is, and in a tile with a marked row the pairs that need it take e^(2(q + k)) per element.
 *
 * Scratch, rows padded to P = D rounded up to whole vectors (a = b = 1, w = 0 there):
 *   a[n][P]  b[m][P]  scale*w[P]  and for the backward  dq[n][P]  dk[m][P]  dw[P]  gsum. */
#include "kernel/cpu/tile.h"
#include "kernel/cpu/vmath.h"

#define LIMIT 21.0f
#define MARK  (-1.0f)

typedef struct parts {
    float *a, *b, *w, *dq, *dk, *dw, *info; /* info: 0 sum of w, 1 sum of g */
    const float *keys;                      /* b, or the caller's prepared rows              */
    int64_t width, key_row;
} parts;

static int64_t padded(int64_t D)
{
    return (D + 15) / 16 * 16;
}

static parts parts_of(const att_score_tile *t)
{
    const att_attention_problem *p = t->p;
    int64_t P = padded(p->D);
    parts x = {.width = P, .key_row = P};
    x.w = t->scratch;
    x.dw = x.w + P;
    x.info = x.dw + P;
    x.a = x.info + 16;
    x.dq = x.a + ATT_QUERY_BLOCK * P;
    x.b = x.dq + ATT_QUERY_BLOCK * P;
    x.dk = x.b + ATT_KEY_BLOCK * P;
    x.keys = x.b;
    if (p->k_prepared.data && P == p->D) {
        x.keys = row_at(&p->k_prepared, t->b, t->hkv, t->j);
        x.key_row = p->k_prepared.t;
    }
    return x;
}

static int64_t scratch_floats(const att_attention_problem *p)
{
    return padded(p->D) * (2 + 2 * ATT_QUERY_BLOCK + 2 * ATT_KEY_BLOCK) + 16;
}

/* y = e^(2x), or a mark. */
static void prepare_row(float *y, const float *x, int64_t D)
{
    int beyond = 0;
    for (int64_t d = 0; d < D; d += VF_LANES) {
        vf v = vf_load_upto(x + d, D - d);
        vm within = vf_le(vf_abs(v), vf_set1(LIMIT)); /* false for NaN */
        beyond |= vm_any(vf_isnan(vf_select(within, vf_zero(), vf_set1(NAN))));
        vf_store_upto(y + d, vf_exp(vf_add(v, v)), D - d);
    }
    if (beyond) y[0] = MARK;
}

static void pad_row(float *y, int64_t from, int64_t to, float value)
{
    for (int64_t d = from; d < to; d++) y[d] = value;
}

static void start(const att_score_tile *t)
{
    const att_attention_problem *p = t->p;
    parts x = parts_of(t);
    const float *w = p->score_w.data;
    float sum = 0;
    for (int64_t d = 0; d < x.width; d++) {
        x.w[d] = d < p->D ? (float)p->scale * (w ? w[d * p->score_w.d] : 1.0f) : 0.0f;
        sum += x.w[d];
        x.dw[d] = 0;
    }
    x.info[0] = sum;
    x.info[1] = 0;
}

static void queries(const att_score_tile *t)
{
    const att_attention_problem *p = t->p;
    parts x = parts_of(t);
    for (int64_t r = 0; r < t->n; r++) {
        prepare_row(x.a + r * x.width, row_at(&p->q, t->b, t->h, t->i + r), p->D);
        pad_row(x.a + r * x.width, p->D, x.width, 1);
        if (p->d_o.data) pad_row(x.dq + r * x.width, 0, x.width, 0);
    }
}

static void keys(const att_score_tile *t)
{
    const att_attention_problem *p = t->p;
    parts x = parts_of(t);
    for (int64_t c = 0; c < t->m; c++) {
        float *b = x.b + c * x.width;
        if (x.keys == x.b) {
            if (p->k_prepared.data)
                memcpy(b, row_at(&p->k_prepared, t->b, t->hkv, t->j + c), (size_t)p->D * sizeof *b);
            else
                prepare_row(b, row_at(&p->k, t->b, t->hkv, t->j + c), p->D);
            pad_row(b, p->D, x.width, 1);
        }
        if (p->d_o.data) pad_row(x.dk + c * x.width, 0, x.width, 0);
    }
}

/* Whether every row of the tile is unmarked. */
static int plain_tile(const att_score_tile *t, const parts *x)
{
    for (int64_t r = 0; r < t->n; r++)
        if (x->a[r * x->width] < 0) return 0;
    for (int64_t c = 0; c < t->m; c++)
        if (!(x->keys[c * x->key_row] >= 0)) return 0;
    return 1;
}

/* ---- forward: s = sum w - 2 sum w r ---- */

VF_INLINE void score_keys(float *s, int count, const parts *x, const float *a, const float *b)
{
    vf sum[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    for (int64_t d = 0; d < x->width; d += VF_LANES) {
        vf q = vf_load(a + d), w = vf_load(x->w + d);
        for (int c = 0; c < count; c++) sum[c] = vf_fma(w, vf_rcp_one_plus(q, vf_load(b + c * x->key_row + d)), sum[c]);
    }
    for (int c = 0; c < count; c++) s[c] = x->info[0] - 2.0f * vf_sum(sum[c]);
}

/* r of q + k directly, for pairs with a marked row. Beyond +-LIMIT tanh is +-1 in float; NaN stays NaN. */
VF_INLINE vf reciprocal_of_sum(const float *q, const float *k, int64_t n)
{
    vf x = vf_add(vf_load_upto(q, n), vf_load_upto(k, n));
    x = vf_min(vf_set1(LIMIT), vf_max(vf_set1(-LIMIT), x));
    return vf_rcp_one_plus(vf_exp(vf_add(x, x)), vf_set1(1.0f));
}

static float score_by_sum(const att_score_tile *t, const parts *x, int64_t r, int64_t c)
{
    const att_attention_problem *p = t->p;
    const float *q = row_at(&p->q, t->b, t->h, t->i + r), *k = row_at(&p->k, t->b, t->hkv, t->j + c);
    vf sum = vf_zero();
    for (int64_t d = 0; d < p->D; d += VF_LANES)
        sum = vf_fma(vf_load(x->w + d), reciprocal_of_sum(q + d, k + d, p->D - d), sum);
    return x->info[0] - 2.0f * vf_sum(sum);
}

static void forward_marked(const att_score_tile *t, const parts *x, float *s)
{
    for (int64_t r = 0; r < t->n; r++)
        for (int64_t c = 0; c < t->m; c++) {
            const float *a = x->a + r * x->width, *b = x->keys + c * x->key_row;
            if (a[0] < 0 || !(b[0] >= 0))
                s[r * ATT_KEY_BLOCK + c] = score_by_sum(t, x, r, c);
            else
                score_keys(s + r * ATT_KEY_BLOCK + c, 1, x, a, b);
        }
}

static void forward(const att_score_tile *t, float *s)
{
    parts x = parts_of(t);
    if (!plain_tile(t, &x)) {
        forward_marked(t, &x, s);
        return;
    }
    for (int64_t r = 0; r < t->n; r++) {
        const float *a = x.a + r * x.width;
        int64_t c = 0;
        for (; c + 4 <= t->m; c += 4) score_keys(s + r * ATT_KEY_BLOCK + c, 4, &x, a, x.keys + c * x.key_row);
        for (; c < t->m; c++) score_keys(s + r * ATT_KEY_BLOCK + c, 1, &x, a, x.keys + c * x.key_row);
    }
}

/* ---- backward: y = r - r^2;  dq_id = 4 w_d sum_j g y,  dk_jd = 4 w_d sum_i g y,  dw_d = scale (sum g - 2 sum g r).
 * The common factors wait for the end of the block. ---- */

VF_INLINE void backward_rows(int count, const parts *x, const float *ds, const float *a, float *dq, const float *b,
                             float *dk)
{
    vf g[4];
    for (int r = 0; r < count; r++) {
        g[r] = vf_set1(ds[r * ATT_KEY_BLOCK]);
        x->info[1] += ds[r * ATT_KEY_BLOCK];
    }
    for (int64_t d = 0; d < x->width; d += VF_LANES) {
        vf k = vf_load(b + d), to_k = vf_load(dk + d), to_w = vf_load(x->dw + d);
        for (int r = 0; r < count; r++) {
            int64_t at = r * x->width + d;
            vf value = vf_rcp_one_plus(vf_load(a + at), k), y = vf_fnma(value, value, value);
            vf_store(dq + at, vf_fma(g[r], y, vf_load(dq + at)));
            to_k = vf_fma(g[r], y, to_k);
            to_w = vf_fma(g[r], value, to_w);
        }
        vf_store(dk + d, to_k);
        vf_store(x->dw + d, to_w);
    }
}

static void backward_by_sum(const att_score_tile *t, const parts *x, int64_t r, int64_t c, float ds)
{
    const att_attention_problem *p = t->p;
    const float *q = row_at(&p->q, t->b, t->h, t->i + r), *k = row_at(&p->k, t->b, t->hkv, t->j + c);
    float *dq = x->dq + r * x->width, *dk = x->dk + c * x->width;
    vf g = vf_set1(ds);
    x->info[1] += ds;
    for (int64_t d = 0; d < p->D; d += VF_LANES) {
        vf value = reciprocal_of_sum(q + d, k + d, p->D - d), y = vf_fnma(value, value, value);
        vf_store(dq + d, vf_fma(g, y, vf_load(dq + d)));
        vf_store(dk + d, vf_fma(g, y, vf_load(dk + d)));
        vf_store(x->dw + d, vf_fma(g, value, vf_load(x->dw + d)));
    }
}

static void backward_marked(const att_score_tile *t, const parts *x, const float *ds)
{
    for (int64_t r = 0; r < t->n; r++)
        for (int64_t c = 0; c < t->m; c++) {
            const float *a = x->a + r * x->width, *b = x->keys + c * x->key_row, *g = ds + r * ATT_KEY_BLOCK + c;
            if (*g == 0) continue; /* hidden: k may be NaN */
            if (a[0] < 0 || !(b[0] >= 0))
                backward_by_sum(t, x, r, c, *g);
            else
                backward_rows(1, x, g, a, x->dq + r * x->width, b, x->dk + c * x->width);
        }
}

static void backward(const att_score_tile *t, const float *ds)
{
    parts x = parts_of(t);
    if (!plain_tile(t, &x)) {
        backward_marked(t, &x, ds);
        return;
    }
    int64_t r = 0, P = x.width;
    for (; r + 4 <= t->n; r += 4)
        for (int64_t c = 0; c < t->m; c++)
            backward_rows(4, &x, ds + r * ATT_KEY_BLOCK + c, x.a + r * P, x.dq + r * P, x.keys + c * x.key_row,
                          x.dk + c * P);
    for (; r < t->n; r++)
        for (int64_t c = 0; c < t->m; c++)
            backward_rows(1, &x, ds + r * ATT_KEY_BLOCK + c, x.a + r * P, x.dq + r * P, x.keys + c * x.key_row,
                          x.dk + c * P);
}

/* out += 4 w sum */
static void add_row(float *out, const float *w, const float *sum, int64_t D)
{
    for (int64_t d = 0; d < D; d += VF_LANES) {
        vf y = vf_mul(vf_mul(vf_set1(4.0f), vf_load(w + d)), vf_load(sum + d));
        vf_store_upto(out + d, vf_add(vf_load_upto(out + d, D - d), y), D - d);
    }
}

static void end_queries(const att_score_tile *t)
{
    const att_attention_problem *p = t->p;
    parts x = parts_of(t);
    for (int64_t r = 0; p->dq.data && r < t->n; r++)
        add_row(row_at(&p->dq, t->b, t->h, t->i + r), x.w, x.dq + r * x.width, p->D);
}

static void end_keys(const att_score_tile *t)
{
    const att_attention_problem *p = t->p;
    parts x = parts_of(t);
    for (int64_t c = 0; p->dk.data && c < t->m; c++)
        add_row(row_at(&p->dk, t->b, t->hkv, t->j + c), x.w, x.dk + c * x.width, p->D);
}

static void end(const att_score_tile *t, float *dscore_w)
{
    parts x = parts_of(t);
    for (int64_t d = 0; dscore_w && d < t->p->D; d++) dscore_w[d] += (float)t->p->scale * (x.info[1] - 2.0f * x.dw[d]);
}

void ATT_VARIANT(att_register_additive)(att_attention_kernels *t);
void ATT_VARIANT(att_register_additive)(att_attention_kernels *t)
{
    t->score[ATT_SCORE_ADDITIVE] =
        (att_score_kernels){scratch_floats, start, queries, keys, forward, backward, end_queries, end_keys, end};
    t->prepare_row = prepare_row;
}
