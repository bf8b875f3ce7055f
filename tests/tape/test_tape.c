/* The tape as a whole: parameters, sticky errors, memory that stands still, allocators that fail. */
#include "harness.h"

#include <attend/tape.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocator.h"
#include "tape/tape.h"

typedef struct net {
    att_params *params;
    att_parameter *table, *w, *u, *bias, *unused;
    att_tape *tape;
} net;

static att_status make_net(const att_allocator *a, net *n)
{
    att_status s = att_params_create(a, &n->params);
    if (s == ATT_OK) s = att_params_add(n->params, "table", 2, (int64_t[]){7, 6}, ATT_INIT_NORMAL, 1.0, &n->table);
    if (s == ATT_OK) s = att_params_add(n->params, "w", 2, (int64_t[]){6, 15}, ATT_INIT_GLOROT, 0, &n->w);
    if (s == ATT_OK) s = att_params_add(n->params, "u", 2, (int64_t[]){5, 15}, ATT_INIT_ORTHOGONAL, 0, &n->u);
    if (s == ATT_OK) s = att_params_add(n->params, "bias", 1, (int64_t[]){15}, ATT_INIT_UNIFORM, 0.5, &n->bias);
    if (s == ATT_OK) s = att_params_add(n->params, "unused", 1, (int64_t[]){3}, ATT_INIT_ONE, 0, &n->unused);
    if (s == ATT_OK) s = att_params_allocate(n->params, 3, 1);
    return s == ATT_OK ? att_tape_create(NULL, a, &n->tape) : s;
}

static void free_net(net *n)
{
    att_tape_destroy(n->tape);
    att_params_destroy(n->params);
    *n = (net){0};
}

/* Embedding, recurrent layer, attention over its states, a product and cross-entropy on T steps of B rows. */
static att_status step(net *n, int64_t T, int64_t B, att_loss *loss)
{
    att_tape *t = n->tape;
    att_tape_begin(t, 1);
    *loss = (att_loss){0};
    int32_t *ids = att_tape_alloc(t, (size_t)(T * B) * sizeof *ids);
    if (!ids) return att_tape_status(t);
    for (int64_t i = 0; i < T * B; i++) ids[i] = (int32_t)(i * 5 % 7);
    att_view words = att_view_2d(ids, ATT_I32, T, B);
    att_node *e = att_tape_dropout(t, att_tape_embedding(t, att_tape_parameter(t, n->table), &words), 0.1, 1, 1);
    att_node *gates = att_tape_linear(t, e, att_tape_parameter(t, n->w), att_tape_parameter(t, n->bias), ATT_ACT_NONE);
    att_tape_rnn_in in = {.gates_x = att_tape_transpose(t, gates, 0, 1), .w = att_tape_parameter(t, n->u)};
    att_node *h = att_tape_rnn(t, &(att_rnn_desc){ATT_CELL_GRU, 0}, &in, NULL);
    att_node *heads = att_tape_reshape(t, h, 4, (int64_t[]){B, 1, T, 5});
    att_tape_attention_in look = {.q = heads, .k = heads, .v = heads};
    att_node *o = att_tape_attention(t, &(att_attention_desc){.window = ATT_WINDOW_CAUSAL}, &look, NULL);
    att_node *both[] = {att_tape_reshape(t, o, 3, (int64_t[]){B, T, 5}), h};
    att_node *y = att_tape_softmax(t, att_tape_concat(t, 2, both));
    att_node *logits =
        att_tape_linear_transposed(t, att_tape_slice(t, y, 2, 0, 6), att_tape_parameter(t, n->table), NULL);
    att_tape_cross_entropy(t, logits, &words, 0.1, 0.25, loss);
    return att_tape_backward(t);
}

/* ---- parameters ---- */

