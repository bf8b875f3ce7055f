/* Byte pair encoding over symbols that are numbers of pieces (Sennrich, Haddow, Birch 2016, "Neural machine translation
 * of rare words with subword units"). What a first symbol is (a code point, a byte) is the caller's affair. */
#ifndef ATT_TEXT_BPE_H
#define ATT_TEXT_BPE_H

#include "text/table.h"

typedef struct att_merge {
    int32_t left, right, result; /* pieces; result's text is left's and right's */
} att_merge;

/* The merges in the order they were learnt: an earlier one goes first. */
typedef struct att_merges {
    att_merge *list;
    size_t capacity;
    att_pairs index; /* (left, right) -> position in list */
} att_merges;

void att_merges_init(att_merges *m, const att_allocator *allocator);
void att_merges_release(att_merges *m);
/* Fails with ATT_E_FORMAT when the pair is there already. */
att_status att_merges_add(att_merges *m, int32_t left, int32_t right, int32_t result);

/* What is learnt from: word w is symbol[start[w]] .. symbol[start[w] + length[w] - 1] and was seen count[w] times.
 * A symbol of -1 merges with nothing. Training shortens the words. */
typedef struct att_bpe_words {
    int32_t *symbol;
    int64_t *start, *length, *count;
    int64_t n;
} att_bpe_words;

typedef struct att_bpe_rules {
    int64_t wanted;     /* pieces; 0: no bound */
    int64_t min_count;  /* pairs seen less often are not merged */
    int32_t reserved;   /* a pair whose text is one of the first pieces is never merged */
    bool by_number;     /* ties go to the pair that is first by number of left, then right; else by their text */
    const char *prefix; /* of pieces inside a word, "##": a merge drops the right one's; "": none */
} att_bpe_rules;

/* Merges the most frequent pair, again and again, until there are as many pieces as wanted or no pair is frequent
 * enough. New pieces are added to `pieces`. */
att_status att_bpe_train(att_bpe_words *words, const att_bpe_rules *rules, att_intern *pieces, att_merges *merges);

typedef struct att_bpe_symbol {
    int32_t piece;      /* -1: merges with nothing, -2: merged into the one on its left */
    int32_t prev, next; /* neighbours, -1: none */
    int32_t start, end; /* of the text it covers: for the caller, kept up to date */
} att_bpe_symbol;

typedef struct att_bpe_candidate {
    int32_t rank, at;   /* how early it merges; left symbol */
    int32_t end, piece; /* of the text of both; what they make */
} att_bpe_candidate;

/* Scratch for words of up to `capacity` symbols. */
typedef struct att_bpe_scratch {
    att_bpe_symbol *symbol;     /* (capacity) */
    att_bpe_candidate *heap;    /* (3 capacity) */
    att_bpe_candidate *dropped; /* (3 capacity), or NULL without dropout */
} att_bpe_scratch;

/* Whether two neighbours merge: the rank, smallest first and leftmost among equals, and the piece they make; -1: they
 * do not. */
typedef int32_t att_bpe_rule(const void *ctx, const att_bpe_symbol *left, const att_bpe_symbol *right, int32_t *piece);
/* The rule of att_merges, which is ctx: by the numbers of the two pieces, in the order they were learnt. */
int32_t att_merges_rule(const void *merges, const att_bpe_symbol *left, const att_bpe_symbol *right, int32_t *piece);

/* Merges s->symbol[0..n): piece, start and end are given, prev and next are set here. What is left is the chain from
 * symbol 0 along `next`. Time n log n. With dropout > 0, each possible merge is dropped with this probability, anew
 * before every merge. */
void att_bpe_merge(att_bpe_rule *rule, const void *ctx, att_bpe_scratch *s, int32_t n, double dropout,
                   att_random *random);

#endif
