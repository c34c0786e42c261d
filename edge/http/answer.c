/*
 * The front's own error answers: problem documents (RFC 9457), never stored anywhere. Those before
 * libh2o has a request are written as bytes; those for a request go through libh2o; and what libh2o
 * answers by itself (it bypasses our handler, and binds such requests to the host's fallback path)
 * is rewritten by a filter there.
 */
#include "edge/http/front_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { PROBLEM_MAX_BYTES = 512, DATE_BYTES = 64 };

const char *front_status_title(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
}

/* splitmix64 over a random start: unlike in practice, and no system call per request. */
void front_request_id(struct front_loop *owner, char id[REQUEST_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t z = owner->id_seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    for (size_t i = 0; i < REQUEST_ID_BYTES; i++, z >>= 4)
        id[i] = digits[z & 15];
}

/* printf into a buffer of known size; 0 if it does not fit. */
__attribute__((format(printf, 3, 4))) static size_t print(char *buffer, size_t size,
                                                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(buffer, size, format, arguments);
    va_end(arguments);
    return length < 0 || (size_t)length >= size ? 0 : (size_t)length;
}

/* `detail` is a literal of ours and `id` is checked: nothing needs JSON escapes. */
static size_t write_problem(char body[PROBLEM_MAX_BYTES], unsigned status, slice detail, slice id)
{
    return print(body, PROBLEM_MAX_BYTES,
                 "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":"
                 "\"%" SLICE_FMT "\",\"request_id\":\"%" SLICE_FMT "\"}\n",
                 front_status_title(status), status, SLICE_ARG(detail), SLICE_ARG(id));
}

static void write_date(struct front_loop *owner, char date[DATE_BYTES])
{
    time_t now = (time_t)(loop_now(owner->loop).wall.ms / 1000);
    struct tm gmt;
    gmtime_r(&now, &gmt);
    h2o_time2str_rfc1123(date, &gmt);
}

size_t front_answer_write(struct front_loop *owner, char buffer[ANSWER_MAX_BYTES], unsigned status,
                          slice detail, bool is_head)
{
    char body[PROBLEM_MAX_BYTES], date[DATE_BYTES], id[REQUEST_ID_BYTES];
    front_request_id(owner, id);
    write_date(owner, date);
    size_t length = write_problem(body, status, detail, slice_of(id, sizeof(id)));
    return print(buffer, ANSWER_MAX_BYTES,
                 "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nContent-Type: "
                 "application/problem+json\r\nCache-Control: no-store\r\n%sX-Request-Id: "
                 "%.*s\r\nContent-Length: %zu\r\n\r\n%.*s",
                 status, front_status_title(status), date,
                 status == 503 ? "Retry-After: 5\r\n" : "", REQUEST_ID_BYTES, id, length,
                 is_head ? 0 : (int)length, body);
}

void front_report(const struct client_connection *c, unsigned status, slice detail)
{
    struct front *front = c->owner->front;
    struct front_refusal refusal = {
        .peer = c->peer, .status = status, .detail = detail, .is_tls = c->is_tls};
    count(status == 408 ? &front->timeouts : &front->bad_requests);
    if (front->setup.on_refused)
        front->setup.on_refused(c->owner->loop, &refusal, front->setup.arg);
}

/* --- for a request that libh2o has --- */

static void add_header(h2o_req_t *req, const h2o_token_t *token, const char *value)
{
    h2o_add_header(&req->pool, &req->res.headers, token, NULL, value, strlen(value));
}

static void describe_problem(h2o_req_t *req, slice id)
{
    h2o_iovec_t copy = h2o_strdup(&req->pool, id.ptr, id.len);
    add_header(req, H2O_TOKEN_CONTENT_TYPE, "application/problem+json");
    add_header(req, H2O_TOKEN_CACHE_CONTROL, "no-store");
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-request-id"), 0, NULL,
                          copy.base, copy.len);
    if (req->res.status == 503)
        add_header(req, H2O_TOKEN_RETRY_AFTER, "5");
}

void front_answer_error(h2o_req_t *req, unsigned status, slice detail, slice id)
{
    char body[PROBLEM_MAX_BYTES], made[REQUEST_ID_BYTES];
    struct client_connection *c = client_of(req);
    if (id.len == 0) {
        front_request_id(c->owner, made);
        id = slice_of(made, sizeof(made));
    }
    size_t length = write_problem(body, status, detail, id);
    req->res.status = (int)status;
    req->res.reason = front_status_title(status);
    req->res.content_length = length;
    req->res.headers = (h2o_headers_t){0};
    describe_problem(req, id);
    h2o_send_inline(req, body, length);
}

/* --- what libh2o answers by itself --- */

struct answer_stream {
    h2o_ostream_t super;
    size_t length;
    char body[PROBLEM_MAX_BYTES];
};

static void send_ours_instead(h2o_ostream_t *super, h2o_req_t *req, h2o_iovec_t *bufs,
                              size_t buf_count, h2o_send_state_t state)
{
    struct answer_stream *stream = container_of(super, struct answer_stream, super);
    h2o_iovec_t ours = h2o_iovec_init(stream->body, stream->length);
    (void)bufs;
    h2o_ostream_send_next(super, req, &ours, buf_count ? 1 : 0, state);
}

static bool is_of_libh2o(const h2o_req_t *req)
{
    return req->res.headers.size == 1 &&
           h2o_memis(req->res.headers.entries[0].value.base, req->res.headers.entries[0].value.len,
                     H2O_STRLIT("text/plain; charset=utf-8"));
}

static void replace_answer(h2o_req_t *req, struct answer_stream *stream)
{
    struct client_connection *c = client_of(req);
    unsigned status = (unsigned)req->res.status;
    slice detail = SLICE("the request is malformed");
    char made[REQUEST_ID_BYTES];
    slice id = slice_of(made, sizeof(made));
    front_request_id(c->owner, made);
    front_report(c, status, detail);
    stream->super.do_send = send_ours_instead;
    stream->length = write_problem(stream->body, status, detail, id);
    req->res.content_length = stream->length;
    req->res.reason = front_status_title(status);
    req->res.headers = (h2o_headers_t){0};
    describe_problem(req, id);
}

static void on_setup_ostream(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    (void)self;
    if (is_of_libh2o(req)) {
        struct answer_stream *stream = (void *)h2o_add_ostream(req, sizeof(*stream), slot);
        replace_answer(req, stream);
        slot = &stream->super.next;
    }
    h2o_setup_next_ostream(req, slot);
}

void front_answers_register(h2o_hostconf_t *host)
{
    h2o_filter_t *filter = h2o_create_filter(&host->fallback_path, sizeof(*filter));
    filter->on_setup_ostream = on_setup_ostream;
}
