/* Ranges of stored answers: http-caching §6, RFC 9110 §13.1.5 and §14. */
#include "policy/range.h"
#include "tests/unit/policy/response_support.h"

static const char *described(const struct ranges *ranges, char text[200])
{
    int used = snprintf(text, 200, "%s",
                        ranges->kind == RANGE_WHOLE   ? "whole"
                        : ranges->kind == RANGE_PARTS ? "parts"
                                                      : "none");
    for (size_t i = 0; i < ranges->count && ranges->kind == RANGE_PARTS; i++)
        used += snprintf(text + used, (size_t)(200 - used), " %llu-%llu",
                         (unsigned long long)ranges->at[i].first,
                         (unsigned long long)ranges->at[i].last);
    return text;
}

struct range_row {
    const char *request, *stored, *expected;
};

static void check_of_length(const struct range_row *rows, size_t count, uint64_t length)
{
    for (size_t i = 0; i < count; i++) {
        struct fixture *f = fixture_new();
        struct fields stored = fields_of(&f->arena, rows[i].stored);
        struct ranges ranges;
        char text[200];
        add_lines(&f->request.fields, rows[i].request);
        ranges_of_request(&f->request, &stored, NOW.wall, length, &ranges);
        if (strcmp(described(&ranges, text), rows[i].expected) != 0)
            fail_msg("%s: %s, not %s", rows[i].request, text, rows[i].expected);
        fixture_free(f);
    }
}

static void test_6_ranges_are_clamped_to_the_body(void **state)
{
    static const struct range_row rows[] = {
        {"Range: bytes=0-1", "", "parts 0-1"},
        {"Range: bytes=1-", "", "parts 1-9"},
        {"Range: bytes=-1", "", "parts 9-9"},
        {"Range: bytes=-10", "", "parts 0-9"},
        {"Range: bytes=-11", "", "parts 0-9"},
        {"Range: bytes=5-1000", "", "parts 5-9"},
        {"Range: bytes=5-99999999999999999999999", "", "parts 5-9"},
        {"Range: BYTES=0-0", "", "parts 0-0"},
        {"Range: bytes=9-9", "", "parts 9-9"},
        {"Range:  bytes=0-1 ", "", "parts 0-1"},
        {"Range: bytes= 0-1 , 4-5", "", "parts 0-1 4-5"},
        {"Range: bytes=4-5,0-1", "", "parts 4-5 0-1"},
        {"Range: bytes=0-1,50-60,-2", "", "parts 0-1 8-9"},
        {"Range: bytes=,0-1,,", "", "parts 0-1"},
    };
    (void)state;
    check_of_length(rows, ROWS(rows), 10);
}

static void test_6_what_is_not_there_is_unsatisfiable(void **state)
{
    static const struct range_row rows[] = {{"Range: bytes=10-", "", "none"},
                                            {"Range: bytes=10-20", "", "none"},
                                            {"Range: bytes=-0", "", "none"},
                                            {"Range: bytes=99999999999999999999-", "", "none"},
                                            {"Range: bytes=10-11,12-13", "", "none"}};
    static const struct range_row empty[] = {{"Range: bytes=0-", "", "none"},
                                             {"Range: bytes=-1", "", "none"}};
    (void)state;
    check_of_length(rows, ROWS(rows), 10);
    check_of_length(empty, ROWS(empty), 0);
}

static void test_6_what_cannot_be_read_is_the_whole(void **state)
{
    static const struct range_row rows[] = {
        {"", "", "whole"},
        {"Range:", "", "whole"},
        {"Range: bytes", "", "whole"},
        {"Range: bytes=", "", "whole"},
        {"Range: bytes=-", "", "whole"},
        {"Range: bytes=1", "", "whole"},
        {"Range: bytes=2-1", "", "whole"},
        {"Range: bytes=a-b", "", "whole"},
        {"Range: bytes=0x0-1", "", "whole"},
        {"Range: bytes=+0-1", "", "whole"},
        {"Range: bytes=0-1-2", "", "whole"},
        {"Range: bytes=0 - 1", "", "whole"},
        {"Range: bytes=0-1, x", "", "whole"},
        {"Range: bytes =0-1", "", "whole"},
        {"Range: items=0-1", "", "whole"},
        {"Range: bytes=0-1\nRange: bytes=2-3", "", "whole"},
        {"Range: bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8", "", "whole"}, /* nine */
        {"Range: bytes=0-9,0-9", "", "whole"},                             /* more than there is */
        {"Range: bytes=0-,0-,0-,0-", "", "whole"},
    };
    (void)state;
    check_of_length(rows, ROWS(rows), 10);
}

static void test_6_if_range_wants_a_strong_match(void **state)
{
    static const struct range_row rows[] = {
        {"Range: bytes=0-1\nIf-Range: \"a\"", "ETag: \"a\"", "parts 0-1"},
        {"Range: bytes=0-1\nIf-Range: \"b\"", "ETag: \"a\"", "whole"},
        {"Range: bytes=0-1\nIf-Range: \"a\"", "", "whole"},
        {"Range: bytes=0-1\nIf-Range: W/\"a\"", "ETag: W/\"a\"", "whole"},
        {"Range: bytes=0-1\nIf-Range: \"a\"", "ETag: W/\"a\"", "whole"},
        {"Range: bytes=0-1\nIf-Range: W/\"a\"", "ETag: \"a\"", "whole"},
        {"Range: bytes=0-1\nIf-Range: \"a\", \"b\"", "ETag: \"a\"", "whole"},
        {"Range: bytes=0-1\nIf-Range: \"a\"\nIf-Range: \"a\"", "ETag: \"a\"", "whole"},
        {"Range: bytes=0-1\nIf-Range:", "ETag: \"a\"", "whole"},
        {"Range: bytes=0-1\nIf-Range: @-100", "Last-Modified: @-100", "parts 0-1"},
        {"Range: bytes=0-1\nIf-Range: @-50", "Last-Modified: @-100", "whole"},
        {"Range: bytes=0-1\nIf-Range: @-100", "", "whole"},
        {"Range: bytes=0-1\nIf-Range: @0", "Last-Modified: @0", "whole"}, /* same second as Date */
        {"Range: bytes=50-\nIf-Range: \"b\"", "ETag: \"a\"", "whole"},
    };
    (void)state;
    check_of_length(rows, ROWS(rows), 10);
}

static void test_6_range_is_for_get_alone(void **state)
{
    struct fixture *f = fixture_new();
    struct fields none = fields_of(&f->arena, "");
    struct ranges ranges;
    (void)state;
    add_lines(&f->request.fields, "Range: bytes=0-1");
    f->request.method = METHOD_HEAD;
    ranges_of_request(&f->request, &none, NOW.wall, 10, &ranges);
    assert_int_equal(ranges.kind, RANGE_WHOLE);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_6_ranges_are_clamped_to_the_body),
        cmocka_unit_test(test_6_what_is_not_there_is_unsatisfiable),
        cmocka_unit_test(test_6_what_cannot_be_read_is_the_whole),
        cmocka_unit_test(test_6_if_range_wants_a_strong_match),
        cmocka_unit_test(test_6_range_is_for_get_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
