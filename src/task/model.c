#include <stdlib.h>
#include <string.h>

#include <attend/file.h>

#include "task/model.h"
#include "task/model_file.h"

/* ---- loading ---- */

static att_status load_network(att_model *m, att_file *file, const char *path)
{
    att_transformer_config config;
    const char *names = att_file_metadata(file, ATT_CLASSES);
    att_recipe_transformer(&m->recipe, &config);
    if (m->recipe.task == ATT_TASK_CLASSIFICATION) ATT_TRY(att_model_name_classes(m, names ? names : ""));
    config.classes = m->classes;
    config.source_vocabulary = att_model_vocabulary(file, &m->recipe, m->source);
    config.target_vocabulary = att_model_vocabulary(file, &m->recipe, m->target);
    ATT_REQUIRE(config.source_vocabulary > 0 && config.target_vocabulary > 0, ATT_E_FORMAT,
                "%s: neither a tokeniser nor 'attend.vocabulary' in its metadata", path);
    const char *most = att_file_metadata(file, ATT_MOST_TOKENS);
    m->most = most ? atoll(most) : 0;
    if (m->most < 2 || m->most > config.context) m->most = config.context;
    ATT_TRY(att_transformer_create(&config, 0, ATT_PARAMS_LATER, m->allocator, &m->network));
    ATT_TRY(att_model_weights(file, path, att_transformer_params(m->network)));
    return att_tape_create(&m->exec, m->allocator, &m->tape);
}

static att_status load(att_model *m, att_file *file, const char *path)
{
    ATT_TRY(att_model_read_recipe(file, path, &m->recipe));
    ATT_REQUIRE(m->recipe.kind == ATT_MODEL_TRANSFORMER, ATT_E_UNSUPPORTED,
                "%s: model.kind: \"seq2seq\", expected \"transformer\"", path);
    ATT_TRY(att_model_read_tokenizers(file, &m->recipe, m->allocator, &m->source, &m->target));
    return load_network(m, file, path);
}

att_status att_model_load(const char *path, const att_exec *exec, const att_allocator *allocator, att_model **out)
{
    att_file *file;
    void *block;
    *out = NULL;
    ATT_TRY(att_file_open_with(path, exec, allocator, &file));
    att_status status = att_alloc_zero(allocator, sizeof **out, &block);
    if (status == ATT_OK) {
        att_model *m = block;
        m->allocator = allocator;
        if (exec) m->exec = *exec;
        status = load(m, file, path);
        if (status == ATT_OK)
            *out = m;
        else
            att_model_destroy(m);
    }
    att_file_close(file);
    return status;
}

void att_model_destroy(att_model *m)
{
    if (!m) return;
    att_tape_destroy(m->tape);
    att_transformer_destroy(m->network);
    if (m->target != m->source) att_tokenizer_destroy(m->target);
    att_tokenizer_destroy(m->source);
    att_options_free(att_recipe_options(), &m->recipe);
    att_free(NULL, m->class, 0);
    att_text_free(NULL, m->class_text);
    att_free(m->allocator, m, sizeof *m);
}

const att_recipe *att_model_recipe(const att_model *m)
{
    return &m->recipe;
}

const att_transformer *att_model_transformer(const att_model *m)
{
    return m->network;
}

const att_tokenizer *att_model_tokenizer(const att_model *m, int target)
{
    return target ? m->target : m->source;
}

/* ---- logits and weights ---- */

static att_node *states_of(att_model *m, const att_view *ids, const att_view *lengths, const att_view *segments,
                           const att_view *target, att_transformer_look *look)
{
    int shape = att_transformer_configuration(m->network)->shape;
    if (shape == ATT_TRANSFORMER_DECODER) return att_transformer_decode(m->tape, m->network, NULL, NULL, ids, 0, look);
    att_node *states = att_transformer_encode(m->tape, m->network, ids, lengths, segments, 0, look);
    if (shape == ATT_TRANSFORMER_ENCODER) return states;
    att_transformer_memory memory;
    att_transformer_remember(m->tape, m->network, states, lengths, &memory);
    return att_transformer_decode(m->tape, m->network, &memory, NULL, target, 0, look);
}

