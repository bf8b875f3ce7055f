/* Training a translator: data, vocabularies and model from a recipe, then the loop of train/. */
#include <stdio.h>
#include <string.h>

#include <attend/file.h>

#include "task/dataset.h"
#include "task/run.h"
#include "task/translator.h"

#define VALID_BATCH_SENTENCES 256

typedef struct training {
    att_run run;
    att_pairs train, valid;
    att_dataset data;
    att_translator *t; /* owns tokenisers and model */
} training;

/* ---- vocabularies ---- */

static att_status train_tokenizers(const training *j, att_tokenizer **source, att_tokenizer **target)
{
    int64_t n = j->train.count;
    void *block;
    if (!j->run.recipe->text.shared) {
        ATT_TRY(att_run_tokenizer(j->run.recipe, "source", j->train.source, n, source));
        return att_run_tokenizer(j->run.recipe, "target", j->train.target, n, target);
    }
    ATT_TRY(att_new_array(NULL, (size_t)n * 2, sizeof(att_text), &block));
    att_text *both = block;
    memcpy(both, j->train.source, (size_t)n * sizeof *both);
    memcpy(both + n, j->train.target, (size_t)n * sizeof *both);
    att_status status = att_run_tokenizer(j->run.recipe, "both sides", both, 2 * n, source);
    att_free(NULL, both, (size_t)n * 2 * sizeof *both);
    *target = *source;
    return status;
}

static att_status make_translator(training *j)
{
    att_tokenizer *t[2] = {NULL, NULL};
    int64_t vocabulary[2] = {0, 0};
    att_status status =
        att_run_is_new(&j->run) ? train_tokenizers(j, &t[0], &t[1]) : att_run_tokenizers(&j->run, t, vocabulary);
    if (status == ATT_OK) return att_translator_build(j->run.recipe, t, vocabulary, 1, &j->run.exec, NULL, &j->t);
    if (t[1] != t[0]) att_tokenizer_destroy(t[1]);
    att_tokenizer_destroy(t[0]);
    return status;
}

/* ---- the job ---- */

static att_status plan(void *ctx, int64_t epoch, int64_t *batches)
{
    training *j = ctx;
    const att_recipe *r = j->run.recipe;
    if (epoch == 0 || r->text.dropout > 0 || j->data.planned == 0)
        ATT_TRY(att_dataset_encode(&j->data, &j->run.exec, r->text.dropout, (uint64_t)r->train.seed, epoch));
    att_dataset_plan(&j->data, (att_batch_limits){r->run.batch_tokens, r->run.batch_sentences}, true,
                     (uint64_t)r->train.seed, epoch);
    ATT_REQUIRE(j->data.planned > 0, ATT_E_VALUE, "data.max_length: no training pair is as short as %lld tokens",
                (long long)r->data.max_length);
    *batches = j->data.batches;
    return ATT_OK;
}

static int64_t count(void *ctx, int64_t batch)
{
    return att_dataset_count(&((training *)ctx)->data, batch);
}

static att_status loss(void *ctx, att_tape *tape, int64_t batch, double scale, uint64_t seed, att_loss *out)
{
    training *j = ctx;
    return att_pair_model_loss(&j->t->model, tape, &j->data, batch, j->run.recipe->run.smoothing, scale, seed, out);
}

static void add_score(att_validation *v, const char *name, double value)
{
    v->score[v->count++] = (att_score_value){name, value};
}

static att_status validate(void *ctx, att_validation *out)
{
    training *j = ctx;
    att_evaluation e;
    att_translate_options greedy = {
        .beam = 1, .n_best = 1, .batch = VALID_BATCH_SENTENCES, .max_length = j->run.recipe->decode.max_length};
    att_pairs some = j->valid;
    some.count = att_min64(some.count, j->run.recipe->run.valid_sentences);
    ATT_TRY(att_evaluate(j->t, &greedy, &some, 0, &e, NULL, NULL));
    att_evaluation_free(&e);
    const struct {
        const char *name;
        double value;
    } value[] = {{"loss", e.loss}, {"bleu", e.bleu}, {"chrf", e.chrf}, {"exact", e.exact}};
    int first = j->run.recipe->run.metric;
    out->lower_is_better = first == ATT_METRIC_LOSS;
    add_score(out, value[first].name, value[first].value);
    for (int i = 0; i < 4; i++)
        if (i != first) add_score(out, value[i].name, value[i].value);
    add_score(out, "accuracy", 100.0 * e.accuracy);
    return ATT_OK;
}

/* ---- beginning and end ---- */

static att_status prepare(training *j)
{
    const att_recipe *r = j->run.recipe;
    ATT_TRY(att_recipe_pairs(r, "train", &j->train));
    ATT_TRY(att_recipe_pairs(r, "valid", &j->valid));
    att_run_note(&j->run, "%lld training pairs, %lld for validation", (long long)j->train.count,
                 (long long)j->valid.count);
    ATT_TRY(make_translator(j));
    att_run_note(&j->run, "vocabularies of %lld and %lld tokens, %lld parameters",
                 (long long)att_tokenizer_size(j->t->source), (long long)att_tokenizer_size(j->t->target),
                 (long long)att_params_elements(att_pair_model_params(&j->t->model)));
    return att_dataset_create(&j->train, j->t->source, j->t->target, r->data.max_length, &j->data);
}

static void release(training *j)
{
    att_run_release(&j->run);
    att_dataset_destroy(&j->data);
    att_translator_destroy(j->t);
    att_pairs_free(&j->train);
    att_pairs_free(&j->valid);
}

att_status att_train_translator(const att_recipe *recipe, const att_exec *exec, int resume,
                                const att_training_hooks *hooks)
{
    training j = {0};
    att_status status = att_run_begin(&j.run, recipe, exec, resume, hooks);
    if (status == ATT_OK) status = prepare(&j);
    if (status == ATT_OK) {
        att_train_job job = {.params = att_pair_model_params(&j.t->model),
                             .plan = plan,
                             .count = count,
                             .loss = loss,
                             .validate = validate};
        status = att_run_train(&j.run, job, j.t->source, j.t->target);
    }
    release(&j);
    return status;
}
