#include <attend/attention.h>

#include <string.h>

#include "base/parallel.h"
#include "kernel/ref/both.h"
#include "op/attention_check.h"
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

static size_t scratch_bytes(const att_attention_problem *p, const att_attention_kernels *fused)
{
    int64_t floats = 3 * p->Tk;
    if (fused) floats = fused->scratch_floats(p) + fused->score[p->desc.score].scratch_floats(p);
    size_t element = fused ? sizeof(float) : att_dtype_bytes(p->dtype);
    return att_round_up((size_t)floats * element, ATT_ALIGN);
}

static size_t share_bytes(const att_attention_problem *p, const att_attention_kernels *fused)
{
    bool needed = fused && p->desc.score == ATT_SCORE_ADDITIVE;
    return needed ? att_round_up((size_t)(p->B * p->Hkv * p->D) * sizeof(float), ATT_ALIGN) : 0;
}

static size_t total_bytes(const att_attention_problem *p, const att_exec *exec)
{
    const att_attention_kernels *fused = fused_for(p, exec);
    return (size_t)att_threads(exec) * scratch_bytes(p, fused) + share_bytes(p, fused);
}

static att_status begin(call *c, const att_attention_problem *p, const att_exec *exec, att_span workspace)
{
    size_t wanted = total_bytes(p, exec);
    ATT_REQUIRE(workspace.bytes >= wanted, ATT_E_WORKSPACE, "workspace: %zu bytes, expected at least %zu",
                workspace.bytes, wanted);
    ATT_REQUIRE(wanted == 0 || (workspace.data && (uintptr_t)workspace.data % ATT_ALIGN == 0), ATT_E_WORKSPACE,
                "workspace: at %p, expected an address that is a multiple of %d", workspace.data, ATT_ALIGN);
    *c = (call){.p = p, .fused = fused_for(p, exec), .dscore_w = workspace.data};
    size_t share = share_bytes(p, c->fused);
    c->scratch = share ? (char *)workspace.data + share : workspace.data;
    c->scratch_bytes = scratch_bytes(p, c->fused);
    return ATT_OK;
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

static void ref_forward_tile(void *ctx, int64_t tile, int worker)
{
    const call *c = ctx;
    const att_attention_problem *p = c->p;
    int64_t blocks = att_ceil_div(p->Tq, REF_ROWS), head = tile / blocks;
    int64_t lo = tile % blocks * REF_ROWS, hi = att_min64(lo + REF_ROWS, p->Tq);
    void *scratch = c->scratch + (size_t)worker * c->scratch_bytes;
    if (p->dtype == ATT_F32)
        att_ref_attention_forward_f32(p, head / p->Hq, head % p->Hq, lo, hi, scratch);
    else
        att_ref_attention_forward_f64(p, head / p->Hq, head % p->Hq, lo, hi, scratch);
}

static void ref_backward(const att_attention_problem *p, void *scratch)
{
    if (p->dtype == ATT_F32)
        att_ref_attention_backward_f32(p, scratch);
    else
        att_ref_attention_backward_f64(p, scratch);
}

att_status att_attention_forward(const att_attention_desc *desc, const att_exec *exec, const att_attention_out *out,
                                 const att_attention_in *in, att_span workspace)
{
    att_attention_problem p;
    ATT_TRY(att_attention_check_in(desc, in, &p));
    ATT_TRY(att_attention_check_out(out, &p));
    call c;
    ATT_TRY(begin(&c, &p, exec, workspace));
    att_exec how = worthwhile(&p, exec);
    int64_t rows = c.fused ? ATT_QUERY_BLOCK : REF_ROWS;
    att_parallel(&how, p.B * p.Hq * att_ceil_div(p.Tq, rows), c.fused ? fused_forward_tile : ref_forward_tile, &c);
    return ATT_OK;
}

att_status att_attention_backward(const att_attention_desc *desc, const att_exec *exec, const att_attention_grad *grad,
                                  const att_attention_out *out, const att_attention_in *in, att_span workspace)
{
    att_attention_problem p;
    ATT_TRY(att_attention_check_in(desc, in, &p));
    ATT_TRY(att_attention_check_saved(out, &p));
    ATT_TRY(att_attention_check_grad(grad, &p));
    call c;
    ATT_TRY(begin(&c, &p, exec, workspace));
    if (c.fused)
        fused_backward(&c, exec);
    else
        ref_backward(&p, workspace.data);
    return ATT_OK;
}

att_status att_attention_workspace(const att_attention_desc *desc, const att_exec *exec, const att_attention_in *in,
                                   size_t *bytes)
{
    att_attention_problem p;
    ATT_TRY(att_attention_check_in(desc, in, &p));
    *bytes = total_bytes(&p, exec);
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

const char *att_attention_path(const att_attention_desc *desc, const att_exec *exec, const att_attention_in *in)
{
    static const char *const names[][ATT_SCORE_NONE + 1] = {
        [ATT_ISA_PORTABLE] = {"portable dot", "portable additive", "portable bias"},
        [ATT_ISA_AVX2] = {"avx2 dot", "avx2 additive", "avx2 bias"},
        [ATT_ISA_AVX512] = {"avx512 dot", "avx512 additive", "avx512 bias"},
    };
    att_attention_problem p;
    if (att_attention_check_in(desc, in, &p) != ATT_OK) return "none";
    return fused_for(&p, exec) ? names[att_kernels_for(exec)->isa][p.desc.score] : "ref";
}
