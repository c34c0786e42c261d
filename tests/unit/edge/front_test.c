/*
 * A real front on 127.0.0.1, driven with raw HTTP/1 bytes.
 */
#include "tests/unit/edge/front_fixture.h"

#define HOST "Host: a.example\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST

/* --- the table --- */

enum state { OPEN, CLOSED };
struct raw {
    const char *name, *bytes;
    size_t length;
    unsigned status;
    enum state state;
};
#undef HOST
static const struct raw raws[] = {
#define RAW(name, bytes, status, state) {name, bytes, sizeof(bytes) - 1, status, state},
#include "tests/data/raw_requests.def"
#undef RAW
};
#define HOST "Host: a.example\r\n"
enum { RAW_COUNT = sizeof(raws) / sizeof(raws[0]) };

static void check_ours(const struct raw *raw, const struct answered *a)
{
    if (raw->status == 200)
        return;
    assert_non_null(strcasestr(a->head, "content-type: application/problem+json"));
    assert_non_null(strcasestr(a->head, "cache-control: no-store"));
    assert_non_null(strcasestr(a->head, "x-request-id: "));
    assert_non_null(strstr(a->body, "\"status\":"));
    assert_non_null(strstr(a->body, "\"reason\":\"policy\""));
    assert_int_equal(atomic_load(&f.last_refusal), raw->status);
}

static void run_raw(const struct raw *raw, size_t piece)
{
    struct client client;
    client_connect(&client);
    client.asked_head = strncmp(raw->bytes, "HEAD ", 5) == 0;
    for (size_t at = 0; at < raw->length; at += piece)
        client_send(&client, raw->bytes + at, raw->length - at < piece ? raw->length - at : piece);
    struct answered a = client_answer(&client);
    if (a.status == 100) /* in pieces, the body may come late enough to be asked for */
        a = client_answer(&client);
    bool state_is_right = raw->state == OPEN ? is_open(&client) : is_closed(&client);
    if (a.status != raw->status || !state_is_right)
        print_error("\"%s\": %u instead of %u, connection %s\n", raw->name, a.status, raw->status,
                    state_is_right ? "right" : "wrong");
    assert_int_equal(a.status, raw->status);
    check_ours(raw, &a);
    assert_true(state_is_right);
    client_close(&client);
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
    f.policy.limits.request_bodies_bytes = 10000; /* large trailers are refused for what they are */
    for (size_t i = 0; i < RAW_COUNT; i++)
        run_raw(&raws[i], raws[i].length > 200 ? 97 : 7);
}

/* --- several requests on a connection --- */

static void test_pipelined_requests_are_answered_in_order_until_a_bad_one(void **state)
{
    (void)state;
    struct client client;
    client_connect(&client);
    struct answered a = ask(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\n"
                                     "POST /2 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                                     "GET /3 HTTP/1.1\r\n" HOST "\r\n"
                                     "GET /4 HTTP/1.1\nHost: a.example\n\n");
    assert_non_null(strstr(a.body, "GET http://a.example/1 "));
    a = client_answer(&client);
    assert_non_null(strstr(a.body, "POST http://a.example/2 "));
    assert_non_null(strstr(a.body, "body=abc"));
    a = client_answer(&client);
    assert_non_null(strstr(a.body, "GET http://a.example/3 "));
    assert_int_equal(client_answer(&client).status, 400);
    assert_true(is_closed(&client));
    client_close(&client);
}

static void test_nothing_behind_a_chunked_request_is_read(void **state)
{
    (void)state;
    struct client client;
    unsigned before = atomic_load(&f.handled);
    client_connect(&client);
    struct answered a =
        ask(&client, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                     "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n" HOST "\r\n");
    assert_non_null(strstr(a.body, "body=abcde"));
    assert_non_null(strcasestr(a.head, "connection: close"));
    assert_true(is_closed(&client));
    assert_int_equal(atomic_load(&f.handled), before + 1);
    client_close(&client);
}

static void test_a_waiting_client_is_told_to_continue_once(void **state)
{
    (void)state;
    struct client client;
    client_connect(&client);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask(&client, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
                                      "Content-Length: 4\r\n\r\n")
                             .status,
                         100);
        struct answered a = ask(&client, "body");
        assert_int_equal(a.status, 200);
        assert_non_null(strstr(a.body, "fields=0 body=body"));
    }
    assert_int_equal(ask(&client, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
                                  "Content-Length: 1001\r\n\r\n")
                         .status,
                     413);
    assert_true(is_closed(&client));
    client_close(&client);
}

