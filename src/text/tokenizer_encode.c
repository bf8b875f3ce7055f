#include "text/tokenizer.h"
#include "text/utf8.h"

/* Where tokens go; n counts on past the capacity. */
typedef struct sink {
    int32_t *ids;
    att_text *surface; /* NULL: not wanted */
    int64_t *word;     /* NULL: not wanted */
    int64_t capacity, n;
} sink;

typedef struct sampling {
    double dropout;
    att_random *random;
} sampling;

static void emit(sink *out, int32_t id, const char *s, size_t bytes, int64_t word)
{
    if (out->n < out->capacity) {
        out->ids[out->n] = id;
        if (out->surface) out->surface[out->n] = (att_text){s, bytes};
        if (out->word) out->word[out->n] = word;
    }
    out->n++;
}

static void encode_words(const att_tokenizer *t, att_text text, sink *out)
{
    int64_t word = 0;
    for (size_t i = 0, n; i < text.bytes; i += n + 1) {
        for (n = 0; i + n < text.bytes && text.data[i + n] != ' '; n++) continue;
        if (n > 0) emit(out, att_token_of(t, text.data + i, n), text.data + i, n, word++);
    }
}

static void encode_characters(const att_tokenizer *t, att_text text, sink *out)
{
    int64_t word = 0;
    for (size_t i = 0, n; i < text.bytes; i += n) {
        n = att_utf8_length(text.data[i]);
        word += text.data[i] == ' ';
        emit(out, att_token_of(t, text.data + i, n), text.data + i, n, word);
    }
}

/* ---- BPE ---- */

#define SHORT_WORD 96 /* symbols for which scratch stands on the stack */

/* One word and the blank in front of it. `text` is the word's. Runs of unknown characters become one token. */
static void encode_piece_word(const att_tokenizer *t, att_text text, int64_t word, att_bpe_scratch *s, sampling how,
                              sink *out)
{
    int32_t n = 1;
    s->symbol[0] = (att_bpe_symbol){.piece = t->blank};
    for (size_t i = 0, bytes; i < text.bytes; i += bytes) {
        bytes = att_utf8_length(text.data[i]);
        int32_t id = att_token_of(t, text.data + i, bytes);
        bool unknown = id == ATT_TOKEN_UNK;
        if (unknown && s->symbol[n - 1].piece < 0)
            s->symbol[n - 1].end = (int32_t)(i + bytes);
        else
            s->symbol[n++] =
                (att_bpe_symbol){.piece = unknown ? -1 : id, .start = (int32_t)i, .end = (int32_t)(i + bytes)};
    }
    att_bpe_merge(&t->merges, s, n, how.dropout, how.random);
    for (int32_t i = 0; i >= 0; i = s->symbol[i].next) {
        const att_bpe_symbol *p = &s->symbol[i];
        emit(out, p->piece < 0 ? ATT_TOKEN_UNK : p->piece, text.data + p->start, (size_t)(p->end - p->start), word);
    }
}

/* Scratch for a word that does not fit on the stack. */
static att_status encode_long_word(const att_tokenizer *t, att_text text, int64_t word, sampling how, sink *out)
{
    size_t n = text.bytes + 1, per_symbol = sizeof(att_bpe_symbol) + 6 * sizeof(att_bpe_candidate), bytes;
    ATT_REQUIRE(att_mul_size(n, per_symbol, &bytes), ATT_E_MEMORY, "out of memory: a word of %zu bytes", text.bytes);
    void *block;
    ATT_TRY(att_alloc(t->allocator, bytes, &block));
    att_bpe_candidate *heap = block;
    att_bpe_scratch s = {.heap = heap, .dropped = heap + 3 * n, .symbol = (att_bpe_symbol *)(heap + 6 * n)};
    encode_piece_word(t, text, word, &s, how, out);
    att_free(t->allocator, block, bytes);
    return ATT_OK;
}

