/*
 * The workers of one origin: which of them live, who may ask which one, and the queue of those who
 * wait (semantics 7.1 to 7.3, 7.6, 7.7, 9.6). A pool belongs to the process and has one lock;
 * nothing blocks under it. Connections do not belong here: they are the loops' (connection.h).
 */
#pragma once

#include "edge/origin/balance.h"
#include "edge/origin/build_answer.h"
#include "edge/origin/fair.h"
#include "edge/origin/origin.h"
#include "edge/origin/outage.h"
#include "edge/origin/queue.h"
#include "edge/origin/rebirth.h"
#include "edge/origin/retry_budget.h"
#include "edge/origin/slots.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>

/* The queue of an origin holds at most so many; each waiter is a client's request or a flight. */
enum { POOL_WORKERS_MAX = 256, POOL_QUEUE_MAX = 16384, POOL_DETACHED_MAX = 100 };
/* Of one name, this edge's only; the first by their bytes. */
enum { POOL_ADDRESSES_MAX = 16 };
enum { POOL_BUILDS_MAX = 1024 };

enum worker_state {
    WORKER_UNRESOLVED, /* its name has no address yet */
    WORKER_LIVE,
    WORKER_STARTING, /* the first to answer after all were down: one render at a time */
    WORKER_DOWN,     /* nobody is sent there before `retry_at`, then one request as a try */
    WORKER_GONE,     /* its name no longer resolves to this address */
    WORKER_STATE_COUNT
};

/* What a slot is busy with, as far as it is shown. */
enum { RENDER_NOTE_BYTES = 200 };
struct render_note {
    uint8_t bytes;
    char path[RENDER_NOTE_BYTES];
};

struct worker {
    struct pool *pool;
    unsigned index; /* in pool->workers */
    const struct worker_config *config;
    SSL_CTX *tls;            /* NULL: plain */
    const char *server_name; /* SNI; empty for an address */
    slice host_header;       /* "127.0.0.1:3000" */
    slice name;              /* "renderer/0"; lives as long as the pool */
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct slot_worker *slots;
    atomic_uint users;    /* calls and connections: only then can a GONE one be used anew */
    struct list *idle;    /* one list of connections per loop; each its loop's thread only */
    unsigned *idle_count; /* per loop */
    struct worker_counters counters;
    struct rebirth rebirth;
    /* under the pool's lock */
    enum worker_state state;
    mono_time state_since, retry_at;
    unsigned trying;  /* the one request that may try it now, when DOWN or STARTING; 0: none */
    unsigned tries;   /* so far */
    unsigned answers; /* while STARTING */
    mono_time told;   /* when the log last told of its state */
    unsigned untold;  /* changes since then: each state is shown for a second at least */
    unsigned connections, detached;
    uint32_t readied; /* of its process, when last looked at */
    uint64_t birth;   /* of the pool's, when that was started anew */
    /* `spawn`: it refused a connection or broke one off then, and had been asked for so many */
    mono_time doubted_at; /* 0: not since it was started, or was seen to live */
    uint64_t doubted_after;
    bool has_answered;         /* since then */
    bool is_doubtful;          /* it may be dead, and the master about to say so */
    struct render_note *notes; /* one per slot: what it renders for this process */
    /* what varve asks it by itself: under the lock too */
    bool is_asked;       /* a probe or the warm-up is under way */
    mono_time ask_after; /* not before: varve could not (pool_put_off_inquiry()) */
    bool is_unfit;       /* down because of probes: only these bring it back */
    int probes_alike;    /* successes in a row; below 0: failures */
    mono_time probe_at;
    duration probe_every;  /* grows while it is down */
    mono_time build_at;    /* when it is asked for its build */
    duration build_every;  /* grows while its answers name none */
    mono_time render_at;   /* it is asked for its build first, but until then at most; 0: it was */
    bool is_build_unclear; /* its last answer named none: the log knows */
    const struct build *build; /* of its process; NULL: not known */
    /* the asking loop's thread, while it is asked for its build */
    char build_text[BUILD_ANSWER_MAX_BYTES];
    size_t build_text_bytes;
};

