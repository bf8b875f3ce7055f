#include "op/rnn_steps.h"

#include <string.h>

#include "kernel/ref/both.h"

att_view rnn_slice(const att_view *v, int64_t b0, int64_t b1, int64_t t, int64_t lo, int64_t hi)
{
    att_view at = att_view_at(v, 1, t);
    at = att_view_slice(&at, 0, b0, b1);
    return att_view_slice(&at, 1, lo, hi);
}

att_view rnn_before(const rnn_run *r, const att_view *states, const att_view *first, int64_t s, int64_t b0, int64_t b1)
{
    if (s > 0) return rnn_slice(states, b0, b1, rnn_time(r, s - 1), 0, r->U);
    return first->data ? att_view_slice(first, 0, b0, b1) : (att_view){0};
}

const void *rnn_before_row(const rnn_run *r, const att_view *before, int64_t i)
{
    return before->data ? rnn_row(r, before, i) : r->zero;
}

void rnn_note(rnn_run *r, att_status status)
{
    if (status != ATT_OK) r->failed = (int)status;
}

void rnn_multiply(rnn_run *r, const att_exec *exec, int accumulate, const att_view *c, const att_view *a, int w,
                  const att_view *bias, int64_t tile)
{
    att_product_desc desc = {.accumulate = accumulate};
    att_span scratch = {r->scratch + (size_t)tile * r->scratch_bytes, r->scratch_bytes};
    if (r->w[w].packed)
        rnn_note(r, att_product_packed(&desc, exec, c, a, r->w[w].packed, bias, scratch));
    else
        rnn_note(r, att_product(&desc, exec, c, a, &r->w[w].view, bias, scratch));
}

/* ---- forward ---- */

/* Rows b0 .. of a dense array in the workspace, as a matrix. */
static att_view matrix(const rnn_run *r, char *base, int64_t b0, int64_t b1, int64_t cols)
{
    return att_view_2d(rnn_ws(r, base, b0, cols), r->dtype, b1 - b0, cols);
}

/* hg = h w + bias; without a state, the bias or zeros. */
static void state_product(rnn_run *r, const att_exec *exec, const att_view *prev, int64_t b0, int64_t b1, int64_t tile)
{
    att_view hg = matrix(r, r->hg, b0, b1, r->G * r->U), bias = r->in->bias_h;
    if (r->weights == 2) hg = att_view_slice(&hg, 1, 0, 2 * r->U);
    if (prev->data) {
        rnn_multiply(r, exec, 0, &hg, prev, 0, bias.data ? &bias : NULL, tile);
    } else if (bias.data) {
        att_view rows = hg;
        rows.data = bias.data;
        rows.stride[0] = 0;
        rows.stride[1] = bias.stride[0];
        rnn_note(r, att_copy(NULL, &hg, &rows, 0));
    } else {
        rnn_note(r, att_fill(NULL, &hg, 0.0));
    }
}

static void gru_row(const rnn_run *r, void *h, void *saved, const void *gx, const void *hg, const void *prev)
{
    if (r->dtype == ATT_F64)
        att_ref_gru_f64(h, saved, gx, hg, prev, r->U);
    else
        r->k->rnn.gru(h, saved, gx, hg, prev, r->U);
}

static void gru_reset_row(const rnn_run *r, void *gates, void *rh, const void *gx, const void *hg, const void *prev)
{
    if (r->dtype == ATT_F64)
        att_ref_gru_reset_f64(gates, rh, gx, hg, prev, r->U);
    else
        r->k->rnn.gru_reset(gates, rh, gx, hg, prev, r->U);
}

static void gru_blend_row(const rnn_run *r, void *h, void *gates, const void *gx, const void *hn, const void *prev)
{
    if (r->dtype == ATT_F64)
        att_ref_gru_blend_f64(h, gates, gx, hn, prev, r->U);
    else
        r->k->rnn.gru_blend(h, gates, gx, hn, prev, r->U);
}

static void lstm_row(const rnn_run *r, void *h, void *c, void *saved, const void *gx, const void *hg, const void *prev)
{
    if (r->dtype == ATT_F64)
        att_ref_lstm_f64(h, c, saved, gx, hg, prev, r->U);
    else
        r->k->rnn.lstm(h, c, saved, gx, hg, prev, r->U);
}

