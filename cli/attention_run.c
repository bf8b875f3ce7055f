/* attend attention, once the files are read: the descriptor, the calls, what is written and printed. */
#include <stdlib.h>

#include <attend/npy.h>

#include "attention.h"

/* ---- the descriptor ---- */

static const att_mechanism kinds[] = {
    [SCORE_SCALED_DOT] = ATT_MECHANISM_SCALED_DOT, [SCORE_DOT] = ATT_MECHANISM_DOT,
    [SCORE_ADDITIVE] = ATT_MECHANISM_ADDITIVE,     [SCORE_CONCAT] = ATT_MECHANISM_KERAS_CONCAT,
    [SCORE_GENERAL] = ATT_MECHANISM_GENERAL,       [SCORE_COSINE] = ATT_MECHANISM_COSINE,
    [SCORE_LOCATION] = ATT_MECHANISM_LOCATION,     [SCORE_NONE] = ATT_MECHANISM_NONE,
    [SCORE_RELATIVE] = ATT_MECHANISM_RELATIVE,     [SCORE_KERAS_CONCAT] = ATT_MECHANISM_KERAS_CONCAT,
    [SCORE_LUONG_CONCAT] = ATT_MECHANISM_CONCAT,
};

static bool keyless(att_mechanism kind)
{
    return kind == ATT_MECHANISM_LOCATION || kind == ATT_MECHANISM_NONE || kind == ATT_MECHANISM_RELATIVE;
}

/* `concat` with a matrix is Luong's; additive's --score-weight is its vector; keys that no score reads are left out. */
static void settle_score(attention_call *c)
{
    att_mechanism_in *a = &c->args;
    c->desc.kind = kinds[c->r->score];
    if (c->r->score == SCORE_CONCAT && a->w_score.data && a->w_score.ndim == 2) c->desc.kind = ATT_MECHANISM_CONCAT;
    if (c->desc.kind == ATT_MECHANISM_ADDITIVE) {
        if (a->w_score.data) a->core.score_w = a->w_score;
        a->w_score = (att_view){0};
    }
    if (keyless(c->desc.kind) && a->core.k.data) {
        cli_note("note: %s scores do not look at the keys", att_mechanism_name(c->desc.kind));
        a->core.k = (att_view){0};
    }
}

static void settle_window(const attention_call *c, att_mechanism_desc *d)
{
    const attention_request *r = c->r;
    int64_t Tq = c->args.core.q.dim[c->args.core.q.ndim - 2], Tk = c->args.core.v.dim[c->args.core.v.ndim - 2];
    d->core.q_offset = r->causal == CAUSAL_BOTTOM_RIGHT ? Tk - Tq : r->offset;
    if (r->causal) d->core.window = ATT_WINDOW_CAUSAL;
    if (r->window) {
        d->core.window = ATT_WINDOW_BAND;
        d->core.left = r->left;
        d->core.right = r->right;
    }
    d->core.half_width = (float)r->half_width;
    d->core.sigma = (float)r->sigma;
    d->core.untruncated = r->full;
    d->local = (att_local)r->local;
    if (r->local == ATT_LOCAL_PREDICTIVE && r->in[IN_CENTRE]) { /* already predicted */
        d->local = ATT_LOCAL_NONE;
        d->core.window = ATT_WINDOW_GAUSS;
    }
}

static void describe(attention_call *c)
{
    const attention_request *r = c->r;
    settle_score(c);
    c->desc.heads = r->heads;
    c->desc.kv_heads = r->kv_heads;
    c->desc.core = (att_attention_desc){.scale = (float)r->scale,
                                        .align = (att_align)r->align,
                                        .masked_rows = (att_masked)r->masked_rows,
                                        .softcap = (float)r->softcap,
                                        .dropout = (float)r->dropout,
                                        .seed = (uint64_t)cli.seed,
                                        .temperature = (float)r->temperature,
                                        .relative = (att_relative)r->relative_kind,
                                        .relative_distance = r->relative_distance,
                                        .estimator = (att_estimator)r->estimator,
                                        .block = r->block};
    settle_window(c, &c->desc);
}

/* ---- memory for results ---- */

static const char *shape_text(const att_view *v, char *text, size_t room)
{
    size_t n = (size_t)snprintf(text, room, "(");
    for (int a = 0; a < v->ndim && n < room; a++)
        n += (size_t)snprintf(text + n, room - n, a ? ", %lld" : "%lld", (long long)v->dim[a]);
    if (n < room) snprintf(text + n, room - n, v->ndim == 1 ? ",)" : ")");
    return text;
}

typedef struct result {
    const char *flag;
    att_view *view; /* of att_mechanism_out */
    int ndim;
    int64_t dim[4];
    att_dtype dtype;
    bool always;
} result;

