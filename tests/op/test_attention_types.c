/* Queries, keys and values of 16 bits, and caches of keys and values: the numbers are those of float32 inputs with the
 * same values. */
#include "op/attention_suite.h"

#include "base/half.h"

static const attention_case cases[] = {
    /* name        B Hq Hkv Tq  Tk   D  Dv   descriptor */
    {"plain", 2, 4, 2, 33, 65, 9, 7, {.window = ATT_WINDOW_CAUSAL, .q_offset = 30}, WITH_WEIGHTS, 0},
    {"decode", 2, 4, 2, 1, 131, 64, 64, {0}, WITH_LENGTHS, 0},
    {"splits", 1, 8, 2, 1, 1040, 128, 136, {0}, WITH_WEIGHTS, 0},
    {"rows", 2, 3, 1, 1, 531, 23, 41, {0}, WITH_MASK | TIME_MAJOR, 0},
    {"blocks", 1, 2, 1, 70, 2100, 64, 64, {.window = ATT_WINDOW_CAUSAL, .q_offset = 2030}, WITH_WEIGHTS, 0},
    {"wide", 1, 2, 2, 101, 530, 97, 33, {.softcap = 5}, WITH_MASK | WITH_BIAS | WITH_SINKS, 0},
    {"band",
     2,
     4,
     2,
     300,
     300,
     31,
     65,
     {.window = ATT_WINDOW_BAND, .left = 40, .right = 3},
     TIME_MAJOR | WITH_SLOPES,
     0},
    {"dropped",
     2,
     2,
     2,
     40,
     64,
     16,
     32,
     {.dropout = 0.3f, .seed = 5},
     WITH_LENGTHS | WITH_QUERY_MASK | WITH_GATHERED,
     0},
    {"additive", 2, 2, 1, 5, 9, 9, 7, {.score = ATT_SCORE_ADDITIVE}, WITH_SCORE_W | WITH_BIAS, 0},
    {"sparse", 2, 2, 1, 5, 33, 9, 7, {.align = ATT_ALIGN_SPARSEMAX}, WITH_MASK | TIME_MAJOR, 0},
    {"custom", 2, 2, 1, 5, 70, 9, 7, {.score = ATT_SCORE_CUSTOM, .function = &squared_distance}, WITH_SINKS, 0},
    {"location", 1, 2, 1, 5, 9, 9, 7, {.score = ATT_SCORE_NONE}, WITH_BIAS, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

static uint16_t half_of(att_dtype dtype, double x)
{
    return dtype == ATT_BF16 ? att_bf16_of_float((float)x) : att_f16_of_float((float)x);
}

static float float_of(att_dtype dtype, uint16_t h)
{
    return dtype == ATT_BF16 ? att_float_of_bf16(h) : att_float_of_f16(h);
}

/* A dense copy of a float view as 16-bit numbers; the view gets the rounded values. Free its data. */
static att_view halved(const att_view *v, att_dtype dtype)
{
    att_view h = att_view_dense(NULL, dtype, v->ndim, v->dim);
    h.data = malloc((size_t)att_view_count(v) * sizeof(uint16_t));
    for (int64_t i = 0; i < att_view_count(v); i++) {
        uint16_t bits = half_of(dtype, attention_get(v, i));
        ((uint16_t *)h.data)[i] = bits;
        attention_set(v, i, (double)float_of(dtype, bits));
    }
    return h;
}

/* The same as int8, each row with its scale (B,Hkv,Tk). */
static att_view integers(const att_view *v, att_view *scale)
{
    int64_t width = v->dim[3], rows = att_view_count(v) / width;
    att_view n = att_view_dense(malloc((size_t)att_view_count(v)), ATT_I8, 4, v->dim);
    *scale = att_view_dense(malloc((size_t)rows * sizeof(float)), ATT_F32, 3, v->dim);
    for (int64_t row = 0; row < rows; row++) {
        float step = 0.007f + (float)(row % 5) * 0.001f;
        ((float *)scale->data)[row] = step;
        for (int64_t d = 0; d < width; d++) {
            int8_t x = (int8_t)fmax(-127, fmin(127, rint(attention_get(v, row * width + d) / (double)step)));
            ((int8_t *)n.data)[row * width + d] = x;
            attention_set(v, row * width + d, (double)(step * (float)x));
        }
    }
    return n;
}

static void near(const attention_run *run, const char *name, const att_view *got, const att_view *want,
                 double tolerance)
{
    for (int64_t i = 0; want->data && i < att_view_count(want); i++) {
        double x = attention_get(got, i), y = attention_get(want, i);
        if (!(x == y || fabs(x - y) <= tolerance * (1 + fabs(y))))
            fail_msg("%s: %s[%lld] is %.9g, expected %.9g", run->c.name, name, (long long)i, x, y);
    }
}

/* o of 16 bits is the float32 one, rounded: exactly for the reference, else it may fall on the neighbour. */
static void check_output(const attention_run *run, const att_view *o, const att_view *want, bool exact)
{
    for (int64_t i = 0; i < att_view_count(want); i++) {
        uint16_t bits = ((const uint16_t *)o->data)[i], rounded = half_of(o->dtype, attention_get(want, i));
        double x = (double)float_of(o->dtype, bits), y = attention_get(want, i);
        bool same = exact ? bits == rounded : fabs(x - y) <= (o->dtype == ATT_BF16 ? 0x1p-8 : 0x1p-11) * fabs(y) + 1e-6;
        if (!same) fail_msg("%s: o[%lld] is %.9g, expected %.9g rounded", run->c.name, (long long)i, x, y);
    }
}

static void check_halves(const attention_case *c, att_dtype dtype, att_isa isa)
{
    const att_exec ref = {.isa = ATT_ISA_REF}, exec = {.isa = isa};
    attention_run want, got;
    attention_create(&want, c, ATT_F32);
    attention_create(&got, c, ATT_F32);
    got.in.q = halved(&want.in.q, dtype);
    got.in.k = halved(&want.in.k, dtype);
    got.in.v = halved(&want.in.v, dtype);
    att_view wide = got.out.o;
    got.out.o = halved(&wide, dtype);
    assert_ok(attention_forward(&want, &ref));
    assert_ok(attention_backward(&want, &ref));
    assert_ok(attention_forward(&got, &exec));
    check_output(&got, &got.out.o, &want.out.o, isa == ATT_ISA_REF);
    near(&got, "lse", &got.out.lse, &want.out.lse, 2e-6);
    near(&got, "weights", &got.out.weights, &want.out.weights, 2e-6);
    assert_ok(attention_backward(&got, &exec));
    attention_pair x[ATTENTION_GRADIENTS], y[ATTENTION_GRADIENTS];
    attention_gradients(&got, x);
    attention_gradients(&want, y);
    double rounding = isa == ATT_ISA_REF ? 1e-6 : 1e-2; /* a fused backward takes o's rounding into do . o */
    for (int i = 0; i < ATTENTION_GRADIENTS; i++) near(&got, x[i].name, &x[i].dx, &y[i].dx, rounding);
    free(got.in.q.data);
    free(got.in.k.data);
    free(got.in.v.data);
    free(got.out.o.data);
    attention_destroy(&want);
    attention_destroy(&got);
}

static void sixteen_bits_give_float32s_numbers_rounded(void **state)
{
    (void)state;
    att_isa isa[8];
    int isas = testable_isas(isa);
    for (int c = 0; c < CASES; c++)
        for (int i = 0; i < isas; i++) {
            check_halves(&cases[c], ATT_BF16, isa[i]);
            check_halves(&cases[c], ATT_F16, isa[i]);
        }
}

/* A backward of bfloat16 from the same o and lse on two levels: weights may have two parts, but not one. */
static void check_levels(const attention_case *c, att_isa isa)
{
    attention_run run[2];
    const att_exec exec[2] = {{.isa = ATT_ISA_PORTABLE}, {.isa = isa, .threads = 2}};
    for (int i = 0; i < 2; i++) {
        attention_create(&run[i], c, ATT_F32);
        run[i].in.q = halved(&run[i].in.q, ATT_BF16);
        run[i].in.k = halved(&run[i].in.k, ATT_BF16);
        run[i].in.v = halved(&run[i].in.v, ATT_BF16);
        run[i].out.o = halved(&run[i].out.o, ATT_BF16);
        assert_ok(attention_forward(&run[i], &exec[i]));
        for (int64_t k = 0; i && k < att_view_count(&run[0].out.lse); k++)
            attention_set(&run[1].out.lse, k, attention_get(&run[0].out.lse, k));
        if (i) memcpy(run[1].out.o.data, run[0].out.o.data, (size_t)att_view_count(&run[0].out.o) * sizeof(uint16_t));
        assert_ok(attention_backward(&run[i], &exec[i]));
    }
    attention_pair x[ATTENTION_GRADIENTS], y[ATTENTION_GRADIENTS];
    attention_gradients(&run[0], y);
    attention_gradients(&run[1], x);
    for (int i = 0; i < ATTENTION_GRADIENTS; i++) near(&run[1], x[i].name, &x[i].dx, &y[i].dx, 5e-5);
    for (int i = 0; i < 2; i++) {
        void *const mine[] = {run[i].in.q.data, run[i].in.k.data, run[i].in.v.data, run[i].out.o.data};
        for (size_t k = 0; k < sizeof mine / sizeof *mine; k++) free(mine[k]);
        attention_destroy(&run[i]);
    }
}

static void levels_give_the_same_gradients(void **state)
{
    (void)state;
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 1; i < n; i++)
        for (int c = 0; c < CASES; c++) check_levels(&cases[c], isa[i]);
}

/* k and v of a cache's type, q of float32. */
static void check_cache(const attention_case *c, att_dtype dtype, att_isa isa)
{
    attention_run want, got;
    attention_create(&want, c, ATT_F32);
    attention_create(&got, c, ATT_F32);
    if (dtype == ATT_I8) {
        got.in.k = integers(&want.in.k, &got.in.k_scale);
        got.in.v = integers(&want.in.v, &got.in.v_scale);
    } else {
        got.in.k = halved(&want.in.k, dtype);
        got.in.v = halved(&want.in.v, dtype);
    }
    assert_ok(attention_forward(&want, &(att_exec){.isa = ATT_ISA_REF}));
    assert_ok(attention_forward(&got, &(att_exec){.isa = isa}));
    near(&got, "o", &got.out.o, &want.out.o, 2e-6);
    near(&got, "lse", &got.out.lse, &want.out.lse, 2e-6);
    near(&got, "weights", &got.out.weights, &want.out.weights, 2e-6);
    void *const mine[] = {got.in.k.data, got.in.v.data, got.in.k_scale.data, got.in.v_scale.data};
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) free(mine[i]);
    attention_destroy(&want);
    attention_destroy(&got);
}

