#include "command.h"

#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

static FILE *temporary(void)
{
    FILE *f = tmpfile();
    if (!f) fail_msg("no temporary file");
    return f;
}

/* All of f, NUL-terminated; closes it. */
static char *read_all(FILE *f, size_t *bytes)
{
    long size = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    if (size < 0) fail_msg("a temporary file cannot be read");
    rewind(f);
    char *text = malloc((size_t)size + 1);
    if (!text) fail_msg("no memory for %ld bytes", size);
    *bytes = fread(text, 1, (size_t)size, f);
    text[*bytes] = '\0';
    fclose(f);
    return text;
}

command_result command_run(const char *program, const char *input, const char *const *argv)
{
    FILE *in = temporary(), *out = temporary(), *err = temporary();
    if (input && fputs(input, in) < 0) fail_msg("a temporary file cannot be written");
    rewind(in);
    fflush(NULL); /* or the child would print our buffers once more */
    pid_t child = fork();
    if (child < 0) fail_msg("fork failed");
    if (child == 0) {
        if (dup2(fileno(in), 0) < 0 || dup2(fileno(out), 1) < 0 || dup2(fileno(err), 2) < 0) _exit(126);
        execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int how;
    if (waitpid(child, &how, 0) != child) fail_msg("waitpid failed");
    command_result r = {.status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how)};
    size_t err_bytes;
    fclose(in);
    r.out = read_all(out, &r.out_bytes);
    r.err = read_all(err, &err_bytes);
    return r;
}

void command_free(command_result *r)
{
    free(r->out);
    free(r->err);
    *r = (command_result){0};
}
