/* Sums, embeddings and Adam. */
#include <attend/ops.h>

#include "kernel/ref/both.h"
#include "numeric.h"

/* ---- sums ---- */

static void test_sum_rows(void **state)
{
    static const int64_t sizes[][2] = {{0, 3}, {1, 1}, {63, 5}, {64, 64}, {65, 65}, {129, 200}, {1000, 33}};
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int k = 0; k < 7; k++)
        for (int i = 0; i < isas; i++) {
            int64_t M = sizes[k][0], N = sizes[k][1];
            both x = both_new(M * N, 1, 1.0), y = both_new(N, 2, 1.0), plain = both_new(N, 2, 1.0);
            att_view vx = both_view(&x, ATT_F32, 2, sizes[k]), vy = both_view(&y, ATT_F32, 1, &N);
            att_view dx = both_view(&x, ATT_F64, 2, sizes[k]), dy = both_view(&y, ATT_F64, 1, &N);
            assert_ok(att_sum_rows(&(att_exec){.isa = isa[i], .threads = 3}, &vy, &vx));
            for (int64_t m = 0; m < M; m++)
                for (int64_t j = 0; j < N; j++) plain.f[j] += x.f[m * N + j];
            assert_ok(att_sum_rows(NULL, &dy, &dx));
            for (int64_t j = 0; j < N; j++) {
                double want = plain.d[j];
                for (int64_t m = 0; m < M; m++) want += x.d[m * N + j];
                assert_true(fabs(y.d[j] - want) <= 1e-12);
            }
            assert_true(all_within(y.f, y.d, plain.f, N, 5e-7, "sum of rows"));
            both_free(&x);
            both_free(&y);
            both_free(&plain);
        }
}

static void test_sum(void **state)
{
    static const int64_t counts[] = {0, 1, 15, 16, 17, 16384, 16385, 100003};
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < isas; i++) {
            int64_t n = counts[k];
            both x = both_new(n, 1, 1.0);
            double sum = 0.0, squares = 0.0, got, got_squares, one, eight;
            for (int64_t j = 0; j < n; j++) {
                sum += x.d[j];
                squares += x.d[j] * x.d[j];
            }
            att_view v = both_view(&x, ATT_F32, 1, &n);
            assert_ok(att_sum(&(att_exec){.isa = isa[i]}, &v, &got, &got_squares));
            assert_true(fabs(got - sum) <= 1e-9 && fabs(got_squares - squares) <= 1e-9 * (1.0 + squares));
            assert_ok(att_sum(&(att_exec){.isa = isa[i], .threads = 1}, &v, &one, NULL));
            assert_ok(att_sum(&(att_exec){.isa = isa[i], .threads = 8}, &v, &eight, NULL));
            assert_true(one == eight);
            both_free(&x);
        }
}

static void test_sum_of_strided(void **state)
{
    int64_t dim[2] = {41, 83};
    (void)state;
    both x = both_new(41 * 83, 1, 1.0);
    att_view v = both_view(&x, ATT_F32, 2, dim), t = att_view_transpose(&v, 0, 1);
    att_view part = att_view_slice(&v, 1, 3, 60);
    double want, got, squares, sum = 0.0;
    assert_ok(att_sum(NULL, &v, &want, NULL));
    assert_ok(att_sum(NULL, &t, &got, NULL));
    assert_true(fabs(got - want) <= 1e-10);
    assert_ok(att_sum(NULL, &part, &got, &squares));
    for (int i = 0; i < 41; i++)
        for (int j = 3; j < 60; j++) sum += x.d[i * 83 + j];
    assert_true(fabs(got - sum) <= 1e-10);
    both_free(&x);
}

/* ---- embedding ---- */

static void test_embedding(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    int64_t M = 701, V = 13, C = 67, rows[2] = {M, C}, table_dim[2] = {V, C};
    (void)state;
    for (int i = 0; i < isas; i++)
        for (int threads = 1; threads <= 8; threads *= 2) {
            both table = both_new(V * C, 1, 1.0), y = both_new(M * C, 2, 1.0), dy = both_new(M * C, 3, 1.0);
            both dtable = both_new(V * C, 4, 1.0);
            int32_t *id = guard_alloc((size_t)M * sizeof *id);
            for (int64_t m = 0; m < M; m++) id[m] = (int32_t)((m * m + 3) % V);
            att_view ids = att_view_1d(id, ATT_I32, M), vt = both_view(&table, ATT_F32, 2, table_dim);
            att_view vy = both_view(&y, ATT_F32, 2, rows), vdy = both_view(&dy, ATT_F32, 2, rows);
            att_view vdt = both_view(&dtable, ATT_F32, 2, table_dim);
            att_exec exec = {.isa = isa[i], .threads = threads};
            assert_ok(att_embedding_forward(&exec, &vy, &vt, &ids));
            assert_ok(att_embedding_backward(&exec, &vdt, &vdy, &ids));
            float *want = malloc((size_t)(V * C) * sizeof *want);
            fill_f32(want, V * C, 4, 1.0f);
            for (int64_t m = 0; m < M; m++) {
                assert_memory_equal(y.f + m * C, table.f + id[m] * C, (size_t)C * sizeof(float));
                for (int64_t j = 0; j < C; j++) want[id[m] * C + j] += dy.f[m * C + j];
            }
            assert_memory_equal(dtable.f, want, (size_t)(V * C) * sizeof *want); /* the order is part of the promise */
            free(want);
            guard_free(id, (size_t)M * sizeof *id);
            both *all[] = {&table, &y, &dy, &dtable};
            for (int j = 0; j < 4; j++) both_free(all[j]);
        }
}

