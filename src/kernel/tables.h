/* The contract between op/ and the kernels: one table of functions per instruction set. A table starts as the
 * reference; each SIMD variant overrides what it improves. Kernels work on one tile on the calling thread; op/ cuts the
 * work into tiles of fixed size, so that results do not depend on the number of threads. */
#ifndef ATT_TABLES_H
#define ATT_TABLES_H

#include <stdint.h>

#include <attend/exec.h>

#include "kernel/attention.h"
#include "kernel/decode.h"
#include "kernel/gemm.h"
#include "kernel/gemm8.h"
#include "kernel/gemm_bf16.h"
#include "kernel/limits.h"
#include "kernel/rnn.h"
#include "kernel/rows.h"

typedef struct att_kernels {
    att_isa isa;
    att_gemm_kernels gemm;
    att_gemm8_kernels gemm8;
    att_bf16_kernels bf16;
    att_attention_kernels attention;
    att_fused_kernels fused, fused_bf16; /* fused_bf16: where q, k and v are all bfloat16; NULLs: fused serves it too */
    att_decode_kernels decode;
    att_rows_kernels rows;
    att_rnn_kernels rnn;
    att_limits_kernels limits;
} att_kernels;

#endif