/* The right to ask a worker. */
enum permit_kind { PERMIT_NONE, PERMIT_SLOT, PERMIT_CONNECTION, PERMIT_DETACHED, PERMIT_PROBE };
struct permit {
    enum permit_kind kind;
    struct worker *worker;
    unsigned slot;
    bool is_inquiry;            /* varve's own: no render */
    bool is_unseen;             /* the worker did not take the connection: none either */
    bool is_used;               /* it was, or was to be, connected to */
    struct fair_client *holder; /* whose slot it is; NULL: nobody's (semantics 7.3) */
    unsigned try;               /* it is this try of a worker that was down; 0: none */
};

enum waiter_state {
    WAITER_IDLE,
    WAITER_QUEUED,
    WAITER_GRANTED,
    WAITER_ALL_DOWN,
    WAITER_OVER_SHARE, /* its place was on loan, and another address has it now */
};

struct slot_waiter {
    struct loop *loop;
    struct loop_message *message; /* posted when `state` leaves QUEUED */
    bool wants_slot, has_shell;   /* has_shell: it may be given the shell instead of waiting */
    unsigned rank;                /* in the queue */
    slice path;                   /* what is to be rendered; while it waits */
    bool is_charged;              /* to `client`, for whom it asks (semantics 7.3) */
    struct ip_address client;
    /* under the pool's lock */
    uint64_t tried[POOL_WORKERS_MAX / 64]; /* workers that this request does not go to again */
    uint64_t tried_births; /* of the pool, when they were: reborn, they are others */
    struct queue_entry entry;
    struct fair_client *holder; /* of its place; NULL: nobody */
    enum waiter_state state;
    mono_time since; /* QUEUED */
    struct permit permit;
};

struct build {
    slice value;
    mono_time last_seen;
};

struct pool {
    const struct origin_config *config;
    void *slots_region;
    int pid;
    size_t loop_count;
    SSL_CTX **tls;      /* per configured worker */
    struct arena arena; /* names */
    pthread_mutex_t lock;
    /* under the lock */
    struct worker *workers[POOL_WORKERS_MAX];
    size_t worker_count;
    uint64_t births; /* processes that were started anew, of all workers */
    struct queue slot_queue, connection_queue;
    struct fair fair;
    struct origin_counts counts; /* at `own_counts` unless told otherwise (origins_count_at()) */
    counter own_counts[2];
    struct balance_state balance;
    unsigned reserved[QUEUE_RANKS + 1]; /* constant: slots that this rank leaves to better ones */
    struct render_mean render;
    struct retry_budget budget;
    struct build *builds;
    size_t build_count;
    const struct build *_Atomic newest_build; /* any thread reads */
    bool is_build_named;                      /* answers have `build.header`: nobody is asked */
    struct outage outage;
    bool is_closing;   /* everything ends: nobody is served any more */
    bool wants_lookup; /* a worker refused: its name may mean another address now (9.6) */
};

/* NULL with a line in `error`. */
struct pool *pool_new(const struct origin_config *config, void *slots_region, size_t loop_count,
                      char *error, size_t error_bytes);
void pool_close(struct pool *pool);
void pool_free(struct pool *pool);

/*
 * The addresses that the name of configured worker `config_index` has now, those of other edges
 * (`share`) among them. An empty list changes nothing: a failed look-up keeps the last ones.
 */
void pool_set_addresses(struct pool *pool, size_t config_index, const struct sockaddr_storage *at,
                        const socklen_t *bytes, size_t count, mono_time now);

enum pool_answer {
    POOL_GRANTED,
    POOL_QUEUED,
    POOL_ALL_DOWN,
    POOL_OVER_SHELL, /* too many wait already for one that can have the shell (semantics 7.3) */
    POOL_OVER_SHED,
    POOL_FULL,
};
/*
 * Asks for a worker. QUEUED: the waiter's message is posted when its state has changed. `at_front`:
 * it has waited before.
 */
