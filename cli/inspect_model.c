/* attend inspect, of model files. */
#include "inspect.h"

#include <stdlib.h>
#include <string.h>

#include <attend/file.h>

#define STATE_PREFIX "optimiser." /* tensors of a checkpoint that are no parameters */
#define NAME_WIDTH   60           /* columns that names are padded to at most */
#define SHAPE_BYTES  128

/* Of the finite elements. */
typedef struct statistics {
    double min, max, mean, norm;
    int64_t finite, other; /* other: NaN or infinite */
    bool known;            /* the element type can be read */
} statistics;

static double from_half(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value = exponent == 31  ? (fraction ? NAN : INFINITY)
                   : exponent == 0 ? ldexp(fraction, -24)
                                   : ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 ? -value : value;
}

static double from_bfloat(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

static double element(const att_view *v, int64_t i)
{
    switch (v->dtype) {
    case ATT_F32: return (double)((const float *)v->data)[i];
    case ATT_F64: return ((const double *)v->data)[i];
    case ATT_BF16: return from_bfloat(((const uint16_t *)v->data)[i]);
    case ATT_F16: return from_half(((const uint16_t *)v->data)[i]);
    case ATT_I8: return ((const int8_t *)v->data)[i];
    case ATT_I32: return ((const int32_t *)v->data)[i];
    case ATT_I64: return (double)((const int64_t *)v->data)[i];
    case ATT_U8: return ((const uint8_t *)v->data)[i];
    }
    return NAN;
}

static statistics measure(const att_file *file, const char *name)
{
    statistics s = {0};
    att_view v;
    if (att_file_tensor(file, name, &v) != ATT_OK) return s;
    double sum = 0, squares = 0;
    s.known = true;
    for (int64_t i = 0, n = att_view_count(&v); i < n; i++) {
        double x = element(&v, i);
        if (!isfinite(x)) {
            s.other++;
            continue;
        }
        if (s.finite++ == 0) s.min = s.max = x;
        if (x < s.min) s.min = x;
        if (x > s.max) s.max = x;
        sum += x;
        squares += x * x;
    }
    if (s.finite) s.mean = sum / (double)s.finite;
    s.norm = sqrt(squares);
    return s;
}

static int64_t element_count(const att_file_entry *e)
{
    int64_t n = 1;
    for (int64_t a = 0; a < e->ndim; a++) n *= e->dim[a];
    return n;
}

typedef struct totals {
    int64_t parameters, bytes, unusual; /* unusual: elements that are NaN or infinite */
} totals;

static void add(totals *t, const att_file_entry *e, const statistics *s)
{
    if (strncmp(e->name, STATE_PREFIX, strlen(STATE_PREFIX)) != 0) t->parameters += element_count(e);
    t->bytes += (int64_t)e->bytes;
    t->unusual += s->other;
}

/* ---- for people ---- */

/* 1234567 as 1,234,567 */
static const char *grouped(int64_t n, char out[32])
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0 && digits[i - 1] != '-') out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

static void shape_text(const att_file_entry *e, char out[SHAPE_BYTES])
{
    size_t at = 1;
    out[0] = '(';
    for (int64_t a = 0; a < e->ndim && at < SHAPE_BYTES - 32; a++)
        at += (size_t)snprintf(out + at, SHAPE_BYTES - at, "%s%lld", a ? ", " : "", (long long)e->dim[a]);
    snprintf(out + at, SHAPE_BYTES - at, e->ndim == 1 ? ",)" : ")");
}

static void print_metadata(const att_file *file)
{
    if (att_file_metadata_count(file) > 0) printf("metadata:\n");
    for (int64_t i = 0; i < att_file_metadata_count(file); i++) {
        att_metadata m = att_file_metadata_at(file, i);
        json_t *value = json_loads(m.value, JSON_REJECT_DUPLICATES, NULL), *text = NULL;
        printf("  ");
        inspect_put_text(m.key, 200);
        putchar(':');
        if (!value) text = json_string(m.value);
        inspect_put_value(value ? value : text, 2);
        json_decref(value);
        json_decref(text);
    }
}

static void print_tensor(const att_file_entry *e, const statistics *s, int name_width, int shape_width)
{
    char shape[SHAPE_BYTES];
    shape_text(e, shape);
    printf("  ");
    inspect_put_text(e->name, 1000);
    int pad = strlen(e->name) < (size_t)name_width ? name_width - (int)strlen(e->name) : 0;
    printf("%*s  %-5s  %-*s", pad, "", e->dtype, shape_width, shape);
    if (s->known && s->finite > 0)
        printf("  %11.4g  %11.4g  %11.4g  %11.4g", s->min, s->mean, s->max, s->norm);
    else
        printf("  %11s  %11s  %11s  %11s", "-", "-", "-", "-");
    if (s->other > 0) printf("  %lld not finite", (long long)s->other);
    putchar('\n');
}

