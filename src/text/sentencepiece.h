/* Models of SentencePiece (Kudo & Richardson 2018), of the types unigram (Kudo 2018) and BPE: the file, its
 * normalisation, its segmentation. */
#ifndef ATT_TEXT_SENTENCEPIECE_H
#define ATT_TEXT_SENTENCEPIECE_H

#include "text/table.h"

/* The normaliser's map: a double array (Darts) of what is replaced, and the replacements, each ending in NUL. */
typedef struct att_charsmap {
    const unsigned char *unit; /* (units) little-endian, 4 bytes each */
    size_t units;
    const char *text;
    size_t bytes;
} att_charsmap;

typedef struct att_sentencepiece {
    att_buffer file;  /* the model as it was read */
    att_intern piece; /* piece i is string i */
    float *score;     /* (pieces) */
    bool *normal;     /* (pieces) whether text can become it */
    size_t scores, kinds;
    att_charsmap map;
    bool dummy_prefix, remove_extra, escape;
    bool bpe;        /* the type, else unigram */
    bool has_unused; /* some piece is never given */
    int32_t *rank;   /* BPE: (pieces) how early one is made: the number of scores above its own */
    float least;     /* of the scores of normal pieces */
    size_t most;     /* bytes of the longest one */
    int32_t unknown; /* the piece that stands for it */
} att_sentencepiece;

void att_sentencepiece_init(att_sentencepiece *m, const att_allocator *allocator);
void att_sentencepiece_release(att_sentencepiece *m);
/* Reads the bytes of a .model or .spm file, which it copies. Fails with ATT_E_FORMAT (damaged), ATT_E_UNSUPPORTED. */
att_status att_sentencepiece_read(att_sentencepiece *m, const char *bytes, size_t n);
/* Appends the normalised text. */
att_status att_sentencepiece_normalise(const att_sentencepiece *m, att_text text, att_buffer *out);

typedef struct att_cut {
    size_t start, bytes;
    int32_t piece; /* -1: unknown; neighbours are one */
} att_cut;

/* The segmentation of a normalised text: cuts (*n), new, room for *room of them. Unigram: the likeliest one. */
att_status att_sentencepiece_cut(const att_sentencepiece *m, att_text text, att_cut **cuts, size_t *room, int64_t *n);

/* The same for BPE, into room for a cut a byte. */
att_status att_sentencepiece_merge(const att_sentencepiece *m, att_text text, att_cut *cuts, int64_t *n);
/* BPE: fills m->rank, once all pieces are there. */
att_status att_sentencepiece_rank(att_sentencepiece *m);

/* Adds a cut behind n others; an unknown piece becomes one with an unknown one before it. */
static inline int64_t att_cut_add(att_cut *cuts, int64_t n, att_cut next)
{
    if (n == 0 || next.piece >= 0 || cuts[n - 1].piece >= 0) {
        cuts[n] = next;
        return n + 1;
    }
    cuts[n - 1].bytes += next.bytes;
    return n;
}

#endif
