/*
 * What one client address may hold of an origin's slots and queue while another waits: its share
 * (semantics 7.3, limits.per_client). fair.c keeps the books, this says what follows from them.
 *
 * While nobody else waits an address may take everything. What it takes of the queue beyond its
 * share it has on loan only: who comes from another address goes before it, and is given its place
 * when the queue is full. When a place of its own becomes free, its oldest loan becomes that one.
 * As nothing is lent while another address waits, all loans at a time are one address's.
 */
#include "edge/origin/pool_parts.h"

struct queue_limits pool_limits(const struct pool *pool)
{
    const struct origin_config *config = pool->config;
    return (struct queue_limits){config->shell_at, config->shed_at, config->queue_is_per_slot};
}

static uint64_t places_for(const struct pool *pool, const struct slot_waiter *waiter)
{
    const struct queue_limits limits = pool_limits(pool);
    return queue_places(&limits, pool_live_slots(pool), waiter->has_shell);
}

static bool has_its_places(const struct pool *pool, const struct slot_waiter *waiter)
{
    return waiter->holder &&
           waiter->holder->places >= fair_share(&pool->fair, places_for(pool, waiter));
}

/* --- the queue --- */

/* Who has waited before keeps its place. A render in the background is nobody's. */
void shares_join_queue(struct pool *pool, struct slot_waiter *waiter, bool at_front)
{
    bool is_charged = waiter->wants_slot && waiter->is_charged && waiter->rank != QUEUE_BACKGROUND;
    waiter->holder = is_charged ? fair_client(&pool->fair, &waiter->client) : NULL;
    if (!at_front && has_its_places(pool, waiter)) {
        queue_lend(&pool->slot_queue, &waiter->entry, waiter->rank);
        waiter->holder->lent++;
        return;
    }
    queue_add(waiter->wants_slot ? &pool->slot_queue : &pool->connection_queue, &waiter->entry,
              waiter->rank, at_front);
    if (waiter->holder)
        waiter->holder->places++;
}

/* The oldest loan is its holder's own place, if there is one. */
static void keep_oldest_loan(struct pool *pool)
{
    struct queue *queue = &pool->slot_queue;
    if (list_is_empty(&queue->loans))
        return;
    struct queue_entry *entry = list_first_entry(&queue->loans, struct queue_entry, by_rank);
    struct slot_waiter *waiter = container_of(entry, struct slot_waiter, entry);
    if (has_its_places(pool, waiter))
        return;
    queue_keep(queue, entry);
    waiter->holder->lent--;
    waiter->holder->places++;
}

void shares_leave_queue(struct pool *pool, struct slot_waiter *waiter)
{
    struct fair_client *holder = waiter->holder;
    bool was_lent = waiter->entry.is_lent;
    queue_remove(waiter->wants_slot ? &pool->slot_queue : &pool->connection_queue, &waiter->entry);
    waiter->holder = NULL;
    if (!holder)
        return;
    *(was_lent ? &holder->lent : &holder->places) -= 1;
    if (!was_lent)
        keep_oldest_loan(pool);
    fair_settle(&pool->fair, holder);
}

bool shares_is_over(const struct pool *pool, const struct slot_waiter *waiter)
{
    return waiter->entry.is_lent && !fair_is_alone(waiter->holder, pool->slot_queue.waiting);
}

struct slot_waiter *shares_to_make_room(const struct pool *pool)
{
    const struct queue *queue = &pool->slot_queue;
    if (list_is_empty(&queue->loans))
        return NULL;
    struct slot_waiter *newest = container_of(
        container_of(queue->loans.prev, struct queue_entry, by_rank), struct slot_waiter, entry);
    bool is_full = queue->waiting > places_for(pool, newest) || pool_waiting(pool) > POOL_QUEUE_MAX;
    return is_full ? newest : NULL;
}

/* --- slots --- */

uint64_t shares_of_slots(const struct pool *pool)
{
    return pool->fair.clients > 0 ? fair_share(&pool->fair, pool_live_slots(pool)) : UINT64_MAX;
}

void shares_take_slot(struct slot_waiter *waiter)
{
    waiter->permit.holder = waiter->holder;
    if (waiter->holder)
        waiter->holder->slots++;
}

void shares_return_slot(struct pool *pool, struct permit *permit)
{
    struct fair_client *holder = permit->holder;
    permit->holder = NULL;
    if (!holder)
        return;
    holder->slots--;
    fair_settle(&pool->fair, holder);
}
