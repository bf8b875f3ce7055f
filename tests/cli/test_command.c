#include "harness.h"

#include <jansson.h>

#include "command.h"

#define FIRST_COLUMN 15 /* of summaries in the overview */

static void version_is_one_line_or_one_object(void **state)
{
    (void)state;
    command_result r = run_attend(NULL, "--version");
    assert_int_equal(r.status, 0);
    assert_int_equal(strncmp(r.out, "attend ", 7), 0);
    assert_ptr_equal(strchr(r.out, '\n'), r.out + r.out_bytes - 1);
    assert_string_equal(r.err, "");
    command_free(&r);

    r = run_attend(NULL, "version", "--json");
    assert_int_equal(r.status, 0);
    json_t *object = json_loads(r.out, 0, NULL);
    assert_true(json_is_string(json_object_get(object, "version")));
    assert_string_equal(json_string_value(json_object_get(object, "isa")), att_isa_name(att_isa_detect()));
    assert_true(json_integer_value(json_object_get(object, "cpus")) >= 1);
    json_decref(object);
    command_free(&r);
}

/* Calls check(name) for every command that the overview lists; returns how many. */
static int for_each_command(void (*check)(const char *name))
{
    command_result r = run_attend(NULL, "help");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.err, "");
    int n = 0;
    for (char *line = strtok(r.out, "\n"); line; line = strtok(NULL, "\n")) {
        char name[FIRST_COLUMN];
        if (strncmp(line, "  ", 2) != 0 || sscanf(line, "%14s", name) != 1) continue;
        n++;
        check(name);
    }
    command_free(&r);
    return n;
}

static void check_help(const char *name)
{
    command_result a = run_attend(NULL, "help", name), b = run_attend(NULL, name, "--help");
    char usage[100];
    snprintf(usage, sizeof usage, "Usage: attend %s", name);
    assert_int_equal(a.status, 0);
    assert_int_equal(b.status, 0);
    assert_int_equal(strncmp(a.out, usage, strlen(usage)), 0);
    assert_string_equal(a.out, b.out);
    assert_string_equal(a.err, "");
    assert_string_equal(b.err, "");
    for (const char *line = a.out, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        if (end - line > 110)
            fail_msg("attend help %s: %ld columns: %.*s", name, (long)(end - line), (int)(end - line), line);
    }
    command_free(&a);
    command_free(&b);
}

static void check_unknown_option(const char *name)
{
    command_result r = run_attend(NULL, name, "--no-such-option-at-all");
    char expected[200];
    snprintf(expected, sizeof expected, "attend %s: --no-such-option-at-all: unknown option\n", name);
    assert_int_equal(r.status, 2);
    assert_string_equal(r.out, "");
    assert_string_equal(r.err, expected);
    command_free(&r);
}

static void every_command_explains_itself(void **state)
{
    (void)state;
    assert_true(for_each_command(check_help) >= 3);
    assert_true(for_each_command(check_unknown_option) >= 3);
}

static void unknown_commands_are_refused(void **state)
{
    (void)state;
    command_result r = run_attend(NULL, "versoin", "--json");
    assert_int_equal(r.status, 2);
    assert_string_equal(r.err, "attend: 'versoin' is not a command; did you mean 'version'?\n");
    assert_string_equal(r.out, "");
    command_free(&r);

    r = run_attend(NULL, "help", "hlep");
    assert_int_equal(r.status, 2);
    assert_string_equal(r.err, "attend help: 'hlep' is not a command; did you mean 'help'?\n");
    command_free(&r);

    r = run_attend(NULL, "--json", "version");
    assert_int_equal(r.status, 2);
    assert_non_null(strstr(r.err, "--json"));
    command_free(&r);

    r = command_run(ATTEND_COMMAND, NULL, (const char *const[]){"attend", NULL});
    assert_int_equal(r.status, 2);
    assert_string_equal(r.out, "");
    assert_non_null(strstr(r.err, "Usage: attend COMMAND"));
    command_free(&r);
}

static void a_full_disk_is_reported(void **state)
{
    (void)state;
    static const char *const argv[] = {"sh", "-c", "\"$0\" help --man > /dev/full", ATTEND_COMMAND, NULL};
    command_result r = command_run("/bin/sh", NULL, argv);
    assert_int_equal(r.status, 1);
    assert_string_equal(r.err, "attend help: standard output: No space left on device\n");
    command_free(&r);
}

static void the_manual_names_every_option(void **state)
{
    (void)state;
    command_result manual = run_attend(NULL, "help", "--man"), help = run_attend(NULL, "help", "version");
    assert_int_equal(manual.status, 0);
    assert_int_equal(strncmp(manual.out, ".TH ATTEND 1", 12), 0);
    assert_non_null(strstr(manual.out, ".SS attend version"));
    assert_non_null(strstr(manual.out, "\\-\\-json"));
    assert_non_null(strstr(help.out, "--json"));
    command_free(&manual);
    command_free(&help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_is_one_line_or_one_object), cmocka_unit_test(every_command_explains_itself),
        cmocka_unit_test(unknown_commands_are_refused),      cmocka_unit_test(a_full_disk_is_reported),
        cmocka_unit_test(the_manual_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
