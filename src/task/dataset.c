#include "task/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"

#define POOL_SENTENCES 8192 /* sorted by length among themselves: batches stay alike in length and the order random */

enum { STREAM_ORDER = 0x6f72646572, STREAM_BATCHES = 0x6261746368, STREAM_ENCODE = 0x656e63 };

static att_status new_array(int64_t n, size_t size, void *out)
{
    void *block;
    ATT_TRY(att_new_array(NULL, (size_t)n, size, &block));
    *(void **)out = block;
    return ATT_OK;
}

att_status att_dataset_create(const att_pairs *pairs, const att_tokenizer *source, const att_tokenizer *target,
                              int64_t max_length, att_dataset *out)
{
    int64_t n = pairs->count;
    *out = (att_dataset){.source = source, .target = target, .pairs = *pairs, .max_length = max_length};
    ATT_TRY(new_array(n * 2 * max_length, sizeof(int32_t), &out->ids));
    ATT_TRY(new_array(n * 2, sizeof(int32_t), &out->length));
    ATT_TRY(new_array(n, sizeof(int64_t), &out->order));
    ATT_TRY(new_array(n, sizeof(int64_t), &out->sorted));
    return new_array(n + 1, sizeof(int64_t), &out->batch);
}

void att_dataset_destroy(att_dataset *d)
{
    size_t n = (size_t)d->pairs.count;
    att_free(NULL, d->ids, n * 2 * (size_t)d->max_length * sizeof *d->ids);
    att_free(NULL, d->length, n * 2 * sizeof *d->length);
    att_free(NULL, d->order, n * sizeof *d->order);
    att_free(NULL, d->sorted, n * sizeof *d->sorted);
    att_free(NULL, d->batch, (n + 1) * sizeof *d->batch);
    *d = (att_dataset){0};
}

static const int32_t *ids_of(const att_dataset *d, int64_t pair, int side)
{
    return d->ids + (pair * 2 + side) * d->max_length;
}

static int64_t length_of(const att_dataset *d, int64_t pair, int side)
{
    return d->length[pair * 2 + side];
}

typedef struct encode_job {
    att_dataset *d;
    double dropout;
    uint64_t seed;
    att_status *status; /* of each tile */
} encode_job;

#define ENCODE_TILE 256

static att_status encode_pair(const encode_job *j, int64_t i)
{
    att_dataset *d = j->d;
    for (int side = 0; side < 2; side++) {
        const att_text *text = side ? &d->pairs.target[i] : &d->pairs.source[i];
        att_random random = {.seed = j->seed, .stream = (uint64_t)(2 * i + side)};
        int64_t n;
        att_status status =
            att_tokenizer_encode_sampled(side ? d->target : d->source, text->data, text->bytes, j->dropout, &random,
                                         d->ids + (i * 2 + side) * d->max_length, d->max_length, &n);
        if (status != ATT_OK && status != ATT_E_SHAPE) return status;
        d->length[i * 2 + side] = (int32_t)att_min64(n, d->max_length + 1);
    }
    return ATT_OK;
}

static void encode_tile(void *ctx, int64_t tile, int worker)
{
    encode_job *j = ctx;
    (void)worker;
    int64_t end = att_min64((tile + 1) * ENCODE_TILE, j->d->pairs.count);
    for (int64_t i = tile * ENCODE_TILE; i < end && j->status[tile] == ATT_OK; i++) j->status[tile] = encode_pair(j, i);
}

att_status att_dataset_encode(att_dataset *d, const att_exec *exec, double dropout, uint64_t seed, int64_t epoch)
{
    encode_job j = {.d = d,
                    .dropout = dropout,
                    .seed = att_random_mix(att_random_mix(seed, STREAM_ENCODE), dropout > 0 ? (uint64_t)epoch : 0)};
    int64_t tiles = att_ceil_div(d->pairs.count, ENCODE_TILE);
    ATT_TRY(new_array(tiles, sizeof *j.status, &j.status));
    att_parallel(exec, tiles, encode_tile, &j);
    att_status status = ATT_OK;
    for (int64_t i = 0; i < tiles && status == ATT_OK; i++) status = j.status[i];
    att_free(NULL, j.status, (size_t)tiles * sizeof *j.status);
    return status;
}

/* By target length, then source length; equal pairs stay in their order. */
static bool in_order(const att_dataset *d, int64_t a, int64_t b)
{
    int64_t ta = length_of(d, a, 1), tb = length_of(d, b, 1);
    return ta != tb ? ta < tb : length_of(d, a, 0) <= length_of(d, b, 0);
}

static void sort_range(const att_dataset *d, int64_t *order, int64_t *room, int64_t n)
{
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t lo = 0; lo < n; lo += 2 * width) {
            int64_t mid = att_min64(lo + width, n), hi = att_min64(lo + 2 * width, n), a = lo, b = mid;
            for (int64_t k = lo; k < hi; k++)
                room[k] = a < mid && (b >= hi || in_order(d, order[a], order[b])) ? order[a++] : order[b++];
        }
        memcpy(order, room, (size_t)n * sizeof *order);
    }
}

