/* Globs: by example, and against the obvious recursive definition. */
#include "base/glob.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static bool matches(const char *pattern, const char *text)
{
    return glob_matches(slice_of_string(pattern), slice_of_string(text));
}

static void test_a_star_is_any_run_of_bytes_also_none(void **unused)
{
    (void)unused;
    assert_true(matches("utm_*", "utm_source"));
    assert_true(matches("utm_*", "utm_"));
    assert_false(matches("utm_*", "utm"));
    assert_false(matches("utm_*", "xutm_a"));
    assert_true(matches("*.example.com", "a.b.example.com"));
    assert_true(matches("*.example.com", ".example.com"));
    assert_false(matches("*.example.com", "example.com"));
    assert_true(matches("*", ""));
    assert_true(matches("", ""));
    assert_false(matches("", "a"));
    assert_false(matches("a", ""));
    assert_true(matches("a*b*c", "a-b-b-c"));
    assert_false(matches("a*b*c", "a-b-b"));
    assert_true(matches("**a**", "xax"));
}

static void test_prefix_and_suffix_do_not_overlap(void **unused)
{
    (void)unused;
    assert_false(matches("ab*ba", "aba"));
    assert_true(matches("ab*ba", "abba"));
    assert_false(matches("a*a*a", "aa"));
}

static void test_case_counts_unless_it_is_ignored(void **unused)
{
    (void)unused;
    assert_false(matches("_GA*", "_ga1"));
    assert_true(glob_matches_nocase(SLICE("_GA*"), SLICE("_ga1")));
    assert_true(glob_matches_nocase(SLICE("*Mid*END"), SLICE("xmIDyeNd")));
    assert_false(glob_matches_nocase(SLICE("*Mid*END"), SLICE("xmIyeNd")));
}

/* The definition, exponential and right. */
static bool naive(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '*')
        return naive(pattern + 1, text) || (*text && naive(pattern, text + 1));
    return *pattern == *text && naive(pattern + 1, text + 1);
}

static void random_text(char *text, size_t most, const char *alphabet, uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    size_t length = (*seed >> 8) % (most + 1);
    for (size_t i = 0; i < length; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        text[i] = alphabet[(*seed >> 8) % strlen(alphabet)];
    }
    text[length] = '\0';
}

static void test_random_patterns_agree_with_the_definition(void **unused)
{
    (void)unused;
    uint32_t seed = 11;
    int matched = 0;
    for (int i = 0; i < 30000; i++) {
        char pattern[9], text[12];
        random_text(pattern, 7, "ab*", &seed);
        random_text(text, 9, "ab", &seed);
        bool expected = naive(pattern, text);
        matched += expected;
        if (matches(pattern, text) != expected)
            fail_msg("%s on %s", pattern, text);
        assert_int_equal(glob_matches_nocase(slice_of_string(pattern), slice_of_string(text)),
                         expected);
    }
    assert_true(matched > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_star_is_any_run_of_bytes_also_none),
        cmocka_unit_test(test_prefix_and_suffix_do_not_overlap),
        cmocka_unit_test(test_case_counts_unless_it_is_ignored),
        cmocka_unit_test(test_random_patterns_agree_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
