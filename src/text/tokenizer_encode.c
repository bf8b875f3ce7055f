#define _GNU_SOURCE
#include "text/tokenizer.h"
#include "text/utf8.h"

static void encode_words(const att_tokenizer *t, att_text text, att_sink *out)
{
    int64_t word = 0;
    for (size_t i = 0, n; i < text.bytes; i += n + 1) {
        for (n = 0; i + n < text.bytes && text.data[i + n] != ' '; n++) continue;
        if (n > 0) att_emit(out, att_token_of(t, text.data + i, n), text.data + i, n, word++);
    }
}

static void encode_characters(const att_tokenizer *t, att_text text, att_sink *out)
{
    int64_t word = 0;
    for (size_t i = 0, n; i < text.bytes; i += n) {
        n = att_utf8_length(text.data[i]);
        word += text.data[i] == ' ';
        att_emit(out, att_token_of(t, text.data + i, n), text.data + i, n, word);
    }
}

/* ---- BPE ---- */

#define SHORT_WORD 96 /* symbols for which scratch stands on the stack */

/* One word and the blank in front of it. `text` is the word's. Runs of unknown characters become one token. */
static void encode_piece_word(const att_tokenizer *t, att_text text, int64_t word, att_bpe_scratch *s, att_sampling how,
                              att_sink *out)
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
    att_bpe_merge(att_merges_rule, &t->merges, s, n, how.dropout, how.random);
    for (int32_t i = 0; i >= 0; i = s->symbol[i].next) {
        const att_bpe_symbol *p = &s->symbol[i];
        att_emit(out, p->piece < 0 ? ATT_TOKEN_UNK : p->piece, text.data + p->start, (size_t)(p->end - p->start), word);
    }
}

/* Scratch for a word that does not fit on the stack. */
static att_status encode_long_word(const att_tokenizer *t, att_text text, int64_t word, att_sampling how, att_sink *out)
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

static att_status encode_pieces(const att_tokenizer *t, att_text text, att_sampling how, att_sink *out)
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

static att_status check_room(const att_sink *out)
{
    ATT_REQUIRE(out->n <= out->capacity, ATT_E_SHAPE, "ids: room for %lld tokens, expected at least %lld",
                (long long)out->capacity, (long long)out->n);
    return ATT_OK;
}

static att_status check_bytes(size_t bytes)
{
    ATT_REQUIRE(bytes < INT32_MAX, ATT_E_VALUE, "text: %zu bytes, expected less than 2^31", bytes);
    return ATT_OK;
}

/* ---- WORD, CHAR, BPE ---- */

static att_status encode(const att_tokenizer *t, att_text text, att_sampling how, att_sink *out)
{
    if (t->kind == ATT_TOKENIZER_WORD)
        encode_words(t, text, out);
    else if (t->kind == ATT_TOKENIZER_CHAR)
        encode_characters(t, text, out);
    else
        ATT_TRY(encode_pieces(t, text, how, out));
    return ATT_OK;
}

static att_status run_own(const att_tokenizer *t, att_text text, att_sampling how, att_sink *out, char **kept)
{
    att_normaliser normaliser;
    att_normaliser_init(&normaliser, t->normalise, t->allocator);
    att_status status = att_normaliser_run(&normaliser, text.data, text.bytes);
    att_text clean = {normaliser.out.data, normaliser.out.bytes};
    if (status == ATT_OK) status = check_bytes(clean.bytes);
    if (status == ATT_OK && kept) status = att_copy_string(t->allocator, clean.data, clean.bytes, kept);
    if (status == ATT_OK && kept) clean.data = *kept;
    if (status == ATT_OK) status = encode(t, clean, how, out);
    att_normaliser_release(&normaliser);
    return status;
}

/* ---- the kinds that follow other programs ---- */

/* The text that is encoded: repaired, cut at the tokens it spells, normalised in between, cut again. */
typedef struct prepared {
    const att_tokenizer *t;
    att_buffer repaired, clean;
    att_text text;
    att_parts raw, parts; /* of the repaired text, of `text` */
} prepared;

static void release(prepared *p)
{
    const att_allocator *a = p->t->allocator;
    att_buffer_release(&p->repaired);
    att_buffer_release(&p->clean);
    att_free(a, p->raw.list, p->raw.capacity * sizeof *p->raw.list);
    att_free(a, p->parts.list, p->parts.capacity * sizeof *p->parts.list);
}

static att_status normalise_part(prepared *p, att_text part)
{
    if (p->t->kind == ATT_TOKENIZER_WORDPIECE) return att_bert_normalise(p->t, part, &p->clean);
    if (p->t->kind == ATT_TOKENIZER_SENTENCEPIECE)
        return att_sentencepiece_normalise(&p->t->sentencepiece, part, &p->clean);
    att_normaliser n;
    att_normaliser_init(&n, p->t->normalise, p->t->allocator);
    att_status status = att_normaliser_run(&n, part.data, part.bytes);
    if (status == ATT_OK) status = att_buffer_append(&p->clean, n.out.data, n.out.bytes);
    att_normaliser_release(&n);
    return status;
}

