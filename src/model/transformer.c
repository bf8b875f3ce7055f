/* Building a Transformer from its configuration. */
#include "model/transformer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tape/params.h"

#define NAME_BYTES 128

/* ---- the configuration ---- */

static bool has_encoder(const att_transformer_config *c)
{
    return c->shape != ATT_TRANSFORMER_DECODER;
}

static bool has_decoder(const att_transformer_config *c)
{
    return c->shape != ATT_TRANSFORMER_ENCODER;
}

static void fill_defaults(att_transformer_config *c)
{
    if (c->shape != ATT_TRANSFORMER_ENCODER_DECODER) {
        if (!c->source_vocabulary) c->source_vocabulary = c->target_vocabulary;
        c->target_vocabulary = c->source_vocabulary;
        c->shared = 1;
    }
    if (!c->feed_forward) c->feed_forward = 4 * c->width;
    if (!c->kv_heads) c->kv_heads = c->heads;
    if (!c->context) c->context = 1024;
    if (c->theta == 0) c->theta = 10000.0;
    if (c->eps == 0) c->eps = 1e-5;
    if (c->activation == ATT_ACT_NONE) c->activation = ATT_ACT_RELU;
    if (c->norm == ATT_NORM_PRE) c->final_norm = 1;
    if (!has_encoder(c)) c->encoder_layers = 0;
    if (!has_decoder(c)) c->decoder_layers = 0;
    if (c->classes > 0) c->pooler = 1;
}

