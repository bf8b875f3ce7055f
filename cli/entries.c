#include "entries.h"

#include <string.h>

#define INDENT     4
#define MOST_WIDTH 90

bool cli_is_dictionary(const att_language *language)
{
    return att_language_words(language) != NULL;
}

/* ---- one entry ---- */

static const char *part_name(char part)
{
    switch (part) {
    case 'n': return "noun";
    case 'v': return "verb";
    case 'a': return "adjective";
    default: return "adverb";
    }
}

static int characters(const char *s, size_t bytes)
{
    int n = 0;
    for (size_t i = 0; i < bytes; i++) n += (s[i] & 0xC0) != 0x80;
    return n;
}

/* Words behind `mark`, in as many indented lines as they need; the last word brings `mark` with it. */
static void print_indented(const char *text, const char *mark, int columns)
{
    int at = INDENT + (int)strlen(mark);
    printf("%*s%s", INDENT, "", mark);
    for (bool first = true; *text; first = false) {
        size_t bytes = strcspn(text, " ");
        int width = characters(text, bytes);
        if (!first && at + 1 + width > columns) {
            printf("\n%*s", INDENT, "");
            at = INDENT;
        } else if (!first) {
            putchar(' ');
            at++;
        }
        fwrite(text, 1, bytes, stdout);
        at += width;
        text += bytes + strspn(text + bytes, " ");
    }
    printf("%s\n", mark);
}

static void print_entry(const att_entry *e)
{
    int columns = cli_columns(stdout);
    if (columns > MOST_WIDTH) columns = MOST_WIDTH;
    printf(cli_color(stdout) ? "\033[1m%s\033[0m" : "%s", e->word);
    printf(", %s%s\n", part_name(e->part), e->known ? " (exists)" : "");
    print_indented(e->definition, "", columns);
    if (*e->example) print_indented(e->example, "\"", columns);
}

static int print_json(const att_entry *e, uint64_t seed)
{
    return cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:f}", "word", e->word, "part_of_speech",
                                    part_name(e->part), "definition", e->definition, "example", e->example, "known",
                                    e->known, "seed", (json_int_t)seed, "draws", (json_int_t)e->draws, "tokens",
                                    (json_int_t)e->tokens, "log_probability", e->log_probability));
}

/* ---- the commands ---- */

static int print_all(att_language *l, att_invent_options *o, int64_t samples)
{
    int status = CLI_DONE;
    int64_t draws = 0;
    uint64_t seed = o->sampling.seed;
    for (int64_t i = 0; i < samples && status == CLI_DONE && !cli_interrupted; i++) {
        att_entry e;
        o->sampling.seed = seed + (uint64_t)i;
        att_status st = att_invent(l, o, &e);
        draws += e.draws;
        if (i > 0 && !cli.json && st == ATT_OK) putchar('\n');
        if (st != ATT_OK)
            status = cli_fail(st);
        else if (cli.json)
            status = print_json(&e, o->sampling.seed);
        else
            print_entry(&e);
        fflush(stdout);
        att_entry_free(&e);
    }
    if (status == CLI_DONE) cli_note("%lld drawn, %lld printed", (long long)draws, (long long)samples);
    return status;
}

static att_status read_words(const char *path, att_words **out)
{
    *out = NULL;
    return path ? att_words_read(path, NULL, out) : ATT_OK;
}

int cli_print_entries(att_language *l, const att_generate_options *options, const cli_invent *invent, int64_t samples)
{
    att_words *also;
    att_status st = read_words(invent->dictionary, &also);
    if (st != ATT_OK) return cli_fail(st);
    att_invent_options o = {.sampling = *options,
                            .word = invent->word,
                            .also = also,
                            .keep_known = invent->keep_known,
                            .keep_short = invent->keep_short};
    int status = print_all(l, &o, samples);
    att_words_destroy(also);
    return status;
}

static int on_progress(void *ctx, int64_t done)
{
    (void)ctx;
    cli_progress_update((double)done, NULL);
    return cli_interrupted;
}

int cli_measure_entries(att_language *l, const char *dictionary, int64_t entries, att_invent_score *out)
{
    att_words *also;
    att_status st = read_words(dictionary, &also);
    att_invent_options o = {.sampling = {.temperature = 1.0, .seed = (uint64_t)cli.seed}, .also = also};
    if (st == ATT_OK) {
        cli_catch_interrupt();
        cli_progress_begin((double)entries, "entries");
        st = att_invent_measure(l, &o, entries, out, on_progress, NULL);
        cli_progress_end();
    }
    att_words_destroy(also);
    return st == ATT_OK ? CLI_DONE : cli_fail(st);
}
