/* Tokens: every byte, against the words of RFC 9110 §5.6.2. */
#include "base/token.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_every_byte_is_one_of_a_token_or_not(void **unused)
{
    (void)unused;
    for (int c = 0; c < 256; c++) {
        const char text[] = {'a', (char)c, 'b'};
        bool is_digit_or_letter =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_tchar = is_digit_or_letter || (c && c < 128 && strchr("!#$%&'*+-.^_`|~", c));
        assert_int_equal(is_token_byte((char)c), is_tchar);
        assert_int_equal(is_token(slice_of(text, sizeof(text))), is_tchar);
        assert_int_equal(token_length(slice_of(text, sizeof(text))), is_tchar ? 3 : 1);
    }
}

static void test_nothing_is_no_token(void **unused)
{
    (void)unused;
    assert_false(is_token(SLICE_NONE));
    assert_false(is_token(SLICE("")));
    assert_int_equal(token_length(SLICE("")), 0);
    assert_int_equal(token_length(SLICE(": a")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_is_one_of_a_token_or_not),
        cmocka_unit_test(test_nothing_is_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
