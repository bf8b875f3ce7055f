/* Curves, points and bars over common axes, in one panel or two. */
#include <math.h>
#include <string.h>

#include "plot/axis.h"
#include "plot/canvas.h"
#include "plot/colors.h"
#include "plot/terminal.h"
#include "plot/text.h"

enum { PAD = 20, PANEL_SPACE = 26, LEGEND_LINE = 20 };
static const double TITLE_SIZE = 15, TEXT_SIZE = 11.5;

typedef struct figure {
    const att_curves_desc *desc;
    const att_series *series;
    int64_t n;
    att_fonts *fonts;
    att_canvas *canvas;
    att_labels name; /* of the series */
    char *title, *x_name, *y_name[2];
    att_axis x, y[2];
    double width, height, left, right;
    double top[2], bottom[2]; /* of the panels */
    double *scratch;          /* (longest series, 3): points, smoothed values */
} figure;

static double text_width(figure *f, const char *text)
{
    return att_fonts_width(f->fonts, text, TEXT_SIZE, false);
}

/* Legend entries flow in lines below the title; returns the height they take, drawing only when a canvas is there. */
static double legend(figure *f, double top)
{
    double x = f->left, y = top;
    bool any = false;
    for (int64_t i = 0; i < f->n; i++) {
        if (!f->name.text[i][0]) continue;
        double w = text_width(f, f->name.text[i]) + 46;
        if (any && x + w > f->width - PAD) {
            x = f->left;
            y += LEGEND_LINE;
        }
        if (f->canvas) {
            att_mark mark = f->series[i].mark;
            uint32_t color = att_series_ink(&f->series[i], i);
            if (mark == ATT_MARK_BARS)
                att_canvas_rect(f->canvas, x + 5, y + 3, 11, 11, color);
            else if (mark != ATT_MARK_SCATTER)
                att_canvas_line(f->canvas, x + 1, y + 8.5, x + 17, y + 8.5, 2.2, color);
            if (mark == ATT_MARK_POINTS || mark == ATT_MARK_SCATTER)
                att_canvas_polyline(f->canvas, (double[]){x + 9, y + 8.5}, 1, 7, color);
            att_canvas_text(f->canvas, x + 24, y + 12.5, f->name.text[i],
                            &(att_text_style){.size = TEXT_SIZE, .color = ATT_INK});
        }
        x += w;
        any = true;
    }
    return any ? y - top + LEGEND_LINE + 6 : 0;
}

static double title_height(const figure *f)
{
    return f->title[0] ? TITLE_SIZE + 14 : 0;
}

static att_status lay_out(figure *f)
{
    bool two = f->y[0].used && f->y[1].used;
    double widest = 0;
    f->width = f->desc->width ? f->desc->width : 760;
    f->height = f->desc->height ? f->desc->height : two ? 640 : 440;
    for (int p = 0; p < 2; p++)
        for (int i = 0; f->y[p].used && i < f->y[p].ticks.n; i++)
            widest = fmax(widest, text_width(f, f->y[p].ticks.text[i]));
    bool names = f->y_name[0][0] || f->y_name[1][0];
    f->left = ceil(PAD + (names ? TEXT_SIZE * 1.9 : 0) + widest + 9);
    double last = f->x.ticks.n ? text_width(f, f->x.ticks.text[f->x.ticks.n - 1]) / 2 : 0;
    f->right = floor(f->width - PAD - fmax(last - 8, 0));
    double top = ceil(PAD + title_height(f) + legend(f, 0));
    double bottom = floor(f->height - PAD - TEXT_SIZE * 1.6 - (f->x_name[0] ? TEXT_SIZE * 1.7 : 0));
    double room = two ? bottom - top - PANEL_SPACE : bottom - top;
    ATT_REQUIRE(f->right - f->left >= 40 && room >= (two ? 100 : 50), ATT_E_VALUE,
                "curves: %g x %g pixels leave no room for the axes; 760 x 440 is usual", f->width, f->height);
    f->top[0] = f->top[1] = top;
    f->bottom[0] = f->bottom[1] = bottom;
    if (two) {
        f->bottom[0] = floor(top + room * 0.56);
        f->top[1] = f->bottom[0] + PANEL_SPACE;
    }
    return att_text_fit(f->fonts, TITLE_SIZE, true, f->width - 2 * PAD, &f->title);
}

static double at_x(const figure *f, double v)
{
    return f->left + att_axis_at(&f->x, v) * (f->right - f->left);
}

static double at_y(const figure *f, int panel, double v)
{
    return f->bottom[panel] - att_axis_at(&f->y[panel], v) * (f->bottom[panel] - f->top[panel]);
}

