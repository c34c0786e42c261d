/* Ways of choosing a worker: pure, so each is shown what a pool looks like and asked. */
#include "edge/origin/balance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { COUNT = 4 };

static const struct balance_worker pool[COUNT] = {
    {.is_free = true, .idle_since = {300}, .busy = 0},
    {.is_free = false, .idle_since = {0}, .busy = 2},
    {.is_free = true, .idle_since = {100}, .busy = 1},
    {.is_free = true, .idle_since = {200}, .busy = 0},
};

static int choose(enum balance balance, struct balance_state *state)
{
    return balance_choose(balance, pool, COUNT, state);
}

static void test_idle_takes_the_longest_idle(void **state)
{
    struct balance_state s = {0};
    (void)state;
    assert_int_equal(choose(BALANCE_IDLE, &s), 2);
}

static void test_first_takes_the_first_that_is_free(void **state)
{
    struct balance_state s = {0};
    (void)state;
    assert_int_equal(choose(BALANCE_FIRST, &s), 0);
    assert_int_equal(balance_choose(BALANCE_FIRST, pool + 1, COUNT - 1, &s), 1);
}

static void test_round_robin_goes_round_those_that_are_free(void **state)
{
    struct balance_state s = {0};
    static const int expected[] = {0, 2, 3, 0, 2, 3, 0};
    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(choose(BALANCE_ROUND_ROBIN, &s), expected[i]);
}

static void test_least_takes_the_least_busy_and_of_these_the_longest_idle(void **state)
{
    struct balance_state s = {0};
    (void)state;
    assert_int_equal(choose(BALANCE_LEAST, &s), 3);
}

static void test_random_is_even_and_the_same_for_a_seed(void **state)
{
    struct balance_state a = {.random = 5}, b = {.random = 5};
    unsigned chosen[COUNT] = {0};
    (void)state;
    for (int i = 0; i < 30000; i++) {
        int index = choose(BALANCE_RANDOM, &a);
        assert_int_equal(index, choose(BALANCE_RANDOM, &b));
        chosen[index]++;
    }
    assert_int_equal(chosen[1], 0);
    for (size_t i = 0; i < COUNT; i++)
        if (i != 1)
            assert_in_range(chosen[i], 9500, 10500);
}

static void test_a_worker_that_was_down_gets_its_try_first(void **state)
{
    struct balance_state s = {0};
    struct balance_worker workers[2] = {{.is_free = true}, {.is_free = true, .is_try = true}};
    (void)state;
    for (enum balance b = BALANCE_IDLE; b <= BALANCE_RANDOM; b++)
        assert_int_equal(balance_choose(b, workers, 2, &s), 1);
}

static void test_none_is_free(void **state)
{
    struct balance_state s = {0};
    static const struct balance_worker busy[2];
    (void)state;
    for (enum balance b = BALANCE_IDLE; b <= BALANCE_RANDOM; b++) {
        assert_int_equal(balance_choose(b, busy, 2, &s), -1);
        assert_int_equal(balance_choose(b, NULL, 0, &s), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_takes_the_longest_idle),
        cmocka_unit_test(test_first_takes_the_first_that_is_free),
        cmocka_unit_test(test_round_robin_goes_round_those_that_are_free),
        cmocka_unit_test(test_least_takes_the_least_busy_and_of_these_the_longest_idle),
        cmocka_unit_test(test_random_is_even_and_the_same_for_a_seed),
        cmocka_unit_test(test_a_worker_that_was_down_gets_its_try_first),
        cmocka_unit_test(test_none_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
