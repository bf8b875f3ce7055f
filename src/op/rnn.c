#include <string.h>

#include "base/parallel.h"
#include "op/require.h"
#include "op/rnn_steps.h"

#define MIN_TILE_ROWS 8 /* fewer rows a thread would leave its products without reuse of the weights */

int64_t att_rnn_gates(att_cell cell)
{
    return cell == ATT_CELL_LSTM ? 4 : 3;
}

int64_t att_rnn_saved(att_cell cell)
{
    return cell == ATT_CELL_GRU_RESET_BEFORE ? 3 : 4;
}

static att_status require_desc(const att_rnn_desc *desc)
{
    ATT_REQUIRE((int)desc->cell >= ATT_CELL_GRU && desc->cell <= ATT_CELL_LSTM, ATT_E_VALUE,
                "cell: %d, expected 0 to %d", (int)desc->cell, (int)ATT_CELL_LSTM);
    return ATT_OK;
}

/* ---- the workspace: sizes and places from one list ---- */

typedef struct bump {
    char *base; /* NULL: only measure */
    size_t used;
    bool overflow;
} bump;

static void *take(bump *m, int64_t a, int64_t b, size_t size)
{
    size_t n, bytes;
    bool fits =
        att_mul_size((size_t)a, (size_t)b, &n) && att_mul_size(n, size, &bytes) && bytes <= SIZE_MAX / 4 - m->used;
    if (!fits) {
        m->overflow = true;
        return NULL;
    }
    void *at = m->base ? m->base + m->used : NULL;
    m->used += att_round_up(bytes, ATT_ALIGN);
    return at;
}

static int64_t tiles_of(const rnn_run *r)
{
    return att_max64(1, att_ceil_div(r->B, r->tile_rows));
}

/* Columns of weight part i, and where they start. */
static int64_t part_start(const rnn_run *r, int i)
{
    return i * 2 * r->U;
}
static int64_t part_cols(const rnn_run *r, int i)
{
    return r->weights == 1 ? r->G * r->U : i == 0 ? 2 * r->U : r->U;
}

/* How the products of one step run: alone on their thread, unless the batch is one tile. */
static att_exec product_exec(const rnn_run *r)
{
    return (att_exec){.isa = r->k->isa, .threads = tiles_of(r) > 1 ? 1 : att_threads(r->exec)};
}

static att_status place_scratch(rnn_run *r, bump *m, bool backward)
{
    size_t product = 0;
    int64_t tiles = tiles_of(r);
    att_exec inner = product_exec(r);
    ATT_TRY(att_product_packed_workspace(&inner, r->tile_rows, r->G * r->U, r->G * r->U, &r->scratch_bytes));
    r->scratch_bytes = att_round_up(r->scratch_bytes, ATT_ALIGN);
    r->total_scratch_bytes = r->scratch_bytes * (size_t)tiles;
    if (backward) ATT_TRY(att_product_workspace(r->exec, r->U, r->G * r->U, r->B * r->T, &product));
    if (product > r->total_scratch_bytes) r->total_scratch_bytes = product;
    r->scratch = take(m, 1, (int64_t)r->total_scratch_bytes, 1);
    return ATT_OK;
}

static att_status place(rnn_run *r, bump *m, bool backward)
{
    att_cell cell = r->desc->cell;
    int64_t B = r->B, T = r->T, U = r->U, GU = r->G * r->U;
    r->zero = take(m, 1, U, r->size);
    r->hg = take(m, B, backward ? U : GU, r->size);
    if (cell == ATT_CELL_GRU_RESET_BEFORE) r->rh = take(m, backward ? B * T : B, U, r->size);
    if (backward) {
        if (cell == ATT_CELL_GRU) r->dhg = take(m, B * T, GU, r->size);
        r->carry = take(m, B, U, r->size);
        if (cell == ATT_CELL_LSTM) r->carry_c = take(m, B, U, r->size);
        r->segments = take(m, 2, T, sizeof(att_view));
    }
    for (int i = 0; i < r->weights; i++) {
        int64_t n = part_cols(r, i);
        size_t bytes = backward ? att_product_pack_bytes(r->exec, n, U) : att_product_pack_bytes(r->exec, U, n);
        r->packed[i] = take(m, 1, (int64_t)bytes, 1);
    }
    ATT_TRY(place_scratch(r, m, backward));
    ATT_REQUIRE(!m->overflow, ATT_E_MEMORY, "workspace: too large for B %lld, T %lld, U %lld", (long long)B,
                (long long)T, (long long)U);
    return ATT_OK;
}

