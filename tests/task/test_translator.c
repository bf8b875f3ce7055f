/* Translating, from training to the n-best list, by a small date translator. */
#include "scratch.h"

#include "allocator.h"
#include "task/steps.h"
#include "task/ways.h"

enum { LINES = 23 };

/* ---- the date translator, trained once ---- */

static att_recipe recipe;
static att_pairs dates;

static int remove_folder(void **state)
{
    (void)state;
    att_pairs_free(&dates);
    att_options_free(att_recipe_options(), &recipe);
    return scratch_destroy();
}

static int train_once(void **state)
{
    static const char *const settings[] = {
        "data.synthetic=dates",   "data.synthetic_train=900", "data.synthetic_valid=40",
        "text.tokenizer=char",    "model.embedding=12",       "model.encoder_units=13",
        "model.decoder_units=17", "model.dropout=0.1",        "train.steps=100",
        "train.lr=1e-2",          "train.batch_sentences=24", "train.validate_every=50",
        "train.metric=loss",      "train.valid_sentences=9",  "decode.beam=3",
        "decode.max_length=20"};
    char where[128];
    (void)state;
    if (scratch_create() != 0) return -1;
    snprintf(where, sizeof where, "train.folder=%s", scratch_name());
    if (att_options_init(att_recipe_options(), &recipe) != ATT_OK) return -1;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (att_options_set(att_recipe_options(), &recipe, settings[i]) != ATT_OK) return -1;
    if (att_options_set(att_recipe_options(), &recipe, where) != ATT_OK) return -1;
    if (att_recipe_pairs(&recipe, "test", &dates) != ATT_OK) return -1;
    return att_train_translator(&recipe, NULL, 0, NULL) == ATT_OK ? 0 : -1;
}

static att_translator *load(const char *name, int threads)
{
    att_translator *t;
    assert_ok(att_translator_load(scratch_path(name), &(att_exec){.threads = threads}, NULL, &t));
    return t;
}

/* ---- training ---- */

/* The same bytes for any number of threads, and from a run that was stopped. */
static void same_checkpoints(void **state)
{
    (void)state;
    att_recipe r;
    assert_ok(att_options_copy(att_recipe_options(), &r, &recipe));
    assert_same_checkpoints(&r);
    att_options_free(att_recipe_options(), &r);
}

/* ---- translations do not depend on batches, order and threads ---- */

static void assert_same_translation(const att_translation *a, const att_translation *b)
{
    assert_string_equal(a->text, b->text);
    assert_memory_equal(&a->score, &b->score, sizeof a->score);
    assert_memory_equal(&a->log_probability, &b->log_probability, sizeof a->score);
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->cols, b->cols);
    if (a->weights) assert_memory_equal(a->weights, b->weights, (size_t)(a->rows * a->cols) * sizeof *a->weights);
}

static void batches_and_order(void **state)
{
    (void)state;
    enum { BEST = 3 };
    static const int64_t batch[] = {1, 7, 64, 0};
    static att_translation want[LINES * BEST], got[LINES * BEST];
    att_translate_options o = {.beam = 4, .n_best = BEST, .length_penalty = 0.6, .max_length = 15, .with_attention = 1};
    att_translator *t = load("best.att", 1), *other = load("best.att", 3);
    assert_ok(att_translate(t, &o, dates.source, LINES, want, NULL, NULL));
    for (int way = 0; way < 8; way++) {
        att_text lines[LINES];
        int64_t at[LINES];
        att_random r = {.seed = 5};
        att_random_shuffle(&r, at, LINES);
        for (int i = 0; i < LINES; i++) {
            if (way % 2 == 0) at[i] = i;
            lines[i] = dates.source[at[i]];
        }
        o.batch = batch[way / 2];
        assert_ok(att_translate(way == 5 ? other : t, &o, lines, LINES, got, NULL, NULL));
        for (int i = 0; i < LINES; i++)
            for (int b = 0; b < BEST; b++) assert_same_translation(&got[i * BEST + b], &want[at[i] * BEST + b]);
        att_translations_free(got, LINES * BEST);
    }
    att_translations_free(want, LINES * BEST);
    att_translator_destroy(t);
    att_translator_destroy(other);
}

