/* attend evaluate: how good a model is on pairs it has not seen. */
#include "commands.h"

#include <stdlib.h>
#include <string.h>

#include <attend/file.h>
#include <attend/translator.h>

#include "evaluate.h"
#include "lengths.h"

static struct {
    int64_t beam, batch, source_column, target_column, limit;
    double length_penalty, coverage_penalty;
    int64_t entries;
    const char *output, *by_length, *against, *dictionary;
    bool loss_only;
} set = {.batch = 64, .length_penalty = -1, .coverage_penalty = -1};

/* clang-format off */
static const cli_option options[] = {
    {"beam",             'b', CLI_INT,    &set.beam,             "N",    "hypotheses kept at each step; 0: what the model remembers", .min = 0, .max = 1000},
    {"length-penalty",   0,   CLI_REAL,   &set.length_penalty,   "A",    "as in translate; -1: what the model remembers", .min = -1, .max = 10},
    {"coverage-penalty", 0,   CLI_REAL,   &set.coverage_penalty, "B",    "as in translate; -1: what the model remembers", .min = -1, .max = 10},
    {"batch",            0,   CLI_INT,    &set.batch,            "N",    "lines translated at once", .min = 1, .max = 4096},
    {"source-column",    0,   CLI_INT,    &set.source_column,    "N",    "column of the source; 0: as in training", .min = 0, .max = 1000},
    {"target-column",    0,   CLI_INT,    &set.target_column,    "N",    "column of the target; 0: as in training", .min = 0, .max = 1000},
    {"limit",            0,   CLI_INT,    &set.limit,            "N",    "only the first N pairs, or windows of a language model; 0: all", .min = 0, .max = 1e12},
    {"loss-only",        0,   CLI_FLAG,   &set.loss_only,        NULL,   "do not translate: loss, perplexity and accuracy"},
    {"output",           'o', CLI_STRING, &set.output,           "FILE", "write the translations here"},
    {"by-length",        0,   CLI_STRING, &set.by_length,        "FILE", "draw BLEU against the length of the source"},
    {"against",          0,   CLI_STRING, &set.against,          "MODEL", "a second model in that picture"},
    {"entries",          0,   CLI_INT,    &set.entries,          "N",    "dictionary models: draw N entries and measure them, too", .min = 0, .max = 1e9},
    {"dictionary",       0,   CLI_STRING, &set.dictionary,       "FILE", "dictionary models: the words that begin the lines of FILE exist too"},
    CLI_WEIGHTS, CLI_SEED, CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
};
/* clang-format on */

static int on_progress(void *ctx, int64_t done)
{
    (void)ctx;
    cli_progress_update((double)done, NULL);
    return cli_interrupted;
}

evaluate_task evaluate_task_of(const char *path)
{
    att_file *file;
    if (att_file_open(path, NULL, &file) != ATT_OK) return EVALUATE_TRANSLATION; /* which says why */
    const char *task = att_file_metadata(file, "attend.task");
    evaluate_task found = task && strstr(task, "language-model")        ? EVALUATE_LANGUAGE
                          : task && strcmp(task, "classification") == 0 ? EVALUATE_CLASSES
                                                                        : EVALUATE_TRANSLATION;
    att_file_close(file);
    return found;
}

att_status evaluate_pairs(const att_recipe *of_model, const evaluate_data *data, att_pairs *out)
{
    const att_options *table = att_recipe_options();
    char assignment[4200];
    att_recipe recipe;
    att_status st = att_options_copy(table, &recipe, of_model);
    if (st != ATT_OK) return st;
    if (data->source_column) recipe.data.source_column = data->source_column;
    if (data->target_column) recipe.data.target_column = data->target_column;
    if (data->files) {
        snprintf(assignment, sizeof assignment, "data.test=%s", data->files);
        st = att_options_set(table, &recipe, assignment);
        if (st == ATT_OK) st = att_options_set(table, &recipe, "data.folder=");
        if (st == ATT_OK) st = att_options_set(table, &recipe, "data.synthetic=");
    }
    if (st == ATT_OK) st = att_recipe_pairs(&recipe, "test", out);
    if (st == ATT_OK && data->limit && data->limit < out->count) out->count = data->limit;
    att_options_free(table, &recipe);
    return st;
}

