/*
 * Choosing a worker. Who gets a permit is decided here and nowhere else, under one lock, at three
 * moments: somebody asks, something became free, something changed. What became free goes straight
 * to the first who waits, so nobody who came later can snatch it (first in, first out over all
 * loops).
 */
#include "edge/origin/pool_parts.h"

/* --- who may be asked --- */

static bool is_tried(const struct waiter *waiter, const struct worker *worker)
{
    return waiter->tried[worker->index / 64] >> worker->index % 64 & 1;
}

static bool may_try(const struct worker *worker, mono_time now)
{
    return worker->state == WORKER_DOWN && !worker->is_unfit && !worker_is_cold(worker) &&
           !worker->trying && worker->retry_at.ms <= now.ms;
}

/* All were down, and this one was the first to answer: one render at a time (semantics 7.6). */
static bool is_slow_start_taken(const struct waiter *waiter, const struct worker *worker)
{
    return waiter->wants_slot && worker->state == WORKER_STARTING && worker->trying;
}

/* Its first request is the warm-up (`warmup`); what is no render need not wait for that. */
static bool is_too_cold(const struct waiter *waiter, const struct worker *worker)
{
    bool is_render = waiter->wants_slot || worker->pool->config->slots == 0;
    return is_render && worker_is_cold(worker);
}

/* One that varve itself runs, and that drains or starts, is worth waiting for. */
static bool is_coming(const struct worker *worker)
{
    return worker->state == WORKER_DOWN && slots_entry(worker->slots) == GATE_HELD;
}

static bool is_candidate(const struct waiter *waiter, const struct worker *worker, mono_time now)
{
    enum gate gate = worker->slots ? slots_entry(worker->slots) : GATE_OPEN;
    return (worker_is_up(worker) || may_try(worker, now) || is_coming(worker)) &&
           gate != GATE_CLOSED && !is_tried(waiter, worker);
}

static bool has_candidate(const struct pool *pool, const struct waiter *waiter, mono_time now)
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

static struct balance_worker look_at(const struct waiter *waiter, const struct worker *worker,
                                     mono_time now)
{
    struct balance_worker seen = {.is_try = may_try(worker, now)};
    if (!is_candidate(waiter, worker, now) || slots_entry(worker->slots) != GATE_OPEN ||
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

static struct worker *choose(struct pool *pool, const struct waiter *waiter, mono_time now)
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

/* Two addresses of one machine share their slots: they count once. */
static bool is_counted(const struct pool *pool, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (pool->workers[i]->slots && pool->workers[i]->slots == pool->workers[index]->slots &&
            pool->workers[i]->state != WORKER_GONE)
            return true;
    return false;
}

static bool is_live(const struct worker *worker)
{
    return worker_is_up(worker) && slots_entry(worker->slots) != GATE_CLOSED;
}

/* Those that are worth waiting for. */
static unsigned live_slots(const struct pool *pool)
{
    unsigned count = 0;
    for (size_t i = 0; i < pool->worker_count; i++)
        if ((is_live(pool->workers[i]) || is_coming(pool->workers[i])) && !is_counted(pool, i))
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
        if (is_live(worker) && !is_counted(pool, i) &&
            slot_peek(worker->slots, pool->config->slots, &since, &busy))
            count += pool->config->slots - busy;
    }
    return count;
}

static bool is_reserved(const struct pool *pool, const struct waiter *waiter)
{
    unsigned reserved = pool->reserved[waiter->rank];
    return waiter->wants_slot && reserved > 0 &&
           queue_is_reserved(reserved, free_slots(pool), live_slots(pool));
}

/* In the slot table too, where the master sees whether anything is under way. */
void worker_count_connection(struct worker *worker, int step)
{
    worker->connections += (unsigned)step;
    slots_count_connection(worker->slots, worker->pool->pid, step);
}

static bool grant(struct pool *pool, struct waiter *waiter, mono_time now)
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
    atomic_fetch_add(&worker->users, 1);
    return true;
}

/* --- the queue --- */

static struct queue *queue_of(struct pool *pool, const struct waiter *waiter)
{
    return waiter->wants_slot ? &pool->slot_queue : &pool->connection_queue;
}

static void leave_queue(struct pool *pool, struct waiter *waiter, enum waiter_state state)
{
    queue_remove(queue_of(pool, waiter), &waiter->entry);
    waiter->state = state;
}

static bool is_anything_free(const struct pool *pool, bool wants_slot, mono_time now)
{
    const struct waiter anybody = {.wants_slot = wants_slot};
    bool is_candidate_known = false;
    for (size_t i = 0; i < pool->worker_count; i++) {
        const struct worker *worker = pool->workers[i];
        is_candidate_known |= is_candidate(&anybody, worker, now);
        if (look_at(&anybody, worker, now).is_free)
            return true;
    }
    return !is_candidate_known; /* all are down: everybody must hear it */
}

