/* Classifiers: trained from nothing, on top of another model, and in use; and model.from for other tasks. */
#include "scratch.h"

#include <attend/classify.h>
#include <attend/language.h>

#include "task/model.h"
#include "task/ways.h"

enum { LINES = 300 };

/* Lines whose class is said by one of their words: three classes, in no order. */
static const char *line_of(int i, char *text, size_t room)
{
    static const char *const word[] = {"cat", "oak", "red"}, *const class[] = {"animal", "tree", "colour"};
    static const char *const other[] = {"the", "a", "this", "one", "some"};
    int c = (i * 7 + i / 3) % 3;
    snprintf(text, room, "%s %s %s", other[i % 5], word[c], other[(i / 5) % 5]);
    return class[c];
}

static int write_lines(void **state)
{
    char text[64];
    (void)state;
    if (scratch_create() != 0) return -1;
    FILE *f = fopen(scratch_path("lines.tsv"), "w");
    for (int i = 0; f && i < LINES; i++) {
        const char *class = line_of(i, text, sizeof text);
        fprintf(f, "%s\t%s\n", text, class);
    }
    return f && fclose(f) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_destroy();
}

static void make_recipe(att_recipe *r, const char *run)
{
    char set[2][200];
    snprintf(set[0], sizeof *set, "data.folder=%s", scratch_name());
    snprintf(set[1], sizeof *set, "train.folder=%s", scratch_path(run));
    const char *const all[] = {set[0],
                               set[1],
                               "task=classification",
                               "data.train=lines.tsv",
                               "data.valid=lines.tsv",
                               "data.test=lines.tsv",
                               "text.tokenizer=word",
                               "text.normalise=none",
                               "model.kind=transformer",
                               "model.width=16",
                               "model.heads=2",
                               "model.feed_forward=32",
                               "train.lr=1e-2",
                               "train.batch_sentences=16",
                               "train.steps=60",
                               "train.validate_every=30",
                               "train.metric=accuracy"};
    assert_ok(att_options_init(att_recipe_options(), r));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) assert_ok(att_options_set(att_recipe_options(), r, all[i]));
}

static void set(att_recipe *r, const char *assignment)
{
    assert_ok(att_options_set(att_recipe_options(), r, assignment));
}

static void free_recipe(att_recipe *r)
{
    att_options_free(att_recipe_options(), r);
}

/* The path of a run's file; the last four answers stay valid. */
static const char *file_of(const char *run, const char *file)
{
    char name[100];
    snprintf(name, sizeof name, "%s/%s", run, file);
    return scratch_path(name);
}

static att_model *trained(void)
{
    static bool done;
    att_model *m;
    if (!done) {
        att_recipe r;
        make_recipe(&r, "classes");
        assert_ok(att_train_classifier(&r, &(att_exec){.threads = 2}, 0, NULL));
        free_recipe(&r);
        done = true;
    }
    assert_ok(att_model_load(file_of("classes", "best.att"), NULL, NULL, &m));
    return m;
}

static att_classification measure(att_model *m, int64_t *confusion)
{
    att_classification c;
    att_pairs pairs;
    assert_ok(att_recipe_pairs(att_model_recipe(m), "test", &pairs));
    assert_ok(att_model_classify_evaluate(m, &pairs, &c, confusion, NULL, NULL));
    att_pairs_free(&pairs);
    return c;
}

/* ---- from nothing ---- */

static void learns_and_names_classes(void **state)
{
    int64_t confusion[9], sum = 0;
    (void)state;
    att_model *m = trained();
    assert_int_equal(att_model_classes(m), 3);
    assert_string_equal(att_model_class(m, 0), "animal");
    assert_string_equal(att_model_class(m, 1), "colour");
    assert_string_equal(att_model_class(m, 2), "tree");
    att_classification c = measure(m, confusion);
    assert_int_equal(c.lines, LINES);
    assert_true(c.accuracy == 1 && c.f1 == 1 && c.loss < 0.1);
    for (int i = 0; i < 9; i++) sum += confusion[i];
    assert_int_equal(sum, LINES);
    assert_int_equal(confusion[0] + confusion[4] + confusion[8], LINES);
    att_model_destroy(m);
}

