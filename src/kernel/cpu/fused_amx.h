/* Packing and products of fused attention for bfloat16 on matrix units, in place of fused_simd.h's. Queries, keys and
 * values are multiplied as they are; a weight is the sum of PARTS bfloat16, rounded one after the other: two leave
 * errors of 2^-17, three none. Sums are float32; they go over steps of 32 keys, hidden ones with a weight of 0. */
#ifndef ATT_CPU_FUSED_AMX_H
#define ATT_CPU_FUSED_AMX_H

#include "kernel/cpu/fused.h"
#include "kernel/cpu/tiles_amx.h"

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
    _tile_release();
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

/* r[i] lane j -> r[j] lane i, 32 bits each. */
VF_INLINE void transpose_words(__m512i *r)
{
    __m512i t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) { /* r[4 g + i]: column i of each lane's four, rows 4 g .. 4 g + 3 */
        t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
        r[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
        r[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
        r[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd);
    }
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

VF_INLINE __mmask32 not_finite(__m512i x)
{
    const __m512i exponent = _mm512_set1_epi16(0x7f80);
    return _mm512_cmpeq_epi16_mask(_mm512_and_si512(x, exponent), exponent);
}

/* Rows lo .. hi - 1 of `height` to panels of 32 columns, row by row; 0 for what is not finite. Returns whether all is.
 */
static inline bool pack_rows_of(uint16_t *dst, int64_t height, const rows *x, int64_t lo, int64_t hi)
{
    __mmask32 sick = 0;
    for (int64_t k = lo / TILE * TILE; k < hi; k += TILE)
        for (int64_t d = 0; d < x->width; d += TILE) {
            uint16_t *to = dst + (d / TILE * (height / TILE) + k / TILE) * STEP;
            for (int64_t i = 0; i < HALF; i++, to += TILE) {
                __m512i even = load_row(x, k + 2 * i - lo, d), odd = load_row(x, k + 2 * i + 1 - lo, d);
                const __mmask32 e = not_finite(even), o = not_finite(odd);
                sick |= e | o;
                even = _mm512_maskz_mov_epi16(~e, even);
                odd = _mm512_maskz_mov_epi16(~o, odd);
                _mm512_storeu_si512(to, lower_pairs(even, odd));
                _mm512_storeu_si512(to + ONE, upper_pairs(even, odd));
            }
        }
    return sick == 0;
}

static inline bool pack_values_of(float *dst, const rows *x, int64_t lo, int64_t hi, float *room)
{
    (void)room;
    return pack_rows_of((uint16_t *)(void *)dst, KEYS, x, lo, hi);
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

/* s(n,LD) = factor left . right^T on what is visible. */
static inline void scores_of(const fused_tile *t, float *s, const float *left, const float *right, int64_t D,
                             float factor)
{
    const __m512 f = _mm512_set1_ps(factor);
    const int64_t steps = steps_of(D);
    for (int64_t c = t->lo / TILE * TILE; c < t->hi; c += TILE)
        for (int x = 0; x < t->strips; x++) {
            const strip *y = &t->strip[x];
            const uint16_t *a = (const uint16_t *)(const void *)left + y->row / TILE * steps * STEP;
            const uint16_t *b = (const uint16_t *)(const void *)right + c / TILE * steps * STEP;
            float *to = s + y->row * LD + c;
            if (y->lo >= c + TILE || y->hi <= c) continue;
            zero_micro_tile();
            for (int64_t d = 0; d < steps; d++) {
                load_left(a + d * STEP);
                load_right(b + d * STEP);
                multiply_tiles();
            }
            store_micro_tile(to, LD);
            for (int64_t r = 0; r < y->rows; r++)
                for (int64_t v = 0; v < TILE; v += HALF)
                    _mm512_storeu_ps(to + r * LD + v, _mm512_mul_ps(f, _mm512_loadu_ps(to + r * LD + v)));
        }
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
static inline void mix_values(const fused_tile *t, float *c, int64_t c_row, float *w, const float *right, bool finite,
                              const rows *values, float *parts)
{
    uint16_t *packed = (uint16_t *)(void *)parts;
    for (int x = 0; x < t->strips; x++) {
        const strip *y = &t->strip[x];
        if (y->hi <= y->lo) continue;
        pack_weights(packed, y, w + y->row * LD);
        for (int64_t v = 0; v < steps_of(values->width); v++) {
            float *to = c + y->row * c_row + v * TILE;
            const uint16_t *b = (const uint16_t *)(const void *)right + v * (KEYS / TILE) * STEP;
            load_micro_tile(to, c_row);
            for (int64_t k = y->lo / TILE; k < y->hi / TILE; k++) {
                load_right(b + k * STEP);
#pragma GCC unroll 3
                for (int part = 0; part < PARTS; part++) {
                    load_left(packed + (k * PARTS + part) * STEP);
                    multiply_tiles();
                }
            }
            store_micro_tile(to, c_row);
        }
        if (!finite) add_not_finite(y, c + y->row * c_row, c_row, w + y->row * LD, values);
    }
}

#endif
