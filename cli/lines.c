#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void append(cli_lines *in, char *text, size_t bytes)
{
    if (in->n == in->room) {
        in->room = in->room ? 2 * in->room : 256;
        in->line = realloc(in->line, (size_t)in->room * sizeof *in->line);
        in->owned = realloc(in->owned, (size_t)in->room * sizeof *in->owned);
        if (!in->line || !in->owned) exit(cli_failed("out of memory"));
    }
    in->owned[in->n] = text;
    in->line[in->n++] = (att_text){text, bytes};
}

bool cli_read_line(FILE *file, cli_lines *in)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t bytes = getline(&text, &room, file);
    if (bytes < 0) {
        free(text);
        return false;
    }
    while (bytes > 0 && (text[bytes - 1] == '\n' || text[bytes - 1] == '\r')) text[--bytes] = '\0';
    append(in, text, (size_t)bytes);
    return true;
}

void cli_add_line(cli_lines *in, const char *text)
{
    char *copy = strdup(text);
    if (!copy) exit(cli_failed("out of memory"));
    append(in, copy, strlen(copy));
}
int cli_read_lines(const char *path, cli_lines *in)
{
    bool standard = !path || strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "r");
    if (!file) return cli_wrong("%s: %s", path, strerror(errno));
    while (cli_read_line(file, in)) continue;
    int status = ferror(file) ? cli_wrong("%s: %s", standard ? "standard input" : path, strerror(errno)) : CLI_DONE;
    if (!standard) fclose(file);
    return status;
}

void cli_forget_lines(cli_lines *in)
{
    for (int64_t i = 0; i < in->n; i++) free(in->owned[i]);
    in->n = 0;
}

void cli_free_lines(cli_lines *in)
{
    cli_forget_lines(in);
    free(in->line);
    free(in->owned);
    *in = (cli_lines){0};
}
