#include "task/run.h"

#include "task/model_file.h"

#include <stdio.h>
#include <string.h>

att_status att_run_begin(att_run *run, const att_recipe *recipe, const att_exec *exec, int resume,
                         const att_training_hooks *hooks)
{
    *run = (att_run){.recipe = &run->own, .hooks = hooks, .resume = resume};
    if (exec) run->exec = *exec;
    ATT_TRY(att_options_copy(att_recipe_options(), &run->own, recipe));
    ATT_REQUIRE(*recipe->run.folder, ATT_E_VALUE, "train.folder: empty, expected where the run is to be kept");
    return att_recipe_resolve(&run->own, resume);
}

void att_run_release(att_run *run)
{
    att_options_free(att_recipe_options(), &run->own);
    att_string_free(run->recipe_json);
    for (int i = 0; i < 2; i++) att_text_free(NULL, run->tokenizer_json[i]);
}

void att_run_note(const att_run *run, const char *format, ...)
{
    char text[256];
    va_list ap;
    if (!run->hooks || !run->hooks->note) return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    run->hooks->note(run->hooks->ctx, text);
}

static att_status describe(void *ctx, const att_metadata **metadata, int64_t *n)
{
    const att_run *run = ctx;
    *metadata = run->metadata;
    *n = run->metadata_count;
    return ATT_OK;
}

static void validated(void *ctx, int64_t step, const att_validation *v, int best)
{
    const att_run *run = ctx;
    if (run->hooks && run->hooks->validated) run->hooks->validated(run->hooks->ctx, step, v, best);
}

static int progress(void *ctx, const att_train_progress *p)
{
    const att_run *run = ctx;
    return run->hooks && run->hooks->progress ? run->hooks->progress(run->hooks->ctx, p) : 0;
}

void att_run_describe(att_run *run, const char *key, const char *text)
{
    run->metadata[run->metadata_count++] = (att_metadata){key, text};
}

static att_status add_tokenizer(att_run *run, const char *key, const att_tokenizer *t, char **json)
{
    ATT_TRY(att_tokenizer_to_json(t, json));
    att_run_describe(run, key, *json);
    return ATT_OK;
}

static att_status make_metadata(att_run *run, const att_tokenizer *source, const att_tokenizer *target)
{
    bool pair = run->recipe->task == ATT_TASK_TRANSLATION;
    ATT_TRY(att_options_to_json(att_recipe_options(), run->recipe, &run->recipe_json));
    att_run_describe(run, "attend.task", att_task_name(run->recipe->task));
    att_run_describe(run, "attend.recipe", run->recipe_json);
    if (run->vocabulary && run->vocabulary != att_tokenizer_size(source)) {
        snprintf(run->vocabulary_text, sizeof run->vocabulary_text, "%lld", (long long)run->vocabulary);
        att_run_describe(run, ATT_VOCABULARY, run->vocabulary_text);
    }
    ATT_TRY(add_tokenizer(run, pair ? ATT_SOURCE_TOKENIZER : ATT_TOKENIZER, source, &run->tokenizer_json[0]));
    return target == source ? ATT_OK : add_tokenizer(run, ATT_TARGET_TOKENIZER, target, &run->tokenizer_json[1]);
}

att_status att_run_train(att_run *run, att_train_job job, const att_tokenizer *source, const att_tokenizer *target)
{
    if (*run->recipe->from && !run->resume) ATT_TRY(att_run_first_weights(run, job.params));
    ATT_TRY(make_metadata(run, source, target));
    job.ctx = run;
    job.describe = describe;
    job.validated = validated;
    job.progress = progress;
    return att_train(&run->recipe->train, &job, &run->exec, run->recipe->run.folder, run->resume);
}

att_status att_run_tokenizer(const att_recipe *r, const char *side, const att_text *lines, int64_t n,
                             att_tokenizer **out)
{
    att_tokenizer_desc desc = {.kind = (att_token_unit)r->text.tokenizer,
                               .normalise = (att_normalise)r->text.normalise,
                               .vocabulary = r->text.vocabulary,
                               .min_count = r->text.min_count,
                               .coverage = r->text.coverage,
                               .cased = r->text.cased};
    att_status status = att_tokenizer_train(&desc, lines, n, NULL, out);
    if (status != ATT_E_VALUE) return status;
    char reason[384];
    snprintf(reason, sizeof reason, "%s", att_last_error());
    return att_fail(status, "text (%s): %s", side, reason);
}
