#include <utf8proc.h>

#include "text/tokenizer.h"
#include "text/utf8.h"

#define DEFAULT_COVERAGE 0.9995
#define INSIDE           "##" /* WORDPIECE: in front of a piece that continues a word */

typedef struct counts {
    const att_tokenizer_desc *desc;
    const att_allocator *allocator;
    att_intern
        word; /* with their counts: words, characters, or BPE's parts of words, with a blank where a word starts */
    att_intern character; /* BPE, WORDPIECE */
    att_intern inside;    /* WORDPIECE: "##" and a character that continues a word */
    att_buffer part;      /* scratch */
    const att_tokenizer *tokenizer;
} counts;

static att_status count(att_intern *t, const char *s, size_t bytes, int64_t times)
{
    int32_t index;
    ATT_TRY(att_intern_add(t, s, bytes, &index));
    t->seen[index] += times;
    return ATT_OK;
}

static att_status count_characters(att_intern *t, const char *s, size_t bytes, int64_t times)
{
    for (size_t i = 0, n; i < bytes; i += n) {
        n = att_utf8_length(s[i]);
        ATT_TRY(count(t, s + i, n, times));
    }
    return ATT_OK;
}

static att_status count_words(counts *t, const char *s, size_t bytes)
{
    for (size_t i = 0, n; i < bytes; i += n + 1) {
        for (n = 0; i + n < bytes && s[i + n] != ' '; n++) continue;
        if (n > 0) ATT_TRY(count(&t->word, s + i, n, 1));
    }
    return ATT_OK;
}

typedef enum sort { NOTHING, LETTER, DIGIT, OTHER } sort;

/* Marks and joiners go along with what they follow. */
static sort sort_of(int32_t c, sort before)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return DIGIT;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF: return before == NOTHING ? OTHER : before;
    default: return OTHER;
    }
}

/* One word, in parts of one sort of characters each. Merges learnt from the parts never join two sorts, so encoding
 * keeps them apart without being told. */
static att_status count_parts(counts *t, const char *s, size_t bytes)
{
    ATT_TRY(att_buffer_append(&t->part, " ", 1));
    sort now = NOTHING;
    for (size_t i = 0, n; i < bytes; i += n) {
        sort next = sort_of(att_utf8_get(s + i), now);
        if (now != NOTHING && next != now) {
            ATT_TRY(count(&t->word, t->part.data, t->part.bytes, 1));
            t->part.bytes = 0;
        }
        n = att_utf8_length(s[i]);
        ATT_TRY(att_buffer_append(&t->part, s + i, n));
        now = next;
    }
    ATT_TRY(count(&t->word, t->part.data, t->part.bytes, 1));
    t->part.bytes = 0;
    return ATT_OK;
}

/* The words of GPT-2's regular expression, in its alphabet. */
static att_status count_byte_words(counts *t, const char *s, size_t bytes)
{
    for (size_t i = 0, n; i < bytes; i += n) {
        n = att_gpt2_word(t->tokenizer->sorts, s + i, bytes - i);
        t->part.bytes = 0;
        ATT_TRY(att_byte_text(&t->part, s + i, n));
        ATT_TRY(count(&t->word, t->part.data, t->part.bytes, 1));
    }
    return ATT_OK;
}

/* The words of BERT's normalised text. */
static att_status count_bert_words(counts *t, const char *s, size_t bytes)
{
    const uint8_t *sorts = t->tokenizer->sorts;
    t->part.bytes = 0;
    ATT_TRY(att_bert_normalise(t->tokenizer, (att_text){s, bytes}, &t->part));
    for (size_t i = 0, n; i < t->part.bytes; i += n) {
        const char *word = t->part.data + i;
        n = att_bert_word(sorts, word, t->part.bytes - i);
        if (n > 0) ATT_TRY(count(&t->word, word, n, 1));
        if (n == 0) n = att_utf8_length(*word);
    }
    return ATT_OK;
}

