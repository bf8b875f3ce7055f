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

int cli_check_text(const char *name, att_text text)
{
    size_t bad;
    if (memchr(text.data, 0, text.bytes)) return cli_wrong("%s: a NUL character, expected text", name);
    if (att_utf8_check(text.data, text.bytes, &bad) != ATT_OK)
        return cli_wrong("%s: invalid UTF-8 at byte %zu", name, bad + 1);
    return CLI_DONE;
}

int cli_check_lines(const cli_lines *in, const char *name, int64_t first)
{
    char line[4200];
    int status = CLI_DONE;
    for (int64_t i = 0; i < in->n && status == CLI_DONE; i++) {
        snprintf(line, sizeof line, "%s:%lld", name, (long long)(first + i + 1));
        status = cli_check_text(line, in->line[i]);
    }
    return status;
}

int cli_read_lines(const char *path, cli_lines *in)
{
    bool standard = !path || strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "r");
    if (!file) return cli_wrong("%s: %s", path, strerror(errno));
    const char *name = standard ? "standard input" : path;
    while (cli_read_line(file, in)) continue;
    int status = ferror(file) ? cli_wrong("%s: %s", name, strerror(errno)) : cli_check_lines(in, name, 0);
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
