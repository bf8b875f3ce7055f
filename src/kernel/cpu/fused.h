/* What forward and backward of fused dot-product attention share: which keys of a tile each query sees, and rows of any
 * type. A tile is SUB queries by KEYS keys; scores and weights lie in rows of LD floats. Packing and products are in
 * fused_simd.h, for bfloat16 by its own instructions in fused_bf16.h.
 *
 * Every element of a product is one chain of multiply-adds over its sum, and where a chain starts and ends depends on
 * the absolute number of the key (or query) alone: a row's bits are the same in whatever tile it lies. Adding a product
 * with a weight of 0 changes no bit, so hidden pairs may be left out of a chain or be part of it, as pays. */
#ifndef ATT_CPU_FUSED_H
#define ATT_CPU_FUSED_H

#include "kernel/attention.h"
#include "kernel/cpu/convert.h"
#include "kernel/cpu/gemm_tile.h"

/* Each file that includes this says how large its tiles are: FUSED_KEYS keys, about FUSED_QUERIES queries. The variant
 * says how many rows a strip has, and whether strips are whole or as even as can be, and start and end anywhere. */
#if defined(ATT_VARIANT_BF16)
#define FUSED_ROWS    32
#define FUSED_ALIGNED 1
#else
#define FUSED_ROWS    GEMM_MR
#define FUSED_ALIGNED 0
#endif
enum {
    NR = GEMM_NV * VF_LANES,
    MR = FUSED_ROWS,
    KEYS = FUSED_KEYS,
    LD = KEYS + 16, /* a cache line more: rows fall into different sets */
    SUB = (FUSED_QUERIES + MR - 1) / MR * MR,
    STRIPS = SUB / MR
};

/* Packing asks for float32 rows itself, so many ahead. Otherwise the tiles before it have asked, which takes a
 * second-level cache that holds all of them until then. */
enum { PACKING_ASKS = !GEMM_FETCHES, ROWS_AHEAD = 32 };

#define LOG2E 1.44269504088896340736

/* Rows row .. row + rows - 1 of a tile, and the keys lo .. hi - 1 that at least one of them sees; hi <= lo: none. */
typedef struct strip {
    int row, rows, lo, hi;
} strip;

typedef struct fused_tile {
    const att_attention_problem *p;
    int64_t b, h, hkv;
    int64_t i, n;                 /* queries */
    int64_t j;                    /* key of column 0, a multiple of KEYS */
    bool plain;                   /* nothing but the window and lengths decides or changes a score */
    int row_lo[SUB], row_hi[SUB]; /* columns that row r sees, before mask and bias; hi <= lo: none */
    int lo, hi;                   /* columns that some row sees */
    int strips;
    strip strip[STRIPS];
} fused_tile;

static inline float *row_of(const att_grid *g, int64_t b, int64_t h, int64_t t)
{
    return (float *)g->data + b * g->b + h * g->h + t * g->t;
}

static inline int64_t panels(int64_t width)
{
    return (width + NR - 1) / NR;
}

/* Rows of sums that products write, for n queries. */
static inline int64_t whole_strips(int64_t n)
{
    return FUSED_ALIGNED ? (n + MR - 1) / MR * MR : n;
}

/* Scratch memory that is handed out from the start; with no memory, only counted. */
typedef struct layout {
    float *base;
    int64_t floats;
} layout;

static inline float *take(layout *r, int64_t floats)
{
    float *p = r->base ? r->base + r->floats : NULL;
    r->floats += (floats + 15) / 16 * 16;
    return p;
}

/* ---- which keys ---- */

static inline void find_strips(fused_tile *t)
{
    t->strips = (int)((t->n + MR - 1) / MR);
    t->lo = KEYS;
    t->hi = 0;
    for (int s = 0, row = 0; s < t->strips; s++) {
        strip x = {.row = row, .rows = (int)gemm_tile_rows(t->n, t->strips, s), .lo = KEYS, .hi = 0};
        if (FUSED_ALIGNED) x.rows = (int)(t->n - row < MR ? t->n - row : MR);
        for (int r = row; r < row + x.rows; r++) {
            if (t->row_hi[r] <= t->row_lo[r]) continue;
            if (t->row_lo[r] < x.lo) x.lo = t->row_lo[r];
            if (t->row_hi[r] > x.hi) x.hi = t->row_hi[r];
        }
        if (FUSED_ALIGNED) { /* to whole steps of keys */
            x.lo = x.lo / MR * MR;
            x.hi = (x.hi + MR - 1) / MR * MR;
        }
        if (x.lo < t->lo) t->lo = x.lo;
        if (x.hi > t->hi) t->hi = x.hi;
        t->strip[s] = x;
        row += x.rows;
    }
}

