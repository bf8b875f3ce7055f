/* Few queries of float32, as a cached decoder has: keys and values are read where they lie, for packing them would cost
 * more than the products. The chains of multiply-adds, and so the bits, are those of packed operands. */
#ifndef ATT_CPU_FUSED_FEW_H
#define ATT_CPU_FUSED_FEW_H

#include "kernel/cpu/fused.h"

enum { FEW_QUERIES = MR < 6 ? MR : 6 }; /* in one strip: a beam of 5, or 6 */

static inline bool are_few(const att_attention_problem *p, int64_t queries)
{
    return !FUSED_ALIGNED && queries <= FEW_QUERIES && p->kv_dtype == ATT_F32 && p->D <= KEYS && p->Dv % VF_LANES == 0;
}

/* Whether all of the rows is finite. */
static inline bool are_finite(const rows *x)
{
    vf sick[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()}; /* 0, or NaN once an Inf or NaN was seen */
    for (int64_t r = 0; r < x->n; r++) {
        const float *row = (const float *)(const void *)bytes_at(x, r);
        int64_t d = 0;
        for (; d + 4 * VF_LANES <= x->width; d += 4 * VF_LANES)
#pragma GCC unroll 4
            for (int v = 0; v < 4; v++) sick[v] = vf_fma(vf_load(row + d + v * VF_LANES), vf_zero(), sick[v]);
        for (; d < x->width; d += VF_LANES) sick[0] = vf_fma(vf_load_some(row + d, x->width - d), vf_zero(), sick[0]);
    }
    return !vm_any(vf_isnan(vf_add(vf_add(sick[0], sick[1]), vf_add(sick[2], sick[3]))));
}

/* s[r * LD + i] = q_r . row[i] for m queries and 4 `groups` keys; m and groups are constants. */
VF_INLINE void score_keys(float *s, const int m, const float *q, const float *const *row, const int groups, int64_t D)
{
    vf sum[FEW_QUERIES], column[4];
    int64_t j = 0;
#pragma GCC unroll 8
    for (int r = 0; r < m; r++) sum[r] = vf_zero();
    for (; j + 4 <= D; j += 4) {
        transpose_four(column, row, j, groups);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
#pragma GCC unroll 8
            for (int r = 0; r < m; r++) sum[r] = vf_fma(vf_set1(q[r * LD + j + i]), column[i], sum[r]);
    }
    for (; j < D; j++) {
        float lane[VF_LANES];
        for (int i = 0; i < VF_LANES; i++) lane[i] = row[i][j];
#pragma GCC unroll 8
        for (int r = 0; r < m; r++) sum[r] = vf_fma(vf_set1(q[r * LD + j]), vf_load(lane), sum[r]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < m; r++) vf_store(s + r * LD, sum[r]);
}

VF_INLINE void score_group(float *s, int64_t m, const float *q, const float *const *row, const int groups, int64_t D)
{
    switch (m) {
    case 1: score_keys(s, 1, q, row, groups, D); break;
    case 2: score_keys(s, 2, q, row, groups, D); break;
    case 3: score_keys(s, 3, q, row, groups, D); break;
#if GEMM_MR > 4
    case 5: score_keys(s, 5, q, row, groups, D); break;
    case 6: score_keys(s, 6, q, row, groups, D); break;
#endif
    default: score_keys(s, 4, q, row, groups, D); break;
    }
}

/* The scores of the tile's queries, packed in `left`, with the visible ones of its keys. */
static inline void few_scores(const fused_tile *t, float *s, const float *left)
{
    const rows keys = key_rows(t, t->j, KEYS);
    const float *row[VF_LANES];
    for (int64_t c = lanes_down(t->lo); c < t->hi; c += VF_LANES) {
        for (int64_t i = 0; i < VF_LANES; i++) {
            int64_t at = c + i < t->lo ? t->lo : c + i < t->hi ? c + i : t->hi - 1;
            row[i] = (const float *)(const void *)bytes_at(&keys, at);
        }
        if (VF_LANES > 4 && t->hi - c <= 4)
            score_group(s + c, t->n, left, row, 1, t->p->D);
        else
            score_group(s + c, t->n, left, row, VF_LANES / 4, t->p->D);
    }
}

/* o += w values of m queries and as many vectors of columns as t has, at most `count`. */
VF_INLINE void mix_vectors(const int m, const int count, const gemm_tile *t)
{
    gemm_tile_body(m, m * count > GEMM_ACC ? 1 : count, LD, 1, GEMM_B_LIES, t);
}

VF_INLINE void mix_rows(int64_t m, const int count, const gemm_tile *t)
{
    switch (m) {
    case 1: mix_vectors(1, count, t); break;
    case 2: mix_vectors(2, count, t); break;
    case 3: mix_vectors(3, count, t); break;
#if GEMM_MR > 4
    case 5: mix_vectors(5, count, t); break;
    case 6: mix_vectors(6, count, t); break;
#endif
    default: mix_vectors(4, count, t); break;
    }
}

/* o(n,o_row) += w values on the visible keys. */
static inline void few_values(const fused_tile *t, float *o, int64_t o_row, const float *w, bool finite)
{
    const strip *y = &t->strip[0];
    const rows values = value_rows(t, t->j, KEYS);
    const float *first = (const float *)(const void *)bytes_at(&values, y->lo);
    const int64_t Dv = t->p->Dv;
    gemm_tile g = {.c_row = o_row, .a = w + y->lo, .b_row = t->p->v.t, .b_panel = NR, .k = y->hi - y->lo, .add = true};
    for (int64_t d = 0; d < Dv; d += g.cols) {
        int64_t most = GEMM_ACC / t->n, left = (Dv - d) / VF_LANES, count = left < most ? left : most;
        count = count >= 8 ? 8 : count >= 4 ? 4 : count >= 2 ? 2 : 1;
        g.c = o + d;
        g.b = first + d;
        g.cols = count * VF_LANES;
        if (!finite)
            times_seen(t->n, LD, 1, g.cols, &g);
        else if (count == 8)
            mix_rows(t->n, 8, &g);
        else if (count == 4)
            mix_rows(t->n, 4, &g);
        else if (count == 2)
            mix_rows(t->n, 2, &g);
        else
            mix_rows(t->n, 1, &g);
    }
}

#endif
