/* Code points of text that is already known to be valid UTF-8. */
#ifndef ATT_TEXT_UTF8_H
#define ATT_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the sequence that starts with `lead`. */
static inline size_t att_utf8_length(char lead)
{
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* How many bytes from s on are ASCII: a multiple of 8, so perhaps fewer than there are. */
static inline size_t att_ascii_bytes(const char *s, size_t left)
{
    size_t n = 0;
    for (uint64_t word; n + 8 <= left; n += 8) {
        memcpy(&word, s + n, 8);
        if (word & 0x8080808080808080u) break;
    }
    return n;
}

/* The code point at s. */
static inline int32_t att_utf8_get(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80) return p[0];
    if (p[0] < 0xE0) return (p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    if (p[0] < 0xF0) return (p[0] & 0x0F) << 12 | (p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    return (p[0] & 0x07) << 18 | (p[1] & 0x3F) << 12 | (p[2] & 0x3F) << 6 | (p[3] & 0x3F);
}

/* Writes code point c; returns its bytes, 1 to 4. */
static inline size_t att_utf8_put(char *s, int32_t c)
{
    if (c < 0x80) {
        s[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) s[i] = (char)(0x80 | (c & 0x3F));
    s[0] = (char)((0xF00 >> n & 0xF0) | c);
    return n;
}

#endif
