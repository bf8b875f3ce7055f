/* Options as JSON: the configuration inside a model file. */
#include <jansson.h>
#include <string.h>

#include "file/number.h"
#include "file/option.h"

#define KEY_BYTES 256

/* ---- writing ---- */

typedef struct writer {
    const void *record;
    att_builder text;
    bool first; /* of its object: no comma before it */
    att_status status;
} writer;

static void put_json(writer *w, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (text)
        att_builder_format(&w->text, "%s", text);
    else if (w->status == ATT_OK)
        w->status = att_fail(ATT_E_VALUE, "options: a string is not valid UTF-8, or memory ran out");
    free(text);
    json_decref(value);
}

static void put_name(writer *w, const char *name, size_t bytes)
{
    att_builder_format(&w->text, "%s\"%.*s\":", w->first ? "" : ",", (int)bytes, name);
    w->first = false;
}

static void open_object(void *ctx, const char *name, size_t bytes, int depth)
{
    writer *w = ctx;
    (void)depth;
    put_name(w, name, bytes);
    att_builder_append(&w->text, "{", 1);
    w->first = true;
}

static void close_object(void *ctx, int depth)
{
    writer *w = ctx;
    (void)depth;
    att_builder_append(&w->text, "}", 1);
    w->first = false;
}

static void write_leaf(void *ctx, const char *name, const att_option *o, int depth)
{
    writer *w = ctx;
    char number[ATT_NUMBER_BYTES];
    (void)depth;
    put_name(w, name, strlen(name));
    switch (o->type) {
    case ATT_OPTION_INT: att_builder_format(&w->text, "%lld", (long long)att_option_int(o, w->record)); break;
    case ATT_OPTION_REAL:
        att_number_format(att_option_real(o, w->record), number);
        att_builder_format(&w->text, "%s", number);
        break;
    case ATT_OPTION_BOOL: att_builder_format(&w->text, att_option_bool(o, w->record) ? "true" : "false"); break;
    case ATT_OPTION_STRING:
    case ATT_OPTION_CHOICE: put_json(w, json_string(att_option_text(o, w->record))); break;
    }
}

att_status att_options_to_json(const att_options *table, const void *record, char **text)
{
    writer w = {.record = record, .first = true};
    const att_option_visitor visitor = {open_object, write_leaf, close_object, &w};
    *text = NULL;
    att_builder_append(&w.text, "{", 1);
    att_option_walk(table, &visitor);
    att_builder_append(&w.text, "}", 1);
    if (w.status == ATT_OK) return att_builder_take(&w.text, text);
    att_builder_free(&w.text);
    return w.status;
}

/* ---- reading ---- */

typedef struct source {
    const char *text;
    size_t bytes;
} source;

static const char *kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a text";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "true or false";
    case JSON_NULL: break;
    }
    return "null";
}

static att_status read_leaf(const att_option *o, void *record, const json_t *value)
{
    static const char *const where = "configuration: ";
    switch (o->type) {
    case ATT_OPTION_INT:
        if (json_is_integer(value)) return att_option_put_int(o, record, json_integer_value(value), where);
        break;
    case ATT_OPTION_REAL:
        if (json_is_number(value)) return att_option_put_real(o, record, json_number_value(value), where);
        break;
    case ATT_OPTION_BOOL:
        if (json_is_boolean(value)) return att_option_put_bool(o, record, json_is_true(value));
        break;
    case ATT_OPTION_STRING:
    case ATT_OPTION_CHOICE:
        if (json_is_string(value)) return att_option_put_text(o, record, json_string_value(value), where);
        break;
    }
    return att_option_refuse(o, kind(value), where);
}

/* Goes no deeper than the table has sections. */
static att_status read_object(const att_options *table, void *record, json_t *object, const char *section)
{
    char key[KEY_BYTES];
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        size_t n = (size_t)snprintf(key, sizeof key, "%s%s%s", section, *section ? "." : "", name);
        const att_option *o = n < sizeof key ? att_option_find(table, key) : NULL;
        if (o) {
            ATT_TRY(read_leaf(o, record, value));
        } else if (n < sizeof key && att_option_is_section(table, key)) {
            ATT_REQUIRE(json_is_object(value), ATT_E_VALUE, "configuration: '%s' is %s, expected an object", key,
                        kind(value));
            ATT_TRY(read_object(table, record, value, key));
        } else if (!table->skip_unknown)
            return att_option_unknown(table, key, "configuration: ");
    }
    return ATT_OK;
}

static att_status read_source(const att_options *table, void *record, void *ctx)
{
    const source *s = ctx;
    json_error_t error;
    json_t *tree = json_loadb(s->text, s->bytes, JSON_REJECT_DUPLICATES, &error);
    ATT_REQUIRE(tree, ATT_E_FORMAT, "configuration: not valid JSON at byte %d: %s", error.position, error.text);
    att_status st = json_is_object(tree)
                        ? read_object(table, record, tree, "")
                        : att_fail(ATT_E_FORMAT, "configuration: %s, expected a JSON object", kind(tree));
    json_decref(tree);
    return st;
}

att_status att_options_from_json(const att_options *table, void *record, const char *json, size_t bytes)
{
    source s = {.text = json, .bytes = bytes};
    return att_option_transact(table, record, read_source, &s);
}
