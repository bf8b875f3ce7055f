/* Sentence pairs as token numbers, planned into batches of similar length. */
#ifndef ATT_DATASET_H
#define ATT_DATASET_H

#include <attend/translator.h>

#include "base/base.h"

typedef struct att_dataset {
    const att_tokenizer *source, *target;
    att_pairs pairs;          /* not owned */
    int64_t max_length;       /* pairs with a longer side are left out of the plan */
    int32_t *ids;             /* (pairs, 2, max_length): side 0 is the source; without <s> and </s> */
    int32_t *length;          /* (pairs, 2); max_length + 1: too long */
    int64_t *order, *sorted;  /* (pairs): scratch of the plan; `order` holds the planned pairs, batch after batch */
    int64_t *batch;           /* (batches + 1): where in `order` each batch starts */
    int64_t batches, planned; /* planned: pairs in the plan */
} att_dataset;

typedef struct att_batch_limits {
    int64_t tokens, sentences; /* most of a batch: target tokens with padding and </s>, and pairs */
} att_batch_limits;

att_status att_dataset_create(const att_pairs *pairs, const att_tokenizer *source, const att_tokenizer *target,
                              int64_t max_length, att_dataset *out);
void att_dataset_destroy(att_dataset *d);
/* Encode all pairs, with BPE-dropout drawn from (seed, epoch, pair). */
att_status att_dataset_encode(att_dataset *d, const att_exec *exec, double dropout, uint64_t seed, int64_t epoch);
/* Plan batches: shuffled by (seed, epoch), or in order of length when `shuffle` is false. */
void att_dataset_plan(att_dataset *d, att_batch_limits limits, bool shuffle, uint64_t seed, int64_t epoch);
/* Target tokens of a batch, </s> included. */
int64_t att_dataset_count(const att_dataset *d, int64_t batch);
/* The arrays of a batch, in the tape's memory. */
att_status att_dataset_batch(const att_dataset *d, int64_t batch, att_tape *tape, att_seq2seq_batch *out);

#endif
