#include "harness.h"

#include <attend/plot.h>

#include "allocator.h"

static const char *const source[] = {"la", "casa", "\"<&\\\n\x7f", "", "الأطفال", "\xf0\x9f\x98\x80", "</s>"};
static const char *const target[] = {"the", "house", " ", "</s>", "孩子们"};
enum { S = sizeof source / sizeof *source, T = sizeof target / sizeof *target };

static att_attention_record make_record(att_attention_kind kind, int64_t layers, int64_t heads, const float *w)
{
    return (att_attention_record){.kind = kind,
                                  .source = source,
                                  .target = target,
                                  .n_source = S,
                                  .n_target = T,
                                  .layers = layers,
                                  .heads = heads,
                                  .rows = kind == ATT_ATTENTION_ENCODER ? S : T,
                                  .cols = kind == ATT_ATTENTION_DECODER ? T : S,
                                  .weights = w};
}

static void round_trip(void **state)
{
    (void)state;
    enum { L = 2, H = 3 };
    float w[L * H * S * S];
    fill_f32(w, L * H * S * S, 11, 1);
    w[0] = 0, w[1] = 1, w[2] = 1e-30f, w[3] = -3.25e30f, w[4] = 1e-45f, w[5] = 3.402823e38f, w[6] = 0.1f;
    FILE *f = tmpfile();
    for (int kind = 0; kind < 3; kind++) {
        att_attention_record r = make_record((att_attention_kind)kind, kind == 1 ? L : 1, H, w);
        assert_ok(att_attention_write(&r, f));
    }
    fputs("\n  \n", f);
    rewind(f);
    att_attention_reader *reader;
    const att_attention_record *got;
    assert_ok(att_attention_reader_create(f, "memory", NULL, &reader));
    for (int kind = 0; kind < 3; kind++) {
        att_attention_record r = make_record((att_attention_kind)kind, kind == 1 ? L : 1, H, w);
        assert_ok(att_attention_reader_next(reader, &got));
        assert_non_null(got);
        assert_int_equal(got->kind, kind);
        assert_int_equal(got->layers, r.layers);
        assert_int_equal(got->heads, H);
        assert_int_equal(got->rows, r.rows);
        assert_int_equal(got->cols, r.cols);
        for (int i = 0; i < S; i++) assert_string_equal(got->source[i], source[i]);
        for (int i = 0; i < T; i++) assert_string_equal(got->target[i], target[i]);
        for (int64_t i = 0; i < r.layers * H * r.rows * r.cols; i++)
            if (!(fabsf(got->weights[i] - w[i]) <= 5.1e-6f * fabsf(w[i]) + 1e-45f))
                fail_msg("weight %lld: %.9g, expected %.9g", (long long)i, (double)got->weights[i], (double)w[i]);
    }
    assert_ok(att_attention_reader_next(reader, &got));
    assert_null(got);
    att_attention_reader_destroy(reader);
    fclose(f);
}

/* The records of a text, or the status and message of the first error. */
static att_status read_text(const char *text, size_t bytes, const att_allocator *a, int64_t *records)
{
    FILE *f = tmpfile();
    att_attention_reader *reader = NULL;
    const att_attention_record *record = NULL;
    fwrite(text, 1, bytes, f);
    rewind(f);
    *records = 0;
    att_status st = att_attention_reader_create(f, "some.jsonl", a, &reader);
    while (st == ATT_OK) {
        st = att_attention_reader_next(reader, &record);
        if (st != ATT_OK || !record) break;
        ++*records;
        float sum = 0; /* touch everything */
        for (int64_t i = 0; i < record->layers * record->heads * record->rows * record->cols; i++)
            sum += record->weights[i];
        for (int64_t i = 0; i < record->rows; i++) sum += (float)strlen(att_attention_row_labels(record)[i]);
        for (int64_t i = 0; i < record->cols; i++) sum += (float)strlen(att_attention_col_labels(record)[i]);
        assert_false(isnan(sum));
    }
    att_attention_reader_destroy(reader);
    fclose(f);
    return st;
}

#define GOOD "{\"kind\":\"cross\",\"source\":[\"a\",\"b\"],\"target\":[\"c\"],\"weights\":[[[[0.5,0.5]]]]}"

