/* Round numbers along an axis. */
#ifndef ATT_TICKS_H
#define ATT_TICKS_H

#include "base/base.h"

enum { ATT_MAX_TICKS = 16 };

typedef struct att_ticks {
    double at[ATT_MAX_TICKS];
    char text[ATT_MAX_TICKS][16];
    int n;
} att_ticks;

/* About `wish` multiples of 1, 2 or 5 times a power of ten within [lo, hi], written with as many decimals as they need
 * (thousands as k, M, G). */
void att_ticks_linear(double lo, double hi, int wish, att_ticks *out);
/* Powers of ten within [lo, hi], lo > 0, with 2 and 5 between them when there are few. */
void att_ticks_log(double lo, double hi, int wish, att_ticks *out);

#endif
