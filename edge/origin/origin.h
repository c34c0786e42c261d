/*
 * Asking origins. `struct origins` is one per worker process: pools of workers, their slots (in
 * shared memory: semantics 7.2), a first-in first-out queue of waiters per origin over all loops,
 * and per loop the idle connections. A call belongs to the loop that made it; its callbacks come on
 * that loop's thread.
 *
 * A call: call_new() → events: (waiting for a slot) → sent → head → body… → end, or fail at any
 * point. The slot is freed when the last byte was read from the worker, not when somebody loses
 * interest (semantics 3.4, 7.1).
 */
#pragma once

#include "base/counters.h"
#include "edge/loop.h"
#include "edge/origin/queue.h"
#include "policy/config.h"
#include "policy/message.h"
#include "policy/rules.h"

#include <stdatomic.h>

struct key;
struct origins;
struct call;

enum call_failure {
    CALL_REFUSED, /* no worker took the connection */
    CALL_LACK,    /* varve itself had not what a connection takes (lack.h) */
    CALL_CONNECT_TIMEOUT,
    CALL_FIRST_BYTE_TIMEOUT,
    CALL_BETWEEN_BYTES_TIMEOUT,
    CALL_CLOSED,    /* closed or reset before the head was complete */
    CALL_TRUNCATED, /* the body broke off */
    CALL_MALFORMED, /* framing or head that we do not accept */
    CALL_TLS,
    CALL_ALL_DOWN,   /* no live worker: nothing waits (semantics 7.3) */
    CALL_STUCK,      /* slot_max */
    CALL_LIMIT,      /* the origin's queue or its event streams are at their limit: 503 */
    CALL_OVER_SHELL, /* too many wait: the shell instead (semantics 7.3) */
    CALL_OVER_SHED,  /* too many wait, or for too long: 503 at once */
    CALL_DEADLY,     /* workers died of it: not sent for now (semantics 7.7) */
    CALL_FAILURE_COUNT
};
/* The worker was not even asked. */
static inline bool call_was_refused(enum call_failure failure)
{
    return failure == CALL_OVER_SHELL || failure == CALL_OVER_SHED || failure == CALL_DEADLY;
}
/* No new request goes to the worker of this name any more, or again; over reloads, in all
 * processes. False: there is none. Any thread. */
bool origins_drain_worker(struct origins *origins, slice name, bool is_drained);
/* Each slot that is not free: `path` is empty where another process waits for the answer. */
typedef void (*render_visitor)(void *arg, slice worker, unsigned slot, slice state, slice path,
                               mono_time since);
void origins_each_render(const struct origins *origins, render_visitor visit, void *arg);
/* Each rank in which somebody waits for a slot or a connection, and since when its oldest does. */
typedef void (*waiting_visitor)(void *arg, unsigned rank, unsigned waiting, mono_time oldest);
void origins_each_waiting(const struct origins *origins, const struct origin_config *origin,
                          waiting_visitor visit, void *arg);
slice call_failure_name(
    enum call_failure failure); /* label `kind` of varve_upstream_errors_total */

struct call_timing {
    struct instant asked, sent,
        head; /* slot wanted; request written; head complete. Zero if not reached */
};

struct call_events {
    /* A 1xx other than 101. Optional. */
    void (*interim)(struct call *call, void *owner, const struct response *response);
    /* The head is complete. Fields are views that live as long as the call. `length`: announced
     * body length or SIZE_MAX. */
    void (*head)(struct call *call, void *owner, const struct response *response, size_t length);
    /* Decoded body bytes; the view lives during this call only. */
    void (*body)(struct call *call, void *owner, slice bytes);
    /* The body ended. `is_clean`: by Content-Length or last chunk; false: by closing
     * (semantics 4.2: never stored). */
    void (*end)(struct call *call, void *owner, bool is_clean);
    /* No more will come. Before `head`: nothing was received that the client could get. */
    void (*fail)(struct call *call, void *owner, enum call_failure failure, slice detail);
};

struct call_request {
    const struct origin_config *origin;
    const struct forward *forward; /* head; must live as long as the call */
    const struct fields
        *more_fields; /* varve's validators, X-Forwarded-For …; may be NULL; same life */
    slice body;
    bool has_body;
    bool is_asset;     /* see origin_wants_slot() */
    bool is_retryable; /* GET or HEAD */
    unsigned rank;     /* of who waits for it: call_rank() */
    bool has_shell;    /* who waits for it may be given the shell instead (semantics 7.3) */
    slice path;        /* what is rendered, for those who look (varve slots); copied, may be cut */
    bool is_upgrade;   /* hand the raw connection over after a 101; the Upgrade field is among the
                          fields, else "websocket" is sent */
    const struct ip_address *client; /* whose share it counts against (semantics 7.3); NULL: none */
    slice host_header;               /* Host as it is to be sent; empty: the worker's own */
    const struct key *render_key; /* what is rendered: is it deadly (deadly.h)? NULL: no render */
    slice about;                  /* host and path, for the log when it is */
};

/* Does it take a slot, or a connection alone (semantics 7.1)? */
static inline bool origin_wants_slot(const struct origin_config *origin, bool is_asset)
{
    return origin->slots > 0 && (!is_asset || origin->slots_cover_assets);
}

/* `slots`: region of slots_region_bytes(), made by the master. NULL with a line in `error` (>= 256
 * bytes). */
struct origins *origins_new(const struct policy *policy, struct loop *loops, size_t loop_count,
                            void *slots, char *error);
/*
 * On the loop's thread, before it ends: drops its calls without events and closes its connections;
 * slots of what still runs are quarantined (semantics 7.2). No call_new() after it on any loop.
 */
