/*
 * The front's own error answers: problem documents (RFC 9457), never stored anywhere. Those before
 * libh2o has a request are written as bytes; those for a request go through libh2o; and what libh2o
 * answers by itself (it bypasses our handler, and binds such requests to the host's fallback path)
 * is rewritten by a filter there.
 */
#include "edge/http/front_internal.h"

#include "policy/reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
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

/* `detail` is a literal of ours and `id` is checked: nothing needs JSON escapes. The reason is the
 * access log's (edge/admin/request_log.c). */
static size_t write_problem(char body[PROBLEM_MAX_BYTES], unsigned status, slice detail, slice id)
{
    return print(body, PROBLEM_MAX_BYTES,
                 "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":"
                 "\"%" SLICE_FMT "\",\"reason\":\"%" SLICE_FMT "\",\"request_id\":\"%" SLICE_FMT
                 "\"}\n",
                 front_status_title(status), status, SLICE_ARG(detail),
                 SLICE_ARG(reason_name(REASON_POLICY)), SLICE_ARG(id));
}

unsigned front_retry_after(wall_time now)
{
    unsigned char byte = 0;
    if (getrandom(&byte, 1, GRND_NONBLOCK) != 1)
        byte = (unsigned char)now.ms;
    return 2 + byte % 9u;
}

static void write_date(struct front_loop *owner, char date[DATE_BYTES])
{
    time_t now = (time_t)(loop_now(owner->loop).wall.ms / 1000);
    struct tm gmt;
    gmtime_r(&now, &gmt);
    h2o_time2str_rfc1123(date, &gmt);
}

size_t front_answer_write(const struct client_connection *c, char buffer[ANSWER_MAX_BYTES])
{
    char body[PROBLEM_MAX_BYTES], date[DATE_BYTES], retry_after[32] = "";
    unsigned status = c->refused_status;
    slice id = slice_of(c->refused_id, REQUEST_ID_BYTES);
    size_t length = write_problem(body, status, slice_of_string(c->refused_detail), id);
    write_date(c->owner, date);
    if (status == 503)
        (void)print(retry_after, sizeof(retry_after), "Retry-After: %u\r\n",
                    front_retry_after(loop_now(c->owner->loop).wall));
    return print(buffer, ANSWER_MAX_BYTES,
                 "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nContent-Type: "
                 "application/problem+json\r\nCache-Control: no-store\r\n%sX-Request-Id: "
                 "%" SLICE_FMT "\r\nContent-Length: %zu\r\n\r\n%.*s",
                 status, front_status_title(status), date, retry_after, SLICE_ARG(id), length,
                 c->is_head ? 0 : (int)length, body);
}

void front_report(const struct client_connection *c, unsigned status, slice detail, slice id)
{
    struct front *front = c->owner->front;
    struct front_refusal refusal = {
        .peer = c->peer, .status = status, .detail = detail, .id = id, .is_tls = c->is_tls};
    count(status == 408 ? &front->timeouts : &front->bad_requests);
    if (front->setup.on_refused)
        front->setup.on_refused(c->owner->loop, &refusal, front->setup.arg);
}

/* --- for a request that libh2o has --- */

static void add_header(h2o_req_t *req, const h2o_token_t *token, slice value)
{
    h2o_iovec_t copy = h2o_strdup(&req->pool, value.ptr, value.len);
    h2o_add_header(&req->pool, &req->res.headers, token, NULL, copy.base, copy.len);
}

static void describe_problem(h2o_req_t *req, slice id)
{
    h2o_iovec_t copy = h2o_strdup(&req->pool, id.ptr, id.len);
    char seconds[16];
    wall_time now = loop_now(client_of(req)->owner->loop).wall;
    add_header(req, H2O_TOKEN_CONTENT_TYPE, SLICE("application/problem+json"));
    add_header(req, H2O_TOKEN_CACHE_CONTROL, SLICE("no-store"));
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-request-id"), 0, NULL,
                          copy.base, copy.len);
    if (req->res.status == 503)
        add_header(
            req, H2O_TOKEN_RETRY_AFTER,
            slice_of(seconds, print(seconds, sizeof(seconds), "%u", front_retry_after(now))));
}

void front_answer_error(h2o_req_t *req, unsigned status, slice detail, slice id)
{
    char body[PROBLEM_MAX_BYTES];
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
    front_report(c, status, detail, id);
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
