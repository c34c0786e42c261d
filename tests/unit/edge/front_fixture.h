/*
 * For the tests of the front: a real one on 127.0.0.1 with one loop in a thread, and a client that
 * speaks raw bytes, over TLS or not. The handler answers 200 with what it was given; /hold waits
 * until f.release is posted. Included by one test program each, so everything is static.
 */
#pragma once

#include "tests/front_setup.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#pragma GCC diagnostic ignored "-Wunused-function" /* each program uses some of it */

enum { CLIENT_BYTES = 64 * 1024, TEXT_BYTES = 2048, PATIENCE_MS = 30000 };

/* libh2o keeps recently used buffers per thread, and has no call that frees a loop. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libh2o-evloop\n";
}

struct fixture {
    struct policy policy;
    struct listen_config listen;
    struct front_listener listener;
    h2o_globalconf_t globalconf;
    struct front *front;
    struct loop loop;
    pthread_t thread;
    uint16_t port;
    atomic_int started;
    struct loop_message drain, release, look;
    atomic_uint last_refusal, handled;
    atomic_int holding, is_gone; /* is_gone: of the held request, after `look` was delivered */
    h2o_req_t *held;
};
static struct fixture f;

/* --- the server --- */

static void answer(h2o_req_t *req, slice text)
{
    req->res.status = 200;
    req->res.reason = "OK";
    req->res.content_length = text.len;
    h2o_send_inline(req, text.ptr, text.len);
}

static void on_request(struct loop *loop, h2o_req_t *req, struct request *request, void *arg)
{
    char client[IP_TEXT_BYTES];
    (void)loop, (void)arg;
    atomic_fetch_add(&f.handled, 1);
    if (slice_equal(request->path, SLICE("/hold"))) {
        f.held = req;
        atomic_store(&f.holding, 1);
        return;
    }
    slice text = arena_printf(
        request->arena,
        "%" SLICE_FMT " %" SLICE_FMT "://%" SLICE_FMT "%" SLICE_FMT " fields=%zu body=%" SLICE_FMT
        " id=%" SLICE_FMT " client=%" SLICE_FMT " cookie=%" SLICE_FMT "\n",
        SLICE_ARG(request->method_text), SLICE_ARG(request->scheme), SLICE_ARG(request->host),
        SLICE_ARG(request->target), request->fields.count,
        SLICE_ARG(slice_until(request->body, 20)), SLICE_ARG(request->id),
        SLICE_ARG(ip_format(&request->client, client)),
        SLICE_ARG(fields_value(&request->fields, FIELD_COOKIE)));
    answer(req, text);
}

static void on_refused(struct loop *loop, const struct front_refusal *refusal, void *arg)
{
    (void)loop, (void)arg;
    atomic_store(&f.last_refusal, refusal->status);
}

static void deliver_drain(struct loop_message *message)
{
    (void)message;
    front_drain(f.front, &f.loop, false);
}

static void deliver_release(struct loop_message *message)
{
    (void)message;
    answer(f.held, SLICE("released\n"));
}

static void deliver_look(struct loop_message *message)
{
    (void)message;
    atomic_store(&f.is_gone, front_client_is_gone(f.held) ? 1 : 0);
}

static void *run_loop(void *arg)
{
    (void)arg;
    loop_init(&f.loop, 0, &f.globalconf);
    front_attach(f.front, &f.loop);
    atomic_store(&f.started, 1);
    loop_run(&f.loop);
    return NULL;
}

static int listen_on_loopback(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* Policy and listener; a test may change them before launch(). */
static void prepare(void)
{
    memset(&f, 0, sizeof(f));
    front_setup_limits(&f.policy);
    f.listener = (struct front_listener){listen_on_loopback(&f.port), &f.listen};
}

static void launch(void)
{
    char error[1024] = "";
    f.drain.deliver = deliver_drain;
    f.release.deliver = deliver_release;
    f.look.deliver = deliver_look;
    f.front = front_setup_new(&f.policy, &f.listener, &f.globalconf, on_request, on_refused, error);
    assert_string_equal(error, "");
    assert_non_null(f.front);
    pthread_create(&f.thread, NULL, run_loop, NULL);
    while (!atomic_load(&f.started))
        sched_yield();
}

static int start_front(void **state)
{
    (void)state;
    prepare();
    launch();
    return 0;
}

static bool wait_until(bool (*is_so)(void))
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        if (is_so())
            return true;
        usleep(1000);
    }
    return false;
}

