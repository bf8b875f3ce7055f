/* What every case of attention must pass. */
#ifndef ATTENTION_SUITE_H
#define ATTENTION_SUITE_H

#include "op/attention_case.h"

/* Every instruction set, two threads, against the double reference; each error at most twice the float reference's. */
void suite_parity(const attention_case *cases, int n);
/* The double reference's gradients of sum(o d_o) against central differences. */
void suite_gradients(const attention_case *cases, int n);
/* 2, 3, 4 and 8 threads against one, on four times the batch. */
void suite_threads(const attention_case *cases, int n);
/* Each batch entry by itself against the whole: not for cases that draw random numbers, which the place decides. */
void suite_split(const attention_case *cases, int n);
/* Hidden keys and values NaN and infinite: the results stay as they were. */
void suite_poison(const attention_case *cases, int n);

void suite_run(attention_run *run, const attention_case *c, att_dtype dtype, const att_exec *exec);
void suite_same(const attention_run *a, const attention_run *b, const char *what);

#endif
