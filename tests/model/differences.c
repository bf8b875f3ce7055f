#include "model/differences.h"

#include "harness.h"

static double difference(const differences *d, float *p)
{
    const float old = *p;
    double f[4];
    for (int i = 0; i < 4; i++) {
        *p = old + d->step * (float)((int[]){-2, -1, 1, 2})[i];
        f[i] = d->loss(d->model);
    }
    *p = old;
    return (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * (double)d->step);
}

static void check_parameter(const differences *d, const att_parameter *p, att_random *r)
{
    const char *name = att_parameter_name(p);
    const float *g = att_parameter_gradient(p)->data;
    float *v = att_parameter_value(p)->data;
    int64_t n = att_view_count(att_parameter_value(p)), largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fabsf(g[i]) > fabsf(g[largest]) ? i : largest;
    double most = fabs((double)g[largest]);
    for (int k = 0; k < 2; k++) {
        int64_t i = k ? (int64_t)att_random_below(r, (uint64_t)n) : largest;
        bool nothing = d->without_effect && d->without_effect(d->model, name, i);
        double want = nothing ? 0.0 : difference(d, v + i);
        if (!(fabs((double)g[i] - want) <= d->share * most + d->least))
            fail_msg("%s: %s[%lld] is %.6g, expected %.6g", d->what, name, (long long)i, (double)g[i], want);
    }
    if (most == 0.0) fail_msg("%s: %s has no gradient", d->what, name);
}

void differences_check(const differences *d, att_params *params, att_random *r)
{
    for (int64_t p = 0; p < att_params_count(params); p++) check_parameter(d, att_params_at(params, p), r);
}
