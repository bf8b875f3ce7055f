/* One attention problem with all its buffers, in float or double from the same numbers. */
#ifndef ATTENTION_CASE_H
#define ATTENTION_CASE_H

#include "harness.h"

#include <attend/attention.h>

enum { /* what a case has besides q, k, v; blocks, centre and factors of estimators follow from the descriptor */
       WITH_SCORE_W = 1,
       WITH_MASK = 2,         /* (B,Hq,Tq,Tk), two thirds visible, row 0 of everything hidden */
       WITH_KEY_MASK = 4,     /* (B,1,1,Tk) */
       WITH_BIAS = 8,         /* (B,Hq,Tq,Tk), some -inf */
       WITH_SHARED_BIAS = 16, /* (Tq,Tk): broadcast over batch and heads */
       WITH_LENGTHS = 32,     /* 0 for batch entry 1, else random */
       TIME_MAJOR = 64,       /* k, v and their gradients as (T,B,H,D) in memory */
       WITH_PREPARED = 128,
       WITH_WEIGHTS = 256,
       WITH_QUERY_MASK = 512,  /* two thirds count */
       WITH_POSITIONS = 1024,  /* of queries (B,Tq) and keys (1,Tk), with repetitions and gaps */
       WITH_SLOPES = 2048,     /* 1/2, 1/4, ... */
       WITH_RELATIVE = 4096,   /* (Hq,R): 7 entries to clip to, or 8 buckets */
       SHARED_RELATIVE = 8192, /* (1,R) */
       WITH_SINKS = 16384,
       WITH_GATHERED = 32768, /* entropy, 3 top keys, column sums */
       WITHOUT_LSE = 65536    /* as in inference: attention_backward does nothing */
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
    void *block[48];
    size_t block_bytes[48];
    int blocks;
} attention_run;

/* - |q - k|^2 / 2 as a custom score function, with its gradient. */
extern const att_score_function squared_distance;

/* Outputs and gradients, in this order: those that a run lacks have no data. */
enum { ATTENTION_RESULTS = 15 };
extern const char *const attention_result_names[ATTENTION_RESULTS];
void attention_results(const attention_run *run, att_view v[ATTENTION_RESULTS]);
/* Inputs that have a gradient, each with it, and its name. */
enum { ATTENTION_GRADIENTS = 8 };
typedef struct attention_pair {
    const char *name;
    att_view x, dx;
} attention_pair;
void attention_gradients(const attention_run *run, attention_pair pair[ATTENTION_GRADIENTS]);

/* All buffers end at guard pages. Outputs start as NaN, gradients as 0. */
void attention_create(attention_run *run, const attention_case *c, att_dtype dtype);
void attention_destroy(attention_run *run);
/* With workspace of exactly the size asked for. */
att_status attention_forward(attention_run *run, const att_exec *exec);
att_status attention_backward(attention_run *run, const att_exec *exec);
/* att_attention_weights of all heads and queries, with the run's lse where it has been computed (not NaN). */
att_status attention_stage(attention_run *run, att_stage stage, const att_view *out);
/* Contiguous copy of what a view shows, as doubles, row-major; -inf becomes -1e30. Free it. */
double *attention_values(const att_view *v);
/* Set every element to the same value. */
void attention_fill(const att_view *v, double value);
double attention_get(const att_view *v, int64_t index); /* row-major index */
void attention_set(const att_view *v, int64_t index, double value);

#endif
