/*
 * What an origin's queue would do with a load: the pool's own order, admission and balance
 * (queue.h, balance.h, retry_budget.h) under a virtual clock. Pure: no thread, no clock, no file;
 * the same setup and load give the same figures to the last bit. Time is in microseconds; what the
 * pool would see of it are milliseconds.
 *
 * Left out: what does not concern the queue. One client waits for each render (nobody joins),
 * nothing is fetched in the background, and renders at a time on one worker do not slow each other.
 */
#pragma once

#include "edge/origin/balance.h"
#include "edge/origin/queue.h"

/* One that wants a render. */
struct simulation_request {
    int64_t at_us; /* never before the one that came before it */
    int64_t render_us;
    unsigned rank;  /* below QUEUE_RANKS */
    bool has_shell; /* it may be given the shell */
};

/* False: nobody comes any more. */
typedef bool (*simulation_source)(void *arg, struct simulation_request *request);

enum { SIMULATION_OUTAGES_MAX = 16 };

/* A worker dies, and what it renders with it; from `until_us` on it takes requests again. */
struct simulation_outage {
    unsigned worker;
    int64_t at_us, until_us;
};

struct simulation_setup {
    unsigned workers, slots; /* at most POOL_WORKERS_MAX and SLOTS_PER_WORKER_MAX */
    enum balance balance;
    /* As balancers do that have no queue of their own: who comes is sent to a worker at once, and
     * waits there. No limit but the queue's largest size, no class, no shell. IDLE and FIRST take a
     * worker at random when none is idle. */
    bool assigns_at_arrival;
    /* … and whose workers refuse who comes when so many wait there that shell_at is reached; he is
     * then sent to another one at random, as often as `retries` says. A refusal is heard when a
     * render of that worker has ended: until then a Node process says nothing. */
    bool refuses_when_full;
    bool has_shell; /* false: nobody is given the shell */
    struct queue_limits limits;
    duration client_wait, first_byte;
    unsigned reserved[QUEUE_RANKS + 1]; /* call_reserves() */
    unsigned retries;
    unsigned up_after; /* answers that end the slow start of a worker */
    struct simulation_outage outages[SIMULATION_OUTAGES_MAX];
    size_t outage_count;
    uint64_t seed; /* of BALANCE_RANDOM */
};

struct simulation_times {
    int64_t p50_us, p95_us, p99_us;
};

struct simulation_result {
    uint64_t requests; /* the sum of the next six */
    uint64_t rendered;
    uint64_t over_shell, late_shells, down_shells; /* at once; after client_wait; no worker lives */
    uint64_t shed;
    uint64_t failed;       /* no worker lives, or it died */
    uint64_t retried;      /* renders, and requests that a worker refused */
    int64_t last_shell_us; /* since the first request; 0: nobody was given the shell */
    uint64_t waited;       /* requests that no slot was free for, and that were let wait */
    unsigned longest_queue;
    struct simulation_times wait;  /* for a slot; 0 for who found one free; not of those refused */
    struct simulation_times total; /* of the rendered */
    int64_t waiters_p95_us;        /* of those who waited */
    double mean_wait_us;
    double busy, laziest, busiest; /* slots' share of time: all, of one worker */
    int64_t span_us;               /* from the first request to the last end */
    uint64_t events;
};

struct simulation_result simulation_run(const struct simulation_setup *setup,
                                        simulation_source source, void *arg);
