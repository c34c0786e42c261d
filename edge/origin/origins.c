/*
 * The origins of a worker process: made before the loops run, freed after they have ended. Beside
 * that only figures are read here, and two timers per loop are kept: one asks, while calls of this
 * loop wait, whether another process has freed a slot (nobody rings us from there), and the first
 * loop's one looks for slots whose owner died.
 */
#include "edge/origin/origins.h"

#include "edge/origin/resolver.h"

#include "base/log.h"

#include <stdlib.h>

enum { ERROR_BYTES = 256 };

static const duration PROBE_EVERY = {1000}, INQUIRE_EVERY = {50};

static void fire_probe(struct loop_timer *timer)
{
    struct home *home = container_of(timer, struct home, probe);
    struct permit permit;
    for (size_t i = 0; i < home->origins->policy->origin_count; i++) {
        struct pool *pool = home->origins->pools[i];
        pool_tell(pool, loop_now(home->loop).mono);
        size_t next = 0; /* one question for each worker: it may have failed before we are back */
        while (pool_take_probe(pool, &next, &permit, loop_now(home->loop).mono))
            origins_probe(home, pool, &permit);
    }
    loop_timer_set(home->loop, timer, PROBE_EVERY);
}

static void fire_inquire(struct loop_timer *timer)
{
    struct home *home = container_of(timer, struct home, inquire);
    if (atomic_load(&home->origins->is_draining))
        return;
    origins_inquire(home);
    loop_timer_set(home->loop, timer, INQUIRE_EVERY);
}

void origins_drain(struct origins *origins)
{
    atomic_store(&origins->is_draining, true);
    for (size_t i = 0; i < origins->policy->origin_count; i++)
        outage_mute(origins->pools[i]);
}

static void start_home(struct loop_message *message)
{
    struct home *home = container_of(message, struct home, start);
    loop_timer_set(home->loop, &home->probe, PROBE_EVERY);
    if (origins_have_inquiries(home->origins))
        fire_inquire(&home->inquire);
}

static void make_homes(struct origins *origins, struct loop *loops)
{
    origins->homes = mem_alloc(origins->loop_count * sizeof(struct home));
    for (size_t i = 0; i < origins->loop_count; i++) {
        struct home *home = &origins->homes[i];
        home_init(home, origins, &loops[i]);
        home->probe.fire = fire_probe;
        home->inquire.fire = fire_inquire;
        home->start.deliver = start_home;
    }
    loop_post(origins->homes[0].loop, &origins->homes[0].start);
}

unsigned call_rank(const struct policy *policy, const struct class_config *class_config)
{
    if (!class_config)
        return QUEUE_BACKGROUND;
    bool is_believed = class_config->has_ip_ranges || class_config->user_agent.count == 0;
    return is_believed ? (unsigned)(class_config - policy->classes)
                       : (unsigned)policy->class_count - 1;
}

void call_reserves(const struct policy *policy, unsigned reserved_for[QUEUE_RANKS + 1])
{
    unsigned reserved = 0;
    for (size_t rank = 0; rank <= QUEUE_RANKS; rank++) {
        reserved_for[rank] = reserved;
        if (rank < policy->class_count && policy->classes[rank].reserve > reserved)
            reserved = policy->classes[rank].reserve;
    }
}

struct origins *origins_new(const struct policy *policy, struct loop *loops, size_t loop_count,
                            void *slots, char *error)
{
    struct origins *origins = mem_alloc(sizeof(*origins));
    origins->policy = policy;
    origins->slots_region = slots;
    deadly_init(&origins->deadly);
    origins->pools = mem_alloc(policy->origin_count * sizeof(struct pool *));
    for (size_t i = 0; i < policy->origin_count; i++) {
        origins->pools[i] = pool_new(&policy->origins[i], slots, loop_count, error, ERROR_BYTES);
        if (!origins->pools[i]) {
            origins_free(origins);
            return NULL;
        }
        call_reserves(policy, origins->pools[i]->reserved);
        origins->pools[i]->fair.percent = policy->limits.per_client_percent;
    }
    origins->resolver = resolver_new(origins->pools, policy->origin_count);
    origins->loop_count = loop_count;
    make_homes(origins, loops);
    return origins;
}

