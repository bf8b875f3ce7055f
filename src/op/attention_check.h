/* From a caller's descriptor and views to a validated problem. */
#ifndef ATT_ATTENTION_CHECK_H
#define ATT_ATTENTION_CHECK_H

#include "base/base.h"
#include "kernel/attention.h"

#define ATT_FAR ((int64_t)1 << 40) /* beyond every real position: keeps i + q_offset - left from overflowing */

/* The type of every floating array but q, k, v and o. */
static inline att_dtype att_real_of(att_dtype dtype)
{
    return dtype == ATT_F64 ? ATT_F64 : ATT_F32;
}

/* The numbers and choices of the descriptor, each by itself and with one another. */
att_status att_attention_check_desc(const att_attention_desc *d);
/* ... and everything that the inputs say; fills *p. */
att_status att_attention_check_in(const att_attention_desc *desc, const att_attention_in *in, att_attention_problem *p);
/* These add to what that has checked. */
att_status att_attention_check_out(const att_attention_out *out, const att_attention_in *in, att_attention_problem *p);
att_status att_attention_check_saved(const att_attention_out *out, att_attention_problem *p); /* o and lse to read */
att_status att_attention_check_grad(const att_attention_grad *grad, const att_attention_out *out,
                                    const att_attention_in *in, att_attention_problem *p);
/* Some rows of some heads, for att_attention_weights. */
typedef struct att_attention_rows {
    att_grid out, heads, queries; /* the lists by their b step; without data: all, in order */
    int64_t nh, nq;
} att_attention_rows;
att_status att_attention_check_stage(att_stage stage, const att_view *out, const att_attention_in *in,
                                     const att_view *heads, const att_view *queries, const att_view *lse,
                                     att_attention_problem *p, att_attention_rows *rows);
/* k and prepared of att_attention_prepare_keys. */
att_status att_attention_check_prepare(const att_view *prepared, const att_view *k, att_attention_problem *p);

#endif
