/* attend help, attend version, and how a command describes itself. */
#include "commands.h"

#include <string.h>

void cli_print_overview(FILE *to)
{
    fputs("Usage: attend COMMAND [OPTION...] [OPERAND...]\n\nCommands:\n", to);
    for (size_t i = 0; cli_commands[i]; i++)
        fprintf(to, "  %-12s%s\n", cli_commands[i]->name, cli_commands[i]->summary);
    fputs("\n'attend help COMMAND' explains one of them.\n", to);
}

void cli_write_default(const cli_option *o, char *out, size_t room)
{
    const char *text = o->kind == CLI_STRING ? *(const char *const *)o->value : NULL;
    out[0] = '\0';
    if (o->kind == CLI_INT) snprintf(out, room, " (default %lld)", (long long)*(const int64_t *)o->value);
    if (o->kind == CLI_REAL) snprintf(out, room, " (default %g)", *(const double *)o->value);
    if (o->kind == CLI_CHOICE) snprintf(out, room, " (default %s)", o->choices[*(const int *)o->value]);
    if (text && *text) snprintf(out, room, " (default %s)", text);
}

void cli_write_option(const cli_option *o, char *out, size_t room)
{
    size_t used = 0;
    if (o->letter)
        used += (size_t)snprintf(out, room, "-%c, ", o->letter);
    else
        used += (size_t)snprintf(out, room, "    ");
    used += (size_t)snprintf(out + used, room - used, "--%s", o->name);
    if (o->kind == CLI_CHOICE)
        for (size_t i = 0; o->choices[i] && used < room; i++)
            used += (size_t)snprintf(out + used, room - used, "%s%s", i ? "|" : " ", o->choices[i]);
    else if (o->kind != CLI_FLAG)
        snprintf(out + used, room - used, " %s", o->argument);
}

enum { HELP_COLUMN = 28, MOST_COLUMNS = 100 };

/* Words from HELP_COLUMN on, in as many lines as they need. */
static void print_wrapped(const char *text, int columns, FILE *to)
{
    int at = HELP_COLUMN;
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (at > HELP_COLUMN && at + 1 + word > columns) {
            fprintf(to, "\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        } else if (at > HELP_COLUMN) {
            fputc(' ', to);
            at++;
        }
        fprintf(to, "%.*s", word, text);
        at += word;
        text += word + strspn(text + word, " ");
    }
    fputc('\n', to);
}

static void print_option(const cli_option *o, FILE *to)
{
    char left[200], by_default[200], text[500];
    int columns = cli_columns(to);
    cli_write_option(o, left, sizeof left);
    cli_write_default(o, by_default, sizeof by_default);
    snprintf(text, sizeof text, "%s%s", o->help, by_default);
    fprintf(to, "  %-*s", HELP_COLUMN - 2, left);
    if (strlen(left) >= HELP_COLUMN - 2) fprintf(to, "\n%*s", HELP_COLUMN, "");
    print_wrapped(text, columns < MOST_COLUMNS ? columns : MOST_COLUMNS, to);
}

void cli_print_help(const cli_command *command, FILE *to)
{
    const cli_option *options = command->options;
    fprintf(to, "Usage: attend %s%s%s%s\n\nattend %s: %s.\n", command->name,
            options && options->name ? " [OPTION...]" : "", *command->operands ? " " : "", command->operands,
            command->name, command->summary);
    if (command->help) fprintf(to, "\n%s\n", command->help);
    if (!options || !options->name) return;
    fputs("\nOptions:\n", to);
    for (const cli_option *o = options; o->name; o++) print_option(o, to);
}

static bool manual;

static int help(int argc, char **argv)
{
    if (manual) {
        cli_print_manual();
        return CLI_DONE;
    }
    if (argc == 0) {
        cli_print_overview(stdout);
        return CLI_DONE;
    }
    const cli_command *command = cli_find_command(argv[0]);
    if (!command) return cli_unknown_command(argv[0]);
    cli_print_help(command, stdout);
    return CLI_DONE;
}

static const cli_option help_options[] = {
    {"man", 0, CLI_FLAG, &manual, NULL, "print the manual page of all commands, for man(1)"},
    CLI_END,
};

const cli_command cmd_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "list the commands, or explain one",
    .options = help_options,
    .max_operands = 1,
    .run = help,
};

static int version(int argc, char **argv)
{
    (void)argc, (void)argv;
    const char *isa = att_isa_name(att_isa_detect());
    if (cli.json)
        return cli_print_json(json_pack("{ss,ss,si}", "version", ATT_VERSION, "isa", isa, "cpus", att_cpu_count()));
    printf("attend %s (%s)\n", ATT_VERSION, isa);
    return CLI_DONE;
}

static const cli_option version_options[] = {CLI_JSON, CLI_END};

const cli_command cmd_version = {
    .name = "version",
    .operands = "",
    .summary = "print the version and the instruction set in use",
    .options = version_options,
    .run = version,
};