/* Sentences that end leave the batch: the others go on as if alone, whatever the decoder keeps for them. Without
 * training nothing ends before its limit, which depends on the source's length. */
static void ended_sentences_leave(void **state)
{
    static const char *const kinds[][3] = {{"model.attend=after", "model.cell=lstm", "model.input_feeding=true"},
                                           {"model.attention=dot", "model.cell=gru", "model.decoder_units=26"},
                                           {"model.attention=general", "model.cell=gru", "model.input_feeding=false"},
                                           {"model.attention=none", "model.cell=lstm", "model.input_feeding=false"},
                                           {"model.kind=transformer", "model.width=24", "model.heads=3"}};
    enum { N = 40 };
    static const char letters[] = "a b c d e f g h i j k l m n o p q r s t u v w x y z ";
    (void)state;
    att_text line[N];
    for (size_t i = 0; i < N; i++) line[i] = (att_text){letters, 1 + 2 * (i * 7 % 23)};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
        for (int beam = 1; beam < 4; beam += 2) {
            static att_translation want[N], got[N];
            att_translate_options o = {.beam = beam, .n_best = 1, .with_attention = kind != 3, .batch = 1};
            att_recipe r;
            att_tokenizer *words;
            att_translator *t;
            assert_ok(att_options_copy(att_recipe_options(), &r, &recipe));
            for (int i = 0; i < 3; i++) assert_ok(att_options_set(att_recipe_options(), &r, kinds[kind][i]));
            assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_CHAR}, line, N, NULL, &words));
            assert_ok(att_translator_create(&r, words, words, &(att_exec){.threads = 2}, NULL, &t));
            assert_ok(att_translate(t, &o, line, N, want, NULL, NULL));
            o.batch = N;
            assert_ok(att_translate(t, &o, line, N, got, NULL, NULL));
            int64_t shortest = INT64_MAX, longest = 0;
            for (int i = 0; i < N; i++) {
                assert_same_translation(&got[i], &want[i]);
                shortest = att_min64(shortest, (int64_t)strlen(got[i].text));
                longest = att_max64(longest, (int64_t)strlen(got[i].text));
            }
            assert_true(longest > shortest + 20);
            att_translations_free(want, N);
            att_translations_free(got, N);
            att_translator_destroy(t);
            att_options_free(att_recipe_options(), &r);
        }
}

/* ---- what a search finds ---- */

static void greedy_is_argmax(void **state)
{
    (void)state;
    att_translator *t = load("last.att", 1);
    att_translate_options o = {.beam = 1, .n_best = 1, .max_length = 30};
    int64_t V = att_tokenizer_size(t->target);
    for (int i = 0; i < LINES; i++) {
        att_translation got;
        att_seq2seq_memory memory;
        att_seq2seq_state s;
        int32_t out[32], word = ATT_TOKEN_BOS;
        int64_t n = 0;
        double sum = 0;
        char text[256];
        size_t bytes;
        assert_ok(att_translate(t, &o, &dates.source[i], 1, &got, NULL, NULL));
        att_tape_begin(t->encoder, 0);
        steps_encode(t, dates.source[i].data, &memory, &s);
        for (;;) {
            const float *x = steps_next(t, &memory, word, &s);
            word = ATT_TOKEN_EOS;
            for (int32_t v = 0; n < o.max_length && v < V; v++)
                if (steps_may_come(v) && x[v] > x[word]) word = v;
            sum += steps_log_softmax(x, V, word);
            if (word == ATT_TOKEN_EOS) break;
            out[n++] = word;
        }
        assert_ok(att_tokenizer_decode(t->target, out, n, text, sizeof text, &bytes));
        assert_string_equal(got.text, text);
        assert_true(fabs(got.log_probability - sum) <= 1e-4);
        assert_true(fabs(got.score - sum) <= 1e-4);
        att_translations_free(&got, 1);
    }
    att_translator_destroy(t);
}

