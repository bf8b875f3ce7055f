/* The reference's steps of recurrent layers (kernel/ref/rnn.c: the formulas are there) on vectors. `n` is how many
 * lanes count, `at` where in a gate of U values they are. */
#include "kernel/cpu/vmath.h"
#include "kernel/tables.h"

VF_INLINE vf one_minus(vf a)
{
    return vf_sub(vf_set1(1.0f), a);
}

/* sigmoid'(x) from s = sigmoid(x). */
VF_INLINE vf slope(vf s)
{
    return vf_fnma(s, s, s);
}

VF_INLINE vf gate(const float *gx, const float *hg, int64_t n)
{
    return vf_sigmoid(vf_add(vf_load_some(gx, n), vf_load_some(hg, n)));
}

/* z h + (1 - z) m */
VF_INLINE vf blend(vf z, vf h, vf m)
{
    return vf_fma(z, vf_sub(h, m), m);
}

VF_INLINE void gru_lanes(float *h, float *saved, const float *gx, const float *hg, const float *prev, int64_t U,
                         int64_t at, int64_t n)
{
    vf z = gate(gx + at, hg + at, n), r = gate(gx + U + at, hg + U + at, n);
    vf q = vf_load_some(hg + 2 * U + at, n);
    vf m = vf_tanh(vf_fma(r, q, vf_load_some(gx + 2 * U + at, n)));
    vf_store_some(h + at, blend(z, vf_load_some(prev + at, n), m), n);
    if (!saved) return;
    vf_store_some(saved + at, z, n);
    vf_store_some(saved + U + at, r, n);
    vf_store_some(saved + 2 * U + at, m, n);
    vf_store_some(saved + 3 * U + at, q, n);
}

static void gru(float *h, float *saved, const float *gx, const float *hg, const float *prev, int64_t U)
{
    int64_t at = 0;
    for (; at + VF_LANES <= U; at += VF_LANES) gru_lanes(h, saved, gx, hg, prev, U, at, VF_LANES);
    if (at < U) gru_lanes(h, saved, gx, hg, prev, U, at, U - at);
}

VF_INLINE void gru_bwd_lanes(float *dgx, float *dhg, float *carry, const float *dh, const float *saved,
                             const float *prev, int64_t U, int64_t at, int64_t n)
{
    vf z = vf_load_some(saved + at, n), r = vf_load_some(saved + U + at, n);
    vf m = vf_load_some(saved + 2 * U + at, n), q = vf_load_some(saved + 3 * U + at, n);
    vf d = vf_add(vf_load_some(dh + at, n), vf_load_some(carry + at, n));
    vf dz = vf_mul(vf_mul(d, vf_sub(vf_load_some(prev + at, n), m)), slope(z));
    vf dm = vf_mul(vf_mul(d, one_minus(z)), vf_fnma(m, m, vf_set1(1.0f)));
    vf dr = vf_mul(vf_mul(dm, q), slope(r));
    vf_store_some(dgx + at, dz, n);
    vf_store_some(dgx + U + at, dr, n);
    vf_store_some(dgx + 2 * U + at, dm, n);
    vf_store_some(dhg + at, dz, n);
    vf_store_some(dhg + U + at, dr, n);
    vf_store_some(dhg + 2 * U + at, vf_mul(r, dm), n);
    vf_store_some(carry + at, vf_mul(d, z), n);
}

static void gru_bwd(float *dgx, float *dhg, float *carry, const float *dh, const float *saved, const float *prev,
                    int64_t U)
{
    int64_t at = 0;
    for (; at + VF_LANES <= U; at += VF_LANES) gru_bwd_lanes(dgx, dhg, carry, dh, saved, prev, U, at, VF_LANES);
    if (at < U) gru_bwd_lanes(dgx, dhg, carry, dh, saved, prev, U, at, U - at);
}

