/* What holds for every attention whatever its numbers. */
#include "op/attention_suite.h"

enum {                /* what a kind's rows do not promise */
       NOT_ONE = 1,   /* weights add up to 1 */
       NOT_MOVED = 2, /* keys have no places of their own */
       NOT_NAN = 4    /* a NaN query gives a NaN output */
};

typedef struct attention_kind {
    const char *name;
    att_attention_desc desc;
    unsigned with, lacks;
} attention_kind;

static const attention_kind kinds[] = {
    {"dot", {0}, 0, 0},
    {"additive", {.score = ATT_SCORE_ADDITIVE}, WITH_SCORE_W, 0},
    {"custom", {.score = ATT_SCORE_CUSTOM, .function = &squared_distance, .scale = 0.1f}, 0, 0},
    {"warm", {.temperature = 2, .softcap = 3}, 0, 0},
    {"sinks", {.temperature = 0.5f}, WITH_SINKS, NOT_ONE},
    {"alibi", {0}, WITH_SLOPES | WITH_RELATIVE, NOT_MOVED},
    {"sparsemax", {.align = ATT_ALIGN_SPARSEMAX}, 0, 0},
    {"entmax", {.align = ATT_ALIGN_ENTMAX15}, 0, 0},
    {"argmax", {.align = ATT_ALIGN_ARGMAX}, 0, NOT_NAN},
    {"sample", {.align = ATT_ALIGN_SAMPLE, .seed = 2}, 0, NOT_NAN | NOT_MOVED},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static attention_case a_case(const attention_kind *kind, int64_t Tq, int64_t Tk, unsigned with)
{
    return (attention_case){kind->name, 2, 4, 2, Tq, Tk, 9, 5, kind->desc, with | kind->with, 0};
}

static void assert_near(const att_view *a, const att_view *b, double tolerance, const char *what)
{
    for (int64_t i = 0; a->data && i < att_view_count(a); i++) {
        double x = attention_get(a, i), y = attention_get(b, i);
        if (!(x == y || fabs(x - y) <= tolerance * (1 + fabs(y))))
            fail_msg("%s: element %lld is %.9g, expected %.9g", what, (long long)i, x, y);
    }
}

/* Calls check(isa, kind) for each that does not lack what is checked. */
static void everywhere(void (*check)(const att_exec *exec, const attention_kind *kind), unsigned needs)
{
    att_isa isa[8];
    int n = testable_isas(isa);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < KINDS; k++)
            if (!(kinds[k].lacks & needs)) check(&(att_exec){.isa = isa[i]}, &kinds[k]);
}

static void check_weights(const att_exec *exec, const attention_kind *kind)
{
    attention_case c = a_case(kind, 37, 70, WITH_MASK | WITH_LENGTHS | WITH_WEIGHTS);
    attention_run run;
    attention_create(&run, &c, ATT_F32);
    assert_ok(attention_forward(&run, exec));
    for (int64_t row = 0; row < c.B * c.Hq * c.Tq; row++) {
        double sum = 0, lse = attention_get(&run.out.lse, row);
        for (int64_t j = 0; j < c.Tk; j++) {
            double w = attention_get(&run.out.weights, row * c.Tk + j);
            bool shown = ((uint8_t *)run.in.mask.data)[row * c.Tk + j] != 0 &&
                         j < ((int32_t *)run.in.key_lengths.data)[row / (c.Hq * c.Tq)];
            assert_true(shown ? w >= 0 : w == 0);
            sum += w;
        }
        assert_true(isinf(lse) ? sum == 0 : fabs(sum - 1) < 1e-5);
    }
    assert_true(isinf(attention_get(&run.out.lse, 0)));
    attention_destroy(&run);
}

static void weights_sum_to_one_and_hidden_ones_are_zero(void **state)
{
    (void)state;
    everywhere(check_weights, NOT_ONE);
}

