/* policy/receive.c, policy/purge_url.c: the first decision about a request. */
#include "base/text.h"
#include "tests/unit/policy/request_support.h"

#define BASE "renderer: http://127.0.0.1:3000\n"

static void check(struct setup *s, const char *request, enum action action, enum reason reason)
{
    receive(s, request);
    if (s->decision.action != action || s->decision.reason != reason)
        fail_msg("%s: action %u, reason %s", request, (unsigned)s->decision.action,
                 reason_name(s->decision.reason).ptr);
}

static void test_methods(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "routes: [{match: \"/**\"}]\n");
    check(&s, "GET http://h/a", ACTION_LOOKUP, REASON_NONE);
    check(&s, "HEAD http://h/a", ACTION_LOOKUP, REASON_NONE);
    check(&s, "POST http://h/a", ACTION_PASS, REASON_METHOD);
    check(&s, "BREW http://h/a", ACTION_PASS, REASON_METHOD);
    check(&s, "get http://h/a", ACTION_PASS, REASON_METHOD);
    receive(&s, "GET http://h/a");
    slice get = s.decision.url_text;
    assert_true(slice_equal(get, receive(&s, "HEAD http://h/a")->url_text));
    setup_fini(&s);
}

static void test_routes(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, "origins: {web: {workers: [\"http://127.0.0.1:3000\"]}, api: {workers: "
                   "[\"http://127.0.0.1:4000\"]}}\n"
                   "routes:\n  - {match: \"/api/**\", origin: api, cache: never}\n"
                   "  - {match: \"/p/*\", ttl: 1m}\n");
    check(&s, "GET http://h/api/x", ACTION_PASS, REASON_ROUTE);
    assert_slice(s.decision.origin->name, "api");
    check(&s, "GET http://h/p/1", ACTION_LOOKUP, REASON_NONE);
    assert_true(s.decision.is_sealed);
    assert_slice(s.decision.origin->name, "web");
    check(&s, "GET http://h/other", ACTION_PASS, REASON_ROUTE);
    assert_ptr_equal(s.decision.route, &s.policy->route_pass);
    setup_fini(&s);
}

static void test_2_1_what_makes_fills_sealed(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "routes: [{match: \"/ttl\", ttl: 1m}, {match: \"/status\", status_ttl: "
                        "{404: 1m}}, {match: \"/**\"}]\n");
    assert_true(receive(&s, "GET http://h/ttl")->is_sealed);
    assert_true(receive(&s, "GET http://h/status")->is_sealed);
    assert_false(receive(&s, "GET http://h/other")->is_sealed);
    setup_fini(&s);
    setup_init(&s, BASE "seal: strict\nroutes: [{match: \"/**\"}]\n");
    assert_true(receive(&s, "GET http://h/other")->is_sealed);
    setup_fini(&s);
}

/* One line of deception_paths.txt: "expectation path". */
static void check_deception(struct setup *s, slice line)
{
    slice expected;
    char bytes[256];
    size_t len = 0;
    slice_next(&line, ' ', &expected);
    for (size_t i = 0; i < line.len && len < sizeof(bytes) - 1; len++) {
        bool is_escape = slice_starts_with(slice_from(line, i), SLICE("\\x"));
        bytes[len] =
            is_escape
                ? (char)strtol(arena_copy(&s->arena, slice_of(line.ptr + i + 2, 2)).ptr, NULL, 16)
                : line.ptr[i];
        i += is_escape ? 4 : 1;
    }
    bytes[len] = '\0';
    receive(s, arena_printf(&s->arena, "GET http://h%s", bytes).ptr);
    const struct decision *d = &s->decision;
    if (d->action == ACTION_LOOKUP)
        fail_msg("%s is looked up", bytes);
    if (slice_equal(expected, SLICE("400")))
        assert_true(d->action == ACTION_REJECT && d->status == 400);
    else if (d->action != ACTION_PASS || !slice_equal(reason_name(d->reason), expected))
        fail_msg("%s: %s", bytes, reason_name(d->reason).ptr);
}

