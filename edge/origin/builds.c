/*
 * Which build each worker of an origin is of, and which build is the newest (semantics 1.1).
 *
 * Answers say it themselves (`build.header`), or the worker is asked for it (`build.probe`): when
 * it comes up, after its warm-up and before its first render, when its process became another one,
 * and every ten seconds in an idle slot. What answers say counts more: once one did, nobody is
 * asked.
 *
 * Values are kept for as long as the pool: whoever has read one may go on using it.
 */
#include "base/log.h"
#include "edge/origin/pool_parts.h"

/* Renders wait a moment for the question, no longer: nobody asks in a process that drains. */
static const duration ASK_EVERY = {10000}, ASK_LAST_EVERY = {600000}, RENDERS_WAIT = {1000},
                      TAKEN_BACK_AFTER = {60000};

enum { JITTER_PART = 10 };

/* --- which is the newest --- */

static struct build *find_build(struct pool *pool, slice value)
{
    for (size_t i = 0; i < pool->build_count; i++)
        if (slice_equal(pool->builds[i].value, value))
            return &pool->builds[i];
    if (pool->build_count == POOL_BUILDS_MAX)
        return NULL; /* the newest one known stays */
    struct build *build = &pool->builds[pool->build_count++];
    *build = (struct build){.value = arena_copy(&pool->arena, value)};
    pool->newest_build = build;
    return build;
}

/* While a deploy rolls, old and new workers answer in turn. An old value is the newest one again
 * when the other has not been seen for a minute: a deploy that was taken back. */
static const struct build *see(struct pool *pool, slice value, mono_time now)
{
    bool is_storable = value.len > 0 && value.len <= BUILD_MAX_BYTES;
    struct build *seen = is_storable ? find_build(pool, value) : NULL;
    const struct build *newest = pool->newest_build;
    if (!seen)
        return NULL;
    if (seen != newest && mono_since(now, newest->last_seen).ms > TAKEN_BACK_AFTER.ms)
        pool->newest_build = seen;
    seen->last_seen = now;
    return seen;
}

slice pool_note_build(struct worker *worker, slice named, mono_time now)
{
    struct pool *pool = worker->pool;
    slice value = SLICE_NONE;
    if (named.len == 0 && pool->config->build_probe.len == 0)
        return value;
    pthread_mutex_lock(&pool->lock);
    if (named.len > 0) {
        pool->is_build_named = true;
        worker->build = see(pool, named, now);
    } else if (worker->build) {
        see(pool, worker->build->value, now);
    }
    if (worker->build)
        value = worker->build->value;
    pthread_mutex_unlock(&pool->lock);
    return value;
}

/* --- asking for it --- */

static bool is_asked_for(const struct worker *worker)
{
    return worker->pool->config->build_probe.len > 0 && !worker->pool->is_build_named;
}

void worker_forget_build(struct worker *worker, mono_time now)
{
    bool is_first = is_asked_for(worker) && worker_is_up(worker);
    worker->build = NULL;
    worker->build_at = now;
    worker->build_every = ASK_EVERY;
    worker->render_at = is_first ? mono_after(now, RENDERS_WAIT) : (mono_time){0};
}

bool worker_is_build_due(const struct worker *worker, mono_time now)
{
    return is_asked_for(worker) && worker_is_up(worker) && !worker->trying &&
           !worker_wants_warmup(worker) && worker->build_at.ms <= now.ms;
}

void worker_settle_build(struct worker *worker, mono_time now)
{
    if (worker->render_at.ms <= now.ms)
        worker->render_at = (mono_time){0};
}

static void take_build(struct worker *worker, slice id, mono_time now)
{
    const struct build *build = see(worker->pool, id, now);
    if (build != worker->build)
        log_info("worker tells its build", {"worker", worker->name}, {"build", id, 0});
    worker->build = build;
    worker->build_every = ASK_EVERY;
    worker->is_build_unclear = false;
}

/* What was known stays: the process may be the same. One that never tells is asked less and less.
 */
static void take_no_build(struct worker *worker, slice why)
{
    worker->build_every =
        duration_min(ASK_LAST_EVERY, duration_add(worker->build_every, worker->build_every));
    atomic_fetch_add(&worker->counters.unclear_builds, 1);
    if (!worker->is_build_unclear)
        log_warn("worker does not tell its build", {"worker", worker->name},
                 {"path", worker->pool->config->build_probe}, {"why", why});
    worker->is_build_unclear = true;
}

void pool_end_build(struct worker *worker, slice id, slice why, mono_time now)
{
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    worker->is_asked = false;
    worker->render_at = (mono_time){0};
    if (id.len == 0)
        take_no_build(worker, why);
    else if (worker_is_up(worker) && !pool->is_build_named)
        take_build(worker, id, now);
    duration jitter = worker_jitter(worker, now, worker->build_every.ms / JITTER_PART);
    worker->build_at = mono_after(now, duration_add(worker->build_every, jitter));
    pool_serve(pool, now);
    pthread_mutex_unlock(&pool->lock);
}
