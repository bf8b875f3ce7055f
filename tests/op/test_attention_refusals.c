/* What attention refuses before it computes anything. */
#include "op/attention_case.h"

typedef struct refusal {
    const char *word; /* what the message must name */
    att_status status;
    void (*spoil)(attention_run *run);
} refusal;

static void negative_left(attention_run *r)
{
    r->c.desc.window = ATT_WINDOW_BAND, r->c.desc.left = -1;
}
static void negative_right(attention_run *r)
{
    r->c.desc.window = ATT_WINDOW_BAND, r->c.desc.right = -7;
}
static void left_without_band(attention_run *r)
{
    r->c.desc.window = ATT_WINDOW_CAUSAL, r->c.desc.left = 3;
}
static void unknown_score(attention_run *r)
{
    r->c.desc.score = (att_score)9;
}
static void unknown_window(attention_run *r)
{
    r->c.desc.window = (att_window)9;
}
static void unknown_align(attention_run *r)
{
    r->c.desc.align = (att_align)9;
}
static void unknown_masked(attention_run *r)
{
    r->c.desc.masked_rows = (att_masked)9;
}
static void nan_scale(attention_run *r)
{
    r->c.desc.scale = NAN;
}
static void negative_softcap(attention_run *r)
{
    r->c.desc.softcap = -1;
}
static void dropout_of_one(attention_run *r)
{
    r->c.desc.dropout = 1;
}
static void far_offset(attention_run *r)
{
    r->c.desc.q_offset = INT64_MIN;
}
static void heads(attention_run *r)
{
    r->in.k.dim[1] = r->in.v.dim[1] = 3;
}
static void no_heads(attention_run *r)
{
    r->in.k.dim[1] = r->in.v.dim[1] = 0;
}
static void key_width(attention_run *r)
{
    r->in.k.dim[3]--;
}
static void key_count(attention_run *r)
{
    r->in.k.dim[2]--;
}
static void batch(attention_run *r)
{
    r->in.v.dim[0]++;
}
static void no_query(attention_run *r)
{
    r->in.q.data = NULL;
}
static void no_key(attention_run *r)
{
    r->in.k.data = NULL;
}
static void flat_query(attention_run *r)
{
    r->in.q.ndim = 3;
}
static void many_dims(attention_run *r)
{
    r->in.q.ndim = 1000;
}
static void sparse_value(attention_run *r)
{
    r->in.v.stride[3] = 2;
}
static void integer_query(attention_run *r)
{
    r->in.q.dtype = ATT_I32;
}
static void double_key(attention_run *r)
{
    r->in.k.dtype = ATT_F64;
}
static void float_mask(attention_run *r)
{
    r->in.mask = r->in.bias;
}
static void mask_shape(attention_run *r)
{
    r->in.mask = att_view_2d("abcdef", ATT_U8, 2, 3);
}
static void bias_shape(attention_run *r)
{
    r->in.bias.dim[3]++;
}
static void length_count(attention_run *r)
{
    r->in.key_lengths.dim[0]++;
}
static void long_length(attention_run *r)
{
    ((int32_t *)r->in.key_lengths.data)[1] = 8;
}
static void negative_length(attention_run *r)
{
    ((int32_t *)r->in.key_lengths.data)[1] = -1;
}
static void weight_with_dot(attention_run *r)
{
    r->in.score_w = att_view_1d(r->in.q.data, ATT_F32, r->c.D);
}
static void prepared_with_dot(attention_run *r)
{
    r->in.k_prepared = r->in.k;
}
static void output_shape(attention_run *r)
{
    r->out.o.dim[2]++;
}
static void output_dtype(attention_run *r)
{
    r->out.o.dtype = ATT_F64;
}
static void no_output(attention_run *r)
{
    r->out.o.data = NULL;
}

