/* One run of a recurrent layer over a sequence: what forward and backward share. Rows of the batch do not depend on
 * each other, so a thread takes some rows through all steps without waiting for anyone; a small batch goes through as a
 * whole, its products in parallel. Bits do not depend on which: a product's row is the same alone or in a batch. */
#ifndef ATT_RNN_STEPS_H
#define ATT_RNN_STEPS_H

#include <attend/ops.h>

#include "op/dispatch.h"

/* A right operand: as it is, and packed when the kernels want that. */
typedef struct rnn_weight {
    att_view view;
    const att_packed *packed; /* NULL: use the view */
    att_packed own;           /* packed by this call */
} rnn_weight;

typedef struct rnn_run {
    const att_rnn_desc *desc;
    const att_exec *exec;
    const att_rnn_out *out;
    const att_rnn_in *in;
    const att_rnn_grad *grad; /* NULL: forward */
    const att_kernels *k;
    att_dtype dtype;
    size_t size; /* bytes of an element */
    int64_t B, T, U, G;
    int64_t tile_rows; /* rows of the batch that one thread takes through the sequence */
    /* RESET_BEFORE multiplies by two parts of the weights: gates z r, and n; else one. Transposed in the backward. */
    int weights;
    rnn_weight w[2];
    /* In the workspace: */
    char *zero;         /* (U) zeros: the state before the first step              */
    char *hg;           /* (B,G*U) products of a step; backward RESET_BEFORE: (B,U) */
    char *rh;           /* forward (B,U) r h; backward (T,B,U)                      */
    char *dhg;          /* GRU (T,B,G*U): gradient of h U + b                       */
    char *carry;        /* (B,U) gradient of the state, from later steps            */
    char *carry_c;      /* LSTM: the same of the cell                               */
    att_view *segments; /* [2 T] operands of the weight gradient                    */
    char *packed[2];    /* memory for own                                           */
    char *scratch;      /* for products: one part per tile                          */
    size_t scratch_bytes, total_scratch_bytes;
    _Atomic int failed; /* the first status that was not ATT_OK */
} rnn_run;

/* Time of step s, in the order of the run. */
static inline int64_t rnn_time(const rnn_run *r, int64_t s)
{
    return r->desc->reverse ? r->T - 1 - s : s;
}

/* Element (b,t,0) of v(B,T,...). */
static inline void *rnn_at(const rnn_run *r, const att_view *v, int64_t b, int64_t t)
{
    return (char *)v->data + (b * v->stride[0] + t * v->stride[1]) * (int64_t)r->size;
}

/* Row b of v(B,...). */
static inline void *rnn_row(const rnn_run *r, const att_view *v, int64_t b)
{
    return (char *)v->data + b * v->stride[0] * (int64_t)r->size;
}

/* Row i of a dense array of `cols` columns in the workspace. */
static inline void *rnn_ws(const rnn_run *r, char *base, int64_t i, int64_t cols)
{
    return base + i * cols * (int64_t)r->size;
}

static inline bool rnn_valid(const rnn_run *r, int64_t b, int64_t t)
{
    const att_view *len = &r->in->lengths;
    return !len->data || t < ((const int32_t *)len->data)[b * len->stride[0]];
}

/* Is any of rows b0 .. b1-1 valid at t? */
static inline bool rnn_any_valid(const rnn_run *r, int64_t b0, int64_t b1, int64_t t)
{
    for (int64_t b = b0; b < b1; b++)
        if (rnn_valid(r, b, t)) return true;
    return false;
}

/* Rows b0 .. b1-1 of v(B,T,C) at time t, columns lo .. hi-1. */
att_view rnn_slice(const att_view *v, int64_t b0, int64_t b1, int64_t t, int64_t lo, int64_t hi);
/* The state (or the cells) before step s, rows b0 .. b1-1: data is NULL when it is zero. */
att_view rnn_before(const rnn_run *r, const att_view *states, const att_view *first, int64_t s, int64_t b0, int64_t b1);
/* Its row b, which is `zero` when absent. */
const void *rnn_before_row(const rnn_run *r, const att_view *before, int64_t i);
/* c = a w, or c += a w. `tile` chooses the scratch memory. */
void rnn_multiply(rnn_run *r, const att_exec *exec, int accumulate, const att_view *c, const att_view *a, int w,
                  const att_view *bias, int64_t tile);
void rnn_note(rnn_run *r, att_status status);

/* Take rows b0 .. b1-1 through the sequence; products use `exec`. */
void rnn_forward_rows(rnn_run *r, const att_exec *exec, int64_t b0, int64_t b1, int64_t tile);
void rnn_backward_rows(rnn_run *r, const att_exec *exec, int64_t b0, int64_t b1, int64_t tile);
/* dw += (states before)^T dgates over all steps, and dbias_h. After rnn_backward_rows of all rows. */
void rnn_weight_gradients(rnn_run *r);

#endif
