/* Models of a dictionary: rows become entries, entries become windows, and what is invented is new and whole. */
#include "scratch.h"

#include "task/entries.h"
#include "task/ways.h"
#include "task/language.h"

/* Three of twelve syllables make a word; half of the entries have an example. */
enum { ROWS = 500 };
static void write_word(int64_t i, char out[16])
{
    static const char *const syllable[] = {"ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "wu", "pa", "de"};
    snprintf(out, 16, "%s%s%s", syllable[i * 7 % 12], syllable[i / 12 % 12], syllable[i * 31 / 144 % 12]);
}

static int write_rows(void **state)
{
    (void)state;
    if (scratch_create() != 0) return -1;
    FILE *f = fopen(scratch_path("rows"), "w");
    for (int64_t i = 0; f && i < ROWS; i++) {
        char word[16];
        write_word(i, word);
        fprintf(f, "%s\t%c\t1\ta %s one\t", word, "nv"[i % 2], i % 3 ? "big" : "red");
        if (i % 2) fprintf(f, "the %ss", word);
        fputc('\n', f);
    }
    return f && fclose(f) == 0 ? 0 : -1;
}

static int remove_all(void **state)
{
    (void)state;
    return scratch_destroy();
}

static void make_recipe(att_recipe *r, const char *run)
{
    char set[2][400];
    static const char *const more[] = {"task=language-model",
                                       "data.train=rows",
                                       "data.valid=rows",
                                       "data.unit=entries",
                                       "text.tokenizer=char",
                                       "text.normalise=none",
                                       "model.kind=transformer",
                                       "model.width=24",
                                       "model.heads=2",
                                       "model.positions=rotary",
                                       "model.context=48",
                                       "model.tied=true",
                                       "model.decoder_layers=1",
                                       "train.lr=1e-2",
                                       "train.batch_sentences=8",
                                       "train.steps=200",
                                       "train.validate_every=200",
                                       "train.metric=loss",
                                       "train.valid_sentences=20",
                                       "model.activation=gelu"};
    assert_ok(att_options_init(att_recipe_options(), r));
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        assert_ok(att_options_set(att_recipe_options(), r, more[i]));
    snprintf(set[0], sizeof set[0], "data.folder=%s", scratch_name());
    snprintf(set[1], sizeof set[1], "train.folder=%s", scratch_path(run));
    for (int i = 0; i < 2; i++) assert_ok(att_options_set(att_recipe_options(), r, set[i]));
}

static att_language *trained(void)
{
    static bool done;
    att_language *l;
    char path[400];
    if (!done) {
        att_recipe r;
        make_recipe(&r, "run");
        assert_ok(att_train_language(&r, &(att_exec){.threads = 2}, 0, NULL));
        att_options_free(att_recipe_options(), &r);
        done = true;
    }
    snprintf(path, sizeof path, "%s/last.att", scratch_path("run"));
    assert_ok(att_language_load(path, NULL, NULL, &l));
    return l;
}

static att_text text_of(const char *s)
{
    return (att_text){s, strlen(s)};
}

/* ---- rows and lines ---- */

static att_status convert(const char *rows, char *out, size_t room, att_words **words)
{
    att_buffer in = {0}, lines = {0};
    assert_ok(att_buffer_append(&in, rows, strlen(rows)));
    att_status status = att_entries_from_rows("FILE", &in, &lines, words);
    snprintf(out, room, "%s", lines.data ? lines.data : "");
    att_buffer_release(&lines);
    att_buffer_release(&in);
    return status;
}

static void expect_line(const char *row, const char *line)
{
    char got[400];
    att_words *words;
    assert_ok(convert(row, got, sizeof got, &words));
    assert_string_equal(got, line);
    att_words_destroy(words);
}

static void rows_become_lines(void **state)
{
    (void)state;
    expect_line("twist\tn\t1\ta turn\t\n", "twist\tn\ta turn\t\n");
    expect_line("twist\tn\t1\ta turn\twith a twist of it\r\n", "twist\tn\ta turn\twith a ~ of it\n");
    expect_line("twist\tv\t2\tturn\tturn it | he twisted | twist it", "twist\tv\tturn\the ~ed\n");
    expect_line("art\tn\t1\ta skill\tsmart people | no part\n", "art\tn\ta skill\t\n"); /* inside other words */
    expect_line("art\tn\t1\ta skill\t~ art | art is long\tmore\n", "art\tn\ta skill\t~ is long\n");
    expect_line("art\tn\t1\ta skill\tart", "art\tn\ta skill\t~\n");
    expect_line("Art\tn\t1\tx\t\nto art\tn\t1\tx\t\nar\tn\t1\tx\t\nart2\tn\t1\tx\t\nart\ta\t1\tx\t\n", "art\ta\tx\t\n");
    char got[100];
    att_words *words;
    assert_ok(convert("Art Deco\tn\t1\tx\t\nart\ta\t1\tx\t\n", got, sizeof got, &words));
    assert_true(att_words_has(words, text_of("art deco")) && att_words_has(words, text_of("Art")));
    assert_false(att_words_has(words, text_of("deco")));
    att_words_destroy(words);
}

static void refuse_rows(const char *rows, const char *message)
{
    char got[100];
    att_words *words;
    assert_int_equal(convert(rows, got, sizeof got, &words), ATT_E_FORMAT);
    if (!strstr(att_last_error(), message)) fail_msg("'%s' lacks '%s'", att_last_error(), message);
    assert_null(words);
    assert_string_equal(got, "");
}

static void bad_rows_are_named(void **state)
{
    (void)state;
    refuse_rows("art\tn\t1\tx\t\nart\tn\t1\tx\n", "FILE:2: 4 columns, expected at least 5");
    refuse_rows("\n\nart\n", "FILE:3: 1 columns");
    refuse_rows("\tn\t1\tx\t\n", "FILE:1: the word");
    refuse_rows("art\tnoun\t1\tx\t\n", "\"noun\", expected n, v, a or r");
    refuse_rows("art\t\t1\tx\t\n", "\"\", expected n, v, a or r");
    refuse_rows("art\tn\t1\t\t\n", "FILE:1: the definition");
    refuse_rows("to art\tn\t1\tx\t\n", "FILE: no row with a word");
    refuse_rows("", "FILE: no row with a word");
}

static void the_order_is_drawn_once(void **state)
{
    (void)state;
    att_recipe r;
    att_texts a, b;
    int64_t kept = 0;
    make_recipe(&r, "run");
    assert_ok(att_texts_of_recipe(&r, "train", &a));
    assert_ok(att_texts_of_recipe(&r, "valid", &b));
    assert_int_equal(a.count, ROWS);
    assert_int_equal(a.bytes, a.content_bytes);
    assert_string_equal(a.content, b.content);
    for (int64_t i = 0; i < ROWS; i++) {
        char word[16];
        write_word(i, word);
        kept += memcmp(a.text[i].data, word, strlen(word)) == 0;
    }
    assert_true(kept < ROWS / 10);
    att_texts_free(&a);
    att_texts_free(&b);
    att_options_free(att_recipe_options(), &r);
}

static void entries_are_told_from_other_lines(void **state)
{
    (void)state;
    static const char *const good[] = {"flonkle\tn\ta bird\t", "flonkle\tr\tso\t~ so", "to do\ta\tx (y)\ta ~",
                                       "caf\xC3\xA9\tv\t\xC3\xA9\t~ed"};
    static const char *const bad[] = {"",          "flonkle",    "flonkle\tn\ta bird", "flonkle\tn\ta bird\t\t",
                                      "\tn\tx\t",  " a\tn\tx\t", "a \tn\tx\t",         "12\tn\tx\t",
                                      "a\tx\tx\t", "a\tnn\tx\t", "a\t\tx\t",           "a\tn\t\t",
                                      "a\tn\t \t", "a\tn\t12\t", "a\tn\tx\tno word"};
    att_text field[ATT_ENTRY_FIELDS];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!att_entry_cut(good[i], field)) fail_msg("'%s' is none", good[i]);
    assert_memory_equal(field[ATT_ENTRY_EXAMPLE].data, "~ed", 3);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (att_entry_cut(bad[i], field)) fail_msg("'%s' is one", bad[i]);
    assert_false(att_entry_cut("alone", field));
    assert_int_equal(field[ATT_ENTRY_WORD].bytes, 5);
    assert_int_equal(field[ATT_ENTRY_EXAMPLE].bytes, 0);
}

