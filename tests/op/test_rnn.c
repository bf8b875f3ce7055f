#include "harness.h"

#include <attend/ops.h>

#include "base/base.h"

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
    att_rnn_grad grad = {.dh = d->v[DH],
                         .dc_last = d->v[DC_LAST],
                         .dgates_x = d->v[DGX],
                         .dw = d->v[DW],
                         .dbias_h = d->v[DBIAS],
                         .dh0 = d->v[DH0],
                         .dc0 = d->v[DC0]};
    assert_ok(att_rnn_backward(&(att_rnn_desc){d->c->cell, d->c->reverse}, exec, &grad, &out, &in,
                               (att_span){d->workspace, d->workspace_bytes}));
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

/* Some elements of input `x` against central differences; `before` is what the gradient held. */
static void check_gradient(const rnn_data *d, int x, int dx, const double *before)
{
    double *p = d->v[x].data;
    const double *g = d->v[dx].data, eps = 1e-5;
    int64_t n = att_view_count(&d->v[x]), step = n > 40 ? n / 40 : 1;
    for (int64_t i = 0; i < n; i += step) {
        double old = p[i], up, down, got = g[i] - (before ? before[i] : 0);
        p[i] = old + eps;
        up = loss(d);
        p[i] = old - eps;
        down = loss(d);
        p[i] = old;
        double want = (up - down) / (2 * eps);
        if (!(fabs(got - want) <= 1e-6 * (1 + fabs(want))))
            fail_msg("%s: gradient %d, element %lld is %.10g, expected %.10g", d->c->name, dx, (long long)i, got, want);
    }
}

static double *copy_of(const att_view *v)
{
    size_t bytes = (size_t)att_view_count(v) * sizeof(double);
    double *p = malloc(bytes + 1);
    if (v->data) memcpy(p, v->data, bytes);
    return p;
}

static void test_gradients(void **state)
{
    static const int pairs[][2] = {{GX, DGX}, {W, DW}, {BIAS, DBIAS}, {H0, DH0}, {C0, DC0}};
    (void)state;
    for (int k = 0; k < CASES; k++) {
        rnn_data d = make_data(&cases[k], ATT_F64, NULL);
        double *before[5];
        for (int i = 0; i < 5; i++) before[i] = copy_of(&d.v[pairs[i][1]]);
        forward(&d, NULL);
        backward(&d, NULL);
        for (int i = 0; i < 5; i++) {
            if (d.v[pairs[i][0]].data)
                check_gradient(&d, pairs[i][0], pairs[i][1], pairs[i][0] == GX ? NULL : before[i]);
            free(before[i]);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_parity),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
