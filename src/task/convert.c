/* A folder of Hugging Face's becomes a model file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <attend/convert.h>
#include <attend/file.h>
#include <attend/text.h>

#include "base/half.h"
#include "task/hub.h"
#include "task/model_file.h"
#include "text/tokenizer.h"

enum { MOST_PATH = 4096, MOST_NAME = 256, MOST_METADATA = 8 };

typedef struct import {
    const char *folder;
    const att_allocator *allocator;
    att_file **file; /* (files) the parts of the weights */
    size_t files;
    att_hub hub;
    att_tokenizer *source, *target; /* of a Marian model two, else the same one; NULL: the folder has none */
    att_transformer *model;
    bool *used[64]; /* of each part's tensors */
} import;

static att_status path_of(const import *m, const char *name, char out[MOST_PATH])
{
    int n = snprintf(out, MOST_PATH, "%s/%s", m->folder, name);
    ATT_REQUIRE(n > 0 && n < MOST_PATH, ATT_E_VALUE, "folder: the path is too long");
    return ATT_OK;
}

static att_status load_json(const char *path, json_t **out)
{
    json_error_t error;
    *out = NULL;
    ATT_REQUIRE(att_file_exists(path), ATT_E_MISSING, "%s: no such file", path);
    *out = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    ATT_REQUIRE(*out, ATT_E_FORMAT, "%s:%d: not JSON: %s", path, error.line, error.text);
    return ATT_OK;
}

/* ---- weights ---- */

static att_status open_part(import *m, const char *name)
{
    char path[MOST_PATH];
    void *block;
    ATT_REQUIRE(m->files < 64, ATT_E_UNSUPPORTED, "%s: more than 64 parts of the weights", m->folder);
    ATT_REQUIRE(!strchr(name, '/'), ATT_E_FORMAT, "%s: the part \"%s\", expected a file of the folder", m->folder,
                name);
    ATT_TRY(path_of(m, name, path));
    ATT_TRY(att_file_open(path, m->allocator, &m->file[m->files]));
    size_t tensors = (size_t)att_file_count(m->file[m->files++]);
    ATT_TRY(att_new_array(m->allocator, tensors + 1, sizeof(bool), &block));
    m->used[m->files - 1] = block;
    return ATT_OK;
}

/* Every file that the index names, once. */
static att_status open_parts(import *m, const json_t *index, const char *path)
{
    json_t *map = json_object_get(index, "weight_map"), *names = json_object(), *value;
    const char *key;
    att_status status = json_is_object(map) ? ATT_OK : att_fail(ATT_E_FORMAT, "%s: no \"weight_map\"", path);
    json_object_foreach(map, key, value)
    {
        const char *name = json_string_value(value);
        if (status != ATT_OK || (name && json_object_get(names, name))) continue;
        status = name ? open_part(m, name) : att_fail(ATT_E_FORMAT, "%s: \"%s\" has no file", path, key);
        if (name) json_object_set_new(names, name, json_true());
    }
    json_decref(names);
    return status;
}

static att_status open_weights(import *m)
{
    char one[MOST_PATH], many[MOST_PATH];
    json_t *index;
    void *block;
    ATT_TRY(att_new_array(m->allocator, 64, sizeof *m->file, &block));
    m->file = block;
    ATT_TRY(path_of(m, "model.safetensors", one));
    ATT_TRY(path_of(m, "model.safetensors.index.json", many));
    if (att_file_exists(one)) return open_part(m, "model.safetensors");
    ATT_REQUIRE(att_file_exists(many), ATT_E_MISSING, "%s: no such file, nor %s; weights in other formats are not read",
                one, many);
    ATT_TRY(load_json(many, &index));
    att_status status = open_parts(m, index, many);
    json_decref(index);
    return status;
}

static const att_file_entry *find_exact(const import *m, const char *name, bool mark)
{
    for (size_t f = 0; f < m->files; f++)
        for (int64_t i = 0; i < att_file_count(m->file[f]); i++)
            if (strcmp(att_file_name(m->file[f], i), name) == 0) {
                if (mark) m->used[f][i] = true;
                return att_file_entry_at(m->file[f], i);
            }
    return NULL;
}

