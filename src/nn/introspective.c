#include <attend/introspective.h>

#include <stdio.h>
#include <string.h>

#include "nn/layers.h"
#include "tape/tape.h"

struct att_introspective {
    att_introspective_desc desc;
    att_recurrent cell;
    att_linear query, key;
};

static att_status declare(att_params *params, const char *name, att_introspective *net)
{
    const att_introspective_desc *d = &net->desc;
    char part[128];
    ATT_TRY(att_recurrent_create(params, name, d->cell, d->inputs + d->units, d->units, &net->cell));
    snprintf(part, sizeof part, "%.90s.query", name);
    ATT_TRY(att_linear_create(params, part, d->units, d->key_units, false, &net->query));
    snprintf(part, sizeof part, "%.90s.key", name);
    return att_linear_create(params, part, d->units, d->key_units, false, &net->key);
}

att_status att_introspective_create(att_params *params, const char *name, const att_introspective_desc *desc,
                                    att_introspective **out)
{
    void *block;
    *out = NULL;
    ATT_REQUIRE(desc->inputs > 0 && desc->units > 0 && desc->key_units >= 0, ATT_E_VALUE,
                "introspective: inputs %lld, units %lld, key_units %lld, expected 1, 1 and 0 or more",
                (long long)desc->inputs, (long long)desc->units, (long long)desc->key_units);
    ATT_REQUIRE(desc->cell >= ATT_CELL_GRU && desc->cell <= ATT_CELL_LSTM, ATT_E_VALUE,
                "introspective: cell %d, expected ATT_CELL_GRU, _GRU_RESET_BEFORE or _LSTM", (int)desc->cell);
    ATT_TRY(att_new_array(NULL, 1, sizeof(att_introspective), &block));
    att_introspective *net = block;
    net->desc = *desc;
    if (net->desc.key_units == 0) net->desc.key_units = desc->units;
    att_status status = declare(params, name, net);
    if (status == ATT_OK)
        *out = net;
    else
        att_introspective_destroy(net);
    return status;
}

void att_introspective_destroy(att_introspective *net)
{
    att_free(NULL, net, sizeof(att_introspective));
}

void att_introspective_start(const att_introspective *net)
{
    att_recurrent_start(&net->cell);
}

/* (T,B,C) as (B,1,T,C): the first t of the recorded states. */
static att_node *record_of(att_tape *tape, int64_t t, att_node *const *step)
{
    att_node *all = att_tape_transpose(tape, att_tape_stack(tape, t, step), 0, 1);
    if (att_tape_status(tape) != ATT_OK) return all;
    const int64_t *dim = att_node_value(all)->dim;
    return att_tape_reshape(tape, all, 4, (int64_t[]){dim[0], 1, dim[1], dim[2]});
}

/* Row t of a (B,T,T) from weights (B,1,1,t). */
static void keep_weights(const att_view *a, const att_view *w, int64_t t)
{
    for (int64_t b = 0; b < a->dim[0]; b++)
        memcpy((float *)a->data + (b * a->dim[1] + t) * a->dim[2], (const float *)w->data + b * w->stride[0],
               (size_t)t * sizeof(float));
}

/* What a run has recorded so far: node t of each belongs to step t. */
typedef struct record {
    const att_introspective *net;
    att_node **state, **key; /* (B,U), (B,D) */
    att_view *weights;
} record;

/* c_t from the states before t. */
static att_node *look_back(att_tape *tape, const record *r, att_node *h, int64_t t)
{
    const att_attention_desc desc = {0};
    att_node *q = att_linear_apply(tape, &r->net->query, h, ATT_ACT_NONE);
    if (att_tape_status(tape) != ATT_OK) return q;
    const int64_t B = att_node_value(q)->dim[0], D = att_node_value(q)->dim[1];
    att_tape_attention_in in = {.q = att_tape_reshape(tape, q, 4, (int64_t[]){B, 1, 1, D}),
                                .k = record_of(tape, t, r->key),
                                .v = record_of(tape, t, r->state)};
    att_view w;
    att_node *c = att_tape_attention(tape, &desc, &in, r->weights ? &w : NULL);
    if (r->weights && att_tape_status(tape) == ATT_OK) keep_weights(r->weights, &w, t);
    return att_tape_reshape(tape, c, 2, (int64_t[]){B, r->net->desc.units});
}

static att_node *run(att_tape *tape, record *r, att_node *x, att_node **y)
{
    const att_introspective *net = r->net;
    const int64_t B = att_node_value(x)->dim[0], T = att_node_value(x)->dim[1], state_dim[2] = {B, net->desc.units};
    att_node *zero = att_tape_zeros(tape, 2, state_dim), *c = zero;
    att_recurrent_state state = {.h = zero, .c = net->desc.cell == ATT_CELL_LSTM ? zero : NULL};
    for (int64_t t = 0; t < T && att_tape_status(tape) == ATT_OK; t++) {
        att_node *in = att_tape_concat(tape, 2, (att_node *[]){att_tape_at(tape, x, 1, t), c});
        att_recurrent_step(tape, &net->cell, att_linear_apply(tape, &net->cell.input, in, ATT_ACT_NONE), &state);
        r->state[t] = state.h;
        r->key[t] = net->desc.blind ? zero : att_linear_apply(tape, &net->key, state.h, ATT_ACT_NONE);
        c = t == 0 || net->desc.blind ? zero : look_back(tape, r, state.h, t);
        y[t] = att_tape_concat(tape, 2, (att_node *[]){state.h, c});
    }
    return att_tape_transpose(tape, att_tape_stack(tape, T, y), 0, 1);
}

att_node *att_introspective_run(att_tape *tape, const att_introspective *net, att_node *x, att_view *weights)
{
    if (weights) *weights = (att_view){0};
    if (att_tape_status(tape) != ATT_OK) return x;
    const att_view *v = att_node_value(x);
    TAPE_REQUIRE(tape, v->ndim == 3 && v->dim[1] > 0, ATT_E_SHAPE,
                 "introspective: x has %d dimensions, expected (B,T,C) with T of 1 or more", v->ndim);
    TAPE_REQUIRE(tape, v->dim[2] == net->desc.inputs, ATT_E_SHAPE, "introspective: x is %lld wide, expected %lld",
                 (long long)v->dim[2], (long long)net->desc.inputs);
    int64_t B = v->dim[0], T = v->dim[1];
    att_node **node = att_tape_alloc(tape, 3 * (size_t)T * sizeof *node);
    float *a = weights ? att_tape_alloc(tape, (size_t)(B * T * T) * sizeof *a) : NULL;
    if (att_tape_status(tape) != ATT_OK) return x;
    if (weights) {
        memset(a, 0, (size_t)(B * T * T) * sizeof *a);
        *weights = att_view_3d(a, ATT_F32, B, T, T);
    }
    record r = {net, node, node + T, weights};
    return run(tape, &r, x, node + 2 * T);
}
