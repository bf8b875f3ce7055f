/* Options: fields of a record described by a table. Here: presets, text values, messages. */
#include "file/option.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "file/number.h"

#define KEY_MAX 96 /* bytes of a key that spelling is compared for */

static void *field(const att_option *o, void *record)
{
    return (char *)record + o->offset;
}

static const void *field_of(const att_option *o, const void *record)
{
    return (const char *)record + o->offset;
}

int64_t att_option_int(const att_option *o, const void *record)
{
    return *(const int64_t *)field_of(o, record);
}

double att_option_real(const att_option *o, const void *record)
{
    return *(const double *)field_of(o, record);
}

int att_option_bool(const att_option *o, const void *record)
{
    return *(const int *)field_of(o, record) != 0;
}

static int64_t choice_count(const att_option *o)
{
    int64_t n = 0;
    while (o->choices && o->choices[n]) n++;
    return n;
}

const char *att_option_text(const att_option *o, const void *record)
{
    if (o->type == ATT_OPTION_STRING) {
        const char *s = *(char *const *)field_of(o, record);
        return s ? s : "";
    }
    int i = *(const int *)field_of(o, record);
    return 0 <= i && i < choice_count(o) ? o->choices[i] : "";
}

/* ---- messages ---- */

static void put_bound(att_builder *t, const att_option *o, double bound)
{
    char text[ATT_NUMBER_BYTES];
    att_number_format(bound, text);
    size_t n = strlen(text);
    if (o->type == ATT_OPTION_INT && n > 2 && strcmp(text + n - 2, ".0") == 0) text[n - 2] = '\0';
    att_builder_format(t, "%s", text);
}

static bool bounded(const att_option *o)
{
    return o->min != o->max; /* NaN would be a mistake in the table: it refuses every value */
}

void att_option_expected(const att_option *o, att_builder *t)
{
    int64_t n = choice_count(o);
    switch (o->type) {
    case ATT_OPTION_BOOL: att_builder_format(t, "true or false"); return;
    case ATT_OPTION_STRING: att_builder_format(t, "text"); return;
    case ATT_OPTION_CHOICE:
        for (int64_t i = 0; i < n; i++)
            att_builder_format(t, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", o->choices[i]);
        return;
    case ATT_OPTION_INT: att_builder_format(t, "an integer"); break;
    case ATT_OPTION_REAL: att_builder_format(t, "a number"); break;
    }
    if (!bounded(o)) return;
    bool low = isfinite(o->min), high = isfinite(o->max);
    if (low) {
        att_builder_format(t, high ? " from " : " of at least ");
        put_bound(t, o, o->min);
    }
    if (high) {
        att_builder_format(t, low ? " to " : " of at most ");
        put_bound(t, o, o->max);
    }
}

att_status att_option_refuse(const att_option *o, const char *found, const char *where)
{
    att_builder t = {0};
    char *expected;
    att_option_expected(o, &t);
    ATT_TRY(att_builder_take(&t, &expected));
    att_status st = att_fail(ATT_E_VALUE, "%s%s: %s, expected %s", where, o->key, found, expected);
    att_string_free(expected);
    return st;
}

static att_status refuse_text(const att_option *o, const char *text, const char *where)
{
    att_builder t = {0};
    char *found;
    att_builder_format(&t, "'%.100s'", text);
    ATT_TRY(att_builder_take(&t, &found));
    att_status st = att_option_refuse(o, found, where);
    att_string_free(found);
    return st;
}

/* How many letters to insert, delete or replace to get from a to b[0..n) (Levenshtein 1966), row by row. */
static int distance(const char *a, const char *b, size_t n)
{
    int row[KEY_MAX + 1];
    for (size_t j = 0; j <= n; j++) row[j] = (int)j;
    for (size_t i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            int replaced = diagonal + (a[i - 1] != b[j - 1]);
            int shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[n];
}

/* The key or section meant, as the first *bytes of a key: spelled almost so, or an option of this name somewhere. */
static const char *nearest(const att_options *table, const char *key, size_t *bytes)
{
    const char *best = NULL;
    size_t n = strlen(key);
    if (n > KEY_MAX) return NULL;
    int least = n < 6 ? 2 : 2 + (int)n / 4; /* too far for a slip */
    for (int64_t i = 0; i < table->count; i++) {
        const char *name = table->option[i].key, *last = strrchr(name, '.');
        size_t whole = strlen(name);
        for (size_t end = 1; end <= whole && end <= KEY_MAX; end++) {
            if (name[end] != '.' && name[end] != '\0') continue;
            int d = distance(key, name, end);
            if (end == whole && last && strcmp(key, last + 1) == 0) d = 1;
            if (d >= least) continue;
            least = d;
            best = name;
            *bytes = end;
        }
    }
    return best;
}

static bool inside(const char *key, const char *section, size_t n)
{
    return strncmp(key, section, n) == 0 && key[n] == '.';
}

att_status att_option_unknown(const att_options *table, const char *key, const char *where)
{
    size_t n = 0;
    for (int64_t i = 0; i < table->count; i++)
        ATT_REQUIRE(!inside(table->option[i].key, key, strlen(key)), ATT_E_VALUE,
                    "%s'%s' is a section, expected keys in it such as '%s'", where, key, table->option[i].key);
    const char *meant = nearest(table, key, &n);
    if (meant) return att_fail(ATT_E_VALUE, "%sunknown key '%s' (did you mean '%.*s'?)", where, key, (int)n, meant);
    return att_fail(ATT_E_VALUE, "%sunknown key '%.100s'", where, key);
}

/* ---- storing ---- */

att_status att_option_put_int(const att_option *o, void *record, int64_t value, const char *where)
{
    if (bounded(o) && !((double)value >= o->min && (double)value <= o->max)) {
        att_builder t = {0};
        char *found;
        att_builder_format(&t, "%lld", (long long)value);
        ATT_TRY(att_builder_take(&t, &found));
        att_status st = att_option_refuse(o, found, where);
        att_string_free(found);
        return st;
    }
    *(int64_t *)field(o, record) = value;
    return ATT_OK;
}

att_status att_option_put_real(const att_option *o, void *record, double value, const char *where)
{
    if (!isfinite(value) || (bounded(o) && !(value >= o->min && value <= o->max))) {
        char found[ATT_NUMBER_BYTES];
        att_number_format(value, found);
        return att_option_refuse(o, found, where);
    }
    *(double *)field(o, record) = value;
    return ATT_OK;
}

att_status att_option_put_bool(const att_option *o, void *record, int value)
{
    *(int *)field(o, record) = value != 0;
    return ATT_OK;
}

/* Recipes and model files are UTF-8; other bytes could not be written back. */
static bool is_utf8(const char *text)
{
    utf8proc_int32_t c;
    for (const char *s = text; *s;) {
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, -1, &c);
        if (n <= 0) return false;
        s += n;
    }
    return true;
}

att_status att_option_put_text(const att_option *o, void *record, const char *text, const char *where)
{
    if (o->type == ATT_OPTION_STRING) {
        char *copy, **place = field(o, record);
        if (!is_utf8(text)) return att_option_refuse(o, "invalid UTF-8", where);
        ATT_TRY(att_copy_string(NULL, text, strlen(text), &copy));
        att_string_free(*place);
        *place = copy;
        return ATT_OK;
    }
    for (int64_t i = 0; i < choice_count(o); i++)
        if (strcmp(o->choices[i], text) == 0) {
            *(int *)field(o, record) = (int)i;
            return ATT_OK;
        }
    return refuse_text(o, text, where);
}

static bool one_of(const char *text, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(text, *names) == 0) return true;
    return false;
}

