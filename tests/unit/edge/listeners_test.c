/* edge/proc/listeners.c: addresses, stale socket files, sets that share sockets over a reload. */
#include "edge/proc/listeners.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[64];

static int setup(void **context)
{
    (void)context;
    snprintf(directory, sizeof(directory), "/tmp/varve-listeners-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **context)
{
    (void)context;
    return rmdir(directory); /* fails if a socket file was left */
}

static slice in_directory(char text[128], const char *name)
{
    snprintf(text, 128, "unix:%s/%s", directory, name);
    return slice_of_string(text);
}

/* A port that is free now. */
static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static int try_connect(const struct sockaddr *address, socklen_t length)
{
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    int result = connect(fd, address, length);
    close(fd);
    return result;
}

static int connect_v4(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    return try_connect((struct sockaddr *)&address, sizeof(address));
}

static int connect_v6(unsigned port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_port = htons((uint16_t)port),
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return try_connect((struct sockaddr *)&address, sizeof(address));
}

static int open_port(const char *host, unsigned port)
{
    char text[64], error[LISTEN_ERROR_BYTES] = "";
    snprintf(text, sizeof(text), "%s:%u", host, port);
    int fd = listener_open(slice_of_string(text), 0666, error);
    if (fd < 0)
        print_message("%s\n", error);
    return fd;
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

static void test_an_ipv4_address_means_itself(void **context)
{
    (void)context;
    unsigned port = free_port();
    int fd = open_port("127.0.0.1", port);
    assert_true(fd >= 0);
    assert_int_equal(connect_v4(port), 0);
    assert_int_not_equal(connect_v6(port), 0);
    assert_int_not_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_not_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    close(fd);
}

static void test_an_ipv6_address_means_itself(void **context)
{
    (void)context;
    if (!has_ipv6())
        skip();
    unsigned port = free_port();
    int fd = open_port("[::1]", port);
    assert_true(fd >= 0);
    assert_int_equal(connect_v6(port), 0);
    assert_int_not_equal(connect_v4(port), 0);
    close(fd);
}

static void test_no_address_means_both_families(void **context)
{
    (void)context;
    unsigned port = free_port();
    int fd = open_port("", port);
    assert_true(fd >= 0);
    assert_int_equal(connect_v4(port), 0);
    if (has_ipv6())
        assert_int_equal(connect_v6(port), 0);
    close(fd);
}

static void test_a_port_in_use_is_named(void **context)
{
    (void)context;
    char text[64], error[LISTEN_ERROR_BYTES] = "";
    unsigned port = free_port();
    int fd = open_port("127.0.0.1", port);
    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    assert_int_equal(listener_open(slice_of_string(text), 0666, error), -1);
    assert_non_null(strstr(error, text));
    assert_non_null(strstr(error, "in use"));
    close(fd);
}

static void test_what_is_no_address_is_refused(void **context)
{
    (void)context;
    static const char *const BAD[] = {
        "",       "8080",         "127.0.0.1",    "127.0.0.1:",      "127.0.0.1:0",
        ":65536", "[::1:80",      "::1]:80",      "example.test:80", "127.0.0.1:80x",
        "unix:",  "256.0.0.1:80", "127.0.0.1:-1", "127.0.0.1: 80",   "[]x:80",
        "*:80",   "localhost:80", "::1:80",
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++) {
        char error[LISTEN_ERROR_BYTES] = "";
        assert_int_equal(listener_open(slice_of_string(BAD[i]), 0666, error), -1);
        assert_string_not_equal(error, "");
    }
}

static void test_a_unix_socket_has_its_mode_from_the_start(void **context)
{
    (void)context;
    char text[128], error[LISTEN_ERROR_BYTES];
    struct stat status;
    mode_t mask = umask(0077);
    slice address = in_directory(text, "a.sock");
    int fd = listener_open(address, 0660, error);
    assert_true(fd >= 0);
    assert_int_equal(umask(mask), 0077); /* ours is back */
    assert_int_equal(stat(text + 5, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    close(fd);
    listener_unlink(address);
}

static void test_a_stale_socket_is_replaced_and_a_live_one_is_not(void **context)
{
    (void)context;
    char text[128], error[LISTEN_ERROR_BYTES];
    slice address = in_directory(text, "a.sock");
    close(listener_open(address, 0660, error)); /* leaves the file */
    int fd = listener_open(address, 0660, error);
    assert_true(fd >= 0);
    assert_int_equal(listener_open(address, 0660, error), -1);
    assert_non_null(strstr(error, "in use"));
    close(fd);
    listener_unlink(address);
}

static void test_a_file_that_is_no_socket_is_never_removed(void **context)
{
    (void)context;
    char text[128], error[LISTEN_ERROR_BYTES];
    slice address = in_directory(text, "precious");
    close(open(text + 5, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(listener_open(address, 0660, error), -1);
    assert_int_equal(unlink(text + 5), 0);
}

static void test_a_path_too_long_for_a_socket_is_refused(void **context)
{
    (void)context;
    char text[300], error[LISTEN_ERROR_BYTES];
    memset(text, 'x', sizeof(text));
    memcpy(text, "unix:/", 6);
    assert_int_equal(listener_open(slice_of(text, 5 + 108), 0660, error), -1);
    assert_non_null(strstr(error, "107"));
}

static struct policy policy_of(struct listen_config *listen, size_t count)
{
    return (struct policy){.listen = listen, .listen_count = count};
}

static void test_sets_share_what_stays(void **context)
{
    (void)context;
    char one[128], two[128], error[LISTEN_ERROR_BYTES];
    struct listen_config listen[2] = {{.address = in_directory(one, "1.sock")},
                                      {.address = in_directory(two, "2.sock")}};
    struct listener_set first = {.count = 0}, second = {.count = 0};
    struct policy policy = policy_of(listen, 1);
    assert_true(listeners_open(&policy, NULL, &first, error));
    policy = policy_of(listen, 2);
    assert_true(listeners_open(&policy, &first, &second, error));
    assert_int_equal(second.at[0].fd, first.at[0].fd);
    int shared = first.at[0].fd;
    listeners_close(&first, &second);
    assert_true(fcntl(shared, F_GETFD) >= 0);
    assert_int_equal(access(one + 5, F_OK), 0);
    listeners_close(&second, NULL);
    assert_int_equal(access(one + 5, F_OK), -1);
    assert_int_equal(access(two + 5, F_OK), -1);
}

static void test_a_set_that_cannot_be_opened_leaves_nothing(void **context)
{
    (void)context;
    char one[128], two[128], error[LISTEN_ERROR_BYTES];
    struct listen_config listen[3] = {{.address = in_directory(one, "1.sock")},
                                      {.address = in_directory(two, "2.sock")},
                                      {.address = SLICE("nonsense")}};
    struct listener_set held = {.count = 0}, set = {.count = 0};
    struct policy policy = policy_of(listen, 1);
    assert_true(listeners_open(&policy, NULL, &held, error));
    policy = policy_of(listen, 3);
    assert_false(listeners_open(&policy, &held, &set, error));
    assert_int_equal(access(one + 5, F_OK), 0); /* held: stays */
    assert_int_equal(access(two + 5, F_OK), -1);
    listeners_close(&held, NULL);
}

static void test_an_address_named_twice_is_refused(void **context)
{
    (void)context;
    char one[128], error[LISTEN_ERROR_BYTES];
    slice address = in_directory(one, "1.sock");
    struct listen_config listen[2] = {{.address = address}, {.address = address}};
    struct listener_set set = {.count = 0};
    struct policy policy = policy_of(listen, 2);
    assert_false(listeners_open(&policy, NULL, &set, error));
    assert_non_null(strstr(error, "twice"));
    assert_int_equal(access(one + 5, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ipv4_address_means_itself),
        cmocka_unit_test(test_an_ipv6_address_means_itself),
        cmocka_unit_test(test_no_address_means_both_families),
        cmocka_unit_test(test_a_port_in_use_is_named),
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_a_unix_socket_has_its_mode_from_the_start),
        cmocka_unit_test(test_a_stale_socket_is_replaced_and_a_live_one_is_not),
        cmocka_unit_test(test_a_file_that_is_no_socket_is_never_removed),
        cmocka_unit_test(test_a_path_too_long_for_a_socket_is_refused),
        cmocka_unit_test(test_sets_share_what_stays),
        cmocka_unit_test(test_a_set_that_cannot_be_opened_leaves_nothing),
        cmocka_unit_test(test_an_address_named_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
