/* The models of `attend bench train`: recurrent translators with additive attention. */
#include "bench.h"

#include <stdlib.h>

#include <attend/seq2seq.h>
#include <attend/tape.h>

enum { EMBEDDING = 256 };

/* ---- nmt-step: Bahdanau, Cho and Bengio 2015; the context enters the decoder's next step ---- */

typedef struct stepwise {
    att_seq2seq *model;
    int32_t *lengths; /* all the same */
} stepwise;

static void stepwise_destroy(void *state)
{
    stepwise *s = state;
    att_seq2seq_destroy(s->model);
    free(s->lengths);
    free(s);
}

static att_status stepwise_create(const bench_request *r, void **state, att_params **params)
{
    att_seq2seq_config config = {.source_vocabulary = r->vocabulary,
                                 .target_vocabulary = r->vocabulary,
                                 .embedding = EMBEDDING,
                                 .encoder_units = r->width,
                                 .decoder_units = r->width,
                                 .encoder_layers = 1,
                                 .decoder_layers = 1};
    stepwise *s = calloc(1, sizeof *s);
    if (!s || !(s->lengths = malloc((size_t)r->batch * sizeof *s->lengths))) exit(cli_failed("out of memory"));
    for (int64_t b = 0; b < r->batch; b++) s->lengths[b] = (int32_t)r->length;
    *state = s;
    att_status st = att_seq2seq_create(&config, 1, 1, NULL, &s->model);
    if (st == ATT_OK) *params = att_seq2seq_params(s->model);
    return st;
}

static att_status stepwise_loss(void *state, att_tape *tape, const att_view ids[3])
{
    stepwise *s = state;
    att_seq2seq_batch batch = {.source = ids[0],
                               .target_in = ids[1],
                               .target_out = ids[2],
                               .source_lengths = att_view_1d(s->lengths, ATT_I32, ids[0].dim[1])};
    att_loss loss;
    return att_seq2seq_loss(tape, s->model, &batch, 0.0, 1.0 / (double)att_view_count(&ids[2]), 1, &loss);
}

/* The tanh of the attention and everything that is not a product is left out. */
static double stepwise_flops(const bench_request *r)
{
    double U = (double)r->width, E = EMBEDDING, V = (double)r->vocabulary, words = (double)(r->batch * r->length);
    double encoder = 2 * 3 * U * (E + U), keys = 2 * U * U, query = U * U, cell = 3 * U * (E + 2 * U + U);
    double readout = (U + 2 * U + E) * E, output = E * V, context = 2 * U * (double)r->length;
    double start = U * U / (double)r->length;
    return 3 * 2 * words * (encoder + keys + query + cell + readout + output + context + start);
}

const bench_model bench_nmt_step = {
    "nmt-step", stepwise_create, stepwise_destroy, stepwise_loss, stepwise_flops, 256, 64, 16, 5000};

/* ---- nmt: the decoder reads words alone, and all of its states attend at once (the TensorFlow tutorial's) ---- */

enum {
    SOURCE,
    TARGET,
    ENCODER, /* input kernel, its bias, recurrent kernel, its bias; forward, then backward */
    DECODER = ENCODER + 8,
    QUERY = DECODER + 4,
    KEY,
    SCORE,
    COMBINE, /* kernel, bias */
    OUTPUT = COMBINE + 2,
    PARAMETERS = OUTPUT + 2
};

typedef struct tutorial {
    att_params *params;
    att_parameter *p[PARAMETERS];
} tutorial;

static void tutorial_destroy(void *state)
{
    tutorial *m = state;
    att_params_destroy(m->params);
    free(m);
}

static att_status add(tutorial *m, int at, int64_t rows, int64_t cols, double scale)
{
    char name[16];
    snprintf(name, sizeof name, "p%d", at);
    if (!cols) return att_params_add(m->params, name, 1, &rows, ATT_INIT_UNIFORM, scale, &m->p[at]);
    return att_params_add(m->params, name, 2, (int64_t[]){rows, cols}, ATT_INIT_UNIFORM, scale, &m->p[at]);
}

static att_status add_gru(tutorial *m, int at, int64_t E, int64_t U)
{
    att_status st = add(m, at, E, 3 * U, 0.05);
    if (st == ATT_OK) st = add(m, at + 1, 3 * U, 0, 0.05);
    if (st == ATT_OK) st = add(m, at + 2, U, 3 * U, 0.05);
    return st == ATT_OK ? add(m, at + 3, 3 * U, 0, 0.05) : st;
}

static att_status add_all(tutorial *m, int64_t V, int64_t U)
{
    const int64_t rest[][3] = {{SOURCE, V, EMBEDDING}, {TARGET, V, EMBEDDING}, {QUERY, U, U},       {KEY, U, U},
                               {SCORE, U, 0},          {COMBINE, 2 * U, U},    {COMBINE + 1, U, 0}, {OUTPUT, U, V},
                               {OUTPUT + 1, V, 0}};
    att_status st = add_gru(m, ENCODER, EMBEDDING, U);
    if (st == ATT_OK) st = add_gru(m, ENCODER + 4, EMBEDDING, U);
    if (st == ATT_OK) st = add_gru(m, DECODER, EMBEDDING, U);
    for (size_t i = 0; st == ATT_OK && i < sizeof rest / sizeof *rest; i++)
        st = add(m, (int)rest[i][0], rest[i][1], rest[i][2], 0.05);
    return st == ATT_OK ? att_params_allocate(m->params, 1, 1) : st;
}

