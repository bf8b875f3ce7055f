#include <attend/ops.h>

#include "kernel/ref/both.h"
#include "op/dispatch.h"
#include "op/require.h"
#include "op/strided.h"

typedef struct call {
    const att_rows_kernels *k;
    bool is_double;
    double p;
    uint64_t seed, stream;
    int accumulate;
} call;

static void dropout_run(const void *ctx, void *const *p, int64_t n, int64_t index)
{
    const call *c = ctx;
    if (c->is_double)
        att_ref_dropout_f64(p[0], p[1], c->p, c->seed, c->stream, (uint64_t)index, c->accumulate, n);
    else
        c->k->dropout(p[0], p[1], c->p, c->seed, c->stream, (uint64_t)index, c->accumulate, n);
}

att_status att_dropout(const att_exec *exec, const att_view *y, const att_view *x, double p, uint64_t seed,
                       uint64_t stream, int accumulate)
{
    ATT_TRY(att_require_real("y", y));
    ATT_TRY(att_require_like("x", x, y));
    ATT_REQUIRE(p >= 0.0 && p < 1.0, ATT_E_VALUE, "p: %g, expected 0 <= p < 1", p);
    call c = {.k = &att_kernels_for(exec)->rows,
              .is_double = y->dtype == ATT_F64,
              .p = p,
              .seed = seed,
              .stream = stream,
              .accumulate = accumulate};
    att_strided_run(exec, &(att_strided){.fn = dropout_run,
                                         .ctx = &c,
                                         .operands = 2,
                                         .view = {y, x},
                                         .reads_output = accumulate != 0,
                                         .keep_order = true});
    return ATT_OK;
}
