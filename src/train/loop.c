#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "file/disk.h"
#include "train/trainer.h"

#define MOST_BAD_GRADIENTS 10
#define RATE_SECONDS       5.0 /* over which tokens per second are averaged */

static att_status check(const att_train_options *o)
{
    ATT_REQUIRE(o->steps >= 1, ATT_E_VALUE, "train.steps: %lld, expected at least 1", (long long)o->steps);
    ATT_REQUIRE(o->accumulate >= 1, ATT_E_VALUE, "train.accumulate: %lld, expected at least 1",
                (long long)o->accumulate);
    ATT_REQUIRE(o->validate_every >= 1, ATT_E_VALUE, "train.validate_every: %lld, expected at least 1",
                (long long)o->validate_every);
    ATT_REQUIRE(o->lr > 0, ATT_E_VALUE, "train.lr: %g, expected more than 0", o->lr);
    ATT_REQUIRE(o->average >= 0 && o->average < 1, ATT_E_VALUE, "train.average: %g, expected 0 to less than 1",
                o->average);
    return ATT_OK;
}

static att_status make_folder(const char *folder)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s", folder);
    ATT_REQUIRE(n > 0 && (size_t)n < sizeof path, ATT_E_VALUE, "output folder '%s': the path is empty or too long",
                folder);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) return att_fail(ATT_E_IO, "%s: %s", path, strerror(errno));
        *p = '/';
    }
    ATT_REQUIRE(mkdir(path, 0777) == 0 || errno == EEXIST, ATT_E_IO, "%s: %s", path, strerror(errno));
    return ATT_OK;
}

static att_status new_floats(int64_t n, float **out)
{
    void *block;
    ATT_TRY(att_new_array(NULL, (size_t)n, sizeof(float), &block));
    *out = block;
    return ATT_OK;
}

/* Make sure that state.batch is a batch of a planned epoch. */
static att_status plan(att_trainer *t)
{
    att_train_state *s = &t->state;
    if (t->planned_epoch == s->epoch && s->batch < t->batches) return ATT_OK;
    if (t->planned_epoch == s->epoch) {
        s->epoch++;
        s->batch = 0;
    }
    ATT_TRY(t->job->plan(t->job->ctx, s->epoch, &t->batches));
    t->planned_epoch = s->epoch;
    ATT_REQUIRE(t->batches > 0, ATT_E_VALUE, "training: an epoch without a batch");
    if (s->batch < t->batches) return ATT_OK;
    s->epoch++; /* a checkpoint at the very end of its epoch */
    s->batch = 0;
    return plan(t);
}

static att_status start(att_trainer *t, bool resume)
{
    char path[4096];
    int64_t n = att_params_elements(t->job->params);
    ATT_TRY(att_trainer_path(t, "last.att", path, sizeof path));
    ATT_REQUIRE(resume || !att_file_exists(path), ATT_E_VALUE,
                "%s exists: continue it with --resume, or choose another folder (train.folder=...) or remove it", path);
    if (!resume) ATT_TRY(plan(t)); /* what cannot be trained on leaves no folder */
    ATT_TRY(make_folder(t->folder));
    att_disk_sweep(t->folder);
    ATT_TRY(att_tape_create(&t->exec, NULL, &t->tape));
    ATT_TRY(att_tape_precision(t->tape, t->options->bfloat16 ? ATT_BF16 : ATT_F32));
    ATT_TRY(new_floats(n, &t->m));
    ATT_TRY(new_floats(n, &t->v));
    if (t->options->average > 0) {
        ATT_TRY(new_floats(n, &t->average));
        memcpy(t->average, att_params_values(t->job->params), (size_t)n * sizeof(float));
    }
    if (resume) ATT_TRY(att_trainer_load_last(t));
    return att_trainer_open_log(t, resume);
}

static void stop(att_trainer *t)
{
    size_t bytes = (size_t)att_params_elements(t->job->params) * sizeof(float);
    if (t->log) fclose(t->log);
    att_tape_destroy(t->tape);
    att_free(NULL, t->m, bytes);
    att_free(NULL, t->v, bytes);
    att_free(NULL, t->average, bytes);
}

/* Gradients of the next `accumulate` batches (fewer at the end of an epoch), averaged over their rows. */
static att_status gradients(att_trainer *t, double *loss, int64_t *rows)
{
    const att_train_job *job = t->job;
    att_train_state *s = &t->state;
    ATT_TRY(plan(t));
    int64_t first = s->batch, end = att_min64(first + t->options->accumulate, t->batches), correct_rows = 0;
    for (int64_t b = first; b < end; b++) correct_rows += job->count(job->ctx, b);
    double sum = 0.0, scale = 1.0 / (double)att_max64(correct_rows, 1);
    *rows = 0;
    att_params_zero_gradients(job->params);
    for (int64_t b = first; b < end; b++) {
        att_loss part;
        uint64_t seed = att_random_mix(att_random_mix((uint64_t)t->options->seed, (uint64_t)s->epoch), (uint64_t)b);
        att_tape_begin(t->tape, 1);
        ATT_TRY(job->loss(job->ctx, t->tape, b, scale, seed, &part));
        ATT_TRY(att_tape_backward(t->tape));
        sum += part.sum;
        *rows += part.count;
    }
    s->batch = end;
    s->tokens += *rows;
    *loss = sum * scale;
    return ATT_OK;
}

static bool better(const att_validation *v, double best)
{
    return v->lower_is_better ? v->score[0].value < best : v->score[0].value > best;
}

