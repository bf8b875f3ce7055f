/* Cross-entropy of logits: every instruction set against the double reference, gradients against differences. */
#include <attend/ops.h>

#include "numeric.h"

typedef struct ce_case {
    int64_t M, V;
    double smoothing, scale, spread;
} ce_case;

static const ce_case cases[] = {
    {1, 1, 0.0, 1.0, 1.0},  {3, 2, 0.1, 1.0, 1.0},    {7, 15, 0.0, 0.5, 3.0},    {5, 16, 0.2, 2.0, 3.0},
    {4, 17, 1.0, 1.0, 9.0}, {9, 1023, 0.1, 1.0, 9.0}, {3, 1024, 0.1, 1.0, 50.0}, {17, 5003, 0.1, 0.1, 20.0},
};
#define CASES ((int)(sizeof cases / sizeof *cases))

typedef struct ce_data {
    both logits, loss, lse;
    int32_t *target;
} ce_data;

static ce_data ce_new(const ce_case *c)
{
    ce_data d = {both_new(c->M * c->V, 1, c->spread), both_new(c->M, 2, 1.0), both_new(c->M, 3, 1.0),
                 guard_alloc((size_t)c->M * sizeof(int32_t))};
    for (int64_t m = 0; m < c->M; m++) d.target[m] = m % 4 == 2 ? -1 : (int32_t)((m * 7919) % c->V);
    return d;
}

static void ce_free(ce_data *d)
{
    guard_free(d->target, (size_t)d->loss.n * sizeof(int32_t));
    both_free(&d->logits);
    both_free(&d->loss);
    both_free(&d->lse);
}

static int64_t ce_forward(const ce_case *c, const ce_data *d, att_dtype t, const att_exec *exec)
{
    int64_t correct = -1, dim[2] = {c->M, c->V};
    att_view logits = both_view(&d->logits, t, 2, dim), loss = both_view(&d->loss, t, 1, dim);
    att_view lse = both_view(&d->lse, t, 1, dim), target = att_view_1d(d->target, ATT_I32, c->M);
    assert_ok(att_cross_entropy_forward(exec, &loss, &lse, &logits, &target, c->smoothing, &correct));
    return correct;
}

static void ce_backward(const ce_case *c, const ce_data *d, att_dtype t, const att_exec *exec)
{
    int64_t dim[2] = {c->M, c->V};
    att_view logits = both_view(&d->logits, t, 2, dim), lse = both_view(&d->lse, t, 1, dim);
    att_view target = att_view_1d(d->target, ATT_I32, c->M);
    assert_ok(att_cross_entropy_backward(exec, &logits, &lse, &target, c->smoothing, c->scale));
}

static void test_parity(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int k = 0; k < CASES; k++)
        for (int i = 0; i < isas; i++) {
            const ce_case *c = &cases[k];
            att_exec exec = {.isa = isa[i], .threads = 2}, ref = {.isa = ATT_ISA_REF};
            ce_data got = ce_new(c), plain = ce_new(c);
            int64_t want = ce_forward(c, &got, ATT_F64, NULL);
            assert_int_equal(ce_forward(c, &got, ATT_F32, &exec), want);
            assert_int_equal(ce_forward(c, &plain, ATT_F32, &ref), want);
            assert_true(all_within(got.loss.f, got.loss.d, plain.loss.f, c->M, 2e-7 * c->spread, "loss"));
            assert_true(all_within(got.lse.f, got.lse.d, plain.lse.f, c->M, 2e-7 * c->spread, "lse"));
            ce_backward(c, &got, ATT_F64, NULL);
            ce_backward(c, &got, ATT_F32, &exec);
            ce_backward(c, &plain, ATT_F32, &ref);
            assert_true(all_within(got.logits.f, got.logits.d, plain.logits.f, got.logits.n, 1e-6, "dlogits"));
            for (int64_t m = 2; m < c->M; m += 4) {
                assert_true(got.loss.f[m] == 0.0f);
                for (int64_t v = 0; v < c->V; v++) assert_true(got.logits.f[m * c->V + v] == 0.0f);
            }
            ce_free(&got);
            ce_free(&plain);
        }
}

typedef struct ce_loss {
    const ce_case *c;
    const ce_data *d;
} ce_loss;

static double total_loss(void *ctx)
{
    const ce_loss *l = ctx;
    double sum = 0.0;
    ce_forward(l->c, l->d, ATT_F64, NULL);
    for (int64_t m = 0; m < l->c->M; m++) sum += l->c->scale * l->d->loss.d[m];
    return sum;
}

