/*
 * A whole front without threads, for the fuzzers: one loop, turned by hand, and a client at the
 * other end of a socket pair. Its connections begin behind a PROXY header, as those of a listener
 * with `proxy_protocol` do, so that HTTP/2 can be begun where otherwise TLS would have chosen it.
 * Included by one program each, so everything is static.
 *
 * The handler answers at once; /big with more than a window of HTTP/2 holds; /held when it is told
 * to.
 */
#pragma once

#include "base/token.h"
#include "edge/http/front_internal.h"
#include "policy/host.h"

#include "tests/front_setup.h"
#include "tests/fuzz/input.h"

#include <sys/socket.h>
#include <unistd.h>

enum { RIG_TURNS = 4, RIG_RECEIVED_MAX = 1 << 18, RIG_BIG_BYTES = 100000 };

static struct {
    struct policy policy;
    struct listen_config listen;
    struct front_listener listener;
    h2o_globalconf_t globalconf;
    struct front *front;
    struct loop loop;
    int client; /* our end */
    size_t requests, refusals;
    uint64_t request_hash; /* of all requests that the handler got, in order */
    h2o_req_t *held;       /* the newest that was not answered */
    char received[RIG_RECEIVED_MAX];
    size_t received_bytes;
} rig;

#pragma GCC diagnostic ignored "-Wunused-function" /* each program uses some of it */

/* --- the handler --- */

static void rig_answer(h2o_req_t *req)
{
    static char big[RIG_BIG_BYTES];
    bool is_big = slice_starts_with(slice_of(req->path.base, req->path.len), SLICE("/big"));
    req->res.status = 200;
    req->res.reason = "OK";
    req->res.content_length = is_big ? sizeof(big) : 2;
    h2o_send_inline(req, is_big ? big : "ok", req->res.content_length);
}

static void rig_forget_held(void *held)
{
    if (rig.held == *(h2o_req_t **)held)
        rig.held = NULL;
}

static void rig_hash(slice text)
{
    rig.request_hash = rig.request_hash * 31 + text.len;
    for (size_t i = 0; i < text.len; i++)
        rig.request_hash = rig.request_hash * 31 + (unsigned char)text.ptr[i];
}

/* What the rest of the program relies on of a request that passed the front. */
static void rig_check_request(const struct request *request)
{
    slice host;
    MUST(is_token(request->method_text) && target_is_valid(request->target));
    MUST(slice_starts_with(request->path, SLICE("/")));
    MUST(slice_find(request->path, '?', 0) == request->path.len);
    MUST(host_normalise(request->arena, request->host, request->scheme, &host));
    MUST(slice_equal(host, request->host) && request->id.len);
    MUST(request->body.len <= rig.policy.limits.request_body_bytes);
    MUST(request->fields.count <= rig.policy.limits.headers + 1); /* and Upgrade */
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct field *field = &request->fields.at[i];
        MUST(is_token(field->name) && field->id != FIELD_HOST);
        MUST(memchr(field->value.ptr ? field->value.ptr : "", '\n', field->value.len) == NULL);
        MUST(memchr(field->value.ptr ? field->value.ptr : "", '\0', field->value.len) == NULL);
    }
}

static void rig_on_request(struct loop *loop, h2o_req_t *req, struct request *request, void *arg)
{
    (void)loop, (void)arg;
    rig.requests++;
    rig_check_request(request);
    rig_hash(request->method_text);
    rig_hash(request->host);
    rig_hash(request->target);
    rig_hash(request->body);
    for (size_t i = 0; i < request->fields.count; i++) {
        rig_hash(request->fields.at[i].name);
        rig_hash(request->fields.at[i].value);
    }
    if (!slice_equal(request->path, SLICE("/held"))) {
        rig_answer(req);
        return;
    }
    rig.held = req;
    *(h2o_req_t **)h2o_mem_alloc_shared(&req->pool, sizeof(req), rig_forget_held) = req;
}

static void rig_on_refused(struct loop *loop, const struct front_refusal *refusal, void *arg)
{
    (void)loop, (void)arg;
    MUST(refusal->status >= 400 && refusal->status <= 505 && refusal->detail.len);
    rig.refusals++;
}

/* --- life --- */

static void rig_init(void)
{
    char error[1024] = "";
    front_setup_limits(&rig.policy);
    rig.policy.limits.request_bodies_bytes = 4 * FRONT_BODY_MAX;
    rig.listen.proxy_protocol = true;
    rig.listener = (struct front_listener){-1, &rig.listen};
    rig.front = front_setup_new(&rig.policy, &rig.listener, &rig.globalconf, rig_on_request,
                                rig_on_refused, error);
    MUST(rig.front);
    loop_init(&rig.loop, 0, &rig.globalconf);
    front_attach(rig.front, &rig.loop);
}

static void rig_receive(void)
{
    ssize_t got;
    while (rig.received_bytes < RIG_RECEIVED_MAX &&
           (got = recv(rig.client, rig.received + rig.received_bytes,
                       RIG_RECEIVED_MAX - rig.received_bytes, MSG_DONTWAIT)) > 0)
        rig.received_bytes += (size_t)got;
}

static void rig_turn(unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        h2o_evloop_run(rig.loop.evloop, 0);
        rig_receive();
    }
}

/* A new connection that waits for its PROXY header. */
static struct client_connection *rig_connect(void)
{
    int ends[2];
    struct front_loop *owner = rig.front->loops[0];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    rig.client = ends[0];
    rig.requests = rig.refusals = rig.received_bytes = 0;
    rig.request_hash = 0;
    h2o_socket_t *sock =
        h2o_evloop_socket_create(rig.loop.evloop, ends[1], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    client_start(owner, &rig.front->listeners[0], sock);
    return sock->on_close.data;
}

/* As if TLS had chosen HTTP/2. */
static void rig_begin_h2(struct client_connection *c)
{
    h2o_socket_read_stop(c->sock);
    h2o_socket_dont_read(c->sock, 0);
    free(c->proxy_bytes);
    c->proxy_bytes = NULL;
    h2_begin(c);
}

static void rig_send(slice bytes)
{
    while (bytes.len) {
        ssize_t sent = send(rig.client, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0)
            break; /* closed, or nobody reads any more */
        bytes = slice_from(bytes, (size_t)sent);
        rig_turn(RIG_TURNS);
    }
}

static void rig_release(void)
{
    h2o_req_t *held = rig.held;
    rig.held = NULL;
    if (held)
        rig_answer(held);
    rig_turn(RIG_TURNS);
}

/* The client leaves; nothing may be left of it. */
static void rig_close(void)
{
    rig_turn(RIG_TURNS);
    close(rig.client);
    for (unsigned i = 0; i < 100 && front_connections(rig.front); i++)
        rig_turn(1);
    rig_release();
    for (unsigned i = 0; i < 100 && rig.front->loops[0]->lingering_count; i++)
        rig_turn(1);
    MUST(front_connections(rig.front) == 0 && rig.front->bodies.bytes == 0);
    MUST(rig.front->loops[0]->lingering_count == 0 && !rig.held);
}
