/* Recurrent layers: gradients against differences, every instruction set against the double reference, the formulas by
 * hand, and what must hold for masks, directions and cuts of the batch. */
#include <attend/ops.h>

#include "numeric.h"

typedef struct rnn_case {
    const char *name;
    att_cell cell;
    int reverse;
    int64_t B, T, U;
    bool state, bias, lengths, batch_major;
} rnn_case;

static const rnn_case cases[] = {
    {"gru", ATT_CELL_GRU, 0, 3, 5, 7, true, true, false, false},
    {"gru_masked", ATT_CELL_GRU, 0, 4, 6, 5, true, true, true, false},
    {"gru_reverse_masked", ATT_CELL_GRU, 1, 4, 6, 5, true, true, true, true},
    {"gru_no_state", ATT_CELL_GRU, 0, 2, 3, 9, false, false, false, true},
    {"gru_one_step", ATT_CELL_GRU, 0, 3, 1, 17, true, false, false, false},
    {"gru_one_unit", ATT_CELL_GRU, 1, 1, 4, 1, false, true, false, false},
    {"gru_many_rows", ATT_CELL_GRU, 0, 37, 3, 18, true, true, true, false},
    {"before", ATT_CELL_GRU_RESET_BEFORE, 0, 3, 5, 7, true, false, false, false},
    {"before_masked", ATT_CELL_GRU_RESET_BEFORE, 0, 4, 6, 5, true, false, true, true},
    {"before_reverse", ATT_CELL_GRU_RESET_BEFORE, 1, 4, 6, 5, false, false, true, false},
    {"before_many_rows", ATT_CELL_GRU_RESET_BEFORE, 1, 35, 2, 19, true, false, true, false},
    {"lstm", ATT_CELL_LSTM, 0, 3, 5, 7, true, false, false, false},
    {"lstm_masked", ATT_CELL_LSTM, 0, 4, 6, 5, true, false, true, true},
    {"lstm_reverse", ATT_CELL_LSTM, 1, 4, 6, 5, false, false, true, false},
    {"lstm_many_rows", ATT_CELL_LSTM, 1, 33, 3, 21, true, false, true, false},
};
#define CASES ((int)(sizeof cases / sizeof *cases))

enum { GX, W, BIAS, H0, C0, H, C, SAVED, DH, DC_LAST, DGX, DW, DBIAS, DH0, DC0, BUFFERS };

/* Every array of one run, each ending at a guard page. */
typedef struct rnn_data {
    const rnn_case *c;
    att_dtype dtype;
    att_view v[BUFFERS];
    int32_t *lengths;
    void *workspace;
    size_t workspace_bytes;
} rnn_data;

static void fill(const att_view *v, uint64_t seed, double scale)
{
    if (v->dtype == ATT_F64)
        fill_f64(v->data, att_view_count(v), seed, scale);
    else
        fill_f32(v->data, att_view_count(v), seed, (float)scale);
}

static att_view make(att_dtype dtype, int ndim, const int64_t *dim)
{
    att_view v = att_view_dense(NULL, dtype, ndim, dim);
    v.data = guard_alloc((size_t)att_view_count(&v) * att_dtype_bytes(dtype));
    return v;
}

/* (B,T,C), time-major in memory unless the case says otherwise. */
static att_view make_sequence(const rnn_case *c, att_dtype dtype, int64_t cols)
{
    if (c->batch_major) return make(dtype, 3, (int64_t[]){c->B, c->T, cols});
    att_view v = make(dtype, 3, (int64_t[]){c->T, c->B, cols});
    return att_view_transpose(&v, 0, 1);
}

