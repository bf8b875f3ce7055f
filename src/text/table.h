/* Two hash tables: strings to consecutive numbers, and pairs of numbers to a number. */
#ifndef ATT_TEXT_TABLE_H
#define ATT_TEXT_TABLE_H

#include <attend/text.h>

#include "text/buffer.h"

/* Every different string once, numbered 0, 1, ... in the order of arrival, with a count for the user. Strings hold no
 * NUL and are stored with one behind them; a pointer to one is valid until the next string is added. */
typedef struct att_intern {
    att_buffer text;
    size_t *start; /* (count + 1) string i is text.data[start[i]] .. start[i + 1] - 2 */
    size_t start_capacity;
    int64_t *seen; /* (count) */
    size_t seen_capacity;
    int32_t *slot; /* (slots) number of a string, or -1; slots is a power of two */
    size_t slots;
    int64_t count;
} att_intern;

void att_intern_init(att_intern *t, const att_allocator *allocator);
void att_intern_release(att_intern *t);
/* The string's number; a new string gets the next one and a count of 0. */
att_status att_intern_add(att_intern *t, const char *s, size_t bytes, int32_t *index);
int32_t att_intern_find(const att_intern *t, const char *s, size_t bytes); /* -1: not there */

/* The same for a string whose hash was made byte by byte (FNV-1a), for looking up one beginning after the other. */
#define ATT_HASH_START 0xCBF29CE484222325u
static inline uint64_t att_hash_next(uint64_t hash, char byte)
{
    return (hash ^ (unsigned char)byte) * 0x100000001B3u;
}
int32_t att_intern_find_hash(const att_intern *t, uint64_t hash, const char *s, size_t bytes);

static inline att_text att_intern_get(const att_intern *t, int64_t i)
{
    return (att_text){t->text.data + t->start[i], t->start[i + 1] - t->start[i] - 1};
}

/* All numbers, those with larger `seen` first, equal ones by text. index (count). */
att_status att_intern_sort(const att_intern *t, int32_t *index);

typedef struct att_pair_slot {
    int32_t left, right; /* left -1: free */
    int32_t value;
} att_pair_slot;

typedef struct att_pairs {
    const att_allocator *allocator;
    att_pair_slot *slot; /* (slots), a power of two */
    size_t slots;
    int64_t count;
} att_pairs;

void att_pairs_init(att_pairs *t, const att_allocator *allocator);
void att_pairs_release(att_pairs *t);
/* The value of (left, right), both >= 0; a new pair gets `value`. */
att_status att_pairs_add(att_pairs *t, int32_t left, int32_t right, int32_t value, int32_t *found);
int32_t att_pairs_find(const att_pairs *t, int32_t left, int32_t right); /* -1: not there */

#endif
