/* policy/head.c, policy/forward*.c, policy/template.c: heads and keys
 * (semantics 1.1, 1.2, 2.1-2.8). */
#include "policy/max_forwards.h"
#include "tests/unit/policy/request_support.h"

#define BASE   "renderer: http://127.0.0.1:3000\n"
#define ROUTES "routes: [{match: \"/s/**\", ttl: 1m}, {match: \"/**\"}]\n"

/* A request that says everything a browser, or somebody else, may say. */
#define MUCH                                                                                       \
    "\nUser-Agent: Firefox\nAccept: text/html\nAccept-Language: de\nAccept-Encoding: gzip, "       \
    "deflate\nReferer: http://x/\nOrigin: http://x\nCookie: _ga=1\nX-Forwarded-For: 1.1.1.1\n"     \
    "X-Forwarded-Host: evil\nX-Forwarded-Proto: wss\nX-Forwarded-Prefix: /evil\nForwarded: "       \
    "for=1\nX-Real-IP: 1.1.1.1\nX-Original-URL: /admin\nX-Rewrite-URL: /admin\n"                   \
    "X-HTTP-Method-Override: DELETE\nCF-IPCountry: DE\nX-Middleware-Subrequest: 1\n"               \
    "X-Now-Route-Matches: 1\nx_under: 1\nIf-None-Match: \"a\"\nIf-Modified-Since: x\n"             \
    "Range: bytes=0-1\nConnection: close, X-Named\nX-Named: 1\nTE: trailers\nKeep-Alive: 1\n"      \
    "Upgrade: h2c\nExpect: 100-continue\nContent-Length: 0\ntraceparent: 00-1\nX-Foo: 1\n"         \
    "X-Request-Id: mine\nX-Varve-Debug: token\nProxy-Authorization: x\nDNT: 1"

static void test_2_1_a_sealed_fill_carries_next_to_nothing(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    fill(&s, "GET https://h/s/a" MUCH);
    assert_slice(head_text(&s.arena, &s.forward.fields),
                 "accept=text/html,*/*;q=0.8; user-agent=varve");
    assert_field(&s.forward.fields, "accept-encoding", "identity");
    assert_field(&s.forward.fields, "x-forwarded-proto", "https");
    assert_field(&s.forward.fields, "x-forwarded-host", "h");
    assert_field(&s.forward.fields, "x-request-id", "id-1");
    assert_slice(s.forward.method, "GET");
    setup_fini(&s);
}

static void test_2_1_strict_sends_the_same_without_a_ttl(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "seal: strict\n" ROUTES);
    fill(&s, "HEAD https://h/a" MUCH);
    assert_slice(head_text(&s.arena, &s.forward.fields),
                 "accept=text/html,*/*;q=0.8; user-agent=varve");
    assert_slice(s.forward.method, "GET");
    setup_fini(&s);
}

static void test_2_2_standard_holds_back_the_list_and_sends_the_rest_in_order(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    fill(&s, "GET https://h/a" MUCH);
    assert_slice(head_text(&s.arena, &s.forward.fields),
                 "user-agent=Firefox; accept=text/html,*/*;q=0.8; accept-language=de; "
                 "referer=http://x/; origin=http://x; traceparent=00-1; x-foo=1; dnt=1");
    setup_fini(&s);
}

static void test_2_2_lines_are_joined_and_trimmed(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    assert_field(fill(&s, "GET https://h/a\nX-A:  1 \nX-B: 2\nX-A: 3"), "x-a", "1, 3");
    assert_slice(head_text(&s.arena, &s.forward.fields), "x-a=1, 3; x-b=2");
    setup_fini(&s);
}

static void test_2_2_off_holds_back_hop_by_hop_conditions_and_range_only(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "seal: off\n" ROUTES);
    fill(&s, "GET https://h/a" MUCH);
    assert_slice(head_text(&s.arena, &s.forward.fields),
                 "user-agent=Firefox; accept=text/html; accept-language=de; referer=http://x/; "
                 "origin=http://x; cookie=_ga=1; x-forwarded-prefix=/evil; forwarded=for=1; "
                 "x-real-ip=1.1.1.1; x-original-url=/admin; x-rewrite-url=/admin; "
                 "x-http-method-override=DELETE; cf-ipcountry=DE; x-middleware-subrequest=1; "
                 "x-now-route-matches=1; x_under=1; traceparent=00-1; x-foo=1; dnt=1");
    fill(&s, "GET https://h/s/a" MUCH);
    assert_slice(head_text(&s.arena, &s.forward.fields),
                 "accept=text/html,*/*;q=0.8; user-agent=varve");
    setup_fini(&s);
}

