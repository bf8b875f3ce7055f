#include <math.h>

#include "plot/axis.h"

/* Beyond these, differences overflow and logarithmic axes cannot be widened. */
static const double LARGEST = 1e300, LEAST_LOG = 1e-300;

static bool shown(const att_axis *axis, double v)
{
    return fabs(v) <= LARGEST && (!axis->log || v >= LEAST_LOG); /* false for NaN */
}

double att_axis_at(const att_axis *axis, double v)
{
    if (!shown(axis, v)) return NAN;
    if (!axis->log) return (v - axis->lo) / (axis->hi - axis->lo);
    return (log(v) - log(axis->lo)) / (log(axis->hi) - log(axis->lo));
}

static void include_value(att_axis *axis, double v)
{
    if (!shown(axis, v)) return;
    axis->lo = axis->used ? fmin(axis->lo, v) : v;
    axis->hi = axis->used ? fmax(axis->hi, v) : v;
    axis->used = true;
}

static void include_series(const att_series *s, att_axis *x, att_axis *y)
{
    double nearest = INFINITY;
    for (int64_t i = 0; i < s->n; i++) {
        double at = att_series_x(s, i), v = s->y[i], e = s->error ? s->error[i] : 0;
        if (!shown(x, at) || !shown(y, v)) continue;
        include_value(x, at);
        include_value(y, v);
        if (isfinite(e)) include_value(y, v - e), include_value(y, v + e);
        if (i > 0 && at != att_series_x(s, i - 1)) nearest = fmin(nearest, fabs(at - att_series_x(s, i - 1)));
    }
    if (s->mark != ATT_MARK_BARS || !x->used) return;
    if (!y->log) include_value(y, 0);
    double half = isfinite(nearest) ? nearest / 2 : 0.5;
    double lo = x->lo, hi = x->hi;
    for (int64_t i = 0; i < s->n; i++) {
        if (!shown(y, s->y[i]) || !shown(x, att_series_x(s, i))) continue;
        lo = fmin(lo, att_series_x(s, i) - half);
        hi = fmax(hi, att_series_x(s, i) + half);
    }
    include_value(x, lo);
    include_value(x, hi);
}

/* Too short for steps that a double can tell apart. */
static bool is_point(const att_axis *axis)
{
    double size = fmax(fabs(axis->lo), fabs(axis->hi));
    return axis->hi - axis->lo <= 1e-9 * size || axis->hi - axis->lo < LEAST_LOG;
}

/* A little air at both ends, none where bars stand on 0. */
static void widen(att_axis *axis, double air, bool bars)
{
    if (axis->log) {
        double ratio = !is_point(axis) ? pow(axis->hi, air) / pow(axis->lo, air) : 1.5;
        axis->lo /= ratio;
        axis->hi *= ratio;
        return;
    }
    double room = !is_point(axis) ? (axis->hi - axis->lo) * air : fmax(fabs(axis->hi) * 0.1, 0.5);
    if (!(bars && axis->lo == 0)) axis->lo -= room;
    axis->hi += room;
}

static void choose_ticks(att_axis *axis, int wish)
{
    if (axis->log)
        att_ticks_log(axis->lo, axis->hi, wish, &axis->ticks);
    else
        att_ticks_linear(axis->lo, axis->hi, wish, &axis->ticks);
}

static att_status check_series(const att_series *s, int64_t i)
{
    ATT_REQUIRE(s->n >= 0 && (s->y || s->n == 0), ATT_E_VALUE, "curves: series %lld has %lld points and %s",
                (long long)i, (long long)s->n, s->y ? "values" : "no values");
    ATT_REQUIRE(s->panel == 0 || s->panel == 1, ATT_E_VALUE, "curves: series %lld is in panel %d, expected 0 or 1",
                (long long)i, s->panel);
    ATT_REQUIRE(s->smooth >= 0 && s->smooth < 1, ATT_E_VALUE, "curves: series %lld has smooth %g, expected [0, 1)",
                (long long)i, s->smooth);
    return ATT_OK;
}

att_status att_curves_axes(const att_curves_desc *desc, const att_series *series, int64_t n, att_axis *x, att_axis y[2])
{
    bool bars[2] = {false, false};
    ATT_REQUIRE(series && n > 0, ATT_E_VALUE, "curves: no series, expected at least 1");
    *x = (att_axis){.log = desc->log_x != 0};
    for (int p = 0; p < 2; p++) y[p] = (att_axis){.log = desc->log_y[p] != 0};
    for (int64_t i = 0; i < n; i++) {
        ATT_TRY(check_series(&series[i], i));
        include_series(&series[i], x, &y[series[i].panel]);
        bars[series[i].panel] |= series[i].mark == ATT_MARK_BARS;
    }
    ATT_REQUIRE(x->used && (y[0].used || y[1].used), ATT_E_VALUE,
                "curves: no point can be shown: all are NaN, infinite, or not positive on a logarithmic axis");
    if (is_point(x)) widen(x, 0, false);
    choose_ticks(x, 8);
    for (int p = 0; p < 2; p++) {
        if (!y[p].used) continue;
        widen(&y[p], 0.05, bars[p]);
        choose_ticks(&y[p], y[0].used && y[1].used ? 5 : 6);
    }
    return ATT_OK;
}

/* With p of m finite values before value i, both one-sided averages of sum_k s^|i-k| (1-s) y_k have weights that are
 * geometric sums: 1 - s^(p+1) forwards, 1 - s^(m-p) backwards; y_i itself counts in both. */
void att_series_smooth(const att_series *series, double *out)
{
    const double s = series->smooth, *y = series->y;
    double sum = 0, m = 0, p = 0;
    for (int64_t i = series->n - 1; i >= 0; i--) {
        if (!isfinite(y[i])) continue;
        out[i] = sum = s * sum + (1 - s) * y[i];
        m++;
    }
    sum = 0;
    for (int64_t i = 0; i < series->n; i++) {
        if (!isfinite(y[i])) {
            out[i] = NAN;
            continue;
        }
        sum = s * sum + (1 - s) * y[i];
        out[i] = (sum + out[i] - (1 - s) * y[i]) / (1 - pow(s, p + 1) + 1 - pow(s, m - p) - (1 - s));
        p++;
    }
}
