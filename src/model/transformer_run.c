/* Running a Transformer: stacks of layers on the tape, losses, logits. */
#include <math.h>
#include <string.h>

#include "model/transformer.h"
#include "model/transformer_cache.h"
#include "tape/tape.h"

/* Streams of dropout within a step: 8 for each layer of each stack, 8 for what comes before the layers. */
enum { DROP_WORDS, DROP_SELF, DROP_CROSS, DROP_FEED, DROP_INNER, DROP_SELF_WEIGHTS, DROP_CROSS_WEIGHTS, DROPS = 8 };

/* What a pass through a stack needs to know. */
typedef struct pass {
    att_tape *tape;
    const att_transformer *m;
    const att_stack *s;
    uint64_t seed, stream; /* stream: of the layer */
    int64_t from;          /* position of the first id */
    att_multi_head_call self, cross;
    const att_transformer_memory *memory;
    att_transformer_cache *cache;
    att_view *self_weights, *cross_weights; /* [layers], or NULL */
} pass;

static att_node *drop(const pass *p, att_node *x, double share, int where)
{
    return att_tape_dropout(p->tape, x, share, p->seed, p->stream + (uint64_t)where);
}

/* ---- embeddings ---- */

static att_node *add_rows(const pass *p, att_node *x, att_parameter *table, const att_view *ids)
{
    return att_tape_add(p->tape, x, att_tape_embedding(p->tape, att_tape_parameter(p->tape, table), ids));
}

static att_node *add_learned(const pass *p, att_node *x, int64_t B, int64_t T)
{
    const att_transformer_config *c = &p->m->config;
    int32_t *at = att_tape_alloc(p->tape, (size_t)(B * T) * sizeof *at);
    if (!at) return x;
    for (int64_t i = 0; i < B * T; i++) at[i] = (int32_t)(p->from + i % T);
    if (p->from + T > c->context)
        return att_tape_fail(p->tape,
                             att_fail(ATT_E_VALUE, "%lld positions, but the model's end at %lld (model.context)",
                                      (long long)(p->from + T), (long long)c->context));
    att_view ids = att_view_2d(at, ATT_I32, B, T);
    return add_rows(p, x, p->s->positions, &ids);
}

static att_node *add_sine(const pass *p, att_node *x, int64_t B, int64_t T)
{
    att_view rows = {0}, unused;
    att_position_rows(p->tape, p->m, p->from, T, &rows, &unused);
    if (!rows.data) return x;
    att_view all = att_view_3d(rows.data, ATT_F32, B, T, rows.dim[1]);
    all.stride[0] = 0;
    return att_tape_add(p->tape, x, att_tape_constant(p->tape, &all));
}

static att_node *add_segments(const pass *p, att_node *x, const att_view *segments, int64_t B, int64_t T)
{
    att_view zeros = att_view_2d(NULL, ATT_I32, B, T);
    if (segments && segments->data) return add_rows(p, x, p->s->segments, segments);
    zeros.data = att_tape_alloc(p->tape, (size_t)(B * T) * sizeof(int32_t));
    if (!zeros.data) return x;
    memset(zeros.data, 0, (size_t)(B * T) * sizeof(int32_t));
    return add_rows(p, x, p->s->segments, &zeros);
}

static att_node *embed(const pass *p, const att_view *ids, const att_view *segments)
{
    const att_transformer_config *c = &p->m->config;
    att_node *x = att_tape_embedding(p->tape, att_tape_parameter(p->tape, p->s->words), ids);
    if (att_tape_status(p->tape) != ATT_OK) return x;
    int64_t B = ids->dim[0], T = ids->dim[1];
    if (c->scale_embedding) x = att_tape_scale(p->tape, x, sqrt((double)c->width));
    if (p->s->segments) x = add_segments(p, x, segments, B, T);
    if (c->positions == ATT_POSITIONS_LEARNED) x = add_learned(p, x, B, T);
    if (c->positions == ATT_POSITIONS_SINE || c->positions == ATT_POSITIONS_SINE_HALVES) x = add_sine(p, x, B, T);
    x = att_norm_apply(p->tape, &p->s->embedding_norm, x);
    return drop(p, x, c->dropout, DROP_WORDS);
}

