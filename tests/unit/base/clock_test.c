/* Times: saturating arithmetic, and clocks that are the system's. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void test_sums_and_differences_saturate(void **unused)
{
    (void)unused;
    assert_true(saturating_add(INT64_MAX, 1) == INT64_MAX);
    assert_true(saturating_add(INT64_MIN, -1) == INT64_MIN);
    assert_true(saturating_add(INT64_MAX, INT64_MIN) == -1);
    assert_true(saturating_sub(INT64_MIN, 1) == INT64_MIN);
    assert_true(saturating_sub(INT64_MAX, -1) == INT64_MAX);
    assert_true(saturating_sub(5, 7) == -2);
    assert_true(wall_since((wall_time){INT64_MAX}, (wall_time){INT64_MIN}).ms == INT64_MAX);
    assert_true(mono_since((mono_time){-5}, (mono_time){INT64_MAX}).ms == INT64_MIN);
    assert_true(wall_after((wall_time){5}, DURATION_MAX).ms == INT64_MAX);
    assert_true(mono_after((mono_time){5}, (duration){-7}).ms == -2);
}

static void test_max_age_of_any_size_is_a_duration_and_never_not_given(void **unused)
{
    (void)unused;
    assert_true(duration_of_seconds(60).ms == 60000);
    assert_true(duration_of_seconds(99999999999999999).ms == INT64_MAX);
    assert_true(duration_is_given(duration_of_seconds(INT64_MIN)));
    assert_true(duration_of_seconds(INT64_MIN).ms < 0);
    assert_false(duration_is_given(DURATION_NONE));
    assert_true(duration_is_given(DURATION_MAX));
    assert_true(duration_min(DURATION_MAX, duration_of_seconds(1)).ms == 1000);
    assert_true(duration_add(DURATION_MAX, duration_of_seconds(1)).ms == INT64_MAX);
}

static void test_now_is_the_system_s_wall_and_boot_time(void **unused)
{
    (void)unused;
    struct timespec wall, boot;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    struct instant now = clock_now();
    assert_true(now.wall.ms / 1000 - wall.tv_sec >= 0 && now.wall.ms / 1000 - wall.tv_sec < 60);
    assert_true(now.mono.ms >= boot.tv_sec * 1000 + boot.tv_nsec / 1000000);
    assert_true(now.mono.ms / 1000 - boot.tv_sec < 60);
}

static void test_5_3_the_boot_id_is_constant_and_known(void **unused)
{
    (void)unused;
    assert_true(clock_boot_id() != 0);
    assert_true(clock_boot_id() == clock_boot_id());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_and_differences_saturate),
        cmocka_unit_test(test_max_age_of_any_size_is_a_duration_and_never_not_given),
        cmocka_unit_test(test_now_is_the_system_s_wall_and_boot_time),
        cmocka_unit_test(test_5_3_the_boot_id_is_constant_and_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
