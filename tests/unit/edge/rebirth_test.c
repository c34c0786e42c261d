/* Another process at the same address: the last exit from quarantine (semantics 7.5). */
#include "edge/origin/rebirth.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static mono_time at(int64_t ms)
{
    return (mono_time){ms};
}

static void test_7_5_a_bare_connect_proves_nothing(void **state)
{
    struct rebirth rebirth = {0};
    (void)state;
    for (int64_t ms = 100; ms < 200; ms++)
        rebirth_note_success(&rebirth, at(ms));
    assert_false(rebirth_is_gone(&rebirth, at(1)));
}

static void test_7_5_refused_and_later_accepted_another_process_is_there(void **state)
{
    struct rebirth rebirth = {0};
    (void)state;
    assert_true(rebirth_note_failure(&rebirth, ECONNREFUSED, at(100)));
    assert_false(rebirth_is_gone(&rebirth, at(1)));
    rebirth_note_success(&rebirth, at(99)); /* begun before: it was the old one's */
    rebirth_note_success(&rebirth, at(100));
    assert_false(rebirth_is_gone(&rebirth, at(1)));
    rebirth_note_success(&rebirth, at(101));
    assert_true(rebirth_is_gone(&rebirth, at(1)));
    assert_true(rebirth_is_gone(&rebirth, at(99)));
    assert_false(rebirth_is_gone(&rebirth, at(100))); /* sent to the new one, perhaps */
    assert_false(rebirth_is_gone(&rebirth, at(101)));
}

static void test_7_5_a_time_out_or_a_network_that_is_away_is_no_refusal(void **state)
{
    static const int problems[] = {0, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EAGAIN, ECONNRESET};
    struct rebirth rebirth = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++)
        assert_false(rebirth_note_failure(&rebirth, problems[i], at(100)));
    rebirth_note_success(&rebirth, at(200));
    assert_false(rebirth_is_gone(&rebirth, at(1)));
    assert_true(rebirth_note_failure(&rebirth, ENOENT, at(300))); /* the file of a unix socket */
    rebirth_note_success(&rebirth, at(400));
    assert_true(rebirth_is_gone(&rebirth, at(1)));
}

static void test_knocks_are_few_and_become_fewer(void **state)
{
    struct rebirth rebirth = {0};
    int first_minute = 0, tenth_minute = 0;
    (void)state;
    for (int64_t ms = 1000; ms < 601000; ms += 100) {
        int knocked = rebirth_may_knock(&rebirth, at(1), at(ms));
        first_minute += ms < 61000 ? knocked : 0;
        tenth_minute += ms >= 541000 ? knocked : 0;
        assert_false(rebirth_may_knock(&rebirth, at(1), at(ms))); /* one for all who wait */
    }
    assert_in_range(first_minute, 20, 60);
    assert_int_equal(tenth_minute, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_7_5_a_bare_connect_proves_nothing),
        cmocka_unit_test(test_7_5_refused_and_later_accepted_another_process_is_there),
        cmocka_unit_test(test_7_5_a_time_out_or_a_network_that_is_away_is_no_refusal),
        cmocka_unit_test(test_knocks_are_few_and_become_fewer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
