/* What attention refuses before it computes anything. */
#include "op/attention_case.h"

typedef struct refusal {
    const char *word; /* what the message must name */
    att_status status;
    void (*spoil)(attention_run *run);
} refusal;

static int32_t few_starts[] = {0, 1, 2}, wide_starts[] = {0, 1, 3}, falling_starts[] = {0, 2, 1};
static int32_t two_keys[] = {0, 1}, far_keys[] = {0, 4}, falling_keys[] = {1, 0};
static float reals[64];

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

/* ---- the kinds ---- */

static void unknown_relative(attention_run *r)
{
    r->c.desc.relative = (att_relative)3;
}
static void unknown_estimator(attention_run *r)
{
    r->c.desc.align = ATT_ALIGN_ARGMAX, r->c.desc.estimator = (att_estimator)3;
}
static void negative_temperature(attention_run *r)
{
    r->c.desc.temperature = -1;
}
static void nan_temperature(attention_run *r)
{
    r->c.desc.temperature = NAN;
}
static void half_width_without_gauss(attention_run *r)
{
    r->c.desc.half_width = 2;
}
static void sigma_without_gauss(attention_run *r)
{
    r->c.desc.sigma = 2;
}
static void untruncated_without_gauss(attention_run *r)
{
    r->c.desc.untruncated = 1;
}
static void centre_without_gauss(attention_run *r)
{
    r->in.centre = r->out.lse;
}
static void gauss(attention_run *r)
{
    r->c.desc.window = ATT_WINDOW_GAUSS, r->c.desc.half_width = 2;
}
static void gauss_without_width(attention_run *r)
{
    gauss(r);
    r->c.desc.half_width = 0;
}
static void gauss_negative_sigma(attention_run *r)
{
    gauss(r);
    r->c.desc.sigma = -1;
}
static void gauss_infinite_sigma(attention_run *r)
{
    gauss(r);
    r->c.desc.sigma = INFINITY;
}
static void centre_shape(attention_run *r)
{
    gauss(r);
    r->in.centre = att_view_1d(reals, ATT_F32, 5);
}
static void estimator_without_hard(attention_run *r)
{
    r->c.desc.estimator = ATT_ESTIMATOR_STRAIGHT_THROUGH;
}
static void reinforce_without_sample(attention_run *r)
{
    r->c.desc.align = ATT_ALIGN_ARGMAX, r->c.desc.estimator = ATT_ESTIMATOR_REINFORCE;
}
static void custom_without_function(attention_run *r)
{
    r->c.desc.score = ATT_SCORE_CUSTOM;
}
static void custom_without_forward(attention_run *r)
{
    static const att_score_function empty = {0};
    r->c.desc.score = ATT_SCORE_CUSTOM, r->c.desc.function = &empty;
}
static void function_without_custom(attention_run *r)
{
    r->c.desc.function = &squared_distance;
}
static void sinks_with_sparsemax(attention_run *r)
{
    r->c.desc.align = ATT_ALIGN_SPARSEMAX, r->in.sinks = att_view_1d(reals, ATT_F32, 4);
}
static void sinks_shape(attention_run *r)
{
    r->in.sinks = att_view_1d(reals, ATT_F32, 3);
}
static void slopes_shape(attention_run *r)
{
    r->in.slopes = att_view_1d(reals, ATT_F32, 2);
}
static void slopes_dtype(attention_run *r)
{
    r->in.slopes = att_view_1d(reals, ATT_F64, 4);
}
static void even_clip(attention_run *r)
{
    r->in.relative = att_view_2d(reals, ATT_F32, 4, 6);
}
static void relative_heads(attention_run *r)
{
    r->in.relative = att_view_2d(reals, ATT_F32, 3, 7);
}
static void buckets(attention_run *r, int64_t R)
{
    r->c.desc.relative = ATT_RELATIVE_BUCKETS, r->in.relative = att_view_2d(reals, ATT_F32, 1, R);
}
static void odd_buckets(attention_run *r)
{
    buckets(r, 9);
}
static void two_buckets(attention_run *r)
{
    buckets(r, 2);
}
static void near_buckets(attention_run *r)
{
    buckets(r, 32);
    r->c.desc.relative_distance = 8;
}
static void buckets_without_table(attention_run *r)
{
    r->c.desc.relative = ATT_RELATIVE_BUCKETS;
}
static void distance_with_clip(attention_run *r)
{
    r->in.relative = att_view_2d(reals, ATT_F32, 1, 7), r->c.desc.relative_distance = 8;
}
static void query_mask_shape(attention_run *r)
{
    r->in.query_mask = att_view_2d(reals, ATT_U8, 2, 4);
}
static void positions(attention_run *r, int64_t rows, int64_t columns)
{
    r->in.q_positions = att_view_2d(reals, ATT_I32, rows, columns);
}
static void positions_shape(attention_run *r)
{
    positions(r, 2, 7);
}
static void positions_batch(attention_run *r)
{
    positions(r, 3, 5);
}
static void key_positions_flat(attention_run *r)
{
    r->in.k_positions = att_view_1d(reals, ATT_I32, 7);
}
static void positions_and_offset(attention_run *r)
{
    positions(r, 1, 5);
    r->c.desc.q_offset = 2;
}
static void blocks(attention_run *r, int32_t starts[3], int32_t keys[2])
{
    r->c.desc.block = 4; /* two blocks of 5 queries, two of 7 keys */
    r->in.block_starts = att_view_1d(starts, ATT_I32, 3);
    r->in.block_keys = att_view_1d(keys, ATT_I32, 2);
}
static void blocks_without_side(attention_run *r)
{
    blocks(r, few_starts, two_keys);
    r->c.desc.block = 0;
}
static void negative_block(attention_run *r)
{
    r->c.desc.block = -4;
}
static void side_without_blocks(attention_run *r)
{
    r->c.desc.block = 4;
}
static void blocks_without_keys(attention_run *r)
{
    blocks(r, few_starts, two_keys);
    r->in.block_keys = (att_view){0};
}
static void block_starts_shape(attention_run *r)
{
    blocks(r, few_starts, two_keys);
    r->in.block_starts.dim[0] = 2;
}
static void block_starts_too_far(attention_run *r)
{
    blocks(r, wide_starts, two_keys);
}
static void block_starts_fall(attention_run *r)
{
    blocks(r, falling_starts, two_keys);
}
static void block_keys_too_far(attention_run *r)
{
    blocks(r, few_starts, far_keys);
}
static void block_keys_fall(attention_run *r)
{
    static int32_t one_list[] = {0, 2, 2};
    blocks(r, one_list, falling_keys);
}
static void scales_without_integers(attention_run *r)
{
    r->in.k_scale = att_view_3d(reals, ATT_F32, 2, 2, 7);
}
static void integers_without_scales(attention_run *r)
{
    r->in.k.dtype = r->in.v.dtype = ATT_I8;
}
static void double_cache(attention_run *r)
{
    r->in.q.dtype = ATT_F64, r->in.k.dtype = r->in.v.dtype = ATT_BF16;
}
static void mixed_cache(attention_run *r)
{
    r->in.k.dtype = ATT_BF16, r->in.v.dtype = ATT_F16;
}
static void wide_keys(attention_run *r)
{
    r->in.q.dtype = r->out.o.dtype = ATT_BF16;
}
static void output_on_query(attention_run *r)
{
    r->out.o.data = r->in.q.data;
}
static void output_within_value(attention_run *r)
{
    r->out.lse.data = (float *)r->in.v.data + 3;
}
static void outputs_overlap(attention_run *r)
{
    r->out.entropy = r->out.lse;
}
static void top_keys_alone(attention_run *r)
{
    r->out.top_keys = att_view_4d(reals, ATT_I32, 2, 4, 5, 1);
}
static void top_sizes_differ(attention_run *r)
{
    r->out.top_keys = att_view_4d(reals, ATT_I32, 2, 4, 5, 1);
    r->out.top_weights = att_view_4d(reals + 48, ATT_F32, 2, 4, 5, 2);
}
static void column_sums_shape(attention_run *r)
{
    r->out.column_sums = r->out.lse;
}

