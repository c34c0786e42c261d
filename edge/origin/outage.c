/*
 * An origin without a single worker (renderers B7): from here on its visitors get what is stored,
 * the shell or 503, with nobody having said so; and back. Each change is one line of the log and
 * one count; one that comes and goes all the time is told once a second (semantics 7.6).
 */
#include "edge/origin/outage.h"

#include "edge/origin/origins.h"
#include "edge/origin/pool_parts.h"

#include "base/log.h"

static const duration SHOWN_FOR = {1000};

static bool is_any(const struct pool *pool, worker_test test)
{
    for (size_t i = 0; i < pool->worker_count; i++)
        if (test(pool->workers[i]))
            return true;
    return false;
}

bool outage_is_hopeless(const struct pool *pool)
{
    return !is_any(pool, worker_is_to_be_had);
}

static bool is_open(const struct worker *worker)
{
    return worker_is_open(worker);
}

static slice why(const struct pool *pool)
{
    bool is_any_named = false;
    for (size_t i = 0; i < pool->worker_count; i++) {
        enum worker_state state = pool->workers[i]->state;
        is_any_named |= state == WORKER_UNRESOLVED;
        if (state != WORKER_UNRESOLVED && state != WORKER_GONE)
            return SLICE("all its workers are down or drained");
    }
    return is_any_named ? SLICE("its workers have no address")
                        : SLICE("none of its workers belongs to the share of this edge");
}

static void tell(struct pool *pool, mono_time now)
{
    struct outage *outage = &pool->outage;
    slice origin = pool->config->name;
    if (outage->untold > 1)
        log_warn("origin is flapping", {"origin", origin}, {"changes", LOG_NUMBER(outage->untold)},
                 {"state", outage->is_down ? SLICE("down") : SLICE("up")});
    else if (outage->is_down)
        log_warn("origin is down: stored pages, the shell or 503 until a worker is back",
                 {"origin", origin}, {"why", why(pool)});
    else
        log_info("origin is up again: pages are rendered", {"origin", origin},
                 {"seconds_down", LOG_NUMBER(outage->lasted.ms / 1000)});
    outage->told = now;
    outage->untold = 0;
}

static bool is_shown_long_enough(const struct outage *outage, mono_time now)
{
    return outage->told.ms == 0 || mono_since(now, outage->told).ms >= SHOWN_FOR.ms;
}

void outage_look(struct pool *pool, mono_time now)
{
    struct outage *outage = &pool->outage;
    /* a process that starts is worth waiting for, but has yet to show that it comes */
    bool is_down = outage->is_down ? !is_any(pool, is_open) : outage_is_hopeless(pool);
    if (outage->is_muted || is_down == outage->is_down)
        return;
    outage->lasted = mono_since(now, outage->since);
    outage->is_down = is_down;
    outage->since = now;
    outage->untold++;
    if (outage->changed)
        outage->changed(outage->arg, pool->config, is_down, now);
    if (is_shown_long_enough(outage, now))
        tell(pool, now);
}

void outage_tell(struct pool *pool, mono_time now)
{
    outage_look(pool, now);
    if (pool->outage.untold > 0 && is_shown_long_enough(&pool->outage, now))
        tell(pool, now);
}

void origins_on_outage(struct origins *origins, outage_visitor changed, void *arg)
{
    for (size_t i = 0; i < origins->policy->origin_count; i++) {
        struct pool *pool = origins->pools[i];
        pthread_mutex_lock(&pool->lock);
        pool->outage.changed = changed;
        pool->outage.arg = arg;
        if (pool->outage.is_down) /* from the start: none of its names has an address here */
            changed(arg, pool->config, true, pool->outage.since);
        pthread_mutex_unlock(&pool->lock);
    }
}

void outage_mute(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->outage.is_muted = true;
    pthread_mutex_unlock(&pool->lock);
}
