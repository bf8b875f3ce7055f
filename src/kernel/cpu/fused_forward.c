/* Fused dot-product attention, forward, in one stream over the keys: running maximum m and sum l of each query's row
 * (Milakov, Gimelshein 2018; Dao et al. 2022), o rescaled when m grows. A task takes a run of queries of one head; for
 * each block of KEYS keys it packs keys and values once and goes through its queries SUB at a time:
 *   S = Q K^T   (packed product),   P = 2^(S - m) row by row,   O += P V   (packed product). */
#if defined(ATT_VARIANT_BF16) /* bfloat16 alone; what else such a level has is AVX-512's */
#define FUSED_KEYS    512
#define FUSED_QUERIES 32
#else
#define FUSED_KEYS    (VF_LANES == 8 ? 2048 : 1024)
#define FUSED_QUERIES (VF_LANES == 8 ? 12 : 18)
#endif
#define FUSED_PARTS 2 /* of a number, for fused_bf16.h */
#include "kernel/cpu/fused_few.h"
#include "kernel/cpu/fused_rows.h"

enum { TOGETHER = 4 }; /* of scores that become weights together */

typedef struct task {
    fused_tile t;
    const att_attention_problem *p;
    int64_t i, n;         /* all queries of the task */
    int64_t width;        /* of a row of o: Dv rounded up to whole panels */
    bool few;             /* queries: keys and values are not packed */
    float *keys, *values; /* packed: transposed, panels */
    bool finite;          /* the values of this block */
    float *left, *s;      /* queries and scores of one tile */
    float *parts;         /* mix_values' */
    float *room;          /* to convert rows of other types */
    float *o, *m, *l;     /* (n,width), (n), (n) */
    float *term;          /* find_terms' */
} task;

static bool serves(const att_attention_problem *p)
{
    const att_attention_desc *d = &p->desc;
    return p->dtype != ATT_F64 && d->score == ATT_SCORE_DOT && d->align == ATT_ALIGN_SOFTMAX &&
           d->masked_rows == ATT_MASKED_ZERO;
}

/* Lays the task out from `scratch` on; returns how many floats it takes. */
static int64_t lay_out(task *x, const att_attention_problem *p, int64_t n, float *scratch)
{
    layout at = {scratch, 0};
    *x = (task){.p = p, .n = n, .few = are_few(p, n), .width = panels(p->Dv) * NR};
    x->keys = take(&at, transposed_floats(p->D));
    x->values = take(&at, panels_floats(KEYS, p->Dv));
    x->left = take(&at, left_floats(p->D));
    x->s = take(&at, SUB * LD);
    x->parts = take(&at, weights_floats());
    x->room = take(&at, room_floats(p));
    x->o = take(&at, whole_strips(n) * x->width);
    x->m = take(&at, n);
    x->l = take(&at, n);
    x->term = take(&at, has_distances(p) ? DISTANCES : 0);
    return at.floats;
}

static int64_t forward_floats(const att_attention_problem *p, int64_t n)
{
    task x;
    return lay_out(&x, p, n, NULL);
}

static void scale_row(float *y, float by, int64_t width)
{
    vf f = vf_set1(by);
    for (int64_t d = 0; d < width; d += VF_LANES) vf_store(y + d, vf_mul(f, vf_load(y + d)));
}

/* The running maximum of row r, now that the largest score of the tile is top; o and l follow when it grows. Returns
 * what scores are relative to: while nothing was visible the maximum is -inf, and weights are 2^(-inf - 0) = 0, or NaN.
 */
static float raise_max(task *x, int64_t at, float top)
{
    const float old = x->m[at];
    if (!(top > old)) return old == -INFINITY ? 0 : old;
    x->m[at] = top;
    if (old != -INFINITY) {
        float shrink = exp2f(old - top);
        x->l[at] *= shrink;
        scale_row(x->o + at * x->width, shrink, x->width);
    }
    return top;
}

/* Scores of rows r .. r + n - 1, at most TOGETHER, to weights relative to the running maximum: together, because what
 * goes from lane to lane waits longer than all else. */
