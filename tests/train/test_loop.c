/* The training loop on softmax regression: against Adam in double precision, and everything that can happen on the way.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <attend/train.h>

enum { K = 3, CLASSES = 4, ROWS = 5, BLOCKS = 6, STEPS_SEEN = 400, WEIGHTS = K * CLASSES, ELEMENTS = 32 };

typedef struct run {
    char folder[128];
    att_params *params;
    att_parameter *w, *b;
    float x[BLOCKS * ROWS][K];
    int32_t label[BLOCKS * ROWS];
    int64_t epoch;
    int joined;               /* a batch is two blocks */
    int64_t bad_from, bad_to; /* losses, counted from 0, that are not finite */
    int64_t losses;
    int64_t stop_at;      /* step at which `progress` asks to stop */
    const double *scores; /* of validations; NULL: the loss of the whole set */
    int64_t validations, bests;
    att_train_progress last;
    double lr[STEPS_SEEN];
    float weights[STEPS_SEEN][ELEMENTS]; /* after each step */
    char *kept_last;                     /* last.att as it was when step keep_at was done */
    size_t kept_bytes;
    int64_t keep_at;
} run;

static const att_train_options simple = {.seed = 1,
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

static void assert_near(double got, double want, double eps)
{
    if (!(fabs(got - want) <= eps)) fail_msg("%.12g, expected %.12g within %.3g", got, want, eps);
}

/* ---- files ---- */

static const char *path_of(const run *r, const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", r->folder, name);
    return path[turn];
}

static char *read_all(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing", path);
    char *text = malloc(1 << 20);
    *bytes = fread(text, 1, (1 << 20) - 1, f);
    text[*bytes] = '\0';
    fclose(f);
    return text;
}

static void assert_same_file(const run *a, const run *b, const char *name)
{
    size_t n, m;
    char *first = read_all(path_of(a, name), &n), *second = read_all(path_of(b, name), &m);
    if (n != m || memcmp(first, second, n) != 0) fail_msg("%s differs", name);
    free(first);
    free(second);
}

static void remove_folder(const char *folder)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
    rmdir(folder);
}

/* ---- the job ---- */

static int64_t block_of(const run *r, int64_t batch)
{
    return (batch * 5 + r->epoch) % BLOCKS;
}

static att_status plan(void *ctx, int64_t epoch, int64_t *batches)
{
    run *r = ctx;
    r->epoch = epoch;
    *batches = r->joined ? BLOCKS / 2 : BLOCKS;
    return ATT_OK;
}

static int64_t count(void *ctx, int64_t batch)
{
    (void)batch;
    return ((run *)ctx)->joined ? 2 * ROWS : ROWS;
}

static att_status loss_of_rows(run *r, att_tape *tape, int64_t rows, const float *x, const int32_t *label, double scale,
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
    run *r = ctx;
    int64_t parts = r->joined ? 2 : 1;
    float *x = att_tape_alloc(tape, sizeof(float) * 2 * ROWS * K);
    int32_t *label = att_tape_alloc(tape, sizeof(int32_t) * 2 * ROWS);
    (void)seed;
    if (!x || !label) return att_tape_status(tape);
    for (int64_t i = 0; i < parts; i++) {
        int64_t block = block_of(r, parts * batch + i);
        memcpy(x + i * ROWS * K, r->x[block * ROWS], sizeof(float) * ROWS * K);
        memcpy(label + i * ROWS, r->label + block * ROWS, sizeof(int32_t) * ROWS);
    }
    if (r->losses >= r->bad_from && r->losses < r->bad_to) x[1] = NAN;
    r->losses++;
    return loss_of_rows(r, tape, parts * ROWS, x, label, scale, out);
}

static att_status validate(void *ctx, att_validation *v)
{
    run *r = ctx;
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
    run *r = ctx;
    assert_int_equal(v->count, 2);
    assert_true(step > 0);
    r->bests += best;
}

