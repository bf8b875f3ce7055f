/* What the inputs of attention may be. */
#include "op/attention_check.h"

#include <math.h>

#include "op/attention_views.h"

/* ---- sizes and types ---- */

static att_status check_sizes(const att_attention_in *in, att_attention_problem *p)
{
    ATT_TRY(att_grid_four("q", &in->q, "(B,Hq,Tq,D)"));
    ATT_TRY(att_grid_four("v", &in->v, "(B,Hkv,Tk,Dv)"));
    p->B = in->q.dim[0];
    p->Hq = in->q.dim[1];
    p->Tq = in->q.dim[2];
    p->D = in->q.dim[3];
    p->Hkv = in->v.dim[1];
    p->Tk = in->v.dim[2];
    p->Dv = in->v.dim[3];
    ATT_REQUIRE(p->D >= 1, ATT_E_SHAPE, "q: width D = 0, expected at least 1");
    ATT_REQUIRE(p->Dv >= 1, ATT_E_SHAPE, "v: width Dv = 0, expected at least 1");
    ATT_REQUIRE(p->Hkv >= 1 && p->Hq >= 1 && p->Hq % p->Hkv == 0, ATT_E_SHAPE,
                "q, v: %lld query heads and %lld key heads, expected a multiple of the key heads", (long long)p->Hq,
                (long long)p->Hkv);
    ATT_REQUIRE(in->v.dim[0] == p->B, ATT_E_SHAPE, "v: batch of %lld, expected q's %lld", (long long)in->v.dim[0],
                (long long)p->B);
    return ATT_OK;
}

static bool is_half(att_dtype dtype)
{
    return dtype == ATT_BF16 || dtype == ATT_F16;
}

/* q's type, and the one that k and v share: q's, or a cache's. */
static att_status check_dtypes(const att_attention_in *in, att_attention_problem *p)
{
    p->dtype = in->q.dtype;
    p->kv_dtype = in->v.dtype;
    ATT_REQUIRE(p->dtype == ATT_F32 || p->dtype == ATT_F64 || is_half(p->dtype), ATT_E_DTYPE,
                "q: %s, expected float32, float64, bfloat16 or float16", att_dtype_name(p->dtype));
    bool cache = p->dtype != ATT_F64 && (p->kv_dtype == ATT_I8 || is_half(p->kv_dtype));
    ATT_REQUIRE(p->kv_dtype == p->dtype || cache, ATT_E_DTYPE, "v: %s, expected q's %s%s", att_dtype_name(p->kv_dtype),
                att_dtype_name(p->dtype), p->dtype == ATT_F64 ? "" : ", or int8, bfloat16 or float16");
    return ATT_OK;
}

/* ---- scores ---- */

static att_status check_keys(const att_attention_in *in, att_attention_problem *p)
{
    const int64_t k[4] = {p->B, p->Hkv, p->Tk, p->D};
    if (p->desc.score != ATT_SCORE_NONE) {
        ATT_TRY(att_grid_four("k", &in->k, "(B,Hkv,Tk,D)"));
        ATT_TRY(att_grid_exact("k", &in->k, p->kv_dtype, 4, k, &p->k));
    }
    ATT_TRY(att_grid_exact("v", &in->v, p->kv_dtype, 4, (int64_t[]){p->B, p->Hkv, p->Tk, p->Dv}, &p->v));
    bool additive = p->desc.score == ATT_SCORE_ADDITIVE;
    ATT_TRY(att_only_with("score_w", in->score_w.data, additive, "ATT_SCORE_ADDITIVE"));
    ATT_TRY(att_only_with("k_prepared", in->k_prepared.data, additive, "ATT_SCORE_ADDITIVE"));
    ATT_TRY(att_grid_optional("k_prepared", &in->k_prepared, ATT_F32, 4, k, &p->k_prepared));
    att_grid w = {0};
    ATT_TRY(att_grid_optional("score_w", &in->score_w, att_real_of(p->dtype), 1, &p->D, &w));
    p->score_w = (att_grid){.data = w.data, .d = w.b};
    return ATT_OK;
}

static att_status check_scales(const att_attention_in *in, att_attention_problem *p)
{
    const int64_t each[3] = {p->B, p->Hkv, p->Tk};
    bool integers = p->kv_dtype == ATT_I8;
    ATT_TRY(att_only_with("k_scale", in->k_scale.data, integers, "int8 k and v"));
    ATT_TRY(att_only_with("v_scale", in->v_scale.data, integers, "int8 k and v"));
    if (!integers) return ATT_OK;
    if (p->desc.score != ATT_SCORE_NONE)
        ATT_TRY(att_grid_exact("k_scale", &in->k_scale, ATT_F32, 3, each, &p->k_scale));
    return att_grid_exact("v_scale", &in->v_scale, ATT_F32, 3, each, &p->v_scale);
}

