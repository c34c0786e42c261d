/*
 * HTTP dates. Own arithmetic on the Gregorian calendar, since timegm() and gmtime_r() take a lock
 * of the C library, and strptime() accepts far more than RFC 9110 does.
 *
 *   IMF-fixdate  Sun, 06 Nov 1994 08:49:37 GMT
 *   RFC 850      Sunday, 06-Nov-94 08:49:37 GMT
 *   asctime      Sun Nov  6 08:49:37 1994
 */
#include "policy/date.h"

#include <string.h>

struct civil {
    unsigned year, month, day, hour, minute, second; /* month from 1 */
};

enum { DAY_SECONDS = 86400, DAYS_PER_ERA = 146097, EPOCH_DAY = 719468 };

static const slice day_names[] = {{"Sun", 3}, {"Mon", 3}, {"Tue", 3}, {"Wed", 3},
                                  {"Thu", 3}, {"Fri", 3}, {"Sat", 3}};
static const slice long_day_names[] = {{"Sunday", 6},    {"Monday", 6},   {"Tuesday", 7},
                                       {"Wednesday", 9}, {"Thursday", 8}, {"Friday", 6},
                                       {"Saturday", 8}};
static const slice month_names[] = {{"Jan", 3}, {"Feb", 3}, {"Mar", 3}, {"Apr", 3},
                                    {"May", 3}, {"Jun", 3}, {"Jul", 3}, {"Aug", 3},
                                    {"Sep", 3}, {"Oct", 3}, {"Nov", 3}, {"Dec", 3}};

/* Days since 1970-01-01. Years begin in March, so that the leap day is the last one. */
static int64_t day_of_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - EPOCH_DAY;
}

static int64_t floor_seconds(wall_time time)
{
    return time.ms / 1000 - (time.ms % 1000 < 0);
}

static struct civil civil_of_seconds(int64_t seconds)
{
    int64_t of_day = seconds % DAY_SECONDS;
    of_day += of_day < 0 ? DAY_SECONDS : 0;
    int64_t day = (seconds - of_day) / DAY_SECONDS + EPOCH_DAY;
    int64_t era = (day >= 0 ? day : day - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t of_era = day - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / (DAYS_PER_ERA - 1)) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * of_year + 2) / 153;
    int64_t day_of_month = of_year - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    return (struct civil){(unsigned)(year_of_era + era * 400 + (month <= 2)),
                          (unsigned)month,
                          (unsigned)day_of_month,
                          (unsigned)(of_day / 3600),
                          (unsigned)(of_day / 60 % 60),
                          (unsigned)(of_day % 60)};
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && is_leap ? 29 : days[month - 1];
}

/* Each take_… reads one part off the front of *s, or leaves *s alone and says false. */

static bool take_text(slice *s, slice text)
{
    if (!slice_starts_with_nocase(*s, text))
        return false;
    *s = slice_from(*s, text.len);
    return true;
}

static bool take_name(slice *s, const slice *names, unsigned count, unsigned *index)
{
    for (unsigned i = 0; i < count; i++)
        if (take_text(s, names[i])) {
            *index = i;
            return true;
        }
    return false;
}

static bool take_number(slice *s, unsigned digits, unsigned *value)
{
    uint64_t number;
    if (s->len < digits || !slice_to_u64(slice_until(*s, digits), &number))
        return false;
    *value = (unsigned)number;
    *s = slice_from(*s, digits);
    return true;
}

static bool take_month(slice *s, struct civil *c)
{
    unsigned index;
    if (!take_name(s, month_names, 12, &index))
        return false;
    c->month = index + 1;
    return true;
}

static bool take_time(slice *s, struct civil *c)
{
    return take_number(s, 2, &c->hour) && take_text(s, SLICE(":")) &&
           take_number(s, 2, &c->minute) && take_text(s, SLICE(":")) &&
           take_number(s, 2, &c->second);
}

