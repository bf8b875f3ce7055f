#include "op/attention_suite.h"

/* ---- runs ---- */

void suite_run(attention_run *run, const attention_case *c, att_dtype dtype, const att_exec *exec)
{
    attention_create(run, c, dtype);
    assert_ok(attention_forward(run, exec));
    assert_ok(attention_backward(run, exec));
}

/* The same bits, or, with a tolerance, that near. */
static bool agree(float p, float q, double tolerance)
{
    if (memcmp(&p, &q, sizeof p) == 0) return true;
    return fabs((double)p - (double)q) <= tolerance * (1 + fabs((double)q)); /* NaN is not */
}

static void assert_agree(const attention_run *a, const attention_run *b, double tolerance, const char *what)
{
    att_view x[ATTENTION_RESULTS], y[ATTENTION_RESULTS];
    attention_results(a, x);
    attention_results(b, y);
    for (int v = 0; v < ATTENTION_RESULTS; v++)
        for (int64_t i = 0; x[v].data && y[v].data && i < att_view_count(&x[v]); i++) {
            float p = (float)attention_get(&x[v], i), q = (float)attention_get(&y[v], i);
            if (!agree(p, q, tolerance))
                fail_msg("%s %s: %s[%lld] %.9g, %.9g", a->c.name, what, attention_result_names[v], (long long)i,
                         (double)p, (double)q);
        }
}

void suite_same(const attention_run *a, const attention_run *b, const char *what)
{
    assert_agree(a, b, 0, what);
}

static bool draws_numbers(const attention_case *c)
{
    return c->desc.dropout > 0 || c->desc.align == ATT_ALIGN_SAMPLE;
}

/* ---- parity ---- */

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

static void compare(const attention_run *got, const attention_run *want, const attention_run *plain, att_isa isa)
{
    att_view g[ATTENTION_RESULTS], w[ATTENTION_RESULTS], p[ATTENTION_RESULTS];
    attention_results(got, g);
    attention_results(want, w);
    attention_results(plain, p);
    for (int i = 0; i < ATTENTION_RESULTS; i++) {
        if (!g[i].data) continue;
        int64_t n = att_view_count(&g[i]);
        double *exact = attention_values(&w[i]);
        float *have = to_float(attention_values(&g[i]), n), *base = to_float(attention_values(&p[i]), n);
        for (int64_t e = 0; e < n; e++)
            if (exact[e] <= -1e29) exact[e] = (double)(float)exact[e];
        char what[96];
        snprintf(what, sizeof what, "%s %s %s", got->c.name, att_isa_name(isa), attention_result_names[i]);
        int ok = all_within(have, exact, base, n, 1e-6 * fmax(1.0, largest(exact, n)), what);
        free(exact);
        free(have);
        free(base);
        assert_true(ok);
    }
}

