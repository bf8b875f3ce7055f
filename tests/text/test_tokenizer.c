#include "text/language.h"

/* ---- words and characters ---- */

static void words_are_numbered_by_frequency(void **state)
{
    (void)state;
    static const char *const lines[] = {"the cat  sat", "the dog sat", "The end <s> <s> <s> <s>"};
    att_tokenizer *t = train_on(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORD}, lines, 3);
    assert_int_equal(att_tokenizer_size(t), 4 + 6); /* "<s>" is no word */
    static const char *const want[] = {"<pad>", "<unk>", "<s>", "</s>", "sat", "the", "The", "cat", "dog", "end"};
    for (int32_t i = 0; i < 10; i++) {
        assert_string_equal(att_tokenizer_piece(t, i), want[i]);
        assert_int_equal(att_tokenizer_id(t, want[i]), i);
    }
    assert_null(att_tokenizer_piece(t, 10));
    assert_null(att_tokenizer_piece(t, -1));
    assert_int_equal(att_tokenizer_id(t, "bird"), -1);
    EXPECT_PIECES(t, " the  bird </s> sat", "the", "<unk>", "<unk>", "sat");
    expect_decoded(t, "the bird sat", "the \xE2\x81\x87 sat");
    expect_decoded(t, "", "");
    att_tokenizer_destroy(t);
    t = train_on(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORD, .min_count = 2}, lines, 3);
    assert_int_equal(att_tokenizer_size(t), 6);
    att_tokenizer_destroy(t);
    t = train_on(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORD, .vocabulary = 5}, lines, 3);
    EXPECT_PIECES(t, "the sat", "<unk>", "sat");
    att_tokenizer_destroy(t);
}

static void tutorial_words(void **state)
{
    (void)state;
    static const char *const lines[] = {"\xC2\xBFTodav\xC3\xAD"
                                        "a est\xC3\xA1 en casa?"};
    att_tokenizer *t =
        train_on(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORD, .normalise = ATT_NORMALISE_TUTORIAL}, lines, 1);
    EXPECT_PIECES(t, "EN casa, esta?", "en", "casa", "<unk>", "esta", "?");
    expect_decoded(t, "Todavia?", "todavia ?");
    att_tokenizer_destroy(t);
}

static void characters_are_code_points(void **state)
{
    (void)state;
    static const char *const lines[] = {"2nd of M\xC3\xA4rz", "1987-03-02"};
    att_tokenizer *t = train_on(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_CHAR}, lines, 2);
    EXPECT_PIECES(t, "of  M\xC3\xA4x", "o", "f", " ", "M", "\xC3\xA4", "<unk>");
    expect_decoded(t, "2nd of M\xC3\xA4rz 1987", "2nd of M\xC3\xA4rz 1987");
    expect_decoded(t, "2xy", "2 \xE2\x81\x87  \xE2\x81\x87 ");
    att_tokenizer_destroy(t);
}

/* ---- surfaces ---- */

static void surfaces_cover_the_text(void **state)
{
    (void)state;
    language *l = make_language(31);
    for (int kind = ATT_TOKENIZER_BPE; kind <= ATT_TOKENIZER_CHAR; kind++) {
        att_tokenizer *t;
        att_tokenizer_desc desc = {.kind = (att_token_unit)kind, .vocabulary = 10};
        if (kind == ATT_TOKENIZER_BPE) desc = (att_tokenizer_desc){.coverage = 0.8};
        int64_t unknown = 0;
        assert_ok(att_tokenizer_train(&desc, l->text, LINES, NULL, &t));
        for (int i = 0; i < LINES; i++) {
            int32_t ids[CAPACITY], again[CAPACITY];
            att_text surface[CAPACITY];
            int64_t word[CAPACITY], n, m;
            char *clean;
            assert_ok(att_tokenizer_encode(t, l->text[i].data, l->text[i].bytes, again, CAPACITY, &m));
            assert_ok(att_tokenizer_encode_surfaces(t, l->text[i].data, l->text[i].bytes, ids, surface, word, CAPACITY,
                                                    &n, &clean));
            assert_int_equal(n, m);
            assert_memory_equal(ids, again, (size_t)n * sizeof *ids);
            const char *at = clean;
            int64_t blanks = 0;
            for (int64_t k = 0; k < n; k++) {
                for (; at < surface[k].data; at++, blanks++) assert_int_equal(*at, ' '); /* nothing else is skipped */
                assert_ptr_equal(at, surface[k].data);
                if (kind == ATT_TOKENIZER_CHAR) blanks += surface[k].bytes && *at == ' ';
                assert_int_equal(word[k], blanks);
                const char *piece = att_tokenizer_piece(t, ids[k]);
                if (kind == ATT_TOKENIZER_BPE && strncmp(piece, BLANK, 3) == 0) piece += 3;
                if (ids[k] != ATT_TOKEN_UNK) {
                    assert_int_equal(surface[k].bytes, strlen(piece));
                    assert_memory_equal(surface[k].data, piece, surface[k].bytes);
                }
                unknown += ids[k] == ATT_TOKEN_UNK;
                at += surface[k].bytes;
            }
            assert_int_equal(*at, '\0');
            att_text_free(NULL, clean);
        }
        assert_true(unknown > LINES / 2);
        att_tokenizer_destroy(t);
    }
    free(l);
}

