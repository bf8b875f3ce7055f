/* attend search: the lines nearest in meaning. */
#include "commands.h"
#include "lines.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <attend/model.h>

static struct {
    int64_t top;
    double least;
} set = {.top = 10, .least = 0.5};

/* clang-format off */
static const cli_option options[] = {
    {"top",       'n', CLI_INT,  &set.top,   "N", "lines shown, nearest first", .min = 1, .max = 1e9},
    {"threshold", 0,   CLI_REAL, &set.least, "S", "two words match from this similarity on", .min = -1, .max = 1},
    CLI_JSON, CLI_QUIET, CLI_THREADS, CLI_END,
};
/* clang-format on */

typedef struct hit {
    int64_t line;
    double score;
} hit;

/* A word of the query, the nearest of the line's. */
typedef struct match {
    const char *query, *line;
    double score;
} match;

static double product(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static int by_score(const void *pa, const void *pb)
{
    const hit *a = pa, *b = pb;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Whether there is a letter or digit, so that punctuation matches nothing. */
static bool has_letter(const char *word)
{
    for (; *word; word++)
        if (isalnum((unsigned char)*word) || (unsigned char)*word >= 0x80) return true;
    return false;
}

static int64_t match_words(const att_word_states *query, const att_word_states *line, match *out)
{
    int64_t n = 0;
    for (int64_t i = 0; i < query->n; i++) {
        match best = {query->word[i], NULL, set.least};
        for (int64_t j = 0; j < line->n && has_letter(query->word[i]); j++) {
            double score = product(query->state + i * query->width, line->state + j * line->width, line->width);
            if (score >= best.score && has_letter(line->word[j])) best = (match){query->word[i], line->word[j], score};
        }
        if (best.line) out[n++] = best;
    }
    return n;
}

static void print_hit(const hit *h, const char *text, const match *m, int64_t n)
{
    printf("%.4f\t%lld\t%s", h->score, (long long)h->line + 1, text);
    for (int64_t i = 0; i < n; i++) printf("%s%s~%s %.2f", i ? ", " : "\t", m[i].query, m[i].line, m[i].score);
    putchar('\n');
}

static json_t *hit_object(const hit *h, const char *text, const match *m, int64_t n)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:f}", "query", m[i].query, "line", m[i].line, "score", m[i].score));
    return json_pack("{s:f, s:I, s:s, s:o}", "score", h->score, "line", (json_int_t)h->line + 1, "text", text,
                     "matches", list);
}

static int show(att_model *model, const cli_lines *in, const att_word_states *query, const hit *hits, int64_t n)
{
    json_t *list = json_array();
    match *matches = calloc((size_t)query->n + 1, sizeof *matches);
    att_status status = matches ? ATT_OK : ATT_E_MEMORY;
    for (int64_t k = 0; k < n && status == ATT_OK; k++) {
        const att_text *line = &in->line[hits[k].line];
        att_word_states words;
        status = att_model_words(model, line, &words);
        if (status != ATT_OK) break;
        int64_t count = match_words(query, &words, matches);
        if (cli.json)
            json_array_append_new(list, hit_object(&hits[k], line->data, matches, count));
        else
            print_hit(&hits[k], line->data, matches, count);
        att_word_states_free(&words);
    }
    free(matches);
    if (status == ATT_OK && cli.json) return cli_print_json(json_pack("{s:o}", "hits", list));
    json_decref(list);
    return status == ATT_OK ? CLI_DONE : cli_fail(status);
}

static int progress(void *ctx, int64_t done)
{
    (void)ctx;
    cli_progress_update((double)done, NULL);
    return cli_interrupted;
}

/* The query goes along as the last line. */
static int rank(att_model *model, const cli_lines *in, float *vectors, hit *hits)
{
    int64_t width = att_transformer_configuration(att_model_transformer(model))->width, n = in->n - 1;
    att_view out = att_view_2d(vectors, ATT_F32, in->n, width);
    att_word_states query;
    cli_progress_begin((double)in->n, "lines");
    att_status status = att_model_embed(model, in->line, in->n, &out, progress, NULL);
    cli_progress_end();
    if (status == ATT_OK) status = att_model_words(model, &in->line[n], &query);
    if (status != ATT_OK) return cli_fail(status);
    for (int64_t i = 0; i < n; i++) hits[i] = (hit){i, product(vectors + i * width, vectors + n * width, width)};
    qsort(hits, (size_t)n, sizeof *hits, by_score);
    int done = show(model, in, &query, hits, n < set.top ? n : set.top);
    att_word_states_free(&query);
    return done;
}

static int search(att_model *model, const cli_lines *in)
{
    int64_t width = att_transformer_configuration(att_model_transformer(model))->width;
    float *vectors = calloc((size_t)(in->n * width), sizeof *vectors);
    hit *hits = calloc((size_t)in->n, sizeof *hits);
    int status =
        vectors && hits ? rank(model, in, vectors, hits) : cli_failed("out of memory: %lld vectors", (long long)in->n);
    free(vectors);
    free(hits);
    return status;
}

static int run(int argc, char **argv)
{
    (void)argc;
    att_exec exec = cli_exec();
    att_model *model;
    cli_lines in = {0};
    int status = cli_check_text("QUERY", (att_text){argv[2], strlen(argv[2])});
    if (status != CLI_DONE) return status;
    att_status st = att_model_load(argv[0], &exec, NULL, &model);
    if (st != ATT_OK) return cli_fail(st);
    status = cli_read_lines(argv[1], &in);
    cli_add_line(&in, argv[2]);
    cli_catch_interrupt();
    if (status == CLI_DONE) status = search(model, &in);
    cli_free_lines(&in);
    att_model_destroy(model);
    return status;
}

const cli_command cmd_search = {
    .name = "search",
    .operands = "MODEL FILE QUERY",
    .summary = "the lines of a file that are nearest in meaning",
    .help = "One line a hit: the cosine of query and line, the line's number, its text, and\n"
            "which words matched: for each word of the query the one of the line whose\n"
            "state is nearest, where that is --threshold or more. Of a line that is longer\n"
            "than the model reads, the first tokens count.",
    .options = options,
    .min_operands = 3,
    .max_operands = 3,
    .run = run,
};
