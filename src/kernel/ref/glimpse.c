/* A retina on an image: samples one pixel apart, averaged into the cells of each patch. */
#include <stdbool.h>
#include <stddef.h>

#include "kernel/ref/real.h"
#include "kernel/ref/glimpse.h"

/* Where a sample falls: between the pixels (y, x) and (y + 1, x + 1), at (fy, fx) of the way. */
typedef struct sample {
    int64_t y, x;
    real fy, fx;
} sample;

/* Sample (u, v) of the f x f in cell (r, c). Pixel i has its middle at i. */
static sample sample_at(const att_glimpse_call *g, const real *centre, int64_t f, int64_t r, int64_t c, int64_t u,
                        int64_t v)
{
    real P = (real)g->desc.size, half = (real)0.5;
    real y = (centre[0] + 1) * half * (real)g->H + ((real)r - P * half) * (real)f + (real)u;
    real x = (centre[1] + 1) * half * (real)g->W + ((real)c - P * half) * (real)f + (real)v;
    if (g->desc.kind == ATT_GLIMPSE_CROP) {
        y = (real)floor(y + half);
        x = (real)floor(x + half);
        return (sample){(int64_t)y, (int64_t)x, 0, 0};
    }
    real y0 = (real)floor(y), x0 = (real)floor(x);
    return (sample){(int64_t)y0, (int64_t)x0, y - y0, x - x0};
}

static bool inside(const att_glimpse_call *g, int64_t y, int64_t x)
{
    return y >= 0 && y < g->H && x >= 0 && x < g->W;
}

/* Channel values of pixel (y, x); NULL outside. */
static const real *pixel(const att_glimpse_call *g, int64_t b, int64_t y, int64_t x)
{
    return inside(g, y, x) ? (const real *)g->image + ((b * g->H + y) * g->W + x) * g->C : NULL;
}

static real *d_pixel(const att_glimpse_call *g, int64_t b, int64_t y, int64_t x)
{
    return g->dimage && inside(g, y, x) ? (real *)g->dimage + ((b * g->H + y) * g->W + x) * g->C : NULL;
}

/* Corner k of the four: 0 0, 0 1, 1 0, 1 1 as (down, right). */
static real corner_weight(const sample *s, int k)
{
    return (k / 2 ? s->fy : 1 - s->fy) * (k % 2 ? s->fx : 1 - s->fx);
}

static void add_sample(const att_glimpse_call *g, int64_t b, const sample *s, real share, real *cell)
{
    for (int k = 0; k < 4; k++) {
        real w = share * corner_weight(s, k);
        const real *p = w != 0 ? pixel(g, b, s->y + k / 2, s->x + k % 2) : NULL;
        for (int64_t c = 0; p && c < g->C; c++) cell[c] += w * p[c];
    }
}

/* forward: cell += share sum_k weight_k pixel_k.  The weights' own derivatives carry the centre's gradient:
 * d/dfy of corner (1, right) is the share of `right`, of corner (0, right) its negative, and so for fx. */
static void sample_back(const att_glimpse_call *g, int64_t b, const sample *s, real share, const real *d, real dc[2])
{
    for (int k = 0; k < 4; k++) {
        int64_t y = s->y + k / 2, x = s->x + k % 2;
        real w = share * corner_weight(s, k), along = 0;
        const real *p = pixel(g, b, y, x);
        real *dp = d_pixel(g, b, y, x);
        for (int64_t c = 0; dp && c < g->C; c++) dp[c] += w * d[c];
        for (int64_t c = 0; p && c < g->C; c++) along += share * p[c] * d[c];
        dc[0] += (k / 2 ? along : -along) * (k % 2 ? s->fx : 1 - s->fx);
        dc[1] += (k % 2 ? along : -along) * (k / 2 ? s->fy : 1 - s->fy);
    }
}

/* Cell number i of batch entry b: patch s, row r, column c. */
typedef struct cell {
    int64_t f, r, c;
    real share;
} cell;

static cell cell_at(const att_glimpse_call *g, int64_t i)
{
    int64_t P = g->desc.size, f = (int64_t)1 << i / (P * P);
    return (cell){f, i / P % P, i % P, 1 / ((real)f * (real)f)};
}

void ATT_REF(glimpse)(const att_glimpse_call *g, int64_t b)
{
    int64_t cells = g->desc.scales * g->desc.size * g->desc.size;
    const real *centre = (const real *)g->centre + 2 * b;
    for (int64_t i = 0; i < cells; i++) {
        cell at = cell_at(g, i);
        real *to = (real *)g->patches + (b * cells + i) * g->C;
        for (int64_t c = 0; c < g->C; c++) to[c] = 0;
        for (int64_t k = 0; k < at.f * at.f; k++) {
            sample s = sample_at(g, centre, at.f, at.r, at.c, k / at.f, k % at.f);
            add_sample(g, b, &s, at.share, to);
        }
    }
}

void ATT_REF(glimpse_bwd)(const att_glimpse_call *g, int64_t b)
{
    int64_t cells = g->desc.scales * g->desc.size * g->desc.size;
    const real *centre = (const real *)g->centre + 2 * b;
    real dc[2] = {0, 0};
    for (int64_t i = 0; i < cells; i++) {
        cell at = cell_at(g, i);
        const real *d = (const real *)g->dpatches + (b * cells + i) * g->C;
        for (int64_t k = 0; k < at.f * at.f; k++) {
            sample s = sample_at(g, centre, at.f, at.r, at.c, k / at.f, k % at.f);
            sample_back(g, b, &s, at.share, d, dc);
        }
    }
    if (!g->dcentre) return;
    ((real *)g->dcentre)[2 * b] += dc[0] * (real)g->H / 2;
    ((real *)g->dcentre)[2 * b + 1] += dc[1] * (real)g->W / 2;
}
