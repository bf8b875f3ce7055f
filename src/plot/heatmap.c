/* Heat maps, alone or many on a sheet. The layout is fixed first, from the widths of the words; drawing follows it. */
#include <math.h>
#include <string.h>

#include <attend/plot.h>

#include "plot/canvas.h"
#include "plot/colors.h"
#include "plot/heatmap.h"
#include "plot/text.h"
#include "plot/ticks.h"

enum { PAD = 20, LABEL_GAP = 7, PANEL_GAP = 16, PANEL_TITLE = 22, BAR_GAP = 22, BAR_WIDTH = 12, BAR_LEAST = 72 };
static const double TITLE_SIZE = 15, NAME_SIZE = 11, LINE = 1.25, LABEL_MOST = 190, SLANT = 50;

typedef struct sheet {
    const att_heatmap *map;
    const att_heatmap_desc *desc;
    att_fonts *fonts;
    att_canvas *canvas;
    att_labels row, col, panel;
    char *title, *row_name, *col_name;
    double lo, hi;
    att_ticks ticks;
    double cell, font;            /* side of a cell; size of the words        */
    int64_t step;                 /* every which word is written              */
    double angle;                 /* of the words above the columns           */
    double row_width, col_height; /* room that the words need                */
    double left, top;             /* corner of the first map                  */
    double map_w, map_h;          /* one map                                  */
    double width, height;         /* the sheet                                */
} sheet;

static double radians(double degrees)
{
    return degrees * 3.14159265358979323846 / 180;
}

static double choose_cell(const sheet *s)
{
    const att_heatmap *m = s->map;
    bool single = m->panel_rows * m->panel_cols == 1;
    double n = (double)att_max64(m->rows, m->cols);
    double room = single ? 800 : fmax(1300 / (double)m->panel_cols - PANEL_GAP, 120);
    double cell = s->desc->cell > 0 ? s->desc->cell : floor(fmin(fmax(room / n, single ? 4 : 2), single ? 32 : 22));
    return s->desc->show_values ? fmax(cell, 30) : cell;
}

/* Upright words when all fit over their cells, else slanted when the lines have room, else vertical. */
static void choose_angle(sheet *s, double widest)
{
    double line = s->font * LINE;
    if (widest <= s->cell - 4)
        s->angle = 0;
    else if (s->cell * sin(radians(SLANT)) >= line * 0.92)
        s->angle = -SLANT;
    else
        s->angle = -90;
    if (widest == 0)
        s->col_height = 0;
    else if (s->angle == 0)
        s->col_height = line + LABEL_GAP;
    else
        s->col_height = widest * -sin(radians(s->angle)) + s->font * 0.5 + LABEL_GAP;
}

/* How far the slanted words reach beyond the right end of the maps. */
static double overhang(const sheet *s)
{
    double most = 0, end = (double)s->map->cols * s->cell;
    if (s->angle == 0 || s->angle == -90) return 0;
    for (int64_t j = 0; j < s->map->cols; j++) {
        double w = att_fonts_width(s->fonts, s->col.text[j], s->font, false);
        most = fmax(most, ((double)j + 0.5) * s->cell + w * cos(radians(s->angle)) + s->font * 0.8 - end);
    }
    return most;
}

static double bar_height(const sheet *s)
{
    return fmin(fmax(s->map_h, BAR_LEAST), 340);
}

static double bar_room(const sheet *s)
{
    double widest = 0;
    for (int i = 0; i < s->ticks.n; i++)
        widest = fmax(widest, att_fonts_width(s->fonts, s->ticks.text[i], NAME_SIZE, false));
    return BAR_GAP + BAR_WIDTH + 8 + widest;
}

