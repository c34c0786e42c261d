/* Cache-Control and targeted fields: http-caching §1 and §10. */
#include "policy/cache_control.h"

#include "tests/unit/policy/response_support.h"

static int64_t seconds_or_none(duration d)
{
    return duration_is_given(d) ? d.ms / 1000 : -1;
}

struct age_row {
    const char *text;
    int64_t max_age; /* -1: absent */
};

static void check_max_age(const struct age_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct directives d;
        cache_control_parse(slice_of_string(rows[i].text), &d);
        if (seconds_or_none(d.max_age) != rows[i].max_age)
            fail_msg("%s: max-age %lld", rows[i].text, (long long)seconds_or_none(d.max_age));
    }
}

static void test_1_lifetimes_are_digits_and_invalid_ones_are_zero(void **state)
{
    static const struct age_row rows[] = {
        {"max-age=3600", 3600},  {"max-age=003600", 3600}, {"max-age=\"3600\"", 3600},
        {"max-age=0", 0},        {"max-age=-3600", 0},     {"max-age='3600'", 0},
        {"max-age=a3600", 0},    {"max-age=3600a", 0},     {"max-age=3600.5", 0},
        {"max-age=+3600", 0},    {"max-age=", 0},          {"max-age", 0},
        {"max-age=\"3600", 0},   {"max-age=\"\"", 0},      {"max-age=\"36\\00\"", 0},
        {"max-age=36 00", 0},    {"max-age=0x10", 0},      {"max-age=1e3", 0},
        {"max-age=3600;foo", 0}, {"max-age==3600", 0},     {"", -1},
        {"max-ag=3", -1},
    };
    (void)state;
    check_max_age(rows, ROWS(rows));
}

static void test_1_lifetimes_saturate(void **state)
{
    static const char *const rows[] = {"max-age=2147483647",
                                       "max-age=2147483648",
                                       "max-age=2147483649",
                                       "max-age=99999999999",
                                       "max-age=4294967297",
                                       "max-age=9223372036854775807",
                                       "max-age=9223372036854775808",
                                       "max-age=18446744073709551616",
                                       "s-maxage=1, max-age=18446744073709551617",
                                       "max-age=99999999999999999999999999"};
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct directives d;
        cache_control_parse(slice_of_string(rows[i]), &d);
        assert_true(d.max_age.ms >= 2147483647000);
    }
}

static void test_1_members_are_told_apart(void **state)
{
    static const struct age_row rows[] = {
        {"MaX-aGe=3600", 3600},
        {"foobar, max-age=3600", 3600},
        {"max-age=3600, foobar", 3600},
        {"foobar=1, , ,max-age=3600", 3600},
        {",max-age=3600,", 3600},
        {"extension=\"max-age=3600\", max-age=1", 1},
        {"max-age=1, extension=\"max-age=3600\"", 1},
        {"extension=\"a\\\"b, max-age=5\", max-age=1", 1},
        {"extension=\"max-age=3600\"", -1},
        {"max-age=1, max-age=3600", 1},
        {"max-age=3600, max-age=1", 3600},
        {"max-age=x, max-age=3600", 0},
        {"max-age =100", -1},
        {"max-age= 100", -1},
        {"max-age = 100", -1},
        {"max-age\t=100", -1},
        {"max-age =1, max-age=100", 100},
        {"max-age= 1, max-age=100", 100},
        {"extension=\"a\\\\\", max-age=5", 5},
        {"extension=\"max-age=3600, max-age=1", -1},
        {"x-max-age=3600", -1},
        {"max-age=3600, max-age=x", 3600},
        {"public,max-age=7", 7},
    };
    (void)state;
    check_max_age(rows, ROWS(rows));
}

struct flags_row {
    const char *text;
    bool no_store, is_private, no_cache;
};

static void check_flags(const struct flags_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct directives d;
        cache_control_parse(slice_of_string(rows[i].text), &d);
        if (d.no_store != rows[i].no_store || d.is_private != rows[i].is_private ||
            d.no_cache != rows[i].no_cache)
            fail_msg("%s: %d %d %d", rows[i].text, d.no_store, d.is_private, d.no_cache);
    }
}

