/* Every named mechanism against its formula, its gradients against central differences, and every instruction set
 * against the double reference. */
#include "op/mechanism_case.h"

#define KIND(k)  .kind = ATT_MECHANISM_##k
#define LOCAL(l) .local = ATT_LOCAL_##l

static const mechanism_case cases[] = {
    /* name                  B Hq Hkv Tq Tk D Dv  descriptor, inputs, heads apart */
    {"scaled_dot", 2, 1, 1, 5, 7, 6, 3, {0}, 0, false},
    {"dot_apart", 2, 4, 2, 5, 7, 6, 3, {KIND(DOT)}, 0, true},
    {"dot_gain", 2, 2, 2, 3, 5, 6, 3, {KIND(DOT)}, HAS_GAIN, false},
    {"self_keys", 2, 1, 1, 5, 7, 6, 6, {KIND(DOT)}, HAS_NO_KEYS, false},
    {"general", 2, 1, 1, 5, 7, 6, 3, {KIND(GENERAL)}, 0, false},
    {"general_heads", 2, 4, 2, 5, 7, 3, 3, {KIND(GENERAL)}, 0, true},
    {"additive_plain", 2, 1, 1, 5, 7, 6, 3, {KIND(ADDITIVE)}, HAS_SCORE_W, false},
    {"additive_ones", 1, 2, 1, 5, 7, 6, 3, {KIND(ADDITIVE)}, 0, true},
    {"bahdanau", 2, 1, 1, 1, 9, 6, 3, {KIND(ADDITIVE)}, HAS_SCORE_W | HAS_PROJECTIONS | HAS_LENGTHS, false},
    {"coverage", 2, 1, 1, 3, 7, 6, 3, {KIND(ADDITIVE)}, HAS_SCORE_W | HAS_PROJECTIONS | HAS_COVERAGE, false},
    {"coverage_bare", 2, 4, 2, 3, 7, 6, 3, {KIND(ADDITIVE)}, HAS_SCORE_W | HAS_COVERAGE, true},
    {"concat", 2, 1, 1, 5, 7, 6, 3, {KIND(CONCAT)}, HAS_SCORE_W, false},
    {"concat_coverage", 2, 1, 1, 5, 7, 6, 3, {KIND(CONCAT)}, HAS_SCORE_W | HAS_COVERAGE, false},
    {"keras_concat", 2, 1, 1, 5, 7, 6, 6, {KIND(KERAS_CONCAT)}, HAS_NO_KEYS, false},
    {"keras_concat_scaled", 2, 1, 1, 5, 7, 6, 3, {KIND(KERAS_CONCAT)}, HAS_GAIN | HAS_CONCAT_WEIGHT, false},
    {"cosine", 2, 1, 1, 5, 7, 6, 3, {KIND(COSINE), .core = {.scale = 4}}, 0, false},
    {"cosine_zero", 1, 1, 1, 5, 7, 6, 3, {KIND(COSINE)}, HAS_ZERO_ROW, false},
    {"cosine_strength", 2, 4, 2, 3, 7, 6, 3, {KIND(COSINE)}, HAS_STRENGTH | HAS_PROJECTIONS, false},
    {"location", 2, 1, 1, 5, 7, 6, 3, {KIND(LOCATION)}, 0, false},
    {"location_heads", 2, 4, 2, 5, 7, 3, 3, {KIND(LOCATION)}, HAS_LENGTHS | HAS_QUERY_PROJECTION, true},
    {"none", 2, 2, 1, 5, 7, 6, 3, {KIND(NONE)}, HAS_LENGTHS, false},
    {"monotonic", 2, 2, 1, 9, 11, 4, 3, {KIND(DOT), LOCAL(MONOTONIC), .core = {.half_width = 2}}, 0, false},
    {"relative", 2, 2, 1, 9, 7, 6, 3, {KIND(RELATIVE)}, 0, false},
    {"given_centre", 2, 2, 1, 4, 11, 4, 3, {KIND(DOT), LOCAL(MONOTONIC), .core = {.half_width = 2}}, HAS_CENTRE, false},
    {"predictive", 2, 1, 1, 5, 11, 4, 3, {KIND(GENERAL), LOCAL(PREDICTIVE), .core = {.half_width = 3.3f}}, 0, false},
    {"predictive_heads",
     2,
     4,
     2,
     3,
     9,
     4,
     3,
     {LOCAL(PREDICTIVE), .core = {.half_width = 4, .untruncated = 1}},
     HAS_LENGTHS | HAS_PROJECTIONS | HAS_OUTPUT,
     false},
    {"predictive_apart", 2, 4, 2, 3, 9, 4, 3, {LOCAL(PREDICTIVE), .core = {.half_width = 2.7f, .sigma = 3}}, 0, true},
    {"multi_head", 2, 3, 3, 5, 7, 4, 2, {0}, HAS_PROJECTIONS | HAS_OUTPUT, false},
    {"grouped", 2, 4, 2, 5, 7, 4, 2, {0}, HAS_PROJECTIONS | HAS_OUTPUT | HAS_LENGTHS, false},
    {"multi_query", 1, 3, 1, 5, 7, 4, 2, {0}, HAS_OUTPUT, false},
    {"one", 1, 1, 1, 1, 1, 1, 1, {0}, HAS_PROJECTIONS | HAS_OUTPUT, false},
};
enum { CASES = sizeof cases / sizeof *cases };

