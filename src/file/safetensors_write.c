/* Writing model files. Two passes over the tensors: checksums, which the header in front needs, then the bytes. */
#include "file/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <attend/file.h>

#include "file/disk.h"
#include "file/builder.h"

#define PACK_BYTES ((size_t)1 << 20)

typedef struct saving {
    const att_named_view *tensors;
    int64_t *order; /* wide element types first, so that every tensor is aligned in the file */
    int64_t n;
    const att_metadata *metadata;
    int64_t m;
    char *pack; /* PACK_BYTES: strided elements are gathered here */
    att_builder header;
} saving;

static const char *dtype_name(att_dtype dtype)
{
    static const char *const name[] = {"F32", "F64", "BF16", "F16", "I8", "I32", "I64", "U8"};
    return (size_t)dtype < sizeof name / sizeof *name ? name[dtype] : NULL;
}

static size_t view_bytes(const att_view *v)
{
    return (size_t)att_view_count(v) * att_dtype_bytes(v->dtype);
}

/* ---- dense bytes of any view ---- */

typedef att_status (*sink)(void *ctx, const void *data, size_t bytes);

/* Advance the index of a row-major walk; the offset in elements follows. */
static void step(const att_view *v, int64_t index[], int64_t *offset)
{
    for (int a = v->ndim - 1; a >= 0; a--) {
        *offset += v->stride[a];
        if (++index[a] < v->dim[a]) return;
        *offset -= v->dim[a] * v->stride[a];
        index[a] = 0;
    }
}

static att_status each_chunk(const att_view *v, char *pack, sink put, void *ctx)
{
    size_t size = att_dtype_bytes(v->dtype);
    int64_t count = att_view_count(v), offset = 0, index[ATT_MAX_DIMS] = {0};
    if (count == 0) return ATT_OK;
    if (att_view_is_dense(v)) return put(ctx, v->data, view_bytes(v));
    for (int64_t done = 0; done < count;) {
        int64_t n = att_min64(count - done, (int64_t)(PACK_BYTES / size));
        for (int64_t i = 0; i < n; i++) {
            memcpy(pack + (size_t)i * size, (const char *)v->data + offset * (int64_t)size, size);
            step(v, index, &offset);
        }
        ATT_TRY(put(ctx, pack, (size_t)n * size));
        done += n;
    }
    return ATT_OK;
}

static att_status sum_chunk(void *ctx, const void *data, size_t bytes)
{
    uint32_t *sum = ctx;
    *sum = att_checksum(*sum, data, bytes);
    return ATT_OK;
}

static att_status write_chunk(void *ctx, const void *data, size_t bytes)
{
    return att_disk_append(ctx, data, bytes);
}

/* ---- checks ---- */

