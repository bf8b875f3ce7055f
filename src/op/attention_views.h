/* From views to grids, checked: what attention's arguments have in common. */
#ifndef ATT_ATTENTION_VIEWS_H
#define ATT_ATTENTION_VIEWS_H

#include "kernel/attention.h"
#include "op/require.h"

/* Four dimensions, with data unless a size is 0; `wanted` is their names. */
att_status att_grid_four(const char *name, const att_view *v, const char *wanted);
/* The view has exactly this type and these sizes; of four, the last is dense. Into *g go data and the steps of the
 * first ndim of b, h, t, d. */
att_status att_grid_exact(const char *name, const att_view *v, att_dtype dtype, int ndim, const int64_t *dim,
                          att_grid *g);
/* The same, or nothing when the view is absent. */
att_status att_grid_optional(const char *name, const att_view *v, att_dtype dtype, int ndim, const int64_t *dim,
                             att_grid *g);
/* The view, if present, broadcasts to (B,Hq,Tq,Tk) by NumPy's rule: sizes aligned at the right, each equal or 1. */
att_status att_grid_broadcast(const char *name, const att_view *v, att_dtype dtype, const att_attention_problem *p,
                              att_grid *g);

/* A view and the name that messages have for it. */
typedef struct att_named_view {
    const char *name;
    const att_view *v;
} att_named_view;

/* No output shares memory with an input, or with another output when `apart`. Found when cheap: the same first element,
 * or two views without gaps. */
att_status att_grid_no_overlap(const att_named_view *out, int outs, const att_named_view *in, int ins, bool apart);

/* `given` needs `allowed`, which `what` describes. */
att_status att_only_with(const char *name, bool given, bool allowed, const char *what);

#endif
