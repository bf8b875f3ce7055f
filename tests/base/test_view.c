#include "harness.h"

#include "base/base.h"

/* The elements of a view in row-major order, read through its strides. */
static int64_t gather(const att_view *v, int64_t *out)
{
    int64_t n = att_view_count(v);
    for (int64_t k = 0; k < n; k++) {
        int64_t rest = k, at = 0;
        for (int a = v->ndim - 1; a >= 0; a--) {
            at += rest % v->dim[a] * v->stride[a];
            rest /= v->dim[a];
        }
        out[k] = ((const int64_t *)v->data)[at];
    }
    return n;
}

static void dense_strides_are_numpys(void **state)
{
    (void)state;
    float x[120];
    att_view v = att_view_4d(x, ATT_F32, 2, 3, 4, 5);
    static const int64_t want[] = {60, 20, 5, 1};
    assert_int_equal(v.ndim, 4);
    for (int a = 0; a < 4; a++) assert_int_equal(v.stride[a], want[a]);
    assert_int_equal(att_view_count(&v), 120);
    assert_true(att_view_is_dense(&v));
    assert_int_equal(att_view_1d(x, ATT_F32, 7).dim[0], 7);
    assert_int_equal(att_view_2d(x, ATT_F32, 7, 3).stride[0], 3);
    assert_int_equal(att_view_3d(x, ATT_F32, 7, 3, 2).stride[0], 6);
    att_view scalar = att_view_dense(x, ATT_F32, 0, NULL);
    assert_int_equal(att_view_count(&scalar), 1);
    assert_true(att_view_is_dense(&scalar));
    att_view empty = att_view_3d(x, ATT_F32, 4, 0, 3);
    assert_int_equal(att_view_count(&empty), 0);
}

static void slices_and_points_share_memory(void **state)
{
    (void)state;
    int64_t x[60], got[60];
    for (int i = 0; i < 60; i++) x[i] = i;
    att_view v = att_view_3d(x, ATT_I64, 3, 4, 5);

    att_view s = att_view_slice(&v, 1, 1, 3);
    assert_int_equal(gather(&s, got), 30);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++)
            for (int k = 0; k < 5; k++) assert_int_equal(got[(i * 2 + j) * 5 + k], i * 20 + (j + 1) * 5 + k);
    assert_false(att_view_is_dense(&s));
    s = att_view_slice(&v, 0, 1, 3);
    assert_true(att_view_is_dense(&s));
    s = att_view_slice(&v, -1, 5, 5);
    assert_int_equal(att_view_count(&s), 0);

    att_view p = att_view_at(&v, -2, 3);
    assert_int_equal(p.ndim, 2);
    assert_int_equal(p.dim[2], 0);
    assert_int_equal(gather(&p, got), 15);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 5; k++) assert_int_equal(got[i * 5 + k], i * 20 + 15 + k);
}

static void absent_views_stay_absent(void **state)
{
    (void)state;
    att_view v = att_view_2d(NULL, ATT_F32, 4, 6);
    assert_null(att_view_slice(&v, 0, 1, 3).data);
    assert_null(att_view_at(&v, 1, 5).data);
}

static void transpose_exchanges(void **state)
{
    (void)state;
    int64_t x[24], got[24];
    for (int i = 0; i < 24; i++) x[i] = i;
    att_view v = att_view_3d(x, ATT_I64, 2, 3, 4), t = att_view_transpose(&v, 0, -1);
    assert_int_equal(t.dim[0], 4);
    assert_int_equal(t.dim[2], 2);
    gather(&t, got);
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 2; i++) assert_int_equal(got[(k * 3 + j) * 2 + i], (i * 3 + j) * 4 + k);
    assert_false(att_view_is_dense(&t));
    att_view back = att_view_transpose(&t, 2, 0);
    assert_memory_equal(&back, &v, sizeof v);
}

/* A random shape with the given number of elements. */
static int random_shape(att_random *r, int64_t count, int64_t *dim)
{
    int ndim = 0;
    while (ndim < ATT_MAX_DIMS - 1) {
        int64_t d = 1 + (int64_t)att_random_below(r, 6);
        if (count % d) continue;
        dim[ndim++] = d;
        count /= d;
        if (att_random_below(r, 3) == 0) break;
    }
    dim[ndim++] = count;
    return ndim;
}

