/* A model from its file: out to Hugging Face's folders and back, where it looks, what lines mean, and means of weights.
 */
#include "scratch.h"

#include <math.h>
#include <unistd.h>

#include <attend.h>
#include <attend/convert.h>
#include <attend/file.h>
#include <attend/language.h>
#include <attend/model.h>

enum { T = 6, WIDTH = 16, HEADS = 2, LAYERS = 2 };

static const char *model_path(void)
{
    return scratch_path("bert/last.att");
}

/* A BERT of a few words, trained for a few steps, with a checkpoint kept on the way. */
static int train(void **state)
{
    static const char *const set[] = {"task=masked-language-model",
                                      "data.train=text",
                                      "data.unit=lines",
                                      "text.tokenizer=wordpiece",
                                      "model.kind=transformer",
                                      "model.width=16",
                                      "model.heads=2",
                                      "model.positions=learned",
                                      "model.context=12",
                                      "model.tied=true",
                                      "model.encoder_layers=2",
                                      "model.norm=post",
                                      "model.embedding_norm=true",
                                      "model.activation=gelu",
                                      "model.segments=2",
                                      "model.head=true",
                                      "model.output_bias=true",
                                      "train.steps=4",
                                      "train.batch_sentences=4",
                                      "train.validate_every=4",
                                      "train.keep_every=2",
                                      "train.valid_sentences=4",
                                      "train.lr=1e-2"};
    static const char text[] = "the cat sat on the mat\na dog sat on a log\n";
    char key[200];
    att_recipe r;
    (void)state;
    if (scratch_create() != 0) return -1;
    FILE *f = fopen(scratch_path("text"), "w");
    for (int i = 0; f && i < 60; i++) fputs(text, f);
    if (!f || fclose(f) != 0) return -1;
    assert_ok(att_options_init(att_recipe_options(), &r));
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) assert_ok(att_options_set(att_recipe_options(), &r, set[i]));
    snprintf(key, sizeof key, "data.folder=%s", scratch_name());
    assert_ok(att_options_set(att_recipe_options(), &r, key));
    snprintf(key, sizeof key, "train.folder=%s", scratch_path("bert"));
    assert_ok(att_options_set(att_recipe_options(), &r, key));
    assert_ok(att_train_language(&r, NULL, 0, NULL));
    att_options_free(att_recipe_options(), &r);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    return scratch_destroy();
}

static att_model *load(const char *path)
{
    att_model *m;
    assert_ok(att_model_load(path, NULL, NULL, &m));
    return m;
}

static int32_t some_ids[2 * T] = {2, 9, 7, 11, 8, 3, 2, 6, 10, 3, 0, 0};
static int32_t some_lengths[2] = {6, 4};

static float *logits_of(const char *path, int64_t *n)
{
    att_model *m = load(path);
    int64_t V = att_tokenizer_size(att_model_tokenizer(m, 0));
    float *out = malloc((size_t)(2 * T * V) * sizeof *out);
    att_view ids = att_view_2d(some_ids, ATT_I32, 2, T), lengths = att_view_1d(some_lengths, ATT_I32, 2);
    att_view logits = att_view_3d(out, ATT_F32, 2, T, V);
    assert_ok(att_model_logits(m, &ids, &lengths, NULL, NULL, &logits));
    att_model_destroy(m);
    *n = 2 * T * V;
    return out;
}

/* ---- Hugging Face's folders ---- */

