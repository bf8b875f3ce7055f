#include <attend/ops.h>

#include "kernel/ref/both.h"
#include "op/dispatch.h"
#include "op/rows.h"

typedef struct call {
    const att_rows_kernels *k;
    const att_view *y, *x, *mean, *rstd, *gain, *bias; /* backward: y is dy */
    const att_view *dx, *dgain, *dbias;
    double eps;
    int accumulate; /* dx */
    int64_t rows;   /* of a tile */
} call;

static att_status require_vector(const char *name, const att_view *v, att_dtype dtype, int64_t n)
{
    ATT_TRY(att_require_shape(name, v, dtype, 1, &n));
    return att_require_unit(name, v);
}

/* x (M,N), mean and rstd (M), gain (N). */
static att_status require_common(const att_view *x, const att_view *mean, const att_view *rstd, const att_view *gain)
{
    ATT_TRY(att_require_rows("x", x));
    ATT_REQUIRE(x->dim[1] > 0, ATT_E_SHAPE, "x: rows of 0 elements, expected at least 1");
    ATT_TRY(require_vector("mean", mean, x->dtype, x->dim[0]));
    ATT_TRY(require_vector("rstd", rstd, x->dtype, x->dim[0]));
    return require_vector("gain", gain, x->dtype, x->dim[1]);
}

static void forward_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    const call *c = ctx;
    int64_t N = c->x->dim[1], end = att_min64(c->x->dim[0], (tile + 1) * c->rows);
    for (int64_t m = tile * c->rows; m < end; m++) {
        void *mean = att_element(c->mean, m), *rstd = att_element(c->rstd, m);
        if (c->x->dtype == ATT_F64)
            att_ref_layer_norm_f64(att_row(c->y, m), mean, rstd, att_row(c->x, m), c->gain->data, c->bias->data, c->eps,
                                   N);
        else
            c->k->layer_norm(att_row(c->y, m), mean, rstd, att_row(c->x, m), c->gain->data, c->bias->data, c->eps, N);
    }
}

att_status att_layer_norm_forward(const att_exec *exec, const att_view *y, const att_view *mean, const att_view *rstd,
                                  const att_view *x, const att_view *gain, const att_view *bias, double eps)
{
    ATT_TRY(require_common(x, mean, rstd, gain));
    ATT_TRY(require_vector("bias", bias, x->dtype, x->dim[1]));
    ATT_TRY(att_require_like("y", y, x));
    ATT_TRY(att_require_unit("y", y));
    ATT_REQUIRE(eps >= 0, ATT_E_VALUE, "eps: %g, expected 0 or more", eps);
    call c = {.k = &att_kernels_for(exec)->rows,
              .y = y,
              .x = x,
              .mean = mean,
              .rstd = rstd,
              .gain = gain,
              .bias = bias,
              .eps = eps,
              .rows = att_row_tile(x->dim[1])};
    att_parallel(att_exec_for(exec, att_view_count(x)), att_ceil_div(x->dim[0], c.rows), forward_tile, &c);
    return ATT_OK;
}

static void dx_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    const call *c = ctx;
    int64_t N = c->x->dim[1], end = att_min64(c->x->dim[0], (tile + 1) * c->rows);
    for (int64_t m = tile * c->rows; m < end; m++) {
        const void *mean = att_element(c->mean, m), *rstd = att_element(c->rstd, m);
        if (c->x->dtype == ATT_F64)
            att_ref_layer_norm_bwd_f64(att_row(c->dx, m), att_row(c->y, m), att_row(c->x, m), *(const double *)mean,
                                       *(const double *)rstd, c->gain->data, c->accumulate, N);
        else
            c->k->layer_norm_bwd(att_row(c->dx, m), att_row(c->y, m), att_row(c->x, m), *(const float *)mean,
                                 *(const float *)rstd, c->gain->data, c->accumulate, N);
    }
}

/* A block of columns, every row in order. */
static void gain_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    const call *c = ctx;
    int64_t col = tile * ATT_COLUMN_TILE, n = att_min64(ATT_COLUMN_TILE, c->x->dim[1] - col);
    void *dgain = c->dgain->data ? att_element(c->dgain, col) : NULL;
    void *dbias = c->dbias->data ? att_element(c->dbias, col) : NULL;
    for (int64_t m = 0; m < c->x->dim[0]; m++) {
        const void *mean = att_element(c->mean, m), *rstd = att_element(c->rstd, m);
        if (c->x->dtype == ATT_F64)
            att_ref_layer_norm_bwd_gain_f64(dgain, dbias, (double *)att_row(c->y, m) + col,
                                            (double *)att_row(c->x, m) + col, *(const double *)mean,
                                            *(const double *)rstd, n);
        else
            c->k->layer_norm_bwd_gain(dgain, dbias, (float *)att_row(c->y, m) + col, (float *)att_row(c->x, m) + col,
                                      *(const float *)mean, *(const float *)rstd, n);
    }
}

att_status att_layer_norm_backward(const att_exec *exec, const att_view *dx, const att_view *dgain,
                                   const att_view *dbias, const att_view *dy, const att_view *x, const att_view *mean,
                                   const att_view *rstd, const att_view *gain, int accumulate)
{
    ATT_TRY(require_common(x, mean, rstd, gain));
    ATT_TRY(att_require_like("dy", dy, x));
    ATT_TRY(att_require_unit("dy", dy));
    if (dx->data) {
        ATT_TRY(att_require_like("dx", dx, x));
        ATT_TRY(att_require_unit("dx", dx));
    }
    if (dgain->data) ATT_TRY(require_vector("dgain", dgain, x->dtype, x->dim[1]));
    if (dbias->data) ATT_TRY(require_vector("dbias", dbias, x->dtype, x->dim[1]));
    call c = {.k = &att_kernels_for(exec)->rows,
              .y = dy,
              .x = x,
              .mean = mean,
              .rstd = rstd,
              .gain = gain,
              .dx = dx,
              .dgain = dgain,
              .dbias = dbias,
              .accumulate = accumulate,
              .rows = att_row_tile(x->dim[1])};
    const att_exec *how = att_exec_for(exec, att_view_count(x));
    if (dx->data) att_parallel(how, att_ceil_div(x->dim[0], c.rows), dx_tile, &c);
    if (dgain->data || dbias->data) att_parallel(how, att_ceil_div(x->dim[1], ATT_COLUMN_TILE), gain_tile, &c);
    return ATT_OK;
}
