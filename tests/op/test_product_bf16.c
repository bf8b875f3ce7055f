/* Products that may round their operands to bfloat16: on machines without units for it, and where sizes or strides do
 * not suit them, they have the plain product's bits; else those of the product of the rounded operands. */
#include "harness.h"

#include <attend/product.h>

#include "base/half.h"
#include "kernel/ref/both.h"
#include "op/dispatch.h"

/* rows x cols in memory that ends at a guard page, row or column first. */
typedef struct matrix {
    float *data;
    size_t bytes;
    att_view view;
} matrix;

static matrix matrix_new(int64_t rows, int64_t cols, bool by_columns, uint64_t seed)
{
    matrix m = {.bytes = (size_t)(rows * cols) * sizeof(float)};
    m.data = guard_alloc(m.bytes);
    fill_f32(m.data, rows * cols, seed, 1.0f);
    m.view = att_view_2d(m.data, ATT_F32, rows, cols);
    if (by_columns) m.view.stride[0] = 1, m.view.stride[1] = rows;
    return m;
}

static void matrix_free(matrix *m)
{
    guard_free(m->data, m->bytes);
}

static void round_all(matrix *m)
{
    for (size_t i = 0; i < m->bytes / sizeof(float); i++) m->data[i] = att_float_of_bf16(att_bf16_of_float(m->data[i]));
}

typedef struct product_case {
    int64_t M, N, K;
    bool a_columns, b_columns, bias;
    int64_t piece; /* of k, of a sum of products; 0: one product */
    att_product_desc desc;
} product_case;

static void multiply(const product_case *t, att_exec exec, const matrix *c, const matrix *a, const matrix *b,
                     const matrix *bias)
{
    att_view as[64], bs[64], vector = att_view_1d(bias->data, ATT_F32, t->N);
    att_span w = {0};
    int64_t n = 0;
    assert_ok(att_product_workspace(&exec, t->M, t->N, t->K, &w.bytes));
    w.data = guard_alloc(w.bytes);
    memset(w.data, 0xff, w.bytes); /* NaN: scratch memory that is read before it is written shows */
    for (int64_t lo = 0; t->piece && lo < t->K; lo += t->piece, n++) {
        int64_t hi = lo + t->piece < t->K ? lo + t->piece : t->K;
        as[n] = att_view_slice(&a->view, 1, lo, hi);
        bs[n] = att_view_slice(&b->view, 0, lo, hi);
    }
    if (t->piece)
        assert_ok(att_product_sum(&t->desc, &exec, &c->view, n, as, bs, w));
    else
        assert_ok(att_product(&t->desc, &exec, &c->view, &a->view, &b->view, t->bias ? &vector : NULL, w));
    guard_free(w.data, w.bytes);
}

static bool same_bits(const matrix *x, const matrix *y)
{
    return memcmp(x->data, y->data, x->bytes) == 0;
}

/* Of rounded operands: near the double reference. Of the others: the same bits, for any number of threads. */
static void check_case(const product_case *asked)
{
    product_case in_float32 = *asked, rounding = *asked, *t = &rounding;
    rounding.desc.bfloat16 = 1;
    const att_exec exec = {.threads = 1};
    matrix a = matrix_new(t->M, t->K, t->a_columns, 1), b = matrix_new(t->K, t->N, t->b_columns, 2);
    matrix bias = matrix_new(1, t->N, false, 4), c = matrix_new(t->M, t->N, false, 3);
    matrix plain = matrix_new(t->M, t->N, false, 3), exact = matrix_new(t->M, t->N, false, 3);
    multiply(t, exec, &c, &a, &b, &bias);
    multiply(&in_float32, exec, &exact, &a, &b, &bias);
    bool has_units = att_kernels_for(&exec)->bf16.block != NULL;
    if (!has_units && !same_bits(&c, &exact)) fail_msg("without units for bfloat16 the bits differ");
    for (int threads = 2; threads < 6; threads++) {
        matrix many = matrix_new(t->M, t->N, false, 3);
        multiply(t, (att_exec){.threads = threads}, &many, &a, &b, &bias);
        if (!same_bits(&c, &many)) fail_msg("%d threads give other bits than one", threads);
        matrix_free(&many);
    }
    round_all(&a), round_all(&b);
    multiply(&in_float32, exec, &plain, &a, &b, &bias);
    for (size_t i = 0; has_units && i < c.bytes / sizeof(float); i++) {
        double error = fabs((double)c.data[i] - (double)plain.data[i]);
        if (!(error <= 4e-7 * (double)(t->K + 8)))
            fail_msg("M %d N %d K %d: element %zu is %.9g, expected %.9g", (int)t->M, (int)t->N, (int)t->K, i,
                     (double)c.data[i], (double)plain.data[i]);
    }
    if (has_units && t->K > 40 && t->desc.activation == ATT_ACT_NONE && same_bits(&c, &exact))
        fail_msg("M %d N %d K %d: nothing was rounded", (int)t->M, (int)t->N, (int)t->K);
    matrix_free(&a), matrix_free(&b), matrix_free(&bias), matrix_free(&c), matrix_free(&plain), matrix_free(&exact);
}

static void test_sizes(void **state)
{
    (void)state;
    static const int64_t rows[] = {32, 33, 63, 64, 95, 500, 700}, cols[] = {32, 47, 48, 64, 65, 97};
    static const int64_t depth[] = {32, 33, 63, 64, 255, 257, 511, 512, 513, 700};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof cols / sizeof *cols; j++) {
            product_case t = {.M = rows[i], .N = cols[j], .K = depth[(i * 6 + j) % 10], .bias = j & 1};
            t.a_columns = (i + j) & 1;
            t.b_columns = (i + j) & 2;
            check_case(&t);
            t.K = depth[(i * 6 + j + 5) % 10];
            t.bias = false;
            t.desc.accumulate = 1;
            t.piece = i & 1 ? 0 : 13 * (int64_t)(j + 1);
            check_case(&t);
        }
}

static void test_activations(void **state)
{
    (void)state;
    for (int act = ATT_ACT_NONE; act <= ATT_ACT_SILU; act++)
        check_case(
            &(product_case){.M = 45, .N = 61, .K = 600, .bias = act & 1, .desc.activation = (att_activation)act});
}

/* More of b than is packed at a time, in columns and in k. */
static void test_chunks(void **state)
{
    (void)state;
    check_case(&(product_case){.M = 40, .N = 2200, .K = 2100, .b_columns = true});
    check_case(&(product_case){.M = 40, .N = 40, .K = 5000, .a_columns = true});
}

/* Infinity and NaN reach what plain arithmetic says; what no tile holds stays as it was. */
static void test_special_values(void **state)
{
    (void)state;
    const product_case t = {.M = 40, .N = 50, .K = 70, .desc.bfloat16 = 1};
    matrix a = matrix_new(t.M, t.K, false, 1), b = matrix_new(t.K, t.N, false, 2), c = matrix_new(t.M, t.N, false, 3);
    matrix unused = matrix_new(1, t.N, false, 4);
    for (int64_t k = 0; k < t.K; k++) a.data[k] = fabsf(a.data[k]) + 0.1f;
    a.data[t.K + 69] = NAN;
    b.data[33 * t.N + 2] = INFINITY;
    multiply(&t, (att_exec){0}, &c, &a, &b, &unused);
    for (int64_t n = 0; n < t.N; n++) {
        assert_true(isnan(c.data[t.N + n]));
        assert_true(n == 2 ? c.data[n] == INFINITY : (bool)isfinite(c.data[n]));
    }
    matrix_free(&a), matrix_free(&b), matrix_free(&c), matrix_free(&unused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
