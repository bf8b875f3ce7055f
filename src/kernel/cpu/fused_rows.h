/* What happens to a row of scores on the way to weights: softcap, bias and mask, then 2^e against the running maximum.
 * Scores are kept in units of log 2: the queries carry scale log2(e), so that a weight costs one 2^x. */
#ifndef ATT_CPU_FUSED_ROWS_H
#define ATT_CPU_FUSED_ROWS_H

#if defined(ATT_VARIANT_BF16)
#include "kernel/cpu/fused_bf16.h"
#else
#include "kernel/cpu/fused_simd.h"
#endif
#include "kernel/cpu/philox.h"
#include "kernel/cpu/vmath.h"

/* What a term of the score is times: after the temperature, in units of log 2. */
static inline double unit_of(const att_attention_problem *p)
{
    return LOG2E / p->temperature;
}

/* What the queries are times: with a softcap, e = cap tanh(q k scale / cap). */
static inline float query_factor(const att_attention_problem *p)
{
    return (float)(p->desc.softcap > 0 ? p->scale / (double)p->desc.softcap : p->scale * unit_of(p));
}

/* e -> top tanh(e), and 1 - tanh^2 into slope unless that is NULL. */
static inline void cap_row(float *e, float *slope, double most, int64_t lo, int64_t hi)
{
    const vf top = vf_set1((float)most);
    for (int64_t c = lo; c < hi; c += VF_LANES) {
        vf t = vf_tanh(vf_load(e + c));
        vf_store(e + c, vf_mul(top, t));
        if (slope) vf_store(slope + c, vf_fnma(t, t, vf_set1(1.0f)));
    }
}

/* Columns lo .. hi - 1 of a row with a step, side by side: the row itself or a copy in room. */
static inline const float *dense_row(const float *row, int64_t step, int64_t lo, int64_t hi, float *room)
{
    if (step == 1) return row;
    for (int64_t c = lo; c < hi; c++) room[c] = row[c * step];
    return room;
}

static inline void bias_row(float *e, const float *bias, int64_t step, float unit, int64_t lo, int64_t hi)
{
    float room[KEYS];
    const float *b = dense_row(bias, step, lo, hi, room);
    const vf none = vf_set1(-INFINITY);
    for (int64_t c = lo; c < hi; c += VF_LANES) {
        vf x = vf_load_some(b + c, hi - c);
        vf_store(e + c, vf_select(vf_le(x, none), none, vf_fma(x, vf_set1(unit), vf_load(e + c))));
    }
}

static inline void mask_row(float *e, const uint8_t *mask, int64_t step, int64_t lo, int64_t hi)
{
    for (int64_t c = lo; c < hi; c += VF_LANES) {
        uint8_t room[VF_LANES] = {0};
        const uint8_t *m = mask + c;
        if (step != 1 || hi - c < VF_LANES) {
            for (int64_t k = 0; k < VF_LANES && c + k < hi; k++) room[k] = mask[(c + k) * step];
            m = room;
        }
        vf_store(e + c, vf_select(vm_from_bytes(m), vf_load(e + c), vf_set1(-INFINITY)));
    }
}

static inline void fill(float *x, float value, int64_t lo, int64_t hi)
{
    for (int64_t c = lo; c < hi; c++) x[c] = value;
}

/* ---- terms that depend on positions ---- */

static inline bool has_distances(const att_attention_problem *p)
{
    return p->slopes.data || p->relative.data;
}

/* What head h adds to a score at distance n = y_j - x_i, times unit. */
static inline float distance_term(const att_attention_problem *p, int64_t h, int64_t n, float unit)
{
    float sum = 0;
    if (p->relative.data) sum += row_of(&p->relative, 0, h, 0)[att_relative_index(p, n) * p->relative.d];
    if (p->slopes.data) sum -= *row_of(&p->slopes, 0, h, 0) * (float)(n < 0 ? -n : n);
    return sum * unit;
}

/* Where positions are indices, a tile has KEYS + SUB distances, and row r meets them in order from near_of(r) on. */
enum { DISTANCES = KEYS + SUB };

static inline int64_t near_of(int64_t r)
{
    return SUB - 1 - r;
}

/* y_j - x_i of entry 0. */
static inline int64_t first_distance(const fused_tile *t)
{
    return t->j - (t->i + SUB - 1 + t->p->desc.q_offset);
}

static inline void find_terms(const fused_tile *t, float *term)
{
    const float unit = (float)unit_of(t->p);
    int64_t n = first_distance(t);
    for (int64_t d = near_of(t->n - 1) + t->lo; d < near_of(0) + t->hi; d++)
        term[d] = distance_term(t->p, t->h, n + d, unit);
}

