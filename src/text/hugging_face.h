/* The tokenizer.json of PyPI's `tokenizers`, for the kinds BYTE_BPE and WORDPIECE. */
#ifndef ATT_TEXT_HUGGING_FACE_H
#define ATT_TEXT_HUGGING_FACE_H

#include <jansson.h>

#include "text/tokenizer.h"

/* Fails with ATT_E_FORMAT (damaged) or ATT_E_UNSUPPORTED (something that this library does not do). */
att_status att_hugging_face_read(const json_t *root, const att_allocator *allocator, att_tokenizer **out);

/* What else a folder's files say about a vocabulary that stands alone. */
typedef struct att_vocabulary_files {
    const json_t *vocabulary; /* {piece: number, ...} */
    const char *merges;       /* of merges.txt, NUL-terminated; NULL: WordPiece */
    const json_t *config;     /* of tokenizer_config.json, or NULL */
} att_vocabulary_files;

/* vocab.json and merges.txt, or vocab.txt, as the tokenizer.json they stand for: a new reference, or NULL after
 * failing. */
json_t *att_hugging_face_assemble(const att_vocabulary_files *files);

/* A new reference, or NULL when out of memory. */
json_t *att_hugging_face_write(const att_tokenizer *t);

/* {piece: number, ...}: a new reference, or NULL when out of memory. */
json_t *att_hugging_face_vocabulary(const att_tokenizer *t);

/* The normaliser that stands for `how`: a new reference. */
json_t *att_hugging_face_normalizer(att_normalise how);

#endif
