/* From lines to translations: tokens, batches of similar length, beam search, text again. */
#include <string.h>

#include "task/translator.h"

#define DEFAULT_BATCH 64

/* A source line as the search sees it. */
typedef struct line {
    int32_t *ids; /* </s> at the end */
    att_text *surface;
    char *normalised;
    int64_t n, room;
} line;

typedef struct job {
    att_translator *t;
    const att_translate_options *o;
    line *lines;
    int64_t *order; /* lines from the longest to the shortest */
    int64_t n;
    att_translation *results;
} job;

static att_status encode_line(const att_translator *t, const att_text *text, line *out)
{
    void *block;
    out->room = (int64_t)(3 * text->bytes) + 2; /* NFKC can lengthen text; grown below if that is not enough */
    for (;;) {
        ATT_TRY(att_new_array(t->allocator, (size_t)out->room, sizeof *out->ids, &block));
        out->ids = block;
        ATT_TRY(att_new_array(t->allocator, (size_t)out->room, sizeof *out->surface, &block));
        out->surface = block;
        att_status status = att_tokenizer_encode_surfaces(t->source, text->data, text->bytes, out->ids, out->surface,
                                                          NULL, out->room - 1, &out->n, &out->normalised);
        if (status == ATT_OK) break;
        att_free(t->allocator, out->ids, (size_t)out->room * sizeof *out->ids);
        att_free(t->allocator, out->surface, (size_t)out->room * sizeof *out->surface);
        out->ids = NULL;
        out->surface = NULL;
        if (status != ATT_E_SHAPE) return status;
        out->room = out->n + 1;
    }
    out->ids[out->n++] = att_tokenizer_role(t->source, ATT_ROLE_EOS);
    return ATT_OK;
}

static void free_line(const att_translator *t, line *l)
{
    att_free(t->allocator, l->ids, (size_t)l->room * sizeof *l->ids);
    att_free(t->allocator, l->surface, (size_t)l->room * sizeof *l->surface);
    att_text_free(t->allocator, l->normalised);
}

/* ---- text of a hypothesis ---- */

typedef struct growing {
    const att_allocator *allocator;
    char *data;
    size_t bytes, room;
} growing;

static att_status append(growing *g, const char *s, size_t n)
{
    if (g->bytes + n + 1 > g->room) {
        size_t more = 2 * (g->bytes + n + 1);
        void *block = g->data;
        ATT_TRY(att_realloc(g->allocator, &block, g->room, more));
        g->data = block;
        g->room = more;
    }
    memcpy(g->data + g->bytes, s, n);
    g->bytes += n;
    g->data[g->bytes] = '\0';
    return ATT_OK;
}

static att_status append_decoded(growing *g, const att_tokenizer *tokenizer, const int32_t *ids, int64_t n)
{
    size_t bytes = 0;
    if (n == 0) return ATT_OK;
    att_tokenizer_decode(tokenizer, ids, n, NULL, 0, &bytes);
    if (g->bytes && bytes) ATT_TRY(append(g, " ", 1));
    size_t at = g->bytes;
    void *block = g->data;
    if (at + bytes + 1 > g->room) {
        ATT_TRY(att_realloc(g->allocator, &block, g->room, at + bytes + 1));
        g->data = block;
        g->room = at + bytes + 1;
    }
    ATT_TRY(att_tokenizer_decode(tokenizer, ids, n, g->data + at, g->room - at, &bytes));
    g->bytes = at + bytes;
    return ATT_OK;
}

static int64_t most_attended(const float *row, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (row[i] > row[best]) best = i;
    return best;
}

/* Runs of known tokens are decoded as they are; an unknown one becomes the source text it looks at. */
static att_status text_of(const job *j, const line *source, const att_hypothesis *h, int64_t Ts, growing *g)
{
    int64_t from = 0;
    ATT_TRY(append(g, "", 0));
    for (int64_t i = 0; j->o->replace_unknown && h->weights && i < h->n; i++) {
        if (h->tokens[i] != att_tokenizer_role(j->t->target, ATT_ROLE_UNK) || source->n < 2) continue;
        ATT_TRY(append_decoded(g, j->t->target, h->tokens + from, i - from));
        att_text word = source->surface[most_attended(h->weights + i * Ts, source->n - 1)];
        if (g->bytes && word.bytes) ATT_TRY(append(g, " ", 1));
        ATT_TRY(append(g, word.data, word.bytes));
        from = i + 1;
    }
    return append_decoded(g, j->t->target, h->tokens + from, h->n - from);
}

/* ---- results: strings and weights from the C heap, so that att_translations_free needs nothing else ---- */

