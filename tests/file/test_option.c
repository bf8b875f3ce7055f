#include "harness.h"

#include <attend/file.h>
#include <attend/option.h>
#include <locale.h>
#include <unistd.h>

typedef struct recipe {
    int64_t hidden, steps;
    double rate, dropout;
    int tied, cell, score;
    char *train, *note;
} recipe;

static const char *const cells[] = {"gru", "lstm", NULL};
static const char *const scores[] = {"additive", "dot", "none", NULL};
static const att_option options[] = {
    {"model.hidden", ATT_OPTION_INT, offsetof(recipe, hidden), "256", 1, 65536, NULL, "width of the state"},
    {"model.cell", ATT_OPTION_CHOICE, offsetof(recipe, cell), "lstm", 0, 0, cells, "recurrent cell"},
    {"data.train", ATT_OPTION_STRING, offsetof(recipe, train), "", 0, 0, NULL, "file of sentence pairs"},
    {"model.attention.score", ATT_OPTION_CHOICE, offsetof(recipe, score), "additive", 0, 0, scores, "attention score"},
    {"model.tied", ATT_OPTION_BOOL, offsetof(recipe, tied), "yes", 0, 0, NULL, "one table for both embeddings"},
    {"note", ATT_OPTION_STRING, offsetof(recipe, note), "plain", 0, 0, NULL, "free text"},
    {"train.rate", ATT_OPTION_REAL, offsetof(recipe, rate), "1e-3", 0, 1, NULL, "learning rate"},
    {"train.dropout", ATT_OPTION_REAL, offsetof(recipe, dropout), "0", 0, 0.9, NULL, "share of dropped activations"},
    {"train.steps", ATT_OPTION_INT, offsetof(recipe, steps), "1000", 1, INFINITY, NULL, "at most so many"},
};
static const att_options table = {options, sizeof options / sizeof *options, sizeof(recipe), 0};

static char path[64]; /* of the recipe that a test writes */

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/attend-option-%ld.yaml", (long)getpid());
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void write_recipe(const char *text, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, bytes, f), bytes);
    fclose(f);
}

static att_status read_recipe(recipe *r, const char *text)
{
    write_recipe(text, strlen(text));
    return att_options_read_yaml(&table, r, path);
}

/* The message, without the path in front of the line number. */
static void assert_message(const char *want)
{
    const char *message = att_last_error();
    size_t n = strlen(path);
    if (strncmp(message, path, n) == 0) message += n + 1;
    assert_string_equal(message, want);
}

static void presets(void **state)
{
    (void)state;
    recipe r;
    memset(&r, 0x5a, sizeof r);
    assert_ok(att_options_init(&table, &r));
    assert_int_equal(r.hidden, 256);
    assert_int_equal(r.steps, 1000);
    assert_int_equal(r.cell, 1);
    assert_int_equal(r.score, 0);
    assert_int_equal(r.tied, 1);
    assert_true(r.rate == 1e-3 && r.dropout == 0);
    assert_string_equal(r.train, "");
    assert_string_equal(r.note, "plain");
    att_options_free(&table, &r);
    assert_null(r.note);
}

static void tables_with_mistakes_are_refused(void **state)
{
    (void)state;
    recipe r;
    att_option wrong[] = {options[0], options[6]};
    const att_options two = {wrong, 2, sizeof(recipe), 0};
    wrong[1].preset = "2";
    assert_int_equal(att_options_init(&two, &r), ATT_E_VALUE);
    assert_message("preset of train.rate: 2.0, expected a number from 0.0 to 1.0");
    wrong[1] = options[0];
    assert_int_equal(att_options_init(&two, &r), ATT_E_VALUE);
    wrong[1] = options[6];
    wrong[1].key = "model";
    assert_int_equal(att_options_init(&two, &r), ATT_E_VALUE);
    assert_message("table: key 'model' is there twice, or also a section");
}

typedef struct refusal {
    const char *text;
    const char *message;
} refusal;

