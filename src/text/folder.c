/* The files of a tokeniser in a folder of Hugging Face's. */
#include <stdlib.h>

#include "file/builder.h"
#include "text/file.h"
#include "text/hugging_face.h"
#include <attend/file.h>
#include <attend/option.h>

typedef struct folder {
    const char *path;
    const char *sentencepiece; /* the file's name: source.spm or target.spm */
    const att_allocator *allocator;
} folder;

static bool has(const folder *f, const char *name, char path[4096])
{
    int n = snprintf(path, 4096, "%s/%s", f->path, name);
    return n > 0 && n < 4096 && att_file_exists(path);
}

/* Puts the file's name in front of the message. */
static att_status in_file(att_status status, const char *path)
{
    char reason[512];
    if (status != ATT_E_FORMAT && status != ATT_E_UNSUPPORTED) return status;
    snprintf(reason, sizeof reason, "%s", att_last_error());
    return att_fail(status, "%s: %s", path, reason);
}

static att_status load_json(const folder *f, const char *path, size_t flags, json_t **out)
{
    att_buffer text = {.allocator = f->allocator};
    json_error_t error;
    *out = NULL;
    att_status status = att_file_read(path, &text);
    if (status == ATT_OK) *out = json_loadb(text.bytes ? text.data : "", text.bytes, flags, &error);
    if (status == ATT_OK && !*out) status = att_fail(ATT_E_FORMAT, "%s:%d: not JSON: %s", path, error.line, error.text);
    att_buffer_release(&text);
    return status;
}

/* The file as a string that ends at its first NUL or its end. */
static att_status load_text(const char *path, att_buffer *text)
{
    ATT_TRY(att_file_read(path, text));
    return att_buffer_append(text, "", 0);
}

/* The file's object, or NULL where there is no such file; all its numbers are real: a tokeniser without a bound has a
 * model_max_length of 10^30 and more there. */
static att_status load_optional(const folder *f, const char *name, json_t **out)
{
    char path[4096];
    *out = NULL;
    return has(f, name, path) ? load_json(f, path, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, out) : ATT_OK;
}

/* ---- a vocabulary that stands alone ---- */

static att_status add_line(json_t *pieces, const char *line, size_t bytes, const char *path)
{
    while (bytes > 0 && strchr(" \t\r", line[bytes - 1])) bytes--;
    json_t *number = json_integer((json_int_t)json_object_size(pieces));
    char *key = NULL;
    att_status status = att_copy_string(NULL, line, bytes, &key);
    if (status == ATT_OK && json_object_get(pieces, key))
        status = att_fail(ATT_E_FORMAT, "%s:%zu: \"%.60s\" comes twice", path, json_object_size(pieces) + 1, key);
    if (status == ATT_OK && json_object_set(pieces, key, number) != 0)
        status = att_fail(ATT_E_FORMAT, "%s:%zu: not UTF-8", path, json_object_size(pieces) + 1);
    json_decref(number);
    att_text_free(NULL, key);
    return status;
}

/* vocab.txt: a piece a line, numbered from 0. */
static att_status read_lines(const folder *f, const char *path, json_t *pieces)
{
    att_buffer text = {.allocator = f->allocator};
    att_status status = load_text(path, &text);
    if (status == ATT_OK && strlen(text.data) < text.bytes)
        status = att_fail(ATT_E_FORMAT, "%s: a NUL, expected none", path);
    for (size_t i = 0, n; i < text.bytes && status == ATT_OK; i += n + 1) {
        n = strcspn(text.data + i, "\n");
        status = add_line(pieces, text.data + i, n, path);
    }
    att_buffer_release(&text);
    return status;
}

static att_status from_vocabulary(const folder *f, const json_t *vocabulary, const char *merges, const json_t *config,
                                  att_tokenizer **out)
{
    json_t *root = att_hugging_face_assemble(&(att_vocabulary_files){vocabulary, merges, config});
    if (!root) return ATT_E_MEMORY;
    att_status status = att_hugging_face_read(root, f->allocator, out);
    json_decref(root);
    return status;
}

static att_status read_gpt2(const folder *f, const char *path, const json_t *config, att_tokenizer **out)
{
    char merges[4096];
    att_buffer text = {.allocator = f->allocator};
    json_t *vocabulary = NULL;
    ATT_REQUIRE(has(f, "merges.txt", merges), ATT_E_MISSING, "%s: no such file, expected beside vocab.json", merges);
    att_status status = load_json(f, path, JSON_REJECT_DUPLICATES, &vocabulary);
    if (status == ATT_OK) status = load_text(merges, &text);
    if (status == ATT_OK) status = in_file(from_vocabulary(f, vocabulary, text.data, config, out), path);
    json_decref(vocabulary);
    att_buffer_release(&text);
    return status;
}

