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
/* Appends all lines of a file; NULL and "-" are standard input. Returns 0, or the exit status after a message. */
int cli_read_lines(const char *path, cli_lines *in);
/* Drops the lines and keeps the memory; then gives all back. */
void cli_forget_lines(cli_lines *in);
void cli_free_lines(cli_lines *in);

#endif
