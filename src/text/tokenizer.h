/* The inside of a tokeniser. */
#ifndef ATT_TEXT_TOKENIZER_H
#define ATT_TEXT_TOKENIZER_H

#include <stdatomic.h>

#include "text/added.h"
#include "text/bpe.h"
#include "text/normalise.h"
#include "text/sentencepiece.h"
#include "text/unicode.h"

#define ATT_BLANK       "\xE2\x96\x81" /* U+2581, how a blank is written inside BPE pieces */
#define ATT_BLANK_BYTES 3

/* What the kind BYTE_BPE keeps besides pieces and merges. Pieces are written in GPT-2's alphabet, one visible character
 * a byte. */
typedef struct att_byte_bpe {
    int32_t piece[256];              /* of a single byte; -1: not in the vocabulary */
    int32_t unknown;                 /* for such a byte; -1: it is left out */
    bool prefix_space;               /* a blank goes in front of text that does not start with one */
    bool ignore_merges;              /* a word that is a piece is that token, whatever the merges say */
    _Atomic unsigned char *is_whole; /* (pieces) whether the merges make a word that is this piece one token: found out
                                        when it first comes up; see byte_bpe.c */
} att_byte_bpe;

/* The switches of BERT's normalisation, and what WordPiece needs. */
typedef struct att_wordpiece {
    bool clean, ideographs, strip_accents, lowercase;
    int64_t longest; /* a word of more code points is unknown */
    size_t most;     /* bytes of the longest piece */
    char *prefix;    /* of a piece that continues a word: "##" */
} att_wordpiece;

struct att_tokenizer {
    const att_allocator *allocator;
    att_token_unit kind;
    att_normalise normalise;
    att_intern pieces;             /* token i is string i */
    int32_t role[ATT_TOKEN_ROLES]; /* -1: none */
    att_merges merges;             /* BPE, BYTE_BPE */
    int32_t blank;                 /* BPE: the token U+2581 */
    uint8_t *sorts;                /* BYTE_BPE, WORDPIECE: see unicode.h */
    att_added added;               /* tokens that text may spell */
    att_byte_bpe byte_bpe;
    att_wordpiece wordpiece;
    att_sentencepiece sentencepiece;
    bool numbered; /* SENTENCEPIECE: a vocabulary of its own numbers the pieces (Marian) */
};

/* A tokeniser of the kinds WORD, CHAR and BPE with the special tokens alone; of the other kinds without any token. */
att_status att_tokenizer_new(att_token_unit kind, att_normalise how, const att_allocator *allocator,
                             att_tokenizer **out);

/* WORD, CHAR and BPE: the kinds whose special tokens are the first four. */
static inline bool att_has_fixed_specials(att_token_unit kind)
{
    return kind <= ATT_TOKENIZER_CHAR;
}

/* ---- encoding ---- */

/* Where tokens go; n counts on past the capacity. */
typedef struct att_sink {
    int32_t *ids;
    att_text *surface; /* NULL: not wanted */
    int64_t *word;     /* NULL: not wanted */
    int64_t capacity, n;
} att_sink;

static inline void att_emit(att_sink *out, int32_t id, const char *s, size_t bytes, int64_t word)
{
    if (out->n < out->capacity) {
        out->ids[out->n] = id;
        if (out->surface) out->surface[out->n] = (att_text){s, bytes};
        if (out->word) out->word[out->n] = word;
    }
    out->n++;
}

typedef struct att_sampling {
    double dropout; /* of merges: 0 is none */
    att_random *random;
} att_sampling;

/* A part of a text between special tokens. `word` is the number of the blank-separated word that the next token
 * belongs to, kept from part to part. */
att_status att_byte_bpe_encode(const att_tokenizer *t, att_text part, att_sampling how, int64_t *word, att_sink *out);
att_status att_wordpiece_encode(const att_tokenizer *t, att_text part, int64_t *word, att_sink *out);

att_status att_sentencepiece_encode(const att_tokenizer *t, att_text part, int64_t *word, att_sink *out);

/* Appends what a piece stands for. */
att_status att_byte_bpe_decode(att_text piece, att_buffer *out);
att_status att_wordpiece_decode(const att_tokenizer *t, att_text piece, bool first, att_buffer *out);

/* Appends the normalised text. */
att_status att_bert_normalise(const att_tokenizer *t, att_text text, att_buffer *out);

/* ---- making ---- */

/* <pad> <unk> <s> </s>, as the next tokens. */
att_status att_tokenizer_add_specials(att_tokenizer *t);
/* BYTE_BPE: what words are found with; then, once all pieces and merges are there, what encoding needs. */
att_status att_byte_bpe_begin(att_tokenizer *t);
att_status att_byte_bpe_finish(att_tokenizer *t);
/* The same for WORDPIECE: the switches of BERT's models, which may then be changed; then, with all pieces there, what
 * encoding needs. The latter fails with ATT_E_FORMAT without the unknown token. */
att_status att_wordpiece_begin(att_tokenizer *t, bool cased);
/* [PAD] [UNK] [CLS] [SEP] [MASK], as the next tokens, which text may spell. */
att_status att_wordpiece_add_specials(att_tokenizer *t);
att_status att_wordpiece_finish(att_tokenizer *t, const char *prefix);
/* SENTENCEPIECE, from the bytes of a model; t->pieces holds a vocabulary that numbers the pieces, or nothing. */
att_status att_tokenizer_take_sentencepiece(att_tokenizer *t, const char *model, size_t bytes);
void att_tokenizer_set_role(att_tokenizer *t, att_token_role role, int32_t id);
/* The token of a role, by the names that are in use: <pad> or [PAD], ... */
void att_tokenizer_guess_roles(att_tokenizer *t);

/* GPT-2's alphabet: the visible character of a byte, and back (-1: not one of them). */
int32_t att_byte_character(int byte);
int att_character_byte(int32_t c);
/* Appends the bytes in that alphabet. */
att_status att_byte_text(att_buffer *out, const char *s, size_t bytes);

/* Bytes of GPT-2's next word (the pre-tokenisation of its regular expression); left >= 1. */
size_t att_gpt2_word(const uint8_t *sorts, const char *s, size_t left);

/* Bytes of BERT's next word in normalised text: one character of punctuation, or what stands before punctuation or
 * white space; 0 at white space. */
size_t att_bert_word(const uint8_t *sorts, const char *s, size_t left);

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