static void test_gradients(void **state)
{
    (void)state;
    for (int k = 0; k < 5; k++) {
        ce_data d = ce_new(&cases[k]), g = ce_new(&cases[k]);
        ce_loss l = {&cases[k], &d};
        ce_forward(&cases[k], &g, ATT_F64, NULL);
        ce_backward(&cases[k], &g, ATT_F64, NULL);
        check_gradient("cross-entropy", total_loss, &l, d.logits.d, g.logits.d, d.logits.n);
        ce_free(&d);
        ce_free(&g);
    }
}

static void test_threads(void **state)
{
    const ce_case *c = &cases[7];
    (void)state;
    ce_data want = ce_new(c);
    int64_t correct = ce_forward(c, &want, ATT_F32, NULL);
    ce_backward(c, &want, ATT_F32, NULL);
    for (int threads = 2; threads <= 8; threads += threads < 4 ? 1 : 4) {
        ce_data got = ce_new(c);
        att_exec exec = {.threads = threads};
        assert_int_equal(ce_forward(c, &got, ATT_F32, &exec), correct);
        ce_backward(c, &got, ATT_F32, &exec);
        assert_memory_equal(got.loss.f, want.loss.f, (size_t)c->M * sizeof(float));
        assert_memory_equal(got.logits.f, want.logits.f, (size_t)got.logits.n * sizeof(float));
        ce_free(&got);
    }
    ce_free(&want);
}

/* The first of equal largest counts; extremes neither overflow nor turn to NaN; NaN shows. */
static void test_edges(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int i = 0; i < isas; i++) {
        static float x[6][2049];
        float loss[6], lse[6];
        int32_t target[6] = {5, 2000, 0, 1500, 7, 3};
        int64_t correct;
        for (int m = 0; m < 6; m++)
            for (int v = 0; v < 2049; v++) x[m][v] = -3.0f;
        x[0][5] = x[0][2000] = 4.0f; /* the first of two: correct          */
        x[1][5] = x[1][2000] = 4.0f; /* the second of two: not             */
        x[2][0] = 1e30f;             /* a certainty: loss 0                */
        for (int v = 0; v < 2049; v++) x[3][v] = v == 1500 ? 2.0f : -INFINITY;
        x[4][9] = -1e30f;
        x[5][1999] = NAN;
        att_view vx = att_view_2d(x, ATT_F32, 6, 2049), vl = att_view_1d(loss, ATT_F32, 6);
        att_view vlse = att_view_1d(lse, ATT_F32, 6), vt = att_view_1d(target, ATT_I32, 6);
        assert_ok(att_cross_entropy_forward(&(att_exec){.isa = isa[i]}, &vl, &vlse, &vx, &vt, 0.0, &correct));
        assert_true(loss[2] == 0.0f && loss[3] == 0.0f && isfinite(loss[4]) && isnan(loss[5]));
        assert_true(fabs((double)lse[4] - (-3.0 + log(2048.0))) < 1e-5);
        assert_int_equal(correct, 3);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    float a[12] = {0};
    int32_t t[3] = {0, 4, 1};
    att_view x = att_view_2d(a, ATT_F32, 3, 4), v3 = att_view_1d(a, ATT_F32, 3), v4 = att_view_1d(a, ATT_F32, 4);
    att_view target = att_view_1d(t, ATT_I32, 3), wide = att_view_1d(t, ATT_I64, 3);
    float before[12];
    memcpy(before, a, sizeof a);
    assert_refused(att_cross_entropy_forward(NULL, &v3, &v3, &x, &target, 0.0, NULL), ATT_E_VALUE,
                   "target: element 1 is 4, expected less than 4");
    assert_refused(att_cross_entropy_backward(NULL, &x, &v3, &target, 0.0, 1.0), ATT_E_VALUE, "target: element 1");
    assert_memory_equal(a, before, sizeof a);
    t[1] = 2;
    assert_refused(att_cross_entropy_forward(NULL, &v4, &v3, &x, &target, 0.0, NULL), ATT_E_SHAPE, "loss: shape (4)");
    assert_refused(att_cross_entropy_forward(NULL, &v3, &v3, &x, &wide, 0.0, NULL), ATT_E_DTYPE, "target: int64");
    assert_refused(att_cross_entropy_forward(NULL, &v3, &v3, &x, &target, 1.5, NULL), ATT_E_VALUE, "smoothing: 1.5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parity), cmocka_unit_test(test_gradients), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_edges),  cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
