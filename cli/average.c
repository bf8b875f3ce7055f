/* attend average: the mean of checkpoints. */
#include "commands.h"

#include <attend/model.h>

static struct {
    const char *output;
} set;

/* clang-format off */
static const cli_option options[] = {
    {"output", 'o', CLI_STRING, &set.output, "MODEL", "the model file to write"},
    CLI_JSON, CLI_QUIET, CLI_END,
};
/* clang-format on */

static int run(int argc, char **argv)
{
    if (!set.output) return cli_wrong("no --output MODEL given, expected the file to write");
    att_status status = att_model_average((const char *const *)argv, argc, set.output, NULL);
    if (status != ATT_OK) return cli_fail(status);
    if (cli.json) return cli_print_json(json_pack("{s:i, s:s}", "models", argc, "written", set.output));
    cli_note("wrote %s, the mean of %d", set.output, argc);
    return CLI_DONE;
}

const cli_command cmd_average = {
    .name = "average",
    .operands = "MODEL...",
    .summary = "average the weights of several checkpoints",
    .help = "The mean of the last checkpoints of a run (train.keep_every) is often better than the last one.\n"
            "They must be of the same model, vocabulary and task; the recipe is that of the first.",
    .options = options,
    .min_operands = 1,
    .max_operands = -1,
    .run = run,
};
