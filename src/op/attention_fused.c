#include "op/attention_fused.h"

#include <string.h>

#include "base/parallel.h"
#include "op/dispatch.h"

#define MOST_ROWS    1056  /* queries of a forward task: packing keys and values is then a per cent of the work */
#define QUERY_BLOCKS 4     /* of a backward task that takes queries alone */
#define SHORT_WORK   65536 /* multiply-adds of a forward task, at least, where there are heads enough */

typedef struct call {
    const att_attention_problem *p;
    const att_fused_kernels *kernels;
    int64_t rows, blocks; /* queries of a task, tasks of a head ... */
    int64_t heads;        /* ... or heads of a task */
    char *scratch;
    size_t scratch_bytes; /* of each worker */
    float *terms;         /* (B,Hq,R+1): each batch entry's drelative and dsinks, summed in order afterwards */
} call;

bool att_fused_in_bf16(const att_attention_problem *p, const att_exec *exec)
{
    return p->dtype == ATT_BF16 && p->kv_dtype == ATT_BF16 && att_kernels_for(exec)->fused_bf16.serves;
}

static const att_fused_kernels *kernels_for(const att_attention_problem *p, const att_exec *exec)
{
    const att_kernels *table = att_kernels_for(exec);
    return att_fused_in_bf16(p, exec) ? &table->fused_bf16 : &table->fused;
}

bool att_fused_serves(const att_attention_problem *p, const att_exec *exec)
{
    const att_fused_kernels *k = kernels_for(p, exec);
    return k->serves && k->serves(p);
}

/* Queries of a task: many, for the sake of packing, but enough tasks for all threads, and all about as long. */
static int64_t task_rows(const att_attention_problem *p, int64_t threads, int64_t sub)
{
    int64_t rows = MOST_ROWS / sub * sub, wanted = 4 * threads;
    while (rows > 2 * sub && p->B * p->Hq * att_ceil_div(p->Tq, rows) < wanted) rows = rows / 2 / sub * sub;
    int64_t queries = att_max64(p->Tq, 1);
    rows = att_ceil_div(queries, att_ceil_div(queries, rows));
    return att_min64(att_ceil_div(rows, sub) * sub, queries);
}

static size_t bytes_of(int64_t floats)
{
    return att_round_up((size_t)floats * sizeof(float), ATT_ALIGN);
}

static float *scratch_of(const call *c, int worker)
{
    return (float *)(void *)(c->scratch + (size_t)worker * c->scratch_bytes);
}

/* Head by head, so that its keys stay in the cache; late queries first: with a causal window they see the most. */
static void forward_task(void *ctx, int64_t task, int worker)
{
    const call *c = ctx;
    const att_attention_problem *p = c->p;
    int64_t head = task / c->blocks, i = (c->blocks - 1 - task % c->blocks) * c->rows;
    c->kernels->forward(p, head / p->Hq, head % p->Hq, i, att_min64(c->rows, p->Tq - i), scratch_of(c, worker));
}

/* All tasks of a head, one after the other: they add to the same column_sums. The first queries come first, so that
 * sums do not depend on where tasks end. */
static void forward_head(void *ctx, int64_t head, int worker)
{
    const call *c = ctx;
    for (int64_t k = c->blocks - 1; k >= 0; k--) forward_task(ctx, head * c->blocks + k, worker);
}

static void forward_heads(void *ctx, int64_t group, int worker)
{
    const call *c = ctx;
    int64_t first = group * c->heads, end = att_min64(first + c->heads, c->p->B * c->p->Hq);
    for (int64_t head = first; head < end; head++) forward_task(ctx, head, worker);
}

/* Short heads, one after the other in a task. */
static int64_t heads_of_task(const att_attention_problem *p, int64_t threads)
{
    int64_t work = p->Tq * p->Tk * (p->D + p->Dv), most = att_max64(1, p->B * p->Hq / (4 * threads));
    return att_min64(most, SHORT_WORK / att_max64(work, 1) + 1);
}

void att_fused_forward(const att_attention_problem *p, const att_exec *exec, void *workspace)
{
    call c = {.p = p, .kernels = kernels_for(p, exec), .scratch = workspace};
    c.rows = task_rows(p, att_threads(exec), c.kernels->sub);
    c.blocks = att_ceil_div(p->Tq, c.rows);
    c.scratch_bytes = bytes_of(c.kernels->forward_floats(p, c.rows));
    c.heads = heads_of_task(p, att_threads(exec));
    if (p->column_sums.data)
        att_parallel(exec, p->B * p->Hq, forward_head, &c);
    else if (c.blocks == 1)
        att_parallel(exec, att_ceil_div(p->B * p->Hq, c.heads), forward_heads, &c);
    else
        att_parallel(exec, p->B * p->Hq * c.blocks, forward_task, &c);
}

/* ---- backward ---- */

/* One task takes a key head with all its queries: the five products of a tile are made once. Where that gives the
 * threads too little to share, queries and keys become tasks of their own, which make the scores twice. */
static bool by_heads(const att_attention_problem *p, int64_t threads)
{
    int64_t heads = p->B * p->Hkv;
    bool shared = p->dbias.data && (p->dbias.b == 0 || p->dbias.h == 0 || p->dbias.t == 0);
    return shared || p->drelative.data || p->dsinks.data || heads % threads == 0 || heads >= 4 * threads;
}

/* Parts of a backward by heads, by queries and by keys. Nothing is cut into one empty part. */
static int64_t parts_of(int64_t n, int64_t size)
{
    return n > 0 ? att_ceil_div(n, size) : 1;
}

static att_fused_part head_part(const att_attention_problem *p, int64_t task)
{
    int64_t group = p->Hq / p->Hkv;
    return (att_fused_part){.b = task / p->Hkv,
                            .h = task % p->Hkv * group,
                            .heads = group,
                            .n = p->Tq,
                            .m = p->Tk,
                            .queries = true,
                            .keys = true};
}