static void formulas(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        mechanism_run run;
        mechanism_create(&run, &cases[c], ATT_F64);
        mechanism_forward(&run, NULL);
        double *want = mechanism_formula(&run);
        for (int64_t i = 0; i < att_view_count(&run.out.core.o); i++) {
            double got = mechanism_get(&run.out.core.o, i);
            if (!(fabs(got - want[i]) <= 1e-13 * (1 + fabs(want[i]))))
                fail_msg("%s: o[%lld] is %.15g, its formula gives %.15g", cases[c].name, (long long)i, got, want[i]);
        }
        free(want);
        mechanism_destroy(&run);
    }
}

static double loss(void *ctx)
{
    mechanism_run *run = ctx;
    double sum = 0;
    mechanism_forward(run, NULL);
    for (int64_t i = 0; i < att_view_count(&run->out.core.o); i++)
        sum += mechanism_get(&run->out.core.o, i) * mechanism_get(&run->grad.core.d_o, i);
    return sum;
}

static void gradients(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        if (cases[c].has & HAS_ZERO_ROW) continue; /* no derivative there */
        mechanism_run run;
        mechanism_create(&run, &cases[c], ATT_F64);
        mechanism_forward(&run, NULL);
        mechanism_backward(&run, NULL);
        for (int t = 0; t < run.tensors; t++) {
            char what[64];
            snprintf(what, sizeof what, "%s %s", cases[c].name, run.tensor[t].name);
            check_gradient(what, loss, &run, run.tensor[t].value->data, run.tensor[t].gradient->data,
                           att_view_count(run.tensor[t].value));
        }
        mechanism_destroy(&run);
    }
}

/* The outputs and gradients of a run, one after the other. */
static int views_of(const mechanism_run *run, att_view *v)
{
    int n = 0;
    v[n++] = run->out.core.o;
    v[n++] = run->out.core.lse;
    v[n++] = run->out.core.weights;
    for (int t = 0; t < run->tensors; t++) v[n++] = *run->tensor[t].gradient;
    return n;
}

static void both_ways(mechanism_run *run, const mechanism_case *c, att_dtype dtype, const att_exec *exec)
{
    mechanism_create(run, c, dtype);
    mechanism_forward(run, exec);
    mechanism_backward(run, exec);
}

