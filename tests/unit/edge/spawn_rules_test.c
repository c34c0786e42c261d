/* When renderers are started anew, with a clock that is ours (V3, V7). */
#include "edge/proc/spawn_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static mono_time at(int64_t ms)
{
    return (mono_time){ms};
}

static void test_v3_one_that_dies_at_start_is_tried_at_most_once_a_second_then_later(void **state)
{
    static const int64_t waits[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    mono_time now = at(50000);
    unsigned failures = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        mono_time started = now;
        now = mono_after(now, (duration){200}); /* it dies */
        failures = spawn_failures(failures, false, (duration){0});
        assert_int_equal(failures, i + 1);
        now = spawn_next_start(failures, started, now);
        assert_int_equal(mono_since(now, started).ms, waits[i]);
    }
    assert_true(failures >= SPAWN_LOOP);
}

static void test_v3_one_that_has_lived_or_answered_is_started_at_once(void **state)
{
    (void)state;
    assert_int_equal(spawn_failures(5, false, (duration){SPAWN_LIFE_MS}), 0);
    assert_int_equal(spawn_failures(5, false, (duration){SPAWN_LIFE_MS - 1}), 6);
    assert_int_equal(spawn_failures(5, true, (duration){1}), 0);
    assert_int_equal(spawn_next_start(0, at(1000), at(61000)).ms, 61000);
    /* one that answers and dies, answers and dies: once a second */
    assert_int_equal(spawn_next_start(0, at(1000), at(1300)).ms, 2000);
}

static void test_the_wait_is_bounded_whatever_the_count(void **state)
{
    (void)state;
    assert_int_equal(spawn_failures(UINT32_MAX, false, (duration){0}), UINT32_MAX);
    assert_int_equal(spawn_next_start(UINT32_MAX, at(0), at(0)).ms, SPAWN_BACK_OFF_MAX_MS);
    assert_int_equal(spawn_next_start(1, at(INT64_MAX), at(5)).ms, INT64_MAX);
}

static void test_v7_never_below_half_but_one_alone_may(void **state)
{
    (void)state;
    assert_true(spawn_may_recycle(1, 1));
    assert_true(spawn_may_recycle(2, 2));
    assert_false(spawn_may_recycle(2, 1));
    assert_true(spawn_may_recycle(3, 3));
    assert_false(spawn_may_recycle(3, 2));
    assert_true(spawn_may_recycle(4, 3));
    assert_false(spawn_may_recycle(4, 2));
    assert_false(spawn_may_recycle(4, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v3_one_that_dies_at_start_is_tried_at_most_once_a_second_then_later),
        cmocka_unit_test(test_v3_one_that_has_lived_or_answered_is_started_at_once),
        cmocka_unit_test(test_the_wait_is_bounded_whatever_the_count),
        cmocka_unit_test(test_v7_never_below_half_but_one_alone_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
