/* Dense products against the double reference on every instruction set, and the promises about bits. */
#include "harness.h"

#include <attend/product.h>

#include "kernel/ref/both.h"
#include "op/dispatch.h"

/* A matrix in memory that ends at a guard page: rows x cols, element (i,j) at i * row + j * col. */
typedef struct matrix {
    float *f32;
    double *f64;
    size_t count;
    att_view view, view64;
} matrix;

typedef enum order { ROWS, COLUMNS, GAPS, COLUMN_GAPS, BOTH_GAPS, ORDERS } order;

static const char *const order_names[] = {"rows", "columns", "gaps", "column gaps", "both gaps"};

static matrix matrix_new(int64_t rows, int64_t cols, order how, uint64_t seed, float scale)
{
    int64_t row = how == ROWS ? cols : how == GAPS ? cols + 3 : how == BOTH_GAPS ? 2 * cols + 5 : 1;
    int64_t col = how == COLUMNS ? rows : how == COLUMN_GAPS ? rows + 3 : how == BOTH_GAPS ? 2 : 1;
    matrix m = {.count = rows && cols ? (size_t)((rows - 1) * row + (cols - 1) * col + 1) : 0};
    m.f32 = guard_alloc(m.count * sizeof(float));
    m.f64 = guard_alloc(m.count * sizeof(double));
    fill_f32(m.f32, (int64_t)m.count, seed, scale);
    fill_f64(m.f64, (int64_t)m.count, seed, scale);
    m.view = att_view_2d(m.f32, ATT_F32, rows, cols);
    m.view64 = att_view_2d(m.f64, ATT_F64, rows, cols);
    m.view.stride[0] = m.view64.stride[0] = row;
    m.view.stride[1] = m.view64.stride[1] = col;
    return m;
}

static void matrix_free(matrix *m)
{
    guard_free(m->f32, m->count * sizeof(float));
    guard_free(m->f64, m->count * sizeof(double));
}

static att_span workspace_new(const att_exec *exec, int64_t M, int64_t N, int64_t K)
{
    att_span w = {0};
    assert_ok(att_product_workspace(exec, M, N, K, &w.bytes));
    w.data = guard_alloc(w.bytes);
    memset(w.data, 0xff, w.bytes); /* NaN: scratch memory that is read before it is written shows */
    return w;
}

static void workspace_free(att_span *w)
{
    guard_free(w->data, w->bytes);
}

typedef struct product_case {
    int64_t M, N, K;
    order c, a, b;
    bool bias;
    att_product_desc desc;
} product_case;

/* got: the product; want, plain: the references. All in c's own memory layout, gaps included. */
static void check_case(const product_case *t, att_exec exec)
{
    matrix a = matrix_new(t->M, t->K, t->a, 1, 1.0f), b = matrix_new(t->K, t->N, t->b, 2, 1.0f);
    matrix c = matrix_new(t->M, t->N, t->c, 3, 1.0f), plain = matrix_new(t->M, t->N, t->c, 3, 1.0f);
    matrix bias = matrix_new(1, t->N, ROWS, 4, 1.0f);
    att_view bias32 = att_view_1d(bias.f32, ATT_F32, t->N), none = {0};
    const int64_t *cs = c.view.stride, *as = a.view.stride, *bs = b.view.stride;
    att_ref_gemm_f64(c.f64, cs[0], cs[1], a.f64, as[0], as[1], b.f64, bs[0], bs[1], t->M, t->N, t->K,
                     t->desc.accumulate);
    att_ref_bias_act_f64(c.f64, cs[0], cs[1], t->bias ? bias.f64 : NULL, 1, t->M, t->N, (int)t->desc.activation);
    att_ref_gemm_f32(plain.f32, cs[0], cs[1], a.f32, as[0], as[1], b.f32, bs[0], bs[1], t->M, t->N, t->K,
                     t->desc.accumulate);
    att_ref_bias_act_f32(plain.f32, cs[0], cs[1], t->bias ? bias.f32 : NULL, 1, t->M, t->N, (int)t->desc.activation);

    att_span w = workspace_new(&exec, t->M, t->N, t->K);
    assert_ok(att_product(&t->desc, &exec, &c.view, &a.view, &b.view, t->bias ? &bias32 : &none, w));
    char what[160];
    snprintf(what, sizeof what, "%s M=%d N=%d K=%d c %s, a %s, b %s, bias %d, accumulate %d, activation %d",
             att_isa_name(exec.isa), (int)t->M, (int)t->N, (int)t->K, order_names[t->c], order_names[t->a],
             order_names[t->b], t->bias, t->desc.accumulate, (int)t->desc.activation);
    assert_true(all_within(c.f32, c.f64, plain.f32, (int64_t)c.count, 3e-7, what));
    workspace_free(&w);
    matrix_free(&a), matrix_free(&b), matrix_free(&c), matrix_free(&plain), matrix_free(&bias);
}

static void each_isa(const product_case *t)
{
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++) check_case(t, (att_exec){.isa = isa[i]});
}

static void test_sizes(void **state)
{
    (void)state;
    static const int64_t rows[] = {0, 1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 29, 97, 169};
    static const int64_t cols[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 129, 300};
    static const int64_t depth[] = {0, 1, 5, 255, 256, 257, 513};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof cols / sizeof *cols; j++) {
            product_case t = {.M = rows[i], .N = cols[j], .K = depth[(i + j) % 7], .bias = j & 1};
            each_isa(&t);
            t.K = depth[(i + j + 3) % 7];
            t.desc.accumulate = 1;
            each_isa(&t);
        }
}

static void test_orders(void **state)
{
    (void)state;
    static const int64_t rows[] = {1, 3, 17, 33};
    for (int m = 0; m < 4; m++)
        for (int o = 0; o < ORDERS * ORDERS * ORDERS; o++) {
            product_case t = {.M = rows[m],
                              .N = 67,
                              .K = 259,
                              .c = (order)(o % ORDERS),
                              .a = (order)(o / ORDERS % ORDERS),
                              .b = (order)(o / ORDERS / ORDERS),
                              .bias = o & 1,
                              .desc = {.accumulate = o >> 1 & 1}};
            each_isa(&t);
        }
}

static void test_activations(void **state)
{
    (void)state;
    for (int act = ATT_ACT_NONE; act <= ATT_ACT_SILU; act++)
        for (int64_t K = 0; K <= 300; K += 50)
            for (int o = 0; o < 2; o++) {
                product_case t = {.M = 5,
                                  .N = 45,
                                  .K = K,
                                  .c = o ? COLUMNS : GAPS,
                                  .bias = K == 0 || K % 100 == 0,
                                  .desc = {.activation = (att_activation)act}};
                each_isa(&t);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_activations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
