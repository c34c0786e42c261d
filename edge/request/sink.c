#include "edge/request/sink.h"

#include "base/arena.h"
#include "base/must.h"
#include "edge/http/front.h"
#include "policy/date.h"

#include <stdio.h>
#include <stdlib.h>

_Static_assert(HTTP_DATE_BYTES == H2O_TIMESTR_RFC1123_LEN + 1, "one form of a date");

enum { SEND_SLICES = 20, CHUNK_HEAD_BYTES = 20 };

struct sink {
    h2o_generator_t generator; /* first: libh2o hands it back */
    h2o_req_t *req;            /* NULL once the request is gone */
    const struct sink_events *events;
    void *owner;
    struct client_connection *awaited; /* NULL: nobody waits for the client to read on */
    wall_time date;
    uint64_t bytes;
    bool is_started, is_head, is_ended;
    bool is_chunked; /* framed by hand: the library's own filter does so for status 200 only */
    char chunk_head[CHUNK_HEAD_BYTES];
    /* a send that waits until an interim response is written */
    slice held[SEND_SLICES];
    size_t held_count;
};

/* The request's pool is cleared: sent, reset or the connection is gone. The one place where owners
 * are told. */
static void on_pool_cleared(void *memory)
{
    struct sink **anchor = memory;
    struct sink *sink = *anchor;
    sink_await(sink, false);
    sink->req = NULL;
    sink->events->gone(sink->owner);
    free(sink);
}

struct sink *sink_new(h2o_req_t *req, const struct sink_events *events, void *owner)
{
    struct sink *sink = mem_alloc(sizeof(*sink));
    struct sink **anchor = h2o_mem_alloc_shared(&req->pool, sizeof(*anchor), on_pool_cleared);
    *anchor = sink;
    sink->req = req;
    sink->events = events;
    sink->owner = owner;
    sink->is_head = h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));
    return sink;
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct sink *sink = (struct sink *)generator;
    (void)req;
    sink->events->want(sink->owner);
}

static void on_stop(h2o_generator_t *generator, h2o_req_t *req)
{
    (void)generator; /* `gone` follows from the pool */
    (void)req;
}

static void add_fields(h2o_req_t *req, const struct fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        /* Under libh2o's own token, Vary would become `Cache-Control: private` for an old user
         * agent. */
        int maybe_token = field->id != FIELD_VARY;
        h2o_add_header_by_str(&req->pool, &req->res.headers, field->name.ptr, field->name.len,
                              maybe_token, NULL, field->value.ptr, field->value.len);
    }
}

static bool has_open_end(const struct sink *sink, const struct sink_head *head)
{
    bool has_body =
        !sink->is_head && head->status >= 200 && head->status != 204 && head->status != 304;
    return has_body && head->length == SIZE_MAX;
}

static void choose_framing(struct sink *sink, const struct sink_head *head)
{
    h2o_req_t *req = sink->req;
    if (!has_open_end(sink, head))
        return;
    if (req->version < 0x101)
        req->http1_is_persistent = 0; /* HTTP/1.0: only closing shows the end */
    sink->is_chunked = req->version == 0x101;
    if (sink->is_chunked)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_TRANSFER_ENCODING, NULL,
                       H2O_STRLIT("chunked"));
}

void sink_interim(struct sink *sink, unsigned status, slice reason, const struct fields *fields)
{
    if (!sink->is_started)
        front_send_interim(sink->req, status, reason, fields);
}

/* libh2o's filter for chunks would close behind any status but 200; the chunks here are ours. */
static void start_response(struct sink *sink)
{
    h2o_req_t *req = sink->req;
    bool is_persistent = req->http1_is_persistent;
    h2o_start_response(req, &sink->generator);
    if (sink->is_chunked)
        req->http1_is_persistent = is_persistent;
}

void sink_start(struct sink *sink, const struct sink_head *head)
{
    MUST(!sink->is_started && head->status >= 100 && head->status <= 999);
    h2o_req_t *req = sink->req;
    req->res.status = (int)head->status;
    req->res.reason = h2o_strdup(&req->pool, head->reason.ptr, head->reason.len).base;
    req->res.content_length = head->length;
    add_fields(req, head->fields);
    choose_framing(sink, head);
    sink->date = head->date;
    sink->generator = (h2o_generator_t){on_proceed, on_stop};
    sink->is_started = true;
    start_response(sink);
}

bool sink_is_started(const struct sink *sink)
{
    return sink->is_started;
}

/*
 * libh2o writes its own Date from the context's timestamp cache while it flattens the head, inside
 * the first h2o_send. A cached answer must carry the origin's, so the cache is lent another value
 * for that call (RFC 9110 §6.6.1).
 */
