/*
 * Renderers that varve runs itself, as the worker process sees them: it asks the master to restart
 * them, and shows their figures. Both through the memory beside their slots (renderer.h).
 */
#include "edge/origin/call.h"

static bool is_meant(const struct origin_config *origin, const struct origin_config *only)
{
    return origin->spawn.is_set && (!only || origin == only);
}

static void visit_pool(struct pool *pool,
                       void (*visit)(void *arg, slice worker, struct renderer *renderer), void *arg)
{
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->worker_count; i++)
        if (pool->workers[i]->slots && pool->workers[i]->state != WORKER_GONE)
            visit(arg, pool->workers[i]->name, slots_renderer(pool->workers[i]->slots));
    pthread_mutex_unlock(&pool->lock);
}

void origins_each_renderer(const struct origins *origins, const struct origin_config *only,
                           void (*visit)(void *arg, slice worker, struct renderer *renderer),
                           void *arg)
{
    for (size_t i = 0; i < origins->policy->origin_count; i++)
        if (is_meant(&origins->policy->origins[i], only))
            visit_pool(origins->pools[i], visit, arg);
}

/* --- tickets --- */

static void take_newest(void *arg, slice worker, struct renderer *renderer)
{
    uint64_t *newest = arg, asked = atomic_load(&renderer->restart_asked);
    (void)worker;
    *newest = asked > *newest ? asked : *newest;
}

static void raise_to(void *arg, slice worker, struct renderer *renderer)
{
    const uint64_t *ticket = arg;
    uint64_t asked = atomic_load(&renderer->restart_asked);
    (void)worker;
    while (asked < *ticket &&
           !atomic_compare_exchange_weak(&renderer->restart_asked, &asked, *ticket))
        continue;
}

/* One number for all: each renderer answers it when its own restart is over. */
uint64_t origins_ask_restart(const struct origins *origins, const struct origin_config *only)
{
    uint64_t ticket = 0;
    origins_each_renderer(origins, only, take_newest, &ticket);
    ticket++;
    origins_each_renderer(origins, only, raise_to, &ticket);
    return ticket;
}

struct count {
    uint64_t ticket;
    struct restart_result result;
};

static void count_answer(void *arg, slice worker, struct renderer *renderer)
{
    struct count *count = arg;
    bool is_done = atomic_load(&renderer->restart_done) >= count->ticket;
    int end = is_done ? atomic_load(&renderer->restart_end) : RESTART_CAME_BACK;
    bool has_failed = end != RESTART_CAME_BACK;
    if (end == RESTART_LOST && count->result.lost.len == 0)
        count->result.lost = worker;
    count->result.pending += !is_done;
    count->result.restarted += is_done && !has_failed;
    count->result.failed += has_failed;
}

struct restart_result origins_restart_result(const struct origins *origins,
                                             const struct origin_config *only, uint64_t ticket)
{
    struct count count = {.ticket = ticket};
    origins_each_renderer(origins, only, count_answer, &count);
    return count.result;
}