static int progress(void *ctx, const att_train_progress *p)
{
    run *r = ctx;
    assert_true(p->step >= 1 && p->step < STEPS_SEEN);
    r->last = *p;
    r->lr[p->step] = p->lr;
    memcpy(r->weights[p->step], att_params_values(r->params), sizeof r->weights[0]);
    if (p->step == r->keep_at) r->kept_last = read_all(path_of(r, "last.att"), &r->kept_bytes);
    return p->step == r->stop_at;
}

static void make_weights(run *r)
{
    att_params_destroy(r->params);
    assert_ok(att_params_create(NULL, &r->params));
    assert_ok(att_params_add(r->params, "w", 2, (int64_t[]){K, CLASSES}, ATT_INIT_NORMAL, 0.5, &r->w));
    assert_ok(att_params_add(r->params, "b", 1, (int64_t[]){CLASSES}, ATT_INIT_ZERO, 0, &r->b));
    assert_ok(att_params_allocate(r->params, 4, 1));
    assert_int_equal(att_params_elements(r->params), ELEMENTS);
}

static run *make_run(void)
{
    run *r = calloc(1, sizeof *r);
    strcpy(r->folder, "/dev/shm/attend-train-XXXXXX"); /* in memory: every save syncs */
    if (!mkdtemp(r->folder)) strcpy(r->folder, "/tmp/attend-train-XXXXXX");
    if (r->folder[1] == 't' && !mkdtemp(r->folder)) fail_msg("no temporary folder");
    rmdir(r->folder); /* the loop makes it */
    fill_f32(r->x[0], BLOCKS * ROWS * K, 3, 1.5f);
    for (int i = 0; i < BLOCKS * ROWS; i++) r->label[i] = r->x[i][0] > r->x[i][1] ? i % 2 : 2 + (r->x[i][2] > 0);
    make_weights(r);
    return r;
}

static void free_run(run *r)
{
    remove_folder(r->folder);
    att_params_destroy(r->params);
    free(r->kept_last);
    free(r);
}

static att_status train(run *r, const att_train_options *o, int resume)
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

/* ---- Adam, clipping, schedule and accumulation in double precision ---- */

typedef struct by_hand {
    double p[WEIGHTS + CLASSES], m[WEIGHTS + CLASSES], v[WEIGHTS + CLASSES], g[WEIGHTS + CLASSES];
} by_hand;

static void add_gradient(const run *r, by_hand *h, int64_t block, double scale)
{
    for (int64_t i = block * ROWS; i < (block + 1) * ROWS; i++) {
        double y[CLASSES], sum = 0;
        for (int c = 0; c < CLASSES; c++) {
            y[c] = h->p[WEIGHTS + c];
            for (int k = 0; k < K; k++) y[c] += (double)r->x[i][k] * h->p[k * CLASSES + c];
            sum += exp(y[c]);
        }
        for (int c = 0; c < CLASSES; c++) {
            double d = scale * (exp(y[c]) / sum - (c == r->label[i]));
            h->g[WEIGHTS + c] += d;
            for (int k = 0; k < K; k++) h->g[k * CLASSES + c] += d * (double)r->x[i][k];
        }
    }
}

static double adam(by_hand *h, const att_train_options *o, double lr, int64_t step)
{
    double norm = 0;
    for (int i = 0; i < WEIGHTS + CLASSES; i++) norm += h->g[i] * h->g[i];
    norm = sqrt(norm);
    double factor = o->clip > 0 && norm > o->clip ? o->clip / norm : 1.0;
    for (int i = 0; i < WEIGHTS + CLASSES; i++) {
        double g = h->g[i] * factor;
        h->m[i] = o->beta1 * h->m[i] + (1 - o->beta1) * g;
        h->v[i] = o->beta2 * h->v[i] + (1 - o->beta2) * g * g;
        double mean = h->m[i] / (1 - pow(o->beta1, (double)step)), square = h->v[i] / (1 - pow(o->beta2, (double)step));
        h->p[i] -= lr * mean / (sqrt(square) + o->eps) + lr * o->decay * h->p[i];
        h->g[i] = 0;
    }
    return norm;
}

