#include <stddef.h>

#include "kernel/ref/real.h"
#include "kernel/ref/copy_mix.h"

void ATT_REF(copy_mix)(real *p, const real *vocabulary, real gate, const real *weights, const int32_t *ids, int64_t V,
                       int64_t X, int64_t T)
{
    for (int64_t x = 0; x < X; x++) p[x] = x < V ? gate * vocabulary[x] : 0;
    for (int64_t j = 0; j < T; j++) p[ids[j]] += (1 - gate) * weights[j];
}

void ATT_REF(copy_mix_bwd)(real *dvocabulary, real *dgate, real *dweights, const real *dp, const real *vocabulary,
                           real gate, const real *weights, const int32_t *ids, int64_t V, int64_t T)
{
    real sum = 0;
    for (int64_t x = 0; x < V; x++) {
        if (dvocabulary) dvocabulary[x] += gate * dp[x];
        sum += dp[x] * vocabulary[x];
    }
    for (int64_t j = 0; j < T; j++) {
        if (dweights) dweights[j] += (1 - gate) * dp[ids[j]];
        sum -= dp[ids[j]] * weights[j];
    }
    if (dgate) *dgate += sum;
}
