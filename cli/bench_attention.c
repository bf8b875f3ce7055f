/* attend bench attention, additive, decode. */
#include "bench.h"

#include <stdlib.h>

#include <attend/attention.h>
#include <attend/measure.h>

const char *const bench_dtypes[] = {"f32", "bf16", "f16", "i8", NULL};
static const att_dtype dtypes[] = {ATT_F32, ATT_BF16, ATT_F16, ATT_I8};
enum { F32, BF16, F16, I8 };

const char *const bench_scores[] = {"scaled-dot", "dot", "additive", "none", NULL};
static const att_score scores[] = {ATT_SCORE_DOT, ATT_SCORE_DOT, ATT_SCORE_ADDITIVE, ATT_SCORE_NONE};

enum { B, HQ, HKV, TQ, TK, D, SIZES };

typedef struct problem {
    int64_t n[SIZES];
    att_attention_desc desc;
    att_exec exec;
    att_attention_in in;
    att_attention_out out;
    att_attention_grad grad;
    att_span workspace;
    bool backward;
} problem;

static att_status forward(void *ctx)
{
    problem *p = ctx;
    return att_attention_forward(&p->desc, &p->exec, &p->out, &p->in, p->workspace);
}

static att_status step(void *ctx)
{
    problem *p = ctx;
    att_status st = forward(p);
    if (st != ATT_OK || !p->backward) return st;
    return att_attention_backward(&p->desc, &p->exec, &p->grad, &p->out, &p->in, p->workspace);
}

static att_view heads(const problem *p, att_dtype dtype, int head, int time, uint64_t seed)
{
    return bench_array(dtype, 4, (int64_t[]){p->n[B], p->n[head], p->n[time], p->n[D]}, seed);
}

static void scale(att_view *x, float by)
{
    for (int64_t i = 0; i < att_view_count(x); i++) ((float *)x->data)[i] *= by;
}

/* q, k, v, o and, with a backward, the gradients; q and o of `dtype`, k and v of `cache`, gradients float32. */
static void allocate(problem *p, att_dtype dtype, att_dtype cache)
{
    const int64_t *n = p->n;
    p->in.q = heads(p, dtype, HQ, TQ, 1);
    p->in.k = heads(p, cache, HKV, TK, 2);
    p->in.v = heads(p, cache, HKV, TK, 3);
    if (cache == ATT_I8) {
        p->in.k_scale = bench_array(ATT_F32, 3, (int64_t[]){n[B], n[HKV], n[TK]}, 4);
        p->in.v_scale = bench_array(ATT_F32, 3, (int64_t[]){n[B], n[HKV], n[TK]}, 5);
        scale(&p->in.k_scale, 1.0f / 128);
        scale(&p->in.v_scale, 1.0f / 128);
    }
    if (p->desc.score == ATT_SCORE_ADDITIVE) p->in.score_w = bench_array(ATT_F32, 1, &n[D], 6);
    p->out.o = heads(p, dtype, HQ, TQ, 0);
    if (!p->backward) return;
    p->out.lse = bench_array(ATT_F32, 3, (int64_t[]){n[B], n[HQ], n[TQ]}, 0);
    p->grad.d_o = heads(p, ATT_F32, HQ, TQ, 7);
    p->grad.dq = heads(p, ATT_F32, HQ, TQ, 0);
    p->grad.dk = heads(p, ATT_F32, HKV, TK, 0);
    p->grad.dv = heads(p, ATT_F32, HKV, TK, 0);
    if (p->desc.score == ATT_SCORE_ADDITIVE) p->grad.dscore_w = bench_array(ATT_F32, 1, &n[D], 0);
}

static att_status run(const bench_request *r, problem *p, bench_result *out)
{
    att_status st = (p->backward ? att_attention_workspace
                                 : att_attention_forward_workspace)(&p->desc, &p->exec, &p->in, &p->workspace.bytes);
    if (st != ATT_OK) return st;
    p->workspace.data = bench_memory(p->workspace.bytes);
    out->workspace_bytes = p->workspace.bytes;
    out->path = att_attention_path(&p->desc, &p->exec, &p->in);
    return bench_time(r, step, p, out);
}

/* ---- attention ---- */

static int set_window(const bench_request *r, problem *p)
{
    p->desc.q_offset = p->n[TK] - p->n[TQ];
    if (r->causal && r->window) return cli_wrong("--causal, --window: expected one of the two");
    if (r->causal) p->desc.window = ATT_WINDOW_CAUSAL;
    if (!r->window) {
        p->desc.q_offset = r->causal ? p->desc.q_offset : 0;
        return CLI_DONE;
    }
    long long left, right;
    char rest;
    if (sscanf(r->window, "%lld,%lld%c", &left, &right, &rest) != 2 || left < 0 || right < 0)
        return cli_wrong("--window: '%s', expected LEFT,RIGHT, both 0 or more", r->window);
    p->desc.window = ATT_WINDOW_BAND;
    p->desc.left = left;
    p->desc.right = right;
    return CLI_DONE;
}

/* Pairs of query and key that see each other, in one head. */
static double visible(const problem *p)
{
    const att_attention_desc *d = &p->desc;
    double pairs = 0;
    for (int64_t i = 0; i < p->n[TQ]; i++) {
        int64_t lo = 0, hi = p->n[TK], at = i + d->q_offset;
        if (d->window == ATT_WINDOW_CAUSAL && at + 1 < hi) hi = at + 1;
        if (d->window == ATT_WINDOW_BAND && at + d->right + 1 < hi) hi = at + d->right + 1;
        if (d->window == ATT_WINDOW_BAND && at - d->left > lo) lo = at - d->left;
        pairs += hi > lo ? (double)(hi - lo) : 0;
    }
    return pairs;
}