static void check_masked_rows(const att_exec *exec, const attention_kind *kind)
{
    for (att_masked rows = ATT_MASKED_ZERO; rows <= ATT_MASKED_UNIFORM; rows++) {
        attention_case c = a_case(kind, 3, 7, WITH_LENGTHS); /* batch entry 1 has no key */
        c.desc.masked_rows = rows;
        attention_run run;
        attention_create(&run, &c, ATT_F32);
        assert_ok(attention_forward(&run, exec));
        assert_ok(attention_backward(&run, exec));
        att_view o = att_view_slice(&run.out.o, 0, 1, 2), v = att_view_slice(&run.in.v, 0, 1, 2);
        att_view dq = att_view_slice(&run.grad.dq, 0, 1, 2), dk = att_view_slice(&run.grad.dk, 0, 1, 2);
        for (int64_t h = 0; h < c.Hq; h++)
            for (int64_t d = 0; d < c.Dv; d++) {
                double mean = 0;
                for (int64_t j = 0; j < c.Tk; j++)
                    mean += attention_get(&v, (h / 2 * c.Tk + j) * c.Dv + d) / (double)c.Tk;
                double got = attention_get(&o, (h * c.Tq + 1) * c.Dv + d);
                assert_true(rows == ATT_MASKED_ZERO ? got == 0 : fabs(got - mean) < 1e-6);
            }
        for (int64_t i = 0; i < att_view_count(&dq); i++) assert_true(attention_get(&dq, i) == 0);
        for (int64_t i = 0; i < att_view_count(&dk); i++) assert_true(attention_get(&dk, i) == 0);
        attention_destroy(&run);
    }
}

static void masked_rows_are_zero_or_uniform(void **state)
{
    (void)state;
    everywhere(check_masked_rows, 0);
}

static void check_one_key(const att_exec *exec, const attention_kind *kind)
{
    attention_case c = a_case(kind, 5, 1, 0);
    attention_run run;
    attention_create(&run, &c, ATT_F32);
    assert_ok(attention_forward(&run, exec));
    for (int64_t i = 0; i < att_view_count(&run.out.o); i++) {
        int64_t d = i % c.Dv, h = i / (c.Dv * c.Tq) % c.Hq, b = i / (c.Dv * c.Tq * c.Hq);
        assert_true(attention_get(&run.out.o, i) == attention_get(&run.in.v, (b * c.Hkv + h / 2) * c.Dv + d));
    }
    attention_destroy(&run);
}

static void one_key_returns_its_value(void **state)
{
    (void)state;
    everywhere(check_one_key, NOT_ONE);
}

static void check_shift(const att_exec *exec, const attention_kind *kind)
{
    attention_case c = a_case(kind, 33, 65, WITH_SHARED_BIAS);
    attention_run a, b;
    attention_create(&a, &c, ATT_F32);
    attention_create(&b, &c, ATT_F32);
    for (int64_t i = 0; i < att_view_count(&b.in.bias); i++)
        attention_set(&b.in.bias, i, attention_get(&b.in.bias, i) + 8);
    assert_ok(attention_forward(&a, exec));
    assert_ok(attention_forward(&b, exec));
    assert_near(&a.out.o, &b.out.o, 5e-6, "shifted");
    attention_destroy(&a);
    attention_destroy(&b);
}

static void a_constant_added_to_scores_changes_nothing(void **state)
{
    (void)state;
    everywhere(check_shift, NOT_ONE);
}

static void check_permutation(const att_exec *exec, const attention_kind *kind)
{
    attention_case c = a_case(kind, 9, 67, 0);
    attention_run a, b;
    attention_create(&a, &c, ATT_F32);
    attention_create(&b, &c, ATT_F32);
    for (int64_t row = 0; row < c.B * c.Hkv * c.Tk; row++) { /* keys and values in reverse order */
        int64_t to = row / c.Tk * c.Tk + c.Tk - 1 - row % c.Tk;
        for (int64_t d = 0; d < c.D; d++) attention_set(&b.in.k, to * c.D + d, attention_get(&a.in.k, row * c.D + d));
        for (int64_t d = 0; d < c.Dv; d++)
            attention_set(&b.in.v, to * c.Dv + d, attention_get(&a.in.v, row * c.Dv + d));
    }
    assert_ok(attention_forward(&a, exec));
    assert_ok(attention_forward(&b, exec));
    assert_near(&a.out.o, &b.out.o, 5e-6, "permuted");
    attention_destroy(&a);
    attention_destroy(&b);
}

static void permuting_keys_with_values_changes_nothing(void **state)
{
    (void)state;
    everywhere(check_permutation, NOT_MOVED);
}

