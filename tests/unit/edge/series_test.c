/* Labels of Prometheus: escaped, cut to fit, whole letters. The whole text:
 * tests/e2e/admin.test.mjs. */
#include "edge/admin/series.h"

#include "base/counters.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char buffer[SERIES_LABEL_BYTES + 8];

static slice label(const char *value, size_t size)
{
    memset(buffer, '#', sizeof(buffer));
    slice text = series_label(buffer, size, "route", slice_of_string(value));
    assert_ptr_equal(text.ptr, buffer);
    assert_true(text.len < size);
    assert_int_equal(buffer[text.len], '\0');
    assert_int_equal(buffer[size], '#');
    return text;
}

static void assert_label(const char *value, const char *expected)
{
    slice text = label(value, SERIES_LABEL_BYTES);
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.ptr, expected, text.len);
}

static void test_quotes_backslashes_and_control_bytes_do_not_end_a_label(void **context)
{
    (void)context;
    assert_label("/**", "route=\"/**\"");
    assert_label("", "route=\"\"");
    assert_label("a\"b\\c", "route=\"a\\\"b\\\\c\"");
    assert_label("a\nb\x7f\r", "route=\"a?b??\"");
    assert_label("/é/→/😀", "route=\"/é/→/😀\"");
}

/* Whatever the buffer's size, what is there is a whole label of whole letters. */
static void test_a_label_is_cut_between_letters_and_before_escapes(void **context)
{
    (void)context;
    static const char *const values[] = {"éééééééé",       "→→→→→→",
                                         "😀😀😀😀😀",          "\"\"\"\"\"\"\"\"",
                                         "\\\\\\\\\\\\\\", "aaaaaaaaaaaaaaaaaaaa"};
    static const size_t widths[] = {2, 3, 4, 2, 2, 1};
    for (size_t i = 0; i < 6; i++)
        for (size_t size = 9; size < 24; size++) {
            slice text = label(values[i], size);
            assert_int_equal(text.ptr[text.len - 1], '"');
            size_t inside = text.len - strlen("route=\"") - 1;
            assert_int_equal(inside % widths[i], 0);
            assert_true(inside + widths[i] + strlen("route=\"\"") + 1 > size ||
                        inside >= strlen(values[i]));
        }
}

static void test_three_labels_of_any_value_fit_a_series(void **context)
{
    (void)context;
    char value[300];
    memset(value, '"', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    size_t longest = label(value, SERIES_LABEL_BYTES).len;
    assert_true(strlen("varve_requests_total{,,outcome=\"revalidated\"}") + 2 * longest <=
                COUNTER_NAME_BYTES);
    assert_true(strlen("varve_upstream_errors_total{,kind=\"between_bytes_timeout\"}") + longest <=
                COUNTER_NAME_BYTES);
    assert_true(strlen("varve_request_duration_seconds_bucket{,le=\"0.0005\"}") + longest <=
                COUNTER_NAME_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quotes_backslashes_and_control_bytes_do_not_end_a_label),
        cmocka_unit_test(test_a_label_is_cut_between_letters_and_before_escapes),
        cmocka_unit_test(test_three_labels_of_any_value_fit_a_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
