/* Log lines are read by people and by grep: one line each whatever is in the values. */
#include "base/log_format.h"

#include <stdio.h>
#include <time.h>

/* Keeps room for the newline; what does not fit is cut. */
static void put(struct log_text *line, const char *bytes, size_t count)
{
    size_t room = LOG_LINE_BYTES - 1 - line->used;
    if (count > room)
        count = room;
    memcpy(line->bytes + line->used, bytes, count);
    line->used += count;
}

static void put_string(struct log_text *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Whatever a terminal or a line-based reader could take for more than text becomes \xHH. */
static void put_escaped(struct log_text *line, slice text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\')
            put(line, (char[]){'\\', (char)c}, 2);
        else if (c < 0x20 || c >= 0x7f)
            put(line, (char[]){'\\', 'x', digits[c >> 4], digits[c & 15]}, 4);
        else
            put(line, (const char *)&text.ptr[i], 1);
    }
}

static bool needs_quotes(slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return true;
    }
    return text.len == 0;
}

static void put_text(struct log_text *line, slice text)
{
    slice shown = slice_until(text, LOG_FIELD_BYTES);
    bool is_quoted = needs_quotes(shown);
    put(line, "\"", is_quoted);
    put_escaped(line, shown);
    put(line, "...", shown.len < text.len ? 3 : 0);
    put(line, "\"", is_quoted);
}

static void put_number(struct log_text *line, int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    put_string(line, text);
}

static void put_time(struct log_text *line, wall_time now)
{
    int64_t ms = now.ms > 0 ? now.ms : 0;
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    char text[40] = "";
    if (gmtime_r(&seconds, &utc))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    put_string(line, text);
    snprintf(text, sizeof(text), ".%03dZ ", (int)(ms % 1000));
    put_string(line, text);
}

void log_format(struct log_text *line, wall_time now, enum log_level level, const char *phrase,
                const struct log_field *fields)
{
    static const char *const level_names[] = {"error ", "warn ", "info ", "debug "};
    line->used = 0;
    put_time(line, now);
    put_string(line, level_names[level]);
    put_escaped(line, slice_of_string(phrase));
    for (; fields->name; fields++) {
        put_string(line, " ");
        put_string(line, fields->name);
        put_string(line, "=");
        if (fields->is_number)
            put_number(line, fields->integer);
        else
            put_text(line, fields->text);
    }
    line->bytes[line->used++] = '\n';
}