static void judge(att_trainer *t, const att_validation *v, bool *best)
{
    const att_train_options *o = t->options;
    att_train_state *s = &t->state;
    *best = isfinite(v->score[0].value) && (s->best_step < 0 || better(v, s->best));
    if (*best) {
        s->best = v->score[0].value;
        s->best_step = s->step;
        s->bad_validations = s->plateau_validations = 0;
        return;
    }
    s->bad_validations++;
    s->plateau_validations++;
    if (o->schedule == ATT_SCHEDULE_PLATEAU && s->plateau_validations >= att_max64(o->plateau, 1)) {
        s->rate_factor *= o->factor;
        s->plateau_validations = 0;
    }
    if (o->patience > 0 && s->bad_validations >= o->patience) s->finished = 1;
}

static att_status validate(att_trainer *t)
{
    att_validation v = {0};
    bool best;
    att_trainer_swap_average(t);
    att_status status = t->job->validate(t->job->ctx, &v);
    att_trainer_swap_average(t);
    ATT_TRY(status);
    judge(t, &v, &best);
    ATT_TRY(att_trainer_log_validation(t, &v, best));
    if (best) ATT_TRY(att_trainer_save_weights(t, "best.att"));
    if (t->job->validated) t->job->validated(t->job->ctx, t->state.step, &v, best);
    return ATT_OK;
}

/* What happens between steps: validation and saving, in this order, so that a kill at any point is repeated the same.
 */
static att_status between_steps(att_trainer *t)
{
    const att_train_options *o = t->options;
    int64_t step = t->state.step;
    bool last = step >= o->steps, validated = step % o->validate_every == 0 || last;
    if (validated) ATT_TRY(validate(t));
    if (o->keep_every > 0 && step % o->keep_every == 0) {
        char name[64];
        snprintf(name, sizeof name, "step-%lld.att", (long long)step);
        ATT_TRY(att_trainer_save_weights(t, name));
    }
    if (t->state.skipped_in_a_row > 0 && !last) return ATT_OK; /* the run may be diverging: keep the last good one */
    if (validated || (o->save_every > 0 && step % o->save_every == 0)) return att_trainer_save_last(t);
    return ATT_OK;
}

static att_status update(att_trainer *t, double loss, att_train_progress *p)
{
    att_train_state *s = &t->state;
    bool finite = isfinite(loss) && att_trainer_update(t, &p->norm, &p->lr);
    s->step++;
    s->skipped_in_a_row = finite ? 0 : s->skipped_in_a_row + 1;
    s->skipped += !finite;
    ATT_REQUIRE(s->skipped_in_a_row < MOST_BAD_GRADIENTS, ATT_E_DIVERGED,
                "training diverged: %d non-finite gradients in a row up to step %lld; %s/last.att and best.att are of "
                "before; try a smaller train.lr",
                MOST_BAD_GRADIENTS, (long long)s->step, t->folder);
    return ATT_OK;
}

static att_status run(att_trainer *t)
{
    double window_start = att_clock(), window_rate = 0.0;
    int64_t window_rows = 0, rows;
    while (t->state.step < t->options->steps && !t->state.finished) {
        double began = att_clock(), loss;
        att_train_progress p = {.norm = NAN, .lr = NAN};
        ATT_TRY(gradients(t, &loss, &rows));
        ATT_TRY(update(t, loss, &p));
        double ended = att_clock();
        t->seconds += ended - began;
        window_rows += rows;
        if (window_rate == 0.0 || ended - window_start >= RATE_SECONDS) {
            window_rate = (double)window_rows / (ended - window_start);
            window_start = ended;
            window_rows = 0;
        }
        p = (att_train_progress){.step = t->state.step,
                                 .steps = t->options->steps,
                                 .epoch = t->state.epoch,
                                 .tokens = t->state.tokens,
                                 .skipped = t->state.skipped,
                                 .loss = loss,
                                 .lr = p.lr,
                                 .norm = p.norm,
                                 .tokens_per_second = window_rate,
                                 .seconds = t->seconds};
        ATT_TRY(att_trainer_log_step(t, &p));
        bool asked = t->job->progress && t->job->progress(t->job->ctx, &p);
        if (asked && t->state.step < t->options->steps && t->state.step % t->options->validate_every != 0) {
            ATT_TRY(att_trainer_save_last(t));
            return att_fail(ATT_E_INTERRUPTED, "stopped at step %lld; %s/last.att continues with --resume",
                            (long long)t->state.step, t->folder);
        }
        double paused = att_clock();
        ATT_TRY(between_steps(t));
        window_start += att_clock() - paused;
        if (asked && t->state.step < t->options->steps && !t->state.finished)
            return att_fail(ATT_E_INTERRUPTED, "stopped at step %lld; %s/last.att continues with --resume",
                            (long long)t->state.step, t->folder);
    }
    return ATT_OK;
}

att_status att_train(const att_train_options *options, const att_train_job *job, const att_exec *exec,
                     const char *folder, int resume)
{
    att_trainer t = {.options = options,
                     .job = job,
                     .folder = folder,
                     .planned_epoch = -1,
                     .state = {.best_step = -1, .rate_factor = 1.0}};
    if (exec) t.exec = *exec;
    ATT_TRY(check(options));
    att_status status = start(&t, resume != 0);
    if (status == ATT_OK) status = run(&t);
    stop(&t);
    return status;
}
