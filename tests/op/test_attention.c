/* Every instruction set against the double reference, the double reference's gradients against central differences. */
#include "op/attention_suite.h"

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
    {"long", 1, 2, 1, 25, 2075, 20, 12, {.window = ATT_WINDOW_CAUSAL, .q_offset = 2045}, WITH_WEIGHTS, 0},
    {"causal", 1, 2, 2, 70, 70, 16, 33, {.window = ATT_WINDOW_CAUSAL}, WITH_WEIGHTS, 0},
    {"causal_late", 1, 1, 1, 9, 5, 4, 4, {.window = ATT_WINDOW_CAUSAL, .q_offset = -4}, WITH_WEIGHTS, 0},
    {"band", 2, 1, 1, 150, 140, 12, 5, {.window = ATT_WINDOW_BAND, .left = 9, .right = 3, .q_offset = 5}, 0, 0},
    {"band_far", 1, 1, 1, 3, 5, 4, 4, {.window = ATT_WINDOW_BAND, .right = INT64_MAX, .q_offset = 1}, 0, 0},
    {"masked", 2, 2, 1, 40, 70, 6, 6, {0}, WITH_MASK | WITH_WEIGHTS, 0},
    {"biased", 2, 2, 2, 7, 66, 6, 6, {0}, WITH_BIAS | WITH_LENGTHS, 0},
    {"shared_bias", 2, 2, 2, 7, 13, 6, 6, {0}, WITH_SHARED_BIAS | WITH_KEY_MASK, 0},
    {"softcap", 1, 2, 2, 9, 70, 6, 6, {.softcap = 0.5f, .scale = 1.0f}, WITH_BIAS, 0},
    {"dropout", 2, 2, 1, 9, 70, 6, 6, {.dropout = 0.3f, .seed = 5}, WITH_MASK | WITH_WEIGHTS, 0},
    {"dropout_long", 1, 1, 1, 4, 333, 6, 6, {.dropout = 0.3f, .window = ATT_WINDOW_CAUSAL, .q_offset = 325}, 0, 0},
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

static void prepared_keys_give_the_same_bits(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        if (!(cases[c].with & WITH_PREPARED)) continue;
        attention_case plain = cases[c];
        plain.with &= ~(unsigned)WITH_PREPARED;
        attention_run a, b;
        suite_run(&a, &cases[c], ATT_F32, NULL);
        suite_run(&b, &plain, ATT_F32, NULL);
        suite_same(&a, &b, "prepared");
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
        cmocka_unit_test(a_split_batch_gives_the_same_bits),
        cmocka_unit_test(hidden_numbers_never_leak),
        cmocka_unit_test(prepared_keys_give_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
