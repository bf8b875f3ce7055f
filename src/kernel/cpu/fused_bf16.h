/* Packing and products of fused attention for bfloat16 by instructions for it, in place of fused_simd.h's. Queries,
 * keys and values are multiplied as they are; a weight is the sum of PARTS bfloat16, rounded one after the other: two
 * leave errors of 2^-17, three none. Sums are float32; they go over steps of 32 keys, hidden ones with a weight
 * of 0. */
#ifndef ATT_CPU_FUSED_BF16_H
#define ATT_CPU_FUSED_BF16_H

#include "kernel/cpu/fused.h"
#include "kernel/cpu/tiles_bf16.h"

enum { PARTS = FUSED_PARTS };

static inline int64_t steps_of(int64_t n)
{
    return (n + TILE - 1) / TILE;
}

/* Floats that so many bfloat16 take. */
static inline int64_t halves(int64_t n)
{
    return n / 2;
}

static inline int64_t left_floats(int64_t D)
{
    return halves(SUB / TILE * steps_of(D) * STEP);
}

static inline int64_t transposed_floats(int64_t D)
{
    return halves(KEYS / TILE * steps_of(D) * STEP);
}

static inline int64_t panels_floats(int64_t height, int64_t D)
{
    return halves(steps_of(D) * height / TILE * STEP);
}

/* Weights of a tile as a left or a right operand. */
static inline int64_t weights_floats(void)
{
    return halves(SUB / TILE * (KEYS / TILE) * PARTS * STEP);
}

static inline void begin_products(void)
{
    begin_tiles();
}

static inline void end_products(void)
{
    end_tiles();
}

/* ---- packing ---- */

/* Columns d .. d + 31 of row r; zeros right of the width, and where there is no such row. */
VF_INLINE __m512i load_row(const rows *x, int64_t r, int64_t d)
{
    if (r < 0 || r >= x->n) return _mm512_setzero_si512();
    const int64_t left = x->width - d;
    const __mmask32 some = left >= TILE ? 0xffffffff : (1u << left) - 1;
    return _mm512_maskz_loadu_epi16(some, bytes_at(x, r) + 2 * d);
}

static inline void pack_queries_of(float *dst, const rows *x, float factor, float *room)
{
    uint16_t *to = (uint16_t *)(void *)dst;
    (void)factor; /* scores_of's */
    (void)room;
    for (int64_t s = 0; s < SUB; s += TILE)
        for (int64_t d = 0; d < x->width; d += TILE, to += STEP)
            for (int64_t r = 0; r < TILE && s < x->n; r++) _mm512_storeu_si512(to + left_row(r), load_row(x, s + r, d));
}

/* x holds keys lo .. hi - 1 of the block; panel c of 32 keys lies at c * steps_of(D) * STEP. */
static inline void pack_keys_of(float *dst, const rows *x, int64_t lo, int64_t hi, float *room)
{
    (void)room;
    for (int64_t c = lo / TILE * TILE; c < hi; c += TILE) {
        uint16_t *to = (uint16_t *)(void *)dst + c / TILE * steps_of(x->width) * STEP;
        for (int64_t d = 0; d < x->width; d += TILE)
            for (int64_t half = 0; half < TILE; half += HALF, to += ONE) {
                __m512i r[16];
                for (int64_t i = 0; i < 16; i++) r[i] = load_row(x, c + half + i - lo, d);
                transpose_words(r);
                for (int64_t i = 0; i < 16; i++) _mm512_storeu_si512(to + i * TILE, r[i]);
            }
    }
}

/* The same with 0 for what is not finite, which is marked in sick. */
VF_INLINE __m512i load_finite(const rows *x, int64_t r, int64_t d, __mmask32 *sick)
{
    const __m512i exponent = _mm512_set1_epi16(0x7f80), y = load_row(x, r, d);
    const __mmask32 bad = _mm512_cmpeq_epi16_mask(_mm512_and_si512(y, exponent), exponent);
    *sick |= bad;
    return _mm512_maskz_mov_epi16(~bad, y);
}

/* Values lo .. hi - 1 of the block to panels of 32 columns, key by key; 0 for what is not finite. Returns whether all
 * is. */
