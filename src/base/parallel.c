#define _GNU_SOURCE
#include "base/parallel.h"

#include <omp.h>
#include <sched.h>

void att_parallel(const att_exec *exec, int64_t tiles, void (*fn)(void *ctx, int64_t tile, int worker), void *ctx)
{
    int threads = att_threads(exec);
    if (threads > tiles) threads = (int)tiles;
    if (threads <= 1 || omp_in_parallel()) {
        for (int64_t i = 0; i < tiles; i++) fn(ctx, i, 0);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (int64_t i = 0; i < tiles; i++) fn(ctx, i, omp_get_thread_num());
}

int att_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    return omp_get_num_procs();
}
