/* attend plot: attention files and training logs as pictures. */
#include "commands.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <attend/plot.h>

static const char *const palettes[] = {"dusk", "grey", "ink", NULL};

static struct {
    const char *output, *layer, *head, *title, *row_name, *col_name, *metric;
    int64_t sentence, width, height, cell;
    double scale, smooth;
    bool values, alignments, log_loss, log_step;
    int colors;
} set = {.smooth = -1};

/* clang-format off */
static const cli_option options[] = {
    {"output", 'o', CLI_STRING, &set.output, "FILE", "the picture: .png, .svg, .html or .txt; without, draw here"},
    {"sentence", 0, CLI_INT, &set.sentence, "N", "record N of an attention file, from 1; 0: the first, in .html all",
     .min = 0, .max = HUGE_VAL},
    {"layer", 0, CLI_STRING, &set.layer, "L", "a layer from 1, 'all' (default) or 'mean'"},
    {"head", 0, CLI_STRING, &set.head, "H", "a head from 1, 'all' (default) or 'mean'"},
    {"title", 0, CLI_STRING, &set.title, "TEXT", "above the picture"},
    {"row-name", 0, CLI_STRING, &set.row_name, "TEXT", "what the rows are"},
    {"col-name", 0, CLI_STRING, &set.col_name, "TEXT", "what the columns are"},
    {"colors", 0, CLI_CHOICE, &set.colors, "NAME", "of the weights", .choices = palettes},
    {"values", 0, CLI_FLAG, &set.values, NULL, "print each weight in its cell"},
    {"cell", 0, CLI_INT, &set.cell, "N", "side of a cell in pixels; 0: as fits", .min = 0, .max = 1000},
    {"scale", 0, CLI_REAL, &set.scale, "X", "PNG: resolution; 0: 2, or 1 when that would be too large", .min = 0,
     .max = 16},
    {"alignments", 0, CLI_FLAG, &set.alignments, NULL, "instead of a picture, Pharaoh pairs i-j, a line a sentence"},
    {"metric", 0, CLI_STRING, &set.metric, "KEY", "training log: what the lower panel shows"},
    {"smooth", 0, CLI_REAL, &set.smooth, "X", "training log: factor of the moving average; -1: by length", .min = -1,
     .max = 0.9999},
    {"log-loss", 0, CLI_FLAG, &set.log_loss, NULL, "training log: logarithmic loss axis"},
    {"log-step", 0, CLI_FLAG, &set.log_step, NULL, "training log: logarithmic step axis"},
    {"width", 0, CLI_INT, &set.width, "N", "of the curves in pixels, of the terminal in columns; 0: as fits",
     .min = 0, .max = 16384},
    {"height", 0, CLI_INT, &set.height, "N", "of the curves in pixels; 0: as fits", .min = 0, .max = 16384},
    CLI_JSON,
    CLI_END,
};
/* clang-format on */

static att_terminal_desc terminal_here(void)
{
    const char *depth = getenv("COLORTERM");
    bool true_color = depth && (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0);
    att_terminal_desc t = {.width = set.width ? (int)set.width : cli_columns(stdout)};
    if (cli_color(stdout)) t.color = true_color ? ATT_TERMINAL_TRUE : ATT_TERMINAL_256;
    return t;
}

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && strcmp(path + n - m, ending) == 0;
}

static int say_done(const char *what, int64_t n)
{
    if (!cli.json) return CLI_DONE;
    return cli_print_json(json_pack("{s:s, s:s?, s:I}", "kind", what, "picture", set.output, "records", (json_int_t)n));
}

/* ---- attention ---- */

/* "3", "all" or "mean" of `count`, as att_plot_attention counts. */
static int parse_index(const char *name, const char *text, int64_t count, int64_t *out)
{
    char *end = NULL;
    *out = ATT_PLOT_ALL;
    if (!text || strcmp(text, "all") == 0) return CLI_DONE;
    if (strcmp(text, "mean") == 0) {
        *out = ATT_PLOT_MEAN;
        return CLI_DONE;
    }
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || *end || errno || n < 1 || n > count)
        return cli_wrong("--%s %s: expected 1 to %lld, 'all' or 'mean'", name, text, (long long)count);
    *out = n - 1;
    return CLI_DONE;
}

