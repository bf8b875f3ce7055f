#include "op/mechanism_case.h"

double mechanism_get(const att_view *v, int64_t i)
{
    return v->dtype == ATT_F64 ? ((const double *)v->data)[i] : (double)((const float *)v->data)[i];
}

static void set(const att_view *v, int64_t i, double x)
{
    if (v->dtype == ATT_F64)
        ((double *)v->data)[i] = x;
    else
        ((float *)v->data)[i] = (float)x;
}

static void fill(const att_view *v, double x)
{
    for (int64_t i = 0; i < att_view_count(v); i++) set(v, i, x);
}

static void *take(mechanism_run *run, size_t bytes)
{
    void *p = guard_alloc(bytes);
    run->block[run->blocks] = p;
    run->block_bytes[run->blocks++] = bytes;
    return p;
}

static att_view tensor(mechanism_run *run, int ndim, const int64_t *dim)
{
    att_view v = att_view_dense(NULL, run->dtype, ndim, dim);
    v.data = take(run, (size_t)att_view_count(&v) * att_dtype_bytes(run->dtype));
    return v;
}

/* A random input and its zeroed gradient. */
static void input(mechanism_run *run, const char *name, att_view *value, att_view *gradient, int ndim,
                  const int64_t *dim)
{
    *value = tensor(run, ndim, dim);
    att_random r = {.seed = 100 + (uint64_t)run->tensors};
    for (int64_t i = 0; i < att_view_count(value); i++) set(value, i, (double)(float)(2 * att_random_uniform(&r) - 1));
    *gradient = tensor(run, ndim, dim);
    fill(gradient, 0);
    run->tensor[run->tensors++] = (mechanism_tensor){name, value, gradient};
}

#define INPUT(field, ...)                                                                                              \
    input(run, #field, &run->in.field, &run->grad.d##field, (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)),   \
          (int64_t[]){__VA_ARGS__})

static bool keyed(const mechanism_run *run)
{
    att_mechanism k = run->c.desc.kind;
    return k != ATT_MECHANISM_LOCATION && k != ATT_MECHANISM_RELATIVE && k != ATT_MECHANISM_NONE;
}

/* q, k or v: width C of all heads together, or of each when they are apart. */
static void rows(mechanism_run *run, const char *name, att_view *v, att_view *dv, int64_t H, int64_t T, int64_t C)
{
    const mechanism_case *c = &run->c;
    if (c->apart)
        input(run, name, v, dv, 4, (int64_t[]){c->B, H, T, C});
    else
        input(run, name, v, dv, 3, (int64_t[]){c->B, T, C});
}

/* Width of rows of H heads of D, before the projection one wider. */
static int64_t width(const mechanism_run *run, int64_t H, int64_t D, bool projected)
{
    return (run->c.apart ? D : H * D) + projected;
}

static void create_rows(mechanism_run *run)
{
    const mechanism_case *c = &run->c;
    att_mechanism kind = c->desc.kind;
    bool all = c->has & HAS_PROJECTIONS, concat = kind == ATT_MECHANISM_CONCAT;
    bool projects_q = all || concat || kind == ATT_MECHANISM_GENERAL || (c->has & HAS_QUERY_PROJECTION);
    int64_t q = width(run, c->Hq, c->D, projects_q), k = width(run, c->Hkv, c->D, all || concat);
    int64_t v = width(run, c->Hkv, c->Dv, all), nq = width(run, c->Hq, c->D, false);
    int64_t nk = width(run, c->Hkv, c->D, false), nv = width(run, c->Hkv, c->Dv, false);
    rows(run, "q", &run->in.core.q, &run->grad.core.dq, c->Hq, c->Tq, q);
    if (keyed(run) && !(c->has & HAS_NO_KEYS)) rows(run, "k", &run->in.core.k, &run->grad.core.dk, c->Hkv, c->Tk, k);
    rows(run, "v", &run->in.core.v, &run->grad.core.dv, c->Hkv, c->Tk, v);
    if (all || (c->has & HAS_QUERY_PROJECTION)) {
        INPUT(w_query, q, nq);
        input(run, "b_query", &run->in.b_query, &run->grad.db_query, 1, &nq);
    }
    if (all) {
        INPUT(w_key, k, nk);
        INPUT(w_value, v, nv);
        input(run, "b_key", &run->in.b_key, &run->grad.db_key, 1, &nk);
        input(run, "b_value", &run->in.b_value, &run->grad.db_value, 1, &nv);
    }
    if (kind == ATT_MECHANISM_GENERAL) INPUT(w_score, q, nq);
    if (concat) INPUT(w_score, q + k, nq);
    if (kind == ATT_MECHANISM_LOCATION) INPUT(w_score, c->D, c->Tk + 1);
    if (c->desc.local == ATT_LOCAL_PREDICTIVE) {
        INPUT(w_centre, q, 3);
        INPUT(v_centre, 3);
    }
}

