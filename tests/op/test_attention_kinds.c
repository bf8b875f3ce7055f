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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parity),
        cmocka_unit_test(gradients),
        cmocka_unit_test(threads_give_the_same_bits),
        cmocka_unit_test(a_split_batch_gives_the_same_bits),
        cmocka_unit_test(hidden_numbers_never_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
