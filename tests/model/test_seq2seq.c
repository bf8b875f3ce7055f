/* The sequence-to-sequence model: gradients of every configuration, steps against teacher forcing, batches. */
#include "harness.h"
#include "model/differences.h"

#include <attend/seq2seq.h>

#include "allocator.h"

enum { V = 7, B = 3, TS = 5, TT = 4, E = 4, U = 3, D = 6 };

static int32_t source[TS * B] = {4, 5, 6, 3, 4, 5, 0, 3, 4, 0, 0, 6, 0, 0, 3};
static int32_t lengths[B] = {2, 3, 5};
static int32_t target_in[TT * B] = {2, 2, 2, 5, 4, 6, 0, 6, 5, 0, 0, 4};
static int32_t target_out[TT * B] = {5, 4, 6, 3, 6, 5, -1, 3, 4, -1, -1, 3};
static const int32_t target_lengths[B] = {2, 3, 4};

static att_seq2seq_batch whole_batch(void)
{
    return (att_seq2seq_batch){.source = att_view_2d(source, ATT_I32, TS, B),
                               .source_lengths = att_view_1d(lengths, ATT_I32, B),
                               .target_in = att_view_2d(target_in, ATT_I32, TT, B),
                               .target_out = att_view_2d(target_out, ATT_I32, TT, B)};
}

static const att_seq2seq_config plain = {.source_vocabulary = V,
                                         .target_vocabulary = V,
                                         .embedding = E,
                                         .encoder_units = U,
                                         .decoder_units = D,
                                         .encoder_layers = 1,
                                         .decoder_layers = 1};

/* Number i of all possible configurations; false when that one is not possible. */
static bool configuration(int i, att_seq2seq_config *c)
{
    *c = plain;
    c->cell = i % 3, i /= 3;
    c->attention = i % 4, i /= 4;
    c->attend = i % 2, i /= 2;
    c->input_feeding = i % 2, i /= 2;
    c->encoder_layers = 1 + i % 2, i /= 2;
    c->decoder_layers = 1 + i % 2, i /= 2;
    c->tied = i % 2, i /= 2;
    c->shared = i % 2, i /= 2;
    c->attention_units = c->tied ? 5 : 0;
    return !c->input_feeding || (c->attend == ATT_SEQ2SEQ_ATTEND_AFTER && c->attention != ATT_SEQ2SEQ_NO_ATTENTION);
}
#define CONFIGURATIONS (3 * 4 * 2 * 2 * 2 * 2 * 2 * 2)

static const char *described(const att_seq2seq_config *c)
{
    static char text[160];
    snprintf(text, sizeof text, "cell %d attention %d attend %d feeding %d layers %d %d tied %d shared %d", c->cell,
             c->attention, c->attend, c->input_feeding, (int)c->encoder_layers, (int)c->decoder_layers, c->tied,
             c->shared);
    return text;
}

typedef struct model {
    att_seq2seq *m;
    att_params *params;
    att_tape *tape;
} model;

static model make_model(const att_seq2seq_config *c)
{
    model m;
    assert_ok(att_seq2seq_create(c, 1, 1, NULL, &m.m));
    m.params = att_seq2seq_params(m.m);
    assert_ok(att_tape_create(NULL, NULL, &m.tape));
    for (int64_t i = 0; i < att_params_count(m.params); i++) {
        const att_view *v = att_parameter_value(att_params_at(m.params, i));
        fill_f32(v->data, att_view_count(v), (uint64_t)i + 3, 0.6f);
    }
    att_params_changed(m.params);
    return m;
}

static void free_model(model *m)
{
    att_tape_destroy(m->tape);
    att_seq2seq_destroy(m->m);
}

static double loss_of(const model *m, const att_seq2seq_batch *batch, int record)
{
    att_loss loss;
    att_params_changed(m->params);
    att_tape_begin(m->tape, record);
    assert_ok(att_seq2seq_loss(m->tape, m->m, batch, record ? 0.1 : 0.0, 1.0, 5, &loss));
    return loss.sum;
}

static double loss_now(const void *m)
{
    att_seq2seq_batch batch = whole_batch();
    return loss_of(m, &batch, 1);
}

