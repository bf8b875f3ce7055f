/* attend translate: one line in, one line out. */
#include "commands.h"
#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <attend/plot.h>
#include <attend/translator.h>

static struct {
    int64_t beam, n_best, batch, max_length;
    double length_penalty, coverage_penalty;
    const char *attention, *alignment, *output;
    bool replace_unknown;
} set = {.n_best = 1, .batch = 64, .length_penalty = -1, .coverage_penalty = -1};

/* clang-format off */
static const cli_option options[] = {
    {"beam",             'b', CLI_INT,    &set.beam,             "N",    "hypotheses kept at each step; 1 is greedy, 0 what the model remembers", .min = 0, .max = 1000},
    {"n-best",           'n', CLI_INT,    &set.n_best,           "N",    "translations of each line, best first, with their scores", .min = 1, .max = 1000},
    {"length-penalty",   0,   CLI_REAL,   &set.length_penalty,   "A",    "compare by log p / ((5 + n) / 6)^A, or n^A where the model says so; -1: what it remembers", .min = -1, .max = 10},
    {"coverage-penalty", 0,   CLI_REAL,   &set.coverage_penalty, "B",    "weight of source words left out; -1: what the model remembers", .min = -1, .max = 10},
    {"max-length",       0,   CLI_INT,    &set.max_length,       "N",    "most tokens of a translation; 0: twice the source and 10", .min = 0, .max = 100000},
    {"batch",            0,   CLI_INT,    &set.batch,            "N",    "lines translated at once", .min = 1, .max = 4096},
    {"replace-unknown",  0,   CLI_FLAG,   &set.replace_unknown,  NULL,   "an unknown word becomes the source word it attends to most"},
    {"attention",        'a', CLI_STRING, &set.attention,        "FILE", "write the attention weights, one JSON line a translation"},
    {"alignment",        0,   CLI_STRING, &set.alignment,        "FILE", "write the alignments as Pharaoh pairs source-target"},
    {"output",           'o', CLI_STRING, &set.output,           "FILE", "write here instead of standard output"},
    CLI_WEIGHTS, CLI_QUIET, CLI_THREADS, CLI_END,
};
/* clang-format on */

/* A record of `layers` layers of weights between the words that `kind` names. */
static att_status write_record(FILE *file, const att_translation *t, att_attention_kind kind, int64_t layers,
                               int64_t heads, const char *const *target, const float *weights)
{
    bool of_source = kind == ATT_ATTENTION_ENCODER, of_target = kind == ATT_ATTENTION_DECODER;
    att_attention_record record = {.kind = kind,
                                   .source = (const char *const *)t->source,
                                   .target = target,
                                   .n_source = t->cols,
                                   .n_target = t->rows,
                                   .layers = layers,
                                   .heads = heads,
                                   .rows = of_source ? t->cols : t->rows,
                                   .cols = of_target ? t->rows : t->cols,
                                   .weights = weights};
    return att_attention_write(&record, file);
}

/* All layers and heads of a Transformer. Its decoder looks at the words before each: `start` and all but the last. */
static att_status write_layers(FILE *file, const att_translation *t, const char *start)
{
    const char **before = malloc((size_t)t->rows * sizeof *before);
    if (!before) exit(cli_failed("out of memory"));
    before[0] = start;
    for (int64_t i = 1; i < t->rows; i++) before[i] = t->target[i - 1];
    const char *const *target = (const char *const *)t->target;
    att_status st = write_record(file, t, ATT_ATTENTION_ENCODER, t->encoder_layers, t->heads, target, t->encoder);
    if (st == ATT_OK)
        st = write_record(file, t, ATT_ATTENTION_DECODER, t->decoder_layers, t->heads, before, t->decoder);
    if (st == ATT_OK) st = write_record(file, t, ATT_ATTENTION_CROSS, t->decoder_layers, t->heads, target, t->cross);
    free(before);
    return st;
}

typedef struct outputs {
    FILE *text, *attention, *alignment;
    const char *start; /* the token that begins a translation */
} outputs;

static int write_attention(const outputs *out, const att_translation *t)
{
    const char *const *target = (const char *const *)t->target;
    att_attention_record alignment = {.kind = ATT_ATTENTION_CROSS,
                                      .source = (const char *const *)t->source,
                                      .target = target,
                                      .n_source = t->cols,
                                      .n_target = t->rows,
                                      .layers = 1,
                                      .heads = 1,
                                      .rows = t->rows,
                                      .cols = t->cols,
                                      .weights = t->weights};
    att_status st = ATT_OK;
    if (!t->weights && out->alignment) fputc('\n', out->alignment);
    if (!t->weights) return CLI_DONE;
    if (out->attention)
        st = t->cross ? write_layers(out->attention, t, out->start) : att_attention_write(&alignment, out->attention);
    if (st == ATT_OK && out->alignment) st = att_attention_pharaoh(&alignment, 0, 0, out->alignment);
    return st == ATT_OK ? CLI_DONE : cli_fail(st);
}

