/*
 * Slots whose owner died (semantics 7.2): quarantined until slot_max, then until the worker has
 * answered one request, which is the probe.
 */
#include "edge/origin/pool_parts.h"

static mono_time dead_before(const struct pool *pool, mono_time now)
{
    return (mono_time){saturating_sub(now.ms, pool->config->slot_max.ms)};
}

bool pool_take_probe(struct pool *pool, size_t *next, struct permit *permit, mono_time now)
{
    bool is_taken = false;
    pthread_mutex_lock(&pool->lock);
    while (*next < pool->worker_count && !is_taken) {
        struct worker *worker = pool->workers[(*next)++];
        if (!worker_is_up(worker) && worker->state != WORKER_DOWN)
            continue;
        int slot = slot_take_dead(worker->slots, pool->pid, dead_before(pool, now));
        if (slot < 0)
            continue;
        *permit = (struct permit){.kind = PERMIT_PROBE, .worker = worker, .slot = (unsigned)slot};
        atomic_fetch_add(&worker->users, 1);
        is_taken = true;
    }
    pthread_mutex_unlock(&pool->lock);
    return is_taken;
}

void pool_end_probe(struct permit *permit, bool is_answered, mono_time now)
{
    struct worker *worker = permit->worker;
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    if (is_answered) {
        slot_release(pool->slots_region, worker->slots, permit->slot, pool->pid, now);
        slots_revive(pool->slots_region, worker->slots, dead_before(pool, now), now);
    } else {
        slot_mark(worker->slots, permit->slot, pool->pid, SLOT_OWNER_DEAD);
    }
    atomic_fetch_sub(&worker->users, 1);
    *permit = (struct permit){0};
    pool_serve(pool, now);
    pthread_mutex_unlock(&pool->lock);
}
