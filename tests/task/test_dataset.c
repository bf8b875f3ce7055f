/* Plans of batches, and the arrays they become. */
#include "harness.h"

#include "task/dataset.h"

enum { PAIRS = 300, MAX_LENGTH = 12 };

typedef struct corpus {
    char text[2 * PAIRS][ATT_SYNTHETIC_BYTES];
    att_text line[2 * PAIRS];
    att_pairs pairs;
    att_tokenizer *tokenizer;
    att_dataset d;
} corpus;

static corpus *make_corpus(void)
{
    corpus *c = calloc(1, sizeof *c);
    for (int i = 0; i < PAIRS; i++) {
        assert_ok(
            att_synthetic_reverse(3, i, c->text[i], ATT_SYNTHETIC_BYTES, c->text[PAIRS + i], ATT_SYNTHETIC_BYTES));
        c->line[i] = (att_text){c->text[i], strlen(c->text[i])};
        c->line[PAIRS + i] = (att_text){c->text[PAIRS + i], strlen(c->text[PAIRS + i])};
    }
    c->pairs = (att_pairs){.source = c->line, .target = c->line + PAIRS, .count = PAIRS};
    assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORD}, c->line, 2 * PAIRS, NULL,
                                  &c->tokenizer));
    assert_ok(att_dataset_create(&c->pairs, c->tokenizer, c->tokenizer, MAX_LENGTH, &c->d));
    assert_ok(att_dataset_encode(&c->d, NULL, 0.0, 1, 0));
    return c;
}

static void free_corpus(corpus *c)
{
    att_dataset_destroy(&c->d);
    att_tokenizer_destroy(c->tokenizer);
    free(c);
}

static int64_t words(const char *text)
{
    int64_t n = 1;
    for (; *text; text++) n += *text == ' ';
    return n;
}

/* Every pair that is short enough exactly once, none beyond the limits unless it is alone. */
static void check_plan(const corpus *c, att_batch_limits limits)
{
    bool seen[PAIRS] = {false};
    int64_t planned = 0;
    assert_int_equal(c->d.batch[0], 0);
    assert_int_equal(c->d.batch[c->d.batches], c->d.planned);
    for (int64_t b = 0; b < c->d.batches; b++) {
        int64_t n = c->d.batch[b + 1] - c->d.batch[b], longest = 0, tokens = 0;
        assert_true(n >= 1 && n <= limits.sentences);
        for (int64_t k = c->d.batch[b]; k < c->d.batch[b + 1]; k++) {
            int64_t pair = c->d.order[k], length = words(c->text[PAIRS + pair]) + 1;
            assert_true(pair >= 0 && pair < PAIRS && !seen[pair] && length <= MAX_LENGTH + 1);
            seen[pair] = true;
            longest = length > longest ? length : longest;
            tokens += length;
        }
        assert_true(n == 1 || n * longest <= limits.tokens);
        assert_int_equal(att_dataset_count(&c->d, b), tokens);
        planned += n;
    }
    for (int i = 0; i < PAIRS; i++) assert_int_equal(seen[i], words(c->text[i]) <= MAX_LENGTH);
    assert_int_equal(planned, c->d.planned);
}

static void plans(void **state)
{
    (void)state;
    static const att_batch_limits limits[] = {{64, 10}, {1, 5}, {1000000, 7}, {1000000, 1000000}, {40, 1}, {13, 100}};
    corpus *c = make_corpus();
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        for (int64_t epoch = 0; epoch < 5; epoch++) {
            att_dataset_plan(&c->d, limits[i], epoch > 0, 9, epoch);
            check_plan(c, limits[i]);
        }
    free_corpus(c);
}

/* A plan is decided by (seed, epoch), whatever was planned before. */
static void repeated_plans(void **state)
{
    (void)state;
    corpus *a = make_corpus(), *b = make_corpus();
    att_batch_limits limits = {64, 10};
    for (int64_t e = 0; e < 4; e++) att_dataset_plan(&a->d, limits, true, 9, e);
    att_dataset_plan(&b->d, limits, true, 9, 3);
    assert_int_equal(a->d.batches, b->d.batches);
    assert_memory_equal(a->d.order, b->d.order, (size_t)a->d.planned * sizeof *a->d.order);
    assert_memory_equal(a->d.batch, b->d.batch, (size_t)(a->d.batches + 1) * sizeof *a->d.batch);
    att_dataset_plan(&b->d, limits, true, 9, 4);
    assert_memory_not_equal(a->d.order, b->d.order, (size_t)a->d.planned * sizeof *a->d.order);
    att_dataset_plan(&b->d, limits, true, 10, 3);
    assert_memory_not_equal(a->d.order, b->d.order, (size_t)a->d.planned * sizeof *a->d.order);
    free_corpus(a);
    free_corpus(b);
}

