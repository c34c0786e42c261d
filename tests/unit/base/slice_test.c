/* Slices: every function at its edges: empty, NULL, exact length, one past. */
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_slice(slice s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_true(slice_equal(s, slice_of_string(expected)));
}

static void test_equality_is_of_bytes_and_length_and_holds_nul_bytes(void **unused)
{
    (void)unused;
    assert_true(slice_equal(SLICE_NONE, SLICE("")));
    assert_true(slice_equal(slice_of("a\0b", 3), slice_of("a\0b", 3)));
    assert_false(slice_equal(slice_of("a\0b", 3), slice_of("a\0c", 3)));
    assert_false(slice_equal(SLICE("a"), SLICE("ab")));
    assert_false(slice_equal(SLICE("a"), SLICE("A")));
    assert_true(slice_equal(slice_of_string(NULL), SLICE_NONE));
}

static void test_case_is_ignored_for_ascii_letters_only(void **unused)
{
    (void)unused;
    assert_true(slice_equal_nocase(SLICE("Content-Type"), SLICE("cONTENT-tYPE")));
    assert_false(slice_equal_nocase(SLICE("@"), SLICE("`")));
    assert_false(slice_equal_nocase(SLICE("["), SLICE("{")));
    assert_false(slice_equal_nocase(SLICE("\xc4"), SLICE("\xe4")));
    assert_false(slice_equal_nocase(SLICE("a"), SLICE("ab")));
}

static void test_starts_and_ends_compare_no_more_than_there_is(void **unused)
{
    (void)unused;
    assert_true(slice_starts_with(SLICE("abc"), SLICE("ab")));
    assert_true(slice_starts_with(SLICE("abc"), SLICE_NONE));
    assert_true(slice_starts_with(SLICE_NONE, SLICE_NONE));
    assert_false(slice_starts_with(SLICE("ab"), SLICE("abc")));
    assert_true(slice_starts_with_nocase(SLICE("ABc"), SLICE("aB")));
    assert_false(slice_starts_with_nocase(SLICE("AB"), SLICE("abc")));
    assert_true(slice_ends_with(SLICE("abc"), SLICE("bc")));
    assert_true(slice_ends_with(SLICE("abc"), SLICE("abc")));
    assert_true(slice_ends_with(SLICE("abc"), SLICE_NONE));
    assert_false(slice_ends_with(SLICE("abc"), SLICE("ab")));
    assert_false(slice_ends_with(SLICE("bc"), SLICE("abc")));
}

static void test_order_is_bytewise_and_shorter_first(void **unused)
{
    (void)unused;
    assert_true(slice_compare(SLICE("a"), SLICE("b")) < 0);
    assert_true(slice_compare(SLICE("b"), SLICE("aa")) > 0);
    assert_true(slice_compare(SLICE("a"), SLICE("aa")) < 0);
    assert_true(slice_compare(SLICE("aa"), SLICE("a")) > 0);
    assert_true(slice_compare(SLICE_NONE, SLICE("a")) < 0);
    assert_int_equal(slice_compare(SLICE_NONE, SLICE("")), 0);
    assert_true(slice_compare(SLICE("\x7f"), SLICE("\x80")) < 0);
}

static void test_trim_takes_spaces_and_tabs_only(void **unused)
{
    (void)unused;
    assert_slice(slice_trim(SLICE(" \t a b\t ")), "a b");
    assert_slice(slice_trim(SLICE(" \t ")), "");
    assert_slice(slice_trim(SLICE_NONE), "");
    assert_slice(slice_trim(SLICE("\na\r")), "\na\r");
}

static void test_from_and_until_saturate(void **unused)
{
    (void)unused;
    assert_slice(slice_from(SLICE("abc"), 1), "bc");
    assert_slice(slice_from(SLICE("abc"), 3), "");
    assert_slice(slice_from(SLICE("abc"), SIZE_MAX), "");
    assert_non_null(slice_from(SLICE("abc"), 9).ptr);
    assert_null(slice_from(SLICE_NONE, 1).ptr);
    assert_slice(slice_until(SLICE("abc"), 2), "ab");
    assert_slice(slice_until(SLICE("abc"), 9), "abc");
}