/* Splits as att_tokenizer_encode does. */
static att_status count_line(counts *t, const char *s, size_t bytes)
{
    if (t->desc->kind == ATT_TOKENIZER_CHAR) return count_characters(&t->word, s, bytes, 1);
    if (t->desc->kind == ATT_TOKENIZER_WORD) return count_words(t, s, bytes);
    if (t->desc->kind == ATT_TOKENIZER_BYTE_BPE) return count_byte_words(t, s, bytes);
    if (t->desc->kind == ATT_TOKENIZER_WORDPIECE) return count_bert_words(t, s, bytes);
    for (size_t i = 0; i < bytes;) {
        size_t n = att_word_bytes(s + i, bytes - i);
        if (n > 0) ATT_TRY(count_parts(t, s + i, n));
        i += n;
        i += att_blank_at(s + i, bytes - i);
    }
    return ATT_OK;
}

/* A line as the tokeniser's encoding sees it. */
static att_status clean_line(counts *t, att_normaliser *n, att_text line, att_text *clean)
{
    *clean = line;
    if (att_has_fixed_specials(t->desc->kind) || t->tokenizer->normalise != ATT_NORMALISE_NONE) {
        ATT_TRY(att_normaliser_run(n, line.data, line.bytes));
        *clean = (att_text){n->out.data, n->out.bytes};
    } else if (att_utf8_check(line.data, line.bytes, NULL) != ATT_OK) {
        n->out.bytes = 0;
        ATT_TRY(att_utf8_repair(line, &n->out));
        *clean = (att_text){n->out.data, n->out.bytes};
    }
    return ATT_OK;
}

static att_status count_lines(counts *t, const att_text *lines, int64_t n)
{
    att_normaliser normaliser;
    att_normaliser_init(&normaliser, t->tokenizer->normalise, t->allocator);
    att_status status = ATT_OK;
    for (int64_t i = 0; i < n && status == ATT_OK; i++) {
        att_text clean;
        status = clean_line(t, &normaliser, lines[i], &clean);
        if (status == ATT_OK)
            status = count_line(t, clean.data, clean.bytes);
        else if (status == ATT_E_VALUE)
            status = att_fail(status, "lines[%lld]: %s", (long long)i, att_last_error());
    }
    att_normaliser_release(&normaliser);
    return status;
}

static att_status too_large(const att_tokenizer_desc *desc, int64_t largest)
{
    return att_fail(ATT_E_VALUE, "vocabulary is %lld, expected at most %lld: the data gives no more %s tokens",
                    (long long)desc->vocabulary, (long long)largest, att_token_unit_name(desc->kind));
}

/* WORD and CHAR: the most frequent ones. */
static att_status keep_frequent(att_tokenizer *t, counts *tally, const int32_t *order)
{
    int64_t wanted = tally->desc->vocabulary, least = att_max64(tally->desc->min_count, 1);
    for (int64_t i = 0; i < tally->word.count && (wanted == 0 || t->pieces.count < wanted); i++) {
        att_text s = att_intern_get(&tally->word, order[i]);
        if (tally->word.seen[order[i]] < least) break;
        int32_t id;
        ATT_TRY(att_intern_add(&t->pieces, s.data, s.bytes, &id));
    }
    if (t->pieces.count < wanted) return too_large(tally->desc, t->pieces.count);
    return ATT_OK;
}

static att_status sorted(const att_intern *t, int32_t **order)
{
    void *block;
    ATT_TRY(att_new_array(t->text.allocator, (size_t)t->count, sizeof **order, &block));
    *order = block;
    return att_intern_sort(t, *order);
}

/* ---- BPE, WordPiece ---- */

/* Adds the most frequent characters to `kept`, until they make up the coverage. The blank of each word counts as a
 * character that is always known. */
static att_status keep_characters(counts *tally, int64_t blanks, att_intern *kept)
{
    double coverage = tally->desc->coverage > 0 ? tally->desc->coverage : DEFAULT_COVERAGE;
    int64_t total = blanks, covered = blanks;
    for (int64_t i = 0; i < tally->character.count; i++) total += tally->character.seen[i];
    int32_t *order = NULL;
    att_status status = sorted(&tally->character, &order);
    for (int64_t i = 0; i < tally->character.count && status == ATT_OK; i++) {
        if ((double)covered >= coverage * (double)total) break;
        att_text s = att_intern_get(&tally->character, order[i]);
        int32_t id;
        status = att_intern_add(kept, s.data, s.bytes, &id);
        covered += tally->character.seen[order[i]];
    }
    att_free(tally->allocator, order, (size_t)tally->character.count * sizeof *order);
    return status;
}

