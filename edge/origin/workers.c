/*
 * Which workers a pool has: one for each address of each configured name (semantics 9.6). Records
 * of addresses that went away are used again once nothing hangs on them, so that a name whose
 * addresses change all day does not fill the memory.
 */
#include "base/log.h"
#include "base/must.h"
#include "edge/origin/pool_parts.h"
#include "edge/origin/share.h"
#include "edge/origin/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

static struct worker *worker_new(struct pool *pool)
{
    struct worker *worker = mem_alloc(sizeof(*worker));
    worker->pool = pool;
    worker->index = (unsigned)pool->worker_count;
    worker->idle = mem_alloc(pool->loop_count * sizeof(struct list));
    worker->idle_count = mem_alloc(pool->loop_count * sizeof(unsigned));
    for (size_t i = 0; i < pool->loop_count; i++)
        list_init(&worker->idle[i]);
    pool->workers[pool->worker_count++] = worker;
    return worker;
}

static void worker_free(struct worker *worker)
{
    if (worker->slots)
        slots_detach(worker->pool->slots_region, worker->slots, worker->pool->pid);
    free(worker->notes);
    free(worker->idle);
    free(worker->idle_count);
    free(worker);
}

/* "renderer/0"; further addresses of the same name are "renderer/0.1" and so on. */
static void name_worker(struct worker *worker, size_t config_index)
{
    struct pool *pool = worker->pool;
    size_t others = 0;
    for (size_t i = 0; i < worker->index; i++)
        others += pool->workers[i]->config == worker->config;
    slice origin = pool->config->name;
    worker->name = others == 0 ? arena_printf(&pool->arena, "%" SLICE_FMT "/%zu", SLICE_ARG(origin),
                                              config_index)
                               : arena_printf(&pool->arena, "%" SLICE_FMT "/%zu.%zu",
                                              SLICE_ARG(origin), config_index, others);
}

/* What Host says where it is to name the origin itself. */
static slice own_host(struct arena *arena, const struct worker_config *config)
{
    bool is_v6 = slice_find(config->host, ':', 0) < config->host.len;
    if (config->unix_path.len > 0)
        return SLICE("localhost");
    slice host =
        is_v6 ? arena_printf(arena, "[%" SLICE_FMT "]", SLICE_ARG(config->host)) : config->host;
    if (config->port == (config->is_tls ? 443 : 80))
        return host;
    return arena_printf(arena, "%" SLICE_FMT ":%u", SLICE_ARG(host), config->port);
}

static void set_config(struct worker *worker, size_t config_index)
{
    struct pool *pool = worker->pool;
    struct ip_address ip;
    const struct worker_config *config = &pool->config->workers[config_index];
    if (worker->config == config)
        return;
    slice name = tls_name_of(pool->config, config);
    worker->config = config;
    worker->tls = pool->tls[config_index];
    worker->server_name =
        ip_parse(name, &ip) ? "" : arena_copy(&pool->arena, name).ptr; /* ends with NUL */
    worker->host_header = own_host(&pool->arena, config);
    name_worker(worker, config_index);
}

/* --- addresses come and go --- */

static bool has_address(const struct worker *worker, const struct sockaddr_storage *address,
                        socklen_t bytes)
{
    return worker->address_bytes == bytes && memcmp(&worker->address, address, bytes) == 0;
}

static struct worker *find_worker(struct pool *pool, const struct worker_config *config,
                                  const struct sockaddr_storage *address, socklen_t bytes)
{
    for (size_t i = 0; i < pool->worker_count; i++)
        if (pool->workers[i]->config == config && has_address(pool->workers[i], address, bytes))
            return pool->workers[i];
    return NULL;
}

/* A record for a new address of this name: the one that waits for an address, else one whose
 * address is gone, else a new one. */
static struct worker *vacant_worker(struct pool *pool, const struct worker_config *config)
{
    struct worker *vacant = NULL;
    for (size_t i = 0; i < pool->worker_count; i++) {
        struct worker *worker = pool->workers[i];
        if (worker->state == WORKER_UNRESOLVED && worker->config == config)
            return worker;
        if (worker->state == WORKER_GONE && worker->config == config && !vacant &&
            atomic_load(&worker->users) == 0)
            vacant = worker;
    }
    if (vacant || pool->worker_count == POOL_WORKERS_MAX)
        return vacant;
    return worker_new(pool);
}

static void add_address(struct pool *pool, size_t config_index,
                        const struct sockaddr_storage *address, socklen_t bytes, mono_time now)
{
    char key[SLOT_KEY_BYTES];
    struct worker *worker = vacant_worker(pool, &pool->config->workers[config_index]);
    if (worker)
        set_config(worker, config_index);
    struct slot_worker *slots =
        worker ? slots_attach(pool->slots_region, slot_key(address, key), pool->pid) : NULL;
    if (!slots) {
        log_error("too many workers: address not used", {"origin", pool->config->name});
        return; /* the record stays without an address, for the next look-up */
    }
    if (worker->slots)
        slots_detach(pool->slots_region, worker->slots, pool->pid);
    worker->slots = slots;
    memcpy(&worker->address, address, bytes);
    worker->address_bytes = bytes;
    worker->state = WORKER_LIVE;
    worker->state_since = now;
    worker->is_unfit = false;
    worker->probes_alike = 0;
    worker_plan_probe(worker, now);
    worker_forget_build(worker, now);
    if (slots_is_drained(slots))
        log_warn("worker is drained", {"worker", worker->name});
}

static void come_back(struct worker *worker, mono_time now)
{
    worker->state = WORKER_LIVE;
    worker_forget_build(worker, now);
}

