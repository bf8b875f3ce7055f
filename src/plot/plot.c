/* The entrances: check, choose by the ending of the path, hand over. */
#include <math.h>
#include <string.h>

#include "plot/heatmap.h"
#include "plot/page.h"
#include "plot/terminal.h"

void att_print_value(char *out, size_t bytes, float v)
{
    double size = fabs((double)v);
    long cents = size < 100 ? lround(size * 100) : 0, whole = cents / 100, part = cents % 100;
    char before[24] = "", after[24] = "";
    if (isnan(v)) {
        snprintf(out, bytes, "%s", "");
    } else if (!(size < 100)) {
        att_print_number(out, bytes, (double)v, 3);
    } else {
        if (whole || !part) snprintf(before, sizeof before, "%ld", whole);
        if (part) snprintf(after, sizeof after, ".%02ld", part);
        snprintf(out, bytes, "%s%s%s", v < 0 && cents ? "-" : "", before, after);
    }
}

att_status att_heatmap_check(const att_heatmap_desc *desc, const att_heatmap *m)
{
    const int64_t most = ATT_PLOT_MAX_PIXELS;
    ATT_REQUIRE(m->weights, ATT_E_VALUE, "heat map: the weights are NULL");
    ATT_REQUIRE(m->rows > 0 && m->cols > 0, ATT_E_VALUE,
                "heat map: %lld rows and %lld columns, expected at least 1 each", (long long)m->rows,
                (long long)m->cols);
    ATT_REQUIRE(m->panel_rows > 0 && m->panel_cols > 0, ATT_E_VALUE,
                "heat map: a sheet of %lld x %lld maps, expected at least 1 each", (long long)m->panel_rows,
                (long long)m->panel_cols);
    ATT_REQUIRE(m->rows <= most && m->cols <= most && m->panel_rows <= most && m->panel_cols <= most, ATT_E_SHAPE,
                "heat map: %lld x %lld maps of %lld rows and %lld columns, at most %lld of each can be drawn",
                (long long)m->panel_rows, (long long)m->panel_cols, (long long)m->rows, (long long)m->cols,
                (long long)most);
    ATT_REQUIRE(isfinite(desc->vmin) && isfinite(desc->vmax), ATT_E_VALUE,
                "heat map: the range is %g to %g, expected finite numbers", (double)desc->vmin, (double)desc->vmax);
    ATT_REQUIRE((desc->vmin == 0 && desc->vmax == 0) || desc->vmin < desc->vmax, ATT_E_VALUE,
                "heat map: the range is %g to %g, expected the first below the second", (double)desc->vmin,
                (double)desc->vmax);
    ATT_REQUIRE(desc->cell >= 0, ATT_E_VALUE, "heat map: cell %d, expected pixels >= 0", desc->cell);
    return ATT_OK;
}

/* Every map of the sheet as text, one below the other. */
static att_status draw_text(const att_heatmap_desc *desc, const att_heatmap *m, const char *path)
{
    att_draft out = {0};
    att_status st = ATT_OK;
    int64_t panels = m->panel_rows * m->panel_cols;
    for (int64_t p = 0; st == ATT_OK && p < panels; p++) {
        char title[96];
        att_heatmap_desc one = *desc;
        att_heatmap map = *m;
        if (panels > 1) {
            snprintf(title, sizeof title, "layer %lld, head %lld", (long long)(p / m->panel_cols + 1),
                     (long long)(p % m->panel_cols + 1));
            one.title = m->titles ? m->titles[p] : title;
        }
        if (p > 0) att_draft_text(&out, "\n");
        map.weights += p * m->rows * m->cols;
        st = att_terminal_heatmap(NULL, &one, &map, &out);
    }
    if (st == ATT_OK) st = att_draft_save(&out, path);
    att_draft_free(&out);
    return st;
}

static att_status draw_page(const att_heatmap_desc *desc, const att_heatmap *m, const char *path)
{
    att_page *page;
    ATT_TRY(att_page_create(desc, path, &page));
    att_status st = att_page_add_map(page, m, "", "", "");
    if (st == ATT_OK) st = att_page_finish(page);
    att_page_destroy(page);
    return st;
}

static att_status plot(const att_heatmap_desc *desc, const att_heatmap *map, const char *path)
{
    static const att_heatmap_desc plain = {0};
    att_format format;
    if (!desc) desc = &plain;
    ATT_REQUIRE(path, ATT_E_VALUE, "heat map: the path is NULL");
    ATT_TRY(att_format_of(path, &format));
    ATT_TRY(att_heatmap_check(desc, map));
    switch (format) {
    case ATT_FORMAT_HTML: return draw_page(desc, map, path);
    case ATT_FORMAT_TXT: return draw_text(desc, map, path);
    case ATT_FORMAT_PNG:
    case ATT_FORMAT_SVG: break;
    }
    return att_heatmap_draw(desc, map, format, path);
}

att_status att_plot_heatmap(const att_heatmap_desc *desc, const float *weights, int64_t rows, int64_t cols,
                            const char *const *row_labels, const char *const *col_labels, const char *path)
{
    att_heatmap map = {weights, 1, 1, rows, cols, row_labels, col_labels, NULL};
    return plot(desc, &map, path);
}

att_status att_plot_heatmap_grid(const att_heatmap_desc *desc, const float *weights, int64_t panel_rows,
                                 int64_t panel_cols, int64_t rows, int64_t cols, const char *const *row_labels,
                                 const char *const *col_labels, const char *const *titles, const char *path)
{
    att_heatmap map = {weights, panel_rows, panel_cols, rows, cols, row_labels, col_labels, titles};
    return plot(desc, &map, path);
}