VF_INLINE void gru_reset_lanes(float *gates, float *rh, const float *gx, const float *hg, const float *prev, int64_t U,
                               int64_t at, int64_t n)
{
    vf z = gate(gx + at, hg + at, n), r = gate(gx + U + at, hg + U + at, n);
    vf_store_some(gates + at, z, n);
    vf_store_some(gates + U + at, r, n);
    vf_store_some(rh + at, vf_mul(r, vf_load_some(prev + at, n)), n);
}

static void gru_reset(float *gates, float *rh, const float *gx, const float *hg, const float *prev, int64_t U)
{
    int64_t at = 0;
    for (; at + VF_LANES <= U; at += VF_LANES) gru_reset_lanes(gates, rh, gx, hg, prev, U, at, VF_LANES);
    if (at < U) gru_reset_lanes(gates, rh, gx, hg, prev, U, at, U - at);
}

VF_INLINE void gru_blend_lanes(float *h, float *gates, const float *gx, const float *hn, const float *prev, int64_t U,
                               int64_t at, int64_t n)
{
    vf z = vf_load_some(gates + at, n);
    vf m = vf_tanh(vf_add(vf_load_some(gx + 2 * U + at, n), vf_load_some(hn + at, n)));
    vf_store_some(h + at, blend(z, vf_load_some(prev + at, n), m), n);
    vf_store_some(gates + 2 * U + at, m, n);
}

static void gru_blend(float *h, float *gates, const float *gx, const float *hn, const float *prev, int64_t U)
{
    int64_t at = 0;
    for (; at + VF_LANES <= U; at += VF_LANES) gru_blend_lanes(h, gates, gx, hn, prev, U, at, VF_LANES);
    if (at < U) gru_blend_lanes(h, gates, gx, hn, prev, U, at, U - at);
}

VF_INLINE void gru_blend_bwd_lanes(float *dg, float *carry, const float *dh, const float *saved, const float *prev,
                                   int64_t U, int64_t at, int64_t n)
{
    vf z = vf_load_some(saved + at, n), m = vf_load_some(saved + 2 * U + at, n);
    vf d = vf_add(vf_load_some(dh + at, n), vf_load_some(carry + at, n));
    vf_store_some(dg + at, vf_mul(vf_mul(d, vf_sub(vf_load_some(prev + at, n), m)), slope(z)), n);
    vf_store_some(dg + 2 * U + at, vf_mul(vf_mul(d, one_minus(z)), vf_fnma(m, m, vf_set1(1.0f))), n);
    vf_store_some(carry + at, vf_mul(d, z), n);
}

static void gru_blend_bwd(float *dg, float *carry, const float *dh, const float *saved, const float *prev, int64_t U)
{
    int64_t at = 0;
    for (; at + VF_LANES <= U; at += VF_LANES) gru_blend_bwd_lanes(dg, carry, dh, saved, prev, U, at, VF_LANES);
    if (at < U) gru_blend_bwd_lanes(dg, carry, dh, saved, prev, U, at, U - at);
}

VF_INLINE void gru_reset_bwd_lanes(float *dg, float *carry, float *rh, const float *drh, const float *saved,
                                   const float *prev, int64_t U, int64_t at, int64_t n)
{
    vf r = vf_load_some(saved + U + at, n), d = vf_load_some(drh + at, n), h = vf_load_some(prev + at, n);
    vf_store_some(dg + U + at, vf_mul(vf_mul(d, h), slope(r)), n);
    vf_store_some(carry + at, vf_fma(d, r, vf_load_some(carry + at, n)), n);
    vf_store_some(rh + at, vf_mul(r, h), n);
}

static void gru_reset_bwd(float *dg, float *carry, float *rh, const float *drh, const float *saved, const float *prev,
                          int64_t U)
{
    int64_t at = 0;
    for (; at + VF_LANES <= U; at += VF_LANES) gru_reset_bwd_lanes(dg, carry, rh, drh, saved, prev, U, at, VF_LANES);
    if (at < U) gru_reset_bwd_lanes(dg, carry, rh, drh, saved, prev, U, at, U - at);
}