/* ---- windows ---- */

/* -log2 of the probability of a line and its end, with nothing before it. */
static double bits_of(att_language *l, att_text line)
{
    int32_t ids[80] = {ATT_TOKEN_EOS};
    int64_t n, V = att_tokenizer_size(l->tokenizer);
    double bits = 0;
    assert_ok(att_tokenizer_encode(l->tokenizer, line.data, line.bytes, ids + 1, 78, &n));
    ids[++n] = ATT_TOKEN_EOS;
    att_view v = att_view_2d(ids, ATT_I32, 1, n);
    att_tape_begin(l->tape, 0);
    att_node *x = att_transformer_decode(l->tape, l->model, NULL, NULL, &v, 0, NULL);
    const float *y = att_node_value(att_transformer_logits(l->tape, l->model, x))->data;
    assert_ok(att_tape_status(l->tape));
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t k = 0; k < V; k++) sum += exp((double)y[i * V + k]);
        bits += (log(sum) - (double)y[i * V + ids[i + 1]]) / log(2.0);
    }
    return bits;
}

/* Two entries never fit one window here, so that each is measured by itself. */
static void an_entry_is_measured_alone(void **state)
{
    (void)state;
    att_language *l = trained();
    static const char rows[] = "bakeli\tn\t1\ta very big and round and red one\t\n"
                               "monura\tv\t1\ta very red and round and big one\t\n"
                               "setivo\tn\t1\ta big or red or round or other thing\t\n";
    static const char *const lines[] = {"bakeli\tn\ta very big and round and red one\t",
                                        "monura\tv\ta very red and round and big one\t",
                                        "setivo\tn\ta big or red or round or other thing\t"};
    double bits = 0;
    size_t bytes = 0;
    att_language_score s;
    scratch_write("three", rows, strlen(rows));
    for (int i = 0; i < 3; i++) {
        bits += bits_of(l, text_of(lines[i]));
        bytes += strlen(lines[i]) + 1;
    }
    assert_ok(att_language_evaluate(l, scratch_path("three"), 0, &s));
    assert_int_equal(s.bytes, bytes);
    assert_int_equal(s.tokens, bytes); /* characters, and an end each */
    if (!(fabs(s.bits_per_byte * (double)bytes - bits) <= 1e-4 * bits))
        fail_msg("%.6f bits, expected %.6f", s.bits_per_byte * (double)bytes, bits);
    att_language_destroy(l);
}

