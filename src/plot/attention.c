/* Records of attention: checks, writing, one map of many, alignments, pictures. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <utf8proc.h>

#include "plot/attention.h"
#include "plot/draft.h"

static const char *const kind_names[] = {"cross", "encoder", "decoder"};

const char *att_attention_kind_name(att_attention_kind kind)
{
    return (unsigned)kind < 3 ? kind_names[kind] : "unknown";
}

att_status att_attention_kind_parse(const char *name, att_attention_kind *kind)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(name, kind_names[i]) == 0) {
            *kind = (att_attention_kind)i;
            return ATT_OK;
        }
    return att_fail(ATT_E_VALUE, "\"kind\" is \"%.40s\", expected cross, encoder or decoder", name);
}

void att_attention_sizes(att_attention_kind kind, int64_t n_source, int64_t n_target, int64_t *rows, int64_t *cols)
{
    *rows = kind == ATT_ATTENTION_ENCODER ? n_source : n_target;
    *cols = kind == ATT_ATTENTION_DECODER ? n_target : n_source;
}

const char *const *att_attention_row_labels(const att_attention_record *record)
{
    return record->kind == ATT_ATTENTION_ENCODER ? record->source : record->target;
}

const char *const *att_attention_col_labels(const att_attention_record *record)
{
    return record->kind == ATT_ATTENTION_DECODER ? record->target : record->source;
}

att_status att_attention_check(const att_attention_record *r)
{
    int64_t rows, cols, n;
    ATT_REQUIRE(r && r->weights, ATT_E_VALUE, "attention: the record or its weights are NULL");
    ATT_REQUIRE((unsigned)r->kind < 3, ATT_E_VALUE, "attention: kind %d, expected 0 to 2", (int)r->kind);
    ATT_REQUIRE(r->layers > 0 && r->heads > 0 && r->rows > 0 && r->cols > 0, ATT_E_SHAPE,
                "attention: %lld layers, %lld heads, %lld rows, %lld columns, expected at least 1 of each",
                (long long)r->layers, (long long)r->heads, (long long)r->rows, (long long)r->cols);
    att_attention_sizes(r->kind, r->n_source, r->n_target, &rows, &cols);
    ATT_REQUIRE(r->rows == rows && r->cols == cols, ATT_E_SHAPE,
                "attention: %lld rows and %lld columns, but %lld and %lld tokens (kind %s, %lld source and %lld target "
                "tokens)",
                (long long)r->rows, (long long)r->cols, (long long)rows, (long long)cols,
                att_attention_kind_name(r->kind), (long long)r->n_source, (long long)r->n_target);
    ATT_REQUIRE((r->source || r->n_source == 0) && (r->target || r->n_target == 0), ATT_E_VALUE,
                "attention: the tokens are NULL");
    ATT_REQUIRE(!__builtin_mul_overflow(r->layers, r->heads, &n) && !__builtin_mul_overflow(n, rows, &n) &&
                    !__builtin_mul_overflow(n, cols, &n),
                ATT_E_SHAPE, "attention: more weights than can be counted");
    return ATT_OK;
}

static att_status put_tokens(att_draft *b, const char *key, const char *const *token, int64_t n)
{
    att_draft_format(b, "\"%s\":[", key);
    for (int64_t i = 0; i < n; i++) {
        ATT_REQUIRE(token[i], ATT_E_VALUE, "attention: %s token %lld is NULL", key, (long long)i);
        const utf8proc_uint8_t *s = (const utf8proc_uint8_t *)token[i];
        utf8proc_int32_t c;
        for (utf8proc_ssize_t at = 0, took; s[at]; at += took) {
            took = utf8proc_iterate(s + at, -1, &c);
            ATT_REQUIRE(took > 0, ATT_E_VALUE, "attention: %s token %lld is not UTF-8 at byte %lld", key, (long long)i,
                        (long long)at);
        }
        if (i) att_draft_text(b, ",");
        att_draft_json(b, token[i]);
    }
    att_draft_text(b, "],");
    return ATT_OK;
}

/* Nested arrays; a bracket opens or closes wherever an index starts or ends its range. */
static att_status put_weights(att_draft *b, const att_attention_record *r)
{
    const int64_t size[] = {r->cols, r->rows * r->cols, r->heads * r->rows * r->cols};
    const int64_t n = r->layers * size[2];
    att_draft_text(b, "\"weights\":[");
    for (int64_t i = 0; i < n; i++) {
        ATT_REQUIRE(isfinite(r->weights[i]), ATT_E_VALUE,
                    "attention: weight %lld of layer %lld, head %lld is %g, expected a finite number",
                    (long long)(i % size[1]), (long long)(i / size[2]), (long long)(i % size[2] / size[1]),
                    (double)r->weights[i]);
        if (i) att_draft_text(b, ",");
        for (int k = 2; k >= 0; k--)
            if (i % size[k] == 0) att_draft_text(b, "[");
        att_draft_number(b, (double)r->weights[i], 6);
        for (int k = 0; k < 3; k++)
            if ((i + 1) % size[k] == 0) att_draft_text(b, "]");
    }
    att_draft_text(b, "]}\n");
    return ATT_OK;
}

