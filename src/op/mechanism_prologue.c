/* What happens to the rows before the descriptor: projections, a gain, unit rows, coverage, keys from a matrix. */
#include "op/mechanism.h"

#include <attend/ops.h>

#include "kernel/ref/both.h"

att_view att_mechanism_split(const att_view *rows, int64_t heads)
{
    att_view v = *rows;
    if (v.dim[1] == heads) return v;
    v.dim[1] = heads;
    v.dim[3] = rows->dim[3] / heads;
    v.stride[1] = v.dim[3] * rows->stride[3];
    return v;
}

/* ---- one row at a time ---- */

static char *row_at(const att_view *v, int64_t b, int64_t h, int64_t t)
{
    int64_t at = b * v->stride[0] + h * v->stride[1] + t * v->stride[2];
    return (char *)v->data + at * (int64_t)att_dtype_bytes(v->dtype);
}

static double number(const att_view *v, int64_t b, int64_t h, int64_t t)
{
    const char *p = row_at(v, b, h, t);
    return v->dtype == ATT_F64 ? *(const double *)(const void *)p : (double)*(const float *)(const void *)p;
}

static void add_number(const att_view *v, int64_t b, int64_t h, int64_t t, double x)
{
    char *p = row_at(v, b, h, t);
    if (v->dtype == ATT_F64)
        *(double *)(void *)p += x;
    else
        *(float *)(void *)p += (float)x;
}

typedef struct rows_job {
    const att_mechanism_call *m;
    att_view out, in, extra; /* extra: a number for each row (B,H,T), or absent */
    att_view d_out, d_in, d_extra;
    const att_view *vector, *d_vector;
} rows_job;

/* f(job, b, h, t) for every row, in order. */
static void each_row(rows_job *j, void (*f)(rows_job *, int64_t, int64_t, int64_t))
{
    for (int64_t b = 0; b < j->in.dim[0]; b++)
        for (int64_t h = 0; h < j->in.dim[1]; h++)
            for (int64_t t = 0; t < j->in.dim[2]; t++) f(j, b, h, t);
}

static double dot_rows(const att_view *x, const att_view *y, int64_t b, int64_t h, int64_t t)
{
    const void *p = row_at(x, b, h, t), *q = row_at(y, b, h, t);
    return x->dtype == ATT_F64 ? att_ref_dot_f64(p, q, x->dim[3]) : (double)att_ref_dot_f32(p, q, x->dim[3]);
}

/* ---- unit rows: cosine ---- */

static void unit(rows_job *j, int64_t b, int64_t h, int64_t t)
{
    double s = j->extra.data ? number(&j->extra, b, h, t) : 1;
    void *u = row_at(&j->out, b, h, t);
    const void *x = row_at(&j->in, b, h, t);
    if (j->in.dtype == ATT_F64)
        att_ref_unit_row_f64(u, x, s, j->in.dim[3]);
    else
        att_ref_unit_row_f32(u, x, (float)s, j->in.dim[3]);
}

static void unit_back(rows_job *j, int64_t b, int64_t h, int64_t t)
{
    double s = j->extra.data ? number(&j->extra, b, h, t) : 1, ds;
    void *dx = j->d_in.data ? row_at(&j->d_in, b, h, t) : NULL;
    const void *du = row_at(&j->d_out, b, h, t), *x = row_at(&j->in, b, h, t);
    if (j->in.dtype == ATT_F64)
        ds = att_ref_unit_row_bwd_f64(dx, du, x, s, j->in.dim[3]);
    else
        ds = (double)att_ref_unit_row_bwd_f32(dx, du, x, (float)s, j->in.dim[3]);
    if (j->d_extra.data) add_number(&j->d_extra, b, h, t, ds);
}

/* ---- coverage: k'_j = k_j + c_j u ---- */

