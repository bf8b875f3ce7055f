/* Copies, products, activations and dropout: strides against a plain index loop, kernels against the double reference,
 * gradients against differences. */
#include <attend/ops.h>

#include "numeric.h"

/* ---- strides ---- */

typedef struct shape_case {
    const char *name;
    int ndim;
    int64_t dim[4];
    int64_t y[4], x[4]; /* strides */
} shape_case;

static const shape_case shapes[] = {
    {"scalar", 0, {0}, {0}, {0}},
    {"empty", 2, {3, 0}, {0, 1}, {0, 1}},
    {"dense", 2, {5, 7}, {7, 1}, {7, 1}},
    {"transposed", 2, {37, 71}, {71, 1}, {1, 37}},
    {"transposed_back", 2, {71, 37}, {1, 71}, {37, 1}},
    {"gaps", 2, {9, 33}, {40, 1}, {66, 2}},
    {"broadcast_row", 2, {70, 19}, {19, 1}, {0, 1}},
    {"broadcast_column", 2, {19, 70}, {70, 1}, {1, 0}},
    {"four", 4, {2, 3, 4, 5}, {60, 20, 5, 1}, {60, 5, 15, 1}},
    {"four_gaps", 4, {3, 1, 2, 17}, {200, 7, 70, 3}, {34, 9, 17, 1}},
    {"backwards", 2, {6, 66}, {66, 1}, {66, -1}},
    {"long", 1, {40000}, {1}, {1}},
    {"large_transposed", 2, {300, 200}, {200, 1}, {1, 300}},
};
#define SHAPES ((int)(sizeof shapes / sizeof *shapes))

static int64_t offset(const shape_case *s, const int64_t *stride, int64_t n)
{
    int64_t at = 0;
    for (int a = s->ndim - 1; a >= 0; a--) {
        at += n % s->dim[a] * stride[a];
        n /= s->dim[a];
    }
    return at;
}

static int64_t count(const shape_case *s)
{
    int64_t n = 1;
    for (int a = 0; a < s->ndim; a++) n *= s->dim[a];
    return n;
}

/* The lowest and highest offset of any element. */
static void extent(const shape_case *s, const int64_t *stride, int64_t *lo, int64_t *hi)
{
    *lo = *hi = 0;
    for (int a = 0; a < s->ndim && count(s); a++) {
        int64_t end = (s->dim[a] - 1) * stride[a];
        *(end < 0 ? lo : hi) += end;
    }
}

typedef struct strided {
    both buffer;
    int64_t start;
} strided;

static strided strided_new(const shape_case *s, const int64_t *stride, uint64_t seed)
{
    int64_t lo, hi;
    extent(s, stride, &lo, &hi);
    return (strided){.buffer = both_new(hi - lo + 1, seed, 2.0), .start = -lo};
}

static att_view strided_view(const strided *b, const shape_case *s, const int64_t *stride, att_dtype dtype)
{
    att_view v = {.dtype = dtype, .ndim = s->ndim};
    v.data = dtype == ATT_F64 ? (void *)(b->buffer.d + b->start) : (void *)(b->buffer.f + b->start);
    for (int a = 0; a < s->ndim; a++) {
        v.dim[a] = s->dim[a];
        v.stride[a] = stride[a];
    }
    return v;
}

/* y = alpha x + beta y in both types, and nothing between the elements of y changes. */
static void check_axpby(const shape_case *s, double alpha, double beta, att_dtype dtype, const att_exec *exec)
{
    strided y = strided_new(s, s->y, 1), x = strided_new(s, s->x, 2), old = strided_new(s, s->y, 1);
    att_view vy = strided_view(&y, s, s->y, dtype), vx = strided_view(&x, s, s->x, dtype);
    assert_ok(att_axpby(exec, &vy, alpha, &vx, beta));
    for (int64_t n = 0; n < count(s); n++) {
        double *to = &old.buffer.d[old.start + offset(s, s->y, n)];
        double from = x.buffer.d[x.start + offset(s, s->x, n)];
        *to = alpha * from + (beta == 0.0 ? 0.0 : beta * *to);
    }
    for (int64_t i = 0; i < y.buffer.n; i++) {
        double got = dtype == ATT_F64 ? y.buffer.d[i] : (double)y.buffer.f[i];
        if (!(fabs(got - old.buffer.d[i]) <= (dtype == ATT_F64 ? 1e-15 : 1e-6)))
            fail_msg("%s: element %lld is %.9g, expected %.9g", s->name, (long long)i, got, old.buffer.d[i]);
    }
    both_free(&y.buffer);
    both_free(&x.buffer);
    both_free(&old.buffer);
}

