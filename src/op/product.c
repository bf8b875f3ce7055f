/* Dense products: checks, packing, and the cut of the work into tiles. The kernels' header says what decides the bits
 * of a result; nothing in this file does, so the cut may follow the number of threads. */
#include "op/product.h"

#include "base/parallel.h"
#include "kernel/ref/both.h"

enum {
    CHUNK_K = 1024,                 /* packed b in scratch memory: at most so deep ... */
    CHUNK_FLOATS = 2 * 1024 * 1024, /* ... and so large                               */
    WIDE_COLUMNS = 256,             /* that a row tile of a is packed for, at least, ... */
    WIDE_IN_PLACE = 128,            /* ... or read where it is, then for twice as many tiles */
    LAST_COLS = 4,                  /* column tiles of the last row tiles, where that is wide enough */
    NEAR_FLOATS = 256 * 1024,       /* a block's rows of b that caches close to the core hold, at least in part */
    IN_PLACE = 4,                   /* times as many rows of a in a block if they are not packed */
    SET = 1024,                     /* floats after which addresses meet in one set of the first-level cache */
    LINE = 16,                      /* floats */
    NARROW_COLUMNS = 128,           /* of a c whose b is packed up to NARROW_K deep and, of more than FEW_ROWS, ... */
    NARROW_FLOATS = 7168,           /* ... so much of a at a time: it is used a few times, at once                  */
    NARROW_K = 4096,
    STAY_PANELS = 8,     /* of a c for which dense rows of a need no packing: b's panels take turns over few of them */
    STAY_FLOATS = 14336, /* of a in a block then                                                                     */
    FEW_ROWS = 1024,     /* of c, for which packing a transposed a is not worth it, and ... */
    FEW_COLUMNS = 512    /* ... columns, where a tile has few rows */
};

/* One call: operands, where scratch memory is, and the chunk of b that is being multiplied. */
typedef struct product {
    const att_product_desc *desc;
    const att_view *c, *bias; /* bias may be absent */
    att_product_terms terms;  /* packed beforehand b is a shape alone */
    int64_t M, N, K;
    float *scratch; /* threads * scratch_floats(): a block of a, then a ragged panel of b */
    float *chunk;   /* packed b of this chunk */
    int64_t k_lo, k_hi, n_lo, n_hi;
    const void *panels; /* b of this chunk: panel j at j * panel_stride, row k at k * row_stride, in elements */
    bool half;          /* they are bfloat16 */
    int64_t row_stride, panel_stride;
    bool direct;                                 /* panels is b itself, not packed beforehand */
    bool columns_stay;                           /* a lies transposed and is not packed */
    bool rows_stay;                              /* a has dense rows and is not packed  */
    int64_t threads, row_tiles, col_tiles, unit; /* a column tile has a multiple of `unit` panels */
    int64_t last, last_cols;                     /* row tiles at the end, and how many column tiles they have */
} product;

static int64_t scratch_floats(const att_gemm_kernels *g)
{
    return g->a_floats + g->kc * g->nr;
}

static float *f32_at(const att_view *v, int64_t row, int64_t col)
{
    return (float *)v->data + row * v->stride[0] + col * v->stride[1];
}

void att_product_gather_a(const att_product_terms *t, float *dst, att_gemm_layout layout, int64_t row, int64_t rows,
                          int64_t k0, int64_t k1)
{
    int64_t at = 0;
    for (int64_t s = 0; s < t->segments && at < k1; s++) {
        const att_view *a = &t->a[s];
        int64_t lo = att_max64(k0, at), hi = att_min64(k1, at + a->dim[1]);
        if (lo < hi)
            t->gemm->pack_a(dst, layout, lo - k0, f32_at(a, row, lo - at), a->stride[0], a->stride[1], rows, hi - lo);
        at += a->dim[1];
    }
}

void att_product_gather_b(const att_product_terms *t, float *dst, int64_t k0, int64_t k1, int64_t n, int64_t cols)
{
    int64_t at = 0;
    for (int64_t s = 0; s < t->segments && at < k1; s++) {
        const att_view *b = &t->b[s];
        int64_t lo = att_max64(k0, at), hi = att_min64(k1, at + b->dim[0]);
        if (lo < hi)
            t->gemm->pack_b(dst + (lo - k0) * t->gemm->nr, f32_at(b, lo - at, n), b->stride[0], b->stride[1], hi - lo,
                            cols);
        at += b->dim[0];
    }
}

