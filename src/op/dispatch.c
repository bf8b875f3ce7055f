/* The only file that knows all variants of the kernels. */
#include "op/dispatch.h"

#include <pthread.h>
#include <string.h>

#if defined(ATT_HAVE_BF16)
#include <cpuid.h>
#endif
#if defined(ATT_HAVE_AMX)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "op/kernels_ref.h"

static att_kernels tables[ATT_ISA_AMX + 1]; /* indexed by att_isa; built once, read-only afterwards */
static pthread_once_t built = PTHREAD_ONCE_INIT;

void att_register_gemm_portable(att_kernels *table);
void att_register_gemm8_portable(att_gemm8_kernels *t);
void att_register_gemm_avx2(att_kernels *table);
void att_register_gemm8_avx2(att_gemm8_kernels *t);
void att_register_gemm_avx512(att_kernels *table);
void att_register_gemm8_avx512(att_gemm8_kernels *t);
void att_register_gemm8_avx512vnni(att_gemm8_kernels *t);
void att_register_gemm8_amx(att_gemm8_kernels *t);
void att_register_gemm_bf16_avx512bf16(att_bf16_kernels *t);
void att_register_fused_forward_avx512bf16(att_fused_kernels *t);
void att_register_gemm_bf16_amx(att_bf16_kernels *t);
void att_register_fused_forward_amx(att_fused_kernels *t);
void att_register_fused_backward_amx(att_fused_kernels *t);
void att_register_attention_portable(att_attention_kernels *t);
void att_register_additive_portable(att_attention_kernels *t);
void att_register_dot_portable(att_attention_kernels *t);
void att_register_fused_forward_portable(att_fused_kernels *t);
void att_register_fused_backward_portable(att_fused_kernels *t);
#if defined(ATT_HAVE_X86)
void att_register_attention_avx2(att_attention_kernels *t);
void att_register_additive_avx2(att_attention_kernels *t);
void att_register_dot_avx2(att_attention_kernels *t);
void att_register_fused_forward_avx2(att_fused_kernels *t);
void att_register_fused_backward_avx2(att_fused_kernels *t);
void att_register_attention_avx512(att_attention_kernels *t);
void att_register_additive_avx512(att_attention_kernels *t);
void att_register_dot_avx512(att_attention_kernels *t);
void att_register_fused_forward_avx512(att_fused_kernels *t);
void att_register_fused_backward_avx512(att_fused_kernels *t);
#endif

void att_register_rows_portable(att_rows_kernels *t);
void att_register_rnn_portable(att_rnn_kernels *t);
void att_register_limits_portable(att_limits_kernels *t);
void att_register_decode_portable(att_decode_kernels *t);
void att_register_rows_avx2(att_rows_kernels *t);
void att_register_rnn_avx2(att_rnn_kernels *t);
void att_register_limits_avx2(att_limits_kernels *t);
void att_register_decode_avx2(att_decode_kernels *t);
void att_register_rows_avx512(att_rows_kernels *t);
void att_register_rnn_avx512(att_rnn_kernels *t);
void att_register_limits_avx512(att_limits_kernels *t);
void att_register_limits_avx512vnni(att_limits_kernels *t);
void att_register_decode_avx512(att_decode_kernels *t);

static void register_portable(att_kernels *t)
{
    att_register_gemm_portable(t);
    att_register_gemm8_portable(&t->gemm8);
    att_register_attention_portable(&t->attention);
    att_register_additive_portable(&t->attention);
    att_register_dot_portable(&t->attention);
    att_register_fused_forward_portable(&t->fused);
    att_register_fused_backward_portable(&t->fused);
    att_register_rows_portable(&t->rows);
    att_register_rnn_portable(&t->rnn);
    att_register_limits_portable(&t->limits);
    att_register_decode_portable(&t->decode);
}

#if defined(ATT_HAVE_X86)
static void register_avx2(att_kernels *t)
{
    att_register_gemm_avx2(t);
    att_register_gemm8_avx2(&t->gemm8);
    att_register_attention_avx2(&t->attention);
    att_register_additive_avx2(&t->attention);
    att_register_dot_avx2(&t->attention);
    att_register_fused_forward_avx2(&t->fused);
    att_register_fused_backward_avx2(&t->fused);
    att_register_rows_avx2(&t->rows);
    att_register_rnn_avx2(&t->rnn);
    att_register_limits_avx2(&t->limits);
    att_register_decode_avx2(&t->decode);
}

static void register_avx512(att_kernels *t)
{
    att_register_gemm_avx512(t);
    att_register_gemm8_avx512(&t->gemm8);
    att_register_attention_avx512(&t->attention);
    att_register_additive_avx512(&t->attention);
    att_register_dot_avx512(&t->attention);
    att_register_fused_forward_avx512(&t->fused);
    att_register_fused_backward_avx512(&t->fused);
    att_register_rows_avx512(&t->rows);
    att_register_rnn_avx512(&t->rnn);
    att_register_limits_avx512(&t->limits);
    att_register_decode_avx512(&t->decode);
}

