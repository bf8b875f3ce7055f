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
    if (v->dtype == ATT_I32) return *(const int32_t *)p;
    return v->dtype == ATT_F64 ? *(const double *)p : (double)*(const float *)p;
}

void attention_set(const att_view *v, int64_t index, double value)
{
    void *p = element(v, index);
    if (v->dtype == ATT_I32)
        *(int32_t *)p = (int32_t)value;
    else if (v->dtype == ATT_F64)
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

static att_view drawn(attention_run *run, int ndim, const int64_t *dim, uint64_t seed, double scale)
{
    att_view v = tensor(run, ndim, dim);
    draw(&v, seed, scale);
    return v;
}

static att_view integers(attention_run *run, int ndim, const int64_t *dim)
{
    att_view v = att_view_dense(NULL, ATT_I32, ndim, dim);
    v.data = take(run, (size_t)att_view_count(&v) * sizeof(int32_t));
    return v;
}

static att_view visible(attention_run *run, int ndim, const int64_t *dim)
{
    att_view v = att_view_dense(NULL, ATT_U8, ndim, dim);
    v.data = take(run, (size_t)att_view_count(&v));
    att_random r = {.seed = 77};
    for (int64_t i = 0; i < att_view_count(&v); i++) ((uint8_t *)v.data)[i] = att_random_below(&r, 3) > 0 ? 3 : 0;
    return v;
}

static void create_positions(attention_run *run)
{
    const attention_case *c = &run->c;
    run->in.q_positions = integers(run, 2, (int64_t[]){c->B, c->Tq});
    run->in.k_positions = integers(run, 2, (int64_t[]){1, c->Tk});
    for (int64_t i = 0; i < c->B * c->Tq; i++)
        attention_set(&run->in.q_positions, i, (double)(i * 7 % (c->Tk + 3) - 2));
    for (int64_t j = 0; j < c->Tk; j++) attention_set(&run->in.k_positions, j, (double)(j * 5 % (c->Tk + 1) / 2 * 2));
}

/* Blocks of queries see every block of keys but each third one; the second block of queries sees nothing. */
static void create_blocks(attention_run *run)
{
    const attention_case *c = &run->c;
    int64_t rows = (c->Tq + c->desc.block - 1) / c->desc.block, columns = (c->Tk + c->desc.block - 1) / c->desc.block;
    int32_t *start = malloc((size_t)(rows + 1) * sizeof *start), n = 0;
    int32_t *key = malloc((size_t)(rows * columns + 1) * sizeof *key);
    for (int64_t r = 0; r < rows; r++) {
        start[r] = n;
        for (int64_t k = 0; r != 1 && k < columns; k++)
            if ((r + k) % 3 != 2) key[n++] = (int32_t)k;
    }
    start[rows] = n;
    run->in.block_starts = integers(run, 1, (int64_t[]){rows + 1});
    run->in.block_keys = integers(run, 1, (int64_t[]){n});
    memcpy(run->in.block_starts.data, start, (size_t)(rows + 1) * sizeof *start);
    memcpy(run->in.block_keys.data, key, (size_t)n * sizeof *key);
    free(start);
    free(key);
}

static void create_places(attention_run *run)
{
    const attention_case *c = &run->c;
    att_attention_in *in = &run->in;
    if (c->with & WITH_QUERY_MASK) in->query_mask = visible(run, 2, (int64_t[]){c->B, c->Tq});
    if (c->with & WITH_POSITIONS) create_positions(run);
    if (c->desc.block > 0) create_blocks(run);
    if (c->with & WITH_SLOPES) {
        in->slopes = tensor(run, 1, &c->Hq);
        for (int64_t h = 0; h < c->Hq; h++) attention_set(&in->slopes, h, ldexp(1, -(int)h - 1));
    }
    if (c->with & (WITH_RELATIVE | SHARED_RELATIVE)) {
        int64_t R = c->desc.relative == ATT_RELATIVE_CLIP ? 7 : 8;
        in->relative = drawn(run, 2, (int64_t[]){c->with & SHARED_RELATIVE ? 1 : c->Hq, R}, 10, 1);
    }
    if (c->with & WITH_SINKS) in->sinks = drawn(run, 1, &c->Hq, 11, 1);
    if (c->desc.window == ATT_WINDOW_GAUSS) {
        in->centre = drawn(run, 3, (int64_t[]){c->B, c->Hq, c->Tq}, 12, (double)c->Tk / 2);
        for (int64_t i = 0; i < att_view_count(&in->centre); i++)
            attention_set(&in->centre, i, attention_get(&in->centre, i) + (double)c->Tk / 2);
    }
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

/* Zeroed, of x's shape; absent when x is. */
static att_view gradient_of(attention_run *run, const att_view *x)
{
    if (!x->data) return (att_view){0};
    att_view v = tensor(run, x->ndim, x->dim);
    attention_fill(&v, 0);
    return v;
}

static void create_gathered(attention_run *run)
{
    const attention_case *c = &run->c;
    run->out.entropy = tensor(run, 3, (int64_t[]){c->B, c->Hq, c->Tq});
    run->out.top_keys = integers(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, 3});
    run->out.top_weights = tensor(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, 3});
    run->out.column_sums = tensor(run, 3, (int64_t[]){c->B, c->Hq, c->Tk});
    attention_fill(&run->out.entropy, NAN);
    attention_fill(&run->out.top_keys, -7);
    attention_fill(&run->out.top_weights, NAN);
    attention_fill(&run->out.column_sums, NAN);
}

