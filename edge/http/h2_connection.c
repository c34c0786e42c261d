/*
 * HTTP/2: the life of a connection. One that asks for too much ends with GOAWAY ENHANCE_YOUR_CALM
 * (RFC 9113 §7).
 */
#include "edge/http/h2_streams.h"

enum { UPLOAD_BYTES_PER_SECOND = 500, UPLOAD_GRACE_MS = 20000, PREFACE_GRACE_MS = 10000 };
enum { DRAINING_IDLE_MS = 2000 };

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
    client_move(c, PHASE_CLOSED);
    h2_call_libh2o(c, h2o_socket_error_closed);
}

static void close_as_flood(struct client_connection *c)
{
    h2o_http2_conn_t *conn = h2_conn_of(c);
    h2o_iovec_t why = h2o_iovec_init(c->h2->why, strlen(c->h2->why));
    count(&c->owner->front->h2_floods);
    client_linger_later(c);
    if (c->h2_is_open) {
        h2o_http2_encode_goaway_frame(&conn->_write.buf, conn->pull_stream_ids.max_open,
                                      H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM, why);
        h2o_http2_conn_request_write(conn);
    }
    h2_close(c);
}

/* --- request bodies in memory --- */

bool h2_account_bodies(struct client_connection *c)
{
    if (c->h2->upload_count == 0 && !c->h2->is_in_block)
        c->upload_since.ms = 0;
    else if (c->upload_since.ms == 0) {
        c->upload_since = client_now(c);
        c->upload_data_before = c->h2->data_bytes;
    }
    uint64_t bytes = c->h2->upload_bytes + c->entity_bytes;
    return bytes == c->bodies_bytes || client_reserve(c, bytes);
}

void h2_request_begins(struct client_connection *c, size_t entity_bytes)
{
    c->h2_requests++;
    c->h2_active = client_now(c);
    c->entity_bytes += entity_bytes;
}

void h2_request_ends(struct client_connection *c, size_t entity_bytes)
{
    c->h2_requests--;
    c->h2_active = client_now(c);
    c->entity_bytes -= entity_bytes;
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

static bool is_stuck_upload(const struct client_connection *c)
{
    if (c->upload_since.ms == 0)
        return false;
    int64_t ms = mono_since(client_now(c), c->upload_since).ms - UPLOAD_GRACE_MS;
    int64_t bytes = (int64_t)(c->h2->data_bytes - c->upload_data_before);
    return ms > 0 && bytes < ms / 1000 * UPLOAD_BYTES_PER_SECOND;
}

/* libh2o says GOAWAY once, to those that were there when draining began: later ones are closed when
 * they have nothing to do. */
static bool may_leave(const struct client_connection *c)
{
    return c->owner->is_draining && c->h2_requests == 0 &&
           mono_since(client_now(c), c->h2_active).ms > DRAINING_IDLE_MS;
}

void h2_sweep(struct client_connection *c)
{
    if (!h2o_socket_is_reading(c->sock)) { /* libh2o closed it */
        client_move(c, PHASE_CLOSED);
        return;
    }
    bool is_silent =
        c->h2->preface_left && mono_since(client_now(c), c->since).ms > PREFACE_GRACE_MS;
    if (may_leave(c)) {
        h2_close(c);
        return;
    }
    bool is_within_memory = h2_account_bodies(c);
    if (!is_silent && is_within_memory && !is_stuck_upload(c))
        return;
    count(&c->owner->front->timeouts);
    h2_close(c);
}