static void check_linear(const att_exec *exec, const attention_kind *kind)
{
    attention_case c = a_case(kind, 9, 67, WITH_MASK);
    attention_run a, b, sum;
    attention_create(&a, &c, ATT_F32);
    attention_create(&b, &c, ATT_F32);
    attention_create(&sum, &c, ATT_F32);
    for (int64_t i = 0; i < att_view_count(&b.in.v); i++) {
        attention_set(&b.in.v, i, sin((double)i));
        attention_set(&sum.in.v, i, 2 * attention_get(&a.in.v, i) - 3 * attention_get(&b.in.v, i));
    }
    assert_ok(attention_forward(&a, exec));
    assert_ok(attention_forward(&b, exec));
    assert_ok(attention_forward(&sum, exec));
    for (int64_t i = 0; i < att_view_count(&a.out.o); i++)
        attention_set(&a.out.o, i, 2 * attention_get(&a.out.o, i) - 3 * attention_get(&b.out.o, i));
    assert_near(&sum.out.o, &a.out.o, 5e-6, "linear in v");
    attention_destroy(&a);
    attention_destroy(&b);
    attention_destroy(&sum);
}

static void the_output_is_linear_in_the_values(void **state)
{
    (void)state;
    everywhere(check_linear, 0);
}

static void assert_same_bits(const att_view *a, const att_view *b, const char *what)
{
    for (int64_t i = 0; i < att_view_count(a); i++) {
        float x = (float)attention_get(a, i), y = (float)attention_get(b, i);
        if (memcmp(&x, &y, sizeof x) != 0) fail_msg("%s: element %lld differs", what, (long long)i);
    }
}

static void check_batch_split(const att_exec *exec, const attention_kind *kind)
{
    attention_case c = a_case(kind, 37, 70, WITH_BIAS | WITH_LENGTHS | TIME_MAJOR);
    c.B = 3;
    attention_run whole, part;
    attention_create(&whole, &c, ATT_F32);
    attention_create(&part, &c, ATT_F32);
    att_view lo = att_view_slice(&part.in.k, 0, 0, 1); /* k of entry 0 beyond the path's limit: others must not care */
    attention_set(&lo, 0, 1000);
    attention_set(&whole.in.k, 0, 1000);
    assert_ok(attention_forward(&whole, exec));
    attention_run full = part;
    for (int64_t b = 0; b < 3; b++) {
        att_view *all[] = {&part.in.q,           &part.in.k,  &part.in.v,   &part.in.bias,
                           &part.in.key_lengths, &part.out.o, &part.out.lse};
        part.in = full.in;
        part.out = full.out;
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) *all[i] = att_view_slice(all[i], 0, b, b + 1);
        assert_ok(attention_forward(&part, exec));
    }
    assert_same_bits(&whole.out.o, &full.out.o, "o of a split batch");
    assert_same_bits(&whole.out.lse, &full.out.lse, "lse of a split batch");
    attention_destroy(&whole);
    attention_destroy(&full);
}

static void a_split_batch_gives_the_same_bits(void **state)
{
    (void)state;
    everywhere(check_batch_split, NOT_MOVED);
}

/* Queries i .. i + n - 1 alone, on the memory of the whole. */
static attention_run queries_of(const attention_run *whole, int64_t i, int64_t n)
{
    attention_run part = *whole;
    att_view *split[] = {&part.in.q, &part.in.bias, &part.out.o, &part.out.lse};
    for (size_t x = 0; x < sizeof split / sizeof *split; x++) *split[x] = att_view_slice(split[x], 2, i, i + n);
    part.c.desc.q_offset += i;
    return part;
}

/* Values that nobody sees, because the bias hides their key or because they are behind the last one, are not even
 * numbers. */
static void spoil_values(attention_run *run)
{
    const int64_t Tk = run->c.Tk, hidden = Tk / 2;
    for (int64_t row = 0; row < run->c.B * run->c.Hq * run->c.Tq; row++)
        attention_set(&run->in.bias, row * Tk + hidden, -INFINITY);
    for (int64_t b = 0; b < run->c.B; b++)
        for (int64_t j = 0; j < Tk; j++) {
            att_view rows = att_view_slice(&run->in.v, 0, b, b + 1);
            rows = att_view_slice(&rows, 2, j, j + 1);
            if (j == hidden || j >= ((int32_t *)run->in.key_lengths.data)[b])
                attention_fill(&rows, j % 2 ? NAN : -INFINITY);
        }
}