/* A file of tests/data, found from where this one was compiled. */
static size_t read_data(const char *name, char *text, size_t capacity)
{
    char path[1024];
    size_t folder = slice_search(slice_of_string(__FILE__), SLICE("unit/policy/"));
    snprintf(path, sizeof(path), "%.*sdata/%s", (int)folder, __FILE__, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(text, 1, capacity, file);
    fclose(file);
    return len;
}

static void test_1_3_deception_paths_are_never_looked_up(void **state)
{
    static char text[8192];
    struct setup s;
    size_t cases = 0, len = read_data("deception_paths.txt", text, sizeof(text));
    (void)state;
    assert_in_range(len, 100, sizeof(text) - 1);
    setup_init(&s, BASE "routes: [{match: \"/account/**\", cache: never}, {match: \"/**\", ttl: "
                        "1m}]\n");
    slice rest = slice_of(text, len), line;
    while (slice_next(&rest, '\n', &line)) {
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        check_deception(&s, line);
        cases++;
    }
    assert_in_range(cases, 40, 200);
    setup_fini(&s);
}

static void test_1_3_harmless_paths_are_looked_up_and_never_changed(void **state)
{
    static const char *const paths[] = {"/",           "/a/",     "/b%C3%BCcher", "/a%20b",
                                        "/p/What%3F",  "/100%",   "/x;y=1",       "/a//b",
                                        "/Products/X", "/a/../b", "/%7Euser",     "/a+b"};
    struct setup s;
    (void)state;
    setup_init(&s, BASE "routes: [{match: \"/account/**\", cache: never}, {match: \"/**\", ttl: "
                        "1m}]\n");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        fill(&s, arena_printf(&s.arena, "GET http://h%s", paths[i]).ptr);
        assert_int_equal(s.decision.action, ACTION_LOOKUP);
        assert_slice(s.forward.target, paths[i]);
    }
    setup_fini(&s);
}

/* "Quality" in GBK: C1 BF would be a 7f in UTF-8, if overlong forms were allowed there. */
static void test_1_3_a_page_with_a_chinese_name_is_not_refused(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "routes: [{match: \"/**\", ttl: 1m}]\n");
    const struct decision *d = receive(&s, "GET http://h/%D6%CA%C1%BF.html");
    assert_int_equal(d->action, ACTION_PASS);
    assert_int_equal(d->reason, REASON_PATH);
    setup_fini(&s);
}

static void test_1_3_a_disagreement_goes_where_the_path_as_received_routes(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, "origins: {web: {workers: [\"http://127.0.0.1:3000\"]}, api: {workers: "
                   "[\"http://127.0.0.1:4000\"]}}\n"
                   "routes:\n  - {match: \"/api/**\", origin: api}\n"
                   "  - {match: \"/**\", origin: web, ttl: 1m}\n");
    check(&s, "GET http://h/x/../api/y", ACTION_PASS, REASON_PATH);
    assert_slice(s.decision.origin->name, "web");
    pass(&s, "GET http://h/x/../api/y?q");
    assert_slice(s.forward.target, "/x/../api/y?q");
    setup_fini(&s);
}

static void test_1_5_hosts(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "hosts: [Shop.example, \"*.shop.example\"]\nroutes: [{match: \"/**\"}]\n");
    check(&s, "GET http://shop.example/", ACTION_LOOKUP, REASON_NONE);
    check(&s, "GET http://shop.example:8080/", ACTION_LOOKUP, REASON_NONE);
    check(&s, "GET http://a.b.shop.example/", ACTION_LOOKUP, REASON_NONE);
    check(&s, "GET http://evilshop.example/", ACTION_REJECT, REASON_POLICY);
    assert_int_equal(s.decision.status, 421);
    check(&s, "GET http://shop.example.evil/", ACTION_REJECT, REASON_POLICY);
    check(&s, "GET http:///", ACTION_REJECT, REASON_POLICY);
    setup_fini(&s);
}

static void test_redirect_http(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "redirect_http: true\nroutes: [{match: \"/**\"}]\n");
    check(&s, "GET http://h/a?b=1", ACTION_REDIRECT, REASON_NONE);
    assert_int_equal(s.decision.status, 308);
    assert_slice(s.decision.location, "https://h/a?b=1");
    check(&s, "POST http://h//evil", ACTION_REDIRECT, REASON_NONE);
    assert_slice(s.decision.location, "https://h//evil");
    check(&s, "GET https://h/a", ACTION_LOOKUP, REASON_NONE);
    check(&s, "GET http://h/%0a", ACTION_REJECT, REASON_POLICY);
    setup_fini(&s);
}

