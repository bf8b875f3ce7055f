/* Training a language model: text, vocabulary and model from a recipe, then the loop of train/. */
#include <stdio.h>
#include <string.h>

#include <attend/file.h>

#include "task/language.h"
#include "task/run.h"
#include "text/words.h"

enum { STREAM_WINDOWS = 0x77696e64 };

typedef struct training {
    att_run run;
    att_texts texts, valid_texts;
    att_windows train, valid;
    att_language *l;
    int64_t B, epoch;
    int64_t *start; /* (B) */
    char *words;    /* of the dictionary, as the checkpoints hold them */
} training;

/* ---- the job: an epoch has as many random windows as cover the text once ---- */

static att_status plan(void *ctx, int64_t epoch, int64_t *batches)
{
    training *j = ctx;
    j->epoch = epoch;
    *batches = att_max64(1, (j->train.n - 1) / (j->B * j->train.T));
    return ATT_OK;
}

/* A model that fills in counts what it predicts; the expected number keeps batches comparable. */
static int64_t count(void *ctx, int64_t batch)
{
    const training *j = ctx;
    int64_t tokens = j->B * j->train.T;
    (void)batch;
    return att_language_masks(j->l) ? att_max64(1, tokens * 15 / 100) : tokens;
}

static att_status loss(void *ctx, att_tape *tape, int64_t batch, double scale, uint64_t seed, att_loss *out)
{
    training *j = ctx;
    uint64_t epoch_seed = att_random_mix((uint64_t)j->run.recipe->train.seed, (uint64_t)j->epoch);
    att_random r = {.seed = epoch_seed, .stream = att_random_mix(STREAM_WINDOWS, (uint64_t)batch)};
    for (int64_t b = 0; b < j->B; b++) j->start[b] = att_windows_draw(&j->train, &r);
    return att_windows_loss(j->l, &j->train, tape, j->start, NULL, j->B, att_random_mix(epoch_seed, (uint64_t)batch),
                            j->run.recipe->run.smoothing, scale, seed, out);
}

static att_status validate(void *ctx, att_validation *out)
{
    training *j = ctx;
    att_language_score s;
    ATT_TRY(att_windows_evaluate(j->l, &j->valid, j->run.recipe->run.valid_sentences, &s));
    *out = (att_validation){.score = {{"loss", s.loss}, {"perplexity", s.perplexity}, {"accuracy", 100.0 * s.accuracy}},
                            .count = 3,
                            .lower_is_better = 1};
    if (!att_language_masks(j->l)) out->score[out->count++] = (att_score_value){"bits_per_byte", s.bits_per_byte};
    return ATT_OK;
}

/* ---- beginning and end ---- */

/* A model of a dictionary remembers which words there are. */
static att_status describe_words(training *j)
{
    if (!j->texts.words) return ATT_OK;
    ATT_TRY(att_words_to_text(j->texts.words, &j->words));
    att_run_describe(&j->run, ATT_WORDS_KEY, j->words);
    return ATT_OK;
}

static att_status assemble(training *j)
{
    const att_recipe *r = j->run.recipe;
    att_tokenizer *tokenizer[2] = {NULL, NULL};
    int64_t vocabulary[2] = {0, 0};
    att_status status = att_run_is_new(&j->run)
                            ? att_run_tokenizer(r, "training text", j->texts.text, j->texts.count, &tokenizer[0])
                            : att_run_tokenizers(&j->run, tokenizer, vocabulary);
    if (status == ATT_OK) return att_language_assemble(r, tokenizer[0], vocabulary[0], 1, &j->run.exec, NULL, &j->l);
    att_tokenizer_destroy(tokenizer[0]);
    return status;
}

static att_status prepare(training *j)
{
    const att_recipe *r = j->run.recipe;
    void *block;
    ATT_TRY(att_texts_of_recipe(r, "train", &j->texts));
    ATT_TRY(att_texts_of_recipe(r, "valid", &j->valid_texts));
    ATT_TRY(assemble(j));
    ATT_TRY(att_windows_create(j->l, &j->texts, &j->train));
    ATT_TRY(att_windows_create(j->l, &j->valid_texts, &j->valid));
    j->B = att_max64(1, att_min64(r->run.batch_sentences, r->run.batch_tokens / j->train.T));
    ATT_TRY(att_new_array(NULL, (size_t)j->B, sizeof *j->start, &block));
    j->start = block;
    att_run_note(&j->run, "%lld training tokens, %lld for validation, windows of %lld", (long long)j->train.n,
                 (long long)j->valid.n, (long long)j->train.T);
    att_run_note(&j->run, "a vocabulary of %lld tokens, %lld parameters",
                 (long long)att_tokenizer_size(j->l->tokenizer),
                 (long long)att_params_elements(att_transformer_params(j->l->model)));
    return describe_words(j);
}

static void release(training *j)
{
    att_run_release(&j->run);
    att_texts_free(&j->texts);
    att_texts_free(&j->valid_texts);
    att_windows_free(&j->train);
    att_windows_free(&j->valid);
    att_free(NULL, j->start, (size_t)j->B * sizeof *j->start);
    att_text_free(NULL, j->words);
    att_language_destroy(j->l);
}

att_status att_train_language(const att_recipe *recipe, const att_exec *exec, int resume,
                              const att_training_hooks *hooks)
{
    training j = {0};
    att_status status = att_run_begin(&j.run, recipe, exec, resume, hooks);
    if (status == ATT_OK) status = prepare(&j);
    if (status == ATT_OK) {
        att_train_job job = {.params = att_transformer_params(j.l->model),
                             .plan = plan,
                             .count = count,
                             .loss = loss,
                             .validate = validate};
        status = att_run_train(&j.run, job, j.l->tokenizer, j.l->tokenizer);
    }
    release(&j);
    return status;
}