att_status att_option_parse(const att_option *o, void *record, const char *text, const char *where)
{
    static const char *const yes[] = {"true", "yes", "on", NULL}, *const no[] = {"false", "no", "off", NULL};
    int64_t whole;
    double real;
    switch (o->type) {
    case ATT_OPTION_INT:
        if (!att_number_int(text, &whole)) return refuse_text(o, text, where);
        return att_option_put_int(o, record, whole, where);
    case ATT_OPTION_REAL:
        if (!att_number_real(text, &real)) return refuse_text(o, text, where);
        return att_option_put_real(o, record, real, where);
    case ATT_OPTION_BOOL:
        if (!one_of(text, yes) && !one_of(text, no)) return refuse_text(o, text, where);
        return att_option_put_bool(o, record, one_of(text, yes));
    case ATT_OPTION_STRING:
    case ATT_OPTION_CHOICE: return att_option_put_text(o, record, text, where);
    }
    return att_fail(ATT_E_VALUE, "%s: unknown type %d in the table", o->key, (int)o->type);
}

/* ---- tables ---- */

const att_option *att_option_find(const att_options *table, const char *key)
{
    for (int64_t i = 0; i < table->count; i++)
        if (strcmp(table->option[i].key, key) == 0) return &table->option[i];
    return NULL;
}

bool att_option_is_section(const att_options *table, const char *section)
{
    for (int64_t i = 0; i < table->count; i++)
        if (inside(table->option[i].key, section, strlen(section))) return true;
    return false;
}

/* Does an option before number i lie in the first n bytes' section too? Then the section was walked there. */
static bool walked(const att_options *table, int64_t i, size_t n)
{
    for (int64_t k = 0; k < i; k++)
        if (inside(table->option[k].key, table->option[i].key, n)) return true;
    return false;
}

/* The options whose keys begin with the first n bytes of `section`, a whole number of parts. */
static void walk(const att_options *table, const att_option_visitor *v, const char *section, size_t n, int depth)
{
    for (int64_t i = 0; i < table->count; i++) {
        const att_option *o = &table->option[i];
        if (strncmp(o->key, section, n) != 0) continue;
        const char *dot = strchr(o->key + n, '.');
        if (!dot) {
            v->leaf(v->ctx, o->key + n, o, depth);
        } else if (!walked(table, i, (size_t)(dot - o->key))) {
            v->open(v->ctx, o->key + n, (size_t)(dot - o->key) - n, depth);
            walk(table, v, o->key, (size_t)(dot - o->key) + 1, depth + 1);
            v->close(v->ctx, depth);
        }
    }
}

