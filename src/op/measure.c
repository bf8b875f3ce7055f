#define _GNU_SOURCE
#include <attend/measure.h>

#include "base/parallel.h"
#include "op/dispatch.h"

#define TRIES       15
#define AT_LEAST    0.04 /* seconds: a scheduler may leave new threads on one processor for a while */
#define FMA_ROUNDS  ((int64_t)1 << 17)
#define MATH_ROUNDS ((int64_t)1 << 12)
#define READ_FLOATS ((int64_t)1 << 22) /* at least, in one try of a thread */
#define READ_STEP   128                /* floats: what the loop reads at a time */

typedef struct job {
    const att_limits_kernels *limits;
    float (*flops)(int64_t rounds);
    float (*math)(const float *x, int64_t rounds);
    float *x; /* threads * each floats, or the values of math */
    int64_t each, rounds;
    volatile float *sink; /* one a thread */
} job;

static void flops_tile(void *ctx, int64_t tile, int worker)
{
    const job *j = ctx;
    (void)worker;
    j->sink[tile] = j->flops(FMA_ROUNDS);
}

static void fill_tile(void *ctx, int64_t tile, int worker)
{
    const job *j = ctx;
    (void)worker;
    for (int64_t i = 0; i < j->each; i++) j->x[tile * j->each + i] = 1.0f;
}

static void read_tile(void *ctx, int64_t tile, int worker)
{
    const job *j = ctx;
    (void)worker;
    j->sink[tile] = j->limits->read(j->x + tile * j->each, j->each, j->rounds);
}

static void math_tile(void *ctx, int64_t tile, int worker)
{
    const job *j = ctx;
    (void)worker;
    j->sink[tile] = j->math(j->x, MATH_ROUNDS);
}

/* How often a second every thread can run its tile, at best. */
static double best_rate(const att_exec *exec, void (*tile)(void *, int64_t, int), job *j)
{
    const double first = att_clock();
    double best = 0;
    for (int i = 0; i < TRIES || att_clock() - first < AT_LEAST; i++) {
        double began = att_clock();
        att_parallel(exec, att_threads(exec), tile, j);
        double rate = 1.0 / (att_clock() - began);
        best = rate > best ? rate : best;
    }
    return best;
}

/* A job with `floats` floats; release with `finish`. */
static att_status start(const att_exec *exec, size_t floats, job *j)
{
    void *x, *sink;
    const att_kernels *kernels = att_kernels_for(exec);
    ATT_REQUIRE(kernels->limits.fma, ATT_E_UNSUPPORTED, "measure: instruction set '%s' has no vectors",
                att_isa_name(kernels->isa));
    ATT_TRY(att_new_array(NULL, floats, sizeof(float), &x));
    att_status st = att_new_array(NULL, (size_t)att_threads(exec), sizeof(float), &sink);
    if (st != ATT_OK) att_free(NULL, x, floats * sizeof(float));
    *j = (job){.limits = &kernels->limits, .x = x, .sink = st == ATT_OK ? sink : NULL};
    return st;
}

static void finish(const att_exec *exec, size_t floats, job *j)
{
    att_free(NULL, j->x, floats * sizeof(float));
    att_free(NULL, (void *)(uintptr_t)j->sink, (size_t)att_threads(exec) * sizeof(float));
}

typedef enum multiply_add { FLOAT32, PAIRS_OF_I16, PAIRS_OF_BF16 } multiply_add;

static att_status measure_flops(const att_exec *exec, multiply_add which, double *gflops)
{
    job j;
    ATT_TRY(start(exec, 1, &j));
    const att_limits_kernels *l = j.limits;
    double flops = (which == FLOAT32 ? 1.0 : 2.0) * (double)FMA_ROUNDS * (double)l->fma_flops;
    j.flops = which == FLOAT32 ? l->fma : which == PAIRS_OF_I16 ? l->i16_pairs : l->bf16_pairs;
    *gflops = j.flops ? (double)att_threads(exec) * flops * best_rate(exec, flops_tile, &j) * 1e-9 : 0;
    finish(exec, 1, &j);
    return ATT_OK;
}

att_status att_measure_fma(const att_exec *exec, double *gflops)
{
    return measure_flops(exec, FLOAT32, gflops);
}

att_status att_measure_i16(const att_exec *exec, double *gflops)
{
    return measure_flops(exec, PAIRS_OF_I16, gflops);
}

att_status att_measure_bf16(const att_exec *exec, double *gflops)
{
    return measure_flops(exec, PAIRS_OF_BF16, gflops);
}

att_status att_measure_read(const att_exec *exec, size_t bytes, double *gbps)
{
    job j;
    int64_t threads = att_threads(exec), step = READ_STEP * threads;
    int64_t floats = att_max64(1, (int64_t)(bytes / sizeof(float)) / step) * step;
    ATT_TRY(start(exec, (size_t)floats, &j));
    j.each = floats / threads;
    j.rounds = att_ceil_div(READ_FLOATS, j.each);
    att_parallel(exec, threads, fill_tile, &j);
    *gbps = (double)floats * sizeof(float) * (double)j.rounds * best_rate(exec, read_tile, &j) * 1e-9;
    finish(exec, (size_t)floats, &j);
    return ATT_OK;
}

typedef enum math { EXP, TANH, TANH_SUM } math;

static att_status measure_math(const att_exec *exec, math which, double *per_ns)
{
    job j;
    ATT_TRY(start(exec, ATT_LIMIT_VALUES, &j));
    j.math = which == EXP ? j.limits->exp : which == TANH ? j.limits->tanh : j.limits->tanh_sum;
    double lo = which == TANH_SUM ? 0.5 : -8, hi = 8, results = which == TANH_SUM ? 2 : 1;
    for (int i = 0; i < ATT_LIMIT_VALUES; i++) j.x[i] = (float)(lo + (hi - lo) * i / ATT_LIMIT_VALUES);
    results *= ATT_LIMIT_VALUES * (double)MATH_ROUNDS * (double)att_threads(exec);
    *per_ns = results * best_rate(exec, math_tile, &j) * 1e-9;
    finish(exec, ATT_LIMIT_VALUES, &j);
    return ATT_OK;
}

att_status att_measure_exp(const att_exec *exec, double *per_ns)
{
    return measure_math(exec, EXP, per_ns);
}

att_status att_measure_tanh(const att_exec *exec, double *per_ns)
{
    return measure_math(exec, TANH, per_ns);
}

att_status att_measure_tanh_sum(const att_exec *exec, double *per_ns)
{
    return measure_math(exec, TANH_SUM, per_ns);
}
