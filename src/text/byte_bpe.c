/* Byte-level BPE in the manner of GPT-2 (Radford et al. 2019, section 2.2). Text is cut into words by a regular
 * expression, each byte becomes a visible character, and merges are applied inside words. */
#include "text/tokenizer.h"
#include "text/utf8.h"

/* ---- the alphabet: visible bytes of Latin-1 stand for themselves, the others for U+0100 and up, in their order ----
 */

static bool is_visible(int byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

int32_t att_byte_character(int byte)
{
    if (is_visible(byte)) return byte;
    return 0x100 + (byte <= 0x20 ? byte : byte <= 0xA0 ? byte - 0x7F + 0x21 : 0x43);
}

int att_character_byte(int32_t c)
{
    if (c < 0x100) return is_visible(c) ? c : -1;
    c -= 0x100;
    return c <= 0x20 ? c : c <= 0x42 ? c - 0x21 + 0x7F : c == 0x43 ? 0xAD : -1;
}

att_status att_byte_text(att_buffer *out, const char *s, size_t bytes)
{
    ATT_TRY(att_buffer_reserve(out, 2 * bytes));
    char *to = out->data + out->bytes;
    for (size_t i = 0; i < bytes; i++) to += att_utf8_put(to, att_byte_character((unsigned char)s[i]));
    out->bytes = (size_t)(to - out->data);
    *to = '\0';
    return ATT_OK;
}

/* ---- words:  's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ ---- */

/* Bytes of the English ending at s, whose first byte is an apostrophe; 0: none. */
static size_t ending(const char *s, size_t left)
{
    if (left < 2) return 0;
    if (s[1] == 's' || s[1] == 't' || s[1] == 'm' || s[1] == 'd') return 2;
    if (left < 3) return 0;
    return (s[1] == 'r' && s[2] == 'e') || (s[1] == 'v' && s[2] == 'e') || (s[1] == 'l' && s[2] == 'l') ? 3 : 0;
}

static int sort_at(const uint8_t *sorts, const char *s)
{
    return att_sorts_of(sorts, att_utf8_get(s)) & (ATT_CODE_LETTER | ATT_CODE_NUMBER | ATT_CODE_SPACE);
}

/* Bytes of the run of this sort from s on. */
static size_t run_of(const uint8_t *sorts, int sort, const char *s, size_t left)
{
    size_t n = 0;
    while (n < left && sort_at(sorts, s + n) == sort) n += att_utf8_length(s[n]);
    return n;
}

/* White space up to the end is one word; otherwise its last character is left for the next word. */
static size_t white_word(const uint8_t *sorts, const char *s, size_t left)
{
    size_t n = 0, last = 0;
    while (n < left && sort_at(sorts, s + n) == ATT_CODE_SPACE) {
        last = n;
        n += att_utf8_length(s[n]);
    }
    return n < left && last > 0 ? last : n;
}

size_t att_gpt2_word(const uint8_t *sorts, const char *s, size_t left)
{
    size_t n = s[0] == '\'' ? ending(s, left) : 0;
    if (n > 0) return n;
    size_t blank = s[0] == ' ' && left > 1;
    int sort = sort_at(sorts, s + blank);
    if (sort == ATT_CODE_SPACE) return white_word(sorts, s, left);
    return blank + run_of(sorts, sort, s + blank, left - blank);
}

/* ---- encoding ---- */

enum { UNTRIED, WHOLE, SPLIT }; /* of att_byte_bpe.is_whole */

typedef struct coder {
    const att_tokenizer *t;
    att_sampling how;
    att_buffer visible;
    att_bpe_symbol *symbol;
    att_bpe_candidate *heap;
    size_t symbols, candidates;
} coder;

static void release(coder *c)
{
    const att_allocator *a = c->t->allocator;
    att_buffer_release(&c->visible);
    att_free(a, c->symbol, c->symbols * sizeof *c->symbol);
    att_free(a, c->heap, c->candidates * sizeof *c->heap);
}

static att_status reserve(coder *c, size_t n)
{
    const att_allocator *a = c->t->allocator;
    void *symbol = c->symbol, *heap = c->heap;
    ATT_TRY(att_grow(a, &symbol, &c->symbols, n, sizeof *c->symbol));
    c->symbol = symbol;
    ATT_TRY(att_grow(a, &heap, &c->candidates, 6 * n, sizeof *c->heap));
    c->heap = heap;
    return ATT_OK;
}

/* The merges on one word. A byte that is no token is the unknown token, or nothing where there is none. */
static att_status merge_word(coder *c, att_text word, int64_t number, att_sink *out, int32_t *only)
{
    const att_tokenizer *t = c->t;
    int32_t n = 0;
    ATT_TRY(reserve(c, word.bytes));
    for (size_t i = 0; i < word.bytes; i++) {
        int32_t piece = t->byte_bpe.piece[(unsigned char)word.data[i]];
        if (piece < 0) piece = t->byte_bpe.unknown;
        if (piece >= 0) c->symbol[n++] = (att_bpe_symbol){.piece = piece, .start = (int32_t)i, .end = (int32_t)i + 1};
    }
    *only = -1;
    if (n == 0) return ATT_OK;
    att_bpe_scratch scratch = {c->symbol, c->heap, c->heap + 3 * (size_t)n};
    att_bpe_merge(att_merges_rule, &t->merges, &scratch, n, c->how.dropout, c->how.random);
    if (c->symbol[0].next < 0) *only = c->symbol[0].piece;
    for (int32_t i = 0; i >= 0; i = c->symbol[i].next) {
        const att_bpe_symbol *p = &c->symbol[i];
        att_emit(out, p->piece, word.data + p->start, (size_t)(p->end - p->start), number);
    }
    return ATT_OK;
}

/* Most words are a piece, and the merges nearly always make them that piece. Whether they do is found out once. Two
 * threads that find it out at the same time write the same answer. */
static att_status encode_word(coder *c, att_text word, int64_t number, att_sink *out)
{
    const att_tokenizer *t = c->t;
    c->visible.bytes = 0;
    ATT_TRY(att_byte_text(&c->visible, word.data, word.bytes));
    int32_t piece = att_intern_find(&t->pieces, c->visible.data, c->visible.bytes), only;
    if (piece < 0 || c->how.dropout > 0) return merge_word(c, word, number, out, &only);
    _Atomic unsigned char *known = &t->byte_bpe.is_whole[piece];
    if (atomic_load_explicit(known, memory_order_relaxed) == WHOLE) {
        att_emit(out, piece, word.data, word.bytes, number);
        return ATT_OK;
    }
    ATT_TRY(merge_word(c, word, number, out, &only));
    atomic_store_explicit(known, only == piece ? WHOLE : SPLIT, memory_order_relaxed);
    return ATT_OK;
}

static att_status encode_words(coder *c, att_text text, int64_t *word, att_sink *out)
{
    const uint8_t *sorts = c->t->sorts;
    for (size_t i = 0, n; i < text.bytes; i += n) {
        n = att_gpt2_word(sorts, text.data + i, text.bytes - i);
        if (sort_at(sorts, text.data + i) == ATT_CODE_SPACE && out->n > 0) ++*word;
        ATT_TRY(encode_word(c, (att_text){text.data + i, n}, *word, out));
    }
    return ATT_OK;
}

/* With a blank in front that is not in the text: surfaces are moved back to it afterwards. */
static att_status encode_prefixed(coder *c, att_text text, int64_t *word, att_sink *out)
{
    att_buffer copy = {.allocator = c->t->allocator};
    int64_t first = out->n;
    att_status status = att_buffer_append(&copy, " ", 1);
    if (status == ATT_OK) status = att_buffer_append(&copy, text.data, text.bytes);
    if (status == ATT_OK) status = encode_words(c, (att_text){copy.data, copy.bytes}, word, out);
    for (int64_t i = first; status == ATT_OK && out->surface && i < att_min64(out->n, out->capacity); i++) {
        size_t at = (size_t)(out->surface[i].data - copy.data);
        out->surface[i].data = text.data + (at > 0 ? at - 1 : 0);
        if (at == 0) out->surface[i].bytes--;
    }
    att_buffer_release(&copy);
    return status;
}

att_status att_byte_bpe_encode(const att_tokenizer *t, att_text part, att_sampling how, int64_t *word, att_sink *out)
{
    coder c = {.t = t, .how = how, .visible.allocator = t->allocator};
    bool prefix = t->byte_bpe.prefix_space && part.bytes > 0 && part.data[0] != ' ';
    att_status status = prefix ? encode_prefixed(&c, part, word, out) : encode_words(&c, part, word, out);
    release(&c);
    return status;
}

/* A piece with a character outside the alphabet, which some added tokens have, stands for itself. */
att_status att_byte_bpe_decode(att_text piece, att_buffer *out)
{
    size_t before = out->bytes;
    ATT_TRY(att_buffer_reserve(out, piece.bytes));
    for (size_t i = 0; i < piece.bytes; i += att_utf8_length(piece.data[i])) {
        int byte = att_character_byte(att_utf8_get(piece.data + i));
        if (byte < 0) {
            out->bytes = before;
            return att_buffer_append(out, piece.data, piece.bytes);
        }
        out->data[out->bytes++] = (char)byte;
    }
    return ATT_OK;
}

att_status att_byte_bpe_begin(att_tokenizer *t)
{
    t->byte_bpe.unknown = -1;
    return att_sorts_create(t->allocator, &t->sorts);
}

att_status att_byte_bpe_finish(att_tokenizer *t)
{
    void *block;
    for (int byte = 0; byte < 256; byte++) {
        char s[4];
        t->byte_bpe.piece[byte] = att_intern_find(&t->pieces, s, att_utf8_put(s, att_byte_character(byte)));
    }
    ATT_TRY(att_alloc_zero(t->allocator, (size_t)t->pieces.count, &block));
    t->byte_bpe.is_whole = block;
    if (t->byte_bpe.ignore_merges) memset(block, WHOLE, (size_t)t->pieces.count);
    return ATT_OK;
}