static att_status read_bert(const folder *f, const char *path, const json_t *config, att_tokenizer **out)
{
    json_t *vocabulary = json_object();
    att_status status =
        vocabulary ? read_lines(f, path, vocabulary) : att_fail(ATT_E_MEMORY, "out of memory: %s", path);
    if (status == ATT_OK) status = in_file(from_vocabulary(f, vocabulary, NULL, config, out), path);
    json_decref(vocabulary);
    return status;
}

/* ---- SentencePiece ---- */

/* The pieces in the order of the numbers that vocab.json gives them. */
static att_status number_pieces(const json_t *vocabulary, att_tokenizer *t)
{
    size_t n = json_object_size(vocabulary);
    const char *key;
    json_t *value;
    void *block;
    ATT_REQUIRE(n > 0, ATT_E_FORMAT, "tokenizer: an empty vocabulary");
    ATT_TRY(att_new_array(t->allocator, n, sizeof(char *), &block));
    const char **list = block;
    att_status status = ATT_OK;
    json_object_foreach((json_t *)vocabulary, key, value)
    {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id >= 0 && (size_t)id < n && *key) list[id] = key;
    }
    for (size_t i = 0; i < n && status == ATT_OK; i++) {
        int32_t id;
        status = list[i] ? att_intern_add(&t->pieces, list[i], strlen(list[i]), &id)
                         : att_fail(ATT_E_FORMAT, "tokenizer: no piece has the number %zu, expected all of 0 to %zu", i,
                                    n - 1);
    }
    att_free(t->allocator, block, n * sizeof(char *));
    return status;
}

/* vocabulary NULL: the model's own numbers. */
static att_status read_sentencepiece(const folder *f, const char *path, const json_t *vocabulary, att_tokenizer **out)
{
    att_buffer bytes = {.allocator = f->allocator};
    att_tokenizer *t;
    ATT_TRY(att_tokenizer_new(ATT_TOKENIZER_SENTENCEPIECE, ATT_NORMALISE_NONE, f->allocator, &t));
    att_status status = att_file_read(path, &bytes);
    if (status == ATT_OK && vocabulary) status = number_pieces(vocabulary, t);
    if (status == ATT_OK) status = att_tokenizer_take_sentencepiece(t, bytes.data ? bytes.data : "", bytes.bytes);
    att_buffer_release(&bytes);
    if (status == ATT_OK)
        *out = t;
    else
        att_tokenizer_destroy(t);
    return status;
}

static att_status read_marian(const folder *f, const char *path, att_tokenizer **out)
{
    char vocabulary[4096];
    json_t *pieces = NULL;
    ATT_REQUIRE(has(f, "vocab.json", vocabulary), ATT_E_MISSING, "%s: no such file, expected beside %s", vocabulary,
                f->sentencepiece);
    ATT_TRY(load_json(f, vocabulary, JSON_REJECT_DUPLICATES, &pieces));
    att_status status = in_file(read_sentencepiece(f, path, pieces, out), path);
    json_decref(pieces);
    return status;
}

/* ---- the folder ---- */

/* A special token is written as its text, or as an object with its text. */
static const char *name_of(const json_t *config, const char *key)
{
    const json_t *item = json_object_get(config, key);
    return json_string_value(json_is_object(item) ? json_object_get(item, "content") : item);
}

static void take_roles(att_tokenizer *t, const json_t *config)
{
    static const char *const key[ATT_TOKEN_ROLES][2] = {
        {"pad_token"}, {"unk_token"}, {"bos_token", "cls_token"}, {"eos_token", "sep_token"}, {"mask_token"}};
    for (int role = 0; role < ATT_TOKEN_ROLES; role++)
        for (int i = 0; i < 2 && key[role][i]; i++) {
            const char *name = name_of(config, key[role][i]);
            int32_t id = name ? att_tokenizer_id(t, name) : -1;
            if (id >= 0) t->role[role] = id;
        }
}

static att_status read_parts(const folder *f, const json_t *config, att_tokenizer **out)
{
    char path[4096], inside[4096];
    json_t *root;
    if (has(f, "tokenizer.json", path)) {
        ATT_TRY(load_json(f, path, JSON_REJECT_DUPLICATES, &root));
        att_status status = in_file(att_hugging_face_read(root, f->allocator, out), path);
        json_decref(root);
        return status;
    }
    if (has(f, f->sentencepiece, path)) return read_marian(f, path, out);
    ATT_REQUIRE(!has(f, "source.spm", inside), ATT_E_MISSING, "%s: no such file, expected beside source.spm", path);
    if (has(f, "vocab.json", path)) return read_gpt2(f, path, config, out);
    if (has(f, "vocab.txt", path)) return read_bert(f, path, config, out);
    return att_fail(ATT_E_MISSING, "%s: no tokenizer.json, source.spm, vocab.json or vocab.txt there", f->path);
}

