/* Drawing a token from logits. */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "task/language.h"

enum { STREAM_SAMPLE = 0x73616d };

static int by_score(const void *a, const void *b)
{
    const att_token_chance *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* Tokens of the text so far lose: positive logits are divided by the penalty, negative ones multiplied (Keskar 2019).
 */
static float penalised(float logit, double penalty)
{
    return (float)(logit > 0 ? (double)logit / penalty : (double)logit * penalty);
}

static int64_t fill_room(const att_generate_options *o, const float *logits, const uint8_t *seen, int64_t n,
                         att_token_chance *room)
{
    double penalty = o->repetition_penalty > 0 ? o->repetition_penalty : 1.0;
    for (int64_t i = 0; i < n; i++)
        room[i] = (att_token_chance){seen && seen[i] && penalty != 1.0 ? penalised(logits[i], penalty) : logits[i],
                                     (int32_t)i};
    return n;
}

/* Scores become chances relative to the first's, which is 1. */
static void to_chances(const att_generate_options *o, att_token_chance *room, int64_t n, float best)
{
    for (int64_t i = 0; i < n; i++) room[i].score = expf((room[i].score - best) / (float)o->temperature);
}

/* The fewest tokens that reach top_p together; room is sorted. */
static int64_t nucleus(const att_token_chance *room, int64_t n, double top_p)
{
    double all = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) all += (double)room[i].score;
    for (int64_t i = 0; i < n; i++)
        if ((sum += (double)room[i].score) >= top_p * all) return i + 1;
    return n;
}

static int64_t likelier_than(att_token_chance *room, int64_t n, double least)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if ((double)room[i].score >= least) room[kept++] = room[i];
    return kept;
}

static int32_t draw(const att_token_chance *room, int64_t n, uint64_t seed, int64_t index)
{
    att_random r = {.seed = att_random_mix(seed, STREAM_SAMPLE), .stream = (uint64_t)index};
    double sum = 0, u;
    for (int64_t i = 0; i < n; i++) sum += (double)room[i].score;
    u = att_random_uniform(&r) * sum;
    for (int64_t i = 0; i < n - 1; i++)
        if ((u -= (double)room[i].score) < 0) return room[i].id;
    return room[n - 1].id;
}

static double log_probability_of(const float *logits, int64_t n, int32_t id)
{
    float most = logits[0];
    double sum = 0;
    for (int64_t i = 1; i < n; i++) most = logits[i] > most ? logits[i] : most;
    for (int64_t i = 0; i < n; i++) sum += (double)expf(logits[i] - most);
    return (double)(logits[id] - most) - log(sum);
}

enum { LANES = 32 }; /* logits compared side by side */

/* The first of the largest. */
static int32_t first_largest(const float *x, int64_t n)
{
    float most = -INFINITY, lane[LANES];
    int64_t i = 0;
    for (int l = 0; l < LANES; l++) lane[l] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    for (; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int l = 0; l < LANES; l++) most = lane[l] > most ? lane[l] : most;
    for (i = 0; i < n; i++)
        if (x[i] == most) return (int32_t)i;
    return 0;
}

int32_t att_sample(const att_generate_options *o, const float *logits, const uint8_t *seen, int64_t n, int64_t index,
                   att_token_chance *room, double *log_probability)
{
    bool penalises = seen && o->repetition_penalty > 0 && o->repetition_penalty != 1.0;
    if (o->temperature <= 0 && !penalises) {
        int32_t best = first_largest(logits, n);
        if (log_probability) *log_probability = log_probability_of(logits, n, best);
        return best;
    }
    int64_t left = fill_room(o, logits, seen, n, room), first = 0;
    for (int64_t i = 1; i < n; i++) first = room[i].score > room[first].score ? i : first;
    int32_t id = room[first].id;
    if (o->temperature > 0) {
        bool nucleus_wanted = o->top_p > 0 && o->top_p < 1;
        float best = room[first].score;
        if (o->top_k > 0 || nucleus_wanted) qsort(room, (size_t)left, sizeof *room, by_score);
        if (o->top_k > 0) left = att_min64(left, o->top_k);
        to_chances(o, room, left, best);
        if (nucleus_wanted) left = nucleus(room, left, o->top_p);
        if (o->min_p > 0) left = likelier_than(room, left, o->min_p);
        id = draw(room, left, o->seed, index);
    }
    if (log_probability) *log_probability = log_probability_of(logits, n, id);
    return id;
}
