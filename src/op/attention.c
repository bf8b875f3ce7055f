#include <attend/attention.h>

#include <string.h>

#include "base/parallel.h"
#include "kernel/ref/both.h"
#include "op/attention_check.h"
#include "op/attention_decode.h"
#include "op/attention_fused.h"
#include "op/dispatch.h"

#define REF_ROWS 16 /* queries of one tile of the reference */

/* Below this many multiply-adds a second thread costs more than it gives. */
#define WORTH_THREADS ((double)(1 << 18))

typedef struct call {
    const att_attention_problem *p;
    const att_attention_kernels *fused; /* NULL: the reference */
    char *scratch;
    size_t scratch_bytes; /* of each worker */
    float *dscore_w;      /* (B * Hkv, D): each key head's share, summed in order afterwards */
} call;

static const att_attention_kernels *fused_for(const att_attention_problem *p, const att_exec *exec)
{
    const att_attention_kernels *t = &att_kernels_for(exec)->attention;
    return t->serves && t->serves(p) && t->score[p->desc.score].forward ? t : NULL;
}

static size_t ref_bytes(const att_attention_problem *p)
{
    int64_t n = p->dtype == ATT_F64 ? att_ref_attention_scratch_f64(p) : att_ref_attention_scratch_f32(p);
    return att_round_up((size_t)n * att_dtype_bytes(att_real_of(p->dtype)), ATT_ALIGN);
}

static size_t fused_bytes(const att_attention_problem *p, const att_attention_kernels *fused)
{
    int64_t floats = fused->scratch_floats(p) + fused->score[p->desc.score].scratch_floats(p);
    return att_round_up((size_t)floats * sizeof(float), ATT_ALIGN);
}

static size_t share_bytes(const att_attention_problem *p, const att_attention_kernels *fused)
{
    bool needed = fused && p->desc.score == ATT_SCORE_ADDITIVE;
    return needed ? att_round_up((size_t)(p->B * p->Hkv * p->D) * sizeof(float), ATT_ALIGN) : 0;
}

/* Of a forward, and of weights on demand: where the fused kernel serves, the reference still makes those, with as many
 * threads as have room. */
static size_t forward_bytes(const att_attention_problem *p, const att_exec *exec)
{
    const att_attention_kernels *fused = fused_for(p, exec);
    size_t threads = (size_t)att_threads(exec), ref = ref_bytes(p), all;
    size_t decode = att_decode_serves(p, exec) ? att_decode_workspace(p, exec) : 0;
    if (att_fused_serves(p, exec))
        all = att_fused_workspace(p, exec, false);
    else if (fused)
        all = threads * fused_bytes(p, fused) + share_bytes(p, fused);
    else
        all = decode ? ref : threads * ref;
    if (decode > all) all = decode;
    return all > ref ? all : ref;
}

/* Of a backward; only packed products take more for it than forward. */
static size_t backward_bytes(const att_attention_problem *p, const att_exec *exec)
{
    return att_fused_serves(p, exec) ? att_fused_workspace(p, exec, true) : forward_bytes(p, exec);
}

static att_status check_workspace(size_t wanted, att_span workspace)
{
    ATT_REQUIRE(workspace.bytes >= wanted, ATT_E_WORKSPACE, "workspace: %zu bytes, expected at least %zu",
                workspace.bytes, wanted);
    ATT_REQUIRE(wanted == 0 || (workspace.data && (uintptr_t)workspace.data % ATT_ALIGN == 0), ATT_E_WORKSPACE,
                "workspace: at %p, expected an address that is a multiple of %d", workspace.data, ATT_ALIGN);
    return ATT_OK;
}

static call fused_call(const att_attention_problem *p, const att_attention_kernels *fused, att_span workspace)
{
    return (call){.p = p,
                  .fused = fused,
                  .dscore_w = workspace.data,
                  .scratch = (char *)workspace.data + share_bytes(p, fused),
                  .scratch_bytes = fused_bytes(p, fused)};
}

/* Every worker's scratch must fit into the workspace: *exec gets as many threads as do. */
static call ref_call(const att_attention_problem *p, att_exec *exec, att_span workspace)
{
    call c = {.p = p, .scratch = workspace.data, .scratch_bytes = ref_bytes(p)};
    size_t room = c.scratch_bytes ? workspace.bytes / c.scratch_bytes : 1;
    if ((size_t)att_threads(exec) > room) exec->threads = (int)room;
    return c;
}