static void assignments(void **state)
{
    (void)state;
    static const refusal bad[] = {
        {"model.hidden=big", "model.hidden: 'big', expected an integer from 1 to 65536"},
        {"model.hidden=0", "model.hidden: 0, expected an integer from 1 to 65536"},
        {"model.hidden=65537", "model.hidden: 65537, expected an integer from 1 to 65536"},
        {"model.hidden=1.5", "model.hidden: '1.5', expected an integer from 1 to 65536"},
        {"model.hidden=1_000", "model.hidden: '1_000', expected an integer from 1 to 65536"},
        {"model.hidden=0x10", "model.hidden: '0x10', expected an integer from 1 to 65536"},
        {"model.hidden= 5", "model.hidden: ' 5', expected an integer from 1 to 65536"},
        {"model.hidden=5 ", "model.hidden: '5 ', expected an integer from 1 to 65536"},
        {"model.hidden=-", "model.hidden: '-', expected an integer from 1 to 65536"},
        {"model.hidden=", "model.hidden: '', expected an integer from 1 to 65536"},
        {"train.steps=0", "train.steps: 0, expected an integer of at least 1"},
        {"train.steps=9223372036854775808", "train.steps: '9223372036854775808', expected an integer of at least 1"},
        {"train.rate=nan", "train.rate: 'nan', expected a number from 0.0 to 1.0"},
        {"train.rate=inf", "train.rate: 'inf', expected a number from 0.0 to 1.0"},
        {"train.rate=1e999", "train.rate: '1e999', expected a number from 0.0 to 1.0"},
        {"train.rate=0x1p-3", "train.rate: '0x1p-3', expected a number from 0.0 to 1.0"},
        {"train.rate=1e", "train.rate: '1e', expected a number from 0.0 to 1.0"},
        {"train.rate=.", "train.rate: '.', expected a number from 0.0 to 1.0"},
        {"train.rate=1.5", "train.rate: 1.5, expected a number from 0.0 to 1.0"},
        {"train.rate=0,5", "train.rate: '0,5', expected a number from 0.0 to 1.0"},
        {"model.tied=maybe", "model.tied: 'maybe', expected true or false"},
        {"model.cell=rnn", "model.cell: 'rnn', expected gru or lstm"},
        {"model.attention.score=", "model.attention.score: '', expected additive, dot or none"},
        {"note=\xff", "note: invalid UTF-8, expected text"},
        {"modle.cell=gru", "unknown key 'modle.cell' (did you mean 'model.cell'?)"},
        {"hidden=5", "unknown key 'hidden' (did you mean 'model.hidden'?)"},
        {"weather=5", "unknown key 'weather'"},
        {"model=5", "'model' is a section, expected keys in it such as 'model.hidden'"},
        {"model.hidden", "'model.hidden': expected key=value"},
        {"=5", "'=5': expected key=value"},
        {"", "'': expected key=value"},
    };
    recipe r, before;
    assert_ok(att_options_init(&table, &r));
    assert_ok(att_options_copy(&table, &before, &r));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(att_options_set(&table, &r, bad[i].text), ATT_E_VALUE);
        assert_message(bad[i].message);
        assert_true(att_options_equal(&table, &r, &before));
    }
    assert_ok(att_options_set(&table, &r, "model.hidden=+65536"));
    assert_ok(att_options_set(&table, &r, "train.steps=9223372036854775807"));
    assert_ok(att_options_set(&table, &r, "train.rate=2.5E-1"));
    assert_ok(att_options_set(&table, &r, "train.dropout=.5"));
    assert_ok(att_options_set(&table, &r, "model.tied=off"));
    assert_ok(att_options_set(&table, &r, "note=a=b # c"));
    assert_int_equal(r.hidden, 65536);
    assert_int_equal(r.steps, INT64_MAX);
    assert_true(r.rate == 0.25 && r.dropout == 0.5 && r.tied == 0);
    assert_string_equal(r.note, "a=b # c");
    assert_false(att_options_equal(&table, &r, &before));
    att_options_free(&table, &r);
    att_options_free(&table, &before);
}

static void yaml_is_read(void **state)
{
    (void)state;
    recipe r;
    assert_ok(att_options_init(&table, &r));
    assert_ok(read_recipe(&r, "# a comment\n"
                              "model:\n"
                              "  hidden: 64\n"
                              "  attention: {score: none}\n"
                              "data:\n"
                              "  # nothing yet\n"
                              "data.train: \"a b.tsv\"\n"
                              "note: |\n"
                              "  two\n"
                              "  lines\n"
                              "train: {rate: 5e-4, steps: 7}\n"));
    assert_int_equal(r.hidden, 64);
    assert_int_equal(r.score, 2);
    assert_int_equal(r.cell, 1);
    assert_string_equal(r.train, "a b.tsv");
    assert_string_equal(r.note, "two\nlines\n");
    assert_true(r.rate == 5e-4 && r.steps == 7);
    assert_ok(read_recipe(&r, ""));
    assert_ok(read_recipe(&r, "# only a comment\n"));
    assert_ok(read_recipe(&r, "---\nnote: ~\n"));
    assert_string_equal(r.note, "");
    assert_int_equal(r.hidden, 64);
    att_options_free(&table, &r);
}

