#define _GNU_SOURCE
#include <math.h>
#include <string.h>

#include <attend/score.h>

#include "task/dataset.h"
#include "task/translator.h"

#define BATCH_TOKENS    8192
#define BATCH_SENTENCES 256
#define MOST_TOKENS     4096 /* longer pairs do not count in the loss */

static att_status sum_losses(att_translator *t, att_dataset *d, att_loss *total)
{
    ATT_TRY(att_dataset_encode(d, &t->exec, 0.0, 0, 0));
    att_dataset_plan(d, (att_batch_limits){BATCH_TOKENS, BATCH_SENTENCES}, false, 0, 0);
    for (int64_t b = 0; b < d->batches; b++) {
        att_loss part;
        att_tape_begin(t->encoder, 0);
        ATT_TRY(att_pair_model_loss(&t->model, t->encoder, d, b, 0.0, 1.0, 0, &part));
        total->sum += part.sum;
        total->count += part.count;
        total->correct += part.correct;
    }
    return ATT_OK;
}

/* The longest side of the pairs, in bytes: no pair has more tokens than that and one, unless normalisation adds some.
 */
static int64_t longest(const att_pairs *pairs)
{
    size_t most = 0;
    for (int64_t i = 0; i < pairs->count; i++) {
        most = pairs->source[i].bytes > most ? pairs->source[i].bytes : most;
        most = pairs->target[i].bytes > most ? pairs->target[i].bytes : most;
    }
    return att_min64((int64_t)most + 2, MOST_TOKENS);
}

static att_status losses(att_translator *t, const att_pairs *pairs, att_evaluation *out)
{
    att_dataset d;
    att_loss total = {0};
    att_status status = att_dataset_create(pairs, t->source, t->target, longest(pairs), &d);
    if (status == ATT_OK) status = sum_losses(t, &d, &total);
    att_dataset_destroy(&d);
    ATT_TRY(status);
    double rows = (double)att_max64(total.count, 1);
    out->tokens = total.count;
    out->loss = total.sum / rows;
    out->perplexity = exp(out->loss);
    out->accuracy = (double)total.correct / rows;
    return ATT_OK;
}

/* The references as the translations are compared with them: as they are, but normalised where the model only ever sees
 * and makes normalised text (the tutorial's lower case). */
static att_status reference_of(const att_translator *t, const att_text *text, char **out)
{
    size_t bytes;
    if (att_tokenizer_normalise(t->target) == ATT_NORMALISE_TUTORIAL)
        return att_normalise_text(ATT_NORMALISE_TUTORIAL, text->data, text->bytes, NULL, out, &bytes);
    return att_copy_string(NULL, text->data, text->bytes, out);
}

static att_status score(const char *const *hypotheses, const char *const *references, int64_t n, att_evaluation *out)
{
    att_bleu bleu;
    att_chrf chrf;
    char signature[ATT_SCORE_TEXT];
    int64_t exact = 0;
    ATT_TRY(att_bleu_corpus(NULL, NULL, &bleu, hypotheses, &references, n, 1));
    ATT_TRY(att_bleu_signature(NULL, 1, signature, sizeof signature));
    ATT_TRY(att_bleu_format(&bleu, signature, out->bleu_line, sizeof out->bleu_line));
    ATT_TRY(att_chrf_corpus(NULL, NULL, &chrf, hypotheses, &references, n, 1));
    ATT_TRY(att_chrf_signature(NULL, 1, signature, sizeof signature));
    ATT_TRY(att_chrf_format(&chrf, signature, out->chrf_line, sizeof out->chrf_line));
    for (int64_t i = 0; i < n; i++) exact += strcmp(hypotheses[i], references[i]) == 0;
    out->bleu = bleu.score;
    out->chrf = chrf.score;
    out->exact = 100.0 * (double)exact / (double)n;
    return ATT_OK;
}

static void free_strings(char **list, int64_t n)
{
    for (int64_t i = 0; list && i < n; i++)
        if (list[i]) att_free(NULL, list[i], strlen(list[i]) + 1);
    att_free(NULL, list, (size_t)n * sizeof *list);
}

void att_evaluation_free(att_evaluation *e)
{
    free_strings(e->hypothesis, e->sentences);
    e->hypothesis = NULL;
}

static att_status new_strings(int64_t n, char ***out)
{
    void *block;
    ATT_TRY(att_new_array(NULL, (size_t)n, sizeof **out, &block));
    *out = block;
    return ATT_OK;
}

static att_status compare(att_translator *t, const att_pairs *pairs, att_translation *results, att_evaluation *out)
{
    char **references = NULL;
    int64_t n = pairs->count;
    ATT_TRY(new_strings(n, &out->hypothesis));
    for (int64_t i = 0; i < n; i++) {
        out->hypothesis[i] = results[i].text;
        results[i].text = NULL;
    }
    att_status status = new_strings(n, &references);
    for (int64_t i = 0; status == ATT_OK && i < n; i++) status = reference_of(t, &pairs->target[i], &references[i]);
    if (status == ATT_OK) status = score((const char *const *)out->hypothesis, (const char *const *)references, n, out);
    free_strings(references, n);
    return status;
}

static att_status translations(att_translator *t, const att_translate_options *options, const att_pairs *pairs,
                               att_evaluation *out, int (*progress)(void *ctx, int64_t done), void *ctx)
{
    void *block;
    double began = att_clock();
    att_translate_options o = *options;
    o.n_best = 1;
    o.with_attention = 0;
    ATT_TRY(att_new_array(NULL, (size_t)pairs->count, sizeof(att_translation), &block));
    att_translation *results = block;
    att_status status = att_translate(t, &o, pairs->source, pairs->count, results, progress, ctx);
    out->seconds = att_clock() - began;
    if (status == ATT_OK) status = compare(t, pairs, results, out);
    att_translations_free(results, pairs->count);
    att_free(NULL, results, (size_t)pairs->count * sizeof *results);
    return status;
}

att_status att_evaluate(att_translator *t, const att_translate_options *options, const att_pairs *pairs,
                        int keep_hypotheses, att_evaluation *out, int (*progress)(void *ctx, int64_t done), void *ctx)
{
    *out = (att_evaluation){.sentences = pairs->count};
    att_status status = losses(t, pairs, out);
    if (status == ATT_OK && options) status = translations(t, options, pairs, out, progress, ctx);
    if (status != ATT_OK || !keep_hypotheses) att_evaluation_free(out);
    return status;
}
