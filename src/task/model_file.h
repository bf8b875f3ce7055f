/* Reading model files. */
#ifndef ATT_MODEL_FILE_H
#define ATT_MODEL_FILE_H

#include <attend/recipe.h>
#include <attend/text.h>

#include "file/safetensors.h"

#define ATT_TOKENIZER        "attend.tokenizer" /* keys of the metadata */
#define ATT_SOURCE_TOKENIZER "attend.source_tokenizer"
#define ATT_TARGET_TOKENIZER "attend.target_tokenizer"
#define ATT_VOCABULARY       "attend.vocabulary" /* a number: words of the model, where the tokeniser does not say */
#define ATT_MOST_TOKENS      "attend.max_tokens" /* a number: tokens of a text that count */
#define ATT_CLASSES          "attend.classes"    /* of a classifier: their names, a line each */

/* "translation", ...: as recipes and the metadata "attend.task" have it. */
const char *att_task_name(int task);
/* The metadata of `key`; ATT_E_FORMAT when there is none. */
att_status att_model_metadata(const att_file *file, const char *path, const char *key, const char **out);
/* The recipe inside; free it with att_options_free, also after a failure. */
att_status att_model_read_recipe(const att_file *file, const char *path, att_recipe *out);
/* The tokenisers inside, NULL where there is none; *target is *source unless a translator has two. Both are the
 * caller's, also after a failure. */
att_status att_model_read_tokenizers(const att_file *file, const att_recipe *recipe, const att_allocator *allocator,
                                     att_tokenizer **source, att_tokenizer **target);
/* How many words the model has: a converted one says so, others have as many as their tokeniser, and one more to mask
 * with where that has none. 0: neither is there. */
int64_t att_model_vocabulary(const att_file *file, const att_recipe *recipe, const att_tokenizer *tokenizer);
/* Copy the tensor "model.NAME" into a parameter; ATT_E_MISSING when there is none. */
att_status att_model_weight(const att_file *file, const char *path, const att_parameter *p);
/* Give all parameters, allocated as ATT_PARAMS_LATER, the tensors "model.NAME" of a file opened with their allocator.
 */
att_status att_model_weights(att_file *file, const char *path, att_params *params);

#endif