/* ---- the table ---- */

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
        {"relative: 3", ATT_E_VALUE, unknown_relative},
        {"estimator: 3", ATT_E_VALUE, unknown_estimator},
        {"temperature: -1", ATT_E_VALUE, negative_temperature},
        {"temperature: nan", ATT_E_VALUE, nan_temperature},
        {"half_width: given", ATT_E_VALUE, half_width_without_gauss},
        {"sigma: given", ATT_E_VALUE, sigma_without_gauss},
        {"untruncated: given", ATT_E_VALUE, untruncated_without_gauss},
        {"centre: given", ATT_E_VALUE, centre_without_gauss},
        {"centre: absent", ATT_E_VALUE, gauss},
        {"half_width: 0", ATT_E_VALUE, gauss_without_width},
        {"sigma: -1", ATT_E_VALUE, gauss_negative_sigma},
        {"sigma: inf", ATT_E_VALUE, gauss_infinite_sigma},
        {"centre: shape (5)", ATT_E_SHAPE, centre_shape},
        {"estimator: given", ATT_E_VALUE, estimator_without_hard},
        {"REINFORCE: given, expected only with ATT_ALIGN_SAMPLE", ATT_E_VALUE, reinforce_without_sample},
        {"function: NULL", ATT_E_VALUE, custom_without_function},
        {"function: forward is NULL", ATT_E_VALUE, custom_without_forward},
        {"function: given", ATT_E_VALUE, function_without_custom},
        {"sinks: given", ATT_E_VALUE, sinks_with_sparsemax},
        {"sinks: shape (3)", ATT_E_SHAPE, sinks_shape},
        {"slopes: shape (2)", ATT_E_SHAPE, slopes_shape},
        {"slopes: float64", ATT_E_DTYPE, slopes_dtype},
        {"relative: 6 entries", ATT_E_SHAPE, even_clip},
        {"relative: shape (3,7)", ATT_E_SHAPE, relative_heads},
        {"relative: 9 buckets", ATT_E_SHAPE, odd_buckets},
        {"relative: 2 buckets", ATT_E_SHAPE, two_buckets},
        {"relative_distance: 8", ATT_E_VALUE, near_buckets},
        {"relative: absent", ATT_E_VALUE, buckets_without_table},
        {"relative_distance: given", ATT_E_VALUE, distance_with_clip},
        {"query_mask: shape (2,4)", ATT_E_SHAPE, query_mask_shape},
        {"q_positions: shape (2,7)", ATT_E_SHAPE, positions_shape},
        {"q_positions: shape (3,5)", ATT_E_SHAPE, positions_batch},
        {"k_positions: shape (7)", ATT_E_SHAPE, key_positions_flat},
        {"q_offset: 2", ATT_E_VALUE, positions_and_offset},
        {"block: 0", ATT_E_VALUE, blocks_without_side},
        {"block: -4", ATT_E_VALUE, negative_block},
        {"block_starts: absent", ATT_E_VALUE, side_without_blocks},
        {"block_keys: absent", ATT_E_VALUE, blocks_without_keys},
        {"block_starts: shape (2)", ATT_E_SHAPE, block_starts_shape},
        {"block_starts: 1, 3 at 1", ATT_E_VALUE, block_starts_too_far},
        {"block_starts: 2, 1 at 1", ATT_E_VALUE, block_starts_fall},
        {"block_keys: 4 at 1", ATT_E_VALUE, block_keys_too_far},
        {"block_keys: 0 after 1", ATT_E_VALUE, block_keys_fall},
        {"k_scale: given", ATT_E_VALUE, scales_without_integers},
        {"k_scale: absent", ATT_E_VALUE, integers_without_scales},
        {"v: bfloat16", ATT_E_DTYPE, double_cache},
        {"k: bfloat16", ATT_E_DTYPE, mixed_cache},
        {"v: float32", ATT_E_DTYPE, wide_keys},
        {"o: overlaps q", ATT_E_VALUE, output_on_query},
        {"lse: overlaps v", ATT_E_VALUE, output_within_value},
        {"entropy: overlaps lse", ATT_E_VALUE, outputs_overlap},
        {"top_weights: absent", ATT_E_VALUE, top_keys_alone},
        {"top_weights: shape", ATT_E_SHAPE, top_sizes_differ},
        {"column_sums: shape", ATT_E_SHAPE, column_sums_shape},
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