static rnn_data make_data(const rnn_case *c, att_dtype dtype, const att_exec *exec)
{
    rnn_data d = {.c = c, .dtype = dtype};
    int64_t G = att_rnn_gates(c->cell), S = att_rnn_saved(c->cell), state[] = {c->B, c->U};
    bool lstm = c->cell == ATT_CELL_LSTM;
    d.v[GX] = make_sequence(c, dtype, G * c->U);
    d.v[W] = make(dtype, 2, (int64_t[]){c->U, G * c->U});
    d.v[H] = make_sequence(c, dtype, c->U);
    d.v[SAVED] = make_sequence(c, dtype, S * c->U);
    d.v[DH] = make_sequence(c, dtype, c->U);
    d.v[DGX] = make_sequence(c, dtype, G * c->U);
    d.v[DW] = make(dtype, 2, (int64_t[]){c->U, G * c->U});
    if (c->bias) d.v[BIAS] = make(dtype, 1, (int64_t[]){G * c->U});
    if (c->bias) d.v[DBIAS] = make(dtype, 1, (int64_t[]){G * c->U});
    if (c->state) d.v[H0] = make(dtype, 2, state);
    if (c->state) d.v[DH0] = make(dtype, 2, state);
    if (lstm) d.v[C] = make_sequence(c, dtype, c->U);
    if (lstm && c->state) d.v[C0] = make(dtype, 2, state);
    if (lstm && c->state) d.v[DC0] = make(dtype, 2, state);
    if (lstm) d.v[DC_LAST] = make(dtype, 2, state);
    for (int i = 0; i < BUFFERS; i++)
        if (d.v[i].data) fill(&d.v[i], (uint64_t)i + 1, i == W ? 2.0 / sqrt((double)c->U) : 1.5);
    d.lengths = guard_alloc((size_t)c->B * sizeof *d.lengths);
    for (int64_t b = 0; b < c->B; b++) d.lengths[b] = (int32_t)((b * 5 + 2) % (c->T + 1));
    assert_ok(att_rnn_workspace(&(att_rnn_desc){c->cell, c->reverse}, exec, c->B, c->T, c->U, &d.workspace_bytes));
    d.workspace = guard_alloc(d.workspace_bytes);
    memset(d.workspace, 0xff, d.workspace_bytes); /* NaN: what is read before it is written shows */
    memset(d.v[SAVED].data, 0xff, (size_t)att_view_count(&d.v[SAVED]) * att_dtype_bytes(dtype));
    memset(d.v[DGX].data, 0xff, (size_t)att_view_count(&d.v[DGX]) * att_dtype_bytes(dtype));
    return d;
}

static void free_data(rnn_data *d)
{
    for (int i = 0; i < BUFFERS; i++)
        if (d->v[i].data) guard_free(d->v[i].data, (size_t)att_view_count(&d->v[i]) * att_dtype_bytes(d->dtype));
    guard_free(d->lengths, (size_t)d->c->B * sizeof *d->lengths);
    guard_free(d->workspace, d->workspace_bytes);
}

static att_rnn_in in_of(const rnn_data *d)
{
    att_rnn_in in = {.gates_x = d->v[GX], .w = d->v[W], .bias_h = d->v[BIAS], .h0 = d->v[H0], .c0 = d->v[C0]};
    if (d->c->lengths) in.lengths = att_view_1d(d->lengths, ATT_I32, d->c->B);
    return in;
}

static att_rnn_out out_of(const rnn_data *d)
{
    return (att_rnn_out){.h = d->v[H], .c = d->v[C], .saved = d->v[SAVED]};
}

static att_rnn_grad grad_of(const rnn_data *d)
{
    return (att_rnn_grad){.dh = d->v[DH],
                          .dc_last = d->v[DC_LAST],
                          .dgates_x = d->v[DGX],
                          .dw = d->v[DW],
                          .dbias_h = d->v[DBIAS],
                          .dh0 = d->v[DH0],
                          .dc0 = d->v[DC0]};
}

static void forward(const rnn_data *d, const att_exec *exec)
{
    att_rnn_in in = in_of(d);
    att_rnn_out out = out_of(d);
    assert_ok(att_rnn_forward(&(att_rnn_desc){d->c->cell, d->c->reverse}, exec, &out, &in,
                              (att_span){d->workspace, d->workspace_bytes}));
}

static void backward(const rnn_data *d, const att_exec *exec)
{
    att_rnn_in in = in_of(d);
    att_rnn_out out = out_of(d);
    att_rnn_grad grad = grad_of(d);
    assert_ok(att_rnn_backward(&(att_rnn_desc){d->c->cell, d->c->reverse}, exec, &grad, &out, &in,
                               (att_span){d->workspace, d->workspace_bytes}));
}

static void zero(const att_view *v)
{
    if (v->data) memset(v->data, 0, (size_t)att_view_count(v) * att_dtype_bytes(v->dtype));
}

