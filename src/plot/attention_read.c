/* Reading attention files. The few short values of a line go to jansson; the weights, nearly all of it, are read
 * straight into one array of floats, so that a line costs about its own size in memory. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "plot/attention.h"

struct att_attention_reader {
    const att_allocator *allocator;
    FILE *file;
    bool owned; /* close it at the end */
    char *name; /* for messages */
    int64_t number;
    char *line;
    size_t bytes, line_capacity;
    float *weights;
    size_t count, weight_capacity;
    json_t *source, *target;
    const char **tokens; /* source, then target */
    size_t token_count;
    att_attention_record record;
};

/* A place in the line and, inside the weights, in the array. */
typedef struct cursor {
    att_attention_reader *r;
    const char *at, *end;
    int64_t index[4], size[4]; /* size: -1 while not known */
} cursor;

#define BAD(r, ...) bad_line((r), __VA_ARGS__)

static att_status bad_line(const att_attention_reader *r, const char *fmt, ...) ATT_PRINTF(2, 3);
static att_status bad_line(const att_attention_reader *r, const char *fmt, ...)
{
    char what[320];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return att_fail(ATT_E_FORMAT, "%s:%lld: %s", r->name, (long long)r->number, what);
}

static att_status unexpected(const cursor *c, const char *expected)
{
    long long column = (long long)(c->at - c->r->line) + 1;
    if (c->at >= c->end) return BAD(c->r, "the line ends at byte %lld, expected %s", column, expected);
    unsigned char found = (unsigned char)*c->at;
    if (found > 0x20 && found < 0x7f) return BAD(c->r, "'%c' at byte %lld, expected %s", found, column, expected);
    return BAD(c->r, "byte 0x%02x at byte %lld, expected %s", found, column, expected);
}

static void skip_blanks(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r')) c->at++;
}