typedef struct word_arrays {
    att_bpe_words words;
    size_t symbols;
} word_arrays;

static void free_words(const att_allocator *a, word_arrays *w)
{
    att_free(a, w->words.symbol, w->symbols * sizeof *w->words.symbol);
    att_free(a, w->words.start, (size_t)w->words.n * sizeof(int64_t));
    att_free(a, w->words.length, (size_t)w->words.n * sizeof(int64_t));
    att_free(a, w->words.count, (size_t)w->words.n * sizeof(int64_t));
}

static att_status alloc_words(const att_intern *word, word_arrays *w)
{
    const att_allocator *a = word->text.allocator;
    void *symbol, *start, *length, *times;
    w->words.n = word->count;
    w->symbols = word->text.bytes;
    ATT_TRY(att_new_array(a, w->symbols, sizeof(int32_t), &symbol));
    w->words.symbol = symbol;
    ATT_TRY(att_new_array(a, (size_t)word->count, sizeof(int64_t), &start));
    w->words.start = start;
    ATT_TRY(att_new_array(a, (size_t)word->count, sizeof(int64_t), &length));
    w->words.length = length;
    ATT_TRY(att_new_array(a, (size_t)word->count, sizeof(int64_t), &times));
    w->words.count = times;
    return ATT_OK;
}

/* The piece of a word's first character, or of one that continues it, n bytes at s. */
static int32_t symbol_of(const att_tokenizer *t, const char *s, size_t n, bool first)
{
    char inside[8] = INSIDE;
    if (s[0] == ' ' && t->kind == ATT_TOKENIZER_BPE) return t->blank;
    if (first || t->kind != ATT_TOKENIZER_WORDPIECE) return att_token_of(t, s, n);
    memcpy(inside + strlen(INSIDE), s, n);
    return att_token_of(t, inside, strlen(INSIDE) + n);
}

static void fill_words(const att_tokenizer *t, const att_intern *word, att_bpe_words *w)
{
    int64_t at = 0;
    for (int64_t i = 0; i < word->count; i++) {
        att_text s = att_intern_get(word, i);
        w->start[i] = at;
        w->count[i] = word->seen[i];
        for (size_t j = 0, n; j < s.bytes; j += n) {
            n = att_utf8_length(s.data[j]);
            int32_t id = symbol_of(t, s.data + j, n, j == 0);
            w->symbol[at++] = id == ATT_TOKEN_UNK ? -1 : id;
        }
        w->length[i] = at - w->start[i];
    }
}

/* All 256 bytes, in the order of their visible characters. */
static att_status keep_bytes(att_tokenizer *t)
{
    ATT_TRY(att_tokenizer_add_specials(t));
    for (int32_t c = 0, id; c < 0x144; c++) {
        char s[4];
        if (att_character_byte(c) >= 0) ATT_TRY(att_intern_add(&t->pieces, s, att_utf8_put(s, c), &id));
    }
    return ATT_OK;
}

static att_status count_and_keep_characters(att_tokenizer *t, counts *tally)
{
    int64_t blanks = 0;
    for (int64_t i = 0; i < tally->word.count; i++) {
        att_text s = att_intern_get(&tally->word, i);
        size_t blank = s.data[0] == ' ';
        ATT_TRY(count_characters(&tally->character, s.data + blank, s.bytes - blank, tally->word.seen[i]));
        if (blank) blanks += tally->word.seen[i];
    }
    ATT_TRY(att_intern_add(&t->pieces, ATT_BLANK, ATT_BLANK_BYTES, &t->blank));
    return keep_characters(tally, blanks, &t->pieces);
}

static att_status count_word_pieces(counts *tally)
{
    for (int64_t i = 0; i < tally->word.count; i++) {
        att_text s = att_intern_get(&tally->word, i);
        ATT_TRY(count_characters(&tally->character, s.data, s.bytes, tally->word.seen[i]));
        for (size_t j = att_utf8_length(s.data[0]), n; j < s.bytes; j += n) {
            int32_t index;
            n = att_utf8_length(s.data[j]);
            tally->part.bytes = 0;
            ATT_TRY(att_buffer_append(&tally->part, INSIDE, strlen(INSIDE)));
            ATT_TRY(att_buffer_append(&tally->part, s.data + j, n));
            ATT_TRY(att_intern_add(&tally->inside, tally->part.data, tally->part.bytes, &index));
        }
    }
    return ATT_OK;
}

