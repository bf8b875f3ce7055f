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

/* ---- promises about bits: every way to the same c must give the same c ---- */

typedef struct sizes {
    int64_t M, N, K;
} sizes;

static const sizes bit_sizes[] = {{1, 70, 300},   {2, 130, 513},   {3, 97, 256},    {5, 33, 1},       {14, 200, 700},
                                  {15, 48, 257},  {64, 96, 300},   {131, 65, 90},   {200, 300, 1030}, {131, 530, 300},
                                  {700, 40, 260}, {1024, 35, 258}, {1030, 34, 1100}};
enum { BIT_SIZES = sizeof bit_sizes / sizeof *bit_sizes };

static void same_bits(const matrix *x, const matrix *y, const char *what)
{
    for (size_t i = 0; i < x->count; i++)
        if (memcmp(&x->f32[i], &y->f32[i], sizeof(float)) != 0)
            fail_msg("%s: element %zu is %.9g and %.9g", what, i, (double)x->f32[i], (double)y->f32[i]);
}

static void multiply(att_exec exec, const att_product_desc *desc, const att_view *c, const att_view *a,
                     const att_view *b, const att_view *bias)
{
    att_span w = workspace_new(&exec, c->dim[0], c->dim[1], a->dim[1]);
    assert_ok(att_product(desc, &exec, c, a, b, bias, w));
    workspace_free(&w);
}

static void test_threads(void **state)
{
    (void)state;
    static const int threads[] = {2, 3, 4, 8};
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int s = 0; s < BIT_SIZES; s++)
            for (int o = 0; o < ORDERS; o++) {
                const sizes *z = &bit_sizes[s];
                matrix a = matrix_new(z->M, z->K, (order)o, 1, 1.0f), b = matrix_new(z->K, z->N, (order)o, 2, 1.0f);
                matrix one = matrix_new(z->M, z->N, (order)o, 3, 1.0f);
                att_product_desc add = {.accumulate = o & 1};
                multiply((att_exec){.isa = isa[i]}, &add, &one.view, &a.view, &b.view, NULL);
                for (int t = 0; t < 4; t++) {
                    matrix many = matrix_new(z->M, z->N, (order)o, 3, 1.0f);
                    multiply((att_exec){.isa = isa[i], .threads = threads[t]}, &add, &many.view, &a.view, &b.view,
                             NULL);
                    same_bits(&one, &many, "threads");
                    matrix_free(&many);
                }
                matrix_free(&a), matrix_free(&b), matrix_free(&one);
            }
}

/* Rows lo .. lo+rows-1 alone, and columns likewise, equal those of the whole. */
static void test_parts(void **state)
{
    (void)state;
    static const int64_t some[] = {1, 2, 3, 7, 14, 40};
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int s = 0; s < BIT_SIZES; s++)
            for (int r = 0; r < 6; r++) {
                const sizes *z = &bit_sizes[s];
                att_exec exec = {.isa = isa[i]};
                matrix a = matrix_new(z->M, z->K, (order)(r & 1), 1, 1.0f), b = matrix_new(z->K, z->N, ROWS, 2, 1.0f);
                matrix whole = matrix_new(z->M, z->N, ROWS, 3, 1.0f), rows = matrix_new(z->M, z->N, ROWS, 4, 1.0f);
                matrix cols = matrix_new(z->M, z->N, ROWS, 5, 1.0f);
                multiply(exec, NULL, &whole.view, &a.view, &b.view, NULL);
                for (int64_t lo = 0; lo < z->M; lo += some[r]) {
                    int64_t hi = lo + some[r] < z->M ? lo + some[r] : z->M;
                    att_view ci = att_view_slice(&rows.view, 0, lo, hi), ai = att_view_slice(&a.view, 0, lo, hi);
                    multiply(exec, NULL, &ci, &ai, &b.view, NULL);
                }
                same_bits(&whole, &rows, "rows");
                for (int64_t lo = 0; lo < z->N; lo += some[r]) {
                    int64_t hi = lo + some[r] < z->N ? lo + some[r] : z->N;
                    att_view ci = att_view_slice(&cols.view, 1, lo, hi), bi = att_view_slice(&b.view, 1, lo, hi);
                    multiply(exec, NULL, &ci, &a.view, &bi, NULL);
                }
                same_bits(&whole, &cols, "columns");
                matrix_free(&a), matrix_free(&b), matrix_free(&whole), matrix_free(&rows), matrix_free(&cols);
            }
}

