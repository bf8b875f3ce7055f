/* The inside of sets of words. */
#ifndef ATT_TEXT_WORDS_H
#define ATT_TEXT_WORDS_H

#include <attend/text.h>

#include "base/base.h"

#define ATT_WORDS_KEY "attend.words" /* their metadata in a model file: the bits in base64 */

/* For `expected` words; more make it less sure. */
att_status att_words_create(int64_t expected, const att_allocator *allocator, att_words **out);
void att_words_add(att_words *words, att_text word);
att_status att_words_to_text(const att_words *words, char **out); /* free with att_text_free(NULL, ...) */
att_status att_words_from_text(const char *text, const att_allocator *allocator, att_words **out);

#endif
