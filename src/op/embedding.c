#include <attend/ops.h>

#include <string.h>

#include "kernel/ref/both.h"
#include "op/dispatch.h"
#include "op/rows.h"

typedef struct call {
    const att_rows_kernels *k;
    const att_view *y, *table, *ids; /* backward: dy, dtable, ids */
    int64_t rows;                    /* of a tile */
} call;

static int32_t id_of(const call *c, int64_t m)
{
    return *(const int32_t *)att_element(c->ids, m);
}

/* table(V,C), ids(M), y(M,C), and every id below V. */
static att_status require_arguments(const char *y_name, const att_view *y, const char *table_name,
                                    const att_view *table, const att_view *ids)
{
    ATT_TRY(att_require_rows(table_name, table));
    ATT_REQUIRE(ids->ndim == 1, ATT_E_SHAPE, "ids: %d dimensions, expected 1", ids->ndim);
    ATT_TRY(att_require_shape("ids", ids, ATT_I32, 1, ids->dim));
    ATT_TRY(att_require_shape(y_name, y, table->dtype, 2, (int64_t[]){ids->dim[0], table->dim[1]}));
    ATT_TRY(att_require_unit(y_name, y));
    for (int64_t m = 0; m < ids->dim[0]; m++) {
        int32_t id = *(const int32_t *)att_element(ids, m);
        ATT_REQUIRE(id >= 0 && id < table->dim[0], ATT_E_VALUE, "ids: element %lld is %d, expected 0 to %lld",
                    (long long)m, (int)id, (long long)table->dim[0] - 1);
    }
    return ATT_OK;
}

static void forward_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    const call *c = ctx;
    size_t bytes = (size_t)c->y->dim[1] * att_dtype_bytes(c->y->dtype);
    int64_t end = att_min64(c->y->dim[0], (tile + 1) * c->rows);
    for (int64_t m = tile * c->rows; m < end; m++) memcpy(att_row(c->y, m), att_row(c->table, id_of(c, m)), bytes);
}

att_status att_embedding_forward(const att_exec *exec, const att_view *y, const att_view *table, const att_view *ids)
{
    ATT_TRY(require_arguments("y", y, "table", table, ids));
    if (att_view_count(y) == 0) return ATT_OK;
    call c = {.y = y, .table = table, .ids = ids, .rows = att_row_tile(y->dim[1])};
    att_parallel(att_exec_for(exec, att_view_count(y)), att_ceil_div(y->dim[0], c.rows), forward_tile, &c);
    return ATT_OK;
}

/* A block of columns of the table belongs to one thread, which takes the rows of dy in order. */
static void backward_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    const call *c = ctx;
    int64_t col = tile * ATT_COLUMN_TILE, n = att_min64(ATT_COLUMN_TILE, c->y->dim[1] - col);
    for (int64_t m = 0; m < c->y->dim[0]; m++) {
        void *to = att_row(c->table, id_of(c, m)), *from = att_row(c->y, m);
        if (c->y->dtype == ATT_F64)
            att_ref_axpby_f64((double *)to + col, 1.0, (double *)from + col, 1.0, n);
        else
            c->k->axpby((float *)to + col, 1.0f, (float *)from + col, 1.0f, n);
    }
}

att_status att_embedding_backward(const att_exec *exec, const att_view *dtable, const att_view *dy, const att_view *ids)
{
    ATT_TRY(require_arguments("dy", dy, "dtable", dtable, ids));
    call c = {.k = &att_kernels_for(exec)->rows, .y = dy, .table = dtable, .ids = ids};
    att_parallel(att_exec_for(exec, att_view_count(dy)), att_ceil_div(dy->dim[1], ATT_COLUMN_TILE), backward_tile, &c);
    return ATT_OK;
}