/* Whatever the window holds, each token is predicted once; windows that may be drawn begin with an entry. */
static void every_token_counts_once(void **state)
{
    (void)state;
    static const int64_t contexts[] = {5, 17, 31, 48, 100000};
    for (size_t c = 0; c < sizeof contexts / sizeof *contexts; c++) {
        att_language *l = trained(), *other;
        att_recipe r;
        att_texts texts;
        att_windows w;
        att_language_score s;
        att_random random = {.seed = 5};
        make_recipe(&r, "run");
        r.transformer.context = contexts[c];
        assert_ok(att_texts_of_recipe(&r, "train", &texts));
        assert_ok(att_language_assemble(&r, l->tokenizer, 0, 0, NULL, NULL, &other));
        l->tokenizer = NULL;
        assert_ok(att_windows_create(other, &texts, &w));
        assert_int_equal(w.lines, ROWS);
        assert_int_equal(w.n, texts.bytes + 1);
        for (int i = 0; i < 2000; i++) {
            int64_t start = att_windows_draw(&w, &random);
            assert_true(start + w.T < w.n && w.ids[start] == ATT_TOKEN_EOS);
        }
        if (contexts[c] < 1000) {
            assert_ok(att_windows_evaluate(other, &w, 0, &s));
            assert_int_equal(s.tokens, w.n - 1);
            assert_int_equal(s.bytes, texts.bytes);
            assert_ok(att_windows_evaluate(other, &w, 3, &s));
            assert_true(s.tokens > 0 && s.tokens <= 3 * w.T && s.tokens < w.n - 1);
        }
        att_windows_free(&w);
        att_texts_free(&texts);
        att_language_destroy(other);
        att_language_destroy(l);
        att_options_free(att_recipe_options(), &r);
    }
}

