#include "text/codes.h"

#include <string.h>
#include <utf8proc.h>

att_status att_codes_reserve(const att_allocator *allocator, att_codes *codes, int64_t capacity)
{
    if (capacity <= codes->capacity) return ATT_OK;
    int64_t roomy = capacity + capacity / 2;
    void *block = codes->at;
    if (block)
        ATT_TRY(att_realloc(allocator, &block, sizeof(uint32_t) * (size_t)codes->capacity,
                            sizeof(uint32_t) * (size_t)roomy));
    else
        ATT_TRY(att_alloc(allocator, sizeof(uint32_t) * (size_t)roomy, &block));
    codes->at = block;
    codes->capacity = roomy;
    return ATT_OK;
}

void att_codes_free(const att_allocator *allocator, att_codes *codes)
{
    att_free(allocator, codes->at, sizeof(uint32_t) * (size_t)codes->capacity);
    *codes = (att_codes){0};
}

att_status att_codes_decode(const att_allocator *allocator, att_codes *out, const char *utf8, int64_t *bad_byte)
{
    const unsigned char *s = (const unsigned char *)utf8;
    int64_t bytes = (int64_t)strlen(utf8), n = 0;
    ATT_TRY(att_codes_reserve(allocator, out, bytes));
    for (int64_t i = 0; i < bytes;) {
        utf8proc_int32_t code = s[i];
        utf8proc_ssize_t used = code < 0x80 ? 1 : utf8proc_iterate(s + i, bytes - i, &code);
        if (used < 1) {
            *bad_byte = i;
            return att_fail(ATT_E_FORMAT, "invalid UTF-8 at byte %lld", (long long)i);
        }
        out->at[n++] = (uint32_t)code;
        i += used;
    }
    out->n = n;
    return ATT_OK;
}

static utf8proc_category_t category(uint32_t code)
{
    return utf8proc_category((utf8proc_int32_t)code);
}

static bool between(uint32_t code, uint32_t lo, uint32_t hi)
{
    return lo <= code && code <= hi;
}

/* Unicode's property Cased: the cased letters, and what has Other_Lowercase or Other_Uppercase (those of them that are
 * modifier letters or marks are case-ignorable as well and never get here). */
static bool is_cased(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT || c == 0xAA ||
           c == 0xBA || between(c, 0x2160, 0x217F) || between(c, 0x24B6, 0x24E9) || between(c, 0x1F130, 0x1F149) ||
           between(c, 0x1F150, 0x1F169) || between(c, 0x1F170, 0x1F189);
}

/* Unicode's property Case_Ignorable: marks, format characters, modifiers, and what may stand inside a word. */
static bool is_case_ignorable(uint32_t c)
{
    static const uint32_t within_words[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,  0x5F4,  0x2018, 0x2019,
                                            0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
    switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: break;
    }
    for (size_t i = 0; i < sizeof within_words / sizeof *within_words; i++)
        if (c == within_words[i]) return true;
    return false;
}

/* Is the capital sigma at `i` the last letter of a word of two or more? (Unicode 3.13, table 3-17: Final_Sigma) */
static bool is_final_sigma(const att_codes *in, int64_t i)
{
    int64_t before = i - 1, after = i + 1;
    while (before >= 0 && is_case_ignorable(in->at[before])) before--;
    while (after < in->n && is_case_ignorable(in->at[after])) after++;
    return before >= 0 && is_cased(in->at[before]) && !(after < in->n && is_cased(in->at[after]));
}

att_status att_codes_lower(const att_allocator *allocator, att_codes *out, const att_codes *in)
{
    ATT_TRY(att_codes_reserve(allocator, out, 2 * in->n));
    out->n = 0;
    for (int64_t i = 0; i < in->n; i++) {
        uint32_t c = in->at[i];
        if (c < 0x80)
            out->at[out->n++] = between(c, 'A', 'Z') ? c + 32 : c;
        else if (c == 0x130) { /* I with dot above: the only letter whose lower case is two characters */
            out->at[out->n++] = 'i';
            out->at[out->n++] = 0x307;
        } else if (c == 0x3A3)
            out->at[out->n++] = is_final_sigma(in, i) ? 0x3C2 : 0x3C3;
        else
            out->at[out->n++] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    }
    return ATT_OK;
}

bool att_code_is_space(uint32_t c)
{
    if (c < 0x80) return c == ' ' || between(c, 0x09, 0x0D) || between(c, 0x1C, 0x1F);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || between(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

void att_codes_rstrip(att_codes *codes)
{
    while (codes->n > 0 && att_code_is_space(codes->at[codes->n - 1])) codes->n--;
}

bool att_codes_word(const att_codes *codes, int64_t *at, int64_t *lo, int64_t *hi)
{
    int64_t i = *at;
    while (i < codes->n && att_code_is_space(codes->at[i])) i++;
    *lo = i;
    while (i < codes->n && !att_code_is_space(codes->at[i])) i++;
    *hi = *at = i;
    return *lo < *hi;
}