static void against_double(const att_train_options *o)
{
    run *r = make_run();
    by_hand h = {0};
    double norm = 0;
    for (int i = 0; i < WEIGHTS; i++) h.p[i] = (double)((const float *)att_parameter_value(r->w)->data)[i];
    assert_ok(train(r, o, 0));
    r->epoch = 0;
    for (int64_t step = 1, batch = 0; step <= o->steps; step++) {
        int64_t end = batch + o->accumulate < BLOCKS ? batch + o->accumulate : BLOCKS;
        double scale = 1.0 / (double)((end - batch) * ROWS);
        for (; batch < end; batch++) add_gradient(r, &h, block_of(r, batch), scale);
        norm = adam(&h, o, att_train_rate(o, step), step);
        if (batch == BLOCKS) r->epoch++, batch = 0;
    }
    assert_near(r->last.norm, norm, 1e-4);
    assert_near(r->last.lr, att_train_rate(o, o->steps), 1e-12);
    for (int i = 0; i < WEIGHTS; i++)
        assert_near((double)((const float *)att_parameter_value(r->w)->data)[i], h.p[i], 2e-5);
    for (int i = 0; i < CLASSES; i++)
        assert_near((double)((const float *)att_parameter_value(r->b)->data)[i], h.p[WEIGHTS + i], 2e-5);
    free_run(r);
}

static void adam_by_hand(void **state)
{
    (void)state;
    att_train_options o = simple;
    against_double(&o);
    o.clip = 0.05;
    against_double(&o);
    o.decay = 0.1;
    o.warmup = 6;
    o.schedule = ATT_SCHEDULE_INVERSE_SQRT;
    o.accumulate = 2;
    against_double(&o);
    o.accumulate = 4; /* an epoch of 6: four batches, then two */
    o.schedule = ATT_SCHEDULE_COSINE;
    against_double(&o);
    o.accumulate = 100;
    against_double(&o);
}

static void accumulation(void **state)
{
    (void)state;
    run *one = make_run(), *two = make_run();
    att_train_options o = simple;
    one->joined = 1;
    assert_ok(train(one, &o, 0));
    o.accumulate = 2;
    assert_ok(train(two, &o, 0));
    assert_int_equal(one->last.tokens, two->last.tokens);
    for (int i = 0; i < ELEMENTS; i++)
        assert_near(att_params_values(one->params)[i], att_params_values(two->params)[i], 1e-5);
    free_run(one);
    free_run(two);
}

static void schedules(void **state)
{
    (void)state;
    att_train_options o = {.lr = 0.4, .warmup = 4, .steps = 24, .lr_min = 0.1};
    assert_near(att_train_rate(&o, 1), 0.1, 1e-12);
    assert_near(att_train_rate(&o, 3), 0.3, 1e-12);
    assert_near(att_train_rate(&o, 4), 0.4, 1e-12);
    assert_near(att_train_rate(&o, 1000), 0.4, 1e-12);
    o.schedule = ATT_SCHEDULE_INVERSE_SQRT;
    assert_near(att_train_rate(&o, 2), 0.2, 1e-12);
    assert_near(att_train_rate(&o, 4), 0.4, 1e-12);
    assert_near(att_train_rate(&o, 16), 0.2, 1e-12);
    o.schedule = ATT_SCHEDULE_COSINE;
    assert_near(att_train_rate(&o, 4), 0.4, 1e-12);
    assert_near(att_train_rate(&o, 14), 0.25, 1e-12);
    assert_near(att_train_rate(&o, 24), 0.1, 1e-12);
    assert_near(att_train_rate(&o, 99), 0.1, 1e-12);
    o.warmup = 0;
    o.schedule = ATT_SCHEDULE_INVERSE_SQRT;
    assert_near(att_train_rate(&o, 1), 0.4, 1e-12);
    assert_near(att_train_rate(&o, 4), 0.2, 1e-12);
    o.schedule = ATT_SCHEDULE_COSINE;
    o.warmup = 24;
    assert_near(att_train_rate(&o, 24), 0.1, 1e-12);
}

