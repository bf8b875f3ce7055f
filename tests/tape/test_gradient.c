/* Every operation of the tape: its gradients against central differences of its own forward. */
#include "harness.h"

#include <attend/tape.h>

#define MOST_INPUTS 6
#define MOST_DIMS   4

enum { INIT_ANY = 0, INIT_APART }; /* APART: no number close to zero, where relu has its kink */

typedef struct gradient_case {
    const char *name;
    att_node *(*build)(att_tape *tape, att_node *const *x);
    int inputs;
    int64_t dim[MOST_INPUTS][MOST_DIMS]; /* up to the first 0; an input of no dimensions is absent */
    int init;
} gradient_case;

/* ---- graphs ---- */

static att_node *slice(att_tape *t, att_node *const *x)
{
    return att_tape_slice(t, att_tape_slice(t, x[0], 1, 1, 4), -1, 0, 2);
}
static att_node *at(att_tape *t, att_node *const *x)
{
    return att_tape_at(t, att_tape_at(t, x[0], 1, 3), -1, 2);
}
static att_node *transpose(att_tape *t, att_node *const *x)
{
    return att_tape_transpose(t, x[0], 0, -1);
}
static att_node *reshape(att_tape *t, att_node *const *x)
{
    return att_tape_reshape(t, x[0], 2, (int64_t[]){5, 6});
}
static att_node *reshape_by_copy(att_tape *t, att_node *const *x)
{
    return att_tape_reshape(t, att_tape_transpose(t, x[0], 0, 1), 2, (int64_t[]){6, 5});
}
static att_node *concat(att_tape *t, att_node *const *x)
{
    att_node *part[] = {x[0], att_tape_transpose(t, x[1], 0, 1), x[0]};
    return att_tape_concat(t, 3, part);
}
static att_node *stack(att_tape *t, att_node *const *x)
{
    att_node *part[] = {x[1], att_tape_transpose(t, x[0], 0, 1), x[1]};
    return att_tape_stack(t, 3, part);
}
static att_node *add(att_tape *t, att_node *const *x)
{
    return att_tape_add(t, att_tape_add(t, x[0], att_tape_transpose(t, x[1], 0, 1)), x[0]);
}
static att_node *multiply(att_tape *t, att_node *const *x)
{
    return att_tape_multiply(t, x[0], att_tape_transpose(t, x[1], 0, 1));
}
static att_node *square(att_tape *t, att_node *const *x)
{
    return att_tape_multiply(t, x[0], x[0]);
}
static att_node *scale(att_tape *t, att_node *const *x)
{
    return att_tape_add(t, att_tape_scale(t, x[0], -2.5), att_tape_scale(t, x[0], 0.75));
}
static att_node *relu(att_tape *t, att_node *const *x)
{
    return att_tape_activation(t, ATT_ACT_RELU, x[0]);
}
static att_node *tangent(att_tape *t, att_node *const *x)
{
    return att_tape_activation(t, ATT_ACT_TANH, att_tape_transpose(t, x[0], 0, 1));
}
static att_node *sigmoid(att_tape *t, att_node *const *x)
{
    return att_tape_activation(t, ATT_ACT_SIGMOID, x[0]);
}
static att_node *gelu(att_tape *t, att_node *const *x)
{
    return att_tape_activation(t, ATT_ACT_GELU, x[0]);
}
static att_node *gelu_tanh(att_tape *t, att_node *const *x)
{
    return att_tape_activation(t, ATT_ACT_GELU_TANH, x[0]);
}
static att_node *silu(att_tape *t, att_node *const *x)
{
    return att_tape_activation(t, ATT_ACT_SILU, x[0]);
}
static att_node *dropout(att_tape *t, att_node *const *x)
{
    return att_tape_dropout(t, att_tape_transpose(t, x[0], 0, 1), 0.4, 7, 3);
}
static att_node *softmax(att_tape *t, att_node *const *x)
{
    return att_tape_softmax(t, x[0]);
}
static att_node *softmax_transposed(att_tape *t, att_node *const *x)
{
    return att_tape_softmax(t, att_tape_transpose(t, x[0], 0, 1));
}
static att_node *layer_norm(att_tape *t, att_node *const *x)
{
    return att_tape_layer_norm(t, x[0], x[1], x[2], 1e-3);
}
static att_node *linear(att_tape *t, att_node *const *x)
{
    return att_tape_linear(t, x[0], x[1], x[2], ATT_ACT_NONE);
}
static att_node *linear_relu(att_tape *t, att_node *const *x)
{
    return att_tape_linear(t, x[0], x[1], x[2], ATT_ACT_RELU);
}
static att_node *linear_tanh(att_tape *t, att_node *const *x)
{
    return att_tape_linear(t, x[0], x[1], x[2], ATT_ACT_TANH);
}
static att_node *linear_sigmoid(att_tape *t, att_node *const *x)
{
    return att_tape_linear(t, x[0], x[1], x[2], ATT_ACT_SIGMOID);
}
static att_node *linear_gelu(att_tape *t, att_node *const *x)
{
    return att_tape_linear(t, x[0], x[1], x[2], ATT_ACT_GELU);
}
static att_node *linear_silu(att_tape *t, att_node *const *x)
{
    return att_tape_linear(t, x[0], x[1], NULL, ATT_ACT_SILU);
}
static att_node *linear_without_bias(att_tape *t, att_node *const *x)
{
    return att_tape_linear(t, x[0], x[1], NULL, ATT_ACT_NONE);
}
static att_node *linear_strided(att_tape *t, att_node *const *x) /* every leading dimension evenly spaced: a view */
{
    return att_tape_linear(t, att_tape_slice(t, x[0], -1, 1, 5), x[1], x[2], ATT_ACT_TANH);
}
static att_node *linear_copied(att_tape *t, att_node *const *x)
{
    return att_tape_linear(t, att_tape_transpose(t, x[0], 0, 2), x[1], x[2], ATT_ACT_NONE);
}
static att_node *linear_of_slice(att_tape *t, att_node *const *x) /* a part of a parameter as weights */
{
    return att_tape_linear(t, x[0], att_tape_slice(t, x[1], 1, 2, 5), att_tape_slice(t, x[2], 0, 2, 5), ATT_ACT_NONE);
}
static att_node *linear_twice(att_tape *t, att_node *const *x) /* one weight, one bias, two uses */
{
    att_node *y = att_tape_linear(t, x[0], x[1], x[2], ATT_ACT_TANH);
    return att_tape_linear(t, y, x[1], x[2], ATT_ACT_NONE);
}
static att_node *linear_transposed(att_tape *t, att_node *const *x)
{
    return att_tape_linear_transposed(t, x[0], x[1], x[2]);
}
static att_node *tied(att_tape *t, att_node *const *x) /* word vectors as output layer too */
{
    static int32_t ids[] = {3, 1, 3, 6};
    att_view v = att_view_2d(ids, ATT_I32, 2, 2);
    att_node *e = att_tape_embedding(t, x[0], &v);
    return att_tape_linear_transposed(t, e, x[0], x[1]);
}
static att_node *embedding(att_tape *t, att_node *const *x)
{
    static int32_t ids[] = {2, 0, 2, 6, 6, 2};
    att_view v = att_view_2d(ids, ATT_I32, 2, 3);
    att_node *y = att_tape_embedding(t, x[0], &v);
    return att_tape_multiply(t, y, y);
}
static att_node *rotary(att_tape *t, att_node *const *x) /* (2,3,2,4) and its transposition, which share a gradient */
{
    static float cosine[] = {1.0f, 1.0f, 0.6f, -0.8f, 0.28f, 0.96f}, sine[] = {0.0f, 0.0f, 0.8f, 0.6f, -0.96f, 0.28f};
    att_view c = att_view_2d(cosine, ATT_F32, 3, 2), s = att_view_2d(sine, ATT_F32, 3, 2);
    att_node *y = att_tape_rotary(t, x[0], &c, &s);
    return att_tape_multiply(t, y, att_tape_rotary(t, x[0], &s, &c));
}
static att_node *reused(att_tape *t, att_node *const *x) /* one node: whole, a row, a column, transposed */
{
    att_node *row = att_tape_at(t, x[0], 0, 1), *column = att_tape_at(t, x[0], 1, 2);
    att_node *all = att_tape_multiply(t, x[0], att_tape_transpose(t, x[0], 0, 1));
    att_node *sum = att_tape_add(t, att_tape_at(t, all, 0, 0), att_tape_multiply(t, row, column));
    return att_tape_activation(t, ATT_ACT_TANH, sum);
}

