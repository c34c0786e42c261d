/*
 * A real front on 127.0.0.1 with one loop, driven with raw bytes. The handler answers 200 with what
 * it was given.
 */
#include "edge/http/front.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { ANSWER_BYTES = 64 * 1024, PATIENCE_MS = 20000 };

/* libh2o keeps recently used buffers per thread and never gives them back. */
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
    struct loop_message drain;
    atomic_uint last_refusal;
    h2o_req_t *held; /* by /hold */
    atomic_int holding;
    struct loop_message release;
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
    (void)loop, (void)arg;
    if (slice_equal(request->path, SLICE("/hold"))) {
        f.held = req;
        atomic_store(&f.holding, 1);
        return;
    }
    char client[IP_TEXT_BYTES];
    slice text = arena_printf(
        request->arena,
        "%" SLICE_FMT " %" SLICE_FMT "://%" SLICE_FMT "%" SLICE_FMT
        " fields=%zu body=%zu id=%" SLICE_FMT " client=%" SLICE_FMT " cookie=%" SLICE_FMT "\n",
        SLICE_ARG(request->method_text), SLICE_ARG(request->scheme), SLICE_ARG(request->host),
        SLICE_ARG(request->target), request->fields.count, request->body.len,
        SLICE_ARG(request->id), SLICE_ARG(ip_format(&request->client, client)),
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
    front_drain(f.front, &f.loop);
}

