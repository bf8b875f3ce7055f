/* Reading model files. Nothing in the header is believed before it is checked: sizes against the size of the file,
 * offsets against each other, types against sizes. Every allocation is bounded by the bytes that are really there. */
#include "file/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <attend/file.h>

#include "base/parallel.h"
#include "file/disk.h"

typedef struct tensor {
    att_file_entry entry;
    size_t begin, end; /* in the data part of the file */
    uint32_t sum;
    bool failed;
} tensor;

struct att_file {
    const att_allocator *allocator;
    char *path;
    size_t path_bytes;
    char *header; /* the JSON text, and room for a NUL */
    size_t header_bytes;
    uint32_t header_sum; /* of length and header, own digits as zeros */
    char own_digits[ATT_CHECKSUM_DIGITS + 1];
    json_t *tree;
    tensor *tensors; /* in the order of their bytes */
    int64_t count;
    tensor **by_name;
    int64_t *dims; /* of all tensors */
    size_t dim_room, dim_count;
    att_metadata *metadata;
    int64_t metadata_count;
    int has_checksums;
    char *data;
    size_t data_bytes; /* as allocated: each tensor starts at a multiple of ATT_ALIGN */
};

typedef struct known_dtype {
    const char *name;
    int bits;
    int readable; /* att_view has such a type */
    att_dtype dtype;
} known_dtype;

static const known_dtype known[] = {
    {"F32", 32, 1, ATT_F32},   {"F64", 64, 1, ATT_F64},   {"F16", 16, 1, ATT_F16},   {"BF16", 16, 1, ATT_BF16},
    {"I8", 8, 1, ATT_I8},      {"I32", 32, 1, ATT_I32},   {"I64", 64, 1, ATT_I64},   {"U8", 8, 1, ATT_U8},
    {"BOOL", 8, 1, ATT_U8},    {"I16", 16, 0, ATT_U8},    {"U16", 16, 0, ATT_U8},    {"U32", 32, 0, ATT_U8},
    {"U64", 64, 0, ATT_U8},    {"C64", 64, 0, ATT_U8},    {"F8_E4M3", 8, 0, ATT_U8}, {"F8_E5M2", 8, 0, ATT_U8},
    {"F8_E8M0", 8, 0, ATT_U8}, {"F6_E2M3", 6, 0, ATT_U8}, {"F6_E3M2", 6, 0, ATT_U8}, {"F4", 4, 0, ATT_U8},
};

static const known_dtype *find_dtype(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0) return &known[i];
    return NULL;
}

#define CHECK(cond, file, ...)                                                                                         \
    do {                                                                                                               \
        if (!(cond)) return bad_format((file), __VA_ARGS__);                                                           \
    } while (0)

static att_status bad_format(const att_file *f, const char *fmt, ...) ATT_PRINTF(2, 3);

/* PATH: what is wrong */
static att_status bad_format(const att_file *f, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return att_fail(ATT_E_FORMAT, "%s: %s", f->path, text);
}

/* ---- the header ---- */

/* Deeper JSON than the format has would only cost memory and stack: an object of objects with arrays is three levels.
 */
static bool shallow(const char *s, size_t n)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"')
            quoted = !quoted;
        else if (quoted)
            i += s[i] == '\\'; /* what is escaped closes nothing */
        else if (s[i] == '{' || s[i] == '[')
            depth++;
        else if (s[i] == '}' || s[i] == ']')
            depth--;
        if (depth > 3) return false;
    }
    return true;
}

/* Sum over length and header with the header's own digits as zeros; the digits are kept. */
static void sum_header(att_file *f, const unsigned char length[ATT_LENGTH_BYTES])
{
    char zeros[ATT_CHECKSUM_DIGITS];
    char *place = att_checksum_place(f->header, f->header_bytes);
    size_t before = place ? (size_t)(place - f->header) : f->header_bytes;
    memset(zeros, '0', sizeof zeros);
    f->header_sum = att_checksum(att_checksum(0, length, ATT_LENGTH_BYTES), f->header, before);
    if (!place) return;
    memcpy(f->own_digits, place, ATT_CHECKSUM_DIGITS);
    f->header_sum = att_checksum(f->header_sum, zeros, sizeof zeros);
    f->header_sum =
        att_checksum(f->header_sum, place + ATT_CHECKSUM_DIGITS, f->header_bytes - before - ATT_CHECKSUM_DIGITS);
}

