#include "text/tokenizer.h"
#include "text/utf8.h"

static const char *const unit_name[] = {"bpe", "word", "char", "byte-bpe", "wordpiece", "sentencepiece"};

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
    return att_fail(
        ATT_E_VALUE,
        "tokenizer is \"%s\", expected \"bpe\", \"word\", \"char\", \"byte-bpe\", \"wordpiece\" or \"sentencepiece\"",
        name);
}

att_status att_tokenizer_add_specials(att_tokenizer *t)
{
    static const char *const special[ATT_TOKEN_SPECIALS] = {"<pad>", "<unk>", "<s>", "</s>"};
    for (int32_t i = 0; i < ATT_TOKEN_SPECIALS; i++)
        ATT_TRY(att_intern_add(&t->pieces, special[i], strlen(special[i]), &t->role[i]));
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
    att_added_init(&t->added, allocator);
    att_sentencepiece_init(&t->sentencepiece, allocator);
    for (int i = 0; i < ATT_TOKEN_ROLES; i++) t->role[i] = -1;
    att_status status = att_has_fixed_specials(kind) ? att_tokenizer_add_specials(t) : ATT_OK;
    if (status == ATT_OK)
        *out = t;
    else
        att_tokenizer_destroy(t);
    return status;
}

void att_tokenizer_destroy(att_tokenizer *t)
{
    if (!t) return;
    att_free(t->allocator, (void *)t->byte_bpe.is_whole, (size_t)t->pieces.count);
    att_text_free(t->allocator, t->wordpiece.prefix);
    att_sorts_free(t->allocator, t->sorts);
    att_added_release(&t->added);
    att_sentencepiece_release(&t->sentencepiece);
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

int32_t att_tokenizer_role(const att_tokenizer *t, att_token_role role)
{
    return (unsigned)role < ATT_TOKEN_ROLES ? t->role[role] : -1;
}

void att_tokenizer_set_role(att_tokenizer *t, att_token_role role, int32_t id)
{
    t->role[role] = id;
}

void att_tokenizer_guess_roles(att_tokenizer *t)
{
    static const char *const name[ATT_TOKEN_ROLES][3] = {{"<pad>", "[PAD]"},
                                                         {"<unk>", "[UNK]"},
                                                         {"<s>", "[CLS]", "<|endoftext|>"},
                                                         {"</s>", "[SEP]", "<|endoftext|>"},
                                                         {"<mask>", "[MASK]"}};
    for (int role = 0; role < ATT_TOKEN_ROLES; role++)
        for (int i = 0; i < 3 && name[role][i] && t->role[role] < 0; i++)
            t->role[role] = att_intern_find(&t->pieces, name[role][i], strlen(name[role][i]));
}

/* ---- decoding ---- */

typedef struct writer {
    char *out;
    size_t capacity, bytes; /* bytes counts on past the capacity */
    size_t blanks;          /* at the end */
} writer;

static void put(writer *w, const char *s, size_t bytes)
{
    if (bytes > 0 && w->bytes + bytes < w->capacity) memcpy(w->out + w->bytes, s, bytes);
    w->bytes += bytes;
    w->blanks = bytes == 1 && *s == ' ' ? w->blanks + 1 : 0;
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

static att_status check_ids(const att_tokenizer *t, const int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ATT_REQUIRE(ids[i] >= 0 && ids[i] < t->pieces.count, ATT_E_VALUE, "ids[%lld] is %d, expected 0 to %lld",
                    (long long)i, ids[i], (long long)t->pieces.count - 1);
    return ATT_OK;
}

static bool is_special(const att_tokenizer *t, int32_t id)
{
    int64_t i = att_added_find(&t->added, id);
    if (i >= 0) return t->added.token[i].special;
    for (int role = 0; role < ATT_TOKEN_ROLES; role++)
        if (t->role[role] == id) return true;
    return false;
}

/* WORD, CHAR, BPE, SENTENCEPIECE. The last drops blanks at the start, and Marian also at the end. */
static void decode_own(const att_tokenizer *t, const int32_t *ids, int64_t n, writer *w)
{
    static const char unknown[] = " \xE2\x81\x87 "; /* U+2047 */
    bool first = true, drops = t->kind == ATT_TOKENIZER_SENTENCEPIECE && t->sentencepiece.remove_extra;
    for (int64_t i = 0; i < n; i++) {
        bool is_unknown = ids[i] == t->role[ATT_ROLE_UNK];
        if (!is_unknown && is_special(t, ids[i])) continue;
        att_text piece = att_intern_get(&t->pieces, ids[i]);
        if (t->kind == ATT_TOKENIZER_WORD) {
            if (!first) put(w, " ", 1);
            if (is_unknown) piece = (att_text){unknown + 1, sizeof unknown - 3};
            put(w, piece.data, piece.bytes);
        } else if (is_unknown) {
            put(w, unknown, sizeof unknown - 1);
        } else if (t->kind != ATT_TOKENIZER_CHAR) {
            put_piece(w, piece, first);
        } else {
            put(w, piece.data, piece.bytes);
        }
        first = drops && w->bytes == 0;
    }
    if (t->numbered) w->bytes -= w->blanks;
}

static att_status decode_other(const att_tokenizer *t, const int32_t *ids, int64_t n, writer *w)
{
    att_buffer bytes = {.allocator = t->allocator}, text = {.allocator = t->allocator};
    att_status status = ATT_OK;
    bool first = true;
    for (int64_t i = 0; i < n && status == ATT_OK; i++) {
        if (is_special(t, ids[i])) continue;
        att_text piece = att_intern_get(&t->pieces, ids[i]);
        status = t->kind == ATT_TOKENIZER_WORDPIECE ? att_wordpiece_decode(t, piece, first, &bytes)
                                                    : att_byte_bpe_decode(piece, &bytes);
        first = false;
    }
    if (status == ATT_OK) status = att_utf8_repair((att_text){bytes.data, bytes.bytes}, &text);
    if (status == ATT_OK) put(w, text.data, text.bytes);
    att_buffer_release(&bytes);
    att_buffer_release(&text);
    return status;
}

att_status att_tokenizer_decode(const att_tokenizer *t, const int32_t *ids, int64_t n, char *out, size_t capacity,
                                size_t *bytes)
{
    writer w = {.out = out, .capacity = capacity};
    *bytes = 0;
    ATT_TRY(check_ids(t, ids, n));
    if (att_has_fixed_specials(t->kind) || t->kind == ATT_TOKENIZER_SENTENCEPIECE)
        decode_own(t, ids, n, &w);
    else
        ATT_TRY(decode_other(t, ids, n, &w));
    *bytes = w.bytes;
    ATT_REQUIRE(w.bytes < capacity, ATT_E_SHAPE, "out: room for %zu bytes, expected at least %zu", capacity,
                w.bytes + 1);
    out[w.bytes] = '\0';
    return ATT_OK;
}