static void test_strides(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int k = 0; k < SHAPES; k++)
        for (int i = 0; i < isas; i++) {
            att_exec exec = {.threads = 3, .isa = isa[i]};
            check_axpby(&shapes[k], 1.0, 0.0, ATT_F32, &exec);
            check_axpby(&shapes[k], 1.0, 1.0, ATT_F32, &exec);
            check_axpby(&shapes[k], -0.75, 0.5, ATT_F32, &exec);
            check_axpby(&shapes[k], -0.75, 0.5, ATT_F64, &exec);
        }
}

static void test_copy_is_exact_and_ignores_old(void **state)
{
    (void)state;
    both y = both_new(1000, 1, 1.0), x = both_new(1000, 2, 1e30);
    att_view vy = both_view(&y, ATT_F32, 1, &y.n), vx = both_view(&x, ATT_F32, 1, &x.n);
    for (int i = 0; i < 1000; i++) y.f[i] = NAN;
    x.f[3] = -0.0f;
    x.f[4] = 1e-42f;
    assert_ok(att_copy(NULL, &vy, &vx, 0));
    assert_memory_equal(y.f, x.f, 1000 * sizeof(float));
    assert_ok(att_fill(NULL, &vy, 0.25));
    for (int i = 0; i < 1000; i++) assert_true(y.f[i] == 0.25f);
    both_free(&y);
    both_free(&x);
}

static void test_add(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int64_t n = 0; n < 70; n += 3)
        for (int i = 0; i < isas; i++)
            for (int in_place = 0; in_place < 2; in_place++) {
                both y = both_new(n, 1, 1.0), a = both_new(n, 2, 1.0), b = both_new(n, 3, 1.0);
                att_view va = both_view(&a, ATT_F32, 1, &n), vb = both_view(&b, ATT_F32, 1, &n);
                att_view vy = in_place ? va : both_view(&y, ATT_F32, 1, &n);
                assert_ok(att_add(&(att_exec){.isa = isa[i]}, &vy, &va, &vb));
                for (int64_t j = 0; j < n; j++) assert_true(((float *)vy.data)[j] == (float)a.d[j] + (float)b.d[j]);
                both_free(&y);
                both_free(&a);
                both_free(&b);
            }
}

static void test_multiply(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int64_t n = 0; n < 70; n += 3)
        for (int i = 0; i < isas; i++)
            for (int accumulate = 0; accumulate < 2; accumulate++) {
                both y = both_new(n, 1, 1.0), a = both_new(n, 2, 1.0), b = both_new(n, 3, 1.0);
                att_view vy = both_view(&y, ATT_F32, 1, &n), va = both_view(&a, ATT_F32, 1, &n);
                att_view vb = both_view(&b, ATT_F32, 1, &n);
                assert_ok(att_multiply(&(att_exec){.isa = isa[i]}, &vy, &va, &vb, accumulate));
                for (int64_t j = 0; j < n; j++)
                    assert_true(fabs((double)y.f[j] - (a.d[j] * b.d[j] + accumulate * y.d[j])) <= 2e-7);
                both_free(&y);
                both_free(&a);
                both_free(&b);
            }
}

/* ---- activations ---- */

