#include <attend/ops.h>

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/ref/both.h"
#include "op/dispatch.h"
#include "op/rows.h"

typedef struct call {
    const att_rows_kernels *k;
    const att_view *loss, *lse, *logits, *target;
    double smoothing, scale;
    int64_t rows; /* of a tile */
    _Atomic int64_t correct;
} call;

static int32_t target_of(const call *c, int64_t m)
{
    return *(const int32_t *)att_element(c->target, m);
}

static double get(const void *p, att_dtype dtype)
{
    return dtype == ATT_F64 ? *(const double *)p : (double)*(const float *)p;
}

static void set(void *p, att_dtype dtype, double value)
{
    if (dtype == ATT_F64)
        *(double *)p = value;
    else
        *(float *)p = (float)value;
}

/* logits(M,V), lse(M), target(M) int32 with every target below V, smoothing in [0, 1]. */
static att_status require_common(const att_view *logits, const att_view *lse, const att_view *target, double smoothing)
{
    ATT_TRY(att_require_rows("logits", logits));
    ATT_REQUIRE(logits->dim[1] > 0, ATT_E_SHAPE, "logits: rows of 0 elements, expected at least 1");
    ATT_TRY(att_require_shape("lse", lse, logits->dtype, 1, logits->dim));
    ATT_REQUIRE(smoothing >= 0.0 && smoothing <= 1.0, ATT_E_VALUE, "smoothing: %g, expected 0 to 1", smoothing);
    return att_require_targets(target, logits->dim[0], logits->dim[1]);
}

/* Is x_t the first largest of the row? */
static bool is_first_largest(const void *row, att_dtype dtype, int64_t t, double max)
{
    const float *x32 = row;
    const double *x64 = row;
    if (dtype == ATT_F64) {
        if (x64[t] != max) return false;
        for (int64_t v = 0; v < t; v++)
            if (x64[v] == max) return false;
    } else {
        if ((double)x32[t] != max) return false;
        for (int64_t v = 0; v < t; v++)
            if ((double)x32[v] == max) return false;
    }
    return true;
}

static void forward_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    call *c = ctx;
    att_dtype dtype = c->logits->dtype;
    int64_t V = c->logits->dim[1], end = att_min64(c->logits->dim[0], (tile + 1) * c->rows), correct = 0;
    for (int64_t m = tile * c->rows; m < end; m++) {
        const void *row = att_row(c->logits, m);
        int32_t t = target_of(c, m);
        att_logit_row r = {0};
        double loss = 0;
        if (t >= 0) {
            if (dtype == ATT_F64)
                att_ref_logits_f64(&r, row, V);
            else
                c->k->logits(&r, row, V);
            double at_target = get((const char *)row + (size_t)t * att_dtype_bytes(dtype), dtype);
            loss = r.lse - (1 - c->smoothing) * at_target;
            if (c->smoothing > 0) loss -= c->smoothing / (double)V * r.sum;
            correct += is_first_largest(row, dtype, t, r.max);
        }
        set(att_element(c->lse, m), dtype, r.lse);
        set(att_element(c->loss, m), dtype, loss);
    }
    atomic_fetch_add(&c->correct, correct);
}

att_status att_cross_entropy_forward(const att_exec *exec, const att_view *loss, const att_view *lse,
                                     const att_view *logits, const att_view *target, double smoothing, int64_t *correct)
{
    ATT_TRY(require_common(logits, lse, target, smoothing));
    ATT_TRY(att_require_shape("loss", loss, logits->dtype, 1, logits->dim));
    call c = {.k = &att_kernels_for(exec)->rows,
              .loss = loss,
              .lse = lse,
              .logits = logits,
              .target = target,
              .smoothing = smoothing,
              .rows = att_row_tile(logits->dim[1])};
    att_parallel(att_exec_for(exec, 4 * att_view_count(logits)), att_ceil_div(logits->dim[0], c.rows), forward_tile,
                 &c);
    if (correct) *correct = c.correct;
    return ATT_OK;
}

static void backward_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    const call *c = ctx;
    att_dtype dtype = c->logits->dtype;
    size_t size = att_dtype_bytes(dtype);
    int64_t V = c->logits->dim[1], end = att_min64(c->logits->dim[0], (tile + 1) * c->rows);
    for (int64_t m = tile * c->rows; m < end; m++) {
        char *row = att_row(c->logits, m);
        int32_t t = target_of(c, m);
        double lse = get(att_element(c->lse, m), dtype), smooth = c->smoothing / (double)V;
        if (t < 0) {
            memset(row, 0, (size_t)V * size);
            continue;
        }
        if (dtype == ATT_F64)
            att_ref_logits_bwd_f64((double *)(void *)row, lse, c->scale, smooth, V);
        else
            c->k->logits_bwd((float *)(void *)row, (float)lse, (float)c->scale, (float)smooth, V);
        char *at = row + (size_t)t * size;
        set(at, dtype, get(at, dtype) - c->scale * (1 - c->smoothing));
    }
}

att_status att_cross_entropy_backward(const att_exec *exec, const att_view *logits, const att_view *lse,
                                      const att_view *target, double smoothing, double scale)
{
    ATT_TRY(require_common(logits, lse, target, smoothing));
    call c = {.k = &att_kernels_for(exec)->rows,
              .lse = lse,
              .logits = logits,
              .target = target,
              .smoothing = smoothing,
              .scale = scale,
              .rows = att_row_tile(logits->dim[1])};
    att_parallel(att_exec_for(exec, 4 * att_view_count(logits)), att_ceil_div(logits->dim[0], c.rows), backward_tile,
                 &c);
    return ATT_OK;
}