static void stream_rows(task *x, int64_t r, int n)
{
    const fused_tile *t = &x->t;
    const int64_t at = t->i - x->i + r;
    vf v[TOGETHER];
    float top[TOGETHER], sum[TOGETHER];
    for (int k = 0; k < TOGETHER; k++) {
        v[k] = vf_set1(-INFINITY);
        if (k >= n || t->row_hi[r + k] <= t->row_lo[r + k]) continue;
        dress_row(t, r + k, x->s + (r + k) * LD, NULL, x->term);
        v[k] = row_max(x->s + (r + k) * LD, lanes_down(t->row_lo[r + k]), lanes_up(t->row_hi[r + k]));
    }
    vf_hmax4(top, v[0], v[1], v[2], v[3]);
    for (int k = 0; k < n; k++)
        if (t->row_hi[r + k] > t->row_lo[r + k]) top[k] = raise_max(x, at + k, top[k]);
    for (int k = 0; k < TOGETHER; k++) { /* without a call: what 2^x needs stays in registers */
        v[k] = vf_zero();
        if (k >= n || t->row_hi[r + k] <= t->row_lo[r + k]) continue;
        v[k] = exp2_row(x->s + (r + k) * LD, top[k], lanes_down(t->row_lo[r + k]), lanes_up(t->row_hi[r + k]));
    }
    vf_sum4(sum, v[0], v[1], v[2], v[3]);
    for (int k = 0; k < n; k++) {
        x->l[at + k] += sum[k];
        if (t->row_hi[r + k] <= t->row_lo[r + k]) continue;
        if (x->p->centre.data) gauss_row(t, r + k, x->s + (r + k) * LD);
        if (x->p->desc.dropout > 0) drop_row(t, r + k, x->s + (r + k) * LD);
    }
}

static void tile_scores(task *x)
{
    const att_attention_problem *p = x->p;
    const fused_tile *t = &x->t;
    rows queries = query_rows(t);
    pack_queries_of(x->left, &queries, query_factor(p), x->room);
    if (x->few)
        few_scores(t, x->s, x->left);
    else
        scores_of(t, x->s, x->left, x->keys, p->D, query_factor(p));
    if (has_distances(p) && att_positions_are_indices(p)) find_terms(t, x->term);
}

static void forward_tile(task *x)
{
    const fused_tile *t = &x->t;
    tile_scores(x);
    for (int k = 0; k < t->strips; k++) {
        const strip *y = &t->strip[k];
        for (int r = 0; r < y->rows; r += TOGETHER)
            stream_rows(x, y->row + r, y->rows - r < TOGETHER ? y->rows - r : TOGETHER);
        for (int r = y->row; r < y->row + y->rows; r++) clear_around(t, r, x->s + r * LD, y->lo, y->hi);
    }
    rows values = value_rows(t, t->j, KEYS);
    float *o = x->o + (t->i - x->i) * x->width;
    if (x->few)
        few_values(t, o, x->width, x->s, x->finite);
    else
        mix_values(t, o, x->width, x->s, x->values, x->finite, &values, x->parts);
}

/* Keys j + lo .. j + hi - 1 and their values. */
static void pack_keys(task *x, int64_t j, int64_t lo, int64_t hi)
{
    rows keys = key_rows(&x->t, j + lo, hi - lo), values = value_rows(&x->t, j + lo, hi - lo);
    if (x->few) {
        x->finite = are_finite(&values);
        return;
    }
    pack_keys_of(x->keys, &keys, lo, hi, x->room);
    x->finite = pack_values_of(x->values, &values, lo, hi, x->room);
}

/* Part `k` of `parts` of the keys and values of the block from j on, on their way to the second-level cache while the
 * products of this block run, unless packing asks for them. */
static void fetch_ahead(const task *x, int64_t j, int64_t hi, int64_t k, int64_t parts)
{
    if (PACKING_ASKS && x->p->kv_dtype == ATT_F32 && !x->few) return;
    int64_t all = hi - j < KEYS ? hi - j : KEYS, from = all * k / parts, to = all * (k + 1) / parts;
    rows keys = key_rows(&x->t, j + from, to - from), values = value_rows(&x->t, j + from, to - from);
    fetch(&keys);
    fetch(&values);
}

/* The keys that some query of the task may see. */
static void task_range(const task *x, int64_t *lo, int64_t *hi)
{
    int64_t other;
    att_attention_range(x->p, x->t.b, x->i, lo, &other);
    att_attention_range(x->p, x->t.b, x->i + x->n - 1, &other, hi);
}