/* ---- non-finite losses ---- */

static void skipped_steps(void **state)
{
    (void)state;
    run *r = make_run();
    r->bad_from = 7;
    r->bad_to = 10;
    assert_ok(train(r, &simple, 0));
    assert_int_equal(r->last.step, 20);
    assert_int_equal(r->last.skipped, 3);
    for (int s = 8; s <= 10; s++) assert_memory_equal(r->weights[s], r->weights[7], sizeof r->weights[0]);
    assert_memory_not_equal(r->weights[11], r->weights[7], sizeof r->weights[0]);
    for (int i = 0; i < ELEMENTS; i++) assert_true(isfinite(att_params_values(r->params)[i]));
    free_run(r);
}

static void assert_saved_weights(const run *r, const char *name, const float *want)
{
    att_file *f;
    att_view w;
    assert_ok(att_file_open(path_of(r, name), NULL, &f));
    assert_ok(att_file_tensor(f, "model.w", &w));
    assert_memory_equal(w.data, want, WEIGHTS * sizeof(float));
    assert_string_equal(att_file_metadata(f, "attend.task"), "regression");
    att_file_close(f);
}

static void divergence(void **state)
{
    (void)state;
    run *r = make_run();
    att_train_options o = simple;
    o.steps = 30;
    o.validate_every = 4;
    r->bad_from = 6;
    r->bad_to = 1000;
    assert_int_equal(train(r, &o, 0), ATT_E_DIVERGED);
    assert_non_null(strstr(att_last_error(), "train.lr"));
    assert_int_equal(r->last.step, 15);
    assert_saved_weights(r, "last.att", r->weights[5]); /* saved before the first bad step */
    r->bad_to = 0;
    assert_ok(train(r, &o, 1));
    assert_int_equal(r->last.step, 30);
    free_run(r);
}

/* ---- validations ---- */

static void early_stopping(void **state)
{
    (void)state;
    static const double scores[] = {5, 3, 4, 3, 3.5, 1, 0, 0};
    run *r = make_run();
    att_train_options o = simple;
    o.steps = 100;
    o.patience = 3;
    r->scores = scores;
    assert_ok(train(r, &o, 0));
    assert_int_equal(r->last.step, 25);
    assert_int_equal(r->bests, 2);
    assert_saved_weights(r, "best.att", r->weights[10]);
    assert_saved_weights(r, "last.att", r->weights[25]);
    int64_t losses = r->losses;
    assert_ok(train(r, &o, 1));
    assert_int_equal(r->losses, losses);
    free_run(r);
}

static void plateau(void **state)
{
    (void)state;
    static const double scores[] = {3, 3, 4, 2, 2, 2, 2, 2, 2, 2};
    run *r = make_run();
    att_train_options o = simple;
    o.steps = 50;
    o.schedule = ATT_SCHEDULE_PLATEAU;
    o.lr_min = 0.01;
    r->scores = scores;
    assert_ok(train(r, &o, 0));
    for (int s = 1; s <= 50; s++)
        assert_near(r->lr[s], s <= 15 ? 0.05 : s <= 30 ? 0.025 : s <= 40 ? 0.0125 : 0.01, 1e-9);
    free_run(r);
}

/* A validation that is not a number is never the best one, and the run can still be continued. */
static void validation_not_a_number(void **state)
{
    (void)state;
    static const double scores[] = {NAN, 3, NAN, 2, NAN, NAN};
    run *r = make_run();
    att_train_options o = simple;
    r->scores = scores;
    r->stop_at = 7;
    assert_int_equal(train(r, &o, 0), ATT_E_INTERRUPTED);
    assert_ok(train(r, &o, 1));
    assert_int_equal(r->bests, 2);
    assert_saved_weights(r, "best.att", r->weights[20]);
    free_run(r);
}