static att_status lay_out(sheet *s)
{
    const att_heatmap *m = s->map;
    double widest_row, widest_col, many = (double)(m->panel_rows * m->panel_cols > 1);
    s->cell = choose_cell(s);
    s->font = fmin(fmax(s->cell * 0.72, 7.5), 13);
    s->step = (int64_t)fmax(1, ceil(s->font * LINE * 0.9 / s->cell));
    ATT_TRY(att_labels_fit(s->fonts, s->font, LABEL_MOST, s->step, &s->row, &widest_row));
    ATT_TRY(att_labels_fit(s->fonts, s->font, LABEL_MOST, s->step, &s->col, &widest_col));
    s->row_width = widest_row > 0 ? widest_row + LABEL_GAP : 0;
    choose_angle(s, widest_col);
    s->map_w = (double)m->cols * s->cell;
    s->map_h = (double)m->rows * s->cell;
    att_ticks_linear(s->lo, s->hi, bar_height(s) < 120 ? 3 : 5, &s->ticks);
    double all_w = s->map_w * (double)m->panel_cols + PANEL_GAP * (double)(m->panel_cols - 1);
    double all_h = (s->map_h + many * PANEL_TITLE) * (double)m->panel_rows + PANEL_GAP * (double)(m->panel_rows - 1);
    if (m->panel_rows == 1) all_h = fmax(all_h, bar_height(s));
    s->left = ceil(PAD + (s->row_name[0] ? NAME_SIZE * 2 : 0) + s->row_width);
    s->top = ceil(PAD + (s->title[0] ? TITLE_SIZE + 15 : 0) + (s->col_name[0] ? NAME_SIZE * 2 : 0) + s->col_height);
    s->width = s->left + all_w + fmax(bar_room(s), overhang(s)) + PAD;
    if (s->title[0]) {
        ATT_TRY(att_text_fit(s->fonts, TITLE_SIZE, true, fmax(s->width - 2 * PAD, 620), &s->title));
        s->width = fmax(s->width, 2 * PAD + att_fonts_width(s->fonts, s->title, TITLE_SIZE, true));
    }
    s->width = ceil(s->width);
    s->height = ceil(s->top + all_h + PAD);
    for (int64_t i = 0; i < s->panel.n; i++)
        ATT_TRY(att_text_fit(s->fonts, NAME_SIZE, false, fmax(s->map_w + PANEL_GAP - 6, 24), &s->panel.text[i]));
    return ATT_OK;
}

static void draw_names(sheet *s)
{
    const att_heatmap *m = s->map;
    double all_w = s->map_w * (double)m->panel_cols + PANEL_GAP * (double)(m->panel_cols - 1);
    double down = s->map_h * (double)m->panel_rows + (PANEL_GAP + PANEL_TITLE) * (double)(m->panel_rows - 1);
    att_canvas_text(s->canvas, PAD, PAD + TITLE_SIZE * 0.85, s->title,
                    &(att_text_style){.size = TITLE_SIZE, .bold = true, .color = ATT_INK});
    att_text_style name = {.size = NAME_SIZE, .anchor = 0.5, .color = ATT_MUTED};
    att_canvas_text(s->canvas, s->left + all_w / 2, s->top - s->col_height - NAME_SIZE * 0.8, s->col_name, &name);
    name.angle = -90;
    att_canvas_text(s->canvas, PAD + NAME_SIZE * 0.8, s->top + down / 2, s->row_name, &name);
}

static void draw_row_labels(sheet *s, double y)
{
    att_text_style style = {.size = s->font, .anchor = 1, .color = ATT_INK};
    for (int64_t i = 0; i < s->map->rows; i += s->step)
        att_canvas_text(s->canvas, s->left - LABEL_GAP, y + ((double)i + 0.5) * s->cell + s->font * 0.35,
                        s->row.text[i], &style);
}

static void draw_col_labels(sheet *s, double x)
{
    att_text_style style = {.size = s->font, .angle = s->angle, .anchor = s->angle == 0 ? 0.5 : 0, .color = ATT_INK};
    double turn = radians(s->angle), shift = s->angle == 0 ? 0 : s->font * 0.35; /* the line's middle over the cell's */
    for (int64_t j = 0; j < s->map->cols; j += s->step)
        att_canvas_text(s->canvas, x + ((double)j + 0.5) * s->cell - shift * sin(turn),
                        s->top - LABEL_GAP + shift * cos(turn) * (s->angle == 0 ? 0 : 0.5), s->col.text[j], &style);
}

