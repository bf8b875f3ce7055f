/* Beam search over a batch of sentences. Every sentence has `beam` rows; at each step the best continuations of its
 * rows become its new rows, and those that end become finished hypotheses. A sentence's result does not depend on the
 * others of its batch. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/parallel.h"
#include "task/decoder.h"

typedef struct candidate {
    double log_probability;
    int32_t token, row; /* row within the batch */
} candidate;

typedef struct finished {
    double score, log_probability;
    int64_t step;
    int32_t row; /* of its last step; the </s> was found from there */
} finished;

typedef struct search {
    att_translator *t;
    const att_translate_options *o;
    const att_search_batch *batch;
    int64_t k, R, V, Ts, T;  /* beam, rows, logits of a row, source length, most steps */
    int64_t *place;          /* (B) which of the decoder's sentences b is; -1: it has left */
    int32_t *stay, *follow;  /* (B), (R) room for what the decoder is told */
    int32_t words;           /* tokens that the tokeniser has: V or less */
    int32_t pad, start, end; /* tokens of these roles */
    int32_t *token, *parent; /* (T,R): what row r of step t added, and the row it came from */
    float *attention;        /* (T,R,Ts): where the row that step t started from looked; NULL if not needed */
    double *live;            /* (R) log probability; -inf: no hypothesis */
    float *lse, *loss;       /* (R) of this step's logits, in the decoder's order */
    int32_t *any_word;       /* (R) zeros */
    candidate *candidates;   /* (B, 2k) of this step, best first */
    finished *done;          /* (B, k), best first */
    int64_t *done_count;     /* (B) */
    bool *ended;             /* (B) */
    int64_t *limit;          /* (B) most tokens */
    int64_t step;
    att_decoder decoder;
    att_arena arena;
} search;

static const double minus_infinity = -INFINITY;

static att_status alloc(search *s, int64_t n, size_t size, void *out)
{
    void *block;
    size_t bytes;
    ATT_REQUIRE(att_mul_size((size_t)n, size, &bytes), ATT_E_MEMORY, "out of memory: %lld elements", (long long)n);
    ATT_TRY(att_arena_alloc(&s->arena, bytes, &block));
    memset(block, 0, bytes);
    *(void **)out = block;
    return ATT_OK;
}

/* ---- one step's choice ---- */

/* At the length limit a hypothesis can only end. */
static bool may_come(const search *s, int64_t v, bool last)
{
    return last ? v == s->end : v != s->pad && v != s->start && v < s->words;
}

/* Over the tokens that may come. */
static double log_sum_exp(const search *s, const float *x, bool last)
{
    float most = -INFINITY;
    double sum = 0;
    for (int64_t v = 0; v < s->V; v++)
        if (x[v] > most && may_come(s, v, last)) most = x[v];
    for (int64_t v = 0; v < s->V; v++)
        if (may_come(s, v, last)) sum += (double)expf(x[v] - most);
    return (double)most + log(sum);
}

enum {
    SCANNED = 32, /* logits looked at together */
    LEAVE_OF = 8  /* sentences that have ended leave when one of so many has */
};

/* Whether any of n <= SCANNED logits reaches `least`. */
static bool any_reaches(const float *x, int64_t n, float least)
{
    int any = 0;
    if (n < SCANNED)
        for (int64_t i = 0; i < n; i++) any |= x[i] >= least;
    else
        for (int i = 0; i < SCANNED; i++) any |= x[i] >= least;
    return any != 0;
}

/* log sum exp of all logits of every row, into s->lse: the loss of a word whichever. */
static att_status normalise(search *s)
{
    int64_t R = s->decoder.R;
    att_view logits = att_view_2d((void *)(uintptr_t)s->decoder.logits, ATT_F32, R, s->V);
    att_view any = att_view_1d(s->any_word, ATT_I32, R), loss = att_view_1d(s->loss, ATT_F32, R),
             lse = att_view_1d(s->lse, ATT_F32, R);
    int64_t correct;
    return att_cross_entropy_forward(&s->t->exec, &loss, &lse, &logits, &any, 0.0, &correct);
}

/* Put c into the sorted list of at most `most`; equal ones keep their order. */
static void insert(candidate *list, int64_t *n, int64_t most, candidate c)
{
    if (*n == most && !(c.log_probability > list[*n - 1].log_probability)) return;
    int64_t i = *n < most ? (*n)++ : most - 1;
    for (; i > 0 && c.log_probability > list[i - 1].log_probability; i--) list[i] = list[i - 1];
    list[i] = c;
}

