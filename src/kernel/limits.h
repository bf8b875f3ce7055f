/* Loops that do nothing but reach a limit of the machine. */
#ifndef ATT_KERNEL_LIMITS_H
#define ATT_KERNEL_LIMITS_H

#include <stdint.h>

typedef struct att_limits_kernels {
    float (*fma)(int64_t rounds); /* the result keeps the compiler from dropping the loop */
    int64_t fma_flops;            /* of a round */
} att_limits_kernels;

#endif