static void draw_axes(figure *f, int p, bool lowest)
{
    att_text_style style = {.size = TEXT_SIZE, .anchor = 1, .color = ATT_MUTED};
    for (int i = 0; i < f->y[p].ticks.n; i++) {
        double y = round(at_y(f, p, f->y[p].ticks.at[i]));
        att_canvas_rect(f->canvas, f->left, y - 0.5, f->right - f->left, 1, ATT_RULE);
        att_canvas_text(f->canvas, f->left - 8, y + TEXT_SIZE * 0.36, f->y[p].ticks.text[i], &style);
    }
    style.anchor = 0.5;
    for (int i = 0; i < f->x.ticks.n; i++) {
        double x = round(at_x(f, f->x.ticks.at[i]));
        att_canvas_rect(f->canvas, x - 0.5, f->top[p], 1, f->bottom[p] - f->top[p], ATT_RULE);
        att_canvas_rect(f->canvas, x - 0.5, f->bottom[p], 1, 4, ATT_AXIS);
        if (lowest) att_canvas_text(f->canvas, x, f->bottom[p] + TEXT_SIZE * 1.6, f->x.ticks.text[i], &style);
    }
    att_canvas_rect(f->canvas, f->left - 0.5, f->bottom[p] - 0.5, f->right - f->left + 1, 1, ATT_AXIS);
    if (lowest) att_canvas_text(f->canvas, (f->left + f->right) / 2, f->bottom[p] + TEXT_SIZE * 3.3, f->x_name, &style);
    style.angle = -90;
    att_canvas_text(f->canvas, PAD + TEXT_SIZE * 0.6, (f->top[p] + f->bottom[p]) / 2, f->y_name[p], &style);
}

/* A line through the values with gaps at NaN. Of the many points that share a pixel's column only the first, the last
 * and the extremes are drawn: the same picture with fewer strokes. */
static void draw_line(figure *f, const att_series *s, const double *value, double width, uint32_t color)
{
    double *xy = f->scratch;
    int64_t n = 0, column = 0;
    for (int64_t i = 0; i < s->n; i++) {
        double x = at_x(f, att_series_x(s, i)), y = at_y(f, s->panel, value[i]);
        if (isnan(x) || isnan(y)) {
            att_canvas_polyline(f->canvas, xy, n, width, color);
            n = column = 0;
            continue;
        }
        bool same = n > 0 && fabs(x - xy[2 * column]) < 0.5;
        if (!same) column = n;
        if (same && n - column >= 4) { /* entries: first, lowest, highest, last */
            double *e = xy + 2 * column;
            double low = fmin(fmin(e[3], e[5]), e[7]), high = fmax(fmax(e[3], e[5]), e[7]);
            e[3] = low, e[5] = high;
            e[6] = x, e[7] = y;
            continue;
        }
        xy[2 * n] = x;
        xy[2 * n++ + 1] = y;
    }
    att_canvas_polyline(f->canvas, xy, n, width, color);
}

static void draw_errors(figure *f, const att_series *s, double shift, uint32_t color)
{
    for (int64_t i = 0; s->error && i < s->n; i++) {
        double x = at_x(f, att_series_x(s, i)) + shift, e = s->error[i];
        double low = at_y(f, s->panel, s->y[i] - e), high = at_y(f, s->panel, s->y[i] + e);
        if (isnan(x) || isnan(high)) continue;
        if (isnan(low)) low = f->bottom[s->panel];
        att_canvas_line(f->canvas, x, low, x, high, 1.3, color);
        att_canvas_line(f->canvas, x - 3.5, high, x + 3.5, high, 1.3, color);
        att_canvas_line(f->canvas, x - 3.5, low, x + 3.5, low, 1.3, color);
    }
}

/* Bars of all series in a panel share the distance between neighbouring x. */
static void draw_bars(figure *f, int64_t k, uint32_t color)
{
    const att_series *s = &f->series[k];
    int64_t groups = 0, group = 0;
    for (int64_t i = 0; i < f->n; i++) {
        if (f->series[i].mark != ATT_MARK_BARS || f->series[i].panel != s->panel) continue;
        if (i < k) group++;
        groups++;
    }
    double space = f->right - f->left;
    for (int64_t i = 1; i < s->n; i++) {
        double gap = fabs(at_x(f, att_series_x(s, i)) - at_x(f, att_series_x(s, i - 1)));
        if (gap > 0) space = fmin(space, gap);
    }
    double w = fmin(space * 0.78 / (double)groups, 64), shift = ((double)group - (double)(groups - 1) / 2) * w;
    double zero = at_y(f, s->panel, f->y[s->panel].log ? f->y[s->panel].lo : 0);
    for (int64_t i = 0; i < s->n; i++) {
        double x = at_x(f, att_series_x(s, i)) + shift, y = at_y(f, s->panel, s->y[i]);
        if (isnan(x) || isnan(y)) continue;
        att_canvas_rect(f->canvas, x - w * 0.47, fmin(y, zero), w * 0.94, fabs(zero - y), color);
    }
    draw_errors(f, s, shift, att_mix(color, 0x000000, 0.45));
}

