/* attend demo: the date translator of the lecture, trained on the spot. */
#include "commands.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include <attend/plot.h>
#include <attend/translator.h>

static struct {
    const char *folder;
} set = {.folder = "runs/demo"};

/* clang-format off */
static const cli_option options[] = {
    {"folder", 0, CLI_STRING, &set.folder, "DIR", "where the model and the picture go"},
    CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
};

/* What differs from a recipe's defaults: recipes/dates.yaml has the same. */
static const char *const recipe_keys[] = {
    "data.synthetic=dates", "data.synthetic_train=20000", "data.synthetic_valid=1000", "text.tokenizer=char",
    "model.embedding=32", "model.encoder_units=64", "model.decoder_units=96", "model.attention_units=64",
    "train.steps=600", "train.batch_tokens=4096", "train.batch_sentences=128", "train.lr=5e-3",
    "train.schedule=cosine", "train.warmup=50", "train.validate_every=200", "train.metric=exact",
    "train.valid_sentences=1000", "decode.beam=1", NULL,
};
/* clang-format on */

enum { SHOWN = 10 };

static double now_s(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static att_status make_recipe(att_recipe *recipe)
{
    char folder[4200];
    att_status st = att_options_init(att_recipe_options(), recipe);
    if (st != ATT_OK) return st;
    for (int i = 0; st == ATT_OK && recipe_keys[i]; i++)
        st = att_options_set(att_recipe_options(), recipe, recipe_keys[i]);
    snprintf(folder, sizeof folder, "train.folder=%s", set.folder);
    if (st == ATT_OK) st = att_options_set(att_recipe_options(), recipe, folder);
    if (st != ATT_OK) att_options_free(att_recipe_options(), recipe);
    return st;
}

static int on_progress(void *ctx, const att_train_progress *p)
{
    char rate[64];
    (void)ctx;
    snprintf(rate, sizeof rate, "loss %.4f, %.0f tokens/s", p->loss, p->tokens_per_second);
    cli_progress_update((double)p->step, rate);
    return cli_interrupted;
}

static att_status train(att_recipe *recipe, const att_exec *exec)
{
    char old[4200];
    att_training_hooks hooks = {.progress = on_progress};
    snprintf(old, sizeof old, "%s/last.att", set.folder);
    unlink(old); /* the demonstration begins anew each time */
    cli_note("training a translator of dates, letter by letter");
    cli_progress_begin((double)recipe->train.steps, "steps");
    att_status st = att_train_translator(recipe, exec, 0, &hooks);
    cli_progress_end();
    return st;
}

/* The weights of the sentence with the longest source among those shown. */
static att_status draw(const att_translation *results, const char *picture)
{
    const att_translation *t = &results[0];
    for (int i = 1; i < SHOWN; i++)
        if (results[i].cols > t->cols) t = &results[i];
    att_heatmap_desc desc = {.title = "Where the translator looks", .row_name = "written", .col_name = "read"};
    return att_plot_heatmap(&desc, t->weights, t->rows, t->cols, (const char *const *)t->target,
                            (const char *const *)t->source, picture);
}

static att_status show(att_translator *t, const att_pairs *pairs, const char *picture)
{
    att_translation results[SHOWN];
    att_translate_options o;
    att_translate_defaults(t, &o);
    o.with_attention = 1;
    att_status st = att_translate(t, &o, pairs->source, SHOWN, results, NULL, NULL);
    if (st != ATT_OK) return st;
    FILE *to = cli.json ? stderr : stdout;
    for (int i = 0; i < SHOWN && !(cli.json && cli.quiet); i++) {
        bool right = strlen(results[i].text) == pairs->target[i].bytes &&
                     memcmp(results[i].text, pairs->target[i].data, pairs->target[i].bytes) == 0;
        fprintf(to, "  %-32s %s%s\n", pairs->source[i].data, results[i].text, right ? "" : "   wrong");
    }
    st = draw(results, picture);
    att_translations_free(results, SHOWN);
    return st;
}

static att_status measure(const att_recipe *recipe, const att_exec *exec, const char *picture, double *exact)
{
    char path[4200];
    att_translator *t;
    att_pairs pairs;
    att_evaluation e;
    att_translate_options o;
    snprintf(path, sizeof path, "%s/best.att", set.folder);
    att_status st = att_translator_load(path, exec, NULL, &t);
    if (st != ATT_OK) return st;
    att_translate_defaults(t, &o);
    st = att_recipe_pairs(recipe, "test", &pairs);
    if (st == ATT_OK) st = show(t, &pairs, picture);
    if (st == ATT_OK) st = att_evaluate(t, &o, &pairs, 0, &e, NULL, NULL);
    if (st == ATT_OK) *exact = e.exact;
    att_pairs_free(&pairs);
    att_translator_destroy(t);
    return st;
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    att_recipe recipe;
    att_exec exec = cli_exec();
    char picture[4200];
    double began = now_s(), exact = 0;
    cli_catch_interrupt();
    att_status st = make_recipe(&recipe);
    if (st != ATT_OK) return cli_fail(st);
    snprintf(picture, sizeof picture, "%s/alignment.png", set.folder);
    st = train(&recipe, &exec);
    if (st == ATT_OK) st = measure(&recipe, &exec, picture, &exact);
    att_options_free(att_recipe_options(), &recipe);
    if (st != ATT_OK) return cli_fail(st);
    double seconds = now_s() - began;
    if (cli.json)
        return cli_print_json(
            json_pack("{s:f, s:f, s:s}", "exact_match", exact / 100.0, "seconds", seconds, "picture", picture));
    printf("exact match on 1,000 dates that were not trained on: %.1f %%\n", exact);
    printf("seconds: %.1f\nmodel:   %s/best.att\npicture: %s\n", seconds, set.folder, picture);
    return CLI_DONE;
}

const cli_command cmd_demo = {
    .name = "demo",
    .operands = "",
    .summary = "train the date translator and show where it looks",
    .help = "Trains a small model with additive attention to write dates as 1987-03-02, shows ten dates it has\n"
            "never seen, measures it on a thousand, and draws its attention.",
    .options = options,
    .min_operands = 0,
    .max_operands = 0,
    .run = run,
};