static void unknown_words_have_their_surface(void **state)
{
    (void)state;
    static const char *const lines[] = {"the cat sat on the mat"};
    for (int kind = ATT_TOKENIZER_BPE; kind <= ATT_TOKENIZER_WORD; kind++) {
        att_tokenizer *t = train_on(&(att_tokenizer_desc){.kind = (att_token_unit)kind, .coverage = 1}, lines, 1);
        int32_t ids[16];
        att_text surface[16];
        int64_t word[16], n, unknown = -1;
        char *clean;
        const char *text = " the  \xC3\x91u\xCC\x81 sat";
        assert_ok(att_tokenizer_encode_surfaces(t, text, strlen(text), ids, surface, word, 16, &n, &clean));
        for (int64_t i = 0; i < n; i++)
            if (ids[i] == ATT_TOKEN_UNK) unknown = i;
        assert_true(unknown >= 0);
        assert_int_equal(word[unknown], 1);
        assert_int_equal(surface[unknown].bytes, 4);
        assert_memory_equal(surface[unknown].data, "\xC3\x91\xC3\xBA", 4); /* normalised: composed */
        att_text_free(NULL, clean);
        assert_int_equal(att_tokenizer_encode_surfaces(t, text, strlen(text), ids, surface, word, 2, &n, &clean),
                         ATT_E_SHAPE);
        assert_null(clean);
        att_tokenizer_destroy(t);
    }
}

/* ---- capacities and wrong arguments ---- */

static void capacity_is_respected(void **state)
{
    (void)state;
    language *l = make_language(41);
    for (int kind = ATT_TOKENIZER_BPE; kind <= ATT_TOKENIZER_CHAR; kind++) {
        att_tokenizer *t;
        assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.kind = (att_token_unit)kind, .coverage = 1}, l->text, 50,
                                      NULL, &t));
        int64_t need, n;
        const char *s = l->text[3].data;
        size_t bytes = l->text[3].bytes, written, want;
        assert_int_equal(att_tokenizer_encode(t, s, bytes, NULL, 0, &need), ATT_E_SHAPE);
        assert_true(need > 0);
        for (int64_t capacity = 1; capacity <= need + 1; capacity++) {
            int32_t *ids = guard_alloc((size_t)capacity * sizeof *ids);
            att_status status = att_tokenizer_encode(t, s, bytes, ids, capacity, &n);
            assert_int_equal(status, capacity < need ? ATT_E_SHAPE : ATT_OK);
            assert_int_equal(n, need);
            if (status == ATT_OK) {
                assert_int_equal(att_tokenizer_decode(t, ids, n, NULL, 0, &want), ATT_E_SHAPE);
                assert_int_equal(want, bytes);
                for (size_t room = 1; room <= bytes + 2; room++) {
                    char *out = guard_alloc(room);
                    status = att_tokenizer_decode(t, ids, n, out, room, &written);
                    assert_int_equal(status, room < bytes + 1 ? ATT_E_SHAPE : ATT_OK);
                    assert_int_equal(written, bytes);
                    if (status == ATT_OK) assert_string_equal(out, s);
                    guard_free(out, room);
                }
            }
            guard_free(ids, (size_t)capacity * sizeof *ids);
        }
        att_tokenizer_destroy(t);
    }
    free(l);
}

