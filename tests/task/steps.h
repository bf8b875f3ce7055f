/* A recurrent translator one word at a time, beside which a search is tested. */
#ifndef ATT_TEST_STEPS_H
#define ATT_TEST_STEPS_H

#include "task/translator.h"

/* log of the probability of word i among n logits, in double precision. */
double steps_log_softmax(const float *x, int64_t n, int64_t i);
/* Whether a search may choose the token. */
bool steps_may_come(int64_t token);
/* Encodes one text; the logits after `word`, and the state then. In the memory of t->encoder, which the caller begins.
 */
void steps_encode(const att_translator *t, const char *text, att_seq2seq_memory *memory, att_seq2seq_state *s);
const float *steps_next(const att_translator *t, const att_seq2seq_memory *memory, int32_t word, att_seq2seq_state *s);

#endif
