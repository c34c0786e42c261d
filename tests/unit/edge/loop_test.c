/*
 * The loop: timers against a sorted list, messages from other threads, the time. The heap is tested
 * without running libh2o's loop; what fires and when, with it.
 */
#include "edge/loop.h"

#include "base/must.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

static struct loop loop;
static h2o_globalconf_t globalconf;

static int setup_once(void **context)
{
    (void)context;
    h2o_config_init(&globalconf);
    h2o_config_register_host(&globalconf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    loop_init(&loop, 0, &globalconf);
    return 0;
}

static int setup(void **context)
{
    (void)context;
    loop.is_stopping = false;
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    loop_fini(&loop);
    return 0;
}

/* --- the heap against a model --- */

enum { TIMERS = 300, STEPS = 20000 };

static void never(struct loop_timer *timer)
{
    (void)timer;
    fail();
}

static void check_heap(struct loop_timer timers[TIMERS], const bool is_set[TIMERS])
{
    size_t count = 0;
    int64_t soonest = INT64_MAX;
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(timers[i].position != 0, is_set[i]);
        if (!is_set[i])
            continue;
        count++;
        assert_ptr_equal(loop.heap[timers[i].position], &timers[i]);
        soonest = timers[i].due.ms < soonest ? timers[i].due.ms : soonest;
    }
    assert_int_equal(loop.timer_count, count);
    if (count)
        assert_int_equal(loop.heap[1]->due.ms, soonest);
    for (size_t i = 2; i <= count; i++)
        assert_true(loop.heap[i / 2]->due.ms <= loop.heap[i]->due.ms);
}

static void test_the_heap_agrees_with_a_model(void **context)
{
    (void)context;
    static struct loop_timer timers[TIMERS];
    bool is_set[TIMERS] = {false};
    srandom(7);
    for (size_t i = 0; i < TIMERS; i++)
        timers[i].fire = never;
    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)random() % TIMERS;
        is_set[i] = random() % 3 != 0;
        if (is_set[i])
            loop_timer_set(&loop, &timers[i], (duration){3600000 + random() % 500});
        else
            loop_timer_stop(&loop, &timers[i]);
        if (step % 50 == 0)
            check_heap(timers, is_set);
    }
    for (size_t i = 0; i < TIMERS; i++) {
        loop_timer_stop(&loop, &timers[i]);
        loop_timer_stop(&loop, &timers[i]); /* harmless */
    }
    assert_int_equal(loop.timer_count, 0);
}

static void test_delays_saturate(void **context)
{
    (void)context;
    struct loop_timer timer = {.fire = never};
    loop_timer_set(&loop, &timer, DURATION_MAX);
    assert_int_equal(timer.due.ms, INT64_MAX);
    loop_timer_set(&loop, &timer, (duration){-5}); /* never inside the call, never in the past */
    assert_true(timer.due.ms > loop_now(&loop).mono.ms);
    loop_timer_stop(&loop, &timer);
}

/* --- what fires --- */

enum { FIRING = 60 };

struct firing {
    struct loop_timer timer;
    int64_t due;
};

static struct {
    struct firing timers[FIRING];
    size_t fired, wanted;
    int64_t last_due;
    unsigned again;
} run;

static void note_fired(struct loop_timer *timer)
{
    struct firing *firing = container_of(timer, struct firing, timer);
    MUST(timer->position == 0);
    MUST(firing->due >= run.last_due); /* in the order of their times */
    MUST(loop_now(&loop).mono.ms >= firing->due);
    run.last_due = firing->due;
    if (++run.fired == run.wanted)
        loop_stop(&loop);
}

static void test_timers_fire_in_the_order_of_their_times_and_not_before(void **context)
{
    (void)context;
    memset(&run, 0, sizeof(run));
    srandom(11);
    for (size_t i = 0; i < FIRING; i++) {
        run.timers[i].timer.fire = note_fired;
        loop_timer_set(&loop, &run.timers[i].timer, (duration){random() % 40});
        run.timers[i].due = run.timers[i].timer.due.ms;
    }
    for (size_t i = 0; i < FIRING; i += 5)
        loop_timer_stop(&loop, &run.timers[i].timer);
    run.wanted = FIRING - FIRING / 5;
    loop_run(&loop);
    assert_int_equal(run.fired, run.wanted);
    assert_int_equal(loop.timer_count, 0);
}

static void fire_again(struct loop_timer *timer)
{
    if (++run.again < 5)
        loop_timer_set(&loop, timer, (duration){0});
    else
        loop_stop(&loop);
}

static void test_a_timer_may_set_itself_anew_and_stop_others(void **context)
{
    (void)context;
    memset(&run, 0, sizeof(run));
    struct loop_timer timer = {.fire = fire_again};
    loop_timer_set(&loop, &timer, (duration){0});
    loop_run(&loop);
    assert_int_equal(run.again, 5);
}

/* --- messages --- */

enum { POSTERS = 3, POSTS = 2000 };

struct counted {
    struct loop_message message;
    atomic_uint posted; /* raised before each post */
    unsigned seen;      /* the loop's */
};

static struct counted counted[POSTERS];
static pthread_t posters[POSTERS];

static void see(struct loop_message *message)
{
    struct counted *c = container_of(message, struct counted, message);
    c->seen = atomic_load(&c->posted);
    unsigned done = 0;
    for (size_t i = 0; i < POSTERS; i++)
        done += counted[i].seen == POSTS;
    if (done == POSTERS)
        loop_stop(&loop);
}

static void *post_often(void *arg)
{
    struct counted *c = arg;
    for (unsigned i = 0; i < POSTS; i++) {
        atomic_fetch_add(&c->posted, 1);
        loop_post(&loop, &c->message); /* false: on its way, and will see what was raised */
    }
    return NULL;
}

static void test_what_was_done_before_a_post_is_seen_by_a_delivery(void **context)
{
    (void)context;
    for (size_t i = 0; i < POSTERS; i++) {
        counted[i].message.deliver = see;
        pthread_create(&posters[i], NULL, post_often, &counted[i]);
    }
    loop_run(&loop); /* ends only if no last post is lost */
    for (size_t i = 0; i < POSTERS; i++)
        pthread_join(posters[i], NULL);
}

static void test_a_message_is_on_its_way_once(void **context)
{
    (void)context;
    struct counted c = {.message.deliver = see};
    assert_true(loop_post(&loop, &c.message));
    assert_false(loop_post(&loop, &c.message));
    loop_stop(&loop);
    loop_run(&loop);
    assert_false(atomic_load(&c.message.is_posted));
}

static void test_the_longest_turn_is_told_once(void **context)
{
    (void)context;
    atomic_store(&loop.lag_ms, 17);
    assert_int_equal(loop_take_lag(&loop).ms, 17);
    assert_int_equal(loop_take_lag(&loop).ms, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(test_the_heap_agrees_with_a_model),
        TEST(test_delays_saturate),
        TEST(test_timers_fire_in_the_order_of_their_times_and_not_before),
        TEST(test_a_timer_may_set_itself_anew_and_stop_others),
        TEST(test_what_was_done_before_a_post_is_seen_by_a_delivery),
        TEST(test_a_message_is_on_its_way_once),
        TEST(test_the_longest_turn_is_told_once),
    };
    return cmocka_run_group_tests(tests, setup_once, teardown);
}