/* Adds the strings of `from` in the order of their code points. */
static att_status add_by_text(att_tokenizer *t, const att_intern *from)
{
    int32_t *order = NULL, id;
    att_status status = sorted(from, &order);
    for (int64_t i = 0; i < from->count && status == ATT_OK; i++) {
        att_text s = att_intern_get(from, order[i]);
        status = att_intern_add(&t->pieces, s.data, s.bytes, &id);
    }
    att_free(t->allocator, order, (size_t)from->count * sizeof *order);
    return status;
}

/* [PAD] [UNK] [CLS] [SEP] [MASK], the characters, and those that continue a word, each by code point.
 * A word with a character that is not kept is unknown as a whole. */
static att_status keep_word_pieces(att_tokenizer *t, counts *tally)
{
    att_intern kept, inside;
    att_intern_init(&kept, t->allocator);
    att_intern_init(&inside, t->allocator);
    att_status status = count_word_pieces(tally);
    if (status == ATT_OK) status = keep_characters(tally, 0, &kept);
    for (int64_t i = 0; i < tally->inside.count && status == ATT_OK; i++) {
        att_text s = att_intern_get(&tally->inside, i);
        int32_t id;
        if (att_intern_find(&kept, s.data + strlen(INSIDE), s.bytes - strlen(INSIDE)) >= 0)
            status = att_intern_add(&inside, s.data, s.bytes, &id);
    }
    if (status == ATT_OK) status = att_wordpiece_add_specials(t);
    if (status == ATT_OK) status = add_by_text(t, &kept);
    if (status == ATT_OK) status = add_by_text(t, &inside);
    att_intern_release(&kept);
    att_intern_release(&inside);
    return status;
}

/* The pieces that merges start from. */
static att_status keep_symbols(att_tokenizer *t, counts *tally)
{
    int64_t wanted = tally->desc->vocabulary, specials = ATT_TOKEN_SPECIALS;
    bool bytes = t->kind == ATT_TOKENIZER_BYTE_BPE;
    if (t->kind == ATT_TOKENIZER_WORDPIECE) {
        specials = ATT_TOKEN_ROLES;
        ATT_TRY(keep_word_pieces(t, tally));
    } else {
        ATT_TRY(bytes ? keep_bytes(t) : count_and_keep_characters(t, tally));
    }
    ATT_REQUIRE(wanted == 0 || wanted >= t->pieces.count, ATT_E_VALUE,
                "vocabulary is %lld, expected at least %lld: %lld special tokens and %lld %s", (long long)wanted,
                (long long)t->pieces.count, (long long)specials, (long long)(t->pieces.count - specials),
                bytes ? "bytes" : "characters");
    return ATT_OK;
}

/* What is learnt of WordPiece is BPE, as in `tokenizers`: the merges themselves are not needed. */
static att_status train_bpe(att_tokenizer *t, counts *tally)
{
    const att_bpe_rules rules = {.wanted = tally->desc->vocabulary,
                                 .min_count = att_max64(tally->desc->min_count, 1),
                                 .reserved = ATT_TOKEN_SPECIALS,
                                 .by_number = t->kind != ATT_TOKENIZER_BPE,
                                 .prefix = t->kind == ATT_TOKENIZER_WORDPIECE ? INSIDE : ""};
    word_arrays arrays = {0};
    ATT_TRY(keep_symbols(t, tally));
    att_status status = alloc_words(&tally->word, &arrays);
    if (status == ATT_OK) {
        fill_words(t, &tally->word, &arrays.words);
        status = att_bpe_train(&arrays.words, &rules, &t->pieces, &t->merges);
    }
    free_words(t->allocator, &arrays);
    if (status == ATT_OK && t->pieces.count < rules.wanted) return too_large(tally->desc, t->pieces.count);
    return status;
}

static att_status train_wordpiece(att_tokenizer *t, counts *tally)
{
    ATT_TRY(train_bpe(t, tally));
    att_merges_release(&t->merges);
    att_merges_init(&t->merges, t->allocator);
    return att_wordpiece_finish(t, INSIDE);
}

