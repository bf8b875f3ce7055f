/* attend bench: this machine's limits, and how near to them the library comes. */
#include "commands.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <attend/measure.h>
#include <attend/ops.h>
#include <attend/random.h>
#include <attend/seq2seq.h>

static const char *const models[] = {"nmt-step", NULL};
static const char *const isas[] = {"best", "ref", "portable", "avx2", "avx512", NULL};

static struct {
    int64_t runs, width, batch, length, vocabulary;
    int isa, model;
} set = {.runs = 7, .width = 256, .batch = 64, .length = 16, .vocabulary = 5000};

/* clang-format off */
static const cli_option options[] = {
    {"model",      0, CLI_CHOICE, &set.model,      "NAME", "train: nmt-step is Bahdanau's model with the decoder run step by step", .choices = models},
    {"width",      0, CLI_INT,    &set.width,      "N",    "train: units of each direction and of the decoder", .min = 1, .max = 65536},
    {"batch",      0, CLI_INT,    &set.batch,      "N",    "train: sentence pairs", .min = 1, .max = 65536},
    {"length",     0, CLI_INT,    &set.length,     "N",    "train: words of each sentence", .min = 1, .max = 65536},
    {"vocabulary", 0, CLI_INT,    &set.vocabulary, "N",    "train: words of each language", .min = 4, .max = 1e7},
    {"runs",       0, CLI_INT,    &set.runs,       "N",    "measured repetitions", .min = 1, .max = 1e6},
    {"isa",        0, CLI_CHOICE, &set.isa,        "NAME", "instruction set to use at most", .choices = isas},
    CLI_JSON, CLI_THREADS, CLI_END,
};
/* clang-format on */