static void create_gradients(attention_run *run)
{
    const attention_case *c = &run->c;
    att_attention_grad *g = &run->grad;
    g->d_o = drawn(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, c->Dv}, 9, 1);
    g->dq = gradient_of(run, &run->in.q);
    g->dk = keyed(run, c->D);
    g->dv = keyed(run, c->Dv);
    attention_fill(&g->dk, 0);
    attention_fill(&g->dv, 0);
    g->dscore_w = gradient_of(run, &run->in.score_w);
    g->dbias = gradient_of(run, &run->in.bias);
    g->dsinks = gradient_of(run, &run->in.sinks);
    g->drelative = gradient_of(run, &run->in.relative);
    g->dcentre = gradient_of(run, &run->in.centre);
    if (c->desc.estimator != ATT_ESTIMATOR_REINFORCE) return;
    g->d_log_prob = drawn(run, 3, (int64_t[]){c->B, c->Hq, c->Tq}, 13, 1);
    g->d_entropy = drawn(run, 3, (int64_t[]){c->B, c->Hq, c->Tq}, 14, 1);
}

void attention_create(attention_run *run, const attention_case *c, att_dtype dtype)
{
    *run = (attention_run){.c = *c, .dtype = dtype};
    create_inputs(run);
    create_places(run);
    run->out.o = tensor(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, c->Dv});
    if (!(c->with & WITHOUT_LSE)) {
        run->out.lse = tensor(run, 3, (int64_t[]){c->B, c->Hq, c->Tq});
        attention_fill(&run->out.lse, NAN);
    }
    if (c->with & WITH_WEIGHTS) {
        run->out.weights = tensor(run, 4, (int64_t[]){c->B, c->Hq, c->Tq, c->Tk});
        attention_fill(&run->out.weights, NAN);
    }
    attention_fill(&run->out.o, NAN);
    if (c->with & WITH_GATHERED) create_gathered(run);
    create_gradients(run);
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

typedef att_status needed_fn(const att_attention_desc *desc, const att_exec *exec, const att_attention_in *in,
                             size_t *bytes);

static att_status with_workspace(attention_run *run, const att_exec *exec, needed_fn *needed, runner call)
{
    if (run->prepared.data && run->dtype == ATT_F32) {
        assert_ok(att_attention_prepare_keys(exec, &run->prepared, &run->in.k));
        run->in.k_prepared = run->prepared;
    }
    size_t bytes = 0;
    assert_ok(needed(&run->c.desc, exec, &run->in, &bytes));
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
    return with_workspace(run, exec, att_attention_forward_workspace, run_forward);
}

att_status attention_backward(attention_run *run, const att_exec *exec)
{
    if (run->c.with & WITHOUT_LSE) return ATT_OK;
    return with_workspace(run, exec, att_attention_workspace, run_backward);
}

