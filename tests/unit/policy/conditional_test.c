/* Conditions of clients and of varve: http-caching §6 and §7. */
#include "tests/unit/policy/response_support.h"

struct condition_row {
    const char *request, *stored;
    bool is_not_modified;
};

static void check_conditions(const struct condition_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fixture *f = fixture_new();
        struct fields stored = fields_of(&f->arena, rows[i].stored);
        add_lines(&f->request.fields, rows[i].request);
        bool result = conditional_is_not_modified(&f->request, &stored, NOW.wall);
        if (result != rows[i].is_not_modified)
            fail_msg("%s against %s", rows[i].request, rows[i].stored);
        fixture_free(f);
    }
}

static void test_6_if_none_match_compares_weakly_with_each_member(void **state)
{
    static const struct condition_row rows[] = {
        {"If-None-Match: \"a\"", "ETag: \"a\"", true},
        {"If-None-Match: \"a\", \"b\", \"c\"", "ETag: \"a\"", true},
        {"If-None-Match: \"a\", \"b\", \"c\"", "ETag: \"b\"", true},
        {"If-None-Match: \"a\", \"b\", \"c\"", "ETag: \"c\"", true},
        {"If-None-Match: \"a\",\"b\"\nIf-None-Match: \"c\"", "ETag: \"c\"", true},
        {"If-None-Match: \"a\", \"b\"", "ETag: \"c\"", false},
        {"If-None-Match: W/\"a\"", "ETag: \"a\"", true},
        {"If-None-Match: \"a\"", "ETag: W/\"a\"", true},
        {"If-None-Match: W/\"a\"", "ETag: W/\"a\"", true},
        {"If-None-Match: w/\"a\"", "ETag: \"a\"", false},
        {"If-None-Match: *", "ETag: \"a\"", true},
        {"If-None-Match: *", "", true},
        {"If-None-Match: \"*\"", "ETag: \"a\"", false},
        {"If-None-Match: \"a,b\"", "ETag: \"a,b\"", true},
        {"If-None-Match: \"a,b\"", "ETag: \"b\"", false},
        {"If-None-Match: \"a\\\", \"b\"", "ETag: \"b\"", true}, /* no escapes in entity-tags */
        {"If-None-Match: a", "ETag: a", true},
        {"If-None-Match: x, a, y", "ETag: a", true},
        {"If-None-Match: a", "ETag: \"a\"", false},
        {"If-None-Match: \"a", "ETag: \"a\"", false},
        {"If-None-Match: W/", "ETag:", false},
        {"If-None-Match:", "ETag: \"a\"", false},
        {"If-None-Match: \"\"", "ETag: \"\"", true},
        {"If-None-Match: , ,\"a\"", "ETag: \"a\"", true},
        {"If-None-Match: \"a\"", "", false},
    };
    (void)state;
    check_conditions(rows, ROWS(rows));
}

static void test_6_if_none_match_silences_if_modified_since(void **state)
{
    static const struct condition_row rows[] = {
        {"If-None-Match: \"b\"\nIf-Modified-Since: @0", "ETag: \"a\"\nLast-Modified: @-10", false},
        {"If-None-Match: \"a\"\nIf-Modified-Since: @-20", "ETag: \"a\"\nLast-Modified: @-10", true},
        {"If-None-Match:\nIf-Modified-Since: @0", "Last-Modified: @-10", false},
    };
    (void)state;
    check_conditions(rows, ROWS(rows));
}

static void test_6_if_modified_since_compares_with_last_modified_or_date(void **state)
{
    static const struct condition_row rows[] = {
        {"If-Modified-Since: @-10", "Last-Modified: @-10", true},
        {"If-Modified-Since: @-9", "Last-Modified: @-10", true},
        {"If-Modified-Since: @-11", "Last-Modified: @-10", false},
        {"If-Modified-Since: Thursday, 14-Nov-24 22:13:10 GMT", "Last-Modified: @-10", true},
        {"If-Modified-Since: Thu Nov 14 22:13:10 2024", "Last-Modified: @-10", true},
        {"If-Modified-Since: foo", "Last-Modified: @-10", false},
        {"If-Modified-Since: @0\nIf-Modified-Since: @0", "Last-Modified: @-10", false},
        {"If-Modified-Since: @0", "", true}, /* Date is NOW */
        {"If-Modified-Since: @-1", "", false},
        {"If-Modified-Since: @0", "Last-Modified: foo", true},
        {"", "Last-Modified: @-10\nETag: \"a\"", false},
        {"If-Match: \"b\"", "ETag: \"a\"", false},
    };
    (void)state;
    check_conditions(rows, ROWS(rows));
}