enum { EMBEDDING = 256 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int limits(const att_exec *exec)
{
    double gflops;
    att_status st = att_measure_fma(exec, &gflops);
    if (st != ATT_OK) return cli_fail(st);
    if (cli.json) return cli_print_json(json_pack("{s:i, s:f}", "threads", exec->threads, "fma_gflops", gflops));
    printf("multiply-add   %8.1f GFLOP/s float32, %d threads\n", gflops, exec->threads);
    return CLI_DONE;
}

typedef struct trainee {
    att_seq2seq *model;
    att_tape *tape;
    int32_t *ids;
    float *moments; /* m, then v */
    att_seq2seq_batch batch;
    int64_t step;
} trainee;

static att_status prepare(trainee *t, const att_exec *exec)
{
    att_seq2seq_config config = {.source_vocabulary = set.vocabulary,
                                 .target_vocabulary = set.vocabulary,
                                 .embedding = EMBEDDING,
                                 .encoder_units = set.width,
                                 .decoder_units = set.width,
                                 .encoder_layers = 1,
                                 .decoder_layers = 1};
    att_status st = att_seq2seq_create(&config, 1, 1, NULL, &t->model);
    if (st == ATT_OK) st = att_tape_create(exec, NULL, &t->tape);
    if (st != ATT_OK) return st;
    int64_t B = set.batch, T = set.length, n = B * T;
    t->ids = malloc((size_t)(3 * n + B) * sizeof *t->ids);
    t->moments = calloc((size_t)att_params_elements(att_seq2seq_params(t->model)) * 2, sizeof *t->moments);
    if (!t->ids || !t->moments) exit(cli_failed("out of memory"));
    att_random r = {.seed = 1};
    for (int64_t i = 0; i < 3 * n; i++) t->ids[i] = (int32_t)att_random_below(&r, (uint64_t)set.vocabulary);
    for (int64_t b = 0; b < B; b++) t->ids[3 * n + b] = (int32_t)T;
    t->batch = (att_seq2seq_batch){.source = att_view_2d(t->ids, ATT_I32, T, B),
                                   .target_in = att_view_2d(t->ids + n, ATT_I32, T, B),
                                   .target_out = att_view_2d(t->ids + 2 * n, ATT_I32, T, B),
                                   .source_lengths = att_view_1d(t->ids + 3 * n, ATT_I32, B)};
    return ATT_OK;
}

/* Forward, backward and Adam: what one step of training costs. */
static att_status step(trainee *t, const att_exec *exec)
{
    att_params *params = att_seq2seq_params(t->model);
    int64_t n = att_params_elements(params);
    att_loss loss;
    att_adam_desc adam = {.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .gscale = 1.0, .step = ++t->step};
    att_params_zero_gradients(params);
    att_tape_begin(t->tape, 1);
    att_status st =
        att_seq2seq_loss(t->tape, t->model, &t->batch, 0.0, 1.0 / (double)(set.batch * set.length), 1, &loss);
    if (st == ATT_OK) st = att_tape_backward(t->tape);
    if (st != ATT_OK) return st;
    att_params_settle_gradients(params);
    st = att_adam_step(&adam, exec, att_params_values(params), t->moments, t->moments + n, att_params_gradients(params),
                       n);
    att_params_changed(params);
    return st;
}

/* Multiply-adds of the products of a step, times two: forward, and twice as many backward. The tanh of the attention
 * and everything that is not a product is left out. */
static double step_flops(void)
{
    double U = (double)set.width, E = EMBEDDING, V = (double)set.vocabulary, words = (double)(set.batch * set.length);
    double encoder = 2 * 3 * U * (E + U), keys = 2 * U * U, query = U * U, cell = 3 * U * (E + 2 * U + U);
    double readout = (U + 2 * U + E) * E, output = E * V, context = 2 * U * (double)set.length;
    return 3 * 2 * words * (encoder + keys + query + cell + readout + output + context) +
           3 * 2 * (double)set.batch * U * U;
}

static int print_train(const att_exec *exec, const trainee *t, const double *ms, double limit)
{
    double median = ms[set.runs / 2], words = (double)(set.batch * set.length), gflops = step_flops() / median * 1e-6;
    if (cli.json)
        return cli_print_json(
            json_pack("{s:s, s:I, s:i, s:f, s:f, s:I, s:f, s:f, s:I, s:s, s:f, s:f}", "model", models[set.model],
                      "width", (json_int_t)set.width, "threads", exec->threads, "ms", median, "ms_best", ms[0], "runs",
                      (json_int_t)set.runs, "tokens_per_s", words / median * 1e3, "gflops", gflops, "workspace_bytes",
                      (json_int_t)att_tape_bytes(t->tape), "path",
                      att_isa_name(exec->isa ? exec->isa : att_isa_detect()), "limit", limit, "share", gflops / limit));
    printf("train %s, width %lld, %d threads: %.1f ms a step (best %.1f of %lld), %.0f target tokens/s\n",
           models[set.model], (long long)set.width, exec->threads, median, ms[0], (long long)set.runs,
           words / median * 1e3);
    printf("products %.1f GFLOP/s: %.0f %% of the multiply-add limit of %.1f\n", gflops, 100 * gflops / limit, limit);
    return CLI_DONE;
}

static int train(const att_exec *exec)
{
    trainee t = {0};
    double *ms = calloc((size_t)set.runs, sizeof *ms), limit = 0;
    if (!ms) return cli_failed("out of memory");
    att_status st = prepare(&t, exec);
    for (int i = 0; st == ATT_OK && i < 2; i++) st = step(&t, exec); /* not measured */
    for (int64_t i = 0; st == ATT_OK && i < set.runs; i++) {
        double began = now_s();
        st = step(&t, exec);
        ms[i] = 1e3 * (now_s() - began);
    }
    if (st == ATT_OK) st = att_measure_fma(exec, &limit);
    qsort(ms, (size_t)set.runs, sizeof *ms, compare);
    int status = st == ATT_OK ? print_train(exec, &t, ms, limit) : cli_fail(st);
    att_tape_destroy(t.tape);
    att_seq2seq_destroy(t.model);
    free(t.ids);
    free(t.moments);
    free(ms);
    return status;
}

static int run(int argc, char **argv)
{
    (void)argc;
    att_exec exec = cli_exec();
    exec.isa = (att_isa)set.isa;
    return strcmp(argv[0], "limits") == 0 ? limits(&exec) : train(&exec);
}

static const char *const names[] = {"limits", "train", NULL};

const cli_command cmd_bench = {
    .name = "bench",
    .operands = "limits|train",
    .summary = "measure on this machine, beside its limits",
    .help = "  limits  multiply-adds a second\n"
            "  train   a training step: forward, backward and Adam, on random sentences\n"
            "\n"
            "Times are medians. The share is that of the limit measured in the same run.",
    .options = options,
    .words = names,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
