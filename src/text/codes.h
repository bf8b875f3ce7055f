/* A text as code points, and what Python's str does to it: the scores must agree with a Python program. */
#ifndef ATT_TEXT_CODES_H
#define ATT_TEXT_CODES_H

#include "base/base.h"

typedef struct att_codes {
    uint32_t *at; /* (n) */
    int64_t n, capacity;
} att_codes;

/* Room for `capacity` code points; keeps the content. */
att_status att_codes_reserve(const att_allocator *allocator, att_codes *codes, int64_t capacity);
void att_codes_free(const att_allocator *allocator, att_codes *codes);

/* The code points of a NUL-terminated string. On invalid UTF-8 fails with ATT_E_FORMAT and `*bad_byte` its position;
 * the caller, who knows where the text came from, writes the message. */
att_status att_codes_decode(const att_allocator *allocator, att_codes *out, const char *utf8, int64_t *bad_byte);

/* str.lower(): full Unicode mapping, final sigma included. */
att_status att_codes_lower(const att_allocator *allocator, att_codes *out, const att_codes *in);

/* str.isspace() of one character: what split() and rstrip() cut at. */
bool att_code_is_space(uint32_t code);
/* str.rstrip() */
void att_codes_rstrip(att_codes *codes);
/* The next word at or after *at as str.split() finds them: codes->at[*lo .. *hi); false when there is none left.
 * Start with *at = 0. */
bool att_codes_word(const att_codes *codes, int64_t *at, int64_t *lo, int64_t *hi);

#endif