/* ---- layers ---- */

/* One sublayer around x: x + f(norm(x)) when pre-norm, norm(x + f(x)) when post-norm. */
typedef att_node *sublayer(pass *p, int64_t l, att_node *x);

static att_node *residual(pass *p, int64_t l, att_node *x, sublayer *f, const att_norm *norm, int where)
{
    bool pre = p->m->config.norm == ATT_NORM_PRE;
    att_node *y = f(p, l, pre ? att_norm_apply(p->tape, norm, x) : x);
    y = att_tape_add(p->tape, x, drop(p, y, p->m->config.dropout, where));
    return pre ? y : att_norm_apply(p->tape, norm, y);
}

static att_node *self_attention(pass *p, int64_t l, att_node *x)
{
    p->self.desc.seed = att_random_mix(p->seed, p->stream + DROP_SELF_WEIGHTS);
    p->self.weights = p->self_weights ? &p->self_weights[l] : NULL;
    if (p->cache)
        att_transformer_cache_views(p->cache, l, att_node_value(x)->dim[1], &p->self.cache_k, &p->self.cache_v);
    return att_multi_head_self(p->tape, &p->s->layer[l].self, x, &p->self);
}

static att_node *cross_attention(pass *p, int64_t l, att_node *x)
{
    p->cross.desc.seed = att_random_mix(p->seed, p->stream + DROP_CROSS_WEIGHTS);
    p->cross.weights = p->cross_weights ? &p->cross_weights[l] : NULL;
    return att_multi_head_cross(p->tape, &p->s->layer[l].cross, x, p->memory->key_value[l], &p->cross);
}

static att_node *feed_forward(pass *p, int64_t l, att_node *x)
{
    const att_transformer_config *c = &p->m->config;
    att_node *h = att_linear_apply(p->tape, &p->s->layer[l].up, x, (att_activation)c->activation);
    h = drop(p, h, c->inner_dropout, DROP_INNER);
    return att_linear_apply(p->tape, &p->s->layer[l].down, h, ATT_ACT_NONE);
}

static att_node *run_stack(pass *p, const att_view *ids, const att_view *segments)
{
    uint64_t stack = p->s->causal ? (ATT_TRANSFORMER_MAX_LAYERS + 1) * DROPS : 0;
    p->stream = stack;
    att_node *x = embed(p, ids, segments);
    for (int64_t l = 0; l < p->s->layers && att_tape_status(p->tape) == ATT_OK; l++) {
        const att_stack_layer *layer = &p->s->layer[l];
        p->stream = stack + (uint64_t)(l + 1) * DROPS;
        x = residual(p, l, x, self_attention, &layer->self_norm, DROP_SELF);
        if (p->s->cross) x = residual(p, l, x, cross_attention, &layer->cross_norm, DROP_CROSS);
        x = residual(p, l, x, feed_forward, &layer->feed_norm, DROP_FEED);
    }
    return att_norm_apply(p->tape, &p->s->final_norm, x);
}

/* Positions that enter the attention: rotary angles or ALiBi's bias, for T queries of Tk keys. */
static void prepare_positions(pass *p, int64_t T, int64_t Tk)
{
    const att_transformer_config *c = &p->m->config;
    if (c->positions == ATT_POSITIONS_ROTARY)
        att_position_rows(p->tape, p->m, p->from, T, &p->self.cosine, &p->self.sine);
    if (c->positions == ATT_POSITIONS_ALIBI) p->self.bias = att_position_bias(p->tape, p->m, T, Tk, p->from);
}

