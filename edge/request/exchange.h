/*
 * One client request on its way through varve, from receipt to the log line. It lives on one loop's
 * thread and is freed when the client's side is over and nothing that it asked for is still under
 * way. Each step says which is next, and steps.c alone goes there; exchange.c ends it all when the
 * client is gone.
 *
 * The client side is this; the fetch side is a `struct fetch`; a flight joins them
 * (docs/internals.md).
 */
#pragma once

#include "edge/request/candidate.h"
#include "edge/request/compress.h"
#include "edge/request/shell_ask.h"
#include "edge/request/sink.h"
#include "edge/server.h"

enum step {
    STEP_NONE, /* as the next one, of who was to give something: there is nothing */
    STEP_WAIT, /* as the next one: something will call exchange_run(), and the present one is then
                  entered anew */
    STEP_DECIDE,
    STEP_LOOKUP,
    STEP_FETCH,
    STEP_STREAM,
    STEP_SHELL,
    STEP_DECODE,
    STEP_DONE,
};

struct exchange {
    struct server *server;
    struct loop *loop;
    struct arena arena;
    struct request *request; /* in libh2o's pool: not to be touched once is_gone */
    struct sink *sink;
    enum step step;
    struct instant started;
    uint64_t arrival_stamp;

    /* decided */
    struct decision decision;
    struct client_wish wish;
    slice build; /* of the origin, when it was decided */

    /* look-up */
    struct key url_key, key;
    struct key
        mark_key; /* of the key text as it is now: cold URLs are marked by it (semantics 3.1) */
    struct vary_record *record;
    struct forward forward;
    struct cache_read read;
    struct loop_message read_done;
    bool is_reading, was_read; /* the disk was asked for `key` in this round */
    uint64_t flights_left;     /* from before memory was asked (cache/flight.h) */
    bool has_looked_back;      /* in this round, because a flight had left since then */
    unsigned rounds;           /* flights that it has joined in vain */
    struct candidate found;

    /* fetch */
    struct waiter waiter;
    unsigned forward_status; /* what the origin answered in this round; 0: nothing yet */
    struct loop_message woken;
    struct loop_timer client_wait;

    /* the shell, while it is asked for */
    struct shell_ask *shell_ask;
    enum reason shell_reason;
    enum step shell_instead_of; /* where it goes on if there is none */
    bool is_shell_refused;      /* the origin was asked and gave none: the file, or nothing */

    /* deliver */
    struct sink_head head;    /* of a stream: goes out with its first bytes */
    bool is_sending;          /* a sink_send() is not taken yet */
    size_t sent_bytes;        /* of that send, to advance the waiter by */
    struct object *delivered; /* keeps the bytes that are being sent */
    struct decoding decoding; /* of its body, for who cannot read it as it is */
    struct loop_message decoded;
    bool is_decoding;
    bool is_found_undecodable; /* what was found is of use only where all else has failed */
    struct blob *delivered_blob;

    /* log */
    enum outcome outcome;
    enum reason reason;
    unsigned status;
    slice worker;
    duration queued, rendered, age;
    uint64_t bytes;   /* of body, set when it is gone */
    bool is_running;  /* inside exchange_run(): not to be freed */
    bool is_finished; /* counted and logged */
    bool is_gone;     /* the client's side is over */
};

/* The front's handler: a checked request of a client. */
void exchange_begin(struct loop *loop, h2o_req_t *h2o_req, struct request *request, void *server);
/* Runs steps until one waits or the exchange is done. May free it. */
void exchange_run(struct exchange *ex);

/* interim.c: what the renderer has said of this request ahead of its answer (RFC 9110 §15.2). */
void exchange_send_interims(struct exchange *ex);
/* deliver.c: each returns what is left to do. STEP_DONE: nothing; STEP_STREAM: the body;
 * STEP_DECODE: to wait for the plain body, and then deliver_decoded(); STEP_FETCH: it cannot be
 * had, and is asked for. */
enum step deliver_object(struct exchange *ex, struct object *object, enum outcome outcome,
                         enum reason reason);
enum step deliver_decoded(struct exchange *ex);
enum step deliver_flight_head(struct exchange *ex, const struct flight_view *view,
                              enum outcome outcome);
/* answer.c: varve's own answers (semantics 10.1). */
void answer_error(struct exchange *ex, unsigned status, enum outcome outcome, enum reason reason,
                  slice detail);
void answer_redirect(struct exchange *ex);
/* To an OPTIONS or TRACE that may not be forwarded any further (RFC 9110 §7.6.2). */
void answer_last_recipient(struct exchange *ex);
/* STEP_NONE: there is no shell, or this request may not have it. STEP_DONE: answered. STEP_SHELL:
 * the shell's origin is asked; if nothing comes of that it goes on with the present step. */
enum step answer_shell(struct exchange *ex, enum reason reason);

/* What the shell's origin has given. */
void answer_shell_given(struct exchange *ex);

/* cache_status.c: adds `varve; hit; …` behind any existing member (RFC 9211); for what comes of an
 * object, of a flight, and for varve's own answers. */
void add_object_status(struct exchange *ex, struct fields *fields, const struct object *object);
void add_flight_status(struct exchange *ex, struct fields *fields, const struct flight_head *head);
void add_own_status(struct exchange *ex, struct fields *fields);
/* Sends the whole answer: head and body at once. Takes nothing; `body` must live until the request
 * is gone. */
void send_whole(struct exchange *ex, const struct sink_head *head, slice body);