/* Whatever reshape allows reads the same elements in the same order; a dense view allows every shape. */
static void reshape_keeps_elements_and_order(void **state)
{
    (void)state;
    enum { N = 720 };
    static int64_t x[N], want[N], got[N];
    for (int i = 0; i < N; i++) x[i] = i;
    att_random r = {.seed = 11};
    int allowed = 0, refused = 0;
    for (int trial = 0; trial < 3000; trial++) {
        int64_t dim[ATT_MAX_DIMS];
        att_view v = att_view_dense(x, ATT_I64, 0, NULL), out;
        v = att_view_dense(x, ATT_I64, random_shape(&r, N, dim), dim);
        bool dense = att_random_below(&r, 4) == 0;
        for (int step = 0; !dense && step < 2; step++) {
            int a = (int)att_random_below(&r, (uint64_t)v.ndim), b = (int)att_random_below(&r, (uint64_t)v.ndim);
            if (step == 0)
                v = att_view_transpose(&v, a, b);
            else
                v = att_view_slice(&v, a, v.dim[a] / 3, v.dim[a]);
        }
        int ndim = random_shape(&r, att_view_count(&v), dim);
        att_status st = att_view_reshape(&v, ndim, dim, &out);
        if (dense) assert_int_equal(st, ATT_OK);
        if (st != ATT_OK) {
            assert_int_equal(st, ATT_E_SHAPE);
            refused++;
            continue;
        }
        allowed++;
        assert_int_equal(gather(&v, want), gather(&out, got));
        assert_memory_equal(got, want, (size_t)att_view_count(&v) * sizeof *got);
    }
    assert_true(allowed > 1000);
    assert_true(refused > 100);
}

static void reshape_knows_what_strides_allow(void **state)
{
    (void)state;
    int64_t x[24];
    att_view v = att_view_3d(x, ATT_I64, 2, 3, 4), t = att_view_transpose(&v, 0, 1), out;
    assert_ok(att_view_reshape(&t, 4, (int64_t[]){3, 2, 2, 2}, &out));
    assert_int_equal(att_view_reshape(&t, 2, (int64_t[]){6, 4}, &out), ATT_E_SHAPE);
    att_view one = {
        .data = x, .dtype = ATT_I64, .ndim = 2, .dim = {2, 3}, .stride = {0, 0}}; /* one element, repeated */
    assert_ok(att_view_reshape(&one, 1, (int64_t[]){6}, &out));
    assert_int_equal(out.stride[0], 0);
    att_view empty = att_view_2d(x, ATT_I64, 0, 3);
    assert_ok(att_view_reshape(&empty, 3, (int64_t[]){5, 0, 7}, &out));
}

static void reshape_refuses_impossible_shapes(void **state)
{
    (void)state;
    int64_t x[24], seven[7] = {1, 1, 1, 1, 1, 1, 24};
    att_view v = att_view_3d(x, ATT_I64, 2, 3, 4), out = {0};
    assert_int_equal(att_view_reshape(&v, 2, (int64_t[]){5, 5}, &out), ATT_E_SHAPE);
    assert_int_equal(att_view_reshape(&v, 7, seven, &out), ATT_E_SHAPE);
    assert_int_equal(att_view_reshape(&v, -1, seven, &out), ATT_E_SHAPE);
    assert_int_equal(att_view_reshape(&v, 2, (int64_t[]){-4, -6}, &out), ATT_E_SHAPE);
    assert_non_null(strstr(att_last_error(), "-4"));
    int64_t huge = (int64_t)1 << 62;
    assert_int_equal(att_view_reshape(&v, 3, (int64_t[]){huge, huge, 24}, &out), ATT_E_SHAPE);
    assert_int_equal(att_view_reshape(&v, 2, (int64_t[]){INT64_MAX, INT64_MAX}, &out), ATT_E_SHAPE);
    assert_int_equal(out.ndim, 0);
}

static void dtypes_have_sizes_and_names(void **state)
{
    (void)state;
    static const struct {
        att_dtype dtype;
        size_t bytes;
        const char *name;
    } want[] = {
        {ATT_F32, 4, "float32"}, {ATT_F64, 8, "float64"}, {ATT_BF16, 2, "bfloat16"}, {ATT_F16, 2, "float16"},
        {ATT_I8, 1, "int8"},     {ATT_I32, 4, "int32"},   {ATT_I64, 8, "int64"},     {ATT_U8, 1, "uint8"},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_int_equal(att_dtype_bytes(want[i].dtype), want[i].bytes);
        assert_string_equal(att_dtype_name(want[i].dtype), want[i].name);
    }
    assert_int_equal(att_dtype_bytes((att_dtype)99), 0);
    assert_string_equal(att_dtype_name((att_dtype)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_strides_are_numpys),          cmocka_unit_test(slices_and_points_share_memory),
        cmocka_unit_test(absent_views_stay_absent),          cmocka_unit_test(transpose_exchanges),
        cmocka_unit_test(reshape_keeps_elements_and_order),  cmocka_unit_test(reshape_knows_what_strides_allow),
        cmocka_unit_test(reshape_refuses_impossible_shapes), cmocka_unit_test(dtypes_have_sizes_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
