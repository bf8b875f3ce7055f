/* A Transformer from a model file, whatever it was made for: logits, states, sentence embeddings. */
#ifndef ATTEND_MODEL_H
#define ATTEND_MODEL_H

#include <attend/exec.h>
#include <attend/recipe.h>
#include <attend/text.h>
#include <attend/transformer.h>

ATT_BEGIN

typedef struct att_model att_model;

/* Fails with ATT_E_MISSING, ATT_E_IO, ATT_E_FORMAT, and with ATT_E_UNSUPPORTED for a recurrent model. */
ATT_API att_status att_model_load(const char *path, const att_exec *exec, const att_allocator *allocator,
                                  att_model **out);
ATT_API void att_model_destroy(att_model *model); /* NULL is harmless */
ATT_API const att_recipe *att_model_recipe(const att_model *model);
ATT_API const att_transformer *att_model_transformer(const att_model *model);
/* Of the source (0) or the target (1); NULL when the file has none. */
ATT_API const att_tokenizer *att_model_tokenizer(const att_model *model, int target);

/* Scores of the next word (decoder), of the word at each position (encoder), or of the next word of `target` given
 * `ids` (encoder and decoder). ids (B,T), target (B,Tt) int32, the latter NULL but for encoder and decoder; lengths (B)
 * and segments (B,T) int32 as in att_transformer_encode, NULL: all of it, all 0. logits (B,T,V) or (B,Tt,V) float32,
 * dense. Not for two threads at once. Fails with ATT_E_SHAPE, ATT_E_VALUE (an id outside the vocabulary), ATT_E_MEMORY.
 */
ATT_API att_status att_model_logits(att_model *model, const att_view *ids, const att_view *lengths,
                                    const att_view *segments, const att_view *target, att_view *logits);

/* Where it looks: the weights of every layer and head, for ids and target as in att_model_logits. encoder
 * (encoder_layers,B,heads,T,T), decoder (decoder_layers,B,heads,T,T) or (...,Tt,Tt), cross
 * (decoder_layers,B,heads,Tt,T) float32, dense; NULL for those that are not wanted, and for those of a stack that the
 * model lacks. Fails as att_model_logits. */
ATT_API att_status att_model_attention(att_model *model, const att_view *ids, const att_view *lengths,
                                       const att_view *segments, const att_view *target, att_view *encoder,
                                       att_view *decoder, att_view *cross);

/* Write the mean of the weights of n model files of any kind (Vaswani et al. 2017, section 6.1: of a run's last
 * checkpoints); summed in double precision, in their order. Everything else is the first one's. Fails with ATT_E_VALUE
 * when they differ in task, text, model or vocabulary (saying in what), and as att_file_open and att_file_save. Nothing
 * is written then. */
ATT_API att_status att_model_average(const char *const *paths, int64_t n, const char *path,
                                     const att_allocator *allocator);

/* ---- embeddings: of models with an encoder and a tokeniser ---- */

/* What lines mean: the mean of the states of all its tokens, those that begin and end it included, divided by its
 * length (Reimers & Gurevych 2019). out (n,C) float32, dense. Tokens past the model's most are left out. The same bits
 * for any number of threads and any order of the lines. `progress`, if not NULL, is called with the number of finished
 * lines; returning non-zero stops with ATT_E_INTERRUPTED. Fails with ATT_E_UNSUPPORTED for a model without an encoder
 * or a tokeniser (saying which). */
ATT_API att_status att_model_embed(att_model *model, const att_text *lines, int64_t n, att_view *out,
                                   int (*progress)(void *ctx, int64_t done), void *ctx);

/* One line's blank-separated words, and the mean of the states of each one's tokens, divided by its length. */
typedef struct att_word_states {
    int64_t n, width;
    char **word;  /* (n) */
    float *state; /* (n,width) */
} att_word_states;
ATT_API att_status att_model_words(att_model *model, const att_text *line, att_word_states *out);
ATT_API void att_word_states_free(att_word_states *states);

ATT_END

#endif