/* RESET_BEFORE: the gates of row b at t: in `saved` if there is one, else where their pre-activations are. */
static void *gates_of(const rnn_run *r, int64_t b, int64_t t)
{
    return r->out->saved.data ? rnn_at(r, &r->out->saved, b, t) : rnn_ws(r, r->hg, b, r->G * r->U);
}

/* RESET_BEFORE between the two products: z, r and r h of every valid row; then hg_n = (r h) U_n. */
static void reset_product(rnn_run *r, const att_exec *exec, const att_view *prev, int64_t b0, int64_t b1, int64_t t,
                          int64_t tile)
{
    for (int64_t b = b0; b < b1; b++) {
        void *rh = rnn_ws(r, r->rh, b, r->U);
        if (rnn_valid(r, b, t))
            gru_reset_row(r, gates_of(r, b, t), rh, rnn_at(r, &r->in->gates_x, b, t), rnn_ws(r, r->hg, b, r->G * r->U),
                          rnn_before_row(r, prev, b - b0));
        else
            memset(rh, 0, (size_t)r->U * r->size);
    }
    att_view hn = matrix(r, r->hg, b0, b1, r->G * r->U), rh = matrix(r, r->rh, b0, b1, r->U);
    hn = att_view_slice(&hn, 1, 2 * r->U, 3 * r->U);
    rnn_multiply(r, exec, 0, &hn, &rh, 1, NULL, tile);
}

static void gates_row(const rnn_run *r, int64_t b, int64_t t, const void *prev, const void *prev_c)
{
    void *h = rnn_at(r, &r->out->h, b, t), *gx = rnn_at(r, &r->in->gates_x, b, t);
    char *hg = rnn_ws(r, r->hg, b, r->G * r->U);
    void *saved = r->out->saved.data ? rnn_at(r, &r->out->saved, b, t) : NULL;
    switch (r->desc->cell) {
    case ATT_CELL_GRU: gru_row(r, h, saved, gx, hg, prev); break;
    case ATT_CELL_GRU_RESET_BEFORE: gru_blend_row(r, h, gates_of(r, b, t), gx, rnn_ws(r, hg, 2, r->U), prev); break;
    case ATT_CELL_LSTM: lstm_row(r, h, rnn_at(r, &r->out->c, b, t), saved, gx, hg, prev_c); break;
    }
}

static void keep_row(const rnn_run *r, int64_t b, int64_t t, const void *prev, const void *prev_c)
{
    memcpy(rnn_at(r, &r->out->h, b, t), prev, (size_t)r->U * r->size);
    if (r->desc->cell == ATT_CELL_LSTM) memcpy(rnn_at(r, &r->out->c, b, t), prev_c, (size_t)r->U * r->size);
}

void rnn_forward_rows(rnn_run *r, const att_exec *exec, int64_t b0, int64_t b1, int64_t tile)
{
    for (int64_t s = 0; s < r->T; s++) {
        int64_t t = rnn_time(r, s);
        att_view prev = rnn_before(r, &r->out->h, &r->in->h0, s, b0, b1), prev_c = {0};
        if (r->desc->cell == ATT_CELL_LSTM) prev_c = rnn_before(r, &r->out->c, &r->in->c0, s, b0, b1);
        if (rnn_any_valid(r, b0, b1, t)) {
            state_product(r, exec, &prev, b0, b1, tile);
            if (r->desc->cell == ATT_CELL_GRU_RESET_BEFORE) reset_product(r, exec, &prev, b0, b1, t, tile);
        }
        for (int64_t b = b0; b < b1; b++) {
            const void *h = rnn_before_row(r, &prev, b - b0), *c = rnn_before_row(r, &prev_c, b - b0);
            if (rnn_valid(r, b, t))
                gates_row(r, b, t, h, c);
            else
                keep_row(r, b, t, h, c);
        }
    }
}

/* ---- backward ---- */

static void add_row(const rnn_run *r, void *y, const void *x)
{
    if (r->dtype == ATT_F64)
        att_ref_axpby_f64(y, 1.0, x, 1.0, r->U);
    else
        r->k->rows.axpby(y, 1.0f, x, 1.0f, r->U);
}

/* Row b of step t in the (T,B,cols) arrays of the workspace. */
static void *step_row(const rnn_run *r, char *base, int64_t b, int64_t t, int64_t cols)
{
    return rnn_ws(r, base, t * r->B + b, cols);
}

