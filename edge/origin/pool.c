/*
 * The queue of an origin. Who gets a permit is decided here and nowhere else, under one lock, at
 * three moments: somebody asks, something became free, something changed. What became free goes
 * straight to the first who waits, so nobody who came later can snatch it (first in, first out over
 * all loops).
 */
#include "edge/origin/pool_parts.h"

/* --- serving --- */

static struct queue *queue_of(struct pool *pool, const struct slot_waiter *waiter)
{
    return waiter->wants_slot ? &pool->slot_queue : &pool->connection_queue;
}

static void leave_queue(struct pool *pool, struct slot_waiter *waiter, enum waiter_state state)
{
    shares_leave_queue(pool, waiter);
    waiter->state = state;
}

/* `asking` looks for itself; the others are told by their message. */
static void tell(struct pool *pool, struct slot_waiter *waiter, enum waiter_state state,
                 const struct slot_waiter *asking)
{
    leave_queue(pool, waiter, state);
    if (waiter != asking)
        loop_post(waiter->loop, waiter->message);
}

/* False: it waits on. It may have tried what is free, or must leave it to better ones. */
static bool serve_one(struct pool *pool, struct slot_waiter *waiter,
                      const struct slot_waiter *asking, mono_time now)
{
    bool is_granted = pool_grant(pool, waiter, now);
    if (!is_granted && pool_has_candidate(pool, waiter, now))
        return false;
    if (is_granted)
        queue_served(queue_of(pool, waiter));
    tell(pool, waiter, is_granted ? WAITER_GRANTED : WAITER_ALL_DOWN, asking);
    return true;
}

/*
 * Serves the first who can be. Whose address has its `share` of slots is passed over, but only for
 * people: what none of these can use it gets (semantics 7.3).
 */
static bool serve_first(struct pool *pool, const struct queue *queue,
                        const struct slot_waiter *asking, uint64_t share, mono_time now)
{
    bool is_any_passed = false;
    struct queue_entry *entry = NULL;
    while ((entry = queue_next(queue, entry))) {
        struct slot_waiter *waiter = container_of(entry, struct slot_waiter, entry);
        bool has_its_share = waiter->holder && waiter->holder->slots >= share;
        if (has_its_share || (is_any_passed && entry->rank == QUEUE_BACKGROUND))
            is_any_passed = true;
        else if (serve_one(pool, waiter, asking, now))
            return true;
    }
    return is_any_passed && serve_first(pool, queue, asking, UINT64_MAX, now);
}

static void serve_queue(struct pool *pool, bool wants_slot, const struct slot_waiter *asking,
                        mono_time now)
{
    const struct queue *queue = wants_slot ? &pool->slot_queue : &pool->connection_queue;
    while (queue->waiting + queue->background > 0 && pool_has_free(pool, wants_slot, now) &&
           serve_first(pool, queue, asking, shares_of_slots(pool), now))
        ;
}

void pool_serve(struct pool *pool, mono_time now)
{
    if (pool->is_closing)
        return;
    workers_settle(pool, now);
    serve_queue(pool, true, NULL, now);
    serve_queue(pool, false, NULL, now);
}

/* --- asking and leaving --- */

static enum pool_answer no_place(const struct slot_waiter *waiter)
{
    return waiter->has_shell ? POOL_OVER_SHELL : POOL_OVER_SHED;
}

/* May this one, which is in the queue already, stay there (semantics 7.3)? */
static enum pool_answer admit(struct pool *pool, const struct slot_waiter *waiter)
{
    const struct queue *queue = &pool->slot_queue;
    if (!waiter->wants_slot || waiter->rank == QUEUE_BACKGROUND)
        return POOL_QUEUED; /* bounded otherwise: by `connections`, by revalidate_max */
    if (shares_is_over(pool, waiter)) {
        counter_add(pool->counts.over_share, 1);
        return no_place(waiter);
    }
    const struct queue_limits limits = pool_limits(pool);
    unsigned behind = waiter->entry.is_lent ? 0 : queue->lent;
    const struct queue_load load = {.waiting = queue->waiting - behind - 1,
                                    .live_slots = pool_live_slots(pool),
                                    .render_us = pool->render.us,
                                    .first_byte = pool->config->first_byte};
    return queue_admit(&limits, &load, waiter->has_shell) == QUEUE_WAIT ? POOL_QUEUED
                                                                        : no_place(waiter);
}