static int64_t collect(const search *s, int64_t b, bool last, candidate *list)
{
    int64_t n = 0, most = 2 * s->k;
    int32_t from = last ? s->end : 0, to = last ? s->end + 1 : s->words;
    for (int64_t r = b * s->k; r < (b + 1) * s->k; r++) {
        if (s->live[r] == minus_infinity) continue;
        int64_t row = s->place[b] * s->k + r - b * s->k;
        const float *x = s->decoder.logits + row * s->V;
        double offset = s->live[r] - (s->o->renormalise ? log_sum_exp(s, x, last) : (double)s->lse[row]);
        for (int32_t at = from; at < to; at += SCANNED) {
            int32_t end = at + SCANNED < to ? at + SCANNED : to;
            float least = n < most ? -INFINITY : nextafterf((float)(list[n - 1].log_probability - offset), -INFINITY);
            if (!any_reaches(x + at, end - at, least)) continue;
            for (int32_t v = at; v < end; v++) {
                if (!may_come(s, v, last)) continue;
                double p = offset + (double)x[v];
                if (n == most && p <= list[n - 1].log_probability) continue;
                insert(list, &n, most, (candidate){p, v, (int32_t)r});
            }
        }
    }
    return n;
}

/* sum_i log min(sum_t a[t,i], 1) along the hypothesis that ends in `row` of `step` (exclusive of it). */
static double coverage(const search *s, int64_t step, int32_t row, int64_t b)
{
    double total = 0;
    for (int64_t i = 0; i < s->batch->lengths[b]; i++) {
        double seen = 0;
        int32_t r = row;
        for (int64_t t = step; t >= 0; t--) {
            seen += (double)s->attention[(t * s->R + r) * s->Ts + i];
            if (t > 0) r = s->parent[(t - 1) * s->R + r];
        }
        total += log(fmin(fmax(seen, 1e-9), 1.0));
    }
    return total;
}

/* Of a hypothesis as long as those of this step, the end included. */
static double score_of(const search *s, double log_probability)
{
    double n = (double)(s->step + 1), base = s->o->length_form == ATT_LENGTH_POWER ? n : (5.0 + n) / 6.0;
    return log_probability / pow(base, s->o->length_penalty);
}

/* A hypothesis ends with </s> chosen at s->step from `row`: it stays if it is among the best k. */
static void finish(search *s, int64_t b, double log_probability, int32_t row)
{
    double score = score_of(s, log_probability);
    if (s->o->coverage_penalty > 0 && s->attention) score += s->o->coverage_penalty * coverage(s, s->step, row, b);
    finished *list = s->done + b * s->k;
    int64_t n = s->done_count[b];
    if (n == s->k && !(score > list[n - 1].score)) return;
    n == s->k ? n-- : s->done_count[b]++;
    for (; n > 0 && score > list[n - 1].score; n--) list[n] = list[n - 1];
    list[n] = (finished){score, log_probability, s->step, row};
}

static void kill_rows(search *s, int64_t b, int64_t from)
{
    for (int64_t r = b * s->k + from; r < (b + 1) * s->k; r++) {
        s->live[r] = minus_infinity;
        s->token[s->step * s->R + r] = s->end;
        s->parent[s->step * s->R + r] = (int32_t)(b * s->k);
    }
}

/* Whether nothing better can come: with ATT_STOP_BEST when the best running hypothesis would not be kept if it ended
 * here. */
static bool is_over(const search *s, int64_t b)
{
    if (s->done_count[b] < s->k) return false;
    return s->o->stop == ATT_STOP_FULL || s->k == 1 ||
           !(score_of(s, s->live[b * s->k]) > s->done[(b + 1) * s->k - 1].score);
}

