/* The micro-kernel of products with 8-bit weights: see kernel/gemm8.h. A tile of m x NV vectors keeps its sums in
 * registers while all of K runs by; per pair of k it loads a vector of words and takes the odd columns' weights out of
 * it, repeats m pairs of activations and does m NV multiply-adds of 16-bit pairs, each of which counts for two. */
#include "kernel/gemm8.h"

#include "kernel/cpu/finish.h"
#include "kernel/cpu/pairs.h"
#include "kernel/tables.h"

#if VF_LANES == 16
#define GEMM8_MR 12
#elif VF_LANES == 8
#define GEMM8_MR 6
#else
#define GEMM8_MR 4
#endif
enum { MR = GEMM8_MR, NV = 2, NR = NV * VF_LANES }; /* of a row of words: all, and the odd columns */
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
    float most = largest(x, stride, K), inverse = (float)limit / most;
    int64_t k = 0;
    if (!(most >= least)) {
        memset(q, 0, (size_t)(K + (K & 1)) * sizeof *q);
        return most == most ? 0.0f : most;
    }
    for (; k + VF_LANES <= K; k += VF_LANES)
        vf_store_i16(q + k, vf_mul(load_strided(x + k * stride, stride, VF_LANES), vf_set1(inverse)));
    if (k < K) {
        int16_t lane[VF_LANES];
        vf_store_i16(lane, vf_mul(load_strided(x + k * stride, stride, K - k), vf_set1(inverse)));
        memcpy(q + k, lane, (size_t)(K - k) * sizeof *q);
    }
    if (K & 1) q[K] = 0;
    return most / (float)limit;
}

static float quantise(int16_t *q, const float *x, int64_t stride, int64_t K, int32_t limit)
{
    return stride == 1 ? quantise_row(q, x, 1, K, limit) : quantise_row(q, x, stride, K, limit);
}

typedef struct tile8 {
    const int16_t *a;
    int64_t a_row, pairs;
    const float *step, *scale;
    const int16_t *b;
    const char *ask; /* what to fetch into the cache meanwhile: a place for each pair, `ask_step` bytes apart */
    int64_t ask_step;
} tile8;

/* One pair of k. */
VF_INLINE void add_pair(const int m, vi *acc, const int16_t *a, const int64_t a_row, const int16_t *b)
{
    const vi words = vi_load(b), odd = vi_odd(words);
#pragma GCC unroll 16
    for (int i = 0; i < m; i++) {
        const vi pair = vi_set1_pair(a + i * a_row);
        acc[i * NV] = vi_dot(acc[i * NV], words, pair);
        acc[i * NV + 1] = vi_dot(acc[i * NV + 1], odd, pair);
    }
}

/* c(m,NR) dense; m is a constant after inlining, and so is the number of `sets` of sums that take turns, so that few
 * rows do not wait for the sum before. `scale` has NR readable values. */
VF_INLINE void tile_body(const int m, float *c, const tile8 *t)
{
    const int sets = (VI_DOT_CHAINS + m * NV - 1) / (m * NV), sums = m * NV;
    vi acc[MR * NV + VI_DOT_CHAINS];
    const int16_t *a = t->a, *b = t->b;
    const int64_t a_row = t->a_row;
    const char *ask = t->ask;
    int64_t p = t->pairs;
#pragma GCC unroll 32
    for (int i = 0; i < sets * sums; i++) acc[i] = vi_zero();
    for (; p >= sets; p -= sets, a += 2 * sets, b += sets * NR)
#pragma GCC unroll 8
        for (int s = 0; s < sets; s++, ask += t->ask_step) {
            __builtin_prefetch(ask);
            add_pair(m, acc + s * sums, a + 2 * s, a_row, b + s * NR);
        }
    for (; p > 0; p--, a += 2, b += NR) add_pair(m, acc, a, a_row, b);
#pragma GCC unroll 32
    for (int i = sums; i < sets * sums; i++) acc[i % sums] = vi_add(acc[i % sums], acc[i]);
#pragma GCC unroll 16
    for (int i = 0; i < m; i++) acc[i * NV] = vi_even(acc[i * NV], acc[i * NV + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
            vf factor = vf_mul(vf_set1(t->step[i]), vf_load(t->scale + v * VF_LANES));
            vf_store(c + i * NR + v * VF_LANES, vf_mul(vi_float(acc[i * NV + v]), factor));
        }
}

static void tile(int64_t m, float *c, const tile8 *t)
{
    switch (m) {
    case 1: tile_body(1, c, t); break;
    case 2: tile_body(2, c, t); break;
    case 3: tile_body(3, c, t); break;
    case 4: tile_body(4, c, t); break;
#if GEMM8_MR > 4
    case 5: tile_body(5, c, t); break;
    case 6: tile_body(6, c, t); break;
#endif
#if GEMM8_MR > 6
    case 7: tile_body(7, c, t); break;
    case 8: tile_body(8, c, t); break;
    case 9: tile_body(9, c, t); break;
    case 10: tile_body(10, c, t); break;
    case 11: tile_body(11, c, t); break;
    case 12: tile_body(12, c, t); break;
#endif
    default: break;
    }
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
    const int64_t bytes = t->pairs * NR * 2;
    t->ask = (const char *)t->b + (tiles == 1 ? AHEAD : bytes + bytes * i / tiles);
    t->ask_step = (NR * 2 + tiles - 1) / tiles;
}

static void block(const att_gemm8_block *g)
{
    float dense[MR * NR];
    int64_t tiles = (g->rows + MR - 1) / MR;
    for (int64_t n = 0; n < g->cols; n += NR)
        for (int64_t i = 0, row = 0; i < tiles; i++) {
            int64_t m = g->rows / tiles + (i < g->rows % tiles);
            tile8 t = {.a = g->a + row * g->a_row,
                       .a_row = g->a_row,
                       .pairs = g->pairs,
                       .step = g->step + row,
                       .scale = g->scale + n,
                       .b = g->b + n * g->pairs};
            ask_for(&t, i, tiles);
            tile(m, dense, &t);
            put(g, row, m, n, g->cols - n < NR ? g->cols - n : NR, dense);
            row += m;
        }
}

void ATT_VARIANT(att_register_gemm8)(att_gemm8_kernels *t);
void ATT_VARIANT(att_register_gemm8)(att_gemm8_kernels *t)
{
    *t = (att_gemm8_kernels){.mr = MR, .nr = NR, .quantise = quantise, .block = block};
}