static void yaml_errors_name_the_line(void **state)
{
    (void)state;
    static const refusal bad[] = {
        {"model:\n  hidden: big\n", "2: model.hidden: 'big', expected an integer from 1 to 65536"},
        {"model:\n  hidden: \"64\"\n", "2: model.hidden: a text in quotes, expected an integer from 1 to 65536"},
        {"model:\n  hidden:\n", "2: model.hidden: nothing, expected an integer from 1 to 65536"},
        {"\nmodle:\n  cell: gru\n", "2: unknown key 'modle'"},
        {"\nmodle.cell: gru\n", "2: unknown key 'modle.cell' (did you mean 'model.cell'?)"},
        {"model:\n  cel: gru\n", "2: unknown key 'model.cel' (did you mean 'model.cell'?)"},
        {"model:\n  hidden: [1, 2]\n", "2: model.hidden: a list, expected an integer from 1 to 65536"},
        {"model:\n  hidden: {a: 1}\n", "2: model.hidden: a section, expected an integer from 1 to 65536"},
        {"note: &a x\ndata: {train: *a}\n", "2: data.train: an alias, expected text"},
        {"model: 5\n", "1: 'model' is a section, expected keys in it such as 'model.hidden'"},
        {"model: [5]\n", "1: 'model' is a section, expected keys in it such as 'model.hidden'"},
        {"model:\n  hidden: 1\nnote: x\nmodel.hidden: 2\n", "4: duplicate key 'model.hidden' (first on line 2)"},
        {"train: {rate: 0.5}\ntrain: {steps: 5}\n", "2: duplicate key 'train' (first on line 1)"},
        {"- note\n", "1: expected lines of the form 'key: value'"},
        {"note\n", "1: expected lines of the form 'key: value'"},
        {"? [a]\n: b\n", "1: a key must be a plain word"},
        {"note: a\n---\nnote: b\n", "2: a second document, expected one"},
        {"note: \"a\\0b\"\n", "1: note: holds a NUL character"},
        {"model.cell: GRU\n", "1: model.cell: 'GRU', expected gru or lstm"},
    };
    recipe r, before;
    assert_ok(att_options_init(&table, &r));
    assert_ok(att_options_copy(&table, &before, &r));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_recipe(&r, bad[i].text), ATT_E_VALUE);
        assert_message(bad[i].message);
        assert_true(att_options_equal(&table, &r, &before));
    }
    assert_int_equal(read_recipe(&r, "note: a\n}\n"), ATT_E_FORMAT);
    assert_non_null(strstr(att_last_error(), ".yaml:2: not YAML: "));
    assert_int_equal(read_recipe(&r, "note: a\n\tmodel: 1\n"), ATT_E_FORMAT);
    assert_non_null(strstr(att_last_error(), ".yaml:2: not YAML: "));
    assert_int_equal(read_recipe(&r, "note: a\ndata: {train: \xff\xfe}\n"), ATT_E_FORMAT);
    assert_non_null(strstr(att_last_error(), ".yaml:2: not YAML: "));
    assert_int_equal(att_options_read_yaml(&table, &r, "/nowhere/at/all.yaml"), ATT_E_MISSING);
    assert_int_equal(att_options_read_yaml(&table, &r, "/tmp"), ATT_E_FORMAT);
    att_options_free(&table, &r);
    att_options_free(&table, &before);
}

static void deep_yaml_is_harmless(void **state)
{
    (void)state;
    enum { N = 100000 };
    static const char *const pieces[] = {"[", "{a: ", "- ", "? "};
    recipe r;
    assert_ok(att_options_init(&table, &r));
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        size_t n = strlen(pieces[p]);
        char *text = malloc(n * N);
        for (size_t i = 0; i < N; i++) memcpy(text + i * n, pieces[p], n);
        write_recipe(text, n * N);
        assert_int_not_equal(att_options_read_yaml(&table, &r, path), ATT_OK);
        free(text);
    }
    att_options_free(&table, &r);
}