/* Row r of a tile whose positions are given, key by key. */
static inline void position_row(const fused_tile *t, int64_t r, float *e)
{
    const att_attention_problem *p = t->p;
    const float unit = (float)unit_of(p);
    int64_t x = att_query_position(p, t->b, t->i + r);
    for (int64_t c = t->row_lo[r]; c < t->row_hi[r]; c++) {
        int64_t n = att_key_position(p, t->b, t->j + c) - x;
        e[c] =
            att_window_shows(&p->desc, n) ? e[c] + (has_distances(p) ? distance_term(p, t->h, n, unit) : 0) : -INFINITY;
    }
}

static inline void term_row(float *e, const float *term, int64_t lo, int64_t hi)
{
    for (int64_t c = lo; c < hi; c++) e[c] += term[c];
}

static inline void block_row(const fused_tile *t, int64_t r, float *e)
{
    const int64_t side = t->p->desc.block, lo = t->j + t->row_lo[r], hi = t->j + t->row_hi[r];
    for (int64_t j = lo, next; j < hi; j = next) {
        next = (j / side + 1) * side < hi ? (j / side + 1) * side : hi;
        if (!att_blocks_show(t->p, t->i + r, j)) fill(e, -INFINITY, j - t->j, next - t->j);
    }
}

/* w -> w exp(-(j - centre)^2 / (2 sigma^2)) in whole vectors. */
static inline void gauss_row(const fused_tile *t, int64_t r, float *w)
{
    const att_attention_problem *p = t->p;
    const double sigma = (double)p->desc.sigma;
    const vf narrow = vf_set1((float)(-LOG2E / (2 * sigma * sigma)));
    const float centre = *row_of(&p->centre, t->b, t->h, t->i + r);
    for (int64_t c = lanes_down(t->row_lo[r]); c < t->row_hi[r]; c += VF_LANES) {
        float off[VF_LANES];
        for (int64_t k = 0; k < VF_LANES; k++) off[k] = (float)(t->j + c + k) - centre;
        vf x = vf_load(off);
        vf_store(w + c, vf_mul(vf_load(w + c), vf_exp2(vf_mul(narrow, vf_mul(x, x)))));
    }
}

/* The caller's query mask lets row r through. */
static inline bool row_counts(const fused_tile *t, int64_t i)
{
    const att_grid *m = &t->p->query_mask;
    return !m->data || ((const uint8_t *)m->data)[t->b * m->b + i * m->t] != 0;
}

/* -inf left of lo and from hi on, in the vectors that those share with visible columns: by whole vectors, since what
 * has just been stored piece by piece cannot be loaded as one before it has left the core. */
static inline void hide_ends(float *e, int64_t lo, int64_t hi)
{
    const vf none = vf_set1(-INFINITY);
    const int64_t first = lanes_down(lo), last = lanes_down(hi);
    if (first < lo) vf_store(e + first, vf_select_first(lo - first, none, vf_load(e + first)));
    if (last < hi) vf_store(e + last, vf_select_first(hi - last, vf_load(e + last), none));
}

/* ---- all of it ---- */

/* What changes a score, before what hides it. */
static void change_row(const fused_tile *t, int64_t r, float *e, float *slope, const float *term)
{
    const att_attention_problem *p = t->p;
    int64_t lo = t->row_lo[r], hi = t->row_hi[r], i = t->i + r;
    const float unit = (float)unit_of(p);
    if (p->desc.softcap > 0) cap_row(e, slope, (double)p->desc.softcap * unit_of(p), lo, hi);
    if (p->bias.data) bias_row(e, row_of(&p->bias, t->b, t->h, i) + t->j * p->bias.d, p->bias.d, unit, lo, hi);
    if (!att_positions_are_indices(p))
        position_row(t, r, e);
    else if (has_distances(p))
        term_row(e, term + near_of(r), lo, hi);
    if (p->block_starts.data) block_row(t, r, e);
    if (p->mask.data) {
        const att_grid *m = &p->mask;
        const uint8_t *row = (const uint8_t *)m->data + t->b * m->b + t->h * m->h + i * m->t + t->j * m->d;
        mask_row(e, row, m->d, lo, hi);
    }
}

/* Row r of raw scores becomes e, -inf where hidden, in whole vectors that cover row_lo .. row_hi. term:
 * find_terms'. */
static inline void dress_row(const fused_tile *t, int64_t r, float *e, float *slope, const float *term)
{
    if (!t->plain) change_row(t, r, e, slope, term);
    hide_ends(e, t->row_lo[r], t->row_hi[r]);
}

/* Zeros in columns lo .. hi - 1, among which all are that row r sees, and in the vectors of those, but for what
 * dress_row has made. */
