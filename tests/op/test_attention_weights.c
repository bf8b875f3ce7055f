/* Weights on demand, and what is gathered from weights without ever holding them all. */
#include "op/attention_suite.h"

static const attention_case cases[] = {
    /* name        B Hq Hkv Tq  Tk   D  Dv   descriptor */
    {"plain", 2, 4, 2, 37, 70, 5, 3, {0}, WITH_MASK | WITH_WEIGHTS | WITH_GATHERED, 0},
    {"additive", 2, 2, 1, 9, 33, 5, 3, {.score = ATT_SCORE_ADDITIVE, .softcap = 2}, WITH_WEIGHTS | WITH_GATHERED, 0},
    {"sparse", 2, 2, 1, 9, 70, 5, 3, {.align = ATT_ALIGN_SPARSEMAX}, WITH_LENGTHS | WITH_WEIGHTS | WITH_GATHERED, 0},
    {"hard", 2, 2, 1, 9, 17, 5, 3, {.align = ATT_ALIGN_SAMPLE}, WITH_MASK | WITH_WEIGHTS | WITH_GATHERED, 0},
    {"uniform",
     2,
     2,
     1,
     3,
     5,
     5,
     3,
     {.masked_rows = ATT_MASKED_UNIFORM},
     WITH_LENGTHS | WITH_WEIGHTS | WITH_GATHERED,
     0},
    {"dropped", 2, 2, 1, 9, 70, 5, 3, {.dropout = 0.4f}, WITH_SINKS | WITH_BIAS | WITH_WEIGHTS | WITH_GATHERED, 0},
    {"no_keys", 2, 2, 1, 3, 0, 5, 3, {0}, WITH_WEIGHTS | WITH_GATHERED, 0},
    {"no_queries", 2, 2, 1, 0, 5, 5, 3, {0}, WITH_WEIGHTS | WITH_GATHERED, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

static void near(const attention_case *c, const char *what, int64_t at, double got, double want, double tolerance)
{
    if (!(got == want || fabs(got - want) <= tolerance * (1 + fabs(want))))
        fail_msg("%s: %s[%lld] is %.9g, expected %.9g", c->name, what, (long long)at, got, want);
}

typedef void (*checker)(attention_run *run, const att_view *scores);

/* After a forward by every instruction set; `scores` is (B,Hq,Tq,Tk) to write to. */
static void everywhere(checker check)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    for (int c = 0; c < CASES; c++)
        for (int i = 0; i < isas; i++) {
            attention_run run, room;
            attention_create(&run, &cases[c], ATT_F32);
            attention_create(&room, &cases[c], ATT_F32);
            assert_ok(attention_forward(&run, &(att_exec){.isa = isa[i]}));
            check(&run, &room.out.weights);
            attention_destroy(&run);
            attention_destroy(&room);
        }
}

/* ---- stages ---- */

static void check_stages(attention_run *run, const att_view *scores)
{
    const attention_case *c = &run->c;
    att_attention_desc plain = c->desc;
    int64_t n = att_view_count(scores);
    double *masked, *raw;
    assert_ok(attention_stage(run, ATT_STAGE_MASKED, scores));
    masked = attention_values(scores);
    run->c.desc.dropout = 0;
    assert_ok(attention_stage(run, ATT_STAGE_RAW, scores));
    raw = attention_values(scores);
    run->c.desc = plain;
    for (int64_t e = 0; e < n; e++) {
        double e_raw = c->desc.softcap > 0 ? 2 * tanh(raw[e] / 2) : raw[e];
        double bias = run->in.bias.data ? attention_get(&run->in.bias, e) : 0;
        if (masked[e] > -1e29) near(c, "masked", e, masked[e], e_raw + bias, 1e-6);
        assert_true(isfinite(raw[e]));
    }
    assert_ok(attention_stage(run, ATT_STAGE_WEIGHTS, scores));
    for (int64_t e = 0; e < n; e++) {
        near(c, "weights", e, attention_get(scores, e), attention_get(&run->out.weights, e), 2e-6);
        if (masked[e] < -1e29 && c->desc.masked_rows == ATT_MASKED_ZERO) assert_true(attention_get(scores, e) == 0);
    }
    free(masked);
    free(raw);
}

static void each_stage_follows_from_the_one_before(void **state)
{
    (void)state;
    everywhere(check_stages);
}

static void check_dropped(attention_run *run, const att_view *scores)
{
    const attention_case *c = &run->c;
    assert_ok(attention_stage(run, ATT_STAGE_DROPPED, scores));
    for (int64_t row = 0; row < c->B * c->Hq * c->Tq; row++)
        for (int64_t d = 0; d < c->Dv; d++) {
            int64_t b = row / c->Tq / c->Hq, hkv = row / c->Tq % c->Hq / (c->Hq / c->Hkv);
            double sum = 0;
            for (int64_t j = 0; j < c->Tk; j++)
                sum += attention_get(scores, row * c->Tk + j) *
                       attention_get(&run->in.v, ((b * c->Hkv + hkv) * c->Tk + j) * c->Dv + d);
            near(c, "o", row * c->Dv + d, attention_get(&run->out.o, row * c->Dv + d), sum, 2e-6);
        }
}

static void dropped_weights_make_the_output(void **state)
{
    (void)state;
    everywhere(check_dropped);
}

static void check_rows(attention_run *run, const att_view *all)
{
    const attention_case *c = &run->c;
    int32_t which_heads[] = {1, 0, 1}, which_queries[] = {2, 0};
    if (c->Tq < 3) return;
    att_view heads = att_view_1d(which_heads, ATT_I32, 3), queries = att_view_1d(which_queries, ATT_I32, 2);
    att_view some = att_view_4d(calloc((size_t)(c->B * 6 * c->Tk + 1), sizeof(float)), ATT_F32, c->B, 3, 2, c->Tk);
    size_t bytes = 0;
    assert_ok(att_attention_workspace(&c->desc, NULL, &run->in, &bytes));
    att_span workspace = {guard_alloc(bytes), bytes};
    assert_ok(attention_stage(run, ATT_STAGE_WEIGHTS, all));
    assert_ok(att_attention_weights(&c->desc, &(att_exec){.threads = 1}, ATT_STAGE_WEIGHTS, &some, &run->in, &heads,
                                    &queries, &run->out.lse, workspace));
    for (int64_t e = 0; e < att_view_count(&some); e++) {
        int64_t j = e % c->Tk, i = which_queries[e / c->Tk % 2], h = which_heads[e / c->Tk / 2 % 3];
        int64_t b = e / c->Tk / 6;
        assert_true(attention_get(&some, e) == attention_get(all, ((b * c->Hq + h) * c->Tq + i) * c->Tk + j));
    }
    assert_ok(
        att_attention_weights(&c->desc, NULL, ATT_STAGE_WEIGHTS, &some, &run->in, &heads, &queries, NULL, workspace));
    for (int64_t e = 0; e < att_view_count(&some); e++) {
        int64_t j = e % c->Tk, i = which_queries[e / c->Tk % 2], h = which_heads[e / c->Tk / 2 % 3];
        int64_t at = ((e / c->Tk / 6 * c->Hq + h) * c->Tq + i) * c->Tk + j;
        near(c, "without lse", e, attention_get(&some, e), attention_get(all, at), 1e-6);
    }
    guard_free(workspace.data, bytes);
    free(some.data);
}

static void chosen_rows_are_rows_of_the_whole(void **state)
{
    (void)state;
    everywhere(check_rows);
}

/* ---- gathered ---- */

static void check_row_statistics(const attention_run *run, const double *w, int64_t row)
{
    const attention_case *c = &run->c;
    double entropy = 0, before = 2;
    for (int64_t j = 0; j < c->Tk; j++) entropy -= w[j] > 0 ? w[j] * log(w[j]) : 0;
    near(c, "entropy", row, attention_get(&run->out.entropy, row), entropy, 1e-5);
    for (int64_t n = 0; n < 3; n++) {
        double weight = attention_get(&run->out.top_weights, row * 3 + n);
        int64_t key = (int64_t)attention_get(&run->out.top_keys, row * 3 + n), larger = 0;
        assert_true(weight <= before);
        before = weight;
        assert_true(key >= -1 && key < c->Tk);
        if (key < 0) {
            assert_true(weight == 0);
            continue;
        }
        near(c, "top_weights", row, weight, w[key], 2e-6);
        for (int64_t j = 0; j < c->Tk; j++) larger += w[j] > w[key] || (w[j] == w[key] && j < key);
        if (weight > 0) assert_int_equal(larger, n);
    }
}

static void check_gathered(attention_run *run, const att_view *scores)
{
    const attention_case *c = &run->c;
    double *sums = calloc((size_t)(c->B * c->Hq * c->Tk + 1), sizeof *sums);
    assert_ok(attention_stage(run, ATT_STAGE_WEIGHTS, scores));
    double *w = attention_values(scores);
    for (int64_t row = 0; row < c->B * c->Hq * c->Tq; row++) {
        check_row_statistics(run, w + row * c->Tk, row);
        for (int64_t j = 0; j < c->Tk; j++) sums[row / c->Tq * c->Tk + j] += w[row * c->Tk + j];
    }
    for (int64_t e = 0; e < c->B * c->Hq * c->Tk; e++)
        near(c, "column_sums", e, attention_get(&run->out.column_sums, e), sums[e], 1e-5);
    free(w);
    free(sums);
}

static void what_is_gathered_follows_from_the_weights(void **state)
{
    (void)state;
    everywhere(check_gathered);
}

/* Of equal weights the lower key comes first, and of hidden keys none. */
static void equal_weights_are_listed_by_key(void **state)
{
    (void)state;
    attention_case c = {"equal", 1, 1, 1, 2, 5, 1, 1, {.window = ATT_WINDOW_CAUSAL, .q_offset = 1}, WITH_GATHERED, 0};
    attention_run run;
    attention_create(&run, &c, ATT_F32);
    attention_fill(&run.in.k, 1);
    assert_ok(attention_forward(&run, NULL));
    const double want[] = {0, 1, -1, 0, 1, 2};
    for (int i = 0; i < 6; i++) assert_true(attention_get(&run.out.top_keys, i) == want[i]);
    assert_true(attention_get(&run.out.top_weights, 2) == 0);
    attention_destroy(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stage_follows_from_the_one_before),
        cmocka_unit_test(dropped_weights_make_the_output),
        cmocka_unit_test(chosen_rows_are_rows_of_the_whole),
        cmocka_unit_test(what_is_gathered_follows_from_the_weights),
        cmocka_unit_test(equal_weights_are_listed_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
