#include "op/attention_views.h"

#include "op/attention_check.h"

att_status att_grid_four(const char *name, const att_view *v, const char *wanted)
{
    char found[ATT_SHAPE_TEXT];
    ATT_REQUIRE(v->data || (v->ndim == 4 && att_view_count(v) == 0), ATT_E_VALUE, "%s: absent, expected %s", name,
                wanted);
    ATT_REQUIRE(v->ndim == 4, ATT_E_SHAPE, "%s: %d dimensions %s, expected 4 %s", name, v->ndim,
                att_shape_text(found, v->ndim, v->dim), wanted);
    for (int a = 0; a < 4; a++)
        ATT_REQUIRE(v->dim[a] >= 0 && v->dim[a] < ATT_FAR, ATT_E_SHAPE,
                    "%s: size %lld of dimension %d, expected 0 to 2^40", name, (long long)v->dim[a], a);
    return ATT_OK;
}

att_status att_grid_exact(const char *name, const att_view *v, att_dtype dtype, int ndim, const int64_t *dim,
                          att_grid *g)
{
    char wanted[ATT_SHAPE_TEXT];
    ATT_REQUIRE(v->data || v->ndim != 0, ATT_E_VALUE, "%s: absent, expected %s of %s", name,
                att_shape_text(wanted, ndim, dim), att_dtype_name(dtype));
    ATT_TRY(att_require_shape(name, v, dtype, ndim, dim));
    if (ndim == 4) ATT_TRY(att_require_unit(name, v));
    int64_t step[4] = {0};
    for (int a = 0; a < ndim; a++) step[a] = v->stride[a];
    *g = (att_grid){v->data, step[0], step[1], step[2], step[3]};
    return ATT_OK;
}

att_status att_grid_optional(const char *name, const att_view *v, att_dtype dtype, int ndim, const int64_t *dim,
                             att_grid *g)
{
    return v->data ? att_grid_exact(name, v, dtype, ndim, dim, g) : ATT_OK;
}

att_status att_grid_broadcast(const char *name, const att_view *v, att_dtype dtype, const att_attention_problem *p,
                              att_grid *g)
{
    const int64_t full[4] = {p->B, p->Hq, p->Tq, p->Tk};
    char found[ATT_SHAPE_TEXT], wanted[ATT_SHAPE_TEXT];
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
                att_shape_text(found, v->ndim, v->dim), att_shape_text(wanted, 4, full));
    *g = (att_grid){v->data, step[0], step[1], step[2], step[3]};
    return ATT_OK;
}

att_status att_only_with(const char *name, bool given, bool allowed, const char *what)
{
    ATT_REQUIRE(!given || allowed, ATT_E_VALUE, "%s: given, expected only with %s", name, what);
    return ATT_OK;
}

/* ---- overlap ---- */

typedef struct extent { /* of a view in memory, in bytes */
    uintptr_t lo, hi;
    bool gaps; /* other data may lie between its elements */
} extent;

static extent extent_of(const att_view *v)
{
    int64_t first = 0, last = 0, count = 1;
    for (int a = 0; a < v->ndim; a++) {
        int64_t reach = (v->dim[a] - 1) * v->stride[a];
        if (reach < 0) first += reach;
        if (reach > 0) last += reach;
        count *= v->dim[a];
    }
    uintptr_t at = (uintptr_t)v->data, size = att_dtype_bytes(v->dtype);
    return (extent){at + (uintptr_t)first * size, at + (uintptr_t)(last + 1) * size, last + 1 - first != count};
}

static bool overlap(const att_view *a, const att_view *b)
{
    if (!a->data || !b->data || att_view_count(a) == 0 || att_view_count(b) == 0) return false;
    if (a->data == b->data) return true;
    extent x = extent_of(a), y = extent_of(b);
    return !x.gaps && !y.gaps && x.lo < y.hi && y.lo < x.hi;
}

att_status att_grid_no_overlap(const att_named_view *out, int outs, const att_named_view *in, int ins, bool apart)
{
    for (int a = 0; a < outs; a++) {
        for (int b = 0; b < ins; b++)
            ATT_REQUIRE(!overlap(out[a].v, in[b].v), ATT_E_VALUE, "%s: overlaps %s, expected memory of its own",
                        out[a].name, in[b].name);
        for (int b = 0; apart && b < a; b++)
            ATT_REQUIRE(!overlap(out[a].v, out[b].v), ATT_E_VALUE, "%s: overlaps %s, expected memory of its own",
                        out[a].name, out[b].name);
    }
    return ATT_OK;
}