static bool take(cursor *c, char wanted)
{
    skip_blanks(c);
    if (c->at >= c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

/* Past the string whose opening quote is at c->at. */
static att_status skip_string(cursor *c)
{
    const char *start = c->at++;
    while (c->at < c->end && *c->at != '"') c->at += *c->at == '\\' && c->at + 1 < c->end ? 2 : 1;
    if (c->at < c->end) {
        c->at++;
        return ATT_OK;
    }
    return BAD(c->r, "the string at byte %lld has no end", (long long)(start - c->r->line) + 1);
}

/* Past one value of any kind, by its brackets and quotes alone. */
static att_status skip_value(cursor *c)
{
    int64_t depth = 0;
    skip_blanks(c);
    if (c->at >= c->end) return unexpected(c, "a value");
    do {
        char k = *c->at;
        if (k == '"') {
            ATT_TRY(skip_string(c));
        } else {
            if (depth == 0 && strchr(",:]}", k)) return unexpected(c, "a value");
            if (k == '[' || k == '{') depth++;
            if (k == ']' || k == '}') depth--;
            c->at++;
            if (depth == 0 && k != ']' && k != '}')
                while (c->at < c->end && !strchr(",:]} \t\r", *c->at)) c->at++;
        }
    } while (depth > 0 && c->at < c->end);
    return depth > 0 ? unexpected(c, "a closing bracket") : ATT_OK;
}

static att_status parse_small(cursor *c, const char *start, size_t bytes, json_t **out)
{
    json_error_t e;
    *out = json_loadb(start, bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &e);
    if (*out) return ATT_OK;
    return BAD(c->r, "byte %lld: %.200s", (long long)(start - c->r->line) + e.position, e.text);
}

/* "weights[0][3]" for the first `depth` indices. */
static const char *place(const cursor *c, int depth, char text[128])
{
    size_t n = (size_t)snprintf(text, 128, "weights");
    for (int k = 0; k < depth; k++) n += (size_t)snprintf(text + n, 128 - n, "[%lld]", (long long)c->index[k]);
    return text;
}

static att_status store(cursor *c, float v)
{
    att_attention_reader *r = c->r;
    if (r->count == r->weight_capacity) {
        size_t capacity = r->weight_capacity ? 2 * r->weight_capacity : 1024;
        void *block = r->weights;
        ATT_TRY(att_realloc(r->allocator, &block, r->weight_capacity * sizeof(float), capacity * sizeof(float)));
        r->weights = block;
        r->weight_capacity = capacity;
    }
    r->weights[r->count++] = v;
    return ATT_OK;
}

static bool digit(const cursor *c)
{
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

/* A JSON number: 19 digits and a power of ten are more than a float can hold. */
static att_status number(cursor *c)
{
    char text[128];
    bool negative = take(c, '-');
    uint64_t digits = 0;
    int64_t scale = 0, power = 0;
    const char *start = c->at;
    if (!digit(c)) {
        skip_blanks(c);
        const char *word = c->at;
        while (c->at < c->end && !strchr(",[]{} \t\r", *c->at)) c->at++;
        if (c->at == word) return unexpected(c, "a number");
        return BAD(c->r, "%s is %s%.*s, expected a number", place(c, 4, text), negative ? "-" : "",
                   (int)att_min64(c->at - word, 20), word);
    }
    for (bool fraction = false; digit(c) || (!fraction && c->at < c->end && *c->at == '.'); c->at++) {
        if (*c->at == '.') {
            if (c->at + 1 >= c->end || c->at[1] < '0' || c->at[1] > '9') break;
            fraction = true;
        } else if (digits < 1000000000000000000u) {
            digits = 10 * digits + (uint64_t)(*c->at - '0');
            scale -= fraction;
        } else {
            scale += !fraction;
        }
    }
    if (start[0] == '0' && c->at - start > 1 && start[1] != '.')
        return BAD(c->r, "%s starts with a zero, which JSON forbids", place(c, 4, text));
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        bool down = c->at < c->end && *c->at == '-';
        if (down || (c->at < c->end && *c->at == '+')) c->at++;
        if (!digit(c)) return unexpected(c, "an exponent");
        for (; digit(c); c->at++) power = att_min64(10 * power + (*c->at - '0'), 100000);
        if (down) power = -power;
    }
    double v = (double)digits, by = (double)(scale + power);
    v = digits == 0 ? 0 : by < -300 ? v * pow(10, -300) * pow(10, by + 300) : v * pow(10, by);
    float weight = (float)(negative ? -v : v);
    if (!isfinite(weight)) return BAD(c->r, "%s is too large for a weight", place(c, 4, text));
    return store(c, weight);
}

/* An array `depth` brackets down; all arrays of one depth must be of one size. */
static att_status array(cursor *c, int depth)
{
    static const char *const what[] = {"layers", "heads", "rows", "columns"};
    char text[128];
    int64_t n = 0;
    skip_blanks(c);
    if (c->at >= c->end) return unexpected(c, "'['");
    if (*c->at != '[')
        return BAD(c->r, "%s at byte %lld is no array: expected weights[layer][head][row][column]",
                   place(c, depth, text), (long long)(c->at - c->r->line) + 1);
    c->at++;
    if (!take(c, ']')) {
        do {
            c->index[depth] = n++;
            ATT_TRY(depth < 3 ? array(c, depth + 1) : number(c));
        } while (take(c, ','));
        if (!take(c, ']')) return unexpected(c, "',' or ']'");
    }
    if (n == 0) return BAD(c->r, "%s has no %s, expected at least 1", place(c, depth, text), what[depth]);
    if (c->size[depth] >= 0 && n != c->size[depth])
        return BAD(c->r, "%s has %lld %s, expected %lld as before it", place(c, depth, text), (long long)n, what[depth],
                   (long long)c->size[depth]);
    c->size[depth] = n;
    return ATT_OK;
}

typedef struct slices {
    json_t *kind, *source, *target;
    bool weights;
} slices;

/* One `"key": value` of the object. */
static att_status member(cursor *c, slices *s)
{
    skip_blanks(c);
    if (c->at >= c->end || *c->at != '"') return unexpected(c, "a key in quotes");
    const char *start = c->at;
    json_t *key, *value;
    ATT_TRY(skip_string(c));
    ATT_TRY(parse_small(c, start, (size_t)(c->at - start), &key));
    const char *name = json_string_value(key);
    json_t **slot = strcmp(name, "kind") == 0     ? &s->kind
                    : strcmp(name, "source") == 0 ? &s->source
                    : strcmp(name, "target") == 0 ? &s->target
                                                  : NULL;
    bool weights = strcmp(name, "weights") == 0;
    att_status st = ATT_OK;
    if ((weights && s->weights) || (slot && *slot)) st = BAD(c->r, "\"%s\" appears twice", name);
    json_decref(key);
    if (st != ATT_OK) return st;
    if (!take(c, ':')) return unexpected(c, "':'");
    if (weights) {
        s->weights = true;
        return array(c, 0);
    }
    skip_blanks(c);
    start = c->at;
    ATT_TRY(skip_value(c));
    ATT_TRY(parse_small(c, start, (size_t)(c->at - start), &value));
    if (slot)
        *slot = value;
    else
        json_decref(value);
    return ATT_OK;
}

static att_status check_tokens(att_attention_reader *r, const char *key, const json_t *list)
{
    if (!list) return ATT_OK;
    if (!json_is_array(list)) return BAD(r, "\"%s\" is no array: expected a list of tokens", key);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i))) return BAD(r, "%s[%zu] is no string", key, i);
    return ATT_OK;
}

