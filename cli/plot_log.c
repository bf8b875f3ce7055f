#include "plot_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

const char *const cli_log_axes[] = {"step", "tokens", "minutes", NULL};
enum { STEP, TOKENS, MINUTES };

/* One key of the log. */
typedef struct curve {
    const char *key;
    double *x, *y;
    int64_t n, room;
} curve;

enum { LOSS, VALID_LOSS, METRIC, CURVES };

typedef struct training_log {
    const char *name; /* of the file */
    char *title;      /* in the legend */
    curve curves[CURVES];
    double tokens;          /* so far */
    double seconds, before; /* of this start of the training, and of those before it: a resumed run counts from 0 */
} training_log;

static bool curve_add(curve *c, double x, double y)
{
    if (c->n == c->room) {
        int64_t room = c->room ? 2 * c->room : 1024;
        double *xs = realloc(c->x, (size_t)room * sizeof *xs);
        if (xs) c->x = xs;
        double *ys = realloc(c->y, (size_t)room * sizeof *ys);
        if (ys) c->y = ys;
        if (!xs || !ys) return false;
        c->room = room;
    }
    c->x[c->n] = x;
    c->y[c->n++] = y;
    return true;
}

/* Keys of a log that are drawn, and what they are called. */
typedef struct known_key {
    const char *key, *name;
} known_key;

static const known_key valid_keys[] = {{"valid_loss", "validation loss"},
                                       {"validation_loss", "validation loss"},
                                       {"val_loss", "validation loss"},
                                       {NULL, NULL}};
static const known_key metric_keys[] = {{"valid_bleu", "BLEU"},
                                        {"valid_chrf", "chrF"},
                                        {"valid_exact", "exact match"},
                                        {"valid_accuracy", "accuracy"},
                                        {"bleu", "BLEU"},
                                        {"chrf", "chrF"},
                                        {"exact_match", "exact match"},
                                        {"accuracy", "accuracy"},
                                        {"f1", "F1"},
                                        {"perplexity", "perplexity"},
                                        {NULL, NULL}};

static const char *metric_name(const char *key)
{
    for (const known_key *k = metric_keys; key && k->key; k++)
        if (strcmp(key, k->key) == 0) return k->name;
    return key;
}

/* The first key of the line, in its own order, that is known: a trainer writes first what it goes by. */
static void choose_key(curve *c, json_t *line, const known_key *known)
{
    for (void *at = json_object_iter(line); at; at = json_object_iter_next(line, at)) {
        const char *key = json_object_iter_key(at);
        for (const known_key *k = known; !c->key && k->key; k++)
            if (strcmp(key, k->key) == 0 && json_is_number(json_object_iter_value(at))) c->key = k->key;
    }
}

/* Where the line stands on the axis; NaN when it does not say. */
static double place(training_log *log, json_t *line, int over)
{
    json_t *tokens = json_object_get(line, "tokens"), *seconds = json_object_get(line, "seconds");
    if (json_is_number(tokens)) log->tokens = json_number_value(tokens);
    if (json_is_number(seconds)) {
        double now = json_number_value(seconds);
        if (now < log->seconds) log->before += log->seconds;
        log->seconds = now;
    }
    if (over == STEP) return json_number_value(json_object_get(line, "step"));
    if (over == TOKENS) return log->tokens > 0 ? log->tokens : NAN;
    return log->seconds > 0 ? (log->before + log->seconds) / 60 : NAN;
}

