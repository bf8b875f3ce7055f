/* Quality against sentence length, for `attend evaluate --by-length`. */
#ifndef CLI_LENGTHS_H
#define CLI_LENGTHS_H

#include <attend/translator.h>

enum { CLI_LENGTH_GROUPS = 8, CLI_LENGTH_MODELS = 2 };

/* BLEU of a model on the pairs of each group of source lengths (in words). */
typedef struct cli_lengths {
    const char *name;
    double length[CLI_LENGTH_GROUPS], bleu[CLI_LENGTH_GROUPS]; /* mean words; NaN: too few pairs */
    int64_t pairs[CLI_LENGTH_GROUPS];
} cli_lengths;

/* Group hypotheses (as many as pairs) by the words of their source and score each group. */
att_status cli_lengths_measure(const att_pairs *pairs, char *const *hypotheses, cli_lengths *out);
/* Draw up to CLI_LENGTH_MODELS models over one axis; also prints the numbers to standard output unless --json. */
att_status cli_lengths_draw(const cli_lengths *models, int n, const char *path);

#endif
