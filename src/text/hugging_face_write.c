#include "text/hugging_face.h"

#include <stdlib.h>

/* In what follows a NULL among the parts of json_pack makes the whole NULL: out of memory is seen at the end. */

json_t *att_hugging_face_normalizer(att_normalise how)
{
    if (how != ATT_NORMALISE_PLAIN) return json_null();
    return json_pack("{s:s, s:[{s:s}, {s:s, s:{s:s}, s:s}, {s:s, s:b, s:b}]}", "type", "Sequence", "normalizers",
                     "type", "NFKC", "type", "Replace", "pattern", "Regex", "\\s+", "content", " ", "type", "Strip",
                     "strip_left", 1, "strip_right", 1);
}

static const char *piece(const att_tokenizer *t, int64_t id)
{
    return att_intern_get(&t->pieces, id).data;
}

json_t *att_hugging_face_vocabulary(const att_tokenizer *t)
{
    json_t *object = json_object();
    for (int64_t i = 0; object && i < t->pieces.count; i++)
        if (json_object_set_new(object, piece(t, i), json_integer(i)) != 0) {
            json_decref(object);
            return NULL;
        }
    return object;
}

static json_t *merges(const att_tokenizer *t)
{
    json_t *list = json_array();
    for (int64_t i = 0; list && i < t->merges.index.count; i++) {
        const att_merge *m = &t->merges.list[i];
        if (json_array_append_new(list, json_pack("[s, s]", piece(t, m->left), piece(t, m->right))) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *added_tokens(const att_tokenizer *t)
{
    json_t *list = json_array();
    for (int64_t i = 0; list && i < t->added.content.count; i++) {
        const att_added_token *a = &t->added.token[i];
        json_t *item = json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", (int)a->id, "content", piece(t, a->id),
                                 "single_word", 0, "lstrip", (int)a->lstrip, "rstrip", (int)a->rstrip, "normalized",
                                 (int)a->normalized, "special", (int)a->special);
        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *piece_or_null(const att_tokenizer *t, int32_t id)
{
    return id < 0 ? json_null() : json_string(piece(t, id));
}

static json_t *byte_level(bool prefix_space, bool trim)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", (int)prefix_space, "trim_offsets",
                     (int)trim, "use_regex", 1);
}

static json_t *bpe_model(const att_tokenizer *t)
{
    return json_pack("{s:s, s:n, s:o, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout", "unk_token",
                     piece_or_null(t, t->byte_bpe.unknown), "continuing_subword_prefix", "end_of_word_suffix",
                     "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", (int)t->byte_bpe.ignore_merges, "vocab",
                     att_hugging_face_vocabulary(t), "merges", merges(t));
}

static json_t *write_bpe(const att_tokenizer *t)
{
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:o, s:o}", "version", "1.0", "truncation", "padding",
                     "added_tokens", added_tokens(t), "normalizer", att_hugging_face_normalizer(t->normalise),
                     "pre_tokenizer", byte_level(t->byte_bpe.prefix_space, true), "post_processor",
                     byte_level(true, false), "decoder", byte_level(true, true), "model", bpe_model(t));
}

/* [CLS] and [SEP] around the text. */
static json_t *bert_processing(const att_tokenizer *t)
{
    int32_t cls = t->role[ATT_ROLE_BOS], sep = t->role[ATT_ROLE_EOS];
    if (cls < 0 || sep < 0) return json_null();
    return json_pack("{s:s, s:[s, i], s:[s, i]}", "type", "BertProcessing", "sep", piece(t, sep), (int)sep, "cls",
                     piece(t, cls), (int)cls);
}

