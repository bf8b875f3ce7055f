#include <attend/attention.h>

#include <string.h>

#include "base/parallel.h"
#include "kernel/ref/both.h"
#include "op/attention_check.h"
#include "op/dispatch.h"

#define REF_ROWS 16 /* queries of one tile of the reference */

typedef struct call {
    const att_attention_problem *p;
    char *scratch;
    size_t scratch_bytes; /* of each worker */
} call;

static size_t ref_scratch_bytes(const att_attention_problem *p)
{
    return att_round_up(3 * (size_t)p->Tk * att_dtype_bytes(p->dtype), ATT_ALIGN);
}

static size_t total_bytes(const att_attention_problem *p, const att_exec *exec)
{
    return (size_t)att_threads(exec) * ref_scratch_bytes(p);
}

static att_status check_workspace(const att_attention_problem *p, const att_exec *exec, att_span workspace)
{
    size_t wanted = total_bytes(p, exec);
    ATT_REQUIRE(workspace.bytes >= wanted, ATT_E_WORKSPACE, "workspace: %zu bytes, expected at least %zu",
                workspace.bytes, wanted);
    ATT_REQUIRE(wanted == 0 || (workspace.data && (uintptr_t)workspace.data % ATT_ALIGN == 0), ATT_E_WORKSPACE,
                "workspace: at %p, expected an address that is a multiple of %d", workspace.data, ATT_ALIGN);
    return ATT_OK;
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
    ATT_TRY(check_workspace(&p, exec, workspace));
    call c = {&p, workspace.data, ref_scratch_bytes(&p)};
    att_parallel(exec, p.B * p.Hq * att_ceil_div(p.Tq, REF_ROWS), ref_forward_tile, &c);
    return ATT_OK;
}

att_status att_attention_backward(const att_attention_desc *desc, const att_exec *exec, const att_attention_grad *grad,
                                  const att_attention_out *out, const att_attention_in *in, att_span workspace)
{
    att_attention_problem p;
    ATT_TRY(att_attention_check_in(desc, in, &p));
    ATT_TRY(att_attention_check_saved(out, &p));
    ATT_TRY(att_attention_check_grad(grad, &p));
    ATT_TRY(check_workspace(&p, exec, workspace));
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

const char *att_attention_path(const att_attention_desc *desc, const att_exec *exec, const att_attention_in *in)
{
    att_attention_problem p;
    (void)exec;
    return att_attention_check_in(desc, in, &p) == ATT_OK ? "ref" : "none";
}