static att_fused_part query_part(const att_attention_problem *p, int64_t task, int64_t rows)
{
    int64_t blocks = parts_of(p->Tq, rows), head = task / blocks, i = (blocks - 1 - task % blocks) * rows;
    return (att_fused_part){.b = head / p->Hq,
                            .h = head % p->Hq,
                            .heads = 1,
                            .i = i,
                            .n = att_min64(rows, p->Tq - i),
                            .m = p->Tk,
                            .queries = true};
}

static att_fused_part key_part(const att_attention_problem *p, int64_t task, int64_t keys)
{
    int64_t blocks = parts_of(p->Tk, keys);
    att_fused_part part = head_part(p, task / blocks);
    part.j = task % blocks * keys;
    part.m = att_min64(keys, p->Tk - part.j);
    part.queries = false;
    return part;
}

static void head_task(void *ctx, int64_t task, int worker)
{
    const call *c = ctx;
    att_fused_part part = head_part(c->p, task);
    part.terms = c->terms + (part.b * c->p->Hq + part.h) * (c->p->R + 1);
    c->kernels->backward(c->p, &part, scratch_of(c, worker));
}

static void query_task(void *ctx, int64_t task, int worker)
{
    const call *c = ctx;
    att_fused_part part = query_part(c->p, task, c->rows);
    c->kernels->backward(c->p, &part, scratch_of(c, worker));
}

static void key_task(void *ctx, int64_t task, int worker)
{
    const call *c = ctx;
    att_fused_part part = key_part(c->p, task, c->kernels->backward_keys);
    c->kernels->backward(c->p, &part, scratch_of(c, worker));
}

/* Scratch of each worker. */
static size_t backward_bytes(const att_attention_problem *p, const att_fused_kernels *k, bool heads)
{
    att_fused_part head = head_part(p, 0), queries = query_part(p, 0, QUERY_BLOCKS * k->backward_queries);
    att_fused_part keys = key_part(p, 0, k->backward_keys);
    if (heads) return bytes_of(k->backward_floats(p, &head));
    return bytes_of(att_max64(k->backward_floats(p, &queries), k->backward_floats(p, &keys)));
}

/* drelative and dsinks, which the forward divides by the temperature. */
static void add_terms(const call *c)
{
    const att_attention_problem *p = c->p;
    const float cool = (float)(1 / p->temperature), *term = c->terms;
    for (int64_t head = 0; head < p->B * p->Hq; head++, term += p->R + 1) {
        int64_t h = head % p->Hq;
        float *relative = (float *)p->drelative.data + h * p->drelative.h;
        for (int64_t r = 0; p->drelative.data && r < p->R; r++) relative[r * p->drelative.d] += cool * term[r];
        if (p->dsinks.data) ((float *)p->dsinks.data)[h * p->dsinks.h] += cool * term[p->R];
    }
}

static size_t terms_bytes(const att_attention_problem *p)
{
    return p->relative.data || p->sinks.data ? bytes_of(p->B * p->Hq * (p->R + 1)) : 0;
}

void att_fused_backward(const att_attention_problem *p, const att_exec *exec, void *workspace)
{
    bool heads = by_heads(p, att_threads(exec));
    call c = {.p = p, .kernels = kernels_for(p, exec), .terms = workspace};
    c.scratch = (char *)workspace + terms_bytes(p);
    if (terms_bytes(p)) memset(c.terms, 0, terms_bytes(p));
    c.scratch_bytes = backward_bytes(p, c.kernels, heads);
    c.rows = QUERY_BLOCKS * c.kernels->backward_queries;
    if (heads) {
        att_exec how = exec ? *exec : (att_exec){0};
        bool shared = p->dbias.data && ((p->dbias.b == 0 && p->B > 1) || (p->dbias.h == 0 && p->Hkv > 1));
        if (shared) how.threads = 1; /* several tasks add to one element: in order, one after the other */
        att_parallel(&how, p->B * p->Hkv, head_task, &c);
        if (p->drelative.data || p->dsinks.data) add_terms(&c);
        return;
    }
    if (p->dq.data || p->dbias.data) att_parallel(exec, p->B * p->Hq * att_ceil_div(p->Tq, c.rows), query_task, &c);
    if (p->dk.data || p->dv.data)
        att_parallel(exec, p->B * p->Hkv * att_ceil_div(p->Tk, c.kernels->backward_keys), key_task, &c);
}

/* ---- memory ---- */

static size_t forward_for(const att_attention_problem *p, const att_fused_kernels *k, int64_t threads)
{
    return (size_t)threads * bytes_of(k->forward_floats(p, task_rows(p, threads, k->sub)));
}

/* Which gradients will be asked for is not known yet, and some are made by heads only. */
static size_t backward_for(const att_attention_problem *p, const att_fused_kernels *k, int64_t threads)
{
    size_t heads = (size_t)att_min64(threads, p->B * p->Hkv) * backward_bytes(p, k, true);
    size_t parts = by_heads(p, threads) ? 0 : (size_t)threads * backward_bytes(p, k, false);
    return terms_bytes(p) + (heads > parts ? heads : parts);
}

size_t att_fused_workspace(const att_attention_problem *p, const att_exec *exec, bool backward)
{
    const att_fused_kernels *k = kernels_for(p, exec);
    size_t (*bytes)(const att_attention_problem *, const att_fused_kernels *, int64_t) =
        backward ? backward_for : forward_for;
    size_t alone = bytes(p, k, 1), shared = bytes(p, k, att_threads(exec)); /* small work runs on one thread */
    return alone > shared ? alone : shared;
}
