/* Every kind of attention beyond plain softmax over dot products and additive scores. */
#include "op/attention_suite.h"

#define ADD       .score = ATT_SCORE_ADDITIVE
#define CUSTOM    .score = ATT_SCORE_CUSTOM, .function = &squared_distance
#define CAUSAL    .window = ATT_WINDOW_CAUSAL
#define SPARSEMAX .align = ATT_ALIGN_SPARSEMAX
#define ENTMAX15  .align = ATT_ALIGN_ENTMAX15
#define GAUSS     .window = ATT_WINDOW_GAUSS
#define BUCKETS   .relative = ATT_RELATIVE_BUCKETS, .relative_distance = 20
#define BACKWARD  .relative = ATT_RELATIVE_BUCKETS_BACKWARD, .relative_distance = 20
#define UNIFORM   .masked_rows = ATT_MASKED_UNIFORM
#define SEEN      (WITH_WEIGHTS | WITH_GATHERED)

static const attention_case cases[] = {
    /* name        B Hq Hkv Tq  Tk   D  Dv   descriptor */
    {"gathered", 2, 2, 1, 33, 65, 5, 3, {0}, WITH_MASK | SEEN, 0},
    {"warm", 2, 2, 1, 7, 66, 5, 3, {.temperature = 2.5f}, WITH_BIAS | SEEN, 0},
    {"cold", 1, 2, 2, 5, 9, 5, 3, {ADD, .temperature = 0.25f, .softcap = 1.5f}, WITH_SCORE_W | SEEN, 0},
    {"sinks", 2, 4, 2, 7, 66, 5, 3, {CAUSAL, .temperature = 0.5f}, WITH_SINKS | WITH_LENGTHS | SEEN, 0},
    {"sinks_uniform", 2, 2, 1, 5, 9, 5, 3, {UNIFORM}, WITH_SINKS | WITH_LENGTHS | SEEN, 0},
    {"query_mask", 2, 2, 1, 33, 9, 5, 3, {0}, WITH_QUERY_MASK | SEEN, 0},
    {"query_mask_uniform", 2, 2, 1, 5, 9, 5, 3, {UNIFORM}, WITH_QUERY_MASK | WITH_LENGTHS | SEEN, 0},
    {"alibi", 2, 4, 2, 9, 67, 5, 3, {CAUSAL, .q_offset = 40}, WITH_SLOPES | SEEN, 0},
    {"clip", 2, 2, 1, 9, 70, 5, 3, {.q_offset = 3}, WITH_RELATIVE | SEEN, 0},
    {"clip_shared", 2, 4, 1, 5, 9, 5, 3, {.softcap = 2}, SHARED_RELATIVE | WITH_SHARED_BIAS | SEEN, 0},
    {"buckets", 2, 2, 1, 33, 65, 5, 3, {BUCKETS}, WITH_RELATIVE | SEEN, 0},
    {"buckets_back", 1, 2, 2, 35, 35, 5, 3, {CAUSAL, BACKWARD}, SHARED_RELATIVE | SEEN, 0},
    {"positions", 2, 2, 1, 9, 33, 5, 3, {CAUSAL}, WITH_POSITIONS | WITH_SLOPES | WITH_RELATIVE | SEEN, 0},
    {"positions_band", 2, 2, 1, 9, 33, 5, 3, {.window = ATT_WINDOW_BAND, .left = 4, .right = 2}, WITH_POSITIONS, 0},
    {"blocks4", 2, 2, 1, 13, 18, 5, 3, {.block = 4}, SEEN, 0},
    {"blocks64", 1, 2, 1, 130, 200, 3, 3, {CAUSAL, .block = 64, .q_offset = 70}, WITH_SINKS, 0},
    {"gauss", 2, 2, 1, 9, 21, 5, 3, {GAUSS, .half_width = 4}, SEEN, 0},
    {"gauss_full", 2, 2, 1, 9, 21, 5, 3, {GAUSS, .half_width = 1, .sigma = 3, .untruncated = 1}, WITH_MASK | SEEN, 0},
    {"gauss_narrow", 1, 1, 1, 40, 9, 5, 3, {GAUSS, .half_width = 0.25f}, SEEN, 0},
    {"gauss_sinks", 2, 2, 2, 5, 70, 5, 3, {GAUSS, .half_width = 9, .dropout = 0.2f}, WITH_SINKS | SEEN, 0},
    {"sparsemax", 2, 2, 1, 9, 67, 5, 3, {SPARSEMAX, .scale = 1}, WITH_MASK | SEEN, 0},
    {"sparsemax_add", 2, 2, 1, 5, 9, 5, 3, {ADD, SPARSEMAX, UNIFORM}, WITH_SCORE_W | WITH_LENGTHS | SEEN, 0},
    {"sparsemax_one", 1, 1, 1, 1, 1, 1, 1, {SPARSEMAX}, SEEN, 0},
    {"sparsemax_far", 2, 1, 1, 5, 33, 5, 3, {SPARSEMAX, CAUSAL, .q_offset = 9}, SEEN, 30},
    {"entmax", 2, 2, 1, 9, 67, 5, 3, {ENTMAX15, .scale = 1}, WITH_MASK | SEEN, 0},
    {"entmax_causal", 2, 2, 1, 9, 9, 5, 3, {ENTMAX15, CAUSAL, .dropout = 0.3f}, WITH_SHARED_BIAS | SEEN, 0},
    {"entmax_gauss", 2, 2, 1, 5, 21, 5, 3, {ENTMAX15, GAUSS, .half_width = 6}, SEEN, 0},
    {"entmax_far", 2, 1, 1, 5, 33, 5, 3, {ENTMAX15, .temperature = 3}, SEEN, 30},
    {"argmax", 2, 2, 1, 9, 67, 5, 3, {.align = ATT_ALIGN_ARGMAX}, WITH_SHARED_BIAS | SEEN, 0},
    {"argmax_gauss", 2, 2, 1, 9, 21, 5, 3, {.align = ATT_ALIGN_ARGMAX, GAUSS, .half_width = 9}, SEEN, 0},
    {"sample", 2, 2, 1, 9, 67, 5, 3, {.align = ATT_ALIGN_SAMPLE, .seed = 3}, WITH_MASK | SEEN, 0},
    {"custom", 2, 4, 2, 9, 65, 5, 3, {CUSTOM, .scale = 0.5f}, WITH_MASK | SEEN, 0},
    {"custom_capped", 2, 2, 1, 5, 130, 5, 3, {CUSTOM, .softcap = 3}, WITH_LENGTHS | TIME_MAJOR | WITH_SINKS, 0},
    {"custom_sparse", 2, 2, 1, 5, 9, 5, 3, {CUSTOM, SPARSEMAX}, WITH_QUERY_MASK | SEEN, 0},
    {"everything",
     2,
     4,
     2,
     9,
     70,
     5,
     3,
     {BUCKETS, .temperature = 1.5f, .softcap = 2, .dropout = 0.2f, .block = 8, .q_offset = 30},
     WITH_MASK | WITH_BIAS | WITH_LENGTHS | WITH_QUERY_MASK | WITH_SLOPES | WITH_RELATIVE | WITH_SINKS | SEEN,
     0},
};
enum { CASES = sizeof cases / sizeof *cases };

