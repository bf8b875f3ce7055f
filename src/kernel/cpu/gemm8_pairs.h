/* Products with 8-bit weights by multiply-adds of 16-bit pairs, each of which counts for two. A tile of m x NV vectors
 * keeps its sums in registers while all of K runs by; per pair of k it loads a vector of words and takes the odd
 * columns' weights out of it, repeats m pairs of activations and does m NV multiply-adds.
 *
 * Two weights u + 256 v in a word are a 16-bit number as they are: with V, the sum of q v, and W, that of q times the
 * words, the sum of q u is W - 256 V modulo 2^32, which is all of it; so only v has to be widened. A panel lies pair of
 * k after pair: for n = 0 .. NR/2-1, of the first k and of the second, w[k,n] + 256 w[k,n+NR/2]. */
#ifndef ATT_CPU_GEMM8_PAIRS_H
#define ATT_CPU_GEMM8_PAIRS_H

#include "kernel/cpu/gemm8_tile.h"
#include "kernel/cpu/pairs.h"
#include "kernel/gemm8.h"

#if VF_LANES == 16
#define GEMM8_MR 12
#elif VF_LANES == 8
#define GEMM8_MR 6
#else
#define GEMM8_MR 4
#endif
/* NV of a row of words: all, and the odd columns. TURN: pairs of k in a turn of the loop, at least. */
enum { MR = GEMM8_MR, NV = 2, NR = NV * VF_LANES, DEPTH = 2, HEAD = 0, TURN = VF_LANES == 8 ? 4 : 1 };

static inline int64_t tile_rows(int32_t limit)
{
    (void)limit;
    return MR;
}

static inline void begin_block(int64_t rows)
{
    (void)rows;
}

static inline void end_block(void) {}

VF_INLINE void store_rounded(int16_t *q, int64_t k, int64_t width, int32_t limit, vf x)
{
    (void)width, (void)limit;
    vf_store_i16(q + k, x);
}

static void pack(int8_t *panel, const int8_t *w, int64_t k0, int64_t k)
{
    const int8_t *odd = w + NR / 2;
    int8_t *dst = panel + k0 * NR;
    for (; k > 0; k -= 2, w += 2 * NR, odd += 2 * NR)
        for (int64_t j = 0; j < NR / 2; j++)
            for (int64_t i = 0; i < 2; i++, dst += sizeof(int16_t)) {
                int16_t word = (int16_t)(w[i * NR + j] + 256 * odd[i * NR + j]);
                memcpy(dst, &word, sizeof word);
            }
}

static int8_t weight(const int8_t *panel, int64_t k, int64_t j)
{
    int16_t word;
    memcpy(&word, panel + (k / 2 * NR + j % (NR / 2) * 2 + k % 2) * (int64_t)sizeof word, sizeof word);
    int8_t even = (int8_t)(uint8_t)((uint16_t)word & 0xff);
    return (int8_t)(j < NR / 2 ? even : (word - even) / 256);
}

#define PAIR_OF(row) "m"(*(const int16_t(*)[2])(a + (row)*a_row))
#define ADD_ROW(pair, sum, odd_sum)                                                                                    \
    "vpbroadcastd " pair ", %%ymm15\n\t"                                                                               \
    "vpmaddwd %%ymm15, %[words], %%ymm14\n\t"                                                                          \
    "vpmaddwd %%ymm15, %[odd], %%ymm15\n\t"                                                                            \
    "vpaddd %%ymm14, " sum ", " sum "\n\t"                                                                             \
    "vpaddd %%ymm15, " odd_sum ", " odd_sum "\n\t"

/* One pair of k. On AVX2 in assembly for the same reason as gemm_add_products: the compiler's code is a quarter longer.
 */
VF_INLINE void add_pair(const int m, vi *acc, const int16_t *a, const int64_t a_row, const int16_t *b)
{
#if VF_LANES == 8
    if (m >= 4) {
        static const int16_t factor[2 * VF_LANES] = {128, 128, 128, 128, 128, 128, 128, 128,
                                                     128, 128, 128, 128, 128, 128, 128, 128};
        register vi words __asm__("ymm12") = vi_load(b), odd __asm__("ymm13"); /* vi_odd, its factor in no register: */
        __asm__("vpmulhrsw %2, %1, %0" : "=x"(odd) : "x"(words), "m"(factor));
        if (m == 4) __asm__ volatile("" : : : "ymm8", "ymm9");
        if (m <= 5) __asm__ volatile("" : : : "ymm10", "ymm11");
#pragma GCC unroll 4
        for (int i = 0; i + 1 < m; i += 2)
            __asm__ volatile(ADD_ROW("%[pair]", "%0", "%1") ADD_ROW("%[next]", "%2", "%3")
                             : "+x"(acc[2 * i]), "+x"(acc[2 * i + 1]), "+x"(acc[2 * i + 2]), "+x"(acc[2 * i + 3])
                             : [words] "x"(words), [odd] "x"(odd), [pair] PAIR_OF(i), [next] PAIR_OF(i + 1)
                             : "ymm14", "ymm15");
        if (m % 2)
            __asm__ volatile(ADD_ROW("%[pair]", "%0", "%1")
                             : "+x"(acc[2 * m - 2]), "+x"(acc[2 * m - 1])
                             : [words] "x"(words), [odd] "x"(odd), [pair] PAIR_OF(m - 1)
                             : "ymm14", "ymm15");
        return;
    }
#endif
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
    const int sets = (VI_DOT_CHAINS + m * NV - 1) / (m * NV), sums = m * NV, turn = sets < TURN ? TURN : sets;
    const int each = turn > sets ? 2 : 1; /* pairs that a line asked for lasts for, at least */
    vi acc[MR * NV + VI_DOT_CHAINS];
    const int16_t *a = t->a, *b = (const int16_t *)(const void *)t->b;
    const int64_t a_row = t->a_row;
    const char *ask = t->ask;
    int64_t p = t->k / 2;
#pragma GCC unroll 32
    for (int i = 0; i < sets * sums; i++) acc[i] = vi_zero();
    for (; p >= turn; p -= turn, a += 2 * turn, b += turn * NR)
#pragma GCC unroll 8
        for (int s = 0; s < turn; s++) {
            if (s % each == 0) __builtin_prefetch(ask);
            if (s % each == 0) ask += each * t->ask_step;
            add_pair(m, acc + s % sets * sums, a + 2 * s, a_row, b + s * NR);
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

#endif