static void test_3_4_event_streams_and_upgrades_pass(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "routes: [{match: \"/**\", ttl: 1m}]\n");
    check(&s, "GET http://h/a\nAccept: text/event-stream", ACTION_PASS, REASON_POLICY);
    check(&s, "GET http://h/a\nAccept: text/html, TEXT/Event-Stream;q=0.5", ACTION_PASS,
          REASON_POLICY);
    check(&s, "GET http://h/a\nAccept: text/html", ACTION_LOOKUP, REASON_NONE);
    s.request = request_of(&s.arena, "GET http://h/a");
    s.request.is_upgrade = true;
    rules_receive(s.policy, &s.request, SLICE_NONE, &s.decision);
    assert_int_equal(s.decision.action, ACTION_PASS);
    s.request.is_upgrade = false;
    s.request.body = SLICE("x");
    rules_receive(s.policy, &s.request, SLICE_NONE, &s.decision);
    assert_int_equal(s.decision.action, ACTION_PASS);
    setup_fini(&s);
}

static void test_4_5_navigation(void **state)
{
    static const struct {
        const char *request;
        bool expected;
    } cases[] = {
        {"GET http://h/a\nAccept: text/html", true},
        {"HEAD http://h/a\nAccept: text/html;q=0.5, */*", true},
        {"GET http://h/a\nAccept: */*", false},
        {"GET http://h/a\nAccept: text/html;q=0", false},
        {"GET http://h/a", false},
        {"GET http://h/a\nSec-Fetch-Dest: document", true},
        {"GET http://h/a\nSec-Fetch-Dest: iframe", true},
        {"GET http://h/a\nSec-Fetch-Dest: empty\nAccept: text/html", false},
        {"POST http://h/a\nAccept: text/html", false},
        {"GET http://h/a.html\nAccept: text/html", true},
        {"GET http://h/a.HTML\nAccept: text/html", true},
        {"GET http://h/a.css\nAccept: text/html", false},
        {"GET http://h/v1.2/a\nAccept: text/html", true},
        {"GET http://h/\nAccept: text/html", true},
        {"GET http://h/a\nAccept: text/html\nRSC: 1", false},
        {"GET http://h/a\nAccept: text/html\nX-Inertia-Partial-Data: x", false},
        {"GET http://h/a\nAccept: text/html\nX-Requested-With: XMLHttpRequest", false},
        {"GET http://h/a\nAccept: text/html\nX-Requested-With: com.android.browser", true},
    };
    struct setup s;
    (void)state;
    setup_init(&s, BASE "routes: [{match: \"/**\"}]\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (receive(&s, cases[i].request)->is_navigation != cases[i].expected)
            fail_msg("%s", cases[i].request);
    setup_fini(&s);
}

static void test_8_1_when_logged_in(void **state)
{
    const char *yaml =
        "origins: {web: {workers: [\"http://127.0.0.1:3000\"]}, csr: {workers: "
        "[\"http://127.0.0.1:4000\"]}}\n"
        "shell: {file: /dev/null}\n"
        "routes:\n  - {match: \"/shell/**\", when_logged_in: shell, ttl: 1m}\n"
        "  - {match: \"/cache/**\", when_logged_in: cache, ttl: 1m}\n"
        "  - {match: \"/csr/**\", when_logged_in: csr, ttl: 1m}\n  - {match: \"/**\", ttl: 1m}\n";
    struct setup s;
    (void)state;
    setup_init(&s, yaml);
    check(&s, "GET http://h/a\nCookie: sid=1", ACTION_PASS, REASON_LOGGED_IN);
    check(&s, "GET http://h/shell/a\nCookie: sid=1\nAccept: text/html", ACTION_SHELL,
          REASON_LOGGED_IN);
    check(&s, "GET http://h/shell/a\nCookie: sid=1", ACTION_PASS, REASON_LOGGED_IN);
    check(&s, "GET http://h/shell/a\nAccept: text/html", ACTION_LOOKUP, REASON_NONE);
    check(&s, "GET http://h/csr/a\nCookie: sid=1", ACTION_PASS, REASON_LOGGED_IN);
    assert_slice(s.decision.origin->name, "csr");
    check(&s, "POST http://h/csr/a\nCookie: sid=1", ACTION_PASS, REASON_METHOD);
    assert_slice(s.decision.origin->name, "csr");
    check(&s, "GET http://h/csr/a", ACTION_LOOKUP, REASON_NONE);
    assert_slice(s.decision.origin->name, "web");
    check(&s, "GET http://h/cache/a\nCookie: sid=1", ACTION_LOOKUP, REASON_NONE);
    assert_false(s.decision.is_logged_in);
    assert_slice(s.decision.identified_by, "cookie:sid");
    setup_fini(&s);
}

static void test_8_1_cache_makes_anonymous(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s,
               BASE "routes: [{match: \"/s\", ttl: 1m, when_logged_in: cache}, {match: \"/**\", "
                    "when_logged_in: cache}]\n");
    set_union(&s, "cookie authorization");
    for (int i = 0; i < 2; i++) {
        fill(&s, i ? "GET http://h/a" : "GET http://h/s");
        slice anonymous = s.forward.key_text;
        fill(&s, i ? "GET http://h/a\nCookie: sid=1\nAuthorization: Bearer x"
                   : "GET http://h/s\nCookie: sid=1\nAuthorization: Bearer x");
        assert_true(slice_equal(anonymous, s.forward.key_text));
        assert_field(&s.forward.fields, "cookie", NULL);
        assert_field(&s.forward.fields, "authorization", NULL);
        assert_slice(s.forward.held_cookies.at[0], "sid");
    }
    setup_fini(&s);
}

