/* edge/origin/outage.c, and `share` in a pool: when is an origin without a worker? The clock is
 * ours. */
#include "edge/origin/pool.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ADDRESSES = 40 };

/* One edge: it knows the same name as the others. */
struct edge {
    struct worker_config worker;
    struct origin_config config;
    void *region;
    struct pool *pool;
    unsigned downs, ups;
};

static mono_time at(int64_t ms)
{
    return (mono_time){ms};
}

static void count(void *arg, const struct origin_config *origin, bool is_down, mono_time when)
{
    struct edge *edge = arg;
    (void)when;
    assert_ptr_equal(origin, &edge->config);
    edge->downs += is_down;
    edge->ups += !is_down;
}

static struct edge *edge_new(unsigned part, unsigned of)
{
    struct edge *edge = mem_alloc(sizeof(*edge));
    char error[256];
    edge->worker = (struct worker_config){.host = SLICE("renderer.example"), .port = 3000};
    edge->config = (struct origin_config){.name = SLICE("renderer"),
                                          .workers = &edge->worker,
                                          .worker_count = 1,
                                          .slots = 1,
                                          .shed_at = 32,
                                          .queue_is_per_slot = true,
                                          .connections = 4,
                                          .first_byte = {30000},
                                          .slot_max = {1000},
                                          .probe = {.up_after = 2},
                                          .share = {.part = part, .of = of}};
    edge->region = mem_alloc(slots_region_bytes());
    slots_region_init(edge->region);
    edge->pool = pool_new(&edge->config, edge->region, 1, error, sizeof(error));
    assert_non_null(edge->pool);
    edge->pool->outage.changed = count;
    edge->pool->outage.arg = edge;
    return edge;
}

static void edge_free(struct edge *edge)
{
    pool_free(edge->pool);
    free(edge->region);
    free(edge);
}

static struct sockaddr_storage address(unsigned i)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    *v4 = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(3000), .sin_addr.s_addr = htonl(0x0a000001 + i)};
    return storage;
}

/* The name has the addresses whose bits are set, handed out from `first` on. */
static void resolve(struct edge *edge, uint64_t which, unsigned first, mono_time now)
{
    struct sockaddr_storage list[ADDRESSES];
    socklen_t bytes[ADDRESSES];
    size_t used = 0;
    for (unsigned i = 0; i < ADDRESSES; i++) {
        unsigned next = (first + i) % ADDRESSES;
        if (!(which >> next & 1))
            continue;
        list[used] = address(next);
        bytes[used++] = sizeof(struct sockaddr_in);
    }
    pool_set_addresses(edge->pool, 0, list, bytes, used, now);
}

/* Its workers, as bits. */
static uint64_t has(const struct edge *edge)
{
    uint64_t which = 0;
    for (size_t i = 0; i < edge->pool->worker_count; i++) {
        const struct worker *worker = edge->pool->workers[i];
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&worker->address;
        if (worker->state != WORKER_GONE && worker->state != WORKER_UNRESOLVED)
            which |= 1ull << (ntohl(v4->sin_addr.s_addr) - 0x0a000001);
    }
    return which;
}

static void test_7_2_two_edges_never_have_the_same_worker_while_addresses_come_and_go(void **state)
{
    struct edge *one = edge_new(1, 2), *two = edge_new(2, 2);
    uint64_t all = 0xfff, was_one = 0, was_two = 0;
    (void)state;
    srand(7);
    for (int64_t round = 1; round < 500; round++) {
        /* they see changes at different moments, and in different orders */
        uint64_t seen = all & ~(1ull << (unsigned)rand() % 12);
        resolve(one, all, (unsigned)rand() % ADDRESSES, at(round));
        resolve(two, seen, (unsigned)rand() % ADDRESSES, at(round));
        assert_true((has(one) & has(two)) == 0);
        resolve(two, all, (unsigned)rand() % ADDRESSES, at(round));
        assert_true((has(one) | has(two)) == all);
        if (round > 1) /* whoever stayed in the list stayed where it was */
            assert_true((has(one) & was_two) == 0 && (has(two) & was_one) == 0);
        was_one |= has(one);
        was_two |= has(two);
        all ^= 1ull << (unsigned)rand() % 12;
        all |= 1;
    }
    edge_free(one);
    edge_free(two);
}

