#include "common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

cli_settings cli;
volatile sig_atomic_t cli_interrupted;

static const char *command_name;

void cli_name_command(const char *name)
{
    command_name = name;
}

static void say(const char *fmt, va_list ap)
{
    cli_progress_hide();
    fflush(stdout); /* so that results and messages keep their order where both go to one place */
    fprintf(stderr, command_name ? "attend %s: " : "attend: ", command_name);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

int cli_exit_status(att_status status)
{
    switch (status) {
    case ATT_OK: return CLI_DONE;
    case ATT_E_VALUE:
    case ATT_E_SHAPE:
    case ATT_E_DTYPE:
    case ATT_E_UNSUPPORTED:
    case ATT_E_FORMAT:
    case ATT_E_MISSING: return CLI_WRONG;
    case ATT_E_WORKSPACE:
    case ATT_E_MEMORY:
    case ATT_E_IO:
    case ATT_E_DIVERGED:
    case ATT_E_INTERRUPTED: return CLI_FAILED;
    }
    return CLI_FAILED;
}

int cli_fail(att_status status)
{
    cli_failed("%s", att_last_error());
    return cli_exit_status(status);
}

int cli_wrong(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    return CLI_WRONG;
}

int cli_failed(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    return CLI_FAILED;
}

void cli_note(const char *fmt, ...)
{
    if (cli.quiet) return;
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}

const char *const cli_weights_names[] = {"f32", "bf16", "int8", "w8a8", NULL};

static const struct {
    att_dtype dtype;
    bool inputs;
} weights_of[] = {{ATT_F32, false}, {ATT_BF16, false}, {ATT_I8, false}, {ATT_I8, true}};

att_dtype cli_weights(int index)
{
    return weights_of[index].dtype;
}

bool cli_rounds_inputs(int index)
{
    return weights_of[index].inputs;
}

att_status cli_round_weights(att_params *params, int index)
{
    att_params_round_inputs(params, cli_rounds_inputs(index));
    return att_params_round_weights(params, cli_weights(index));
}

att_exec cli_exec(void)
{
    return (att_exec){.threads = cli.threads > 0 ? (int)cli.threads : att_cpu_count()};
}

static bool is_stdout(const char *path)
{
    return !path || strcmp(path, "-") == 0;
}

FILE *cli_open_output(const char *path)
{
    FILE *file = is_stdout(path) ? stdout : fopen(path, "wb");
    if (!file) cli_failed("%s: %s", path, strerror(errno));
    return file;
}

int cli_close_output(FILE *file, const char *path)
{
    bool shared = is_stdout(path);
    bool bad = ferror(file) != 0;
    if (shared ? fflush(file) != 0 : fclose(file) != 0) bad = true;
    if (!bad) return CLI_DONE;
    if (shared) return CLI_FAILED; /* main reports it */
    return cli_failed("%s: %s", path, strerror(errno));
}

int cli_print_json(json_t *object)
{
    int bad = !object || json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) != 0 || putchar('\n') == EOF;
    json_decref(object);
    return bad ? cli_failed("the result could not be written as JSON") : CLI_DONE;
}

int cli_columns(FILE *file)
{
    struct winsize size;
    if (isatty(fileno(file)) && ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    const char *text = getenv("COLUMNS");
    long columns = text ? strtol(text, NULL, 10) : 0;
    return columns > 0 && columns < 10000 ? (int)columns : 80;
}

bool cli_color(FILE *file)
{
    const char *off = getenv("NO_COLOR");
    return !(off && *off) && isatty(fileno(file));
}

static void on_signal(int number)
{
    (void)number;
    cli_interrupted = 1;
}

void cli_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
