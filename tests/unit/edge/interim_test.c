/*
 * Interim responses of the front to a client that takes its time: heads queue behind the one that
 * is being written, up to a limit, the answer comes behind the last of them, and a client that
 * breaks off in the middle ends in good order. The socket's buffers are made so small that a hint
 * does not fit them.
 */
#include "tests/unit/edge/front_tls_fixture.h"

#include "edge/request/sink.h"

enum { SMALL_BUFFER = 4096, LARGE = 30000, MIDDLE = 20000 };

/* What the handler's side does, each on the loop's thread. */
static struct {
    struct loop_message hint, answer, look;
    struct sink *sink;
    atomic_uint hints_sent, wants, gone;
    atomic_int is_waiting; /* the answer, for a hint */
    atomic_int is_idle;    /* nothing is being written */
    char padding[LARGE];
} server;

static void on_want(void *owner)
{
    (void)owner;
    atomic_fetch_add(&server.wants, 1);
}

static void on_gone(void *owner)
{
    (void)owner;
    atomic_fetch_add(&server.gone, 1);
    atomic_store(&f.holding, 0);
}

static const struct sink_events events = {on_want, on_gone};

static void send_hint(unsigned status, size_t bytes)
{
    struct arena arena;
    struct fields fields;
    arena_init(&arena);
    fields_init(&fields, &arena);
    fields_add(&fields, SLICE("link"), slice_of(server.padding, bytes));
    sink_interim(server.sink, status, SLICE("Hint"), &fields);
    arena_fini(&arena); /* everything is copied */
}

