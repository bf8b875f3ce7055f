#include <string.h>

#include "base/base.h"
#include <attend/text.h>

static bool is_tail(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Length of the well-formed sequence at s, or 0 (Unicode 15, table 3-7). */
static size_t well_formed(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    size_t n = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (left < n) return 0;
    for (size_t i = 1; i < n; i++)
        if (!is_tail(s[i])) return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90)) return 0; /* overlong */
    if (s[0] == 0xED && s[1] > 0x9F) return 0;                                    /* surrogates */
    if (s[0] == 0xF4 && s[1] > 0x8F) return 0;                                    /* above U+10FFFF */
    return n;
}

att_status att_utf8_check(const char *text, size_t bytes, size_t *bad_byte)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0, n; i < bytes; i += n) {
        n = well_formed(s + i, bytes - i);
        if (n == 0) {
            if (bad_byte) *bad_byte = i;
            return att_fail(ATT_E_FORMAT, "invalid UTF-8 at offset %zu: byte 0x%02x", i, s[i]);
        }
    }
    return ATT_OK;
}

void att_text_free(const att_allocator *allocator, char *text)
{
    if (text) att_free(allocator, text, strlen(text) + 1);
}
