/* A stack of memory that is given back all at once and kept for the next round: after the first round of the same size
 * nothing is allocated. Chunks double; a reset after growth merges them into one. */
#ifndef ATT_ARENA_H
#define ATT_ARENA_H

#include "base/base.h"

typedef struct att_arena_chunk att_arena_chunk;

typedef struct att_arena {
    const att_allocator *allocator;
    att_arena_chunk *chunk; /* the newest; older ones are linked from it */
    size_t used_bytes;      /* of the newest chunk */
    size_t total_bytes;     /* of all chunks */
    int64_t grown;          /* how many chunks were ever allocated: a test watches that it stands still */
} att_arena;

void att_arena_init(att_arena *arena, const att_allocator *allocator);
void att_arena_destroy(att_arena *arena);
/* `bytes` of undefined content aligned to ATT_ALIGN, valid until the next reset. */
att_status att_arena_alloc(att_arena *arena, size_t bytes, void **out);
/* Everything back. Keeps the memory; after growth, replaces the chunks by one that holds them all. */
void att_arena_reset(att_arena *arena);

#endif
