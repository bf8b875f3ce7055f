/* Translating with a Transformer: a small date translator, its search against a decoder without a cache, its weights.
 */
#include "scratch.h"

#include "allocator.h"
#include "task/decoder.h"
#include "task/ways.h"

enum { LINES = 17, BEST = 3 };

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
    static const char *const settings[] = {"data.synthetic=dates",
                                           "data.synthetic_train=900",
                                           "data.synthetic_valid=40",
                                           "text.tokenizer=char",
                                           "text.shared=true",
                                           "model.kind=transformer",
                                           "model.width=24",
                                           "model.heads=3",
                                           "model.encoder_layers=2",
                                           "model.decoder_layers=2",
                                           "model.shared=true",
                                           "model.tied=true",
                                           "model.dropout=0.1",
                                           "train.steps=120",
                                           "train.lr=1e-2",
                                           "train.warmup=20",
                                           "train.batch_sentences=24",
                                           "train.validate_every=60",
                                           "train.metric=loss",
                                           "train.valid_sentences=9",
                                           "train.average=0.9",
                                           "decode.beam=3",
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
    return att_train_translator(&recipe, &(att_exec){.threads = 2}, 0, NULL) == ATT_OK ? 0 : -1;
}

static att_translator *load(int threads)
{
    att_translator *t;
    assert_ok(att_translator_load(scratch_path("best.att"), &(att_exec){.threads = threads}, NULL, &t));
    assert_null(att_translator_model(t));
    assert_non_null(att_translator_transformer(t));
    return t;
}

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

static void batches_and_order(void **state)
{
    (void)state;
    static const int64_t batch[] = {1, 7, 64};
    static att_translation want[LINES * BEST], got[LINES * BEST];
    att_translate_options o = {.beam = 4, .n_best = BEST, .length_penalty = 0.6, .max_length = 15, .with_attention = 1};
    att_translator *t = load(1), *other = load(3);
    assert_ok(att_translate(t, &o, dates.source, LINES, want, NULL, NULL));
    for (int way = 0; way < 6; way++) {
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
        for (int i = 0; i < LINES * BEST; i++) {
            const att_translation *a = &got[i], *b = &want[at[i / BEST] * BEST + i % BEST];
            assert_string_equal(a->text, b->text);
            assert_memory_equal(&a->score, &b->score, sizeof a->score);
            assert_int_equal(a->rows, b->rows);
            assert_memory_equal(a->weights, b->weights, (size_t)(a->rows * a->cols) * sizeof(float));
        }
        att_translations_free(got, LINES * BEST);
    }
    att_translations_free(want, LINES * BEST);
    att_translator_destroy(t);
    att_translator_destroy(other);
}

/* Logits of the word behind target[n], everything computed anew. */
static const float *last_logits(const att_translator *t, const int32_t *source, int64_t n, const int32_t *target,
                                int64_t m)
{
    att_transformer_memory memory;
    att_tape_begin(t->encoder, 0);
    att_view in = att_view_2d((void *)(uintptr_t)source, ATT_I32, 1, n);
    att_view out = att_view_2d((void *)(uintptr_t)target, ATT_I32, 1, m);
    att_node *states = att_transformer_encode(t->encoder, t->model.transformer, &in, NULL, NULL, 0, NULL);
    att_transformer_remember(t->encoder, t->model.transformer, states, NULL, &memory);
    att_node *x = att_transformer_decode(t->encoder, t->model.transformer, &memory, NULL, &out, 0, NULL);
    const float *y = att_node_value(att_transformer_logits(t->encoder, t->model.transformer, x))->data;
    assert_ok(att_tape_status(t->encoder));
    return y + (m - 1) * att_tokenizer_size(t->target);
}

static double log_softmax(const float *x, int64_t n, int64_t i)
{
    double sum = 0;
    for (int64_t v = 0; v < n; v++) sum += exp((double)x[v]);
    return (double)x[i] - log(sum);
}

