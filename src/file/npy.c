/* A .npy file: 6 bytes of magic, 2 of version, the header's length (2 bytes in version 1, 4 in 2 and 3), the header,
 * the elements. The header is a Python dictionary:
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 * (NumPy Enhancement Proposal 1). Version 3 differs from 2 in the encoding of field names only, which no array here
 * has. */
#include <attend/npy.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file/disk.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are copied as they lie in the file");

#define MAGIC        "\x93NUMPY"
#define MAGIC_BYTES  6
#define PREFIX_BYTES 12 /* of versions 2 and 3; version 1 has two less */
#define ALIGNMENT    64 /* of the first element in the file */
#define GROWTH       21 /* digits that NumPy leaves room for, so that the first dimension can grow in place */

typedef struct element {
    const char *name; /* without the byte order */
    att_dtype dtype;
} element;

/* The first with a dtype is what it is written as. */
static const element elements[] = {
    {"f4", ATT_F32}, {"f8", ATT_F64}, {"f2", ATT_F16}, {"i1", ATT_I8},
    {"i4", ATT_I32}, {"i8", ATT_I64}, {"u1", ATT_U8},  {"b1", ATT_U8},
};
#define ELEMENTS (sizeof elements / sizeof *elements)

/* ---- the header ---- */

typedef struct cursor {
    const char *path;
    const char *begin, *at, *end;
} cursor;

typedef struct text {
    const char *at;
    size_t n;
} text;

static att_status broken(const cursor *c, const char *expected)
{
    return att_fail(ATT_E_FORMAT, "%s: broken .npy header: character %lld is not %s", c->path,
                    (long long)(c->at - c->begin) + 1, expected);
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r')) c->at++;
}

static bool take(cursor *c, const char *token)
{
    size_t n = strlen(token);
    skip_space(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, token, n) != 0) return false;
    c->at += n;
    return true;
}

static bool same(text t, const char *s)
{
    return t.n == strlen(s) && memcmp(t.at, s, t.n) == 0;
}

static att_status take_string(cursor *c, text *out)
{
    char quote = take(c, "'") ? '\'' : take(c, "\"") ? '"' : '\0';
    if (!quote) return broken(c, "a string");
    const char *close = memchr(c->at, quote, (size_t)(c->end - c->at));
    if (!close) return broken(c, "part of a closed string");
    *out = (text){c->at, (size_t)(close - c->at)};
    c->at = close + 1;
    return ATT_OK;
}

static att_status take_size(cursor *c, int64_t *out)
{
    skip_space(c);
    if (c->at == c->end || *c->at < '0' || *c->at > '9') return broken(c, "a size");
    for (*out = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *c->at - '0', out))
            return att_fail(ATT_E_FORMAT, "%s: impossible shape: a size above 2^63", c->path);
    take(c, "L"); /* Python 2 wrote its long integers so */
    return ATT_OK;
}

static att_status take_shape(cursor *c, att_view *v)
{
    if (!take(c, "(")) return broken(c, "a shape");
    bool comma = true;
    for (v->ndim = 0; !take(c, ")"); v->ndim++) {
        if (!comma) return broken(c, "a comma or closing parenthesis");
        ATT_REQUIRE(v->ndim < ATT_MAX_DIMS, ATT_E_UNSUPPORTED, "%s: more than %d dimensions, expected at most %d",
                    c->path, ATT_MAX_DIMS, ATT_MAX_DIMS);
        ATT_TRY(take_size(c, &v->dim[v->ndim]));
        comma = take(c, ",");
    }
    if (v->ndim == 1 && !comma) return broken(c, "a comma: (3) is a number in Python, (3,) a shape");
    return ATT_OK;
}

static att_status take_dtype(cursor *c, att_view *v)
{
    text t;
    skip_space(c);
    ATT_REQUIRE(c->at == c->end || *c->at != '[', ATT_E_DTYPE, "%s: records, expected elements of one type", c->path);
    ATT_TRY(take_string(c, &t));
    for (size_t i = 0; i < ELEMENTS; i++)
        if (t.n == 3 && memcmp(t.at + 1, elements[i].name, 2) == 0) {
            v->dtype = elements[i].dtype;
            if (*t.at == '<' || (*t.at == '|' && att_dtype_bytes(v->dtype) == 1)) return ATT_OK;
        }
    return att_fail(ATT_E_DTYPE,
                    "%s: elements are '%.*s', expected little-endian float32, float64, float16, int8, int32, int64, "
                    "uint8 or bool",
                    c->path, t.n < 32 ? (int)t.n : 32, t.at);
}

