#include "text/words.h"

#include "text/base64.h"
#include "text/table.h"

/* A Bloom filter: a word sets HASHES bits. With 1.44 times as many bits a word half of them are set, which is the best
 * there is, and a word that was not added finds all of its own set with probability 2^-HASHES. */
#define HASHES        10
#define BITS_PER_WORD 14.4
#define LEAST_BYTES   512 /* so that small sets have many places, too */

struct att_words {
    const att_allocator *allocator;
    att_buffer bits;
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The places of a word's bits: first, first + step, first + 2 step, ... (Kirsch & Mitzenmacher 2008) */
typedef struct places {
    uint64_t first, step, bits;
} places;

static places places_of(const att_words *w, att_text word)
{
    uint64_t hash = ATT_HASH_START;
    for (size_t i = 0; i < word.bytes; i++) hash = att_hash_next(hash, lower(word.data[i]));
    hash = att_random_mix(hash, 0);
    return (places){hash & 0xFFFFFFFFu, hash >> 32 | 1, 8 * (uint64_t)w->bits.bytes};
}

void att_words_add(att_words *w, att_text word)
{
    places p = places_of(w, word);
    for (uint64_t i = 0, at; i < HASHES; i++) {
        at = (p.first + i * p.step) % p.bits;
        w->bits.data[at / 8] = (char)(w->bits.data[at / 8] | 1 << at % 8);
    }
}

int att_words_has(const att_words *w, att_text word)
{
    places p = places_of(w, word);
    for (uint64_t i = 0, at; i < HASHES; i++) {
        at = (p.first + i * p.step) % p.bits;
        if (!(w->bits.data[at / 8] & 1 << at % 8)) return 0;
    }
    return 1;
}

static att_status new_words(const att_allocator *allocator, att_words **out)
{
    void *block;
    ATT_TRY(att_alloc_zero(allocator, sizeof **out, &block));
    *out = block;
    (*out)->allocator = (*out)->bits.allocator = allocator;
    return ATT_OK;
}

void att_words_destroy(att_words *w)
{
    if (!w) return;
    att_buffer_release(&w->bits);
    att_free(w->allocator, w, sizeof *w);
}

static att_status finish(att_words *w, att_status status, att_words **out)
{
    if (status == ATT_OK)
        *out = w;
    else
        att_words_destroy(w);
    return status;
}

att_status att_words_create(int64_t expected, const att_allocator *allocator, att_words **out)
{
    att_words *w;
    size_t bytes = (size_t)((double)expected * BITS_PER_WORD / 8);
    if (bytes < LEAST_BYTES) bytes = LEAST_BYTES;
    *out = NULL;
    ATT_TRY(new_words(allocator, &w));
    att_status status = att_buffer_reserve(&w->bits, bytes);
    if (status == ATT_OK) {
        memset(w->bits.data, 0, bytes);
        w->bits.bytes = bytes;
    }
    return finish(w, status, out);
}

/* ---- as text ---- */

att_status att_words_to_text(const att_words *w, char **out)
{
    att_buffer text = {0};
    att_status status = att_base64_write(w->bits.data, w->bits.bytes, &text);
    *out = NULL;
    if (status == ATT_OK) status = att_copy_string(NULL, text.data, text.bytes, out);
    att_buffer_release(&text);
    return status;
}

att_status att_words_from_text(const char *text, const att_allocator *allocator, att_words **out)
{
    att_words *w;
    *out = NULL;
    ATT_TRY(new_words(allocator, &w));
    att_status status = att_base64_read(text, strlen(text), &w->bits);
    if (status == ATT_OK && w->bits.bytes == 0)
        status = att_fail(ATT_E_FORMAT, ATT_WORDS_KEY ": empty, expected the bits of at least one word");
    return finish(w, status, out);
}

/* ---- from a file ---- */

/* Every word once: the size of the set depends on how many there are. */
static att_status collect(const char *path, const att_text *line, int64_t n, att_intern *strings)
{
    for (int64_t i = 0; i < n; i++) {
        const char *tab = memchr(line[i].data, '\t', line[i].bytes);
        size_t bytes = tab ? (size_t)(tab - line[i].data) : line[i].bytes;
        int32_t index;
        ATT_REQUIRE(bytes > 0, ATT_E_FORMAT, "%s:%lld: begins with a tab, expected a word", path, (long long)(i + 1));
        ATT_TRY(att_intern_add(strings, line[i].data, bytes, &index));
    }
    return ATT_OK;
}

att_status att_words_read(const char *path, const att_allocator *allocator, att_words **out)
{
    att_corpus *lines;
    att_intern strings;
    *out = NULL;
    ATT_TRY(att_corpus_read_pair(path, NULL, allocator, &lines));
    att_intern_init(&strings, allocator);
    att_status status = collect(path, att_corpus_source(lines), att_corpus_count(lines), &strings);
    if (status == ATT_OK) status = att_words_create(strings.count, allocator, out);
    for (int64_t i = 0; status == ATT_OK && i < strings.count; i++) att_words_add(*out, att_intern_get(&strings, i));
    att_intern_release(&strings);
    att_corpus_destroy(lines);
    return status;
}