static att_status check_desc(const att_tokenizer_desc *d)
{
    ATT_REQUIRE(d->kind >= ATT_TOKENIZER_BPE && d->kind <= ATT_TOKENIZER_SENTENCEPIECE, ATT_E_VALUE,
                "kind is %d, expected 0 to 5", (int)d->kind);
    ATT_REQUIRE(d->kind != ATT_TOKENIZER_SENTENCEPIECE, ATT_E_UNSUPPORTED,
                "kind is \"%s\", which is read and not learnt; expected another, such as \"bpe\"",
                att_token_unit_name(d->kind));
    ATT_REQUIRE(att_has_fixed_specials(d->kind) || d->normalise != ATT_NORMALISE_TUTORIAL, ATT_E_VALUE,
                "normalise is \"tutorial\", expected \"plain\" or \"none\" for %s", att_token_unit_name(d->kind));
    ATT_REQUIRE(d->normalise >= ATT_NORMALISE_PLAIN && d->normalise <= ATT_NORMALISE_TUTORIAL, ATT_E_VALUE,
                "normalise is %d, expected 0 to 2", (int)d->normalise);
    ATT_REQUIRE(d->vocabulary == 0 || (d->vocabulary > ATT_TOKEN_SPECIALS && d->vocabulary < INT32_MAX), ATT_E_VALUE,
                "vocabulary is %lld, expected 0 (all) or %d to %d", (long long)d->vocabulary, ATT_TOKEN_SPECIALS + 1,
                INT32_MAX - 1);
    ATT_REQUIRE(d->min_count >= 0, ATT_E_VALUE, "min_count is %lld, expected at least 0", (long long)d->min_count);
    ATT_REQUIRE(d->coverage >= 0 && d->coverage <= 1, ATT_E_VALUE, "coverage is %g, expected 0 (default) to 1",
                d->coverage);
    return ATT_OK;
}

static att_status learn(att_tokenizer *t, counts *tally, const att_text *lines, int64_t n)
{
    ATT_TRY(count_lines(tally, lines, n));
    ATT_REQUIRE(tally->word.count > 0, ATT_E_VALUE, "lines: no text in %lld lines", (long long)n);
    if (t->kind == ATT_TOKENIZER_BPE) return train_bpe(t, tally);
    if (t->kind == ATT_TOKENIZER_BYTE_BPE) {
        ATT_TRY(train_bpe(t, tally));
        return att_byte_bpe_finish(t);
    }
    if (t->kind == ATT_TOKENIZER_WORDPIECE) return train_wordpiece(t, tally);
    int32_t *order = NULL;
    att_status status = sorted(&tally->word, &order);
    if (status == ATT_OK) status = keep_frequent(t, tally, order);
    att_free(t->allocator, order, (size_t)tally->word.count * sizeof *order);
    return status;
}

att_status att_tokenizer_train(const att_tokenizer_desc *desc, const att_text *lines, int64_t n,
                               const att_allocator *allocator, att_tokenizer **out)
{
    *out = NULL;
    ATT_TRY(check_desc(desc));
    bool pieces = desc->kind == ATT_TOKENIZER_WORDPIECE;
    att_tokenizer *t;
    ATT_TRY(att_tokenizer_new(desc->kind, pieces ? ATT_NORMALISE_NONE : desc->normalise, allocator, &t));
    counts tally = {.desc = desc, .allocator = allocator, .part.allocator = allocator, .tokenizer = t};
    att_intern_init(&tally.word, allocator);
    att_intern_init(&tally.character, allocator);
    att_intern_init(&tally.inside, allocator);
    att_status status = ATT_OK;
    if (desc->kind == ATT_TOKENIZER_BYTE_BPE) status = att_byte_bpe_begin(t);
    if (pieces) status = att_wordpiece_begin(t, desc->cased != 0);
    if (status == ATT_OK) status = learn(t, &tally, lines, n);
    att_intern_release(&tally.word);
    att_intern_release(&tally.character);
    att_intern_release(&tally.inside);
    att_buffer_release(&tally.part);
    if (status == ATT_OK)
        *out = t;
    else
        att_tokenizer_destroy(t);
    return status;
}