static void a_cache_gives_the_numbers_of_what_it_holds(void **state)
{
    (void)state;
    const att_dtype held[] = {ATT_I8, ATT_BF16, ATT_F16};
    att_isa isa[8];
    int isas = testable_isas(isa);
    for (int c = 0; c < CASES; c++)
        for (int i = 0; i < isas; i++)
            for (size_t d = 0; d < 3; d++) check_cache(&cases[c], held[d], isa[i]);
}

/* q and o of 16 bits over an int8 cache, as a decoder has them. */
static void sixteen_bits_read_an_integer_cache(void **state)
{
    (void)state;
    attention_run want, got;
    attention_create(&want, &cases[1], ATT_F32);
    attention_create(&got, &cases[1], ATT_F32);
    att_view wide = got.out.o;
    got.in.q = halved(&want.in.q, ATT_BF16);
    got.out.o = halved(&wide, ATT_BF16);
    got.in.k = integers(&want.in.k, &got.in.k_scale);
    got.in.v = integers(&want.in.v, &got.in.v_scale);
    assert_ok(attention_forward(&want, &(att_exec){.isa = ATT_ISA_REF}));
    assert_ok(attention_forward(&got, NULL));
    check_output(&got, &got.out.o, &want.out.o, false);
    void *const mine[] = {got.in.q.data,       got.in.k.data,       got.in.v.data,
                          got.in.k_scale.data, got.in.v_scale.data, got.out.o.data};
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) free(mine[i]);
    attention_destroy(&want);
    attention_destroy(&got);
}