static void bad_lines_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } bad[] = {
        {"{", "the line ends at byte 2, expected a key in quotes"},
        {"[1,2]", "'[' at byte 1, expected '{'"},
        {"{}", "\"kind\" is missing"},
        {GOOD "x", "'x' at byte 77, expected the end of the line"},
        {"{\"kind\":\"cross\",\"kind\":\"cross\"}", "\"kind\" appears twice"},
        {"{\"kind\":\"sideways\"}", "\"sideways\", expected cross, encoder or decoder"},
        {"{\"kind\":7}", "\"kind\" is no string"},
        {"{\"kind\":\"cross\",\"source\":[\"a\"],\"target\":[\"b\"]}", "\"weights\" is missing"},
        {"{\"kind\":\"cross\",\"target\":[\"b\"],\"weights\":[[[[1]]]]}", "\"source\" is missing"},
        {"{\"kind\":\"encoder\",\"target\":[\"b\"],\"weights\":[[[[1]]]]}", "\"source\" is missing"},
        {"{\"kind\":\"decoder\",\"source\":[\"b\"],\"weights\":[[[[1]]]]}", "\"target\" is missing"},
        {"{\"kind\":\"cross\",\"source\":[\"a\",3]}", "source[1] is no string"},
        {"{\"kind\":\"cross\",\"source\":\"a\"}", "\"source\" is no array"},
        {"{\"kind\":\"cross\",\"source\":[\"\xff\"]}", "byte "},
        {"{\"kind\":\"cross\",\"source\":[\"a\\u0000\"]}", "byte "},
        {"{\"weights\":[[[[1,2],[1,2,3]]]]}", "weights[0][0][1] has 3 columns, expected 2"},
        {"{\"weights\":[[[[1]],[[1],[1]]]]}", "weights[0][1] has 2 rows, expected 1"},
        {"{\"weights\":[[[[1]]],[[[1]],[[1]]]]}", "weights[1] has 2 heads, expected 1"},
        {"{\"weights\":[[[[1]]],1]}", "weights[1] at byte 21 is no array"},
        {"{\"weights\":[[[[[1]]]]]}", "'[' at byte 16, expected a number"},
        {"{\"weights\":[[[1]]]}", "weights[0][0][0] at byte 15 is no array"},
        {"{\"weights\":3}", "weights at byte 12 is no array"},
        {"{\"weights\":[]}", "weights has no layers"},
        {"{\"weights\":[[[[]]]]}", "weights[0][0][0] has no columns"},
        {"{\"weights\":[[[[1,NaN]]]]}", "weights[0][0][0][1] is NaN, expected a number"},
        {"{\"weights\":[[[[1,-Infinity]]]]}", "weights[0][0][0][1] is -Infinity"},
        {"{\"weights\":[[[[null]]]]}", "weights[0][0][0][0] is null"},
        {"{\"weights\":[[[[\"1\"]]]]}", "weights[0][0][0][0] is \"1\""},
        {"{\"weights\":[[[[1e39]]]]}", "too large"},
        {"{\"weights\":[[[[1e999999999999999999999]]]]}", "too large"},
        {"{\"weights\":[[[[01]]]]}", "starts with a zero"},
        {"{\"weights\":[[[[1.]]]]}", "'.' at byte 17"},
        {"{\"weights\":[[[[.5]]]]}", "weights[0][0][0][0] is .5"},
        {"{\"weights\":[[[[1e]]]]}", "expected an exponent"},
        {"{\"weights\":[[[[1,]]]]}", "expected a number"},
        {"{\"weights\":[[[[1 2]]]]}", "'2' at byte 18, expected ',' or ']'"},
        {"{\"weights\":[[[[1]]]", "expected ',' or ']'"},
        {"{\"x\":tru}", "byte "},
        {"{\"x\":\"open}", "the string at byte 6 has no end"},
        {"{\"x\":{\"a\":1,\"a\":2}}", "byte "},
        {"{\"x\" 1}", "expected ':'"},
        {"{\"x\":}", "'}' at byte 6, expected a value"},
        {"{\"x\":1,}", "expected a key in quotes"},
        {"{\"kind\":\"cross\",\"source\":[\"a\"],\"target\":[\"b\"],\"weights\":[[[[1,2]]]]}",
         "1 rows and 2 columns, expected 1 and 1 (kind cross, 1 source and 1 target"},
    };
    int64_t n;
    assert_ok(read_text(GOOD, strlen(GOOD), NULL, &n));
    assert_int_equal(n, 1);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        char text[512];
        int bytes = snprintf(text, sizeof text, "%s\n\r\n%s\n%s\n", GOOD, bad[k].line, GOOD);
        att_status st = read_text(text, (size_t)bytes, NULL, &n);
        if (st != ATT_E_FORMAT) fail_msg("%s: %s", bad[k].line, att_status_name(st));
        assert_int_equal(n, 1);
        if (strncmp(att_last_error(), "some.jsonl:3: ", 14) != 0 || !strstr(att_last_error(), bad[k].says))
            fail_msg("%s: \"%s\", expected \"%s\"", bad[k].line, att_last_error(), bad[k].says);
    }
}

