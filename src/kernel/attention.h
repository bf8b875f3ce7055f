/* Attention as the kernels see it: one validated problem, and the table of what an instruction set provides. */
#ifndef ATT_KERNEL_ATTENTION_H
#define ATT_KERNEL_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <attend/attention.h>

/* Element (b,h,t,d) lies at data + b*b_step + ...; data == NULL means absent; a step of 0 broadcasts. */
typedef struct att_grid {
    void *data;
    int64_t b, h, t, d;
} att_grid;

/* A call after validation. Everything float or everything double, but mask (uint8) and lengths (int32). */
typedef struct att_attention_problem {
    att_attention_desc desc; /* left, right are small enough that i + q_offset +- them never overflows */
    att_dtype dtype;
    double scale; /* never 0 */
    int64_t B, Hq, Hkv, Tq, Tk, D, Dv;
    att_grid q, k, k_prepared, v, mask, bias, lengths, score_w; /* score_w: d step only; lengths: b step only */
    att_grid o, lse, weights;
    att_grid d_o, dq, dk, dv, dbias, dscore_w;
} att_attention_problem;

/* The keys lo <= j < hi that window and key length leave to query i of batch entry b; hi <= lo: none. */
static inline void att_attention_range(const att_attention_problem *p, int64_t b, int64_t i, int64_t *lo, int64_t *hi)
{
    int64_t at = i + p->desc.q_offset;
    *lo = 0;
    *hi = p->lengths.data ? ((const int32_t *)p->lengths.data)[b * p->lengths.b] : p->Tk;
    if (p->desc.window == ATT_WINDOW_BAND && at - p->desc.left > *lo) *lo = at - p->desc.left;
    if (p->desc.window == ATT_WINDOW_BAND && at + p->desc.right + 1 < *hi) *hi = at + p->desc.right + 1;
    if (p->desc.window == ATT_WINDOW_CAUSAL && at + 1 < *hi) *hi = at + 1;
}

#endif
