#include <attend/ops.h>

#include <string.h>

#include "kernel/ref/both.h"
#include "op/dispatch.h"
#include "op/rows.h"

/* ---- y(N) += sum over rows of x(M,N) ---- */

enum {
    ROW_BLOCK = 64, /* rows summed on their own before they join the total: a shorter, more exact chain */
    MOST_SUMMED = 8 * ATT_COLUMN_TILE /* columns of a tile: long runs of a row are what memory gives fast */
};

typedef struct sum_rows_call {
    const att_rows_kernels *k;
    const att_view *y, *x;
    int64_t columns; /* of a tile */
} sum_rows_call;

/* y += rows of x, `row` elements apart */
static void add(const sum_rows_call *c, void *y, const void *x, int64_t row, int64_t rows, int64_t n)
{
    if (c->x->dtype == ATT_F64)
        att_ref_sum_rows_f64(y, x, row, rows, n);
    else
        c->k->sum_rows(y, x, row, rows, n);
}

static void add_total(const att_view *y, int64_t col, const void *total, int64_t n)
{
    const float *t32 = total;
    const double *t64 = total;
    for (int64_t j = 0; j < n; j++) {
        void *at = att_element(y, col + j);
        if (y->dtype == ATT_F64)
            *(double *)at += t64[j];
        else
            *(float *)at += t32[j];
    }
}

static void sum_rows_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    const sum_rows_call *c = ctx;
    int64_t col = tile * c->columns, n = att_min64(c->columns, c->x->dim[1] - col);
    size_t size = att_dtype_bytes(c->x->dtype);
    double total[MOST_SUMMED] = {0}, block[MOST_SUMMED]; /* floats use the first half */
    for (int64_t m0 = 0; m0 < c->x->dim[0]; m0 += ROW_BLOCK) {
        memset(block, 0, (size_t)n * size);
        add(c, block, (char *)att_row(c->x, m0) + (size_t)col * size, c->x->stride[0],
            att_min64(ROW_BLOCK, c->x->dim[0] - m0), n);
        add(c, total, block, 0, 1, n);
    }
    add_total(c->y, col, total, n);
}

att_status att_sum_rows(const att_exec *exec, const att_view *y, const att_view *x)
{
    ATT_TRY(att_require_rows("x", x));
    ATT_TRY(att_require_shape("y", y, x->dtype, 1, &x->dim[1]));
    const att_exec *how = att_exec_for(exec, att_view_count(x));
    int64_t share = att_ceil_div(x->dim[1], 2 * (int64_t)att_threads(how) * ATT_COLUMN_TILE) * ATT_COLUMN_TILE;
    sum_rows_call c = {&att_kernels_for(exec)->rows, y, x, att_max64(ATT_COLUMN_TILE, att_min64(MOST_SUMMED, share))};
    att_parallel(how, att_ceil_div(x->dim[1], c.columns), sum_rows_tile, &c);
    return ATT_OK;
}

/* ---- the sum of all elements ---- */

#define MAX_CHUNKS 1024  /* partial sums on the stack */
#define CHUNK_ATOM 16384 /* elements of a chunk, or a multiple */
#define GATHER     256

typedef struct sum_call {
    const att_rows_kernels *k;
    att_view x;    /* at most ATT_MAX_DIMS dimensions, or one when dense */
    int64_t count; /* elements */
    int64_t chunk; /* elements of a chunk */
    double sum[MAX_CHUNKS], squares[MAX_CHUNKS];
} sum_call;

static void add_run(const sum_call *c, const void *x, int64_t n, double *sum, double *squares)
{
    double s, q;
    if (c->x.dtype == ATT_F64)
        att_ref_sums_f64(x, n, &s, &q);
    else
        c->k->sums(x, n, &s, &q);
    *sum += s;
    *squares += q;
}

/* Elements lo .. hi-1 of a view that is not dense, in row-major order, gathered piece by piece. */
static void add_strided(const sum_call *c, int64_t lo, int64_t hi, double *sum, double *squares)
{
    double buffer[GATHER];
    size_t size = att_dtype_bytes(c->x.dtype);
    for (int64_t i = lo; i < hi; i += GATHER) {
        int64_t n = att_min64(GATHER, hi - i);
        for (int64_t j = 0; j < n; j++) {
            int64_t at = 0, rest = i + j;
            for (int a = c->x.ndim - 1; a >= 0; a--) {
                at += rest % c->x.dim[a] * c->x.stride[a];
                rest /= c->x.dim[a];
            }
            memcpy((char *)buffer + (size_t)j * size, (const char *)c->x.data + at * (int64_t)size, size);
        }
        add_run(c, buffer, n, sum, squares);
    }
}

static void sum_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    sum_call *c = ctx;
    int64_t lo = tile * c->chunk, hi = att_min64(c->count, lo + c->chunk);
    if (att_view_is_dense(&c->x))
        add_run(c, (const char *)c->x.data + lo * (int64_t)att_dtype_bytes(c->x.dtype), hi - lo, &c->sum[tile],
                &c->squares[tile]);
    else
        add_strided(c, lo, hi, &c->sum[tile], &c->squares[tile]);
}

att_status att_sum(const att_exec *exec, const att_view *x, double *sum, double *squares)
{
    ATT_TRY(att_require_real("x", x));
    sum_call c = {.k = &att_kernels_for(exec)->rows, .x = *x, .count = att_view_count(x)};
    c.chunk = CHUNK_ATOM * att_max64(1, att_ceil_div(c.count, (int64_t)CHUNK_ATOM * MAX_CHUNKS));
    int64_t chunks = att_ceil_div(c.count, c.chunk);
    att_parallel(att_exec_for(exec, c.count), chunks, sum_tile, &c);
    double total = 0, total_squares = 0;
    for (int64_t i = 0; i < chunks; i++) {
        total += c.sum[i];
        total_squares += c.squares[i];
    }
    if (sum) *sum = total;
    if (squares) *squares = total_squares;
    return ATT_OK;
}
