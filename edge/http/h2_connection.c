/*
 * HTTP/2: the life of a connection. One that asks for too much ends with GOAWAY ENHANCE_YOUR_CALM
 * (RFC 9113 §7).
 */
#include "edge/http/h2_streams.h"

enum { DRAINING_IDLE_MS = 2000 };
/* libh2o closes those that say nothing by itself, with a GOAWAY */
enum { IDLE_GRACE_MS = 2000 };

/* --- the end --- */

/*
 * libh2o takes its input, or an error. Between the end of a write and the moment when it begins the
 * next one, it would close at once and lose what is to be written, a GOAWAY most of all: it is made
 * to believe that it is still writing.
 */
void h2_call_libh2o(struct client_connection *c, const char *err)
{
    static h2o_buffer_t in_flight;
    h2o_http2_conn_t *conn = h2_conn_of(c);
    bool is_between_writes = h2o_socket_is_writing(c->sock) && !conn->_write.buf_in_flight;
    if (!is_between_writes) {
        c->h2o_read(c->sock, err);
        return;
    }
    conn->_write.buf_in_flight = &in_flight;
    c->h2o_read(c->sock, err);
    conn->_write.buf_in_flight = NULL;
}

/* libh2o writes what is pending, then closes; if the client does not take it, the sweep does. */
void h2_close(struct client_connection *c)
{
    bool is_open = h2o_socket_is_reading(c->sock); /* else libh2o has closed it, TLS is flushing */
    client_move(c, PHASE_CLOSED);
    if (is_open)
        h2_call_libh2o(c, h2o_socket_error_closed);
}

static void close_as_flood(struct client_connection *c)
{
    h2o_http2_conn_t *conn = h2_conn_of(c);
    h2o_iovec_t why = h2o_iovec_init(c->h2->why, strlen(c->h2->why));
    client_is_flood(c, c->h2->why);
    client_linger_later(c);
    if (c->h2_is_open) {
        h2o_http2_encode_goaway_frame(&conn->_write.buf, conn->pull_stream_ids.max_open,
                                      H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM, why);
        h2o_http2_conn_request_write(conn);
    }
    h2_close(c);
}

/* libh2o has not read its preface, and so has not sent its SETTINGS. */
static bool is_new(const struct client_connection *c)
{
    return c->phase == PHASE_H2 && c->h2->preface_left > 0 && h2o_socket_is_reading(c->sock);
}

/*
 * libh2o says GOAWAY to all that it knows. One that is not open yet must not hear it: the first
 * frame that it hears is SETTINGS, or it breaks off (RFC 9113 §3.4). It is kept out of sight
 * meanwhile, and closed by the sweep when it has nothing to do.
 */
void h2_say_goaway(struct front_loop *owner)
{
    h2o_context_t *context = &owner->loop->context;
    list_each(node, &owner->connections)
    {
        struct client_connection *c = container_of(node, struct client_connection, link);
        if (is_new(c))
            h2o_linklist_unlink(&h2_conn_of(c)->_conns);
    }
    h2o_context_request_shutdown(context);
    list_each(node, &owner->connections)
    {
        struct client_connection *c = container_of(node, struct client_connection, link);
        if (is_new(c))
            h2o_linklist_insert(&context->http2._conns, &h2_conn_of(c)->_conns);
    }
}

/* --- request bodies in memory --- */

static bool is_uploading(const struct client_connection *c)
{
    return c->h2->upload_count > 0 || c->h2->is_in_block;
}

static void update_idle(struct client_connection *c)
{
    if (c->phase == PHASE_H2)
        client_set_idle(c, c->h2_requests == 0 && !is_uploading(c));
}

void h2_account(struct client_connection *c)
{
    client_account(c, c->h2->upload_bytes + c->entity_bytes);
    update_idle(c);
}

void h2_request_begins(struct client_connection *c, size_t entity_bytes)
{
    c->h2_requests++;
    c->h2_active = client_now(c);
    c->entity_bytes += entity_bytes;
    update_idle(c);
}

void h2_request_ends(struct client_connection *c, size_t entity_bytes, uint64_t sent)
{
    c->h2_requests--;
    c->h2_active = client_now(c);
    c->h2_sent_before += sent;
    c->entity_bytes -= entity_bytes;
    h2_account(c);
}

