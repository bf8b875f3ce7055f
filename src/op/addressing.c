/* Memory addressing: check the shapes, then every batch entry on its own. */
#include "kernel/ref/both.h"

#include <stdio.h>

#include "base/parallel.h"
#include "op/require.h"

typedef struct job {
    const att_addressing_call *call;
    att_addressing_kernel kernel;
    char *scratch;
    size_t scratch_bytes;
} job;

static size_t scratch_bytes(att_dtype dtype, int64_t N)
{
    return att_round_up(ATT_ADDRESSING_SCRATCH * (size_t)N * att_dtype_bytes(dtype), ATT_ALIGN);
}

att_status att_addressing_workspace(const att_exec *exec, att_dtype dtype, int64_t N, size_t *bytes)
{
    ATT_REQUIRE(dtype == ATT_F32 || dtype == ATT_F64, ATT_E_DTYPE, "dtype: %s, expected float32 or float64",
                att_dtype_name(dtype));
    ATT_REQUIRE(N >= 0 && N < 1 << 24, ATT_E_SHAPE, "N: %lld rows of memory, expected 0 to 2^24 - 1", (long long)N);
    *bytes = (size_t)att_threads(exec) * scratch_bytes(dtype, N);
    return ATT_OK;
}

static void run_entry(void *ctx, int64_t b, int worker)
{
    const job *j = ctx;
    j->kernel(j->call, b, j->scratch + (size_t)worker * j->scratch_bytes);
}

/* The kernel of the views' type on batch entries 0 .. B-1. N = 0: no scratch. */
static att_status each_entry(const att_exec *exec, const att_addressing_call *call, const att_view *like, int64_t N,
                             att_span workspace, att_addressing_kernel f32, att_addressing_kernel f64)
{
    size_t bytes;
    ATT_TRY(att_addressing_workspace(exec, like->dtype, N, &bytes));
    ATT_TRY(att_require_workspace(workspace, bytes));
    ATT_REQUIRE((uintptr_t)workspace.data % ATT_ALIGN == 0, ATT_E_WORKSPACE,
                "workspace: at %p, expected an address that is a multiple of %d", workspace.data, ATT_ALIGN);
    job j = {call, like->dtype == ATT_F64 ? f64 : f32, workspace.data, scratch_bytes(like->dtype, N)};
    att_parallel(exec, like->dim[0], run_entry, &j);
    return ATT_OK;
}

/* An input, its gradient when there is one, and what both must be. */
typedef struct need {
    const char *name;
    const att_view *in, *grad;
    int ndim;
    int64_t dim[3];
} need;

static att_status check_dense(const char *name, const att_view *v, const need *n, att_dtype dtype)
{
    ATT_TRY(att_require_shape(name, v, dtype, n->ndim, n->dim));
    ATT_REQUIRE(att_view_is_dense(v), ATT_E_SHAPE, "%s: strided, expected a dense array", name);
    return ATT_OK;
}

static att_status check(att_dtype dtype, const need *needs, size_t count)
{
    char name[48];
    ATT_REQUIRE(dtype == ATT_F32 || dtype == ATT_F64, ATT_E_DTYPE, "%s: %s, expected float32 or float64", needs[0].name,
                att_dtype_name(dtype));
    for (const need *n = needs; n < needs + count; n++) {
        ATT_TRY(check_dense(n->name, n->in, n, dtype));
        if (!n->grad || !n->grad->data) continue;
        snprintf(name, sizeof name, "d%s", n->name);
        ATT_TRY(check_dense(name, n->grad, n, dtype));
    }
    return ATT_OK;
}

