/* attend bench: its options and what it prints, on sizes too small to say anything about speed. */
#include "harness.h"

#include <jansson.h>

#include "command.h"

static json_t *object_of(const command_result *r)
{
    if (r->status) fail_msg("status %d: %s", r->status, r->err);
    json_t *object = json_loads(r->out, 0, NULL);
    assert_true(json_is_object(object));
    return object;
}

static void assert_positive(const json_t *object, const char *key)
{
    if (!(json_number_value(json_object_get(object, key)) > 0)) fail_msg("%s is missing or not positive", key);
}

static void limits_are_named(void **state)
{
    static const char *const keys[] = {"fma_gflops",  "i16_gflops",  "l2_gbps",      "l3_gbps",
                                       "memory_gbps", "exp_g_per_s", "tanh_g_per_s", "tanh_sum_g_per_s"};
    (void)state;
    command_result r = run_attend(NULL, "bench", "limits", "--threads=1", "--json");
    json_t *object = object_of(&r);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) assert_positive(object, keys[i]);
    assert_int_equal(json_integer_value(json_object_get(object, "threads")), 1);
    json_decref(object);
    command_free(&r);
}

/* AVX2 has no pairs of bfloat16. */
static void a_limit_that_is_not_there_is_0(void **state)
{
    (void)state;
    command_result r = run_attend(NULL, "bench", "limits", "--threads=1", "--isa=avx2", "--json");
    json_t *object = object_of(&r), *pairs = json_object_get(object, "bf16_gflops");
    assert_true(json_is_real(pairs) && json_real_value(pairs) == 0);
    json_decref(object);
    command_free(&r);
    command_result text = run_attend(NULL, "bench", "limits", "--threads=1", "--isa=avx2");
    assert_null(strstr(text.out, "bfloat16"));
    command_free(&text);
}

static void check_result(json_t *object, const char *name, const char *rate)
{
    static const char *const keys[] = {"ms", "ms_best", "limit", "share"};
    assert_string_equal(json_string_value(json_object_get(object, "name")), name);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) assert_positive(object, keys[i]);
    if (rate) assert_positive(object, rate);
    assert_int_equal(json_integer_value(json_object_get(object, "runs")), 2);
    assert_true(json_integer_value(json_object_get(object, "workspace_bytes")) >= 0);
    assert_true(json_string_length(json_object_get(object, "path")) > 0);
    assert_true(json_number_value(json_object_get(object, "ms_best")) <=
                json_number_value(json_object_get(object, "ms")));
}

#define BENCH(name, rate, ...)                                                                                         \
    do {                                                                                                               \
        command_result r = run_attend(NULL, "bench", name, "--runs=2", "--threads=2", "--json", __VA_ARGS__);          \
        json_t *object = object_of(&r);                                                                                \
        check_result(object, name, rate);                                                                              \
        json_decref(object);                                                                                           \
        command_free(&r);                                                                                              \
    } while (0)

static void every_measurement_gives_its_rate(void **state)
{
    (void)state;
    BENCH("attention", NULL, "--shape=1,4,2,9,17,8");
    BENCH("attention", NULL, "--shape=1,2,2,9,9,8", "--causal", "--backward");
    BENCH("attention", NULL, "--shape=1,2,2,9,9,8", "--window=3,0", "--score=dot");
    BENCH("attention", NULL, "--shape=1,2,2,9,9,8", "--score=additive", "--backward");
    BENCH("additive", "gtanh_per_s", "--shape=2,5,7,6", "--backward");
    BENCH("additive", "gtanh_per_s", "--shape=2,1,7,6", "--prepared");
    BENCH("decode", "gbps", "--shape=1,4,2,1,33,8");
    BENCH("product", NULL, "--shape=5,7,3");
    BENCH("product", NULL, "--shape=5,7,3,4", "--transpose-b");
    BENCH("product", NULL, "--shape=5,7,3", "--transpose-a");
    BENCH("product", NULL, "--shape=5,7,3", "--packed", "--isa=portable");
    BENCH("product", NULL, "--shape=5,7,3", "--weights=bf16");
    BENCH("product", NULL, "--shape=5,7,3", "--weights=int8", "--isa=portable");
    BENCH("product", NULL, "--shape=5,7,3", "--weights=w8a8");
    BENCH("train", "tokens_per_s", "--width=8", "--batch=2", "--length=3", "--vocabulary=11");
    BENCH("train", "tokens_per_s", "--model=transformer", "--width=8", "--batch=2", "--length=3", "--vocabulary=11");
    BENCH("train", "tokens_per_s", "--model=gpt", "--width=12", "--batch=2", "--length=3", "--vocabulary=11");
    BENCH("train", "tokens_per_s", "--model=gpt", "--batch=1", "--length=2", "--vocabulary=11"); /* its own width */
    BENCH("train", "tokens_per_s", "--model=transformer", "--batch=1", "--length=2", "--vocabulary=11");
    BENCH("translate", "tokens_per_s", "--width=16", "--length=3", "--vocabulary=11", "--batch=2", "--beam=3");
    BENCH("translate", "tokens_per_s", "--width=16", "--length=3", "--vocabulary=11", "--weights=int8");
    BENCH("generate", "tokens_per_s", "--width=24", "--length=5", "--vocabulary=11", "--weights=bf16");
    BENCH("generate", "tokens_per_s", "--width=24", "--length=5", "--vocabulary=11", "--weights=w8a8");
    BENCH("generate", "tokens_per_s", "--width=24", "--length=5", "--vocabulary=11", "--prefill");
    BENCH("train", "tokens_per_s", "--model=nmt", "--width=8", "--batch=2", "--length=3", "--vocabulary=11");
}

