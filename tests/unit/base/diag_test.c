/* Errors of a user's file. */
#include "tests/unit/base/diag_fixture.h"

static void check_text(const struct diag *diag, const char *expected)
{
    slice text = diag_text(diag);
    assert_string_equal(text.ptr, expected);
    assert_int_equal(text.len, strlen(expected));
}

static void test_an_error_is_one_line_with_its_position(void **state)
{
    struct fixture *f = *state;
    diag_add(&f->diag, SLICE("varve.yaml"), 31, 5, "unknown key \"%s\"", "stael");
    diag_add(&f->diag, SLICE("varve.yaml"), 0, 0, "no origin");
    diag_add(&f->diag, SLICE_NONE, 0, 0, "plain");
    check_text(&f->diag, "varve.yaml:31:5: unknown key \"stael\"\nvarve.yaml: no origin\nplain\n");
}

static void test_control_bytes_are_shown_escaped(void **state)
{
    struct fixture *f = *state;
    diag_add(&f->diag, SLICE("f"), 1, 1, "a\x1b[2Jb\nc\x7f");
    check_text(&f->diag, "f:1:1: a\\x1b[2Jb\\x0ac\\x7f\n");
}

static void test_a_text_longer_than_the_limit_is_cut(void **state)
{
    struct fixture *f = *state;
    diag_add(&f->diag, SLICE("f"), 1, 1, "%0999d", 0);
    assert_in_range(f->diag.errors[0].text.len, 500, 700);
}

static void test_a_text_is_cut_between_letters(void **state)
{
    struct fixture *f = *state;
    diag_add(&f->diag, SLICE("f"), 1, 1, "%0599d\xc3\xbc", 0);
    diag_add(&f->diag, SLICE("f"), 1, 1, "%0598d\xc3\xbc", 0);
    assert_int_equal(f->diag.errors[0].text.len, 599);
    assert_int_equal(f->diag.errors[1].text.len, 600);
    assert_true(slice_ends_with(f->diag.errors[1].text, SLICE("\xc3\xbc")));
}

static void test_what_is_no_utf8_is_shown_escaped(void **state)
{
    struct fixture *f = *state;
    diag_add(&f->diag, SLICE("f"), 1, 1, "\xc3\xbc %.1s \xff \xc2\x9b", "\xc3\xbc");
    check_text(&f->diag, "f:1:1: \xc3\xbc \\xc3 \\xff \\xc2\\x9b\n");
}

static void test_errors_beyond_the_limit_are_counted(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < DIAG_MAX + 2; i++)
        diag_add(&f->diag, SLICE("f"), i + 1, 1, "x");
    assert_int_equal(f->diag.count, DIAG_MAX);
    assert_int_equal(f->diag.dropped, 2);
    assert_true(slice_ends_with(diag_text(&f->diag), SLICE("\n2 more errors not shown\n")));
}

static void test_errors_are_sorted_within_their_file(void **state)
{
    struct fixture *f = *state;
    diag_add(&f->diag, SLICE("b"), 9, 1, "4");
    diag_add(&f->diag, SLICE("a"), 7, 1, "6");
    diag_add(&f->diag, SLICE("b"), 2, 8, "2");
    diag_add(&f->diag, SLICE("b"), 2, 3, "1");
    diag_add(&f->diag, SLICE("b"), 2, 8, "3");
    diag_add(&f->diag, SLICE("a"), 1, 1, "5");
    diag_sort(&f->diag);
    check_text(&f->diag, "b:2:3: 1\nb:2:8: 2\nb:2:8: 3\nb:9:1: 4\na:1:1: 5\na:7:1: 6\n");
}

static void test_nearest_forgives_one_slip_in_three_letters(void **state)
{
    static const slice keys[] = {{"stale", 5}, {"ttl", 3}, {"when_logged_in", 14}};
    static const struct {
        const char *word, *nearest;
    } rows[] = {
        {"stael", "stale"}, {"stal", "stale"},
        {"sta", ""},        {"staless", "stale"},
        {"tll", "ttl"},     {"tl", ""},
        {"xyz", ""},        {"", ""},
        {"stale", "stale"}, {"whenlogedin", "when_logged_in"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        slice found = diag_nearest(slice_of_string(rows[i].word), keys, 3);
        if (!slice_equal(found, slice_of_string(rows[i].nearest)))
            fail_msg("%s: got \"%.*s\"", rows[i].word, (int)found.len, found.ptr);
    }
}

static void test_nearest_of_two_is_the_closer_one(void **state)
{
    static const slice keys[] = {{"headers", 7}, {"header", 6}};
    (void)state;
    assert_true(slice_equal(diag_nearest(SLICE("heder"), keys, 2), SLICE("header")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_error_is_one_line_with_its_position, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_control_bytes_are_shown_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_text_is_cut_between_letters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_utf8_is_shown_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_text_longer_than_the_limit_is_cut, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_errors_beyond_the_limit_are_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_errors_are_sorted_within_their_file, set_up,
                                        tear_down),
        cmocka_unit_test(test_nearest_forgives_one_slip_in_three_letters),
        cmocka_unit_test(test_nearest_of_two_is_the_closer_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