static void set_sizes(rnn_run *r, const att_rnn_desc *desc, const att_exec *exec, int64_t B, int64_t T, int64_t U)
{
    r->desc = desc;
    r->exec = exec;
    r->k = att_kernels_for(exec);
    r->B = B;
    r->T = T;
    r->U = U;
    r->G = att_rnn_gates(desc->cell);
    r->weights = desc->cell == ATT_CELL_GRU_RESET_BEFORE ? 2 : 1;
    int64_t rows = att_ceil_div(B, att_threads(exec));
    r->tile_rows = att_max64(1, rows < MIN_TILE_ROWS ? B : rows);
}

att_status att_rnn_workspace(const att_rnn_desc *desc, const att_exec *exec, int64_t B, int64_t T, int64_t U,
                             size_t *bytes)
{
    ATT_TRY(require_desc(desc));
    ATT_REQUIRE(B >= 0 && T >= 0 && U >= 0, ATT_E_SHAPE, "workspace: B %lld, T %lld, U %lld, expected 0 or more",
                (long long)B, (long long)T, (long long)U);
    ATT_REQUIRE(B < INT32_MAX && T < INT32_MAX && U < INT32_MAX / 16, ATT_E_SHAPE,
                "workspace: B %lld, T %lld, U %lld, expected less than 2^31, 2^31, 2^27", (long long)B, (long long)T,
                (long long)U);
    *bytes = 0;
    for (int backward = 0; backward < 2; backward++) {
        rnn_run r = {.size = sizeof(double)};
        bump m = {0};
        set_sizes(&r, desc, exec, B, T, U);
        ATT_TRY(place(&r, &m, backward));
        if (m.used > *bytes) *bytes = m.used;
    }
    return ATT_OK;
}

/* ---- checks ---- */

static att_status require_sequence(const char *name, const att_view *v, att_dtype dtype, int64_t B, int64_t T,
                                   int64_t C)
{
    ATT_TRY(att_require_shape(name, v, dtype, 3, (int64_t[]){B, T, C}));
    return att_require_unit(name, v);
}

static att_status require_state(const char *name, const att_view *v, att_dtype dtype, int64_t B, int64_t U)
{
    if (!v->data) return ATT_OK;
    ATT_TRY(att_require_shape(name, v, dtype, 2, (int64_t[]){B, U}));
    return att_require_unit(name, v);
}

static att_status require_lengths(const att_view *lengths, int64_t B, int64_t T)
{
    if (!lengths->data) return ATT_OK;
    ATT_TRY(att_require_shape("lengths", lengths, ATT_I32, 1, &B));
    for (int64_t b = 0; b < B; b++) {
        int32_t n = ((const int32_t *)lengths->data)[b * lengths->stride[0]];
        ATT_REQUIRE(n >= 0 && n <= T, ATT_E_VALUE, "lengths: element %lld is %d, expected 0 to %lld", (long long)b,
                    (int)n, (long long)T);
    }
    return ATT_OK;
}