static void deliver_release(struct loop_message *message)
{
    (void)message;
    answer(f.held, SLICE("released\n"));
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

static int start_front(void **state)
{
    (void)state;
    char error[1024];
    f.policy.limits.header_bytes = 4096;
    f.policy.limits.headers = 20;
    f.policy.limits.url_bytes = 256;
    f.policy.limits.request_body_bytes = 1000;
    f.policy.limits.request_bodies_bytes = 1500;
    f.policy.limits.header_timeout = (duration){60000};
    f.policy.limits.idle = (duration){60000};
    f.policy.limits.connections = 50;
    f.listener = (struct front_listener){listen_on_loopback(&f.port), &f.listen};
    h2o_config_init(&f.globalconf);
    struct front_setup setup = {.policy = &f.policy,
                                .listeners = &f.listener,
                                .listener_count = 1,
                                .on_request = on_request,
                                .on_admin_request = on_request,
                                .on_refused = on_refused};
    f.drain.deliver = deliver_drain;
    f.release.deliver = deliver_release;
    f.front = front_new(&setup, &f.globalconf, error);
    assert_non_null(f.front);
    pthread_create(&f.thread, NULL, run_loop, NULL);
    while (!atomic_load(&f.started))
        sched_yield();
    return 0;
}

static int stop_front(void **state)
{
    (void)state;
    loop_post(&f.loop, &f.drain);
    for (int i = 0; i < PATIENCE_MS && front_connections(f.front); i++)
        usleep(1000);
    assert_int_equal(front_connections(f.front), 0);
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
    char bytes[ANSWER_BYTES]; /* what came and was not looked at */
    size_t count;
    bool ended;
};

static void client_connect(struct client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(f.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client->count = 0;
    client->ended = false;
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void client_send(struct client *client, const char *bytes, size_t length)
{
    while (length) {
        ssize_t sent = send(client->fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server may have closed already */
        bytes += sent;
        length -= (size_t)sent;
    }
}

static bool client_receive(struct client *client)
{
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
    ssize_t got = recv(client->fd, client->bytes + client->count,
                       sizeof(client->bytes) - client->count - 1, 0);
    client->ended = got <= 0;
    if (got < 0)
        fprintf(stderr, "reset\n");
    assert_true(got >= 0); /* a reset: the answer could have been lost */
    client->count += (size_t)got;
    client->bytes[client->count] = '\0';
    return got > 0;
}

static void client_drop(struct client *client, size_t bytes)
{
    memmove(client->bytes, client->bytes + bytes, client->count - bytes + 1);
    client->count -= bytes;
}

/* Reads one answer; its body goes to `body` (if any). Status, or 0 at the end. */
static unsigned client_answer(struct client *client, char *head, char *body)
{
    char *end;
    client->bytes[client->count] = '\0';
    while (!(end = strstr(client->bytes, "\r\n\r\n")))
        if (!client_receive(client))
            return 0;
    size_t head_bytes = (size_t)(end - client->bytes) + 4;
    unsigned status = (unsigned)strtoul(client->bytes + 9, NULL, 10);
    snprintf(head, 2048, "%.*s", (int)head_bytes, client->bytes);
    const char *length_at = strcasestr(head, "content-length: ");
    size_t length = length_at ? strtoul(length_at + 16, NULL, 10) : 0;
    while (client->count < head_bytes + length)
        assert_true(client_receive(client));
    snprintf(body, 2048, "%.*s", (int)length, client->bytes + head_bytes);
    client_drop(client, head_bytes + length);
    return status;
}

static const char again[] = "GET /again HTTP/1.1\r\nHost: a.example\r\n\r\n";

static unsigned ask(struct client *client, const char *bytes, size_t length, char *head, char *body)
{
    client_send(client, bytes, length);
    return client_answer(client, head, body);
}
#define ASK(client, literal, head, body) ask(client, literal, sizeof(literal) - 1, head, body)

static bool is_open(struct client *client)
{
    char head[2048], body[2048];
    return ask(client, again, sizeof(again) - 1, head, body) == 200;
}

static bool is_closed(struct client *client)
{
    return client->count == 0 && (client->ended || !client_receive(client));
}

/* --- the table --- */

enum state { OPEN, CLOSED };
struct raw {
    const char *name, *bytes;
    size_t length;
    unsigned status;
    enum state state;
};
static const struct raw raws[] = {
#define RAW(name, bytes, status, state) {name, bytes, sizeof(bytes) - 1, status, state},
#include "tests/data/raw_requests.def"
#undef RAW
};
enum { RAW_COUNT = sizeof(raws) / sizeof(raws[0]) };

static void check_ours(const struct raw *raw, const char *head, const char *body)
{
    if (raw->status == 200)
        return;
    assert_non_null(strcasestr(head, "content-type: application/problem+json"));
    assert_non_null(strcasestr(head, "cache-control: no-store"));
    assert_non_null(strcasestr(head, "x-request-id: "));
    assert_non_null(strstr(body, "\"status\":"));
    assert_int_equal(atomic_load(&f.last_refusal), raw->status);
}

static void run_raw(const struct raw *raw, size_t piece)
{
    struct client client;
    char head[2048] = "", body[2048] = "";
    client_connect(&client);
    for (size_t at = 0; at < raw->length; at += piece)
        client_send(&client, raw->bytes + at, raw->length - at < piece ? raw->length - at : piece);
    unsigned status = client_answer(&client, head, body);
    if (status == 100) /* in pieces, the body may come late enough to be asked for */
        status = client_answer(&client, head, body);
    if (status != raw->status)
        print_error("\"%s\": %u instead of %u\n", raw->name, status, raw->status);
    assert_int_equal(status, raw->status);
    check_ours(raw, head, body);
    bool as_expected = raw->state == OPEN ? is_open(&client) : is_closed(&client);
    if (!as_expected)
        print_error("\"%s\": the connection is not as expected\n", raw->name);
    assert_true(as_expected);
    close(client.fd);
}

static void test_raw_requests_get_the_status_and_connection_state_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < RAW_COUNT; i++)
        run_raw(&raws[i], SIZE_MAX / 2);
}

static void test_raw_requests_in_pieces_mean_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < RAW_COUNT; i++)
        run_raw(&raws[i], raws[i].length > 200 ? 97 : 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw_requests_get_the_status_and_connection_state_of_the_table),
        cmocka_unit_test(test_raw_requests_in_pieces_mean_the_same),
    };
    return cmocka_run_group_tests(tests, start_front, stop_front);
}
