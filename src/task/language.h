/* Inside of language models: the model with its tokeniser, and texts as token numbers cut into windows. */
#ifndef ATT_TASK_LANGUAGE_H
#define ATT_TASK_LANGUAGE_H

#include <attend/language.h>

#include "base/base.h"

struct att_language {
    const att_allocator *allocator;
    att_exec exec;
    att_recipe recipe;
    att_tokenizer *tokenizer;
    att_transformer *model;
    att_tape *tape;
    int32_t mask; /* what stands for a masked token, of a model that fills in */
};

/* From its parts; the tokeniser is owned from then on, also on failure. `recipe` is copied. */
att_status att_language_assemble(const att_recipe *recipe, att_tokenizer *tokenizer, int with_gradients,
                                 const att_exec *exec, const att_allocator *allocator, att_language **out);
bool att_language_masks(const att_language *l);

/* ---- texts ---- */

/* What a set holds: one text, or one a line. */
typedef struct att_texts {
    att_text *text;
    int64_t count;
    size_t bytes;  /* of all, an end of line each counted with data.unit lines */
    char *content; /* what they point into */
    size_t content_bytes;
} att_texts;
/* A file as the recipe's data.unit says. */
att_status att_texts_read(const att_recipe *recipe, const char *path, att_texts *out);
/* The recipe's set: "train", "valid" or "test". */
att_status att_texts_of_recipe(const att_recipe *recipe, const char *which, att_texts *out);
void att_texts_free(att_texts *t);

/* ---- windows ---- */

/* All texts one after the other, each with the end-of-text token behind it with data.unit lines. */
typedef struct att_windows {
    int32_t *ids;
    int64_t n, room;
    size_t bytes; /* of the texts */
    int64_t T;    /* tokens of a window that are predicted, the model's context or less */
} att_windows;
att_status att_windows_create(const att_language *l, const att_texts *texts, att_windows *out);
void att_windows_free(att_windows *w);
/* The loss of B windows that start at start[B]: ids start .. start+T-1 predict start+1 .. start+T, or with a model that
 * fills in, the chosen ones of start .. start+T-1; `choice` decides which. */
att_status att_windows_loss(const att_language *l, const att_windows *w, att_tape *tape, const int64_t *start,
                            int64_t B, uint64_t choice, double smoothing, double scale, uint64_t seed, att_loss *loss);
/* Sum over windows one after the other, `most` at most (0: all). */
att_status att_windows_evaluate(att_language *l, const att_windows *w, int64_t most, att_language_score *out);

#endif