static att_status normalise_parts(prepared *p, const char *text)
{
    for (size_t i = 0; i < p->raw.n; i++) {
        att_part part = p->raw.list[i];
        size_t start = p->clean.bytes;
        if (part.token >= 0) {
            ATT_TRY(att_buffer_append(&p->clean, text + part.start, part.bytes));
            part.start = start;
            ATT_TRY(att_part_add(p->t->allocator, &p->parts, part));
            continue;
        }
        ATT_TRY(normalise_part(p, (att_text){text + part.start, part.bytes}));
        ATT_TRY(
            att_added_cut(&p->t->added, p->t->sorts, p->clean.data, start, p->clean.bytes - start, true, &p->parts));
    }
    p->text = (att_text){p->clean.data, p->clean.bytes};
    return ATT_OK;
}

/* What a text for a multilingual Marian model starts with, ">>fra<<", is one token and no SentencePiece. */
static att_status cut_language(prepared *p, att_text in, size_t *bytes)
{
    const att_tokenizer *t = p->t;
    const char *end =
        t->numbered && in.bytes > 4 && memcmp(in.data, ">>", 2) == 0 ? memmem(in.data, in.bytes, "<<", 2) : NULL;
    *bytes = end ? (size_t)(end + 2 - in.data) : 0;
    if (!end) return ATT_OK;
    int32_t id = att_intern_find(&t->pieces, in.data, *bytes);
    return att_part_add(t->allocator, &p->raw, (att_part){0, *bytes, id < 0 ? t->role[ATT_ROLE_UNK] : id});
}

static att_status prepare(prepared *p, att_text in)
{
    const att_tokenizer *t = p->t;
    size_t language;
    if (att_utf8_check(in.data, in.bytes, NULL) != ATT_OK) {
        ATT_TRY(att_utf8_repair(in, &p->repaired));
        in = (att_text){p->repaired.data, p->repaired.bytes};
    }
    ATT_TRY(check_bytes(in.bytes));
    ATT_TRY(cut_language(p, in, &language));
    ATT_TRY(att_added_cut(&t->added, t->sorts, in.data, language, in.bytes - language, false, &p->raw));
    if (t->kind != ATT_TOKENIZER_BYTE_BPE || t->normalise != ATT_NORMALISE_NONE) {
        ATT_TRY(normalise_parts(p, in.data));
    } else {
        for (size_t i = 0; i < p->raw.n; i++) {
            att_part part = p->raw.list[i];
            if (part.token >= 0)
                ATT_TRY(att_part_add(t->allocator, &p->parts, part));
            else
                ATT_TRY(att_added_cut(&t->added, t->sorts, in.data, part.start, part.bytes, true, &p->parts));
        }
        p->text = in;
    }
    return check_bytes(p->text.bytes);
}

static att_status keep(prepared *p, char **kept)
{
    ATT_REQUIRE(p->text.bytes == 0 || !memchr(p->text.data, '\0', p->text.bytes), ATT_E_VALUE,
                "text: a NUL, expected none where surfaces are wanted");
    ATT_TRY(att_copy_string(p->t->allocator, p->text.data, p->text.bytes, kept));
    p->text.data = *kept;
    return ATT_OK;
}

static att_status encode_parts(const prepared *p, att_sampling how, att_sink *out)
{
    int64_t word = 0;
    for (size_t i = 0; i < p->parts.n; i++) {
        const att_part *part = &p->parts.list[i];
        att_text s = {p->text.data + part->start, part->bytes};
        if (part->token >= 0)
            att_emit(out, part->token, s.data, s.bytes, out->n > 0 ? ++word : word);
        else if (p->t->kind == ATT_TOKENIZER_WORDPIECE)
            ATT_TRY(att_wordpiece_encode(p->t, s, &word, out));
        else if (p->t->kind == ATT_TOKENIZER_SENTENCEPIECE)
            ATT_TRY(att_sentencepiece_encode(p->t, s, &word, out));
        else
            ATT_TRY(att_byte_bpe_encode(p->t, s, how, &word, out));
    }
    return ATT_OK;
}

static att_status run_other(const att_tokenizer *t, att_text text, att_sampling how, att_sink *out, char **kept)
{
    prepared p = {.t = t, .repaired.allocator = t->allocator, .clean.allocator = t->allocator};
    att_status status = prepare(&p, text);
    if (status == ATT_OK && kept) status = keep(&p, kept);
    if (status == ATT_OK) status = encode_parts(&p, how, out);
    release(&p);
    return status;
}

/* Normalises and encodes; the normalised text goes to *kept when it is not NULL. */
static att_status run(const att_tokenizer *t, att_text text, att_sampling how, att_sink *out, int64_t *n, char **kept)
{
    att_status status =
        att_has_fixed_specials(t->kind) ? run_own(t, text, how, out, kept) : run_other(t, text, how, out, kept);
    *n = status == ATT_OK ? out->n : 0;
    if (status == ATT_OK) status = check_room(out);
    if (status != ATT_OK && kept) {
        att_text_free(t->allocator, *kept);
        *kept = NULL;
    }
    return status;
}

