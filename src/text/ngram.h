/* Counting n-grams without strings: one trie whose edges are symbols. A node is the sequence of symbols on the way from
 * the root, so equal sequences, and only those, end at the same node.
 *
 * Symbols below ATT_NGRAM_WORD are code points; ATT_NGRAM_WORD + w is the word that ends at node w of the same trie. So
 * "the cat" as words is two edges from the root, and as characters seven; they never meet. */
#ifndef ATT_TEXT_NGRAM_H
#define ATT_TEXT_NGRAM_H

#include "text/codes.h"

#define ATT_NGRAM_ROOT 0u
#define ATT_NGRAM_WORD 0x110000u

typedef struct att_ngram_node {
    uint32_t hyp;  /* how often the hypothesis has this n-gram            */
    uint32_t ref;  /* how often reference `text` has it                   */
    uint32_t best; /* the most that any reference has had it              */
    int32_t text;  /* which reference `ref` counts; another one starts at 0 */
} att_ngram_node;

typedef struct att_ngram_edge {
    uint32_t parent, symbol, child; /* child 0: a free slot (the root is nobody's child) */
} att_ngram_edge;

typedef struct att_ngrams {
    const att_allocator *allocator;
    att_ngram_node *node; /* (nodes) */
    att_ngram_edge *slot; /* (slots), a hash table with linear probing */
    int64_t nodes, node_capacity;
    uint64_t slots, slot_capacity; /* powers of two */
    int shift;                     /* 64 - log2(slots) */
} att_ngrams;

/* An empty trie that can grow by `edges`. */
att_status att_ngrams_reset(att_ngrams *t, int64_t edges);
void att_ngrams_free(att_ngrams *t);
/* The node reached from `parent` through `symbol`; made if it is new. */
uint32_t att_ngrams_child(att_ngrams *t, uint32_t parent, uint32_t symbol);
/* From n-grams of order `order` - 1 to those of `order`: gram[i] goes on from the node of symbols i .. i+order-2 to
 * that of i .. i+order-1. Order 1 starts them all at the root. Returns how many there are: max(0, n - order + 1). */
int64_t att_ngrams_extend(att_ngrams *t, uint32_t *gram, const uint32_t *symbol, int64_t n, int order);
/* The symbol of a word; and of every word of a text between white space. */
uint32_t att_ngrams_word(att_ngrams *t, const uint32_t *code, int64_t n);
att_status att_ngrams_words(att_ngrams *t, const att_allocator *allocator, att_codes *out, const att_codes *text);

/* Count one more occurrence in reference r >= 0; returns how many that makes. */
static inline uint32_t att_ngram_seen(att_ngram_node *node, int64_t r)
{
    if (node->text != (int32_t)r + 1) {
        node->text = (int32_t)r + 1;
        node->ref = 0;
    }
    return ++node->ref;
}

#endif
