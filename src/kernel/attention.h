/* Attention as the kernels see it: one validated problem, and the table of what an instruction set provides. */
#ifndef ATT_KERNEL_ATTENTION_H
#define ATT_KERNEL_ATTENTION_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <attend/attention.h>

/* Element (b,h,t,d) lies at data + b*b_step + ...; data == NULL means absent; a step of 0 broadcasts. */
typedef struct att_grid {
    void *data;
    int64_t b, h, t, d;
} att_grid;

/* A call after validation. q, k, v and o have their own types; every other floating array is double when q is, and
 * float otherwise. Masks are uint8, lengths, positions, blocks and top_keys int32. */
typedef struct att_attention_problem {
    att_attention_desc desc;              /* left, right are small enough that i + q_offset +- them never overflows */
    att_dtype dtype;                      /* of q and o */
    att_dtype kv_dtype;                   /* of k and v: dtype, or a cache's */
    double scale, temperature;            /* never 0 */
    int64_t B, Hq, Hkv, Tq, Tk, D, Dv, R; /* R: entries of relative */
    att_grid q, k, k_prepared, v, mask, bias, lengths, score_w; /* score_w: d step only; lengths: b step only */
    att_grid query_mask, q_positions, k_positions;              /* b and t steps */
    att_grid slopes, relative, sinks;                           /* h step; relative: d step over the R entries too */
    att_grid centre, k_scale, v_scale;
    att_grid block_starts, block_keys;                                     /* t step */
    att_grid o, lse, weights, entropy, top_keys, top_weights, column_sums; /* column_sums: t step over keys */
    int64_t top;                                                           /* n of top_keys (d step over them) */
    att_grid d_o, dq, dk, dv, dbias, dscore_w, dsinks, drelative, dcentre, d_log_prob, d_entropy;
} att_attention_problem;

/* x_i and y_j of the window. */
static inline int64_t att_query_position(const att_attention_problem *p, int64_t b, int64_t i)
{
    const att_grid *x = &p->q_positions;
    return x->data ? ((const int32_t *)x->data)[b * x->b + i * x->t] : i + p->desc.q_offset;
}

static inline int64_t att_key_position(const att_attention_problem *p, int64_t b, int64_t j)
{
    const att_grid *y = &p->k_positions;
    return y->data ? ((const int32_t *)y->data)[b * y->b + j * y->t] : j;
}

/* Positions are those of the indices, and a window is a range of keys. */
static inline bool att_positions_are_indices(const att_attention_problem *p)
{
    return !p->q_positions.data && !p->k_positions.data;
}

/* The keys lo <= j < hi that window and key length leave to query i of batch entry b; hi <= lo: none. With positions
 * given, and for GAUSS, only the key length counts here. */
static inline void att_attention_range(const att_attention_problem *p, int64_t b, int64_t i, int64_t *lo, int64_t *hi)
{
    int64_t at = i + p->desc.q_offset;
    *lo = 0;
    *hi = p->lengths.data ? ((const int32_t *)p->lengths.data)[b * p->lengths.b] : p->Tk;
    if (!att_positions_are_indices(p)) return;
    if (p->desc.window == ATT_WINDOW_BAND && at - p->desc.left > *lo) *lo = at - p->desc.left;
    if (p->desc.window == ATT_WINDOW_BAND && at + p->desc.right + 1 < *hi) *hi = at + p->desc.right + 1;
    if (p->desc.window == ATT_WINDOW_CAUSAL && at + 1 < *hi) *hi = at + 1;
}

/* CAUSAL or BAND lets a query see a key at distance n = y_j - x_i. */
static inline bool att_window_shows(const att_attention_desc *d, int64_t n)
{
    if (d->window == ATT_WINDOW_CAUSAL) return n <= 0;
    return d->window != ATT_WINDOW_BAND || (n >= -d->left && n <= d->right);
}

