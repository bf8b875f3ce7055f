/* Tokens that text may spell, such as <|endoftext|> and [MASK]: found before anything else is done to the text. */
#ifndef ATT_TEXT_ADDED_H
#define ATT_TEXT_ADDED_H

#include "text/table.h"

typedef struct att_added_token {
    int32_t id;
    bool lstrip, rstrip; /* takes the white space on that side along */
    bool normalized;     /* is looked for in the normalised text */
    bool special;        /* decoding leaves it out */
} att_added_token;

typedef struct att_added {
    att_intern content; /* token i is string i */
    att_added_token *token;
    size_t capacity;
    int64_t longest;        /* bytes */
    bool first[256], later; /* which bytes one starts with; whether any is looked for in the normalised text */
} att_added;

/* A part of a text: one of these tokens, or what stands between (-1). */
typedef struct att_part {
    size_t start, bytes;
    int32_t token;
} att_part;

typedef struct att_parts {
    att_part *list;
    size_t n, capacity;
} att_parts;

void att_added_init(att_added *a, const att_allocator *allocator);
void att_added_release(att_added *a);
/* Fails with ATT_E_FORMAT for a text that is there already or is longer than ATT_ADDED_BYTES. */
att_status att_added_add(att_added *a, const char *content, size_t bytes, att_added_token token);
/* The number in the list of the token with this id, or -1. */
int64_t att_added_find(const att_added *a, int32_t id);

#define ATT_ADDED_BYTES 256

att_status att_part_add(const att_allocator *allocator, att_parts *parts, att_part part);

/* Appends text[start .. start + bytes) cut at the tokens, the longest at the first place, to `parts`. */
att_status att_added_cut(const att_added *a, const uint8_t *sorts, const char *text, size_t start, size_t bytes,
                         bool normalized, att_parts *parts);

#endif
