#include "harness.h"

#include "allocator.h"
#include "base/arena.h"

enum { BLOCKS = 300 };

static size_t random_bytes(att_random *r)
{
    uint64_t kind = att_random_below(r, 10);
    if (kind == 0) return 0;
    return (size_t)att_random_below(r, kind == 9 ? 200000 : 700);
}

/* One round: blocks of sizes drawn from `seed`, each filled with its number, all checked at the end. */
static void one_round(att_arena *arena, uint64_t seed)
{
    unsigned char *block[BLOCKS];
    size_t bytes[BLOCKS];
    att_random r = {.seed = seed};
    for (int i = 0; i < BLOCKS; i++) {
        void *p;
        bytes[i] = random_bytes(&r);
        assert_ok(att_arena_alloc(arena, bytes[i], &p));
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % ATT_ALIGN, 0);
        block[i] = p;
        memset(p, i % 251, bytes[i]);
    }
    for (int i = 0; i < BLOCKS; i++)
        for (size_t j = 0; j < bytes[i]; j++)
            if (block[i][j] != i % 251) fail_msg("block %d of %zu bytes was overwritten at %zu", i, bytes[i], j);
}

static void later_rounds_allocate_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        test_allocator books;
        test_allocator_init(&books, 0);
        att_arena arena;
        att_arena_init(&arena, &books.allocator);
        one_round(&arena, seed);
        att_arena_reset(&arena);
        assert_int_equal(books.live_blocks, 1);
        int64_t calls = books.calls, grown = arena.grown;
        for (int round = 0; round < 5; round++) {
            one_round(&arena, seed);
            att_arena_reset(&arena);
        }
        assert_int_equal(books.calls, calls);
        assert_int_equal(arena.grown, grown);
        assert_int_equal(books.live_bytes, arena.total_bytes);
        att_arena_destroy(&arena);
        assert_int_equal(books.live_blocks, 0);
    }
}

static void growth_is_geometric(void **state)
{
    (void)state;
    test_allocator books;
    test_allocator_init(&books, 0);
    att_arena arena;
    att_arena_init(&arena, &books.allocator);
    for (int i = 0; i < 100000; i++) {
        void *p;
        assert_ok(att_arena_alloc(&arena, 100, &p));
    }
    assert_true(arena.grown <= 12);
    assert_true(arena.total_bytes < 3 * (size_t)100000 * 128);
    att_arena_destroy(&arena);
    assert_int_equal(books.live_blocks, 0);
}

static void survives_an_allocator_that_fails(void **state)
{
    (void)state;
    for (int64_t fail_at = 1; fail_at <= 6; fail_at++) {
        test_allocator books;
        test_allocator_init(&books, fail_at);
        att_arena arena;
        att_arena_init(&arena, &books.allocator);
        int failures = 0;
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 4; i++) {
                void *p = &books;
                att_status st = att_arena_alloc(&arena, 60000, &p);
                if (st != ATT_OK) {
                    assert_int_equal(st, ATT_E_MEMORY);
                    assert_null(p);
                    failures++;
                } else {
                    memset(p, 1, 60000);
                }
            }
            att_arena_reset(&arena);
        }
        assert_true(failures <= 1);
        att_arena_destroy(&arena);
        assert_int_equal(books.live_blocks, 0);
    }
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    att_arena arena;
    att_arena_init(&arena, NULL);
    void *p = &arena;
    assert_int_equal(att_arena_alloc(&arena, SIZE_MAX, &p), ATT_E_MEMORY);
    assert_null(p);
    assert_int_equal(att_arena_alloc(&arena, SIZE_MAX / 2, &p), ATT_E_MEMORY);
    att_arena_reset(&arena);
    att_arena_destroy(&arena);
    att_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_rounds_allocate_nothing),
        cmocka_unit_test(growth_is_geometric),
        cmocka_unit_test(survives_an_allocator_that_fails),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