/* `asking` looks for itself; the others are told by their message. */
static void serve_queue(struct pool *pool, bool wants_slot, const struct waiter *asking,
                        mono_time now)
{
    struct queue *queue = wants_slot ? &pool->slot_queue : &pool->connection_queue;
    struct queue_entry *entry = queue_next(queue, NULL);
    while (entry && is_anything_free(pool, wants_slot, now)) {
        struct waiter *waiter = container_of(entry, struct waiter, entry);
        bool is_granted = grant(pool, waiter, now);
        if (!is_granted && has_candidate(pool, waiter, now)) {
            /* it may have tried what is free, or must leave it to better ones: another takes it */
            entry = queue_next(queue, entry);
            continue;
        }
        leave_queue(pool, waiter, is_granted ? WAITER_GRANTED : WAITER_ALL_DOWN);
        if (is_granted)
            queue_served(queue);
        if (waiter != asking)
            loop_post(waiter->loop, waiter->message);
        entry = queue_next(queue, NULL);
    }
}

void pool_serve(struct pool *pool, mono_time now)
{
    if (pool->is_closing)
        return;
    workers_settle(pool, now);
    serve_queue(pool, true, NULL, now);
    serve_queue(pool, false, NULL, now);
}

static unsigned all_waiting(const struct pool *pool)
{
    return pool->slot_queue.waiting + pool->slot_queue.background + pool->connection_queue.waiting +
           pool->connection_queue.background;
}

/* May this one, which is in the queue already, stay there (semantics 7.3)? */
static enum queue_verdict admit(const struct pool *pool, const struct waiter *waiter)
{
    const struct origin_config *config = pool->config;
    if (!waiter->wants_slot || waiter->rank == QUEUE_BACKGROUND)
        return QUEUE_WAIT; /* bounded otherwise: by `connections`, by revalidate_max */
    const struct queue_limits limits = {config->shell_at, config->shed_at,
                                        config->queue_is_per_slot};
    const struct queue_load load = {.waiting = pool->slot_queue.waiting - 1,
                                    .live_slots = live_slots(pool),
                                    .render = pool->render,
                                    .first_byte = config->first_byte};
    return queue_admit(&limits, &load, waiter->has_shell);
}

static enum pool_answer refuse(struct pool *pool, struct waiter *waiter, enum pool_answer answer)
{
    leave_queue(pool, waiter, WAITER_IDLE);
    return answer;
}

static enum pool_answer ask(struct pool *pool, struct waiter *waiter, bool at_front, mono_time now)
{
    workers_settle(pool, now);
    if (!has_candidate(pool, waiter, now))
        return POOL_ALL_DOWN;
    queue_add(queue_of(pool, waiter), &waiter->entry, waiter->rank, at_front);
    waiter->since = now;
    waiter->state = WAITER_QUEUED;
    if (!pool->is_closing)
        serve_queue(pool, waiter->wants_slot, waiter, now); /* those who came earlier first */
    if (waiter->state != WAITER_QUEUED)
        return waiter->state == WAITER_GRANTED ? POOL_GRANTED : POOL_ALL_DOWN;
    if (all_waiting(pool) > POOL_QUEUE_MAX)
        return refuse(pool, waiter, POOL_FULL);
    enum queue_verdict verdict = at_front ? QUEUE_WAIT : admit(pool, waiter);
    if (verdict == QUEUE_WAIT)
        return POOL_QUEUED;
    return refuse(pool, waiter, verdict == QUEUE_SHELL ? POOL_OVER_SHELL : POOL_OVER_SHED);
}

void pool_move(struct pool *pool, struct waiter *waiter, unsigned rank, mono_time now)
{
    pthread_mutex_lock(&pool->lock);
    waiter->rank = rank;
    if (waiter->state == WAITER_QUEUED) {
        queue_move(queue_of(pool, waiter), &waiter->entry, rank);
        pool_serve(pool, now);
    }
    pthread_mutex_unlock(&pool->lock);
}

enum pool_answer pool_ask(struct pool *pool, struct waiter *waiter, bool at_front, mono_time now)
{
    pthread_mutex_lock(&pool->lock);
    enum pool_answer answer = ask(pool, waiter, at_front, now);
    pthread_mutex_unlock(&pool->lock);
    return answer;
}

