/* A text that grows. After a failed append it stays valid and later appends do nothing; att_builder_take reports it. */
#ifndef ATT_TEXT_BUILDER_H
#define ATT_TEXT_BUILDER_H

#include "base/base.h"

typedef struct att_builder {
    char *data;   /* NUL-terminated once anything was appended */
    size_t bytes; /* without the NUL */
    size_t room;
    bool failed;
} att_builder;

void att_builder_append(att_builder *t, const char *s, size_t n);
void att_builder_format(att_builder *t, const char *fmt, ...) ATT_PRINTF(2, 3);
/* Hand the text over (free with att_string_free), or free it and report ATT_E_MEMORY. */
att_status att_builder_take(att_builder *t, char **out);
void att_builder_free(att_builder *t);

#endif
