/* Learning merges. Pair counts are kept up to date instead of being counted anew: a merge touches only the words its
 * pair is in. The heap holds old counts too: an entry whose count is no longer true is put back with the true one. */
#include "text/bpe.h"

typedef struct pair {
    int32_t left, right;
    int64_t count; /* how often in the corpus */
    int32_t place; /* latest of its places, -1: none */
    bool changed;  /* waits in `changed` to be put on the heap */
} pair;

/* A word a pair was in when the place was noted; by now it may have lost it. */
typedef struct place {
    int32_t word, older;
} place;

typedef struct entry {
    int64_t count;
    int32_t pair;
} entry;

typedef struct trainer {
    const att_allocator *allocator;
    const att_bpe_rules *rules;
    att_bpe_words *words;
    att_intern *pieces;
    att_pairs index; /* (left, right) -> pair */
    pair *pair;
    place *place;
    entry *heap;
    int32_t *changed;
    size_t pair_capacity, place_capacity, heap_capacity, changed_capacity;
    int64_t places, entries, changes;
    att_buffer text; /* scratch */
} trainer;

static void release(trainer *t)
{
    att_free(t->allocator, t->pair, t->pair_capacity * sizeof *t->pair);
    att_free(t->allocator, t->place, t->place_capacity * sizeof *t->place);
    att_free(t->allocator, t->heap, t->heap_capacity * sizeof *t->heap);
    att_free(t->allocator, t->changed, t->changed_capacity * sizeof *t->changed);
    att_pairs_release(&t->index);
    att_buffer_release(&t->text);
}

static const char *text_of(const trainer *t, int32_t piece)
{
    return att_intern_get(t->pieces, piece).data;
}

static bool before(const trainer *t, entry a, entry b)
{
    if (a.count != b.count) return a.count > b.count;
    if (a.pair == b.pair) return false;
    const pair *p = &t->pair[a.pair], *q = &t->pair[b.pair];
    if (t->rules->by_number) return p->left != q->left ? p->left < q->left : p->right < q->right;
    int order = strcmp(text_of(t, p->left), text_of(t, q->left));
    return order ? order < 0 : strcmp(text_of(t, p->right), text_of(t, q->right)) < 0;
}

static att_status push(trainer *t, entry e)
{
    void *heap = t->heap;
    ATT_TRY(att_grow(t->allocator, &heap, &t->heap_capacity, (size_t)t->entries + 1, sizeof *t->heap));
    t->heap = heap;
    int64_t i = t->entries++;
    for (; i > 0 && before(t, e, t->heap[(i - 1) / 2]); i = (i - 1) / 2) t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = e;
    return ATT_OK;
}

static entry pop(trainer *t)
{
    entry top = t->heap[0], last = t->heap[--t->entries];
    int64_t i = 0;
    for (int64_t child; (child = 2 * i + 1) < t->entries; i = child) {
        if (child + 1 < t->entries && before(t, t->heap[child + 1], t->heap[child])) child++;
        if (!before(t, t->heap[child], last)) break;
        t->heap[i] = t->heap[child];
    }
    t->heap[i] = last;
    return top;
}

static att_status find_pair(trainer *t, int32_t left, int32_t right, int32_t *index)
{
    int64_t n = t->index.count;
    ATT_REQUIRE(n < INT32_MAX, ATT_E_MEMORY, "more than %d pairs of symbols", INT32_MAX);
    ATT_TRY(att_pairs_add(&t->index, left, right, (int32_t)n, index));
    if (*index < n) return ATT_OK;
    void *list = t->pair;
    ATT_TRY(att_grow(t->allocator, &list, &t->pair_capacity, (size_t)n + 1, sizeof *t->pair));
    t->pair = list;
    t->pair[n] = (pair){.left = left, .right = right, .place = -1};
    return ATT_OK;
}

/* Pair (left, right) is in `word`: note the place once, and that the heap must hear of it. */
static att_status note(trainer *t, int32_t index, int32_t word)
{
    pair *p = &t->pair[index];
    if (p->place < 0 || t->place[p->place].word != word) {
        ATT_REQUIRE(t->places < INT32_MAX, ATT_E_MEMORY, "more than %d places of pairs", INT32_MAX);
        void *list = t->place;
        ATT_TRY(att_grow(t->allocator, &list, &t->place_capacity, (size_t)t->places + 1, sizeof *t->place));
        t->place = list;
        t->place[t->places] = (place){word, p->place};
        p->place = (int32_t)t->places++;
    }
    if (p->changed) return ATT_OK;
    void *list = t->changed;
    ATT_TRY(att_grow(t->allocator, &list, &t->changed_capacity, (size_t)t->changes + 1, sizeof *t->changed));
    t->changed = list;
    t->changed[t->changes++] = index;
    p->changed = true;
    return ATT_OK;
}