/* Token arrays of the record, pointing into the JSON values, which the reader keeps. */
static att_status keep_tokens(att_attention_reader *r)
{
    size_t n[2] = {json_array_size(r->source), json_array_size(r->target)};
    void *block;
    ATT_TRY(att_new_array(r->allocator, n[0] + n[1], sizeof(char *), &block));
    r->tokens = block;
    r->token_count = n[0] + n[1];
    for (size_t i = 0; i < n[0]; i++) r->tokens[i] = json_string_value(json_array_get(r->source, i));
    for (size_t i = 0; i < n[1]; i++) r->tokens[n[0] + i] = json_string_value(json_array_get(r->target, i));
    r->record.source = r->tokens;
    r->record.target = r->tokens + n[0];
    r->record.n_source = (int64_t)n[0];
    r->record.n_target = (int64_t)n[1];
    return ATT_OK;
}

static att_status make_record(att_attention_reader *r, const cursor *c, const slices *s)
{
    int64_t rows, cols;
    if (!s->kind) return BAD(r, "\"kind\" is missing: expected \"cross\", \"encoder\" or \"decoder\"");
    if (!json_is_string(s->kind)) return BAD(r, "\"kind\" is no string: expected cross, encoder or decoder");
    r->record = (att_attention_record){0};
    if (att_attention_kind_parse(json_string_value(s->kind), &r->record.kind) != ATT_OK)
        return BAD(r, "%.200s", att_last_error());
    ATT_TRY(check_tokens(r, "source", s->source));
    ATT_TRY(check_tokens(r, "target", s->target));
    if (!s->source && r->record.kind != ATT_ATTENTION_DECODER) return BAD(r, "\"source\" is missing");
    if (!s->target && r->record.kind != ATT_ATTENTION_ENCODER) return BAD(r, "\"target\" is missing");
    if (!s->weights) return BAD(r, "\"weights\" is missing");
    ATT_TRY(keep_tokens(r));
    att_attention_sizes(r->record.kind, r->record.n_source, r->record.n_target, &rows, &cols);
    if (c->size[2] != rows || c->size[3] != cols)
        return BAD(r,
                   "the weights have %lld rows and %lld columns, expected %lld and %lld (kind %s, %lld source and "
                   "%lld target tokens)",
                   (long long)c->size[2], (long long)c->size[3], (long long)rows, (long long)cols,
                   att_attention_kind_name(r->record.kind), (long long)r->record.n_source,
                   (long long)r->record.n_target);
    r->record.layers = c->size[0];
    r->record.heads = c->size[1];
    r->record.rows = rows;
    r->record.cols = cols;
    r->record.weights = r->weights;
    return ATT_OK;
}

static att_status parse_object(cursor *c, slices *s)
{
    if (!take(c, '{')) return unexpected(c, "'{'");
    if (!take(c, '}')) {
        do {
            ATT_TRY(member(c, s));
        } while (take(c, ','));
        if (!take(c, '}')) return unexpected(c, "',' or '}'");
    }
    skip_blanks(c);
    return c->at == c->end ? ATT_OK : unexpected(c, "the end of the line");
}

