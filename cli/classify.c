/* attend classify: which class each line is of. */
#include "commands.h"
#include "lines.h"

#include <stdlib.h>

#include <attend/classify.h>

static struct {
    int64_t best;
} set = {.best = 1};

/* clang-format off */
static const cli_option options[] = {
    {"best", 'n', CLI_INT, &set.best, "N", "classes for each line, the likeliest first", .min = 1, .max = 1000000},
    CLI_WEIGHTS, CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
};
/* clang-format on */

static int progress(void *ctx, int64_t done)
{
    (void)ctx;
    cli_progress_update((double)done, NULL);
    return cli_interrupted;
}

/* The likeliest class that was not said yet: said ones are below zero. */
static int64_t next_best(float *p, int64_t classes, float *probability)
{
    int64_t best = 0;
    for (int64_t c = 1; c < classes; c++) best = p[c] > p[best] ? c : best;
    *probability = p[best];
    p[best] = -1.0f;
    return best;
}

static json_t *print_line(const att_model *model, const char *text, float *p)
{
    int64_t classes = att_model_classes(model);
    json_t *list = cli.json ? json_array() : NULL;
    for (int64_t i = 0; i < set.best && i < classes; i++) {
        float probability;
        const char *name = att_model_class(model, next_best(p, classes, &probability));
        if (cli.json)
            json_array_append_new(list, json_pack("{s:s, s:f}", "class", name, "probability", (double)probability));
        else
            printf("%s%s\t%.4f", i ? "\t" : "", name, (double)probability);
    }
    if (!cli.json) putchar('\n');
    return cli.json ? json_pack("{s:s, s:o}", "text", text, "classes", list) : NULL;
}

static int print(const att_model *model, const cli_lines *in, float *p)
{
    json_t *list = cli.json ? json_array() : NULL;
    for (int64_t i = 0; i < in->n; i++) {
        json_t *line = print_line(model, in->owned[i], p + i * att_model_classes(model));
        if (line) json_array_append_new(list, line);
    }
    return cli.json ? cli_print_json(json_pack("{s:o}", "lines", list)) : CLI_DONE;
}

static int classify(att_model *model, const cli_lines *in)
{
    int64_t classes = att_model_classes(model);
    float *p = calloc((size_t)(in->n * classes) + 1, sizeof *p);
    if (!p) return cli_failed("out of memory: %lld probabilities", (long long)(in->n * classes));
    att_view view = att_view_2d(p, ATT_F32, in->n, classes);
    cli_catch_interrupt();
    cli_progress_begin((double)in->n, "lines");
    att_status st = att_model_classify(model, in->line, in->n, &view, progress, NULL);
    cli_progress_end();
    int status = st == ATT_OK ? print(model, in, p) : cli_fail(st);
    free(p);
    return status;
}

static int run(int argc, char **argv)
{
    att_exec exec = cli_exec();
    att_model *model;
    cli_lines in = {0};
    att_status st = att_model_load(argv[0], &exec, NULL, &model);
    if (st != ATT_OK) return cli_fail(st);
    st = cli_round_weights(att_transformer_params(att_model_transformer(model)), cli.weights);
    int status = st == ATT_OK ? cli_read_lines(argc > 1 ? argv[1] : NULL, &in) : cli_fail(st);
    if (status == CLI_DONE) status = classify(model, &in);
    cli_free_lines(&in);
    att_model_destroy(model);
    return status;
}

const cli_command cmd_classify = {
    .name = "classify",
    .operands = "MODEL [FILE|-]",
    .summary = "which class each line is of",
    .help = "For a model of the task classification. Each line gives class<TAB>probability, with\n"
            "--best N the N likeliest classes side by side.",
    .options = options,
    .min_operands = 1,
    .max_operands = 2,
    .run = run,
};
