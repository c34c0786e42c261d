/* Regular expressions: what they match, how bad ones are told, and that no subject takes for ever.
 */
#include "base/regex.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static bool matches(const char *pattern, bool ignore_case, slice subject)
{
    char error[256];
    size_t offset;
    struct regex *regex = regex_compile(slice_of_string(pattern), ignore_case, error, &offset);
    if (!regex)
        fail_msg("%s: %s", pattern, error);
    bool is_match = regex_matches(regex, subject);
    regex_free(regex);
    return is_match;
}

static void test_a_pattern_matches_anywhere_unless_it_is_anchored(void **unused)
{
    (void)unused;
    assert_true(matches("Mobile|Android", false, SLICE("x Android y")));
    assert_false(matches("Mobile|Android", false, SLICE("x android y")));
    assert_true(matches("Mobile|Android", true, SLICE("x android y")));
    assert_false(matches("^/a$", false, SLICE("/ab")));
    assert_true(matches("", false, SLICE_NONE));
    assert_true(matches("^$", false, SLICE_NONE));
    assert_false(matches(".", false, SLICE_NONE));
}

static void test_subjects_are_bytes_also_nul_and_broken_utf_8(void **unused)
{
    (void)unused;
    assert_true(matches("b$", false, slice_of("a\0b", 3)));
    assert_true(matches("^a.b$", false,
                        slice_of("a\xff"
                                 "b",
                                 3)));
    assert_true(matches("\\xff", false, slice_of("\xff", 1)));
}

static void test_a_bad_pattern_is_told_with_its_place(void **unused)
{
    (void)unused;
    char error[256] = "";
    size_t offset = 99;
    assert_null(regex_compile(SLICE("ab(c"), false, error, &offset));
    assert_int_equal(offset, 4);
    assert_true(error[0] != '\0');
    assert_null(regex_compile(SLICE("a**"), false, error, &offset));
    assert_true(offset <= 3);
    assert_null(regex_compile(SLICE("(*UTF)a"), false, error, &offset));
}

static void test_patterns_of_absurd_length_or_depth_are_refused(void **unused)
{
    (void)unused;
    char error[256], pattern[5000];
    size_t offset;
    memset(pattern, 'a', sizeof(pattern));
    assert_null(regex_compile(slice_of(pattern, sizeof(pattern)), false, error, &offset));
    assert_true(offset <= sizeof(pattern));
    memset(pattern, '(', 1000);
    memset(pattern + 1000, ')', 1000);
    assert_null(regex_compile(slice_of(pattern, 2000), false, error, &offset));
}

static void test_a_match_that_would_take_for_ever_is_no_match(void **unused)
{
    (void)unused;
    char subject[64];
    memset(subject, 'a', sizeof(subject));
    subject[63] = 'b';
    assert_false(matches("^(a+)+$", false, slice_of(subject, sizeof(subject))));
    assert_true(matches("^(a+)+b$", false, slice_of(subject, sizeof(subject))));
}

static void test_free_takes_null(void **unused)
{
    (void)unused;
    regex_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pattern_matches_anywhere_unless_it_is_anchored),
        cmocka_unit_test(test_subjects_are_bytes_also_nul_and_broken_utf_8),
        cmocka_unit_test(test_a_bad_pattern_is_told_with_its_place),
        cmocka_unit_test(test_patterns_of_absurd_length_or_depth_are_refused),
        cmocka_unit_test(test_a_match_that_would_take_for_ever_is_no_match),
        cmocka_unit_test(test_free_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