/* ---- inventing ---- */

static bool same(const att_entry *a, const att_entry *b)
{
    return strcmp(a->word, b->word) == 0 && strcmp(a->definition, b->definition) == 0 &&
           strcmp(a->example, b->example) == 0 && a->part == b->part && a->draws == b->draws;
}

static void what_is_invented_is_new_and_whole(void **state)
{
    (void)state;
    att_language *l = trained();
    int different = 0;
    char last[64] = "";
    for (uint64_t seed = 1; seed <= 12; seed++) {
        att_entry e, again;
        att_invent_options o = {.sampling = {.temperature = 1, .seed = seed}};
        l->exec.threads = 1;
        assert_ok(att_invent(l, &o, &e));
        l->exec.threads = 3;
        assert_ok(att_invent(l, &o, &again));
        assert_true(same(&e, &again));
        assert_false(e.known || att_words_has(att_language_words(l), text_of(e.word)));
        assert_true(e.draws >= 1 && e.tokens > 5 && e.log_probability < 0 && strchr("nvar", e.part));
        assert_true(*e.definition && (!*e.example || strstr(e.example, e.word)));
        assert_false(strpbrk(e.example, "\t~") || strpbrk(e.definition, "\t~"));
        different += strcmp(e.word, last) != 0;
        snprintf(last, sizeof last, "%s", e.word);
        att_entry_free(&again);
        att_entry_free(&e);
    }
    assert_true(different > 8);
    att_language_destroy(l);
}

static void a_word_is_defined(void **state)
{
    (void)state;
    att_language *l = trained();
    char known[16];
    int examples = 0, given = 0;
    write_word(3, known);
    for (uint64_t seed = 0; seed < 8; seed++) {
        att_entry e, brief;
        att_invent_options o = {.sampling = {.temperature = 0.7, .seed = seed}, .word = seed % 2 ? known : "flonkle"};
        assert_true(seed % 2 || att_tokenizer_size(l->tokenizer) > 0);
        assert_ok(att_invent(l, &o, &e));
        o.keep_short = 1;
        assert_ok(att_invent(l, &o, &brief));
        assert_string_equal(e.word, o.word);
        assert_int_equal(e.known, seed % 2);
        assert_string_equal(e.definition, brief.definition);
        examples += *e.example != '\0';
        given += *brief.example != '\0';
        if (*brief.example) assert_string_equal(e.example, brief.example);
        att_entry_free(&e);
        att_entry_free(&brief);
    }
    assert_true(examples >= given && examples >= 6 && given < 8);
    att_language_destroy(l);
}

/* Without chance every draw is the same: a word that exists is never got rid of. */
static void words_that_exist_are_refused(void **state)
{
    (void)state;
    att_language *l = trained();
    att_words *also;
    att_entry e, none;
    att_invent_options o = {.keep_known = 1, .most_draws = 5};
    assert_ok(att_invent(l, &o, &e));
    assert_ok(att_words_create(1, NULL, &also));
    att_words_add(also, text_of(e.word));
    o.also = also;
    o.keep_known = 0;
    assert_int_equal(att_invent(l, &o, &none), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "5 draws gave no whole entry with a word that does not exist"));
    assert_null(none.word);
    o.keep_known = 1;
    assert_ok(att_invent(l, &o, &none));
    assert_true(none.known && strcmp(none.word, e.word) == 0);
    att_entry_free(&none);
    att_entry_free(&e);
    att_words_destroy(also);
    att_language_destroy(l);
}

static int stop_at_ten(void *ctx, int64_t done)
{
    *(int64_t *)ctx = done;
    return done == 10;
}

