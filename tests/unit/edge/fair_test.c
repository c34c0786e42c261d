/* Which address holds what (semantics 7.3). */
#include "edge/origin/fair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct fair fair;

static int open_books(void **state)
{
    (void)state;
    fair_init(&fair);
    fair.percent = 25;
    return 0;
}

static int close_books(void **state)
{
    (void)state;
    fair_fini(&fair);
    return 0;
}

static struct fair_client *client_at(const char *text)
{
    struct ip_address address;
    assert_true(ip_parse(slice_of_string(text), &address));
    return fair_client(&fair, &address);
}

static void test_7_3_a_share_is_rounded_down_but_one_at_least(void **state)
{
    (void)state;
    assert_int_equal(fair_share(&fair, 0), 1);
    assert_int_equal(fair_share(&fair, 3), 1);
    assert_int_equal(fair_share(&fair, 7), 1);
    assert_int_equal(fair_share(&fair, 8), 2);
    assert_int_equal(fair_share(&fair, 399), 99);
    fair.percent = 99;
    assert_true(fair_share(&fair, UINT64_MAX) < UINT64_MAX);
    assert_true(fair_share(&fair, UINT64_MAX) > UINT64_MAX / 100 * 98);
}

static void test_7_3_a_slash_64_of_IPv6_is_one_address_each_of_IPv4_its_own(void **state)
{
    (void)state;
    struct fair_client *home = client_at("2001:db8:0:1::1");
    home->places = 1;
    assert_ptr_equal(client_at("2001:db8:0:1:ffff::9"), home);
    struct fair_client *neighbour = client_at("2001:db8:0:2::1");
    assert_ptr_not_equal(neighbour, home);
    neighbour->slots = 1;
    struct fair_client *v4 = client_at("192.0.2.1");
    v4->lent = 1;
    assert_ptr_not_equal(client_at("192.0.2.2"), v4);
    assert_ptr_equal(client_at("192.0.2.1"), v4);
}

static void test_100_percent_is_no_share_for_anybody(void **state)
{
    (void)state;
    fair.percent = 100;
    assert_null(client_at("192.0.2.1"));
    fair.percent = 0;
    assert_null(client_at("192.0.2.1"));
    fair_settle(&fair, NULL);
    assert_int_equal(fair.clients, 0);
}

/* --- against a naive model: two figures for each of so many addresses --- */

enum { ADDRESSES = 5000 };

static struct ip_address address_of(unsigned i)
{
    struct ip_address address = {.bytes = {0x20, 0x01}};
    address.bytes[6] = (uint8_t)(i >> 8);
    address.bytes[7] = (uint8_t)i;
    address.bytes[15] = (uint8_t)random(); /* within its /64 */
    return address;
}

static void test_7_3_random_takings_and_givings_back_are_kept_exactly(void **state)
{
    static unsigned slots[ADDRESSES], places[ADDRESSES];
    unsigned known = 0;
    (void)state;
    srandom(3);
    for (unsigned round = 0; round < 200000; round++) {
        unsigned i = (unsigned)random() % ADDRESSES;
        struct ip_address address = address_of(i);
        struct fair_client *client = fair_client(&fair, &address);
        assert_int_equal(client->slots, slots[i]);
        assert_int_equal(client->places, places[i]);
        known += slots[i] + places[i] == 0;
        unsigned *mine = random() % 2 ? &slots[i] : &places[i];
        unsigned *theirs = mine == &slots[i] ? &client->slots : &client->places;
        bool is_more = *mine == 0 || random() % 2;
        *mine += is_more ? 1 : UINT32_MAX;
        *theirs += is_more ? 1 : UINT32_MAX;
        known -= slots[i] + places[i] == 0;
        fair_settle(&fair, client);
        assert_int_equal(fair.clients, known);
    }
    assert_true(known > ADDRESSES / 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_books, close_books)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_7_3_a_share_is_rounded_down_but_one_at_least),
        TEST(test_7_3_a_slash_64_of_IPv6_is_one_address_each_of_IPv4_its_own),
        TEST(test_100_percent_is_no_share_for_anybody),
        TEST(test_7_3_random_takings_and_givings_back_are_kept_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
