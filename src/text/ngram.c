#include "text/ngram.h"

#include <string.h>

static att_status grow_slots(att_ngrams *t, uint64_t slots)
{
    void *block;
    att_free(t->allocator, t->slot, t->slot_capacity * sizeof *t->slot);
    t->slot = NULL;
    t->slot_capacity = 0;
    ATT_TRY(att_alloc(t->allocator, slots * sizeof *t->slot, &block));
    t->slot = block;
    t->slot_capacity = slots;
    return ATT_OK;
}

static att_status grow_nodes(att_ngrams *t, int64_t nodes)
{
    void *block;
    att_free(t->allocator, t->node, (size_t)t->node_capacity * sizeof *t->node);
    t->node = NULL;
    t->node_capacity = 0;
    ATT_TRY(att_alloc(t->allocator, (size_t)nodes * sizeof *t->node, &block));
    t->node = block;
    t->node_capacity = nodes;
    return ATT_OK;
}

att_status att_ngrams_reset(att_ngrams *t, int64_t edges)
{
    ATT_REQUIRE(edges < INT32_MAX / 2, ATT_E_VALUE, "segment: %lld n-grams, expected fewer than %d", (long long)edges,
                INT32_MAX / 2);
    uint64_t slots = 64;
    int shift = 58;
    for (; slots < 2 * (uint64_t)edges; slots *= 2) shift--;
    if (slots > t->slot_capacity) ATT_TRY(grow_slots(t, slots));
    if (edges + 1 > t->node_capacity) ATT_TRY(grow_nodes(t, (int64_t)slots));
    memset(t->slot, 0, slots * sizeof *t->slot);
    t->slots = slots;
    t->shift = shift;
    t->node[ATT_NGRAM_ROOT] = (att_ngram_node){0};
    t->nodes = 1;
    return ATT_OK;
}

void att_ngrams_free(att_ngrams *t)
{
    att_free(t->allocator, t->slot, t->slot_capacity * sizeof *t->slot);
    att_free(t->allocator, t->node, (size_t)t->node_capacity * sizeof *t->node);
    *t = (att_ngrams){.allocator = t->allocator};
}

uint32_t att_ngrams_child(att_ngrams *t, uint32_t parent, uint32_t symbol)
{
    uint64_t key = ((uint64_t)parent << 32) | symbol;
    uint64_t at = (key * 0x9E3779B97F4A7C15u) >> t->shift; /* Fibonacci hashing: the upper bits mix the whole key */
    for (;; at++) {
        att_ngram_edge *edge = &t->slot[at & (t->slots - 1)];
        if (edge->child == 0) {
            assert(t->nodes < t->node_capacity);
            t->node[t->nodes] = (att_ngram_node){0};
            *edge = (att_ngram_edge){.parent = parent, .symbol = symbol, .child = (uint32_t)t->nodes++};
            return edge->child;
        }
        if (edge->parent == parent && edge->symbol == symbol) return edge->child;
    }
}

int64_t att_ngrams_extend(att_ngrams *t, uint32_t *gram, const uint32_t *symbol, int64_t n, int order)
{
    int64_t count = att_max64(0, n - order + 1);
    for (int64_t i = 0; i < count; i++)
        gram[i] = att_ngrams_child(t, order == 1 ? ATT_NGRAM_ROOT : gram[i], symbol[i + order - 1]);
    return count;
}

uint32_t att_ngrams_word(att_ngrams *t, const uint32_t *code, int64_t n)
{
    uint32_t node = ATT_NGRAM_ROOT;
    for (int64_t i = 0; i < n; i++) node = att_ngrams_child(t, node, code[i]);
    return ATT_NGRAM_WORD + node;
}

att_status att_ngrams_words(att_ngrams *t, const att_allocator *allocator, att_codes *out, const att_codes *text)
{
    int64_t next = 0, lo, hi;
    ATT_TRY(att_codes_reserve(allocator, out, text->n));
    out->n = 0;
    while (att_codes_word(text, &next, &lo, &hi)) out->at[out->n++] = att_ngrams_word(t, text->at + lo, hi - lo);
    return ATT_OK;
}
