#include "task/decoder.h"

#include <string.h>

#define WITH_LENGTHS(d) att_view_1d((d)->lengths, ATT_I32, (d)->B)

/* Of a dense view's entries along `axis` those in entry[n] stay, moved together in place: entry[i] >= i ascends. */
static void keep_entries(att_view *v, int axis, const int32_t *entry, int64_t n)
{
    int64_t before = 1;
    size_t bytes = att_dtype_bytes(v->dtype);
    if (!v->data) return;
    for (int d = 0; d < axis; d++) before *= v->dim[d];
    for (int d = axis + 1; d < v->ndim; d++) bytes *= (size_t)v->dim[d];
    for (int64_t o = 0; o < before; o++)
        for (int64_t i = 0; i < n; i++)
            memmove((char *)v->data + (size_t)(o * n + i) * bytes,
                    (const char *)v->data + (size_t)(o * v->dim[axis] + entry[i]) * bytes, bytes);
    int64_t dim[ATT_MAX_DIMS];
    memcpy(dim, v->dim, sizeof dim);
    dim[axis] = n;
    *v = att_view_dense(v->data, v->dtype, v->ndim, dim);
}

static void keep_of_node(att_decoder *d, att_node **node, int axis, const int32_t *entry, int64_t n)
{
    if (!*node) return;
    att_view v = *att_node_value(*node);
    keep_entries(&v, axis, entry, n);
    *node = att_tape_constant(d->t->encoder, &v);
}

/* ---- recurrent ---- */

static int64_t state_width(const att_seq2seq_config *c)
{
    int64_t parts = c->decoder_layers * (c->cell == ATT_CELL_LSTM ? 2 : 1);
    return parts * c->decoder_units + (c->input_feeding ? c->embedding : 0);
}

/* Calls `visit` for every part of the state with its place in a row. */
static void each_part(att_decoder *d, const int32_t *parent,
                      void (*visit)(const att_decoder *, att_node **, int64_t at, int64_t width, const int32_t *))
{
    const att_seq2seq_config *c = att_seq2seq_configuration(d->t->model.recurrent);
    int64_t at = 0, D = c->decoder_units;
    for (int64_t l = 0; l < c->decoder_layers; l++) {
        visit(d, &d->state.h[l], at, D, parent);
        at += D;
        if (c->cell != ATT_CELL_LSTM) continue;
        visit(d, &d->state.c[l], at, D, parent);
        at += D;
    }
    if (c->input_feeding) visit(d, &d->state.feed, at, c->embedding, parent);
}

static void load_part(const att_decoder *d, att_node **node, int64_t at, int64_t width, const int32_t *parent)
{
    att_view all = att_view_2d(d->row[0], ATT_F32, d->R, d->width), part = att_view_slice(&all, 1, at, at + width);
    (void)parent;
    *node = att_tape_constant(d->t->decoder, &part);
}

/* Row r of the next state is row parent[r] of the node. */
static void store_part(const att_decoder *d, att_node **node, int64_t at, int64_t width, const int32_t *parent)
{
    const att_view *v = att_node_value(*node);
    for (int64_t r = 0; r < d->R; r++)
        memcpy(d->row[1] + r * d->width + at, (const float *)v->data + parent[r] * v->stride[0],
               (size_t)width * sizeof(float));
}

/* The encoder's B rows, each for all rows of its sentence. */
static void spread_part(const att_decoder *d, att_node **node, int64_t at, int64_t width, const int32_t *parent)
{
    const att_view *v = att_node_value(*node);
    (void)parent;
    for (int64_t r = 0; r < d->R; r++)
        memcpy(d->row[0] + r * d->width + at, (const float *)v->data + r / d->k * v->stride[0],
               (size_t)width * sizeof(float));
}

static att_status start_recurrent(att_decoder *d)
{
    att_view source = att_view_2d(d->batch->ids, ATT_I32, d->batch->Ts, d->batch->B), lengths = WITH_LENGTHS(d);
    att_seq2seq_encode(d->t->encoder, d->t->model.recurrent, &source, &lengths, 0, &d->recurrent, &d->state);
    ATT_TRY(att_tape_status(d->t->encoder));
    d->width = state_width(att_seq2seq_configuration(d->t->model.recurrent));
    d->row_floats = d->R * d->width;
    for (int i = 0; i < 2; i++) {
        void *block;
        ATT_TRY(att_new_array(d->t->allocator, (size_t)d->row_floats, sizeof(float), &block));
        d->row[i] = block;
    }
    each_part(d, NULL, spread_part);
    return ATT_OK;
}

static att_node *step_recurrent(att_decoder *d, const int32_t *ids)
{
    att_view previous = att_view_1d((void *)(uintptr_t)ids, ATT_I32, d->R), weights;
    each_part(d, NULL, load_part);
    att_node *logits = att_seq2seq_step(d->t->decoder, d->t->model.recurrent, &d->recurrent, &previous, &d->state,
                                        d->look ? &weights : NULL);
    if (d->look) d->weights = weights.data;
    return logits;
}

static void follow_recurrent(att_decoder *d, const int32_t *parent)
{
    each_part(d, parent, store_part);
    float *swap = d->row[0];
    d->row[0] = d->row[1];
    d->row[1] = swap;
}