static void greedy_is_argmax(void **state)
{
    (void)state;
    att_translator *t = load(1);
    att_translate_options o = {.beam = 1, .n_best = 1, .max_length = 18};
    int64_t V = att_tokenizer_size(t->target);
    for (int i = 0; i < LINES; i++) {
        att_translation got;
        int32_t source[64], out[32] = {ATT_TOKEN_BOS};
        int64_t n, m = 1;
        double sum = 0;
        char text[256];
        size_t bytes;
        assert_ok(att_translate(t, &o, &dates.source[i], 1, &got, NULL, NULL));
        assert_ok(att_tokenizer_encode(t->source, dates.source[i].data, dates.source[i].bytes, source, 63, &n));
        source[n++] = ATT_TOKEN_EOS;
        for (;;) {
            const float *x = last_logits(t, source, n, out, m);
            int32_t word = ATT_TOKEN_EOS;
            for (int32_t v = 0; m <= o.max_length && v < V; v++)
                if (v != ATT_TOKEN_PAD && v != ATT_TOKEN_BOS && x[v] > x[word]) word = v;
            sum += log_softmax(x, V, word);
            if (word == ATT_TOKEN_EOS) break;
            out[m++] = word;
        }
        assert_ok(att_tokenizer_decode(t->target, out + 1, m - 1, text, sizeof text, &bytes));
        assert_string_equal(got.text, text);
        assert_true(fabs(got.log_probability - sum) <= 1e-4);
        att_translations_free(&got, 1);
    }
    att_translator_destroy(t);
}

/* ---- weights ---- */

static void rows_sum_to_one(const float *w, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t c = 0; c < cols; c++) sum += (double)w[r * cols + c];
        assert_true(fabs(sum - 1) <= 1e-5);
    }
}

static void attention_of_all_layers(void **state)
{
    (void)state;
    static att_translation got[LINES];
    att_translator *t = load(1);
    att_translate_options o = {.beam = 3, .n_best = 1, .with_attention = 1};
    assert_ok(att_translate(t, &o, dates.source, LINES, got, NULL, NULL));
    for (int i = 0; i < LINES; i++) {
        const att_translation *g = &got[i];
        int64_t R = g->rows, S = g->cols, H = 3;
        assert_int_equal(g->heads, H);
        assert_int_equal(g->encoder_layers, 2);
        assert_int_equal(g->decoder_layers, 2);
        rows_sum_to_one(g->weights, R, S);
        rows_sum_to_one(g->encoder, 2 * H * S, S);
        rows_sum_to_one(g->decoder, 2 * H * R, R);
        rows_sum_to_one(g->cross, 2 * H * R, S);
        for (int64_t l = 0; l < 2 * H; l++) /* nothing looks ahead */
            for (int64_t r = 0; r < R; r++)
                for (int64_t c = r + 1; c < R; c++) assert_true(g->decoder[(l * R + r) * R + c] == 0);
        for (int64_t k = 0; k < R * S; k++) { /* the search saw the first layer's heads */
            double mean = 0;
            for (int64_t h = 0; h < H; h++) mean += (double)g->cross[h * R * S + k] / (double)H;
            assert_true(fabs(mean - (double)g->weights[k]) <= 1e-6);
        }
    }
    att_translations_free(got, LINES);
    att_translator_destroy(t);
}

/* ---- inference ---- */

/* Rows of a beam search, a sentence each of `words` words: step after step as beam.c does it. */
static void steps(att_translator *t, att_decoder *d, int64_t count)
{
    static const int32_t parents[6] = {0, 0, 1, 5, 4, 3};
    for (int64_t i = 0; i < count; i++) {
        int32_t ids[6] = {4, 5, 6, 7, 8, (int32_t)(4 + i % 9)};
        assert_ok(att_decoder_step(d, ids));
        assert_true(isfinite(d->logits[6 * att_tokenizer_size(t->target) - 1]));
        att_decoder_follow(d, parents);
    }
}