static void test_find_and_search_give_the_length_when_there_is_nothing(void **unused)
{
    (void)unused;
    assert_int_equal(slice_find(SLICE("a,b,c"), ',', 0), 1);
    assert_int_equal(slice_find(SLICE("a,b,c"), ',', 2), 3);
    assert_int_equal(slice_find(SLICE("a,b,c"), ';', 0), 5);
    assert_int_equal(slice_find(SLICE("a"), 'a', 7), 1);
    assert_int_equal(slice_find(SLICE_NONE, 'a', 0), 0);
    assert_int_equal(slice_search(SLICE("abcabd"), SLICE("abd")), 3);
    assert_int_equal(slice_search(SLICE("abc"), SLICE("abcd")), 3);
    assert_int_equal(slice_search(SLICE("abc"), SLICE_NONE), 0);
    assert_int_equal(slice_search(SLICE_NONE, SLICE("a")), 0);
}

static void test_next_visits_every_part_also_empty_ones(void **unused)
{
    (void)unused;
    slice rest = SLICE("a,,b,"), part;
    const char *const expected[] = {"a", "", "b", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_true(slice_next(&rest, ',', &part));
        assert_slice(part, expected[i]);
    }
    assert_false(slice_next(&rest, ',', &part));
    rest = SLICE("");
    assert_true(slice_next(&rest, ',', &part));
    assert_slice(part, "");
    assert_false(slice_next(&rest, ',', &part));
    rest = SLICE_NONE;
    assert_false(slice_next(&rest, ',', &part));
}

static void test_members_are_trimmed_empty_ones_skipped_and_quoted_commas_kept(void **unused)
{
    (void)unused;
    slice rest = SLICE(", a ,\t, b=\"x,y\" , c=\"q\\\",z\",,"), member;
    const char *const expected[] = {"a", "b=\"x,y\"", "c=\"q\\\",z\""};
    for (size_t i = 0; i < 3; i++) {
        assert_true(slice_next_member(&rest, &member));
        assert_slice(member, expected[i]);
    }
    assert_false(slice_next_member(&rest, &member));
}

static void test_an_open_quote_runs_to_the_end_of_the_value(void **unused)
{
    (void)unused;
    slice rest = SLICE("a=\"b,c"), member;
    assert_true(slice_next_member(&rest, &member));
    assert_slice(member, "a=\"b,c");
    assert_false(slice_next_member(&rest, &member));
    rest = SLICE("\"a\\");
    assert_true(slice_next_member(&rest, &member));
    assert_slice(member, "\"a\\");
    assert_false(slice_next_member(&rest, &member));
}

static void test_numbers_are_digits_only_and_saturate(void **unused)
{
    (void)unused;
    uint64_t value = 7;
    static const char *const bad[] = {"", "+1", "-1", " 1", "1 ", "1a", "0x1", "1.0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(slice_to_u64(slice_of_string(bad[i]), &value));
    assert_int_equal(value, 7);
    assert_true(slice_to_u64(SLICE("0"), &value));
    assert_int_equal(value, 0);
    assert_true(slice_to_u64(SLICE("000123"), &value));
    assert_int_equal(value, 123);
    assert_true(slice_to_u64(SLICE("18446744073709551614"), &value));
    assert_true(value == UINT64_MAX - 1);
    assert_true(slice_to_u64(SLICE("18446744073709551616"), &value));
    assert_true(value == UINT64_MAX);
    assert_true(slice_to_u64(SLICE("99999999999999999999999999999999"), &value));
    assert_true(value == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equality_is_of_bytes_and_length_and_holds_nul_bytes),
        cmocka_unit_test(test_case_is_ignored_for_ascii_letters_only),
        cmocka_unit_test(test_starts_and_ends_compare_no_more_than_there_is),
        cmocka_unit_test(test_order_is_bytewise_and_shorter_first),
        cmocka_unit_test(test_trim_takes_spaces_and_tabs_only),
        cmocka_unit_test(test_from_and_until_saturate),
        cmocka_unit_test(test_find_and_search_give_the_length_when_there_is_nothing),
        cmocka_unit_test(test_next_visits_every_part_also_empty_ones),
        cmocka_unit_test(test_members_are_trimmed_empty_ones_skipped_and_quoted_commas_kept),
        cmocka_unit_test(test_an_open_quote_runs_to_the_end_of_the_value),
        cmocka_unit_test(test_numbers_are_digits_only_and_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
