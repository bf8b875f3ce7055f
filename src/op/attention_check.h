/* From a caller's descriptor and views to a validated problem. */
#ifndef ATT_ATTENTION_CHECK_H
#define ATT_ATTENTION_CHECK_H

#include "base/base.h"
#include "kernel/attention.h"

att_status att_attention_check_in(const att_attention_desc *desc, const att_attention_in *in, att_attention_problem *p);
/* These three add to what the first has checked. */
att_status att_attention_check_out(const att_attention_out *out, att_attention_problem *p);
att_status att_attention_check_saved(const att_attention_out *out, att_attention_problem *p); /* o and lse to read */
att_status att_attention_check_grad(const att_attention_grad *grad, att_attention_problem *p);
/* k and prepared of att_attention_prepare_keys. */
att_status att_attention_check_prepare(const att_view *prepared, const att_view *k, att_attention_problem *p);

#endif
