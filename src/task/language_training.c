/* Training a language model: text, vocabulary and model from a recipe, then the loop of train/. */
#include <stdio.h>
#include <string.h>

#include <attend/file.h>

#include "task/language.h"
#include "task/run.h"
#include "text/words.h"

enum { STREAM_WINDOWS = 0x77696e64 };

typedef struct training {
    const att_recipe *recipe;
    const att_training_hooks *hooks;
    att_exec exec;
    att_texts texts, valid_texts;
    att_windows train, valid;
    att_language *l;
    int64_t B, epoch;
    int64_t *start; /* (B) */
    char *recipe_json, *tokenizer_json;
    char *words;
    att_metadata metadata[4];
    int64_t metadata_count;
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
    uint64_t epoch_seed = att_random_mix((uint64_t)j->recipe->train.seed, (uint64_t)j->epoch);
    att_random r = {.seed = epoch_seed, .stream = att_random_mix(STREAM_WINDOWS, (uint64_t)batch)};
    for (int64_t b = 0; b < j->B; b++) j->start[b] = att_windows_draw(&j->train, &r);
    return att_windows_loss(j->l, &j->train, tape, j->start, NULL, j->B, att_random_mix(epoch_seed, (uint64_t)batch),
                            j->recipe->run.smoothing, scale, seed, out);
}

static att_status validate(void *ctx, att_validation *out)
{
    training *j = ctx;
    att_language_score s;
    ATT_TRY(att_windows_evaluate(j->l, &j->valid, j->recipe->run.valid_sentences, &s));
    *out = (att_validation){.score = {{"loss", s.loss}, {"perplexity", s.perplexity}, {"accuracy", 100.0 * s.accuracy}},
                            .count = 3,
                            .lower_is_better = 1};
    if (!att_language_masks(j->l)) out->score[out->count++] = (att_score_value){"bits_per_byte", s.bits_per_byte};
    return ATT_OK;
}

static att_status describe(void *ctx, const att_metadata **metadata, int64_t *n)
{
    training *j = ctx;
    *metadata = j->metadata;
    *n = j->metadata_count;
    return ATT_OK;
}

static void validated(void *ctx, int64_t step, const att_validation *v, int best)
{
    const training *j = ctx;
    if (j->hooks && j->hooks->validated) j->hooks->validated(j->hooks->ctx, step, v, best);
}

static int progress(void *ctx, const att_train_progress *p)
{
    const training *j = ctx;
    return j->hooks && j->hooks->progress ? j->hooks->progress(j->hooks->ctx, p) : 0;
}

/* ---- beginning and end ---- */

static att_status make_tokenizer(training *j, int resume, att_tokenizer **out)
{
    char path[4096];
    att_language *old;
    if (!resume) return att_run_tokenizer(j->recipe, "training text", j->texts.text, j->texts.count, out);
    ATT_TRY(att_run_checkpoint(j->recipe, path, sizeof path));
    ATT_TRY(att_language_load(path, NULL, NULL, &old));
    att_status status = att_run_unchanged(j->recipe, &old->recipe, path);
    if (status == ATT_OK) {
        *out = old->tokenizer;
        old->tokenizer = NULL;
    }
    att_language_destroy(old);
    return status;
}

static att_status make_metadata(training *j)
{
    ATT_TRY(att_options_to_json(att_recipe_options(), j->recipe, &j->recipe_json));
    ATT_TRY(att_tokenizer_to_json(j->l->tokenizer, &j->tokenizer_json));
    j->metadata[0] =
        (att_metadata){"attend.task", att_language_masks(j->l) ? "masked-language-model" : "language-model"};
    j->metadata[1] = (att_metadata){"attend.recipe", j->recipe_json};
    j->metadata[2] = (att_metadata){"attend.tokenizer", j->tokenizer_json};
    j->metadata_count = 3;
    if (!j->texts.words) return ATT_OK;
    ATT_TRY(att_words_to_text(j->texts.words, &j->words));
    j->metadata[j->metadata_count++] = (att_metadata){ATT_WORDS_KEY, j->words};
    return ATT_OK;
}

static att_status prepare(training *j, int resume)
{
    const att_recipe *r = j->recipe;
    att_tokenizer *tokenizer;
    void *block;
    ATT_REQUIRE(*r->run.folder, ATT_E_VALUE, "train.folder: empty, expected where the run is to be kept");
    ATT_TRY(att_texts_of_recipe(r, "train", &j->texts));
    ATT_TRY(att_texts_of_recipe(r, "valid", &j->valid_texts));
    ATT_TRY(make_tokenizer(j, resume, &tokenizer));
    ATT_TRY(att_language_assemble(r, tokenizer, 1, &j->exec, NULL, &j->l));
    ATT_TRY(att_windows_create(j->l, &j->texts, &j->train));
    ATT_TRY(att_windows_create(j->l, &j->valid_texts, &j->valid));
    j->B = att_max64(1, att_min64(r->run.batch_sentences, r->run.batch_tokens / j->train.T));
    ATT_TRY(att_new_array(NULL, (size_t)j->B, sizeof *j->start, &block));
    j->start = block;
    att_run_note(j->hooks, "%lld training tokens, %lld for validation, windows of %lld", (long long)j->train.n,
                 (long long)j->valid.n, (long long)j->train.T);
    att_run_note(j->hooks, "a vocabulary of %lld tokens, %lld parameters", (long long)att_tokenizer_size(tokenizer),
                 (long long)att_params_elements(att_transformer_params(j->l->model)));
    return make_metadata(j);
}

static void release(training *j)
{
    att_texts_free(&j->texts);
    att_texts_free(&j->valid_texts);
    att_windows_free(&j->train);
    att_windows_free(&j->valid);
    att_free(NULL, j->start, (size_t)j->B * sizeof *j->start);
    att_string_free(j->recipe_json);
    att_text_free(NULL, j->tokenizer_json);
    att_text_free(NULL, j->words);
    att_language_destroy(j->l);
}

att_status att_train_language(const att_recipe *recipe, const att_exec *exec, int resume,
                              const att_training_hooks *hooks)
{
    training j = {.recipe = recipe, .hooks = hooks};
    if (exec) j.exec = *exec;
    att_status status = prepare(&j, resume);
    if (status == ATT_OK) {
        att_train_job job = {.ctx = &j,
                             .params = att_transformer_params(j.l->model),
                             .plan = plan,
                             .count = count,
                             .loss = loss,
                             .validate = validate,
                             .describe = describe,
                             .validated = validated,
                             .progress = progress};
        status = att_train(&recipe->train, &job, exec, recipe->run.folder, resume);
    }
    release(&j);
    return status;
}
