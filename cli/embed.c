/* attend embed: what lines mean, as vectors. */
#include "commands.h"
#include "lines.h"

#include <stdlib.h>

#include <attend/model.h>
#include <attend/npy.h>

static struct {
    const char *output;
} set;

/* clang-format off */
static const cli_option options[] = {
    {"output", 'o', CLI_STRING, &set.output, "FILE.npy", "where the vectors go: (lines, width), float32, of length 1"},
    CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
};
/* clang-format on */

static int progress(void *ctx, int64_t done)
{
    (void)ctx;
    cli_progress_update((double)done, NULL);
    return cli_interrupted;
}

static int embed(att_model *model, const cli_lines *in)
{
    int64_t width = att_transformer_configuration(att_model_transformer(model))->width;
    float *vectors = calloc((size_t)(in->n * width) + 1, sizeof *vectors);
    if (!vectors) return cli_failed("out of memory: %lld vectors", (long long)in->n);
    att_view out = att_view_2d(vectors, ATT_F32, in->n, width);
    cli_catch_interrupt();
    cli_progress_begin((double)in->n, "lines");
    att_status status = att_model_embed(model, in->line, in->n, &out, progress, NULL);
    cli_progress_end();
    if (status == ATT_OK) status = att_npy_write(set.output, &out);
    free(vectors);
    if (status != ATT_OK) return cli_fail(status);
    if (!cli.json) return CLI_DONE;
    return cli_print_json(
        json_pack("{s:s, s:I, s:I}", "output", set.output, "lines", (json_int_t)in->n, "width", (json_int_t)width));
}

static int run(int argc, char **argv)
{
    att_exec exec = cli_exec();
    att_model *model;
    cli_lines in = {0};
    if (!set.output) return cli_wrong("no --output, expected the .npy file to write");
    att_status st = att_model_load(argv[0], &exec, NULL, &model);
    if (st != ATT_OK) return cli_fail(st);
    int status = cli_read_lines(argc > 1 ? argv[1] : NULL, &in);
    if (status == CLI_DONE) status = embed(model, &in);
    cli_free_lines(&in);
    att_model_destroy(model);
    return status;
}

const cli_command cmd_embed = {
    .name = "embed",
    .operands = "MODEL [FILE|-]",
    .summary = "sentence embeddings: what each line means, as a vector",
    .help = "The mean of the states of a line's tokens, divided by its length, so that the\n"
            "product of two vectors is the cosine of their angle. MODEL has an encoder: a\n"
            "converted BERT or MiniLM, a masked language model, or a translator. Of a line that is\n"
            "longer than the model reads, the first tokens count.",
    .options = options,
    .min_operands = 1,
    .max_operands = 2,
    .run = run,
};
