#include <utf8proc.h>

#include "text/normalise.h"
#include "text/utf8.h"

static const char *const name[] = {"plain", "none", "tutorial"};

const char *att_normalise_name(att_normalise how)
{
    return (size_t)how < sizeof name / sizeof *name ? name[how] : "unknown";
}

att_status att_normalise_parse(const char *text, att_normalise *how)
{
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (strcmp(text, name[i]) == 0) {
            *how = (att_normalise)i;
            return ATT_OK;
        }
    return att_fail(ATT_E_VALUE, "normalise is \"%s\", expected \"plain\", \"none\" or \"tutorial\"", text);
}

void att_normaliser_init(att_normaliser *n, att_normalise how, const att_allocator *allocator)
{
    *n = (att_normaliser){.how = how, .out.allocator = allocator};
}

void att_normaliser_release(att_normaliser *n)
{
    att_free(n->out.allocator, n->code, n->capacity * sizeof *n->code);
    att_buffer_release(&n->out);
}

/* Unicode's White_Space, what NFKC leaves of it. */
static bool is_space(int32_t c)
{
    return c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0x1680 || c == 0x2028 || c == 0x2029;
}

static bool is_mark(int32_t c)
{
    return c == '.' || c == '?' || c == '!' || c == ',' || c == 0xBF;
}

static void blank(att_buffer *out)
{
    if (out->bytes > 0 && out->data[out->bytes - 1] != ' ') out->data[out->bytes++] = ' ';
}

static void trim_end(att_buffer *out)
{
    if (out->bytes > 0 && out->data[out->bytes - 1] == ' ') out->bytes--;
    out->data[out->bytes] = '\0';
}

static void put_plain(att_buffer *out, int32_t c)
{
    if (is_space(c))
        blank(out);
    else
        out->bytes += att_utf8_put(out->data + out->bytes, c);
}

/* NFKD has already taken letters and accents apart, so lower case is ASCII's. */
static void put_tutorial(att_buffer *out, int32_t c)
{
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    if (c == ' ' || is_mark(c)) blank(out);
    if ((c >= 'a' && c <= 'z') || is_mark(c)) out->bytes += att_utf8_put(out->data + out->bytes, c);
    if (is_mark(c)) blank(out);
}

/* Whether every code point is its own NFKC, and no two of them compose: ASCII, and the letters and inverted marks of
 * Latin-1. Most European text passes, and is five times as fast as through the tables. */
static bool is_simple(const char *text, size_t bytes)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < bytes; i++) {
        if (s[i] < 0x80) continue;
        if (s[i] != 0xC3 && !(s[i] == 0xC2 && (s[i + 1] == 0xA1 || s[i + 1] == 0xBF))) return false;
        i++;
    }
    return true;
}

/* How many code points the decomposed text has: all are in n->code when they are no more than n->capacity. */
static att_status decompose(att_normaliser *n, const char *text, size_t bytes, int options, size_t *count)
{
    utf8proc_ssize_t found = utf8proc_decompose((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)bytes, n->code,
                                                (utf8proc_ssize_t)n->capacity, (utf8proc_option_t)options);
    ATT_REQUIRE(found >= 0, ATT_E_VALUE, "text: %s", utf8proc_errmsg(found));
    *count = (size_t)found;
    return ATT_OK;
}

static att_status reserve_codes(att_normaliser *n, size_t count)
{
    void *block = n->code;
    ATT_TRY(att_grow(n->out.allocator, &block, &n->capacity, count + 1, sizeof *n->code));
    n->code = block;
    return ATT_OK;
}

static att_status to_code_points(att_normaliser *n, const char *text, size_t bytes, int options, size_t *count)
{
    *count = 0;
    ATT_TRY(reserve_codes(n, bytes));
    ATT_TRY(decompose(n, text, bytes, options, count));
    if (*count > n->capacity) {
        ATT_TRY(reserve_codes(n, *count));
        ATT_TRY(decompose(n, text, bytes, options, count));
    }
    *count = (size_t)utf8proc_normalize_utf32(n->code, (utf8proc_ssize_t)*count, (utf8proc_option_t)options);
    return ATT_OK;
}