static int print(const att_evaluation *e)
{
    if (cli.json) {
        json_t *object =
            json_pack("{s:I, s:I, s:f, s:f, s:f}", "sentences", (json_int_t)e->sentences, "tokens",
                      (json_int_t)e->tokens, "loss", e->loss, "perplexity", e->perplexity, "accuracy", e->accuracy);
        if (!set.loss_only)
            json_object_update_new(object, json_pack("{s:f, s:f, s:f, s:s, s:s, s:f}", "bleu", e->bleu, "chrf", e->chrf,
                                                     "exact_match", e->exact / 100.0, "bleu_line", e->bleu_line,
                                                     "chrf_line", e->chrf_line, "seconds", e->seconds));
        return cli_print_json(object);
    }
    printf("sentences    %lld\ntokens       %lld\nloss         %.4f\nperplexity   %.3f\naccuracy     %.2f %%\n",
           (long long)e->sentences, (long long)e->tokens, e->loss, e->perplexity, 100.0 * e->accuracy);
    if (set.loss_only) return CLI_DONE;
    printf("exact match  %.2f %%\n%s\n%s\n", e->exact, e->bleu_line, e->chrf_line);
    printf("translated   %.1f sentences/s\n", (double)e->sentences / e->seconds);
    return CLI_DONE;
}

static int write_hypotheses(const att_evaluation *e)
{
    FILE *file = cli_open_output(set.output);
    if (!file) return CLI_FAILED;
    for (int64_t i = 0; i < e->sentences; i++) fprintf(file, "%s\n", e->hypothesis[i]);
    return cli_close_output(file, set.output);
}

static att_status measure(att_translator *t, const att_pairs *pairs, att_evaluation *e)
{
    att_translate_options o;
    att_translate_defaults(t, &o);
    if (set.beam) o.beam = set.beam;
    if (set.length_penalty >= 0) o.length_penalty = set.length_penalty;
    if (set.coverage_penalty >= 0) o.coverage_penalty = set.coverage_penalty;
    o.batch = set.batch;
    cli_progress_begin((double)pairs->count, "sentences");
    att_status st = att_evaluate(t, set.loss_only ? NULL : &o, pairs, 1, e, on_progress, NULL);
    cli_progress_end();
    return st;
}

/* "additive attention", "no attention": what the models of a picture differ in. */
static const char *model_name(const att_translator *t)
{
    static const char *const names[] = {"additive attention", "dot attention", "general attention", "no attention"};
    const att_seq2seq *recurrent = att_translator_model(t);
    return recurrent ? names[att_seq2seq_configuration(recurrent)->attention] : "Transformer";
}

static att_status lengths_of_other(const att_pairs *pairs, cli_lengths *out)
{
    att_translator *t;
    att_evaluation e;
    att_exec exec = cli_exec();
    att_status st = att_translator_load(set.against, &exec, NULL, &t);
    if (st != ATT_OK) return st;
    out->name = model_name(t);
    st = cli_round_weights(att_translator_params(t), cli.weights);
    if (st == ATT_OK) st = measure(t, pairs, &e);
    if (st == ATT_OK) {
        st = cli_lengths_measure(pairs, e.hypothesis, out);
        att_evaluation_free(&e);
    }
    att_translator_destroy(t);
    return st;
}

