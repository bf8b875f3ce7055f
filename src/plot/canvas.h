/* A sheet to draw on, measured in CSS pixels with (0, 0) at the left upper corner. Errors stick: drawing after one does
 * nothing, and att_canvas_save reports it. */
#ifndef ATT_CANVAS_H
#define ATT_CANVAS_H

#include "plot/draft.h"
#include "plot/font.h"

typedef enum att_format { ATT_FORMAT_PNG, ATT_FORMAT_SVG, ATT_FORMAT_HTML, ATT_FORMAT_TXT } att_format;

/* By the ending of the path. */
att_status att_format_of(const char *path, att_format *format);

typedef struct att_text_style {
    double size;
    double angle;  /* degrees clockwise about the anchor              */
    double anchor; /* 0: text starts at x, 0.5: centred, 1: ends at x */
    uint32_t color;
    bool bold;
} att_text_style;

/* A grid of coloured cells without seams. */
typedef struct att_cells {
    double x, y, w, h; /* corner of the grid; sides of one cell */
    int64_t rows, cols;
    const uint16_t *index; /* (rows, cols) into palette */
    const uint32_t *palette;
    int colors; /* entries of the palette */
} att_cells;

typedef struct att_canvas att_canvas;
struct att_canvas {
    void (*rect)(att_canvas *canvas, double x, double y, double w, double h, uint32_t color);
    void (*cells)(att_canvas *canvas, const att_cells *cells);
    void (*polyline)(att_canvas *canvas, const double *xy, int64_t n, double width, uint32_t color);
    void (*text)(att_canvas *canvas, double x, double y, const char *text, const att_text_style *style);
    void (*encode)(att_canvas *canvas, att_draft *out);
    void (*destroy)(att_canvas *canvas);
    att_fonts *fonts; /* lent; NULL only for SVG */
    double width, height;
    bool page; /* SVG: wrap into HTML */
    att_status status;
};

/* `scale` as in att_heatmap_desc; `what` names the request in the error when the sheet is too large. */
att_status att_canvas_create(att_format format, att_fonts *fonts, double width, double height, double scale,
                             const char *what, att_canvas **out);
void att_canvas_rect(att_canvas *canvas, double x, double y, double w, double h, uint32_t color);
void att_canvas_cells(att_canvas *canvas, const att_cells *cells);
/* Round ends and joints; n = 1 is a dot. xy (n, 2). */
void att_canvas_polyline(att_canvas *canvas, const double *xy, int64_t n, double width, uint32_t color);
void att_canvas_line(att_canvas *canvas, double x0, double y0, double x1, double y1, double width, uint32_t color);
void att_canvas_text(att_canvas *canvas, double x, double y, const char *text, const att_text_style *style);
att_status att_canvas_save(att_canvas *canvas, const char *path);
void att_canvas_destroy(att_canvas *canvas);

/* The backends. */
att_status att_raster_create(double width, double height, double scale, att_canvas **out);
att_status att_svg_create(double width, double height, att_canvas **out);

#endif
