/* Every instruction set against the double reference, the double reference's gradients against central differences. */
#include "op/attention_case.h"

#define ADD  .score = ATT_SCORE_ADDITIVE
#define NONE .score = ATT_SCORE_NONE

static const attention_case cases[] = {
    /* odd sizes on purpose: tails, groups, Tq != Tk */
    /* name        B Hq Hkv Tq  Tk   D  Dv   descriptor */
    {"plain", 2, 3, 3, 17, 17, 8, 8, {0}, 0, 0},
    {"one", 1, 1, 1, 1, 1, 1, 1, {0}, WITH_WEIGHTS, 0},
    {"gqa_tail", 1, 4, 2, 5, 31, 7, 9, {.scale = 1.0f}, WITH_WEIGHTS, 0},
    {"decode", 1, 2, 2, 1, 33, 64, 64, {.window = ATT_WINDOW_CAUSAL, .q_offset = 32}, 0, 0},
    {"blocks", 1, 2, 1, 65, 129, 20, 70, {0}, WITH_WEIGHTS, 0},
    {"causal", 1, 2, 2, 70, 70, 16, 33, {.window = ATT_WINDOW_CAUSAL}, WITH_WEIGHTS, 0},
    {"causal_late", 1, 1, 1, 9, 5, 4, 4, {.window = ATT_WINDOW_CAUSAL, .q_offset = -4}, WITH_WEIGHTS, 0},
    {"band", 2, 1, 1, 150, 140, 12, 5, {.window = ATT_WINDOW_BAND, .left = 9, .right = 3, .q_offset = 5}, 0, 0},
    {"band_far", 1, 1, 1, 3, 5, 4, 4, {.window = ATT_WINDOW_BAND, .right = INT64_MAX, .q_offset = 1}, 0, 0},
    {"masked", 2, 2, 1, 40, 70, 6, 6, {0}, WITH_MASK | WITH_WEIGHTS, 0},
    {"biased", 2, 2, 2, 7, 66, 6, 6, {0}, WITH_BIAS | WITH_LENGTHS, 0},
    {"shared_bias", 2, 2, 2, 7, 13, 6, 6, {0}, WITH_SHARED_BIAS | WITH_KEY_MASK, 0},
    {"softcap", 1, 2, 2, 9, 70, 6, 6, {.softcap = 0.5f, .scale = 1.0f}, WITH_BIAS, 0},
    {"dropout", 2, 2, 1, 9, 70, 6, 6, {.dropout = 0.3f, .seed = 5}, WITH_MASK | WITH_WEIGHTS, 0},
    {"hard", 2, 2, 1, 9, 11, 6, 6, {.align = ATT_ALIGN_ARGMAX}, WITH_MASK | WITH_WEIGHTS, 0},
    {"uniform", 3, 2, 1, 5, 11, 6, 6, {.masked_rows = ATT_MASKED_UNIFORM}, WITH_LENGTHS | WITH_WEIGHTS, 0},
    {"location", 2, 2, 1, 5, 11, 6, 6, {NONE}, WITH_BIAS | WITH_WEIGHTS, 0},
    {"steep", 1, 1, 1, 5, 90, 40, 6, {.scale = 8.0f}, 0, 3},
    {"additive", 2, 1, 1, 4, 6, 5, 3, {ADD}, WITH_SCORE_W | WITH_WEIGHTS, 0},
    {"add_ones", 1, 1, 1, 3, 6, 16, 3, {ADD}, 0, 0},
    {"add_step", 3, 1, 1, 1, 19, 48, 21, {ADD}, WITH_SCORE_W | WITH_LENGTHS | TIME_MAJOR | WITH_PREPARED, 0},
    {"add_tail", 2, 1, 1, 1, 19, 37, 21, {ADD}, WITH_SCORE_W | TIME_MAJOR | WITH_PREPARED | WITH_WEIGHTS, 0},
    {"add_blocks", 1, 2, 1, 66, 130, 33, 9, {ADD, .scale = 0.5f}, WITH_SCORE_W | WITH_MASK, 0},
    {"add_wide", 2, 2, 1, 5, 9, 33, 9, {ADD}, WITH_SCORE_W, 30},
    {"add_far", 1, 1, 1, 6, 9, 18, 9, {ADD}, WITH_SCORE_W | WITH_PREPARED, 300},
    {"add_bias", 2, 2, 2, 6, 9, 18, 9, {ADD}, WITH_SCORE_W | WITH_BIAS, 0},
    {"add_all",
     2,
     2,
     1,
     35,
     66,
     18,
     9,
     {ADD, .dropout = 0.2f, .softcap = 2, .window = ATT_WINDOW_CAUSAL, .q_offset = 20},
     WITH_SCORE_W | WITH_SHARED_BIAS | WITH_KEY_MASK,
     0},
};
enum { CASES = sizeof cases / sizeof *cases };

static const char *const names[] = {"o", "lse", "weights", "dq", "dk", "dv", "dscore_w", "dbias"};

static void views_of(const attention_run *run, att_view v[8])
{
    const att_view all[8] = {run->out.o,   run->out.lse, run->out.weights,   run->grad.dq,
                             run->grad.dk, run->grad.dv, run->grad.dscore_w, run->grad.dbias};
    memcpy(v, all, sizeof all);
}

static double largest(const double *p, int64_t n)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++) top = p[i] > -1e29 ? fmax(top, fabs(p[i])) : top;
    return top;
}

static float *to_float(double *p, int64_t n)
{
    float *f = malloc((size_t)(n + 1) * sizeof *f);
    for (int64_t i = 0; i < n; i++) f[i] = (float)p[i];
    free(p);
    return f;
}