VF_INLINE void lstm_lanes(float *h, float *c, float *saved, const float *gx, const float *hg, const float *c_prev,
                          int64_t U, int64_t at, int64_t n)
{
    vf i = gate(gx + at, hg + at, n), f = gate(gx + U + at, hg + U + at, n);
    vf g = vf_tanh(vf_add(vf_load_some(gx + 2 * U + at, n), vf_load_some(hg + 2 * U + at, n)));
    vf o = gate(gx + 3 * U + at, hg + 3 * U + at, n);
    vf cell = vf_fma(f, vf_load_some(c_prev + at, n), vf_mul(i, g));
    vf_store_some(c + at, cell, n);
    vf_store_some(h + at, vf_mul(o, vf_tanh(cell)), n);
    if (!saved) return;
    vf_store_some(saved + at, i, n);
    vf_store_some(saved + U + at, f, n);
    vf_store_some(saved + 2 * U + at, g, n);
    vf_store_some(saved + 3 * U + at, o, n);
}

static void lstm(float *h, float *c, float *saved, const float *gx, const float *hg, const float *c_prev, int64_t U)
{
    int64_t at = 0;
    for (; at + VF_LANES <= U; at += VF_LANES) lstm_lanes(h, c, saved, gx, hg, c_prev, U, at, VF_LANES);
    if (at < U) lstm_lanes(h, c, saved, gx, hg, c_prev, U, at, U - at);
}

VF_INLINE void lstm_bwd_lanes(float *dg, float *carry, float *carry_c, const float *dh, const float *saved,
                              const float *c, const float *c_prev, int64_t U, int64_t at, int64_t n)
{
    vf i = vf_load_some(saved + at, n), f = vf_load_some(saved + U + at, n);
    vf g = vf_load_some(saved + 2 * U + at, n), o = vf_load_some(saved + 3 * U + at, n);
    vf d = vf_add(vf_load_some(dh + at, n), vf_load_some(carry + at, n)), t = vf_tanh(vf_load_some(c + at, n));
    vf dc = vf_fma(vf_mul(d, o), vf_fnma(t, t, vf_set1(1.0f)), vf_load_some(carry_c + at, n));
    vf_store_some(dg + at, vf_mul(vf_mul(dc, g), slope(i)), n);
    vf_store_some(dg + U + at, vf_mul(vf_mul(dc, vf_load_some(c_prev + at, n)), slope(f)), n);
    vf_store_some(dg + 2 * U + at, vf_mul(vf_mul(dc, i), vf_fnma(g, g, vf_set1(1.0f))), n);
    vf_store_some(dg + 3 * U + at, vf_mul(vf_mul(d, t), slope(o)), n);
    vf_store_some(carry_c + at, vf_mul(dc, f), n);
    vf_store_some(carry + at, vf_zero(), n);
}

static void lstm_bwd(float *dg, float *carry, float *carry_c, const float *dh, const float *saved, const float *c,
                     const float *c_prev, int64_t U)
{
    int64_t at = 0;
    for (; at + VF_LANES <= U; at += VF_LANES)
        lstm_bwd_lanes(dg, carry, carry_c, dh, saved, c, c_prev, U, at, VF_LANES);
    if (at < U) lstm_bwd_lanes(dg, carry, carry_c, dh, saved, c, c_prev, U, at, U - at);
}

void ATT_VARIANT(att_register_rnn)(att_rnn_kernels *t);
void ATT_VARIANT(att_register_rnn)(att_rnn_kernels *t)
{
    *t = (att_rnn_kernels){
        .gru = gru,
        .gru_bwd = gru_bwd,
        .gru_reset = gru_reset,
        .gru_blend = gru_blend,
        .gru_blend_bwd = gru_blend_bwd,
        .gru_reset_bwd = gru_reset_bwd,
        .lstm = lstm,
        .lstm_bwd = lstm_bwd,
    };
}
