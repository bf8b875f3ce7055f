/* Packing and products of fused attention in float32, on the micro-kernel of dense products. Rows of other types are
 * converted first. */
#ifndef ATT_CPU_FUSED_SIMD_H
#define ATT_CPU_FUSED_SIMD_H

#include "kernel/cpu/fused.h"

/* Floats that a tile's operands take. A left one: chunks of KEYS columns, each of SUB rows. */
static inline int64_t left_floats(int64_t D)
{
    return (D + KEYS - 1) / KEYS * SUB * LD;
}

static inline int64_t transposed_floats(int64_t D)
{
    return KEYS * D;
}

static inline int64_t panels_floats(int64_t height, int64_t D)
{
    return height * panels(D) * NR;
}

/* ---- packing ---- */

/* Rows lo .. hi - 1 of D floats, on their way to the first-level cache. */
static inline void fetch_floats(const float *src, int64_t row, int64_t lo, int64_t hi, int64_t D)
{
    for (int64_t r = lo; r < hi; r++)
        for (int64_t d = 0; d < D; d += GEMM_LINE) __builtin_prefetch(src + r * row + d);
}

/* dst = factor * n rows of D floats, in the layout of a left operand. */
static inline void pack_left(float *dst, const float *src, int64_t row, int64_t n, int64_t D, float factor)
{
    const vf f = vf_set1(factor);
    for (int64_t d0 = 0; d0 < D; d0 += KEYS, dst += SUB * LD) {
        const int64_t width = D - d0 < KEYS ? D - d0 : KEYS, whole = lanes_down(width);
        for (int64_t r = 0; r < n; r++) {
            const float *from = src + r * row + d0;
            float *to = dst + r * LD;
            for (int64_t d = 0; d < whole; d += VF_LANES) vf_store(to + d, vf_mul(f, vf_load(from + d)));
            if (whole < width) vf_store(to + whole, vf_mul(f, vf_load_n(from + whole, width - whole)));
        }
    }
}

/* Rows lo .. hi - 1, the first of them at src, to panels of NR columns, row r of panel c at (c * height + r) * NR;
 * zeros right of D. Returns whether all of it is finite. */
static inline bool pack_panels(float *dst, int64_t height, const float *src, int64_t row, int64_t lo, int64_t hi,
                               int64_t D)
{
    vf sick[2] = {vf_zero(), vf_zero()}; /* 0, or NaN once an Inf or NaN was seen; two, so that one need not wait */
    const int64_t whole = D / NR * NR, width = panels(D) * NR;
    for (int64_t r = lo; r < hi; r++, src += row) {
        float *to = dst + r * NR;
        if (PACKING_ASKS && r + ROWS_AHEAD < hi) fetch_floats(src, row, ROWS_AHEAD, ROWS_AHEAD + 1, D);
        for (int64_t d = 0; d < whole; d += NR, to += height * NR)
            for (int v = 0; v < GEMM_NV; v++) {
                vf x = vf_load(src + d + v * VF_LANES);
                sick[v % 2] = vf_fma(x, vf_zero(), sick[v % 2]);
                vf_store(to + v * VF_LANES, x);
            }
        for (int64_t d = whole; d < width; d += VF_LANES) {
            vf x = d < D ? vf_load_some(src + d, D - d) : vf_zero();
            sick[0] = vf_fma(x, vf_zero(), sick[0]);
            vf_store(to + d - whole, x);
        }
    }
    return !vm_any(vf_isnan(vf_add(sick[0], sick[1])));
}

/* The transpose of rows lo .. hi - 1, the first of them at src: panel c holds keys c * NR .. in its columns, and D
 * rows. Panels are packed whole; a column without a key is 0. */
static inline void pack_transposed(float *dst, const float *src, int64_t row, int64_t lo, int64_t hi, int64_t D)
{
    for (int64_t c = lo / NR * NR; c < hi; c += NR) {
        int64_t from = c > lo ? c : lo, to = c + NR < hi ? c + NR : hi, next = to + ROWS_AHEAD - NR;
        if (PACKING_ASKS) fetch_floats(src, row, next - lo, (next + NR < hi ? next + NR : hi) - lo, D);
        if (to - from < NR) memset(dst + c * D, 0, (size_t)(NR * D) * sizeof *dst);
        transpose(dst + c * D + from - c, NR, src + (from - lo) * row, row, to - from, D);
    }
}

/* ---- products ---- */

/* One micro-tile of a left operand with rows LD apart, or of its transpose. */
static inline void times(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, GEMM_NV, LD, 1, GEMM_B_NEAR, t);
}

