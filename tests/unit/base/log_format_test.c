/* One log line: its form, its escapes, its limit. */
#include "base/log_format.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const wall_time now = {1795312800007}; /* 2026-11-22T02:00:00.007Z */

static void assert_line(const struct log_field *fields, const char *expected)
{
    struct log_text text;
    log_format(&text, now, LOG_LEVEL_INFO, "worker started", fields);
    assert_true(text.used > 0);
    text.bytes[text.used - 1] = text.bytes[text.used - 1] == '\n' ? '\0' : '?';
    assert_string_equal(text.bytes, expected);
}

static void test_a_line_is_time_level_phrase_and_fields(void **unused)
{
    (void)unused;
    struct log_field fields[] = {{"pid", LOG_NUMBER(123)}, {"name", SLICE("x y")}, {0}};
    assert_line(fields, "2026-11-22T02:00:00.007Z info worker started pid=123 name=\"x y\"");
    assert_line(fields + 2, "2026-11-22T02:00:00.007Z info worker started");
    struct log_text text;
    log_format(&text, (wall_time){0}, LOG_LEVEL_ERROR, "p", fields + 2);
    assert_memory_equal(text.bytes, "1970-01-01T00:00:00.000Z error p\n", text.used);
}

static void test_numbers_may_be_negative_and_any_size(void **unused)
{
    (void)unused;
    struct log_field fields[] = {{"a", LOG_NUMBER(INT64_MIN)}, {"b", LOG_NUMBER(0)}, {0}};
    assert_line(fields, "2026-11-22T02:00:00.007Z info worker started a=-9223372036854775808 b=0");
}

static void test_9_7_control_bytes_are_escaped_so_that_a_line_stays_a_line(void **unused)
{
    (void)unused;
    struct log_field fields[] = {{"a", slice_of("x\n\0\x1b\x7f", 5)},
                                 {"b", SLICE("say \"hi\" \\")},
                                 {"c", SLICE("k=v")},
                                 {"d", SLICE("")},
                                 {"e", SLICE("\xc2\x9b")},
                                 {"f", SLICE_NONE},
                                 {0}};
    assert_line(fields, "2026-11-22T02:00:00.007Z info worker started a=\"x\\x0a\\x00\\x1b\\x7f\" "
                        "b=\"say \\\"hi\\\" \\\\\" c=\"k=v\" d=\"\" e=\"\\xc2\\x9b\" f=\"\"");
}

static void test_long_values_and_lines_are_cut_and_still_end_in_a_newline(void **unused)
{
    (void)unused;
    char long_text[2000];
    memset(long_text, '\n', sizeof(long_text));
    slice value = slice_of(long_text, sizeof(long_text));
    struct log_field fields[] = {{"a", value}, {"b", value}, {"c", value}, {0}};
    struct log_text text;
    log_format(&text, now, LOG_LEVEL_WARN, "phrase", fields);
    assert_int_equal(text.used, LOG_LINE_BYTES);
    assert_int_equal(text.bytes[text.used - 1], '\n');
    assert_ptr_equal(memchr(text.bytes, '\n', text.used), text.bytes + text.used - 1);
    memset(long_text, 'a', sizeof(long_text));
    log_format(&text, now, LOG_LEVEL_WARN, "phrase", (struct log_field[]){{"a", value}, {0}});
    assert_true(text.used < 1200);
    assert_memory_equal(text.bytes + text.used - 5, "a...\n", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_time_level_phrase_and_fields),
        cmocka_unit_test(test_numbers_may_be_negative_and_any_size),
        cmocka_unit_test(test_9_7_control_bytes_are_escaped_so_that_a_line_stays_a_line),
        cmocka_unit_test(test_long_values_and_lines_are_cut_and_still_end_in_a_newline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
