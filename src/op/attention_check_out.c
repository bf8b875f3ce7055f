/* What the outputs and gradients of attention may be. */
#include "op/attention_check.h"

#include "op/attention_views.h"

/* Every array that attention only reads. */
enum { INPUTS = 19 };
static void name_inputs(const att_attention_in *in, att_named_view list[INPUTS])
{
    const att_named_view all[INPUTS] = {
        {"q", &in->q},
        {"k", &in->k},
        {"v", &in->v},
        {"score_w", &in->score_w},
        {"mask", &in->mask},
        {"bias", &in->bias},
        {"key_lengths", &in->key_lengths},
        {"k_prepared", &in->k_prepared},
        {"query_mask", &in->query_mask},
        {"q_positions", &in->q_positions},
        {"k_positions", &in->k_positions},
        {"slopes", &in->slopes},
        {"relative", &in->relative},
        {"sinks", &in->sinks},
        {"centre", &in->centre},
        {"block_starts", &in->block_starts},
        {"block_keys", &in->block_keys},
        {"k_scale", &in->k_scale},
        {"v_scale", &in->v_scale},
    };
    for (int i = 0; i < INPUTS; i++) list[i] = all[i];
}

/* ---- outputs ---- */

static att_status check_o(const att_attention_out *out, att_attention_problem *p)
{
    ATT_REQUIRE(out, ATT_E_VALUE, "out: NULL, expected the outputs");
    ATT_TRY(att_grid_four("o", &out->o, "(B,Hq,Tq,Dv)"));
    ATT_TRY(att_grid_exact("o", &out->o, p->dtype, 4, (int64_t[]){p->B, p->Hq, p->Tq, p->Dv}, &p->o));
    return att_grid_optional("lse", &out->lse, att_real_of(p->dtype), 3, (int64_t[]){p->B, p->Hq, p->Tq}, &p->lse);
}

static att_status check_top(const att_attention_out *out, att_attention_problem *p)
{
    ATT_REQUIRE(!out->top_keys.data == !out->top_weights.data, ATT_E_VALUE, "%s: absent, expected with %s",
                out->top_keys.data ? "top_weights" : "top_keys", out->top_keys.data ? "top_keys" : "top_weights");
    if (!out->top_keys.data) return ATT_OK;
    ATT_TRY(att_grid_four("top_keys", &out->top_keys, "(B,Hq,Tq,n)"));
    p->top = out->top_keys.dim[3];
    const int64_t dim[4] = {p->B, p->Hq, p->Tq, p->top};
    ATT_REQUIRE(p->Tk <= INT32_MAX, ATT_E_SHAPE, "top_keys: of %lld keys, expected fewer than 2^31", (long long)p->Tk);
    ATT_TRY(att_grid_exact("top_keys", &out->top_keys, ATT_I32, 4, dim, &p->top_keys));
    return att_grid_exact("top_weights", &out->top_weights, att_real_of(p->dtype), 4, dim, &p->top_weights);
}

att_status att_attention_check_out(const att_attention_out *out, const att_attention_in *in, att_attention_problem *p)
{
    att_dtype real = att_real_of(p->dtype);
    const int64_t row[3] = {p->B, p->Hq, p->Tq}, column[3] = {p->B, p->Hq, p->Tk};
    ATT_TRY(check_o(out, p));
    ATT_TRY(att_grid_optional("weights", &out->weights, real, 4, (int64_t[]){p->B, p->Hq, p->Tq, p->Tk}, &p->weights));
    ATT_TRY(att_grid_optional("entropy", &out->entropy, real, 3, row, &p->entropy));
    ATT_TRY(check_top(out, p));
    ATT_TRY(att_grid_optional("column_sums", &out->column_sums, real, 3, column, &p->column_sums));
    att_named_view inputs[INPUTS];
    name_inputs(in, inputs);
    const att_named_view outputs[] = {
        {"o", &out->o},
        {"lse", &out->lse},
        {"weights", &out->weights},
        {"entropy", &out->entropy},
        {"top_keys", &out->top_keys},
        {"top_weights", &out->top_weights},
        {"column_sums", &out->column_sums},
    };
    return att_grid_no_overlap(outputs, (int)(sizeof outputs / sizeof *outputs), inputs, INPUTS, true);
}

att_status att_attention_check_saved(const att_attention_out *out, att_attention_problem *p)
{
    ATT_TRY(check_o(out, p));
    ATT_REQUIRE(p->lse.data || p->B * p->Hq * p->Tq == 0, ATT_E_VALUE, "lse: absent, expected the forward's (B,Hq,Tq)");
    return ATT_OK;
}

