/* The numbers of Keras's attention layers and of PyTorch's scaled_dot_product_attention, from the files that
 * attention_golden.py made: one test for each case, in double and by every instruction set in float. */
#include "op/attention_case.h"

#include <jansson.h>

typedef struct golden { /* one run of one case; arrays are double, except what attention gets */
    const json_t *entry;
    att_dtype dtype;
    double tolerance;
    att_attention_desc desc;
    att_attention_in in;
    att_attention_out out;
    att_attention_grad grad;
    void *block[64];
    int blocks;
} golden;

static const char *name_of(const golden *g)
{
    return json_string_value(json_object_get(g->entry, "name"));
}

static bool flag(const golden *g, const char *key)
{
    return json_is_true(json_object_get(g->entry, key));
}

/* ---- arrays ---- */

static att_view tensor(golden *g, att_dtype dtype, int ndim, const int64_t *dim)
{
    att_view v = att_view_dense(NULL, dtype, ndim, dim);
    v.data = g->block[g->blocks++] = calloc((size_t)att_view_count(&v) + 1, att_dtype_bytes(dtype));
    return v;
}

/* The array of this name, absent where the case has none. null stands for -inf. */
static att_view load(golden *g, const char *group, const char *name, att_dtype dtype)
{
    const json_t *a = json_object_get(json_object_get(g->entry, group), name), *shape = json_object_get(a, "shape");
    const json_t *data = json_object_get(a, "data");
    int64_t dim[ATT_MAX_DIMS];
    if (!a) return (att_view){0};
    for (size_t d = 0; d < json_array_size(shape); d++) dim[d] = json_integer_value(json_array_get(shape, d));
    att_view v = tensor(g, dtype, (int)json_array_size(shape), dim);
    for (size_t i = 0; i < json_array_size(data); i++) {
        const json_t *x = json_array_get(data, i);
        if (dtype == ATT_U8)
            ((uint8_t *)v.data)[i] = (uint8_t)json_integer_value(x);
        else
            attention_set(&v, (int64_t)i, json_is_null(x) ? -INFINITY : json_number_value(x));
    }
    return v;
}

static att_view like(golden *g, const att_view *v)
{
    return v->data ? tensor(g, v->dtype, v->ndim, v->dim) : (att_view){0};
}

/* times * got is the peer's array of this name, if it has one. */
static void expect(golden *g, const char *name, const att_view *got, double times)
{
    att_view want = load(g, "out", name, ATT_F64);
    if (!want.data) return;
    assert_int_equal(att_view_count(&want), att_view_count(got));
    for (int64_t i = 0; i < att_view_count(&want); i++) {
        double x = times * attention_get(got, i), y = attention_get(&want, i);
        if (!(fabs(x - y) <= g->tolerance * fmax(1, fabs(y))))
            fail_msg("%s: %s[%lld] is %.15g, expected %.15g", name_of(g), name, (long long)i, x, y);
    }
}

static void expect_number(golden *g, const char *name, double got)
{
    att_view v = att_view_1d(&got, ATT_F64, 1);
    v.ndim = 0;
    expect(g, name, &v, 1);
}

static double dot(const att_view *a, const att_view *b)
{
    double sum = 0;
    for (int64_t i = 0; i < att_view_count(a); i++) sum += attention_get(a, i) * attention_get(b, i);
    return sum;
}

static void add_to(const att_view *y, const att_view *x)
{
    for (int64_t i = 0; i < att_view_count(y); i++) attention_set(y, i, attention_get(y, i) + attention_get(x, i));
}

/* ---- attention ---- */

static att_attention_desc desc_of(const json_t *entry)
{
    const json_t *d = json_object_get(entry, "desc"), *window = json_object_get(d, "window");
    const char *masked = json_string_value(json_object_get(d, "masked"));
    att_attention_desc desc = {.scale = (float)json_number_value(json_object_get(d, "scale")),
                               .q_offset = json_integer_value(json_object_get(d, "q_offset"))};
    if (strcmp(json_string_value(json_object_get(d, "score")), "additive") == 0) desc.score = ATT_SCORE_ADDITIVE;
    if (json_is_true(json_object_get(d, "causal"))) desc.window = ATT_WINDOW_CAUSAL;
    if (masked && strcmp(masked, "uniform") == 0) desc.masked_rows = ATT_MASKED_UNIFORM;
    if (window) {
        desc.window = ATT_WINDOW_BAND;
        desc.left = json_integer_value(json_array_get(window, 0));
        desc.right = json_integer_value(json_array_get(window, 1));
    }
    return desc;
}

