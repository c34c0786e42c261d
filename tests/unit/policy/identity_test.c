/* policy/identity.c: cookies and who is logged in (semantics 2.6). */
#include "policy/identity.h"

#include "tests/unit/policy/request_support.h"

#define BASE   "renderer: http://127.0.0.1:3000\n"
#define ROUTES "routes: [{match: \"/open/**\", cookies: ignore}, {match: \"/**\", ttl: 1m}]\n"

static bool is_logged_in(const char *yaml, const char *lines, const char *why)
{
    struct setup s;
    setup_init(&s, yaml);
    bool logged_in =
        receive(&s, arena_printf(&s.arena, "GET http://h/a\n%s", lines).ptr)->is_logged_in;
    assert_int_equal(s.decision.action, logged_in ? ACTION_PASS : ACTION_LOOKUP);
    assert_int_equal(s.decision.reason, logged_in ? REASON_LOGGED_IN : REASON_NONE);
    if (why)
        assert_slice(s.decision.identified_by, why);
    setup_fini(&s);
    return logged_in;
}

static void test_2_6_by_default_any_unknown_cookie_logs_in(void **state)
{
    const char *yaml = BASE ROUTES;
    (void)state;
    assert_false(is_logged_in(yaml, "Accept: text/html", NULL));
    assert_true(is_logged_in(yaml, "Cookie: sid=1", "cookie:sid"));
    assert_true(is_logged_in(yaml, "Cookie: _ga=1; sid=1", "cookie:sid"));
    assert_true(is_logged_in(yaml, "Cookie: _ga=1\nCookie: sid=1", "cookie:sid"));
    assert_true(is_logged_in(yaml, "Cookie: nameless", "cookie:nameless"));
    assert_true(is_logged_in(yaml, "Cookie: =value", "cookie:"));
    assert_true(is_logged_in(yaml, "Cookie: _GA=1", "cookie:_GA"));
    assert_false(is_logged_in(yaml, "Cookie: ", NULL));
    assert_false(is_logged_in(yaml, "Cookie: ;; ;", NULL));
}

static void test_2_6_ignored_cookies_log_nobody_in(void **state)
{
    (void)state;
    assert_false(is_logged_in(BASE ROUTES,
                              "Cookie: _ga=1; _ga_ABC=2; _gid=3; _gat_x=1; _gcl_au=4; _fbp=5; "
                              "_hjSession=6; _pk_id.1=7; __utmz=8; _clck=9; OptanonConsent=a; "
                              "CookieConsent=b",
                              NULL));
    assert_false(is_logged_in(BASE ROUTES "identity: {ignore_cookies: [\"my_*\"]}\n",
                              "Cookie: my_banner=1; _ga=2", NULL));
}

static void test_2_6_a_cookie_hidden_in_another_ones_value_logs_in_or_is_all_value(void **state)
{
    const char *yaml = BASE ROUTES "vary: {cookie: {keep: [ab]}}\n";
    (void)state;
    assert_true(is_logged_in(yaml, "Cookie: ab=\"x; sid=1\"", "cookie:sid"));
    assert_true(is_logged_in(yaml, "Cookie: ab=1;sid=1", "cookie:sid"));
    assert_false(is_logged_in(yaml, "Cookie: ab=1, sid=1", NULL));
}

static void test_2_6_kept_cookies_log_nobody_in(void **state)
{
    (void)state;
    assert_false(is_logged_in(BASE ROUTES "vary: {cookie: {keep: [ab_bucket]}}\n",
                              "Cookie: ab_bucket=1", NULL));
}

static void test_2_6_headers(void **state)
{
    (void)state;
    assert_true(is_logged_in(BASE ROUTES, "Authorization: Basic x", "header:authorization"));
    assert_true(is_logged_in(BASE ROUTES "identity: {logged_in: {headers: [X-User]}}\n",
                             "X-User: 1", "header:x-user"));
    assert_false(is_logged_in(BASE ROUTES "identity: {logged_in: {headers: [X-User]}}\n",
                              "Authorization: Basic x", NULL));
    assert_true(is_logged_in(BASE ROUTES "identity: {logged_in: {headers: none}}\n",
                             "Cookie: sid=1", "cookie:sid"));
    assert_false(is_logged_in(BASE ROUTES "identity: {logged_in: none}\n",
                              "Cookie: sid=1\nAuthorization: x", NULL));
}