static att_status copy_pieces(const att_tokenizer *tokenizer, const int32_t *ids, int64_t n, int64_t count, char ***out)
{
    void *block;
    ATT_TRY(att_new_array(NULL, (size_t)count, sizeof **out, &block));
    *out = block;
    for (int64_t i = 0; i < count; i++) {
        const char *piece =
            att_tokenizer_piece(tokenizer, i < n ? ids[i] : att_tokenizer_role(tokenizer, ATT_ROLE_EOS));
        ATT_TRY(att_copy_string(NULL, piece ? piece : "", piece ? strlen(piece) : 0, &(*out)[i]));
    }
    return ATT_OK;
}

static att_status keep_attention(const job *j, const line *source, const att_hypothesis *h, int64_t Ts,
                                 att_translation *out)
{
    void *block;
    out->rows = h->n + 1;
    out->cols = source->n;
    ATT_TRY(copy_pieces(j->t->source, source->ids, source->n, source->n, &out->source));
    ATT_TRY(copy_pieces(j->t->target, h->tokens, h->n, h->n + 1, &out->target));
    if (!h->weights) return ATT_OK;
    ATT_TRY(att_new_array(NULL, (size_t)(out->rows * out->cols), sizeof(float), &block));
    out->weights = block;
    for (int64_t i = 0; i < out->rows; i++)
        memcpy(out->weights + i * out->cols, h->weights + i * Ts, (size_t)out->cols * sizeof(float));
    return att_translation_look(j->t, source->ids, source->n, h, out);
}

static att_status keep(const job *j, const line *source, const att_hypothesis *h, int64_t Ts, att_translation *out)
{
    growing g = {0};
    att_hypothesis nothing = *h;
    if (source->n < 2) { /* </s> alone: a line without words has a translation without words */
        nothing.n = 0;
        h = &nothing;
    }
    out->score = h->score;
    out->log_probability = h->log_probability;
    att_status status = h->tokens ? text_of(j, source, h, Ts, &g) : append(&g, "", 0);
    if (status == ATT_OK) status = att_copy_string(NULL, g.data, g.bytes, &out->text);
    att_free(NULL, g.data, g.room);
    ATT_TRY(status);
    return j->o->with_attention && h->tokens ? keep_attention(j, source, h, Ts, out) : ATT_OK;
}

void att_translations_free(att_translation *results, int64_t n)
{
    for (int64_t i = 0; results && i < n; i++) {
        att_translation *r = &results[i];
        if (r->text) att_free(NULL, r->text, strlen(r->text) + 1);
        for (int64_t c = 0; r->source && c < r->cols; c++)
            if (r->source[c]) att_free(NULL, r->source[c], strlen(r->source[c]) + 1);
        for (int64_t c = 0; r->target && c < r->rows; c++)
            if (r->target[c]) att_free(NULL, r->target[c], strlen(r->target[c]) + 1);
        att_free(NULL, r->source, (size_t)r->cols * sizeof *r->source);
        att_free(NULL, r->target, (size_t)r->rows * sizeof *r->target);
        att_free(NULL, r->weights, (size_t)(r->rows * r->cols) * sizeof(float));
        att_free(NULL, r->encoder, (size_t)(r->encoder_layers * r->heads * r->cols * r->cols) * sizeof(float));
        att_free(NULL, r->decoder, (size_t)(r->decoder_layers * r->heads * r->rows * r->rows) * sizeof(float));
        att_free(NULL, r->cross, (size_t)(r->decoder_layers * r->heads * r->rows * r->cols) * sizeof(float));
        *r = (att_translation){0};
    }
}

/* ---- batches ---- */

static att_status run_batch(const job *j, int64_t first, int64_t count, att_search_batch *batch, att_hypothesis *found)
{
    int32_t pad = att_tokenizer_role(j->t->source, ATT_ROLE_PAD);
    for (int64_t b = 0; b < count; b++) {
        const line *l = &j->lines[j->order[first + b]];
        batch->lengths[b] = (int32_t)l->n;
        for (int64_t i = 0; i < batch->Ts; i++) batch->ids[i * count + b] = i < l->n ? l->ids[i] : pad;
    }
    ATT_TRY(att_beam_search(j->t, j->o, batch, found));
    for (int64_t b = 0; b < count; b++)
        for (int64_t r = 0; r < j->o->n_best; r++) {
            int64_t i = j->order[first + b];
            ATT_TRY(keep(j, &j->lines[i], &found[b * j->o->n_best + r], batch->Ts, &j->results[i * j->o->n_best + r]));
        }
    return ATT_OK;
}

