#include "nn/blocks.h"

#include <stdio.h>

#define NAME_BYTES 128

static const char *joined(char *buffer, const char *prefix, const char *part)
{
    snprintf(buffer, NAME_BYTES, "%.90s.%.30s", prefix, part);
    return buffer;
}

att_status att_norm_create(att_params *params, const char *name, int64_t N, double eps, att_norm *out)
{
    char part[NAME_BYTES];
    out->eps = eps;
    ATT_TRY(att_params_add(params, joined(part, name, "gain"), 1, &N, ATT_INIT_ONE, 0.0, &out->gain));
    return att_params_add(params, joined(part, name, "bias"), 1, &N, ATT_INIT_ZERO, 0.0, &out->bias);
}

att_node *att_norm_apply(att_tape *tape, const att_norm *layer, att_node *x)
{
    if (!layer->gain) return x;
    return att_tape_layer_norm(tape, x, att_tape_parameter(tape, layer->gain), att_tape_parameter(tape, layer->bias),
                               layer->eps);
}

att_status att_multi_head_create(att_params *params, const char *name, const att_multi_head_desc *d,
                                 att_multi_head *out)
{
    char part[NAME_BYTES];
    int64_t C = d->width, D = C / d->heads, q = d->heads * D, kv = 2 * d->kv_heads * D;
    *out = (att_multi_head){.Hq = d->heads, .Hkv = d->kv_heads, .D = D};
    if (d->cross) {
        ATT_TRY(att_linear_create_with(params, joined(part, name, "query"), C, q, d->with_bias, d->init, &out->query));
        ATT_TRY(att_linear_create_with(params, joined(part, name, "key_value"), C, kv, d->with_bias, d->init,
                                       &out->key_value));
    } else {
        ATT_TRY(att_linear_create_with(params, joined(part, name, "qkv"), C, q + kv, d->with_bias, d->init, &out->qkv));
    }
    return att_linear_create_with(params, joined(part, name, "output"), q, C, d->with_bias, d->output_init,
                                  &out->output);
}

/* Columns lo .. lo + H D of x (B,T,.) as heads (B,T,H,D): a view. */
static att_node *heads_of(att_tape *tape, att_node *x, int64_t lo, int64_t H, int64_t D)
{
    const att_view *v = att_node_value(x);
    att_node *part = att_tape_slice(tape, x, 2, lo, lo + H * D);
    return att_tape_reshape(tape, part, 4, (int64_t[]){v->dim[0], v->dim[1], H, D});
}

/* (B,T,H,D) -> (B,H,T,D): a view. */
static att_node *heads_first(att_tape *tape, att_node *x)
{
    return att_tape_transpose(tape, x, 1, 2);
}

/* Put this call's keys (or values) (B,T,H,D) at the end of the cache's (B,H,Tk,D) and go on with all of them. */
static att_node *through_cache(att_tape *tape, att_node *x, const att_view *cache)
{
    att_node *all = heads_first(tape, x);
    if (!cache->data || att_tape_status(tape) != ATT_OK) return all;
    int64_t T = att_node_value(all)->dim[2], Tk = cache->dim[2];
    att_view end = att_view_slice(cache, 2, Tk - T, Tk);
    att_tape_store(tape, all, &end);
    return att_tape_constant(tape, cache);
}

/* o (B,H,T,D) -> heads side by side -> output layer */
static att_node *finish(att_tape *tape, const att_multi_head *layer, att_node *o, int64_t rows, int64_t T)
{
    att_node *joined_heads =
        att_tape_reshape(tape, heads_first(tape, o), 3, (int64_t[]){rows, T, layer->Hq * layer->D});
    return att_linear_apply(tape, &layer->output, joined_heads, ATT_ACT_NONE);
}

att_node *att_multi_head_self(att_tape *tape, const att_multi_head *layer, att_node *x, const att_multi_head_call *call)
{
    int64_t Hq = layer->Hq, Hkv = layer->Hkv, D = layer->D;
    att_node *all = att_linear_apply(tape, &layer->qkv, x, ATT_ACT_NONE);
    if (att_tape_status(tape) != ATT_OK) return all;
    int64_t B = att_node_value(x)->dim[0], T = att_node_value(x)->dim[1];
    att_node *q = heads_of(tape, all, 0, Hq, D), *k = heads_of(tape, all, Hq * D, Hkv, D);
    att_node *v = heads_of(tape, all, (Hq + Hkv) * D, Hkv, D);
    if (call->cosine.data) {
        q = att_tape_rotary(tape, q, &call->cosine, &call->sine);
        k = att_tape_rotary(tape, k, &call->cosine, &call->sine);
    }
    att_tape_attention_in in = {.q = heads_first(tape, q),
                                .k = through_cache(tape, k, &call->cache_k),
                                .v = through_cache(tape, v, &call->cache_v),
                                .bias = call->bias,
                                .key_lengths = call->key_lengths};
    return finish(tape, layer, att_tape_attention(tape, &call->desc, &in, call->weights), B, T);
}

att_node *att_multi_head_remember(att_tape *tape, const att_multi_head *layer, att_node *memory)
{
    return att_linear_apply(tape, &layer->key_value, memory, ATT_ACT_NONE);
}

att_node *att_multi_head_cross(att_tape *tape, const att_multi_head *layer, att_node *x, att_node *key_value,
                               const att_multi_head_call *call)
{
    int64_t Hq = layer->Hq, Hkv = layer->Hkv, D = layer->D;
    att_node *q = att_linear_apply(tape, &layer->query, x, ATT_ACT_NONE);
    if (att_tape_status(tape) != ATT_OK) return q;
    int64_t rows = att_node_value(x)->dim[0], T = att_node_value(x)->dim[1], B = att_node_value(key_value)->dim[0];
    /* the n rows of a sentence are n queries of the same keys */
    q = att_tape_reshape(tape, q, 4, (int64_t[]){B, rows / B * T, Hq, D});
    att_tape_attention_in in = {.q = heads_first(tape, q),
                                .k = heads_first(tape, heads_of(tape, key_value, 0, Hkv, D)),
                                .v = heads_first(tape, heads_of(tape, key_value, Hkv * D, Hkv, D)),
                                .key_lengths = call->key_lengths};
    return finish(tape, layer, att_tape_attention(tape, &call->desc, &in, call->weights), rows, T);
}
