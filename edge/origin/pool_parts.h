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
