/* What the backward of attention, and its weights on demand, refuse. */
#include "numeric.h"
#include "op/attention_case.h"

typedef struct refusal {
    const char *word; /* what the message must name */
    att_status status;
    void (*spoil)(attention_run *run);
} refusal;

static float reals[64];

static void no_lse(attention_run *r)
{
    r->out.lse.data = NULL;
}
static void mixed_backward(attention_run *r)
{
    r->in.k.dtype = r->in.v.dtype = ATT_BF16;
}
static void custom_without_backward(attention_run *r)
{
    static att_score_function forward_only;
    forward_only.forward = squared_distance.forward;
    r->c.desc.score = ATT_SCORE_CUSTOM, r->c.desc.function = &forward_only;
}
static void dsinks_without_sinks(attention_run *r)
{
    r->grad.dsinks = att_view_1d(reals, ATT_F32, 4);
}
static void drelative_without_table(attention_run *r)
{
    r->grad.drelative = att_view_2d(reals, ATT_F32, 4, 7);
}
static void drelative_shape(attention_run *r)
{
    r->in.relative = att_view_2d(reals, ATT_F32, 4, 7);
    r->grad.drelative = att_view_2d(reals + 32, ATT_F32, 1, 7);
}
static void dcentre_without_centre(attention_run *r)
{
    r->grad.dcentre = r->grad.dq;
}
static void log_prob_without_reinforce(attention_run *r)
{
    r->grad.d_log_prob = r->out.lse;
}
static void reinforce_without_log_prob(attention_run *r)
{
    r->c.desc.align = ATT_ALIGN_SAMPLE, r->c.desc.estimator = ATT_ESTIMATOR_REINFORCE;
}
static void gradient_on_input(attention_run *r)
{
    r->grad.dk.data = r->in.k.data;
}
static void gradient_shape(attention_run *r)
{
    r->grad.dv.dim[2]--;
}

static void what_has_no_backward_is_refused(void **state)
{
    (void)state;
    const refusal table[] = {
        {"lse: absent", ATT_E_VALUE, no_lse},
        {"k, v: bfloat16", ATT_E_UNSUPPORTED, mixed_backward},
        {"function: backward is NULL", ATT_E_UNSUPPORTED, custom_without_backward},
        {"dsinks: given", ATT_E_VALUE, dsinks_without_sinks},
        {"drelative: given", ATT_E_VALUE, drelative_without_table},
        {"drelative: shape (1,7)", ATT_E_SHAPE, drelative_shape},
        {"dcentre: given", ATT_E_VALUE, dcentre_without_centre},
        {"d_log_prob: given", ATT_E_VALUE, log_prob_without_reinforce},
        {"d_log_prob: absent", ATT_E_VALUE, reinforce_without_log_prob},
        {"dk: overlaps k", ATT_E_VALUE, gradient_on_input},
        {"dv: shape", ATT_E_SHAPE, gradient_shape},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        attention_case c = {"refused", 2, 4, 2, 5, 7, 19, 11, {0}, 0, 0};
        attention_run run;
        attention_create(&run, &c, ATT_F32);
        assert_ok(attention_forward(&run, NULL));
        attention_run spoilt = run;
        table[i].spoil(&spoilt);
        char room[1 << 16];
        att_span workspace = {room + (64 - (uintptr_t)room % 64) % 64, sizeof room - 64};
        att_status st = att_attention_backward(&spoilt.c.desc, NULL, &spoilt.grad, &spoilt.out, &spoilt.in, workspace);
        if (st != table[i].status || !strstr(att_last_error(), table[i].word))
            fail_msg("%s expected about %s, got %s: %s", att_status_name(table[i].status), table[i].word,
                     att_status_name(st), att_last_error());
        for (int64_t e = 0; e < att_view_count(&run.grad.dq); e++) assert_true(attention_get(&run.grad.dq, e) == 0);
        attention_destroy(&run);
    }
}

/* ---- weights on demand ---- */

static void rows_that_do_not_exist_are_refused(void **state)
{
    (void)state;
    attention_case c = {"rows", 2, 4, 2, 5, 7, 19, 11, {0}, WITH_WEIGHTS, 0};
    attention_run run;
    attention_create(&run, &c, ATT_F32);
    char room[1 << 16];
    att_span space = {room + (64 - (uintptr_t)room % 64) % 64, sizeof room - 64};
    const att_view *out = &run.out.weights;
    int32_t four[] = {0, 1, 2, 4}, below[] = {0, -1, 2, 3, 4};
    att_view heads = att_view_1d(four, ATT_I32, 4), queries = att_view_1d(below, ATT_I32, 5);
    att_stage all = ATT_STAGE_WEIGHTS;
    assert_refused(att_attention_weights(&c.desc, NULL, all, out, &run.in, &heads, NULL, NULL, space), ATT_E_VALUE,
                   "heads: 4 at 3");
    assert_refused(att_attention_weights(&c.desc, NULL, all, out, &run.in, NULL, &queries, NULL, space), ATT_E_VALUE,
                   "queries: -1 at 1");
    assert_refused(att_attention_weights(&c.desc, NULL, (att_stage)7, out, &run.in, NULL, NULL, NULL, space),
                   ATT_E_VALUE, "stage: 7");
    heads.dim[0] = 3;
    assert_refused(att_attention_weights(&c.desc, NULL, all, out, &run.in, &heads, NULL, NULL, space), ATT_E_SHAPE,
                   "out: shape (2,4,5,7), expected (2,3,5,7)");
    assert_refused(att_attention_weights(&c.desc, NULL, all, &run.in.q, &run.in, NULL, NULL, NULL, space), ATT_E_SHAPE,
                   "out: shape");
    assert_refused(att_attention_weights(&c.desc, NULL, all, out, &run.in, NULL, NULL, NULL, (att_span){room, 3}),
                   ATT_E_WORKSPACE, "workspace");
    attention_destroy(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_no_backward_is_refused),
        cmocka_unit_test(rows_that_do_not_exist_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
