/* WORD, CHAR, BPE:
 * {"format":"attend.tokenizer","version":1,"kind":"bpe","normalise":"plain","pieces":[...],"merges":[l,r,l,r,...]}
 * pieces: all tokens but the special ones, in order of their numbers. merges (BPE): numbers of left and right; the
 * piece they make is the one with their joint text.
 * BYTE_BPE, WORDPIECE:
 * {"format":"attend.tokenizer","version":1,"kind":"byte-bpe","roles":[pad,unk,bos,eos,mask],"model":{tokenizer.json of
 * `tokenizers`}}, with -1 for a role that no token has.
 * SENTENCEPIECE: the same, "model" being its file in base64, and "pieces" where a vocabulary of its own numbers them.
 */
#include <stdlib.h>

#include "text/base64.h"
#include "text/hugging_face.h"
#include "text/utf8.h"

#define FORMAT  "attend.tokenizer"
#define VERSION 1

/* ---- writing ---- */

static att_status no_memory(void)
{
    return att_fail(ATT_E_MEMORY, "out of memory: JSON of a tokenizer");
}

static json_t *pieces_array(const att_tokenizer *t, int64_t first)
{
    json_t *list = json_array();
    for (int64_t i = first; list && i < t->pieces.count; i++) {
        att_text s = att_intern_get(&t->pieces, i);
        if (json_array_append_new(list, json_stringn(s.data, s.bytes)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *merges_array(const att_tokenizer *t)
{
    json_t *list = json_array();
    for (int64_t i = 0; list && i < t->merges.index.count; i++) {
        const att_merge *m = &t->merges.list[i];
        if (json_array_append_new(list, json_integer(m->left)) || json_array_append_new(list, json_integer(m->right))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *own_form(const att_tokenizer *t)
{
    return json_pack("{s:s, s:i, s:s, s:s, s:o, s:o}", "format", FORMAT, "version", VERSION, "kind",
                     att_token_unit_name(t->kind), "normalise", att_normalise_name(t->normalise), "pieces",
                     pieces_array(t, ATT_TOKEN_SPECIALS), "merges", merges_array(t));
}

/* The model's bytes. */
static json_t *model_file(const att_tokenizer *t)
{
    att_buffer text = {.allocator = t->allocator};
    json_t *out = NULL;
    if (att_base64_write(t->sentencepiece.file.data, t->sentencepiece.file.bytes, &text) == ATT_OK)
        out = json_stringn(text.data, text.bytes);
    att_buffer_release(&text);
    return out;
}

static json_t *other_form(const att_tokenizer *t)
{
    const int32_t *r = t->role;
    return json_pack("{s:s, s:i, s:s, s:[i, i, i, i, i], s:o}", "format", FORMAT, "version", VERSION, "kind",
                     att_token_unit_name(t->kind), "roles", (int)r[0], (int)r[1], (int)r[2], (int)r[3], (int)r[4],
                     "model", t->kind == ATT_TOKENIZER_SENTENCEPIECE ? model_file(t) : att_hugging_face_write(t));
}

att_status att_tokenizer_to_json(const att_tokenizer *t, char **json)
{
    *json = NULL;
    json_t *root = att_has_fixed_specials(t->kind) ? own_form(t) : other_form(t);
    if (root && t->numbered && json_object_set_new(root, "pieces", pieces_array(t, 0)) != 0) {
        json_decref(root);
        root = NULL;
    }
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    att_status status = text ? att_copy_string(t->allocator, text, strlen(text), json) : no_memory();
    free(text);
    json_decref(root);
    return status;
}

/* ---- reading ---- */

static att_status wrong(const char *field, const char *expected)
{
    return att_fail(ATT_E_FORMAT, "tokenizer: \"%s\" is missing or wrong, expected %s", field, expected);
}

static att_status read_head(const json_t *root, att_token_unit *kind)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    const char *unit = json_string_value(json_object_get(root, "kind"));
    const json_t *version = json_object_get(root, "version");
    if (!format || strcmp(format, FORMAT) != 0) return wrong("format", "\"" FORMAT "\"");
    if (!json_is_integer(version) || json_integer_value(version) != VERSION) return wrong("version", "1");
    if (!unit || att_token_unit_parse(unit, kind) != ATT_OK)
        return wrong("kind", "\"bpe\", \"word\", \"char\", \"byte-bpe\", \"wordpiece\" or \"sentencepiece\"");
    return ATT_OK;
}

/* What encoding could never give must not be in the vocabulary either. */
static bool is_possible(att_token_unit kind, const char *s, size_t bytes)
{
    if (bytes == 0 || memchr(s, '\0', bytes)) return false;
    if (kind == ATT_TOKENIZER_CHAR) return att_utf8_length(s[0]) == bytes;
    return memchr(s, ' ', bytes) == NULL;
}

static att_status read_pieces(const json_t *root, att_tokenizer *t)
{
    const json_t *list = json_object_get(root, "pieces");
    if (!json_is_array(list)) return wrong("pieces", "an array of strings");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        int32_t id;
        ATT_REQUIRE(json_is_string(item), ATT_E_FORMAT, "tokenizer: \"pieces\"[%zu] is not a string", i);
        const char *s = json_string_value(item);
        size_t bytes = json_string_length(item);
        ATT_REQUIRE(is_possible(t->kind, s, bytes), ATT_E_FORMAT, "tokenizer: \"pieces\"[%zu] is no %s token", i,
                    att_token_unit_name(t->kind));
        ATT_TRY(att_intern_add(&t->pieces, s, bytes, &id));
        ATT_REQUIRE(id == ATT_TOKEN_SPECIALS + (int64_t)i, ATT_E_FORMAT,
                    "tokenizer: \"pieces\"[%zu] repeats the token %d", i, id);
    }
    return ATT_OK;
}

static att_status read_token(const json_t *list, size_t i, const att_tokenizer *t, int32_t *id)
{
    const json_t *item = json_array_get(list, i);
    json_int_t value = json_is_integer(item) ? json_integer_value(item) : -1;
    ATT_REQUIRE(value >= ATT_TOKEN_SPECIALS && value < t->pieces.count, ATT_E_FORMAT,
                "tokenizer: \"merges\"[%zu] is no token, expected %d to %lld", i, ATT_TOKEN_SPECIALS,
                (long long)t->pieces.count - 1);
    *id = (int32_t)value;
    return ATT_OK;
}

static att_status read_merge(const json_t *list, size_t i, att_tokenizer *t, att_buffer *text)
{
    int32_t left = 0, right = 0;
    ATT_TRY(read_token(list, i, t, &left));
    ATT_TRY(read_token(list, i + 1, t, &right));
    att_text a = att_intern_get(&t->pieces, left), b = att_intern_get(&t->pieces, right);
    text->bytes = 0;
    ATT_TRY(att_buffer_append(text, a.data, a.bytes));
    ATT_TRY(att_buffer_append(text, b.data, b.bytes));
    int32_t result = att_token_of(t, text->data, text->bytes);
    ATT_REQUIRE(result != ATT_TOKEN_UNK, ATT_E_FORMAT,
                "tokenizer: \"merges\"[%zu] and the next make a piece that is not in \"pieces\"", i);
    return att_merges_add(&t->merges, left, right, result);
}

static att_status read_merges(const json_t *root, att_tokenizer *t)
{
    const json_t *list = json_object_get(root, "merges");
    if (!json_is_array(list) || json_array_size(list) % 2 != 0) return wrong("merges", "an array of pairs of numbers");
    if (t->kind != ATT_TOKENIZER_BPE)
        return json_array_size(list) == 0 ? ATT_OK : wrong("merges", "an empty array for this kind");
    t->blank = att_intern_find(&t->pieces, ATT_BLANK, ATT_BLANK_BYTES);
    if (t->blank < 0) return wrong("pieces", "U+2581 among them");
    att_buffer text = {.allocator = t->allocator};
    att_status status = ATT_OK;
    for (size_t i = 0; i < json_array_size(list) && status == ATT_OK; i += 2) status = read_merge(list, i, t, &text);
    att_buffer_release(&text);
    return status;
}

static att_status read_own(const json_t *root, att_token_unit kind, const att_allocator *allocator, att_tokenizer **out)
{
    const char *normalise = json_string_value(json_object_get(root, "normalise"));
    att_normalise how;
    if (!normalise || att_normalise_parse(normalise, &how) != ATT_OK)
        return wrong("normalise", "\"plain\", \"none\" or \"tutorial\"");
    ATT_TRY(att_tokenizer_new(kind, how, allocator, out));
    ATT_TRY(read_pieces(root, *out));
    return read_merges(root, *out);
}

static att_status read_sentencepiece(const json_t *root, const att_allocator *allocator, att_tokenizer **out)
{
    const json_t *model = json_object_get(root, "model"), *pieces = json_object_get(root, "pieces");
    att_buffer bytes = {.allocator = allocator};
    if (!json_is_string(model)) return wrong("model", "a file in base64");
    if (pieces && json_array_size(pieces) == 0) return wrong("pieces", "an array of strings");
    ATT_TRY(att_tokenizer_new(ATT_TOKENIZER_SENTENCEPIECE, ATT_NORMALISE_NONE, allocator, out));
    for (size_t i = 0; i < json_array_size(pieces); i++) {
        const json_t *item = json_array_get(pieces, i);
        int32_t id;
        if (!json_is_string(item) || json_string_length(item) == 0) return wrong("pieces", "an array of strings");
        ATT_TRY(att_intern_add(&(*out)->pieces, json_string_value(item), json_string_length(item), &id));
        ATT_REQUIRE((size_t)id == i, ATT_E_FORMAT, "tokenizer: \"pieces\"[%zu] repeats the token %d", i, id);
    }
    att_status status = att_base64_read(json_string_value(model), json_string_length(model), &bytes);
    if (status == ATT_OK) status = att_tokenizer_take_sentencepiece(*out, bytes.data ? bytes.data : "", bytes.bytes);
    att_buffer_release(&bytes);
    return status;
}

static att_status read_other(const json_t *root, att_token_unit kind, const att_allocator *allocator,
                             att_tokenizer **out)
{
    const json_t *roles = json_object_get(root, "roles");
    ATT_TRY(kind == ATT_TOKENIZER_SENTENCEPIECE
                ? read_sentencepiece(root, allocator, out)
                : att_hugging_face_read(json_object_get(root, "model"), allocator, out));
    if ((*out)->kind != kind) return wrong("kind", "that of the model");
    if (json_array_size(roles) != ATT_TOKEN_ROLES) return wrong("roles", "5 numbers");
    for (size_t i = 0; i < ATT_TOKEN_ROLES; i++) {
        const json_t *item = json_array_get(roles, i);
        json_int_t id = json_is_integer(item) ? json_integer_value(item) : -2;
        if (id < -1 || id >= (*out)->pieces.count) return wrong("roles", "numbers of pieces, or -1");
        (*out)->role[i] = (int32_t)id;
    }
    return kind != ATT_TOKENIZER_BYTE_BPE && (*out)->role[ATT_ROLE_UNK] < 0 ? wrong("roles", "an unknown token")
                                                                            : ATT_OK;
}

att_status att_tokenizer_from_json(const char *json, size_t bytes, const att_allocator *allocator, att_tokenizer **out)
{
    *out = NULL;
    json_error_t error;
    json_t *root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &error);
    ATT_REQUIRE(root, ATT_E_FORMAT, "tokenizer: not JSON: %s at byte %d", error.text, error.position);
    att_token_unit kind;
    att_status status;
    if (!json_object_get(root, "format") && json_object_get(root, "model"))
        status = att_hugging_face_read(root, allocator, out);
    else if ((status = read_head(root, &kind)) == ATT_OK)
        status = att_has_fixed_specials(kind) ? read_own(root, kind, allocator, out)
                                              : read_other(root, kind, allocator, out);
    json_decref(root);
    if (status != ATT_OK) {
        att_tokenizer_destroy(*out);
        *out = NULL;
    }
    return status;
}
