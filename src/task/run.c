#include "task/run.h"

#include "task/model_file.h"

#include <stdio.h>
#include <string.h>

#include <attend/file.h>

void att_run_begin(att_run *run, const att_recipe *recipe, const att_exec *exec, const att_training_hooks *hooks)
{
    *run = (att_run){.recipe = recipe, .hooks = hooks};
    if (exec) run->exec = *exec;
}

void att_run_release(att_run *run)
{
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
    ATT_TRY(add_tokenizer(run, pair ? ATT_SOURCE_TOKENIZER : ATT_TOKENIZER, source, &run->tokenizer_json[0]));
    return target == source ? ATT_OK : add_tokenizer(run, ATT_TARGET_TOKENIZER, target, &run->tokenizer_json[1]);
}

att_status att_run_train(att_run *run, att_train_job job, const att_tokenizer *source, const att_tokenizer *target,
                         int resume)
{
    ATT_TRY(make_metadata(run, source, target));
    job.ctx = run;
    job.describe = describe;
    job.validated = validated;
    job.progress = progress;
    return att_train(&run->recipe->train, &job, &run->exec, run->recipe->run.folder, resume);
}

att_status att_run_tokenizer(const att_recipe *r, const char *side, const att_text *lines, int64_t n,
                             att_tokenizer **out)
{
    att_tokenizer_desc desc = {.kind = (att_token_unit)r->text.tokenizer,
                               .normalise = (att_normalise)r->text.normalise,
                               .vocabulary = r->text.vocabulary,
                               .min_count = r->text.min_count,
                               .coverage = r->text.coverage};
    att_status status = att_tokenizer_train(&desc, lines, n, NULL, out);
    if (status != ATT_E_VALUE) return status;
    char reason[384];
    snprintf(reason, sizeof reason, "%s", att_last_error());
    return att_fail(status, "text (%s): %s", side, reason);
}

static att_status find_checkpoint(const att_recipe *recipe, char *path, size_t room)
{
    int n = snprintf(path, room, "%s/last.att", recipe->run.folder);
    ATT_REQUIRE(n > 0 && (size_t)n < room, ATT_E_VALUE, "train.folder: the path is too long");
    ATT_REQUIRE(att_file_exists(path), ATT_E_MISSING, "%s: no such file, so there is nothing to resume", path);
    return ATT_OK;
}

/* The keys that a run may change when it is continued: where things are, how long it goes on, what is kept, and how the
 * model decodes later. Any other would make it a run that no recipe describes. */
static bool may_change(const char *key)
{
    static const char *const free_keys[] = {"data.folder",      "data.test",        "train.folder",  "train.steps",
                                            "train.save_every", "train.keep_every", "train.patience"};
    for (size_t i = 0; i < sizeof free_keys / sizeof *free_keys; i++)
        if (strcmp(key, free_keys[i]) == 0) return true;
    return strncmp(key, "decode.", strlen("decode.")) == 0;
}

/* The value inside {"section":{"name":value}}, or {"name":value} for a key without a section. */
static void value_inside(const char *json, const char *key, char *out, size_t room)
{
    bool section = strchr(key, '.') != NULL;
    size_t before = strlen(key) + (section ? strlen("{\"\":{\"\":") - 1 : strlen("{\"\":")), after = section ? 2 : 1;
    snprintf(out, room, "%.*s", (int)(strlen(json) - before - after), json + before);
}

static att_status refuse_change(const att_options *one, const att_recipe *now, const att_recipe *then, const char *path)
{
    const char *key = one->option[0].key;
    char *a = NULL, *b = NULL, found[128], expected[128];
    att_status status = att_options_to_json(one, now, &a);
    if (status == ATT_OK) status = att_options_to_json(one, then, &b);
    if (status == ATT_OK) {
        value_inside(a, key, found, sizeof found);
        value_inside(b, key, expected, sizeof expected);
        status =
            att_fail(ATT_E_VALUE, "%s: %s, expected %s as in %s, which is to be resumed", key, found, expected, path);
    }
    att_string_free(a);
    att_string_free(b);
    return status;
}

static att_status check_unchanged(const att_recipe *now, const att_recipe *then, const char *path)
{
    const att_options *table = att_recipe_options();
    for (int64_t i = 0; i < table->count; i++) {
        const att_options one = {&table->option[i], 1, table->bytes, 0};
        if (!may_change(one.option->key) && !att_options_equal(&one, now, then))
            return refuse_change(&one, now, then, path);
    }
    return ATT_OK;
}

att_status att_run_resume(const att_run *run, att_tokenizer **source, att_tokenizer **target)
{
    char path[4096];
    att_file *file;
    att_recipe then;
    *source = *target = NULL;
    ATT_TRY(find_checkpoint(run->recipe, path, sizeof path));
    ATT_TRY(att_file_open(path, NULL, &file));
    att_status status = att_model_read_recipe(file, path, &then);
    if (status == ATT_OK) status = check_unchanged(run->recipe, &then, path);
    if (status == ATT_OK) status = att_model_read_tokenizers(file, &then, NULL, source, target);
    if (status == ATT_OK && !(*source && *target))
        status = att_fail(ATT_E_FORMAT, "%s: its metadata lacks a tokeniser", path);
    att_options_free(att_recipe_options(), &then);
    att_file_close(file);
    return status;
}