static void pack_chunk_panel(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    const product *p = ctx;
    int64_t n = p->n_lo + tile * p->terms.gemm->nr;
    att_product_gather_b(&p->terms, p->chunk + tile * p->panel_stride, p->k_lo, p->k_hi, n,
                         att_min64(p->terms.gemm->nr, p->n_hi - n));
}

/* One block against columns n0 .. n1-1, whose panels start at b. */
static void multiply_columns(const product *p, att_gemm_block *g, int64_t row, int64_t n0, int64_t n1, const void *b,
                             int64_t b_row)
{
    g->c = f32_at(p->c, row, n0);
    g->cols = n1 - n0;
    g->b = b;
    g->b_row = b_row;
    g->bias = p->bias->data ? (const float *)p->bias->data + n0 * p->bias->stride[0] : NULL;
    if (g->cols > 0) p->terms.gemm->block(g);
}

/* Rows `row` .. of a, columns k0 .. k1-1: packed, or where they are if the kernel can read them there. */
static void bring_a(const product *p, att_gemm_block *g, float *scratch, int64_t row, int64_t k0, int64_t k1)
{
    const att_view *a = p->terms.a;
    g->a = scratch;
    if (p->terms.segments == 0) return;
    bool transposed = a->stride[0] == 1 && a->stride[1] != 1 && g->rows > 1 && !p->half;
    g->a_layout = transposed ? ATT_GEMM_COLUMNS : ATT_GEMM_ROWS;
    g->a_row = p->rows_stay ? a->stride[0] : 0;
    g->a_col = transposed && p->columns_stay ? a->stride[1] : 0;
    if (g->a_row || g->a_col || (g->rows == 1 && p->terms.segments == 1 && a->stride[1] == 1))
        g->a = f32_at(a, row, k0);
    else
        att_product_gather_a(&p->terms, scratch, g->a_layout, row, g->rows, k0, k1);
}

/* Says where the rows that bring_a packs next lie, so that the block fetches them meanwhile: columns from k on of row
 * tile row_tile, or row tile `next`, which this thread is likely to take after it. */
static void announce_a(const product *p, att_gemm_block *g, int64_t row_tile, int64_t next, int64_t k)
{
    const att_view *a = p->terms.a;
    g->a_next = NULL;
    if (p->terms.segments != 1 || a->stride[1] != 1 || p->half) return;
    if (k >= p->k_hi) {
        if (next == row_tile || next >= p->row_tiles) return;
        row_tile = next;
        k = p->k_lo;
    }
    g->a_next = f32_at(a, att_part_start(p->M, p->row_tiles, row_tile), k);
    g->a_next_row = a->stride[0];
    g->a_next_k = att_min64(p->terms.gemm->kc, p->k_hi - k);
}

/* A row tile against panels j0 .. j1-1 of the chunk; `next` as announce_a has it. */
static void multiply_panels(const product *p, int64_t row_tile, int64_t next, int64_t j0, int64_t j1, int worker)
{
    const att_gemm_kernels *gemm = p->terms.gemm;
    const int64_t nr = gemm->nr, row = att_part_start(p->M, p->row_tiles, row_tile);
    const int64_t n0 = p->n_lo + j0 * nr, n1 = att_min64(p->n_lo + j1 * nr, p->n_hi);
    const int64_t whole = p->direct ? n0 + (n1 - n0) / nr * nr : n1; /* b itself has no zeros behind its last column */
    float *scratch = p->scratch + worker * scratch_floats(gemm), *ragged = scratch + gemm->a_floats;
    att_gemm_block g = {.rows = att_part_start(p->M, p->row_tiles, row_tile + 1) - row,
                        .c_row = p->c->stride[0],
                        .c_col = p->c->stride[1],
                        .b_panel = p->panel_stride,
                        .b_half = p->half,
                        .b_far = !p->half && (!p->direct || p->M <= 3) &&
                                 att_min64(p->K, gemm->kc) * (p->n_hi - p->n_lo) > NEAR_FLOATS,
                        .bias_stride = p->bias->stride[0],
                        .activation = p->desc->activation};
    int64_t k0 = p->k_lo;
    do { /* once even for K = 0 */
        int64_t k1 = att_min64(k0 + gemm->kc, p->k_hi);
        g.k = k1 - k0;
        g.add = p->desc->accumulate || k0 > 0;
        g.last = k1 == p->K;
        bring_a(p, &g, scratch, row, k0, k1);
        announce_a(p, &g, row_tile, next, k1);
        g.b_room = p->direct ? ragged : NULL;
        int64_t at = j0 * p->panel_stride + (k0 - p->k_lo) * p->row_stride;
        const char *b = (const char *)p->panels + at * (int64_t)(p->half ? sizeof(uint16_t) : sizeof(float));
        multiply_columns(p, &g, row, n0, whole, b, p->row_stride);
        if (whole < n1) {
            att_product_gather_b(&p->terms, ragged, k0, k1, whole, n1 - whole);
            g.b_room = NULL;
            multiply_columns(p, &g, row, whole, n1, ragged, nr);
        }
        k0 = k1;
    } while (k0 < p->k_hi);
}