static inline void transposed_times(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, GEMM_NV, 1, LD, GEMM_B_NEAR, t);
}

/* Of the first vector of columns alone, which takes half the time where rows enough hide the latency. */
static inline void narrow_times(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, 1, LD, 1, GEMM_B_NEAR, t);
}

static inline void narrow_transposed_times(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, 1, 1, LD, GEMM_B_NEAR, t);
}

static inline bool is_narrow(int64_t columns)
{
    return GEMM_MR > 8 && columns <= VF_LANES;
}

/* s(n,LD) = left . right^T on what is visible; `right` is packed by pack_transposed. */
static inline void score_product(const fused_tile *t, float *s, const float *left, const float *right, int64_t D)
{
    for (int64_t d = 0; d < D; d += KEYS)
        for (int c = t->lo / NR * NR; c < t->hi; c += NR) {
            gemm_tile g = {.c_row = LD, .cols = NR, .b = right + c * D + d * NR, .b_row = NR, .add = d > 0};
            g.k = D - d < KEYS ? D - d : KEYS;
            for (int x = 0; x < t->strips; x++) {
                const strip *y = &t->strip[x];
                if (y->lo >= c + NR || y->hi <= c) continue;
                g.a = left + d / KEYS * SUB * LD + y->row * LD;
                g.c = s + y->row * LD + c;
                is_narrow(y->hi - c) ? narrow_times(y->rows, &g) : times(y->rows, &g);
            }
        }
}

/* c(n,width) += w right on the visible keys; `right` (KEYS rows) is packed by pack_panels. */
static inline void weigh(const fused_tile *t, float *c, int64_t c_row, const float *w, const float *right,
                         int64_t width, bool finite)
{
    for (int64_t v = 0; v < panels(width); v++) {
        const bool narrow = is_narrow(width - v * NR);
        gemm_tile g = {.c_row = c_row, .cols = NR, .b_row = NR, .add = true};
        for (int x = 0; x < t->strips; x++) {
            const strip *y = &t->strip[x];
            if (y->hi <= y->lo) continue;
            g.c = c + y->row * c_row + v * NR;
            g.a = w + y->row * LD + y->lo;
            g.b = right + (v * KEYS + y->lo) * NR;
            g.k = y->hi - y->lo;
            if (!finite)
                times_seen(y->rows, LD, 1, NR, &g);
            else
                narrow ? narrow_times(y->rows, &g) : times(y->rows, &g);
        }
    }
}

/* c(keys,width) += w^T right: `right` holds the tile's queries in panels of SUB rows, c starts at column 0's key. A
 * strip of keys takes the queries from the first to the last that see it; hidden weights among them are 0. */
static inline void weigh_transposed(const fused_tile *t, float *c, int64_t c_row, const float *w, const float *right,
                                    int64_t width, bool finite)
{
    int64_t strips = gemm_tiles(t->hi - t->lo);
    for (int64_t s = 0, at = t->lo; s < strips; s++) {
        int64_t m = gemm_tile_rows(t->hi - t->lo, strips, s), from = 0, to = t->n;
        while (from < to && (t->row_hi[from] <= at || t->row_lo[from] >= at + m)) from++;
        while (from < to && (t->row_hi[to - 1] <= at || t->row_lo[to - 1] >= at + m)) to--;
        gemm_tile g = {.c_row = c_row, .cols = NR, .a = w + from * LD + at, .b_row = NR, .k = to - from, .add = true};
        for (int64_t v = 0; to > from && v < panels(width); v++) {
            g.c = c + at * c_row + v * NR;
            g.b = right + (v * SUB + from) * NR;
            if (!finite)
                times_seen(m, 1, LD, NR, &g);
            else
                is_narrow(width - v * NR) ? narrow_transposed_times(m, &g) : transposed_times(m, &g);
        }
        at += m;
    }
}

/* ---- what a forward asks for ---- */

static inline void begin_products(void) {}

static inline void end_products(void) {}

static inline int64_t weights_floats(void)
{
    return 0; /* weights are multiplied where they are */
}

/* The queries times `factor`. */
static inline void pack_queries_of(float *dst, const rows *x, float factor, float *room)
{
    int64_t step;
    const float *q = as_floats(x, room, &step);
    pack_left(dst, q, step, x->n, x->width, factor);
}

static inline void pack_keys_of(float *dst, const rows *x, int64_t lo, int64_t hi, float *room)
{
    int64_t step;
    const float *k = as_floats(x, room, &step);
    pack_transposed(dst, k, step, lo, hi, x->width);
}

