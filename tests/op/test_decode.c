/* Few queries over many keys, which has its own kernel: keys in splits, query heads together. Its sums are cut at keys
 * 512, 1024, ... Without lse: where a backward may follow, packed products serve both. */
#include "op/attention_suite.h"

static const attention_case cases[] = {
    /* name        B Hq Hkv Tq  Tk   D  Dv   descriptor */
    {"one", 2, 1, 1, 1, 129, 1, 1, {0}, WITHOUT_LSE | WITH_WEIGHTS, 0},
    {"splits", 1, 2, 2, 1, 1100, 64, 64, {0}, WITHOUT_LSE | WITH_WEIGHTS, 0},
    {"whole", 1, 1, 1, 1, 1024, 16, 8, {0}, WITHOUT_LSE, 0},
    {"pair", 2, 4, 2, 1, 577, 32, 40, {.scale = 1.0f}, WITHOUT_LSE | WITH_LENGTHS, 0},
    {"three", 1, 6, 2, 1, 300, 19, 13, {0}, WITHOUT_LSE | WITH_MASK | WITH_WEIGHTS, 0},
    {"four", 2, 8, 2, 1, 600, 128, 128, {0}, WITHOUT_LSE | WITH_KEY_MASK, 0},
    {"seven", 1, 7, 1, 1, 515, 9, 70, {0}, WITHOUT_LSE | WITH_BIAS | WITH_LENGTHS | WITH_GATHERED, 0},
    {"eight_two",
     2,
     8,
     1,
     2,
     530,
     24,
     24,
     {.window = ATT_WINDOW_CAUSAL, .q_offset = 527},
     WITHOUT_LSE | WITH_WEIGHTS,
     0},
    {"causal_early",
     1,
     2,
     1,
     3,
     513,
     8,
     8,
     {.window = ATT_WINDOW_CAUSAL, .q_offset = -1},
     WITHOUT_LSE | WITH_WEIGHTS,
     0},
    {"band",
     2,
     3,
     1,
     5,
     700,
     12,
     20,
     {.window = ATT_WINDOW_BAND, .left = 99, .right = 9, .q_offset = 500},
     WITHOUT_LSE,
     0},
    {"time_major", 3, 4, 2, 1, 140, 33, 17, {0}, WITHOUT_LSE | TIME_MAJOR | WITH_LENGTHS, 0},
    {"softcap",
     1,
     2,
     1,
     1,
     200,
     8,
     8,
     {.softcap = 0.5f, .scale = 1.0f},
     WITHOUT_LSE | WITH_SHARED_BIAS | WITH_WEIGHTS,
     0},
    {"steep", 1, 2, 1, 1, 600, 40, 6, {.scale = 8.0f}, WITHOUT_LSE | WITH_WEIGHTS, 3},
};
enum { CASES = sizeof cases / sizeof *cases };

static void parity(void **state)
{
    (void)state;
    suite_parity(cases, CASES);
}

static void threads_give_the_same_bits(void **state)
{
    (void)state;
    suite_threads(cases, CASES);
}

static void batches_may_be_split(void **state)
{
    (void)state;
    suite_split(cases, CASES);
}

/* Keys of more than 24 MiB in all are read in another order than those of half of the batch, to the same bits. */
static void far_keys_give_the_same_bits(void **state)
{
    const attention_case far = {"far", 2, 2, 2, 1, 40100, 27, 15, {0}, WITHOUT_LSE | WITH_LENGTHS, 0};
    (void)state;
    suite_split(&far, 1);
}

static void hidden_keys_are_not_read(void **state)
{
    (void)state;
    suite_poison(cases, CASES);
}

/* NaN in a query reaches its own row and no other, even where every score of a split is NaN. */
static void nan_stays_in_its_row(void **state)
{
    (void)state;
    att_isa isa[8];
    int isas = testable_isas(isa);
    for (int i = 0; i < isas; i++) {
        attention_run run;
        attention_create(&run, &cases[1], ATT_F32);
        attention_set(&run.in.q, 3, NAN);
        assert_ok(attention_forward(&run, &(att_exec){.isa = isa[i]}));
        for (int64_t d = 0; d < 64; d++) {
            assert_true(isnan(attention_get(&run.out.o, d)));
            assert_false(isnan(attention_get(&run.out.o, 64 + d)));
        }
        attention_destroy(&run);
    }
}

static void the_path_says_so(void **state)
{
    (void)state;
    attention_run run;
    att_isa isa[8];
    for (int i = testable_isas(isa) - 1; i > 0; i--) {
        attention_create(&run, &cases[1], ATT_F32);
        assert_non_null(strstr(att_attention_path(&run.c.desc, &(att_exec){.isa = isa[i]}, &run.in), "decode"));
        run.c.desc.dropout = 0.5f;
        assert_null(strstr(att_attention_path(&run.c.desc, &(att_exec){.isa = isa[i]}, &run.in), "decode"));
        attention_destroy(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parity),
        cmocka_unit_test(threads_give_the_same_bits),
        cmocka_unit_test(batches_may_be_split),
        cmocka_unit_test(far_keys_give_the_same_bits),
        cmocka_unit_test(hidden_keys_are_not_read),
        cmocka_unit_test(nan_stays_in_its_row),
        cmocka_unit_test(the_path_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
