/* Weights as output: attention whose values are the rows of the identity, so that o = weights and d_o their gradient.
 */
#include <attend/pointer.h>

#include <attend/ops.h>

#include "kernel/ref/both.h"
#include "op/require.h"

/* in with the Tk x Tk identity, at `memory`, as the values of every batch entry and head. */
static att_status with_identity(const att_mechanism_desc *desc, const att_mechanism_in *in, void *memory,
                                att_mechanism_in *out, size_t *bytes)
{
    ATT_REQUIRE(in, ATT_E_VALUE, "in: NULL, expected the inputs");
    const att_view *q = &in->core.q, *k = &in->core.k;
    ATT_REQUIRE(!in->core.v.data && !in->w_value.data && !in->w_output.data, ATT_E_VALUE,
                "v, w_value, w_output: given, expected none: the weights are the output");
    ATT_TRY(att_require_real("k", k));
    ATT_REQUIRE((q->ndim == 3 || q->ndim == 4) && k->ndim == q->ndim, ATT_E_SHAPE,
                "q, k: %d and %d dimensions, expected 3 or 4 of both", q->ndim, k->ndim);
    ATT_REQUIRE(q->ndim == 4 || !desc || desc->heads <= 1, ATT_E_SHAPE,
                "heads: %lld, expected 1 of three-dimensional rows", (long long)(desc ? desc->heads : 0));
    int64_t Tk = k->dim[k->ndim - 2];
    ATT_REQUIRE(Tk < 1 << 24, ATT_E_SHAPE, "k: %lld keys, expected fewer than 2^24", (long long)Tk);
    *bytes = att_round_up((size_t)Tk * (size_t)Tk * att_dtype_bytes(k->dtype), ATT_ALIGN);
    *out = *in;
    if (q->ndim == 3)
        out->core.v = (att_view){memory, k->dtype, 3, {k->dim[0], Tk, Tk}, {0, Tk, 1}};
    else
        out->core.v = (att_view){memory, k->dtype, 4, {k->dim[0], k->dim[1], Tk, Tk}, {0, 0, Tk, 1}};
    return ATT_OK;
}

/* Stands for the identity while bytes are counted; never read. */
static char nowhere[ATT_ALIGN];

att_status att_pointer_workspace(const att_mechanism_desc *desc, const att_exec *exec, const att_mechanism_in *in,
                                 size_t *bytes)
{
    att_mechanism_in all;
    size_t identity = 0, rest = 0;
    ATT_TRY(with_identity(desc, in, nowhere, &all, &identity));
    ATT_TRY(att_mechanism_workspace(desc, exec, &all, &rest));
    *bytes = identity + rest;
    return ATT_OK;
}

static att_status prepare(const att_mechanism_desc *desc, const att_exec *exec, const att_mechanism_in *in,
                          att_span workspace, att_mechanism_in *all, att_span *rest)
{
    size_t bytes = 0, identity = 0;
    ATT_TRY(att_pointer_workspace(desc, exec, in, &bytes));
    ATT_TRY(att_require_workspace(workspace, bytes));
    ATT_TRY(with_identity(desc, in, workspace.data, all, &identity));
    int64_t Tk = in->core.k.dim[in->core.k.ndim - 2];
    att_view square = att_view_2d(workspace.data, in->core.k.dtype, Tk, Tk);
    att_view diagonal = {square.data, square.dtype, 1, {Tk}, {Tk + 1}};
    ATT_TRY(att_fill(exec, &square, 0));
    ATT_TRY(att_fill(exec, &diagonal, 1));
    *rest = (att_span){(char *)workspace.data + identity, workspace.bytes - identity};
    return ATT_OK;
}

att_status att_pointer_forward(const att_mechanism_desc *desc, const att_exec *exec, const att_mechanism_out *out,
                               const att_mechanism_in *in, att_span workspace)
{
    att_mechanism_in all;
    att_span rest;
    ATT_TRY(prepare(desc, exec, in, workspace, &all, &rest));
    return att_mechanism_forward(desc, exec, out, &all, rest);
}

att_status att_pointer_backward(const att_mechanism_desc *desc, const att_exec *exec, const att_mechanism_grad *grad,
                                const att_mechanism_out *out, const att_mechanism_in *in, att_span workspace)
{
    att_mechanism_in all;
    att_span rest;
    ATT_REQUIRE(grad && !grad->core.dv.data, ATT_E_VALUE, "dv: given, expected none: the weights are the output");
    ATT_TRY(prepare(desc, exec, in, workspace, &all, &rest));
    return att_mechanism_backward(desc, exec, grad, out, &all, rest);
}

