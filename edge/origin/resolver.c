/*
 * One thread for all names of the process. A look-up that hangs delays the others; the last
 * addresses stay in force meanwhile.
 *
 * Addresses are sorted: servers hand them out in turns, and of many only the first are used.
 */
#include "edge/origin/resolver.h"

#include "edge/origin/share.h"

#include "base/log.h"
#include "base/must.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ADDRESSES_MAX = 256, FIRST_WAIT_MS = 2000, LONGEST_SLEEP_MS = 1000 };

struct name {
    struct pool *pool;
    size_t config_index;
    char *host;
    mono_time looked_up;
    bool is_failing; /* said in the log */
};

struct resolver {
    struct name *names;
    size_t count;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_started, is_first_done, is_stopping;
};

struct addresses {
    struct sockaddr_storage at[ADDRESSES_MAX];
    socklen_t bytes[ADDRESSES_MAX];
    size_t count;
};

static void collect(const struct addrinfo *found, struct addresses *addresses)
{
    for (; found && addresses->count < ADDRESSES_MAX; found = found->ai_next) {
        if (found->ai_family != AF_INET && found->ai_family != AF_INET6)
            continue;
        memcpy(&addresses->at[addresses->count], found->ai_addr, found->ai_addrlen);
        addresses->bytes[addresses->count++] = found->ai_addrlen;
    }
}

static int compare_addresses(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct sockaddr_storage));
}

/* All of one family have the same length. */
static void sort(struct addresses *addresses)
{
    qsort(addresses->at, addresses->count, sizeof(addresses->at[0]), compare_addresses);
    for (size_t i = 0; i < addresses->count; i++)
        addresses->bytes[i] = addresses->at[i].ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                                    : sizeof(struct sockaddr_in6);
}

/* 0 or an error of getaddrinfo(). */
static int look_up(const char *host, uint16_t port, int flags, struct addresses *addresses)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int problem = getaddrinfo(host, service, &hints, &found);
    *addresses = (struct addresses){0};
    if (problem == 0) {
        collect(found, addresses);
        freeaddrinfo(found);
        sort(addresses);
    }
    return problem;
}

static const struct worker_config *config_of(const struct name *name)
{
    return &name->pool->config->workers[name->config_index];
}

static void apply(const struct name *name, const struct addresses *addresses)
{
    pool_set_addresses(name->pool, name->config_index, addresses->at, addresses->bytes,
                       addresses->count, clock_now().mono);
}

static void resolve(struct name *name)
{
    struct addresses addresses;
    int problem = look_up(name->host, config_of(name)->port, 0, &addresses);
    slice host = slice_of_string(name->host);
    if (problem != 0 && !name->is_failing)
        log_warn("name of a worker does not resolve", {"host", host},
                 {"why", slice_of_string(gai_strerror(problem))});
    if (problem == 0 && name->is_failing)
        log_info("name of a worker resolves again", {"host", host});
    name->is_failing = problem != 0;
    apply(name, &addresses);
}

static bool is_lookup_wanted(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool is_wanted = pool->wants_lookup;
    pthread_mutex_unlock(&pool->lock);
    return is_wanted;
}

static void clear_wishes(struct resolver *resolver)
{
    for (size_t i = 0; i < resolver->count; i++) {
        struct pool *pool = resolver->names[i].pool;
        pthread_mutex_lock(&pool->lock);
        pool->wants_lookup = false;
        pthread_mutex_unlock(&pool->lock);
    }
}

static bool is_due(const struct name *name, mono_time now)
{
    duration age = mono_since(now, name->looked_up);
    duration every = name->pool->config->dns;
    return age.ms >= (every.ms > 0 ? every.ms : INT64_MAX) ||
           (age.ms >= LONGEST_SLEEP_MS && is_lookup_wanted(name->pool));
}

static bool is_stopping(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    bool is_set = resolver->is_stopping;
    pthread_mutex_unlock(&resolver->lock);
    return is_set;
}

static void resolve_due(struct resolver *resolver, bool is_first)
{
    for (size_t i = 0; i < resolver->count && !is_stopping(resolver); i++) {
        struct name *name = &resolver->names[i];
        if (!is_first && !is_due(name, clock_now().mono))
            continue;
        resolve(name);
        name->looked_up = clock_now().mono;
    }
    clear_wishes(resolver);
}

static void wait_until(struct resolver *resolver, int64_t ms, const bool *is_done)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(ms / 1000);
    end.tv_nsec += (long)(ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    while (!*is_done &&
           pthread_cond_timedwait(&resolver->changed, &resolver->lock, &end) != ETIMEDOUT)
        ;
}

static void *run(void *arg)
{
    struct resolver *resolver = arg;
    resolve_due(resolver, true);
    pthread_mutex_lock(&resolver->lock);
    resolver->is_first_done = true;
    pthread_cond_broadcast(&resolver->changed);
    while (!resolver->is_stopping) {
        wait_until(resolver, LONGEST_SLEEP_MS, &resolver->is_stopping);
        pthread_mutex_unlock(&resolver->lock);
        resolve_due(resolver, false);
        pthread_mutex_lock(&resolver->lock);
    }
    pthread_mutex_unlock(&resolver->lock);
    return NULL;
}

/* --- life --- */

static void add_name(struct resolver *resolver, struct pool *pool, size_t config_index)
{
    const struct worker_config *config = &pool->config->workers[config_index];
    struct name name = {.pool = pool, .config_index = config_index};
    struct addresses addresses;
    if (config->unix_path.len > 0 || !share_has_entry(pool->config, config_index))
        return;
    name.host = strndup(config->host.ptr ? config->host.ptr : "", config->host.len);
    MUST(name.host != NULL);
    if (look_up(name.host, config->port, AI_NUMERICHOST, &addresses) == 0) {
        apply(&name, &addresses);
        free(name.host);
        return;
    }
    resolver->names = mem_grow(resolver->names, (resolver->count + 1) * sizeof(name));
    resolver->names[resolver->count++] = name;
}

static void init_locks(struct resolver *resolver)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    MUST(pthread_mutex_init(&resolver->lock, NULL) == 0);
    MUST(pthread_cond_init(&resolver->changed, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

struct resolver *resolver_new(struct pool **pools, size_t pool_count)
{
    struct resolver *resolver = mem_alloc(sizeof(*resolver));
    init_locks(resolver);
    for (size_t i = 0; i < pool_count; i++)
        for (size_t j = 0; j < pools[i]->config->worker_count; j++)
            add_name(resolver, pools[i], j);
    if (resolver->count == 0)
        return resolver;
    resolver->is_started = pthread_create(&resolver->thread, NULL, run, resolver) == 0;
    if (!resolver->is_started) {
        log_error("no thread for looking up names of workers");
        return resolver;
    }
    pthread_mutex_lock(&resolver->lock);
    wait_until(resolver, FIRST_WAIT_MS, &resolver->is_first_done);
    pthread_mutex_unlock(&resolver->lock);
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->is_stopping = true;
    pthread_cond_broadcast(&resolver->changed);
    pthread_mutex_unlock(&resolver->lock);
    if (resolver->is_started)
        pthread_join(resolver->thread, NULL);
    for (size_t i = 0; i < resolver->count; i++)
        free(resolver->names[i].host);
    free(resolver->names);
    pthread_mutex_destroy(&resolver->lock);
    pthread_cond_destroy(&resolver->changed);
    free(resolver);
}