/* One number for each query head. */
static att_status check_per_head(const char *name, const att_view *v, const att_attention_problem *p, att_grid *g)
{
    att_grid found = {0};
    ATT_TRY(att_grid_optional(name, v, att_real_of(p->dtype), 1, &p->Hq, &found));
    *g = (att_grid){.data = found.data, .h = found.b};
    return ATT_OK;
}

static att_status check_buckets(const att_attention_problem *p)
{
    const att_attention_desc *d = &p->desc;
    int64_t least = d->relative == ATT_RELATIVE_BUCKETS ? 4 : 2, exact = p->R / least;
    ATT_REQUIRE(p->R >= least && (d->relative != ATT_RELATIVE_BUCKETS || p->R % 2 == 0), ATT_E_SHAPE,
                "relative: %lld buckets, expected %s", (long long)p->R,
                d->relative == ATT_RELATIVE_BUCKETS ? "an even number of 4 or more" : "2 or more");
    ATT_REQUIRE(d->relative_distance > exact, ATT_E_VALUE,
                "relative_distance: %lld, expected more than the %lld distances with a bucket of their own",
                (long long)d->relative_distance, (long long)exact);
    return ATT_OK;
}

static att_status check_relative(const att_attention_in *in, att_attention_problem *p)
{
    const att_view *v = &in->relative;
    char found[ATT_SHAPE_TEXT];
    ATT_REQUIRE(v->data || p->desc.relative == ATT_RELATIVE_CLIP, ATT_E_VALUE,
                "relative: absent, expected the table of the descriptor's buckets");
    if (!v->data) return ATT_OK;
    ATT_REQUIRE(v->dtype == att_real_of(p->dtype), ATT_E_DTYPE, "relative: %s, expected %s", att_dtype_name(v->dtype),
                att_dtype_name(att_real_of(p->dtype)));
    ATT_REQUIRE(v->ndim == 2 && (v->dim[0] == p->Hq || v->dim[0] == 1) && v->dim[1] >= 1, ATT_E_SHAPE,
                "relative: shape %s, expected (%lld,R) or (1,R)", att_shape_text(found, v->ndim, v->dim),
                (long long)p->Hq);
    p->R = v->dim[1];
    p->relative = (att_grid){.data = v->data, .h = v->dim[0] == 1 ? 0 : v->stride[0], .d = v->stride[1]};
    if (p->desc.relative != ATT_RELATIVE_CLIP) return check_buckets(p);
    ATT_REQUIRE(p->R % 2 == 1, ATT_E_SHAPE, "relative: %lld entries, expected an odd number: distances -m .. m",
                (long long)p->R);
    return ATT_OK;
}

/* ---- what is visible ---- */

static att_status check_lengths(const att_attention_in *in, att_attention_problem *p)
{
    ATT_TRY(att_grid_optional("key_lengths", &in->key_lengths, ATT_I32, 1, &p->B, &p->lengths));
    for (int64_t b = 0; p->lengths.data && b < p->B; b++) {
        int64_t n = ((const int32_t *)p->lengths.data)[b * p->lengths.b];
        ATT_REQUIRE(n >= 0 && n <= p->Tk, ATT_E_VALUE, "key_lengths: %lld at %lld, expected 0 to Tk = %lld",
                    (long long)n, (long long)b, (long long)p->Tk);
    }
    return ATT_OK;
}

/* (B,T) or (1,T) */
static att_status check_positions(const char *name, const att_view *v, const att_attention_problem *p, int64_t T,
                                  att_grid *g)
{
    bool shared = v->ndim == 2 && v->dim[0] == 1;
    att_grid found = {0};
    ATT_TRY(att_grid_optional(name, v, ATT_I32, 2, (int64_t[]){shared ? 1 : p->B, T}, &found));
    *g = (att_grid){.data = found.data, .b = shared ? 0 : found.b, .t = found.h};
    return ATT_OK;
}

static att_status check_places(const att_attention_in *in, att_attention_problem *p)
{
    bool gauss = p->desc.window == ATT_WINDOW_GAUSS;
    const int64_t rows[3] = {p->B, p->Hq, p->Tq};
    ATT_TRY(check_positions("q_positions", &in->q_positions, p, p->Tq, &p->q_positions));
    ATT_TRY(check_positions("k_positions", &in->k_positions, p, p->Tk, &p->k_positions));
    ATT_REQUIRE(!in->q_positions.data || p->desc.q_offset == 0, ATT_E_VALUE,
                "q_offset: %lld, expected 0 with q_positions", (long long)p->desc.q_offset);
    ATT_TRY(att_only_with("centre", in->centre.data, gauss, "ATT_WINDOW_GAUSS"));
    return gauss ? att_grid_exact("centre", &in->centre, att_real_of(p->dtype), 3, rows, &p->centre) : ATT_OK;
}

