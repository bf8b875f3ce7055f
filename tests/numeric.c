#include "numeric.h"

void check_gradient(const char *what, loss_fn loss, void *ctx, double *x, const double *grad, int64_t n)
{
    const double eps = 1e-5;
    int64_t step = n > 60 ? n / 60 : 1;
    for (int64_t i = 0; i < n; i += step) {
        double old = x[i];
        x[i] = old + eps;
        double up = loss(ctx);
        x[i] = old - eps;
        double down = loss(ctx), want = (up - down) / (2.0 * eps);
        x[i] = old;
        if (!(fabs(grad[i] - want) <= 1e-6 * (1.0 + fabs(want))))
            fail_msg("%s: gradient %lld is %.10g, expected %.10g", what, (long long)i, grad[i], want);
    }
}

both both_new(int64_t n, uint64_t seed, double scale)
{
    both b = {.n = n, .f = guard_alloc((size_t)n * sizeof(float)), .d = guard_alloc((size_t)n * sizeof(double))};
    fill_f32(b.f, n, seed, (float)scale);
    fill_f64(b.d, n, seed, scale);
    return b;
}

void both_free(both *b)
{
    guard_free(b->f, (size_t)b->n * sizeof(float));
    guard_free(b->d, (size_t)b->n * sizeof(double));
}

att_view both_view(const both *b, att_dtype dtype, int ndim, const int64_t *dim)
{
    return att_view_dense(dtype == ATT_F64 ? (void *)b->d : (void *)b->f, dtype, ndim, dim);
}