/* Narrows row r's keys to those within half_width of its centre. A centre that is NaN hides nothing, and so shows. */
static inline void narrow_to_gauss(const att_attention_problem *p, float centre, int64_t *lo, int64_t *hi)
{
    const float half = p->desc.half_width;
    if (p->desc.window != ATT_WINDOW_GAUSS || p->desc.untruncated || centre != centre) return;
    if (!(centre + half >= (float)*lo && centre - half <= (float)*hi)) {
        *hi = *lo;
        return;
    }
    int64_t from = (int64_t)(centre - half) - 1, to = (int64_t)(centre + half) + 2;
    if (from > *lo) *lo = from;
    if (to < *hi) *hi = to;
    while (*lo < *hi && fabsf((float)*lo - centre) > half) ++*lo;
    while (*lo < *hi && fabsf((float)(*hi - 1) - centre) > half) --*hi;
}

/* ... and, within the tile from key j on, to the first and the last block of keys that query i's list names. */
static inline void narrow_to_blocks(const att_attention_problem *p, int64_t i, int64_t j, int64_t *lo, int64_t *hi)
{
    const int64_t side = p->desc.block;
    if (!p->block_starts.data) return;
    if (*lo < j) *lo = j;
    if (*hi > j + KEYS) *hi = j + KEYS;
    while (*lo < *hi && !att_blocks_show(p, i, *lo)) *lo = (*lo / side + 1) * side;
    while (*lo < *hi && !att_blocks_show(p, i, *hi - 1)) *hi = (*hi - 1) / side * side;
    if (*hi < *lo) *hi = *lo;
}

/* Without looking at every row: a window's ends move on with the query, so the first query has the first key that any
 * sees and the last one the last. */
static inline bool beyond_window(const fused_tile *t)
{
    int64_t lo, hi, other;
    att_attention_range(t->p, t->b, t->i, &lo, &other);
    att_attention_range(t->p, t->b, t->i + t->n - 1, &other, &hi);
    return lo >= t->j + KEYS || hi <= t->j;
}

static inline bool is_plain(const att_attention_problem *p)
{
    return !(p->desc.softcap > 0) && !p->bias.data && !p->mask.data && !p->block_starts.data && !p->slopes.data &&
           !p->relative.data && att_positions_are_indices(p);
}

/* Every query sees the same keys, before mask and bias. */
static inline bool ranges_are_alike(const att_attention_problem *p)
{
    const att_window w = p->desc.window;
    return w != ATT_WINDOW_CAUSAL && w != ATT_WINDOW_BAND && !p->centre.data && !p->block_starts.data;
}

/* Places the tile at queries i .. i + n - 1 and the block of keys from j; false when nothing of it is visible. */
static inline bool place_tile(fused_tile *t, int64_t i, int64_t n, int64_t j)
{
    const bool alike = ranges_are_alike(t->p);
    t->i = i;
    t->n = n;
    t->j = j;
    t->plain = is_plain(t->p);
    if (beyond_window(t)) return false;
    for (int64_t r = 0; r < n; r++) {
        int64_t lo, hi;
        if (alike && r > 0) {
            t->row_lo[r] = t->row_lo[0];
            t->row_hi[r] = t->row_hi[0];
            continue;
        }
        att_attention_range(t->p, t->b, i + r, &lo, &hi);
        if (t->p->centre.data) narrow_to_gauss(t->p, *row_of(&t->p->centre, t->b, t->h, i + r), &lo, &hi);
        narrow_to_blocks(t->p, i + r, j, &lo, &hi);
        t->row_lo[r] = (int)(lo <= j ? 0 : lo - j < KEYS ? lo - j : KEYS);
        t->row_hi[r] = (int)(hi <= j ? 0 : hi - j < KEYS ? hi - j : KEYS);
    }
    find_strips(t);
    return t->hi > t->lo;
}

/* ---- rows of any type as floats ---- */

/* Rows of q, k, v or o: n rows of `width` elements from (b,h,t) on. */
typedef struct rows {
    const att_grid *grid, *scale; /* scale: of int8 rows */
    att_dtype dtype;
    int64_t b, h, t, n, width;
} rows;

static inline const char *bytes_at(const rows *x, int64_t r)
{
    int64_t at = x->b * x->grid->b + x->h * x->grid->h + (x->t + r) * x->grid->t;
    return (const char *)x->grid->data + at * (x->dtype == ATT_F32 ? 4 : x->dtype == ATT_I8 ? 1 : 2);
}

static inline void fetch(const rows *x)
{
    int64_t bytes = x->width * (x->dtype == ATT_F32 ? 4 : x->dtype == ATT_I8 ? 1 : 2);
    for (int64_t r = 0; r < x->n; r++)
        for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(bytes_at(x, r) + at, 0, 2);
}

static inline int64_t lanes_down(int64_t c)
{
    return c & -(int64_t)VF_LANES;
}

static inline int64_t lanes_up(int64_t c)
{
    return lanes_down(c + VF_LANES - 1);
}