static void gradients(void **state)
{
    (void)state;
    att_random r = {.seed = 8};
    int checked = 0;
    for (int i = 0; i < CONFIGURATIONS; i++) {
        att_seq2seq_config c;
        att_seq2seq_batch batch = whole_batch();
        if (!configuration(i, &c)) continue;
        c.dropout = i % 3 == 1 ? 0.2 : 0.0;
        model m = make_model(&c);
        att_params_zero_gradients(m.params);
        loss_of(&m, &batch, 1);
        assert_ok(att_tape_backward(m.tape));
        att_params_settle_gradients(m.params);
        differences d = {loss_now, NULL, &m, described(&c), 0.03125f, 2e-3, 2e-4};
        differences_check(&d, m.params, &r);
        free_model(&m);
        checked++;
    }
    assert_int_equal(checked, 3 * (3 * 3 + 2) * 16);
}

/* ---- one step at a time ---- */

/* The nodes of a first state, each row `n` times, as a search has them. */
static void spread(att_tape *t, att_node **node, int64_t n)
{
    if (!*node) return;
    const att_view *v = att_node_value(*node);
    int64_t rows = v->dim[0], cols = v->dim[1];
    float *copy = att_tape_alloc(t, (size_t)(rows * n * cols) * sizeof *copy);
    assert_non_null(copy);
    for (int64_t r = 0; r < rows * n; r++)
        for (int64_t k = 0; k < cols; k++)
            copy[r * cols + k] = ((const float *)v->data)[r / n * v->stride[0] + k * v->stride[1]];
    att_view all = att_view_2d(copy, ATT_F32, rows * n, cols);
    *node = att_tape_constant(t, &all);
}

/* Logits (TT, columns of batch, V) of the right words fed one by one, with `n` equal rows a sentence; all n must agree.
 */
static void step_through(const model *m, const att_seq2seq_batch *batch, int64_t n, float *logits)
{
    att_seq2seq_memory memory;
    att_seq2seq_state s;
    int64_t sentences = batch->source.dim[1], steps = batch->target_in.dim[0];
    att_tape_begin(m->tape, 0);
    att_seq2seq_encode(m->tape, m->m, &batch->source, &batch->source_lengths, 0, &memory, &s);
    assert_ok(att_tape_status(m->tape));
    for (int l = 0; l < ATT_SEQ2SEQ_MAX_LAYERS; l++) {
        spread(m->tape, &s.h[l], n);
        spread(m->tape, &s.c[l], n);
    }
    spread(m->tape, &s.feed, n);
    for (int64_t t = 0; t < steps; t++) {
        int32_t ids[4 * B];
        att_view words = att_view_1d(ids, ATT_I32, sentences * n), weights;
        for (int64_t r = 0; r < sentences * n; r++)
            ids[r] = ((const int32_t *)batch->target_in.data)[t * sentences + r / n];
        att_node *y = att_seq2seq_step(m->tape, m->m, &memory, &words, &s, &weights);
        assert_ok(att_tape_status(m->tape));
        const float *got = att_node_value(y)->data, *w = weights.data;
        assert_int_equal(att_node_value(y)->dim[0], sentences * n);
        for (int64_t r = 0; r < sentences * n; r++) {
            assert_memory_equal(got + r * V, got + r / n * n * V, V * sizeof *got);
            memcpy(logits + (t * sentences + r / n) * V, got + r * V, V * sizeof *got);
        }
        if (att_seq2seq_configuration(m->m)->attention == ATT_SEQ2SEQ_NO_ATTENTION) {
            assert_null(w);
            continue;
        }
        int64_t keys = batch->source.dim[0];
        for (int64_t r = 0; r < sentences * n; r++) {
            double sum = 0;
            for (int64_t j = 0; j < keys; j++) {
                sum += (double)w[r * keys + j];
                if (j >= ((const int32_t *)batch->source_lengths.data)[r / n]) assert_true(w[r * keys + j] == 0.0f);
            }
            assert_float_equal(sum, 1.0, 1e-5);
        }
    }
}

