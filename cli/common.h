/* What every command is made of: its description, its options, messages, exit status, progress, interruption.
 *
 * A command is one file that sees only the public headers and this one:
 *
 *     static struct {
 *         int64_t beam;
 *         const char *output;
 *     } set = {.beam = 5};                                    // the defaults; `attend help translate` prints them
 *
 *     static const cli_option options[] = {
 *         {"beam",   0,   CLI_INT,    &set.beam,   "N",    "hypotheses kept a step", .min = 1, .max = 1000},
 *         {"output", 'o', CLI_STRING, &set.output, "FILE", "write here instead of standard output"},
 *         CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
 *     };
 *
 *     static int run(int argc, char **argv)                   // options are already in `set`; argv holds the operands
 *     {
 *         att_exec exec = cli_exec();
 *         att_status st = att_model_load(argv[0], &model);
 *         if (st != ATT_OK) return cli_fail(st);              // attend translate: model.att: ...; exit status 1 or 2
 *         return 0;
 *     }
 *
 *     const cli_command cmd_translate = {
 *         .name = "translate", .operands = "MODEL [FILE|-]", .summary = "translate line by line", .options = options,
 *         .min_operands = 1, .max_operands = 2, .run = run,
 *     };
 *
 * and one line in commands.h. Results go to standard output, everything else to standard error. */
#ifndef CLI_COMMON_H
#define CLI_COMMON_H

#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

#include <attend/exec.h>
#include <attend/status.h>
#include <attend/tape.h>
#include <attend/view.h>

/* ---- options ---- */

typedef enum cli_kind {
    CLI_FLAG,   /* bool *: given or not                        */
    CLI_INT,    /* int64_t *                                   */
    CLI_REAL,   /* double *, finite                            */
    CLI_CHOICE, /* int *: index of one of `choices`            */
    CLI_STRING  /* const char **: points into the command line */
} cli_kind;

/* Accepted as --name VALUE, --name=VALUE and, with a letter, -l VALUE and -lVALUE. The last one given counts; two
 * different choices of a CLI_CHOICE are refused. */
typedef struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    cli_kind kind;
    void *value;                /* holds the default until the option is given */
    const char *argument;       /* what the help calls the value: "N", "FILE" (completes file names); NULL for a flag */
    const char *help;           /* one line */
    double min, max;            /* of a number, inclusive; both 0: any. "At least 1" is .min = 1, .max = HUGE_VAL */
    const char *const *choices; /* ends with NULL */
} cli_option;

/* The options that mean the same in every command that has them. */
typedef struct cli_settings {
    bool json, quiet;
    int64_t threads; /* 0: all cores */
    int64_t seed;
    int weights; /* index of cli_weights_names */
} cli_settings;
extern cli_settings cli;

/* clang-format off */
#define CLI_JSON    {"json", 0, CLI_FLAG, &cli.json, NULL, "print the result as one JSON object"}
#define CLI_QUIET   {"quiet", 'q', CLI_FLAG, &cli.quiet, NULL, "no progress and no notes"}
#define CLI_THREADS {"threads", 0, CLI_INT, &cli.threads, "N", "threads to use; 0 is all cores", .min = 0, .max = 4096}
#define CLI_SEED    {"seed", 0, CLI_INT, &cli.seed, "N", "where random numbers start", .min = 0, .max = HUGE_VAL}
#define CLI_WEIGHTS {"weights", 0, CLI_CHOICE, &cli.weights, "NAME", "round weight matrices to fewer bits: less to read, a little less exact; w8a8: what they multiply too", .choices = cli_weights_names}
#define CLI_END     {NULL}
/* clang-format on */

/* ---- commands ---- */

typedef struct cli_command {
    const char *name;
    const char *operands;              /* the usage line's: "MODEL [FILE|-]"; "" for none */
    const char *summary;               /* one line, lower case, no full stop */
    const char *help;                  /* paragraphs after the usage, lines <= 79 columns; NULL for none */
    const cli_option *options;         /* ends with CLI_END; NULL for none */
    const char *const *words;          /* what the first operand may be, ends with NULL; NULL: anything */
    int min_operands, max_operands;    /* max -1: any number */
    int (*run)(int argc, char **argv); /* argv[0 .. argc-1] are the operands; returns the exit status */
} cli_command;