static att_status encode_pieces(const att_tokenizer *t, att_text text, sampling how, sink *out)
{
    att_bpe_symbol symbol[SHORT_WORD];
    att_bpe_candidate heap[3 * SHORT_WORD], dropped[3 * SHORT_WORD];
    att_bpe_scratch s = {symbol, heap, dropped};
    if (text.bytes == 0) return ATT_OK;
    int64_t word = 0;
    for (size_t i = 0;; word++) {
        att_text w = {text.data + i, att_word_bytes(text.data + i, text.bytes - i)};
        if (w.bytes < SHORT_WORD)
            encode_piece_word(t, w, word, &s, how, out);
        else
            ATT_TRY(encode_long_word(t, w, word, how, out));
        i += w.bytes;
        if (i == text.bytes) return ATT_OK;
        i += att_blank_at(text.data + i, text.bytes - i);
    }
}

static att_status encode(const att_tokenizer *t, att_text text, sampling how, sink *out)
{
    if (t->kind == ATT_TOKENIZER_WORD)
        encode_words(t, text, out);
    else if (t->kind == ATT_TOKENIZER_CHAR)
        encode_characters(t, text, out);
    else
        ATT_TRY(encode_pieces(t, text, how, out));
    ATT_REQUIRE(out->n <= out->capacity, ATT_E_SHAPE, "ids: room for %lld tokens, expected at least %lld",
                (long long)out->capacity, (long long)out->n);
    return ATT_OK;
}

/* Normalises and encodes; the normalised text goes to *kept when it is not NULL. */
static att_status run(const att_tokenizer *t, att_text text, sampling how, sink *out, int64_t *n, char **kept)
{
    *n = 0;
    att_normaliser normaliser;
    att_normaliser_init(&normaliser, t->normalise, t->allocator);
    att_status status = att_normaliser_run(&normaliser, text.data, text.bytes);
    att_text clean = {normaliser.out.data, normaliser.out.bytes};
    if (status == ATT_OK && clean.bytes >= INT32_MAX)
        status = att_fail(ATT_E_VALUE, "text: %zu bytes, expected less than 2^31", clean.bytes);
    if (status == ATT_OK && kept) status = att_copy_string(t->allocator, clean.data, clean.bytes, kept);
    if (status == ATT_OK && kept) clean.data = *kept;
    if (status == ATT_OK) {
        status = encode(t, clean, how, out);
        *n = out->n;
    }
    if (status != ATT_OK && kept) {
        att_text_free(t->allocator, *kept);
        *kept = NULL;
    }
    att_normaliser_release(&normaliser);
    return status;
}

att_status att_tokenizer_encode(const att_tokenizer *t, const char *text, size_t bytes, int32_t *ids, int64_t capacity,
                                int64_t *n)
{
    sink out = {.ids = ids, .capacity = capacity};
    return run(t, (att_text){text, bytes}, (sampling){0}, &out, n, NULL);
}

att_status att_tokenizer_encode_sampled(const att_tokenizer *t, const char *text, size_t bytes, double dropout,
                                        att_random *random, int32_t *ids, int64_t capacity, int64_t *n)
{
    *n = 0;
    ATT_REQUIRE(dropout >= 0 && dropout <= 1, ATT_E_VALUE, "dropout is %g, expected 0 to 1", dropout);
    sink out = {.ids = ids, .capacity = capacity};
    return run(t, (att_text){text, bytes}, (sampling){dropout, random}, &out, n, NULL);
}

att_status att_tokenizer_encode_surfaces(const att_tokenizer *t, const char *text, size_t bytes, int32_t *ids,
                                         att_text *surface, int64_t *word, int64_t capacity, int64_t *n,
                                         char **normalised)
{
    *normalised = NULL;
    sink out = {.ids = ids, .surface = surface, .word = word, .capacity = capacity};
    return run(t, (att_text){text, bytes}, (sampling){0}, &out, n, normalised);
}
