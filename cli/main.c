/* The command: finds the command's row, reads its options, runs it. */
#include "commands.h"

#include <errno.h>
#include <string.h>

#define CLI_ROW(name) &cmd_##name,
const cli_command *const cli_commands[] = {CLI_COMMANDS(CLI_ROW) NULL};
#undef CLI_ROW

#define COMMAND_COUNT (sizeof cli_commands / sizeof *cli_commands)

const cli_command *cli_find_command(const char *name)
{
    for (size_t i = 0; cli_commands[i]; i++)
        if (strcmp(cli_commands[i]->name, name) == 0) return cli_commands[i];
    return NULL;
}

int cli_unknown_command(const char *name)
{
    const char *names[COMMAND_COUNT] = {NULL};
    for (size_t i = 0; cli_commands[i]; i++) names[i] = cli_commands[i]->name;
    const char *near = cli_nearest(name, names);
    if (near) return cli_wrong("'%s' is not a command; did you mean '%s'?", name, near);
    return cli_wrong("'%s' is not a command; 'attend help' lists them", name);
}

static int run(const cli_command *command, int argc, char **argv)
{
    cli_name_command(command->name);
    if (cli_wants_help(argc, argv)) {
        cli_print_help(command, stdout);
        return CLI_DONE;
    }
    int status = cli_parse(command, &argc, argv);
    return status ? status : command->run(argc, argv);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        cli_print_overview(stderr);
        return CLI_WRONG;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) name = "version";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    const cli_command *command = cli_find_command(name);
    if (command) return run(command, argc - 2, argv + 2);
    if (name[0] == '-') return cli_wrong("%s: unknown option; options stand behind the command", name);
    return cli_unknown_command(name);
}

int main(int argc, char **argv)
{
    int status = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        int failed = cli_failed("standard output: %s", strerror(errno));
        if (status == CLI_DONE) status = failed;
    }
    return status;
}
