/* A model file becomes a folder of Hugging Face's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <attend/classify.h>
#include <attend/convert.h>
#include <attend/file.h>
#include <attend/model.h>

#include "task/hub.h"

enum { MOST_PATH = 4096, MOST_NAME = 256 };

typedef struct tensors {
    const att_allocator *allocator;
    att_named_view *list;
    char *names; /* (room) of MOST_NAME */
    int64_t n, room;
} tensors;

static att_status reserve(tensors *t, int64_t room)
{
    void *list, *names;
    t->room = room;
    ATT_TRY(att_new_array(t->allocator, (size_t)room, sizeof *t->list, &list));
    t->list = list;
    ATT_TRY(att_new_array(t->allocator, (size_t)room, MOST_NAME, &names));
    t->names = names;
    return ATT_OK;
}

static void release(tensors *t)
{
    att_free(t->allocator, t->list, (size_t)t->room * sizeof *t->list);
    att_free(t->allocator, t->names, (size_t)t->room * MOST_NAME);
}

/* Columns at .. at+cols of a parameter as a tensor of theirs; writing it makes it dense. */
static void add(tensors *t, const char *name, const att_view *v, int64_t at, int64_t cols, bool turned)
{
    char *copy = t->names + t->n * MOST_NAME;
    att_view part = att_view_slice(v, v->ndim - 1, at, at + cols);
    snprintf(copy, MOST_NAME, "%s", name);
    if (turned) part = att_view_transpose(&part, 0, 1);
    if (strcmp(name, "final_logits_bias") == 0) part = att_view_2d(v->data, ATT_F32, 1, cols);
    t->list[t->n++] = (att_named_view){copy, part};
}

static att_status add_parameter(tensors *t, att_hub_family family, const att_parameter *p, bool alone)
{
    const att_view *v = att_parameter_value(p);
    int layer, parts = 0;
    const att_hub_rule *rule = att_hub_find_rule(family, att_parameter_name(p), &layer);
    ATT_REQUIRE(rule, ATT_E_UNSUPPORTED, "%s: no tensor of theirs is known for it", att_parameter_name(p));
    while (parts < 3 && rule->theirs[parts]) parts++;
    int64_t cols = v->dim[v->ndim - 1] / parts;
    for (int k = 0; k < parts; k++) {
        char name[MOST_NAME];
        att_hub_name(rule->theirs[k], layer, name, sizeof name);
        const char *rest = alone && strncmp(name, "bert.", 5) == 0 ? name + 5 : name;
        add(t, rest, v, k * cols, cols, rule->turned);
    }
    return ATT_OK;
}

static att_status write_weights(const att_model *m, att_hub_family family, const char *folder,
                                const att_allocator *allocator)
{
    static const att_metadata metadata = {"format", "pt"};
    char path[MOST_PATH];
    const att_transformer *model = att_model_transformer(m);
    att_params *params = att_transformer_params(model);
    bool alone = !att_transformer_configuration(model)->head && !att_model_classes(m);
    tensors t = {.allocator = allocator};
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    att_status status = reserve(&t, 3 * att_params_count(params));
    for (int64_t i = 0; i < att_params_count(params) && status == ATT_OK; i++)
        status = add_parameter(&t, family, att_params_at(params, i), alone);
    if (status == ATT_OK) status = att_file_save(path, t.list, t.n, &metadata, 1);
    release(&t);
    return status;
}

static att_status write_json(const char *folder, const char *name, const json_t *object)
{
    char path[MOST_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    ATT_REQUIRE(text, ATT_E_MEMORY, "out of memory: %s", name);
    att_status status = att_file_write_text(path, text, strlen(text));
    free(text);
    return status;
}

static void set_token(json_t *config, const char *key, int32_t id)
{
    if (id >= 0) json_object_set_new(config, key, json_integer(id));
}

static int32_t role(const att_tokenizer *t, att_token_role role, int32_t without)
{
    return t ? att_tokenizer_role(t, role) : without;
}

/* Marian's vocabularies begin with </s> and end with <pad>, which also starts a translation. */
static att_status write_configs(const att_model *m, const char *folder, att_hub_family family, json_t *config)
{
    const att_tokenizer *t = att_model_tokenizer(m, 1);
    bool marian = family == ATT_HUB_MARIAN;
    int32_t last = marian ? (int32_t)json_integer_value(json_object_get(config, "vocab_size")) - 1 : -1;
    att_hub_tokens tokens = {.pad = role(t, ATT_ROLE_PAD, last),
                             .start = role(t, ATT_ROLE_BOS, last),
                             .end = role(t, ATT_ROLE_EOS, marian ? 0 : -1)};
    set_token(config, "pad_token_id", tokens.pad);
    set_token(config, "eos_token_id", tokens.end);
    set_token(config, marian ? "decoder_start_token_id" : "bos_token_id", tokens.start);
    ATT_TRY(write_json(folder, "config.json", config));
    if (!marian) return ATT_OK;
    json_t *generation;
    ATT_TRY(att_hub_write_generation(att_model_recipe(m), tokens, &generation));
    att_status status = write_json(folder, "generation_config.json", generation);
    json_decref(generation);
    return status;
}

static att_status write_tokenizers(const att_model *m, const char *folder, att_hub_family family)
{
    const att_tokenizer *source = att_model_tokenizer(m, 0);
    if (!source) return ATT_OK;
    ATT_TRY(att_tokenizer_write(source, folder));
    return family == ATT_HUB_MARIAN ? att_tokenizer_write_target(att_model_tokenizer(m, 1), folder) : ATT_OK;
}

static att_status export_model(const att_model *m, const char *folder, const att_allocator *allocator)
{
    att_hub_family family;
    json_t *config;
    ATT_REQUIRE(strlen(folder) < MOST_PATH - 64, ATT_E_VALUE, "folder: the path is too long");
    ATT_TRY(att_hub_write_config(att_model_recipe(m),
                                 att_transformer_configuration(att_model_transformer(m))->target_vocabulary, &family,
                                 &config));
    att_status status = att_model_classes(m) ? att_hub_write_classes(m, config) : ATT_OK;
    if (status == ATT_OK && mkdir(folder, 0777) != 0 && errno != EEXIST)
        status = att_fail(ATT_E_IO, "%s: %s", folder, strerror(errno));
    if (status == ATT_OK) status = write_tokenizers(m, folder, family);
    if (status == ATT_OK) status = write_weights(m, family, folder, allocator);
    if (status == ATT_OK) status = write_configs(m, folder, family, config);
    json_decref(config);
    return status;
}

att_status att_convert_export(const char *path, const char *folder, const att_allocator *allocator)
{
    att_model *m;
    ATT_TRY(att_model_load(path, NULL, allocator, &m));
    att_status status = export_model(m, folder, allocator);
    att_model_destroy(m);
    return status;
}
