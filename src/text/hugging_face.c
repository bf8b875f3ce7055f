#include "text/hugging_face.h"

#include <stdlib.h>

/* ---- saying what is wrong ---- */

static att_status damaged(const char *field, const char *expected)
{
    return att_fail(ATT_E_FORMAT, "tokenizer: \"%s\" is missing or wrong, expected %s", field, expected);
}

static att_status unsupported(const char *field, const json_t *found, const char *expected)
{
    char *text = found ? json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
    att_status status = att_fail(ATT_E_UNSUPPORTED, "tokenizer: \"%s\" is %.80s, expected %s", field,
                                 text ? text : "missing", expected);
    free(text);
    return status;
}

static bool is_text(const json_t *item, const char *want)
{
    return json_is_string(item) && strcmp(json_string_value(item), want) == 0;
}

/* object[key], or `preset` when it is missing or null. */
static att_status read_switch(const json_t *object, const char *key, bool preset, bool *out)
{
    const json_t *item = json_object_get(object, key);
    *out = preset;
    if (!item || json_is_null(item)) return ATT_OK;
    if (!json_is_boolean(item)) return damaged(key, "true or false");
    *out = json_is_true(item);
    return ATT_OK;
}

/* ---- vocabulary ---- */

static att_status enter(att_text *list, size_t n, json_int_t id, const char *piece, size_t bytes)
{
    ATT_REQUIRE(id >= 0 && (uint64_t)id < n, ATT_E_FORMAT,
                "tokenizer: \"%.60s\" has the number %lld, expected 0 to %zu", piece, (long long)id, n - 1);
    ATT_REQUIRE(!list[id].data || (list[id].bytes == bytes && memcmp(list[id].data, piece, bytes) == 0), ATT_E_FORMAT,
                "tokenizer: \"%.60s\" and \"%.60s\" have the number %lld", list[id].data, piece, (long long)id);
    list[id] = (att_text){piece, bytes};
    return ATT_OK;
}

/* The pieces in the order of their numbers, which leave no gap. list (n) is zero. */
static att_status collect(const json_t *vocabulary, const json_t *added, att_text *list, size_t n)
{
    const char *key;
    json_t *value;
    size_t i;
    json_object_foreach((json_t *)vocabulary, key, value)
    {
        if (!json_is_integer(value)) return damaged("model.vocab", "numbers of pieces");
        ATT_TRY(enter(list, n, json_integer_value(value), key, strlen(key)));
    }
    json_array_foreach(added, i, value)
    {
        const json_t *content = json_object_get(value, "content");
        ATT_TRY(enter(list, n, json_integer_value(json_object_get(value, "id")), json_string_value(content),
                      json_string_length(content)));
    }
    return ATT_OK;
}

static att_status intern_all(att_tokenizer *t, const att_text *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t id;
        ATT_REQUIRE(list[i].data, ATT_E_UNSUPPORTED, "tokenizer: no piece has the number %zu, expected all of 0 to %zu",
                    i, n - 1);
        ATT_TRY(att_intern_add(&t->pieces, list[i].data, list[i].bytes, &id));
        ATT_REQUIRE((size_t)id == i, ATT_E_FORMAT, "tokenizer: piece %zu repeats piece %d", i, id);
    }
    return ATT_OK;
}

/* Counts the added tokens that are not in the vocabulary, and checks what `collect` relies on. */
static att_status count_added(const json_t *vocabulary, const json_t *added, size_t *extra)
{
    size_t i;
    const json_t *item;
    *extra = 0;
    json_array_foreach(added, i, item)
    {
        const char *content = json_string_value(json_object_get(item, "content"));
        const json_t *id = json_object_get(item, "id");
        if (!content || !*content || !json_is_integer(id))
            return damaged("added_tokens", "a content and an id for each");
        const json_t *known = json_object_get(vocabulary, content);
        if (known && json_integer_value(known) != json_integer_value(id))
            return damaged("added_tokens", "the ids of the vocabulary");
        *extra += !known;
    }
    return ATT_OK;
}

static att_status read_pieces(const json_t *vocabulary, const json_t *added, att_tokenizer *t)
{
    size_t extra;
    void *block;
    if (!json_is_object(vocabulary) || json_object_size(vocabulary) == 0)
        return damaged("model.vocab", "an object of pieces and their numbers");
    if (added && !json_is_array(added)) return damaged("added_tokens", "an array");
    ATT_TRY(count_added(vocabulary, added, &extra));
    size_t n = json_object_size(vocabulary) + extra;
    ATT_REQUIRE(n < INT32_MAX, ATT_E_FORMAT, "tokenizer: %zu pieces, expected less than 2^31", n);
    ATT_TRY(att_new_array(t->allocator, n, sizeof(att_text), &block));
    att_status status = collect(vocabulary, added, block, n);
    if (status == ATT_OK) status = intern_all(t, block, n);
    att_free(t->allocator, block, n * sizeof(att_text));
    return status;
}