static att_status take_order(cursor *c, bool *fortran)
{
    *fortran = take(c, "True");
    return *fortran || take(c, "False") ? ATT_OK : broken(c, "True or False");
}

static att_status parse_header(cursor *c, att_view *v, bool *fortran)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
    int seen = 0;
    bool comma = true;
    if (!take(c, "{")) return broken(c, "the start of a dictionary");
    while (!take(c, "}")) {
        text key;
        if (!comma) return broken(c, "a comma or closing brace");
        ATT_TRY(take_string(c, &key));
        if (!take(c, ":")) return broken(c, "a colon");
        int which = same(key, "descr") ? DESCR : same(key, "fortran_order") ? ORDER : same(key, "shape") ? SHAPE : 0;
        if (which == 0 || (seen & which)) return broken(c, "the value of descr, fortran_order or shape, each once");
        seen |= which;
        ATT_TRY(which == DESCR ? take_dtype(c, v) : which == ORDER ? take_order(c, fortran) : take_shape(c, v));
        comma = take(c, ",");
    }
    skip_space(c);
    if (c->at != c->end) return broken(c, "the end of the header");
    if (seen != ALL) return broken(c, "preceded by all of descr, fortran_order and shape");
    return ATT_OK;
}

/* Strides; fails when not even the product of the non-zero sizes fits, so that no later arithmetic can overflow. */
static att_status lay_out(const char *path, att_view *v, bool fortran)
{
    int64_t step = (int64_t)att_dtype_bytes(v->dtype);
    for (int a = 0; a < v->ndim; a++)
        ATT_REQUIRE(!__builtin_mul_overflow(step, att_max64(1, v->dim[a]), &step), ATT_E_FORMAT,
                    "%s: impossible shape: more than 2^63 bytes", path);
    step = 1;
    for (int a = 0; a < v->ndim; a++) {
        int axis = fortran ? a : v->ndim - 1 - a;
        v->stride[axis] = step;
        step *= v->dim[axis];
    }
    return ATT_OK;
}

/* ---- reading ---- */

static att_status read_prefix(int fd, const char *path, size_t file_bytes, size_t *offset, size_t *header_bytes)
{
    unsigned char p[PREFIX_BYTES] = {0};
    size_t have = file_bytes < PREFIX_BYTES ? file_bytes : PREFIX_BYTES;
    ATT_TRY(att_disk_read(fd, path, p, have, 0));
    ATT_REQUIRE(have >= MAGIC_BYTES + 2 && memcmp(p, MAGIC, MAGIC_BYTES) == 0, ATT_E_FORMAT,
                "%s: does not begin as a .npy file", path);
    ATT_REQUIRE(p[6] >= 1 && p[6] <= 3 && p[7] == 0, ATT_E_FORMAT, "%s: .npy version %d.%d, expected 1.0, 2.0 or 3.0",
                path, p[6], p[7]);
    *offset = p[6] == 1 ? PREFIX_BYTES - 2 : PREFIX_BYTES;
    *header_bytes = p[8] | (size_t)p[9] << 8;
    if (p[6] > 1) *header_bytes |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    ATT_REQUIRE(*offset <= file_bytes && *header_bytes <= file_bytes - *offset, ATT_E_FORMAT,
                "%s: cut off: %zu bytes end within the header", path, file_bytes);
    return ATT_OK;
}

static att_status read_header(int fd, const char *path, size_t file_bytes, att_view *v, size_t *offset)
{
    size_t bytes = 0;
    void *block;
    bool fortran = false;
    ATT_TRY(read_prefix(fd, path, file_bytes, offset, &bytes));
    ATT_TRY(att_alloc(NULL, bytes, &block));
    att_status st = att_disk_read(fd, path, block, bytes, *offset);
    const char *begin = block;
    cursor c = {path, begin, begin, begin + bytes};
    if (st == ATT_OK) st = parse_header(&c, v, &fortran);
    att_free(NULL, block, bytes);
    *offset += bytes;
    return st == ATT_OK ? lay_out(path, v, fortran) : st;
}

static size_t data_bytes(const att_view *v)
{
    return (size_t)att_view_count(v) * att_dtype_bytes(v->dtype);
}

static att_status read_file(int fd, const char *path, size_t file_bytes, const att_allocator *allocator, att_view *v)
{
    size_t offset = 0;
    ATT_TRY(read_header(fd, path, file_bytes, v, &offset));
    size_t bytes = data_bytes(v);
    ATT_REQUIRE(bytes <= file_bytes - offset, ATT_E_FORMAT, "%s: cut off: %zu bytes of elements, expected %zu", path,
                file_bytes - offset, bytes);
    void *block;
    ATT_TRY(att_alloc(allocator, bytes, &block));
    att_status st = att_disk_read(fd, path, block, bytes, offset);
    if (st != ATT_OK) {
        att_free(allocator, block, bytes);
        return st;
    }
    v->data = block;
    return ATT_OK;
}