/* ---- the copy distribution ---- */

static att_status dense(const char *name, const att_view *v, att_dtype dtype, int ndim, const int64_t *dim)
{
    ATT_TRY(att_require_shape(name, v, dtype, ndim, dim));
    ATT_REQUIRE(att_view_is_dense(v), ATT_E_SHAPE, "%s: strided, expected a dense array", name);
    return ATT_OK;
}

static att_status check_mix(const char *name, const att_view *p, const att_copy_mix *in)
{
    ATT_TRY(att_require_real(name, p));
    ATT_REQUIRE(p->ndim == 2 && in->vocabulary.ndim == 2 && in->ids.ndim == 2, ATT_E_SHAPE,
                "%s, vocabulary, ids: %d, %d, %d dimensions, expected 2 of each", name, p->ndim, in->vocabulary.ndim,
                in->ids.ndim);
    int64_t M = p->dim[0], X = p->dim[1], V = in->vocabulary.dim[1], T = in->ids.dim[1];
    ATT_REQUIRE(X >= V, ATT_E_SHAPE, "%s: %lld words, expected at least the vocabulary's %lld", name, (long long)X,
                (long long)V);
    ATT_TRY(dense(name, p, p->dtype, 2, p->dim));
    ATT_TRY(dense("vocabulary", &in->vocabulary, p->dtype, 2, (int64_t[]){M, V}));
    ATT_TRY(dense("gate", &in->gate, p->dtype, 1, &M));
    ATT_TRY(dense("weights", &in->weights, p->dtype, 2, (int64_t[]){M, T}));
    ATT_TRY(dense("ids", &in->ids, ATT_I32, 2, (int64_t[]){M, T}));
    for (int64_t i = 0; i < M * T; i++) {
        int32_t id = ((const int32_t *)in->ids.data)[i];
        ATT_REQUIRE(id >= 0 && id < X, ATT_E_VALUE, "ids: %d at %lld, expected 0 to %lld", (int)id, (long long)i,
                    (long long)X - 1);
    }
    return ATT_OK;
}

/* Row m of a dense view; NULL when absent. */
static void *row(const att_view *v, int64_t m)
{
    return v->data ? (char *)v->data + m * v->stride[0] * (int64_t)att_dtype_bytes(v->dtype) : NULL;
}

att_status att_copy_mix_forward(const att_view *p, const att_copy_mix *in)
{
    ATT_TRY(check_mix("p", p, in));
    int64_t V = in->vocabulary.dim[1], X = p->dim[1], T = in->ids.dim[1];
    for (int64_t m = 0; m < p->dim[0]; m++) {
        const void *gate = row(&in->gate, m), *v = row(&in->vocabulary, m), *w = row(&in->weights, m);
        if (p->dtype == ATT_F64)
            att_ref_copy_mix_f64(row(p, m), v, *(const double *)gate, w, row(&in->ids, m), V, X, T);
        else
            att_ref_copy_mix_f32(row(p, m), v, *(const float *)gate, w, row(&in->ids, m), V, X, T);
    }
    return ATT_OK;
}

att_status att_copy_mix_backward(const att_copy_mix *grad, const att_view *dp, const att_copy_mix *in)
{
    ATT_TRY(check_mix("dp", dp, in));
    int64_t V = in->vocabulary.dim[1], T = in->ids.dim[1];
    if (grad->vocabulary.data) ATT_TRY(dense("dvocabulary", &grad->vocabulary, dp->dtype, 2, in->vocabulary.dim));
    if (grad->gate.data) ATT_TRY(dense("dgate", &grad->gate, dp->dtype, 1, in->gate.dim));
    if (grad->weights.data) ATT_TRY(dense("dweights", &grad->weights, dp->dtype, 2, in->weights.dim));
    for (int64_t m = 0; m < dp->dim[0]; m++) {
        void *dv = row(&grad->vocabulary, m), *dg = row(&grad->gate, m), *dw = row(&grad->weights, m);
        const void *gate = row(&in->gate, m), *v = row(&in->vocabulary, m), *w = row(&in->weights, m);
        if (dp->dtype == ATT_F64)
            att_ref_copy_mix_bwd_f64(dv, dg, dw, row(dp, m), v, *(const double *)gate, w, row(&in->ids, m), V, T);
        else
            att_ref_copy_mix_bwd_f32(dv, dg, dw, row(dp, m), v, *(const float *)gate, w, row(&in->ids, m), V, T);
    }
    return ATT_OK;
}
