/* Texts as one row of token numbers, and windows of it as batches. */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>
#include <time.h>

#include "task/language.h"

#define EVALUATE_TOKENS 4096 /* of a batch in evaluation */

enum { STREAM_MASK = 0x6d61736b };

static att_status reserve(att_windows *w, int64_t more)
{
    void *block = w->ids;
    if (w->n + more <= w->room) return ATT_OK;
    int64_t room = 2 * (w->n + more);
    ATT_TRY(att_realloc(NULL, &block, (size_t)w->room * sizeof *w->ids, (size_t)room * sizeof *w->ids));
    w->ids = block;
    w->room = room;
    return ATT_OK;
}

static att_status append(const att_language *l, att_text text, att_windows *w)
{
    int64_t n, most = (int64_t)text.bytes + 2;
    ATT_TRY(reserve(w, most + 1));
    att_status status = att_tokenizer_encode(l->tokenizer, text.data, text.bytes, w->ids + w->n, most, &n);
    if (status == ATT_E_SHAPE) { /* normalisation made it longer */
        ATT_TRY(reserve(w, n + 1));
        status = att_tokenizer_encode(l->tokenizer, text.data, text.bytes, w->ids + w->n, n, &n);
    }
    ATT_TRY(status);
    w->n += n;
    int32_t end = att_tokenizer_role(l->tokenizer, ATT_ROLE_EOS);
    if (l->recipe.data.unit == ATT_UNIT_LINES && end >= 0) w->ids[w->n++] = end;
    return ATT_OK;
}

att_status att_windows_create(const att_language *l, const att_texts *texts, att_windows *out)
{
    *out = (att_windows){.bytes = texts->bytes};
    att_status status = ATT_OK;
    for (int64_t i = 0; i < texts->count && status == ATT_OK; i++) status = append(l, texts->text[i], out);
    out->T = att_min64(att_transformer_configuration(l->model)->context, out->n - 1);
    if (status == ATT_OK && out->T < 1)
        status = att_fail(ATT_E_VALUE, "text: %lld tokens, expected at least 2", (long long)out->n);
    if (status != ATT_OK) att_windows_free(out);
    return status;
}

void att_windows_free(att_windows *w)
{
    att_free(NULL, w->ids, (size_t)w->room * sizeof *w->ids);
    *w = (att_windows){0};
}

/* Of the tokens 15 % are to be predicted; of those 80 % are masked, 10 % become a random one, 10 % stay (Devlin 2019,
 * section 3.1). Every token's lot depends on (choice, its place) alone. */
static void mask_window(const att_language *l, int32_t *in, int32_t *out, int64_t n, uint64_t choice, int64_t place)
{
    int64_t V = att_tokenizer_size(l->tokenizer);
    for (int64_t i = 0; i < n; i++) {
        att_random r = {.seed = choice, .stream = STREAM_MASK + (uint64_t)(place + i) * 2654435761u};
        double u = att_random_uniform(&r), how = att_random_uniform(&r);
        out[i] = u < 0.15 ? in[i] : -1;
        if (u >= 0.15) continue;
        if (how < 0.8)
            in[i] = l->mask;
        else if (how < 0.9)
            in[i] = (int32_t)att_random_below(&r, (uint64_t)V);
    }
}

att_status att_windows_loss(const att_language *l, const att_windows *w, att_tape *tape, const int64_t *start,
                            int64_t B, uint64_t choice, double smoothing, double scale, uint64_t seed, att_loss *loss)
{
    int32_t *in = att_tape_alloc(tape, 2 * (size_t)(B * w->T) * sizeof *in), *out = in + B * w->T;
    if (!in) return att_tape_status(tape);
    for (int64_t b = 0; b < B; b++) {
        memcpy(in + b * w->T, w->ids + start[b], (size_t)w->T * sizeof *in);
        if (att_language_masks(l))
            mask_window(l, in + b * w->T, out + b * w->T, w->T, choice, start[b]);
        else
            memcpy(out + b * w->T, w->ids + start[b] + 1, (size_t)w->T * sizeof *out);
    }
    att_view vin = att_view_2d(in, ATT_I32, B, w->T), vout = att_view_2d(out, ATT_I32, B, w->T);
    att_transformer_batch batch = {.source = vin, .target_in = vin, .target_out = vout};
    return att_transformer_loss(tape, l->model, &batch, smoothing, scale, seed, loss);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static att_status sum_windows(att_language *l, att_windows w, int64_t count, int64_t last, att_loss *total)
{
    int64_t start[EVALUATE_TOKENS], most = att_max64(1, EVALUATE_TOKENS / w.T);
    for (int64_t first = 0; first < count; first += most) {
        att_loss part;
        int64_t B = att_min64(most, count - first);
        for (int64_t b = 0; b < B; b++) start[b] = (first + b) * w.T;
        att_tape_begin(l->tape, 0);
        ATT_TRY(att_windows_loss(l, &w, l->tape, start, B, 1, 0.0, 1.0, 0, &part));
        total->sum += part.sum;
        total->count += part.count;
        total->correct += part.correct;
    }
    if (last < 1) return ATT_OK;
    w.T = last; /* what is left at the end, shorter than a window */
    att_loss part;
    start[0] = w.n - 1 - last;
    att_tape_begin(l->tape, 0);
    ATT_TRY(att_windows_loss(l, &w, l->tape, start, 1, 1, 0.0, 1.0, 0, &part));
    total->sum += part.sum;
    total->count += part.count;
    total->correct += part.correct;
    return ATT_OK;
}

att_status att_windows_evaluate(att_language *l, const att_windows *w, int64_t most, att_language_score *out)
{
    att_loss total = {0};
    double began = now();
    int64_t count = (w->n - 1) / w->T, last = (w->n - 1) % w->T;
    if (most > 0 && most <= count) {
        count = most;
        last = 0;
    }
    ATT_TRY(sum_windows(l, *w, count, last, &total));
    double rows = (double)att_max64(total.count, 1), share = (double)total.count / (double)att_max64(w->n - 1, 1);
    *out = (att_language_score){.loss = total.sum / rows,
                                .perplexity = exp(total.sum / rows),
                                .accuracy = (double)total.correct / rows,
                                .tokens = total.count,
                                .seconds = now() - began};
    if (att_language_masks(l)) return ATT_OK;
    out->bytes = (int64_t)((double)w->bytes * share + 0.5); /* all of them when all windows were measured */
    out->bits_per_byte = out->bytes ? total.sum / log(2.0) / (double)out->bytes : 0.0;
    return ATT_OK;
}

att_status att_language_evaluate(att_language *l, const char *path, int64_t windows, att_language_score *out)
{
    att_texts texts;
    att_windows w;
    *out = (att_language_score){0};
    ATT_TRY(path ? att_texts_read(&l->recipe, path, &texts) : att_texts_of_recipe(&l->recipe, "test", &texts));
    att_status status = att_windows_create(l, &texts, &w);
    att_texts_free(&texts);
    if (status != ATT_OK) return status;
    status = att_windows_evaluate(l, &w, windows, out);
    att_windows_free(&w);
    return status;
}
