/*
 * Who may be sent to which worker now, and taking what it needs there. What the queue is served
 * with (pool.c): nothing here knows who is next.
 */
#include "edge/origin/pool_parts.h"

/* --- who may be asked --- */

static bool is_tried(const struct slot_waiter *waiter, const struct worker *worker)
{
    bool was_tried = waiter->tried[worker->index / 64] >> worker->index % 64 & 1;
    return was_tried && worker->birth <= waiter->tried_births;
}

void pool_note_tried(struct slot_waiter *waiter, const struct worker *worker)
{
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->worker_count; i++)
        if (pool->workers[i]->birth > waiter->tried_births)
            waiter->tried[i / 64] &= ~(UINT64_C(1) << i % 64);
    waiter->tried[worker->index / 64] |= UINT64_C(1) << worker->index % 64;
    waiter->tried_births = pool->births;
    pthread_mutex_unlock(&pool->lock);
}

static bool may_try(const struct worker *worker, mono_time now)
{
    return worker->state == WORKER_DOWN && !worker->is_unfit && !worker_is_cold(worker) &&
           !worker->trying && worker->retry_at.ms <= now.ms;
}

/* All were down, and this one was the first to answer: one render at a time (semantics 7.6). */
static bool is_slow_start_taken(const struct slot_waiter *waiter, const struct worker *worker)
{
    return waiter->wants_slot && worker->state == WORKER_STARTING && worker->trying;
}

/* Its first request is the warm-up (`warmup`); what is no render need not wait for that. */
static bool is_too_cold(const struct slot_waiter *waiter, const struct worker *worker)
{
    bool is_render = waiter->wants_slot || worker->pool->config->slots == 0;
    return is_render && worker_is_cold(worker);
}

/* Who may not go to this process is worth keeping for the next one: varve itself runs it, and it
 * drains, starts, or may have died just now. */
static bool is_coming(const struct worker *worker)
{
    if (!worker_is_up(worker) && worker->state != WORKER_DOWN)
        return false;
    enum gate gate = slots_entry(worker->slots);
    return gate == GATE_HELD || (gate == GATE_OPEN && worker->is_doubtful);
}

static bool may_be_asked(const struct slot_waiter *waiter, const struct worker *worker,
                         mono_time now)
{
    return (worker_is_up(worker) || may_try(worker, now)) && !is_tried(waiter, worker);
}

static bool is_candidate(const struct slot_waiter *waiter, const struct worker *worker,
                         mono_time now)
{
    enum gate gate = worker->slots ? slots_entry(worker->slots) : GATE_OPEN;
    return gate != GATE_CLOSED && (may_be_asked(waiter, worker, now) || is_coming(worker));
}

bool pool_has_candidate(const struct pool *pool, const struct slot_waiter *waiter, mono_time now)
{
    for (size_t i = 0; i < pool->worker_count; i++)
        if (is_candidate(waiter, pool->workers[i], now))
            return true;
    return false;
}

static bool has_room(const struct worker *worker)
{
    unsigned most = worker->pool->config->connections;
    return most == 0 || worker->connections < most;
}

static struct balance_worker look_at(const struct slot_waiter *waiter, const struct worker *worker,
                                     mono_time now)
{
    struct balance_worker seen = {.is_try = may_try(worker, now)};
    if (!may_be_asked(waiter, worker, now) || slots_entry(worker->slots) != GATE_OPEN ||
        is_slow_start_taken(waiter, worker) || is_too_cold(waiter, worker))
        return seen;
    if (waiter->wants_slot) {
        seen.is_free =
            slot_peek(worker->slots, worker->pool->config->slots, &seen.idle_since, &seen.busy);
    } else {
        seen.is_free = has_room(worker);
        seen.busy = worker->connections;
    }
    return seen;
}