/* ---- recurrent and attention ---- */

static int32_t rnn_lengths[] = {3, 1, 4};

static att_node *rnn(att_tape *t, att_node *const *x, att_cell cell, int reverse, bool lengths, bool state)
{
    att_node *c = NULL;
    att_tape_rnn_in in = {.gates_x = att_tape_transpose(t, x[0], 0, 1), .w = x[1]};
    if (cell == ATT_CELL_GRU) in.bias_h = x[2];
    if (state) in.h0 = x[3];
    if (state && cell == ATT_CELL_LSTM) in.c0 = x[4];
    if (lengths) in.lengths = att_view_1d(rnn_lengths, ATT_I32, 3);
    att_node *h = att_tape_rnn(t, &(att_rnn_desc){cell, reverse}, &in, &c);
    if (cell != ATT_CELL_LSTM) return h;
    att_node *last = att_tape_at(t, c, 1, reverse ? 0 : 3);
    return att_tape_add(t, last, att_tape_add(t, att_tape_at(t, h, 1, 2), att_tape_at(t, h, 1, 0)));
}
static att_node *gru(att_tape *t, att_node *const *x)
{
    return rnn(t, x, ATT_CELL_GRU, 0, false, true);
}
static att_node *gru_reverse(att_tape *t, att_node *const *x)
{
    return rnn(t, x, ATT_CELL_GRU, 1, true, true);
}
static att_node *gru_no_state(att_tape *t, att_node *const *x)
{
    return rnn(t, x, ATT_CELL_GRU, 0, true, false);
}
static att_node *before(att_tape *t, att_node *const *x)
{
    return rnn(t, x, ATT_CELL_GRU_RESET_BEFORE, 0, true, true);
}
static att_node *before_reverse(att_tape *t, att_node *const *x)
{
    return rnn(t, x, ATT_CELL_GRU_RESET_BEFORE, 1, true, true);
}
static att_node *lstm(att_tape *t, att_node *const *x)
{
    return rnn(t, x, ATT_CELL_LSTM, 0, true, true);
}
static att_node *lstm_reverse(att_tape *t, att_node *const *x)
{
    return rnn(t, x, ATT_CELL_LSTM, 1, true, true);
}
static att_node *two_layers(att_tape *t, att_node *const *x) /* gates used by two layers: they add up */
{
    return att_tape_add(t, rnn(t, x, ATT_CELL_GRU, 0, true, true), rnn(t, x, ATT_CELL_GRU, 1, false, true));
}

