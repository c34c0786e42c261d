/*
 * HTTP dates (RFC 9110 §5.6.7). Pure, any thread: no time zone, no locale, none of the C library's
 * locks.
 */
#pragma once

#include "base/clock.h"
#include "base/slice.h"

enum { HTTP_DATE_BYTES = 30 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL byte */

/*
 * Reads IMF-fixdate, the RFC 850 form and asctime; names of days, months and the zone in any case,
 * everything else to the letter. That the day of the week fits is not checked. `now` only says
 * which century a two-digit year is of. False, and *date untouched, for anything else.
 */
bool http_date_parse(slice text, wall_time now, wall_time *date);

/* The IMF-fixdate; a view of `buffer`. Times outside the years 0 to 9999 are clamped. */
slice http_date_format(wall_time time, char buffer[HTTP_DATE_BYTES]);