/* Each column of a is the same, by a stride of 0: the bits of a copy with all columns. */
static void test_broadcast(void **state)
{
    (void)state;
    const int64_t M = 700, N = 40, K = 300;
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++) {
        matrix a = matrix_new(M, K, COLUMNS, 1, 1.0f), b = matrix_new(K, N, ROWS, 2, 1.0f);
        matrix one = matrix_new(M, N, ROWS, 3, 1.0f), all = matrix_new(M, N, ROWS, 4, 1.0f);
        for (int64_t k = 1; k < K; k++) memcpy(a.f32 + k * M, a.f32, (size_t)M * sizeof *a.f32);
        multiply((att_exec){.isa = isa[i]}, NULL, &all.view, &a.view, &b.view, NULL);
        a.view.stride[1] = 0;
        multiply((att_exec){.isa = isa[i]}, NULL, &one.view, &a.view, &b.view, NULL);
        same_bits(&all, &one, "broadcast");
        matrix_free(&a), matrix_free(&b), matrix_free(&one), matrix_free(&all);
    }
}

static void multiply_packed(att_exec exec, const att_product_desc *desc, const att_view *c, const att_view *a,
                            const att_view *b, const att_view *bias)
{
    att_span memory = {.bytes = att_product_pack_bytes(&exec, b->dim[0], b->dim[1])}, w = {0};
    memory.data = guard_alloc(memory.bytes);
    assert_ok(att_product_packed_workspace(&exec, c->dim[0], c->dim[1], a->dim[1], &w.bytes));
    w.data = guard_alloc(w.bytes);
    att_packed packed;
    assert_ok(att_product_pack(&exec, &packed, b, memory));
    assert_ok(att_product_packed(desc, &exec, c, a, &packed, bias, w));
    guard_free(memory.data, memory.bytes);
    workspace_free(&w);
}

static void test_packed(void **state)
{
    (void)state;
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int s = 0; s < BIT_SIZES; s++)
            for (int o = 0; o < ORDERS; o++) {
                const sizes *z = &bit_sizes[s];
                att_exec exec = {.isa = isa[i], .threads = 1 + o % 3};
                att_product_desc desc = {.activation = (att_activation)(o + 1)};
                matrix a = matrix_new(z->M, z->K, (order)o, 1, 1.0f), b = matrix_new(z->K, z->N, (order)o, 2, 1.0f);
                matrix c = matrix_new(z->M, z->N, GAPS, 3, 1.0f), d = matrix_new(z->M, z->N, GAPS, 3, 1.0f);
                matrix v = matrix_new(1, 2 * z->N, ROWS, 6, 1.0f);
                att_view bias = att_view_1d(v.f32, ATT_F32, z->N);
                bias.stride[0] = o == 3 ? 2 : 1;
                multiply(exec, &desc, &c.view, &a.view, &b.view, &bias);
                multiply_packed(exec, &desc, &d.view, &a.view, &b.view, &bias);
                same_bits(&c, &d, "packed");
                matrix_free(&a), matrix_free(&b), matrix_free(&c), matrix_free(&d), matrix_free(&v);
            }
}

/* b larger than the scratch memory for packing: chunks of columns and of k. */
static void test_chunks(void **state)
{
    (void)state;
    const sizes z = {19, 2500, 2100};
    att_exec exec = {.threads = 2};
    matrix a = matrix_new(z.M, z.K, ROWS, 1, 1.0f), b = matrix_new(z.K, z.N, COLUMNS, 2, 1.0f);
    matrix c = matrix_new(z.M, z.N, ROWS, 3, 1.0f), d = matrix_new(z.M, z.N, ROWS, 4, 1.0f);
    att_span w = workspace_new(&exec, z.M, z.N, z.K);
    assert_true(w.bytes < (size_t)(z.N * z.K) * sizeof(float));
    workspace_free(&w);
    multiply(exec, NULL, &c.view, &a.view, &b.view, NULL);
    multiply_packed(exec, NULL, &d.view, &a.view, &b.view, NULL);
    same_bits(&c, &d, "chunks");
    matrix_free(&a), matrix_free(&b), matrix_free(&c), matrix_free(&d);
}

