/*
 * HTTP dates: what is read prints as a date that means the same, what is printed can be read, and
 * the C library agrees about both.
 *
 *   input = mode (1 byte: odd: a time of 8 bytes) time or text
 */
#include "policy/date.h"

#include "tests/fuzz/input.h"

#include <time.h>

static const wall_time now = {1731622400000};
static const int64_t first_ms = -62167219200000, last_ms = 253402300799000; /* years 0, 9999 */

static int64_t clamped(int64_t ms)
{
    return ms < first_ms ? first_ms : ms > last_ms ? last_ms : ms;
}

/* To the second, downwards. */
static int64_t whole_seconds(int64_t ms)
{
    return ms - (ms % 1000 + 1000) % 1000;
}

static void check_time(int64_t ms)
{
    char buffer[HTTP_DATE_BYTES], expected[HTTP_DATE_BYTES + 8];
    wall_time again;
    slice text = http_date_format((wall_time){ms}, buffer);
    MUST(text.len == HTTP_DATE_BYTES - 1 && http_date_parse(text, now, &again));
    MUST(again.ms == clamped(ms < first_ms ? first_ms : whole_seconds(ms)));
    time_t seconds = (time_t)(again.ms / 1000);
    struct tm utc;
    MUST(gmtime_r(&seconds, &utc));
    strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &utc);
    MUST(utc.tm_year < 1000 - 1900 || slice_equal(text, slice_of_string(expected)));
}

/* strptime() takes more than we do, so what we take it must take too. */
static void compare_with_libc(slice text, wall_time date)
{
    char copy[64];
    struct tm utc = {0};
    if (text.len != HTTP_DATE_BYTES - 1)
        return; /* RFC 850: centuries are chosen otherwise; asctime has another order */
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (!strstr(copy, ", ") || strchr(copy, '-'))
        return;
    const char *end = strptime(copy, "%a, %d %b %Y %H:%M:%S", &utc);
    MUST(end && strcasecmp(end, " GMT") == 0);
    MUST((int64_t)timegm(&utc) * 1000 == date.ms);
}

static void check_text(slice text)
{
    wall_time date = {1}, again;
    char buffer[HTTP_DATE_BYTES];
    if (!http_date_parse(text, now, &date)) {
        MUST(date.ms == 1); /* untouched */
        return;
    }
    MUST(date.ms % 1000 == 0);
    MUST(http_date_parse(http_date_format(date, buffer), now, &again));
    MUST(again.ms == clamped(date.ms)); /* a leap second may end the year 9999 */
    compare_with_libc(slice_trim(text), date);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size);
    int64_t ms;
    if (take_byte(&input) & 1) {
        take_bytes(&input, &ms, sizeof(ms));
        check_time(ms);
    } else {
        check_text(input);
    }
    return 0;
}
