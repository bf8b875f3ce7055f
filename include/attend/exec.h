/* How a call runs: threads and instruction set. Never what it computes: results have the same bits for any number of
 * threads. Passing NULL means one thread and the best instruction set of this machine. */
#ifndef ATTEND_EXEC_H
#define ATTEND_EXEC_H

#include <attend/export.h>
#include <attend/status.h>

ATT_BEGIN

typedef enum att_isa {
    ATT_ISA_BEST = 0,        /* whatever this machine does best                        */
    ATT_ISA_REF = 1,         /* the readable reference kernels                         */
    ATT_ISA_PORTABLE = 2,    /* SIMD sources built with the compiler's baseline flags  */
    ATT_ISA_AVX2 = 3,        /* AVX2 + FMA + F16C                                      */
    ATT_ISA_AVX512 = 4,      /* AVX-512 F, BW, DQ, VL                                  */
    ATT_ISA_AVX512_VNNI = 5, /* and VNNI, for products with 8-bit weights: their bits are those of every level */
    ATT_ISA_AVX512_BF16 = 6, /* and its bfloat16: attention of bfloat16, products that may round to it */
    ATT_ISA_AMX = 7          /* the same on Intel's AMX, and products with 8-bit weights               */
} att_isa;

typedef struct att_exec {
    int threads; /* 0 or 1: the calling thread alone; n: it and n - 1 workers, which sleep between calls and, if they
                    are 15 at most, keep off the caller's processor by their affinity */
    att_isa isa; /* an upper bound; a higher one than the machine has is lowered silently to the machine's */
} att_exec;

/* The best level that this CPU has and this operating system saves the registers of. ATT_ISA_AVX512_BF16 only where it
 * is faster than float32. */
ATT_API att_isa att_isa_detect(void);
ATT_API const char *att_isa_name(att_isa isa); /* "avx2" */
ATT_API att_status att_isa_parse(const char *name, att_isa *isa);
/* Processors this process may run on. */
ATT_API int att_cpu_count(void);

ATT_END

#endif