static double log_probability(const float *x, int32_t word)
{
    double sum = 0;
    for (int v = 0; v < V; v++) sum += exp((double)x[v]);
    return (double)x[word] - log(sum);
}

static void steps_equal_teacher_forcing(void **state)
{
    (void)state;
    for (int i = 0; i < CONFIGURATIONS; i++) {
        att_seq2seq_config c;
        att_seq2seq_batch batch = whole_batch();
        static float one[TT * B * V], three[TT * B * V];
        if (!configuration(i, &c)) continue;
        model m = make_model(&c);
        double want = loss_of(&m, &batch, 0), sum = 0;
        step_through(&m, &batch, 1, one);
        for (int k = 0; k < TT * B; k++)
            if (target_out[k] >= 0) sum -= log_probability(one + k * V, target_out[k]);
        if (!(fabs(sum - want) <= 1e-4)) fail_msg("%s: steps give %.7g, expected %.7g", described(&c), sum, want);
        step_through(&m, &batch, 3, three);
        assert_memory_equal(one, three, sizeof one);
        free_model(&m);
    }
}

/* ---- batches ---- */

/* Sentence b alone, padded to ts and tt. */
typedef struct alone {
    int32_t source[TS], length, in[TT], out[TT];
    att_seq2seq_batch batch;
} alone;

static void take(alone *a, int b, int64_t ts, int64_t tt)
{
    a->length = lengths[b];
    for (int t = 0; t < ts; t++) a->source[t] = source[t * B + b];
    for (int t = 0; t < tt; t++) {
        a->in[t] = target_in[t * B + b];
        a->out[t] = target_out[t * B + b];
    }
    a->batch = (att_seq2seq_batch){.source = att_view_2d(a->source, ATT_I32, ts, 1),
                                   .source_lengths = att_view_1d(&a->length, ATT_I32, 1),
                                   .target_in = att_view_2d(a->in, ATT_I32, tt, 1),
                                   .target_out = att_view_2d(a->out, ATT_I32, tt, 1)};
}

/* A sentence gives the same bits alone as in a batch, padded or not. */
static void sentences_alone(void **state)
{
    (void)state;
    for (int i = 0; i < CONFIGURATIONS; i += 5) {
        att_seq2seq_config c;
        att_seq2seq_batch batch = whole_batch();
        static float together[TT * B * V], single[TT * V];
        if (!configuration(i, &c)) continue;
        model m = make_model(&c);
        double sum = 0, all = loss_of(&m, &batch, 0);
        step_through(&m, &batch, 1, together);
        for (int b = 0; b < B; b++) {
            alone a;
            for (int padded = 0; padded < 2; padded++) {
                int64_t tt = padded ? TT : target_lengths[b];
                take(&a, b, padded ? TS : lengths[b], tt);
                step_through(&m, &a.batch, 1, single);
                for (int64_t t = 0; t < target_lengths[b]; t++)
                    if (memcmp(single + t * V, together + (t * B + b) * V, V * sizeof *single) != 0)
                        fail_msg("%s: sentence %d, step %d differs alone (padded %d)", described(&c), b, (int)t,
                                 padded);
            }
            sum += loss_of(&m, &a.batch, 0);
        }
        assert_float_equal(sum, all, 1e-5);
        free_model(&m);
    }
}

/* ---- what is refused ---- */

static void refuse(att_seq2seq_config c, att_status status, const char *key)
{
    att_seq2seq *m = (att_seq2seq *)&m;
    assert_int_equal(att_seq2seq_create(&c, 1, 0, NULL, &m), status);
    assert_null(m);
    if (!strstr(att_last_error(), key)) fail_msg("'%s' does not name %s", att_last_error(), key);
}

