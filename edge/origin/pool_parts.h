/*
 * What the parts of the pool share, all of it under the pool's lock. Reading order: pool.c (the
 * queue), grant.c (who may go where), shares.c (what one client address may hold), health.c and
 * inquiry.c (which workers are up), workers.c (which there are), dead_owners.c, builds.c,
 * pool_view.c.
 */
#pragma once

#include "edge/origin/pool.h"

/* Gives what is free to those who wait. */
void pool_serve(struct pool *pool, mono_time now);

/* --- grant.c --- */
/* Is there a worker that is worth waiting for? */
bool pool_has_candidate(const struct pool *pool, const struct slot_waiter *waiter, mono_time now);
/* Could anybody be sent anywhere now? Also when all are down: everybody must hear it. */
bool pool_has_free(const struct pool *pool, bool wants_slot, mono_time now);
/* Takes what it asks for. False: nothing is free that it may have. */
bool pool_grant(struct pool *pool, struct slot_waiter *waiter, mono_time now);
bool worker_is_live(const struct worker *worker);
/* It answers, or varve itself runs it and it is on its way. */
bool worker_is_to_be_had(const struct worker *worker);
typedef bool (*worker_test)(const struct worker *worker);
/* Two addresses of one machine share their slots, which count once: is it the first of those that
 * are to be counted? */
bool worker_counts(const struct pool *pool, size_t index, worker_test counts);
/* Slots that are worth waiting for. */
unsigned pool_live_slots(const struct pool *pool);

/* --- shares.c --- */
void shares_join_queue(struct pool *pool, struct slot_waiter *waiter, bool at_front);
void shares_leave_queue(struct pool *pool, struct slot_waiter *waiter);
/* Its permit is for a slot. */
void shares_take_slot(struct slot_waiter *waiter);
void shares_return_slot(struct pool *pool, struct permit *permit);
/* How many slots an address may have while another waits. */
uint64_t shares_of_slots(const struct pool *pool);
/* It holds places beyond its share, and another address waits. */
bool shares_is_over(const struct pool *pool, const struct slot_waiter *waiter);
/* The one whose place on loan is wanted by who has just come; NULL: there is room. */
struct slot_waiter *shares_to_make_room(const struct pool *pool);
/* What may wait of this origin, by its own settings. */
struct queue_limits pool_limits(const struct pool *pool);

/* --- health.c --- */
static inline bool worker_is_up(const struct worker *worker)
{
    return worker->state == WORKER_LIVE || worker->state == WORKER_STARTING;
}
/* And nothing of the master's or the operator's stands in its way. */
static inline bool worker_is_open(const struct worker *worker)
{
    return worker_is_up(worker) && slots_entry(worker->slots) == GATE_OPEN;
}
/* What time alone, or the master, has changed. */
void workers_settle(struct pool *pool, mono_time now);
/* It has to be warmed up before it renders (`warmup`). */
static inline bool worker_wants_warmup(const struct worker *worker)
{
    const struct renderer *renderer = worker->slots ? slots_renderer(worker->slots) : NULL;
    return worker->pool->config->warmup.len > 0 && renderer &&
           atomic_load(&renderer->warmed) != atomic_load(&renderer->readied) + 1;
}
/* It is asked something of our own before it renders. */
static inline bool worker_is_cold(const struct worker *worker)
{
    return worker_wants_warmup(worker) || worker->render_at.ms > 0;
}
/* --- pool_view.c --- */
/* All that wait, for slots and connections, people and in the background. */
unsigned pool_waiting(const struct pool *pool);
/* For those who look. A negative slot: none. */
void worker_note_render(struct worker *worker, int slot, slice path);
/* One request without a slot more, or less, is under way there. */
void worker_count_connection(struct worker *worker, int step);
/* inquiry.c: when it is to be probed first, so that workers are not asked together. */
void worker_plan_probe(struct worker *worker, mono_time now);
/* builds.c: it has come up or gone down, or its process is another one. */
void worker_forget_build(struct worker *worker, mono_time now);
bool worker_is_build_due(const struct worker *worker, mono_time now);
/* No render waits for it any longer. */
void worker_settle_build(struct worker *worker, mono_time now);
/* inquiry.c: spread over [0, most]; another one for each worker, process and moment. */
duration worker_jitter(const struct worker *worker, mono_time now, int64_t most);
/* It is none of what it was: another state, with a line for the log. */
void worker_move(struct worker *worker, enum worker_state state, slice why, mono_time now);
/* The one request that was to try it has ended, whatever came of it; `is_used`: it did try. */
void worker_end_try(struct worker *worker, bool is_used, mono_time now);
/* It answered something. */
void worker_take_answer(struct worker *worker, mono_time now);