static void test_2_2_a_keyed_value_over_256_bytes_cannot_be_keyed(void **state)
{
    char value[300];
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    memset(value, 'x', 257);
    value[257] = '\0';
    const char *request = arena_printf(&s.arena, "GET http://h/a\nFoo: %s", value).ptr;
    fill(&s, request);
    assert_false(s.forward.is_unkeyable);
    set_union(&s, "foo");
    fill(&s, request);
    assert_true(s.forward.is_unkeyable);
    value[256] = '\0';
    fill(&s, arena_printf(&s.arena, "GET http://h/a\nFoo: %s", value).ptr);
    assert_false(s.forward.is_unkeyable);
    setup_fini(&s);
}

static void test_2_3_learned_fields_are_sent_and_keyed(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    set_union(&s, "accept-language");
    assert_field(fill(&s, "GET http://h/s/a\nAccept-Language: de"), "accept-language", "de");
    slice german = s.forward.key_text;
    assert_field(fill(&s, "GET http://h/s/a"), "accept-language", NULL);
    slice absent = s.forward.key_text;
    assert_field(fill(&s, "GET http://h/s/a\nAccept-Language:"), "accept-language", "");
    assert_false(slice_equal(german, absent));
    assert_false(slice_equal(absent, s.forward.key_text));
    setup_fini(&s);
}

static void test_2_5_keys_of_different_unions_are_different(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    fill(&s, "GET http://h/a");
    slice without = s.forward.key_text;
    set_union(&s, "foo");
    fill(&s, "GET http://h/a");
    assert_false(slice_equal(without, s.forward.key_text));
    setup_fini(&s);
}

/* The question costs nothing that lasts: it is asked of each name of a Vary. */
static bool held(struct setup *s, const char *name)
{
    size_t before = s->arena.used_bytes;
    bool is_held =
        forward_holds_back(s->policy, &s->request, &s->decision, &s->names, slice_of_string(name));
    assert_int_equal(s->arena.used_bytes, before);
    return is_held;
}

static bool learns(struct setup *s, const char *name)
{
    return forward_learns(s->policy, &s->request, &s->decision, &s->names, slice_of_string(name));
}

static void test_2_2_strict_never_learns(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "seal: strict\nvary: {x-plan: {always: false}}\n" ROUTES);
    const char *const paths[] = {"GET https://h/a" MUCH, "GET https://h/s/a" MUCH};
    for (size_t i = 0; i < 2; i++) {
        set_union(&s, "");
        fill(&s, paths[i]);
        assert_false(held(&s, "accept-language"));
        assert_false(learns(&s, "accept-language"));
        assert_false(learns(&s, "x-foo"));
        assert_true(learns(&s, "x-plan")); /* the policy names it */
        set_union(&s, "accept-language user-agent x-foo cookie");
        fill(&s, paths[i]);
        assert_slice(head_text(&s.arena, &s.forward.fields),
                     "accept=text/html,*/*;q=0.8; user-agent=varve");
    }
    setup_fini(&s);
}

static void test_2_3_what_the_seal_held_back(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES "vary: {x-lang: {choose: [en, de], default: en, always: false}, "
                               "x-tz: {always: true}, user-agent: {map: [mobile, desktop], as: "
                               "X-Device, always: false}}\n");
    receive(&s, "GET http://h/s/a" MUCH "\nX-TZ: 1");
    assert_true(held(&s, "accept-language") && learns(&s, "accept-language"));
    assert_true(held(&s, "x-foo") && learns(&s, "x-foo"));
    assert_true(held(&s, "user-agent") && learns(&s, "user-agent"));
    assert_true(held(&s, "x-device") && learns(&s, "x-device"));
    assert_true(held(&s, "x-lang") && learns(&s, "x-lang")); /* the default class would be sent */
    assert_true(!held(&s, "x-bar") && learns(&s, "x-bar"));
    assert_true(!held(&s, "accept") && !learns(&s, "accept"));
    assert_true(!held(&s, "x-tz") && !learns(&s, "x-tz"));
    assert_true(!held(&s, "cookie") && !learns(&s, "cookie"));
    assert_true(!held(&s, "x-real-ip") && !learns(&s, "x-real-ip"));
    assert_true(!held(&s, "x-forwarded-host") && !learns(&s, "x-forwarded-host"));
    assert_true(!held(&s, "accept-encoding") && !learns(&s, "accept-encoding"));
    assert_true(!held(&s, "authorization") && !learns(&s, "authorization"));
    set_union(&s, "accept-language");
    assert_true(!held(&s, "accept-language") && !learns(&s, "accept-language"));
    setup_fini(&s);
}