static const char *passes(const bench_request *r)
{
    return r->backward ? "forward + backward" : "forward";
}

static int usable_dtype(const bench_request *r, const char *name, int most)
{
    if (r->dtype <= most) return CLI_DONE;
    return cli_wrong("--dtype: '%s', expected f32%s for %s", bench_dtypes[r->dtype], most == F16 ? ", bf16 or f16" : "",
                     name);
}

/* Two products of D a pair forward, five more backward. */
int bench_attention(const bench_request *r, bench_result *out)
{
    problem p = {.exec = r->exec, .backward = r->backward, .desc.score = scores[r->score]};
    int status = bench_shape(r, "1,8,8,2048,2048,64", "B,Hq,Hkv,Tq,Tk,D", SIZES, 0, p.n);
    if (status == CLI_DONE) status = set_window(r, &p);
    if (status == CLI_DONE) status = usable_dtype(r, "attention", F16);
    if (status != CLI_DONE) return status;
    if (r->score == 1) p.desc.scale = 1.0f;
    allocate(&p, dtypes[r->dtype], dtypes[r->dtype]);
    snprintf(out->what, sizeof out->what, "%s%s, B%lld H%lld/%lld T%lldx%lld D%lld %s", r->causal ? "causal " : "",
             passes(r), (long long)p.n[B], (long long)p.n[HQ], (long long)p.n[HKV], (long long)p.n[TQ],
             (long long)p.n[TK], (long long)p.n[D], bench_dtypes[r->dtype]);
    att_status st = run(r, &p, out);
    if (st != ATT_OK) return cli_fail(st);
    double flops = 4.0 * (double)(p.n[B] * p.n[HQ] * p.n[D]) * visible(&p) * (r->backward ? 3.5 : 1.0);
    double rows = (double)(2 * p.n[HQ] * p.n[TQ] + 2 * p.n[HKV] * p.n[TK]), bytes = rows * (double)(p.n[B] * p.n[D]);
    st = bench_roofline(r, flops, bytes * (double)att_dtype_bytes(dtypes[r->dtype]) * (r->backward ? 3 : 1), out);
    return st == ATT_OK ? CLI_DONE : cli_fail(st);
}

/* ---- additive ---- */

/* One tanh for each element of queries x keys x D forward, one more backward, which recomputes them. */
int bench_additive(const bench_request *r, bench_result *out)
{
    int64_t n[4];
    int status = bench_shape(r, "8,256,256,256", "B,Tq,Tk,D", 4, 0, n);
    if (status == CLI_DONE) status = usable_dtype(r, "additive", F32);
    if (status != CLI_DONE) return status;
    problem p = {.n = {n[0], 1, 1, n[1], n[2], n[3]},
                 .exec = r->exec,
                 .backward = r->backward,
                 .desc.score = ATT_SCORE_ADDITIVE};
    allocate(&p, ATT_F32, ATT_F32);
    att_status st = ATT_OK;
    if (r->prepared) {
        p.in.k_prepared = heads(&p, ATT_F32, HKV, TK, 0);
        st = att_attention_prepare_keys(&p.exec, &p.in.k_prepared, &p.in.k);
    }
    snprintf(out->what, sizeof out->what, "%s, B%lld T%lldx%lld D%lld%s", passes(r), (long long)n[0], (long long)n[1],
             (long long)n[2], (long long)n[3], r->prepared ? " prepared" : "");
    if (st == ATT_OK) st = run(r, &p, out);
    if (st == ATT_OK) st = att_measure_tanh_sum(&r->exec, &out->limit.rate);
    if (st != ATT_OK) return cli_fail(st);
    out->limit.name = "tanh(q + k)";
    double elements = (double)(n[0] * n[1]) * (double)(n[2] * n[3]) * (r->backward ? 2 : 1);
    out->rate[0] = (bench_rate){"gtanh_per_s", "G tanh/s", elements / out->ms * 1e-6};
    return CLI_DONE;
}

/* ---- decode ---- */

/* Every byte of keys, values and their scales is read once. */
int bench_decode(const bench_request *r, bench_result *out)
{
    problem p = {.exec = r->exec};
    int status = bench_shape(r, "1,8,8,1,32768,64", "B,Hq,Hkv,Tq,Tk,D", SIZES, 0, p.n);
    if (status != CLI_DONE) return status;
    p.desc.window = ATT_WINDOW_CAUSAL;
    p.desc.q_offset = p.n[TK] - p.n[TQ];
    allocate(&p, ATT_F32, dtypes[r->dtype]);
    snprintf(out->what, sizeof out->what, "B%lld H%lld/%lld T%lldx%lld D%lld %s", (long long)p.n[B], (long long)p.n[HQ],
             (long long)p.n[HKV], (long long)p.n[TQ], (long long)p.n[TK], (long long)p.n[D], bench_dtypes[r->dtype]);
    att_status st = run(r, &p, out);
    if (st != ATT_OK) return cli_fail(st);
    double rows = 2.0 * (double)(p.n[B] * p.n[HKV] * p.n[TK]);
    double row_bytes = (double)p.n[D] * (double)att_dtype_bytes(dtypes[r->dtype]) + (r->dtype == I8 ? 4 : 0);
    double flops = 4.0 * (double)(p.n[B] * p.n[HQ] * p.n[D]) * visible(&p);
    st = bench_roofline(r, flops, rows * row_bytes, out);
    if (st != ATT_OK) return cli_fail(st);
    if (out->rate[0].key[1] != 'b') /* bound by arithmetic: the rate of reading is told as well */
        out->rate[1] = (bench_rate){"gbps", "GB/s", rows * row_bytes / out->ms * 1e-6};
    return CLI_DONE;
}