enum pool_answer pool_ask(struct pool *pool, struct slot_waiter *waiter, bool at_front,
                          mono_time now);
/* The best of those who wait for it is of another class now (semantics 7.4). */
void pool_move(struct pool *pool, struct slot_waiter *waiter, unsigned rank, mono_time now);
/* Leaves the queue. False: it was not in it any more, and its message is on the way. */
bool pool_leave(struct pool *pool, struct slot_waiter *waiter);
void pool_return(struct permit *permit, mono_time now);
/* The answer goes on, but no longer keeps a slot (semantics 7.1). False: too many do. */
bool pool_detach(struct permit *permit, mono_time now);
/* slot_max has passed. */
void pool_mark_stuck(const struct permit *permit);
/* Was it taken for a process of the worker that is gone since (rebirth.h)? Any thread, no lock. */
bool pool_is_outlived(const struct permit *permit);
/* This process ends while the worker still works on it. */
void pool_mark_dead(const struct permit *permit);
/* This request goes there no more, unless its process is started anew. */
void pool_note_tried(struct slot_waiter *waiter, const struct worker *worker);
/*
 * The worker broke off connection `number` without an answer. True: it runs under `spawn`, and was
 * dying already when that connection was made, so the process never had the request.
 */
bool pool_worker_broke(struct worker *worker, uint64_t number, mono_time now);
/* The worker did not take a connection. */
void pool_worker_failed(struct worker *worker, slice why, mono_time now);
/* The worker answered a request. */
void pool_worker_answered(struct worker *worker, mono_time now);
/*
 * What is due to be asked: a probe, the warm-up of a cold worker, or its build, with the permit for
 * it: a slot where the origin has slots. INQUIRY_NONE: nothing now. Ended by pool_end_inquiry(), or
 * by pool_end_build() or pool_put_off_inquiry(); the permit goes back when the worker has answered.
 */
enum inquiry { INQUIRY_NONE, INQUIRY_PROBE, INQUIRY_WARMUP, INQUIRY_BUILD };
enum inquiry pool_take_inquiry(struct pool *pool, struct permit *permit, mono_time now);
/* `status` 0: there was no answer. */
void pool_end_inquiry(struct worker *worker, enum inquiry inquiry, unsigned status, slice why,
                      mono_time now);
/* Varve itself could not ask, which says nothing of the worker: it is asked a moment later. */
void pool_put_off_inquiry(struct worker *worker, mono_time now);
/* `id` empty: `why` there is none. */
void pool_end_build(struct worker *worker, slice id, slice why, mono_time now);
/* Is a slot held by this process, for an answer that may still come in time? */
bool pool_is_awaiting(struct pool *pool);
void pool_each_render(struct pool *pool, render_visitor visit, void *arg);
void pool_each_waiting(struct pool *pool, waiting_visitor visit, void *arg);
/* Tells the log of changes that came too fast for it. Once a second. */
void pool_tell(struct pool *pool, mono_time now);
/* Takes a retry from the budget; false: used up. */
bool pool_may_retry(struct pool *pool, mono_time now);
/* Looks whether another process has freed a slot, or a back-off has ended. */
void pool_poll(struct pool *pool, mono_time now);
/* A slot whose owner died longer than slot_max ago, to be asked after, of worker *next or one
 * behind it; *next is then the worker behind that. False: none is due. */
bool pool_take_probe(struct pool *pool, size_t *next, struct permit *permit, mono_time now);
/* The probe got an answer, or did not. */
void pool_end_probe(struct permit *permit, bool is_answered, mono_time now);
/*
 * The build that made an answer (semantics 1.1): `named` is the value of its `build.header`; empty:
 * it has none, so it is of the build that the worker gave when it was asked. Empty if that is not
 * known. A view that stays valid.
 */
slice pool_note_build(struct worker *worker, slice named, mono_time now);
struct origin_state pool_state(struct pool *pool);
