/* attend score: BLEU and chrF of line-aligned files. */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include <attend/score.h>

static const char *const tokenizers[] = {"13a", "intl", "char", "none", NULL};
static const char *const smoothings[] = {"exp", "floor", "add-k", "none", NULL};

static struct {
    int tokenizer, smooth;
    double smooth_value;
    bool lowercase, effective_order, whitespace, eps_smoothing;
    int64_t char_order, word_order, beta;
} set = {.char_order = 6, .beta = 2};

static const cli_option options[] = {
    {"tokenize", 0, CLI_CHOICE, &set.tokenizer, "NAME", "BLEU's tokeniser", .choices = tokenizers},
    {"smooth-method", 0, CLI_CHOICE, &set.smooth, "NAME", "for orders without a match", .choices = smoothings},
    {"smooth-value", 0, CLI_REAL, &set.smooth_value, "X", "of floor (0: 0.1) and add-k (0: 1)", .max = 1e9},
    {"effective-order", 0, CLI_FLAG, &set.effective_order, NULL,
     "leave out orders that no hypothesis is long enough for"},
    {"lowercase", 0, CLI_FLAG, &set.lowercase, NULL, "ignore case, in both scores"},
    {"chrf-char-order", 0, CLI_INT, &set.char_order, "N", "longest character n-gram", .min = 1,
     .max = ATT_CHRF_MAX_ORDER},
    {"chrf-word-order", 0, CLI_INT, &set.word_order, "N", "longest word n-gram; 2 is chrF++",
     .max = ATT_CHRF_MAX_ORDER},
    {"chrf-beta", 0, CLI_INT, &set.beta, "N", "weight of recall against precision", .min = 1, .max = 1000},
    {"chrf-whitespace", 0, CLI_FLAG, &set.whitespace, NULL, "white space counts as characters"},
    {"chrf-eps-smoothing", 0, CLI_FLAG, &set.eps_smoothing, NULL, "average over all orders, as chrF++.py does"},
    CLI_JSON,
    CLI_END,
};

/* A file, read whole and cut into lines. */
typedef struct lines {
    const char *path;
    char *text;         /* each line ends with NUL */
    const char **start; /* (n) */
    int64_t n;
} lines;

static void lines_free(lines *l)
{
    free(l->text);
    free(l->start);
}

static int read_error(const char *path)
{
    return errno == EISDIR ? cli_wrong("%s: %s", path, strerror(errno)) : cli_failed("%s: %s", path, strerror(errno));
}

/* All of `file` as one NUL-terminated block of *bytes bytes. */
static int slurp(FILE *file, lines *l, size_t *bytes)
{
    size_t room = 0;
    for (*bytes = 0;;) {
        if (*bytes + 1 >= room) {
            room = room ? 2 * room : 1 << 16;
            char *grown = realloc(l->text, room);
            if (!grown) return cli_failed("%s: out of memory: %zu bytes were asked for", l->path, room);
            l->text = grown;
        }
        size_t got = fread(l->text + *bytes, 1, room - 1 - *bytes, file);
        *bytes += got;
        if (got == 0) break;
    }
    l->text[*bytes] = '\0';
    return ferror(file) ? read_error(l->path) : CLI_DONE;
}

/* What Python's str.rstrip() takes away, as sacreBLEU does with every line. */
static bool is_space(utf8proc_int32_t c)
{
    return c == 0x20 || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F) || c == 0x85 ||
           (c >= 0x80 && utf8proc_category(c) >= UTF8PROC_CATEGORY_ZS && utf8proc_category(c) <= UTF8PROC_CATEGORY_ZP);
}

/* The line's text must be UTF-8 without zero bytes; *end goes back to behind its last character that is no space. */
static int check_line(const lines *l, char *start, char **end)
{
    char *stop = *end;
    *end = start;
    for (char *at = start; at < stop;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)at, stop - at, &code);
        if (used < 1 || code == 0)
            return cli_wrong("%s:%lld: %s at byte %lld, expected UTF-8 text", l->path, (long long)l->n + 1,
                             used < 1 ? "invalid UTF-8" : "a zero byte", (long long)(at - start) + 1);
        at += used;
        if (!is_space(code)) *end = at;
    }
    return CLI_DONE;
}

static int cut(lines *l, size_t bytes)
{
    size_t count = 1;
    for (size_t i = 0; i < bytes; i++) count += l->text[i] == '\n';
    l->start = calloc(count, sizeof *l->start);
    if (!l->start) return cli_failed("%s: out of memory: %zu lines", l->path, count);
    for (char *at = l->text, *stop = l->text + bytes; at < stop;) {
        char *end = memchr(at, '\n', (size_t)(stop - at));
        char *next = (end = end ? end : stop) + 1;
        int status = check_line(l, at, &end);
        if (status != CLI_DONE) return status;
        *end = '\0';
        l->start[l->n++] = at;
        at = next;
    }
    return l->n > 0 ? CLI_DONE : cli_wrong("%s: empty, expected at least one line", l->path);
}