static void parameters(void **state)
{
    (void)state;
    net a = {0}, b = {0};
    att_parameter *p;
    assert_ok(make_net(NULL, &a));
    assert_ok(make_net(NULL, &b));
    assert_int_equal(att_params_count(a.params), 5);
    assert_ptr_equal(att_params_at(a.params, 1), a.w);
    assert_ptr_equal(att_params_find(a.params, "u"), a.u);
    assert_null(att_params_find(a.params, "none"));
    assert_string_equal(att_parameter_name(a.bias), "bias");
    for (int64_t i = 0; i < att_params_count(a.params); i++) {
        const float *v = att_parameter_value(att_params_at(a.params, i))->data;
        assert_int_equal((v - att_params_values(a.params)) % 16, 0);
    }
    assert_memory_equal(att_params_values(a.params), att_params_values(b.params),
                        (size_t)att_params_elements(a.params) * sizeof(float));
    assert_int_equal(att_params_add(a.params, "late", 1, (int64_t[]){1}, ATT_INIT_ONE, 0, &p), ATT_E_VALUE);
    assert_int_equal(att_params_allocate(a.params, 1, 1), ATT_E_VALUE);
    const float *u = att_parameter_value(a.u)->data;
    for (int i = 0; i < 5; i++) /* each 5 x 5 block of the recurrent weights is orthogonal */
        for (int j = 0; j < 5; j++) {
            double product = 0;
            for (int k = 0; k < 5; k++) product += (double)u[k * 15 + 5 + i] * (double)u[k * 15 + 5 + j];
            assert_float_equal(product, i == j, 1e-5);
        }
    free_net(&a);
    free_net(&b);
}

static void refused_parameters(void **state)
{
    (void)state;
    att_params *params;
    att_parameter *p;
    assert_ok(att_params_create(NULL, &params));
    assert_ok(att_params_add(params, "a", 1, (int64_t[]){2}, ATT_INIT_ONE, 0, &p));
    assert_int_equal(att_params_add(params, "a", 1, (int64_t[]){2}, ATT_INIT_ONE, 0, &p), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "'a'"));
    assert_int_equal(att_params_add(params, "b", 1, (int64_t[]){0}, ATT_INIT_ONE, 0, &p), ATT_E_SHAPE);
    assert_int_equal(att_params_add(params, "b", 0, NULL, ATT_INIT_ONE, 0, &p), ATT_E_SHAPE);
    assert_int_equal(att_params_add(params, "b", 3, (int64_t[]){1 << 30, 1 << 30, 1 << 30}, ATT_INIT_ONE, 0, &p),
                     ATT_E_SHAPE);
    assert_int_equal(att_params_count(params), 1);
    att_params_destroy(params);
    att_params_destroy(NULL);
}

/* A name decides a tensor's numbers, not its neighbours. */
static void initial_numbers(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) {
        static float kept[12];
        att_params *params;
        att_parameter *p, *first;
        assert_ok(att_params_create(NULL, &params));
        if (other) assert_ok(att_params_add(params, "first", 1, (int64_t[]){5}, ATT_INIT_NORMAL, 1, &first));
        assert_ok(att_params_add(params, "p", 2, (int64_t[]){4, 3}, ATT_INIT_UNIFORM, 0.5, &p));
        assert_ok(att_params_allocate(params, 9, 0));
        const float *v = att_parameter_value(p)->data;
        for (int i = 0; i < 12; i++) assert_true(v[i] >= -0.5f && v[i] < 0.5f);
        if (other) assert_memory_equal(v, kept, sizeof kept);
        memcpy(kept, v, sizeof kept);
        assert_null(att_params_gradients(params));
        att_params_destroy(params);
        assert_ok(att_params_create(NULL, &params));
        assert_ok(att_params_add(params, "p", 1, (int64_t[]){4}, ATT_INIT_ONE, 0, &p));
        assert_ok(att_params_allocate(params, 9, ATT_PARAMS_ZERO));
        for (int i = 0; i < 4; i++) assert_true(((const float *)att_parameter_value(p)->data)[i] == 0);
        assert_null(att_params_gradients(params));
        att_params_destroy(params);
    }
}

/* zero_gradients writes nothing: the first gradient of a tensor replaces, the later ones add, and what no backward
 * reached becomes zero when settled. */