/* Any text of code points that a string may hold. */
static void random_text(att_random *random, char *out, int letters)
{
    static const uint32_t hard[] = {'"',    '\\',   '\n',   '\t',    '\r',  ' ',   '#',     ':',
                                    '-',    '\'',   '~',    0x1,     0x7f,  0x85,  0xa0,    0x2028,
                                    0x2029, 0xfeff, 0xffff, 0x1f600, 0x7ff, 0x800, 0x10ffff};
    for (int i = 0; i < letters; i++) {
        uint64_t pick = att_random_below(random, 3);
        uint32_t c = pick == 0 ? hard[att_random_below(random, sizeof hard / sizeof *hard)]
                               : 1 + (uint32_t)att_random_below(random, pick == 1 ? 0x7e : 0xd7fe);
        if (c < 0x80) {
            *out++ = (char)c;
        } else if (c < 0x800) {
            *out++ = (char)(0xc0 | c >> 6);
            *out++ = (char)(0x80 | (c & 63));
        } else if (c < 0x10000) {
            *out++ = (char)(0xe0 | c >> 12);
            *out++ = (char)(0x80 | (c >> 6 & 63));
            *out++ = (char)(0x80 | (c & 63));
        } else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 63));
            *out++ = (char)(0x80 | (c >> 6 & 63));
            *out++ = (char)(0x80 | (c & 63));
        }
    }
    *out = '\0';
}

static void random_record(att_random *random, recipe *r)
{
    char text[400] = "note=", number[64];
    assert_ok(att_options_init(&table, r));
    random_text(random, text + 5, (int)att_random_below(random, 20));
    assert_ok(att_options_set(&table, r, text));
    static const char *const words[] = {"true", "No",    "null",   "~",      "12", "1e3", "a b", "-",
                                        "x: y", " lead", "trail ", "/a/b.c", "#",  "&a",  "*a",  "!t",
                                        "%x",   "@",     "`",      "[",      "y",  "<<"};
    snprintf(text, sizeof text, "data.train=%s", words[att_random_below(random, sizeof words / sizeof *words)]);
    assert_ok(att_options_set(&table, r, text));
    snprintf(number, sizeof number, "train.rate=%.17g",
             att_random_uniform(random) * pow(10, -(double)att_random_below(random, 300)));
    assert_ok(att_options_set(&table, r, number));
    snprintf(number, sizeof number, "train.steps=%llu", 1 + (unsigned long long)att_random_below(random, INT64_MAX));
    assert_ok(att_options_set(&table, r, number));
    assert_ok(att_options_set(&table, r, att_random_below(random, 2) ? "model.tied=no" : "model.cell=gru"));
}

static void written_records_read_back(void **state)
{
    (void)state;
    att_random random = {.seed = 3};
    for (int i = 0; i < 300; i++) {
        recipe r, back;
        char *text;
        random_record(&random, &r);
        assert_ok(att_options_init(&table, &back));
        assert_ok(att_options_to_yaml(&table, &r, &text));
        att_status st = read_recipe(&back, text);
        if (st != ATT_OK) fail_msg("%s in\n%s", att_last_error(), text);
        if (!att_options_equal(&table, &r, &back)) fail_msg("another record from\n%s", text);
        att_string_free(text);
        att_options_free(&table, &back);
        assert_ok(att_options_init(&table, &back));
        assert_ok(att_options_to_json(&table, &r, &text));
        assert_ok(att_options_from_json(&table, &back, text, strlen(text)));
        if (!att_options_equal(&table, &r, &back)) fail_msg("another record from\n%s", text);
        att_string_free(text);
        att_options_free(&table, &back);
        att_options_free(&table, &r);
    }
}

static void written_forms(void **state)
{
    (void)state;
    recipe r;
    char *text;
    assert_ok(att_options_init(&table, &r));
    assert_ok(att_options_to_yaml(&table, &r, &text));
    assert_string_equal(text, "model:\n"
                              "  hidden: 256  # width of the state\n"
                              "  cell: lstm  # recurrent cell\n"
                              "  attention:\n"
                              "    score: additive  # attention score\n"
                              "  tied: true  # one table for both embeddings\n"
                              "data:\n"
                              "  train: \"\"  # file of sentence pairs\n"
                              "note: plain  # free text\n"
                              "train:\n"
                              "  rate: 0.001  # learning rate\n"
                              "  dropout: 0.0  # share of dropped activations\n"
                              "  steps: 1000  # at most so many\n");
    att_string_free(text);
    assert_ok(att_options_to_json(&table, &r, &text));
    assert_string_equal(text, "{\"model\":{\"hidden\":256,\"cell\":\"lstm\",\"attention\":{\"score\":\"additive\"},"
                              "\"tied\":true},\"data\":{\"train\":\"\"},\"note\":\"plain\","
                              "\"train\":{\"rate\":0.001,\"dropout\":0.0,\"steps\":1000}}");
    att_string_free(text);
    assert_ok(att_options_help(&table, &text));
    assert_non_null(strstr(text, "model.hidden           an integer from 1 to 65536  256       width of the state\n"));
    assert_non_null(strstr(text, "data.train             text                        -         file of sentence"));
    att_string_free(text);
    att_options_free(&table, &r);
}

