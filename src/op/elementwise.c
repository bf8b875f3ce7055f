#include <attend/ops.h>

#include "kernel/ref/both.h"
#include "op/dispatch.h"
#include "op/require.h"
#include "op/strided.h"

/* The arguments of every op below, for one run. */
typedef struct call {
    const att_rows_kernels *k;
    bool is_double;
    double alpha, beta, p;
    int accumulate;
    att_activation act;
    bool has_y, has_x;
    uint64_t seed, stream;
} call;

static call make_call(const att_exec *exec, const att_view *y)
{
    return (call){.k = &att_kernels_for(exec)->rows, .is_double = y->dtype == ATT_F64};
}

static void axpby_run(const void *ctx, void *const *p, int64_t n, int64_t index)
{
    (void)index;
    const call *c = ctx;
    if (c->is_double)
        att_ref_axpby_f64(p[0], c->alpha, p[1], c->beta, n);
    else
        c->k->axpby(p[0], (float)c->alpha, p[1], (float)c->beta, n);
}

att_status att_axpby(const att_exec *exec, const att_view *y, double alpha, const att_view *x, double beta)
{
    ATT_TRY(att_require_real("y", y));
    ATT_TRY(att_require_like("x", x, y));
    call c = make_call(exec, y);
    c.alpha = alpha;
    c.beta = beta;
    att_strided_run(
        exec, &(att_strided){.fn = axpby_run, .ctx = &c, .operands = 2, .view = {y, x}, .reads_output = beta != 0});
    return ATT_OK;
}

att_status att_copy(const att_exec *exec, const att_view *y, const att_view *x, int accumulate)
{
    return att_axpby(exec, y, 1.0, x, accumulate ? 1.0 : 0.0);
}

static void fill_run(const void *ctx, void *const *p, int64_t n, int64_t index)
{
    (void)index;
    const call *c = ctx;
    float *y32 = p[0];
    double *y64 = p[0];
    if (c->is_double)
        for (int64_t i = 0; i < n; i++) y64[i] = c->alpha;
    else
        for (int64_t i = 0; i < n; i++) y32[i] = (float)c->alpha;
}

att_status att_fill(const att_exec *exec, const att_view *y, double value)
{
    ATT_TRY(att_require_real("y", y));
    call c = make_call(exec, y);
    c.alpha = value;
    att_strided_run(exec, &(att_strided){.fn = fill_run, .ctx = &c, .operands = 1, .view = {y}});
    return ATT_OK;
}

static void add_run(const void *ctx, void *const *p, int64_t n, int64_t index)
{
    (void)index;
    const call *c = ctx;
    if (c->is_double)
        att_ref_add_f64(p[0], p[1], p[2], n);
    else
        c->k->add(p[0], p[1], p[2], n);
}

att_status att_add(const att_exec *exec, const att_view *y, const att_view *a, const att_view *b)
{
    ATT_TRY(att_require_real("y", y));
    ATT_TRY(att_require_like("a", a, y));
    ATT_TRY(att_require_like("b", b, y));
    call c = make_call(exec, y);
    att_strided_run(exec, &(att_strided){.fn = add_run, .ctx = &c, .operands = 3, .view = {y, a, b}});
    return ATT_OK;
}

static void multiply_run(const void *ctx, void *const *p, int64_t n, int64_t index)
{
    (void)index;
    const call *c = ctx;
    if (c->is_double)
        att_ref_multiply_f64(p[0], p[1], p[2], c->accumulate, n);
    else
        c->k->multiply(p[0], p[1], p[2], c->accumulate, n);
}

att_status att_multiply(const att_exec *exec, const att_view *y, const att_view *a, const att_view *b, int accumulate)
{
    ATT_TRY(att_require_real("y", y));
    ATT_TRY(att_require_like("a", a, y));
    ATT_TRY(att_require_like("b", b, y));
    call c = make_call(exec, y);
    c.accumulate = accumulate;
    att_strided_run(
        exec, &(att_strided){
                  .fn = multiply_run, .ctx = &c, .operands = 3, .view = {y, a, b}, .reads_output = accumulate != 0});
    return ATT_OK;
}

static att_status require_activation(att_activation act)
{
    ATT_REQUIRE((int)act >= ATT_ACT_NONE && act <= ATT_ACT_SILU, ATT_E_VALUE, "act: %d, expected 0 to %d", (int)act,
                (int)ATT_ACT_SILU);
    return ATT_OK;
}

static void activation_run(const void *ctx, void *const *p, int64_t n, int64_t index)
{
    (void)index;
    const call *c = ctx;
    if (c->is_double)
        att_ref_activation_f64(c->act, p[0], p[1], n);
    else
        c->k->activation(c->act, p[0], p[1], n);
}

att_status att_activation_forward(const att_exec *exec, att_activation act, const att_view *y, const att_view *x)
{
    ATT_TRY(require_activation(act));
    ATT_TRY(att_require_real("y", y));
    ATT_TRY(att_require_like("x", x, y));
    call c = make_call(exec, y);
    c.act = act;
    att_strided_run(exec, &(att_strided){.fn = activation_run, .ctx = &c, .operands = 2, .view = {y, x}});
    return ATT_OK;
}

static void activation_bwd_run(const void *ctx, void *const *p, int64_t n, int64_t index)
{
    (void)index;
    const call *c = ctx;
    const void *y = c->has_y ? p[2] : NULL, *x = c->has_x ? p[2] : NULL;
    if (c->is_double)
        att_ref_activation_bwd_f64(c->act, p[0], p[1], y, x, c->accumulate, n);
    else
        c->k->activation_bwd(c->act, p[0], p[1], y, x, c->accumulate, n);
}

att_status att_activation_backward(const att_exec *exec, att_activation act, const att_view *dx, const att_view *dy,
                                   const att_view *y, const att_view *x, int accumulate)
{
    bool from_y = act == ATT_ACT_RELU || act == ATT_ACT_TANH || act == ATT_ACT_SIGMOID;
    bool from_x = act == ATT_ACT_GELU || act == ATT_ACT_GELU_TANH || act == ATT_ACT_SILU;
    ATT_TRY(require_activation(act));
    ATT_TRY(att_require_real("dx", dx));
    ATT_TRY(att_require_like("dy", dy, dx));
    if (from_y) ATT_TRY(att_require_like("y", y, dx));
    if (from_x) ATT_TRY(att_require_like("x", x, dx));
    call c = make_call(exec, dx);
    c.act = act;
    c.accumulate = accumulate;
    c.has_y = from_y;
    c.has_x = from_x;
    att_strided job = {
        .fn = activation_bwd_run, .ctx = &c, .operands = 2, .view = {dx, dy}, .reads_output = accumulate};
    if (from_y || from_x) job.view[job.operands++] = from_y ? y : x;
    att_strided_run(exec, &job);
    return ATT_OK;
}