static att_status read_header(att_file *f, int fd, size_t file_bytes)
{
    unsigned char length[ATT_LENGTH_BYTES];
    uint64_t bytes = 0;
    void *block;
    CHECK(file_bytes > 0, f, "is empty, expected a safetensors file");
    CHECK(file_bytes >= ATT_LENGTH_BYTES + 2, f, "%zu bytes, too few for a safetensors file", file_bytes);
    ATT_TRY(att_disk_read(fd, f->path, length, sizeof length, 0));
    for (int i = 0; i < ATT_LENGTH_BYTES; i++) bytes |= (uint64_t)length[i] << (8 * i);
    CHECK(bytes <= ATT_HEADER_MAX, f,
          "not a safetensors file: its first 8 bytes mean a header of %llu bytes, expected "
          "at most %zu",
          (unsigned long long)bytes, ATT_HEADER_MAX);
    CHECK(bytes <= file_bytes - ATT_LENGTH_BYTES, f,
          "cut short, or not a safetensors file: the header should have "
          "%llu bytes, but %zu are left",
          (unsigned long long)bytes, file_bytes - ATT_LENGTH_BYTES);
    ATT_TRY(att_alloc(f->allocator, (size_t)bytes + 1, &block));
    f->header = block;
    f->header_bytes = (size_t)bytes;
    ATT_TRY(att_disk_read(fd, f->path, f->header, f->header_bytes, ATT_LENGTH_BYTES));
    f->header[f->header_bytes] = '\0';
    CHECK(bytes > 0 && f->header[0] == '{', f, "not a safetensors file: its header does not begin with '{'");
    CHECK(shallow(f->header, f->header_bytes), f, "header: nested deeper than safetensors headers are");
    sum_header(f, length);
    json_error_t error;
    f->tree = json_loadb(f->header, f->header_bytes, JSON_REJECT_DUPLICATES, &error);
    CHECK(f->tree, f, "header: not valid JSON at byte %d: %s", error.position + ATT_LENGTH_BYTES, error.text);
    CHECK(json_is_object(f->tree), f, "header: not a JSON object");
    return ATT_OK;
}

/* ---- metadata ---- */

static att_status read_metadata(att_file *f)
{
    json_t *object = json_object_get(f->tree, ATT_METADATA_KEY), *value;
    const char *key;
    void *block;
    if (!object) return ATT_OK;
    CHECK(json_is_object(object), f, "header: " ATT_METADATA_KEY " is not an object of texts");
    ATT_TRY(att_new_array(f->allocator, json_object_size(object), sizeof *f->metadata, &block));
    f->metadata = block;
    json_object_foreach(object, key, value)
    {
        CHECK(json_is_string(value), f, "header: metadata '%s' is not a text", key);
        if (!att_checksum_key(key))
            f->metadata[f->metadata_count++] = (att_metadata){.key = key, .value = json_string_value(value)};
    }
    return ATT_OK;
}

static const char *own_metadata(const att_file *f, const char *key)
{
    return json_string_value(json_object_get(json_object_get(f->tree, ATT_METADATA_KEY), key));
}

static att_status check_header_sum(att_file *f)
{
    char found[ATT_CHECKSUM_DIGITS + 1];
    const char *format = own_metadata(f, ATT_FORMAT_KEY), *sum = own_metadata(f, ATT_CHECKSUM_KEY);
    if (!format && !sum) return ATT_OK;
    att_checksum_text(f->header_sum, found);
    CHECK(format && sum && strcmp(sum, found) == 0 && strcmp(f->own_digits, found) == 0, f,
          "header: checksum is %s, but the file says %s: it is damaged, or another program rewrote it and kept the "
          "attend.* metadata",
          found, sum ? sum : "nothing");
    CHECK(strcmp(format, ATT_FORMAT_VALUE) == 0, f,
          "was written by a newer version (format %s, expected " ATT_FORMAT_VALUE ")", format);
    f->has_checksums = 1;
    return ATT_OK;
}

/* ---- tensors ---- */

