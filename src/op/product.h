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

/* The product of the a joined along their columns and the b joined along their rows. */
typedef struct att_product_terms {
    const att_gemm_kernels *gemm; /* whose layouts the gathered rows have */
    int64_t segments;
    const att_view *a, *b; /* [segments] */
} att_product_terms;

/* Columns k0 .. k1-1 of a, rows row .. row+rows-1, from the segments that hold them. */
void att_product_gather_a(const att_product_terms *t, float *dst, att_gemm_layout layout, int64_t row, int64_t rows,
                          int64_t k0, int64_t k1);
/* Rows k0 .. k1-1 of columns n .. n+cols-1 of b, as one panel. */
void att_product_gather_b(const att_product_terms *t, float *dst, int64_t k0, int64_t k1, int64_t n, int64_t cols);

/* What att_product refuses, without doing it; and a workspace that is too small. */
att_status att_product_check(const att_product_desc *desc, const att_view *c, const att_view *a, const att_view *b,
                             const att_view *bias);
att_status att_product_need(att_span workspace, size_t bytes);

/* Whether a product runs in bfloat16; then, on checked views, and its workspace, 0 where it never does. */
bool att_product_uses_bf16(const att_exec *exec, const att_product_desc *desc, const att_view *c, const att_view *bias,
                           int64_t K);
void att_product_bf16(const att_product_desc *desc, const att_exec *exec, const att_view *c,
                      const att_product_terms *terms, int64_t K, const att_view *bias, att_span workspace);
size_t att_product_bf16_bytes(const att_exec *exec, int64_t M, int64_t N, int64_t K);

/* One float32 product whose b is packed as ATT_I8: checked views, c not empty. */
att_status att_product_i8(const att_product_desc *desc, const att_exec *exec, const att_view *c, const att_view *a,
                          const att_packed *b, const att_view *bias, att_span workspace);
size_t att_product_i8_bytes(int64_t M, int64_t K); /* its workspace */

#endif