/* Sorted, all different, and on the whole better with a wider beam; also when all are cut off. */
static void n_best(void **state)
{
    (void)state;
    enum { BEST = 6 };
    static att_translation got[LINES * BEST], greedy[LINES];
    att_translator *t = load("last.att", 1);
    for (int cut = 0; cut < 2; cut++) {
        att_translate_options o = {.beam = BEST, .n_best = BEST, .max_length = cut ? 4 : 25};
        double wide = 0, narrow = 0;
        assert_ok(att_translate(t, &o, dates.source, LINES, got, NULL, NULL));
        o.beam = o.n_best = 1;
        assert_ok(att_translate(t, &o, dates.source, LINES, greedy, NULL, NULL));
        for (int i = 0; i < LINES; i++) {
            wide += got[i * BEST].score;
            narrow += greedy[i].score;
            for (int b = 1; b < BEST; b++) {
                assert_true(got[i * BEST + b].score <= got[i * BEST + b - 1].score);
                for (int a = 0; a < b; a++)
                    if (isfinite(got[i * BEST + b].score))
                        assert_string_not_equal(got[i * BEST + a].text, got[i * BEST + b].text);
            }
        }
        assert_true(wide >= narrow);
        att_translations_free(got, LINES * BEST);
        att_translations_free(greedy, LINES);
    }
    att_translator_destroy(t);
}

static void attention_maps(void **state)
{
    (void)state;
    static att_translation got[LINES * 2];
    att_translator *t = load("last.att", 1);
    att_translate_options o = {.beam = 3, .n_best = 2, .with_attention = 1};
    assert_ok(att_translate(t, &o, dates.source, LINES, got, NULL, NULL));
    for (int i = 0; i < 2 * LINES; i++) {
        const att_translation *g = &got[i];
        int32_t ids[64];
        int64_t n;
        assert_ok(att_tokenizer_encode(t->source, dates.source[i / 2].data, dates.source[i / 2].bytes, ids, 64, &n));
        assert_int_equal(g->cols, n + 1);
        assert_int_equal(g->rows, strlen(g->text) + 1); /* dates are ASCII, a token is a character */
        assert_string_equal(g->source[n], "</s>");
        assert_string_equal(g->target[g->rows - 1], "</s>");
        for (int64_t r = 0; r < g->rows; r++) {
            double sum = 0;
            for (int64_t c = 0; c < g->cols; c++) {
                assert_true(g->weights[r * g->cols + c] >= 0);
                sum += (double)g->weights[r * g->cols + c];
            }
            assert_true(fabs(sum - 1) <= 1e-5);
            if (r + 1 < g->rows) assert_int_equal(g->target[r][0], g->text[r]);
        }
    }
    att_translations_free(got, 2 * LINES);
    att_translator_destroy(t);
}

/* Hard lines: none, a blank, unknown letters, a long one. */
static void odd_lines(void **state)
{
    (void)state;
    static char long_line[200];
    memset(long_line, '7', sizeof long_line);
    const att_text lines[] = {{"", 0}, {"   ", 3}, {"\xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\x98\x80", 11}, {long_line, 200}};
    att_translation got[8];
    att_translator *t = load("last.att", 1);
    att_translate_options o = {
        .beam = 2, .n_best = 2, .with_attention = 1, .replace_unknown = 1, .coverage_penalty = 0.2};
    assert_ok(att_translate(t, &o, lines, 4, got, NULL, NULL));
    for (int i = 0; i < 8; i++) {
        assert_non_null(got[i].text);
        assert_false(isnan(got[i].score));
    }
    assert_string_equal(got[0].text, ""); /* nothing in, nothing out */
    assert_int_equal(got[0].cols, 1);
    assert_int_equal(got[0].rows, 1);
    assert_int_equal(got[6].cols, 201);
    att_translations_free(got, 8);
    assert_ok(att_translate(t, &o, lines, 0, got, NULL, NULL));
    assert_int_equal(att_translate(t, &o, &(att_text){"\xff", 1}, 1, got, NULL, NULL), ATT_E_VALUE);
    att_translator_destroy(t);
}

static int stop_after_ten(void *ctx, int64_t done)
{
    *(int64_t *)ctx = done;
    return done >= 10;
}

