/* What named mechanisms do to a row before attention sees it. */
#include "kernel/ref/real.h"
#include "kernel/ref/mechanism.h"

/* |x|, summed as double: neither large nor tiny floats leave its range. */
static real length(const real *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return (real)sqrt(sum);
}

void ATT_REF(unit_row)(real *u, const real *x, real s, int64_t n)
{
    real norm = length(x, n);
    for (int64_t i = 0; i < n; i++) u[i] = norm == 0 ? 0 : s * (x[i] / norm);
}

/* forward: u = s x / |x|.  With r = x / |x|: dx += s (du - r (r . du)) / |x|,  ds = r . du. */
real ATT_REF(unit_row_bwd)(real *dx, const real *du, const real *x, real s, int64_t n)
{
    real norm = length(x, n), along = 0;
    if (norm == 0) return 0;
    for (int64_t i = 0; i < n; i++) along += du[i] * (x[i] / norm);
    for (int64_t i = 0; dx && i < n; i++) dx[i] += s * ((du[i] - along * (x[i] / norm)) / norm);
    return along;
}

real ATT_REF(dot)(const real *x, const real *y, int64_t n)
{
    real sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}
