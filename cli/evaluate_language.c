/* attend evaluate, of language models. */
#include "evaluate.h"

#include <attend/file.h>
#include <attend/language.h>
#include <string.h>

bool evaluate_is_language(const char *path)
{
    att_file *file;
    if (att_file_open(path, NULL, &file) != ATT_OK) return false;
    const char *task = att_file_metadata(file, "attend.task");
    bool yes = task && strstr(task, "language-model");
    att_file_close(file);
    return yes;
}

int evaluate_language(const char *path, const char *data, int64_t windows)
{
    att_language *l;
    att_language_score s;
    att_exec exec = cli_exec();
    att_status st = att_language_load(path, &exec, NULL, &l);
    if (st != ATT_OK) return cli_fail(st);
    st = cli_round_weights(att_transformer_params(att_language_model(l)));
    if (st == ATT_OK) st = att_language_evaluate(l, data, windows, &s);
    att_language_destroy(l);
    if (st != ATT_OK) return cli_fail(st);
    if (cli.json)
        return cli_print_json(json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "tokens", (json_int_t)s.tokens, "bytes",
                                        (json_int_t)s.bytes, "loss", s.loss, "perplexity", s.perplexity,
                                        "bits_per_byte", s.bits_per_byte, "accuracy", s.accuracy, "seconds",
                                        s.seconds));
    printf("tokens       %lld\nloss         %.4f\nperplexity   %.3f\naccuracy     %.2f %%\n", (long long)s.tokens,
           s.loss, s.perplexity, 100.0 * s.accuracy);
    if (s.bytes) printf("bits a byte  %.4f\n", s.bits_per_byte);
    printf("measured     %.0f tokens/s\n", (double)s.tokens / s.seconds);
    return CLI_DONE;
}
