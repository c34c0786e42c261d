/*
 * A real front with TLS: HTTP/2 frame by frame, floods, and HTTP/1 over TLS.
 */
#include "tests/unit/edge/front_tls_fixture.h"

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION };
enum { END_STREAM = 1, END_HEADERS = 4 };
enum { ENHANCE_YOUR_CALM = 11 };

/* --- fixture --- */

static void connect_tls(struct client *client, const char *protocol)
{
    client_connect(client);
    client->tls = SSL_new(client_tls);
    SSL_set_alpn_protos(client->tls, (const unsigned char *)protocol, (unsigned)strlen(protocol));
    SSL_set_fd(client->tls, client->fd);
    assert_int_equal(SSL_connect(client->tls), 1);
}

/* --- writing frames --- */

struct output {
    char bytes[CLIENT_BYTES];
    size_t count;
};

static void put(struct output *out, const void *bytes, size_t count)
{
    assert_true(out->count + count <= sizeof(out->bytes));
    memcpy(out->bytes + out->count, bytes, count);
    out->count += count;
}

static void put_frame(struct output *out, int type, int flags, uint32_t stream, slice payload)
{
    unsigned char header[9] = {(unsigned char)(payload.len >> 16),
                               (unsigned char)(payload.len >> 8),
                               (unsigned char)payload.len,
                               (unsigned char)type,
                               (unsigned char)flags,
                               (unsigned char)(stream >> 24),
                               (unsigned char)(stream >> 16),
                               (unsigned char)(stream >> 8),
                               (unsigned char)stream};
    put(out, header, sizeof(header));
    put(out, payload.ptr ? payload.ptr : "", payload.len);
}

/* Literal without indexing, no Huffman: RFC 7541 §6.2.2. */
static void put_field(struct output *block, const char *name, const char *value)
{
    size_t name_bytes = strlen(name), value_bytes = strlen(value);
    assert_true(name_bytes < 127 && value_bytes < 127);
    put(block, (char[]){0, (char)name_bytes}, 2);
    put(block, name, name_bytes);
    put(block, (char[]){(char)value_bytes}, 1);
    put(block, value, value_bytes);
}

struct field_pair {
    const char *name, *value;
};

static void put_request(struct output *out, uint32_t stream, int flags, const char *path,
                        const struct field_pair *fields)
{
    static struct output block;
    block.count = 0;
    put_field(&block, ":method", "GET");
    put_field(&block, ":scheme", "https");
    put_field(&block, ":path", path);
    for (; fields->name; fields++)
        put_field(&block, fields->name, fields->value);
    put_frame(out, HEADERS, flags, stream, slice_of(block.bytes, block.count));
}

static const struct field_pair authority[] = {{":authority", "a.example"}, {0}};

static void flush_output(struct client *client, struct output *out)
{
    client_send(client, out->bytes, out->count);
    out->count = 0;
}

static void connect_h2(struct client *client, struct output *out)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    connect_tls(client, "\x02h2");
    out->count = 0;
    put(out, preface, sizeof(preface) - 1);
    put_frame(out, SETTINGS, 0, 0, SLICE_NONE);
}

/* --- reading frames --- */

struct frame {
    int type; /* -1: the connection ended */
    uint32_t stream, error;
    char payload[TEXT_BYTES];
};