static void test_2_3_unsealed_fills_hold_back_nothing_that_could_be_keyed(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES "vary: {accept-language: {choose: [en, de], default: en}}\n");
    receive(&s, "GET http://h/a" MUCH);
    assert_false(held(&s, "accept-language") || held(&s, "x-foo") || held(&s, "user-agent"));
    assert_false(learns(&s, "accept-language"));
    setup_fini(&s);
}

static void test_2_4_a_vary_entry_beats_the_seal(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES "vary: {cf-ipcountry: {always: true}}\n");
    assert_field(fill(&s, "GET http://h/s/a\nCF-IPCountry: DE"), "cf-ipcountry", "DE");
    slice german = s.forward.key_text;
    fill(&s, "GET http://h/s/a\nCF-IPCountry: FR");
    assert_false(slice_equal(german, s.forward.key_text));
    setup_fini(&s);
}

static void test_1_1_what_is_in_every_key(void **state)
{
    static const char *const requests[] = {
        "GET http://h/a",      "GET https://h/a", "GET http://i/a",
        "GET http://h:8080/a", "GET http://h/A",  "GET http://h/%61",
        "GET http://h/a/",     "GET http://h/a?", "GET http://h/a?b"};
    enum { COUNT = sizeof(requests) / sizeof(requests[0]) };
    slice keys[COUNT];
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    for (size_t i = 0; i < COUNT; i++) {
        fill(&s, requests[i]);
        keys[i] = s.forward.key_text;
        assert_true(slice_starts_with(keys[i], s.decision.url_text));
        for (size_t j = 0; j < i; j++)
            assert_false(slice_equal(keys[i], keys[j]));
    }
    setup_fini(&s);
}

static void test_1_2_cookies_of_a_hop_are_neither_sent_nor_keyed(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "vary: {cookie: {keep: [ab]}}\n" ROUTES);
    for (const char **path = (const char *[]){"/", "/s/a", NULL}; *path; path++) {
        fill(&s,
             arena_printf(&s.arena, "GET http://h%s\nConnection: X, Cookie\nCookie: ab=1", *path)
                 .ptr);
        assert_null(fields_find_id(&s.forward.fields, FIELD_COOKIE));
        assert_int_equal(s.forward.held_cookies.count, 1);
        slice key = s.forward.key_text;
        fill(&s, arena_printf(&s.arena, "GET http://h%s", *path).ptr);
        assert_true(slice_equal(s.forward.key_text, key));
        fill(&s, arena_printf(&s.arena, "GET http://h%s\nCookie: ab=1", *path).ptr);
        assert_field(&s.forward.fields, "cookie", "ab=1");
        assert_false(slice_equal(s.forward.key_text, key));
    }
    setup_fini(&s);
}

static void test_1_1_the_key_is_length_prefixed(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES "vary: {cookie: {keep: [ab]}}\n");
    set_union(&s, "accept-encoding b");
    fill(&s, "GET http://h.example/a?x\nCookie: ab=1\nRSC: 1\nAccept-Encoding: br");
    assert_slice(s.forward.key_text, "s4:httph9:h.examplep2:/aq1:xm1:Gk4:ab=1a1:bf3:rscv1:1");
    setup_fini(&s);
}