static void impossible_configurations(void **state)
{
    (void)state;
    att_seq2seq_config c = plain;
#define REFUSE(field, bad, status, key)                                                                                \
    do {                                                                                                               \
        c = plain;                                                                                                     \
        c.field = bad;                                                                                                 \
        refuse(c, status, key);                                                                                        \
    } while (0)
    REFUSE(source_vocabulary, 0, ATT_E_VALUE, "source_vocabulary");
    REFUSE(target_vocabulary, -1, ATT_E_VALUE, "target_vocabulary");
    REFUSE(embedding, 0, ATT_E_VALUE, "model.embedding");
    REFUSE(encoder_units, 65537, ATT_E_VALUE, "model.encoder_units");
    REFUSE(decoder_units, 0, ATT_E_VALUE, "model.decoder_units");
    REFUSE(encoder_layers, ATT_SEQ2SEQ_MAX_LAYERS + 1, ATT_E_VALUE, "model.encoder_layers");
    REFUSE(decoder_layers, 0, ATT_E_VALUE, "model.decoder_layers");
    REFUSE(attention_units, -1, ATT_E_VALUE, "model.attention_units");
    REFUSE(dropout, 1.0, ATT_E_VALUE, "model.dropout");
    REFUSE(dropout, -0.1, ATT_E_VALUE, "model.dropout");
    REFUSE(dropout, (double)NAN, ATT_E_VALUE, "model.dropout");
    REFUSE(input_feeding, 1, ATT_E_VALUE, "model.input_feeding");
    REFUSE(attention, 4, ATT_E_VALUE, "attention");
    REFUSE(attention, -1, ATT_E_VALUE, "attention");
    REFUSE(cell, 3, ATT_E_VALUE, "cell");
    REFUSE(cell, -1, ATT_E_VALUE, "cell");
    REFUSE(attend, 2, ATT_E_VALUE, "model.attend");
    c = plain;
    c.attention = ATT_SEQ2SEQ_DOT;
    c.decoder_units = 5;
    refuse(c, ATT_E_SHAPE, "model.attention");
    c = plain;
    c.shared = 1;
    c.target_vocabulary = V + 1;
    refuse(c, ATT_E_VALUE, "model.shared");
    c = plain;
    c.attention = ATT_SEQ2SEQ_NO_ATTENTION;
    c.attend = ATT_SEQ2SEQ_ATTEND_AFTER;
    c.input_feeding = 1;
    refuse(c, ATT_E_VALUE, "model.input_feeding");
    att_seq2seq_destroy(NULL);
#undef REFUSE
}

static void foreign_words(void **state)
{
    (void)state;
    model m = make_model(&plain);
    att_loss loss;
    for (int which = 0; which < 3; which++) {
        att_seq2seq_batch batch = whole_batch();
        int32_t *bad = which == 0 ? &source[3] : which == 1 ? &target_in[4] : &target_out[4], old = *bad;
        *bad = V;
        att_tape_begin(m.tape, 1);
        assert_int_equal(att_seq2seq_loss(m.tape, m.m, &batch, 0, 1, 0, &loss), ATT_E_VALUE);
        *bad = old;
    }
    free_model(&m);
}

static void failing_allocator(void **state)
{
    (void)state;
    att_seq2seq_config c = plain;
    c.cell = ATT_CELL_LSTM;
    c.decoder_layers = 2;
    att_status status = ATT_E_MEMORY;
    for (int64_t at = 1; status != ATT_OK; at++) {
        att_seq2seq *m = NULL;
        att_tape *tape = NULL;
        att_loss loss;
        att_seq2seq_batch batch = whole_batch();
        test_allocator books;
        test_allocator_init(&books, at);
        status = att_seq2seq_create(&c, 1, 1, &books.allocator, &m);
        if (status == ATT_OK) status = att_tape_create(NULL, &books.allocator, &tape);
        if (status == ATT_OK) {
            att_tape_begin(tape, 1);
            status = att_seq2seq_loss(tape, m, &batch, 0, 1, 0, &loss);
        }
        if (status == ATT_OK) status = att_tape_backward(tape);
        if (status != ATT_OK) assert_int_equal(status, ATT_E_MEMORY);
        att_tape_destroy(tape);
        att_seq2seq_destroy(m);
        assert_int_equal(books.live_blocks, 0);
        if (at > 1000) fail_msg("1000 allocations and no end");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),       cmocka_unit_test(steps_equal_teacher_forcing),
        cmocka_unit_test(sentences_alone), cmocka_unit_test(impossible_configurations),
        cmocka_unit_test(foreign_words),   cmocka_unit_test(failing_allocator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