static void json_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        att_status status;
        const char *message;
    } bad[] = {
        {"{\"model\":{\"hidden\":1.5}}", ATT_E_VALUE,
         "configuration: model.hidden: a number with a fraction, expected an integer from 1 to 65536"},
        {"{\"model\":{\"hidden\":\"5\"}}", ATT_E_VALUE,
         "configuration: model.hidden: a text, expected an integer from 1 to 65536"},
        {"{\"model\":{\"hidden\":0}}", ATT_E_VALUE,
         "configuration: model.hidden: 0, expected an integer from 1 to 65536"},
        {"{\"model\":{\"tied\":1}}", ATT_E_VALUE, "configuration: model.tied: an integer, expected true or false"},
        {"{\"model\":{\"cell\":\"x\"}}", ATT_E_VALUE, "configuration: model.cell: 'x', expected gru or lstm"},
        {"{\"note\":null}", ATT_E_VALUE, "configuration: note: null, expected text"},
        {"{\"note\":{}}", ATT_E_VALUE, "configuration: note: an object, expected text"},
        {"{\"model\":5}", ATT_E_VALUE, "configuration: 'model' is an integer, expected an object"},
        {"{\"modell\":{}}", ATT_E_VALUE, "configuration: unknown key 'modell' (did you mean 'model'?)"},
        {"[]", ATT_E_FORMAT, "configuration: a list, expected a JSON object"},
    };
    recipe r, before;
    assert_ok(att_options_init(&table, &r));
    assert_ok(att_options_copy(&table, &before, &r));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(att_options_from_json(&table, &r, bad[i].text, strlen(bad[i].text)), bad[i].status);
        assert_message(bad[i].message);
        assert_true(att_options_equal(&table, &r, &before));
    }
    static const char *const broken[] = {"",
                                         "{",
                                         "{\"note\":\"a\"",
                                         "{\"note\":\"a\"}x",
                                         "{\"note\":1,\"note\":2}",
                                         "{\"train\":{\"rate\":1e999}}",
                                         "{\"note\":\"\xff\"}",
                                         "{\"note\":\"\\u0000\"}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_int_equal(att_options_from_json(&table, &r, broken[i], strlen(broken[i])), ATT_E_FORMAT);
    assert_true(att_options_equal(&table, &r, &before));
    static const char mixed[] = "{\"future\":[1,{\"a\":2}],\"train\":{\"rate\":1,\"new\":0}}";
    assert_int_equal(att_options_from_json(&table, &r, mixed, strlen(mixed)), ATT_E_VALUE);
    att_options lenient = table;
    lenient.skip_unknown = 1;
    assert_ok(att_options_from_json(&lenient, &r, mixed, strlen(mixed)));
    assert_true(r.rate == 1.0);
    enum { N = 100000 };
    char *deep = malloc(N);
    memset(deep, '[', N);
    assert_int_equal(att_options_from_json(&table, &r, deep, N), ATT_E_FORMAT);
    free(deep);
    att_options_free(&table, &r);
    att_options_free(&table, &before);
}

static void locale_does_not_matter(void **state)
{
    (void)state;
    recipe r;
    char *text;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8")) skip();
    assert_ok(att_options_init(&table, &r));
    assert_ok(att_options_set(&table, &r, "train.rate=0.5"));
    assert_ok(att_options_to_yaml(&table, &r, &text));
    setlocale(LC_NUMERIC, "C");
    assert_true(r.rate == 0.5);
    assert_non_null(strstr(text, "rate: 0.5 "));
    att_string_free(text);
    att_options_free(&table, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets),
        cmocka_unit_test(tables_with_mistakes_are_refused),
        cmocka_unit_test(assignments),
        cmocka_unit_test(yaml_is_read),
        cmocka_unit_test(yaml_errors_name_the_line),
        cmocka_unit_test(deep_yaml_is_harmless),
        cmocka_unit_test(written_records_read_back),
        cmocka_unit_test(written_forms),
        cmocka_unit_test(json_errors),
        cmocka_unit_test(locale_does_not_matter),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