static att_heatmap_desc map_desc(const att_attention_record *r)
{
    const char *rows = r->kind == ATT_ATTENTION_ENCODER ? "source" : "target";
    const char *cols = r->kind == ATT_ATTENTION_DECODER ? "target" : "source";
    return (att_heatmap_desc){.title = set.title,
                              .row_name = set.row_name ? set.row_name : rows,
                              .col_name = set.col_name ? set.col_name : cols,
                              .colors = (att_colors)set.colors,
                              .show_values = set.values,
                              .cell = (int)set.cell,
                              .scale = set.scale};
}

static int draw_here(const att_attention_record *r, int64_t layer, int64_t head)
{
    att_terminal_desc terminal = terminal_here();
    att_heatmap_desc desc = map_desc(r);
    int64_t layers = layer == ATT_PLOT_ALL ? r->layers : 1, heads = head == ATT_PLOT_ALL ? r->heads : 1;
    float *map = malloc((size_t)(r->rows * r->cols) * sizeof *map);
    char title[96];
    att_status st = ATT_OK;
    if (!map)
        return cli_failed("out of memory: a map of %lld rows and %lld columns", (long long)r->rows, (long long)r->cols);
    for (int64_t p = 0; st == ATT_OK && p < layers * heads; p++) {
        int64_t l = layer == ATT_PLOT_ALL ? p / heads : layer, h = head == ATT_PLOT_ALL ? p % heads : head;
        if (layers * heads > 1) {
            snprintf(title, sizeof title, "layer %lld, head %lld", (long long)l + 1, (long long)h + 1);
            if (l == ATT_PLOT_MEAN) snprintf(title, sizeof title, "mean layer, head %lld", (long long)h + 1);
            if (h == ATT_PLOT_MEAN) snprintf(title, sizeof title, "layer %lld, mean head", (long long)l + 1);
            desc.title = title;
        }
        if (p > 0) putchar('\n');
        st = att_attention_map(r, l, h, map);
        if (st == ATT_OK)
            st = att_plot_terminal(&terminal, &desc, map, r->rows, r->cols, att_attention_row_labels(r),
                                   att_attention_col_labels(r), stdout);
    }
    free(map);
    return st == ATT_OK ? CLI_DONE : cli_fail(st);
}

static int draw_record(const att_attention_record *r)
{
    int64_t layer, head;
    int status = parse_index("layer", set.layer, r->layers, &layer);
    if (status == CLI_DONE) status = parse_index("head", set.head, r->heads, &head);
    if (status != CLI_DONE) return status;
    if (!set.output) return draw_here(r, layer, head);
    att_heatmap_desc desc = map_desc(r);
    att_status st = att_plot_attention(&desc, r, layer, head, set.output);
    return st == ATT_OK ? CLI_DONE : cli_fail(st);
}

/* Record --sentence; the first without it. */
static int draw_one(att_attention_reader *reader, const char *name)
{
    const att_attention_record *record;
    int64_t wanted = set.sentence ? set.sentence : 1, seen = 0;
    do {
        att_status st = att_attention_reader_next(reader, &record);
        if (st != ATT_OK) return cli_fail(st);
        seen += record != NULL;
    } while (record && seen < wanted);
    if (!record)
        return cli_wrong("%s: --sentence %lld, but the file has %lld", name, (long long)wanted, (long long)seen);
    int status = draw_record(record);
    return status == CLI_DONE && set.output ? say_done("attention", 1) : status;
}

/* Every record on one page. */
static int draw_page(att_attention_reader *reader)
{
    const att_attention_record *record;
    att_page *page = NULL;
    int64_t seen = 0;
    if (set.layer || set.head) return cli_wrong("--layer and --head of a page need --sentence: it shows all of them");
    att_status st = att_attention_reader_next(reader, &record);
    while (st == ATT_OK && record) {
        att_heatmap_desc desc = map_desc(record);
        desc.row_name = set.row_name; /* else each record's own */
        desc.col_name = set.col_name;
        if (!page) st = att_page_create(&desc, set.output, &page);
        if (st == ATT_OK) st = att_page_add(page, record);
        if (st == ATT_OK) st = att_attention_reader_next(reader, &record);
        seen++;
    }
    if (st == ATT_OK && page) st = att_page_finish(page);
    att_page_destroy(page);
    if (st != ATT_OK) return cli_fail(st);
    return say_done("attention", seen);
}