static void test_absolute_form_reaches_the_handler_as_origin_form(void **state)
{
    (void)state;
    struct client client;
    client_connect(&client);
    struct answered a = ask(&client, "GET http://a.example/p?q HTTP/1.1\r\n" HOST "\r\n");
    assert_non_null(strstr(a.body, "GET http://a.example/p?q "));
    a = ask(&client, "GET http://a.example HTTP/1.1\r\n" HOST "\r\n");
    assert_non_null(strstr(a.body, "GET http://a.example/ "));
    a = ask(&client, "POST http://a.example?q HTTP/1.1\r\n" HOST
                     "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab");
    if (a.status == 100)
        a = client_answer(&client);
    assert_non_null(strstr(a.body, "POST http://a.example/?q "));
    assert_non_null(strstr(a.body, "body=ab "));
    client_close(&client);
}

/* --- who asks --- */

static void test_a_trusted_peers_request_id_is_kept_if_it_is_one(void **state)
{
    (void)state;
    struct client client;
    client_connect(&client);
    assert_non_null(strstr(ask(&client, GET "X-Request-Id: A-b_1.\r\n\r\n").body, "id=A-b_1. "));
    assert_null(strstr(ask(&client, GET "X-Request-Id: a b\r\n\r\n").body, "id=a b"));
    assert_null(strstr(ask(&client, GET "X-Request-Id:\r\n\r\n").body, "id= "));
    client_close(&client);
}

static void test_1_7_a_trusted_peer_names_scheme_and_client(void **state)
{
    (void)state;
    struct client client;
    client_connect(&client);
    struct answered a = ask(&client, "GET / HTTP/1.1\r\nHost: A.Example.:443\r\n"
                                     "X-Forwarded-Proto: https\r\n"
                                     "X-Forwarded-For: 192.0.2.7\r\n\r\n");
    assert_non_null(strstr(a.body, "GET https://a.example/ "));
    assert_non_null(strstr(a.body, "client=192.0.2.7 "));
    client_close(&client);
}

static int start_with_proxy_protocol(void **state)
{
    (void)state;
    prepare();
    f.listen.proxy_protocol = true;
    launch();
    return 0;
}

static void test_the_proxy_protocol_names_client_and_scheme(void **state)
{
    (void)state;
    static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x14\xc0\x00\x02\x09\x7f\x00\x00\x01"
                             "\x12\x34\x01\xbb\x20\x00\x05\x01\x00\x00\x00\x00" GET "\r\n";
    struct client client;
    client_connect(&client);
    struct answered a = ask(&client, "PROXY TCP4 192.0.2.8 127.0.0.1 5000 80\r\n" GET "\r\n");
    assert_non_null(strstr(a.body, "GET http://a.example/ "));
    assert_non_null(strstr(a.body, "client=192.0.2.8 "));
    assert_true(is_open(&client));
    client_close(&client);
    client_connect(&client);
    for (size_t i = 0; i < sizeof(v2) - 1; i++)
        client_send(&client, v2 + i, 1);
    a = client_answer(&client);
    assert_non_null(strstr(a.body, "GET https://a.example/ "));
    assert_non_null(strstr(a.body, "client=192.0.2.9 "));
    client_close(&client);
}

static void test_without_its_proxy_header_a_connection_is_closed(void **state)
{
    (void)state;
    struct client client;
    client_connect(&client);
    assert_int_equal(ask(&client, GET "\r\n").status, 0);
    client_close(&client);
}

/* --- limits --- */

