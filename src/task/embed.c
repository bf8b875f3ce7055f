/* Sentence embeddings (Reimers & Gurevych 2019, "Sentence-BERT", section 3: the MEAN strategy). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "task/model.h"

enum { BATCH = 32 }; /* lines at once: fixed, so that nothing depends on it */

typedef struct coded {
    int32_t *ids;
    int64_t n;
    int64_t line;
} coded;

static att_status check_model(const att_model *m)
{
    ATT_REQUIRE(att_transformer_configuration(m->network)->shape != ATT_TRANSFORMER_DECODER, ATT_E_UNSUPPORTED,
                "the model is a decoder alone, expected one with an encoder: its states know what comes later");
    ATT_REQUIRE(m->source, ATT_E_UNSUPPORTED,
                "the model has no tokeniser, which text needs; convert a folder that has one");
    return ATT_OK;
}

/* The tokens of a line as the model was trained on them: [CLS] ... [SEP], or ... </s>. */
static att_status encode(const att_model *m, const att_text *line, int32_t *ids, int64_t room, int64_t *n)
{
    if (att_transformer_configuration(m->network)->shape == ATT_TRANSFORMER_ENCODER)
        return att_tokenizer_encode_pair(m->source, line, NULL, m->most, ids, NULL, room, n);
    ATT_TRY(att_tokenizer_encode(m->source, line->data, line->bytes, ids, room - 1, n));
    *n = att_min64(*n, m->most - 1);
    ids[(*n)++] = att_tokenizer_role(m->source, ATT_ROLE_EOS);
    return ATT_OK;
}

static att_status code_line(const att_model *m, const att_text *line, coded *out)
{
    int64_t room = att_min64((int64_t)(line->bytes < INT32_MAX ? line->bytes : INT32_MAX - 16) + 16, m->most + 16);
    for (;;) {
        void *block;
        ATT_TRY(att_new_array(NULL, (size_t)room, sizeof(int32_t), &block));
        att_status status = encode(m, line, block, room, &out->n);
        if (status == ATT_OK) {
            out->ids = block;
            return ATT_OK;
        }
        att_free(NULL, block, 0);
        if (status != ATT_E_SHAPE) return status;
        room = out->n + 2;
    }
}

static int by_length(const void *pa, const void *pb)
{
    const coded *a = pa, *b = pb;
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

static void divide_by_length(float *v, int64_t n)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++) squares += (double)v[i] * (double)v[i];
    float factor = (float)(1 / fmax(sqrt(squares), 1e-12));
    for (int64_t i = 0; i < n; i++) v[i] *= factor;
}

/* Adds the states of n tokens; the caller divides by the length, so the mean needs no division. */
static void sum_states(const float *state, int64_t n, int64_t C, float *out)
{
    memset(out, 0, (size_t)C * sizeof *out);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < C; j++) out[j] += state[i * C + j];
}

/* States (B,T,C) of a batch in the tape's memory. */
static att_status run(att_model *m, const coded *batch, int64_t B, const float **states, int64_t *T)
{
    *T = batch[B - 1].n; /* sorted: the longest */
    att_tape_begin(m->tape, 0);
    int32_t *ids = att_tape_alloc(m->tape, (size_t)(B * *T) * sizeof *ids);
    int32_t *lengths = att_tape_alloc(m->tape, (size_t)B * sizeof *lengths);
    ATT_TRY(att_tape_status(m->tape));
    for (int64_t b = 0; b < B; b++) {
        lengths[b] = (int32_t)batch[b].n;
        for (int64_t i = 0; i < *T; i++) ids[b * *T + i] = i < batch[b].n ? batch[b].ids[i] : 0;
    }
    att_view id_view = att_view_2d(ids, ATT_I32, B, *T), length_view = att_view_1d(lengths, ATT_I32, B);
    att_node *node = att_transformer_encode(m->tape, m->network, &id_view, &length_view, NULL, 0, NULL);
    ATT_TRY(att_tape_status(m->tape));
    *states = att_node_value(node)->data;
    return ATT_OK;
}

static att_status embed_sorted(att_model *m, const coded *list, int64_t n, float *out,
                               int (*progress)(void *ctx, int64_t done), void *ctx)
{
    int64_t C = att_transformer_configuration(m->network)->width;
    for (int64_t at = 0; at < n; at += BATCH) {
        int64_t B = att_min64(BATCH, n - at), T;
        const float *states;
        ATT_TRY(run(m, list + at, B, &states, &T));
        for (int64_t b = 0; b < B; b++) {
            float *row = out + list[at + b].line * C;
            sum_states(states + b * T * C, list[at + b].n, C, row);
            divide_by_length(row, C);
        }
        ATT_REQUIRE(!progress || !progress(ctx, at + B), ATT_E_INTERRUPTED, "interrupted after %lld of %lld lines",
                    (long long)(at + B), (long long)n);
    }
    return ATT_OK;
}

