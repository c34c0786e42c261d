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

/* The longest of all texts together fit a line, so that none is cut in the middle of its JSON. */
enum { PATH_MAX_BYTES = 3072, AGENT_MAX_BYTES = 1536, TEXT_MAX_BYTES = 300 };

struct line {
    char *bytes; /* REQUEST_LINE_BYTES */
    size_t used;
};

static void put(struct line *line, slice text)
{
    size_t room = REQUEST_LINE_BYTES - line->used;
    text = slice_until(text, room);
    if (text.len)
        memcpy(line->bytes + line->used, text.ptr, text.len);
    line->used += text.len;
}

/* One byte as it is written: `escape` is how one starts that is not printable ASCII. */
static size_t escape_byte(char out[6], unsigned char c, slice escape)
{
    static const char digits[] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
        memcpy(out, (char[]){'\\', (char)c}, 2);
        return 2;
    }
    if (c >= 0x20 && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    memcpy(out, escape.ptr, escape.len);
    out[escape.len] = digits[c >> 4];
    out[escape.len + 1] = digits[c & 15];
    return escape.len + 2;
}

/* Cut where more than `max` bytes would be written. */
static void put_escaped(struct line *line, slice text, slice escape, size_t max)
{
    size_t end = line->used + max < REQUEST_LINE_BYTES ? line->used + max : REQUEST_LINE_BYTES;
    for (size_t i = 0; i < text.len; i++) {
        char out[6];
        size_t length = escape_byte(out, (unsigned char)text.ptr[i], escape);
        if (line->used + length > end)
            return;
        put(line, slice_of(out, length));
    }
}

static void put_text_up_to(struct line *line, slice name, slice text, size_t max)
{
    put(line, SLICE(",\""));
    put(line, name);
    put(line, SLICE("\":\""));
    put_escaped(line, text, SLICE("\\u00"), max);
    put(line, SLICE("\""));
}

static void put_text(struct line *line, slice name, slice text)
{
    put_text_up_to(line, name, text, TEXT_MAX_BYTES);
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

static bool is_redacted(const struct slices *names, slice name)
{
    for (size_t i = 0; i < names->count; i++)
        if (slice_equal(name, names->at[i]))
            return true;
    return false;
}

/* Values of the query members that `log.redact_query` names become "***": of a target or a URL. */
static slice redacted(struct exchange *ex, slice url)
{
    const struct slices *names = &ex->server->policy->redact_query;
    size_t query = slice_find(url, '?', 0), used = 0;
    slice rest = slice_from(url, query + 1), member;
    if (!names->count || query == url.len)
        return url;
    char *out = arena_alloc(&ex->arena, url.len * 4); /* the worst: "a=" becomes "a=***" */
    for (char before = '?'; slice_next(&rest, '&', &member); before = '&') {
        slice name = slice_until(member, slice_find(member, '=', 0)),
              value = slice_from(member, name.len);
        if (value.len && is_redacted(names, name))
            value = SLICE("=***");
        out[used++] = before;
        memcpy(out + used, name.ptr, name.len);
        memcpy(out + used + name.len, value.ptr, value.len);
        used += name.len + value.len;
    }
    return arena_concat(&ex->arena, (slice[]){slice_until(url, query), slice_of(out, used)}, 2);
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
    put_text_up_to(line, SLICE("path"), redacted(ex, request->target), PATH_MAX_BYTES);
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
    put_text_up_to(line, SLICE("ua"), fields_value(&request->fields, FIELD_USER_AGENT),
                   AGENT_MAX_BYTES);
    put(line, SLICE("}"));
}

static void put_ncsa_text(struct line *line, slice text, size_t max)
{
    put(line, SLICE(" \""));
    put_escaped(line, text.len ? text : SLICE("-"), SLICE("\\x"), max);
    put(line, SLICE("\""));
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
    put_escaped(line, request->method_text, SLICE("\\x"), TEXT_MAX_BYTES);
    put(line, SLICE(" "));
    put_escaped(line, redacted(ex, request->target), SLICE("\\x"), PATH_MAX_BYTES);
    int length = snprintf(buffer, sizeof(buffer), " HTTP/%u.%u\" %u %llu", request->http_major,
                          request->http_minor, ex->status, (unsigned long long)ex->bytes);
    put(line, slice_of(buffer, (size_t)length));
    put_ncsa_text(line, redacted(ex, fields_value(&request->fields, FIELD_REFERER)),
                  AGENT_MAX_BYTES);
    put_ncsa_text(line, fields_value(&request->fields, FIELD_USER_AGENT), AGENT_MAX_BYTES);
}

slice request_log_line(struct exchange *ex, duration took, char bytes[REQUEST_LINE_BYTES])
{
    struct line line = {.bytes = bytes};
    if (ex->server->policy->access_log_is_ncsa)
        put_ncsa(ex, &line);
    else
        put_json(ex, &line, took);
    line.used = line.used < REQUEST_LINE_BYTES ? line.used : REQUEST_LINE_BYTES - 1;
    line.bytes[line.used++] = '\n';
    return slice_of(line.bytes, line.used);
}

static void write_line(struct exchange *ex, duration took)
{
    char bytes[REQUEST_LINE_BYTES];
    if (ex->server->policy->access_log_path.len)
        log_access(request_log_line(ex, took, bytes));
}

void request_log(struct exchange *ex)
{
    duration took = mono_since(loop_now(ex->loop).mono, ex->started.mono);
    metrics_request(ex->server->metrics, ex, took);
    write_line(ex, took);
}

/* What is known of it is a status, an address and the id that it was answered with: the other
 * fields are there, and empty. */
void request_log_refused(struct loop *loop, const struct front_refusal *refusal, void *arg)
{
    struct server *server = arg;
    struct request request = {.id = refusal->id,
                              .client = refusal->peer,
                              .host = SLICE("-"),
                              .method_text = SLICE("-"),
                              .target = SLICE("-"),
                              .http_major = 1,
                              .http_minor = 1};
    struct exchange ex = {.server = server,
                          .loop = loop,
                          .request = &request,
                          .started = loop_now(loop),
                          .outcome = OUTCOME_ERROR,
                          .reason = REASON_POLICY,
                          .status = refusal->status};
    metrics_refused(server->metrics, refusal->status);
    write_line(&ex, (duration){0});
}
