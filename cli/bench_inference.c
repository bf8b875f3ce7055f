/* attend bench translate and generate: from text to text with random weights, in the shapes of the base model of
 * "Attention is all you need" and of GPT-2's smallest. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include <attend/language.h>
#include <attend/translator.h>

enum {
    WORD_BYTES = 9, /* " w1234567" */
    CONTEXT = 1024  /* of GPT-2 */
};

/* ---- memory: what is held above the weights as floats ---- */

typedef struct counter {
    att_allocator allocator;
    size_t held, most;
} counter;

static void *count(void *ctx, void *block, size_t before, size_t after)
{
    counter *c = ctx;
    void *moved = after ? bench_block(after) : NULL;
    if (after && !moved) return NULL;
    if (block && moved) memcpy(moved, block, before < after ? before : after);
    free(block);
    c->held += after - (block ? before : 0);
    if (c->held > c->most) c->most = c->held;
    return moved;
}

/* ---- words ---- */

/* "w0 w1 ...", words of them, from number `from` in steps of `step` and modulo `most`. */
static char *words_text(int64_t words, int64_t from, int64_t step, int64_t most)
{
    char *text = bench_memory((size_t)words * WORD_BYTES + 1), *at = text;
    for (int64_t i = 0; i < words; i++)
        at += snprintf(at, WORD_BYTES + 1, i ? " w%lld" : "w%lld", (long long)((from + i * step) % most));
    return text;
}

static att_status words_tokenizer(int64_t vocabulary, const att_allocator *allocator, att_tokenizer **out)
{
    int64_t words = vocabulary - ATT_TOKEN_SPECIALS;
    char *all = words_text(words, 0, 1, words);
    att_tokenizer_desc desc = {.kind = ATT_TOKENIZER_WORD, .normalise = ATT_NORMALISE_NONE};
    return att_tokenizer_train(&desc, &(att_text){all, strlen(all)}, 1, allocator, out);
}

static att_status set_recipe(att_recipe *recipe, const char *const *settings)
{
    att_status st = att_options_init(att_recipe_options(), recipe);
    for (; st == ATT_OK && *settings; settings++) st = att_options_set(att_recipe_options(), recipe, *settings);
    return st;
}

/* ---- translate ---- */

typedef struct translation_work {
    att_translator *t;
    att_translate_options o;
    att_text *line;
    att_translation *result;
    int64_t lines;
} translation_work;

static att_status translate(void *ctx)
{
    translation_work *w = ctx;
    att_status st = att_translate(w->t, &w->o, w->line, w->lines, w->result, NULL, NULL);
    if (st == ATT_OK) att_translations_free(w->result, w->lines);
    return st;
}

static att_status create_translator(const bench_request *r, counter *c, att_translator **out)
{
    static const char *const settings[] = {"model.kind=transformer", "model.encoder_layers=6",
                                           "model.decoder_layers=6", "model.heads=8",
                                           "model.norm=post",        "model.scale_embedding=true",
                                           "text.shared=true",       "model.shared=true",
                                           "model.tied=true",        NULL};
    att_recipe recipe;
    att_tokenizer *words = NULL;
    att_status st = set_recipe(&recipe, settings);
    if (st == ATT_OK) st = words_tokenizer(r->vocabulary, &c->allocator, &words);
    recipe.transformer.width = r->width;
    if (st == ATT_OK) st = att_translator_create(&recipe, words, words, &r->exec, &c->allocator, out);
    att_options_free(att_recipe_options(), &recipe);
    return st == ATT_OK ? cli_round_weights(att_translator_params(*out), r->weights) : st;
}

/* Products of weights alone: the encoder reads all words at once, the decoder one of each row at a step. Weights are
 * read once for the encoder and once a step. */
static att_status limit_of_translation(const bench_request *r, bench_result *out)
{
    double C = (double)r->width, F = 4 * C, L = 6, words = (double)(r->batch * r->length), steps = (double)r->length;
    double encoder = L * (4 * C * C + 2 * C * F) + L * 2 * C * C; /* with the decoder's keys and values of it */
    double decoder = L * (6 * C * C + 2 * C * F) + C * (double)r->vocabulary;
    double size = (double)att_dtype_bytes(cli_weights(r->weights));
    return bench_roofline(r, 2 * words * (encoder + (double)r->beam * decoder), size * (encoder + steps * decoder),
                          out);
}

static att_status measure_translation(const bench_request *r, counter *c, translation_work *w, bench_result *out)
{
    att_status st = create_translator(r, c, &w->t);
    if (st != ATT_OK) return st;
    size_t weights = c->held;
    w->lines = r->batch;
    w->line = bench_memory((size_t)w->lines * sizeof *w->line);
    w->result = bench_memory((size_t)w->lines * sizeof *w->result);
    for (int64_t i = 0; i < w->lines; i++) { /* </s> is a word too */
        const char *text = words_text(r->length - 1, 37 * i, 11, r->vocabulary - ATT_TOKEN_SPECIALS);
        w->line[i] = (att_text){text, strlen(text)};
    }
    w->o = (att_translate_options){.beam = r->beam, .n_best = 1, .batch = r->batch, .max_length = r->length - 1};
    st = bench_time(r, translate, w, out);
    out->workspace_bytes = c->most - weights;
    return st == ATT_OK ? limit_of_translation(r, out) : st;
}

