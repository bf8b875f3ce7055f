/* Options: one table describes the fields of a struct, and serves recipes (YAML), `key=value` on the command line, the
 * configuration inside a model file (JSON) and the help text.
 *
 *     typedef struct recipe { int64_t hidden; double rate; int cell; char *data; } recipe;
 *     static const char *const cells[] = {"gru", "lstm", NULL};
 *     static const att_option options[] = {
 *         {"model.hidden", ATT_OPTION_INT, offsetof(recipe, hidden), "256", 1, 65536, NULL, "width of the state"},
 *         {"model.cell", ATT_OPTION_CHOICE, offsetof(recipe, cell), "gru", 0, 0, cells, "recurrent cell"},
 *         {"train.rate", ATT_OPTION_REAL, offsetof(recipe, rate), "1e-3", 0, 1, NULL, "learning rate"},
 *         {"data.train", ATT_OPTION_STRING, offsetof(recipe, data), "", 0, 0, NULL, "file of sentence pairs"},
 *     };
 *     static const att_options table = {options, 4, sizeof(recipe)};
 *
 * The record is a plain struct of the caller. A function that fails leaves it as it was. Numbers are read and written
 * with a decimal point whatever the locale is. */
#ifndef ATTEND_OPTION_H
#define ATTEND_OPTION_H

#include <attend/export.h>
#include <attend/status.h>

ATT_BEGIN

typedef enum att_option_type {
    ATT_OPTION_INT = 0,    /* int64_t: decimal digits, perhaps a sign              */
    ATT_OPTION_REAL = 1,   /* double: finite; 3, 0.5, 1e-3                         */
    ATT_OPTION_BOOL = 2,   /* int, 0 or 1: true yes on, false no off               */
    ATT_OPTION_STRING = 3, /* char *, owned by the record and never NULL           */
    ATT_OPTION_CHOICE = 4  /* int: index into `choices`                            */
} att_option_type;

typedef struct att_option {
    const char *key; /* "model.cell": sections by dots */
    att_option_type type;
    size_t offset;              /* of the field in the record */
    const char *preset;         /* the default, as text; NULL for a string means "" */
    double min, max;            /* of numbers, inclusive; min == max: no bounds; INFINITY: none on that side */
    const char *const *choices; /* names ending with NULL, for ATT_OPTION_CHOICE */
    const char *help;           /* a few words, one line */
} att_option;

typedef struct att_options {
    const att_option *option;
    int64_t count;
    size_t bytes;     /* of the struct */
    int skip_unknown; /* att_options_from_json passes over keys that the table lacks; 0: they are errors */
} att_options;

/* Every field to its preset. What the record held before is not looked at. Fails with ATT_E_VALUE when the table itself
 * is wrong: a preset that its own option refuses, a key twice. */
ATT_API att_status att_options_init(const att_options *table, void *record);
/* Free the strings and set them to NULL. */
ATT_API void att_options_free(const att_options *table, void *record);
/* `to` gets its own strings; what it held before is not looked at. */
ATT_API att_status att_options_copy(const att_options *table, void *to, const void *from);
/* 1 when every option has the same value in both. */
ATT_API int att_options_equal(const att_options *table, const void *a, const void *b);

/* One assignment "model.hidden=256". Spaces belong to the value. Fails with ATT_E_VALUE. */
ATT_API att_status att_options_set(const att_options *table, void *record, const char *assignment);

/* A recipe: nested sections or dotted keys, each at most once; what it does not name stays as it is. Fails with
 * ATT_E_MISSING or ATT_E_IO when the file cannot be read, with ATT_E_FORMAT when it is not YAML, and with ATT_E_VALUE
 * for a key or value that the table refuses; the message begins with FILE:LINE. */
ATT_API att_status att_options_read_yaml(const att_options *table, void *record, const char *path);
/* The whole record as a recipe, each key with its help as a comment. Reading it gives an equal record. */
ATT_API att_status att_options_to_yaml(const att_options *table, const void *record, char **text);

/* The same as JSON, sections as nested objects. Keys may be absent; types must match exactly, except that a whole
 * number may stand for a real one. Any bytes are safe to read. */
ATT_API att_status att_options_to_json(const att_options *table, const void *record, char **text);
ATT_API att_status att_options_from_json(const att_options *table, void *record, const char *json, size_t bytes);

/* One line an option: key, what it takes, default, help. */
ATT_API att_status att_options_help(const att_options *table, char **text);

/* Free a text that the library returned; NULL is harmless. */
ATT_API void att_string_free(char *text);

ATT_END

#endif
