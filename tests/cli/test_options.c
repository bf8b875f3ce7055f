#include "harness.h"

#include <unistd.h>

#include "common.h"

static struct {
    int64_t beam, offset;
    double penalty;
    int align;
    const char *output;
    bool causal;
} set;

static const char *const aligns[] = {"softmax", "hard", "sample", NULL};
static const char *const corpora[] = {"dates", "copy", NULL};

static const cli_option options[] = {
    {"beam", 'b', CLI_INT, &set.beam, "N", "", .min = 1, .max = 12},
    {"offset", 0, CLI_INT, &set.offset, "N", "any integer"},
    {"penalty", 0, CLI_REAL, &set.penalty, "P", "", .min = -1, .max = HUGE_VAL},
    {"align", 0, CLI_CHOICE, &set.align, NULL, "", .choices = aligns},
    {"output", 'o', CLI_STRING, &set.output, "FILE", "where the result is put"},
    {"causal", 'c', CLI_FLAG, &set.causal, NULL, "only earlier keys"},
    CLI_END,
};

static const cli_command command = {
    .name = "probe", .operands = "MODEL [FILE]", .options = options, .min_operands = 1, .max_operands = 2};

static char message[1000];

/* Parse with standard error caught in `message`. */
static int parse_as(const cli_command *c, int *argc, char **argv)
{
    memset(&set, 0, sizeof set);
    fflush(stderr);
    FILE *caught = tmpfile();
    assert_non_null(caught);
    int saved = dup(2);
    assert_true(saved >= 0 && dup2(fileno(caught), 2) == 2);
    cli_name_command(c->name);
    int status = cli_parse(c, argc, argv);
    fflush(stderr);
    assert_int_equal(dup2(saved, 2), 2);
    close(saved);
    rewind(caught);
    message[fread(message, 1, sizeof message - 1, caught)] = '\0';
    fclose(caught);
    return status;
}

#define PARSE(...)                                                                                                     \
    char *argv[] = {__VA_ARGS__, NULL};                                                                                \
    int argc = (int)(sizeof argv / sizeof *argv) - 1;                                                                  \
    int status = parse_as(&command, &argc, argv)

static void every_way_to_write_an_option(void **state)
{
    (void)state;
    PARSE("m.att", "--beam", "3", "--penalty=-0.5", "--align", "hard", "-oout.png", "-c", "--offset=-9");
    assert_int_equal(status, 0);
    assert_string_equal(message, "");
    assert_int_equal(argc, 1);
    assert_string_equal(argv[0], "m.att");
    assert_int_equal(set.beam, 3);
    assert_int_equal(set.offset, -9);
    assert_true(set.penalty == -0.5);
    assert_int_equal(set.align, 1);
    assert_string_equal(set.output, "out.png");
    assert_true(set.causal);
}

static void operands_and_options_mix(void **state)
{
    (void)state;
    {
        PARSE("-b", "12", "model", "-o", "-", "-");
        assert_int_equal(status, 0);
        assert_int_equal(argc, 2);
        assert_string_equal(argv[1], "-");
        assert_string_equal(set.output, "-");
        assert_int_equal(set.beam, 12);
    }
    {
        PARSE("--", "--beam", "-x");
        assert_int_equal(status, 0);
        assert_int_equal(argc, 2);
        assert_string_equal(argv[0], "--beam");
        assert_int_equal(set.beam, 0);
    }
    {
        PARSE("m", "--output=", "--beam=2", "--beam=4");
        assert_int_equal(status, 0);
        assert_string_equal(set.output, "");
        assert_int_equal(set.beam, 4);
    }
}

static void refuses(const char *expected, int argc, char **argv)
{
    int status = parse_as(&command, &argc, argv);
    if (status != CLI_WRONG || !strstr(message, expected))
        fail_msg("exit status %d, message '%s', expected '%s'", status, message, expected);
    assert_int_equal(strncmp(message, "attend probe: ", 14), 0);
    size_t length = strlen(message);
    if (length < sizeof message - 1) assert_int_equal(message[length - 1], '\n');
}

#define REFUSES(expected, ...)                                                                                         \
    refuses(expected, (int)(sizeof(char *[]){__VA_ARGS__} / sizeof(char *)), (char *[]){__VA_ARGS__, NULL})

static void wrong_values_are_named(void **state)
{
    (void)state;
    REFUSES("--beam: '0', expected an integer from 1 to 12", "m", "--beam=0");
    REFUSES("--beam: '13', expected an integer from 1 to 12", "m", "--beam", "13");
    REFUSES("-b: '3x', expected an integer", "m", "-b3x");
    REFUSES("--beam: '', expected an integer", "m", "--beam=");
    REFUSES("--beam: ' 3', expected an integer", "m", "--beam", " 3");
    REFUSES("--beam: '\t3', expected an integer", "m", "--beam", "\t3");
    REFUSES("--beam: '3.0', expected an integer", "m", "--beam", "3.0");
    REFUSES("--offset: '9223372036854775808', expected an integer\n", "m", "--offset", "9223372036854775808");
    REFUSES("--penalty: '-2', expected a number of at least -1", "m", "--penalty", "-2");
    REFUSES("--penalty: 'nan', expected a number", "m", "--penalty", "nan");
    REFUSES("--penalty: 'inf', expected a number", "m", "--penalty", "inf");
    REFUSES("--penalty: '1e999', expected a number", "m", "--penalty", "1e999");
    REFUSES("--align: 'Hard', expected softmax, hard or sample", "m", "--align", "Hard");
}

