/* Entries of a dictionary, drawn from a language model until one is as it should be. */
#include <stdlib.h>
#include <string.h>

#include "task/entries.h"
#include "task/language.h"
#include "text/buffer.h"

#define MOST_DRAWS    1000
#define EXAMPLE_DRAWS 8 /* tries to give an entry an example */

enum { STREAM_EXAMPLE = 0x6578616d };

/* ---- a line from the model ---- */

typedef struct line {
    att_buffer text; /* with the word in front, when it was given */
    att_generated made;
} line;

static void release(line *x)
{
    att_buffer_release(&x->text);
    att_text_free(NULL, x->made.text);
    *x = (line){0};
}

/* The model goes on from `beginning`, which `more` may follow, to the end of the line or of its context. */
static att_status draw(att_language *l, const att_invent_options *o, uint64_t seed, const char *beginning,
                       int64_t min_tokens, line *out)
{
    att_generate_options sampling = o->sampling;
    size_t bytes = strlen(beginning);
    sampling.seed = seed;
    sampling.max_tokens = 0;
    sampling.min_tokens = min_tokens;
    sampling.slide = sampling.ignore_end = 0;
    *out = (line){0};
    ATT_TRY(att_generate(l, &sampling, (att_text){beginning, bytes}, &out->made, NULL, NULL));
    ATT_TRY(att_buffer_append(&out->text, beginning, bytes));
    return att_buffer_append(&out->text, out->made.text, strlen(out->made.text));
}

/* Draw number `number` of entry `seed`. */
static att_status draw_entry(att_language *l, const att_invent_options *o, uint64_t seed, int64_t number, line *out)
{
    char *beginning;
    size_t bytes = o->word ? strlen(o->word) : 0;
    if (number > 0) seed = att_random_mix(seed, (uint64_t)number);
    if (!o->word) return draw(l, o, seed, "", 0, out);
    ATT_TRY(att_copy_string(NULL, o->word, bytes + 1, &beginning));
    beginning[bytes] = '\t';
    att_status status = draw(l, o, seed, beginning, 0, out);
    att_free(NULL, beginning, bytes + 2);
    return status;
}

static bool exists(const att_language *l, const att_invent_options *o, att_text word)
{
    return att_words_has(l->words, word) || (o->also && att_words_has(o->also, word));
}

/* ---- an entry from a line ---- */

/* The text with the word in place of each ~. */
static att_status spell_out(att_text text, att_text word, char **out)
{
    att_buffer b = {0};
    att_status status = att_buffer_append(&b, "", 0);
    for (size_t i = 0; i < text.bytes && status == ATT_OK; i++)
        status = text.data[i] == ATT_ENTRY_DASH ? att_buffer_append(&b, word.data, word.bytes)
                                                : att_buffer_append(&b, text.data + i, 1);
    if (status == ATT_OK) status = att_copy_string(NULL, b.data, b.bytes, out);
    att_buffer_release(&b);
    return status;
}

static att_status fill_entry(const att_text *field, att_entry *out)
{
    att_text word = field[ATT_ENTRY_WORD];
    out->part = *field[ATT_ENTRY_PART].data;
    ATT_TRY(att_copy_string(NULL, word.data, word.bytes, &out->word));
    ATT_TRY(spell_out(field[ATT_ENTRY_DEFINITION], word, &out->definition));
    return spell_out(field[ATT_ENTRY_EXAMPLE], word, &out->example);
}

/* An entry without an example: the model writes one behind it, which must not be empty. Where it cannot, the line stays
 * as it is. */
static att_status add_example(att_language *l, const att_invent_options *o, uint64_t seed, line *x)
{
    att_text field[ATT_ENTRY_FIELDS];
    int64_t context = att_transformer_configuration(l->model)->context;
    bool room = x->made.prompt_tokens + x->made.tokens < context - 1, done = false;
    for (uint64_t i = 0; i < EXAMPLE_DRAWS && room && !done; i++) {
        line longer;
        uint64_t fresh = att_random_mix(att_random_mix(seed, STREAM_EXAMPLE), i);
        att_status status = draw(l, o, fresh, x->text.data, 1, &longer);
        done = status == ATT_OK && longer.made.ended && att_entry_cut(longer.text.data, field) &&
               field[ATT_ENTRY_EXAMPLE].bytes > 0;
        if (done) {
            att_buffer swap = x->text;
            x->text = longer.text;
            longer.text = swap;
        }
        release(&longer);
        ATT_TRY(status);
    }
    return ATT_OK;
}

