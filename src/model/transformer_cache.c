#include "model/transformer_cache.h"

#include <string.h>

#include "base/parallel.h"
#include "tape/tape.h"

/* Memory is (layers, 2, rows, capacity, width): keys, then values; a second block takes turns in reordering. */
struct att_transformer_cache {
    const att_allocator *allocator;
    int64_t layers, rows, capacity, length;
    int64_t heads, D; /* width = heads D */
    size_t bytes;     /* of one block */
    float *block[2];  /* [0] is the current one; [1] is NULL with one row */
};

att_status att_transformer_cache_create(const att_transformer *m, int64_t rows, int64_t capacity,
                                        const att_allocator *allocator, att_transformer_cache **out)
{
    void *memory;
    *out = NULL;
    int64_t D = m->config.width / m->config.heads;
    size_t bytes = (size_t)(m->decoder.layers * 2 * m->config.kv_heads * D) * sizeof(float);
    ATT_REQUIRE(rows >= 1 && capacity >= 1, ATT_E_VALUE, "cache: %lld rows of %lld positions, expected at least 1 each",
                (long long)rows, (long long)capacity);
    ATT_REQUIRE(att_mul_size(bytes, (size_t)rows, &bytes) && att_mul_size(bytes, (size_t)capacity, &bytes),
                ATT_E_MEMORY, "cache: %lld rows of %lld positions do not fit", (long long)rows, (long long)capacity);
    ATT_TRY(att_alloc_zero(allocator, sizeof **out, &memory));
    att_transformer_cache *c = memory;
    *c = (att_transformer_cache){.allocator = allocator,
                                 .layers = m->decoder.layers,
                                 .rows = rows,
                                 .capacity = capacity,
                                 .heads = m->config.kv_heads,
                                 .D = D,
                                 .bytes = bytes};
    for (int i = 0; i < (rows > 1 ? 2 : 1); i++) {
        att_status status = att_alloc(allocator, bytes, &memory);
        if (status != ATT_OK) {
            att_transformer_cache_destroy(c);
            return status;
        }
        c->block[i] = memory;
    }
    *out = c;
    return ATT_OK;
}

void att_transformer_cache_destroy(att_transformer_cache *c)
{
    if (!c) return;
    att_free(c->allocator, c->block[0], c->bytes);
    att_free(c->allocator, c->block[1], c->bytes);
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
    int64_t width = c->heads * c->D, rows = c->rows * c->capacity * width;
    att_view view = att_view_4d(c->block[0] + 2 * l * rows, ATT_F32, c->rows, c->heads, c->length + T, c->D);
    view.stride[0] = c->capacity * width;
    view.stride[1] = c->D;
    view.stride[2] = width;
    *k = *v = view;
    v->data = (float *)view.data + rows;
}

void att_transformer_cache_grow(att_transformer_cache *c, int64_t T)
{
    c->length += T;
}

typedef struct reordering {
    const att_transformer_cache *c;
    const int32_t *parent;
} reordering;

/* Tile: one row of one layer's keys or values. */
static void reorder_row(void *ctx, int64_t tile, int worker)
{
    const reordering *r = ctx;
    const att_transformer_cache *c = r->c;
    int64_t step = c->capacity * c->heads * c->D, part = tile / c->rows, row = tile % c->rows;
    (void)worker;
    memcpy(c->block[1] + tile * step, c->block[0] + (part * c->rows + r->parent[row]) * step,
           (size_t)(c->length * c->heads * c->D) * sizeof(float));
}

void att_transformer_cache_reorder(att_transformer_cache *c, const att_exec *exec, const int32_t *parent)
{
    bool same = true;
    for (int64_t r = 0; r < c->rows; r++) same = same && parent[r] == (int32_t)r;
    if (same) return;
    reordering job = {c, parent};
    att_parallel(exec, c->layers * 2 * c->rows, reorder_row, &job);
    float *swap = c->block[0];
    c->block[0] = c->block[1];
    c->block[1] = swap;
}