static int take_line(training_log *log, json_t *line, int over, int64_t number)
{
    if (!json_is_number(json_object_get(line, "step")))
        return cli_wrong("%s:%lld: no number \"step\" in this line of a training log", log->name, (long long)number);
    choose_key(&log->curves[VALID_LOSS], line, valid_keys);
    choose_key(&log->curves[METRIC], line, metric_keys);
    double x = place(log, line, over);
    if (isnan(x))
        return cli_wrong("%s:%lld: --over %s, but this line and those above have no number \"%s\"", log->name,
                         (long long)number, cli_log_axes[over], over == TOKENS ? "tokens" : "seconds");
    for (int k = 0; k < CURVES; k++) {
        json_t *value = log->curves[k].key ? json_object_get(line, log->curves[k].key) : NULL;
        if (!value) continue;
        double y = json_is_number(value) ? json_number_value(value) : NAN;
        if (!curve_add(&log->curves[k], x, y)) return cli_failed("%s: out of memory", log->name);
    }
    return CLI_DONE;
}

static int read_log(training_log *log, FILE *input, int over)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t n;
    int status = CLI_DONE;
    for (int64_t number = 1; status == CLI_DONE && (n = getline(&text, &room, input)) > 0; number++) {
        json_error_t error;
        if (text[strspn(text, " \t\r\n")] == '\0') continue;
        json_t *line = json_loadb(text, (size_t)n, 0, &error);
        if (line)
            status = take_line(log, line, over, number);
        else if (text[n - 1] == '\n')
            status = cli_wrong("%s:%lld: %s", log->name, (long long)number, error.text);
        else
            cli_note("%s:%lld: the last line is cut short and left out", log->name, (long long)number);
        json_decref(line);
    }
    if (status == CLI_DONE && ferror(input)) status = cli_failed("%s: %s", log->name, strerror(errno));
    if (status == CLI_DONE && !log->curves[LOSS].n && !log->curves[VALID_LOSS].n && !log->curves[METRIC].n)
        status = cli_wrong("%s: no value of \"loss\" in the training log", log->name);
    free(text);
    return status;
}

static double smoothing(const cli_log_plot *plot, int64_t n)
{
    if (plot->smooth >= 0) return plot->smooth;
    return n < 100 ? 0 : n < 2000 ? 0.8 : 0.94;
}

static att_series series_of(const cli_log_plot *plot, const curve *c, int kind, const char *name)
{
    att_series s = {.name = name, .x = c->x, .y = c->y, .n = c->n, .panel = kind == METRIC};
    s.mark = kind != LOSS && c->n <= 60 ? ATT_MARK_POINTS : ATT_MARK_LINE;
    if (kind == LOSS) s.smooth = smoothing(plot, c->n);
    return s;
}

static int64_t series_of_one(const cli_log_plot *plot, const training_log *log, att_series *series)
{
    static const char *const legend[] = {"training loss", "validation loss"};
    int64_t n = 0;
    for (int k = 0; k < CURVES; k++)
        if (log->curves[k].n)
            series[n++] = series_of(plot, &log->curves[k], k, k < METRIC ? legend[k] : metric_name(log->curves[k].key));
    return n;
}

/* Of several logs the validation losses are compared, or the training losses when one has no validation; a log keeps
 * its colour in both panels. */
static int64_t series_of_several(const cli_log_plot *plot, const training_log *log, int logs, att_series *series)
{
    int loss = VALID_LOSS;
    int64_t n = 0;
    for (int i = 0; i < logs; i++)
        if (!log[i].curves[VALID_LOSS].n) loss = LOSS;
    for (int i = 0; i < logs; i++) series[n++] = series_of(plot, &log[i].curves[loss], loss, log[i].title);
    for (int i = 0; i < logs; i++) {
        series[n] = series_of(plot, &log[i].curves[METRIC], METRIC, NULL);
        series[n++].color = i + 1;
    }
    return n;
}

att_terminal_desc cli_terminal_here(int64_t width)
{
    const char *depth = getenv("COLORTERM");
    bool true_color = depth && (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0);
    att_terminal_desc t = {.width = width ? (int)width : cli_columns(stdout)};
    if (cli_color(stdout)) t.color = true_color ? ATT_TERMINAL_TRUE : ATT_TERMINAL_256;
    return t;
}

