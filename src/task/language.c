#include "task/language.h"

#include <string.h>

#include "task/model_file.h"
#include "text/words.h"

bool att_language_masks(const att_language *l)
{
    return l->recipe.task == ATT_TASK_MASKED_LANGUAGE_MODEL;
}

bool att_language_has_lines(const att_language *l)
{
    return l->recipe.data.unit != ATT_UNIT_TEXT;
}

/* A tokeniser without a mask token: the model has one word more. */
static int64_t least_vocabulary(const att_language *l)
{
    int64_t size = att_tokenizer_size(l->tokenizer);
    return size + (att_language_masks(l) && l->mask == size);
}

static att_status build(att_language *l, const att_recipe *recipe, int64_t vocabulary, int with_gradients)
{
    att_transformer_config config;
    ATT_TRY(att_options_copy(att_recipe_options(), &l->recipe, recipe));
    ATT_REQUIRE(recipe->task != ATT_TASK_TRANSLATION, ATT_E_VALUE, "task: translation, expected a language model");
    ATT_REQUIRE(recipe->kind == ATT_MODEL_TRANSFORMER, ATT_E_VALUE,
                "model.kind: seq2seq, expected transformer for a language model");
    l->mask = att_tokenizer_role(l->tokenizer, ATT_ROLE_MASK);
    if (l->mask < 0) l->mask = (int32_t)att_tokenizer_size(l->tokenizer);
    att_recipe_transformer(recipe, &config);
    int64_t least = least_vocabulary(l);
    ATT_REQUIRE(vocabulary == 0 || vocabulary >= least, ATT_E_FORMAT,
                "the model knows %lld words, its tokeniser %lld: expected no more than the model",
                (long long)vocabulary, (long long)least);
    config.source_vocabulary = config.target_vocabulary = vocabulary ? vocabulary : least;
    ATT_TRY(att_transformer_create(&config, (uint64_t)recipe->train.seed, with_gradients, l->allocator, &l->model));
    return att_tape_create(&l->exec, l->allocator, &l->tape);
}

att_status att_language_assemble(const att_recipe *recipe, att_tokenizer *tokenizer, int64_t vocabulary,
                                 int with_gradients, const att_exec *exec, const att_allocator *allocator,
                                 att_language **out)
{
    void *block = NULL;
    *out = NULL;
    att_status status = att_alloc_zero(allocator, sizeof **out, &block);
    if (status != ATT_OK) {
        att_tokenizer_destroy(tokenizer);
        return status;
    }
    att_language *l = block;
    *l = (att_language){.allocator = allocator, .tokenizer = tokenizer};
    if (exec) l->exec = *exec;
    status = build(l, recipe, vocabulary, with_gradients);
    if (status != ATT_OK) {
        att_language_destroy(l);
        return status;
    }
    *out = l;
    return ATT_OK;
}

att_status att_language_create(const att_recipe *recipe, att_tokenizer *tokenizer, const att_exec *exec,
                               const att_allocator *allocator, att_language **out)
{
    return att_language_assemble(recipe, tokenizer, 0, 0, exec, allocator, out);
}

void att_language_destroy(att_language *l)
{
    if (!l) return;
    att_tape_destroy(l->tape);
    att_transformer_destroy(l->model);
    att_tokenizer_destroy(l->tokenizer);
    att_words_destroy(l->words);
    att_options_free(att_recipe_options(), &l->recipe);
    att_free(l->allocator, l, sizeof *l);
}

const att_recipe *att_language_recipe(const att_language *l)
{
    return &l->recipe;
}

const att_transformer *att_language_model(const att_language *l)
{
    return l->model;
}

const att_tokenizer *att_language_tokenizer(const att_language *l)
{
    return l->tokenizer;
}

const att_words *att_language_words(const att_language *l)
{
    return l->words;
}

/* ---- loading ---- */

static att_status load_with_recipe(att_file *file, const char *path, const att_recipe *recipe, const att_exec *exec,
                                   const att_allocator *allocator, att_language **out)
{
    const char *json;
    att_tokenizer *tokenizer;
    ATT_TRY(att_model_metadata(file, path, "attend.tokenizer", &json));
    ATT_TRY(att_tokenizer_from_json(json, strlen(json), allocator, &tokenizer));
    int64_t vocabulary = att_model_vocabulary(file, recipe, tokenizer);
    ATT_TRY(att_language_assemble(recipe, tokenizer, vocabulary, ATT_PARAMS_LATER, exec, allocator, out));
    att_status status = att_model_weights(file, path, att_transformer_params((*out)->model));
    const char *words = att_file_metadata(file, ATT_WORDS_KEY);
    (*out)->framed = att_file_metadata(file, ATT_MOST_TOKENS) != NULL;
    if (status == ATT_OK && words) status = att_words_from_text(words, allocator, &(*out)->words);
    if (status == ATT_OK) return ATT_OK;
    att_language_destroy(*out);
    *out = NULL;
    return status;
}

static att_status load(att_file *file, const char *path, const att_exec *exec, const att_allocator *allocator,
                       att_language **out)
{
    const char *task;
    att_recipe recipe;
    ATT_TRY(att_model_metadata(file, path, "attend.task", &task));
    ATT_REQUIRE(strcmp(task, "language-model") == 0 || strcmp(task, "masked-language-model") == 0, ATT_E_FORMAT,
                "%s: its task is '%s', expected language-model or masked-language-model", path, task);
    att_status status = att_model_read_recipe(file, path, &recipe);
    if (status == ATT_OK) status = load_with_recipe(file, path, &recipe, exec, allocator, out);
    att_options_free(att_recipe_options(), &recipe);
    return status;
}

att_status att_language_load(const char *path, const att_exec *exec, const att_allocator *allocator, att_language **out)
{
    att_file *file;
    *out = NULL;
    ATT_TRY(att_file_open_with(path, exec, allocator, &file));
    att_status status = load(file, path, exec, allocator, out);
    att_file_close(file);
    return status;
}
