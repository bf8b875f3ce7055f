/* Products with 8-bit weights: rows of a are rounded first, then tiles of c are cut. kernel/gemm8.h has the formula and
 * what decides the bits. */
#include "base/parallel.h"
#include "kernel/ref/both.h"
#include "op/product.h"

enum {
    ROUNDED_VALUES = 1 << 20, /* of a at a time: what the workspace holds            */
    BLOCK_VALUES = 1 << 17,   /* of a in one tile: what the second-level cache holds */
    MOST_DEPTH = 64           /* of any kernel */
};

typedef struct product8 {
    const att_gemm8_kernels *kernels;
    const att_product_desc *desc;
    const att_view *c, *a, *bias;
    const att_packed *b;
    int64_t row, rows; /* of this chunk */
    int64_t a_row;     /* int16 values between rounded rows */
    float *step;
    int16_t *rounded;
    int32_t limit;
    int64_t row_tiles, col_tiles;
} product8;

/* Whole steps of every kernel's depth, and a cache line: rows of a power of two would all lie in the same sets. */
static int64_t rounded_width(int64_t K)
{
    return (int64_t)att_round_up((size_t)K, MOST_DEPTH) + (int64_t)(ATT_ALIGN / sizeof(int16_t));
}

static int64_t chunk_rows(int64_t M, int64_t K)
{
    return att_min64(M, att_max64(16, ROUNDED_VALUES / rounded_width(K)));
}

size_t att_product_i8_bytes(int64_t M, int64_t K)
{
    size_t rows = (size_t)chunk_rows(M, K) + 1; /* kernels may read a row more */
    return 2 * ATT_ALIGN + rows * (sizeof(float) + (size_t)rounded_width(K) * sizeof(int16_t));
}

static void round_row(void *ctx, int64_t tile, int worker)
{
    const product8 *p = ctx;
    const float *x = (const float *)p->a->data + (p->row + tile) * p->a->stride[0];
    (void)worker;
    p->step[tile] = p->kernels->quantise(p->rounded + tile * p->a_row, x, p->a->stride[1], p->b->K, p->limit);
}

static void multiply_tile(void *ctx, int64_t tile, int worker)
{
    const product8 *p = ctx;
    const int64_t nr = p->kernels->nr, panels = att_ceil_div(p->b->N, nr);
    const int64_t k = att_ceil_div(p->b->K, p->kernels->depth) * p->kernels->depth;
    const int64_t row_tile = tile / p->col_tiles, col_tile = tile % p->col_tiles;
    const int64_t row = att_part_start(p->rows, p->row_tiles, row_tile);
    const int64_t n0 = att_part_start(panels, p->col_tiles, col_tile) * nr;
    const int64_t n1 = att_min64(att_part_start(panels, p->col_tiles, col_tile + 1) * nr, p->b->N);
    (void)worker;
    p->kernels->block(
        &(att_gemm8_block){.c = (float *)p->c->data + (p->row + row) * p->c->stride[0] + n0 * p->c->stride[1],
                           .c_row = p->c->stride[0],
                           .c_col = p->c->stride[1],
                           .rows = att_part_start(p->rows, p->row_tiles, row_tile + 1) - row,
                           .cols = n1 - n0,
                           .k = k,
                           .a = p->rounded + row * p->a_row,
                           .a_row = p->a_row,
                           .limit = p->limit,
                           .step = p->step + row,
                           .b = (const int8_t *)p->b->data + n0 / nr * (p->kernels->head + nr * k),
                           .scale = p->b->scale + n0,
                           .add = p->desc->accumulate != 0,
                           .bias = p->bias->data ? (const float *)p->bias->data + n0 * p->bias->stride[0] : NULL,
                           .bias_stride = p->bias->stride[0],
                           .activation = p->desc->activation});
}

static void multiply_chunk(product8 *p, const att_exec *exec)
{
    int64_t panels = att_ceil_div(p->b->N, p->kernels->nr), threads = att_threads(exec);
    int64_t most = att_max64(p->kernels->mr, BLOCK_VALUES / p->a_row);
    att_parallel(p->rows > 4 ? exec : NULL, p->rows, round_row, p);
    p->row_tiles = att_ceil_div(p->rows, most);
    p->col_tiles = threads == 1 ? 1 : att_min64(panels, att_ceil_div(threads * ATT_TILES_PER_THREAD, p->row_tiles));
    att_parallel(exec, p->row_tiles * p->col_tiles, multiply_tile, p);
}

/* 127 limit K < 2^31, and what the bits hold. */
static int32_t largest_rounded(const att_packed *b)
{
    return (int32_t)att_min64(b->a_bits == 8 ? INT8_MAX : INT16_MAX, INT32_MAX / (127 * att_max64(b->K, 1)));
}

static void reference(const product8 *p)
{
    const att_view *c = p->c, *a = p->a;
    att_ref_gemm_i8_f32(c->data, c->stride[0], c->stride[1], a->data, a->stride[0], a->stride[1], p->b->data,
                        p->b->scale, c->dim[0], p->b->N, p->b->K, p->desc->accumulate);
    att_ref_bias_act_f32(c->data, c->stride[0], c->stride[1], p->bias->data, p->bias->stride[0], c->dim[0], p->b->N,
                         (int)p->desc->activation);
}

att_status att_product_i8(const att_product_desc *desc, const att_exec *exec, const att_view *c, const att_view *a,
                          const att_packed *b, const att_view *bias, att_span workspace)
{
    product8 p = {.kernels = &att_kernels_for(exec)->gemm8, .desc = desc, .c = c, .a = a, .bias = bias, .b = b};
    int64_t M = c->dim[0], chunk = chunk_rows(M, b->K);
    if (!p.kernels->block) {
        reference(&p);
        return ATT_OK;
    }
    if ((double)M * (double)b->N * (double)b->K < ATT_SERIAL_WORK) exec = NULL;
    p.a_row = rounded_width(b->K);
    p.limit = largest_rounded(b);
    p.step = workspace.data;
    p.rounded = (int16_t *)(void *)((char *)workspace.data + att_round_up((size_t)chunk * sizeof(float), ATT_ALIGN));
    for (p.row = 0; p.row < M; p.row += chunk) {
        p.rows = att_min64(chunk, M - p.row);
        multiply_chunk(&p, exec);
    }
    return ATT_OK;
}
