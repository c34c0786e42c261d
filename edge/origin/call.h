/*
 * The inside of a call: call.c, call_way.c, call_lost.c, call_answer.c. Everything on the loop's
 * thread, but for the waiter (pool.h).
 */
#pragma once

#include "edge/origin/origins.h"
#include "edge/origin/response_parser.h"

/* A body up to this size goes out together with the head. */
enum {
    WRITE_PIECE_BYTES = 65536,
    LATE_BODY_MAX_BYTES = 4 * 1024 * 1024,
    DETAIL_BYTES = 128,
    ABOUT_BYTES = 192
};

enum call_state {
    STATE_ASKING,     /* for a worker: in a queue, or its message is on the way */
    STATE_CONNECTING, /* TLS too */
    STATE_SENDING,
    STATE_WAITING, /* sent; no final head yet */
    STATE_BODY,
    STATE_SWITCHED, /* after a 101: the connection waits for call_take_socket() */
    STATE_OFF,      /* no worker, no connection, nothing to come */
};

struct call {
    struct home *home;
    struct pool *pool;
    struct list node; /* home->calls */
    enum call_state state;

    /* --- who asked --- */
    const struct call_events *events;
    void *owner;
    bool is_over;     /* no more events: ended, failed, abandoned */
    bool is_released; /* call_free() or call_abandon() came */
    bool is_starting; /* inside call_new(): what fails is told later, by the message */
    bool has_verdict; /* `failure` is to be told */
    enum call_failure failure;
    slice detail;
    char detail_text[DETAIL_BYTES];
    struct call_timing timing;
    slice worker_name;
    slice build;    /* that made the answer */
    unsigned depth; /* of callbacks: it is not freed inside */

    /* --- what is asked --- */
    char *request; /* head and the first piece of the body */
    size_t request_bytes;
    size_t host_at;    /* where the worker's own name goes in, if ... */
    bool is_host_open; /* ... the request names none */
    slice body;        /* of a larger body: all of it; the owner's until he leaves */
    char *body_copy;
    size_t body_sent;
    char *piece; /* what is being written of it */
    bool is_retryable, is_idempotent, answers_head, may_switch, is_probe;
    bool is_knock;   /* connects, and no more: rebirth.h */
    bool is_inquiry; /* a probe or warm-up: our own, for this worker alone */
    duration first_byte;
    unsigned retries_left;
    struct key render_key; /* if is_render: see deadly.h */
    slice about;
    char about_text[ABOUT_BYTES];
    bool is_render, is_trial;

    /* --- with whom --- */
    struct slot_waiter waiter;
    char path[RENDER_NOTE_BYTES];
    struct loop_message message;
    struct permit permit;
    struct connection *connection;
    bool is_fully_sent, is_write_broken;
    bool was_stale;  /* an idle connection to this worker was closed under it, and forgiven */
    uint64_t number; /* of the connection on which it was last sent */
    bool is_suspect; /* was that by time, or by the worker's death? */

    /* --- the answer --- */
    struct response_parser parser;
    size_t body_bytes;
    bool is_stream; /* text/event-stream */
    bool is_paused;
    char *behind; /* read behind a 101 */
    size_t behind_bytes;

    struct loop_timer timer; /* of the state */
    duration limit;          /* what `timer` counts to, from `progress` */
    mono_time progress;
    struct loop_timer total; /* slot_max; then when to look after a slot that is stuck */
    bool is_stuck;
    duration total_left;
};

/* call.c */
/* Frees it when the owner has left it and nothing is to come: at the end of each callback. */
void call_free_if_done(struct call *call);
/* Knocks at a worker of which a slot is stuck. It frees itself. */
void call_knock(struct home *home, struct worker *worker);
/* call_way.c */
/* Asks the pool. `at_front` on a second try: then what it failed with before (`failure`, `detail`)
 * says more than "all down". */
void call_ask(struct call *call, bool at_front, enum call_failure failure, slice detail);
/* Opens a new connection to the worker of its permit. */
void call_connect(struct call *call);
void call_fail(struct call *call, enum call_failure failure, slice detail);
/* Nothing more to do with the worker: gives back what is held. */
void call_let_go(struct call *call);
void call_start_timer(struct call *call, duration limit);
void call_state_timed(struct loop_timer *timer);
void call_total_timed(struct loop_timer *timer);
void call_message_came(struct loop_message *message);
mono_time call_now(const struct call *call);
/* call_lost.c */
/* The connection is of no use: closes it, then tries elsewhere or fails. `is_untouched`: the worker
 * has not seen the request. */
void call_lost(struct call *call, enum call_failure failure, slice detail, bool is_untouched);
/* Do renders of this page kill workers, so that it may not even ask for one? */
bool call_is_deadly(const struct call *call);
/* The same once it has got one: it may have become deadly while it waited for its slot. */
bool call_is_admitted(struct call *call);
/* call_answer.c */
bool call_has_reader(const struct call *call);
/* The owner is gone, or was told of a failure: what still comes is read for the slot's sake, or not
 * at all. */
void call_linger(struct call *call);