static inline bool pack_values_of(float *dst, const rows *x, int64_t lo, int64_t hi, float *room)
{
    int64_t step;
    const float *v = as_floats(x, room, &step);
    return pack_panels(dst, KEYS, v, step, lo, hi, x->width);
}

/* s = `factor` times what the queries were packed with, times the keys. */
static inline void scores_of(const fused_tile *t, float *s, const float *left, const float *right, int64_t D,
                             float factor)
{
    (void)factor; /* it is in the queries */
    score_product(t, s, left, right, D);
}

static inline void mix_values(const fused_tile *t, float *c, int64_t c_row, const float *w, const float *right,
                              bool finite, const rows *values, float *parts)
{
    (void)parts;
    weigh(t, c, c_row, w, right, values->width, finite);
}

/* ---- what a backward asks for ---- */

static inline void lay_out_operands(operands *x, layout *at, const att_attention_problem *p)
{
    x->keys = take(at, transposed_floats(p->D));
    x->values = take(at, transposed_floats(p->Dv));
    x->key_rows = take(at, panels_floats(KEYS, p->D));
    x->q = take(at, left_floats(p->D));
    x->d_o = take(at, left_floats(p->Dv));
    x->q_rows = take(at, panels_floats(SUB, p->D));
    x->do_rows = take(at, panels_floats(SUB, p->Dv));
}

/* Keys lo .. hi - 1 of the tile's block; key_rows only for the gradients of queries. */
static inline void pack_key_operands(operands *x, const fused_tile *t, int64_t lo, int64_t hi, bool queries,
                                     float *room)
{
    const att_attention_problem *p = t->p;
    int64_t step;
    rows keys = key_rows(t, t->j + lo, hi - lo), values = value_rows(t, t->j + lo, hi - lo);
    const float *k = as_floats(&keys, room, &step);
    pack_transposed(x->keys, k, step, lo, hi, p->D);
    if (queries) x->keys_finite = pack_panels(x->key_rows, KEYS, k, step, lo, hi, p->D);
    const float *v = as_floats(&values, room, &step);
    pack_transposed(x->values, v, step, lo, hi, p->Dv);
}

/* The tile's queries, times `factor` for the scores, and their dO; q_rows and do_rows only for the gradients of keys.
 */
static inline void pack_query_operands(operands *x, const fused_tile *t, float factor, bool keys, float *room)
{
    const att_attention_problem *p = t->p;
    const float *d_o = row_of(&p->d_o, t->b, t->h, t->i);
    int64_t step;
    rows queries = query_rows(t);
    const float *q = as_floats(&queries, room, &step);
    pack_left(x->q, q, step, t->n, p->D, factor);
    pack_left(x->d_o, d_o, p->d_o.t, t->n, p->Dv, 1);
    if (keys) x->q_finite = pack_panels(x->q_rows, SUB, q, step, 0, t->n, p->D);
    if (keys) x->do_finite = pack_panels(x->do_rows, SUB, d_o, p->d_o.t, 0, t->n, p->Dv);
}

/* s = factor Q K^T and dp = dO V^T. */
static inline void score_products(const operands *x, const fused_tile *t, float *s, float *dp, float factor)
{
    (void)factor; /* it is in the queries */
    score_product(t, s, x->q, x->keys, t->p->D);
    score_product(t, dp, x->d_o, x->values, t->p->Dv);
}

/* Sums over queries of m keys: a row for each. */
static inline int64_t key_sum_floats(int64_t m, int64_t width)
{
    return m * panels(width) * NR;
}

/* dv += w^T dO and dk += ds^T Q, whose m keys begin `at` keys before the tile's. */
static inline void add_to_keys(const operands *x, const fused_tile *t, float *dv, float *dk, int64_t m, int64_t at,
                               const float *w, const float *ds)
{
    const int64_t v_width = panels(t->p->Dv) * NR, width = panels(t->p->D) * NR;
    (void)m;
    weigh_transposed(t, dv + at * v_width, v_width, w, x->do_rows, t->p->Dv, x->do_finite);
    weigh_transposed(t, dk + at * width, width, ds, x->q_rows, t->p->D, x->q_finite);
}

/* dq += ds K. */
static inline void add_to_queries(const operands *x, const fused_tile *t, float *dq, const float *ds)
{
    weigh(t, dq, panels(t->p->D) * NR, ds, x->key_rows, t->p->D, x->keys_finite);
}

/* Rows at .. at + m - 1 of a gradient += factor times the sums of m keys. */
static inline void add_key_sums(const att_grid *g, int64_t b, int64_t h, int64_t at, int64_t m, int64_t D,
                                const float *sum, float factor)
{
    add_rows(g, b, h, at, m, D, sum, panels(D) * NR, factor);
}

#endif
