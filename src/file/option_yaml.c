/* Options as YAML: recipes. Reading follows libyaml's events, which carry line numbers; only mappings and scalars have
 * a meaning here, so depth is bounded by the table's sections. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>
#include <yaml.h>

#include "file/disk.h"
#include "file/number.h"
#include "file/option.h"

#define FILE_MAX    ((size_t)1 << 24) /* bytes: no recipe is longer */
#define KEY_BYTES   256
#define WHERE_BYTES 300
#define SEEN_FIRST  32

/* ---- reading ---- */

typedef struct seen_key {
    char *key;
    size_t line;
} seen_key;

typedef struct reader {
    const att_options *table;
    void *record;
    const char *path;
    const char *text;
    yaml_parser_t parser;
    yaml_event_t event; /* the latest, owned */
    seen_key *seen;     /* every key of the file, sections too */
    size_t seen_count, seen_room;
} reader;

/* "FILE:LINE: " of the latest event */
static const char *where(const reader *r, char out[WHERE_BYTES])
{
    snprintf(out, WHERE_BYTES, "%.250s:%zu: ", r->path, r->event.start_mark.line + 1);
    return out;
}

static size_t line_of(const char *text, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset; i++) line += text[i] == '\n';
    return line;
}

static att_status not_yaml(const reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return att_fail(ATT_E_MEMORY, "%s: out of memory", r->path);
    size_t line = p->error == YAML_READER_ERROR ? line_of(r->text, p->problem_offset) : p->problem_mark.line + 1;
    return att_fail(ATT_E_FORMAT, "%s:%zu: not YAML: %s%s%s", r->path, line, p->problem ? p->problem : "error",
                    p->context ? " " : "", p->context ? p->context : "");
}

static att_status next(reader *r)
{
    yaml_event_delete(&r->event);
    return yaml_parser_parse(&r->parser, &r->event) ? ATT_OK : not_yaml(r);
}

static att_status note_key(reader *r, const char *key)
{
    char place[WHERE_BYTES];
    for (size_t i = 0; i < r->seen_count; i++)
        ATT_REQUIRE(strcmp(r->seen[i].key, key) != 0, ATT_E_VALUE, "%sduplicate key '%s' (first on line %zu)",
                    where(r, place), key, r->seen[i].line);
    if (r->seen_count == r->seen_room) {
        size_t room = r->seen_room ? r->seen_room * 2 : SEEN_FIRST;
        void *block = r->seen;
        ATT_TRY(att_realloc(NULL, &block, r->seen_room * sizeof *r->seen, room * sizeof *r->seen));
        r->seen = block;
        r->seen_room = room;
    }
    char *copy;
    ATT_TRY(att_copy_string(NULL, key, strlen(key), &copy));
    r->seen[r->seen_count++] = (seen_key){.key = copy, .line = r->event.start_mark.line + 1};
    return ATT_OK;
}

static const char *scalar(const reader *r)
{
    return (const char *)r->event.data.scalar.value;
}

static bool is_plain(const reader *r)
{
    return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool is_null(const reader *r)
{
    return is_plain(r) && (!*scalar(r) || strcmp(scalar(r), "~") == 0 || strcmp(scalar(r), "null") == 0);
}

static att_status read_value(reader *r, const att_option *o)
{
    char place[WHERE_BYTES];
    bool texts = o->type == ATT_OPTION_STRING || o->type == ATT_OPTION_CHOICE;
    where(r, place);
    switch (r->event.type) {
    case YAML_SCALAR_EVENT: break;
    case YAML_SEQUENCE_START_EVENT: return att_option_refuse(o, "a list", place);
    case YAML_MAPPING_START_EVENT: return att_option_refuse(o, "a section", place);
    default: return att_option_refuse(o, "an alias", place);
    }
    ATT_REQUIRE(strlen(scalar(r)) == r->event.data.scalar.length, ATT_E_VALUE, "%s%s: holds a NUL character", place,
                o->key);
    if (is_null(r))
        return o->type == ATT_OPTION_STRING ? att_option_put_text(o, r->record, "", place)
                                            : att_option_refuse(o, "nothing", place);
    if (!texts && !is_plain(r)) return att_option_refuse(o, "a text in quotes", place);
    return att_option_parse(o, r->record, scalar(r), place);
}

static att_status read_mapping(reader *r, const char *section);

static att_status read_pair(reader *r, const char *section)
{
    char key[KEY_BYTES], place[WHERE_BYTES];
    where(r, place);
    ATT_REQUIRE(r->event.type == YAML_SCALAR_EVENT, ATT_E_VALUE, "%sa key must be a plain word", place);
    size_t n = (size_t)snprintf(key, sizeof key, "%s%s%s", section, *section ? "." : "", scalar(r));
    const att_option *o = n < sizeof key ? att_option_find(r->table, key) : NULL;
    bool is_section = n < sizeof key && att_option_is_section(r->table, key);
    if (!o && !is_section) return att_option_unknown(r->table, key, place);
    ATT_TRY(note_key(r, key));
    ATT_TRY(next(r));
    if (o) return read_value(r, o);
    if (r->event.type == YAML_MAPPING_START_EVENT) return read_mapping(r, key);
    if (r->event.type == YAML_SCALAR_EVENT && is_null(r)) return ATT_OK; /* a section of comments only */
    return att_option_unknown(r->table, key, where(r, place));
}

static att_status read_mapping(reader *r, const char *section)
{
    for (;;) {
        ATT_TRY(next(r));
        if (r->event.type == YAML_MAPPING_END_EVENT) return ATT_OK;
        ATT_TRY(read_pair(r, section));
    }
}

static att_status read_stream(reader *r)
{
    char place[WHERE_BYTES];
    ATT_TRY(next(r)); /* stream start */
    ATT_TRY(next(r));
    if (r->event.type == YAML_STREAM_END_EVENT) return ATT_OK;
    ATT_TRY(next(r));
    if (r->event.type == YAML_MAPPING_START_EVENT)
        ATT_TRY(read_mapping(r, ""));
    else
        ATT_REQUIRE(r->event.type == YAML_SCALAR_EVENT && is_null(r), ATT_E_VALUE,
                    "%sexpected lines of the form 'key: value'", where(r, place));
    ATT_TRY(next(r)); /* document end */
    ATT_TRY(next(r));
    ATT_REQUIRE(r->event.type == YAML_STREAM_END_EVENT, ATT_E_VALUE, "%sa second document, expected one",
                where(r, place));
    return ATT_OK;
}

static att_status read_recipe(const att_options *table, void *record, void *ctx)
{
    const char *path = ctx;
    char *text;
    size_t bytes;
    reader r = {.table = table, .record = record, .path = path};
    ATT_TRY(att_disk_load(path, FILE_MAX, &text, &bytes));
    r.text = text;
    att_status st = ATT_OK;
    if (yaml_parser_initialize(&r.parser)) {
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, bytes);
        st = read_stream(&r);
        yaml_event_delete(&r.event);
        yaml_parser_delete(&r.parser);
    } else {
        st = att_fail(ATT_E_MEMORY, "%s: out of memory", path);
    }
    for (size_t i = 0; i < r.seen_count; i++) att_string_free(r.seen[i].key);
    att_free(NULL, r.seen, r.seen_room * sizeof *r.seen);
    att_free(NULL, text, bytes + 1);
    return st;
}

