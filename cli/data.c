/* attend data: synthetic corpora, to try training on and to test it with. */
#include "commands.h"

#include <attend/text.h>

static struct {
    int64_t count, first;
    const char *output;
} set = {.count = 10000};

/* clang-format off */
static const cli_option options[] = {
    {"count",   'n', CLI_INT,    &set.count,  "N",    "number of pairs", .min = 1, .max = 1e12},
    {"first",   0,   CLI_INT,    &set.first,  "N",    "number of the first pair", .min = 0, .max = 1e12},
    {"output",  'o', CLI_STRING, &set.output, "FILE", "write here instead of standard output"},
    CLI_SEED,
    CLI_END,
};
/* clang-format on */

static const char *const names[] = {"dates", "copy", "reverse", NULL};

static int run(int argc, char **argv)
{
    (void)argc;
    char source[ATT_SYNTHETIC_BYTES], target[ATT_SYNTHETIC_BYTES];
    att_synthetic *make;
    att_status st = att_synthetic_find(argv[0], &make);
    if (st != ATT_OK) return cli_fail(st);
    FILE *file = cli_open_output(set.output);
    if (!file) return CLI_FAILED;
    for (int64_t i = set.first; i < set.first + set.count && !ferror(file); i++) {
        st = make((uint64_t)cli.seed, i, source, sizeof source, target, sizeof target);
        if (st != ATT_OK) break;
        fprintf(file, "%s\t%s\n", source, target);
    }
    int status = cli_close_output(file, set.output);
    return st != ATT_OK ? cli_fail(st) : status;
}

const cli_command cmd_data = {
    .name = "data",
    .operands = "dates|copy|reverse",
    .summary = "make a corpus to try things on",
    .help = "Writes lines of source<TAB>target. Pair number i of a seed is always the same, so --first\n"
            "continues a corpus: train on the first 10,000 pairs, test on those from 10,000 on.\n"
            "\n"
            "  dates    a date as people write it, and as 1987-03-02\n"
            "  copy     letters, and the same letters\n"
            "  reverse  letters, and the same letters backwards",
    .options = options,
    .words = names,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