att_status attention_stage(attention_run *run, att_stage stage, const att_view *out)
{
    size_t bytes = 0;
    assert_ok(att_attention_forward_workspace(&run->c.desc, NULL, &run->in, &bytes));
    att_span workspace = {guard_alloc(bytes), bytes};
    bool known = run->out.lse.data && att_view_count(&run->out.lse) > 0 && !isnan(attention_get(&run->out.lse, 0));
    att_status st = att_attention_weights(&run->c.desc, NULL, stage, out, &run->in, NULL, NULL,
                                          known ? &run->out.lse : NULL, workspace);
    guard_free(workspace.data, bytes);
    return st;
}

/* ---- the lists ---- */

const char *const attention_result_names[ATTENTION_RESULTS] = {
    "o",  "lse", "weights",  "entropy", "top_keys", "top_weights", "column_sums", "dq",
    "dk", "dv",  "dscore_w", "dbias",   "dsinks",   "drelative",   "dcentre"};

void attention_results(const attention_run *run, att_view v[ATTENTION_RESULTS])
{
    const att_attention_out *out = &run->out;
    const att_attention_grad *g = &run->grad;
    const att_view all[ATTENTION_RESULTS] = {
        out->o, out->lse, out->weights, out->entropy, out->top_keys, out->top_weights, out->column_sums, g->dq,
        g->dk,  g->dv,    g->dscore_w,  g->dbias,     g->dsinks,     g->drelative,     g->dcentre};
    memcpy(v, all, sizeof all);
}

void attention_gradients(const attention_run *run, attention_pair pair[ATTENTION_GRADIENTS])
{
    const att_attention_in *in = &run->in;
    const att_attention_grad *g = &run->grad;
    const attention_pair all[ATTENTION_GRADIENTS] = {
        {"dq", in->q, g->dq},
        {"dk", in->k, g->dk},
        {"dv", in->v, g->dv},
        {"dscore_w", in->score_w, g->dscore_w},
        {"dbias", in->bias, g->dbias},
        {"dsinks", in->sinks, g->dsinks},
        {"drelative", in->relative, g->drelative},
        {"dcentre", in->centre, g->dcentre},
    };
    memcpy(pair, all, sizeof all);
}

/* ---- a score function of one's own ---- */

static double number(const void *p, att_dtype dtype, int64_t at)
{
    return dtype == ATT_F64 ? ((const double *)p)[at] : (double)((const float *)p)[at];
}

static void store(void *p, att_dtype dtype, int64_t at, double value)
{
    if (dtype == ATT_F64)
        ((double *)p)[at] = value;
    else
        ((float *)p)[at] = (float)value;
}

static void distance_forward(void *ctx, const att_tile *t, void *s)
{
    (void)ctx;
    for (int64_t r = 0; r < t->n; r++)
        for (int64_t c = 0; c < t->m; c++) {
            double sum = 0;
            for (int64_t d = 0; d < t->D; d++) {
                double off = number(t->q, t->dtype, r * t->q_step + d) - number(t->k, t->dtype, c * t->k_step + d);
                sum += off * off;
            }
            store(s, t->dtype, r * t->s_step + c, -sum / 2);
        }
}

/* forward: s = - sum_d (q_d - k_d)^2 / 2:  dq_d -= ds (q_d - k_d),  dk_d += ds (q_d - k_d). */
static void distance_backward(void *ctx, const att_tile *t, void *dq, void *dk, const void *ds)
{
    (void)ctx;
    for (int64_t r = 0; r < t->n; r++)
        for (int64_t c = 0; c < t->m; c++) {
            double g = number(ds, t->dtype, r * t->s_step + c);
            for (int64_t d = 0; g != 0 && d < t->D; d++) {
                int64_t at_q = r * t->q_step + d, at_k = c * t->k_step + d;
                double off = number(t->q, t->dtype, at_q) - number(t->k, t->dtype, at_k);
                if (dq) store(dq, t->dtype, at_q, number(dq, t->dtype, at_q) - g * off);
                if (dk) store(dk, t->dtype, at_k, number(dk, t->dtype, at_k) + g * off);
            }
        }
}

const att_score_function squared_distance = {distance_forward, distance_backward, NULL};