static void cut(att_dataset *d, att_batch_limits limits)
{
    int64_t longest = 0, start = 0;
    d->batches = 0;
    for (int64_t i = 0; i < d->planned; i++) {
        int64_t length = length_of(d, d->order[i], 1) + 1, count = i - start + 1;
        longest = att_max64(longest, length);
        if (count > 1 && (count > limits.sentences || count * longest > limits.tokens)) {
            d->batch[++d->batches] = start = i;
            longest = length;
        }
    }
    if (d->planned > 0) d->batch[++d->batches] = d->planned;
}

/* Put the batches in random order: `order` and `batch` are rebuilt through `sorted`. */
static void shuffle_batches(att_dataset *d, uint64_t seed)
{
    int64_t *index = malloc((size_t)(2 * d->batches + 1) * sizeof *index), *starts = index + d->batches;
    if (!index) return; /* still a correct plan, only less random */
    att_random r = {.seed = seed, .stream = STREAM_BATCHES};
    att_random_shuffle(&r, index, d->batches);
    memcpy(starts, d->batch, (size_t)(d->batches + 1) * sizeof *starts);
    int64_t at = 0;
    for (int64_t b = 0; b < d->batches; b++) {
        int64_t from = starts[index[b]], n = starts[index[b] + 1] - from;
        memcpy(d->sorted + at, d->order + from, (size_t)n * sizeof *d->sorted);
        d->batch[b] = at;
        at += n;
    }
    memcpy(d->order, d->sorted, (size_t)d->planned * sizeof *d->order);
    free(index);
}

void att_dataset_plan(att_dataset *d, att_batch_limits limits, bool shuffle, uint64_t seed, int64_t epoch)
{
    uint64_t epoch_seed = att_random_mix(seed, (uint64_t)epoch);
    int64_t n = d->pairs.count, pool = shuffle ? POOL_SENTENCES : n;
    att_random r = {.seed = epoch_seed, .stream = STREAM_ORDER};
    if (shuffle) att_random_shuffle(&r, d->sorted, n);
    d->planned = 0;
    for (int64_t k = 0; k < n; k++) {
        int64_t i = shuffle ? d->sorted[k] : k;
        if (length_of(d, i, 0) <= d->max_length && length_of(d, i, 1) <= d->max_length) d->order[d->planned++] = i;
    }
    for (int64_t lo = 0; lo < d->planned; lo += pool)
        sort_range(d, d->order + lo, d->sorted + lo, att_min64(pool, d->planned - lo));
    cut(d, limits);
    if (shuffle) shuffle_batches(d, epoch_seed);
}

int64_t att_dataset_count(const att_dataset *d, int64_t batch)
{
    int64_t n = 0;
    for (int64_t k = d->batch[batch]; k < d->batch[batch + 1]; k++) n += length_of(d, d->order[k], 1) + 1;
    return n;
}

static void fill(const att_dataset *d, const int64_t *pairs, int64_t B, int64_t Ts, int64_t Tt, int32_t *source,
                 int32_t *lengths, int32_t *in, int32_t *out)
{
    int32_t source_pad = att_tokenizer_role(d->source, ATT_ROLE_PAD),
            source_end = att_tokenizer_role(d->source, ATT_ROLE_EOS), pad = att_tokenizer_role(d->target, ATT_ROLE_PAD),
            start = att_tokenizer_role(d->target, ATT_ROLE_BOS), end = att_tokenizer_role(d->target, ATT_ROLE_EOS);
    for (int64_t b = 0; b < B; b++) {
        int64_t ns = length_of(d, pairs[b], 0), nt = length_of(d, pairs[b], 1);
        const int32_t *s = ids_of(d, pairs[b], 0), *t = ids_of(d, pairs[b], 1);
        lengths[b] = (int32_t)(ns + 1);
        for (int64_t i = 0; i < Ts; i++) source[i * B + b] = i < ns ? s[i] : i == ns ? source_end : source_pad;
        for (int64_t i = 0; i < Tt; i++) {
            in[i * B + b] = i == 0 ? start : i <= nt ? t[i - 1] : pad;
            out[i * B + b] = i < nt ? t[i] : i == nt ? end : -1;
        }
    }
}

att_status att_dataset_batch(const att_dataset *d, int64_t batch, att_tape *tape, att_seq2seq_batch *out)
{
    const int64_t *pairs = d->order + d->batch[batch];
    int64_t B = d->batch[batch + 1] - d->batch[batch], Ts = 0, Tt = 0;
    for (int64_t b = 0; b < B; b++) {
        Ts = att_max64(Ts, length_of(d, pairs[b], 0) + 1);
        Tt = att_max64(Tt, length_of(d, pairs[b], 1) + 1);
    }
    int32_t *ids = att_tape_alloc(tape, (size_t)(B * (Ts + 2 * Tt + 1)) * sizeof *ids);
    if (!ids) return att_tape_status(tape);
    int32_t *lengths = ids + B * Ts, *in = lengths + B, *target = in + B * Tt;
    fill(d, pairs, B, Ts, Tt, ids, lengths, in, target);
    *out = (att_seq2seq_batch){.source = att_view_2d(ids, ATT_I32, Ts, B),
                               .source_lengths = att_view_1d(lengths, ATT_I32, B),
                               .target_in = att_view_2d(in, ATT_I32, Tt, B),
                               .target_out = att_view_2d(target, ATT_I32, Tt, B)};
    return ATT_OK;
}