static void test_embedding_refusals(void **state)
{
    (void)state;
    float table[12] = {0}, y[8] = {0};
    int32_t id[2] = {1, 3};
    att_view vt = att_view_2d(table, ATT_F32, 3, 4), vy = att_view_2d(y, ATT_F32, 2, 4);
    att_view ids = att_view_1d(id, ATT_I32, 2), narrow = att_view_2d(y, ATT_F32, 2, 3);
    for (int j = 0; j < 8; j++) y[j] = 9.0f;
    assert_refused(att_embedding_forward(NULL, &vy, &vt, &ids), ATT_E_VALUE, "ids: element 1 is 3, expected 0 to 2");
    id[1] = -1;
    assert_refused(att_embedding_forward(NULL, &vy, &vt, &ids), ATT_E_VALUE, "ids: element 1 is -1");
    assert_refused(att_embedding_backward(NULL, &vt, &vy, &ids), ATT_E_VALUE, "ids: element 1 is -1");
    for (int j = 0; j < 8; j++) assert_true(y[j] == 9.0f);
    id[1] = 0;
    assert_refused(att_embedding_forward(NULL, &narrow, &vt, &ids), ATT_E_SHAPE, "y: shape (2,3), expected (2,4)");
    assert_refused(att_embedding_backward(NULL, &vt, &narrow, &ids), ATT_E_SHAPE, "dy: shape (2,3)");
}

/* ---- Adam ---- */

static void test_adam_parity(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int64_t n = 0; n < 40000; n = n < 40 ? n + 13 : n * 31)
        for (int i = 0; i < isas; i++) {
            both p = both_new(n, 1, 1.0), m = both_new(n, 2, 0.1), v = both_new(n, 3, 0.1), g = both_new(n, 4, 1.0);
            both plain_p = both_new(n, 1, 1.0), plain_m = both_new(n, 2, 0.1), plain_v = both_new(n, 3, 0.1);
            for (int64_t j = 0; j < n; j++) {
                v.f[j] = plain_v.f[j] = fabsf(v.f[j]);
                v.d[j] = fabs(v.d[j]);
            }
            att_adam_desc desc = {1e-2, 0.9, 0.999, 1e-8, 0.1, 0.5, 3};
            att_adam_scalars s = {0.9, 0.999, 0.5, 1e-2 / (1 - pow(0.9, 3)), 1 / sqrt(1 - pow(0.999, 3)), 1e-8, 1e-3};
            assert_ok(att_adam_step(&desc, &(att_exec){.isa = isa[i], .threads = 2}, p.f, m.f, v.f, g.f, n));
            att_ref_adam_f64(&s, p.d, m.d, v.d, g.d, n);
            att_ref_adam_f32(&s, plain_p.f, plain_m.f, plain_v.f, g.f, n);
            assert_true(all_within(p.f, p.d, plain_p.f, n, 2e-7, "p"));
            assert_true(all_within(m.f, m.d, plain_m.f, n, 1e-8, "m"));
            assert_true(all_within(v.f, v.d, plain_v.f, n, 1e-8, "v"));
            both *all[] = {&p, &m, &v, &g, &plain_p, &plain_m, &plain_v};
            for (int j = 0; j < 7; j++) both_free(all[j]);
        }
}

/* The first step moves every parameter by lr against the sign of its gradient; without a gradient only decay acts. */
static void test_adam_first_step(void **state)
{
    float p[3] = {1.0f, 1.0f, 1.0f}, m[3] = {0}, v[3] = {0}, g[3] = {5.0f, -1e-3f, 0.0f};
    att_adam_desc desc = {
        .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-12, .decay = 0.0, .gscale = 1.0, .step = 1};
    (void)state;
    assert_ok(att_adam_step(&desc, NULL, p, m, v, g, 3));
    assert_true(fabs((double)p[0] - 0.99) < 1e-6 && fabs((double)p[1] - 1.01) < 1e-6 && p[2] == 1.0f);
    desc.step = 0;
    assert_refused(att_adam_step(&desc, NULL, p, m, v, g, 3), ATT_E_VALUE, "step: 0");
    desc.step = 1;
    assert_refused(att_adam_step(&desc, NULL, p, m, v, NULL, 3), ATT_E_VALUE, "g: one is NULL");
    desc.beta1 = 1.0;
    assert_refused(att_adam_step(&desc, NULL, p, m, v, g, 3), ATT_E_VALUE, "beta1: 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_rows),           cmocka_unit_test(test_sum),
        cmocka_unit_test(test_sum_of_strided),     cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_embedding_refusals), cmocka_unit_test(test_adam_parity),
        cmocka_unit_test(test_adam_first_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
