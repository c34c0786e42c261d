/* Request bodies in memory: all together, and what one address may hold of them. */
#include "edge/http/bodies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct bodies bodies;

static void begin(uint64_t all, size_t one, unsigned percent)
{
    static struct policy policy;
    policy.limits.request_bodies_bytes = all;
    policy.limits.request_body_bytes = one;
    policy.limits.per_client_percent = percent;
    bodies_init(&bodies, &policy);
}

/* Nothing is left of what was counted. */
static void end(void)
{
    assert_int_equal(bodies.bytes, 0);
    assert_int_equal(bodies.addresses.clients, 0);
    bodies_fini(&bodies);
}

static bool reserve(const char *who, uint64_t before, uint64_t after)
{
    struct ip_address address;
    if (who)
        assert_true(ip_parse(slice_of_string(who), &address));
    return bodies_reserve(&bodies, who ? &address : NULL, before, after);
}

static void account(const char *who, uint64_t before, uint64_t after)
{
    struct ip_address address;
    assert_true(ip_parse(slice_of_string(who), &address));
    bodies_account(&bodies, &address, before, after);
}

static void test_9_5_all_together_have_one_limit(void **state)
{
    (void)state;
    begin(1000, 100, 100);
    assert_true(reserve("192.0.2.1", 0, 600));
    assert_false(reserve("192.0.2.2", 0, 401));
    assert_true(reserve("192.0.2.2", 0, 400));
    assert_false(reserve(NULL, 0, 1));
    assert_true(reserve("192.0.2.1", 600, 599));
    assert_true(reserve(NULL, 0, 1));
    assert_true(reserve("192.0.2.1", 599, 0));
    assert_true(reserve("192.0.2.2", 400, 0));
    assert_true(reserve(NULL, 1, 0));
    end();
}

static void test_an_address_holds_more_than_its_share_while_one_is_left_beside_it(void **state)
{
    (void)state;
    begin(1000, 100, 25);
    assert_true(reserve("192.0.2.1", 0, 750));
    assert_false(reserve("192.0.2.1", 750, 751));
    assert_true(reserve("192.0.2.2", 0, 250));
    assert_false(reserve("192.0.2.2", 250, 251));
    assert_true(reserve("192.0.2.1", 750, 300)); /* less always fits */
    assert_true(reserve("192.0.2.2", 250, 450));
    assert_false(reserve("192.0.2.1", 300, 301));
    assert_true(reserve("192.0.2.3", 0, 250));
    assert_true(reserve("192.0.2.1", 300, 0));
    assert_true(reserve("192.0.2.2", 450, 0));
    assert_true(reserve("192.0.2.3", 250, 0));
    end();
}

static void test_a_share_is_one_body_at_least_and_all_of_it_at_most(void **state)
{
    (void)state;
    begin(1000, 400, 25);
    assert_true(reserve("192.0.2.1", 0, 600));
    assert_false(reserve("192.0.2.1", 600, 601));
    assert_true(reserve("192.0.2.2", 0, 400));
    assert_true(reserve("192.0.2.1", 600, 0));
    assert_true(reserve("192.0.2.2", 400, 0));
    end();
    begin(1000, 5000, 25);
    assert_true(reserve("192.0.2.1", 0, 1000));
    assert_true(reserve("192.0.2.1", 1000, 0));
    end();
}

static void test_who_has_no_share_is_held_to_none_and_a_slash_64_is_one_address(void **state)
{
    (void)state;
    begin(1000, 100, 25);
    assert_true(reserve(NULL, 0, 1000));
    assert_true(reserve(NULL, 1000, 500));
    assert_true(reserve("2001:db8:0:1::1", 0, 200));
    assert_true(reserve("2001:db8:0:1::2", 0, 50));
    assert_false(reserve("2001:db8:0:1::3", 0, 1));
    assert_true(reserve("2001:db8:0:2::1", 0, 250));
    assert_true(reserve("2001:db8:0:1::1", 200, 0));
    assert_true(reserve("2001:db8:0:1::2", 50, 0));
    assert_true(reserve("2001:db8:0:2::1", 250, 0));
    assert_true(reserve(NULL, 500, 0));
    end();
}

static void test_what_is_there_counts_even_where_there_was_no_room(void **state)
{
    (void)state;
    begin(1000, 100, 25);
    account("192.0.2.1", 0, 1200);
    assert_false(reserve("192.0.2.2", 0, 1));
    assert_true(reserve("192.0.2.1", 1200, 1100));
    account("192.0.2.1", 1100, 0);
    end();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_9_5_all_together_have_one_limit),
        cmocka_unit_test(test_an_address_holds_more_than_its_share_while_one_is_left_beside_it),
        cmocka_unit_test(test_a_share_is_one_body_at_least_and_all_of_it_at_most),
        cmocka_unit_test(test_who_has_no_share_is_held_to_none_and_a_slash_64_is_one_address),
        cmocka_unit_test(test_what_is_there_counts_even_where_there_was_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