static att_status check_ids(const att_view *ids, const char *name)
{
    ATT_REQUIRE(ids->ndim == 2 && ids->dtype == ATT_I32, ATT_E_SHAPE, "%s: %d dimensions of %s, expected 2 of int32",
                name, ids->ndim, att_dtype_name(ids->dtype));
    return ATT_OK;
}

att_node *att_transformer_encode(att_tape *tape, const att_transformer *m, const att_view *ids, const att_view *lengths,
                                 const att_view *segments, uint64_t seed, att_transformer_look *look)
{
    pass p = {.tape = tape, .m = m, .s = &m->encoder, .seed = seed, .self_weights = look ? look->encoder : NULL};
    att_status status = check_ids(ids, "ids");
    if (status == ATT_OK && !m->encoder.layers) status = att_fail(ATT_E_VALUE, "encode: the model has no encoder");
    if (status != ATT_OK) return att_tape_fail(tape, status);
    p.self.desc.dropout = (float)m->config.attention_dropout * (float)tape->recording;
    if (lengths) p.self.key_lengths = *lengths;
    prepare_positions(&p, ids->dim[1], ids->dim[1]);
    return run_stack(&p, ids, segments);
}

void att_transformer_remember(att_tape *tape, const att_transformer *m, att_node *states, const att_view *lengths,
                              att_transformer_memory *memory)
{
    *memory = (att_transformer_memory){0};
    if (lengths) memory->lengths = *lengths;
    for (int64_t l = 0; l < m->decoder.layers; l++)
        memory->key_value[l] = att_multi_head_remember(tape, &m->decoder.layer[l].cross, states);
}

att_node *att_transformer_decode(att_tape *tape, const att_transformer *m, const att_transformer_memory *memory,
                                 att_transformer_cache *cache, const att_view *ids, uint64_t seed,
                                 att_transformer_look *look)
{
    pass p = {.tape = tape,
              .m = m,
              .s = &m->decoder,
              .seed = seed,
              .memory = memory,
              .cache = cache,
              .self_weights = look ? look->decoder : NULL,
              .cross_weights = look ? look->cross : NULL};
    att_status status = check_ids(ids, "ids");
    if (status == ATT_OK && !m->decoder.layers) status = att_fail(ATT_E_VALUE, "decode: the model has no decoder");
    if (status == ATT_OK && m->decoder.cross && !memory)
        status = att_fail(ATT_E_VALUE, "decode: no memory, expected the encoder's");
    if (status == ATT_OK && cache) status = att_transformer_cache_check(cache, tape, ids);
    if (status != ATT_OK) return att_tape_fail(tape, status);
    int64_t T = ids->dim[1];
    p.from = cache ? att_transformer_cache_length(cache) : 0;
    float dropout = (float)m->config.attention_dropout * (float)tape->recording;
    p.self.desc = (att_attention_desc){.window = ATT_WINDOW_CAUSAL, .q_offset = p.from, .dropout = dropout};
    p.cross.desc.dropout = dropout;
    if (memory) p.cross.key_lengths = memory->lengths;
    prepare_positions(&p, T, p.from + T);
    att_node *x = run_stack(&p, ids, NULL);
    if (cache && att_tape_status(tape) == ATT_OK) att_transformer_cache_grow(cache, T);
    return x;
}

/* ---- ends ---- */

/* What the output layer reads of the states: after the transformation of a masked language model, if there is one. */
static att_node *output_input(att_tape *tape, const att_transformer *m, att_node *states)
{
    if (!m->dense.kernel) return states;
    states = att_linear_apply(tape, &m->dense, states, (att_activation)m->config.activation);
    return att_norm_apply(tape, &m->head_norm, states);
}

/* The output layer's weights, (V,C) if they are those of the embedding, and its bias or NULL. */
static att_node *output_weights(att_tape *tape, const att_transformer *m, bool *transposed, att_node **bias)
{
    *bias = m->output.bias ? att_tape_parameter(tape, m->output.bias) : NULL;
    *transposed = !m->output.kernel;
    return att_tape_parameter(tape, *transposed ? m->decoder.words : m->output.kernel);
}

