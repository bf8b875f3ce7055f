/* The Transformers of `attend bench train`: the paper's with 8 heads, and a GPT of 6 layers and 6 heads. */
#include "bench.h"

#include <stdlib.h>

#include <attend/transformer.h>

/* Four layers a stack, six from width 512 on, as in the paper. */
static int64_t layers_of(const bench_request *r)
{
    return r->width < 512 ? 4 : 6;
}

static att_status create(const att_transformer_config *config, void **state, att_params **params)
{
    att_transformer *m;
    att_status st = att_transformer_create(config, 1, 1, NULL, &m);
    if (st != ATT_OK) return st;
    *state = m;
    *params = att_transformer_params(m);
    return ATT_OK;
}

static void destroy(void *state)
{
    att_transformer_destroy(state);
}

static att_status translator_create(const bench_request *r, void **state, att_params **params)
{
    att_transformer_config c = {.source_vocabulary = r->vocabulary,
                                .target_vocabulary = r->vocabulary,
                                .width = r->width,
                                .encoder_layers = layers_of(r),
                                .decoder_layers = layers_of(r),
                                .heads = 8,
                                .final_norm = 1,
                                .output_bias = 1};
    return create(&c, state, params);
}

static att_status gpt_create(const bench_request *r, void **state, att_params **params)
{
    att_transformer_config c = {.shape = ATT_TRANSFORMER_DECODER,
                                .target_vocabulary = r->vocabulary,
                                .width = r->width,
                                .decoder_layers = 6,
                                .heads = 6,
                                .positions = ATT_POSITIONS_LEARNED,
                                .context = r->length,
                                .norm = ATT_NORM_PRE,
                                .activation = ATT_ACT_GELU_TANH,
                                .init = 0.02};
    return create(&c, state, params);
}

/* The same numbers as rows of (batch,length): which are which does not matter, they are random. */
static att_view rows_of(const att_view *ids)
{
    return att_view_2d(ids->data, ATT_I32, ids->dim[1], ids->dim[0]);
}

static att_status loss(void *state, att_tape *tape, const att_view ids[3])
{
    att_transformer *m = state;
    att_transformer_batch batch = {
        .source = rows_of(&ids[0]), .target_in = rows_of(&ids[1]), .target_out = rows_of(&ids[2])};
    att_loss sum;
    return att_transformer_loss(tape, m, &batch, 0.0, 1.0 / (double)att_view_count(&ids[2]), 1, &sum);
}

/* Products of weights, and of queries, keys and values: half of them in causal attention. */
static double translator_flops(const bench_request *r)
{
    double C = (double)r->width, L = (double)layers_of(r), T = (double)r->length,
           words = (double)(r->batch * r->length);
    double layer = 4 * C * C + 8 * C * C, encoder = layer + 2 * T * C, decoder = layer + 4 * C * C + 3 * T * C;
    return 3 * 2 * words * (L * (encoder + decoder) + C * (double)r->vocabulary);
}

static double gpt_flops(const bench_request *r)
{
    double C = (double)r->width, T = (double)r->length, words = (double)(r->batch * r->length);
    return 3 * 2 * words * (6 * (12 * C * C + T * C) + C * (double)r->vocabulary);
}

const bench_model bench_transformer = {"transformer", translator_create, destroy, loss, translator_flops, 128, 64, 32,
                                       8000};
const bench_model bench_gpt = {"gpt", gpt_create, destroy, loss, gpt_flops, 384, 8, 256, 5000};
