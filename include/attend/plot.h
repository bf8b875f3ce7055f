/* Pictures of attention and of training: heat maps with the words on both axes, sheets of many maps, curves, drawings
 * for the terminal, and the attention files that they are made from.
 *
 *     float w[2 * 3] = {.7f, .2f, .1f, .1f, .1f, .8f};
 *     att_plot_heatmap(NULL, w, 2, 3, (const char *[]){"the", "house"}, (const char *[]){"la", "casa", "."}, "w.png");
 *
 * The kind of picture follows the path's ending: .png, .svg, .html (a page that answers to the mouse) or .txt. All text
 * is UTF-8 in any script; right-to-left and joined scripts are shaped. PNG needs an installed font (any; characters are
 * looked for in all of them); the others do not. Bytes that are no UTF-8 show as U+FFFD, control characters as their
 * symbols, so a label can neither break a picture nor send commands to a terminal. A descriptor may be NULL or {0}: all
 * defaults. When a function fails, `path` is what it was before. */
#ifndef ATTEND_PLOT_H
#define ATTEND_PLOT_H

#include <stdio.h>

#include <attend/export.h>
#include <attend/memory.h>
#include <attend/status.h>

ATT_BEGIN

/* ---- heat maps ---- */

/* All are perceptually uniform: equal differences of weight look equally different. */
typedef enum att_colors {
    ATT_COLORS_DUSK = 0, /* violet (0) through teal to yellow (1)      */
    ATT_COLORS_GREY = 1, /* black (0) to white (1), as in Bahdanau 2015 */
    ATT_COLORS_INK = 2   /* white (0) to dark blue (1): for paper      */
} att_colors;

/* The colour at `t` in [0, 1] as 0xRRGGBB; NaN gives the grey that marks missing weights. */
ATT_API uint32_t att_colors_at(att_colors colors, double t);
/* "dusk", "grey", "ink". */
ATT_API att_status att_colors_parse(const char *name, att_colors *colors);

typedef struct att_heatmap_desc {
    const char *title;    /* NULL: none                                                                        */
    const char *row_name; /* what the rows are, e.g. "target"; NULL: not said                                  */
    const char *col_name; /* what the columns are, e.g. "source"; NULL: not said                               */
    att_colors colors;
    float vmin, vmax; /* weights at the ends of the colours; both 0: from 0 (or the least, when below) to the most */
    int show_values;  /* print the weight in each cell                                                         */
    int cell;         /* side of a cell in CSS pixels; 0: as fits                                              */
    double scale;     /* PNG: device pixels per CSS pixel; 0: 2, or 1 for a picture that would grow too large  */
} att_heatmap_desc;

/* The largest side of a picture in pixels. */
#define ATT_PLOT_MAX_PIXELS 16384

/* weights (rows, cols), row-major: rows down (targets), columns across (sources). A label array may be NULL: no labels.
 * NaN weights are drawn grey. Labels too long are cut with an ellipsis; too many are thinned out.
 * Fails with ATT_E_VALUE (an ending that is not known; no rows or columns), ATT_E_SHAPE (picture above
 * ATT_PLOT_MAX_PIXELS), ATT_E_MISSING (no font installed), ATT_E_IO, ATT_E_MEMORY. */
ATT_API att_status att_plot_heatmap(const att_heatmap_desc *desc, const float *weights, int64_t rows, int64_t cols,
                                    const char *const *row_labels, const char *const *col_labels, const char *path);

/* Many maps on one sheet with the same words: weights (panel_rows, panel_cols, rows, cols), e.g. layers x heads.
 * titles (panel_rows * panel_cols), one below each map; NULL: "layer 1, head 1" and so on. */
ATT_API att_status att_plot_heatmap_grid(const att_heatmap_desc *desc, const float *weights, int64_t panel_rows,
                                         int64_t panel_cols, int64_t rows, int64_t cols, const char *const *row_labels,
                                         const char *const *col_labels, const char *const *titles, const char *path);

/* ---- the terminal ---- */

typedef enum att_terminal_color {
    ATT_TERMINAL_PLAIN = 0, /* shades of Unicode blocks, no escape sequences; what .txt files hold */
    ATT_TERMINAL_256 = 1,   /* the xterm palette                                                   */
    ATT_TERMINAL_TRUE = 2   /* 24-bit colour                                                       */
} att_terminal_color;

typedef struct att_terminal_desc {
    att_terminal_color color;
    int width; /* columns of the terminal; 0: 80. A wider map is drawn in several strips, one below the other. */
} att_terminal_desc;

/* Draw a heat map as text. Words stand over the columns, upright where they fit and downwards where not; East Asian
 * wide and combining characters keep the columns aligned. */
ATT_API att_status att_plot_terminal(const att_terminal_desc *terminal, const att_heatmap_desc *desc,
                                     const float *weights, int64_t rows, int64_t cols, const char *const *row_labels,
                                     const char *const *col_labels, FILE *stream);

/* ---- curves ---- */

typedef enum att_mark {
    ATT_MARK_LINE = 0,
    ATT_MARK_POINTS = 1, /* joined by a thin line, with error bars */
    ATT_MARK_BARS = 2,   /* from 0; series of bars stand side by side */
    ATT_MARK_SCATTER = 3 /* points alone: x in any order */
} att_mark;