void att_option_walk(const att_options *table, const att_option_visitor *visitor)
{
    walk(table, visitor, "", 0, 0);
}

att_status att_options_init(const att_options *table, void *record)
{
    att_status st = ATT_OK;
    for (int64_t i = 0; i < table->count; i++)
        if (table->option[i].type == ATT_OPTION_STRING) *(char **)field(&table->option[i], record) = NULL;
    for (int64_t i = 0; i < table->count && st == ATT_OK; i++) {
        const att_option *o = &table->option[i];
        if (att_option_find(table, o->key) != o || att_option_is_section(table, o->key))
            st = att_fail(ATT_E_VALUE, "table: key '%s' is there twice, or also a section", o->key);
        else
            st = att_option_parse(o, record, o->preset ? o->preset : "", "preset of ");
    }
    if (st != ATT_OK) att_options_free(table, record);
    return st;
}

void att_options_free(const att_options *table, void *record)
{
    for (int64_t i = 0; i < table->count; i++)
        if (table->option[i].type == ATT_OPTION_STRING) {
            char **place = field(&table->option[i], record);
            att_string_free(*place);
            *place = NULL;
        }
}

att_status att_options_copy(const att_options *table, void *to, const void *from)
{
    att_status st = ATT_OK;
    memcpy(to, from, table->bytes);
    for (int64_t i = 0; i < table->count; i++)
        if (table->option[i].type == ATT_OPTION_STRING) *(char **)field(&table->option[i], to) = NULL;
    for (int64_t i = 0; i < table->count && st == ATT_OK; i++)
        if (table->option[i].type == ATT_OPTION_STRING)
            st = att_option_put_text(&table->option[i], to, att_option_text(&table->option[i], from), "");
    if (st != ATT_OK) att_options_free(table, to);
    return st;
}

static bool same(const att_option *o, const void *a, const void *b)
{
    switch (o->type) {
    case ATT_OPTION_INT: return att_option_int(o, a) == att_option_int(o, b);
    case ATT_OPTION_REAL: return att_option_real(o, a) == att_option_real(o, b);
    case ATT_OPTION_BOOL: return att_option_bool(o, a) == att_option_bool(o, b);
    case ATT_OPTION_STRING:
    case ATT_OPTION_CHOICE: return strcmp(att_option_text(o, a), att_option_text(o, b)) == 0;
    }
    return false;
}

int att_options_equal(const att_options *table, const void *a, const void *b)
{
    for (int64_t i = 0; i < table->count; i++)
        if (!same(&table->option[i], a, b)) return 0;
    return 1;
}

att_status att_option_transact(const att_options *table, void *record,
                               att_status (*edit)(const att_options *table, void *copy, void *ctx), void *ctx)
{
    void *copy;
    ATT_TRY(att_alloc(NULL, table->bytes, &copy));
    att_status st = att_options_copy(table, copy, record);
    if (st == ATT_OK) {
        st = edit(table, copy, ctx);
        void *loser = st == ATT_OK ? record : copy;
        att_options_free(table, loser);
        if (st == ATT_OK) memcpy(record, copy, table->bytes);
    }
    att_free(NULL, copy, table->bytes);
    return st;
}

att_status att_options_set(const att_options *table, void *record, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    char *key;
    ATT_REQUIRE(equals && equals != assignment, ATT_E_VALUE, "'%.100s': expected key=value", assignment);
    ATT_TRY(att_copy_string(NULL, assignment, (size_t)(equals - assignment), &key));
    const att_option *o = att_option_find(table, key);
    att_status st = o ? att_option_parse(o, record, equals + 1, "") : att_option_unknown(table, key, "");
    att_string_free(key);
    return st;
}

/* ---- help ---- */

static void put_padded(att_builder *t, const char *s, size_t width)
{
    att_builder_format(t, "%-*s  ", (int)width, s);
}

att_status att_options_help(const att_options *table, char **text)
{
    att_builder out = {0};
    size_t key_width = 0, kind_width = 0, preset_width = 0;
    for (int pass = 0; pass < 2; pass++) /* measure, then write */
        for (int64_t i = 0; i < table->count; i++) {
            const att_option *o = &table->option[i];
            const char *preset = o->preset && *o->preset ? o->preset : "-";
            att_builder kind = {0};
            char *expected;
            att_option_expected(o, &kind);
            ATT_TRY(att_builder_take(&kind, &expected));
            if (pass == 0) {
                key_width = (size_t)att_max64((int64_t)key_width, (int64_t)strlen(o->key));
                kind_width = (size_t)att_max64((int64_t)kind_width, (int64_t)strlen(expected));
                preset_width = (size_t)att_max64((int64_t)preset_width, (int64_t)strlen(preset));
            } else {
                put_padded(&out, o->key, key_width);
                put_padded(&out, expected, kind_width);
                put_padded(&out, preset, preset_width);
                att_builder_format(&out, "%s\n", o->help ? o->help : "");
            }
            att_string_free(expected);
        }
    return att_builder_take(&out, text);
}
