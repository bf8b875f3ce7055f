/* Named mechanisms: prologue, descriptor, output projection; and all of it backward. */
#include "op/mechanism.h"

#include <attend/ops.h>

/* ---- the workspace ---- */

/* Stands for memory in a dry run; never read or written. */
static char nowhere[ATT_ALIGN];

att_status att_mechanism_carve(att_mechanism_call *m, int ndim, const int64_t *dim, att_view *out)
{
    size_t bytes = att_dtype_bytes(m->dtype);
    for (int a = 0; a < ndim; a++)
        ATT_REQUIRE(att_mul_size(bytes, (size_t)dim[a], &bytes), ATT_E_SHAPE, "mechanism: an array of 2^64 bytes");
    size_t next;
    ATT_REQUIRE(att_add_size(m->used, att_round_up(bytes, ATT_ALIGN), &next) && bytes < SIZE_MAX / 2, ATT_E_SHAPE,
                "mechanism: an array of 2^63 bytes");
    ATT_REQUIRE(m->dry || next <= m->bytes, ATT_E_WORKSPACE, "workspace: %zu bytes, expected at least %zu", m->bytes,
                next);
    *out = att_view_dense(m->dry ? nowhere : m->base + m->used, m->dtype, ndim, dim);
    m->used = next;
    return ATT_OK;
}

att_status att_mechanism_rest(att_mechanism_call *m, size_t bytes, att_span *rest)
{
    if (bytes > m->shared_bytes) m->shared_bytes = bytes;
    *rest = (att_span){0};
    if (m->dry) return ATT_OK;
    ATT_REQUIRE(m->bytes - m->used >= bytes, ATT_E_WORKSPACE, "workspace: %zu bytes, expected at least %zu", m->bytes,
                m->used + bytes);
    *rest = (att_span){m->base + m->used, m->bytes - m->used};
    return ATT_OK;
}

/* ---- outputs ---- */

static att_status attention_rest(att_mechanism_call *m, att_span *rest)
{
    size_t bytes;
    ATT_TRY(att_attention_workspace(&m->desc.core, m->exec, &m->core, &bytes));
    return att_mechanism_rest(m, bytes, rest);
}

/* (B,Tq,N) as (B,1,Tq,N) */
static att_view with_head(const att_view *v)
{
    return (att_view){v->data,
                      v->dtype,
                      4,
                      {v->dim[0], 1, v->dim[1], v->dim[2]},
                      {v->stride[0], v->dim[1] * v->stride[1], v->stride[1], v->stride[2]}};
}

static void shape_of(const att_mechanism_call *m, att_mechanism_shape *s)
{
    *s = (att_mechanism_shape){m->B, m->Hq, m->Hkv, m->Tq, m->Tk, m->D, m->Dv, 0, {0}};
    const int64_t apart[4] = {m->B, m->Hq, m->Tq, m->Dv};
    const int64_t joined[3] = {m->B, m->Tq, m->in->w_output.data ? m->C : m->Hq * m->Dv};
    s->o_ndim = m->split ? 3 : 4;
    for (int a = 0; a < s->o_ndim; a++) s->o_dim[a] = m->split ? joined[a] : apart[a];
}

/* `v` (named o or d_o) as the caller gives it. */
static att_status check_o(const att_mechanism_call *m, const char *name, const att_view *v)
{
    att_mechanism_shape s;
    shape_of(m, &s);
    ATT_TRY(att_require_shape(name, v, m->dtype, s.o_ndim, s.o_dim));
    return att_require_unit(name, v);
}

