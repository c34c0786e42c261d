/* Content codings: semantics 4.7, RFC 9110 §12.5.3. */
#include "tests/unit/policy/response_support.h"

enum { ID = 1 << CODING_IDENTITY, GZ = 1 << CODING_GZIP, BR = 1 << CODING_BR };

static void test_4_7_the_coding_of_a_response(void **state)
{
    static const struct {
        const char *lines;
        enum coding coding;
    } rows[] = {
        {"", CODING_IDENTITY},
        {"Content-Encoding:", CODING_IDENTITY},
        {"Content-Encoding: identity", CODING_IDENTITY},
        {"Content-Encoding: gzip", CODING_GZIP},
        {"Content-Encoding: GZip", CODING_GZIP},
        {"Content-Encoding: x-gzip", CODING_GZIP},
        {"Content-Encoding: br", CODING_BR},
        {"Content-Encoding: , br ,", CODING_BR},
        {"Content-Encoding: zstd", CODING_UNKNOWN},
        {"Content-Encoding: deflate", CODING_UNKNOWN},
        {"Content-Encoding: gzip, gzip", CODING_UNKNOWN},
        {"Content-Encoding: gzip\nContent-Encoding: br", CODING_UNKNOWN},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fields fields = fields_of(&arena, rows[i].lines);
        if (coding_of_response(&fields) != rows[i].coding)
            fail_msg("%s", rows[i].lines);
    }
    arena_fini(&arena);
}

static void test_4_7_what_a_client_can_read(void **state)
{
    static const struct {
        const char *lines;
        unsigned accepted;
    } rows[] = {
        {"", ID},
        {"Accept-Encoding:", ID},
        {"Accept-Encoding: gzip", ID | GZ},
        {"Accept-Encoding: GZIP", ID | GZ},
        {"Accept-Encoding: x-gzip", ID | GZ},
        {"Accept-Encoding: gzip, deflate, br, zstd", ID | GZ | BR},
        {"Accept-Encoding: gzip\nAccept-Encoding: br", ID | GZ | BR},
        {"Accept-Encoding: gzip;q=0.5 , br ; q=1.0", ID | GZ | BR},
        {"Accept-Encoding: gzip;q=0", ID},
        {"Accept-Encoding: gzip;q=0.000, br", ID | BR},
        {"Accept-Encoding: gzip;q=0.001", ID | GZ},
        {"Accept-Encoding: gzip, gzip;q=0", ID},
        {"Accept-Encoding: *", ID | GZ | BR},
        {"Accept-Encoding: *, gzip;q=0", ID | BR},
        {"Accept-Encoding: gzip, *;q=0", GZ},
        {"Accept-Encoding: *;q=0", 0},
        {"Accept-Encoding: *;q=0, identity;q=0.5", ID},
        {"Accept-Encoding: identity", ID},
        {"Accept-Encoding: identity;q=0, gzip", GZ},
        {"Accept-Encoding: identity;q=0", 0},
        {"Accept-Encoding: *;q=0.5, identity;q=0", GZ | BR},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fields fields = fields_of(&arena, rows[i].lines);
        if (codings_accepted(&fields) != rows[i].accepted)
            fail_msg("%s: %u", rows[i].lines, codings_accepted(&fields));
        for (enum coding coding = CODING_GZIP; coding < CODING_COUNT; coding++)
            assert_int_equal(coding_is_readable(coding, &fields),
                             (rows[i].accepted & 1u << coding) != 0);
        assert_true(coding_is_readable(CODING_IDENTITY, &fields));
        assert_true(coding_is_readable(CODING_UNKNOWN, &fields));
    }
    arena_fini(&arena);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(slice_is(coding_name(CODING_IDENTITY), "identity"));
    assert_true(slice_is(coding_name(CODING_GZIP), "gzip"));
    assert_true(slice_is(coding_name(CODING_BR), "br"));
    assert_true(slice_is_empty(coding_name(CODING_UNKNOWN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_4_7_the_coding_of_a_response),
        cmocka_unit_test(test_4_7_what_a_client_can_read),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
