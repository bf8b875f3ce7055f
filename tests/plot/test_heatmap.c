#include "plot/pictures.h"

#include <jansson.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <attend/plot.h>

#include "plot/colors.h"

/* Everything that could break XML, HTML or a script, and text in several scripts. */
static const char *const evil[] = {"<script>alert(1)</script>",
                                   "\"'&amp;&",
                                   "]]></script><b>",
                                   "\x01\x1b[31mred\x7f",
                                   "bad \xff\xfe utf\xc3",
                                   "\xe2\x80\xae"
                                   "override",
                                   " ",
                                   "",
                                   "niño",
                                   "الأطفال",
                                   "हिन्दी",
                                   "孩子们",
                                   "\xef\xbf\xbf",
                                   "a\nb\tc",
                                   "\xf0\x9f\x98\x80 \\u003c"};
enum { EVIL = sizeof evil / sizeof *evil };

static void cells_have_their_colors(void **state)
{
    (void)state;
    const float w[2 * 3] = {0, .5f, 1, .25f, NAN, .75f};
    for (int map = ATT_COLORS_DUSK; map <= (int)ATT_COLORS_INK; map++)
        for (int scale = 1; scale <= 3; scale++) {
            att_heatmap_desc desc = {.colors = (att_colors)map, .cell = 21, .scale = scale};
            assert_ok(att_plot_heatmap(&desc, w, 2, 3, NULL, NULL, picture_path("cells.png")));
            picture p = read_png(picture_path("cells.png"));
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 3; j++) /* without words the map starts at the padding, 20 */
                    assert_int_equal(pixel(&p, scale * (20 + 21 * j + 10), scale * (20 + 21 * i + 10)),
                                     att_colors_at((att_colors)map, isnan(w[3 * i + j])
                                                                        ? NAN
                                                                        : round((double)w[3 * i + j] * 255) / 255));
            assert_int_equal(pixel(&p, 0, 0), 0xffffff);
            assert_int_equal(pixel(&p, p.w - 1, p.h - 1), 0xffffff);
            assert_int_equal(painted(&p, 0, 0, (20 + 63) * scale, 19 * scale), 0);
            assert_true(painted(&p, scale * (20 + 63 + 20), 20 * scale, p.w, p.h) > 100); /* the bar */
            free(p.rgb);
        }
}

static void words_stand_beside_their_cells(void **state)
{
    (void)state;
    const float w[2 * 2] = {1, 0, 0, 1};
    att_heatmap_desc desc = {.cell = 30, .scale = 1};
    assert_ok(att_plot_heatmap(&desc, w, 2, 2, (const char *[]){"row", ""}, (const char *[]){"", "column"},
                               picture_path("words.png")));
    picture p = read_png(picture_path("words.png"));
    int left = 0, top = 0; /* corner of the map: the first cell is yellow */
    for (int y = 0; y < p.h && !top; y++)
        for (int x = 0; x < p.w; x++)
            if (pixel(&p, x, y) == att_colors_at(ATT_COLORS_DUSK, 1)) {
                left = x;
                top = y;
                break;
            }
    assert_in_range(left, 30, p.w);
    assert_in_range(top, 30, p.h);
    assert_true(painted(&p, 0, top, left, top + 30) > 20);
    assert_int_equal(painted(&p, 0, top + 31, left, top + 60), 0);
    assert_true(painted(&p, left + 30, 0, p.w, top) > 20);
    assert_int_equal(painted(&p, 0, 0, left + 28, top), 0);
    free(p.rgb);
}

