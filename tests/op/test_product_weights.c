/* Products with weights of 16 and 8 bits against the double references, and the promises about bits. */
#include "harness.h"

#include <attend/product.h>

#include "base/half.h"
#include "kernel/gemm8.h"
#include "kernel/ref/both.h"
#include "op/dispatch.h"

typedef struct weight_case {
    int64_t M, N, K;
    bool bias, transposed, strided; /* of b; of a and c */
    att_product_desc desc;
    int a_bits; /* of packed 8-bit weights */
} weight_case;

static const weight_case cases[] = {
    /* M  N    K     bias   b^T    strided */
    {1, 1, 1, false, false, false, {0}, 0},
    {1, 16, 2, true, false, false, {0}, 0},
    {1, 300, 513, true, false, false, {.activation = ATT_ACT_RELU}, 0},
    {2, 33, 7, false, true, true, {.accumulate = 1}, 0},
    {3, 129, 256, true, true, false, {.activation = ATT_ACT_GELU_TANH}, 0},
    {5, 17, 255, false, false, true, {0}, 0},
    {6, 64, 300, true, true, false, {.activation = ATT_ACT_SILU}, 0},
    {7, 31, 64, true, false, true, {.activation = ATT_ACT_GELU}, 0},
    {13, 48, 1030, false, true, false, {.accumulate = 1}, 0},
    {29, 15, 90, true, true, true, {.activation = ATT_ACT_TANH}, 0},
    {97, 70, 129, true, false, false, {0}, 0},
    {0, 5, 3, false, false, false, {0}, 0},
    {4, 0, 3, false, false, false, {0}, 0},
    {4, 9, 0, true, false, false, {.activation = ATT_ACT_SIGMOID}, 0},
    {1, 40, 0, true, false, false, {0}, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

/* The operands of a case. Strided: a lies transposed, c has gaps. */
typedef struct problem {
    const weight_case *t;
    float *a, *b, *c, *bias;
    size_t c_count;
    att_view va, vb, vc, vbias;
} problem;

static float *random_floats(int64_t n, uint64_t seed)
{
    float *p = guard_alloc((size_t)n * sizeof *p);
    fill_f32(p, n, seed, 1.0f);
    return p;
}

static problem problem_new(const weight_case *t)
{
    problem p = {.t = t, .c_count = (size_t)(t->M * (t->strided ? 2 * t->N + 1 : t->N))};
    p.a = random_floats(t->M * t->K, 1);
    p.b = random_floats(t->K * t->N, 2);
    p.c = random_floats((int64_t)p.c_count, 3);
    p.bias = random_floats(t->N, 4);
    p.va = t->strided ? att_view_2d(p.a, ATT_F32, t->K, t->M) : att_view_2d(p.a, ATT_F32, t->M, t->K);
    if (t->strided) p.va = att_view_transpose(&p.va, 0, 1);
    p.vb = t->transposed ? att_view_2d(p.b, ATT_F32, t->N, t->K) : att_view_2d(p.b, ATT_F32, t->K, t->N);
    if (t->transposed) p.vb = att_view_transpose(&p.vb, 0, 1);
    p.vc = att_view_2d(p.c, ATT_F32, t->M, t->N);
    if (t->strided) p.vc.stride[0] = 2 * t->N + 1, p.vc.stride[1] = 2;
    if (t->bias) p.vbias = att_view_1d(p.bias, ATT_F32, t->N);
    return p;
}

static void problem_free(problem *p)
{
    guard_free(p->a, (size_t)(p->t->M * p->t->K) * sizeof(float));
    guard_free(p->b, (size_t)(p->t->K * p->t->N) * sizeof(float));
    guard_free(p->c, p->c_count * sizeof(float));
    guard_free(p->bias, (size_t)p->t->N * sizeof(float));
}

static float at(const att_view *v, int64_t i, int64_t j)
{
    return ((const float *)v->data)[i * v->stride[0] + j * v->stride[1]];
}

/* c of a problem through packed weights; the packed b is handed to `look`, if given, before it goes. */
static void run(const problem *p, att_exec exec, att_dtype dtype, const att_view *c, const att_view *a,
                void (*look)(const problem *p, const att_packed *b))
{
    att_span memory = {.bytes = att_product_pack_as_bytes(&exec, dtype, p->t->K, p->t->N)}, w = {0};
    att_packed packed;
    memory.data = guard_alloc(memory.bytes);
    assert_ok(att_product_packed_workspace(&exec, c->dim[0], p->t->N, p->t->K, &w.bytes));
    w.data = guard_alloc(w.bytes);
    memset(w.data, 0xff, w.bytes);
    assert_ok(att_product_pack_as(&exec, dtype, &packed, &p->vb, memory));
    packed.a_bits = p->t->a_bits;
    if (look) look(p, &packed);
    assert_ok(att_product_packed(&p->t->desc, &exec, c, a, &packed, &p->vbias, w));
    guard_free(w.data, w.bytes);
    guard_free(memory.data, memory.bytes);
}

static void each(void (*check)(const weight_case *t, att_isa isa))
{
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int c = 0; c < CASES; c++) check(&cases[c], isa[i]);
}

/* ---- what packing keeps ---- */

static void columns_are_near(const problem *p, const att_packed *b)
{
    float *column = guard_alloc((size_t)b->K * sizeof *column);
    for (int64_t n = 0; n < b->N; n++) {
        float most = 0;
        att_product_packed_column(b, n, column);
        for (int64_t k = 0; k < b->K; k++) most = fmaxf(most, fabsf(at(&p->vb, k, n)));
        for (int64_t k = 0; k < b->K; k++) {
            float want = at(&p->vb, k, n), error = fabsf(column[k] - want);
            if (b->dtype == ATT_F32) assert_true(error == 0);
            if (b->dtype == ATT_BF16) assert_true(column[k] == att_float_of_bf16(att_bf16_of_float(want)));
            if (b->dtype == ATT_I8) assert_true(error <= most / 253.9f);
        }
    }
    guard_free(column, (size_t)b->K * sizeof *column);
}

static void check_columns(const weight_case *t, att_isa isa)
{
    static const att_dtype dtypes[] = {ATT_F32, ATT_BF16, ATT_I8};
    for (int d = 0; d < 3; d++) {
        problem p = problem_new(t);
        run(&p, (att_exec){.isa = isa}, dtypes[d], &p.vc, &p.va, columns_are_near);
        problem_free(&p);
    }
}

static void test_columns(void **state)
{
    (void)state;
    each(check_columns);
}

/* ---- parity ---- */

/* The rounded b with dense rows, as the references read it. */
static att_packed reference_pack(const problem *p, att_dtype dtype, att_span *memory)
{
    const att_exec ref = {.isa = ATT_ISA_REF};
    att_packed packed;
    memory->bytes = att_product_pack_as_bytes(&ref, dtype, p->t->K, p->t->N);
    memory->data = guard_alloc(memory->bytes);
    assert_ok(att_product_pack_as(&ref, dtype, &packed, &p->vb, *memory));
    return packed;
}

/* bfloat16: within twice the error of the float reference. */
static void check_bf16(const weight_case *t, att_isa isa)
{
    problem p = problem_new(t);
    att_span memory;
    att_packed b = reference_pack(&p, ATT_BF16, &memory);
    const int64_t *as = p.va.stride, *cs = p.vc.stride;
    double *a = guard_alloc((size_t)(t->M * t->K) * sizeof *a), *want = guard_alloc(p.c_count * sizeof *want);
    double *bias = guard_alloc((size_t)t->N * sizeof *bias);
    float *plain = random_floats((int64_t)p.c_count, 3);
    fill_f64(a, t->M * t->K, 1, 1.0);
    fill_f64(want, (int64_t)p.c_count, 3, 1.0);
    fill_f64(bias, t->N, 4, 1.0);
    att_ref_gemm_bf16_f64(want, cs[0], cs[1], a, as[0], as[1], b.data, t->M, t->N, t->K, t->desc.accumulate);
    att_ref_bias_act_f64(want, cs[0], cs[1], t->bias ? bias : NULL, 1, t->M, t->N, (int)t->desc.activation);
    att_ref_gemm_bf16_f32(plain, cs[0], cs[1], p.a, as[0], as[1], b.data, t->M, t->N, t->K, t->desc.accumulate);
    att_ref_bias_act_f32(plain, cs[0], cs[1], t->bias ? p.bias : NULL, 1, t->M, t->N, (int)t->desc.activation);
    run(&p, (att_exec){.isa = isa}, ATT_BF16, &p.vc, &p.va, NULL);
    assert_true(all_within(p.c, want, plain, (int64_t)p.c_count, 3e-7, att_isa_name(isa)));
    guard_free(memory.data, memory.bytes);
    guard_free(a, (size_t)(t->M * t->K) * sizeof *a);
    guard_free(want, p.c_count * sizeof *want);
    guard_free(bias, (size_t)t->N * sizeof *bias);
    guard_free(plain, p.c_count * sizeof *plain);
    problem_free(&p);
}

static void test_bf16(void **state)
{
    (void)state;
    each(check_bf16);
}

/* The largest rounded value of a row of a. */
static int64_t largest_rounded(const weight_case *t)
{
    const int64_t most = t->a_bits == 8 ? 127 : INT16_MAX, room = INT32_MAX / (127 * (t->K > 0 ? t->K : 1));
    return room < most ? room : most;
}

/* int8: what the header says about the rounding of a, here before the activation. */
static void check_i8_of(const weight_case *t, att_isa isa, int a_bits)
{
    weight_case linear = *t;
    linear.desc.activation = ATT_ACT_NONE;
    linear.a_bits = a_bits;
    problem p = problem_new(&linear);
    att_span memory;
    att_packed b = reference_pack(&p, ATT_I8, &memory);
    double limit = (double)largest_rounded(&linear);
    float *old = random_floats((int64_t)p.c_count, 3);
    run(&p, (att_exec){.isa = isa}, ATT_I8, &p.vc, &p.va, NULL);
    for (int64_t m = 0; m < t->M; m++)
        for (int64_t n = 0; n < t->N; n++) {
            double most = 0, weight = 0, want = t->bias ? (double)p.bias[n] : 0, size = fabs(want);
            for (int64_t k = 0; k < t->K; k++) {
                double x = (double)at(&p.va, m, k), w = ((const int8_t *)b.data)[k * t->N + n] * (double)b.scale[n];
                most = fmax(most, fabs(x));
                weight += fabs(w);
                want += x * w;
                size += fabs(x * w);
            }
            int64_t where = m * p.vc.stride[0] + n * p.vc.stride[1];
            if (t->desc.accumulate) want += (double)old[where];
            double bound = most / (2 * limit) * weight + 3e-7 * (size + 1);
            if (!(fabs((double)p.c[where] - want) <= bound))
                fail_msg("%s M=%d N=%d K=%d (%d,%d): %.9g, expected %.9g within %.3g", att_isa_name(isa), (int)t->M,
                         (int)t->N, (int)t->K, (int)m, (int)n, (double)p.c[where], want, bound);
        }
    guard_free(old, p.c_count * sizeof *old);
    guard_free(memory.data, memory.bytes);
    problem_free(&p);
}

static void check_i8(const weight_case *t, att_isa isa)
{
    check_i8_of(t, isa, 0);
    check_i8_of(t, isa, 8);
}

static void test_i8(void **state)
{
    (void)state;
    each(check_i8);
}

/* Bias and activation follow the product: applied to the linear result by the reference they give the same. */
static void check_activation(const weight_case *t, att_isa isa)
{
    weight_case linear = *t;
    linear.desc.activation = ATT_ACT_NONE;
    problem p = problem_new(t), q = problem_new(&linear);
    run(&p, (att_exec){.isa = isa}, ATT_I8, &p.vc, &p.va, NULL);
    run(&q, (att_exec){.isa = isa}, ATT_I8, &q.vc, &q.va, NULL);
    att_ref_bias_act_f32(q.c, q.vc.stride[0], q.vc.stride[1], NULL, 0, t->M, t->N, (int)t->desc.activation);
    for (int64_t m = 0; m < t->M; m++)
        for (int64_t n = 0; n < t->N; n++)
            assert_true(fabsf(at(&p.vc, m, n) - at(&q.vc, m, n)) <= 1e-6f * (1 + fabsf(at(&q.vc, m, n))));
    problem_free(&p);
    problem_free(&q);
}

static void test_activations(void **state)
{
    (void)state;
    each(check_activation);
}

/* ---- bits ---- */

static void same_bits(const problem *x, const problem *y, const char *what)
{
    for (size_t i = 0; i < x->c_count; i++)
        if (memcmp(&x->c[i], &y->c[i], sizeof(float)) != 0)
            fail_msg("%s: element %zu is %.9g and %.9g", what, i, (double)x->c[i], (double)y->c[i]);
}

/* Any number of threads, and every row alone. */
static void check_bits(const weight_case *t, att_isa isa)
{
    static const att_dtype dtypes[] = {ATT_BF16, ATT_I8, ATT_I8};
    for (int d = 0; d < 3; d++) {
        weight_case of = *t;
        of.a_bits = d == 2 ? 8 : 0;
        problem one = problem_new(&of), many = problem_new(&of), rows = problem_new(&of);
        run(&one, (att_exec){.isa = isa}, dtypes[d], &one.vc, &one.va, NULL);
        run(&many, (att_exec){.isa = isa, .threads = 3}, dtypes[d], &many.vc, &many.va, NULL);
        same_bits(&one, &many, "threads");
        for (int64_t m = 0; m < t->M; m++) {
            att_view c = att_view_slice(&rows.vc, 0, m, m + 1), a = att_view_slice(&rows.va, 0, m, m + 1);
            run(&rows, (att_exec){.isa = isa}, dtypes[d], &c, &a, NULL);
        }
        same_bits(&one, &rows, "rows");
        problem_free(&one), problem_free(&many), problem_free(&rows);
    }
}

static void test_bits(void **state)
{
    (void)state;
    each(check_bits);
}

/* More work than threads and blocks split: threads 1 and 4, sizes over the limits of serial work and of a block. */
static void test_large(void **state)
{
    (void)state;
    static const weight_case large[] = {{300, 200, 1030, true, false, false, {0}, 0},
                                        {1, 2500, 700, true, true, false, {0}, 0},
                                        {300, 200, 1030, true, false, false, {0}, 8}};
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            for (int d = large[c].a_bits == 8; d < 2 && isa[i] != ATT_ISA_REF; d++) {
                problem one = problem_new(&large[c]), many = problem_new(&large[c]);
                run(&one, (att_exec){.isa = isa[i]}, d ? ATT_I8 : ATT_BF16, &one.vc, &one.va, NULL);
                run(&many, (att_exec){.isa = isa[i], .threads = 4}, d ? ATT_I8 : ATT_BF16, &many.vc, &many.va, NULL);
                same_bits(&one, &many, "threads");
                problem_free(&one), problem_free(&many);
            }
}

/* bfloat16 is att_product with the rounded b; int8 has the same bits on every instruction set. */
static void test_same_as(void **state)
{
    (void)state;
    static const weight_case t = {5, 70, 600, true, false, false, {.activation = ATT_ACT_RELU}, 0};
    att_isa isa[8];
    problem first = problem_new(&t);
    for (int n = testable_isas(isa), i = 0; i < n; i++) {
        if (isa[i] == ATT_ISA_REF) continue;
        problem p = problem_new(&t), q = problem_new(&t);
        run(&p, (att_exec){.isa = isa[i]}, ATT_BF16, &p.vc, &p.va, NULL);
        for (int64_t k = 0; k < t.K * t.N; k++) q.b[k] = att_float_of_bf16(att_bf16_of_float(q.b[k]));
        run(&q, (att_exec){.isa = isa[i]}, ATT_F32, &q.vc, &q.va, NULL);
        same_bits(&p, &q, "rounded");
        if (isa[i] == ATT_ISA_PORTABLE) run(&first, (att_exec){.isa = isa[i]}, ATT_I8, &first.vc, &first.va, NULL);
        run(&p, (att_exec){.isa = isa[i]}, ATT_I8, &p.vc, &p.va, NULL);
        same_bits(&first, &p, att_isa_name(isa[i]));
        problem_free(&p), problem_free(&q);
    }
    problem_free(&first);
}

/* What kernel/gemm8.h says, a number at a time. */
static void exact_i8(const problem *p, const att_packed *b, float *c)
{
    const int64_t K = p->t->K, limit = largest_rounded(p->t);
    for (int64_t m = 0; m < p->t->M; m++) {
        float most = 0;
        for (int64_t k = 0; k < K; k++) most = fmaxf(most, fabsf(at(&p->va, m, k)));
        float inverse = (float)limit / most, step = most / (float)limit;
        for (int64_t n = 0; n < p->t->N; n++) {
            int64_t sum = 0;
            for (int64_t k = 0; k < K; k++)
                sum += lrintf(at(&p->va, m, k) * inverse) * ((const int8_t *)b->data)[k * p->t->N + n];
            c[m * p->t->N + n] = (float)sum * (step * b->scale[n]);
        }
    }
}

/* int8: the bits of the formula, for every number of rows of a micro-tile and depths around those that it unrolls. */
static void check_exact(int a_bits)
{
    static const int64_t columns[] = {1, 31, 64, 97}, depth[] = {1, 2, 3, 5, 6, 9, 10, 11, 13, 15, 17, 63, 600};
    att_isa isa[8];
    for (int64_t M = 1; M <= 14; M++)
        for (int c = 0; c < 4; c++)
            for (int d = 0; d < 13; d++) {
                weight_case t = {M, columns[c], depth[d], false, false, false, {0}, a_bits};
                problem p = problem_new(&t), want = problem_new(&t);
                att_span memory;
                att_packed b = reference_pack(&p, ATT_I8, &memory);
                exact_i8(&want, &b, want.c);
                for (int n = testable_isas(isa), i = 0; i < n; i++) {
                    if (isa[i] == ATT_ISA_REF) continue;
                    run(&p, (att_exec){.isa = isa[i]}, ATT_I8, &p.vc, &p.va, NULL);
                    same_bits(&p, &want, att_isa_name(isa[i]));
                }
                guard_free(memory.data, memory.bytes);
                problem_free(&p), problem_free(&want);
            }
}

static void test_exact(void **state)
{
    (void)state;
    check_exact(0);
    check_exact(8);
}

/* ---- extremes ---- */

/* The largest sums that int32 must hold: all values at their largest, K where the limit is exact. */
static void test_no_overflow(void **state)
{
    (void)state;
    static const int64_t depth[] = {2, 516, 517, 4096, ATT_GEMM8_MAX_K};
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int d = 0; d < 10; d++) {
            weight_case t = {1, 3, depth[d / 2], false, false, false, {0}, d % 2 * 8};
            problem p = problem_new(&t);
            for (int64_t k = 0; k < t.K; k++) {
                p.a[k] = 2.0f;
                for (int64_t j = 0; j < 3; j++) p.b[k * 3 + j] = j == 0 ? 3.0f : j == 1 ? -3.0f : k % 2 ? 1.0f : -1.0f;
            }
            run(&p, (att_exec){.isa = isa[i]}, ATT_I8, &p.vc, &p.va, NULL);
            double want = 6.0 * (double)t.K;
            assert_true(fabs((double)p.c[0] - want) <= 2e-6 * want);
            assert_true(fabs((double)p.c[1] + want) <= 2e-6 * want);
            assert_true(fabs((double)p.c[2]) <= 1e-6 * want + (t.K % 2 ? 2.001 : 0));
            problem_free(&p);
        }
}