static void cover(rows_job *j, int64_t b, int64_t h, int64_t t)
{
    double c = number(&j->extra, b, h, t);
    void *y = row_at(&j->out, b, h, t);
    const void *x = row_at(&j->in, b, h, t);
    if (j->in.dtype == ATT_F64) {
        att_ref_axpby_f64(y, 1, x, 0, j->in.dim[3]);
        att_ref_axpby_f64(y, c, j->vector->data, 1, j->in.dim[3]);
    } else {
        att_ref_axpby_f32(y, 1, x, 0, j->in.dim[3]);
        att_ref_axpby_f32(y, (float)c, j->vector->data, 1, j->in.dim[3]);
    }
}

/* dc_j += dk'_j . u,  du += c_j dk'_j;  dk_j = dk'_j */
static void cover_back(rows_job *j, int64_t b, int64_t h, int64_t t)
{
    const void *dy = row_at(&j->d_out, b, h, t);
    double c = number(&j->extra, b, h, t), dc;
    int64_t n = j->in.dim[3];
    dc = j->in.dtype == ATT_F64 ? att_ref_dot_f64(dy, j->vector->data, n)
                                : (double)att_ref_dot_f32(dy, j->vector->data, n);
    if (j->d_extra.data) add_number(&j->d_extra, b, h, t, dc);
    if (!j->d_vector->data) return;
    if (j->in.dtype == ATT_F64)
        att_ref_axpby_f64(j->d_vector->data, c, dy, 1, n);
    else
        att_ref_axpby_f32(j->d_vector->data, (float)c, dy, 1, n);
}

/* ---- the way there ---- */

static double gain_of(const att_mechanism_call *m)
{
    const att_view *g = &m->in->gain;
    return g->dtype == ATT_F64 ? *(const double *)g->data : (double)*(const float *)g->data;
}

/* Whether a gain multiplies the keys too. */
static bool gains_keys(const att_mechanism_call *m)
{
    return m->in->gain.data && m->desc.kind == ATT_MECHANISM_KERAS_CONCAT;
}

static att_status project_side(att_mechanism_call *m, att_mechanism_side *s)
{
    s->projected = att_mechanism_split(&s->rows, s->heads);
    if (s->w.data) {
        att_view y;
        int64_t N = m->split ? s->heads * s->width : s->width;
        ATT_TRY(att_mechanism_carve(m, 4, (int64_t[]){s->rows.dim[0], s->rows.dim[1], s->rows.dim[2], N}, &y));
        ATT_TRY(att_mechanism_project(m, &y, &s->rows, &s->w, &s->bias, ATT_ACT_NONE));
        s->projected = att_mechanism_split(&y, s->heads);
    }
    s->ready = s->projected;
    return ATT_OK;
}

/* Keys of location attention: the columns of the matrix, the same for every batch entry and head. */
static att_status keys_from_matrix(att_mechanism_call *m)
{
    att_view copy, columns = att_view_slice(&m->in->w_score, 1, 0, m->Tk);
    columns = att_view_transpose(&columns, 0, 1);
    ATT_TRY(att_mechanism_carve(m, 2, (int64_t[]){m->Tk, m->D}, &copy));
    m->k.ready = m->k.projected = (att_view){copy.data, m->dtype, 4, {m->B, m->Hkv, m->Tk, m->D}, {0, 0, m->D, 1}};
    return m->dry ? ATT_OK : att_copy(m->exec, &copy, &columns, 0);
}

/* ready = f(projected), in memory of its own. */
static att_status transform(att_mechanism_call *m, att_mechanism_side *s, rows_job *job,
                            void (*f)(rows_job *, int64_t, int64_t, int64_t))
{
    ATT_TRY(att_mechanism_carve(m, 4, s->projected.dim, &s->ready));
    s->transformed = true;
    job->in = s->projected;
    job->out = s->ready;
    if (m->dry) return ATT_OK;
    if (f)
        each_row(job, f);
    else
        ATT_TRY(att_axpby(m->exec, &s->ready, gain_of(m), &s->projected, 0));
    return ATT_OK;
}

