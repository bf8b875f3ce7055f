/* The parts of attend evaluate: for translators in evaluate.c, for the others in files of their own. */
#ifndef CLI_EVALUATE_H
#define CLI_EVALUATE_H

#include <attend/translator.h>

#include "common.h"

/* The task of a model file, "translation" when it does not say. */
typedef enum evaluate_task { EVALUATE_TRANSLATION, EVALUATE_LANGUAGE, EVALUATE_CLASSES } evaluate_task;
evaluate_task evaluate_task_of(const char *path);

/* What pairs to measure on. */
typedef struct evaluate_data {
    const char *files;                    /* NULL: the recipe's test set */
    int64_t source_column, target_column; /* 0: the recipe's */
    int64_t limit;                        /* only the first ones; 0: all */
} evaluate_data;
att_status evaluate_pairs(const att_recipe *recipe, const evaluate_data *data, att_pairs *out);

typedef struct evaluate_wish {
    int64_t windows, entries; /* of text to measure, 0: all; of a dictionary to draw, 0: none */
    const char *dictionary;   /* further words that exist, or NULL */
} evaluate_wish;
int evaluate_language(const char *path, const char *data, const evaluate_wish *wish);

int evaluate_classes(const char *path, const evaluate_data *data);

#endif
