/* Inside of the translator. */
#ifndef ATT_TRANSLATOR_H
#define ATT_TRANSLATOR_H

#include <attend/translator.h>

#include "base/base.h"
#include "task/pair_model.h"

struct att_translator {
    const att_allocator *allocator;
    att_exec exec;
    att_recipe recipe;
    att_tokenizer *source, *target; /* the same one when shared */
    att_pair_model model;
    att_tape *encoder, *decoder;
    att_transformer_cache *cache; /* of the searches, one after the other; NULL before the first */
};

/* From its parts, which it owns from then on, also on failure. `recipe` is copied. */
att_status att_translator_assemble(const att_recipe *recipe, att_tokenizer *source, att_tokenizer *target,
                                   att_pair_model model, const att_exec *exec, const att_allocator *allocator,
                                   att_translator **out);
/* With a fresh model of the recipe, see att_translator_create; vocabulary: words of each side, 0: the tokeniser's. */
att_status att_translator_build(const att_recipe *recipe, att_tokenizer *const tokenizer[2],
                                const int64_t vocabulary[2], int with_gradients, const att_exec *exec,
                                const att_allocator *allocator, att_translator **out);

/* One hypothesis of a search: tokens without <s> and </s>. */
typedef struct att_hypothesis {
    int32_t *tokens;
    int64_t n;
    double score, log_probability;
    float *weights; /* (n+1) x Ts, or NULL; the last row is </s>'s */
} att_hypothesis;

/* A batch of encoded sources for the search: ids (Ts,B), padded; lengths (B). */
typedef struct att_search_batch {
    int32_t *ids, *lengths;
    int64_t B, Ts;
} att_search_batch;

/* Beam search; out[b * n_best + r], fewer than n_best where the search found fewer (tokens NULL). */
att_status att_beam_search(att_translator *t, const att_translate_options *o, const att_search_batch *batch,
                           att_hypothesis *out);
/* With a Transformer: the weights of all its layers for this translation of source[n], into `out`, whose rows and cols
 * are known. */
att_status att_translation_look(att_translator *t, const int32_t *source, int64_t n, const att_hypothesis *h,
                                att_translation *out);
void att_hypothesis_free(const att_allocator *a, att_hypothesis *h, int64_t Ts);

#endif
