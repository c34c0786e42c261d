/* The text of one log line. Used by log.c alone; apart, so that it can be tested without a thread.
 */
#pragma once

#include "base/clock.h"
#include "base/log.h"

enum { LOG_LINE_BYTES = 4096, LOG_FIELD_BYTES = 1024 /* of one value, before escaping */ };

struct log_text {
    char bytes[LOG_LINE_BYTES];
    size_t used;
};

/*
 * `2026-11-22T02:00:00.000Z info worker started pid=123 name="x y"` and a newline. Control bytes,
 * and all that is not ASCII, as \xHH; what does not fit is cut, the newline never. Pure, any
 * thread.
 */
void log_format(struct log_text *text, wall_time now, enum log_level level, const char *phrase,
                const struct log_field *fields);