static void test_8_2_who_may_get_the_shell(void **state)
{
    const char *yaml = BASE "shell: {file: /dev/null}\nroutes: [{match: \"/**\"}]\n"
                            "classes: [{name: bots, user_agent: [Googlebot], never_shell: true}, "
                            "{name: people}]\n";
    struct setup s;
    (void)state;
    setup_init(&s, yaml);
    assert_true(receive(&s, "GET http://h/a\nAccept: text/html")->may_give_shell);
    assert_false(receive(&s, "GET http://h/a\nAccept: */*")->may_give_shell);
    assert_false(receive(&s, "GET http://h/a\nAccept: text/html\nVia: 1.1 x")->may_give_shell);
    assert_false(receive(&s, "GET http://h/a\nAccept: text/html\nCDN-Loop: x")->may_give_shell);
    assert_false(receive(&s, "GET http://h/a\nAccept: text/html\nUser-Agent: x gOOglebot/2")
                     ->may_give_shell);
    assert_slice(s.decision.class_config->name, "bots");
    setup_fini(&s);
    setup_init(&s, BASE "shell: {file: /dev/null, behind_cdn: true}\nroutes: [{match: \"/**\"}]\n");
    assert_true(receive(&s, "GET http://h/a\nAccept: text/html\nVia: 1.1 x")->may_give_shell);
    setup_fini(&s);
    setup_init(&s, BASE "routes: [{match: \"/**\"}]\n");
    assert_false(receive(&s, "GET http://h/a\nAccept: text/html")->may_give_shell);
    setup_fini(&s);
}

static void test_classes_by_address_want_both(void **state)
{
    struct setup s;
    struct ip_range range;
    (void)state;
    setup_init(&s, BASE "routes: [{match: \"/**\"}]\n"
                        "classes: [{name: bots, user_agent: [Googlebot]}, {name: people}]\n");
    assert_true(ip_range_parse(SLICE("192.0.2.0/24"), &range));
    s.policy->classes[0].ip_ranges = (struct ip_ranges){&range, 1};
    s.policy->classes[0].has_ip_ranges = true;
    assert_slice(receive(&s, "GET http://h/a\nUser-Agent: Googlebot")->class_config->name, "bots");
    assert_slice(receive(&s, "GET http://h/a\nUser-Agent: other")->class_config->name, "people");
    assert_true(ip_range_parse(SLICE("198.51.100.0/24"), &range));
    assert_slice(receive(&s, "GET http://h/a\nUser-Agent: Googlebot")->class_config->name,
                 "people");
    setup_fini(&s);
}