static struct worker *choose(struct pool *pool, const struct slot_waiter *waiter, mono_time now)
{
    struct balance_worker seen[POOL_WORKERS_MAX];
    enum balance balance = pool->config->balance;
    for (size_t i = 0; i < pool->worker_count; i++)
        seen[i] = look_at(waiter, pool->workers[i], now);
    if (!waiter->wants_slot && balance == BALANCE_IDLE)
        balance = BALANCE_LEAST; /* nothing tells since when a connection is idle */
    int best = balance_choose(balance, seen, pool->worker_count, &pool->balance);
    return best >= 0 ? pool->workers[best] : NULL;
}

/* --- slots of all workers --- */

bool worker_counts(const struct pool *pool, size_t index, worker_test counts)
{
    const struct slot_worker *slots = pool->workers[index]->slots;
    for (size_t i = 0; i < index && slots; i++)
        if (pool->workers[i]->slots == slots && counts(pool->workers[i]))
            return false;
    return counts(pool->workers[index]);
}

bool worker_is_live(const struct worker *worker)
{
    return worker_is_up(worker) && slots_entry(worker->slots) != GATE_CLOSED;
}

bool worker_is_to_be_had(const struct worker *worker)
{
    return worker_is_live(worker) || is_coming(worker);
}

unsigned pool_live_slots(const struct pool *pool)
{
    unsigned count = 0;
    for (size_t i = 0; i < pool->worker_count; i++)
        if (worker_counts(pool, i, worker_is_to_be_had))
            count += pool->config->slots;
    return count;
}

static unsigned free_slots(const struct pool *pool)
{
    unsigned count = 0;
    for (size_t i = 0; i < pool->worker_count; i++) {
        const struct worker *worker = pool->workers[i];
        mono_time since;
        unsigned busy;
        if (worker_counts(pool, i, worker_is_live) &&
            slot_peek(worker->slots, pool->config->slots, &since, &busy))
            count += pool->config->slots - busy;
    }
    return count;
}

bool pool_has_free(const struct pool *pool, bool wants_slot, mono_time now)
{
    const struct slot_waiter anybody = {.wants_slot = wants_slot};
    bool is_candidate_known = false;
    for (size_t i = 0; i < pool->worker_count; i++) {
        const struct worker *worker = pool->workers[i];
        is_candidate_known |= is_candidate(&anybody, worker, now);
        if (look_at(&anybody, worker, now).is_free)
            return true;
    }
    return !is_candidate_known; /* all are down: everybody must hear it */
}

/* --- taking --- */

static bool is_reserved(const struct pool *pool, const struct slot_waiter *waiter)
{
    unsigned reserved = pool->reserved[waiter->rank];
    return waiter->wants_slot && reserved > 0 &&
           queue_is_reserved(reserved, free_slots(pool), pool_live_slots(pool));
}

/* In the slot table too, where the master sees whether anything is under way. */
void worker_count_connection(struct worker *worker, int step)
{
    worker->connections += (unsigned)step;
    slots_count_connection(worker->slots, worker->pool->pid, step);
}

bool pool_grant(struct pool *pool, struct slot_waiter *waiter, mono_time now)
{
    struct worker *worker;
    int slot = -1;
    if (is_reserved(pool, waiter))
        return false;
    for (;;) {
        worker = choose(pool, waiter, now);
        if (!worker)
            return false;
        if (!waiter->wants_slot)
            break;
        slot = slot_take(worker->slots, pool->config->slots, pool->pid, now);
        if (slot >= 0)
            break; /* else another process was faster */
    }
    worker_note_render(worker, slot, waiter->path);
    waiter->permit = (struct permit){.kind = slot >= 0 ? PERMIT_SLOT : PERMIT_CONNECTION,
                                     .worker = worker,
                                     .slot = slot >= 0 ? (unsigned)slot : 0};
    if (slot < 0)
        worker_count_connection(worker, 1);
    if (may_try(worker, now) || (slot >= 0 && worker->state == WORKER_STARTING))
        waiter->permit.try = worker->trying = ++worker->tries;
    if (slot >= 0)
        shares_take_slot(waiter);
    atomic_fetch_add(&worker->users, 1);
    return true;
}