/* sum h dh + sum c_last dc_last */
static double loss(const rnn_data *d)
{
    const double *h = d->v[H].data, *dh = d->v[DH].data;
    double sum = 0;
    forward(d, NULL);
    for (int64_t i = 0; i < att_view_count(&d->v[H]); i++) sum += h[i] * dh[i];
    if (d->c->cell != ATT_CELL_LSTM) return sum;
    att_view last = att_view_at(&d->v[C], 1, d->c->reverse ? 0 : d->c->T - 1);
    const double *dc = d->v[DC_LAST].data;
    for (int64_t b = 0; b < d->c->B; b++)
        for (int64_t j = 0; j < d->c->U; j++)
            sum += ((double *)last.data)[b * last.stride[0] + j] * dc[b * d->c->U + j];
    return sum;
}

static double loss_of(void *d)
{
    return loss(d);
}

static void test_gradients(void **state)
{
    static const int pairs[][2] = {{GX, DGX}, {W, DW}, {BIAS, DBIAS}, {H0, DH0}, {C0, DC0}};
    (void)state;
    for (int k = 0; k < CASES; k++) {
        rnn_data d = make_data(&cases[k], ATT_F64, NULL);
        for (int i = 1; i < 5; i++) zero(&d.v[pairs[i][1]]); /* they are added into; DGX is overwritten */
        forward(&d, NULL);
        backward(&d, NULL);
        for (int i = 0; i < 5; i++) {
            const att_view *x = &d.v[pairs[i][0]];
            if (x->data) check_gradient(cases[k].name, loss_of, &d, x->data, d.v[pairs[i][1]].data, att_view_count(x));
        }
        free_data(&d);
    }
}

/* Every instruction set and number of threads against the double reference. */
static void test_parity(void **state)
{
    att_isa isa[8];
    int isas = testable_isas(isa);
    (void)state;
    for (int k = 0; k < CASES; k++) {
        rnn_data want = make_data(&cases[k], ATT_F64, NULL);
        att_exec ref = {.isa = ATT_ISA_REF};
        rnn_data plain = make_data(&cases[k], ATT_F32, &ref);
        forward(&want, NULL);
        backward(&want, NULL);
        forward(&plain, &ref);
        backward(&plain, &ref);
        for (int i = 0; i < isas; i++) {
            att_exec exec = {.isa = isa[i], .threads = 2};
            rnn_data got = make_data(&cases[k], ATT_F32, &exec);
            forward(&got, &exec);
            backward(&got, &exec);
            static const int checked[] = {H, C, DGX, DW, DBIAS, DH0, DC0};
            for (int j = 0; j < 7; j++) {
                const att_view *v = &got.v[checked[j]];
                char what[64];
                snprintf(what, sizeof what, "%s %s buffer %d", cases[k].name, att_isa_name(isa[i]), checked[j]);
                if (v->data)
                    assert_true(all_within(v->data, want.v[checked[j]].data, plain.v[checked[j]].data,
                                           att_view_count(v), 2e-6, what));
            }
            free_data(&got);
        }
        free_data(&plain);
        free_data(&want);
    }
}

/* 1, 2, 3, 4 and 8 threads: the same bits. */
static void test_threads(void **state)
{
    (void)state;
    for (int k = 0; k < CASES; k++) {
        att_exec one = {.threads = 1};
        rnn_data want = make_data(&cases[k], ATT_F32, &one);
        forward(&want, &one);
        backward(&want, &one);
        for (int threads = 2; threads <= 8; threads += threads < 4 ? 1 : 4) {
            att_exec exec = {.threads = threads};
            rnn_data got = make_data(&cases[k], ATT_F32, &exec);
            forward(&got, &exec);
            backward(&got, &exec);
            static const int checked[] = {H, C, DGX, DW, DBIAS, DH0, DC0};
            for (int j = 0; j < 7; j++) {
                const att_view *v = &got.v[checked[j]];
                if (v->data)
                    assert_memory_equal(v->data, want.v[checked[j]].data, (size_t)att_view_count(v) * sizeof(float));
            }
            free_data(&got);
        }
        free_data(&want);
    }
}