static void test_7_3_limits_are_times_the_slots_of_this_share(void **state)
{
    struct edge *one = edge_new(1, 2), *two = edge_new(2, 2);
    (void)state;
    resolve(one, 0xfff, 0, at(1));
    resolve(two, 0xfff, 0, at(1));
    struct origin_state first = pool_state(one->pool), second = pool_state(two->pool);
    assert_int_equal(first.live_slots + second.live_slots, 12);
    assert_int_equal(first.live_slots, __builtin_popcountll(has(one)));
    assert_int_equal(first.workers, first.live_slots);
    edge_free(one);
    edge_free(two);
}

static void test_9_6_of_many_addresses_the_same_are_used_whatever_their_order(void **state)
{
    struct edge *edge = edge_new(1, 2);
    (void)state;
    resolve(edge, (1ull << ADDRESSES) - 1, 0, at(1));
    uint64_t most = has(edge);
    assert_in_range(__builtin_popcountll(most), 10, POOL_ADDRESSES_MAX);
    edge_free(edge);
}

static struct worker *first_of(struct edge *edge)
{
    return edge->pool->workers[0];
}

static bool is_down(struct edge *edge)
{
    return pool_state(edge->pool).is_down;
}

static enum pool_answer ask(struct edge *edge, struct permit *permit, mono_time now)
{
    struct slot_waiter waiter = {.wants_slot = true};
    enum pool_answer answer = pool_ask(edge->pool, &waiter, false, now);
    if (answer == POOL_QUEUED)
        assert_true(pool_leave(edge->pool, &waiter));
    *permit = waiter.permit;
    return answer;
}

static void test_7_2_an_edge_whose_share_has_no_worker_is_down(void **state)
{
    struct edge *one = edge_new(1, 2), *two = edge_new(2, 2);
    struct permit permit;
    (void)state;
    resolve(one, 1, 0, at(1));
    resolve(two, 1, 0, at(1));
    struct edge *has_it = has(one) ? one : two, *has_none = has(one) ? two : one;
    assert_false(is_down(has_it));
    assert_true(is_down(has_none));
    assert_int_equal(has_none->downs, 1);
    assert_int_equal(ask(has_none, &permit, at(2)), POOL_ALL_DOWN);
    assert_int_equal(pool_state(has_none->pool).workers, 0);
    resolve(has_none, 0xfff, 0, at(3)); /* there are others now */
    assert_false(is_down(has_none));
    assert_int_equal(has_none->ups, 1);
    assert_int_equal(ask(has_none, &permit, at(4)), POOL_GRANTED);
    pool_return(&permit, at(5));
    assert_true(slice_equal(first_of(has_none)->name, SLICE("renderer/0")));
    edge_free(one);
    edge_free(two);
}

static void test_B7_an_origin_is_down_with_its_last_worker_and_up_with_the_first(void **state)
{
    struct edge *edge = edge_new(1, 1);
    struct permit permit;
    (void)state;
    resolve(edge, 3, 0, at(1));
    struct worker *a = edge->pool->workers[0], *b = edge->pool->workers[1];
    assert_false(is_down(edge));
    pool_worker_failed(a, SLICE("refused"), at(10));
    assert_false(is_down(edge));
    pool_worker_failed(b, SLICE("refused"), at(11));
    assert_true(is_down(edge));
    assert_int_equal(edge->downs, 1);
    pool_worker_failed(b, SLICE("refused"), at(400));
    assert_int_equal(edge->downs, 1);                            /* it was known */
    assert_int_equal(ask(edge, &permit, at(500)), POOL_GRANTED); /* a try is no sign of life */
    assert_true(is_down(edge));
    pool_worker_answered(permit.worker, at(510));
    assert_false(is_down(edge));
    assert_int_equal(edge->ups, 1);
    pool_return(&permit, at(520));
    edge_free(edge);
}

static void test_B7_workers_that_are_drained_count_as_down(void **state)
{
    struct edge *edge = edge_new(1, 1);
    (void)state;
    resolve(edge, 1, 0, at(1));
    slots_drain(edge->region, first_of(edge)->slots, true, at(2));
    pool_poll(edge->pool, at(2));
    assert_true(is_down(edge));
    slots_drain(edge->region, first_of(edge)->slots, false, at(3));
    pool_poll(edge->pool, at(3));
    assert_false(is_down(edge));
    assert_int_equal(edge->downs, 1);
    assert_int_equal(edge->ups, 1);
    edge_free(edge);
}

