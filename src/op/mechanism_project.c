/* Products of rows (B,H,T,C) with a matrix: one product where memory allows it, else one for each b and h. */
#include "op/mechanism.h"

#include <attend/ops.h>

/* (B,H,T,C) as one matrix. */
static bool merge(const att_view *v, att_view *out)
{
    return !v->data || att_view_reshape(v, 2, (int64_t[]){v->dim[0] * v->dim[1] * v->dim[2], v->dim[3]}, out) == ATT_OK;
}

/* Matrix i of n; an absent view stays absent. */
static att_view block(const att_view *v, int64_t n, int64_t i)
{
    att_view out = {0};
    if (!v->data) return out;
    if (n == 1 && merge(v, &out)) return out;
    out = att_view_at(v, 0, i / v->dim[1]);
    return att_view_at(&out, 0, i % v->dim[1]);
}

/* How many products cover both. */
static int64_t blocks(const att_mechanism_call *m, const att_view *x, const att_view *y)
{
    att_view unused;
    return m->dry || (merge(x, &unused) && merge(y, &unused)) ? 1 : x->dim[0] * x->dim[1];
}

static att_status multiply(att_mechanism_call *m, const att_product_desc *desc, const att_view *c, const att_view *a,
                           const att_view *b, const att_view *bias)
{
    size_t bytes;
    att_span rest;
    ATT_TRY(att_product_workspace(m->exec, c->dim[0], c->dim[1], a->dim[1], &bytes));
    ATT_TRY(att_mechanism_rest(m, bytes, &rest));
    return m->dry ? ATT_OK : att_product(desc, m->exec, c, a, b, bias, rest);
}

att_status att_mechanism_project(att_mechanism_call *m, const att_view *y, const att_view *x, const att_view *w,
                                 const att_view *bias, att_activation act)
{
    int64_t n = att_view_count(y) > 0 ? blocks(m, x, y) : 0;
    for (int64_t i = 0; i < n; i++) {
        att_view xi = block(x, n, i), yi = block(y, n, i);
        ATT_TRY(multiply(m, &(att_product_desc){.activation = act}, &yi, &xi, w, bias));
    }
    return ATT_OK;
}

att_status att_mechanism_project_back(att_mechanism_call *m, const att_view *dx, const att_view *dw,
                                      const att_view *dbias, const att_view *dy, const att_view *x, const att_view *w)
{
    static const att_view none;
    const att_product_desc add = {.accumulate = 1};
    att_view wt = att_view_transpose(w, 0, 1), unused;
    int64_t n = dx->data && !merge(dx, &unused) ? x->dim[0] * x->dim[1] : blocks(m, x, dy);
    if (m->dry) n = 1;
    if (att_view_count(dy) == 0) n = 0;
    for (int64_t i = 0; i < n; i++) {
        att_view xi = block(x, n, i), dyi = block(dy, n, i), dxi = block(dx, n, i);
        att_view xt = att_view_transpose(&xi, 0, 1);
        if (m->dry || dx->data) ATT_TRY(multiply(m, &add, m->dry ? &xi : &dxi, &dyi, &wt, &none));
        if (m->dry || dw->data) ATT_TRY(multiply(m, &add, m->dry ? w : dw, &xt, &dyi, &none));
        if (dbias->data && !m->dry) ATT_TRY(att_sum_rows(m->exec, dbias, &dyi));
    }
    return ATT_OK;
}