static void forget(att_attention_reader *r)
{
    json_decref(r->source);
    json_decref(r->target);
    att_free(r->allocator, r->tokens, r->token_count * sizeof(char *));
    r->source = r->target = NULL;
    r->tokens = NULL;
    r->token_count = 0;
    r->count = 0;
}

static att_status parse_line(att_attention_reader *r)
{
    cursor c = {.r = r, .at = r->line, .end = r->line + r->bytes, .size = {-1, -1, -1, -1}};
    slices s = {0};
    att_status st = parse_object(&c, &s);
    r->source = s.source;
    r->target = s.target;
    if (st == ATT_OK) st = make_record(r, &c, &s);
    json_decref(s.kind);
    return st;
}

/* The next line without its end; *more is false after the last. */
static att_status read_line(att_attention_reader *r, bool *more)
{
    int c;
    r->bytes = 0;
    r->number++;
    while ((c = getc_unlocked(r->file)) != EOF && c != '\n') {
        if (r->bytes == r->line_capacity) {
            size_t capacity = r->line_capacity ? 2 * r->line_capacity : 4096;
            void *block = r->line;
            if (r->bytes >= (size_t)ATT_ATTENTION_LINE_BYTES)
                return BAD(r, "the line is longer than %lld bytes", (long long)ATT_ATTENTION_LINE_BYTES);
            ATT_TRY(att_realloc(r->allocator, &block, r->line_capacity, capacity));
            r->line = block;
            r->line_capacity = capacity;
        }
        r->line[r->bytes++] = (char)c;
    }
    ATT_REQUIRE(!ferror(r->file), ATT_E_IO, "%s:%lld: reading failed: %s", r->name, (long long)r->number,
                strerror(errno));
    *more = c != EOF || r->bytes > 0;
    return ATT_OK;
}

static bool is_blank_line(const att_attention_reader *r)
{
    for (size_t i = 0; i < r->bytes; i++)
        if (!strchr(" \t\r", r->line[i]) || !r->line[i]) return false;
    return true;
}

att_status att_attention_reader_next(att_attention_reader *r, const att_attention_record **record)
{
    bool more;
    *record = NULL;
    do {
        forget(r);
        ATT_TRY(read_line(r, &more));
        if (!more) return ATT_OK;
    } while (is_blank_line(r));
    ATT_TRY(parse_line(r));
    *record = &r->record;
    return ATT_OK;
}

att_status att_attention_reader_create(FILE *stream, const char *name, const att_allocator *allocator,
                                       att_attention_reader **out)
{
    void *block;
    *out = NULL;
    ATT_REQUIRE(stream && name, ATT_E_VALUE, "attention file: the stream or its name is NULL");
    ATT_TRY(att_alloc_zero(allocator, sizeof(att_attention_reader), &block));
    att_attention_reader *r = block;
    r->allocator = allocator;
    r->file = stream;
    att_status st = att_copy_string(allocator, name, strlen(name), &r->name);
    if (st != ATT_OK)
        att_attention_reader_destroy(r);
    else
        *out = r;
    return st;
}

att_status att_attention_reader_open(const char *path, const att_allocator *allocator, att_attention_reader **out)
{
    *out = NULL;
    ATT_REQUIRE(path, ATT_E_VALUE, "attention file: the path is NULL");
    FILE *file = fopen(path, "rb");
    ATT_REQUIRE(file, errno == ENOENT ? ATT_E_MISSING : ATT_E_IO, "%s: cannot be read: %s", path, strerror(errno));
    att_status st = att_attention_reader_create(file, path, allocator, out);
    if (st == ATT_OK)
        (*out)->owned = true;
    else
        fclose(file);
    return st;
}

void att_attention_reader_destroy(att_attention_reader *r)
{
    if (!r) return;
    forget(r);
    if (r->file && r->owned) fclose(r->file);
    if (r->name) att_free(r->allocator, r->name, strlen(r->name) + 1);
    att_free(r->allocator, r->line, r->line_capacity);
    att_free(r->allocator, r->weights, r->weight_capacity * sizeof(float));
    att_free(r->allocator, r, sizeof *r);
}