static att_status check_ids(const att_model *m, const att_view *ids, const att_view *target)
{
    bool both = att_transformer_configuration(m->network)->shape == ATT_TRANSFORMER_ENCODER_DECODER;
    ATT_REQUIRE(both == (target != NULL), ATT_E_VALUE, "target: %s, expected it for encoder and decoder alone",
                target ? "given" : "not given");
    ATT_REQUIRE(ids->ndim == 2 && ids->dtype == ATT_I32, ATT_E_SHAPE, "ids: %d dimensions of %s, expected 2 of int32",
                ids->ndim, att_dtype_name(ids->dtype));
    return ATT_OK;
}

att_status att_model_logits(att_model *m, const att_view *ids, const att_view *lengths, const att_view *segments,
                            const att_view *target, att_view *logits)
{
    const att_transformer_config *c = att_transformer_configuration(m->network);
    ATT_TRY(check_ids(m, ids, target));
    const att_view *rows = target ? target : ids;
    bool fits = logits->ndim == 3 && logits->dtype == ATT_F32 && att_view_is_dense(logits) &&
                logits->dim[0] == rows->dim[0] && logits->dim[1] == rows->dim[1] &&
                logits->dim[2] == c->target_vocabulary;
    ATT_REQUIRE(fits, ATT_E_SHAPE, "logits: expected (%lld,%lld,%lld) of float32", (long long)rows->dim[0],
                (long long)rows->dim[1], (long long)c->target_vocabulary);
    att_tape_begin(m->tape, 0);
    att_node *node = att_transformer_logits(m->tape, m->network, states_of(m, ids, lengths, segments, target, NULL));
    ATT_TRY(att_tape_status(m->tape));
    memcpy(logits->data, att_node_value(node)->data, (size_t)att_view_count(logits) * sizeof(float));
    return ATT_OK;
}

/* The weights of a stack's layers, one after the other. */
static att_status copy_weights(const char *name, const att_view *layer, int64_t layers, att_view *out)
{
    if (!out) return ATT_OK;
    ATT_REQUIRE(layers > 0 && layer[0].data, ATT_E_VALUE, "%s: given, but the model has no such layers", name);
    bool fits = out->ndim == 5 && out->dtype == ATT_F32 && att_view_is_dense(out) && out->dim[0] == layers &&
                memcmp(out->dim + 1, layer[0].dim, 4 * sizeof *out->dim) == 0;
    ATT_REQUIRE(fits, ATT_E_SHAPE, "%s: expected (%lld,%lld,%lld,%lld,%lld) of float32", name, (long long)layers,
                (long long)layer[0].dim[0], (long long)layer[0].dim[1], (long long)layer[0].dim[2],
                (long long)layer[0].dim[3]);
    int64_t n = att_view_count(&layer[0]);
    for (int64_t l = 0; l < layers; l++) memcpy((float *)out->data + l * n, layer[l].data, (size_t)n * sizeof(float));
    return ATT_OK;
}

att_status att_model_attention(att_model *m, const att_view *ids, const att_view *lengths, const att_view *segments,
                               const att_view *target, att_view *encoder, att_view *decoder, att_view *cross)
{
    const att_transformer_config *c = att_transformer_configuration(m->network);
    void *block;
    ATT_TRY(check_ids(m, ids, target));
    ATT_TRY(att_alloc_zero(m->allocator, sizeof(att_transformer_look), &block));
    att_transformer_look *look = block;
    att_tape_begin(m->tape, 0);
    states_of(m, ids, lengths, segments, target, look);
    att_status status = att_tape_status(m->tape);
    if (status == ATT_OK) status = copy_weights("encoder", look->encoder, c->encoder_layers, encoder);
    if (status == ATT_OK) status = copy_weights("decoder", look->decoder, c->decoder_layers, decoder);
    if (status == ATT_OK) status = copy_weights("cross", look->cross, target ? c->decoder_layers : 0, cross);
    att_free(m->allocator, look, sizeof *look);
    return status;
}
