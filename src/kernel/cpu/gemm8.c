/* The micro-kernel of products with 8-bit weights: see kernel/gemm8.h. Rounding a row of a, a panel's tiles one after
 * the other, and what follows a product; gemm8_pairs.h multiplies pairs of 16 bits, gemm8_bytes.h fours of bytes,
 * gemm8_amx.h on matrix units. */
#if defined(__AMX_INT8__)
#include "kernel/cpu/gemm8_amx.h"
#elif defined(__AVX512VNNI__)
#include "kernel/cpu/gemm8_bytes.h"
#else
#include "kernel/cpu/gemm8_pairs.h"
#endif
#include "kernel/cpu/finish.h"
#include "kernel/tables.h"

enum { AHEAD = 1536 }; /* bytes of weights that are asked for before they are needed: few rows wait for memory */

static const float least = 1e-30f; /* a row whose largest value is smaller counts as zeros: 1 / it would overflow */

VF_INLINE vf load_strided(const float *x, int64_t stride, int64_t n)
{
    float lane[VF_LANES] = {0};
    if (stride == 1) return vf_load_some(x, n);
    for (int64_t i = 0; i < n && i < VF_LANES; i++) lane[i] = x[i * stride];
    return vf_load(lane);
}

/* The largest |x|; NaN if any x is not finite. */
VF_INLINE float largest(const float *x, const int64_t stride, int64_t K)
{
    vi bits = vi_zero();
    for (int64_t k = 0; k < K; k += VF_LANES) bits = vi_largest(bits, load_strided(x + k * stride, stride, K - k));
    vf most = vf_of_bits(bits);
    float poison = vf_sum(vf_mul(most, vf_zero())); /* infinity times 0 is NaN */
    return poison == 0.0f ? vf_hmax(most) : poison;
}

VF_INLINE float quantise_row(int16_t *q, const float *x, const int64_t stride, int64_t K, int32_t limit)
{
    const float most = largest(x, stride, K);
    const bool some = most >= least;
    const vf inverse = vf_set1(some ? (float)limit / most : 0.0f);
    const int64_t width = (K + DEPTH - 1) / DEPTH * DEPTH;
    for (int64_t k = 0; k < width; k += VF_LANES) {
        vf values = some && k < K ? load_strided(x + k * stride, stride, K - k) : vf_zero();
        store_rounded(q, k, width, limit, vf_mul(values, inverse));
    }
    return some ? most / (float)limit : most == most ? 0.0f : most;
}

static float quantise(int16_t *q, const float *x, int64_t stride, int64_t K, int32_t limit)
{
    return stride == 1 ? quantise_row(q, x, 1, K, limit) : quantise_row(q, x, stride, K, limit);
}

/* The dense tile into c: old values, bias, activation. */
static void put(const att_gemm8_block *g, int64_t row, int64_t m, int64_t n, int64_t cols, float *dense)
{
    float bias[NR] = {0}, *c = g->c + row * g->c_row + n * g->c_col;
    for (int64_t j = 0; g->bias && j < cols; j++) bias[j] = g->bias[(n + j) * g->bias_stride];
    if (g->add)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < cols; j++) dense[i * NR + j] += c[i * g->c_row + j * g->c_col];
    if (g->bias || g->activation != ATT_ACT_NONE) finish(dense, NR, m, NR, g->bias ? bias : NULL, g->activation);
    for (int64_t i = 0; i < m; i++)
        if (g->c_col == 1 && cols == NR)
            memcpy(c + i * g->c_row, dense + i * NR, NR * sizeof *c);
        else
            for (int64_t j = 0; j < cols; j++) c[i * g->c_row + j * g->c_col] = dense[i * NR + j];
}

/* A tile that is alone with its panel fetches what it needs soon; several share the fetching of the next panel. Asking
 * for a share before the tile begins would fill the queue of misses and wait there. */
static void ask_for(tile8 *t, int64_t i, int64_t tiles)
{
    const int64_t bytes = t->k * NR;
    t->ask = (const char *)t->b + (tiles == 1 ? AHEAD : bytes + bytes * i / tiles);
    t->ask_step = (NR * 2 + tiles - 1) / tiles;
}

static void block(const att_gemm8_block *g)
{
    float dense[MR * NR];
    const int64_t most = tile_rows(g->limit), tiles = (g->rows + most - 1) / most;
    begin_block((g->rows + tiles - 1) / tiles);
    for (int64_t n = 0; n < g->cols; n += NR)
        for (int64_t i = 0, row = 0; i < tiles; i++) {
            int64_t m = g->rows / tiles + (i < g->rows % tiles);
            tile8 t = {.a = g->a + row * g->a_row,
                       .a_row = g->a_row,
                       .k = g->k,
                       .limit = g->limit,
                       .step = g->step + row,
                       .scale = g->scale + n,
                       .b = g->b + n / NR * (HEAD + NR * g->k) + HEAD};
            ask_for(&t, i, tiles);
            tile(m, dense, &t);
            put(g, row, m, n, g->cols - n < NR ? g->cols - n : NR, dense);
            row += m;
        }
    end_block();
}

void ATT_VARIANT(att_register_gemm8)(att_gemm8_kernels *t);
void ATT_VARIANT(att_register_gemm8)(att_gemm8_kernels *t)
{
    *t = (att_gemm8_kernels){.mr = MR,
                             .nr = NR,
                             .depth = DEPTH,
                             .head = HEAD,
                             .pack = pack,
                             .weight = weight,
                             .quantise = quantise,
                             .block = block};
}
