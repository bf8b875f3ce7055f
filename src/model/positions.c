/* Where a word stands: positions that are computed rather than learned. */
#include <math.h>
#include <string.h>

#include "model/transformer.h"

int64_t att_position_width(const att_transformer *m)
{
    switch (m->config.positions) {
    case ATT_POSITIONS_SINE:
    case ATT_POSITIONS_SINE_HALVES: return m->config.width;
    case ATT_POSITIONS_ROTARY: return m->config.width / m->config.heads / 2;
    default: return 0;
    }
}

/* p[t,2i] = sin(t / 10000^(2i/C)), p[t,2i+1] = cos(...); in halves: 2i -> i, 2i+1 -> ceil(C/2) + i */
static void sine_column(float *p, int64_t c, int64_t from, int64_t n, int64_t C, bool halves)
{
    double period = pow(10000.0, (double)(c / 2 * 2) / (double)C);
    p += !halves ? c : c % 2 ? (C + 1) / 2 + c / 2 : c / 2;
    for (int64_t t = from; t < from + n; t++, p += C)
        *p = (float)(c % 2 ? cos((double)t / period) : sin((double)t / period));
}

static void rotary_column(float *cosine, float *sine, int64_t i, int64_t from, int64_t n, int64_t half, double theta)
{
    double period = pow(theta, (double)i / (double)half);
    for (int64_t t = 0; t < n; t++) {
        cosine[t * half + i] = (float)cos((double)(from + t) / period);
        sine[t * half + i] = (float)sin((double)(from + t) / period);
    }
}

void att_position_fill(const att_transformer *m, int64_t from, int64_t n, float *first, float *second)
{
    int64_t width = att_position_width(m);
    bool halves = m->config.positions == ATT_POSITIONS_SINE_HALVES;
    for (int64_t c = 0; c < width; c++)
        if (m->config.positions == ATT_POSITIONS_ROTARY)
            rotary_column(first, second, c, from, n, width, m->config.theta);
        else
            sine_column(first, c, from, n, width, halves);
}

void att_position_rows(att_tape *tape, const att_transformer *m, int64_t from, int64_t n, att_view *first,
                       att_view *second)
{
    int64_t width = att_position_width(m), rows = m->table_rows;
    float *a = m->table + from * width, *b = m->table + (rows + from) * width;
    if (from + n > rows) {
        a = att_tape_alloc(tape, 2 * (size_t)(n * width) * sizeof *a);
        if (!a) return;
        b = a + n * width;
        att_position_fill(m, from, n, a, b);
    }
    *first = att_view_2d(a, ATT_F32, n, width);
    *second = att_view_2d(b, ATT_F32, n, width);
}

/* Slopes 2^(-8 (h+1) / H) for a power of two; else those of the next lower one, then every second of the next higher
 * one (Press et al. 2022, as released). */
static double slope(int64_t h, int64_t H)
{
    int64_t lower = 1;
    while (2 * lower <= H) lower *= 2;
    if (h < lower) return pow(2.0, -8.0 * (double)(h + 1) / (double)lower);
    return pow(2.0, -4.0 * (double)(2 * (h - lower) + 1) / (double)lower);
}

att_node *att_position_bias(att_tape *tape, const att_transformer *m, int64_t Tq, int64_t Tk, int64_t q_offset)
{
    int64_t H = m->config.heads;
    float *bias = att_tape_alloc(tape, (size_t)(H * Tq * Tk) * sizeof *bias);
    if (!bias) return NULL;
    for (int64_t h = 0; h < H; h++) {
        float s = (float)slope(h, H);
        for (int64_t i = 0; i < Tq; i++)
            for (int64_t j = 0; j < Tk; j++)
                bias[(h * Tq + i) * Tk + j] = -s * (float)(i + q_offset > j ? i + q_offset - j : j - i - q_offset);
    }
    att_view view = att_view_4d(bias, ATT_F32, 1, H, Tq, Tk);
    return att_tape_constant(tape, &view);
}