/* As a decoder asks for them, one by one or a few at a time, and all at once. */
static void few_queries_give_the_same_bits(void **state)
{
    (void)state;
    static const struct {
        int64_t Tk, D, Dv;
    } size[] = {{20, 64, 64}, {70, 9, 48}, {2070, 20, 32}, {3, 66, 16},
                {37, 64, 80}, {33, 5, 20}, {64, 128, 136}, {1, 4, 4}};
    enum { Tq = 23, SIZES = sizeof size / sizeof *size };
    att_isa isa[8];
    int n = testable_isas(isa);
    for (int at = 0; at < n * SIZES * 2; at++) {
        const att_exec exec = {.isa = isa[at / (SIZES * 2)]};
        const int64_t Tk = size[at % SIZES].Tk;
        attention_case c = {"few",
                            3,
                            4,
                            2,
                            Tq,
                            Tk,
                            size[at % SIZES].D,
                            size[at % SIZES].Dv,
                            {.softcap = 30},
                            WITH_BIAS | WITH_LENGTHS | TIME_MAJOR,
                            0};
        if (at / SIZES % 2)
            c.desc = (att_attention_desc){.window = ATT_WINDOW_CAUSAL, .q_offset = Tk > Tq ? Tk - Tq : 0};
        attention_run whole, parts;
        attention_create(&whole, &c, ATT_F32);
        attention_create(&parts, &c, ATT_F32);
        if (at % 3 == 0) spoil_values(&whole);
        if (at % 3 == 0) spoil_values(&parts);
        assert_ok(attention_forward(&whole, &exec));
        for (int64_t i = 0, few = 1; i < Tq; i += few, few = few % 7 + 1) {
            attention_run part = queries_of(&parts, i, few < Tq - i ? few : Tq - i);
            assert_ok(attention_forward(&part, &exec));
        }
        assert_same_bits(&whole.out.o, &parts.out.o, "o of few queries");
        assert_same_bits(&whole.out.lse, &parts.out.lse, "lse of few queries");
        attention_destroy(&whole);
        attention_destroy(&parts);
    }
}

/* ---- hidden things ---- */

static void poison(const att_view *v, int64_t b, int64_t j, double value)
{
    att_view rows = att_view_slice(v, 0, b, b + 1);
    rows = att_view_slice(&rows, 2, j, j + 1);
    attention_fill(&rows, value);
}

/* Keys hidden by length, by mask for every query, or by -inf bias hold NaN and Inf: nothing changes. */
static void check_hidden(const att_exec *exec, const attention_kind *kind)
{
    attention_case c = a_case(kind, 37, 70, WITH_SHARED_BIAS | WITH_KEY_MASK | WITH_LENGTHS);
    attention_run clean, dirty;
    attention_create(&clean, &c, ATT_F32);
    attention_create(&dirty, &c, ATT_F32);
    for (int64_t i = 0; i < c.Tq; i++) {
        attention_set(&clean.in.bias, i * c.Tk + 3, -INFINITY);
        attention_set(&dirty.in.bias, i * c.Tk + 3, -INFINITY);
    }
    for (int64_t b = 0; b < c.B; b++)
        for (int64_t j = 0; j < c.Tk; j++)
            if (j == 3 || ((uint8_t *)dirty.in.mask.data)[b * c.Tk + j] == 0 ||
                j >= ((int32_t *)dirty.in.key_lengths.data)[b]) {
                poison(&dirty.in.k, b, j, j % 2 ? NAN : INFINITY);
                poison(&dirty.in.v, b, j, j % 3 ? NAN : -INFINITY);
            }
    attention_run *both[] = {&clean, &dirty};
    for (int i = 0; i < 2; i++) {
        assert_ok(attention_forward(both[i], exec));
        assert_ok(attention_backward(both[i], exec));
    }
    assert_same_bits(&clean.out.o, &dirty.out.o, "o beside hidden NaN");
    assert_near(&clean.grad.dq, &dirty.grad.dq, 1e-5, "dq beside hidden NaN");
    assert_near(&clean.grad.dk, &dirty.grad.dk, 1e-5, "dk beside hidden NaN");
    assert_near(&clean.grad.dv, &dirty.grad.dv, 1e-5, "dv beside hidden NaN");
    assert_near(&clean.grad.dscore_w, &dirty.grad.dscore_w, 1e-5, "dscore_w beside hidden NaN");
    assert_near(&clean.grad.dbias, &dirty.grad.dbias, 1e-5, "dbias beside hidden NaN");
    attention_destroy(&clean);
    attention_destroy(&dirty);
}

