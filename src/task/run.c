#include "task/run.h"

#include <stdio.h>
#include <string.h>

#include <attend/file.h>

void att_run_note(const att_training_hooks *hooks, const char *format, ...)
{
    char text[256];
    va_list ap;
    if (!hooks || !hooks->note) return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    hooks->note(hooks->ctx, text);
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

att_status att_run_checkpoint(const att_recipe *recipe, char *path, size_t room)
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

att_status att_run_unchanged(const att_recipe *now, const att_recipe *then, const char *path)
{
    const att_options *table = att_recipe_options();
    for (int64_t i = 0; i < table->count; i++) {
        const att_options one = {&table->option[i], 1, table->bytes, 0};
        if (!may_change(one.option->key) && !att_options_equal(&one, now, then))
            return refuse_change(&one, now, then, path);
    }
    return ATT_OK;
}
