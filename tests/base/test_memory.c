#include "harness.h"

#include "allocator.h"
#include "base/base.h"

static void blocks_are_aligned_and_given_back(void **state)
{
    (void)state;
    test_allocator books;
    test_allocator_init(&books, 0);
    const att_allocator *sources[] = {NULL, &books.allocator};
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 100001};
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            void *block;
            assert_ok(att_alloc(sources[s], sizes[i], &block));
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % ATT_ALIGN, 0);
            memset(block, 0x5A, sizes[i]);
            att_free(sources[s], block, sizes[i]);
        }
    assert_int_equal(books.live_blocks, 0);
    assert_int_equal(books.live_bytes, 0);
    att_free(&books.allocator, NULL, 0);
    att_free(NULL, NULL, 99);
}

static void realloc_keeps_the_content(void **state)
{
    (void)state;
    test_allocator books;
    test_allocator_init(&books, 0);
    const att_allocator *sources[] = {NULL, &books.allocator};
    for (size_t s = 0; s < 2; s++) {
        static const size_t sizes[] = {3, 200, 70, 0, 1, 5000};
        void *block = NULL;
        size_t now = 0;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t kept = now < sizes[i] ? now : sizes[i];
            assert_ok(att_realloc(sources[s], &block, now ? now : (block ? 1 : 0), sizes[i]));
            for (size_t j = 0; j < kept; j++) assert_int_equal(((unsigned char *)block)[j], (unsigned char)j);
            for (size_t j = 0; j < sizes[i]; j++) ((unsigned char *)block)[j] = (unsigned char)j;
            now = sizes[i];
        }
        att_free(sources[s], block, now);
    }
    assert_int_equal(books.live_blocks, 0);
}

static void failure_leaves_the_old_block(void **state)
{
    (void)state;
    test_allocator books;
    test_allocator_init(&books, 2);
    void *block, *before;
    assert_ok(att_alloc(&books.allocator, 8, &block));
    memcpy(block, "1234567", 8);
    before = block;
    assert_int_equal(att_realloc(&books.allocator, &block, 8, 1000), ATT_E_MEMORY);
    assert_non_null(strstr(att_last_error(), "1000"));
    assert_ptr_equal(block, before);
    assert_string_equal(block, "1234567");
    att_free(&books.allocator, block, 8);
    assert_int_equal(books.live_blocks, 0);

    test_allocator_init(&books, 1);
    block = &books;
    assert_int_equal(att_alloc(&books.allocator, 7, &block), ATT_E_MEMORY);
    assert_null(block);
}

static void zeroed_memory_is_zero(void **state)
{
    (void)state;
    test_allocator books;
    test_allocator_init(&books, 0);
    void *block;
    assert_ok(att_alloc_zero(&books.allocator, 77, &block));
    for (int i = 0; i < 77; i++) assert_int_equal(((char *)block)[i], 0);
    att_free(&books.allocator, block, 77);
    assert_ok(att_new_array(&books.allocator, 11, 13, &block));
    for (int i = 0; i < 143; i++) assert_int_equal(((char *)block)[i], 0);
    att_free(&books.allocator, block, 143);
    assert_int_equal(books.live_blocks, 0);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    test_allocator books;
    test_allocator_init(&books, 0);
    void *block = NULL;
    assert_int_equal(att_alloc(&books.allocator, SIZE_MAX, &block), ATT_E_MEMORY);
    assert_int_equal(att_realloc(&books.allocator, &block, 0, SIZE_MAX - 3), ATT_E_MEMORY);
    assert_int_equal(att_new_array(&books.allocator, SIZE_MAX / 8 + 1, 8, &block), ATT_E_MEMORY);
    assert_int_equal(att_new_array(&books.allocator, (size_t)1 << 33, (size_t)1 << 33, &block), ATT_E_MEMORY);
    assert_null(block);
    assert_int_equal(books.calls, 0);
}

static void strings_are_copied(void **state)
{
    (void)state;
    test_allocator books;
    test_allocator_init(&books, 0);
    char *copy;
    assert_ok(att_copy_string(&books.allocator, "attention", 6, &copy));
    assert_string_equal(copy, "attent");
    att_free(&books.allocator, copy, 7);
    assert_ok(att_copy_string(&books.allocator, "", 0, &copy));
    assert_string_equal(copy, "");
    att_free(&books.allocator, copy, 1);
    assert_int_equal(books.live_blocks, 0);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    size_t out;
    assert_true(att_mul_size(SIZE_MAX / 3, 3, &out));
    assert_int_equal(out, SIZE_MAX / 3 * 3);
    assert_false(att_mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_true(att_mul_size(0, SIZE_MAX, &out));
    assert_int_equal(out, 0);
    assert_true(att_add_size(SIZE_MAX, 0, &out));
    assert_false(att_add_size(SIZE_MAX, 1, &out));
    assert_int_equal(att_round_up(0, 64), 0);
    assert_int_equal(att_round_up(64, 64), 64);
    assert_int_equal(att_round_up(65, 64), 128);
    assert_int_equal(att_ceil_div(0, 8), 0);
    assert_int_equal(att_ceil_div(17, 8), 3);
    assert_int_equal(att_ceil_div(16, 8), 2);
    assert_int_equal(att_min64(-3, 2), -3);
    assert_int_equal(att_max64(-3, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_given_back),
        cmocka_unit_test(realloc_keeps_the_content),
        cmocka_unit_test(failure_leaves_the_old_block),
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(sizes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