static int read_lines(const char *path, lines *l)
{
    bool standard = strcmp(path, "-") == 0;
    size_t bytes = 0;
    l->path = standard ? "standard input" : path;
    FILE *file = standard ? stdin : fopen(path, "rb");
    if (!file) return cli_wrong("%s: %s", path, strerror(errno));
    int status = slurp(file, l, &bytes);
    if (!standard) fclose(file);
    return status == CLI_DONE ? cut(l, bytes) : status;
}

static int read_all(int count, char **paths, lines *files)
{
    int standard = 0;
    for (int i = 0; i < count; i++) standard += strcmp(paths[i], "-") == 0;
    if (standard > 1) return cli_wrong("'-' is given %d times, expected at most once", standard);
    for (int i = 0; i < count; i++) {
        int status = read_lines(paths[i], &files[i]);
        if (status != CLI_DONE) return status;
        if (files[i].n != files[0].n)
            return cli_wrong("%s: %lld lines, expected %lld as in %s", files[i].path, (long long)files[i].n,
                             (long long)files[0].n, files[0].path);
    }
    return CLI_DONE;
}

static json_t *numbers(const double *x, const int64_t *n)
{
    json_t *list = json_array();
    for (int i = 0; i < ATT_BLEU_ORDER; i++) json_array_append_new(list, x ? json_real(x[i]) : json_integer(n[i]));
    return list;
}

static int print_json(const att_bleu *bleu, const att_chrf *chrf, const char *bleu_is, const char *chrf_is, int64_t n)
{
    return cli_print_json(json_pack("{s:f, s:f, s:s, s:s, s:I, s:o, s:f, s:I, s:I, s:o, s:o}", "bleu", bleu->score,
                                    "chrf", chrf->score, "bleu_signature", bleu_is, "chrf_signature", chrf_is,
                                    "segments", (json_int_t)n, "precisions", numbers(bleu->precision, NULL),
                                    "brevity_penalty", bleu->brevity_penalty, "hyp_len", (json_int_t)bleu->hyp_len,
                                    "ref_len", (json_int_t)bleu->ref_len, "correct", numbers(NULL, bleu->correct),
                                    "total", numbers(NULL, bleu->total)));
}

/* files[0]: hypotheses; the others: references. streams (count - 1) */
static int score(const lines *files, int count, const char *const **streams)
{
    att_bleu_desc bleu_desc = {(att_bleu_tokenizer)set.tokenizer, (att_bleu_smooth)set.smooth, set.smooth_value,
                               set.lowercase, set.effective_order};
    att_chrf_desc chrf_desc = {(int)set.char_order, (int)set.word_order, (int)set.beta,
                               set.lowercase,       set.whitespace,      set.eps_smoothing};
    char bleu_is[ATT_SCORE_TEXT], chrf_is[ATT_SCORE_TEXT], line[ATT_SCORE_TEXT];
    att_bleu bleu;
    att_chrf chrf;
    int64_t n = files[0].n, nrefs = count - 1;
    for (int r = 0; r < nrefs; r++) streams[r] = files[r + 1].start;
    att_status st = att_bleu_corpus(&bleu_desc, NULL, &bleu, files[0].start, streams, n, nrefs);
    if (st == ATT_OK) st = att_chrf_corpus(&chrf_desc, NULL, &chrf, files[0].start, streams, n, nrefs);
    if (st == ATT_OK) st = att_bleu_signature(&bleu_desc, nrefs, bleu_is, sizeof bleu_is);
    if (st == ATT_OK) st = att_chrf_signature(&chrf_desc, nrefs, chrf_is, sizeof chrf_is);
    if (st != ATT_OK) return cli_fail(st);
    if (cli.json) return print_json(&bleu, &chrf, bleu_is, chrf_is, n);
    st = att_bleu_format(&bleu, bleu_is, line, sizeof line);
    if (st != ATT_OK) return cli_fail(st);
    puts(line);
    st = att_chrf_format(&chrf, chrf_is, line, sizeof line);
    if (st != ATT_OK) return cli_fail(st);
    puts(line);
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    lines *files = calloc((size_t)argc, sizeof *files);
    const char *const **streams = calloc((size_t)argc, sizeof *streams);
    int status = files && streams ? read_all(argc, argv, files) : cli_failed("out of memory: %d files", argc);
    if (status == CLI_DONE) status = score(files, argc, streams);
    for (int i = 0; files && i < argc; i++) lines_free(&files[i]);
    free(files);
    free(streams);
    return status;
}

const cli_command cmd_score = {
    .name = "score",
    .operands = "HYPOTHESES REFERENCES...",
    .summary = "BLEU and chrF of translations, as sacreBLEU prints them",
    .help = "Line i of HYPOTHESES (- is standard input) is a translation, line i of every\n"
            "REFERENCES file a human one of the same sentence: plain UTF-8 text as people\n"
            "read it, cased and not tokenised.\n"
            "\n"
            "The result is one line a score with sacreBLEU's signature, to its last digit.",
    .options = options,
    .min_operands = 2,
    .max_operands = -1,
    .run = run,
};
