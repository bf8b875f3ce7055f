/* An allocator that keeps the books: every block is given back with the size it was asked for with, and call number
 * `fail_at` fails. Usage:
 *
 *     test_allocator books;
 *     test_allocator_init(&books, n);                    // allocation number n fails; 0: none does
 *     ... att_thing_create(&books.allocator, ...) ...
 *     assert_int_equal(books.live_blocks, 0);
 *
 * Fresh memory is filled with 0xA5, so that reading before writing shows. Not thread-safe. */
#ifndef TEST_ALLOCATOR_H
#define TEST_ALLOCATOR_H

#include <stdint.h>

#include <attend/memory.h>

typedef struct test_allocator {
    att_allocator allocator; /* its ctx is this struct: do not copy it */
    int64_t calls;           /* allocations and moves so far, the failed ones included */
    int64_t fail_at;
    int64_t live_blocks;
    size_t live_bytes;
} test_allocator;

void test_allocator_init(test_allocator *books, int64_t fail_at);

#endif
