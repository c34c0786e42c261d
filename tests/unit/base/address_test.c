/* base/address.c: one reading of a listener's address for the policy, the sockets and the client.
 */
#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check(const char *text, const char *host, unsigned port, const char *path)
{
    struct address address;
    assert_true(address_parse(slice_of_string(text), &address));
    assert_true(slice_equal(address.host, slice_of_string(host)));
    assert_int_equal(address.port, port);
    assert_true(slice_equal(address.path, slice_of_string(path)));
}

static void test_host_port_and_path_are_taken_apart(void **context)
{
    (void)context;
    check(":8080", "", 8080, "");
    check("127.0.0.1:1", "127.0.0.1", 1, "");
    check("[::1]:65535", "::1", 65535, "");
    check("edge.internal:9180", "edge.internal", 9180, "");
    check("unix:/run/varve.sock", "", 0, "/run/varve.sock");
    check("unix:here:80", "", 0, "here:80");
}

static void test_what_is_no_address_is_refused(void **context)
{
    (void)context;
    static const char *const none[] = {
        "",       "8080",  "127.0.0.1", ":",       ":0",     ":65536", ":080808", ":-1",  ": 80",
        "::1:80", "[::1]", "[::1:80",   "::1]:80", "[]x:80", "[]:80",  "unix:",   "a:80x"};
    struct address address = {.port = 7};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(address_parse(slice_of_string(none[i]), &address));
    assert_int_equal(address.port, 7); /* written on success only */
}

static void test_a_name_is_no_address_to_listen_on(void **context)
{
    (void)context;
    static const char *const names[] = {"localhost:80", "*:80", "256.0.0.1:80", "edge.internal:80"};
    struct address address;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_true(address_parse(slice_of_string(names[i]), &address));
        assert_false(address_parse_numeric(slice_of_string(names[i]), &address));
    }
    assert_true(address_parse_numeric(SLICE("[::1]:80"), &address));
    assert_true(address_parse_numeric(SLICE(":80"), &address));
    assert_true(address_parse_numeric(SLICE("unix:/s"), &address));
}

static void test_the_path_of_a_socket_has_a_limit_and_no_nul(void **context)
{
    (void)context;
    char text[5 + 108] = "unix:";
    struct address address;
    memset(text + 5, 'x', 108);
    assert_true(address_parse(slice_of(text, 5 + 107), &address));
    assert_false(address_parse(slice_of(text, 5 + 108), &address));
    text[20] = '\0';
    assert_false(address_parse(slice_of(text, 5 + 107), &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_port_and_path_are_taken_apart),
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_a_name_is_no_address_to_listen_on),
        cmocka_unit_test(test_the_path_of_a_socket_has_a_limit_and_no_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
