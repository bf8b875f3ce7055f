#define _GNU_SOURCE
#include "train/toy.h"

#include "scratch.h"

#include <unistd.h>

const att_train_options toy_options = {.seed = 1,
                                       .steps = 20,
                                       .accumulate = 1,
                                       .lr = 0.05,
                                       .factor = 0.5,
                                       .plateau = 2,
                                       .beta1 = 0.9,
                                       .beta2 = 0.98,
                                       .eps = 1e-9,
                                       .validate_every = 5,
                                       .save_every = 5};

void toy_assert_near(double got, double want, double eps)
{
    if (!(fabs(got - want) <= eps)) fail_msg("%.12g, expected %.12g within %.3g", got, want, eps);
}

/* ---- files ---- */

const char *toy_path(const toy *r, const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", r->folder, name);
    return path[turn];
}

void toy_assert_same_file(const toy *a, const toy *b, const char *name)
{
    size_t n, m;
    char *first = scratch_read(toy_path(a, name), &n), *second = scratch_read(toy_path(b, name), &m);
    if (n != m || memcmp(first, second, n) != 0) fail_msg("%s differs", name);
    free(first);
    free(second);
}

/* ---- the job ---- */

int64_t toy_block(const toy *r, int64_t batch)
{
    return (batch * 5 + r->epoch) % BLOCKS;
}

static att_status plan(void *ctx, int64_t epoch, int64_t *batches)
{
    toy *r = ctx;
    r->epoch = epoch;
    *batches = r->joined ? BLOCKS / 2 : BLOCKS;
    return ATT_OK;
}

static int64_t count(void *ctx, int64_t batch)
{
    (void)batch;
    return ((toy *)ctx)->joined ? 2 * ROWS : ROWS;
}

static att_status loss_of_rows(toy *r, att_tape *tape, int64_t rows, const float *x, const int32_t *label, double scale,
                               att_loss *out)
{
    att_view input = att_view_2d((void *)(uintptr_t)x, ATT_F32, rows, K);
    att_view target = att_view_1d((void *)(uintptr_t)label, ATT_I32, rows);
    att_node *y = att_tape_linear(tape, att_tape_constant(tape, &input), att_tape_parameter(tape, r->w),
                                  att_tape_parameter(tape, r->b), ATT_ACT_NONE);
    att_tape_cross_entropy(tape, y, &target, 0.0, scale, out);
    return att_tape_status(tape);
}

static att_status loss(void *ctx, att_tape *tape, int64_t batch, double scale, uint64_t seed, att_loss *out)
{
    toy *r = ctx;
    int64_t parts = r->joined ? 2 : 1;
    float *x = att_tape_alloc(tape, sizeof(float) * 2 * ROWS * K);
    int32_t *label = att_tape_alloc(tape, sizeof(int32_t) * 2 * ROWS);
    (void)seed;
    if (!x || !label) return att_tape_status(tape);
    for (int64_t i = 0; i < parts; i++) {
        int64_t block = toy_block(r, parts * batch + i);
        memcpy(x + i * ROWS * K, r->x[block * ROWS], sizeof(float) * ROWS * K);
        memcpy(label + i * ROWS, r->label + block * ROWS, sizeof(int32_t) * ROWS);
    }
    if (r->losses >= r->bad_from && r->losses < r->bad_to) x[1] = NAN;
    r->losses++;
    return loss_of_rows(r, tape, parts * ROWS, x, label, scale, out);
}

static att_status validate(void *ctx, att_validation *v)
{
    toy *r = ctx;
    att_tape *tape;
    att_loss l = {0};
    if (!r->scores) {
        att_status status = att_tape_create(NULL, NULL, &tape);
        if (status != ATT_OK) return status;
        att_tape_begin(tape, 0);
        status = loss_of_rows(r, tape, BLOCKS * ROWS, r->x[0], r->label, 1, &l);
        att_tape_destroy(tape);
        if (status != ATT_OK) return status;
    }
    *v = (att_validation){.count = 2, .lower_is_better = 1};
    v->score[0] = (att_score_value){"loss", r->scores ? r->scores[r->validations] : l.sum};
    v->score[1] = (att_score_value){"other", 1.0};
    r->validations++;
    return ATT_OK;
}

static att_status describe(void *ctx, const att_metadata **metadata, int64_t *n)
{
    static const att_metadata about[] = {{"attend.task", "regression"}};
    (void)ctx;
    *metadata = about;
    *n = 1;
    return ATT_OK;
}

static void validated(void *ctx, int64_t step, const att_validation *v, int best)
{
    toy *r = ctx;
    assert_int_equal(v->count, 2);
    assert_true(step > 0);
    r->bests += best;
}

static int progress(void *ctx, const att_train_progress *p)
{
    toy *r = ctx;
    assert_true(p->step >= 1 && p->step < STEPS_SEEN);
    r->last = *p;
    r->lr[p->step] = p->lr;
    memcpy(r->weights[p->step], att_params_values(r->params), sizeof r->weights[0]);
    if (p->step == r->keep_at) r->kept_last = scratch_read(toy_path(r, "last.att"), &r->kept_bytes);
    return p->step == r->stop_at;
}

void toy_make_weights(toy *r)
{
    att_params_destroy(r->params);
    assert_ok(att_params_create(NULL, &r->params));
    assert_ok(att_params_add(r->params, "w", 2, (int64_t[]){K, CLASSES}, ATT_INIT_NORMAL, 0.5, &r->w));
    assert_ok(att_params_add(r->params, "b", 1, (int64_t[]){CLASSES}, ATT_INIT_ZERO, 0, &r->b));
    assert_ok(att_params_allocate(r->params, 4, 1));
    assert_int_equal(att_params_elements(r->params), ELEMENTS);
}

toy *toy_create(void)
{
    toy *r = calloc(1, sizeof *r);
    strcpy(r->folder, "/dev/shm/attend-train-XXXXXX"); /* in memory: every save syncs */
    if (!mkdtemp(r->folder)) strcpy(r->folder, "/tmp/attend-train-XXXXXX");
    if (r->folder[1] == 't' && !mkdtemp(r->folder)) fail_msg("no temporary folder");
    rmdir(r->folder); /* the loop makes it */
    fill_f32(r->x[0], BLOCKS * ROWS * K, 3, 1.5f);
    for (int i = 0; i < BLOCKS * ROWS; i++) r->label[i] = r->x[i][0] > r->x[i][1] ? i % 2 : 2 + (r->x[i][2] > 0);
    toy_make_weights(r);
    return r;
}

void toy_destroy(toy *r)
{
    scratch_remove(r->folder);
    att_params_destroy(r->params);
    free(r->kept_last);
    free(r);
}

att_status toy_train(toy *r, const att_train_options *o, int resume)
{
    att_train_job job = {.ctx = r,
                         .params = r->params,
                         .plan = plan,
                         .count = count,
                         .loss = loss,
                         .validate = validate,
                         .describe = describe,
                         .validated = validated,
                         .progress = progress};
    return att_train(o, &job, NULL, r->folder, resume);
}
