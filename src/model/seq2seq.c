#include <attend/seq2seq.h>

#include <stdio.h>

#include "base/base.h"
#include "nn/layers.h"

struct att_seq2seq {
    att_seq2seq_config config;
    const att_allocator *allocator;
    att_params *params;
    att_parameter *source_words, *target_words;
    att_recurrent encoder[ATT_SEQ2SEQ_MAX_LAYERS][2]; /* [layer][forward, backward] */
    att_linear start[ATT_SEQ2SEQ_MAX_LAYERS];         /* the decoder's first state, from the backward encoder's end */
    att_aligner aligner;
    att_recurrent decoder[ATT_SEQ2SEQ_MAX_LAYERS]; /* layer 0's kernel reads word vectors only */
    att_parameter *context_kernel;                 /* what else enters layer 0: the context, or the fed readout */
    att_linear readout, output;                    /* output.kernel is NULL when tied */
};

/* Streams of dropout within a step. */
enum { DROP_SOURCE = 1, DROP_TARGET, DROP_READOUT, DROP_ENCODER = 100, DROP_DECODER = 100000 };

static bool attends(const att_seq2seq_config *c)
{
    return c->attention != ATT_SEQ2SEQ_NO_ATTENTION;
}

static bool attends_after(const att_seq2seq_config *c)
{
    return attends(c) && c->attend == ATT_SEQ2SEQ_ATTEND_AFTER;
}

static bool feeds(const att_seq2seq_config *c)
{
    return attends_after(c) && c->input_feeding;
}

/* Width of what enters the first decoder layer beside the word vector; 0 if nothing does. */
static int64_t extra_input(const att_seq2seq_config *c)
{
    if (!attends_after(c)) return 2 * c->encoder_units;
    return feeds(c) ? c->embedding : 0;
}