static void create_extras(mechanism_run *run)
{
    const mechanism_case *c = &run->c;
    if (c->has & HAS_SCORE_W) input(run, "score_w", &run->in.core.score_w, &run->grad.core.dscore_w, 1, &c->D);
    if (c->has & HAS_GAIN) INPUT(gain, 1);
    if (c->has & HAS_CONCAT_WEIGHT) INPUT(concat_weight, 1);
    if (c->has & HAS_STRENGTH) INPUT(strength, c->B, c->Hq, c->Tq);
    if (c->has & HAS_COVERAGE) {
        INPUT(coverage, c->B, c->Hkv, c->Tk);
        INPUT(w_coverage, c->D);
    }
    if (c->has & HAS_CENTRE) {
        input(run, "centre", &run->in.core.centre, &run->grad.core.dcentre, 3, (int64_t[]){c->B, c->Hq, c->Tq});
        for (int64_t i = 0; i < c->B * c->Hq * c->Tq; i++) set(&run->in.core.centre, i, (double)(i * 3 % c->Tk) + 0.25);
    }
    if (c->desc.kind == ATT_MECHANISM_RELATIVE)
        input(run, "relative", &run->in.core.relative, &run->grad.core.drelative, 2, (int64_t[]){c->Hq, 7});
    if (c->has & HAS_LENGTHS) {
        run->in.core.key_lengths = att_view_1d(take(run, (size_t)c->B * sizeof(int32_t)), ATT_I32, c->B);
        for (int64_t b = 0; b < c->B; b++) ((int32_t *)run->in.core.key_lengths.data)[b] = (int32_t)(c->Tk - 2 * b);
    }
    if (c->has & HAS_OUTPUT) {
        INPUT(w_output, c->Hq * c->Dv, 5);
        input(run, "b_output", &run->in.b_output, &run->grad.db_output, 1, (int64_t[]){5});
    }
    if (c->has & HAS_ZERO_ROW) {
        for (int64_t i = 0; i < c->D; i++) set(&run->in.core.q, i, 0);
        for (int64_t i = 0; i < c->D; i++) set(&run->in.core.k, i, 0);
    }
}

void mechanism_create(mechanism_run *run, const mechanism_case *c, att_dtype dtype)
{
    *run = (mechanism_run){.c = *c, .dtype = dtype, .desc = c->desc};
    if (!c->apart) run->desc.heads = c->Hq, run->desc.kv_heads = c->Hkv;
    create_rows(run);
    create_extras(run);
    att_mechanism_shape s;
    assert_ok(att_mechanism_shape_of(&run->desc, &run->in, &s));
    run->out.core.o = tensor(run, s.o_ndim, s.o_dim);
    run->out.core.lse = tensor(run, 3, (int64_t[]){s.B, s.Hq, s.Tq});
    run->out.core.weights = tensor(run, 4, (int64_t[]){s.B, s.Hq, s.Tq, s.Tk});
    if (c->has & HAS_OUTPUT) run->out.context = tensor(run, 4, (int64_t[]){s.B, s.Hq, s.Tq, s.Dv});
    if (c->desc.local == ATT_LOCAL_PREDICTIVE) run->out.centre = tensor(run, 3, (int64_t[]){s.B, s.Hq, s.Tq});
    fill(&run->out.core.o, NAN);
    fill(&run->out.core.lse, NAN);
    run->grad.core.d_o = tensor(run, s.o_ndim, s.o_dim);
    att_random r = {.seed = 9};
    for (int64_t i = 0; i < att_view_count(&run->grad.core.d_o); i++)
        set(&run->grad.core.d_o, i, (double)(float)(2 * att_random_uniform(&r) - 1));
}

void mechanism_destroy(mechanism_run *run)
{
    while (run->blocks > 0) {
        run->blocks--;
        guard_free(run->block[run->blocks], run->block_bytes[run->blocks]);
    }
}

static att_span workspace(mechanism_run *run, const att_exec *exec)
{
    att_span w = {0};
    assert_ok(att_mechanism_workspace(&run->desc, exec, &run->in, &w.bytes));
    w.data = guard_alloc(w.bytes);
    memset(w.data, 0xff, w.bytes);
    return w;
}

