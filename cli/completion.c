/* attend completion bash: the completion script, written from the same tables as the help. */
#include "commands.h"

#include <string.h>

static void print_words(const char *const *words)
{
    for (size_t i = 0; words[i]; i++) printf("%s%s", i ? " " : "", words[i]);
}

static void print_commands(void)
{
    for (size_t i = 0; cli_commands[i]; i++) printf("%s%s", i ? " " : "", cli_commands[i]->name);
}

/* The case lines of one command: a choice completes its values, FILE and the like complete file names. */
static void print_values(const cli_command *command)
{
    for (const cli_option *o = command->options; o && o->name; o++) {
        if (o->kind == CLI_FLAG) continue;
        printf("        %s:--%s", command->name, o->name);
        if (o->letter) printf("|%s:-%c", command->name, o->letter);
        printf(") ");
        if (o->kind == CLI_CHOICE) {
            printf("words='");
            print_words(o->choices);
            puts("' ;;");
        } else {
            puts(o->kind == CLI_STRING ? "compopt -o default; return ;;" : "return ;;");
        }
    }
}

static void print_command(const cli_command *command)
{
    printf("            %s) words='", command->name);
    if (command->words) print_words(command->words);
    if (command == &cmd_help) print_commands();
    for (const cli_option *o = command->options; o && o->name; o++) printf(" --%s", o->name);
    puts(" --help' ;;");
}

static int completion(int argc, char **argv)
{
    (void)argc, (void)argv;
    puts("# bash completion of attend; load it with: source <(attend completion bash)\n"
         "_attend()\n"
         "{\n"
         "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} "
         "words=\n"
         "    if [ \"$COMP_CWORD\" -eq 1 ]; then");
    printf("        words='");
    print_commands();
    puts("'\n"
         "    else\n"
         "        case $command:$previous in");
    for (size_t i = 0; cli_commands[i]; i++) print_values(cli_commands[i]);
    puts("        *) case $command in");
    for (size_t i = 0; cli_commands[i]; i++) print_command(cli_commands[i]);
    puts("            esac ;;\n"
         "        esac\n"
         "    fi\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "    [ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default\n"
         "}\n"
         "complete -F _attend attend");
    return CLI_DONE;
}

static const char *const shells[] = {"bash", NULL};

const cli_command cmd_completion = {
    .name = "completion",
    .operands = "bash",
    .summary = "print the shell's completion script",
    .help = "Load it with:  source <(attend completion bash)",
    .words = shells,
    .min_operands = 1,
    .max_operands = 1,
    .run = completion,
};
