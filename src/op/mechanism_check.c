/* Which inputs each kind takes, and the sizes that follow from them. */
#include "op/mechanism.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [ATT_MECHANISM_SCALED_DOT] = "scaled-dot", [ATT_MECHANISM_DOT] = "dot",
    [ATT_MECHANISM_GENERAL] = "general",       [ATT_MECHANISM_ADDITIVE] = "additive",
    [ATT_MECHANISM_CONCAT] = "concat",         [ATT_MECHANISM_KERAS_CONCAT] = "keras-concat",
    [ATT_MECHANISM_COSINE] = "cosine",         [ATT_MECHANISM_LOCATION] = "location",
    [ATT_MECHANISM_RELATIVE] = "relative",     [ATT_MECHANISM_NONE] = "none",
    [ATT_MECHANISM_CUSTOM] = "custom",
};
enum { KINDS = sizeof names / sizeof *names };

const char *att_mechanism_name(att_mechanism kind)
{
    return (unsigned)kind < KINDS ? names[kind] : NULL;
}

att_status att_mechanism_parse(const char *name, att_mechanism *kind)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(name, names[i]) == 0) {
            *kind = (att_mechanism)i;
            return ATT_OK;
        }
    return att_fail(ATT_E_VALUE,
                    "mechanism: '%s', expected scaled-dot, dot, general, additive, concat, keras-concat, cosine, "
                    "location, relative, none or custom",
                    name);
}

/* ---- what goes with what ---- */

#define BIT(k) (1u << ATT_MECHANISM_##k)

/* An input that only some kinds take, and those of them that cannot do without. */
typedef struct rule {
    const char *name;
    const att_view *view;
    unsigned takers, needers;
} rule;

static att_status check_rules(const att_mechanism_call *m)
{
    const att_mechanism_in *in = m->in;
    const unsigned all = ~0u, keyless = BIT(LOCATION) | BIT(RELATIVE) | BIT(NONE);
    const unsigned queries = all & ~(BIT(GENERAL) | BIT(CONCAT) | BIT(KERAS_CONCAT) | BIT(RELATIVE) | BIT(NONE));
    const unsigned keys = all & ~(BIT(CONCAT) | BIT(KERAS_CONCAT) | keyless);
    const unsigned matrix = BIT(GENERAL) | BIT(CONCAT) | BIT(LOCATION), additive = BIT(ADDITIVE) | BIT(CONCAT);
    const rule rules[] = {
        {"k", &in->core.k, all & ~keyless, 0},
        {"k_prepared", &in->core.k_prepared, BIT(ADDITIVE), 0},
        {"score_w", &in->core.score_w, additive, 0},
        {"relative", &in->core.relative, all, BIT(RELATIVE)},
        {"w_score", &in->w_score, matrix, matrix},
        {"w_query", &in->w_query, queries, 0},
        {"w_key", &in->w_key, keys, 0},
        {"gain", &in->gain, BIT(SCALED_DOT) | BIT(DOT) | BIT(KERAS_CONCAT), 0},
        {"concat_weight", &in->concat_weight, BIT(KERAS_CONCAT), 0},
        {"strength", &in->strength, BIT(COSINE), 0},
        {"coverage", &in->coverage, additive, 0},
    };
    unsigned kind = 1u << m->desc.kind;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        bool given = rules[i].view->data != NULL;
        ATT_REQUIRE(!given || (rules[i].takers & kind), ATT_E_VALUE, "%s: given, expected none for %s attention",
                    rules[i].name, names[m->desc.kind]);
        ATT_REQUIRE(given || !(rules[i].needers & kind), ATT_E_VALUE, "%s: absent, expected one for %s attention",
                    rules[i].name, names[m->desc.kind]);
    }
    return ATT_OK;
}

