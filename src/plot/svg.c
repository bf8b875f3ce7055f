/* The canvas as SVG 1.1: text stays text. */
#include "plot/canvas.h"
#include "plot/colors.h"

typedef struct svg {
    att_canvas canvas;
    att_draft body;
} svg;

static void put(svg *s, const char *before, double x)
{
    att_draft_text(&s->body, before);
    att_draft_number(&s->body, x, 7);
}

static void finish(svg *s)
{
    if (s->body.status != ATT_OK) s->canvas.status = s->body.status;
}

static void svg_rect(att_canvas *canvas, double x, double y, double w, double h, uint32_t color)
{
    svg *s = (svg *)canvas;
    put(s, "<rect x=\"", x);
    put(s, "\" y=\"", y);
    put(s, "\" width=\"", w);
    put(s, "\" height=\"", h);
    att_draft_format(&s->body, "\" fill=\"#%06x\"/>\n", color);
    finish(s);
}

/* All cells of one colour as one path of horizontal runs, in units of cells. */
static void color_runs(svg *s, const att_cells *c, int color)
{
    bool open = false;
    for (int64_t i = 0; i < c->rows; i++)
        for (int64_t j = 0; j < c->cols;) {
            int64_t end = j + 1;
            if (c->index[i * c->cols + j] != color) {
                j = end;
                continue;
            }
            while (end < c->cols && c->index[i * c->cols + end] == color) end++;
            if (!open) att_draft_format(&s->body, "<path fill=\"#%06x\" d=\"", c->palette[color]);
            open = true;
            att_draft_format(&s->body, "M%lld %lldh%lldv1h-%lldz", (long long)j, (long long)i, (long long)(end - j),
                             (long long)(end - j));
            j = end;
        }
    if (open) att_draft_text(&s->body, "\"/>\n");
}

static void svg_cells(att_canvas *canvas, const att_cells *c)
{
    svg *s = (svg *)canvas;
    put(s, "<g shape-rendering=\"crispEdges\" transform=\"translate(", c->x);
    put(s, " ", c->y);
    put(s, ") scale(", c->w);
    put(s, " ", c->h);
    att_draft_text(&s->body, ")\">\n");
    unsigned char used[ATT_PALETTE + 1] = {0};
    assert(c->colors <= ATT_PALETTE + 1);
    for (int64_t i = 0; i < c->rows * c->cols; i++) used[c->index[i]] = 1;
    for (int k = 0; k < c->colors; k++)
        if (used[k]) color_runs(s, c, k);
    att_draft_text(&s->body, "</g>\n");
    finish(s);
}

static void svg_polyline(att_canvas *canvas, const double *xy, int64_t n, double width, uint32_t color)
{
    svg *s = (svg *)canvas;
    att_draft_text(&s->body, "<path fill=\"none\" stroke-linecap=\"round\" stroke-linejoin=\"round\" d=\"");
    for (int64_t i = 0; i < n; i++) {
        put(s, i ? "L" : "M", xy[2 * i]);
        put(s, " ", xy[2 * i + 1]);
    }
    if (n == 1) att_draft_text(&s->body, "h0");
    put(s, "\" stroke-width=\"", width);
    att_draft_format(&s->body, "\" stroke=\"#%06x\"/>\n", color);
    finish(s);
}

static void svg_text(att_canvas *canvas, double x, double y, const char *text, const att_text_style *style)
{
    svg *s = (svg *)canvas;
    put(s, "<text x=\"", x);
    put(s, "\" y=\"", y);
    put(s, "\" font-size=\"", style->size);
    att_draft_format(&s->body, "\" fill=\"#%06x\"", style->color);
    if (style->bold) att_draft_text(&s->body, " font-weight=\"bold\"");
    if (style->anchor > 0) att_draft_format(&s->body, " text-anchor=\"%s\"", style->anchor < 1 ? "middle" : "end");
    if (style->angle != 0) {
        put(s, " transform=\"rotate(", style->angle);
        put(s, " ", x);
        put(s, " ", y);
        att_draft_text(&s->body, ")\"");
    }
    att_draft_text(&s->body, ">");
    att_draft_xml(&s->body, text);
    att_draft_text(&s->body, "</text>\n");
    finish(s);
}

static void svg_encode(att_canvas *canvas, att_draft *out)
{
    svg *s = (svg *)canvas;
    for (int part = 0; part < 2; part++) {
        att_draft_text(out, part ? "\" viewBox=\"0 0 " : "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"");
        att_draft_number(out, canvas->width, 7);
        att_draft_text(out, part ? " " : "\" height=\"");
        att_draft_number(out, canvas->height, 7);
    }
    att_draft_text(out, "\" font-family=\"DejaVu Sans, Verdana, Noto Sans, sans-serif\">\n"
                        "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    att_draft_add(out, s->body.data, s->body.bytes);
    att_draft_text(out, "</svg>\n");
}

static void svg_destroy(att_canvas *canvas)
{
    svg *s = (svg *)canvas;
    att_draft_free(&s->body);
    att_free(NULL, s, sizeof *s);
}

att_status att_svg_create(double width, double height, att_canvas **out)
{
    void *block;
    *out = NULL;
    ATT_TRY(att_alloc_zero(NULL, sizeof(svg), &block));
    svg *s = block;
    s->canvas = (att_canvas){.rect = svg_rect,
                             .cells = svg_cells,
                             .polyline = svg_polyline,
                             .text = svg_text,
                             .encode = svg_encode,
                             .destroy = svg_destroy,
                             .width = width,
                             .height = height};
    *out = &s->canvas;
    return ATT_OK;
}