static inline bool pack_values_of(float *dst, const rows *x, int64_t lo, int64_t hi, float *room)
{
    __mmask32 sick = 0;
    (void)room;
    for (int64_t k = lo / TILE * TILE; k < hi; k += TILE)
        for (int64_t d = 0; d < x->width; d += TILE) {
            uint16_t *to = (uint16_t *)(void *)dst + (d / TILE * (KEYS / TILE) + k / TILE) * STEP;
            for (int64_t i = 0; i < HALF; i++, to += TILE) {
                __m512i even = load_finite(x, k + 2 * i - lo, d, &sick);
                __m512i odd = load_finite(x, k + 2 * i + 1 - lo, d, &sick);
                _mm512_storeu_si512(to, lower_pairs(even, odd));
                _mm512_storeu_si512(to + ONE, upper_pairs(even, odd));
            }
        }
    return sick == 0;
}

/* The next part of two vectors, which is taken off them. */
VF_INLINE __m512i take_part(__m512 *low, __m512 *high)
{
    const __m512i upper = _mm512_set1_epi32((int32_t)0xffff0000), half = _mm512_set1_epi32(0x8000);
    __m512i l = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(*low), half), upper);
    __m512i h = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(*high), half), upper);
    *low = _mm512_sub_ps(*low, _mm512_castsi512_ps(l));
    *high = _mm512_sub_ps(*high, _mm512_castsi512_ps(h));
    return two_rounded(_mm512_castsi512_ps(l), _mm512_castsi512_ps(h));
}

/* Weights of a strip as a left operand: step k of keys at k * PARTS * STEP, part after part. */
static inline void pack_weights(uint16_t *dst, const strip *y, const float *w)
{
    for (int64_t r = 0; r < TILE; r++)
        for (int64_t k = y->lo; k < y->hi; k += TILE) {
            uint16_t *to = dst + k / TILE * PARTS * STEP + left_row(r);
            __m512 low = _mm512_setzero_ps(), high = low;
            if (r < y->rows) {
                low = _mm512_loadu_ps(w + r * LD + k);
                high = _mm512_loadu_ps(w + r * LD + k + HALF);
            }
#pragma GCC unroll 3
            for (int part = 0; part < PARTS - 1; part++, to += STEP) _mm512_storeu_si512(to, take_part(&low, &high));
            _mm512_storeu_si512(to, two_rounded(low, high));
        }
}

/* ---- products ---- */

/* Whether some row of the strip sees one of the 32 keys from column c on. */
static inline bool strip_sees(const strip *y, int64_t c)
{
    return y->lo <= c && y->hi > c;
}

/* One micro-tile of scores over `steps` steps; the left operand has `parts` parts. */
VF_INLINE void score_tile(float *s, const uint16_t *a, const uint16_t *b, int64_t steps, const int parts, float factor)
{
    const __m512 f = _mm512_set1_ps(factor);
    micro_tile(s, LD, false, a, b, steps, parts, 1);
    for (int64_t r = 0; factor != 1 && r < TILE; r++)
        for (int64_t v = 0; v < TILE; v += HALF)
            _mm512_storeu_ps(s + r * LD + v, _mm512_mul_ps(f, _mm512_loadu_ps(s + r * LD + v)));
}

/* s(n,LD) = factor left . right^T on what is visible. */
VF_INLINE void score_tiles(const fused_tile *t, float *s, const float *left, const float *right, int64_t D,
                           const int parts, float factor)
{
    const int64_t steps = steps_of(D);
    for (int64_t c = t->lo; c < t->hi; c += TILE)
        for (int x = 0; x < t->strips; x++) {
            const strip *y = &t->strip[x];
            const uint16_t *a = (const uint16_t *)(const void *)left + x * steps * parts * STEP;
            const uint16_t *b = (const uint16_t *)(const void *)right + c / TILE * steps * STEP;
            if (strip_sees(y, c)) score_tile(s + y->row * LD + c, a, b, steps, parts, factor);
        }
}

static inline void scores_of(const fused_tile *t, float *s, const float *left, const float *right, int64_t D,
                             float factor)
{
    score_tiles(t, s, left, right, D, 1, factor);
}