static att_node *attention(att_tape *t, att_node *const *x, att_attention_desc desc, bool w, bool bias, bool lengths)
{
    static int32_t key_lengths[] = {4, 2};
    att_tape_attention_in in = {
        .q = x[0], .k = x[1], .v = x[2], .score_w = w ? x[3] : NULL, .bias = bias ? x[4] : NULL};
    if (lengths) in.key_lengths = att_view_1d(key_lengths, ATT_I32, 2);
    return att_tape_attention(t, &desc, &in, NULL);
}
static att_node *additive(att_tape *t, att_node *const *x)
{
    return attention(t, x, (att_attention_desc){.score = ATT_SCORE_ADDITIVE}, true, false, true);
}
static att_node *dot(att_tape *t, att_node *const *x)
{
    return attention(t, x, (att_attention_desc){.scale = 1.0f}, false, false, true);
}
static att_node *dot_biased(att_tape *t, att_node *const *x)
{
    return attention(t, x, (att_attention_desc){0}, false, true, false);
}
static att_node *self_attention(att_tape *t, att_node *const *x) /* one input is query, key and value */
{
    att_node *same[] = {x[0], x[0], x[0], NULL, NULL};
    return attention(t, same, (att_attention_desc){.window = ATT_WINDOW_CAUSAL}, false, false, false);
}
static att_node *attention_dropped(att_tape *t, att_node *const *x)
{
    return attention(t, x, (att_attention_desc){.dropout = 0.3f, .seed = 11}, false, false, true);
}

/* clang-format off */
#define GRU       {{4, 3, 15}, {5, 15}, {15}, {3, 5}}
#define BEFORE    {{4, 3, 15}, {5, 15}, {0}, {3, 5}}
#define LSTM      {{4, 3, 20}, {5, 20}, {0}, {3, 5}, {3, 5}}
#define ATTENTION {{2, 2, 3, 5}, {2, 2, 4, 5}, {2, 2, 4, 3}, {5}}
#define BIASED    {{2, 2, 3, 5}, {2, 2, 4, 5}, {2, 2, 4, 3}, {0}, {2, 2, 3, 4}}
/* clang-format on */

