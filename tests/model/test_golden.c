/* The paper's Transformer, GPT-2 and BERT in small: loss, logits and gradients as PyTorch has them. */
#include "harness.h"

#include <attend/transformer.h>

/* Norm of a parameter's gradient, and its element in the middle. */
typedef struct golden_gradient {
    const char *name;
    double norm, middle;
} golden_gradient;

#include "transformer_golden.h"

enum { V = 13, C = 12, B = 2, TS = 5, TT = 4 };

static int32_t source[B * TS] = {4, 5, 9, 3, 0, 7, 12, 6, 4, 3}, lengths[B] = {4, 5};
static int32_t segments[B * TS] = {0, 0, 1, 1, 0, 0, 1, 1, 1, 1};
static int32_t target_in[B * TT] = {2, 5, 6, 8, 2, 11, 10, 4}, target_out[B * TT] = {5, 6, 8, 3, 11, 10, 4, -1};
static int32_t masked_out[B * TS] = {-1, 5, -1, 3, -1, 7, -1, 6, -1, -1};

static void fill(att_params *params)
{
    for (int64_t p = 0; p < att_params_count(params); p++) {
        const char *name = att_parameter_name(att_params_at(params, p));
        const att_view *v = att_parameter_value(att_params_at(params, p));
        int64_t k = 0;
        for (int64_t i = 0; name[i]; i++) k += (i + 1) * name[i];
        bool gain = strlen(name) > 5 && strcmp(name + strlen(name) - 5, ".gain") == 0;
        for (int64_t e = 0; e < att_view_count(v); e++)
            ((float *)v->data)[e] = (float)(0.3 * (double)(float)sin(0.7 * (double)e + (double)(k % 1000)) + gain);
    }
    att_params_changed(params);
}

static void check_gradients(const att_params *params, const golden_gradient *want)
{
    int64_t n = 0;
    for (; want->name; want++, n++) {
        const att_parameter *p = att_params_find(params, want->name);
        if (!p) fail_msg("no parameter %s", want->name);
        const att_view *g = att_parameter_gradient(p);
        const float *x = g->data;
        double squares = 0;
        for (int64_t i = 0; i < att_view_count(g); i++) squares += (double)x[i] * (double)x[i];
        double scale = want->norm + 1e-3, middle = (double)x[att_view_count(g) / 2];
        if (!(fabs(sqrt(squares) - want->norm) <= 2e-5 * scale && fabs(middle - want->middle) <= 2e-5 * scale))
            fail_msg("%s: gradient of norm %.9g, middle %.9g, expected %.9g and %.9g", want->name, sqrt(squares),
                     middle, want->norm, want->middle);
    }
    assert_int_equal(n, att_params_count(params));
}

static void check(const att_transformer_config *c, const att_transformer_batch *batch, double smoothing, double loss,
                  const golden_gradient *gradients)
{
    att_transformer *m;
    att_tape *tape;
    att_loss got;
    assert_ok(att_transformer_create(c, 1, 1, NULL, &m));
    assert_ok(att_tape_create(NULL, NULL, &tape));
    fill(att_transformer_params(m));
    att_tape_begin(tape, 1);
    att_params_zero_gradients(att_transformer_params(m));
    assert_ok(att_transformer_loss(tape, m, batch, smoothing, 1.0, 0, &got));
    if (!(fabs(got.sum - loss) <= 2e-6 * loss)) fail_msg("loss %.9g, expected %.9g", got.sum, loss);
    assert_ok(att_tape_backward(tape));
    att_params_settle_gradients(att_transformer_params(m));
    check_gradients(att_transformer_params(m), gradients);
    att_tape_destroy(tape);
    att_transformer_destroy(m);
}

static att_transformer_config small(int shape)
{
    return (att_transformer_config){.shape = shape,
                                    .source_vocabulary = V,
                                    .target_vocabulary = V,
                                    .width = C,
                                    .feed_forward = 20,
                                    .encoder_layers = 2,
                                    .decoder_layers = 2,
                                    .heads = 3,
                                    .context = 8,
                                    .tied = 1,
                                    .shared = 1};
}

static void paper(void **state)
{
    (void)state;
    att_transformer_config c = small(ATT_TRANSFORMER_ENCODER_DECODER);
    c.scale_embedding = 1;
    att_transformer_batch batch = {.source = att_view_2d(source, ATT_I32, B, TS),
                                   .source_lengths = att_view_1d(lengths, ATT_I32, B),
                                   .target_in = att_view_2d(target_in, ATT_I32, B, TT),
                                   .target_out = att_view_2d(target_out, ATT_I32, B, TT)};
    check(&c, &batch, 0.1, vaswani_loss, vaswani_gradients);
}

static att_transformer_config gpt2_config(void)
{
    att_transformer_config c = small(ATT_TRANSFORMER_DECODER);
    c.norm = ATT_NORM_PRE;
    c.positions = ATT_POSITIONS_LEARNED;
    c.activation = ATT_ACT_GELU_TANH;
    return c;
}

static void gpt2(void **state)
{
    (void)state;
    att_transformer_config c = gpt2_config();
    att_transformer_batch batch = {.target_in = att_view_2d(target_in, ATT_I32, B, TT),
                                   .target_out = att_view_2d(target_out, ATT_I32, B, TT)};
    check(&c, &batch, 0.0, gpt2_loss, gpt2_gradients);
}

static void bert(void **state)
{
    (void)state;
    att_transformer_config c = small(ATT_TRANSFORMER_ENCODER);
    c.positions = ATT_POSITIONS_LEARNED;
    c.activation = ATT_ACT_GELU;
    c.segments = 2;
    c.embedding_norm = c.head = c.output_bias = 1;
    c.eps = 1e-12;
    att_transformer_batch batch = {.source = att_view_2d(source, ATT_I32, B, TS),
                                   .source_lengths = att_view_1d(lengths, ATT_I32, B),
                                   .segments = att_view_2d(segments, ATT_I32, B, TS),
                                   .target_out = att_view_2d(masked_out, ATT_I32, B, TS)};
    check(&c, &batch, 0.0, bert_loss, bert_gradients);
}

/* The first position's logits, without recording. */
static void logits(void **state)
{
    (void)state;
    att_transformer_config c = gpt2_config();
    att_transformer *m;
    att_tape *tape;
    assert_ok(att_transformer_create(&c, 1, 0, NULL, &m));
    assert_ok(att_tape_create(NULL, NULL, &tape));
    fill(att_transformer_params(m));
    att_tape_begin(tape, 0);
    att_view ids = att_view_2d(target_in, ATT_I32, B, TT);
    att_node *x = att_transformer_decode(tape, m, NULL, NULL, &ids, 0, NULL);
    x = att_transformer_logits(tape, m, x);
    assert_ok(att_tape_status(tape));
    for (int v = 0; v < V; v++)
        assert_true(fabs((double)((float *)att_node_value(x)->data)[v] - gpt2_logits[v]) <= 1e-5);
    att_tape_destroy(tape);
    att_transformer_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paper),
        cmocka_unit_test(gpt2),
        cmocka_unit_test(bert),
        cmocka_unit_test(logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
