/* How BLEU cuts a segment into tokens: mteval's rules as sacreBLEU states them. */
#ifndef ATT_TEXT_BLEU_TOKENIZE_H
#define ATT_TEXT_BLEU_TOKENIZE_H

#include <attend/score.h>

#include "text/codes.h"

/* `text` with white space between its tokens; `spare` is scratch. */
att_status att_bleu_tokenize(att_bleu_tokenizer tokenizer, const att_allocator *allocator, att_codes *text,
                             att_codes *spare);

#endif
