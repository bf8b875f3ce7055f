/* Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
 * 3", SC 2011). A draw depends on (seed, stream, counter) alone, never on what was drawn before, so any tiling, any
 * thread and any replay gives the same numbers. */
#ifndef ATTEND_RANDOM_H
#define ATTEND_RANDOM_H

#include <attend/export.h>

ATT_BEGIN

/* A sequence of draws: `next` is the only state, and saving the three numbers saves the generator. */
typedef struct att_random {
    uint64_t seed;   /* the experiment              */
    uint64_t stream; /* who draws: keeps uses apart */
    uint64_t next;   /* index of the next 32-bit draw */
} att_random;

/* Four 32-bit words: Philox4x32-10 with key `seed` and counter (counter, stream). */
ATT_API void att_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);

ATT_API uint32_t att_random_u32(att_random *r);
ATT_API double att_random_uniform(att_random *r);             /* [0, 1), 53 bits */
ATT_API double att_random_normal(att_random *r);              /* mean 0, deviation 1 (Box-Muller) */
ATT_API uint64_t att_random_below(att_random *r, uint64_t n); /* 0 <= x < n, unbiased; n > 0 */

/* A permutation of 0 .. n-1 (Fisher-Yates). */
ATT_API void att_random_shuffle(att_random *r, int64_t *index, int64_t n);

/* A well-mixed 64-bit number from two: derives seeds of parts (layer, epoch, ...) from the seed of the whole. */
ATT_API uint64_t att_random_mix(uint64_t seed, uint64_t part);

ATT_END

#endif
