/* Inside of the named mechanisms: one validated call, the memory it carves from the workspace, and its steps. Every
 * step runs in three modes with the same code: the forward, the backward, and a dry run that only adds up bytes. */
#ifndef ATT_OP_MECHANISM_H
#define ATT_OP_MECHANISM_H

#include <attend/mechanism.h>
#include <attend/product.h>

#include "op/require.h"

/* Queries, keys or values on their way to the descriptor: rows -> projected -> ready. A stage that does nothing is the
 * same view as the one before, seen with its heads apart. */
typedef struct att_mechanism_side {
    att_view rows;        /* (B,H0,T,C) as given; H0 = 1 when heads are cut from widths */
    att_view w, bias;     /* (C,N), (N), or absent */
    int64_t heads, width; /* after the projection */
    att_view projected;   /* (B,H,T,D) */
    att_view ready;       /* (B,H,T,D) */
    bool transformed;     /* ready has memory of its own */
    att_view d_rows;      /* where the gradients go; absent: not wanted */
    att_view dw, dbias;
    att_view d_projected; /* (B,H,T,D): in the workspace, or d_rows with its heads apart */
    att_view d_ready;     /* what the descriptor adds into */
} att_mechanism_side;

typedef struct att_mechanism_call {
    att_mechanism_desc desc;
    const att_exec *exec;
    const att_mechanism_in *in;
    att_dtype dtype;
    int64_t B, Hq, Hkv, Tq, Tk, D, Dv, C, P; /* C: width of o behind w_output; P: of w_centre */
    bool split;                              /* heads are cut from widths: three-dimensional rows */
    bool keyed;                              /* the kind compares q with keys */
    bool shared;                             /* the keys are the values */
    att_mechanism_side q, k, v;
    att_view hidden, centre; /* (B,H0,Tq,P), (B,H0,Tq): of PREDICTIVE */
    att_view context;        /* (B,1,Tq,Hq Dv), with w_output */
    att_attention_in core;   /* what the descriptor gets */
    att_view concat_vector;  /* (D): concat_weight, D times */
    bool dry;                /* count bytes only */
    char *base;
    size_t used, bytes, shared_bytes; /* carved; of the workspace; needed behind it by one product or attention */
} att_mechanism_call;

/* Validate and lay out: op/att_mechanism_check.c */
att_status att_mechanism_check(const att_mechanism_desc *desc, const att_mechanism_in *in, att_mechanism_call *m);

/* Validate the gradients and attach them to the sides: op/mechanism_grad.c */
att_status att_mechanism_grad_check(att_mechanism_call *m, const att_mechanism_grad *grad);

/* A dense tensor from the workspace. */
att_status att_mechanism_carve(att_mechanism_call *m, int ndim, const int64_t *dim, att_view *out);
/* What is left of the workspace, of which a call needs `bytes`. */
att_status att_mechanism_rest(att_mechanism_call *m, size_t bytes, att_span *rest);

/* (B,1,T,H D) as (B,H,T,D) and back; the heads of (B,H,T,D) stay as they are. */
att_view att_mechanism_split(const att_view *rows, int64_t heads);

/* y (B,H,T,N) = x (B,H,T,C) w (C,N) + bias (N). op/att_mechanism_project.c */
att_status att_mechanism_project(att_mechanism_call *m, const att_view *y, const att_view *x, const att_view *w,
                                 const att_view *bias, att_activation act);
/* dx += dy w^T, dw += x^T dy, dbias += the sum of dy's rows; absent ones are left out. */
att_status att_mechanism_project_back(att_mechanism_call *m, const att_view *dx, const att_view *dw,
                                      const att_view *dbias, const att_view *dy, const att_view *x, const att_view *w);

/* From the rows to what the descriptor gets, and the gradients back. op/att_mechanism_prologue.c */
att_status att_mechanism_prologue(att_mechanism_call *m);
att_status att_mechanism_prologue_back(att_mechanism_call *m, const att_mechanism_grad *grad);
/* Memory for the gradients of what the descriptor gets, zeroed, where the rows' own do not serve. */
att_status att_mechanism_gradients(att_mechanism_call *m, const att_mechanism_grad *grad);

/* p = S sigmoid(v . tanh(q w)) and its gradient. op/att_mechanism_centre.c */
att_status att_mechanism_centre(att_mechanism_call *m);
att_status att_mechanism_centre_back(att_mechanism_call *m, const att_mechanism_grad *grad, const att_view *dcentre);

static inline bool att_mechanism_predicts(const att_mechanism_call *m)
{
    return m->desc.local == ATT_LOCAL_PREDICTIVE;
}

#endif