/* Where a tile lies: column tile `col` of `cols` of a row tile. */
typedef struct place {
    int64_t row_tile, col, cols;
} place;

static place place_of(const product *p, int64_t tile)
{
    const int64_t first = p->row_tiles - p->last, whole = first * p->col_tiles;
    if (tile < whole) return (place){tile / p->col_tiles, tile % p->col_tiles, p->col_tiles};
    return (place){first + (tile - whole) / p->last_cols, (tile - whole) % p->last_cols, p->last_cols};
}

/* Few rows wait for b: where its panels lie in one piece they go through all of a few before the next ones. */
static void multiply_tile(void *ctx, int64_t tile, int worker)
{
    const product *p = ctx;
    const place at = place_of(p, tile), next = place_of(p, tile + p->threads);
    const int64_t panels = att_ceil_div(p->n_hi - p->n_lo, p->terms.gemm->nr), units = att_ceil_div(panels, p->unit);
    const int64_t j0 = att_part_start(units, at.cols, at.col) * p->unit;
    const int64_t j1 = att_min64(panels, att_part_start(units, at.cols, at.col + 1) * p->unit);
    const int64_t step = p->unit > 1 && !p->direct ? p->unit : j1 - j0;
    for (int64_t j = j0; j < j1; j += step)
        multiply_panels(p, at.row_tile, next.row_tile, j, att_min64(j + step, j1), worker);
}

/* Rows of a block of a. */
static int64_t block_rows(const product *p)
{
    const int64_t most = p->terms.gemm->mc;
    if (p->columns_stay) return IN_PLACE * most;
    if (p->rows_stay)
        return att_max64(1, att_min64(STAY_FLOATS / att_max64(1, att_min64(p->K, p->terms.gemm->kc)), most));
    return p->N <= NARROW_COLUMNS && p->M > FEW_ROWS ? att_min64(NARROW_FLOATS / p->terms.gemm->kc, most) : most;
}

/* Row tiles as few as the cache allows and, from one a thread on, a whole number for each. Then columns are cut until
 * every thread has enough tiles, but not so narrow that packing a once more for each of them counts, and again into a
 * whole number for each thread. The last row tiles, one a thread, are cut once more: threads are never equally fast. */
static void cut(product *p, const att_exec *exec)
{
    int64_t panels = att_ceil_div(p->n_hi - p->n_lo, p->terms.gemm->nr), threads = att_threads(exec), units;
    p->threads = threads;
    p->row_tiles = att_ceil_div(p->M, block_rows(p));
    if (p->columns_stay && p->M > p->N) /* for columns, each thread would read all of a */
        p->row_tiles = att_max64(p->row_tiles, att_min64(threads, p->M / p->terms.gemm->mc));
    if (p->row_tiles >= threads) p->row_tiles = att_min64(p->M, att_ceil_div(p->row_tiles, threads) * threads);
    int64_t each = p->columns_stay ? 2 * ATT_TILES_PER_THREAD : ATT_TILES_PER_THREAD;
    int64_t wanted = att_ceil_div(threads * each, p->row_tiles), wide = p->columns_stay ? WIDE_IN_PLACE : WIDE_COLUMNS;
    int64_t tiles = att_min64(wanted, att_ceil_div(panels * p->terms.gemm->nr, wide));
    if (p->row_tiles < threads) tiles = att_ceil_div(tiles, threads) * threads;
    p->unit = p->terms.gemm->panels_at_once(p->M);
    units = att_ceil_div(panels, p->unit);
    if (units < threads) p->unit = 1, units = panels;
    p->col_tiles = threads == 1 ? 1 : att_min64(units, tiles);
    p->last = threads > 1 && p->row_tiles >= 2 * threads ? threads : 0;
    p->last_cols = att_max64(p->col_tiles, att_min64(att_min64(units, LAST_COLS), (p->n_hi - p->n_lo) / wide));
}

