/* Language models of a dictionary (a recipe with data.unit entries): they invent words that do not exist, with part of
 * speech, definition and example, and define words that they are given. */
#ifndef ATTEND_DICTIONARY_H
#define ATTEND_DICTIONARY_H

#include <attend/language.h>

ATT_BEGIN

/* The words of the dictionary that a model was trained on; NULL for a model of other texts. */
ATT_API const att_words *att_language_words(const att_language *language);

/* ---- entries ---- */

typedef struct att_entry {
    char *word, *definition, *example; /* the example with the word in it; "" when there is none */
    char part;                         /* of speech: 'n', 'v', 'a' (adjective), 'r' (adverb) */
    int known;                         /* the word exists */
    int64_t draws;                     /* it took, those counted that gave a known word or no whole entry */
    int64_t tokens;                    /* of the entry itself, as it was drawn */
    double log_probability;            /* of them */
} att_entry;

typedef struct att_invent_options {
    att_generate_options sampling; /* its lengths do not count: an entry ends by itself or is thrown away */
    const char *word;              /* to be defined; NULL: one is invented */
    const att_words *also;         /* further words that exist, or NULL */
    int keep_known;                /* invent words that exist too */
    int keep_short;     /* leave an entry without an example as it is; else one is drawn for it, which fails for few */
    int64_t most_draws; /* 0: 1000 */
} att_invent_options;

/* One entry; the same for the same seed and any number of threads. Free it with att_entry_free, also after a failure.
 * Fails with ATT_E_UNSUPPORTED for a model of no dictionary; with ATT_E_VALUE for options that cannot be, for a word
 * that is empty, holds a tab or an end of line or fills the context, and when most_draws draws gave nothing. */
ATT_API att_status att_invent(att_language *language, const att_invent_options *options, att_entry *out);
ATT_API void att_entry_free(att_entry *entry);

typedef struct att_invent_score {
    int64_t entries;     /* drawn, every one counted */
    int64_t well_formed; /* four fields, a word, a part of speech, a definition, the word in the example if there is
                            one, and an end within the model's context */
    int64_t absent;      /* whose word is not known, nor empty */
    int64_t both;        /* what att_invent would have returned */
} att_invent_score;

/* What the model draws by itself, without any filter: entries with the seeds of att_invent for one draw each, sampling
 * .seed + 0, 1, ... `progress`, if not NULL, is called with the number of finished entries; returning non-zero stops
 * with ATT_E_INTERRUPTED. Fails as att_invent. */
ATT_API att_status att_invent_measure(att_language *language, const att_invent_options *options, int64_t entries,
                                      att_invent_score *out, int (*progress)(void *ctx, int64_t done), void *ctx);

ATT_END

#endif
