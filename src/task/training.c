/* Training a translator: data, vocabularies and model from a recipe, then the loop of train/. */
#include <stdio.h>
#include <string.h>

#include <attend/file.h>

#include "task/dataset.h"
#include "task/run.h"
#include "task/translator.h"

#define VALID_BATCH_SENTENCES 256

typedef struct training {
    const att_recipe *recipe;
    const att_training_hooks *hooks;
    att_exec exec;
    att_pairs train, valid;
    att_dataset data;
    att_translator *t; /* owns tokenisers and model */
    char *recipe_json, *source_json, *target_json;
    att_metadata metadata[4];
} training;

/* ---- vocabularies ---- */

static att_status train_tokenizers(const training *j, att_tokenizer **source, att_tokenizer **target)
{
    int64_t n = j->train.count;
    void *block;
    *source = *target = NULL;
    if (!j->recipe->text.shared) {
        ATT_TRY(att_run_tokenizer(j->recipe, "source", j->train.source, n, source));
        return att_run_tokenizer(j->recipe, "target", j->train.target, n, target);
    }
    ATT_TRY(att_new_array(NULL, (size_t)n * 2, sizeof(att_text), &block));
    att_text *both = block;
    memcpy(both, j->train.source, (size_t)n * sizeof *both);
    memcpy(both + n, j->train.target, (size_t)n * sizeof *both);
    att_status status = att_run_tokenizer(j->recipe, "both sides", both, 2 * n, source);
    att_free(NULL, both, (size_t)n * 2 * sizeof *both);
    *target = *source;
    return status;
}

/* When a run is continued its vocabularies come from the checkpoint: they do not depend on the data being found again.
 */
static att_status resumed_parts(training *j)
{
    char path[4096];
    att_translator *old;
    ATT_TRY(att_run_checkpoint(j->recipe, path, sizeof path));
    ATT_TRY(att_translator_load(path, &j->exec, NULL, &old));
    att_status status = att_run_unchanged(j->recipe, &old->recipe, path);
    if (status == ATT_OK) {
        att_tokenizer *source = old->source, *target = old->target;
        old->source = old->target = NULL;
        status = att_translator_build(j->recipe, source, target, 1, &j->exec, NULL, &j->t);
    }
    att_translator_destroy(old);
    return status;
}

static att_status fresh_parts(training *j)
{
    att_tokenizer *source, *target;
    att_status status = train_tokenizers(j, &source, &target);
    if (status == ATT_OK) return att_translator_build(j->recipe, source, target, 1, &j->exec, NULL, &j->t);
    if (target != source) att_tokenizer_destroy(target);
    att_tokenizer_destroy(source);
    return status;
}

/* ---- the job ---- */

static att_status plan(void *ctx, int64_t epoch, int64_t *batches)
{
    training *j = ctx;
    const att_recipe *r = j->recipe;
    if (epoch == 0 || r->text.dropout > 0 || j->data.planned == 0)
        ATT_TRY(att_dataset_encode(&j->data, &j->exec, r->text.dropout, (uint64_t)r->train.seed, epoch));
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
    return att_pair_model_loss(&j->t->model, tape, &j->data, batch, j->recipe->run.smoothing, scale, seed, out);
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
        .beam = 1, .n_best = 1, .batch = VALID_BATCH_SENTENCES, .max_length = j->recipe->decode.max_length};
    att_pairs some = j->valid;
    some.count = att_min64(some.count, j->recipe->run.valid_sentences);
    ATT_TRY(att_evaluate(j->t, &greedy, &some, 0, &e, NULL, NULL));
    att_evaluation_free(&e);
    const struct {
        const char *name;
        double value;
    } value[] = {{"loss", e.loss}, {"bleu", e.bleu}, {"chrf", e.chrf}, {"exact", e.exact}};
    int first = j->recipe->run.metric;
    out->lower_is_better = first == ATT_METRIC_LOSS;
    add_score(out, value[first].name, value[first].value);
    for (int i = 0; i < 4; i++)
        if (i != first) add_score(out, value[i].name, value[i].value);
    add_score(out, "accuracy", 100.0 * e.accuracy);
    return ATT_OK;
}

static att_status describe(void *ctx, const att_metadata **metadata, int64_t *n)
{
    training *j = ctx;
    *metadata = j->metadata;
    *n = j->target_json ? 4 : 3;
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

static att_status make_metadata(training *j)
{
    ATT_TRY(att_options_to_json(att_recipe_options(), j->recipe, &j->recipe_json));
    ATT_TRY(att_tokenizer_to_json(j->t->source, &j->source_json));
    if (j->t->target != j->t->source) ATT_TRY(att_tokenizer_to_json(j->t->target, &j->target_json));
    j->metadata[0] = (att_metadata){"attend.task", "translation"};
    j->metadata[1] = (att_metadata){"attend.recipe", j->recipe_json};
    j->metadata[2] = (att_metadata){"attend.source_tokenizer", j->source_json};
    j->metadata[3] = (att_metadata){"attend.target_tokenizer", j->target_json};
    return ATT_OK;
}

static att_status prepare(training *j, int resume)
{
    const att_recipe *r = j->recipe;
    ATT_REQUIRE(*r->run.folder, ATT_E_VALUE, "train.folder: empty, expected where the run is to be kept");
    ATT_TRY(att_recipe_pairs(r, "train", &j->train));
    ATT_TRY(att_recipe_pairs(r, "valid", &j->valid));
    att_run_note(j->hooks, "%lld training pairs, %lld for validation", (long long)j->train.count,
                 (long long)j->valid.count);
    ATT_TRY(resume ? resumed_parts(j) : fresh_parts(j));
    att_run_note(j->hooks, "vocabularies of %lld and %lld tokens, %lld parameters",
                 (long long)att_tokenizer_size(j->t->source), (long long)att_tokenizer_size(j->t->target),
                 (long long)att_params_elements(att_pair_model_params(&j->t->model)));
    ATT_TRY(make_metadata(j));
    return att_dataset_create(&j->train, j->t->source, j->t->target, r->data.max_length, &j->data);
}

static void release(training *j)
{
    att_dataset_destroy(&j->data);
    att_string_free(j->recipe_json);
    att_text_free(NULL, j->source_json);
    att_text_free(NULL, j->target_json);
    att_translator_destroy(j->t);
    att_pairs_free(&j->train);
    att_pairs_free(&j->valid);
}

att_status att_train_translator(const att_recipe *recipe, const att_exec *exec, int resume,
                                const att_training_hooks *hooks)
{
    training j = {.recipe = recipe, .hooks = hooks};
    if (exec) j.exec = *exec;
    att_status status = prepare(&j, resume);
    if (status == ATT_OK) {
        att_train_job job = {.ctx = &j,
                             .params = att_pair_model_params(&j.t->model),
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
