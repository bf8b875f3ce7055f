/* Training a classifier: texts, classes, vocabulary and model from a recipe, then the loop of train/. */
#include <attend/classify.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <attend/file.h>

#include "task/coded.h"
#include "task/model_file.h"
#include "task/run.h"

#define POOL_LINES 4096 /* sorted by length among themselves: batches stay alike in length and the order random */

enum { STREAM_LINES = 0x6c696e6573, STREAM_PARTS = 0x7061727473 };

typedef struct training {
    att_run run;
    att_pairs train, valid;
    att_model *m;
    char *classes, most[24]; /* as the checkpoints hold them */
    att_coded *list;         /* (lines) */
    int32_t *class;          /* (lines) */
    att_coded *order;        /* (lines): of an epoch, batch after batch; ids are those of `list` */
    int64_t *index;          /* (lines): scratch of the plan */
    int64_t *start, batches; /* (lines + 1): where in `order` each batch starts */
} training;

/* ---- classes ---- */

static int by_bytes(const void *pa, const void *pb)
{
    const att_text *a = pa, *b = pb;
    int order = memcmp(a->data, b->data, a->bytes < b->bytes ? a->bytes : b->bytes);
    return order ? order : a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

/* The different names in order, a line each. */
static att_status join(const att_text *sorted, int64_t n, char **out)
{
    void *block;
    size_t bytes = 0;
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || by_bytes(&sorted[i - 1], &sorted[i])) bytes += sorted[i].bytes + 1;
    ATT_TRY(att_new_array(NULL, bytes + 1, 1, &block));
    char *at = *out = block;
    for (int64_t i = 0; i < n; i++) {
        if (i && by_bytes(&sorted[i - 1], &sorted[i]) == 0) continue;
        memcpy(at, sorted[i].data, sorted[i].bytes);
        at += sorted[i].bytes;
        *at++ = '\n';
    }
    return ATT_OK;
}

static att_status name_classes(training *j)
{
    void *block;
    int64_t n = j->train.count;
    ATT_TRY(att_new_array(NULL, (size_t)n, sizeof(att_text), &block));
    att_text *sorted = memcpy(block, j->train.target, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_bytes); /* a corpus has a pair at least */
    bool one = by_bytes(&sorted[0], &sorted[n - 1]) == 0;
    att_status status = join(sorted, n, &j->classes);
    att_free(NULL, block, 0);
    ATT_REQUIRE(!one, ATT_E_VALUE, "data.train: all pairs are of one class, expected two at least");
    return status == ATT_OK ? att_model_name_classes(j->m, j->classes) : status;
}

/* ---- batches ---- */

static att_status new_array(int64_t n, size_t size, void *out)
{
    void *block;
    ATT_TRY(att_new_array(NULL, (size_t)n, size, &block));
    *(void **)out = block;
    return ATT_OK;
}

/* Cut `order` where a batch would have too many lines, or tokens with padding. */
static void cut(training *j)
{
    const att_recipe *r = j->run.recipe;
    int64_t longest = 0, n = j->train.count;
    j->batches = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t count = i - j->start[j->batches] + 1;
        longest = att_max64(longest, j->order[i].n);
        if (count == 1 || (count <= r->run.batch_sentences && count * longest <= r->run.batch_tokens)) continue;
        j->start[++j->batches] = i;
        longest = j->order[i].n;
    }
    if (n > 0) j->start[++j->batches] = n;
}

/* Batches in random order: start[] holds where each ends too, so they are drawn, not moved. */
static att_status plan(void *ctx, int64_t epoch, int64_t *batches)
{
    training *j = ctx;
    int64_t n = j->train.count;
    att_random r = {.seed = att_random_mix((uint64_t)j->run.recipe->train.seed, (uint64_t)epoch),
                    .stream = STREAM_LINES};
    att_random_shuffle(&r, j->index, n);
    for (int64_t i = 0; i < n; i++) j->order[i] = j->list[j->index[i]];
    for (int64_t at = 0; at < n; at += POOL_LINES) att_coded_sort(j->order + at, att_min64(POOL_LINES, n - at));
    cut(j);
    r.stream = STREAM_PARTS;
    r.next = 0;
    att_random_shuffle(&r, j->index, j->batches);
    *batches = j->batches;
    return ATT_OK;
}

static const att_coded *batch_at(const training *j, int64_t batch, int64_t *B)
{
    int64_t i = j->index[batch];
    *B = j->start[i + 1] - j->start[i];
    return j->order + j->start[i];
}

/* ---- the job ---- */

static int64_t count(void *ctx, int64_t batch)
{
    int64_t B;
    batch_at(ctx, batch, &B);
    return B;
}

static att_status loss(void *ctx, att_tape *tape, int64_t batch, double scale, uint64_t seed, att_loss *out)
{
    training *j = ctx;
    int64_t B;
    const att_coded *lines = batch_at(j, batch, &B);
    int32_t *class = att_tape_alloc(tape, (size_t)B * sizeof *class);
    *out = (att_loss){0};
    if (!class) return att_tape_status(tape);
    for (int64_t b = 0; b < B; b++) class[b] = j->class[lines[b].line];
    att_view target = att_view_1d(class, ATT_I32, B);
    att_node *logits = att_transformer_classify(tape, j->m->network, att_coded_states(j->m, tape, lines, B, seed));
    att_tape_cross_entropy(tape, logits, &target, j->run.recipe->run.smoothing, scale, out);
    return att_tape_status(tape);
}

