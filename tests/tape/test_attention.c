/* Attention on the tape gives the numbers of the functional calls, whose gradients tests/op checks. */
#include "op/attention_suite.h"

#include <attend/tape.h>

#define GAUSS  .window = ATT_WINDOW_GAUSS, .half_width = 4
#define SAMPLE .align = ATT_ALIGN_SAMPLE

static const attention_case cases[] = {
    /* name        B Hq Hkv Tq  Tk   D  Dv   descriptor */
    {"additive", 2, 2, 1, 5, 9, 5, 3, {.score = ATT_SCORE_ADDITIVE}, WITH_SCORE_W | WITH_LENGTHS, 0},
    {"biased", 2, 2, 1, 5, 9, 5, 3, {.temperature = 2}, WITH_BIAS | WITH_MASK | WITH_QUERY_MASK, 0},
    {"sinks", 2, 4, 2, 5, 9, 5, 3, {.window = ATT_WINDOW_CAUSAL}, WITH_SINKS | WITH_SLOPES, 0},
    {"relative", 2, 4, 2, 5, 9, 5, 3, {0}, WITH_RELATIVE | WITH_POSITIONS, 0},
    {"gauss", 2, 2, 1, 5, 9, 5, 3, {GAUSS}, 0, 0},
    {"blocks", 2, 2, 1, 9, 9, 5, 3, {.block = 4}, SHARED_RELATIVE, 0},
    {"sparsemax", 2, 2, 1, 5, 9, 5, 3, {.align = ATT_ALIGN_SPARSEMAX}, 0, 0},
    {"reinforce", 2, 2, 1, 5, 9, 5, 3, {SAMPLE, .estimator = ATT_ESTIMATOR_REINFORCE}, WITH_SHARED_BIAS, 0},
    {"custom", 2, 2, 1, 5, 9, 5, 3, {.score = ATT_SCORE_CUSTOM, .function = &squared_distance}, 0, 0},
};

typedef struct nodes { /* in the order of attention_gradients */
    att_node *x[ATTENTION_GRADIENTS];
} nodes;

static att_tape_attention_in inputs_of(const attention_run *run, const nodes *n)
{
    return (att_tape_attention_in){.q = n->x[0],
                                   .k = n->x[1],
                                   .v = n->x[2],
                                   .score_w = n->x[3],
                                   .bias = n->x[4],
                                   .sinks = n->x[5],
                                   .relative = n->x[6],
                                   .centre = n->x[7],
                                   .mask = run->in.mask,
                                   .key_lengths = run->in.key_lengths,
                                   .query_mask = run->in.query_mask,
                                   .q_positions = run->in.q_positions,
                                   .k_positions = run->in.k_positions,
                                   .slopes = run->in.slopes,
                                   .block_starts = run->in.block_starts,
                                   .block_keys = run->in.block_keys,
                                   .d_log_prob = run->grad.d_log_prob,
                                   .d_entropy = run->grad.d_entropy};
}

static void assert_equal(const attention_case *c, const char *name, const att_view *got, const att_view *want)
{
    if (!got->data) fail_msg("%s: no %s", c->name, name);
    for (int64_t i = 0; i < att_view_count(want); i++)
        if (attention_get(got, i) != attention_get(want, i))
            fail_msg("%s: %s[%lld] is %.9g, expected %.9g", c->name, name, (long long)i, attention_get(got, i),
                     attention_get(want, i));
}

static void check_case(const attention_case *c)
{
    attention_run run;
    attention_pair pair[ATTENTION_GRADIENTS];
    nodes n = {0};
    att_tape *tape;
    suite_run(&run, c, ATT_F32, NULL);
    attention_gradients(&run, pair);
    assert_ok(att_tape_create(NULL, NULL, &tape));
    att_tape_begin(tape, 1);
    for (int i = 0; i < ATTENTION_GRADIENTS; i++)
        if (pair[i].x.data) n.x[i] = att_tape_variable(tape, &pair[i].x);
    att_tape_attention_in in = inputs_of(&run, &n);
    att_node *o = att_tape_attention(tape, &c->desc, &in, NULL);
    att_tape_seed(tape, o, &run.grad.d_o);
    assert_ok(att_tape_backward(tape));
    assert_equal(c, "o", att_node_value(o), &run.out.o);
    for (int i = 0; i < ATTENTION_GRADIENTS; i++) {
        if (!pair[i].x.data) continue;
        att_view got = att_node_gradient(n.x[i]);
        assert_equal(c, pair[i].name, &got, &pair[i].dx);
    }
    att_tape_destroy(tape);
    attention_destroy(&run);
}

static void the_tape_gives_the_numbers_of_the_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i]);
}

/* The reward of a sample is known after its forward: the backward reads d_log_prob only then. */
static void a_reward_may_come_after_the_forward(void **state)
{
    (void)state;
    const attention_case c = {"late", 1, 1, 1, 3, 5, 4, 2, {SAMPLE, .estimator = ATT_ESTIMATOR_REINFORCE}, 0, 0};
    attention_run run;
    att_tape *tape;
    attention_create(&run, &c, ATT_F32);
    attention_fill(&run.grad.d_log_prob, 0);
    attention_fill(&run.grad.d_entropy, 0);
    assert_ok(att_tape_create(NULL, NULL, &tape));
    att_tape_begin(tape, 1);
    nodes n = {
        {att_tape_variable(tape, &run.in.q), att_tape_variable(tape, &run.in.k), att_tape_variable(tape, &run.in.v)}};
    att_tape_attention_in in = inputs_of(&run, &n);
    att_node *o = att_tape_attention(tape, &c.desc, &in, NULL);
    attention_fill(&run.grad.d_log_prob, 1);
    att_tape_seed(tape, o, &run.grad.d_o);
    assert_ok(att_tape_backward(tape));
    att_view dq = att_node_gradient(n.x[0]);
    double sum = 0;
    for (int64_t i = 0; i < att_view_count(&dq); i++) sum += fabs(attention_get(&dq, i));
    assert_true(sum > 0.01);
    att_tape_destroy(tape);
    attention_destroy(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tape_gives_the_numbers_of_the_calls),
        cmocka_unit_test(a_reward_may_come_after_the_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
