/*
 * Interim responses on their way through a flight: to the leader alone, in order, within limits,
 * also when a thread adds them while another takes them.
 */
#include "tests/unit/cache/flight_support.h"

#include <sched.h>
#include <string.h>

struct reader {
    struct waiter waiter;
    atomic_uint wakes;
};

static void count_wake(struct waiter *waiter)
{
    atomic_fetch_add(&container_of(waiter, struct reader, waiter)->wakes, 1);
}

/* With a reference as the fetch has one. */
static struct flight *join(struct reader *reader)
{
    struct flight_wanted wanted = {.key = key_of(SLICE("k")), .url_key = key_of(SLICE("the url"))};
    struct purge_subject about = {
        .host = SLICE("shop.example"), .path = SLICE("/a"), .stamp = purge_stamp(purges)};
    bool is_leader;
    memset(reader, 0, sizeof(*reader));
    reader->waiter.wake = count_wake;
    wanted.left_before = flights_left(flights, &wanted.url_key);
    return flight_ref(flight_join(flights, &wanted, purges, &about, &reader->waiter, &is_leader));
}

static void end(struct flight *flight, struct reader *reader)
{
    flight_end(flight);
    waiter_leave(&reader->waiter);
    flight_unref(&flight);
}

/* One hint whose Link is `bytes` long. The strings are gone when it returns. */
static bool add(struct flight *flight, unsigned status, size_t bytes)
{
    char link[FLIGHT_MAX_INTERIM_BYTES + 1];
    struct arena arena;
    struct fields fields;
    memset(link, 'l', sizeof(link));
    arena_init(&arena);
    fields_init(&fields, &arena);
    fields_add(&fields, SLICE("link"), slice_of(link, bytes));
    bool is_added = flight_add_interim(flight, status, SLICE("Early Hints"), &fields);
    arena_fini(&arena);
    memset(link, 0, sizeof(link));
    return is_added;
}

static void test_2_the_leader_gets_each_interim_response_once_and_in_order(void **context)
{
    (void)context;
    struct reader reader;
    struct flight *flight = join(&reader);
    assert_null(waiter_next_interim(&reader.waiter));
    assert_true(add(flight, 103, 5));
    assert_true(add(flight, 102, 0));
    assert_int_equal(reader.wakes, 2);
    const struct interim *first = waiter_next_interim(&reader.waiter);
    assert_int_equal(first->status, 103);
    assert_true(slice_equal(first->reason_phrase, SLICE("Early Hints")));
    assert_int_equal(first->fields.count, 1);
    assert_true(slice_equal(first->fields.at[0].value, SLICE("lllll")));
    assert_int_equal(waiter_next_interim(&reader.waiter)->status, 102);
    assert_null(waiter_next_interim(&reader.waiter));
    assert_true(add(flight, 199, 1));
    struct flight_head head = {.status = 200, .length = SIZE_MAX};
    flight_publish_head(flight, &head, FLIGHT_SHARED, true, NULL, 0);
    assert_int_equal(waiter_next_interim(&reader.waiter)->status, 199); /* nor lost by the head */
    assert_null(waiter_next_interim(&reader.waiter));
    end(flight, &reader);
}

static void test_3_1_who_joins_gets_none_and_is_not_woken(void **context)
{
    (void)context;
    struct reader leader, joined;
    struct flight *flight = join(&leader), *same = join(&joined);
    assert_ptr_equal(flight, same);
    assert_true(add(flight, 103, 5));
    assert_int_equal(leader.wakes, 1);
    assert_int_equal(joined.wakes, 0);
    assert_null(waiter_next_interim(&joined.waiter));
    waiter_leave(&leader.waiter); /* whoever is left does not take its place */
    assert_true(add(flight, 103, 5));
    assert_int_equal(joined.wakes, 0);
    assert_null(waiter_next_interim(&joined.waiter));
    flight_unref(&same);
    end(flight, &joined);
}

static void test_a_waiter_of_another_flight_begins_anew(void **context)
{
    (void)context;
    struct reader reader;
    struct flight *flight = join(&reader);
    assert_true(add(flight, 103, 5));
    assert_non_null(waiter_next_interim(&reader.waiter));
    flight_fail(flight, 1);
    waiter_leave(&reader.waiter);
    flight_unref(&flight);
    struct purge_subject about = {.host = SLICE("shop.example"), .path = SLICE("/a")};
    flight = flight_new_private(&about, false);
    waiter_attach(&reader.waiter, flight);
    assert_null(waiter_next_interim(&reader.waiter));
    assert_true(add(flight, 102, 5));
    assert_int_equal(waiter_next_interim(&reader.waiter)->status, 102);
    end(flight, &reader);
}

static void test_more_than_the_limit_is_dropped_by_number_and_by_bytes(void **context)
{
    (void)context;
    struct reader reader;
    struct flight *flight = join(&reader);
    assert_false(add(flight, 103, FLIGHT_MAX_INTERIM_BYTES));
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(add(flight, 103, 10), i < FLIGHT_MAX_INTERIMS);
    size_t taken = 0;
    while (waiter_next_interim(&reader.waiter))
        taken++;
    assert_int_equal(taken, FLIGHT_MAX_INTERIMS);
    end(flight, &reader);

    flight = join(&reader);
    assert_true(add(flight, 103, FLIGHT_MAX_INTERIM_BYTES / 2));
    assert_false(add(flight, 103, FLIGHT_MAX_INTERIM_BYTES / 2));
    assert_true(add(flight, 103, FLIGHT_MAX_INTERIM_BYTES / 4));
    assert_true(flight->interim_bytes <= FLIGHT_MAX_INTERIM_BYTES);
    end(flight, &reader);
}

static void *take_all(void *arg)
{
    struct reader *reader = arg;
    unsigned expected = 102;
    while (expected < 102 + FLIGHT_MAX_INTERIMS) {
        const struct interim *interim = waiter_next_interim(&reader->waiter);
        if (!interim)
            sched_yield();
        else
            MUST(interim->status == expected++ && interim->fields.count == 1);
    }
    return NULL;
}

static void test_one_thread_adds_while_another_takes(void **context)
{
    (void)context;
    for (int round = 0; round < 50; round++) {
        struct reader reader;
        struct flight *flight = join(&reader);
        pthread_t thread;
        pthread_create(&thread, NULL, take_all, &reader);
        for (unsigned i = 0; i < FLIGHT_MAX_INTERIMS; i++)
            assert_true(add(flight, 102 + i, 300));
        pthread_join(thread, NULL);
        end(flight, &reader);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_2_the_leader_gets_each_interim_response_once_and_in_order),
        TEST(test_3_1_who_joins_gets_none_and_is_not_woken),
        TEST(test_a_waiter_of_another_flight_begins_anew),
        TEST(test_more_than_the_limit_is_dropped_by_number_and_by_bytes),
        TEST(test_one_thread_adds_while_another_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
