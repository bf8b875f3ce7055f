/* Dense products in bfloat16: packing and the cut of the work into whole micro-tiles. The depths of blocks are
 * fixed, so neither the number of threads nor the cut changes a bit. */
#include "op/product.h"

#include "base/parallel.h"

enum {
    TILE = ATT_BF16_TILE,
    KC = ATT_BF16_KC,
    CHUNK_K = 2048,                 /* packed b in scratch memory: at most so deep ... */
    CHUNK_VALUES = 4 * 1024 * 1024, /* ... and so large                               */
    LEAST = TILE                    /* smaller sizes fill the tiles too badly         */
};

typedef struct product16 {
    const att_kernels *kernels;
    const att_product_desc *desc;
    const att_view *c, *bias;
    const att_product_terms *terms;
    int64_t M, N, K;
    char *scratch;   /* threads * scratch_bytes() */
    uint16_t *chunk; /* packed b: panel j at j * panel_stride */
    int64_t k_lo, k_hi, n_lo, n_hi, panel_stride;
    int64_t row_tiles, col_tiles;
} product16;

bool att_product_uses_bf16(const att_exec *exec, const att_product_desc *desc, const att_view *c, const att_view *bias,
                           int64_t K)
{
    return desc->bfloat16 && c->dtype == ATT_F32 && att_kernels_for(exec)->bf16.block && c->dim[0] >= LEAST &&
           c->dim[1] >= LEAST && K >= LEAST && c->stride[1] == 1 && (!bias->data || bias->stride[0] == 1);
}

static int64_t steps_of(int64_t k)
{
    return att_ceil_div(k, TILE);
}

/* Of one thread: kc columns of 32 rows of a, or rows of a panel of b, gathered as floats; then a packed block of a. */
static size_t gathered_bytes(const att_kernels *kernels)
{
    const att_gemm_kernels *gemm = &kernels->gemm;
    assert(gemm->nr == TILE && gemm->kc % TILE == 0 && gemm->kc <= gemm->a_stride);
    return att_round_up((size_t)(TILE * gemm->a_stride) * sizeof(float), ATT_ALIGN);
}

static size_t scratch_bytes(const att_kernels *kernels)
{
    return gathered_bytes(kernels) + (size_t)(ATT_BF16_MC * KC) * sizeof(uint16_t);
}

/* How much of b(K,N) is packed at a time, both fixed by the sizes. */
static void chunk_size(int64_t N, int64_t K, int64_t *k, int64_t *n)
{
    *k = att_min64(K, CHUNK_K);
    *n = att_min64(att_ceil_div(N, TILE), att_max64(1, CHUNK_VALUES / (*k * TILE))) * TILE;
}

size_t att_product_bf16_bytes(const att_exec *exec, int64_t M, int64_t N, int64_t K)
{
    const att_kernels *kernels = att_kernels_for(exec);
    int64_t k, n;
    if (!kernels->bf16.block || M < LEAST || N < LEAST || K < LEAST) return 0;
    chunk_size(N, K, &k, &n);
    return ATT_ALIGN + (size_t)att_threads(exec) * scratch_bytes(kernels) +
           (size_t)(n / TILE * steps_of(k) * ATT_BF16_STEP) * sizeof(uint16_t);
}

static const float *at(const att_view *v, int64_t row, int64_t col)
{
    return (const float *)v->data + row * v->stride[0] + col * v->stride[1];
}

/* Panel `tile` of the chunk: from b itself, or, where its rows are not dense, through floats. */
static void pack_panel(void *ctx, int64_t tile, int worker)
{
    const product16 *p = ctx;
    const att_view *b = p->terms->b;
    const att_gemm_kernels *gemm = p->terms->gemm;
    float *floats = (float *)(void *)(p->scratch + (size_t)worker * scratch_bytes(p->kernels));
    uint16_t *dst = p->chunk + tile * p->panel_stride;
    int64_t n = p->n_lo + tile * TILE, cols = att_min64(TILE, p->n_hi - n);
    if (p->terms->segments == 1 && b->stride[1] == 1) {
        p->kernels->bf16.pack_b(dst, at(b, p->k_lo, n), b->stride[0], p->k_hi - p->k_lo, cols);
        return;
    }
    for (int64_t k = p->k_lo; k < p->k_hi; k += gemm->kc) {
        int64_t end = att_min64(k + gemm->kc, p->k_hi);
        att_product_gather_b(p->terms, floats, k, end, n, cols);
        p->kernels->bf16.pack_b(dst, floats, TILE, end - k, TILE);
        dst += steps_of(end - k) * ATT_BF16_STEP;
    }
}

