/* The ids and texts of `tokenizers`; see tokenizer_golden.py. */
#include <jansson.h>

#include "text/language.h"

enum { MOST = 1024 };

static size_t from_hex(const char *hex, char *out)
{
    size_t n = strlen(hex) / 2;
    assert_true(n < MOST);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (char)byte;
    }
    return n;
}

static void check_line(const att_tokenizer *t, const json_t *line)
{
    char text[MOST], out[4 * MOST];
    int32_t ids[MOST], want[MOST];
    int64_t n;
    size_t bytes = from_hex(json_string_value(json_array_get(line, 0)), text), written;
    const json_t *list = json_array_get(line, 1), *decoded = json_array_get(line, 2);
    char *end = guard_alloc(bytes + 1); /* the encoder must not read behind the text */
    memcpy(end + 1, text, bytes);
    assert_ok(att_tokenizer_encode(t, end + 1, bytes, ids, MOST, &n));
    guard_free(end, bytes + 1);
    assert_int_equal(n, json_array_size(list));
    for (int64_t i = 0; i < n; i++) want[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    assert_memory_equal(ids, want, (size_t)n * sizeof *ids);
    assert_ok(att_tokenizer_decode(t, ids, n, out, sizeof out, &written));
    assert_int_equal(written, json_string_length(decoded));
    assert_memory_equal(out, json_string_value(decoded), written);
}

static void check_case(const json_t *item)
{
    char *file = json_dumps(json_object_get(item, "tokenizer"), 0), *json;
    att_tokenizer *read, *again;
    size_t i;
    const json_t *line;
    assert_ok(att_tokenizer_from_json(file, strlen(file), NULL, &read));
    assert_string_equal(att_token_unit_name(att_tokenizer_kind(read)),
                        json_string_value(json_object_get(item, "kind")));
    assert_ok(att_tokenizer_to_json(read, &json));
    assert_ok(att_tokenizer_from_json(json, strlen(json), NULL, &again));
    json_array_foreach(json_object_get(item, "lines"), i, line)
    {
        check_line(read, line);
        check_line(again, line);
    }
    att_text_free(NULL, json);
    att_tokenizer_destroy(read);
    att_tokenizer_destroy(again);
    free(file);
}

static void ids_are_those_of_tokenizers(void **state)
{
    (void)state;
    json_t *root = json_load_file(TEST_DIR "/text/tokenizer_golden.json", JSON_ALLOW_NUL, NULL);
    size_t i;
    const json_t *item;
    assert_int_equal(json_array_size(root), 2);
    json_array_foreach(root, i, item) check_case(item);
    json_decref(root);
}

/* Every allocation fails once; nothing leaks, and the message is about memory. */
static void no_memory_is_survived(void **state)
{
    (void)state;
    json_t *root = json_load_file(TEST_DIR "/text/tokenizer_golden.json", JSON_ALLOW_NUL, NULL);
    for (size_t k = 0; k < 2; k++) {
        char *file = json_dumps(json_object_get(json_array_get(root, k), "tokenizer"), 0);
        att_status status = ATT_E_MEMORY;
        for (int64_t fail_at = 0; status != ATT_OK; fail_at++) {
            counting c = {.fail_at = fail_at};
            att_allocator a = {.ctx = &c, .resize = counting_resize};
            att_tokenizer *t;
            int32_t ids[64];
            int64_t n;
            att_text second = text_of("caf\xC3\xA9 \xFF");
            status = att_tokenizer_from_json(file, strlen(file), &a, &t);
            if (status == ATT_OK) {
                status = att_tokenizer_encode(t, "the [MASK]\xFFwords", 16, ids, 64, &n);
                att_status pair = att_tokenizer_encode_pair(t, &second, &second, 0, ids, NULL, 64, &n);
                if (status == ATT_OK) status = pair;
            }
            att_tokenizer_destroy(t);
            assert_int_equal(c.live_bytes, 0);
            if (status != ATT_OK) assert_int_equal(status, ATT_E_MEMORY);
        }
        free(file);
    }
    json_decref(root);
}

static void bytes_are_learnt_and_lose_nothing(void **state)
{
    (void)state;
    language *l = make_language(7);
    att_tokenizer *t;
    att_tokenizer_desc desc = {.kind = ATT_TOKENIZER_BYTE_BPE, .normalise = ATT_NORMALISE_NONE, .vocabulary = 300};
    assert_ok(att_tokenizer_train(&desc, l->text, LINES, NULL, &t));
    assert_int_equal(att_tokenizer_size(t), 300);
    for (int role = ATT_ROLE_PAD; role <= ATT_ROLE_EOS; role++)
        assert_int_equal(att_tokenizer_role(t, (att_token_role)role), role);
    assert_int_equal(att_tokenizer_role(t, ATT_ROLE_MASK), -1);
    for (int i = 0; i < LINES; i++) expect_decoded(t, l->line[i], l->line[i]);
    expect_decoded(t, "<s> \n\n  \t</s>", "<s> \n\n  \t</s>");
    EXPECT_PIECES(t, "'s'x ", "'", "s", "'", "x", "\xC4\xA0");
    att_tokenizer_destroy(t);
    desc.vocabulary = 259;
    assert_int_equal(att_tokenizer_train(&desc, l->text, LINES, NULL, &t), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "expected at least 260: 4 special tokens and 256 bytes"));
    desc = (att_tokenizer_desc){.kind = ATT_TOKENIZER_SENTENCEPIECE};
    assert_int_equal(att_tokenizer_train(&desc, l->text, LINES, NULL, &t), ATT_E_UNSUPPORTED);
    desc = (att_tokenizer_desc){.kind = ATT_TOKENIZER_BYTE_BPE, .normalise = ATT_NORMALISE_TUTORIAL};
    assert_int_equal(att_tokenizer_train(&desc, l->text, LINES, NULL, &t), ATT_E_VALUE);
    free(l);
}

