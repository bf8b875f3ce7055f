#include "task/hub.h"

#include <stdlib.h>
#include <string.h>

#include <attend/classify.h>
#include <attend/product.h>

/* ---- reading: the first failure stays ---- */

typedef struct reader {
    const json_t *config;
    const char *path;
    att_status status;
} reader;

static void refuse(reader *r, const char *key, const char *expected)
{
    const json_t *found = json_object_get(r->config, key);
    char *text = found ? json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (r->status == ATT_OK)
        r->status =
            att_fail(ATT_E_UNSUPPORTED, "%s: %s: %.80s, expected %s", r->path, key, text ? text : "missing", expected);
    free(text);
}

static bool is_given(const reader *r, const char *key)
{
    const json_t *item = json_object_get(r->config, key);
    return item && !json_is_null(item);
}

/* A whole number >= 1; preset 0: it must be there. */
static int64_t whole(reader *r, const char *key, int64_t preset)
{
    const json_t *item = json_object_get(r->config, key);
    if (preset > 0 && !is_given(r, key)) return preset;
    if (json_is_integer(item) && json_integer_value(item) > 0 && json_integer_value(item) <= INT32_MAX)
        return json_integer_value(item);
    refuse(r, key, "a whole number of at least 1");
    return 1;
}

static double real(reader *r, const char *key, double preset)
{
    const json_t *item = json_object_get(r->config, key);
    if (!is_given(r, key)) return preset;
    if (!json_is_number(item)) refuse(r, key, "a number");
    return json_number_value(item);
}

static double share(reader *r, const char *key, double preset)
{
    double value = real(r, key, preset);
    if (!(value >= 0 && value < 1)) refuse(r, key, "0 to less than 1");
    return value;
}

static bool flag(reader *r, const char *key, bool preset)
{
    const json_t *item = json_object_get(r->config, key);
    if (!is_given(r, key)) return preset;
    if (!json_is_boolean(item)) refuse(r, key, "true or false");
    return json_is_true(item);
}

static void must_be(reader *r, const char *key, bool want, bool preset)
{
    if (flag(r, key, preset) != want) refuse(r, key, want ? "true" : "false");
}

static void must_equal(reader *r, const char *key, int64_t want)
{
    char expected[32];
    snprintf(expected, sizeof expected, "%lld", (long long)want);
    if (is_given(r, key) && json_integer_value(json_object_get(r->config, key)) != want) refuse(r, key, expected);
}

static const struct {
    const char *name;
    int activation;
} activations[] = {{"relu", ATT_ACT_RELU}, {"tanh", ATT_ACT_TANH},          {"sigmoid", ATT_ACT_SIGMOID},
                   {"gelu", ATT_ACT_GELU}, {"gelu_new", ATT_ACT_GELU_TANH}, {"gelu_pytorch_tanh", ATT_ACT_GELU_TANH},
                   {"silu", ATT_ACT_SILU}, {"swish", ATT_ACT_SILU}};

/* A recipe counts activations from relu = 0. */
static int activation(reader *r, const char *key, const char *preset)
{
    const char *name = is_given(r, key) ? json_string_value(json_object_get(r->config, key)) : preset;
    for (size_t i = 0; name && i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].name, name) == 0) return activations[i].activation - 1;
    refuse(r, key, "relu, tanh, sigmoid, gelu, gelu_new, gelu_pytorch_tanh, silu or swish");
    return 0;
}

static void read_gpt2(reader *r, att_hub *out)
{
    att_transformer_config *t = &out->recipe.transformer;
    out->recipe.task = ATT_TASK_LANGUAGE_MODEL;
    out->vocabulary = whole(r, "vocab_size", 0);
    t->width = whole(r, "n_embd", 0);
    t->heads = whole(r, "n_head", 0);
    t->feed_forward = whole(r, "n_inner", 4 * t->width);
    t->context = whole(r, "n_positions", 1024);
    t->eps = real(r, "layer_norm_epsilon", 1e-5);
    t->activation = activation(r, "activation_function", "gelu_new");
    t->positions = ATT_POSITIONS_LEARNED;
    t->norm = ATT_NORM_PRE;
    t->attention_dropout = share(r, "attn_pdrop", 0.1);
    out->recipe.model.dropout = share(r, "resid_pdrop", 0.1);
    out->recipe.model.decoder_layers = whole(r, "n_layer", 0);
    out->recipe.model.tied = flag(r, "tie_word_embeddings", true);
    must_be(r, "scale_attn_weights", true, true);
    must_be(r, "scale_attn_by_inverse_layer_idx", false, false);
    must_be(r, "add_cross_attention", false, false);
}

