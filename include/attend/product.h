/* Dense matrix products, with bias and activation fused, and weights packed once for many calls. */
#ifndef ATTEND_PRODUCT_H
#define ATTEND_PRODUCT_H

#include <attend/exec.h>
#include <attend/memory.h>
#include <attend/view.h>

ATT_BEGIN

typedef enum att_activation {
    ATT_ACT_NONE = 0,
    ATT_ACT_RELU,
    ATT_ACT_TANH,
    ATT_ACT_SIGMOID,
    ATT_ACT_GELU,      /* 0.5 x (1 + erf(x / sqrt 2))                                     (Hendrycks & Gimpel 2016) */
    ATT_ACT_GELU_TANH, /* its approximation 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), as GPT-2 uses it        */
    ATT_ACT_SILU       /* x sigmoid(x) */
} att_activation;

typedef struct att_product_desc {
    int accumulate;            /* 0: c = ..., 1: c += ... */
    att_activation activation; /* applied to a b + bias; not with accumulate */
    int bfloat16;              /* 1: in bfloat16 where the machine has instructions for it, see att_product */
} att_product_desc;

/* A right operand b(K,N) rearranged for the kernels of one instruction set. Filled by att_product_pack. */
typedef struct att_packed {
    int64_t K, N;
    att_isa isa;
    void *data;
    att_dtype dtype; /* of data: ATT_F32, ATT_BF16 or ATT_I8 */
    float *scale;    /* (N) of ATT_I8: column n of b is scale[n] times whole numbers -127 .. 127 */
    int a_bits;      /* of ATT_I8, its user's to set: 8 rounds rows of a to 8 bits as well, see att_product_packed */
} att_packed;

/* c(M,N) = act(a(M,K) b(K,N) + bias(N)), or c += a b + bias.
 * float32 or float64 throughout; any strides (a transposed operand is a view); bias may be absent. c must not overlap
 * the inputs. Each element of c is one fixed-order sum over k: the same bits for any number of threads and any M, so
 * that a row of a batch equals that row alone. No allocation. K = 0 gives act(bias).
 * With desc->bfloat16 a large float32 product may use the machine's instructions for bfloat16: a and b are rounded to
 * it on the way, relative errors of at most 2^-9 each, and summed in float32. The bits are the same for any number of
 * threads, but whether it is done depends on the sizes and the machine. att_product_packed ignores it. Fails with
 * ATT_E_SHAPE, ATT_E_DTYPE, ATT_E_WORKSPACE. */
ATT_API att_status att_product(const att_product_desc *desc, const att_exec *exec, const att_view *c, const att_view *a,
                               const att_view *b, const att_view *bias, att_span workspace);
ATT_API att_status att_product_workspace(const att_exec *exec, int64_t M, int64_t N, int64_t K, size_t *bytes);

/* c[i] = act(a[i] b[i] + bias), or c[i] += a[i] b[i] + bias, for each i of a batch: c(B,M,N), a(B,M,K), b(B,K,N),
 * bias(N) or absent. As B calls of att_product, to the same bits; threads take whole products where there are enough. A
 * stride of 0 along a's or b's batch is one matrix for all. Fails as att_product does. */
ATT_API att_status att_product_batch(const att_product_desc *desc, const att_exec *exec, const att_view *c,
                                     const att_view *a, const att_view *b, const att_view *bias, att_span workspace);
ATT_API att_status att_product_batch_workspace(const att_exec *exec, int64_t B, int64_t M, int64_t N, int64_t K,
                                               size_t *bytes);

/* c = sum over s of a[s](M,K_s) b[s](K_s,N), or c += it: the product of the a joined along their columns and the b
 * joined along their rows, to the same bits. The weight gradient of a layer that ran n times is one such sum. n = 0
 * gives act(0). Workspace: att_product_workspace with K the sum of all K_s. */
ATT_API att_status att_product_sum(const att_product_desc *desc, const att_exec *exec, const att_view *c, int64_t n,
                                   const att_view *a, const att_view *b, att_span workspace);

/* Pack b(K,N) (float32) into `memory` of att_product_pack_bytes(); `packed` then refers to that memory. */
ATT_API size_t att_product_pack_bytes(const att_exec *exec, int64_t K, int64_t N);
ATT_API att_status att_product_pack(const att_exec *exec, att_packed *packed, const att_view *b, att_span memory);
/* The same in fewer bits, for inference:
 *     ATT_F32    as att_product_pack
 *     ATT_BF16   b rounded to bfloat16 (nearest, ties to even): half the memory, relative errors of at most 2^-9
 *     ATT_I8     column n rounded to multiples of scale[n] = max_k |b[k,n]| / 127: a quarter; K at most 65536
 * b is finite. Fails with ATT_E_DTYPE, ATT_E_SHAPE, ATT_E_WORKSPACE. */
ATT_API size_t att_product_pack_as_bytes(const att_exec *exec, att_dtype dtype, int64_t K, int64_t N);
ATT_API att_status att_product_pack_as(const att_exec *exec, att_dtype dtype, att_packed *packed, const att_view *b,
                                       att_span memory);
/* out(K) = column n of the packed b as it was rounded. */
ATT_API void att_product_packed_column(const att_packed *packed, int64_t n, float *out);

/* As att_product with the packed b. ATT_F32 gives the same bits, ATT_BF16 those of att_product with the rounded b. For
 * ATT_I8 the rows of a are rounded too, to multiples of max_k |a[m,k]| / L with L = min(32767, 2^31 / (127 K)), or
 * L = 127 where b's a_bits is 8 (W8A8: up to twice as fast where there is VNNI without AMX), but for
 * ATT_ISA_REF: c then differs from the product with the rounded b by at most max_k |a[m,k]| / (2 L) sum_k |b[k,n]|. A
 * row of a that is not finite gives NaN, one that is below 1e-30 throughout counts as zeros. c is float32. Every row of
 * c has the same bits alone or in a batch and for any number of threads.
 * Fails with ATT_E_VALUE when packed for another instruction set. */
ATT_API att_status att_product_packed(const att_product_desc *desc, const att_exec *exec, const att_view *c,
                                      const att_view *a, const att_packed *b, const att_view *bias, att_span workspace);
/* What att_product_packed needs: less than att_product_workspace, which is enough too. */
ATT_API att_status att_product_packed_workspace(const att_exec *exec, int64_t M, int64_t N, int64_t K, size_t *bytes);

ATT_END

#endif