static void send_with_date(h2o_req_t *req, h2o_iovec_t *buffers, size_t count,
                           h2o_send_state_t state, wall_time date)
{
    h2o_context_t *context = req->conn->ctx;
    h2o_get_timestamp(context, NULL, NULL); /* fills the cache for this turn */
    h2o_timestamp_string_t *own = context->_timestamp_cache.value;
    h2o_timestamp_string_t *lent = h2o_mem_alloc_shared(NULL, sizeof(*lent), NULL);
    http_date_format(date, lent->rfc1123);
    memcpy(lent->log, own->log, sizeof(lent->log));
    context->_timestamp_cache.value = lent;
    h2o_send(req, buffers, count, state);
    MUST(context->_timestamp_cache.value == lent); /* one turn, one time */
    context->_timestamp_cache.value = own;
    h2o_mem_release_shared(lent);
}

/* RFC 9112 §7.1; returns the number of buffers used. */
static size_t frame_chunk(struct sink *sink, h2o_iovec_t *buffers, size_t count, size_t length,
                          bool is_last)
{
    static const char end_of_chunk[] = "\r\n", end_of_all[] = "\r\n0\r\n\r\n";
    if (length > 0) {
        int size = snprintf(sink->chunk_head, sizeof(sink->chunk_head), "%zx\r\n", length);
        buffers[0] = h2o_iovec_init(sink->chunk_head, (size_t)size);
        buffers[count++] =
            is_last ? h2o_iovec_init(end_of_all, 7) : h2o_iovec_init(end_of_chunk, 2);
        return count;
    }
    buffers[0] = h2o_iovec_init(end_of_all + 2, is_last ? 5 : 0);
    return is_last ? 1 : 0;
}

static void send_now(struct sink *sink, const slice *bytes, size_t count)
{
    bool is_last = sink->is_ended;
    h2o_iovec_t buffers[SEND_SLICES + 2];
    size_t first = sink->is_chunked ? 1 : 0, used = first, length = 0;
    for (size_t i = 0; i < count && !sink->is_head; i++) {
        buffers[used++] = h2o_iovec_init(bytes[i].ptr, bytes[i].len);
        length += bytes[i].len;
    }
    if (sink->is_chunked)
        used = frame_chunk(sink, buffers, used, length, is_last);
    sink->bytes += length;
    h2o_send_state_t state = is_last ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS;
    wall_time date = sink->date;
    sink->date.ms = 0; /* only the first call writes the head; the sink may be gone after it */
    if (date.ms)
        send_with_date(sink->req, buffers, used, state, date);
    else
        h2o_send(sink->req, buffers, used, state);
}

static void send_held(void *owner)
{
    struct sink *sink = owner;
    send_now(sink, sink->held, sink->held_count);
}

void sink_send(struct sink *sink, const slice *bytes, size_t count, bool is_last)
{
    MUST(sink->is_started && !sink->is_ended && count <= SEND_SLICES);
    sink->is_ended = is_last;
    if (!front_awaits_interim(sink->req, send_held, sink)) {
        send_now(sink, bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        sink->held[i] = bytes[i];
    sink->held_count = count;
}

void sink_await(struct sink *sink, bool is_awaited)
{
    if (is_awaited == (sink->awaited != NULL))
        return;
    if (!is_awaited)
        front_reader_is_awaited_no_more(sink->awaited);
    sink->awaited = is_awaited ? front_await_reader(sink->req) : NULL;
}

/* A frame that stays open shows the break (RFC 9112 §8), and what came before it arrives. */
static bool has_frame(const struct sink *sink)
{
    return sink->is_chunked || sink->req->version >= 0x200 ||
           sink->req->res.content_length != SIZE_MAX;
}

/* A body that ends by closing: only a reset tells a client that it is not whole. At once, so that
 * no close_notify of TLS goes out first. */
static void reset_connection(h2o_req_t *req)
{
    h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    connect(h2o_socket_get_fd(socket), &nobody, sizeof(nobody));
}

void sink_break(struct sink *sink)
{
    MUST(sink->is_started && !sink->is_ended);
    sink->is_ended = true;
    sink->req->http1_is_persistent = 0;
    if (!has_frame(sink))
        reset_connection(sink->req);
    h2o_send(sink->req, NULL, 0, H2O_SEND_STATE_ERROR);
}

void sink_dismiss(struct sink *sink)
{
    struct fields none = {0};
    struct sink_head head = {
        .status = 499, .reason = SLICE("Client Closed Request"), .fields = &none, .length = 0};
    sink->req->http1_is_persistent = 0;
    sink_start(sink, &head);
    sink_send(sink, NULL, 0, true);
}

uint64_t sink_bytes(const struct sink *sink)
{
    return sink->bytes;
}