static void draw_values(sheet *s, double x, double y, const float *w, const uint32_t *palette)
{
    att_text_style style = {.size = fmin(s->cell * 0.36, 12), .anchor = 0.5};
    for (int64_t i = 0; i < s->map->rows; i++)
        for (int64_t j = 0; j < s->map->cols; j++) {
            float v = w[i * s->map->cols + j];
            char text[32];
            att_print_value(text, sizeof text, v);
            style.color = att_lightness(palette[att_color_index(v, s->lo, s->hi)]) > 0.62 ? ATT_INK : ATT_PAPER;
            att_canvas_text(s->canvas, x + ((double)j + 0.5) * s->cell,
                            y + ((double)i + 0.5) * s->cell + style.size * 0.36, text, &style);
        }
}

/* White lines between cells that are large enough to bear them, and a frame around. */
static void draw_lines(sheet *s, double x, double y, const uint32_t *palette)
{
    uint32_t rule = att_lightness(palette[0]) > 0.9 ? ATT_RULE : ATT_PAPER;
    if (s->cell >= 16) {
        for (int64_t j = 1; j < s->map->cols; j++)
            att_canvas_rect(s->canvas, x + (double)j * s->cell - 0.5, y, 1, s->map_h, rule);
        for (int64_t i = 1; i < s->map->rows; i++)
            att_canvas_rect(s->canvas, x, y + (double)i * s->cell - 0.5, s->map_w, 1, rule);
    }
    if (rule == ATT_PAPER) return;
    double xy[] = {x, y, x + s->map_w, y, x + s->map_w, y + s->map_h, x, y + s->map_h, x, y};
    att_canvas_polyline(s->canvas, xy, 5, 1, ATT_AXIS);
}

static void draw_bar(sheet *s, const uint32_t *palette)
{
    double x = s->left + s->map_w * (double)s->map->panel_cols + PANEL_GAP * (double)(s->map->panel_cols - 1) + BAR_GAP;
    double h = bar_height(s);
    uint16_t index[ATT_PALETTE];
    for (int i = 0; i < ATT_PALETTE; i++) index[i] = (uint16_t)(ATT_PALETTE - 1 - i);
    att_canvas_cells(s->canvas, &(att_cells){x, s->top, BAR_WIDTH, h / ATT_PALETTE, ATT_PALETTE, 1, index, palette,
                                             ATT_PALETTE + 1});
    if (att_lightness(palette[0]) > 0.9) {
        double xy[] = {x, s->top, x + BAR_WIDTH, s->top, x + BAR_WIDTH, s->top + h, x, s->top + h, x, s->top};
        att_canvas_polyline(s->canvas, xy, 5, 1, ATT_AXIS);
    }
    for (int i = 0; i < s->ticks.n; i++) {
        double y = s->top + h * (1 - (s->ticks.at[i] - s->lo) / (s->hi - s->lo));
        y = fmin(fmax(y, s->top + 0.5), s->top + h - 0.5);
        att_canvas_rect(s->canvas, x + BAR_WIDTH, y - 0.5, 4, 1, ATT_AXIS);
        att_canvas_text(s->canvas, x + BAR_WIDTH + 8, y + NAME_SIZE * 0.36, s->ticks.text[i],
                        &(att_text_style){.size = NAME_SIZE, .color = ATT_MUTED});
    }
}

