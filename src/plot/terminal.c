#include <errno.h>
#include <math.h>
#include <string.h>

#include "plot/colors.h"
#include "plot/heatmap.h"
#include "plot/label.h"
#include "plot/terminal.h"
#include "plot/ticks.h"

enum { LABEL_COLUMNS = 24, TALL_MOST = 18, CELL = 2, VALUE_CELL = 5, BAR_CELLS = 24 };

/* The nearest of the xterm palette's 6 x 6 x 6 cube and its 24 greys. */
static int xterm_color(uint32_t color)
{
    static const int level[] = {0, 95, 135, 175, 215, 255};
    int best = 16;
    long least = -1;
    for (int k = 16; k < 256; k++) {
        int c[3] = {8 + 10 * (k - 232), 8 + 10 * (k - 232), 8 + 10 * (k - 232)};
        if (k < 232) c[0] = level[(k - 16) / 36], c[1] = level[(k - 16) / 6 % 6], c[2] = level[(k - 16) % 6];
        long d = 0;
        for (int i = 0; i < 3; i++) {
            long off = (long)(color >> (16 - 8 * i) & 255) - c[i];
            d += off * off;
        }
        if (least < 0 || d < least) {
            least = d;
            best = k;
        }
    }
    return best;
}

static void set_color(att_draft *out, att_terminal_color mode, int ground, uint32_t c)
{
    if (mode == ATT_TERMINAL_256) att_draft_format(out, "\x1b[%d;5;%dm", ground, xterm_color(c));
    if (mode == ATT_TERMINAL_TRUE)
        att_draft_format(out, "\x1b[%d;2;%u;%u;%um", ground, c >> 16 & 255, c >> 8 & 255, c & 255);
}

void att_terminal_back(att_draft *out, att_terminal_color mode, uint32_t color)
{
    set_color(out, mode, 48, color);
}

void att_terminal_ink(att_draft *out, att_terminal_color mode, uint32_t color)
{
    set_color(out, mode, 38, color);
}

void att_terminal_reset(att_draft *out, att_terminal_color mode)
{
    if (mode != ATT_TERMINAL_PLAIN) att_draft_text(out, "\x1b[0m");
}

static void blanks(att_draft *out, int n)
{
    for (int i = 0; i < n; i++) att_draft_text(out, " ");
}

void att_terminal_pad(att_draft *out, const char *text, int columns, int align)
{
    size_t bytes = strlen(text);
    int wide = att_label_columns(text, bytes);
    bool cut = wide > columns;
    if (cut) {
        bytes = 0;
        wide = 1; /* the ellipsis */
        for (size_t n; (n = att_label_cluster(text + bytes)) > 0; bytes += n) {
            int more = att_label_columns(text + bytes, n);
            if (wide + more > columns) break;
            wide += more;
        }
    }
    int left = align < 0 ? 0 : align > 0 ? columns - wide : (columns - wide) / 2;
    blanks(out, left);
    att_draft_add(out, text, bytes);
    if (cut) att_draft_text(out, "\xe2\x80\xa6");
    blanks(out, columns - wide - left);
}

att_status att_terminal_flush(att_draft *out, att_status so_far, FILE *stream)
{
    att_status st = so_far == ATT_OK ? out->status : so_far;
    if (st == ATT_OK && fwrite(out->data, 1, out->bytes, stream) != out->bytes)
        st = att_fail(ATT_E_IO, "writing the drawing failed: %s", strerror(errno));
    att_draft_free(out);
    return st;
}

typedef struct drawing {
    const att_heatmap_desc *desc;
    const float *weights;
    int64_t rows, cols;
    att_labels row, col;
    char *title, *row_name, *col_name;
    att_terminal_color mode;
    int width; /* of the terminal                               */
    int label; /* columns of the row labels                     */
    int cell;  /* columns of a cell; 0: each as wide as its word */
    double lo, hi;
    uint32_t palette[ATT_PALETTE + 1];
    att_draft out;
} drawing;

static int columns_of(const char *text)
{
    return att_label_columns(text, strlen(text));
}

