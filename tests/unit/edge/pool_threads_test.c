/* A pool that many threads ask at once: never more renders than slots, and nothing is left over
 * (semantics 7.1, 7.3; renderers K6). */
#include "base/random.h"
#include "edge/origin/pool.h"

#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 5000, SLOTS = 2, ADDRESSES = 3 };

struct stage {
    struct worker_config worker;
    struct origin_config config;
    void *region;
    struct pool *pool;
    atomic_int renders, most, granted, refused;
};

struct asker {
    struct stage *stage;
    pthread_t thread;
    uint64_t random;
};

static void open_pool(struct stage *s)
{
    char error[256];
    struct sockaddr_storage at = {0};
    *(struct sockaddr_in *)&at =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(0xc0000201)}};
    socklen_t bytes = sizeof(struct sockaddr_in);
    s->worker = (struct worker_config){.host = SLICE("renderer.example"), .port = 3000};
    s->config = (struct origin_config){.name = SLICE("renderer"),
                                       .workers = &s->worker,
                                       .worker_count = 1,
                                       .slots = SLOTS,
                                       .shell_at = 1,
                                       .shed_at = 1,
                                       .queue_is_per_slot = true,
                                       .first_byte = {1000000},
                                       .slot_max = {1000000}};
    s->region = mem_alloc(slots_region_bytes());
    slots_region_init(s->region);
    s->pool = pool_new(&s->config, s->region, 1, error, sizeof(error));
    assert_non_null(s->pool);
    s->pool->fair.percent = 50;
    pool_set_addresses(s->pool, 0, &at, &bytes, 1, (mono_time){1});
}

static void render(struct stage *s, struct permit *permit)
{
    int now = atomic_fetch_add(&s->renders, 1) + 1, most = atomic_load(&s->most);
    while (most < now && !atomic_compare_exchange_weak(&s->most, &most, now))
        ;
    sched_yield();
    atomic_fetch_sub(&s->renders, 1);
    atomic_fetch_add(&s->granted, 1);
    pool_return(permit, (mono_time){2});
}

/* Some leave at once, some wait for a while: nobody reads messages here, so asking is leaving. */
static bool is_granted(struct asker *asker, struct slot_waiter *waiter)
{
    for (uint64_t i = random_next(&asker->random) % 4; i > 0; i--)
        sched_yield();
    return !pool_leave(asker->stage->pool, waiter) && waiter->state == WAITER_GRANTED;
}

static void *ask_often(void *arg)
{
    struct asker *asker = arg;
    struct stage *s = asker->stage;
    for (int i = 0; i < ROUNDS; i++) {
        struct loop_message unread = {.is_posted = true};
        uint64_t random = random_next(&asker->random);
        struct slot_waiter waiter = {.wants_slot = true,
                                     .has_shell = random & 1,
                                     .message = &unread,
                                     .is_charged = random % 8 != 0,
                                     .client = {.bytes = {(uint8_t)(random % ADDRESSES)}}};
        enum pool_answer answer = pool_ask(s->pool, &waiter, false, (mono_time){2});
        if (answer == POOL_GRANTED || (answer == POOL_QUEUED && is_granted(asker, &waiter)))
            render(s, &waiter.permit);
        else
            atomic_fetch_add(&s->refused, 1);
    }
    return NULL;
}

static void test_7_1_K6_threads_that_come_and_leave_at_random_leave_nothing_behind(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));
    struct asker askers[THREADS];
    (void)state;
    open_pool(s);
    for (size_t i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.stage = s, .random = i};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(askers[i].thread, NULL);
    assert_int_equal(s->granted + s->refused, THREADS * ROUNDS);
    assert_in_range(s->most, 1, SLOTS);
    assert_int_equal(pool_state(s->pool).busy_slots, 0);
    assert_int_equal(pool_state(s->pool).waiting, 0);
    assert_int_equal(s->pool->fair.clients, 0);
    pool_free(s->pool);
    free(s->region);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_7_1_K6_threads_that_come_and_leave_at_random_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