static att_status check_sizes(const att_transformer_config *c)
{
    const struct {
        const char *name;
        int64_t value, least, most;
    } sizes[] = {{"source_vocabulary", c->source_vocabulary, 1, INT32_MAX},
                 {"target_vocabulary", c->target_vocabulary, 1, INT32_MAX},
                 {"width", c->width, 1, 65536},
                 {"feed_forward", c->feed_forward, 1, 1 << 20},
                 {"encoder_layers", c->encoder_layers, has_encoder(c), ATT_TRANSFORMER_MAX_LAYERS},
                 {"decoder_layers", c->decoder_layers, has_decoder(c), ATT_TRANSFORMER_MAX_LAYERS},
                 {"heads", c->heads, 1, 1024},
                 {"kv_heads", c->kv_heads, 1, 1024},
                 {"context", c->context, 1, 1 << 24},
                 {"segments", c->segments, 0, 65536},
                 {"classes", c->classes, 0, INT32_MAX},
                 {"shape", c->shape, 0, ATT_TRANSFORMER_ENCODER},
                 {"positions", c->positions, 0, ATT_POSITIONS_NONE},
                 {"norm", c->norm, 0, ATT_NORM_PRE},
                 {"activation", c->activation, ATT_ACT_NONE, ATT_ACT_SILU}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        ATT_REQUIRE(sizes[i].value >= sizes[i].least && sizes[i].value <= sizes[i].most, ATT_E_VALUE,
                    "model.%s: %lld, expected %lld to %lld", sizes[i].name, (long long)sizes[i].value,
                    (long long)sizes[i].least, (long long)sizes[i].most);
    return ATT_OK;
}

static att_status check(const att_transformer_config *c)
{
    const struct {
        const char *name;
        double value;
    } shares[] = {
        {"dropout", c->dropout}, {"attention_dropout", c->attention_dropout}, {"inner_dropout", c->inner_dropout}};
    ATT_TRY(check_sizes(c));
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        ATT_REQUIRE(shares[i].value >= 0.0 && shares[i].value < 1.0, ATT_E_VALUE,
                    "model.%s: %g, expected 0 to less than 1", shares[i].name, shares[i].value);
    ATT_REQUIRE(c->width % c->heads == 0, ATT_E_VALUE, "model.heads: %lld, expected a divisor of model.width, %lld",
                (long long)c->heads, (long long)c->width);
    ATT_REQUIRE(c->heads % c->kv_heads == 0, ATT_E_VALUE,
                "model.kv_heads: %lld, expected a divisor of model.heads, %lld", (long long)c->kv_heads,
                (long long)c->heads);
    ATT_REQUIRE(c->positions != ATT_POSITIONS_ROTARY || c->width / c->heads % 2 == 0, ATT_E_VALUE,
                "model.positions: rotary turns pairs, but a head has %lld dimensions",
                (long long)(c->width / c->heads));
    ATT_REQUIRE(
        !c->shared || c->source_vocabulary == c->target_vocabulary, ATT_E_VALUE,
        "model.shared: vocabularies of %lld and %lld words; shared word vectors need one vocabulary (text.shared)",
        (long long)c->source_vocabulary, (long long)c->target_vocabulary);
    ATT_REQUIRE(c->eps >= 0 && c->init >= 0 && c->theta > 0, ATT_E_VALUE,
                "model.eps, init, theta: %g, %g, %g, expected no negative number", c->eps, c->init, c->theta);
    bool encoder_alone = c->shape == ATT_TRANSFORMER_ENCODER;
    ATT_REQUIRE(encoder_alone || (!c->segments && !c->head && !c->pooler), ATT_E_VALUE,
                "model.segments, head, pooler, classes: only an encoder alone has them");
    return ATT_OK;
}

/* ---- parameters ---- */

static att_status add_words(att_transformer *m)
{
    const att_transformer_config *c = &m->config;
    double deviation = c->init > 0 ? c->init : 1.0 / sqrt((double)c->width);
    att_parameter *words;
    ATT_TRY(att_params_add(m->params, c->shared ? "words" : "target.words", 2,
                           (int64_t[]){c->target_vocabulary, c->width}, ATT_INIT_NORMAL, deviation, &words));
    m->encoder.words = m->decoder.words = words;
    if (c->tied) words->use = ATT_USE_TIED;
    if (c->shared) return ATT_OK;
    return att_params_add(m->params, "source.words", 2, (int64_t[]){c->source_vocabulary, c->width}, ATT_INIT_NORMAL,
                          deviation, &m->encoder.words);
}

static att_status add_layer(att_transformer *m, const att_stack *s, const char *prefix, att_stack_layer *layer)
{
    const att_transformer_config *c = &m->config;
    double end = c->init / sqrt(2.0 * (double)s->layers);
    att_multi_head_desc heads = {.width = c->width,
                                 .heads = c->heads,
                                 .kv_heads = c->kv_heads,
                                 .with_bias = !c->without_bias,
                                 .init = c->init,
                                 .output_init = end};
    char name[NAME_BYTES];
#define NAMED(part) (snprintf(name, sizeof name, "%.80s.%s", prefix, part), name)
    ATT_TRY(att_multi_head_create(m->params, NAMED("attention"), &heads, &layer->self));
    ATT_TRY(att_norm_create(m->params, NAMED("attention_norm"), c->width, c->eps, &layer->self_norm));
    if (s->cross) {
        heads.cross = true;
        ATT_TRY(att_multi_head_create(m->params, NAMED("cross"), &heads, &layer->cross));
        ATT_TRY(att_norm_create(m->params, NAMED("cross_norm"), c->width, c->eps, &layer->cross_norm));
    }
    ATT_TRY(att_linear_create_with(m->params, NAMED("feed_forward.up"), c->width, c->feed_forward, !c->without_bias,
                                   c->init, &layer->up));
    ATT_TRY(att_linear_create_with(m->params, NAMED("feed_forward.down"), c->feed_forward, c->width, !c->without_bias,
                                   end, &layer->down));
    return att_norm_create(m->params, NAMED("feed_forward_norm"), c->width, c->eps, &layer->feed_norm);
#undef NAMED
}

static att_status add_stack(att_transformer *m, const char *prefix, int64_t layers, att_stack *s)
{
    const att_transformer_config *c = &m->config;
    char name[NAME_BYTES];
    void *block;
    if (layers == 0) return ATT_OK;
    ATT_TRY(att_new_array(m->allocator, (size_t)layers, sizeof *s->layer, &block));
    s->layer = block;
    s->layers = layers;
    double deviation = c->init > 0 ? c->init : 0.02;
    snprintf(name, sizeof name, "%s.positions", prefix);
    if (c->positions == ATT_POSITIONS_LEARNED)
        ATT_TRY(att_params_add(m->params, name, 2, (int64_t[]){c->context, c->width}, ATT_INIT_NORMAL, deviation,
                               &s->positions));
    snprintf(name, sizeof name, "%s.segments", prefix);
    if (c->segments)
        ATT_TRY(att_params_add(m->params, name, 2, (int64_t[]){c->segments, c->width}, ATT_INIT_NORMAL, deviation,
                               &s->segments));
    snprintf(name, sizeof name, "%s.embedding_norm", prefix);
    if (c->embedding_norm) ATT_TRY(att_norm_create(m->params, name, c->width, c->eps, &s->embedding_norm));
    for (int64_t l = 0; l < layers; l++) {
        snprintf(name, sizeof name, "%s.%d", prefix, (int)l);
        ATT_TRY(add_layer(m, s, name, &s->layer[l]));
    }
    snprintf(name, sizeof name, "%s.norm", prefix);
    return c->final_norm ? att_norm_create(m->params, name, c->width, c->eps, &s->final_norm) : ATT_OK;
}

static att_status add_output(att_transformer *m)
{
    const att_transformer_config *c = &m->config;
    int64_t C = c->width, V = c->target_vocabulary;
    if (c->head) {
        ATT_TRY(att_linear_create_with(m->params, "head.dense", C, C, true, c->init, &m->dense));
        ATT_TRY(att_norm_create(m->params, "head.norm", C, c->eps, &m->head_norm));
    }
    if (!c->tied) ATT_TRY(att_linear_create_with(m->params, "output", C, V, c->output_bias, c->init, &m->output));
    if (c->tied && c->output_bias)
        ATT_TRY(att_params_add(m->params, "output.bias", 1, &V, ATT_INIT_ZERO, 0.0, &m->output.bias));
    if (c->pooler) ATT_TRY(att_linear_create_with(m->params, "pooler", C, C, true, c->init, &m->pooler));
    if (!c->classes) return ATT_OK;
    return att_linear_create_with(m->params, "classifier", C, c->classes, true, c->init, &m->classifier);
}

enum { TABLE_ROWS = 256 }; /* positions made with the model: a table of all would delay a model's first word */

static att_status make_table(att_transformer *m)
{
    int64_t width = att_position_width(m), n = att_min64(m->config.context, TABLE_ROWS);
    bool rotary = m->config.positions == ATT_POSITIONS_ROTARY;
    void *block;
    size_t bytes = sizeof(float) * (rotary ? 2 : 1);
    if (width == 0) return ATT_OK;
    ATT_REQUIRE(att_mul_size(bytes, (size_t)(width * n), &bytes), ATT_E_MEMORY, "model.context: %lld does not fit",
                (long long)n);
    ATT_TRY(att_alloc(m->allocator, bytes, &block));
    m->table = block;
    m->table_bytes = bytes;
    m->table_rows = n;
    att_position_fill(m, 0, n, m->table, m->table + width * n);
    return ATT_OK;
}

static att_status build(att_transformer *m, uint64_t seed, int with_gradients)
{
    ATT_TRY(att_params_create(m->allocator, &m->params));
    ATT_TRY(add_words(m));
    m->decoder.causal = true;
    m->decoder.cross = m->config.shape == ATT_TRANSFORMER_ENCODER_DECODER;
    ATT_TRY(add_stack(m, "encoder", m->config.encoder_layers, &m->encoder));
    ATT_TRY(add_stack(m, "decoder", m->config.decoder_layers, &m->decoder));
    ATT_TRY(add_output(m));
    ATT_TRY(make_table(m));
    return att_params_allocate(m->params, seed, with_gradients);
}

att_status att_transformer_create(const att_transformer_config *config, uint64_t seed, int with_gradients,
                                  const att_allocator *allocator, att_transformer **out)
{
    void *block;
    att_transformer_config full = *config;
    *out = NULL;
    fill_defaults(&full);
    ATT_TRY(check(&full));
    ATT_TRY(att_alloc_zero(allocator, sizeof **out, &block));
    att_transformer *m = block;
    m->config = full;
    m->allocator = allocator;
    att_status status = build(m, seed, with_gradients);
    if (status != ATT_OK) {
        att_transformer_destroy(m);
        return status;
    }
    *out = m;
    return ATT_OK;
}

void att_transformer_destroy(att_transformer *m)
{
    if (!m) return;
    att_params_destroy(m->params);
    att_free(m->allocator, m->encoder.layer, (size_t)m->encoder.layers * sizeof *m->encoder.layer);
    att_free(m->allocator, m->decoder.layer, (size_t)m->decoder.layers * sizeof *m->decoder.layer);
    att_free(m->allocator, m->table, m->table_bytes);
    att_free(m->allocator, m, sizeof *m);
}

att_params *att_transformer_params(const att_transformer *model)
{
    return model->params;
}

const att_transformer_config *att_transformer_configuration(const att_transformer *model)
{
    return &model->config;
}
