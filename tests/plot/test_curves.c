#include "plot/pictures.h"

#include <attend/plot.h>

#include "plot/axis.h"
#include "plot/colors.h"

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, what)); s += strlen(what)) n++;
    return n;
}

/* The average against its definition: weights smooth^|i - k| over the finite values, counted among themselves. */
static void smoothing_equals_its_definition(void **state)
{
    (void)state;
    enum { N = 37 };
    double y[N], got[N];
    att_random r = {.seed = 8};
    for (int i = 0; i < N; i++) y[i] = i % 7 == 3 ? NAN : att_random_normal(&r);
    for (double s = 0; s < 1; s += 0.19) {
        att_series_smooth(&(att_series){.y = y, .n = N, .smooth = s}, got);
        for (int i = 0; i < N; i++) {
            double sum = 0, weight = 0;
            if (isnan(y[i])) {
                assert_true(isnan(got[i]));
                continue;
            }
            for (int k = 0; k < N; k++) {
                int distance = 0;
                if (isnan(y[k])) continue;
                for (int m = i < k ? i : k; m < (i < k ? k : i); m++) distance += !isnan(y[m]);
                sum += pow(s, distance) * y[k];
                weight += pow(s, distance);
            }
            assert_true(fabs(got[i] - sum / weight) < 1e-12);
        }
    }
}

static void lines_reach_their_points(void **state)
{
    (void)state;
    const double y[] = {0, 10}, x[] = {0, 1};
    att_series s = {.x = x, .y = y, .n = 2};
    assert_ok(att_plot_curves(&(att_curves_desc){.scale = 1}, &s, 1, picture_path("line.png")));
    picture p = read_png(picture_path("line.png"));
    assert_int_equal(p.w, 760);
    assert_int_equal(p.h, 440);
    int first = -1, last = -1, top = p.h, bottom = 0; /* of the pixels in the series' colour */
    for (int i = 0; i < p.w; i++)
        for (int j = 0; j < p.h; j++)
            if (pixel(&p, i, j) == att_series_color(0)) {
                first = first < 0 ? i : first;
                last = i;
                top = j < top ? j : top;
                bottom = j > bottom ? j : bottom;
            }
    assert_true(first > 20 && first < 80 && last > 700 && top < 60 && bottom > 360);
    free(p.rgb);
}

static void gaps_cut_lines(void **state)
{
    (void)state;
    const double y[] = {1, 2, NAN, 3, 4, INFINITY, 5, 6};
    att_series s = {.y = y, .n = 8, .name = "<a&b>"};
    assert_ok(att_plot_curves(&(att_curves_desc){.title = "\"t\"", .y_name = {"<y>"}}, &s, 1, picture_path("gap.svg")));
    char *svg = read_text(picture_path("gap.svg"), NULL);
    assert_true(well_formed(svg));
    assert_int_equal(count(svg, "stroke=\"#0072b2\""), 3 + 1); /* and the legend's */
    assert_non_null(strstr(svg, "&lt;a&amp;b&gt;"));
    free(svg);
    assert_ok(att_plot_curves(NULL, &s, 1, picture_path("gap.html")));
    char *html = read_text(picture_path("gap.html"), NULL);
    assert_true(well_formed(html));
    free(html);
}

static void every_mark_in_two_panels(void **state)
{
    (void)state;
    enum { N = 30000 };
    static double x[N], y[N], e[N];
    for (int i = 0; i < N; i++) x[i] = i + 1, y[i] = 1 + 1000.0 / (i + 1), e[i] = 0.3;
    for (int log = 0; log < 2; log++) {
        att_series s[] = {{.name = "line", .x = x, .y = y, .n = N, .smooth = 0.9},
                          {.name = "points", .x = x, .y = y, .n = 40, .mark = ATT_MARK_POINTS, .error = e, .panel = 1},
                          {.name = "bars", .x = x, .y = y, .n = 20, .mark = ATT_MARK_BARS, .error = e, .panel = 1},
                          {.name = "none", .n = 0}};
        att_curves_desc desc = {.log_x = log, .log_y = {log, log}};
        assert_ok(att_plot_curves(&desc, s, 4, picture_path("marks.png")));
        picture p = read_png(picture_path("marks.png"));
        assert_int_equal(p.h, 1280);
        free(p.rgb);
        assert_ok(att_plot_curves(&desc, s, 4, picture_path("marks.svg")));
        size_t bytes;
        char *svg = read_text(picture_path("marks.svg"), &bytes);
        assert_true(well_formed(svg));
        assert_true(bytes < 300000); /* points that share a pixel are merged */
        free(svg);
        assert_ok(att_plot_curves(&desc, s, 4, picture_path("marks.txt")));
        char *text = read_text(picture_path("marks.txt"), NULL);
        assert_null(strchr(text, '\x1b'));
        assert_non_null(strstr(text, "points"));
        free(text);
    }
}