static void check_purge(struct setup *s, const char *url, const char *host, const char *expected)
{
    slice h, path, query;
    bool has_query;
    if (!rules_purge_url(s->policy, &s->arena, slice_of_string(url), slice_of_string(host), &h,
                         &path, &query, &has_query)) {
        if (expected)
            fail_msg("%s is refused", url);
        return;
    }
    slice text = arena_concat(&s->arena,
                              (slice[]){h, SLICE(" "), path, has_query ? SLICE("?") : SLICE_NONE,
                                        has_query ? query : SLICE_NONE},
                              5);
    if (!expected)
        fail_msg("%s is taken", url);
    assert_slice(text, expected);
}

static void test_6_4_purge_urls(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "routes: [{match: \"/**\", ttl: 1m, query: {drop: [\"utm_*\"], sort: "
                        "true}}]\n");
    check_purge(&s, "https://Shop.example:443/a?b=1&a=2&utm_x=3", "", "shop.example /a?a=2&b=1");
    check_purge(&s, "http://shop.example:80", "", "shop.example /");
    check_purge(&s, "http://shop.example:443/a", "", "shop.example:443 /a");
    check_purge(&s, "HTTP://shop.example.?x", "", "shop.example /?x");
    check_purge(&s, " /a?utm_x=1#top ", "shop.example:80", "shop.example /a");
    check_purge(&s, "/a", "shop.example:443", "shop.example /a");
    check_purge(&s, "//a", "shop.example", "shop.example //a");
    check_purge(&s, "/a", "", NULL);
    check_purge(&s, "a", "shop.example", NULL);
    check_purge(&s, "", "shop.example", NULL);
    check_purge(&s, "ftp://shop.example/a", "shop.example", NULL);
    check_purge(&s, "http://user@shop.example/a", "", NULL);
    check_purge(&s, "http:///a", "", NULL);
    check_purge(&s, "/a\nb", "shop.example", NULL);
    setup_fini(&s);
}

/* A request that varve sends comes back to it: not for ever. */
static void test_9110_7_6_3_a_request_that_goes_in_circles_is_refused(void **state)
{
    static const struct {
        const char *lines;
        enum action action;
    } rows[] = {
        {"Via: 1.1 varve, 1.1 varve, 1.1 varve, 1.1 varve, 1.1 varve", ACTION_LOOKUP},
        {"Via: 1.1 varve, 1.1 varve, 1.1 varve, 1.1 varve, 1.1 varve, 1.1 varve", ACTION_REJECT},
        {"Via: 1.1 varve, 2.0 Varve (x),\t1.1\tvarve\nVia: HTTP/1.1 varve,, varve varve\nX: varve\n"
         "Via: 1.1 varve",
         ACTION_REJECT},
        {"Via: 1.1 \"a, 1.1 varve, 1.1 varve, 1.1 varve, 1.1 varve, 1.1 varve, 1.1 varve",
         ACTION_REJECT},
        {"Via: 1.1 a, 1.1 b, 1.1 c, 1.1 d, 1.1 e, 1.1 f, 1.1 varve", ACTION_LOOKUP},
        {"Via: 1.1 varve.example, varve, 1.1 x (varve), 1.1 varvevarve, 1.1 varve:80, 1.1 a",
         ACTION_LOOKUP},
        {"Via: 1.1 varve\nX-Via: 1.1 varve, 1.1 varve, 1.1 varve, 1.1 varve, 1.1 varve",
         ACTION_LOOKUP},
    };
    struct setup s;
    (void)state;
    setup_init(&s, BASE "routes: [{match: \"/**\"}]\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        slice text = arena_printf(&s.arena, "GET http://h/a\n%s", rows[i].lines);
        if (receive(&s, text.ptr)->action != rows[i].action)
            fail_msg("%s", rows[i].lines);
        if (rows[i].action == ACTION_REJECT)
            assert_int_equal(s.decision.status, 508);
    }
    setup_fini(&s);
}

/* A request of 32 KB that holds `line` as often as fits, looked up, filled and passed. What that
 * takes besides the request itself. */