/* A model alone ("GPT2Model") leaves the first part of the names away; old BERTs call a norm's weights gamma, beta. */
static const att_file_entry *find(const import *m, const char *name, bool mark)
{
    const char *rest = strchr(name, '.');
    char old[MOST_NAME];
    const att_file_entry *e = find_exact(m, name, mark);
    if (!e && rest) e = find_exact(m, rest + 1, mark);
    const char *norm = strstr(name, "LayerNorm.");
    if (e || !norm || norm > name + 200) return e;
    snprintf(old, sizeof old, "%.*sLayerNorm.%s", (int)(norm - name), name, strstr(norm, ".weight") ? "gamma" : "beta");
    return find(m, old, mark);
}

static float element(const att_file_entry *e, int64_t i)
{
    if (strcmp(e->dtype, "F32") == 0) return ((const float *)e->data)[i];
    if (strcmp(e->dtype, "F64") == 0) return (float)((const double *)e->data)[i];
    uint16_t bits = ((const uint16_t *)e->data)[i];
    return strcmp(e->dtype, "F16") == 0 ? att_float_of_f16(bits) : att_float_of_bf16(bits);
}

static int64_t count_of(const att_file_entry *e)
{
    int64_t n = 1;
    for (int64_t i = 0; i < e->ndim; i++) n *= e->dim[i];
    return n;
}

static att_status check_entry(const att_file_entry *e, int64_t rows, int64_t cols)
{
    static const char *const known[] = {"F32", "F64", "F16", "BF16"};
    bool found = false;
    for (size_t i = 0; i < 4; i++) found |= strcmp(e->dtype, known[i]) == 0;
    ATT_REQUIRE(found, ATT_E_UNSUPPORTED, "%s: elements of type %s, expected F32, F64, F16 or BF16", e->name, e->dtype);
    bool flat = e->ndim == 1 || (e->ndim == 2 && e->dim[0] == 1 && rows == 1);
    bool same = flat ? rows == 1 && count_of(e) == cols : e->ndim == 2 && e->dim[0] == rows && e->dim[1] == cols;
    ATT_REQUIRE(same, ATT_E_FORMAT, "%s: %lld dimensions of %lld elements, expected (%lld,%lld) as config.json says",
                e->name, (long long)e->ndim, (long long)count_of(e), (long long)rows, (long long)cols);
    return ATT_OK;
}

/* Columns at .. at+cols of `to` (rows, width) from one tensor. */
static void fill(float *to, int64_t rows, int64_t width, int64_t at, int64_t cols, const att_file_entry *e, bool turned)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) to[i * width + at + j] = element(e, turned ? j * rows + i : i * cols + j);
}

static att_status fill_parameter(const import *m, const att_parameter *p)
{
    const att_view *v = att_parameter_value(p);
    int layer, parts = 0;
    const att_hub_rule *rule = att_hub_find_rule(m->hub.family, att_parameter_name(p), &layer);
    ATT_REQUIRE(rule, ATT_E_UNSUPPORTED, "%s: no tensor of theirs is known for it", att_parameter_name(p));
    int64_t rows = v->ndim == 2 ? v->dim[0] : 1, width = v->dim[v->ndim - 1];
    while (parts < 3 && rule->theirs[parts]) parts++;
    for (int k = 0; k < parts; k++) {
        char name[MOST_NAME];
        int64_t cols = width / parts;
        att_hub_name(rule->theirs[k], layer, name, sizeof name);
        const att_file_entry *e = find(m, name, true);
        ATT_REQUIRE(e, ATT_E_FORMAT, "%s: the weights lack the tensor %s", m->folder, name);
        ATT_TRY(check_entry(e, rule->turned ? cols : rows, rule->turned ? rows : cols));
        fill(v->data, rows, width, k * cols, cols, e, rule->turned);
    }
    return ATT_OK;
}

/* A tensor without a place would be a part of the model that is not computed. */
static att_status check_all_used(const import *m)
{
    for (size_t f = 0; f < m->files; f++)
        for (int64_t i = 0; i < att_file_count(m->file[f]); i++) {
            const char *name = att_file_name(m->file[f], i);
            ATT_REQUIRE(m->used[f][i] || att_hub_may_ignore(m->hub.family, name), ATT_E_UNSUPPORTED,
                        "%s: the tensor %s, expected none: the model has no place for it", m->folder, name);
        }
    return ATT_OK;
}