static int write_results(const outputs *out, const att_translation *results, int64_t n, int64_t n_best, int64_t first)
{
    for (int64_t i = 0; i < n * n_best; i++) {
        const att_translation *t = &results[i];
        if (i % n_best > 0 && isinf(t->score)) continue; /* the search found fewer */
        if (n_best > 1)
            fprintf(out->text, "%lld\t%.4f\t%s\n", (long long)(first + i / n_best + 1), t->score, t->text);
        else
            fprintf(out->text, "%s\n", t->text);
        if (out->attention || out->alignment) {
            int status = write_attention(out, t);
            if (status) return status;
        }
    }
    fflush(out->text);
    return CLI_DONE;
}

static const char *model_path, *input_name;

static int translate_chunk(att_translator *t, const att_translate_options *o, const cli_lines *in, int64_t first,
                           const outputs *out)
{
    int status = cli_check_lines(in, input_name, first);
    if (status) return status;
    att_translation *results = calloc((size_t)(in->n * o->n_best), sizeof *results);
    if (!results) return cli_failed("out of memory");
    att_status st = att_translate(t, o, in->line, in->n, results, NULL, NULL);
    status = st == ATT_OK ? write_results(out, results, in->n, o->n_best, first) : cli_fail(st);
    att_translations_free(results, in->n * o->n_best);
    free(results);
    return status;
}

/* Lines are read in chunks that are sorted by length inside; a terminal gets its answer line by line. */
static int translate_all(att_translator *t, const att_translate_options *o, FILE *input, const outputs *out,
                         bool interactive)
{
    cli_lines in = {0};
    int64_t done = 0, chunk = interactive ? 1 : 16 * o->batch;
    int status = CLI_DONE;
    bool more = true;
    cli_progress_begin(0, "lines");
    while (more && status == CLI_DONE) {
        while (in.n < chunk && (more = cli_read_line(input, &in))) {
        }
        if (in.n > 0) status = translate_chunk(t, o, &in, done, out);
        done += in.n;
        cli_forget_lines(&in);
        if (!interactive) cli_progress_update((double)done, NULL);
    }
    cli_progress_end();
    if (status == CLI_DONE && ferror(input)) status = cli_wrong("%s: %s", input_name, strerror(errno));
    cli_free_lines(&in);
    return status;
}

static void take_options(const att_translator *t, att_translate_options *o)
{
    att_translate_defaults(t, o);
    if (set.beam) o->beam = set.beam;
    if (set.length_penalty >= 0) o->length_penalty = set.length_penalty;
    if (set.coverage_penalty >= 0) o->coverage_penalty = set.coverage_penalty;
    if (set.max_length) o->max_length = set.max_length;
    if (set.n_best > o->beam && !set.beam) o->beam = set.n_best;
    o->n_best = set.n_best;
    o->batch = set.batch;
    o->replace_unknown = set.replace_unknown;
    o->with_attention = set.attention || set.alignment;
}

static int with_outputs(att_translator *t, FILE *input, bool interactive)
{
    att_translate_options o;
    const att_tokenizer *target = att_translator_tokenizer(t, 1);
    outputs out = {.start = att_tokenizer_piece(target, att_tokenizer_role(target, ATT_ROLE_BOS))};
    take_options(t, &o);
    if (o.with_attention && !att_translator_attends(t))
        return cli_wrong("%s has no attention to write (model.attention: none)", model_path);
    int status = CLI_DONE;
    if (!(out.text = cli_open_output(set.output))) return CLI_FAILED;
    if (set.attention && !(out.attention = cli_open_output(set.attention))) status = CLI_FAILED;
    if (status == CLI_DONE && set.alignment && !(out.alignment = cli_open_output(set.alignment))) status = CLI_FAILED;
    if (status == CLI_DONE) status = translate_all(t, &o, input, &out, interactive);
    int closed = cli_close_output(out.text, set.output);
    if (out.attention && cli_close_output(out.attention, set.attention)) closed = CLI_FAILED;
    if (out.alignment && cli_close_output(out.alignment, set.alignment)) closed = CLI_FAILED;
    return status ? status : closed;
}

static int run(int argc, char **argv)
{
    att_translator *t;
    att_exec exec = cli_exec();
    bool from_stdin = argc < 2 || strcmp(argv[1], "-") == 0;
    model_path = argv[0];
    input_name = from_stdin ? "standard input" : argv[1];
    att_status st = att_translator_load(model_path, &exec, NULL, &t);
    if (st != ATT_OK) return cli_fail(st);
    FILE *input = from_stdin ? stdin : fopen(argv[1], "r");
    int status = input ? CLI_DONE : cli_wrong("%s: %s", argv[1], strerror(errno));
    st = cli_round_weights(att_translator_params(t), cli.weights);
    if (status == CLI_DONE && st != ATT_OK) status = cli_fail(st);
    if (status == CLI_DONE) status = with_outputs(t, input, from_stdin && isatty(STDIN_FILENO));
    if (input && input != stdin) fclose(input);
    att_translator_destroy(t);
    return status;
}

const cli_command cmd_translate = {
    .name = "translate",
    .operands = "MODEL [FILE|-]",
    .summary = "translate line by line",
    .help = "Reads FILE or standard input and writes one translation a line, in order. With --n-best N each\n"
            "line gives up to N lines of number<TAB>score<TAB>text. The attention file holds one JSON object a\n"
            "translation, which `attend plot` draws; a Transformer's holds three: all layers and heads of\n"
            "its encoder, of its decoder, and of what the decoder reads of the encoder.",
    .options = options,
    .min_operands = 1,
    .max_operands = 2,
    .run = run,
};
