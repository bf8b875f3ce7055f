#include "text/bleu_tokenize.h"

#include <string.h>
#include <utf8proc.h>

/* A substitution over the whole text, left to right, matches not overlapping: a character of class `first`, followed,
 * if `second` is given, by one of that class, becomes `shape`, in which 1 and 2 stand for the two characters. */
typedef struct rule {
    bool (*first)(uint32_t);
    bool (*second)(uint32_t);
    const char *shape;
} rule;

static bool is_digit(uint32_t c)
{
    return '0' <= c && c <= '9';
}
static bool is_not_digit(uint32_t c)
{
    return !is_digit(c);
}
static bool is_dash(uint32_t c)
{
    return c == '-';
}
static bool is_period_or_comma(uint32_t c)
{
    return c == '.' || c == ',';
}
/* ASCII punctuation but the apostrophe and . , - */
static bool is_ascii_symbol(uint32_t c)
{
    return c < 0x80 && c >= ' ' && !is_digit(c) && !('a' <= c && c <= 'z') && !('A' <= c && c <= 'Z') && c != '\'' &&
           c != ',' && c != '-' && c != '.' && c != 0x7F;
}

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}
static bool is_not_number(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return k != UTF8PROC_CATEGORY_ND && k != UTF8PROC_CATEGORY_NL && k != UTF8PROC_CATEGORY_NO;
}
static bool is_punctuation(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}
static bool is_symbol(uint32_t c)
{
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_SM && k <= UTF8PROC_CATEGORY_SO;
}

static const rule rules_13a[] = {
    {is_ascii_symbol, NULL, " 1 "},
    {is_not_digit, is_period_or_comma, "1 2 "},
    {is_period_or_comma, is_not_digit, " 1 2"},
    {is_digit, is_dash, "1 2 "},
};
static const rule rules_intl[] = {
    {is_not_number, is_punctuation, "1 2 "},
    {is_punctuation, is_not_number, " 1 2"},
    {is_symbol, NULL, " 1 "},
};

static void swap(att_codes *a, att_codes *b)
{
    att_codes c = *a;
    *a = *b;
    *b = c;
}

static att_status apply(const rule *how, const att_allocator *allocator, att_codes *text, att_codes *spare)
{
    ATT_TRY(att_codes_reserve(allocator, spare, 3 * text->n));
    int64_t n = 0;
    for (int64_t i = 0; i < text->n;) {
        uint32_t one = text->at[i], two = i + 1 < text->n ? text->at[i + 1] : 0;
        if (!how->first(one) || (how->second && !(i + 1 < text->n && how->second(two)))) {
            spare->at[n++] = one;
            i++;
            continue;
        }
        for (const char *s = how->shape; *s; s++) spare->at[n++] = *s == '1' ? one : *s == '2' ? two : ' ';
        i += how->second ? 2 : 1;
    }
    spare->n = n;
    swap(text, spare);
    return ATT_OK;
}

static bool starts_with(const att_codes *text, int64_t i, const char *s, int64_t n)
{
    if (n > text->n - i) return false;
    for (int64_t j = 0; j < n; j++)
        if (text->at[i + j] != (uint32_t)s[j]) return false;
    return true;
}

/* Every `from` becomes `to`, which is not longer: in place. */
static void replace(att_codes *text, const char *from, const char *to)
{
    int64_t from_n = (int64_t)strlen(from), to_n = (int64_t)strlen(to), n = 0;
    for (int64_t i = 0; i < text->n;) {
        if (!starts_with(text, i, from, from_n)) {
            text->at[n++] = text->at[i++];
            continue;
        }
        for (int64_t j = 0; j < to_n; j++) text->at[n++] = (uint32_t)to[j];
        i += from_n;
    }
    text->n = n;
}

static bool contains(const att_codes *text, uint32_t code)
{
    for (int64_t i = 0; i < text->n; i++)
        if (text->at[i] == code) return true;
    return false;
}

/* What is before the rules of 13a: SGML remains, line breaks, a space at both ends so that the rules see a non-digit.
 */
static att_status prepare_13a(const att_allocator *allocator, att_codes *text, att_codes *spare)
{
    if (contains(text, '<')) replace(text, "<skipped>", "");
    if (contains(text, '\n')) {
        replace(text, "-\n", "");
        replace(text, "\n", " ");
    }
    if (contains(text, '&')) {
        replace(text, "&quot;", "\"");
        replace(text, "&amp;", "&");
        replace(text, "&lt;", "<");
        replace(text, "&gt;", ">");
    }
    ATT_TRY(att_codes_reserve(allocator, spare, text->n + 2));
    spare->at[0] = ' ';
    if (text->n > 0) memcpy(spare->at + 1, text->at, sizeof(uint32_t) * (size_t)text->n);
    spare->at[text->n + 1] = ' ';
    spare->n = text->n + 2;
    swap(text, spare);
    return ATT_OK;
}

static att_status separate_all(const att_allocator *allocator, att_codes *text, att_codes *spare)
{
    ATT_TRY(att_codes_reserve(allocator, spare, 2 * text->n));
    spare->n = 2 * text->n;
    for (int64_t i = 0; i < text->n; i++) {
        spare->at[2 * i] = text->at[i];
        spare->at[2 * i + 1] = ' ';
    }
    swap(text, spare);
    return ATT_OK;
}

att_status att_bleu_tokenize(att_bleu_tokenizer tokenizer, const att_allocator *allocator, att_codes *text,
                             att_codes *spare)
{
    switch (tokenizer) {
    case ATT_BLEU_13A:
        ATT_TRY(prepare_13a(allocator, text, spare));
        for (size_t i = 0; i < sizeof rules_13a / sizeof *rules_13a; i++)
            ATT_TRY(apply(&rules_13a[i], allocator, text, spare));
        return ATT_OK;
    case ATT_BLEU_INTL:
        for (size_t i = 0; i < sizeof rules_intl / sizeof *rules_intl; i++)
            ATT_TRY(apply(&rules_intl[i], allocator, text, spare));
        return ATT_OK;
    case ATT_BLEU_CHAR: return separate_all(allocator, text, spare);
    case ATT_BLEU_NONE: return ATT_OK;
    }
    return ATT_OK;
}