static void draw_panel(sheet *s, int64_t p, const uint32_t *palette, uint16_t *index)
{
    const att_heatmap *m = s->map;
    int64_t row = p / m->panel_cols, col = p % m->panel_cols, n = m->rows * m->cols;
    double x = s->left + (double)col * (s->map_w + PANEL_GAP);
    double y = s->top + (double)row * (s->map_h + PANEL_TITLE + PANEL_GAP);
    for (int64_t i = 0; i < n; i++) index[i] = att_color_index(m->weights[p * n + i], s->lo, s->hi);
    att_canvas_cells(s->canvas,
                     &(att_cells){x, y, s->cell, s->cell, m->rows, m->cols, index, palette, ATT_PALETTE + 1});
    draw_lines(s, x, y, palette);
    if (s->desc->show_values) draw_values(s, x, y, m->weights + p * n, palette);
    if (col == 0) draw_row_labels(s, y);
    if (row == 0) draw_col_labels(s, x);
    if (m->panel_rows * m->panel_cols > 1)
        att_canvas_text(s->canvas, x + s->map_w / 2, y + s->map_h + PANEL_TITLE - 7, s->panel.text[p],
                        &(att_text_style){.size = NAME_SIZE, .anchor = 0.5, .color = ATT_MUTED});
}

static att_status draw(sheet *s)
{
    uint32_t palette[ATT_PALETTE + 1];
    size_t bytes = (size_t)(s->map->rows * s->map->cols) * sizeof(uint16_t);
    void *index;
    ATT_TRY(att_alloc(NULL, bytes, &index));
    att_palette(s->desc->colors, palette);
    for (int64_t p = 0; p < s->map->panel_rows * s->map->panel_cols; p++) draw_panel(s, p, palette, index);
    att_free(NULL, index, bytes);
    draw_names(s);
    draw_bar(s, palette);
    return s->canvas->status;
}

static att_status panel_titles(sheet *s)
{
    const att_heatmap *m = s->map;
    int64_t n = m->panel_rows * m->panel_cols;
    ATT_TRY(att_labels_create(m->titles, n, &s->panel));
    for (int64_t p = 0; p < n && !m->titles && n > 1; p++) {
        char text[64];
        snprintf(text, sizeof text, "layer %lld, head %lld", (long long)(p / m->panel_cols + 1),
                 (long long)(p % m->panel_cols + 1));
        att_label_free(s->panel.text[p]);
        s->panel.text[p] = NULL;
        ATT_TRY(att_copy_string(NULL, text, strlen(text), &s->panel.text[p]));
    }
    return ATT_OK;
}

static att_status compose(sheet *s, att_format format, const char *path)
{
    const att_heatmap *m = s->map;
    ATT_TRY(att_labels_create(m->row_labels, m->rows, &s->row));
    ATT_TRY(att_labels_create(m->col_labels, m->cols, &s->col));
    ATT_TRY(panel_titles(s));
    ATT_TRY(att_label_clean(s->desc->title, &s->title));
    ATT_TRY(att_label_clean(s->desc->row_name, &s->row_name));
    ATT_TRY(att_label_clean(s->desc->col_name, &s->col_name));
    att_status st = att_fonts_create(&s->fonts);
    if (st != ATT_OK && (st != ATT_E_MISSING || format == ATT_FORMAT_PNG)) return st;
    att_color_range(s->desc, m->weights, m->panel_rows * m->panel_cols * m->rows * m->cols, &s->lo, &s->hi);
    ATT_TRY(lay_out(s));
    char what[96];
    snprintf(what, sizeof what, "a map of %lld rows and %lld columns", (long long)m->rows, (long long)m->cols);
    ATT_TRY(att_canvas_create(format, s->fonts, s->width, s->height, s->desc->scale, what, &s->canvas));
    ATT_TRY(draw(s));
    return att_canvas_save(s->canvas, path);
}

att_status att_heatmap_draw(const att_heatmap_desc *desc, const att_heatmap *map, att_format format, const char *path)
{
    sheet s = {.map = map, .desc = desc};
    att_status st = compose(&s, format, path);
    att_canvas_destroy(s.canvas);
    att_fonts_destroy(s.fonts);
    att_labels_free(&s.row);
    att_labels_free(&s.col);
    att_labels_free(&s.panel);
    att_label_free(s.title);
    att_label_free(s.row_name);
    att_label_free(s.col_name);
    return st;
}