static void run_both(attention_run *run, const attention_case *c, att_dtype dtype, const att_exec *exec)
{
    attention_create(run, c, dtype);
    assert_ok(attention_forward(run, exec));
    assert_ok(attention_backward(run, exec));
}

static void compare(const attention_run *got, const attention_run *want, const attention_run *plain, att_isa isa)
{
    att_view g[8], w[8], p[8];
    views_of(got, g);
    views_of(want, w);
    views_of(plain, p);
    for (int i = 0; i < 8; i++) {
        if (!g[i].data) continue;
        int64_t n = att_view_count(&g[i]);
        double *exact = attention_values(&w[i]);
        float *have = to_float(attention_values(&g[i]), n), *base = to_float(attention_values(&p[i]), n);
        for (int64_t e = 0; e < n; e++)
            if (exact[e] <= -1e29) exact[e] = (double)(float)exact[e];
        char what[96];
        snprintf(what, sizeof what, "%s %s %s", got->c.name, att_isa_name(isa), names[i]);
        int ok = all_within(have, exact, base, n, 1e-6 * fmax(1.0, largest(exact, n)), what);
        free(exact);
        free(have);
        free(base);
        assert_true(ok);
    }
}

static void parity(void **state)
{
    (void)state;
    att_isa isa[8];
    int isas = testable_isas(isa);
    for (int c = 0; c < CASES; c++) {
        const att_exec ref = {.isa = ATT_ISA_REF};
        attention_run want, plain, got;
        run_both(&want, &cases[c], ATT_F64, &ref);
        run_both(&plain, &cases[c], ATT_F32, &ref);
        for (int i = 0; i < isas; i++) {
            const att_exec exec = {.isa = isa[i], .threads = 2};
            run_both(&got, &cases[c], ATT_F32, &exec);
            compare(&got, &want, &plain, isa[i]);
            attention_destroy(&got);
        }
        attention_destroy(&want);
        attention_destroy(&plain);
    }
}

/* ---- gradients ---- */

static double loss(attention_run *run)
{
    assert_ok(attention_forward(run, NULL));
    double sum = 0;
    for (int64_t i = 0; i < att_view_count(&run->out.o); i++)
        sum += attention_get(&run->out.o, i) * attention_get(&run->grad.d_o, i);
    return sum;
}

static void check_gradient(attention_run *run, const char *name, const att_view *x, const att_view *dx)
{
    if (!x->data || !dx->data) return;
    const double h = 1e-5;
    int64_t n = att_view_count(x), step = 1 + n / 24; /* at most 24 elements of each */
    for (int64_t i = 0; i < n; i += step) {
        double at = attention_get(x, i);
        if (isinf(at)) continue;
        attention_set(x, i, at + h);
        double up = loss(run);
        attention_set(x, i, at - h);
        double down = loss(run);
        attention_set(x, i, at);
        double want = (up - down) / (2 * h), got = attention_get(dx, i);
        if (!(fabs(got - want) <= 1e-7 * (1 + fabs(want))))
            fail_msg("%s: %s[%lld] is %.12g, differences give %.12g", run->c.name, name, (long long)i, got, want);
    }
}

static void gradients(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        if (cases[c].spread > 0) continue; /* saturated: differences see only rounding */
        attention_run run;
        run_both(&run, &cases[c], ATT_F64, NULL);
        check_gradient(&run, "dq", &run.in.q, &run.grad.dq);
        check_gradient(&run, "dk", &run.in.k, &run.grad.dk);
        check_gradient(&run, "dv", &run.in.v, &run.grad.dv);
        check_gradient(&run, "dscore_w", &run.in.score_w, &run.grad.dscore_w);
        check_gradient(&run, "dbias", &run.in.bias, &run.grad.dbias);
        attention_destroy(&run);
    }
}

/* ---- the same bits ---- */

static void assert_same(const attention_run *a, const attention_run *b, const char *what)
{
    att_view x[8], y[8];
    views_of(a, x);
    views_of(b, y);
    for (int v = 0; v < 8; v++)
        for (int64_t i = 0; x[v].data && i < att_view_count(&x[v]); i++) {
            float p = (float)attention_get(&x[v], i), q = (float)attention_get(&y[v], i);
            if (memcmp(&p, &q, sizeof p) != 0)
                fail_msg("%s %s: %s[%lld] %.9g, %.9g", a->c.name, what, names[v], (long long)i, (double)p, (double)q);
        }
}

static void threads_give_the_same_bits(void **state)
{
    (void)state;
    const int threads[] = {2, 3, 4, 8};
    for (int c = 0; c < CASES; c++) {
        attention_case big = cases[c];
        big.B *= 4; /* enough work for threads to start */
        attention_run one, many;
        run_both(&one, &big, ATT_F32, NULL);
        for (int i = 0; i < 4; i++) {
            const att_exec exec = {.threads = threads[i]};
            run_both(&many, &big, ATT_F32, &exec);
            assert_same(&one, &many, "threads");
            attention_destroy(&many);
        }
        attention_destroy(&one);
    }
}

static void prepared_keys_give_the_same_bits(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        if (!(cases[c].with & WITH_PREPARED)) continue;
        attention_case plain = cases[c];
        plain.with &= ~(unsigned)WITH_PREPARED;
        attention_run a, b;
        run_both(&a, &cases[c], ATT_F32, NULL);
        run_both(&b, &plain, ATT_F32, NULL);
        assert_same(&a, &b, "prepared");
        attention_destroy(&a);
        attention_destroy(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parity),
        cmocka_unit_test(gradients),
        cmocka_unit_test(threads_give_the_same_bits),
        cmocka_unit_test(prepared_keys_give_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