static void multiply_chunk(product *p, const att_exec *exec)
{
    cut(p, exec);
    att_parallel(exec, (p->row_tiles - p->last) * p->col_tiles + p->last * p->last_cols, multiply_tile, p);
}

static const att_exec *enough_threads(const product *p, const att_exec *exec)
{
    return (double)p->M * (double)p->N * (double)p->K < ATT_SERIAL_WORK ? NULL : exec;
}

/* A transposed a of few rows needs no packing. But where its columns meet in one set of the cache, or are far apart, or
 * where a tile of few rows fetches lines of which it reads a part, for each panel of b again, packing pays. */
static bool can_columns_stay(const product *p, const att_view *a)
{
    if (p->M <= 1 || a->stride[0] != 1 || a->stride[1] == 1 || a->stride[1] == 0) return false;
    if (p->M > FEW_ROWS || a->stride[1] % SET == 0) return false;
    return p->terms.gemm->mr > LINE / 2 || p->N < FEW_COLUMNS;
}

/* Dense rows of a need no packing where all of c's columns go over a few of them before the next ones. */
static bool can_rows_stay(const product *p)
{
    const att_view *a = p->terms.a;
    return p->terms.segments == 1 && a->stride[1] == 1 && a->stride[0] > 0 && p->c->stride[1] == 1 &&
           p->bias->stride[0] <= 1 && p->N <= STAY_PANELS * p->terms.gemm->nr && p->M > 2 * p->terms.gemm->mr;
}

/* With b where it is, if its rows are dense and few tiles of rows read it; the first rows of a tile pack a panel for
 * the others. Returns whether it was done. */
static bool multiply_direct(product *p, const att_exec *exec)
{
    if (p->terms.segments != 1 || (p->terms.b->stride[1] != 1 && p->N != 1)) return false;
    p->columns_stay = can_columns_stay(p, p->terms.a);
    if (!p->columns_stay && p->M > p->terms.gemm->mc) return false;
    p->direct = true;
    p->k_lo = p->n_lo = 0;
    p->k_hi = p->K;
    p->n_hi = p->N;
    p->panels = p->terms.b->data;
    p->row_stride = p->terms.b->stride[0];
    p->panel_stride = p->terms.gemm->nr;
    multiply_chunk(p, exec);
    return true;
}

static void multiply_packed(product *p, const att_exec *exec, const att_packed *packed)
{
    p->k_lo = p->n_lo = 0;
    p->k_hi = p->K;
    p->n_hi = p->N;
    p->panels = packed->data;
    p->half = packed->dtype == ATT_BF16;
    p->rows_stay = !p->half && can_rows_stay(p);
    p->row_stride = p->terms.gemm->nr;
    p->panel_stride = p->K * p->terms.gemm->nr;
    multiply_chunk(p, exec);
}

/* How much of b(K,N) is packed at a time: depth k, columns n, both fixed by the sizes. */
static void chunk_size(const att_gemm_kernels *gemm, int64_t N, int64_t K, int64_t *k, int64_t *n)
{
    *k = att_min64(K, N <= NARROW_COLUMNS ? NARROW_K : CHUNK_K);
    int64_t panels = att_max64(1, CHUNK_FLOATS / (att_max64(*k, 1) * gemm->nr));
    *n = att_min64(att_ceil_div(N, gemm->nr), panels) * gemm->nr;
}

static void multiply_in_chunks(product *p, const att_exec *exec)
{
    int64_t k, n;
    chunk_size(p->terms.gemm, p->N, p->K, &k, &n);
    p->panels = p->chunk;
    p->rows_stay = can_rows_stay(p);
    p->row_stride = p->terms.gemm->nr;
    for (p->n_lo = 0; p->n_lo < p->N; p->n_lo = p->n_hi) {
        p->n_hi = att_min64(p->n_lo + n, p->N);
        p->k_lo = 0;
        do {
            p->k_hi = att_min64(p->k_lo + k, p->K);
            p->panel_stride = (p->k_hi - p->k_lo) * p->terms.gemm->nr;
            att_parallel(exec, att_ceil_div(p->n_hi - p->n_lo, p->terms.gemm->nr), pack_chunk_panel, p);
            multiply_chunk(p, exec);
            p->k_lo = p->k_hi;
        } while (p->k_lo < p->K);
    }
}

