#include "op/attention_check.h"

#include <math.h>
#include <stdio.h>

#define FAR ((int64_t)1 << 40) /* beyond every real position: keeps i + q_offset - left from overflowing */

/* ---- descriptor ---- */

static att_status check_choices(const att_attention_desc *d)
{
    ATT_REQUIRE(d->score >= ATT_SCORE_DOT && d->score <= ATT_SCORE_CUSTOM, ATT_E_VALUE,
                "score: %d, expected ATT_SCORE_DOT, _ADDITIVE, _NONE or _CUSTOM", (int)d->score);
    ATT_REQUIRE(d->window >= ATT_WINDOW_ALL && d->window <= ATT_WINDOW_GAUSS, ATT_E_VALUE,
                "window: %d, expected ATT_WINDOW_ALL, _CAUSAL, _BAND or _GAUSS", (int)d->window);
    ATT_REQUIRE(d->align >= ATT_ALIGN_SOFTMAX && d->align <= ATT_ALIGN_ENTMAX15, ATT_E_VALUE,
                "align: %d, expected ATT_ALIGN_SOFTMAX, _ARGMAX, _SAMPLE, _SPARSEMAX or _ENTMAX15", (int)d->align);
    ATT_REQUIRE(d->masked_rows >= ATT_MASKED_ZERO && d->masked_rows <= ATT_MASKED_UNIFORM, ATT_E_VALUE,
                "masked_rows: %d, expected ATT_MASKED_ZERO or _UNIFORM", (int)d->masked_rows);
    return ATT_OK;
}

/* What the descriptor can say and no kernel does yet. */
static att_status check_served(const att_attention_desc *d, const att_attention_in *in)
{
    bool wider = d->score == ATT_SCORE_CUSTOM || d->window == ATT_WINDOW_GAUSS || d->align > ATT_ALIGN_ARGMAX ||
                 d->temperature != 0 || d->estimator != ATT_ESTIMATOR_NONE || d->block != 0 || in->query_mask.data ||
                 in->q_positions.data || in->k_positions.data || in->slopes.data || in->relative.data ||
                 in->sinks.data || in->centre.data || in->block_starts.data || in->block_keys.data ||
                 in->k_scale.data || in->v_scale.data;
    ATT_REQUIRE(!wider, ATT_E_UNSUPPORTED, "desc: asks for what no kernel serves");
    return ATT_OK;
}

static att_status check_numbers(const att_attention_desc *d)
{
    ATT_REQUIRE(isfinite(d->scale), ATT_E_VALUE, "scale: %g, expected a finite number", (double)d->scale);
    ATT_REQUIRE(isfinite(d->softcap) && d->softcap >= 0, ATT_E_VALUE, "softcap: %g, expected 0 (off) or more",
                (double)d->softcap);
    ATT_REQUIRE(d->dropout >= 0 && d->dropout < 1, ATT_E_VALUE, "dropout: %g, expected 0 <= p < 1", (double)d->dropout);
    ATT_REQUIRE(d->left >= 0, ATT_E_VALUE, "left: %lld, expected a window of 0 or more keys", (long long)d->left);
    ATT_REQUIRE(d->right >= 0, ATT_E_VALUE, "right: %lld, expected a window of 0 or more keys", (long long)d->right);
    ATT_REQUIRE(d->window == ATT_WINDOW_BAND || (d->left == 0 && d->right == 0), ATT_E_VALUE,
                "left, right: %lld, %lld, expected 0 unless window is ATT_WINDOW_BAND", (long long)d->left,
                (long long)d->right);
    ATT_REQUIRE(d->q_offset >= -FAR && d->q_offset <= FAR, ATT_E_VALUE, "q_offset: %lld, expected at most 2^40 away",
                (long long)d->q_offset);
    return ATT_OK;
}

/* ---- views ---- */

