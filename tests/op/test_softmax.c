/* Softmax and layer norm: rows against the double reference, gradients against differences, what must hold. */
#include <attend/ops.h>

#include "numeric.h"

static const int64_t sizes[][2] = {{1, 1}, {3, 2}, {5, 7}, {4, 8}, {3, 16}, {2, 17}, {7, 33}, {130, 64}, {3, 1025}};
#define SIZES ((int)(sizeof sizes / sizeof *sizes))

static void test_softmax_parity(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int k = 0; k < SIZES; k++)
        for (int i = 0; i < isas; i++) {
            const int64_t *dim = sizes[k], n = dim[0] * dim[1];
            att_exec exec = {.isa = isa[i], .threads = 2}, ref = {.isa = ATT_ISA_REF};
            both x = both_new(n, 1, 8.0), y = both_new(n, 2, 1.0), dy = both_new(n, 3, 1.0), dx = both_new(n, 4, 1.0);
            both py = both_new(n, 2, 1.0), pdx = both_new(n, 4, 1.0);
            for (int type = ATT_F32; type <= (int)ATT_F64; type++) {
                att_dtype t = (att_dtype)type;
                att_view vx = both_view(&x, t, 2, dim), vy = both_view(&y, t, 2, dim);
                att_view vdy = both_view(&dy, t, 2, dim), vdx = both_view(&dx, t, 2, dim);
                assert_ok(att_softmax_forward(&exec, &vy, &vx));
                assert_ok(att_softmax_backward(&exec, &vdx, &vdy, &vy));
            }
            att_view vx = both_view(&x, ATT_F32, 2, dim), vy = both_view(&py, ATT_F32, 2, dim);
            att_view vdy = both_view(&dy, ATT_F32, 2, dim), vdx = both_view(&pdx, ATT_F32, 2, dim);
            assert_ok(att_softmax_forward(&ref, &vy, &vx));
            assert_ok(att_softmax_backward(&ref, &vdx, &vdy, &vy));
            assert_true(all_within(y.f, y.d, py.f, n, 2e-7, "softmax"));
            assert_true(all_within(dx.f, dx.d, pdx.f, n, 5e-7, "softmax backward"));
            for (int64_t m = 0; m < dim[0]; m++) {
                double sum = 0.0;
                for (int64_t j = 0; j < dim[1]; j++) sum += (double)y.f[m * dim[1] + j];
                assert_true(fabs(sum - 1.0) <= 2e-6);
            }
            both *all[] = {&x, &y, &dy, &dx, &py, &pdx};
            for (int j = 0; j < 6; j++) both_free(all[j]);
        }
}

static void test_softmax_properties(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int i = 0; i < isas; i++) {
        att_exec exec = {.isa = isa[i]};
        float x[4][19], y[4][19];
        att_view vx = att_view_2d(x, ATT_F32, 4, 19), vy = att_view_2d(y, ATT_F32, 4, 19);
        for (int j = 0; j < 19; j++) {
            x[0][j] = (float)(j % 5);
            x[1][j] = (float)(j % 5) + 64.0f; /* a constant added changes nothing */
            x[2][j] = -INFINITY;
            x[3][j] = j == 7 ? 3.0f : -INFINITY;
        }
        assert_ok(att_softmax_forward(&exec, &vy, &vx));
        assert_memory_equal(y[0], y[1], sizeof y[0]);
        for (int j = 0; j < 19; j++) {
            assert_true(y[2][j] == 0.0f);
            assert_true(y[3][j] == (j == 7 ? 1.0f : 0.0f));
        }
        assert_ok(att_softmax_forward(&exec, &vx, &vx)); /* in place */
        assert_memory_equal(x, y, sizeof x);
        x[0][18] = NAN;
        assert_ok(att_softmax_forward(&exec, &vy, &vx));
        assert_true(isnan(y[0][0]) && !isnan(y[1][0]));
    }
}

typedef struct rows_loss {
    att_view y, x, mean, rstd, gain, bias;
    const double *dy;
    bool norm;
} rows_loss;

static double loss_of_rows(void *ctx)
{
    const rows_loss *c = ctx;
    double sum = 0.0;
    if (c->norm)
        assert_ok(att_layer_norm_forward(NULL, &c->y, &c->mean, &c->rstd, &c->x, &c->gain, &c->bias, 1e-3));
    else
        assert_ok(att_softmax_forward(NULL, &c->y, &c->x));
    for (int64_t i = 0; i < att_view_count(&c->y); i++) sum += c->dy[i] * ((const double *)c->y.data)[i];
    return sum;
}