static void choose(void *ctx, int64_t b, int worker)
{
    search *s = ctx;
    candidate *list = s->candidates + b * 2 * s->k;
    (void)worker;
    if (s->ended[b]) {
        kill_rows(s, b, 0);
        return;
    }
    bool last = s->step >= s->limit[b];
    int64_t n = collect(s, b, last, list), rows = 0;
    for (int64_t c = 0; c < n && rows < s->k && (s->o->stop == ATT_STOP_BEST || s->done_count[b] < s->k); c++) {
        if (list[c].token == s->end) {
            if (c < s->k) finish(s, b, list[c].log_probability, list[c].row);
            continue;
        }
        int64_t r = b * s->k + rows++, at = s->step * s->R + r;
        s->token[at] = list[c].token;
        s->parent[at] = list[c].row;
    }
    for (int64_t c = 0, r = 0; r < rows && c < n; c++)
        if (list[c].token != s->end) s->live[b * s->k + r++] = list[c].log_probability;
    s->ended[b] = last || rows == 0 || is_over(s, b);
    kill_rows(s, b, s->ended[b] ? 0 : rows);
}

/* ---- the search ---- */

static att_status prepare(search *s)
{
    int64_t B = s->batch->B, longest = 0;
    ATT_TRY(alloc(s, B, sizeof *s->limit, &s->limit));
    for (int64_t b = 0; b < B; b++) {
        s->limit[b] = s->o->max_length ? s->o->max_length : 2 * (int64_t)s->batch->lengths[b] + 10;
        longest = att_max64(longest, s->limit[b]);
    }
    s->T = longest + 1;
    ATT_TRY(alloc(s, s->T * s->R, sizeof *s->token, &s->token));
    ATT_TRY(alloc(s, s->T * s->R, sizeof *s->parent, &s->parent));
    if (att_pair_model_attends(&s->t->model) &&
        (s->o->with_attention || s->o->replace_unknown || s->o->coverage_penalty > 0))
        ATT_TRY(alloc(s, s->T * s->R * s->Ts, sizeof *s->attention, &s->attention));
    ATT_TRY(alloc(s, s->R, sizeof *s->live, &s->live));
    ATT_TRY(alloc(s, s->R, sizeof *s->lse, &s->lse));
    ATT_TRY(alloc(s, s->R, sizeof *s->loss, &s->loss));
    ATT_TRY(alloc(s, s->R, sizeof *s->any_word, &s->any_word));
    ATT_TRY(alloc(s, B, sizeof *s->place, &s->place));
    ATT_TRY(alloc(s, B, sizeof *s->stay, &s->stay));
    ATT_TRY(alloc(s, s->R, sizeof *s->follow, &s->follow));
    ATT_TRY(alloc(s, B * 2 * s->k, sizeof *s->candidates, &s->candidates));
    ATT_TRY(alloc(s, B * s->k, sizeof *s->done, &s->done));
    ATT_TRY(alloc(s, B, sizeof *s->done_count, &s->done_count));
    ATT_TRY(alloc(s, B, sizeof *s->ended, &s->ended));
    for (int64_t r = 0; r < s->R; r++) s->live[r] = r % s->k ? minus_infinity : 0.0;
    for (int64_t i = 0; i < B * s->k; i++) s->done[i].row = -1;
    for (int64_t b = 0; b < B; b++) s->place[b] = b;
    return att_decoder_start(&s->decoder, s->t, s->batch, s->k, s->T, s->attention != NULL);
}

static void save_attention(search *s)
{
    int64_t of_sentence = s->k * s->Ts;
    float *to = s->attention + s->step * s->R * s->Ts;
    for (int64_t b = 0; b < s->batch->B; b++)
        if (s->place[b] >= 0)
            memcpy(to + b * of_sentence, s->decoder.weights + s->place[b] * of_sentence,
                   (size_t)of_sentence * sizeof *to);
}

/* Sentences that have ended leave the decoder, once they are enough to be worth moving the others. */
static att_status part(search *s)
{
    int64_t n = 0;
    for (int64_t b = 0; b < s->batch->B; b++)
        if (s->place[b] >= 0 && !s->ended[b]) s->stay[n++] = (int32_t)s->place[b];
    if (n == 0 || n * LEAVE_OF > s->decoder.B * (LEAVE_OF - 1)) return ATT_OK;
    n = 0;
    for (int64_t b = 0; b < s->batch->B; b++)
        if (s->place[b] >= 0) s->place[b] = s->ended[b] ? -1 : n++;
    return att_decoder_keep(&s->decoder, s->stay, n);
}