/* Adds `sign` times the word's count to its pairs; notes those that `fresh` is part of (-1: all). */
static att_status count_word(trainer *t, int32_t word, int sign, int32_t fresh)
{
    const int32_t *s = t->words->symbol + t->words->start[word];
    for (int64_t i = 0; i + 1 < t->words->length[word]; i++) {
        int32_t index;
        if (s[i] < 0 || s[i + 1] < 0) continue;
        ATT_TRY(find_pair(t, s[i], s[i + 1], &index));
        t->pair[index].count += sign * t->words->count[word];
        if (sign > 0 && (fresh < 0 || s[i] == fresh || s[i + 1] == fresh)) ATT_TRY(note(t, index, word));
    }
    return ATT_OK;
}

static att_status announce_changes(trainer *t)
{
    for (int64_t i = 0; i < t->changes; i++) {
        pair *p = &t->pair[t->changed[i]];
        p->changed = false;
        if (p->count > 0) ATT_TRY(push(t, (entry){p->count, t->changed[i]}));
    }
    t->changes = 0;
    return ATT_OK;
}

static bool has_pair(const att_bpe_words *words, int32_t word, int32_t left, int32_t right)
{
    const int32_t *s = words->symbol + words->start[word];
    for (int64_t i = 0; i + 1 < words->length[word]; i++)
        if (s[i] == left && s[i + 1] == right) return true;
    return false;
}

static void merge_in_word(att_bpe_words *words, int32_t word, att_merge m)
{
    int32_t *s = words->symbol + words->start[word];
    int64_t kept = 0;
    for (int64_t i = 0; i < words->length[word]; i++) {
        bool here = i + 1 < words->length[word] && s[i] == m.left && s[i + 1] == m.right;
        s[kept++] = here ? m.result : s[i];
        i += here;
    }
    words->length[word] = kept;
}

static att_status apply(trainer *t, int32_t index, att_merge m)
{
    for (int32_t at = t->pair[index].place; at >= 0; at = t->place[at].older) {
        int32_t word = t->place[at].word;
        if (!has_pair(t->words, word, m.left, m.right)) continue;
        ATT_TRY(count_word(t, word, -1, -1));
        merge_in_word(t->words, word, m);
        ATT_TRY(count_word(t, word, +1, m.result));
    }
    t->pair[index].place = -1;
    return announce_changes(t);
}

/* Numbers the text of left and right together; *piece is -1 when that text is reserved. */
static att_status joint_piece(trainer *t, int32_t left, int32_t right, int32_t *piece)
{
    att_text a = att_intern_get(t->pieces, left), b = att_intern_get(t->pieces, right);
    size_t prefix = strlen(t->rules->prefix);
    t->text.bytes = 0;
    ATT_TRY(att_buffer_append(&t->text, a.data, a.bytes));
    ATT_TRY(att_buffer_append(&t->text, b.data + prefix, b.bytes - prefix));
    ATT_TRY(att_intern_add(t->pieces, t->text.data, t->text.bytes, piece));
    if (*piece < t->rules->reserved) *piece = -1;
    return ATT_OK;
}

static att_status learn(trainer *t, att_merges *merges)
{
    int64_t wanted = t->rules->wanted;
    for (int32_t w = 0; w < t->words->n; w++) ATT_TRY(count_word(t, w, +1, -1));
    ATT_TRY(announce_changes(t));
    while (t->entries > 0 && (wanted == 0 || t->pieces->count < wanted)) {
        entry best = pop(t);
        pair p = t->pair[best.pair];
        if (p.count < t->rules->min_count || p.count == 0) continue;
        if (p.count != best.count) {
            ATT_TRY(push(t, (entry){p.count, best.pair}));
            continue;
        }
        att_merge m = {.left = p.left, .right = p.right};
        int32_t known = att_pairs_find(&merges->index, m.left, m.right); /* two merges gave the same text */
        if (known >= 0) {
            m.result = merges->list[known].result;
        } else {
            ATT_TRY(joint_piece(t, m.left, m.right, &m.result));
            if (m.result < 0) continue;
            ATT_TRY(att_merges_add(merges, m.left, m.right, m.result));
        }
        ATT_TRY(apply(t, best.pair, m));
    }
    return ATT_OK;
}

att_status att_bpe_train(att_bpe_words *words, const att_bpe_rules *rules, att_intern *pieces, att_merges *merges)
{
    const att_allocator *a = pieces->text.allocator;
    trainer t = {
        .allocator = a, .rules = rules, .words = words, .pieces = pieces, .index.allocator = a, .text.allocator = a};
    att_status status = learn(&t, merges);
    release(&t);
    return status;
}