void suite_parity(const attention_case *cases, int n)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    for (int c = 0; c < n; c++) {
        const att_exec ref = {.isa = ATT_ISA_REF};
        attention_run want, plain, got;
        suite_run(&want, &cases[c], ATT_F64, &ref);
        suite_run(&plain, &cases[c], ATT_F32, &ref);
        for (int i = 0; i < isas; i++) {
            const att_exec exec = {.isa = isa[i], .threads = 2};
            suite_run(&got, &cases[c], ATT_F32, &exec);
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

/* How many elements of each input are tried: a large case takes time, a small one shows the same. */
static int64_t samples(const attention_case *c)
{
    double cost = (double)(c->B * c->Hq * c->Tq * c->Tk * c->D);
    return cost > 2e4 ? 3 : 24;
}

static void check_gradient(attention_run *run, const attention_pair *pair)
{
    const double h = 1e-5;
    const att_view *x = &pair->x;
    if (!x->data || !pair->dx.data) return;
    int64_t n = att_view_count(x), step = 1 + n / samples(&run->c);
    for (int64_t i = 0; i < n; i += step) {
        double at = attention_get(x, i);
        if (isinf(at)) continue;
        attention_set(x, i, at + h);
        double up = loss(run);
        attention_set(x, i, at - h);
        double down = loss(run);
        attention_set(x, i, at);
        double want = (up - down) / (2 * h), got = attention_get(&pair->dx, i);
        if (!(fabs(got - want) <= 1e-7 * (1 + fabs(want))))
            fail_msg("%s: %s[%lld] is %.12g, differences give %.12g", run->c.name, pair->name, (long long)i, got, want);
    }
}

void suite_gradients(const attention_case *cases, int n)
{
    for (int c = 0; c < n; c++) {
        if (cases[c].spread > 0) continue; /* saturated: differences see only rounding */
        attention_run run;
        attention_pair pair[ATTENTION_GRADIENTS];
        suite_run(&run, &cases[c], ATT_F64, NULL);
        attention_gradients(&run, pair);
        for (int i = 0; i < ATTENTION_GRADIENTS; i++) check_gradient(&run, &pair[i]);
        attention_destroy(&run);
    }
}

/* ---- the same bits ---- */

void suite_threads(const attention_case *cases, int n)
{
    const int threads[] = {2, 3, 4, 8};
    for (int c = 0; c < n; c++) {
        attention_case big = cases[c];
        big.B *= 4; /* enough work for threads to start */
        attention_run one, many;
        suite_run(&one, &big, ATT_F32, NULL);
        for (int i = 0; i < 4; i++) {
            const att_exec exec = {.threads = threads[i]};
            suite_run(&many, &big, ATT_F32, &exec);
            suite_same(&one, &many, "threads");
            attention_destroy(&many);
        }
        attention_destroy(&one);
    }
}

/* Batch entry b alone, on the memory of the whole. Gradients that the batch shares are left out. */
static attention_run entry_of(const attention_run *whole, int64_t b)
{
    attention_run part = *whole;
    att_view *split[] = {
        &part.in.q,           &part.in.k,        &part.in.v,         &part.in.key_lengths,  &part.in.query_mask,
        &part.in.q_positions, &part.in.centre,   &part.prepared,     &part.out.o,           &part.out.lse,
        &part.out.weights,    &part.out.entropy, &part.out.top_keys, &part.out.top_weights, &part.out.column_sums,
        &part.grad.d_o,       &part.grad.dq,     &part.grad.dk,      &part.grad.dv,         &part.grad.dcentre};
    for (size_t i = 0; i < sizeof split / sizeof *split; i++)
        if (split[i]->data) *split[i] = att_view_slice(split[i], 0, b, b + 1);
    if (part.in.mask.ndim == 4) part.in.mask = att_view_slice(&part.in.mask, 0, b, b + 1);
    if (part.in.bias.ndim == 4) {
        part.in.bias = att_view_slice(&part.in.bias, 0, b, b + 1);
        part.grad.dbias = att_view_slice(&part.grad.dbias, 0, b, b + 1);
    } else {
        part.grad.dbias = (att_view){0};
    }
    part.grad.dscore_w = part.grad.dsinks = part.grad.drelative = (att_view){0};
    return part;
}

void suite_split(const attention_case *cases, int n)
{
    for (int c = 0; c < n; c++) {
        if (draws_numbers(&cases[c]) || cases[c].B == 1) continue;
        attention_run whole, parts;
        suite_run(&whole, &cases[c], ATT_F32, NULL);
        attention_create(&parts, &cases[c], ATT_F32);
        for (int64_t b = 0; b < cases[c].B; b++) {
            attention_run part = entry_of(&parts, b);
            assert_ok(attention_forward(&part, NULL));
            assert_ok(attention_backward(&part, NULL));
        }
        attention_run last = entry_of(&whole, 0); /* knows which gradients are left out */
        if (!last.grad.dbias.data) parts.grad.dbias = (att_view){0};
        parts.grad.dscore_w = parts.grad.dsinks = parts.grad.drelative = (att_view){0};
        suite_same(&whole, &parts, "split");
        attention_destroy(&whole);
        attention_destroy(&parts);
    }
}

/* ---- what is hidden ---- */

/* No query of the group sees key j of (b,hkv). `masked` (B,Hq,Tq,Tk) are the scores as aligned. */
static bool nobody_sees(const attention_case *c, const att_view *masked, int64_t b, int64_t hkv, int64_t j)
{
    int64_t group = c->Hq / c->Hkv;
    for (int64_t h = hkv * group; h < (hkv + 1) * group; h++)
        for (int64_t i = 0; i < c->Tq; i++)
            if (!isinf(attention_get(masked, ((b * c->Hq + h) * c->Tq + i) * c->Tk + j))) return false;
    return true;
}

static void spoil_row(const att_view *v, int64_t row, double with)
{
    int64_t width = v->dim[v->ndim - 1];
    for (int64_t d = 0; v->data && d < width; d++) attention_set(v, row * width + d, with);
}

static void spoil_keys(attention_run *run, const att_view *masked)
{
    const attention_case *c = &run->c;
    for (int64_t row = 0; row < c->B * c->Hkv * c->Tk; row++) {
        if (!nobody_sees(c, masked, row / c->Tk / c->Hkv, row / c->Tk % c->Hkv, row % c->Tk)) continue;
        spoil_row(&run->in.k, row, row % 2 ? NAN : INFINITY);
        if (c->desc.masked_rows == ATT_MASKED_ZERO) spoil_row(&run->in.v, row, row % 2 ? -INFINITY : NAN);
    }
}

/* Queries that do not count, and the gradients of their outputs. */
static void spoil_queries(attention_run *run)
{
    const attention_case *c = &run->c;
    for (int64_t row = 0; run->in.query_mask.data && row < c->B * c->Hq * c->Tq; row++) {
        const uint8_t *mask = run->in.query_mask.data;
        if (mask[row / (c->Hq * c->Tq) * c->Tq + row % c->Tq]) continue;
        spoil_row(&run->in.q, row, NAN);
        spoil_row(&run->grad.d_o, row, NAN);
    }
}

static void check_poison(const attention_case *c, const att_exec *exec)
{
    attention_run clean, poisoned, scores;
    attention_case all = *c;
    all.with |= WITH_WEIGHTS;
    attention_create(&scores, &all, ATT_F32);
    assert_ok(attention_stage(&scores, ATT_STAGE_MASKED, &scores.out.weights));
    suite_run(&clean, c, ATT_F32, exec);
    attention_create(&poisoned, c, ATT_F32);
    spoil_keys(&poisoned, &scores.out.weights);
    spoil_queries(&poisoned);
    assert_ok(attention_forward(&poisoned, exec));
    assert_ok(attention_backward(&poisoned, exec));
    if (c->with & WITH_QUERY_MASK) { /* what a query that does not count makes of its row is its own affair */
        const att_view o = poisoned.out.o;
        poisoned.out = (att_attention_out){.o = o};
    }
    /* Additive scores take a slower way round, which rounds differently, where a tile holds extreme numbers. */
    assert_agree(&clean, &poisoned, c->desc.score == ATT_SCORE_ADDITIVE ? 1e-5 : 0, "poisoned");
    attention_destroy(&clean);
    attention_destroy(&poisoned);
    attention_destroy(&scores);
}

void suite_poison(const attention_case *cases, int n)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    for (int c = 0; c < n; c++)
        for (int i = 0; i < isas; i++) check_poison(&cases[c], &(att_exec){.isa = isa[i]});
}
