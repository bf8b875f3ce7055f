#include "op/require.h"

#include <stdio.h>

const char *att_shape_text(char text[ATT_SHAPE_TEXT], int ndim, const int64_t *dim)
{
    size_t n = 0;
    text[n++] = '(';
    for (int a = 0; a < ndim && a < ATT_MAX_DIMS; a++)
        n += (size_t)snprintf(text + n, ATT_SHAPE_TEXT - n, "%s%lld", a ? "," : "", (long long)dim[a]);
    text[n++] = ')';
    text[n] = '\0';
    return text;
}

static att_status require_sizes(const char *name, const att_view *v)
{
    ATT_REQUIRE(v->ndim >= 0 && v->ndim <= ATT_MAX_DIMS, ATT_E_SHAPE, "%s: %d dimensions, expected 0 to %d", name,
                v->ndim, ATT_MAX_DIMS);
    for (int a = 0; a < v->ndim; a++)
        ATT_REQUIRE(v->dim[a] >= 0, ATT_E_SHAPE, "%s: dimension %d is %lld, expected 0 or more", name, a,
                    (long long)v->dim[a]);
    ATT_REQUIRE(v->data || att_view_count(v) == 0, ATT_E_VALUE, "%s: no data, expected %lld elements", name,
                (long long)att_view_count(v));
    return ATT_OK;
}

att_status att_require_real(const char *name, const att_view *v)
{
    ATT_REQUIRE(v->dtype == ATT_F32 || v->dtype == ATT_F64, ATT_E_DTYPE, "%s: %s, expected float32 or float64", name,
                att_dtype_name(v->dtype));
    return require_sizes(name, v);
}

att_status att_require_shape(const char *name, const att_view *v, att_dtype dtype, int ndim, const int64_t *dim)
{
    char found[ATT_SHAPE_TEXT], wanted[ATT_SHAPE_TEXT];
    ATT_REQUIRE(v->dtype == dtype, ATT_E_DTYPE, "%s: %s, expected %s", name, att_dtype_name(v->dtype),
                att_dtype_name(dtype));
    bool same = v->ndim == ndim;
    for (int a = 0; same && a < ndim; a++) same = v->dim[a] == dim[a];
    ATT_REQUIRE(same, ATT_E_SHAPE, "%s: shape %s, expected %s", name, att_shape_text(found, v->ndim, v->dim),
                att_shape_text(wanted, ndim, dim));
    return require_sizes(name, v);
}

att_status att_require_like(const char *name, const att_view *v, const att_view *like)
{
    return att_require_shape(name, v, like->dtype, like->ndim, like->dim);
}

att_status att_require_unit(const char *name, const att_view *v)
{
    ATT_REQUIRE(v->ndim > 0, ATT_E_SHAPE, "%s: no dimensions, expected at least 1", name);
    ATT_REQUIRE(att_last_dim(v) <= 1 || v->stride[v->ndim - 1] == 1, ATT_E_SHAPE,
                "%s: stride %lld of the last dimension, expected 1", name, (long long)v->stride[v->ndim - 1]);
    return ATT_OK;
}

att_status att_require_rows(const char *name, const att_view *v)
{
    ATT_TRY(att_require_real(name, v));
    ATT_REQUIRE(v->ndim == 2, ATT_E_SHAPE, "%s: %d dimensions, expected 2", name, v->ndim);
    return att_require_unit(name, v);
}

att_status att_require_workspace(att_span span, size_t bytes)
{
    ATT_REQUIRE(span.bytes >= bytes && (span.data || bytes == 0), ATT_E_WORKSPACE,
                "workspace: %zu bytes, expected at least %zu", span.data ? span.bytes : 0, bytes);
    return ATT_OK;
}

att_status att_require_targets(const att_view *target, int64_t M, int64_t V)
{
    ATT_TRY(att_require_shape("target", target, ATT_I32, 1, &M));
    for (int64_t m = 0; m < M; m++) {
        int32_t t = ((const int32_t *)target->data)[m * target->stride[0]];
        ATT_REQUIRE(t < V, ATT_E_VALUE, "target: element %lld is %d, expected less than %lld", (long long)m, (int)t,
                    (long long)V);
    }
    return ATT_OK;
}
