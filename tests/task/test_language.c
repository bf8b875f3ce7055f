/* Language models, from training to the text they write: small models of characters, and sampling by itself. */
#include "scratch.h"

#include "allocator.h"
#include "task/language.h"
#include "task/ways.h"

/* A text that a small model learns by heart, as lines. */
static int write_text(void **state)
{
    (void)state;
    if (scratch_create() != 0) return -1;
    FILE *f = fopen(scratch_path("text"), "w");
    for (int i = 0; f && i < 300; i++) fputs("the cat sat on the mat\n", f);
    return f && fclose(f) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_destroy();
}

static void make_recipe(att_recipe *r, const char *task, const char *run, const char *unit)
{
    char set[10][160];
    int n = 0;
    assert_ok(att_options_init(att_recipe_options(), r));
    snprintf(set[n++], sizeof *set, "task=%s", task);
    snprintf(set[n++], sizeof *set, "data.folder=%s", scratch_name());
    snprintf(set[n++], sizeof *set, "data.train=text");
    snprintf(set[n++], sizeof *set, "data.unit=%s", unit);
    snprintf(set[n++], sizeof *set, "train.folder=%s", scratch_path(run));
    static const char *const more[] = {
        "text.tokenizer=char",    "text.normalise=none",     "model.kind=transformer", "model.width=16",
        "model.heads=2",          "model.positions=learned", "model.context=24",       "model.tied=true",
        "train.lr=1e-2",          "train.batch_sentences=4", "train.steps=120",        "train.validate_every=60",
        "model.decoder_layers=1", "model.encoder_layers=1",  "model.activation=gelu",  "train.valid_sentences=4"};
    for (int i = 0; i < n; i++) assert_ok(att_options_set(att_recipe_options(), r, set[i]));
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        assert_ok(att_options_set(att_recipe_options(), r, more[i]));
}

static att_language *trained(const char *task, const char *run)
{
    static bool done[2];
    att_language *l;
    bool masked = strcmp(run, "bert") == 0;
    if (!done[masked]) {
        att_recipe r;
        make_recipe(&r, task, run, "lines");
        if (masked) { /* it learns from a few tokens of each window only */
            r.train.steps = 400;
            r.run.batch_sentences = 16;
            r.model.encoder_layers = 2;
        }
        assert_ok(att_train_language(&r, &(att_exec){.threads = 2}, 0, NULL));
        att_options_free(att_recipe_options(), &r);
        done[masked] = true;
    }
    char path[160];
    snprintf(path, sizeof path, "%s/last.att", scratch_path(run));
    assert_ok(att_language_load(path, NULL, NULL, &l));
    return l;
}

static att_text text_of(const char *s)
{
    return (att_text){s, strlen(s)};
}

/* ---- training ---- */

/* The same bytes for any number of threads, and from a run that was stopped, for both tasks, also in mixed precision,
 * whose products are large enough for a machine's bfloat16. */
static void same_checkpoints(void **state)
{
    static const char *const tasks[] = {"language-model", "masked-language-model"};
    (void)state;
    for (int t = 0; t < 4; t++) {
        att_recipe r;
        make_recipe(&r, tasks[t % 2], "ways", t % 2 ? "text" : "lines");
        r.model.dropout = 0.1;
        r.train.bfloat16 = t / 2;
        if (r.train.bfloat16) r.transformer.width = 64;
        assert_same_checkpoints(&r);
        att_options_free(att_recipe_options(), &r);
    }
}

/* ---- writing ---- */

static void learnt_by_heart(void **state)
{
    (void)state;
    att_language *l = trained("language-model", "gpt");
    att_generated g;
    att_generate_options o = {0};
    assert_ok(att_generate(l, &o, text_of("the cat"), &g, NULL, NULL));
    assert_string_equal(g.text, " sat on the mat");
    assert_int_equal(g.prompt_tokens, 8); /* the start of a text, and 7 characters */
    assert_int_equal(g.tokens, 16);       /* 15 and the end */
    assert_true(g.ended && g.log_probability < 0 && g.log_probability > -5);
    att_text_free(NULL, g.text);
    o.min_tokens = o.max_tokens = 17; /* no end where it belongs */
    assert_ok(att_generate(l, &o, text_of("the cat"), &g, NULL, NULL));
    assert_int_equal(strlen(g.text), 17);
    assert_memory_equal(g.text, " sat on the mat", 15);
    assert_false(g.ended);
    att_text_free(NULL, g.text);
    att_language_destroy(l);
}

