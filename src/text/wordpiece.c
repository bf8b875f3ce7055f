/* WordPiece in the manner of BERT (Devlin et al. 2019; Wu et al. 2016, section 4.1): text is cleaned and cut into words
 * at blanks and punctuation; a word is the longest piece it starts with, then the longest that continues it, ... */
#include <utf8proc.h>

#include "text/tokenizer.h"
#include "text/utf8.h"

/* ---- normalisation ---- */

enum { MOST_CODES = 8 }; /* of one code point's canonical decomposition (Unicode: 4) */

/* Blocks whose letters were given decompositions after the version of Unicode that `tokenizers` decomposes by. */
static bool is_late(int32_t c)
{
    return (c >= 0x105C0 && c < 0x10600) || (c >= 0x11380 && c < 0x11400) || c == 0x11938 ||
           (c >= 0x16120 && c < 0x16130) || (c >= 0x16D40 && c < 0x16D70);
}

static int decompose(int32_t c, int32_t out[MOST_CODES])
{
    int last = 0;
    if (c < 0xC0 || is_late(c)) return out[0] = c, 1;
    utf8proc_ssize_t n = utf8proc_decompose_char(c, out, MOST_CODES, UTF8PROC_DECOMPOSE, &last);
    if (n < 1 || n > MOST_CODES) return out[0] = c, 1;
    return (int)n;
}

static char *put_lower(const att_wordpiece *w, char *to, int32_t c)
{
    if (!w->lowercase) return to + att_utf8_put(to, c);
    to += att_utf8_put(to, att_code_lower(c));
    return c == 0x130 ? to + att_utf8_put(to, 0x307) : to; /* the one letter whose small form is two code points */
}

static char *put_code(const att_tokenizer *t, char *to, int32_t c)
{
    const att_wordpiece *w = &t->wordpiece;
    int32_t part[MOST_CODES] = {c};
    int n = w->strip_accents ? decompose(c, part) : 1;
    for (int i = 0; i < n; i++)
        if (!w->strip_accents || !(att_sorts_of(t->sorts, part[i]) & ATT_CODE_MARK)) to = put_lower(w, to, part[i]);
    return to;
}

#define MOST_BYTES (4 * MOST_CODES + 4) /* that one code point can become */

att_status att_bert_normalise(const att_tokenizer *t, att_text text, att_buffer *out)
{
    const att_wordpiece *w = &t->wordpiece;
    for (size_t i = 0; i < text.bytes; i += att_utf8_length(text.data[i])) {
        int32_t c = att_utf8_get(text.data + i);
        int sorts = att_sorts_of(t->sorts, c);
        ATT_TRY(att_buffer_reserve(out, MOST_BYTES));
        char *to = out->data + out->bytes;
        bool apart = w->ideographs && sorts & ATT_CODE_IDEOGRAPH;
        if (w->clean && sorts & ATT_CODE_REMOVED) continue;
        if (w->clean && sorts & ATT_CODE_SPACE) c = ' ';
        if (apart) *to++ = ' ';
        to = put_code(t, to, c);
        if (apart) *to++ = ' ';
        *to = '\0';
        out->bytes = (size_t)(to - out->data);
    }
    return ATT_OK;
}

/* ---- pieces ---- */

/* The longest piece that s starts with, `prefix` in front of it; -1: none. s has room for the prefix before it. */
static int32_t longest_piece(const att_tokenizer *t, const char *s, size_t bytes, bool continues, size_t *taken)
{
    size_t prefix = continues ? strlen(t->wordpiece.prefix) : 0;
    for (size_t n = bytes < t->wordpiece.most ? bytes : t->wordpiece.most; n > 0; n--) {
        if (n < bytes && ((unsigned char)s[n] & 0xC0) == 0x80) continue;
        int32_t id = att_intern_find(&t->pieces, s - prefix, n + prefix);
        if (id >= 0) {
            *taken = n;
            return id;
        }
    }
    return -1;
}

typedef struct speller {
    const att_tokenizer *t;
    att_buffer rest; /* the prefix and what is left of the word */
} speller;

static bool is_too_long(const att_tokenizer *t, att_text word)
{
    int64_t codes = 0;
    if ((int64_t)word.bytes <= t->wordpiece.longest) return false;
    for (size_t i = 0; i < word.bytes; i += att_utf8_length(word.data[i])) codes++;
    return codes > t->wordpiece.longest;
}

