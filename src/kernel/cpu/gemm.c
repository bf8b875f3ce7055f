/* The micro-kernel of dense products and what feeds it. The accumulators of a micro-tile of m x NV vectors stay in
 * registers while k runs: per k it loads NV vectors of b, broadcasts m values of a and does m NV multiply-adds. Every
 * m <= MR has its own code, so that rows divide evenly among tiles and no edge tile does idle work. For one to three
 * rows a tile spans several panels, because two accumulators a row cannot hide the latency of the multiply-add. */
#define GEMM_DENSE 1
#include "kernel/cpu/finish.h"
#include "kernel/cpu/gemm_tile.h"
#include "kernel/tables.h"

enum { NR = GEMM_NV * VF_LANES, KC = GEMM_KC, MR = GEMM_MR, NV = GEMM_NV };

static void tile_of_rows(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, GEMM_A_STRIDE, 1, GEMM_B_NEAR, t);
}

static void tile_of_rows_far(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, GEMM_A_STRIDE, 1, GEMM_B_FAR, t);
}

static void tile_of_rows_far_seldom(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, GEMM_A_STRIDE, 1, GEMM_B_FAR_SELDOM, t);
}

static void tile_of_rows_next(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, GEMM_A_STRIDE, 1, GEMM_A_NEXT, t);
}

static void tile_of_rows_stored(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, GEMM_A_STRIDE, 1, GEMM_B_STORE, t);
}

static void tile_of_rows_lies(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, GEMM_A_STRIDE, 1, GEMM_B_LIES, t);
}

static void tile_of_columns_lies(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, 1, 0, GEMM_B_LIES, t);
}

static void tile_of_columns(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, 1, 0, GEMM_B_NEAR, t);
}

static void tile_of_columns_ahead(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, 1, 0, GEMM_A_AHEAD, t);
}

static void tile_of_columns_stored(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, 1, 0, GEMM_B_STORE, t);
}

static void tile_of_rows_narrow(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, 1, GEMM_A_STRIDE, 1, GEMM_B_NEAR, t);
}

static void tile_of_columns_narrow(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, 1, 1, 0, GEMM_B_NEAR, t);
}

static void tile_of_half(int64_t m, const gemm_tile *t)
{
    gemm_tile_rows_of(m, NV, GEMM_A_STRIDE, 1, GEMM_B_HALF, t);
}

/* m rows of an a that stays where it lies. */
static void tile_that_stays(int64_t m, const gemm_tile *t)
{
    if (t->cols <= VF_LANES)
        gemm_tile_rows_of(m, 1, 0, 1, GEMM_B_NEAR, t);
    else if (t->cols <= NR)
        gemm_tile_rows_of(m, NV, 0, 1, GEMM_B_NEAR, t);
    else if (t->next)
        gemm_tile_rows_of(m, GEMM_STAY_PANELS * NV, 0, 1, GEMM_A_NEXT, t);
    else
        gemm_tile_rows_of(m, GEMM_STAY_PANELS * NV, 0, 1, GEMM_B_NEAR, t);
}

static void tile(const att_gemm_block *g, int64_t m, const gemm_tile *t)
{
    bool narrow = t->cols <= VF_LANES;
    if (g->b_half)
        tile_of_half(m, t);
    else if (t->store)
        g->a_layout == ATT_GEMM_ROWS ? tile_of_rows_stored(m, t) : tile_of_columns_stored(m, t);
    else if (t->b_row != NR)
        g->a_layout == ATT_GEMM_ROWS ? tile_of_rows_lies(m, t) : tile_of_columns_lies(m, t);
    else if (g->a_layout == ATT_GEMM_ROWS)
        narrow                ? tile_of_rows_narrow(m, t)
        : t->next             ? tile_of_rows_next(m, t)
        : t->ask && t->seldom ? tile_of_rows_far_seldom(m, t)
        : t->ask              ? tile_of_rows_far(m, t)
                              : tile_of_rows(m, t);
    else
        narrow                    ? tile_of_columns_narrow(m, t)
        : GEMM_FETCHES && t->next ? tile_of_columns_ahead(m, t)
                                  : tile_of_columns(m, t);
}

