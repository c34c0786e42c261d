/* The strict chunked framing of request bodies. */
#include "edge/http/chunk_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static enum chunk_verdict scan_all(slice body, size_t piece, struct chunk_scan *scan, size_t *total)
{
    enum chunk_verdict verdict = CHUNK_MORE;
    *scan = (struct chunk_scan){0};
    *total = 0;
    while (verdict == CHUNK_MORE && *total < body.len) {
        size_t used = 0;
        verdict = chunk_scan(scan, slice_until(slice_from(body, *total), piece), &used);
        *total += used;
    }
    return verdict;
}

struct row {
    const char *body;
    enum chunk_verdict verdict;
    size_t total; /* CHUNK_DONE */
    uint64_t data;
};

static const struct row rows[] = {
    {"0\r\n\r\n", CHUNK_DONE, 5, 0},
    {"5\r\nhello\r\n0\r\n\r\n", CHUNK_DONE, 15, 5},
    {"5\r\nhello\r\n0\r\n\r\nGET /", CHUNK_DONE, 15, 5},
    {"00A;x=\"y\"\r\n0123456789\r\n1\r\n\n\r\n000\r\n\r\n", CHUNK_DONE, 36, 11},
    {"0\r\nA: b\r\nC: d\r\n\r\n", CHUNK_DONE, 17, 0},
    {"fffffffffffffff\r\n", CHUNK_MORE, 0, 0x0fffffffffffffff},
    {"1000000000000000\r\n", CHUNK_BAD, 0, 0},
    {"5", CHUNK_MORE, 0, 0},
    {"\r\n", CHUNK_BAD, 0, 0},
    {"g\r\n", CHUNK_BAD, 0, 0},
    {" 5\r\n", CHUNK_BAD, 0, 0},
    {"5 \r\n", CHUNK_BAD, 0, 0},
    {"5\n", CHUNK_BAD, 0, 0},
    {"5\r\r\n", CHUNK_BAD, 0, 0},
    {"5;a\nb\r\n", CHUNK_BAD, 0, 0},
    {"5\r\nhello0\r\n", CHUNK_BAD, 0, 0},
    {"5\r\nhello\n0\r\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\n A: folded\r\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\nA: b\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\nA\r\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\n: b\r\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\nA : b\r\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\nA:\r\nB: c:d\r\n\r\n", CHUNK_DONE, 17, 0},
    {"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\nA: \x01\r\n\r\n", CHUNK_BAD, 0, 0},
    {"0\r\n\rX", CHUNK_BAD, 0, 0},
};

static void test_chunked_bodies_are_read_strictly_in_any_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t piece = 1; piece < 40; piece++) {
            struct chunk_scan scan;
            size_t total;
            assert_int_equal(scan_all(slice_of_string(rows[i].body), piece, &scan, &total),
                             rows[i].verdict);
            if (rows[i].verdict == CHUNK_DONE)
                assert_int_equal(total, rows[i].total);
            if (rows[i].verdict != CHUNK_BAD)
                assert_int_equal(scan.data_bytes, rows[i].data);
        }
}

static void test_extensions_and_trailers_are_bounded_together(void **state)
{
    (void)state;
    static char body[6000] = "1;";
    struct chunk_scan scan;
    size_t total;
    memset(body + 2, 'x', sizeof(body) - 2);
    assert_int_equal(scan_all(slice_of(body, 4098), 100, &scan, &total), CHUNK_MORE);
    assert_int_equal(scan_all(slice_of(body, 4099), 100, &scan, &total), CHUNK_BAD);
    memcpy(body, "0\r\n", 3);
    assert_int_equal(scan_all(slice_of(body, sizeof(body)), 100, &scan, &total), CHUNK_BAD);
}

static void test_sizes_that_together_wrap_are_refused(void **state)
{
    (void)state;
    struct chunk_scan scan = {.data_bytes = UINT64_MAX - 1};
    size_t used;
    assert_int_equal(chunk_scan(&scan, SLICE("5\r\n"), &used), CHUNK_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunked_bodies_are_read_strictly_in_any_pieces),
        cmocka_unit_test(test_extensions_and_trailers_are_bounded_together),
        cmocka_unit_test(test_sizes_that_together_wrap_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