static void parity(void **state)
{
    (void)state;
    suite_parity(cases, CASES);
}

static void gradients(void **state)
{
    (void)state;
    suite_gradients(cases, CASES);
}

static void threads_give_the_same_bits(void **state)
{
    (void)state;
    suite_threads(cases, CASES);
}

static void a_split_batch_gives_the_same_bits(void **state)
{
    (void)state;
    suite_split(cases, CASES);
}

static void hidden_numbers_never_leak(void **state)
{
    (void)state;
    suite_poison(cases, CASES);
}

/* What is only a matter of terms and windows costs no detour. */
static void softmax_over_dot_products_is_always_fused(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        const att_attention_desc *d = &cases[c].desc;
        if (d->score != ATT_SCORE_DOT || d->align != ATT_ALIGN_SOFTMAX || d->masked_rows != ATT_MASKED_ZERO) continue;
        attention_run run;
        attention_create(&run, &cases[c], ATT_F32);
        const char *path = att_attention_path(d, NULL, &run.in);
        if (!strstr(path, "dot")) fail_msg("%s: %s", cases[c].name, path);
        attention_destroy(&run);
    }
}

/* ---- which entry of a relative table ---- */

typedef struct step { /* from this distance on, up to the next one's */
    int64_t distance, entry;
} step;

