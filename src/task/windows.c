/* Texts as one row of token numbers, and windows of it as batches. */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>

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
    if (att_language_has_lines(l) && end >= 0) w->ids[w->n++] = end;
    return ATT_OK;
}

/* Windows of entries begin with one: an end-of-text token stands before the first too. */
static att_status begin_lines(const att_language *l, const att_texts *texts, att_windows *w)
{
    void *block;
    int32_t end = att_tokenizer_role(l->tokenizer, ATT_ROLE_EOS);
    if (l->recipe.data.unit != ATT_UNIT_ENTRIES) return ATT_OK;
    ATT_REQUIRE(!att_language_masks(l) && end >= 0, ATT_E_UNSUPPORTED,
                "data.unit: entries, which only a model that continues text learns (task language-model, and a "
                "tokenizer with an end-of-text token)");
    ATT_TRY(reserve(w, 1));
    w->ids[w->n++] = end;
    ATT_TRY(att_new_array(NULL, (size_t)texts->count, sizeof *w->line, &block));
    w->line = block;
    w->lines = texts->count;
    return ATT_OK;
}

att_status att_windows_create(const att_language *l, const att_texts *texts, att_windows *out)
{
    *out = (att_windows){.bytes = texts->bytes};
    att_status status = begin_lines(l, texts, out);
    for (int64_t i = 0; i < texts->count && status == ATT_OK; i++) {
        if (out->line) out->line[i] = out->n - 1;
        status = append(l, texts->text[i], out);
    }
    out->T = att_min64(att_transformer_configuration(l->model)->context, out->n - 1);
    if (status == ATT_OK && out->T < 1)
        status = att_fail(ATT_E_VALUE, "text: %lld tokens, expected at least 2", (long long)out->n);
    if (status != ATT_OK) att_windows_free(out);
    return status;
}

void att_windows_free(att_windows *w)
{
    att_free(NULL, w->ids, (size_t)w->room * sizeof *w->ids);
    att_free(NULL, w->line, (size_t)w->lines * sizeof *w->line);
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

int64_t att_windows_draw(const att_windows *w, att_random *random)
{
    int64_t line;
    if (!w->line) return (int64_t)att_random_below(random, (uint64_t)(w->n - w->T));
    do { /* the last few have too little behind them; line[0] is 0, which has enough */
        line = w->line[att_random_below(random, (uint64_t)w->lines)];
    } while (line + w->T >= w->n);
    return line;
}

/* in[T] and out[T]: what comes, and what comes next, of which only the first `count` count. */
static void fill_window(const att_windows *w, int64_t start, int64_t count, int32_t *in, int32_t *out)
{
    for (int64_t i = 0; i < w->T; i++) {
        in[i] = w->ids[start + att_min64(i, count - 1)];
        out[i] = i < count ? w->ids[start + i + 1] : -1;
    }
}

att_status att_windows_loss(const att_language *l, const att_windows *w, att_tape *tape, const int64_t *start,
                            const int64_t *count, int64_t B, uint64_t choice, double smoothing, double scale,
                            uint64_t seed, att_loss *loss)
{
    int32_t *in = att_tape_alloc(tape, 2 * (size_t)(B * w->T) * sizeof *in), *out = in + B * w->T;
    if (!in) return att_tape_status(tape);
    for (int64_t b = 0; b < B; b++) {
        fill_window(w, start[b], count ? count[b] : w->T, in + b * w->T, out + b * w->T);
        if (att_language_masks(l)) mask_window(l, in + b * w->T, out + b * w->T, w->T, choice, start[b]);
    }
    att_view vin = att_view_2d(in, ATT_I32, B, w->T), vout = att_view_2d(out, ATT_I32, B, w->T);
    att_transformer_batch batch = {.source = vin, .target_in = vin, .target_out = vout};
    return att_transformer_loss(tape, l->model, &batch, smoothing, scale, seed, loss);
}

static att_status add_windows(att_language *l, const att_windows *w, const int64_t *start, const int64_t *count,
                              int64_t B, att_loss *total)
{
    att_loss part;
    att_tape_begin(l->tape, 0);
    ATT_TRY(att_windows_loss(l, w, l->tape, start, count, B, 1, 0.0, 1.0, 0, &part));
    total->sum += part.sum;
    total->count += part.count;
    total->correct += part.correct;
    return ATT_OK;
}

/* How many ids behind `at` the next window predicts: T; of entries only whole ones, as many as T holds, or T of one
 * that is longer. *line is the entry that `at` is in. */
static int64_t window_length(const att_windows *w, int64_t at, int64_t *line)
{
    int64_t most = att_min64(w->T, w->n - 1 - at), end = at;
    if (!w->line) return most;
    for (; *line + 1 < w->lines && w->line[*line + 1] <= at + w->T; ++*line) end = w->line[*line + 1];
    if (w->n - 1 <= at + w->T) end = w->n - 1;
    return end > at ? end - at : most;
}

/* `most` windows one after the other, some at a time. A model that fills in reads a window to its end: its last one is
 * shorter and stands alone. */
static att_status sum_windows(att_language *l, att_windows w, int64_t most, att_loss *total)
{
    int64_t start[EVALUATE_TOKENS], count[EVALUATE_TOKENS], B = 0, room = att_max64(1, EVALUATE_TOKENS / w.T);
    bool masks = att_language_masks(l);
    for (int64_t at = 0, line = 0, done = 0; at < w.n - 1 && done < most; done++) {
        int64_t length = window_length(&w, at, &line);
        if (B == room || (B > 0 && masks && length < w.T)) {
            ATT_TRY(add_windows(l, &w, start, count, B, total));
            B = 0;
        }
        if (masks) w.T = length;
        start[B] = at;
        count[B++] = length;
        at += length;
    }
    return B > 0 ? add_windows(l, &w, start, count, B, total) : ATT_OK;
}

att_status att_windows_evaluate(att_language *l, const att_windows *w, int64_t most, att_language_score *out)
{
    att_loss total = {0};
    double began = att_clock();
    ATT_TRY(sum_windows(l, *w, most > 0 ? most : INT64_MAX, &total));
    double rows = (double)att_max64(total.count, 1), share = (double)total.count / (double)att_max64(w->n - 1, 1);
    *out = (att_language_score){.loss = total.sum / rows,
                                .perplexity = exp(total.sum / rows),
                                .accuracy = (double)total.correct / rows,
                                .tokens = total.count,
                                .seconds = att_clock() - began};
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