/* ---- the formulas by hand ---- */

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* Element j of a row times column c of w(U, cols). */
static double times(const double *row, const double *w, int64_t U, int64_t cols, int64_t c)
{
    double sum = 0.0;
    for (int64_t j = 0; j < U; j++) sum += row[j] * w[j * cols + c];
    return sum;
}

/* One step from h (and c) as the papers write it. x and w are G gates of U. */
static void by_hand(att_cell cell, int64_t U, const double *x, const double *w, const double *bias, double *h,
                    double *c)
{
    double old[8], reset[8], r[8];
    int64_t G = att_rnn_gates(cell), W_cols = G * U;
    memcpy(old, h, (size_t)U * sizeof *h);
    for (int64_t j = 0; j < U; j++) {
        r[j] = sigmoid(x[U + j] + times(old, w, U, W_cols, U + j) + (bias ? bias[U + j] : 0.0));
        reset[j] = r[j] * old[j];
    }
    for (int64_t j = 0; j < U; j++) {
        double first = sigmoid(x[j] + times(old, w, U, W_cols, j) + (bias ? bias[j] : 0.0));
        double third = times(old, w, U, W_cols, 2 * U + j) + (bias ? bias[2 * U + j] : 0.0);
        if (cell == ATT_CELL_LSTM) {
            c[j] = r[j] * c[j] + first * tanh(x[2 * U + j] + third);
            h[j] = sigmoid(x[3 * U + j] + times(old, w, U, W_cols, 3 * U + j)) * tanh(c[j]);
        } else {
            double inner = cell == ATT_CELL_GRU ? r[j] * third : times(reset, w, U, W_cols, 2 * U + j);
            h[j] = first * old[j] + (1.0 - first) * tanh(x[2 * U + j] + inner);
        }
    }
}

static void test_by_hand(void **state)
{
    (void)state;
    for (int cell = 0; cell <= (int)ATT_CELL_LSTM; cell++) {
        rnn_case c = {"by hand", (att_cell)cell, 0, 1, 4, 3, true, cell == (int)ATT_CELL_GRU, false, false};
        rnn_data d = make_data(&c, ATT_F64, NULL);
        double h[8], cells[8] = {0};
        forward(&d, NULL);
        memcpy(h, d.v[H0].data, 3 * sizeof *h);
        if (d.v[C0].data) memcpy(cells, d.v[C0].data, 3 * sizeof *cells);
        int64_t GU = att_rnn_gates(c.cell) * 3;
        for (int64_t t = 0; t < 4; t++) {
            by_hand(c.cell, 3, (double *)d.v[GX].data + t * GU, d.v[W].data, d.v[BIAS].data, h, cells);
            for (int64_t j = 0; j < 3; j++) assert_true(fabs(((double *)d.v[H].data)[t * 3 + j] - h[j]) <= 1e-14);
        }
        free_data(&d);
    }
}

/* ---- properties ---- */

/* All weights and inputs zero: z = 1/2 and n = 0, so that the state halves every step. */
static void test_zero_weights(void **state)
{
    (void)state;
    for (int cell = 0; cell < (int)ATT_CELL_LSTM; cell++) {
        rnn_case c = {"zero", (att_cell)cell, 0, 2, 3, 17, true, false, false, false};
        rnn_data d = make_data(&c, ATT_F32, NULL);
        zero(&d.v[GX]);
        zero(&d.v[W]);
        forward(&d, NULL);
        for (int64_t t = 0; t < 3; t++)
            for (int64_t i = 0; i < 2 * 17; i++) {
                double want = ldexp((double)((float *)d.v[H0].data)[i], (int)-t - 1);
                assert_true(fabs((double)((float *)d.v[H].data)[t * 34 + i] - want) <= 2e-7);
            }
        free_data(&d);
    }
}

static const float *state_at(const rnn_data *d, int buffer, int64_t b, int64_t t)
{
    const att_view *v = &d->v[buffer];
    return (const float *)v->data + b * v->stride[0] + t * v->stride[1];
}