static void test_1_1_class_host_and_build_of_set_headers(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s,
               "origins: {web: {workers: [\"http://127.0.0.1:3000\"], set_headers: {X-Class: "
               "\"c={class}\", X-Host: \"{host}\", X-Build: \"{build}/{build}\", X-Key: secret}}}\n"
               "classes: [{name: bots, user_agent: [bot]}, {name: people}]\n" ROUTES);
    fill(&s, "GET http://h/s/a\nX-Class: mine\nX-Key: mine");
    assert_field(&s.forward.fields, "x-class", "c=people");
    assert_field(&s.forward.fields, "x-host", "h");
    assert_field(&s.forward.fields, "x-build", "b42/b42");
    assert_field(&s.forward.fields, "x-key", "secret");
    slice people = s.forward.key_text;
    fill(&s, "GET http://h/s/a\nUser-Agent: bot");
    assert_field(&s.forward.fields, "x-class", "c=bots");
    assert_false(slice_equal(people, s.forward.key_text));
    receive(&s, "GET http://h/s/a");
    slice newer = SLICE("b43");
    s.decision.build = &newer;
    forward_fill(s.policy, &s.request, &s.decision, &s.names, true, &s.forward);
    assert_false(slice_equal(people, s.forward.key_text));
    assert_field(pass(&s, "POST http://h/s/a\nX-Class: mine"), "x-class", "c=people");
    setup_fini(&s);
}

static void check_target(const char *target, const char *request, const char *expected)
{
    struct setup s;
    char yaml[400];
    snprintf(yaml, sizeof(yaml),
             "origins: {web: {workers: [\"http://127.0.0.1:3000\"], target: \"%s\"}}\n"
             "routes: [{match: \"/**\", ttl: 1m}]\n",
             target);
    setup_init(&s, yaml);
    fill(&s, request);
    assert_slice(s.forward.target, expected);
    setup_fini(&s);
}

static void test_target_templates(void **state)
{
    (void)state;
    check_target("/_render?url={url}", "GET https://h:8443/a%20b?c=d&e",
                 "/_render?url=https%3A%2F%2Fh%3A8443%2Fa%2520b%3Fc%3Dd%26e");
    check_target("/_render?url={url}", "GET https://h/?", "/_render?url=https%3A%2F%2Fh%2F%3F");
    check_target("/app{path}", "GET https://h/a?b", "/app/a?b");
    check_target("/app{path}", "GET https://h/a", "/app/a");
    check_target("/r?p={path}", "GET https://h/a?b", "/r?p=%2Fa");
    check_target("/r{path}?p={path}&h={host}", "GET https://h/a%20b", "/r/a%20b?p=%2Fa%2520b&h=h");
}

static void test_a_path_adds_no_parameter_to_a_target(void **state)
{
    (void)state;
    check_target("/_render?base=https://shop&path={path}", "GET https://h/x&base=http://evil",
                 "/_render?base=https://shop&path=%2Fx%26base%3Dhttp%3A%2F%2Fevil");
    check_target("/_render?path={path}&mode=safe", "GET https://h/x;mode=raw+y",
                 "/_render?path=%2Fx%3Bmode%3Draw%2By&mode=safe");
    check_target("{path}?raw", "GET https://h/x&base=e", "/x&base=e?raw");
}

/* --- Via (RFC 9110 §7.6.3) --- */

static void test_9110_7_6_3_every_request_to_an_origin_names_varve(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    assert_field(fill(&s, "GET https://h/s/a"), "via", "1.1 varve");
    assert_field(fill(&s, "GET https://h/a"), "via", "1.1 varve");
    assert_field(fill(&s, "GET https://h/a\nVia: 1.0 cdn (x)\nVia:  HTTP/2 b "), "via",
                 "1.0 cdn (x), HTTP/2 b, 1.1 varve");
    assert_field(pass(&s, "POST https://h/a"), "via", "1.1 varve");
    assert_field(pass(&s, "POST https://h/a\nVia: 1.0 cdn\nVia: 1.1 varve"), "via",
                 "1.0 cdn, 1.1 varve, 1.1 varve");
    s.request.http_major = 2;
    s.request.http_minor = 0;
    forward_pass(s.policy, &s.request, &s.decision, &s.forward);
    assert_field(&s.forward.fields, "via", "1.0 cdn, 1.1 varve, 2.0 varve");
    s.request.http_major = 1;
    forward_pass(s.policy, &s.request, &s.decision, &s.forward);
    assert_field(&s.forward.fields, "via", "1.0 cdn, 1.1 varve, 1.0 varve");
    assert_int_equal(fields_count_id(&s.forward.fields, FIELD_VIA), 1);
    setup_fini(&s);
}

