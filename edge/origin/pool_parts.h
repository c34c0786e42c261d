/* What the parts of the pool share: pool.c, health.c. All of it under the pool's lock. */
#pragma once

#include "edge/origin/pool.h"

/* Gives what is free to those who wait. */
void pool_serve(struct pool *pool, mono_time now);

/* --- health.c --- */
static inline bool worker_is_up(const struct worker *worker)
{
    return worker->state == WORKER_LIVE || worker->state == WORKER_STARTING;
}
/* What time alone, or the master, has changed. */
void workers_settle(struct pool *pool, mono_time now);
/* It has to be warmed up before it renders (`warmup`). */
static inline bool worker_is_cold(const struct worker *worker)
{
    const struct renderer *renderer = worker->slots ? slots_renderer(worker->slots) : NULL;
    return worker->pool->config->warmup.len > 0 && renderer &&
           atomic_load(&renderer->warmed) != atomic_load(&renderer->readied) + 1;
}
/* pool_view.c: for those who look. A negative slot: none. */
void worker_note_render(struct worker *worker, int slot, slice path);
/* One request without a slot more, or less, is under way there. */
void worker_count_connection(struct worker *worker, int step);
/* inquiry.c: when it is to be probed first, so that workers are not asked together. */
void worker_plan_probe(struct worker *worker, mono_time now);
/* It is none of what it was: another state, with a line for the log. */
void worker_move(struct worker *worker, enum worker_state state, slice why, mono_time now);
/* It answered something. */
void worker_take_answer(struct worker *worker, mono_time now);
