/* Arrays and strings that grow. */
#ifndef ATT_TEXT_BUFFER_H
#define ATT_TEXT_BUFFER_H

#include <string.h>

#include "base/base.h"

/* Room for `need` elements of `size` bytes in *block, whose capacity is *capacity elements; at least doubles. */
static inline att_status att_grow(const att_allocator *a, void **block, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity) return ATT_OK;
    size_t fresh = *capacity > SIZE_MAX / 4 || *capacity * 2 < need ? need : *capacity * 2, bytes;
    if (fresh < 16) fresh = 16;
    ATT_REQUIRE(att_mul_size(fresh, size, &bytes), ATT_E_MEMORY, "out of memory: %zu elements of %zu bytes", fresh,
                size);
    ATT_TRY(att_realloc(a, block, *capacity * size, bytes));
    *capacity = fresh;
    return ATT_OK;
}

typedef struct att_buffer {
    const att_allocator *allocator;
    char *data;
    size_t bytes, capacity;
} att_buffer;

/* Room for `extra` more bytes and a NUL. */
static inline att_status att_buffer_reserve(att_buffer *b, size_t extra)
{
    size_t need;
    ATT_REQUIRE(att_add_size(b->bytes, extra, &need) && need < SIZE_MAX, ATT_E_MEMORY,
                "out of memory: %zu more bytes of text", extra);
    void *block = b->data;
    ATT_TRY(att_grow(b->allocator, &block, &b->capacity, need + 1, 1));
    b->data = block;
    return ATT_OK;
}

static inline att_status att_buffer_append(att_buffer *b, const char *data, size_t bytes)
{
    ATT_TRY(att_buffer_reserve(b, bytes));
    if (bytes) memcpy(b->data + b->bytes, data, bytes);
    b->bytes += bytes;
    b->data[b->bytes] = '\0';
    return ATT_OK;
}

static inline void att_buffer_release(att_buffer *b)
{
    att_free(b->allocator, b->data, b->capacity);
    *b = (att_buffer){.allocator = b->allocator};
}

#endif
