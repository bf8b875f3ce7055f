/* Right operands rearranged for the kernels: float32, bfloat16 and 8-bit weights.
 *
 * For the reference, b(K,N) with dense rows. For kernels, panel after panel of nr columns with all of K, zeros behind
 * the last column: rows of nr values; in bfloat16 the two halves of a row take turns, how 8 bits lie is their kernel's
 * affair. The scales of 8-bit columns come first, as many as the panels have columns. */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/parallel.h"
#include "op/product.h"

enum { STEP_K = 256, MOST_NR = 64 }; /* rows of b that are brought into float panels at a time */

typedef struct packing {
    const att_gemm_kernels *gemm; /* block NULL: for the reference */
    const att_gemm8_kernels *gemm8;
    const att_view *b;
    att_packed *out;
    int64_t K, N, nr;
} packing;

/* Bytes of a panel of 8 bits. */
static int64_t panel_bytes(const att_gemm8_kernels *g, int64_t nr, int64_t K)
{
    return g->block ? g->head + att_ceil_div(K, g->depth) * g->depth * nr : K * nr;
}

static int64_t panel_width(const att_exec *exec, int64_t N)
{
    const att_gemm_kernels *gemm = &att_kernels_for(exec)->gemm;
    return gemm->block ? gemm->nr : att_max64(N, 1);
}

size_t att_product_pack_as_bytes(const att_exec *exec, att_dtype dtype, int64_t K, int64_t N)
{
    const int64_t nr = panel_width(exec, N), panels = att_ceil_div(N, nr);
    const size_t columns = (size_t)(panels * nr);
    size_t bytes = (size_t)K * columns * att_dtype_bytes(dtype), scales = 0;
    if (dtype == ATT_I8) {
        scales = att_round_up(columns * sizeof(float), ATT_ALIGN);
        bytes = (size_t)(panels * panel_bytes(&att_kernels_for(exec)->gemm8, nr, K));
    }
    return scales + att_round_up(bytes, sizeof(float));
}

size_t att_product_pack_bytes(const att_exec *exec, int64_t K, int64_t N)
{
    return att_product_pack_as_bytes(exec, ATT_F32, K, N);
}

/* Rows k .. k+rows-1 of the panel from column n, as floats (rows,nr). */
static void bring(const packing *p, float *dst, int64_t n, int64_t k, int64_t rows)
{
    int64_t cols = att_min64(p->nr, p->N - n);
    const float *b = (const float *)p->b->data + k * p->b->stride[0] + n * p->b->stride[1];
    p->gemm->pack_b(dst, b, p->b->stride[0], p->b->stride[1], rows, cols);
}

static void pack_f32(const packing *p, int64_t n)
{
    bring(p, (float *)p->out->data + n * p->K, n, 0, p->K);
}

/* Where column j of a row of bfloat16 lies: the two halves of the panel take turns. */
static int64_t place_of_half(int64_t nr, int64_t j)
{
    return j % (nr / 2) * 2 + j / (nr / 2);
}

static void pack_bf16(const packing *p, int64_t n)
{
    float rows[STEP_K * MOST_NR];
    uint16_t *dst = (uint16_t *)p->out->data + n * p->K;
    for (int64_t k = 0; k < p->K; k += STEP_K) {
        int64_t count = att_min64(STEP_K, p->K - k);
        bring(p, rows, n, k, count);
        for (int64_t i = 0; i < count; i++, dst += p->nr)
            for (int64_t j = 0; j < p->nr; j++) dst[place_of_half(p->nr, j)] = att_bf16_of_float(rows[i * p->nr + j]);
    }
}

/* Divide by the scale: the nearest of -127 .. 127. */
static int8_t rounded(float x, float inverse)
{
    return (int8_t)lrintf(x * inverse);
}

static float inverse_of(float scale)
{
    return scale > 1e-30f ? 1.0f / scale : 0.0f;
}

static void panel_scales(const packing *p, float *rows, float *scale, int64_t n)
{
    for (int64_t j = 0; j < p->nr; j++) scale[j] = 0.0f;
    for (int64_t k = 0; k < p->K; k += STEP_K) {
        int64_t count = att_min64(STEP_K, p->K - k);
        bring(p, rows, n, k, count);
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < p->nr; j++) scale[j] = fmaxf(scale[j], fabsf(rows[i * p->nr + j]));
    }
    for (int64_t j = 0; j < p->nr; j++) scale[j] /= 127.0f;
}

static void pack_i8(const packing *p, int64_t n)
{
    float rows[STEP_K * MOST_NR], inverse[MOST_NR], *scale = p->out->scale + n;
    int8_t weights[STEP_K * MOST_NR];
    const int64_t nr = p->nr, depth = att_ceil_div(p->K, p->gemm8->depth) * p->gemm8->depth;
    int8_t *panel = (int8_t *)p->out->data + n / nr * panel_bytes(p->gemm8, nr, p->K);
    panel_scales(p, rows, scale, n);
    for (int64_t j = 0; j < nr; j++) inverse[j] = inverse_of(scale[j]);
    int64_t k = 0;
    do { /* once even for K = 0: a panel may have a head */
        int64_t count = att_min64(STEP_K, p->K - k), whole = att_min64(STEP_K, depth - k);
        bring(p, rows, n, k, count);
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < nr; j++) weights[i * nr + j] = rounded(rows[i * nr + j], inverse[j]);
        memset(weights + count * nr, 0, (size_t)((whole - count) * nr));
        p->gemm8->pack(panel, weights, k, whole);
        k += STEP_K;
    } while (k < p->K);
}

