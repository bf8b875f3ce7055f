/* One loop nest for every elementwise op: operands of equal shape and any strides are brought down to runs of adjacent
 * elements, and an op is a function on one run. */
#ifndef ATT_STRIDED_H
#define ATT_STRIDED_H

#include "base/base.h"

#define ATT_STRIDED_OPERANDS 4

/* n elements of every operand, side by side; p[0] is the output. `index` is the row-major index of the first one when
 * the nest keeps its order. */
typedef void (*att_run_fn)(const void *ctx, void *const *p, int64_t n, int64_t index);

typedef struct att_strided {
    att_run_fn fn;
    const void *ctx;
    int operands;
    const att_view *view[ATT_STRIDED_OPERANDS]; /* equal shapes and types; [0] is written */
    bool reads_output;                          /* the old content of [0] matters         */
    bool keep_order;                            /* fn needs `index`                       */
} att_strided;

void att_strided_run(const att_exec *exec, const att_strided *job);

/* The exec for `count` cheap element operations: below a threshold threads cost more than they give. */
const att_exec *att_exec_for(const att_exec *exec, int64_t count);

#endif