/* Without a cache: the whole text so far, again for every token. */
static void greedy_is_argmax(void **state)
{
    (void)state;
    att_language *l = trained("language-model", "gpt");
    int32_t ids[32] = {ATT_TOKEN_EOS};
    int64_t n, V = att_tokenizer_size(l->tokenizer);
    att_generated g;
    att_generate_options o = {.ignore_end = 1, .max_tokens = 20};
    assert_ok(att_tokenizer_encode(l->tokenizer, "tat", 3, ids + 1, 31, &n));
    for (n++; n < 24; n++) {
        att_view v = att_view_2d(ids, ATT_I32, 1, n);
        att_tape_begin(l->tape, 0);
        att_node *x = att_transformer_decode(l->tape, l->model, NULL, NULL, &v, 0, NULL);
        const float *y = att_node_value(att_transformer_logits(l->tape, l->model, x))->data;
        assert_ok(att_tape_status(l->tape));
        y += (n - 1) * V;
        int32_t best = ATT_TOKEN_EOS;
        for (int32_t i = ATT_TOKEN_SPECIALS; i < V; i++) best = y[i] > y[best] ? i : best;
        ids[n] = best;
    }
    char want[256];
    size_t bytes;
    assert_ok(att_tokenizer_decode(l->tokenizer, ids + 4, 20, want, sizeof want, &bytes));
    assert_ok(att_generate(l, &o, text_of("tat"), &g, NULL, NULL));
    assert_string_equal(g.text, want);
    assert_false(g.ended);
    att_text_free(NULL, g.text);
    att_language_destroy(l);
}

typedef struct pieces {
    char text[4096];
    size_t bytes;
    int calls, stop;
} pieces;

static int on_piece(void *ctx, att_text t)
{
    pieces *p = ctx;
    memcpy(p->text + p->bytes, t.data, t.bytes);
    p->bytes += t.bytes;
    return ++p->calls == p->stop;
}

/* The pieces are the text; the same seed gives the same text for any threads, another one another. */
static void seeds_and_pieces(void **state)
{
    (void)state;
    att_language *l = trained("language-model", "gpt");
    char first[512] = "";
    int different = 0;
    for (int way = 0; way < 6; way++) {
        pieces p = {0};
        att_generated g;
        att_generate_options o = {
            .temperature = 3, .seed = way < 3 ? 7 : (uint64_t)way, .slide = 1, .max_tokens = 100, .ignore_end = 1};
        l->exec.threads = way + 1;
        assert_ok(att_generate(l, &o, text_of(""), &g, on_piece, &p));
        assert_int_equal(strlen(g.text), p.bytes);
        assert_memory_equal(g.text, p.text, p.bytes);
        assert_int_equal(g.tokens, 100); /* four times the context */
        if (way == 0) snprintf(first, sizeof first, "%s", g.text);
        if (way < 3) assert_string_equal(g.text, first);
        different += strcmp(g.text, first) != 0;
        att_text_free(NULL, g.text);
    }
    assert_int_equal(different, 3);
    pieces p = {.stop = 3};
    att_generated g;
    assert_int_equal(att_generate(l, &(att_generate_options){0}, text_of("the"), &g, on_piece, &p), ATT_E_INTERRUPTED);
    att_text_free(NULL, g.text);
    att_language_destroy(l);
}

typedef struct allocations {
    const test_allocator *books;
    int64_t pieces, calls;
} allocations;

static int on_counted_piece(void *ctx, att_text t)
{
    allocations *a = ctx;
    (void)t;
    if (++a->pieces == 3) a->calls = a->books->calls;
    return 0;
}

/* The first tokens pack the weights and grow the memory to its size; later ones allocate nothing. */
static void no_allocation_a_token(void **state)
{
    (void)state;
    static const att_dtype kinds[] = {ATT_F32, ATT_BF16, ATT_I8};
    att_language_destroy(trained("language-model", "gpt"));
    for (int kind = 0; kind < 3; kind++) {
        test_allocator books;
        att_language *l;
        att_generated g;
        test_allocator_init(&books, 0);
        allocations a = {.books = &books};
        assert_ok(att_language_load(scratch_path("gpt/last.att"), NULL, &books.allocator, &l));
        assert_ok(att_params_round_weights(att_transformer_params(att_language_model(l)), kinds[kind]));
        att_generate_options o = {.ignore_end = 1, .temperature = 1};
        assert_ok(att_generate(l, &o, text_of(""), &g, on_counted_piece, &a));
        assert_int_equal(g.tokens, 24);
        assert_true(a.pieces > 10);
        assert_int_equal(books.calls, a.calls);
        att_text_free(NULL, g.text);
        att_language_destroy(l);
        assert_int_equal(books.live_blocks, 0);
    }
}