static void test_6_date_stands_in_for_last_modified_in_what_is_stored_alone(void **state)
{
    struct fixture *f = fixture_new();
    struct fields none = fields_of(&f->arena, ""),
                  some = fields_of(&f->arena, "Last-Modified: @-1");
    (void)state;
    add_lines(&f->request.fields, "If-Modified-Since: @3600");
    assert_true(conditional_is_not_modified(&f->request, &none, NOW.wall));
    assert_false(conditional_is_not_modified(&f->request, &none, NOT_DATED));
    assert_true(conditional_is_not_modified(&f->request, &some, NOT_DATED));
    fixture_free(f);
}

static void test_6_only_get_and_head_are_conditional(void **state)
{
    struct fixture *f = fixture_new();
    struct fields stored = fields_of(&f->arena, "ETag: \"a\"");
    (void)state;
    add_lines(&f->request.fields, "If-None-Match: \"a\"");
    f->request.method = METHOD_HEAD;
    assert_true(conditional_is_not_modified(&f->request, &stored, NOW.wall));
    f->request.method = METHOD_POST;
    assert_false(conditional_is_not_modified(&f->request, &stored, NOW.wall));
    fixture_free(f);
}

static void test_6_what_a_304_carries(void **state)
{
    struct fixture *f = fixture_new();
    struct fields fields =
        fields_of(&f->arena, "ETag: \"a\"\nDate: @0\nCache-Control: max-age=1\nVary: Foo\n"
                             "Expires: @1\nContent-Location: /x\nContent-Type: text/html\n"
                             "Content-Length: 3\nContent-Encoding: gzip\nLast-Modified: @-9\n"
                             "Content-Security-Policy: x\nX-Foo: y");
    struct fields without_etag = fields_of(&f->arena, "Last-Modified: @-9\nContent-Type: x");
    static const char *const kept[] = {"etag",
                                       "date",
                                       "cache-control",
                                       "vary",
                                       "expires",
                                       "content-location",
                                       "content-security-policy",
                                       "x-foo"};
    (void)state;
    fields_keep_for_304(&fields);
    assert_int_equal(fields.count, ROWS(kept));
    for (size_t i = 0; i < ROWS(kept); i++)
        assert_non_null(fields_find(&fields, slice_of_string(kept[i])));
    fields_keep_for_304(&without_etag);
    assert_int_equal(without_etag.count, 1);
    fixture_free(f);
}

static void test_7_validators_go_out_byte_for_byte(void **state)
{
    static const struct {
        const char *stored, *none_match, *since;
    } rows[] = {
        {"ETag: \"a\"", "\"a\"", ""},
        {"ETag: W/\"a\"", "W/\"a\"", ""},
        {"ETag: a b", "a b", ""},
        {"Last-Modified: Thursday, 14-Nov-24 22:13:10 GMT", "", "Thursday, 14-Nov-24 22:13:10 GMT"},
        {"ETag: \"a\"\nLast-Modified: Thu, 14 Nov 2024 22:13:10 GMT", "\"a\"",
         "Thu, 14 Nov 2024 22:13:10 GMT"},
        {"Last-Modified: yesterday", "", ""},
        {"ETag:", "", ""},
        {"", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fixture *f = fixture_new();
        struct fields stored = fields_of(&f->arena, rows[i].stored), *out = &f->forward.fields;
        bool expected = rows[i].none_match[0] || rows[i].since[0];
        assert_int_equal(fields_add_validators(&stored, NOW.wall, out), expected);
        assert_true(slice_is(fields_value(out, FIELD_IF_NONE_MATCH), rows[i].none_match));
        assert_true(slice_is(fields_value(out, FIELD_IF_MODIFIED_SINCE), rows[i].since));
        fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_6_if_none_match_compares_weakly_with_each_member),
        cmocka_unit_test(test_6_if_none_match_silences_if_modified_since),
        cmocka_unit_test(test_6_if_modified_since_compares_with_last_modified_or_date),
        cmocka_unit_test(test_6_date_stands_in_for_last_modified_in_what_is_stored_alone),
        cmocka_unit_test(test_6_only_get_and_head_are_conditional),
        cmocka_unit_test(test_6_what_a_304_carries),
        cmocka_unit_test(test_7_validators_go_out_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
