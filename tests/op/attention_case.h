/* One attention problem with all its buffers, in float or double from the same numbers. */
#ifndef ATTENTION_CASE_H
#define ATTENTION_CASE_H

#include "harness.h"

#include <attend/attention.h>

enum { /* what a case has besides q, k, v */
       WITH_SCORE_W = 1,
       WITH_MASK = 2,         /* (B,Hq,Tq,Tk), two thirds visible, row 0 of everything hidden */
       WITH_KEY_MASK = 4,     /* (B,1,1,Tk) */
       WITH_BIAS = 8,         /* (B,Hq,Tq,Tk), some -inf */
       WITH_SHARED_BIAS = 16, /* (Tq,Tk): broadcast over batch and heads */
       WITH_LENGTHS = 32,     /* 0 for batch entry 1, else random */
       TIME_MAJOR = 64,       /* k, v and their gradients as (T,B,H,D) in memory */
       WITH_PREPARED = 128,
       WITH_WEIGHTS = 256
};

typedef struct attention_case {
    const char *name;
    int64_t B, Hq, Hkv, Tq, Tk, D, Dv;
    att_attention_desc desc;
    unsigned with;
    float spread; /* of q and k; 0: 1 */
} attention_case;

typedef struct attention_run {
    attention_case c;
    att_dtype dtype;
    att_attention_in in;
    att_attention_out out;
    att_attention_grad grad;
    att_view prepared;
    void *block[24];
    size_t block_bytes[24];
    int blocks;
} attention_run;

/* All buffers end at guard pages. Outputs start as NaN, gradients as 0. */
void attention_create(attention_run *run, const attention_case *c, att_dtype dtype);
void attention_destroy(attention_run *run);
/* With workspace of exactly the size asked for. */
att_status attention_forward(attention_run *run, const att_exec *exec);
att_status attention_backward(attention_run *run, const att_exec *exec);
/* Contiguous copy of what a view shows, as doubles, row-major; -inf becomes -1e30. Free it. */
double *attention_values(const att_view *v);
/* Set every element to the same value. */
void attention_fill(const att_view *v, double value);
double attention_get(const att_view *v, int64_t index); /* row-major index */
void attention_set(const att_view *v, int64_t index, double value);

#endif