static void zero_and_settle(void **state)
{
    (void)state;
    net n = {0};
    att_loss loss;
    assert_ok(make_net(NULL, &n));
    float *g = att_params_gradients(n.params), *spare = att_parameter_gradient(n.unused)->data;
    int64_t count = att_params_elements(n.params);
    float *once = malloc((size_t)count * sizeof *once);
    att_params_zero_gradients(n.params);
    assert_ok(step(&n, 4, 3, &loss));
    att_params_settle_gradients(n.params);
    memcpy(once, g, (size_t)count * sizeof *once);
    for (int i = 0; i < 3; i++) assert_true(spare[i] == 0.0f);
    spare[1] = 5.0f;
    att_params_zero_gradients(n.params);
    assert_true(spare[1] == 5.0f);
    assert_ok(step(&n, 4, 3, &loss));
    att_params_settle_gradients(n.params);
    assert_memory_equal(g, once, (size_t)count * sizeof *once);
    assert_ok(step(&n, 4, 3, &loss));
    att_params_settle_gradients(n.params);
    for (int64_t i = 0; i < count; i++) assert_float_equal(g[i], 2 * once[i], 1e-6);
    free(once);
    free_net(&n);
}

static void without_gradients(void **state)
{
    (void)state;
    att_params *params;
    att_parameter *p;
    att_tape *tape;
    float one[3] = {1, 1, 1};
    att_view v = att_view_1d(one, ATT_F32, 3);
    assert_ok(att_params_create(NULL, &params));
    assert_ok(att_params_add(params, "frozen", 1, (int64_t[]){3}, ATT_INIT_ONE, 0, &p));
    assert_ok(att_params_allocate(params, 1, 0));
    assert_ok(att_tape_create(NULL, NULL, &tape));
    att_tape_begin(tape, 1);
    att_tape_seed(tape, att_tape_parameter(tape, p), &v);
    assert_int_equal(att_tape_backward(tape), ATT_E_VALUE);
    assert_non_null(strstr(att_last_error(), "frozen"));
    att_tape_destroy(tape);
    att_params_destroy(params);
}

/* ---- errors ---- */

static void sticky_error(void **state)
{
    (void)state;
    att_tape *t;
    float numbers[6] = {0}, gradient[6] = {0};
    att_view v = att_view_2d(numbers, ATT_F32, 2, 3), g = att_view_2d(gradient, ATT_F32, 2, 3), weights;
    int32_t ids[1] = {0};
    att_view word = att_view_1d(ids, ATT_I32, 1);
    att_loss loss = {.sum = 3};
    assert_ok(att_tape_create(NULL, NULL, &t));
    att_tape_begin(t, 1);
    att_node *x = att_tape_variable(t, &v);
    att_node *bad = att_tape_slice(t, x, 1, 2, 5), *c;
    assert_int_equal(att_tape_status(t), ATT_E_SHAPE);
    char first[256];
    snprintf(first, sizeof first, "%s", att_last_error());
    assert_non_null(strstr(first, "slice: 2 to 5 of 3"));
    att_node *list[] = {bad, x};
    att_node *after[] = {att_tape_at(t, bad, 9, 9),
                         att_tape_transpose(t, x, 7, 0),
                         att_tape_reshape(t, bad, 1, (int64_t[]){7}),
                         att_tape_concat(t, 2, list),
                         att_tape_stack(t, 2, list),
                         att_tape_add(t, bad, x),
                         att_tape_multiply(t, x, bad),
                         att_tape_scale(t, bad, 2),
                         att_tape_activation(t, ATT_ACT_TANH, bad),
                         att_tape_dropout(t, bad, 0.5, 1, 1),
                         att_tape_linear(t, bad, bad, bad, ATT_ACT_NONE),
                         att_tape_linear_transposed(t, bad, bad, NULL),
                         att_tape_embedding(t, bad, &word),
                         att_tape_softmax(t, bad),
                         att_tape_layer_norm(t, bad, bad, bad, 1e-5),
                         att_tape_rnn(t, &(att_rnn_desc){0}, &(att_tape_rnn_in){.gates_x = bad, .w = bad}, &c),
                         att_tape_attention(t, &(att_attention_desc){0},
                                            &(att_tape_attention_in){.q = bad, .k = bad, .v = bad}, &weights),
                         att_tape_constant(t, &v),
                         att_tape_variable(t, &v),
                         att_tape_zeros(t, 1, (int64_t[]){3})};
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
        assert_non_null(after[i]);
        assert_int_equal(att_node_value(after[i])->ndim, 0);
    }
    att_tape_cross_entropy(t, bad, &word, 0, 1, &loss);
    assert_int_equal(loss.count, 0);
    att_tape_seed(t, x, &g);
    assert_null(att_tape_alloc(t, 8));
    assert_int_equal(att_tape_backward(t), ATT_E_SHAPE);
    assert_string_equal(att_last_error(), first);
    assert_null(att_node_gradient(x).data);
    att_tape_begin(t, 1);
    assert_ok(att_tape_status(t));
    x = att_tape_variable(t, &v);
    att_tape_seed(t, att_tape_scale(t, x, 2), &g);
    assert_ok(att_tape_backward(t));
    att_tape_destroy(t);
    att_tape_destroy(NULL);
}