static int new_results(attention_call *c)
{
    const att_mechanism_shape *s = &c->shape;
    att_mechanism_out *o = &c->results;
    att_dtype real = c->args.core.q.dtype;
    const result results[OUTPUTS] = {
        [OUT_OUTPUT] =
            {"output", &o->core.o, s->o_ndim, {s->o_dim[0], s->o_dim[1], s->o_dim[2], s->o_dim[3]}, real, true},
        [OUT_WEIGHTS] = {"weights", &o->core.weights, 4, {s->B, s->Hq, s->Tq, s->Tk}, real, false},
        [OUT_SCORES] = {"scores", NULL, 4, {s->B, s->Hq, s->Tq, s->Tk}, real, false},
        [OUT_LSE] = {"lse", &o->core.lse, 3, {s->B, s->Hq, s->Tq}, real, true},
        [OUT_ENTROPY] = {"entropy", &o->core.entropy, 3, {s->B, s->Hq, s->Tq}, real, false},
        [OUT_TOP_KEYS] = {"top-keys", &o->core.top_keys, 4, {s->B, s->Hq, s->Tq, c->r->top}, ATT_I32, c->r->top > 0},
        [OUT_TOP_WEIGHTS] =
            {"top-weights", &o->core.top_weights, 4, {s->B, s->Hq, s->Tq, c->r->top}, real, c->r->top > 0},
        [OUT_COLUMN_SUMS] =
            {"column-sums", &o->core.column_sums, 3, {s->B, s->Hq, s->Tk}, real, c->r->out[OUT_COVERAGE] != NULL},
        [OUT_CENTRE] = {"predicted-centre", &o->centre, 3, {s->B, s->Hq, s->Tq}, real, false},
        [OUT_COVERAGE] = {"new-coverage", NULL, 3, {s->B, s->Hkv, s->Tk}, real, false},
    };
    for (int i = 0; i < OUTPUTS; i++) {
        if (!c->r->out[i] && !results[i].always) continue;
        int status = attention_new_array(results[i].dtype, results[i].ndim, results[i].dim, &c->out[i]);
        if (status != CLI_DONE) return status;
        if (results[i].view) *results[i].view = c->out[i].view;
    }
    att_view *f = &c->out[OUT_OUTPUT].file; /* with the query's dimensions: (Tq,N) for (Tq,D) */
    if (c->query_ndim == 2) *f = att_view_2d(f->data, real, f->dim[1], f->dim[2]);
    if (!c->args.w_output.data) return CLI_DONE;
    int status = attention_new_array(real, 4, (int64_t[]){s->B, s->Hq, s->Tq, s->Dv}, &c->context);
    o->context = c->context.view;
    return status;
}

#define GRADIENT(id, field) [IN_##id] = offsetof(att_mechanism_grad, field),
static const size_t gradient_fields[INPUTS] = {ATTENTION_GRADIENTS(GRADIENT)};
#undef GRADIENT

static bool same_shape(const att_view *a, const att_view *b)
{
    bool same = a->ndim == b->ndim;
    for (int i = 0; same && i < a->ndim; i++) same = a->dim[i] == b->dim[i];
    return same;
}

static int new_gradients(attention_call *c)
{
    char found[100], wanted[100];
    const att_view *given = &c->in[IN_GRAD_OUTPUT].file, *output = &c->out[OUT_OUTPUT].file;
    if (!c->in[IN_GRAD_OUTPUT].block) return CLI_DONE;
    if (!same_shape(given, output))
        return cli_wrong("--grad-output %s: shape %s, expected the output's %s", c->r->in[IN_GRAD_OUTPUT],
                         shape_text(given, found, sizeof found), shape_text(output, wanted, sizeof wanted));
    for (int i = 0; i < IN_GRAD_OUTPUT; i++) {
        const attention_array *in = &c->in[i];
        if (!c->r->grad[i]) continue;
        if (!in->block) return cli_wrong("--grad-... %s: its input is not given", c->r->grad[i]);
        int status = attention_new_array(in->file.dtype, in->file.ndim, in->file.dim, &c->grad[i]);
        if (status != CLI_DONE) return status;
        att_view v = att_view_dense(c->grad[i].block, in->view.dtype, in->view.ndim, in->view.dim);
        if (i == IN_KEY && !c->args.core.k.data) continue; /* nothing depends on them */
        size_t field = gradient_fields[i];
        if (i == IN_SCORE_WEIGHT && c->desc.kind == ATT_MECHANISM_ADDITIVE)
            field = offsetof(att_mechanism_grad, core.dscore_w);
        *(att_view *)(void *)((char *)&c->gradients + field) = v;
    }
    c->gradients.core.d_o = c->in[IN_GRAD_OUTPUT].view;
    c->gradients.core.d_log_prob = c->in[IN_GRAD_LOG_PROB].view;
    c->gradients.core.d_entropy = c->in[IN_GRAD_ENTROPY].view;
    return CLI_DONE;
}

