/*
 * Inside the simulation (simulation*.c), for nobody else: who is where, and what can be done with
 * them. Reading order: simulation.c (what happens), simulation_queue.c (where they wait),
 * simulation_slots.c (who renders), simulation_events.c.
 */
#pragma once

#include "edge/origin/percentile.h"
#include "edge/origin/pool.h"
#include "edge/origin/simulation.h"

/* BACK: it was down, its first request is its try; TRIED: that is under way; STARTING: it was the
 * first to answer after all were down, and gets one render at a time (WORKER_STARTING). */
enum life { LIFE_LIVE, LIFE_STARTING, LIFE_DOWN, LIFE_BACK, LIFE_TRIED };

static inline bool life_is_up(enum life life)
{
    return life == LIFE_LIVE || life == LIFE_STARTING;
}

struct sim_worker {
    enum life life;
    unsigned answers;        /* while STARTING */
    struct list runs, queue; /* queue: of those assigned at arrival */
    struct list refused;     /* they do not know it yet */
    unsigned waiting, busy;
    mono_time *idle; /* a ring: since when its free slots are, the longest first */
    unsigned first_idle;
    int64_t busy_us;
};

struct sim_request {
    struct queue_entry entry;
    struct list place; /* free; running; in a worker's queue, or refused there */
    struct list late;  /* among those whose client_wait runs, the first to end first */
    struct simulation_request asked;
    struct sim_worker *worker; /* that renders it, or has refused it */
    int64_t started_us;
    unsigned retries_left, run; /* run: tells an end of its from one of who had its memory before */
    bool is_queued, has_waited;
};

enum event_kind { EVENT_END, EVENT_DOWN, EVENT_UP };

struct event {
    int64_t at_us;
    uint64_t order; /* of making: what happens at one moment happens in this order */
    enum event_kind kind;
    unsigned worker, run;
    struct sim_request *request;
};

struct simulation {
    const struct simulation_setup *setup;
    int64_t now_us, first_us; /* first_us: the first request */
    struct queue queue;
    struct list late;
    struct sim_worker *workers;
    struct balance_worker seen[POOL_WORKERS_MAX]; /* as the pool sees them */
    struct balance_worker up[POOL_WORKERS_MAX];   /* as one without a queue does: all have room */
    struct balance_state balance;
    struct retry_budget budget;
    struct render_mean render;
    unsigned waiting_at_workers;
    struct event *events; /* a heap */
    size_t event_count, event_room;
    uint64_t event_order;
    struct sim_request *requests;
    struct list free;
    struct sample waits, totals;
    double waited_us; /* all of them */
    struct simulation_result result;
};

static inline mono_time sim_now(const struct simulation *sim)
{
    return (mono_time){sim->now_us / 1000};
}

/* --- simulation_events.c --- */

void sim_add_event(struct simulation *sim, struct event event);
/* The first in time; there is one. */
struct event sim_take_event(struct simulation *sim);

/* --- simulation_slots.c --- */

void sim_move_worker(struct simulation *sim, struct sim_worker *worker, enum life life);
/* What the balance sees of it is other now. */
void sim_look_at(struct simulation *sim, const struct sim_worker *worker);
bool sim_has_candidate(const struct simulation *sim);
bool sim_has_free(const struct simulation *sim);
unsigned sim_live_slots(const struct simulation *sim);
unsigned sim_free_slots(const struct simulation *sim);
/* When its client is given the shell instead. */
int64_t sim_late_at(const struct simulation *sim, const struct sim_request *request);
/* Has its client been given the shell? */
bool sim_has_left(const struct simulation *sim, const struct sim_request *request);
void sim_start(struct simulation *sim, struct sim_request *request, size_t index);
void sim_stop(struct simulation *sim, struct sim_request *request);
void sim_note_wait(struct simulation *sim, struct sim_request *request);
void sim_note_queue(struct simulation *sim, unsigned waiting, bool is_first_time);
/* The shell is given, or was at that time. */
void sim_note_shell(struct simulation *sim, uint64_t *why, int64_t at_us);
/* Its end without a render: `shell` counts it if it may be given the shell, else `other`. */
void sim_give_up(struct simulation *sim, struct sim_request *request, uint64_t *shell,
                 uint64_t *other);
/* It is over: its memory is free. */
void sim_forget(struct simulation *sim, struct sim_request *request);

/* --- simulation_queue.c --- */

void sim_ask(struct simulation *sim, struct sim_request *request, bool at_front);
void sim_serve(struct simulation *sim);
void sim_leave_queue(struct simulation *sim, struct sim_request *request);
/* Without a common queue. */
void sim_assign(struct simulation *sim, struct sim_request *request, bool is_first_time);
/* Of who waits there; of who was refused there. */
struct sim_request *sim_take_first(struct simulation *sim, struct sim_worker *worker);
struct sim_request *sim_take_refused(struct simulation *sim, struct sim_worker *worker);
/* Who was refused there hears of it. */
void sim_tell_refused(struct simulation *sim, struct sim_worker *worker);
