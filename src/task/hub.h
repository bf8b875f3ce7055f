/* Models of Hugging Face's: what a folder's config.json says as a recipe, and which of its tensors are which of ours.
 */
#ifndef ATT_HUB_H
#define ATT_HUB_H

#include <jansson.h>

#include <attend/model.h>
#include <attend/recipe.h>
#include <attend/transformer.h>

#include "base/base.h"

typedef enum att_hub_family { ATT_HUB_GPT2, ATT_HUB_BERT, ATT_HUB_MARIAN } att_hub_family;

/* Of a model that translates: </s> ends a text, `start` begins a translation. */
typedef struct att_hub_tokens {
    int32_t pad, start, end;
} att_hub_tokens;

typedef struct att_hub {
    att_hub_family family;
    att_recipe recipe;  /* the model's keys; the rest as a recipe presets it */
    int64_t vocabulary; /* tokens */
    att_hub_tokens tokens;
    char *classes; /* of a model that classifies: names, a line each; else NULL */
    int64_t class_count;
} att_hub;

/* Fails with ATT_E_UNSUPPORTED or ATT_E_FORMAT: "PATH: KEY: VALUE, expected ...". Free with att_hub_free, also after a
 * failure. */
att_status att_hub_read_config(const json_t *config, const char *path, att_hub *out);
/* How a Marian model translates, from generation_config.json over config.json: `settings` is the one updated with the
 * other. Into the recipe's `decode` and the tokens. Fails as above. */
att_status att_hub_read_generation(const json_t *settings, const char *path, att_hub *hub);
void att_hub_free(att_hub *hub);

/* The config.json of a model with this recipe and so many tokens: a new reference. Fails with ATT_E_UNSUPPORTED, naming
 * the key of the recipe that no family has. *family is what it is. */
att_status att_hub_write_config(const att_recipe *recipe, int64_t vocabulary, att_hub_family *family, json_t **out);

/* Where one of our parameters comes from: '#' in a name stands for the number of the layer. Several tensors stand side
 * by side. */
typedef struct att_hub_rule {
    const char *ours, *theirs[3];
    bool turned; /* theirs is (outputs, inputs) */
} att_hub_rule;

/* The generation_config.json of a model that translates with the recipe's `decode`: a new reference. */
att_status att_hub_write_generation(const att_recipe *recipe, att_hub_tokens tokens, json_t **out);

/* Name the classes of a model that classifies in its config.json. */
att_status att_hub_write_classes(const att_model *model, json_t *config);

/* The rule for a parameter, and the number that '#' stands for (-1: none); NULL: there is none. */
const att_hub_rule *att_hub_find_rule(att_hub_family family, const char *ours, int *layer);
/* The name with the number in place of '#'. */
void att_hub_name(const char *pattern, int layer, char *out, size_t room);
/* A tensor that may be there without being read: computed from others, or of a training objective. */
bool att_hub_may_ignore(att_hub_family family, const char *theirs);

#endif