/* Masked steps keep the state to the bit. */
static void test_masks(void **state)
{
    (void)state;
    for (int k = 0; k < CASES; k++) {
        const rnn_case *c = &cases[k];
        if (!c->lengths) continue;
        rnn_data d = make_data(c, ATT_F32, NULL);
        forward(&d, NULL);
        for (int64_t b = 0; b < c->B; b++)
            for (int64_t t = d.lengths[b]; t < c->T; t++) {
                int64_t before = c->reverse ? t + 1 : t - 1;
                const float *h = state_at(&d, H, b, t);
                for (int64_t j = 0; j < c->U; j++) {
                    float first = c->state ? ((float *)d.v[H0].data)[b * c->U + j] : 0.0f;
                    assert_true(h[j] == (before < 0 || before >= c->T ? first : state_at(&d, H, b, before)[j]));
                }
            }
        free_data(&d);
    }
}

/* A reverse run is a forward run over the reversed sequence. */
static void test_reverse(void **state)
{
    (void)state;
    for (int cell = 0; cell <= (int)ATT_CELL_LSTM; cell++) {
        rnn_case fc = {"forward", (att_cell)cell, 0, 3, 6, 9, true, false, false, false}, rc = fc;
        rc.reverse = 1;
        rnn_data f = make_data(&fc, ATT_F32, NULL), r = make_data(&rc, ATT_F32, NULL);
        size_t gates = (size_t)(att_rnn_gates(fc.cell) * 9) * 3, states = 9 * 3;
        for (size_t t = 0; t < 6; t++)
            memcpy((float *)r.v[GX].data + t * gates, (float *)f.v[GX].data + (5 - t) * gates, gates * sizeof(float));
        forward(&f, NULL);
        forward(&r, NULL);
        for (size_t t = 0; t < 6; t++)
            assert_memory_equal((float *)r.v[H].data + t * states, (float *)f.v[H].data + (5 - t) * states,
                                states * sizeof(float));
        free_data(&f);
        free_data(&r);
    }
}

/* Without `saved`, and with weights packed by the caller: the same bits. */
static void test_inference_and_packed(void **state)
{
    (void)state;
    for (int k = 0; k < CASES; k++) {
        att_exec exec = {.threads = 2};
        rnn_data want = make_data(&cases[k], ATT_F32, &exec), got = make_data(&cases[k], ATT_F32, &exec);
        att_packed packed[2];
        att_span memory[2];
        att_view w = got.v[W], wt = att_view_transpose(&w, 0, 1);
        for (int i = 0; i < 2; i++) {
            const att_view *b = i ? &wt : &w;
            memory[i].bytes = att_product_pack_bytes(&exec, b->dim[0], b->dim[1]);
            memory[i].data = guard_alloc(memory[i].bytes);
            assert_ok(att_product_pack(&exec, &packed[i], b, memory[i]));
        }
        forward(&want, &exec);
        backward(&want, &exec);
        att_rnn_desc desc = {cases[k].cell, cases[k].reverse};
        att_rnn_in in = in_of(&got);
        att_rnn_out out = out_of(&got), bare = {.h = got.v[H], .c = got.v[C]};
        att_span workspace = {got.workspace, got.workspace_bytes};
        in.w_packed = &packed[0];
        in.w_packed_t = &packed[1];
        assert_ok(att_rnn_forward(&desc, &exec, &bare, &in, workspace));
        size_t bytes = (size_t)att_view_count(&got.v[H]) * sizeof(float);
        assert_memory_equal(got.v[H].data, want.v[H].data, bytes);
        assert_ok(att_rnn_forward(&desc, &exec, &out, &in, workspace));
        att_rnn_grad grad = grad_of(&got);
        assert_ok(att_rnn_backward(&desc, &exec, &grad, &out, &in, workspace));
        bytes = (size_t)att_view_count(&got.v[DGX]) * sizeof(float);
        assert_memory_equal(got.v[DGX].data, want.v[DGX].data, bytes);
        for (int i = 0; i < 2; i++) guard_free(memory[i].data, memory[i].bytes);
        free_data(&want);
        free_data(&got);
    }
}