static bool parse_imf(slice s, struct civil *c)
{
    unsigned weekday;
    return take_name(&s, day_names, 7, &weekday) && take_text(&s, SLICE(", ")) &&
           take_number(&s, 2, &c->day) && take_text(&s, SLICE(" ")) && take_month(&s, c) &&
           take_text(&s, SLICE(" ")) && take_number(&s, 4, &c->year) && take_text(&s, SLICE(" ")) &&
           take_time(&s, c) && take_text(&s, SLICE(" GMT")) && s.len == 0;
}

/* A two-digit year that appears to be more than 50 years ahead is of the past (RFC 9110 §5.6.7). */
static unsigned full_year(unsigned two_digits, wall_time now)
{
    unsigned this_year = civil_of_seconds(floor_seconds(now)).year;
    unsigned year = this_year - this_year % 100 + two_digits;
    return year > this_year + 50 && year >= 100 ? year - 100 : year;
}

static bool parse_rfc850(slice s, wall_time now, struct civil *c)
{
    unsigned weekday, year;
    bool is_read = take_name(&s, long_day_names, 7, &weekday) && take_text(&s, SLICE(", ")) &&
                   take_number(&s, 2, &c->day) && take_text(&s, SLICE("-")) && take_month(&s, c) &&
                   take_text(&s, SLICE("-")) && take_number(&s, 2, &year) &&
                   take_text(&s, SLICE(" ")) && take_time(&s, c) && take_text(&s, SLICE(" GMT")) &&
                   s.len == 0;
    if (is_read)
        c->year = full_year(year, now);
    return is_read;
}

static bool parse_asctime(slice s, struct civil *c)
{
    unsigned weekday;
    return take_name(&s, day_names, 7, &weekday) && take_text(&s, SLICE(" ")) &&
           take_month(&s, c) && take_text(&s, SLICE(" ")) &&
           (take_text(&s, SLICE(" ")) ? take_number(&s, 1, &c->day)
                                      : take_number(&s, 2, &c->day)) &&
           take_text(&s, SLICE(" ")) && take_time(&s, c) && take_text(&s, SLICE(" ")) &&
           take_number(&s, 4, &c->year) && s.len == 0;
}

static bool civil_is_valid(const struct civil *c)
{
    return c->day >= 1 && c->day <= days_in_month(c->year, c->month) && c->hour < 24 &&
           c->minute < 60 && c->second <= 60; /* 60: a leap second */
}

bool http_date_parse(slice text, wall_time now, wall_time *date)
{
    struct civil c = {0};
    slice s = slice_trim(text);
    if (!parse_imf(s, &c) && !parse_rfc850(s, now, &c) && !parse_asctime(s, &c))
        return false;
    if (!civil_is_valid(&c))
        return false;
    int64_t seconds = day_of_civil(c.year, c.month, c.day) * DAY_SECONDS + c.hour * 3600 +
                      c.minute * 60 + c.second;
    *date = (wall_time){seconds * 1000};
    return true;
}

/* The last two digits. */
static void put_two(char *at, unsigned number)
{
    at[0] = (char)('0' + number / 10 % 10);
    at[1] = (char)('0' + number % 10);
}

/* By hand: each hit writes one, and printf took a tenth of what a hit takes. */
slice http_date_format(wall_time time, char buffer[HTTP_DATE_BYTES])
{
    static const int64_t first = -62167219200, last = 253402300799; /* years 0 and 9999 */
    int64_t seconds = floor_seconds(time);
    seconds = seconds < first ? first : seconds > last ? last : seconds;
    struct civil c = civil_of_seconds(seconds);
    int64_t day = day_of_civil(c.year, c.month, c.day);
    int64_t weekday = ((day + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    memcpy(buffer, "Sun, 06 Nov 1994 08:49:37 GMT", HTTP_DATE_BYTES);
    memcpy(buffer, day_names[weekday].ptr, 3);
    put_two(buffer + 5, c.day);
    memcpy(buffer + 8, month_names[c.month - 1].ptr, 3);
    put_two(buffer + 12, c.year / 100);
    put_two(buffer + 14, c.year);
    put_two(buffer + 17, c.hour);
    put_two(buffer + 20, c.minute);
    put_two(buffer + 23, c.second);
    return slice_of(buffer, HTTP_DATE_BYTES - 1);
}