/* A sum of products over pieces of k equals the one product, to the bit where kernels exist. */
static void test_sum(void **state)
{
    (void)state;
    static const int64_t piece[] = {1, 5, 64, 256, 300};
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int s = 0; s < BIT_SIZES; s++)
            for (int q = 0; q < 5; q++) {
                const sizes *z = &bit_sizes[s];
                att_exec exec = {.isa = isa[i], .threads = 1 + q % 2};
                att_product_desc add = {.accumulate = q & 1};
                matrix a = matrix_new(z->M, z->K, (order)(q % 2), 1, 1.0f);
                matrix b = matrix_new(z->K, z->N, (order)(q % 2), 2, 1.0f);
                matrix c = matrix_new(z->M, z->N, ROWS, 3, 1.0f), d = matrix_new(z->M, z->N, ROWS, 3, 1.0f);
                att_view as[2048], bs[2048];
                int64_t count = 0;
                for (int64_t lo = 0; lo < z->K; lo += piece[q], count++) {
                    int64_t hi = lo + piece[q] < z->K ? lo + piece[q] : z->K;
                    as[count] = att_view_slice(&a.view, 1, lo, hi);
                    bs[count] = att_view_slice(&b.view, 0, lo, hi);
                }
                multiply(exec, &add, &c.view, &a.view, &b.view, NULL);
                att_span w = workspace_new(&exec, z->M, z->N, z->K);
                assert_ok(att_product_sum(&add, &exec, &d.view, count, as, bs, w));
                workspace_free(&w);
                if (isa[i] != ATT_ISA_REF) same_bits(&c, &d, "sum");
                for (size_t e = 0; e < c.count; e++)
                    assert_true(fabs((double)c.f32[e] - (double)d.f32[e]) <= 1e-6 * (double)(z->K + 10));
                matrix_free(&a), matrix_free(&b), matrix_free(&c), matrix_free(&d);
            }
}

/* A batch is its products one by one, whether the threads share it or each of them; b may be one for all. */
static void test_batch(void **state)
{
    (void)state;
    att_isa isa[8];
    for (int n = testable_isas(isa), at = 0; at < n * 4 * 9; at++) {
        const att_exec exec = {.isa = isa[at / 36], .threads = 1 + at % 4};
        const int64_t B = (int64_t[]){0, 1, 2, 3, 4, 5, 13, 16, 17}[at % 36 / 4], M = 30, N = 70, K = 140;
        const att_product_desc desc = {.accumulate = at % 2, .activation = at % 2 ? ATT_ACT_NONE : ATT_ACT_TANH};
        matrix a = matrix_new(B * M, K, ROWS, 1, 1.0f), b = matrix_new(B * N, K, GAPS, 2, 1.0f);
        matrix c = matrix_new(B * M, N, GAPS, 3, 1.0f), d = matrix_new(B * M, N, GAPS, 3, 1.0f);
        matrix v = matrix_new(1, N, ROWS, 4, 1.0f);
        att_view bias = att_view_1d(v.f32, ATT_F32, N);
        att_view x = att_view_3d(a.f32, ATT_F32, B, M, K), y = att_view_3d(b.f32, ATT_F32, B, K, N);
        att_view z = att_view_3d(c.f32, ATT_F32, B, M, N);
        y.stride[0] = at % 3 ? N * b.view.stride[0] : 0;
        y.stride[1] = 1; /* transposed */
        y.stride[2] = b.view.stride[0];
        z.stride[0] = M * c.view.stride[0];
        z.stride[1] = c.view.stride[0];
        att_span w = {0};
        assert_ok(att_product_batch_workspace(&exec, B, M, N, K, &w.bytes));
        w.data = guard_alloc(w.bytes);
        assert_ok(att_product_batch(&desc, &exec, &z, &x, &y, &bias, w));
        for (int64_t i = 0; i < B; i++) {
            att_view one = att_view_slice(&d.view, 0, i * M, (i + 1) * M), left = att_view_at(&x, 0, i);
            att_view right = att_view_at(&y, 0, i);
            multiply((att_exec){.isa = exec.isa}, &desc, &one, &left, &right, &bias);
        }
        same_bits(&c, &d, "batch");
        workspace_free(&w);
        matrix_free(&a), matrix_free(&b), matrix_free(&c), matrix_free(&d), matrix_free(&v);
    }
}