static void drop_all(struct home *home)
{
    for (struct list *node = home->calls.next, *next; node != &home->calls; node = next) {
        next = node->next;
        call_drop(call_of_home_node(node));
    }
    loop_timer_stop(home->loop, &home->sweep);
    loop_timer_stop(home->loop, &home->poll);
    loop_timer_stop(home->loop, &home->probe);
    loop_timer_stop(home->loop, &home->inquire);
}

static void close_pools(struct origins *origins)
{
    for (size_t i = 0; i < origins->policy->origin_count; i++)
        if (origins->pools[i])
            pool_close(origins->pools[i]);
}

void origins_leave(struct origins *origins, struct loop *loop)
{
    struct home *home = &origins->homes[loop->index];
    close_pools(origins);
    drop_all(home);
    home_close_idle(home);
}

void origins_free(struct origins *origins)
{
    if (origins->resolver)
        resolver_free(origins->resolver);
    close_pools(origins);
    for (size_t i = 0; i < origins->loop_count; i++) {
        origins->homes[i].is_over = true;
        drop_all(&origins->homes[i]);
        home_fini(&origins->homes[i]);
    }
    for (size_t i = 0; i < origins->policy->origin_count; i++)
        if (origins->pools[i])
            pool_free(origins->pools[i]);
    deadly_fini(&origins->deadly);
    free(origins->homes);
    free(origins->pools);
    free(origins);
}

/* --- figures --- */

void origins_count_at(struct origins *origins, const struct origin_config *origin,
                      struct origin_counts counts)
{
    origins->pools[origin->index]->counts = counts;
}

struct origin_state origin_state(const struct origins *origins, const struct origin_config *origin)
{
    return pool_state(origins->pools[origin->index]);
}

slice origin_build(const struct origins *origins, const struct origin_config *origin)
{
    const struct build *build = origins->pools[origin->index]->newest_build;
    return build ? build->value : SLICE_NONE;
}

bool origins_is_deadly(struct origins *origins, const struct key *render_key, mono_time now)
{
    return deadly_is(&origins->deadly, render_key, now);
}

void origins_each_counters(const struct origins *origins,
                           void (*visit)(void *arg, slice worker,
                                         const struct worker_counters *counters),
                           void *arg)
{
    for (size_t i = 0; i < origins->policy->origin_count; i++) {
        struct pool *pool = origins->pools[i];
        pthread_mutex_lock(&pool->lock);
        for (size_t j = 0; j < pool->worker_count; j++)
            visit(arg, pool->workers[j]->name, &pool->workers[j]->counters);
        pthread_mutex_unlock(&pool->lock);
    }
}

static slice state_text(const struct worker *worker, unsigned stuck)
{
    enum gate gate = worker->slots ? slots_gate(worker->slots) : GATE_OPEN;
    if (worker->slots && slots_is_drained(worker->slots))
        return SLICE("draining");
    if (gate != GATE_OPEN)
        return gate == GATE_HELD ? SLICE("held") : SLICE("down");
    switch (worker->state) {
    case WORKER_UNRESOLVED:
        return SLICE("unresolved");
    case WORKER_DOWN:
        return SLICE("down");
    case WORKER_GONE:
        return SLICE("gone");
    case WORKER_STARTING:
        return SLICE("starting");
    case WORKER_LIVE:
    case WORKER_STATE_COUNT:
        break;
    }
    return stuck > 0 ? SLICE("quarantined") : SLICE("live");
}

/* Of what state_text() says, as far as it is known: what was before a restart is over. */
static mono_time since(const struct worker *worker)
{
    const struct slot_worker *slots = worker->slots;
    mono_time gate_since = slots ? slots_gate_since(slots) : (mono_time){0};
    if (slots && slots_is_drained(slots))
        return slots_drained_since(slots);
    bool is_closed = slots && slots_gate(slots) != GATE_OPEN;
    return is_closed || gate_since.ms > worker->state_since.ms ? gate_since : worker->state_since;
}

