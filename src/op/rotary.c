#include <attend/ops.h>

#include "kernel/ref/both.h"
#include "op/dispatch.h"
#include "op/rows.h"

typedef struct call {
    const att_rows_kernels *k;
    const att_view *y, *x, *cosine, *sine;
    int inverse, accumulate;
} call;

/* Tile: one position of one sentence, all heads. */
static void tile_of(void *ctx, int64_t tile, int worker)
{
    const call *c = ctx;
    int64_t b = tile / c->x->dim[1], t = tile % c->x->dim[1], half = c->x->dim[3] / 2;
    size_t size = att_dtype_bytes(c->x->dtype);
    const void *cosine = att_row(c->cosine, t), *sine = att_row(c->sine, t);
    (void)worker;
    for (int64_t h = 0; h < c->x->dim[2]; h++) {
        const int64_t *ys = c->y->stride, *xs = c->x->stride;
        void *y = (char *)c->y->data + (b * ys[0] + t * ys[1] + h * ys[2]) * (int64_t)size;
        const void *x = (const char *)c->x->data + (b * xs[0] + t * xs[1] + h * xs[2]) * (int64_t)size;
        if (c->x->dtype == ATT_F64)
            att_ref_rotary_f64(y, x, cosine, sine, c->inverse ? -1.0 : 1.0, c->accumulate, half);
        else
            c->k->rotary(y, x, cosine, sine, c->inverse ? -1.0f : 1.0f, c->accumulate, half);
    }
}

att_status att_rotary(const att_exec *exec, const att_view *y, const att_view *x, const att_view *cosine,
                      const att_view *sine, int inverse, int accumulate)
{
    ATT_TRY(att_require_real("x", x));
    ATT_TRY(att_require_like("y", y, x));
    ATT_REQUIRE(x->ndim == 4 && x->dim[3] % 2 == 0, ATT_E_SHAPE,
                "x: %d dimensions, the last of %lld, expected (B,T,H,D) with D even", x->ndim,
                (long long)(x->ndim ? x->dim[x->ndim - 1] : 0));
    int64_t dim[2] = {x->dim[1], x->dim[3] / 2};
    ATT_TRY(att_require_unit("x", x));
    ATT_TRY(att_require_unit("y", y));
    ATT_TRY(att_require_shape("cosine", cosine, x->dtype, 2, dim));
    ATT_TRY(att_require_shape("sine", sine, x->dtype, 2, dim));
    ATT_TRY(att_require_unit("cosine", cosine));
    ATT_TRY(att_require_unit("sine", sine));
    call c = {&att_kernels_for(exec)->rows, y, x, cosine, sine, inverse, accumulate};
    att_parallel(att_exec_for(exec, att_view_count(x)), x->dim[0] * x->dim[1], tile_of, &c);
    return ATT_OK;
}
