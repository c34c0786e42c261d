/*
 * One client connection: its way from accept() over PROXY header and TLS handshake to libh2o, and
 * its end in each phase. It hangs on the socket (sock->on_close.data) and lives as long as that.
 * libh2o's own h2o_accept() is not used: what arrived with the handshake has to pass our gates
 * before libh2o parses it.
 */
#include "edge/http/front_internal.h"

#include "base/must.h"
#include "policy/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINGERING_MAX = 256 };

void client_set_idle(struct client_connection *c, bool is_idle)
{
    if (c->listener->is_admin || is_idle == list_is_linked(&c->idle_link))
        return;
    if (!is_idle) {
        list_remove(&c->idle_link);
        return;
    }
    list_append(&c->owner->idle, &c->idle_link);
    listeners_resume(c->owner); /* it can give way to those who wait to be accepted */
}

void client_move(struct client_connection *c, enum phase phase)
{
    c->phase = phase;
    c->since = client_now(c);
    client_set_idle(c, false);
    client_set_idle(c, phase == PHASE_IDLE || phase == PHASE_H2);
}

static void note_closing(struct closings *closings, const struct client_connection *c,
                         const char *why)
{
    uint64_t frames = c->h2 ? c->h2->frames : 0;
    closings->frames = frames > closings->frames ? frames : closings->frames;
    closings->count++;
    closings->why = why;
    closings->client = c->peer;
}

void client_is_slow(struct client_connection *c, const char *why)
{
    count(&c->owner->front->timeouts);
    note_closing(&c->owner->timeouts, c, why);
}

void client_is_flood(struct client_connection *c, const char *why)
{
    count(&c->owner->front->h2_floods);
    note_closing(&c->owner->floods, c, why);
}

void client_cut(h2o_socket_t *sock, const char *why)
{
    client_is_flood(sock->on_close.data, why);
    shutdown(h2o_socket_get_fd(sock), SHUT_RDWR);
}

