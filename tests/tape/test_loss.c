/* Where a gradient starts and where it is dropped: cross-entropy, which is differentiated itself, alone and together
 * with the layer that makes its logits, and dropout's masks. */
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

/* ---- of a linear layer ---- */

typedef struct layer {
    int64_t B, T, C, V;                  /* x (B,T,C); w (C,V), or (V,C) when transposed */
    int transposed, bias, threads, once; /* once: in one operation; otherwise a linear layer and then a cross-entropy */
} layer;

typedef struct layer_result {
    att_loss loss;
    float *dx, *dw, *db;
    size_t bytes; /* of the tape */
} layer_result;

static float *copy_of(const att_node *x)
{
    att_view g = att_node_gradient(x);
    size_t bytes = (size_t)att_view_count(&g) * sizeof(float);
    float *copy = malloc(bytes);
    assert_true(copy && att_view_is_dense(&g));
    memcpy(copy, g.data, bytes);
    return copy;
}

static void free_result(layer_result *r)
{
    free(r->dx);
    free(r->dw);
    free(r->db);
}

/* Loss and gradients; x has a gradient from elsewhere too. */
static void run_layer(const layer *l, layer_result *out)
{
    att_tape *t;
    int64_t n = l->B * l->T, w_dim[2] = {l->transposed ? l->V : l->C, l->transposed ? l->C : l->V};
    float *x = malloc((size_t)(n * l->C) * sizeof *x), *w = malloc((size_t)(l->C * l->V) * sizeof *w);
    float *b = malloc((size_t)l->V * sizeof *b);
    int32_t *target = malloc((size_t)n * sizeof *target);
    assert_true(x && w && b && target);
    fill_f32(x, n * l->C, 1, 1.0f);
    fill_f32(w, l->C * l->V, 2, 1.0f);
    fill_f32(b, l->V, 3, 1.0f);
    for (int64_t i = 0; i < n; i++) target[i] = i % 7 == 3 ? -1 : (int32_t)(i * 31 % l->V);
    att_view vx = att_view_dense(x, ATT_F32, 3, (int64_t[]){l->B, l->T, l->C}),
             vw = att_view_dense(w, ATT_F32, 2, w_dim);
    att_view vb = att_view_1d(b, ATT_F32, l->V), words = att_view_2d(target, ATT_I32, l->B, l->T);
    assert_ok(att_tape_create(&(att_exec){.threads = l->threads}, NULL, &t));
    att_tape_begin(t, 1);
    att_node *nx = att_tape_variable(t, &vx), *nw = att_tape_variable(t, &vw), *nb = att_tape_variable(t, &vb);
    att_node *bias = l->bias ? nb : NULL;
    if (l->once)
        att_tape_linear_cross_entropy(t, nx, nw, bias, l->transposed, &words, 0.1, 0.5, &out->loss);
    else
        att_tape_cross_entropy(t,
                               l->transposed ? att_tape_linear_transposed(t, nx, nw, bias)
                                             : att_tape_linear(t, nx, nw, bias, ATT_ACT_NONE),
                               &words, 0.1, 0.5, &out->loss);
    att_tape_seed(t, nx, &vx);
    assert_ok(att_tape_backward(t));
    out->dx = copy_of(nx);
    out->dw = copy_of(nw);
    out->db = l->bias ? copy_of(nb) : NULL;
    out->bytes = att_tape_bytes(t);
    att_tape_destroy(t);
    free(x);
    free(w);
    free(b);
    free(target);
}

static void assert_near(const float *got, const float *want, int64_t n, double eps, const char *what)
{
    for (int64_t i = 0; want && i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= eps))
            fail_msg("%s: element %lld is %g, expected %g", what, (long long)i, (double)got[i], (double)want[i]);
}

static void linear_cross_entropy(void **state)
{
    (void)state;
    static const layer cases[] = {{3, 5, 4, 7, 0, 1, 1, 1},     {3, 5, 4, 7, 1, 0, 1, 1},      {1, 1, 1, 1, 0, 1, 1, 1},
                                  {0, 5, 4, 7, 0, 1, 1, 1},     {13, 50, 5, 8003, 0, 1, 1, 1}, /* three chunks */
                                  {13, 50, 5, 8003, 1, 1, 2, 1}};                              /* ... and two threads */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const layer *l = &cases[i];
        layer apart = *l, other = *l;
        layer_result got = {0}, want = {0}, again = {0};
        apart.once = 0;
        other.threads = 3;
        run_layer(l, &got);
        run_layer(&apart, &want);
        run_layer(&other, &again);
        int64_t n = l->B * l->T;
        assert_true(got.loss.count == want.loss.count && got.loss.correct == want.loss.correct);
        assert_true(fabs(got.loss.sum - want.loss.sum) <= 1e-6 * want.loss.sum);
        assert_near(got.dx, want.dx, n * l->C, 1e-5, "dx");
        assert_near(got.dw, want.dw, l->C * l->V, 1e-5, "dw");
        assert_near(got.db, want.db, l->V, 1e-5, "db");
        assert_true(again.loss.sum == got.loss.sum);
        assert_memory_equal(again.dx, got.dx, (size_t)(n * l->C) * sizeof(float));
        assert_memory_equal(again.dw, got.dw, (size_t)(l->C * l->V) * sizeof(float));
        if (l->V > 1000) assert_true(got.bytes < want.bytes * 2 / 3);
        if (l->bias) assert_memory_equal(again.db, got.db, (size_t)l->V * sizeof(float));
        free_result(&got);
        free_result(&want);
        free_result(&again);
    }
}

