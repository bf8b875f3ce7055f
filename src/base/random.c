#include <math.h>

#include "base/base.h"

#define ROUNDS 10
#define PI     3.14159265358979323846

void att_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t att_random_u32(att_random *r)
{
    uint32_t word[4];
    att_philox(r->seed, r->stream, r->next / 4, word);
    return word[r->next++ % 4];
}

double att_random_uniform(att_random *r)
{
    uint64_t hi = att_random_u32(r) >> 5, lo = att_random_u32(r) >> 6;
    return (double)((hi << 26) | lo) * 0x1p-53;
}

double att_random_normal(att_random *r)
{
    double u = 1.0 - att_random_uniform(r); /* (0, 1]: the logarithm is finite */
    double v = att_random_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(2.0 * PI * v);
}

uint64_t att_random_below(att_random *r, uint64_t n)
{
    assert(n > 0);
    uint64_t reject = (0 - n) % n; /* 2^64 mod n: draws below it would be counted once too often */
    for (;;) {
        uint64_t hi = att_random_u32(r), x = (hi << 32) | att_random_u32(r);
        if (x >= reject) return x % n;
    }
}

void att_random_shuffle(att_random *r, int64_t *index, int64_t n)
{
    for (int64_t i = 0; i < n; i++) index[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)att_random_below(r, (uint64_t)i + 1), swap = index[i];
        index[i] = index[j];
        index[j] = swap;
    }
}

uint64_t att_random_mix(uint64_t seed, uint64_t part)
{
    uint32_t word[4];
    att_philox(seed, 0x6d69780000000000u, part, word);
    return ((uint64_t)word[1] << 32) | word[0];
}