/* The block lists let query i see key j: keys ascend, so bisect. */
static inline bool att_blocks_show(const att_attention_problem *p, int64_t i, int64_t j)
{
    const att_grid *starts = &p->block_starts, *keys = &p->block_keys;
    if (!starts->data) return true;
    const int32_t *start = (const int32_t *)starts->data + i / p->desc.block * starts->t;
    int64_t lo = start[0], hi = start[starts->t], wanted = j / p->desc.block;
    while (lo < hi) {
        int64_t middle = (lo + hi) / 2;
        if (((const int32_t *)keys->data)[middle * keys->t] < wanted)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < start[starts->t] && ((const int32_t *)keys->data)[lo * keys->t] == wanted;
}

/* T5's bucket of distance n >= 0 among `buckets`: one each for the small ones, then logarithmically wider up to
 * `distance`. In float32, as T5 computes it: elsewhere the edges would differ. */
static inline int64_t att_distance_bucket(int64_t n, int64_t buckets, int64_t distance)
{
    int64_t exact = buckets / 2;
    if (n < exact) return n;
    if (n >= distance) return buckets - 1;
    float far = logf((float)n / (float)exact) / (float)log((double)distance / (double)exact);
    int64_t bucket = exact + (int64_t)(far * (float)(buckets - exact));
    return bucket < buckets - 1 ? bucket : buckets - 1;
}

/* The entry of the relative table for n = y_j - x_i. */
static inline int64_t att_relative_index(const att_attention_problem *p, int64_t n)
{
    int64_t most = p->R / 2;
    if (p->desc.relative == ATT_RELATIVE_CLIP) return n < -most ? 0 : n > most ? p->R - 1 : most + n;
    if (p->desc.relative == ATT_RELATIVE_BUCKETS_BACKWARD)
        return att_distance_bucket(n < 0 ? -n : 0, p->R, p->desc.relative_distance);
    return (n > 0 ? most : 0) + att_distance_bucket(n < 0 ? -n : n, most, p->desc.relative_distance);
}

/* Queries i <= . < i + n and keys j <= . < j + m of head h (key head hkv) of batch entry b. `scratch` is the score
 * core's own, kept from tile to tile. */
typedef struct att_score_tile {
    const att_attention_problem *p;
    int64_t b, h, hkv, i, n, j, m;
    float *scratch;
} att_score_tile;

/* How scores come about, on tiles: all that differs between dot-product and additive attention. Calls come in the
 * order start (once a head: nothing is known of i, j), then for each block of queries `queries`, for each block of keys
 * `keys`, then forward or backward; `end_queries` and `end_keys` close the blocks of a backward, `end` the head. */
typedef struct att_score_kernels {
    int64_t (*scratch_floats)(const att_attention_problem *p);
    void (*start)(const att_score_tile *t);
    void (*queries)(const att_score_tile *t);
    void (*keys)(const att_score_tile *t);
    void (*forward)(const att_score_tile *t, float *s);         /* s[r * ATT_KEY_BLOCK + c] = scale score           */
    void (*backward)(const att_score_tile *t, const float *ds); /* gradients of sum(s ds)                           */
    void (*end_queries)(const att_score_tile *t);               /* dq is complete for these queries                 */
    void (*end_keys)(const att_score_tile *t);                  /* dk has this tile's share                         */
    void (*end)(const att_score_tile *t, float *dscore_w);      /* dscore_w(D) += the head's share                  */
} att_score_kernels;

#define ATT_QUERY_BLOCK 32
#define ATT_KEY_BLOCK   64

/* All NULL where a level has nothing of its own. float32 only. */
typedef struct att_attention_kernels {
    att_score_kernels score[ATT_SCORE_NONE + 1]; /* CUSTOM has none */
    bool (*serves)(const att_attention_problem *p);
    int64_t (*scratch_floats)(const att_attention_problem *p);
    /* Queries i <= . < i + n (n <= ATT_QUERY_BLOCK): o, and lse and weights where present. */
    void (*forward)(const att_score_kernels *core, const att_attention_problem *p, int64_t b, int64_t h, int64_t i,
                    int64_t n, float *scratch);
    /* Everything that key head hkv of batch entry b contributes; dscore_w(D) dense or NULL, instead of the problem's.
     */
    void (*backward)(const att_score_kernels *core, const att_attention_problem *p, int64_t b, int64_t hkv,
                     float *dscore_w, float *scratch);
    void (*prepare_row)(float *prepared, const float *k, int64_t D); /* one key, for k_prepared */
} att_attention_kernels;

/* The gradients that a task adds: those of queries i <= . < i + n of heads h <= . < h + heads, if `queries`, and those
 * of keys j <= . < j + m, if `keys`, which then takes all queries of all heads that share them. */
typedef struct att_fused_part {
    int64_t b, h, heads, i, n, j, m;
    bool queries, keys;
    float
        *terms; /* (heads, R + 1), zeroed, with `queries`: shares of drelative, then of dsinks, where these are given */
} att_fused_part;

/* Dot-product attention on packed products. A row's bits do not depend on which task computes it, so tasks may be cut
 * by what the machine likes. All NULL where a level has nothing of its own. */
typedef struct att_fused_kernels {
    bool (*serves)(const att_attention_problem *p);
    int64_t sub; /* queries of a tile: tasks are best multiples of it */
    int64_t (*forward_floats)(const att_attention_problem *p, int64_t n);
    /* Queries i <= . < i + n: o, and what else of `out` is present; column_sums are added into. */
    void (*forward)(const att_attention_problem *p, int64_t b, int64_t h, int64_t i, int64_t n, float *scratch);
    int64_t backward_queries, backward_keys; /* blocks: parts of a backward start at multiples of them */
    int64_t (*backward_floats)(const att_attention_problem *p, const att_fused_part *part);
    void (*backward)(const att_attention_problem *p, const att_fused_part *part, float *scratch);
} att_fused_kernels;

#endif