static int draw(const cli_log_plot *plot, const training_log *log, int logs)
{
    static const char *const x_name[] = {"step", "tokens", "minutes of training"};
    att_series series[2 * CLI_LOGS + CURVES];
    int64_t n = logs == 1 ? series_of_one(plot, log, series) : series_of_several(plot, log, logs, series);
    bool validated = true;
    for (int i = 0; i < logs; i++) validated &= log[i].curves[VALID_LOSS].n > 0;
    att_curves_desc desc = {
        .title = plot->title,
        .x_name = x_name[plot->over],
        .y_name = {logs > 1 && validated ? "validation loss" : "loss", metric_name(log[0].curves[METRIC].key)},
        .log_x = plot->log_step,
        .log_y = {plot->log_loss},
        .width = (int)plot->width,
        .height = (int)plot->height,
        .scale = plot->scale};
    att_terminal_desc terminal = cli_terminal_here(plot->width);
    att_status st = plot->output ? att_plot_curves(&desc, series, n, plot->output)
                                 : att_plot_curves_terminal(&terminal, &desc, series, n, stdout);
    return st == ATT_OK ? CLI_DONE : cli_fail(st);
}

static char *copy(const char *text, size_t bytes)
{
    char *s = strndup(text, bytes);
    if (!s) exit(cli_failed("out of memory"));
    return s;
}

/* "runs/a/log.jsonl" is called "a". */
static char *title_of(const char *path)
{
    size_t end = strlen(path);
    while (end && path[end - 1] != '/') end--;
    if (!end) return copy(path, strlen(path));
    size_t begin = --end;
    while (begin && path[begin - 1] != '/') begin--;
    return begin == end ? copy(path, strlen(path)) : copy(path + begin, end - begin);
}

static int give_titles(const cli_log_plot *plot, training_log *log, int n)
{
    const char *at = plot->names;
    for (int i = 0; i < n; i++) {
        if (!plot->names) {
            log[i].title = title_of(log[i].name);
            continue;
        }
        size_t bytes = at ? strcspn(at, ",") : 0;
        if (!at) return cli_wrong("--names %s: %d names for %d training logs", plot->names, i, n);
        log[i].title = copy(at, bytes);
        at = at[bytes] ? at + bytes + 1 : NULL;
    }
    return at ? cli_wrong("--names %s: more names than the %d training logs", plot->names, n) : CLI_DONE;
}

int cli_plot_logs(const cli_log_plot *plot, FILE *const *input, const char *const *name, int n, int64_t *values)
{
    training_log log[CLI_LOGS] = {{0}};
    const char *metric = plot->metric;
    *values = 0;
    for (int i = 0; i < n; i++)
        log[i] = (training_log){.name = name[i], .curves = {[LOSS] = {.key = "loss"}, [METRIC] = {.key = metric}}};
    int status = give_titles(plot, log, n);
    for (int i = 0; i < n && status == CLI_DONE; i++) {
        if (i > 0) log[i].curves[METRIC].key = log[0].curves[METRIC].key; /* all show the metric of the first */
        status = read_log(&log[i], input[i], plot->over);
        *values += log[i].curves[LOSS].n;
    }
    if (status == CLI_DONE) status = draw(plot, log, n);
    for (int i = 0; i < n; i++) {
        free(log[i].title);
        for (int k = 0; k < CURVES; k++) {
            free(log[i].curves[k].x);
            free(log[i].curves[k].y);
        }
    }
    return status;
}

int cli_draw_log(const char *log, const char *picture)
{
    const cli_log_plot plot = {.output = picture, .smooth = -1};
    int64_t values;
    FILE *input = fopen(log, "r");
    if (!input) return cli_failed("%s: %s", log, strerror(errno));
    bool quiet = cli.quiet;
    cli.quiet = true;
    int status = cli_plot_logs(&plot, &input, &log, 1, &values);
    cli.quiet = quiet;
    fclose(input);
    return status;
}