static void decoding_skips_special_tokens(void **state)
{
    (void)state;
    static const char *const lines[] = {"ab ab"};
    att_tokenizer *t = train_on(&(att_tokenizer_desc){.coverage = 1}, lines, 1);
    int32_t ab = att_tokenizer_id(t, BLANK "ab");
    assert_true(ab > 0);
    char out[64];
    size_t bytes;
    int32_t ids[] = {ATT_TOKEN_BOS, ab, ATT_TOKEN_PAD, ab, ATT_TOKEN_EOS};
    assert_ok(att_tokenizer_decode(t, ids, 5, out, sizeof out, &bytes));
    assert_string_equal(out, "ab ab");
    ids[1] = (int32_t)att_tokenizer_size(t);
    assert_int_equal(att_tokenizer_decode(t, ids, 5, out, sizeof out, &bytes), ATT_E_VALUE);
    ids[1] = -1;
    assert_int_equal(att_tokenizer_decode(t, ids, 5, out, sizeof out, &bytes), ATT_E_VALUE);
    assert_string_equal(att_last_error(), "ids[1] is -1, expected 0 to 8");
    att_tokenizer_destroy(t);
    att_tokenizer_destroy(NULL);
}

static void refuse(const att_tokenizer_desc *desc, const char *const *lines, int64_t n, const char *message)
{
    att_text list[4];
    att_tokenizer *t = (att_tokenizer *)list;
    for (int64_t i = 0; i < n; i++) list[i] = text_of(lines[i]);
    assert_int_equal(att_tokenizer_train(desc, list, n, NULL, &t), ATT_E_VALUE);
    assert_null(t);
    assert_string_equal(att_last_error(), message);
}

static void impossible_requests_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {"ab ab", "ba"};
    static const char *const bad[] = {"ab", "a\xFF"};
    static const char *const none[] = {"  ", ""};
    refuse(&(att_tokenizer_desc){.vocabulary = 100}, lines, 2,
           "vocabulary is 100, expected at most 11: the data gives no more bpe tokens");
    refuse(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORD, .vocabulary = 7}, lines, 2,
           "vocabulary is 7, expected at most 6: the data gives no more word tokens");
    refuse(&(att_tokenizer_desc){.vocabulary = 6}, lines, 2,
           "vocabulary is 6, expected at least 7: 4 special tokens and 3 characters");
    refuse(&(att_tokenizer_desc){.vocabulary = 4}, lines, 2, "vocabulary is 4, expected 0 (all) or 5 to 2147483646");
    refuse(&(att_tokenizer_desc){.coverage = NAN}, lines, 2, "coverage is nan, expected 0 (default) to 1");
    refuse(&(att_tokenizer_desc){.min_count = -1}, lines, 2, "min_count is -1, expected at least 0");
    refuse(&(att_tokenizer_desc){.kind = (att_token_unit)7}, lines, 2, "kind is 7, expected 0 to 5");
    refuse(&(att_tokenizer_desc){.normalise = (att_normalise)9}, lines, 2, "normalise is 9, expected 0 to 2");
    refuse(&(att_tokenizer_desc){0}, bad, 2, "lines[1]: text: invalid UTF-8 at byte 2: 0xff");
    refuse(&(att_tokenizer_desc){0}, none, 2, "lines: no text in 2 lines");
    refuse(&(att_tokenizer_desc){0}, none, 0, "lines: no text in 0 lines");
    att_tokenizer *t = train_on(&(att_tokenizer_desc){.vocabulary = 11}, lines, 2); /* the largest possible works */
    assert_int_equal(att_tokenizer_size(t), 11);
    int64_t n;
    assert_int_equal(att_tokenizer_encode(t, "\xFF", 1, NULL, 0, &n), ATT_E_VALUE);
    att_tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_numbered_by_frequency),  cmocka_unit_test(tutorial_words),
        cmocka_unit_test(characters_are_code_points),       cmocka_unit_test(surfaces_cover_the_text),
        cmocka_unit_test(unknown_words_have_their_surface), cmocka_unit_test(capacity_is_respected),
        cmocka_unit_test(decoding_skips_special_tokens),    cmocka_unit_test(impossible_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
