/* The training loop: against Adam in double precision, losses that are not finite, and validations. */
#include "train/toy.h"

#include "harness.h"

/* ---- Adam, clipping, schedule and accumulation in double precision ---- */

typedef struct by_hand {
    double p[WEIGHTS + CLASSES], m[WEIGHTS + CLASSES], v[WEIGHTS + CLASSES], g[WEIGHTS + CLASSES];
} by_hand;

static void add_gradient(const toy *r, by_hand *h, int64_t block, double scale)
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
    toy *r = toy_create();
    by_hand h = {0};
    double norm = 0;
    for (int i = 0; i < WEIGHTS; i++) h.p[i] = (double)((const float *)att_parameter_value(r->w)->data)[i];
    assert_ok(toy_train(r, o, 0));
    r->epoch = 0;
    for (int64_t step = 1, batch = 0; step <= o->steps; step++) {
        int64_t end = batch + o->accumulate < BLOCKS ? batch + o->accumulate : BLOCKS;
        double scale = 1.0 / (double)((end - batch) * ROWS);
        for (; batch < end; batch++) add_gradient(r, &h, toy_block(r, batch), scale);
        norm = adam(&h, o, att_train_rate(o, step), step);
        if (batch == BLOCKS) r->epoch++, batch = 0;
    }
    toy_assert_near(r->last.norm, norm, 1e-4);
    toy_assert_near(r->last.lr, att_train_rate(o, o->steps), 1e-12);
    for (int i = 0; i < WEIGHTS; i++)
        toy_assert_near((double)((const float *)att_parameter_value(r->w)->data)[i], h.p[i], 2e-5);
    for (int i = 0; i < CLASSES; i++)
        toy_assert_near((double)((const float *)att_parameter_value(r->b)->data)[i], h.p[WEIGHTS + i], 2e-5);
    toy_destroy(r);
}

static void adam_by_hand(void **state)
{
    (void)state;
    att_train_options o = toy_options;
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
    toy *one = toy_create(), *two = toy_create();
    att_train_options o = toy_options;
    one->joined = 1;
    assert_ok(toy_train(one, &o, 0));
    o.accumulate = 2;
    assert_ok(toy_train(two, &o, 0));
    assert_int_equal(one->last.tokens, two->last.tokens);
    for (int i = 0; i < ELEMENTS; i++)
        toy_assert_near(att_params_values(one->params)[i], att_params_values(two->params)[i], 1e-5);
    toy_destroy(one);
    toy_destroy(two);
}

static void schedules(void **state)
{
    (void)state;
    att_train_options o = {.lr = 0.4, .warmup = 4, .steps = 24, .lr_min = 0.1};
    toy_assert_near(att_train_rate(&o, 1), 0.1, 1e-12);
    toy_assert_near(att_train_rate(&o, 3), 0.3, 1e-12);
    toy_assert_near(att_train_rate(&o, 4), 0.4, 1e-12);
    toy_assert_near(att_train_rate(&o, 1000), 0.4, 1e-12);
    o.schedule = ATT_SCHEDULE_INVERSE_SQRT;
    toy_assert_near(att_train_rate(&o, 2), 0.2, 1e-12);
    toy_assert_near(att_train_rate(&o, 4), 0.4, 1e-12);
    toy_assert_near(att_train_rate(&o, 16), 0.2, 1e-12);
    o.schedule = ATT_SCHEDULE_COSINE;
    toy_assert_near(att_train_rate(&o, 4), 0.4, 1e-12);
    toy_assert_near(att_train_rate(&o, 14), 0.25, 1e-12);
    toy_assert_near(att_train_rate(&o, 24), 0.1, 1e-12);
    toy_assert_near(att_train_rate(&o, 99), 0.1, 1e-12);
    o.warmup = 0;
    o.schedule = ATT_SCHEDULE_INVERSE_SQRT;
    toy_assert_near(att_train_rate(&o, 1), 0.4, 1e-12);
    toy_assert_near(att_train_rate(&o, 4), 0.2, 1e-12);
    o.schedule = ATT_SCHEDULE_COSINE;
    o.warmup = 24;
    toy_assert_near(att_train_rate(&o, 24), 0.1, 1e-12);
}

/* ---- non-finite losses ---- */

static void skipped_steps(void **state)
{
    (void)state;
    toy *r = toy_create();
    r->bad_from = 7;
    r->bad_to = 10;
    assert_ok(toy_train(r, &toy_options, 0));
    assert_int_equal(r->last.step, 20);
    assert_int_equal(r->last.skipped, 3);
    for (int s = 8; s <= 10; s++) assert_memory_equal(r->weights[s], r->weights[7], sizeof r->weights[0]);
    assert_memory_not_equal(r->weights[11], r->weights[7], sizeof r->weights[0]);
    for (int i = 0; i < ELEMENTS; i++) assert_true(isfinite(att_params_values(r->params)[i]));
    toy_destroy(r);
}