static att_status check_out(const att_mechanism_call *m, const att_mechanism_out *out, bool backward)
{
    const int64_t context[4] = {m->B, m->Hq, m->Tq, m->Dv};
    ATT_REQUIRE(out, ATT_E_VALUE, "out: NULL, expected the outputs");
    ATT_TRY(check_o(m, "o", &out->core.o));
    bool needed = backward && m->in->w_output.data && m->B * m->Hq * m->Tq * m->Dv > 0;
    ATT_REQUIRE(out->context.data || !needed, ATT_E_VALUE, "context: absent, expected the forward's, with w_output");
    if (out->context.data) ATT_TRY(att_require_shape("context", &out->context, m->dtype, 4, context));
    if (!out->centre.data) return ATT_OK;
    ATT_REQUIRE(att_mechanism_predicts(m), ATT_E_VALUE, "centre: given, expected only with ATT_LOCAL_PREDICTIVE");
    return att_require_shape("centre", &out->centre, m->dtype, 3, context);
}

/* What the descriptor writes (forward) or reads (backward) as its o. */
static att_status attention_out(att_mechanism_call *m, const att_mechanism_out *out, att_attention_out *core)
{
    if (out) *core = out->core;
    if (m->in->w_output.data) {
        ATT_TRY(att_mechanism_carve(m, 4, (int64_t[]){m->B, 1, m->Tq, m->Hq * m->Dv}, &m->context));
        core->o = att_mechanism_split(&m->context, m->Hq);
    } else if (out && m->split) {
        att_view o = with_head(&out->core.o);
        core->o = att_mechanism_split(&o, m->Hq);
    }
    return ATT_OK;
}

static att_status project_output(att_mechanism_call *m, const att_mechanism_out *out, const att_attention_out *core)
{
    if (!m->dry && out->context.data) ATT_TRY(att_copy(m->exec, &out->context, &core->o, 0));
    if (!m->in->w_output.data) return ATT_OK;
    att_view o = att_view_4d(nowhere, m->dtype, m->B, 1, m->Tq, m->C);
    if (!m->dry) o = with_head(&out->core.o);
    return att_mechanism_project(m, &o, &m->context, &m->in->w_output, &m->in->b_output, ATT_ACT_NONE);
}

/* ---- forward ---- */

/* out is NULL in a dry run */
static att_status forward(att_mechanism_call *m, const att_mechanism_out *out)
{
    att_attention_out core = {0};
    att_span rest;
    ATT_TRY(att_mechanism_prologue(m));
    ATT_TRY(attention_out(m, out, &core));
    ATT_TRY(attention_rest(m, &rest));
    if (!m->dry) {
        ATT_TRY(att_attention_forward(&m->desc.core, m->exec, &core, &m->core, rest));
        if (out->centre.data) ATT_TRY(att_copy(m->exec, &out->centre, &m->core.centre, 0));
    }
    return project_output(m, out, &core);
}

/* ---- backward ---- */

/* forward: o = context W + b.  From d_o: dW += context^T d_o, db += d_o, and d_context = d_o W^T. */
static att_status output_back(att_mechanism_call *m, const att_mechanism_grad *g, att_attention_grad *core)
{
    att_view d_context, d_o = att_view_4d(nowhere, m->dtype, m->B, 1, m->Tq, m->C);
    if (!m->in->w_output.data) {
        if (m->dry || !m->split) return ATT_OK;
        d_o = with_head(&g->core.d_o);
        core->d_o = att_mechanism_split(&d_o, m->Hq);
        return ATT_OK;
    }
    ATT_TRY(att_mechanism_carve(m, 4, m->context.dim, &d_context));
    if (!m->dry) {
        d_o = with_head(&g->core.d_o);
        ATT_TRY(att_fill(m->exec, &d_context, 0));
    }
    core->d_o = att_mechanism_split(&d_context, m->Hq);
    return att_mechanism_project_back(m, &d_context, &g->dw_output, &g->db_output, &d_o, &m->context, &m->in->w_output);
}

