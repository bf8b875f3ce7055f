/* Weights as output, and the copy distribution. */
#include "numeric.h"

#include <attend/pointer.h>

enum { B = 2, T = 5, U = 3, D = 4, V = 6, X = 8 };

typedef struct pointing {
    double q[B * U * D], k[B * T * D], w[D], o[B * U * T], lse[B * U], d_o[B * U * T];
    double dq[B * U * D], dk[B * T * D], dw[D];
    att_mechanism_desc desc;
    att_mechanism_in in;
    att_mechanism_out out;
    att_mechanism_grad grad;
    uint8_t mask[T];
    void *memory;
    size_t bytes;
} pointing;

/* A pointer network: additive scores, one key hidden. */
static pointing *pointing_new(void)
{
    pointing *p = calloc(1, sizeof *p);
    fill_f64(p->q, B * U * D, 1, 1);
    fill_f64(p->k, B * T * D, 2, 1);
    fill_f64(p->w, D, 3, 1);
    fill_f64(p->d_o, B * U * T, 4, 1);
    memset(p->mask, 1, T);
    p->mask[3] = 0;
    p->desc.kind = ATT_MECHANISM_ADDITIVE;
    p->in.core = (att_attention_in){.q = att_view_3d(p->q, ATT_F64, B, U, D),
                                    .k = att_view_3d(p->k, ATT_F64, B, T, D),
                                    .score_w = att_view_1d(p->w, ATT_F64, D),
                                    .mask = att_view_1d(p->mask, ATT_U8, T)};
    p->out.core =
        (att_attention_out){.o = att_view_3d(p->o, ATT_F64, B, U, T), .lse = att_view_3d(p->lse, ATT_F64, B, 1, U)};
    p->grad.core = (att_attention_grad){.d_o = att_view_3d(p->d_o, ATT_F64, B, U, T),
                                        .dq = att_view_3d(p->dq, ATT_F64, B, U, D),
                                        .dk = att_view_3d(p->dk, ATT_F64, B, T, D),
                                        .dscore_w = att_view_1d(p->dw, ATT_F64, D)};
    assert_ok(att_pointer_workspace(&p->desc, NULL, &p->in, &p->bytes));
    p->memory = guard_alloc(p->bytes);
    return p;
}

static void pointing_free(pointing *p)
{
    guard_free(p->memory, p->bytes);
    free(p);
}

static double pointing_loss(void *ctx)
{
    pointing *p = ctx;
    double sum = 0;
    assert_ok(att_pointer_forward(&p->desc, NULL, &p->out, &p->in, (att_span){p->memory, p->bytes}));
    for (int i = 0; i < B * U * T; i++) sum += p->o[i] * p->d_o[i];
    return sum;
}

static void the_output_is_the_weights(void **state)
{
    (void)state;
    pointing *p = pointing_new();
    pointing_loss(p);
    for (int r = 0; r < B * U; r++) {
        double e[T], sum = 0;
        for (int j = 0; j < T; j++) {
            e[j] = 0;
            for (int d = 0; d < D; d++) e[j] += p->w[d] * tanh(p->q[r * D + d] + p->k[(r / U * T + j) * D + d]);
            e[j] = p->mask[j] ? exp(e[j]) : 0;
            sum += e[j];
        }
        for (int j = 0; j < T; j++) assert_true(fabs(p->o[r * T + j] - e[j] / sum) < 1e-14);
    }
    pointing_free(p);
}

static void a_loss_on_weights_trains(void **state)
{
    (void)state;
    pointing *p = pointing_new();
    pointing_loss(p);
    assert_ok(att_pointer_backward(&p->desc, NULL, &p->grad, &p->out, &p->in, (att_span){p->memory, p->bytes}));
    check_gradient("pointer q", pointing_loss, p, p->q, p->dq, B * U * D);
    check_gradient("pointer k", pointing_loss, p, p->k, p->dk, B * T * D);
    check_gradient("pointer w", pointing_loss, p, p->w, p->dw, D);
    pointing_free(p);
}

static void values_have_no_place(void **state)
{
    (void)state;
    pointing *p = pointing_new();
    att_mechanism_in in = p->in;
    size_t bytes;
    in.core.v = in.core.k;
    assert_refused(att_pointer_workspace(&p->desc, NULL, &in, &bytes), ATT_E_VALUE, "v, w_value, w_output: given");
    p->desc.heads = 2;
    assert_refused(att_pointer_workspace(&p->desc, NULL, &p->in, &bytes), ATT_E_SHAPE, "heads: 2, expected 1");
    pointing_free(p);
}

