/*
 * Lingering close: a connection that is closed while input is unread is reset by the kernel, and
 * the reset may overtake the answer. So a copy of the descriptor is kept a moment: our side is
 * shut, what still comes is thrown away, at most LINGER_MAX_BYTES and LINGER_MS.
 */
#include "edge/http/front_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { LINGER_MAX_BYTES = 64 * 1024, LINGER_MS = 2000, PIECE_BYTES = 16 * 1024 };

struct lingering {
    struct list link;
    struct front_loop *owner;
    h2o_socket_t *sock;
    mono_time since;
    size_t bytes;
};

static void end(struct lingering *l)
{
    list_remove(&l->link);
    l->owner->lingering_count--;
    h2o_socket_close(l->sock);
    free(l);
}

static void on_readable(h2o_socket_t *sock, const char *err)
{
    struct lingering *l = sock->data;
    char piece[PIECE_BYTES];
    ssize_t got = err ? 0 : recv(h2o_socket_get_fd(sock), piece, sizeof(piece), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0)
        l->bytes += (size_t)got;
    if (got <= 0 || l->bytes >= LINGER_MAX_BYTES)
        end(l);
}

void front_linger_start(struct front_loop *owner, int fd)
{
    struct lingering *l = mem_alloc(sizeof(*l));
    shutdown(fd, SHUT_WR);
    l->owner = owner;
    l->since = loop_now(owner->loop).mono;
    l->sock = h2o_evloop_socket_create(owner->loop->evloop, fd, H2O_SOCKET_FLAG_DONT_READ);
    l->sock->data = l;
    list_append(&owner->lingering, &l->link);
    owner->lingering_count++;
    h2o_socket_read_start(l->sock, on_readable);
}

void front_linger_sweep(struct front_loop *owner)
{
    mono_time now = loop_now(owner->loop).mono;
    while (!list_is_empty(&owner->lingering)) { /* oldest first */
        struct lingering *l = list_first_entry(&owner->lingering, struct lingering, link);
        if (mono_since(now, l->since).ms < LINGER_MS)
            return;
        end(l);
    }
}
