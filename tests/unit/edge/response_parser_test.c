/* The response parser alone, on the table of bad origins and on single rules. */
#include "edge/origin/response_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum ending { KEEP, CLOSE, RESET, HANG, TRICKLE };
enum { ANY = -1 };

struct row {
    const char *name;
    bool answers_head;
    slice head, repeated;
    unsigned times;
    slice tail;
    enum ending ending;
    slice expected;
    long body_bytes;
};

#define BAD(name, method, head, repeated, times, tail, ending, expected, body_bytes)               \
    {#name,  sizeof(#method) == 5, SLICE(head), SLICE(repeated), times, SLICE(tail),               \
     ending, SLICE(#expected),     body_bytes},
static const struct row ROWS[] = {
#include "tests/data/bad_origins.def"
};
#undef BAD

struct outcome {
    enum parse_event last;
    unsigned status, interims;
    size_t body_bytes, left;
    uint64_t body_hash;
    const char *mistake;
    bool may_reuse;
    enum parse_close close;
};

static char *row_bytes(const struct row *row, size_t *bytes)
{
    *bytes = row->head.len + row->repeated.len * row->times + row->tail.len;
    char *all = mem_alloc(*bytes), *at = all;
    memcpy(at, row->head.ptr, row->head.len);
    at += row->head.len;
    for (unsigned i = 0; i < row->times; i++, at += row->repeated.len)
        memcpy(at, row->repeated.ptr, row->repeated.len);
    memcpy(at, row->tail.ptr, row->tail.len);
    return all;
}

static void note_body(struct outcome *outcome, slice body)
{
    outcome->body_bytes += body.len;
    for (size_t i = 0; i < body.len; i++)
        outcome->body_hash = outcome->body_hash * 31 + (unsigned char)body.ptr[i];
}

/* Feeds one piece, from memory of its own so that a read past its end is seen. False: it is over.
 */
static bool feed(struct response_parser *parser, slice piece, struct outcome *outcome)
{
    char *copy = mem_alloc(piece.len);
    memcpy(copy, piece.ptr, piece.len);
    slice input = slice_of(copy, piece.len), body = SLICE_NONE;
    do {
        outcome->last = response_parser_next(parser, &input, &body);
        if (outcome->last == PARSE_BODY)
            note_body(outcome, body);
        outcome->interims += outcome->last == PARSE_INTERIM;
        if (outcome->last == PARSE_HEAD)
            outcome->status = parser->response.status;
    } while (outcome->last != PARSE_NEED_MORE && outcome->last != PARSE_END &&
             outcome->last != PARSE_MALFORMED);
    outcome->left = input.len;
    free(copy);
    return outcome->last == PARSE_NEED_MORE;
}

/* `piece_bytes` 0: pieces of random size. */
static struct outcome parse(slice all, bool answers_head, bool may_switch, size_t piece_bytes)
{
    struct response_parser parser;
    struct outcome outcome = {0};
    unsigned seed = 7;
    response_parser_init(&parser, answers_head, may_switch);
    while (all.len > 0) {
        size_t bytes = piece_bytes ? piece_bytes : 1 + (size_t)rand_r(&seed) % 40;
        slice piece = slice_until(all, bytes);
        if (!feed(&parser, piece, &outcome))
            break;
        all = slice_from(all, piece.len);
    }
    outcome.mistake = parser.mistake;
    outcome.may_reuse = parser.may_reuse;
    outcome.close = response_parser_close(&parser, false);
    response_parser_fini(&parser);
    return outcome;
}

static struct outcome parse_text(const char *text)
{
    return parse(slice_of_string(text), false, false, SIZE_MAX);
}

static slice outcome_name(const struct row *row, const struct outcome *outcome)
{
    if (outcome->last == PARSE_MALFORMED)
        return SLICE("malformed");
    if (outcome->last == PARSE_END)
        return SLICE("CLEAN");
    if (row->ending == HANG || row->ending == TRICKLE)
        return row->expected; /* times are not the parser's */
    switch (outcome->close) {
    case CLOSE_BEFORE_HEAD:
        return SLICE("closed");
    case CLOSE_ENDS:
        return row->ending == RESET ? SLICE("truncated") : SLICE("UNCLEAN");
    case CLOSE_IN_BODY:
        break;
    }
    return SLICE("truncated");
}

static void check(const struct row *row, const struct outcome *outcome)
{
    slice name = outcome_name(row, outcome);
    if (!slice_equal(name, row->expected))
        fail_msg("%s: %.*s (%s)", row->name, SLICE_ARG(name),
                 outcome->mistake ? outcome->mistake : "");
    if (row->body_bytes != ANY && outcome->body_bytes != (size_t)row->body_bytes)
        fail_msg("%s: %zu bytes of body", row->name, outcome->body_bytes);
}

static void test_each_bad_origin_is_understood_however_it_is_cut_into_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        size_t bytes;
        char *all = row_bytes(&ROWS[i], &bytes);
        struct outcome whole = parse(slice_of(all, bytes), ROWS[i].answers_head, false, SIZE_MAX);
        check(&ROWS[i], &whole);
        for (size_t piece = 0; piece < 3; piece++) {
            struct outcome pieces = parse(slice_of(all, bytes), ROWS[i].answers_head, false, piece);
            check(&ROWS[i], &pieces);
            assert_int_equal(pieces.body_hash, whole.body_hash);
            assert_int_equal(pieces.status, whole.status);
        }
        free(all);
    }
}

