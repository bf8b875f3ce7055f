/* Options from a table: parsing, and the words that say what a value must be. */
#include "common.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the value of `o` must be, for messages: "an integer of at least 1". */
static void describe(const cli_option *o, char *out, size_t room)
{
    size_t used = 0;
    if (o->kind == CLI_STRING) snprintf(out, room, "%s", o->argument);
    if (o->kind == CLI_CHOICE)
        for (size_t i = 0; o->choices[i] && used < room; i++)
            used += (size_t)snprintf(out + used, room - used, "%s%s", o->choices[i],
                                     !o->choices[i + 1]  ? ""
                                     : o->choices[i + 2] ? ", "
                                                         : " or ");
    if (o->kind != CLI_INT && o->kind != CLI_REAL) return;
    const char *what = o->kind == CLI_INT ? "an integer" : "a number";
    bool bounded = o->min != 0 || o->max != 0;
    if (!bounded)
        snprintf(out, room, "%s", what);
    else if (isinf(o->max))
        snprintf(out, room, "%s of at least %.15g", what, o->min);
    else
        snprintf(out, room, "%s from %.15g to %.15g", what, o->min, o->max);
}

static bool within_bounds(const cli_option *o, double x)
{
    return (o->min == 0 && o->max == 0) || (o->min <= x && x <= o->max);
}

static bool store_int(const cli_option *o, const char *text)
{
    char *end;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    if (end == text || *end || errno || isspace((unsigned char)text[0]) || !within_bounds(o, (double)x)) return false;
    *(int64_t *)o->value = x;
    return true;
}

static bool store_real(const cli_option *o, const char *text)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || isspace((unsigned char)text[0]) || !isfinite(x) || !within_bounds(o, x)) return false;
    *(double *)o->value = x;
    return true;
}

static bool store_choice(const cli_option *o, const char *text)
{
    for (int i = 0; o->choices[i]; i++)
        if (strcmp(o->choices[i], text) == 0) {
            *(int *)o->value = i;
            return true;
        }
    return false;
}

static bool store(const cli_option *o, const char *text)
{
    switch (o->kind) {
    case CLI_FLAG: *(bool *)o->value = true; return true;
    case CLI_INT: return store_int(o, text);
    case CLI_REAL: return store_real(o, text);
    case CLI_CHOICE: return store_choice(o, text);
    case CLI_STRING: *(const char **)o->value = text; return true;
    }
    return false;
}

static const cli_option *find(const cli_option *options, const char *name, size_t length)
{
    for (const cli_option *o = options; o && o->name; o++)
        if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) return o;
    return NULL;
}

static const cli_option *find_letter(const cli_option *options, char letter)
{
    for (const cli_option *o = options; o && o->name; o++)
        if (o->letter == letter) return o;
    return NULL;
}

static int unknown(const cli_option *options, const char *name, size_t length)
{
    enum { MOST = 128 };
    char typed[MOST];
    const char *names[MOST + 1] = {NULL};
    snprintf(typed, sizeof typed, "%.*s", (int)(length < MOST ? length : MOST - 1), name);
    int n = 0;
    for (const cli_option *o = options; o && o->name && n < MOST; o++) names[n++] = o->name;
    const char *near = cli_nearest(typed, names);
    if (near) return cli_wrong("--%s: unknown option; did you mean --%s?", typed, near);
    return cli_wrong("--%s: unknown option", typed);
}

/* What this command line has named so far, with the value; two different choices contradict each other. */
enum { MOST_GIVEN = 64 };
static struct {
    const cli_option *option;
    const char *text;
} given[MOST_GIVEN];

static int note(const cli_option *o, const char *shown, const char *text)
{
    int n = 0;
    while (n < MOST_GIVEN && given[n].option && given[n].option != o) n++;
    if (n == MOST_GIVEN) return CLI_DONE;
    if (o->kind == CLI_CHOICE && given[n].option && strcmp(given[n].text, text) != 0)
        return cli_wrong("%s: given as %s and as %s, expected one of the two", shown, given[n].text, text);
    given[n].option = o;
    given[n].text = text;
    return CLI_DONE;
}

static bool among(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length])) return true;
    return false;
}

