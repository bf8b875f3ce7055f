/* Where a run starts that does not begin with nothing: its own last checkpoint, or the model of model.from. */
#include "task/run.h"

#include <stdio.h>
#include <string.h>

#include <attend/file.h>

#include "task/model_file.h"

/* The file to start from. */
static att_status find(const att_recipe *recipe, int resume, char *path, size_t room)
{
    int n = resume ? snprintf(path, room, "%s/last.att", recipe->run.folder) : snprintf(path, room, "%s", recipe->from);
    ATT_REQUIRE(n > 0 && (size_t)n < room, ATT_E_VALUE, "%s: the path is too long",
                resume ? "train.folder" : "model.from");
    ATT_REQUIRE(!resume || att_file_exists(path), ATT_E_MISSING, "%s: no such file, so there is nothing to resume",
                path);
    return ATT_OK;
}

/* The value inside {"section":{"name":value}}, or {"name":value} for a key without a section. */
static void value_inside(const char *json, const char *key, char *out, size_t room)
{
    bool section = strchr(key, '.') != NULL;
    size_t before = strlen(key) + (section ? strlen("{\"\":{\"\":") - 1 : strlen("{\"\":")), after = section ? 2 : 1;
    snprintf(out, room, "%.*s", (int)(strlen(json) - before - after), json + before);
}

static att_status refuse_change(const att_options *one, const att_recipe *now, const att_recipe *then, const char *path,
                                const char *why)
{
    const char *key = one->option[0].key;
    char *a = NULL, *b = NULL, found[128], expected[128];
    att_status status = att_options_to_json(one, now, &a);
    if (status == ATT_OK) status = att_options_to_json(one, then, &b);
    if (status == ATT_OK) {
        value_inside(a, key, found, sizeof found);
        value_inside(b, key, expected, sizeof expected);
        status = att_fail(ATT_E_VALUE, "%s: %s, expected %s as in %s, %s", key, found, expected, path, why);
    }
    att_string_free(a);
    att_string_free(b);
    return status;
}

/* ---- what may change when a run is continued ---- */

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

static att_status check_unchanged(const att_recipe *now, const att_recipe *then, const char *path)
{
    const att_options *table = att_recipe_options();
    for (int64_t i = 0; i < table->count; i++) {
        const att_options one = {&table->option[i], 1, table->bytes, 0};
        if (!may_change(one.option->key) && !att_options_equal(&one, now, then))
            return refuse_change(&one, now, then, path, "which is to be resumed");
    }
    return ATT_OK;
}

/* ---- the recipe of the model to begin with ---- */

/* A key whose value is the model's, not the new run's. */
static bool belongs_to_model(const char *key)
{
    static const char *const of_run[] = {"model.from",          "model.dropout", "model.attention_dropout",
                                         "model.inner_dropout", "model.init",    "text.dropout"};
    for (size_t i = 0; i < sizeof of_run / sizeof *of_run; i++)
        if (strcmp(key, of_run[i]) == 0) return false;
    return strncmp(key, "model.", 6) == 0 || strncmp(key, "text.", 5) == 0;
}

static att_status copy_option(const att_options *one, att_recipe *to, const att_recipe *from)
{
    char *json;
    ATT_TRY(att_options_to_json(one, from, &json));
    att_status status = att_options_from_json(one, to, json, strlen(json));
    att_string_free(json);
    return status;
}

static att_status adopt(att_recipe *recipe, const att_recipe *model, const att_recipe *preset, const char *path)
{
    const att_options *table = att_recipe_options();
    for (int64_t i = 0; i < table->count; i++) {
        const att_options one = {&table->option[i], 1, table->bytes, 0};
        if (!belongs_to_model(one.option->key) || att_options_equal(&one, recipe, model)) continue;
        if (!att_options_equal(&one, recipe, preset))
            return refuse_change(&one, recipe, model, path, "from which the model is");
        ATT_TRY(copy_option(&one, recipe, model));
    }
    return ATT_OK;
}

static bool same_shape(int a, int b)
{
    bool encoder_a = a == ATT_TASK_MASKED_LANGUAGE_MODEL || a == ATT_TASK_CLASSIFICATION,
         encoder_b = b == ATT_TASK_MASKED_LANGUAGE_MODEL || b == ATT_TASK_CLASSIFICATION;
    return a == b || (encoder_a && encoder_b);
}