static att_status validate(void *ctx, att_validation *out)
{
    training *j = ctx;
    att_classification c;
    att_pairs some = j->valid;
    some.count = att_min64(some.count, j->run.recipe->run.valid_sentences);
    ATT_TRY(att_model_classify_evaluate(j->m, &some, &c, NULL, NULL, NULL));
    att_score_value by_loss = {"loss", c.loss}, by_accuracy = {"accuracy", 100.0 * c.accuracy};
    bool first = j->run.recipe->run.metric == ATT_METRIC_LOSS;
    *out = (att_validation){.score = {first ? by_loss : by_accuracy, first ? by_accuracy : by_loss, {"f1", 100 * c.f1}},
                            .count = 3,
                            .lower_is_better = first};
    return ATT_OK;
}

/* ---- beginning and end ---- */

static att_status make_network(training *j, int64_t vocabulary)
{
    const att_recipe *r = &j->m->recipe;
    att_model *m = j->m;
    att_transformer_config config;
    att_recipe_transformer(r, &config);
    config.source_vocabulary = config.target_vocabulary = vocabulary;
    config.classes = m->classes;
    m->most = att_min64(config.context, r->data.max_length);
    ATT_REQUIRE(r->kind == ATT_MODEL_TRANSFORMER, ATT_E_VALUE,
                "model.kind: seq2seq, expected transformer for classification");
    ATT_TRY(att_transformer_create(&config, (uint64_t)r->train.seed, 1, NULL, &m->network));
    return att_tape_create(&m->exec, NULL, &m->tape);
}

static att_status make_model(training *j)
{
    const att_recipe *r = j->run.recipe;
    att_tokenizer *tokenizer[2] = {NULL, NULL};
    int64_t vocabulary[2] = {0, 0};
    void *block;
    ATT_TRY(att_alloc_zero(NULL, sizeof *j->m, &block));
    j->m = block;
    j->m->exec = j->run.exec;
    ATT_TRY(att_options_copy(att_recipe_options(), &j->m->recipe, r));
    ATT_TRY(name_classes(j));
    att_status status = att_run_is_new(&j->run)
                            ? att_run_tokenizer(r, "texts", j->train.source, j->train.count, &tokenizer[0])
                            : att_run_tokenizers(&j->run, tokenizer, vocabulary);
    j->m->source = j->m->target = tokenizer[0];
    ATT_TRY(status);
    return make_network(j, vocabulary[0] ? vocabulary[0] : att_tokenizer_size(tokenizer[0]));
}

static att_status make_batches(training *j)
{
    int64_t n = j->train.count;
    ATT_TRY(new_array(n, sizeof *j->class, &j->class));
    ATT_TRY(new_array(n, sizeof *j->order, &j->order));
    ATT_TRY(new_array(n, sizeof *j->index, &j->index));
    ATT_TRY(new_array(n + 1, sizeof *j->start, &j->start));
    ATT_TRY(att_model_find_classes(j->m, &j->train, j->class));
    return att_coded_create(j->m, j->train.source, n, &j->list);
}

static att_status prepare(training *j)
{
    ATT_REQUIRE(j->run.recipe->task == ATT_TASK_CLASSIFICATION, ATT_E_VALUE, "task: %s, expected classification",
                att_task_name(j->run.recipe->task));
    ATT_TRY(att_recipe_pairs(j->run.recipe, "train", &j->train));
    ATT_TRY(att_recipe_pairs(j->run.recipe, "valid", &j->valid));
    ATT_TRY(make_model(j));
    ATT_TRY(make_batches(j));
    att_run_note(&j->run, "%lld training texts of %lld classes, %lld for validation", (long long)j->train.count,
                 (long long)j->m->classes, (long long)j->valid.count);
    att_run_note(&j->run, "a vocabulary of %lld tokens, %lld parameters", (long long)att_tokenizer_size(j->m->source),
                 (long long)att_params_elements(att_transformer_params(j->m->network)));
    att_run_describe(&j->run, ATT_CLASSES, j->classes);
    snprintf(j->most, sizeof j->most, "%lld", (long long)j->m->most);
    att_run_describe(&j->run, ATT_MOST_TOKENS, j->most);
    return ATT_OK;
}

static void release(training *j)
{
    att_run_release(&j->run);
    att_coded_destroy(j->list, j->train.count);
    att_free(NULL, j->class, 0);
    att_free(NULL, j->order, 0);
    att_free(NULL, j->index, 0);
    att_free(NULL, j->start, 0);
    att_free(NULL, j->classes, 0);
    att_model_destroy(j->m);
    att_pairs_free(&j->train);
    att_pairs_free(&j->valid);
}

att_status att_train_classifier(const att_recipe *recipe, const att_exec *exec, int resume,
                                const att_training_hooks *hooks)
{
    training j = {0};
    att_status status = att_run_begin(&j.run, recipe, exec, resume, hooks);
    if (status == ATT_OK) status = prepare(&j);
    if (status == ATT_OK) {
        att_train_job job = {.params = att_transformer_params(j.m->network),
                             .plan = plan,
                             .count = count,
                             .loss = loss,
                             .validate = validate};
        status = att_run_train(&j.run, job, j.m->source, j.m->source);
    }
    release(&j);
    return status;
}