/* A token that is looked for in the normalised text is normalised itself. */
static att_status add_normalised(att_tokenizer *t, const json_t *content, att_added_token token)
{
    att_buffer clean = {.allocator = t->allocator};
    att_status status =
        att_bert_normalise(t, (att_text){json_string_value(content), json_string_length(content)}, &clean);
    if (status == ATT_OK) status = att_added_add(&t->added, clean.data, clean.bytes, token);
    att_buffer_release(&clean);
    return status;
}

static att_status read_added(const json_t *added, att_tokenizer *t)
{
    size_t i;
    const json_t *item;
    json_array_foreach(added, i, item)
    {
        att_added_token token = {.id = (int32_t)json_integer_value(json_object_get(item, "id"))};
        const json_t *content = json_object_get(item, "content");
        bool single_word;
        ATT_TRY(read_switch(item, "single_word", false, &single_word));
        ATT_TRY(read_switch(item, "lstrip", false, &token.lstrip));
        ATT_TRY(read_switch(item, "rstrip", false, &token.rstrip));
        ATT_TRY(read_switch(item, "special", false, &token.special));
        ATT_TRY(read_switch(item, "normalized", !token.special, &token.normalized));
        if (single_word) return unsupported("added_tokens.single_word", json_object_get(item, "single_word"), "false");
        if (token.normalized && t->kind == ATT_TOKENIZER_WORDPIECE)
            ATT_TRY(add_normalised(t, content, token));
        else
            ATT_TRY(att_added_add(&t->added, json_string_value(content), json_string_length(content), token));
    }
    return ATT_OK;
}

/* ---- byte-level BPE ---- */

/* "left right" or ["left", "right"] */
static att_status read_merge(const json_t *item, size_t i, att_tokenizer *t, att_buffer *joint)
{
    const char *left = json_string_value(json_is_array(item) ? json_array_get(item, 0) : item);
    const char *right = json_is_array(item) ? json_string_value(json_array_get(item, 1))
                        : left              ? strchr(left, ' ')
                                            : NULL;
    ATT_REQUIRE(left && right, ATT_E_FORMAT, "tokenizer: \"model.merges\"[%zu] is no pair of pieces", i);
    size_t bytes = json_is_array(item) ? strlen(left) : (size_t)(right++ - left);
    joint->bytes = 0;
    ATT_TRY(att_buffer_append(joint, left, bytes));
    ATT_TRY(att_buffer_append(joint, right, strlen(right)));
    int32_t a = att_intern_find(&t->pieces, left, bytes), b = att_intern_find(&t->pieces, right, strlen(right));
    int32_t result = att_intern_find(&t->pieces, joint->data, joint->bytes);
    ATT_REQUIRE(a >= 0 && b >= 0 && result >= 0, ATT_E_FORMAT,
                "tokenizer: \"model.merges\"[%zu]: \"%.40s\" or one of its parts is not in the vocabulary", i,
                joint->data);
    return att_merges_add(&t->merges, a, b, result);
}

static att_status read_merges(const json_t *merges, att_tokenizer *t)
{
    att_buffer joint = {.allocator = t->allocator};
    att_status status = json_is_array(merges) ? ATT_OK : damaged("model.merges", "an array");
    for (size_t i = 0; i < json_array_size(merges) && status == ATT_OK; i++)
        status = read_merge(json_array_get(merges, i), i, t, &joint);
    att_buffer_release(&joint);
    return status;
}

static att_status check_bpe_model(const json_t *model)
{
    static const char *const affix[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *item = json_object_get(model, affix[i]);
        if (item && !json_is_null(item) && !is_text(item, "")) return unsupported(affix[i], item, "null");
    }
    const json_t *dropout = json_object_get(model, "dropout"), *fallback = json_object_get(model, "byte_fallback");
    if (dropout && !json_is_null(dropout)) return unsupported("model.dropout", dropout, "null");
    if (json_is_true(fallback)) return unsupported("model.byte_fallback", fallback, "false");
    return ATT_OK;
}

static att_status read_byte_level(const json_t *root, att_tokenizer *t)
{
    const json_t *cut = json_object_get(root, "pre_tokenizer");
    bool regex;
    if (!is_text(json_object_get(cut, "type"), "ByteLevel"))
        return unsupported("pre_tokenizer", cut, "the type \"ByteLevel\"");
    ATT_TRY(read_switch(cut, "use_regex", true, &regex));
    if (!regex) return unsupported("pre_tokenizer.use_regex", json_object_get(cut, "use_regex"), "true");
    return read_switch(cut, "add_prefix_space", true, &t->byte_bpe.prefix_space);
}