static void order_blanks_and_foreign_keys_do_not_matter(void **state)
{
    (void)state;
    static const char text[] =
        " { \"weights\" : [ [ [ [ 5e-1 , 0.25E+0 ] ] ] ] , \"note\": {\"a]\": [\"}\\\"\", 1, null]},\t"
        "\"\\u0074arget\": [\"c\"], \"source\": [\"a\",\"b\"], \"score\": -1.5e3,\"kind\":\"cross\" } \r\n";
    int64_t n;
    assert_ok(read_text(text, sizeof text - 1, NULL, &n));
    assert_int_equal(n, 1);
}

static char *repeat(const char *before, const char *unit, size_t times, const char *after, size_t *bytes)
{
    size_t a = strlen(before), u = strlen(unit), z = strlen(after);
    char *text = malloc(a + u * times + z + 1);
    memcpy(text, before, a);
    for (size_t i = 0; i < times; i++) memcpy(text + a + i * u, unit, u);
    memcpy(text + a + u * times, after, z + 1);
    *bytes = a + u * times + z;
    return text;
}

static void deep_and_long_lines_fail_softly(void **state)
{
    (void)state;
    static const char *const part[][3] = {{"", "[", ""},
                                          {"{\"x\":", "[", ""},
                                          {"{\"weights\":", "[", ""},
                                          {"{\"x\":", "{\"a\":", ""},
                                          {"{\"kind\":\"", "\\", ""},
                                          {"{\"weights\":[[[[", "1", "e400]]]]}"},
                                          {"{\"weights\":[[[[", "0,", "0]]]]}"},
                                          {"{", "\"k\":1,", "}"},
                                          {"", "\xff", ""},
                                          {"", "}", "\n"}};
    for (size_t k = 0; k < sizeof part / sizeof *part; k++) {
        size_t bytes;
        int64_t n;
        char *text = repeat(part[k][0], part[k][1], 300000, part[k][2], &bytes);
        assert_int_equal(read_text(text, bytes, NULL, &n), ATT_E_FORMAT);
        assert_int_equal(n, 0);
        free(text);
    }
    int64_t n;
    assert_int_equal(read_text("{\"a\0b\":1}", 9, NULL, &n), ATT_E_FORMAT);
}

/* Every prefix is an error but the empty and the whole, and random changes never crash or lose memory. */
static void cut_and_changed_lines(void **state)
{
    (void)state;
    char text[] = GOOD;
    int64_t n;
    for (size_t bytes = 1; bytes + 1 < sizeof text; bytes++)
        assert_int_equal(read_text(text, bytes, NULL, &n), ATT_E_FORMAT);
    att_random r = {.seed = 77};
    static const char alphabet[] = "{}[]\",:\\0123456789.eE+-nNaAtfu \n\x00\xff\xc3\x28kindsourcetargetweights";
    for (int k = 0; k < 20000; k++) {
        char changed[sizeof text];
        memcpy(changed, text, sizeof text);
        for (uint64_t c = 1 + att_random_below(&r, 4); c > 0; c--)
            changed[att_random_below(&r, sizeof text - 1)] = alphabet[att_random_below(&r, sizeof alphabet - 1)];
        test_allocator books;
        test_allocator_init(&books, 0);
        att_status st = read_text(changed, sizeof text - 1, &books.allocator, &n);
        if (st != ATT_OK && st != ATT_E_FORMAT) fail_msg("%s: %s", att_status_name(st), att_last_error());
        assert_int_equal(books.live_blocks, 0);
    }
}