static att_status read_shape(att_file *f, tensor *t, const json_t *shape)
{
    t->entry.ndim = (int64_t)json_array_size(shape);
    int64_t *dim = f->dims + f->dim_count;
    t->entry.dim = dim;
    for (int64_t a = 0; a < t->entry.ndim; a++) {
        const json_t *n = json_array_get(shape, (size_t)a);
        CHECK(json_is_integer(n) && json_integer_value(n) >= 0, f,
              "tensor '%s': shape[%lld] is not a whole number from 0 up", t->entry.name, (long long)a);
        dim[a] = json_integer_value(n);
    }
    f->dim_count += (size_t)t->entry.ndim;
    return ATT_OK;
}

/* The bytes that dtype and shape mean must be those between the offsets. */
static att_status check_size(att_file *f, const tensor *t)
{
    const known_dtype *d = find_dtype(t->entry.dtype);
    size_t size = d ? (size_t)d->bits : 1;
    for (int64_t a = 0; a < t->entry.ndim; a++)
        CHECK(att_mul_size(size, (size_t)t->entry.dim[a], &size), f, "tensor '%s': the shape is too large",
              t->entry.name);
    if (!d) return ATT_OK;
    CHECK(size % 8 == 0 && size / 8 == t->end - t->begin, f,
          "tensor '%s': dtype %s and shape mean %zu bytes, but data_offsets %zu", t->entry.name, d->name, size / 8,
          t->end - t->begin);
    return ATT_OK;
}

static att_status read_entry(att_file *f, tensor *t, const char *name, const json_t *object, size_t data_bytes)
{
    t->entry.name = name;
    CHECK(json_is_object(object), f, "tensor '%s': not a JSON object", name);
    const json_t *dtype = json_object_get(object, "dtype"), *shape = json_object_get(object, "shape");
    const json_t *offsets = json_object_get(object, "data_offsets");
    CHECK(json_is_string(dtype), f, "tensor '%s': dtype is missing or not a text", name);
    CHECK(json_is_array(shape), f, "tensor '%s': shape is missing or not a list", name);
    CHECK(json_is_array(offsets) && json_array_size(offsets) == 2, f,
          "tensor '%s': data_offsets is missing or not a pair", name);
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    CHECK(json_is_integer(begin) && json_is_integer(end), f, "tensor '%s': data_offsets are not whole numbers", name);
    long long lo = json_integer_value(begin), hi = json_integer_value(end);
    CHECK(0 <= lo && lo <= hi, f, "tensor '%s': data_offsets [%lld, %lld] are no range", name, lo, hi);
    CHECK((uint64_t)hi <= data_bytes, f, "tensor '%s': ends at byte %lld of the data, but the file has %zu: cut short",
          name, hi, data_bytes);
    t->entry.dtype = json_string_value(dtype);
    t->begin = (size_t)lo;
    t->end = (size_t)hi;
    t->entry.bytes = t->end - t->begin;
    ATT_TRY(read_shape(f, t, shape));
    return check_size(f, t);
}

static att_status allocate_entries(att_file *f)
{
    void *block;
    const char *key;
    json_t *value;
    size_t count = 0, dims = 0;
    json_object_foreach(f->tree, key, value)
    {
        if (strcmp(key, ATT_METADATA_KEY) == 0) continue;
        count++;
        dims += json_array_size(json_object_get(value, "shape"));
    }
    ATT_TRY(att_new_array(f->allocator, count, sizeof *f->tensors, &block));
    f->tensors = block;
    f->count = (int64_t)count;
    ATT_TRY(att_new_array(f->allocator, count, sizeof *f->by_name, &block));
    f->by_name = block;
    ATT_TRY(att_new_array(f->allocator, dims, sizeof *f->dims, &block));
    f->dims = block;
    f->dim_room = dims;
    return ATT_OK;
}

static int by_offset(const void *a, const void *b)
{
    const tensor *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->entry.name, y->entry.name);
}

static int by_name(const void *a, const void *b)
{
    const tensor *const *x = a, *const *y = b;
    return strcmp((*x)->entry.name, (*y)->entry.name);
}

