/* Recipes as YAML and JSON, and the sets they name. */
#include "scratch.h"

#include <unistd.h>

#include <attend/translator.h>

static att_recipe preset(void)
{
    att_recipe r;
    assert_ok(att_options_init(att_recipe_options(), &r));
    return r;
}

static void set(att_recipe *r, const char *assignment)
{
    assert_ok(att_options_set(att_recipe_options(), r, assignment));
}

static att_recipe changed(void)
{
    att_recipe r = preset();
    set(&r, "data.folder=a folder: with # signs");
    set(&r, "data.train=one,two");
    set(&r, "text.tokenizer=word");
    set(&r, "text.coverage=0.3333333333333333");
    set(&r, "model.cell=lstm");
    set(&r, "model.attention=general");
    set(&r, "model.attend=after");
    set(&r, "model.input_feeding=true");
    set(&r, "train.lr=1.7e-5");
    set(&r, "train.seed=9000000000000000");
    set(&r, "train.metric=chrf");
    set(&r, "train.folder=");
    set(&r, "decode.length_penalty=0.1");
    return r;
}

static void round_trips(void **state)
{
    (void)state;
    const att_options *table = att_recipe_options();
    char *yaml, *json;
    for (int which = 0; which < 2; which++) {
        att_recipe r = which ? changed() : preset(), from_yaml = which ? preset() : changed(),
                   from_json = which ? preset() : changed(), copy;
        assert_false(att_options_equal(table, &r, &from_yaml));
        assert_ok(att_options_to_yaml(table, &r, &yaml));
        assert_ok(att_options_to_json(table, &r, &json));
        assert_ok(att_file_write_text(scratch_path("r.yaml"), yaml, strlen(yaml)));
        assert_ok(att_options_read_yaml(table, &from_yaml, scratch_path("r.yaml")));
        assert_ok(att_options_from_json(table, &from_json, json, strlen(json)));
        assert_ok(att_options_copy(table, &copy, &r));
        assert_true(att_options_equal(table, &r, &from_yaml));
        assert_true(att_options_equal(table, &r, &from_json));
        assert_true(att_options_equal(table, &r, &copy));
        att_string_free(yaml);
        att_string_free(json);
        att_options_free(table, &r);
        att_options_free(table, &from_yaml);
        att_options_free(table, &from_json);
        att_options_free(table, &copy);
    }
}

/* Every field of the struct has its key and no two share one: what is set is what changes. */
static void keys(void **state)
{
    (void)state;
    const att_options *table = att_recipe_options();
    for (int64_t i = 0; i < table->count; i++) {
        const att_option *o = &table->option[i];
        assert_true(o->offset < sizeof(att_recipe));
        assert_true(o->help && *o->help);
        for (int64_t j = 0; j < i; j++) {
            assert_string_not_equal(o->key, table->option[j].key);
            assert_int_not_equal(o->offset, table->option[j].offset);
        }
    }
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No target of one synthetic set occurs in another, and the sets are as large as asked for. */
static void disjoint_sets(void **state)
{
    (void)state;
    static const char *const name[] = {"train", "valid", "test"};
    enum { MOST = 2000 };
    att_recipe r = preset();
    att_pairs set_of[3];
    static const char *train[MOST];
    set(&r, "data.synthetic=dates");
    set(&r, "data.synthetic_train=2000");
    set(&r, "data.synthetic_valid=300");
    for (int s = 0; s < 3; s++) {
        assert_ok(att_recipe_pairs(&r, name[s], &set_of[s]));
        assert_int_equal(set_of[s].count, s ? 300 : MOST);
        for (int64_t i = 0; i < set_of[s].count; i++) {
            assert_int_equal(set_of[s].source[i].bytes, strlen(set_of[s].source[i].data));
            assert_int_equal(set_of[s].target[i].bytes, 10);
        }
    }
    for (int i = 0; i < MOST; i++) train[i] = set_of[0].target[i].data;
    qsort(train, MOST, sizeof *train, compare_text);
    for (int i = 0; i < 300; i++) {
        const char *valid = set_of[1].target[i].data;
        for (int s = 1; s < 3; s++)
            assert_null(bsearch(&set_of[s].target[i].data, train, MOST, sizeof *train, compare_text));
        for (int j = 0; j < 300; j++) assert_string_not_equal(valid, set_of[2].target[j].data);
    }
    for (int s = 0; s < 3; s++) att_pairs_free(&set_of[s]);
    att_options_free(att_recipe_options(), &r);
}

static void refused_sets(void **state)
{
    (void)state;
    att_recipe r = preset();
    att_pairs p;
    assert_int_equal(att_recipe_pairs(&r, "train", &p), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "data.train"));
    assert_int_equal(att_recipe_pairs(&r, "test", &p), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "data.test"));
    set(&r, "data.train=no such file");
    set(&r, "data.folder=/nowhere");
    assert_int_equal(att_recipe_pairs(&r, "train", &p), ATT_E_MISSING);
    assert_non_null(strstr(att_last_error(), "/nowhere/no such file"));
    set(&r, "data.train=,");
    assert_int_equal(att_recipe_pairs(&r, "train", &p), ATT_E_VALUE);
    set(&r, "data.synthetic=prose");
    assert_int_equal(att_recipe_pairs(&r, "train", &p), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "prose"));
    att_pairs_free(&p);
    att_options_free(att_recipe_options(), &r);
}

static void sets_from_files(void **state)
{
    (void)state;
    char setting[120];
    static const char *const name[] = {"both.tsv", "a.txt", "b.txt"};
    static const char *const text[] = {"no\tone\tuno\nno\ttwo\tdos\n", "one\ntwo\n", "uno\ndos\n"};
    att_recipe r = preset();
    snprintf(setting, sizeof setting, "data.folder=%s", scratch_name());
    set(&r, setting);
    for (int i = 0; i < 3; i++) scratch_write(name[i], text[i], strlen(text[i]));
    set(&r, "data.train=both.tsv");
    set(&r, "data.source_column=2");
    set(&r, "data.target_column=3");
    set(&r, "data.valid=a.txt,b.txt");
    for (int s = 0; s < 2; s++) {
        att_pairs p;
        assert_ok(att_recipe_pairs(&r, s ? "valid" : "train", &p));
        assert_int_equal(p.count, 2);
        assert_memory_equal(p.source[1].data, "two", 3);
        assert_memory_equal(p.target[1].data, "dos", 3);
        assert_int_equal(p.target[1].bytes, 3);
        att_pairs_free(&p);
    }
    att_options_free(att_recipe_options(), &r);
}

static int make_folder(void **state)
{
    (void)state;
    return scratch_create();
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),     cmocka_unit_test(keys),
        cmocka_unit_test(disjoint_sets),   cmocka_unit_test(refused_sets),
        cmocka_unit_test(sets_from_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
