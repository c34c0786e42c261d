/* policy/weighted.c: lists with weights (RFC 9110 §12.4.2). */
#include "policy/weighted.h"

#include "tests/unit/policy/request_support.h"

static void check(const char *list, const char *token, unsigned weight)
{
    slice rest = slice_of_string(list), one;
    unsigned found;
    assert_true(weighted_next(&rest, &one, &found));
    assert_slice(one, token);
    if (found != weight)
        fail_msg("%s: %u", list, found);
}

static void test_weights(void **state)
{
    (void)state;
    check("a", "a", 1000);
    check(" , a ;x=1 ; Q=0.5, b", "a", 500);
    check("a;q=1", "a", 1000);
    check("a;q=1.000", "a", 1000);
    check("a;q=0", "a", 0);
    check("a;q=0.", "a", 0);
    check("a;q=0.001", "a", 1);
    check("a;q=1.001", "a", 0);
    check("a;q=2", "a", 0);
    check("a;q=.5", "a", 0);
    check("a;q=0.5555", "a", 0);
    check("a;q=-1", "a", 0);
    check("a;q=", "a", 0);
    check("a;q=0,5", "a", 0);
    check(";q=0.3", "", 300);
}

static void test_accepting(void **state)
{
    (void)state;
    assert_true(weighted_accepts(SLICE("a, TEXT/html;level=1"), SLICE("text/html")));
    assert_false(weighted_accepts(SLICE("text/html;q=0"), SLICE("text/html")));
    assert_false(weighted_accepts(SLICE("text/html2, xtext/html"), SLICE("text/html")));
    assert_false(weighted_accepts(SLICE_NONE, SLICE("text/html")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_accepting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