static void register_avx512vnni(att_kernels *t)
{
    register_avx512(t);
    att_register_gemm8_avx512vnni(&t->gemm8);
    att_register_limits_avx512vnni(&t->limits);
}
#endif

#if defined(ATT_HAVE_AMX)
/* Tile registers are large: Linux gives them to a process that asks, for all its threads. */
static bool may_use_tiles(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#endif

/* Intel's processors from Sapphire Rapids on leave bfloat16 to their matrix units: without those (a hypervisor may hide
 * them) their AVX512_BF16 has half the multiply-adds of float32. */
static att_isa with_vnni(void)
{
#if defined(ATT_HAVE_BF16)
    unsigned a, b, c, d = 0;
    enum { AMX_BF16 = 1u << 22, AVX512_FP16 = 1u << 23, AMX_TILE = 1u << 24, AMX_INT8 = 1u << 25 };
    if (!__builtin_cpu_supports("avx512bf16") || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return ATT_ISA_AVX512_VNNI;
#if defined(ATT_HAVE_AMX)
    if ((d & AMX_BF16) && (d & AMX_INT8) && (d & AMX_TILE) && may_use_tiles()) return ATT_ISA_AMX;
#endif
    return __builtin_cpu_is("intel") && (d & AVX512_FP16) ? ATT_ISA_AVX512_VNNI : ATT_ISA_AVX512_BF16;
#else
    return ATT_ISA_AVX512_VNNI;
#endif
}

att_isa att_isa_detect(void)
{
#if defined(ATT_HAVE_X86)
    __builtin_cpu_init(); /* its feature bits also ask the operating system (XGETBV) */
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
        return __builtin_cpu_supports("avx512vnni") ? with_vnni() : ATT_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return ATT_ISA_AVX2;
#endif
    return ATT_ISA_PORTABLE;
}

/* A variant's register function is itself compiled for that instruction set, so only those that the machine has may
 * run; the tables above stay the reference and are never handed out. */
static void build(void)
{
    for (int isa = ATT_ISA_REF; isa <= ATT_ISA_AMX; isa++)
        tables[isa] = (att_kernels){.isa = (att_isa)isa, .rows = att_rows_ref, .rnn = att_rnn_ref};
    register_portable(&tables[ATT_ISA_PORTABLE]);
#if defined(ATT_HAVE_X86)
    att_isa machine = att_isa_detect();
    if (machine >= ATT_ISA_AVX2) register_avx2(&tables[ATT_ISA_AVX2]);
    if (machine >= ATT_ISA_AVX512) register_avx512(&tables[ATT_ISA_AVX512]);
    if (machine >= ATT_ISA_AVX512_VNNI) register_avx512vnni(&tables[ATT_ISA_AVX512_VNNI]);
#if defined(ATT_HAVE_BF16)
    if (machine >= ATT_ISA_AVX512_BF16) {
        att_kernels *t = &tables[ATT_ISA_AVX512_BF16];
        register_avx512vnni(t);
        t->fused_bf16 = t->fused; /* its backward is no slower than one in bfloat16 (docs/decisions.md) */
        att_register_gemm_bf16_avx512bf16(&t->bf16);
        att_register_fused_forward_avx512bf16(&t->fused_bf16);
    }
#endif
#if defined(ATT_HAVE_AMX)
    if (machine >= ATT_ISA_AMX) {
        register_avx512vnni(&tables[ATT_ISA_AMX]);
        tables[ATT_ISA_AMX].fused_bf16 = tables[ATT_ISA_AMX].fused;
        att_register_gemm8_amx(&tables[ATT_ISA_AMX].gemm8);
        att_register_gemm_bf16_amx(&tables[ATT_ISA_AMX].bf16);
        att_register_fused_forward_amx(&tables[ATT_ISA_AMX].fused_bf16);
        att_register_fused_backward_amx(&tables[ATT_ISA_AMX].fused_bf16);
    }
#endif
#endif
}

const att_kernels *att_kernels_for(const att_exec *exec)
{
    static _Thread_local att_isa machine; /* ATT_ISA_BEST = 0: not asked yet */
    if (machine == ATT_ISA_BEST) machine = att_isa_detect();
    pthread_once(&built, build);
    att_isa wanted = exec && exec->isa != ATT_ISA_BEST ? exec->isa : machine;
    return &tables[wanted < machine ? wanted : machine];
}

static const char *const isa_names[] = {"best", "ref", "portable", "avx2", "avx512", "avx512vnni", "avx512bf16", "amx"};

const char *att_isa_name(att_isa isa)
{
    return (size_t)isa < sizeof isa_names / sizeof *isa_names ? isa_names[isa] : "unknown";
}

att_status att_isa_parse(const char *name, att_isa *isa)
{
    for (size_t i = 0; i < sizeof isa_names / sizeof *isa_names; i++)
        if (strcmp(name, isa_names[i]) == 0) {
            *isa = (att_isa)i;
            return ATT_OK;
        }
    return att_fail(ATT_E_VALUE, "isa: '%s', expected best, ref, portable, avx2, avx512, avx512vnni, avx512bf16 or amx",
                    name);
}