static att_status read_folder(const folder *f, att_tokenizer **out)
{
    json_t *config = NULL, *map = NULL;
    att_status status = load_optional(f, "tokenizer_config.json", &config);
    if (status == ATT_OK) status = load_optional(f, "special_tokens_map.json", &map);
    if (status == ATT_OK) status = read_parts(f, config, out);
    if (status == ATT_OK) {
        take_roles(*out, config);
        take_roles(*out, map);
    }
    json_decref(config);
    json_decref(map);
    return status;
}

static att_status read_file(const folder *f, att_tokenizer **out)
{
    att_buffer text = {.allocator = f->allocator};
    att_status status = att_file_read(f->path, &text);
    bool model = text.bytes > 1 && text.data[0] == '\n' && text.data[1] > '\r' && text.data[1] < ' '; /* field 1 */
    if (status == ATT_OK)
        status = in_file(model ? read_sentencepiece(f, f->path, NULL, out)
                               : att_tokenizer_from_json(text.data, text.bytes, f->allocator, out),
                         f->path);
    att_buffer_release(&text);
    return status;
}

static att_status read_side(const char *path, const char *sentencepiece, const att_allocator *allocator,
                            att_tokenizer **out)
{
    folder f = {path, sentencepiece, allocator};
    char inside[4096];
    *out = NULL;
    ATT_REQUIRE(att_file_exists(path), ATT_E_MISSING, "%s: no such file or folder", path);
    return has(&f, ".", inside) ? read_folder(&f, out) : read_file(&f, out);
}

att_status att_tokenizer_read(const char *path, const att_allocator *allocator, att_tokenizer **out)
{
    return read_side(path, "source.spm", allocator, out);
}

att_status att_tokenizer_read_target(const char *path, const att_allocator *allocator, att_tokenizer **out)
{
    return read_side(path, "target.spm", allocator, out);
}

/* ---- writing ---- */

static att_status write_json(const folder *f, const char *name, const json_t *root)
{
    char path[4096];
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    ATT_REQUIRE(text, ATT_E_MEMORY, "out of memory: %s", name);
    (void)has(f, name, path);
    att_status status = att_file_write_text(path, text, strlen(text));
    free(text);
    return status;
}

/* A line for each piece (vocab.txt) or each merge (merges.txt). */
static att_status write_lines(const folder *f, const char *name, const att_tokenizer *t, bool merges)
{
    char path[4096], *text;
    att_builder b = {0};
    int64_t n = merges ? t->merges.index.count : t->pieces.count;
    if (merges) att_builder_format(&b, "#version: 0.2\n");
    for (int64_t i = 0; i < n; i++) {
        att_builder_format(&b, "%s", att_intern_get(&t->pieces, merges ? t->merges.list[i].left : i).data);
        if (merges) att_builder_format(&b, " %s", att_intern_get(&t->pieces, t->merges.list[i].right).data);
        att_builder_append(&b, "\n", 1);
    }
    ATT_TRY(att_builder_take(&b, &text));
    (void)has(f, name, path);
    att_status status = att_file_write_text(path, text, strlen(text));
    att_string_free(text);
    return status;
}

/* source.spm or target.spm, and vocab.json */
static att_status write_marian(const folder *f, const att_tokenizer *t)
{
    char path[4096];
    json_t *vocabulary = att_hugging_face_vocabulary(t);
    (void)has(f, f->sentencepiece, path);
    att_status status = att_file_write_text(path, t->sentencepiece.file.data, t->sentencepiece.file.bytes);
    if (status == ATT_OK) status = write_json(f, "vocab.json", vocabulary);
    json_decref(vocabulary);
    return status;
}

static att_status write_side(const att_tokenizer *t, const char *path, const char *sentencepiece)
{
    folder f = {path, sentencepiece, t->allocator};
    ATT_REQUIRE(
        !att_has_fixed_specials(t->kind), ATT_E_UNSUPPORTED,
        "tokenizer is \"%s\", expected \"byte-bpe\", \"wordpiece\" or \"sentencepiece\" for files of Hugging Face's",
        att_token_unit_name(t->kind));
    ATT_REQUIRE(strlen(path) < 4000, ATT_E_VALUE, "folder: the path is too long");
    if (t->kind == ATT_TOKENIZER_SENTENCEPIECE) return write_marian(&f, t);
    json_t *root = att_hugging_face_write(t);
    att_status status = write_json(&f, "tokenizer.json", root);
    if (status == ATT_OK && t->kind == ATT_TOKENIZER_BYTE_BPE) {
        status = write_json(&f, "vocab.json", json_object_get(json_object_get(root, "model"), "vocab"));
        if (status == ATT_OK) status = write_lines(&f, "merges.txt", t, true);
    } else if (status == ATT_OK) {
        status = write_lines(&f, "vocab.txt", t, false);
    }
    json_decref(root);
    return status;
}

att_status att_tokenizer_write(const att_tokenizer *t, const char *path)
{
    return write_side(t, path, "source.spm");
}

att_status att_tokenizer_write_target(const att_tokenizer *t, const char *path)
{
    return write_side(t, path, "target.spm");
}
