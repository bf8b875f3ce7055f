#include "kernel/limits.h"

#include "kernel/cpu/simd.h"

#define CHAINS 12 /* latency times throughput of the units, with a reserve: 4 cycles, 2 a cycle */

static float fma_loop(int64_t rounds)
{
    vf x[CHAINS], a = vf_set1(0.999f), b = vf_set1(0.001f);
    for (int c = 0; c < CHAINS; c++) x[c] = vf_set1((float)c);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++) x[c] = vf_fma(x[c], a, b);
    }
    vf sum = vf_zero();
    for (int c = 0; c < CHAINS; c++) sum = vf_add(sum, x[c]);
    return vf_sum(sum);
}

void ATT_VARIANT(att_register_limits)(att_limits_kernels *t);
void ATT_VARIANT(att_register_limits)(att_limits_kernels *t)
{
    *t = (att_limits_kernels){.fma = fma_loop, .fma_flops = 2 * CHAINS * VF_LANES};
}