/* Of one name, this edge's. */
struct addresses {
    struct sockaddr_storage at[POOL_ADDRESSES_MAX];
    socklen_t bytes[POOL_ADDRESSES_MAX];
    size_t count;
};

static bool is_listed(const struct worker *worker, const struct addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++)
        if (has_address(worker, &addresses->at[i], addresses->bytes[i]))
            return true;
    return false;
}

/* A name whose addresses are all another edge's leaves no record that waits for one. */
static void drop_unlisted(struct pool *pool, const struct worker_config *config,
                          const struct addresses *own, mono_time now)
{
    for (size_t i = 0; i < pool->worker_count; i++) {
        struct worker *worker = pool->workers[i];
        bool is_waiting = worker->state == WORKER_UNRESOLVED && own->count == 0;
        bool is_left =
            worker->address_bytes > 0 && worker->state != WORKER_GONE && !is_listed(worker, own);
        if (worker->config == config && (is_waiting || is_left)) {
            worker->state = WORKER_GONE;
            worker->state_since = now;
        }
    }
}

static void add_listed(struct pool *pool, size_t config_index, const struct addresses *own,
                       mono_time now)
{
    const struct worker_config *config = &pool->config->workers[config_index];
    for (size_t i = 0; i < own->count; i++) {
        struct worker *known = find_worker(pool, config, &own->at[i], own->bytes[i]);
        if (!known)
            add_address(pool, config_index, &own->at[i], own->bytes[i], now);
        else if (known->state == WORKER_GONE)
            come_back(known, now);
    }
}

void pool_set_addresses(struct pool *pool, size_t config_index, const struct sockaddr_storage *at,
                        const socklen_t *bytes, size_t count, mono_time now)
{
    struct addresses own = {.count = 0};
    if (count == 0)
        return;
    for (size_t i = 0; i < count && own.count < POOL_ADDRESSES_MAX; i++) {
        if (!share_has_address(pool->config, &at[i]))
            continue;
        own.at[own.count] = at[i];
        own.bytes[own.count++] = bytes[i];
    }
    pthread_mutex_lock(&pool->lock);
    drop_unlisted(pool, &pool->config->workers[config_index], &own, now);
    add_listed(pool, config_index, &own, now);
    pthread_mutex_unlock(&pool->lock);
    pool_poll(pool, now);
}

/* --- the pool's life --- */

static bool set_unix_address(struct pool *pool, size_t config_index)
{
    slice path = pool->config->workers[config_index].unix_path;
    struct sockaddr_storage address = {0};
    struct sockaddr_un *local = (struct sockaddr_un *)&address;
    if (path.len >= sizeof(local->sun_path))
        return false;
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, path.ptr, path.len);
    socklen_t bytes = sizeof(*local);
    pool_set_addresses(pool, config_index, &address, &bytes, 1, clock_now().mono);
    return true;
}

static bool add_configured(struct pool *pool, size_t config_index, char *error, size_t error_bytes)
{
    const struct worker_config *config = &pool->config->workers[config_index];
    if (config->is_tls) {
        pool->tls[config_index] = tls_client_new(pool->config, config, error, error_bytes);
        if (!pool->tls[config_index])
            return false;
    }
    if (!share_has_entry(pool->config, config_index))
        return true; /* another edge's */
    struct worker *worker = worker_new(pool);
    set_config(worker, config_index);
    if (config->unix_path.len == 0 || set_unix_address(pool, config_index))
        return true;
    snprintf(error, error_bytes, "worker %" SLICE_FMT ": path of the socket is too long",
             SLICE_ARG(config->url));
    return false;
}

static struct pool *pool_make(const struct origin_config *config, void *slots_region,
                              size_t loop_count)
{
    struct pool *pool = mem_alloc(sizeof(*pool));
    pool->config = config;
    pool->slots_region = slots_region;
    pool->pid = (int)getpid();
    pool->loop_count = loop_count;
    pool->tls = mem_alloc(config->worker_count * sizeof(SSL_CTX *));
    pool->builds = mem_alloc(POOL_BUILDS_MAX * sizeof(struct build));
    arena_init(&pool->arena);
    MUST(pthread_mutex_init(&pool->lock, NULL) == 0);
    fair_init(&pool->fair);
    pool->counts = (struct origin_counts){&pool->own_counts[0], &pool->own_counts[1]};
    queue_init(&pool->slot_queue);
    queue_init(&pool->connection_queue);
    return pool;
}

struct pool *pool_new(const struct origin_config *config, void *slots_region, size_t loop_count,
                      char *error, size_t error_bytes)
{
    if (config->worker_count > POOL_WORKERS_MAX) {
        snprintf(error, error_bytes, "origin %" SLICE_FMT ": more than %d workers",
                 SLICE_ARG(config->name), POOL_WORKERS_MAX);
        return NULL;
    }
    struct pool *pool = pool_make(config, slots_region, loop_count);
    for (size_t i = 0; i < config->worker_count; i++) {
        if (!add_configured(pool, i, error, error_bytes)) {
            pool_free(pool);
            return NULL;
        }
    }
    return pool;
}

void pool_free(struct pool *pool)
{
    for (size_t i = 0; i < pool->worker_count; i++)
        worker_free(pool->workers[i]);
    for (size_t i = 0; i < pool->config->worker_count; i++)
        SSL_CTX_free(pool->tls[i]);
    pthread_mutex_destroy(&pool->lock);
    arena_fini(&pool->arena);
    fair_fini(&pool->fair);
    free(pool->tls);
    free(pool->builds);
    free(pool);
}
