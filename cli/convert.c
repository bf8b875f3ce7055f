/* attend convert: models of Hugging Face's, in and out. */
#include "commands.h"

#include <string.h>

#include <attend/convert.h>
#include <attend/file.h>

static struct {
    const char *output, *folder;
} set;

/* clang-format off */
static const cli_option options[] = {
    {"output",          'o', CLI_STRING, &set.output, "MODEL",  "the model file to write"},
    {"to-hugging-face", 0,   CLI_STRING, &set.folder, "FOLDER", "write this folder from a model file instead"},
    CLI_JSON, CLI_QUIET, CLI_END,
};
/* clang-format on */

static int run(int argc, char **argv)
{
    (void)argc;
    if ((set.output != NULL) == (set.folder != NULL))
        return cli_wrong("%s, expected either --output MODEL or --to-hugging-face FOLDER",
                         set.output ? "both --output and --to-hugging-face" : "neither --output nor --to-hugging-face");
    const char *written = set.output ? set.output : set.folder;
    att_status status =
        set.output ? att_convert_import(argv[0], set.output, NULL) : att_convert_export(argv[0], set.folder, NULL);
    if (status != ATT_OK) return cli_fail(status);
    if (cli.json) return cli_print_json(json_pack("{s:s, s:s}", "from", argv[0], "written", written));
    cli_note("wrote %s", written);
    return CLI_DONE;
}

const cli_command cmd_convert = {
    .name = "convert",
    .operands = "FOLDER|MODEL",
    .summary = "import a Hugging Face folder, or export to one",
    .help = "attend convert FOLDER -o MODEL reads config.json, model.safetensors (also in\n"
            "parts) and the tokeniser's files of GPT-2, BERT or MiniLM, and Marian. What\n"
            "would be computed otherwise is refused by name. A folder without a tokeniser\n"
            "converts too.\n"
            "\n"
            "attend convert MODEL --to-hugging-face FOLDER is the way back, for models that\n"
            "one of these families computes the same.",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