static void test_1_restrictions_in_any_case_and_their_qualified_forms(void **state)
{
    static const struct flags_row rows[] = {
        {"No-StOrE", true, false, false},
        {"No-CaChE", false, false, true},
        {"PRIVATE", false, true, false},
        {"no-store=1", true, false, false},
        {"no-store=\"x\"", true, false, false},
        {"NO-CACHE=\"Set-Cookie\"", false, false, false},
        {"no-cache=\"a, b\"", false, false, false},
        {"private=\"a\"", false, false, false},
        {"private=a", false, false, false},
        {"private=\"\"", false, true, false},
        {"private=", false, true, false},
        {"no-cache=\"a b\"", false, false, true},
        {"private=\"a\", private", false, true, false},
        {"private=\"a\", private=\"b\"", false, true, false},
        {"private, private=\"a\"", false, true, false},
        {"nostore, no-stored", false, false, false},
        {"extension=\"no-store, private\"", false, false, false},
    };
    (void)state;
    check_flags(rows, ROWS(rows));
}

static void test_1_a_malformed_field_is_read_the_careful_way(void **state)
{
    static const struct flags_row rows[] = {
        {"no-cache no-store", true, false, true},   {"private; max-age=60", false, true, false},
        {"max-age=60 private", false, true, false}, {"foo=\"bar, no-store", true, false, false},
        {"private = x", false, true, false},        {"max-age =100", false, false, false},
        {"must revalidate", false, false, false},
    };
    (void)state;
    check_flags(rows, ROWS(rows));
}

static void test_every_other_directive_is_known(void **state)
{
    struct directives d;
    (void)state;
    cache_control_parse(SLICE("public, Must-Revalidate, proxy-revalidate, no-transform, "
                              "must-understand, s-maxage=5, stale-while-revalidate=6, "
                              "stale-if-error=7, private=\"x-a\", no-cache=\"x-b, x-c\""),
                        &d);
    assert_true(d.is_public && d.must_revalidate && d.proxy_revalidate && d.no_transform &&
                d.must_understand);
    assert_int_equal(seconds_or_none(d.s_maxage), 5);
    assert_int_equal(seconds_or_none(d.max_age), -1);
    assert_int_equal(seconds_or_none(d.stale_while_revalidate), 6);
    assert_int_equal(seconds_or_none(d.stale_if_error), 7);
    assert_true(slice_is(d.private_fields, "x-a"));
    assert_true(slice_is(d.no_cache_fields, "x-b, x-c"));
}

static void test_5_1_stale_directives_without_a_number_are_60_s(void **state)
{
    struct directives d;
    (void)state;
    cache_control_parse(SLICE("s-maxage=5, stale-while-revalidate, stale-if-error"), &d);
    assert_int_equal(seconds_or_none(d.stale_while_revalidate), 60);
    assert_int_equal(seconds_or_none(d.stale_if_error), 60);
    cache_control_parse(SLICE("stale-while-revalidate=x, stale-if-error="), &d);
    assert_int_equal(seconds_or_none(d.stale_while_revalidate), 0);
    assert_int_equal(seconds_or_none(d.stale_if_error), 0);
    assert_true(targeted_parse(SLICE("stale-while-revalidate"), &d));
    assert_int_equal(seconds_or_none(d.stale_while_revalidate), 60);
}

static void test_10_a_targeted_field_with_an_error_counts_as_absent(void **state)
{
    static const char *const rows[] = {"",
                                       "max-age=10000, &&&&&",
                                       "max-age =100",
                                       "max-age= 100",
                                       "MaX-aGe=3600",
                                       "max-age=60,",
                                       "no-store, private, \"x"};
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct directives d;
        assert_false(targeted_parse(slice_of_string(rows[i]), &d));
        assert_false(d.is_targeted || d.no_store || duration_is_given(d.max_age));
    }
}

static void test_10_targeted_members_are_typed(void **state)
{
    static const struct age_row rows[] = {
        {"max-age=10000", 10000},
        {"max-age=\"10000\"", 0},
        {"max-age=10.5", 0},
        {"max-age=token", 0},
        {"max-age", 0},
        {"max-age=-5", 0},
        {"max-age=999999999999999", 999999999999999},
        {"max-age=60;foo=bar, unknown=(1 2)", 60},
        {"max-age=60, max-age=70", 70},
        {"unknown", -1},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct directives d;
        assert_true(targeted_parse(slice_of_string(rows[i].text), &d));
        if (seconds_or_none(d.max_age) != rows[i].max_age)
            fail_msg("%s: %lld", rows[i].text, (long long)seconds_or_none(d.max_age));
    }
}