static void test_2_6_with_a_list_only_its_names_decide(void **state)
{
    const char *yaml = BASE ROUTES "identity: {logged_in: {cookies: [sid, \"auth_*\"]}}\n";
    (void)state;
    assert_false(is_logged_in(yaml, "Cookie: other=1", NULL));
    assert_true(is_logged_in(yaml, "Cookie: other=1; auth_x=2", "cookie:auth_x"));
    assert_true(is_logged_in(yaml, "Authorization: x", "header:authorization"));
}

static void test_2_6_a_listed_name_beats_the_other_lists(void **state)
{
    (void)state;
    assert_true(is_logged_in(BASE ROUTES "identity: {logged_in: {cookies: [_ga]}}\n",
                             "Cookie: _ga=1", "cookie:_ga"));
}

static void test_2_6_route_with_cookies_ignore(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES "vary: {cookie: {keep: [ab]}}\n");
    assert_false(receive(&s, "GET http://h/open/a\nCookie: sid=1; ab=2")->is_logged_in);
    assert_true(receive(&s, "GET http://h/open/a\nAuthorization: x")->is_logged_in);
    assert_field(fill(&s, "GET http://h/open/a\nCookie: sid=1; ab=2"), "cookie", NULL);
    assert_int_equal(s.forward.held_cookies.count, 2);
    setup_fini(&s);
}

static void test_2_6_fills_carry_kept_cookies_alone(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES "vary: {cookie: {keep: [ab, lang]}}\n"
                               "identity: {logged_in: {cookies: [sid]}}\n");
    assert_field(fill(&s, "GET http://h/a\nCookie: x=1; lang=de; _ga=2; ab=b; lang=en"), "cookie",
                 "ab=b; lang=de; lang=en");
    assert_int_equal(s.forward.held_cookies.count, 2);
    assert_slice(s.forward.held_cookies.at[0], "x");
    assert_slice(s.forward.held_cookies.at[1], "_ga");
    assert_field(fill(&s, "GET http://h/a\nCookie: x=1"), "cookie", NULL);
    setup_fini(&s);
}

static slice key_of_cookies(struct setup *s, const char *cookies)
{
    fill(s, arena_printf(&s->arena, "GET http://h/a\nCookie: %s", cookies).ptr);
    return s->forward.key_text;
}

static void test_2_6_kept_cookies_are_keyed(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES "vary: {cookie: {keep: [ab, cd]}}\n");
    slice one = key_of_cookies(&s, "ab=1; cd=2");
    assert_true(slice_equal(one, key_of_cookies(&s, "_ga=5; cd=2;  ab=1")));
    assert_false(slice_equal(one, key_of_cookies(&s, "ab=1")));
    assert_false(slice_equal(one, key_of_cookies(&s, "ab=1; cd=3")));
    assert_false(slice_equal(key_of_cookies(&s, "ab=1; ab=2"), key_of_cookies(&s, "ab=2; ab=1")));
    setup_fini(&s);
}

static void test_more_cookies_than_we_read_log_in(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE ROUTES "identity: {logged_in: {cookies: [sid]}}\n");
    slice text = SLICE("GET http://h/a\nCookie: a=1");
    for (int i = 0; i < COOKIES_MAX; i++)
        text = arena_concat(&s.arena, (slice[]){text, SLICE("; a=1")}, 2);
    slice more = arena_concat(&s.arena, (slice[]){text, SLICE("; sid=1")}, 2);
    receive(&s, arena_copy(&s.arena, text).ptr);
    assert_true(s.decision.is_logged_in);
    receive(&s, arena_copy(&s.arena, more).ptr);
    assert_true(s.decision.is_logged_in);
    setup_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_6_by_default_any_unknown_cookie_logs_in),
        cmocka_unit_test(test_2_6_ignored_cookies_log_nobody_in),
        cmocka_unit_test(test_2_6_a_cookie_hidden_in_another_ones_value_logs_in_or_is_all_value),
        cmocka_unit_test(test_2_6_kept_cookies_log_nobody_in),
        cmocka_unit_test(test_2_6_headers),
        cmocka_unit_test(test_2_6_with_a_list_only_its_names_decide),
        cmocka_unit_test(test_2_6_a_listed_name_beats_the_other_lists),
        cmocka_unit_test(test_2_6_route_with_cookies_ignore),
        cmocka_unit_test(test_2_6_fills_carry_kept_cookies_alone),
        cmocka_unit_test(test_2_6_kept_cookies_are_keyed),
        cmocka_unit_test(test_more_cookies_than_we_read_log_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
