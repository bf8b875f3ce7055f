/* The rows of a search, one step at a time, whichever kind of model continues them. */
#ifndef ATT_DECODER_H
#define ATT_DECODER_H

#include "task/translator.h"

/* R = B k rows; rows b k .. b k + k-1 belong to sentence b of those that are still there. */
typedef struct att_decoder {
    att_translator *t;
    const att_search_batch *batch;
    int64_t k, B, R;
    int32_t *lengths;     /* (B) of the sources */
    int32_t *row_kept;    /* (R) room for att_decoder_keep */
    bool look;            /* weights are wanted */
    const float *logits;  /* (R,V) of the latest step */
    const float *weights; /* (R,Ts) of the latest step: where the rows looked; NULL unless wanted */
    /* recurrent: one row of floats holds all layers' h and c and the fed readout */
    att_seq2seq_memory recurrent;
    att_seq2seq_state state;
    float *row[2];             /* the rows' states, before and after a step */
    int64_t width, row_floats; /* floats of a row, and allocated */
    /* Transformer */
    att_transformer_memory memory;
} att_decoder;

/* Encode the batch, for at most `steps` steps of k rows a sentence. Stop it also after a failure. */
att_status att_decoder_start(att_decoder *d, att_translator *t, const att_search_batch *batch, int64_t k, int64_t steps,
                             bool look);
/* Continue every row with its word ids[R]; all begin with <s>. */
att_status att_decoder_step(att_decoder *d, const int32_t *ids);
/* Row r goes on from what row parent[r] is after the latest step. */
void att_decoder_follow(att_decoder *d, const int32_t *parent);
/* Only n sentences stay, sentence b what sentence[b] was; sentence[b] ascends. */
att_status att_decoder_keep(att_decoder *d, const int32_t *sentence, int64_t n);
void att_decoder_stop(att_decoder *d);

#endif