static void out_and_back_is_the_same_model(void **state)
{
    (void)state;
    int64_t n, m;
    assert_ok(att_convert_export(model_path(), scratch_path("hub"), NULL));
    assert_ok(att_convert_import(scratch_path("hub"), scratch_path("back.att"), NULL));
    float *want = logits_of(model_path(), &n), *got = logits_of(scratch_path("back.att"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(got, want, (size_t)n * sizeof *want);
    free(want);
    free(got);
    att_model *a = load(model_path()), *b = load(scratch_path("back.att"));
    char *x, *y;
    assert_ok(att_tokenizer_to_json(att_model_tokenizer(a, 0), &x));
    assert_ok(att_tokenizer_to_json(att_model_tokenizer(b, 0), &y));
    assert_string_equal(x, y);
    att_text_free(NULL, x);
    att_text_free(NULL, y);
    att_model_destroy(a);
    att_model_destroy(b);
}

/* Imports the folder with one file replaced, `bytes` of it, or missing where text is NULL; puts it back. */
static void expect_refused(const char *name, const char *text, size_t bytes, att_status want, const char *says)
{
    char path[64];
    size_t n;
    snprintf(path, sizeof path, "hub/%s", name);
    char *before = scratch_read(scratch_path(path), &n);
    if (text)
        scratch_write(path, text, bytes);
    else
        assert_int_equal(unlink(scratch_path(path)), 0);
    att_status status = att_convert_import(scratch_path("hub"), scratch_path("refused.att"), NULL);
    if (status != want) fail_msg("%s: status %d, not %d: %s", name, status, want, att_last_error());
    if (!strstr(att_last_error(), says)) fail_msg("%s: \"%s\" lacks \"%s\"", name, att_last_error(), says);
    assert_false(att_file_exists(scratch_path("refused.att")));
    scratch_write(path, before, n);
    free(before);
}

/* The text with the first `from` replaced. */
static char *with(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

static void hostile_folders_are_refused(void **state)
{
    (void)state;
    size_t n, m;
    assert_ok(att_convert_export(model_path(), scratch_path("hub"), NULL));
    expect_refused("config.json", NULL, 0, ATT_E_MISSING, "config.json");
    expect_refused("config.json", "", 0, ATT_E_FORMAT, "config.json");
    expect_refused("config.json", "[1", 2, ATT_E_FORMAT, "config.json");
    expect_refused("config.json", "{}", 2, ATT_E_UNSUPPORTED, "model_type");
    expect_refused("model.safetensors", NULL, 0, ATT_E_MISSING, "model.safetensors");
    expect_refused("model.safetensors", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F{}", 10, ATT_E_FORMAT, "model.safetensors");
    expect_refused("tokenizer.json", "{\"model\": 3}", 12, ATT_E_FORMAT, "tokenizer.json");
    char *config = scratch_read(scratch_path("hub/config.json"), &n);
    char *weights = scratch_read(scratch_path("hub/model.safetensors"), &m);
    char *changed = with(config, "\"gelu\"", "\"mish\"");
    expect_refused("config.json", changed, strlen(changed), ATT_E_UNSUPPORTED, "mish");
    free(changed);
    expect_refused("model.safetensors", weights, m - 4, ATT_E_FORMAT, "model.safetensors");
    expect_refused("model.safetensors", weights, 100, ATT_E_FORMAT, "model.safetensors");
    free(config);
    free(weights);
}

/* ---- attention ---- */

static void every_head_looks_at_what_is_there(void **state)
{
    (void)state;
    static float weights[LAYERS * 2 * HEADS * T * T];
    int64_t dim[5] = {LAYERS, 2, HEADS, T, T};
    att_view ids = att_view_2d(some_ids, ATT_I32, 2, T), lengths = att_view_1d(some_lengths, ATT_I32, 2);
    att_view encoder = att_view_dense(weights, ATT_F32, 5, dim);
    att_model *m = load(model_path());
    assert_ok(att_model_attention(m, &ids, &lengths, NULL, NULL, &encoder, NULL, NULL));
    for (int64_t row = 0; row < LAYERS * 2 * HEADS * T; row++) {
        int64_t sentence = row / (HEADS * T) % 2;
        double sum = 0, beyond = 0;
        for (int64_t j = 0; j < T; j++) *(j < some_lengths[sentence] ? &sum : &beyond) += (double)weights[row * T + j];
        if (row % T >= some_lengths[sentence]) continue; /* what pads */
        assert_true(fabs(sum - 1) < 1e-5);
        assert_true(beyond == 0);
    }
    dim[3] = T - 1;
    encoder = att_view_dense(weights, ATT_F32, 5, dim);
    assert_int_equal(att_model_attention(m, &ids, &lengths, NULL, NULL, &encoder, NULL, NULL), ATT_E_SHAPE);
    assert_non_null(strstr(att_last_error(), "encoder"));
    int32_t outside = 1000;
    att_view far = att_view_2d(&outside, ATT_I32, 1, 1);
    int64_t one[5] = {LAYERS, 1, HEADS, 1, 1};
    encoder = att_view_dense(weights, ATT_F32, 5, one);
    assert_int_equal(att_model_attention(m, &far, NULL, NULL, NULL, &encoder, NULL, NULL), ATT_E_VALUE);
    att_model_destroy(m);
}

/* ---- embeddings ---- */

static att_text text_of(const char *s)
{
    return (att_text){s, strlen(s)};
}

static void lines_have_unit_length_in_any_order(void **state)
{
    (void)state;
    enum { N = 4 };
    static float one[N * WIDTH], other[N * WIDTH];
    att_text line[N] = {text_of("the cat sat"), text_of("a dog"), text_of(""),
                        text_of("log mat cat dog sat on the a the cat a")};
    att_text turned[N] = {line[3], line[2], line[1], line[0]};
    att_view out = att_view_2d(one, ATT_F32, N, WIDTH), back = att_view_2d(other, ATT_F32, N, WIDTH);
    att_model *m = load(model_path());
    assert_ok(att_model_embed(m, line, N, &out, NULL, NULL));
    assert_ok(att_model_embed(m, turned, N, &back, NULL, NULL));
    for (int i = 0; i < N; i++) {
        double square = 0;
        for (int c = 0; c < WIDTH; c++) square += (double)one[i * WIDTH + c] * (double)one[i * WIDTH + c];
        assert_true(fabs(square - 1) < 1e-5);
        assert_memory_equal(&one[i * WIDTH], &other[(N - 1 - i) * WIDTH], WIDTH * sizeof *one);
    }
    att_view narrow = att_view_2d(one, ATT_F32, N, WIDTH - 1);
    assert_int_equal(att_model_embed(m, line, N, &narrow, NULL, NULL), ATT_E_SHAPE);
    att_word_states words;
    assert_ok(att_model_words(m, &line[0], &words));
    assert_int_equal(words.n, 3);
    assert_string_equal(words.word[1], "cat");
    att_word_states_free(&words);
    att_model_destroy(m);
}

/* ---- means of weights ---- */

static void the_mean_is_of_every_weight(void **state)
{
    (void)state;
    char first[256], last[256];
    att_file *f[3];
    snprintf(first, sizeof first, "%s", scratch_path("bert/step-2.att"));
    snprintf(last, sizeof last, "%s", model_path());
    assert_ok(att_model_average((const char *[]){first, last}, 2, scratch_path("mean.att"), NULL));
    const char *const path[3] = {first, last, scratch_path("mean.att")};
    for (int i = 0; i < 3; i++) assert_ok(att_file_open(path[i], NULL, &f[i]));
    int64_t compared = 0, moved = 0;
    for (int64_t k = 0; k < att_file_count(f[2]); k++) {
        att_view v[3];
        for (int i = 0; i < 3; i++) assert_ok(att_file_tensor(f[i], att_file_name(f[2], k), &v[i]));
        for (int64_t e = 0; e < att_view_count(&v[2]); e++, compared++) {
            float a = ((float *)v[0].data)[e], b = ((float *)v[1].data)[e];
            assert_true(((float *)v[2].data)[e] == (float)(((double)a + (double)b) / 2));
            moved += a != b;
        }
    }
    assert_true(compared > 1000 && moved > 0);
    for (int i = 0; i < 3; i++) att_file_close(f[i]);
    att_model_destroy(load(scratch_path("mean.att")));
    assert_int_equal(att_model_average((const char *[]){first}, 0, scratch_path("none.att"), NULL), ATT_E_VALUE);
    assert_int_equal(att_model_average((const char *[]){first, "absent.att"}, 2, scratch_path("none.att"), NULL),
                     ATT_E_MISSING);
    assert_false(att_file_exists(scratch_path("none.att")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_and_back_is_the_same_model),    cmocka_unit_test(hostile_folders_are_refused),
        cmocka_unit_test(every_head_looks_at_what_is_there), cmocka_unit_test(lines_have_unit_length_in_any_order),
        cmocka_unit_test(the_mean_is_of_every_weight),
    };
    return cmocka_run_group_tests(tests, train, clean);
}
