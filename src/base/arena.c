#include "base/arena.h"

struct att_arena_chunk {
    att_arena_chunk *older;
    size_t bytes; /* of the whole block, this header included */
};

#define HEADER_BYTES      ATT_ALIGN
#define FIRST_CHUNK_BYTES ((size_t)1 << 16)

static att_status add_chunk(att_arena *arena, size_t bytes)
{
    void *block;
    ATT_TRY(att_alloc(arena->allocator, bytes, &block));
    att_arena_chunk *chunk = block;
    *chunk = (att_arena_chunk){.older = arena->chunk, .bytes = bytes};
    arena->chunk = chunk;
    arena->used_bytes = HEADER_BYTES;
    arena->total_bytes += bytes;
    arena->grown++;
    return ATT_OK;
}

static void free_chunks(att_arena *arena)
{
    while (arena->chunk) {
        att_arena_chunk *older = arena->chunk->older;
        att_free(arena->allocator, arena->chunk, arena->chunk->bytes);
        arena->chunk = older;
    }
    arena->used_bytes = 0;
    arena->total_bytes = 0;
}

void att_arena_init(att_arena *arena, const att_allocator *allocator)
{
    *arena = (att_arena){.allocator = allocator};
}

void att_arena_destroy(att_arena *arena)
{
    free_chunks(arena);
}

att_status att_arena_alloc(att_arena *arena, size_t bytes, void **out)
{
    *out = NULL;
    ATT_REQUIRE(bytes <= SIZE_MAX / 4, ATT_E_MEMORY, "out of memory: a block of %zu bytes is impossible", bytes);
    size_t need = att_round_up(bytes ? bytes : 1, ATT_ALIGN);
    if (!arena->chunk || arena->chunk->bytes - arena->used_bytes < need) {
        size_t chunk =
            att_round_up(arena->total_bytes > FIRST_CHUNK_BYTES ? arena->total_bytes : FIRST_CHUNK_BYTES, ATT_ALIGN);
        ATT_TRY(add_chunk(arena, chunk > need + HEADER_BYTES ? chunk : need + HEADER_BYTES));
    }
    *out = (char *)arena->chunk + arena->used_bytes;
    arena->used_bytes += need;
    return ATT_OK;
}

void att_arena_reset(att_arena *arena)
{
    if (!arena->chunk) return;
    if (arena->chunk->older) {
        size_t total = arena->total_bytes;
        free_chunks(arena);
        if (add_chunk(arena, total) != ATT_OK) return; /* the next alloc tries again with what it needs */
    }
    arena->used_bytes = HEADER_BYTES;
}
