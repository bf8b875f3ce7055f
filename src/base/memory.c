#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"

#define HUGE_PAGE_BYTES ((size_t)1 << 21)

/* A block of several huge pages asks for them: a product walks through more small pages than the TLB holds. */
static void *heap_block(size_t bytes)
{
    if (bytes < 2 * HUGE_PAGE_BYTES) return aligned_alloc(ATT_ALIGN, att_round_up(bytes, ATT_ALIGN));
    bytes = att_round_up(bytes, HUGE_PAGE_BYTES);
    void *block = aligned_alloc(HUGE_PAGE_BYTES, bytes);
#ifdef MADV_HUGEPAGE
    if (block) (void)madvise(block, bytes, MADV_HUGEPAGE); /* a system that refuses gives small pages */
#endif
    return block;
}

static void *heap_resize(void *block, size_t old_bytes, size_t new_bytes)
{
    if (new_bytes == 0) {
        free(block);
        return NULL;
    }
    void *fresh = heap_block(new_bytes);
    if (fresh && block) {
        memcpy(fresh, block, old_bytes < new_bytes ? old_bytes : new_bytes);
        free(block);
    }
    return fresh;
}

static void *resize(const att_allocator *a, void *block, size_t old_bytes, size_t new_bytes)
{
    return a ? a->resize(a->ctx, block, old_bytes, new_bytes) : heap_resize(block, old_bytes, new_bytes);
}

att_status att_alloc(const att_allocator *a, size_t bytes, void **out)
{
    *out = NULL;
    ATT_REQUIRE(bytes <= SIZE_MAX / 2, ATT_E_MEMORY, "out of memory: a block of %zu bytes is impossible", bytes);
    *out = resize(a, NULL, 0, bytes ? bytes : 1);
    ATT_REQUIRE(*out, ATT_E_MEMORY, "out of memory: %zu bytes were asked for", bytes);
    return ATT_OK;
}

att_status att_alloc_zero(const att_allocator *a, size_t bytes, void **out)
{
    ATT_TRY(att_alloc(a, bytes, out));
    memset(*out, 0, bytes);
    return ATT_OK;
}

att_status att_realloc(const att_allocator *a, void **block, size_t old_bytes, size_t new_bytes)
{
    ATT_REQUIRE(new_bytes <= SIZE_MAX / 2, ATT_E_MEMORY, "out of memory: a block of %zu bytes is impossible",
                new_bytes);
    void *moved = resize(a, *block, old_bytes, new_bytes ? new_bytes : 1);
    ATT_REQUIRE(moved, ATT_E_MEMORY, "out of memory: %zu bytes were asked for", new_bytes);
    *block = moved;
    return ATT_OK;
}

void att_free(const att_allocator *a, void *block, size_t bytes)
{
    if (block) resize(a, block, bytes ? bytes : 1, 0);
}

void att_drop_pages(const att_allocator *a, void *part, size_t bytes)
{
    if (a) return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), skipped = (page - (uintptr_t)part % page) % page;
    if (bytes < skipped + page) return;
    (void)madvise((char *)part + skipped, (bytes - skipped) / page * page, MADV_DONTNEED); /* refused: still held */
}

att_status att_new_array(const att_allocator *a, size_t count, size_t size, void **out)
{
    size_t bytes;
    *out = NULL;
    ATT_REQUIRE(att_mul_size(count, size, &bytes), ATT_E_MEMORY, "out of memory: %zu elements of %zu bytes", count,
                size);
    return att_alloc_zero(a, bytes, out);
}

att_status att_copy_string(const att_allocator *a, const char *s, size_t n, char **out)
{
    void *block;
    *out = NULL;
    ATT_TRY(att_alloc(a, n + 1, &block));
    *out = block;
    memcpy(*out, s, n);
    (*out)[n] = '\0';
    return ATT_OK;
}
