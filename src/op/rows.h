/* Matrices (M,N) with dense rows, cut into tiles of whole rows or of whole columns. */
#ifndef ATT_OP_ROWS_H
#define ATT_OP_ROWS_H

#include "base/parallel.h"
#include "op/require.h"
#include "op/strided.h"

#define ATT_COLUMN_TILE 64 /* columns of a tile that sums over rows */

/* Row m of v. */
static inline void *att_row(const att_view *v, int64_t m)
{
    return (char *)v->data + m * v->stride[0] * (int64_t)att_dtype_bytes(v->dtype);
}

/* Element i of a vector. */
static inline void *att_element(const att_view *v, int64_t i)
{
    return (char *)v->data + i * v->stride[0] * (int64_t)att_dtype_bytes(v->dtype);
}

/* Rows of one tile: about 8192 elements. */
static inline int64_t att_row_tile(int64_t cols)
{
    return att_max64(1, 8192 / att_max64(1, cols));
}

#endif
