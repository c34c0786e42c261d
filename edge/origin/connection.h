/*
 * A connection to a worker: TCP, unix socket or TLS, and the idle ones of a loop. All of it belongs
 * to one loop's thread.
 *
 * libh2o's socket does the waiting and, for TLS, the decoding. Plain sockets are read by us into
 * one buffer per loop, because libh2o reads until the socket is empty, into memory that grows with
 * the speed of the sender.
 */
#pragma once

#include "edge/origin/pool.h"

enum { IDLE_PER_WORKER_MAX = 64, READ_BYTES = 65536 };

struct call;

/* What a loop has of the origins: its idle connections, its calls. */
struct home {
    struct origins *origins;
    struct loop *loop;
    char *read_buffer;
    struct list idle;  /* newest first, all workers */
    struct list calls; /* all that are not freed */
    unsigned waiting;  /* calls in a queue */
    bool is_over;      /* the loop has ended: its sockets are left to the end of the process */
    mono_time lack_logged;
    struct loop_timer sweep, poll, probe, inquire;
    struct loop_message start;
};

struct connection {
    struct home *home;
    struct worker *worker;
    h2o_socket_t *socket;
    struct call *call;             /* NULL: idle */
    struct list node, worker_node; /* while idle */
    uint64_t number;               /* of the worker's connections, all loops */
    mono_time idle_since;
    duration keep_alive; /* as the origin said; DURATION_NONE */
    int problem;         /* errno, if it could not be made */
    bool is_reused, is_tls;
};

/* Connects; call_connected() follows. NULL: refused at once, with errno. */
struct connection *connection_open(struct home *home, struct worker *worker, struct call *call);
/*
 * The newest idle connection of this worker that is still open, or NULL. `is_fragile`: the request
 * must not be sent twice, so the connection must have been used very recently.
 */
struct connection *connection_take_idle(struct home *home, struct worker *worker, bool is_fragile,
                                        struct call *call);
/* The exchange on it is complete: keeps it for the next one, or closes it if there are too many. */
void connection_keep(struct connection *connection, duration keep_alive);
void connection_close(struct connection *connection);
/* Gives the socket away, ready for libh2o's own reading; frees the rest. */
h2o_socket_t *connection_take_socket(struct connection *connection);
void connection_read_on(struct connection *connection);
void connection_read_off(struct connection *connection);

void home_init(struct home *home, struct origins *origins, struct loop *loop);
/* On the loop's thread: closes what is idle. */
void home_close_idle(struct home *home);
/* After the loop has ended. */
void home_fini(struct home *home);

/* --- in call.c: what happens on a connection that has a call --- */
/* `error` NULL: connected, TLS too. Else `failure` says which kind. */
void call_connected(struct call *call, enum call_failure failure, const char *error);
/* `is_broken`: nothing can be read behind these bytes. */
void call_received(struct call *call, slice bytes, bool is_broken);
/* `is_reset`: not a proper end. */
void call_closed(struct call *call, bool is_reset);
