/* Curves as text: every character holds 2 x 4 Braille dots. */
#include <math.h>
#include <string.h>

#include "plot/axis.h"
#include "plot/colors.h"
#include "plot/label.h"
#include "plot/terminal.h"

enum { TICK_COLUMNS = 9, LINES = 16, LINES_OF_TWO = 10 };

typedef struct grid {
    const att_series *series;
    int64_t n;
    const att_axis *x, *y;
    int panel, columns, lines;
    unsigned char *dots; /* (lines, columns) */
    short *owner;        /* (lines, columns): series that drew last */
} grid;

static void set_dot(grid *g, double u, double v, int64_t k)
{
    static const unsigned char bit[4][2] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};
    int64_t x = (int64_t)lround(u * (2 * g->columns - 1)), y = (int64_t)lround((1 - v) * (4 * g->lines - 1));
    if (x < 0 || y < 0 || x >= 2 * g->columns || y >= 4 * g->lines) return;
    int64_t at = y / 4 * g->columns + x / 2;
    g->dots[at] |= bit[y % 4][x % 2];
    g->owner[at] = (short)(k % 1024);
}

static void draw_between(grid *g, const double a[2], const double b[2], int64_t k)
{
    double wide = fabs(b[0] - a[0]) * 2 * g->columns, tall = fabs(b[1] - a[1]) * 4 * g->lines;
    int64_t steps = (int64_t)ceil(fmax(wide, tall)) + 1;
    for (int64_t i = 0; i <= steps; i++) {
        double t = (double)i / (double)steps;
        set_dot(g, a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), k);
    }
}

static void draw_series(grid *g, int64_t k, double *smoothed)
{
    const att_series *s = &g->series[k];
    const double *value = s->y;
    double before[2] = {NAN, NAN};
    if (s->smooth > 0) {
        att_series_smooth(s, smoothed);
        value = smoothed;
    }
    for (int64_t i = 0; i < s->n; i++) {
        double at[2] = {att_axis_at(g->x, att_series_x(s, i)), att_axis_at(g->y, value[i])};
        bool shown = !isnan(at[0]) && !isnan(at[1]);
        if (shown && s->mark == ATT_MARK_BARS)
            draw_between(g, (double[]){at[0], 0}, at, k);
        else if (shown && !isnan(before[0]) && s->mark != ATT_MARK_SCATTER)
            draw_between(g, before, at, k);
        else if (shown)
            set_dot(g, at[0], at[1], k);
        memcpy(before, shown ? at : (double[]){NAN, NAN}, sizeof before);
    }
}

static uint32_t owner_ink(const grid *g, int64_t k)
{
    return att_series_ink(&g->series[k], k);
}

static void put_lines(att_draft *out, const grid *g, att_terminal_color mode)
{
    for (int line = 0; line < g->lines; line++) {
        const char *tick = "";
        for (int i = 0; i < g->y->ticks.n; i++)
            if ((int)lround((1 - att_axis_at(g->y, g->y->ticks.at[i])) * (g->lines - 1)) == line)
                tick = g->y->ticks.text[i];
        att_terminal_pad(out, tick, TICK_COLUMNS, 1);
        att_draft_text(out, tick[0] ? " \xe2\x94\xa4" : " \xe2\x94\x82");
        for (int j = 0; j < g->columns; j++) {
            unsigned char dots = g->dots[line * g->columns + j];
            if (!dots) {
                att_draft_text(out, " ");
                continue;
            }
            att_terminal_ink(out, mode, owner_ink(g, g->owner[line * g->columns + j]));
            att_draft_format(out, "\xe2%c%c", 0xa0 | dots >> 6, 0x80 | (dots & 63));
            att_terminal_reset(out, mode);
        }
        att_draft_text(out, "\n");
    }
}

static void put_x_axis(att_draft *out, const grid *g, const char *name)
{
    char marks[512];
    int width = g->columns < 400 ? g->columns : 400, used = 0;
    memset(marks, ' ', sizeof marks);
    att_terminal_pad(out, "", TICK_COLUMNS + 1, -1);
    att_draft_text(out, "\xe2\x94\x94");
    for (int j = 0; j < g->columns; j++) att_draft_text(out, "\xe2\x94\x80");
    for (int i = 0; i < g->x->ticks.n; i++) {
        int n = (int)strlen(g->x->ticks.text[i]);
        int at = (int)lround(att_axis_at(g->x, g->x->ticks.at[i]) * (width - 1)) - n / 2;
        if (at < used || at + n > width + 4) continue;
        memcpy(marks + at, g->x->ticks.text[i], (size_t)n);
        used = at + n + 1;
    }
    att_draft_text(out, "\n");
    att_terminal_pad(out, "", TICK_COLUMNS + 2, -1);
    att_draft_add(out, marks, (size_t)used);
    if (name[0]) att_draft_format(out, "  %s", name);
    att_draft_text(out, "\n");
}

