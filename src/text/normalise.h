/* Normalisation line after line with the same scratch memory. */
#ifndef ATT_TEXT_NORMALISE_H
#define ATT_TEXT_NORMALISE_H

#include <attend/text.h>

#include "text/buffer.h"

typedef struct att_normaliser {
    att_normalise how;
    att_buffer out; /* the latest result, with a NUL behind */
    int32_t *code;  /* scratch: code points */
    size_t capacity;
} att_normaliser;

void att_normaliser_init(att_normaliser *n, att_normalise how, const att_allocator *allocator);
void att_normaliser_release(att_normaliser *n);
/* Fails with ATT_E_VALUE on invalid UTF-8 or a NUL. */
att_status att_normaliser_run(att_normaliser *n, const char *text, size_t bytes);

#endif
