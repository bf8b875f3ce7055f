/* Mixed precision: close to float32 where the machine has units for bfloat16, the same bits where it has none. */
#include "harness.h"

#include <attend/tape.h>

enum { MIXED_ROWS = 300, MIXED_IN = 70, MIXED_OUT = 45 };

typedef struct mixed {
    float y[MIXED_ROWS * MIXED_OUT], dx[MIXED_ROWS * MIXED_IN], dw[MIXED_IN * MIXED_OUT];
} mixed;

/* A linear layer of many rows, forward and backward, at a precision. */
static void run_mixed(att_dtype precision, mixed *out)
{
    att_params *params;
    att_parameter *w;
    att_tape *t;
    att_loss loss;
    int32_t ids[MIXED_ROWS];
    float x[MIXED_ROWS * MIXED_IN];
    fill_f32(x, MIXED_ROWS * MIXED_IN, 9, 1.0f);
    for (int i = 0; i < MIXED_ROWS; i++) ids[i] = i % MIXED_OUT;
    assert_ok(att_params_create(NULL, &params));
    assert_ok(att_params_add(params, "w", 2, (int64_t[]){MIXED_IN, MIXED_OUT}, ATT_INIT_GLOROT, 0, &w));
    assert_ok(att_params_allocate(params, 3, 1));
    assert_ok(att_tape_create(&(att_exec){.threads = 2}, NULL, &t));
    assert_ok(att_tape_precision(t, precision));
    att_tape_begin(t, 1);
    att_view in = att_view_2d(x, ATT_F32, MIXED_ROWS, MIXED_IN), words = att_view_1d(ids, ATT_I32, MIXED_ROWS);
    att_node *leaf = att_tape_variable(t, &in);
    att_node *y = att_tape_linear(t, leaf, att_tape_parameter(t, w), NULL, ATT_ACT_NONE);
    att_tape_cross_entropy(t, y, &words, 0.1, 1.0, &loss);
    memcpy(out->y, att_node_value(y)->data, sizeof out->y);
    assert_ok(att_tape_backward(t));
    att_view dx = att_node_gradient(leaf);
    memcpy(out->dx, dx.data, sizeof out->dx);
    memcpy(out->dw, att_parameter_gradient(w)->data, sizeof out->dw);
    att_tape_destroy(t);
    att_params_destroy(params);
}

/* Apart by roundings to bfloat16 of the summands, and not more. */
static void close_to(const float *x, const float *exact, int64_t n, const char *what)
{
    double most = 0, apart = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)exact[i]));
        apart = fmax(apart, fabs((double)x[i] - (double)exact[i]));
    }
    if (!(apart <= most * 0x1p-6)) fail_msg("%s: %g apart of at most %g", what, apart, most);
}

static void mixed_precision(void **state)
{
    (void)state;
    static mixed exact, rounded;
    run_mixed(ATT_F32, &exact);
    run_mixed(ATT_BF16, &rounded);
    close_to(rounded.y, exact.y, MIXED_ROWS * MIXED_OUT, "y");
    close_to(rounded.dx, exact.dx, MIXED_ROWS * MIXED_IN, "dx");
    close_to(rounded.dw, exact.dw, MIXED_IN * MIXED_OUT, "dw");
    bool units = att_isa_detect() >= ATT_ISA_AVX512_BF16;
    assert_int_equal(memcmp(exact.y, rounded.y, sizeof exact.y) != 0, units);
    assert_int_equal(memcmp(exact.dx, rounded.dx, sizeof exact.dx) != 0, units);
    assert_int_equal(memcmp(exact.dw, rounded.dw, sizeof exact.dw) != 0, units);
    att_tape *t;
    assert_ok(att_tape_create(NULL, NULL, &t));
    assert_int_equal(att_tape_precision(t, ATT_I8), ATT_E_DTYPE);
    att_tape_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixed_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