static void untrained(void **state)
{
    (void)state;
    att_recipe r;
    att_language *l;
    att_tokenizer *words;
    att_generated g;
    att_text line = {"a b c", 5};
    for (int pair = 0; pair < 2; pair++) {
        make_recipe(&r, pair ? "translation" : "language-model", "none", "lines");
        assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORD}, &line, 1, NULL, &words));
        assert_int_equal(att_language_create(&r, words, NULL, NULL, &l), pair ? ATT_E_VALUE : ATT_OK);
        if (!pair) {
            assert_ok(att_generate(l, &(att_generate_options){.max_tokens = 3, .ignore_end = 1}, line, &g, NULL, NULL));
            assert_int_equal(g.prompt_tokens, 4);
            att_text_free(NULL, g.text);
        }
        att_language_destroy(l);
        att_options_free(att_recipe_options(), &r);
    }
}

static void refuse(att_language *l, att_generate_options o, const char *prompt, const char *word)
{
    att_generated g;
    assert_int_equal(att_generate(l, &o, text_of(prompt), &g, NULL, NULL), ATT_E_VALUE);
    assert_null(g.text);
    if (!strstr(att_last_error(), word)) fail_msg("'%s' lacks '%s'", att_last_error(), word);
}

static void refused(void **state)
{
    (void)state;
    att_language *l = trained("language-model", "gpt");
    refuse(l, (att_generate_options){0}, "the cat sat on the mat, the cat", "contexts of at most 24");
    refuse(l, (att_generate_options){.max_tokens = 18}, "the cat", "at most 17");
    refuse(l, (att_generate_options){.temperature = -1}, "a", "temperature");
    refuse(l, (att_generate_options){.top_k = -1}, "a", "top_k");
    refuse(l, (att_generate_options){.top_p = 1.5}, "a", "top_p");
    refuse(l, (att_generate_options){.min_p = -0.5}, "a", "min_p");
    refuse(l, (att_generate_options){.repetition_penalty = -1}, "a", "repetition_penalty");
    refuse(l, (att_generate_options){.max_tokens = -1}, "a", "max_tokens");
    refuse(l, (att_generate_options){.min_tokens = -1}, "a", "min_tokens");
    att_filling f[1];
    int64_t masks;
    assert_int_equal(att_fill_masks(l, text_of("a [MASK]"), 1, 1, f, &masks), ATT_E_UNSUPPORTED);
    att_language_destroy(l);
    assert_int_equal(att_language_load(scratch_path("text"), NULL, NULL, &l), ATT_E_FORMAT);
    assert_null(l);
}

/* ---- sampling ---- */

/* How often each of five tokens comes in many draws. */
static void frequencies(const att_generate_options *o, const uint8_t *seen, double out[5])
{
    static const float logits[5] = {0.0f, 2.0f, 1.0f, -1.0f, 3.0f};
    enum { DRAWS = 20000 };
    att_token_chance room[5];
    memset(out, 0, 5 * sizeof *out);
    for (int64_t i = 0; i < DRAWS; i++) {
        double p;
        out[att_sample(o, logits, seen, 5, i, room, &p)] += 1.0 / DRAWS;
        assert_true(p < 0 && p > -5);
    }
}

static void check_frequencies(const att_generate_options *o, const uint8_t *seen, const double want[5])
{
    double got[5], sum = 0;
    frequencies(o, seen, got);
    for (int i = 0; i < 5; i++) sum += want[i];
    for (int i = 0; i < 5; i++)
        if (!(fabs(got[i] - want[i] / sum) <= 0.012) || (want[i] == 0 && got[i] != 0))
            fail_msg("token %d: %.4f, expected %.4f", i, got[i], want[i] / sum);
}

/* Greedy: the first of the largest, wherever it stands; -inf and NaN never win. */
static void greedy_takes_the_first_largest(void **state)
{
    (void)state;
    enum { MOST = 100 };
    const att_generate_options greedy = {0};
    att_token_chance room[MOST];
    for (int n = 1; n <= MOST; n += n < 70 ? 1 : 15)
        for (int at = 0; at < n; at++) {
            float logits[MOST];
            for (int i = 0; i < n; i++) logits[i] = i % 7 == 3 ? -INFINITY : i % 11 == 5 ? NAN : -1.0f - (float)(i % 5);
            logits[at] = 2.0f;
            if (n - at > 1) logits[n - 1] = 2.0f;
            double p;
            assert_int_equal(att_sample(&greedy, logits, NULL, n, 0, room, NULL), at);
            for (int i = 0; i < n; i++) logits[i] = isnan(logits[i]) ? 0.0f : logits[i];
            assert_int_equal(att_sample(&greedy, logits, NULL, n, 0, room, &p), at);
            assert_true(p <= 0);
        }
}