/* Memory for gradients that the descriptor gives and the caller does not see. */
static att_status hidden_gradients(att_mechanism_call *m, const att_mechanism_grad *g, att_attention_grad *core)
{
    if (att_mechanism_predicts(m)) {
        ATT_TRY(att_mechanism_carve(m, 3, (int64_t[]){m->B, m->Hq, m->Tq}, &core->dcentre));
        if (!m->dry) ATT_TRY(att_fill(m->exec, &core->dcentre, 0));
    }
    if (m->in->concat_weight.data && (m->dry || g->dconcat_weight.data)) {
        ATT_TRY(att_mechanism_carve(m, 1, &m->D, &core->dscore_w));
        if (!m->dry) ATT_TRY(att_fill(m->exec, &core->dscore_w, 0));
    }
    return ATT_OK;
}

/* score_w = w, D times: dw += the sum of its gradient. */
static att_status concat_back(const att_mechanism_call *m, const att_mechanism_grad *g, const att_view *dscore_w)
{
    double sum;
    if (m->dry || !g->dconcat_weight.data) return ATT_OK;
    ATT_TRY(att_sum(m->exec, dscore_w, &sum, NULL));
    if (m->dtype == ATT_F64)
        *(double *)g->dconcat_weight.data += sum;
    else
        *(float *)g->dconcat_weight.data += (float)sum;
    return ATT_OK;
}

static att_status backward(att_mechanism_call *m, const att_mechanism_grad *g, const att_mechanism_out *out)
{
    static const att_mechanism_grad none;
    att_attention_out saved = {0};
    att_attention_grad core = {0};
    att_span rest;
    if (!g) g = &none;
    core = g->core;
    ATT_TRY(att_mechanism_prologue(m));
    ATT_TRY(attention_out(m, out, &saved));
    if (!m->dry && m->context.data) ATT_TRY(att_copy(m->exec, &saved.o, &out->context, 0));
    ATT_TRY(output_back(m, g, &core));
    ATT_TRY(att_mechanism_gradients(m, g));
    ATT_TRY(hidden_gradients(m, g, &core));
    core.dq = m->q.d_ready;
    core.dk = m->k.d_ready;
    core.dv = m->v.d_ready;
    ATT_TRY(attention_rest(m, &rest));
    if (!m->dry) ATT_TRY(att_attention_backward(&m->desc.core, m->exec, &core, &saved, &m->core, rest));
    ATT_TRY(att_mechanism_prologue_back(m, g));
    ATT_TRY(att_mechanism_centre_back(m, g, &core.dcentre));
    return concat_back(m, g, &core.dscore_w);
}

/* ---- the API ---- */

/* Bytes of both directions, and what the descriptor has to say against its inputs. */
static att_status measure(const att_mechanism_call *checked, size_t *bytes)
{
    att_mechanism_call forth = *checked, back = *checked;
    forth.dry = back.dry = true;
    ATT_TRY(forward(&forth, NULL));
    ATT_TRY(backward(&back, NULL, NULL));
    size_t a = forth.used + forth.shared_bytes, b = back.used + back.shared_bytes;
    *bytes = att_round_up(a > b ? a : b, ATT_ALIGN);
    return ATT_OK;
}

/* Validated, with enough workspace. */
static att_status begin(att_mechanism_call *m, const att_mechanism_desc *desc, const att_exec *exec,
                        const att_mechanism_in *in)
{
    ATT_TRY(att_mechanism_check(desc, in, m));
    m->exec = exec;
    return ATT_OK;
}

static att_status lend(att_mechanism_call *m, att_span workspace)
{
    size_t bytes;
    ATT_TRY(measure(m, &bytes));
    ATT_TRY(att_require_workspace(workspace, bytes));
    ATT_REQUIRE((uintptr_t)workspace.data % ATT_ALIGN == 0, ATT_E_WORKSPACE,
                "workspace: at %p, expected an address that is a multiple of %d", workspace.data, ATT_ALIGN);
    m->base = workspace.data;
    m->bytes = workspace.bytes;
    return ATT_OK;
}

att_status att_mechanism_workspace(const att_mechanism_desc *desc, const att_exec *exec, const att_mechanism_in *in,
                                   size_t *bytes)
{
    att_mechanism_call m;
    ATT_TRY(begin(&m, desc, exec, in));
    return measure(&m, bytes);
}