/* ---- weights on demand ---- */

/* (n) numbers below `limit`; absent: all of them. */
static att_status check_list(const char *name, const att_view *v, int64_t limit, att_grid *list, int64_t *n)
{
    *list = (att_grid){0};
    *n = limit;
    if (!v || !v->data) return ATT_OK;
    ATT_REQUIRE(v->ndim == 1, ATT_E_SHAPE, "%s: %d dimensions, expected 1", name, v->ndim);
    ATT_TRY(att_grid_exact(name, v, ATT_I32, 1, v->dim, list));
    *n = v->dim[0];
    for (int64_t at = 0; at < *n; at++) {
        int64_t x = ((const int32_t *)v->data)[at * v->stride[0]];
        ATT_REQUIRE(x >= 0 && x < limit, ATT_E_VALUE, "%s: %lld at %lld, expected 0 to %lld", name, (long long)x,
                    (long long)at, (long long)limit - 1);
    }
    return ATT_OK;
}

att_status att_attention_check_stage(att_stage stage, const att_view *out, const att_attention_in *in,
                                     const att_view *heads, const att_view *queries, const att_view *lse,
                                     att_attention_problem *p, att_attention_rows *rows)
{
    att_dtype real = att_real_of(p->dtype);
    ATT_REQUIRE(stage >= ATT_STAGE_RAW && stage <= ATT_STAGE_DROPPED, ATT_E_VALUE,
                "stage: %d, expected ATT_STAGE_RAW, _MASKED, _WEIGHTS or _DROPPED", (int)stage);
    ATT_REQUIRE(out, ATT_E_VALUE, "out: NULL, expected (B,nh,nq,Tk)");
    ATT_TRY(check_list("heads", heads, p->Hq, &rows->heads, &rows->nh));
    ATT_TRY(check_list("queries", queries, p->Tq, &rows->queries, &rows->nq));
    ATT_TRY(att_grid_four("out", out, "(B,nh,nq,Tk)"));
    ATT_TRY(att_grid_exact("out", out, real, 4, (int64_t[]){p->B, rows->nh, rows->nq, p->Tk}, &rows->out));
    if (lse) ATT_TRY(att_grid_optional("lse", lse, real, 3, (int64_t[]){p->B, p->Hq, p->Tq}, &p->lse));
    static const att_view absent = {0};
    att_named_view read[INPUTS + 3] = {
        {"heads", heads ? heads : &absent}, {"queries", queries ? queries : &absent}, {"lse", lse ? lse : &absent}};
    name_inputs(in, read + 3);
    return att_grid_no_overlap(&(att_named_view){"out", out}, 1, read, INPUTS + 3, true);
}

/* ---- gradients ---- */

static att_status check_has_backward(const att_attention_problem *p)
{
    const att_attention_desc *d = &p->desc;
    ATT_REQUIRE(p->kv_dtype == p->dtype, ATT_E_UNSUPPORTED, "k, v: %s with q of %s has no backward, expected one type",
                att_dtype_name(p->kv_dtype), att_dtype_name(p->dtype));
    ATT_REQUIRE(d->score != ATT_SCORE_CUSTOM || d->function->backward, ATT_E_UNSUPPORTED,
                "function: backward is NULL, expected a function");
    return ATT_OK;
}

static att_status check_main(const att_attention_grad *grad, att_attention_problem *p)
{
    att_dtype real = att_real_of(p->dtype);
    ATT_TRY(att_grid_four("d_o", &grad->d_o, "(B,Hq,Tq,Dv)"));
    ATT_TRY(att_grid_exact("d_o", &grad->d_o, real, 4, (int64_t[]){p->B, p->Hq, p->Tq, p->Dv}, &p->d_o));
    ATT_TRY(att_grid_optional("dq", &grad->dq, real, 4, (int64_t[]){p->B, p->Hq, p->Tq, p->D}, &p->dq));
    ATT_TRY(att_grid_optional("dk", &grad->dk, real, 4, (int64_t[]){p->B, p->Hkv, p->Tk, p->D}, &p->dk));
    return att_grid_optional("dv", &grad->dv, real, 4, (int64_t[]){p->B, p->Hkv, p->Tk, p->Dv}, &p->dv);
}

