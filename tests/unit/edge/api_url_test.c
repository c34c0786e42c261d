/* URLs that operators type, as requests: split, normalised, decided; what is none is refused. */
#include "edge/admin/api_url.h"

#include "policy/load.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct server server;
static struct arena arena;
static struct request request;
static struct decision decision;

static void load(const char *hosts)
{
    struct diag diag;
    diag_init(&diag, &arena);
    slice text = arena_printf(&arena,
                              "renderer: http://127.0.0.1:1\n%sroutes:\n"
                              "  - {match: \"/never/**\", cache: never}\n"
                              "  - {match: \"/**\", query: {drop: [utm], sort: true}}\n",
                              hosts);
    server.policy = policy_load_text(text, SLICE("t"), &diag);
    assert_non_null(server.policy);
}

static int setup(void **context)
{
    (void)context;
    arena_init(&arena);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    policy_free((struct policy *)(uintptr_t)server.policy);
    server.policy = NULL;
    arena_fini(&arena);
    return 0;
}

static bool ask(const char *url, const slice *headers, size_t count)
{
    return url_request(&server, &arena, slice_of_string(url), SLICE("http"), headers, count,
                       &request, &decision);
}

static void assert_slice(slice actual, const char *expected)
{
    if (!slice_equal(actual, slice_of_string(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(actual), expected);
}

static void test_an_absolute_url_is_split_as_a_request_would_be(void **context)
{
    (void)context;
    load("");
    assert_true(ask("HTTPS://Shop.Example.:443/a/b?x=1&y#part", NULL, 0));
    assert_slice(request.scheme, "https");
    assert_slice(request.host, "shop.example");
    assert_slice(request.target, "/a/b?x=1&y");
    assert_slice(request.path, "/a/b");
    assert_slice(request.query, "x=1&y");
    assert_true(request.has_query);
    assert_int_equal(request.method, METHOD_GET);
}

static void test_a_url_without_path_has_the_path_slash(void **context)
{
    (void)context;
    load("");
    static const char *const pairs[][2] = {
        {"http://h", "/"},   {"http://h?", "/?"},    {"http://h?a=/b", "/?a=/b"},
        {"http://h#x", "/"}, {"http://h/#x?y", "/"}, {"http://[::1]:8080/x", "/x"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        assert_true(ask(pairs[i][0], NULL, 0));
        assert_slice(request.target, pairs[i][1]);
        assert_int_equal(request.has_query, strchr(pairs[i][1], '?') != NULL);
    }
    assert_slice(request.host, "[::1]:8080");
}

static void test_a_path_alone_is_enough_with_one_host(void **context)
{
    (void)context;
    load("hosts: [shop.example]\n");
    assert_true(ask("/a?b", NULL, 0));
    assert_slice(request.host, "shop.example");
    assert_slice(request.scheme, "http");
    assert_slice(request.path, "/a");
    assert_true(ask("/login?next=https://evil.example/b", NULL, 0)); /* a URL in its query */
    assert_slice(request.host, "shop.example");
    assert_slice(request.path, "/login");
    assert_slice(request.query, "next=https://evil.example/b");
    assert_true(ask("/proxy/http://evil.example/b", NULL, 0));
    assert_slice(request.host, "shop.example");
    assert_slice(request.path, "/proxy/http://evil.example/b");
}

static void test_a_path_alone_is_not_enough_otherwise(void **context)
{
    (void)context;
    static const char *const hosts[] = {"", "hosts: [a.example, b.example]\n",
                                        "hosts: [\"*.example\"]\n"};
    for (size_t i = 0; i < 3; i++) {
        load(hosts[i]);
        assert_false(ask("/a", NULL, 0));
        policy_free((struct policy *)(uintptr_t)server.policy);
        server.policy = NULL;
    }
}

static void test_what_is_no_url_is_refused(void **context)
{
    (void)context;
    static const char *const none[] = {
        "",     "a",           "http://",         "http:///x",   "http://a b/", "http://a@b/",
        "://x", "http://h:0/", "http://h:99999/", "http://h\n/", "ftp://h/",    "h/a?b=http://h/"};
    load("hosts: [h]\n");
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        if (none[i][0] && ask(none[i], NULL, 0))
            fail_msg("\"%s\" was taken", none[i]);
}

static void test_headers_are_those_of_the_request(void **context)
{
    (void)context;
    load("");
    const slice headers[] = {SLICE("Cookie: session=1"), SLICE("X-Device:  tablet "),
                             SLICE("no colon"), SLICE(": no name"), SLICE("empty:")};
    assert_true(ask("http://h/", headers, 5));
    assert_slice(fields_value(&request.fields, FIELD_COOKIE), "session=1");
    const struct field *device = fields_find(&request.fields, SLICE("x-device"));
    assert_non_null(device);
    assert_slice(device->value, "tablet");
    assert_true(decision.is_logged_in);
    assert_int_equal(decision.action, ACTION_PASS);
    assert_int_equal(decision.reason, REASON_LOGGED_IN);
}

static void test_a_host_that_is_sent_takes_the_place_of_the_urls(void **context)
{
    (void)context;
    const slice sent[] = {SLICE("HOST: Shop.Example.:80"), SLICE("X: y"), SLICE("Host: b")};
    load("");
    assert_true(ask("http://127.0.0.1:18492/p/1", sent, 2));
    assert_slice(request.host, "shop.example");
    assert_slice(request.path, "/p/1");
    assert_null(fields_find(&request.fields, SLICE("host")));
    assert_true(ask("/p/1", sent, 1)); /* with it a path is enough */
    assert_slice(request.host, "shop.example");
    assert_false(ask("http://h/", sent, 3)); /* as a request with two is refused */
    static const char *const none[] = {"host:", "Host: a b", "Host: http://h"};
    for (size_t i = 0; i < 3; i++) {
        slice line = slice_of_string(none[i]);
        assert_false(ask("http://h/", &line, 1));
    }
}

static void test_it_is_asked_as_a_browser_asks_unless_told_otherwise(void **context)
{
    (void)context;
    load("");
    const slice json = SLICE("Accept: application/json");
    assert_true(ask("http://h/", NULL, 0));
    assert_true(decision.is_navigation);
    assert_int_equal(decision.action, ACTION_LOOKUP);
    assert_true(ask("http://h/", &json, 1));
    assert_false(decision.is_navigation);
}

static void test_1_6_the_rules_of_the_route_are_applied(void **context)
{
    (void)context;
    load("");
    assert_true(ask("http://h/a?b=2&utm=x&a=1", NULL, 0));
    assert_slice(decision.query, "a=1&b=2");
    assert_true(ask("http://h/never/a", NULL, 0));
    assert_int_equal(decision.action, ACTION_PASS);
    assert_int_equal(decision.reason, REASON_ROUTE);
    assert_true(ask("http://h/%00", NULL, 0));
    assert_int_equal(decision.action, ACTION_REJECT);
    assert_non_null(decision.route);
    assert_non_null(decision.origin);
    assert_non_null(decision.class_config);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_an_absolute_url_is_split_as_a_request_would_be),
        TEST(test_a_url_without_path_has_the_path_slash),
        TEST(test_a_path_alone_is_enough_with_one_host),
        TEST(test_a_path_alone_is_not_enough_otherwise),
        TEST(test_what_is_no_url_is_refused),
        TEST(test_headers_are_those_of_the_request),
        TEST(test_a_host_that_is_sent_takes_the_place_of_the_urls),
        TEST(test_it_is_asked_as_a_browser_asks_unless_told_otherwise),
        TEST(test_1_6_the_rules_of_the_route_are_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
