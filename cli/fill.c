/* attend fill: the likeliest tokens for each [MASK] of a line. */
#include "commands.h"

#include <stdlib.h>
#include <string.h>

#include <attend/language.h>

#include "lines.h"

enum { MOST_MASKS = 64 };

static struct {
    int64_t best;
} set = {.best = 5};

/* clang-format off */
static const cli_option options[] = {
    {"best", 'n', CLI_INT, &set.best, "N", "tokens for each mask, the likeliest first", .min = 1, .max = 1000},
    CLI_WEIGHTS, CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
};
/* clang-format on */

static int print(const char *text, const att_filling *f, int64_t n)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) {
        if (!f[i].text) continue;
        if (!cli.json) printf("%lld\t%.4f\t%s\n", (long long)f[i].mask + 1, f[i].probability, f[i].text);
        json_array_append_new(list, json_pack("{s:I, s:s, s:f}", "mask", (json_int_t)f[i].mask, "token", f[i].text,
                                              "probability", f[i].probability));
    }
    if (cli.json) return cli_print_json(json_pack("{s:s, s:o}", "text", text, "fillings", list));
    json_decref(list);
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    att_language *l;
    att_exec exec = cli_exec();
    int64_t masks = 0;
    (void)argc;
    int status = cli_check_text("TEXT", (att_text){argv[1], strlen(argv[1])});
    if (status != CLI_DONE) return status;
    att_filling *found = calloc((size_t)(MOST_MASKS * set.best), sizeof *found);
    if (!found) return cli_failed("out of memory");
    att_status st = att_language_load(argv[0], &exec, NULL, &l);
    status = st == ATT_OK ? CLI_DONE : cli_fail(st);
    if (st == ATT_OK) {
        st = cli_round_weights(att_transformer_params(att_language_model(l)), cli.weights);
        if (st == ATT_OK)
            st = att_fill_masks(l, (att_text){argv[1], strlen(argv[1])}, set.best, MOST_MASKS, found, &masks);
        status =
            st == ATT_OK ? print(argv[1], found, (masks < MOST_MASKS ? masks : MOST_MASKS) * set.best) : cli_fail(st);
        att_language_destroy(l);
    }
    for (int64_t i = 0; i < MOST_MASKS * set.best; i++) att_text_free(NULL, found[i].text);
    free(found);
    return status;
}

const cli_command cmd_fill = {
    .name = "fill",
    .operands = "MODEL TEXT",
    .summary = "fill in the [MASK]s of a text",
    .help = "For a model of the task masked-language-model. Each line is mask<TAB>probability<TAB>token.",
    .options = options,
    .min_operands = 2,
    .max_operands = 2,
    .run = run,
};