static void assert_saved_weights(const toy *r, const char *name, const float *want)
{
    att_file *f;
    att_view w;
    assert_ok(att_file_open(toy_path(r, name), NULL, &f));
    assert_ok(att_file_tensor(f, "model.w", &w));
    assert_memory_equal(w.data, want, WEIGHTS * sizeof(float));
    assert_string_equal(att_file_metadata(f, "attend.task"), "regression");
    att_file_close(f);
}

static void divergence(void **state)
{
    (void)state;
    toy *r = toy_create();
    att_train_options o = toy_options;
    o.steps = 30;
    o.validate_every = 4;
    r->bad_from = 6;
    r->bad_to = 1000;
    assert_int_equal(toy_train(r, &o, 0), ATT_E_DIVERGED);
    assert_non_null(strstr(att_last_error(), "train.lr"));
    assert_int_equal(r->last.step, 15);
    assert_saved_weights(r, "last.att", r->weights[5]); /* saved before the first bad step */
    r->bad_to = 0;
    assert_ok(toy_train(r, &o, 1));
    assert_int_equal(r->last.step, 30);
    toy_destroy(r);
}

/* ---- validations ---- */

static void early_stopping(void **state)
{
    (void)state;
    static const double scores[] = {5, 3, 4, 3, 3.5, 1, 0, 0};
    toy *r = toy_create();
    att_train_options o = toy_options;
    o.steps = 100;
    o.patience = 3;
    r->scores = scores;
    assert_ok(toy_train(r, &o, 0));
    assert_int_equal(r->last.step, 25);
    assert_int_equal(r->bests, 2);
    assert_saved_weights(r, "best.att", r->weights[10]);
    assert_saved_weights(r, "last.att", r->weights[25]);
    int64_t losses = r->losses;
    assert_ok(toy_train(r, &o, 1));
    assert_int_equal(r->losses, losses);
    toy_destroy(r);
}

static void plateau(void **state)
{
    (void)state;
    static const double scores[] = {3, 3, 4, 2, 2, 2, 2, 2, 2, 2};
    toy *r = toy_create();
    att_train_options o = toy_options;
    o.steps = 50;
    o.schedule = ATT_SCHEDULE_PLATEAU;
    o.lr_min = 0.01;
    r->scores = scores;
    assert_ok(toy_train(r, &o, 0));
    for (int s = 1; s <= 50; s++)
        toy_assert_near(r->lr[s], s <= 15 ? 0.05 : s <= 30 ? 0.025 : s <= 40 ? 0.0125 : 0.01, 1e-9);
    toy_destroy(r);
}

/* A validation that is not a number is never the best one, and the run can still be continued. */
static void validation_not_a_number(void **state)
{
    (void)state;
    static const double scores[] = {NAN, 3, NAN, 2, NAN, NAN};
    toy *r = toy_create();
    att_train_options o = toy_options;
    r->scores = scores;
    r->stop_at = 7;
    assert_int_equal(toy_train(r, &o, 0), ATT_E_INTERRUPTED);
    assert_ok(toy_train(r, &o, 1));
    assert_int_equal(r->bests, 2);
    assert_saved_weights(r, "best.att", r->weights[20]);
    toy_destroy(r);
}

/* What is validated and kept is the average; training goes on from the weights themselves. */
static void moving_average(void **state)
{
    (void)state;
    toy *r = toy_create(), *plain = toy_create();
    att_train_options o = toy_options;
    assert_ok(toy_train(plain, &o, 0));
    o.average = 0.9;
    o.keep_every = 10;
    assert_ok(toy_train(r, &o, 0));
    assert_memory_equal(att_params_values(r->params), att_params_values(plain->params), sizeof r->weights[0]);
    double average[WEIGHTS];
    toy *start = toy_create();
    const float *first = att_parameter_value(start->w)->data;
    for (int i = 0; i < WEIGHTS; i++) average[i] = (double)first[i];
    for (int s = 1; s <= 10; s++) {
        double d = fmin(0.9, (1.0 + s) / (10.0 + s));
        for (int i = 0; i < WEIGHTS; i++) average[i] = d * average[i] + (1 - d) * (double)r->weights[s][i];
    }
    att_file *f;
    att_view w;
    assert_ok(att_file_open(toy_path(r, "step-10.att"), NULL, &f));
    assert_ok(att_file_tensor(f, "model.w", &w));
    for (int i = 0; i < WEIGHTS; i++) toy_assert_near((double)((const float *)w.data)[i], average[i], 1e-5);
    att_file_close(f);
    toy_destroy(r);
    toy_destroy(plain);
    toy_destroy(start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam_by_hand),   cmocka_unit_test(accumulation),
        cmocka_unit_test(schedules),      cmocka_unit_test(skipped_steps),
        cmocka_unit_test(divergence),     cmocka_unit_test(early_stopping),
        cmocka_unit_test(plateau),        cmocka_unit_test(validation_not_a_number),
        cmocka_unit_test(moving_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