/* Tq = Tk = T, one row in memory that all of q, k and v share. */
static size_t workspace_at(int64_t T, int threads, bool backward)
{
    static float row[64];
    att_view x = {row, ATT_F32, 4, {1, 4, T, 64}, {0, 0, 0, 1}};
    att_attention_in in = {.q = x, .k = x, .v = x};
    att_exec exec = {.threads = threads};
    att_attention_desc desc = {0};
    size_t bytes = 0;
    if (backward)
        assert_ok(att_attention_workspace(&desc, &exec, &in, &bytes));
    else
        assert_ok(att_attention_forward_workspace(&desc, &exec, &in, &bytes));
    return bytes;
}

/* Forward: tiles, and a few rows of T floats for weights on demand. Backward: besides, rows of dq, dk and dv. */
static void memory_grows_no_faster_than_the_lengths(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++)
        for (int64_t T = 4096; T <= 65536; T *= 2) {
            size_t n = (size_t)threads, rows = 2 * (size_t)T, tiles = (size_t)4 << 20;
            assert_true(workspace_at(T, threads, false) <= n * (tiles + rows * 4 * sizeof(float)));
            assert_true(workspace_at(T, threads, true) <= n * (tiles + rows * 2 * 64 * sizeof(float)));
            assert_true(workspace_at(T, threads, false) <= workspace_at(T, threads, true));
        }
    assert_true(workspace_at(65536, 1, true) < 2 * workspace_at(32768, 1, true));
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
        cmocka_unit_test(memory_grows_no_faster_than_the_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