static att_status tutorial_create(const bench_request *r, void **state, att_params **params)
{
    tutorial *m = calloc(1, sizeof *m);
    if (!m) exit(cli_failed("out of memory"));
    *state = m;
    att_status st = att_params_create(NULL, &m->params);
    *params = m->params;
    return st == ATT_OK ? add_all(m, r->vocabulary, r->width) : st;
}

static att_node *parameter(att_tape *tape, const tutorial *m, int at)
{
    return att_tape_parameter(tape, m->p[at]);
}

/* Words (T,B,E) through a GRU: (B,T,U), which lies time-major. */
static att_node *gru(att_tape *tape, const tutorial *m, int at, att_node *words, int reverse)
{
    att_node *gates = att_tape_linear(tape, words, parameter(tape, m, at), parameter(tape, m, at + 1), ATT_ACT_NONE);
    att_tape_rnn_in in = {.gates_x = att_tape_transpose(tape, gates, 0, 1),
                          .w = parameter(tape, m, at + 2),
                          .bias_h = parameter(tape, m, at + 3)};
    att_node *c;
    return att_tape_rnn(tape, &(att_rnn_desc){.cell = ATT_CELL_GRU, .reverse = reverse}, &in, &c);
}

static att_node *words(att_tape *tape, const tutorial *m, int table, const att_view *ids)
{
    return att_tape_embedding(tape, parameter(tape, m, table), ids);
}

/* (T,B,U) -> (B,1,T,U) */
static att_node *as_heads(att_tape *tape, att_node *x, const int64_t *dim)
{
    return att_tape_reshape(tape, att_tape_transpose(tape, x, 0, 1), 4, (int64_t[]){dim[1], 1, dim[0], dim[2]});
}

static att_node *attend(att_tape *tape, const tutorial *m, att_node *states, att_node *decoded, const int64_t *dim)
{
    att_attention_desc desc = {.score = ATT_SCORE_ADDITIVE};
    att_node *q = att_tape_linear(tape, decoded, parameter(tape, m, QUERY), NULL, ATT_ACT_NONE);
    att_node *k = att_tape_linear(tape, states, parameter(tape, m, KEY), NULL, ATT_ACT_NONE);
    att_tape_attention_in in = {.q = as_heads(tape, q, dim),
                                .k = as_heads(tape, k, dim),
                                .v = as_heads(tape, states, dim),
                                .score_w = parameter(tape, m, SCORE)};
    att_node *o = att_tape_attention(tape, &desc, &in, NULL);
    return att_tape_transpose(tape, att_tape_reshape(tape, o, 3, (int64_t[]){dim[1], dim[0], dim[2]}), 0, 1);
}

static att_status tutorial_loss(void *state, att_tape *tape, const att_view ids[3])
{
    tutorial *m = state;
    att_node *x = words(tape, m, SOURCE, &ids[0]);
    att_node *states = att_tape_add(tape, gru(tape, m, ENCODER, x, 0), gru(tape, m, ENCODER + 4, x, 1));
    att_node *decoded = att_tape_transpose(tape, gru(tape, m, DECODER, words(tape, m, TARGET, &ids[1]), 0), 0, 1);
    if (att_tape_status(tape) != ATT_OK) return att_tape_status(tape);
    states = att_tape_transpose(tape, states, 0, 1);
    const int64_t *dim = att_node_value(decoded)->dim;
    att_node *part[2] = {attend(tape, m, states, decoded, dim), decoded};
    att_node *both = att_tape_linear(tape, att_tape_concat(tape, 2, part), parameter(tape, m, COMBINE),
                                     parameter(tape, m, COMBINE + 1), ATT_ACT_TANH);
    att_loss loss;
    att_tape_linear_cross_entropy(tape, both, parameter(tape, m, OUTPUT), parameter(tape, m, OUTPUT + 1), 0, &ids[2],
                                  0.0, 1.0 / (double)att_view_count(&ids[2]), &loss);
    return att_tape_status(tape);
}

static double tutorial_flops(const bench_request *r)
{
    double U = (double)r->width, E = EMBEDDING, V = (double)r->vocabulary, words = (double)(r->batch * r->length);
    double recurrent = 3 * 3 * U * (E + U), attention = 2 * U * U + U * (double)r->length;
    return 3 * 2 * words * (recurrent + attention + 2 * U * U + U * V);
}

const bench_model bench_nmt = {"nmt", tutorial_create, tutorial_destroy, tutorial_loss, tutorial_flops, 256, 64, 16,
                               5000};