/* Nothing of the client in it: neither what it came through nor its version of HTTP. */
static void test_2_1_via_of_a_sealed_fill_is_always_the_same(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    fill(&s, "GET https://h/s/a\nVia: 1.0 cdn");
    assert_field(&s.forward.fields, "via", "1.1 varve");
    slice key = s.forward.key_text;
    s.request.http_major = 2;
    forward_fill(s.policy, &s.request, &s.decision, &s.names, true, &s.forward);
    assert_field(&s.forward.fields, "via", "1.1 varve");
    assert_true(slice_equal(key, s.forward.key_text));
    set_union(&s, "via"); /* the renderer varies by it: sent, and keyed as it is sent */
    fill(&s, "GET https://h/s/a\nVia: 1.0 cdn");
    assert_field(&s.forward.fields, "via", "1.0 cdn, 1.1 varve");
    assert_slice(forward_variant_text(s.forward.key_text, &s.arena), "via=1.0 cdn, 1.1 varve");
    setup_fini(&s);
}

static void test_2_8_passes_send_what_the_client_said(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    pass(&s, "DELETE https://h/s/a?utm=1" MUCH);
    assert_slice(head_text(&s.arena, &s.forward.fields),
                 "user-agent=Firefox; accept=text/html; accept-language=de; referer=http://x/; "
                 "origin=http://x; cookie=_ga=1; forwarded=for=1; x-real-ip=1.1.1.1; "
                 "x-original-url=/admin; x-rewrite-url=/admin; x-http-method-override=DELETE; "
                 "cf-ipcountry=DE; x_under=1; if-none-match=\"a\"; if-modified-since=x; "
                 "range=bytes=0-1; traceparent=00-1; x-foo=1; dnt=1; x-forwarded-for=192.0.2.7");
    assert_slice(s.forward.method, "DELETE");
    assert_slice(s.forward.target, "/s/a?utm=1");
    assert_field(&s.forward.fields, "x-forwarded-proto", "https");
    assert_field(&s.forward.fields, "x-forwarded-host", "h");
    assert_field(&s.forward.fields, "x-request-id", "id-1");
    assert_field(&s.forward.fields, "accept-encoding", "gzip");
    assert_int_equal(s.forward.held_cookies.count, 0);
    setup_fini(&s);
}

/* Under `seal: off` nothing but Vary tells answers apart: none of them is a page of later, when a
 * reload has set a seal. */
static void test_1_4_what_was_stored_without_a_seal_has_another_key_than_under_one(void **state)
{
    struct setup s;
    struct arena arena;
    (void)state;
    arena_init(&arena);
    setup_init(&s, BASE "seal: off\n" ROUTES);
    fill(&s, "GET https://h/a\nRSC: 1");
    slice open = arena_copy(&arena, s.forward.key_text);
    setup_fini(&s);
    setup_init(&s, BASE ROUTES);
    fill(&s, "GET https://h/a");
    assert_false(slice_equal(open, s.forward.key_text));
    setup_fini(&s);
    arena_fini(&arena);
}

static void test_2_8_internal_fields_pass_only_with_seal_off(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "seal: off\n" ROUTES);
    assert_field(pass(&s, "POST http://h/\nX-Middleware-Subrequest: 1"), "x-middleware-subrequest",
                 "1");
    setup_fini(&s);
    setup_init(&s, BASE ROUTES);
    assert_field(pass(&s, "POST http://h/\nX-Nextjs-Data: 1"), "x-nextjs-data", "1");
    assert_field(pass(&s, "POST http://h/\nNext-Action: 1"), "next-action", "1");
    assert_field(pass(&s, "POST http://h/\nX-Prerender-Revalidate: 1"), "x-prerender-revalidate",
                 NULL);
    setup_fini(&s);
}

static const struct fields *pass_from_proxy(struct setup *s, const char *text)
{
    s->request = request_of(&s->arena, text);
    s->request.peer_is_trusted = true;
    rules_receive(s->policy, &s->request, SLICE_NONE, &s->decision);
    forward_pass(s->policy, &s->request, &s->decision, &s->forward);
    return &s->forward.fields;
}

