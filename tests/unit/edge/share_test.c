/* edge/origin/share.c: each worker is exactly one edge's, on whichever machine that is worked out.
 */
#include "edge/origin/share.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include <cmocka.h>

enum { EDGES_MAX = 64, LIST_MAX = 80 };

static struct worker_config worker(const char *host, uint16_t port)
{
    return (struct worker_config){.host = slice_of_string(host), .port = port};
}

static struct origin_config edge(unsigned part, unsigned of, struct worker_config *list,
                                 size_t count)
{
    return (struct origin_config){
        .workers = list, .worker_count = count, .share = {.part = part, .of = of}};
}

/* The edges that have this entry, as bits. */
static uint64_t owners_of_entry(unsigned of, struct worker_config *list, size_t count, size_t index)
{
    uint64_t owners = 0;
    for (unsigned part = 1; part <= of; part++) {
        struct origin_config origin = edge(part, of, list, count);
        if (share_has_entry(&origin, index))
            owners |= 1ull << (part - 1);
    }
    return owners;
}

static void check_even(unsigned of, struct worker_config *list, size_t count)
{
    size_t most = 0, least = LIST_MAX;
    for (unsigned part = 1; part <= of; part++) {
        struct origin_config origin = edge(part, of, list, count);
        size_t own = share_entry_count(&origin);
        most = own > most ? own : most;
        least = own < least ? own : least;
    }
    assert_true(least >= 1 && most - least <= 1);
}

static void test_7_2_a_list_is_divided_evenly_each_entry_to_one_edge(void **state)
{
    struct worker_config list[LIST_MAX];
    (void)state;
    for (size_t i = 0; i < LIST_MAX; i++)
        list[i] = worker("10.0.0.1", (uint16_t)(3000 + i));
    static const unsigned edges[] = {2, 3, 7, EDGES_MAX};
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        unsigned of = edges[i];
        check_even(of, list, of);
        check_even(of, list, of + 1);
        check_even(of, list, LIST_MAX);
        for (size_t entry = 0; entry < LIST_MAX; entry += 9) {
            uint64_t owners = owners_of_entry(of, list, LIST_MAX, entry);
            assert_true(owners && (owners & (owners - 1)) == 0);
        }
    }
}

/* Who owns an entry must not depend on how somebody wrote the file. */
static void test_7_2_neither_the_order_nor_the_spelling_of_a_list_matters(void **state)
{
    struct worker_config one[] = {worker("renderer-a", 3000),
                                  worker("renderer-b", 3000),
                                  worker("fd00::10", 3000),
                                  {.unix_path = SLICE("/run/d")}};
    struct worker_config other[] = {{.unix_path = SLICE("/run/d")},
                                    worker("FD00:0:0::0010", 3000),
                                    worker("Renderer-B", 3000),
                                    worker("renderer-A", 3000)};
    (void)state;
    for (unsigned of = 2; of <= 4; of++)
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(owners_of_entry(of, one, 4, i), owners_of_entry(of, other, 4, 3 - i));
}

static void test_ports_are_numbers_not_texts(void **state)
{
    struct worker_config list[] = {worker("h", 9000), worker("h", 10000)};
    (void)state;
    assert_int_equal(owners_of_entry(2, list, 2, 0), 1);
    assert_int_equal(owners_of_entry(2, list, 2, 1), 2);
}

/* --- addresses of one name --- */

static struct sockaddr_storage v4(uint32_t host, uint16_t port)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = htonl(host);
    return address;
}

/* Its edge, from 1. Fails unless there is exactly one. */
static unsigned owner_of(unsigned of, const struct sockaddr_storage *address)
{
    struct worker_config name = worker("renderer.example", 3000);
    unsigned owner = 0;
    for (unsigned part = 1; part <= of; part++) {
        struct origin_config origin = edge(part, of, &name, 1);
        assert_true(share_has_entry(&origin, 0));
        if (!share_has_address(&origin, address))
            continue;
        assert_int_equal(owner, 0);
        owner = part;
    }
    assert_true(owner > 0);
    return owner;
}

static void test_7_2_each_address_of_a_name_is_one_edges_about_as_many_for_each(void **state)
{
    enum { COUNT = 3000 };
    (void)state;
    for (unsigned of = 2; of <= 5; of++) {
        unsigned own[EDGES_MAX + 1] = {0};
        for (uint32_t i = 0; i < COUNT; i++) {
            struct sockaddr_storage address = v4(0x0a000000 + i * 7, 3000);
            own[owner_of(of, &address)]++;
        }
        for (unsigned part = 1; part <= of; part++)
            assert_in_range(own[part], COUNT / of * 9 / 10, COUNT / of * 11 / 10);
    }
}

/* With one edge more, what moves moves to that one. */
static void test_7_2_a_further_edge_takes_only_what_becomes_its_own(void **state)
{
    unsigned moved = 0;
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        struct sockaddr_storage address = v4(0x0a000000 + i, 3000);
        unsigned before = owner_of(3, &address), after = owner_of(4, &address);
        assert_true(after == before || after == 4);
        moved += after != before;
    }
    assert_in_range(moved, 200, 300);
}

/* Edges of different versions and machines must agree: these never change. */
static void test_7_2_who_owns_an_address_is_fixed_for_all_times(void **state)
{
    static const char expected[] = "2112212123132231";
    char seen[sizeof(expected)] = {0};
    (void)state;
    for (uint32_t i = 0; i + 1 < sizeof(expected); i++) {
        struct sockaddr_storage address = v4(0x0a000001 + i, 3000);
        seen[i] = (char)('0' + owner_of(i < 8 ? 2 : 3, &address));
    }
    assert_string_equal(seen, expected);
}

static void test_both_loopback_addresses_are_one_process_and_one_edges(void **state)
{
    struct sockaddr_storage four = v4(INADDR_LOOPBACK, 3000), six = {0};
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&six;
    (void)state;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(3000);
    in6->sin6_addr = in6addr_loopback;
    for (unsigned of = 2; of < 8; of++)
        assert_int_equal(owner_of(of, &four), owner_of(of, &six));
}

static void test_without_a_share_everything_is_ours(void **state)
{
    struct worker_config list[] = {worker("a", 1), worker("b", 1)};
    struct sockaddr_storage address = v4(1, 1);
    struct origin_config whole = edge(1, 1, list, 2);
    (void)state;
    assert_true(share_has_entry(&whole, 0) && share_has_entry(&whole, 1));
    assert_true(share_has_address(&whole, &address));
    assert_int_equal(share_entry_count(&whole), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_7_2_a_list_is_divided_evenly_each_entry_to_one_edge),
        cmocka_unit_test(test_7_2_neither_the_order_nor_the_spelling_of_a_list_matters),
        cmocka_unit_test(test_ports_are_numbers_not_texts),
        cmocka_unit_test(test_7_2_each_address_of_a_name_is_one_edges_about_as_many_for_each),
        cmocka_unit_test(test_7_2_a_further_edge_takes_only_what_becomes_its_own),
        cmocka_unit_test(test_7_2_who_owns_an_address_is_fixed_for_all_times),
        cmocka_unit_test(test_both_loopback_addresses_are_one_process_and_one_edges),
        cmocka_unit_test(test_without_a_share_everything_is_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