static void the_table_names_the_share(void **state)
{
    (void)state;
    command_result r = run_attend(NULL, "bench", "product", "--shape=5,7,3", "--runs=1");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "share"));
    assert_non_null(strstr(r.out, "product 1 x (5x7x3)"));
    assert_string_equal(r.err, "");
    command_free(&r);
}

static void assert_wrong(const command_result *r, const char *says)
{
    assert_int_equal(r->status, 2);
    assert_string_equal(r->out, "");
    if (!strstr(r->err, says)) fail_msg("expected \"%s\" in: %s", says, r->err);
}

#define WRONG(says, ...)                                                                                               \
    do {                                                                                                               \
        command_result r = run_attend(NULL, "bench", __VA_ARGS__);                                                     \
        assert_wrong(&r, says);                                                                                        \
        command_free(&r);                                                                                              \
    } while (0)

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    WRONG("'atention', expected limits, attention", "atention");
    WRONG("--causal: not an option of attend bench product", "product", "--causal");
    WRONG("--runs: not an option of attend bench limits", "limits", "--runs=3");
    WRONG("--weights: not an option of attend bench without a name", "--weights=int8");
    WRONG("--shape: '1,2,3', expected B,Hq,Hkv,Tq,Tk,D", "attention", "--shape=1,2,3");
    WRONG("--shape: '1,2,3,4,5', expected B,Tq,Tk,D", "additive", "--shape=1,2,3,4,5");
    WRONG("--shape: '3,0,3', expected M,N,K or M,N,K,BATCH", "product", "--shape=3,0,3");
    WRONG("--shape: '3,4,5x'", "product", "--shape=3,4,5x");
    WRONG("--shape: '3,4,'", "product", "--shape=3,4,");
    WRONG("--shape: '3,4,5,'", "product", "--shape=3,4,5,");
    WRONG("expected one of the two", "attention", "--shape=1,1,1,4,4,4", "--causal", "--window=1,1");
    WRONG("--window: '1;1', expected LEFT,RIGHT", "attention", "--shape=1,1,1,4,4,4", "--window=1;1");
    WRONG("--dtype: 'i8', expected f32, bf16 or f16", "attention", "--shape=1,1,1,4,4,4", "--dtype=i8");
    WRONG("--dtype: 'bf16', expected f32 for additive", "additive", "--shape=1,4,4,4", "--dtype=bf16");
    WRONG("--packed: with a batch of 3", "product", "--shape=4,4,4,3", "--packed");
    WRONG("--dtype: 'f64'", "decode", "--dtype=f64");
    WRONG("--model: 'rnn'", "train", "--model=rnn");
    WRONG("--length: 1, expected at least 2", "translate", "--length=1");
    WRONG("--length: 2000, expected at most the model's 1024", "generate", "--length=2000");
    WRONG("--vocabulary: 7, expected at least 8", "generate", "--vocabulary=7");
    WRONG("a divisor of model.width, 20", "translate", "--width=20", "--vocabulary=11");
    WRONG("--weights: 'int4'", "generate", "--weights=int4");
    WRONG("3 query heads and 2 key heads", "attention", "--shape=1,3,2,4,4,4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(a_limit_that_is_not_there_is_0),
        cmocka_unit_test(every_measurement_gives_its_rate),
        cmocka_unit_test(the_table_names_the_share),
        cmocka_unit_test(wrong_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
