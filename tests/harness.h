/* What every test uses: cmocka, buffers that end at a guard page, random numbers, and the error rule. */
#ifndef HARNESS_H
#define HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <attend/exec.h>
#include <attend/random.h>
#include <attend/status.h>
#include <attend/view.h>

/* n bytes whose end is the end of a page before an inaccessible one: reading or writing one byte too far is a fault.
 * Aligned as far as n allows (the start is at page end - n). Free with guard_free. Fails the test when out of memory.
 */
void *guard_alloc(size_t bytes);
void guard_free(void *p, size_t bytes);

/* Uniform in [-scale, scale), from `seed`, the same for float and double buffers (double gets the float values). */
void fill_f32(float *p, int64_t n, uint64_t seed, float scale);
void fill_f64(double *p, int64_t n, uint64_t seed, double scale);

/* The rule of every float kernel: its error is at most twice that of the plain float reference, plus eps. NaN fails. */
static inline int within(double got, double want, double plain, double eps)
{
    return fabs(got - want) <= 2.0 * fabs(plain - want) + eps;
}

/* All of got[n] within the rule; prints the first offender with `what`. The reference error is the largest over the
 * array, so that an element on which the reference is exact by luck does not fail the kernel. */
int all_within(const float *got, const double *want, const float *plain, int64_t n, double eps, const char *what);

#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        att_status status_ = (call);                                                                                   \
        if (status_ != ATT_OK) fail_msg("%s: %s (%s)", #call, att_status_name(status_), att_last_error());             \
    } while (0)

/* Where temporary files go: memory where the system has it, since a saved file is synced and disks are slow at that. */
const char *scratch_folder(void);

/* The instruction sets this machine can run, from ATT_ISA_REF up to its best. Returns how many. */
int testable_isas(att_isa isa[8]);

#endif