static void memory_running_out_is_an_error(void **state)
{
    (void)state;
    int64_t n;
    for (int64_t at = 1;; at++) {
        test_allocator books;
        test_allocator_init(&books, at);
        att_status st = read_text(GOOD "\n" GOOD, 2 * sizeof GOOD - 1, &books.allocator, &n);
        assert_int_equal(books.live_blocks, 0);
        if (st == ATT_OK) break;
        assert_int_equal(st, ATT_E_MEMORY);
        assert_true(at < 50);
    }
    assert_int_equal(n, 2);
}

static void writing_checks_the_record(void **state)
{
    (void)state;
    float w[S * S] = {0};
    FILE *f = tmpfile();
    att_attention_record good = make_record(ATT_ATTENTION_CROSS, 1, 1, w), r = good;
    r.rows++;
    assert_int_equal(att_attention_write(&r, f), ATT_E_SHAPE);
    assert_non_null(strstr(att_last_error(), "6 rows"));
    r = good, r.layers = 0;
    assert_int_equal(att_attention_write(&r, f), ATT_E_SHAPE);
    r = good, r.layers = INT64_MAX, r.heads = 3;
    assert_int_equal(att_attention_write(&r, f), ATT_E_SHAPE);
    r = good, r.kind = (att_attention_kind)9;
    assert_int_equal(att_attention_write(&r, f), ATT_E_VALUE);
    r = good, r.weights = NULL;
    assert_int_equal(att_attention_write(&r, f), ATT_E_VALUE);
    w[9] = NAN;
    assert_int_equal(att_attention_write(&good, f), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "weight 9 of layer 0, head 0"));
    w[9] = 0;
    const char *const broken[S] = {"a", "b", "\xc3", "d", "e", "f", "g"};
    r = good, r.source = broken;
    assert_int_equal(att_attention_write(&r, f), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "source token 2 is not UTF-8 at byte 0"));
    assert_int_equal(ftell(f), 0);
    fclose(f);
}

static void maps_and_alignments(void **state)
{
    (void)state;
    static const char *const s[] = {"a", "b", "c"}, *const t[] = {"x", "y"};
    const float w[2 * 2 * 6] = {1,      0, 0, 0, 0, 1, /**/ 0, 1, 0, 0, .5f, .5f,
                                /**/ 0, 0, 1, 1, 0, 0, /**/ 0, 1, 0, 0, 1,   0};
    att_attention_record r = {ATT_ATTENTION_CROSS, s, t, 3, 2, 2, 2, 2, 3, w};
    float map[6];
    assert_ok(att_attention_map(&r, 1, 0, map));
    assert_memory_equal(map, w + 12, sizeof map);
    assert_ok(att_attention_map(&r, ATT_PLOT_MEAN, 1, map));
    assert_true(map[1] == 1 && map[4] == 0.75f && map[5] == 0.25f);
    assert_ok(att_attention_map(&r, ATT_PLOT_MEAN, ATT_PLOT_MEAN, map));
    assert_true(map[0] == 0.25f && map[1] == 0.5f && map[2] == 0.25f);
    assert_int_equal(att_attention_map(&r, 2, 0, map), ATT_E_VALUE);
    assert_int_equal(att_attention_map(&r, 0, -1, map), ATT_E_VALUE);
    char line[64] = "";
    FILE *f = tmpfile();
    assert_ok(att_attention_pharaoh(&r, 0, 0, f));
    assert_ok(att_attention_pharaoh(&r, 0, 1, f));
    rewind(f);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "0-0 2-1\n");
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "1-0 1-1\n"); /* the first of equals */
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(order_blanks_and_foreign_keys_do_not_matter),
        cmocka_unit_test(deep_and_long_lines_fail_softly),
        cmocka_unit_test(cut_and_changed_lines),
        cmocka_unit_test(memory_running_out_is_an_error),
        cmocka_unit_test(writing_checks_the_record),
        cmocka_unit_test(maps_and_alignments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