static const char *shape_text(const int64_t *dim, int ndim, char *text, size_t bytes)
{
    size_t used = (size_t)snprintf(text, bytes, "(");
    for (int a = 0; a < ndim && used < bytes; a++)
        used += (size_t)snprintf(text + used, bytes - used, a ? ",%lld" : "%lld", (long long)dim[a]);
    if (used < bytes) snprintf(text + used, bytes - used, ")");
    return text;
}

static bool same_dims(const att_view *v, const int64_t *dim, int ndim)
{
    if (v->ndim != ndim) return false;
    for (int a = 0; a < ndim; a++)
        if (v->dim[a] != dim[a]) return false;
    return true;
}

/* The view has exactly these sizes. Into *g go data and the steps of the first ndim of b, h, t, d. */
static att_status exact(const char *name, const att_view *v, att_dtype dtype, int ndim, const int64_t *dim, att_grid *g)
{
    char found[96], wanted[96];
    ATT_REQUIRE(v->dtype == dtype, ATT_E_DTYPE, "%s: %s, expected %s", name, att_dtype_name(v->dtype),
                att_dtype_name(dtype));
    ATT_REQUIRE(same_dims(v, dim, ndim), ATT_E_SHAPE, "%s: shape %s, expected %s", name,
                shape_text(v->dim, v->ndim, found, sizeof found), shape_text(dim, ndim, wanted, sizeof wanted));
    ATT_REQUIRE(ndim < 4 || v->stride[3] == 1 || dim[3] <= 1, ATT_E_SHAPE,
                "%s: stride %lld of the last dimension, expected 1", name, (long long)v->stride[3]);
    int64_t step[4] = {0};
    for (int a = 0; a < ndim; a++) step[a] = v->stride[a];
    *g = (att_grid){v->data, step[0], step[1], step[2], step[3]};
    return ATT_OK;
}

/* The same, or nothing when the view is absent. */
static att_status optional(const char *name, const att_view *v, att_dtype dtype, int ndim, const int64_t *dim,
                           att_grid *g)
{
    return v->data ? exact(name, v, dtype, ndim, dim, g) : ATT_OK;
}

/* The view, if present, broadcasts to (B,Hq,Tq,Tk) by NumPy's rule: sizes aligned at the right, each equal or 1. */
static att_status broadcast(const char *name, const att_view *v, att_dtype dtype, const att_attention_problem *p,
                            att_grid *g)
{
    const int64_t full[4] = {p->B, p->Hq, p->Tq, p->Tk};
    char found[96], wanted[96];
    if (!v->data) return ATT_OK;
    ATT_REQUIRE(v->dtype == dtype, ATT_E_DTYPE, "%s: %s, expected %s", name, att_dtype_name(v->dtype),
                att_dtype_name(dtype));
    bool fits = v->ndim >= 0 && v->ndim <= 4;
    int64_t step[4] = {0};
    for (int a = 0; fits && a < v->ndim; a++) {
        int64_t dim = v->dim[a], want = full[4 - v->ndim + a];
        fits = dim == want || dim == 1;
        step[4 - v->ndim + a] = dim == 1 ? 0 : v->stride[a];
    }
    ATT_REQUIRE(fits, ATT_E_SHAPE, "%s: shape %s, expected one that broadcasts to (B,Hq,Tq,Tk) = %s", name,
                shape_text(v->dim, v->ndim < 0 || v->ndim > ATT_MAX_DIMS ? 0 : v->ndim, found, sizeof found),
                shape_text(full, 4, wanted, sizeof wanted));
    *g = (att_grid){v->data, step[0], step[1], step[2], step[3]};
    return ATT_OK;
}

/* ---- inputs ---- */

static att_status four_dims(const char *name, const att_view *v, const char *wanted)
{
    char found[96];
    ATT_REQUIRE(v->data || (v->ndim == 4 && att_view_count(v) == 0), ATT_E_VALUE, "%s: absent, expected %s", name,
                wanted);
    ATT_REQUIRE(v->ndim == 4, ATT_E_SHAPE, "%s: %d dimensions %s, expected 4 %s", name, v->ndim,
                shape_text(v->dim, v->ndim < 0 || v->ndim > ATT_MAX_DIMS ? 0 : v->ndim, found, sizeof found), wanted);
    for (int a = 0; a < 4; a++)
        ATT_REQUIRE(v->dim[a] >= 0 && v->dim[a] < FAR, ATT_E_SHAPE, "%s: size %lld of dimension %d, expected 0 to 2^40",
                    name, (long long)v->dim[a], a);
    return ATT_OK;
}

