#include "nn/layers.h"

#include <stdio.h>

#include "tape/params.h"

/* "prefix.part" in a buffer of fixed size: names come from our own models and are short. */
static const char *joined(char *buffer, size_t bytes, const char *prefix, const char *part)
{
    snprintf(buffer, bytes, "%.90s.%.30s", prefix, part);
    return buffer;
}
#define NAME_BYTES 128

static att_status add_matrix(att_params *params, const char *prefix, const char *part, int64_t K, int64_t N,
                             att_init init, double scale, att_parameter **out)
{
    char name[NAME_BYTES];
    return att_params_add(params, joined(name, sizeof name, prefix, part), 2, (int64_t[]){K, N}, init, scale, out);
}

static att_status add_vector(att_params *params, const char *prefix, const char *part, int64_t N, att_init init,
                             double scale, att_parameter **out)
{
    char name[NAME_BYTES];
    return att_params_add(params, joined(name, sizeof name, prefix, part), 1, &N, init, scale, out);
}

att_status att_linear_create(att_params *params, const char *name, int64_t K, int64_t N, bool with_bias,
                             att_linear *out)
{
    return att_linear_create_with(params, name, K, N, with_bias, 0.0, out);
}

att_status att_linear_create_with(att_params *params, const char *name, int64_t K, int64_t N, bool with_bias,
                                  double deviation, att_linear *out)
{
    *out = (att_linear){0};
    att_init init = deviation > 0 ? ATT_INIT_NORMAL : ATT_INIT_GLOROT;
    ATT_TRY(add_matrix(params, name, "kernel", K, N, init, deviation, &out->kernel));
    out->kernel->use = ATT_USE_PRODUCT;
    return with_bias ? add_vector(params, name, "bias", N, ATT_INIT_ZERO, 0.0, &out->bias) : ATT_OK;
}

static att_node *parameter_or_null(att_tape *tape, att_parameter *p)
{
    return p ? att_tape_parameter(tape, p) : NULL;
}

att_node *att_linear_apply(att_tape *tape, const att_linear *layer, att_node *x, att_activation act)
{
    return att_tape_linear(tape, x, att_tape_parameter(tape, layer->kernel), parameter_or_null(tape, layer->bias), act);
}

att_status att_recurrent_create(att_params *params, const char *name, att_cell cell, int64_t K, int64_t U,
                                att_recurrent *out)
{
    int64_t GU = att_rnn_gates(cell) * U;
    *out = (att_recurrent){.cell = cell, .units = U};
    ATT_TRY(att_linear_create(params, name, K, GU, true, &out->input));
    ATT_TRY(add_matrix(params, name, "recurrent", U, GU, ATT_INIT_ORTHOGONAL, 0.0, &out->recurrent));
    if (cell != ATT_CELL_GRU) return ATT_OK;
    return add_vector(params, name, "recurrent_bias", GU, ATT_INIT_ZERO, 0.0, &out->recurrent_bias);
}

void att_recurrent_start(const att_recurrent *layer)
{
    if (layer->cell != ATT_CELL_LSTM) return;
    float *bias = att_parameter_value(layer->input.bias)->data;
    for (int64_t u = 0; u < layer->units; u++) bias[layer->units + u] = 1.0f; /* gates i f g o */
}

att_node *att_recurrent_run(att_tape *tape, const att_recurrent *layer, att_node *gates, int reverse,
                            const att_view *lengths, att_recurrent_state *state)
{
    att_tape_rnn_in in = {.gates_x = att_tape_transpose(tape, gates, 0, 1),
                          .w = att_tape_parameter(tape, layer->recurrent),
                          .bias_h = parameter_or_null(tape, layer->recurrent_bias),
                          .h0 = state ? state->h : NULL,
                          .c0 = state ? state->c : NULL};
    if (lengths) in.lengths = *lengths;
    att_node *c, *h = att_tape_rnn(tape, &(att_rnn_desc){.cell = layer->cell, .reverse = reverse}, &in, &c);
    if (state && att_tape_status(tape) == ATT_OK) {
        int64_t end = reverse ? 0 : att_node_value(h)->dim[1] - 1;
        state->h = att_tape_at(tape, h, 1, end);
        if (layer->cell == ATT_CELL_LSTM) state->c = att_tape_at(tape, c, 1, end);
    }
    return att_tape_transpose(tape, h, 0, 1);
}

