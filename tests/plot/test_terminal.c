#include "harness.h"

#include <utf8proc.h>

#include <attend/plot.h>

#include "plot/label.h"

static const char *const words[] = {
    "the", "孩子们", "हिन्दी", "الأطفال", "e\xcc\x81t\xc3\xa9", "a", "\x1b[2Jx", "\xf0\x9f\x98\x80",
    "-",   "</s>",   " ",     ""};
enum { WORDS = sizeof words / sizeof *words };

/* What att_plot_terminal draws; free with free. */
static char *drawn(const att_terminal_desc *terminal, const att_heatmap_desc *desc, const float *w, int64_t rows,
                   int64_t cols, const char *const *r, const char *const *c)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    assert_ok(att_plot_terminal(terminal, desc, w, rows, cols, r, c, f));
    fclose(f);
    return text;
}

/* Drop the escape sequences of colours; anything else that starts with ESC fails the test. */
static void strip_colors(char *text)
{
    char *to = text;
    for (const char *s = text; *s;) {
        if (*s != '\x1b') {
            *to++ = *s++;
            continue;
        }
        assert_int_equal(s[1], '[');
        size_t n = 2 + strspn(s + 2, "0123456789;");
        assert_int_equal(s[n], 'm');
        s += n + 1;
    }
    *to = '\0';
}

static void every_line_is_of_one_width(void **state)
{
    (void)state;
    float w[WORDS * WORDS];
    fill_f32(w, WORDS * WORDS, 1, 1);
    for (int color = ATT_TERMINAL_PLAIN; color <= (int)ATT_TERMINAL_TRUE; color++)
        for (int values = 0; values < 2; values++) {
            att_terminal_desc terminal = {(att_terminal_color)color, 200};
            char *text = drawn(&terminal, &(att_heatmap_desc){.show_values = values}, w, WORDS, WORDS, words, words);
            if (color != ATT_TERMINAL_PLAIN) strip_colors(text);
            assert_null(strchr(text, '\x1b'));
            int lines = 0, width = 0;
            for (char *line = strtok(text, "\n"); line && lines < 1 + WORDS; line = strtok(NULL, "\n"), lines++) {
                int columns = att_label_columns(line, strlen(line));
                if (lines == 0) width = columns;
                assert_int_equal(columns, width);
            }
            assert_int_equal(lines, 1 + WORDS);
            free(text);
        }
}

static void narrow_terminals_get_strips(void **state)
{
    (void)state;
    enum { N = 50 };
    float w[2 * N];
    const char *label[N];
    fill_f32(w, 2 * N, 2, 1);
    for (int j = 0; j < N; j++) label[j] = words[j % WORDS];
    for (int width = 1; width <= 130; width += 3) {
        char *text = drawn(&(att_terminal_desc){.width = width}, NULL, w, 2, N, (const char *[]){"r1", "r2"}, label);
        int strips = 0;
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
            bool scale = strstr(line, "\xe2\x96\x91") && line[strspn(line, " ")] == '-';
            if (width >= 8 && !scale) assert_in_range(att_label_columns(line, strlen(line)), 0, width + 1);
            strips += strncmp(line, "r1 ", 3) == 0;
        }
        if (width >= 8) assert_in_range(strips, (2 * N + width - 1) / width, (2 * N) / (width - 5) + 1);
        free(text);
    }
}

static void shades_follow_the_weights(void **state)
{
    (void)state;
    const float w[6] = {0, .3f, .5f, .7f, 1, NAN};
    char *text = drawn(NULL, NULL, w, 1, 6, (const char *[]){"r"}, NULL);
    assert_non_null(strstr(text, "r    \xe2\x96\x91\xe2\x96\x91\xe2\x96\x91\xe2\x96\x92\xe2\x96\x92\xe2\x96\x92"
                                 "\xe2\x96\x93\xe2\x96\x93\xe2\x96\x93\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88???\n"));
    free(text);
    text = drawn(NULL, &(att_heatmap_desc){.show_values = 1}, w, 1, 6, (const char *[]){"r"}, NULL);
    assert_non_null(strstr(text, "r 0    .30  .50  .70  1    ?"));
    free(text);
}

static void colors_are_those_of_the_map(void **state)
{
    (void)state;
    const float w[2] = {0, 1};
    char *text = drawn(&(att_terminal_desc){.color = ATT_TERMINAL_TRUE}, &(att_heatmap_desc){.colors = ATT_COLORS_GREY},
                       w, 1, 2, NULL, NULL);
    assert_non_null(strstr(text, "\x1b[48;2;0;0;0m"));
    assert_non_null(strstr(text, "\x1b[48;2;255;255;255m"));
    free(text);
    text = drawn(&(att_terminal_desc){.color = ATT_TERMINAL_256}, &(att_heatmap_desc){.colors = ATT_COLORS_GREY}, w, 1,
                 2, NULL, NULL);
    assert_non_null(strstr(text, "\x1b[48;5;16m"));
    assert_non_null(strstr(text, "\x1b[48;5;231m"));
    free(text);
}

/* Any bytes become printable UTF-8 of a definite width. */
static void labels_are_always_clean(void **state)
{
    (void)state;
    att_random r = {.seed = 3};
    for (int k = 0; k < 5000; k++) {
        char raw[24];
        size_t n = (size_t)att_random_below(&r, sizeof raw);
        for (size_t i = 0; i < n; i++) raw[i] = (char)(1 + att_random_below(&r, 255));
        raw[n] = '\0';
        char *clean;
        assert_ok(att_label_clean(raw, &clean));
        size_t at = 0;
        for (size_t step; (step = att_label_cluster(clean + at)) > 0; at += step)
            assert_true(att_label_columns(clean + at, step) >= 0);
        assert_int_equal(at, strlen(clean));
        for (at = 0; clean[at];) {
            utf8proc_int32_t c;
            utf8proc_ssize_t took = utf8proc_iterate((const utf8proc_uint8_t *)clean + at, -1, &c);
            assert_true(took > 0 && c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0));
            at += (size_t)took;
        }
        att_label_free(clean);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_of_one_width), cmocka_unit_test(narrow_terminals_get_strips),
        cmocka_unit_test(shades_follow_the_weights),  cmocka_unit_test(colors_are_those_of_the_map),
        cmocka_unit_test(labels_are_always_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
