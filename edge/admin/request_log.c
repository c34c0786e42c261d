/*
 * Lines are put together by hand: one is written per request, on the loop. Texts that come from
 * outside are escaped as JSON demands; bytes over 7f are written as \u00xx, because what clients
 * send need not be UTF-8.
 */
#include "edge/admin/request_log.h"

#include "base/log.h"
#include "edge/admin/metrics.h"

#include <stdio.h>
#include <time.h>

enum { LINE_BYTES = 8192, TEXT_MAX_BYTES = 2048 };

struct line {
    char bytes[LINE_BYTES];
    size_t used;
};

static void put(struct line *line, slice text)
{
    size_t room = LINE_BYTES - line->used;
    text = slice_until(text, room);
    if (text.len)
        memcpy(line->bytes + line->used, text.ptr, text.len);
    line->used += text.len;
}

static void put_escaped(struct line *line, slice text)
{
    static const char digits[] = "0123456789abcdef";
    text = slice_until(text, TEXT_MAX_BYTES);
    for (size_t i = 0; i < text.len && line->used + 6 < LINE_BYTES; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\')
            put(line, slice_of((char[]){'\\', (char)c}, 2));
        else if (c < 0x20 || c >= 0x7f)
            put(line, slice_of((char[]){'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]}, 6));
        else
            line->bytes[line->used++] = (char)c;
    }
}

static void put_text(struct line *line, slice name, slice text)
{
    put(line, SLICE(",\""));
    put(line, name);
    put(line, SLICE("\":\""));
    put_escaped(line, text);
    put(line, SLICE("\""));
}

static void put_number(struct line *line, slice name, int64_t number)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%lld", (long long)number);
    put(line, SLICE(",\""));
    put(line, name);
    put(line, SLICE("\":"));
    put(line, slice_of(digits, (size_t)length));
}

static slice format_time(wall_time wall, const char *format, char *buffer, size_t size)
{
    time_t seconds = (time_t)(wall.ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    return slice_of(buffer, strftime(buffer, size, format, &utc));
}

/* Values of the query members that `log.redact_query` names become "***". */
static slice redacted_target(struct exchange *ex)
{
    const struct slices *names = &ex->server->policy->redact_query;
    slice target = ex->request->target, rest = ex->request->query, member;
    if (!names->count || !ex->request->has_query)
        return target;
    slice out = slice_until(target, ex->request->path.len + 1);
    for (bool is_first = true; slice_next(&rest, '&', &member); is_first = false) {
        slice name = slice_until(member, slice_find(member, '=', 0)),
              value = slice_from(member, name.len);
        for (size_t i = 0; i < names->count; i++)
            if (value.len && slice_equal(name, names->at[i]))
                value = SLICE("=***");
        out = arena_concat(&ex->arena,
                           (slice[]){out, is_first ? SLICE_NONE : SLICE("&"), name, value}, 4);
    }
    return out;
}

static void put_json(struct exchange *ex, struct line *line, duration took)
{
    char buffer[64];
    const struct request *request = ex->request;
    put(line, SLICE("{\"time\":\""));
    put(line, format_time(ex->started.wall, "%Y-%m-%dT%H:%M:%S", buffer, sizeof(buffer)));
    put(line, slice_of(buffer, (size_t)snprintf(buffer, sizeof(buffer), ".%03dZ\"",
                                                (int)(ex->started.wall.ms % 1000))));
    put_text(line, SLICE("id"), request->id);
    put_text(line, SLICE("client"), ip_format(&request->client, buffer));
    put_text(line, SLICE("host"), request->host);
    put_text(line, SLICE("method"), request->method_text);
    put_text(line, SLICE("path"), redacted_target(ex));
    put_number(line, SLICE("status"), ex->status);
    put_number(line, SLICE("bytes"), (int64_t)ex->bytes);
    put_text(line, SLICE("outcome"), outcome_name(ex->outcome));
    put_text(line, SLICE("reason"), reason_name(ex->reason));
    put_text(line, SLICE("route"), ex->decision.route ? ex->decision.route->match : SLICE("-"));
    put_text(line, SLICE("class"),
             ex->decision.class_config ? ex->decision.class_config->name : SLICE("-"));
    put_text(line, SLICE("worker"), ex->worker);
    put_number(line, SLICE("queue_ms"), ex->queued.ms);
    put_number(line, SLICE("render_ms"), ex->rendered.ms);
    put_number(line, SLICE("total_ms"), took.ms);
    put_number(line, SLICE("age"), ex->age.ms / 1000);
    put_text(line, SLICE("ua"), fields_value(&request->fields, FIELD_USER_AGENT));
    put(line, SLICE("}"));
}

/* The combined log format. */
static void put_ncsa(struct exchange *ex, struct line *line)
{
    char buffer[64];
    const struct request *request = ex->request;
    put(line, ip_format(&request->client, buffer));
    put(line, SLICE(" - - ["));
    put(line, format_time(ex->started.wall, "%d/%b/%Y:%H:%M:%S +0000", buffer, sizeof(buffer)));
    put(line, SLICE("] \""));
    put_escaped(line, request->method_text);
    put(line, SLICE(" "));
    put_escaped(line, redacted_target(ex));
    int length = snprintf(buffer, sizeof(buffer), " HTTP/%u.%u\" %u %llu \"", request->http_major,
                          request->http_minor, ex->status, (unsigned long long)ex->bytes);
    put(line, slice_of(buffer, (size_t)length));
    put_escaped(line, fields_value(&request->fields, FIELD_REFERER));
    put(line, SLICE("\" \""));
    put_escaped(line, fields_value(&request->fields, FIELD_USER_AGENT));
    put(line, SLICE("\""));
}

void request_log(struct exchange *ex)
{
    const struct policy *policy = ex->server->policy;
    duration took = mono_since(loop_now(ex->loop).mono, ex->started.mono);
    metrics_request(ex->server->metrics, ex, took);
    if (!policy->access_log_path.len)
        return;
    struct line line = {.used = 0};
    if (policy->access_log_is_ncsa)
        put_ncsa(ex, &line);
    else
        put_json(ex, &line, took);
    line.used = line.used < LINE_BYTES ? line.used : LINE_BYTES - 1; /* room for the newline */
    line.bytes[line.used++] = '\n';
    log_access(slice_of(line.bytes, line.used));
}