static void expect(att_tape *t, att_status status, const char *word)
{
    assert_int_equal(att_tape_status(t), status);
    if (!strstr(att_last_error(), word)) fail_msg("'%s' does not name '%s'", att_last_error(), word);
    att_tape_begin(t, 1);
}

static void refused_shapes(void **state)
{
    (void)state;
    att_tape *t;
    float numbers[24] = {0};
    int32_t high[] = {0, 4}, targets[] = {0, 9};
    att_view v = att_view_2d(numbers, ATT_F32, 4, 6), w = att_view_2d(numbers, ATT_F32, 5, 3), strided = v;
    att_view ids = att_view_1d(high, ATT_I32, 2), real_ids = att_view_1d(numbers, ATT_F32, 2);
    att_view target = att_view_1d(targets, ATT_I32, 2), two = att_view_2d(numbers, ATT_F32, 2, 6);
    att_loss loss;
    strided.stride[0] = 7;
    assert_ok(att_tape_create(NULL, NULL, &t));
    att_tape_begin(t, 1);
#define X att_tape_variable(t, &v)
    att_tape_linear(t, X, att_tape_variable(t, &w), NULL, ATT_ACT_NONE);
    expect(t, ATT_E_SHAPE, "linear");
    att_tape_add(t, X, att_tape_variable(t, &w));
    expect(t, ATT_E_SHAPE, "shape");
    att_tape_at(t, X, 0, 4);
    expect(t, ATT_E_SHAPE, "index 4 of 4");
    att_tape_at(t, X, -3, 0);
    expect(t, ATT_E_SHAPE, "axis -3");
    att_tape_slice(t, X, 0, 3, 2);
    expect(t, ATT_E_SHAPE, "slice");
    att_tape_reshape(t, X, 1, (int64_t[]){23});
    expect(t, ATT_E_SHAPE, "reshape");
    att_tape_concat(t, 0, NULL);
    expect(t, ATT_E_SHAPE, "concat");
    att_tape_concat(t, 2, (att_node *[]){X, att_tape_variable(t, &w)});
    expect(t, ATT_E_SHAPE, "concat: input 1");
    att_tape_stack(t, 2, (att_node *[]){X, att_tape_variable(t, &w)});
    expect(t, ATT_E_SHAPE, "stack: input 1");
    att_tape_embedding(t, X, &ids);
    expect(t, ATT_E_VALUE, "4");
    att_tape_embedding(t, X, &real_ids);
    expect(t, ATT_E_DTYPE, "float32");
    att_tape_variable(t, &strided);
    expect(t, ATT_E_SHAPE, "dense");
    att_tape_cross_entropy(t, att_tape_scale(t, att_tape_variable(t, &two), 1), &target, 0, 1, &loss);
    expect(t, ATT_E_VALUE, "9");
    att_tape_cross_entropy(t, att_tape_slice(t, att_tape_scale(t, X, 1), 0, 0, 2), &target, 0, 1, &loss);
    expect(t, ATT_E_VALUE, "logits");
    att_tape_dropout(t, X, 1.0, 1, 1);
    expect(t, ATT_E_VALUE, "p");
    att_tape_attention(t, &(att_attention_desc){0}, &(att_tape_attention_in){.q = X, .k = X, .v = X}, NULL);
    expect(t, ATT_E_SHAPE, "attention");
    att_tape_rnn(t, &(att_rnn_desc){0}, &(att_tape_rnn_in){.gates_x = X, .w = X}, NULL);
    expect(t, ATT_E_SHAPE, "rnn");
#undef X
    assert_ok(att_tape_status(t));
    att_tape_destroy(t);
}