static att_status spell(speller *s, att_text word, int64_t number, att_sink *out)
{
    const att_tokenizer *t = s->t;
    att_sink before = *out;
    size_t prefix = strlen(t->wordpiece.prefix);
    s->rest.bytes = 0;
    ATT_TRY(att_buffer_append(&s->rest, t->wordpiece.prefix, prefix));
    ATT_TRY(att_buffer_append(&s->rest, word.data, word.bytes));
    char *rest = s->rest.data + prefix;
    bool bad = is_too_long(t, word);
    for (size_t i = 0, n = 0; i < word.bytes && !bad; i += n) {
        if (i > 0) memcpy(rest + i - prefix, t->wordpiece.prefix, prefix);
        int32_t id = longest_piece(t, rest + i, word.bytes - i, i > 0, &n);
        bad = id < 0;
        if (!bad) att_emit(out, id, word.data + i, n, number);
    }
    if (bad) {
        *out = before;
        att_emit(out, t->role[ATT_ROLE_UNK], word.data, word.bytes, number);
    }
    return ATT_OK;
}

size_t att_bert_word(const uint8_t *sorts, const char *s, size_t left)
{
    size_t n = 0;
    while (n < left) {
        int sort = att_sorts_of(sorts, att_utf8_get(s + n));
        if (sort & ATT_CODE_PUNCTUATION && n == 0) return att_utf8_length(s[0]);
        if (sort & (ATT_CODE_PUNCTUATION | ATT_CODE_SPACE)) break;
        n += att_utf8_length(s[n]);
    }
    return n;
}

static att_status spell_words(speller *s, att_text part, int64_t *word, att_sink *out)
{
    const uint8_t *sorts = s->t->sorts;
    bool apart = false; /* white space came since the last word */
    for (size_t i = 0; i < part.bytes;) {
        if (att_sorts_of(sorts, att_utf8_get(part.data + i)) & ATT_CODE_SPACE) {
            apart = out->n > 0;
            i += att_utf8_length(part.data[i]);
            continue;
        }
        size_t n = att_bert_word(sorts, part.data + i, part.bytes - i);
        *word += apart;
        apart = false;
        ATT_TRY(spell(s, (att_text){part.data + i, n}, *word, out));
        i += n;
    }
    return ATT_OK;
}

att_status att_wordpiece_encode(const att_tokenizer *t, att_text part, int64_t *word, att_sink *out)
{
    speller s = {t, {.allocator = t->allocator}};
    att_status status = spell_words(&s, part, word, out);
    att_buffer_release(&s.rest);
    return status;
}

/* `tokenizers` decodes piece by piece: a blank in front of one that starts a word, then its "clean up". */
att_status att_wordpiece_decode(const att_tokenizer *t, att_text piece, bool first, att_buffer *out)
{
    static const char *const joined[] = {".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"};
    size_t prefix = strlen(t->wordpiece.prefix);
    if (first) return att_buffer_append(out, piece.data, piece.bytes);
    if (strncmp(piece.data, t->wordpiece.prefix, prefix) == 0)
        return att_buffer_append(out, piece.data + prefix, piece.bytes - prefix);
    bool blank = true;
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++)
        if (strncmp(piece.data, joined[i], strlen(joined[i])) == 0) blank = false;
    if (blank) ATT_TRY(att_buffer_append(out, " ", 1));
    return att_buffer_append(out, piece.data, piece.bytes);
}

att_status att_wordpiece_begin(att_tokenizer *t, bool cased)
{
    t->wordpiece = (att_wordpiece){
        .clean = true, .ideographs = true, .strip_accents = !cased, .lowercase = !cased, .longest = 100};
    return att_sorts_create(t->allocator, &t->sorts);
}

att_status att_wordpiece_add_specials(att_tokenizer *t)
{
    static const char *const special[ATT_TOKEN_ROLES] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    for (int32_t i = 0; i < ATT_TOKEN_ROLES; i++) {
        size_t bytes = strlen(special[i]);
        ATT_TRY(att_intern_add(&t->pieces, special[i], bytes, &t->role[i]));
        ATT_TRY(att_added_add(&t->added, special[i], bytes, (att_added_token){.id = t->role[i], .special = true}));
    }
    return ATT_OK;
}

att_status att_wordpiece_finish(att_tokenizer *t, const char *prefix)
{
    att_wordpiece *w = &t->wordpiece;
    ATT_REQUIRE(t->role[ATT_ROLE_UNK] >= 0, ATT_E_FORMAT,
                "tokenizer: no unknown token in the vocabulary, expected [UNK]");
    ATT_TRY(att_copy_string(t->allocator, prefix, strlen(prefix), &w->prefix));
    for (int64_t i = 0; i < t->pieces.count; i++) {
        size_t bytes = att_intern_get(&t->pieces, i).bytes;
        if (bytes > w->most) w->most = bytes;
    }
    return ATT_OK;
}