static void test_gradients(void **state)
{
    (void)state;
    int64_t dim[2] = {5, 11}, n = 55, M = 5, N = 11;
    both x = both_new(n, 1, 2.0), y = both_new(n, 2, 1.0), dy = both_new(n, 3, 1.0), dx = both_new(n, 4, 0.0);
    both mean = both_new(M, 5, 1.0), rstd = both_new(M, 6, 1.0), gain = both_new(N, 7, 1.0), bias = both_new(N, 8, 1.0);
    both dgain = both_new(N, 9, 0.0), dbias = both_new(N, 10, 0.0);
    att_view vdy = both_view(&dy, ATT_F64, 2, dim), vdx = both_view(&dx, ATT_F64, 2, dim);
    att_view vdgain = both_view(&dgain, ATT_F64, 1, &N), vdbias = both_view(&dbias, ATT_F64, 1, &N);
    rows_loss c = {.y = both_view(&y, ATT_F64, 2, dim),
                   .x = both_view(&x, ATT_F64, 2, dim),
                   .mean = both_view(&mean, ATT_F64, 1, &M),
                   .rstd = both_view(&rstd, ATT_F64, 1, &M),
                   .gain = both_view(&gain, ATT_F64, 1, &N),
                   .bias = both_view(&bias, ATT_F64, 1, &N),
                   .dy = dy.d};
    loss_of_rows(&c);
    assert_ok(att_softmax_backward(NULL, &vdx, &vdy, &c.y));
    check_gradient("softmax", loss_of_rows, &c, x.d, dx.d, n);
    c.norm = true;
    loss_of_rows(&c);
    assert_ok(att_layer_norm_backward(NULL, &vdx, &vdgain, &vdbias, &vdy, &c.x, &c.mean, &c.rstd, &c.gain, 0));
    check_gradient("layer norm x", loss_of_rows, &c, x.d, dx.d, n);
    check_gradient("layer norm gain", loss_of_rows, &c, gain.d, dgain.d, N);
    check_gradient("layer norm bias", loss_of_rows, &c, bias.d, dbias.d, N);
    both *all[] = {&x, &y, &dy, &dx, &mean, &rstd, &gain, &bias, &dgain, &dbias};
    for (int j = 0; j < 10; j++) both_free(all[j]);
}

/* ---- layer norm ---- */

typedef struct norm_data {
    both x, y, dy, dx, mean, rstd, gain, bias, dgain, dbias;
} norm_data;

static norm_data norm_new(const int64_t *dim)
{
    int64_t n = dim[0] * dim[1], M = dim[0], N = dim[1];
    return (norm_data){both_new(n, 1, 2.0), both_new(n, 2, 1.0), both_new(n, 3, 1.0), both_new(n, 4, 1.0),
                       both_new(M, 5, 1.0), both_new(M, 6, 1.0), both_new(N, 7, 1.0), both_new(N, 8, 1.0),
                       both_new(N, 9, 1.0), both_new(N, 10, 1.0)};
}

static void norm_free(norm_data *d)
{
    both *all[] = {&d->x, &d->y, &d->dy, &d->dx, &d->mean, &d->rstd, &d->gain, &d->bias, &d->dgain, &d->dbias};
    for (int j = 0; j < 10; j++) both_free(all[j]);
}

static void norm_run(const norm_data *d, const int64_t *dim, att_dtype t, const att_exec *exec, int accumulate)
{
    att_view x = both_view(&d->x, t, 2, dim), y = both_view(&d->y, t, 2, dim), dy = both_view(&d->dy, t, 2, dim);
    att_view dx = both_view(&d->dx, t, 2, dim), mean = both_view(&d->mean, t, 1, dim);
    att_view rstd = both_view(&d->rstd, t, 1, dim), gain = both_view(&d->gain, t, 1, dim + 1);
    att_view bias = both_view(&d->bias, t, 1, dim + 1), dgain = both_view(&d->dgain, t, 1, dim + 1);
    att_view dbias = both_view(&d->dbias, t, 1, dim + 1);
    assert_ok(att_layer_norm_forward(exec, &y, &mean, &rstd, &x, &gain, &bias, 1e-3));
    assert_ok(att_layer_norm_backward(exec, &dx, &dgain, &dbias, &dy, &x, &mean, &rstd, &gain, accumulate));
}

