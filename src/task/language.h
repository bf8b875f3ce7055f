/* Inside of language models: the model with its tokeniser, and texts as token numbers cut into windows. */
#ifndef ATT_TASK_LANGUAGE_H
#define ATT_TASK_LANGUAGE_H

#include <attend/dictionary.h>

#include "base/base.h"

struct att_language {
    const att_allocator *allocator;
    att_exec exec;
    att_recipe recipe;
    att_tokenizer *tokenizer;
    att_transformer *model;
    att_tape *tape;
    bool framed;      /* a converted model: it knows texts between the tokens that begin and end one */
    int32_t mask;     /* what stands for a masked token, of a model that fills in */
    att_words *words; /* that exist, of a model of a dictionary; else NULL */
};

/* From its parts; the tokeniser is owned from then on, also on failure. `recipe` is copied. `vocabulary`: the model's
 * words, at least the tokeniser's (some models are padded); 0: those. */
att_status att_language_assemble(const att_recipe *recipe, att_tokenizer *tokenizer, int64_t vocabulary,
                                 int with_gradients, const att_exec *exec, const att_allocator *allocator,
                                 att_language **out);
bool att_language_masks(const att_language *l);
/* Each text is a line that an end-of-text token ends. */
bool att_language_has_lines(const att_language *l);

/* ---- texts ---- */

/* What a set holds: one text, or one a line, or one an entry of a dictionary. */
typedef struct att_texts {
    att_text *text;
    int64_t count;
    size_t bytes;  /* of all, an end of line each counted with data.unit lines and entries */
    char *content; /* what they point into */
    size_t content_bytes;
    att_words *words; /* of all rows of a dictionary */
} att_texts;
/* A file as the recipe's data.unit says. */
att_status att_texts_read(const att_recipe *recipe, const char *path, att_texts *out);
/* The recipe's set: "train", "valid" or "test". */
att_status att_texts_of_recipe(const att_recipe *recipe, const char *which, att_texts *out);
void att_texts_free(att_texts *t);

/* ---- windows ---- */

/* All texts one after the other, each with the end-of-text token behind it with data.unit lines. Windows of entries
 * begin with one: then line[i] is the place before line i, which holds an end-of-text token. */
typedef struct att_windows {
    int32_t *ids;
    int64_t n, room;
    size_t bytes;         /* of the texts */
    int64_t T;            /* tokens of a window that are predicted, the model's context or less */
    int64_t *line, lines; /* NULL: windows begin anywhere */
} att_windows;
att_status att_windows_create(const att_language *l, const att_texts *texts, att_windows *out);
void att_windows_free(att_windows *w);
/* Where a window may begin, drawn at random. */
int64_t att_windows_draw(const att_windows *w, att_random *random);
/* The loss of B windows that start at start[B]: ids start .. start+T-1 predict start+1 .. start+T, or with a model that
 * fills in, the chosen ones of start .. start+T-1; `choice` decides which. Of a model that continues text only the
 * first count[b] <= T of a window are predicted (NULL: all). */
att_status att_windows_loss(const att_language *l, const att_windows *w, att_tape *tape, const int64_t *start,
                            const int64_t *count, int64_t B, uint64_t choice, double smoothing, double scale,
                            uint64_t seed, att_loss *loss);
/* Sum over windows one after the other, `most` at most (0: all). */
att_status att_windows_evaluate(att_language *l, const att_windows *w, int64_t most, att_language_score *out);

#endif
