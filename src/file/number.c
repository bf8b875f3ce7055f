/* Numbers as text, with a decimal point whatever the locale of the program is. */
#define _GNU_SOURCE
#include "file/number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *digits(const char *s)
{
    while ('0' <= *s && *s <= '9') s++;
    return s;
}

bool att_number_int(const char *text, int64_t *out)
{
    const char *first = text + (*text == '-' || *text == '+'), *end = digits(first);
    if (end == first || *end) return false;
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno == ERANGE) return false;
    *out = value;
    return true;
}

/* sign? (digits | digits . digits? | . digits) (e sign? digits)? */
static bool well_formed(const char *s)
{
    const char *first = s + (*s == '-' || *s == '+'), *end = digits(first);
    int64_t count = end - first;
    if (*end == '.') {
        const char *fraction = end + 1;
        end = digits(fraction);
        count += end - fraction;
    }
    if (count == 0) return false;
    if (*end == 'e' || *end == 'E') {
        const char *power = end + 1 + (end[1] == '-' || end[1] == '+');
        end = digits(power);
        if (end == power) return false;
    }
    return *end == '\0';
}

static double parse(const char *text, locale_t c)
{
    return c ? strtod_l(text, NULL, c) : strtod(text, NULL);
}

bool att_number_real(const char *text, double *out)
{
    if (!well_formed(text)) return false;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double value = parse(text, c);
    if (c) freelocale(c);
    if (!isfinite(value)) return false;
    *out = value;
    return true;
}

void att_number_format(double value, char out[ATT_NUMBER_BYTES])
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), old = c ? uselocale(c) : (locale_t)0;
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(out, ATT_NUMBER_BYTES, "%.*g", precision, value);
        if (parse(out, c) == value) break;
    }
    if (old) uselocale(old);
    if (c) freelocale(c);
    if (strchr(out, '.') || !isfinite(value)) return;
    char *power = strchr(out, 'e'), *at = power ? power : out + strlen(out);
    memmove(at + 2, at, strlen(at) + 1);
    memcpy(at, ".0", 2);
}