static att_status read_entries(att_file *f, size_t data_bytes)
{
    const char *key;
    json_t *value;
    tensor *t;
    ATT_TRY(allocate_entries(f));
    t = f->tensors;
    json_object_foreach(f->tree, key, value)
    {
        if (strcmp(key, ATT_METADATA_KEY) != 0) ATT_TRY(read_entry(f, t++, key, value, data_bytes));
    }
    if (f->count) qsort(f->tensors, (size_t)f->count, sizeof *f->tensors, by_offset);
    size_t at = 0;
    for (int64_t i = 0; i < f->count; i++) {
        t = &f->tensors[i];
        f->by_name[i] = t;
        CHECK(t->begin == at, f,
              "tensor '%s': begins at byte %zu of the data, expected %zu (tensors must neither "
              "overlap nor leave gaps)",
              t->entry.name, t->begin, at);
        at = t->end;
    }
    CHECK(at == data_bytes, f, "%zu bytes after the last tensor", data_bytes - at);
    if (f->count) qsort(f->by_name, (size_t)f->count, sizeof *f->by_name, by_name);
    return ATT_OK;
}

static att_status check_tensor_sum(const att_file *f, const tensor *t)
{
    char digits[ATT_CHECKSUM_DIGITS + 1];
    const json_t *metadata = json_object_get(f->tree, ATT_METADATA_KEY), *sum = NULL;
    size_t bytes = strlen(ATT_CHECKSUM_PREFIX) + strlen(t->entry.name) + 1;
    void *key;
    ATT_TRY(att_alloc(f->allocator, bytes, &key));
    snprintf(key, bytes, "%s%s", ATT_CHECKSUM_PREFIX, t->entry.name);
    sum = json_object_get(metadata, key);
    att_free(f->allocator, key, bytes);
    CHECK(sum, f, "tensor '%s': has no checksum", t->entry.name);
    att_checksum_text(t->sum, digits);
    CHECK(strcmp(digits, json_string_value(sum)) == 0, f,
          "tensor '%s': checksum is %s, but the file says %s: its data are damaged", t->entry.name, digits,
          json_string_value(sum));
    return ATT_OK;
}

static att_status allocate_data(att_file *f)
{
    void *block;
    size_t bytes = 0;
    for (int64_t i = 0; i < f->count; i++) bytes += att_round_up(f->tensors[i].entry.bytes, ATT_ALIGN);
    ATT_TRY(att_alloc(f->allocator, bytes, &block));
    f->data = block;
    f->data_bytes = bytes;
    char *place = f->data;
    for (int64_t i = 0; i < f->count; i++) {
        f->tensors[i].entry.data = place;
        place += att_round_up(f->tensors[i].entry.bytes, ATT_ALIGN);
    }
    return ATT_OK;
}

typedef struct reading {
    att_file *file;
    int fd;
} reading;

static att_status read_tensor(const reading *r, tensor *t)
{
    void *place = (void *)(uintptr_t)t->entry.data;
    const size_t data_begin = ATT_LENGTH_BYTES + r->file->header_bytes;
    ATT_TRY(att_disk_read(r->fd, r->file->path, place, t->entry.bytes, data_begin + t->begin));
    if (r->file->has_checksums) t->sum = att_checksum(0, place, t->entry.bytes);
    return ATT_OK;
}

static void read_tile(void *ctx, int64_t tile, int worker)
{
    const reading *r = ctx;
    (void)worker;
    r->file->tensors[tile].failed = read_tensor(r, &r->file->tensors[tile]) != ATT_OK;
}

/* A message belongs to the thread that failed: what failed is read again here. */
static att_status read_data(att_file *f, const att_exec *exec, int fd)
{
    reading r = {f, fd};
    ATT_TRY(allocate_data(f));
    att_parallel(exec, f->count, read_tile, &r);
    for (int64_t i = 0; i < f->count; i++) {
        tensor *t = &f->tensors[i];
        if (t->failed) ATT_TRY(read_tensor(&r, t));
        if (f->has_checksums) ATT_TRY(check_tensor_sum(f, t));
    }
    return ATT_OK;
}

static att_status read_all(att_file *f, const att_exec *exec, int fd, size_t file_bytes)
{
    ATT_TRY(read_header(f, fd, file_bytes));
    ATT_TRY(read_metadata(f));
    ATT_TRY(check_header_sum(f));
    ATT_TRY(read_entries(f, file_bytes - ATT_LENGTH_BYTES - f->header_bytes));
    return read_data(f, exec, fd);
}