static size_t scratch_bytes(const att_exec *exec, const att_gemm_kernels *gemm)
{
    return (size_t)att_threads(exec) * (size_t)scratch_floats(gemm) * sizeof(float);
}

static bool has_kernels(const att_exec *exec, const att_gemm_kernels **gemm)
{
    *gemm = &att_kernels_for(exec)->gemm;
    return (*gemm)->block != NULL;
}

att_status att_product_packed_workspace(const att_exec *exec, int64_t M, int64_t N, int64_t K, size_t *bytes)
{
    const att_gemm_kernels *gemm;
    ATT_REQUIRE(M >= 0 && N >= 0 && K >= 0, ATT_E_SHAPE, "product: sizes %lld, %lld, %lld, expected none below 0",
                (long long)M, (long long)N, (long long)K);
    *bytes = 0;
    if (!has_kernels(exec, &gemm)) return ATT_OK;
    size_t eight_bits = att_product_i8_bytes(M, K);
    *bytes = scratch_bytes(exec, gemm);
    if (*bytes < eight_bits) *bytes = eight_bits;
    return ATT_OK;
}

att_status att_product_workspace(const att_exec *exec, int64_t M, int64_t N, int64_t K, size_t *bytes)
{
    const att_gemm_kernels *gemm;
    int64_t k, n;
    ATT_TRY(att_product_packed_workspace(exec, M, N, K, bytes));
    if (!has_kernels(exec, &gemm)) return ATT_OK;
    *bytes = att_round_up(*bytes, ATT_ALIGN);
    chunk_size(gemm, N, K, &k, &n);
    *bytes += (size_t)(k * n) * sizeof(float);
    size_t bf16 = att_product_bf16_bytes(exec, M, N, K);
    if (*bytes < bf16) *bytes = bf16;
    return ATT_OK;
}

att_status att_product_need(att_span workspace, size_t bytes)
{
    ATT_REQUIRE(bytes == 0 || (workspace.data && workspace.bytes >= bytes), ATT_E_WORKSPACE,
                "product: a workspace of %zu bytes, expected at least %zu", workspace.data ? workspace.bytes : 0,
                bytes);
    ATT_REQUIRE((uintptr_t)workspace.data % sizeof(float) == 0, ATT_E_WORKSPACE,
                "product: the workspace is not aligned for float32");
    return ATT_OK;
}

static att_status check_matrix(const att_view *v, const char *name, att_dtype dtype)
{
    ATT_REQUIRE(v->ndim == 2, ATT_E_SHAPE, "product: %s has %d dimensions, expected 2", name, v->ndim);
    ATT_REQUIRE(v->dim[0] >= 0 && v->dim[1] >= 0, ATT_E_SHAPE, "product: %s is %lld x %lld, expected sizes >= 0", name,
                (long long)v->dim[0], (long long)v->dim[1]);
    ATT_REQUIRE(v->dtype == dtype, ATT_E_DTYPE, "product: %s is %s, expected %s as c", name, att_dtype_name(v->dtype),
                att_dtype_name(dtype));
    ATT_REQUIRE(v->data || v->dim[0] == 0 || v->dim[1] == 0, ATT_E_VALUE, "product: %s has no data", name);
    return ATT_OK;
}

static att_status check_size(const char *name, const char *what, int64_t got, int64_t want, const char *as)
{
    ATT_REQUIRE(got == want, ATT_E_SHAPE, "product: %s has %lld %s, expected %lld as %s", name, (long long)got, what,
                (long long)want, as);
    return ATT_OK;
}