static void test_activation_parity(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int act = 0; act <= (int)ATT_ACT_SILU; act++)
        for (int i = 0; i < 2 * isas; i++) { /* overwriting, then adding */
            int64_t n = 1003;
            att_exec exec = {.isa = isa[i / 2]}, ref = {.isa = ATT_ISA_REF};
            both x = both_new(n, 1, 6.0), y = both_new(n, 2, 1.0), dy = both_new(n, 3, 1.0), dx = both_new(n, 4, 1.0);
            both plain_y = both_new(n, 2, 1.0), plain_dx = both_new(n, 4, 1.0);
            att_view v[2][4], py = both_view(&plain_y, ATT_F32, 1, &n), pdx = both_view(&plain_dx, ATT_F32, 1, &n);
            for (int d = 0; d < 2; d++) {
                v[d][0] = both_view(&x, d ? ATT_F64 : ATT_F32, 1, &n);
                v[d][1] = both_view(&y, d ? ATT_F64 : ATT_F32, 1, &n);
                v[d][2] = both_view(&dy, d ? ATT_F64 : ATT_F32, 1, &n);
                v[d][3] = both_view(&dx, d ? ATT_F64 : ATT_F32, 1, &n);
                assert_ok(att_activation_forward(&exec, (att_activation)act, &v[d][1], &v[d][0]));
                assert_ok(
                    att_activation_backward(&exec, (att_activation)act, &v[d][3], &v[d][2], &v[d][1], &v[d][0], i % 2));
            }
            assert_ok(att_activation_forward(&ref, (att_activation)act, &py, &v[0][0]));
            assert_ok(att_activation_backward(&ref, (att_activation)act, &pdx, &v[0][2], &py, &v[0][0], i % 2));
            assert_true(all_within(y.f, y.d, plain_y.f, n, 2e-6, "activation"));
            assert_true(all_within(dx.f, dx.d, plain_dx.f, n, 2e-6, "its gradient"));
            both *all[] = {&x, &y, &dy, &dx, &plain_y, &plain_dx};
            for (int j = 0; j < 6; j++) both_free(all[j]);
        }
}

typedef struct activation_loss {
    att_activation act;
    att_view y, x;
    const double *dy;
} activation_loss;

static double loss_of_activation(void *ctx)
{
    const activation_loss *c = ctx;
    double sum = 0.0;
    assert_ok(att_activation_forward(NULL, c->act, &c->y, &c->x));
    for (int64_t i = 0; i < c->x.dim[0]; i++) sum += c->dy[i] * ((const double *)c->y.data)[i];
    return sum;
}

static void test_activation_gradients(void **state)
{
    (void)state;
    for (int act = 0; act <= (int)ATT_ACT_SILU; act++) {
        int64_t n = 61;
        both x = both_new(n, 1, 3.0), y = both_new(n, 2, 1.0), dy = both_new(n, 3, 1.0), dx = both_new(n, 4, 1.0);
        att_view vx = both_view(&x, ATT_F64, 1, &n), vy = both_view(&y, ATT_F64, 1, &n);
        att_view vdy = both_view(&dy, ATT_F64, 1, &n), vdx = both_view(&dx, ATT_F64, 1, &n);
        activation_loss c = {(att_activation)act, vy, vx, dy.d};
        bool from_x = act >= (int)ATT_ACT_GELU;
        att_view absent = {0};
        loss_of_activation(&c);
        assert_ok(att_activation_backward(NULL, c.act, &vdx, &vdy, from_x ? &absent : &vy, from_x ? &vx : &absent, 0));
        check_gradient("activation", loss_of_activation, &c, x.d, dx.d, n);
        both *all[] = {&x, &y, &dy, &dx};
        for (int j = 0; j < 4; j++) both_free(all[j]);
    }
}

/* ---- dropout ---- */

