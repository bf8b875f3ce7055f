/* The canvas as pixels: everything antialiased by the share of the pixel that it covers, encoded with libpng. */
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "plot/canvas.h"

typedef struct raster {
    att_canvas canvas;
    int64_t w, h; /* device pixels */
    double scale;
    unsigned char *rgb;  /* (h, w, 3) */
    unsigned char *mask; /* (h, w): coverage of the polyline being drawn; zero between calls */
    uint32_t ink;        /* colour of the text being drawn */
} raster;

static void blend(raster *r, int64_t x, int64_t y, double cover, uint32_t color)
{
    unsigned char *p = r->rgb + 3 * (y * r->w + x);
    for (int k = 0; k < 3; k++) {
        double to = color >> (16 - 8 * k) & 255;
        p[k] = (unsigned char)lround(p[k] + cover * (to - p[k]));
    }
}

static int64_t clip(double x, int64_t most)
{
    return x <= 0 ? 0 : x >= (double)most ? most : (int64_t)x;
}

/* Length of the part of pixel [i, i + 1) inside [lo, hi). */
static double overlap(int64_t i, double lo, double hi)
{
    double n = fmin(hi, (double)i + 1) - fmax(lo, (double)i);
    return n > 0 ? n : 0;
}

static void raster_rect(att_canvas *canvas, double x, double y, double w, double h, uint32_t color)
{
    raster *r = (raster *)canvas;
    double x0 = x * r->scale, y0 = y * r->scale, x1 = (x + w) * r->scale, y1 = (y + h) * r->scale;
    for (int64_t j = clip(floor(y0), r->h); j < clip(ceil(y1), r->h); j++)
        for (int64_t i = clip(floor(x0), r->w); i < clip(ceil(x1), r->w); i++)
            blend(r, i, j, overlap(i, x0, x1) * overlap(j, y0, y1), color);
}

static void raster_cells(att_canvas *canvas, const att_cells *c)
{
    raster *r = (raster *)canvas;
    for (int64_t i = 0; i < c->rows; i++) {
        int64_t y0 = clip(round((c->y + (double)i * c->h) * r->scale), r->h);
        int64_t y1 = clip(round((c->y + (double)(i + 1) * c->h) * r->scale), r->h);
        for (int64_t j = 0; j < c->cols; j++) {
            int64_t x0 = clip(round((c->x + (double)j * c->w) * r->scale), r->w);
            int64_t x1 = clip(round((c->x + (double)(j + 1) * c->w) * r->scale), r->w);
            uint32_t color = c->palette[c->index[i * c->cols + j]];
            for (int64_t y = y0; y < y1; y++)
                for (int64_t x = x0; x < x1; x++) blend(r, x, y, 1, color);
        }
    }
}

/* Coverage of a segment with round ends, by the distance of the pixel's centre: the mask keeps the largest, so that
 * joints are not darker than the line. Returns nothing outside [top, bottom). */
static void mask_segment(raster *r, const double a[2], const double b[2], double radius)
{
    double reach = radius + 1, dx = b[0] - a[0], dy = b[1] - a[1], square = dx * dx + dy * dy;
    int64_t y0 = clip(floor(fmin(a[1], b[1]) - reach), r->h), y1 = clip(ceil(fmax(a[1], b[1]) + reach), r->h);
    for (int64_t j = y0; j < y1; j++) {
        double left = fmin(a[0], b[0]) - reach, right = fmax(a[0], b[0]) + reach, y = (double)j + 0.5;
        if (fabs(dy) > 1e-9) { /* only where the row meets the segment */
            double at = a[0] + (y - a[1]) * dx / dy, wide = reach * sqrt(square) / fabs(dy);
            left = fmax(left, at - wide);
            right = fmin(right, at + wide);
        }
        for (int64_t i = clip(floor(left), r->w); i < clip(ceil(right), r->w); i++) {
            double px = (double)i + 0.5 - a[0], py = y - a[1];
            double t = square > 0 ? fmin(fmax((px * dx + py * dy) / square, 0), 1) : 0;
            double cover = fmin(fmax(radius + 0.5 - hypot(px - t * dx, py - t * dy), 0), fmin(1, 2 * radius));
            unsigned char level = (unsigned char)lround(255 * cover), *m = &r->mask[j * r->w + i];
            if (level > *m) *m = level;
        }
    }
}

