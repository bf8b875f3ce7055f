#include "tape/params.h"

#include <math.h>
#include <string.h>

#define START_ALIGN 16 /* floats: every tensor starts on a cache line */
#define GROUP       64 /* columns that are made orthogonal together */

att_status att_params_create(const att_allocator *allocator, att_params **out)
{
    void *block;
    ATT_TRY(att_alloc_zero(allocator, sizeof **out, &block));
    *out = block;
    (*out)->allocator = allocator;
    att_arena_init(&(*out)->packs, allocator);
    return ATT_OK;
}

void att_params_destroy(att_params *params)
{
    if (!params) return;
    const att_allocator *a = params->allocator;
    for (int64_t i = 0; i < params->count; i++) {
        att_parameter *p = params->list[i];
        att_free(a, p->name, strlen(p->name) + 1);
        att_free(a, p, sizeof *p);
    }
    att_free(a, params->list, (size_t)params->capacity * sizeof *params->list);
    att_arena_destroy(&params->packs);
    att_free(a, params->adopted.data, params->adopted.bytes);
    att_free(a, params->values, (size_t)params->elements * sizeof(float));
    att_free(a, params->gradients, (size_t)params->elements * sizeof(float));
    att_free(a, params, sizeof *params);
}

static att_status reserve(att_params *params)
{
    if (params->count < params->capacity) return ATT_OK;
    int64_t more = params->capacity ? 2 * params->capacity : 32;
    void *list = params->list;
    ATT_TRY(att_realloc(params->allocator, &list, (size_t)params->capacity * sizeof *params->list,
                        (size_t)more * sizeof *params->list));
    params->list = list;
    params->capacity = more;
    return ATT_OK;
}

att_status att_params_add(att_params *params, const char *name, int ndim, const int64_t *dim, att_init init,
                          double scale, att_parameter **out)
{
    ATT_REQUIRE(!params->values, ATT_E_VALUE, "parameter '%s': declared after att_params_allocate", name);
    ATT_REQUIRE(!att_params_find(params, name), ATT_E_VALUE, "parameter '%s' is declared twice", name);
    ATT_REQUIRE(ndim >= 1 && ndim <= ATT_MAX_DIMS, ATT_E_SHAPE, "parameter '%s': %d dimensions", name, ndim);
    size_t count = 1;
    for (int a = 0; a < ndim; a++)
        ATT_REQUIRE(dim[a] > 0 && att_mul_size(count, (size_t)dim[a], &count) && count < SIZE_MAX / 64, ATT_E_SHAPE,
                    "parameter '%s': dimension %d is %lld", name, a, (long long)dim[a]);
    ATT_TRY(reserve(params));
    void *block;
    ATT_TRY(att_alloc_zero(params->allocator, sizeof(att_parameter), &block));
    att_parameter *p = block;
    *p = (att_parameter){.owner = params, .offset = params->elements, .init = init, .scale = scale};
    p->pack.version = p->pack_t.version = -1;
    p->value = att_view_dense(NULL, ATT_F32, ndim, dim);
    att_status status = att_copy_string(params->allocator, name, strlen(name), &p->name);
    if (status != ATT_OK) {
        att_free(params->allocator, p, sizeof *p);
        return status;
    }
    params->list[params->count++] = p;
    params->elements += (int64_t)att_round_up(count, START_ALIGN);
    *out = p;
    return ATT_OK;
}

/* FNV-1a, so that a tensor's random numbers follow its name and not its place in the list. */
static uint64_t name_hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

static void fill_random(float *v, int64_t n, att_random *r, double low, double width)
{
    for (int64_t i = 0; i < n; i++) v[i] = (float)(low + width * att_random_uniform(r));
}

/* Columns lo .. hi-1 of the n rows at v less their part along column `unit`. */
static void remove_part(float *v, int64_t n, int64_t stride, int64_t unit, int64_t lo, int64_t hi)
{
    double dot[GROUP] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = lo; c < hi; c++) dot[c - lo] += (double)v[i * stride + c] * (double)v[i * stride + unit];
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = lo; c < hi; c++) v[i * stride + c] -= (float)dot[c - lo] * v[i * stride + unit];
}