/* Every element by itself from the definition; any cut, instruction set and number of threads agree. */
static void test_dropout_is_its_definition(void **state)
{
    const double ps[] = {0.0, 0.1, 0.5, 0.97, 0.9999999999};
    att_isa isa[8];
    int isas = testable_isas(isa);
    int64_t dim[2] = {301, 133}, n = dim[0] * dim[1];
    (void)state;
    for (int k = 0; k < 5; k++)
        for (int i = 0; i < isas; i++) {
            both x = both_new(n, 1, 1.0), y = both_new(n, 2, 1.0);
            att_view vx = both_view(&x, ATT_F32, 2, dim), vy = both_view(&y, ATT_F32, 2, dim);
            float scale = (float)(1.0 / (1.0 - ps[k]));
            assert_ok(att_dropout(&(att_exec){.threads = 2, .isa = isa[i]}, &vy, &vx, ps[k], 77, 5, 1));
            for (int64_t e = 0; e < n; e++) {
                uint32_t word[4];
                att_philox(77, 5, (uint64_t)e / 4, word);
                bool kept = (double)word[e % 4] >= ps[k] * 4294967296.0;
                float want = (float)y.d[e] + (kept ? (float)x.d[e] * scale : 0.0f);
                if (y.f[e] != want)
                    fail_msg("dropout %g: element %lld is %g, expected %g", ps[k], (long long)e, (double)y.f[e],
                             (double)want);
            }
            both_free(&x);
            both_free(&y);
        }
}

/* A transposed output counts in its own row-major order, and a dropped NaN is gone. */
static void test_dropout_of_strided(void **state)
{
    int64_t dim[2] = {33, 17}, back[2] = {17, 33};
    (void)state;
    both x = both_new(33 * 17, 1, 1.0), y = both_new(33 * 17, 2, 1.0), t = both_new(33 * 17, 3, 1.0);
    att_view vx = both_view(&x, ATT_F32, 2, dim), vy = both_view(&y, ATT_F32, 2, dim);
    att_view columns = both_view(&t, ATT_F32, 2, back), vt = att_view_transpose(&columns, 0, 1);
    x.f[5] = NAN;
    assert_ok(att_dropout(NULL, &vy, &vx, 0.5, 1, 2, 0));
    assert_ok(att_dropout(NULL, &vt, &vx, 0.5, 1, 2, 0));
    int64_t kept = 0;
    for (int64_t i = 0; i < 33; i++)
        for (int64_t j = 0; j < 17; j++) {
            assert_memory_equal(&y.f[i * 17 + j], &t.f[j * 33 + i], sizeof(float));
            kept += y.f[i * 17 + j] != 0.0f;
        }
    assert_true(kept > 220 && kept < 340);
    both_free(&x);
    both_free(&y);
    both_free(&t);
}

static void test_refusals(void **state)
{
    (void)state;
    float data[12] = {0};
    att_view y = att_view_2d(data, ATT_F32, 3, 4), x = att_view_2d(data, ATT_F32, 4, 3), absent = {0};
    att_view ints = att_view_2d(data, ATT_I32, 3, 4), doubles = att_view_2d(data, ATT_F64, 3, 4);
    assert_refused(att_copy(NULL, &y, &x, 0), ATT_E_SHAPE, "x: shape (4,3), expected (3,4)");
    assert_refused(att_copy(NULL, &ints, &ints, 0), ATT_E_DTYPE, "y: int32");
    assert_refused(att_copy(NULL, &y, &doubles, 0), ATT_E_DTYPE, "x: float64, expected float32");
    assert_refused(att_multiply(NULL, &y, &y, &x, 0), ATT_E_SHAPE, "b: shape");
    assert_refused(att_dropout(NULL, &y, &y, 1.0, 0, 0, 0), ATT_E_VALUE, "p: 1, expected");
    assert_refused(att_dropout(NULL, &y, &y, NAN, 0, 0, 0), ATT_E_VALUE, "p: ");
    assert_refused(att_activation_forward(NULL, (att_activation)99, &y, &y), ATT_E_VALUE, "act: 99");
    assert_refused(att_activation_backward(NULL, ATT_ACT_GELU, &y, &y, &y, &absent, 1), ATT_E_SHAPE, "x: ");
    y.data = NULL;
    assert_refused(att_fill(NULL, &y, 0.0), ATT_E_VALUE, "y: no data");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strides),
        cmocka_unit_test(test_copy_is_exact_and_ignores_old),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_multiply),
        cmocka_unit_test(test_activation_parity),
        cmocka_unit_test(test_activation_gradients),
        cmocka_unit_test(test_dropout_is_its_definition),
        cmocka_unit_test(test_dropout_of_strided),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
