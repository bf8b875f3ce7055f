#include "allocator.h"

#include "harness.h"

/* In front of every block, as wide as its alignment. */
typedef struct header {
    size_t bytes;
    uint64_t mark;
} header;

#define HEADER_BYTES 64
#define MARK         0x61747465u

static void release(test_allocator *books, char *block, size_t bytes)
{
    header *h = (header *)(block - HEADER_BYTES);
    if (h->mark != MARK) fail_msg("a block that is not ours, or twice, is given back");
    if (h->bytes != bytes) fail_msg("a block of %zu bytes is given back as %zu", h->bytes, bytes);
    h->mark = 0;
    books->live_blocks--;
    books->live_bytes -= bytes;
    free(h);
}

static void *resize(void *ctx, void *block, size_t old_bytes, size_t new_bytes)
{
    test_allocator *books = ctx;
    if (new_bytes == 0) {
        if (block) release(books, block, old_bytes);
        return NULL;
    }
    if (++books->calls == books->fail_at) return NULL;
    char *fresh =
        aligned_alloc(HEADER_BYTES, HEADER_BYTES + (new_bytes + HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES);
    if (!fresh) return NULL;
    *(header *)fresh = (header){.bytes = new_bytes, .mark = MARK};
    fresh += HEADER_BYTES;
    memset(fresh, 0xA5, new_bytes);
    books->live_blocks++;
    books->live_bytes += new_bytes;
    if (block) {
        memcpy(fresh, block, old_bytes < new_bytes ? old_bytes : new_bytes);
        release(books, block, old_bytes);
    }
    return fresh;
}

void test_allocator_init(test_allocator *books, int64_t fail_at)
{
    *books = (test_allocator){.allocator = {.resize = resize, .ctx = books}, .fail_at = fail_at};
}