/* Columns k0 .. k1-1 of rows row .. end-1 of a, strip by strip. */
static void pack_rows(const product16 *p, char *scratch, uint16_t *dst, int64_t row, int64_t end, int64_t k0,
                      int64_t k1)
{
    const att_view *a = p->terms->a;
    const att_gemm_kernels *gemm = p->terms->gemm;
    float *floats = (float *)(void *)scratch;
    for (; row < end; row += TILE) {
        int64_t rows = att_min64(TILE, end - row);
        if (p->terms->segments == 1 && (a->stride[1] == 1 || a->stride[0] == 1)) {
            if (a->stride[1] == 1)
                p->kernels->bf16.pack_a(dst, at(a, row, k0), a->stride[0], rows, k1 - k0);
            else
                p->kernels->bf16.turn_a(dst, at(a, row, k0), a->stride[1], rows, k1 - k0);
            dst += steps_of(k1 - k0) * ATT_BF16_STEP;
            continue;
        }
        for (int64_t k = k0; k < k1; k += gemm->kc) {
            int64_t k_end = att_min64(k + gemm->kc, k1);
            att_product_gather_a(p->terms, floats, ATT_GEMM_ROWS, row, rows, k, k_end);
            p->kernels->bf16.pack_a(dst, floats, gemm->a_stride, rows, k_end - k);
            dst += steps_of(k_end - k) * ATT_BF16_STEP;
        }
    }
}

static void multiply_tile(void *ctx, int64_t tile, int worker)
{
    const product16 *p = ctx;
    const int64_t row_tile = tile / p->col_tiles, col_tile = tile % p->col_tiles;
    const int64_t strips = att_ceil_div(p->M, TILE), panels = att_ceil_div(p->n_hi - p->n_lo, TILE);
    const int64_t row = att_part_start(strips, p->row_tiles, row_tile) * TILE;
    const int64_t end = att_min64(p->M, att_part_start(strips, p->row_tiles, row_tile + 1) * TILE);
    const int64_t j0 = att_part_start(panels, p->col_tiles, col_tile);
    const int64_t j1 = att_part_start(panels, p->col_tiles, col_tile + 1);
    const int64_t n0 = p->n_lo + j0 * TILE, n1 = att_min64(p->n_lo + j1 * TILE, p->n_hi);
    char *scratch = p->scratch + (size_t)worker * scratch_bytes(p->kernels);
    uint16_t *packed = (uint16_t *)(void *)(scratch + gathered_bytes(p->kernels));
    for (int64_t k = p->k_lo; k < p->k_hi; k += KC) {
        int64_t k_end = att_min64(k + KC, p->k_hi);
        pack_rows(p, scratch, packed, row, end, k, k_end);
        p->kernels->bf16.block(
            &(att_bf16_block){.c = (float *)p->c->data + row * p->c->stride[0] + n0,
                              .c_row = p->c->stride[0],
                              .rows = end - row,
                              .cols = n1 - n0,
                              .steps = steps_of(k_end - k),
                              .a = packed,
                              .b = p->chunk + j0 * p->panel_stride + steps_of(k - p->k_lo) * ATT_BF16_STEP,
                              .b_panel = p->panel_stride,
                              .add = p->desc->accumulate || k > 0,
                              .last = k_end == p->K,
                              .bias = p->bias->data ? (const float *)p->bias->data + n0 : NULL,
                              .activation = p->desc->activation});
    }
}

/* Rows are cut first: a row tile is packed once for each column tile. */
static void cut(product16 *p, const att_exec *exec)
{
    int64_t strips = att_ceil_div(p->M, TILE), panels = att_ceil_div(p->n_hi - p->n_lo, TILE);
    int64_t threads = att_threads(exec), least = att_ceil_div(strips * TILE, ATT_BF16_MC);
    p->row_tiles = least;
    p->col_tiles = 1;
    if (threads == 1) return;
    int64_t wanted = att_max64(least, threads * ATT_TILES_PER_THREAD / 2);
    p->row_tiles = att_min64(strips, att_ceil_div(wanted, threads) * threads);
    if (p->row_tiles < threads) p->col_tiles = att_min64(panels, att_ceil_div(threads, p->row_tiles));
}

void att_product_bf16(const att_product_desc *desc, const att_exec *exec, const att_view *c,
                      const att_product_terms *terms, int64_t K, const att_view *bias, att_span workspace)
{
    product16 p = {.kernels = att_kernels_for(exec), .desc = desc, .c = c, .bias = bias, .terms = terms, .K = K};
    int64_t k, n;
    p.M = c->dim[0];
    p.N = c->dim[1];
    p.scratch = (char *)att_round_up((uintptr_t)workspace.data, ATT_ALIGN);
    p.chunk = (uint16_t *)(void *)(p.scratch + (size_t)att_threads(exec) * scratch_bytes(p.kernels));
    chunk_size(p.N, K, &k, &n);
    if ((double)p.M * (double)p.N * (double)K < ATT_SERIAL_WORK) exec = NULL;
    for (p.n_lo = 0; p.n_lo < p.N; p.n_lo = p.n_hi) {
        p.n_hi = att_min64(p.n_lo + n, p.N);
        for (p.k_lo = 0; p.k_lo < K; p.k_lo = p.k_hi) {
            p.k_hi = att_min64(p.k_lo + k, K);
            p.panel_stride = steps_of(p.k_hi - p.k_lo) * ATT_BF16_STEP;
            att_parallel(exec, att_ceil_div(p.n_hi - p.n_lo, TILE), pack_panel, &p);
            cut(&p, exec);
            att_parallel(exec, p.row_tiles * p.col_tiles, multiply_tile, &p);
        }
    }
}
