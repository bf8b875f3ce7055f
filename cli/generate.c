/* attend generate: a language model continues a text. */
#include "commands.h"

#include <string.h>

#include "entries.h"
#include "lines.h"

static struct {
    const char *prompt;
    att_generate_options o;
    cli_invent invent;
    bool stream, slide, ignore_end;
    int64_t samples;
} set = {.prompt = "", .o = {.temperature = 1.0, .top_p = 1.0, .repetition_penalty = 1.0}, .samples = 1};

/* clang-format off */
static const cli_option options[] = {
    {"prompt",             'p', CLI_STRING, &set.prompt,               "TEXT", "what to continue; without it a new text"},
    {"max-tokens",         0,   CLI_INT,    &set.o.max_tokens,         "N",    "new tokens at most; 0: as many as the context holds", .min = 0, .max = 1e9},
    {"min-tokens",         0,   CLI_INT,    &set.o.min_tokens,         "N",    "new tokens before the model may end the text", .min = 0, .max = 1e9},
    {"temperature",        0,   CLI_REAL,   &set.o.temperature,        "T",    "below 1 more sure, above 1 more various; 0: always the likeliest token", .min = 0, .max = 100},
    {"top-k",              0,   CLI_INT,    &set.o.top_k,              "K",    "draw among the K likeliest tokens; 0: all", .min = 0, .max = 1e9},
    {"top-p",              0,   CLI_REAL,   &set.o.top_p,              "P",    "draw among the fewest tokens that reach probability P together", .min = 0, .max = 1},
    {"min-p",              0,   CLI_REAL,   &set.o.min_p,              "P",    "draw among tokens at least P times as likely as the first", .min = 0, .max = 1},
    {"repetition-penalty", 0,   CLI_REAL,   &set.o.repetition_penalty, "R",    "above 1: tokens of the text so far become less likely", .min = 0, .max = 100},
    {"samples",            'n', CLI_INT,    &set.samples,              "N",    "texts to make, with seeds SEED, SEED + 1, ...", .min = 1, .max = 1e6},
    {"stream",             0,   CLI_FLAG,   &set.stream,               NULL,   "print each piece of text as soon as it is made"},
    {"slide",              0,   CLI_FLAG,   &set.slide,                NULL,   "when the context is full, go on from its later half"},
    {"ignore-end",         0,   CLI_FLAG,   &set.ignore_end,           NULL,   "go on after an end-of-text token"},
    {"word",               'w', CLI_STRING, &set.invent.word,         "WORD", "dictionary models: define this word"},
    {"dictionary",         0,   CLI_STRING, &set.invent.dictionary,   "FILE", "dictionary models: the words that begin the lines of FILE exist too"},
    {"keep-known",         0,   CLI_FLAG,   &set.invent.keep_known,   NULL,   "dictionary models: print words that exist, too"},
    {"keep-short",         0,   CLI_FLAG,   &set.invent.keep_short,   NULL,   "dictionary models: print entries that came without an example as they are"},
    CLI_WEIGHTS, CLI_SEED, CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
};
/* clang-format on */

static int on_piece(void *ctx, att_text text)
{
    (void)ctx;
    if (set.stream) {
        fwrite(text.data, 1, text.bytes, stdout);
        fflush(stdout);
    }
    return cli_interrupted;
}

static int print(const att_generated *g, uint64_t seed)
{
    if (cli.json)
        return cli_print_json(json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:b, s:f}", "prompt", set.prompt, "text",
                                        g->text, "seed", (json_int_t)seed, "prompt_tokens",
                                        (json_int_t)g->prompt_tokens, "tokens", (json_int_t)g->tokens,
                                        "log_probability", g->log_probability, "ended", g->ended, "tokens_per_s",
                                        g->seconds > 0 ? (double)g->tokens / g->seconds : 0.0));
    if (!set.stream) fputs(set.prompt, stdout);
    if (!set.stream) fputs(g->text, stdout);
    putchar('\n');
    cli_note("%lld tokens, %.1f tokens/s%s", (long long)g->tokens,
             g->seconds > 0 ? (double)g->tokens / g->seconds : 0.0, g->ended ? ", ended by the model" : "");
    return CLI_DONE;
}

static int write_texts(att_language *l)
{
    int status = CLI_DONE;
    for (int64_t i = 0; i < set.samples && status == CLI_DONE; i++) {
        att_generated g;
        set.o.seed = (uint64_t)(cli.seed + i);
        if (set.stream) fputs(set.prompt, stdout);
        att_status st = att_generate(l, &set.o, (att_text){set.prompt, strlen(set.prompt)}, &g, on_piece, NULL);
        status = st == ATT_OK ? print(&g, set.o.seed) : cli_fail(st);
        att_text_free(NULL, g.text);
    }
    return status;
}

/* What only entries have, or what they do not have. */
static int check_entries(bool entries)
{
    const cli_invent *v = &set.invent;
    if (!entries && (v->word || v->dictionary || v->keep_known || v->keep_short))
        return cli_wrong(
            "--word, --dictionary, --keep-known, --keep-short: only with a model of a dictionary (a recipe "
            "with data.unit entries), and without --prompt");
    if (entries && (set.stream || set.slide || set.ignore_end || set.o.max_tokens || set.o.min_tokens))
        return cli_wrong("--stream, --slide, --ignore-end, --max-tokens, --min-tokens: not with the entries of a "
                         "dictionary, which are printed whole; with --prompt they are text like any other");
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    att_language *l;
    att_exec exec = cli_exec();
    (void)argc;
    if (set.stream && cli.json) return cli_wrong("--stream: not with --json");
    int status = cli_check_text("--prompt", (att_text){set.prompt, strlen(set.prompt)});
    if (status != CLI_DONE) return status;
    att_status st = att_language_load(argv[0], &exec, NULL, &l);
    if (st != ATT_OK) return cli_fail(st);
    st = cli_round_weights(att_transformer_params(att_language_model(l)), cli.weights);
    set.o.slide = set.slide;
    set.o.ignore_end = set.ignore_end;
    set.o.seed = (uint64_t)cli.seed;
    cli_catch_interrupt();
    bool entries = cli_is_dictionary(l) && !*set.prompt;
    status = st == ATT_OK ? check_entries(entries) : cli_fail(st);
    if (status == CLI_DONE) status = entries ? cli_print_entries(l, &set.o, &set.invent, set.samples) : write_texts(l);
    att_language_destroy(l);
    return status;
}

const cli_command cmd_generate = {
    .name = "generate",
    .operands = "MODEL",
    .summary = "let a language model continue a text",
    .help = "Prints the prompt and what the model writes behind it. The same seed gives the same text for\n"
            "any number of threads. A prompt longer than the context that the model was trained on is\n"
            "refused; --slide makes texts longer than it.\n"
            "\n"
            "A model of a dictionary invents words that do not exist, with part of speech, definition and\n"
            "example, or defines the one that --word gives. Words of the dictionary it was trained on, and of\n"
            "--dictionary, are drawn again, and so are entries that are not whole.",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