/* id2label: {"0": name, ...}; two classes without it, as `transformers` leaves its own default away. */
static void read_classes(reader *r, att_hub *out)
{
    const json_t *names = json_object_get(r->config, "id2label");
    char text[4096], key[24];
    size_t at = 0;
    int64_t n = is_given(r, "id2label") ? (int64_t)json_object_size(names) : 2;
    for (int64_t i = 0; i < n && r->status == ATT_OK; i++) {
        snprintf(key, sizeof key, "%lld", (long long)i);
        const char *name = json_string_value(json_object_get(names, key));
        int wrote = is_given(r, "id2label") ? snprintf(text + at, sizeof text - at, "%s\n", name ? name : "")
                                            : snprintf(text + at, sizeof text - at, "LABEL_%s\n", key);
        if ((is_given(r, "id2label") && (!name || strchr(name, '\n'))) || (size_t)wrote >= sizeof text - at)
            refuse(r, "id2label", "names of the classes 0, 1, ..., of 4095 bytes together at most");
        else
            at += (size_t)wrote;
    }
    if (n < 2) refuse(r, "id2label", "at least two classes");
    const char *problem = json_string_value(json_object_get(r->config, "problem_type"));
    if (is_given(r, "problem_type") && (!problem || strcmp(problem, "single_label_classification") != 0))
        refuse(r, "problem_type", "\"single_label_classification\"");
    if (r->status == ATT_OK) r->status = att_copy_string(NULL, text, at, &out->classes);
    out->class_count = n;
}

static bool classifies(const reader *r)
{
    const char *name = json_string_value(json_array_get(json_object_get(r->config, "architectures"), 0));
    return name && strcmp(name, "BertForSequenceClassification") == 0;
}

static void read_bert(reader *r, att_hub *out)
{
    att_transformer_config *t = &out->recipe.transformer;
    out->recipe.task = classifies(r) ? ATT_TASK_CLASSIFICATION : ATT_TASK_MASKED_LANGUAGE_MODEL;
    if (classifies(r)) read_classes(r, out);
    out->vocabulary = whole(r, "vocab_size", 0);
    t->width = whole(r, "hidden_size", 0);
    t->heads = whole(r, "num_attention_heads", 0);
    t->feed_forward = whole(r, "intermediate_size", 0);
    t->context = whole(r, "max_position_embeddings", 512);
    t->segments = whole(r, "type_vocab_size", 2);
    t->eps = real(r, "layer_norm_eps", 1e-12);
    t->activation = activation(r, "hidden_act", "gelu");
    t->positions = ATT_POSITIONS_LEARNED;
    t->norm = ATT_NORM_POST;
    t->embedding_norm = 1;
    t->attention_dropout = share(r, "attention_probs_dropout_prob", 0.1);
    out->recipe.model.dropout = share(r, "hidden_dropout_prob", 0.1);
    out->recipe.model.encoder_layers = whole(r, "num_hidden_layers", 0);
    out->recipe.model.tied = 1;
    must_be(r, "is_decoder", false, false);
    must_be(r, "add_cross_attention", false, false);
    must_be(r, "tie_word_embeddings", true, true);
    const json_t *kind = json_object_get(r->config, "position_embedding_type");
    if (kind && (!json_is_string(kind) || strcmp(json_string_value(kind), "absolute") != 0))
        refuse(r, "position_embedding_type", "\"absolute\"");
}