/* ---- memory ---- */

static void stands_still(void **state)
{
    (void)state;
    static const struct {
        int64_t T, B;
    } size[] = {{40, 30}, {3, 2}, {40, 30}, {17, 30}, {40, 1}, {1, 30}, {40, 30}};
    net n = {0};
    att_loss loss;
    test_allocator books;
    test_allocator_init(&books, 0);
    assert_ok(make_net(&books.allocator, &n));
    for (int i = 0; i < 2; i++) {
        att_params_zero_gradients(n.params);
        assert_ok(step(&n, size[0].T, size[0].B, &loss));
        att_params_changed(n.params);
    }
    int64_t grown = att_tape_grown(n.tape), calls = books.calls;
    size_t bytes = att_tape_bytes(n.tape);
    assert_true(grown > 0 && bytes > 0);
    for (int repeat = 0; repeat < 3; repeat++)
        for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
            att_params_zero_gradients(n.params);
            assert_ok(step(&n, size[i].T, size[i].B, &loss));
            att_params_changed(n.params);
        }
    assert_int_equal(att_tape_grown(n.tape), grown);
    assert_int_equal(att_tape_bytes(n.tape), bytes);
    assert_int_equal(books.calls, calls);
    free_net(&n);
    assert_int_equal(books.live_blocks, 0);
    assert_int_equal(books.live_bytes, 0);
}

/* Every allocation fails once: an error, no crash, no leak, and the tape works again afterwards. */
/* Gradients large enough to be worth it take each other's memory, and stay right: x -> x + x/2, again and again, whose
 * gradient is 1.5^LINKS, and through a product of the unit matrix at every link. */
static void gradients_share_memory(void **state)
{
    enum { N = 64, LINKS = 20 };
    static float x0[N * N], unit[N * N], ones[N * N];
    (void)state;
    for (int i = 0; i < N * N; i++) {
        x0[i] = (float)(i % 13) / 8.0f - 0.5f;
        unit[i] = i % (N + 1) == 0;
        ones[i] = 1.0f;
    }
    att_view x_view = att_view_2d(x0, ATT_F32, N, N), unit_view = att_view_2d(unit, ATT_F32, N, N);
    att_view seed = att_view_2d(ones, ATT_F32, N, N);
    att_tape *t;
    assert_ok(att_tape_create(NULL, NULL, &t));
    for (int round = 0; round < 2; round++) {
        att_tape_begin(t, 1);
        att_node *x = att_tape_variable(t, &x_view), *y = x, *one = att_tape_constant(t, &unit_view);
        for (int i = 0; i < LINKS; i++)
            y = att_tape_add(t, att_tape_linear(t, y, one, NULL, ATT_ACT_NONE), att_tape_scale(t, y, 0.5));
        att_tape_seed(t, y, &seed);
        assert_ok(att_tape_backward(t));
        const float *dx = att_node_gradient(x).data, want = (float)pow(1.5, LINKS);
        for (int i = 0; i < N * N; i++)
            if (!(fabsf(dx[i] - want) <= 1e-5f * want)) fail_msg("element %d: %g, expected %g", i, dx[i], want);
        /* one chunk in the second round: 3 LINKS values, and a few gradients instead of as many again */
        if (round) assert_in_range(t->arena.used_bytes, 3 * LINKS * sizeof x0, (3 * LINKS + 6) * sizeof x0);
    }
    att_tape_destroy(t);
}

static void failing_allocator(void **state)
{
    (void)state;
    att_status status = ATT_E_MEMORY;
    int64_t at;
    for (at = 1; status != ATT_OK; at++) {
        net n = {0};
        att_loss loss;
        test_allocator books;
        test_allocator_init(&books, at);
        status = make_net(&books.allocator, &n);
        for (int i = 0; i < 3 && status == ATT_OK; i++) {
            status = step(&n, 8 * (i + 1), 9, &loss);
            if (status == ATT_OK) continue;
            assert_ok(step(&n, 8 * (i + 1), 9, &loss));
        }
        if (status != ATT_OK) assert_int_equal(status, ATT_E_MEMORY);
        free_net(&n);
        assert_int_equal(books.live_blocks, 0);
        if (at > 500) fail_msg("500 allocations and no end");
    }
    assert_true(at > 12);
}