/* `spawn`: everybody waits for it, as long as it has not failed twice (gate HELD). */
static void test_B7_a_renderer_that_restarts_is_no_outage(void **state)
{
    struct edge *edge = edge_new(1, 1);
    (void)state;
    resolve(edge, 1, 0, at(1));
    slots_set_gate(edge->region, first_of(edge)->slots, GATE_HELD, at(10));
    pool_worker_failed(first_of(edge), SLICE("refused"), at(2));
    pool_poll(edge->pool, at(3));
    assert_false(is_down(edge));
    slots_set_gate(edge->region, first_of(edge)->slots, GATE_CLOSED, at(10));
    pool_poll(edge->pool, at(4));
    assert_true(is_down(edge));
    edge_free(edge);
}

/* Nor is one that starts the end of an outage, until it is ready: it may die first. */
static void test_B7_an_origin_is_up_again_with_the_first_renderer_that_is_ready(void **state)
{
    struct edge *edge = edge_new(1, 1);
    (void)state;
    resolve(edge, 1, 0, at(1));
    enum { TRIES = 3 };
    for (int64_t i = 0; i < TRIES; i++) {
        slots_set_gate(edge->region, first_of(edge)->slots, GATE_CLOSED, at(10));
        pool_poll(edge->pool, at(10 * i + 2));
        assert_true(is_down(edge) && pool_state(edge->pool).is_hopeless);
        slots_set_gate(edge->region, first_of(edge)->slots, GATE_HELD,
                       at(10)); /* `varve restart` */
        pool_poll(edge->pool, at(10 * i + 3));
        assert_true(is_down(edge));
        assert_false(pool_state(edge->pool).is_hopeless); /* it is waited for */
    }
    assert_int_equal(edge->downs, 1);
    assert_int_equal(edge->ups, 0);
    slots_set_gate(edge->region, first_of(edge)->slots, GATE_OPEN, at(10));
    pool_poll(edge->pool, at(100));
    assert_false(is_down(edge));
    assert_int_equal(edge->ups, 1);
    edge_free(edge);
}

static void test_7_6_what_comes_and_goes_is_told_once_a_second(void **state)
{
    struct edge *edge = edge_new(1, 1);
    struct outage *outage = &edge->pool->outage;
    (void)state;
    resolve(edge, 1, 0, at(1));
    for (int64_t ms = 1000; ms < 1500; ms += 10) {
        slots_drain(edge->region, first_of(edge)->slots, ms % 20 == 0, at(ms));
        pool_tell(edge->pool, at(ms));
    }
    assert_int_equal(edge->downs + edge->ups, 50);
    assert_int_equal(outage->told.ms, 1000);
    assert_int_equal(outage->untold, 49);
    pool_tell(edge->pool, at(1990));
    assert_int_equal(outage->untold, 49);
    pool_tell(edge->pool, at(2000));
    assert_int_equal(outage->untold, 0);
    edge_free(edge);
}

static void test_9_1_a_process_that_ends_says_nothing_more(void **state)
{
    struct edge *edge = edge_new(1, 1);
    (void)state;
    resolve(edge, 1, 0, at(1));
    outage_mute(edge->pool);
    pool_worker_failed(first_of(edge), SLICE("refused"), at(2));
    assert_int_equal(edge->downs, 0);
    edge_free(edge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_7_2_two_edges_never_have_the_same_worker_while_addresses_come_and_go),
        cmocka_unit_test(test_7_3_limits_are_times_the_slots_of_this_share),
        cmocka_unit_test(test_9_6_of_many_addresses_the_same_are_used_whatever_their_order),
        cmocka_unit_test(test_7_2_an_edge_whose_share_has_no_worker_is_down),
        cmocka_unit_test(test_B7_an_origin_is_down_with_its_last_worker_and_up_with_the_first),
        cmocka_unit_test(test_B7_workers_that_are_drained_count_as_down),
        cmocka_unit_test(test_B7_a_renderer_that_restarts_is_no_outage),
        cmocka_unit_test(test_B7_an_origin_is_up_again_with_the_first_renderer_that_is_ready),
        cmocka_unit_test(test_7_6_what_comes_and_goes_is_told_once_a_second),
        cmocka_unit_test(test_9_1_a_process_that_ends_says_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
