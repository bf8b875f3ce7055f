/* What this machine can do at most, to hold measurements against. Each function runs its loop for several rounds of a
 * few milliseconds with exec's threads and instruction set and returns the best. */
#ifndef ATTEND_MEASURE_H
#define ATTEND_MEASURE_H

#include <stddef.h>

#include <attend/exec.h>

ATT_BEGIN

/* Float32 multiply-adds, independent ones in registers, in GFLOP/s (one multiply-add is two). */
ATT_API att_status att_measure_fma(const att_exec *exec, double *gflops);

/* The same of pairs of 16-bit integers that are added to int32, as products with 8-bit weights multiply them. */
ATT_API att_status att_measure_i16(const att_exec *exec, double *gflops);

/* The same of pairs of bfloat16 that are added to float32 (AVX512_BF16); 0 where the processor or exec's instruction
 * set has no such instruction. */
ATT_API att_status att_measure_bf16(const att_exec *exec, double *gflops);

/* Reading `bytes` of memory again and again, every thread its own equal part, in GB/s (10^9 bytes): the size chooses
 * the cache, or memory, that is measured. Allocates that much. */
ATT_API att_status att_measure_read(const att_exec *exec, size_t bytes, double *gbps);

/* Elementary functions of float32 values in the first cache, in 10^9 a second: e^x, tanh x, and tanh(q + k) in the form
 * that additive attention uses, which makes the exponentials of q and k once and not for every pair. */
ATT_API att_status att_measure_exp(const att_exec *exec, double *per_ns);
ATT_API att_status att_measure_tanh(const att_exec *exec, double *per_ns);
ATT_API att_status att_measure_tanh_sum(const att_exec *exec, double *per_ns);

ATT_END

#endif
