/* Training that is interrupted, killed and continued, and what is refused. */
#include "train/toy.h"

#include "scratch.h"

#include <sys/stat.h>
#include <unistd.h>

/* ---- continuing ---- */

static void assert_log(const toy *r, int64_t steps, int64_t every)
{
    size_t bytes;
    char *text = scratch_read(toy_path(r, "log.jsonl"), &bytes), *line = text;
    for (int64_t s = 1; s <= steps; s++)
        for (int validation = 0; validation <= (s % every == 0 || s == steps); validation++) {
            char want[32];
            snprintf(want, sizeof want, "{\"step\":%lld,", (long long)s);
            if (strncmp(line, want, strlen(want)) != 0) fail_msg("expected %s, found %.60s", want, line);
            char *end = strchr(line, '\n');
            assert_non_null(end);
            *end = '\0';
            assert_int_equal(strstr(line, "valid_loss") != NULL, validation);
            line = end + 1;
        }
    assert_int_equal(line - text, bytes);
    free(text);
}

static void continued(void **state)
{
    (void)state;
    att_random random = {.seed = 4};
    for (int kind = 0; kind < 4; kind++) {
        att_train_options o = toy_options;
        toy *whole = toy_create();
        o.steps = 47;
        o.accumulate = kind == 1 ? 4 : 1;
        o.average = kind == 2 ? 0.95 : 0.0;
        o.schedule = kind == 3 ? ATT_SCHEDULE_PLATEAU : ATT_SCHEDULE_COSINE;
        o.validate_every = 6;
        o.save_every = kind == 1 ? 0 : 4;
        assert_ok(toy_train(whole, &o, 0));
        assert_log(whole, o.steps, o.validate_every);
        for (int repeat = 0; repeat < 12; repeat++) {
            toy *parts = toy_create();
            int64_t at = 0;
            for (;;) {
                at += 1 + (int64_t)att_random_below(&random, 20);
                parts->stop_at = at;
                toy_make_weights(parts); /* nothing may come from memory */
                parts->epoch = -1;
                att_status status = toy_train(parts, &o, at > 0 && att_file_exists(toy_path(parts, "last.att")));
                if (status == ATT_OK) break;
                assert_int_equal(status, ATT_E_INTERRUPTED);
                assert_int_equal(parts->last.step, at);
            }
            toy_assert_same_file(whole, parts, "last.att");
            toy_assert_same_file(whole, parts, "best.att");
            assert_memory_equal(att_params_values(whole->params), att_params_values(parts->params),
                                sizeof whole->weights[0]);
            assert_log(parts, o.steps, o.validate_every);
            toy_destroy(parts);
        }
        toy_destroy(whole);
    }
}

/* Killed between two checkpoints: what the log has beyond the last one is cut. */
static void killed(void **state)
{
    (void)state;
    for (int64_t at = 6; at < 20; at++) {
        toy *whole = toy_create(), *r = toy_create();
        att_train_options o = toy_options;
        o.save_every = 3;
        assert_ok(toy_train(whole, &o, 0));
        r->keep_at = at;
        assert_ok(toy_train(r, &o, 0));
        assert_ok(att_file_write_text(toy_path(r, "last.att"), r->kept_last, r->kept_bytes));
        FILE *log = fopen(toy_path(r, "log.jsonl"), "a");
        fputs("{\"step\":21,\"lo", log);
        fclose(log);
        r->keep_at = 0;
        toy_make_weights(r);
        assert_ok(toy_train(r, &o, 1));
        toy_assert_same_file(whole, r, "last.att");
        toy_assert_same_file(whole, r, "best.att");
        assert_log(r, o.steps, o.validate_every);
        toy_destroy(whole);
        toy_destroy(r);
    }
}

/* ---- what is refused ---- */

static void refused(void **state)
{
    (void)state;
    toy *r = toy_create();
    assert_int_equal(toy_train(r, &toy_options, 1), ATT_E_MISSING);
    assert_ok(toy_train(r, &toy_options, 0));
    size_t bytes;
    char *before = scratch_read(toy_path(r, "last.att"), &bytes), *log = scratch_read(toy_path(r, "log.jsonl"), &bytes);
    assert_int_equal(toy_train(r, &toy_options, 0), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "last.att"));
    assert_non_null(strstr(att_last_error(), "--resume"));
    char *after = scratch_read(toy_path(r, "log.jsonl"), &bytes);
    assert_string_equal(log, after);
    rename(toy_path(r, "best.att"), toy_path(r, "last.att"));
    assert_int_equal(toy_train(r, &toy_options, 1), ATT_E_FORMAT);
    assert_non_null(strstr(att_last_error(), "training state"));
    free(before);
    free(log);
    free(after);
    toy_destroy(r);
}

static void other_model(void **state)
{
    (void)state;
    toy *r = toy_create();
    att_train_options o = toy_options;
    assert_ok(toy_train(r, &o, 0));
    o.average = 0.9; /* the checkpoint has no average to continue */
    assert_int_equal(toy_train(r, &o, 1), ATT_E_MISSING);
    o.average = 0;
    att_params_destroy(r->params);
    assert_ok(att_params_create(NULL, &r->params));
    assert_ok(att_params_add(r->params, "w", 2, (int64_t[]){K + 9, CLASSES}, ATT_INIT_ONE, 0, &r->w));
    assert_ok(att_params_add(r->params, "b", 1, (int64_t[]){CLASSES}, ATT_INIT_ZERO, 0, &r->b));
    assert_ok(att_params_allocate(r->params, 4, 1));
    assert_int_equal(toy_train(r, &o, 1), ATT_E_FORMAT);
    assert_non_null(strstr(att_last_error(), "model.w"));
    toy_destroy(r);
}

static void unwritable(void **state)
{
    (void)state;
    toy *r = toy_create();
    char folder[96];
    strcpy(folder, r->folder);
    assert_ok(att_file_write_text(folder, "a file", 6));
    snprintf(r->folder, sizeof r->folder, "%s/run", folder);
    assert_int_equal(toy_train(r, &toy_options, 0), ATT_E_IO);
    assert_non_null(strstr(att_last_error(), folder));
    strcpy(r->folder, folder);
    assert_int_equal(toy_train(r, &toy_options, 0), ATT_E_IO);
    unlink(folder);
    snprintf(r->folder, sizeof r->folder, "%s/a/b", folder);
    assert_ok(toy_train(r, &toy_options, 0));
    scratch_remove(r->folder);
    snprintf(r->folder, sizeof r->folder, "%s/a", folder);
    rmdir(r->folder);
    strcpy(r->folder, folder);
    toy_destroy(r);
}

static void wrong_options(void **state)
{
    (void)state;
    toy *r = toy_create();
    att_train_options o = toy_options;
#define REFUSE(field, bad)                                                                                             \
    do {                                                                                                               \
        o = toy_options;                                                                                               \
        o.field = bad;                                                                                                 \
        assert_int_equal(toy_train(r, &o, 0), ATT_E_VALUE);                                                            \
        assert_non_null(strstr(att_last_error(), "train." #field));                                                    \
    } while (0)
    REFUSE(steps, 0);
    REFUSE(accumulate, 0);
    REFUSE(validate_every, 0);
    REFUSE(lr, 0);
    REFUSE(lr, (double)NAN);
    REFUSE(average, 1);
#undef REFUSE
    assert_false(att_file_exists(r->folder));
    toy_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(continued),   cmocka_unit_test(killed),     cmocka_unit_test(refused),
        cmocka_unit_test(other_model), cmocka_unit_test(unwritable), cmocka_unit_test(wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