static void expect_refusal(attention_run *run, const refusal *r)
{
    size_t bytes = 0;
    att_status st = att_attention_workspace(&run->c.desc, NULL, &run->in, &bytes);
    char room[1 << 16];
    att_span workspace = {room + (64 - (uintptr_t)room % 64) % 64, sizeof room - 64};
    if (st == ATT_OK) st = att_attention_forward(&run->c.desc, NULL, &run->out, &run->in, workspace);
    if (st != r->status || !strstr(att_last_error(), r->word))
        fail_msg("%s expected about %s, got %s: %s", att_status_name(r->status), r->word, att_status_name(st),
                 att_last_error());
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    const refusal table[] = {
        {"left", ATT_E_VALUE, negative_left},
        {"right", ATT_E_VALUE, negative_right},
        {"left", ATT_E_VALUE, left_without_band},
        {"score", ATT_E_VALUE, unknown_score},
        {"window", ATT_E_VALUE, unknown_window},
        {"align", ATT_E_VALUE, unknown_align},
        {"masked_rows", ATT_E_VALUE, unknown_masked},
        {"scale", ATT_E_VALUE, nan_scale},
        {"softcap", ATT_E_VALUE, negative_softcap},
        {"dropout", ATT_E_VALUE, dropout_of_one},
        {"q_offset", ATT_E_VALUE, far_offset},
        {"heads", ATT_E_SHAPE, heads},
        {"heads", ATT_E_SHAPE, no_heads},
        {"k: shape", ATT_E_SHAPE, key_width},
        {"k: shape", ATT_E_SHAPE, key_count},
        {"v: batch", ATT_E_SHAPE, batch},
        {"q: absent", ATT_E_VALUE, no_query},
        {"k: absent", ATT_E_VALUE, no_key},
        {"q: 3 dim", ATT_E_SHAPE, flat_query},
        {"q: 1000 dim", ATT_E_SHAPE, many_dims},
        {"v: stride", ATT_E_SHAPE, sparse_value},
        {"q: int32", ATT_E_DTYPE, integer_query},
        {"k: float64", ATT_E_DTYPE, double_key},
        {"mask: float32", ATT_E_DTYPE, float_mask},
        {"mask: shape", ATT_E_SHAPE, mask_shape},
        {"bias: shape", ATT_E_SHAPE, bias_shape},
        {"key_lengths: shape", ATT_E_SHAPE, length_count},
        {"key_lengths: 8", ATT_E_VALUE, long_length},
        {"key_lengths: -1", ATT_E_VALUE, negative_length},
        {"score_w", ATT_E_VALUE, weight_with_dot},
        {"k_prepared", ATT_E_VALUE, prepared_with_dot},
        {"o: shape", ATT_E_SHAPE, output_shape},
        {"o: float64", ATT_E_DTYPE, output_dtype},
        {"o: absent", ATT_E_VALUE, no_output},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        attention_case c = {"refused", 2, 4, 2, 5, 7, 19, 11, {0}, WITH_BIAS | WITH_LENGTHS, 0};
        attention_run run;
        attention_create(&run, &c, ATT_F32);
        assert_string_equal(att_attention_path(&run.c.desc, &(att_exec){.isa = ATT_ISA_REF}, &run.in), "ref");
        attention_run spoilt = run;
        table[i].spoil(&spoilt);
        expect_refusal(&spoilt, &table[i]);
        assert_true(isnan(attention_get(&run.out.o, 0))); /* nothing was computed */
        attention_destroy(&run);
    }
}

static void a_small_or_crooked_workspace_is_refused(void **state)
{
    (void)state;
    attention_case c = {"additive", 2, 4, 2, 5, 7, 19, 11, {.score = ATT_SCORE_ADDITIVE}, 0, 0};
    attention_run run;
    attention_create(&run, &c, ATT_F32);
    size_t bytes = 0;
    assert_ok(att_attention_workspace(&c.desc, NULL, &run.in, &bytes));
    char *room = aligned_alloc(64, bytes + 64);
    att_status st = att_attention_forward(&c.desc, NULL, &run.out, &run.in, (att_span){room, bytes - 1});
    assert_int_equal(st, ATT_E_WORKSPACE);
    st = att_attention_forward(&c.desc, NULL, &run.out, &run.in, (att_span){room + 4, bytes});
    assert_int_equal(st, ATT_E_WORKSPACE);
    run.out.lse.data = NULL;
    st = att_attention_backward(&c.desc, NULL, &run.grad, &run.out, &run.in, (att_span){room, bytes});
    assert_int_equal(st, ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "lse"));
    free(room);
    attention_destroy(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_small_or_crooked_workspace_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
