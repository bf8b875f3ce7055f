#include "model/transformer_cache.h"

#include <string.h>

#include "base/parallel.h"
#include "tape/tape.h"

/* Memory is (layers, 2, slots, heads, capacity, D): keys, then values, and what a head reads in one piece. A slot for
 * each row and, of several, a spare one, through which rows pass that change places. */
struct att_transformer_cache {
    const att_allocator *allocator;
    int64_t layers, slots, rows, capacity, length;
    int64_t heads, D;
    size_t bytes, plan_bytes;
    float *block;
    int32_t *plan; /* (4, rows): see plan_moves */
};

/* Room for `bytes` in *block, which has *had. */
static att_status make_room(const att_allocator *a, void **block, size_t *had, size_t bytes)
{
    if (bytes <= *had) return ATT_OK;
    att_free(a, *block, *had);
    *block = NULL;
    *had = 0;
    ATT_TRY(att_alloc(a, bytes, block));
    *had = bytes;
    return ATT_OK;
}

att_status att_transformer_cache_reserve(att_transformer_cache *c, int64_t rows, int64_t capacity)
{
    size_t bytes = (size_t)(c->layers * 2 * c->heads * c->D) * sizeof(float), plan_bytes;
    int64_t slots = rows > 1 ? rows + 1 : rows;
    c->length = 0;
    ATT_REQUIRE(rows >= 1 && capacity >= 1, ATT_E_VALUE, "cache: %lld rows of %lld positions, expected at least 1 each",
                (long long)rows, (long long)capacity);
    ATT_REQUIRE(rows < INT32_MAX && att_mul_size(bytes, (size_t)slots, &bytes) &&
                    att_mul_size(bytes, (size_t)capacity, &bytes) &&
                    att_mul_size(4 * sizeof *c->plan, (size_t)rows, &plan_bytes),
                ATT_E_MEMORY, "cache: %lld rows of %lld positions do not fit", (long long)rows, (long long)capacity);
    c->rows = c->capacity = 0;
    void *block = c->block, *plan = c->plan;
    att_status status = make_room(c->allocator, &block, &c->bytes, bytes);
    if (status == ATT_OK) status = make_room(c->allocator, &plan, &c->plan_bytes, plan_bytes);
    c->block = block;
    c->plan = plan;
    ATT_TRY(status);
    c->slots = slots;
    c->rows = rows;
    c->capacity = capacity;
    return ATT_OK;
}

att_status att_transformer_cache_create(const att_transformer *m, int64_t rows, int64_t capacity,
                                        const att_allocator *allocator, att_transformer_cache **out)
{
    void *memory;
    *out = NULL;
    ATT_TRY(att_alloc_zero(allocator, sizeof **out, &memory));
    att_transformer_cache *c = memory;
    *c = (att_transformer_cache){.allocator = allocator,
                                 .layers = m->decoder.layers,
                                 .heads = m->config.kv_heads,
                                 .D = m->config.width / m->config.heads};
    att_status status = att_transformer_cache_reserve(c, rows, capacity);
    if (status != ATT_OK) {
        att_transformer_cache_destroy(c);
        return status;
    }
    *out = c;
    return ATT_OK;
}

void att_transformer_cache_destroy(att_transformer_cache *c)
{
    if (!c) return;
    att_free(c->allocator, c->block, c->bytes);
    att_free(c->allocator, c->plan, c->plan_bytes);
    att_free(c->allocator, c, sizeof *c);
}

int64_t att_transformer_cache_length(const att_transformer_cache *c)
{
    return c->length;
}

void att_transformer_cache_cut(att_transformer_cache *c, int64_t length)
{
    c->length = att_min64(c->length, att_max64(length, 0));
}

att_status att_transformer_cache_check(const att_transformer_cache *c, const att_tape *tape, const att_view *ids)
{
    ATT_REQUIRE(!tape->recording, ATT_E_VALUE, "cache: the tape records, expected att_tape_begin(tape, 0)");
    ATT_REQUIRE(ids->dim[0] == c->rows, ATT_E_SHAPE, "ids: %lld rows, but the cache has %lld", (long long)ids->dim[0],
                (long long)c->rows);
    ATT_REQUIRE(c->length + ids->dim[1] <= c->capacity, ATT_E_VALUE,
                "cache: %lld positions and %lld more, but it has room for %lld", (long long)c->length,
                (long long)ids->dim[1], (long long)c->capacity);
    return ATT_OK;
}

