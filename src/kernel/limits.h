/* Loops that do nothing but reach a limit of the machine. What they return keeps the compiler from dropping them. */
#ifndef ATT_KERNEL_LIMITS_H
#define ATT_KERNEL_LIMITS_H

#include <stdint.h>

#define ATT_LIMIT_VALUES 1024 /* what exp, tanh and tanh_sum read in a round */

typedef struct att_limits_kernels {
    float (*fma)(int64_t rounds);
    int64_t fma_flops;                                        /* of a round */
    float (*i16_pairs)(int64_t rounds);                       /* of twice fma_flops, as kernel/gemm8.h multiplies */
    float (*bf16_pairs)(int64_t rounds);                      /* of twice fma_flops; NULL: none */
    float (*read)(const float *x, int64_t n, int64_t rounds); /* n a multiple of 128 */
    float (*exp)(const float *x, int64_t rounds);
    float (*tanh)(const float *x, int64_t rounds);
    float (*tanh_sum)(const float *x, int64_t rounds); /* of exponentials: half q, half k, four k with each q */
} att_limits_kernels;

#endif
