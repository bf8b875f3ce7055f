/* attend inspect: what is in a model, checkpoint or attention file. */
#include "commands.h"
#include "inspect.h"

#include <errno.h>
#include <string.h>

static const cli_option options[] = {CLI_JSON, CLI_END};

/* JSON lines begin with '{' and text; a model file with eight bytes of length, of which the last are zeros. */
static bool is_json_lines(const char *head, size_t n)
{
    const char *at = head;
    while (at < head + n && strchr(" \t\r\n", *at) && *at) at++;
    return at < head + n && *at == '{' && memchr(head, '\0', n < 8 ? n : 8) == NULL;
}

static int run(int argc, char **argv)
{
    char head[64];
    (void)argc;
    FILE *file = fopen(argv[0], "rb");
    if (!file) return cli_wrong("%s: %s", argv[0], strerror(errno));
    size_t n = fread(head, 1, sizeof head, file);
    int error = ferror(file) ? errno : 0;
    fclose(file);
    if (error)
        return error == EISDIR ? cli_wrong("%s: %s", argv[0], strerror(error))
                               : cli_failed("%s: %s", argv[0], strerror(error));
    return is_json_lines(head, n) ? inspect_attention(argv[0]) : inspect_model(argv[0]);
}

const cli_command cmd_inspect = {
    .name = "inspect",
    .operands = "FILE",
    .summary = "what is in a model, checkpoint or attention file",
    .help = "Of a model (any safetensors file): the metadata, such as configuration and\n"
            "tokenisers, and of every tensor type, shape, least, mean and greatest element\n"
            "and Euclidean norm. Checksums are verified where the file has them. Of an\n"
            "attention file (JSON lines): the records of each kind and their sizes.",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