static void test_empty_sum(void **state)
{
    (void)state;
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++) {
        att_exec exec = {.isa = isa[i]};
        matrix c = matrix_new(3, 20, ROWS, 1, 1.0f), old = matrix_new(3, 20, ROWS, 1, 1.0f);
        att_span w = workspace_new(&exec, 3, 20, 0);
        assert_ok(att_product_sum(&(att_product_desc){.accumulate = 1}, &exec, &c.view, 0, NULL, NULL, w));
        same_bits(&c, &old, "nothing added");
        assert_ok(
            att_product_sum(&(att_product_desc){.activation = ATT_ACT_SIGMOID}, &exec, &c.view, 0, NULL, NULL, w));
        for (size_t e = 0; e < c.count; e++) assert_true(within((double)c.f32[e], 0.5, 0.5, 1e-7));
        workspace_free(&w);
        matrix_free(&c), matrix_free(&old);
    }
}

/* ---- values that are not ordinary numbers ---- */

/* NaN in row 1 of a, infinity in column 2 of b, denormals elsewhere: only what plain arithmetic reaches changes. Also
 * where a bias of zeros is added, which tiles do, and with b packed, where rows of a stay where they are. */
static void test_special_values(void **state)
{
    (void)state;
    static const float zeros[37];
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int64_t M = 3; M < 40; M += 17)
            for (int act = ATT_ACT_NONE; act <= ATT_ACT_SILU; act++) {
                const int64_t N = 37, K = 260;
                const att_view none = att_view_1d((void *)(uintptr_t)zeros, ATT_F32, N);
                matrix a = matrix_new(M, K, ROWS, 1, 1.0f), b = matrix_new(K, N, ROWS, 2, 1.0f);
                matrix c = matrix_new(M, N, ROWS, 3, 1.0f);
                for (size_t e = 0; e < c.count; e++) c.f32[e] = NAN; /* beta = 0 must not read it */
                for (int64_t k = 0; k < K; k++) a.f32[k] = fabsf(a.f32[k]) + 0.1f;
                for (int64_t k = 0; k < K; k++) a.f32[2 * K + k] = k ? 0.0f : 0x1p-130f; /* times b: 2^-130 b[0,n] */
                a.f32[K + K - 1] = NAN;
                b.f32[100 * N + 2] = INFINITY;
                for (int way = 0; way < 4; way++) {
                    (way & 2 ? multiply_packed : multiply)((att_exec){.isa = isa[i]},
                                                           &(att_product_desc){.activation = (att_activation)act},
                                                           &c.view, &a.view, &b.view, way & 1 ? &none : NULL);
                    for (int64_t col = 0; col < N; col++) {
                        assert_true(isnan(c.f32[N + col]));
                        assert_true(col == 2 || isfinite(c.f32[col]));
                        if (act == ATT_ACT_NONE && col != 2) assert_true(c.f32[2 * N + col] == 0x1p-130f * b.f32[col]);
                    }
                    bool bounded = act == ATT_ACT_TANH || act == ATT_ACT_SIGMOID;
                    assert_true(c.f32[2] == (bounded ? 1.0f : INFINITY));
                }
                matrix_free(&a), matrix_free(&b), matrix_free(&c);
            }
}

