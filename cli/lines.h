/* Lines of a file or of standard input. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <attend/text.h>

#include "common.h"

typedef struct cli_lines {
    att_text *line; /* (n), without their ends */
    char **owned;
    int64_t n, room;
} cli_lines;

/* Appends the next line; false at the end of the file. */
bool cli_read_line(FILE *file, cli_lines *in);
void cli_add_line(cli_lines *in, const char *text); /* a copy */
/* Appends all lines of a file; NULL and "-" are standard input. Each must be text. Returns 0, or the exit status after
 * a message. */
int cli_read_lines(const char *path, cli_lines *in);
/* Refuses what is no text (a NUL, invalid UTF-8): a line by the input's name and its number, `first` lines having gone
 * before; or one text by its name. Returns 0, or the exit status after a message. */
int cli_check_lines(const cli_lines *in, const char *name, int64_t first);
int cli_check_text(const char *name, att_text text);
/* Drops the lines and keeps the memory; then gives all back. */
void cli_forget_lines(cli_lines *in);
void cli_free_lines(cli_lines *in);

#endif
