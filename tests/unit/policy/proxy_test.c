/* policy/proxy.c, policy/host.c: clients behind proxies, hosts (semantics 1.1, 1.7, 2.8). */
#include "policy/proxy.h"

#include "tests/unit/policy/request_support.h"

#define POLICY                                                                                     \
    "renderer: http://127.0.0.1:3000\nroutes: [{match: \"/**\"}]\n"                                \
    "trusted_proxies: [10.0.0.0/8, \"2001:db8::/32\"]\n"

static void check_client(const char *peer, const char *lines, const char *expected)
{
    char text[IP_TEXT_BYTES];
    struct setup s;
    setup_init(&s, POLICY);
    s.request = request_of(&s.arena, arena_printf(&s.arena, "GET http://h/\n%s", lines).ptr);
    s.request.peer = (struct ip_address){.is_local = true};
    if (strcmp(peer, "unix") != 0)
        assert_true(ip_parse(slice_of_string(peer), &s.request.peer));
    proxy_resolve(s.policy, &s.request.fields, &s.request);
    assert_slice(ip_format(&s.request.client, text), expected);
    setup_fini(&s);
}

static void test_2_8_the_last_untrusted_hop_from_the_right_is_the_client(void **state)
{
    (void)state;
    check_client("10.0.0.1", "X-Forwarded-For: 203.0.113.5", "203.0.113.5");
    check_client("10.0.0.1", "X-Forwarded-For: 1.2.3.4, 203.0.113.5, 10.9.9.9", "203.0.113.5");
    check_client("10.0.0.1", "X-Forwarded-For: 1.2.3.4\nX-Forwarded-For: 203.0.113.5",
                 "203.0.113.5");
    check_client("203.0.113.9", "X-Forwarded-For: 1.2.3.4", "203.0.113.9");
    check_client("127.0.0.1", "X-Forwarded-For: 127.0.0.1, 203.0.113.5", "203.0.113.5");
    check_client("unix", "X-Forwarded-For: 203.0.113.5", "203.0.113.5");
    check_client("10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2", "10.0.0.3");
    check_client("10.0.0.1", "", "10.0.0.1");
    check_client("10.0.0.1", "X-Forwarded-For:", "10.0.0.1");
}

static void test_2_8_what_cannot_be_read_is_somebody_unknown_never_the_proxy(void **state)
{
    (void)state;
    check_client("10.0.0.1", "X-Forwarded-For: 1.2.3.4, unknown", "unknown");
    check_client("10.0.0.1", "X-Forwarded-For: 1.2.3.4, evil, 10.0.0.2", "unknown");
    check_client("127.0.0.1", "X-Forwarded-For: 999.1.1.1", "unknown");
    check_client("unix", "X-Forwarded-For: \"127.0.0.1\"", "unknown");
    check_client("127.0.0.1", "Forwarded: for=_hidden", "unknown");
    check_client("127.0.0.1", "Forwarded: for=127.0.0.1, proto=https", "unknown");
    check_client("127.0.0.1", "Forwarded: for=\"127.0.0.1", "unknown");
    check_client("203.0.113.9", "X-Forwarded-For: evil", "203.0.113.9");
}

static void test_2_8_a_quote_left_open_swallows_nothing_that_a_proxy_appended(void **state)
{
    (void)state;
    check_client("127.0.0.1", "X-Forwarded-For: \", 203.0.113.5", "203.0.113.5");
    check_client("127.0.0.1", "X-Forwarded-For: \"a, 127.0.0.1, 203.0.113.5", "203.0.113.5");
    check_client("127.0.0.1", "X-Forwarded-For: \"\nX-Forwarded-For: 203.0.113.5", "203.0.113.5");
    check_client("127.0.0.1", "Forwarded: for=\", for=203.0.113.5", "203.0.113.5");
    check_client("127.0.0.1", "Forwarded: for=\", for=\"[2001:db9::1]:80\"", "2001:db9::1");
    check_client("127.0.0.1", "Forwarded: for=127.0.0.1;by=\"\\, for=203.0.113.5;by=\"_a\"",
                 "203.0.113.5");
    check_client("127.0.0.1", "Forwarded: for=127.0.0.1;by=\"x\\\", for=203.0.113.5",
                 "203.0.113.5");
}

static void test_2_8_quoted_commas_semicolons_and_quotes_part_nothing(void **state)
{
    (void)state;
    check_client("127.0.0.1", "Forwarded: for=203.0.113.5;host=\"a, for=127.0.0.1\"",
                 "203.0.113.5");
    check_client("127.0.0.1", "Forwarded: host=\"a;for=127.0.0.1\";for=203.0.113.5", "203.0.113.5");
    check_client("127.0.0.1", "Forwarded: for=203.0.113.5;host=\"\\\", for=127.0.0.1\"",
                 "203.0.113.5");
    check_client("127.0.0.1", "Forwarded: for=1.1.1.1, for=203.0.113.5;host=\"a\\\\\"",
                 "203.0.113.5");
}