static void raster_polyline(att_canvas *canvas, const double *xy, int64_t n, double width, uint32_t color)
{
    raster *r = (raster *)canvas;
    double lo[2] = {INFINITY, INFINITY}, hi[2] = {-INFINITY, -INFINITY}, radius = width * r->scale / 2;
    for (int64_t i = 0; i < n; i++) {
        int64_t next = i + 1 < n ? i + 1 : i;
        if (i > 0 && next == i) break;
        mask_segment(r, (double[]){xy[2 * i] * r->scale, xy[2 * i + 1] * r->scale},
                     (double[]){xy[2 * next] * r->scale, xy[2 * next + 1] * r->scale}, radius);
    }
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 2; k++) {
            lo[k] = fmin(lo[k], xy[2 * i + k] * r->scale - radius - 2);
            hi[k] = fmax(hi[k], xy[2 * i + k] * r->scale + radius + 2);
        }
    for (int64_t j = clip(floor(lo[1]), r->h); j < clip(ceil(hi[1]), r->h); j++)
        for (int64_t i = clip(floor(lo[0]), r->w); i < clip(ceil(hi[0]), r->w); i++) {
            unsigned char *m = &r->mask[j * r->w + i];
            if (*m) blend(r, i, j, *m / 255.0, color);
            *m = 0;
        }
}

static void blend_glyph(void *ctx, int x, int y, int w, int h, const unsigned char *coverage, int pitch)
{
    raster *r = ctx;
    for (int j = 0; j < h; j++)
        for (int i = 0; i < w; i++) {
            unsigned char level = coverage[j * pitch + i];
            if (level && x + i >= 0 && x + i < r->w && y + j >= 0 && y + j < r->h)
                blend(r, x + i, y + j, level / 255.0, r->ink);
        }
}

static void raster_text(att_canvas *canvas, double x, double y, const char *text, const att_text_style *style)
{
    raster *r = (raster *)canvas;
    double size = style->size * r->scale, turn = style->angle * 3.14159265358979323846 / 180;
    double back = style->anchor > 0 ? style->anchor * att_fonts_width(canvas->fonts, text, size, style->bold) : 0;
    r->ink = style->color;
    att_status st = att_fonts_draw(canvas->fonts, text, size, style->bold, x * r->scale - back * cos(turn),
                                   y * r->scale - back * sin(turn), style->angle, blend_glyph, r);
    if (st != ATT_OK) canvas->status = st;
}

static void png_append(png_structp png, png_bytep data, png_size_t bytes)
{
    att_draft *out = png_get_io_ptr(png);
    att_draft_add(out, data, bytes);
    if (out->status != ATT_OK) png_error(png, "out of memory");
}

static void png_flushed(png_structp png)
{
    (void)png;
}

static void png_failed(png_structp png, png_const_charp message)
{
    att_draft *out = png_get_error_ptr(png);
    if (out->status == ATT_OK) out->status = att_fail(ATT_E_MEMORY, "libpng: %s", message);
    png_longjmp(png, 1);
}

static void png_warned(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void raster_encode(att_canvas *canvas, att_draft *out)
{
    raster *r = (raster *)canvas;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, out, png_failed, png_warned);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        out->status = att_fail(ATT_E_MEMORY, "out of memory: encoding a PNG");
        return;
    }
    if (setjmp(png_jmpbuf(png)) == 0) {
        png_set_write_fn(png, out, png_append, png_flushed);
        png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
        png_set_IHDR(png, info, (png_uint_32)r->w, (png_uint_32)r->h, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_uint_32 per_metre = (png_uint_32)lround(96 * r->scale / 0.0254);
        png_set_pHYs(png, info, per_metre, per_metre, PNG_RESOLUTION_METER);
        png_write_info(png, info);
        for (int64_t y = 0; y < r->h; y++) png_write_row(png, r->rgb + 3 * y * r->w);
        png_write_end(png, NULL);
    }
    png_destroy_write_struct(&png, &info);
}

static void raster_destroy(att_canvas *canvas)
{
    raster *r = (raster *)canvas;
    att_free(NULL, r->rgb, 3 * (size_t)(r->w * r->h));
    att_free(NULL, r->mask, (size_t)(r->w * r->h));
    att_free(NULL, r, sizeof *r);
}

att_status att_raster_create(double width, double height, double scale, att_canvas **out)
{
    void *block, *rgb = NULL, *mask = NULL;
    *out = NULL;
    ATT_TRY(att_alloc_zero(NULL, sizeof(raster), &block));
    raster *r = block;
    *r = (raster){.canvas = {.rect = raster_rect,
                             .cells = raster_cells,
                             .polyline = raster_polyline,
                             .text = raster_text,
                             .encode = raster_encode,
                             .destroy = raster_destroy},
                  .w = (int64_t)ceil(width * scale),
                  .h = (int64_t)ceil(height * scale),
                  .scale = scale};
    att_status st = att_alloc(NULL, 3 * (size_t)(r->w * r->h), &rgb);
    if (st == ATT_OK) st = att_alloc_zero(NULL, (size_t)(r->w * r->h), &mask);
    r->rgb = rgb;
    r->mask = mask;
    if (st != ATT_OK) {
        raster_destroy(&r->canvas);
        return st;
    }
    memset(rgb, 0xff, 3 * (size_t)(r->w * r->h));
    *out = &r->canvas;
    return ATT_OK;
}
