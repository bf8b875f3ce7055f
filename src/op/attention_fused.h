/* Fused dot-product attention: cutting the work into tasks. */
#ifndef ATT_ATTENTION_FUSED_H
#define ATT_ATTENTION_FUSED_H

#include "base/base.h"
#include "kernel/attention.h"

/* Whether these kernels serve the problem; the others need that. */
bool att_fused_serves(const att_attention_problem *p, const att_exec *exec);
bool att_fused_in_bf16(const att_attention_problem *p, const att_exec *exec); /* on units that multiply it as it is */
size_t att_fused_workspace(const att_attention_problem *p, const att_exec *exec, bool backward); /* bytes */
void att_fused_forward(const att_attention_problem *p, const att_exec *exec, void *workspace);
void att_fused_backward(const att_attention_problem *p, const att_exec *exec, void *workspace);

#endif
