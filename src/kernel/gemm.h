/* Dense products: packed panels and one micro-kernel. */
#ifndef ATT_KERNEL_GEMM_H
#define ATT_KERNEL_GEMM_H

#include <stdint.h>

typedef struct att_gemm_kernels {
    int64_t mr, nr; /* the micro-tile of c: mr rows, nr columns */
} att_gemm_kernels;

#endif