/* ---- values of 16 bits that are not finite ---- */

typedef struct half_problem {
    int64_t T, D;
    att_view q, k, v, o;
} half_problem;

static att_view random_halves(int64_t T, int64_t D, uint64_t seed)
{
    att_view x = att_view_dense(guard_alloc((size_t)(T * D) * sizeof(uint16_t)), ATT_BF16, 4, (int64_t[]){1, 1, T, D});
    float *f = malloc((size_t)(T * D) * sizeof *f);
    fill_f32(f, T * D, seed, 1.0f);
    for (int64_t i = 0; i < T * D; i++) ((uint16_t *)x.data)[i] = att_bf16_of_float(f[i]);
    free(f);
    return x;
}

/* Causal attention; value d of key j is `value`. */
static void run_half(half_problem *x, att_isa isa, int threads, int64_t j, int64_t d, uint16_t value)
{
    static const att_attention_desc causal = {.window = ATT_WINDOW_CAUSAL};
    const att_exec exec = {.isa = isa, .threads = threads};
    const att_attention_in in = {.q = x->q, .k = x->k, .v = x->v};
    const att_attention_out out = {.o = x->o};
    att_span w = {0};
    ((uint16_t *)x->v.data)[j * x->D + d] = value;
    assert_ok(att_attention_forward_workspace(&causal, &exec, &in, &w.bytes));
    w.data = guard_alloc(w.bytes);
    memset(w.data, 0xff, w.bytes);
    assert_ok(att_attention_forward(&causal, &exec, &out, &in, w));
    guard_free(w.data, w.bytes);
}

