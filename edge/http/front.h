/*
 * The front: listeners, TLS, HTTP/1.1 and HTTP/2 through libh2o, and everything that must be
 * refused before libh2o sees it (docs/security.md, "Requests that are refused"). What passes
 * becomes a `struct request` for a `front_handler`.
 */
#pragma once

#include "edge/loop.h"
#include "policy/config.h"
#include "policy/message.h"

struct front;

/* Where a listener came from: the master's sockets, in the order of policy->listen. */
struct front_listener {
    int fd;
    const struct listen_config *config; /* NULL: the admin listener */
};

/* One client connection; lives as long as its socket. The loop's thread only. */
struct client_connection;

/*
 * A complete, checked request. `request` lives in h2o's request pool as long as `h2o_req`. The
 * handler answers through the h2o API (edge/request/sink.c is the only caller of h2o_send). Called
 * on the loop's thread.
 */
typedef void (*front_handler)(struct loop *loop, h2o_req_t *h2o_req, struct request *request,
                              void *arg);

/* A request that never became one: refused by the checks before libh2o and answered by the front.
 */
struct front_refusal {
    struct ip_address peer;
    unsigned status; /* 400 408 413 414 417 431 501 503 505 */
    slice detail;    /* a literal: what was wrong */
    slice id;        /* of its answer; only during the call */
    bool is_tls;
};
/* For the access log. On the loop's thread; must not touch the connection. */
typedef void (*front_refused)(struct loop *loop, const struct front_refusal *refusal, void *arg);

struct front_setup {
    const struct policy *policy;
    struct front_listener *listeners;
    size_t listener_count;
    front_handler on_request, on_admin_request;
    front_refused on_refused; /* may be NULL */
    void *arg;
    void *ticket_key; /* shared: TLS session ticket key made by the master */
    size_t ticket_key_bytes;
};

/* Fills globalconf (hosts, handlers, limits). NULL with lines in `error` (>= 1024 bytes): bad
 * certificate and the like. */
struct front *front_new(const struct front_setup *setup, h2o_globalconf_t *globalconf, char *error);
/* On each loop's thread, before loop_run(): starts accepting and sweeping. */
void front_attach(struct front *front, struct loop *loop);
/*
 * On each loop's thread: stops accepting, closes idle connections, says Connection: close / GOAWAY
 * on the others. `keeps_admin`: whoever asks how the drain goes is still let in.
 */
void front_drain(struct front *front, struct loop *loop, bool keeps_admin);
/* Any thread: connections open over all loops, admin's too. 0 means drained. */
size_t front_connections(const struct front *front);
void front_free(struct front *front);

/* Is the client of this request gone (HTTP/1: recv(MSG_PEEK) == 0, kept by the sweep)? */
bool front_client_is_gone(h2o_req_t *h2o_req);
/*
 * `left` is called on the loop's thread, once a second, while the request is not over and its
 * client has closed its side for a second or more. HTTP/1 only: libh2o does not read while it
 * waits for an answer. A stream of HTTP/2 that is reset ends by itself.
 */
void front_watch_client(h2o_req_t *h2o_req, void (*left)(void *owner), void *owner);
/*
 * A renderer's slot waits until this client has read on: from now on the connection has to take
 * 8 KiB a second (semantics 7.8). For each call one front_reader_is_awaited_no_more(), at the end
 * of the request at the latest.
 */
struct client_connection *front_await_reader(h2o_req_t *h2o_req);
void front_reader_is_awaited_no_more(struct client_connection *c);

/*
 * An interim response, 102 to 199, to a request whose answer has not started (RFC 9110 §15.2).
 * HTTP/1.0 clients get none, and it is dropped when the client does not take what it was sent
 * before. All is copied; nothing calls back inside. The loop's thread.
 */
void front_send_interim(h2o_req_t *h2o_req, unsigned status, slice reason,
                        const struct fields *fields);
/*
 * Is an interim response still being written, so that the answer may not start (HTTP/1.1)? Then
 * `done` comes once, when it may.
 */
bool front_awaits_interim(h2o_req_t *h2o_req, void (*done)(void *owner), void *owner);

/* Seconds for Retry-After: random, so that those who were refused together do not come back
 * together (semantics 5.2). Any thread. */
unsigned front_retry_after(wall_time now);

struct front_stats {
    size_t clients; /* connections open, without those of the admin listener */
    uint64_t accepted, refused_full, bad_requests, timeouts, h2_floods;
};
struct front_stats front_stats(const struct front *front);
/* When the first certificate of all listeners ends: seconds since 1970; INT64_MAX without TLS. Any
 * thread. */
int64_t front_first_expiry(const struct front *front);
