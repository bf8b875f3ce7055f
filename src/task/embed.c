/* Sentence embeddings (Reimers & Gurevych 2019, "Sentence-BERT", section 3: the MEAN strategy). */
#include <math.h>
#include <string.h>

#include "task/coded.h"

enum { BATCH = 32 }; /* lines at once: fixed, so that nothing depends on it */

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
static att_status run(att_model *m, const att_coded *batch, int64_t B, const float **states, int64_t *T)
{
    att_tape_begin(m->tape, 0);
    att_node *node = att_coded_states(m, m->tape, batch, B, 0);
    ATT_TRY(att_tape_status(m->tape));
    *states = att_node_value(node)->data;
    *T = att_node_value(node)->dim[1];
    return ATT_OK;
}

static att_status embed_sorted(att_model *m, const att_coded *list, int64_t n, float *out,
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
    att_coded *list;
    bool fits =
        out->ndim == 2 && out->dtype == ATT_F32 && att_view_is_dense(out) && out->dim[0] == n && out->dim[1] == C;
    ATT_REQUIRE(fits, ATT_E_SHAPE, "out: expected (%lld,%lld) of float32", (long long)n, (long long)C);
    ATT_TRY(att_coded_create(m, lines, n, &list));
    att_coded_sort(list, n);
    att_status status = embed_sorted(m, list, n, out->data, progress, ctx);
    att_coded_destroy(list, n);
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

static att_status words_of(att_model *m, const att_coded *one, surfaces *s, att_word_states *out)
{
    const float *states;
    int64_t T;
    void *word, *state;
    out->width = att_transformer_configuration(m->network)->width;
    int64_t before = att_transformer_configuration(m->network)->shape == ATT_TRANSFORMER_ENCODER; /* [CLS] */
    int64_t kept = att_max64(one->n - 1 - before, 0);
    ATT_TRY(att_new_array(NULL, (size_t)kept + 1, sizeof *out->word, &word));
    out->word = word;
    ATT_TRY(att_new_array(NULL, (size_t)((kept + 1) * out->width), sizeof *out->state, &state));
    out->state = state;
    ATT_TRY(run(m, one, 1, &states, &T));
    return collect_words(s, kept, states + before * out->width, out);
}

att_status att_model_words(att_model *m, const att_text *line, att_word_states *out)
{
    surfaces s = {0};
    att_coded *one;
    *out = (att_word_states){0};
    ATT_TRY(att_coded_create(m, line, 1, &one));
    att_status status = cut_line(m, line, &s);
    if (status == ATT_OK) status = words_of(m, one, &s, out);
    att_coded_destroy(one, 1);
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