/* Rows of probabilities add up to 1, say the right class, and have the same bits in any order, for any threads. */
static void classifies(void **state)
{
    static const char *const lines[] = {"the cat some", "oak", "this red one the a some this red", "", "a cat"};
    enum { N = 5, C = 3 };
    att_text forward[N], backward[N];
    float p[N * C], q[N * C];
    (void)state;
    att_model *m = trained(), *threaded;
    assert_ok(att_model_load(file_of("classes", "best.att"), &(att_exec){.threads = 3}, NULL, &threaded));
    for (int i = 0; i < N; i++) forward[i] = backward[N - 1 - i] = (att_text){lines[i], strlen(lines[i])};
    att_view pv = att_view_2d(p, ATT_F32, N, C), qv = att_view_2d(q, ATT_F32, N, C);
    assert_ok(att_model_classify(m, forward, N, &pv, NULL, NULL));
    assert_ok(att_model_classify(threaded, backward, N, &qv, NULL, NULL));
    for (int i = 0; i < N; i++) {
        assert_true(fabsf(p[i * C] + p[i * C + 1] + p[i * C + 2] - 1.0f) < 1e-6f);
        assert_memory_equal(p + i * C, q + (N - 1 - i) * C, C * sizeof *p);
    }
    assert_true(p[0] > 0.9f && p[1 * C + 2] > 0.9f && p[2 * C + 1] > 0.9f && p[4 * C] > 0.9f);
    backward[3] = (att_text){"a \xff", 3};
    assert_int_equal(att_model_classify(m, backward, N, &qv, NULL, NULL), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "line 4: text: invalid UTF-8 at byte 3"));
    att_view narrow = att_view_2d(p, ATT_F32, N, 2);
    assert_int_equal(att_model_classify(m, forward, N, &narrow, NULL, NULL), ATT_E_SHAPE);
    att_model_destroy(m);
    att_model_destroy(threaded);
}

static void same_checkpoints(void **state)
{
    att_recipe r;
    (void)state;
    make_recipe(&r, "ways");
    r.model.dropout = 0.1;
    assert_same_checkpoints(&r);
    free_recipe(&r);
}

/* ---- on top of a model ---- */

static void keep_note(void *ctx, const char *text)
{
    if (strstr(text, "first weights")) snprintf(ctx, 200, "%s", text);
}

/* A step of no size: the weights are those of the model, its sizes and vocabulary too, without being said again. */
static void goes_on_from_a_classifier(void **state)
{
    att_recipe r, bare;
    char from[200], note[200] = "";
    (void)state;
    att_model *m = trained(), *again;
    att_classification before = measure(m, NULL);
    make_recipe(&r, "more");
    assert_ok(att_options_init(att_recipe_options(), &bare));
    r.transformer.width = bare.transformer.width;
    r.transformer.feed_forward = bare.transformer.feed_forward;
    r.kind = bare.kind;
    r.text.tokenizer = bare.text.tokenizer;
    r.train.steps = r.train.validate_every = 1;
    r.train.lr = 1e-12;
    snprintf(from, sizeof from, "model.from=%s", file_of("classes", "best.att"));
    set(&r, from);
    assert_ok(att_train_classifier(&r, NULL, 0, &(att_training_hooks){.note = keep_note, .ctx = note}));
    assert_non_null(strstr(note, "first weights are those of"));
    assert_null(strstr(note, "new:"));
    assert_ok(att_model_load(file_of("more", "best.att"), NULL, NULL, &again));
    assert_int_equal(att_transformer_configuration(att_model_transformer(again))->width, 16);
    att_classification after = measure(again, NULL);
    assert_true(fabs(after.loss - before.loss) < 1e-6 && after.accuracy == before.accuracy);
    /* ... and the run is continued though the model is gone */
    snprintf(from, sizeof from, "model.from=%s", scratch_path("gone.att"));
    r.train.steps = 2;
    assert_int_equal(att_train_classifier(&r, NULL, 1, NULL), ATT_OK);
    set(&r, from);
    r.train.steps = 3;
    assert_int_equal(att_train_classifier(&r, NULL, 1, NULL), ATT_E_VALUE); /* another model.from */
    assert_int_equal(att_train_classifier(&r, NULL, 0, NULL), ATT_E_MISSING);
    free_recipe(&bare);
    free_recipe(&r);
    att_model_destroy(m);
    att_model_destroy(again);
}