/* What is not finite was packed as 0: its products with weights that are not 0. */
static inline void add_not_finite(const strip *y, float *c, int64_t c_row, const float *w, const rows *values)
{
    for (int64_t k = y->lo; k < y->hi; k++)
        for (int64_t r = 0; r < y->rows; r++)
            for (int64_t d = 0; w[r * LD + k] != 0 && d < values->width; d++) {
                uint16_t half;
                memcpy(&half, bytes_at(values, k) + 2 * d, sizeof half);
                if ((half & 0x7f80) == 0x7f80) c[r * c_row + d] += w[r * LD + k] * att_float_of_bf16(half);
            }
}

/* c(n,width) += w right on the visible keys; whole strips of c are written. values: of the block, row 0 at column 0. */
static inline void mix_values(const fused_tile *t, float *c, int64_t c_row, const float *w, const float *right,
                              bool finite, const rows *values, float *parts)
{
    uint16_t *packed = (uint16_t *)(void *)parts;
    for (int x = 0; x < t->strips; x++) {
        const strip *y = &t->strip[x];
        if (y->hi <= y->lo) continue;
        pack_weights(packed, y, w + y->row * LD);
        for (int64_t v = 0; v < steps_of(values->width); v++) {
            float *to = c + y->row * c_row + v * TILE;
            const uint16_t *b = (const uint16_t *)(const void *)right + v * (KEYS / TILE) * STEP;
            const int64_t k = y->lo / TILE;
            micro_tile(to, c_row, true, packed + k * PARTS * STEP, b + k * STEP, y->hi / TILE - k, PARTS, 1);
        }
        if (!finite) add_not_finite(y, c + y->row * c_row, c_row, w + y->row * LD, values);
    }
}

/* ---- what a backward asks for ---- */

enum { QUERY_STEPS = SUB / TILE };

static inline int64_t turned_floats(int64_t D, int64_t parts)
{
    return halves(steps_of(D) * QUERY_STEPS * parts * STEP);
}

static inline void lay_out_operands(operands *x, layout *at, const att_attention_problem *p)
{
    x->keys = take(at, transposed_floats(p->D));
    x->values = take(at, transposed_floats(p->Dv));
    x->key_rows = take(at, panels_floats(KEYS, p->D));
    x->q = take(at, left_floats(p->D));
    x->d_o = take(at, PARTS * left_floats(p->Dv));
    x->q_rows = take(at, turned_floats(p->D, 1));
    x->do_rows = take(at, turned_floats(p->Dv, PARTS));
    x->parts = take(at, weights_floats());
    x->room = take(at, halves(PARTS * SUB * steps_of(p->Dv) * TILE));
}

static inline void pack_key_operands(operands *x, const fused_tile *t, int64_t lo, int64_t hi, bool queries,
                                     float *room)
{
    rows keys = key_rows(t, t->j + lo, hi - lo), values = value_rows(t, t->j + lo, hi - lo);
    pack_keys_of(x->keys, &keys, lo, hi, room);
    pack_keys_of(x->values, &values, lo, hi, room);
    if (queries) x->keys_finite = pack_values_of(x->key_rows, &keys, lo, hi, room);
}

/* The transpose as a left operand, rows of 32 queries a step; 0 for what is not finite. Returns whether all is. */
static inline bool pack_turned(float *dst, const rows *x, int parts, int part)
{
    __mmask32 sick = 0;
    for (int64_t d = 0; d < x->width; d += TILE)
        for (int64_t k = 0; k * TILE < x->n; k++) {
            uint16_t *to = (uint16_t *)(void *)dst + ((d / TILE * QUERY_STEPS + k) * parts + part) * STEP;
            __m512i low[16], high[16];
            for (int64_t i = 0; i < HALF; i++) {
                __m512i even = load_finite(x, k * TILE + 2 * i, d, &sick);
                __m512i odd = load_finite(x, k * TILE + 2 * i + 1, d, &sick);
                low[i] = lower_pairs(even, odd);
                high[i] = upper_pairs(even, odd);
            }
            transpose_words(low);
            transpose_words(high);
            for (int64_t i = 0; i < HALF; i++) {
                _mm512_storeu_si512(to + left_row(i), low[i]);
                _mm512_storeu_si512(to + left_row(HALF + i), high[i]);
            }
        }
    return sick == 0;
}

