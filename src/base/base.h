/* What every source file of the library starts from: failing with a message, checked sizes, memory. */
#ifndef ATT_BASE_H
#define ATT_BASE_H

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <attend/exec.h>
#include <attend/memory.h>
#include <attend/random.h>
#include <attend/status.h>
#include <attend/view.h>

/* Store the message for att_last_error() and return `status`. */
att_status att_fail(att_status status, const char *fmt, ...) ATT_PRINTF(2, 3);

#define ATT_REQUIRE(cond, status, ...)                                                                                 \
    do {                                                                                                               \
        if (!(cond)) return att_fail((status), __VA_ARGS__);                                                           \
    } while (0)
#define ATT_TRY(call)                                                                                                  \
    do {                                                                                                               \
        att_status st_ = (call);                                                                                       \
        if (st_ != ATT_OK) return st_;                                                                                 \
    } while (0)

#define ATT_ALIGN 64 /* bytes: a cache line, and the widest vector */

static inline int64_t att_min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t att_max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static inline int64_t att_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* a * b, or false when it does not fit. */
static inline bool att_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool att_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}
static inline size_t att_round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* Memory through an allocator (NULL: the heap), aligned to ATT_ALIGN. */
att_status att_alloc(const att_allocator *a, size_t bytes, void **out); /* contents undefined */
att_status att_alloc_zero(const att_allocator *a, size_t bytes, void **out);
att_status att_realloc(const att_allocator *a, void **block, size_t old_bytes, size_t new_bytes);
void att_free(const att_allocator *a, void *block, size_t bytes); /* NULL is harmless */

/* Give the whole pages inside a part of a live block back to the system: what they held is lost, and only att_free may
 * follow. For blocks of the heap; other allocators' memory stays as it is. */
void att_drop_pages(const att_allocator *a, void *part, size_t bytes);

/* count * size bytes, zeroed: for the arrays of ordinary (non-kernel) code. */
att_status att_new_array(const att_allocator *a, size_t count, size_t size, void **out);

/* Seconds of a clock that only runs forward, for differences. */
double att_clock(void);

/* A NUL-terminated copy of n bytes of s; free with att_free(a, copy, n + 1). */
att_status att_copy_string(const att_allocator *a, const char *s, size_t n, char **out);

#endif
