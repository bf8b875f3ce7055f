/* The scales of a figure with curves, from its data. */
#ifndef ATT_AXIS_H
#define ATT_AXIS_H

#include <attend/plot.h>

#include "plot/colors.h"
#include "plot/ticks.h"

typedef struct att_axis {
    double lo, hi;
    bool log, used; /* used: some series has a point here */
    att_ticks ticks;
} att_axis;

/* Where v lies, 0 at lo and 1 at hi; NaN when it cannot be shown. */
double att_axis_at(const att_axis *axis, double v);

/* Value i of a series on either axis. */
/* The colour of series k, which `s` is. */
static inline uint32_t att_series_ink(const att_series *s, int64_t k)
{
    return att_series_color(s->color ? s->color - 1 : k);
}

static inline double att_series_x(const att_series *s, int64_t i)
{
    return s->x ? s->x[i] : (double)i;
}

/* Both axes of panels 0 and 1; x is common. Fails when nothing can be shown or a series is impossible. */
att_status att_curves_axes(const att_curves_desc *desc, const att_series *series, int64_t n, att_axis *x,
                           att_axis y[2]);

/* out[i]: the mean of the finite values around i with weights smooth^|distance|; NaN where y is. No lag. */
void att_series_smooth(const att_series *series, double *out);

#endif