static void test_2_8_forwarded_for_is_appended_behind_trusted_peers(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    assert_field(pass_from_proxy(&s, "POST http://h/\nX-Forwarded-For: 1.1.1.1\nX-Forwarded-For: "
                                     "2.2.2.2\nX-Forwarded-Prefix: /x"),
                 "x-forwarded-for", "1.1.1.1, 2.2.2.2, 192.0.2.7");
    assert_field(&s.forward.fields, "x-forwarded-prefix", "/x");
    assert_field(pass_from_proxy(&s, "POST http://h/"), "x-forwarded-for", "192.0.2.7");
    setup_fini(&s);
}

static void test_2_8_client_address_on_fills_only_if_asked_for_and_never_sealed(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, "origins: {web: {workers: [\"http://127.0.0.1:3000\"], forward_client_address: "
                   "true}}\n" ROUTES);
    assert_field(fill(&s, "GET http://h/a"), "x-forwarded-for", "192.0.2.7");
    assert_field(fill(&s, "GET http://h/s/a"), "x-forwarded-for", NULL);
    setup_fini(&s);
    setup_init(&s, BASE ROUTES);
    assert_field(fill(&s, "GET http://h/a\nX-Forwarded-For: 1.1.1.1"), "x-forwarded-for", NULL);
    setup_fini(&s);
}

static void test_2_8_an_upgrade_is_not_passed_on(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    s.request = request_of(&s.arena, "GET http://h/a\nUpgrade: websocket\nConnection: Upgrade\n"
                                     "Sec-WebSocket-Key: x");
    s.request.is_upgrade = true;
    rules_receive(s.policy, &s.request, SLICE_NONE, &s.decision);
    forward_pass(s.policy, &s.request, &s.decision, &s.forward);
    assert_field(&s.forward.fields, "upgrade", NULL);
    assert_field(&s.forward.fields, "sec-websocket-key", "x");
    assert_field(&s.forward.fields, "connection", NULL);
    setup_fini(&s);
}

static void test_7_6_2_max_forwards_counts_down_for_options_and_trace(void **state)
{
    static const char *const cases[][2] = {
        {"OPTIONS http://h/\nMax-Forwards: 10", "9"},
        {"TRACE http://h/\nMax-Forwards:  01 ", "0"},
        {"TRACE http://h/\nMax-Forwards: 18446744073709551615", "18446744073709551614"},
        {"OPTIONS http://h/\nMax-Forwards: 99999999999999999999", "18446744073709551614"},
        {"OPTIONS http://h/\nMax-Forwards: -1", "-1"},
        {"OPTIONS http://h/\nMax-Forwards: 5, 5", "5, 5"},
        {"OPTIONS http://h/\nMax-Forwards: 5\nMax-Forwards: 5", "5"},
        {"OPTIONS http://h/", NULL},
        {"POST http://h/\nMax-Forwards: 10", "10"},
    };
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_field(pass_from_proxy(&s, cases[i][0]), "max-forwards", cases[i][1]);
        assert_false(max_forwards_ends_here(&s.request));
    }
    s.request = request_of(&s.arena, "OPTIONS http://h/\nMax-Forwards: 0");
    assert_true(max_forwards_ends_here(&s.request));
    s.request = request_of(&s.arena, "GET http://h/\nMax-Forwards: 0");
    assert_false(max_forwards_ends_here(&s.request));
    setup_fini(&s);
}

static void test_cookie_lines_of_http2_become_one(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    pass(&s, "GET http://h/a\nCookie: a=1\nX-A: 1\nCookie: b=2");
    assert_slice(head_text(&s.arena, &s.forward.fields),
                 "cookie=a=1; b=2; x-a=1; x-forwarded-for=192.0.2.7");
    setup_fini(&s);
}