static att_status resolve_from(att_recipe *recipe, const char *path, const att_file *file)
{
    att_recipe model, preset;
    att_status status = att_model_read_recipe(file, path, &model);
    if (status == ATT_OK && !same_shape(recipe->task, model.task))
        status = att_fail(ATT_E_VALUE, "model.from: the task of %s is %s, which cannot become %s", path,
                          att_task_name(model.task), att_task_name(recipe->task));
    if (status == ATT_OK) status = att_options_init(att_recipe_options(), &preset);
    if (status == ATT_OK) {
        status = adopt(recipe, &model, &preset, path);
        att_options_free(att_recipe_options(), &preset);
    }
    att_options_free(att_recipe_options(), &model);
    return status;
}

att_status att_recipe_resolve(att_recipe *recipe, int resume)
{
    char path[4200];
    att_file *file;
    if (!*recipe->from) return ATT_OK;
    ATT_TRY(find(recipe, resume, path, sizeof path));
    ATT_TRY(att_file_open(path, NULL, &file));
    att_status status = resolve_from(recipe, path, file);
    att_file_close(file);
    return status;
}

/* ---- tokenisers ---- */

bool att_run_is_new(const att_run *run)
{
    return !run->resume && !*run->recipe->from;
}

static att_status read_tokenizers(att_run *run, const att_file *file, const char *path, att_tokenizer *out[2],
                                  int64_t vocabulary[2])
{
    att_recipe then;
    att_status status = att_model_read_recipe(file, path, &then);
    if (status == ATT_OK && run->resume) status = check_unchanged(run->recipe, &then, path);
    if (status == ATT_OK) status = att_model_read_tokenizers(file, &then, NULL, &out[0], &out[1]);
    if (status == ATT_OK && !(out[0] && out[1]))
        status = att_fail(ATT_E_FORMAT, "%s: its metadata lacks a tokeniser, which text needs", path);
    for (int i = 0; i < 2 && status == ATT_OK; i++) vocabulary[i] = att_model_vocabulary(file, &then, out[i]);
    run->vocabulary = *run->recipe->from ? vocabulary[0] : 0; /* else the recipe says it */
    att_options_free(att_recipe_options(), &then);
    return status;
}

att_status att_run_tokenizers(att_run *run, att_tokenizer *out[2], int64_t vocabulary[2])
{
    char path[4200];
    att_file *file;
    out[0] = out[1] = NULL;
    ATT_TRY(find(run->recipe, run->resume, path, sizeof path));
    ATT_TRY(att_file_open(path, NULL, &file));
    att_status status = read_tokenizers(run, file, path, out, vocabulary);
    att_file_close(file);
    return status;
}

/* ---- weights ---- */

/* Tensors of another shape are errors: the model's sizes are the file's. */
static att_status fill(const att_file *file, const char *path, att_params *params, char *missing, size_t room)
{
    size_t at = 0;
    int64_t found = 0;
    for (int64_t i = 0; i < att_params_count(params); i++) {
        const att_parameter *p = att_params_at(params, i);
        att_status status = att_model_weight(file, path, p);
        found += status == ATT_OK;
        if (status == ATT_OK) continue;
        if (status != ATT_E_MISSING) return status;
        if (at < room) at += (size_t)snprintf(missing + at, room - at, "%s%s", at ? ", " : "", att_parameter_name(p));
    }
    ATT_REQUIRE(found, ATT_E_VALUE, "model.from: %s has no tensor of this model", path);
    att_params_changed(params);
    return ATT_OK;
}

att_status att_run_first_weights(const att_run *run, att_params *params)
{
    char missing[160] = "";
    att_file *file;
    const char *path = run->recipe->from;
    ATT_TRY(att_file_open(path, NULL, &file));
    att_status status = fill(file, path, params, missing, sizeof missing);
    att_file_close(file);
    if (status != ATT_OK) return status;
    att_run_note(run, "the first weights are those of %s%s%s", path, *missing ? "; new: " : "", missing);
    return ATT_OK;
}