/* How many panels a tile of m rows spans: enough independent sums to keep the multiply-add units busy. */
static int64_t panels_at_once(int64_t m)
{
    return m == 1 ? 4 : m == 2 ? 3 : m == 3 ? 2 : 1;
}

/* The same for m <= 3 rows and panels_at_once(m) whole panels. */
VF_INLINE void tile_wide_of(const int a_i, const int a_k, const gemm_b kind, int64_t m, const gemm_tile *t)
{
    switch (m) {
    case 1: gemm_tile_body(1, 4 * NV, a_i, a_k, kind, t); break;
    case 2: gemm_tile_body(2, 3 * NV, a_i, a_k, kind, t); break;
    default: gemm_tile_body(3, 2 * NV, a_i, a_k, kind, t); break;
    }
}

static void tile_wide(const att_gemm_block *g, int64_t m, const gemm_tile *t)
{
    if (g->b_half)
        tile_wide_of(GEMM_A_STRIDE, 1, GEMM_B_HALF, m, t);
    else if (g->a_layout == ATT_GEMM_ROWS && g->b_far && g->b_room) /* b itself, not packed */
        tile_wide_of(GEMM_A_STRIDE, 1, GEMM_B_ROWS, m, t);
    else if (g->a_layout == ATT_GEMM_ROWS)
        tile_wide_of(GEMM_A_STRIDE, 1, GEMM_B_LIES, m, t);
    else
        tile_wide_of(1, 0, GEMM_B_LIES, m, t);
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
    tile(g, m, &d);
    if (g->last) finish(dense, NR, m, t->cols, bias, g->activation);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < t->cols; j++) t->c[i * g->c_row + j * g->c_col] = dense[i * NR + j];
}

/* Part i of n of the panel that comes next: by k, while the tile multiplies, or before it begins, where the queue of
 * misses fills up. */
static void ask_for(gemm_tile *t, const float *next, int64_t i, int64_t n, bool by_k)
{
    const int64_t lo = t->k * i / n, hi = t->k * (i + 1) / n;
    t->ask = by_k ? next + lo * t->b_row : NULL;
    t->seldom = n >= GEMM_UNROLL;
    t->ask_step = (t->b_row * (t->seldom ? GEMM_UNROLL : 1) + n - 1) / n;
    for (int64_t k = lo; !by_k && k < hi; k++)
        for (int64_t j = 0; j < NR; j += GEMM_LINE) __builtin_prefetch(next + k * t->b_row + j);
}

/* Rows of the next block of a, from `row` on. */
static void ask_for_rows(gemm_tile *t, const att_gemm_block *g, int64_t row)
{
    t->ask = g->a_next + row * g->a_next_row;
    t->ask_step = g->a_next_row;
    t->ask_lines = (g->a_next_k + GEMM_LINE - 1) / GEMM_LINE;
}

/* The lines of c that a tile of at most three rows stores when it is done; of a wide one the first panel's. Others ask
 * for them while they multiply: so many at once would be waited for. */
static void fetch_to_write(float *c, int64_t c_row, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < NR; j += GEMM_LINE) __builtin_prefetch(c + r * c_row + j, 1);
}

/* Whether tiles add the bias themselves, and cut at 0, as they store c: it need not be read again. */
static bool tiles_end(const att_gemm_block *g)
{
    return g->last && g->bias && g->c_col == 1 && (g->activation == ATT_ACT_NONE || g->activation == ATT_ACT_RELU);
}

/* Whether bias or activation are left for when a tile is done. */
static bool finishes(const att_gemm_block *g)
{
    return g->last && !tiles_end(g) && (g->bias || g->activation != ATT_ACT_NONE);
}

