#define _GNU_SOURCE
#include <attend/measure.h>

#include <time.h>

#include "base/parallel.h"
#include "op/dispatch.h"

#define ROUNDS ((int64_t)1 << 17)
#define TRIES  15

typedef struct fma_job {
    const att_kernels *kernels;
    volatile float *sink; /* one a thread */
} fma_job;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fma_tile(void *ctx, int64_t tile, int worker)
{
    fma_job *job = ctx;
    (void)worker;
    job->sink[tile] = job->kernels->limits.fma(ROUNDS);
}

att_status att_measure_fma(const att_exec *exec, double *gflops)
{
    int threads = att_threads(exec);
    void *sink;
    ATT_TRY(att_new_array(NULL, (size_t)threads, sizeof(float), &sink));
    fma_job job = {.kernels = att_kernels_for(exec), .sink = sink};
    ATT_REQUIRE(job.kernels->limits.fma, ATT_E_UNSUPPORTED, "measure: instruction set '%s' has no vectors",
                att_isa_name(job.kernels->isa));
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double began = now();
        att_parallel(exec, threads, fma_tile, &job);
        double rate = (double)threads * (double)ROUNDS * (double)job.kernels->limits.fma_flops / (now() - began) * 1e-9;
        best = rate > best ? rate : best;
    }
    att_free(NULL, sink, (size_t)threads * sizeof(float));
    *gflops = best;
    return ATT_OK;
}
