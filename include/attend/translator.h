/* Translation: a sequence-to-sequence model with its tokenisers, from a model file or freshly trained. */
#ifndef ATTEND_TRANSLATOR_H
#define ATTEND_TRANSLATOR_H

#include <attend/recipe.h>
#include <attend/text.h>

ATT_BEGIN

typedef struct att_translator att_translator;

/* Load a model file (best.att, last.att, ...). Fails with ATT_E_MISSING, ATT_E_IO, ATT_E_FORMAT. */
ATT_API att_status att_translator_load(const char *path, const att_exec *exec, const att_allocator *allocator,
                                       att_translator **out);
/* An untrained one: the recipe's model, initialised from its seed, for these tokenisers (the same one twice when words
 * are shared), which it owns from then on, also on failure. `recipe` is copied. */
ATT_API att_status att_translator_create(const att_recipe *recipe, att_tokenizer *source, att_tokenizer *target,
                                         const att_exec *exec, const att_allocator *allocator, att_translator **out);
ATT_API void att_translator_destroy(att_translator *translator);
ATT_API const att_recipe *att_translator_recipe(const att_translator *translator);
/* The model: one of the two kinds, NULL for the other. */
ATT_API const att_seq2seq *att_translator_model(const att_translator *translator);
ATT_API const att_transformer *att_translator_transformer(const att_translator *translator);
ATT_API att_params *att_translator_params(const att_translator *translator); /* of either kind */
ATT_API int att_translator_attends(const att_translator *translator);        /* whether there are weights to see */
ATT_API const att_tokenizer *att_translator_tokenizer(const att_translator *translator, int target);

typedef struct att_translate_options {
    int64_t beam;       /* hypotheses kept at each step; 1: greedy */
    int64_t n_best;     /* translations returned for each sentence, <= beam */
    int64_t max_length; /* tokens; 0: twice the source and 10 */
    int64_t batch;      /* sentences at once; 0: 64 */
    double
        length_penalty; /* alpha: hypotheses are compared by log p / ((5 + n) / 6)^alpha    (Wu et al. 2016, eq. 14) */
    double coverage_penalty; /* beta: + beta sum_i log min(sum_t a[t,i], 1) */
    int length_form;         /* ATT_LENGTH_POWER: by log p / n^alpha instead */
    int stop;                /* of the search: ATT_STOP_FULL or ATT_STOP_BEST */
    int renormalise;         /* tokens that may not come (<pad>, <s>; all but </s> at max_length) have no probability */
    int replace_unknown;     /* <unk> becomes the source word it attends to most (Luong et al. 2015) */
    int with_attention;      /* fill in source, target and weights */
} att_translate_options;
/* What the model file remembers. */
ATT_API void att_translate_defaults(const att_translator *translator, att_translate_options *options);

typedef struct att_translation {
    char *text;
    double score;            /* by which the n-best are ordered */
    double log_probability;  /* of all tokens, </s> included */
    int64_t rows, cols;      /* with attention: target tokens (</s> included) and source tokens (</s> included) */
    char **source, **target; /* the tokens as strings */
    float *weights;          /* rows x cols; NULL for a model without attention. A Transformer's: the mean over the
                                heads of its last decoder layer but one */
    int64_t encoder_layers, decoder_layers, heads;
    float *encoder; /* a Transformer's weights: (encoder_layers, heads, cols, cols), */
    float *decoder; /* (decoder_layers, heads, rows, rows), of the words before each: column 0 is <s>, */
    float *cross;   /* (decoder_layers, heads, rows, cols); NULL for a recurrent model */
} att_translation;

/* Translate lines[n]; results[i * n_best + r] is translation r of line i. Free with att_translations_free. The same
 * bits for any number of threads, any batch and any order of the lines. Where the search finds fewer than n_best, the
 * rest are "" with score and log_probability -infinity. `progress`, if not NULL, is called with the
 * number of finished lines; returning non-zero stops with ATT_E_INTERRUPTED. */
ATT_API att_status att_translate(att_translator *translator, const att_translate_options *options,
                                 const att_text *lines, int64_t n, att_translation *results,
                                 int (*progress)(void *ctx, int64_t done), void *ctx);
ATT_API void att_translations_free(att_translation *results, int64_t n);

/* ---- training and measuring ---- */

/* A parallel set as the recipe names it: which = "train", "valid" or "test". */
typedef struct att_pairs {
    const att_text *source, *target;
    int64_t count;
    void *owner;
} att_pairs;
ATT_API att_status att_recipe_pairs(const att_recipe *recipe, const char *which, att_pairs *out);
ATT_API void att_pairs_free(att_pairs *pairs);

/* Score of a model on pairs. References of equal sources are NOT merged: single reference. */
typedef struct att_evaluation {
    double loss;                 /* nats a target token, without smoothing */
    double perplexity, accuracy; /* accuracy: share of target tokens predicted, with the right ones before them */
    double bleu, chrf, exact;    /* exact: share of lines equal to the reference, in per cent */
    char bleu_line[512], chrf_line[512]; /* with sacreBLEU's signatures */
    int64_t sentences, tokens;
    double seconds;    /* of translating */
    char **hypothesis; /* [sentences], when asked for */
} att_evaluation;
/* options NULL: loss and accuracy only. */
ATT_API att_status att_evaluate(att_translator *translator, const att_translate_options *options,
                                const att_pairs *pairs, int keep_hypotheses, att_evaluation *out,
                                int (*progress)(void *ctx, int64_t done), void *ctx);
ATT_API void att_evaluation_free(att_evaluation *evaluation);

/* Train what the recipe says, see att_train. */
typedef struct att_training_hooks {
    int (*progress)(void *ctx, const att_train_progress *progress); /* non-zero: stop and save */
    void (*validated)(void *ctx, int64_t step, const att_validation *validation, int best);
    void (*note)(void *ctx, const char *text); /* what is going on before the first step */
    void *ctx;
} att_training_hooks;
ATT_API att_status att_train_translator(const att_recipe *recipe, const att_exec *exec, int resume,
                                        const att_training_hooks *hooks);
/* The same for a recipe of any task: a translator, a language model, a classifier. */
ATT_API att_status att_recipe_train(const att_recipe *recipe, const att_exec *exec, int resume,
                                    const att_training_hooks *hooks);

ATT_END

#endif