void origins_leave(struct origins *origins, struct loop *loop);
void origins_free(struct origins *origins); /* after the loops have ended */
size_t slots_region_bytes(void);
void slots_region_init(void *region); /* master */
/* Master, after it reaped a worker process: its slots become "owner dead" (semantics 7.2). */
void slots_owner_died(void *region, int pid);

/* This process ends: it probes and warms up nobody any more. Any thread. */
void origins_drain(struct origins *origins);
/* Does a slot wait for an answer, be it that nobody else does any more? A process that left now
 * would leave the slot taken until slot_max (semantics 7.2). Any thread. */
bool origins_are_awaiting(const struct origins *origins);

/* Calls back when no worker of an origin is to be had any more, and when one is again: on any
 * thread, under the origin's lock, not to block. Before the loops run. */
typedef void (*outage_visitor)(void *arg, const struct origin_config *origin, bool is_down,
                               mono_time when);
void origins_on_outage(struct origins *origins, outage_visitor changed, void *arg);

/* Starts when this returns; never calls back inside. `owner` comes back in events. */
struct call *call_new(struct origins *origins, struct loop *loop,
                      const struct call_request *request, const struct call_events *events,
                      void *owner);
/*
 * Nobody wants the answer any more: no event comes after this, and the call is not the caller's any
 * more (no call_free()). Still queued: it leaves the queue. Running: the answer is read to its end
 * (up to 4 MiB after the head, then the connection is closed), and only then is the slot free.
 * Allowed at any time, in events too.
 */
void call_abandon(struct call *call);
/* Back-pressure for what is not stored: stops reading, goes on. What was read already may still
 * come (at most 64 KiB; with TLS 512 KiB). No timer runs while paused. */
void call_pause(struct call *call);
void call_resume(struct call *call);
/* The call is over (end or fail came): frees it. On a running one it is call_abandon(). */
void call_free(struct call *call);
/* The best of those who wait for it is of another rank now; of no matter once it has a slot. The
 * call's thread. */
void call_set_rank(struct call *call, unsigned rank);
/*
 * Place of a class in the queue (semantics 7.4): 0 is the best. A class that is known by its
 * User-Agent alone has no priority: anybody can say that. NULL: a render in the background.
 */
unsigned call_rank(const struct policy *policy, const struct class_config *class_config);
/* How many slots each rank leaves to the classes before it (semantics 7.4). */
void call_reserves(const struct policy *policy, unsigned reserved_for[QUEUE_RANKS + 1]);
struct call_timing call_timing(const struct call *call);
slice call_worker_name(const struct call *call); /* "renderer/0"; empty before a slot was taken */
/* Of the worker that gave the answer (semantics 1.1), from the head on; empty if it is not known. A
 * view that stays valid. */
slice call_build(const struct call *call);
/* After a 101 (its `head` event came): takes the socket and what was read behind the head, a view
 * as long as the call. The call is then over; call_free() it when the tunnel has closed: until then
 * it counts as detached (semantics 7.1). NULL: it was closed meanwhile. */
h2o_socket_t *call_take_socket(struct call *call, slice *read_behind);

/* Figures for stats, metrics and the steps. Any thread. */
struct origin_state {
    unsigned workers, live_workers; /* one that varve runs and that starts or drains counts */
    unsigned slots, live_slots;     /* of such a one not: its slots cannot be had now */
    unsigned busy_slots, waiting, quarantined;
    bool is_hopeless; /* no worker is to be had: nobody waits */
    bool is_down;     /* that was so, and no worker has been ready since (outage.h) */
};
/* Where it is counted that a render was asked for once more (7.7), and that somebody was turned
 * away because their address had its share (7.3): in shared memory, so that it survives this
 * process. */
struct origin_counts {
    counter *retries, *over_share;
};
/* Without it, both begin at 0. Before the loops run. */
void origins_count_at(struct origins *origins, const struct origin_config *origin,
                      struct origin_counts counts);
struct origin_state origin_state(const struct origins *origins, const struct origin_config *origin);
/* Are renders of this key not to be had for now, because they kill workers (deadly.h)? Changes
 * nothing. */
bool origins_is_deadly(struct origins *origins, const struct key *render_key, mono_time now);
/* Newest build that answers or workers told of (semantics 1.1); empty if none. A view that stays
 * valid. */
slice origin_build(const struct origins *origins, const struct origin_config *origin);
/* Per worker, since the start of the process; any thread. */
struct worker_counters {
    _Atomic uint64_t connects, probes;
    _Atomic uint64_t ups, downs;     /* changes of its state */
    _Atomic uint64_t unclear_builds; /* it was asked for its build, and did not tell */
};
void origins_each_counters(const struct origins *origins,
                           void (*visit)(void *arg, slice worker,
                                         const struct worker_counters *counters),
                           void *arg);
/* Each worker, for those who look. */
struct worker_view {
    slice name, state;
    slice build; /* empty: not known */
    unsigned busy, slots;
    mono_time since;
};
void origins_each_worker(const struct origins *origins,
                         void (*visit)(void *arg, const struct worker_view *worker), void *arg);

/* --- renderers under `spawn` (restart.c); any thread --- */

struct renderer;
/* Those of one origin, or of all (NULL). */
void origins_each_renderer(const struct origins *origins, const struct origin_config *only,
                           void (*visit)(void *arg, slice worker, struct renderer *renderer),
                           void *arg);
/* Asks the master to restart them one by one; it has to be woken. Returns a ticket. */
uint64_t origins_ask_restart(const struct origins *origins, const struct origin_config *only);
struct restart_result {
    unsigned pending, restarted, failed;
    slice lost; /* the first that did not come back; empty: none. Lives as long as the origins */
};
struct restart_result origins_restart_result(const struct origins *origins,
                                             const struct origin_config *only, uint64_t ticket);
