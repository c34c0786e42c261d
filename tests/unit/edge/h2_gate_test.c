/* Budgets of an HTTP/2 connection, over a fake clock. */
#include "edge/http/h2_gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION };
enum { END_STREAM = 1, END_HEADERS = 4, BLOCK_MAX = 1000, BODY_MAX = 100000 };

struct feeder {
    struct h2_gate gate;
    mono_time now;
    uint64_t sent;
    size_t piece;
    unsigned looks; /* of the last feed() */
};

static enum h2_verdict feed(struct feeder *f, const char *bytes, size_t count)
{
    enum h2_verdict verdict = H2_FINE;
    f->looks = 0;
    for (size_t at = 0; at < count && verdict != H2_FLOOD; at += f->piece) {
        slice piece = slice_until(slice_of(bytes + at, count - at), f->piece);
        while (piece.len && verdict != H2_FLOOD) {
            verdict = h2_gate_feed(&f->gate, &piece, f->now, f->sent);
            f->looks += verdict == H2_LOOK;
        }
    }
    return verdict == H2_FLOOD ? H2_FLOOD : H2_FINE;
}

static struct feeder open_connection(size_t piece)
{
    struct feeder f = {.now = {1000}, .piece = piece};
    h2_gate_init(&f.gate, BLOCK_MAX, BODY_MAX, f.now);
    assert_int_equal(feed(&f, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), H2_FINE);
    return f;
}

static enum h2_verdict frame(struct feeder *f, int type, int flags, uint32_t stream, size_t length)
{
    static char bytes[9 + 70000];
    const unsigned char header[9] = {
        (unsigned char)(length >> 16), (unsigned char)(length >> 8), (unsigned char)length,
        (unsigned char)type,           (unsigned char)flags,         (unsigned char)(stream >> 24),
        (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream};
    memset(bytes, 3, 9 + length); /* a payload that would be control frames, were it looked at */
    memcpy(bytes, header, 9);
    return feed(f, bytes, 9 + length);
}

static size_t frames_until_flood(struct feeder *f, int type, size_t length)
{
    for (size_t i = 0; i < 1000; i++)
        if (frame(f, type, 0, 0, length) == H2_FLOOD)
            return i;
    return 1000;
}

static void test_control_frames_have_a_budget_per_second(void **state)
{
    (void)state;
    static const int types[] = {PRIORITY, SETTINGS, PING, GOAWAY, WINDOW, DATA, 0x42};
    static const size_t pieces[] = {1, 4, 9, 1000};
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
        for (size_t p = 0; p < 4; p++) {
            struct feeder f = open_connection(pieces[p]);
            assert_int_equal(frames_until_flood(&f, types[t], types[t] == DATA ? 0 : 8), 100);
            assert_string_equal(f.gate.why, "control frames");
        }
}

static void test_the_budget_is_new_each_second(void **state)
{
    (void)state;
    struct feeder f = open_connection(1000);
    for (int second = 0; second < 5; second++) {
        for (int i = 0; i < 100; i++)
            assert_int_equal(frame(&f, PING, 0, 0, 8), H2_FINE);
        for (int i = 0; i < 20; i++)
            assert_int_equal(frame(&f, RST_STREAM, 0, 1, 4), H2_FINE);
        f.now.ms += 1000;
    }
    assert_int_equal(frames_until_flood(&f, RST_STREAM, 4), 20);
}

static void test_mixed_frames_share_the_budget_but_requests_and_data_are_free(void **state)
{
    (void)state;
    struct feeder f = open_connection(1000);
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(frame(&f, PING, 0, 0, 8), H2_FINE);
        assert_int_equal(frame(&f, SETTINGS, 0, 0, 6), H2_FINE);
        assert_int_equal(frame(&f, HEADERS, END_HEADERS, 2 * i + 1, 50), H2_FINE);
        assert_int_equal(frame(&f, DATA, 0, 2 * i + 1, 16384), H2_FINE);
        assert_int_equal(frame(&f, DATA, END_STREAM, 2 * i + 1, 0), H2_FINE);
    }
    assert_int_equal(frame(&f, PING, 0, 0, 8), H2_FLOOD);
}

static void test_window_updates_are_granted_with_what_was_sent(void **state)
{
    (void)state;
    struct feeder f = open_connection(1000);
    f.sent = 500 * 4096;
    assert_int_equal(frames_until_flood(&f, WINDOW, 4), 600);
    f = open_connection(1000);
    f.sent = 500 * 4096;
    f.now.ms += 1000; /* sent before this second: grants nothing any more */
    assert_int_equal(frame(&f, WINDOW, 0, 0, 4), H2_FINE);
    assert_int_equal(frames_until_flood(&f, WINDOW, 4), 99);
}