static void print_tensors(const att_file *file, totals *total)
{
    int name_width = 6, shape_width = 5;
    char shape[SHAPE_BYTES];
    for (int64_t i = 0; i < att_file_count(file); i++) {
        const att_file_entry *e = att_file_entry_at(file, i);
        shape_text(e, shape);
        if (strlen(e->name) <= NAME_WIDTH && (int)strlen(e->name) > name_width) name_width = (int)strlen(e->name);
        if ((int)strlen(shape) > shape_width) shape_width = (int)strlen(shape);
    }
    if (att_file_count(file) > 0)
        printf("tensors:\n  %-*s  %-5s  %-*s  %11s  %11s  %11s  %11s\n", name_width, "name", "dtype", shape_width,
               "shape", "min", "mean", "max", "norm");
    for (int64_t i = 0; i < att_file_count(file); i++) {
        const att_file_entry *e = att_file_entry_at(file, i);
        statistics s = measure(file, e->name);
        print_tensor(e, &s, name_width, shape_width);
        add(total, e, &s);
    }
}

static int print_model(const char *path, const att_file *file)
{
    totals total = {0};
    char tensors[32], parameters[32], bytes[32];
    printf("%s: safetensors, %s\n", path, att_file_has_checksums(file) ? "checksums verified" : "without checksums");
    print_metadata(file);
    print_tensors(file, &total);
    printf("total: %s tensors, %s parameters, %s bytes of data\n", grouped(att_file_count(file), tensors),
           grouped(total.parameters, parameters), grouped(total.bytes, bytes));
    if (total.unusual > 0) printf("%s elements are NaN or infinite\n", grouped(total.unusual, bytes));
    return CLI_DONE;
}

/* ---- for programs ---- */

static json_t *tensor_json(const att_file_entry *e, const statistics *s)
{
    json_t *object =
        json_pack("{s:s, s:s, s:[], s:I}", "name", e->name, "dtype", e->dtype, "shape", "bytes", (json_int_t)e->bytes);
    json_t *shape = json_object_get(object, "shape");
    bool known = s->known && s->finite > 0;
    for (int64_t a = 0; a < e->ndim; a++) json_array_append_new(shape, json_integer(e->dim[a]));
    json_object_set_new(object, "min", known ? json_real(s->min) : json_null());
    json_object_set_new(object, "mean", known ? json_real(s->mean) : json_null());
    json_object_set_new(object, "max", known ? json_real(s->max) : json_null());
    json_object_set_new(object, "norm", known && isfinite(s->norm) ? json_real(s->norm) : json_null());
    json_object_set_new(object, "not_finite", json_integer(s->other));
    return object;
}

static json_t *metadata_json(const att_file *file)
{
    json_t *object = json_object();
    for (int64_t i = 0; i < att_file_metadata_count(file); i++) {
        att_metadata m = att_file_metadata_at(file, i);
        json_t *value = json_loads(m.value, JSON_REJECT_DUPLICATES, NULL);
        json_object_set_new(object, m.key, value ? value : json_string(m.value));
    }
    return object;
}

static int print_model_json(const char *path, const att_file *file)
{
    totals total = {0};
    json_t *tensors = json_array();
    for (int64_t i = 0; i < att_file_count(file); i++) {
        const att_file_entry *e = att_file_entry_at(file, i);
        statistics s = measure(file, e->name);
        add(&total, e, &s);
        json_array_append_new(tensors, tensor_json(e, &s));
    }
    return cli_print_json(json_pack("{s:s, s:s, s:b, s:o, s:o, s:I, s:I}", "file", path, "kind", "model", "checksums",
                                    att_file_has_checksums(file), "metadata", metadata_json(file), "tensors", tensors,
                                    "parameters", (json_int_t)total.parameters, "bytes", (json_int_t)total.bytes));
}

int inspect_model(const char *path)
{
    att_file *file;
    att_status st = att_file_open(path, NULL, &file);
    if (st != ATT_OK) return cli_fail(st);
    int status = cli.json ? print_model_json(path, file) : print_model(path, file);
    att_file_close(file);
    return status;
}
