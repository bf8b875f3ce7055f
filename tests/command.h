/* Runs the command `attend` as a user would, and keeps what it said:
 *
 *     command_result r = run_attend(NULL, "data", "dates", "--count=3");
 *     assert_int_equal(r.status, 0);
 *     assert_string_equal(r.err, "");
 *     command_free(&r); */
#ifndef TEST_COMMAND_H
#define TEST_COMMAND_H

#include <stddef.h>

typedef struct command_result {
    int status;       /* exit status; 128 + n when signal n ended it */
    char *out, *err;  /* end in NUL, which is not counted */
    size_t out_bytes; /* standard output may hold NULs */
} command_result;

/* argv ends with NULL; input is the standard input, NULL for an empty one. Fails the test when it cannot be started. */
command_result command_run(const char *program, const char *input, const char *const *argv);
void command_free(command_result *r);

#define run_attend(input, ...) command_run(ATTEND_COMMAND, (input), (const char *const[]){"attend", __VA_ARGS__, NULL})

#endif
