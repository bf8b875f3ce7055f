/* Recurrent layers and attention on the tape. */
#include "tape/tape.h"

#include <string.h>

typedef struct rnn_record {
    att_record record;
    att_rnn_desc desc;
    att_rnn_in in;
    att_rnn_out out;
    att_node *h, *c, *gates_x, *w, *bias_h, *h0, *c0;
} rnn_record;

static const int time_major[] = {1, 0, 2}; /* (B,T,C) with T slowest in memory */

static att_view value_or_absent(const att_node *x)
{
    return x ? x->value : (att_view){0};
}

static att_status packed_or_null(att_tape *tape, att_node *w, bool transposed, const att_packed **out)
{
    *out = NULL;
    return w->parameter ? att_tape_packed(tape, w->parameter, transposed, out) : ATT_OK;
}

static att_status added_gradient(att_tape *tape, att_node *x, att_view *out)
{
    *out = (att_view){0};
    return x && x->needs_gradient ? att_tape_gradient(tape, x, NULL, out) : ATT_OK;
}

static att_status rnn_scratch(att_tape *tape, const att_rnn_desc *desc, const att_view *h, att_span *scratch)
{
    size_t bytes;
    ATT_TRY(att_rnn_workspace(desc, &tape->exec, h->dim[0], h->dim[1], h->dim[2], &bytes));
    return att_tape_scratch(tape, bytes, scratch);
}

/* dgates_x is overwritten by the op: straight into gates_x's gradient if that is new and whole, else through a copy. */
static att_status rnn_backward(att_tape *tape, att_record *record)
{
    rnn_record *r = (rnn_record *)record;
    att_rnn_grad grad = {0};
    att_view dc, target;
    att_node *copy = NULL;
    att_span scratch;
    bool fresh;
    bool has_h = att_tape_arrived(r->h, &grad.dh), has_c = r->c && att_tape_arrived(r->c, &dc);
    if (!has_h && !has_c) return ATT_OK;
    if (!has_h) ATT_TRY(att_tape_gradient(tape, r->h, NULL, &grad.dh));
    if (has_c) grad.dc_last = att_view_at(&dc, 1, r->desc.reverse ? 0 : dc.dim[1] - 1);
    ATT_TRY(att_tape_gradient(tape, r->gates_x, &fresh, &target));
    grad.dgates_x = target;
    if (!fresh) {
        ATT_TRY(att_tape_new_node(tape, 3, target.dim, time_major, false, &copy));
        grad.dgates_x = copy->value;
    }
    ATT_TRY(att_tape_gradient(tape, r->w, NULL, &grad.dw));
    ATT_TRY(added_gradient(tape, r->bias_h, &grad.dbias_h));
    ATT_TRY(added_gradient(tape, r->h0, &grad.dh0));
    ATT_TRY(added_gradient(tape, r->c0, &grad.dc0));
    ATT_TRY(packed_or_null(tape, r->w, true, &r->in.w_packed_t));
    ATT_TRY(rnn_scratch(tape, &r->desc, &r->out.h, &scratch));
    ATT_TRY(att_rnn_backward(&r->desc, &tape->exec, &grad, &r->out, &r->in, scratch));
    if (r->c) att_tape_spend(tape, r->c);
    return copy ? att_copy(&tape->exec, &target, &copy->value, 1) : ATT_OK;
}

static att_status run_rnn(att_tape *tape, const att_rnn_desc *desc, const att_tape_rnn_in *in, rnn_record *r)
{
    const att_view *gates = &in->gates_x->value;
    ATT_REQUIRE(gates->ndim == 3 && in->w->value.ndim == 2, ATT_E_SHAPE,
                "rnn: gates_x must be (B,T,G*U) and w (U,G*U)");
    int64_t dim[3] = {gates->dim[0], gates->dim[1], in->w->value.dim[0]};
    att_span scratch;
    bool follow = tape->recording;
    *r = (rnn_record){.record = r->record,
                      .desc = *desc,
                      .gates_x = in->gates_x,
                      .w = in->w,
                      .bias_h = in->bias_h,
                      .h0 = in->h0,
                      .c0 = in->c0};
    ATT_TRY(att_tape_new_node(tape, 3, dim, time_major, follow, &r->h));
    r->out.h = r->h->value;
    if (desc->cell == ATT_CELL_LSTM) {
        ATT_TRY(att_tape_new_node(tape, 3, dim, time_major, follow, &r->c));
        r->out.c = r->c->value;
    }
    if (follow) {
        att_node *saved;
        int64_t saved_dim[3] = {dim[0], dim[1], att_rnn_saved(desc->cell) * dim[2]};
        ATT_TRY(att_tape_new_node(tape, 3, saved_dim, time_major, false, &saved));
        r->out.saved = saved->value;
    }
    r->in = (att_rnn_in){.gates_x = *gates,
                         .w = in->w->value,
                         .bias_h = value_or_absent(in->bias_h),
                         .h0 = value_or_absent(in->h0),
                         .c0 = value_or_absent(in->c0),
                         .lengths = in->lengths};
    ATT_TRY(packed_or_null(tape, in->w, false, &r->in.w_packed));
    ATT_TRY(rnn_scratch(tape, desc, &r->out.h, &scratch));
    return att_rnn_forward(desc, &tape->exec, &r->out, &r->in, scratch);
}