static void read_marian(reader *r, att_hub *out)
{
    att_transformer_config *t = &out->recipe.transformer;
    out->recipe.task = ATT_TASK_TRANSLATION;
    out->vocabulary = whole(r, "vocab_size", 0);
    t->width = whole(r, "d_model", 0);
    t->heads = whole(r, "encoder_attention_heads", 0);
    t->feed_forward = whole(r, "encoder_ffn_dim", 0);
    t->context = whole(r, "max_position_embeddings", 1024);
    t->eps = 1e-5;
    t->activation = activation(r, "activation_function", "gelu");
    t->positions = ATT_POSITIONS_SINE_HALVES;
    t->norm = ATT_NORM_POST;
    t->scale_embedding = flag(r, "scale_embedding", false);
    t->output_bias = 1;
    t->attention_dropout = share(r, "attention_dropout", 0);
    t->inner_dropout = share(r, "activation_dropout", 0);
    out->recipe.model.dropout = share(r, "dropout", 0.1);
    out->recipe.model.encoder_layers = whole(r, "encoder_layers", 0);
    out->recipe.model.decoder_layers = whole(r, "decoder_layers", 0);
    out->recipe.model.tied = out->recipe.model.shared = out->recipe.text.shared = 1;
    must_equal(r, "decoder_attention_heads", t->heads);
    must_equal(r, "decoder_ffn_dim", t->feed_forward);
    must_equal(r, "decoder_vocab_size", out->vocabulary);
    must_be(r, "share_encoder_decoder_embeddings", true, true);
    must_be(r, "tie_word_embeddings", true, true);
    must_be(r, "normalize_before", false, false);
    must_be(r, "normalize_embedding", false, false);
    must_be(r, "add_final_layer_norm", false, false);
}

att_status att_hub_read_config(const json_t *config, const char *path, att_hub *out)
{
    static const struct {
        const char *name;
        att_hub_family family;
        void (*read)(reader *, att_hub *);
    } families[] = {
        {"gpt2", ATT_HUB_GPT2, read_gpt2}, {"bert", ATT_HUB_BERT, read_bert}, {"marian", ATT_HUB_MARIAN, read_marian}};
    reader r = {config, path, ATT_OK};
    *out = (att_hub){0};
    ATT_TRY(att_options_init(att_recipe_options(), &out->recipe));
    out->recipe.kind = ATT_MODEL_TRANSFORMER;
    const char *type = json_string_value(json_object_get(config, "model_type"));
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (!type || strcmp(type, families[i].name) != 0) continue;
        out->family = families[i].family;
        families[i].read(&r, out);
        return r.status;
    }
    refuse(&r, "model_type", "\"gpt2\", \"bert\" or \"marian\"");
    return r.status;
}

/* ---- how it translates ---- */

static int32_t token(reader *r, const char *key, int64_t preset, int64_t vocabulary)
{
    const json_t *item = json_object_get(r->config, key);
    json_int_t id = is_given(r, key) ? json_integer_value(item) : preset;
    char expected[64];
    snprintf(expected, sizeof expected, "a token of 0 to %lld", (long long)vocabulary - 1);
    if (id < 0 || id >= vocabulary || (is_given(r, key) && !json_is_integer(item))) refuse(r, key, expected);
    return (int32_t)id;
}

/* What `generate` can do and the search cannot: [key, the value that asks for nothing]. */
static void check_search(reader *r)
{
    static const struct {
        const char *key;
        double off;
    } switches[] = {{"num_beam_groups", 1},    {"no_repeat_ngram_size", 0}, {"encoder_no_repeat_ngram_size", 0},
                    {"repetition_penalty", 1}, {"min_length", 0},           {"min_new_tokens", 0},
                    {"diversity_penalty", 0},  {"temperature", 1}};
    char expected[32];
    must_be(r, "do_sample", false, false);
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        snprintf(expected, sizeof expected, "%g", switches[i].off);
        if (real(r, switches[i].key, switches[i].off) != switches[i].off) refuse(r, switches[i].key, expected);
    }
}

/* [[pad]] */
static void check_bad_words(reader *r, int32_t pad)
{
    const json_t *list = json_object_get(r->config, "bad_words_ids"), *word = json_array_get(list, 0);
    char expected[64];
    snprintf(expected, sizeof expected, "[[%d]], the token that pads", pad);
    if (is_given(r, "bad_words_ids") && (json_array_size(list) != 1 || json_array_size(word) != 1 ||
                                         json_integer_value(json_array_get(word, 0)) != pad))
        refuse(r, "bad_words_ids", expected);
}

