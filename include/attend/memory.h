/* Where memory comes from and how scratch memory is handed over. */
#ifndef ATTEND_MEMORY_H
#define ATTEND_MEMORY_H

#include <attend/export.h>
#include <attend/status.h>

ATT_BEGIN

/* One function does all, as in Lua: resize(ctx, NULL, 0, n) allocates, resize(ctx, p, old, 0) frees and returns NULL,
 * anything else moves. Blocks are aligned to 64 bytes. On failure it returns NULL and leaves the old block alone.
 * A NULL att_allocator everywhere means the C library's heap. Must be thread-safe if objects are used from threads. */
typedef struct att_allocator {
    void *(*resize)(void *ctx, void *block, size_t old_bytes, size_t new_bytes);
    void *ctx;
} att_allocator;

/* Scratch memory lent to one call; `data` is aligned to 64 bytes. Its size comes from the matching *_workspace(). */
typedef struct att_span {
    void *data;
    size_t bytes;
} att_span;

ATT_END

#endif
