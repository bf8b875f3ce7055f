/* What the forms of options (text, YAML, JSON) share. */
#ifndef ATT_OPTION_INTERNAL_H
#define ATT_OPTION_INTERNAL_H

#include "base/base.h"

#include <attend/option.h>

#include "file/builder.h"

/* Parse `text` into the option's field. On failure the message is "WHERE" "KEY: 'TEXT', expected ...". */
att_status att_option_parse(const att_option *o, void *record, const char *text, const char *where);
/* Check a number against its bounds and store it. */
att_status att_option_put_int(const att_option *o, void *record, int64_t value, const char *where);
att_status att_option_put_real(const att_option *o, void *record, double value, const char *where);
att_status att_option_put_bool(const att_option *o, void *record, int value);
att_status att_option_put_text(const att_option *o, void *record, const char *text, const char *where);

int64_t att_option_int(const att_option *o, const void *record);
double att_option_real(const att_option *o, const void *record);
int att_option_bool(const att_option *o, const void *record);
const char *att_option_text(const att_option *o, const void *record); /* of strings and choices */

/* "an integer from 1 to 65536", "gru or lstm", ... */
void att_option_expected(const att_option *o, att_builder *out);

/* ATT_E_VALUE: "WHERE" "KEY: FOUND, expected ...". */
att_status att_option_refuse(const att_option *o, const char *found, const char *where);
/* ATT_E_VALUE: unknown key, with the nearest one. */
att_status att_option_unknown(const att_options *table, const char *key, const char *where);

const att_option *att_option_find(const att_options *table, const char *key);
/* Is some option's key inside this section? */
bool att_option_is_section(const att_options *table, const char *section);

/* Run edit(copy, ctx) on a copy of the record, which replaces it only on success. */
att_status att_option_transact(const att_options *table, void *record,
                               att_status (*edit)(const att_options *table, void *copy, void *ctx), void *ctx);

/* What a walk calls: `name` is the last part of a section's or option's key; `o` is NULL for sections. */
typedef struct att_option_visitor {
    void (*open)(void *ctx, const char *name, size_t name_bytes, int depth);
    void (*leaf)(void *ctx, const char *name, const att_option *o, int depth);
    void (*close)(void *ctx, int depth);
    void *ctx;
} att_option_visitor;

/* Every section and option in the order of the table, a section's options together where it first occurs. */
void att_option_walk(const att_options *table, const att_option_visitor *visitor);

#endif
