/* policy/post.c: which answer to a POST is the page of its URL (RFC 9110 §9.3.3, semantics 2.2). */
#include "policy/response.h"

#include "tests/unit/policy/request_support.h"

#define BASE "renderer: http://127.0.0.1:3000\n"
#define RFC  "routes: [{match: \"/**\", post: rfc}]\n"
#define ADDRESS                                                                                    \
    "origins: {web: {workers: [\"http://127.0.0.1:3000\"], forward_client_address: true}}\n"

static bool is_page_of(const char *yaml, const char *host_raw, const char *text)
{
    struct setup s;
    setup_init(&s, yaml);
    struct forward fill;
    struct response response = {.status = 200};
    fields_init(&response.fields, &s.arena);
    fields_add_id(&response.fields, FIELD_CONTENT_LOCATION, SLICE(""));
    pass(&s, text);
    assert_true(s.decision.may_store_post);
    if (host_raw)
        s.request.host_raw = slice_of_string(host_raw);
    forward_fill(s.policy, &s.request, &s.decision, &s.names, false, &fill);
    bool is_page = rules_post_is_page(&s.request, &s.forward, &fill, &response);
    setup_fini(&s);
    return is_page;
}

static void test_the_same_target_host_and_fields_are_a_page(void **state)
{
    (void)state;
    assert_true(is_page_of(BASE RFC, NULL, "POST http://h/p?a=1\nContent-Type: text/plain"));
    assert_true(is_page_of(BASE RFC, NULL, "POST http://h/p\nAccept-Language: de\nX-A: 1"));
    assert_false(is_page_of(BASE RFC, NULL, "POST http://h/p\nX-Original-URL: /evil"));
    assert_false(is_page_of(BASE RFC, NULL, "POST http://h/p\nX-A: 1\nX-A: 2"));
}

static void test_a_query_that_the_route_drops_or_sorts_makes_another_target(void **state)
{
    static const char *const drop =
        BASE "routes: [{match: \"/**\", post: rfc, query: {drop: [utm]}}]\n";
    static const char *const sort =
        BASE "routes: [{match: \"/**\", post: rfc, query: {sort: true}}]\n";
    (void)state;
    assert_false(is_page_of(drop, NULL, "POST http://h/p?utm=EVIL"));
    assert_false(is_page_of(drop, NULL, "POST http://h/p?a=1&utm=EVIL"));
    assert_true(is_page_of(drop, NULL, "POST http://h/p?a=1"));
    assert_false(is_page_of(sort, NULL, "POST http://h/p?b=1&a=1"));
    assert_true(is_page_of(sort, NULL, "POST http://h/p?a=1&b=1"));
}

static void test_a_host_in_another_spelling_is_another_host(void **state)
{
    (void)state;
    assert_true(is_page_of(BASE RFC, "h", "POST http://h/p"));
    assert_false(is_page_of(BASE RFC, "H", "POST http://h/p"));
    assert_false(is_page_of(BASE RFC, "h:80", "POST http://h/p"));
    assert_false(is_page_of(BASE RFC, "h.", "POST http://h/p"));
}

static void test_what_a_fill_would_have_made_of_a_field_is_another_field(void **state)
{
    static const char *const choose =
        BASE RFC "vary: {accept-language: {choose: [en, de], always: true}}\n";
    (void)state;
    assert_true(is_page_of(choose, NULL, "POST http://h/p\nAccept-Language: de"));
    assert_false(is_page_of(choose, NULL, "POST http://h/p\nAccept-Language: de-AT, en"));
    assert_false(is_page_of(choose, NULL, "POST http://h/p")); /* the fill says "en" */
}

static void test_2_8_the_client_address_is_sent_only_where_fills_send_it(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE RFC);
    assert_field(pass(&s, "POST http://h/p\nX-Forwarded-For: 1.1.1.1"), "x-forwarded-for", NULL);
    assert_field(pass(&s, "POST http://h/p\nAuthorization: x"), "x-forwarded-for", "192.0.2.7");
    setup_fini(&s);
    setup_init(&s, ADDRESS RFC);
    assert_field(pass(&s, "POST http://h/p"), "x-forwarded-for", "192.0.2.7");
    setup_fini(&s);
    assert_true(is_page_of(ADDRESS RFC, NULL, "POST http://h/p"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_target_host_and_fields_are_a_page),
        cmocka_unit_test(test_a_query_that_the_route_drops_or_sorts_makes_another_target),
        cmocka_unit_test(test_a_host_in_another_spelling_is_another_host),
        cmocka_unit_test(test_what_a_fill_would_have_made_of_a_field_is_another_field),
        cmocka_unit_test(test_2_8_the_client_address_is_sent_only_where_fills_send_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
