/* att_philox of many counters side by side, the same words. */
#ifndef ATT_CPU_PHILOX_H
#define ATT_CPU_PHILOX_H

#include "kernel/cpu/simd.h"

typedef uint64_t vu64 __attribute__((vector_size(4 * VF_LANES)));

enum {
    PHILOX_VECTORS = 4,                              /* so many hide the latency of a round */
    PHILOX_COUNTERS = PHILOX_VECTORS * VF_LANES / 2, /* each in its 64 bits                 */
    PHILOX_WORDS = 4 * PHILOX_COUNTERS
};

/* The products of the low halves. */
VF_INLINE vu64 vu64_times(vu64 a, uint32_t b)
{
#if VF_LANES == 16
    return (vu64)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#elif VF_LANES == 8
    return (vu64)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#else
    return (a & 0xffffffffu) * b;
#endif
}

/* Words 0 and 1 of each counter, and words 2 and 3, the second in the high half, to four words a counter. */
VF_INLINE void philox_store(uint32_t *draw, vu64 first, vu64 second)
{
    vf_places low, high;
    for (int i = 0; i < VF_LANES; i++) {
        low[i] = (i & 2 ? VF_LANES : 0) + i / 4 * 2 + i % 2;
        high[i] = low[i] + VF_LANES / 2;
    }
    vf_store((float *)(void *)draw, vf_shuffle((vf)first, (vf)second, low));
    vf_store((float *)(void *)(draw + VF_LANES), vf_shuffle((vf)first, (vf)second, high));
}

/* draw[4 i + w] is word w of counter first + i. A word lies in the low half of its lane; what the high half holds does
 * not matter before the end. */
static inline void philox_words(uint64_t seed, uint64_t stream, uint64_t first, uint32_t draw[PHILOX_WORDS])
{
    vu64 c0[PHILOX_VECTORS], c1[PHILOX_VECTORS], c2[PHILOX_VECTORS], c3[PHILOX_VECTORS];
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
#pragma GCC unroll 4
    for (int v = 0; v < PHILOX_VECTORS; v++) {
        uint64_t counter[VF_LANES / 2];
        for (int i = 0; i < VF_LANES / 2; i++) counter[i] = first + (uint64_t)(v * VF_LANES / 2 + i);
        memcpy(&c0[v], counter, sizeof counter);
        c1[v] = c0[v] >> 32;
        c2[v] = (vu64){0} + stream;
        c3[v] = c2[v] >> 32;
    }
    for (int round = 0; round < 10; round++) {
#pragma GCC unroll 4
        for (int v = 0; v < PHILOX_VECTORS; v++) {
            vu64 p0 = vu64_times(c0[v], 0xD2511F53u), p1 = vu64_times(c2[v], 0xCD9E8D57u);
            c0[v] = p1 >> 32 ^ c1[v] ^ k0;
            c1[v] = p1;
            c2[v] = p0 >> 32 ^ c3[v] ^ k1;
            c3[v] = p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
#pragma GCC unroll 4
    for (int v = 0; v < PHILOX_VECTORS; v++)
        philox_store(draw + v * 2 * VF_LANES, (c0[v] & 0xffffffffu) | c1[v] << 32, (c2[v] & 0xffffffffu) | c3[v] << 32);
}

#endif
