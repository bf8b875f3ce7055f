#include "harness.h"

#include <attend/text.h>
#include <utf8proc.h>

static char *normalised(att_normalise how, const char *text)
{
    char *out;
    size_t bytes;
    assert_ok(att_normalise_text(how, text, strlen(text), NULL, &out, &bytes));
    assert_int_equal(strlen(out), bytes);
    return out;
}

static void expect(att_normalise how, const char *text, const char *want)
{
    char *out = normalised(how, text);
    assert_string_equal(out, want);
    att_text_free(NULL, out);
}

/* utf8proc_iterate is a decoder we did not write. */
static int oracle_accepts(const unsigned char *s, size_t bytes)
{
    utf8proc_int32_t c;
    for (size_t i = 0; i < bytes;) {
        utf8proc_ssize_t n = utf8proc_iterate(s + i, (utf8proc_ssize_t)(bytes - i), &c);
        if (n < 1) return 0;
        i += (size_t)n;
    }
    return 1;
}

static void utf8_check_equals_another_decoder(void **state)
{
    (void)state;
    unsigned char *s = guard_alloc(5);
    static const unsigned char edge[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                         0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                         0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFE, 0xFF};
    enum { E = sizeof edge };
    int64_t accepted = 0;
    for (int64_t code = 0; code < E * E * E * E; code++)
        for (size_t bytes = 1; bytes <= 4; bytes++) {
            unsigned char *p = s + 5 - bytes; /* ends at the guard page */
            int64_t rest = code;
            for (size_t i = 0; i < bytes; i++, rest /= E) p[i] = edge[rest % E];
            int want = oracle_accepts(p, bytes);
            assert_int_equal(att_utf8_check((char *)p, bytes, NULL) == ATT_OK, want);
            accepted += want;
        }
    assert_true(accepted > 1000);
    guard_free(s, 5);
}

static void utf8_check_accepts_every_code_point(void **state)
{
    (void)state;
    for (int32_t c = 0; c <= 0x10FFFF; c++) {
        utf8proc_uint8_t s[4];
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        utf8proc_ssize_t n = utf8proc_encode_char(c, s);
        assert_int_equal(att_utf8_check((char *)s, (size_t)n, NULL), ATT_OK);
    }
}

static void utf8_check_names_the_first_bad_byte(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bad;
    } cases[] = {
        {"\xFF", 0},                         /* never a byte of UTF-8 */
        {"abc\x80", 3},                      /* a tail alone */
        {"\xC3\xA9\xC0\xAF", 2},             /* overlong */
        {"a\xE0\x80\xAF", 1},                /* overlong */
        {"a\xED\xA0\x80", 1},                /* surrogate */
        {"ab\xF4\x90\x80\x80", 2},           /* above U+10FFFF */
        {"\xF0\x9F\x99\x82\xF0\x9F\x99", 4}, /* cut */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bad = 99;
        assert_int_equal(att_utf8_check(cases[i].text, strlen(cases[i].text), &bad), ATT_E_FORMAT);
        assert_int_equal(bad, cases[i].bad);
    }
}

static void plain_gives_known_answers(void **state)
{
    (void)state;
    expect(ATT_NORMALISE_PLAIN, "", "");
    expect(ATT_NORMALISE_PLAIN, " \t\r\n ", "");
    expect(ATT_NORMALISE_PLAIN, "  Hello \t World\n", "Hello World");
    expect(ATT_NORMALISE_PLAIN, "cafe\xCC\x81", "caf\xC3\xA9");                /* composed */
    expect(ATT_NORMALISE_PLAIN, "\xEF\xAC\x81sh \xE2\x91\xA0", "fish 1");      /* fi ligature, circled 1 */
    expect(ATT_NORMALISE_PLAIN, "a\xC2\xA0\xE3\x80\x80\xE2\x80\xA8 b", "a b"); /* blanks of other widths */
    expect(ATT_NORMALISE_PLAIN, "\xEF\xBC\xA1\xEF\xBC\xA2", "AB");             /* full width */
    expect(ATT_NORMALISE_PLAIN, "\xC2\xBFQu\xC3\xA9? \xC2\xA1S\xC3\xAD!", "\xC2\xBFQu\xC3\xA9? \xC2\xA1S\xC3\xAD!");
    expect(ATT_NORMALISE_PLAIN, "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C"); /* Hangul */
}

static void none_changes_nothing(void **state)
{
    (void)state;
    expect(ATT_NORMALISE_NONE, "  A\tb\n cafe\xCC\x81  ", "  A\tb\n cafe\xCC\x81  ");
    expect(ATT_NORMALISE_NONE, "", "");
}

/* What the tutorial prints for its example sentence, and its rules one by one. */
static void tutorial_gives_known_answers(void **state)
{
    (void)state;
    expect(ATT_NORMALISE_TUTORIAL,
           "\xC2\xBFTodav\xC3\xAD"
           "a est\xC3\xA1 en casa?",
           "\xC2\xBF todavia esta en casa ?");
    expect(ATT_NORMALISE_TUTORIAL, "Hi.", "hi .");
    expect(ATT_NORMALISE_TUTORIAL, "I'm 20, you know...", "im , you know . . .");
    expect(ATT_NORMALISE_TUTORIAL, "\xC2\xA1No!", "no !");
    expect(ATT_NORMALISE_TUTORIAL,
           "\xC3\x91"
           "ANDU -- el",
           "nandu el");
    expect(ATT_NORMALISE_TUTORIAL, "a\tb", "ab"); /* only the blank is kept */
    expect(ATT_NORMALISE_TUTORIAL, "\xE4\xBD\xA0\xE5\xA5\xBD", "");
}