att_status att_mechanism_forward(const att_mechanism_desc *desc, const att_exec *exec, const att_mechanism_out *out,
                                 const att_mechanism_in *in, att_span workspace)
{
    att_mechanism_call m;
    ATT_TRY(begin(&m, desc, exec, in));
    ATT_TRY(check_out(&m, out, false));
    ATT_TRY(lend(&m, workspace));
    return forward(&m, out);
}

att_status att_mechanism_backward(const att_mechanism_desc *desc, const att_exec *exec, const att_mechanism_grad *grad,
                                  const att_mechanism_out *out, const att_mechanism_in *in, att_span workspace)
{
    att_mechanism_call m;
    ATT_TRY(begin(&m, desc, exec, in));
    ATT_TRY(check_out(&m, out, true));
    ATT_TRY(att_mechanism_grad_check(&m, grad));
    ATT_TRY(check_o(&m, "d_o", &grad->core.d_o));
    ATT_TRY(lend(&m, workspace));
    return backward(&m, grad, out);
}

att_status att_mechanism_weights(const att_mechanism_desc *desc, const att_exec *exec, att_stage stage,
                                 const att_view *out, const att_mechanism_in *in, const att_view *heads,
                                 const att_view *queries, const att_view *lse, att_span workspace)
{
    att_mechanism_call m;
    att_span rest;
    ATT_TRY(begin(&m, desc, exec, in));
    ATT_TRY(lend(&m, workspace));
    ATT_TRY(att_mechanism_prologue(&m));
    ATT_TRY(attention_rest(&m, &rest));
    return att_attention_weights(&m.desc.core, exec, stage, out, &m.core, heads, queries, lse, rest);
}

att_status att_mechanism_shape_of(const att_mechanism_desc *desc, const att_mechanism_in *in,
                                  att_mechanism_shape *shape)
{
    att_mechanism_call m;
    ATT_TRY(begin(&m, desc, NULL, in));
    shape_of(&m, shape);
    return ATT_OK;
}

const char *att_mechanism_path(const att_mechanism_desc *desc, const att_exec *exec, const att_mechanism_in *in)
{
    att_mechanism_call m;
    if (begin(&m, desc, exec, in) != ATT_OK) return "none";
    m.dry = true;
    return att_mechanism_prologue(&m) == ATT_OK ? att_attention_path(&m.desc.core, exec, &m.core) : "none";
}

att_status att_coverage_update(const att_exec *exec, const att_view *coverage, const att_view *weights)
{
    ATT_TRY(att_require_real("coverage", coverage));
    ATT_TRY(att_require_real("weights", weights));
    ATT_REQUIRE(coverage->ndim == 3 && weights->ndim == 4, ATT_E_SHAPE,
                "coverage, weights: %d and %d dimensions, expected 3 and 4", coverage->ndim, weights->ndim);
    int64_t Hkv = coverage->dim[1], Hq = weights->dim[1];
    ATT_REQUIRE(Hkv > 0 && Hq % Hkv == 0, ATT_E_SHAPE, "weights: %lld heads, expected a multiple of coverage's %lld",
                (long long)Hq, (long long)Hkv);
    const int64_t dim[4] = {coverage->dim[0], Hq, weights->dim[2], coverage->dim[2]};
    ATT_TRY(att_require_shape("weights", weights, coverage->dtype, 4, dim));
    for (int64_t n = 0; n < dim[0] * Hq; n++) {
        att_view to = att_view_at(coverage, 0, n / Hq), from = att_view_at(weights, 0, n / Hq);
        to = att_view_at(&to, 0, n % Hq / (Hq / Hkv));
        from = att_view_at(&from, 0, n % Hq);
        for (int64_t i = 0; i < dim[2]; i++) {
            att_view row = att_view_at(&from, 0, i);
            ATT_TRY(att_copy(exec, &to, &row, 1));
        }
    }
    return ATT_OK;
}