static void train_masked(const char *run)
{
    att_recipe r;
    make_recipe(&r, run);
    set(&r, "task=masked-language-model");
    set(&r, "data.unit=lines");
    set(&r, "model.context=12");
    set(&r, "model.tied=true");
    set(&r, "train.metric=loss");
    r.train.steps = r.train.validate_every = 5;
    assert_ok(att_recipe_train(&r, NULL, 0, NULL));
    free_recipe(&r);
}

/* What BERT is for: the encoder is the language model's, pooler and classifier are new. */
static void goes_on_from_a_language_model(void **state)
{
    att_recipe r;
    char from[200], note[200] = "";
    (void)state;
    train_masked("masked");
    make_recipe(&r, "tuned");
    snprintf(from, sizeof from, "model.from=%s", file_of("masked", "last.att"));
    set(&r, from);
    assert_ok(att_recipe_train(&r, NULL, 0, &(att_training_hooks){.note = keep_note, .ctx = note}));
    assert_non_null(strstr(note, "new: pooler.kernel, pooler.bias, classifier.kernel, classifier.bias"));
    att_model *m;
    assert_ok(att_model_load(file_of("tuned", "best.att"), NULL, NULL, &m));
    assert_true(measure(m, NULL).accuracy == 1);
    /* the language model had one word more, to mask with */
    assert_int_equal(att_transformer_configuration(att_model_transformer(m))->source_vocabulary,
                     att_tokenizer_size(att_model_tokenizer(m, 0)) + 1);
    att_model_destroy(m);
    free_recipe(&r);
}

/* ---- refusals ---- */

static void refuses(const char *assignment, att_status want, const char *message)
{
    att_recipe r;
    make_recipe(&r, "refused");
    set(&r, assignment);
    att_status got = att_recipe_train(&r, NULL, 0, NULL);
    if (got != want || !strstr(att_last_error(), message))
        fail_msg("%s: %s (%s), expected '%s'", assignment, att_status_name(got), att_last_error(), message);
    free_recipe(&r);
}

static void refusals(void **state)
{
    char from[200];
    (void)state;
    att_model_destroy(trained());
    train_masked("masked2");
    scratch_write("one.tsv", "a\tx\nb\tx\n", 8);
    scratch_write("none.tsv", "a\tx\nb\t\n", 7);
    scratch_write("other.tsv", "a\tanimal\nb\tstone\n", 17);
    refuses("data.train=one.tsv", ATT_E_VALUE, "all pairs are of one class");
    refuses("data.train=none.tsv", ATT_E_FORMAT, "the target (column 2) is empty");
    refuses("data.valid=other.tsv", ATT_E_VALUE, "pair 2: the class 'stone' is none of the model's");
    refuses("model.kind=seq2seq", ATT_E_VALUE, "expected transformer");
    refuses("data.target_column=3", ATT_E_FORMAT, "2 columns");
    snprintf(from, sizeof from, "model.from=%s", scratch_path("nowhere.att"));
    refuses(from, ATT_E_MISSING, "nowhere.att");

    att_recipe r;
    make_recipe(&r, "refused");
    snprintf(from, sizeof from, "model.from=%s", file_of("classes", "best.att"));
    set(&r, from);
    r.transformer.width = 32;
    assert_int_equal(att_recipe_train(&r, NULL, 0, NULL), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "model.width: 32, expected 16 as in"));
    r.transformer.width = 16;
    r.task = ATT_TASK_LANGUAGE_MODEL;
    assert_int_equal(att_recipe_train(&r, NULL, 0, NULL), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "is classification, which cannot become language-model"));
    free_recipe(&r);

    att_model *masked;
    float p[3];
    att_view view = att_view_2d(p, ATT_F32, 1, 3);
    att_text line = {"a", 1};
    assert_ok(att_model_load(file_of("masked2", "last.att"), NULL, NULL, &masked));
    assert_int_equal(att_model_classify(masked, &line, 1, &view, NULL, NULL), ATT_E_UNSUPPORTED);
    att_model_destroy(masked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_and_names_classes),
        cmocka_unit_test(classifies),
        cmocka_unit_test(same_checkpoints),
        cmocka_unit_test(goes_on_from_a_classifier),
        cmocka_unit_test(goes_on_from_a_language_model),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, write_lines, remove_folder);
}