static void test_2_8_ports_and_forwarded(void **state)
{
    (void)state;
    check_client("10.0.0.1", "X-Forwarded-For: 203.0.113.5:4711", "203.0.113.5");
    check_client("10.0.0.1", "X-Forwarded-For: [2001:db9::1]:80", "2001:db9::1");
    check_client("10.0.0.1", "X-Forwarded-For: 2001:db9::1", "2001:db9::1");
    check_client("10.0.0.1", "Forwarded: for=1.1.1.1, For=\"[2001:db9::1]:4711\";proto=https",
                 "2001:db9::1");
    check_client("2001:db8::5", "Forwarded: for=203.0.113.5;by=10.0.0.1, for=\"[2001:db8::6]\"",
                 "203.0.113.5");
    check_client("10.0.0.1", "Forwarded: for=1.1.1.1\nX-Forwarded-For: 2.2.2.2", "2.2.2.2");
}

static void check_scheme(const char *peer, const char *listener, const char *lines,
                         const char *expected)
{
    struct setup s;
    setup_init(&s, POLICY);
    s.request =
        request_of(&s.arena, arena_printf(&s.arena, "GET %s://h/\n%s", listener, lines).ptr);
    assert_true(ip_parse(slice_of_string(peer), &s.request.peer));
    proxy_resolve(s.policy, &s.request.fields, &s.request);
    assert_slice(s.request.scheme, expected);
    setup_fini(&s);
}

static void test_1_7_scheme(void **state)
{
    (void)state;
    check_scheme("10.0.0.1", "http", "X-Forwarded-Proto: https", "https");
    check_scheme("10.0.0.1", "https", "X-Forwarded-Proto: https, HTTP", "http");
    check_scheme("10.0.0.1", "http", "X-Forwarded-Proto: wss", "http");
    check_scheme("10.0.0.1", "https", "X-Forwarded-Proto:", "https");
    check_scheme("10.0.0.1", "http", "Forwarded: proto=http, for=x; Proto=\"https\"", "https");
    check_scheme("10.0.0.1", "http", "X-Forwarded-Proto: \", https", "https");
    check_scheme("10.0.0.1", "http", "Forwarded: for=\", proto=https", "https");
    check_scheme("10.0.0.1", "https", "Forwarded: host=\";proto=http\";proto=https", "https");
    check_scheme("203.0.113.9", "http", "X-Forwarded-Proto: https", "http");
    check_scheme("203.0.113.9", "http", "Forwarded: proto=https", "http");
    check_scheme("127.0.0.1", "http", "X-Forwarded-Proto: https", "https");
}

static void test_1_1_hosts_are_normalised(void **state)
{
    static const char *const cases[][3] = {
        {"Shop.Example", "http", "shop.example"},
        {"shop.example.", "http", "shop.example"},
        {"shop.example.:80", "http", "shop.example"},
        {"shop.example:80", "https", "shop.example:80"},
        {"shop.example:443", "https", "shop.example"},
        {"shop.example:00443", "https", "shop.example"},
        {"shop.example:8080", "http", "shop.example:8080"},
        {"shop.example:", "http", "shop.example"},
        {"127.0.0.1:8080", "http", "127.0.0.1:8080"},
        {"[::1]:8080", "http", "[::1]:8080"},
        {"[2001:DB8::1]", "http", "[2001:db8::1]"},
        {"a_b-c", "http", "a_b-c"},
        {"", "http", NULL},
        {".", "http", NULL},
        {"a..b", "http", NULL},
        {".a", "http", NULL},
        {"a..", "http", NULL},
        {"a b", "http", NULL},
        {"a/b", "http", NULL},
        {"a@b", "http", NULL},
        {"a?b", "http", NULL},
        {"a#b", "http", NULL},
        {"a%62", "http", NULL},
        {"a,b", "http", NULL},
        {"a:b", "http", NULL},
        {"a:0", "http", NULL},
        {"a:65536", "http", NULL},
        {"a:80:80", "http", NULL},
        {"a:+80", "http", NULL},
        {"::1", "http", NULL},
        {"[::1", "http", NULL},
        {"[::1]x", "http", NULL},
        {"[127.0.0.1]", "http", NULL},
        {"[]", "http", NULL},
        {"[::1].", "http", NULL},
        {"\xc3\xbc.example", "http", NULL},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        slice host;
        bool ok = host_normalise(&arena, slice_of_string(cases[i][0]), slice_of_string(cases[i][1]),
                                 &host);
        if (ok != (cases[i][2] != NULL))
            fail_msg("\"%s\"", cases[i][0]);
        if (ok)
            assert_slice(host, cases[i][2]);
    }
    arena_fini(&arena);
}

static void test_hosts_are_not_longer_than_255_bytes(void **state)
{
    char text[HOST_MAX + 2];
    struct arena arena;
    slice host;
    (void)state;
    arena_init(&arena);
    memset(text, 'a', sizeof(text));
    assert_true(host_normalise(&arena, slice_of(text, HOST_MAX), SLICE("http"), &host));
    assert_false(host_normalise(&arena, slice_of(text, HOST_MAX + 1), SLICE("http"), &host));
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_8_the_last_untrusted_hop_from_the_right_is_the_client),
        cmocka_unit_test(test_2_8_what_cannot_be_read_is_somebody_unknown_never_the_proxy),
        cmocka_unit_test(test_2_8_a_quote_left_open_swallows_nothing_that_a_proxy_appended),
        cmocka_unit_test(test_2_8_quoted_commas_semicolons_and_quotes_part_nothing),
        cmocka_unit_test(test_2_8_ports_and_forwarded),
        cmocka_unit_test(test_1_7_scheme),
        cmocka_unit_test(test_1_1_hosts_are_normalised),
        cmocka_unit_test(test_hosts_are_not_longer_than_255_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