att_status att_hub_read_generation(const json_t *settings, const char *path, att_hub *hub)
{
    reader r = {settings, path, ATT_OK};
    att_recipe *recipe = &hub->recipe;
    hub->tokens.end = token(&r, "eos_token_id", 0, hub->vocabulary);
    hub->tokens.pad = token(&r, "pad_token_id", hub->vocabulary - 1, hub->vocabulary);
    hub->tokens.start = token(&r, "decoder_start_token_id", hub->tokens.pad, hub->vocabulary);
    must_equal(&r, "forced_eos_token_id", hub->tokens.end);
    check_bad_words(&r, hub->tokens.pad);
    check_search(&r);
    recipe->decode.beam = whole(&r, "num_beams", 1);
    recipe->decode.length_penalty = real(&r, "length_penalty", 1);
    recipe->decode.length_form = ATT_LENGTH_POWER;
    recipe->decode.stop = flag(&r, "early_stopping", false) ? ATT_STOP_FULL : ATT_STOP_BEST;
    recipe->decode.renormalise = flag(&r, "renormalize_logits", false);
    if (!(recipe->decode.length_penalty >= 0)) refuse(&r, "length_penalty", "0 or more");
    return r.status;
}

void att_hub_free(att_hub *hub)
{
    att_options_free(att_recipe_options(), &hub->recipe);
    att_text_free(NULL, hub->classes);
}

/* ---- writing ---- */

static const char *activation_name(int number)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (activations[i].activation - 1 == number) return activations[i].name;
    return "relu";
}

/* What a key of the recipe is, and must be for the family. */
typedef struct demand {
    const char *key;
    int64_t is, want;
} demand;

static att_status check_demands(const char *family, const demand *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ATT_REQUIRE(list[i].is == list[i].want, ATT_E_UNSUPPORTED, "%s: %lld, expected %lld for a model of %s's kind",
                    list[i].key, (long long)list[i].is, (long long)list[i].want, family);
    return ATT_OK;
}
#define CHECK(family, ...)                                                                                             \
    check_demands(family, (const demand[]){__VA_ARGS__}, sizeof((const demand[]){__VA_ARGS__}) / sizeof(demand))

static json_t *write_gpt2(const att_recipe *r, int64_t vocabulary)
{
    const att_transformer_config *t = &r->transformer;
    return json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:s, s:f, s:f, s:f, s:b}", "architectures",
                     "GPT2LMHeadModel", "model_type", "gpt2", "vocab_size", vocabulary, "n_embd", t->width, "n_head",
                     t->heads, "n_layer", r->model.decoder_layers, "n_positions", t->context, "n_inner",
                     t->feed_forward ? t->feed_forward : 4 * t->width, "layer_norm_epsilon", t->eps,
                     "activation_function", activation_name(t->activation), "attn_pdrop", t->attention_dropout,
                     "resid_pdrop", r->model.dropout, "embd_pdrop", r->model.dropout, "tie_word_embeddings",
                     r->model.tied);
}

static json_t *write_bert(const att_recipe *r, int64_t vocabulary)
{
    const att_transformer_config *t = &r->transformer;
    const char *architecture = r->task == ATT_TASK_CLASSIFICATION ? "BertForSequenceClassification"
                               : t->head                          ? "BertForMaskedLM"
                                                                  : "BertModel";
    return json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:s, s:f, s:f}", "architectures",
                     architecture, "model_type", "bert", "vocab_size", vocabulary, "hidden_size", t->width,
                     "num_attention_heads", t->heads, "num_hidden_layers", r->model.encoder_layers,
                     "max_position_embeddings", t->context, "intermediate_size",
                     t->feed_forward ? t->feed_forward : 4 * t->width, "type_vocab_size", t->segments, "layer_norm_eps",
                     t->eps, "hidden_act", activation_name(t->activation), "attention_probs_dropout_prob",
                     t->attention_dropout, "hidden_dropout_prob", r->model.dropout);
}

static json_t *write_marian(const att_recipe *r, int64_t vocabulary)
{
    const att_transformer_config *t = &r->transformer;
    int64_t inner = t->feed_forward ? t->feed_forward : 4 * t->width;
    return json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:b, s:f, s:f, s:f}",
                     "architectures", "MarianMTModel", "model_type", "marian", "vocab_size", vocabulary, "d_model",
                     t->width, "encoder_attention_heads", t->heads, "decoder_attention_heads", t->heads,
                     "encoder_layers", r->model.encoder_layers, "decoder_layers", r->model.decoder_layers,
                     "encoder_ffn_dim", inner, "decoder_ffn_dim", inner, "max_position_embeddings", t->context,
                     "activation_function", activation_name(t->activation), "scale_embedding", t->scale_embedding,
                     "static_position_embeddings", 1, "dropout", r->model.dropout, "attention_dropout",
                     t->attention_dropout, "activation_dropout", t->inner_dropout);
}

