#include "op/attention_case.h"

static void *element(const att_view *v, int64_t index)
{
    int64_t at = 0;
    for (int a = v->ndim - 1; a >= 0; a--) {
        at += index % v->dim[a] * v->stride[a];
        index /= v->dim[a];
    }
    return (char *)v->data + at * (int64_t)att_dtype_bytes(v->dtype);
}

double attention_get(const att_view *v, int64_t index)
{
    const void *p = element(v, index);
    return v->dtype == ATT_F64 ? *(const double *)p : (double)*(const float *)p;
}

void attention_set(const att_view *v, int64_t index, double value)
{
    void *p = element(v, index);
    if (v->dtype == ATT_F64)
        *(double *)p = value;
    else
        *(float *)p = (float)value;
}

void attention_fill(const att_view *v, double value)
{
    for (int64_t i = 0; i < att_view_count(v); i++) attention_set(v, i, value);
}

double *attention_values(const att_view *v)
{
    int64_t n = att_view_count(v);
    double *out = malloc((size_t)(n + 1) * sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        out[i] = attention_get(v, i);
        if (isinf(out[i]) && out[i] < 0) out[i] = -1e30;
    }
    return out;
}

static void *take(attention_run *run, size_t bytes)
{
    void *p = guard_alloc(bytes);
    run->block[run->blocks] = p;
    run->block_bytes[run->blocks++] = bytes;
    return p;
}

static att_view tensor(attention_run *run, int ndim, const int64_t *dim)
{
    att_view v = att_view_dense(NULL, run->dtype, ndim, dim);
    v.data = take(run, (size_t)att_view_count(&v) * att_dtype_bytes(run->dtype));
    return v;
}

/* (B,H,T,D), in memory (T,B,H,D) when the case says so. */
static att_view keyed(attention_run *run, int64_t width)
{
    const attention_case *c = &run->c;
    if (!(c->with & TIME_MAJOR)) return tensor(run, 4, (int64_t[]){c->B, c->Hkv, c->Tk, width});
    att_view v = tensor(run, 4, (int64_t[]){c->Tk, c->B, c->Hkv, width});
    v = att_view_transpose(&v, 0, 1);
    return att_view_transpose(&v, 1, 2);
}

static void draw(const att_view *v, uint64_t seed, double scale)
{
    att_random r = {.seed = seed};
    for (int64_t i = 0; i < att_view_count(v); i++)
        attention_set(v, i, (double)(float)(scale * (2 * att_random_uniform(&r) - 1)));
}

static att_view visible(attention_run *run, int ndim, const int64_t *dim)
{
    att_view v = att_view_dense(NULL, ATT_U8, ndim, dim);
    v.data = take(run, (size_t)att_view_count(&v));
    att_random r = {.seed = 77};
    for (int64_t i = 0; i < att_view_count(&v); i++) ((uint8_t *)v.data)[i] = att_random_below(&r, 3) > 0 ? 3 : 0;
    return v;
}

static void create_inputs(attention_run *run)
{
    const attention_case *c = &run->c;
    att_attention_in *in = &run->in;
    double spread = c->spread > 0 ? (double)c->spread : 1.0;
    in->q = tensor(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, c->D});
    in->k = keyed(run, c->D);
    in->v = keyed(run, c->Dv);
    draw(&in->q, 1, spread);
    draw(&in->k, 2, spread);
    draw(&in->v, 3, 1);
    if (c->with & WITH_SCORE_W) {
        in->score_w = tensor(run, 1, &c->D);
        draw(&in->score_w, 4, 1);
    }
    if (c->with & WITH_MASK) {
        in->mask = visible(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, c->Tk});
        memset(in->mask.data, 0, (size_t)c->Tk);
    }
    if (c->with & WITH_KEY_MASK) in->mask = visible(run, 4, (int64_t[]){c->B, 1, 1, c->Tk});
    if (c->with & WITH_BIAS) {
        in->bias = tensor(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, c->Tk});
        draw(&in->bias, 5, 2);
        for (int64_t i = 0; i < att_view_count(&in->bias); i += 7) attention_set(&in->bias, i, -INFINITY);
    }
    if (c->with & WITH_SHARED_BIAS) {
        in->bias = tensor(run, 2, (int64_t[]){c->Tq, c->Tk});
        draw(&in->bias, 6, 2);
    }
    if (c->with & WITH_LENGTHS) {
        in->key_lengths = att_view_1d(take(run, (size_t)c->B * sizeof(int32_t)), ATT_I32, c->B);
        att_random r = {.seed = 8};
        for (int64_t b = 0; b < c->B; b++)
            ((int32_t *)in->key_lengths.data)[b] = b == 1 ? 0 : 1 + (int32_t)att_random_below(&r, (uint64_t)c->Tk);
    }
}

