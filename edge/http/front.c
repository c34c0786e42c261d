/*
 * The front as a whole: its listeners and limits, what libh2o is told, and its life on each loop.
 */
#include "edge/http/front.h"

#include "base/must.h"
#include "edge/http/front_internal.h"

#include <stdlib.h>
#include <sys/random.h>

enum { H2O_HEAD_MAX_BYTES = 400 * 1024, H2O_FIELDS_MAX = 100, OUT_OF_REACH_MS = 86400000 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Not beyond what libh2o itself takes: it must never be the one to refuse. */
static void set_head_limits(struct front *front)
{
    const struct policy *policy = front->policy;
    front->head_limits = (struct head_limits){
        .head_bytes = smaller(policy->limits.header_bytes, H2O_HEAD_MAX_BYTES),
        .url_bytes = smaller(policy->limits.url_bytes, H2O_HEAD_MAX_BYTES),
        .fields = smaller(policy->limits.headers, H2O_FIELDS_MAX),
    };
}

static bool add_listener(struct front *front, const struct front_listener *from, char *error)
{
    struct listener *listener = &front->listeners[front->listener_count++];
    *listener =
        (struct listener){.fd = from->fd, .config = from->config, .is_admin = !from->config};
    if (!from->config || from->config->tls_count == 0)
        return true;
    listener->tls =
        tls_new(from->config, front->setup.ticket_key, front->setup.ticket_key_bytes, error);
    return listener->tls != NULL;
}

static uint64_t longest_drain_ms(const struct policy *policy)
{
    int64_t reload = policy->reload_drain.ms, shutdown = policy->shutdown_drain.ms;
    int64_t longest = reload > shutdown ? reload : shutdown;
    return longest > 1000 && longest < OUT_OF_REACH_MS ? (uint64_t)longest : OUT_OF_REACH_MS;
}

static uint64_t idle_ms(const struct policy *policy)
{
    int64_t idle = policy->limits.idle.ms;
    return idle > 0 && idle < OUT_OF_REACH_MS ? (uint64_t)idle : OUT_OF_REACH_MS;
}

static void configure_h2o(struct front *front, h2o_globalconf_t *globalconf)
{
    const struct policy *policy = front->policy;
    h2o_hostconf_t *host =
        h2o_config_register_host(globalconf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    globalconf->server_name = (h2o_iovec_t){NULL, 0};
    /* never reached: what is larger gets our 413 (read_gate.c, h2_bodies.c) */
    globalconf->max_request_entity_size =
        smaller(policy->limits.request_body_bytes, SIZE_MAX / 4) + H2_PADDING_MAX_BYTES;
    globalconf->http1.req_timeout = OUT_OF_REACH_MS; /* the sweep is earlier */
    globalconf->http1.upgrade_to_http2 = 0;
    globalconf->http2.idle_timeout = idle_ms(policy);
    globalconf->http2.graceful_shutdown_timeout = longest_drain_ms(policy);
    globalconf->http2.max_streams_for_priority = H2_IDLE_STREAMS_MAX;
    /* beyond 32 MiB its buffers would go to files under /tmp */
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
    /* it drops Host over HTTP/2 unseen; we compare it with :authority (semantics 1.5) */
    H2O_TOKEN_HOST->http2_should_reject = 0;
    /* it would decode each of them, with 64 bytes of memory for one that was sent, for pushes that
     * we never make; the field has never left its drafts */
    H2O_TOKEN_CACHE_DIGEST->http2_should_reject = 1;
    front_requests_register(host);
    front_answers_register(host);
}

struct front *front_new(const struct front_setup *setup, h2o_globalconf_t *globalconf, char *error)
{
    struct front *front = mem_alloc(sizeof(*front));
    front->setup = *setup;
    front->policy = setup->policy;
    front->globalconf = globalconf;
    front->listeners = mem_alloc(setup->listener_count * sizeof(front->listeners[0]));
    set_head_limits(front);
    bodies_init(&front->bodies, front->policy);
    for (size_t i = 0; i < setup->listener_count; i++)
        if (!add_listener(front, &setup->listeners[i], error)) {
            front_free(front);
            return NULL;
        }
    configure_h2o(front, globalconf);
    return front;
}

void front_attach(struct front *front, struct loop *loop)
{
    MUST(loop->index < LOOPS_MAX && !front->loops[loop->index]);
    struct front_loop *owner = mem_alloc(sizeof(*owner));
    owner->front = front;
    owner->loop = loop;
    list_init(&owner->connections);
    list_init(&owner->idle);
    list_init(&owner->lingering);
    if (getrandom(&owner->id_seed, sizeof(owner->id_seed), GRND_NONBLOCK) < 0)
        owner->id_seed = (uint64_t)clock_now().wall.ms << 16 ^ (uintptr_t)owner;
    front->loops[loop->index] = owner;
    loop_listeners_open(owner);
    front_sweep_begin(owner);
}

/* Then it said keep-alive, and the client may send its next request at any moment. */
static bool has_sent_head(const h2o_req_t *req)
{
    return req->timestamps.response_start_at.tv_sec != 0;
}

/*
 * Idle HTTP/1 connections are left to the sweep, which closes them after a second: under load each
 * of them has its next request by then, and gets its answer with Connection: close.
 */
void front_drain(struct front *front, struct loop *loop, bool keeps_admin)
{
    struct front_loop *owner = front->loops[loop->index];
    if (owner->is_draining)
        return;
    owner->is_draining = true;
    loop_listeners_close(owner, keeps_admin);
    h2_say_goaway(owner);
    list_each(node, &owner->connections)
    {
        struct client_connection *c = container_of(node, struct client_connection, link);
        c->keep_alive = false;
        if (c->phase == PHASE_BUSY && c->h2o_req && !has_sent_head(c->h2o_req))
            c->h2o_req->http1_is_persistent = 0;
    }
}

size_t front_connections(const struct front *front)
{
    return atomic_load(&front->connections[false]) + atomic_load(&front->connections[true]);
}

void front_free(struct front *front)
{
    for (size_t i = 0; i < front->listener_count; i++)
        tls_free(front->listeners[i].tls);
    for (size_t i = 0; i < LOOPS_MAX; i++)
        if (front->loops[i]) {
            free(front->loops[i]->sockets);
            free(front->loops[i]);
        }
    bodies_fini(&front->bodies);
    free(front->listeners);
    free(front);
}

struct front_stats front_stats(const struct front *front)
{
    return (struct front_stats){
        .clients = atomic_load(&front->connections[false]),
        .accepted = atomic_load(&front->accepted),
        .refused_full = atomic_load(&front->refused_full),
        .bad_requests = atomic_load(&front->bad_requests),
        .timeouts = atomic_load(&front->timeouts),
        .h2_floods = atomic_load(&front->h2_floods),
    };
}

int64_t front_first_expiry(const struct front *front)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < front->listener_count; i++) {
        const struct tls *tls = front->listeners[i].tls;
        int64_t expiry = tls ? tls_first_expiry(tls) : INT64_MAX;
        first = expiry < first ? expiry : first;
    }
    return first;
}