/* A masked step passes the gradient of the state on and has none of its own. */
static void keep_row_bwd(const rnn_run *r, int64_t b, int64_t t)
{
    size_t gates = (size_t)(r->G * r->U) * r->size;
    memset(rnn_at(r, &r->grad->dgates_x, b, t), 0, gates);
    if (r->dhg) memset(step_row(r, r->dhg, b, t, r->G * r->U), 0, gates);
    if (r->rh) memset(step_row(r, r->rh, b, t, r->U), 0, (size_t)r->U * r->size);
    add_row(r, rnn_ws(r, r->carry, b, r->U), rnn_at(r, &r->grad->dh, b, t));
}

static void gates_row_bwd(const rnn_run *r, int64_t b, int64_t t, const void *prev, const void *prev_c)
{
    void *dgx = rnn_at(r, &r->grad->dgates_x, b, t), *carry = rnn_ws(r, r->carry, b, r->U);
    const void *dh = rnn_at(r, &r->grad->dh, b, t), *saved = rnn_at(r, &r->out->saved, b, t);
    bool is_double = r->dtype == ATT_F64;
    if (r->desc->cell == ATT_CELL_GRU) {
        void *dhg = step_row(r, r->dhg, b, t, r->G * r->U);
        if (is_double)
            att_ref_gru_bwd_f64(dgx, dhg, carry, dh, saved, prev, r->U);
        else
            r->k->rnn.gru_bwd(dgx, dhg, carry, dh, saved, prev, r->U);
    } else if (r->desc->cell == ATT_CELL_GRU_RESET_BEFORE) {
        if (is_double)
            att_ref_gru_blend_bwd_f64(dgx, carry, dh, saved, prev, r->U);
        else
            r->k->rnn.gru_blend_bwd(dgx, carry, dh, saved, prev, r->U);
    } else {
        void *carry_c = rnn_ws(r, r->carry_c, b, r->U), *c = rnn_at(r, &r->out->c, b, t);
        if (is_double)
            att_ref_lstm_bwd_f64(dgx, carry, carry_c, dh, saved, c, prev_c, r->U);
        else
            r->k->rnn.lstm_bwd(dgx, carry, carry_c, dh, saved, c, prev_c, r->U);
    }
}

static void reset_row_bwd(const rnn_run *r, int64_t b, int64_t t, const void *prev)
{
    void *dgx = rnn_at(r, &r->grad->dgates_x, b, t), *carry = rnn_ws(r, r->carry, b, r->U);
    void *rh = step_row(r, r->rh, b, t, r->U);
    const void *drh = rnn_ws(r, r->hg, b, r->U), *saved = rnn_at(r, &r->out->saved, b, t);
    if (r->dtype == ATT_F64)
        att_ref_gru_reset_bwd_f64(dgx, carry, rh, drh, saved, prev, r->U);
    else
        r->k->rnn.gru_reset_bwd(dgx, carry, rh, drh, saved, prev, r->U);
}

/* The gradient that reaches h through the products of step t is added to carry. */
static void product_bwd(rnn_run *r, const att_exec *exec, const att_view *prev, int64_t b0, int64_t b1, int64_t t,
                        int64_t tile)
{
    const att_view *dgx = &r->grad->dgates_x;
    att_view carry = matrix(r, r->carry, b0, b1, r->U), d;
    if (r->desc->cell == ATT_CELL_GRU) {
        d = att_view_2d(step_row(r, r->dhg, b0, t, r->G * r->U), r->dtype, b1 - b0, r->G * r->U);
    } else if (r->desc->cell == ATT_CELL_LSTM) {
        d = rnn_slice(dgx, b0, b1, t, 0, r->G * r->U);
    } else {
        att_view drh = matrix(r, r->hg, b0, b1, r->U), dn = rnn_slice(dgx, b0, b1, t, 2 * r->U, 3 * r->U);
        rnn_multiply(r, exec, 0, &drh, &dn, 1, NULL, tile);
        for (int64_t b = b0; b < b1; b++)
            if (rnn_valid(r, b, t)) reset_row_bwd(r, b, t, rnn_before_row(r, prev, b - b0));
        d = rnn_slice(dgx, b0, b1, t, 0, 2 * r->U);
    }
    rnn_multiply(r, exec, 1, &carry, &d, 0, NULL, tile);
}

