/* Small products of rows, shared by the attention kernels: everything in fused attention is one of these two. Rows have
 * their own strides and dense columns; nothing is read past column D. */
#ifndef ATT_TILE_H
#define ATT_TILE_H

#include "kernel/attention.h"
#include "kernel/cpu/simd.h"

VF_INLINE vf vf_load_upto(const float *p, int64_t n)
{
    return n >= VF_LANES ? vf_load(p) : vf_load_n(p, n);
}

VF_INLINE void vf_store_upto(float *p, vf a, int64_t n)
{
    if (n >= VF_LANES)
        vf_store(p, a);
    else
        vf_store_n(p, a, n);
}

static inline float *row_at(const att_grid *g, int64_t b, int64_t h, int64_t t)
{
    return (float *)g->data + b * g->b + h * g->h + t * g->t;
}

VF_INLINE void dot_1x4(float *s, float scale, const float *a, const float *b, int64_t b_row, int64_t D)
{
    vf s0 = vf_zero(), s1 = vf_zero(), s2 = vf_zero(), s3 = vf_zero();
    for (int64_t d = 0; d < D; d += VF_LANES) {
        vf x = vf_load_upto(a + d, D - d);
        s0 = vf_fma(x, vf_load_upto(b + d, D - d), s0);
        s1 = vf_fma(x, vf_load_upto(b + b_row + d, D - d), s1);
        s2 = vf_fma(x, vf_load_upto(b + 2 * b_row + d, D - d), s2);
        s3 = vf_fma(x, vf_load_upto(b + 3 * b_row + d, D - d), s3);
    }
    vf_sum4(s, s0, s1, s2, s3);
    for (int c = 0; c < 4; c++) s[c] *= scale;
}

static inline float dot_1x1(float scale, const float *a, const float *b, int64_t D)
{
    vf s = vf_zero();
    for (int64_t d = 0; d < D; d += VF_LANES) s = vf_fma(vf_load_upto(a + d, D - d), vf_load_upto(b + d, D - d), s);
    return scale * vf_sum(s);
}

/* s[r * ATT_KEY_BLOCK + c] = scale a_r . b_c  for n rows of a and m rows of b, D columns. */
static inline void tile_dots(float *s, float scale, const float *a, int64_t a_row, int64_t n, const float *b,
                             int64_t b_row, int64_t m, int64_t D)
{
    for (int64_t r = 0; r < n; r++) {
        float *out = s + r * ATT_KEY_BLOCK;
        int64_t c = 0;
        for (; c + 4 <= m; c += 4) dot_1x4(out + c, scale, a + r * a_row, b + c * b_row, b_row, D);
        for (; c < m; c++) out[c] = dot_1x1(scale, a + r * a_row, b + c * b_row, D);
    }
}

/* y += sum_c w[c * w_step] x_c over columns of four vectors (wide) or of at most one. */
VF_INLINE void mix_wide(float *y, const float *w, int64_t w_step, float scale, const float *x, int64_t x_row, int64_t m)
{
    vf y0 = vf_load(y), y1 = vf_load(y + VF_LANES), y2 = vf_load(y + 2 * VF_LANES), y3 = vf_load(y + 3 * VF_LANES);
    for (int64_t c = 0; c < m; c++) {
        float weight = w[c * w_step] * scale;
        if (weight == 0) continue;
        vf f = vf_set1(weight);
        const float *row = x + c * x_row;
        y0 = vf_fma(f, vf_load(row), y0);
        y1 = vf_fma(f, vf_load(row + VF_LANES), y1);
        y2 = vf_fma(f, vf_load(row + 2 * VF_LANES), y2);
        y3 = vf_fma(f, vf_load(row + 3 * VF_LANES), y3);
    }
    vf_store(y, y0);
    vf_store(y + VF_LANES, y1);
    vf_store(y + 2 * VF_LANES, y2);
    vf_store(y + 3 * VF_LANES, y3);
}

VF_INLINE void mix_narrow(float *y, const float *w, int64_t w_step, float scale, const float *x, int64_t x_row,
                          int64_t m, int64_t lanes)
{
    vf sum = vf_load_upto(y, lanes);
    for (int64_t c = 0; c < m; c++) {
        float weight = w[c * w_step] * scale;
        if (weight != 0) sum = vf_fma(vf_set1(weight), vf_load_upto(x + c * x_row, lanes), sum);
    }
    vf_store_upto(y, sum, lanes);
}

/* y_r += scale sum_c w[r * w_row + c * w_step] x_c  for n rows of y and m rows of x, D columns. A row x_c of weight 0
 * is not read: hidden keys and values may be NaN. */
static inline void tile_mix(float *y, int64_t y_row, int64_t n, const float *w, int64_t w_row, int64_t w_step,
                            float scale, const float *x, int64_t x_row, int64_t m, int64_t D)
{
    for (int64_t r = 0; r < n; r++) {
        int64_t d = 0;
        for (; d + 4 * VF_LANES <= D; d += 4 * VF_LANES)
            mix_wide(y + r * y_row + d, w + r * w_row, w_step, scale, x + d, x_row, m);
        for (; d < D; d += VF_LANES)
            mix_narrow(y + r * y_row + d, w + r * w_row, w_step, scale, x + d, x_row, m, D - d);
    }
}

#endif