static att_status check_output(const att_product_desc *desc, const att_view *c, const att_view *bias)
{
    ATT_REQUIRE(c->dtype == ATT_F32 || c->dtype == ATT_F64, ATT_E_DTYPE,
                "product: c is %s, expected float32 or float64", att_dtype_name(c->dtype));
    ATT_TRY(check_matrix(c, "c", c->dtype));
    ATT_REQUIRE(desc->activation >= ATT_ACT_NONE && desc->activation <= ATT_ACT_SILU, ATT_E_VALUE,
                "product: activation %d, expected %d to %d", (int)desc->activation, ATT_ACT_NONE, ATT_ACT_SILU);
    ATT_REQUIRE(!desc->accumulate || desc->activation == ATT_ACT_NONE, ATT_E_VALUE,
                "product: an activation with accumulate, expected one of the two");
    if (!bias->data) return ATT_OK;
    ATT_REQUIRE(bias->ndim == 1, ATT_E_SHAPE, "product: bias has %d dimensions, expected 1", bias->ndim);
    ATT_REQUIRE(bias->dtype == c->dtype, ATT_E_DTYPE, "product: bias is %s, expected %s as c",
                att_dtype_name(bias->dtype), att_dtype_name(c->dtype));
    return check_size("bias", "elements", bias->dim[0], c->dim[1], "columns of c");
}

static att_status check_operands(const product *p)
{
    for (int64_t s = 0; s < p->terms.segments; s++) {
        ATT_TRY(check_matrix(&p->terms.a[s], "a", p->c->dtype));
        ATT_TRY(check_matrix(&p->terms.b[s], "b", p->c->dtype));
        ATT_TRY(check_size("a", "rows", p->terms.a[s].dim[0], p->M, "rows of c"));
        ATT_TRY(check_size("b", "rows", p->terms.b[s].dim[0], p->terms.a[s].dim[1], "columns of a"));
        ATT_TRY(check_size("b", "columns", p->terms.b[s].dim[1], p->N, "columns of c"));
    }
    return ATT_OK;
}

static void reference_f32(const product *p)
{
    const att_view *c = p->c, *bias = p->bias;
    int beta = p->desc->accumulate;
    for (int64_t s = 0; s < p->terms.segments || !beta; s++, beta = 1) {
        static const att_view none = {.ndim = 2};
        const att_view *a = s < p->terms.segments ? &p->terms.a[s] : &none,
                       *b = s < p->terms.segments ? &p->terms.b[s] : &none;
        att_ref_gemm_f32(c->data, c->stride[0], c->stride[1], a->data, a->stride[0], a->stride[1], b->data,
                         b->stride[0], b->stride[1], p->M, p->N, a->dim[1], beta);
    }
    att_ref_bias_act_f32(c->data, c->stride[0], c->stride[1], bias->data, bias->stride[0], p->M, p->N,
                         (int)p->desc->activation);
}

static void reference_f64(const product *p)
{
    const att_view *c = p->c, *bias = p->bias;
    int beta = p->desc->accumulate;
    for (int64_t s = 0; s < p->terms.segments || !beta; s++, beta = 1) {
        static const att_view none = {.ndim = 2};
        const att_view *a = s < p->terms.segments ? &p->terms.a[s] : &none,
                       *b = s < p->terms.segments ? &p->terms.b[s] : &none;
        att_ref_gemm_f64(c->data, c->stride[0], c->stride[1], a->data, a->stride[0], a->stride[1], b->data,
                         b->stride[0], b->stride[1], p->M, p->N, a->dim[1], beta);
    }
    att_ref_bias_act_f64(c->data, c->stride[0], c->stride[1], bias->data, bias->stride[0], p->M, p->N,
                         (int)p->desc->activation);
}

static void reference_bf16(const product *p, const att_packed *b)
{
    const att_view *c = p->c, *a = p->terms.a, *bias = p->bias;
    att_ref_gemm_bf16_f32(c->data, c->stride[0], c->stride[1], a->data, a->stride[0], a->stride[1], b->data, p->M, p->N,
                          p->K, p->desc->accumulate);
    att_ref_bias_act_f32(c->data, c->stride[0], c->stride[1], bias->data, bias->stride[0], p->M, p->N,
                         (int)p->desc->activation);
}

/* The reference for float64 and where no kernel is; otherwise sets p->terms.gemm and scratch memory. */
static bool reference(const product *p)
{
    if (p->c->dtype == ATT_F64)
        reference_f64(p);
    else if (!p->terms.gemm)
        reference_f32(p);
    else
        return false;
    return true;
}

