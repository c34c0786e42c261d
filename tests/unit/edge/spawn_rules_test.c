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

static const duration MINUTE = {60000};

static void test_v7_errors_count_for_as_long_as_the_window_is(void **state)
{
    struct error_window window;
    (void)state;
    error_window_start(&window, 100); /* those of the process before */
    assert_int_equal(error_window_note(&window, MINUTE, 100, at(10000)), 0);
    assert_int_equal(error_window_note(&window, MINUTE, 102, at(10500)), 2);
    assert_int_equal(error_window_note(&window, MINUTE, 105, at(40000)), 5);
    assert_int_equal(error_window_note(&window, MINUTE, 105, at(69999)), 5);
    assert_int_equal(error_window_note(&window, MINUTE, 105, at(71000)), 3);
    assert_int_equal(error_window_note(&window, MINUTE, 106, at(99999)), 4);
    assert_int_equal(error_window_note(&window, MINUTE, 106, at(100000)), 1);
    assert_int_equal(error_window_note(&window, MINUTE, 106, at(900000)), 0);
    assert_int_equal(error_window_note(&window, (duration){0}, 107, at(900000)), 1); /* changed */
}

/* Against a list of all errors: never one too few, and none older than the window. */
static void test_v7_the_window_counts_like_a_list_of_times(void **state)
{
    struct error_window window;
    static int64_t times[20000];
    size_t count = 0;
    int64_t now = 1000;
    uint32_t random = 7;
    (void)state;
    error_window_start(&window, 0);
    for (int step = 0; step < 5000; step++) {
        random = random * 1664525 + 1013904223;
        now += random >> 20;
        for (uint32_t n = random >> 8 & 3; n > 0; n--)
            times[count++] = now;
        uint64_t got = error_window_note(&window, MINUTE, count, at(now));
        uint64_t least = 0, most = 0;
        for (size_t i = 0; i < count; i++) {
            least += times[i] > now - MINUTE.ms + MINUTE.ms / ERROR_WINDOW_PARTS;
            most += times[i] > now - MINUTE.ms;
        }
        assert_in_range(got, least, most);
    }
}

static void test_v7_what_wears_a_process_out(void **state)
{
    static const struct recycle_limits none,
        all = {.renders = 100, .memory_bytes = 1000, .errors = 5, .errors_within = {60000}};
    static const struct {
        struct wear wear;
        int why; /* -1: it is not */
    } rows[] = {
        {{99, 999, 4, {99999}}, -1},
        {{100, 999, 4, {0}}, RESTART_RENDERS},
        {{100, 1000, 4, {0}}, RESTART_MEMORY},
        {{100, 1000, 5, {SPAWN_LIFE_MS}}, RESTART_ERRORS},
        {{0, 0, 5, {SPAWN_LIFE_MS}}, RESTART_ERRORS},
        {{0, 0, 50, {SPAWN_LIFE_MS - 1}}, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum restart_why why = RESTART_DIED;
        assert_int_equal(spawn_is_worn(&all, &rows[i].wear, &why), rows[i].why >= 0);
        assert_int_equal(why, rows[i].why >= 0 ? rows[i].why : RESTART_DIED);
        assert_false(spawn_is_worn(&none, &rows[i].wear, &why));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v3_one_that_dies_at_start_is_tried_at_most_once_a_second_then_later),
        cmocka_unit_test(test_v3_one_that_has_lived_or_answered_is_started_at_once),
        cmocka_unit_test(test_the_wait_is_bounded_whatever_the_count),
        cmocka_unit_test(test_v7_never_below_half_but_one_alone_may),
        cmocka_unit_test(test_v7_errors_count_for_as_long_as_the_window_is),
        cmocka_unit_test(test_v7_the_window_counts_like_a_list_of_times),
        cmocka_unit_test(test_v7_what_wears_a_process_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
