/* Introspective attention: its gradients, and that a step sees earlier states alone. */
#include "numeric.h"

#include <attend/introspective.h>

enum { B = 2, T = 5, C = 3, U = 4 };

typedef struct net_run {
    att_params *params;
    att_tape *tape;
    att_introspective *net;
    float x[B * T * C], d[B * T * 2 * U];
    att_view weights;
    att_node *y;
} net_run;

static net_run *create(att_cell cell, int blind)
{
    net_run *r = calloc(1, sizeof *r);
    att_introspective_desc desc = {.cell = cell, .inputs = C, .units = U, .key_units = 3, .blind = blind};
    assert_ok(att_params_create(NULL, &r->params));
    assert_ok(att_introspective_create(r->params, "net", &desc, &r->net));
    assert_ok(att_params_allocate(r->params, 4, 1));
    att_introspective_start(r->net);
    assert_ok(att_tape_create(NULL, NULL, &r->tape));
    fill_f32(r->x, B * T * C, 1, 1);
    fill_f32(r->d, B * T * 2 * U, 2, 1);
    return r;
}

static void destroy(net_run *r)
{
    att_introspective_destroy(r->net);
    att_tape_destroy(r->tape);
    att_params_destroy(r->params);
    free(r);
}

static double loss(net_run *r, int record)
{
    att_view x = att_view_3d(r->x, ATT_F32, B, T, C), d = att_view_3d(r->d, ATT_F32, B, T, 2 * U);
    att_tape_begin(r->tape, record);
    r->y = att_introspective_run(r->tape, r->net, att_tape_constant(r->tape, &x), &r->weights);
    assert_ok(att_tape_status(r->tape));
    const att_view *y = att_node_value(r->y);
    assert_true(y->ndim == 3 && y->dim[0] == B && y->dim[1] == T && y->dim[2] == 2 * U);
    double sum = 0;
    for (int i = 0; i < B * T * 2 * U; i++) {
        int64_t b = i / (T * 2 * U), t = i / (2 * U) % T, u = i % (2 * U);
        sum +=
            (double)r->d[i] * (double)((const float *)y->data)[b * y->stride[0] + t * y->stride[1] + u * y->stride[2]];
    }
    if (record) {
        att_tape_seed(r->tape, r->y, &d);
        assert_ok(att_tape_backward(r->tape));
    }
    return sum;
}

static void gradients(void **state)
{
    (void)state;
    for (int cell = ATT_CELL_GRU; cell <= ATT_CELL_LSTM; cell++) {
        net_run *r = create((att_cell)cell, 0);
        att_params_zero_gradients(r->params);
        loss(r, 1);
        att_params_settle_gradients(r->params);
        for (int64_t k = 0; k < att_params_count(r->params); k++) {
            att_parameter *p = att_params_at(r->params, k);
            float *v = att_parameter_value(p)->data, most = 0;
            const float *g = att_parameter_gradient(p)->data;
            int64_t n = att_view_count(att_parameter_value(p));
            for (int64_t i = 0; i < n; i++) most = fmaxf(most, fabsf(g[i]));
            assert_true(most > 0);
            for (int64_t i = 0; i < n; i += 1 + n / 20) {
                const float old = v[i], step = 0.03125f;
                double f[4];
                for (int s = 0; s < 4; s++) {
                    v[i] = old + step * (float)((int[]){-2, -1, 1, 2})[s];
                    att_params_changed(r->params);
                    f[s] = loss(r, 0);
                }
                v[i] = old;
                double want = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * (double)step);
                if (!(fabs((double)g[i] - want) <= 1e-3 * (double)most + 1e-4))
                    fail_msg("cell %d %s[%lld]: %g, expected %g", cell, att_parameter_name(p), (long long)i,
                             (double)g[i], want);
            }
        }
        destroy(r);
    }
}

static void a_step_sees_earlier_states_alone(void **state)
{
    (void)state;
    net_run *r = create(ATT_CELL_GRU, 0);
    loss(r, 0);
    const float *a = r->weights.data;
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++) {
            float sum = 0;
            for (int j = 0; j < T; j++) {
                float w = a[(b * T + t) * T + j];
                assert_true(j < t ? w > 0 : w == 0);
                sum += w;
            }
            assert_true(t == 0 ? sum == 0 : fabsf(sum - 1) < 1e-6f);
        }
    float before[2 * U];
    const att_view *y = att_node_value(r->y);
    for (int u = 0; u < 2 * U; u++) before[u] = ((const float *)y->data)[3 * y->stride[1] + u * y->stride[2]];
    r->x[4 * C] += 1; /* the future */
    loss(r, 0);
    y = att_node_value(r->y);
    for (int u = 0; u < 2 * U; u++)
        assert_true(before[u] == ((const float *)y->data)[3 * y->stride[1] + u * y->stride[2]]);
    destroy(r);
}

static void a_blind_one_has_no_context(void **state)
{
    (void)state;
    net_run *r = create(ATT_CELL_LSTM, 1);
    loss(r, 1);
    const att_view *y = att_node_value(r->y);
    for (int t = 0; t < T; t++)
        for (int u = U; u < 2 * U; u++) assert_true(((const float *)y->data)[t * y->stride[1] + u * y->stride[2]] == 0);
    destroy(r);
}

static void wrong_sizes_are_named(void **state)
{
    (void)state;
    net_run *r = create(ATT_CELL_GRU, 0);
    att_view x = att_view_3d(r->x, ATT_F32, B, T * C, 1);
    att_tape_begin(r->tape, 1);
    att_introspective_run(r->tape, r->net, att_tape_constant(r->tape, &x), NULL);
    assert_refused(att_tape_status(r->tape), ATT_E_SHAPE, "introspective: x is 1 wide, expected 3");
    att_introspective *none;
    att_introspective_desc bad = {.inputs = 1};
    assert_refused(att_introspective_create(r->params, "n", &bad, &none), ATT_E_VALUE, "units 0");
    att_introspective_destroy(NULL);
    destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(a_step_sees_earlier_states_alone),
        cmocka_unit_test(a_blind_one_has_no_context),
        cmocka_unit_test(wrong_sizes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
