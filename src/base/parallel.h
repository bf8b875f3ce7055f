/* The one place where threads start. */
#ifndef ATT_PARALLEL_H
#define ATT_PARALLEL_H

#include "base/base.h"

/* Run fn(ctx, tile, worker) for tile = 0 .. tiles-1 on up to exec->threads threads; `worker` (0 .. threads-1) names
 * the thread, for scratch memory. Which worker gets which tile is not fixed: a tile's result must not depend on it.
 * Nested calls run on the calling thread. */
void att_parallel(const att_exec *exec, int64_t tiles, void (*fn)(void *ctx, int64_t tile, int worker), void *ctx);

/* Upper bound of `worker` + 1 for this exec. */
static inline int att_threads(const att_exec *exec)
{
    return exec && exec->threads > 1 ? exec->threads : 1;
}

#endif