/* The measure counts what att_invent takes at its first draw, seed by seed. */
static void the_measure_counts_draws(void **state)
{
    (void)state;
    enum { ENTRIES = 60 };
    att_language *l = trained();
    att_invent_options o = {.sampling = {.temperature = 1.5, .seed = 100}, .keep_short = 1};
    att_invent_score s;
    int64_t first = 0, last = 0;
    assert_ok(att_invent_measure(l, &o, ENTRIES, &s, NULL, NULL));
    for (uint64_t i = 0; i < ENTRIES; i++) {
        att_entry e;
        att_invent_options one = o;
        one.sampling.seed += i;
        assert_ok(att_invent(l, &one, &e));
        first += e.draws == 1;
        att_entry_free(&e);
    }
    assert_int_equal(s.entries, ENTRIES);
    assert_int_equal(s.both, first);
    assert_true(s.both <= s.well_formed && s.both <= s.absent && s.both >= s.well_formed + s.absent - ENTRIES);
    assert_true(s.well_formed < ENTRIES && s.absent > 0);
    assert_int_equal(att_invent_measure(l, &o, ENTRIES, &s, stop_at_ten, &last), ATT_E_INTERRUPTED);
    assert_true(last == 10 && s.entries == 10);
    att_language_destroy(l);
}

/* ---- refusals, and the run ---- */

static void refuse(att_language *l, const att_invent_options *o, att_status want, const char *message)
{
    att_entry e;
    att_invent_score s;
    assert_int_equal(att_invent(l, o, &e), want);
    if (!strstr(att_last_error(), message)) fail_msg("'%s' lacks '%s'", att_last_error(), message);
    assert_null(e.word);
    assert_int_equal(att_invent_measure(l, o, 1, &s, NULL, NULL), want);
}

static void refused(void **state)
{
    (void)state;
    att_language *l = trained();
    att_recipe r;
    char path[400], longest[80];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    refuse(l, &(att_invent_options){.word = ""}, ATT_E_VALUE, "word: empty");
    refuse(l, &(att_invent_options){.word = "a\tb"}, ATT_E_VALUE, "tab");
    refuse(l, &(att_invent_options){.word = longest}, ATT_E_VALUE, "contexts of at most 48");
    refuse(l, &(att_invent_options){.sampling = {.top_p = 2}}, ATT_E_VALUE, "top_p");
    att_language_destroy(l);
    make_recipe(&r, "text-run");
    r.train.steps = r.train.validate_every = 1;
    r.data.unit = ATT_UNIT_LINES;
    assert_ok(att_train_language(&r, NULL, 0, NULL));
    snprintf(path, sizeof path, "%s/last.att", scratch_path("text-run"));
    assert_ok(att_language_load(path, NULL, NULL, &l));
    assert_null(att_language_words(l));
    refuse(l, &(att_invent_options){0}, ATT_E_UNSUPPORTED, "not trained on a dictionary");
    att_language_destroy(l);
    r.data.unit = ATT_UNIT_ENTRIES;
    r.task = ATT_TASK_MASKED_LANGUAGE_MODEL;
    assert_int_equal(att_train_language(&r, NULL, 0, NULL), ATT_E_UNSUPPORTED);
    assert_non_null(strstr(att_last_error(), "data.unit: entries"));
    att_options_free(att_recipe_options(), &r);
}

/* The same bytes after a stop, and for any number of threads. */
static void a_run_continues(void **state)
{
    (void)state;
    att_recipe r;
    make_recipe(&r, "ways");
    assert_same_checkpoints(&r);
    att_options_free(att_recipe_options(), &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_lines),
        cmocka_unit_test(bad_rows_are_named),
        cmocka_unit_test(the_order_is_drawn_once),
        cmocka_unit_test(entries_are_told_from_other_lines),
        cmocka_unit_test(an_entry_is_measured_alone),
        cmocka_unit_test(every_token_counts_once),
        cmocka_unit_test(what_is_invented_is_new_and_whole),
        cmocka_unit_test(a_word_is_defined),
        cmocka_unit_test(words_that_exist_are_refused),
        cmocka_unit_test(the_measure_counts_draws),
        cmocka_unit_test(refused),
        cmocka_unit_test(a_run_continues),
    };
    return cmocka_run_group_tests(tests, write_rows, remove_all);
}