/* Queries that do not see the key have the bits they had without it; the others have NaN, or the infinity, in its
 * column alone. */
static void a_hidden_value_changes_no_bit(void **state)
{
    (void)state;
    enum { T = 600, D = 40 };
    static uint16_t before[T * D];
    half_problem x = {T, D, random_halves(T, D, 1), random_halves(T, D, 2), random_halves(T, D, 3), {0}};
    x.o = random_halves(T, D, 4);
    const uint16_t *o = x.o.data, sick[] = {0x7fc0, 0x7f80}; /* NaN, infinity */
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 0; i < n; i++)
        for (int64_t j = 0; j < T; j += 297)
            for (int s = 0; s < 2; s++) {
                run_half(&x, isa[i], 1, j, 7, 0);
                memcpy(before, o, sizeof before);
                run_half(&x, isa[i], 3, j, 7, sick[s]);
                for (int64_t e = 0; e < T * D; e++) {
                    bool hit = e / D >= j && e % D == 7;
                    bool as_said = hit ? (o[e] & 0x7fff) == (sick[s] & 0x7fff) : o[e] == before[e];
                    if (!as_said) fail_msg("%s, key %d: o[%d] is %x", att_isa_name(isa[i]), (int)j, (int)e, o[e]);
                }
                run_half(&x, isa[i], 1, j, 7, 0x3f00);
            }
    att_view all[] = {x.q, x.k, x.v, x.o};
    for (int i = 0; i < 4; i++) guard_free(all[i].data, (size_t)(T * D) * sizeof(uint16_t));
}

