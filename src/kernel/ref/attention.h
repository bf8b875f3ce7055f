#include "kernel/attention.h"

/* Rows i_lo <= i < i_hi of head h of batch entry b: o, and lse and weights where present. scratch holds 3 Tk. */
void ATT_REF(attention_forward)(const att_attention_problem *p, int64_t b, int64_t h, int64_t i_lo, int64_t i_hi,
                                real *scratch);
/* Every gradient that is present, added into, in the order of (b,h,i,j). scratch holds 3 Tk. */
void ATT_REF(attention_backward)(const att_attention_problem *p, real *scratch);