/* exec with one thread where more would not pay. */
static att_exec worthwhile(const att_attention_problem *p, const att_exec *exec)
{
    att_exec few = exec ? *exec : (att_exec){0};
    double per_score = (double)p->D * (p->desc.score == ATT_SCORE_ADDITIVE ? 8 : 1) + (double)p->Dv;
    if ((double)(p->B * p->Hq) * (double)p->Tq * (double)p->Tk * per_score < WORTH_THREADS) few.threads = 1;
    return few;
}

static void fused_forward_tile(void *ctx, int64_t tile, int worker)
{
    const call *c = ctx;
    const att_attention_problem *p = c->p;
    int64_t blocks = att_ceil_div(p->Tq, ATT_QUERY_BLOCK), head = tile / blocks;
    int64_t i = tile % blocks * ATT_QUERY_BLOCK, n = att_min64(ATT_QUERY_BLOCK, p->Tq - i);
    float *scratch = (float *)(void *)(c->scratch + (size_t)worker * c->scratch_bytes);
    c->fused->forward(&c->fused->score[p->desc.score], p, head / p->Hq, head % p->Hq, i, n, scratch);
}

static void fused_backward_tile(void *ctx, int64_t tile, int worker)
{
    const call *c = ctx;
    const att_attention_problem *p = c->p;
    float *scratch = (float *)(void *)(c->scratch + (size_t)worker * c->scratch_bytes), *share = NULL;
    if (p->dscore_w.data) {
        share = c->dscore_w + tile * p->D;
        memset(share, 0, (size_t)p->D * sizeof *share);
    }
    c->fused->backward(&c->fused->score[p->desc.score], p, tile / p->Hkv, tile % p->Hkv, share, scratch);
}

/* dscore_w += the shares, in the order of (b, hkv). */
static void add_shares(const call *c)
{
    const att_attention_problem *p = c->p;
    float *to = p->dscore_w.data;
    for (int64_t tile = 0; tile < p->B * p->Hkv; tile++)
        for (int64_t d = 0; d < p->D; d++) to[d * p->dscore_w.d] += c->dscore_w[tile * p->D + d];
}

static void fused_backward(call *c, const att_exec *exec)
{
    const att_attention_problem *p = c->p;
    att_exec how = worthwhile(p, exec);
    bool shared = p->dbias.data && ((p->dbias.b == 0 && p->B > 1) || (p->dbias.h == 0 && p->Hkv > 1));
    if (shared) how.threads = 1; /* several tiles add to one element: in order, one after the other */
    att_parallel(&how, p->B * p->Hkv, fused_backward_tile, c);
    if (p->dscore_w.data) add_shares(c);
}

/* Queries of one tile of the reference: all of a head's when they add up in its column_sums. */
static int64_t ref_rows(const att_attention_problem *p)
{
    return p->column_sums.data ? att_max64(p->Tq, 1) : REF_ROWS;
}

typedef struct ref_tile {
    int64_t b, h, lo, hi; /* queries lo <= i < hi */
    void *scratch;
} ref_tile;

static ref_tile find_ref_tile(const call *c, int64_t tile, int worker)
{
    const att_attention_problem *p = c->p;
    int64_t rows = ref_rows(p), blocks = att_ceil_div(p->Tq, rows), head = tile / blocks, lo = tile % blocks * rows;
    void *scratch = c->scratch + (size_t)worker * c->scratch_bytes;
    return (ref_tile){head / p->Hq, head % p->Hq, lo, att_min64(lo + rows, p->Tq), scratch};
}

static void ref_forward_tile(void *ctx, int64_t tile, int worker)
{
    const call *c = ctx;
    ref_tile t = find_ref_tile(c, tile, worker);
    if (c->p->dtype == ATT_F64)
        att_ref_attention_forward_f64(c->p, t.b, t.h, t.lo, t.hi, t.scratch);
    else
        att_ref_attention_forward_f32(c->p, t.b, t.h, t.lo, t.hi, t.scratch);
}

/* The fused kernels are float32's. */
static void gather_tile(void *ctx, int64_t tile, int worker)
{
    const call *c = ctx;
    ref_tile t = find_ref_tile(c, tile, worker);
    att_ref_attention_gather_f32(c->p, t.b, t.h, t.lo, t.hi, t.scratch);
}

static void run_ref(const att_attention_problem *p, att_exec how, att_span workspace,
                    void (*tile)(void *, int64_t, int))
{
    call c = ref_call(p, &how, workspace);
    att_parallel(&how, p->B * p->Hq * att_ceil_div(p->Tq, ref_rows(p)), tile, &c);
}