static int write_alignments(att_attention_reader *reader)
{
    const att_attention_record *record;
    FILE *out = cli_open_output(set.output);
    int status = out ? CLI_DONE : CLI_FAILED;
    while (status == CLI_DONE) {
        int64_t layer, head;
        att_status st = att_attention_reader_next(reader, &record);
        if (st != ATT_OK) status = cli_fail(st);
        if (st != ATT_OK || !record) break;
        if (record->kind != ATT_ATTENTION_CROSS) continue;
        status = parse_index("layer", set.layer ? set.layer : "mean", record->layers, &layer);
        if (status == CLI_DONE) status = parse_index("head", set.head ? set.head : "mean", record->heads, &head);
        if (status != CLI_DONE) break;
        if (layer == ATT_PLOT_ALL) layer = ATT_PLOT_MEAN;
        if (head == ATT_PLOT_ALL) head = ATT_PLOT_MEAN;
        st = att_attention_pharaoh(record, layer, head, out);
        if (st != ATT_OK) status = cli_fail(st);
    }
    if (!out) return status;
    int closed = cli_close_output(out, set.output);
    return status == CLI_DONE ? closed : status;
}

static int plot_attention(FILE *input, const char *name)
{
    att_attention_reader *reader;
    att_status st = att_attention_reader_create(input, name, NULL, &reader);
    if (st != ATT_OK) return cli_fail(st);
    bool page = set.output && ends_with(set.output, ".html") && set.sentence == 0;
    int status = set.alignments ? write_alignments(reader) : page ? draw_page(reader) : draw_one(reader, name);
    att_attention_reader_destroy(reader);
    return status;
}

/* ---- training logs ---- */

/* One key of the log. */
typedef struct curve {
    const char *key;
    double *x, *y;
    int64_t n, room;
} curve;

enum { LOSS, VALID_LOSS, METRIC, CURVES };

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

static int take_line(json_t *line, curve curves[CURVES], const char *name, int64_t number)
{
    json_t *step = json_object_get(line, "step");
    if (!json_is_number(step))
        return cli_wrong("%s:%lld: no number \"step\" in this line of a training log", name, (long long)number);
    choose_key(&curves[VALID_LOSS], line, valid_keys);
    choose_key(&curves[METRIC], line, metric_keys);
    for (int k = 0; k < CURVES; k++) {
        json_t *value = curves[k].key ? json_object_get(line, curves[k].key) : NULL;
        if (!value) continue;
        double y = json_is_number(value) ? json_number_value(value) : NAN;
        if (!curve_add(&curves[k], json_number_value(step), y)) return cli_failed("%s: out of memory", name);
    }
    return CLI_DONE;
}

static int read_log(FILE *input, const char *name, curve curves[CURVES])
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
            status = take_line(line, curves, name, number);
        else if (text[n - 1] == '\n')
            status = cli_wrong("%s:%lld: %s", name, (long long)number, error.text);
        else
            cli_note("%s:%lld: the last line is cut short and left out", name, (long long)number);
        json_decref(line);
    }
    if (status == CLI_DONE && ferror(input)) status = cli_failed("%s: %s", name, strerror(errno));
    free(text);
    return status;
}

static double smoothing(int64_t n)
{
    if (set.smooth >= 0) return set.smooth;
    return n < 100 ? 0 : n < 2000 ? 0.8 : 0.94;
}

static int draw_log(const char *name, const curve curves[CURVES])
{
    static const char *const legend[] = {"training loss", "validation loss"};
    att_series series[CURVES];
    int64_t n = 0;
    for (int k = 0; k < CURVES; k++) {
        const curve *c = &curves[k];
        if (!c->n) continue;
        series[n] = (att_series){.name = k < METRIC ? legend[k] : metric_name(c->key), .x = c->x, .y = c->y, .n = c->n};
        series[n].panel = k == METRIC;
        series[n].mark = k != LOSS && c->n <= 60 ? ATT_MARK_POINTS : ATT_MARK_LINE;
        if (k == LOSS) series[n].smooth = smoothing(c->n);
        n++;
    }
    if (n == 0) return cli_wrong("%s: no value of \"loss\" in the training log", name);
    att_curves_desc desc = {.title = set.title,
                            .x_name = "step",
                            .y_name = {"loss", metric_name(curves[METRIC].key)},
                            .log_x = set.log_step,
                            .log_y = {set.log_loss},
                            .width = (int)set.width,
                            .height = (int)set.height,
                            .scale = set.scale};
    att_terminal_desc terminal = terminal_here();
    att_status st = set.output ? att_plot_curves(&desc, series, n, set.output)
                               : att_plot_curves_terminal(&terminal, &desc, series, n, stdout);
    if (st != ATT_OK) return cli_fail(st);
    return set.output ? say_done("log", curves[LOSS].n) : CLI_DONE;
}

