#include <string.h>
#include <utf8proc.h>

#include "plot/label.h"

/* What is shown for one code point of the input; 0: nothing. */
static utf8proc_int32_t shown(utf8proc_int32_t c)
{
    if (c < 0x20) return 0x2400 + c; /* control pictures */
    if (c == 0x7f) return 0x2421;
    if (c >= 0x80 && c < 0xa0) return 0xfffd;
    if (c == 0x2028 || c == 0x2029) return 0x2424;                              /* line ends */
    if ((c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069)) return 0; /* directional overrides */
    if (c == 0x200e || c == 0x200f || c == 0x61c) return 0;
    if ((c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef)) return 0xfffd; /* no characters: not for XML */
    return c;
}

static bool is_blank(const char *s)
{
    return *s != '\0' && s[strspn(s, " ")] == '\0';
}

/* Writes at most 3 bytes for each byte of the input. */
static size_t clean_into(const char *raw, char *out)
{
    const utf8proc_uint8_t *s = (const utf8proc_uint8_t *)raw;
    utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(raw);
    bool blank = is_blank(raw);
    size_t n = 0;
    while (left > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t took = utf8proc_iterate(s, left, &c);
        if (took <= 0) {
            took = 1;
            c = 0xfffd;
        }
        utf8proc_int32_t show = blank ? 0x2423 : shown(c);
        if (show) n += (size_t)utf8proc_encode_char(show, (utf8proc_uint8_t *)out + n);
        s += took;
        left -= took;
    }
    return n;
}

att_status att_label_clean(const char *raw, char **out)
{
    if (!raw) raw = "";
    void *room;
    size_t bytes = 3 * strlen(raw) + 4;
    *out = NULL;
    ATT_TRY(att_alloc(NULL, bytes, &room));
    size_t n = clean_into(raw, room);
    att_status st = att_copy_string(NULL, room, n, out);
    att_free(NULL, room, bytes);
    return st;
}

void att_label_free(char *text)
{
    if (text) att_free(NULL, text, strlen(text) + 1);
}

att_status att_labels_create(const char *const *raw, int64_t n, att_labels *out)
{
    void *block;
    *out = (att_labels){0};
    ATT_TRY(att_new_array(NULL, (size_t)n, sizeof(char *), &block));
    *out = (att_labels){.text = block, .n = n};
    for (int64_t i = 0; i < n; i++) {
        att_status st = att_label_clean(raw ? raw[i] : NULL, &out->text[i]);
        if (st != ATT_OK) {
            att_labels_free(out);
            return st;
        }
    }
    return ATT_OK;
}

void att_labels_free(att_labels *labels)
{
    for (int64_t i = 0; labels->text && i < labels->n; i++) att_label_free(labels->text[i]);
    att_free(NULL, labels->text, (size_t)labels->n * sizeof(char *));
    *labels = (att_labels){0};
}

size_t att_label_cluster(const char *s)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)s;
    utf8proc_int32_t before, c, state = 0;
    if (!*s) return 0;
    size_t n = (size_t)utf8proc_iterate(at, -1, &before);
    while (at[n]) {
        utf8proc_ssize_t took = utf8proc_iterate(at + n, -1, &c);
        if (utf8proc_grapheme_break_stateful(before, c, &state)) break;
        n += (size_t)took;
        before = c;
    }
    return n;
}

int att_label_columns(const char *s, size_t bytes)
{
    int columns = 0;
    for (size_t i = 0; i < bytes;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t took = utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(bytes - i), &c);
        if (took <= 0) break;
        columns += utf8proc_charwidth(c);
        i += (size_t)took;
    }
    return columns;
}