static bool nobody_is_connected(void)
{
    return front_connections(f.front) == 0;
}

static bool is_holding(void)
{
    return atomic_load(&f.holding);
}

static int stop_front(void **state)
{
    (void)state;
    loop_post(&f.loop, &f.drain);
    assert_true(wait_until(nobody_is_connected));
    loop_stop(&f.loop);
    pthread_join(f.thread, NULL);
    front_free(f.front);
    loop_fini(&f.loop);
    close(f.listener.fd);
    return 0;
}

/* --- a client --- */

struct client {
    int fd;
    SSL *tls;
    char bytes[CLIENT_BYTES]; /* what came and was not looked at */
    size_t count;
    bool ended, was_reset;
    bool asked_head; /* the next answer is without body */
};

static void client_connect(struct client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(f.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client->tls = NULL;
    client->count = 0;
    client->bytes[0] = '\0';
    client->ended = client->was_reset = client->asked_head = false;
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void client_close(struct client *client)
{
    SSL_free(client->tls);
    close(client->fd);
}

/* What cannot be sent any more is dropped: the server may have closed. */
static void client_send(struct client *client, const char *bytes, size_t length)
{
    while (length) {
        ssize_t sent = client->tls ? SSL_write(client->tls, bytes, (int)length)
                                   : send(client->fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes += sent;
        length -= (size_t)sent;
    }
}

static ssize_t client_read(struct client *client, char *into, size_t room)
{
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};
    if (client->tls && SSL_pending(client->tls) > 0)
        return SSL_read(client->tls, into, (int)room);
    assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
    return client->tls ? SSL_read(client->tls, into, (int)room) : recv(client->fd, into, room, 0);
}

static bool client_receive(struct client *client)
{
    assert_true(client->count + 1 < sizeof(client->bytes));
    ssize_t got = client_read(client, client->bytes + client->count,
                              sizeof(client->bytes) - client->count - 1);
    client->ended = got <= 0;
    client->was_reset = got < 0;
    if (got > 0)
        client->count += (size_t)got;
    client->bytes[client->count] = '\0';
    return got > 0;
}

static void client_drop(struct client *client, size_t bytes)
{
    memmove(client->bytes, client->bytes + bytes, client->count - bytes + 1);
    client->count -= bytes;
}

struct answered {
    unsigned status; /* 0: the connection ended */
    char head[TEXT_BYTES], body[TEXT_BYTES];
};

static struct answered client_answer(struct client *client)
{
    struct answered a = {0};
    char *end;
    while (!(end = strstr(client->bytes, "\r\n\r\n")))
        if (!client_receive(client))
            return a;
    size_t head_bytes = (size_t)(end - client->bytes) + 4;
    a.status = (unsigned)strtoul(client->bytes + 9, NULL, 10);
    snprintf(a.head, sizeof(a.head), "%.*s", (int)head_bytes, client->bytes);
    const char *length_at = strcasestr(a.head, "content-length: ");
    size_t length = length_at && !client->asked_head ? strtoul(length_at + 16, NULL, 10) : 0;
    client->asked_head = false;
    while (client->count < head_bytes + length)
        assert_true(client_receive(client));
    snprintf(a.body, sizeof(a.body), "%.*s", (int)length, client->bytes + head_bytes);
    client_drop(client, head_bytes + length);
    return a;
}

static struct answered ask(struct client *client, const char *bytes)
{
    client_send(client, bytes, strlen(bytes));
    return client_answer(client);
}

static bool is_open(struct client *client)
{
    return ask(client, "GET /again HTTP/1.1\r\nHost: a.example\r\n\r\n").status == 200;
}

/* Closed in good order: nothing more came, and no reset that could have eaten an answer. */
static bool is_closed(struct client *client)
{
    return client->count == 0 && (client->ended || !client_receive(client)) && !client->was_reset;
}