static int draw_lengths(const att_translator *t, const att_pairs *pairs, const att_evaluation *e)
{
    cli_lengths models[CLI_LENGTH_MODELS] = {{.name = model_name(t)}};
    int n = set.against ? 2 : 1;
    att_status st = cli_lengths_measure(pairs, e->hypothesis, &models[0]);
    if (st == ATT_OK && set.against) st = lengths_of_other(pairs, &models[1]);
    if (st == ATT_OK) st = cli_lengths_draw(models, n, set.by_length);
    return st == ATT_OK ? CLI_DONE : cli_fail(st);
}

static int evaluate(att_translator *t, const att_pairs *pairs)
{
    att_evaluation e;
    att_status st = measure(t, pairs, &e);
    if (st != ATT_OK) return cli_fail(st);
    int status = set.output && !set.loss_only ? write_hypotheses(&e) : CLI_DONE;
    if (status == CLI_DONE) status = print(&e);
    if (status == CLI_DONE && set.by_length) status = draw_lengths(t, pairs, &e);
    att_evaluation_free(&e);
    return status;
}

static int check_options(evaluate_task task, const char *path)
{
    static const struct {
        const char *does, *uses;
    } kinds[] = {[EVALUATE_TRANSLATION] = {"translates", "beam length-penalty coverage-penalty batch source-column "
                                                         "target-column limit loss-only output by-length against "
                                                         "weights"},
                 [EVALUATE_LANGUAGE] = {"is a language model", "limit entries dictionary weights seed"},
                 [EVALUATE_CLASSES] = {"classifies", "source-column target-column limit weights"}};
    char where[4200];
    snprintf(where, sizeof where, "for '%s', which %s", path, kinds[task].does);
    int status = cli_check_given(kinds[task].uses, where);
    if (status != CLI_DONE) return status;
    if (set.against && !set.by_length) return cli_wrong("--against: only with --by-length FILE");
    if (set.loss_only && (set.by_length || set.output))
        return cli_wrong("--loss-only: makes no translations for --output or --by-length");
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    att_translator *t;
    att_pairs pairs = {0};
    att_exec exec = cli_exec();
    const evaluate_task task = evaluate_task_of(argv[0]);
    int status = check_options(task, argv[0]);
    if (status != CLI_DONE) return status;
    const evaluate_data data = {argc > 1 ? argv[1] : NULL, set.source_column, set.target_column, set.limit};
    if (task == EVALUATE_LANGUAGE) {
        const evaluate_wish wish = {set.limit, set.entries, set.dictionary};
        return evaluate_language(argv[0], data.files, &wish);
    }
    if (task == EVALUATE_CLASSES) return evaluate_classes(argv[0], &data);
    att_status st = att_translator_load(argv[0], &exec, NULL, &t);
    if (st != ATT_OK) return cli_fail(st);
    st = cli_round_weights(att_translator_params(t), cli.weights);
    if (st == ATT_OK) st = evaluate_pairs(att_translator_recipe(t), &data, &pairs);
    if (st != ATT_OK) status = cli_fail(st);
    cli_catch_interrupt();
    if (st == ATT_OK) status = evaluate(t, &pairs);
    att_pairs_free(&pairs);
    att_translator_destroy(t);
    return status;
}

const cli_command cmd_evaluate = {
    .name = "evaluate",
    .operands = "MODEL [DATA]",
    .summary = "measure a model on text it has not seen",
    .help = "DATA is a file of tab-separated pairs or SOURCE,TARGET: two line-aligned files; without it the\n"
            "test set of the model's recipe. BLEU and chrF are sacreBLEU's, on detokenised, cased text with a\n"
            "single reference. For a language model DATA is a file of text: loss, perplexity, bits a byte.\n"
            "For a model that classifies, of pairs of a text and its class: accuracy, macro F1, and each class.\n"
            "\n"
            "Of the entries that a model of a dictionary draws, without a filter: which share is well-formed\n"
            "(a word, a part of speech, a definition, an example that is empty or has the word, and an end),\n"
            "which share has a word that is in no dictionary, and what attend generate would keep.",
    .options = options,
    .min_operands = 1,
    .max_operands = 2,
    .run = run,
};