typedef struct mixing {
    double v[B * V], gate[B], w[B * T], p[B * X], dp[B * X], dv[B * V], dgate[B], dw[B * T];
    int32_t ids[B * T];
    att_copy_mix in, grad;
} mixing;

static double mixing_loss(void *ctx)
{
    mixing *m = ctx;
    double sum = 0;
    att_view p = att_view_2d(m->p, ATT_F64, B, X);
    assert_ok(att_copy_mix_forward(&p, &m->in));
    for (int i = 0; i < B * X; i++) sum += m->p[i] * m->dp[i];
    return sum;
}

static mixing mixing_new(mixing *m)
{
    fill_f64(m->v, B * V, 1, 1);
    fill_f64(m->gate, B, 2, 1);
    fill_f64(m->w, B * T, 3, 1);
    fill_f64(m->dp, B * X, 4, 1);
    for (int i = 0; i < B * T; i++) m->ids[i] = i * 3 % X; /* some words twice, some beyond the vocabulary */
    m->ids[1] = m->ids[0];
    m->in = (att_copy_mix){att_view_2d(m->v, ATT_F64, B, V), att_view_1d(m->gate, ATT_F64, B),
                           att_view_2d(m->w, ATT_F64, B, T), att_view_2d(m->ids, ATT_I32, B, T)};
    m->grad = (att_copy_mix){
        att_view_2d(m->dv, ATT_F64, B, V), att_view_1d(m->dgate, ATT_F64, B), att_view_2d(m->dw, ATT_F64, B, T), {0}};
    return *m;
}

static void copying_adds_to_the_words_of_the_source(void **state)
{
    (void)state;
    mixing m = {.dv = {0}};
    mixing_new(&m);
    mixing_loss(&m);
    for (int b = 0; b < B; b++)
        for (int x = 0; x < X; x++) {
            double want = x < V ? m.gate[b] * m.v[b * V + x] : 0;
            for (int j = 0; j < T; j++) want += (m.ids[b * T + j] == x) * (1 - m.gate[b]) * m.w[b * T + j];
            assert_true(fabs(m.p[b * X + x] - want) < 1e-15);
        }
    att_view dp = att_view_2d(m.dp, ATT_F64, B, X);
    assert_ok(att_copy_mix_backward(&m.grad, &dp, &m.in));
    check_gradient("vocabulary", mixing_loss, &m, m.v, m.dv, B * V);
    check_gradient("gate", mixing_loss, &m, m.gate, m.dgate, B);
    check_gradient("weights", mixing_loss, &m, m.w, m.dw, B * T);
}

static void copying_in_float32_agrees(void **state)
{
    (void)state;
    mixing m = {.dv = {0}};
    mixing_new(&m);
    mixing_loss(&m);
    float v[B * V], gate[B], w[B * T], p[B * X];
    for (int i = 0; i < B * V; i++) v[i] = (float)m.v[i];
    for (int i = 0; i < B * T; i++) w[i] = (float)m.w[i];
    for (int i = 0; i < B; i++) gate[i] = (float)m.gate[i];
    att_copy_mix in = {att_view_2d(v, ATT_F32, B, V), att_view_1d(gate, ATT_F32, B), att_view_2d(w, ATT_F32, B, T),
                       m.in.ids};
    att_view out = att_view_2d(p, ATT_F32, B, X);
    assert_ok(att_copy_mix_forward(&out, &in));
    for (int i = 0; i < B * X; i++) assert_true(fabs((double)p[i] - m.p[i]) < 1e-6);
    m.ids[2] = X;
    assert_refused(att_copy_mix_forward(&out, &in), ATT_E_VALUE, "ids: 8 at 2, expected 0 to 7");
    in.gate.dim[0] = 1;
    m.ids[2] = 0;
    assert_refused(att_copy_mix_forward(&out, &in), ATT_E_SHAPE, "gate: shape (1), expected (2)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_output_is_the_weights), cmocka_unit_test(a_loss_on_weights_trains),
        cmocka_unit_test(values_have_no_place),      cmocka_unit_test(copying_adds_to_the_words_of_the_source),
        cmocka_unit_test(copying_in_float32_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