static att_status check_view(const att_named_view *t)
{
    const att_view *v = &t->view;
    ATT_REQUIRE(dtype_name(v->dtype), ATT_E_DTYPE, "tensor '%s': unknown dtype %d", t->name, (int)v->dtype);
    ATT_REQUIRE(v->ndim >= 0 && v->ndim <= ATT_MAX_DIMS, ATT_E_SHAPE, "tensor '%s': %d dimensions, expected 0 to %d",
                t->name, v->ndim, ATT_MAX_DIMS);
    size_t bytes = att_dtype_bytes(v->dtype);
    for (int a = 0; a < v->ndim; a++)
        ATT_REQUIRE(v->dim[a] >= 0 && att_mul_size(bytes, (size_t)v->dim[a], &bytes) && bytes <= INT64_MAX, ATT_E_SHAPE,
                    "tensor '%s': dimension %d of %lld is impossible", t->name, a, (long long)v->dim[a]);
    ATT_REQUIRE(v->data || bytes == 0, ATT_E_VALUE, "tensor '%s': data is NULL", t->name);
    return ATT_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No name twice, none of those that mean something else. */
static att_status check_names(const char **name, int64_t n, const char *what)
{
    for (int64_t i = 0; i < n; i++) {
        ATT_REQUIRE(name[i], ATT_E_VALUE, "%s %lld: its name is NULL", what, (long long)i);
        ATT_REQUIRE(strcmp(name[i], ATT_METADATA_KEY) != 0 && !att_checksum_key(name[i]), ATT_E_VALUE,
                    "%s '%s': the file format uses this name itself", what, name[i]);
    }
    if (n > 1) qsort(name, (size_t)n, sizeof *name, by_text);
    for (int64_t i = 1; i < n; i++)
        ATT_REQUIRE(strcmp(name[i - 1], name[i]) != 0, ATT_E_VALUE, "%s '%s': is there twice", what, name[i]);
    return ATT_OK;
}

static att_status check_all(const saving *s)
{
    void *block;
    int64_t most = att_max64(s->n, s->m);
    ATT_TRY(att_new_array(NULL, (size_t)most, sizeof(char *), &block));
    const char **name = block;
    for (int64_t i = 0; i < s->n; i++) name[i] = s->tensors[i].name;
    att_status st = check_names(name, s->n, "tensor");
    for (int64_t i = 0; i < s->m; i++) name[i] = s->metadata[i].key;
    if (st == ATT_OK) st = check_names(name, s->m, "metadata");
    att_free(NULL, block, (size_t)most * sizeof(char *));
    for (int64_t i = 0; i < s->n && st == ATT_OK; i++) st = check_view(&s->tensors[i]);
    for (int64_t i = 0; i < s->m && st == ATT_OK; i++)
        if (!s->metadata[i].value) st = att_fail(ATT_E_VALUE, "metadata '%s': its value is NULL", s->metadata[i].key);
    return st;
}

/* ---- the header ---- */

/* `prefix` and `text` as one JSON string. */
static att_status put_string(att_builder *t, const char *prefix, const char *text)
{
    json_t *string = json_string(text);
    ATT_REQUIRE(string, ATT_E_VALUE, "'%s': not valid UTF-8", text);
    char *quoted = json_dumps(string, JSON_ENCODE_ANY | JSON_COMPACT);
    json_decref(string);
    ATT_REQUIRE(quoted, ATT_E_MEMORY, "out of memory: writing a header");
    att_builder_format(t, "\"%s%s", prefix, quoted + 1);
    free(quoted);
    return ATT_OK;
}

static att_status put_metadata(saving *s)
{
    att_builder *t = &s->header;
    att_builder_format(t, "{\"%s\":{\"%s\":\"%s\",%s%0*d\"", ATT_METADATA_KEY, ATT_FORMAT_KEY, ATT_FORMAT_VALUE,
                       ATT_CHECKSUM_MARK, ATT_CHECKSUM_DIGITS, 0);
    for (int64_t i = 0; i < s->m; i++) {
        att_builder_append(t, ",", 1);
        ATT_TRY(put_string(t, "", s->metadata[i].key));
        att_builder_append(t, ":", 1);
        ATT_TRY(put_string(t, "", s->metadata[i].value));
    }
    for (int64_t i = 0; i < s->n; i++) {
        uint32_t sum = 0;
        char digits[ATT_CHECKSUM_DIGITS + 1];
        const att_named_view *tensor = &s->tensors[s->order[i]];
        ATT_TRY(each_chunk(&tensor->view, s->pack, sum_chunk, &sum));
        att_checksum_text(sum, digits);
        att_builder_append(t, ",", 1);
        ATT_TRY(put_string(t, ATT_CHECKSUM_PREFIX, tensor->name));
        att_builder_format(t, ":\"%s\"", digits);
    }
    att_builder_append(t, "}", 1);
    return ATT_OK;
}

static att_status put_tensors(saving *s)
{
    att_builder *t = &s->header;
    size_t at = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const att_named_view *tensor = &s->tensors[s->order[i]];
        att_builder_append(t, ",", 1);
        ATT_TRY(put_string(t, "", tensor->name));
        att_builder_format(t, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(tensor->view.dtype));
        for (int a = 0; a < tensor->view.ndim; a++)
            att_builder_format(t, "%s%lld", a ? "," : "", (long long)tensor->view.dim[a]);
        att_builder_format(t, "],\"data_offsets\":[%zu,", at);
        at += view_bytes(&tensor->view);
        att_builder_format(t, "%zu]}", at);
    }
    return ATT_OK;
}

