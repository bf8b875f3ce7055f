#include "lengths.h"

#include <stdlib.h>
#include <string.h>

#include <attend/plot.h>
#include <attend/score.h>

#include "common.h"

/* The most words of each group. */
static const int64_t most_words[CLI_LENGTH_GROUPS] = {3, 5, 7, 9, 12, 15, 20, INT64_MAX};
enum { LEAST_PAIRS = 10 }; /* BLEU of fewer says nothing */

static int64_t words_of(const att_text *text)
{
    int64_t n = 0;
    for (size_t i = 0; i < text->bytes; i++) n += text->data[i] != ' ' && (i == 0 || text->data[i - 1] == ' ');
    return n;
}

static int group_of(int64_t words)
{
    int g = 0;
    while (words > most_words[g]) g++;
    return g;
}

static att_status score_group(const char **hypotheses, const char *const *references, int64_t n, double *bleu)
{
    att_bleu result;
    att_status st = att_bleu_corpus(NULL, NULL, &result, hypotheses, &references, n, 1);
    if (st == ATT_OK) *bleu = result.score;
    return st;
}

static char *copy(const att_text *text)
{
    char *s = malloc(text->bytes + 1);
    if (!s) exit(cli_failed("out of memory"));
    memcpy(s, text->data, text->bytes);
    s[text->bytes] = '\0';
    return s;
}

att_status cli_lengths_measure(const att_pairs *pairs, char *const *hypotheses, cli_lengths *out)
{
    const char **chosen = calloc((size_t)pairs->count, sizeof *chosen);
    char **references = calloc((size_t)pairs->count, sizeof *references);
    att_status st = ATT_OK;
    if (!chosen || !references) exit(cli_failed("out of memory"));
    for (int g = 0; g < CLI_LENGTH_GROUPS && st == ATT_OK; g++) {
        int64_t n = 0, words = 0;
        for (int64_t i = 0; i < pairs->count; i++) {
            int64_t w = words_of(&pairs->source[i]);
            if (group_of(w) != g) continue;
            words += w;
            chosen[n] = hypotheses[i];
            references[n++] = copy(&pairs->target[i]);
        }
        out->pairs[g] = n;
        out->length[g] = n ? (double)words / (double)n : NAN;
        out->bleu[g] = NAN;
        if (n >= LEAST_PAIRS) st = score_group(chosen, (const char *const *)references, n, &out->bleu[g]);
        for (int64_t i = 0; i < n; i++) free(references[i]);
    }
    free(chosen);
    free(references);
    return st;
}

att_status cli_lengths_draw(const cli_lengths *models, int n, const char *path)
{
    att_series series[CLI_LENGTH_MODELS];
    for (int m = 0; m < n; m++) {
        if (!cli.json) {
            printf("BLEU of %s by words of the source (pairs)\n", models[m].name);
            for (int g = 0; g < CLI_LENGTH_GROUPS; g++)
                if (models[m].pairs[g] >= LEAST_PAIRS)
                    printf("  %5.1f words  %6.2f  (%lld)\n", models[m].length[g], models[m].bleu[g],
                           (long long)models[m].pairs[g]);
        }
        series[m] = (att_series){.name = models[m].name,
                                 .x = models[m].length,
                                 .y = models[m].bleu,
                                 .n = CLI_LENGTH_GROUPS,
                                 .mark = ATT_MARK_POINTS};
    }
    att_curves_desc desc = {
        .title = "Translation quality against sentence length", .x_name = "words of the source", .y_name = {"BLEU"}};
    return att_plot_curves(&desc, series, n, path);
}
