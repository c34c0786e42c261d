/* PROXY protocol headers, version 1 and 2. */
#include "edge/http/proxy_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* As the connection does it: takes only as many bytes as are said to be needed. */
static enum proxy_verdict take(slice stream, struct proxy_header *header, size_t *taken)
{
    size_t needed = 0;
    *taken = 0;
    for (;;) {
        enum proxy_verdict verdict =
            proxy_header_parse(slice_until(stream, *taken), header, &needed);
        if (verdict != PROXY_INCOMPLETE || *taken + needed > stream.len)
            return verdict;
        assert_true(needed > 0);
        *taken += needed;
    }
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\x00\x02\x09\x7f\x00\x00\x01\x12\x34\x01\xbb"
#define V6                                                                                         \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34\x01\xbb"

struct row {
    const char *name;
    slice stream;
    const char *client; /* NULL: bad; "": none */
    bool says_tls, is_tls;
};

static const struct row rows[] = {
    {"v1 v4", SLICE("PROXY TCP4 192.0.2.1 127.0.0.1 1 65535\r\n"), "192.0.2.1", 0, 0},
    {"v1 v6", SLICE("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "2001:db8::1", 0, 0},
    {"v1 unknown", SLICE("PROXY UNKNOWN\r\n"), "", 0, 0},
    {"v1 unknown with words", SLICE("PROXY UNKNOWN a b c d\r\n"), "", 0, 0},
    {"v1 family that is not its address's", SLICE("PROXY TCP4 ::1 ::1 1 2\r\n"), NULL, 0, 0},
    {"v1 v4 under TCP6", SLICE("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"), NULL, 0, 0},
    {"v1 without ports", SLICE("PROXY TCP4 192.0.2.1 127.0.0.1\r\n"), NULL, 0, 0},
    {"v1 with a word more", SLICE("PROXY TCP4 192.0.2.1 127.0.0.1 1 2 3\r\n"), NULL, 0, 0},
    {"v1 port", SLICE("PROXY TCP4 192.0.2.1 127.0.0.1 1 65536\r\n"), NULL, 0, 0},
    {"v1 two spaces", SLICE("PROXY TCP4  192.0.2.1 127.0.0.1 1 2\r\n"), NULL, 0, 0},
    {"v1 bare LF", SLICE("PROXY TCP4 192.0.2.1 127.0.0.1 1 2\n"), NULL, 0, 0},
    {"v1 other family", SLICE("PROXY UDP4 192.0.2.1 127.0.0.1 1 2\r\n"), NULL, 0, 0},
    {"no header", SLICE("GET / HTTP/1.1\r\n"), NULL, 0, 0},
    {"TLS", SLICE("\x16\x03\x01"), NULL, 0, 0},
    {"v2 v4", SLICE(SIGNATURE "\x21\x11\x00\x0c" V4), "192.0.2.9", 0, 0},
    {"v2 v6", SLICE(SIGNATURE "\x21\x21\x00\x24" V6), "2001:db8::5", 0, 0},
    {"v2 local", SLICE(SIGNATURE "\x20\x00\x00\x00"), "", 0, 0},
    {"v2 local with junk", SLICE(SIGNATURE "\x20\x11\x00\x02xx"), "", 0, 0},
    {"v2 unspecified", SLICE(SIGNATURE "\x21\x00\x00\x00"), "", 0, 0},
    {"v2 TLS", SLICE(SIGNATURE "\x21\x11\x00\x14" V4 "\x20\x00\x05\x01\0\0\0\0"), "192.0.2.9", 1,
     1},
    {"v2 no TLS", SLICE(SIGNATURE "\x21\x11\x00\x14" V4 "\x20\x00\x05\x00\0\0\0\0"), "192.0.2.9", 1,
     0},
    {"v2 other TLVs first",
     SLICE(SIGNATURE "\x21\x11\x00\x1a" V4 "\x01\x00\x03"
                     "abc\x20\x00\x05\x01\0\0\0\0"),
     "192.0.2.9", 1, 1},
    {"v2 TLV beyond the end", SLICE(SIGNATURE "\x21\x11\x00\x0f" V4 "\x20\x00\x05"), NULL, 0, 0},
    {"v2 half a TLV", SLICE(SIGNATURE "\x21\x11\x00\x0e" V4 "\x20\x00"), NULL, 0, 0},
    {"v2 too short for its family", SLICE(SIGNATURE "\x21\x11\x00\x0b" V4), NULL, 0, 0},
    {"v2 version 3", SLICE(SIGNATURE "\x31\x11\x00\x0c" V4), NULL, 0, 0},
    {"v2 command 2", SLICE(SIGNATURE "\x22\x11\x00\x0c" V4), NULL, 0, 0},
    {"v2 family 4", SLICE(SIGNATURE "\x21\x41\x00\x0c" V4), NULL, 0, 0},
    {"v2 too long", SLICE(SIGNATURE "\x21\x11\xff\xff" V4), NULL, 0, 0},
    {"v2 with a broken signature", SLICE("\r\n\r\n\0\r\nQUIX\n\x21\x11\x00\x0c" V4), NULL, 0, 0},
};

static void check_row(const struct row *row)
{
    struct proxy_header header;
    struct ip_address expected;
    size_t taken;
    enum proxy_verdict verdict = take(row->stream, &header, &taken);
    if (verdict != (row->client ? PROXY_OK : PROXY_BAD))
        print_error("\"%s\"\n", row->name);
    assert_int_equal(verdict, row->client ? PROXY_OK : PROXY_BAD);
    if (!row->client)
        return;
    assert_int_equal(taken, row->stream.len);
    assert_int_equal(header.bytes, row->stream.len);
    assert_int_equal(header.has_client, row->client[0] != '\0');
    assert_int_equal(header.says_tls, row->says_tls);
    assert_int_equal(header.is_tls, row->is_tls);
    if (header.has_client) {
        assert_true(ip_parse(slice_of_string(row->client), &expected));
        assert_true(ip_equal(&header.client, &expected));
    }
}

static void test_headers_of_both_versions_are_read_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row(&rows[i]);
    }
}

static void test_no_byte_behind_the_header_is_asked_for(void **state)
{
    (void)state;
    struct proxy_header header;
    size_t taken;
    slice stream = SLICE("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n");
    assert_int_equal(take(stream, &header, &taken), PROXY_OK);
    assert_int_equal(taken, 15);
    stream = SLICE(SIGNATURE "\x21\x11\x00\x0c" V4 "GET / HTTP/1.1\r\n");
    assert_int_equal(take(stream, &header, &taken), PROXY_OK);
    assert_int_equal(taken, 28);
}

static void test_a_line_that_never_ends_is_bad(void **state)
{
    (void)state;
    char line[200] = "PROXY UNKNOWN ";
    struct proxy_header header;
    size_t needed;
    memset(line + 14, 'x', sizeof(line) - 14);
    assert_int_equal(proxy_header_parse(slice_of(line, 106), &header, &needed), PROXY_INCOMPLETE);
    assert_int_equal(proxy_header_parse(slice_of(line, 107), &header, &needed), PROXY_BAD);
}

static void test_every_part_of_a_header_is_incomplete(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t part = 0; rows[i].client && part < rows[i].stream.len; part++) {
            struct proxy_header header;
            size_t needed = 0;
            assert_int_equal(
                proxy_header_parse(slice_until(rows[i].stream, part), &header, &needed),
                PROXY_INCOMPLETE);
            assert_true(needed > 0 && part + needed <= rows[i].stream.len);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_of_both_versions_are_read_strictly),
        cmocka_unit_test(test_no_byte_behind_the_header_is_asked_for),
        cmocka_unit_test(test_a_line_that_never_ends_is_bad),
        cmocka_unit_test(test_every_part_of_a_header_is_incomplete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