static float least_of(const att_gemm_block *g)
{
    return g->activation == ATT_ACT_RELU ? 0 : -INFINITY;
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
    const int64_t each = g->b_half ? 2 : 1; /* elements in a float's place */
    gemm_tile t = {.c_row = g->c_row,
                   .cols = cols,
                   .b = (const float *)g->b + n / NR * g->b_panel / each,
                   .b_row = g->b_row / each,
                   .b_panel = g->b_panel / each,
                   .k = g->k,
                   .a_k = g->a_col ? g->a_col : MR,
                   .bias = tiles_end(g) ? bias : NULL,
                   .least = least_of(g),
                   .add = g->add};
    const int64_t tiles = gemm_tiles(g->rows);
    const bool keeps = g->b_room && !wide && tiles > 1;
    const bool by_k = !wide && g->a_layout == ATT_GEMM_ROWS && g->b_row == NR;
    const float *next = g->b_far && !g->b_room && n + cols < g->cols ? t.b + cols / NR * t.b_panel : NULL;
    for (int64_t i = 0, row = 0; i < tiles; i++) {
        int64_t m = gemm_tile_rows(g->rows, tiles, i);
        t.next = !wide && (g->a_next ? n < 2 * NR : n == 0 && g->a_col && GEMM_FETCHES);
        if (t.next && g->a_next) /* half of the rows with each of two panels */
            ask_for_rows(&t, g, n == 0 ? row : row + m / 2);
        else if (next)
            ask_for(&t, next, i, tiles, by_k);
        else
            t.ask = NULL;
        if (keeps && i == 1) t.b = g->b_room, t.b_row = NR;
        t.store = keeps && i == 0 ? g->b_room : NULL;
        t.a = g->a_layout == ATT_GEMM_ROWS ? g->a + row * GEMM_A_STRIDE : g->a_col ? g->a + row : g->a + i * MR * KC;
        t.c = g->c + row * g->c_row + n * g->c_col;
        if (g->c_col != 1)
            tile_strided(g, m, &t, bias);
        else {
            if (GEMM_FETCHES && (wide || m <= 3)) fetch_to_write(t.c, t.c_row, m);
            wide ? tile_wide(g, m, &t) : tile(g, m, &t);
            if (finishes(g)) finish(t.c, t.c_row, m, cols, bias, g->activation);
        }
        row += m;
    }
}

/* An a that stays: all columns for the rows of one tile, while these are in the first-level cache. */
static void block_that_stays(const att_gemm_block *g)
{
    const int64_t tiles = (g->rows + GEMM_STAY_ROWS - 1) / GEMM_STAY_ROWS, wide = GEMM_STAY_PANELS * NR;
    const bool ends = tiles_end(g);
    gemm_tile t = {.c_row = g->c_row,
                   .b_row = g->b_row,
                   .b_panel = g->b_panel,
                   .k = g->k,
                   .a_i = g->a_row,
                   .least = least_of(g),
                   .add = g->add};
    for (int64_t i = 0, row = 0; i < tiles; i++) {
        const int64_t m = gemm_tile_rows(g->rows, tiles, i);
        t.a = g->a + row * g->a_row;
        if (g->a_next) ask_for_rows(&t, g, row);
        for (int64_t n = 0; n < g->cols; n += wide) {
            const int64_t cols = g->cols - n < wide ? g->cols - n : wide;
            t.c = g->c + row * g->c_row + n;
            t.b = (const float *)g->b + n / NR * g->b_panel;
            const float *bias = g->bias ? g->bias + n : NULL;
            t.cols = cols;
            t.bias = ends ? bias : NULL;
            t.next = g->a_next && n == 0;
            tile_that_stays(m, &t);
            if (finishes(g)) finish(t.c, t.c_row, m, cols, bias, g->activation);
        }
        row += m;
    }
}

static void block(const att_gemm_block *g)
{
    if (g->a_row) {
        block_that_stays(g);
        return;
    }
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
                                     .panels_at_once = panels_at_once,
                                     .block = block};
}