/* 30 000 bytes are more than the socket takes, 20 000 queue, and 20 000 more are too many. */
static void deliver_hint(struct loop_message *message)
{
    (void)message;
    int small = SMALL_BUFFER;
    h2o_socket_t *sock = f.held->conn->callbacks->get_socket(f.held->conn);
    setsockopt(h2o_socket_get_fd(sock), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    server.sink = sink_new(f.held, &events, NULL);
    send_hint(103, LARGE);
    send_hint(104, MIDDLE);
    send_hint(105, MIDDLE);
    send_hint(106, 10);
    atomic_fetch_add(&server.hints_sent, 1);
}

static void deliver_answer(struct loop_message *message)
{
    (void)message;
    struct fields none = {0};
    struct sink_head head = {.status = 200, .reason = SLICE("OK"), .fields = &none, .length = 6};
    sink_start(server.sink, &head);
    send_hint(107, 10); /* too late */
    slice parts[] = {SLICE("bo"), SLICE("dy"), SLICE("!\n")};
    sink_send(server.sink, parts, 3, true);
    atomic_store(&server.is_waiting, !atomic_load(&server.gone) && !sink_bytes(server.sink));
}

static void look_at_socket(struct loop_message *message)
{
    (void)message;
    h2o_socket_t *sock = f.held->conn->callbacks->get_socket(f.held->conn);
    atomic_store(&server.is_idle, !h2o_socket_is_writing(sock));
}

static bool is_idle(void)
{
    loop_post(&f.loop, &server.look);
    return atomic_load(&server.is_idle);
}

static bool hints_are_sent(void)
{
    return atomic_load(&server.hints_sent) > 0;
}

static bool is_waiting(void)
{
    return atomic_load(&server.is_waiting);
}

static bool is_gone(void)
{
    return atomic_load(&server.gone) > 0;
}

static int start(void **state)
{
    memset(&server, 0, sizeof(server));
    memset(server.padding, 'x', sizeof(server.padding));
    server.hint.deliver = deliver_hint;
    server.answer.deliver = deliver_answer;
    server.look.deliver = look_at_socket;
    return start_front(state);
}

/* As client_connect(), with a small window from the start. */
static void connect_narrow(struct client *client)
{
    int small = SMALL_BUFFER;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(f.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

/* A request is there, and its hints are stuck. */
static void begin(struct client *client, const char *version)
{
    char request[128];
    connect_narrow(client);
    snprintf(request, sizeof(request), "GET /hold HTTP/%s\r\nHost: a.example\r\n\r\n", version);
    client_send(client, request, strlen(request));
    assert_true(wait_until(is_holding));
    loop_post(&f.loop, &server.hint);
    assert_true(wait_until(hints_are_sent));
}

/* Reads one head; the status, and how long the head was. */
static unsigned next_head(struct client *client, size_t *bytes)
{
    char *end;
    while (!(end = strstr(client->bytes, "\r\n\r\n")))
        if (!client_receive(client))
            return 0;
    unsigned status = (unsigned)strtoul(client->bytes + 9, NULL, 10);
    assert_memory_equal(client->bytes, "HTTP/1.1 ", 9);
    *bytes = (size_t)(end - client->bytes) + 4;
    client_drop(client, *bytes);
    return status;
}

static void test_the_answer_comes_behind_the_hints_and_what_is_too_much_is_dropped(void **state)
{
    (void)state;
    static struct client client;
    size_t bytes;
    begin(&client, "1.1");
    loop_post(&f.loop, &server.answer);
    assert_true(wait_until(is_waiting));
    assert_int_equal(next_head(&client, &bytes), 103);
    assert_int_equal(bytes, strlen("HTTP/1.1 103 Hint\r\nlink: \r\n\r\n") + LARGE);
    assert_int_equal(next_head(&client, &bytes), 104);
    assert_int_equal(bytes, strlen("HTTP/1.1 104 Hint\r\nlink: \r\n\r\n") + MIDDLE);
    assert_int_equal(next_head(&client, &bytes), 106);
    struct answered answered = client_answer(&client);
    assert_int_equal(answered.status, 200);
    assert_string_equal(answered.body, "body!\n");
    assert_true(is_open(&client));
    assert_int_equal(server.wants, 0);
    assert_true(is_gone());
    client_close(&client);
}

static void test_hints_that_are_written_before_the_answer_leave_no_trace(void **state)
{
    (void)state;
    static struct client client;
    size_t bytes;
    begin(&client, "1.1");
    for (unsigned status = 103; status <= 106; status += status == 104 ? 2 : 1)
        assert_int_equal(next_head(&client, &bytes), status);
    loop_post(&f.loop, &server.answer);
    assert_string_equal(client_answer(&client).body, "body!\n");
    assert_true(is_open(&client));
    client_close(&client);
}

static void break_off(struct client *client)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    client_close(client);
}

static void test_a_client_that_breaks_off_while_the_answer_waits_ends_the_request(void **state)
{
    (void)state;
    static struct client client;
    begin(&client, "1.1");
    loop_post(&f.loop, &server.answer);
    assert_true(wait_until(is_waiting));
    break_off(&client);
    assert_true(wait_until(is_gone));
    assert_true(wait_until(nobody_is_connected));
}

static void test_a_client_that_breaks_off_before_the_answer_ends_with_it(void **state)
{
    (void)state;
    static struct client client;
    begin(&client, "1.1");
    break_off(&client);
    assert_true(wait_until(is_idle)); /* the hint's write has failed */
    loop_post(&f.loop, &server.answer);
    assert_true(wait_until(is_gone));
    assert_true(wait_until(nobody_is_connected));
}

static void test_15_2_an_http_1_0_client_gets_none(void **state)
{
    (void)state;
    static struct client client;
    begin(&client, "1.0");
    loop_post(&f.loop, &server.answer);
    assert_string_equal(client_answer(&client).body, "body!\n");
    assert_true(is_closed(&client));
    assert_false(is_waiting());
    client_close(&client);
}

/* --- HTTP/2 --- */

enum { HINT_BYTES = 1000, HINTS = 100, HINTS_MAX = 32 * 1024 / HINT_BYTES + 1 };

/* All in one turn of the loop: nothing of it is written before the last. */
static void deliver_many_hints(struct loop_message *message)
{
    (void)message;
    server.sink = sink_new(f.held, &events, NULL);
    for (size_t i = 0; i < HINTS; i++) {
        memset(server.padding, '\x7f', HINT_BYTES); /* Huffman does not make it shorter */
        server.padding[0] = (char)i;                /* each of its own: HPACK does not either */
        send_hint(103, HINT_BYTES);
    }
    atomic_fetch_add(&server.hints_sent, 1);
}

static int start_hinting(void **state)
{
    memset(&server, 0, sizeof(server));
    server.hint.deliver = deliver_many_hints;
    server.answer.deliver = deliver_answer;
    return start_tls(state);
}

static void connect_h2(struct client *client)
{
    static const char request[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                  "\0\0\0\4\0\0\0\0\0"     /* SETTINGS */
                                  "\0\0\x14\1\5\0\0\0\1"   /* HEADERS of stream 1, all of it */
                                  "\x82\x87\4\5/hold\1\x9" /* GET https :path :authority */
                                  "a.example";
    client_connect(client);
    client->tls = SSL_new(client_tls);
    SSL_set_alpn_protos(client->tls, (const unsigned char *)"\2h2", 3);
    SSL_set_fd(client->tls, client->fd);
    assert_int_equal(SSL_connect(client->tls), 1);
    client_send(client, request, sizeof(request) - 1);
}

/* Heads of stream 1 until its last frame has come. */
static size_t count_heads(struct client *client)
{
    size_t heads = 0;
    for (;;) {
        const unsigned char *frame = (const unsigned char *)client->bytes;
        size_t length = client->count < 9 ? 0 : 9u + frame[0] * 65536u + frame[1] * 256u + frame[2];
        if (length == 0 || client->count < length) {
            assert_true(client_receive(client));
            continue;
        }
        bool is_last = frame[8] == 1 && frame[3] <= 1 && (frame[4] & 1);
        heads += frame[3] == 1;
        client_drop(client, length);
        if (is_last)
            return heads;
    }
}

static void test_http2_hints_that_wait_to_be_written_are_bounded(void **state)
{
    (void)state;
    static struct client client;
    connect_h2(&client);
    assert_true(wait_until(is_holding));
    loop_post(&f.loop, &server.hint);
    assert_true(wait_until(hints_are_sent));
    loop_post(&f.loop, &server.answer);
    assert_in_range(count_heads(&client), 20, HINTS_MAX + 1);
    assert_true(wait_until(is_gone));
    client_close(&client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop_front)
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(test_the_answer_comes_behind_the_hints_and_what_is_too_much_is_dropped),
        TEST(test_hints_that_are_written_before_the_answer_leave_no_trace),
        TEST(test_a_client_that_breaks_off_while_the_answer_waits_ends_the_request),
        TEST(test_a_client_that_breaks_off_before_the_answer_ends_with_it),
        TEST(test_15_2_an_http_1_0_client_gets_none),
        cmocka_unit_test_setup_teardown(test_http2_hints_that_wait_to_be_written_are_bounded,
                                        start_hinting, stop_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
