/* attend evaluate's part for language models. */
#ifndef CLI_EVALUATE_H
#define CLI_EVALUATE_H

#include "common.h"

bool evaluate_is_language(const char *path);

typedef struct evaluate_wish {
    int64_t windows, entries; /* of text to measure, 0: all; of a dictionary to draw, 0: none */
    const char *dictionary;   /* further words that exist, or NULL */
} evaluate_wish;
int evaluate_language(const char *path, const char *data, const evaluate_wish *wish);

#endif