/* Gradients of what is added to scores, and of what makes them. */
static att_status check_terms(const att_attention_grad *grad, const att_attention_in *in, att_attention_problem *p)
{
    att_dtype real = att_real_of(p->dtype);
    att_grid found = {0};
    ATT_TRY(att_grid_broadcast("dbias", &grad->dbias, real, p, &p->dbias));
    ATT_TRY(att_only_with("dscore_w", grad->dscore_w.data, p->desc.score == ATT_SCORE_ADDITIVE, "ATT_SCORE_ADDITIVE"));
    ATT_TRY(att_grid_optional("dscore_w", &grad->dscore_w, real, 1, &p->D, &found));
    p->dscore_w = (att_grid){.data = found.data, .d = found.b};
    ATT_TRY(att_only_with("dsinks", grad->dsinks.data, in->sinks.data, "sinks"));
    found = (att_grid){0};
    ATT_TRY(att_grid_optional("dsinks", &grad->dsinks, real, 1, &p->Hq, &found));
    p->dsinks = (att_grid){.data = found.data, .h = found.b};
    ATT_TRY(att_only_with("drelative", grad->drelative.data, in->relative.data, "relative"));
    found = (att_grid){0};
    ATT_TRY(att_grid_optional("drelative", &grad->drelative, real, 2, in->relative.dim, &found));
    p->drelative = (att_grid){.data = found.data, .h = in->relative.dim[0] == 1 ? 0 : found.b, .d = found.h};
    ATT_TRY(att_only_with("dcentre", grad->dcentre.data, in->centre.data, "centre"));
    return att_grid_optional("dcentre", &grad->dcentre, real, 3, (int64_t[]){p->B, p->Hq, p->Tq}, &p->dcentre);
}

static att_status check_reinforce(const att_attention_grad *grad, att_attention_problem *p)
{
    bool on = p->desc.estimator == ATT_ESTIMATOR_REINFORCE;
    const int64_t rows[3] = {p->B, p->Hq, p->Tq};
    ATT_TRY(att_only_with("d_log_prob", grad->d_log_prob.data, on, "ATT_ESTIMATOR_REINFORCE"));
    ATT_TRY(att_only_with("d_entropy", grad->d_entropy.data, on, "ATT_ESTIMATOR_REINFORCE"));
    if (!on) return ATT_OK;
    ATT_TRY(att_grid_exact("d_log_prob", &grad->d_log_prob, att_real_of(p->dtype), 3, rows, &p->d_log_prob));
    return att_grid_optional("d_entropy", &grad->d_entropy, att_real_of(p->dtype), 3, rows, &p->d_entropy);
}

att_status att_attention_check_grad(const att_attention_grad *grad, const att_attention_out *out,
                                    const att_attention_in *in, att_attention_problem *p)
{
    ATT_REQUIRE(grad, ATT_E_VALUE, "grad: NULL, expected the gradients");
    ATT_TRY(check_has_backward(p));
    ATT_TRY(check_main(grad, p));
    ATT_TRY(check_terms(grad, in, p));
    ATT_TRY(check_reinforce(grad, p));
    enum { READ = INPUTS + 5 };
    att_named_view read[READ] = {{"o", &out->o},
                                 {"lse", &out->lse},
                                 {"d_o", &grad->d_o},
                                 {"d_log_prob", &grad->d_log_prob},
                                 {"d_entropy", &grad->d_entropy}};
    name_inputs(in, read + 5);
    const att_named_view added[] = {
        {"dq", &grad->dq},
        {"dk", &grad->dk},
        {"dv", &grad->dv},
        {"dscore_w", &grad->dscore_w},
        {"dbias", &grad->dbias},
        {"dsinks", &grad->dsinks},
        {"drelative", &grad->drelative},
        {"dcentre", &grad->dcentre},
    };
    return att_grid_no_overlap(added, (int)(sizeof added / sizeof *added), read, READ, false);
}

att_status att_attention_check_prepare(const att_view *prepared, const att_view *k, att_attention_problem *p)
{
    *p = (att_attention_problem){.dtype = ATT_F32};
    ATT_REQUIRE(prepared && k, ATT_E_VALUE, "prepared, k: NULL, expected two views");
    ATT_TRY(att_grid_four("k", k, "(B,Hkv,Tk,D)"));
    p->B = k->dim[0];
    p->Hkv = k->dim[1];
    p->Tk = k->dim[2];
    p->D = k->dim[3];
    ATT_TRY(att_grid_exact("k", k, p->dtype, 4, k->dim, &p->k));
    ATT_TRY(att_grid_four("prepared", prepared, "(B,Hkv,Tk,D)"));
    return att_grid_exact("prepared", prepared, p->dtype, 4, k->dim, &p->k_prepared);
}