/* Parts of rows of floats: row r of part p at (p * SUB + r) * steps_of(width) * TILE. */
static inline void split_rows(uint16_t *dst, const float *src, int64_t src_row, int64_t n, int64_t width)
{
    const int64_t row = steps_of(width) * TILE;
    for (int64_t r = 0; r < n; r++)
        for (int64_t d = 0; d < width; d += TILE) {
            const float *from = src + r * src_row + d;
            __m512 low = vf_load_some(from, width - d), high = _mm512_setzero_ps();
            if (width - d > HALF) high = vf_load_some(from + HALF, width - d - HALF);
            uint16_t *to = dst + r * row + d;
#pragma GCC unroll 3
            for (int part = 0; part < PARTS - 1; part++, to += SUB * row)
                _mm512_storeu_si512(to, take_part(&low, &high));
            _mm512_storeu_si512(to, two_rounded(low, high));
        }
}

static inline void pack_query_operands(operands *x, const fused_tile *t, float factor, bool keys, float *room)
{
    const att_attention_problem *p = t->p;
    const int64_t width = steps_of(p->Dv) * TILE;
    uint16_t *split = (uint16_t *)(void *)x->room, *to = (uint16_t *)(void *)x->d_o;
    rows queries = query_rows(t);
    pack_queries_of(x->q, &queries, factor, room);
    if (keys) x->q_finite = pack_turned(x->q_rows, &queries, 1, 0);
    split_rows(split, row_of(&p->d_o, t->b, t->h, t->i), p->d_o.t, t->n, p->Dv);
    x->do_finite = true;
    for (int part = 0; part < PARTS; part++) {
        const att_grid g = {.data = split + part * SUB * width, .t = width};
        rows d_o = {.grid = &g, .dtype = ATT_BF16, .n = t->n, .width = width};
        for (int64_t r = 0; r < t->strips * TILE; r++)
            for (int64_t d = 0; d < width; d += TILE) {
                int64_t step = (r / TILE * (width / TILE) + d / TILE) * PARTS + part;
                _mm512_storeu_si512(to + step * STEP + left_row(r % TILE), load_row(&d_o, r, d));
            }
        if (keys && !pack_turned(x->do_rows, &d_o, PARTS, part)) x->do_finite = false;
    }
}

static inline void score_products(const operands *x, const fused_tile *t, float *s, float *dp, float factor)
{
    score_tiles(t, s, x->q, x->keys, t->p->D, 1, factor);
    score_tiles(t, dp, x->d_o, x->values, t->p->Dv, PARTS, 1);
}

/* Weights as a right operand: part p of step k of queries, of panel c of 32 keys, lies
 * STEP * ((c * QUERY_STEPS + k) * PARTS + p) on. */
