/* A text on its way to a file. The first failure sticks: later calls do nothing, and one look at `status` at the end
 * reports it. */
#ifndef ATT_DRAFT_H
#define ATT_DRAFT_H

#include "base/base.h"

typedef struct att_draft {
    char *data;
    size_t bytes, capacity;
    att_status status;
} att_draft;

void att_draft_add(att_draft *b, const void *data, size_t bytes);
void att_draft_text(att_draft *b, const char *s);
void att_draft_format(att_draft *b, const char *fmt, ...) ATT_PRINTF(2, 3); /* no floats: see att_draft_number */
/* %.{digits}g with a point whatever the locale. */
void att_draft_number(att_draft *b, double x, int digits);
/* With < > & " ' as entities: for XML and HTML, in text and in attributes. */
void att_draft_xml(att_draft *b, const char *s);
/* A JSON string in quotes that is also safe inside <script>. */
void att_draft_json(att_draft *b, const char *s);
/* The whole of it to a file, which is either the old or the new one. */
att_status att_draft_save(const att_draft *b, const char *path);
void att_draft_free(att_draft *b);

/* snprintf of %.{digits}g with a point whatever the locale. */
void att_print_number(char *out, size_t bytes, double x, int digits);

#endif