static att_status create(const char *path, const att_allocator *allocator, att_file **out)
{
    void *block;
    ATT_TRY(att_alloc_zero(allocator, sizeof **out, &block));
    *out = block;
    (*out)->allocator = allocator;
    (*out)->path_bytes = strlen(path) + 1;
    return att_copy_string(allocator, path, strlen(path), &(*out)->path);
}

att_status att_file_open(const char *path, const att_allocator *allocator, att_file **out)
{
    return att_file_open_with(path, NULL, allocator, out);
}

att_status att_file_open_with(const char *path, const att_exec *exec, const att_allocator *allocator, att_file **out)
{
    int fd;
    size_t bytes;
    *out = NULL;
    ATT_TRY(att_disk_open(path, &fd, &bytes));
    att_file *f = NULL;
    att_status st = create(path, allocator, &f);
    if (st == ATT_OK) st = read_all(f, exec, fd, bytes);
    close(fd);
    if (st == ATT_OK)
        *out = f;
    else
        att_file_close(f);
    return st;
}

void att_file_close(att_file *f)
{
    if (!f) return;
    const att_allocator *a = f->allocator;
    size_t entries = json_object_size(json_object_get(f->tree, ATT_METADATA_KEY));
    att_free(a, f->metadata, entries * sizeof *f->metadata);
    att_free(a, f->data, f->data_bytes);
    att_free(a, f->dims, f->dim_room * sizeof *f->dims);
    att_free(a, f->by_name, (size_t)f->count * sizeof(tensor *));
    att_free(a, f->tensors, (size_t)f->count * sizeof *f->tensors);
    if (f->header) att_free(a, f->header, f->header_bytes + 1);
    att_free(a, f->path, f->path_bytes);
    json_decref(f->tree);
    att_free(a, f, sizeof *f);
}

att_span att_file_take_memory(att_file *f)
{
    att_span memory = {f->data, f->data_bytes};
    f->data = NULL;
    return memory;
}

size_t att_file_memory(const att_file *f)
{
    return f->data_bytes;
}

/* ---- what is in it ---- */

int64_t att_file_count(const att_file *f)
{
    return f->count;
}

const char *att_file_name(const att_file *f, int64_t i)
{
    return att_file_entry_at(f, i)->name;
}

const att_file_entry *att_file_entry_at(const att_file *f, int64_t i)
{
    assert(0 <= i && i < f->count);
    return &f->tensors[i].entry;
}

static const att_file_entry *find(const att_file *f, const char *name)
{
    int64_t lo = 0, hi = f->count;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        int order = strcmp(name, f->by_name[mid]->entry.name);
        if (order == 0) return &f->by_name[mid]->entry;
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

att_status att_file_tensor(const att_file *f, const char *name, att_view *out)
{
    const att_file_entry *e = find(f, name);
    *out = (att_view){0};
    ATT_REQUIRE(e, ATT_E_MISSING, "%s: has no tensor '%s'", f->path, name);
    const known_dtype *d = find_dtype(e->dtype);
    ATT_REQUIRE(d && d->readable, ATT_E_UNSUPPORTED,
                "%s: tensor '%s': dtype %s, expected F32, F64, F16, BF16, I8, "
                "I32, I64, U8 or BOOL",
                f->path, name, e->dtype);
    ATT_REQUIRE(e->ndim <= ATT_MAX_DIMS, ATT_E_UNSUPPORTED, "%s: tensor '%s': %lld dimensions, expected at most %d",
                f->path, name, (long long)e->ndim, ATT_MAX_DIMS);
    *out = att_view_dense((void *)(uintptr_t)e->data, d->dtype, (int)e->ndim, e->dim);
    return ATT_OK;
}

const char *att_file_metadata(const att_file *f, const char *key)
{
    for (int64_t i = 0; i < f->metadata_count; i++)
        if (strcmp(f->metadata[i].key, key) == 0) return f->metadata[i].value;
    return NULL;
}

int64_t att_file_metadata_count(const att_file *f)
{
    return f->metadata_count;
}

att_metadata att_file_metadata_at(const att_file *f, int64_t i)
{
    assert(0 <= i && i < f->metadata_count);
    return f->metadata[i];
}

int att_file_has_checksums(const att_file *f)
{
    return f->has_checksums;
}