static uint32_t u32(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static struct frame read_frame(struct client *client)
{
    struct frame frame = {.type = -1};
    while (client->count < 9 || client->count < 9 + (u32(client->bytes) >> 8))
        if (!client_receive(client))
            return frame;
    size_t length = u32(client->bytes) >> 8;
    frame.type = client->bytes[3];
    frame.stream = u32(client->bytes + 5);
    snprintf(frame.payload, sizeof(frame.payload), "%.*s", (int)length, client->bytes + 9);
    if (frame.type == GOAWAY)
        frame.error = u32(client->bytes + 9 + 4);
    client_drop(client, 9 + length);
    return frame;
}

static struct frame read_until(struct client *client, int type)
{
    struct frame frame;
    do
        frame = read_frame(client);
    while (frame.type != type && frame.type != -1);
    return frame;
}

/* Sends one request on a fresh connection, returns the body of the answer. */
static void ask_h2(const char *path, const struct field_pair *fields, char body[TEXT_BYTES])
{
    struct client client;
    static struct output out;
    connect_h2(&client, &out);
    put_request(&out, 1, END_STREAM | END_HEADERS, path, fields);
    flush_output(&client, &out);
    struct frame frame = read_until(&client, DATA);
    snprintf(body, TEXT_BYTES, "%s", frame.type == DATA ? frame.payload : "");
    client_close(&client);
}

/* --- requests --- */

static void test_http_2_requests_reach_the_handler(void **state)
{
    (void)state;
    char body[TEXT_BYTES];
    ask_h2("/p?q", authority, body);
    assert_non_null(strstr(body, "GET https://a.example/p?q fields=0"));
    ask_h2("/", (struct field_pair[]){{"host", "A.example:443"}, {0}}, body);
    assert_non_null(strstr(body, "GET https://a.example/ fields=0"));
    ask_h2("/",
           (struct field_pair[]){
               {":authority", "a.example"}, {"cookie", "a=b"}, {"x", "y"}, {"cookie", "c=d"}, {0}},
           body);
    assert_non_null(strstr(body, "fields=2"));
    assert_non_null(strstr(body, "cookie=a=b; c=d\n"));
}

static void test_1_5_host_and_authority_that_differ_get_400(void **state)
{
    (void)state;
    char body[TEXT_BYTES];
    ask_h2("/", (struct field_pair[]){{":authority", "a.example"}, {"host", "b.example"}, {0}},
           body);
    assert_non_null(strstr(body, "\"status\":400"));
    ask_h2("/", (struct field_pair[]){{":authority", "a.example"}, {"host", "A.EXAMPLE"}, {0}},
           body);
    assert_non_null(strstr(body, "GET https://a.example/ "));
    ask_h2("/", (struct field_pair[]){{0}}, body);
    assert_non_null(strstr(body, "\"status\":400"));
}

static void test_malformed_http_2_requests_get_our_400(void **state)
{
    (void)state;
    static const char *const paths[] = {"/a b", "/a\tb", "/a%00", "/a%250a", "*", "a", "/a#b"};
    char body[TEXT_BYTES];
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        ask_h2(paths[i], authority, body);
        assert_non_null(strstr(body, "\"status\":400"));
    }
    ask_h2("/", (struct field_pair[]){{":authority", "a.example"}, {"x", "a\rb"}, {0}}, body);
    assert_non_null(strstr(body, "\"status\":400"));
    ask_h2("/", (struct field_pair[]){{":authority", "a/b"}, {0}}, body);
    assert_non_null(strstr(body, "\"status\":400"));
}

static void test_http_2_limits_are_those_of_http_1(void **state)
{
    (void)state;
    char body[TEXT_BYTES];
    struct field_pair many[30] = {{":authority", "a.example"}};
    for (size_t i = 1; i <= 21; i++)
        many[i] = (struct field_pair){"x", "y"};
    ask_h2("/", many, body);
    assert_non_null(strstr(body, "\"status\":431"));
}

static void test_unfinished_bodies_are_counted_and_given_back(void **state)
{
    (void)state;
    struct client client;
    static struct output out;
    static const char bytes[900] = "body";
    connect_h2(&client, &out);
    put_request(&out, 1, END_HEADERS, "/", authority);
    put_frame(&out, DATA, 0, 1, slice_of(bytes, sizeof(bytes)));
    put_frame(&out, PING, 0, 0, SLICE("12345678"));
    flush_output(&client, &out);
    assert_int_equal(read_until(&client, PING).type, PING); /* so the server has counted them */
    struct client other;
    static struct output more;
    connect_h2(&other, &more);
    put_request(&more, 1, END_HEADERS, "/", authority);
    put_frame(&more, DATA, 0, 1, slice_of(bytes, sizeof(bytes)));
    flush_output(&other, &more);
    struct frame refusal = read_until(&other, DATA); /* of this stream, and of nothing else */
    assert_non_null(strstr(refusal.payload, "\"status\":503"));
    put_frame(&more, DATA, END_STREAM, 1, slice_of(bytes, sizeof(bytes)));
    put_request(&more, 3, END_STREAM | END_HEADERS, "/", authority);
    flush_output(&other, &more);
    struct frame answer = read_until(&other, DATA);
    assert_int_equal(answer.stream, 3);
    assert_non_null(strstr(answer.payload, "GET https://a.example/ "));
    client_close(&other);
    put_frame(&out, DATA, END_STREAM, 1, SLICE_NONE);
    flush_output(&client, &out);
    struct frame frame = read_until(&client, DATA);
    assert_non_null(strstr(frame.payload, "body=body"));
    client_close(&client);
}

/* --- floods --- */

static bool is_served(void)
{
    char body[TEXT_BYTES];
    ask_h2("/", authority, body);
    return strstr(body, "GET https://a.example/ ") != NULL;
}

/* Sends until the server has had enough; what it says then. */
static struct frame flood(void (*put_one)(struct output *out, uint32_t i), uint32_t count)
{
    struct client client;
    static struct output out;
    connect_h2(&client, &out);
    for (uint32_t i = 0; i < count; i++) {
        put_one(&out, i);
        if (out.count > sizeof(out.bytes) / 2)
            flush_output(&client, &out);
    }
    flush_output(&client, &out);
    struct frame frame = read_until(&client, GOAWAY);
    client_close(&client);
    return frame;
}