static void test_a_header_block_has_16_continuations_and_a_size(void **state)
{
    (void)state;
    struct feeder f = open_connection(1000);
    for (int block = 0; block < 3; block++) {
        assert_int_equal(frame(&f, HEADERS, END_STREAM, 1, 10), H2_FINE);
        for (int i = 0; i < 16; i++)
            assert_int_equal(frame(&f, CONTINUATION, i == 15 ? END_HEADERS : 0, 1, 10), H2_FINE);
    }
    assert_int_equal(frame(&f, HEADERS, END_STREAM, 3, 10), H2_FINE);
    assert_true(f.gate.is_in_block);
    for (int i = 0; i < 16; i++)
        assert_int_equal(frame(&f, CONTINUATION, 0, 3, 0), H2_FINE);
    assert_int_equal(frame(&f, CONTINUATION, 0, 3, 0), H2_FLOOD);
    assert_string_equal(f.gate.why, "continuation frames");
    f = open_connection(1000);
    assert_int_equal(frame(&f, HEADERS, END_STREAM, 1, BLOCK_MAX), H2_FINE);
    assert_int_equal(frame(&f, CONTINUATION, 0, 1, 1), H2_FLOOD);
    assert_string_equal(f.gate.why, "header block size");
}

static void test_bodies_under_way_are_counted_per_stream(void **state)
{
    (void)state;
    struct feeder f = open_connection(7);
    frame(&f, HEADERS, END_HEADERS, 1, 10);
    frame(&f, HEADERS, END_HEADERS, 3, 10);
    frame(&f, HEADERS, END_HEADERS | END_STREAM, 5, 10);
    frame(&f, DATA, 0, 1, 100);
    frame(&f, DATA, 0, 3, 1000);
    frame(&f, DATA, 0, 5, 7); /* not open: libh2o keeps none of it */
    assert_int_equal(f.gate.upload_count, 2);
    assert_int_equal(f.gate.upload_bytes, 1100);
    frame(&f, RST_STREAM, 0, 1, 4);
    assert_int_equal(f.gate.upload_bytes, 1000);
    frame(&f, HEADERS, END_HEADERS | END_STREAM, 3, 10); /* trailers */
    assert_int_equal(f.gate.upload_count, 0);
    assert_int_equal(f.gate.upload_bytes, 0);
    assert_int_equal(f.gate.data_bytes, 1107);
}

/* Frames are only begun, then ended byte by byte. */
static void test_a_body_is_counted_until_its_last_byte_is_here(void **state)
{
    (void)state;
    static const char data[] = {0, 0, 100, DATA, END_STREAM, 0, 0, 0, 1, 'x'};
    static const char trailers[] = {0, 0, 100, HEADERS, END_STREAM | END_HEADERS, 0, 0, 0, 3, 'x'};
    static const char block[] = {0, 0, 1, HEADERS, END_STREAM, 0, 0, 0, 5, 'x'};
    static const char rest[99];
    struct feeder f = open_connection(3);
    for (uint32_t stream = 1; stream <= 5; stream += 2) {
        frame(&f, HEADERS, END_HEADERS, stream, 10);
        frame(&f, DATA, 0, stream, 1000);
    }
    assert_int_equal(f.gate.upload_runs, 1);
    feed(&f, data, sizeof(data));
    assert_int_equal(f.gate.upload_bytes, 3100);
    assert_int_equal(f.gate.body_bytes, 100);
    assert_int_equal(h2_gate_arrived(&f.gate), 3001);
    feed(&f, rest, sizeof(rest));
    assert_int_equal(h2_gate_arrived(&f.gate), 3100);
    assert_int_equal(f.gate.upload_bytes, 2000);
    feed(&f, trailers, sizeof(trailers));
    assert_int_equal(f.gate.upload_bytes, 2000);
    assert_int_equal(f.gate.body_bytes, 0);
    feed(&f, rest, sizeof(rest));
    assert_int_equal(f.gate.upload_bytes, 1000);
    feed(&f, block, sizeof(block));
    assert_int_equal(f.gate.upload_bytes, 1000);
    frame(&f, CONTINUATION, END_HEADERS, 5, 1);
    assert_int_equal(f.gate.upload_count, 0);
    frame(&f, HEADERS, END_HEADERS, 7, 10);
    frame(&f, DATA, END_STREAM, 7, 0);
    assert_int_equal(f.gate.upload_count, 0);
    assert_int_equal(f.gate.upload_runs, 2);
}

static unsigned looks(struct feeder *f, int type, int flags, uint32_t stream, size_t length)
{
    assert_int_equal(frame(f, type, flags, stream, length), H2_FINE);
    return f->looks;
}

static void test_the_caller_looks_at_beginnings_excess_trailers_and_continuations(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 4, 9, 1000};
    for (size_t p = 0; p < 4; p++) {
        struct feeder f = open_connection(pieces[p]);
        assert_int_equal(looks(&f, HEADERS, END_HEADERS, 1, 10), 0);
        assert_int_equal(looks(&f, DATA, 0, 1, 60000), 1);
        assert_int_equal(f.gate.frame.length, 60000);
        assert_int_equal(looks(&f, DATA, 0, 1, 40000), 0);
        assert_int_equal(looks(&f, DATA, 0, 1, 1), 1);
        assert_int_equal(f.gate.frame.stream, 1);
        h2_gate_refuse(&f.gate, 1, 413);
        assert_int_equal(f.gate.upload_bytes, 0);
        assert_int_equal(looks(&f, DATA, END_STREAM, 1, 1), 1);
        h2_gate_forget(&f.gate, 1);
        assert_int_equal(looks(&f, DATA, 0, 1, 1), 0);
        assert_int_equal(looks(&f, HEADERS, END_HEADERS, 3, 10), 0);
        assert_int_equal(looks(&f, HEADERS, END_STREAM, 3, 10), 1);
        assert_int_equal(looks(&f, CONTINUATION, END_HEADERS, 3, 10), 1);
    }
}

