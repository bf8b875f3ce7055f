/* SentencePiece's BPE: of all neighbours whose joint text is a piece, those of the best score become one, the leftmost
 * among equals. The text decides and not the pair, as no merges are stored. */
#include <stdlib.h>

#include "text/bpe.h"
#include "text/sentencepiece.h"
#include "text/utf8.h"

typedef struct scored {
    float score;
    int32_t piece;
} scored;

static int by_score(const void *a, const void *b)
{
    float x = ((const scored *)a)->score, y = ((const scored *)b)->score;
    return (x < y) - (x > y);
}

att_status att_sentencepiece_rank(att_sentencepiece *m)
{
    const att_allocator *a = m->file.allocator;
    size_t n = (size_t)m->piece.count;
    void *ranks, *block;
    ATT_TRY(att_new_array(a, n, sizeof *m->rank, &ranks));
    m->rank = ranks;
    ATT_TRY(att_new_array(a, n, sizeof(scored), &block));
    scored *order = block;
    for (size_t i = 0; i < n; i++) order[i] = (scored){m->score[i], (int32_t)i};
    qsort(order, n, sizeof *order, by_score);
    int32_t rank = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && order[i].score < order[i - 1].score) rank = (int32_t)i;
        m->rank[order[i].piece] = rank;
    }
    att_free(a, block, n * sizeof(scored));
    return ATT_OK;
}

typedef struct merged {
    const att_sentencepiece *m;
    const char *text;
} merged;

static int32_t piece_at(const merged *t, int32_t start, int32_t end)
{
    int32_t id = att_intern_find(&t->m->piece, t->text + start, (size_t)(end - start));
    return id >= 0 && t->m->normal[id] ? id : -1;
}

static int32_t rule(const void *ctx, const att_bpe_symbol *left, const att_bpe_symbol *right, int32_t *piece)
{
    const merged *t = ctx;
    if ((size_t)(right->end - left->start) > t->m->most) return -1;
    *piece = piece_at(t, left->start, right->end);
    return *piece < 0 ? -1 : t->m->rank[*piece];
}

att_status att_sentencepiece_merge(const att_sentencepiece *m, att_text text, att_cut *cuts, int64_t *n)
{
    const att_allocator *a = m->file.allocator;
    const merged t = {m, text.data};
    void *symbols, *heap;
    int32_t count = 0;
    *n = 0;
    if (text.bytes == 0) return ATT_OK;
    ATT_TRY(att_new_array(a, text.bytes, sizeof(att_bpe_symbol), &symbols));
    att_status status = att_new_array(a, 3 * text.bytes, sizeof(att_bpe_candidate), &heap);
    if (status == ATT_OK) {
        att_bpe_scratch s = {symbols, heap, NULL};
        for (size_t i = 0, one; i < text.bytes; i += one) {
            one = att_utf8_length(text.data[i]);
            int32_t start = (int32_t)i, end = (int32_t)(i + one);
            s.symbol[count++] = (att_bpe_symbol){.piece = piece_at(&t, start, end), .start = start, .end = end};
        }
        att_bpe_merge(rule, &t, &s, count, 0, NULL);
        for (int32_t i = 0; i >= 0; i = s.symbol[i].next) {
            const att_bpe_symbol *p = &s.symbol[i];
            *n = att_cut_add(cuts, *n, (att_cut){(size_t)p->start, (size_t)(p->end - p->start), p->piece});
        }
        att_free(a, heap, 3 * text.bytes * sizeof(att_bpe_candidate));
    }
    att_free(a, symbols, text.bytes * sizeof(att_bpe_symbol));
    return status;
}