static struct worker_view view_of(const struct worker *worker)
{
    unsigned busy = 0, stuck = 0, used = worker->slots ? slots_used(worker->slots) : 0;
    for (unsigned i = 0; i < used; i++) {
        enum slot_state state = slot_view(worker->slots, i).state;
        busy += state != SLOT_FREE;
        stuck += state != SLOT_FREE && state != SLOT_BUSY;
    }
    return (struct worker_view){.name = worker->name,
                                .state = state_text(worker, stuck),
                                .build = worker->build ? worker->build->value : SLICE_NONE,
                                .busy = busy,
                                .slots = worker->pool->config->slots,
                                .since = since(worker)};
}

void origins_each_worker(const struct origins *origins,
                         void (*visit)(void *arg, const struct worker_view *worker), void *arg)
{
    for (size_t i = 0; i < origins->policy->origin_count; i++) {
        struct pool *pool = origins->pools[i];
        pthread_mutex_lock(&pool->lock);
        for (size_t j = 0; j < pool->worker_count; j++) {
            struct worker_view view = view_of(pool->workers[j]);
            if (pool->workers[j]->state != WORKER_GONE)
                visit(arg, &view);
        }
        pthread_mutex_unlock(&pool->lock);
    }
}

static bool drain_in(struct pool *pool, slice name, bool is_drained, mono_time now)
{
    bool is_found = false;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->worker_count && !is_found; i++) {
        struct worker *worker = pool->workers[i];
        if (!worker->slots || worker->state == WORKER_GONE || !slice_equal(worker->name, name))
            continue;
        if (slots_is_drained(worker->slots) != is_drained)
            log_info(is_drained ? "worker is drained" : "worker is no longer drained",
                     {"worker", worker->name});
        slots_drain(pool->slots_region, worker->slots, is_drained, now);
        is_found = true;
    }
    pthread_mutex_unlock(&pool->lock);
    if (is_found)
        pool_poll(pool, now);
    return is_found;
}

bool origins_drain_worker(struct origins *origins, slice name, bool is_drained)
{
    for (size_t i = 0; i < origins->policy->origin_count; i++)
        if (drain_in(origins->pools[i], name, is_drained, clock_now().mono))
            return true;
    return false;
}

bool origins_are_awaiting(const struct origins *origins)
{
    for (size_t i = 0; i < origins->policy->origin_count; i++)
        if (pool_is_awaiting(origins->pools[i]))
            return true;
    return false;
}

void origins_each_render(const struct origins *origins, render_visitor visit, void *arg)
{
    for (size_t i = 0; i < origins->policy->origin_count; i++)
        pool_each_render(origins->pools[i], visit, arg);
}

void origins_each_waiting(const struct origins *origins, const struct origin_config *origin,
                          waiting_visitor visit, void *arg)
{
    pool_each_waiting(origins->pools[origin->index], visit, arg);
}

slice call_failure_name(enum call_failure failure)
{
    static const slice NAMES[CALL_FAILURE_COUNT] = {
        [CALL_REFUSED] = {"refused", 7},
        [CALL_LACK] = {"lack", 4},
        [CALL_CONNECT_TIMEOUT] = {"connect_timeout", 15},
        [CALL_FIRST_BYTE_TIMEOUT] = {"first_byte_timeout", 18},
        [CALL_BETWEEN_BYTES_TIMEOUT] = {"between_bytes_timeout", 21},
        [CALL_CLOSED] = {"closed", 6},
        [CALL_TRUNCATED] = {"truncated", 9},
        [CALL_MALFORMED] = {"malformed", 9},
        [CALL_TLS] = {"tls", 3},
        [CALL_ALL_DOWN] = {"all_down", 8},
        [CALL_STUCK] = {"stuck", 5},
        [CALL_LIMIT] = {"limit", 5},
        [CALL_OVER_SHELL] = {"over_shell", 10},
        [CALL_OVER_SHED] = {"over_shed", 9},
        [CALL_DEADLY] = {"deadly", 6},
    };
    return failure < CALL_FAILURE_COUNT ? NAMES[failure] : SLICE("unknown");
}
