#include "harness.h"

#include "base/half.h"

static void every_half_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        bool nan16 = (h & 0x7fff) > 0x7c00, nan_b = (h & 0x7fff) > 0x7f80;
        float f = att_float_of_f16((uint16_t)h), b = att_float_of_bf16((uint16_t)h);
        if (nan16)
            assert_true(isnan(f) && isnan(att_float_of_f16(att_f16_of_float(f))));
        else
            assert_int_equal(att_f16_of_float(f), h);
        if (nan_b)
            assert_true(isnan(b) && isnan(att_float_of_bf16(att_bf16_of_float(b))));
        else
            assert_int_equal(att_bf16_of_float(b), h);
    }
}

static void known_numbers(void **state)
{
    (void)state;
    assert_true(att_float_of_f16(0x3c00) == 1.0f && att_float_of_f16(0xc000) == -2.0f);
    assert_true(att_float_of_f16(0x7bff) == 65504.0f && att_float_of_f16(0x0001) == 0x1p-24f);
    assert_true(isinf(att_float_of_f16(0x7c00)) && att_float_of_bf16(0x3f80) == 1.0f);
}

/* A number between two neighbours goes to the nearer one, and from the middle to the even one. */
static void check_between(uint16_t h, float (*up)(uint16_t), uint16_t (*down)(float))
{
    float low = up(h), high = up((uint16_t)(h + 1)), middle = low + (high - low) / 2;
    assert_int_equal(down(middle), h % 2 ? h + 1 : h);
    assert_int_equal(down(nextafterf(middle, low)), h);
    assert_int_equal(down(nextafterf(middle, high)), h + 1);
    assert_int_equal(down(-middle), (h % 2 ? h + 1 : h) | 0x8000);
}

static void rounding_is_to_nearest_even(void **state)
{
    (void)state;
    for (uint16_t h = 0; h < 0x7bff; h++) check_between(h, att_float_of_f16, att_f16_of_float);
    for (uint16_t h = 0x100; h < 0x7f7f; h++) check_between(h, att_float_of_bf16, att_bf16_of_float);
    assert_int_equal(att_f16_of_float(65519.0f), 0x7bff);
    assert_int_equal(att_f16_of_float(65520.0f), 0x7c00);
    assert_int_equal(att_f16_of_float(-1e30f), 0xfc00);
    assert_int_equal(att_bf16_of_float(3.4e38f), 0x7f80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_survives_a_round_trip),
        cmocka_unit_test(known_numbers),
        cmocka_unit_test(rounding_is_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
