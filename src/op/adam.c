#include <attend/ops.h>

#include <math.h>

#include "base/parallel.h"
#include "op/dispatch.h"
#include "op/strided.h"

#define CHUNK 16384 /* parameters of one tile */

typedef struct call {
    const att_rows_kernels *k;
    att_adam_scalars s;
    float *p, *m, *v;
    const float *g;
    int64_t n;
} call;

static void tile(void *ctx, int64_t index, int worker)
{
    (void)worker;
    const call *c = ctx;
    int64_t i = index * CHUNK;
    c->k->adam(&c->s, c->p + i, c->m + i, c->v + i, c->g + i, att_min64(CHUNK, c->n - i));
}

att_status att_adam_step(const att_adam_desc *desc, const att_exec *exec, float *p, float *m, float *v, const float *g,
                         int64_t n)
{
    ATT_REQUIRE(n >= 0, ATT_E_VALUE, "n: %lld, expected 0 or more", (long long)n);
    ATT_REQUIRE(n == 0 || (p && m && v && g), ATT_E_VALUE, "p, m, v, g: one is NULL, expected %lld elements each",
                (long long)n);
    ATT_REQUIRE(desc->step >= 1, ATT_E_VALUE, "step: %lld, expected 1 or more", (long long)desc->step);
    ATT_REQUIRE(desc->beta1 >= 0 && desc->beta1 < 1, ATT_E_VALUE, "beta1: %g, expected 0 <= beta1 < 1", desc->beta1);
    ATT_REQUIRE(desc->beta2 >= 0 && desc->beta2 < 1, ATT_E_VALUE, "beta2: %g, expected 0 <= beta2 < 1", desc->beta2);
    ATT_REQUIRE(desc->eps >= 0, ATT_E_VALUE, "eps: %g, expected 0 or more", desc->eps);
    double step = (double)desc->step;
    call c = {.k = &att_kernels_for(exec)->rows, .p = p, .m = m, .v = v, .g = g, .n = n};
    c.s = (att_adam_scalars){.beta1 = desc->beta1,
                             .beta2 = desc->beta2,
                             .gscale = desc->gscale,
                             .rate = desc->lr / (1 - pow(desc->beta1, step)),
                             .root = 1 / sqrt(1 - pow(desc->beta2, step)),
                             .eps = desc->eps,
                             .shrink = desc->lr * desc->decay};
    att_parallel(att_exec_for(exec, n), att_ceil_div(n, CHUNK), tile, &c);
    return ATT_OK;
}