/* ---- the calls ---- */

static int lend_workspace(attention_call *c)
{
    att_status st = att_mechanism_workspace(&c->desc, &c->exec, &c->args, &c->span.bytes);
    if (st != ATT_OK) return attention_fail(c->r, st);
    c->span.data = aligned_alloc(64, c->span.bytes + 64);
    if (!c->span.data) return cli_failed("out of memory: a workspace of %zu bytes", c->span.bytes);
    return CLI_DONE;
}

static int forward_and_backward(attention_call *c)
{
    att_status st = att_mechanism_forward(&c->desc, &c->exec, &c->results, &c->args, c->span);
    if (st == ATT_OK && c->in[IN_GRAD_OUTPUT].block)
        st = att_mechanism_backward(&c->desc, &c->exec, &c->gradients, &c->results, &c->args, c->span);
    return st == ATT_OK ? CLI_DONE : attention_fail(c->r, st);
}

static att_status stage(attention_call *c, att_stage which, const att_view *out, const att_view *queries)
{
    static const att_view all;
    return att_mechanism_weights(&c->desc, &c->exec, which, out, &c->args, &all, queries, &c->results.core.lse,
                                 c->span);
}

static int extras(attention_call *c)
{
    static const att_view all;
    att_status st = ATT_OK;
    if (c->r->out[OUT_SCORES]) st = stage(c, (att_stage)c->r->stage, &c->out[OUT_SCORES].view, &all);
    if (st == ATT_OK && c->r->out[OUT_COVERAGE]) {
        const att_view *sums = &c->results.core.column_sums, *was = &c->args.coverage;
        att_view rows = att_view_4d(sums->data, sums->dtype, sums->dim[0], sums->dim[1], 1, sums->dim[2]);
        size_t bytes = (size_t)att_view_count(was) * att_dtype_bytes(was->dtype);
        for (size_t i = 0; i < bytes; i++) ((char *)c->out[OUT_COVERAGE].block)[i] = ((const char *)was->data)[i];
        st = att_coverage_update(&c->exec, &c->out[OUT_COVERAGE].view, &rows);
    }
    return st == ATT_OK ? CLI_DONE : attention_fail(c->r, st);
}

/* ---- what the lecture notes print ---- */

typedef struct summary {
    double scores, variance, output;
} summary;

static double number(const att_view *v, int64_t i)
{
    return v->dtype == ATT_F64 ? ((const double *)v->data)[i] : (double)((const float *)v->data)[i];
}

/* Sums over every row of scores or weights, a block of queries at a time: no Tq x Tk array. */
static int sum_rows(attention_call *c, att_stage which, double mean, double *sum, double *squares)
{
    enum { ROWS = 64 };
    const att_mechanism_shape *s = &c->shape;
    attention_array block = {0};
    int32_t index[ROWS];
    att_status st = ATT_OK;
    int status = attention_new_array(c->args.core.q.dtype, 4, (int64_t[]){s->B, s->Hq, ROWS, s->Tk}, &block);
    *sum = *squares = 0;
    for (int64_t i = 0; status == CLI_DONE && st == ATT_OK && i < s->Tq; i += ROWS) {
        int64_t n = i + ROWS < s->Tq ? ROWS : s->Tq - i;
        for (int64_t j = 0; j < n; j++) index[j] = (int32_t)(i + j);
        att_view out = att_view_4d(block.block, block.view.dtype, s->B, s->Hq, n, s->Tk);
        att_view queries = att_view_1d(index, ATT_I32, n);
        st = stage(c, which, &out, &queries);
        for (int64_t e = 0; st == ATT_OK && e < att_view_count(&out); e++) {
            double x = number(&out, e);
            if (which == ATT_STAGE_MASKED && x == -HUGE_VAL) continue; /* hidden */
            *sum += x;
            *squares += (x - mean) * (x - mean);
        }
    }
    free(block.block);
    if (status != CLI_DONE) return status;
    return st == ATT_OK ? CLI_DONE : attention_fail(c->r, st);
}

