/* HTML: the data as JSON in the page, drawn by the script that rides along (page_text.c). */
#include <math.h>

#include <attend/plot.h>

#include "file/disk.h"
#include "plot/attention.h"
#include "plot/draft.h"
#include "plot/colors.h"
#include "plot/heatmap.h"
#include "plot/label.h"
#include "plot/page.h"

struct att_page {
    att_disk_writer file;
    bool begun, open; /* open: not finished */
    att_colors colors;
    float vmin, vmax;
    char *title, *row_name, *col_name;
    int64_t maps;
};

/* Send the part to the file; frees it. */
static att_status put(att_page *page, att_draft *part)
{
    att_status st = part->status;
    if (st == ATT_OK) st = att_disk_append(&page->file, part->data, part->bytes);
    att_draft_free(part);
    return st;
}

static att_status put_head(att_page *page)
{
    att_draft b = {0};
    const char *title = page->title[0] ? page->title : "Attention";
    att_draft_text(&b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>");
    att_draft_xml(&b, title);
    att_draft_text(&b, "</title>\n<style>\n");
    att_draft_text(&b, att_page_style);
    att_draft_text(&b, "</style>\n</head>\n<body>\n<header><h1>");
    att_draft_xml(&b, title);
    att_draft_text(&b, "</h1></header>\n<nav id=\"list\"></nav>\n<main id=\"main\"></main>\n"
                       "<noscript><p>This page draws its maps with JavaScript, which is switched off.</p></noscript>\n"
                       "<script type=\"application/json\" id=\"setup\">{\"vmin\":");
    att_draft_number(&b, (double)page->vmin, 6);
    att_draft_text(&b, ",\"vmax\":");
    att_draft_number(&b, (double)page->vmax, 6);
    att_draft_text(&b, ",\"palette\":[");
    uint32_t palette[ATT_PALETTE + 1];
    att_palette(page->colors, palette);
    for (int i = 0; i <= ATT_PALETTE; i++) att_draft_format(&b, "%s\"#%06x\"", i ? "," : "", palette[i]);
    att_draft_text(&b, "]}</script>\n");
    return put(page, &b);
}

static att_status init_page(att_page *page, const att_heatmap_desc *desc, const char *path)
{
    page->colors = desc->colors;
    page->vmin = desc->vmin;
    page->vmax = desc->vmax;
    ATT_TRY(att_label_clean(desc->title, &page->title));
    ATT_TRY(att_label_clean(desc->row_name, &page->row_name));
    ATT_TRY(att_label_clean(desc->col_name, &page->col_name));
    ATT_TRY(att_disk_begin(&page->file, path));
    page->begun = page->open = true;
    return put_head(page);
}

att_status att_page_create(const att_heatmap_desc *desc, const char *path, att_page **out)
{
    static const att_heatmap_desc plain = {0};
    void *block;
    *out = NULL;
    ATT_REQUIRE(path, ATT_E_VALUE, "page: the path is NULL");
    ATT_TRY(att_alloc_zero(NULL, sizeof(att_page), &block));
    att_page *page = block;
    att_status st = init_page(page, desc ? desc : &plain, path);
    if (st != ATT_OK)
        att_page_destroy(page);
    else
        *out = page;
    return st;
}

static att_status put_words(att_page *page, const char *key, const char *const *raw, int64_t n)
{
    att_labels words;
    att_draft b = {0};
    ATT_TRY(att_labels_create(raw, n, &words));
    att_draft_format(&b, ",\"%s\":[", key);
    for (int64_t i = 0; i < n; i++) {
        if (i) att_draft_text(&b, ",");
        att_draft_json(&b, words.text[i]);
    }
    att_draft_text(&b, "]");
    att_labels_free(&words);
    return put(page, &b);
}

att_status att_page_add_map(att_page *page, const att_heatmap *m, const char *name, const char *row_name,
                            const char *col_name)
{
    att_draft b = {0};
    int64_t panels = m->panel_rows * m->panel_cols;
    att_draft_text(&b, "<script type=\"application/json\" class=\"map\">{\"name\":");
    att_draft_json(&b, name);
    att_draft_text(&b, ",\"rowName\":");
    att_draft_json(&b, page->row_name[0] ? page->row_name : row_name);
    att_draft_text(&b, ",\"colName\":");
    att_draft_json(&b, page->col_name[0] ? page->col_name : col_name);
    att_draft_format(&b, ",\"layers\":%lld,\"heads\":%lld", (long long)m->panel_rows, (long long)m->panel_cols);
    ATT_TRY(put(page, &b));
    ATT_TRY(put_words(page, "rows", m->row_labels, m->rows));
    ATT_TRY(put_words(page, "cols", m->col_labels, m->cols));
    if (m->titles) ATT_TRY(put_words(page, "titles", m->titles, panels));
    att_draft_text(&b, ",\"weights\":[");
    for (int64_t i = 0; i < panels * m->rows * m->cols; i++) {
        if (i) att_draft_text(&b, ",");
        if (isfinite(m->weights[i]))
            att_draft_number(&b, (double)m->weights[i], 4);
        else
            att_draft_text(&b, "null");
    }
    att_draft_text(&b, "]}</script>\n");
    page->maps++;
    return put(page, &b);
}

att_status att_page_add(att_page *page, const att_attention_record *r)
{
    ATT_REQUIRE(page && page->open, ATT_E_VALUE, "page: it is finished already");
    ATT_TRY(att_attention_check(r));
    att_heatmap map = {.weights = r->weights,
                       .panel_rows = r->layers,
                       .panel_cols = r->heads,
                       .rows = r->rows,
                       .cols = r->cols,
                       .row_labels = att_attention_row_labels(r),
                       .col_labels = att_attention_col_labels(r)};
    return att_page_add_map(page, &map, att_attention_kind_name(r->kind),
                            r->kind == ATT_ATTENTION_ENCODER ? "source" : "target",
                            r->kind == ATT_ATTENTION_DECODER ? "target" : "source");
}

att_status att_page_finish(att_page *page)
{
    att_draft b = {0};
    ATT_REQUIRE(page && page->open, ATT_E_VALUE, "page: it is finished already");
    att_draft_text(&b, "<script>\n");
    att_draft_text(&b, att_page_script);
    att_draft_text(&b, "</script>\n</body>\n</html>\n");
    ATT_TRY(put(page, &b));
    page->open = false;
    return att_disk_commit(&page->file);
}

void att_page_destroy(att_page *page)
{
    if (!page) return;
    if (page->begun) att_disk_abandon(&page->file);
    att_label_free(page->title);
    att_label_free(page->row_name);
    att_label_free(page->col_name);
    att_free(NULL, page, sizeof *page);
}
