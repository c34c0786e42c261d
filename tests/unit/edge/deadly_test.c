/* Renders that kill: when a key is deadly and for how long, under a clock of the test's own. */
#include "edge/origin/deadly.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct deadly deadly;
static const mono_time START = {1000000};

static struct key key_number(unsigned n)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "key %u", n);
    return key_of(slice_of(text, (size_t)length));
}

static mono_time after(mono_time t, int64_t ms)
{
    return mono_after(t, (duration){ms});
}

static int set_up(void **state)
{
    (void)state;
    deadly_init(&deadly);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    deadly_fini(&deadly);
    return 0;
}

/* What a death leads to: seconds for which the key is deadly from then on, 0 if it is not. */
static int64_t die_of(unsigned n, struct death death, mono_time now)
{
    struct key key = key_number(n);
    duration length = {0};
    return deadly_note_death(&deadly, &key, death, now, &length) ? length.ms / 1000 : 0;
}

/* On a connection that was opened after whatever has died before. */
static int64_t die_on(unsigned n, const char *worker, mono_time now)
{
    static uint64_t connections;
    connections++;
    return die_of(n, (struct death){worker, connections - 1, connections}, now);
}

static int64_t die(unsigned n, mono_time now)
{
    return die_on(n, NULL, now);
}

static bool is(unsigned n, mono_time now)
{
    struct key key = key_number(n);
    return deadly_is(&deadly, &key, now);
}

static enum deadly_answer admit(unsigned n, mono_time now)
{
    struct key key = key_number(n);
    return deadly_admit(&deadly, &key, now);
}

static void survive(unsigned n, mono_time now)
{
    struct key key = key_number(n);
    deadly_note_survival(&deadly, &key, now);
}

static void test_7_7_two_deaths_within_60_s_make_a_key_deadly_for_30_s(void **state)
{
    (void)state;
    assert_int_equal(admit(1, START), DEADLY_NOT);
    assert_int_equal(die(1, START), 0);
    assert_int_equal(admit(1, after(START, 1)), DEADLY_NOT);
    mono_time second = after(START, DEADLY_WITHIN_MS);
    assert_int_equal(die(1, second), 30);
    assert_true(is(1, second));
    assert_true(is(1, after(second, 29999)));
    assert_int_equal(admit(1, after(second, 29999)), DEADLY_NOW);
    assert_false(is(1, after(second, 30000)));
}

static void test_7_7_deaths_further_apart_do_not_count_together(void **state)
{
    mono_time now = START;
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(die(1, now), 0);
        now = after(now, DEADLY_WITHIN_MS + 1);
        assert_false(is(1, now));
    }
}

static void test_7_7_other_keys_are_unharmed(void **state)
{
    (void)state;
    die(1, START);
    die(2, START);
    assert_int_equal(die(1, after(START, 1)), 30);
    assert_false(is(2, after(START, 2)));
    assert_int_equal(admit(3, after(START, 2)), DEADLY_NOT);
}

static void test_7_7_a_worker_that_closes_on_everybody_does_not_make_keys_deadly(void **state)
{
    static const char bad[] = "bad", other[] = "other";
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(die_on(1, bad, after(START, i)), 0);
        survive(1, after(START, i)); /* the retry, elsewhere */
    }
    assert_int_equal(die_on(1, other, after(START, 20)), 30);
    die_on(2, bad, START);
    assert_int_equal(die_on(2, bad, START), 30); /* nowhere else did it end well */
}

static void test_7_7_B7_what_dies_with_one_worker_is_one_death(void **state)
{
    static const char one[] = "one", other[] = "other";
    (void)state;
    assert_int_equal(die_of(1, (struct death){one, 7, 9}, START), 0);
    for (unsigned i = 0; i < 9; i++) /* on connections that were there */
        assert_int_equal(die_of(1, (struct death){one, i, 12}, after(START, i)), 0);
    assert_int_equal(die_of(1, (struct death){one, 9, 12}, after(START, 10)),
                     30); /* on a new one */
    assert_int_equal(die_of(2, (struct death){one, 7, 9}, START), 0);
    assert_int_equal(die_of(2, (struct death){other, 7, 9}, START), 30); /* two workers died */
}

