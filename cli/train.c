/* attend train: what a recipe says. */
#include "commands.h"

#include <string.h>

#include <attend/file.h>
#include <attend/translator.h>

static struct {
    bool resume, print, options;
} set;

/* clang-format off */
static const cli_option options[] = {
    {"resume",  0, CLI_FLAG, &set.resume,  NULL, "continue the run where its last checkpoint stands"},
    {"print",   0, CLI_FLAG, &set.print,   NULL, "print the whole resolved recipe and stop"},
    {"options", 0, CLI_FLAG, &set.options, NULL, "list every key a recipe can have and stop"},
    CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
};
/* clang-format on */

/* The resolved recipe beside the checkpoints: what was run is never in doubt. */
static att_status keep_recipe(const att_recipe *recipe)
{
    char path[4200], *text;
    snprintf(path, sizeof path, "%s/recipe.yaml", recipe->run.folder);
    att_status st = att_options_to_yaml(att_recipe_options(), recipe, &text);
    if (st != ATT_OK) return st;
    st = att_file_write_text(path, text, strlen(text));
    att_string_free(text);
    return st;
}

static int on_progress(void *ctx, const att_train_progress *p)
{
    char rate[96];
    static bool kept;
    if (!kept) kept = keep_recipe(ctx) == ATT_OK; /* a run that is killed later has it too */
    const char *unit = ((const att_recipe *)ctx)->task == ATT_TASK_CLASSIFICATION ? "lines" : "tokens";
    snprintf(rate, sizeof rate, "epoch %lld, loss %.3f, %.0f %s/s", (long long)p->epoch + 1, p->loss,
             p->tokens_per_second, unit);
    cli_progress_update((double)p->step, rate);
    return cli_interrupted;
}

static void on_validated(void *ctx, int64_t step, const att_validation *v, int is_best)
{
    const att_recipe *recipe = ctx;
    char line[256], log[4200], picture[4200];
    int at = 0;
    for (int i = 0; i < v->count && at < (int)sizeof line; i++)
        at += snprintf(line + at, sizeof line - (size_t)at, "%s%s %.4g", i ? ", " : "", v->score[i].name,
                       v->score[i].value);
    cli_note("step %lld: %s%s", (long long)step, line, is_best ? " (best so far)" : "");
    snprintf(log, sizeof log, "%s/log.jsonl", recipe->run.folder);
    snprintf(picture, sizeof picture, "%s/curves.png", recipe->run.folder);
    cli_draw_log(log, picture);
}

static void on_note(void *ctx, const char *text)
{
    (void)ctx;
    cli_note("%s", text);
}

/* "runs/NAME" for recipes/NAME.yaml, unless the recipe says otherwise. */
static att_status default_folder(att_recipe *recipe, const char *path)
{
    char assignment[4200];
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    const char *dot = strrchr(name, '.');
    if (*recipe->run.folder) return ATT_OK;
    snprintf(assignment, sizeof assignment, "train.folder=runs/%.*s", dot ? (int)(dot - name) : (int)strlen(name),
             name);
    return att_options_set(att_recipe_options(), recipe, assignment);
}

static int print_text(att_status st, char *text)
{
    if (st != ATT_OK) return cli_fail(st);
    fputs(text, stdout);
    att_string_free(text);
    return CLI_DONE;
}

static att_status read_recipe(int argc, char **argv, att_recipe *recipe)
{
    att_status st = att_options_read_yaml(att_recipe_options(), recipe, argv[0]);
    for (int i = 1; st == ATT_OK && i < argc; i++) st = att_options_set(att_recipe_options(), recipe, argv[i]);
    if (st == ATT_OK) st = default_folder(recipe, argv[0]);
    return st == ATT_OK ? att_recipe_resolve(recipe, set.resume) : st;
}

typedef struct best_score {
    json_int_t step; /* 0: none */
    char name[32];
    double value;
} best_score;

/* A run that was continued may have had its best before: the log knows. */
static best_score read_best(const att_recipe *recipe)
{
    char path[4200], line[4096];
    best_score best = {0};
    snprintf(path, sizeof path, "%s/log.jsonl", recipe->run.folder);
    FILE *log = fopen(path, "r");
    while (log && fgets(line, sizeof line, log)) {
        const char *key;
        json_t *value, *object = json_loads(line, 0, NULL);
        if (json_is_true(json_object_get(object, "best"))) {
            best.step = json_integer_value(json_object_get(object, "step"));
            json_object_foreach(object, key, value)
            {
                if (strncmp(key, "valid_", 6) != 0) continue;
                snprintf(best.name, sizeof best.name, "%s", key + 6); /* the first is the metric */
                best.value = json_number_value(value);
                break;
            }
        }
        json_decref(object);
    }
    if (log) fclose(log);
    return best;
}

static int report(const att_recipe *recipe)
{
    best_score best = read_best(recipe);
    if (cli.json)
        return cli_print_json(json_pack("{s:s, s:I, s:s, s:f}", "folder", recipe->run.folder, "best_step", best.step,
                                        "metric", best.name, "value", best.value));
    if (best.step)
        printf("best: step %lld, %s %.4g\nmodel: %s/best.att\n", (long long)best.step, best.name, best.value,
               recipe->run.folder);
    return CLI_DONE;
}

static int train(att_recipe *recipe)
{
    att_exec exec = cli_exec();
    att_training_hooks hooks = {.progress = on_progress, .validated = on_validated, .note = on_note, .ctx = recipe};
    if (recipe->train.bfloat16 && att_isa_detect() < ATT_ISA_AVX512_BF16)
        cli_note("train.precision: this machine has no instructions for bfloat16 that are faster than those for "
                 "float32; all products stay float32");
    cli_catch_interrupt();
    cli_progress_begin((double)recipe->train.steps, "steps");
    att_status st = att_recipe_train(recipe, &exec, set.resume, &hooks);
    cli_progress_end();
    if (st == ATT_OK) st = keep_recipe(recipe);
    return st == ATT_OK ? report(recipe) : cli_fail(st);
}

static int run(int argc, char **argv)
{
    att_recipe recipe;
    char *text = NULL;
    if (set.options) {
        att_status st = att_options_help(att_recipe_options(), &text);
        return print_text(st, text);
    }
    if (argc < 1) return cli_wrong("no recipe given, expected RECIPE.yaml [key=value ...]");
    att_status st = att_options_init(att_recipe_options(), &recipe);
    if (st != ATT_OK) return cli_fail(st);
    st = read_recipe(argc, argv, &recipe);
    int status = CLI_DONE;
    if (st != ATT_OK) {
        status = cli_fail(st);
    } else if (set.print) {
        st = att_options_to_yaml(att_recipe_options(), &recipe, &text);
        status = print_text(st, text);
    } else {
        status = train(&recipe);
    }
    att_options_free(att_recipe_options(), &recipe);
    return status;
}

const cli_command cmd_train = {
    .name = "train",
    .operands = "RECIPE.yaml [key=value ...]",
    .summary = "train what a recipe says",
    .help = "The run is kept in train.folder (runs/NAME by default): last.att, best.att, log.jsonl,\n"
            "curves.png and the resolved recipe.yaml. key=value replaces a key of the recipe, such as\n"
            "train.steps=500. Ctrl-C saves; --resume continues to the same bits as an uninterrupted run.",
    .options = options,
    .min_operands = 0,
    .max_operands = -1,
    .run = run,
};