static int summarise(attention_call *c, summary *out)
{
    const att_mechanism_shape *s = &c->shape;
    double count = (double)s->B * (double)s->Hq * (double)s->Tq * (double)s->Tk, total, unused;
    int status = sum_rows(c, ATT_STAGE_MASKED, 0, &out->scores, &unused);
    if (status == CLI_DONE) status = sum_rows(c, ATT_STAGE_WEIGHTS, 0, &total, &unused);
    if (status == CLI_DONE) status = sum_rows(c, ATT_STAGE_WEIGHTS, total / count, &unused, &out->variance);
    out->variance /= count;
    out->output = 0;
    const att_view *o = &c->results.core.o;
    for (int64_t i = 0; i < att_view_count(o); i++) out->output += number(o, i);
    return status;
}

static json_t *shape_json(const att_view *v)
{
    json_t *list = json_array();
    for (int a = 0; a < v->ndim; a++) json_array_append_new(list, json_integer(v->dim[a]));
    return list;
}

static json_t *real_json(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static att_view weights_shape(const attention_call *c)
{
    const att_mechanism_shape *s = &c->shape;
    return att_view_4d(NULL, c->args.core.q.dtype, s->B, s->Hq, s->Tq, s->Tk);
}

static int print_json(const attention_call *c, const summary *s)
{
    att_view w = weights_shape(c);
    const att_view *key = c->in[IN_KEY].block ? &c->in[IN_KEY].file : &c->in[IN_VALUE].file;
    json_t *o = json_object();
    json_object_set_new(o, "score", json_string(att_mechanism_name(c->desc.kind)));
    json_object_set_new(o, "dtype", json_string(att_dtype_name(w.dtype)));
    json_object_set_new(o, "query", shape_json(&c->in[IN_QUERY].file));
    json_object_set_new(o, "key", shape_json(key));
    json_object_set_new(o, "value", shape_json(&c->in[IN_VALUE].file));
    json_object_set_new(o, "output", shape_json(&c->out[OUT_OUTPUT].file));
    json_object_set_new(o, "weights", shape_json(&w));
    json_object_set_new(o, "sum_of_scores", real_json(s->scores));
    json_object_set_new(o, "variance_of_weights", real_json(s->variance));
    json_object_set_new(o, "sum_of_output", real_json(s->output));
    json_object_set_new(o, "path", json_string(att_mechanism_path(&c->desc, &c->exec, &c->args)));
    return cli_print_json(o);
}

static void print_text(const attention_call *c, const summary *s)
{
    char text[100];
    att_view w = weights_shape(c);
    int digits = w.dtype == ATT_F64 ? 15 : 8;
    const att_view *key = c->in[IN_KEY].block ? &c->in[IN_KEY].file : &c->in[IN_VALUE].file;
    printf("query    %s\n", shape_text(&c->in[IN_QUERY].file, text, sizeof text));
    printf("key      %s\n", shape_text(key, text, sizeof text));
    printf("value    %s\n", shape_text(&c->in[IN_VALUE].file, text, sizeof text));
    printf("weights  %s\n", shape_text(&w, text, sizeof text));
    printf("output   %s\n", shape_text(&c->out[OUT_OUTPUT].file, text, sizeof text));
    printf("sum of the scores        %.*g\n", digits, s->scores);
    printf("variance of the weights  %.*g\n", digits, s->variance);
    printf("sum of the output        %.*g\n", digits, s->output);
}

static bool writes_something(const attention_request *r)
{
    for (int i = 0; i < OUTPUTS; i++)
        if (r->out[i]) return true;
    for (int i = 0; i < INPUTS; i++)
        if (r->grad[i]) return true;
    return false;
}

static int print(attention_call *c)
{
    summary s;
    if (writes_something(c->r) && !cli.json) return CLI_DONE;
    int status = summarise(c, &s);
    if (status != CLI_DONE) return status;
    if (cli.json) return print_json(c, &s);
    print_text(c, &s);
    return CLI_DONE;
}

static int write_files(const attention_call *c)
{
    for (int i = 0; i < OUTPUTS + INPUTS; i++) {
        const char *path = i < OUTPUTS ? c->r->out[i] : c->r->grad[i - OUTPUTS];
        if (!path) continue;
        att_status st = att_npy_write(path, i < OUTPUTS ? &c->out[i].file : &c->grad[i - OUTPUTS].file);
        if (st != ATT_OK) return cli_fail(st);
    }
    return CLI_DONE;
}

int attention_run(attention_call *c)
{
    describe(c);
    att_status st = att_mechanism_shape_of(&c->desc, &c->args, &c->shape);
    if (st != ATT_OK) return attention_fail(c->r, st);
    int status = lend_workspace(c);
    if (status == CLI_DONE) status = new_results(c);
    if (status == CLI_DONE) status = new_gradients(c);
    if (status == CLI_DONE) status = forward_and_backward(c);
    if (status == CLI_DONE) status = extras(c);
    if (status == CLI_DONE) status = write_files(c);
    return status == CLI_DONE ? print(c) : status;
}