static att_status put_panel(att_draft *out, grid *g, att_terminal_color mode)
{
    size_t cells = (size_t)g->lines * (size_t)g->columns;
    int64_t longest = 1;
    void *dots = NULL, *owner = NULL, *smoothed = NULL;
    for (int64_t i = 0; i < g->n; i++) longest = att_max64(longest, g->series[i].n);
    att_status st = att_new_array(NULL, cells, 1, &dots);
    if (st == ATT_OK) st = att_new_array(NULL, cells, sizeof(short), &owner);
    if (st == ATT_OK) st = att_new_array(NULL, (size_t)longest, sizeof(double), &smoothed);
    g->dots = dots;
    g->owner = owner;
    for (int64_t k = 0; st == ATT_OK && k < g->n; k++)
        if (g->series[k].panel == g->panel) draw_series(g, k, smoothed);
    if (st == ATT_OK) put_lines(out, g, mode);
    att_free(NULL, dots, cells);
    att_free(NULL, owner, cells * sizeof(short));
    att_free(NULL, smoothed, (size_t)longest * sizeof(double));
    return st;
}

static att_status put_clean(att_draft *out, const char *before, const char *raw, const char *after)
{
    char *text;
    ATT_TRY(att_label_clean(raw, &text));
    if (text[0]) {
        att_draft_text(out, before);
        att_draft_text(out, text);
        att_draft_text(out, after);
    }
    att_label_free(text);
    return ATT_OK;
}

static att_status put_legend(att_draft *out, const att_series *series, int64_t n, int panel, att_terminal_color mode)
{
    for (int64_t k = 0; k < n; k++) {
        if (series[k].panel != panel || !series[k].name) continue;
        att_terminal_pad(out, "", TICK_COLUMNS + 3, -1);
        att_terminal_ink(out, mode, att_series_ink(&series[k], k));
        att_draft_text(out, "\xe2\xa0\xa4\xe2\xa0\xa4");
        att_terminal_reset(out, mode);
        ATT_TRY(put_clean(out, " ", series[k].name, ""));
        att_draft_text(out, "\n");
    }
    return ATT_OK;
}

att_status att_terminal_curves(const att_terminal_desc *terminal, const att_curves_desc *desc, const att_series *series,
                               int64_t n, att_draft *out)
{
    att_terminal_color color = terminal ? terminal->color : ATT_TERMINAL_PLAIN;
    att_axis x, y[2];
    char *x_name;
    ATT_TRY(att_curves_axes(desc, series, n, &x, y));
    bool two = y[0].used && y[1].used;
    int width = terminal && terminal->width ? terminal->width : 80, columns = width - TICK_COLUMNS - 4;
    ATT_REQUIRE(columns >= 10 && columns < 100000, ATT_E_VALUE, "terminal: width %d, expected at least %d", width,
                TICK_COLUMNS + 14);
    ATT_TRY(put_clean(out, "", desc->title, "\n\n"));
    for (int p = 0; p < 2; p++) {
        if (!y[p].used) continue;
        grid g = {.series = series, .n = n, .x = &x, .y = &y[p], .panel = p, .columns = columns};
        g.lines = two ? LINES_OF_TWO : LINES;
        ATT_TRY(put_clean(out, "           ", desc->y_name[p], "\n"));
        ATT_TRY(put_legend(out, series, n, p, color));
        ATT_TRY(put_panel(out, &g, color));
        ATT_TRY(att_label_clean(two && p == 0 ? "" : desc->x_name, &x_name));
        put_x_axis(out, &g, x_name);
        att_label_free(x_name);
    }
    return ATT_OK;
}

att_status att_plot_curves_terminal(const att_terminal_desc *terminal, const att_curves_desc *desc,
                                    const att_series *series, int64_t n, FILE *stream)
{
    static const att_curves_desc plain = {0};
    att_draft out = {0};
    ATT_REQUIRE(stream, ATT_E_VALUE, "terminal: the stream is NULL");
    att_status st = att_terminal_curves(terminal, desc ? desc : &plain, series, n, &out);
    return att_terminal_flush(&out, st, stream);
}
