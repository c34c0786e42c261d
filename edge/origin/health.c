/*
 * Which workers are up (semantics 7.6): what their answers and refusals say, and how the log tells
 * of it.
 *
 * A worker is down as soon as it refuses, and up at its first sign of life: visitors wait for
 * neither. What has a second's rest is what is shown, so that one that comes and goes all the time
 * is one line a second, not hundreds.
 */
#include "edge/origin/pool_parts.h"

#include "base/log.h"

static const duration FIRST_BACK_OFF = {100}, LAST_BACK_OFF = {5000}, SHOWN_FOR = {1000};
/* Of a renderer under `spawn`: so long its sockets outlive it at most, and so soon its master knows
 * that it is dead, also on a busy machine. */
static const duration DYING_FOR = {250}, NOTICED_WITHIN = {1000};

/* --- the log --- */

static slice shown_state(const struct worker *worker)
{
    return worker->state == WORKER_DOWN ? SLICE("down") : SLICE("up");
}

static void tell_one(const struct worker *worker, slice why)
{
    if (worker->state == WORKER_DOWN)
        log_warn("worker is down", {"worker", worker->name}, {"why", why});
    else if (worker->state == WORKER_STARTING)
        log_info("worker is up, one render at a time first", {"worker", worker->name});
    else
        log_info("worker is up", {"worker", worker->name});
}

static void tell(struct worker *worker, slice why, mono_time now)
{
    if (worker->untold > 1)
        log_warn("worker is flapping", {"worker", worker->name},
                 {"changes", LOG_NUMBER(worker->untold)}, {"state", shown_state(worker)});
    else
        tell_one(worker, why);
    worker->told = now;
    worker->untold = 0;
}

static bool is_shown_long_enough(const struct worker *worker, mono_time now)
{
    return worker->told.ms == 0 || mono_since(now, worker->told).ms >= SHOWN_FOR.ms;
}

void pool_tell(struct pool *pool, mono_time now)
{
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->worker_count; i++) {
        struct worker *worker = pool->workers[i];
        bool is_known = worker_is_up(worker) || worker->state == WORKER_DOWN;
        if (is_known && worker->untold > 0 && is_shown_long_enough(worker, now))
            tell(worker, SLICE_NONE, now);
    }
    outage_tell(pool, now);
    pthread_mutex_unlock(&pool->lock);
}

/* --- changes --- */

void worker_move(struct worker *worker, enum worker_state state, slice why, mono_time now)
{
    bool was_starting = worker->state == WORKER_STARTING && state == WORKER_LIVE;
    worker->state = state;
    worker->state_since = now;
    worker->trying = 0;
    worker->answers = 0;
    if (state == WORKER_DOWN)
        atomic_store(&slots_renderer(worker->slots)->warmed, 0);
    if (was_starting)
        return; /* it was up before */
    worker_forget_build(worker, now);
    atomic_fetch_add(state == WORKER_DOWN ? &worker->counters.downs : &worker->counters.ups, 1);
    worker->untold++;
    if (is_shown_long_enough(worker, now))
        tell(worker, why, now);
}

static bool is_any_up(const struct pool *pool)
{
    for (size_t i = 0; i < pool->worker_count; i++)
        if (worker_is_open(pool->workers[i]))
            return true;
    return false;
}

/* --- doubts: only the master knows whether a process of its own is dead --- */

static bool was_doubted_within(const struct worker *worker, duration time, mono_time now)
{
    return worker->doubted_at.ms > 0 && mono_since(now, worker->doubted_at).ms < time.ms;
}

static void doubt(struct worker *worker, mono_time now)
{
    if (!worker->pool->config->spawn.is_set || worker->doubted_at.ms > 0)
        return;
    worker->doubted_at = now;
    worker->doubted_after = atomic_load(&worker->counters.connects);
    worker->is_doubtful = true;
    worker->has_answered = false;
}

/*
 * A process that dies closes its connections before the socket at which it listens: who connects in
 * between is told so a moment later.
 */
bool pool_worker_broke(struct worker *worker, uint64_t number, mono_time now)
{
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    bool was_dying = was_doubted_within(worker, DYING_FOR, now) && number >= worker->doubted_after;
    if (!was_dying)
        doubt(worker, now);
    pthread_mutex_unlock(&pool->lock);
    return was_dying;
}

