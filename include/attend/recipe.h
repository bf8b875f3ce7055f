/* A recipe: everything that decides an experiment, as one struct whose fields are the keys of a YAML file. */
#ifndef ATTEND_RECIPE_H
#define ATTEND_RECIPE_H

#include <attend/option.h>
#include <attend/seq2seq.h>
#include <attend/train.h>
#include <attend/transformer.h>

ATT_BEGIN

enum {
    ATT_TASK_TRANSLATION,
    ATT_TASK_LANGUAGE_MODEL,
    ATT_TASK_MASKED_LANGUAGE_MODEL,
    ATT_TASK_CLASSIFICATION, /* which class a text is of: column source_column the text, target_column its class */
};
enum { ATT_UNIT_TEXT, ATT_UNIT_LINES, ATT_UNIT_ENTRIES };
enum { ATT_MODEL_SEQ2SEQ, ATT_MODEL_TRANSFORMER };
/* What log p is divided by, n tokens with </s>: ((5 + n) / 6)^length_penalty (Wu et al. 2016), or n^length_penalty. */
enum { ATT_LENGTH_GNMT, ATT_LENGTH_POWER };
/* A beam search ends once it has as many hypotheses as the beam is wide, or once the best running one, were it to end
 * here, would be worse than all of those (as `generate` of `transformers` does it). */
enum { ATT_STOP_FULL, ATT_STOP_BEST };
enum { ATT_METRIC_LOSS, ATT_METRIC_BLEU, ATT_METRIC_CHRF, ATT_METRIC_EXACT, ATT_METRIC_ACCURACY };

typedef struct att_recipe {
    struct {
        char *folder;               /* of the files below */
        char *train, *valid, *test; /* a file of tab-separated pairs, or "SOURCE,TARGET": two line-aligned files */
        int64_t source_column, target_column;     /* from 1 */
        char *synthetic;                          /* instead of files: dates, copy or reverse */
        int64_t synthetic_train, synthetic_valid; /* pairs made of it */
        int64_t max_length;                       /* longer training pairs (in tokens, either side) are left out */
        int unit;                                 /* of a language model's files: ATT_UNIT_TEXT, ... */
        double valid_share; /* of a language model's training file, its end, when there is no other for validation */
    } data;
    struct {
        int tokenizer; /* att_token_unit */
        int normalise; /* att_normalise */
        int64_t vocabulary, min_count;
        int shared;               /* one vocabulary for both sides */
        double coverage, dropout; /* of BPE; dropout: BPE-dropout in training */
        int cased;                /* WordPiece keeps capitals and accents */
    } text;
    att_seq2seq_config model; /* model.kind seq2seq; a Transformer has its layers, dropout, tied and shared here too */
    att_train_options train;
    struct {
        char *folder;            /* where the run is kept */
        int64_t batch_tokens;    /* most target tokens of a batch, padding counted */
        int64_t batch_sentences; /* most pairs of a batch */
        double smoothing;        /* of labels */
        int metric;              /* chooses the best checkpoint */
        int64_t valid_sentences; /* of the validation set, translated greedily at each validation */
    } run;
    struct {
        int64_t beam, max_length;
        double length_penalty, coverage_penalty;
        int length_form, stop, renormalise; /* see att_translate_options */
    } decode;                               /* what the model file remembers as its defaults */
    int task, kind;
    att_transformer_config transformer; /* what the keys of its own say, see att_recipe_transformer */
    char *from;                         /* a model file to begin with, see att_recipe_resolve; "": none */
} att_recipe;

/* The whole configuration of a recipe's Transformer but for the vocabularies. */
ATT_API void att_recipe_transformer(const att_recipe *recipe, att_transformer_config *out);

/* A recipe with model.from goes on from that model: its weights are the first ones, its tokenisers stay, and the keys
 * text.* and model.*, but for all dropout, get its values. `resume`: those of the run that is continued (last.att in
 * train.folder). Does nothing without model.from. Fails with ATT_E_VALUE for a key that says neither what the model has
 * nor the default, and for a task that needs another shape of model; and as att_file_open. */
ATT_API att_status att_recipe_resolve(att_recipe *recipe, int resume);

/* The table behind att_recipe: for att_options_read_yaml, att_options_set, att_options_to_yaml, ... */
ATT_API const att_options *att_recipe_options(void);

ATT_END

#endif