static att_status translate_batch(const job *j, int64_t first, int64_t count)
{
    const att_allocator *a = j->t->allocator;
    att_search_batch batch = {.B = count, .Ts = j->lines[j->order[first]].n};
    size_t slots = (size_t)(count * batch.Ts), wanted = (size_t)(count * j->o->n_best);
    void *ids = NULL, *lengths = NULL, *found = NULL;
    att_status status = att_new_array(a, slots, sizeof(int32_t), &ids);
    if (status == ATT_OK) status = att_new_array(a, (size_t)count, sizeof(int32_t), &lengths);
    if (status == ATT_OK) status = att_new_array(a, wanted, sizeof(att_hypothesis), &found);
    if (status == ATT_OK) {
        batch.ids = ids;
        batch.lengths = lengths;
        status = run_batch(j, first, count, &batch, found);
        for (size_t i = 0; i < wanted; i++) att_hypothesis_free(a, (att_hypothesis *)found + i, batch.Ts);
    }
    att_free(a, ids, slots * sizeof(int32_t));
    att_free(a, lengths, (size_t)count * sizeof(int32_t));
    att_free(a, found, wanted * sizeof(att_hypothesis));
    return status;
}

/* Longest first; equal lengths in the order of the lines. */
static void sort_by_length(const line *lines, int64_t *order, int64_t *room, int64_t n)
{
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t lo = 0; lo < n; lo += 2 * width) {
            int64_t mid = att_min64(lo + width, n), hi = att_min64(lo + 2 * width, n), a = lo, b = mid;
            for (int64_t k = lo; k < hi; k++)
                room[k] = a < mid && (b >= hi || lines[order[a]].n >= lines[order[b]].n) ? order[a++] : order[b++];
        }
        memcpy(order, room, (size_t)n * sizeof *order);
    }
}

static att_status run_all(job *j, const att_text *lines, int64_t *room, int (*progress)(void *ctx, int64_t done),
                          void *ctx)
{
    int64_t size = j->o->batch > 0 ? j->o->batch : DEFAULT_BATCH;
    for (int64_t i = 0; i < j->n; i++) {
        ATT_TRY(encode_line(j->t, &lines[i], &j->lines[i]));
        j->order[i] = i;
    }
    sort_by_length(j->lines, j->order, room, j->n);
    for (int64_t first = 0; first < j->n; first += size) {
        int64_t count = att_min64(size, j->n - first);
        ATT_TRY(translate_batch(j, first, count));
        if (progress && progress(ctx, first + count))
            return att_fail(ATT_E_INTERRUPTED, "stopped after %lld lines", (long long)(first + count));
    }
    return ATT_OK;
}

static att_status check(const att_translate_options *o)
{
    ATT_REQUIRE(o->beam >= 1 && o->beam <= 1000, ATT_E_VALUE, "beam: %lld, expected 1 to 1000", (long long)o->beam);
    ATT_REQUIRE(o->n_best >= 1 && o->n_best <= o->beam, ATT_E_VALUE, "n_best: %lld, expected 1 to the beam's %lld",
                (long long)o->n_best, (long long)o->beam);
    ATT_REQUIRE(o->max_length >= 0, ATT_E_VALUE, "max_length: %lld, expected 0 or more", (long long)o->max_length);
    ATT_REQUIRE(o->length_penalty >= 0 && o->coverage_penalty >= 0, ATT_E_VALUE,
                "penalties: %g and %g, expected 0 or more", o->length_penalty, o->coverage_penalty);
    return ATT_OK;
}

att_status att_translate(att_translator *t, const att_translate_options *o, const att_text *lines, int64_t n,
                         att_translation *results, int (*progress)(void *ctx, int64_t done), void *ctx)
{
    void *block = NULL, *order = NULL, *room = NULL;
    size_t count = (size_t)n;
    ATT_TRY(check(o));
    memset(results, 0, count * (size_t)o->n_best * sizeof *results);
    att_status status = att_new_array(t->allocator, count, sizeof(line), &block);
    if (status == ATT_OK) status = att_new_array(t->allocator, count, sizeof(int64_t), &order);
    if (status == ATT_OK) status = att_new_array(t->allocator, count, sizeof(int64_t), &room);
    job j = {.t = t, .o = o, .lines = block, .order = order, .n = n, .results = results};
    if (status == ATT_OK) status = run_all(&j, lines, room, progress, ctx);
    for (int64_t i = 0; block && i < n; i++) free_line(t, &j.lines[i]);
    att_free(t->allocator, block, count * sizeof(line));
    att_free(t->allocator, order, count * sizeof(int64_t));
    att_free(t->allocator, room, count * sizeof(int64_t));
    if (status != ATT_OK) att_translations_free(results, n * o->n_best);
    return status;
}