static att_status fill_model(import *m)
{
    att_transformer_config config;
    att_transformer_config *keys = &m->hub.recipe.transformer;
    if (m->hub.family == ATT_HUB_BERT) {
        keys->head = keys->output_bias = find(m, "cls.predictions.transform.dense.weight", false) != NULL;
        keys->pooler = find(m, "bert.pooler.dense.weight", false) != NULL;
    }
    att_recipe_transformer(&m->hub.recipe, &config);
    config.source_vocabulary = config.target_vocabulary = m->hub.vocabulary;
    config.classes = m->hub.class_count;
    ATT_TRY(att_transformer_create(&config, 0, 0, m->allocator, &m->model));
    att_params *params = att_transformer_params(m->model);
    for (int64_t i = 0; i < att_params_count(params); i++) ATT_TRY(fill_parameter(m, att_params_at(params, i)));
    return check_all_used(m);
}

/* ---- tokeniser ---- */

static att_status check_size(const import *m, const att_tokenizer *t)
{
    int64_t size = att_tokenizer_size(t);
    ATT_REQUIRE(size <= m->hub.vocabulary, ATT_E_FORMAT,
                "%s: the tokeniser has %lld tokens, expected at most the %lld of config.json", m->folder,
                (long long)size, (long long)m->hub.vocabulary);
    return ATT_OK;
}

/* The other language's, and the tokens that config.json gives these roles. */
static att_status read_pair(import *m)
{
    const att_hub_tokens *own = &m->hub.tokens;
    ATT_TRY(att_tokenizer_read_target(m->folder, m->allocator, &m->target));
    ATT_TRY(check_size(m, m->target));
    att_tokenizer *side[2] = {m->source, m->target};
    for (int i = 0; i < 2; i++) {
        int32_t size = (int32_t)att_tokenizer_size(side[i]);
        ATT_REQUIRE(own->pad < size && own->start < size && own->end < size, ATT_E_FORMAT,
                    "%s: special tokens %d, %d and %d, expected some of the tokeniser's %d", m->folder, own->pad,
                    own->start, own->end, size);
        att_tokenizer_set_role(side[i], ATT_ROLE_PAD, own->pad);
        att_tokenizer_set_role(side[i], ATT_ROLE_BOS, own->start);
        att_tokenizer_set_role(side[i], ATT_ROLE_EOS, own->end);
    }
    return ATT_OK;
}

static att_status read_tokenizers(import *m)
{
    att_recipe *r = &m->hub.recipe;
    bool pair = m->hub.family == ATT_HUB_MARIAN;
    att_status status = att_tokenizer_read(m->folder, m->allocator, &m->source);
    if (status == ATT_E_MISSING) return ATT_OK;
    ATT_TRY(status);
    ATT_TRY(check_size(m, m->source));
    r->text.tokenizer = att_tokenizer_kind(m->source);
    r->text.normalise = att_tokenizer_normalise(m->source);
    r->text.vocabulary = att_tokenizer_size(m->source);
    r->text.shared = !pair;
    m->target = pair ? NULL : m->source;
    return pair ? read_pair(m) : ATT_OK;
}

/* sentence-transformers says how many tokens of a text count. */
static att_status read_limit(const import *m, int64_t *most)
{
    char path[MOST_PATH];
    json_t *config;
    *most = m->hub.recipe.transformer.context;
    ATT_TRY(path_of(m, "sentence_bert_config.json", path));
    if (!att_file_exists(path)) return ATT_OK;
    ATT_TRY(load_json(path, &config));
    json_int_t said = json_integer_value(json_object_get(config, "max_seq_length"));
    if (said > 0) *most = att_min64(said, *most);
    json_decref(config);
    return ATT_OK;
}

/* ---- writing ---- */

static att_status save_tensors(const import *m, const char *path, const att_metadata *metadata, int64_t n)
{
    att_params *params = att_transformer_params(m->model);
    size_t count = (size_t)att_params_count(params);
    void *views, *names;
    ATT_TRY(att_new_array(m->allocator, count, sizeof(att_named_view), &views));
    att_status status = att_new_array(m->allocator, count, MOST_NAME, &names);
    if (status == ATT_OK) {
        att_named_view *list = views;
        for (size_t i = 0; i < count; i++) {
            const att_parameter *p = att_params_at(params, (int64_t)i);
            char *name = (char *)names + i * MOST_NAME;
            snprintf(name, MOST_NAME, "model.%s", att_parameter_name(p));
            list[i] = (att_named_view){name, *att_parameter_value(p)};
        }
        status = att_file_save(path, list, (int64_t)count, metadata, n);
        att_free(m->allocator, names, count * MOST_NAME);
    }
    att_free(m->allocator, views, count * sizeof(att_named_view));
    return status;
}