/* Everything but q, k, v and d_o. */
static void prepare(golden *g)
{
    att_attention_in *in = &g->in;
    g->desc = desc_of(g->entry);
    in->mask = load(g, "in", "mask", ATT_U8);
    in->query_mask = load(g, "in", "query_mask", ATT_U8);
    in->bias = load(g, "in", "bias", g->dtype);
    in->score_w = load(g, "in", "score_w", g->dtype);
    const int64_t B = in->q.dim[0], H = in->q.dim[1], Tq = in->q.dim[2], Tk = in->k.dim[2], Dv = in->v.dim[3];
    g->out.o = tensor(g, g->dtype, 4, (int64_t[]){B, H, Tq, Dv});
    g->out.lse = tensor(g, g->dtype, 3, (int64_t[]){B, H, Tq});
    g->out.weights = tensor(g, g->dtype, 4, (int64_t[]){B, H, Tq, Tk});
    g->grad.dq = like(g, &in->q);
    g->grad.dk = like(g, &in->k);
    g->grad.dv = like(g, &in->v);
    g->grad.dbias = like(g, &in->bias);
    g->grad.dscore_w = like(g, &in->score_w);
}

static att_span workspace_of(golden *g, const att_exec *exec)
{
    size_t bytes = 0;
    assert_ok(att_attention_workspace(&g->desc, exec, &g->in, &bytes));
    bytes = (bytes + 63) / 64 * 64 + 64;
    att_span span = {g->block[g->blocks++] = aligned_alloc(64, bytes), bytes};
    return span;
}

static void forward(golden *g, const att_exec *exec)
{
    assert_ok(att_attention_forward(&g->desc, exec, &g->out, &g->in, workspace_of(g, exec)));
}

static void backward(golden *g, const att_exec *exec)
{
    assert_ok(att_attention_backward(&g->desc, exec, &g->grad, &g->out, &g->in, workspace_of(g, exec)));
}

static void scale_all(const att_view *v, double times)
{
    for (int64_t i = 0; i < att_view_count(v); i++) attention_set(v, i, times * attention_get(v, i));
}

/* q and k are multiplied by `times` first (Keras's concat has its scale inside tanh). As e is linear in `scale`, its
 * gradient is sum(q dq) / scale; in the same way that of `times` is sum(q dq + k dk) / times. */
static void run_plain(golden *g, const att_exec *exec)
{
    double times = json_number_value(json_object_get(g->entry, "times"));
    g->in.q = load(g, "in", "q", g->dtype);
    g->in.k = load(g, "in", "k", g->dtype);
    g->in.v = load(g, "in", "v", g->dtype);
    g->grad.d_o = load(g, "in", "d_o", g->dtype);
    scale_all(&g->in.q, times);
    scale_all(&g->in.k, times);
    prepare(g);
    forward(g, exec);
    backward(g, exec);
    expect(g, "o", &g->out.o, 1);
    expect(g, "weights", &g->out.weights, 1);
    expect(g, "dq", &g->grad.dq, times);
    expect(g, "dk", &g->grad.dk, times);
    expect(g, "dv", &g->grad.dv, 1);
    expect(g, "dbias", &g->grad.dbias, 1);
    expect(g, "dscore_w", &g->grad.dscore_w, 1);
    double sum = 0;
    for (int64_t i = 0; g->grad.dscore_w.data && i < att_view_count(&g->grad.dscore_w); i++)
        sum += attention_get(&g->grad.dscore_w, i);
    expect_number(g, "dscore_w_sum", sum);
    expect_number(g, "dscale", dot(&g->in.q, &g->grad.dq) / (double)g->desc.scale);
    expect_number(g, "dtimes", (dot(&g->in.q, &g->grad.dq) + dot(&g->in.k, &g->grad.dk)) / times);
    if (!json_object_get(json_object_get(g->entry, "out"), "dkv")) return;
    scale_all(&g->grad.dk, times);
    add_to(&g->grad.dv, &g->grad.dk);
    expect(g, "dkv", &g->grad.dv, 1);
}

/* ---- layers with projections ---- */