static void test_layer_norm_parity(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int k = 0; k < SIZES; k++)
        for (int i = 0; i < 2 * isas; i++) { /* overwriting dx, then adding to it */
            const int64_t *dim = sizes[k];
            norm_data got = norm_new(dim), plain = norm_new(dim);
            norm_run(&got, dim, ATT_F64, NULL, i % 2);
            norm_run(&got, dim, ATT_F32, &(att_exec){.isa = isa[i / 2], .threads = 2}, i % 2);
            norm_run(&plain, dim, ATT_F32, &(att_exec){.isa = ATT_ISA_REF}, i % 2);
            assert_true(all_within(got.y.f, got.y.d, plain.y.f, got.y.n, 1e-6, "layer norm"));
            assert_true(all_within(got.mean.f, got.mean.d, plain.mean.f, got.mean.n, 5e-7, "mean"));
            assert_true(all_within(got.rstd.f, got.rstd.d, plain.rstd.f, got.rstd.n, 4e-6, "rstd"));
            assert_true(all_within(got.dx.f, got.dx.d, plain.dx.f, got.dx.n, 4e-6, "layer norm dx"));
            assert_true(all_within(got.dgain.f, got.dgain.d, plain.dgain.f, got.dgain.n, 1e-5, "dgain"));
            assert_true(all_within(got.dbias.f, got.dbias.d, plain.dbias.f, got.dbias.n, 5e-6, "dbias"));
            norm_free(&got);
            norm_free(&plain);
        }
}

static void test_threads(void **state)
{
    int64_t dim[2] = {211, 257};
    (void)state;
    norm_data want = norm_new(dim);
    norm_run(&want, dim, ATT_F32, NULL, 1);
    for (int threads = 2; threads <= 8; threads += threads < 4 ? 1 : 4) {
        norm_data got = norm_new(dim);
        norm_run(&got, dim, ATT_F32, &(att_exec){.threads = threads}, 1);
        assert_memory_equal(got.y.f, want.y.f, (size_t)got.y.n * sizeof(float));
        assert_memory_equal(got.dx.f, want.dx.f, (size_t)got.dx.n * sizeof(float));
        assert_memory_equal(got.dgain.f, want.dgain.f, (size_t)got.dgain.n * sizeof(float));
        assert_memory_equal(got.dbias.f, want.dbias.f, (size_t)got.dbias.n * sizeof(float));
        norm_free(&got);
    }
    norm_free(&want);
}

static void test_refusals(void **state)
{
    (void)state;
    float a[12] = {0};
    att_view x = att_view_2d(a, ATT_F32, 3, 4), y = att_view_2d(a, ATT_F32, 4, 3), v3 = att_view_1d(a, ATT_F32, 3);
    att_view v4 = att_view_1d(a, ATT_F32, 4), columns = att_view_transpose(&y, 0, 1), cube = att_view_3d(a, 0, 1, 3, 4);
    att_view none = att_view_2d(a, ATT_F32, 3, 0), v0 = att_view_1d(a, ATT_F32, 0);
    assert_refused(att_softmax_forward(NULL, &y, &x), ATT_E_SHAPE, "y: shape (4,3), expected (3,4)");
    assert_refused(att_softmax_forward(NULL, &x, &columns), ATT_E_SHAPE, "x: stride 3 of the last dimension");
    assert_refused(att_softmax_forward(NULL, &cube, &cube), ATT_E_SHAPE, "x: 3 dimensions");
    assert_refused(att_softmax_backward(NULL, &x, &y, &x), ATT_E_SHAPE, "dy: shape");
    assert_refused(att_layer_norm_forward(NULL, &x, &v4, &v3, &x, &v4, &v4, 1e-3), ATT_E_SHAPE, "mean: shape (4)");
    assert_refused(att_layer_norm_forward(NULL, &x, &v3, &v3, &x, &v3, &v4, 1e-3), ATT_E_SHAPE, "gain: shape (3)");
    assert_refused(att_layer_norm_forward(NULL, &x, &v3, &v3, &x, &v4, &v4, -1.0), ATT_E_VALUE, "eps: -1");
    assert_refused(att_layer_norm_forward(NULL, &none, &v3, &v3, &none, &v0, &v0, 0), ATT_E_SHAPE, "x: rows of 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax_parity), cmocka_unit_test(test_softmax_properties),
        cmocka_unit_test(test_gradients),      cmocka_unit_test(test_layer_norm_parity),
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
