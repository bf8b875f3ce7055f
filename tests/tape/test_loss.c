/* Where a gradient starts and where it is dropped: cross-entropy, which is differentiated itself, and dropout's masks.
 */
#include "harness.h"

#include <attend/tape.h>

typedef struct entropy {
    att_tape *tape;
    att_node *x;
    float values[5 * 4], smoothing;
    int32_t target[5];
} entropy;

static double entropy_loss(entropy *e, double factor, att_loss *out)
{
    att_view v = att_view_2d(e->values, ATT_F32, 5, 4), target = att_view_1d(e->target, ATT_I32, 5);
    att_tape_begin(e->tape, 1);
    e->x = att_tape_variable(e->tape, &v);
    att_node *logits = att_tape_activation(e->tape, ATT_ACT_NONE, e->x);
    att_tape_cross_entropy(e->tape, logits, &target, (double)e->smoothing, factor, out);
    assert_ok(att_tape_status(e->tape));
    return out->sum;
}

static double entropy_by_hand(const entropy *e)
{
    double total = 0, s = (double)e->smoothing;
    for (int m = 0; m < 5; m++) {
        if (e->target[m] < 0) continue;
        const float *x = e->values + 4 * m;
        double sum = 0, all = 0;
        for (int v = 0; v < 4; v++) {
            sum += exp((double)x[v]);
            all += (double)x[v];
        }
        total += log(sum) - (1 - s) * (double)x[e->target[m]] - s / 4 * all;
    }
    return total;
}

static void cross_entropy(void **state)
{
    (void)state;
    for (int smooth = 0; smooth < 2; smooth++) {
        entropy e = {.smoothing = smooth ? 0.25f : 0.0f, .target = {3, -1, 0, 2, -7}};
        att_loss l;
        float got[20];
        fill_f32(e.values, 20, 5, 2.0f);
        assert_ok(att_tape_create(NULL, NULL, &e.tape));
        assert_float_equal(entropy_loss(&e, 0.5, &l), entropy_by_hand(&e), 1e-5);
        assert_int_equal(l.count, 3);
        int64_t correct = 0;
        for (int m = 0; m < 5; m++)
            for (int v = 0, best = 0; e.target[m] >= 0 && v < 4; v++) {
                if (e.values[4 * m + v] > e.values[4 * m + best]) best = v;
                if (v == 3) correct += best == e.target[m];
            }
        assert_int_equal(l.correct, correct);
        assert_ok(att_tape_backward(e.tape));
        att_view g = att_node_gradient(e.x);
        memcpy(got, g.data, sizeof got);
        for (int i = 0; i < 20; i++) {
            float old = e.values[i];
            e.values[i] = old + 0.01f;
            double up = entropy_by_hand(&e);
            e.values[i] = old - 0.01f;
            double want = 0.5 * (up - entropy_by_hand(&e)) / 0.02;
            e.values[i] = old;
            if (!(fabs((double)got[i] - want) <= 1e-4))
                fail_msg("element %d: %g, expected %g", i, (double)got[i], want);
        }
        att_tape_destroy(e.tape);
    }
}

static void dropout_masks(void **state)
{
    (void)state;
    enum { N = 4000 };
    static float values[N], ones[N];
    att_tape *tape;
    att_view v = att_view_1d(values, ATT_F32, N), up = att_view_1d(ones, ATT_F32, N);
    for (int i = 0; i < N; i++) values[i] = ones[i] = 1.0f;
    assert_ok(att_tape_create(NULL, NULL, &tape));
    att_tape_begin(tape, 1);
    att_node *x = att_tape_variable(tape, &v), *y = att_tape_dropout(tape, x, 0.25, 5, 1);
    assert_ptr_equal(att_tape_dropout(tape, x, 0.0, 5, 1), x);
    att_node *other = att_tape_dropout(tape, x, 0.25, 5, 2);
    const float *kept = att_node_value(y)->data, *kept_other = att_node_value(other)->data;
    int zeros = 0, differ = 0;
    for (int i = 0; i < N; i++) {
        assert_true(kept[i] == 0.0f || fabsf(kept[i] - 4.0f / 3.0f) < 1e-6f);
        zeros += kept[i] == 0.0f;
        differ += kept[i] != kept_other[i];
    }
    assert_in_range(zeros, 850, 1150);
    assert_true(differ > 1000);
    att_tape_seed(tape, y, &up);
    assert_ok(att_tape_backward(tape));
    att_view g = att_node_gradient(x);
    assert_memory_equal(g.data, kept, sizeof ones);
    att_tape_begin(tape, 0);
    x = att_tape_variable(tape, &v);
    assert_ptr_equal(att_tape_dropout(tape, x, 0.25, 5, 1), x);
    att_tape_destroy(tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy),
        cmocka_unit_test(dropout_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
