#include <math.h>
#include <string.h>

#include "plot/colors.h"

typedef struct lab {
    double l, a, b;
} lab;

static double to_linear(double s)
{
    return s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
}

static double from_linear(double x)
{
    return x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055;
}

static void lab_to_linear(lab c, double rgb[3])
{
    double l = c.l + 0.3963377774 * c.a + 0.2158037573 * c.b;
    double m = c.l - 0.1055613458 * c.a - 0.0638541728 * c.b;
    double s = c.l - 0.0894841775 * c.a - 1.2914855480 * c.b;
    l = l * l * l, m = m * m * m, s = s * s * s;
    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
}

static lab lab_of(uint32_t color)
{
    double r = to_linear((color >> 16 & 255) / 255.0), g = to_linear((color >> 8 & 255) / 255.0),
           b = to_linear((color & 255) / 255.0);
    double l = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    double m = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    double s = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return (lab){0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
                 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
                 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

static uint32_t to_srgb(lab c)
{
    double rgb[3];
    uint32_t color = 0;
    lab_to_linear(c, rgb);
    for (int i = 0; i < 3; i++)
        color = color << 8 | (uint32_t)lround(255 * fmin(fmax(from_linear(fmax(rgb[i], 0)), 0), 1));
    return color;
}

static bool in_gamut(lab c)
{
    double rgb[3];
    lab_to_linear(c, rgb);
    for (int i = 0; i < 3; i++)
        if (rgb[i] < -1e-4 || rgb[i] > 1 + 1e-4) return false;
    return true;
}

/* The colour of lightness l and hue h degrees with chroma `chroma`, or the most that sRGB has below it. */
static lab polar(double l, double chroma, double hue)
{
    double h = hue * 3.14159265358979323846 / 180, least = 0, most = chroma;
    lab c = {l, chroma * cos(h), chroma * sin(h)};
    if (in_gamut(c)) return c;
    for (int i = 0; i < 20; i++) {
        double middle = (least + most) / 2;
        c = (lab){l, middle * cos(h), middle * sin(h)};
        *(in_gamut(c) ? &least : &most) = middle;
    }
    return (lab){l, least * cos(h), least * sin(h)};
}

/* The grey of CIE 1976 lightness 100 t: near black it keeps steps apart that OKLab lets fall together. */
static uint32_t grey(double t)
{
    double y = t > 0.08 ? pow((100 * t + 16) / 116, 3) : 100 * t / 903.3;
    return 0x010101u * (uint32_t)lround(255 * from_linear(y));
}

/* Lightness is linear in t in every map, so that the order survives grey printing and colour blindness. */
uint32_t att_colors_at(att_colors colors, double t)
{
    if (isnan(t)) return ATT_MISSING;
    t = fmin(fmax(t, 0), 1);
    switch (colors) {
    case ATT_COLORS_GREY: return grey(t);
    case ATT_COLORS_INK: return to_srgb(polar(0.99 - 0.69 * t, 0.005 + 0.32 * t * (1.15 - t), 240 + 30 * t));
    case ATT_COLORS_DUSK: break;
    }
    double off = t - 0.42; /* where sRGB has the least chroma on this path */
    return to_srgb(polar(0.24 + 0.67 * t, 0.094 + (off < 0 ? 0.12 : 0.28) * off * off, 305 - 202 * t));
}

att_status att_colors_parse(const char *name, att_colors *colors)
{
    static const char *const names[] = {"dusk", "grey", "ink"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *colors = (att_colors)i;
            return ATT_OK;
        }
    return att_fail(ATT_E_VALUE, "colours: \"%s\", expected dusk, grey or ink", name);
}

void att_palette(att_colors colors, uint32_t out[ATT_PALETTE + 1])
{
    for (int i = 0; i < ATT_PALETTE; i++) out[i] = att_colors_at(colors, i / (ATT_PALETTE - 1.0));
    out[ATT_PALETTE] = ATT_MISSING;
}

double att_lightness(uint32_t color)
{
    return lab_of(color).l;
}

uint32_t att_mix(uint32_t a, uint32_t b, double t)
{
    lab x = lab_of(a), y = lab_of(b);
    return to_srgb((lab){x.l + t * (y.l - x.l), x.a + t * (y.a - x.a), x.b + t * (y.b - x.b)});
}

uint32_t att_series_color(int64_t i)
{
    static const uint32_t color[] = {0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x6b7280};
    return color[i % (int64_t)(sizeof color / sizeof *color)];
}

uint16_t att_color_index(float v, double lo, double hi)
{
    if (isnan(v)) return ATT_PALETTE;
    double t = ((double)v - lo) / (hi - lo);
    return (uint16_t)lround(fmin(fmax(t, 0), 1) * (ATT_PALETTE - 1));
}

void att_color_range(const att_heatmap_desc *desc, const float *weights, int64_t n, double *lo, double *hi)
{
    *lo = (double)desc->vmin;
    *hi = (double)desc->vmax;
    if (*lo != 0 || *hi != 0) return;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(weights[i])) continue;
        *lo = fmin(*lo, (double)weights[i]);
        *hi = fmax(*hi, (double)weights[i]);
    }
    if (*hi <= *lo) *hi = *lo + 1;
}
