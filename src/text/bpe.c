#include "text/bpe.h"

#define GONE (-2) /* the piece of a symbol that was merged into the one on its left */

void att_merges_init(att_merges *m, const att_allocator *allocator)
{
    *m = (att_merges){.index.allocator = allocator};
}

void att_merges_release(att_merges *m)
{
    const att_allocator *a = m->index.allocator;
    att_free(a, m->list, m->capacity * sizeof *m->list);
    att_pairs_release(&m->index);
    att_merges_init(m, a);
}

att_status att_merges_add(att_merges *m, int32_t left, int32_t right, int32_t result)
{
    int64_t n = m->index.count;
    ATT_REQUIRE(n < INT32_MAX, ATT_E_MEMORY, "more than %d merges", INT32_MAX);
    ATT_REQUIRE(att_pairs_find(&m->index, left, right) < 0, ATT_E_FORMAT, "merge %lld repeats an earlier one",
                (long long)n);
    void *list = m->list;
    ATT_TRY(att_grow(m->index.allocator, &list, &m->capacity, (size_t)n + 1, sizeof *m->list));
    m->list = list;
    m->list[n] = (att_merge){left, right, result};
    int32_t found;
    return att_pairs_add(&m->index, left, right, (int32_t)n, &found);
}

/* ---- a binary heap of candidates: smallest rank first, then leftmost ---- */

static bool before(att_bpe_candidate a, att_bpe_candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void push(att_bpe_candidate *heap, int64_t *n, att_bpe_candidate c)
{
    int64_t i = (*n)++;
    for (; i > 0 && before(c, heap[(i - 1) / 2]); i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = c;
}

static att_bpe_candidate pop(att_bpe_candidate *heap, int64_t *n)
{
    att_bpe_candidate top = heap[0], last = heap[--*n];
    int64_t i = 0;
    for (int64_t child; (child = 2 * i + 1) < *n; i = child) {
        if (child + 1 < *n && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], last)) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

/* ---- encoding ---- */

int32_t att_merges_rule(const void *merges, const att_bpe_symbol *left, const att_bpe_symbol *right, int32_t *piece)
{
    const att_merges *m = merges;
    if (left->piece < 0 || right->piece < 0) return -1;
    int32_t rank = att_pairs_find(&m->index, left->piece, right->piece);
    if (rank >= 0) *piece = m->list[rank].result;
    return rank;
}

typedef struct merging {
    att_bpe_rule *rule;
    const void *ctx;
    att_bpe_scratch *s;
    int64_t candidates;
} merging;

/* Symbol `at` and the one after it may merge: then they become a candidate. */
static void consider(merging *m, int32_t at)
{
    const att_bpe_symbol *symbol = m->s->symbol;
    if (at < 0 || symbol[at].next < 0) return;
    const att_bpe_symbol *left = &symbol[at], *right = &symbol[left->next];
    att_bpe_candidate c = {.at = at, .end = right->end};
    c.rank = m->rule(m->ctx, left, right, &c.piece);
    if (c.rank >= 0) push(m->s->heap, &m->candidates, c);
}

/* A candidate is stale when one of its two symbols has merged with another since: text only ever moves to the left. */
static bool is_stale(const att_bpe_scratch *s, att_bpe_candidate c)
{
    int32_t next = s->symbol[c.at].next;
    return s->symbol[c.at].piece == GONE || next < 0 || s->symbol[next].end != c.end;
}

static void join(att_bpe_scratch *s, att_bpe_candidate c)
{
    att_bpe_symbol *left = &s->symbol[c.at], *right = &s->symbol[left->next];
    left->piece = c.piece;
    left->end = right->end;
    left->next = right->next;
    if (right->next >= 0) s->symbol[right->next].prev = c.at;
    right->piece = GONE;
}

/* Every candidate enters the heap when its pair comes to be: n - 1 at the start, two a merge, so at most 3 n. */
void att_bpe_merge(att_bpe_rule *rule, const void *ctx, att_bpe_scratch *s, int32_t n, double dropout,
                   att_random *random)
{
    merging m = {rule, ctx, s, 0};
    int64_t dropped = 0;
    for (int32_t i = 0; i < n; i++) {
        s->symbol[i].prev = i - 1;
        s->symbol[i].next = i + 1 < n ? i + 1 : -1;
    }
    for (int32_t i = 0; i + 1 < n; i++) consider(&m, i);
    while (m.candidates > 0) {
        att_bpe_candidate c = pop(s->heap, &m.candidates);
        if (is_stale(s, c)) continue;
        if (dropout > 0 && att_random_uniform(random) < dropout) {
            s->dropped[dropped++] = c;
            continue;
        }
        join(s, c);
        consider(&m, s->symbol[c.at].prev);
        consider(&m, c.at);
        while (dropped > 0) push(s->heap, &m.candidates, s->dropped[--dropped]);
    }
}