/* Length and JSON text, padded so that the data begin at a multiple of ATT_ALIGN; the header's own checksum last. */
static att_status build_header(saving *s)
{
    static const char blanks[ATT_ALIGN + 1] = "                                                                ";
    att_builder *t = &s->header;
    char digits[ATT_CHECKSUM_DIGITS + 1];
    att_builder_append(t, "\0\0\0\0\0\0\0\0", ATT_LENGTH_BYTES);
    ATT_TRY(put_metadata(s));
    ATT_TRY(put_tensors(s));
    att_builder_append(t, "}", 1);
    att_builder_append(t, blanks, att_round_up(t->bytes, ATT_ALIGN) - t->bytes);
    ATT_REQUIRE(!t->failed, ATT_E_MEMORY, "out of memory: writing a header");
    uint64_t bytes = t->bytes - ATT_LENGTH_BYTES;
    ATT_REQUIRE(bytes <= ATT_HEADER_MAX, ATT_E_VALUE, "metadata and names: %llu bytes, expected at most %zu",
                (unsigned long long)bytes, ATT_HEADER_MAX);
    for (int i = 0; i < ATT_LENGTH_BYTES; i++) t->data[i] = (char)(bytes >> (8 * i) & 0xff);
    att_checksum_text(att_checksum(0, t->data, t->bytes), digits);
    memcpy(att_checksum_place(t->data + ATT_LENGTH_BYTES, bytes), digits, ATT_CHECKSUM_DIGITS);
    return ATT_OK;
}

/* ---- saving ---- */

static att_status write_file(saving *s, const char *path)
{
    att_disk_writer w;
    ATT_TRY(att_disk_begin(&w, path));
    att_status st = att_disk_append(&w, s->header.data, s->header.bytes);
    for (int64_t i = 0; i < s->n && st == ATT_OK; i++)
        st = each_chunk(&s->tensors[s->order[i]].view, s->pack, write_chunk, &w);
    if (st == ATT_OK) st = att_disk_commit(&w);
    att_disk_abandon(&w);
    return st;
}

static void sort_by_width(saving *s)
{
    int64_t at = 0;
    for (size_t width = 8; width > 0; width /= 2)
        for (int64_t i = 0; i < s->n; i++)
            if (att_dtype_bytes(s->tensors[i].view.dtype) == width) s->order[at++] = i;
}

static att_status save(saving *s, const char *path)
{
    void *block;
    ATT_TRY(check_all(s));
    ATT_TRY(att_new_array(NULL, (size_t)s->n, sizeof *s->order, &block));
    s->order = block;
    ATT_TRY(att_alloc(NULL, PACK_BYTES, &block));
    s->pack = block;
    sort_by_width(s);
    ATT_TRY(build_header(s));
    return write_file(s, path);
}

att_status att_file_save(const char *path, const att_named_view *tensors, int64_t n, const att_metadata *metadata,
                         int64_t m)
{
    ATT_REQUIRE(n >= 0 && m >= 0, ATT_E_VALUE, "save: %lld tensors, %lld metadata, expected 0 or more", (long long)n,
                (long long)m);
    saving s = {.tensors = tensors, .n = n, .metadata = metadata, .m = m};
    att_status st = save(&s, path);
    att_free(NULL, s.order, (size_t)n * sizeof *s.order);
    att_free(NULL, s.pack, PACK_BYTES);
    att_builder_free(&s.header);
    return st;
}
