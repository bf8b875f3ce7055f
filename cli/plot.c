/* attend plot: attention files and training logs as pictures. */
#include "plot_log.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <attend/plot.h>

#include "commands.h"

static const char *const palettes[] = {"dusk", "grey", "ink", NULL};
enum { ANY_KIND, FIRST_KIND }; /* --kind counts the kinds of att_attention_kind from FIRST_KIND */
static const char *const kinds[] = {"auto", "cross", "encoder", "decoder", NULL};

static struct {
    const char *output, *layer, *head, *title, *row_name, *col_name;
    int64_t sentence, cell;
    double scale;
    bool values, alignments;
    int colors, kind;
    cli_log_plot log; /* what only training logs have */
} set = {.log = {.smooth = -1}};

/* clang-format off */
static const cli_option options[] = {
    {"output", 'o', CLI_STRING, &set.output, "FILE", "the picture: .png, .svg, .html or .txt; without, draw here"},
    {"kind", 'k', CLI_CHOICE, &set.kind, NULL,
     "which attention, where a file holds several: cross is what the decoder reads of the source; auto: cross, or the "
     "first kind of a file without; in .html all", .choices = kinds},
    {"sentence", 0, CLI_INT, &set.sentence, "N", "sentence N of an attention file, from 1; 0: the first, in .html all",
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
    {"metric", 0, CLI_STRING, &set.log.metric, "KEY", "training log: what the lower panel shows"},
    {"smooth", 0, CLI_REAL, &set.log.smooth, "X", "training log: factor of the moving average; -1: by length", .min = -1,
     .max = 0.9999},
    {"over", 0, CLI_CHOICE, &set.log.over, "AXIS", "training log: what the curves go along", .choices = cli_log_axes},
    {"names", 0, CLI_STRING, &set.log.names, "A,B,...", "several training logs: what each is called"},
    {"log-loss", 0, CLI_FLAG, &set.log.log_loss, NULL, "training log: logarithmic loss axis"},
    {"log-step", 0, CLI_FLAG, &set.log.log_step, NULL, "training log: logarithmic step, token or minute axis"},
    {"width", 0, CLI_INT, &set.log.width, "N", "of the curves in pixels, of the terminal in columns; 0: as fits",
     .min = 0, .max = 16384},
    {"height", 0, CLI_INT, &set.log.height, "N", "of the curves in pixels; 0: as fits", .min = 0, .max = 16384},
    CLI_JSON,
    CLI_END,
};
/* clang-format on */

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
    att_terminal_desc terminal = cli_terminal_here(set.log.width);
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

/* The next record that --kind wants, NULL after the last. */
static att_status next_record(att_attention_reader *reader, const att_attention_record **record)
{
    att_status st;
    do {
        st = att_attention_reader_next(reader, record);
    } while (st == ATT_OK && *record && set.kind != ANY_KIND && (int)(*record)->kind + FIRST_KIND != set.kind);
    return st;
}

/* What --kind auto means for this file: cross, or what its first record is where it has none. */
static att_status choose_kind(FILE *input, const char *name)
{
    att_attention_reader *reader;
    const att_attention_record *record;
    int chosen = ANY_KIND;
    att_status st = att_attention_reader_create(input, name, NULL, &reader);
    if (st != ATT_OK) return st;
    do {
        st = att_attention_reader_next(reader, &record);
        if (st == ATT_OK && record && (chosen == ANY_KIND || record->kind == ATT_ATTENTION_CROSS))
            chosen = (int)record->kind + FIRST_KIND;
    } while (st == ATT_OK && record && record->kind != ATT_ATTENTION_CROSS);
    att_attention_reader_destroy(reader);
    rewind(input);
    set.kind = chosen;
    return st;
}

static int sentence_is_missing(const char *name, int64_t wanted, int64_t seen)
{
    if (set.kind == ANY_KIND || seen > 0)
        return cli_wrong("%s: --sentence %lld, but the file has %lld", name, (long long)wanted, (long long)seen);
    return cli_wrong("%s: --kind %s, but the file has no attention of this kind", name, kinds[set.kind]);
}

/* Sentence --sentence; the first without it. */
static int draw_one(att_attention_reader *reader, const char *name)
{
    const att_attention_record *record;
    int64_t wanted = set.sentence ? set.sentence : 1, seen = 0;
    do {
        att_status st = next_record(reader, &record);
        if (st != ATT_OK) return cli_fail(st);
        seen += record != NULL;
    } while (record && seen < wanted);
    if (!record) return sentence_is_missing(name, wanted, seen);
    int status = draw_record(record);
    return status == CLI_DONE && set.output ? say_done("attention", 1) : status;
}

/* Every record of --kind on one page. */
static int draw_page(att_attention_reader *reader, const char *name)
{
    const att_attention_record *record;
    att_page *page = NULL;
    int64_t seen = 0;
    if (set.layer || set.head) return cli_wrong("--layer and --head of a page need --sentence: it shows all of them");
    att_status st = next_record(reader, &record);
    while (st == ATT_OK && record) {
        att_heatmap_desc desc = map_desc(record);
        desc.row_name = set.row_name; /* else each record's own */
        desc.col_name = set.col_name;
        if (!page) st = att_page_create(&desc, set.output, &page);
        if (st == ATT_OK) st = att_page_add(page, record);
        if (st == ATT_OK) st = next_record(reader, &record);
        seen++;
    }
    if (st == ATT_OK && page) st = att_page_finish(page);
    att_page_destroy(page);
    if (st != ATT_OK) return cli_fail(st);
    if (seen == 0) return sentence_is_missing(name, 1, 0);
    return say_done("attention", seen);
}

static int write_alignments(att_attention_reader *reader)
{
    const att_attention_record *record;
    FILE *out = cli_open_output(set.output);
    int status = out ? CLI_DONE : CLI_FAILED;
    while (status == CLI_DONE) {
        int64_t layer, head;
        att_status st = next_record(reader, &record);
        if (st != ATT_OK) status = cli_fail(st);
        if (st != ATT_OK || !record) break;
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
    const int cross = (int)ATT_ATTENTION_CROSS + FIRST_KIND;
    att_attention_reader *reader;
    bool page = set.output && ends_with(set.output, ".html") && set.sentence == 0;
    att_status st = ATT_OK;
    if (set.alignments && set.kind != ANY_KIND && set.kind != cross)
        return cli_wrong("--alignments --kind %s: only cross attention aligns target and source", kinds[set.kind]);
    if (set.alignments)
        set.kind = cross;
    else if (!page && set.kind == ANY_KIND)
        st = choose_kind(input, name);
    if (st == ATT_OK) st = att_attention_reader_create(input, name, NULL, &reader);
    if (st != ATT_OK) return cli_fail(st);
    int status = set.alignments ? write_alignments(reader) : page ? draw_page(reader, name) : draw_one(reader, name);
    att_attention_reader_destroy(reader);
    return status;
}

static int plot_logs(FILE *const *input, const char *const *name, int n)
{
    if (set.alignments) return cli_wrong("%s: a training log has no alignments", name[0]);
    set.log.title = set.title;
    set.log.output = set.output;
    set.log.scale = set.scale;
    int64_t values;
    int status = cli_plot_logs(&set.log, input, name, n, &values);
    return status == CLI_DONE && set.output ? say_done("log", values) : status;
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

static int plot_input(FILE *input, const char *name)
{
    switch (look_inside(input)) {
    case ATTENTION: return plot_attention(input, name);
    case LOG: return plot_logs(&input, &name, 1);
    case NOTHING: return cli_wrong("%s: empty, expected an attention file or a training log", name);
    case UNREADABLE: return cli_failed("%s: %s", name, strerror(errno));
    case OTHER: break;
    }
    return cli_wrong("%s: neither an attention file (JSON lines with \"weights\") nor a training log (JSON lines with "
                     "\"step\" and \"loss\")",
                     name);
}

static const char *name_of(const char *operand)
{
    return strcmp(operand, "-") == 0 ? "standard input" : operand;
}

/* Several files are training logs, drawn over common axes. */
static int plot_several(int argc, char **argv)
{
    FILE *input[CLI_LOGS] = {NULL};
    const char *name[CLI_LOGS];
    int status = CLI_DONE, n = 0;
    if (argc > CLI_LOGS) return cli_wrong("%d files, expected at most %d training logs", argc, CLI_LOGS);
    while (n < argc && status == CLI_DONE) {
        name[n] = name_of(argv[n]);
        status = open_input(argv[n], name[n], &input[n]);
        if (status != CLI_DONE) break;
        if (look_inside(input[n]) != LOG)
            status =
                cli_wrong("%s: no training log (JSON lines with \"step\" and \"loss\"), which each of several files "
                          "must be",
                          name[n]);
        n++;
    }
    if (status == CLI_DONE) status = plot_logs(input, name, n);
    for (int i = 0; i < n; i++) fclose(input[i]);
    return status;
}

static int run(int argc, char **argv)
{
    FILE *input;
    if (argc > 1) return plot_several(argc, argv);
    int status = open_input(argv[0], name_of(argv[0]), &input);
    if (status != CLI_DONE) return status;
    status = plot_input(input, name_of(argv[0]));
    fclose(input);
    return status;
}

const cli_command cmd_plot = {
    .name = "plot",
    .operands = "FILE...",
    .summary = "draw an attention file or training logs",
    .help = "FILE (- is standard input) is an attention file, as translate --attention writes\n"
            "it, or the log of a training: one JSON object a line. The picture's kind follows\n"
            "the name after -o; without it the picture is drawn in the terminal.\n"
            "\n"
            "A .html page holds every sentence of the file, and shows words and weights under\n"
            "the mouse. Several layers or heads make a sheet of maps. A Transformer's file holds\n"
            "three kinds of attention for every sentence: what its decoder reads of the source\n"
            "is drawn unless --kind asks for another.\n"
            "\n"
            "    attend plot attention.jsonl --sentence 2 --layer 3 --head mean -o words.png\n"
            "    attend plot attention.jsonl --kind encoder -o encoder.png\n"
            "\n"
            "Several training logs make one picture that compares them:\n"
            "\n"
            "    attend plot runs/a/log.jsonl runs/b/log.jsonl --over minutes -o compared.png",
    .options = options,
    .min_operands = 1,
    .max_operands = -1,
    .run = run,
};
