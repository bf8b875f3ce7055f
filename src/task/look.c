/* Where a Transformer looked: the found translation run through it once more, with the weights of all layers. */
#include <string.h>

#include "task/translator.h"

/* (1,H,rows,cols) of every layer, one after the other. */
static att_status collect(const att_view *layer, int64_t layers, float **out)
{
    void *block;
    int64_t n = att_view_count(&layer[0]);
    ATT_TRY(att_new_array(NULL, (size_t)(layers * n), sizeof(float), &block));
    *out = block;
    for (int64_t l = 0; l < layers; l++) memcpy(*out + l * n, layer[l].data, (size_t)n * sizeof(float));
    return ATT_OK;
}

static att_status run(att_translator *t, const int32_t *source, int64_t n, const att_hypothesis *h,
                      att_transformer_look *look)
{
    att_tape *tape = t->encoder;
    att_transformer_memory memory;
    att_tape_begin(tape, 0);
    int32_t *ids = att_tape_alloc(tape, (size_t)(n + h->n + 1) * sizeof *ids), *target = ids + n;
    if (!ids) return att_tape_status(tape);
    memcpy(ids, source, (size_t)n * sizeof *ids);
    target[0] = att_tokenizer_role(t->target, ATT_ROLE_BOS);
    if (h->n) memcpy(target + 1, h->tokens, (size_t)h->n * sizeof *ids);
    att_view in = att_view_2d(ids, ATT_I32, 1, n), out = att_view_2d(target, ATT_I32, 1, h->n + 1);
    att_node *states = att_transformer_encode(tape, t->model.transformer, &in, NULL, NULL, 0, look);
    att_transformer_remember(tape, t->model.transformer, states, NULL, &memory);
    att_transformer_decode(tape, t->model.transformer, &memory, NULL, &out, 0, look);
    return att_tape_status(tape);
}

att_status att_translation_look(att_translator *t, const int32_t *source, int64_t n, const att_hypothesis *h,
                                att_translation *out)
{
    void *block;
    if (!t->model.transformer) return ATT_OK;
    const att_transformer_config *c = att_transformer_configuration(t->model.transformer);
    ATT_TRY(att_alloc(NULL, sizeof(att_transformer_look), &block));
    att_transformer_look *look = block;
    out->encoder_layers = c->encoder_layers;
    out->decoder_layers = c->decoder_layers;
    out->heads = c->heads;
    att_status status = run(t, source, n, h, look);
    if (status == ATT_OK) status = collect(look->encoder, c->encoder_layers, &out->encoder);
    if (status == ATT_OK) status = collect(look->decoder, c->decoder_layers, &out->decoder);
    if (status == ATT_OK) status = collect(look->cross, c->decoder_layers, &out->cross);
    att_free(NULL, look, sizeof *look);
    return status;
}
