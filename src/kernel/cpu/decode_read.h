/* Reading a cache of keys and values of any type, as it lies in memory, and asking for what is read next. Types are
 * constants of inlined functions. */
#ifndef ATT_CPU_DECODE_READ_H
#define ATT_CPU_DECODE_READ_H

#include "kernel/cpu/convert.h"
#include "kernel/decode.h"

VF_INLINE int64_t element_bytes(att_dtype type)
{
    return type == ATT_F32 ? 4 : type == ATT_I8 ? 1 : 2;
}

static char *at(const att_grid *g, att_dtype type, int64_t b, int64_t h, int64_t t)
{
    return (char *)g->data + (b * g->b + h * g->h + t * g->t) * element_bytes(type);
}

static float *float_at(const att_grid *g, int64_t b, int64_t h, int64_t t)
{
    return (float *)g->data + b * g->b + h * g->h + t * g->t;
}

VF_INLINE vf load(const char *row, const att_dtype type, int64_t d)
{
    switch (type) {
    case ATT_BF16: return vf_of_bf16((const uint16_t *)(const void *)row + d);
    case ATT_F16: return vf_of_f16((const uint16_t *)(const void *)row + d);
    case ATT_I8: return vf_of_i8((const int8_t *)(const void *)row + d);
    default: return vf_load((const float *)(const void *)row + d);
    }
}

VF_INLINE vf load_n(const char *row, const att_dtype type, int64_t d, int64_t n)
{
    switch (type) {
    case ATT_BF16: return vf_of_bf16_n((const uint16_t *)(const void *)row + d, n);
    case ATT_F16: return vf_of_f16_n((const uint16_t *)(const void *)row + d, n);
    case ATT_I8: return vf_of_i8_n((const int8_t *)(const void *)row + d, n);
    default: return vf_load_n((const float *)(const void *)row + d, n);
    }
}

static vf load_some(const char *row, att_dtype type, int64_t d, int64_t n)
{
    return n >= VF_LANES ? load(row, type, d) : load_n(row, type, d, n);
}

/* Vector 0 or 1 of the 2 VF_LANES elements from d on. Those of bfloat16 are the elements at even and those at odd
 * places, which cost an instruction instead of three; queries and sums lie in the same order (swap_order). */
VF_INLINE vf load_half(const char *row, const att_dtype type, int64_t d, const int half)
{
    vf x[2];
    if (type != ATT_BF16) return load(row, type, d + half * VF_LANES);
    vf_load_bf16((const uint16_t *)(const void *)row + d, &x[0], &x[1]);
    return x[half];
}

/* The vector at d of a row of `width` elements, in that order. */
static vf load_at(const char *row, att_dtype type, int64_t d, int64_t width)
{
    int64_t pair = d / (2 * VF_LANES) * (2 * VF_LANES);
    if (pair + 2 * VF_LANES <= width) return load_half(row, type, pair, d > pair);
    return load_some(row, type, d, width - d);
}

/* The whole pairs of vectors of n floats to the order of load_half and, with `back`, to that of memory. */
static void swap_order(float *x, att_dtype type, int64_t n, bool back)
{
    for (; type == ATT_BF16 && n >= 2 * VF_LANES; n -= 2 * VF_LANES, x += 2 * VF_LANES) {
        float from[2 * VF_LANES];
        memcpy(from, x, sizeof from);
        for (int64_t i = 0; i < VF_LANES; i++) {
            x[back ? 2 * i : i] = from[back ? i : 2 * i];
            x[back ? 2 * i + 1 : VF_LANES + i] = from[back ? VF_LANES + i : 2 * i + 1];
        }
    }
}

static void store_some(char *row, att_dtype type, int64_t d, vf x, int64_t n)
{
    uint16_t *half = (uint16_t *)(void *)row + d;
    bool all = n >= VF_LANES;
    if (type == ATT_BF16)
        all ? vf_to_bf16(half, x) : vf_to_bf16_n(half, x, n);
    else if (type == ATT_F16)
        all ? vf_to_f16(half, x) : vf_to_f16_n(half, x, n);
    else
        vf_store_some((float *)(void *)row + d, x, n);
}

/* ---- what comes next ---- */

enum { LINE = 64 };

/* What comes next from memory, a line at a time, asked for evenly: into the second-level cache, for which a core keeps
 * more requests under way than for the first. */
typedef struct fetcher {
    const char *line, *end; /* of a row */
    int64_t rows, width, step;
} fetcher;

static fetcher fetch(const char *row, int64_t rows, int64_t width, int64_t step)
{
    return (fetcher){row, row + width, rows, width, step};
}

VF_INLINE void fetch_lines(const int count, fetcher *f)
{
    for (int i = 0; i < count && f->rows > 0; i++) {
        __builtin_prefetch(f->line, 0, 2);
        f->line += LINE;
        if (f->line < f->end) continue;
        f->rows--;
        f->end += f->step;
        f->line = f->end - f->width;
    }
}

/* After turn `turn`, in which so many vectors of the cache were used: what comes is as long as what goes, to the line.
 * More would arrive too early for the first-level cache, all at once. */
VF_INLINE void fetch_for(const att_dtype type, const int vectors, int64_t turn, fetcher *f)
{
    const int bytes = vectors * VF_LANES * (int)element_bytes(type);
    const int turns = bytes < LINE ? LINE / bytes : 1;
    if ((turn & (turns - 1)) == 0) fetch_lines(bytes / LINE + (bytes < LINE), f);
}

#endif
