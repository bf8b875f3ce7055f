#include <math.h>

#include "train/trainer.h"

#include <attend/ops.h>

#define PI 3.14159265358979323846

double att_train_rate(const att_train_options *o, int64_t step)
{
    double s = (double)step, warm = (double)o->warmup;
    if (step < o->warmup) return o->lr * s / warm;
    switch (o->schedule) {
    case ATT_SCHEDULE_INVERSE_SQRT: return o->lr * sqrt((warm > 1 ? warm : 1.0) / s);
    case ATT_SCHEDULE_COSINE: {
        double span = (double)(o->steps - o->warmup), done = span > 0 ? fmin((s - warm) / span, 1.0) : 1.0;
        return o->lr_min + (o->lr - o->lr_min) * 0.5 * (1.0 + cos(PI * done));
    }
    default: return o->lr;
    }
}

static void add_to_average(att_trainer *t)
{
    /* A young average forgets faster, so that it does not remember the initial weights: d = min(d, (1+n)/(10+n)). */
    double n = (double)t->state.adam_step, d = fmin(t->options->average, (1.0 + n) / (10.0 + n));
    int64_t count = att_params_elements(t->job->params);
    att_view average = att_view_1d(t->average, ATT_F32, count);
    att_view values = att_view_1d(att_params_values(t->job->params), ATT_F32, count);
    att_axpby(&t->exec, &average, 1.0 - d, &values, d);
}

bool att_trainer_update(att_trainer *t, double *norm, double *lr)
{
    const att_train_options *o = t->options;
    att_params *params = t->job->params;
    int64_t count = att_params_elements(params);
    att_view gradient = att_view_1d(att_params_gradients(params), ATT_F32, count);
    double squares = 0.0;
    att_params_settle_gradients(params);
    att_sum(&t->exec, &gradient, NULL, &squares);
    *norm = sqrt(squares);
    *lr = att_train_rate(o, t->state.adam_step + 1) * t->state.rate_factor;
    if (o->schedule == ATT_SCHEDULE_PLATEAU) *lr = fmax(*lr, fmin(o->lr_min, o->lr));
    if (!isfinite(*norm)) return false;
    att_adam_desc adam = {.lr = *lr,
                          .beta1 = o->beta1,
                          .beta2 = o->beta2,
                          .eps = o->eps,
                          .decay = o->decay,
                          .gscale = o->clip > 0 && *norm > o->clip ? o->clip / *norm : 1.0,
                          .step = ++t->state.adam_step};
    att_adam_step(&adam, &t->exec, att_params_values(params), t->m, t->v, att_params_gradients(params), count);
    att_params_changed(params);
    if (t->average) add_to_average(t);
    return true;
}

void att_trainer_swap_average(att_trainer *t)
{
    if (!t->average) return;
    float *values = att_params_values(t->job->params);
    for (int64_t i = 0; i < att_params_elements(t->job->params); i++) {
        float swap = values[i];
        values[i] = t->average[i];
        t->average[i] = swap;
    }
    att_params_changed(t->job->params);
}