/* For who has just come, and may stay. */
static void make_room(struct pool *pool, const struct slot_waiter *waiter)
{
    bool is_person = waiter->wants_slot && waiter->rank != QUEUE_BACKGROUND;
    struct slot_waiter *loser =
        is_person && !waiter->entry.is_lent ? shares_to_make_room(pool) : NULL;
    if (!loser)
        return;
    counter_add(pool->counts.over_share, 1);
    tell(pool, loser, WAITER_OVER_SHARE, NULL);
}

static enum pool_answer ask(struct pool *pool, struct slot_waiter *waiter, bool at_front,
                            mono_time now)
{
    workers_settle(pool, now);
    if (!pool_has_candidate(pool, waiter, now))
        return POOL_ALL_DOWN;
    shares_join_queue(pool, waiter, at_front);
    waiter->since = now;
    waiter->state = WAITER_QUEUED;
    if (!pool->is_closing)
        serve_queue(pool, waiter->wants_slot, waiter, now); /* those who came earlier first */
    if (waiter->state != WAITER_QUEUED)
        return waiter->state == WAITER_GRANTED ? POOL_GRANTED : POOL_ALL_DOWN;
    enum pool_answer answer = at_front ? POOL_QUEUED : admit(pool, waiter);
    if (answer == POOL_QUEUED)
        make_room(pool, waiter);
    if (pool_waiting(pool) > POOL_QUEUE_MAX)
        answer = POOL_FULL;
    if (answer != POOL_QUEUED)
        leave_queue(pool, waiter, WAITER_IDLE);
    return answer;
}

void pool_move(struct pool *pool, struct slot_waiter *waiter, unsigned rank, mono_time now)
{
    pthread_mutex_lock(&pool->lock);
    waiter->rank = rank;
    if (waiter->state == WAITER_QUEUED) {
        queue_move(queue_of(pool, waiter), &waiter->entry, rank);
        pool_serve(pool, now);
    }
    pthread_mutex_unlock(&pool->lock);
}

enum pool_answer pool_ask(struct pool *pool, struct slot_waiter *waiter, bool at_front,
                          mono_time now)
{
    pthread_mutex_lock(&pool->lock);
    enum pool_answer answer = ask(pool, waiter, at_front, now);
    pthread_mutex_unlock(&pool->lock);
    return answer;
}

bool pool_leave(struct pool *pool, struct slot_waiter *waiter)
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

/*
 * For the expected wait. One that was stuck is none that others wait for: it would have them turned
 * away for a while after it has ended, and meanwhile it keeps one worker, not the queue.
 */
static void note_render(struct pool *pool, const struct permit *permit, mono_time now)
{
    struct slot_view slot = slot_view(permit->worker->slots, permit->slot);
    if (!permit->is_inquiry && !permit->is_unseen && slot.state == SLOT_BUSY)
        render_mean_note(&pool->render, mono_since(now, slot.since));
}

static void release(struct permit *permit, mono_time now)
{
    struct worker *worker = permit->worker;
    struct pool *pool = worker->pool;
    if (permit->kind == PERMIT_SLOT) {
        note_render(pool, permit, now);
        slot_release(pool->slots_region, worker->slots, permit->slot, pool->pid, now);
        shares_return_slot(pool, permit);
    } else if (permit->kind == PERMIT_CONNECTION) {
        worker_count_connection(worker, -1);
    } else if (permit->kind == PERMIT_DETACHED) {
        worker->detached--;
    }
    if (permit->try && permit->try == worker->trying)
        worker_end_try(worker, permit->is_used, now);
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

bool pool_is_outlived(const struct permit *permit)
{
    const struct worker *worker = permit->worker;
    return permit->kind == PERMIT_SLOT &&
           rebirth_is_gone(&worker->rebirth, slot_view(worker->slots, permit->slot).since);
}

void pool_mark_dead(const struct permit *permit)
{
    if (permit->kind == PERMIT_SLOT)
        slot_mark(permit->worker->slots, permit->slot, permit->worker->pool->pid, SLOT_OWNER_DEAD);
}

bool pool_may_retry(struct pool *pool, mono_time now)
{
    pthread_mutex_lock(&pool->lock);
    bool may_retry = retry_budget_take(&pool->budget, now);
    pthread_mutex_unlock(&pool->lock);
    return may_retry;
}