att_status att_model_embed(att_model *m, const att_text *lines, int64_t n, att_view *out,
                           int (*progress)(void *ctx, int64_t done), void *ctx)
{
    int64_t C = att_transformer_configuration(m->network)->width;
    void *block;
    ATT_TRY(check_model(m));
    bool fits =
        out->ndim == 2 && out->dtype == ATT_F32 && att_view_is_dense(out) && out->dim[0] == n && out->dim[1] == C;
    ATT_REQUIRE(fits, ATT_E_SHAPE, "out: expected (%lld,%lld) of float32", (long long)n, (long long)C);
    ATT_TRY(att_new_array(NULL, (size_t)n + 1, sizeof(coded), &block));
    coded *list = block;
    att_status status = ATT_OK;
    int64_t done = 0;
    for (; done < n && status == ATT_OK; done++) {
        list[done].line = done;
        status = code_line(m, &lines[done], &list[done]);
    }
    if (status == ATT_OK) {
        qsort(list, (size_t)n, sizeof *list, by_length);
        status = embed_sorted(m, list, n, out->data, progress, ctx);
    }
    for (int64_t i = 0; i < done; i++) att_free(NULL, list[i].ids, 0);
    att_free(NULL, list, 0);
    return status;
}

/* ---- words ---- */

typedef struct surfaces {
    att_text *surface;
    int64_t *word;
    int32_t *ids;
    int64_t n, room;
    char *normalised;
} surfaces;

static void release(const att_model *m, surfaces *s)
{
    att_text_free(m->allocator, s->normalised);
    att_free(NULL, s->surface, 0);
    att_free(NULL, s->word, 0);
    att_free(NULL, s->ids, 0);
}

static att_status cut_line(const att_model *m, const att_text *line, surfaces *s)
{
    void *surface, *word, *ids;
    s->room = (int64_t)line->bytes * 4 + 16;
    ATT_TRY(att_new_array(NULL, (size_t)s->room, sizeof *s->surface, &surface));
    s->surface = surface;
    ATT_TRY(att_new_array(NULL, (size_t)s->room, sizeof *s->word, &word));
    s->word = word;
    ATT_TRY(att_new_array(NULL, (size_t)s->room, sizeof *s->ids, &ids));
    s->ids = ids;
    return att_tokenizer_encode_surfaces(m->source, line->data, line->bytes, s->ids, s->surface, s->word, s->room,
                                         &s->n, &s->normalised);
}

/* Word number k from its tokens' texts, and from their states, which start at `states`. */
static att_status keep_word(const surfaces *s, int64_t from, int64_t to, const float *states, att_word_states *out)
{
    const char *start = s->surface[from].data, *end = s->surface[to - 1].data + s->surface[to - 1].bytes;
    float *row = out->state + out->n * out->width;
    ATT_TRY(att_copy_string(NULL, start, (size_t)(end - start), &out->word[out->n]));
    sum_states(states + from * out->width, to - from, out->width, row);
    divide_by_length(row, out->width);
    out->n++;
    return ATT_OK;
}

static att_status collect_words(const surfaces *s, int64_t kept, const float *states, att_word_states *out)
{
    for (int64_t from = 0, to; from < kept; from = to) {
        for (to = from + 1; to < kept && s->word[to] == s->word[from];) to++;
        ATT_TRY(keep_word(s, from, to, states, out));
    }
    return ATT_OK;
}

static att_status words_of(att_model *m, const att_text *line, surfaces *s, att_word_states *out)
{
    coded one = {0};
    const float *states;
    int64_t T;
    void *word, *state;
    ATT_TRY(cut_line(m, line, s));
    ATT_TRY(code_line(m, line, &one));
    out->width = att_transformer_configuration(m->network)->width;
    int64_t before = att_transformer_configuration(m->network)->shape == ATT_TRANSFORMER_ENCODER; /* [CLS] */
    int64_t kept = att_max64(one.n - 1 - before, 0);
    att_status status = att_new_array(NULL, (size_t)kept + 1, sizeof *out->word, &word);
    if (status == ATT_OK) {
        out->word = word;
        status = att_new_array(NULL, (size_t)((kept + 1) * out->width), sizeof *out->state, &state);
    }
    if (status == ATT_OK) {
        out->state = state;
        status = run(m, &one, 1, &states, &T);
    }
    if (status == ATT_OK) status = collect_words(s, kept, states + before * out->width, out);
    att_free(NULL, one.ids, 0);
    return status;
}

att_status att_model_words(att_model *m, const att_text *line, att_word_states *out)
{
    surfaces s = {0};
    *out = (att_word_states){0};
    ATT_TRY(check_model(m));
    att_status status = words_of(m, line, &s, out);
    release(m, &s);
    if (status != ATT_OK) att_word_states_free(out);
    return status;
}

void att_word_states_free(att_word_states *s)
{
    for (int64_t i = 0; i < s->n; i++) att_text_free(NULL, s->word[i]);
    att_free(NULL, s->word, 0);
    att_free(NULL, s->state, 0);
    *s = (att_word_states){0};
}