att_status att_npy_read(const char *path, const att_allocator *allocator, att_view *out)
{
    int fd;
    size_t bytes;
    att_view v = {0};
    *out = v;
    ATT_TRY(att_disk_open(path, &fd, &bytes));
    att_status st = read_file(fd, path, bytes, allocator, &v);
    close(fd);
    if (st == ATT_OK) *out = v;
    return st;
}

void att_npy_free(const att_allocator *allocator, att_view *v)
{
    att_free(allocator, v->data, data_bytes(v));
    *v = (att_view){0};
}

/* ---- writing ---- */

static att_status check_view(const char *path, const att_view *v, const char **descr)
{
    ATT_REQUIRE(v && v->data, ATT_E_VALUE, "%s: no array to write", path);
    ATT_REQUIRE(v->ndim >= 0 && v->ndim <= ATT_MAX_DIMS, ATT_E_SHAPE, "%s: %d dimensions, expected 0 to %d", path,
                v->ndim, ATT_MAX_DIMS);
    for (int a = 0; a < v->ndim; a++)
        ATT_REQUIRE(v->dim[a] >= 0, ATT_E_SHAPE, "%s: dim[%d] is %lld, expected 0 or more", path, a,
                    (long long)v->dim[a]);
    *descr = NULL;
    for (size_t i = 0; i < ELEMENTS && !*descr; i++)
        if (elements[i].dtype == v->dtype) *descr = elements[i].name;
    ATT_REQUIRE(*descr, ATT_E_DTYPE, "%s: elements are %s, which NumPy does not have", path, att_dtype_name(v->dtype));
    return ATT_OK;
}

/* Prefix and header, padded with spaces; returns their length. */
static size_t make_header(const att_view *v, const char *descr, char out[4 * ALIGNMENT])
{
    char shape[ATT_MAX_DIMS * (GROWTH + 2) + 2] = "";
    int n = 0, first = 0;
    for (int a = 0; a < v->ndim; a++) {
        n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%lld", a ? ", " : "", (long long)v->dim[a]);
        if (a == 0) first = n;
    }
    char order = att_dtype_bytes(v->dtype) == 1 ? '|' : '<';
    int bytes =
        10 + snprintf(out + 10, 4 * ALIGNMENT - 10, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s%s), }",
                      order, descr, shape, v->ndim == 1 ? "," : "");
    int least = bytes + (v->ndim > 0 ? GROWTH - first : 0) + 1;
    int total = least / ALIGNMENT * ALIGNMENT + ALIGNMENT; /* as NumPy: at least one space, even where none is needed */
    memset(out + bytes, ' ', (size_t)(total - bytes));
    out[total - 1] = '\n';
    memcpy(out, MAGIC "\x01\x00", MAGIC_BYTES + 2);
    out[8] = (char)((total - 10) & 0xFF);
    out[9] = (char)((total - 10) >> 8);
    return (size_t)total;
}

/* The elements from `from` on along dimensions `axis` and later, in C order; returns the end. */
static char *gather(char *to, const char *from, const att_view *v, int axis)
{
    size_t size = att_dtype_bytes(v->dtype);
    if (axis == v->ndim) {
        memcpy(to, from, size);
        return to + size;
    }
    for (int64_t i = 0; i < v->dim[axis]; i++) to = gather(to, from + i * v->stride[axis] * (int64_t)size, v, axis + 1);
    return to;
}

static att_status append_elements(att_disk_writer *w, const att_view *v)
{
    size_t bytes = data_bytes(v);
    if (bytes == 0) return ATT_OK;
    if (att_view_is_dense(v)) return att_disk_append(w, v->data, bytes);
    void *block;
    ATT_TRY(att_alloc(NULL, bytes, &block));
    gather(block, v->data, v, 0);
    att_status st = att_disk_append(w, block, bytes);
    att_free(NULL, block, bytes);
    return st;
}

att_status att_npy_write(const char *path, const att_view *v)
{
    const char *descr;
    char header[4 * ALIGNMENT];
    att_disk_writer w;
    ATT_TRY(check_view(path, v, &descr));
    size_t bytes = make_header(v, descr, header);
    ATT_TRY(att_disk_begin(&w, path));
    att_status st = att_disk_append(&w, header, bytes);
    if (st == ATT_OK) st = append_elements(&w, v);
    if (st == ATT_OK) st = att_disk_commit(&w);
    att_disk_abandon(&w);
    return st;
}
