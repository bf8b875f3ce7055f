#include "harness.h"

/* Known answers of Random123's distribution, kat_vectors: philox4x32 10. */
static void philox_equals_known_answers(void **state)
{
    (void)state;
    uint32_t out[4];
    att_philox(0, 0, 0, out);
    assert_int_equal(out[0], 0x6627e8d5);
    assert_int_equal(out[1], 0xe169c58d);
    assert_int_equal(out[2], 0xbc57ac4c);
    assert_int_equal(out[3], 0x9b00dbd8);
    att_philox(UINT64_MAX, UINT64_MAX, UINT64_MAX, out);
    assert_int_equal(out[0], 0x408f276d);
    assert_int_equal(out[1], 0x41c83b0e);
    assert_int_equal(out[2], 0xa20bc7c6);
    assert_int_equal(out[3], 0x6d5451fd);
    att_philox(0x299f31d0a4093822u, 0x0370734413198a2eu, 0x85a308d3243f6a88u, out);
    assert_int_equal(out[0], 0xd16cfe09);
    assert_int_equal(out[1], 0x94fdcceb);
    assert_int_equal(out[2], 0x5001e420);
    assert_int_equal(out[3], 0x24126ea1);
}

static void normal_has_mean_and_deviation(void **state)
{
    (void)state;
    att_random r = {.seed = 7};
    double sum = 0, squares = 0;
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        double x = att_random_normal(&r);
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / N) < 0.02);
    assert_true(fabs(squares / N - 1.0) < 0.02);
}

static void shuffle_is_a_permutation(void **state)
{
    (void)state;
    int64_t index[100], seen[100] = {0}, moved = 0;
    att_random r = {.seed = 1};
    att_random_shuffle(&r, index, 100);
    for (int i = 0; i < 100; i++) {
        assert_in_range(index[i], 0, 99);
        seen[index[i]]++;
        moved += index[i] != i;
    }
    for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
    assert_true(moved > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_equals_known_answers),
        cmocka_unit_test(normal_has_mean_and_deviation),
        cmocka_unit_test(shuffle_is_a_permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