static size_t cost_of(const char *yaml, const char *prefix, slice line)
{
    enum { REQUEST_BYTES = 32 * 1024 };
    struct setup s;
    setup_init(&s, yaml);
    struct text request = {.arena = &s.arena};
    text_add(&request, SLICE("GET http://h/a\n"));
    text_add(&request, slice_of_string(prefix));
    while (request.len + line.len < REQUEST_BYTES)
        text_add(&request, line);
    text_add(&request, SLICE("\0"));
    s.request = request_of(&s.arena, text_view(&request).ptr);
    size_t before = s.arena.used_bytes;
    rules_receive(s.policy, &s.request, SLICE("b42"), &s.decision);
    forward_fill(s.policy, &s.request, &s.decision, &s.names, false, &s.forward);
    forward_variant_text(s.forward.key_text, &s.arena);
    forward_pass(s.policy, &s.request, &s.decision, &s.forward);
    size_t cost = s.arena.used_bytes - before;
    setup_fini(&s);
    return cost;
}

static void test_what_a_request_costs_grows_with_its_length_not_with_its_square(void **state)
{
    static const char *const policies[] = {
        BASE "routes: [{match: \"/**\"}]\n",
        BASE "routes: [{match: \"/**\", ttl: 1m}]\nvary: {cookie: {keep: [\"a*\"]}}\n",
        BASE "seal: off\nroutes: [{match: \"/**\"}]\nvary: {cookie: {keep: [\"a*\"]}, "
             "x-requested-with: {map: {a: {match: \"^b\", send: c}}}}\n",
    };
    struct arena arena;
    (void)state;
    arena_init(&arena);
    char value[301] = {0};
    memset(value, 'a', sizeof(value) - 1);
    const struct {
        const char *prefix;
        slice line;
    } rows[] = {
        {"", arena_printf(&arena, "X-Requested-With: %s\n", value)},
        {"", arena_printf(&arena, "Accept: %s\n", value)},
        {"", arena_printf(&arena, "X-Other: %s\n", value)},
        {"", arena_printf(&arena, "Cookie: a=%s\n", value)},
        {"Cookie: a=1", SLICE("; a=1")},
        {"Cookie: a=1", arena_printf(&arena, "; a%.100s=1", value)},
        {"Accept-Encoding: br", SLICE(",gzip;q=.1")},
        {"Accept-Encoding: br", SLICE(",br")},
        {"Via: 1.1 a", SLICE(",b")},
        {"Accept-Language: en", SLICE(",de;q=.1")},
        {"X-Forwarded-For: ::1", SLICE(",::1")},
    };
    for (size_t p = 0; p < sizeof(policies) / sizeof(policies[0]); p++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            size_t cost = cost_of(policies[p], rows[i].prefix, rows[i].line);
            if (cost >= 1024 * 1024)
                fail_msg("policy %zu, %s%s: %zu bytes", p, rows[i].prefix, rows[i].line.ptr, cost);
        }
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_9110_7_6_3_a_request_that_goes_in_circles_is_refused),
        cmocka_unit_test(test_what_a_request_costs_grows_with_its_length_not_with_its_square),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_2_1_what_makes_fills_sealed),
        cmocka_unit_test(test_1_3_deception_paths_are_never_looked_up),
        cmocka_unit_test(test_1_3_harmless_paths_are_looked_up_and_never_changed),
        cmocka_unit_test(test_1_3_a_page_with_a_chinese_name_is_not_refused),
        cmocka_unit_test(test_1_3_a_disagreement_goes_where_the_path_as_received_routes),
        cmocka_unit_test(test_1_5_hosts),
        cmocka_unit_test(test_redirect_http),
        cmocka_unit_test(test_3_4_event_streams_and_upgrades_pass),
        cmocka_unit_test(test_4_5_navigation),
        cmocka_unit_test(test_8_1_when_logged_in),
        cmocka_unit_test(test_8_1_cache_makes_anonymous),
        cmocka_unit_test(test_8_2_who_may_get_the_shell),
        cmocka_unit_test(test_classes_by_address_want_both),
        cmocka_unit_test(test_6_4_purge_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
