#include <string.h>
#include <utf8proc.h>

#include "text/unicode.h"
#include "text/unicode_classes.h"

enum { RANGES = sizeof code_ranges / sizeof *code_ranges };

att_status att_sorts_create(const att_allocator *allocator, uint8_t **sorts)
{
    void *block;
    *sorts = NULL;
    ATT_TRY(att_alloc_zero(allocator, ATT_BMP, &block));
    *sorts = block;
    for (int i = 0; i < RANGES && code_ranges[i].last < ATT_BMP; i++)
        memset(*sorts + code_ranges[i].first, code_ranges[i].sorts,
               (size_t)(code_ranges[i].last - code_ranges[i].first) + 1);
    return ATT_OK;
}

void att_sorts_free(const att_allocator *allocator, uint8_t *sorts)
{
    att_free(allocator, sorts, ATT_BMP);
}

int att_sorts_late(int32_t c)
{
    int lo = 0, hi = RANGES - 1;
    while (lo <= hi) {
        int middle = (lo + hi) / 2;
        if (c < code_ranges[middle].first)
            hi = middle - 1;
        else if (c > code_ranges[middle].last)
            lo = middle + 1;
        else
            return code_ranges[middle].sorts;
    }
    return 0;
}

int32_t att_code_lower(int32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c == 0x130) return 'i';
    for (size_t i = 0; i < sizeof late_capitals / sizeof *late_capitals; i++)
        if (c >= late_capitals[i].first && c <= late_capitals[i].last) return c + late_capitals[i].add;
    return utf8proc_tolower(c);
}

static bool is_tail(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Whether c can be the second byte behind `lead`: no overlong forms, no surrogates, nothing above U+10FFFF
 * (Unicode 15, table 3-7). */
static bool is_second(unsigned char lead, unsigned char c)
{
    switch (lead) {
    case 0xE0: return c >= 0xA0 && c <= 0xBF;
    case 0xED: return c >= 0x80 && c <= 0x9F;
    case 0xF0: return c >= 0x90 && c <= 0xBF;
    case 0xF4: return c >= 0x80 && c <= 0x8F;
    default: return is_tail(c);
    }
}

size_t att_utf8_sequence(const char *text, size_t left, size_t *skip)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xC2 || s[0] > 0xF4 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4, good = 1;
    while (good < n && good < left && (good == 1 ? is_second(s[0], s[1]) : is_tail(s[good]))) good++;
    if (skip) *skip = good;
    return n > 0 && good == n ? n : 0;
}