int cli_check_given(const char *uses, const char *where)
{
    for (int n = 0; n < MOST_GIVEN && given[n].option; n++) {
        const char *name = given[n].option->name;
        if (!among("json quiet threads", name) && !among(uses, name))
            return cli_wrong("--%s: not an option %s", name, where);
    }
    return CLI_DONE;
}

/* `shown` is the option as the user wrote it; `inside` the value in the same word, or NULL; *next the following word,
 * set to NULL when it was used. */
static int take(const cli_option *o, const char *shown, const char *inside, const char **next)
{
    char expected[256] = "";
    describe(o, expected, sizeof expected);
    if (o->kind == CLI_FLAG) {
        if (inside) return cli_wrong("%s: takes no value, got '%s'", shown, inside);
        store(o, NULL);
        return note(o, shown, NULL);
    }
    const char *text = inside ? inside : *next;
    if (!text) return cli_wrong("%s: no value given, expected %s", shown, expected);
    if (!inside) *next = NULL;
    if (!store(o, text)) return cli_wrong("%s: '%s', expected %s", shown, text, expected);
    return note(o, shown, text);
}

static int take_word(const cli_option *options, const char *word, const char **next)
{
    char shown[64];
    if (word[1] != '-') {
        const cli_option *o = find_letter(options, word[1]);
        if (!o) return cli_wrong("-%c: unknown option", word[1]);
        snprintf(shown, sizeof shown, "-%c", word[1]);
        return take(o, shown, word[2] ? word + 2 : NULL, next);
    }
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
    const cli_option *o = find(options, word + 2, length);
    if (!o) return unknown(options, word + 2, length);
    snprintf(shown, sizeof shown, "--%s", o->name);
    return take(o, shown, equals ? equals + 1 : NULL, next);
}

static int check_operands(const cli_command *command, int n, char *const *operand)
{
    const char *name = command->name, *space = *command->operands ? " " : "", *expected = command->operands;
    if (n == 0 && command->min_operands > 0)
        return cli_wrong("operands are missing, expected: attend %s%s%s", name, space, expected);
    if (n < command->min_operands)
        return cli_wrong("operands are missing after '%s', expected: attend %s%s%s", operand[n - 1], name, space,
                         expected);
    if (command->max_operands >= 0 && n > command->max_operands)
        return cli_wrong("'%s' is one operand too many, expected: attend %s%s%s", operand[command->max_operands], name,
                         space, expected);
    if (!command->words || n == 0) return CLI_DONE;
    int index;
    char words[256];
    cli_option first = {.kind = CLI_CHOICE, .value = &index, .choices = command->words};
    if (store_choice(&first, operand[0])) return CLI_DONE;
    describe(&first, words, sizeof words);
    return cli_wrong("'%s', expected %s", operand[0], words);
}

int cli_parse(const cli_command *command, int *argc, char **argv)
{
    int n = 0;
    bool only_operands = false;
    memset(given, 0, sizeof given);
    for (int i = 0; i < *argc; i++) {
        char *word = argv[i];
        if (only_operands || word[0] != '-' || word[1] == '\0') {
            argv[n++] = word;
        } else if (strcmp(word, "--") == 0) {
            only_operands = true;
        } else {
            const char *next = i + 1 < *argc ? argv[i + 1] : NULL, *before = next;
            int status = take_word(command->options, word, &next);
            if (status) return status;
            if (before && !next) i++;
        }
    }
    *argc = n;
    return check_operands(command, n, argv);
}

bool cli_wants_help(int argc, char *const *argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

/* How many letters must be inserted, deleted, exchanged or swapped with their neighbour to make b of a (optimal string
 * alignment). Words of MOST letters and more are never near. */
static int distance(const char *a, const char *b)
{
    enum { MOST = 32 };
    int n = (int)strlen(a), m = (int)strlen(b), d[MOST][MOST];
    if (n >= MOST || m >= MOST) return MOST;
    for (int i = 0; i <= n; i++) d[i][0] = i;
    for (int j = 0; j <= m; j++) d[0][j] = j;
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && d[i - 2][j - 2] + 1 < best) best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

const char *cli_nearest(const char *typed, const char *const *names)
{
    const char *near = NULL;
    int best = 1 + ((int)strlen(typed) + 1) / 3;
    for (size_t i = 0; names[i]; i++) {
        int d = distance(typed, names[i]);
        if (d < best) {
            best = d;
            near = names[i];
        }
    }
    return near;
}