static void missing_and_unknown_are_named(void **state)
{
    (void)state;
    REFUSES("--beam: no value given, expected an integer from 1 to 12", "m", "--beam");
    REFUSES("-o: no value given, expected FILE", "m", "-o");
    REFUSES("--causal: takes no value, got 'yes'", "m", "--causal=yes");
    REFUSES("-c: takes no value, got 'b'", "m", "-cb");
    REFUSES("--baem: unknown option; did you mean --beam?", "m", "--baem", "3");
    REFUSES("--zzzzzz: unknown option\n", "m", "--zzzzzz=4");
    REFUSES("-z: unknown option", "m", "-z");
    REFUSES("--align: given as hard and as sample, expected one", "m", "--align=hard", "--align", "sample");
    REFUSES("operands are missing, expected: attend probe MODEL [FILE]", "--causal");
    REFUSES("'c' is one operand too many, expected: attend probe MODEL [FILE]", "a", "b", "c", "d");
}

static void long_words_are_safe(void **state)
{
    (void)state;
    static char word[100000];
    memset(word, 'x', sizeof word - 1);
    REFUSES("unknown option", "m", (memcpy(word, "--", 2), word));
    memcpy(word, "m=", 2);
    PARSE(word);
    assert_int_equal(status, 0);
    static char value[100000];
    memset(value, '7', sizeof value - 1);
    REFUSES("--beam: '7777", "m", "--beam", value);
}

static void the_first_operand_may_be_a_choice(void **state)
{
    (void)state;
    cli_command data = {.name = "data", .operands = "NAME", .words = corpora, .min_operands = 1, .max_operands = 1};
    char *good[] = {"copy", NULL}, *bad[] = {"dotes", NULL}, *option[] = {"--x", "copy", NULL};
    int n = 1;
    assert_int_equal(parse_as(&data, &n, good), 0);
    assert_int_equal(parse_as(&data, &n, bad), CLI_WRONG);
    assert_string_equal(message, "attend data: 'dotes', expected dates or copy\n");
    n = 2;
    assert_int_equal(parse_as(&data, &n, option), CLI_WRONG);
}

static void help_is_found_before_the_dashes(void **state)
{
    (void)state;
    assert_true(cli_wants_help(2, (char *[]){"m", "--help"}));
    assert_true(cli_wants_help(1, (char *[]){"-h"}));
    assert_false(cli_wants_help(3, (char *[]){"m", "--", "--help"}));
    assert_false(cli_wants_help(0, (char *[]){NULL}));
}

static void near_names_are_found(void **state)
{
    (void)state;
    static const char *const names[] = {"train", "translate", "plot", "score", "data", "help", NULL};
    assert_string_equal(cli_nearest("trian", names), "train");
    assert_string_equal(cli_nearest("rain", names), "train");
    assert_string_equal(cli_nearest("transalte", names), "translate");
    assert_string_equal(cli_nearest("date", names), "data");
    assert_string_equal(cli_nearest("hepl", names), "help");
    assert_null(cli_nearest("xyzzy", names));
    assert_null(cli_nearest("", names));
    assert_null(cli_nearest("a very long word that nobody would ever have typed here", names));
}

static void status_becomes_exit_status(void **state)
{
    (void)state;
    static const att_status wrong[] = {ATT_E_VALUE,       ATT_E_SHAPE,  ATT_E_DTYPE,
                                       ATT_E_UNSUPPORTED, ATT_E_FORMAT, ATT_E_MISSING};
    assert_int_equal(cli_exit_status(ATT_OK), 0);
    for (int i = ATT_E_VALUE; i <= ATT_E_INTERRUPTED; i++) {
        int expected = CLI_FAILED;
        for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
            if ((int)wrong[k] == i) expected = CLI_WRONG;
        assert_int_equal(cli_exit_status((att_status)i), expected);
    }
}

static void threads_default_to_all(void **state)
{
    (void)state;
    cli.threads = 0;
    assert_int_equal(cli_exec().threads, att_cpu_count());
    cli.threads = 3;
    assert_int_equal(cli_exec().threads, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_write_an_option),
        cmocka_unit_test(operands_and_options_mix),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(missing_and_unknown_are_named),
        cmocka_unit_test(long_words_are_safe),
        cmocka_unit_test(the_first_operand_may_be_a_choice),
        cmocka_unit_test(help_is_found_before_the_dashes),
        cmocka_unit_test(near_names_are_found),
        cmocka_unit_test(status_becomes_exit_status),
        cmocka_unit_test(threads_default_to_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