/* The entries that a query at distance y_j - x_i = -200 .. 200 gets, shown by a table that holds its own indices. */
static void check_entries(att_relative kind, int64_t R, const step *steps, int n)
{
    enum { FAR = 200 };
    float table[64], row[2 * FAR + 1], q = 0;
    for (int64_t r = 0; r < R; r++) table[r] = (float)r;
    char room[1 << 16];
    att_span space = {room + (64 - (uintptr_t)room % 64) % 64, sizeof room - 64};
    att_attention_desc desc = {.score = ATT_SCORE_NONE, .relative = kind, .q_offset = FAR};
    att_attention_in in = {.q = att_view_4d(&q, ATT_F32, 1, 1, 1, 1),
                           .v = att_view_4d((float[2 *FAR + 1]){0}, ATT_F32, 1, 1, 2 * FAR + 1, 1),
                           .relative = att_view_2d(table, ATT_F32, 1, R)};
    att_view out = att_view_4d(row, ATT_F32, 1, 1, 1, 2 * FAR + 1);
    assert_ok(att_attention_weights(&desc, NULL, ATT_STAGE_MASKED, &out, &in, NULL, NULL, NULL, space));
    int at = 0;
    for (int64_t d = -FAR; d <= FAR; d++) {
        while (at + 1 < n && steps[at + 1].distance <= d) at++;
        assert_true(row[d + FAR] == (float)steps[at].entry);
    }
}

/* The steps are those of T5Attention._relative_position_bucket in the package transformers, 32 buckets up to 128. */
static void distances_fall_into_t5s_buckets(void **state)
{
    (void)state;
    const step both[] = {{-200, 15}, {-90, 14}, {-63, 13}, {-45, 12}, {-31, 11}, {-22, 10}, {-15, 9}, {-11, 8},
                         {-7, 7},    {-6, 6},   {-5, 5},   {-4, 4},   {-3, 3},   {-2, 2},   {-1, 1},  {0, 0},
                         {1, 17},    {2, 18},   {3, 19},   {4, 20},   {5, 21},   {6, 22},   {7, 23},  {8, 24},
                         {12, 25},   {16, 26},  {23, 27},  {32, 28},  {46, 29},  {64, 30},  {91, 31}};
    const step back[] = {{-200, 31}, {-112, 30}, {-98, 29}, {-86, 28}, {-76, 27}, {-66, 26}, {-58, 25}, {-51, 24},
                         {-45, 23},  {-39, 22},  {-34, 21}, {-30, 20}, {-26, 19}, {-23, 18}, {-20, 17}, {-18, 16},
                         {-15, 15},  {-14, 14},  {-13, 13}, {-12, 12}, {-11, 11}, {-10, 10}, {-9, 9},   {-8, 8},
                         {-7, 7},    {-6, 6},    {-5, 5},   {-4, 4},   {-3, 3},   {-2, 2},   {-1, 1},   {0, 0}};
    const step clip[] = {{-200, 0}, {-2, 1}, {-1, 2}, {0, 3}, {1, 4}, {2, 5}, {3, 6}};
    check_entries(ATT_RELATIVE_BUCKETS, 32, both, sizeof both / sizeof *both);
    check_entries(ATT_RELATIVE_BUCKETS_BACKWARD, 32, back, sizeof back / sizeof *back);
    check_entries(ATT_RELATIVE_CLIP, 7, clip, sizeof clip / sizeof *clip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parity),
        cmocka_unit_test(gradients),
        cmocka_unit_test(threads_give_the_same_bits),
        cmocka_unit_test(a_split_batch_gives_the_same_bits),
        cmocka_unit_test(hidden_numbers_never_leak),
        cmocka_unit_test(softmax_over_dot_products_is_always_fused),
        cmocka_unit_test(distances_fall_into_t5s_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