static void keep_recurrent(att_decoder *d, const int32_t *sentence, int64_t n)
{
    att_seq2seq_memory *m = &d->recurrent;
    att_view rows = att_view_2d(d->row[0], ATT_F32, d->B, d->k * d->width);
    bool one = m->keys == m->states; /* some scores compare with the states themselves */
    keep_entries(&rows, 0, sentence, n);
    keep_of_node(d, &m->states, 1, sentence, n);
    if (one)
        m->keys = m->states;
    else
        keep_of_node(d, &m->keys, 1, sentence, n);
    keep_of_node(d, &m->context, 0, sentence, n);
    keep_entries(&m->prepared, 0, sentence, n);
    m->lengths.dim[0] = n;
}

/* ---- Transformer ---- */

static att_status start_transformer(att_decoder *d, int64_t steps)
{
    att_tape *tape = d->t->encoder;
    const att_transformer *m = d->t->model.transformer;
    att_view ids = att_view_2d(d->batch->ids, ATT_I32, d->batch->Ts, d->batch->B), lengths = WITH_LENGTHS(d);
    att_view source = att_batch_major(tape, &ids);
    ATT_TRY(att_tape_status(tape));
    att_node *states = att_transformer_encode(tape, m, &source, &lengths, NULL, 0, NULL);
    att_transformer_remember(tape, m, states, &lengths, &d->memory);
    ATT_TRY(att_tape_status(tape));
    if (d->t->cache) return att_transformer_cache_reserve(d->t->cache, d->R, steps);
    return att_transformer_cache_create(m, d->R, steps, d->t->allocator, &d->t->cache);
}

static void keep_transformer(att_decoder *d, const int32_t *sentence, int64_t n)
{
    int64_t layers = att_transformer_configuration(d->t->model.transformer)->decoder_layers;
    for (int64_t l = 0; l < layers; l++) keep_of_node(d, &d->memory.key_value[l], 0, sentence, n);
    d->memory.lengths.dim[0] = n;
    for (int64_t r = 0; r < n * d->k; r++) d->row_kept[r] = sentence[r / d->k] * (int32_t)d->k + (int32_t)(r % d->k);
    att_transformer_cache_keep(d->t->cache, &d->t->exec, d->row_kept, n * d->k);
}

/* Mean over the heads of the layer before the last, which aligns best (Garg et al. 2019, section 4.2). */
static const float *alignment(att_decoder *d, const att_view *weights)
{
    int64_t H = weights->dim[1], n = d->k, Ts = d->batch->Ts;
    float *mean = att_tape_alloc(d->t->decoder, (size_t)(d->R * Ts) * sizeof *mean);
    if (!mean) return NULL;
    memset(mean, 0, (size_t)(d->R * Ts) * sizeof *mean);
    for (int64_t r = 0; r < d->R; r++)
        for (int64_t h = 0; h < H; h++) {
            const float *w = (const float *)weights->data + ((r / n * H + h) * n + r % n) * Ts;
            for (int64_t j = 0; j < Ts; j++) mean[r * Ts + j] += w[j] / (float)H;
        }
    return mean;
}

static att_node *step_transformer(att_decoder *d, const int32_t *ids)
{
    const att_transformer *m = d->t->model.transformer;
    att_tape *tape = d->t->decoder;
    att_view words = att_view_2d((void *)(uintptr_t)ids, ATT_I32, d->R, 1);
    att_transformer_look *look = d->look ? att_tape_alloc(tape, sizeof *look) : NULL;
    att_node *x = att_transformer_decode(tape, m, &d->memory, d->t->cache, &words, 0, look);
    int64_t layers = att_transformer_configuration(m)->decoder_layers;
    if (look && att_tape_status(tape) == ATT_OK) d->weights = alignment(d, &look->cross[layers > 1 ? layers - 2 : 0]);
    return att_transformer_logits(tape, m, x);
}

/* ---- either ---- */

att_status att_decoder_start(att_decoder *d, att_translator *t, const att_search_batch *batch, int64_t k, int64_t steps,
                             bool look)
{
    *d = (att_decoder){.t = t, .batch = batch, .k = k, .B = batch->B, .R = batch->B * k, .look = look};
    att_tape_begin(t->encoder, 0);
    d->lengths = att_tape_alloc(t->encoder, (size_t)d->B * sizeof *d->lengths);
    d->row_kept = att_tape_alloc(t->encoder, (size_t)d->R * sizeof *d->row_kept);
    ATT_TRY(att_tape_status(t->encoder));
    memcpy(d->lengths, batch->lengths, (size_t)d->B * sizeof *d->lengths);
    return t->model.recurrent ? start_recurrent(d) : start_transformer(d, steps);
}

att_status att_decoder_step(att_decoder *d, const int32_t *ids)
{
    att_tape_begin(d->t->decoder, 0);
    att_node *logits = d->t->model.recurrent ? step_recurrent(d, ids) : step_transformer(d, ids);
    ATT_TRY(att_tape_status(d->t->decoder));
    d->logits = att_node_value(logits)->data;
    return ATT_OK;
}

void att_decoder_follow(att_decoder *d, const int32_t *parent)
{
    if (d->t->model.recurrent)
        follow_recurrent(d, parent);
    else
        att_transformer_cache_reorder(d->t->cache, &d->t->exec, parent);
}

att_status att_decoder_keep(att_decoder *d, const int32_t *sentence, int64_t n)
{
    att_view lengths = WITH_LENGTHS(d);
    keep_entries(&lengths, 0, sentence, n);
    if (d->t->model.recurrent)
        keep_recurrent(d, sentence, n);
    else
        keep_transformer(d, sentence, n);
    d->B = n;
    d->R = n * d->k;
    return att_tape_status(d->t->encoder);
}

void att_decoder_stop(att_decoder *d)
{
    for (int i = 0; i < 2; i++) att_free(d->t->allocator, d->row[i], (size_t)d->row_floats * sizeof(float));
}