static void hidden_keys_may_be_nan(void **state)
{
    (void)state;
    everywhere(check_hidden, 0);
}

static void check_future(const att_exec *exec, const attention_kind *kind)
{
    enum { T = 70, CUT = 40 };
    attention_case c = a_case(kind, T, T, 0);
    c.desc.window = ATT_WINDOW_CAUSAL;
    attention_run a, b;
    attention_create(&a, &c, ATT_F32);
    attention_create(&b, &c, ATT_F32);
    for (int64_t batch = 0; batch < c.B; batch++)
        for (int64_t j = CUT; j < T; j++) {
            poison(&b.in.k, batch, j, NAN);
            poison(&b.in.v, batch, j, NAN);
            poison(&b.in.q, batch, j, INFINITY);
        }
    assert_ok(attention_forward(&a, exec));
    assert_ok(attention_forward(&b, exec));
    att_view past = att_view_slice(&a.out.o, 2, 0, CUT), same = att_view_slice(&b.out.o, 2, 0, CUT);
    assert_same_bits(&past, &same, "the past");
    att_view now = att_view_slice(&b.out.o, 2, CUT, CUT + 1);
    assert_true(isnan(attention_get(&now, 0)) || kind->lacks & NOT_NAN); /* and a visible NaN shows */
    attention_destroy(&a);
    attention_destroy(&b);
}

static void future_tokens_never_reach_past_ones(void **state)
{
    (void)state;
    everywhere(check_future, 0);
}

static void check_visible_nan(const att_exec *exec, const attention_kind *kind)
{
    attention_case c = a_case(kind, 5, 9, 0);
    attention_run run;
    attention_create(&run, &c, ATT_F32);
    attention_set(&run.in.q, 3, NAN);
    assert_ok(attention_forward(&run, exec));
    assert_true(isnan(attention_get(&run.out.o, 0)));
    assert_false(isnan(attention_get(&run.out.o, c.Dv)));
    attention_destroy(&run);
}

static void a_visible_nan_shows_in_its_row_only(void **state)
{
    (void)state;
    everywhere(check_visible_nan, NOT_NAN);
}

/* ---- sizes ---- */

static void check_size(const attention_kind *kind, int64_t Tq, int64_t Tk)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    attention_case c = a_case(kind, Tq, Tk, WITH_WEIGHTS);
    c.D = c.Dv = 3;
    attention_run run, want;
    suite_run(&want, &c, ATT_F64, NULL);
    for (int i = 0; i < isas; i++) {
        suite_run(&run, &c, ATT_F32, &(att_exec){.isa = isa[i]});
        assert_near(&run.out.o, &want.out.o, 5e-6, "o");
        assert_near(&run.out.weights, &want.out.weights, 5e-6, "weights");
        assert_near(&run.grad.dq, &want.grad.dq, 5e-6, "dq");
        assert_near(&run.grad.dk, &want.grad.dk, 5e-6, "dk");
        assert_near(&run.grad.dv, &want.grad.dv, 5e-6, "dv");
        attention_destroy(&run);
    }
    attention_destroy(&want);
}

static void every_size_around_the_blocks_works(void **state)
{
    (void)state;
    const int64_t sizes[] = {0, 1, 31, 32, 33, 64, 65};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < SIZES * SIZES; i++) check_size(&kinds[k], sizes[i % SIZES], sizes[i / SIZES]);
}