typedef struct att_series {
    const char *name;    /* in the legend; NULL: none                                                    */
    const double *x, *y; /* (n); x NULL: 0, 1, 2, ...; a NaN in either leaves a gap                      */
    const double *error; /* (n) half-lengths of error bars; NULL: none                                   */
    int64_t n;
    int panel;     /* 0: above, 1: below; both share x                                                   */
    att_mark mark; /* how the values are drawn                                                           */
    double smooth; /* LINE: 0, or the factor (0, 1) by which weights of neighbours fall in a moving average over the
                      pale values */
    int64_t color; /* 0: one of its own; c >= 1: that of series number c, counted from 1 */
} att_series;

typedef struct att_curves_desc {
    const char *title, *x_name;
    const char *y_name[2]; /* of the panels above and below                            */
    int log_x, log_y[2];   /* values <= 0 are left out of a logarithmic axis           */
    int width, height;     /* CSS pixels; 0: 760 x 440, or x 640 with two panels       */
    double scale;          /* as in att_heatmap_desc                                   */
} att_curves_desc;

/* Draw n series (n >= 1, with at least one finite point in all) over common axes. */
ATT_API att_status att_plot_curves(const att_curves_desc *desc, const att_series *series, int64_t n, const char *path);
ATT_API att_status att_plot_curves_terminal(const att_terminal_desc *terminal, const att_curves_desc *desc,
                                            const att_series *series, int64_t n, FILE *stream);

/* ---- attention files ----
 * JSON lines, one object a record, in any order of keys; keys that are not known are skipped:
 *   {"kind": "cross", "source": ["la", "casa"], "target": ["the", "house"], "weights": [[[[0.9, 0.1], [0.2, 0.8]]]]}
 * weights[layer][head][row][column]; rows look at columns. A sentence may have several records, one of each kind. */

typedef enum att_attention_kind {
    ATT_ATTENTION_CROSS = 0,   /* rows: target, columns: source */
    ATT_ATTENTION_ENCODER = 1, /* rows and columns: source      */
    ATT_ATTENTION_DECODER = 2  /* rows and columns: target      */
} att_attention_kind;

typedef struct att_attention_record {
    att_attention_kind kind;
    const char *const *source; /* (n_source) */
    const char *const *target; /* (n_target) */
    int64_t n_source, n_target;
    int64_t layers, heads, rows, cols; /* rows and cols are the token counts that `kind` names */
    const float *weights;              /* (layers, heads, rows, cols), finite */
} att_attention_record;

ATT_API const char *att_attention_kind_name(att_attention_kind kind); /* "cross" */
/* The words of the rows and of the columns. */
ATT_API const char *const *att_attention_row_labels(const att_attention_record *record);
ATT_API const char *const *att_attention_col_labels(const att_attention_record *record);

/* Append one line. Weights keep six significant digits. Fails with ATT_E_SHAPE when the sizes contradict the kind,
 * ATT_E_VALUE for a weight that is not finite or a token that is not UTF-8, ATT_E_IO. */
ATT_API att_status att_attention_write(const att_attention_record *record, FILE *stream);

typedef struct att_attention_reader att_attention_reader;
/* Read from a stream, which stays the caller's; `name` stands for it in messages. */
ATT_API att_status att_attention_reader_create(FILE *stream, const char *name, const att_allocator *allocator,
                                               att_attention_reader **reader);
ATT_API att_status att_attention_reader_open(const char *path, const att_allocator *allocator,
                                             att_attention_reader **reader);
/* The next record, or *record = NULL after the last. It belongs to the reader and lives until the next call. Errors
 * name FILE:LINE and what is wrong there (ATT_E_FORMAT); empty lines are skipped. Memory is bounded by the line: at
 * most ATT_ATTENTION_LINE_BYTES. */
ATT_API att_status att_attention_reader_next(att_attention_reader *reader, const att_attention_record **record);
ATT_API void att_attention_reader_destroy(att_attention_reader *reader);
#define ATT_ATTENTION_LINE_BYTES ((int64_t)1 << 30)

#define ATT_PLOT_ALL  (-1) /* every layer or head, on one sheet */
#define ATT_PLOT_MEAN (-2) /* the mean over layers or heads     */

/* One map of a record into out (rows, cols): a layer and head counted from 0, or ATT_PLOT_MEAN in either place. */
ATT_API att_status att_attention_map(const att_attention_record *record, int64_t layer, int64_t head, float *out);

/* Write the alignment that the weights favour as a line of Pharaoh pairs "source-target": for each row the column of
 * the largest weight, the first of equals. Only for kind CROSS. */
ATT_API att_status att_attention_pharaoh(const att_attention_record *record, int64_t layer, int64_t head, FILE *stream);

/* A record as a picture. layer, head: from 0, ATT_PLOT_ALL (a sheet of layers x heads) or ATT_PLOT_MEAN. */
ATT_API att_status att_plot_attention(const att_heatmap_desc *desc, const att_attention_record *record, int64_t layer,
                                      int64_t head, const char *path);

/* ---- pages ----
 * One HTML file that needs nothing else: a list of the records, all layers and heads, weights under the mouse. */
typedef struct att_page att_page;
ATT_API att_status att_page_create(const att_heatmap_desc *desc, const char *path, att_page **page);
ATT_API att_status att_page_add(att_page *page, const att_attention_record *record);
/* Completes the file. att_page_destroy without it leaves `path` as it was. */
ATT_API att_status att_page_finish(att_page *page);
ATT_API void att_page_destroy(att_page *page);

ATT_END

#endif
