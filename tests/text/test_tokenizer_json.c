#include "text/language.h"

static void json_round_trip_gives_the_same_ids(void **state)
{
    (void)state;
    language *l = make_language(51);
    strcpy(l->line[0], "quote \" back \\ slash \x01 control </script>");
    l->text[0] = text_of(l->line[0]);
    for (int kind = ATT_TOKENIZER_BPE; kind <= ATT_TOKENIZER_CHAR; kind++)
        for (int how = ATT_NORMALISE_PLAIN; how <= ATT_NORMALISE_TUTORIAL; how++) {
            att_tokenizer *t, *u;
            char *json, *again;
            att_tokenizer_desc desc = {.kind = (att_token_unit)kind, .normalise = (att_normalise)how, .coverage = 1};
            assert_ok(att_tokenizer_train(&desc, l->text, LINES, NULL, &t));
            assert_ok(att_tokenizer_to_json(t, &json));
            assert_null(strchr(json, '\n'));
            assert_ok(att_tokenizer_from_json(json, strlen(json), NULL, &u));
            assert_ok(att_tokenizer_to_json(u, &again));
            assert_string_equal(json, again);
            assert_int_equal(att_tokenizer_kind(u), kind);
            assert_int_equal(att_tokenizer_normalise(u), how);
            for (int i = 0; i < LINES; i++) {
                int32_t a[CAPACITY], b[CAPACITY];
                int64_t na, nb;
                assert_ok(att_tokenizer_encode(t, l->text[i].data, l->text[i].bytes, a, CAPACITY, &na));
                assert_ok(att_tokenizer_encode(u, l->text[i].data, l->text[i].bytes, b, CAPACITY, &nb));
                assert_int_equal(na, nb);
                assert_memory_equal(a, b, (size_t)na * sizeof *a);
            }
            att_text_free(NULL, json);
            att_text_free(NULL, again);
            att_tokenizer_destroy(t);
            att_tokenizer_destroy(u);
        }
    free(l);
}

#define HEAD "{\"format\":\"attend.tokenizer\",\"version\":1,\"kind\":\"bpe\",\"normalise\":\"plain\","

static void wrong_json_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *what;
    } cases[] = {
        {"", "not JSON"},
        {"null", "not JSON"},
        {"[]", "\"format\""},
        {"{}", "\"format\""},
        {"{\"format\":\"other\"}", "\"format\""},
        {"{\"format\":\"attend.tokenizer\",\"version\":2}", "\"version\""},
        {"{\"format\":\"attend.tokenizer\",\"version\":1}", "\"kind\""},
        {"{\"format\":\"attend.tokenizer\",\"version\":1,\"kind\":\"letters\"}", "\"kind\""},
        {"{\"format\":\"attend.tokenizer\",\"version\":1,\"kind\":\"bpe\"}", "\"normalise\""},
        {HEAD "\"version\":1}", "not JSON"}, /* twice the same key */
        {HEAD "\"pieces\":{}}", "\"pieces\""},
        {HEAD "\"pieces\":[1]}", "\"pieces\"[0] is not a string"},
        {HEAD "\"pieces\":[\"\"]}", "\"pieces\"[0] is no bpe token"},
        {HEAD "\"pieces\":[\"a\",\"b c\"]}", "\"pieces\"[1] is no bpe token"},
        {HEAD "\"pieces\":[\"a\\u0000b\"]}", "not JSON"},
        {HEAD "\"pieces\":[\"a\",\"a\"]}", "\"pieces\"[1] repeats the token 4"},
        {HEAD "\"pieces\":[\"<s>\"]}", "\"pieces\"[0] repeats the token 2"},
        {HEAD "\"pieces\":[\"a\"],\"merges\":[]}", "U+2581"},
        {HEAD "\"pieces\":[\"" BLANK "\",\"a\"]}", "\"merges\""},
        {HEAD "\"pieces\":[\"" BLANK "\",\"a\"],\"merges\":[4]}", "\"merges\""},
        {HEAD "\"pieces\":[\"" BLANK "\",\"a\"],\"merges\":[4,6]}", "\"merges\"[1] is no token"},
        {HEAD "\"pieces\":[\"" BLANK "\",\"a\"],\"merges\":[4,-5]}", "\"merges\"[1] is no token"},
        {HEAD "\"pieces\":[\"" BLANK "\",\"a\"],\"merges\":[4,5.0]}", "\"merges\"[1] is no token"},
        {HEAD "\"pieces\":[\"" BLANK "\",\"a\"],\"merges\":[4294967300,5]}", "\"merges\"[0] is no token"},
        {HEAD "\"pieces\":[\"" BLANK "\",\"a\"],\"merges\":[4,5]}", "make a piece that is not"},
        {HEAD "\"pieces\":[\"" BLANK "\",\"a\",\"" BLANK "a\"],\"merges\":[4,5,4,5]}", "merge 1 repeats"},
        {HEAD "\"pieces\":[\"" BLANK "\",\"<\",\"s>\"],\"merges\":[5,6]}", "make a piece that is not"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        att_tokenizer *t;
        assert_int_equal(att_tokenizer_from_json(cases[i].json, strlen(cases[i].json), NULL, &t), ATT_E_FORMAT);
        assert_null(t);
        if (!strstr(att_last_error(), cases[i].what))
            fail_msg("\"%s\" does not mention %s", att_last_error(), cases[i].what);
    }
}

