#include "harness.h"

#include <attend/text.h>
#include <ctype.h>
#include <time.h>

enum { N = 100000 };

typedef struct date_pair {
    char source[ATT_SYNTHETIC_BYTES], target[ATT_SYNTHETIC_BYTES];
} date_pair;

static void dates(uint64_t seed, int64_t index, date_pair *p)
{
    assert_ok(att_synthetic_dates(seed, index, p->source, sizeof p->source, p->target, sizeof p->target));
}

static int by_source(const void *a, const void *b)
{
    return strcmp(((const date_pair *)a)->source, ((const date_pair *)b)->source);
}

static void every_source_has_one_target(void **state)
{
    (void)state;
    date_pair *all = malloc(N * sizeof *all);
    int64_t same = 0;
    for (int i = 0; i < N; i++) dates(5, i, &all[i]);
    qsort(all, N, sizeof *all, by_source);
    for (int i = 1; i < N; i++)
        if (strcmp(all[i - 1].source, all[i].source) == 0) {
            assert_string_equal(all[i - 1].target, all[i].target);
            same++;
        }
    assert_in_range(same, 100, N / 5); /* the check has met repetitions, yet the corpus has variety */
    free(all);
}

static struct tm calendar(const char *iso)
{
    struct tm tm = {0};
    assert_int_equal(strlen(iso), 10);
    assert_int_equal(sscanf(iso, "%4d-%2d-%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday), 3);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return tm;
}

static void targets_are_real_days_with_their_weekday(void **state)
{
    (void)state;
    static const char *const weekday[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
    int64_t with_weekday = 0, years[100] = {0};
    for (int i = 0; i < N; i++) {
        date_pair p;
        dates(1, i, &p);
        struct tm want = calendar(p.target), tm = want;
        time_t seconds = timegm(&tm); /* the C library's calendar, not ours */
        assert_true(seconds != (time_t)-1 || tm.tm_year == 69);
        assert_int_equal(tm.tm_mon, want.tm_mon); /* unchanged: the day exists */
        assert_int_equal(tm.tm_mday, want.tm_mday);
        assert_in_range(want.tm_year, 50, 149);
        years[want.tm_year - 50]++;
        char lower[4] = {0};
        for (int k = 0; k < 3; k++) lower[k] = (char)tolower((unsigned char)p.source[k]);
        for (int k = 0; k < 7; k++)
            if (strcmp(lower, weekday[k]) == 0) {
                assert_int_equal(tm.tm_wday, k);
                with_weekday++;
            }
    }
    assert_true(with_weekday > N / 10);
    for (int y = 0; y < 100; y++) assert_in_range(years[y], N / 200, N / 50);
}

/* What stands in the source must agree with the target: its numbers are the year (or its last two digits), the day,
 * and the month when there is no month's name. */
static void numbers_of_the_source_are_those_of_the_target(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) {
        date_pair p;
        dates(2, i, &p);
        struct tm tm = calendar(p.target);
        int year = tm.tm_year + 1900, seen = 0, product = 1;
        int letters = 0;
        for (const char *s = p.source; *s;) {
            letters += isalpha((unsigned char)*s) != 0;
            if (!isdigit((unsigned char)*s)) {
                s++;
                continue;
            }
            char *end;
            int value = (int)strtol(s, &end, 10);
            if (s > p.source && s[-1] == '\'') {
                assert_int_equal(value, year % 100);
                value = year;
            }
            product *= value;
            seen++;
            s = end;
        }
        assert_int_equal(seen, letters ? 2 : 3);
        assert_int_equal(product, letters ? year * tm.tm_mday : year * tm.tm_mday * (tm.tm_mon + 1));
    }
}

static void reverse_is_copy_reversed(void **state)
{
    (void)state;
    int lengths[21] = {0};
    for (int i = 0; i < 5000; i++) {
        char a[ATT_SYNTHETIC_BYTES], b[ATT_SYNTHETIC_BYTES], c[ATT_SYNTHETIC_BYTES], d[ATT_SYNTHETIC_BYTES];
        assert_ok(att_synthetic_copy(9, i, a, sizeof a, b, sizeof b));
        assert_ok(att_synthetic_reverse(9, i, c, sizeof c, d, sizeof d));
        assert_string_equal(a, b);
        assert_string_equal(a, c);
        size_t n = strlen(a);
        assert_int_equal(strlen(d), n);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(a[k], d[n - 1 - k]);
            assert_true(k % 2 ? a[k] == ' ' : a[k] >= 'a' && a[k] <= 'z');
        }
        assert_in_range(n, 1, 39);
        lengths[(n + 1) / 2]++;
    }
    for (int k = 1; k <= 20; k++) assert_in_range(lengths[k], 150, 350);
}

static void same_seed_same_pair(void **state)
{
    (void)state;
    static const char *const names[] = {"dates", "copy", "reverse"};
    for (int k = 0; k < 3; k++) {
        att_synthetic *make;
        int differ = 0;
        assert_ok(att_synthetic_find(names[k], &make));
        for (int i = 0; i < 500; i++) {
            date_pair p, q, other;
            assert_ok(make(7, i, p.source, sizeof p.source, p.target, sizeof p.target));
            assert_ok(make(7, i, q.source, sizeof q.source, q.target, sizeof q.target));
            assert_ok(make(8, i, other.source, sizeof other.source, other.target, sizeof other.target));
            assert_string_equal(p.source, q.source);
            assert_string_equal(p.target, q.target);
            differ += strcmp(p.source, other.source) != 0;
        }
        assert_true(differ > 450);
    }
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    date_pair p;
    att_synthetic *make;
    assert_int_equal(att_synthetic_dates(1, -1, p.source, sizeof p.source, p.target, sizeof p.target), ATT_E_VALUE);
    assert_int_equal(att_synthetic_copy(1, 0, p.source, 63, p.target, sizeof p.target), ATT_E_VALUE);
    assert_int_equal(att_synthetic_reverse(1, 0, p.source, 64, p.target, 10), ATT_E_VALUE);
    assert_int_equal(att_synthetic_find("date", &make), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "\"reverse\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_source_has_one_target),
        cmocka_unit_test(targets_are_real_days_with_their_weekday),
        cmocka_unit_test(numbers_of_the_source_are_those_of_the_target),
        cmocka_unit_test(reverse_is_copy_reversed),
        cmocka_unit_test(same_seed_same_pair),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