static void put_reset_request(struct output *out, uint32_t i)
{
    put_request(out, i * 2 + 1, END_STREAM | END_HEADERS, "/", authority);
    put_frame(out, RST_STREAM, 0, i * 2 + 1, slice_of("\0\0\0\x08", 4));
}

static void put_ping(struct output *out, uint32_t i)
{
    (void)i;
    put_frame(out, PING, 0, 0, SLICE("12345678"));
}

static void put_settings(struct output *out, uint32_t i)
{
    (void)i;
    put_frame(out, SETTINGS, 0, 0, SLICE_NONE);
}

static void put_empty_data(struct output *out, uint32_t i)
{
    if (i == 0)
        put_request(out, 1, END_HEADERS, "/", authority);
    put_frame(out, DATA, 0, 1, SLICE_NONE);
}

static void put_continuation(struct output *out, uint32_t i)
{
    if (i == 0)
        put_request(out, 1, END_STREAM, "/", authority);
    put_frame(out, CONTINUATION, 0, 1, SLICE("\0\1x\1y"));
}

/* More than the sockets hold would block the test: the server stops reading, as it should. */
static void test_20000_rapid_resets_are_cut_early_while_others_are_served(void **state)
{
    (void)state;
    struct timeval patience = {.tv_sec = 5};
    struct client client;
    static struct output out;
    connect_h2(&client, &out);
    setsockopt(client.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    for (uint32_t i = 0; i < 20000; i++) {
        put_reset_request(&out, i);
        if (out.count > sizeof(out.bytes) / 2)
            flush_output(&client, &out);
        if (i % 5000 == 0)
            assert_true(is_served());
    }
    flush_output(&client, &out);
    assert_true(is_served());
    assert_int_equal(front_stats(f.front).h2_floods, 1);
    assert_true(atomic_load(&f.handled) < 200);
    client_close(&client);
}

static void test_a_flood_is_answered_with_enhance_your_calm(void **state)
{
    (void)state;
    assert_int_equal(flood(put_reset_request, 30).error, ENHANCE_YOUR_CALM);
    assert_int_equal(flood(put_ping, 150).error, ENHANCE_YOUR_CALM);
    assert_int_equal(flood(put_settings, 150).error, ENHANCE_YOUR_CALM);
    assert_int_equal(flood(put_empty_data, 150).error, ENHANCE_YOUR_CALM);
    assert_int_equal(front_stats(f.front).h2_floods, 4);
    assert_true(is_served());
}

static void test_a_continuation_flood_ends_the_connection(void **state)
{
    (void)state;
    assert_int_equal(flood(put_continuation, 40).type, GOAWAY);
    assert_int_equal(front_stats(f.front).h2_floods, 1);
    assert_true(is_served());
}

/* --- the rest --- */

static void test_http_1_over_tls_passes_the_same_gate(void **state)
{
    (void)state;
    struct client client;
    connect_tls(&client, "\x08http/1.1");
    struct answered a = ask(&client, "GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n"
                                     "GET /2 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
    assert_non_null(strstr(a.body, "GET https://a.example/1 "));
    assert_non_null(strstr(client_answer(&client).body, "GET https://a.example/2 "));
    assert_int_equal(ask(&client, "GET / HTTP/1.1\nHost: a.example\n\n").status, 400);
    assert_true(is_closed(&client));
    client_close(&client);
}

static void test_draining_says_goaway(void **state)
{
    (void)state;
    struct client client;
    static struct output out;
    connect_h2(&client, &out);
    put_request(&out, 1, END_STREAM | END_HEADERS, "/hold", authority);
    flush_output(&client, &out);
    assert_true(wait_until(is_holding));
    loop_post(&f.loop, &f.drain);
    assert_int_equal(read_until(&client, GOAWAY).error, 0);
    loop_post(&f.loop, &f.release);
    assert_string_equal(read_until(&client, DATA).payload, "released\n");
    assert_int_equal(read_until(&client, -1).type, -1);
    client_close(&client);
}

#define TLS_TEST(test) cmocka_unit_test_setup_teardown(test, start_tls, stop_tls)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS_TEST(test_http_2_requests_reach_the_handler),
        TLS_TEST(test_1_5_host_and_authority_that_differ_get_400),
        TLS_TEST(test_malformed_http_2_requests_get_our_400),
        TLS_TEST(test_http_2_limits_are_those_of_http_1),
        TLS_TEST(test_unfinished_bodies_are_counted_and_given_back),
        TLS_TEST(test_20000_rapid_resets_are_cut_early_while_others_are_served),
        TLS_TEST(test_a_flood_is_answered_with_enhance_your_calm),
        TLS_TEST(test_a_continuation_flood_ends_the_connection),
        TLS_TEST(test_http_1_over_tls_passes_the_same_gate),
        TLS_TEST(test_draining_says_goaway),
    };
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
