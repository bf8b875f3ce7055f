/* Batch entries of dense views. */
#ifndef ATT_REF_ADDRESSING_ROW_H
#define ATT_REF_ADDRESSING_ROW_H

#include <stddef.h>

#include "kernel/ref/real.h"
#include "kernel/ref/addressing.h"

/* The first number of batch entry b; NULL for an absent view. */
static inline real *entry(const att_view *v, int64_t b)
{
    return v->data ? (real *)v->data + b * v->stride[0] : NULL;
}

/* Number i of batch entry b. */
static inline real *at(const att_view *v, int64_t b, int64_t i)
{
    return v->data ? entry(v, b) + i : NULL;
}

#endif