static att_status multiply(product *p, const att_exec *exec, att_span workspace)
{
    size_t bytes;
    if (!has_kernels(exec, &p->terms.gemm)) p->terms.gemm = NULL;
    if (p->M == 0 || p->N == 0 || reference(p)) return ATT_OK;
    ATT_TRY(att_product_workspace(exec, p->M, p->N, p->K, &bytes));
    ATT_TRY(att_product_need(workspace, bytes));
    if (att_product_uses_bf16(exec, p->desc, p->c, p->bias, p->K)) {
        att_product_bf16(p->desc, exec, p->c, &p->terms, p->K, p->bias, workspace);
        return ATT_OK;
    }
    p->scratch = workspace.data;
    p->chunk = p->scratch + scratch_bytes(exec, p->terms.gemm) / sizeof(float);
    exec = enough_threads(p, exec);
    if (!multiply_direct(p, exec)) multiply_in_chunks(p, exec);
    return ATT_OK;
}

static const att_product_desc plain;
static const att_view absent;

att_status att_product_sum(const att_product_desc *desc, const att_exec *exec, const att_view *c, int64_t n,
                           const att_view *a, const att_view *b, att_span workspace)
{
    product p = {.desc = desc ? desc : &plain, .c = c, .bias = &absent, .terms = {.segments = n, .a = a, .b = b}};
    ATT_REQUIRE(n >= 0, ATT_E_VALUE, "product: %lld terms, expected 0 or more", (long long)n);
    ATT_TRY(check_output(p.desc, c, p.bias));
    p.M = c->dim[0];
    p.N = c->dim[1];
    ATT_TRY(check_operands(&p));
    for (int64_t s = 0; s < n; s++) p.K += a[s].dim[1];
    return multiply(&p, exec, workspace);
}

/* One product's operands, checked. */
static att_status begin(product *p, const att_product_desc *desc, const att_view *c, const att_view *a,
                        const att_view *b, const att_view *bias)
{
    *p = (product){
        .desc = desc ? desc : &plain, .c = c, .bias = bias ? bias : &absent, .terms = {.segments = 1, .a = a, .b = b}};
    ATT_TRY(check_output(p->desc, c, p->bias));
    p->M = c->dim[0];
    p->N = c->dim[1];
    p->K = a->dim[1];
    return check_operands(p);
}

att_status att_product_check(const att_product_desc *desc, const att_view *c, const att_view *a, const att_view *b,
                             const att_view *bias)
{
    product p;
    return begin(&p, desc, c, a, b, bias);
}

att_status att_product(const att_product_desc *desc, const att_exec *exec, const att_view *c, const att_view *a,
                       const att_view *b, const att_view *bias, att_span workspace)
{
    product p;
    ATT_TRY(begin(&p, desc, c, a, b, bias));
    return multiply(&p, exec, workspace);
}

att_status att_product_packed(const att_product_desc *desc, const att_exec *exec, const att_view *c, const att_view *a,
                              const att_packed *b, const att_view *bias, att_span workspace)
{
    const att_view dense = att_view_2d(b->data, ATT_F32, b->K, b->N);
    product p = {.desc = desc ? desc : &plain,
                 .c = c,
                 .bias = bias ? bias : &absent,
                 .terms = {.segments = 1, .a = a, .b = &dense},
                 .M = c->dim[0],
                 .N = b->N,
                 .K = b->K};
    size_t bytes;
    ATT_TRY(check_output(p.desc, c, p.bias));
    ATT_TRY(check_operands(&p));
    ATT_TRY(check_size("b", "columns", b->N, c->dim[1], "columns of c"));
    att_isa isa = att_kernels_for(exec)->isa;
    ATT_REQUIRE(b->isa == isa, ATT_E_VALUE, "product: b is packed for %s, expected %s", att_isa_name(b->isa),
                att_isa_name(isa));
    if (p.M == 0 || p.N == 0) return ATT_OK;
    if (!has_kernels(exec, &p.terms.gemm)) p.terms.gemm = NULL;
    if (b->dtype == ATT_BF16 && !p.terms.gemm) {
        reference_bf16(&p, b);
        return ATT_OK;
    }
    ATT_TRY(att_product_packed_workspace(exec, p.M, p.N, p.K, &bytes));
    ATT_TRY(att_product_need(workspace, bytes));
    if (b->dtype == ATT_I8) return att_product_i8(p.desc, exec, c, a, b, p.bias, workspace);
    if (reference(&p)) return ATT_OK;
    p.scratch = workspace.data;
    multiply_packed(&p, enough_threads(&p, exec), b);
    return ATT_OK;
}