static att_status check_sizes(const att_attention_in *in, att_attention_problem *p)
{
    ATT_TRY(four_dims("q", &in->q, "(B,Hq,Tq,D)"));
    ATT_TRY(four_dims("v", &in->v, "(B,Hkv,Tk,Dv)"));
    ATT_REQUIRE(in->q.dtype == ATT_F32 || in->q.dtype == ATT_F64, ATT_E_DTYPE, "q: %s, expected float32 or float64",
                att_dtype_name(in->q.dtype));
    p->dtype = p->kv_dtype = in->q.dtype;
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

static att_status check_lengths(const att_attention_in *in, att_attention_problem *p)
{
    ATT_TRY(optional("key_lengths", &in->key_lengths, ATT_I32, 1, (int64_t[]){p->B}, &p->lengths));
    for (int64_t b = 0; p->lengths.data && b < p->B; b++) {
        int64_t n = ((const int32_t *)p->lengths.data)[b * p->lengths.b];
        ATT_REQUIRE(n >= 0 && n <= p->Tk, ATT_E_VALUE, "key_lengths: %lld at %lld, expected 0 to Tk = %lld",
                    (long long)n, (long long)b, (long long)p->Tk);
    }
    return ATT_OK;
}

static att_status check_keys(const att_attention_in *in, att_attention_problem *p)
{
    const int64_t k[4] = {p->B, p->Hkv, p->Tk, p->D};
    if (p->desc.score != ATT_SCORE_NONE) {
        ATT_TRY(four_dims("k", &in->k, "(B,Hkv,Tk,D)"));
        ATT_TRY(exact("k", &in->k, p->dtype, 4, k, &p->k));
    }
    ATT_TRY(optional("k_prepared", &in->k_prepared, p->dtype, 4, k, &p->k_prepared));
    ATT_REQUIRE(!in->score_w.data || p->desc.score == ATT_SCORE_ADDITIVE, ATT_E_VALUE,
                "score_w: given, expected only with ATT_SCORE_ADDITIVE");
    ATT_REQUIRE(!in->k_prepared.data || p->desc.score == ATT_SCORE_ADDITIVE, ATT_E_VALUE,
                "k_prepared: given, expected only with ATT_SCORE_ADDITIVE");
    ATT_TRY(optional("score_w", &in->score_w, p->dtype, 1, (int64_t[]){p->D}, &p->score_w));
    p->score_w.d = p->score_w.b;
    return ATT_OK;
}

att_status att_attention_check_in(const att_attention_desc *desc, const att_attention_in *in, att_attention_problem *p)
{
    static const att_attention_desc plain = {0};
    *p = (att_attention_problem){.desc = desc ? *desc : plain};
    ATT_REQUIRE(in, ATT_E_VALUE, "in: NULL, expected the inputs");
    ATT_TRY(check_choices(&p->desc));
    ATT_TRY(check_numbers(&p->desc));
    ATT_TRY(check_served(&p->desc, in));
    ATT_TRY(check_sizes(in, p));
    ATT_TRY(exact("q", &in->q, p->dtype, 4, (int64_t[]){p->B, p->Hq, p->Tq, p->D}, &p->q));
    ATT_TRY(check_keys(in, p));
    ATT_TRY(exact("v", &in->v, p->dtype, 4, (int64_t[]){p->B, p->Hkv, p->Tk, p->Dv}, &p->v));
    ATT_TRY(broadcast("mask", &in->mask, ATT_U8, p, &p->mask));
    ATT_TRY(broadcast("bias", &in->bias, p->dtype, p, &p->bias));
    ATT_TRY(check_lengths(in, p));
    p->desc.left = att_min64(p->desc.left, FAR);
    p->desc.right = att_min64(p->desc.right, FAR);
    p->temperature = 1;
    double usual = p->desc.score == ATT_SCORE_DOT ? 1.0 / sqrt((double)p->D) : 1.0;
    p->scale = p->desc.scale != 0 ? (double)p->desc.scale : usual;
    return ATT_OK;
}

/* ---- outputs and gradients ---- */

static att_status check_o(const att_attention_out *out, att_attention_problem *p)
{
    ATT_REQUIRE(out, ATT_E_VALUE, "out: NULL, expected the outputs");
    ATT_TRY(four_dims("o", &out->o, "(B,Hq,Tq,Dv)"));
    ATT_TRY(exact("o", &out->o, p->dtype, 4, (int64_t[]){p->B, p->Hq, p->Tq, p->Dv}, &p->o));
    return optional("lse", &out->lse, p->dtype, 3, (int64_t[]){p->B, p->Hq, p->Tq}, &p->lse);
}

att_status att_attention_check_out(const att_attention_out *out, att_attention_problem *p)
{
    ATT_TRY(check_o(out, p));
    return optional("weights", &out->weights, p->dtype, 4, (int64_t[]){p->B, p->Hq, p->Tq, p->Tk}, &p->weights);
}

att_status att_attention_check_saved(const att_attention_out *out, att_attention_problem *p)
{
    ATT_TRY(check_o(out, p));
    ATT_REQUIRE(p->lse.data || p->B * p->Hq * p->Tq == 0, ATT_E_VALUE, "lse: absent, expected the forward's (B,Hq,Tq)");
    return ATT_OK;
}

att_status att_attention_check_grad(const att_attention_grad *grad, att_attention_problem *p)
{
    ATT_REQUIRE(grad, ATT_E_VALUE, "grad: NULL, expected the gradients");
    ATT_TRY(four_dims("d_o", &grad->d_o, "(B,Hq,Tq,Dv)"));
    ATT_TRY(exact("d_o", &grad->d_o, p->dtype, 4, (int64_t[]){p->B, p->Hq, p->Tq, p->Dv}, &p->d_o));
    ATT_TRY(optional("dq", &grad->dq, p->dtype, 4, (int64_t[]){p->B, p->Hq, p->Tq, p->D}, &p->dq));
    ATT_TRY(optional("dk", &grad->dk, p->dtype, 4, (int64_t[]){p->B, p->Hkv, p->Tk, p->D}, &p->dk));
    ATT_TRY(optional("dv", &grad->dv, p->dtype, 4, (int64_t[]){p->B, p->Hkv, p->Tk, p->Dv}, &p->dv));
    ATT_TRY(broadcast("dbias", &grad->dbias, p->dtype, p, &p->dbias));
    ATT_REQUIRE(!grad->dscore_w.data || p->desc.score == ATT_SCORE_ADDITIVE, ATT_E_VALUE,
                "dscore_w: given, expected only with ATT_SCORE_ADDITIVE");
    ATT_TRY(optional("dscore_w", &grad->dscore_w, p->dtype, 1, (int64_t[]){p->D}, &p->dscore_w));
    p->dscore_w.d = p->dscore_w.b;
    return ATT_OK;
}

att_status att_attention_check_prepare(const att_view *prepared, const att_view *k, att_attention_problem *p)
{
    *p = (att_attention_problem){.dtype = ATT_F32};
    ATT_REQUIRE(prepared && k, ATT_E_VALUE, "prepared, k: NULL, expected two views");
    ATT_TRY(four_dims("k", k, "(B,Hkv,Tk,D)"));
    p->B = k->dim[0];
    p->Hkv = k->dim[1];
    p->Tk = k->dim[2];
    p->D = k->dim[3];
    ATT_TRY(exact("k", k, p->dtype, 4, k->dim, &p->k));
    ATT_TRY(four_dims("prepared", prepared, "(B,Hkv,Tk,D)"));
    return exact("prepared", prepared, p->dtype, 4, k->dim, &p->k_prepared);
}