static int plot_log(FILE *input, const char *name)
{
    curve curves[CURVES] = {[LOSS] = {.key = "loss"}, [METRIC] = {.key = set.metric}};
    if (set.alignments) return cli_wrong("%s: a training log has no alignments", name);
    int status = read_log(input, name, curves);
    if (status == CLI_DONE) status = draw_log(name, curves);
    for (int k = 0; k < CURVES; k++) {
        free(curves[k].x);
        free(curves[k].y);
    }
    return status;
}

int cli_draw_log(const char *log, const char *picture)
{
    FILE *input = fopen(log, "r");
    if (!input) return cli_failed("%s: %s", log, strerror(errno));
    bool quiet = cli.quiet, json = cli.json;
    cli.quiet = true;
    cli.json = false;
    set.output = picture;
    int status = plot_log(input, log);
    cli.quiet = quiet;
    cli.json = json;
    fclose(input);
    return status;
}

/* ---- which of the two ---- */

static int copy_stream(FILE *from, const char *name, FILE **out)
{
    FILE *copy = tmpfile();
    char block[1 << 14];
    size_t n = 0;
    while (copy && (n = fread(block, 1, sizeof block, from)) > 0 && fwrite(block, 1, n, copy) == n) {
    }
    *out = copy;
    if (copy && !ferror(from) && n == 0 && fseek(copy, 0, SEEK_SET) == 0) return CLI_DONE;
    int status = cli_failed("%s: %s", name, strerror(errno));
    if (copy) fclose(copy);
    return status;
}

/* The input, rewindable: a pipe is copied to a temporary file. */
static int open_input(const char *path, const char *name, FILE **out)
{
    if (strcmp(path, "-") == 0) return copy_stream(stdin, name, out);
    struct stat kind;
    if (stat(path, &kind) == 0 && S_ISDIR(kind.st_mode))
        return cli_wrong("%s: is a directory, expected an attention file or a training log", path);
    FILE *input = fopen(path, "rb");
    if (!input)
        return errno == ENOENT ? cli_wrong("%s: it does not exist", path) : cli_failed("%s: %s", path, strerror(errno));
    if (fseek(input, 0, SEEK_SET) == 0) {
        *out = input;
        return CLI_DONE;
    }
    int status = copy_stream(input, name, out);
    fclose(input);
    return status;
}

typedef enum content { NOTHING, ATTENTION, LOG, OTHER, UNREADABLE } content;

/* By the keys at the start of the first line that is not empty. */
static content look_inside(FILE *input)
{
    enum { LOOK = 1 << 20 };
    content found = NOTHING;
    char *text = malloc(LOOK);
    size_t n = text ? fread(text, 1, LOOK - 1, input) : 0;
    if (text) {
        text[n] = '\0';
        char *line = text + strspn(text, " \t\r\n");
        line[strcspn(line, "\n")] = '\0';
        found = ferror(input)                 ? UNREADABLE
                : !*line                      ? NOTHING
                : strstr(line, "\"weights\"") ? ATTENTION
                : strstr(line, "\"step\"")    ? LOG
                                              : OTHER;
    }
    free(text);
    rewind(input);
    return found;
}

static int run(int argc, char **argv)
{
    (void)argc;
    const char *name = strcmp(argv[0], "-") == 0 ? "standard input" : argv[0];
    FILE *input;
    int status = open_input(argv[0], name, &input);
    if (status != CLI_DONE) return status;
    status = CLI_WRONG;
    switch (look_inside(input)) {
    case ATTENTION: status = plot_attention(input, name); break;
    case LOG: status = plot_log(input, name); break;
    case NOTHING: cli_wrong("%s: empty, expected an attention file or a training log", name); break;
    case UNREADABLE: status = cli_failed("%s: %s", name, strerror(errno)); break;
    case OTHER:
        cli_wrong("%s: neither an attention file (JSON lines with \"weights\") nor a training log (JSON lines with "
                  "\"step\" and \"loss\")",
                  name);
    }
    fclose(input);
    return status;
}

const cli_command cmd_plot = {
    .name = "plot",
    .operands = "FILE",
    .summary = "draw an attention file or a training log",
    .help = "FILE (- is standard input) is an attention file, as translate --attention writes\n"
            "it, or the log of a training: one JSON object a line. The picture's kind follows\n"
            "the name after -o; without it the picture is drawn in the terminal.\n"
            "\n"
            "A .html page holds every sentence of the file, and shows words and weights under\n"
            "the mouse. Several layers or heads make a sheet of maps.",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