VF_INLINE vf load_as_float(const void *p, const att_dtype type, int64_t at, int64_t left)
{
    const uint16_t *half = (const uint16_t *)p + at;
    const int8_t *byte = (const int8_t *)p + at;
    if (type == ATT_BF16) return left >= VF_LANES ? vf_of_bf16(half) : vf_of_bf16_n(half, left);
    if (type == ATT_F16) return left >= VF_LANES ? vf_of_f16(half) : vf_of_f16_n(half, left);
    return left >= VF_LANES ? vf_of_i8(byte) : vf_of_i8_n(byte, left);
}

VF_INLINE void convert_row(float *to, const void *from, const att_dtype type, int64_t width, float scale)
{
    const vf f = vf_set1(scale);
    for (int64_t d = 0; d < width; d += VF_LANES) {
        vf x = load_as_float(from, type, d, width - d);
        vf_store(to + d, type == ATT_I8 ? vf_mul(x, f) : x);
    }
}

/* The rows as floats, *step apart: in place, or converted into room, which holds n lanes_up(width) floats. */
static inline const float *as_floats(const rows *x, float *room, int64_t *step)
{
    *step = x->grid->t;
    if (x->dtype == ATT_F32) return (const float *)(const void *)bytes_at(x, 0);
    *step = lanes_up(x->width);
    for (int64_t r = 0; r < x->n; r++) {
        float *to = room + r * *step;
        switch (x->dtype) {
        case ATT_BF16: convert_row(to, bytes_at(x, r), ATT_BF16, x->width, 1); break;
        case ATT_F16: convert_row(to, bytes_at(x, r), ATT_F16, x->width, 1); break;
        default: convert_row(to, bytes_at(x, r), ATT_I8, x->width, *row_of(x->scale, x->b, x->h, x->t + r)); break;
        }
    }
    return room;
}

/* Floats of the room for as many rows of q, k, v or o as a tile has; fused_bf16.h converts no keys. */
static inline int64_t room_floats(const att_attention_problem *p)
{
    int64_t most = FUSED_ALIGNED || SUB > KEYS ? SUB : KEYS, width = p->D > p->Dv ? p->D : p->Dv;
    return p->dtype == ATT_F32 && p->kv_dtype == ATT_F32 ? 0 : most * lanes_up(width);
}

/* A micro-tile of m rows and `width` columns whose weights of 0 must not meet what they would be multiplied with: b
 * holds NaN or Inf that some rows may not see. The bits are those of gemm_tile_body. */
static inline void times_seen(int64_t m, int64_t a_i, int64_t a_k, int64_t width, const gemm_tile *t)
{
    for (int64_t r = 0; r < m; r++)
        for (int64_t v = 0; v < width; v += VF_LANES) {
            vf sum = vf_zero();
            for (int64_t k = 0; k < t->k; k++) {
                float w = t->a[r * a_i + k * a_k];
                if (w != 0) sum = vf_fma(vf_set1(w), vf_load(t->b + k * t->b_row + v), sum);
            }
            float *c = t->c + r * t->c_row + v;
            vf_store(c, vf_add(vf_load(c), sum));
        }
}

/* Rows at .. at + n - 1 of a gradient += factor sum. */
static inline void add_rows(const att_grid *g, int64_t b, int64_t h, int64_t at, int64_t n, int64_t D, const float *sum,
                            int64_t width, float factor)
{
    const vf f = vf_set1(factor);
    for (int64_t r = 0; r < n; r++, sum += width) {
        float *to = row_of(g, b, h, at + r);
        for (int64_t d = 0; d < D; d += VF_LANES)
            vf_store_some(to + d, vf_fma(f, vf_load(sum + d), vf_load_some(to + d, D - d)), D - d);
    }
}

/* What the products of a backward read, packed: a block of keys and a block of queries. */
typedef struct operands {
    float *keys, *values, *key_rows; /* K^T, V^T, K as right operands */
    bool keys_finite;
    float *q, *d_o, *q_rows, *do_rows; /* Q, dO as left operands, and for the products over queries */
    bool q_finite, do_finite;
    float *parts, *room; /* fused_bf16.h's */
} operands;

static inline rows query_rows(const fused_tile *t)
{
    const att_attention_problem *p = t->p;
    return (rows){.grid = &p->q, .dtype = p->dtype, .b = t->b, .h = t->h, .t = t->i, .n = t->n, .width = p->D};
}

static inline rows key_rows(const fused_tile *t, int64_t j, int64_t n)
{
    const att_attention_problem *p = t->p;
    return (rows){&p->k, &p->k_scale, p->kv_dtype, t->b, t->hkv, j, n, p->D};
}

static inline rows value_rows(const fused_tile *t, int64_t j, int64_t n)
{
    const att_attention_problem *p = t->p;
    return (rows){&p->v, &p->v_scale, p->kv_dtype, t->b, t->hkv, j, n, p->Dv};
}

#endif