/* The lists of one block of queries ascend within the blocks of keys that there are. */
static att_status check_block_list(const att_attention_problem *p, int64_t n, int64_t count)
{
    const int32_t *start = p->block_starts.data, *key = p->block_keys.data;
    int64_t lo = start[n * p->block_starts.t], hi = start[(n + 1) * p->block_starts.t];
    int64_t blocks = att_ceil_div(p->Tk, p->desc.block);
    ATT_REQUIRE(lo >= 0 && lo <= hi && hi <= count, ATT_E_VALUE,
                "block_starts: %lld, %lld at %lld, expected ascending numbers from 0 to the %lld block_keys",
                (long long)lo, (long long)hi, (long long)n, (long long)count);
    for (int64_t at = lo; at < hi; at++) {
        int64_t j = key[at * p->block_keys.t], before = at > lo ? key[(at - 1) * p->block_keys.t] : -1;
        ATT_REQUIRE(j >= 0 && j < blocks, ATT_E_VALUE, "block_keys: %lld at %lld, expected one of %lld blocks",
                    (long long)j, (long long)at, (long long)blocks);
        ATT_REQUIRE(j > before, ATT_E_VALUE, "block_keys: %lld after %lld at %lld, expected ascending blocks",
                    (long long)j, (long long)before, (long long)at);
    }
    return ATT_OK;
}

static att_status check_blocks(const att_attention_in *in, att_attention_problem *p)
{
    bool given = in->block_starts.data || in->block_keys.data;
    ATT_REQUIRE(given || p->desc.block == 0, ATT_E_VALUE, "block_starts: absent, expected with a block of %lld",
                (long long)p->desc.block);
    if (!given) return ATT_OK;
    ATT_REQUIRE(p->desc.block > 0, ATT_E_VALUE, "block: 0, expected the side of block_starts' and block_keys' blocks");
    const int64_t starts = att_ceil_div(p->Tq, p->desc.block) + 1, count = in->block_keys.dim[0];
    att_grid found = {0};
    ATT_TRY(att_grid_exact("block_starts", &in->block_starts, ATT_I32, 1, &starts, &found));
    p->block_starts = (att_grid){.data = found.data, .t = found.b};
    ATT_TRY(att_grid_exact("block_keys", &in->block_keys, ATT_I32, 1, &count, &found));
    p->block_keys = (att_grid){.data = found.data, .t = found.b};
    for (int64_t n = 0; n + 1 < starts; n++) ATT_TRY(check_block_list(p, n, count));
    return ATT_OK;
}

static att_status check_masks(const att_attention_in *in, att_attention_problem *p)
{
    att_grid rows = {0};
    ATT_TRY(att_grid_broadcast("mask", &in->mask, ATT_U8, p, &p->mask));
    ATT_TRY(att_grid_broadcast("bias", &in->bias, att_real_of(p->dtype), p, &p->bias));
    ATT_TRY(att_grid_optional("query_mask", &in->query_mask, ATT_U8, 2, (int64_t[]){p->B, p->Tq}, &rows));
    p->query_mask = (att_grid){.data = rows.data, .b = rows.b, .t = rows.h};
    return check_lengths(in, p);
}

/* ---- all of it ---- */

/* Every 0 that stands for a usual value becomes that value. */
static void fill_defaults(att_attention_problem *p)
{
    att_attention_desc *d = &p->desc;
    double usual = d->score == ATT_SCORE_DOT ? 1.0 / sqrt((double)p->D) : 1.0;
    d->left = att_min64(d->left, ATT_FAR);
    d->right = att_min64(d->right, ATT_FAR);
    p->temperature = d->temperature != 0 ? (double)d->temperature : 1;
    p->scale = d->scale != 0 ? (double)d->scale : usual;
    if (d->window == ATT_WINDOW_GAUSS && d->sigma == 0) d->sigma = d->half_width / 2;
    if (d->relative != ATT_RELATIVE_CLIP && d->relative_distance == 0) d->relative_distance = 128;
}

att_status att_attention_check_in(const att_attention_desc *desc, const att_attention_in *in, att_attention_problem *p)
{
    static const att_attention_desc plain = {0};
    *p = (att_attention_problem){.desc = desc ? *desc : plain};
    ATT_REQUIRE(in, ATT_E_VALUE, "in: NULL, expected the inputs");
    ATT_TRY(att_attention_check_desc(&p->desc));
    ATT_TRY(check_sizes(in, p));
    fill_defaults(p);
    ATT_TRY(check_dtypes(in, p));
    ATT_TRY(att_grid_exact("q", &in->q, p->dtype, 4, (int64_t[]){p->B, p->Hq, p->Tq, p->D}, &p->q));
    ATT_TRY(check_keys(in, p));
    ATT_TRY(check_scales(in, p));
    ATT_TRY(check_masks(in, p));
    ATT_TRY(check_places(in, p));
    ATT_TRY(check_blocks(in, p));
    ATT_TRY(check_per_head("slopes", &in->slopes, p, &p->slopes));
    ATT_TRY(check_relative(in, p));
    ATT_TRY(att_only_with("sinks", in->sinks.data, p->desc.align == ATT_ALIGN_SOFTMAX, "ATT_ALIGN_SOFTMAX"));
    return check_per_head("sinks", &in->sinks, p, &p->sinks);
}