void att_recurrent_step(att_tape *tape, const att_recurrent *layer, att_node *gates, att_recurrent_state *state)
{
    const att_view *g = att_node_value(gates);
    att_node *one = att_tape_reshape(tape, gates, 3, (int64_t[]){1, g->dim[0], g->dim[1]});
    att_recurrent_run(tape, layer, one, 0, NULL, state);
}

att_status att_aligner_create(att_params *params, const char *name, att_alignment kind, int64_t query_units,
                              int64_t key_units, int64_t units, att_aligner *out)
{
    char part[NAME_BYTES];
    *out = (att_aligner){.kind = kind};
    switch (kind) {
    case ATT_ALIGNMENT_ADDITIVE:
        ATT_TRY(att_linear_create(params, joined(part, sizeof part, name, "query"), query_units, units, false,
                                  &out->query));
        ATT_TRY(att_linear_create(params, joined(part, sizeof part, name, "key"), key_units, units, true, &out->key));
        return add_vector(params, name, "score", units, ATT_INIT_UNIFORM, 0.1, &out->score);
    case ATT_ALIGNMENT_GENERAL:
        return att_linear_create(params, joined(part, sizeof part, name, "query"), query_units, key_units, false,
                                 &out->query);
    case ATT_ALIGNMENT_DOT:
        ATT_REQUIRE(
            query_units == key_units, ATT_E_SHAPE,
            "model.attention: dot compares states of %lld units with keys of %lld; make them equal or use general",
            (long long)query_units, (long long)key_units);
        return ATT_OK;
    case ATT_ALIGNMENT_NONE: return ATT_OK;
    }
    return att_fail(ATT_E_VALUE, "attention: kind %d is not one of additive, dot, general, none", (int)kind);
}

att_node *att_aligner_keys(att_tape *tape, const att_aligner *layer, att_node *memory)
{
    return layer->kind == ATT_ALIGNMENT_ADDITIVE ? att_linear_apply(tape, &layer->key, memory, ATT_ACT_NONE) : memory;
}

/* (T,B,C) -> (B,1,T,C), a view */
static att_node *as_heads(att_tape *tape, att_node *x)
{
    const att_view *v = att_node_value(x);
    return att_tape_reshape(tape, att_tape_transpose(tape, x, 0, 1), 4,
                            (int64_t[]){v->dim[1], 1, v->dim[0], v->dim[2]});
}

att_view att_aligner_prepare(att_tape *tape, const att_aligner *layer, att_node *keys)
{
    if (layer->kind != ATT_ALIGNMENT_ADDITIVE || att_tape_status(tape) != ATT_OK) return (att_view){0};
    return att_tape_prepare_keys(tape, as_heads(tape, keys));
}

att_node *att_aligner_attend(att_tape *tape, const att_aligner *layer, att_node *query, att_node *keys,
                             const att_view *prepared, att_node *memory, const att_view *lengths, att_view *weights)
{
    att_node *q = layer->query.kernel ? att_linear_apply(tape, &layer->query, query, ATT_ACT_NONE) : query;
    if (att_tape_status(tape) != ATT_OK) return q;
    int64_t rows = att_node_value(q)->dim[0], D = att_node_value(q)->dim[1], B = att_node_value(keys)->dim[1];
    att_attention_desc desc = {.score = layer->kind == ATT_ALIGNMENT_ADDITIVE ? ATT_SCORE_ADDITIVE : ATT_SCORE_DOT,
                               .scale = 1.0f};
    att_tape_attention_in in = {.q = att_tape_reshape(tape, q, 4, (int64_t[]){B, 1, rows / B, D}),
                                .k = as_heads(tape, keys),
                                .v = as_heads(tape, memory),
                                .score_w = parameter_or_null(tape, layer->score)};
    if (lengths) in.key_lengths = *lengths;
    if (prepared) in.k_prepared = *prepared;
    att_node *o = att_tape_attention(tape, &desc, &in, weights);
    return att_tape_reshape(tape, o, 2, (int64_t[]){rows, att_node_value(memory)->dim[2]});
}
