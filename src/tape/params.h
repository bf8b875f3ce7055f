/* Inside of parameters: what the tape needs of them. */
#ifndef ATT_PARAMS_H
#define ATT_PARAMS_H

#include <attend/tape.h>

#include "base/arena.h"
#include "base/base.h"

/* A weight matrix packed for the kernels, remade when the parameters changed. */
typedef struct att_pack_cache {
    att_packed packed;
    att_span memory;
    int64_t version; /* of the parameters when packed; -1: never */
} att_pack_cache;

/* Who reads a matrix when no tape records. */
typedef enum att_parameter_use {
    ATT_USE_ANY = 0,
    ATT_USE_PRODUCT, /* products have it as right operand      */
    ATT_USE_TIED     /* products with its transpose, and lookups */
} att_parameter_use;

struct att_parameter {
    att_params *owner;
    char *name;
    att_view value, gradient;
    int64_t offset; /* in the flat arrays, floats */
    att_init init;
    double scale;
    att_parameter_use use;
    bool dropped;                /* the value is gone: only its rounded packed form is left */
    bool gradient_valid;         /* false: the content is of an older sum and the next write replaces it */
    att_pack_cache pack, pack_t; /* value as right operand, and its transpose */
};

struct att_params {
    const att_allocator *allocator;
    att_parameter **list;
    int64_t count, capacity;
    float *values, *gradients; /* flat */
    att_span adopted;          /* holds the values instead, each where it likes */
    att_arena packs;           /* memory of packed matrices: large blocks have large pages */
    int64_t elements;
    int64_t version;
    att_dtype weights; /* of packed matrices */
    int a_bits;        /* of what ATT_I8 ones multiply, see att_packed */
};

/* Values of parameters that were allocated as ATT_PARAMS_LATER: memory of the params' allocator that they will own, and
 * where in it p's value lies, aligned to ATT_ALIGN. */
void att_params_adopt(att_params *params, att_span memory);
void att_parameter_place(att_parameter *p, void *value);

/* The packed form of p's value (2-D), or of its transpose. */
att_status att_parameter_packed(att_parameter *p, const att_exec *exec, bool transposed, const att_packed **out);

#endif