static inline void clear_around(const fused_tile *t, int64_t r, float *e, int64_t lo, int64_t hi)
{
    const bool none = t->row_hi[r] <= t->row_lo[r];
    const int64_t end = lanes_up(hi);
    if (t->row_lo[r] <= lo && t->row_hi[r] >= hi) return;
    const int64_t from = none ? end : lanes_down(t->row_lo[r]), to = none ? end : lanes_up(t->row_hi[r]);
    for (int64_t c = lanes_down(lo); c < from; c += VF_LANES) vf_store(e + c, vf_zero());
    for (int64_t c = to; c < end; c += VF_LANES) vf_store(e + c, vf_zero());
}

/* In each lane, the largest of a row. */
static inline vf row_max(const float *e, int64_t lo, int64_t hi)
{
    vf best = vf_set1(-INFINITY), other = best; /* a NaN in e is passed over */
    int64_t c = lo;
    for (; c + 2 * VF_LANES <= hi; c += 2 * VF_LANES) {
        best = vf_max(vf_load(e + c), best);
        other = vf_max(vf_load(e + c + VF_LANES), other);
    }
    if (c < hi) best = vf_max(vf_load(e + c), best);
    return vf_max(best, other);
}

/* e -> 2^(e - shift) in whole vectors from lo to hi > lo, multiples of VF_LANES; returns sums by lanes. */
#if VF_LANES == 16
static inline vf exp2_row(float *e, float shift, int64_t lo, int64_t hi)
{
    const vf s = vf_set1(shift);
    vf sum = vf_zero(), t, r = vf_exp2_begin(vf_sub(vf_load(e + lo), s), &t);
    for (int64_t c = lo + VF_LANES; c < hi; c += VF_LANES) {
        vf w = vf_exp2_end(r, t);
        r = vf_exp2_begin(vf_sub(vf_load(e + c), s), &t);
        vf_store(e + c - VF_LANES, w);
        sum = vf_add(sum, w);
    }
    vf w = vf_exp2_end(r, t);
    vf_store(e + hi - VF_LANES, w);
    return vf_add(sum, w);
}
#else
static inline vf exp2_row(float *e, float shift, int64_t lo, int64_t hi)
{
    enum { TURN = 3 * VF_LANES }; /* a fourth has no registers */
    const vf_exp2_terms k = vf_exp2_begin();
    const vf minus = vf_in_register(vf_set1(-shift));
    vf sum = vf_zero();
    int64_t c = lo;
    for (; c + TURN <= hi; c += TURN)
#pragma GCC unroll 4
        for (int i = 0; i < TURN; i += VF_LANES) {
            vf w = vf_exp2_of(&k, vf_add(vf_load(e + c + i), minus));
            vf_store(e + c + i, w);
            sum = vf_add(sum, w);
        }
    for (; c < hi; c += VF_LANES) {
        vf w = vf_exp2_of(&k, vf_add(vf_load(e + c), minus));
        vf_store(e + c, w);
        sum = vf_add(sum, w);
    }
    return sum;
}
#endif

/* e -> 2^(e - lse log2(e)): the weights before dropout; none where nothing was visible. */
static inline void weights_row(float *e, float lse, int64_t lo, int64_t hi)
{
    if (lse == -INFINITY) fill(e, 0, lo, hi);
    if (lse == -INFINITY) return;
    const vf s = vf_set1(lse), unit = vf_set1((float)LOG2E);
    for (int64_t c = lo; c < hi; c += VF_LANES) vf_store(e + c, vf_exp2(vf_fnma(s, unit, vf_load(e + c))));
}

/* Weights w[lo .. hi) of row r times 0 or 1/(1-p): word j % 4 of the draw j / 4 decides. */
static inline void drop_row(const fused_tile *t, int64_t r, float *w)
{
    const att_attention_problem *p = t->p;
    const uint64_t threshold = (uint64_t)ceil((double)p->desc.dropout * 0x1p32);
    const uint32_t last_dropped = (uint32_t)(threshold - 1);
    const float up = (float)(1.0 / (1.0 - (double)p->desc.dropout));
    uint64_t stream = (uint64_t)(t->b * p->Hq + t->h) << 32 | (uint64_t)(t->i + r);
    uint32_t draw[PHILOX_WORDS];
    for (int64_t c = t->row_lo[r] / 4 * 4; c < t->row_hi[r]; c += PHILOX_WORDS) {
        int64_t m = t->row_hi[r] - c < PHILOX_WORDS ? t->row_hi[r] - c : PHILOX_WORDS;
        philox_words(p->desc.seed, stream, (uint64_t)((t->j + c) / 4), draw);
        for (int64_t k = 0; k < m; k++) w[c + k] = draw[k] > last_dropped ? w[c + k] * up : 0.0f;
    }
}

#endif
