/* Sorts of code points, for the tokenisers that must split exactly as PyPI's `tokenizers` does. */
#ifndef ATT_TEXT_UNICODE_H
#define ATT_TEXT_UNICODE_H

#include <attend/text.h>

#include "text/buffer.h"

enum {
    ATT_CODE_LETTER = 1,      /* \p{L} */
    ATT_CODE_NUMBER = 2,      /* \p{N} */
    ATT_CODE_SPACE = 4,       /* \s */
    ATT_CODE_PUNCTUATION = 8, /* stands alone before WordPiece */
    ATT_CODE_REMOVED = 16,    /* what BERT's cleaning takes out, but for tab, line feed and carriage return */
    ATT_CODE_MARK = 32,       /* what BERT's stripping of accents takes out */
    ATT_CODE_IDEOGRAPH = 64   /* what BERT puts blanks around */
};

#define ATT_BMP 0x10000

/* Sorts of the code points below ATT_BMP, one byte each; the others are looked up in the ranges. */
att_status att_sorts_create(const att_allocator *allocator, uint8_t **sorts);
void att_sorts_free(const att_allocator *allocator, uint8_t *sorts);
int att_sorts_late(int32_t c); /* c >= ATT_BMP */

/* ATT_CODE_... of c, joined by "or". */
static inline int att_sorts_of(const uint8_t *sorts, int32_t c)
{
    return c < ATT_BMP ? sorts[c] : att_sorts_late(c);
}

/* The small letter of c, or c. U+0130, the one whose small letter is two code points, gives 'i'. */
int32_t att_code_lower(int32_t c);

/* How many bytes the well-formed UTF-8 sequence at s has; 0: none. *skip (optional) is then how many bytes one U+FFFD
 * stands for (Unicode 15, section 3.9, "maximal subpart": what Python's errors="replace" does). left >= 1. */
size_t att_utf8_sequence(const char *s, size_t left, size_t *skip);

/* Appends the text with U+FFFD in place of what is not UTF-8. */
att_status att_utf8_repair(att_text text, att_buffer *out);

#endif