/* What is validated and kept is the average; training goes on from the weights themselves. */
static void moving_average(void **state)
{
    (void)state;
    run *r = make_run(), *plain = make_run();
    att_train_options o = simple;
    assert_ok(train(plain, &o, 0));
    o.average = 0.9;
    o.keep_every = 10;
    assert_ok(train(r, &o, 0));
    assert_memory_equal(att_params_values(r->params), att_params_values(plain->params), sizeof r->weights[0]);
    double average[WEIGHTS];
    run *start = make_run();
    const float *first = att_parameter_value(start->w)->data;
    for (int i = 0; i < WEIGHTS; i++) average[i] = (double)first[i];
    for (int s = 1; s <= 10; s++) {
        double d = fmin(0.9, (1.0 + s) / (10.0 + s));
        for (int i = 0; i < WEIGHTS; i++) average[i] = d * average[i] + (1 - d) * (double)r->weights[s][i];
    }
    att_file *f;
    att_view w;
    assert_ok(att_file_open(path_of(r, "step-10.att"), NULL, &f));
    assert_ok(att_file_tensor(f, "model.w", &w));
    for (int i = 0; i < WEIGHTS; i++) assert_near((double)((const float *)w.data)[i], average[i], 1e-5);
    att_file_close(f);
    free_run(r);
    free_run(plain);
    free_run(start);
}

/* ---- continuing ---- */

static void assert_log(const run *r, int64_t steps, int64_t every)
{
    size_t bytes;
    char *text = read_all(path_of(r, "log.jsonl"), &bytes), *line = text;
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
        att_train_options o = simple;
        run *whole = make_run();
        o.steps = 47;
        o.accumulate = kind == 1 ? 4 : 1;
        o.average = kind == 2 ? 0.95 : 0.0;
        o.schedule = kind == 3 ? ATT_SCHEDULE_PLATEAU : ATT_SCHEDULE_COSINE;
        o.validate_every = 6;
        o.save_every = kind == 1 ? 0 : 4;
        assert_ok(train(whole, &o, 0));
        assert_log(whole, o.steps, o.validate_every);
        for (int repeat = 0; repeat < 12; repeat++) {
            run *parts = make_run();
            int64_t at = 0;
            for (;;) {
                at += 1 + (int64_t)att_random_below(&random, 20);
                parts->stop_at = at;
                make_weights(parts); /* nothing may come from memory */
                parts->epoch = -1;
                att_status status = train(parts, &o, at > 0 && att_file_exists(path_of(parts, "last.att")));
                if (status == ATT_OK) break;
                assert_int_equal(status, ATT_E_INTERRUPTED);
                assert_int_equal(parts->last.step, at);
            }
            assert_same_file(whole, parts, "last.att");
            assert_same_file(whole, parts, "best.att");
            assert_memory_equal(att_params_values(whole->params), att_params_values(parts->params),
                                sizeof whole->weights[0]);
            assert_log(parts, o.steps, o.validate_every);
            free_run(parts);
        }
        free_run(whole);
    }
}

/* Killed between two checkpoints: what the log has beyond the last one is cut. */
static void killed(void **state)
{
    (void)state;
    for (int64_t at = 6; at < 20; at++) {
        run *whole = make_run(), *r = make_run();
        att_train_options o = simple;
        o.save_every = 3;
        assert_ok(train(whole, &o, 0));
        r->keep_at = at;
        assert_ok(train(r, &o, 0));
        assert_ok(att_file_write_text(path_of(r, "last.att"), r->kept_last, r->kept_bytes));
        FILE *log = fopen(path_of(r, "log.jsonl"), "a");
        fputs("{\"step\":21,\"lo", log);
        fclose(log);
        r->keep_at = 0;
        make_weights(r);
        assert_ok(train(r, &o, 1));
        assert_same_file(whole, r, "last.att");
        assert_same_file(whole, r, "best.att");
        assert_log(r, o.steps, o.validate_every);
        free_run(whole);
        free_run(r);
    }
}

