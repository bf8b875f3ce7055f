/* Printing what files hold: safe for terminals, short for people. */
#include "inspect.h"

#include <string.h>

#define INLINE_ITEMS 8   /* a list up to this long is printed whole */
#define SHOWN_ITEMS  4   /* of a longer one */
#define TABLE_KEYS   64  /* an object with more keys is a table, such as a vocabulary */
#define TEXT_BYTES   200 /* of one value */

void inspect_put_text(const char *text, size_t most)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = strlen(text), cut = n;
    if (n > most)
        for (cut = most; cut > 0 && (s[cut] & 0xc0) == 0x80;) cut--; /* not inside a character */
    for (size_t i = 0; i < cut; i++) {
        if (s[i] < 0x20 || s[i] == 0x7f) {
            printf("\\x%02x", s[i]);
        } else if (s[i] == 0xc2 && s[i + 1] >= 0x80 && s[i + 1] < 0xa0) {
            printf("\\x%02x", s[++i]); /* the controls U+0080 to U+009F */
        } else {
            putchar(s[i]);
        }
    }
    if (cut < n) printf("... (%zu bytes)", n);
}

static void indent(int depth)
{
    printf("%*s", 2 * depth, "");
}

static void put_scalar(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING: inspect_put_text(json_string_value(value), TEXT_BYTES); break;
    case JSON_INTEGER: printf("%lld", (long long)json_integer_value(value)); break;
    case JSON_REAL: printf("%.10g", json_real_value(value)); break;
    case JSON_TRUE: printf("true"); break;
    case JSON_FALSE: printf("false"); break;
    case JSON_OBJECT: printf("{%zu keys}", json_object_size(value)); break;
    case JSON_ARRAY: printf("[%zu items]", json_array_size(value)); break;
    case JSON_NULL: printf("null"); break;
    }
}

static void put_list(const json_t *list)
{
    size_t n = json_array_size(list), shown = n <= INLINE_ITEMS ? n : SHOWN_ITEMS;
    if (n > shown) printf("%zu items: ", n);
    putchar('[');
    for (size_t i = 0; i < shown; i++) {
        if (i) printf(", ");
        put_scalar(json_array_get(list, i));
    }
    printf(n > shown ? ", ...]\n" : "]\n");
}

static void put_object(json_t *object, int depth)
{
    const char *key;
    json_t *value;
    size_t n = json_object_size(object), left = n <= TABLE_KEYS ? n : SHOWN_ITEMS;
    json_object_foreach(object, key, value)
    {
        if (left-- == 0) break;
        indent(depth);
        inspect_put_text(key, TEXT_BYTES);
        putchar(':');
        inspect_put_value(value, depth + 1);
    }
    if (n > TABLE_KEYS) {
        indent(depth);
        printf("... (%zu keys)\n", n);
    }
}

void inspect_put_value(const json_t *value, int depth)
{
    bool object = json_is_object(value) && json_object_size(value) > 0;
    putchar(object ? '\n' : ' ');
    if (object && depth < 16) { /* deeper than configurations are: only their size */
        put_object((json_t *)(uintptr_t)value, depth);
    } else if (json_is_array(value)) {
        put_list(value);
    } else {
        if (object) indent(depth);
        put_scalar(value);
        putchar('\n');
    }
}