static void pack_panel(void *ctx, int64_t tile, int worker)
{
    const packing *p = ctx;
    int64_t n = tile * p->nr;
    (void)worker;
    switch (p->out->dtype) {
    case ATT_F32: pack_f32(p, n); break;
    case ATT_BF16: pack_bf16(p, n); break;
    default: pack_i8(p, n); break;
    }
}

/* One column of the reference's dense b. */
static void pack_column(const packing *p, int64_t n)
{
    const float *b = (const float *)p->b->data + n * p->b->stride[1];
    int64_t step = p->b->stride[0];
    float most = 0.0f;
    for (int64_t k = 0; k < p->K; k++) most = fmaxf(most, fabsf(b[k * step]));
    if (p->out->scale) p->out->scale[n] = most / 127.0f;
    float inverse = inverse_of(most / 127.0f);
    for (int64_t k = 0; k < p->K; k++) switch (p->out->dtype) {
        case ATT_F32: ((float *)p->out->data)[k * p->N + n] = b[k * step]; break;
        case ATT_BF16: ((uint16_t *)p->out->data)[k * p->N + n] = att_bf16_of_float(b[k * step]); break;
        default: ((int8_t *)p->out->data)[k * p->N + n] = rounded(b[k * step], inverse); break;
        }
}

static att_status check(const att_exec *exec, att_dtype dtype, const att_view *b, att_span memory)
{
    ATT_REQUIRE(dtype == ATT_F32 || dtype == ATT_BF16 || dtype == ATT_I8, ATT_E_DTYPE,
                "product: pack as %s, expected float32, bfloat16 or int8", att_dtype_name(dtype));
    ATT_REQUIRE(b->ndim == 2 && b->dim[0] >= 0 && b->dim[1] >= 0, ATT_E_SHAPE,
                "product: b has %d dimensions, expected 2", b->ndim);
    ATT_REQUIRE(b->dtype == ATT_F32, ATT_E_DTYPE, "product: b is %s, expected float32", att_dtype_name(b->dtype));
    ATT_REQUIRE(b->data || b->dim[0] == 0 || b->dim[1] == 0, ATT_E_VALUE, "product: b has no data");
    ATT_REQUIRE(dtype != ATT_I8 || b->dim[0] <= ATT_GEMM8_MAX_K, ATT_E_SHAPE,
                "product: b has %lld rows, expected at most %d for int8", (long long)b->dim[0], ATT_GEMM8_MAX_K);
    size_t bytes = att_product_pack_as_bytes(exec, dtype, b->dim[0], b->dim[1]);
    ATT_REQUIRE(bytes == 0 || (memory.data && memory.bytes >= bytes), ATT_E_WORKSPACE,
                "product: packing into %zu bytes, expected at least %zu", memory.data ? memory.bytes : 0, bytes);
    ATT_REQUIRE((uintptr_t)memory.data % sizeof(float) == 0, ATT_E_WORKSPACE,
                "product: the memory to pack into is not aligned for float32");
    return ATT_OK;
}

att_status att_product_pack_as(const att_exec *exec, att_dtype dtype, att_packed *packed, const att_view *b,
                               att_span memory)
{
    ATT_TRY(check(exec, dtype, b, memory));
    const att_kernels *table = att_kernels_for(exec);
    int64_t K = b->dim[0], N = b->dim[1], nr = panel_width(exec, N), panels = att_ceil_div(N, nr);
    *packed = (att_packed){.K = K, .N = N, .isa = table->isa, .data = memory.data, .dtype = dtype};
    if (dtype == ATT_I8) {
        packed->scale = memory.data;
        packed->data = (char *)memory.data + att_round_up((size_t)(panels * nr) * sizeof(float), ATT_ALIGN);
    }
    packing p = {.gemm = &table->gemm, .gemm8 = &table->gemm8, .b = b, .out = packed, .K = K, .N = N, .nr = nr};
    assert(nr <= MOST_NR || !p.gemm->block);
    if (p.gemm->block)
        att_parallel(exec, panels, pack_panel, &p);
    else
        for (int64_t n = 0; n < N; n++) pack_column(&p, n);
    return ATT_OK;
}

att_status att_product_pack(const att_exec *exec, att_packed *packed, const att_view *b, att_span memory)
{
    return att_product_pack_as(exec, ATT_F32, packed, b, memory);
}

void att_product_packed_column(const att_packed *packed, int64_t n, float *out)
{
    const att_exec exec = {.isa = packed->isa};
    const att_gemm8_kernels *gemm8 = &att_kernels_for(&exec)->gemm8;
    int64_t nr = panel_width(&exec, packed->N), K = packed->K, j = n % nr, first = n - j;
    bool dense = packed->isa == ATT_ISA_REF;
    for (int64_t k = 0; k < K; k++) switch (packed->dtype) {
        case ATT_F32: out[k] = ((const float *)packed->data)[first * K + k * nr + j]; break;
        case ATT_BF16: {
            int64_t place = dense ? j : place_of_half(nr, j);
            out[k] = att_float_of_bf16(((const uint16_t *)packed->data)[first * K + k * nr + place]);
            break;
        }
        default: {
            if (dense) {
                out[k] = packed->scale[n] * ((const int8_t *)packed->data)[k * nr + j];
                break;
            }
            const int8_t *panel = (const int8_t *)packed->data + first / nr * panel_bytes(gemm8, nr, K);
            out[k] = packed->scale[n] * gemm8->weight(panel, k, j);
        }
        }
}
