/*
 * What the files of the front share. A connection belongs to the loop that accepted it; struct
 * front is read by all loops and only its atomics change after front_new().
 */
#pragma once

#include "base/list.h"
#include "edge/http/bodies.h"
#include "edge/http/chunk_check.h"
#include "edge/http/front.h"
#include "edge/http/h2_gate.h"
#include "edge/http/head_check.h"
#include "edge/http/proxy_protocol.h"
#include "edge/http/stall.h"
#include "edge/http/tls.h"

#include <h2o/http1.h>
#include <h2o/http2.h>

enum { REQUEST_ID_BYTES = 16, LOOPS_MAX = 256 };

struct front_loop;

/* Where a connection stands. client_move() is the only one that changes it. */
enum phase {
    PHASE_PROXY,    /* waits for a PROXY protocol header; libh2o does not know of it yet */
    PHASE_TLS,      /* handshake */
    PHASE_IDLE,     /* HTTP/1, no byte of a request yet */
    PHASE_HEAD,     /* HTTP/1, part of a head is here */
    PHASE_BODY,     /* HTTP/1, part of a body is here */
    PHASE_BUSY,     /* HTTP/1, libh2o has a complete request */
    PHASE_BETWEEN,  /* HTTP/1, answered; the next turn of the loop begins the next request */
    PHASE_REFUSING, /* HTTP/1, our own error answer is being written */
    PHASE_H2,       /* HTTP/2 */
    PHASE_TUNNEL,   /* upgraded: bytes only */
    PHASE_CLOSED,   /* libh2o was told to close; its struct is gone, the socket perhaps flushing */
};

struct client_connection {
    struct list link;      /* in front_loop.connections */
    struct list idle_link; /* a client's that waits for no answer: in front_loop.idle */
    struct front_loop *owner;
    const struct listener *listener;
    h2o_socket_t *sock;
    enum phase phase;
    mono_time since; /* when the phase began */
    struct ip_address peer;
    bool peer_is_trusted, is_tls;
    bool proxy_says_tls, proxy_is_tls;
    bool client_is_gone;
    int linger_fd;          /* not -1: lingers when the socket is closed */
    bool *freed;            /* set to true when this struct goes, for callers on the stack */
    h2o_socket_cb h2o_read; /* libh2o's own read callback, behind ours */

    char *proxy_bytes; /* PHASE_PROXY */
    size_t proxy_count;

    /* HTTP/1: the request that is being read */
    bool line_was_skipped; /* PHASE_IDLE: an empty line */
    struct head_scan scan;
    size_t head_bytes;
    enum head_body body;
    uint64_t content_length;
    struct chunk_scan chunks;
    size_t chunks_seen; /* bytes of the input that `chunks` has looked at */
    bool keep_alive, is_head, continue_is_wanted, continue_in_flight;
    const char *refused_detail; /* PHASE_REFUSING: what is written, at last behind a 100 */
    unsigned refused_status;
    char refused_id[REQUEST_ID_BYTES];
    char *surplus; /* what came behind this request: given to libh2o after it */
    size_t surplus_bytes;
    char *answer;                   /* PHASE_REFUSING */
    struct interim_writer *interim; /* NULL: it never had one */
    size_t requests;
    h2o_timeout_entry_t resume;
    uint64_t bodies_bytes;     /* our part of front.bodies */
    h2o_req_t *h2o_req;        /* PHASE_BUSY and handed to the handler */
    void (*left)(void *owner); /* of h2o_req: see front_watch_client() */
    void *left_owner;

    struct h2_gate *h2;      /* PHASE_H2 */
    bool h2_is_open;         /* libh2o has seen the connection preface */
    size_t h2_drop_left;     /* of a DATA frame that libh2o is not to see */
    size_t h2_requests;      /* being answered */
    mono_time h2_active;     /* when one last began or ended */
    uint64_t entity_bytes;   /* HTTP/2: bodies of requests being answered */
    uint64_t upload_runs;    /* HTTP/2: the gate's, when `upload` was last looked at */
    uint64_t h2_sent_before; /* bytes of bodies of answers that are over */
    /* looked at by the sweep */
    struct stall upload, to_socket, to_window;
    unsigned awaited; /* answers of it that keep a renderer's slot: see front_await_reader() */
};

struct listener {
    int fd;
    const struct listen_config *config; /* NULL: admin */
    bool is_admin;
    struct tls *tls; /* NULL: plain */
};

/* Connections that were closed for one sort of reason. One line of the log a second tells of them.
 */
struct closings {
    uint64_t count;
    uint64_t frames; /* the most that one of them was let send (HTTP/2) */
    const char *why; /* the last one's */
    struct ip_address client;
};

/* Per loop; the loop's thread only. */
struct front_loop {
    struct front *front;
    struct loop *loop;
    struct list connections, idle, lingering;
    size_t lingering_count;
    struct closings floods, timeouts; /* since the last sweep */
    struct loop_timer sweep;
    h2o_socket_t **sockets; /* one per listener; NULL: closed */
    bool is_paused[2];      /* by is_admin */
    bool is_draining;
    uint64_t id_seed;
};

struct front {
    struct front_setup setup;
    const struct policy *policy;
    h2o_globalconf_t *globalconf;
    struct listener *listeners;
    size_t listener_count;
    struct head_limits head_limits;
    struct front_loop *loops[LOOPS_MAX]; /* each written by its own loop */
    /* any thread */
    atomic_size_t connections[2]; /* by is_admin */
    struct bodies bodies;
    _Atomic uint64_t accepted, refused_full, bad_requests, timeouts, h2_floods;
};