#define CHECK(dtype, ...) check(dtype, (need[]){__VA_ARGS__}, sizeof((need[]){__VA_ARGS__}) / sizeof(need))
/* Field `f` of the inputs and of the gradients. */
#define IN(f, n, ...)                                                                                                  \
    {                                                                                                                  \
#f, &in->f, grad ? &grad->f : NULL, n,                                                                         \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }

/* A view of this many dimensions, so that its sizes may be read. */
static att_status check_ndim(const char *name, const att_view *v, int ndim)
{
    ATT_REQUIRE(v->ndim == ndim, ATT_E_SHAPE, "%s: %d dimensions, expected %d", name, v->ndim, ndim);
    return ATT_OK;
}

/* ---- content ---- */

static att_status check_content(const att_content *in, const att_content *grad, const att_view *w, const att_view *dw)
{
    ATT_TRY(check_ndim("memory", &in->memory, 3));
    ATT_TRY(check_ndim("key", &in->key, 3));
    int64_t B = in->memory.dim[0], N = in->memory.dim[1], W = in->memory.dim[2], H = in->key.dim[1];
    return CHECK(in->memory.dtype, IN(memory, 3, B, N, W), IN(key, 3, B, H, W), IN(strength, 2, B, H),
                 {"w", w, dw, 3, {B, H, N}});
}

att_status att_content_forward(const att_exec *exec, const att_view *w, const att_content *in, att_span workspace)
{
    ATT_TRY(check_content(in, NULL, w, NULL));
    att_addressing_call call = {.in = in, .out = w};
    return each_entry(exec, &call, &in->memory, in->memory.dim[1], workspace, att_ref_content_f32, att_ref_content_f64);
}

att_status att_content_backward(const att_exec *exec, const att_content *grad, const att_view *dw, const att_view *w,
                                const att_content *in, att_span workspace)
{
    ATT_TRY(check_content(in, grad, w, dw));
    att_addressing_call call = {.in = in, .grad = grad, .out = w, .d_out = dw};
    return each_entry(exec, &call, &in->memory, in->memory.dim[1], workspace, att_ref_content_bwd_f32,
                      att_ref_content_bwd_f64);
}

/* ---- Neural Turing Machine ---- */

static att_status check_ntm(const att_ntm *in, const att_ntm *grad, const att_view *w, const att_view *dw)
{
    ATT_TRY(check_ndim("content", &in->content, 3));
    ATT_TRY(check_ndim("shift", &in->shift, 3));
    int64_t B = in->content.dim[0], H = in->content.dim[1], N = in->content.dim[2], S = in->shift.dim[2];
    ATT_REQUIRE(S % 2 == 1, ATT_E_SHAPE, "shift: %lld offsets, expected an odd number", (long long)S);
    return CHECK(in->content.dtype, IN(content, 3, B, H, N), IN(previous, 3, B, H, N), IN(gate, 2, B, H),
                 IN(shift, 3, B, H, S), IN(sharpen, 2, B, H), {"w", w, dw, 3, {B, H, N}});
}

att_status att_ntm_forward(const att_exec *exec, const att_view *w, const att_ntm *in, att_span workspace)
{
    ATT_TRY(check_ntm(in, NULL, w, NULL));
    att_addressing_call call = {.in = in, .out = w};
    return each_entry(exec, &call, &in->content, in->content.dim[2], workspace, att_ref_ntm_f32, att_ref_ntm_f64);
}

att_status att_ntm_backward(const att_exec *exec, const att_ntm *grad, const att_view *dw, const att_view *w,
                            const att_ntm *in, att_span workspace)
{
    ATT_TRY(check_ntm(in, grad, w, dw));
    att_addressing_call call = {.in = in, .grad = grad, .out = w, .d_out = dw};
    return each_entry(exec, &call, &in->content, in->content.dim[2], workspace, att_ref_ntm_bwd_f32,
                      att_ref_ntm_bwd_f64);
}

/* ---- Differentiable Neural Computer ---- */

static const att_span no_workspace;

static att_status check_usage(const att_dnc_usage *in, const att_dnc_usage *grad, const att_view *out)
{
    ATT_TRY(check_ndim("usage", &in->usage, 2));
    ATT_TRY(check_ndim("read", &in->read, 3));
    int64_t B = in->usage.dim[0], N = in->usage.dim[1], R = in->read.dim[1];
    return CHECK(in->usage.dtype, IN(usage, 2, B, N), IN(write, 2, B, N), IN(read, 3, B, R, N), IN(free, 2, B, R),
                 {grad ? "dusage" : "usage", out, NULL, 2, {B, N}});
}

att_status att_dnc_usage_forward(const att_exec *exec, const att_view *usage, const att_dnc_usage *in)
{
    ATT_TRY(check_usage(in, NULL, usage));
    att_addressing_call call = {.in = in, .out = usage};
    return each_entry(exec, &call, &in->usage, 0, no_workspace, att_ref_dnc_usage_f32, att_ref_dnc_usage_f64);
}

att_status att_dnc_usage_backward(const att_exec *exec, const att_dnc_usage *grad, const att_view *dusage,
                                  const att_dnc_usage *in)
{
    ATT_TRY(check_usage(in, grad, dusage));
    att_addressing_call call = {.in = in, .grad = grad, .d_out = dusage};
    return each_entry(exec, &call, &in->usage, 0, no_workspace, att_ref_dnc_usage_bwd_f32, att_ref_dnc_usage_bwd_f64);
}

static att_status check_allocation(const att_view *usage, const att_view *dusage, const char *name, const att_view *out)
{
    ATT_TRY(check_ndim("usage", usage, 2));
    int64_t B = usage->dim[0], N = usage->dim[1];
    return CHECK(usage->dtype, {"usage", usage, dusage, 2, {B, N}}, {name, out, NULL, 2, {B, N}});
}

att_status att_dnc_allocation_forward(const att_exec *exec, const att_view *allocation, const att_view *usage,
                                      att_span workspace)
{
    ATT_TRY(check_allocation(usage, NULL, "allocation", allocation));
    att_addressing_call call = {.in = usage, .out = allocation};
    return each_entry(exec, &call, usage, usage->dim[1], workspace, att_ref_dnc_allocation_f32,
                      att_ref_dnc_allocation_f64);
}

att_status att_dnc_allocation_backward(const att_exec *exec, const att_view *dusage, const att_view *dallocation,
                                       const att_view *usage, att_span workspace)
{
    ATT_TRY(check_allocation(usage, dusage, "dallocation", dallocation));
    att_addressing_call call = {.in = usage, .grad = dusage, .d_out = dallocation};
    return each_entry(exec, &call, usage, usage->dim[1], workspace, att_ref_dnc_allocation_bwd_f32,
                      att_ref_dnc_allocation_bwd_f64);
}

static att_status check_write(const att_dnc_write *in, const att_dnc_write *grad, const att_view *w)
{
    ATT_TRY(check_ndim("content", &in->content, 2));
    int64_t B = in->content.dim[0], N = in->content.dim[1];
    return CHECK(in->content.dtype, IN(content, 2, B, N), IN(allocation, 2, B, N), IN(write_gate, 1, B),
                 IN(allocation_gate, 1, B), {grad ? "dw" : "w", w, NULL, 2, {B, N}});
}

att_status att_dnc_write_forward(const att_exec *exec, const att_view *w, const att_dnc_write *in)
{
    ATT_TRY(check_write(in, NULL, w));
    att_addressing_call call = {.in = in, .out = w};
    return each_entry(exec, &call, &in->content, 0, no_workspace, att_ref_dnc_write_f32, att_ref_dnc_write_f64);
}

att_status att_dnc_write_backward(const att_exec *exec, const att_dnc_write *grad, const att_view *dw,
                                  const att_dnc_write *in)
{
    ATT_TRY(check_write(in, grad, dw));
    att_addressing_call call = {.in = in, .grad = grad, .d_out = dw};
    return each_entry(exec, &call, &in->content, 0, no_workspace, att_ref_dnc_write_bwd_f32, att_ref_dnc_write_bwd_f64);
}

static att_status check_link(const att_dnc_link *in, const att_dnc_link *grad, const att_view *link,
                             const att_view *precedence)
{
    ATT_TRY(check_ndim("write", &in->write, 2));
    int64_t B = in->write.dim[0], N = in->write.dim[1];
    ATT_TRY(CHECK(in->write.dtype, IN(write, 2, B, N), IN(precedence, 2, B, N), IN(link, 3, B, N, N)));
    if (!grad || link->data) ATT_TRY(CHECK(in->write.dtype, {grad ? "dlink" : "link", link, NULL, 3, {B, N, N}}));
    if (grad && !precedence->data) return ATT_OK;
    return CHECK(in->write.dtype, {grad ? "dprecedence" : "precedence", precedence, NULL, 2, {B, N}});
}

att_status att_dnc_link_forward(const att_exec *exec, const att_view *link, const att_view *precedence,
                                const att_dnc_link *in)
{
    ATT_TRY(check_link(in, NULL, link, precedence));
    att_addressing_call call = {.in = in, .out = link, .second = precedence};
    return each_entry(exec, &call, &in->write, 0, no_workspace, att_ref_dnc_link_f32, att_ref_dnc_link_f64);
}

att_status att_dnc_link_backward(const att_exec *exec, const att_dnc_link *grad, const att_view *dlink,
                                 const att_view *dprecedence, const att_dnc_link *in)
{
    ATT_TRY(check_link(in, grad, dlink, dprecedence));
    att_addressing_call call = {.in = in, .grad = grad, .d_out = dlink, .d_second = dprecedence};
    return each_entry(exec, &call, &in->write, 0, no_workspace, att_ref_dnc_link_bwd_f32, att_ref_dnc_link_bwd_f64);
}

static att_status check_read(const att_dnc_read *in, const att_dnc_read *grad, const att_view *w)
{
    ATT_TRY(check_ndim("read", &in->read, 3));
    int64_t B = in->read.dim[0], R = in->read.dim[1], N = in->read.dim[2];
    return CHECK(in->read.dtype, IN(read, 3, B, R, N), IN(content, 3, B, R, N), IN(link, 3, B, N, N),
                 IN(mode, 3, B, R, 3), {grad ? "dw" : "w", w, NULL, 3, {B, R, N}});
}

att_status att_dnc_read_forward(const att_exec *exec, const att_view *w, const att_dnc_read *in)
{
    ATT_TRY(check_read(in, NULL, w));
    att_addressing_call call = {.in = in, .out = w};
    return each_entry(exec, &call, &in->read, 0, no_workspace, att_ref_dnc_read_f32, att_ref_dnc_read_f64);
}

att_status att_dnc_read_backward(const att_exec *exec, const att_dnc_read *grad, const att_view *dw,
                                 const att_dnc_read *in)
{
    ATT_TRY(check_read(in, grad, dw));
    att_addressing_call call = {.in = in, .grad = grad, .d_out = dw};
    return each_entry(exec, &call, &in->read, 0, no_workspace, att_ref_dnc_read_bwd_f32, att_ref_dnc_read_bwd_f64);
}