static void ref_backward(const att_attention_problem *p, void *scratch)
{
    if (p->dtype == ATT_F64)
        att_ref_attention_backward_f64(p, scratch);
    else
        att_ref_attention_backward_f32(p, scratch);
}

static void clear_column_sums(const att_attention_out *out)
{
    const att_view *v = &out->column_sums;
    int64_t heads = v->data ? v->dim[0] * v->dim[1] : 0;
    for (int64_t head = 0; head < heads; head++)
        for (int64_t j = 0; j < v->dim[2]; j++) {
            int64_t at = head / v->dim[1] * v->stride[0] + head % v->dim[1] * v->stride[1] + j * v->stride[2];
            if (v->dtype == ATT_F64)
                ((double *)v->data)[at] = 0;
            else
                ((float *)v->data)[at] = 0;
        }
}

att_status att_attention_forward(const att_attention_desc *desc, const att_exec *exec, const att_attention_out *out,
                                 const att_attention_in *in, att_span workspace)
{
    att_attention_problem p;
    ATT_TRY(att_attention_check_in(desc, in, &p));
    ATT_TRY(att_attention_check_out(out, in, &p));
    ATT_TRY(check_workspace(forward_bytes(&p, exec), workspace));
    att_exec how = worthwhile(&p, exec);
    const att_attention_kernels *fused = fused_for(&p, exec);
    bool packed = att_fused_serves(&p, exec);
    clear_column_sums(out);
    if (att_decode_serves(&p, exec)) {
        att_decode_forward(&p, &how, workspace.data);
    } else if (packed) {
        att_fused_forward(&p, &how, workspace.data);
        return ATT_OK;
    } else if (fused) {
        call c = fused_call(&p, fused, workspace);
        att_parallel(&how, p.B * p.Hq * att_ceil_div(p.Tq, ATT_QUERY_BLOCK), fused_forward_tile, &c);
    } else {
        run_ref(&p, how, workspace, ref_forward_tile);
        return ATT_OK;
    }
    if (p.entropy.data || p.top_keys.data || p.column_sums.data) run_ref(&p, how, workspace, gather_tile);
    return ATT_OK;
}

att_status att_attention_backward(const att_attention_desc *desc, const att_exec *exec, const att_attention_grad *grad,
                                  const att_attention_out *out, const att_attention_in *in, att_span workspace)
{
    att_attention_problem p;
    ATT_TRY(att_attention_check_in(desc, in, &p));
    ATT_TRY(att_attention_check_saved(out, &p));
    ATT_TRY(att_attention_check_grad(grad, out, in, &p));
    ATT_TRY(check_workspace(backward_bytes(&p, exec), workspace));
    att_exec how = worthwhile(&p, exec);
    const att_attention_kernels *fused = fused_for(&p, exec);
    if (att_fused_serves(&p, exec)) {
        att_fused_backward(&p, &how, workspace.data);
    } else if (fused) {
        call c = fused_call(&p, fused, workspace);
        fused_backward(&c, exec);
    } else {
        ref_backward(&p, workspace.data);
    }
    return ATT_OK;
}

att_status att_attention_workspace(const att_attention_desc *desc, const att_exec *exec, const att_attention_in *in,
                                   size_t *bytes)
{
    att_attention_problem p;
    ATT_TRY(att_attention_check_in(desc, in, &p));
    size_t forward = forward_bytes(&p, exec), backward = backward_bytes(&p, exec);
    *bytes = forward > backward ? forward : backward;
    return ATT_OK;
}

att_status att_attention_forward_workspace(const att_attention_desc *desc, const att_exec *exec,
                                           const att_attention_in *in, size_t *bytes)
{
    att_attention_problem p;
    ATT_TRY(att_attention_check_in(desc, in, &p));
    *bytes = forward_bytes(&p, exec);
    return ATT_OK;
}

att_status att_attention_prepare_keys(const att_exec *exec, const att_view *prepared, const att_view *k)
{
    att_attention_problem p;
    ATT_TRY(att_attention_check_prepare(prepared, k, &p));
    const att_exec portable = {.isa = ATT_ISA_PORTABLE}; /* the reference has no use of its own for prepared keys */
    const att_attention_kernels *t = &att_kernels_for(exec)->attention;
    if (!t->prepare_row) t = &att_kernels_for(&portable)->attention;
    for (int64_t b = 0; b < p.B; b++)
        for (int64_t h = 0; h < p.Hkv; h++)
            for (int64_t j = 0; j < p.Tk; j++) {
                float *to = (float *)p.k_prepared.data + b * p.k_prepared.b + h * p.k_prepared.h + j * p.k_prepared.t;
                t->prepare_row(to, (const float *)p.k.data + b * p.k.b + h * p.k.h + j * p.k.t, p.D);
            }
    return ATT_OK;
}