static att_status check(const att_seq2seq_config *c)
{
    const struct {
        const char *name;
        int64_t value, most;
    } sizes[] = {{"source_vocabulary", c->source_vocabulary, INT32_MAX},
                 {"target_vocabulary", c->target_vocabulary, INT32_MAX},
                 {"embedding", c->embedding, 65536},
                 {"encoder_units", c->encoder_units, 65536},
                 {"decoder_units", c->decoder_units, 65536},
                 {"encoder_layers", c->encoder_layers, ATT_SEQ2SEQ_MAX_LAYERS},
                 {"decoder_layers", c->decoder_layers, ATT_SEQ2SEQ_MAX_LAYERS}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        ATT_REQUIRE(sizes[i].value >= 1 && sizes[i].value <= sizes[i].most, ATT_E_VALUE,
                    "model.%s: %lld, expected 1 to %lld", sizes[i].name, (long long)sizes[i].value,
                    (long long)sizes[i].most);
    const struct {
        const char *name;
        int value, most;
    } choices[] = {{"cell", c->cell, ATT_CELL_LSTM},
                   {"attention", c->attention, ATT_SEQ2SEQ_NO_ATTENTION},
                   {"attend", c->attend, ATT_SEQ2SEQ_ATTEND_AFTER}};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        ATT_REQUIRE(choices[i].value >= 0 && choices[i].value <= choices[i].most, ATT_E_VALUE,
                    "model.%s: %d, expected 0 to %d", choices[i].name, choices[i].value, choices[i].most);
    ATT_REQUIRE(c->attention_units >= 0 && c->attention_units <= 65536, ATT_E_VALUE,
                "model.attention_units: %lld, expected 0 to 65536", (long long)c->attention_units);
    ATT_REQUIRE(c->dropout >= 0.0 && c->dropout < 1.0, ATT_E_VALUE, "model.dropout: %g, expected 0 to less than 1",
                c->dropout);
    ATT_REQUIRE(
        !c->shared || c->source_vocabulary == c->target_vocabulary, ATT_E_VALUE,
        "model.shared: vocabularies of %lld and %lld words; shared word vectors need one vocabulary (text.shared)",
        (long long)c->source_vocabulary, (long long)c->target_vocabulary);
    ATT_REQUIRE(!c->input_feeding || attends_after(c), ATT_E_VALUE,
                "model.input_feeding: needs attention after the step (model.attend: after); before it the context "
                "always enters");
    return ATT_OK;
}

static att_status add_words(att_seq2seq *m)
{
    const att_seq2seq_config *c = &m->config;
    double deviation = 1.0 / 16.0;
    ATT_TRY(att_params_add(m->params, c->shared ? "words" : "target.words", 2,
                           (int64_t[]){c->target_vocabulary, c->embedding}, ATT_INIT_NORMAL, deviation,
                           &m->target_words));
    m->source_words = m->target_words;
    if (c->shared) return ATT_OK;
    return att_params_add(m->params, "source.words", 2, (int64_t[]){c->source_vocabulary, c->embedding},
                          ATT_INIT_NORMAL, deviation, &m->source_words);
}

static att_status add_encoder(att_seq2seq *m)
{
    static const char *const direction[] = {"forward", "backward"};
    const att_seq2seq_config *c = &m->config;
    char name[64];
    for (int64_t l = 0; l < c->encoder_layers; l++)
        for (int d = 0; d < 2; d++) {
            snprintf(name, sizeof name, "encoder.%d.%s", (int)l, direction[d]);
            ATT_TRY(att_recurrent_create(m->params, name, (att_cell)c->cell, l ? 2 * c->encoder_units : c->embedding,
                                         c->encoder_units, &m->encoder[l][d]));
        }
    return ATT_OK;
}

static att_status add_decoder(att_seq2seq *m)
{
    const att_seq2seq_config *c = &m->config;
    int64_t D = c->decoder_units, E = c->embedding, states = 2 * c->encoder_units;
    char name[64];
    for (int64_t l = 0; l < c->decoder_layers; l++) {
        snprintf(name, sizeof name, "decoder.%d.start", (int)l);
        ATT_TRY(att_linear_create(m->params, name, c->encoder_units, D, true, &m->start[l]));
        snprintf(name, sizeof name, "decoder.%d", (int)l);
        ATT_TRY(att_recurrent_create(m->params, name, (att_cell)c->cell, l ? D : E, D, &m->decoder[l]));
    }
    if (extra_input(c))
        ATT_TRY(att_params_add(m->params, "decoder.0.context_kernel", 2,
                               (int64_t[]){extra_input(c), att_rnn_gates((att_cell)c->cell) * D}, ATT_INIT_GLOROT, 0.0,
                               &m->context_kernel));
    ATT_TRY(att_aligner_create(m->params, "attention", (att_alignment)c->attention, D, states,
                               c->attention_units ? c->attention_units : D, &m->aligner));
    ATT_TRY(att_linear_create(m->params, "readout", D + states + (feeds(c) ? 0 : E), E, true, &m->readout));
    if (!c->tied) return att_linear_create(m->params, "output", E, c->target_vocabulary, true, &m->output);
    return att_params_add(m->params, "output.bias", 1, &c->target_vocabulary, ATT_INIT_ZERO, 0.0, &m->output.bias);
}

static att_status build(att_seq2seq *m, uint64_t seed, int with_gradients)
{
    ATT_TRY(att_params_create(m->allocator, &m->params));
    ATT_TRY(add_words(m));
    ATT_TRY(add_encoder(m));
    ATT_TRY(add_decoder(m));
    ATT_TRY(att_params_allocate(m->params, seed, with_gradients));
    if (with_gradients < 0) return ATT_OK; /* a file's values will come */
    for (int64_t l = 0; l < m->config.encoder_layers; l++)
        for (int d = 0; d < 2; d++) att_recurrent_start(&m->encoder[l][d]);
    for (int64_t l = 0; l < m->config.decoder_layers; l++) att_recurrent_start(&m->decoder[l]);
    return ATT_OK;
}

att_status att_seq2seq_create(const att_seq2seq_config *config, uint64_t seed, int with_gradients,
                              const att_allocator *allocator, att_seq2seq **out)
{
    void *block;
    *out = NULL;
    ATT_TRY(check(config));
    ATT_TRY(att_alloc_zero(allocator, sizeof **out, &block));
    att_seq2seq *m = block;
    m->config = *config;
    m->allocator = allocator;
    att_status status = build(m, seed, with_gradients);
    if (status != ATT_OK) {
        att_seq2seq_destroy(m);
        return status;
    }
    *out = m;
    return ATT_OK;
}

void att_seq2seq_destroy(att_seq2seq *model)
{
    if (!model) return;
    att_params_destroy(model->params);
    att_free(model->allocator, model, sizeof *model);
}

att_params *att_seq2seq_params(const att_seq2seq *model)
{
    return model->params;
}

const att_seq2seq_config *att_seq2seq_configuration(const att_seq2seq *model)
{
    return &model->config;
}

/* ---- encoder ---- */

static att_node *words(att_tape *tape, const att_seq2seq *m, att_parameter *table, const att_view *ids, uint64_t seed,
                       uint64_t stream)
{
    att_node *e = att_tape_embedding(tape, att_tape_parameter(tape, table), ids);
    return att_tape_dropout(tape, e, m->config.dropout, seed, stream);
}

/* x (T,B,.) -> both directions' states joined (T,B,2U); *end is the backward run's last state (its first word's). */
static att_node *both_directions(att_tape *tape, const att_recurrent layer[2], att_node *x, const att_view *lengths,
                                 att_node **end)
{
    att_node *h[2];
    for (int d = 0; d < 2; d++) {
        att_node *gates = att_linear_apply(tape, &layer[d].input, x, ATT_ACT_NONE);
        h[d] = att_recurrent_run(tape, &layer[d], gates, d, lengths, NULL);
    }
    *end = att_tape_at(tape, h[1], 0, 0);
    return att_tape_concat(tape, 2, h);
}

/* The last forward state and the first backward state: what plain seq2seq has instead of attention. */
static att_node *fixed_context(att_tape *tape, const att_seq2seq *m, att_node *states)
{
    int64_t U = m->config.encoder_units, T = att_node_value(states)->dim[0];
    att_node *part[2] = {att_tape_slice(tape, att_tape_at(tape, states, 0, T - 1), 1, 0, U),
                         att_tape_slice(tape, att_tape_at(tape, states, 0, 0), 1, U, 2 * U)};
    return att_tape_concat(tape, 2, part); /* steps after a sentence's end keep its last state */
}

void att_seq2seq_encode(att_tape *tape, const att_seq2seq *m, const att_view *source, const att_view *lengths,
                        uint64_t seed, att_seq2seq_memory *memory, att_seq2seq_state *state)
{
    const att_seq2seq_config *c = &m->config;
    *memory = (att_seq2seq_memory){.lengths = *lengths};
    *state = (att_seq2seq_state){0};
    att_node *end = NULL, *x = words(tape, m, m->source_words, source, seed, DROP_SOURCE);
    for (int64_t l = 0; l < c->encoder_layers; l++) {
        if (l) x = att_tape_dropout(tape, x, c->dropout, seed, (uint64_t)(DROP_ENCODER + l));
        x = both_directions(tape, m->encoder[l], x, lengths, &end);
        if (att_tape_status(tape) != ATT_OK) return;
    }
    memory->states = x;
    if (attends(c)) {
        memory->keys = att_aligner_keys(tape, &m->aligner, x);
        memory->prepared = att_aligner_prepare(tape, &m->aligner, memory->keys);
    } else
        memory->context = fixed_context(tape, m, x);
    int64_t B = source->dim[1];
    for (int64_t l = 0; l < c->decoder_layers; l++) {
        state->h[l] = att_linear_apply(tape, &m->start[l], end, ATT_ACT_TANH);
        if (c->cell == ATT_CELL_LSTM) state->c[l] = att_tape_zeros(tape, 2, (int64_t[]){B, c->decoder_units});
    }
    if (feeds(c)) state->feed = att_tape_zeros(tape, 2, (int64_t[]){B, c->embedding});
}

/* ---- decoder ---- */

/* The fixed context for as many rows as `query` has: each sentence's for all rows of that sentence. */
static att_node *repeated_context(att_tape *tape, att_node *context, const att_node *query)
{
    if (att_tape_status(tape) != ATT_OK) return context;
    int64_t B = att_node_value(context)->dim[0], width = att_node_value(context)->dim[1];
    int64_t rows = att_node_value(query)->dim[0], n = rows / B;
    if (n == 1) return context;
    att_node **copies = att_tape_alloc(tape, (size_t)n * sizeof *copies);
    for (int64_t i = 0; copies && i < n; i++) copies[i] = context;
    if (!copies) return context;
    att_node *all = att_tape_transpose(tape, att_tape_stack(tape, n, copies), 0, 1);
    return att_tape_reshape(tape, all, 2, (int64_t[]){rows, width});
}

static att_node *attend(att_tape *tape, const att_seq2seq *m, const att_seq2seq_memory *memory, att_node *query,
                        att_view *weights)
{
    if (!attends(&m->config)) return repeated_context(tape, memory->context, query);
    return att_aligner_attend(tape, &m->aligner, query, memory->keys, &memory->prepared, memory->states,
                              &memory->lengths, weights);
}

/* The decoder layers, from the first one's gates (R,G*D). */
static att_node *run_layers(att_tape *tape, const att_seq2seq *m, att_node *gates, att_seq2seq_state *state,
                            uint64_t seed, uint64_t step)
{
    for (int64_t l = 0; l < m->config.decoder_layers; l++) {
        att_recurrent_state s = {state->h[l], state->c[l]};
        if (l) {
            uint64_t stream = DROP_DECODER + step * ATT_SEQ2SEQ_MAX_LAYERS + (uint64_t)l;
            att_node *x = att_tape_dropout(tape, state->h[l - 1], m->config.dropout, seed, stream);
            gates = att_linear_apply(tape, &m->decoder[l].input, x, ATT_ACT_NONE);
        }
        att_recurrent_step(tape, &m->decoder[l], gates, &s);
        state->h[l] = s.h;
        state->c[l] = s.c;
    }
    return state->h[m->config.decoder_layers - 1];
}

/* One step from the word vectors' share of the first gates. *context receives the context of this step's readout. */
static att_node *decode_step(att_tape *tape, const att_seq2seq *m, const att_seq2seq_memory *memory,
                             att_node *word_gates, att_seq2seq_state *state, uint64_t seed, uint64_t step,
                             att_node **context, att_view *weights)
{
    const att_seq2seq_config *c = &m->config;
    att_node *gates = word_gates, *extra = state->feed;
    if (!attends_after(c)) extra = *context = attend(tape, m, memory, state->h[c->decoder_layers - 1], weights);
    if (extra)
        gates =
            att_tape_add(tape, word_gates,
                         att_tape_linear(tape, extra, att_tape_parameter(tape, m->context_kernel), NULL, ATT_ACT_NONE));
    att_node *top = run_layers(tape, m, gates, state, seed, step);
    if (attends_after(c)) *context = attend(tape, m, memory, top, weights);
    if (feeds(c)) {
        att_node *part[2] = {top, *context};
        state->feed = att_linear_apply(tape, &m->readout, att_tape_concat(tape, 2, part), ATT_ACT_TANH);
    }
    return top;
}

/* (E,V), or (V,E) when tied. */
static att_node *output_weights(att_tape *tape, const att_seq2seq *m)
{
    return att_tape_parameter(tape, m->config.tied ? m->target_words : m->output.kernel);
}

static att_node *logits_of(att_tape *tape, const att_seq2seq *m, att_node *readout)
{
    att_node *w = output_weights(tape, m), *bias = att_tape_parameter(tape, m->output.bias);
    return m->config.tied ? att_tape_linear_transposed(tape, readout, w, bias)
                          : att_tape_linear(tape, readout, w, bias, ATT_ACT_NONE);
}

att_node *att_seq2seq_step(att_tape *tape, const att_seq2seq *m, const att_seq2seq_memory *memory, const att_view *ids,
                           att_seq2seq_state *state, att_view *weights)
{
    if (weights) *weights = (att_view){0};
    att_node *context = NULL, *e = words(tape, m, m->target_words, ids, 0, 0);
    att_node *gates = att_linear_apply(tape, &m->decoder[0].input, e, ATT_ACT_NONE);
    att_node *top = decode_step(tape, m, memory, gates, state, 0, 0, &context, weights);
    att_node *part[3] = {top, context, e};
    att_node *readout = feeds(&m->config)
                            ? state->feed
                            : att_linear_apply(tape, &m->readout, att_tape_concat(tape, 3, part), ATT_ACT_TANH);
    return logits_of(tape, m, readout);
}

/* All steps with the right words as input (teacher forcing); readouts (T,B,E). */
static att_node *decode_all(att_tape *tape, const att_seq2seq *m, const att_seq2seq_memory *memory, const att_view *ids,
                            att_seq2seq_state *state, uint64_t seed)
{
    int64_t T = ids->dim[0];
    att_node *e = words(tape, m, m->target_words, ids, seed, DROP_TARGET);
    att_node *gates = att_linear_apply(tape, &m->decoder[0].input, e, ATT_ACT_NONE);
    att_node **list = att_tape_alloc(tape, 2 * (size_t)T * sizeof *list);
    if (att_tape_status(tape) != ATT_OK) return e;
    att_node **tops = list, **contexts = list + T;
    for (int64_t t = 0; t < T; t++) {
        tops[t] =
            decode_step(tape, m, memory, att_tape_at(tape, gates, 0, t), state, seed, (uint64_t)t, &contexts[t], NULL);
        if (feeds(&m->config)) tops[t] = state->feed;
    }
    att_node *top = att_tape_stack(tape, T, tops);
    if (feeds(&m->config)) return top;
    att_node *part[3] = {top, att_tape_stack(tape, T, contexts), e};
    return att_linear_apply(tape, &m->readout, att_tape_concat(tape, 3, part), ATT_ACT_TANH);
}

att_status att_seq2seq_loss(att_tape *tape, const att_seq2seq *m, const att_seq2seq_batch *batch, double smoothing,
                            double scale, uint64_t seed, att_loss *loss)
{
    att_seq2seq_memory memory;
    att_seq2seq_state state;
    att_seq2seq_encode(tape, m, &batch->source, &batch->source_lengths, seed, &memory, &state);
    if (att_tape_status(tape) == ATT_OK) {
        att_node *readout = decode_all(tape, m, &memory, &batch->target_in, &state, seed);
        readout = att_tape_dropout(tape, readout, m->config.dropout, seed, DROP_READOUT);
        att_tape_linear_cross_entropy(tape, readout, output_weights(tape, m), att_tape_parameter(tape, m->output.bias),
                                      m->config.tied, &batch->target_out, smoothing, scale, loss);
    }
    return att_tape_status(tape);
}