static json_t *write_wordpiece(const att_tokenizer *t)
{
    const att_wordpiece *w = &t->wordpiece;
    json_t *normalizer = json_pack("{s:s, s:b, s:b, s:b, s:b}", "type", "BertNormalizer", "clean_text", (int)w->clean,
                                   "handle_chinese_chars", (int)w->ideographs, "strip_accents", (int)w->strip_accents,
                                   "lowercase", (int)w->lowercase);
    json_t *model =
        json_pack("{s:s, s:o, s:s, s:I, s:o}", "type", "WordPiece", "unk_token",
                  piece_or_null(t, t->role[ATT_ROLE_UNK]), "continuing_subword_prefix", w->prefix,
                  "max_input_chars_per_word", (json_int_t)w->longest, "vocab", att_hugging_face_vocabulary(t));
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:{s:s}, s:o, s:{s:s, s:s, s:b}, s:o}", "version", "1.0", "truncation",
                     "padding", "added_tokens", added_tokens(t), "normalizer", normalizer, "pre_tokenizer", "type",
                     "BertPreTokenizer", "post_processor", bert_processing(t), "decoder", "type", "WordPiece", "prefix",
                     w->prefix, "cleanup", 1, "model", model);
}

json_t *att_hugging_face_write(const att_tokenizer *t)
{
    return t->kind == ATT_TOKENIZER_WORDPIECE ? write_wordpiece(t) : write_bpe(t);
}

/* ---- a vocabulary that stands alone ---- */

static json_t *special(const char *content, json_int_t id)
{
    return json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", content, "single_word", 0, "lstrip", 0,
                     "rstrip", 0, "normalized", 0, "special", 1);
}

/* tokenizer_config.json lists them by number; without it they are the well-known ones that the vocabulary has. */
static json_t *listed_tokens(const att_vocabulary_files *f)
{
    static const char *const gpt2[] = {"<|endoftext|>", NULL};
    static const char *const bert[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", NULL};
    json_t *list = json_array(), *table = json_object_get(f->config, "added_tokens_decoder"), *item;
    const char *key;
    json_object_foreach(table, key, item)
    {
        json_t *copy = json_copy(item);
        if (!copy || json_object_set_new(copy, "id", json_integer(atoll(key))) != 0)
            json_decref(copy);
        else
            json_array_append_new(list, copy);
    }
    for (const char *const *name = f->merges ? gpt2 : bert; !table && *name; name++) {
        const json_t *id = json_object_get(f->vocabulary, *name);
        if (json_is_integer(id)) json_array_append_new(list, special(*name, json_integer_value(id)));
    }
    return list;
}

/* A line "left right"; the first may be "#version: 0.2". */
static json_t *merge_lines(const char *text)
{
    json_t *list = json_array();
    for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        size_t bytes = (size_t)(end - line);
        if (bytes > 0 && line[bytes - 1] == '\r') bytes--;
        bool version = line == text && strncmp(line, "#version", 8) == 0;
        if (bytes > 0 && !version) json_array_append_new(list, json_stringn(line, bytes));
    }
    return list;
}

static json_t *setting(const json_t *config, const char *key, json_t *preset)
{
    json_t *found = json_object_get(config, key);
    if (!found) return preset;
    json_decref(preset);
    return json_incref(found);
}

json_t *att_hugging_face_assemble(const att_vocabulary_files *f)
{
    json_t *v = json_incref((json_t *)f->vocabulary), *added = listed_tokens(f), *root;
    if (f->merges)
        root = json_pack("{s:o, s:{s:s, s:o}, s:{s:s, s:o, s:o}}", "added_tokens", added, "pre_tokenizer", "type",
                         "ByteLevel", "add_prefix_space", setting(f->config, "add_prefix_space", json_false()), "model",
                         "type", "BPE", "vocab", v, "merges", merge_lines(f->merges));
    else
        root =
            json_pack("{s:o, s:{s:s, s:o, s:o, s:o}, s:{s:s}, s:{s:s, s:o, s:o}}", "added_tokens", added, "normalizer",
                      "type", "BertNormalizer", "lowercase", setting(f->config, "do_lower_case", json_true()),
                      "strip_accents", setting(f->config, "strip_accents", json_null()), "handle_chinese_chars",
                      setting(f->config, "tokenize_chinese_chars", json_true()), "pre_tokenizer", "type",
                      "BertPreTokenizer", "model", "type", "WordPiece", "vocab", v, "unk_token",
                      setting(f->config, "unk_token", json_string("[UNK]")));
    if (!root) att_fail(ATT_E_MEMORY, "out of memory: the vocabulary as JSON");
    return root;
}
