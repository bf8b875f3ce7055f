#include "text/tokenizer.h"
#include "text/utf8.h"

/* ---- normalisation ---- */

static uint32_t unit_at(const att_charsmap *map, size_t i)
{
    const unsigned char *s = map->unit + 4 * i;
    return i < map->units ? (uint32_t)s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24 : 0;
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* The longest entry that s starts with: how many bytes it takes (0: none), and what they become. */
static size_t longest_entry(const att_charsmap *map, const char *s, size_t left, const char **becomes)
{
    size_t node = map->units ? offset_of(unit_at(map, 0)) : 0, taken = 0;
    for (size_t i = 0; map->units && i < left; i++) {
        unsigned char c = (unsigned char)s[i];
        node ^= c;
        if (node >= map->units) break;
        uint32_t unit = unit_at(map, node);
        if ((unit & (1u << 31 | 0xFF)) != c) break;
        node ^= offset_of(unit);
        if (!(unit >> 8 & 1)) continue;
        size_t value = unit_at(map, node) & 0x7FFFFFFF;
        if (value >= map->bytes) continue;
        taken = i + 1;
        *becomes = map->text + value;
    }
    return taken;
}

/* What the start of s becomes, and how many of its bytes. */
static att_text step(const att_sentencepiece *m, const char *s, size_t left, size_t *taken)
{
    const char *becomes;
    *taken = longest_entry(&m->map, s, left, &becomes);
    if (*taken > 0) return (att_text){becomes, strlen(becomes)};
    *taken = att_utf8_length(s[0]);
    return (att_text){s, *taken};
}

static att_status put(const att_sentencepiece *m, att_buffer *out, att_text s)
{
    for (size_t i = 0; i < s.bytes; i++)
        ATT_TRY(m->escape && s.data[i] == ' ' ? att_buffer_append(out, ATT_BLANK, ATT_BLANK_BYTES)
                                              : att_buffer_append(out, s.data + i, 1));
    return ATT_OK;
}

static size_t leading_blanks(const att_sentencepiece *m, att_text text)
{
    size_t i = 0, taken;
    for (; m->remove_extra && i < text.bytes; i += taken) {
        att_text s = step(m, text.data + i, text.bytes - i, &taken);
        if (s.bytes != 1 || s.data[0] != ' ') break;
    }
    return i;
}

att_status att_sentencepiece_normalise(const att_sentencepiece *m, att_text text, att_buffer *out)
{
    size_t start = out->bytes, i = leading_blanks(m, text), taken;
    const char *blank = m->escape ? ATT_BLANK : " ";
    size_t width = strlen(blank);
    if (i == text.bytes) return ATT_OK;
    if (m->dummy_prefix) ATT_TRY(att_buffer_append(out, blank, width));
    bool after_blank = m->remove_extra;
    for (; i < text.bytes; i += taken) {
        att_text s = step(m, text.data + i, text.bytes - i, &taken);
        while (after_blank && s.bytes > 0 && s.data[0] == ' ') s = (att_text){s.data + 1, s.bytes - 1};
        if (s.bytes > 0) {
            ATT_TRY(put(m, out, s));
            after_blank = s.data[s.bytes - 1] == ' ';
        }
        if (!m->remove_extra) after_blank = false;
    }
    while (m->remove_extra && out->bytes >= start + width && memcmp(out->data + out->bytes - width, blank, width) == 0)
        out->bytes -= width;
    return ATT_OK;
}

/* ---- segmentation ---- */

/* The best way to an end: where its last piece starts (-1: no way yet). */
typedef struct way {
    float score;
    int32_t start, piece;
} way;

static void take(way *to, float score, int32_t start, int32_t piece)
{
    if (to->start >= 0 && !(score > to->score)) return;
    *to = (way){score, start, piece};
}

/* All pieces that start at `start`; an unknown character costs 10 more than the unlikeliest piece. */
static void extend(const att_sentencepiece *m, att_text text, size_t start, size_t one, way *ways)
{
    size_t left = text.bytes - start, most = left < m->most ? left : m->most;
    float before = ways[start].score;
    uint64_t hash = ATT_HASH_START;
    bool single = false;
    for (size_t n = 1; n <= most; n++) {
        hash = att_hash_next(hash, text.data[start + n - 1]);
        if (n < left && ((unsigned char)text.data[start + n] & 0xC0) == 0x80) continue;
        int32_t id = att_intern_find_hash(&m->piece, hash, text.data + start, n);
        if (id < 0 || !m->normal[id]) continue;
        take(&ways[start + n], m->score[id] + before, (int32_t)start, id);
        single |= n == one;
    }
    if (!single) take(&ways[start + one], (m->least - 10.0f) + before, (int32_t)start, -1);
}

/* The chain of ways back from the end, turned around in place: then unknown neighbours become one. */
static int64_t collect(const way *ways, size_t bytes, att_cut *cuts)
{
    int64_t steps = 0, n = 0;
    for (int32_t end = (int32_t)bytes; end > 0; end = ways[end].start)
        cuts[steps++] = (att_cut){(size_t)ways[end].start, (size_t)(end - ways[end].start), ways[end].piece};
    for (int64_t i = 0; i < steps / 2; i++) {
        att_cut swap = cuts[i];
        cuts[i] = cuts[steps - 1 - i];
        cuts[steps - 1 - i] = swap;
    }
    for (int64_t i = 0; i < steps; i++) n = att_cut_add(cuts, n, cuts[i]);
    return n;
}

static att_status cut_unigram(const att_sentencepiece *m, att_text text, att_cut *cuts, int64_t *n)
{
    void *ways;
    ATT_TRY(att_new_array(m->file.allocator, text.bytes + 1, sizeof(way), &ways));
    for (size_t i = 0; i <= text.bytes; i++) ((way *)ways)[i] = (way){0, -1, -1};
    for (size_t i = 0, one; i < text.bytes; i += one) {
        one = att_utf8_length(text.data[i]);
        extend(m, text, i, one, ways);
    }
    *n = collect(ways, text.bytes, cuts);
    att_free(m->file.allocator, ways, (text.bytes + 1) * sizeof(way));
    return ATT_OK;
}

att_status att_sentencepiece_cut(const att_sentencepiece *m, att_text text, att_cut **cuts, size_t *room, int64_t *n)
{
    void *list;
    *cuts = NULL;
    *n = 0;
    *room = text.bytes + 1;
    ATT_TRY(att_new_array(m->file.allocator, *room, sizeof(att_cut), &list));
    *cuts = list;
    return m->bpe ? att_sentencepiece_merge(m, text, list, n) : cut_unigram(m, text, list, n);
}

/* ---- as a tokeniser ---- */

/* Marian looks every piece up by its text, also one that the model does not know. */
static int32_t token_of(const att_tokenizer *t, const att_cut *cut, const char *s)
{
    int32_t id = t->numbered ? att_intern_find(&t->pieces, s, cut->bytes) : cut->piece;
    return id < 0 ? t->role[ATT_ROLE_UNK] : id;
}

att_status att_sentencepiece_encode(const att_tokenizer *t, att_text part, int64_t *word, att_sink *out)
{
    att_cut *cuts;
    size_t room;
    int64_t n;
    att_status status = att_sentencepiece_cut(&t->sentencepiece, part, &cuts, &room, &n);
    for (int64_t i = 0; i < n; i++) {
        const char *s = part.data + cuts[i].start;
        size_t blank = att_blank_at(s, cuts[i].bytes);
        if (blank > 0 && out->n > 0) ++*word;
        att_emit(out, token_of(t, &cuts[i], s), s + blank, cuts[i].bytes - blank, *word);
    }
    att_free(t->allocator, cuts, room * sizeof *cuts);
    return status;
}

att_status att_tokenizer_take_sentencepiece(att_tokenizer *t, const char *model, size_t bytes)
{
    att_sentencepiece *m = &t->sentencepiece;
    t->numbered = t->pieces.count > 0;
    ATT_TRY(att_sentencepiece_read(m, model, bytes));
    for (int64_t i = 0; i < m->piece.count && !t->numbered; i++) {
        att_text piece = att_intern_get(&m->piece, i);
        int32_t id;
        ATT_TRY(att_intern_add(&t->pieces, piece.data, piece.bytes, &id));
    }
    att_text unknown = att_intern_get(&m->piece, m->unknown);
    t->role[ATT_ROLE_UNK] = att_intern_find(&t->pieces, unknown.data, unknown.bytes);
    ATT_REQUIRE(t->role[ATT_ROLE_UNK] >= 0, ATT_E_FORMAT, "tokenizer: the vocabulary lacks %s", unknown.data);
    att_tokenizer_guess_roles(t);
    return ATT_OK;
}