/* n floats times `factor`, or 0 where the row does not count, as elements of a type, which is a constant. */
VF_INLINE void store_as(const att_dtype type, void *to, const float *from, int64_t n, float factor, bool counts)
{
    const vf f = vf_set1(factor);
    for (int64_t d = 0; d < n; d += VF_LANES) {
        vf o = counts ? vf_mul(f, vf_load(from + d)) : vf_zero();
        switch (type) {
        case ATT_BF16: vf_to_bf16_n((uint16_t *)to + d, o, n - d < VF_LANES ? n - d : VF_LANES); break;
        case ATT_F16: vf_to_f16_n((uint16_t *)to + d, o, n - d < VF_LANES ? n - d : VF_LANES); break;
        default: vf_store_some((float *)to + d, o, n - d); break;
        }
    }
}

/* o of row r of the task. */
static void store_row(const task *x, int64_t r, float factor, bool counts)
{
    const att_attention_problem *p = x->p;
    const float *from = x->o + r * x->width;
    const int64_t at = x->t.b * p->o.b + x->t.h * p->o.h + (x->i + r) * p->o.t;
    switch (p->dtype) {
    case ATT_BF16: store_as(ATT_BF16, (uint16_t *)p->o.data + at, from, p->Dv, factor, counts); break;
    case ATT_F16: store_as(ATT_F16, (uint16_t *)p->o.data + at, from, p->Dv, factor, counts); break;
    default: store_as(ATT_F32, (float *)p->o.data + at, from, p->Dv, factor, counts); break;
    }
}

static bool is_watched(const att_attention_problem *p)
{
    return p->weights.data || p->entropy.data || p->top_keys.data || p->column_sums.data;
}

/* Rows of o and, where somebody asks for it, the log-sum-exp: for the second pass in x->l. */
static void end_rows(const task *x)
{
    const att_attention_problem *p = x->p;
    const bool logs = p->lse.data || is_watched(p);
    for (int64_t r = 0; r < x->n; r++) {
        float l = x->l[r];
        store_row(x, r, l == 0 ? 0 : 1 / l, row_counts(&x->t, x->i + r));
        if (!logs) continue;
        x->l[r] = l == 0 ? -INFINITY : (float)((double)x->m[r] / LOG2E + log((double)l));
        if (p->lse.data) *row_of(&p->lse, x->t.b, x->t.h, x->i + r) = x->l[r];
    }
}

/* ---- a second pass over the keys, for callers who ask what the weights were; x->l holds lse ---- */

/* What the pass adds to. column_sums is the caller's to clear: other tasks add to it too. */
static void clear_watched(const task *x)
{
    const att_attention_problem *p = x->p;
    for (int64_t i = x->i; i < x->i + x->n; i++) {
        if (p->weights.data) memset(row_of(&p->weights, x->t.b, x->t.h, i), 0, (size_t)p->Tk * sizeof(float));
        if (p->entropy.data) *row_of(&p->entropy, x->t.b, x->t.h, i) = 0;
        for (int64_t k = 0; p->top_keys.data && k < p->top; k++) {
            ((int32_t *)(void *)row_of(&p->top_keys, x->t.b, x->t.h, i))[k * p->top_keys.d] = -1;
            row_of(&p->top_weights, x->t.b, x->t.h, i)[k * p->top_weights.d] = 0;
        }
    }
}

/* - sum_j w log w; with w = 2^(e - shift) its logarithm is known. Scores e are -inf where hidden. */
static float entropy_of(const float *e, const float *w, float shift, int64_t lo, int64_t hi)
{
    const vf s = vf_set1(shift), none = vf_zero();
    vf sum = vf_zero();
    for (int64_t c = lo; c < hi; c += VF_LANES) {
        vf y = vf_load(w + c), bits = vf_mul(y, vf_sub(s, vf_load(e + c)));
        sum = vf_add(sum, vf_select(vf_le(y, none), none, bits));
    }
    return (float)((double)vf_sum(sum) / LOG2E);
}

/* The same where a Gaussian has been multiplied in. */
static float plain_entropy_of(const float *w, int64_t lo, int64_t hi)
{
    float sum = 0;
    for (int64_t c = lo; c < hi; c++)
        if (w[c] != 0) sum -= w[c] * logf(w[c]);
    return sum;
}

/* Into the list of the n largest weights, before the first smaller one: the lower key stays first among equals. A key
 * of -1 marks where the list ends. */
static void insert_top(const att_attention_problem *p, int32_t *key, float *weight, int64_t j, float w)
{
    int64_t n = p->top, k_step = p->top_keys.d, w_step = p->top_weights.d, at = n;
    while (at > 0 && (key[(at - 1) * k_step] < 0 || w > weight[(at - 1) * w_step])) at--;
    if (at == n) return;
    for (int64_t m = n - 1; m > at; m--) {
        key[m * k_step] = key[(m - 1) * k_step];
        weight[m * w_step] = weight[(m - 1) * w_step];
    }
    key[at * k_step] = (int32_t)j;
    weight[at * w_step] = w;
}

