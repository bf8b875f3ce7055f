/* Lines as the token numbers that an encoder reads, and batches of them. */
#ifndef ATT_TASK_CODED_H
#define ATT_TASK_CODED_H

#include "task/model.h"

typedef struct att_coded {
    int32_t *ids;
    int64_t n;    /* tokens */
    int64_t line; /* which of the lines it is */
} att_coded;

/* The tokens of lines[n] as the model was trained on them, the model's most at most: [CLS] ... [SEP], or ... </s>. In
 * the order of the lines. Fails with ATT_E_UNSUPPORTED for a model without an encoder or a tokeniser. */
att_status att_coded_create(const att_model *m, const att_text *lines, int64_t n, att_coded **out);
void att_coded_destroy(att_coded *list, int64_t n);
/* By length; equal ones in the order of the lines. */
void att_coded_sort(att_coded *list, int64_t n);
/* States (B,T,C) of a batch, T its longest line; NULL after a failure, which the tape holds. `seed` is the step's. */
att_node *att_coded_states(const att_model *m, att_tape *tape, const att_coded *batch, int64_t B, uint64_t seed);

#endif