static void test_4_7_codings_are_reduced(void **state)
{
    static const char *const cases[][2] = {
        {"gzip, deflate, br, zstd", "gzip, br"},
        {"GZIP;q=0.5, x-gzip", "gzip;q=0.500"},
        {"gzip, br, gzip;q=0", "gzip;q=0.000, br"},
        {"deflate", "identity"},
        {"", "identity"},
        {"*", "br, gzip"},
        {"*;q=0", "identity"},
        {"br;q=0, *;q=0.5", "br;q=0.000, gzip;q=0.500"},
        {"identity", "identity"},
    };
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        receive(&s, arena_printf(&s.arena, "GET http://h/a\nAccept-Encoding: %s", cases[i][0]).ptr);
        forward_fill(s.policy, &s.request, &s.decision, &s.names, false, &s.forward);
        assert_field(&s.forward.fields, "accept-encoding", cases[i][1]);
    }
    assert_field(pass(&s, "GET http://h/a"), "accept-encoding", NULL);
    setup_fini(&s);
}

static void test_10_2_variant_text_shows_no_cookie_values(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES "vary: {cookie: {keep: [ab, cd]}}\n");
    set_union(&s, "accept-language foo");
    fill(&s, "GET http://h/a?x\nAccept-Language: d\xc3\xa9\nCookie: ab=SECRET; cd=\nRSC: 1");
    slice text = forward_variant_text(s.forward.key_text, &s.arena);
    assert_true(slice_starts_with(text, SLICE("accept-language=d\\xc3\\xa9; no foo; rsc=1; "
                                              "cookie.ab=#")));
    assert_true(slice_search(text, SLICE("SECRET")) == text.len);
    assert_slice(forward_variant_text(SLICE("s4:httpf9:cut"), &s.arena), "");
    assert_slice(forward_variant_text(SLICE("f1:av99999999999999999999:"), &s.arena), "");
    assert_slice(forward_variant_text(SLICE_NONE, &s.arena), "");
    setup_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_1_a_sealed_fill_carries_next_to_nothing),
        cmocka_unit_test(test_2_1_strict_sends_the_same_without_a_ttl),
        cmocka_unit_test(test_2_2_strict_never_learns),
        cmocka_unit_test(test_2_2_standard_holds_back_the_list_and_sends_the_rest_in_order),
        cmocka_unit_test(test_2_2_lines_are_joined_and_trimmed),
        cmocka_unit_test(test_1_4_what_was_stored_without_a_seal_has_another_key_than_under_one),
        cmocka_unit_test(test_2_2_off_holds_back_hop_by_hop_conditions_and_range_only),
        cmocka_unit_test(test_2_2_a_keyed_value_over_256_bytes_cannot_be_keyed),
        cmocka_unit_test(test_2_3_learned_fields_are_sent_and_keyed),
        cmocka_unit_test(test_2_5_keys_of_different_unions_are_different),
        cmocka_unit_test(test_2_3_what_the_seal_held_back),
        cmocka_unit_test(test_2_3_unsealed_fills_hold_back_nothing_that_could_be_keyed),
        cmocka_unit_test(test_2_4_a_vary_entry_beats_the_seal),
        cmocka_unit_test(test_1_1_what_is_in_every_key),
        cmocka_unit_test(test_1_2_cookies_of_a_hop_are_neither_sent_nor_keyed),
        cmocka_unit_test(test_1_1_the_key_is_length_prefixed),
        cmocka_unit_test(test_1_1_class_host_and_build_of_set_headers),
        cmocka_unit_test(test_target_templates),
        cmocka_unit_test(test_a_path_adds_no_parameter_to_a_target),
        cmocka_unit_test(test_9110_7_6_3_every_request_to_an_origin_names_varve),
        cmocka_unit_test(test_2_1_via_of_a_sealed_fill_is_always_the_same),
        cmocka_unit_test(test_2_8_passes_send_what_the_client_said),
        cmocka_unit_test(test_2_8_internal_fields_pass_only_with_seal_off),
        cmocka_unit_test(test_2_8_forwarded_for_is_appended_behind_trusted_peers),
        cmocka_unit_test(test_2_8_client_address_on_fills_only_if_asked_for_and_never_sealed),
        cmocka_unit_test(test_2_8_an_upgrade_is_not_passed_on),
        cmocka_unit_test(test_7_6_2_max_forwards_counts_down_for_options_and_trace),
        cmocka_unit_test(test_cookie_lines_of_http2_become_one),
        cmocka_unit_test(test_4_7_codings_are_reduced),
        cmocka_unit_test(test_10_2_variant_text_shows_no_cookie_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