/* What was under way may still be answered while it dies: only then is it seen to live. */
static void settle_doubt(struct worker *worker, mono_time now)
{
    if (worker->has_answered && !was_doubted_within(worker, DYING_FOR, now))
        worker->doubted_at.ms = 0;
    worker->is_doubtful = was_doubted_within(worker, NOTICED_WITHIN, now);
}

/* --- time passes --- */

/* A process that was started anew is none of what was known of the one before. */
static void welcome(struct worker *worker, mono_time now)
{
    uint32_t readied = worker->slots ? atomic_load(&slots_renderer(worker->slots)->readied) : 0;
    if (worker->readied == readied)
        return;
    worker->readied = readied;
    worker->birth = ++worker->pool->births;
    worker->doubted_at.ms = 0;
    worker->is_unfit = false;
    worker->probes_alike = 0;
    worker_forget_build(worker, now);
    if (worker->state == WORKER_DOWN)
        worker_move(worker, WORKER_LIVE, SLICE_NONE, now);
}

/* One that answers slowly is not kept back for longer than a visitor waits. */
static bool has_started(const struct worker *worker, mono_time now)
{
    return worker->state == WORKER_STARTING &&
           (worker->answers >= worker->pool->config->probe.up_after ||
            mono_since(now, worker->state_since).ms >= worker->pool->config->first_byte.ms);
}

void workers_settle(struct pool *pool, mono_time now)
{
    for (size_t i = 0; i < pool->worker_count; i++) {
        struct worker *worker = pool->workers[i];
        welcome(worker, now);
        if (has_started(worker, now))
            worker_move(worker, WORKER_LIVE, SLICE_NONE, now);
        settle_doubt(worker, now);
        worker_settle_build(worker, now);
    }
    outage_look(pool, now);
}

/* --- signs of life --- */

/*
 * In proportion to the time that it has been away, so that when it is back it is missed for a
 * quarter of that at most. Doubling would miss a restart of a second for another one or two.
 */
static duration back_off(duration away)
{
    duration part = {away.ms / 4};
    if (part.ms < FIRST_BACK_OFF.ms)
        return FIRST_BACK_OFF;
    return duration_min(part, LAST_BACK_OFF);
}

/* Failures that began before it went down say nothing new. */
static void stay_away(struct worker *worker, mono_time now)
{
    if (worker->retry_at.ms <= now.ms)
        worker->retry_at = mono_after(now, back_off(mono_since(now, worker->state_since)));
}

static void take_failure(struct worker *worker, slice why, mono_time now)
{
    if (worker_is_up(worker)) {
        worker_move(worker, WORKER_DOWN, why, now);
        worker->retry_at = mono_after(now, FIRST_BACK_OFF);
        doubt(worker, now);
    } else if (worker->state == WORKER_DOWN) {
        stay_away(worker, now);
    }
}

/* Something may accept in its place and answer nothing: that is no sign of life either. */
void worker_end_try(struct worker *worker, bool is_used, mono_time now)
{
    worker->trying = 0;
    if (worker->state == WORKER_DOWN && is_used)
        stay_away(worker, now);
}

void pool_worker_failed(struct worker *worker, slice why, mono_time now)
{
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    pool->wants_lookup = true;
    take_failure(worker, why, now);
    pool_serve(pool, now);
    pthread_mutex_unlock(&pool->lock);
}

void worker_take_answer(struct worker *worker, mono_time now)
{
    if (worker->state == WORKER_DOWN && !worker->is_unfit)
        worker_move(worker, is_any_up(worker->pool) ? WORKER_LIVE : WORKER_STARTING, SLICE_NONE,
                    now);
    if (worker->state != WORKER_STARTING)
        return;
    worker->answers++;
    worker->trying = 0; /* answered: the next one may come */
}

void pool_worker_answered(struct worker *worker, mono_time now)
{
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    retry_budget_note_render(&pool->budget, now);
    worker->has_answered = true;
    if (worker->state != WORKER_LIVE) {
        worker_take_answer(worker, now);
        pool_serve(pool, now);
    }
    pthread_mutex_unlock(&pool->lock);
}