/* Orthogonalise the columns of the n x n block at v (row stride `stride`) by modified Gram-Schmidt: a finished column
 * is taken out of all later ones, a group of them at a time, along the rows of memory. */
static void orthogonal_block(float *v, int64_t n, int64_t stride, att_random *r)
{
    for (int64_t c = 0; c < n; c++)
        for (int64_t i = 0; i < n; i++) v[i * stride + c] = (float)att_random_normal(r);
    for (int64_t c = 0; c < n; c++) {
        double norm = 0;
        for (int64_t i = 0; i < n; i++) norm += (double)v[i * stride + c] * (double)v[i * stride + c];
        float inverse = (float)(1.0 / sqrt(norm));
        for (int64_t i = 0; i < n; i++) v[i * stride + c] *= inverse;
        for (int64_t lo = c + 1; lo < n; lo += GROUP) remove_part(v, n, stride, c, lo, att_min64(lo + GROUP, n));
    }
}

static void initialise(att_parameter *p, uint64_t seed)
{
    att_random r = {.seed = seed, .stream = name_hash(p->name)};
    float *v = p->value.data;
    int64_t n = att_view_count(&p->value), rows = p->value.dim[0], cols = n / rows;
    double limit = p->init == ATT_INIT_GLOROT ? sqrt(6.0 / (double)(rows + cols)) : p->scale;
    switch (p->init) {
    case ATT_INIT_ZERO: break;
    case ATT_INIT_ONE:
        for (int64_t i = 0; i < n; i++) v[i] = 1.0f;
        break;
    case ATT_INIT_UNIFORM:
    case ATT_INIT_GLOROT: fill_random(v, n, &r, -limit, 2.0 * limit); break;
    case ATT_INIT_NORMAL:
        for (int64_t i = 0; i < n; i++) v[i] = (float)(p->scale * att_random_normal(&r));
        break;
    case ATT_INIT_ORTHOGONAL:
        for (int64_t block = 0; block + rows <= cols; block += rows) orthogonal_block(v + block, rows, cols, &r);
        break;
    }
}

att_status att_params_allocate(att_params *params, uint64_t seed, int with_gradients)
{
    void *block;
    size_t bytes = (size_t)params->elements * sizeof(float);
    ATT_REQUIRE(!params->values && !params->adopted.data, ATT_E_VALUE, "parameters: allocated twice");
    if (with_gradients == ATT_PARAMS_LATER) return ATT_OK;
    ATT_TRY(att_alloc_zero(params->allocator, bytes, &block));
    params->values = block;
    if (with_gradients > 0) {
        ATT_TRY(att_alloc_zero(params->allocator, bytes, &block));
        params->gradients = block;
    }
    for (int64_t i = 0; i < params->count; i++) {
        att_parameter *p = params->list[i];
        p->value.data = params->values + p->offset;
        p->gradient = p->value;
        p->gradient.data = params->gradients ? params->gradients + p->offset : NULL;
        if (with_gradients != ATT_PARAMS_ZERO) initialise(p, seed);
    }
    return ATT_OK;
}

void att_params_adopt(att_params *params, att_span memory)
{
    assert(!params->values && !params->adopted.data);
    params->adopted = memory;
}

void att_parameter_place(att_parameter *p, void *value)
{
    p->value.data = value;
    p->gradient = p->value;
    p->gradient.data = NULL;
}

int64_t att_params_count(const att_params *params)
{
    return params->count;
}

att_parameter *att_params_at(const att_params *params, int64_t i)
{
    return params->list[i];
}

att_parameter *att_params_find(const att_params *params, const char *name)
{
    for (int64_t i = 0; i < params->count; i++)
        if (strcmp(params->list[i]->name, name) == 0) return params->list[i];
    return NULL;
}