static inline void pack_right_weights(uint16_t *dst, const fused_tile *t, const float *w)
{
    for (int64_t c = t->lo; c < t->hi; c += TILE)
        for (int k = 0; k < t->strips; k++) {
            const float *from = w + k * TILE * LD + c;
            if (!strip_sees(&t->strip[k], c)) continue;
            for (int64_t i = 0; i < HALF; i++, from += 2 * LD) {
                uint16_t *to = dst + (c / TILE * QUERY_STEPS + k) * PARTS * STEP + i * TILE;
                __m512 e[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, o[2] = {e[0], e[0]};
                if (k * TILE + 2 * i < t->n) e[0] = _mm512_loadu_ps(from), e[1] = _mm512_loadu_ps(from + HALF);
                if (k * TILE + 2 * i + 1 < t->n)
                    o[0] = _mm512_loadu_ps(from + LD), o[1] = _mm512_loadu_ps(from + LD + HALF);
#pragma GCC unroll 3
                for (int part = 0; part < PARTS; part++, to += STEP) {
                    __m512i even = take_part(&e[0], &e[1]), odd = take_part(&o[0], &o[1]);
                    _mm512_storeu_si512(to, lower_pairs(even, odd));
                    _mm512_storeu_si512(to + ONE, upper_pairs(even, odd));
                }
            }
        }
}

/* Sums over queries of m keys, transposed: a row for each column of the gradient. */
static inline int64_t key_sum_row(int64_t m)
{
    return steps_of(m) * TILE + 16; /* a cache line more: rows fall into different sets */
}

static inline int64_t key_sum_floats(int64_t m, int64_t width)
{
    return steps_of(width) * TILE * key_sum_row(m);
}

/* c(width,keys) += left^T w over the tile's queries: the parts of two numbers of which at most one is the last. */
VF_INLINE void mix_queries(const fused_tile *t, float *c, int64_t c_row, const float *left, const int left_parts,
                           const uint16_t *right, int64_t width)
{
    for (int64_t d = 0; d < steps_of(width); d++)
        for (int64_t n = t->lo; n < t->hi; n += TILE) {
            const uint16_t *a = (const uint16_t *)(const void *)left + d * QUERY_STEPS * left_parts * STEP;
            const uint16_t *b = right + n / TILE * QUERY_STEPS * PARTS * STEP;
            for (int k = 0, end; k < t->strips; k = end + 1) {
                for (end = k; end < t->strips && strip_sees(&t->strip[end], n);) end++;
                if (end == k) continue;
                micro_tile(c + d * TILE * c_row + n, c_row, true, a + k * left_parts * STEP, b + k * PARTS * STEP,
                           end - k, left_parts, PARTS);
            }
        }
}

/* What is not finite in value d of row r was packed as 0: its products with weights that are not 0. */
static inline void add_value_to_keys(const fused_tile *t, float *c, int64_t c_row, const float *w, int64_t r, int64_t d,
                                     float value)
{
    if (isfinite(value)) return;
    for (int64_t k = t->row_lo[r]; k < t->row_hi[r]; k++)
        if (w[r * LD + k] != 0) c[d * c_row + k] += w[r * LD + k] * value;
}

static inline void add_to_keys(const operands *x, const fused_tile *t, float *dv, float *dk, int64_t m, int64_t at,
                               const float *w, const float *ds)
{
    const att_attention_problem *p = t->p;
    const int64_t row = key_sum_row(m);
    uint16_t *packed = (uint16_t *)(void *)x->parts;
    rows queries = query_rows(t);
    pack_right_weights(packed, t, w);
    mix_queries(t, dv + at, row, x->do_rows, PARTS, packed, p->Dv);
    pack_right_weights(packed, t, ds);
    mix_queries(t, dk + at, row, x->q_rows, 1, packed, p->D);
    for (int64_t r = 0; !x->do_finite && r < t->n; r++)
        for (int64_t d = 0; d < p->Dv; d++)
            add_value_to_keys(t, dv + at, row, w, r, d, row_of(&p->d_o, t->b, t->h, t->i + r)[d]);
    for (int64_t r = 0; !x->q_finite && r < t->n; r++)
        for (int64_t d = 0; d < p->D; d++) {
            uint16_t half;
            memcpy(&half, bytes_at(&queries, r) + 2 * d, sizeof half);
            add_value_to_keys(t, dk + at, row, ds, r, d, att_float_of_bf16(half));
        }
}

static inline void add_to_queries(const operands *x, const fused_tile *t, float *dq, const float *ds)
{
    rows keys = key_rows(t, t->j, KEYS);
    mix_values(t, dq, panels(t->p->D) * NR, ds, x->key_rows, x->keys_finite, &keys, x->parts);
}

static inline void add_key_sums(const att_grid *g, int64_t b, int64_t h, int64_t at, int64_t m, int64_t D,
                                const float *sum, float factor)
{
    const int64_t row = key_sum_row(m);
    for (int64_t d = 0; d < D; d += HALF)
        for (int64_t j = 0; j < m; j += HALF) {
            __m512i r[16];
            float turned[HALF * HALF];
            for (int64_t i = 0; i < HALF; i++) r[i] = _mm512_loadu_si512(sum + (d + i) * row + j);
            transpose_words(r);
            for (int64_t i = 0; i < HALF; i++) _mm512_storeu_si512(turned + i * HALF, r[i]);
            att_grid part = *g;
            part.data = (float *)g->data + d;
            add_rows(&part, b, h, at + j, m - j < HALF ? m - j : HALF, D - d < HALF ? D - d : HALF, turned, HALF,
                     factor);
        }
}

#endif
