/* attend inspect: what is in a model or checkpoint. */
#include "commands.h"
#include "inspect.h"

static const cli_option options[] = {CLI_JSON, CLI_END};

static int run(int argc, char **argv)
{
    (void)argc;
    return inspect_model(argv[0]);
}

const cli_command cmd_inspect = {
    .name = "inspect",
    .operands = "FILE",
    .summary = "what is in a model or checkpoint",
    .help = "Of a model (any safetensors file): the metadata, such as configuration and\n"
            "tokenisers, and of every tensor type, shape, least, mean and greatest element\n"
            "and Euclidean norm. Checksums are verified where the file has them.",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
