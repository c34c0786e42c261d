/* Documents of before an outage: semantics 5.4. The clock is ours. */
#include "edge/request/outdated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BOOT = 5000000, WALL = 1700000000 }; /* the clocks have nothing in common */

static const int64_t second = 1000;

static struct instant at(int64_t ms)
{
    return (struct instant){{(int64_t)WALL * 1000 + ms}, {BOOT + ms}};
}

static bool is_before(const struct outdated *outdated, int64_t stored_ms, int64_t now_ms)
{
    return outdated_is_before(outdated, 1, at(stored_ms).wall, at(now_ms).mono);
}

static void recover(struct outdated *outdated, int64_t ms)
{
    outdated_down(outdated, 1);
    outdated_back(outdated, 1, at(ms));
}

static void test_5_4_what_was_stored_before_the_origin_came_back_is_of_before(void **state)
{
    (void)state;
    struct outdated *outdated = outdated_new(2);
    outdated_back(outdated, 1, at(10)); /* it was not down */
    assert_false(is_before(outdated, 0, 11));
    outdated_down(outdated, 1);
    assert_false(is_before(outdated, 0, 20));
    outdated_back(outdated, 1, at(30));
    assert_true(is_before(outdated, 29, 31));
    assert_false(is_before(outdated, 30, 31)); /* the answer that showed it */
    assert_false(outdated_is_before(outdated, 0, at(0).wall, at(31).mono)); /* another origin */
    outdated_free(outdated);
}

static void test_5_4_back_again_within_the_minute_marks_at_its_end(void **state)
{
    (void)state;
    struct outdated *outdated = outdated_new(2);
    recover(outdated, 0);
    recover(outdated, 20 * second);
    recover(outdated, 40 * second);
    assert_false(is_before(outdated, 10 * second, 59 * second));
    assert_true(is_before(outdated, -1, 59 * second)); /* the first mark stays */
    assert_true(is_before(outdated, 10 * second, 60 * second));
    assert_true(is_before(outdated, 39 * second, 60 * second));
    assert_false(is_before(outdated, 40 * second, 600 * second));
    outdated_free(outdated);
}

static void test_5_4_a_mark_that_waited_begins_a_minute_of_its_own(void **state)
{
    (void)state;
    struct outdated *outdated = outdated_new(2);
    recover(outdated, 0);
    recover(outdated, 30 * second); /* in force at 60 */
    recover(outdated, 90 * second); /* so this one is at 120 */
    assert_true(is_before(outdated, 29 * second, 90 * second));
    assert_false(is_before(outdated, 80 * second, 119 * second));
    assert_true(is_before(outdated, 80 * second, 120 * second));
    recover(outdated, 180 * second); /* a minute after it: at once */
    assert_true(is_before(outdated, 179 * second, 180 * second));
    outdated_free(outdated);
}

static void test_5_4_an_outage_counts_although_nobody_was_refused(void **state)
{
    (void)state;
    struct outdated *outdated = outdated_new(2);
    const struct origin_config origin = {.name = SLICE("renderer"), .index = 1};
    struct instant now = clock_now();
    wall_time before = {now.wall.ms - 10}, after = {now.wall.ms + 10};
    outdated_origin_changed(outdated, &origin, true, now.mono);
    outdated_origin_changed(outdated, &origin, false, now.mono);
    assert_true(outdated_is_before(outdated, 1, before, now.mono));
    assert_false(outdated_is_before(outdated, 1, after, now.mono));
    outdated_free(outdated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_5_4_what_was_stored_before_the_origin_came_back_is_of_before),
        cmocka_unit_test(test_5_4_back_again_within_the_minute_marks_at_its_end),
        cmocka_unit_test(test_5_4_a_mark_that_waited_begins_a_minute_of_its_own),
        cmocka_unit_test(test_5_4_an_outage_counts_although_nobody_was_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
