#include <attend/ops.h>

#include "kernel/ref/both.h"
#include "op/dispatch.h"
#include "op/rows.h"

typedef struct call {
    const att_rows_kernels *k;
    const att_view *out, *dy, *in; /* y, -, x;  or dx, dy, y */
    int64_t rows;                  /* of a tile */
} call;

static void forward_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    const call *c = ctx;
    int64_t N = c->in->dim[1], end = att_min64(c->in->dim[0], (tile + 1) * c->rows);
    for (int64_t m = tile * c->rows; m < end; m++) {
        if (c->in->dtype == ATT_F64)
            att_ref_softmax_f64(att_row(c->out, m), att_row(c->in, m), N);
        else
            c->k->softmax(att_row(c->out, m), att_row(c->in, m), N);
    }
}

att_status att_softmax_forward(const att_exec *exec, const att_view *y, const att_view *x)
{
    ATT_TRY(att_require_rows("x", x));
    ATT_TRY(att_require_like("y", y, x));
    ATT_TRY(att_require_unit("y", y));
    call c = {.k = &att_kernels_for(exec)->rows, .out = y, .in = x, .rows = att_row_tile(x->dim[1])};
    att_parallel(att_exec_for(exec, 4 * att_view_count(x)), att_ceil_div(x->dim[0], c.rows), forward_tile, &c);
    return ATT_OK;
}

static void backward_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    const call *c = ctx;
    int64_t N = c->in->dim[1], end = att_min64(c->in->dim[0], (tile + 1) * c->rows);
    for (int64_t m = tile * c->rows; m < end; m++) {
        if (c->in->dtype == ATT_F64)
            att_ref_softmax_bwd_f64(att_row(c->out, m), att_row(c->dy, m), att_row(c->in, m), N);
        else
            c->k->softmax_bwd(att_row(c->out, m), att_row(c->dy, m), att_row(c->in, m), N);
    }
}

att_status att_softmax_backward(const att_exec *exec, const att_view *dx, const att_view *dy, const att_view *y)
{
    ATT_TRY(att_require_rows("y", y));
    ATT_TRY(att_require_like("dx", dx, y));
    ATT_TRY(att_require_unit("dx", dx));
    ATT_TRY(att_require_like("dy", dy, y));
    ATT_TRY(att_require_unit("dy", dy));
    call c = {.k = &att_kernels_for(exec)->rows, .out = dx, .dy = dy, .in = y, .rows = att_row_tile(y->dim[1])};
    att_parallel(att_exec_for(exec, att_view_count(y)), att_ceil_div(y->dim[0], c.rows), backward_tile, &c);
    return ATT_OK;
}