static struct answered post_1000(struct client *client, const char *body)
{
    static const char head[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n";
    client_send(client, head, sizeof(head) - 1);
    return ask(client, body);
}

static void test_9_5_bodies_beyond_the_memory_for_all_get_503(void **state)
{
    (void)state;
    struct client first, second;
    client_connect(&first);
    client_connect(&second);
    assert_int_equal(ask(&first, "POST / HTTP/1.1\r\n" HOST
                                 "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
                         .status,
                     100);
    static char body[1001] = "";
    memset(body, 'x', 1000);
    /* what is only announced takes no room */
    assert_int_equal(post_1000(&second, body).status, 200);
    client_send(&first, body, 900);
    while (post_1000(&second, body).status == 200) /* until that has been taken */
        ;
    client_close(&second);
    client_connect(&second);
    unsigned seen = 0;
    for (int i = 0; i < 30; i++) { /* who is refused together does not come back together (5.2) */
        struct answered a = post_1000(&second, body);
        assert_int_equal(a.status, 503);
        const char *field = strcasestr(a.head, "retry-after: ");
        assert_non_null(field);
        long seconds = strtol(field + 13, NULL, 10);
        assert_in_range(seconds, 2, 10);
        seen |= 1u << seconds;
        assert_true(is_closed(&second));
        client_close(&second);
        client_connect(&second);
    }
    assert_true((seen & (seen - 1)) != 0);
    client_close(&second);
    assert_int_equal(ask(&first, body + 900).status, 200); /* and given back */
    client_connect(&second);
    assert_int_equal(post_1000(&second, body).status, 200);
    client_close(&first);
    client_close(&second);
}

static void test_when_full_the_longest_idle_connection_gives_way(void **state)
{
    (void)state;
    enum { LIMIT = 20 };
    static struct client clients[LIMIT + 1];
    for (size_t i = 0; i < LIMIT; i++) {
        client_connect(&clients[i]);
        assert_true(is_open(&clients[i]));
    }
    assert_true(is_open(&clients[0])); /* so the second is idle for the longest time */
    client_connect(&clients[LIMIT]);
    assert_true(is_open(&clients[LIMIT]));
    assert_true(is_closed(&clients[1]));
    assert_true(is_open(&clients[0]));
    assert_true(front_stats(f.front).refused_full >= 1);
    for (size_t i = 0; i <= LIMIT; i++)
        client_close(&clients[i]);
}

static int start_impatient(void **state)
{
    (void)state;
    prepare();
    duration enough_to_send = {300};
    f.policy.limits.header_timeout = f.policy.limits.idle = enough_to_send;
    launch();
    return 0;
}

static void test_a_slow_head_gets_408_and_an_idle_connection_is_closed(void **state)
{
    (void)state;
    struct client slow, idle;
    client_connect(&slow);
    client_connect(&idle);
    struct answered a = ask(&slow, "GET / HT");
    assert_int_equal(a.status, 408);
    assert_true(is_closed(&slow));
    assert_true(is_closed(&idle));
    client_close(&slow);
    client_close(&idle);
}

/* --- waiting and draining --- */

static bool is_known_as_gone(void)
{
    loop_post(&f.loop, &f.look);
    return atomic_load(&f.is_gone);
}

static void test_a_client_that_leaves_while_waiting_is_known_as_gone(void **state)
{
    (void)state;
    struct client client;
    client_connect(&client);
    client_send(&client, "GET /hold HTTP/1.1\r\n" HOST "\r\n", 39);
    assert_true(wait_until(is_holding));
    client_close(&client);
    assert_true(wait_until(is_known_as_gone));
    loop_post(&f.loop, &f.release);
    assert_true(wait_until(nobody_is_connected));
}

static void test_draining_answers_what_runs_and_closes(void **state)
{
    (void)state;
    struct client busy, idle;
    client_connect(&busy);
    client_connect(&idle);
    assert_true(is_open(&idle));
    client_send(&busy, "GET /hold HTTP/1.1\r\n" HOST "\r\n", 39);
    assert_true(wait_until(is_holding));
    loop_post(&f.loop, &f.drain);
    loop_post(&f.loop, &f.release);
    struct answered a = client_answer(&busy);
    assert_string_equal(a.body, "released\n");
    assert_non_null(strcasestr(a.head, "connection: close"));
    assert_true(is_closed(&busy));
    assert_true(is_closed(&idle));
    client_close(&busy);
    client_close(&idle);
}

#define FRONT_TEST(test) cmocka_unit_test_setup_teardown(test, start_front, stop_front)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRONT_TEST(test_raw_requests_get_the_status_and_connection_state_of_the_table),
        FRONT_TEST(test_raw_requests_in_pieces_mean_the_same),
        FRONT_TEST(test_pipelined_requests_are_answered_in_order_until_a_bad_one),
        FRONT_TEST(test_nothing_behind_a_chunked_request_is_read),
        FRONT_TEST(test_a_waiting_client_is_told_to_continue_once),
        FRONT_TEST(test_absolute_form_reaches_the_handler_as_origin_form),
        FRONT_TEST(test_a_trusted_peers_request_id_is_kept_if_it_is_one),
        FRONT_TEST(test_1_7_a_trusted_peer_names_scheme_and_client),
        cmocka_unit_test_setup_teardown(test_the_proxy_protocol_names_client_and_scheme,
                                        start_with_proxy_protocol, stop_front),
        cmocka_unit_test_setup_teardown(test_without_its_proxy_header_a_connection_is_closed,
                                        start_with_proxy_protocol, stop_front),
        FRONT_TEST(test_9_5_bodies_beyond_the_memory_for_all_get_503),
        FRONT_TEST(test_when_full_the_longest_idle_connection_gives_way),
        cmocka_unit_test_setup_teardown(test_a_slow_head_gets_408_and_an_idle_connection_is_closed,
                                        start_impatient, stop_front),
        FRONT_TEST(test_a_client_that_leaves_while_waiting_is_known_as_gone),
        FRONT_TEST(test_draining_answers_what_runs_and_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
