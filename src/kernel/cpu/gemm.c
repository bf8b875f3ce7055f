/* The micro-kernel of dense products and what feeds it. The accumulators of a micro-tile of m x NV vectors stay in
 * registers while k runs: per k it loads NV vectors of b, broadcasts m values of a and does m NV multiply-adds. Every
 * m <= MR has its own code, so that rows divide evenly among tiles and no edge tile does idle work. For one to three
 * rows a tile spans several panels, because two accumulators a row cannot hide the latency of the multiply-add. */
#include "kernel/cpu/activation.h"
#include "kernel/cpu/gemm_tile.h"
#include "kernel/tables.h"

enum { NR = GEMM_NV * VF_LANES, KC = GEMM_KC, MR = GEMM_MR, NV = GEMM_NV };

/* c = act(c + bias) on rows x cols; `activation` is a constant of the caller, so each has its own loop. */
VF_INLINE void finish_with(float *c, int64_t c_row, int64_t rows, int64_t cols, const float *bias,
                           const att_activation activation)
{
    for (int64_t m = 0; m < rows; m++) {
        float *row = c + m * c_row;
        int64_t n = 0;
        for (; n + VF_LANES <= cols; n += VF_LANES) {
            vf x = vf_load(row + n);
            if (bias) x = vf_add(x, vf_load(bias + n));
            vf_store(row + n, activate(x, activation));
        }
        if (n < cols) {
            vf x = vf_load_n(row + n, cols - n);
            if (bias) x = vf_add(x, vf_load_n(bias + n, cols - n));
            vf_store_n(row + n, activate(x, activation), cols - n);
        }
    }
}

static void finish(float *c, int64_t c_row, int64_t rows, int64_t cols, const float *bias, att_activation activation)
{
    switch (activation) {
    case ATT_ACT_NONE: finish_with(c, c_row, rows, cols, bias, ATT_ACT_NONE); break;
    case ATT_ACT_RELU: finish_with(c, c_row, rows, cols, bias, ATT_ACT_RELU); break;
    case ATT_ACT_TANH: finish_with(c, c_row, rows, cols, bias, ATT_ACT_TANH); break;
    case ATT_ACT_SIGMOID: finish_with(c, c_row, rows, cols, bias, ATT_ACT_SIGMOID); break;
    case ATT_ACT_GELU: finish_with(c, c_row, rows, cols, bias, ATT_ACT_GELU); break;
    case ATT_ACT_GELU_TANH: finish_with(c, c_row, rows, cols, bias, ATT_ACT_GELU_TANH); break;
    case ATT_ACT_SILU: finish_with(c, c_row, rows, cols, bias, ATT_ACT_SILU); break;
    }
}

static void tile_of_rows(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, GEMM_A_STRIDE, 1, t);
}

static void tile_of_columns(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, 1, MR, t);
}

static void tile_of_rows_narrow(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, 1, GEMM_A_STRIDE, 1, t);
}

static void tile_of_columns_narrow(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, 1, 1, MR, t);
}

static void tile(att_gemm_layout layout, int64_t m, const gemm_tile *t)
{
    bool narrow = t->cols <= VF_LANES;
    if (layout == ATT_GEMM_ROWS)
        narrow ? tile_of_rows_narrow(m, t) : tile_of_rows(m, t);
    else
        narrow ? tile_of_columns_narrow(m, t) : tile_of_columns(m, t);
}

/* How many panels a tile of m rows spans: enough independent sums to keep the multiply-add units busy. */
static int64_t panels_at_once(int64_t m)
{
    return m == 1 ? 4 : m == 2 ? 3 : m == 3 ? 2 : 1;
}

/* The same for m <= 3 rows and panels_at_once(m) whole panels. */
static void tile_wide(att_gemm_layout layout, int64_t m, const gemm_tile *t)
{
    bool rows = layout == ATT_GEMM_ROWS;
    switch (m) {
    case 1: rows ? gemm_tile_body(1, 4 * NV, GEMM_A_STRIDE, 1, t) : gemm_tile_body(1, 4 * NV, 1, MR, t); break;
    case 2: rows ? gemm_tile_body(2, 3 * NV, GEMM_A_STRIDE, 1, t) : gemm_tile_body(2, 3 * NV, 1, MR, t); break;
    default: rows ? gemm_tile_body(3, 2 * NV, GEMM_A_STRIDE, 1, t) : gemm_tile_body(3, 2 * NV, 1, MR, t); break;
    }
}

/* A tile of a c whose columns are not dense: through a dense copy. */
static void tile_strided(const att_gemm_block *g, int64_t m, const gemm_tile *t, const float *bias)
{
    float dense[MR * NR];
    gemm_tile d = *t;
    d.c = dense;
    d.c_row = NR;
    if (t->add)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < t->cols; j++) dense[i * NR + j] = t->c[i * g->c_row + j * g->c_col];
    tile(g->a_layout, m, &d);
    if (g->last) finish(dense, NR, m, t->cols, bias, g->activation);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < t->cols; j++) t->c[i * g->c_row + j * g->c_col] = dense[i * NR + j];
}

/* All rows of the block against `panels` panels from column n. */
static void block_columns(const att_gemm_block *g, int64_t n, int64_t cols, bool wide)
{
    float gathered[4 * NR];
    const float *bias = g->bias ? g->bias + n * g->bias_stride : NULL;
    if (bias && g->last && g->bias_stride != 1) {
        for (int64_t j = 0; j < cols; j++) gathered[j] = bias[j * g->bias_stride];
        bias = gathered;
    }
    bool finishing = g->last && (bias || g->activation != ATT_ACT_NONE);
    gemm_tile t = {.c_row = g->c_row,
                   .cols = cols,
                   .b = g->b + n / NR * g->b_panel,
                   .b_row = g->b_row,
                   .b_panel = g->b_panel,
                   .k = g->k,
                   .add = g->add};
    int64_t tiles = gemm_tiles(g->rows);
    for (int64_t i = 0, row = 0; i < tiles; i++) {
        int64_t m = gemm_tile_rows(g->rows, tiles, i);
        t.a = g->a_layout == ATT_GEMM_ROWS ? g->a + row * GEMM_A_STRIDE : g->a + i * MR * KC;
        t.c = g->c + row * g->c_row + n * g->c_col;
        if (g->c_col != 1)
            tile_strided(g, m, &t, bias);
        else {
            wide ? tile_wide(g->a_layout, m, &t) : tile(g->a_layout, m, &t);
            if (finishing) finish(t.c, t.c_row, m, cols, bias, g->activation);
        }
        row += m;
    }
}

static void block(const att_gemm_block *g)
{
    int64_t n = 0, wide = panels_at_once(g->rows) * NR;
    if (wide > NR && g->c_col == 1)
        for (; n + wide <= g->cols; n += wide) block_columns(g, n, wide, true);
    for (; n < g->cols; n += NR) block_columns(g, n, g->cols - n < NR ? g->cols - n : NR, false);
}

void ATT_VARIANT(att_register_gemm)(att_kernels *table);
void ATT_VARIANT(att_register_gemm)(att_kernels *table)
{
    table->gemm = (att_gemm_kernels){.mr = MR,
                                     .nr = NR,
                                     .kc = KC,
                                     .mc = GEMM_MC,
                                     .a_stride = GEMM_A_STRIDE,
                                     .a_floats = (int64_t)(GEMM_MC + MR) * GEMM_A_STRIDE,
                                     .pack_a = pack_a,
                                     .pack_b = pack_b,
                                     .block = block};
}
