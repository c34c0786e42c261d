/* base/utf8.c: letters whole, and what a terminal would obey. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static slice text(const char *s)
{
    return slice_of_string(s);
}

static void test_a_letter_has_one_to_four_bytes(void **state)
{
    (void)state;
    assert_int_equal(utf8_length(text("a")), 1);
    assert_int_equal(utf8_length(text("\xc3\xbc+")), 2);
    assert_int_equal(utf8_length(text("\xe2\x80\xa6")), 3);
    assert_int_equal(utf8_length(text("\xf0\x9f\x98\x80")), 4);
}

static void test_what_is_no_letter_has_none(void **state)
{
    static const char *const BAD[] = {
        "",         "\x80",         "\xc3",         "\xc3+",        "\xc0\x80", "\xe0\x80\x80",
        "\xe2\x80", "\xed\xa0\x80", "\xf0\x9f\x98", "\xf5\x80\x80", "\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++)
        assert_int_equal(utf8_length(text(BAD[i])), 0);
}

static void test_a_cut_leaves_letters_whole(void **state)
{
    slice s = text("a\xc3\xbc\xe2\x80\xa6\xf0\x9f\x98\x80"); /* letters end at 1, 3, 6, 10 */
    static const size_t ENDS[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    (void)state;
    for (size_t i = 0; i < sizeof(ENDS) / sizeof(*ENDS); i++)
        assert_int_equal(utf8_until(s, i).len, ENDS[i]);
}

static void test_a_cut_through_what_is_no_utf8_is_where_it_shall_be(void **state)
{
    (void)state;
    assert_int_equal(utf8_until(text("\x80\x80\x80\x80\x80\x80\x80\x80"), 6).len, 6);
    assert_int_equal(utf8_until(text("abc\xc3"), 4).len, 4);
    assert_int_equal(utf8_until(text("\xff\xff\xff"), 2).len, 2);
}

static void test_controls_are_those_of_one_byte_and_those_of_two(void **state)
{
    static const char *const CONTROLS[] = {"\x01",     "\x1b",     "\x7f",
                                           "\xc2\x80", "\xc2\x9b", "\xc2\x9f"};
    static const char *const LETTERS[] = {"", " ", "~", "\xc2", "\xc2\xa0", "\xc3\x9b", "\x9b"};
    (void)state;
    for (size_t i = 0; i < sizeof(CONTROLS) / sizeof(*CONTROLS); i++)
        assert_true(utf8_is_control(text(CONTROLS[i])));
    for (size_t i = 0; i < sizeof(LETTERS) / sizeof(*LETTERS); i++)
        assert_false(utf8_is_control(text(LETTERS[i])));
}

static void test_a_text_is_shown_with_escapes_for_what_a_terminal_obeys(void **state)
{
    char shown[64] = "";
    size_t used = 0;
    slice rest = text("a\xc3\xbc\x1b\xc2\x9b\xff\xc3");
    (void)state;
    for (size_t written; (written = utf8_show(shown + used, &rest)) > 0;) {
        assert_in_range(written, 1, UTF8_SHOWN_MAX);
        used += written;
    }
    assert_string_equal(shown, "a\xc3\xbc\\x1b\\xc2\\x9b\\xff\\xc3");
    assert_int_equal(rest.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_letter_has_one_to_four_bytes),
        cmocka_unit_test(test_what_is_no_letter_has_none),
        cmocka_unit_test(test_a_cut_leaves_letters_whole),
        cmocka_unit_test(test_a_cut_through_what_is_no_utf8_is_where_it_shall_be),
        cmocka_unit_test(test_controls_are_those_of_one_byte_and_those_of_two),
        cmocka_unit_test(test_a_text_is_shown_with_escapes_for_what_a_terminal_obeys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
