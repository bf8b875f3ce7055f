/* Sets of words: what is in is found, what is not nearly never is, and text keeps the set. */
#define _GNU_SOURCE
#include "harness.h"

#include <unistd.h>

#include "text/words.h"

static att_text text_of(const char *s)
{
    return (att_text){s, strlen(s)};
}

static att_text word_number(int64_t i, char room[32])
{
    return (att_text){room, (size_t)snprintf(room, 32, "w%llxz", (unsigned long long)(i * 2654435761))};
}

static att_words *filled(int64_t n)
{
    att_words *w;
    char room[32];
    assert_ok(att_words_create(n, NULL, &w));
    for (int64_t i = 0; i < n; i++) att_words_add(w, word_number(i, room));
    return w;
}

/* Every word that was added; of others one in 1,024, give or take five standard deviations. */
static void found_or_not(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 60, 3000, 50000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        enum { OTHERS = 200000 };
        int64_t n = sizes[s], wrong = 0;
        char room[32];
        att_words *w = filled(n);
        for (int64_t i = 0; i < n; i++) assert_true(att_words_has(w, word_number(i, room)));
        for (int64_t i = 0; i < OTHERS; i++) wrong += att_words_has(w, word_number(n + i, room));
        if (!(wrong <= 265))
            fail_msg("%lld of %d words are taken for one of %lld", (long long)wrong, OTHERS, (long long)n);
        if (n >= 3000 && !(wrong >= 125))
            fail_msg("%lld of %d: the set is larger than it says", (long long)wrong, OTHERS);
        att_words_destroy(w);
    }
    att_words_destroy(NULL);
}

static void capitals_count_as_small_letters(void **state)
{
    (void)state;
    att_words *w;
    assert_ok(att_words_create(2, NULL, &w));
    att_words_add(w, text_of("Khoisan"));
    att_words_add(w, text_of("caf\xC3\xA9"));
    assert_true(att_words_has(w, text_of("khoisan")) && att_words_has(w, text_of("KHOISAN")));
    assert_true(att_words_has(w, text_of("Caf\xC3\xA9")));
    assert_false(att_words_has(w, text_of("khoisa")) || att_words_has(w, text_of("")));
    att_words_destroy(w);
}

static void text_keeps_the_set(void **state)
{
    (void)state;
    att_words *w = filled(1000), *same, *none = w;
    char *text, room[32];
    assert_ok(att_words_to_text(w, &text));
    assert_ok(att_words_from_text(text, NULL, &same));
    for (int64_t i = 0; i < 20000; i++)
        assert_int_equal(att_words_has(w, word_number(i, room)), att_words_has(same, word_number(i, room)));
    att_words_destroy(same);
    att_text_free(NULL, text);
    att_words_destroy(w);
    static const char *const bad[] = {"", "AAA", "A*AA", "A=AA"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(att_words_from_text(bad[i], NULL, &none), ATT_E_FORMAT);
        assert_null(none);
    }
}

static void read_from_a_file(void **state)
{
    (void)state;
    char path[160];
    att_words *w;
    snprintf(path, sizeof path, "%s/attend-words-XXXXXX", scratch_folder());
    int file = mkstemp(path);
    static const char list[] = "alpha\nBeta\tn\t1\tthe second\t\r\ngamma\nalpha\n";
    assert_int_equal(write(file, list, sizeof list - 1), sizeof list - 1);
    close(file);
    assert_ok(att_words_read(path, NULL, &w));
    assert_true(att_words_has(w, text_of("alpha")) && att_words_has(w, text_of("beta")));
    assert_true(att_words_has(w, text_of("gamma")) && !att_words_has(w, text_of("the second")));
    att_words_destroy(w);
    unlink(path);
    assert_int_equal(att_words_read(path, NULL, &w), ATT_E_MISSING);
    assert_null(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_or_not),
        cmocka_unit_test(capitals_count_as_small_letters),
        cmocka_unit_test(text_keeps_the_set),
        cmocka_unit_test(read_from_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