/* ---- what is refused ---- */

static void refused(void **state)
{
    (void)state;
    run *r = make_run();
    assert_int_equal(train(r, &simple, 1), ATT_E_MISSING);
    assert_ok(train(r, &simple, 0));
    size_t bytes;
    char *before = read_all(path_of(r, "last.att"), &bytes), *log = read_all(path_of(r, "log.jsonl"), &bytes);
    assert_int_equal(train(r, &simple, 0), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "last.att"));
    assert_non_null(strstr(att_last_error(), "--resume"));
    char *after = read_all(path_of(r, "log.jsonl"), &bytes);
    assert_string_equal(log, after);
    rename(path_of(r, "best.att"), path_of(r, "last.att"));
    assert_int_equal(train(r, &simple, 1), ATT_E_FORMAT);
    assert_non_null(strstr(att_last_error(), "training state"));
    free(before);
    free(log);
    free(after);
    free_run(r);
}

static void other_model(void **state)
{
    (void)state;
    run *r = make_run();
    att_train_options o = simple;
    assert_ok(train(r, &o, 0));
    o.average = 0.9; /* the checkpoint has no average to continue */
    assert_int_equal(train(r, &o, 1), ATT_E_MISSING);
    o.average = 0;
    att_params_destroy(r->params);
    assert_ok(att_params_create(NULL, &r->params));
    assert_ok(att_params_add(r->params, "w", 2, (int64_t[]){K + 9, CLASSES}, ATT_INIT_ONE, 0, &r->w));
    assert_ok(att_params_add(r->params, "b", 1, (int64_t[]){CLASSES}, ATT_INIT_ZERO, 0, &r->b));
    assert_ok(att_params_allocate(r->params, 4, 1));
    assert_int_equal(train(r, &o, 1), ATT_E_FORMAT);
    assert_non_null(strstr(att_last_error(), "model.w"));
    free_run(r);
}

static void unwritable(void **state)
{
    (void)state;
    run *r = make_run();
    char folder[96];
    strcpy(folder, r->folder);
    assert_ok(att_file_write_text(folder, "a file", 6));
    snprintf(r->folder, sizeof r->folder, "%s/run", folder);
    assert_int_equal(train(r, &simple, 0), ATT_E_IO);
    assert_non_null(strstr(att_last_error(), folder));
    strcpy(r->folder, folder);
    assert_int_equal(train(r, &simple, 0), ATT_E_IO);
    unlink(folder);
    snprintf(r->folder, sizeof r->folder, "%s/a/b", folder);
    assert_ok(train(r, &simple, 0));
    remove_folder(r->folder);
    snprintf(r->folder, sizeof r->folder, "%s/a", folder);
    rmdir(r->folder);
    strcpy(r->folder, folder);
    free_run(r);
}

static void wrong_options(void **state)
{
    (void)state;
    run *r = make_run();
    att_train_options o = simple;
#define REFUSE(field, bad)                                                                                             \
    do {                                                                                                               \
        o = simple;                                                                                                    \
        o.field = bad;                                                                                                 \
        assert_int_equal(train(r, &o, 0), ATT_E_VALUE);                                                                \
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
    free_run(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam_by_hand),   cmocka_unit_test(accumulation),
        cmocka_unit_test(schedules),      cmocka_unit_test(skipped_steps),
        cmocka_unit_test(divergence),     cmocka_unit_test(early_stopping),
        cmocka_unit_test(plateau),        cmocka_unit_test(validation_not_a_number),
        cmocka_unit_test(moving_average), cmocka_unit_test(continued),
        cmocka_unit_test(killed),         cmocka_unit_test(refused),
        cmocka_unit_test(other_model),    cmocka_unit_test(unwritable),
        cmocka_unit_test(wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
