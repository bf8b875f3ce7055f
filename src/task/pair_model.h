/* A model that translates, recurrent or Transformer, behind one set of functions. */
#ifndef ATT_PAIR_MODEL_H
#define ATT_PAIR_MODEL_H

#include <attend/recipe.h>

#include "base/base.h"
#include "task/dataset.h"

typedef struct att_pair_model {
    att_seq2seq *recurrent; /* one of the two, the other is NULL */
    att_transformer *transformer;
} att_pair_model;

/* What the recipe's `model` section says, for vocabularies of these sizes. */
att_status att_pair_model_create(const att_recipe *recipe, int64_t source_vocabulary, int64_t target_vocabulary,
                                 int with_gradients, const att_allocator *allocator, att_pair_model *out);
void att_pair_model_destroy(att_pair_model *m);
att_params *att_pair_model_params(const att_pair_model *m);
int64_t att_pair_model_vocabulary(const att_pair_model *m); /* of the target */
bool att_pair_model_attends(const att_pair_model *m);
/* Record the loss of a batch of the dataset: see att_seq2seq_loss. */
att_status att_pair_model_loss(const att_pair_model *m, att_tape *tape, const att_dataset *data, int64_t batch,
                               double smoothing, double scale, uint64_t seed, att_loss *loss);

/* ids (T,B) -> a view of (B,T), a copy in the tape's memory. */
att_view att_batch_major(att_tape *tape, const att_view *ids);

#endif