static att_status require_in(const att_rnn_desc *desc, const att_exec *exec, const att_rnn_in *in)
{
    int64_t G = att_rnn_gates(desc->cell);
    ATT_TRY(att_require_real("gates_x", &in->gates_x));
    ATT_REQUIRE(in->gates_x.ndim == 3 && in->gates_x.dim[2] % G == 0, ATT_E_SHAPE,
                "gates_x: %d dimensions, the last of %lld, expected 3 and a multiple of %lld", in->gates_x.ndim,
                (long long)att_last_dim(&in->gates_x), (long long)G);
    att_dtype dtype = in->gates_x.dtype;
    int64_t B = in->gates_x.dim[0], T = in->gates_x.dim[1], GU = in->gates_x.dim[2], U = GU / G;
    ATT_TRY(att_require_unit("gates_x", &in->gates_x));
    ATT_TRY(att_require_shape("w", &in->w, dtype, 2, (int64_t[]){U, GU}));
    ATT_REQUIRE(!in->bias_h.data || desc->cell == ATT_CELL_GRU, ATT_E_VALUE,
                "bias_h: given, expected none but for ATT_CELL_GRU");
    if (in->bias_h.data) ATT_TRY(att_require_shape("bias_h", &in->bias_h, dtype, 1, &GU));
    ATT_REQUIRE(!in->c0.data || desc->cell == ATT_CELL_LSTM, ATT_E_VALUE,
                "c0: given, expected none but for ATT_CELL_LSTM");
    ATT_TRY(require_state("h0", &in->h0, dtype, B, U));
    ATT_TRY(require_state("c0", &in->c0, dtype, B, U));
    const att_packed *p[] = {in->w_packed, in->w_packed_t};
    for (int i = 0; i < 2; i++) {
        static const char *const name[] = {"w_packed", "w_packed_t"};
        int64_t K = i ? GU : U, N = i ? U : GU;
        ATT_REQUIRE(!p[i] || (p[i]->K == K && p[i]->N == N), ATT_E_SHAPE, "%s: (%lld,%lld), expected (%lld,%lld)",
                    name[i], (long long)p[i]->K, (long long)p[i]->N, (long long)K, (long long)N);
        att_isa isa = att_kernels_for(exec)->isa;
        ATT_REQUIRE(!p[i] || p[i]->isa == isa, ATT_E_VALUE, "%s: packed for %s, expected %s", name[i],
                    att_isa_name(p[i]->isa), att_isa_name(isa));
    }
    return require_lengths(&in->lengths, B, T);
}

static att_status require_out(const att_rnn_desc *desc, const att_rnn_out *out, const att_rnn_in *in)
{
    att_dtype dtype = in->gates_x.dtype;
    int64_t B = in->gates_x.dim[0], T = in->gates_x.dim[1], U = in->w.dim[0];
    ATT_TRY(require_sequence("h", &out->h, dtype, B, T, U));
    if (desc->cell == ATT_CELL_LSTM) ATT_TRY(require_sequence("c", &out->c, dtype, B, T, U));
    if (out->saved.data) ATT_TRY(require_sequence("saved", &out->saved, dtype, B, T, att_rnn_saved(desc->cell) * U));
    return ATT_OK;
}

static att_status require_grad(const att_rnn_desc *desc, const att_rnn_grad *grad, const att_rnn_out *out,
                               const att_rnn_in *in)
{
    att_dtype dtype = in->gates_x.dtype;
    int64_t B = in->gates_x.dim[0], T = in->gates_x.dim[1], GU = in->gates_x.dim[2], U = in->w.dim[0];
    ATT_REQUIRE(out->saved.data || B * T * U == 0, ATT_E_VALUE, "saved: no data, expected the forward's");
    ATT_TRY(require_sequence("dh", &grad->dh, dtype, B, T, U));
    ATT_TRY(require_sequence("dgates_x", &grad->dgates_x, dtype, B, T, GU));
    ATT_TRY(att_require_shape("dw", &grad->dw, dtype, 2, (int64_t[]){U, GU}));
    ATT_REQUIRE(!grad->dbias_h.data || desc->cell == ATT_CELL_GRU, ATT_E_VALUE,
                "dbias_h: given, expected none but for ATT_CELL_GRU");
    if (grad->dbias_h.data) ATT_TRY(att_require_shape("dbias_h", &grad->dbias_h, dtype, 1, &GU));
    bool lstm = desc->cell == ATT_CELL_LSTM;
    ATT_REQUIRE(lstm || (!grad->dc_last.data && !grad->dc0.data), ATT_E_VALUE,
                "dc_last, dc0: given, expected none but for ATT_CELL_LSTM");
    ATT_TRY(require_state("dc_last", &grad->dc_last, dtype, B, U));
    ATT_TRY(require_state("dh0", &grad->dh0, dtype, B, U));
    return require_state("dc0", &grad->dc0, dtype, B, U);
}

/* ---- a call ---- */

