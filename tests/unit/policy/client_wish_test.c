/* Cache-Control of requests: http-caching, "Request directives", RFC 9111 §5.2.1. */
#include "policy/client_wish.h"
#include "tests/unit/policy/response_support.h"

struct wish_row {
    const char *request;
    int64_t age, left;
    bool admits;
};

static void test_a_fresh_response_is_given_only_if_the_client_would_have_it(void **state)
{
    static const struct wish_row rows[] = {
        {"", 100, 0, true},
        {"Cache-Control: no-cache", 0, 100, false},
        {"Cache-Control: foo, No-Cache", 0, 100, false},
        {"Cache-Control: no-cachex", 0, 100, true},
        {"Pragma: no-cache", 0, 100, false},
        {"Pragma: no-cache\nCache-Control: max-age=10", 5, 100, true},
        {"Cache-Control: max-age=10", 10, 100, true},
        {"Cache-Control: max-age=10", 11, 100, false},
        {"Cache-Control: MAX-AGE=0", 0, 100, true},
        {"Cache-Control: max-age=0", 1, 100, false},
        {"Cache-Control: max-age=x", 1, 100, false},
        {"Cache-Control: max-age", 1, 100, false},
        {"Cache-Control: max-age=99999999999999999999", 1000000, 100, true},
        {"Cache-Control: max-age=5, max-age=50", 10, 100, false},
        {"Cache-Control: min-fresh=50", 0, 50, true},
        {"Cache-Control: min-fresh=50", 0, 49, false},
        {"Cache-Control: min-fresh=x", 0, 1, true},
        {"Cache-Control: max-age=10\nCache-Control: min-fresh=5", 10, 4, false},
        {"Cache-Control: only-if-cached, no-store", 10, 4, true},
        {"Cache-Control: max-stale=5", 10, 4, true},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fixture *f = fixture_new();
        struct client_wish wish;
        f->route.honours_client = true;
        add_lines(&f->request.fields, rows[i].request);
        client_wish_of(&f->request, &f->route, &wish);
        if (client_wish_admits(&wish, duration_of_seconds(rows[i].age),
                               duration_of_seconds(rows[i].left)) != rows[i].admits)
            fail_msg("%s at age %d", rows[i].request, (int)rows[i].age);
        fixture_free(f);
    }
}

static void test_edges_ignore_what_clients_wish_unless_the_route_says_otherwise(void **state)
{
    struct fixture *f = fixture_new();
    struct client_wish wish;
    (void)state;
    add_lines(&f->request.fields, "Cache-Control: no-cache, no-store, only-if-cached, max-age=0");
    client_wish_of(&f->request, &f->route, &wish);
    assert_true(client_wish_admits(&wish, duration_of_seconds(9), duration_of_seconds(9)));
    assert_false(wish.no_store || wish.only_if_cached);
    f->route.honours_client = true;
    client_wish_of(&f->request, &f->route, &wish);
    assert_true(wish.no_store && wish.only_if_cached && wish.no_cache);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fresh_response_is_given_only_if_the_client_would_have_it),
        cmocka_unit_test(test_edges_ignore_what_clients_wish_unless_the_route_says_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