/* By hand: low five times, lower and lower without capitals, newest six times, widest three times without an accent.
 * "##e" and "##s" meet 9 times, "##es" and "##t" as often; then l and "##o", and "lo" and "##w", 7 times. */
static void word_pieces_are_learnt_by_hand_example(void **state)
{
    (void)state;
    static const char *const lines[] = {"low low low low low lower, LOWER",
                                        "newest newest newest newest newest newest widest widest wid\xC3\xA9st"};
    static const char *const first[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ",",   "d",   "e",
                                        "i",     "l",     "n",     "o",     "r",      "s",   "t",   "w",
                                        "##d",   "##e",   "##i",   "##o",   "##r",    "##s", "##t", "##w"};
    enum { FIRST = sizeof first / sizeof *first };
    att_tokenizer *t = train_on(
        &(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORDPIECE, .vocabulary = FIRST + 4, .coverage = 1}, lines, 2);
    for (int32_t i = 0; i < FIRST; i++) assert_string_equal(att_tokenizer_piece(t, i), first[i]);
    for (int role = 0; role < ATT_TOKEN_ROLES; role++)
        assert_int_equal(att_tokenizer_role(t, (att_token_role)role), role);
    assert_string_equal(att_tokenizer_piece(t, FIRST), "##es");
    assert_string_equal(att_tokenizer_piece(t, FIRST + 1), "##est");
    assert_string_equal(att_tokenizer_piece(t, FIRST + 2), "lo");
    assert_string_equal(att_tokenizer_piece(t, FIRST + 3), "low");
    EXPECT_PIECES(t, "lowest slow", "low", "##est", "[UNK]"); /* no piece continues a word with l */
    EXPECT_PIECES(t, "[MASK]Lowed", "[MASK]", "low", "##e", "##d");
    expect_decoded(t, "lower, lowest [SEP]", "lower, lowest");
    att_tokenizer_destroy(t);
    t = train_on(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORDPIECE, .cased = 1}, lines, 2);
    EXPECT_PIECES(t, "LOWER lower", "LOWER", "lower");
    EXPECT_PIECES(t, "wid\xC3\xA9st", "wid\xC3\xA9st");
    att_tokenizer_destroy(t);
}

