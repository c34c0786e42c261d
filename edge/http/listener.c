/*
 * Accepting. All loops of all worker processes wait on the same listening sockets (one queue per
 * address, so that a reload strands nobody), each through a descriptor of its own, because libh2o
 * closes what it is given. When limits.connections is reached, a loop gives up its longest idle
 * connection; if it has none it stops accepting and the kernel's queue waits. The admin listener
 * has places of its own: who wants to know why everything is full must get in.
 */
#include "edge/http/front_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum { ACCEPTS_PER_TURN = 8, ADMIN_CONNECTIONS_MAX = 128 };

static void on_readable(h2o_socket_t *sock, const char *err);

static void pause_accepting(struct front_loop *owner, bool is_admin)
{
    for (size_t i = 0; i < owner->front->listener_count; i++)
        if (owner->sockets[i] && owner->front->listeners[i].is_admin == is_admin &&
            h2o_socket_is_reading(owner->sockets[i]))
            h2o_socket_read_stop(owner->sockets[i]);
    owner->is_paused[is_admin] = true;
}

static bool is_full(const struct front *front, bool is_admin)
{
    return atomic_load(&front->connections[is_admin]) >=
           (is_admin ? ADMIN_CONNECTIONS_MAX : front->policy->limits.connections);
}

/* Room for one more, after giving up an idle one if need be. */
static bool can_make_room(const struct front_loop *owner, bool is_admin)
{
    return !is_full(owner->front, is_admin) || (!is_admin && !list_is_empty(&owner->idle));
}

static void resume(struct front_loop *owner, bool is_admin)
{
    if (!owner->is_paused[is_admin] || !can_make_room(owner, is_admin))
        return;
    owner->is_paused[is_admin] = false;
    for (size_t i = 0; i < owner->front->listener_count; i++)
        if (owner->sockets[i] && owner->front->listeners[i].is_admin == is_admin)
            h2o_socket_read_start(owner->sockets[i], on_readable);
}

void listeners_resume(struct front_loop *owner)
{
    resume(owner, false);
    resume(owner, true);
}

/* Only once somebody is really there: another loop may have taken who woke us. */
static void make_room(struct front_loop *owner)
{
    if (!is_full(owner->front, false) || list_is_empty(&owner->idle))
        return; /* one too many, if another loop accepted at the same time */
    count(&owner->front->refused_full);
    client_close(list_first_entry(&owner->idle, struct client_connection, idle_link));
}

static const struct listener *listener_of(const struct front_loop *owner, const h2o_socket_t *sock)
{
    size_t i = 0;
    while (owner->sockets[i] != sock)
        i++;
    return &owner->front->listeners[i];
}

static void on_readable(h2o_socket_t *sock, const char *err)
{
    struct front_loop *owner = sock->data;
    const struct listener *listener = listener_of(owner, sock);
    if (err)
        return;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (!can_make_room(owner, listener->is_admin)) {
            pause_accepting(owner, listener->is_admin);
            return;
        }
        h2o_socket_t *accepted = h2o_evloop_socket_accept(sock);
        if (accepted) {
            if (!listener->is_admin)
                make_room(owner);
            client_start(owner, listener, accepted);
            continue;
        }
        /* out of descriptors or memory: the sweep tries again, instead of a busy loop */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(owner, listener->is_admin);
        return;
    }
}

/* Accepted sockets inherit it: a client that acknowledges nothing is given up, as libh2o has no
 * send timeout. */
static void set_user_timeout(int fd, duration timeout)
{
    unsigned ms = timeout.ms > 0 && timeout.ms < 600000 ? (unsigned)timeout.ms : 60000;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)); /* not on unix sockets */
}

void loop_listeners_open(struct front_loop *owner)
{
    const struct front *front = owner->front;
    owner->sockets = mem_alloc(front->listener_count * sizeof(owner->sockets[0]));
    for (size_t i = 0; i < front->listener_count; i++) {
        int fd = fcntl(front->listeners[i].fd, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            continue; /* the other loops accept */
        set_user_timeout(fd, front->policy->limits.idle);
        owner->sockets[i] =
            h2o_evloop_socket_create(owner->loop->evloop, fd, H2O_SOCKET_FLAG_DONT_READ);
        owner->sockets[i]->data = owner;
        h2o_socket_read_start(owner->sockets[i], on_readable);
    }
}

void loop_listeners_close(struct front_loop *owner, bool keeps_admin)
{
    for (size_t i = 0; i < owner->front->listener_count; i++) {
        if (!owner->sockets[i] || (keeps_admin && owner->front->listeners[i].is_admin))
            continue;
        h2o_socket_close(owner->sockets[i]);
        owner->sockets[i] = NULL;
    }
}