/* A row that is not finite is NaN and harms no other; zeros and tiny values give the bias. */
static void test_special_rows(void **state)
{
    (void)state;
    att_isa isa[8];
    for (int n = testable_isas(isa) * 2, i = 0; i < n; i++) {
        const weight_case t = {4, 20, 37, true, false, false, {0}, i % 2 * 8};
        if (isa[i / 2] == ATT_ISA_REF) continue;
        problem p = problem_new(&t), q = problem_new(&t);
        run(&q, (att_exec){.isa = isa[i / 2]}, ATT_I8, &q.vc, &q.va, NULL);
        p.a[36] = INFINITY;
        p.a[37] = NAN;
        for (int64_t k = 0; k < t.K; k++) p.a[2 * t.K + k] = k % 2 ? 1e-38f : 0.0f;
        run(&p, (att_exec){.isa = isa[i / 2]}, ATT_I8, &p.vc, &p.va, NULL);
        for (int64_t j = 0; j < t.N; j++) {
            assert_true(isnan(p.c[j]) && isnan(p.c[t.N + j]));
            assert_true(p.c[2 * t.N + j] == p.bias[j]);
            assert_true(p.c[3 * t.N + j] == q.c[3 * t.N + j]);
        }
        problem_free(&p), problem_free(&q);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    float b[6] = {0}, memory[64];
    att_view v = att_view_2d(b, ATT_F32, 2, 3), deep = att_view_2d(b, ATT_F32, ATT_GEMM8_MAX_K + 1, 1);
    att_packed packed;
    att_span room = {memory, sizeof memory}, none = {memory, 3};
    assert_int_equal(att_product_pack_as(NULL, ATT_F16, &packed, &v, room), ATT_E_DTYPE);
    assert_string_equal(att_last_error(), "product: pack as float16, expected float32, bfloat16 or int8");
    assert_int_equal(att_product_pack_as(NULL, ATT_I8, &packed, &deep, room), ATT_E_SHAPE);
    assert_string_equal(att_last_error(), "product: b has 65537 rows, expected at most 65536 for int8");
    assert_int_equal(att_product_pack_as(NULL, ATT_BF16, &packed, &v, none), ATT_E_WORKSPACE);
    v.dtype = ATT_F64;
    assert_int_equal(att_product_pack_as(NULL, ATT_BF16, &packed, &v, room), ATT_E_DTYPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),     cmocka_unit_test(test_bf16),        cmocka_unit_test(test_i8),
        cmocka_unit_test(test_activations), cmocka_unit_test(test_bits),        cmocka_unit_test(test_large),
        cmocka_unit_test(test_same_as),     cmocka_unit_test(test_no_overflow), cmocka_unit_test(test_special_rows),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