static void start_rows_bwd(rnn_run *r, int64_t b0, int64_t b1)
{
    size_t bytes = (size_t)r->U * r->size;
    for (int64_t b = b0; b < b1; b++) {
        memset(rnn_ws(r, r->carry, b, r->U), 0, bytes);
        if (!r->carry_c) continue;
        if (r->grad->dc_last.data)
            memcpy(rnn_ws(r, r->carry_c, b, r->U), rnn_row(r, &r->grad->dc_last, b), bytes);
        else
            memset(rnn_ws(r, r->carry_c, b, r->U), 0, bytes);
    }
}

static void end_rows_bwd(rnn_run *r, int64_t b0, int64_t b1)
{
    for (int64_t b = b0; b < b1; b++) {
        if (r->grad->dh0.data) add_row(r, rnn_row(r, &r->grad->dh0, b), rnn_ws(r, r->carry, b, r->U));
        if (r->grad->dc0.data) add_row(r, rnn_row(r, &r->grad->dc0, b), rnn_ws(r, r->carry_c, b, r->U));
    }
}

void rnn_backward_rows(rnn_run *r, const att_exec *exec, int64_t b0, int64_t b1, int64_t tile)
{
    start_rows_bwd(r, b0, b1);
    for (int64_t s = r->T - 1; s >= 0; s--) {
        int64_t t = rnn_time(r, s);
        att_view prev = rnn_before(r, &r->out->h, &r->in->h0, s, b0, b1), prev_c = {0};
        if (r->desc->cell == ATT_CELL_LSTM) prev_c = rnn_before(r, &r->out->c, &r->in->c0, s, b0, b1);
        for (int64_t b = b0; b < b1; b++) {
            if (rnn_valid(r, b, t))
                gates_row_bwd(r, b, t, rnn_before_row(r, &prev, b - b0), rnn_before_row(r, &prev_c, b - b0));
            else
                keep_row_bwd(r, b, t);
        }
        bool needed = s > 0 || r->grad->dh0.data || r->desc->cell == ATT_CELL_GRU_RESET_BEFORE;
        if (needed && rnn_any_valid(r, b0, b1, t)) product_bwd(r, exec, &prev, b0, b1, t, tile);
    }
    end_rows_bwd(r, b0, b1);
}

/* ---- weights ---- */

/* dw[:, lo..hi) += sum over steps of a_t^T b_t, where b_t are columns lo .. hi-1 of the gate gradients. */
static void add_weight_gradient(rnn_run *r, int64_t lo, int64_t hi, bool from_rh)
{
    att_view *a = r->segments, *b = r->segments + r->T;
    int64_t n = 0, B = r->B, U = r->U, GU = r->G * U;
    for (int64_t s = 0; s < r->T; s++) {
        int64_t t = rnn_time(r, s);
        att_view before = from_rh ? att_view_2d(step_row(r, r->rh, 0, t, U), r->dtype, B, U)
                                  : rnn_before(r, &r->out->h, &r->in->h0, s, 0, B);
        if (!before.data || !rnn_any_valid(r, 0, B, t)) continue;
        att_view dhg = att_view_2d(r->dhg ? step_row(r, r->dhg, 0, t, GU) : NULL, r->dtype, B, GU);
        a[n] = att_view_transpose(&before, 0, 1);
        b[n++] = r->dhg ? att_view_slice(&dhg, 1, lo, hi) : rnn_slice(&r->grad->dgates_x, 0, B, t, lo, hi);
    }
    att_view dw = att_view_slice(&r->grad->dw, 1, lo, hi);
    att_span scratch = {r->scratch, r->total_scratch_bytes};
    rnn_note(r, att_product_sum(&(att_product_desc){.accumulate = 1}, r->exec, &dw, n, a, b, scratch));
}

void rnn_weight_gradients(rnn_run *r)
{
    int64_t U = r->U, GU = r->G * U;
    if (r->desc->cell == ATT_CELL_GRU_RESET_BEFORE) {
        add_weight_gradient(r, 0, 2 * U, false);
        add_weight_gradient(r, 2 * U, 3 * U, true);
    } else {
        add_weight_gradient(r, 0, GU, false);
    }
    if (!r->grad->dbias_h.data) return;
    att_view dhg = att_view_2d(r->dhg, r->dtype, r->B * r->T, GU);
    rnn_note(r, att_sum_rows(r->exec, &r->grad->dbias_h, &dhg));
}
