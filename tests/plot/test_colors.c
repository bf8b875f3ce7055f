#include "harness.h"

#include "plot/colors.h"
#include "plot/ticks.h"

static double lab_distance(uint32_t a, uint32_t b)
{
    /* CIE 1976 in place of OKLab, which the maps are made from: another judge */
    double lab[2][3];
    for (int k = 0; k < 2; k++) {
        uint32_t c = k ? b : a;
        double rgb[3], xyz[3];
        for (int i = 0; i < 3; i++) {
            double s = (c >> (16 - 8 * i) & 255) / 255.0;
            rgb[i] = s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
        }
        xyz[0] = (0.4124 * rgb[0] + 0.3576 * rgb[1] + 0.1805 * rgb[2]) / 0.9505;
        xyz[1] = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
        xyz[2] = (0.0193 * rgb[0] + 0.1192 * rgb[1] + 0.9505 * rgb[2]) / 1.089;
        for (int i = 0; i < 3; i++) xyz[i] = xyz[i] > 0.008856 ? cbrt(xyz[i]) : 7.787 * xyz[i] + 16.0 / 116;
        lab[k][0] = 116 * xyz[1] - 16;
        lab[k][1] = 500 * (xyz[0] - xyz[1]);
        lab[k][2] = 200 * (xyz[1] - xyz[2]);
    }
    return sqrt(pow(lab[0][0] - lab[1][0], 2) + pow(lab[0][1] - lab[1][1], 2) + pow(lab[0][2] - lab[1][2], 2));
}

static void lightness_is_linear_in_colored_maps(void **state)
{
    (void)state;
    for (int map = ATT_COLORS_DUSK; map <= (int)ATT_COLORS_INK; map += 2) {
        double from = att_lightness(att_colors_at((att_colors)map, 0)),
               to = att_lightness(att_colors_at((att_colors)map, 1));
        assert_true(fabs(to - from) > 0.6);
        for (int i = 0; i <= 20; i++) {
            double want = from + (to - from) * i / 20, got = att_lightness(att_colors_at((att_colors)map, i / 20.0));
            if (!(fabs(got - want) < 0.012)) fail_msg("map %d at %d/20: lightness %g, expected %g", map, i, got, want);
        }
    }
}

static void steps_are_even_to_the_eye(void **state)
{
    (void)state;
    for (int map = ATT_COLORS_DUSK; map <= (int)ATT_COLORS_INK; map++) {
        double least = HUGE_VAL, most = 0;
        for (int i = 0; i < 16; i++) {
            double d =
                lab_distance(att_colors_at((att_colors)map, i / 16.0), att_colors_at((att_colors)map, (i + 1) / 16.0));
            least = fmin(least, d);
            most = fmax(most, d);
        }
        if (!(most < (map == ATT_COLORS_GREY ? 1.15 : 3) * least)) /* it overrates saturated yellow and violet */
            fail_msg("map %d: steps of %g to %g", map, least, most);
    }
}

static void ends_and_outside(void **state)
{
    (void)state;
    assert_int_equal(att_colors_at(ATT_COLORS_GREY, 0), 0x000000);
    assert_int_equal(att_colors_at(ATT_COLORS_GREY, 1), 0xffffff);
    assert_int_equal(att_colors_at(ATT_COLORS_DUSK, -3), att_colors_at(ATT_COLORS_DUSK, 0));
    assert_int_equal(att_colors_at(ATT_COLORS_DUSK, HUGE_VAL), att_colors_at(ATT_COLORS_DUSK, 1));
    assert_int_equal(att_colors_at(ATT_COLORS_DUSK, NAN), ATT_MISSING);
    assert_int_equal(att_color_index(NAN, 0, 1), ATT_PALETTE);
    assert_int_equal(att_color_index(INFINITY, 0, 1), ATT_PALETTE - 1);
    assert_int_equal(att_color_index(-INFINITY, 0, 1), 0);
}

static void range_takes_finite_weights_only(void **state)
{
    (void)state;
    double lo, hi;
    att_color_range(&(att_heatmap_desc){0}, (float[]){NAN, .25f, INFINITY, .5f}, 4, &lo, &hi);
    assert_true(lo == 0 && hi == 0.5);
    att_color_range(&(att_heatmap_desc){0}, (float[]){-2, .25f}, 2, &lo, &hi);
    assert_true(lo == -2 && hi == 0.25);
    att_color_range(&(att_heatmap_desc){0}, (float[]){NAN}, 1, &lo, &hi);
    assert_true(lo == 0 && hi == 1);
    att_color_range(&(att_heatmap_desc){.vmin = .1f, .vmax = 3}, (float[]){9}, 1, &lo, &hi);
    assert_true(fabs(lo - 0.1) < 1e-6 && hi == 3);
}

static void names(void **state)
{
    (void)state;
    att_colors c;
    assert_ok(att_colors_parse("ink", &c));
    assert_int_equal(c, ATT_COLORS_INK);
    assert_int_equal(att_colors_parse("mauve", &c), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "mauve"));
}

/* Ticks rise, lie inside, are evenly spaced, and their labels say what they are. */
static void ticks_are_round_and_inside(void **state)
{
    (void)state;
    att_random r = {.seed = 5};
    for (int n = 0; n < 2000; n++) {
        double scale = pow(10, 16 * att_random_uniform(&r) - 8);
        double lo = (att_random_uniform(&r) - 0.5) * scale, hi = lo + (att_random_uniform(&r) + 1e-3) * scale;
        att_ticks t;
        att_ticks_linear(lo, hi, 5, &t);
        assert_in_range(t.n, 2, 11);
        double step = t.at[1] - t.at[0];
        for (int i = 0; i < t.n; i++) {
            assert_true(t.at[i] >= lo - 1e-5 * step && t.at[i] <= hi + 1e-5 * step);
            if (i) assert_true(fabs(t.at[i] - t.at[i - 1] - step) < 1e-6 * step);
            char *end;
            double said = strtod(t.text[i], &end);
            said *= *end == 'k' ? 1e3 : *end == 'M' ? 1e6 : *end == 'G' ? 1e9 : *end == 'T' ? 1e12 : 1;
            if (!(fabs(said - t.at[i]) < 0.01 * step)) fail_msg("%g is called %s (step %g)", t.at[i], t.text[i], step);
        }
    }
}

static void ticks_of_logarithmic_axes(void **state)
{
    (void)state;
    att_ticks t;
    att_ticks_log(1, 1e6, 8, &t);
    assert_int_equal(t.n, 7);
    assert_string_equal(t.text[2], "100");
    assert_string_equal(t.text[3], "1000");
    assert_string_equal(t.text[4], "10k");
    att_ticks_log(0.9, 11, 8, &t);
    assert_int_equal(t.n, 4);
    assert_string_equal(t.text[1], "2");
    att_ticks_log(1e-300, 1e300, 8, &t);
    assert_in_range(t.n, 2, ATT_MAX_TICKS);
    att_ticks_log(-1, 1, 8, &t);
    assert_int_equal(t.n, 0);
    att_ticks_linear(0, NAN, 8, &t);
    assert_int_equal(t.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lightness_is_linear_in_colored_maps),
        cmocka_unit_test(steps_are_even_to_the_eye),
        cmocka_unit_test(ends_and_outside),
        cmocka_unit_test(range_takes_finite_weights_only),
        cmocka_unit_test(names),
        cmocka_unit_test(ticks_are_round_and_inside),
        cmocka_unit_test(ticks_of_logarithmic_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
