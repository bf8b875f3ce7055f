/* attend evaluate for models that classify. */
#include "evaluate.h"

#include <stdlib.h>

#include <attend/classify.h>

static int progress(void *ctx, int64_t done)
{
    (void)ctx;
    cli_progress_update((double)done, NULL);
    return cli_interrupted;
}

static int print_json(const att_model *model, const att_classification *c, const int64_t *confusion)
{
    int64_t n = att_model_classes(model);
    json_t *names = json_array(), *rows = json_array();
    for (int64_t i = 0; i < n; i++) {
        json_t *row = json_array();
        for (int64_t k = 0; k < n; k++) json_array_append_new(row, json_integer((json_int_t)confusion[i * n + k]));
        json_array_append_new(rows, row);
        json_array_append_new(names, json_string(att_model_class(model, i)));
    }
    return cli_print_json(json_pack("{s:I, s:f, s:f, s:f, s:f, s:o, s:o}", "lines", (json_int_t)c->lines, "loss",
                                    c->loss, "accuracy", c->accuracy, "f1", c->f1, "seconds", c->seconds, "classes",
                                    names, "confusion", rows));
}

/* Of each class: how many there are, which share of them was found, and which share of what was said is right. */
static void print_classes(const att_model *model, const int64_t *confusion)
{
    int64_t n = att_model_classes(model);
    printf("\n%8s %9s %10s  class\n", "lines", "recall", "precision");
    for (int64_t i = 0; i < n; i++) {
        int64_t there = 0, said = 0, right = confusion[i * n + i];
        for (int64_t k = 0; k < n; k++) {
            there += confusion[i * n + k];
            said += confusion[k * n + i];
        }
        printf("%8lld %7.2f %% %8.2f %%  %s\n", (long long)there, there ? 100.0 * (double)right / (double)there : 0.0,
               said ? 100.0 * (double)right / (double)said : 0.0, att_model_class(model, i));
    }
}

static int measure(att_model *model, const att_pairs *pairs)
{
    att_classification c;
    int64_t n = att_model_classes(model);
    int64_t *confusion = calloc((size_t)(n * n) + 1, sizeof *confusion);
    if (!confusion) return cli_failed("out of memory: %lld classes", (long long)n);
    cli_catch_interrupt();
    cli_progress_begin((double)pairs->count, "lines");
    att_status st = att_model_classify_evaluate(model, pairs, &c, confusion, progress, NULL);
    cli_progress_end();
    int status = CLI_DONE;
    if (st != ATT_OK) {
        status = cli_fail(st);
    } else if (cli.json) {
        status = print_json(model, &c, confusion);
    } else {
        printf("lines     %lld\nloss      %.4f\naccuracy  %.2f %%\nmacro F1  %.2f %%\n", (long long)c.lines, c.loss,
               100.0 * c.accuracy, 100.0 * c.f1);
        print_classes(model, confusion);
    }
    free(confusion);
    return status;
}

int evaluate_classes(const char *path, const evaluate_data *data)
{
    att_model *model;
    att_pairs pairs = {0};
    att_exec exec = cli_exec();
    att_status st = att_model_load(path, &exec, NULL, &model);
    if (st != ATT_OK) return cli_fail(st);
    st = cli_round_weights(att_transformer_params(att_model_transformer(model)), cli.weights);
    if (st == ATT_OK) st = evaluate_pairs(att_model_recipe(model), data, &pairs);
    int status = st == ATT_OK ? measure(model, &pairs) : cli_fail(st);
    att_pairs_free(&pairs);
    att_model_destroy(model);
    return status;
}