static void sizes_adapt(void **state)
{
    (void)state;
    enum { N = 300 };
    static float w[N * N];
    static const char *label[N];
    fill_f32(w, N * N, 3, 1);
    for (int i = 0; i < N; i++) label[i] = i % 3 ? "internationalisation of very long words that never end" : "the";
    const int64_t size[][2] = {{1, 1}, {1, 60}, {60, 1}, {60, 60}, {N, N}, {2, N}};
    for (size_t k = 0; k < sizeof size / sizeof *size; k++) {
        assert_ok(att_plot_heatmap(&(att_heatmap_desc){.title = "A title", .row_name = "r", .col_name = "c"}, w,
                                   size[k][0], size[k][1], label, label, picture_path("size.png")));
        picture p = read_png(picture_path("size.png"));
        assert_in_range(p.w, 8 * size[k][1] + 80, 4000);
        assert_in_range(p.h, 8 * size[k][0] + 80, 4000);
        free(p.rgb);
    }
}

static void sheet_holds_every_map(void **state)
{
    (void)state;
    enum { L = 2, H = 3, R = 2, C = 2 };
    float w[L * H * R * C];
    for (int i = 0; i < L * H * R * C; i++) w[i] = (float)(i / 4) / 5;
    assert_ok(att_plot_heatmap_grid(&(att_heatmap_desc){.cell = 20, .scale = 1}, w, L, H, R, C, NULL, NULL, NULL,
                                    picture_path("sheet.png")));
    picture p = read_png(picture_path("sheet.png"));
    for (int l = 0; l < L; l++)
        for (int h = 0; h < H; h++)
            assert_int_equal(pixel(&p, 20 + h * (40 + 16) + 5, 20 + l * (40 + 16 + 22) + 5),
                             att_colors_at(ATT_COLORS_DUSK, (l * H + h) / 5.0));
    free(p.rgb);
}

