#include "task/model_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tape/params.h"

#define MODEL_PREFIX "model."

const char *att_task_name(int task)
{
    static const char *const name[] = {"translation", "language-model", "masked-language-model", "classification"};
    return name[task];
}

att_status att_model_metadata(const att_file *file, const char *path, const char *key, const char **out)
{
    *out = att_file_metadata(file, key);
    ATT_REQUIRE(*out, ATT_E_FORMAT, "%s: not a model that was trained: its metadata lacks '%s'", path, key);
    return ATT_OK;
}

att_status att_model_read_recipe(const att_file *file, const char *path, att_recipe *out)
{
    const char *json;
    ATT_TRY(att_options_init(att_recipe_options(), out));
    ATT_TRY(att_model_metadata(file, path, "attend.recipe", &json));
    return att_options_from_json(att_recipe_options(), out, json, strlen(json));
}

static att_status read_tokenizer(const att_file *file, const char *key, const att_allocator *allocator,
                                 att_tokenizer **out)
{
    const char *json = att_file_metadata(file, key);
    *out = NULL;
    return json ? att_tokenizer_from_json(json, strlen(json), allocator, out) : ATT_OK;
}

att_status att_model_read_tokenizers(const att_file *file, const att_recipe *recipe, const att_allocator *allocator,
                                     att_tokenizer **source, att_tokenizer **target)
{
    bool pair = recipe->task == ATT_TASK_TRANSLATION;
    *source = *target = NULL;
    ATT_TRY(read_tokenizer(file, pair ? ATT_SOURCE_TOKENIZER : ATT_TOKENIZER, allocator, source));
    if (pair && !recipe->text.shared) return read_tokenizer(file, ATT_TARGET_TOKENIZER, allocator, target);
    *target = *source;
    return ATT_OK;
}

int64_t att_model_vocabulary(const att_file *file, const att_recipe *recipe, const att_tokenizer *tokenizer)
{
    const char *said = att_file_metadata(file, ATT_VOCABULARY);
    long long n = said ? atoll(said) : 0;
    bool masks = recipe->task == ATT_TASK_MASKED_LANGUAGE_MODEL;
    if (n > 0 || !tokenizer) return n;
    return att_tokenizer_size(tokenizer) + (masks && att_tokenizer_role(tokenizer, ATT_ROLE_MASK) < 0);
}

static att_status find_weights(const att_file *file, const char *path, const att_parameter *p, att_view *from)
{
    char name[192];
    const att_view *to = att_parameter_value(p);
    snprintf(name, sizeof name, MODEL_PREFIX "%s", att_parameter_name(p));
    ATT_TRY(att_file_tensor(file, name, from));
    bool same = from->dtype == ATT_F32 && from->ndim == to->ndim &&
                memcmp(from->dim, to->dim, (size_t)to->ndim * sizeof *to->dim) == 0;
    ATT_REQUIRE(same, ATT_E_FORMAT, "%s: tensor '%s' has another shape or type than the model's configuration says",
                path, name);
    return ATT_OK;
}

att_status att_model_weight(const att_file *file, const char *path, const att_parameter *p)
{
    att_view from;
    ATT_TRY(find_weights(file, path, p, &from));
    memcpy(att_parameter_value(p)->data, from.data, (size_t)att_view_count(&from) * sizeof(float));
    return ATT_OK;
}

/* The values stay where the file was read to, unless most of the file is something else: a checkpoint's moments. */
att_status att_model_weights(att_file *file, const char *path, att_params *params)
{
    att_view from;
    bool take = att_file_memory(file) / sizeof(float) / 2 <= (size_t)att_params_elements(params);
    for (int64_t i = 0; i < att_params_count(params); i++)
        ATT_TRY(find_weights(file, path, att_params_at(params, i), &from));
    if (take)
        att_params_adopt(params, att_file_take_memory(file));
    else
        ATT_TRY(att_params_allocate(params, 0, ATT_PARAMS_ZERO));
    for (int64_t i = 0; i < att_params_count(params); i++) {
        att_parameter *p = att_params_at(params, i);
        ATT_TRY(find_weights(file, path, p, &from));
        if (take)
            att_parameter_place(p, from.data);
        else
            memcpy(att_parameter_value(p)->data, from.data, (size_t)att_view_count(&from) * sizeof(float));
    }
    att_params_changed(params);
    return ATT_OK;
}
