/*
 * The strict request head. What a whole server does with bad heads is in tests/data/
 * raw_requests.def; here are the parts, the limits to the byte, and heads in pieces.
 */
#include "edge/http/head_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct head_limits limits = {.head_bytes = 200, .url_bytes = 20, .fields = 3};

struct result {
    enum head_verdict verdict;
    struct head head;
    struct head_refusal refusal;
};

/* As the read gate does it: scan what has come, piece by piece, then check. */
static struct result read_head(slice input, size_t piece)
{
    struct result r = {.verdict = HEAD_INCOMPLETE};
    struct head_scan scan = {0};
    size_t bytes = 0;
    for (size_t have = 0; have < input.len && r.verdict == HEAD_INCOMPLETE;) {
        have = have + piece < input.len ? have + piece : input.len;
        r.verdict = head_scan(&scan, slice_until(input, have), &limits, &bytes, &r.refusal);
    }
    if (r.verdict == HEAD_OK)
        r.verdict = head_check(slice_until(input, bytes), &limits, &r.head, &r.refusal);
    return r;
}

#define READ(literal) read_head(SLICE(literal), SIZE_MAX / 2)

static void test_a_head_is_taken_apart(void **state)
{
    (void)state;
    struct result r = READ("POST /a?b HTTP/1.1\r\nhOST: h:1\r\nContent-Length: 007\r\n"
                           "Connection: x, CLOSE\r\n\r\nbody");
    assert_int_equal(r.verdict, HEAD_OK);
    assert_true(slice_equal(r.head.method, SLICE("POST")));
    assert_true(slice_equal(r.head.target, SLICE("/a?b")));
    assert_true(slice_equal(r.head.host, SLICE("h:1")));
    assert_int_equal(r.head.minor, 1);
    assert_int_equal(r.head.body, HEAD_BODY_LENGTH);
    assert_int_equal(r.head.content_length, 7);
    assert_true(r.head.wants_close);
    assert_false(r.head.wants_keep_alive);
    assert_null(r.head.expect.ptr);
    assert_int_equal(r.head.bytes, 76);
}

static void test_expect_is_found_with_its_whole_line(void **state)
{
    (void)state;
    struct result r = READ("GET / HTTP/1.1\r\nHost: h\r\nExpect:  100-continue \r\nA: b\r\n\r\n");
    assert_true(slice_equal(r.head.expect, SLICE("100-continue")));
    assert_true(slice_equal(r.head.expect_line, SLICE("Expect:  100-continue \r\n")));
}

static void test_absolute_form_says_what_to_cut_off(void **state)
{
    (void)state;
    struct result r = READ("GET http://h/a HTTP/1.1\r\nHost: H\r\n\r\n");
    assert_int_equal(r.verdict, HEAD_OK);
    assert_int_equal(r.head.target_prefix, 8);
    assert_false(r.head.needs_slash);
    r = READ("GET http://h?a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(r.head.target_prefix, 8);
    assert_true(r.head.needs_slash);
}

static void test_limits_hold_to_the_byte(void **state)
{
    (void)state;
    char head[256];
    assert_int_equal(READ("GET /2345678901234567890 HTTP/1.1\r\nHost: h\r\n\r\n").verdict, HEAD_OK);
    assert_int_equal(READ("GET /23456789012345678901 HTTP/1.1\r\nHost: h\r\n\r\n").refusal.status,
                     414);
    assert_int_equal(READ("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nA: b\r\n\r\n").verdict, HEAD_OK);
    assert_int_equal(
        READ("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nA: b\r\nA: b\r\n\r\n").refusal.status, 431);
    for (int size = 200; size <= 201; size++) {
        int length = snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: h\r\nA: %0*d\r\n\r\n",
                              size - 32, 0);
        assert_int_equal(length, size);
        struct result r = read_head(slice_of(head, (size_t)length), 1);
        assert_int_equal(r.verdict, size == 200 ? HEAD_OK : HEAD_REFUSED);
        assert_true(size == 200 || r.refusal.status == 431);
    }
}

static void test_what_never_ends_is_refused_at_the_limit(void **state)
{
    (void)state;
    char bytes[300];
    memset(bytes, 'a', sizeof(bytes));
    assert_int_equal(read_head(slice_of(bytes, 64), 7).verdict, HEAD_INCOMPLETE);
    assert_int_equal(read_head(slice_of(bytes, 65), 7).refusal.status, 414);
    memcpy(bytes, "GET / HTTP/1.1\r\nA: ", 19);
    assert_int_equal(read_head(slice_of(bytes, 200), 1).verdict, HEAD_INCOMPLETE);
    assert_int_equal(read_head(slice_of(bytes, 201), 1).refusal.status, 431);
}

