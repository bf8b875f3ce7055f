#include "task/ways.h"

#include "scratch.h"

#include <attend/translator.h>

static int stop_at_three(void *ctx, const att_train_progress *p)
{
    (void)ctx;
    return p->step == 3;
}

void assert_same_checkpoints(att_recipe *r)
{
    char where[200], *want = NULL;
    size_t bytes = 0, n;
    snprintf(where, sizeof where, "train.folder=%s", scratch_path("ways"));
    assert_ok(att_options_set(att_recipe_options(), r, where));
    r->train.steps = 5;
    r->train.validate_every = 2;
    for (int way = 0; way < 4; way++) {
        att_exec exec = {.threads = way < 3 ? way + 1 : 1};
        att_training_hooks hooks = {.progress = stop_at_three};
        if (way == 3) assert_int_equal(att_recipe_train(r, &exec, 0, &hooks), ATT_E_INTERRUPTED);
        assert_ok(att_recipe_train(r, &exec, way == 3, NULL));
        char *got = scratch_read(scratch_path("ways/last.att"), &n);
        if (!want) {
            want = got;
            bytes = n;
        }
        if (n != bytes || memcmp(got, want, n) != 0) fail_msg("last.att differs (way %d)", way);
        if (got != want) free(got);
        assert_int_equal(scratch_remove(scratch_path("ways")), 0);
    }
    free(want);
}