static att_status learn_pieces(const language *l, const att_allocator *a, int64_t vocabulary, att_tokenizer **t)
{
    return att_tokenizer_train(
        &(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORDPIECE, .vocabulary = vocabulary, .coverage = 0.99}, l->text, 20,
        a, t);
}

/* JSON gives the same tokeniser back; too few and too many pieces are told; no memory is survived. */
static void word_pieces_are_learnt_from_any_text(void **state)
{
    (void)state;
    language *l = make_language(7);
    att_tokenizer *t, *again;
    char *json, *same;
    assert_int_equal(learn_pieces(l, NULL, 5, &t), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "5 special tokens and"));
    assert_int_equal(learn_pieces(l, NULL, 1000000, &t), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "the data gives no more wordpiece tokens"));
    assert_ok(learn_pieces(l, NULL, 0, &t));
    assert_ok(att_tokenizer_to_json(t, &json));
    assert_ok(att_tokenizer_from_json(json, strlen(json), NULL, &again));
    assert_ok(att_tokenizer_to_json(again, &same));
    assert_string_equal(json, same);
    att_text_free(NULL, json);
    att_text_free(NULL, same);
    att_tokenizer_destroy(again);
    att_tokenizer_destroy(t);
    att_text broken[] = {text_of("\xFF\xC3 a"), {"a\0b", 3}};
    assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORDPIECE}, broken, 2, NULL, &t));
    att_tokenizer_destroy(t);
    assert_int_equal(att_tokenizer_train(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORDPIECE}, broken, 0, NULL, &t),
                     ATT_E_VALUE);
    att_status status = ATT_E_MEMORY;
    for (int64_t fail_at = 0; status != ATT_OK; fail_at++) {
        counting c = {.fail_at = fail_at};
        att_allocator a = {.ctx = &c, .resize = counting_resize};
        status = learn_pieces(l, &a, 0, &t);
        att_tokenizer_destroy(t);
        assert_int_equal(c.live_bytes, 0);
        if (status != ATT_OK) assert_int_equal(status, ATT_E_MEMORY);
    }
    free(l);
}

static void dropout_keeps_the_bytes(void **state)
{
    (void)state;
    language *l = make_language(8);
    att_tokenizer *t;
    att_random r = {.seed = 2};
    att_tokenizer_desc desc = {.kind = ATT_TOKENIZER_BYTE_BPE, .normalise = ATT_NORMALISE_NONE, .vocabulary = 400};
    assert_ok(att_tokenizer_train(&desc, l->text, LINES, NULL, &t));
    for (int i = 0; i < LINES; i++) {
        int32_t ids[CAPACITY];
        char out[LINE_BYTES];
        int64_t n;
        size_t bytes;
        assert_ok(att_tokenizer_encode_sampled(t, l->text[i].data, l->text[i].bytes, 0.3, &r, ids, CAPACITY, &n));
        assert_ok(att_tokenizer_decode(t, ids, n, out, sizeof out, &bytes));
        assert_string_equal(out, l->line[i]);
        assert_ok(att_tokenizer_encode_sampled(t, l->text[i].data, l->text[i].bytes, 1, &r, ids, CAPACITY, &n));
        assert_int_equal(n, l->text[i].bytes);
    }
    att_tokenizer_destroy(t);
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_tokenizers),
        cmocka_unit_test(no_memory_is_survived),
        cmocka_unit_test(bytes_are_learnt_and_lose_nothing),
        cmocka_unit_test(word_pieces_are_learnt_by_hand_example),
        cmocka_unit_test(word_pieces_are_learnt_from_any_text),
        cmocka_unit_test(dropout_keeps_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
