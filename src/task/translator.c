#include "task/translator.h"

#include "task/model_file.h"

#include <stdio.h>
#include <string.h>

#include <attend/file.h>

att_status att_translator_assemble(const att_recipe *recipe, att_tokenizer *source, att_tokenizer *target,
                                   att_pair_model model, const att_exec *exec, const att_allocator *allocator,
                                   att_translator **out)
{
    void *block = NULL;
    *out = NULL;
    att_status status = att_alloc_zero(allocator, sizeof **out, &block);
    if (status != ATT_OK) {
        att_pair_model_destroy(&model);
        if (target != source) att_tokenizer_destroy(target);
        att_tokenizer_destroy(source);
        return status;
    }
    att_translator *t = block;
    *t = (att_translator){.allocator = allocator, .source = source, .target = target, .model = model};
    if (exec) t->exec = *exec;
    status = att_options_copy(att_recipe_options(), &t->recipe, recipe);
    if (status == ATT_OK) status = att_tape_create(exec, allocator, &t->encoder);
    if (status == ATT_OK) status = att_tape_create(exec, allocator, &t->decoder);
    if (status != ATT_OK) {
        att_translator_destroy(t);
        return status;
    }
    *out = t;
    return ATT_OK;
}

att_status att_translator_build(const att_recipe *recipe, att_tokenizer *const tokenizer[2],
                                const int64_t vocabulary[2], int with_gradients, const att_exec *exec,
                                const att_allocator *allocator, att_translator **out)
{
    att_tokenizer *source = tokenizer[0], *target = tokenizer[1];
    att_pair_model model;
    int64_t n[2];
    *out = NULL;
    for (int i = 0; i < 2; i++) n[i] = vocabulary[i] ? vocabulary[i] : att_tokenizer_size(tokenizer[i]);
    att_status status = att_pair_model_create(recipe, n[0], n[1], with_gradients, allocator, &model);
    if (status == ATT_OK) return att_translator_assemble(recipe, source, target, model, exec, allocator, out);
    if (target != source) att_tokenizer_destroy(target);
    att_tokenizer_destroy(source);
    return status;
}

att_status att_translator_create(const att_recipe *recipe, att_tokenizer *source, att_tokenizer *target,
                                 const att_exec *exec, const att_allocator *allocator, att_translator **out)
{
    att_tokenizer *const tokenizer[2] = {source, target};
    return att_translator_build(recipe, tokenizer, (int64_t[2]){0, 0}, 0, exec, allocator, out);
}

void att_translator_destroy(att_translator *t)
{
    if (!t) return;
    att_transformer_cache_destroy(t->cache);
    att_tape_destroy(t->encoder);
    att_tape_destroy(t->decoder);
    att_pair_model_destroy(&t->model);
    if (t->target != t->source) att_tokenizer_destroy(t->target);
    att_tokenizer_destroy(t->source);
    att_options_free(att_recipe_options(), &t->recipe);
    att_free(t->allocator, t, sizeof *t);
}

const att_recipe *att_translator_recipe(const att_translator *t)
{
    return &t->recipe;
}

const att_seq2seq *att_translator_model(const att_translator *t)
{
    return t->model.recurrent;
}

const att_transformer *att_translator_transformer(const att_translator *t)
{
    return t->model.transformer;
}

att_params *att_translator_params(const att_translator *t)
{
    return att_pair_model_params(&t->model);
}

int att_translator_attends(const att_translator *t)
{
    return att_pair_model_attends(&t->model);
}

const att_tokenizer *att_translator_tokenizer(const att_translator *t, int target)
{
    return target ? t->target : t->source;
}

void att_translate_defaults(const att_translator *t, att_translate_options *o)
{
    *o = (att_translate_options){.beam = t->recipe.decode.beam,
                                 .n_best = 1,
                                 .max_length = t->recipe.decode.max_length,
                                 .batch = 64,
                                 .length_penalty = t->recipe.decode.length_penalty,
                                 .coverage_penalty = t->recipe.decode.coverage_penalty,
                                 .length_form = t->recipe.decode.length_form,
                                 .stop = t->recipe.decode.stop,
                                 .renormalise = t->recipe.decode.renormalise};
}

/* ---- loading ---- */

/* Tokens without which nothing can be translated. */
static att_status check_roles(const char *path, const char *side, const att_tokenizer *t)
{
    static const char *const name[] = {"pads", "is unknown", "begins a text", "ends a text"};
    ATT_REQUIRE(t, ATT_E_FORMAT, "%s: the model has no %s tokeniser, which text needs; convert a folder that has one",
                path, side);
    for (int role = 0; role < 4; role++)
        ATT_REQUIRE(att_tokenizer_role(t, (att_token_role)role) >= 0, ATT_E_FORMAT,
                    "%s: the %s tokeniser has no token for what %s, expected one", path, side, name[role]);
    return ATT_OK;
}

static att_status load_model(att_file *file, const char *path, const att_recipe *recipe, const att_tokenizer *source,
                             const att_tokenizer *target, const att_allocator *allocator, att_pair_model *out)
{
    ATT_TRY(check_roles(path, "source", source));
    ATT_TRY(check_roles(path, "target", target));
    ATT_TRY(att_pair_model_create(recipe, att_model_vocabulary(file, recipe, source),
                                  att_model_vocabulary(file, recipe, target), ATT_PARAMS_LATER, allocator, out));
    att_status status = att_model_weights(file, path, att_pair_model_params(out));
    if (status != ATT_OK) att_pair_model_destroy(out);
    return status;
}

static att_status load_with_recipe(att_file *file, const char *path, const att_recipe *recipe, const att_exec *exec,
                                   const att_allocator *allocator, att_translator **out)
{
    att_tokenizer *source = NULL, *target = NULL;
    att_pair_model model = {0};
    att_status status = att_model_read_tokenizers(file, recipe, allocator, &source, &target);
    if (status == ATT_OK) status = load_model(file, path, recipe, source, target, allocator, &model);
    if (status == ATT_OK) return att_translator_assemble(recipe, source, target, model, exec, allocator, out);
    if (target != source) att_tokenizer_destroy(target);
    att_tokenizer_destroy(source);
    return status;
}

static att_status load(att_file *file, const char *path, const att_exec *exec, const att_allocator *allocator,
                       att_translator **out)
{
    const char *task;
    att_recipe recipe;
    ATT_TRY(att_model_metadata(file, path, "attend.task", &task));
    ATT_REQUIRE(strcmp(task, "translation") == 0, ATT_E_FORMAT, "%s: its task is '%s', expected translation", path,
                task);
    att_status status = att_model_read_recipe(file, path, &recipe);
    if (status == ATT_OK) status = load_with_recipe(file, path, &recipe, exec, allocator, out);
    att_options_free(att_recipe_options(), &recipe);
    return status;
}

att_status att_translator_load(const char *path, const att_exec *exec, const att_allocator *allocator,
                               att_translator **out)
{
    att_file *file;
    *out = NULL;
    ATT_TRY(att_file_open_with(path, exec, allocator, &file));
    att_status status = load(file, path, exec, allocator, out);
    att_file_close(file);
    return status;
}