att_status att_tokenizer_encode(const att_tokenizer *t, const char *text, size_t bytes, int32_t *ids, int64_t capacity,
                                int64_t *n)
{
    att_sink out = {.ids = ids, .capacity = capacity};
    return run(t, (att_text){text, bytes}, (att_sampling){0}, &out, n, NULL);
}

att_status att_tokenizer_encode_sampled(const att_tokenizer *t, const char *text, size_t bytes, double dropout,
                                        att_random *random, int32_t *ids, int64_t capacity, int64_t *n)
{
    *n = 0;
    ATT_REQUIRE(dropout >= 0 && dropout <= 1, ATT_E_VALUE, "dropout is %g, expected 0 to 1", dropout);
    att_sink out = {.ids = ids, .capacity = capacity};
    return run(t, (att_text){text, bytes}, (att_sampling){dropout, random}, &out, n, NULL);
}

att_status att_tokenizer_encode_surfaces(const att_tokenizer *t, const char *text, size_t bytes, int32_t *ids,
                                         att_text *surface, int64_t *word, int64_t capacity, int64_t *n,
                                         char **normalised)
{
    *normalised = NULL;
    att_sink out = {.ids = ids, .surface = surface, .word = word, .capacity = capacity};
    return run(t, (att_text){text, bytes}, (att_sampling){0}, &out, n, normalised);
}

/* ---- pairs ---- */

/* How many tokens of each text are kept: `tokenizers` shortens the longer one, then halves. */
static void shorten(int64_t most, int64_t *a, int64_t *b)
{
    bool swapped = *a > *b;
    int64_t less = swapped ? *b : *a, more = swapped ? *a : *b;
    if (*a + *b <= most) return;
    more = less > most ? less : att_max64(less, most - less);
    if (less + more > most) {
        less = most / 2;
        more = less + most % 2;
    }
    *a = swapped ? more : less;
    *b = swapped ? less : more;
}

typedef struct layout {
    int32_t *ids, *segments;
    int64_t capacity, n;
} layout;

static void place(layout *l, const int32_t *ids, int64_t n, int32_t segment)
{
    for (int64_t i = 0; i < n; i++, l->n++)
        if (l->n < l->capacity) {
            l->ids[l->n] = ids[i];
            if (l->segments) l->segments[l->n] = segment;
        }
}

/* All ids of a text, new, (room) numbers. */
static att_status encode_all(const att_tokenizer *t, const att_text *text, int32_t **ids, size_t *room, int64_t *n)
{
    void *block;
    att_status status;
    *room = text->bytes < INT32_MAX ? text->bytes + 8 : 8;
    *ids = NULL;
    do {
        ATT_TRY(att_new_array(t->allocator, *room, sizeof **ids, &block));
        *ids = block;
        status = att_tokenizer_encode(t, text->data, text->bytes, *ids, (int64_t)*room, n);
        if (status != ATT_E_SHAPE) return status;
        att_free(t->allocator, *ids, *room * sizeof **ids);
        *ids = NULL;
        *room = (size_t)*n;
    } while (true);
}

att_status att_tokenizer_encode_pair(const att_tokenizer *t, const att_text *first, const att_text *second,
                                     int64_t most, int32_t *ids, int32_t *segments, int64_t capacity, int64_t *n)
{
    int32_t cls = t->role[ATT_ROLE_BOS], sep = t->role[ATT_ROLE_EOS], *part[2] = {NULL, NULL};
    int64_t count[2] = {0, 0}, extra = second ? 3 : 2;
    size_t room[2] = {0, 0};
    layout l = {ids, segments, capacity, 0};
    *n = 0;
    ATT_REQUIRE(cls >= 0 && sep >= 0, ATT_E_UNSUPPORTED,
                "tokenizer: no tokens that begin and end a text, expected both");
    ATT_REQUIRE(most == 0 || most >= extra, ATT_E_VALUE, "most is %lld, expected 0 or at least %lld", (long long)most,
                (long long)extra);
    att_status status = encode_all(t, first, &part[0], &room[0], &count[0]);
    if (status == ATT_OK && second) status = encode_all(t, second, &part[1], &room[1], &count[1]);
    if (status == ATT_OK) {
        if (most > 0) shorten(most - extra, &count[0], &count[1]);
        place(&l, &cls, 1, 0);
        place(&l, part[0], count[0], 0);
        place(&l, &sep, 1, 0);
        place(&l, part[1], count[1], 1);
        if (second) place(&l, &sep, 1, 1);
        *n = l.n;
        status = check_room(&(att_sink){.capacity = capacity, .n = l.n});
    }
    for (int i = 0; i < 2; i++) att_free(t->allocator, part[i], room[i] * sizeof(int32_t));
    return status;
}