/* Inputs that stand or fall together. */
static att_status check_pairs(const att_mechanism_in *in)
{
    const struct {
        const char *name, *with;
        const att_view *view, *other;
    } needs[] = {
        {"b_query", "w_query", &in->b_query, &in->w_query},
        {"b_key", "w_key", &in->b_key, &in->w_key},
        {"b_value", "w_value", &in->b_value, &in->w_value},
        {"b_output", "w_output", &in->b_output, &in->w_output},
        {"coverage", "w_coverage", &in->coverage, &in->w_coverage},
        {"w_coverage", "coverage", &in->w_coverage, &in->coverage},
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        ATT_REQUIRE(!needs[i].view->data || needs[i].other->data, ATT_E_VALUE, "%s: given without %s", needs[i].name,
                    needs[i].with);
    ATT_REQUIRE(!in->gain.data || !in->w_query.data, ATT_E_VALUE,
                "gain: given beside w_query, which can hold it: expected one of the two");
    ATT_REQUIRE(!in->core.k_prepared.data || (!in->w_key.data && !in->coverage.data), ATT_E_VALUE,
                "k_prepared: given beside w_key or coverage, which change the keys");
    return ATT_OK;
}

static att_status check_local(const att_mechanism_call *m)
{
    const att_mechanism_desc *d = &m->desc;
    const att_mechanism_in *in = m->in;
    bool predicts = att_mechanism_predicts(m);
    ATT_REQUIRE(d->local >= ATT_LOCAL_NONE && d->local <= ATT_LOCAL_PREDICTIVE, ATT_E_VALUE,
                "local: %d, expected ATT_LOCAL_NONE, _MONOTONIC or _PREDICTIVE", (int)d->local);
    ATT_REQUIRE((in->w_centre.data != NULL) == predicts && (in->v_centre.data != NULL) == predicts, ATT_E_VALUE,
                "w_centre, v_centre: %s, expected both with ATT_LOCAL_PREDICTIVE and neither otherwise",
                predicts ? "absent" : "given");
    if (d->local == ATT_LOCAL_NONE) return ATT_OK;
    ATT_REQUIRE(d->core.window == ATT_WINDOW_ALL, ATT_E_VALUE, "window: %d beside local, expected ATT_WINDOW_ALL",
                (int)d->core.window);
    ATT_REQUIRE(isfinite(d->core.half_width) && d->core.half_width > 0, ATT_E_VALUE,
                "half_width: %g, expected more than 0 keys", (double)d->core.half_width);
    ATT_REQUIRE(predicts || (d->core.sigma == 0 && !d->core.untruncated), ATT_E_VALUE,
                "sigma, untruncated: given, but the weights of monotonic attention do not fall off");
    ATT_REQUIRE(!predicts || !in->core.centre.data, ATT_E_VALUE,
                "centre: given beside ATT_LOCAL_PREDICTIVE, which computes it");
    return ATT_OK;
}

static att_status check_kind(const att_mechanism_call *m)
{
    const att_mechanism_desc *d = &m->desc;
    ATT_REQUIRE((unsigned)d->kind < KINDS, ATT_E_VALUE, "kind: %d, expected 0 to %d", (int)d->kind, KINDS - 1);
    ATT_REQUIRE(d->core.score == ATT_SCORE_DOT, ATT_E_VALUE, "core.score: %d, expected 0: `kind` says it",
                (int)d->core.score);
    ATT_REQUIRE(d->heads >= 0 && d->kv_heads >= 0, ATT_E_VALUE, "heads, kv_heads: %lld, %lld, expected 0 or more",
                (long long)d->heads, (long long)d->kv_heads);
    ATT_TRY(check_rules(m));
    ATT_TRY(check_pairs(m->in));
    return check_local(m);
}

/* ---- sizes ---- */

/* Three- or four-dimensional rows as (B,H0,T,C). */
static att_status take_rows(const att_mechanism_call *m, const char *name, const att_view *v, att_mechanism_side *side)
{
    ATT_REQUIRE(v->dtype == m->dtype, ATT_E_DTYPE, "%s: %s, expected %s as q", name, att_dtype_name(v->dtype),
                att_dtype_name(m->dtype));
    ATT_TRY(att_require_real(name, v));
    int ndim = m->split ? 3 : 4;
    ATT_REQUIRE(v->ndim == ndim, ATT_E_SHAPE, "%s: %d dimensions, expected %d as q", name, v->ndim, ndim);
    ATT_TRY(att_require_unit(name, v));
    side->rows = *v;
    if (!m->split) return ATT_OK;
    side->rows.ndim = 4;
    for (int a = 3; a > 1; a--) {
        side->rows.dim[a] = v->dim[a - 1];
        side->rows.stride[a] = v->stride[a - 1];
    }
    side->rows.dim[1] = 1;
    side->rows.stride[1] = v->dim[1] * v->stride[1];
    return ATT_OK;
}

/* Width after the projection, cut into heads. */
/* `called`: of the rows, of their projection `w` and of its bias `b`, for messages. */
static att_status take_projection(const att_mechanism_call *m, const char *const called[3], const att_view *w,
                                  const att_view *b, int64_t heads, att_mechanism_side *side)
{
    int64_t C = side->rows.dim[3], N = w->data ? w->dim[1] : C;
    if (w->data) {
        ATT_REQUIRE(w->ndim == 2, ATT_E_SHAPE, "%s: %d dimensions, expected 2", called[1], w->ndim);
        ATT_TRY(att_require_shape(called[1], w, m->dtype, 2, (int64_t[]){C, N}));
    }
    if (b->data) ATT_TRY(att_require_shape(called[2], b, m->dtype, 1, &N));
    int64_t cuts = m->split ? heads : 1;
    ATT_REQUIRE(N % cuts == 0 && N > 0, ATT_E_SHAPE, "%s: width %lld, expected a multiple of %lld heads", called[0],
                (long long)N, (long long)cuts);
    side->w = *w;
    side->bias = *b;
    side->heads = heads;
    side->width = N / cuts;
    return ATT_OK;
}

static att_status check_heads(att_mechanism_call *m)
{
    const att_mechanism_desc *d = &m->desc;
    const att_view *q = &m->in->core.q, *v = &m->in->core.v;
    if (m->split) {
        m->Hq = d->heads ? d->heads : 1;
        m->Hkv = d->kv_heads ? d->kv_heads : m->Hq;
    } else {
        m->Hq = q->dim[1];
        m->Hkv = v->dim[1];
        ATT_REQUIRE((d->heads == 0 || d->heads == m->Hq) && (d->kv_heads == 0 || d->kv_heads == m->Hkv), ATT_E_SHAPE,
                    "heads, kv_heads: %lld, %lld, expected 0 or what q and v have, %lld and %lld", (long long)d->heads,
                    (long long)d->kv_heads, (long long)m->Hq, (long long)m->Hkv);
    }
    ATT_REQUIRE(m->Hkv > 0 && m->Hq % m->Hkv == 0, ATT_E_SHAPE,
                "heads, kv_heads: %lld and %lld, expected a multiple of the key heads", (long long)m->Hq,
                (long long)m->Hkv);
    return ATT_OK;
}

/* q, k and v with their projections. Luong's concat is additive attention whose projections are the two halves of its
 * matrix; general is a projection of q. */
static att_status check_sides(att_mechanism_call *m)
{
    static const att_view none;
    const att_mechanism_in *in = m->in;
    att_view wq = in->w_query, wk = in->w_key;
    const att_view *k = m->shared ? &in->core.v : &in->core.k;
    ATT_TRY(take_rows(m, "q", &in->core.q, &m->q));
    ATT_TRY(take_rows(m, "v", &in->core.v, &m->v));
    if (m->keyed) ATT_TRY(take_rows(m, "k", k, &m->k));
    ATT_TRY(check_heads(m));
    if (m->desc.kind == ATT_MECHANISM_GENERAL) wq = in->w_score;
    if (m->desc.kind == ATT_MECHANISM_CONCAT) {
        int64_t Cq = m->q.rows.dim[3], Ck = m->k.rows.dim[3], both = Cq + Ck;
        ATT_REQUIRE(in->w_score.ndim == 2 && in->w_score.dim[0] == both, ATT_E_SHAPE,
                    "w_score: %lld rows, expected %lld, the widths of q and k together",
                    (long long)(in->w_score.ndim > 0 ? in->w_score.dim[0] : 0), (long long)both);
        wq = att_view_slice(&in->w_score, 0, 0, Cq);
        wk = att_view_slice(&in->w_score, 0, Cq, both);
    }
    const char *query[] = {"query", m->desc.kind == ATT_MECHANISM_GENERAL ? "w_score" : "w_query", "b_query"};
    static const char *const value[] = {"value", "w_value", "b_value"}, *const key[] = {"key", "w_key", "b_key"};
    ATT_TRY(take_projection(m, query, &wq, &in->b_query, m->Hq, &m->q));
    ATT_TRY(take_projection(m, value, &in->w_value, &in->b_value, m->Hkv, &m->v));
    if (m->keyed) ATT_TRY(take_projection(m, key, &wk, &in->b_key, m->Hkv, &m->k));
    m->D = m->q.width;
    m->Dv = m->v.width;
    if (!m->keyed) m->k = (att_mechanism_side){.heads = m->Hkv, .width = m->D, .w = none};
    ATT_REQUIRE(m->k.width == m->D, ATT_E_SHAPE, "k: %lld wide in each head, expected %lld as q", (long long)m->k.width,
                (long long)m->D);
    return ATT_OK;
}

static att_status check_lengths(att_mechanism_call *m)
{
    const int64_t *q = m->q.rows.dim, *k = m->k.rows.dim, *v = m->v.rows.dim;
    m->B = q[0];
    m->Tq = q[2];
    m->Tk = v[2];
    ATT_REQUIRE(v[0] == m->B, ATT_E_SHAPE, "v: a batch of %lld, expected q's %lld", (long long)v[0], (long long)m->B);
    if (!m->keyed) return ATT_OK;
    ATT_REQUIRE(k[0] == m->B, ATT_E_SHAPE, "k: a batch of %lld, expected q's %lld", (long long)k[0], (long long)m->B);
    ATT_REQUIRE(k[2] == m->Tk, ATT_E_SHAPE, "k: %lld rows, expected v's %lld", (long long)k[2], (long long)m->Tk);
    ATT_REQUIRE(m->split || k[1] == m->Hkv, ATT_E_SHAPE, "k: %lld heads, expected v's %lld", (long long)k[1],
                (long long)m->Hkv);
    return ATT_OK;
}

/* A given view of this shape, or none. */
static att_status optional(const att_mechanism_call *m, const char *name, const att_view *v, int ndim,
                           const int64_t *dim)
{
    return v->data ? att_require_shape(name, v, m->dtype, ndim, dim) : ATT_OK;
}

static att_status check_extras(att_mechanism_call *m)
{
    const att_mechanism_in *in = m->in;
    ATT_TRY(optional(m, "gain", &in->gain, 1, (int64_t[]){1}));
    ATT_TRY(optional(m, "concat_weight", &in->concat_weight, 1, (int64_t[]){1}));
    ATT_TRY(optional(m, "strength", &in->strength, 3, (int64_t[]){m->B, m->Hq, m->Tq}));
    ATT_TRY(optional(m, "coverage", &in->coverage, 3, (int64_t[]){m->B, m->Hkv, m->Tk}));
    ATT_TRY(optional(m, "w_coverage", &in->w_coverage, 1, &m->D));
    if (in->w_coverage.data) ATT_TRY(att_require_unit("w_coverage", &in->w_coverage));
    if (m->desc.kind == ATT_MECHANISM_LOCATION) {
        int64_t columns = in->w_score.ndim == 2 ? in->w_score.dim[1] : 0;
        ATT_TRY(att_require_shape("w_score", &in->w_score, m->dtype, 2, (int64_t[]){m->D, att_max64(columns, 0)}));
        ATT_REQUIRE(columns >= m->Tk, ATT_E_SHAPE, "w_score: %lld columns, expected at least the %lld keys",
                    (long long)columns, (long long)m->Tk);
    }
    if (att_mechanism_predicts(m)) {
        m->P = in->w_centre.ndim == 2 ? in->w_centre.dim[1] : 0;
        ATT_TRY(att_require_shape("w_centre", &in->w_centre, m->dtype, 2, (int64_t[]){m->q.rows.dim[3], m->P}));
        ATT_TRY(att_require_shape("v_centre", &in->v_centre, m->dtype, 1, &m->P));
    }
    if (!in->w_output.data) return ATT_OK;
    ATT_REQUIRE(m->split, ATT_E_SHAPE, "w_output: given, expected only with three-dimensional q");
    m->C = in->w_output.ndim == 2 ? in->w_output.dim[1] : 0;
    ATT_TRY(att_require_shape("w_output", &in->w_output, m->dtype, 2, (int64_t[]){m->Hq * m->Dv, m->C}));
    return optional(m, "b_output", &in->b_output, 1, &m->C);
}

/* ---- the descriptor behind the kind ---- */

/* Wide enough that a Gaussian of this deviation is 1 at every key. */
#define FLAT_SIGMA 1e15f

static void set_local(att_mechanism_call *m)
{
    att_attention_desc *d = &m->desc.core;
    if (m->desc.local == ATT_LOCAL_NONE) return;
    d->window = ATT_WINDOW_GAUSS;
    if (att_mechanism_predicts(m)) return;
    if (m->in->core.centre.data) {
        d->sigma = FLAT_SIGMA;
        return;
    }
    d->window = ATT_WINDOW_BAND;
    d->left = d->right = (int64_t)fminf(d->half_width, 1e15f);
    d->half_width = 0;
}

static void set_descriptor(att_mechanism_call *m)
{
    static const att_score scores[KINDS] = {
        [ATT_MECHANISM_ADDITIVE] = ATT_SCORE_ADDITIVE,
        [ATT_MECHANISM_CONCAT] = ATT_SCORE_ADDITIVE,
        [ATT_MECHANISM_KERAS_CONCAT] = ATT_SCORE_ADDITIVE,
        [ATT_MECHANISM_RELATIVE] = ATT_SCORE_NONE,
        [ATT_MECHANISM_NONE] = ATT_SCORE_NONE,
        [ATT_MECHANISM_CUSTOM] = ATT_SCORE_CUSTOM,
    };
    att_attention_desc *d = &m->desc.core;
    d->score = scores[m->desc.kind];
    if (d->scale == 0 && m->desc.kind != ATT_MECHANISM_SCALED_DOT) d->scale = 1;
    set_local(m);
}

att_status att_mechanism_check(const att_mechanism_desc *desc, const att_mechanism_in *in, att_mechanism_call *m)
{
    static const att_mechanism_desc plain;
    *m = (att_mechanism_call){.desc = desc ? *desc : plain, .in = in};
    ATT_REQUIRE(in, ATT_E_VALUE, "in: NULL, expected the inputs");
    ATT_TRY(check_kind(m));
    const att_view *q = &in->core.q;
    ATT_TRY(att_require_real("q", q));
    ATT_REQUIRE(q->ndim == 3 || q->ndim == 4, ATT_E_SHAPE, "q: %d dimensions, expected (B,T,C) or (B,H,T,D)", q->ndim);
    m->dtype = q->dtype;
    m->split = q->ndim == 3;
    m->keyed = m->desc.kind != ATT_MECHANISM_LOCATION && m->desc.kind != ATT_MECHANISM_RELATIVE &&
               m->desc.kind != ATT_MECHANISM_NONE;
    m->shared = m->keyed && !in->core.k.data;
    ATT_TRY(check_sides(m));
    ATT_TRY(check_lengths(m));
    ATT_TRY(check_extras(m));
    set_descriptor(m);
    return ATT_OK;
}
