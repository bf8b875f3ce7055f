/* Colours are 0xRRGGBB in sRGB; maps are paths through OKLab (grey: CIE lightness) (Ottosson 2020, "A perceptual color
 * space for image processing"), where distance is what the eye sees. */
#ifndef ATT_COLORS_H
#define ATT_COLORS_H

#include <attend/plot.h>

#include "base/base.h"

enum {
    ATT_INK = 0x1f2430,     /* text                 */
    ATT_MUTED = 0x6b7280,   /* secondary text       */
    ATT_RULE = 0xe3e6eb,    /* grid lines           */
    ATT_AXIS = 0x9aa1ad,    /* axes and frames      */
    ATT_PAPER = 0xffffff,   /* background           */
    ATT_MISSING = 0xd4d4d8, /* a weight that is NaN */
    ATT_PALETTE = 256       /* entries of a colour map; one more for missing */
};

void att_palette(att_colors colors, uint32_t out[ATT_PALETTE + 1]);
/* OKLab lightness, 0 .. 1. */
double att_lightness(uint32_t color);
/* a + t (b - a) in OKLab. */
uint32_t att_mix(uint32_t a, uint32_t b, double t);
/* Distinct colours for series, safe for the colour-blind (Okabe and Ito 2008). */
uint32_t att_series_color(int64_t i);

/* What weight v is on a scale from lo to hi: 0 .. ATT_PALETTE - 1, or ATT_PALETTE for NaN. */
uint16_t att_color_index(float v, double lo, double hi);

/* The range of a map as att_heatmap_desc says; never empty. */
void att_color_range(const att_heatmap_desc *desc, const float *weights, int64_t n, double *lo, double *hi);

#endif