/* Weights w of row r, made from scores e that are -inf where hidden. */
static void watch_row(const task *x, int64_t r, const float *e, const float *w, float shift)
{
    const att_attention_problem *p = x->p;
    const fused_tile *t = &x->t;
    int64_t lo = t->row_lo[r], hi = t->row_hi[r], i = t->i + r;
    if (p->weights.data) memcpy(row_of(&p->weights, t->b, t->h, i) + t->j + lo, w + lo, (size_t)(hi - lo) * sizeof *w);
    if (p->entropy.data)
        *row_of(&p->entropy, t->b, t->h, i) +=
            p->centre.data ? plain_entropy_of(w, lo, hi) : entropy_of(e, w, shift, lanes_down(lo), lanes_up(hi));
    if (p->top_keys.data) {
        int32_t *key = (int32_t *)p->top_keys.data + t->b * p->top_keys.b + t->h * p->top_keys.h + i * p->top_keys.t;
        for (int64_t c = lo; c < hi; c++)
            if (e[c] != -INFINITY) insert_top(p, key, row_of(&p->top_weights, t->b, t->h, i), t->j + c, w[c]);
    }
    for (int64_t c = lo; p->column_sums.data && c < hi; c++) *row_of(&p->column_sums, t->b, t->h, t->j + c) += w[c];
}

static void watch_tile(task *x, int64_t at)
{
    const fused_tile *t = &x->t;
    float scores[LD];
    tile_scores(x);
    for (int64_t r = 0; r < t->n; r++) {
        float *e = x->s + r * LD, lse = x->l[at + r];
        int64_t lo = lanes_down(t->row_lo[r]), hi = lanes_up(t->row_hi[r]);
        if (t->row_hi[r] <= t->row_lo[r]) continue;
        dress_row(t, r, e, NULL, x->term);
        memcpy(scores + lo, e + lo, (size_t)(hi - lo) * sizeof *e);
        weights_row(e, lse, lo, hi);
        if (x->p->centre.data) gauss_row(t, r, e);
        watch_row(x, r, scores, e, (float)((double)lse * LOG2E));
    }
}

/* One stream over the keys. */
static void stream(task *x, bool watch)
{
    int64_t lo, hi, n = x->n;
    task_range(x, &lo, &hi);
    fetch_ahead(x, lo, hi, 0, 1); /* the first block, which no products before it asked for */
    for (int64_t j = lo / KEYS * KEYS; j < hi; j += KEYS) {
        bool packed = false; /* nobody may see this block */
        for (int64_t at = 0; at < n; at += SUB) {
            if (!place_tile(&x->t, x->i + at, n - at < SUB ? n - at : SUB, j)) continue;
            if (!packed) pack_keys(x, j, lo > j ? lo - j : 0, hi < j + KEYS ? hi - j : KEYS);
            packed = true;
            fetch_ahead(x, j + KEYS, hi, at / SUB, (n + SUB - 1) / SUB);
            watch ? watch_tile(x, at) : forward_tile(x);
        }
    }
}

static void forward(const att_attention_problem *p, int64_t b, int64_t h, int64_t i, int64_t n, float *scratch)
{
    task x;
    lay_out(&x, p, n, scratch);
    x.i = i;
    x.t = (fused_tile){.p = p, .b = b, .h = h, .hkv = h / (p->Hq / p->Hkv)};
    float sink = p->sinks.data ? (float)((double)*row_of(&p->sinks, 0, h, 0) * unit_of(p)) : -INFINITY;
    fill(x.m, sink, 0, n); /* a sink is a first key whose value is 0 */
    fill(x.l, sink == -INFINITY ? 0.0f : 1.0f, 0, n);
    memset(x.o, 0, (size_t)((x.m - x.o) * (int64_t)sizeof *x.o));
    begin_products();
    stream(&x, false);
    end_rows(&x);
    if (is_watched(p)) {
        clear_watched(&x);
        stream(&x, true);
    }
    end_products();
}

void ATT_VARIANT(att_register_fused_forward)(att_fused_kernels *t);
void ATT_VARIANT(att_register_fused_forward)(att_fused_kernels *t)
{
    t->serves = serves;
    t->sub = SUB;
    t->forward_floats = forward_floats;
    t->forward = forward;
}
