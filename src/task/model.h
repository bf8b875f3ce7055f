/* Inside of a model from a file. */
#ifndef ATT_MODEL_INSIDE_H
#define ATT_MODEL_INSIDE_H

#include <attend/model.h>

#include "base/base.h"

struct att_model {
    const att_allocator *allocator;
    att_exec exec;
    att_recipe recipe;
    att_tokenizer *source, *target; /* the same one when shared; NULL: the file has none */
    att_transformer *network;
    att_tape *tape;
    int64_t most; /* tokens of a text that count */
};

#endif