struct client_connection *client_of(const h2o_req_t *req)
{
    return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

/* Many come through a trusted proxy: it has no share. */
static const struct ip_address *share_of(const struct client_connection *c)
{
    return c->peer_is_trusted ? NULL : &c->peer;
}

bool client_reserve(struct client_connection *c, uint64_t bytes)
{
    if (!bodies_reserve(&c->owner->front->bodies, share_of(c), c->bodies_bytes, bytes))
        return false;
    c->bodies_bytes = bytes;
    return true;
}

void client_account(struct client_connection *c, uint64_t bytes)
{
    bodies_account(&c->owner->front->bodies, share_of(c), c->bodies_bytes, bytes);
    c->bodies_bytes = bytes;
}

/* --- the end --- */

static void on_socket_closed(void *data)
{
    struct client_connection *c = data;
    struct front_loop *owner = c->owner;
    client_account(c, 0);
    h2o_timeout_unlink(&c->resume);
    list_remove(&c->link);
    list_remove(&c->idle_link);
    if (c->linger_fd >= 0)
        front_linger_start(owner, c->linger_fd);
    if (c->freed)
        *c->freed = true;
    free(c->proxy_bytes);
    free(c->surplus);
    free(c->answer);
    interim_free(c);
    free(c->h2);
    atomic_fetch_sub(&owner->front->connections[c->listener->is_admin], 1);
    free(c);
    listeners_resume(owner);
}

void client_close(struct client_connection *c)
{
    switch (c->phase) {
    case PHASE_PROXY:
    case PHASE_TLS: /* libh2o has no connection for it yet */
        client_move(c, PHASE_CLOSED);
        h2o_socket_close(c->sock);
        break;
    case PHASE_IDLE:
    case PHASE_HEAD:
    case PHASE_BODY:
    case PHASE_REFUSING: /* libh2o waits for input: an error there makes it close */
        client_move(c, PHASE_CLOSED);
        c->h2o_read(c->sock, h2o_socket_error_closed);
        break;
    case PHASE_H2:
        h2_close(c);
        break;
    case PHASE_BUSY:
    case PHASE_BETWEEN:
    case PHASE_TUNNEL:
    case PHASE_CLOSED: /* the next read or write fails, and whoever does it closes */
        shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
        break;
    }
}

void client_linger_later(struct client_connection *c)
{
    if (c->linger_fd < 0 && c->owner->lingering_count < LINGERING_MAX)
        c->linger_fd = fcntl(h2o_socket_get_fd(c->sock), F_DUPFD_CLOEXEC, 0);
}

void client_close_lingering(struct client_connection *c)
{
    client_linger_later(c);
    client_close(c);
}

/* --- TLS --- */

static void begin_protocol(struct client_connection *c)
{
    if (c->sock->ssl) {
        h2o_iovec_t chosen = h2o_socket_ssl_get_selected_protocol(c->sock);
        for (const h2o_iovec_t *p = h2o_http2_alpn_protocols; p->len; p++)
            if (h2o_memis(chosen.base, chosen.len, p->base, p->len)) {
                h2_begin(c);
                return;
            }
    }
    gate_begin(c);
}

static void on_handshake_done(h2o_socket_t *sock, const char *err)
{
    struct client_connection *c = sock->on_close.data;
    if (err)
        client_close(c);
    else
        begin_protocol(c);
}

static void begin_tls(struct client_connection *c)
{
    if (!c->listener->tls) {
        begin_protocol(c);
        return;
    }
    c->is_tls = true;
    client_move(c, PHASE_TLS);
    h2o_socket_ssl_handshake(c->sock, tls_default_context(c->listener->tls), NULL,
                             on_handshake_done);
}

/* --- PROXY protocol --- */

static void set_peer(struct client_connection *c, struct ip_address peer)
{
    c->peer = peer;
    c->peer_is_trusted = proxy_is_trusted(c->owner->front->policy, &peer);
}

static void proxy_done(struct client_connection *c, const struct proxy_header *header)
{
    h2o_socket_read_stop(c->sock);
    h2o_socket_dont_read(c->sock, 0);
    free(c->proxy_bytes);
    c->proxy_bytes = NULL;
    c->proxy_says_tls = header->says_tls;
    c->proxy_is_tls = header->is_tls;
    if (header->has_client)
        set_peer(c, header->client);
    begin_tls(c);
}

/* Takes only bytes that certainly belong to the header: what follows is TLS or HTTP. */
static void on_proxy_readable(h2o_socket_t *sock, const char *err)
{
    struct client_connection *c = sock->on_close.data;
    struct proxy_header header;
    size_t needed = 0;
    while (!err) {
        slice bytes = slice_of(c->proxy_bytes, c->proxy_count);
        enum proxy_verdict verdict = proxy_header_parse(bytes, &header, &needed);
        if (verdict == PROXY_OK) {
            proxy_done(c, &header);
            return;
        }
        if (verdict == PROXY_BAD || needed > PROXY_HEADER_MAX_BYTES - c->proxy_count)
            break;
        ssize_t got = recv(h2o_socket_get_fd(sock), c->proxy_bytes + c->proxy_count, needed, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0)
            break;
        c->proxy_count += (size_t)got;
    }
    client_close(c);
}

static void begin_proxy(struct client_connection *c)
{
    const struct listen_config *config = c->listener->config;
    if (!config || !config->proxy_protocol || !c->peer_is_trusted) {
        begin_tls(c);
        return;
    }
    client_move(c, PHASE_PROXY);
    c->proxy_bytes = mem_alloc(PROXY_HEADER_MAX_BYTES);
    h2o_socket_dont_read(c->sock, 1);
    h2o_socket_read_start(c->sock, on_proxy_readable);
}

/* --- the beginning --- */

static struct ip_address peer_of(h2o_socket_t *sock)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    socklen_t length = sizeof(address);
    if (getpeername(h2o_socket_get_fd(sock), (struct sockaddr *)&address, &length) != 0)
        address.ss_family = AF_UNSPEC; /* it has left already: nobody's address, never trusted */
    return ip_of_sockaddr((const struct sockaddr *)&address);
}

void client_start(struct front_loop *owner, const struct listener *listener, h2o_socket_t *sock)
{
    struct client_connection *c = mem_alloc(sizeof(*c));
    c->owner = owner;
    c->listener = listener;
    c->sock = sock;
    c->linger_fd = -1;
    sock->on_close.cb = on_socket_closed;
    sock->on_close.data = c;
    list_append(&owner->connections, &c->link);
    atomic_fetch_add(&owner->front->connections[listener->is_admin], 1);
    count(&owner->front->accepted);
    client_move(c, PHASE_TLS);
    set_peer(c, peer_of(sock));
    begin_proxy(c);
}
