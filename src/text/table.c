#include <stdlib.h>

#include "text/table.h"

#define FIRST_SLOTS 64

void att_intern_init(att_intern *t, const att_allocator *allocator)
{
    *t = (att_intern){.text.allocator = allocator};
}

void att_intern_release(att_intern *t)
{
    const att_allocator *a = t->text.allocator;
    att_free(a, t->start, t->start_capacity * sizeof *t->start);
    att_free(a, t->seen, t->seen_capacity * sizeof *t->seen);
    att_free(a, t->slot, t->slots * sizeof *t->slot);
    att_buffer_release(&t->text);
    att_intern_init(t, a);
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t hash_string(const char *s, size_t bytes)
{
    uint64_t h = ATT_HASH_START;
    for (size_t i = 0; i < bytes; i++) h = att_hash_next(h, s[i]);
    return h;
}

/* The slot that holds the string, or the free one where it belongs. */
static size_t hashed_slot(const att_intern *t, uint64_t hash, const char *s, size_t bytes)
{
    size_t i = mix(hash) & (t->slots - 1);
    for (; t->slot[i] >= 0; i = (i + 1) & (t->slots - 1)) {
        att_text have = att_intern_get(t, t->slot[i]);
        if (have.bytes == bytes && memcmp(have.data, s, bytes) == 0) break;
    }
    return i;
}

static size_t string_slot(const att_intern *t, const char *s, size_t bytes)
{
    return hashed_slot(t, hash_string(s, bytes), s, bytes);
}

static att_status grow_strings(att_intern *t)
{
    size_t slots = t->slots ? 2 * t->slots : FIRST_SLOTS;
    void *block;
    ATT_TRY(att_alloc(t->text.allocator, slots * sizeof *t->slot, &block));
    memset(block, 0xFF, slots * sizeof *t->slot);
    att_free(t->text.allocator, t->slot, t->slots * sizeof *t->slot);
    t->slot = block;
    t->slots = slots;
    for (int64_t i = 0; i < t->count; i++) {
        att_text s = att_intern_get(t, i);
        t->slot[string_slot(t, s.data, s.bytes)] = (int32_t)i;
    }
    return ATT_OK;
}

static att_status room_for_one(att_intern *t)
{
    ATT_REQUIRE(t->count < INT32_MAX - 1, ATT_E_MEMORY, "more than %d different strings", INT32_MAX - 1);
    if ((size_t)t->count * 2 >= t->slots) ATT_TRY(grow_strings(t));
    void *start = t->start, *seen = t->seen;
    ATT_TRY(att_grow(t->text.allocator, &start, &t->start_capacity, (size_t)t->count + 2, sizeof *t->start));
    t->start = start;
    ATT_TRY(att_grow(t->text.allocator, &seen, &t->seen_capacity, (size_t)t->count + 1, sizeof *t->seen));
    t->seen = seen;
    if (t->count == 0) t->start[0] = 0;
    return ATT_OK;
}

att_status att_intern_add(att_intern *t, const char *s, size_t bytes, int32_t *index)
{
    *index = att_intern_find(t, s, bytes);
    if (*index >= 0) return ATT_OK;
    ATT_TRY(room_for_one(t));
    ATT_TRY(att_buffer_append(&t->text, s, bytes));
    ATT_TRY(att_buffer_append(&t->text, "", 1));
    size_t slot = string_slot(t, s, bytes);
    *index = (int32_t)t->count++;
    t->slot[slot] = *index;
    t->start[t->count] = t->text.bytes;
    t->seen[*index] = 0;
    return ATT_OK;
}

int32_t att_intern_find(const att_intern *t, const char *s, size_t bytes)
{
    return t->slots ? t->slot[string_slot(t, s, bytes)] : -1;
}

int32_t att_intern_find_hash(const att_intern *t, uint64_t hash, const char *s, size_t bytes)
{
    return t->slots ? t->slot[hashed_slot(t, hash, s, bytes)] : -1;
}

typedef struct ranked {
    int64_t seen;
    att_text text;
    int32_t index;
} ranked;

static int by_count_then_text(const void *pa, const void *pb)
{
    const ranked *a = pa, *b = pb;
    if (a->seen != b->seen) return a->seen > b->seen ? -1 : 1;
    return strcmp(a->text.data, b->text.data);
}

att_status att_intern_sort(const att_intern *t, int32_t *index)
{
    void *block;
    ATT_TRY(att_new_array(t->text.allocator, (size_t)t->count, sizeof(ranked), &block));
    ranked *list = block;
    for (int32_t i = 0; i < t->count; i++) list[i] = (ranked){t->seen[i], att_intern_get(t, i), i};
    qsort(list, (size_t)t->count, sizeof *list, by_count_then_text);
    for (int64_t i = 0; i < t->count; i++) index[i] = list[i].index;
    att_free(t->text.allocator, block, (size_t)t->count * sizeof *list);
    return ATT_OK;
}

void att_pairs_init(att_pairs *t, const att_allocator *allocator)
{
    *t = (att_pairs){.allocator = allocator};
}

void att_pairs_release(att_pairs *t)
{
    att_free(t->allocator, t->slot, t->slots * sizeof *t->slot);
    att_pairs_init(t, t->allocator);
}

static size_t pair_slot(const att_pairs *t, int32_t left, int32_t right)
{
    size_t i = mix((uint64_t)(uint32_t)left << 32 | (uint32_t)right) & (t->slots - 1);
    while (t->slot[i].left >= 0 && (t->slot[i].left != left || t->slot[i].right != right)) i = (i + 1) & (t->slots - 1);
    return i;
}

static att_status grow_pairs(att_pairs *t)
{
    att_pairs fresh = {.allocator = t->allocator, .slots = t->slots ? 2 * t->slots : FIRST_SLOTS, .count = t->count};
    void *block;
    ATT_TRY(att_alloc(t->allocator, fresh.slots * sizeof *fresh.slot, &block));
    fresh.slot = block;
    memset(block, 0xFF, fresh.slots * sizeof *fresh.slot);
    for (size_t i = 0; i < t->slots; i++)
        if (t->slot[i].left >= 0) fresh.slot[pair_slot(&fresh, t->slot[i].left, t->slot[i].right)] = t->slot[i];
    att_pairs_release(t);
    *t = fresh;
    return ATT_OK;
}

att_status att_pairs_add(att_pairs *t, int32_t left, int32_t right, int32_t value, int32_t *found)
{
    assert(left >= 0 && right >= 0);
    if ((size_t)t->count * 2 >= t->slots) ATT_TRY(grow_pairs(t));
    size_t i = pair_slot(t, left, right);
    if (t->slot[i].left < 0) {
        t->slot[i] = (att_pair_slot){left, right, value};
        t->count++;
    }
    *found = t->slot[i].value;
    return ATT_OK;
}

int32_t att_pairs_find(const att_pairs *t, int32_t left, int32_t right)
{
    if (!t->slots) return -1;
    size_t i = pair_slot(t, left, right);
    return t->slot[i].left < 0 ? -1 : t->slot[i].value;
}
