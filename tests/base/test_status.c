#include "harness.h"

#include <pthread.h>

#include "base/base.h"

static void message_is_kept(void **state)
{
    (void)state;
    assert_int_equal(att_fail(ATT_E_SHAPE, "query: %d rows, expected %s", 3, "4"), ATT_E_SHAPE);
    assert_string_equal(att_last_error(), "query: 3 rows, expected 4");
}

static void message_may_quote_the_last_one(void **state)
{
    (void)state;
    att_fail(ATT_E_FORMAT, "no colon");
    att_fail(ATT_E_FORMAT, "recipe.yaml:3: %s", att_last_error());
    att_fail(ATT_E_FORMAT, "%s (%s)", att_last_error(), att_last_error());
    assert_string_equal(att_last_error(), "recipe.yaml:3: no colon (recipe.yaml:3: no colon)");
}

static void long_message_is_cut(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    att_fail(ATT_E_VALUE, "name: %s", text);
    size_t length = strlen(att_last_error());
    assert_true(length > 200 && length < sizeof text);
    assert_int_equal(strncmp(att_last_error(), "name: xxx", 9), 0);
    att_fail(ATT_E_VALUE, "short");
    assert_string_equal(att_last_error(), "short");
}

static void *other_thread(void *ctx)
{
    bool *clean = ctx;
    *clean = strcmp(att_last_error(), "") == 0;
    att_fail(ATT_E_IO, "from the other thread");
    return NULL;
}

static void each_thread_has_its_own(void **state)
{
    (void)state;
    att_fail(ATT_E_VALUE, "from here");
    pthread_t thread;
    bool clean = false;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &clean), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(clean);
    assert_string_equal(att_last_error(), "from here");
}

static void every_status_has_a_name(void **state)
{
    (void)state;
    for (int i = ATT_OK; i <= ATT_E_INTERRUPTED; i++) {
        const char *name = att_status_name((att_status)i);
        assert_int_equal(strncmp(name, i ? "ATT_E_" : "ATT_OK", 6), 0);
        for (int j = ATT_OK; j < i; j++) assert_string_not_equal(name, att_status_name((att_status)j));
    }
    assert_string_equal(att_status_name((att_status)(ATT_E_INTERRUPTED + 1)), "unknown status");
    assert_non_null(att_status_name((att_status)-1));
}

static att_status three_steps(int fail_at, int *reached)
{
    for (*reached = 1; *reached <= 3; ++*reached)
        ATT_TRY(*reached == fail_at ? att_fail(ATT_E_VALUE, "step %d", fail_at) : ATT_OK);
    return ATT_OK;
}

static void try_returns_at_the_first_failure(void **state)
{
    (void)state;
    int reached;
    assert_int_equal(three_steps(0, &reached), ATT_OK);
    assert_int_equal(reached, 4);
    assert_int_equal(three_steps(2, &reached), ATT_E_VALUE);
    assert_int_equal(reached, 2);
    assert_string_equal(att_last_error(), "step 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_is_kept),         cmocka_unit_test(message_may_quote_the_last_one),
        cmocka_unit_test(long_message_is_cut),     cmocka_unit_test(each_thread_has_its_own),
        cmocka_unit_test(every_status_has_a_name), cmocka_unit_test(try_returns_at_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