static void compare(const mechanism_run *got, const mechanism_run *want, const mechanism_run *plain, att_isa isa)
{
    att_view g[MECHANISM_TENSORS + 4], w[MECHANISM_TENSORS + 4], p[MECHANISM_TENSORS + 4];
    int n = views_of(got, g);
    views_of(want, w);
    views_of(plain, p);
    for (int i = 0; i < n; i++) {
        double top = 1;
        for (int64_t e = 0; e < att_view_count(&w[i]); e++)
            if (isfinite(((double *)w[i].data)[e])) top = fmax(top, fabs(((double *)w[i].data)[e]));
        char what[96];
        snprintf(what, sizeof what, "%s %s %s", got->c.name, att_isa_name(isa),
                 i < 3 ? (const char *[]){"o", "lse", "weights"}[i] : got->tensor[i - 3].name);
        assert_true(all_within(g[i].data, w[i].data, p[i].data, att_view_count(&g[i]), 2e-6 * top, what));
    }
}

static void parity(void **state)
{
    (void)state;
    att_isa isa[8];
    int isas = testable_isas(isa);
    const att_exec ref = {.isa = ATT_ISA_REF};
    for (int c = 0; c < CASES; c++) {
        mechanism_run want, plain, got;
        both_ways(&want, &cases[c], ATT_F64, &ref);
        both_ways(&plain, &cases[c], ATT_F32, &ref);
        for (int i = 0; i < isas; i++) {
            both_ways(&got, &cases[c], ATT_F32, &(att_exec){.isa = isa[i], .threads = 2});
            compare(&got, &want, &plain, isa[i]);
            mechanism_destroy(&got);
        }
        mechanism_destroy(&want);
        mechanism_destroy(&plain);
    }
}

static void threads_give_the_same_bits(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        mechanism_case big = cases[c];
        big.B *= 16;
        if (big.has & HAS_LENGTHS) continue; /* lengths shrink with the batch */
        mechanism_run one, many;
        both_ways(&one, &big, ATT_F32, NULL);
        for (int threads = 2; threads <= 8; threads *= 2) {
            both_ways(&many, &big, ATT_F32, &(att_exec){.threads = threads});
            att_view a[MECHANISM_TENSORS + 4], b[MECHANISM_TENSORS + 4];
            int n = views_of(&one, a);
            views_of(&many, b);
            for (int i = 0; i < n; i++)
                if (memcmp(a[i].data, b[i].data, (size_t)att_view_count(&a[i]) * sizeof(float)) != 0)
                    fail_msg("%s: output %d differs with %d threads", big.name, i, threads);
            mechanism_destroy(&many);
        }
        mechanism_destroy(&one);
    }
}

/* ---- the rules ---- */

/* Three-dimensional rows with one head and four-dimensional ones are the same call. */
static void shapes_are_two_views_of_one_thing(void **state)
{
    (void)state;
    double q[3 * 4], v[5 * 4], o[2][12], lse[3];
    fill_f64(q, 12, 1, 1);
    fill_f64(v, 20, 2, 1);
    for (int apart = 0; apart < 2; apart++) {
        att_mechanism_in in = {.core = {.q = att_view_3d(q, ATT_F64, 1, 3, 4), .v = att_view_3d(v, ATT_F64, 1, 5, 4)}};
        att_mechanism_out out = {
            .core = {.o = att_view_3d(o[apart], ATT_F64, 1, 3, 4), .lse = att_view_3d(lse, ATT_F64, 1, 1, 3)}};
        if (apart) {
            in.core.q = att_view_4d(q, ATT_F64, 1, 1, 3, 4);
            in.core.v = att_view_4d(v, ATT_F64, 1, 1, 5, 4);
            out.core.o = att_view_4d(o[apart], ATT_F64, 1, 1, 3, 4);
        }
        size_t bytes;
        assert_ok(att_mechanism_workspace(NULL, NULL, &in, &bytes));
        void *w = guard_alloc(bytes);
        assert_ok(att_mechanism_forward(NULL, NULL, &out, &in, (att_span){w, bytes}));
        guard_free(w, bytes);
    }
    assert_memory_equal(o[0], o[1], sizeof o[0]);
}

