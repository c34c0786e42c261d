/*
 * The server of a worker process: puts the parts together, runs the loops, and takes them down in
 * reverse. The main thread keeps house once a second and watches over the drain; everything else
 * happens on the loops and the helper threads.
 */
#include "base/log.h"
#include "base/must.h"
#include "edge/admin/api.h"
#include "edge/admin/metrics.h"
#include "edge/admin/notes.h"
#include "edge/admin/request_log.h"
#include "edge/proc/worker.h"
#include "edge/request/compress.h"
#include "edge/request/error_pages.h"
#include "edge/request/exchange.h"
#include "edge/request/invalidate.h"
#include "edge/request/outdated.h"
#include "edge/request/shell.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    ERROR_BYTES = 2048,
    HOUSE_INTERVAL_MS = 1000,
    DRAIN_INTERVAL_MS = 20,
    FORGET_INTERVAL_MS = 600000
};

struct drain_order {
    struct loop_message message;
    struct service *service;
    struct loop *loop;
};

struct service {
    struct server server;
    const struct worker_setup *setup;
    h2o_globalconf_t globalconf;
    pthread_t *threads;
    size_t threads_running;
    struct drain_order *drain_orders;
    atomic_size_t loops_draining;
    pthread_mutex_t lock;
    pthread_cond_t wake;      /* the main thread */
    bool is_asked_to_drain;   /* hold lock */
    bool keeps_admin;         /* while it drains: nobody comes after this worker */
    mono_time last_forgotten; /* the main thread's */
};

/* --- making --- */

static bool make_front(struct service *service, char *error)
{
    const struct worker_setup *setup = service->setup;
    struct front_listener *listeners = mem_alloc((setup->listener_count + 1) * sizeof(*listeners));
    size_t count = 0;
    for (; count < setup->listener_count; count++)
        listeners[count] =
            (struct front_listener){setup->listeners[count], &setup->policy->listen[count]};
    if (setup->admin >= 0)
        listeners[count++] = (struct front_listener){setup->admin, NULL};
    struct front_setup front = {.policy = setup->policy,
                                .listeners = listeners,
                                .listener_count = count,
                                .on_request = exchange_begin,
                                .on_admin_request = api_on_request,
                                .on_refused = request_log_refused,
                                .arg = &service->server,
                                .ticket_key = setup->shared->ticket_key,
                                .ticket_key_bytes = TICKET_KEY_BYTES};
    h2o_config_init(&service->globalconf);
    service->server.front = front_new(&front, &service->globalconf, error);
    free(listeners);
    return service->server.front != NULL;
}

static bool make_cache(struct service *service, char *error)
{
    struct server *server = &service->server;
    const struct worker_setup *setup = service->setup;
    const struct policy *policy = setup->policy;
    server->purges = purge_attach(shared_purges(setup->shared), setup->purges_path,
                                  policy->durability_sync, clock_now().wall, error);
    if (!server->purges)
        return false;
    struct cache_config config = {.path = setup->data_path,
                                  .store_bytes = policy->store_bytes,
                                  .memory_bytes = policy->memory_bytes,
                                  .max_object_bytes = policy->max_object_bytes,
                                  .max_variants = policy->max_variants,
                                  .sync = policy->durability_sync,
                                  .purges = server->purges,
                                  .in_store = &setup->place->in_store};
    server->cache = cache_open(&config, error);
    return server->cache != NULL;
}

static bool make_answers(struct server *server, char *error)
{
    const struct policy *policy = server->policy;
    if (policy->shell_file.len) {
        server->shell = shell_new(policy->shell_file, error);
        if (!server->shell)
            return false;
    }
    server->error_pages = error_pages_new(policy, error);
    server->compressor = compressor_new(server->cache, policy->max_object_bytes);
    return server->error_pages != NULL;
}

static void origin_changed(void *arg, const struct origin_config *origin, bool is_down,
                           mono_time when)
{
    struct server *server = arg;
    metrics_origin_changed(server->metrics, origin->name, is_down);
    outdated_origin_changed(server->outdated, origin, is_down, when);
}

static bool make_loops(struct service *service, char *error)
{
    struct server *server = &service->server;
    server->loop_count = server->policy->threads;
    server->loops = mem_alloc(server->loop_count * sizeof(*server->loops));
    for (unsigned i = 0; i < server->loop_count; i++)
        loop_init(&server->loops[i], i, &service->globalconf);
    server->origins = origins_new(server->policy, server->loops, server->loop_count,
                                  shared_slots(service->setup->shared), error);
    if (!server->origins)
        return false;
    origins_on_outage(server->origins, origin_changed, server);
    metrics_count_origins(server->metrics, server->origins);
    return true;
}

