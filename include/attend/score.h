/* How good a translation is, beside one or more human ones: BLEU (Papineni, Roukos, Ward, Zhu 2002) and chrF (Popovic
 * 2015, 2017), with the numbers, the printed line and the signature of sacreBLEU (Post 2018: "A call for clarity in
 * reporting BLEU scores") to the last printed digit.
 *
 *     att_bleu bleu;
 *     char signature[ATT_SCORE_TEXT], line[ATT_SCORE_TEXT];
 *     att_bleu_corpus(NULL, NULL, &bleu, hypotheses, &references, n, 1);
 *     att_bleu_signature(NULL, bleu.nrefs, signature, sizeof signature);
 *     att_bleu_format(&bleu, signature, line, sizeof line);
 *
 * Segments are NUL-terminated UTF-8, as people would read them: detokenised, cased.
 * references[r][i] is reference r of hypotheses[i]; NULL says that this segment has none there, but each segment needs
 * at least one. A NULL descriptor means sacreBLEU's defaults; a NULL allocator the heap. Thread-safe; the time is
 * linear in the length of the text.
 * Scores fail with ATT_E_VALUE (an impossible option, no segment, no reference), ATT_E_FORMAT (invalid UTF-8; the
 * message names segment and byte) and ATT_E_MEMORY; lines and signatures with ATT_E_WORKSPACE when they do not fit. */
#ifndef ATTEND_SCORE_H
#define ATTEND_SCORE_H

#include <attend/export.h>
#include <attend/memory.h>
#include <attend/status.h>

ATT_BEGIN

#define ATT_SACREBLEU_VERSION "2.6.0" /* the version whose numbers and signature these are */
#define ATT_SCORE_TEXT        256     /* bytes: more than any line or signature needs */
#define ATT_BLEU_ORDER        4
#define ATT_CHRF_MAX_ORDER    16 /* of characters, and again of words */

typedef enum att_bleu_tokenizer {
    ATT_BLEU_13A = 0,  /* mteval-v13a: ASCII punctuation apart; the WMT default */
    ATT_BLEU_INTL = 1, /* mteval-v14: Unicode punctuation and symbols apart     */
    ATT_BLEU_CHAR = 2, /* every character is a token                            */
    ATT_BLEU_NONE = 3  /* white space alone                                     */
} att_bleu_tokenizer;

/* What stands for the precision of an order without matches (Chen and Cherry 2014). */
typedef enum att_bleu_smooth {
    ATT_BLEU_SMOOTH_EXP = 0,   /* 1/2, 1/4, 1/8 ... of one match                          */
    ATT_BLEU_SMOOTH_FLOOR = 1, /* smooth_value matches                                    */
    ATT_BLEU_SMOOTH_ADD_K = 2, /* smooth_value added to matches and totals of orders >= 2 */
    ATT_BLEU_SMOOTH_NONE = 3   /* nothing: the score is 0                                 */
} att_bleu_smooth;

typedef struct att_bleu_desc {
    att_bleu_tokenizer tokenizer;
    att_bleu_smooth smooth;
    double smooth_value; /* 0: FLOOR 0.1, ADD_K 1 */
    int lowercase;
    int effective_order; /* average only over orders that the hypotheses are long enough for: for single sentences */
} att_bleu_desc;

typedef struct att_bleu {
    double score;                     /* 0 .. 100 */
    double precision[ATT_BLEU_ORDER]; /* of 1- to 4-grams, 0 .. 100, smoothed */
    double brevity_penalty;
    int64_t hyp_len, ref_len; /* tokens; of each segment the reference closest in length, of two such the shorter */
    int64_t correct[ATT_BLEU_ORDER], total[ATT_BLEU_ORDER]; /* n-grams matched and produced, before smoothing */
    int64_t nrefs;                                          /* -1: not the same for all segments */
} att_bleu;

ATT_API att_status att_bleu_corpus(const att_bleu_desc *desc, const att_allocator *allocator, att_bleu *out,
                                   const char *const *hypotheses, const char *const *const *references, int64_t n,
                                   int64_t nrefs);
/* One segment; set effective_order, or short ones score (nearly) 0. references[r] */
ATT_API att_status att_bleu_sentence(const att_bleu_desc *desc, const att_allocator *allocator, att_bleu *out,
                                     const char *hypothesis, const char *const *references, int64_t nrefs);
/* "BLEU = 32.40 66.1/40.2/26.3/17.5 (BP = 0.981 ratio = 0.981 hyp_len = 7301 ref_len = 7441)", or with a signature
 * "BLEU|nrefs:1|... = 32.40 ..." */
ATT_API att_status att_bleu_format(const att_bleu *bleu, const char *signature, char *text, size_t bytes);
/* "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"; nrefs -1 gives "nrefs:var" */
ATT_API att_status att_bleu_signature(const att_bleu_desc *desc, int64_t nrefs, char *text, size_t bytes);

typedef struct att_chrf_desc {
    int char_order; /* longest character n-gram; 0: 6 */
    int word_order; /* longest word n-gram; 0: none (chrF), 2: chrF++ */
    int beta;       /* weight of recall against precision; 0: 2 */
    int lowercase;
    int whitespace;    /* white space counts as characters */
    int eps_smoothing; /* average F over all orders, as chrF++.py does, not over those both sides are long enough for */
} att_chrf_desc;

typedef struct att_chrf {
    double score; /* 0 .. 100 */
    int char_order, word_order, beta;
    int64_t nrefs; /* -1: not the same for all segments */
} att_chrf;

/* With several references each segment takes the one that gives it the highest F, of equal ones the first. */
ATT_API att_status att_chrf_corpus(const att_chrf_desc *desc, const att_allocator *allocator, att_chrf *out,
                                   const char *const *hypotheses, const char *const *const *references, int64_t n,
                                   int64_t nrefs);
ATT_API att_status att_chrf_sentence(const att_chrf_desc *desc, const att_allocator *allocator, att_chrf *out,
                                     const char *hypothesis, const char *const *references, int64_t nrefs);
/* "chrF2 = 54.21", "chrF2++ = 52.10"; with a signature "chrF2|nrefs:1|... = 54.21" */
ATT_API att_status att_chrf_format(const att_chrf *chrf, const char *signature, char *text, size_t bytes);
/* "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0" */
ATT_API att_status att_chrf_signature(const att_chrf_desc *desc, int64_t nrefs, char *text, size_t bytes);

ATT_END

#endif