/* Gradients only where they are asked for, a forward alone, and what is refused. */
static void linear_cross_entropy_parts(void **state)
{
    (void)state;
    float x[3 * 4], w[4 * 5];
    int32_t word[3] = {4, -1, 2};
    att_tape *t;
    att_loss recorded, alone;
    fill_f32(x, 12, 1, 1.0f);
    fill_f32(w, 20, 2, 1.0f);
    att_view vx = att_view_2d(x, ATT_F32, 3, 4), vw = att_view_2d(w, ATT_F32, 4, 5),
             target = att_view_1d(word, ATT_I32, 3);
    att_view two = att_view_1d(word, ATT_I32, 2);
    assert_ok(att_tape_create(NULL, NULL, &t));
    att_tape_begin(t, 1);
    att_node *constant = att_tape_constant(t, &vx), *weights = att_tape_variable(t, &vw);
    att_tape_linear_cross_entropy(t, constant, weights, NULL, 0, &target, 0, 1, &recorded);
    assert_ok(att_tape_backward(t));
    assert_null(att_node_gradient(constant).data);
    assert_non_null(att_node_gradient(weights).data);
    att_tape_begin(t, 0);
    att_tape_linear_cross_entropy(t, att_tape_variable(t, &vx), att_tape_variable(t, &vw), NULL, 0, &target, 0, 1,
                                  &alone);
    assert_ok(att_tape_status(t));
    assert_true(alone.sum == recorded.sum && alone.count == 2);
    att_tape_begin(t, 1);
    att_tape_linear_cross_entropy(t, att_tape_variable(t, &vx), att_tape_variable(t, &vw), NULL, 1, &target, 0, 1,
                                  &alone);
    assert_int_equal(att_tape_status(t), ATT_E_SHAPE);
    assert_non_null(strstr(att_last_error(), "the weights expect 5"));
    att_tape_begin(t, 1);
    att_tape_linear_cross_entropy(t, att_tape_variable(t, &vx), att_tape_variable(t, &vw), NULL, 0, &two, 0, 1, &alone);
    assert_int_equal(att_tape_status(t), ATT_E_SHAPE);
    word[0] = 5;
    att_tape_begin(t, 1);
    att_tape_linear_cross_entropy(t, att_tape_variable(t, &vx), att_tape_variable(t, &vw), NULL, 0, &target, 0, 1,
                                  &alone);
    assert_int_equal(att_tape_status(t), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "element 0 is 5"));
    att_view real = att_view_1d(x, ATT_F32, 3);
    att_tape_begin(t, 1);
    att_tape_linear_cross_entropy(t, att_tape_variable(t, &vx), att_tape_variable(t, &vw), NULL, 0, &real, 0, 1,
                                  &alone);
    assert_int_equal(att_tape_status(t), ATT_E_DTYPE);
    att_tape_destroy(t);
}

/* Of a row that is not in the first chunk. */
static void linear_cross_entropy_far_target(void **state)
{
    (void)state;
    enum { N = 520, V = 5000 };
    static float x[N], w[V];
    static int32_t word[N];
    att_tape *t;
    att_loss loss;
    word[500] = V;
    att_view vx = att_view_2d(x, ATT_F32, N, 1), vw = att_view_2d(w, ATT_F32, 1, V),
             target = att_view_1d(word, ATT_I32, N);
    assert_ok(att_tape_create(NULL, NULL, &t));
    att_tape_begin(t, 1);
    att_tape_linear_cross_entropy(t, att_tape_variable(t, &vx), att_tape_variable(t, &vw), NULL, 0, &target, 0, 1,
                                  &loss);
    assert_int_equal(att_tape_status(t), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "element 500 is 5000"));
    att_tape_destroy(t);
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
        cmocka_unit_test(linear_cross_entropy),
        cmocka_unit_test(linear_cross_entropy_parts),
        cmocka_unit_test(linear_cross_entropy_far_target),
        cmocka_unit_test(dropout_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