void attention_create(attention_run *run, const attention_case *c, att_dtype dtype)
{
    *run = (attention_run){.c = *c, .dtype = dtype};
    create_inputs(run);
    run->out.o = tensor(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, c->Dv});
    run->out.lse = tensor(run, 3, (int64_t[]){c->B, c->Hq, c->Tq});
    if (c->with & WITH_WEIGHTS) {
        run->out.weights = tensor(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, c->Tk});
        attention_fill(&run->out.weights, NAN);
    }
    attention_fill(&run->out.o, NAN);
    attention_fill(&run->out.lse, NAN);
    att_attention_grad *g = &run->grad;
    g->d_o = tensor(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, c->Dv});
    draw(&g->d_o, 9, 1);
    g->dq = tensor(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, c->D});
    g->dk = keyed(run, c->D);
    g->dv = keyed(run, c->Dv);
    if (c->with & WITH_SCORE_W) g->dscore_w = tensor(run, 1, &c->D);
    if (c->with & (WITH_BIAS | WITH_SHARED_BIAS)) g->dbias = tensor(run, run->in.bias.ndim, run->in.bias.dim);
    att_view *out[] = {&g->dq, &g->dk, &g->dv, &g->dscore_w, &g->dbias};
    for (size_t i = 0; i < sizeof out / sizeof *out; i++)
        if (out[i]->data) attention_fill(out[i], 0);
    if (c->with & WITH_PREPARED) run->prepared = keyed(run, c->D);
}

void attention_destroy(attention_run *run)
{
    while (run->blocks > 0) {
        run->blocks--;
        guard_free(run->block[run->blocks], run->block_bytes[run->blocks]);
    }
}

typedef att_status (*runner)(attention_run *run, const att_exec *exec, att_span workspace);

static att_status with_workspace(attention_run *run, const att_exec *exec, runner call)
{
    if (run->prepared.data && run->dtype == ATT_F32) {
        assert_ok(att_attention_prepare_keys(exec, &run->prepared, &run->in.k));
        run->in.k_prepared = run->prepared;
    }
    size_t bytes = 0;
    assert_ok(att_attention_workspace(&run->c.desc, exec, &run->in, &bytes));
    att_span workspace = {guard_alloc(bytes), bytes};
    memset(workspace.data, 0xff, bytes); /* NaN: nothing may be taken for zero */
    att_status st = call(run, exec, workspace);
    guard_free(workspace.data, bytes);
    return st;
}

static att_status run_forward(attention_run *run, const att_exec *exec, att_span workspace)
{
    return att_attention_forward(&run->c.desc, exec, &run->out, &run->in, workspace);
}

static att_status run_backward(attention_run *run, const att_exec *exec, att_span workspace)
{
    return att_attention_backward(&run->c.desc, exec, &run->grad, &run->out, &run->in, workspace);
}

att_status attention_forward(attention_run *run, const att_exec *exec)
{
    return with_workspace(run, exec, run_forward);
}

att_status attention_backward(attention_run *run, const att_exec *exec)
{
    return with_workspace(run, exec, run_backward);
}