static void batches_are_random(void **state)
{
    (void)state;
    corpus *c = make_corpus();
    int rises = 0;
    att_dataset_plan(&c->d, (att_batch_limits){64, 10}, true, 9, 1);
    for (int64_t b = 1; b < c->d.batches; b++)
        rises += words(c->text[c->d.order[c->d.batch[b]]]) >= words(c->text[c->d.order[c->d.batch[b - 1]]]);
    assert_true(rises > c->d.batches / 4 && rises < c->d.batches * 3 / 4 + 2);
    free_corpus(c);
}

static void check_column(const corpus *c, const att_seq2seq_batch *a, int64_t pair, int64_t b)
{
    const int32_t *source = a->source.data, *in = a->target_in.data, *out = a->target_out.data;
    int64_t B = a->source.dim[1], n, m;
    int32_t ids[2][64];
    assert_ok(att_tokenizer_encode(c->tokenizer, c->text[pair], strlen(c->text[pair]), ids[0], 64, &n));
    assert_ok(att_tokenizer_encode(c->tokenizer, c->text[PAIRS + pair], strlen(c->text[PAIRS + pair]), ids[1], 64, &m));
    assert_int_equal(((const int32_t *)a->source_lengths.data)[b], n + 1);
    for (int64_t i = 0; i < a->source.dim[0]; i++)
        assert_int_equal(source[i * B + b], i < n ? ids[0][i] : i == n ? ATT_TOKEN_EOS : ATT_TOKEN_PAD);
    for (int64_t i = 0; i < a->target_in.dim[0]; i++) {
        assert_int_equal(in[i * B + b], i == 0 ? ATT_TOKEN_BOS : i <= m ? ids[1][i - 1] : ATT_TOKEN_PAD);
        assert_int_equal(out[i * B + b], i < m ? ids[1][i] : i == m ? ATT_TOKEN_EOS : -1);
    }
}

static void arrays(void **state)
{
    (void)state;
    corpus *c = make_corpus();
    att_tape *tape;
    assert_ok(att_tape_create(NULL, NULL, &tape));
    att_dataset_plan(&c->d, (att_batch_limits){64, 10}, true, 9, 0);
    for (int64_t b = 0; b < c->d.batches; b++) {
        att_seq2seq_batch a;
        att_tape_begin(tape, 1);
        assert_ok(att_dataset_batch(&c->d, b, tape, &a));
        for (int64_t k = c->d.batch[b]; k < c->d.batch[b + 1]; k++)
            check_column(c, &a, c->d.order[k], k - c->d.batch[b]);
    }
    att_tape_destroy(tape);
    free_corpus(c);
}

/* BPE-dropout: decided by (seed, epoch) and the pair, for any number of threads. */
static void sampled(void **state)
{
    (void)state;
    static const char *const words_of[] = {"banana bandana", "ananas", "bananas and bandanas", "a banana an ananas"};
    att_text line[4];
    att_tokenizer *t;
    att_dataset d[2];
    for (int i = 0; i < 4; i++) line[i] = (att_text){words_of[i], strlen(words_of[i])};
    att_pairs pairs = {.source = line, .target = line, .count = 4};
    assert_ok(att_tokenizer_train(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_BPE}, line, 4, NULL, &t));
    for (int i = 0; i < 2; i++) assert_ok(att_dataset_create(&pairs, t, t, 64, &d[i]));
    assert_ok(att_dataset_encode(&d[0], NULL, 0.5, 1, 2));
    assert_ok(att_dataset_encode(&d[1], &(att_exec){.threads = 3}, 0.5, 1, 2));
    assert_memory_equal(d[0].length, d[1].length, 8 * sizeof *d[0].length);
    assert_memory_equal(d[0].ids, d[1].ids, 8 * sizeof *d[0].ids);
    assert_ok(att_dataset_encode(&d[1], NULL, 0.5, 1, 3));
    assert_memory_not_equal(d[0].length, d[1].length, 8 * sizeof *d[0].length);
    for (int i = 0; i < 2; i++) att_dataset_destroy(&d[i]);
    att_tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans),  cmocka_unit_test(repeated_plans), cmocka_unit_test(batches_are_random),
        cmocka_unit_test(arrays), cmocka_unit_test(sampled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