/* y[b,h,t,d] = sum_c x[b,t,c] W[c,h,d] + bias[h,d] */
static att_view project(golden *g, const att_view *x, const att_view *W, const att_view *bias)
{
    int64_t B = x->dim[0], T = x->dim[1], C = x->dim[2], H = W->dim[1], D = W->dim[2];
    att_view y = tensor(g, g->dtype, 4, (int64_t[]){B, H, T, D});
    for (int64_t n = 0; n < B * T; n++)
        for (int64_t m = 0; m < H * D; m++) {
            double sum = bias->data ? attention_get(bias, m) : 0;
            for (int64_t c = 0; c < C; c++) sum += attention_get(x, n * C + c) * attention_get(W, c * H * D + m);
            attention_set(&y, ((n / T * H + m / D) * T + n % T) * D + m % D, sum);
        }
    return y;
}

/* From dy: dx += dy W^T, and dW, dbias, compared as "dWq", "dbq" for 'q'. */
static void project_bwd(golden *g, char which, const att_view *dy, const att_view *x, const att_view *W,
                        const att_view *dx)
{
    int64_t B = x->dim[0], T = x->dim[1], C = x->dim[2], H = W->dim[1], D = W->dim[2];
    att_view dW = like(g, W), dbias = tensor(g, ATT_F64, 2, (int64_t[]){H, D});
    for (int64_t n = 0; n < B * T; n++)
        for (int64_t m = 0; m < H * D; m++) {
            double up = attention_get(dy, ((n / T * H + m / D) * T + n % T) * D + m % D);
            attention_set(&dbias, m, attention_get(&dbias, m) + up);
            for (int64_t c = 0; c < C; c++) {
                int64_t at_x = n * C + c, at_w = c * H * D + m;
                attention_set(&dW, at_w, attention_get(&dW, at_w) + up * attention_get(x, at_x));
                attention_set(dx, at_x, attention_get(dx, at_x) + up * attention_get(W, at_w));
            }
        }
    expect(g, (char[]){'d', 'W', which, 0}, &dW, 1);
    expect(g, (char[]){'d', 'b', which, 0}, &dbias, 1);
}

typedef struct output { /* y[b,t,:] = sum_hd o[b,h,t,d] gate[b,h,t,d] W[h,d,:] + bias */
    att_view W, bias, gate, dgate, dW, dbias;
} output;

static double gate_at(const output *out, int64_t at)
{
    return out->gate.data ? attention_get(&out->gate, at) : 1;
}

static void project_output(golden *g, const output *out)
{
    const att_view *o = &g->out.o;
    int64_t B = o->dim[0], H = o->dim[1], T = o->dim[2], D = o->dim[3], C = out->W.dim[2];
    att_view y = tensor(g, ATT_F64, 3, (int64_t[]){B, T, C});
    for (int64_t e = 0; e < B * T * C; e++) {
        int64_t c = e % C, t = e / C % T, b = e / C / T;
        double sum = out->bias.data ? attention_get(&out->bias, c) : 0;
        for (int64_t m = 0; m < H * D; m++) {
            int64_t at = ((b * H + m / D) * T + t) * D + m % D;
            sum += attention_get(o, at) * gate_at(out, at) * attention_get(&out->W, m * C + c);
        }
        attention_set(&y, e, sum);
    }
    expect(g, "o", &y, 1);
}

/* d_o, dgate (of what goes into the sigmoid), dW, dbias from dy (B,T,C). */
static void project_output_bwd(golden *g, output *out, const att_view *dy)
{
    const att_view *o = &g->out.o;
    int64_t H = o->dim[1], T = o->dim[2], D = o->dim[3], C = out->W.dim[2];
    g->grad.d_o = like(g, o);
    out->dW = like(g, &out->W);
    out->dbias = tensor(g, ATT_F64, 1, &C);
    out->dgate = like(g, &out->gate);
    for (int64_t at = 0; at < att_view_count(o); at++) {
        int64_t d = at % D, t = at / D % T, h = at / D / T % H, b = at / D / T / H;
        double sum = 0, s = gate_at(out, at), value = attention_get(o, at);
        for (int64_t c = 0; c < C; c++) {
            double up = attention_get(dy, (b * T + t) * C + c);
            int64_t w = (h * D + d) * C + c;
            sum += up * attention_get(&out->W, w);
            attention_set(&out->dW, w, attention_get(&out->dW, w) + up * value * s);
            if (h == 0 && d == 0) attention_set(&out->dbias, c, attention_get(&out->dbias, c) + up);
        }
        attention_set(&g->grad.d_o, at, sum * s);
        if (out->gate.data) attention_set(&out->dgate, at, sum * value * s * (1 - s));
    }
    expect(g, "dWo", &out->dW, 1);
    expect(g, "dbo", &out->dbias, 1);
}

