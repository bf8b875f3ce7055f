/* attend evaluate's part for language models. */
#ifndef CLI_EVALUATE_H
#define CLI_EVALUATE_H

#include "common.h"

bool evaluate_is_language(const char *path);
int evaluate_language(const char *path, const char *data, int64_t windows);

#endif
