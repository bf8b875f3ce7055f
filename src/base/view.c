#include <string.h>

#include "base/base.h"

att_view att_view_dense(void *data, att_dtype dtype, int ndim, const int64_t *dim)
{
    assert(ndim >= 0 && ndim <= ATT_MAX_DIMS);
    att_view v = {.data = data, .dtype = dtype, .ndim = ndim};
    int64_t step = 1;
    for (int a = ndim - 1; a >= 0; a--) {
        v.dim[a] = dim[a];
        v.stride[a] = step;
        step *= dim[a];
    }
    return v;
}

att_view att_view_1d(void *data, att_dtype dtype, int64_t n)
{
    return att_view_dense(data, dtype, 1, &n);
}

att_view att_view_2d(void *data, att_dtype dtype, int64_t rows, int64_t cols)
{
    return att_view_dense(data, dtype, 2, (int64_t[]){rows, cols});
}

att_view att_view_3d(void *data, att_dtype dtype, int64_t d0, int64_t d1, int64_t d2)
{
    return att_view_dense(data, dtype, 3, (int64_t[]){d0, d1, d2});
}

att_view att_view_4d(void *data, att_dtype dtype, int64_t d0, int64_t d1, int64_t d2, int64_t d3)
{
    return att_view_dense(data, dtype, 4, (int64_t[]){d0, d1, d2, d3});
}

static int real_axis(const att_view *v, int axis)
{
    int a = axis < 0 ? axis + v->ndim : axis;
    assert(a >= 0 && a < v->ndim);
    return a;
}

static void *at_offset(const att_view *v, int64_t elements)
{
    return v->data ? (char *)v->data + elements * (int64_t)att_dtype_bytes(v->dtype) : NULL;
}

att_view att_view_slice(const att_view *v, int axis, int64_t lo, int64_t hi)
{
    int a = real_axis(v, axis);
    assert(0 <= lo && lo <= hi && hi <= v->dim[a]);
    att_view out = *v;
    out.data = at_offset(v, lo * v->stride[a]);
    out.dim[a] = hi - lo;
    return out;
}

att_view att_view_at(const att_view *v, int axis, int64_t i)
{
    int a = real_axis(v, axis);
    att_view out = att_view_slice(v, a, i, i + 1);
    for (int b = a; b + 1 < v->ndim; b++) {
        out.dim[b] = v->dim[b + 1];
        out.stride[b] = v->stride[b + 1];
    }
    out.ndim--;
    out.dim[out.ndim] = out.stride[out.ndim] = 0;
    return out;
}

att_view att_view_transpose(const att_view *v, int axis_a, int axis_b)
{
    int a = real_axis(v, axis_a), b = real_axis(v, axis_b);
    att_view out = *v;
    out.dim[a] = v->dim[b];
    out.stride[a] = v->stride[b];
    out.dim[b] = v->dim[a];
    out.stride[b] = v->stride[a];
    return out;
}

int64_t att_view_count(const att_view *v)
{
    int64_t n = 1;
    for (int a = 0; a < v->ndim; a++) n *= v->dim[a];
    return n;
}

int att_view_is_dense(const att_view *v)
{
    int64_t step = 1;
    for (int a = v->ndim - 1; a >= 0; a--) {
        if (v->dim[a] != 1 && v->stride[a] != step) return 0;
        step *= v->dim[a];
    }
    return 1;
}

/* Copy v's dimensions without those of size 1, merging neighbours that are contiguous. */
static att_view merged(const att_view *v)
{
    att_view m = {.data = v->data, .dtype = v->dtype};
    for (int a = 0; a < v->ndim; a++) {
        if (v->dim[a] == 1) continue;
        if (m.ndim > 0 && m.stride[m.ndim - 1] == v->dim[a] * v->stride[a]) {
            m.dim[m.ndim - 1] *= v->dim[a];
            m.stride[m.ndim - 1] = v->stride[a];
        } else {
            m.dim[m.ndim] = v->dim[a];
            m.stride[m.ndim++] = v->stride[a];
        }
    }
    return m;
}

/* The number of elements of a caller's shape. */
static att_status count_of(int ndim, const int64_t *dim, int64_t *count)
{
    *count = 1;
    for (int a = 0; a < ndim; a++) {
        ATT_REQUIRE(dim[a] >= 0, ATT_E_SHAPE, "reshape: dimension %d is %lld, expected at least 0", a,
                    (long long)dim[a]);
        ATT_REQUIRE(!__builtin_mul_overflow(*count, dim[a], count), ATT_E_SHAPE,
                    "reshape: more than %lld elements in the new shape", (long long)INT64_MAX);
    }
    return ATT_OK;
}

att_status att_view_reshape(const att_view *v, int ndim, const int64_t *dim, att_view *out)
{
    ATT_REQUIRE(ndim >= 0 && ndim <= ATT_MAX_DIMS, ATT_E_SHAPE, "reshape: %d dimensions, expected 0 to %d", ndim,
                ATT_MAX_DIMS);
    int64_t count;
    ATT_TRY(count_of(ndim, dim, &count));
    ATT_REQUIRE(count == att_view_count(v), ATT_E_SHAPE, "reshape: %lld elements into a shape of %lld",
                (long long)att_view_count(v), (long long)count);
    att_view fresh = att_view_dense(v->data, v->dtype, ndim, dim);
    if (count > 0) {
        att_view m = merged(v);
        int a = m.ndim - 1;
        int64_t left = a >= 0 ? m.dim[a] : 1; /* what of merged dimension a is still to be split */
        int64_t step = a >= 0 ? m.stride[a] : 1;
        for (int b = ndim - 1; b >= 0; b--) {
            if (dim[b] == 1) continue;
            if (left == 1 && a > 0) {
                left = m.dim[--a];
                step = m.stride[a];
            }
            ATT_REQUIRE(left % dim[b] == 0, ATT_E_SHAPE, "reshape: the strides of the source do not allow it");
            fresh.stride[b] = step;
            step *= dim[b];
            left /= dim[b];
        }
    }
    *out = fresh;
    return ATT_OK;
}

size_t att_dtype_bytes(att_dtype dtype)
{
    static const size_t bytes[] = {4, 8, 2, 2, 1, 4, 8, 1};
    return (size_t)dtype < sizeof bytes / sizeof *bytes ? bytes[dtype] : 0;
}

const char *att_dtype_name(att_dtype dtype)
{
    static const char *const name[] = {"float32", "float64", "bfloat16", "float16", "int8", "int32", "int64", "uint8"};
    return (size_t)dtype < sizeof name / sizeof *name ? name[dtype] : "unknown";
}