static const gradient_case cases[] = {
    {"slice", slice, 1, {{2, 5, 3}}, 0},
    {"at", at, 1, {{2, 5, 3}}, 0},
    {"transpose", transpose, 1, {{2, 5, 3}}, 0},
    {"reshape", reshape, 1, {{2, 5, 3}}, 0},
    {"reshape by copy", reshape_by_copy, 1, {{2, 5, 3}}, 0},
    {"concat", concat, 2, {{3, 4}, {2, 3}}, 0},
    {"stack", stack, 2, {{4, 3}, {3, 4}}, 0},
    {"add", add, 2, {{3, 4}, {4, 3}}, 0},
    {"multiply", multiply, 2, {{3, 4}, {4, 3}}, 0},
    {"square", square, 1, {{3, 7}}, 0},
    {"scale", scale, 1, {{3, 7}}, 0},
    {"relu", relu, 1, {{3, 7}}, INIT_APART},
    {"tanh", tangent, 1, {{3, 7}}, 0},
    {"sigmoid", sigmoid, 1, {{3, 7}}, 0},
    {"gelu", gelu, 1, {{3, 7}}, 0},
    {"gelu tanh", gelu_tanh, 1, {{3, 7}}, 0},
    {"silu", silu, 1, {{3, 7}}, 0},
    {"dropout", dropout, 1, {{9, 7}}, 0},
    {"softmax", softmax, 1, {{2, 3, 7}}, 0},
    {"softmax transposed", softmax_transposed, 1, {{7, 3}}, 0},
    {"layer norm", layer_norm, 3, {{2, 3, 9}, {9}, {9}}, 0},
    {"linear", linear, 3, {{5, 4}, {4, 7}, {7}}, 0},
    {"linear relu", linear_relu, 3, {{5, 1}, {1, 7}, {7}}, INIT_APART},
    {"linear tanh", linear_tanh, 3, {{2, 3, 4}, {4, 7}, {7}}, 0},
    {"linear sigmoid", linear_sigmoid, 3, {{5, 4}, {4, 7}, {7}}, 0},
    {"linear gelu", linear_gelu, 3, {{5, 4}, {4, 7}, {7}}, 0},
    {"linear silu", linear_silu, 2, {{2, 3, 4}, {4, 7}}, 0},
    {"linear without bias", linear_without_bias, 2, {{33, 4}, {4, 19}}, 0},
    {"linear of one row", linear, 3, {{4}, {4, 7}, {7}}, 0},
    {"linear strided", linear_strided, 3, {{2, 3, 6}, {4, 7}, {7}}, 0},
    {"linear copied", linear_copied, 3, {{4, 3, 2}, {4, 7}, {7}}, 0},
    {"linear of a slice", linear_of_slice, 3, {{5, 4}, {4, 7}, {7}}, 0},
    {"linear twice", linear_twice, 3, {{5, 4}, {4, 4}, {4}}, 0},
    {"linear transposed", linear_transposed, 3, {{2, 3, 4}, {7, 4}, {7}}, 0},
    {"tied", tied, 2, {{7, 4}, {7}}, 0},
    {"embedding", embedding, 1, {{7, 5}}, 0},
    {"rotary", rotary, 1, {{2, 3, 2, 4}}, 0},
    {"reused", reused, 1, {{4, 4}}, 0},
    {"gru", gru, 4, GRU, 0},
    {"gru reverse", gru_reverse, 4, GRU, 0},
    {"gru no state", gru_no_state, 3, GRU, 0},
    {"gru reset before", before, 4, BEFORE, 0},
    {"gru reset before reverse", before_reverse, 4, BEFORE, 0},
    {"lstm", lstm, 5, LSTM, 0},
    {"lstm reverse", lstm_reverse, 5, LSTM, 0},
    {"two layers", two_layers, 4, GRU, 0},
    {"additive attention", additive, 4, ATTENTION, 0},
    {"dot attention", dot, 3, ATTENTION, 0},
    {"biased attention", dot_biased, 5, BIASED, 0},
    {"self attention", self_attention, 1, ATTENTION, 0},
    {"attention dropout", attention_dropped, 3, ATTENTION, 0},
};
#define CASES ((int)(sizeof cases / sizeof *cases))