static void sampling(void **state)
{
    (void)state;
    double e = exp(1.0);
#define CHECK(options, seen, ...) check_frequencies(&(att_generate_options)options, seen, (double[5])__VA_ARGS__)
#define O(...)                    {__VA_ARGS__}
    CHECK(O(.temperature = 0), NULL, {0, 0, 0, 0, 1});
    CHECK(O(.temperature = 1), NULL, {1, e * e, e, 1 / e, e * e * e});
    CHECK(O(.temperature = 2), NULL, {1, e, sqrt(e), 1 / sqrt(e), e * sqrt(e)});
    CHECK(O(.temperature = 1, .top_k = 2), NULL, {0, e * e, 0, 0, e * e * e});
    CHECK(O(.temperature = 1, .top_p = 0.5), NULL, {0, 0, 0, 0, 1});
    CHECK(O(.temperature = 1, .top_p = 0.8), NULL, {0, e * e, 0, 0, e * e * e});
    CHECK(O(.temperature = 1, .min_p = 0.1), NULL, {0, e * e, e, 0, e * e * e});
    CHECK(O(.temperature = 1, .top_k = 3, .min_p = 0.3), NULL, {0, e * e, 0, 0, e * e * e});
    static const uint8_t seen[5] = {0, 0, 0, 1, 1}; /* 3 becomes 1.5, -1 becomes -2 */
    CHECK(O(.temperature = 1, .repetition_penalty = 2), seen, {1, e * e, e, 1 / (e * e), e * sqrt(e)});
    CHECK(O(.repetition_penalty = 2), seen, {0, 1, 0, 0, 0});
}

/* ---- measuring ---- */

static void measured(void **state)
{
    (void)state;
    att_language *l = trained("language-model", "gpt");
    att_language_score all, some;
    assert_ok(att_language_evaluate(l, scratch_path("text"), 0, &all));
    assert_ok(att_language_evaluate(l, scratch_path("text"), 3, &some));
    assert_int_equal(all.tokens, 300 * 23 - 1); /* every token but the first */
    assert_int_equal(all.bytes, 300 * 23);
    assert_int_equal(some.tokens, 3 * 24);
    assert_true(fabs(all.perplexity - exp(all.loss)) < 1e-9);
    assert_true(fabs(all.bits_per_byte - all.loss * (double)all.tokens / log(2.0) / (double)all.bytes) < 1e-9);
    assert_true(all.loss < 0.5 && all.accuracy > 0.8);
    att_language_destroy(l);
}

/* ---- filling in ---- */

static void filled(void **state)
{
    (void)state;
    att_language *l = trained("masked-language-model", "bert");
    att_filling f[2 * 3];
    int64_t masks;
    assert_ok(att_fill_masks(l, text_of("the c[MASK]t sat on [MASK]he"), 3, 2, f, &masks));
    assert_int_equal(masks, 2);
    assert_string_equal(f[0].text, "a");
    assert_string_equal(f[3].text, "t");
    for (int i = 0; i < 6; i++) {
        assert_int_equal(f[i].mask, i / 3);
        assert_true(f[i].probability > 0 && f[i].probability <= 1);
        assert_true(i % 3 == 0 || f[i].probability <= f[i - 1].probability);
        att_text_free(NULL, f[i].text);
    }
    assert_int_equal(att_fill_masks(l, text_of("the cat"), 3, 2, f, &masks), ATT_E_VALUE);
    assert_int_equal(att_fill_masks(l, text_of("[MASK] cat sat on the mat. The cat sat"), 3, 2, f, &masks),
                     ATT_E_VALUE);
    att_generated g;
    assert_int_equal(att_generate(l, &(att_generate_options){0}, text_of("a"), &g, NULL, NULL), ATT_E_UNSUPPORTED);
    att_language_score s;
    assert_ok(att_language_evaluate(l, scratch_path("text"), 0, &s));
    assert_true(s.tokens > 700 && s.tokens < 1300 && s.bytes == 0); /* 15 % of 6900 */
    att_language_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_checkpoints), cmocka_unit_test(learnt_by_heart),
        cmocka_unit_test(greedy_is_argmax), cmocka_unit_test(seeds_and_pieces),
        cmocka_unit_test(refused),          cmocka_unit_test(greedy_takes_the_first_largest),
        cmocka_unit_test(sampling),         cmocka_unit_test(measured),
        cmocka_unit_test(filled),           cmocka_unit_test(no_allocation_a_token),
        cmocka_unit_test(untrained),
    };
    return cmocka_run_group_tests(tests, write_text, remove_folder);
}
