/* Checks that the writer, the reader and the pictures share. */
#ifndef ATT_ATTENTION_H
#define ATT_ATTENTION_H

#include <attend/plot.h>

#include "base/base.h"

/* ATT_E_VALUE or ATT_E_SHAPE unless the sizes are positive and agree with the kind. */
att_status att_attention_check(const att_attention_record *record);

/* Tokens that the kind counts along rows and columns. */
void att_attention_sizes(att_attention_kind kind, int64_t n_source, int64_t n_target, int64_t *rows, int64_t *cols);

att_status att_attention_kind_parse(const char *name, att_attention_kind *kind);

#endif