/* ---- running one ---- */

enum { CONSTANT, VARIABLE, PARAMETER };

typedef struct graph {
    const gradient_case *c;
    att_params *params;
    att_parameter *parameter[MOST_INPUTS];
    att_view value[MOST_INPUTS]; /* the parameters' memory, which variables and constants share */
    att_tape *tape;
    att_node *x[MOST_INPUTS], *y;
    float *upstream;
} graph;

static void initial_values(const gradient_case *c, int i, att_view *v)
{
    float *p = v->data;
    fill_f32(p, att_view_count(v), (uint64_t)(i + 17), 0.9f);
    if (c->init != INIT_APART) return;
    for (int64_t e = 0; e < att_view_count(v); e++)
        p[e] = i == 2 ? (e % 2 ? 1.5f : -1.5f) : p[e] < 0 ? p[e] * 0.7f - 0.25f : p[e] * 0.7f + 0.25f;
}

static bool present(const gradient_case *c, int i)
{
    return c->dim[i][0] != 0;
}

static graph make_graph(const gradient_case *c, const att_exec *exec)
{
    graph g = {.c = c};
    assert_ok(att_params_create(NULL, &g.params));
    assert_ok(att_tape_create(exec, NULL, &g.tape));
    for (int i = 0; i < c->inputs; i++) {
        if (!present(c, i)) continue;
        char name[32];
        int ndim = 0;
        while (ndim < MOST_DIMS && c->dim[i][ndim]) ndim++;
        snprintf(name, sizeof name, "input %d", i);
        assert_ok(att_params_add(g.params, name, ndim, c->dim[i], ATT_INIT_ZERO, 0, &g.parameter[i]));
    }
    assert_ok(att_params_allocate(g.params, 1, 1));
    for (int i = 0; i < c->inputs; i++) {
        if (!present(c, i)) continue;
        g.value[i] = *att_parameter_value(g.parameter[i]);
        initial_values(c, i, &g.value[i]);
    }
    return g;
}

static void free_graph(graph *g)
{
    att_tape_destroy(g->tape);
    att_params_destroy(g->params);
    free(g->upstream);
}

static void record(graph *g, const int *kind)
{
    att_params_changed(g->params);
    att_tape_begin(g->tape, 1);
    for (int i = 0; i < g->c->inputs; i++) {
        if (!present(g->c, i)) continue;
        g->x[i] = kind[i] == PARAMETER  ? att_tape_parameter(g->tape, g->parameter[i])
                  : kind[i] == VARIABLE ? att_tape_variable(g->tape, &g->value[i])
                                        : att_tape_constant(g->tape, &g->value[i]);
    }
    g->y = g->c->build(g->tape, g->x);
    assert_ok(att_tape_status(g->tape));
}

/* Element n, in row-major order, of a view of any strides. */
static float *element(const att_view *v, int64_t n)
{
    float *p = v->data;
    for (int a = v->ndim - 1; a >= 0; a--) {
        p += n % v->dim[a] * v->stride[a];
        n /= v->dim[a];
    }
    return p;
}

static double loss(graph *g, const int *kind)
{
    double sum = 0;
    record(g, kind);
    const att_view *y = att_node_value(g->y);
    for (int64_t n = 0; n < att_view_count(y); n++) sum += (double)g->upstream[n] * (double)*element(y, n);
    return sum;
}

static void backward(graph *g, const int *kind)
{
    record(g, kind);
    const att_view *y = att_node_value(g->y);
    if (!g->upstream) {
        g->upstream = malloc((size_t)att_view_count(y) * sizeof(float));
        fill_f32(g->upstream, att_view_count(y), 99, 1.0f);
    }
    att_view upstream = att_view_dense(g->upstream, ATT_F32, y->ndim, y->dim);
    att_tape_seed(g->tape, g->y, &upstream);
    assert_ok(att_tape_backward(g->tape));
}

/* Fourth-order central difference of the loss in one element. */
static double difference(graph *g, const int *kind, float *p)
{
    const float old = *p, step = 0.03125f;
    double f[4];
    for (int i = 0; i < 4; i++) {
        *p = old + step * (float)((int[]){-2, -1, 1, 2})[i];
        f[i] = loss(g, kind);
    }
    *p = old;
    return (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * (double)step);
}