att_node *att_tape_rnn(att_tape *tape, const att_rnn_desc *desc, const att_tape_rnn_in *in, att_node **c)
{
    rnn_record here = {0}, *r;
    if (c) *c = &tape->dead;
    if (tape->status != ATT_OK) return &tape->dead;
    TAPE_TRY(tape, run_rnn(tape, desc, in, &here));
    TAPE_TRY(tape, att_tape_new_record(tape, here.h, sizeof *r, rnn_backward, &r));
    if (r) {
        here.record = r->record;
        *r = here;
    }
    if (c && here.c) *c = here.c;
    return here.h;
}

/* ---- attention ---- */

typedef struct attention_record {
    att_record record;
    att_attention_desc desc;
    att_attention_in in;
    att_attention_out out;
    att_tape_attention_in from;
    att_node *o;
} attention_record;

typedef att_status workspace_fn(const att_attention_desc *desc, const att_exec *exec, const att_attention_in *in,
                                size_t *bytes);

static att_status attention_scratch(att_tape *tape, workspace_fn *needed, const att_attention_desc *desc,
                                    const att_attention_in *in, att_span *scratch)
{
    size_t bytes;
    ATT_TRY(needed(desc, &tape->exec, in, &bytes));
    return att_tape_scratch(tape, bytes, scratch);
}

static att_status attention_backward(att_tape *tape, att_record *record)
{
    attention_record *r = (attention_record *)record;
    const att_tape_attention_in *from = &r->from;
    att_attention_grad grad = {.d_log_prob = from->d_log_prob, .d_entropy = from->d_entropy};
    att_span scratch;
    if (!att_tape_arrived(r->o, &grad.d_o)) return ATT_OK;
    ATT_TRY(added_gradient(tape, from->q, &grad.dq));
    ATT_TRY(added_gradient(tape, from->k, &grad.dk));
    ATT_TRY(added_gradient(tape, from->v, &grad.dv));
    ATT_TRY(added_gradient(tape, from->score_w, &grad.dscore_w));
    ATT_TRY(added_gradient(tape, from->bias, &grad.dbias));
    ATT_TRY(added_gradient(tape, from->sinks, &grad.dsinks));
    ATT_TRY(added_gradient(tape, from->relative, &grad.drelative));
    ATT_TRY(added_gradient(tape, from->centre, &grad.dcentre));
    ATT_TRY(attention_scratch(tape, att_attention_workspace, &r->desc, &r->in, &scratch));
    return att_attention_backward(&r->desc, &tape->exec, &grad, &r->out, &r->in, scratch);
}

att_view att_tape_prepare_keys(att_tape *tape, att_node *k)
{
    att_node *prepared;
    if (tape->status != ATT_OK) return (att_view){0};
    att_status status = att_tape_new_node(tape, k->value.ndim, k->value.dim, NULL, false, &prepared);
    if (status == ATT_OK) status = att_attention_prepare_keys(&tape->exec, &prepared->value, &k->value);
    if (status == ATT_OK) return prepared->value;
    att_tape_fail(tape, status);
    return (att_view){0};
}

static att_attention_in attention_values(const att_tape_attention_in *in)
{
    return (att_attention_in){.q = in->q->value,
                              .k = in->k->value,
                              .v = in->v->value,
                              .score_w = value_or_absent(in->score_w),
                              .mask = in->mask,
                              .bias = value_or_absent(in->bias),
                              .key_lengths = in->key_lengths,
                              .k_prepared = in->k_prepared,
                              .query_mask = in->query_mask,
                              .q_positions = in->q_positions,
                              .k_positions = in->k_positions,
                              .slopes = in->slopes,
                              .relative = value_or_absent(in->relative),
                              .sinks = value_or_absent(in->sinks),
                              .centre = value_or_absent(in->centre),
                              .block_starts = in->block_starts,
                              .block_keys = in->block_keys};
}

att_node *att_tape_attention(att_tape *tape, const att_attention_desc *desc, const att_tape_attention_in *in,
                             att_view *weights)
{
    static const int heads_inside[] = {0, 2, 1, 3}; /* (B,H,T,D) stored as (B,T,H,D): merging heads is a view */
    att_node *o, *lse, *w = NULL;
    attention_record *r;
    att_span scratch;
    if (weights) *weights = (att_view){0};
    if (tape->status != ATT_OK) return &tape->dead;
    const att_view *q = &in->q->value, *k = &in->k->value, *v = &in->v->value;
    TAPE_REQUIRE(tape, q->ndim == 4 && k->ndim == 4 && v->ndim == 4, ATT_E_SHAPE,
                 "attention: q, k and v must be (B,H,T,D)");
    int64_t dim[4] = {q->dim[0], q->dim[1], q->dim[2], v->dim[3]},
            w_dim[4] = {q->dim[0], q->dim[1], q->dim[2], k->dim[2]};
    TAPE_TRY(tape, att_tape_new_node(tape, 4, dim, heads_inside, true, &o));
    TAPE_TRY(tape, att_tape_new_node(tape, 3, dim, NULL, false, &lse));
    if (weights) TAPE_TRY(tape, att_tape_new_node(tape, 4, w_dim, NULL, false, &w));
    att_attention_out out = {.o = o->value, .lse = lse->value, .weights = value_or_absent(w)};
    att_attention_in values = attention_values(in);
    TAPE_TRY(tape, attention_scratch(tape, att_attention_forward_workspace, desc, &values, &scratch));
    TAPE_TRY(tape, att_attention_forward(desc, &tape->exec, &out, &values, scratch));
    if (weights) *weights = w->value;
    TAPE_TRY(tape, att_tape_new_record(tape, o, sizeof *r, attention_backward, &r));
    if (!r) return o;
    out.weights = (att_view){0};
    *r = (attention_record){.record = r->record, .desc = *desc, .in = values, .out = out, .from = *in, .o = o};
    return o;
}
