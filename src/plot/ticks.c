#include <math.h>
#include <string.h>

#include "plot/draft.h"
#include "plot/ticks.h"

static double nice_step(double rough)
{
    double power = pow(10, floor(log10(rough))), part = rough / power;
    return (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10) * power;
}

/* `x` in units of `unit`, to a tenth of `step`. */
static void label(char out[16], double x, double step, double largest)
{
    static const char *const suffix[] = {"", "k", "M", "G", "T"};
    int k = 0;
    double unit = 1;
    while (k < 4 && largest / unit >= 1e4 && step / unit >= 100) {
        unit *= 1000;
        k++;
    }
    double digits_of_step = ceil(log10(fmax(fabs(x), step) / step) + 1e-9) + 1;
    double digits_of_whole = floor(log10(fmax(fabs(x) / unit, 1))) + 1; /* 1000, not 1e+03 */
    int digits = (int)fmax(digits_of_step, digits_of_whole <= 6 ? digits_of_whole : 1);
    att_print_number(out, 14, x / unit, digits > 9 ? 9 : digits);
    if (x != 0) strncat(out, suffix[k], 1);
}

void att_ticks_linear(double lo, double hi, int wish, att_ticks *out)
{
    out->n = 0;
    if (!(hi > lo) || !isfinite(hi - lo)) return;
    double step = nice_step((hi - lo) / wish), slack = step * 1e-6;
    for (double i = ceil((lo - slack) / step); i * step <= hi + slack && out->n < ATT_MAX_TICKS; i++) {
        out->at[out->n] = i * step;
        label(out->text[out->n++], i * step, step, fmax(fabs(lo), fabs(hi)));
    }
}

void att_ticks_log(double lo, double hi, int wish, att_ticks *out)
{
    static const double part[] = {1, 2, 5};
    out->n = 0;
    if (!(hi > lo) || !(lo > 0) || !isfinite(hi)) return;
    double decades = log10(hi) - log10(lo);
    if (decades < 0.7) {
        att_ticks_linear(lo, hi, wish, out);
        return;
    }
    int parts = decades < 2.5 ? 3 : 1, every = (int)fmax(1, ceil(decades / wish));
    for (int p = (int)floor(log10(lo)); p <= (int)ceil(log10(hi)); p++)
        for (int k = 0; k < parts; k++) {
            double x = part[k] * pow(10, p);
            if (x < lo * (1 - 1e-9) || x > hi * (1 + 1e-9) || p % every || out->n == ATT_MAX_TICKS) continue;
            out->at[out->n] = x;
            label(out->text[out->n++], x, x, x);
        }
}