static void test_of_refused_bodies_the_last_ones_are_remembered(void **state)
{
    (void)state;
    struct feeder f = open_connection(1000);
    for (uint32_t i = 0; i < H2_REFUSED_MAX + 1; i++)
        h2_gate_refuse(&f.gate, 2 * i + 1, i % 2 ? 413 : 503);
    assert_int_equal(h2_gate_refusal(&f.gate, 0), 0);
    assert_int_equal(h2_gate_refusal(&f.gate, 1), 0);
    for (uint32_t i = 1; i < H2_REFUSED_MAX + 1; i++)
        assert_int_equal(h2_gate_refusal(&f.gate, 2 * i + 1), i % 2 ? 413 : 503);
    frame(&f, RST_STREAM, 0, 3, 4);
    assert_int_equal(h2_gate_refusal(&f.gate, 3), 0);
}

static void test_more_uploads_than_streams_is_a_flood(void **state)
{
    (void)state;
    struct feeder f = open_connection(1000);
    for (uint32_t i = 0; i < H2_UPLOADS_MAX; i++)
        assert_int_equal(frame(&f, HEADERS, END_HEADERS, 2 * i + 1, 10), H2_FINE);
    assert_int_equal(frame(&f, HEADERS, END_HEADERS, 2 * H2_UPLOADS_MAX + 1, 10), H2_FLOOD);
}

static void test_our_resets_share_the_budget_of_the_clients(void **state)
{
    (void)state;
    struct feeder f = open_connection(1000);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(frame(&f, RST_STREAM, 0, 2 * i + 1, 4), H2_FINE);
    assert_int_equal(h2_gate_count_our_resets(&f.gate, 10), H2_FINE);
    assert_int_equal(h2_gate_count_our_resets(&f.gate, 1), H2_FLOOD);
    assert_string_equal(f.gate.why, "stream resets");
    f = open_connection(1000);
    assert_int_equal(h2_gate_count_our_resets(&f.gate, 20), H2_FINE);
    f.now.ms += 1000;
    assert_int_equal(frame(&f, RST_STREAM, 0, 1, 4), H2_FINE);
    assert_int_equal(frame(&f, DATA, 0, 1, 30 * H2_DATA_BYTES_PER_RESET), H2_FINE);
    assert_int_equal(h2_gate_count_our_resets(&f.gate, 19 + 30), H2_FINE);
    assert_int_equal(frame(&f, RST_STREAM, 0, 1, 4), H2_FLOOD);
}

static void test_it_stops_behind_each_header_and_each_frame(void **state)
{
    (void)state;
    struct feeder f = open_connection(1000);
    static const char bytes[] = "\0\0\10\6\0\0\0\0\0pingpong\0\0\0\4\0\0\0\0\0\0\0";
    slice rest = slice_of(bytes, 9 + 8 + 9 + 2);
    static const struct {
        size_t left;
        enum h2_verdict verdict;
        bool is_between;
    } steps[] = {{8 + 9 + 2, H2_HEADER, false},
                 {9 + 2, H2_FINE, true},
                 {2, H2_HEADER, true},
                 {0, H2_FINE, false}};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        assert_int_equal(h2_gate_feed(&f.gate, &rest, f.now, 0), steps[i].verdict);
        assert_int_equal(rest.len, steps[i].left);
        assert_int_equal(h2_gate_is_between_frames(&f.gate), steps[i].is_between);
    }
    assert_int_equal(f.gate.frames, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_frames_have_a_budget_per_second),
        cmocka_unit_test(test_the_budget_is_new_each_second),
        cmocka_unit_test(test_mixed_frames_share_the_budget_but_requests_and_data_are_free),
        cmocka_unit_test(test_window_updates_are_granted_with_what_was_sent),
        cmocka_unit_test(test_a_header_block_has_16_continuations_and_a_size),
        cmocka_unit_test(test_bodies_under_way_are_counted_per_stream),
        cmocka_unit_test(test_the_caller_looks_at_beginnings_excess_trailers_and_continuations),
        cmocka_unit_test(test_a_body_is_counted_until_its_last_byte_is_here),
        cmocka_unit_test(test_of_refused_bodies_the_last_ones_are_remembered),
        cmocka_unit_test(test_our_resets_share_the_budget_of_the_clients),
        cmocka_unit_test(test_it_stops_behind_each_header_and_each_frame),
        cmocka_unit_test(test_more_uploads_than_streams_is_a_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