static inline void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* listener.c */
void loop_listeners_open(struct front_loop *owner);
void loop_listeners_close(struct front_loop *owner, bool keeps_admin);
/* Accepts again if it was paused and there is room. */
void listeners_resume(struct front_loop *owner);

/* connection.c */
void client_start(struct front_loop *owner, const struct listener *listener, h2o_socket_t *sock);
void client_move(struct client_connection *c, enum phase phase);
/* It waits for no answer, or does: who waits for none may have to give way to others. */
void client_set_idle(struct client_connection *c, bool is_idle);
/* Counts it, and has the log tell of it. */
void client_is_slow(struct client_connection *c, const char *why);
void client_is_flood(struct client_connection *c, const char *why);
/* Ends the connection of this socket as a flood, from within OpenSSL: the next read closes it. */
void client_cut(h2o_socket_t *sock, const char *why);
/* Closes in whatever phase; `c` may be gone when it returns. */
void client_close(struct client_connection *c);
/* The same, reading on for a moment so that what was written is not lost in a reset. */
void client_close_lingering(struct client_connection *c);
/* Sees to it that the socket lingers when libh2o closes it. */
void client_linger_later(struct client_connection *c);
/* Changes the connection's part of the request bodies in memory, as far as they have arrived.
 * False, and nothing changed: there is no room for them. */
bool client_reserve(struct client_connection *c, uint64_t bytes);
/* The same whether there is room or not: for what is there already, or no longer. */
void client_account(struct client_connection *c, uint64_t bytes);
struct client_connection *client_of(const h2o_req_t *req);
static inline mono_time client_now(const struct client_connection *c)
{
    return loop_now(c->owner->loop).mono;
}

/* read_gate.c */
void gate_begin(struct client_connection *c);
/* A request ended; `will_close`: libh2o closes the connection next. */
void gate_request_ended(struct client_connection *c, bool will_close, bool is_upgraded);
void gate_refuse(struct client_connection *c, unsigned status, const char *detail);

/* h2_connection.c */
enum { H2_IDLE_STREAMS_MAX = 16 }; /* libh2o: more PRIORITY frames of idle streams are an error */
void h2_begin(struct client_connection *c);
/* Some of it has changed: takes into account what the connection has of bodies in memory now, those
 * under way and those of requests being answered, and whether it waits for an answer. */
void h2_account(struct client_connection *c);
void h2_close(struct client_connection *c);
void h2_sweep(struct client_connection *c);
/* Says GOAWAY to all of this loop's connections: they drain. */
void h2_say_goaway(struct front_loop *owner);
/* A request with a body of so many bytes begins (ends) to be answered; `sent` of its answer. */
void h2_request_begins(struct client_connection *c, size_t entity_bytes);
void h2_request_ends(struct client_connection *c, size_t entity_bytes, uint64_t sent);
/* Some answer waits for the client to open its window; `sent` is how much of all bodies of answers
 * has gone out on this connection. */
bool h2_waits_for_window(const struct client_connection *c, uint64_t *sent);

/* h2_interim.c */
void h2_send_interim(h2o_req_t *req, unsigned status, const struct fields *fields);

/* interim.c */
void interim_free(struct client_connection *c);
/* h2_check.c */
/* 0, `host` and no trailers in the fields; or the status to refuse the request with, and why. */
unsigned h2_check(const struct client_connection *c, h2o_req_t *req, slice *host, slice *detail);
/* Does the client wait for a 100 before it sends the body? */
bool h2_expects_continue(const h2o_req_t *req);
/* What libh2o adds to the fields from here on are trailers. */
void h2_mark_trailers(h2o_req_t *req);

/* h2_input.c */
/*
 * Hands the newest `fresh` bytes of the input to libh2o, and counts them. False: a flood. `c` may
 * be gone when it returns true.
 */
bool h2_hand_over(struct client_connection *c, size_t fresh);

/* h2_bodies.c */
enum { H2_PADDING_MAX_BYTES = 256 }; /* of one frame */
enum h2_meeting { H2_PASS, H2_DROP, H2_CLOSE };
/* What to do with the frame whose header the gate has just read. libh2o has taken all that came
 * before it. `fits`: there is room in memory for what it adds to a body. */
enum h2_meeting h2_meet(struct client_connection *c, bool fits);
/* libh2o has taken the whole head of a request whose body is to come. */
void h2_meet_expectation(struct client_connection *c);
/* The status that its body was refused with, which is not all there; 0: it was not. */
unsigned h2_body_refusal(const struct client_connection *c, const h2o_req_t *req);

/* sweep.c */
enum { UPLOAD_BYTES_PER_SECOND = 500 }; /* of a connection, together */
void front_sweep_begin(struct front_loop *owner);

/* linger.c */
void front_linger_start(struct front_loop *owner, int fd);
void front_linger_sweep(struct front_loop *owner);

/* request.c */
void front_requests_register(h2o_hostconf_t *host);

/* answer.c */
enum { ANSWER_MAX_BYTES = 1024 };
const char *front_status_title(unsigned status);
/* 16 hex digits, unlike any before. */
void front_request_id(struct front_loop *owner, char id[REQUEST_ID_BYTES]);
/* A whole HTTP/1.1 answer that says why the connection's request was refused, and closes it.
 * Returns its length. */
size_t front_answer_write(const struct client_connection *c, char buffer[ANSWER_MAX_BYTES]);
/* Counts an answer that the front gives instead of a handler, and tells on_refused. */
void front_report(const struct client_connection *c, unsigned status, slice detail, slice id);
/* The same problem document to a request of libh2o's that has no response yet. All is copied. */
void front_answer_error(h2o_req_t *h2o_req, unsigned status, slice detail, slice id);
void front_answers_register(h2o_hostconf_t *host);