bool pool_leave(struct pool *pool, struct waiter *waiter)
{
    pthread_mutex_lock(&pool->lock);
    bool was_queued = waiter->state == WAITER_QUEUED;
    if (was_queued)
        leave_queue(pool, waiter, WAITER_IDLE);
    pthread_mutex_unlock(&pool->lock);
    return was_queued;
}

void pool_poll(struct pool *pool, mono_time now)
{
    pthread_mutex_lock(&pool->lock);
    pool_serve(pool, now);
    pthread_mutex_unlock(&pool->lock);
}

void pool_close(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->is_closing = true;
    pthread_mutex_unlock(&pool->lock);
}

/* --- giving back --- */

static void release(struct permit *permit, mono_time now)
{
    struct worker *worker = permit->worker;
    struct pool *pool = worker->pool;
    if (permit->kind == PERMIT_SLOT) {
        duration render = mono_since(now, slot_view(worker->slots, permit->slot).since);
        if (!permit->is_inquiry)
            pool->render = queue_average(pool->render, render);
        slot_release(pool->slots_region, worker->slots, permit->slot, pool->pid, now);
    } else if (permit->kind == PERMIT_CONNECTION) {
        worker_count_connection(worker, -1);
    } else if (permit->kind == PERMIT_DETACHED) {
        worker->detached--;
    }
    if (permit->try && permit->try == worker->trying)
        worker->trying = 0;
}

void pool_return(struct permit *permit, mono_time now)
{
    if (permit->kind == PERMIT_NONE)
        return;
    struct worker *worker = permit->worker;
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    release(permit, now);
    atomic_fetch_sub(&worker->users, 1);
    *permit = (struct permit){0};
    pool_serve(pool, now);
    pthread_mutex_unlock(&pool->lock);
}

bool pool_detach(struct permit *permit, mono_time now)
{
    struct worker *worker = permit->worker;
    if (permit->kind != PERMIT_SLOT)
        return true; /* a connection is what it holds */
    pthread_mutex_lock(&worker->pool->lock);
    bool has_room = worker->detached < POOL_DETACHED_MAX;
    if (has_room) {
        release(permit, now);
        worker->detached++;
        permit->kind = PERMIT_DETACHED;
        permit->try = 0;
        pool_serve(worker->pool, now);
    }
    pthread_mutex_unlock(&worker->pool->lock);
    return has_room;
}

void pool_mark_stuck(const struct permit *permit)
{
    if (permit->kind == PERMIT_SLOT)
        slot_mark(permit->worker->slots, permit->slot, permit->worker->pool->pid, SLOT_STUCK);
}

void pool_mark_dead(const struct permit *permit)
{
    if (permit->kind == PERMIT_SLOT)
        slot_mark(permit->worker->slots, permit->slot, permit->worker->pool->pid, SLOT_OWNER_DEAD);
}

/* --- slots whose owner died (semantics 7.2) --- */

static mono_time dead_before(const struct pool *pool, mono_time now)
{
    return (mono_time){saturating_sub(now.ms, pool->config->slot_max.ms)};
}

bool pool_take_probe(struct pool *pool, struct permit *permit, mono_time now)
{
    bool is_taken = false;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->worker_count && !is_taken; i++) {
        struct worker *worker = pool->workers[i];
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

bool pool_may_retry(struct pool *pool, mono_time now)
{
    pthread_mutex_lock(&pool->lock);
    bool may_retry = retry_budget_take(&pool->budget, now);
    pthread_mutex_unlock(&pool->lock);
    return may_retry;
}

/* --- figures --- */

static void count_slots(const struct worker *worker, struct origin_state *state)
{
    unsigned used = worker->slots ? slots_used(worker->slots) : 0;
    for (unsigned i = 0; i < used; i++) {
        enum slot_state slot = slot_view(worker->slots, i).state;
        state->busy_slots += slot != SLOT_FREE;
        state->quarantined += slot != SLOT_FREE && slot != SLOT_BUSY;
    }
}

struct origin_state pool_state(struct pool *pool)
{
    struct origin_state state = {0};
    pthread_mutex_lock(&pool->lock);
    state.waiting = all_waiting(pool);
    for (size_t i = 0; i < pool->worker_count; i++) {
        const struct worker *worker = pool->workers[i];
        if (worker->state == WORKER_GONE)
            continue;
        state.workers++;
        state.live_workers += is_live(worker);
        if (is_counted(pool, i))
            continue;
        state.slots += pool->config->slots;
        bool is_open = is_live(worker) && slots_entry(worker->slots) == GATE_OPEN;
        state.live_slots += is_open ? pool->config->slots : 0;
        count_slots(worker, &state);
    }
    pthread_mutex_unlock(&pool->lock);
    return state;
}