/* y = x w with w as it is and rounded: the same numbers within what the roundings promise, and back again. */
static void rounded_weights(void **state)
{
    (void)state;
    static const att_dtype dtypes[] = {ATT_F32, ATT_BF16, ATT_I8, ATT_I8, ATT_F32};
    static const float share[] = {0, 1.0f / 256, 1.0f / 127, 2.0f / 127, 0}; /* the second int8: the inputs too */
    float x[2 * 40], first[2 * 30], last[2 * 30] = {0};
    att_params *params;
    att_parameter *w;
    att_tape *tape;
    fill_f32(x, 80, 5, 1.0f);
    assert_ok(att_params_create(NULL, &params));
    assert_ok(att_params_add(params, "w", 2, (int64_t[]){40, 30}, ATT_INIT_UNIFORM, 1.0, &w));
    assert_ok(att_params_allocate(params, 3, 0));
    assert_ok(att_tape_create(NULL, NULL, &tape));
    att_view in = att_view_2d(x, ATT_F32, 2, 40);
    for (int d = 0; d < 5; d++) {
        assert_ok(att_params_round_weights(params, dtypes[d]));
        att_params_round_inputs(params, d == 3);
        att_tape_begin(tape, 0);
        att_node *y =
            att_tape_linear(tape, att_tape_constant(tape, &in), att_tape_parameter(tape, w), NULL, ATT_ACT_NONE);
        assert_ok(att_tape_status(tape));
        const float *got = att_node_value(y)->data;
        float most = 0;
        for (int i = 0; i < 60; i++) {
            if (d == 0) first[i] = got[i];
            most = fmaxf(most, fabsf(got[i] - first[i]));
        }
        assert_true(most <= 20 * share[d] && (share[d] == 0 || most > 0)); /* sum |x| is about 20 */
        assert_true(d == 0 || memcmp(got, last, sizeof last) != 0);
        memcpy(last, got, sizeof last);
    }
    assert_ok(att_params_round_weights(params, ATT_I8));
    att_tape_begin(tape, 1);
    att_tape_linear(tape, att_tape_constant(tape, &in), att_tape_parameter(tape, w), NULL, ATT_ACT_NONE);
    assert_int_equal(att_tape_status(tape), ATT_E_VALUE);
    assert_string_equal(att_last_error(),
                        "parameter 'w': its owner's weights are rounded to int8, but the tape records");
    assert_int_equal(att_params_round_weights(params, ATT_F16), ATT_E_DTYPE);
    att_tape_destroy(tape);
    att_params_destroy(params);
}

static double resident_share(const void *start, size_t bytes)
{
    static unsigned char there[4096];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), first = ((size_t)start + page - 1) / page,
           n = ((size_t)start + bytes) / page - first, count = 0;
    assert_true(n > 0 && n <= sizeof there);
    assert_int_equal(mincore((void *)(first * page), n * page, there), 0);
    for (size_t i = 0; i < n; i++) count += there[i] & 1;
    return (double)count / (double)n;
}

