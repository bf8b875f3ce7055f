/* u = s x / |x|. A row of zeros stays one. */
void ATT_REF(unit_row)(real *u, const real *x, real s, int64_t n);
/* dx += its gradient, none for a row of zeros; dx may be NULL. Returns du . x / |x|, the gradient of s. */
real ATT_REF(unit_row_bwd)(real *dx, const real *du, const real *x, real s, int64_t n);
/* sum_i x_i y_i */
real ATT_REF(dot)(const real *x, const real *y, int64_t n);