static att_status save_with(const import *m, const char *path, const char *recipe, const char *source,
                            const char *target)
{
    bool pair = m->hub.recipe.task == ATT_TASK_TRANSLATION;
    char vocabulary[32], limit[32];
    att_metadata metadata[MOST_METADATA];
    int64_t most, n = 0;
    ATT_TRY(read_limit(m, &most));
    snprintf(vocabulary, sizeof vocabulary, "%lld", (long long)m->hub.vocabulary);
    snprintf(limit, sizeof limit, "%lld", (long long)most);
    metadata[n++] = (att_metadata){"attend.task", att_task_name(m->hub.recipe.task)};
    metadata[n++] = (att_metadata){"attend.recipe", recipe};
    metadata[n++] = (att_metadata){ATT_VOCABULARY, vocabulary};
    metadata[n++] = (att_metadata){ATT_MOST_TOKENS, limit};
    if (source) metadata[n++] = (att_metadata){pair ? ATT_SOURCE_TOKENIZER : ATT_TOKENIZER, source};
    if (target) metadata[n++] = (att_metadata){ATT_TARGET_TOKENIZER, target};
    if (m->hub.classes) metadata[n++] = (att_metadata){ATT_CLASSES, m->hub.classes};
    return save_tensors(m, path, metadata, n);
}

static att_status save(const import *m, const char *path)
{
    char *recipe = NULL, *source = NULL, *target = NULL;
    att_status status = att_options_to_json(att_recipe_options(), &m->hub.recipe, &recipe);
    if (status == ATT_OK && m->source) status = att_tokenizer_to_json(m->source, &source);
    if (status == ATT_OK && m->target != m->source) status = att_tokenizer_to_json(m->target, &target);
    if (status == ATT_OK) status = save_with(m, path, recipe, source, target);
    att_string_free(recipe);
    att_text_free(m->allocator, source);
    att_text_free(m->allocator, target);
    return status;
}

/* What generation_config.json says counts, and where it says nothing config.json, where older models have it. */
static att_status read_generation(import *m, json_t *config, const char *config_path)
{
    char path[MOST_PATH];
    json_t *settings;
    ATT_TRY(path_of(m, "generation_config.json", path));
    if (!att_file_exists(path)) return att_hub_read_generation(config, config_path, &m->hub);
    ATT_TRY(load_json(path, &settings));
    att_status status = json_object_update(config, settings) == 0 ? att_hub_read_generation(config, path, &m->hub)
                                                                  : att_fail(ATT_E_FORMAT, "%s: not an object", path);
    json_decref(settings);
    return status;
}

static att_status convert(import *m, const char *path)
{
    char config_path[MOST_PATH];
    json_t *config;
    ATT_TRY(path_of(m, "config.json", config_path));
    ATT_TRY(load_json(config_path, &config));
    att_status status = att_hub_read_config(config, config_path, &m->hub);
    if (status == ATT_OK && m->hub.family == ATT_HUB_MARIAN) status = read_generation(m, config, config_path);
    json_decref(config);
    if (status == ATT_OK) status = open_weights(m);
    if (status == ATT_OK) status = fill_model(m);
    if (status == ATT_OK) status = read_tokenizers(m);
    return status == ATT_OK ? save(m, path) : status;
}

att_status att_convert_import(const char *folder, const char *path, const att_allocator *allocator)
{
import m = {.folder = folder, .allocator = allocator };
    ATT_REQUIRE(att_file_exists(folder), ATT_E_MISSING, "%s: no such folder", folder);
    att_status status = convert(&m, path);
    for (size_t f = 0; f < m.files; f++) {
        if (m.used[f]) att_free(allocator, m.used[f], ((size_t)att_file_count(m.file[f]) + 1) * sizeof(bool));
        att_file_close(m.file[f]);
    }
    att_free(allocator, m.file, 64 * sizeof *m.file);
    att_transformer_destroy(m.model);
    if (m.target != m.source) att_tokenizer_destroy(m.target);
    att_tokenizer_destroy(m.source);
    att_hub_free(&m.hub);
    return status;
}