void att_transformer_cache_views(const att_transformer_cache *c, int64_t l, int64_t T, att_view *k, att_view *v)
{
    int64_t head = c->capacity * c->D, part = c->slots * c->heads * head;
    att_view view = att_view_4d(c->block + 2 * l * part, ATT_F32, c->rows, c->heads, c->length + T, c->D);
    view.stride[0] = c->heads * head;
    view.stride[1] = head;
    *k = *v = view;
    v->data = (float *)view.data + part;
}

void att_transformer_cache_grow(att_transformer_cache *c, int64_t T)
{
    c->length += T;
}

/* What to copy, in this order: pairs (to, from) of slots, at most 1.5 a row; returns how many. A slot is written once
 * nobody waits for what it holds; of slots that wait for each other in a circle one is saved in the spare slot `rows`.
 * waiting[r]: how many wait for slot r; below 0: slot r holds what it shall. */
static int64_t plan_moves(int64_t rows, const int32_t *parent, int32_t *waiting, int32_t (*move)[2])
{
    int64_t n = 0;
    memset(waiting, 0, (size_t)rows * sizeof *waiting);
    for (int32_t r = 0; r < rows; r++)
        if (parent[r] != r) waiting[parent[r]]++;
    for (int32_t r = 0; r < rows; r++)
        if (parent[r] == r) waiting[r] = -1;
    for (int32_t first = 0; first < rows; first++)
        for (int32_t r = first; waiting[r] == 0; r = parent[r]) { /* perhaps the last that waited for its parent */
            move[n][0] = r;
            move[n++][1] = parent[r];
            waiting[r] = -1;
            waiting[parent[r]]--;
        }
    for (int32_t first = 0; first < rows; first++) {
        if (waiting[first] < 0) continue;
        int32_t r = first, from;
        move[n][0] = (int32_t)rows;
        move[n++][1] = first;
        do {
            from = parent[r];
            waiting[r] = -1;
            move[n][0] = r;
            move[n++][1] = from == first ? (int32_t)rows : from;
            r = from;
        } while (r != first);
    }
    return n;
}

typedef struct reordering {
    const att_transformer_cache *c;
    int32_t (*move)[2];
    int64_t moves;
} reordering;

/* Tile: one layer's keys or values. */
static void reorder_part(void *ctx, int64_t tile, int worker)
{
    const reordering *r = ctx;
    const att_transformer_cache *c = r->c;
    int64_t head = c->capacity * c->D, slot = c->heads * head;
    size_t bytes = (size_t)(c->length * c->D) * sizeof(float);
    float *part = c->block + tile * c->slots * slot;
    (void)worker;
    for (int64_t i = 0; i < r->moves; i++)
        for (int64_t h = 0; h < c->heads; h++)
            memcpy(part + r->move[i][0] * slot + h * head, part + r->move[i][1] * slot + h * head, bytes);
}

static void reorder(reordering *job, const att_exec *exec)
{
    if (job->moves) att_parallel(exec, job->c->layers * 2, reorder_part, job);
}

void att_transformer_cache_reorder(att_transformer_cache *c, const att_exec *exec, const int32_t *parent)
{
    reordering job = {.c = c, .move = (int32_t(*)[2])(c->plan + c->rows)};
    job.moves = plan_moves(c->rows, parent, c->plan, job.move);
    reorder(&job, exec);
}

void att_transformer_cache_keep(att_transformer_cache *c, const att_exec *exec, const int32_t *row, int64_t n)
{
    reordering job = {.c = c, .move = (int32_t(*)[2])(c->plan + c->rows)};
    for (int32_t r = 0; r < n; r++) {
        if (row[r] == r) continue;
        job.move[job.moves][0] = r;
        job.move[job.moves++][1] = row[r];
    }
    reorder(&job, exec);
    c->rows = n;
}