static att_status read_bpe_normalizer(const json_t *item, att_tokenizer *t)
{
    json_t *plain = att_hugging_face_normalizer(ATT_NORMALISE_PLAIN);
    bool is_plain = plain && json_equal(item, plain);
    json_decref(plain);
    if (item && !json_is_null(item) && !is_plain) return unsupported("normalizer", item, "null");
    t->normalise = is_plain ? ATT_NORMALISE_PLAIN : ATT_NORMALISE_NONE;
    return ATT_OK;
}

static att_status read_bpe(const json_t *root, const json_t *model, att_tokenizer *t)
{
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    ATT_TRY(check_bpe_model(model));
    ATT_TRY(att_byte_bpe_begin(t));
    ATT_TRY(read_byte_level(root, t));
    ATT_TRY(read_bpe_normalizer(json_object_get(root, "normalizer"), t));
    ATT_TRY(read_switch(model, "ignore_merges", false, &t->byte_bpe.ignore_merges));
    ATT_TRY(read_pieces(json_object_get(model, "vocab"), json_object_get(root, "added_tokens"), t));
    ATT_TRY(read_merges(json_object_get(model, "merges"), t));
    t->byte_bpe.unknown = unknown ? att_intern_find(&t->pieces, unknown, strlen(unknown)) : -1;
    ATT_TRY(att_byte_bpe_finish(t));
    return read_added(json_object_get(root, "added_tokens"), t);
}

/* ---- WordPiece ---- */

static att_status read_bert(const json_t *root, att_tokenizer *t)
{
    const json_t *normalizer = json_object_get(root, "normalizer"), *cut = json_object_get(root, "pre_tokenizer");
    att_wordpiece *w = &t->wordpiece;
    if (!is_text(json_object_get(normalizer, "type"), "BertNormalizer"))
        return unsupported("normalizer", normalizer, "the type \"BertNormalizer\"");
    if (!is_text(json_object_get(cut, "type"), "BertPreTokenizer"))
        return unsupported("pre_tokenizer", cut, "the type \"BertPreTokenizer\"");
    ATT_TRY(read_switch(normalizer, "clean_text", true, &w->clean));
    ATT_TRY(read_switch(normalizer, "handle_chinese_chars", true, &w->ideographs));
    ATT_TRY(read_switch(normalizer, "lowercase", true, &w->lowercase));
    return read_switch(normalizer, "strip_accents", w->lowercase, &w->strip_accents);
}

static att_status read_wordpiece(const json_t *root, const json_t *model, att_tokenizer *t)
{
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    const json_t *prefix = json_object_get(model, "continuing_subword_prefix");
    const json_t *longest = json_object_get(model, "max_input_chars_per_word");
    if (!unknown) return damaged("model.unk_token", "a piece");
    if (prefix && !json_is_string(prefix)) return damaged("model.continuing_subword_prefix", "a text");
    if (longest && (!json_is_integer(longest) || json_integer_value(longest) < 0))
        return damaged("model.max_input_chars_per_word", "a number");
    ATT_TRY(att_wordpiece_begin(t, false));
    if (longest) t->wordpiece.longest = json_integer_value(longest);
    ATT_TRY(read_bert(root, t));
    ATT_TRY(read_pieces(json_object_get(model, "vocab"), json_object_get(root, "added_tokens"), t));
    t->role[ATT_ROLE_UNK] = att_intern_find(&t->pieces, unknown, strlen(unknown));
    ATT_TRY(att_wordpiece_finish(t, prefix ? json_string_value(prefix) : "##"));
    return read_added(json_object_get(root, "added_tokens"), t);
}

att_status att_hugging_face_read(const json_t *root, const att_allocator *allocator, att_tokenizer **out)
{
    const json_t *model = json_object_get(root, "model"), *type = json_object_get(model, "type");
    *out = NULL;
    if (!json_is_object(model)) return damaged("model", "an object");
    bool merges = type ? is_text(type, "BPE") : json_object_get(model, "merges") != NULL;
    bool pieces = type ? is_text(type, "WordPiece") : !merges && json_object_get(model, "max_input_chars_per_word");
    if (!merges && !pieces) return unsupported("model.type", type, "\"BPE\" or \"WordPiece\"");
    att_tokenizer *t;
    ATT_TRY(att_tokenizer_new(merges ? ATT_TOKENIZER_BYTE_BPE : ATT_TOKENIZER_WORDPIECE, ATT_NORMALISE_NONE, allocator,
                              &t));
    att_status status = merges ? read_bpe(root, model, t) : read_wordpiece(root, model, t);
    if (status == ATT_OK) {
        att_tokenizer_guess_roles(t);
        *out = t;
    } else {
        att_tokenizer_destroy(t);
    }
    return status;
}
