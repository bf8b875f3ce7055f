/* The commands. Each lives in a file of its own, which defines `const cli_command cmd_NAME`; a line here puts it on the
 * command line, into the help, the manual page and the shell completion. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "common.h"

/* In the order in which the help shows them. */
#define CLI_COMMANDS(ROW)                                                                                              \
    ROW(attention)                                                                                                     \
    ROW(average)                                                                                                       \
    ROW(bench)                                                                                                         \
    ROW(classify)                                                                                                      \
    ROW(completion)                                                                                                    \
    ROW(convert)                                                                                                       \
    ROW(data)                                                                                                          \
    ROW(demo)                                                                                                          \
    ROW(embed)                                                                                                         \
    ROW(evaluate)                                                                                                      \
    ROW(fill)                                                                                                          \
    ROW(generate)                                                                                                      \
    ROW(help)                                                                                                          \
    ROW(inspect)                                                                                                       \
    ROW(plot)                                                                                                          \
    ROW(score)                                                                                                         \
    ROW(search)                                                                                                        \
    ROW(similarity)                                                                                                    \
    ROW(train)                                                                                                         \
    ROW(translate)                                                                                                     \
    ROW(version)

#define CLI_DECLARE(name) extern const cli_command cmd_##name;
CLI_COMMANDS(CLI_DECLARE)
#undef CLI_DECLARE

/* All of them; ends with NULL. */
extern const cli_command *const cli_commands[];

/* The curves of a training log as a picture, as `attend plot LOG -o PICTURE` draws them. Returns an exit status. */
int cli_draw_log(const char *log, const char *picture);

/* NULL when there is none of that name. */
const cli_command *cli_find_command(const char *name);
/* Says that there is none, with the nearest name; returns exit status 2. */
int cli_unknown_command(const char *name);

#endif