static void test_7_7_after_its_time_one_tries_it_and_the_others_wait_for_the_outcome(void **state)
{
    (void)state;
    die(1, START);
    die(1, START);
    mono_time again = after(START, DEADLY_FIRST_MS);
    assert_int_equal(admit(1, again), DEADLY_TRIAL);
    assert_int_equal(admit(1, again), DEADLY_NOW);
    assert_true(is(1, again));
    survive(1, after(again, 5));
    assert_int_equal(admit(1, after(again, 6)), DEADLY_NOT);
    assert_int_equal(die(1, after(again, 7)), 0); /* all is forgotten */
}

static void test_7_7_a_try_that_never_ends_is_not_the_last(void **state)
{
    (void)state;
    die(1, START);
    die(1, START);
    mono_time again = after(START, DEADLY_FIRST_MS);
    assert_int_equal(admit(1, again), DEADLY_TRIAL);
    assert_int_equal(admit(1, after(again, DEADLY_TRIAL_MS - 1)), DEADLY_NOW);
    assert_int_equal(admit(1, after(again, DEADLY_TRIAL_MS)), DEADLY_TRIAL);
}

static void test_7_7_each_try_that_dies_doubles_the_time_up_to_10_min(void **state)
{
    static const int64_t seconds[] = {60, 120, 240, 480, 600, 600};
    (void)state;
    die(1, START);
    die(1, START);
    mono_time now = after(START, DEADLY_FIRST_MS);
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        assert_int_equal(admit(1, now), DEADLY_TRIAL);
        assert_int_equal(die(1, now), seconds[i]);
        assert_true(is(1, after(now, seconds[i] * 1000 - 1)));
        now = after(now, seconds[i] * 1000);
    }
    now = after(now, DEADLY_MEMORY_MS); /* long ago: two deaths make it deadly again, not one */
    assert_int_equal(admit(1, now), DEADLY_NOT);
    assert_int_equal(die(1, now), 0);
    assert_int_equal(die(1, now), 30);
}

static void test_7_7_deaths_while_it_is_deadly_do_not_prolong_it(void **state)
{
    (void)state;
    die(1, START);
    die(1, START);
    assert_int_equal(die(1, after(START, 1000)), 0); /* it was under way when the others died */
    survive(1, after(START, 2000));
    assert_true(is(1, after(START, 29999)));
    assert_false(is(1, after(START, 30000)));
}

/* A key's row is looked for in a set of a few: more keys than the table has places, one after the
 * other, must neither grow it nor disturb the newest. */
static void test_7_7_a_full_table_forgets_who_was_quiet_longest(void **state)
{
    enum { KEYS = 4 * DEADLY_SETS * DEADLY_WAYS };
    unsigned known = 0;
    (void)state;
    for (unsigned n = 0; n < KEYS; n++) {
        die(n, after(START, n));
        assert_int_equal(die(n, after(START, n)), 30);
        assert_true(is(n, after(START, n)));
    }
    for (unsigned n = 0; n < KEYS; n++)
        known += is(n, after(START, KEYS));
    assert_in_range(known, DEADLY_SETS, DEADLY_SETS * DEADLY_WAYS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_7_7_two_deaths_within_60_s_make_a_key_deadly_for_30_s),
        TEST(test_7_7_deaths_further_apart_do_not_count_together),
        TEST(test_7_7_other_keys_are_unharmed),
        TEST(test_7_7_a_worker_that_closes_on_everybody_does_not_make_keys_deadly),
        TEST(test_7_7_B7_what_dies_with_one_worker_is_one_death),
        TEST(test_7_7_after_its_time_one_tries_it_and_the_others_wait_for_the_outcome),
        TEST(test_7_7_a_try_that_never_ends_is_not_the_last),
        TEST(test_7_7_each_try_that_dies_doubles_the_time_up_to_10_min),
        TEST(test_7_7_deaths_while_it_is_deadly_do_not_prolong_it),
        TEST(test_7_7_a_full_table_forgets_who_was_quiet_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