/* ---- the calls ---- */

static att_status check(const att_language *l, const att_invent_options *o)
{
    ATT_REQUIRE(l->words && l->recipe.data.unit == ATT_UNIT_ENTRIES, ATT_E_UNSUPPORTED,
                "the model was not trained on a dictionary (data.unit entries): it has no words to invent or define");
    if (!o->word) return ATT_OK;
    ATT_REQUIRE(*o->word, ATT_E_VALUE, "word: empty, expected a word to define");
    ATT_REQUIRE(!strpbrk(o->word, "\t\r\n"), ATT_E_VALUE, "word: holds a tab or an end of line, expected a word alone");
    return ATT_OK;
}

static att_status try_once(att_language *l, const att_invent_options *o, int64_t number, att_entry *out, bool *done)
{
    line x;
    att_text field[ATT_ENTRY_FIELDS];
    uint64_t seed = o->sampling.seed;
    att_status status = draw_entry(l, o, seed, number, &x);
    *done = false;
    if (status == ATT_OK && x.made.ended && att_entry_cut(x.text.data, field)) {
        out->known = exists(l, o, field[ATT_ENTRY_WORD]);
        out->tokens = x.made.tokens;
        out->log_probability = x.made.log_probability;
        *done = o->word || o->keep_known || !out->known;
    }
    if (*done && field[ATT_ENTRY_EXAMPLE].bytes == 0 && !o->keep_short) {
        status = add_example(l, o, att_random_mix(seed, (uint64_t)number), &x);
        att_entry_cut(x.text.data, field);
    }
    if (status == ATT_OK && *done) status = fill_entry(field, out);
    release(&x);
    return status;
}

att_status att_invent(att_language *l, const att_invent_options *o, att_entry *out)
{
    int64_t most = o->most_draws > 0 ? o->most_draws : MOST_DRAWS;
    bool done = false;
    *out = (att_entry){0};
    ATT_TRY(check(l, o));
    while (!done && out->draws < most) ATT_TRY(try_once(l, o, out->draws++, out, &done));
    ATT_REQUIRE(done, ATT_E_VALUE,
                "%lld draws gave no whole entry%s; another seed or temperature may, or a model trained for longer",
                (long long)most, o->word || o->keep_known ? "" : " with a word that does not exist");
    return ATT_OK;
}

void att_entry_free(att_entry *e)
{
    att_text_free(NULL, e->word);
    att_text_free(NULL, e->definition);
    att_text_free(NULL, e->example);
    *e = (att_entry){0};
}

static att_status measure_one(att_language *l, const att_invent_options *o, uint64_t seed, att_invent_score *out)
{
    line x;
    att_text field[ATT_ENTRY_FIELDS];
    att_status status = draw_entry(l, o, seed, 0, &x);
    if (status == ATT_OK) {
        bool whole = att_entry_cut(x.text.data, field) && x.made.ended;
        bool absent = field[ATT_ENTRY_WORD].bytes > 0 && !exists(l, o, field[ATT_ENTRY_WORD]);
        out->entries++;
        out->well_formed += whole;
        out->absent += absent;
        out->both += whole && absent;
    }
    release(&x);
    return status;
}

att_status att_invent_measure(att_language *l, const att_invent_options *o, int64_t entries, att_invent_score *out,
                              int (*progress)(void *ctx, int64_t done), void *ctx)
{
    *out = (att_invent_score){0};
    ATT_TRY(check(l, o));
    while (out->entries < entries) {
        ATT_TRY(measure_one(l, o, o->sampling.seed + (uint64_t)out->entries, out));
        if (progress && progress(ctx, out->entries))
            return att_fail(ATT_E_INTERRUPTED, "stopped after %lld entries", (long long)out->entries);
    }
    return ATT_OK;
}
