/* Filling in masked tokens. */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>

#include "task/language.h"

#define MARK "[MASK]"

typedef struct masked {
    int32_t *ids;
    int64_t n, room, masks;
} masked;

/* The token that begins or ends a text, of a model that was trained with it. */
static void add_role(const att_language *l, att_token_role role, masked *m)
{
    int32_t token = l->framed ? att_tokenizer_role(l->tokenizer, role) : -1;
    if (token >= 0) m->ids[m->n++] = token;
}

/* The text between marks, token by token, with the mask's token for each mark. */
static att_status encode(const att_language *l, att_text text, masked *m)
{
    const char *at = text.data, *end = text.data + text.bytes;
    void *block;
    m->room = 3 * (int64_t)text.bytes + 8;
    ATT_TRY(att_new_array(NULL, (size_t)m->room, sizeof *m->ids, &block));
    m->ids = block;
    add_role(l, ATT_ROLE_BOS, m);
    while (at <= end) {
        const char *mark = at < end ? memmem(at, (size_t)(end - at), MARK, strlen(MARK)) : NULL,
                   *stop = mark ? mark : end;
        int64_t n = 0;
        if (stop > at)
            ATT_TRY(att_tokenizer_encode(l->tokenizer, at, (size_t)(stop - at), m->ids + m->n, m->room - m->n, &n));
        m->n += n;
        if (!mark) break;
        m->ids[m->n++] = l->mask;
        m->masks++;
        at = mark + strlen(MARK);
    }
    add_role(l, ATT_ROLE_EOS, m);
    int64_t context = att_transformer_configuration(l->model)->context;
    ATT_REQUIRE(m->masks > 0, ATT_E_VALUE, "text: has no %s to fill in", MARK);
    ATT_REQUIRE(m->n <= context, ATT_E_VALUE,
                "text: %lld tokens, but the model was trained on at most %lld (model.context)", (long long)m->n,
                (long long)context);
    return ATT_OK;
}

static double sum_of_exp(const float *x, int64_t n, float *most)
{
    double sum = 0;
    *most = x[0];
    for (int64_t i = 1; i < n; i++) *most = x[i] > *most ? x[i] : *most;
    for (int64_t i = 0; i < n; i++) sum += (double)expf(x[i] - *most);
    return sum;
}

static att_status text_of(const att_language *l, int32_t id, char **out)
{
    const char *piece = att_tokenizer_piece(l->tokenizer, id);
    return att_copy_string(NULL, piece ? piece : "", piece ? strlen(piece) : 0, out);
}

/* The `best` largest of the logits, in order; of equals the lower number first. */
static att_status best_of(const att_language *l, const float *x, int64_t best, int64_t mask, att_filling *out)
{
    float most;
    int64_t V = att_tokenizer_size(l->tokenizer); /* a mask that is no token of the text is never an answer */
    double sum = sum_of_exp(x, V, &most);
    for (int64_t r = 0; r < best; r++) {
        int64_t next = -1;
        for (int64_t v = 0; v < V; v++) {
            bool after = r == 0 || x[v] < x[out[r - 1].token] || (x[v] == x[out[r - 1].token] && v > out[r - 1].token);
            if (after && (next < 0 || x[v] > x[next])) next = v;
        }
        if (next < 0) break;
        out[r] = (att_filling){.mask = mask, .token = (int32_t)next, .probability = (double)expf(x[next] - most) / sum};
        ATT_TRY(text_of(l, (int32_t)next, &out[r].text));
    }
    return ATT_OK;
}

static att_status predict(att_language *l, const masked *m, int64_t best, int64_t most, att_filling *out)
{
    att_view ids = att_view_2d(m->ids, ATT_I32, 1, m->n);
    att_tape_begin(l->tape, 0);
    att_node *x = att_transformer_encode(l->tape, l->model, &ids, NULL, NULL, 0, NULL);
    x = att_transformer_logits(l->tape, l->model, x);
    ATT_TRY(att_tape_status(l->tape));
    const float *logits = att_node_value(x)->data;
    int64_t V = att_node_value(x)->dim[2];
    for (int64_t i = 0, k = 0; i < m->n && k < most; i++)
        if (m->ids[i] == l->mask) {
            ATT_TRY(best_of(l, logits + i * V, best, k, out + k * best));
            k++;
        }
    return ATT_OK;
}

att_status att_fill_masks(att_language *l, att_text text, int64_t best, int64_t most, att_filling *out, int64_t *masks)
{
    masked m = {0};
    *masks = 0;
    memset(out, 0, (size_t)(best * most) * sizeof *out);
    ATT_REQUIRE(att_language_masks(l), ATT_E_UNSUPPORTED,
                "the model continues text (task language-model); it does not fill in");
    ATT_REQUIRE(best >= 1 && best <= att_tokenizer_size(l->tokenizer), ATT_E_VALUE,
                "best: %lld, expected 1 to the vocabulary's %lld", (long long)best,
                (long long)att_tokenizer_size(l->tokenizer));
    att_status status = encode(l, text, &m);
    if (status == ATT_OK) status = predict(l, &m, best, most, out);
    *masks = m.masks;
    att_free(NULL, m.ids, (size_t)m.room * sizeof *m.ids);
    return status;
}