static void svg_and_html_stay_well_formed(void **state)
{
    (void)state;
    float w[EVIL * EVIL];
    fill_f32(w, EVIL * EVIL, 9, 1);
    w[5] = NAN;
    for (int k = 0; k < 2; k++) {
        att_heatmap_desc desc = {.title = evil[k], .row_name = evil[2 - k], .col_name = evil[4], .show_values = k};
        assert_ok(att_plot_heatmap(&desc, w, EVIL, EVIL, evil, evil, picture_path("evil.svg")));
        char *svg = read_text(picture_path("evil.svg"), NULL);
        assert_true(well_formed(svg));
        assert_null(strstr(svg, "<script"));
        assert_non_null(strstr(svg, "&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert_non_null(strstr(svg, "niño"));
        assert_non_null(strstr(svg, "\xe2\x90\xa3")); /* the blank */
        free(svg);
        assert_ok(att_plot_heatmap(&desc, w, EVIL, EVIL, evil, evil, picture_path("evil.html")));
        char *html = read_text(picture_path("evil.html"), NULL);
        assert_true(well_formed(html));
        assert_null(strstr(html, "<script>alert"));
        free(html);
        assert_ok(att_plot_heatmap(&desc, w, EVIL, EVIL, evil, evil, picture_path("evil.png")));
        free(read_png(picture_path("evil.png")).rgb);
    }
}

static json_t *page_data(const char *html, int number)
{
    const char *start = html;
    for (int k = 0; k <= number; k++) {
        start = strstr(start, "class=\"map\">");
        if (!start) fail_msg("no map %d in the page", number);
        start += strlen("class=\"map\">");
    }
    json_error_t error;
    json_t *data = json_loadb(start, (size_t)(strstr(start, "</script>") - start), 0, &error);
    if (!data) fail_msg("%s", error.text);
    return data;
}

static void page_holds_words_and_weights(void **state)
{
    (void)state;
    const float w[2 * 3] = {.125f, .25f, .5f, 1, NAN, .75f};
    assert_ok(att_plot_heatmap(NULL, w, 2, 3, evil, evil + 8, picture_path("page.html")));
    char *html = read_text(picture_path("page.html"), NULL);
    assert_null(strstr(html, "http://") == strstr(html, "http://www.w3.org/2000/svg") ? NULL
                                                                                      : "a link"); /* no network */
    assert_null(strstr(html, "https://"));
    json_t *data = page_data(html, 0);
    assert_string_equal(json_string_value(json_array_get(json_object_get(data, "rows"), 0)), evil[0]);
    assert_string_equal(json_string_value(json_array_get(json_object_get(data, "cols"), 1)), "الأطفال");
    json_t *weights = json_object_get(data, "weights");
    assert_int_equal(json_array_size(weights), 6);
    for (size_t i = 0; i < 6; i++) {
        json_t *v = json_array_get(weights, i);
        if (isnan(w[i]))
            assert_true(json_is_null(v));
        else
            assert_true(json_number_value(v) == (double)w[i]);
    }
    json_decref(data);
    free(html);
}

static void failures_say_what_and_leave_the_old_picture(void **state)
{
    (void)state;
    const float w[4] = {0, 1, 2, 3};
    char path[256];
    snprintf(path, sizeof path, "%s", picture_path("kept.png"));
    assert_ok(att_plot_heatmap(NULL, w, 2, 2, NULL, NULL, path));
    size_t before, after;
    char *old = read_text(path, &before);
    const struct {
        att_heatmap_desc desc;
        int64_t rows, cols;
        const char *path;
        att_status status;
        const char *says;
    } bad[] = {
        {{0}, 2, 2, "x.gif", ATT_E_VALUE, "x.gif"},
        {{0}, 2, 2, "png", ATT_E_VALUE, ".png, .svg, .html or .txt"},
        {{0}, 0, 2, path, ATT_E_VALUE, "0 rows"},
        {{0}, 2, -1, path, ATT_E_VALUE, "-1 columns"},
        {{0}, INT64_MAX, 2, path, ATT_E_SHAPE, "at most"},
        {{.cell = 9000}, 2, 2, path, ATT_E_SHAPE, "16384"},
        {{.cell = -1}, 2, 2, path, ATT_E_VALUE, "cell -1"},
        {{.vmin = 2, .vmax = 1}, 2, 2, path, ATT_E_VALUE, "2 to 1"},
        {{.vmin = NAN}, 2, 2, path, ATT_E_VALUE, "nan"},
        {{.scale = -1}, 2, 2, path, ATT_E_VALUE, "scale"},
        {{.scale = NAN}, 2, 2, path, ATT_E_VALUE, "scale"},
        {{0}, 2, 2, "/nonexistent/dir/x.png", ATT_E_IO, "/nonexistent/dir/x.png"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(att_plot_heatmap(&bad[k].desc, w, bad[k].rows, bad[k].cols, NULL, NULL, bad[k].path),
                         bad[k].status);
        if (!strstr(att_last_error(), bad[k].says)) fail_msg("case %zu: %s", k, att_last_error());
    }
    assert_int_equal(att_plot_heatmap(NULL, NULL, 2, 2, NULL, NULL, path), ATT_E_VALUE);
    assert_int_equal(att_plot_heatmap(NULL, w, 2, 2, NULL, NULL, NULL), ATT_E_VALUE);
    char *now = read_text(path, &after);
    assert_int_equal(before, after);
    assert_memory_equal(old, now, before);
    free(old);
    free(now);
}

static void full_disk_is_an_error(void **state)
{
    (void)state;
    const float w[1] = {1};
    if (access("/dev/full", W_OK) != 0) skip();
    assert_int_equal(symlink("/dev/full", picture_path("full.svg")), 0);
    assert_int_equal(att_plot_heatmap(NULL, w, 1, 1, NULL, NULL, picture_path("full.svg")), ATT_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_have_their_colors),
        cmocka_unit_test(words_stand_beside_their_cells),
        cmocka_unit_test(sizes_adapt),
        cmocka_unit_test(sheet_holds_every_map),
        cmocka_unit_test(svg_and_html_stay_well_formed),
        cmocka_unit_test(page_holds_words_and_weights),
        cmocka_unit_test(failures_say_what_and_leave_the_old_picture),
        cmocka_unit_test(full_disk_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
