/* attend evaluate, of language models. */
#include "evaluate.h"

#include "entries.h"

#include <attend/file.h>
#include <string.h>

static json_t *as_json(const att_language_score *s, const att_invent_score *e)
{
    json_t *object = json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "tokens", (json_int_t)s->tokens, "bytes",
                               (json_int_t)s->bytes, "loss", s->loss, "perplexity", s->perplexity, "bits_per_byte",
                               s->bits_per_byte, "accuracy", s->accuracy, "seconds", s->seconds);
    double n = (double)e->entries;
    if (n > 0)
        json_object_update_new(object, json_pack("{s:I, s:f, s:f, s:f}", "entries", (json_int_t)e->entries,
                                                 "well_formed", (double)e->well_formed / n, "absent",
                                                 (double)e->absent / n, "kept", (double)e->both / n));
    return object;
}

static int report(const att_language_score *s, const att_invent_score *e)
{
    if (cli.json) return cli_print_json(as_json(s, e));
    printf("tokens       %lld\nloss         %.4f\nperplexity   %.3f\naccuracy     %.2f %%\n", (long long)s->tokens,
           s->loss, s->perplexity, 100.0 * s->accuracy);
    if (s->bytes) printf("bits a byte  %.4f\n", s->bits_per_byte);
    printf("measured     %.0f tokens/s\n", (double)s->tokens / s->seconds);
    if (e->entries == 0) return CLI_DONE;
    double percent = 100.0 / (double)e->entries;
    printf("entries      %lld\nwell-formed  %.1f %%\nabsent       %.1f %%\nkept         %.1f %%\n",
           (long long)e->entries, percent * (double)e->well_formed, percent * (double)e->absent,
           percent * (double)e->both);
    return CLI_DONE;
}

static int measure(att_language *l, const char *data, const evaluate_wish *wish)
{
    att_language_score s;
    att_invent_score e = {0};
    if ((wish->entries || wish->dictionary) && !cli_is_dictionary(l))
        return cli_wrong(
            "--entries, --dictionary: only with a model of a dictionary (a recipe with data.unit entries)");
    att_status st = att_language_evaluate(l, data, wish->windows, &s);
    if (st != ATT_OK) return cli_fail(st);
    int status = wish->entries ? cli_measure_entries(l, wish->dictionary, wish->entries, &e) : CLI_DONE;
    return status == CLI_DONE ? report(&s, &e) : status;
}

int evaluate_language(const char *path, const char *data, const evaluate_wish *wish)
{
    att_language *l;
    att_exec exec = cli_exec();
    att_status st = att_language_load(path, &exec, NULL, &l);
    if (st != ATT_OK) return cli_fail(st);
    st = cli_round_weights(att_transformer_params(att_language_model(l)), cli.weights);
    int status = st == ATT_OK ? measure(l, data, wish) : cli_fail(st);
    att_language_destroy(l);
    return status;
}
