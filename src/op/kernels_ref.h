/* The reference as kernel tables: where every table starts. */
#ifndef ATT_KERNELS_REF_H
#define ATT_KERNELS_REF_H

#include "kernel/tables.h"

extern const att_rows_kernels att_rows_ref;
extern const att_rnn_kernels att_rnn_ref;

#endif
