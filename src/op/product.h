/* What the files of the dense product share. */
#ifndef ATT_OP_PRODUCT_H
#define ATT_OP_PRODUCT_H

#include <attend/product.h>

#include "op/dispatch.h"

enum {
    ATT_SERIAL_WORK = 1 << 18, /* multiply-adds below which starting threads costs more than it gains */
    ATT_TILES_PER_THREAD = 4   /* enough that a late thread leaves little work to wait for            */
};

/* Bounds of part i of n items cut into `parts`. */
static inline int64_t att_part_start(int64_t n, int64_t parts, int64_t i)
{
    return n / parts * i + att_min64(i, n % parts);
}

/* One float32 product whose b is packed as ATT_I8: checked views, c not empty. */
att_status att_product_i8(const att_product_desc *desc, const att_exec *exec, const att_view *c, const att_view *a,
                          const att_packed *b, const att_view *bias, att_span workspace);
size_t att_product_i8_bytes(int64_t M, int64_t K); /* its workspace */

#endif
