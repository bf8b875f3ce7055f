/* One row of one step. Gates lie one after the other, U values each: z r n, or i f g o. */
void ATT_REF(gru)(real *h, real *saved, const real *gx, const real *hg, const real *prev, int64_t U);
void ATT_REF(gru_bwd)(real *dgx, real *dhg, real *carry, const real *dh, const real *saved, const real *prev,
                      int64_t U);
void ATT_REF(gru_reset)(real *gates, real *rh, const real *gx, const real *hg, const real *prev, int64_t U);
void ATT_REF(gru_blend)(real *h, real *gates, const real *gx, const real *hn, const real *prev, int64_t U);
void ATT_REF(gru_blend_bwd)(real *dg, real *carry, const real *dh, const real *saved, const real *prev, int64_t U);
void ATT_REF(gru_reset_bwd)(real *dg, real *carry, real *rh, const real *drh, const real *saved, const real *prev,
                            int64_t U);
void ATT_REF(lstm)(real *h, real *c, real *saved, const real *gx, const real *hg, const real *c_prev, int64_t U);
void ATT_REF(lstm_bwd)(real *dg, real *carry, real *carry_c, const real *dh, const real *saved, const real *c,
                       const real *c_prev, int64_t U);