/* Latin-1 letters take a shorter way than other text: both must be NFKC and collapse blanks alike. */
static void plain_equals_nfkc_of_utf8proc(void **state)
{
    (void)state;
    att_random r = {.seed = 11};
    static const int32_t other[] = {0xA1,  0xBF,  0xA8,  0xAA,  0xB2,  0xBD,  0x131,
                                    0x149, 0x300, 0x301, 0x327, 0x17F, 0x2126};
    for (int round = 0; round < 20000; round++) {
        utf8proc_uint8_t s[64] = {0};
        utf8proc_ssize_t bytes = 0;
        int wild = round % 2, n = (int)att_random_below(&r, 12);
        for (int i = 0; i < n; i++) {
            int32_t c = (int32_t)(0xC0 + att_random_below(&r, 64));
            if (att_random_below(&r, 2)) c = (int32_t)('A' + att_random_below(&r, 58));
            if (wild && att_random_below(&r, 3) == 0) c = other[att_random_below(&r, sizeof other / sizeof *other)];
            bytes += utf8proc_encode_char(c, s + bytes);
        }
        utf8proc_uint8_t *raw = utf8proc_NFKC(s);
        char *once = normalised(ATT_NORMALISE_PLAIN, (char *)s);
        char want[128], *w = want; /* U+00A8 becomes a blank and a mark: trim and collapse by hand */
        for (utf8proc_uint8_t *p = raw; *p; p++)
            if (*p != ' ' || (w > want && w[-1] != ' ')) *w++ = (char)*p;
        while (w > want && w[-1] == ' ') w--;
        *w = '\0';
        assert_string_equal(once, want);
        att_text_free(NULL, once);
        free(raw);
    }
}

static void random_code_points(att_random *r, char *s, size_t size)
{
    static const int32_t top[] = {0x80, 0x370, 0x3000, 0x10000, 0x110000};
    size_t at = 0;
    while (at + 5 < size) {
        int32_t c = (int32_t)(1 + att_random_below(r, (uint64_t)top[att_random_below(r, 5)] - 1));
        if (c >= 0xD800 && c <= 0xDFFF) c = 0xFDFA; /* eighteen code points under NFKC */
        at += (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)s + at);
    }
    s[at] = '\0';
}

static void normalising_twice_changes_nothing(void **state)
{
    (void)state;
    att_random r = {.seed = 3};
    char s[60];
    for (int round = 0; round < 5000; round++) {
        random_code_points(&r, s, 1 + att_random_below(&r, sizeof s));
        for (int how = ATT_NORMALISE_PLAIN; how <= ATT_NORMALISE_TUTORIAL; how++) {
            char *once = normalised((att_normalise)how, s), *twice = normalised((att_normalise)how, once);
            assert_string_equal(once, twice);
            assert_int_equal(att_utf8_check(once, strlen(once), NULL), ATT_OK);
            att_text_free(NULL, once);
            att_text_free(NULL, twice);
        }
    }
}

static void marks_beyond_number_take_no_time(void **state)
{
    (void)state;
    enum { N = 400000 }; /* in the worst order; sorting them all at once would take minutes */
    char *s = malloc(2 * N), *out;
    size_t bytes;
    for (int i = 0; i < N; i++) memcpy(s + 2 * i, i < N / 2 ? "\xCC\x81" : "\xCC\xA7", 2);
    assert_ok(att_normalise_text(ATT_NORMALISE_PLAIN, s, 2 * N, NULL, &out, &bytes));
    assert_int_equal(bytes, 2 * N);
    att_text_free(NULL, out);
    free(s);
}

static void bad_text_is_refused(void **state)
{
    (void)state;
    char *out;
    size_t bytes;
    for (int how = ATT_NORMALISE_PLAIN; how <= ATT_NORMALISE_TUTORIAL; how++) {
        assert_int_equal(att_normalise_text((att_normalise)how, "ab\xFF", 3, NULL, &out, &bytes), ATT_E_VALUE);
        assert_string_equal(att_last_error(), "text: invalid UTF-8 at byte 3: 0xff");
        assert_null(out);
        assert_int_equal(att_normalise_text((att_normalise)how, "a\0b", 3, NULL, &out, &bytes), ATT_E_VALUE);
        assert_string_equal(att_last_error(), "text: a NUL at byte 2");
        assert_ok(att_normalise_text((att_normalise)how, NULL, 0, NULL, &out, &bytes));
        assert_string_equal(out, "");
        att_text_free(NULL, out);
    }
    assert_int_equal(att_normalise_text((att_normalise)3, "a", 1, NULL, &out, &bytes), ATT_E_VALUE);
    att_normalise how;
    assert_ok(att_normalise_parse("tutorial", &how));
    assert_int_equal(how, ATT_NORMALISE_TUTORIAL);
    assert_int_equal(att_normalise_parse("Plain", &how), ATT_E_VALUE);
    assert_string_equal(att_normalise_name((att_normalise)-1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_check_equals_another_decoder),
        cmocka_unit_test(utf8_check_accepts_every_code_point),
        cmocka_unit_test(utf8_check_names_the_first_bad_byte),
        cmocka_unit_test(plain_gives_known_answers),
        cmocka_unit_test(none_changes_nothing),
        cmocka_unit_test(tutorial_gives_known_answers),
        cmocka_unit_test(plain_equals_nfkc_of_utf8proc),
        cmocka_unit_test(normalising_twice_changes_nothing),
        cmocka_unit_test(marks_beyond_number_take_no_time),
        cmocka_unit_test(bad_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