/* Damage at random: it must be refused, or give a tokeniser that works. */
static void damaged_json_never_crashes(void **state)
{
    (void)state;
    language *l = make_language(61);
    att_random r = {.seed = 6};
    int64_t refused = 0, accepted = 0;
    for (int kind = ATT_TOKENIZER_BPE; kind <= ATT_TOKENIZER_CHAR; kind++) {
        att_tokenizer *t, *u;
        char *json;
        att_tokenizer_desc desc = {.kind = (att_token_unit)kind, .coverage = 1};
        assert_ok(att_tokenizer_train(&desc, l->text, 10, NULL, &t));
        assert_ok(att_tokenizer_to_json(t, &json));
        size_t bytes = strlen(json);
        for (int round = 0; round < 3000; round++) {
            size_t kept = round % 3 ? bytes : att_random_below(&r, bytes);
            char *copy = guard_alloc(kept + 1), *start = copy + 1;
            memcpy(start, json, kept);
            for (int k = 0; k < round % 4 && kept > 0; k++)
                start[att_random_below(&r, kept)] =
                    round % 2 ? (char)att_random_below(&r, 256) : "0129,[]{}\"-e."[att_random_below(&r, 13)];
            att_status status = att_tokenizer_from_json(start, kept, NULL, &u);
            if (status == ATT_OK) {
                int32_t ids[CAPACITY];
                int64_t n;
                char out[4 * CAPACITY];
                size_t written;
                assert_ok(att_tokenizer_encode(u, l->text[1].data, l->text[1].bytes, ids, CAPACITY, &n));
                assert_ok(att_tokenizer_decode(u, ids, n, out, sizeof out, &written));
                accepted++;
            } else {
                assert_int_equal(status, ATT_E_FORMAT);
                assert_null(u);
                refused++;
            }
            att_tokenizer_destroy(u);
            guard_free(copy, kept + 1);
        }
        att_text_free(NULL, json);
        att_tokenizer_destroy(t);
    }
    assert_true(refused > 1000 && accepted > 1000);
    free(l);
}

/* ---- memory ---- */

static att_status whole_life(const att_allocator *a, const att_tokenizer_desc *desc, const language *l)
{
    att_tokenizer *t = NULL, *u = NULL;
    char *json = NULL, *clean = NULL;
    int32_t ids[CAPACITY];
    int64_t n;
    att_status status = att_tokenizer_train(desc, l->text, 20, a, &t);
    if (status == ATT_OK) status = att_tokenizer_to_json(t, &json);
    if (status == ATT_OK) status = att_tokenizer_from_json(json, strlen(json), a, &u);
    if (status == ATT_OK)
        status =
            att_tokenizer_encode_surfaces(u, l->text[0].data, l->text[0].bytes, ids, NULL, NULL, CAPACITY, &n, &clean);
    att_text_free(a, json);
    att_text_free(a, clean);
    att_tokenizer_destroy(t);
    att_tokenizer_destroy(u);
    return status;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    language *l = make_language(71);
    for (int kind = ATT_TOKENIZER_BPE; kind <= ATT_TOKENIZER_CHAR; kind++) {
        att_tokenizer_desc desc = {.kind = (att_token_unit)kind, .coverage = 1};
        int64_t calls = INT64_MAX;
        for (int64_t fail_at = -1; fail_at < calls; fail_at++) {
            counting c = {.fail_at = fail_at};
            att_allocator a = {counting_resize, &c};
            att_status status = whole_life(&a, &desc, l);
            assert_int_equal(status, fail_at < 0 ? ATT_OK : ATT_E_MEMORY);
            assert_int_equal(c.live_bytes, 0); /* every block given back, with the size it had */
            if (fail_at < 0) calls = c.calls;
        }
        assert_true(calls > 20);
    }
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_round_trip_gives_the_same_ids),
        cmocka_unit_test(wrong_json_is_refused),
        cmocka_unit_test(damaged_json_never_crashes),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
