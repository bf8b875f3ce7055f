#include "task/pair_model.h"

void att_recipe_transformer(const att_recipe *recipe, att_transformer_config *out)
{
    *out = recipe->transformer;
    out->source_vocabulary = out->target_vocabulary = out->classes = 0; /* no keys of a recipe */
    out->encoder_layers = recipe->model.encoder_layers;
    out->decoder_layers = recipe->model.decoder_layers;
    out->dropout = recipe->model.dropout;
    out->tied = recipe->model.tied;
    out->shared = recipe->model.shared;
    out->activation++; /* the recipe's choices have no "none" */
    out->shape = recipe->task == ATT_TASK_TRANSLATION      ? ATT_TRANSFORMER_ENCODER_DECODER
                 : recipe->task == ATT_TASK_LANGUAGE_MODEL ? ATT_TRANSFORMER_DECODER
                                                           : ATT_TRANSFORMER_ENCODER;
    if (recipe->task != ATT_TASK_CLASSIFICATION) return;
    out->pooler = out->tied = 1; /* no word is predicted */
    out->head = out->output_bias = 0;
}

att_status att_pair_model_create(const att_recipe *recipe, int64_t source_vocabulary, int64_t target_vocabulary,
                                 int with_gradients, const att_allocator *allocator, att_pair_model *out)
{
    uint64_t seed = (uint64_t)recipe->train.seed;
    *out = (att_pair_model){0};
    if (recipe->kind == ATT_MODEL_TRANSFORMER) {
        att_transformer_config config;
        att_recipe_transformer(recipe, &config);
        config.source_vocabulary = source_vocabulary;
        config.target_vocabulary = target_vocabulary;
        return att_transformer_create(&config, seed, with_gradients, allocator, &out->transformer);
    }
    att_seq2seq_config config = recipe->model;
    config.source_vocabulary = source_vocabulary;
    config.target_vocabulary = target_vocabulary;
    return att_seq2seq_create(&config, seed, with_gradients, allocator, &out->recurrent);
}

void att_pair_model_destroy(att_pair_model *m)
{
    att_seq2seq_destroy(m->recurrent);
    att_transformer_destroy(m->transformer);
    *m = (att_pair_model){0};
}

att_params *att_pair_model_params(const att_pair_model *m)
{
    return m->recurrent ? att_seq2seq_params(m->recurrent) : att_transformer_params(m->transformer);
}

int64_t att_pair_model_vocabulary(const att_pair_model *m)
{
    return m->recurrent ? att_seq2seq_configuration(m->recurrent)->target_vocabulary
                        : att_transformer_configuration(m->transformer)->target_vocabulary;
}

bool att_pair_model_attends(const att_pair_model *m)
{
    return !m->recurrent || att_seq2seq_configuration(m->recurrent)->attention != ATT_SEQ2SEQ_NO_ATTENTION;
}

att_view att_batch_major(att_tape *tape, const att_view *ids)
{
    int64_t T = ids->dim[0], B = ids->dim[1];
    const int32_t *from = ids->data;
    int32_t *to = att_tape_alloc(tape, (size_t)(B * T) * sizeof *to);
    for (int64_t b = 0; to && b < B; b++)
        for (int64_t t = 0; t < T; t++) to[b * T + t] = from[t * ids->stride[0] + b * ids->stride[1]];
    return att_view_2d(to, ATT_I32, B, T);
}

att_status att_pair_model_loss(const att_pair_model *m, att_tape *tape, const att_dataset *data, int64_t batch,
                               double smoothing, double scale, uint64_t seed, att_loss *loss)
{
    att_seq2seq_batch arrays;
    ATT_TRY(att_dataset_batch(data, batch, tape, &arrays));
    if (m->recurrent) return att_seq2seq_loss(tape, m->recurrent, &arrays, smoothing, scale, seed, loss);
    att_transformer_batch rows = {.source = att_batch_major(tape, &arrays.source),
                                  .source_lengths = arrays.source_lengths,
                                  .target_in = att_batch_major(tape, &arrays.target_in),
                                  .target_out = att_batch_major(tape, &arrays.target_out)};
    ATT_TRY(att_tape_status(tape));
    return att_transformer_loss(tape, m->transformer, &rows, smoothing, scale, seed, loss);
}