/* --- reading --- */

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct client_connection *c = sock->on_close.data;
    if (err || c->phase != PHASE_H2) {
        h2_close(c);
        return;
    }
    size_t fresh = sock->bytes_read < sock->input->size ? sock->bytes_read : sock->input->size;
    if (!h2_hand_over(c, fresh))
        close_as_flood(c);
}

void h2_begin(struct client_connection *c)
{
    h2o_context_t *context = &c->owner->loop->context;
    h2o_accept_ctx_t accept = {.ctx = context, .hosts = context->globalconf->hosts};
    size_t early = c->sock->input->size; /* came with the handshake: must pass the gate */
    client_move(c, PHASE_H2);
    c->h2_active = c->since;
    c->h2 = mem_alloc(sizeof(*c->h2));
    /* a head somewhat over the limit is to get its 431: a cookie too many is no attack */
    h2_gate_init(c->h2, 2 * c->owner->front->head_limits.head_bytes,
                 c->owner->front->policy->limits.request_body_bytes, client_now(c));
    c->sock->input->size = 0;
    h2o_http2_accept(&accept, c->sock, *h2o_get_timestamp(context, NULL, NULL));
    c->h2o_read = c->sock->_cb.read;
    c->sock->_cb.read = on_read;
    c->sock->input->size = c->sock->bytes_read = early;
    if (early)
        on_read(c->sock, NULL);
}

/* --- each second --- */

static const struct policy *policy_of(const struct client_connection *c)
{
    return c->owner->front->policy;
}

/*
 * The sweep sees bodies each second only: one that began when others had just ended would go on in
 * their window of time. A new run (h2_gate.upload_runs) has one of its own.
 */
static bool look_for_stuck_upload(struct client_connection *c)
{
    const struct stall_limit limit = {policy_of(c)->limits.stall, UPLOAD_BYTES_PER_SECOND};
    if (c->upload_runs != c->h2->upload_runs)
        c->upload = (struct stall){0};
    c->upload_runs = c->h2->upload_runs;
    return stall_is_over(&c->upload, client_now(c), is_uploading(c), h2_gate_arrived(c->h2),
                         &limit);
}

static bool is_unused_for(const struct client_connection *c, int64_t ms)
{
    return c->h2_requests == 0 && mono_since(client_now(c), c->h2_active).ms > ms;
}

/* Neither PING nor a frame that comes byte by byte keeps a place for ever. And libh2o says GOAWAY
 * once, to those that were there when draining began: later ones are closed when they have nothing
 * to do. */
static bool may_leave(const struct client_connection *c)
{
    return is_unused_for(c, c->owner->is_draining ? DRAINING_IDLE_MS
                                                  : policy_of(c)->limits.idle.ms + IDLE_GRACE_MS) &&
           (c->owner->is_draining || !is_uploading(c));
}

static const char *why_slow(struct client_connection *c)
{
    int64_t ms = mono_since(client_now(c), c->since).ms;
    if (c->h2->preface_left && ms > policy_of(c)->limits.header_timeout.ms)
        return "no preface";
    return look_for_stuck_upload(c) ? "request body" : NULL;
}

bool h2_waits_for_window(const struct client_connection *c, uint64_t *sent)
{
    bool waits = false;
    const h2o_http2_conn_t *conn = h2_conn_of(c);
    *sent = c->h2_sent_before;
    if (!h2o_socket_is_reading(c->sock))
        return false;
    for (h2o_http2_stream_t *s = h2_next_stream(c, NULL); s; s = h2_next_stream(c, s)) {
        *sent += s->req.bytes_sent;
        waits |=
            s->_data.size > 0 && (s->output_window._avail <= 0 || conn->_write.window._avail <= 0);
    }
    return waits;
}

void h2_sweep(struct client_connection *c)
{
    if (!h2o_socket_is_reading(c->sock)) { /* libh2o closed it */
        client_move(c, PHASE_CLOSED);
        return;
    }
    if (may_leave(c)) {
        h2_close(c);
        return;
    }
    const char *why = why_slow(c);
    if (!why)
        return;
    client_is_slow(c, why);
    h2_close(c);
}
