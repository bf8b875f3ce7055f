#include "kernel/attention.h"

/* Elements of scratch for the calls below. */
int64_t ATT_REF(attention_scratch)(const att_attention_problem *p);
/* Rows i_lo <= i < i_hi of head h of batch entry b: o, and everything of a row that is present; column_sums are added
 * into. */
void ATT_REF(attention_forward)(const att_attention_problem *p, int64_t b, int64_t h, int64_t i_lo, int64_t i_hi,
                                real *scratch);
/* Only what is gathered from the weights (entropy, top keys, column sums) of these rows, from the forward's lse. */
void ATT_REF(attention_gather)(const att_attention_problem *p, int64_t b, int64_t h, int64_t i_lo, int64_t i_hi,
                               real *scratch);
/* Every gradient that is present, added into, in the order of (b,h,i,j). */
void ATT_REF(attention_backward)(const att_attention_problem *p, real *scratch);
/* out(Tk) = row i at this stage, from the forward's lse where p has it. */
void ATT_REF(attention_stage)(const att_attention_problem *p, att_stage stage, int64_t b, int64_t h, int64_t i,
                              real *out, real *scratch);