/* Store the options, leave the operands in argv[0 .. *argc-1]. Returns 0, or the exit status after a message. argv
 * starts behind the command's name. */
int cli_parse(const cli_command *command, int *argc, char **argv);

/* Refuses the options of the command line that are not among the words of `uses`, where they would change nothing:
 * "--beam: not an option " and `where`. The options every command has are always fine. */
int cli_check_given(const char *uses, const char *where);

/* "--help" among the arguments before "--". */
bool cli_wants_help(int argc, char *const *argv);

void cli_print_help(const cli_command *command, FILE *to);
void cli_print_overview(FILE *to); /* all commands */
void cli_print_manual(void);       /* the same as a manual page */
/* "    --align softmax|hard" or "-o, --output FILE"; " (default 5)" or "". */
void cli_write_option(const cli_option *o, char *out, size_t room);
void cli_write_default(const cli_option *o, char *out, size_t room);

/* What messages begin with: "attend NAME: "; NULL before a command is known. */
void cli_name_command(const char *name);

/* The nearest of `names` (ends with NULL) to what was typed, or NULL when none is near. */
const char *cli_nearest(const char *typed, const char *const *names);

/* ---- messages and exit status: 0 done, 1 it could not be done, 2 the request or the input is wrong ---- */

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_WRONG = 2 };

int cli_exit_status(att_status status);

/* "attend COMMAND: " and the library's latest message, to standard error; returns the exit status that fits. */
int cli_fail(att_status status);
/* The same with a message of the command's own: CLI_WRONG for requests and input, CLI_FAILED for the rest. */
int cli_wrong(const char *fmt, ...) ATT_PRINTF(1, 2);
int cli_failed(const char *fmt, ...) ATT_PRINTF(1, 2);
/* A note to standard error; --quiet silences it. */
void cli_note(const char *fmt, ...) ATT_PRINTF(1, 2);

/* ---- running ---- */

/* How the library should run: --threads. */
att_exec cli_exec(void);

/* Types of weights: "f32", "bf16", "int8", "w8a8", and what the index of one of these names stands for: the type, and
 * whether what the weights multiply is rounded to 8 bits as well. */
extern const char *const cli_weights_names[];
att_dtype cli_weights(int index);
bool cli_rounds_inputs(int index);
att_status cli_round_weights(att_params *params, int index);

/* The file to write results to; NULL and "-" are standard output. Returns NULL after a message. */
FILE *cli_open_output(const char *path);
/* Flushes and closes; 0, or CLI_FAILED after a message when not all could be written. */
int cli_close_output(FILE *file, const char *path);

/* One line on standard output; takes over the reference. Returns 0 or CLI_FAILED after a message. */
int cli_print_json(json_t *object);

/* Columns of the terminal behind `file`; COLUMNS, else 80 where there is none. */
int cli_columns(FILE *file);
/* Whether `file` is a terminal and NO_COLOR is not set. */
bool cli_color(FILE *file);

/* Set by Ctrl-C (and SIGTERM) after cli_catch_interrupt(): long commands poll it, save and stop. A second Ctrl-C ends
 * the process as usual. */
extern volatile sig_atomic_t cli_interrupted;
void cli_catch_interrupt(void);

/* ---- progress, on standard error: a bar on a terminal, else a line every few seconds; --quiet silences both ---- */

/* total <= 0: unknown. `unit` is plural: "steps". */
void cli_progress_begin(double total, const char *unit);
/* rate: what the end of the line shows, such as "2,724 tokens/s"; NULL for none. Cheap: call it as often as you like.
 */
void cli_progress_update(double done, const char *rate);
/* Clear the bar so that a line can be printed; the next update draws it again. Messages do this themselves. */
void cli_progress_hide(void);
void cli_progress_end(void);

#endif