static att_view kernel(golden *g, char letter, char which)
{
    return load(g, "in", (char[]){letter, which, 0}, ATT_F64);
}

static void run_layer(golden *g, const att_exec *exec)
{
    att_view query = load(g, "in", "query", ATT_F64), value = load(g, "in", "value", ATT_F64);
    att_view key = load(g, "in", "key", ATT_F64), dy = load(g, "in", "d_o", ATT_F64);
    att_view dquery = like(g, &query), dvalue = like(g, &value), dkey = like(g, &key);
    if (flag(g, "self")) value = query, dvalue = dquery; /* shared memory: the gradients add up */
    if (!key.data) key = value, dkey = dvalue;
    att_view Wq = kernel(g, 'W', 'q'), Wk = kernel(g, 'W', 'k'), Wv = kernel(g, 'W', 'v'), Wg = kernel(g, 'W', 'g');
    att_view bq = kernel(g, 'b', 'q'), bk = kernel(g, 'b', 'k'), bv = kernel(g, 'b', 'v'), bg = kernel(g, 'b', 'g');
    output out = {.W = kernel(g, 'W', 'o'), .bias = kernel(g, 'b', 'o')};
    g->in.q = project(g, &query, &Wq, &bq);
    g->in.k = project(g, &key, &Wk, &bk);
    g->in.v = project(g, &value, &Wv, &bv);
    if (Wg.data) out.gate = project(g, &query, &Wg, &bg);
    for (int64_t i = 0; Wg.data && i < att_view_count(&out.gate); i++)
        attention_set(&out.gate, i, 1 / (1 + exp(-attention_get(&out.gate, i))));
    prepare(g);
    forward(g, exec);
    project_output(g, &out);
    expect(g, "weights", &g->out.weights, 1);
    project_output_bwd(g, &out, &dy);
    backward(g, exec);
    project_bwd(g, 'q', &g->grad.dq, &query, &Wq, &dquery);
    project_bwd(g, 'k', &g->grad.dk, &key, &Wk, &dkey);
    project_bwd(g, 'v', &g->grad.dv, &value, &Wv, &dvalue);
    if (Wg.data) project_bwd(g, 'g', &out.dgate, &query, &Wg, &dquery);
    expect(g, "dquery", &dquery, 1);
    expect(g, "dvalue", &dvalue, 1);
    expect(g, "dkey", &dkey, 1);
}

/* ---- the cases ---- */

static void run(const json_t *entry, att_dtype dtype, att_isa isa, double tolerance)
{
    golden g = {.entry = entry, .dtype = dtype, .tolerance = tolerance};
    if (flag(&g, "layer"))
        run_layer(&g, &(att_exec){.isa = isa});
    else
        run_plain(&g, &(att_exec){.isa = isa});
    while (g.blocks > 0) free(g.block[--g.blocks]);
}

static void the_peers_numbers(void **state)
{
    const json_t *entry = *state;
    att_isa isa[8];
    int isas = testable_isas(isa);
    run(entry, ATT_F64, ATT_ISA_REF, json_is_true(json_object_get(entry, "float32")) ? 2e-6 : 1e-12);
    for (int i = 0; i < isas; i++) run(entry, ATT_F32, isa[i], 2e-5);
}

static size_t add_cases(const char *path, struct CMUnitTest *tests, size_t n, size_t most, json_t **root)
{
    json_error_t error;
    json_t *entry;
    size_t i;
    *root = json_load_file(path, 0, &error);
    if (!*root) {
        fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        exit(1);
    }
    json_array_foreach(json_object_get(*root, "cases"), i, entry)
    {
        if (n == most) exit(1);
        tests[n++] = (struct CMUnitTest){.name = json_string_value(json_object_get(entry, "name")),
                                         .test_func = the_peers_numbers,
                                         .initial_state = entry};
    }
    return n;
}

int main(void)
{
    struct CMUnitTest tests[128];
    json_t *keras, *torch;
    size_t n = add_cases(TEST_DIR "/op/golden/attention_keras.json", tests, 0, 128, &keras);
    n = add_cases(TEST_DIR "/op/golden/attention_torch.json", tests, n, 128, &torch);
    int failed = _cmocka_run_group_tests("attention_golden", tests, n, NULL, NULL);
    json_decref(keras);
    json_decref(torch);
    return failed;
}