static int cell_width(const drawing *d, int64_t j)
{
    if (d->cell) return d->cell;
    int wide = columns_of(d->col.text[j]) + 1, least = d->desc->show_values ? VALUE_CELL : 3;
    return wide > least ? wide : least;
}

/* Words across when all of them fit into the terminal, else downwards. */
static void choose_layout(drawing *d)
{
    int64_t total = 0;
    d->label = columns_of(d->row_name);
    for (int64_t i = 0; i < d->rows; i++) d->label = (int)att_max64(d->label, columns_of(d->row.text[i]));
    d->label = (int)att_min64(d->label, att_min64(LABEL_COLUMNS, att_max64(d->width / 3, 1)));
    for (int64_t j = 0; j < d->cols; j++) total += cell_width(d, j);
    if (d->label + 1 + total > d->width) d->cell = d->desc->show_values ? VALUE_CELL : CELL;
}

/* Level `line` (0: the lowest) of a word written downwards over `lines` lines, its last character at the bottom. */
static void draw_upright(drawing *d, const char *text, int line, int lines, int columns)
{
    int64_t clusters = 0;
    for (size_t n = 0, k; (k = att_label_cluster(text + n)) > 0; n += k) clusters++;
    int64_t shown = att_min64(clusters, lines), at = shown - 1 - line;
    const char *s = text;
    if (at < 0) {
        blanks(&d->out, columns);
        return;
    }
    if (clusters > lines && line == 0) {
        att_terminal_pad(&d->out, "\xe2\x80\xa6", columns, -1);
        return;
    }
    while (at-- > 0) s += att_label_cluster(s);
    char one[64];
    size_t n = att_label_cluster(s);
    snprintf(one, sizeof one, "%.*s", (int)(n < sizeof one ? n : 0), s);
    att_terminal_pad(&d->out, one, columns, -1);
}

static void draw_header(drawing *d, int64_t from, int64_t to)
{
    int lines = 1;
    if (d->col_name[0]) {
        att_terminal_pad(&d->out, d->row_name, d->label, 1);
        att_draft_format(&d->out, " %s\n", d->col_name);
    }
    for (int64_t j = from; d->cell && j < to; j++) {
        int clusters = 0;
        for (size_t n = 0, k; (k = att_label_cluster(d->col.text[j] + n)) > 0; n += k) clusters++;
        lines = (int)att_max64(lines, att_min64(clusters, TALL_MOST));
    }
    for (int line = lines - 1; line >= 0; line--) {
        blanks(&d->out, d->label + 1);
        for (int64_t j = from; j < to; j++) {
            if (d->cell)
                draw_upright(d, d->col.text[j], line, lines, d->cell);
            else
                att_terminal_pad(&d->out, d->col.text[j], cell_width(d, j), -1);
        }
        att_draft_text(&d->out, "\n");
    }
}

static void draw_cell(drawing *d, float v, int columns)
{
    static const char *const shade[] = {" ", "\xe2\x96\x91", "\xe2\x96\x92", "\xe2\x96\x93", "\xe2\x96\x88"};
    char value[32] = "";
    uint16_t index = att_color_index(v, d->lo, d->hi);
    if (d->desc->show_values) att_print_value(value, sizeof value, v);
    if (d->mode != ATT_TERMINAL_PLAIN) {
        uint32_t color = d->palette[index];
        att_terminal_back(&d->out, d->mode, color);
        if (value[0]) att_terminal_ink(&d->out, d->mode, att_lightness(color) > 0.62 ? ATT_INK : ATT_PAPER);
        att_terminal_pad(&d->out, value, columns, 0);
    } else if (d->desc->show_values) {
        att_terminal_pad(&d->out, value[0] ? value : "?", columns, -1);
    } else {
        const char *block = index == ATT_PALETTE ? "?" : shade[index * 5 / ATT_PALETTE];
        for (int i = 0; i < columns; i++) att_draft_text(&d->out, block);
    }
}

static void draw_strip(drawing *d, int64_t from, int64_t to)
{
    draw_header(d, from, to);
    for (int64_t i = 0; i < d->rows; i++) {
        att_terminal_pad(&d->out, d->row.text[i], d->label, 1);
        blanks(&d->out, 1);
        for (int64_t j = from; j < to; j++) draw_cell(d, d->weights[i * d->cols + j], cell_width(d, j));
        att_terminal_reset(&d->out, d->mode);
        att_draft_text(&d->out, "\n");
    }
}