static void finish(const bench_request *r, int64_t words, bench_result *out)
{
    out->path = att_isa_name(r->exec.isa ? r->exec.isa : att_isa_detect());
    out->rate[1] = (bench_rate){"tokens_per_s", "tokens/s", (double)words / out->ms * 1e3};
}

int bench_translate(const bench_request *asked, bench_result *out)
{
    counter c = {.allocator = {count, &c}};
    translation_work w = {0};
    bench_request full = *asked, *r = &full;
    if (!r->width) r->width = 512;
    if (!r->batch) r->batch = 1;
    if (!r->beam) r->beam = 1;
    if (!r->length) r->length = 20;
    if (!r->vocabulary) r->vocabulary = 32000;
    if (r->length < 2) return cli_wrong("--length: %lld, expected at least 2 with </s>", (long long)r->length);
    if (r->vocabulary < 8) return cli_wrong("--vocabulary: %lld, expected at least 8", (long long)r->vocabulary);
    att_status st = measure_translation(r, &c, &w, out);
    att_translator_destroy(w.t);
    if (st != ATT_OK) return cli_fail(st);
    finish(r, r->batch * r->length, out);
    snprintf(out->what, sizeof out->what, "width %lld, batch %lld, beam %lld, %lld words, %s", (long long)r->width,
             (long long)r->batch, (long long)r->beam, (long long)r->length, cli_weights_names[r->weights]);
    return CLI_DONE;
}

/* ---- generate ---- */

typedef struct writing_work {
    att_language *l;
    att_generate_options o;
    att_text prompt;
} writing_work;

static att_status write_text(void *ctx)
{
    writing_work *w = ctx;
    att_generated g;
    att_status st = att_generate(w->l, &w->o, w->prompt, &g, NULL, NULL);
    att_text_free(NULL, g.text);
    return st;
}

static att_status create_language(const bench_request *r, counter *c, att_language **out)
{
    static const char *const settings[] = {"task=language-model",
                                           "model.kind=transformer",
                                           "model.decoder_layers=12",
                                           "model.heads=12",
                                           "model.positions=learned",
                                           "model.context=1024",
                                           "model.norm=pre",
                                           "model.activation=gelu-tanh",
                                           "model.tied=true",
                                           "model.init=0.02",
                                           NULL};
    att_recipe recipe;
    att_tokenizer *words = NULL;
    att_status st = set_recipe(&recipe, settings);
    if (st == ATT_OK) st = words_tokenizer(r->vocabulary, &c->allocator, &words);
    recipe.transformer.width = r->width;
    if (st == ATT_OK) st = att_language_create(&recipe, words, &r->exec, &c->allocator, out);
    att_options_free(att_recipe_options(), &recipe);
    return st == ATT_OK ? cli_round_weights(att_transformer_params(att_language_model(*out)), r->weights) : st;
}

/* Products of weights alone; the output layer reads the last word of a prompt, or each one that was written. */
static att_status limit_of_writing(const bench_request *r, bench_result *out)
{
    double C = (double)r->width, layers = 12 * 12 * C * C, output = C * (double)r->vocabulary,
           words = (double)r->length, size = (double)att_dtype_bytes(cli_weights(r->weights));
    if (r->prefill) return bench_roofline(r, 2 * (words * layers + output), size * (layers + output), out);
    return bench_roofline(r, 2 * words * (layers + output), size * words * (layers + output), out);
}

static att_status measure_writing(const bench_request *r, counter *c, writing_work *w, bench_result *out)
{
    att_status st = create_language(r, c, &w->l);
    if (st != ATT_OK) return st;
    size_t weights = c->held;
    const char *text = words_text(r->prefill ? r->length : 1, 5, 11, r->vocabulary - ATT_TOKEN_SPECIALS);
    w->prompt = (att_text){text, strlen(text)};
    w->o = (att_generate_options){.max_tokens = r->prefill ? 1 : r->length, .ignore_end = 1};
    st = bench_time(r, write_text, w, out);
    out->workspace_bytes = c->most - weights;
    return st == ATT_OK ? limit_of_writing(r, out) : st;
}

int bench_generate(const bench_request *asked, bench_result *out)
{
    counter c = {.allocator = {count, &c}};
    writing_work w = {0};
    bench_request full = *asked, *r = &full;
    if (!r->width) r->width = 768;
    if (!r->length) r->length = r->prefill ? 512 : 64;
    if (!r->vocabulary) r->vocabulary = 50257;
    if (r->length > CONTEXT)
        return cli_wrong("--length: %lld, expected at most the model's %d", (long long)r->length, CONTEXT);
    if (r->vocabulary < 8) return cli_wrong("--vocabulary: %lld, expected at least 8", (long long)r->vocabulary);
    att_status st = measure_writing(r, &c, &w, out);
    att_language_destroy(w.l);
    if (st != ATT_OK) return cli_fail(st);
    finish(r, r->length, out);
    snprintf(out->what, sizeof out->what, "width %lld, %s %lld words, %s", (long long)r->width,
             r->prefill ? "reads" : "writes", (long long)r->length, cli_weights_names[r->weights]);
    return CLI_DONE;
}