static void refused_options(void **state)
{
    (void)state;
    att_translation got[8];
    att_translator *t = load("last.att", 1);
    const att_translate_options bad[] = {{.beam = 0, .n_best = 1},
                                         {.beam = 1001, .n_best = 1},
                                         {.beam = 2, .n_best = 3},
                                         {.beam = 2, .n_best = 0},
                                         {.beam = 1, .n_best = 1, .max_length = -1},
                                         {.beam = 1, .n_best = 1, .length_penalty = -1},
                                         {.beam = 1, .n_best = 1, .length_penalty = NAN},
                                         {.beam = 1, .n_best = 1, .coverage_penalty = -1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(att_translate(t, &bad[i], dates.source, 1, got, NULL, NULL), ATT_E_VALUE);
    att_translate_options o;
    att_translate_defaults(t, &o);
    assert_int_equal(o.beam, 3);
    assert_int_equal(o.max_length, 20);
    static att_translation many[LINES];
    int64_t done = 0;
    o.batch = 5;
    assert_int_equal(att_translate(t, &o, dates.source, LINES, many, stop_after_ten, &done), ATT_E_INTERRUPTED);
    assert_int_equal(done, 10);
    att_translator_destroy(t);
}

/* ---- files ---- */

static void round_trip(void **state)
{
    (void)state;
    static att_translation a[LINES], b[LINES];
    att_translate_options o = {.beam = 2, .n_best = 1, .max_length = 12};
    att_translator *t = load("last.att", 1);
    size_t bytes;
    char *text = scratch_read(scratch_path("last.att"), &bytes);
    scratch_write("copy.att", text, bytes);
    att_translator *copy = load("copy.att", 1);
    assert_true(att_translator_recipe(t)->data.synthetic_train == 900);
    assert_ok(att_translate(t, &o, dates.source, LINES, a, NULL, NULL));
    assert_ok(att_translate(copy, &o, dates.source, LINES, b, NULL, NULL));
    for (int i = 0; i < LINES; i++) assert_same_translation(&a[i], &b[i]);
    att_translations_free(a, LINES);
    att_translations_free(b, LINES);
    att_translator_destroy(t);
    att_translator_destroy(copy);
    free(text);
}

static void damaged_files(void **state)
{
    (void)state;
    att_translator *t = NULL;
    size_t bytes;
    char *text = scratch_read(scratch_path("best.att"), &bytes);
    att_random r = {.seed = 2};
    for (int i = 0; i < 40; i++) {
        scratch_write("cut.att", text, i < 12 ? (size_t)i : (size_t)att_random_below(&r, bytes));
        assert_int_equal(att_translator_load(scratch_path("cut.att"), NULL, NULL, &t), ATT_E_FORMAT);
        assert_null(t);
    }
    for (int i = 0; i < 40; i++) {
        size_t at = (size_t)att_random_below(&r, bytes);
        text[at] = (char)(text[at] ^ (1 << i % 8));
        scratch_write("cut.att", text, bytes);
        assert_int_equal(att_translator_load(scratch_path("cut.att"), NULL, NULL, &t), ATT_E_FORMAT);
        text[at] = (char)(text[at] ^ (1 << i % 8));
    }
    assert_int_equal(att_translator_load(scratch_path("none.att"), NULL, NULL, &t), ATT_E_MISSING);
    free(text);
}

/* Whole files that are something else: the model's with one thing changed. */
static void foreign_files(void **state)
{
    (void)state;
    enum { TASK, RECIPE, SOURCE, TARGET, KEYS };
    static const char *const key[] = {"attend.task", "attend.recipe", "attend.source_tokenizer",
                                      "attend.target_tokenizer"};
    static const struct {
        int changed; /* key, or KEYS + tensor */
        const char *to;
        att_status want;
    } cases[] = {{TASK, NULL, ATT_E_FORMAT},       {TASK, "captioning", ATT_E_FORMAT}, {RECIPE, NULL, ATT_E_FORMAT},
                 {RECIPE, "{", ATT_E_FORMAT},      {SOURCE, NULL, ATT_E_FORMAT},       {SOURCE, "[]", ATT_E_FORMAT},
                 {TARGET, NULL, ATT_E_FORMAT},     {TARGET, "{}", ATT_E_FORMAT},       {KEYS, "missing", ATT_E_MISSING},
                 {KEYS + 1, "shape", ATT_E_FORMAT}};
    att_file *f;
    att_named_view tensor[64];
    att_metadata metadata[KEYS];
    assert_ok(att_file_open(scratch_path("best.att"), NULL, &f));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t n = 0, m = 0;
        att_translator *t = NULL;
        for (int64_t k = 0; k < att_file_count(f); k++) {
            if (cases[i].changed == KEYS && k == 3) continue;
            tensor[n].name = att_file_name(f, k);
            assert_ok(att_file_tensor(f, tensor[n].name, &tensor[n].view));
            if (cases[i].changed == KEYS + 1 && k == 3) tensor[n].view.ndim = 0;
            n++;
        }
        for (int k = 0; k < KEYS; k++) {
            if (k == cases[i].changed && !cases[i].to) continue;
            metadata[m++] = (att_metadata){key[k], k == cases[i].changed ? cases[i].to : att_file_metadata(f, key[k])};
        }
        assert_ok(att_file_save(scratch_path("foreign.att"), tensor, n, metadata, m));
        att_status status = att_translator_load(scratch_path("foreign.att"), NULL, NULL, &t);
        if (status != cases[i].want)
            fail_msg("case %d: %s (%s)", (int)i, att_status_name(status), status ? att_last_error() : "loaded");
        assert_null(t);
    }
    att_file_close(f);
}

/* ---- measuring ---- */

static void evaluation(void **state)
{
    (void)state;
    att_translator *t = load("best.att", 1);
    att_translate_options o = {.beam = 1, .n_best = 1, .max_length = 15};
    att_evaluation e, lossless;
    att_pairs some = dates;
    int64_t tokens = 0;
    some.count = LINES;
    for (int i = 0; i < LINES; i++) tokens += (int64_t)some.target[i].bytes + 1;
    assert_ok(att_evaluate(t, &o, &some, 1, &e, NULL, NULL));
    assert_ok(att_evaluate(t, NULL, &some, 1, &lossless, NULL, NULL));
    assert_int_equal(e.tokens, tokens);
    assert_true(e.loss == lossless.loss && e.loss > 0 && e.loss < 5);
    assert_true(fabs(e.perplexity - exp(e.loss)) < 1e-9);
    assert_true(e.accuracy >= 0 && e.accuracy <= 1);
    assert_null(lossless.hypothesis);
    int64_t exact = 0;
    for (int i = 0; i < LINES; i++) exact += strcmp(e.hypothesis[i], some.target[i].data) == 0;
    assert_true(fabs(e.exact - 100.0 * (double)exact / LINES) < 1e-9);
    att_evaluation_free(&e);
    att_evaluation_free(&lossless);
    att_translator_destroy(t);
}

/* ---- memory ---- */

static void failing_allocator(void **state)
{
    (void)state;
    att_status status = ATT_E_MEMORY;
    att_translate_options o = {.beam = 2, .n_best = 2, .max_length = 3, .with_attention = 1};
    for (int64_t at = 1; status != ATT_OK; at++) {
        att_translator *t = NULL;
        att_translation got[4];
        test_allocator books;
        test_allocator_init(&books, at);
        status = att_translator_load(scratch_path("best.att"), NULL, &books.allocator, &t);
        if (status == ATT_OK) {
            status = att_translate(t, &o, dates.source, 2, got, NULL, NULL);
            if (status == ATT_OK) att_translations_free(got, 4);
        }
        if (status != ATT_OK && status != ATT_E_MEMORY)
            fail_msg("allocation %d: %s (%s)", (int)at, att_status_name(status), att_last_error());
        att_translator_destroy(t);
        if (books.live_blocks != 0) fail_msg("allocation %d: %d blocks leak", (int)at, (int)books.live_blocks);
        if (at > 3000) fail_msg("3000 allocations and no end");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_checkpoints),
        cmocka_unit_test(batches_and_order),
        cmocka_unit_test(ended_sentences_leave),
        cmocka_unit_test(greedy_is_argmax),
        cmocka_unit_test(n_best),
        cmocka_unit_test(attention_maps),
        cmocka_unit_test(odd_lines),
        cmocka_unit_test(refused_options),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(foreign_files),
        cmocka_unit_test(evaluation),
        cmocka_unit_test(failing_allocator),
    };
    return cmocka_run_group_tests(tests, train_once, remove_folder);
}