static void draw_scale(drawing *d)
{
    drawing bar = *d;
    att_heatmap_desc plain = *d->desc;
    plain.show_values = 0;
    bar.desc = &plain;
    bar.out = (att_draft){0};
    for (int i = 0; i < BAR_CELLS; i++) draw_cell(&bar, (float)(d->lo + (d->hi - d->lo) * i / (BAR_CELLS - 1.0)), 1);
    if (bar.out.status != ATT_OK) d->out.status = bar.out.status;
    att_draft_text(&d->out, "\n");
    blanks(&d->out, d->label + 1);
    att_draft_number(&d->out, d->lo, 3);
    att_draft_text(&d->out, " ");
    att_draft_add(&d->out, bar.out.data, bar.out.bytes);
    att_terminal_reset(&d->out, d->mode);
    att_draft_text(&d->out, " ");
    att_draft_number(&d->out, d->hi, 3);
    att_draft_text(&d->out, "\n");
    att_draft_free(&bar.out);
}

static void draw_all(drawing *d)
{
    choose_layout(d);
    if (d->title[0]) att_draft_format(&d->out, "%s\n\n", d->title);
    for (int64_t from = 0, to; from < d->cols; from = to) {
        int used = d->label + 1;
        for (to = from; to < d->cols && (to == from || used + cell_width(d, to) <= d->width); to++)
            used += cell_width(d, to);
        if (from > 0) att_draft_text(&d->out, "\n");
        draw_strip(d, from, to);
    }
    draw_scale(d);
}

static att_status prepare(drawing *d, const char *const *row_labels, const char *const *col_labels)
{
    ATT_TRY(att_labels_create(row_labels, d->rows, &d->row));
    ATT_TRY(att_labels_create(col_labels, d->cols, &d->col));
    ATT_TRY(att_label_clean(d->desc->title, &d->title));
    ATT_TRY(att_label_clean(d->desc->row_name, &d->row_name));
    ATT_TRY(att_label_clean(d->desc->col_name, &d->col_name));
    att_color_range(d->desc, d->weights, d->rows * d->cols, &d->lo, &d->hi);
    att_palette(d->desc->colors, d->palette);
    return ATT_OK;
}

att_status att_terminal_heatmap(const att_terminal_desc *terminal, const att_heatmap_desc *desc, const att_heatmap *map,
                                att_draft *out)
{
    drawing d = {.desc = desc, .weights = map->weights, .rows = map->rows, .cols = map->cols, .out = *out};
    ATT_REQUIRE(!terminal || terminal->width >= 0, ATT_E_VALUE, "terminal: width %d, expected columns >= 0",
                terminal->width);
    d.mode = terminal ? terminal->color : ATT_TERMINAL_PLAIN;
    d.width = terminal && terminal->width ? terminal->width : 80;
    att_status st = prepare(&d, map->row_labels, map->col_labels);
    if (st == ATT_OK) draw_all(&d);
    *out = d.out;
    att_labels_free(&d.row);
    att_labels_free(&d.col);
    att_label_free(d.title);
    att_label_free(d.row_name);
    att_label_free(d.col_name);
    return st == ATT_OK ? out->status : st;
}

att_status att_plot_terminal(const att_terminal_desc *terminal, const att_heatmap_desc *desc, const float *weights,
                             int64_t rows, int64_t cols, const char *const *row_labels, const char *const *col_labels,
                             FILE *stream)
{
    static const att_heatmap_desc plain = {0};
    att_heatmap map = {weights, 1, 1, rows, cols, row_labels, col_labels, NULL};
    att_draft out = {0};
    if (!desc) desc = &plain;
    ATT_TRY(att_heatmap_check(desc, &map));
    ATT_REQUIRE(stream, ATT_E_VALUE, "terminal: the stream is NULL");
    att_status st = att_terminal_heatmap(terminal, desc, &map, &out);
    return att_terminal_flush(&out, st, stream);
}