/* Far from zero the activations must not leave rounding errors that grow with x. */
static void test_far_activations(void **state)
{
    (void)state;
    float x[] = {-3000.0f, -40.0f, -9.0f, 9.0f, 40.0f, 3000.0f}, one = 1.0f, y[6];
    att_view a = att_view_2d(&one, ATT_F32, 1, 1), b = att_view_2d(x, ATT_F32, 1, 6), c = att_view_2d(y, ATT_F32, 1, 6);
    static const att_activation acts[] = {ATT_ACT_GELU, ATT_ACT_GELU_TANH, ATT_ACT_SILU};
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int t = 0; t < 3; t++) {
            multiply((att_exec){.isa = isa[i]}, &(att_product_desc){.activation = acts[t]}, &c, &a, &b, NULL);
            for (int j = 0; j < 6; j++) {
                double exact = acts[t] == ATT_ACT_SILU ? (double)x[j] / (1.0 + exp(-(double)x[j]))
                               : j < 3                 ? 0.0
                                                       : (double)x[j];
                assert_true(within((double)y[j], exact, exact, 1e-6 * fabs(exact) + 1e-8));
            }
        }
}

static void test_gaps_untouched(void **state)
{
    (void)state;
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int64_t N = 1; N < 70; N += 4) {
            matrix a = matrix_new(9, 30, ROWS, 1, 1.0f), b = matrix_new(30, N, ROWS, 2, 1.0f);
            matrix c = matrix_new(9, N, GAPS, 3, 1.0f), old = matrix_new(9, N, GAPS, 3, 1.0f);
            multiply((att_exec){.isa = isa[i]}, &(att_product_desc){.activation = ATT_ACT_TANH}, &c.view, &a.view,
                     &b.view, NULL);
            for (size_t e = 0; e < c.count; e++)
                if ((int64_t)e % (N + 3) >= N) assert_true(c.f32[e] == old.f32[e]);
            matrix_free(&a), matrix_free(&b), matrix_free(&c), matrix_free(&old);
        }
}

static void test_float64(void **state)
{
    (void)state;
    matrix a = matrix_new(7, 300, COLUMNS, 1, 1.0f), b = matrix_new(300, 19, GAPS, 2, 1.0f);
    matrix c = matrix_new(7, 19, BOTH_GAPS, 3, 1.0f), d = matrix_new(7, 19, BOTH_GAPS, 3, 1.0f);
    att_ref_gemm_f64(d.f64, d.view64.stride[0], d.view64.stride[1], a.f64, 1, 7, b.f64, 22, 1, 7, 19, 300, 0);
    assert_ok(att_product(NULL, NULL, &c.view64, &a.view64, &b.view64, NULL, (att_span){0}));
    for (size_t e = 0; e < c.count; e++) assert_true(c.f64[e] == d.f64[e]);
    matrix_free(&a), matrix_free(&b), matrix_free(&c), matrix_free(&d);
}

/* ---- what is refused, and how ---- */

#define assert_refused(call, status, words)                                                                            \
    do {                                                                                                               \
        assert_int_equal(call, status);                                                                                \
        if (!strstr(att_last_error(), words)) fail_msg("'%s' does not say '%s'", att_last_error(), words);             \
    } while (0)

