/* Language models: a decoder that continues text (GPT), or an encoder that fills in what is masked (BERT), with its
 * tokeniser, from a model file or freshly trained. */
#ifndef ATTEND_LANGUAGE_H
#define ATTEND_LANGUAGE_H

#include <attend/recipe.h>
#include <attend/text.h>
#include <attend/translator.h>

ATT_BEGIN

typedef struct att_language att_language;

/* Load a model file. Fails with ATT_E_MISSING, ATT_E_IO, ATT_E_FORMAT. */
ATT_API att_status att_language_load(const char *path, const att_exec *exec, const att_allocator *allocator,
                                     att_language **out);
/* An untrained one: the recipe's model, initialised from its seed, for this tokeniser, which it owns from then on, also
 * on failure. `recipe` is copied. Fails with ATT_E_VALUE when it is no recipe of a language model. */
ATT_API att_status att_language_create(const att_recipe *recipe, att_tokenizer *tokenizer, const att_exec *exec,
                                       const att_allocator *allocator, att_language **out);
ATT_API void att_language_destroy(att_language *language); /* NULL is harmless */
ATT_API const att_recipe *att_language_recipe(const att_language *language);
ATT_API const att_transformer *att_language_model(const att_language *language);
ATT_API const att_tokenizer *att_language_tokenizer(const att_language *language);

/* ---- continuing a text ---- */

/* From the logits of the next token, without those of tokens that are no text (unknown, padding): the repetition
 * penalty, then the temperature, then only the top_k likeliest, of them the fewest that reach top_p together (Holtzman
 * et al. 2020), of them those at least min_p times as likely as the first (Nguyen et al. 2024); one of what is left is
 * drawn. */
typedef struct att_generate_options {
    int64_t max_tokens;        /* new ones at most; 0: as many as the model's context holds */
    int64_t min_tokens;        /* new ones before an end-of-text token may come */
    double temperature;        /* 0: always the likeliest */
    int64_t top_k;             /* 0: all */
    double top_p;              /* 0 or 1: all */
    double min_p;              /* 0: all */
    double repetition_penalty; /* > 1 makes tokens of the text so far less likely (Keskar et al. 2019); 0 or 1: off */
    uint64_t seed;             /* token number i is drawn from (seed, i) alone */
    int ignore_end;            /* go on after an end-of-text token */
    int slide; /* when the context is full, go on from its later half, which is read again; without it that is the end
                */
} att_generate_options;

typedef struct att_generated {
    char *text;                     /* without the prompt; free with att_text_free(NULL, text) */
    int64_t prompt_tokens;          /* read */
    int64_t tokens;                 /* made, an end-of-text token counted */
    double log_probability;         /* of them under the model, before penalty, temperature and choice */
    int ended;                      /* an end-of-text token came */
    double prompt_seconds, seconds; /* reading the prompt, and making the text */
} att_generated;

/* `piece`, if not NULL, receives the new text bit by bit, whole characters; returning non-zero stops with
 * ATT_E_INTERRUPTED. An empty prompt starts a text. Fails with ATT_E_VALUE for options that cannot be, for a prompt
 * longer than the context the model was trained on, or for more max_tokens than that leaves (without `slide`); with
 * ATT_E_UNSUPPORTED for a model that does not continue text. No allocation per token. The same text for any number of
 * threads. */
ATT_API att_status att_generate(att_language *language, const att_generate_options *options, att_text prompt,
                                att_generated *out, int (*piece)(void *ctx, att_text text), void *ctx);

/* Draw one token from logits[n], as above; `seen` (n) is non-zero for tokens of the text so far, or NULL. `room` holds
 * n numbers of scratch. *log_probability (optional) is the token's under the untouched logits. */
typedef struct att_token_chance {
    float score;
    int32_t id;
} att_token_chance;
ATT_API int32_t att_sample(const att_generate_options *options, const float *logits, const uint8_t *seen, int64_t n,
                           int64_t index, att_token_chance *room, double *log_probability);

/* ---- filling in ---- */

typedef struct att_filling {
    int64_t mask; /* which mask, from 0 */
    char *text;   /* of the token; free with att_text_free(NULL, text) */
    int32_t token;
    double probability;
} att_filling;

/* The `best` likeliest tokens for each "[MASK]" of the text; out holds masks x best. *masks receives how many masks
 * there are (at most `most` are filled). Fails with ATT_E_VALUE without a mask, or for a text longer than the model's
 * context; with ATT_E_UNSUPPORTED for a model that does not fill in. */
ATT_API att_status att_fill_masks(att_language *language, att_text text, int64_t best, int64_t most, att_filling *out,
                                  int64_t *masks);

/* ---- training and measuring ---- */

typedef struct att_language_score {
    double loss;          /* nats a token */
    double perplexity;    /* e^loss */
    double bits_per_byte; /* of the text in UTF-8; 0 for a model that fills in */
    double accuracy;      /* share of tokens that were the likeliest */
    int64_t tokens, bytes;
    double seconds;
} att_language_score;

/* On a file, or the recipe's test set (data.test, data.valid, or the end of data.train) when `path` is NULL: one window
 * of the model's context after the other, `windows` of them at most (0: all). A model that fills in predicts a fixed
 * random choice of tokens. */
ATT_API att_status att_language_evaluate(att_language *language, const char *path, int64_t windows,
                                         att_language_score *out);

/* Train what the recipe says (task language-model or masked-language-model), see att_train. */
ATT_API att_status att_train_language(const att_recipe *recipe, const att_exec *exec, int resume,
                                      const att_training_hooks *hooks);

ATT_END

#endif