att_status att_attention_write(const att_attention_record *r, FILE *stream)
{
    att_draft b = {0};
    ATT_TRY(att_attention_check(r));
    ATT_REQUIRE(stream, ATT_E_VALUE, "attention: the stream is NULL");
    att_draft_format(&b, "{\"kind\":\"%s\",", att_attention_kind_name(r->kind));
    att_status st = put_tokens(&b, "source", r->source, r->n_source);
    if (st == ATT_OK) st = put_tokens(&b, "target", r->target, r->n_target);
    if (st == ATT_OK) st = put_weights(&b, r);
    if (st == ATT_OK) st = b.status;
    if (st == ATT_OK && fwrite(b.data, 1, b.bytes, stream) != b.bytes)
        st = att_fail(ATT_E_IO, "attention: writing a record failed: %s", strerror(errno));
    att_draft_free(&b);
    return st;
}

static att_status check_index(const char *what, int64_t i, int64_t n)
{
    ATT_REQUIRE(i == ATT_PLOT_MEAN || (i >= 0 && i < n), ATT_E_VALUE,
                "attention: %s %lld, but there are %lld, counted from 0", what, (long long)i, (long long)n);
    return ATT_OK;
}

att_status att_attention_map(const att_attention_record *r, int64_t layer, int64_t head, float *out)
{
    ATT_TRY(att_attention_check(r));
    ATT_TRY(check_index("layer", layer, r->layers));
    ATT_TRY(check_index("head", head, r->heads));
    int64_t n = r->rows * r->cols, l0 = layer < 0 ? 0 : layer, l1 = layer < 0 ? r->layers : layer + 1,
            h0 = head < 0 ? 0 : head, h1 = head < 0 ? r->heads : head + 1;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t l = l0; l < l1; l++)
            for (int64_t h = h0; h < h1; h++) sum += (double)r->weights[(l * r->heads + h) * n + i];
        out[i] = (float)(sum / (double)((l1 - l0) * (h1 - h0)));
    }
    return ATT_OK;
}

att_status att_attention_pharaoh(const att_attention_record *r, int64_t layer, int64_t head, FILE *stream)
{
    void *block;
    att_draft b = {0};
    ATT_TRY(att_attention_check(r));
    ATT_REQUIRE(r->kind == ATT_ATTENTION_CROSS, ATT_E_VALUE, "alignment: kind %s, expected cross",
                att_attention_kind_name(r->kind));
    size_t bytes = (size_t)(r->rows * r->cols) * sizeof(float);
    ATT_TRY(att_alloc(NULL, bytes, &block));
    float *map = block;
    att_status st = att_attention_map(r, layer, head, map);
    for (int64_t i = 0; st == ATT_OK && i < r->rows; i++) {
        int64_t best = 0;
        for (int64_t j = 1; j < r->cols; j++)
            if (map[i * r->cols + j] > map[i * r->cols + best]) best = j;
        att_draft_format(&b, "%s%lld-%lld", i ? " " : "", (long long)best, (long long)i);
    }
    att_draft_text(&b, "\n");
    if (st == ATT_OK) st = b.status;
    if (st == ATT_OK && fwrite(b.data, 1, b.bytes, stream) != b.bytes)
        st = att_fail(ATT_E_IO, "alignment: writing failed: %s", strerror(errno));
    att_draft_free(&b);
    att_free(NULL, block, bytes);
    return st;
}

/* The maps that layer and head name (ATT_PLOT_ALL: each; ATT_PLOT_MEAN: one) into out, layer by layer. */
static att_status select_maps(const att_attention_record *r, int64_t layer, int64_t head, float *out, char *title,
                              size_t title_bytes, const char **titles)
{
    int64_t L = layer == ATT_PLOT_ALL ? r->layers : 1, H = head == ATT_PLOT_ALL ? r->heads : 1;
    for (int64_t p = 0; p < L * H; p++) {
        int64_t l = layer == ATT_PLOT_ALL ? p / H : layer, h = head == ATT_PLOT_ALL ? p % H : head;
        char *text = title + (size_t)p * title_bytes;
        ATT_TRY(att_attention_map(r, l, h, out + p * r->rows * r->cols));
        char which[2][32] = {"mean layer", "mean head"};
        if (l >= 0) snprintf(which[0], sizeof which[0], "layer %lld", (long long)l + 1);
        if (h >= 0) snprintf(which[1], sizeof which[1], "head %lld", (long long)h + 1);
        snprintf(text, title_bytes, "%s, %s", which[0], which[1]);
        titles[p] = text;
    }
    return ATT_OK;
}

att_status att_plot_attention(const att_heatmap_desc *desc, const att_attention_record *r, int64_t layer, int64_t head,
                              const char *path)
{
    enum { TITLE_BYTES = 72 };
    ATT_TRY(att_attention_check(r));
    int64_t L = layer == ATT_PLOT_ALL ? r->layers : 1, H = head == ATT_PLOT_ALL ? r->heads : 1, panels = L * H;
    void *maps, *text = NULL, *titles = NULL;
    size_t bytes = (size_t)(panels * r->rows * r->cols) * sizeof(float);
    ATT_TRY(att_alloc(NULL, bytes, &maps));
    att_status st = att_new_array(NULL, (size_t)panels, TITLE_BYTES, &text);
    if (st == ATT_OK) st = att_new_array(NULL, (size_t)panels, sizeof(char *), &titles);
    if (st == ATT_OK) st = select_maps(r, layer, head, maps, text, TITLE_BYTES, titles);
    if (st == ATT_OK)
        st = att_plot_heatmap_grid(desc, maps, L, H, r->rows, r->cols, att_attention_row_labels(r),
                                   att_attention_col_labels(r), (const char *const *)titles, path);
    att_free(NULL, maps, bytes);
    att_free(NULL, text, (size_t)panels * TITLE_BYTES);
    att_free(NULL, titles, (size_t)panels * sizeof(char *));
    return st;
}
