/*
 * Once a second each loop looks at its connections: who is idle, who sends a head or body too
 * slowly, who has left while waiting, who reads so slowly that the answer never ends. libh2o has
 * one timer for all of that; it is set out of reach.
 */
#include "edge/http/front_internal.h"

#include "base/log.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

enum {
    SWEEP_MS = 1000,
    DRAINING_IDLE_MS = 1000, /* a client in the middle of its next request is not cut off */
    READER_BYTES_PER_SECOND = 500,
    AWAITED_BYTES_PER_SECOND = 8192, /* of who keeps a renderer's slot (semantics 7.8) */
    CLOSED_MS = 10000,
    POLL_BATCH = 256
};

static bool lasts_longer(const struct client_connection *c, int64_t ms)
{
    return mono_since(client_now(c), c->since).ms > ms;
}

static const struct policy *policy_of(const struct client_connection *c)
{
    return c->owner->front->policy;
}

static void sweep_idle(struct client_connection *c)
{
    char byte;
    int64_t limit = c->owner->is_draining ? DRAINING_IDLE_MS : policy_of(c)->limits.idle.ms;
    /* its next request may have arrived a moment ago and wait behind this callback */
    if (lasts_longer(c, limit) &&
        recv(h2o_socket_get_fd(c->sock), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
        client_close(c);
}

static void sweep_head(struct client_connection *c)
{
    if (lasts_longer(c, policy_of(c)->limits.header_timeout.ms))
        gate_refuse(c, 408, "the request head took too long");
}

static void sweep_body(struct client_connection *c)
{
    const struct stall_limit limit = {policy_of(c)->limits.stall, UPLOAD_BYTES_PER_SECOND};
    size_t bytes = c->sock->input->size - c->head_bytes;
    if (stall_is_over(&c->upload, client_now(c), true, bytes, &limit))
        gate_refuse(c, 408, "the request body came too slowly");
}

/* Does a client that we wait for take less than it has to? */
static bool is_stalled(struct client_connection *c, struct stall *stall, bool waits, uint64_t taken)
{
    const struct stall_limit limit = {policy_of(c)->limits.stall, c->awaited > 0
                                                                      ? AWAITED_BYTES_PER_SECOND
                                                                      : READER_BYTES_PER_SECOND};
    return stall_is_over(stall, client_now(c), waits, taken, &limit);
}

static bool is_slow_socket(struct client_connection *c)
{
    int queued = 0;
    bool waits = h2o_socket_is_writing(c->sock) &&
                 ioctl(h2o_socket_get_fd(c->sock), SIOCOUTQ, &queued) == 0 && queued > 0;
    return is_stalled(c, &c->to_socket, waits, c->sock->bytes_written - (uint64_t)queued);
}

static bool is_slow_window(struct client_connection *c)
{
    uint64_t sent;
    bool waits = h2_waits_for_window(c, &sent);
    return is_stalled(c, &c->to_window, waits, sent);
}

static void sweep_reader(struct client_connection *c)
{
    bool is_slow = is_slow_socket(c) || (c->phase == PHASE_H2 && is_slow_window(c));
    if (!is_slow)
        return;
    client_is_slow(c, "reads too slowly");
    shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
}

static void sweep_one(struct client_connection *c)
{
    switch (c->phase) {
    case PHASE_PROXY:
    case PHASE_TLS:
        if (lasts_longer(c, policy_of(c)->limits.header_timeout.ms)) {
            client_is_slow(c, c->phase == PHASE_TLS ? "TLS handshake" : "PROXY header");
            client_close(c);
        }
        break;
    case PHASE_IDLE:
        sweep_idle(c);
        break;
    case PHASE_HEAD:
        sweep_head(c);
        break;
    case PHASE_BODY:
        sweep_body(c);
        break;
    case PHASE_H2:
        sweep_reader(c);
        h2_sweep(c);
        break;
    case PHASE_BUSY:
        sweep_reader(c);
        if (c->client_is_gone && c->left)
            c->left(c->left_owner);
        break;
    case PHASE_TUNNEL:
        sweep_reader(c);
        break;
    case PHASE_REFUSING:
    case PHASE_CLOSED:
        if (lasts_longer(c, CLOSED_MS))
            shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
        break;
    case PHASE_BETWEEN:
        break;
    }
}

/* --- who has left --- */

struct poll_batch {
    struct pollfd fds[POLL_BATCH];
    struct client_connection *of[POLL_BATCH];
    nfds_t used;
};

static void ask_batch(struct poll_batch *batch)
{
    if (batch->used && poll(batch->fds, batch->used, 0) > 0)
        for (nfds_t i = 0; i < batch->used; i++)
            if (batch->fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR))
                batch->of[i]->client_is_gone = true;
    batch->used = 0;
}

/* One system call for many: recv(MSG_PEEK) would not see an end behind unread bytes. */
static void find_gone_clients(struct front_loop *owner)
{
    struct poll_batch batch;
    batch.used = 0;
    list_each(node, &owner->connections)
    {
        struct client_connection *c = container_of(node, struct client_connection, link);
        if (c->phase != PHASE_BUSY || c->client_is_gone)
            continue;
        batch.of[batch.used] = c;
        batch.fds[batch.used++] =
            (struct pollfd){.fd = h2o_socket_get_fd(c->sock), .events = POLLRDHUP};
        if (batch.used == POLL_BATCH)
            ask_batch(&batch);
    }
    ask_batch(&batch);
}

static void tell(struct closings *closings, const char *phrase)
{
    char client[IP_TEXT_BYTES];
    if (closings->count)
        log_info(phrase, {"count", LOG_NUMBER((int64_t)closings->count)},
                 {"why", slice_of_string(closings->why)},
                 {"client", ip_format(&closings->client, client)},
                 {"frames", LOG_NUMBER((int64_t)closings->frames)});
    *closings = (struct closings){0};
}

static void sweep(struct loop_timer *timer)
{
    struct front_loop *owner = container_of(timer, struct front_loop, sweep);
    loop_timer_set(owner->loop, timer, (duration){SWEEP_MS});
    struct list *next;
    for (struct list *node = owner->connections.next; node != &owner->connections; node = next) {
        next = node->next; /* sweep_one() may free this one, and no other */
        sweep_one(container_of(node, struct client_connection, link));
    }
    find_gone_clients(owner); /* told at the next sweep: some only close their side early */
    front_linger_sweep(owner);
    tell(&owner->floods, "flooding connections closed");
    tell(&owner->timeouts, "slow connections closed");
    listeners_resume(owner);
}

void front_sweep_begin(struct front_loop *owner)
{
    owner->sweep.fire = sweep;
    loop_timer_set(owner->loop, &owner->sweep, (duration){SWEEP_MS});
}