int64_t att_params_elements(const att_params *params)
{
    return params->elements;
}

float *att_params_values(const att_params *params)
{
    return params->values;
}

float *att_params_gradients(const att_params *params)
{
    return params->gradients;
}

void att_params_changed(att_params *params)
{
    params->version++;
}

att_status att_params_round_weights(att_params *params, att_dtype dtype)
{
    ATT_REQUIRE(dtype == ATT_F32 || dtype == ATT_BF16 || dtype == ATT_I8, ATT_E_DTYPE,
                "weights: %s, expected float32, bfloat16 or int8", att_dtype_name(dtype));
    if (dtype == params->weights) return ATT_OK;
    for (int64_t i = 0; i < params->count; i++)
        ATT_REQUIRE(!params->list[i]->dropped, ATT_E_VALUE,
                    "weights: %s, but they were rounded to %s and '%s' has no other value any more",
                    att_dtype_name(dtype), att_dtype_name(params->weights), params->list[i]->name);
    for (int64_t i = 0; i < params->count; i++)
        params->list[i]->pack = params->list[i]->pack_t = (att_pack_cache){.version = -1};
    att_arena_destroy(&params->packs);
    params->weights = dtype;
    return ATT_OK;
}

void att_params_round_inputs(att_params *params, int to_8_bits)
{
    params->a_bits = to_8_bits ? 8 : 0;
}

void att_params_zero_gradients(att_params *params)
{
    for (int64_t i = 0; i < params->count; i++) params->list[i]->gradient_valid = false;
}

void att_params_settle_gradients(att_params *params)
{
    for (int64_t i = 0; i < params->count; i++) {
        att_parameter *p = params->list[i];
        if (p->gradient_valid || !p->gradient.data) continue;
        memset(p->gradient.data, 0, (size_t)att_view_count(&p->gradient) * sizeof(float));
        p->gradient_valid = true;
    }
}

const char *att_parameter_name(const att_parameter *p)
{
    return p->name;
}

const att_view *att_parameter_value(const att_parameter *p)
{
    return &p->value;
}

const att_view *att_parameter_gradient(const att_parameter *p)
{
    return &p->gradient;
}

/* Once a loaded matrix is rounded, nobody reads its float32 values. */
static void drop_value(att_parameter *p)
{
    const att_params *owner = p->owner;
    if (owner->weights == ATT_F32 || p->use == ATT_USE_ANY || !owner->adopted.data) return;
    att_drop_pages(owner->allocator, p->value.data, (size_t)att_view_count(&p->value) * sizeof(float));
    p->value.data = NULL;
    p->dropped = true;
}

static att_status pack_anew(att_parameter *p, const att_exec *exec, bool transposed, att_pack_cache *cache)
{
    ATT_REQUIRE(!p->dropped, ATT_E_VALUE, "parameter '%s': was rounded to %s and has no other value any more", p->name,
                att_dtype_name(p->owner->weights));
    att_view b = transposed ? att_view_transpose(&p->value, 0, 1) : p->value;
    if (!cache->memory.data) {
        size_t bytes = att_product_pack_as_bytes(exec, p->owner->weights, b.dim[0], b.dim[1]);
        ATT_TRY(att_arena_alloc(&p->owner->packs, bytes, &cache->memory.data));
        cache->memory.bytes = bytes;
    }
    ATT_TRY(att_product_pack_as(exec, p->owner->weights, &cache->packed, &b, cache->memory));
    cache->version = p->owner->version;
    drop_value(p);
    return ATT_OK;
}

att_status att_parameter_packed(att_parameter *p, const att_exec *exec, bool transposed, const att_packed **out)
{
    att_pack_cache *cache = transposed ? &p->pack_t : &p->pack;
    if (cache->version != p->owner->version) ATT_TRY(pack_anew(p, exec, transposed, cache));
    cache->packed.a_bits = p->owner->a_bits;
    *out = &cache->packed;
    return ATT_OK;
}
