/* Words made fit for showing, and their width in terminal columns. */
#ifndef ATT_LABEL_H
#define ATT_LABEL_H

#include "base/base.h"

/* Copies of `n` labels (NULL: all empty) in which bytes that are no UTF-8 are U+FFFD, control characters their symbols,
 * directional overrides gone and a lone blank an open box. Free with att_labels_free. */
typedef struct att_labels {
    char **text; /* (n) */
    int64_t n;
} att_labels;

att_status att_labels_create(const char *const *raw, int64_t n, att_labels *out);
void att_labels_free(att_labels *labels);

/* One text the same way (NULL: ""); free with att_free(NULL, out, strlen(out) + 1). */
att_status att_label_clean(const char *raw, char **out);
void att_label_free(char *text);

/* Bytes of the character at s with the marks that belong to it (a grapheme cluster); 0 at the end. s is clean. */
size_t att_label_cluster(const char *s);
/* Terminal columns of the first `bytes` bytes. */
int att_label_columns(const char *s, size_t bytes);

#endif
