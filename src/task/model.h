/* Inside of a model from a file. */
#ifndef ATT_MODEL_INSIDE_H
#define ATT_MODEL_INSIDE_H

#include <attend/classify.h>

#include "base/base.h"

struct att_model {
    const att_allocator *allocator;
    att_exec exec;
    att_recipe recipe;
    att_tokenizer *source, *target; /* the same one when shared; NULL: the file has none */
    att_transformer *network;
    att_tape *tape;
    int64_t most;       /* tokens of a text that count */
    const char **class; /* (classes): names in order, of a model that classifies; in `class_text` */
    char *class_text;
    int64_t classes;
};

/* Cut a list of names, a line each, into m->class. */
att_status att_model_name_classes(att_model *m, const char *names);
/* The class of each pair, whose target is its name. */
att_status att_model_find_classes(const att_model *m, const att_pairs *pairs, int32_t *out);

#endif