/* So that nobody who reads the log of a new worker has to guess. */
static void tell_mode(const struct server *server)
{
    enum mode mode = mode_now(server->mode);
    if (mode != MODE_AUTO)
        log_warn("worker starts in a mode set by the operator", {"mode", mode_name(mode)});
}

/* 0, or the exit status: worker_fail() or worker_refuse() was called. */
static int make_parts(struct service *service)
{
    char error[ERROR_BYTES] = "";
    struct server *server = &service->server;
    const struct worker_setup *setup = service->setup;
    server->policy = setup->policy;
    server->shared = setup->shared;
    server->mode = &setup->shared->mode;
    server->setup = setup;
    server->started = clock_now();
    server->counters = counters_attach(shared_counters(setup->shared));
    server->metrics = metrics_new(server->counters, server->policy);
    server->notes = notes_new(server->policy);
    server->flights = flights_new();
    server->marks = marks_new();
    server->admission = admission_new();
    server->outdated = outdated_new(server->policy->origin_count);
    server->learned = learned_new(server->policy->route_count);
    server->invalidations = marks_new();
    server->refreshes = mem_alloc(server->policy->origin_count * sizeof(*server->refreshes));
    if (!make_cache(service, error))
        return worker_fail(setup, slice_of_string(error));
    if (!make_answers(server, error) || !make_loops(service, error))
        return worker_refuse(setup, slice_of_string(error));
    tell_mode(server);
    server->api = api_new(server, error);
    return server->api ? 0 : worker_refuse(setup, slice_of_string(error));
}

/* --- running --- */

static void *run_loop(void *arg)
{
    struct drain_order *order = arg;
    front_attach(order->service->server.front, order->loop);
    loop_run(order->loop);
    return NULL;
}

/* The descriptors that each loop's own were made from: as long as one is open, the kernel goes on
 * completing handshakes that nobody will answer. */
static void close_listeners(const struct service *service)
{
    const struct worker_setup *setup = service->setup;
    for (size_t i = 0; i < setup->listener_count; i++)
        close(setup->listeners[i]);
    if (setup->admin >= 0 && !service->keeps_admin)
        close(setup->admin);
}

static void drain_loop(struct loop_message *message)
{
    struct drain_order *order = container_of(message, struct drain_order, message);
    struct service *service = order->service;
    invalidate_now(order->loop);
    front_drain(service->server.front, order->loop, service->keeps_admin);
    if (atomic_fetch_add(&service->loops_draining, 1) + 1 == service->server.loop_count) {
        close_listeners(service);
        atomic_store(&service->server.is_closed, true);
    }
}

static void start_loops(struct service *service)
{
    struct server *server = &service->server;
    service->threads = mem_alloc(server->loop_count * sizeof(*service->threads));
    service->drain_orders = mem_alloc(server->loop_count * sizeof(*service->drain_orders));
    for (size_t i = 0; i < server->loop_count; i++) {
        service->drain_orders[i] =
            (struct drain_order){{.deliver = drain_loop}, service, &server->loops[i]};
        MUST(pthread_create(&service->threads[i], NULL, run_loop, &service->drain_orders[i]) == 0);
        service->threads_running++;
    }
}

/* The signal thread: only wakes the main thread. */
static void on_drain(void *arg)
{
    struct service *service = arg;
    pthread_mutex_lock(&service->lock);
    service->is_asked_to_drain = true;
    pthread_cond_signal(&service->wake);
    pthread_mutex_unlock(&service->lock);
}

/* Until the interval is over or, unless draining already, a drain is asked for. True: draining. */
static bool wait_for_drain(struct service *service, int interval_ms, bool is_draining)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)interval_ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&service->lock);
    while (is_draining || !service->is_asked_to_drain)
        if (pthread_cond_timedwait(&service->wake, &service->lock, &until) != 0)
            break;
    is_draining = service->is_asked_to_drain;
    pthread_mutex_unlock(&service->lock);
    return is_draining;
}