/* The first steps pack the weights and grow the memory to its size; later ones, however many, allocate nothing. */
static void no_allocation_a_step(void **state)
{
    (void)state;
    static const att_dtype kinds[] = {ATT_F32, ATT_BF16, ATT_I8};
    for (int kind = 0; kind < 3; kind++) {
        test_allocator books;
        att_translator *t;
        att_decoder d = {0};
        int32_t ids[14] = {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 4, ATT_TOKEN_EOS, ATT_TOKEN_EOS}, lengths[] = {7, 7};
        att_search_batch batch = {.ids = ids, .lengths = lengths, .B = 2, .Ts = 7};
        test_allocator_init(&books, 0);
        assert_ok(att_translator_load(scratch_path("best.att"), NULL, &books.allocator, &t));
        assert_ok(att_params_round_weights(att_translator_params(t), kinds[kind]));
        assert_ok(att_decoder_start(&d, t, &batch, 3, 60, true));
        steps(t, &d, 2);
        int64_t before = books.calls, grown = att_tape_grown(t->decoder);
        steps(t, &d, 58);
        assert_int_equal(books.calls, before);
        assert_int_equal(att_tape_grown(t->decoder), grown);
        att_decoder_stop(&d);
        att_translator_destroy(t);
        assert_int_equal(books.live_blocks, 0);
    }
}

static double loss_with(att_dtype weights, int threads, char *text, size_t room)
{
    att_translator *t = load(threads);
    att_evaluation e;
    assert_ok(att_params_round_weights(att_translator_params(t), weights));
    assert_ok(att_evaluate(t, &(att_translate_options){.beam = 2, .n_best = 1, .max_length = 20, .batch = 5 + threads},
                           &dates, 1, &e, NULL, NULL));
    text[0] = 0;
    for (int64_t i = 0; i < 9; i++) strncat(text, e.hypothesis[i], room - strlen(text) - 1);
    double loss = e.loss;
    att_evaluation_free(&e);
    att_translator_destroy(t);
    return loss;
}

/* Rounded weights change the loss, but little; the results are the same bits for any threads and batches. */
static void rounded_weights(void **state)
{
    (void)state;
    static const struct {
        att_dtype dtype;
        double most;
    } kinds[] = {{ATT_BF16, 0.01}, {ATT_I8, 0.02}};
    char one[512], two[512];
    double exact = loss_with(ATT_F32, 1, one, sizeof one);
    for (int k = 0; k < 2; k++) {
        double loss = loss_with(kinds[k].dtype, 1, one, sizeof one),
               again = loss_with(kinds[k].dtype, 2, two, sizeof two);
        assert_true(loss != exact && fabs(loss - exact) <= kinds[k].most * exact);
        assert_true(fabs(loss - again) <= 1e-6 * loss); /* batches add their losses up differently */
        assert_string_equal(one, two);
    }
}

static void untrained(void **state)
{
    (void)state;
    for (int64_t fail = 0, done = 0; !done; fail++) {
        test_allocator books;
        att_tokenizer *words;
        att_translator *t;
        test_allocator_init(&books, 0);
        att_text line = {"a b c", 5};
        assert_ok(
            att_tokenizer_train(&(att_tokenizer_desc){.kind = ATT_TOKENIZER_WORD}, &line, 1, &books.allocator, &words));
        books.fail_at = fail ? books.calls + fail : 0;
        att_status status = att_translator_create(&recipe, words, words, NULL, &books.allocator, &t);
        if (status == ATT_OK) {
            assert_int_equal(att_tokenizer_size(att_translator_tokenizer(t, 1)), 7);
            assert_non_null(att_params_find(att_translator_params(t), "words"));
            done = fail > 0;
        } else {
            assert_int_equal(status, ATT_E_MEMORY);
        }
        att_translator_destroy(t);
        assert_int_equal(books.live_blocks, 0);
    }
}

static void evaluated(void **state)
{
    (void)state;
    att_translator *t = load(2);
    att_evaluation e;
    assert_ok(
        att_evaluate(t, &(att_translate_options){.beam = 2, .n_best = 1, .max_length = 20}, &dates, 0, &e, NULL, NULL));
    assert_true(e.loss > 0 && e.loss < 2.2 && e.chrf > 5);
    att_evaluation_free(&e);
    att_translator_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_checkpoints), cmocka_unit_test(batches_and_order),
        cmocka_unit_test(greedy_is_argmax), cmocka_unit_test(attention_of_all_layers),
        cmocka_unit_test(evaluated),        cmocka_unit_test(no_allocation_a_step),
        cmocka_unit_test(rounded_weights),  cmocka_unit_test(untrained),
    };
    return cmocka_run_group_tests(tests, train_once, remove_folder);
}