/* ---- weights on demand ---- */

typedef struct stage_call {
    call c;
    att_stage stage;
    att_attention_rows rows;
} stage_call;

/* What list[n] names, or n itself without a list. */
static int64_t listed(const att_grid *list, int64_t n)
{
    return list->data ? ((const int32_t *)list->data)[n * list->b] : n;
}

static void stage_tile(void *ctx, int64_t tile, int worker)
{
    const stage_call *s = ctx;
    const att_attention_problem *p = s->c.p;
    const att_attention_rows *rows = &s->rows;
    int64_t b = tile / (rows->nh * rows->nq), a = tile / rows->nq % rows->nh, c = tile % rows->nq;
    int64_t h = listed(&rows->heads, a), i = listed(&rows->queries, c);
    int64_t at = b * rows->out.b + a * rows->out.h + c * rows->out.t;
    void *out = (char *)rows->out.data + at * (int64_t)att_dtype_bytes(att_real_of(p->dtype));
    void *scratch = s->c.scratch + (size_t)worker * s->c.scratch_bytes;
    if (p->dtype == ATT_F64)
        att_ref_attention_stage_f64(p, s->stage, b, h, i, out, scratch);
    else
        att_ref_attention_stage_f32(p, s->stage, b, h, i, out, scratch);
}

att_status att_attention_weights(const att_attention_desc *desc, const att_exec *exec, att_stage stage,
                                 const att_view *out, const att_attention_in *in, const att_view *heads,
                                 const att_view *queries, const att_view *lse, att_span workspace)
{
    att_attention_problem p;
    stage_call s = {.stage = stage};
    ATT_TRY(att_attention_check_in(desc, in, &p));
    ATT_TRY(att_attention_check_stage(stage, out, in, heads, queries, lse, &p, &s.rows));
    ATT_TRY(check_workspace(forward_bytes(&p, exec), workspace));
    att_exec how = worthwhile(&p, exec);
    s.c = ref_call(&p, &how, workspace);
    att_parallel(&how, p.B * s.rows.nh * s.rows.nq, stage_tile, &s);
    return ATT_OK;
}

const char *att_attention_path(const att_attention_desc *desc, const att_exec *exec, const att_attention_in *in)
{
    static const char *const names[][ATT_SCORE_NONE + 1] = {
        /* no kernel serves ATT_SCORE_CUSTOM */
        [ATT_ISA_PORTABLE] = {"portable dot", "portable additive", "portable bias"},
        [ATT_ISA_AVX2] = {"avx2 dot", "avx2 additive", "avx2 bias"},
        [ATT_ISA_AVX512] = {"avx512 dot", "avx512 additive", "avx512 bias"},
        [ATT_ISA_AVX512_VNNI] = {"avx512 dot", "avx512 additive", "avx512 bias"}, /* the same kernels */
        [ATT_ISA_AVX512_BF16] = {"avx512 dot", "avx512 additive", "avx512 bias"},
        [ATT_ISA_AMX] = {"avx512 dot", "avx512 additive", "avx512 bias"},
    };
    static const char *const decode[] = {
        [ATT_ISA_PORTABLE] = "portable decode",  [ATT_ISA_AVX2] = "avx2 decode",
        [ATT_ISA_AVX512] = "avx512 decode",      [ATT_ISA_AVX512_VNNI] = "avx512 decode",
        [ATT_ISA_AVX512_BF16] = "avx512 decode", [ATT_ISA_AMX] = "avx512 decode",
    };
    att_attention_problem p;
    if (att_attention_check_in(desc, in, &p) != ATT_OK) return "none";
    if (att_decode_serves(&p, exec)) return decode[att_kernels_for(exec)->isa];
    if (att_fused_serves(&p, exec) && att_fused_in_bf16(&p, exec))
        return att_kernels_for(exec)->isa == ATT_ISA_AMX ? "amx dot" : "avx512bf16 dot";
    return fused_for(&p, exec) || att_fused_serves(&p, exec) ? names[att_kernels_for(exec)->isa][p.desc.score] : "ref";
}