/* Weights recomputed from lse are those of the forward. */
static void weights_are_recomputed(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        mechanism_run run;
        mechanism_create(&run, &cases[c], ATT_F64);
        mechanism_forward(&run, NULL);
        int64_t n = att_view_count(&run.out.core.weights);
        att_view again = run.out.core.weights;
        again.data = guard_alloc((size_t)n * sizeof(double));
        size_t bytes;
        assert_ok(att_mechanism_workspace(&run.desc, NULL, &run.in, &bytes));
        void *w = guard_alloc(bytes);
        assert_ok(att_mechanism_weights(&run.desc, NULL, ATT_STAGE_WEIGHTS, &again, &run.in, &(att_view){0},
                                        &(att_view){0}, &run.out.core.lse, (att_span){w, bytes}));
        for (int64_t i = 0; i < n; i++)
            assert_true(fabs(mechanism_get(&again, i) - mechanism_get(&run.out.core.weights, i)) < 1e-15);
        guard_free(w, bytes);
        guard_free(again.data, (size_t)n * sizeof(double));
        mechanism_destroy(&run);
    }
}

/* cosine does not see the length of a vector */
static void cosine_ignores_lengths(void **state)
{
    (void)state;
    const mechanism_case c = {"cosine", 1, 1, 1, 3, 7, 6, 3, {KIND(COSINE), .core = {.scale = 5}}, 0, false};
    mechanism_run a, b;
    mechanism_create(&a, &c, ATT_F64);
    mechanism_create(&b, &c, ATT_F64);
    for (int64_t i = 0; i < att_view_count(&b.in.core.q); i++) ((double *)b.in.core.q.data)[i] *= 3e7;
    for (int64_t i = 0; i < att_view_count(&b.in.core.k); i++) ((double *)b.in.core.k.data)[i] *= 2e-6;
    mechanism_forward(&a, NULL);
    mechanism_forward(&b, NULL);
    for (int64_t i = 0; i < att_view_count(&a.out.core.o); i++)
        assert_true(fabs(mechanism_get(&a.out.core.o, i) - mechanism_get(&b.out.core.o, i)) < 1e-13);
    mechanism_destroy(&a);
    mechanism_destroy(&b);
}

static void coverage_adds_what_was_received(void **state)
{
    (void)state;
    double w[2 * 4 * 3 * 5], c[2 * 2 * 5], want;
    fill_f64(w, 120, 1, 1);
    fill_f64(c, 20, 2, 1);
    att_view vc = att_view_3d(c, ATT_F64, 2, 2, 5), vw = att_view_4d(w, ATT_F64, 2, 4, 3, 5);
    want = c[(1 * 2 + 1) * 5 + 4];
    for (int h = 2; h < 4; h++)
        for (int i = 0; i < 3; i++) want += w[((1 * 4 + h) * 3 + i) * 5 + 4];
    assert_ok(att_coverage_update(NULL, &vc, &vw));
    assert_true(fabs(c[19] - want) < 1e-15);
    vw.dim[1] = 3;
    assert_refused(att_coverage_update(NULL, &vc, &vw), ATT_E_SHAPE, "weights: 3 heads");
}

static void names_are_read_back(void **state)
{
    (void)state;
    for (int k = 0; k <= ATT_MECHANISM_CUSTOM; k++) {
        att_mechanism kind;
        assert_ok(att_mechanism_parse(att_mechanism_name((att_mechanism)k), &kind));
        assert_int_equal(kind, k);
    }
    att_mechanism kind;
    assert_null(att_mechanism_name((att_mechanism)99));
    assert_refused(att_mechanism_parse("Dot", &kind), ATT_E_VALUE, "mechanism: 'Dot', expected scaled-dot");
}

/* ---- refusals, before anything is computed ---- */