/* With D = 1, w = 1 and one key the score, and so lse, is tanh(q + k) itself. */
static void tanh_is_right_to_2e7(void **state)
{
    (void)state;
    att_isa isa[8];
    int isas = testable_isas(isa);
    double most = 0;
    attention_case c = {"tanh", 40, 1, 1, 400, 1, 1, 1, {.score = ATT_SCORE_ADDITIVE}, 0, 0};
    for (int s = 1; s < isas; s++) {
        attention_run run;
        attention_create(&run, &c, ATT_F32);
        for (int64_t b = 0; b < c.B; b++) {
            attention_set(&run.in.k, b, (double)(b - 20) * 1.07);
            for (int64_t i = 0; i < c.Tq; i++) {
                double near = (double)(i - 200) * 0.05;
                attention_set(&run.in.q, b * c.Tq + i, near - 0.5 * attention_get(&run.in.k, b));
            }
        }
        assert_ok(attention_forward(&run, &(att_exec){.isa = isa[s]}));
        double worst = 0;
        for (int64_t i = 0; i < att_view_count(&run.out.lse); i++) {
            double x = attention_get(&run.in.q, i) + attention_get(&run.in.k, i / c.Tq);
            worst = fmax(worst, fabs(attention_get(&run.out.lse, i) - tanh(x)));
        }
        print_message("%s: tanh(q + k) off by at most %.3g\n", att_isa_name(isa[s]), worst);
        most = fmax(most, worst);
        attention_destroy(&run);
    }
    assert_true(most <= 2e-7);
}

/* A temperature of log2(e) leaves scores in the unit in which 2^x is made. Between keys 0 and 1 with values (1, 0) and
 * (0, 1), a query x gets o = (1, 2^x) / (1 + 2^x), whose quotient has two roundings more than 2^x. */
static double power_of_two(const attention_run *run, int64_t i)
{
    return attention_get(&run->out.o, 2 * i + 1) / attention_get(&run->out.o, 2 * i);
}

static void powers_of_two_are_right(void **state)
{
    (void)state;
    att_isa isa[8];
    int isas = testable_isas(isa);
    double most = 0;
    attention_case c = {"2^x", 1, 1, 1, 1300, 2, 1, 2, {.scale = 1, .temperature = 1.44269504f}, 0, 0};
    for (int s = 1; s < isas; s++) {
        attention_run run;
        attention_create(&run, &c, ATT_F32);
        for (int64_t i = 0; i < c.Tq; i++) attention_set(&run.in.q, i, -(double)i / 10);
        for (int64_t j = 0; j < 2; j++) attention_set(&run.in.k, j, (double)j);
        for (int64_t j = 0; j < 4; j++) attention_set(&run.in.v, j, j % 3 == 0);
        assert_ok(attention_forward(&run, &(att_exec){.isa = isa[s]}));
        double worst = 0;
        for (int64_t i = 0; i < c.Tq; i++) {
            double x = attention_get(&run.in.q, i), got = power_of_two(&run, i), want = exp2(x);
            if (x < -126)
                assert_true(got >= 0 && got < 0x1p-126 && (x > -126.5 || got == 0));
            else
                worst = fmax(worst, fabs(got / want - 1));
            if (i % 10 == 0 && x >= -126) assert_true(got == want);
        }
        print_message("%s: 2^x off by at most %.3g of it\n", att_isa_name(isa[s]), worst);
        most = fmax(most, worst);
        attention_destroy(&run);
    }
    assert_true(most <= 1.5e-7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_sum_to_one_and_hidden_ones_are_zero),
        cmocka_unit_test(masked_rows_are_zero_or_uniform),
        cmocka_unit_test(one_key_returns_its_value),
        cmocka_unit_test(a_constant_added_to_scores_changes_nothing),
        cmocka_unit_test(permuting_keys_with_values_changes_nothing),
        cmocka_unit_test(the_output_is_linear_in_the_values),
        cmocka_unit_test(a_split_batch_gives_the_same_bits),
        cmocka_unit_test(few_queries_give_the_same_bits),
        cmocka_unit_test(hidden_keys_may_be_nan),
        cmocka_unit_test(future_tokens_never_reach_past_ones),
        cmocka_unit_test(a_visible_nan_shows_in_its_row_only),
        cmocka_unit_test(every_size_around_the_blocks_works),
        cmocka_unit_test(tanh_is_right_to_2e7),
        cmocka_unit_test(powers_of_two_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
