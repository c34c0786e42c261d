/* Addresses and ranges. */
#include "base/ip.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/un.h>

static struct ip_address parsed(const char *text)
{
    struct ip_address address;
    if (!ip_parse(slice_of_string(text), &address))
        fail_msg("%s is an address", text);
    return address;
}

static void assert_format(const char *text, const char *expected)
{
    char buffer[IP_TEXT_BYTES];
    struct ip_address address = parsed(text);
    slice shown = ip_format(&address, buffer);
    assert_true(slice_equal(shown, slice_of_string(expected)));
}

static void test_addresses_are_read_and_shown_in_their_short_form(void **unused)
{
    (void)unused;
    assert_format("192.0.2.1", "192.0.2.1");
    assert_format("2001:DB8:0:0::1", "2001:db8::1");
    assert_format("[2001:db8::1]", "2001:db8::1");
    assert_format("::", "::");
    assert_format("::ffff:192.0.2.1", "192.0.2.1");
    assert_format("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void test_what_is_no_address_is_refused_and_writes_nothing(void **unused)
{
    (void)unused;
    static const char *const bad[] = {
        "",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.04",
        "0x1.2.3.4",
        " 1.2.3.4",
        "1.2.3.4 ",
        "1.2.3.4:80",
        "[1.2.3.4]",
        "[::1",
        "::1]",
        "[]",
        "::1%lo",
        "fe80::g",
        "1:2:3:4:5:6:7:8:9",
        "localhost",
        "1.2.3.4/8",
        "1::2::3",
        "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"};
    struct ip_address address = parsed("9.9.9.9"), untouched = address;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (ip_parse(slice_of_string(bad[i]), &address))
            fail_msg("\"%s\" is no address", bad[i]);
    assert_false(ip_parse(slice_of("1.2.3.4\0", 8), &address));
    assert_true(ip_equal(&address, &untouched));
}

static bool contains(const char *range_text, const char *address_text)
{
    struct ip_range range;
    struct ip_address address = parsed(address_text);
    if (!ip_range_parse(slice_of_string(range_text), &range))
        fail_msg("%s is a range", range_text);
    return ip_range_contains(&range, &address);
}

static void test_ranges_contain_exactly_their_addresses(void **unused)
{
    (void)unused;
    assert_true(contains("10.0.0.0/8", "10.255.255.255"));
    assert_false(contains("10.0.0.0/8", "11.0.0.0"));
    assert_true(contains("192.0.2.4/30", "192.0.2.7"));
    assert_false(contains("192.0.2.4/30", "192.0.2.8"));
    assert_false(contains("192.0.2.4/30", "192.0.2.3"));
    assert_true(contains("192.0.2.1", "192.0.2.1"));
    assert_false(contains("192.0.2.1", "192.0.2.0"));
    assert_true(contains("0.0.0.0/0", "255.1.2.3"));
    assert_false(contains("0.0.0.0/0", "2001:db8::1"));
    assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(contains("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(contains("::1", "::1"));
    assert_true(contains("::/0", "2001:db8::1"));
    assert_true(contains("10.0.0.0/8", "::ffff:10.1.2.3")); /* one address, two spellings */
}

static void test_bad_ranges_are_refused(void **unused)
{
    (void)unused;
    static const char *const bad[] = {"10.0.0.1/8",
                                      "10.0.0.0/33",
                                      "10.0.0.0/",
                                      "10.0.0.0/-1",
                                      "/8",
                                      "10.0.0.0/8/8",
                                      "2001:db8::1/64",
                                      "::/129",
                                      "10.0.0.0/18446744073709551624",
                                      ""};
    struct ip_range range;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (ip_range_parse(slice_of_string(bad[i]), &range))
            fail_msg("\"%s\" is no range", bad[i]);
}

static void test_loopback_is_127_8_and_colon_colon_1(void **unused)
{
    (void)unused;
    static const char *const yes[] = {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"};
    static const char *const no[] = {"128.0.0.1", "126.255.255.255", "::2",
                                     "::",        "0.0.0.0",         "::127.0.0.1"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(ip_is_loopback(&(struct ip_address[]){parsed(yes[i])}[0]));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(ip_is_loopback(&(struct ip_address[]){parsed(no[i])}[0]));
}

static void test_who_is_unknown_is_in_no_range(void **unused)
{
    (void)unused;
    char buffer[IP_TEXT_BYTES];
    const struct ip_address unknown = {.is_unknown = true}, any = parsed("::");
    struct ip_range all;
    assert_true(ip_range_parse(SLICE("::/0"), &all));
    assert_true(ip_range_contains(&all, &any));
    assert_false(ip_range_contains(&all, &unknown));
    assert_false(ip_is_loopback(&unknown));
    assert_false(ip_equal(&unknown, &any));
    assert_true(ip_equal(&unknown, &unknown));
    assert_true(slice_equal(ip_format(&unknown, buffer), SLICE("unknown")));
}

static void test_a_unix_peer_is_local_and_in_no_range(void **unused)
{
    (void)unused;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct ip_address local = ip_of_sockaddr((const struct sockaddr *)&un), any = parsed("::");
    struct ip_range everything;
    char buffer[IP_TEXT_BYTES];
    assert_true(local.is_local);
    assert_true(ip_range_parse(SLICE("::/0"), &everything));
    assert_false(ip_range_contains(&everything, &local));
    assert_false(ip_equal(&local, &any));
    assert_false(ip_is_loopback(&local));
    assert_true(slice_equal(ip_format(&local, buffer), SLICE("unix")));
}

static void test_socket_addresses_are_the_same_addresses(void **unused)
{
    (void)unused;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = 99};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = 99};
    inet_pton(AF_INET, "192.0.2.9", &v4.sin_addr);
    inet_pton(AF_INET6, "::ffff:192.0.2.9", &v6.sin6_addr);
    struct ip_address a = ip_of_sockaddr((const struct sockaddr *)&v4);
    struct ip_address b = ip_of_sockaddr((const struct sockaddr *)&v6), c = parsed("192.0.2.9");
    assert_true(ip_equal(&a, &b));
    assert_true(ip_equal(&a, &c));
    inet_pton(AF_INET6, "2001:db8::9", &v6.sin6_addr);
    b = ip_of_sockaddr((const struct sockaddr *)&v6);
    c = parsed("2001:db8::9");
    assert_true(ip_equal(&b, &c));
    assert_false(ip_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_read_and_shown_in_their_short_form),
        cmocka_unit_test(test_what_is_no_address_is_refused_and_writes_nothing),
        cmocka_unit_test(test_ranges_contain_exactly_their_addresses),
        cmocka_unit_test(test_bad_ranges_are_refused),
        cmocka_unit_test(test_loopback_is_127_8_and_colon_colon_1),
        cmocka_unit_test(test_a_unix_peer_is_local_and_in_no_range),
        cmocka_unit_test(test_who_is_unknown_is_in_no_range),
        cmocka_unit_test(test_socket_addresses_are_the_same_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