static void test_a_response_cut_anywhere_never_looks_complete(void **state)
{
    (void)state;
    static const slice TEXTS[] = {
        SLICE("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a\r\nlo\r\n"
              "0\r\nX: y\r\n\r\n"),
        SLICE("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        assert_int_equal(parse(TEXTS[i], false, false, 1).last, PARSE_END);
        for (size_t bytes = 1; bytes < TEXTS[i].len; bytes++) {
            struct outcome cut = parse(slice_until(TEXTS[i], bytes), false, false, SIZE_MAX);
            assert_int_equal(cut.last, PARSE_NEED_MORE);
            assert_int_not_equal(cut.close, CLOSE_ENDS);
        }
    }
}

/* Frameworks put there what the client has sent; it would be stored, and given to everybody. */
static void test_a_reason_phrase_is_cut(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    for (unsigned long bytes = 126; bytes < 4096; bytes += bytes < 130 ? 1 : 3000) {
        char phrase[4096];
        memset(phrase, 'x', bytes);
        slice body, input = arena_printf(&arena, "HTTP/1.1 404 %.*s\r\nContent-Length: 0\r\n\r\n",
                                         (int)bytes, phrase);
        struct response_parser parser;
        response_parser_init(&parser, false, false);
        assert_int_equal(response_parser_next(&parser, &input, &body), PARSE_HEAD);
        assert_int_equal(parser.response.reason.len, bytes < 128 ? bytes : 128);
        assert_int_equal(response_parser_next(&parser, &input, &body), PARSE_END);
        response_parser_fini(&parser);
    }
    arena_fini(&arena);
}

static void test_names_are_lower_case_and_values_trimmed_in_order(void **state)
{
    (void)state;
    struct response_parser parser;
    slice input =
        SLICE("HTTP/1.1 404 Not  Here \r\nX-Ab:  c d \t\r\nSet-Cookie: a\r\nSET-COOKIE: b\r\n"
              "Content-Length: 0\r\nEmpty:\r\n\r\n");
    slice body;
    response_parser_init(&parser, false, false);
    assert_int_equal(response_parser_next(&parser, &input, &body), PARSE_HEAD);
    const struct fields *fields = &parser.response.fields;
    assert_int_equal(parser.response.status, 404);
    assert_true(slice_equal(parser.response.reason, SLICE("Not  Here")));
    assert_int_equal(fields->count, 5);
    assert_true(slice_equal(fields->at[0].name, SLICE("x-ab")));
    assert_true(slice_equal(fields->at[0].value, SLICE("c d")));
    assert_int_equal(fields->at[2].id, FIELD_SET_COOKIE);
    assert_true(slice_equal(fields->at[2].value, SLICE("b")));
    assert_int_equal(fields->at[4].value.len, 0);
    assert_int_equal(response_parser_next(&parser, &input, &body), PARSE_END);
    response_parser_fini(&parser);
}

static void test_a_connection_is_used_again_only_where_both_sides_know_the_end(void **state)
{
    (void)state;
    assert_true(parse_text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").may_reuse);
    assert_true(parse_text("HTTP/1.1 204 No Content\r\n\r\n").may_reuse);
    assert_true(parse_text("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n")
                    .may_reuse);
    assert_false(parse_text("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").may_reuse);
    assert_false(parse_text("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n")
                     .may_reuse);
    assert_false(parse_text("HTTP/1.1 200 OK\r\n\r\nhello").may_reuse);
    assert_false(parse_text("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n").may_reuse);
    assert_int_equal(parse_text("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab").left, 1);
}

static void test_a_101_is_a_head_only_where_it_was_asked_for(void **state)
{
    (void)state;
    struct response_parser parser;
    slice input = SLICE("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81");
    slice body, again = input;
    response_parser_init(&parser, false, true);
    assert_int_equal(response_parser_next(&parser, &input, &body), PARSE_HEAD);
    assert_true(parser.is_switching);
    assert_int_equal(input.len, 1);
    response_parser_fini(&parser);
    assert_int_equal(parse(again, false, false, SIZE_MAX).last, PARSE_MALFORMED);
}

static void test_sixteen_interim_responses_are_skipped(void **state)
{
    (void)state;
    char text[2048] = "";
    size_t bytes = 0;
    for (int i = 0; i < RESPONSE_MAX_INTERIM; i++)
        bytes += (size_t)snprintf(text + bytes, sizeof(text) - bytes,
                                  "HTTP/1.1 103 Hints\r\nA: b\r\n\r\n");
    snprintf(text + bytes, sizeof(text) - bytes, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    struct outcome outcome = parse_text(text);
    assert_int_equal(outcome.last, PARSE_END);
    assert_int_equal(outcome.interims, RESPONSE_MAX_INTERIM);
    assert_int_equal(outcome.status, 200);
}

static void test_a_head_of_64_kib_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    static char text[RESPONSE_HEAD_MAX_BYTES + 1];
    static const char START[] = "HTTP/1.1 204 No Content\r\nX: ";
    for (size_t more = 0; more < 2; more++) {
        size_t bytes = RESPONSE_HEAD_MAX_BYTES + more;
        memset(text, 'x', bytes);
        memcpy(text, START, sizeof(START) - 1);
        memcpy(text + bytes - 4, "\r\n\r\n", 4);
        assert_int_equal(parse(slice_of(text, bytes), false, false, 4096).last,
                         more ? PARSE_MALFORMED : PARSE_END);
    }
}

static void test_keep_alive_says_how_long_the_origin_waits(void **state)
{
    (void)state;
    struct response_parser parser;
    slice input =
        SLICE("HTTP/1.1 200 OK\r\nKeep-Alive: max=5, Timeout=7\r\nContent-Length: 0\r\n\r\n");
    slice body;
    response_parser_init(&parser, false, false);
    assert_int_equal(response_parser_next(&parser, &input, &body), PARSE_HEAD);
    assert_int_equal(parser.keep_alive.ms, 7000);
    response_parser_fini(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_bad_origin_is_understood_however_it_is_cut_into_pieces),
        cmocka_unit_test(test_a_response_cut_anywhere_never_looks_complete),
        cmocka_unit_test(test_names_are_lower_case_and_values_trimmed_in_order),
        cmocka_unit_test(test_a_reason_phrase_is_cut),
        cmocka_unit_test(test_a_connection_is_used_again_only_where_both_sides_know_the_end),
        cmocka_unit_test(test_a_101_is_a_head_only_where_it_was_asked_for),
        cmocka_unit_test(test_sixteen_interim_responses_are_skipped),
        cmocka_unit_test(test_a_head_of_64_kib_passes_and_one_byte_more_does_not),
        cmocka_unit_test(test_keep_alive_says_how_long_the_origin_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
