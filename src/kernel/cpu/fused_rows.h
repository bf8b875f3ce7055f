/* What happens to a row of scores on the way to weights: softcap, bias and mask, then 2^e against the running maximum.
 * Scores are kept in units of log 2: the queries carry scale log2(e), so that a weight costs one 2^x. */
#ifndef ATT_CPU_FUSED_ROWS_H
#define ATT_CPU_FUSED_ROWS_H

#include <attend/random.h>

#include "kernel/cpu/fused.h"
#include "kernel/cpu/vmath.h"

/* What the queries are times: with a softcap, e = cap tanh(q k scale / cap). */
static inline float query_factor(const att_attention_problem *p)
{
    return (float)(p->desc.softcap > 0 ? p->scale / (double)p->desc.softcap : p->scale * LOG2E);
}

/* e -> cap log2(e) tanh(e), and 1 - tanh^2 into slope unless that is NULL. */
static inline void cap_row(float *e, float *slope, float cap, int64_t lo, int64_t hi)
{
    const vf top = vf_set1((float)((double)cap * LOG2E));
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

static inline void bias_row(float *e, const float *bias, int64_t step, int64_t lo, int64_t hi)
{
    float room[KEYS];
    const float *b = dense_row(bias, step, lo, hi, room);
    const vf none = vf_set1(-INFINITY);
    for (int64_t c = lo; c < hi; c += VF_LANES) {
        vf x = vf_load_some(b + c, hi - c);
        vf_store(e + c, vf_select(vf_le(x, none), none, vf_fma(x, vf_set1((float)LOG2E), vf_load(e + c))));
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

/* Row r of raw scores becomes e, -inf where hidden, in whole vectors that cover row_lo .. row_hi. */
static inline void dress_row(const fused_tile *t, int64_t r, float *e, float *slope)
{
    const att_attention_problem *p = t->p;
    int64_t lo = t->row_lo[r], hi = t->row_hi[r], i = t->i + r;
    if (p->desc.softcap > 0) cap_row(e, slope, p->desc.softcap, lo, hi);
    if (p->bias.data) bias_row(e, row_of(&p->bias, t->b, t->h, i) + t->j * p->bias.d, p->bias.d, lo, hi);
    if (p->mask.data) {
        const att_grid *m = &p->mask;
        const uint8_t *row = (const uint8_t *)m->data + t->b * m->b + t->h * m->h + i * m->t + t->j * m->d;
        mask_row(e, row, m->d, lo, hi);
    }
    fill(e, -INFINITY, lanes_down(lo), lo);
    fill(e, -INFINITY, hi, lanes_up(hi));
}

/* Zeros in columns lo .. hi - 1 but for those that dress_row has made. */
static inline void clear_around(const fused_tile *t, int64_t r, float *e, int64_t lo, int64_t hi)
{
    int64_t from = lanes_down(t->row_lo[r]), to = lanes_up(t->row_hi[r]);
    if (t->row_hi[r] <= t->row_lo[r]) from = to = hi;
    fill(e, 0, lo, from < hi ? from : hi);
    fill(e, 0, to > lo ? to : lo, hi);
}

static inline float row_max(const float *e, int64_t lo, int64_t hi)
{
    vf best = vf_set1(-INFINITY), other = best; /* a NaN in e is passed over */
    int64_t c = lo;
    for (; c + 2 * VF_LANES <= hi; c += 2 * VF_LANES) {
        best = vf_max(vf_load(e + c), best);
        other = vf_max(vf_load(e + c + VF_LANES), other);
    }
    if (c < hi) best = vf_max(vf_load(e + c), best);
    return vf_hmax(vf_max(best, other));
}

/* e -> 2^(e - shift) in whole vectors from lo to hi, multiples of VF_LANES; returns the sum. */
static inline float exp2_row(float *e, float shift, int64_t lo, int64_t hi)
{
    const vf s = vf_set1(shift);
    vf sum = vf_zero();
    for (int64_t c = lo; c < hi; c += VF_LANES) {
        vf w = vf_exp2(vf_sub(vf_load(e + c), s));
        vf_store(e + c, w);
        sum = vf_add(sum, w);
    }
    return vf_sum(sum);
}

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
    double least = (double)p->desc.dropout * 4294967296.0;
    float up = (float)(1.0 / (1.0 - (double)p->desc.dropout));
    uint64_t stream = (uint64_t)(t->b * p->Hq + t->h) << 32 | (uint64_t)(t->i + r);
    for (int64_t c = t->row_lo[r] / 4 * 4; c < t->row_hi[r]; c += 4) {
        uint32_t draw[4];
        att_philox(p->desc.seed, stream, (uint64_t)((t->j + c) / 4), draw);
        for (int64_t k = 0; k < 4; k++) w[c + k] = (double)draw[k] >= least ? w[c + k] * up : 0.0f;
    }
}

#endif