static att_status concat_vector(att_mechanism_call *m)
{
    const att_view *w = &m->in->concat_weight;
    if (!w->data) return ATT_OK;
    ATT_TRY(att_mechanism_carve(m, 1, &m->D, &m->core.score_w));
    return m->dry ? ATT_OK
                  : att_fill(m->exec, &m->core.score_w,
                             m->dtype == ATT_F64 ? *(const double *)w->data : (double)*(const float *)w->data);
}

att_status att_mechanism_prologue(att_mechanism_call *m)
{
    const att_mechanism_in *in = m->in;
    bool cosine = m->desc.kind == ATT_MECHANISM_COSINE;
    m->core = in->core;
    ATT_TRY(project_side(m, &m->q));
    ATT_TRY(project_side(m, &m->v));
    if (m->keyed) ATT_TRY(project_side(m, &m->k));
    if (m->desc.kind == ATT_MECHANISM_LOCATION) ATT_TRY(keys_from_matrix(m));
    if (cosine) {
        ATT_TRY(transform(m, &m->q, &(rows_job){.m = m, .extra = in->strength}, unit));
        ATT_TRY(transform(m, &m->k, &(rows_job){.m = m}, unit));
    }
    if (in->gain.data) ATT_TRY(transform(m, &m->q, &(rows_job){.m = m}, NULL));
    if (gains_keys(m)) ATT_TRY(transform(m, &m->k, &(rows_job){.m = m}, NULL));
    if (in->coverage.data)
        ATT_TRY(transform(m, &m->k, &(rows_job){.m = m, .extra = in->coverage, .vector = &in->w_coverage}, cover));
    ATT_TRY(concat_vector(m));
    m->core.q = m->q.ready;
    m->core.k = m->k.ready;
    m->core.v = m->v.ready;
    return att_mechanism_centre(m);
}

/* ---- the way back ---- */

/* Memory for d_ready and d_projected. Where nothing happens to the rows the descriptor adds into theirs at once; keys
 * that are also the values need their own, because one call must not add into the same memory from two sides. */
static att_status gradient_side(att_mechanism_call *m, att_mechanism_side *s, bool wanted, bool own)
{
    s->d_ready = s->d_projected = (att_view){0};
    if (!wanted && !m->dry) return ATT_OK;
    if (!s->transformed && !s->w.data && !own) {
        if (s->d_rows.data) s->d_ready = s->d_projected = att_mechanism_split(&s->d_rows, s->heads);
        return ATT_OK;
    }
    att_view dense;
    int64_t N = m->split ? s->heads * s->width : s->width;
    ATT_TRY(att_mechanism_carve(m, 4, (int64_t[]){m->B, m->split ? 1 : s->heads, s->ready.dim[2], N}, &dense));
    if (!m->dry) ATT_TRY(att_fill(m->exec, &dense, 0));
    s->d_ready = s->d_projected = att_mechanism_split(&dense, s->heads);
    if (!s->transformed) return ATT_OK;
    ATT_TRY(att_mechanism_carve(m, 4, dense.dim, &dense));
    if (!m->dry) ATT_TRY(att_fill(m->exec, &dense, 0));
    s->d_projected = att_mechanism_split(&dense, s->heads);
    return ATT_OK;
}

static bool side_wanted(const att_mechanism_side *s)
{
    return s->d_rows.data || s->dw.data || s->dbias.data;
}

att_status att_mechanism_gradients(att_mechanism_call *m, const att_mechanism_grad *g)
{
    bool matrix = m->desc.kind == ATT_MECHANISM_LOCATION;
    ATT_TRY(gradient_side(m, &m->q, side_wanted(&m->q) || g->dgain.data || g->dstrength.data, false));
    ATT_TRY(gradient_side(m, &m->v, side_wanted(&m->v), false));
    if (!m->keyed && !matrix) return ATT_OK;
    bool keys = side_wanted(&m->k) || g->dcoverage.data || g->dw_coverage.data || (g->dgain.data && gains_keys(m));
    return gradient_side(m, &m->k, matrix ? g->dw_score.data != NULL : keys, m->shared || matrix);
}

