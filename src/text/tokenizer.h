/* The inside of a tokeniser. */
#ifndef ATT_TEXT_TOKENIZER_H
#define ATT_TEXT_TOKENIZER_H

#include "text/bpe.h"
#include "text/normalise.h"

#define ATT_BLANK       "\xE2\x96\x81" /* U+2581, how a blank is written inside BPE pieces */
#define ATT_BLANK_BYTES 3

struct att_tokenizer {
    const att_allocator *allocator;
    att_token_unit kind;
    att_normalise normalise;
    att_intern pieces; /* token i is string i; the special ones first */
    att_merges merges; /* BPE */
    int32_t blank;     /* BPE: the token U+2581 */
};

/* A tokeniser of the special tokens alone. */
att_status att_tokenizer_new(att_token_unit kind, att_normalise how, const att_allocator *allocator,
                             att_tokenizer **out);

/* Bytes of the blank at s that separates BPE words: ' ' or U+2581 itself; 0 when there is none. */
static inline size_t att_blank_at(const char *s, size_t left)
{
    if (left > 0 && s[0] == ' ') return 1;
    return left >= ATT_BLANK_BYTES && memcmp(s, ATT_BLANK, ATT_BLANK_BYTES) == 0 ? ATT_BLANK_BYTES : 0;
}

/* Bytes of the word that starts at s: up to the next blank of that kind, or the end. */
static inline size_t att_word_bytes(const char *s, size_t left)
{
    size_t n = 0;
    while (n < left && !att_blank_at(s + n, left - n)) n++;
    return n;
}

/* The token with this text, or <unk>; the text of a special token is not one. */
static inline int32_t att_token_of(const att_tokenizer *t, const char *s, size_t bytes)
{
    int32_t id = att_intern_find(&t->pieces, s, bytes);
    return id < ATT_TOKEN_SPECIALS ? ATT_TOKEN_UNK : id;
}

#endif