static void draw_series(figure *f, int64_t k)
{
    const att_series *s = &f->series[k];
    uint32_t color = att_series_ink(s, k);
    if (s->mark == ATT_MARK_BARS) {
        draw_bars(f, k, color);
        return;
    }
    if (s->mark == ATT_MARK_POINTS || s->mark == ATT_MARK_SCATTER) {
        if (s->mark == ATT_MARK_POINTS) draw_line(f, s, s->y, 1.2, att_mix(color, ATT_PAPER, 0.35));
        draw_errors(f, s, 0, color);
        for (int64_t i = 0; i < s->n; i++) {
            double xy[2] = {at_x(f, att_series_x(s, i)), at_y(f, s->panel, s->y[i])};
            if (!isnan(xy[0]) && !isnan(xy[1])) att_canvas_polyline(f->canvas, xy, 1, 7, color);
        }
        return;
    }
    if (s->smooth == 0) {
        draw_line(f, s, s->y, 1.8, color);
        return;
    }
    double *smoothed = f->scratch + 2 * s->n;
    att_series_smooth(s, smoothed);
    draw_line(f, s, s->y, 1, att_mix(color, ATT_PAPER, 0.7));
    draw_line(f, s, smoothed, 2, color);
}

static void draw(figure *f)
{
    bool two = f->y[0].used && f->y[1].used;
    att_canvas_text(f->canvas, PAD, PAD + TITLE_SIZE * 0.85, f->title,
                    &(att_text_style){.size = TITLE_SIZE, .bold = true, .color = ATT_INK});
    legend(f, PAD + title_height(f));
    for (int p = 0; p < 2; p++)
        if (f->y[p].used) draw_axes(f, p, !two || p == 1);
    for (int64_t k = 0; k < f->n; k++)
        if (f->y[f->series[k].panel].used) draw_series(f, k);
}

static att_status compose(figure *f, att_format format, const char *path)
{
    int64_t longest = 1;
    void *block;
    ATT_TRY(att_curves_axes(f->desc, f->series, f->n, &f->x, f->y));
    ATT_TRY(att_labels_create(NULL, f->n, &f->name));
    for (int64_t i = 0; i < f->n; i++) {
        att_label_free(f->name.text[i]);
        ATT_TRY(att_label_clean(f->series[i].name, &f->name.text[i]));
        longest = att_max64(longest, f->series[i].n);
    }
    ATT_TRY(att_label_clean(f->desc->title, &f->title));
    ATT_TRY(att_label_clean(f->desc->x_name, &f->x_name));
    for (int p = 0; p < 2; p++) ATT_TRY(att_label_clean(f->desc->y_name[p], &f->y_name[p]));
    att_status st = att_fonts_create(&f->fonts);
    if (st != ATT_OK && (st != ATT_E_MISSING || format == ATT_FORMAT_PNG)) return st;
    ATT_TRY(lay_out(f));
    ATT_TRY(att_canvas_create(format, f->fonts, f->width, f->height, f->desc->scale, "curves", &f->canvas));
    size_t bytes = 3 * (size_t)longest * sizeof(double);
    ATT_TRY(att_alloc(NULL, bytes, &block));
    f->scratch = block;
    draw(f);
    att_free(NULL, block, bytes);
    return att_canvas_save(f->canvas, path);
}

static att_status draw_text(const att_curves_desc *desc, const att_series *series, int64_t n, const char *path)
{
    att_draft out = {0};
    att_status st = att_terminal_curves(NULL, desc, series, n, &out);
    if (st == ATT_OK) st = att_draft_save(&out, path);
    att_draft_free(&out);
    return st;
}

att_status att_plot_curves(const att_curves_desc *desc, const att_series *series, int64_t n, const char *path)
{
    static const att_curves_desc plain = {0};
    figure f = {.desc = desc ? desc : &plain, .series = series, .n = n};
    att_format format;
    ATT_REQUIRE(path, ATT_E_VALUE, "curves: the path is NULL");
    ATT_TRY(att_format_of(path, &format));
    if (format == ATT_FORMAT_TXT) return draw_text(f.desc, series, n, path);
    att_status st = compose(&f, format, path);
    att_canvas_destroy(f.canvas);
    att_fonts_destroy(f.fonts);
    att_labels_free(&f.name);
    att_label_free(f.title);
    att_label_free(f.x_name);
    for (int p = 0; p < 2; p++) att_label_free(f.y_name[p]);
    return st;
}