static const char *const samples[] = {
#define RAW(name, bytes, status, state) bytes,
#include "tests/data/raw_requests.def"
#undef RAW
};
static const size_t sample_bytes[] = {
#define RAW(name, bytes, status, state) sizeof(bytes) - 1,
#include "tests/data/raw_requests.def"
#undef RAW
};

static void test_pieces_never_change_the_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        slice input = slice_of(samples[i], sample_bytes[i]);
        struct result whole = read_head(input, SIZE_MAX / 2);
        for (size_t piece = 1; piece < 5; piece++) {
            struct result r = read_head(input, piece);
            assert_int_equal(r.verdict, whole.verdict);
            assert_int_equal(r.refusal.status, whole.refusal.status);
        }
    }
}

/* The byte classes, against the words of RFC 9110 §5.6.2 and §5.5. */
static void test_every_byte_has_its_class(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c, line[64];
        bool is_digit_or_letter =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_tchar = is_digit_or_letter || (c && c < 128 && strchr("!#$%&'*+-.^_`|~", c));
        bool is_target = c > 0x20 && c != 0x7f && c != '#';
        assert_int_equal(target_is_valid(slice_of((char[]){'/', byte}, 2)), is_target);
        bool is_name = is_digit_or_letter || (c && c < 128 && strchr("-._", c));
        assert_int_equal(host_is_valid(slice_of((char[]){'a', byte, 'b'}, 3)), is_name);
        bool is_value = c == '\t' || (c >= 0x20 && c != 0x7f);
        int length = snprintf(line, sizeof(line), "GET / HTTP/1.1\r\nHost: h\r\nA: a?a\r\n\r\n");
        line[29] = byte;
        assert_int_equal(read_head(slice_of(line, (size_t)length), 99).verdict == HEAD_OK,
                         is_value);
        length = snprintf(line, sizeof(line), "GET / HTTP/1.1\r\nHost: h\r\nA?A: a\r\n\r\n");
        line[26] = byte;
        assert_int_equal(read_head(slice_of(line, (size_t)length), 99).verdict == HEAD_OK,
                         is_tchar || c == ':');
    }
}

static void test_host_names_and_ports(void **state)
{
    (void)state;
    static const char *const good[] = {"a",  "a.b.",         "A-1_2.b:0", "a:65535",
                                       "a:", "127.0.0.1:80", "[::1]",     "[::ffff:1.2.3.4]:8080"};
    static const char *const bad[] = {
        "",   ".",     ":80",     "a:65536", "a:1:2", "a:x", "a b", "a/b",  "a@b",        "[::1",
        "[]", "[g::]", "[::1]80", "a%41",    "::1",   "a,b", "a;b", "a\"b", "[::1]:99999"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(host_is_valid(slice_of_string(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(host_is_valid(slice_of_string(bad[i])));
}

static void test_1_3_encoded_control_bytes_are_found_in_the_path_only(void **state)
{
    (void)state;
    static const char *const bad[] = {"/%00",     "/a%1fb",     "/%7F",   "/%2500",
                                      "/%25257f", "/%2525250a", "/x%0d?y"};
    static const char *const good[] = {"/%20",   "/%80",  "/%",     "/%2",     "/%zz", "/%25",
                                       "/%25zz", "/?%00", "/%2541", "/%c3%a9", "/%250"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(target_is_valid(slice_of_string(bad[i])));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(target_is_valid(slice_of_string(good[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_head_is_taken_apart),
        cmocka_unit_test(test_expect_is_found_with_its_whole_line),
        cmocka_unit_test(test_absolute_form_says_what_to_cut_off),
        cmocka_unit_test(test_limits_hold_to_the_byte),
        cmocka_unit_test(test_what_never_ends_is_refused_at_the_limit),
        cmocka_unit_test(test_pieces_never_change_the_verdict),
        cmocka_unit_test(test_every_byte_has_its_class),
        cmocka_unit_test(test_host_names_and_ports),
        cmocka_unit_test(test_1_3_encoded_control_bytes_are_found_in_the_path_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
