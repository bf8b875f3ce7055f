/* Attention of few queries over long or narrow-typed caches of keys and values. */
#ifndef ATT_ATTENTION_DECODE_H
#define ATT_ATTENTION_DECODE_H

#include "kernel/attention.h"

#include <attend/exec.h>

/* Whether the forward runs here; there is no backward, and but for a cache of another type than q no lse. */
bool att_decode_serves(const att_attention_problem *p, const att_exec *exec);
size_t att_decode_workspace(const att_attention_problem *p, const att_exec *exec); /* bytes */
void att_decode_forward(const att_attention_problem *p, const att_exec *exec, void *workspace);

#endif
