#include <math.h>
#include <string.h>
#include <strings.h>

#include <attend/plot.h>

#include "plot/canvas.h"

att_status att_format_of(const char *path, att_format *format)
{
    static const char *const ending[] = {".png", ".svg", ".html", ".txt"};
    const char *dot = strrchr(path, '.');
    for (int i = 0; dot && i < 4; i++)
        if (strcasecmp(dot, ending[i]) == 0) {
            *format = (att_format)i;
            return ATT_OK;
        }
    return att_fail(ATT_E_VALUE, "%s: a picture's name must end in .png, .svg, .html or .txt", path);
}

att_status att_canvas_create(att_format format, att_fonts *fonts, double width, double height, double scale,
                             const char *what, att_canvas **out)
{
    double side = fmax(width, height);
    if (format != ATT_FORMAT_PNG) scale = 1;
    if (scale == 0) scale = side * 2 <= ATT_PLOT_MAX_PIXELS ? 2 : 1;
    ATT_REQUIRE(scale > 0, ATT_E_VALUE, "scale: %g, expected a positive number", scale);
    ATT_REQUIRE(side * scale <= ATT_PLOT_MAX_PIXELS, ATT_E_SHAPE,
                "%s: the picture would be %.0f x %.0f pixels, at most %d a side are possible", what, width * scale,
                height * scale, ATT_PLOT_MAX_PIXELS);
    if (format == ATT_FORMAT_PNG)
        ATT_TRY(att_raster_create(width, height, scale, out));
    else
        ATT_TRY(att_svg_create(width, height, out));
    (*out)->fonts = fonts;
    (*out)->width = width;
    (*out)->height = height;
    (*out)->page = format == ATT_FORMAT_HTML;
    return ATT_OK;
}

void att_canvas_rect(att_canvas *canvas, double x, double y, double w, double h, uint32_t color)
{
    if (canvas->status == ATT_OK && w > 0 && h > 0) canvas->rect(canvas, x, y, w, h, color);
}

void att_canvas_cells(att_canvas *canvas, const att_cells *cells)
{
    if (canvas->status == ATT_OK) canvas->cells(canvas, cells);
}

void att_canvas_polyline(att_canvas *canvas, const double *xy, int64_t n, double width, uint32_t color)
{
    if (canvas->status == ATT_OK && n > 0) canvas->polyline(canvas, xy, n, width, color);
}

void att_canvas_line(att_canvas *canvas, double x0, double y0, double x1, double y1, double width, uint32_t color)
{
    att_canvas_polyline(canvas, (double[]){x0, y0, x1, y1}, 2, width, color);
}

void att_canvas_text(att_canvas *canvas, double x, double y, const char *text, const att_text_style *style)
{
    if (canvas->status == ATT_OK && *text) canvas->text(canvas, x, y, text, style);
}

att_status att_canvas_save(att_canvas *canvas, const char *path)
{
    if (canvas->status != ATT_OK) return canvas->status;
    att_draft out = {0};
    if (canvas->page)
        att_draft_text(&out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"/><title>attend</title>"
                             "</head>\n<body>\n");
    canvas->encode(canvas, &out);
    if (canvas->page) att_draft_text(&out, "</body>\n</html>\n");
    att_status st = att_draft_save(&out, path);
    att_draft_free(&out);
    return st;
}

void att_canvas_destroy(att_canvas *canvas)
{
    if (canvas) canvas->destroy(canvas);
}
