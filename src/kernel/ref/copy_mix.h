/* p[x] = gate vocabulary[x] + (1 - gate) sum_{j: ids[j] = x} weights[j] of one row; vocabulary[x] = 0 for x >= V. */
void ATT_REF(copy_mix)(real *p, const real *vocabulary, real gate, const real *weights, const int32_t *ids, int64_t V,
                       int64_t X, int64_t T);
/* Added into; any may be NULL. */
void ATT_REF(copy_mix_bwd)(real *dvocabulary, real *dgate, real *dweights, const real *dp, const real *vocabulary,
                           real gate, const real *weights, const int32_t *ids, int64_t V, int64_t T);
