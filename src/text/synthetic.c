#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include <attend/text.h>

#define STREAM_DATES  0x6461746573u /* "dates" */
#define STREAM_COPY   0x636F7079u   /* "copy" */
#define FIRST_DAY     (-7305)       /* 1950-01-01, counted from 1970-01-01 */
#define DAYS          36525         /* up to 2049-12-31 */
#define LONGEST_COPY  20
#define NUMBER_STYLES 4

typedef struct date {
    int year, month, day, weekday; /* month 1-12, weekday 0 = Sunday */
} date;

/* Days since 1970-01-01 to the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms"). The
 * year begins in March there, so that the leap day is its last. */
static date date_of(int64_t days)
{
    int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    return (date){.year = (int)(yoe + era * 400 + (month <= 2)),
                  .month = (int)month,
                  .day = (int)(doy - (153 * mp + 2) / 5 + 1),
                  .weekday = (int)((days + 4 + 7 * 10000) % 7)};
}

static const char *ordinal(int day)
{
    if (day >= 11 && day <= 13) return "th";
    return day % 10 == 1 ? "st" : day % 10 == 2 ? "nd" : day % 10 == 3 ? "rd" : "th";
}

/* Only numbers. Day and month are told apart by their size, or by the year in front. */
static void write_numbers(const date *d, int style, char *out, size_t size)
{
    bool clear = d->day > 12 || d->day == d->month;
    int y = d->year, m = d->month, day = d->day;
    if (style == 0 && clear)
        snprintf(out, size, "%d/%d/%d", day, m, y);
    else if (style == 1 && clear)
        snprintf(out, size, "%02d/%02d/%d", m, day, y);
    else if (style == 2 && clear)
        snprintf(out, size, "%d.%d.%d", day, m, y);
    else
        snprintf(out, size, style % 2 ? "%d/%02d/%02d" : "%d.%d.%d", y, m, day);
}

/* C wants every format to be a literal: so a switch, not a table. */
static void write_words(const date *d, int style, const char *month, const char *weekday, char *out, size_t size)
{
    const char *th = ordinal(d->day);
    int y = d->year, day = d->day;
    switch (style) {
    case 0: snprintf(out, size, "%d%s of %s, %d", day, th, month, y); break;
    case 1: snprintf(out, size, "%d%s of %s %d", day, th, month, y); break;
    case 2: snprintf(out, size, "the %d%s of %s %d", day, th, month, y); break;
    case 3: snprintf(out, size, "%d %s %d", day, month, y); break;
    case 4: snprintf(out, size, "%s %d, %d", month, day, y); break;
    case 5: snprintf(out, size, "%s %d %d", month, day, y); break;
    case 6: snprintf(out, size, "%s %d%s, %d", month, day, th, y); break;
    case 7: snprintf(out, size, "%s %d %s %d", weekday, day, month, y); break;
    case 8: snprintf(out, size, "%s, %s %d, %d", weekday, month, day, y); break;
    case 9: snprintf(out, size, "%s, %d%s of %s %d", weekday, day, th, month, y); break;
    case 10: snprintf(out, size, "%d-%s-%d", day, month, y); break;
    case 11: snprintf(out, size, "%d %s %d", y, month, day); break;
    case 12: snprintf(out, size, "%d %s '%02d", day, month, y % 100); break;
    case 13: snprintf(out, size, "%s %d '%02d", month, day, y % 100); break;
    default: snprintf(out, size, "%s %d %s '%02d", weekday, day, month, y % 100); break;
    }
}
#define WORD_STYLES 15

static void change_case(char *s, uint64_t draw)
{
    for (; *s && draw < 4; s++) {
        if (draw < 3) *s = (char)tolower((unsigned char)*s);
        if (draw == 3) *s = (char)toupper((unsigned char)*s);
    }
}

static att_status check(int64_t index, size_t source_size, size_t target_size)
{
    ATT_REQUIRE(index >= 0, ATT_E_VALUE, "index is %lld, expected at least 0", (long long)index);
    ATT_REQUIRE(source_size >= ATT_SYNTHETIC_BYTES && target_size >= ATT_SYNTHETIC_BYTES, ATT_E_VALUE,
                "source_size is %zu and target_size %zu, expected at least %d", source_size, target_size,
                ATT_SYNTHETIC_BYTES);
    return ATT_OK;
}

att_status att_synthetic_dates(uint64_t seed, int64_t index, char *source, size_t source_size, char *target,
                               size_t target_size)
{
    static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
    ATT_TRY(check(index, source_size, target_size));
    att_random r = {.seed = att_random_mix(seed, (uint64_t)index), .stream = STREAM_DATES};
    date d = date_of(FIRST_DAY + (int64_t)att_random_below(&r, DAYS));
    int style = (int)att_random_below(&r, WORD_STYLES + NUMBER_STYLES);
    int letters = att_random_below(&r, 2) ? 3 : 9; /* "Mar" or "March"; a weekday goes along */
    char month[10], weekday[10];
    snprintf(month, sizeof month, "%.*s", letters, months[d.month - 1]);
    snprintf(weekday, sizeof weekday, "%.*s", letters, days[d.weekday]);
    if (style < WORD_STYLES)
        write_words(&d, style, month, weekday, source, source_size);
    else
        write_numbers(&d, style - WORD_STYLES, source, source_size);
    change_case(source, att_random_below(&r, 8));
    snprintf(target, target_size, "%04d-%02d-%02d", d.year, d.month, d.day);
    return ATT_OK;
}

/* Letters with blanks between, in the order drawn and in reverse. */
static void draw_letters(uint64_t seed, int64_t index, char *forward, char *backward)
{
    att_random r = {.seed = att_random_mix(seed, (uint64_t)index), .stream = STREAM_COPY};
    int n = 1 + (int)att_random_below(&r, LONGEST_COPY), bytes = 2 * n - 1;
    memset(forward, ' ', (size_t)bytes);
    memset(backward, ' ', (size_t)bytes);
    for (int i = 0; i < n; i++) {
        char c = (char)('a' + att_random_below(&r, 26));
        forward[2 * i] = c;
        backward[bytes - 1 - 2 * i] = c;
    }
    forward[bytes] = backward[bytes] = '\0';
}

att_status att_synthetic_copy(uint64_t seed, int64_t index, char *source, size_t source_size, char *target,
                              size_t target_size)
{
    ATT_TRY(check(index, source_size, target_size));
    draw_letters(seed, index, source, target);
    strcpy(target, source);
    return ATT_OK;
}

att_status att_synthetic_reverse(uint64_t seed, int64_t index, char *source, size_t source_size, char *target,
                                 size_t target_size)
{
    ATT_TRY(check(index, source_size, target_size));
    draw_letters(seed, index, source, target);
    return ATT_OK;
}

att_status att_synthetic_find(const char *name, att_synthetic **make)
{
    static const struct {
        const char *name;
        att_synthetic *make;
    } all[] = {{"dates", att_synthetic_dates}, {"copy", att_synthetic_copy}, {"reverse", att_synthetic_reverse}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(name, all[i].name) == 0) {
            *make = all[i].make;
            return ATT_OK;
        }
    return att_fail(ATT_E_VALUE, "\"%s\" is no synthetic corpus, expected \"dates\", \"copy\" or \"reverse\"", name);
}