#define LONGEST_RUN 64

/* Bytes from the start of the text to behind the LONGEST_RUN-th combining mark in a row, or to its end. Sorting a run
 * of marks takes the square of its length; no script stacks half as many (Unicode's Stream-Safe Text Format allows 30).
 */
static size_t safe_bytes(const char *text, size_t bytes)
{
    size_t i = 0;
    for (int run = 0; i < bytes && run < LONGEST_RUN; i += att_utf8_length(text[i]))
        run = utf8proc_get_property(att_utf8_get(text + i))->combining_class ? run + 1 : 0;
    return i;
}

static att_status by_tables(att_normaliser *n, const char *text, size_t bytes)
{
    bool tutorial = n->how == ATT_NORMALISE_TUTORIAL;
    int options = UTF8PROC_STABLE | UTF8PROC_COMPAT | (tutorial ? UTF8PROC_DECOMPOSE : UTF8PROC_COMPOSE);
    ATT_TRY(att_buffer_reserve(&n->out, bytes));
    for (size_t at = 0, part; at < bytes; at += part) {
        size_t count;
        part = safe_bytes(text + at, bytes - at);
        ATT_TRY(to_code_points(n, text + at, part, options, &count));
        ATT_TRY(att_buffer_reserve(&n->out, 4 * count));
        for (size_t i = 0; i < count; i++)
            if (tutorial)
                put_tutorial(&n->out, n->code[i]);
            else
                put_plain(&n->out, n->code[i]);
    }
    return ATT_OK;
}

static att_status simple_plain(att_normaliser *n, const char *text, size_t bytes)
{
    ATT_TRY(att_buffer_reserve(&n->out, bytes));
    att_buffer *out = &n->out;
    for (size_t i = 0; i < bytes; i++)
        if (is_space((unsigned char)text[i]) && (unsigned char)text[i] < 0x80)
            blank(out);
        else
            out->data[out->bytes++] = text[i];
    return ATT_OK;
}

att_status att_normaliser_run(att_normaliser *n, const char *text, size_t bytes)
{
    size_t bad;
    if (att_utf8_check(text, bytes, &bad) != ATT_OK)
        return att_fail(ATT_E_VALUE, "text: invalid UTF-8 at byte %zu: 0x%02x", bad + 1, (unsigned char)text[bad]);
    const char *nul = bytes ? memchr(text, '\0', bytes) : NULL;
    ATT_REQUIRE(!nul, ATT_E_VALUE, "text: a NUL at byte %zu", (size_t)(nul - text) + 1);
    n->out.bytes = 0;
    if (n->how == ATT_NORMALISE_NONE) return att_buffer_append(&n->out, text, bytes);
    if (n->how == ATT_NORMALISE_PLAIN && is_simple(text, bytes))
        ATT_TRY(simple_plain(n, text, bytes));
    else
        ATT_TRY(by_tables(n, text, bytes));
    trim_end(&n->out);
    return ATT_OK;
}

att_status att_normalise_text(att_normalise how, const char *text, size_t bytes, const att_allocator *allocator,
                              char **out, size_t *out_bytes)
{
    *out = NULL;
    *out_bytes = 0;
    ATT_REQUIRE((size_t)how < sizeof name / sizeof *name, ATT_E_VALUE, "normalise is %d, expected 0 to 2", (int)how);
    att_normaliser n;
    att_normaliser_init(&n, how, allocator);
    att_status status = att_normaliser_run(&n, text, bytes);
    if (status == ATT_OK) status = att_copy_string(allocator, n.out.data, n.out.bytes, out);
    if (status == ATT_OK) *out_bytes = n.out.bytes;
    att_normaliser_release(&n);
    return status;
}
