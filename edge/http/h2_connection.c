/*
 * HTTP/2: counts frames before libh2o parses them, and ends a connection that asks for too much
 * with GOAWAY ENHANCE_YOUR_CALM (RFC 9113 §7).
 *
 * libh2o has no call that sends a GOAWAY with a code of ours, but it answers with just this one
 * when a client gives priorities to more idle streams than max_streams_for_priority. So that is
 * what it is shown instead of the client's bytes: it then ends the connection in its own orderly
 * way.
 */
#include "edge/http/front_internal.h"

enum { UPLOAD_BYTES_PER_SECOND = 500, UPLOAD_GRACE_MS = 20000, PREFACE_GRACE_MS = 10000 };
enum { DRAINING_IDLE_MS = 2000 };
enum { PRIORITY_BYTES = 9 + 5, HIGHEST_STREAM = 0x7fffffff };

/* --- the end --- */

/* libh2o writes what is pending, then closes; if the client does not take it, the sweep does. */
void h2_close(struct client_connection *c)
{
    client_move(c, PHASE_CLOSED);
    c->h2o_read(c->sock, h2o_socket_error_closed);
}

/* length 5 | type PRIORITY | no flags | stream | depends on 0 | weight 16 */
static void write_priority(char frame[PRIORITY_BYTES], uint32_t stream)
{
    const char bytes[PRIORITY_BYTES] = {0,
                                        0,
                                        5,
                                        2,
                                        0,
                                        (char)(stream >> 24),
                                        (char)(stream >> 16),
                                        (char)(stream >> 8),
                                        (char)stream,
                                        0,
                                        0,
                                        0,
                                        0,
                                        15};
    memcpy(frame, bytes, PRIORITY_BYTES);
}

static bool give_idle_priorities(struct client_connection *c)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    enum { FRAMES = H2_IDLE_STREAMS_MAX + 1, PREFACE_BYTES = sizeof(preface) - 1 };
    size_t offset = c->h2_is_open ? 0 : PREFACE_BYTES;
    c->sock->input->size = 0; /* nothing of the client's is looked at any more */
    h2o_iovec_t room = h2o_buffer_reserve(&c->sock->input, PREFACE_BYTES + FRAMES * PRIORITY_BYTES);
    if (!room.base)
        return false;
    memcpy(room.base, preface, offset);
    for (uint32_t i = 0; i < FRAMES; i++)
        write_priority(room.base + offset + i * PRIORITY_BYTES, HIGHEST_STREAM - 2 * (FRAMES - i));
    c->sock->input->size = offset + FRAMES * PRIORITY_BYTES;
    return true;
}

static void close_as_flood(struct client_connection *c)
{
    bool freed = false;
    count(&c->owner->front->h2_floods);
    client_linger_later(c);
    client_move(c, PHASE_CLOSED);
    c->freed = &freed;
    if (give_idle_priorities(c))
        c->h2o_read(c->sock, NULL);
    if (freed)
        return;
    c->freed = NULL;
    if (h2o_socket_is_reading(c->sock)) /* it has not closed, or waits for a write */
        c->h2o_read(c->sock, h2o_socket_error_closed);
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
