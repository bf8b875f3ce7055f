/* One call of a named mechanism with all its buffers, and the formula of the paper written out beside it. */
#ifndef MECHANISM_CASE_H
#define MECHANISM_CASE_H

#include "numeric.h"

#include <attend/mechanism.h>

enum { /* what a case has besides q, k, v and what its kind cannot do without */
       HAS_SCORE_W = 1,
       HAS_PROJECTIONS = 2, /* w_query, w_key, w_value with biases */
       HAS_OUTPUT = 4,      /* w_output with bias */
       HAS_GAIN = 8,
       HAS_CONCAT_WEIGHT = 16,
       HAS_STRENGTH = 32,
       HAS_COVERAGE = 64,
       HAS_LENGTHS = 128,
       HAS_CENTRE = 256,  /* given */
       HAS_NO_KEYS = 512, /* k is v */
       HAS_QUERY_PROJECTION = 1024,
       HAS_ZERO_ROW = 2048 /* q[0] and k[0] are zero vectors */
};

typedef struct mechanism_case {
    const char *name;
    int64_t B, Hq, Hkv, Tq, Tk, D, Dv; /* D, Dv of each head, after projections; before them one wider */
    att_mechanism_desc desc;
    unsigned has;
    bool apart; /* (B,H,T,D) instead of (B,T,C) */
} mechanism_case;

/* A tensor with its gradient. */
typedef struct mechanism_tensor {
    const char *name;
    att_view *value, *gradient;
} mechanism_tensor;

enum { MECHANISM_TENSORS = 32 };

typedef struct mechanism_run {
    mechanism_case c;
    att_dtype dtype;
    att_mechanism_desc desc;
    att_mechanism_in in;
    att_mechanism_out out;
    att_mechanism_grad grad;
    mechanism_tensor tensor[MECHANISM_TENSORS];
    int tensors;
    void *block[3 * MECHANISM_TENSORS];
    size_t block_bytes[3 * MECHANISM_TENSORS];
    int blocks;
} mechanism_run;

/* Buffers end at guard pages; outputs start as NaN, gradients as 0. */
void mechanism_create(mechanism_run *run, const mechanism_case *c, att_dtype dtype);
void mechanism_destroy(mechanism_run *run);
/* With a workspace of exactly the size asked for, full of NaN. */
void mechanism_forward(mechanism_run *run, const att_exec *exec);
void mechanism_backward(mechanism_run *run, const att_exec *exec);
/* Element number `i` of a dense view, as double. */
double mechanism_get(const att_view *v, int64_t i);

/* o of a float64 run, from the formulas: dense, as out.core.o. Free it. */
double *mechanism_formula(const mechanism_run *run);

#endif