att_status att_options_read_yaml(const att_options *table, void *record, const char *path)
{
    return att_option_transact(table, record, read_recipe, (void *)(uintptr_t)path);
}

/* ---- writing ---- */

typedef struct writer {
    const void *record;
    att_builder text;
} writer;

/* A word that YAML reads as text without quotes. */
static bool is_word(const char *s)
{
    static const char *const taken[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
    if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '/' || *s == '_')) return false;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcasecmp(s, taken[i]) == 0) return false;
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("/_.-", *s)))
            return false;
    return true;
}

/* What YAML folds, forbids or takes for a mark: controls, line separators, byte order marks. */
static bool needs_escape(utf8proc_int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe ||
           c == 0xffff;
}

/* In double quotes. The text is UTF-8 (att_option_put_text saw to it). */
static void put_quoted(att_builder *t, const char *s)
{
    att_builder_append(t, "\"", 1);
    while (*s) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, -1, &c);
        if (n <= 0) break;
        if (c == '"' || c == '\\')
            att_builder_format(t, "\\%c", (int)c);
        else if (needs_escape(c))
            att_builder_format(t, "\\u%04x", (unsigned)c);
        else
            att_builder_append(t, s, (size_t)n);
        s += n;
    }
    att_builder_append(t, "\"", 1);
}

static void indent(att_builder *t, int depth)
{
    for (int i = 0; i < depth; i++) att_builder_append(t, "  ", 2);
}

static void open_section(void *ctx, const char *name, size_t bytes, int depth)
{
    writer *w = ctx;
    indent(&w->text, depth);
    att_builder_append(&w->text, name, bytes);
    att_builder_append(&w->text, ":\n", 2);
}

static void close_section(void *ctx, int depth)
{
    (void)ctx;
    (void)depth;
}

static void write_leaf(void *ctx, const char *name, const att_option *o, int depth)
{
    writer *w = ctx;
    char number[ATT_NUMBER_BYTES];
    indent(&w->text, depth);
    att_builder_format(&w->text, "%s: ", name);
    switch (o->type) {
    case ATT_OPTION_INT: att_builder_format(&w->text, "%lld", (long long)att_option_int(o, w->record)); break;
    case ATT_OPTION_REAL:
        att_number_format(att_option_real(o, w->record), number);
        att_builder_format(&w->text, "%s", number);
        break;
    case ATT_OPTION_BOOL: att_builder_format(&w->text, att_option_bool(o, w->record) ? "true" : "false"); break;
    case ATT_OPTION_STRING:
    case ATT_OPTION_CHOICE:
        if (is_word(att_option_text(o, w->record)))
            att_builder_format(&w->text, "%s", att_option_text(o, w->record));
        else
            put_quoted(&w->text, att_option_text(o, w->record));
    }
    att_builder_format(&w->text, "%s%s\n", o->help && *o->help ? "  # " : "", o->help ? o->help : "");
}

att_status att_options_to_yaml(const att_options *table, const void *record, char **text)
{
    writer w = {.record = record};
    const att_option_visitor visitor = {open_section, write_leaf, close_section, &w};
    att_option_walk(table, &visitor);
    return att_builder_take(&w.text, text);
}