/* A loaded matrix that is read rounded leaves its float32 memory; a vector and an unrounded matrix stay. */
static void loaded_values_are_dropped(void **state)
{
    (void)state;
    enum { K = 600, N = 500, FLOATS = K * N };
    static float x[K];
    static const att_dtype dtypes[] = {ATT_F32, ATT_BF16, ATT_I8};
    fill_f32(x, K, 5, 1.0f);
    att_view in = att_view_2d(x, ATT_F32, 1, K);
    for (int d = 0; d < 3; d++) {
        att_params *params;
        att_parameter *w, *b;
        att_tape *tape;
        void *memory;
        size_t bytes = (FLOATS + N) * sizeof(float);
        assert_ok(att_params_create(NULL, &params));
        assert_ok(att_params_add(params, "w", 2, (int64_t[]){K, N}, ATT_INIT_UNIFORM, 1.0, &w));
        assert_ok(att_params_add(params, "b", 1, (int64_t[]){N}, ATT_INIT_ZERO, 0.0, &b));
        w->use = ATT_USE_PRODUCT;
        assert_ok(att_params_allocate(params, 3, ATT_PARAMS_LATER));
        assert_ok(att_alloc(NULL, bytes, &memory));
        fill_f32(memory, FLOATS + N, 7, 1.0f);
        att_params_adopt(params, (att_span){memory, bytes});
        att_parameter_place(w, memory);
        att_parameter_place(b, (float *)memory + FLOATS);
        assert_null(att_params_values(params));
        assert_ok(att_params_round_weights(params, dtypes[d]));
        assert_ok(att_tape_create(NULL, NULL, &tape));
        for (int again = 0; again < 2; again++) {
            att_tape_begin(tape, 0);
            att_tape_linear(tape, att_tape_constant(tape, &in), att_tape_parameter(tape, w),
                            att_tape_parameter(tape, b), ATT_ACT_NONE);
            assert_ok(att_tape_status(tape));
        }
        assert_true(resident_share(memory, FLOATS * sizeof(float)) == (d == 0));
        assert_true((att_parameter_value(w)->data == NULL) == (d > 0));
        assert_ptr_equal(att_parameter_value(b)->data, (float *)memory + FLOATS);
        assert_int_equal(att_params_round_weights(params, dtypes[d]), ATT_OK);
        assert_int_equal(att_params_round_weights(params, d == 2 ? ATT_BF16 : ATT_I8), d > 0 ? ATT_E_VALUE : ATT_OK);
        att_tape_destroy(tape);
        att_params_destroy(params);
    }
}

/* Vectors of words that are also the output layer: a lookup gives them as products have them. */
static void tied_lookups_are_rounded(void **state)
{
    (void)state;
    static const att_dtype dtypes[] = {ATT_F32, ATT_BF16, ATT_I8};
    const int32_t ids[] = {16, 0, 7, 7};
    int32_t wrong = 17;
    for (int d = 0; d < 3; d++) {
        att_params *params;
        att_parameter *w;
        att_tape *tape;
        assert_ok(att_params_create(NULL, &params));
        assert_ok(att_params_add(params, "w", 2, (int64_t[]){17, 11}, ATT_INIT_UNIFORM, 1.0, &w));
        w->use = ATT_USE_TIED;
        assert_ok(att_params_allocate(params, 3, 0));
        assert_ok(att_params_round_weights(params, dtypes[d]));
        assert_ok(att_tape_create(NULL, NULL, &tape));
        att_tape_begin(tape, 0);
        att_view at = att_view_1d((void *)(uintptr_t)ids, ATT_I32, 4);
        const float *got = att_node_value(att_tape_embedding(tape, att_tape_parameter(tape, w), &at))->data;
        assert_ok(att_tape_status(tape));
        for (int m = 0; m < 4; m++)
            for (int c = 0; c < 11; c++) {
                float want = ((const float *)w->value.data)[ids[m] * 11 + c], error = fabsf(got[m * 11 + c] - want);
                float most[] = {0, fabsf(want) / 256, 1.0f / 127 / 1.99f};
                assert_true(error <= most[d]);
            }
        at = att_view_1d(&wrong, ATT_I32, 1);
        att_tape_embedding(tape, att_tape_parameter(tape, w), &at);
        assert_int_equal(att_tape_status(tape), ATT_E_VALUE);
        assert_string_equal(att_last_error(), "ids: element 0 is 17, expected 0 to 16");
        att_tape_destroy(tape);
        att_params_destroy(params);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters),
        cmocka_unit_test(refused_parameters),
        cmocka_unit_test(initial_numbers),
        cmocka_unit_test(zero_and_settle),
        cmocka_unit_test(without_gradients),
        cmocka_unit_test(sticky_error),
        cmocka_unit_test(refused_shapes),
        cmocka_unit_test(stands_still),
        cmocka_unit_test(gradients_share_memory),
        cmocka_unit_test(failing_allocator),
        cmocka_unit_test(rounded_weights),
        cmocka_unit_test(loaded_values_are_dropped),
        cmocka_unit_test(tied_lookups_are_rounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
