/* Beam search on models of random weights and few words, whose every hypothesis can be counted. */
#include "harness.h"

#include "task/steps.h"

static att_translator *random_translator(const att_allocator *a, int attention, float unknown, float scale)
{
    static const char *const text[] = {"a b", "b a a", "c"};
    att_text lines[3];
    att_recipe r;
    att_tokenizer *words;
    att_seq2seq *m;
    att_translator *t;
    for (int i = 0; i < 3; i++) lines[i] = (att_text){text[i], strlen(text[i])};
    assert_ok(att_options_init(att_recipe_options(), &r));
    r.text.shared = 1;
    assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORD}, lines, 2, a, &words));
    r.model.source_vocabulary = r.model.target_vocabulary = att_tokenizer_size(words);
    r.model.embedding = r.model.encoder_units = 5;
    r.model.decoder_units = 6;
    r.model.attention = attention;
    assert_ok(att_seq2seq_create(&r.model, 1, 0, a, &m));
    att_params *p = att_seq2seq_params(m);
    fill_f32(att_params_values(p), att_params_elements(p), 7, scale);
    ((float *)att_parameter_value(att_params_find(p, "output.bias"))->data)[ATT_TOKEN_UNK] += unknown;
    att_params_changed(p);
    assert_ok(att_translator_assemble(&r, words, words, (att_pair_model){.recurrent = m}, NULL, a, &t));
    att_options_free(att_recipe_options(), &r);
    return t;
}

typedef struct found {
    double log_probability;
    int32_t token[4];
    int64_t n;
} found;

/* All hypotheses of at most 3 tokens that begin with `prefix`. */
static void enumerate(const att_translator *t, const found *prefix, found *list, int64_t *count)
{
    att_seq2seq_memory memory;
    att_seq2seq_state s;
    int64_t V = att_tokenizer_size(t->target);
    double sum = 0, p[16];
    att_tape_begin(t->encoder, 0);
    steps_encode(t, "b a", &memory, &s);
    for (int64_t i = 0; i <= prefix->n; i++) {
        const float *x = steps_next(t, &memory, i ? prefix->token[i - 1] : ATT_TOKEN_BOS, &s);
        if (i < prefix->n) sum += steps_log_softmax(x, V, prefix->token[i]);
        for (int64_t v = 0; i == prefix->n && v < V; v++) p[v] = steps_log_softmax(x, V, v);
    }
    list[*count] = *prefix;
    list[(*count)++].log_probability = sum + p[ATT_TOKEN_EOS];
    for (int32_t v = 0; prefix->n < 3 && v < V; v++) {
        if (!steps_may_come(v) || v == ATT_TOKEN_EOS) continue;
        found longer = *prefix;
        longer.token[longer.n++] = v;
        enumerate(t, &longer, list, count);
    }
}

static int by_probability(const void *a, const void *b)
{
    double x = ((const found *)a)->log_probability, y = ((const found *)b)->log_probability;
    return (x < y) - (x > y);
}

/* A beam as wide as the space of hypotheses finds them all, in order; the slots beyond are empty. */
static void exhaustive(void **state)
{
    (void)state;
    enum { ALL = 1 + 3 + 9 + 27, BEAM = 50 };
    for (int attention = 0; attention < 4; attention += 3) {
        found list[ALL];
        int64_t count = 0;
        att_translation got[BEAM];
        att_translator *t = random_translator(NULL, attention, 0.0f, 1.2f);
        att_translate_options o = {.beam = BEAM, .n_best = BEAM, .max_length = 3};
        enumerate(t, &(found){0}, list, &count);
        assert_int_equal(count, ALL);
        qsort(list, ALL, sizeof *list, by_probability);
        assert_ok(att_translate(t, &o, &(att_text){"b a", 3}, 1, got, NULL, NULL));
        for (int i = 0; i < ALL; i++) {
            char text[64];
            size_t bytes;
            assert_ok(att_tokenizer_decode(t->target, list[i].token, list[i].n, text, sizeof text, &bytes));
            if (fabs(got[i].score - list[i].log_probability) > 1e-5 || strcmp(got[i].text, text) != 0)
                fail_msg("hypothesis %d is '%s' (%g), expected '%s' (%g)", i, got[i].text, got[i].score, text,
                         list[i].log_probability);
        }
        for (int i = ALL; i < BEAM; i++) {
            assert_string_equal(got[i].text, "");
            assert_true(got[i].score == -(double)INFINITY);
        }
        att_translations_free(got, BEAM);
        att_translator_destroy(t);
    }
}

