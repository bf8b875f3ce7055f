#include "harness.h"

#include "command.h"

static int64_t count_lines(const char *text)
{
    int64_t n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static void pairs_are_tab_separated(void **state)
{
    (void)state;
    static const char *const names[] = {"dates", "copy", "reverse"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        command_result r = run_attend(NULL, "data", names[k], "--count=257", "--seed=5");
        assert_int_equal(r.status, 0);
        assert_string_equal(r.err, "");
        assert_int_equal(count_lines(r.out), 257);
        for (char *line = strtok(r.out, "\n"); line; line = strtok(NULL, "\n")) {
            char *tab = strchr(line, '\t');
            if (!tab || tab == line || !tab[1] || strchr(tab + 1, '\t')) fail_msg("%s: '%s'", names[k], line);
            size_t n = (size_t)(tab - line);
            if (k == 0)
                assert_int_equal(strlen(tab + 1), 10);
            else
                assert_int_equal(strlen(tab + 1), n);
            for (size_t i = 0; k > 0 && i < n; i++) assert_int_equal(line[i], tab[1 + (k == 1 ? i : n - 1 - i)]);
        }
        command_free(&r);
    }
}

static void a_corpus_continues(void **state)
{
    (void)state;
    command_result all = run_attend(NULL, "data", "dates", "-n", "50"),
                   a = run_attend(NULL, "data", "dates", "-n", "20"),
                   b = run_attend(NULL, "data", "dates", "-n30", "--first", "20"),
                   other = run_attend(NULL, "data", "dates", "-n", "50", "--seed", "1");
    assert_int_equal(all.out_bytes, a.out_bytes + b.out_bytes);
    assert_memory_equal(all.out, a.out, a.out_bytes);
    assert_string_equal(all.out + a.out_bytes, b.out);
    assert_string_not_equal(all.out, other.out);
    command_free(&all);
    command_free(&a);
    command_free(&b);
    command_free(&other);
}

static void output_goes_to_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/attend-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    command_result file = run_attend(NULL, "data", "copy", "-n", "9", "-o", path);
    command_result direct = run_attend(NULL, "data", "copy", "-n", "9", "--output", "-");
    assert_int_equal(file.status, 0);
    assert_string_equal(file.out, "");
    char text[4096] = "";
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    assert_int_equal(n, direct.out_bytes);
    assert_string_equal(text, direct.out);
    remove(path);
    command_free(&file);
    command_free(&direct);
}

static void failures_are_told_apart(void **state)
{
    (void)state;
    command_result r = run_attend(NULL, "data", "dates", "--count=0");
    assert_int_equal(r.status, 2);
    assert_string_equal(r.err, "attend data: --count: '0', expected an integer from 1 to 1000000000000\n");
    command_free(&r);
    r = run_attend(NULL, "data", "date");
    assert_int_equal(r.status, 2);
    assert_string_equal(r.err, "attend data: 'date', expected dates, copy or reverse\n");
    command_free(&r);
    r = run_attend(NULL, "data", "dates", "-o", "/dev/full");
    assert_int_equal(r.status, 1);
    assert_string_equal(r.err, "attend data: /dev/full: No space left on device\n");
    command_free(&r);
    r = run_attend(NULL, "data", "dates", "-o", "/no/such/folder/file");
    assert_int_equal(r.status, 1);
    assert_string_equal(r.err, "attend data: /no/such/folder/file: No such file or directory\n");
    command_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_tab_separated),
        cmocka_unit_test(a_corpus_continues),
        cmocka_unit_test(output_goes_to_a_file),
        cmocka_unit_test(failures_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
