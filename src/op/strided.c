#include "op/strided.h"

#include <string.h>

#include "base/parallel.h"

#define TILE         8192  /* elements of one tile */
#define BUFFER       64    /* elements gathered at a time when a run is not adjacent in memory */
#define INLINE_BELOW 32768 /* elements that the calling thread does alone */

typedef struct nest {
    const att_strided *job;
    size_t size; /* bytes of an element */
    int ndim;
    int64_t dim[ATT_MAX_DIMS];
    int64_t stride[ATT_STRIDED_OPERANDS][ATT_MAX_DIMS];
    int64_t rows, cols;         /* cols: the innermost dimension; rows: all others together */
    int64_t row_tile, col_tile; /* of one tile */
    int64_t chunk;              /* columns of one run */
} nest;

const att_exec *att_exec_for(const att_exec *exec, int64_t count)
{
    return count < INLINE_BELOW ? NULL : exec;
}

static void swap_dims(nest *n, int a, int b)
{
    int64_t d = n->dim[a];
    n->dim[a] = n->dim[b];
    n->dim[b] = d;
    for (int k = 0; k < n->job->operands; k++) {
        int64_t s = n->stride[k][a];
        n->stride[k][a] = n->stride[k][b];
        n->stride[k][b] = s;
    }
}

static int64_t magnitude(int64_t stride)
{
    return stride < 0 ? -stride : stride;
}

/* Innermost the dimension in which the output is adjacent: insertion sort by falling stride of the output. */
static void sort_dims(nest *n)
{
    for (int a = 1; a < n->ndim; a++)
        for (int b = a; b > 0 && magnitude(n->stride[0][b - 1]) < magnitude(n->stride[0][b]); b--)
            swap_dims(n, b - 1, b);
}

static bool mergeable(const nest *n, int a)
{
    for (int k = 0; k < n->job->operands; k++)
        if (n->stride[k][a] != n->dim[a + 1] * n->stride[k][a + 1]) return false;
    return true;
}

/* Neighbouring dimensions that every operand steps through evenly become one. */
static void merge_dims(nest *n)
{
    for (int a = n->ndim - 2; a >= 0; a--) {
        if (!mergeable(n, a)) continue;
        n->dim[a] *= n->dim[a + 1];
        for (int k = 0; k < n->job->operands; k++) n->stride[k][a] = n->stride[k][a + 1];
        for (int b = a + 1; b + 1 < n->ndim; b++) swap_dims(n, b, b + 1);
        n->ndim--;
    }
}

static nest make_nest(const att_strided *job)
{
    nest n = {.job = job, .size = att_dtype_bytes(job->view[0]->dtype), .rows = 1};
    for (int a = 0; a < job->view[0]->ndim; a++) {
        if (job->view[0]->dim[a] == 1) continue;
        n.dim[n.ndim] = job->view[0]->dim[a];
        for (int k = 0; k < job->operands; k++) n.stride[k][n.ndim] = job->view[k]->stride[a];
        n.ndim++;
    }
    if (!job->keep_order) sort_dims(&n);
    merge_dims(&n);
    n.cols = n.ndim ? n.dim[n.ndim - 1] : 1;
    for (int a = 0; a + 1 < n.ndim; a++) n.rows *= n.dim[a];
    bool adjacent = true;
    for (int k = 0; k < job->operands && n.ndim; k++) adjacent = adjacent && n.stride[k][n.ndim - 1] == 1;
    n.chunk = adjacent ? TILE : BUFFER; /* not adjacent: square tiles, so that cache lines of both sides are used up */
    n.col_tile = n.chunk;
    n.row_tile = adjacent ? att_max64(1, TILE / att_max64(1, n.cols)) : BUFFER;
    return n;
}

/* Elements between operand k's start and its element (row, col). */
static int64_t offset_of(const nest *n, int k, int64_t row, int64_t col)
{
    if (n->ndim == 0) return 0;
    int64_t at = col * n->stride[k][n->ndim - 1];
    for (int a = n->ndim - 2; a > 0; a--) {
        at += row % n->dim[a] * n->stride[k][a];
        row /= n->dim[a];
    }
    return n->ndim > 1 ? at + row * n->stride[k][0] : at;
}

static void gather(void *to, const char *from, int64_t stride, int64_t n, size_t size)
{
    if (size == sizeof(float)) {
        float *y = to;
        const float *x = (const float *)(const void *)from;
        for (int64_t i = 0; i < n; i++) y[i] = x[i * stride];
    } else {
        double *y = to;
        const double *x = (const double *)(const void *)from;
        for (int64_t i = 0; i < n; i++) y[i] = x[i * stride];
    }
}

static void scatter(char *to, int64_t stride, const void *from, int64_t n, size_t size)
{
    if (size == sizeof(float)) {
        float *y = (float *)(void *)to;
        const float *x = from;
        for (int64_t i = 0; i < n; i++) y[i * stride] = x[i];
    } else {
        double *y = (double *)(void *)to;
        const double *x = from;
        for (int64_t i = 0; i < n; i++) y[i * stride] = x[i];
    }
}

static void run(const nest *n, int64_t row, int64_t col, int64_t count)
{
    const att_strided *job = n->job;
    double buffer[ATT_STRIDED_OPERANDS][BUFFER];
    void *p[ATT_STRIDED_OPERANDS];
    int64_t step[ATT_STRIDED_OPERANDS];
    char *out = NULL;
    for (int k = job->operands - 1; k >= 0; k--) {
        char *at = (char *)job->view[k]->data + offset_of(n, k, row, col) * (int64_t)n->size;
        step[k] = n->ndim && count > 1 ? n->stride[k][n->ndim - 1] : 1;
        if (k == 0) out = at;
        p[k] = step[k] == 1 ? (void *)at : (void *)buffer[k];
        if (step[k] != 1 && (k > 0 || job->reads_output)) gather(p[k], at, step[k], count, n->size);
    }
    job->fn(job->ctx, p, count, row * n->cols + col);
    if (step[0] != 1) scatter(out, step[0], p[0], count, n->size);
}

static void tile(void *ctx, int64_t index, int worker)
{
    (void)worker;
    const nest *n = ctx;
    int64_t col_tiles = att_ceil_div(n->cols, n->col_tile);
    int64_t row0 = index / col_tiles * n->row_tile, row1 = att_min64(n->rows, row0 + n->row_tile);
    int64_t col0 = index % col_tiles * n->col_tile, col1 = att_min64(n->cols, col0 + n->col_tile);
    for (int64_t row = row0; row < row1; row++)
        for (int64_t col = col0; col < col1; col += n->chunk) run(n, row, col, att_min64(n->chunk, col1 - col));
}

void att_strided_run(const att_exec *exec, const att_strided *job)
{
    int64_t count = att_view_count(job->view[0]);
    if (count == 0) return;
    nest n = make_nest(job);
    int64_t tiles = att_ceil_div(n.rows, n.row_tile) * att_ceil_div(n.cols, n.col_tile);
    att_parallel(att_exec_for(exec, count), tiles, tile, &n);
}