/* A model that only says <unk>: each becomes the source word that its step looked at most. */
static void unknown_words(void **state)
{
    (void)state;
    att_translation got[2];
    att_translator *t = random_translator(NULL, 0, 50.0f, 1.2f);
    att_translate_options o = {.beam = 1, .n_best = 1, .max_length = 4, .with_attention = 1};
    const att_text line = {"Zo\xc3\xab b xx", 9};
    assert_ok(att_translate(t, &o, &line, 1, &got[0], NULL, NULL));
    assert_non_null(strstr(got[0].text, "\xe2\x81\x87"));
    o.replace_unknown = 1;
    assert_ok(att_translate(t, &o, &line, 1, &got[1], NULL, NULL));
    static const char *const word[] = {"Zo\xc3\xab", "b", "xx"};
    char want[128] = "";
    assert_int_equal(got[1].rows, 5);
    assert_int_equal(got[1].cols, 4);
    for (int64_t r = 0; r < 4; r++) {
        const float *w = got[1].weights + r * got[1].cols;
        int best = 0;
        for (int c = 1; c < 3; c++) best = w[c] > w[best] ? c : best;
        if (r) strcat(want, " ");
        strcat(want, word[best]);
    }
    assert_string_equal(got[1].text, want);
    att_translations_free(got, 2);
    att_translator_destroy(t);
}

/* Probabilities of what may come alone: those of all hypotheses, of which the longest must end, add up to 1. */
static void renormalised(void **state)
{
    (void)state;
    enum { ALL = 1 + 3 + 9 + 27 };
    double total = 0;
    att_translation got[ALL];
    att_translator *t = random_translator(NULL, 0, 0.0f, 1.2f);
    att_translate_options o = {.beam = ALL, .n_best = ALL, .max_length = 3, .renormalise = 1, .length_penalty = 2};
    o.length_form = ATT_LENGTH_POWER;
    assert_ok(att_translate(t, &o, &(att_text){"b a", 3}, 1, got, NULL, NULL));
    for (int i = 0; i < ALL; i++) {
        int32_t ids[8];
        int64_t n;
        assert_ok(att_tokenizer_encode(t->target, got[i].text, strlen(got[i].text), ids, 8, &n));
        double length = (double)n + 1;
        total += exp(got[i].log_probability);
        assert_true(fabs(got[i].score - got[i].log_probability / (length * length)) < 1e-9);
        if (i > 0) assert_true(got[i].score <= got[i - 1].score);
    }
    assert_true(fabs(total - 1) < 1e-5);
    att_translations_free(got, ALL);
    att_translator_destroy(t);
}

/* A narrow beam that goes on while something better may come finds nothing worse than one that stops when it is full,
 * and at times better. */
static void stops(void **state)
{
    (void)state;
    int better = 0;
    for (int ends = 0; ends < 20; ends++) {
        att_translation full, best;
        att_translator *t = random_translator(NULL, 0, 0.0f, 1.2f);
        att_params *p = att_pair_model_params(&t->model);
        ((float *)att_parameter_value(att_params_find(p, "output.bias"))->data)[ATT_TOKEN_EOS] += 0.2f * (float)ends;
        att_params_changed(p);
        att_translate_options o = {.beam = 2, .n_best = 1, .max_length = 8, .length_penalty = 2};
        o.length_form = ATT_LENGTH_POWER;
        assert_ok(att_translate(t, &o, &(att_text){"b a", 3}, 1, &full, NULL, NULL));
        o.stop = ATT_STOP_BEST;
        assert_ok(att_translate(t, &o, &(att_text){"b a", 3}, 1, &best, NULL, NULL));
        assert_true(best.score >= full.score);
        better += best.score > full.score;
        att_translations_free(&full, 1);
        att_translations_free(&best, 1);
        att_translator_destroy(t);
    }
    assert_true(better > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exhaustive),
        cmocka_unit_test(renormalised),
        cmocka_unit_test(stops),
        cmocka_unit_test(unknown_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
