/*
 * An event loop thread: libh2o's evloop, one context, one heap of timers, a mailbox through which
 * other threads hand it work, and the time, read once per turn. Everything that is given a `struct
 * loop *` belongs to that loop's thread; only loop_post() may be called from elsewhere.
 */
#pragma once

#include "base/clock.h"
#include "base/list.h"

#include <h2o.h>
#include <stdatomic.h>

/* A message to a loop. Embedded in what it is about; posted at most once at a time. */
struct loop_message {
    h2o_multithread_message_t node; /* the loop's */
    atomic_bool is_posted;
    void (*deliver)(struct loop_message *message); /* on the loop's thread */
};

/* A timer of any length; all of a loop's are in one heap. */
struct loop_timer {
    mono_time due;
    size_t position; /* in the heap, from 1; 0: not set */
    void (*fire)(struct loop_timer *timer);
};

struct loop {
    unsigned index; /* 0 to threads - 1 */
    h2o_loop_t *evloop;
    h2o_context_t context; /* of the front's h2o_globalconf_t */
    /* private to loop.c */
    struct instant now; /* use loop_now() */
    uint64_t now_of;    /* libh2o's time when `now` was read */
    h2o_multithread_queue_t *queue;
    h2o_multithread_receiver_t receiver;
    struct loop_timer **heap;
    size_t timer_count, timer_capacity;
    h2o_timeout_entry_t tick; /* linked when a timer of the heap is due */
    struct loop_message stop;
    bool is_stopping;
    _Atomic int64_t lag_ms; /* longest turn since loop_take_lag() */
};

void loop_init(struct loop *loop, unsigned index, h2o_globalconf_t *globalconf);
/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
/* Any thread. */
void loop_stop(struct loop *loop);
void loop_fini(struct loop *loop);

/* Any thread. False: it was posted already and not yet delivered (that delivery will do). */
bool loop_post(struct loop *loop, struct loop_message *message);

/* (Re)sets the timer to fire after `delay`; never fires inside this call. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, duration delay);
/* Harmless on a timer that is not set. */
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);
/* Fires all timers that have this function now, due or not: what must not be lost when the loop
 * ends. */
void loop_timers_fire_early(struct loop *loop, void (*fire)(struct loop_timer *timer));

/* The time of this turn: libh2o reads the clock after each wake-up, and both of ours are read when
 * that has moved. */
static inline struct instant loop_now(struct loop *loop)
{
    if (loop->now_of != h2o_now(loop->evloop)) {
        loop->now_of = h2o_now(loop->evloop);
        loop->now = clock_now();
    }
    return loop->now;
}

/* Any thread: the longest turn since the last call, and starts anew (varve_loop_lag_seconds). */
duration loop_take_lag(struct loop *loop);