/* Gradients (T,D) of q, k and v of causal attention, with NaN in a key, a value and an output's gradient. */
static void sick_gradients(const half_problem *x, att_isa isa, float *d_o, float *dq, float *dk, float *dv)
{
    static const att_attention_desc causal = {.window = ATT_WINDOW_CAUSAL};
    const att_exec exec = {.isa = isa, .threads = 2};
    const att_attention_in in = {.q = x->q, .k = x->k, .v = x->v};
    float *lse = malloc((size_t)x->T * sizeof *lse);
    const att_attention_out out = {.o = x->o, .lse = att_view_dense(lse, ATT_F32, 3, (int64_t[]){1, 1, x->T})};
    float *const memory[] = {d_o, dq, dk, dv};
    att_view view[4];
    att_span w;
    for (int i = 0; i < 4; i++) view[i] = att_view_dense(memory[i], ATT_F32, 4, x->q.dim);
    for (int i = 1; i < 4; i++) memset(memory[i], 0, (size_t)(x->T * x->D) * sizeof(float));
    const att_attention_grad grad = {.d_o = view[0], .dq = view[1], .dk = view[2], .dv = view[3]};
    assert_ok(att_attention_workspace(&causal, &exec, &in, &w.bytes));
    w.data = guard_alloc(w.bytes);
    memset(w.data, 0xff, w.bytes);
    assert_ok(att_attention_forward(&causal, &exec, &out, &in, w));
    assert_ok(att_attention_backward(&causal, &exec, &grad, &out, &in, w));
    guard_free(w.data, w.bytes);
    free(lse);
}

/* NaN reaches the gradients that plain arithmetic says, and no others. */
static void a_hidden_value_reaches_no_gradient(void **state)
{
    (void)state;
    enum { T = 300, D = 40 };
    static float want[3][T * D], got[3][T * D];
    half_problem x = {T, D, random_halves(T, D, 1), random_halves(T, D, 2), random_halves(T, D, 3), {0}};
    x.o = random_halves(T, D, 4);
    float *d_o = guard_alloc(T * D * sizeof *d_o);
    uint16_t *q = x.q.data, *k = x.k.data, *v = x.v.data;
    att_isa isa[8];
    for (int n = testable_isas(isa), i = 1; i < n; i++)
        for (int s = 0; s < 4; s++) {
            const int64_t at = 211 * D + 9; /* query or key 211 */
            const uint16_t old[] = {q[at], k[at], v[at]};
            fill_f32(d_o, T * D, 8, 1.0f);
            if (s == 0) q[at] = 0x7fc0;
            if (s == 1) k[at] = 0x7fc0;
            if (s == 2) v[at] = 0x7fc0;
            if (s == 3) d_o[at] = NAN;
            sick_gradients(&x, ATT_ISA_PORTABLE, d_o, want[0], want[1], want[2]);
            sick_gradients(&x, isa[i], d_o, got[0], got[1], got[2]);
            q[at] = old[0], k[at] = old[1], v[at] = old[2];
            int64_t sick = 0;
            for (int64_t e = 0; e < 3 * T * D; e++) {
                float a = got[e / (T * D)][e % (T * D)], b = want[e / (T * D)][e % (T * D)];
                sick += !isfinite(b);
                if (isfinite(a) != isfinite(b) || (isfinite(b) && fabsf(a - b) > 2e-2f))
                    fail_msg("%s, case %d: gradient %d, row %d is %g, expected %g", att_isa_name(isa[i]), s,
                             (int)(e / (T * D)), (int)(e % (T * D) / D), (double)a, (double)b);
            }
            assert_true(sick > 0 && sick < 3 * T * D);
        }
    guard_free(d_o, T * D * sizeof *d_o);
    att_view all[] = {x.q, x.k, x.v, x.o};
    for (int i = 0; i < 4; i++) guard_free(all[i].data, (size_t)(T * D) * sizeof(uint16_t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_bits_give_float32s_numbers_rounded),
        cmocka_unit_test(a_cache_gives_the_numbers_of_what_it_holds),
        cmocka_unit_test(sixteen_bits_read_an_integer_cache),
        cmocka_unit_test(a_hidden_value_changes_no_bit),
        cmocka_unit_test(levels_give_the_same_gradients),
        cmocka_unit_test(a_hidden_value_reaches_no_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