/* The decoder goes on with the rows that this step chose, whose words become ids. */
static att_status follow(search *s, int32_t *ids)
{
    const int32_t *token = s->token + s->step * s->R, *parent = s->parent + s->step * s->R;
    for (int64_t b = 0; b < s->batch->B; b++)
        for (int64_t r = 0; s->place[b] >= 0 && r < s->k; r++) {
            int64_t row = s->place[b] * s->k + r, from = s->ended[b] ? r : parent[b * s->k + r] - b * s->k;
            s->follow[row] = (int32_t)(s->place[b] * s->k + from);
        }
    att_decoder_follow(&s->decoder, s->follow);
    ATT_TRY(part(s));
    for (int64_t b = 0; b < s->batch->B; b++)
        if (s->place[b] >= 0) memcpy(ids + s->place[b] * s->k, token + b * s->k, (size_t)s->k * sizeof *ids);
    return ATT_OK;
}

static att_status step(search *s, int32_t *ids)
{
    ATT_TRY(att_decoder_step(&s->decoder, ids));
    if (s->attention) save_attention(s);
    ATT_TRY(normalise(s));
    att_parallel(&s->t->exec, s->batch->B, choose, s);
    return follow(s, ids);
}

static bool all_done(const search *s)
{
    for (int64_t b = 0; b < s->batch->B; b++)
        if (!s->ended[b]) return false;
    return true;
}

/* Follow the parents back from a finished hypothesis. */
static att_status unroll(search *s, const finished *f, att_hypothesis *out)
{
    const att_allocator *a = s->t->allocator;
    void *block;
    *out = (att_hypothesis){.n = f->step, .score = f->score, .log_probability = f->log_probability};
    ATT_TRY(att_new_array(a, (size_t)f->step + 1, sizeof *out->tokens, &block));
    out->tokens = block;
    if (s->attention) {
        ATT_TRY(att_new_array(a, (size_t)((f->step + 1) * s->Ts), sizeof(float), &block));
        out->weights = block;
    }
    int32_t row = f->row;
    for (int64_t t = f->step; t >= 0; t--) {
        if (out->weights)
            memcpy(out->weights + t * s->Ts, s->attention + (t * s->R + row) * s->Ts, (size_t)s->Ts * sizeof(float));
        if (t == 0) break;
        out->tokens[t - 1] = s->token[(t - 1) * s->R + row];
        row = s->parent[(t - 1) * s->R + row];
    }
    return ATT_OK;
}

static att_status run(search *s, att_hypothesis *out)
{
    int32_t *ids = NULL;
    ATT_TRY(prepare(s));
    ATT_TRY(alloc(s, s->R, sizeof *ids, &ids));
    for (int64_t r = 0; r < s->R; r++) ids[r] = s->start;
    for (s->step = 0; s->step < s->T && !all_done(s); s->step++) ATT_TRY(step(s, ids));
    for (int64_t b = 0; b < s->batch->B; b++)
        for (int64_t r = 0; r < s->o->n_best; r++)
            if (s->done[b * s->k + r].row >= 0) ATT_TRY(unroll(s, &s->done[b * s->k + r], &out[b * s->o->n_best + r]));
    return ATT_OK;
}

att_status att_beam_search(att_translator *t, const att_translate_options *o, const att_search_batch *batch,
                           att_hypothesis *out)
{
    search s = {.t = t,
                .o = o,
                .batch = batch,
                .k = o->beam,
                .R = batch->B * o->beam,
                .Ts = batch->Ts,
                .V = att_pair_model_vocabulary(&t->model),
                .words = (int32_t)att_tokenizer_size(t->target),
                .pad = att_tokenizer_role(t->target, ATT_ROLE_PAD),
                .start = att_tokenizer_role(t->target, ATT_ROLE_BOS),
                .end = att_tokenizer_role(t->target, ATT_ROLE_EOS),
                .decoder = {.t = t}};
    att_arena_init(&s.arena, t->allocator);
    for (int64_t i = 0; i < batch->B * o->n_best; i++)
        out[i] = (att_hypothesis){.score = minus_infinity, .log_probability = minus_infinity};
    att_status status = run(&s, out);
    att_decoder_stop(&s.decoder);
    att_arena_destroy(&s.arena);
    return status;
}

void att_hypothesis_free(const att_allocator *a, att_hypothesis *h, int64_t Ts)
{
    att_free(a, h->tokens, (size_t)(h->n + 1) * sizeof *h->tokens);
    att_free(a, h->weights, (size_t)((h->n + 1) * Ts) * sizeof(float));
    *h = (att_hypothesis){0};
}
