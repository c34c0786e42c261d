/* Who moves bytes too slowly, over a fake clock. */
#include "edge/http/stall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SECOND = 1000, NEVER = -1 };

static const struct stall_limit limit = {{20 * SECOND}, 500};

/* Looks once a second; in which second it is over if moved(second) bytes have been moved by then.
 */
static int over_at(uint64_t (*moved)(int second))
{
    struct stall stall = {0};
    for (int second = 1; second <= 200; second++)
        if (stall_is_over(&stall, (mono_time){second * SECOND}, true, moved(second), &limit))
            return second;
    return NEVER;
}

static uint64_t nothing(int second)
{
    (void)second;
    return 0;
}

static uint64_t slowly(int second)
{
    return 499 * (uint64_t)second;
}

static uint64_t just_enough(int second)
{
    return 500 * (uint64_t)second;
}

static uint64_t everything_at_once(int second)
{
    return second < 10 ? 0 : 16 << 20;
}

static uint64_t in_bursts(int second)
{
    return (uint64_t)(second / 19) * 10000;
}

static uint64_t quickly_at_first(int second)
{
    return (uint64_t)(second < 100 ? second : 100) * 5000;
}

static void test_who_moves_less_than_enough_for_a_window_is_over_at_its_end(void **state)
{
    (void)state;
    assert_int_equal(over_at(nothing), 21);
    assert_int_equal(over_at(slowly), 21);
    assert_int_equal(over_at(just_enough), NEVER);
    assert_int_equal(over_at(in_bursts), NEVER);
}

static void test_a_burst_buys_one_window_however_much_it_was(void **state)
{
    (void)state;
    assert_int_equal(over_at(everything_at_once), 30);
    assert_in_range(over_at(quickly_at_first), 118, 121);
}

static void test_only_the_time_in_which_somebody_waits_counts(void **state)
{
    (void)state;
    struct stall stall = {0};
    for (int second = 1; second <= 200; second++)
        assert_false(stall_is_over(&stall, (mono_time){second * SECOND}, second % 20, 0, &limit));
    stall = (struct stall){.since = {1}};
    assert_true(stall_is_over(&stall, (mono_time){1 + 20 * SECOND}, true, 0, &limit));
    assert_false(stall_is_over(&stall, (mono_time){1 + 39 * SECOND}, true, 0, &limit));
    assert_true(stall_is_over(&stall, (mono_time){1 + 40 * SECOND}, true, 0, &limit));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_moves_less_than_enough_for_a_window_is_over_at_its_end),
        cmocka_unit_test(test_a_burst_buys_one_window_however_much_it_was),
        cmocka_unit_test(test_only_the_time_in_which_somebody_waits_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