static void test_10_targeted_flags(void **state)
{
    struct directives d;
    (void)state;
    assert_true(targeted_parse(SLICE("no-store, private, no-cache, must-revalidate"), &d));
    assert_true(d.no_store && d.is_private && d.no_cache && d.must_revalidate);
    assert_true(targeted_parse(SLICE("no-store=?0, private=?0, no-cache=?0"), &d));
    assert_false(d.no_store || d.is_private || d.no_cache);
    assert_true(targeted_parse(SLICE("no-store=1, private=x"), &d));
    assert_true(d.no_store && d.is_private);
    assert_true(targeted_parse(SLICE("no-cache=\"a\", private=\"b, c\""), &d));
    assert_false(d.is_private || d.no_cache);
    assert_true(slice_is(d.private_fields, "b, c"));
    assert_true(targeted_parse(SLICE("no-cache=\"a\", no-cache"), &d));
    assert_true(d.no_cache);
    assert_true(slice_is_empty(d.no_cache_fields));
}

static void test_10_the_first_readable_targeted_field_decides_alone(void **state)
{
    static const struct {
        const char *lines;
        int64_t max_age;
        bool is_targeted, no_store;
    } rows[] = {
        {"Cache-Control: max-age=1", 1, false, false},
        {"Cache-Control: max-age=1\nCache-Control: no-store", 1, false, true},
        {"CDN-Cache-Control: max-age=2\nCache-Control: no-store", 2, true, false},
        {"CDN-Cache-Control: max-age=2\nVarve-Cache-Control: max-age=3", 3, true, false},
        {"CDN-Cache-Control: max-age=2\nVarve-Cache-Control: max-age= 3", 2, true, false},
        {"CDN-Cache-Control: no-store\nCDN-Cache-Control: max-age=4", 4, true, true},
        {"CDN-Cache-Control: &&\nCache-Control: max-age=1", 1, false, false},
        {"CDN-Cache-Control:\nCache-Control: max-age=1", 1, false, false},
        {"CDN-Cache-Control: foo\nCache-Control: max-age=1", -1, true, false},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena);
    struct slices targeted = slices_of(&arena, "varve-cache-control cdn-cache-control");
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct directives d;
        struct fields fields = fields_of(&arena, rows[i].lines);
        directives_of(&fields, targeted, &arena, &d);
        if (seconds_or_none(d.max_age) != rows[i].max_age || d.is_targeted != rows[i].is_targeted ||
            d.no_store != rows[i].no_store)
            fail_msg("%s: %lld %d %d", rows[i].lines, (long long)seconds_or_none(d.max_age),
                     d.is_targeted, d.no_store);
    }
    arena_fini(&arena);
}

static void test_no_transform_counts_in_either_field(void **state)
{
    struct arena arena;
    struct directives d;
    (void)state;
    arena_init(&arena);
    struct fields fields =
        fields_of(&arena, "CDN-Cache-Control: max-age=2\nCache-Control: no-transform");
    directives_of(&fields, slices_of(&arena, "cdn-cache-control"), &arena, &d);
    assert_true(d.no_transform && d.is_targeted);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_lifetimes_are_digits_and_invalid_ones_are_zero),
        cmocka_unit_test(test_1_lifetimes_saturate),
        cmocka_unit_test(test_1_members_are_told_apart),
        cmocka_unit_test(test_1_restrictions_in_any_case_and_their_qualified_forms),
        cmocka_unit_test(test_1_a_malformed_field_is_read_the_careful_way),
        cmocka_unit_test(test_every_other_directive_is_known),
        cmocka_unit_test(test_5_1_stale_directives_without_a_number_are_60_s),
        cmocka_unit_test(test_10_a_targeted_field_with_an_error_counts_as_absent),
        cmocka_unit_test(test_10_targeted_members_are_typed),
        cmocka_unit_test(test_10_targeted_flags),
        cmocka_unit_test(test_10_the_first_readable_targeted_field_decides_alone),
        cmocka_unit_test(test_no_transform_counts_in_either_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
