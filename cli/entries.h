/* Entries of a dictionary model: `attend generate` and `attend evaluate` of such models. */
#ifndef CLI_ENTRIES_H
#define CLI_ENTRIES_H

#include <attend/dictionary.h>

#include "common.h"

typedef struct cli_invent {
    const char *word, *dictionary;
    bool keep_known, keep_short;
} cli_invent;

bool cli_is_dictionary(const att_language *language);
/* Print `samples` entries with the seeds options->seed, + 1, ... Returns an exit status. */
int cli_print_entries(att_language *language, const att_generate_options *options, const cli_invent *invent,
                      int64_t samples);
/* Draw entries with the seeds cli.seed, + 1, ... without a filter. Returns an exit status. */
int cli_measure_entries(att_language *language, const char *dictionary, int64_t entries, att_invent_score *out);

#endif
