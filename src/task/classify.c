/* Classification with a model from a file. */
#include <attend/classify.h>

#include <math.h>
#include <string.h>

#include "task/coded.h"

enum { BATCH = 32 }; /* lines at once: fixed, so that nothing depends on it */

int64_t att_model_classes(const att_model *m)
{
    return m->classes;
}

const char *att_model_class(const att_model *m, int64_t i)
{
    return m->class[i];
}

att_status att_model_name_classes(att_model *m, const char *names)
{
    void *block;
    size_t bytes = strlen(names), lines = 0;
    ATT_TRY(att_copy_string(NULL, names, bytes, &m->class_text));
    for (size_t i = 0; i < bytes; i++) lines += names[i] == '\n';
    ATT_TRY(att_new_array(NULL, lines + 1, sizeof *m->class, &block));
    m->class = block;
    m->classes = 0;
    for (char *at = m->class_text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = 0;
        m->class[m->classes++] = at;
    }
    ATT_REQUIRE(m->classes >= 2, ATT_E_FORMAT, "a classifier of %lld classes, expected at least 2",
                (long long)m->classes);
    return ATT_OK;
}

/* ---- probabilities ---- */

static void softmax(float *x, int64_t n)
{
    float most = x[0];
    double sum = 0;
    for (int64_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int64_t i = 0; i < n; i++) sum += exp((double)(x[i] - most));
    for (int64_t i = 0; i < n; i++) x[i] = (float)(exp((double)(x[i] - most)) / sum);
}

static att_status classify_batch(att_model *m, const att_coded *batch, int64_t B, float *out)
{
    att_tape_begin(m->tape, 0);
    att_node *states = att_coded_states(m, m->tape, batch, B, 0);
    att_node *logits = att_transformer_classify(m->tape, m->network, states);
    ATT_TRY(att_tape_status(m->tape));
    const float *row = att_node_value(logits)->data;
    for (int64_t b = 0; b < B; b++) {
        float *to = out + batch[b].line * m->classes;
        memcpy(to, row + b * m->classes, (size_t)m->classes * sizeof *to);
        softmax(to, m->classes);
    }
    return ATT_OK;
}

att_status att_model_classify(att_model *m, const att_text *lines, int64_t n, att_view *probability,
                              int (*progress)(void *ctx, int64_t done), void *ctx)
{
    const att_view *p = probability;
    att_coded *list;
    ATT_REQUIRE(m->classes, ATT_E_UNSUPPORTED, "the model does not classify, expected one of the task classification");
    bool fits =
        p->ndim == 2 && p->dtype == ATT_F32 && att_view_is_dense(p) && p->dim[0] == n && p->dim[1] == m->classes;
    ATT_REQUIRE(fits, ATT_E_SHAPE, "probability: expected (%lld,%lld) of float32", (long long)n, (long long)m->classes);
    ATT_TRY(att_coded_create(m, lines, n, &list));
    att_coded_sort(list, n);
    att_status status = ATT_OK;
    for (int64_t at = 0; at < n && status == ATT_OK; at += BATCH) {
        int64_t B = att_min64(BATCH, n - at);
        status = classify_batch(m, list + at, B, p->data);
        if (status == ATT_OK && progress && progress(ctx, at + B))
            status =
                att_fail(ATT_E_INTERRUPTED, "interrupted after %lld of %lld lines", (long long)(at + B), (long long)n);
    }
    att_coded_destroy(list, n);
    return status;
}

/* ---- measuring ---- */

static int64_t find_class(const att_model *m, const att_text *name)
{
    int64_t i = 0;
    while (i < m->classes &&
           (strlen(m->class[i]) != name->bytes || memcmp(m->class[i], name -> data, name -> bytes) != 0))
        i++;
    return i;
}

att_status att_model_find_classes(const att_model *m, const att_pairs *pairs, int32_t *out)
{
    for (int64_t i = 0; i < pairs->count; i++) {
        const att_text *name = &pairs->target[i];
        int64_t class = find_class(m, name);
        ATT_REQUIRE(class < m->classes, ATT_E_VALUE, "pair %lld: the class '%.*s' is none of the model's",
                    (long long)i + 1, (int)(name->bytes < 64 ? name->bytes : 64), name->data);
        out[i] = (int32_t) class;
    }
    return ATT_OK;
}

/* 2 right / (said + there), a mean over the classes that occur in either way. */
static double macro_f1(const int64_t *confusion, int64_t classes)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t c = 0; c < classes; c++) {
        int64_t both = 0;
        for (int64_t o = 0; o < classes; o++) both += confusion[c * classes + o] + confusion[o * classes + c];
        if (both == 0) continue;
        sum += 2.0 * (double)confusion[c * classes + c] / (double)both;
        n++;
    }
    return n ? sum / (double)n : 0;
}

static void measure(const float *probability, const int32_t *class, int64_t n, int64_t classes, int64_t *confusion,
                    att_classification *out)
{
    double loss = 0;
    int64_t right = 0;
    memset(confusion, 0, (size_t)(classes * classes) * sizeof *confusion);
    for (int64_t i = 0; i < n; i++) {
        const float *p = probability + i * classes;
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++) best = p[c] > p[best] ? c : best;
        loss -= log(fmax((double)p[class[i]], 1e-38));
        right += best == class[i];
        confusion[class[i] * classes + best]++;
    }
    out->lines = n;
    out->loss = loss / (double)att_max64(n, 1);
    out->accuracy = (double)right / (double)att_max64(n, 1);
    out->f1 = macro_f1(confusion, classes);
}

typedef struct rooms {
    float *probability; /* (n, classes) */
    int32_t *class;     /* (n) */
    int64_t *confusion; /* (classes, classes) */
} rooms;

static att_status evaluate(att_model *m, const att_pairs *pairs, rooms *r, att_classification *out,
                           int (*progress)(void *ctx, int64_t done), void *ctx)
{
    void *block;
    int64_t n = pairs->count, classes = m->classes;
    ATT_TRY(att_new_array(NULL, (size_t)(n * classes), sizeof *r->probability, &block));
    r->probability = block;
    ATT_TRY(att_new_array(NULL, (size_t)n, sizeof *r->class, &block));
    r->class = block;
    ATT_TRY(att_new_array(NULL, (size_t)(classes * classes), sizeof *r->confusion, &block));
    r->confusion = block;
    ATT_TRY(att_model_find_classes(m, pairs, r->class));
    att_view view = att_view_2d(r->probability, ATT_F32, n, classes);
    ATT_TRY(att_model_classify(m, pairs->source, n, &view, progress, ctx));
    measure(r->probability, r->class, n, classes, r->confusion, out);
    return ATT_OK;
}

att_status att_model_classify_evaluate(att_model *m, const att_pairs *pairs, att_classification *out,
                                       int64_t *confusion, int (*progress)(void *ctx, int64_t done), void *ctx)
{
    rooms r = {0};
    double start = att_clock();
    *out = (att_classification){0};
    ATT_REQUIRE(m->classes, ATT_E_UNSUPPORTED, "the model does not classify, expected one of the task classification");
    att_status status = evaluate(m, pairs, &r, out, progress, ctx);
    if (status == ATT_OK && confusion)
        memcpy(confusion, r.confusion, (size_t)(m->classes * m->classes) * sizeof *confusion);
    out->seconds = att_clock() - start;
    att_free(NULL, r.probability, 0);
    att_free(NULL, r.class, 0);
    att_free(NULL, r.confusion, 0);
    return status;
}