static void all_kinds(const gradient_case *c, int kind, int *kinds)
{
    for (int i = 0; i < c->inputs; i++) kinds[i] = kind;
}

static float *gradient_copy(const graph *g, int i)
{
    int64_t n = att_view_count(&g->value[i]);
    att_view v = att_node_gradient(g->x[i]);
    float *copy = calloc((size_t)n, sizeof *copy);
    if (!v.data) fail_msg("%s: no gradient reached input %d", g->c->name, i);
    for (int64_t e = 0; e < n; e++) copy[e] = *element(&v, e);
    return copy;
}

static double largest(const float *p, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs((double)p[i]));
    return most;
}

static void check_input(graph *g, const int *kinds, int i)
{
    int64_t n = att_view_count(&g->value[i]);
    backward(g, kinds);
    float *got = gradient_copy(g, i);
    double most = largest(got, n);
    assert_true(most > 0);
    for (int64_t e = 0; e < n; e++) {
        double want = difference(g, kinds, (float *)g->value[i].data + e);
        if (!(fabs((double)got[e] - want) <= 1e-3 * most + 2e-5))
            fail_msg("%s: gradient of input %d, element %lld is %.7g, expected %.7g", g->c->name, i, (long long)e,
                     (double)got[e], want);
    }
    free(got);
}

static void against_differences(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int kind = VARIABLE; kind <= PARAMETER; kind++) {
            int kinds[MOST_INPUTS];
            graph g = make_graph(&cases[c], NULL);
            all_kinds(&cases[c], kind, kinds);
            for (int i = 0; i < cases[c].inputs; i++) {
                if (!present(&cases[c], i)) continue;
                att_params_zero_gradients(g.params);
                check_input(&g, kinds, i);
            }
            free_graph(&g);
        }
}

/* The gradient of one input does not depend on which others are followed. */
static void with_constants(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        int kinds[MOST_INPUTS];
        graph g = make_graph(&cases[c], NULL);
        for (int i = 0; i < cases[c].inputs; i++) {
            if (!present(&cases[c], i)) continue;
            int64_t n = att_view_count(&g.value[i]);
            all_kinds(&cases[c], VARIABLE, kinds);
            backward(&g, kinds);
            float *all = gradient_copy(&g, i);
            all_kinds(&cases[c], CONSTANT, kinds);
            kinds[i] = VARIABLE;
            backward(&g, kinds);
            float *alone = gradient_copy(&g, i);
            for (int64_t e = 0; e < n; e++)
                if (!(fabs((double)(all[e] - alone[e])) <= 1e-6 * largest(all, n)))
                    fail_msg("%s: alone, input %d has gradient %.8g, expected %.8g", g.c->name, i, (double)alone[e],
                             (double)all[e]);
            free(all);
            free(alone);
        }
        free_graph(&g);
    }
}

/* Parameters' gradients add up over backwards until zeroed; several threads give the same bits. */
static void sums_and_threads(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        int kinds[MOST_INPUTS];
        graph g = make_graph(&cases[c], NULL), other = make_graph(&cases[c], &(att_exec){.threads = 3});
        size_t bytes = (size_t)att_params_elements(g.params) * sizeof(float);
        float *once = malloc(bytes);
        all_kinds(&cases[c], PARAMETER, kinds);
        att_params_zero_gradients(g.params);
        backward(&g, kinds);
        memcpy(once, att_params_gradients(g.params), bytes);
        backward(&g, kinds);
        for (int64_t e = 0; e < att_params_elements(g.params); e++)
            if (!(fabs((double)(att_params_gradients(g.params)[e] - 2 * once[e])) <=
                  1e-5 * (1 + fabs((double)once[e]))))
                fail_msg("%s: after two backwards %.8g, expected twice %.8g", g.c->name,
                         (double)att_params_gradients(g.params)[e], (double)once[e]);
        att_params_zero_gradients(g.params);
        backward(&g, kinds);
        assert_memory_equal(att_params_gradients(g.params), once, bytes);
        att_params_zero_gradients(other.params);
        backward(&other, kinds);
        assert_memory_equal(att_params_gradients(other.params), once, bytes);
        free(once);
        free_graph(&g);
        free_graph(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_differences),
        cmocka_unit_test(with_constants),
        cmocka_unit_test(sums_and_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
