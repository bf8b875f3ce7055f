#include <string.h>

#include "text/unicode.h"
#include "text/utf8.h"

att_status att_utf8_check(const char *text, size_t bytes, size_t *bad_byte)
{
    for (size_t i = att_ascii_bytes(text, bytes), n; i < bytes; i += n + att_ascii_bytes(text + i + n, bytes - i - n)) {
        n = att_utf8_sequence(text + i, bytes - i, NULL);
        if (n == 0) {
            if (bad_byte) *bad_byte = i;
            return att_fail(ATT_E_FORMAT, "invalid UTF-8 at offset %zu: byte 0x%02x", i, (unsigned char)text[i]);
        }
    }
    return ATT_OK;
}

att_status att_utf8_repair(att_text text, att_buffer *out)
{
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    for (size_t i = 0, n, skip; i < text.bytes; i += n ? n : skip) {
        n = att_utf8_sequence(text.data + i, text.bytes - i, &skip);
        ATT_TRY(att_buffer_append(out, n ? text.data + i : replacement, n ? n : sizeof replacement - 1));
    }
    return ATT_OK;
}

void att_text_free(const att_allocator *allocator, char *text)
{
    if (text) att_free(allocator, text, strlen(text) + 1);
}
