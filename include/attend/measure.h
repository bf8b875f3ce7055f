/* What this machine can do at most, to hold measurements against. */
#ifndef ATTEND_MEASURE_H
#define ATTEND_MEASURE_H

#include <attend/exec.h>

ATT_BEGIN

/* Float32 multiply-adds with exec's threads and instruction set, in GFLOP/s (one multiply-add is two): a loop of
 * independent ones in registers, the best of several rounds of a few milliseconds. */
ATT_API att_status att_measure_fma(const att_exec *exec, double *gflops);

ATT_END

#endif