static void refused(const mechanism_run *run, att_status status, const char *word)
{
    size_t bytes;
    assert_refused(att_mechanism_workspace(&run->desc, NULL, &run->in, &bytes), status, word);
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    static const mechanism_case plain = {"plain", 2, 2, 1, 3, 5, 4, 4, {KIND(DOT)}, 0, false};
    mechanism_run good, r;
    mechanism_create(&good, &plain, ATT_F64);
    double w[64] = {0};
    att_view matrix = att_view_2d(w, ATT_F64, 8, 8), one = att_view_1d(w, ATT_F64, 1), vec = att_view_1d(w, ATT_F64, 4);
    r = good, r.desc.kind = ATT_MECHANISM_GENERAL,
    refused(&r, ATT_E_VALUE, "w_score: absent, expected one for general");
    r = good, r.in.w_score = matrix, refused(&r, ATT_E_VALUE, "w_score: given, expected none for dot attention");
    r = good, r.desc.kind = ATT_MECHANISM_LOCATION, refused(&r, ATT_E_VALUE, "k: given, expected none for location");
    r = good, r.in.core.score_w = vec, refused(&r, ATT_E_VALUE, "score_w: given");
    r = good, r.in.b_query = vec, refused(&r, ATT_E_VALUE, "b_query: given without w_query");
    r = good, r.in.w_query = matrix, r.in.gain = one, refused(&r, ATT_E_VALUE, "gain: given beside w_query");
    r = good, r.desc.heads = 3, refused(&r, ATT_E_SHAPE, "expected a multiple");
    r = good, r.desc.heads = -1, refused(&r, ATT_E_VALUE, "heads, kv_heads: -1");
    r = good, r.desc.heads = 1, refused(&r, ATT_E_SHAPE, "k: 4 wide in each head, expected 8");
    r = good, r.desc.core.score = ATT_SCORE_NONE, refused(&r, ATT_E_VALUE, "core.score: 2");
    r = good, r.desc.kind = (att_mechanism)77, refused(&r, ATT_E_VALUE, "kind: 77");
    r = good, r.desc.local = ATT_LOCAL_MONOTONIC, refused(&r, ATT_E_VALUE, "half_width: 0");
    r = good, r.desc.local = ATT_LOCAL_MONOTONIC, r.desc.core.half_width = 2, r.desc.core.window = ATT_WINDOW_CAUSAL;
    refused(&r, ATT_E_VALUE, "window: 1 beside local");
    r = good, r.desc.local = ATT_LOCAL_PREDICTIVE, r.desc.core.half_width = 2;
    refused(&r, ATT_E_VALUE, "w_centre, v_centre: absent");
    r = good, r.in.coverage = vec, refused(&r, ATT_E_VALUE, "coverage: given, expected none for dot");
    r = good, r.in.w_query = att_view_2d(w, ATT_F64, 7, 8),
    refused(&r, ATT_E_SHAPE, "w_query: shape (7,8), expected (8,8)");
    r = good, r.in.w_query = att_view_2d(w, ATT_F32, 8, 8), refused(&r, ATT_E_DTYPE, "w_query: float32");
    r = good, r.in.core.v.dtype = ATT_F32, refused(&r, ATT_E_DTYPE, "v: float32, expected float64 as q");
    r = good, r.in.core.q.ndim = 2, refused(&r, ATT_E_SHAPE, "q: 2 dimensions");
    r = good, r.in.core.k.dim[1] = 4, refused(&r, ATT_E_SHAPE, "k: 4 rows, expected v's 5");
    r = good, r.grad.dgain = one;
    assert_refused(att_mechanism_backward(&r.desc, NULL, &r.grad, &r.out, &r.in, (att_span){0}), ATT_E_VALUE,
                   "dgain: given, expected none");
    r = good, r.out.core.o.dim[2] = 7;
    assert_refused(att_mechanism_forward(&r.desc, NULL, &r.out, &r.in, (att_span){0}), ATT_E_SHAPE, "o: shape (2,3,7)");
    r = good;
    assert_refused(att_mechanism_forward(&r.desc, NULL, &r.out, &r.in, (att_span){0}), ATT_E_WORKSPACE, "workspace: 0");
    assert_true(isnan(mechanism_get(&good.out.core.o, 0)));
    mechanism_destroy(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas),
        cmocka_unit_test(gradients),
        cmocka_unit_test(parity),
        cmocka_unit_test(threads_give_the_same_bits),
        cmocka_unit_test(shapes_are_two_views_of_one_thing),
        cmocka_unit_test(weights_are_recomputed),
        cmocka_unit_test(cosine_ignores_lengths),
        cmocka_unit_test(coverage_adds_what_was_received),
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(contradictions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
