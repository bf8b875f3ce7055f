#include "text/tokenizer.h"
#include "text/utf8.h"

static const char *const unit_name[] = {"bpe", "word", "char"};

const char *att_token_unit_name(att_token_unit unit)
{
    return (size_t)unit < sizeof unit_name / sizeof *unit_name ? unit_name[unit] : "unknown";
}

att_status att_token_unit_parse(const char *name, att_token_unit *unit)
{
    for (size_t i = 0; i < sizeof unit_name / sizeof *unit_name; i++)
        if (strcmp(name, unit_name[i]) == 0) {
            *unit = (att_token_unit)i;
            return ATT_OK;
        }
    return att_fail(ATT_E_VALUE, "tokenizer is \"%s\", expected \"bpe\", \"word\" or \"char\"", name);
}

static att_status add_specials(att_intern *pieces)
{
    static const char *const special[ATT_TOKEN_SPECIALS] = {"<pad>", "<unk>", "<s>", "</s>"};
    for (int32_t i = 0, id; i < ATT_TOKEN_SPECIALS; i++)
        ATT_TRY(att_intern_add(pieces, special[i], strlen(special[i]), &id));
    return ATT_OK;
}

att_status att_tokenizer_new(att_token_unit kind, att_normalise how, const att_allocator *allocator,
                             att_tokenizer **out)
{
    void *block;
    *out = NULL;
    ATT_TRY(att_alloc_zero(allocator, sizeof(att_tokenizer), &block));
    att_tokenizer *t = block;
    t->allocator = allocator;
    t->kind = kind;
    t->normalise = how;
    t->blank = ATT_TOKEN_UNK;
    att_intern_init(&t->pieces, allocator);
    att_merges_init(&t->merges, allocator);
    att_status status = add_specials(&t->pieces);
    if (status == ATT_OK)
        *out = t;
    else
        att_tokenizer_destroy(t);
    return status;
}

void att_tokenizer_destroy(att_tokenizer *t)
{
    if (!t) return;
    att_intern_release(&t->pieces);
    att_merges_release(&t->merges);
    att_free(t->allocator, t, sizeof *t);
}

att_token_unit att_tokenizer_kind(const att_tokenizer *t)
{
    return t->kind;
}

att_normalise att_tokenizer_normalise(const att_tokenizer *t)
{
    return t->normalise;
}

int64_t att_tokenizer_size(const att_tokenizer *t)
{
    return t->pieces.count;
}

const char *att_tokenizer_piece(const att_tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->pieces.count ? att_intern_get(&t->pieces, id).data : NULL;
}

int32_t att_tokenizer_id(const att_tokenizer *t, const char *piece)
{
    return att_intern_find(&t->pieces, piece, strlen(piece));
}

/* ---- decoding ---- */

typedef struct writer {
    char *out;
    size_t capacity, bytes; /* bytes counts on past the capacity */
} writer;

static void put(writer *w, const char *s, size_t bytes)
{
    if (w->bytes + bytes < w->capacity) memcpy(w->out + w->bytes, s, bytes);
    w->bytes += bytes;
}

/* A BPE piece with its U+2581 as blanks; the one in front of the whole text is left out. */
static void put_piece(writer *w, att_text piece, bool first)
{
    for (size_t i = 0, n; i < piece.bytes; i += n) {
        n = att_utf8_length(piece.data[i]);
        if (!att_blank_at(piece.data + i, piece.bytes - i))
            put(w, piece.data + i, n);
        else if (!first || i > 0)
            put(w, " ", 1);
    }
}

att_status att_tokenizer_decode(const att_tokenizer *t, const int32_t *ids, int64_t n, char *out, size_t capacity,
                                size_t *bytes)
{
    static const char unknown[] = " \xE2\x81\x87 "; /* U+2047 */
    writer w = {out, capacity, 0};
    bool first = true;
    for (int64_t i = 0; i < n; i++) {
        ATT_REQUIRE(ids[i] >= 0 && ids[i] < t->pieces.count, ATT_E_VALUE, "ids[%lld] is %d, expected 0 to %lld",
                    (long long)i, ids[i], (long long)t->pieces.count - 1);
        if (ids[i] < ATT_TOKEN_SPECIALS && ids[i] != ATT_TOKEN_UNK) continue;
        bool is_unknown = ids[i] == ATT_TOKEN_UNK;
        att_text piece = att_intern_get(&t->pieces, ids[i]);
        if (t->kind == ATT_TOKENIZER_WORD) {
            if (!first) put(&w, " ", 1);
            if (is_unknown) piece = (att_text){unknown + 1, sizeof unknown - 3};
            put(&w, piece.data, piece.bytes);
        } else if (is_unknown) {
            put(&w, unknown, sizeof unknown - 1);
        } else if (t->kind == ATT_TOKENIZER_BPE) {
            put_piece(&w, piece, first);
        } else {
            put(&w, piece.data, piece.bytes);
        }
        first = false;
    }
    *bytes = w.bytes;
    ATT_REQUIRE(w.bytes < capacity, ATT_E_SHAPE, "out: room for %zu bytes, expected at least %zu", capacity,
                w.bytes + 1);
    out[w.bytes] = '\0';
    return ATT_OK;
}
