/* The window that the query predicts (Luong 2015, eq. 9):
 *   h_i = tanh(q_i W),  z_i = v . h_i,  p_i = S sigmoid(z_i),   S the number of keys of the batch entry. */
#include "op/mechanism.h"

#include <attend/ops.h>
#include <math.h>

static double keys_of(const att_mechanism_call *m, int64_t b)
{
    const att_view *n = &m->in->core.key_lengths;
    return (double)(n->data ? ((const int32_t *)n->data)[b * n->stride[0]] : m->Tk);
}

static void scale_row(const att_mechanism_call *m, att_view *p, const double *by)
{
    for (int64_t i = 0; i < p->dim[0]; i++) {
        if (m->dtype == ATT_F64)
            ((double *)p->data)[i * p->stride[0]] *= *by;
        else
            ((float *)p->data)[i * p->stride[0]] *= (float)*by;
    }
}

/* centre (B,H0,Tq) *= S of each batch entry */
static void times_keys(const att_mechanism_call *m)
{
    for (int64_t b = 0; b < m->B; b++) {
        double S = keys_of(m, b);
        for (int64_t h = 0; h < m->centre.dim[1]; h++) {
            att_view row = att_view_at(&m->centre, 0, b);
            row = att_view_at(&row, 0, h);
            scale_row(m, &row, &S);
        }
    }
}

/* (B,H0,T) as (B,H0,T,1) */
static att_view column(const att_view *v)
{
    att_view out = *v;
    out.dim[out.ndim] = 1;
    out.stride[out.ndim++] = 1;
    return out;
}

static att_view as_column(const att_view *vector)
{
    return (att_view){vector->data, vector->dtype, 2, {vector->dim[0], 1}, {vector->stride[0], 1}};
}

att_status att_mechanism_centre(att_mechanism_call *m)
{
    static const att_view none;
    if (!att_mechanism_predicts(m)) return ATT_OK;
    const att_view *q = &m->q.rows;
    ATT_TRY(att_mechanism_carve(m, 4, (int64_t[]){m->B, q->dim[1], m->Tq, m->P}, &m->hidden));
    ATT_TRY(att_mechanism_carve(m, 3, (int64_t[]){m->B, q->dim[1], m->Tq}, &m->centre));
    att_view p = column(&m->centre), v = as_column(&m->in->v_centre);
    ATT_TRY(att_mechanism_project(m, &m->hidden, q, &m->in->w_centre, &none, ATT_ACT_TANH));
    ATT_TRY(att_mechanism_project(m, &p, &m->hidden, &v, &none, ATT_ACT_SIGMOID));
    if (!m->dry) times_keys(m);
    m->core.centre = m->centre;
    m->core.centre.dim[1] = m->Hq;
    if (m->split) m->core.centre.stride[1] = 0; /* one centre for all heads */
    return ATT_OK;
}

static double get(const att_view *v, int64_t b, int64_t h, int64_t i)
{
    int64_t at = b * v->stride[0] + h * v->stride[1] + i * v->stride[2];
    return v->dtype == ATT_F64 ? ((const double *)v->data)[at] : (double)((const float *)v->data)[at];
}

static void put(const att_view *v, int64_t b, int64_t h, int64_t i, double x)
{
    int64_t at = b * v->stride[0] + h * v->stride[1] + i * v->stride[2];
    if (v->dtype == ATT_F64)
        ((double *)v->data)[at] = x;
    else
        ((float *)v->data)[at] = (float)x;
}

/* dz_i = dp_i p_i (1 - p_i / S), dp summed over the heads that share the centre. dcentre (B,Hq,Tq) -> dz (B,H0,Tq). */
static void sigmoid_back(const att_mechanism_call *m, const att_view *dz, const att_view *dcentre)
{
    int64_t heads = dz->dim[1], each = m->Hq / heads;
    for (int64_t b = 0; b < m->B; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t i = 0; i < m->Tq; i++) {
                double S = keys_of(m, b), p = get(&m->centre, b, h, i), sum = 0;
                for (int64_t e = 0; e < each; e++) sum += get(dcentre, b, h * each + e, i);
                put(dz, b, h, i, S > 0 ? sum * p * (1 - p / S) : 0);
            }
}

att_status att_mechanism_centre_back(att_mechanism_call *m, const att_mechanism_grad *grad, const att_view *dcentre)
{
    static const att_view none;
    if (!att_mechanism_predicts(m)) return ATT_OK;
    const att_view *q = &m->q.rows, *dq = &m->q.d_rows;
    att_view dz, dh, du, v = as_column(&m->in->v_centre), dv = {0};
    if (grad->dv_centre.data) dv = as_column(&grad->dv_centre);
    ATT_TRY(att_mechanism_carve(m, 3, m->centre.dim, &dz));
    ATT_TRY(att_mechanism_carve(m, 4, m->hidden.dim, &dh));
    ATT_TRY(att_mechanism_carve(m, 4, m->hidden.dim, &du));
    att_view dz4 = column(&dz);
    if (!m->dry) {
        sigmoid_back(m, &dz, dcentre);
        ATT_TRY(att_fill(m->exec, &dh, 0));
        ATT_TRY(att_fill(m->exec, &du, 0));
    }
    ATT_TRY(att_mechanism_project_back(m, &dh, &dv, &none, &dz4, &m->hidden, &v));
    if (!m->dry) ATT_TRY(att_activation_backward(m->exec, ATT_ACT_TANH, &du, &dh, &m->hidden, &none, 1));
    return att_mechanism_project_back(m, dq, &grad->dw_centre, &none, &du, q, &m->in->w_centre);
}
