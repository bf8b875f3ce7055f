#include "kernel/limits.h"

#include "kernel/cpu/pairs.h"
#include "kernel/cpu/vmath.h"

#define CHAINS 12 /* latency times throughput of the units, with a reserve: 4 cycles, 2 a cycle */
#define LOADS  8
#define FENCE  __asm__ volatile("" ::: "memory") /* the next round reads again */

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

/* Each sum is its own factor, or the products would be made once for all. */
static float i16_pairs_loop(int64_t rounds)
{
    static const int16_t pair[2] = {1, 3};
    vi x[CHAINS], a = vi_set1_pair(pair);
    for (int c = 0; c < CHAINS; c++) x[c] = a;
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++) x[c] = vi_dot(x[c], x[c], a);
    }
    vi sum = vi_zero();
    for (int c = 0; c < CHAINS; c++) sum = vi_add(sum, x[c]);
    return vf_sum(vi_float(sum));
}

/* Pairs of bfloat16: twice as many multiply-adds an instruction; NULL where the processor has none. */
#if VF_LANES == 16
static __attribute__((target("avx512bf16"))) float pairs_loop(int64_t rounds)
{
    vf x[CHAINS];
    const __m512bh a = (__m512bh)_mm512_set1_epi16(0x3c00);
    for (int c = 0; c < CHAINS; c++) x[c] = vf_set1((float)c);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++) x[c] = _mm512_dpbf16_ps(x[c], a, a);
    }
    vf sum = vf_zero();
    for (int c = 0; c < CHAINS; c++) sum = vf_add(sum, x[c]);
    return vf_sum(sum);
}
#define PAIRS_LOOP (__builtin_cpu_supports("avx512bf16") ? pairs_loop : NULL)
#else
#define PAIRS_LOOP NULL
#endif

static float read_loop(const float *x, int64_t n, int64_t rounds)
{
    vf sum[LOADS];
    for (int c = 0; c < LOADS; c++) sum[c] = vf_zero();
    for (int64_t r = 0; r < rounds; r++) {
        for (int64_t i = 0; i + LOADS * VF_LANES <= n; i += LOADS * VF_LANES)
#pragma GCC unroll 8
            for (int c = 0; c < LOADS; c++) sum[c] = vf_add(sum[c], vf_load(x + i + c * VF_LANES));
        FENCE;
    }
    for (int c = 1; c < LOADS; c++) sum[0] = vf_add(sum[0], sum[c]);
    return vf_sum(sum[0]);
}

static float exp_loop(const float *x, int64_t rounds)
{
    vf sum[2] = {vf_zero(), vf_zero()};
    for (int64_t r = 0; r < rounds; r++) {
        for (int64_t i = 0; i < ATT_LIMIT_VALUES; i += 2 * VF_LANES)
            for (int c = 0; c < 2; c++) sum[c] = vf_add(sum[c], vf_exp(vf_load(x + i + c * VF_LANES)));
        FENCE;
    }
    return vf_sum(vf_add(sum[0], sum[1]));
}

static float tanh_loop(const float *x, int64_t rounds)
{
    vf sum[2] = {vf_zero(), vf_zero()};
    for (int64_t r = 0; r < rounds; r++) {
        for (int64_t i = 0; i < ATT_LIMIT_VALUES; i += 2 * VF_LANES)
            for (int c = 0; c < 2; c++) sum[c] = vf_add(sum[c], vf_tanh(vf_load(x + i + c * VF_LANES)));
        FENCE;
    }
    return vf_sum(vf_add(sum[0], sum[1]));
}

/* The sum of tanh's 1 - 2r, but for what a sum needs only once. */
static float tanh_sum_loop(const float *x, int64_t rounds)
{
    const float *k = x + ATT_LIMIT_VALUES / 2;
    vf sum[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    for (int64_t r = 0; r < rounds; r++) {
        for (int64_t i = 0; i < ATT_LIMIT_VALUES / 2; i += VF_LANES) {
            vf q = vf_load(x + i);
#pragma GCC unroll 4
            for (int c = 0; c < 4; c++)
                sum[c] = vf_add(sum[c], vf_rcp_one_plus(q, vf_load(k + (i + c * VF_LANES) % (ATT_LIMIT_VALUES / 2))));
        }
        FENCE;
    }
    return vf_sum(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
}

void ATT_VARIANT(att_register_limits)(att_limits_kernels *t);
void ATT_VARIANT(att_register_limits)(att_limits_kernels *t)
{
    *t = (att_limits_kernels){.fma = fma_loop,
                              .fma_flops = 2 * CHAINS * VF_LANES,
                              .i16_pairs = i16_pairs_loop,
                              .bf16_pairs = PAIRS_LOOP,
                              .read = read_loop,
                              .exp = exp_loop,
                              .tanh = tanh_loop,
                              .tanh_sum = tanh_sum_loop};
}