static void strange_numbers_make_pictures_or_errors(void **state)
{
    (void)state;
    static const double value[] = {0, -0.0, 1, -1, 1e-320, 1e308, -1e308, NAN, INFINITY, -INFINITY, 1e15 + 1, 3.5};
    enum { V = sizeof value / sizeof *value };
    att_random r = {.seed = 4};
    for (int k = 0; k < 60; k++) {
        double x[5], y[5];
        for (int i = 0; i < 5; i++) x[i] = value[att_random_below(&r, V)], y[i] = value[att_random_below(&r, V)];
        att_series s = {.x = k % 2 ? x : NULL, .y = y, .error = x, .n = 1 + k % 5, .mark = (att_mark)(k % 3)};
        s.smooth = k % 4 == 0 ? 0.5 : 0;
        att_curves_desc desc = {.log_x = k % 5 == 0, .log_y = {k % 7 < 3}};
        att_status st = att_plot_curves(&desc, &s, 1, picture_path("odd.svg"));
        if (st != ATT_OK) {
            assert_int_equal(st, ATT_E_VALUE);
            continue;
        }
        char *svg = read_text(picture_path("odd.svg"), NULL);
        assert_true(well_formed(svg));
        assert_int_equal(count(svg, "nan") + count(svg, "inf"), 0);
        free(svg);
        assert_ok(att_plot_curves(&desc, &s, 1, picture_path("odd.txt")));
        assert_ok(att_plot_curves(&desc, &s, 1, picture_path("odd.png")));
    }
}

static void impossible_requests(void **state)
{
    (void)state;
    const double y[] = {1, 2}, nothing[] = {NAN, -1};
    const att_series good = {.y = y, .n = 2};
    const struct {
        att_curves_desc desc;
        att_series series;
        int64_t n;
        const char *says;
    } bad[] = {
        {{0}, good, 0, "no series"},
        {{0}, {.y = NULL, .n = 2}, 1, "no values"},
        {{0}, {.y = y, .n = -1}, 1, "-1 points"},
        {{0}, {.y = y, .n = 2, .panel = 2}, 1, "panel 2"},
        {{0}, {.y = y, .n = 2, .smooth = 1}, 1, "smooth 1"},
        {{0}, {.y = nothing, .n = 1}, 1, "no point can be shown"},
        {{.log_y = {1}}, {.y = nothing, .n = 2}, 1, "no point can be shown"},
        {{.width = 50}, good, 1, "no room for the axes"},
        {{.width = -5}, good, 1, "no room for the axes"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(att_plot_curves(&bad[k].desc, &bad[k].series, bad[k].n, picture_path("bad.png")), ATT_E_VALUE);
        if (!strstr(att_last_error(), bad[k].says)) fail_msg("case %zu: %s", k, att_last_error());
    }
    assert_int_equal(att_plot_curves(&(att_curves_desc){.width = 100000}, &good, 1, picture_path("bad.png")),
                     ATT_E_SHAPE);
    assert_int_equal(att_plot_curves(NULL, &good, 1, "curves.pdf"), ATT_E_VALUE);
}

/* Two points far apart: with a line between them their middle is coloured, scattered it is paper. */
static void scattered_points_are_not_joined(void **state)
{
    (void)state;
    const double x[] = {1, 0, 0.5}, y[] = {10, 0, 10};
    for (int scatter = 0; scatter < 2; scatter++) {
        att_series s = {.x = x, .y = y, .n = 3, .mark = scatter ? ATT_MARK_SCATTER : ATT_MARK_POINTS};
        assert_ok(att_plot_curves(&(att_curves_desc){.scale = 1}, &s, 1, picture_path("dots.png")));
        picture p = read_png(picture_path("dots.png"));
        int joined = 0, dots = 0;
        for (int i = 0; i < p.w; i++)
            for (int j = 0; j < p.h; j++) {
                dots += pixel(&p, i, j) == att_series_color(0);
                joined += pixel(&p, i, j) == att_mix(att_series_color(0), ATT_PAPER, 0.35);
            }
        assert_true(dots >= 3 * 20);
        assert_true(scatter ? joined == 0 : joined > 100);
        free(p.rgb);
        char text[2][8000] = {{0}};
        FILE *f = fmemopen(text[scatter], sizeof text[0], "w");
        assert_ok(att_plot_curves_terminal(NULL, NULL, &s, 1, f));
        fclose(f);
        int marks = count(text[scatter], "\xe2\xa0") + count(text[scatter], "\xe2\xa1") +
                    count(text[scatter], "\xe2\xa2") + count(text[scatter], "\xe2\xa3");
        assert_true(scatter ? marks == 3 : marks > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoothing_equals_its_definition),
        cmocka_unit_test(lines_reach_their_points),
        cmocka_unit_test(scattered_points_are_not_joined),
        cmocka_unit_test(gaps_cut_lines),
        cmocka_unit_test(every_mark_in_two_panels),
        cmocka_unit_test(strange_numbers_make_pictures_or_errors),
        cmocka_unit_test(impossible_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