static void start_drain(struct service *service)
{
    struct server *server = &service->server;
    service->keeps_admin = atomic_load(&server->shared->is_stopping);
    atomic_store(&server->is_draining, true);
    origins_drain(server->origins);
    log_info("draining", {"connections", LOG_NUMBER((int64_t)front_connections(server->front))});
    for (size_t i = 0; i < server->loop_count; i++)
        loop_post(&server->loops[i], &service->drain_orders[i].message);
    cache_drop_memory(server->cache);
}

/* Beside a successor slots are waited for, too; when all of varve ends there is none to use them.
 */
static bool is_drained(struct service *service)
{
    struct server *server = &service->server;
    return atomic_load(&service->loops_draining) == server->loop_count &&
           front_connections(server->front) == 0 && flights_count(server->flights) == 0 &&
           atomic_load(&server->judgements) == 0 &&
           (atomic_load(&server->shared->is_stopping) || !origins_are_awaiting(server->origins));
}

/* Flights first: what one of them has made since is in the cache. */
static uint64_t oldest_stamp(struct server *server)
{
    uint64_t flights = flights_oldest_stamp(), cache = cache_oldest_stamp(server->cache);
    return flights < cache ? flights : cache;
}

/*
 * Purge records that nothing can be older than any more are dropped (semantics 6.3). The store is
 * looked through for that, so seldom; not beside another worker process, whose RAM we do not know.
 */
static void forget_old_purges(struct service *service, struct instant now)
{
    struct server *server = &service->server;
    if (mono_since(now.mono, service->last_forgotten).ms < FORGET_INTERVAL_MS)
        return;
    service->last_forgotten = now.mono;
    if (purge_stats(server->purges).records > 0 &&
        !atomic_load(&server->shared->is_draining_worker))
        purge_forget(server->purges, oldest_stamp(server));
}

static void keep_house(struct service *service)
{
    if (service->server.shell)
        shell_refresh(service->server.shell);
    forget_old_purges(service, clock_now());
}

static void tell_what_is_left(struct service *service)
{
    size_t connections = front_connections(service->server.front);
    if (connections > 0)
        log_warn("drain deadline: connections are cut",
                 {"connections", LOG_NUMBER((int64_t)connections)});
    else
        log_warn("drain deadline: a render is left behind, and its slot is taken until slot_max");
}

/* True: everything was answered before the deadline. */
static bool serve_until_drained(struct service *service)
{
    while (!wait_for_drain(service, HOUSE_INTERVAL_MS, false))
        keep_house(service);
    start_drain(service);
    while (!is_drained(service)) {
        if (clock_now().mono.ms >= worker_drain_deadline(service->setup).ms)
            return false;
        wait_for_drain(service, DRAIN_INTERVAL_MS, true);
    }
    return true;
}

/* --- taking down --- */

static void stop_loops(struct service *service)
{
    api_stop(service->server.api); /* it reads the store, and posts to loops */
    for (size_t i = 0; i < service->threads_running; i++)
        loop_stop(&service->server.loops[i]);
    for (size_t i = 0; i < service->threads_running; i++)
        pthread_join(service->threads[i], NULL);
}

/*
 * What requests may still point to stays: the process ends. Only the store must be closed properly,
 * after the threads that write to it.
 */
static int close_store(struct service *service)
{
    compressor_free(service->server.compressor);
    return cache_close(service->server.cache) ? 0 : 1;
}

/* Kept reachable to the end of the process, for leak checkers: libh2o has no call that frees its
 * contexts. */
static struct service *volatile the_service;

int edge_serve(const struct worker_setup *setup)
{
    char error[ERROR_BYTES] = "";
    struct service *service = the_service = mem_alloc(sizeof(*service));
    service->setup = setup;
    service->last_forgotten = clock_now().mono;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&service->wake, &monotonic);
    pthread_mutex_init(&service->lock, NULL);
    if (!make_front(service, error)) /* certificates may be root's */
        return worker_refuse(setup, slice_of_string(error));
    int status = worker_drop_privileges(setup);
    if (status == 0)
        status = make_parts(service);
    if (status != 0)
        return status;
    start_loops(service);
    worker_on_drain(on_drain, service);
    status = worker_ready(setup);
    atomic_store(&service->server.is_ready, status == 0);
    bool is_complete = status != 0 || serve_until_drained(service);
    worker_on_drain(NULL, NULL);
    if (!is_complete)
        tell_what_is_left(service);
    stop_loops(service);
    int closed = close_store(service);
    return status != 0 ? status : closed;
}