/* d_projected += f'(d_ready) */
static void transform_back(const att_mechanism_call *m, const att_mechanism_side *s, rows_job *job,
                           void (*f)(rows_job *, int64_t, int64_t, int64_t))
{
    if (m->dry || !s->d_ready.data) return;
    job->in = s->projected;
    job->d_out = s->d_ready;
    job->d_in = s->d_projected;
    each_row(job, f);
}

/* y = g x:  dx += g dy,  dg += sum dy . x */
static void gain_back(rows_job *j, int64_t b, int64_t h, int64_t t)
{
    double dg = dot_rows(&j->d_out, &j->in, b, h, t);
    if (j->d_extra.data) add_number(&j->d_extra, 0, 0, 0, dg);
}

static att_status gain_side_back(att_mechanism_call *m, att_mechanism_side *s, const att_mechanism_grad *g)
{
    transform_back(m, s, &(rows_job){.m = m, .d_extra = g->dgain}, gain_back);
    if (m->dry || !s->d_ready.data) return ATT_OK;
    return att_axpby(m->exec, &s->d_projected, gain_of(m), &s->d_ready, 1);
}

/* From d_projected to the rows and the projection's own gradients. */
static att_status project_side_back(att_mechanism_call *m, const att_mechanism_side *s)
{
    att_view rows = s->d_projected;
    if (!m->dry && !rows.data) return ATT_OK;
    if (s->w.data) {
        if (m->split) { /* side by side again */
            rows.dim[1] = 1;
            rows.dim[3] = s->heads * s->width;
        }
        return att_mechanism_project_back(m, &s->d_rows, &s->dw, &s->dbias, &rows, &s->rows, &s->w);
    }
    if (m->dry || !s->d_rows.data) return ATT_OK;
    att_view to = att_mechanism_split(&s->d_rows, s->heads);
    return rows.data == to.data ? ATT_OK : att_copy(m->exec, &to, &rows, 1);
}

/* dW[:, j] += the sum of dk_j over batch entries and heads, in their order */
static att_status matrix_back(att_mechanism_call *m, const att_mechanism_grad *g)
{
    if (m->dry || !g->dw_score.data) return ATT_OK;
    att_view to = att_view_slice(&g->dw_score, 1, 0, m->Tk);
    to = att_view_transpose(&to, 0, 1);
    for (int64_t i = 0; i < m->B * m->Hkv; i++) {
        att_view from = att_view_at(&m->k.d_ready, 0, i / m->Hkv);
        from = att_view_at(&from, 0, i % m->Hkv);
        ATT_TRY(att_copy(m->exec, &to, &from, 1));
    }
    return ATT_OK;
}

att_status att_mechanism_prologue_back(att_mechanism_call *m, const att_mechanism_grad *g)
{
    const att_mechanism_in *in = m->in;
    if (m->desc.kind == ATT_MECHANISM_LOCATION) ATT_TRY(matrix_back(m, g));
    if (m->desc.kind == ATT_MECHANISM_COSINE) {
        transform_back(m, &m->q, &(rows_job){.m = m, .extra = in->strength, .d_extra = g->dstrength}, unit_back);
        transform_back(m, &m->k, &(rows_job){.m = m}, unit_back);
    }
    if (in->gain.data) ATT_TRY(gain_side_back(m, &m->q, g));
    if (gains_keys(m)) ATT_TRY(gain_side_back(m, &m->k, g));
    if (in->coverage.data) {
        rows_job job = {.m = m,
                        .extra = in->coverage,
                        .d_extra = g->dcoverage,
                        .vector = &in->w_coverage,
                        .d_vector = &g->dw_coverage};
        transform_back(m, &m->k, &job, cover_back);
        if (!m->dry && m->k.d_ready.data) ATT_TRY(att_copy(m->exec, &m->k.d_projected, &m->k.d_ready, 1));
    }
    ATT_TRY(project_side_back(m, &m->q));
    if (m->keyed) ATT_TRY(project_side_back(m, &m->k));
    return project_side_back(m, &m->v);
}