void mechanism_forward(mechanism_run *run, const att_exec *exec)
{
    att_span w = workspace(run, exec);
    assert_ok(att_mechanism_forward(&run->desc, exec, &run->out, &run->in, w));
    guard_free(w.data, w.bytes);
}

void mechanism_backward(mechanism_run *run, const att_exec *exec)
{
    att_span w = workspace(run, exec);
    assert_ok(att_mechanism_backward(&run->desc, exec, &run->grad, &run->out, &run->in, w));
    guard_free(w.data, w.bytes);
}

/* ---- the formulas ---- */

enum { WIDEST = 64 };

/* row[d], d < D, of head h at time t: projected by w, b when they are given. */
static void row_of(const mechanism_run *run, const att_view *x, const att_view *w, const att_view *b, int64_t h,
                   int64_t D, int64_t batch, int64_t t, double *row)
{
    int64_t T = x->dim[x->ndim - 2], C = x->dim[x->ndim - 1], H = run->c.apart ? x->dim[1] : 1;
    const double *p = (const double *)x->data + ((batch * H + (run->c.apart ? h : 0)) * T + t) * C;
    int64_t first = run->c.apart ? 0 : h * D; /* of this head's columns */
    for (int64_t d = 0; d < D; d++) {
        row[d] = w->data ? 0 : p[first + d];
        for (int64_t i = 0; w->data && i < C; i++)
            row[d] += p[i] * ((const double *)w->data)[i * w->stride[0] + first + d];
        if (b->data) row[d] += ((const double *)b->data)[first + d];
    }
}