static void test_refusals(void **state)
{
    (void)state;
    static float a[12], b[20], c[15], v[5];
    att_view av = att_view_2d(a, ATT_F32, 3, 4), bv = att_view_2d(b, ATT_F32, 4, 5), cv = att_view_2d(c, ATT_F32, 3, 5);
    att_view wrong = att_view_2d(b, ATT_F32, 5, 4), bias = att_view_1d(v, ATT_F32, 4),
             flat = att_view_1d(b, ATT_F32, 20);
    att_view f64 = att_view_2d(b, ATT_F64, 4, 5), ints = att_view_2d(c, ATT_I32, 3, 5),
             bare = att_view_2d(NULL, ATT_F32, 4, 5);
    att_exec exec = {.isa = ATT_ISA_PORTABLE};
    att_span w = workspace_new(&exec, 3, 5, 4), small = w;
    small.bytes--;
    assert_refused(att_product(NULL, &exec, &cv, &av, &wrong, NULL, w), ATT_E_SHAPE, "b has 5 rows, expected 4");
    assert_refused(att_product(NULL, &exec, &cv, &bv, &av, NULL, w), ATT_E_SHAPE, "a has 4 rows, expected 3");
    assert_refused(att_product(NULL, &exec, &cv, &av, &flat, NULL, w), ATT_E_SHAPE, "b has 1 dimensions, expected 2");
    assert_refused(att_product(NULL, &exec, &cv, &av, &bv, &bias, w), ATT_E_SHAPE, "bias has 4 elements, expected 5");
    assert_refused(att_product(NULL, &exec, &cv, &av, &f64, NULL, w), ATT_E_DTYPE, "b is float64, expected float32");
    assert_refused(att_product(NULL, &exec, &ints, &av, &bv, NULL, w), ATT_E_DTYPE, "c is int32");
    assert_refused(att_product(NULL, &exec, &cv, &av, &bare, NULL, w), ATT_E_VALUE, "b has no data");
    assert_refused(att_product(NULL, &exec, &cv, &av, &bv, NULL, small), ATT_E_WORKSPACE, "expected at least");
    assert_refused(att_product(NULL, &exec, &cv, &av, &bv, NULL, (att_span){0}), ATT_E_WORKSPACE, "of 0 bytes");
    assert_refused(
        att_product(&(att_product_desc){.accumulate = 1, .activation = ATT_ACT_RELU}, &exec, &cv, &av, &bv, NULL, w),
        ATT_E_VALUE, "accumulate");
    assert_refused(att_product(&(att_product_desc){.activation = (att_activation)99}, &exec, &cv, &av, &bv, NULL, w),
                   ATT_E_VALUE, "activation 99");
    assert_refused(att_product_sum(NULL, &exec, &cv, -1, &av, &bv, w), ATT_E_VALUE, "-1 terms");
    att_packed packed = {.K = 4, .N = 5, .isa = ATT_ISA_REF, .data = b};
    assert_refused(att_product_packed(NULL, &exec, &cv, &av, &packed, NULL, w), ATT_E_VALUE,
                   "packed for ref, expected portable");
    assert_refused(att_product_pack(&exec, &packed, &bv, (att_span){.data = b, .bytes = 8}), ATT_E_WORKSPACE,
                   "8 bytes");
    att_view empty = att_view_2d(c, ATT_F32, 0, 5), no_rows = att_view_2d(a, ATT_F32, 0, 4);
    att_view empty_batch = att_view_3d(c, ATT_F32, 1, 0, 5), no_rows_batch = att_view_3d(a, ATT_F32, 1, 0, 4);
    att_view ab = att_view_3d(a, ATT_F32, 1, 3, 4), bb = att_view_3d(b, ATT_F32, 1, 4, 5);
    att_view cb = att_view_3d(c, ATT_F32, 1, 3, 5), two = att_view_3d(a, ATT_F32, 2, 3, 2);
    assert_ok(att_product(NULL, &exec, &empty, &no_rows, &bv, NULL, (att_span){0})); /* needs no workspace */
    assert_ok(att_product_batch(NULL, &exec, &empty_batch, &no_rows_batch, &bb, NULL, (att_span){0}));
    assert_refused(att_product_batch(NULL, &exec, &cb, &av, &bb, NULL, w), ATT_E_SHAPE,
                   "a has 2 dimensions, expected 3");
    assert_refused(att_product_batch(NULL, &exec, &cb, &two, &bb, NULL, w), ATT_E_SHAPE, "a has 2 entries, expected 1");
    assert_refused(att_product_batch(NULL, &exec, &cb, &ab, &bb, &bias, w), ATT_E_SHAPE, "bias has 4 elements");
    assert_refused(att_product_batch(NULL, &exec, &cb, &ab, &bb, NULL, small), ATT_E_WORKSPACE, "expected at least");
    workspace_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),          cmocka_unit_test(test_orders),
        cmocka_unit_test(test_activations),    cmocka_unit_test(test_threads),
        cmocka_unit_test(test_parts),          cmocka_unit_test(test_packed),
        cmocka_unit_test(test_chunks),         cmocka_unit_test(test_sum),
        cmocka_unit_test(test_empty_sum),      cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_gaps_untouched), cmocka_unit_test(test_float64),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_far_activations),
        cmocka_unit_test(test_batch),          cmocka_unit_test(test_broadcast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
