/* attend bench train: forward, backward and Adam, all that a step of training costs, on random sentences. */
#include "bench.h"

#include <attend/measure.h>
#include <attend/random.h>
#include <attend/tape.h>

static const bench_model *const models[] = {&bench_nmt_step, &bench_nmt, &bench_transformer, &bench_gpt};
const char *const bench_models[] = {"nmt-step", "nmt", "transformer", "gpt", NULL}; /* the names of `models` */

typedef struct trainee {
    const bench_model *model;
    void *state;
    att_params *params;
    att_tape *tape;
    att_exec exec;
    att_view ids[3]; /* source, target in, target out */
    float *moments;  /* m, then v */
    int64_t step;
} trainee;

static att_view random_ids(const bench_request *r, uint64_t seed)
{
    int64_t n = r->length * r->batch;
    int32_t *id = bench_memory((size_t)n * sizeof *id);
    att_random random = {.seed = seed};
    for (int64_t i = 0; i < n; i++) id[i] = (int32_t)att_random_below(&random, (uint64_t)r->vocabulary);
    return att_view_2d(id, ATT_I32, r->length, r->batch);
}

static att_status step(void *ctx)
{
    trainee *t = ctx;
    int64_t n = att_params_elements(t->params);
    att_adam_desc adam = {.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .gscale = 1.0, .step = ++t->step};
    att_params_zero_gradients(t->params);
    att_tape_begin(t->tape, 1);
    att_status st = t->model->loss(t->state, t->tape, t->ids);
    if (st == ATT_OK) st = att_tape_backward(t->tape);
    if (st != ATT_OK) return st;
    att_params_settle_gradients(t->params);
    st = att_adam_step(&adam, &t->exec, att_params_values(t->params), t->moments, t->moments + n,
                       att_params_gradients(t->params), n);
    att_params_changed(t->params);
    return st;
}

static att_status train(const bench_request *r, trainee *t, bench_result *out)
{
    att_status st = t->model->create(r, &t->state, &t->params);
    if (st == ATT_OK) st = att_tape_create(&t->exec, NULL, &t->tape);
    if (st == ATT_OK) st = att_tape_precision(t->tape, r->bfloat16 ? ATT_BF16 : ATT_F32);
    if (st != ATT_OK) return st;
    t->moments = bench_memory((size_t)att_params_elements(t->params) * 2 * sizeof *t->moments);
    for (uint64_t i = 0; i < 3; i++) t->ids[i] = random_ids(r, i + 1);
    st = bench_time(r, step, t, out);
    if (st == ATT_OK) st = bench_multiply_add(r, &out->limit);
    out->workspace_bytes = att_tape_bytes(t->tape);
    return st;
}

int bench_train(const bench_request *asked, bench_result *out)
{
    trainee t = {.model = models[asked->model], .exec = asked->exec};
    bench_request full = *asked, *r = &full;
    if (!r->width) r->width = t.model->width;
    if (!r->batch) r->batch = t.model->batch;
    if (!r->length) r->length = t.model->length;
    if (!r->vocabulary) r->vocabulary = t.model->vocabulary;
    att_status st = train(r, &t, out);
    att_tape_destroy(t.tape);
    if (t.state) t.model->destroy(t.state);
    if (st != ATT_OK) return cli_fail(st);
    snprintf(out->what, sizeof out->what, "%s, width %lld, batch %lld x %lld%s", t.model->name, (long long)r->width,
             (long long)r->batch, (long long)r->length, r->bfloat16 ? " bfloat16" : "");
    out->path = att_isa_name(r->exec.isa ? r->exec.isa : att_isa_detect());
    out->rate[0] = (bench_rate){"gflops", "GFLOP/s", t.model->flops(r) / out->ms * 1e-6};
    out->rate[1] = (bench_rate){"tokens_per_s", "tokens/s", (double)(r->batch * r->length) / out->ms * 1e3};
    return CLI_DONE;
}