att_node *att_transformer_logits(att_tape *tape, const att_transformer *m, att_node *states)
{
    att_node *bias, *x = output_input(tape, m, states);
    bool transposed;
    att_node *w = output_weights(tape, m, &transposed, &bias);
    return transposed ? att_tape_linear_transposed(tape, x, w, bias) : att_tape_linear(tape, x, w, bias, ATT_ACT_NONE);
}

static void cross_entropy(att_tape *tape, const att_transformer *m, att_node *states, const att_view *target,
                          double smoothing, double scale, att_loss *loss)
{
    att_node *bias, *x = output_input(tape, m, states);
    bool transposed;
    att_node *w = output_weights(tape, m, &transposed, &bias);
    att_tape_linear_cross_entropy(tape, x, w, bias, transposed, target, smoothing, scale, loss);
}

att_node *att_transformer_pool(att_tape *tape, const att_transformer *m, att_node *states)
{
    if (!m->pooler.kernel)
        return att_tape_fail(tape, att_fail(ATT_E_VALUE, "pool: the model has no pooler (model.pooler)"));
    return att_linear_apply(tape, &m->pooler, att_tape_at(tape, states, 1, 0), ATT_ACT_TANH);
}

att_node *att_transformer_classify(att_tape *tape, const att_transformer *m, att_node *states)
{
    if (!m->classifier.kernel)
        return att_tape_fail(tape, att_fail(ATT_E_VALUE, "classify: the model has no classifier (model.classes)"));
    return att_linear_apply(tape, &m->classifier, att_transformer_pool(tape, m, states), ATT_ACT_NONE);
}

/* The rows of states (B,T,C) whose target counts, and those targets: what else would the output layer work on? */
static att_node *chosen_rows(att_tape *tape, att_node *states, const att_view *target, att_view *chosen)
{
    int64_t n = 0, B = target->dim[0], T = target->dim[1], rows = B * T, C = att_node_value(states)->dim[2];
    int32_t *at = att_tape_alloc(tape, 2 * (size_t)rows * sizeof *at);
    if (!at) return states;
    for (int64_t i = 0; i < rows; i++) {
        int32_t word = ((const int32_t *)target->data)[i / T * target->stride[0] + i % T * target->stride[1]];
        if (word < 0) continue;
        at[n] = (int32_t)i;
        at[rows + n++] = word;
    }
    att_view index = att_view_1d(at, ATT_I32, n);
    *chosen = att_view_1d(at + rows, ATT_I32, n);
    return att_tape_embedding(tape, att_tape_reshape(tape, states, 2, (int64_t[]){rows, C}), &index);
}

att_status att_transformer_loss(att_tape *tape, const att_transformer *m, const att_transformer_batch *batch,
                                double smoothing, double scale, uint64_t seed, att_loss *loss)
{
    const att_view *lengths = batch->source_lengths.data ? &batch->source_lengths : NULL;
    att_transformer_memory memory, *read = NULL;
    att_node *x = NULL;
    att_view target = batch->target_out;
    *loss = (att_loss){0};
    if (m->encoder.layers) x = att_transformer_encode(tape, m, &batch->source, lengths, &batch->segments, seed, NULL);
    if (m->encoder.layers && m->decoder.layers) att_transformer_remember(tape, m, x, lengths, read = &memory);
    if (m->decoder.layers) x = att_transformer_decode(tape, m, read, NULL, &batch->target_in, seed, NULL);
    ATT_TRY(att_tape_status(tape));
    if (!m->decoder.layers) x = chosen_rows(tape, x, &batch->target_out, &target);
    cross_entropy(tape, m, x, &target, smoothing, scale, loss);
    return att_tape_status(tape);
}