static att_status prepare_weights(rnn_run *r)
{
    bool backward = r->grad != NULL;
    const att_packed *given = backward ? r->in->w_packed_t : r->in->w_packed;
    for (int i = 0; i < r->weights; i++) {
        rnn_weight *w = &r->w[i];
        int64_t lo = part_start(r, i), n = part_cols(r, i);
        w->view = att_view_slice(&r->in->w, 1, lo, lo + n);
        if (backward) w->view = att_view_transpose(&w->view, 0, 1);
        if (r->dtype != ATT_F32) continue;
        if (r->weights == 1 && given) {
            w->packed = given;
            continue;
        }
        size_t bytes = att_product_pack_bytes(r->exec, w->view.dim[0], w->view.dim[1]);
        ATT_TRY(att_product_pack(r->exec, &w->own, &w->view, (att_span){r->packed[i], bytes}));
        w->packed = &w->own;
    }
    return ATT_OK;
}

static att_status prepare(rnn_run *r, const att_rnn_desc *desc, const att_exec *exec, att_span workspace)
{
    const att_view *x = &r->in->gates_x;
    size_t need;
    set_sizes(r, desc, exec, x->dim[0], x->dim[1], r->in->w.dim[0]);
    r->dtype = x->dtype;
    r->size = att_dtype_bytes(x->dtype);
    ATT_TRY(att_rnn_workspace(desc, exec, r->B, r->T, r->U, &need));
    ATT_TRY(att_require_workspace(workspace, need));
    bump m = {.base = workspace.data};
    ATT_TRY(place(r, &m, r->grad != NULL));
    memset(r->zero, 0, (size_t)r->U * r->size);
    return prepare_weights(r);
}

static void rows_tile(void *ctx, int64_t tile, int worker)
{
    (void)worker;
    rnn_run *r = ctx;
    int64_t b0 = tile * r->tile_rows, b1 = att_min64(r->B, b0 + r->tile_rows);
    att_exec exec = product_exec(r);
    if (r->grad)
        rnn_backward_rows(r, &exec, b0, b1, tile);
    else
        rnn_forward_rows(r, &exec, b0, b1, tile);
}

/* A batch of one tile runs here, so that its products may start threads. */
static att_status run_rows(rnn_run *r)
{
    if (tiles_of(r) == 1)
        rows_tile(r, 0, 0);
    else
        att_parallel(r->exec, tiles_of(r), rows_tile, r);
    ATT_REQUIRE(r->failed == ATT_OK, (att_status)r->failed, "rnn: a product failed: %s",
                att_status_name((att_status)r->failed));
    return ATT_OK;
}

att_status att_rnn_forward(const att_rnn_desc *desc, const att_exec *exec, const att_rnn_out *out, const att_rnn_in *in,
                           att_span workspace)
{
    ATT_TRY(require_desc(desc));
    ATT_TRY(require_in(desc, exec, in));
    ATT_TRY(require_out(desc, out, in));
    rnn_run r = {.out = out, .in = in};
    if (in->gates_x.dim[0] == 0 || in->w.dim[0] == 0) return ATT_OK;
    ATT_TRY(prepare(&r, desc, exec, workspace));
    return run_rows(&r);
}

att_status att_rnn_backward(const att_rnn_desc *desc, const att_exec *exec, const att_rnn_grad *grad,
                            const att_rnn_out *out, const att_rnn_in *in, att_span workspace)
{
    ATT_TRY(require_desc(desc));
    ATT_TRY(require_in(desc, exec, in));
    ATT_TRY(require_out(desc, out, in));
    ATT_TRY(require_grad(desc, grad, out, in));
    rnn_run r = {.out = out, .in = in, .grad = grad};
    if (in->gates_x.dim[0] == 0 || in->w.dim[0] == 0) return ATT_OK;
    ATT_TRY(prepare(&r, desc, exec, workspace));
    ATT_TRY(run_rows(&r));
    rnn_weight_gradients(&r);
    ATT_REQUIRE(r.failed == ATT_OK, (att_status)r.failed, "rnn: a product failed: %s",
                att_status_name((att_status)r.failed));
    return ATT_OK;
}