/* A row of a batch has the bits of that row alone. */
static void test_rows_are_independent(void **state)
{
    (void)state;
    for (int cell = 0; cell <= (int)ATT_CELL_LSTM; cell++) {
        rnn_case all = {"all", (att_cell)cell, 0, 19, 3, 13, true, false, false, true}, one = all;
        one.B = 1;
        rnn_data a = make_data(&all, ATT_F32, NULL), o = make_data(&one, ATT_F32, NULL);
        forward(&a, NULL);
        for (int64_t b = 0; b < 19; b++) {
            static const int inputs[] = {GX, H0, C0};
            for (int i = 0; i < 3; i++) {
                size_t n = (size_t)att_view_count(&o.v[inputs[i]]) * sizeof(float);
                if (o.v[inputs[i]].data) memcpy(o.v[inputs[i]].data, (char *)a.v[inputs[i]].data + (size_t)b * n, n);
            }
            forward(&o, NULL);
            assert_memory_equal(o.v[H].data, (float *)a.v[H].data + b * 3 * 13, 3 * 13 * sizeof(float));
        }
        free_data(&a);
        free_data(&o);
    }
}

static void test_empty(void **state)
{
    static const int64_t sizes[][3] = {{3, 0, 5}, {0, 3, 5}, {3, 3, 0}};
    (void)state;
    for (int cell = 0; cell <= (int)ATT_CELL_LSTM; cell++)
        for (int k = 0; k < 3; k++) {
            rnn_case c = {"empty", (att_cell)cell, 0, sizes[k][0], sizes[k][1], sizes[k][2], true, false, false, true};
            rnn_data d = make_data(&c, ATT_F32, NULL);
            forward(&d, NULL);
            backward(&d, NULL);
            free_data(&d);
        }
}

static void test_refusals(void **state)
{
    rnn_case c = {"refused", ATT_CELL_GRU, 0, 2, 3, 5, true, true, true, false};
    (void)state;
    rnn_data d = make_data(&c, ATT_F32, NULL);
    att_rnn_desc desc = {ATT_CELL_GRU, 0}, lstm = {ATT_CELL_LSTM, 0}, bad = {(att_cell)9, 0};
    att_span workspace = {d.workspace, d.workspace_bytes}, small = {d.workspace, d.workspace_bytes - 1};
    att_rnn_in in = in_of(&d), broken = in;
    att_rnn_out out = out_of(&d), no_saved = out;
    att_rnn_grad grad = grad_of(&d);
    assert_refused(att_rnn_forward(&bad, NULL, &out, &in, workspace), ATT_E_VALUE, "cell: 9");
    assert_refused(att_rnn_forward(&lstm, NULL, &out, &in, workspace), ATT_E_SHAPE, "gates_x");
    assert_refused(att_rnn_forward(&desc, NULL, &out, &in, small), ATT_E_WORKSPACE, "workspace: ");
    no_saved.saved = (att_view){0};
    assert_refused(att_rnn_backward(&desc, NULL, &grad, &no_saved, &in, workspace), ATT_E_VALUE, "saved: no data");
    broken.w = att_view_slice(&in.w, 0, 0, 4);
    assert_refused(att_rnn_forward(&desc, NULL, &out, &broken, workspace), ATT_E_SHAPE, "w: shape (4,15)");
    broken = in;
    broken.h0 = att_view_slice(&in.h0, 0, 0, 1);
    assert_refused(att_rnn_forward(&desc, NULL, &out, &broken, workspace), ATT_E_SHAPE, "h0: shape (1,5)");
    broken = in;
    broken.c0 = in.h0;
    assert_refused(att_rnn_forward(&desc, NULL, &out, &broken, workspace), ATT_E_VALUE, "c0: given");
    broken = in;
    att_packed packed = {.K = 5, .N = 14, .isa = att_isa_detect()};
    broken.w_packed = &packed;
    assert_refused(att_rnn_forward(&desc, NULL, &out, &broken, workspace), ATT_E_SHAPE, "w_packed: (5,14)");
    packed = (att_packed){.K = 5, .N = 15, .isa = ATT_ISA_REF};
    assert_refused(att_rnn_forward(&desc, NULL, &out, &broken, workspace), ATT_E_VALUE, "w_packed: packed for ref");
    d.lengths[1] = 4;
    assert_refused(att_rnn_forward(&desc, NULL, &out, &in, workspace), ATT_E_VALUE, "lengths: element 1 is 4");
    size_t bytes;
    assert_refused(att_rnn_workspace(&desc, NULL, -1, 3, 5, &bytes), ATT_E_SHAPE, "workspace: B -1");
    free_data(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_parity),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_zero_weights),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_reverse),
        cmocka_unit_test(test_inference_and_packed),
        cmocka_unit_test(test_rows_are_independent),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