att_status att_hub_write_generation(const att_recipe *r, att_hub_tokens tokens, json_t **out)
{
    *out = json_pack("{s:i, s:i, s:i, s:i, s:[[i]], s:I, s:f, s:b, s:b}", "pad_token_id", (int)tokens.pad,
                     "eos_token_id", (int)tokens.end, "forced_eos_token_id", (int)tokens.end, "decoder_start_token_id",
                     (int)tokens.start, "bad_words_ids", (int)tokens.pad, "num_beams", r->decode.beam, "length_penalty",
                     r->decode.length_penalty, "early_stopping", r->decode.stop == ATT_STOP_FULL, "renormalize_logits",
                     r->decode.renormalise);
    ATT_REQUIRE(*out, ATT_E_MEMORY, "out of memory: generation_config.json");
    return ATT_OK;
}

att_status att_hub_write_config(const att_recipe *r, int64_t vocabulary, att_hub_family *family, json_t **out)
{
    const att_transformer_config *t = &r->transformer;
    const demand kv_heads = {"model.kv_heads", t->kv_heads ? t->kv_heads : t->heads, t->heads};
    const demand bias = {"model.without_bias", t->without_bias, 0}, final = {"model.final_norm", t->final_norm, 0};
    const demand tied = {"model.tied", r->model.tied || r->task == ATT_TASK_CLASSIFICATION, 1};
    *out = NULL;
    ATT_REQUIRE(r->kind == ATT_MODEL_TRANSFORMER, ATT_E_UNSUPPORTED,
                "model.kind: \"seq2seq\", expected \"transformer\": Hugging Face's have no recurrent models");
    if (r->task == ATT_TASK_LANGUAGE_MODEL) {
        ATT_TRY(CHECK("GPT-2", {"model.positions", t->positions, ATT_POSITIONS_LEARNED},
                      {"model.norm", t->norm, ATT_NORM_PRE}, {"model.embedding_norm", t->embedding_norm, 0},
                      {"model.scale_embedding", t->scale_embedding, 0}, {"model.output_bias", t->output_bias, 0},
                      kv_heads, bias));
        *family = ATT_HUB_GPT2;
        *out = write_gpt2(r, vocabulary);
    } else if (r->task == ATT_TASK_MASKED_LANGUAGE_MODEL || r->task == ATT_TASK_CLASSIFICATION) {
        ATT_TRY(CHECK("BERT", {"model.positions", t->positions, ATT_POSITIONS_LEARNED},
                      {"model.norm", t->norm, ATT_NORM_POST}, {"model.embedding_norm", t->embedding_norm, 1},
                      {"model.scale_embedding", t->scale_embedding, 0}, {"model.output_bias", t->output_bias, t->head},
                      {"model.segments", t->segments ? t->segments : -1, t->segments}, kv_heads, bias, final, tied));
        *family = ATT_HUB_BERT;
        *out = write_bert(r, vocabulary);
    } else {
        ATT_TRY(CHECK("Marian", {"model.positions", t->positions, ATT_POSITIONS_SINE_HALVES},
                      {"model.norm", t->norm, ATT_NORM_POST}, {"model.embedding_norm", t->embedding_norm, 0},
                      {"model.shared", r->model.shared, 1}, {"model.output_bias", t->output_bias, 1}, kv_heads, bias,
                      final, tied));
        *family = ATT_HUB_MARIAN;
        *out = write_marian(r, vocabulary);
    }
    ATT_REQUIRE(*out, ATT_E_MEMORY, "out of memory: config.json");
    return ATT_OK;
}

att_status att_hub_write_classes(const att_model *model, json_t *config)
{
    json_t *names = json_object(), *numbers = json_object();
    char key[24];
    for (int64_t i = 0; i < att_model_classes(model); i++) {
        snprintf(key, sizeof key, "%lld", (long long)i);
        json_object_set_new(names, key, json_string(att_model_class(model, i)));
        json_object_set_new(numbers, att_model_class(model, i), json_integer((json_int_t)i));
    }
    int failed = json_object_set_new(config, "id2label", names) + json_object_set_new(config, "label2id", numbers);
    ATT_REQUIRE(failed == 0, ATT_E_MEMORY, "out of memory: config.json");
    return ATT_OK;
}
