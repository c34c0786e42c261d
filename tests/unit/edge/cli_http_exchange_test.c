/* The admin client's one HTTP exchange, over a socket pair: what is a whole answer and what is not.
 */
#include "edge/cli/http_exchange.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int status;
static char *body, error[256];
static size_t length;

/* The daemon has said `answer` and closed before it is asked: the socket keeps it. */
static bool exchange(const char *answer)
{
    int pair[2];
    char request[64];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(pair[1], answer, strlen(answer)), (ssize_t)strlen(answer));
    shutdown(pair[1], SHUT_WR);
    free(body);
    body = NULL;
    status = 0;
    error[0] = '\0';
    bool is_ok = http_exchange(pair[0], SLICE("GET / HTTP/1.1\r\n\r\n"), 10000, &status, &body,
                               &length, error);
    assert_int_equal(read(pair[1], request, sizeof(request)), 18);
    assert_memory_equal(request, "GET / HTTP/1.1\r\n\r\n", 18);
    close(pair[0]);
    close(pair[1]);
    return is_ok;
}

static void assert_body(const char *answer, int expected_status, const char *expected)
{
    if (!exchange(answer))
        fail_msg("%s: %s", answer, error);
    assert_int_equal(status, expected_status);
    assert_int_equal(length, strlen(expected));
    assert_string_equal(body, expected); /* NUL-terminated */
}

static void test_a_body_ends_where_its_framing_says(void **context)
{
    (void)context;
    assert_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
    assert_body("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello, and more", 200, "hello");
    assert_body("HTTP/1.1 404 -\r\nContent-Length: 0\r\n\r\n", 404, "");
    assert_body("HTTP/1.0 503 x\r\n\r\nuntil it closes", 503, "until it closes");
    assert_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n"
                "0\r\nTrailer: x\r\n\r\n",
                200, "abcde");
}

static void test_what_is_not_whole_is_an_error_with_a_reason(void **context)
{
    (void)context;
    static const char *const broken[] = {
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        if (exchange(broken[i]))
            fail_msg("taken: %s", broken[i]);
        assert_true(strlen(error) > 0);
        assert_null(body);
    }
}

static void test_heads_without_end_are_refused(void **context)
{
    (void)context;
    char answer[8192] = "HTTP/1.1 200 OK\r\n";
    size_t used = strlen(answer);
    for (int i = 0; i < 65; i++)
        used += (size_t)snprintf(answer + used, sizeof(answer) - used, "h%d: v\r\n", i);
    snprintf(answer + used, sizeof(answer) - used, "\r\nbody");
    assert_false(exchange(answer));
}

static void test_a_daemon_that_says_nothing_is_given_up(void **context)
{
    (void)context;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    free(body);
    body = NULL;
    assert_false(http_exchange(pair[0], SLICE("GET"), 10, &status, &body, &length, error));
    assert_non_null(strstr(error, "timed out"));
    close(pair[0]);
    close(pair[1]);
}

static void test_a_daemon_that_is_gone_is_no_signal(void **context)
{
    (void)context;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[1]);
    assert_false(http_exchange(pair[0], SLICE("GET"), 1000, &status, &body, &length, error));
    close(pair[0]);
}

static void test_addresses_that_lead_nowhere_are_told_apart(void **context)
{
    (void)context;
    static const struct {
        const char *address;
        int error;
    } none[] = {{"unix:", EINVAL},
                {"unix:/nonexistent/sock", ENOENT},
                {"", EINVAL},
                {"nonsense", EINVAL},
                {"[::1]", EINVAL},
                {"127.0.0.1:12345678", EINVAL},
                {"127.0.0.1:0", EINVAL},
                {"::1:80", EINVAL},
                {"127.0.0.1:", EINVAL},
                {"256.256.256.256:80", EADDRNOTAVAIL}};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(http_connect(slice_of_string(none[i].address), 1000), -1);
        assert_int_equal(errno, none[i].error);
    }
}

static void test_a_port_alone_is_of_this_machine(void **context)
{
    (void)context;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &size), 0);
    static const char *const hosts[] = {"", "127.0.0.1", "[127.0.0.1]"};
    for (size_t i = 0; i < 3; i++) {
        char address[64];
        snprintf(address, sizeof(address), "%s:%u", hosts[i], ntohs(name.sin_port));
        int fd = http_connect(slice_of_string(address), 10000);
        assert_true(fd >= 0);
        close(fd);
    }
    close(listener);
}

static int free_body(void **context)
{
    (void)context;
    free(body);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_body_ends_where_its_framing_says),
        cmocka_unit_test(test_what_is_not_whole_is_an_error_with_a_reason),
        cmocka_unit_test(test_heads_without_end_are_refused),
        cmocka_unit_test(test_a_daemon_that_says_nothing_is_given_up),
        cmocka_unit_test(test_a_daemon_that_is_gone_is_no_signal),
        cmocka_unit_test(test_addresses_that_lead_nowhere_are_told_apart),
        cmocka_unit_test(test_a_port_alone_is_of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, free_body);
}