static double dot(const double *x, const double *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

static double first_or(const att_view *v, double otherwise)
{
    return v->data ? mechanism_get(v, 0) : otherwise;
}

static double additive(const mechanism_run *run, const double *q, const double *k)
{
    double sum = 0;
    for (int64_t d = 0; d < run->c.D; d++)
        sum += (run->in.core.score_w.data ? mechanism_get(&run->in.core.score_w, d) : 1) * tanh(q[d] + k[d]);
    return sum;
}

/* The score of query i and key j, rows in hand; index: of the query in (B,Hq,Tq). */
static double score(const mechanism_run *run, const double *q, const double *k, int64_t h, int64_t i, int64_t j,
                    int64_t index)
{
    const mechanism_case *c = &run->c;
    const att_mechanism_in *in = &run->in;
    double g = first_or(&in->gain, 1), scale = c->desc.core.scale != 0 ? (double)c->desc.core.scale : 1, sum = 0;
    switch (c->desc.kind) {
    case ATT_MECHANISM_SCALED_DOT: return g * dot(q, k, c->D) / sqrt((double)c->D);
    case ATT_MECHANISM_DOT:
    case ATT_MECHANISM_GENERAL: return g * scale * dot(q, k, c->D);
    case ATT_MECHANISM_ADDITIVE:
    case ATT_MECHANISM_CONCAT: return additive(run, q, k);
    case ATT_MECHANISM_KERAS_CONCAT:
        for (int64_t d = 0; d < c->D; d++) sum += tanh(g * (q[d] + k[d]));
        return first_or(&in->concat_weight, 1) * sum;
    case ATT_MECHANISM_COSINE:
        sum = sqrt(dot(q, q, c->D) * dot(k, k, c->D));
        if (in->strength.data) scale *= mechanism_get(&in->strength, index);
        return sum == 0 ? 0 : scale * dot(q, k, c->D) / sum;
    case ATT_MECHANISM_LOCATION:
        for (int64_t d = 0; d < c->D; d++) sum += q[d] * mechanism_get(&in->w_score, d * (c->Tk + 1) + j);
        return sum;
    case ATT_MECHANISM_RELATIVE: {
        int64_t n = j - i < -3 ? -3 : j - i > 3 ? 3 : j - i;
        return mechanism_get(&in->core.relative, h * 7 + 3 + n);
    }
    default: return 0;
    }
}

static int64_t keys_of(const mechanism_run *run, int64_t b)
{
    const att_view *n = &run->in.core.key_lengths;
    return n->data ? ((const int32_t *)n->data)[b] : run->c.Tk;
}

/* p_i */
static double centre(const mechanism_run *run, int64_t b, int64_t h, int64_t i)
{
    const att_view *w = &run->in.w_centre, none = {0};
    double q[WIDEST], z = 0;
    if (run->in.core.centre.data) return mechanism_get(&run->in.core.centre, (b * run->c.Hq + h) * run->c.Tq + i);
    if (!w->data) return (double)i;
    row_of(run, &run->in.core.q, &none, &none, run->c.apart ? h : 0, w->dim[0], b, i, q);
    for (int64_t m = 0; m < w->dim[1]; m++) {
        double sum = 0;
        for (int64_t d = 0; d < w->dim[0]; d++) sum += q[d] * mechanism_get(w, d * w->dim[1] + m);
        z += mechanism_get(&run->in.v_centre, m) * tanh(sum);
    }
    return (double)keys_of(run, b) / (1 + exp(-z));
}

/* What the window makes of weight j: 0 hides the key, and the softmax does not see it when `visible` becomes false. */
static double window(const mechanism_run *run, double p, int64_t j, bool *visible)
{
    const att_mechanism_desc *d = &run->c.desc;
    double D = (double)d->core.half_width, sigma = d->core.sigma != 0 ? (double)d->core.sigma : D / 2,
           far = (double)j - p;
    *visible = d->local == ATT_LOCAL_NONE || d->core.untruncated || fabs(far) <= D;
    return d->local == ATT_LOCAL_PREDICTIVE ? exp(-far * far / (2 * sigma * sigma)) : 1;
}

/* The weights of one row into w[Tk]. */
static void weights(const mechanism_run *run, int64_t b, int64_t h, int64_t i, double *w)
{
    const mechanism_case *c = &run->c;
    const att_mechanism_in *in = &run->in;
    att_view wq = in->w_query, wk = in->w_key, none = {0};
    const att_view *keys = in->core.k.data ? &in->core.k : &in->core.v;
    double q[WIDEST], k[WIDEST], sum = 0, p = centre(run, b, h, i);
    int64_t hkv = h / (c->Hq / c->Hkv);
    if (c->desc.kind == ATT_MECHANISM_GENERAL) wq = in->w_score;
    if (c->desc.kind == ATT_MECHANISM_CONCAT) {
        int64_t Cq = in->core.q.dim[in->core.q.ndim - 1];
        wq = att_view_slice(&in->w_score, 0, 0, Cq);
        wk = att_view_slice(&in->w_score, 0, Cq, in->w_score.dim[0]);
    }
    row_of(run, &in->core.q, &wq, &in->b_query, h, c->D, b, i, q);
    for (int64_t j = 0; j < c->Tk; j++) {
        bool visible;
        double fall = window(run, p, j, &visible);
        w[j] = 0;
        if (!visible || j >= keys_of(run, b)) continue;
        row_of(run, keyed(run) ? keys : &in->core.v, &wk, in->b_key.data ? &in->b_key : &none, hkv,
               keyed(run) ? c->D : 1, b, j, k);
        for (int64_t d = 0; in->coverage.data && d < c->D; d++)
            k[d] += mechanism_get(&in->coverage, (b * c->Hkv + hkv) * c->Tk + j) * mechanism_get(&in->w_coverage, d);
        w[j] = exp(score(run, q, k, h, i, j, (b * c->Hq + h) * c->Tq + i));
        sum += w[j];
        w[j] *= fall;
    }
    for (int64_t j = 0; j < c->Tk; j++) w[j] = sum > 0 ? w[j] / sum : 0;
}

double *mechanism_formula(const mechanism_run *run)
{
    const mechanism_case *c = &run->c;
    const att_mechanism_in *in = &run->in;
    int64_t C = in->w_output.data ? in->w_output.dim[1] : 0;
    double *o = calloc((size_t)(c->B * c->Hq * c->Tq * c->Dv + 1), sizeof *o), v[WIDEST], w[WIDEST];
    double *joined = calloc((size_t)(c->B * c->Tq * C + 1), sizeof *joined);
    for (int64_t b = 0; b < c->B; b++)
        for (int64_t h = 0; h < c->Hq; h++)
            for (int64_t i = 0; i < c->Tq; i++) {
                double *to = o + (c->apart ? (b * c->Hq + h) * c->Tq + i : (b * c->Tq + i) * c->Hq + h) * c->Dv;
                weights(run, b, h, i, w);
                for (int64_t j = 0; j < c->Tk; j++) {
                    row_of(run, &in->core.v, &in->w_value, &in->b_value, h / (c->Hq / c->Hkv), c->Dv, b, j, v);
                    for (int64_t d = 0; d < c->Dv; d++) to[d] += w[j] * v[d];
                }
            }
    for (int64_t r = 0; r < c->B * c->Tq * (C > 0); r++)
        for (int64_t n = 0; n < C; n++) {
            joined[r * C + n] = mechanism_get(&in->b_output, n);
            for (int64_t d = 0; d < c->Hq * c->Dv; d++)
                joined[r * C + n] += o[r * c->Hq * c->Dv + d] * mechanism_get(&in->w_output, d * C + n);
        }
    free(C ? o : joined);
    return C ? joined : o;
}
