#include "task/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A norm and a linear layer of one name each. */
#define NORM(ours, theirs)                                                                                             \
    {ours ".gain", {theirs ".weight"}, false},                                                                         \
    {                                                                                                                  \
        ours ".bias", {theirs ".bias"}, false                                                                          \
    }
#define LINEAR(ours, theirs)                                                                                           \
    {ours ".kernel", {theirs ".weight"}, true},                                                                        \
    {                                                                                                                  \
        ours ".bias", {theirs ".bias"}, false                                                                          \
    }

static const att_hub_rule gpt2[] = {
    /* its kernels are (inputs, outputs) already */
    {"words", {"transformer.wte.weight"}, false},
    {"decoder.positions", {"transformer.wpe.weight"}, false},
    NORM("decoder.#.attention_norm", "transformer.h.#.ln_1"),
    {"decoder.#.attention.qkv.kernel", {"transformer.h.#.attn.c_attn.weight"}, false},
    {"decoder.#.attention.qkv.bias", {"transformer.h.#.attn.c_attn.bias"}, false},
    {"decoder.#.attention.output.kernel", {"transformer.h.#.attn.c_proj.weight"}, false},
    {"decoder.#.attention.output.bias", {"transformer.h.#.attn.c_proj.bias"}, false},
    NORM("decoder.#.feed_forward_norm", "transformer.h.#.ln_2"),
    {"decoder.#.feed_forward.up.kernel", {"transformer.h.#.mlp.c_fc.weight"}, false},
    {"decoder.#.feed_forward.up.bias", {"transformer.h.#.mlp.c_fc.bias"}, false},
    {"decoder.#.feed_forward.down.kernel", {"transformer.h.#.mlp.c_proj.weight"}, false},
    {"decoder.#.feed_forward.down.bias", {"transformer.h.#.mlp.c_proj.bias"}, false},
    NORM("decoder.norm", "transformer.ln_f"),
    {"output.kernel", {"lm_head.weight"}, true},
    {NULL},
};

#define BERT_LAYER "bert.encoder.layer.#."
#define BERT_SELF  BERT_LAYER "attention.self."
static const att_hub_rule bert[] = {
    {"words", {"bert.embeddings.word_embeddings.weight"}, false},
    {"encoder.positions", {"bert.embeddings.position_embeddings.weight"}, false},
    {"encoder.segments", {"bert.embeddings.token_type_embeddings.weight"}, false},
    NORM("encoder.embedding_norm", "bert.embeddings.LayerNorm"),
    {"encoder.#.attention.qkv.kernel",
     {BERT_SELF "query.weight", BERT_SELF "key.weight", BERT_SELF "value.weight"},
     true},
    {"encoder.#.attention.qkv.bias", {BERT_SELF "query.bias", BERT_SELF "key.bias", BERT_SELF "value.bias"}, false},
    LINEAR("encoder.#.attention.output", BERT_LAYER "attention.output.dense"),
    NORM("encoder.#.attention_norm", BERT_LAYER "attention.output.LayerNorm"),
    LINEAR("encoder.#.feed_forward.up", BERT_LAYER "intermediate.dense"),
    LINEAR("encoder.#.feed_forward.down", BERT_LAYER "output.dense"),
    NORM("encoder.#.feed_forward_norm", BERT_LAYER "output.LayerNorm"),
    LINEAR("pooler", "bert.pooler.dense"),
    LINEAR("classifier", "classifier"),
    LINEAR("head.dense", "cls.predictions.transform.dense"),
    NORM("head.norm", "cls.predictions.transform.LayerNorm"),
    {"output.bias", {"cls.predictions.bias"}, false},
    {NULL},
};

#define ATTENTION(theirs, what)                                                                                        \
    {                                                                                                                  \
        theirs "q_proj." what, theirs "k_proj." what, theirs "v_proj." what                                            \
    }
#define MARIAN_STACK(stack)                                                                                            \
    {stack ".#.attention.qkv.kernel", ATTENTION("model." stack ".layers.#.self_attn.", "weight"), true},               \
        {stack ".#.attention.qkv.bias", ATTENTION("model." stack ".layers.#.self_attn.", "bias"), false},              \
        LINEAR(stack ".#.attention.output", "model." stack ".layers.#.self_attn.out_proj"),                            \
        NORM(stack ".#.attention_norm", "model." stack ".layers.#.self_attn_layer_norm"),                              \
        LINEAR(stack ".#.feed_forward.up", "model." stack ".layers.#.fc1"),                                            \
        LINEAR(stack ".#.feed_forward.down", "model." stack ".layers.#.fc2"),                                          \
        NORM(stack ".#.feed_forward_norm", "model." stack ".layers.#.final_layer_norm")
#define CROSS "model.decoder.layers.#.encoder_attn"
static const att_hub_rule marian[] = {
    {"words", {"model.shared.weight"}, false},
    MARIAN_STACK("encoder"),
    MARIAN_STACK("decoder"),
    LINEAR("decoder.#.cross.query", CROSS ".q_proj"),
    {"decoder.#.cross.key_value.kernel", {CROSS ".k_proj.weight", CROSS ".v_proj.weight"}, true},
    {"decoder.#.cross.key_value.bias", {CROSS ".k_proj.bias", CROSS ".v_proj.bias"}, false},
    LINEAR("decoder.#.cross.output", CROSS ".out_proj"),
    NORM("decoder.#.cross_norm", CROSS "_layer_norm"),
    {"output.bias", {"final_logits_bias"}, false},
    {NULL},
};

static const att_hub_rule *const families[] = {gpt2, bert, marian};

/* Whether `name` is the pattern with a number in place of '#'. */
static bool matches(const char *pattern, const char *name, int *layer)
{
    const char *mark = strchr(pattern, '#');
    *layer = -1;
    if (!mark) return strcmp(pattern, name) == 0;
    size_t before = (size_t)(mark - pattern);
    if (strncmp(pattern, name, before) != 0 || name[before] < '0' || name[before] > '9') return false;
    char *end;
    *layer = (int)strtol(name + before, &end, 10);
    return strcmp(mark + 1, end) == 0;
}

const att_hub_rule *att_hub_find_rule(att_hub_family family, const char *ours, int *layer)
{
    for (const att_hub_rule *rule = families[family]; rule->ours; rule++)
        if (matches(rule->ours, ours, layer)) return rule;
    return NULL;
}

void att_hub_name(const char *pattern, int layer, char *out, size_t room)
{
    const char *mark = strchr(pattern, '#');
    if (mark)
        snprintf(out, room, "%.*s%d%s", (int)(mark - pattern), pattern, layer, mark + 1);
    else
        snprintf(out, room, "%s", pattern);
}

static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n >= m && strcmp(name + n - m, ending) == 0;
}

bool att_hub_may_ignore(att_hub_family family, const char *theirs)
{
    static const char *const endings[][6] = {
        {".attn.bias", ".attn.masked_bias", "lm_head.weight"},
        {"embeddings.position_ids", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias",
         "cls.seq_relationship.weight", "cls.seq_relationship.bias"},
        {"embed_positions.weight", "embed_tokens.weight", "lm_head.weight"},
    };
    for (int i = 0; i < 6 && endings[family][i]; i++)
        if (ends_with(theirs, endings[family][i])) return true;
    return false;
}
