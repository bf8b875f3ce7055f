/* attend help --man: the manual page, written from the same tables as the help. */
#include "commands.h"

#include <string.h>

/* Text for troff: a backslash, and a dot or quote at the start of a line, mean something else there. */
static void print_text(const char *text)
{
    bool at_start = true;
    for (const char *p = text; *p; p++) {
        if (at_start && (*p == '.' || *p == '\'')) fputs("\\&", stdout);
        if (*p == '\\')
            fputs("\\e", stdout);
        else if (*p == '-')
            fputs("\\-", stdout);
        else
            putchar(*p);
        at_start = *p == '\n';
    }
}

static void print_option(const cli_option *o)
{
    char left[200], by_default[200];
    cli_write_option(o, left, sizeof left);
    cli_write_default(o, by_default, sizeof by_default);
    puts(".TP");
    fputs(".B ", stdout);
    print_text(left + strspn(left, " "));
    putchar('\n');
    print_text(o->help);
    print_text(by_default);
    putchar('\n');
}

static void print_command(const cli_command *command)
{
    printf(".SS attend %s ", command->name);
    print_text(command->operands);
    putchar('\n');
    print_text(command->summary);
    puts(".");
    if (command->help) {
        puts(".PP\n.nf");
        print_text(command->help);
        puts("\n.fi");
    }
    for (const cli_option *o = command->options; o && o->name; o++) print_option(o);
}

void cli_print_manual(void)
{
    puts(".TH ATTEND 1 \"\" \"attend " ATT_VERSION "\" \"User Commands\"\n"
         ".SH NAME\n"
         "attend \\- train, use and look into models of attention\n"
         ".SH SYNOPSIS\n"
         ".B attend\n"
         ".I COMMAND\n"
         "[OPTION...] [OPERAND...]\n"
         ".SH DESCRIPTION\n"
         "Results go to standard output, progress and messages to standard error.\n"
         "An operand that begins with a dash stands behind\n"
         ".BR \\-\\- .\n"
         ".SH COMMANDS");
    for (size_t i = 0; cli_commands[i]; i++) print_command(cli_commands[i]);
    puts(".SH EXIT STATUS\n"
         ".TP\n0\ndone\n"
         ".TP\n1\nit could not be done: reading or writing failed, memory ran out, training diverged\n"
         ".TP\n2\nthe request or the input is wrong\n"
         ".SH ENVIRONMENT\n"
         ".TP\nNO_COLOR\nwhen set and not empty, no colours\n"
         ".TP\nCOLUMNS\nthe width of the output where it is no terminal");
}
