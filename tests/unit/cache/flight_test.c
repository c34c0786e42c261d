/*
 * Flights: who joins what (semantics 3.1, 3.3), what waiters read while the fetch appends, what is
 * kept and what is freed, and when the fetch is told to wait and to go on. The body is a pattern
 * that can be computed for any position, so that each byte that a waiter sees is checked.
 */
#include "tests/unit/cache/flight_support.h"

#include <stdlib.h>

enum { WINDOW = 64 * 1024, LARGEST_CHUNK = 256 * 1024 };

static struct purge_subject subject(void)
{
    return (struct purge_subject){
        .host = SLICE("shop.example"), .path = SLICE("/a"), .stamp = purge_stamp(purges)};
}

static struct key key_named(const char *name)
{
    return key_of(slice_of_string(name));
}

/* By somebody who has just asked memory. */
static struct flight_wanted wanted_under(const char *name)
{
    struct key url_key = key_named("the url");
    return (struct flight_wanted){.key = key_named(name),
                                  .key_text = slice_of_string(name),
                                  .url_key = url_key,
                                  .left_before = flights_left(flights, &url_key)};
}

struct reader {
    struct waiter waiter;
    unsigned wakes;
};

static void count_wake(struct waiter *waiter)
{
    container_of(waiter, struct reader, waiter)->wakes++;
}

static struct flight *join(struct reader *reader, const char *name, bool start, bool *is_leader)
{
    struct flight_wanted wanted = wanted_under(name);
    struct purge_subject about = subject();
    wanted.left_before -= !start; /* it asked memory too long ago */
    *reader = (struct reader){.waiter.wake = count_wake};
    return flight_join(flights, &wanted, purges, &about, &reader->waiter, is_leader);
}

static unsigned rooms, desertions;

static void count_room(struct flight *flight)
{
    (void)flight;
    rooms++;
}

static void count_desertion(struct flight *flight)
{
    (void)flight;
    desertions++;
}

static void listen_to(struct flight *flight)
{
    rooms = desertions = 0;
    flight->on_room = count_room;
    flight->on_deserted = count_desertion;
}

static void publish(struct flight *flight, size_t length, bool is_kept)
{
    struct flight_head head = {.status = 200, .length = length};
    flight_publish_head(flight, &head, FLIGHT_SHARED, is_kept, NULL, 0);
}

static unsigned char pattern(uint64_t position)
{
    return (unsigned char)(position * 7 + (position >> 9) * 13);
}

static bool append_pattern(struct flight *flight, size_t count, size_t window)
{
    unsigned char *bytes = malloc(count);
    MUST(bytes);
    for (size_t i = 0; i < count; i++)
        bytes[i] = pattern(flight->received_bytes + i);
    bool has_room = flight_append(flight, slice_of((char *)bytes, count), window);
    free(bytes);
    return has_room;
}

/* Looks at all that waiter_peek() gives; the number of bytes. */
static size_t check_peek(struct waiter *waiter, bool *is_end)
{
    slice views[READ_SLICES];
    uint64_t position = waiter->position;
    size_t count = waiter_peek(waiter, views, is_end);
    for (size_t i = 0; i < count; i++) {
        MUST(views[i].len > 0);
        for (size_t k = 0; k < views[i].len; k++, position++)
            MUST((unsigned char)views[i].ptr[k] == pattern(position));
    }
    return (size_t)(position - waiter->position);
}

/* --- the table --- */

static void test_3_1_the_first_leads_and_others_join(void **context)
{
    (void)context;
    struct reader first, second, third;
    bool is_leader;
    struct flight *flight = join(&first, "k", true, &is_leader);
    assert_true(is_leader);
    assert_true(first.waiter.is_leader);
    assert_ptr_equal(join(&second, "k", true, &is_leader), flight);
    assert_false(is_leader);
    assert_null(join(&third, "other", false, &is_leader));
    assert_null(third.waiter.flight);
    assert_int_equal(flights_count(flights), 1);
    assert_int_equal(flight->waiter_count, 2);
    flight_ref(flight); /* as the fetch has one */
    waiter_leave(&first.waiter);
    waiter_leave(&second.waiter);
    assert_int_equal(atomic_load(&flight->refs), 1);
    flight_fail(flight, 1);
    assert_int_equal(flights_count(flights), 0);
    flight_unref(&flight);
}

static void test_3_1_a_flight_is_found_under_its_final_key_only(void **context)
{
    (void)context;
    struct reader first, second;
    bool is_leader;
    struct flight *flight = join(&first, "cold", true, &is_leader);
    struct key final = key_named("final");
    flight_ref(flight);
    flight_rekey(flight, &final, SLICE("final"));
    assert_null(join(&second, "cold", false, &is_leader));
    assert_ptr_equal(join(&second, "final", false, &is_leader), flight);
    flight_end(flight);
    waiter_leave(&first.waiter);
    waiter_leave(&second.waiter);
    flight_unref(&flight);
}

static void test_3_1_rekeying_to_a_key_that_is_taken_hides_the_flight(void **context)
{
    (void)context;
    struct reader first, second, third;
    bool is_leader;
    struct flight *cold = join(&first, "cold", true, &is_leader),
                  *taken = join(&second, "final", true, &is_leader);
    struct key final = key_named("final");
    flight_ref(cold);
    flight_ref(taken);
    flight_rekey(cold, &final, SLICE("final"));
    assert_int_equal(flights_count(flights), 1);
    assert_ptr_equal(join(&third, "final", true, &is_leader), taken);
    flight_rekey(cold, &final, SLICE("final")); /* hidden: stays so */
    assert_int_equal(flights_count(flights), 1);
    flight_end(cold);
    flight_end(taken);
    waiter_leave(&first.waiter);
    waiter_leave(&second.waiter);
    waiter_leave(&third.waiter);
    flight_unref(&cold);
    flight_unref(&taken);
}

/* Strangers may find two texts with one key. */
static void test_1_1_a_flight_is_shared_by_the_text_of_its_key(void **context)
{
    (void)context;
    struct reader readers[4];
    struct flight *joined[4];
    const char *const texts[] = {"one", "other", "one", "other"};
    struct purge_subject about = subject();
    for (size_t i = 0; i < 4; i++) {
        struct flight_wanted wanted = wanted_under("the key of both");
        bool is_leader;
        wanted.key_text = slice_of_string(texts[i]);
        readers[i] = (struct reader){.waiter.wake = count_wake};
        joined[i] = flight_ref(
            flight_join(flights, &wanted, purges, &about, &readers[i].waiter, &is_leader));
        assert_int_equal(is_leader, i < 2);
    }
    assert_ptr_not_equal(joined[0], joined[1]);
    assert_ptr_equal(joined[0], joined[2]);
    assert_ptr_equal(joined[1], joined[3]);
    struct key final = key_named("final");
    flight_rekey(joined[0], &final, SLICE("one")); /* neither stands in the other's way */
    flight_rekey(joined[1], &final, SLICE("other"));
    assert_int_equal(flights_count(flights), 2);
    for (size_t i = 0; i < 4; i++) {
        waiter_leave(&readers[i].waiter);
        if (i < 2)
            flight_end(joined[i]);
    }
    for (size_t i = 0; i < 4; i++)
        flight_unref(&joined[i]);
}

static void test_hidden_flights_are_not_joined(void **context)
{
    (void)context;
    struct reader first, second;
    bool is_leader;
    struct flight *flight = flight_ref(join(&first, "k", true, &is_leader));
    flight_hide(flight);
    flight_hide(flight);
    struct flight *other = flight_ref(join(&second, "k", true, &is_leader));
    assert_true(is_leader);
    assert_ptr_not_equal(other, flight);
    flight_fail(flight, 1);
    flight_fail(other, 1);
    waiter_leave(&first.waiter);
    waiter_leave(&second.waiter);
    flight_unref(&flight);
    flight_unref(&other);
}

static void test_a_refresh_is_started_once_and_may_be_joined(void **context)
{
    (void)context;
    struct flight_wanted wanted = wanted_under("k");
    struct purge_subject about = subject();
    struct reader reader;
    bool is_leader;
    struct flight *flight = flight_start_refresh(flights, &wanted, purges, &about);
    assert_non_null(flight);
    assert_null(flight_start_refresh(flights, &wanted, purges, &about));
    assert_ptr_equal(join(&reader, "k", true, &is_leader), flight);
    assert_false(is_leader);
    waiter_leave(&reader.waiter);
    flight_end(flight);
    flight_unref(&flight);
}

static void test_3_1_who_asked_memory_before_a_flight_left_asks_it_again(void **context)
{
    (void)context;
    struct reader first, late;
    struct flight_wanted wanted = wanted_under("k");
    struct purge_subject about = subject();
    bool is_leader;
    struct flight *flight = flight_ref(join(&first, "k", true, &is_leader));
    struct key final = key_named("final");
    flight_rekey(flight, &final,
                 SLICE("final")); /* its union is known now, and it is found under that */
    late = (struct reader){.waiter.wake = count_wake};
    assert_null(flight_join(flights, &wanted, purges, &about, &late.waiter, &is_leader));
    assert_false(is_leader);
    wanted = wanted_under("final");
    waiter_leave(&first.waiter);
    flight_end(flight); /* stored by now */
    flight_unref(&flight);
    assert_null(flight_join(flights, &wanted, purges, &about, &late.waiter, &is_leader));
    assert_null(flight_start_refresh(flights, &wanted, purges, &about));
    assert_null(late.waiter.flight);
    assert_int_equal(flights_count(flights), 0);
    flight =
        flight_ref(join(&late, "final", true, &is_leader)); /* it was not in memory after all */
    assert_true(is_leader);
    waiter_leave(&late.waiter);
    flight_end(flight);
    flight_unref(&flight);
}

static void
test_3_1_who_has_asked_memory_again_starts_one_although_others_go_on_leaving(void **context)
{
    (void)context;
    struct reader reader = {.waiter.wake = count_wake};
    struct flight_wanted wanted = wanted_under("k");
    struct purge_subject about = subject();
    bool is_leader;
    wanted.left_before--;
    assert_null(flight_join(flights, &wanted, purges, &about, &reader.waiter, &is_leader));
    wanted.has_looked_back = true;
    struct flight *flight =
        flight_ref(flight_join(flights, &wanted, purges, &about, &reader.waiter, &is_leader));
    assert_true(is_leader);
    waiter_leave(&reader.waiter);
    flight_end(flight);
    flight_unref(&flight);
}

/* --- purges --- */

static void purge(enum purge_kind kind, bool is_soft)
{
    struct purge_order order = {.kind = kind,
                                .is_soft = is_soft,
                                .host = SLICE("shop.example"),
                                .path = SLICE("/a"),
                                .tag = SLICE("t")};
    uint64_t stamp;
    assert_int_equal(purge_add(purges, &order, now.wall, &stamp), 0);
}

static void join_across_a_purge(enum purge_kind kind, bool is_soft, bool is_joined)
{
    struct reader before, after;
    bool is_leader;
    struct flight *flight = flight_ref(join(&before, "k", true, &is_leader));
    uint64_t tag = purge_tag_hash(SLICE("t"));
    struct flight_head head = {.status = 200, .length = SIZE_MAX};
    flight_publish_head(flight, &head, FLIGHT_SHARED, true, &tag, 1);
    purge(kind, is_soft);
    struct flight *second = flight_ref(join(&after, "k", true, &is_leader));
    assert_int_equal(second == flight, is_joined);
    assert_int_equal(is_leader, !is_joined);
    flight_end(flight);
    if (!is_joined) {
        struct reader third; /* the newer flight holds the place, though the old one ended */
        assert_ptr_equal(join(&third, "k", false, &is_leader), second);
        waiter_leave(&third.waiter);
        flight_end(second);
    }
    waiter_leave(&before.waiter);
    waiter_leave(&after.waiter);
    flight_unref(&flight);
    flight_unref(&second);
}

static void test_3_3_a_flight_older_than_a_matching_purge_is_replaced(void **context)
{
    (void)context;
    static const enum purge_kind kinds[] = {PURGE_URL, PURGE_PREFIX, PURGE_TAG, PURGE_HOST,
                                            PURGE_ALL};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        for (int is_soft = 0; is_soft < 2; is_soft++)
            join_across_a_purge(kinds[i], is_soft, false);
}

static void test_3_3_a_purge_of_something_else_does_not_matter(void **context)
{
    (void)context;
    struct reader before, after;
    bool is_leader;
    struct flight *flight = flight_ref(join(&before, "k", true, &is_leader));
    struct purge_order order = {
        .kind = PURGE_URL, .host = SLICE("shop.example"), .path = SLICE("/b")};
    uint64_t stamp;
    assert_int_equal(purge_add(purges, &order, now.wall, &stamp), 0);
    purge(PURGE_TAG, false); /* the head, and with it its tags, is not known */
    assert_ptr_equal(join(&after, "k", true, &is_leader), flight);
    flight_end(flight);
    waiter_leave(&before.waiter);
    waiter_leave(&after.waiter);
    flight_unref(&flight);
}

static void test_3_3_waiters_see_that_a_tag_of_the_head_was_purged(void **context)
{
    (void)context;
    struct reader reader;
    bool is_leader;
    struct flight *flight = flight_ref(join(&reader, "k", true, &is_leader));
    struct flight_view view;
    uint64_t tag = purge_tag_hash(SLICE("t"));
    struct flight_head head = {.status = 203, .length = SIZE_MAX};
    waiter_look(&reader.waiter, purges, &view);
    assert_int_equal(view.phase, FLIGHT_WAITING);
    flight_publish_head(flight, &head, FLIGHT_SHARED, true, &tag, 1);
    assert_int_equal(reader.wakes, 1);
    waiter_look(&reader.waiter, purges, &view);
    assert_int_equal(view.phase, FLIGHT_STREAMING);
    assert_int_equal(view.head.status, 203);
    assert_false(view.is_tag_purged);
    purge(PURGE_URL, false);
    waiter_look(&reader.waiter, purges, &view);
    assert_false(view.is_tag_purged);
    purge(PURGE_TAG, false);
    waiter_look(&reader.waiter, purges, &view);
    assert_true(view.is_tag_purged);
    flight_end(flight);
    waiter_leave(&reader.waiter);
    flight_unref(&flight);
}

/* --- leaving --- */

static void test_3_4_the_last_waiter_that_leaves_is_told_once(void **context)
{
    (void)context;
    struct reader first, second;
    bool is_leader;
    struct flight *flight = flight_ref(join(&first, "k", true, &is_leader));
    listen_to(flight);
    join(&second, "k", true, &is_leader);
    waiter_leave(&first.waiter);
    waiter_leave(&first.waiter); /* waits for nothing: harmless */
    assert_int_equal(desertions, 0);
    assert_false(flight_hide_if_deserted(flight));
    waiter_leave(&second.waiter);
    assert_int_equal(desertions, 1);
    assert_int_equal(flights_count(flights), 1);
    assert_true(flight_hide_if_deserted(flight));
    assert_int_equal(flights_count(flights), 0);
    flight_fail(flight, 1);
    flight_unref(&flight);
}

static void test_nobody_is_told_after_the_end(void **context)
{
    (void)context;
    struct reader reader;
    bool is_leader;
    struct flight *flight = flight_ref(join(&reader, "k", true, &is_leader));
    listen_to(flight);
    flight_end(flight);
    waiter_leave(&reader.waiter);
    assert_int_equal(desertions + rooms, 0);
    flight_unref(&flight);
}

static void test_3_2_a_failure_is_seen_by_all(void **context)
{
    (void)context;
    struct reader readers[3];
    bool is_leader;
    struct flight_view view;
    struct flight *flight = flight_ref(join(&readers[0], "k", true, &is_leader));
    join(&readers[1], "k", true, &is_leader);
    join(&readers[2], "k", true, &is_leader);
    flight_fail(flight, 7);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(readers[i].wakes, 1);
        waiter_look(&readers[i].waiter, purges, &view);
        assert_int_equal(view.phase, FLIGHT_FAILED);
        assert_int_equal(view.failure, 7);
        waiter_leave(&readers[i].waiter);
    }
    flight_unref(&flight);
}

/* --- purge records that a flight still needs --- */

static void test_6_3_a_flight_that_may_be_stored_counts_until_it_is_gone(void **context)
{
    (void)context;
    struct reader reader;
    bool is_leader;
    struct purge_subject about = subject();
    const struct purge_order order = {
        .kind = PURGE_URL, .host = SLICE("other.example"), .path = SLICE("/b")};
    uint64_t purged;
    assert_true(flights_oldest_stamp() == UINT64_MAX);
    struct flight *passing = flight_new_private(&about, false);
    assert_true(flights_oldest_stamp() == UINT64_MAX);
    struct flight *alone = flight_new_private(&about, true);
    assert_int_equal(purge_add(purges, &order, now.wall, &purged), 0);
    struct flight *shared = join(&reader, "k", true, &is_leader);
    assert_true(shared->stamp > alone->stamp);
    assert_true(flights_oldest_stamp() == alone->stamp);
    purge_forget(purges, flights_oldest_stamp());
    assert_int_equal(purge_check(purges, &about), PURGE_ALIVE);
    flight_forgo_storing(alone); /* too large, say: it may go on for hours */
    assert_true(flights_oldest_stamp() == shared->stamp);
    flight_hide(shared); /* nobody joins it any more, but its answer is still to come */
    assert_true(flights_oldest_stamp() == shared->stamp);
    flight_unref(&passing);
    flight_unref(&alone);
    waiter_leave(&reader.waiter);
    assert_true(flights_oldest_stamp() == UINT64_MAX);
}

/* --- room --- */

static struct flight *private_flight(struct reader *reader, bool is_kept)
{
    struct purge_subject about = subject();
    struct flight *flight = flight_new_private(&about, is_kept);
    *reader = (struct reader){.waiter.wake = count_wake};
    waiter_attach(&reader->waiter, flight);
    listen_to(flight);
    publish(flight, SIZE_MAX, is_kept);
    return flight;
}

static void test_7_8_the_fetch_waits_beyond_the_window_and_goes_on_at_its_half(void **context)
{
    (void)context;
    struct reader reader;
    struct flight *flight = private_flight(&reader, false);
    assert_true(append_pattern(flight, WINDOW, WINDOW));
    assert_false(waiter_is_awaited(&reader.waiter));
    assert_false(append_pattern(flight, 1, WINDOW));
    bool is_end;
    size_t unread = WINDOW + 1;
    while (unread > WINDOW / 2 + 1) { /* a reader that takes little at a time asks for nothing */
        check_peek(&reader.waiter, &is_end);
        size_t step = unread - WINDOW / 2 - 1 < 1000 ? unread - WINDOW / 2 - 1 : 1000;
        waiter_advance(&reader.waiter, step);
        unread -= step;
        assert_int_equal(rooms, 0);
        assert_true(waiter_is_awaited(&reader.waiter));
    }
    waiter_advance(&reader.waiter, 1);
    assert_int_equal(rooms, 1);
    assert_false(waiter_is_awaited(&reader.waiter));
    waiter_advance(&reader.waiter, 10);
    assert_int_equal(rooms, 1); /* once per pause */
    flight_end(flight);
    waiter_leave(&reader.waiter);
    flight_unref(&flight);
}

static void test_the_slowest_reader_decides_and_room_comes_when_it_leaves(void **context)
{
    (void)context;
    struct reader slow, fast;
    struct flight *flight = private_flight(&slow, false);
    fast = (struct reader){.waiter.wake = count_wake};
    waiter_attach(&fast.waiter, flight);
    assert_false(append_pattern(flight, WINDOW + 1, WINDOW));
    bool is_end;
    waiter_advance(&fast.waiter, check_peek(&fast.waiter, &is_end));
    assert_int_equal(rooms, 0);
    assert_true(waiter_is_awaited(&slow.waiter) && !waiter_is_awaited(&fast.waiter));
    waiter_leave(&slow.waiter);
    assert_int_equal(rooms, 1);
    assert_int_equal(desertions, 0);
    flight_end(flight);
    waiter_leave(&fast.waiter);
    flight_unref(&flight);
}

static void test_what_comes_during_a_pause_does_not_end_it(void **context)
{
    (void)context;
    struct reader reader;
    struct flight *flight = private_flight(&reader, false);
    bool is_end;
    assert_false(append_pattern(flight, WINDOW + 1, WINDOW));
    assert_true(append_pattern(flight, 1, 64 * WINDOW)); /* the rest of what was read already */
    assert_true(waiter_is_awaited(&reader.waiter));
    for (size_t n; (n = check_peek(&reader.waiter, &is_end)) > 0;)
        waiter_advance(&reader.waiter, n);
    assert_int_equal(rooms, 1);
    flight_end(flight);
    waiter_leave(&reader.waiter);
    flight_unref(&flight);
}

static void test_nobody_is_awaited_once_the_renderer_is_done(void **context)
{
    (void)context;
    struct reader reader;
    struct flight *flight = private_flight(&reader, false);
    assert_false(append_pattern(flight, WINDOW + 1, WINDOW));
    flight_end(flight);
    assert_false(waiter_is_awaited(&reader.waiter));
    waiter_leave(&reader.waiter);
    flight_unref(&flight);
}

static void test_a_paused_fetch_is_told_of_room_when_all_have_left(void **context)
{
    (void)context;
    struct reader reader;
    struct flight *flight = private_flight(&reader, false);
    assert_false(append_pattern(flight, WINDOW + 1, WINDOW));
    waiter_leave(&reader.waiter); /* a refresh goes on to its end: it must not stay paused */
    assert_int_equal(desertions, 1);
    assert_int_equal(rooms, 1);
    assert_true(append_pattern(flight, WINDOW, 0)); /* nobody reads: nothing is unread */
    flight_end(flight);
    flight_unref(&flight);
}

static void test_what_is_stored_never_waits_for_a_reader(void **context)
{
    (void)context;
    struct reader reader;
    struct flight *flight = private_flight(&reader, true);
    for (int i = 0; i < 20; i++)
        assert_true(append_pattern(flight, WINDOW, WINDOW));
    assert_int_equal(flight->freed_bytes, 0);
    flight_forgo_storing(flight); /* too large after all: from here on it does */
    assert_false(append_pattern(flight, 1, WINDOW));
    bool is_end;
    uint64_t read = 0;
    for (size_t n; (n = check_peek(&reader.waiter, &is_end)) > 0; read += n)
        waiter_advance(&reader.waiter, n);
    assert_int_equal(read, 20 * WINDOW + 1);
    assert_int_equal(rooms, 1);
    assert_true(flight->freed_bytes + LARGEST_CHUNK >= read);
    flight_end(flight);
    waiter_leave(&reader.waiter);
    flight_unref(&flight);
}

/* --- the body --- */

static void check_body(size_t announced, size_t sent, size_t step)
{
    struct reader reader;
    struct purge_subject about = subject();
    struct flight *flight = flight_new_private(&about, true);
    flight->max_stored_bytes = 1 << 20;
    reader = (struct reader){.waiter.wake = count_wake};
    waiter_attach(&reader.waiter, flight);
    publish(flight, announced, true);
    for (size_t at = 0; at < sent; at += step)
        append_pattern(flight, sent - at < step ? sent - at : step, WINDOW);
    struct blob *body = flight_body(flight);
    assert_int_equal(body ? body->len : 0, sent);
    for (size_t i = 0; i < sent; i++)
        MUST((unsigned char)body->bytes[i] == pattern(i));
    bool is_end;
    for (size_t n; (n = check_peek(&reader.waiter, &is_end)) > 0;) {
        assert_false(is_end);
        waiter_advance(&reader.waiter, n);
    }
    assert_false(is_end);
    flight_end(flight);
    assert_int_equal(check_peek(&reader.waiter, &is_end), 0);
    assert_true(is_end);
    waiter_leave(&reader.waiter);
    flight_unref(&flight);
    blob_unref(&body);
}

static void test_the_body_of_a_kept_flight_is_what_was_appended(void **context)
{
    (void)context;
    check_body(SIZE_MAX, 0, 1);
    check_body(0, 0, 1);
    check_body(SIZE_MAX, 1, 1);
    check_body(50000, 50000, 50000); /* one chunk: the very bytes */
    check_body(50000, 50000, 777);
    check_body(50000, 49999, 777);
    check_body(100, 300, 7);           /* more than announced */
    check_body(2 << 20, 500000, 4096); /* announced more than is stored: not made at once */
    check_body(SIZE_MAX, 900000, 60000);
}

/* --- random operations against a naive model --- */

enum { READERS = 5, STEPS = 4000 };

struct model {
    struct flight *flight;
    struct reader readers[READERS];
    bool is_present[READERS];
    uint64_t positions[READERS], received;
    size_t window; /* that of the pause, if there is one */
    bool is_kept, is_paused;
    unsigned rooms;
};

static uint64_t model_slowest(const struct model *m)
{
    uint64_t slowest = m->received;
    for (size_t i = 0; i < READERS; i++)
        if (m->is_present[i] && m->positions[i] < slowest)
            slowest = m->positions[i];
    return slowest;
}

static void model_progress(struct model *m)
{
    if (!m->is_paused || m->received - model_slowest(m) > m->window / 2)
        return;
    m->is_paused = false;
    m->rooms++;
}

static void random_append(struct model *m)
{
    size_t count = (size_t)(random() % 40000), window = random() % 2 ? WINDOW : 4 * WINDOW;
    m->received += count;
    bool fits = m->is_kept || m->received - model_slowest(m) <= window;
    assert_int_equal(append_pattern(m->flight, count, window), fits);
    m->window = m->is_paused ? m->window : window;
    m->is_paused |= !fits;
}

static void random_read(struct model *m, size_t i)
{
    bool is_end;
    size_t seen = check_peek(&m->readers[i].waiter, &is_end);
    assert_false(is_end);
    assert_true(seen <= m->received - m->positions[i]);
    assert_int_equal(seen == 0, m->positions[i] == m->received);
    size_t step = seen ? (size_t)random() % (seen + 1) : 0;
    waiter_advance(&m->readers[i].waiter, step);
    m->positions[i] += step;
    model_progress(m);
    assert_int_equal(m->readers[i].waiter.position, m->positions[i]);
}

static void random_leave(struct model *m, size_t i)
{
    waiter_leave(&m->readers[i].waiter);
    m->is_present[i] = false;
    model_progress(m);
}

static void check_model(const struct model *m)
{
    const struct flight *flight = m->flight;
    assert_int_equal(flight->received_bytes, m->received);
    assert_int_equal(rooms, m->rooms);
    if (m->is_kept)
        assert_int_equal(flight->freed_bytes, 0);
    else
        assert_true(flight->freed_bytes <= model_slowest(m) &&
                    flight->freed_bytes + LARGEST_CHUNK >= model_slowest(m));
}

static void run_model(unsigned seed, bool is_kept)
{
    struct purge_subject about = subject();
    struct model m = {.is_kept = is_kept, .flight = flight_new_private(&about, is_kept)};
    srandom(seed);
    for (size_t i = 0; i < READERS; i++) {
        m.readers[i].waiter.wake = count_wake;
        waiter_attach(&m.readers[i].waiter, m.flight);
        m.is_present[i] = true;
    }
    listen_to(m.flight);
    publish(m.flight, random() % 2 ? SIZE_MAX : (size_t)(random() % 3000000), is_kept);
    for (int step = 0; step < STEPS && m.received < (8 << 20); step++) {
        size_t i = (size_t)random() % READERS;
        if (random() % (m.is_paused ? 30 : 3) == 0) /* what was read before the pause comes too */
            random_append(&m);
        else if (m.is_present[i] && random() % 400 == 0)
            random_leave(&m, i);
        else if (m.is_present[i])
            random_read(&m, i);
        if (m.is_kept && random() % 2000 == 0) {
            flight_forgo_storing(m.flight);
            m.is_kept = false;
        }
        check_model(&m);
    }
    flight_end(m.flight);
    for (size_t i = 0; i < READERS; i++)
        waiter_leave(&m.readers[i].waiter);
    flight_unref(&m.flight);
}

static void test_random_operations_agree_with_the_model(void **context)
{
    (void)context;
    for (unsigned seed = 1; seed <= 12; seed++)
        run_model(seed, seed % 2);
}

/* --- threads: one appends, others join, read and leave --- */

enum { THREADS = 3, BODY_BYTES = 3 << 20, MOST_APPENDED = 30000 };

struct event { /* what wake() and on_room() do to another thread: only post */
    pthread_mutex_t lock;
    pthread_cond_t come;
    bool is_there;
};

static void event_init(struct event *event)
{
    pthread_mutex_init(&event->lock, NULL);
    pthread_cond_init(&event->come, NULL);
    event->is_there = false;
}

static void event_fini(struct event *event)
{
    pthread_mutex_destroy(&event->lock);
    pthread_cond_destroy(&event->come);
}

static void event_post(struct event *event)
{
    pthread_mutex_lock(&event->lock);
    event->is_there = true;
    pthread_cond_signal(&event->come);
    pthread_mutex_unlock(&event->lock);
}

static void event_wait(struct event *event)
{
    pthread_mutex_lock(&event->lock);
    while (!event->is_there)
        pthread_cond_wait(&event->come, &event->lock);
    event->is_there = false;
    pthread_mutex_unlock(&event->lock);
}

struct thread_reader {
    pthread_t thread;
    struct waiter waiter;
    struct event woken;
    uint64_t leave_at; /* bytes; BODY_BYTES: reads to the end */
    unsigned seed;
    bool saw_end;
};

static void post_wake(struct waiter *waiter)
{
    event_post(&container_of(waiter, struct thread_reader, waiter)->woken);
}

static void read_all(struct thread_reader *reader)
{
    struct waiter *waiter = &reader->waiter;
    struct flight_view view;
    while (!reader->saw_end && (waiter->position < reader->leave_at || !reader->leave_at)) {
        size_t seen = check_peek(waiter, &reader->saw_end);
        if (seen == 0 && !reader->saw_end) {
            event_wait(&reader->woken);
            waiter_look(waiter, purges, &view);
            MUST(view.phase != FLIGHT_FAILED);
            continue;
        }
        size_t step = reader->saw_end ? seen : 1 + (size_t)rand_r(&reader->seed) % (seen + 1);
        waiter_advance(waiter, step < seen ? step : seen);
    }
    if (reader->saw_end)
        MUST(waiter->position == BODY_BYTES);
    waiter_leave(waiter);
}

static void *run_reader(void *arg)
{
    read_all(arg);
    return NULL;
}

static struct event room;

static void post_room(struct flight *flight)
{
    (void)flight;
    event_post(&room);
}

static void ignore_desertion(struct flight *flight)
{
    (void)flight;
}

static void produce(struct flight *flight, size_t window)
{
    unsigned seed = 99;
    while (flight->received_bytes < BODY_BYTES) {
        size_t left = (size_t)(BODY_BYTES - flight->received_bytes),
               count = 1 + (size_t)rand_r(&seed) % MOST_APPENDED;
        if (!append_pattern(flight, count < left ? count : left, window))
            event_wait(&room);
    }
}

static void test_threads_read_what_another_appends_within_the_window(void **context)
{
    (void)context;
    struct purge_subject about = subject();
    struct flight *flight = flight_new_private(&about, false);
    struct thread_reader readers[THREADS] = {0};
    event_init(&room);
    flight->on_room = post_room;
    flight->on_deserted = ignore_desertion;
    for (unsigned i = 0; i < THREADS; i++) {
        event_init(&readers[i].woken);
        readers[i].waiter.wake = post_wake;
        readers[i].seed = i;
        readers[i].leave_at = i == 0 ? BODY_BYTES / 3 : 0;
        waiter_attach(&readers[i].waiter, flight);
    }
    publish(flight, SIZE_MAX, false);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&readers[i].thread, NULL, run_reader, &readers[i]);
    produce(flight, WINDOW);
    flight_end(flight);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].saw_end, i > 0);
        event_fini(&readers[i].woken);
    }
    assert_int_equal(atomic_load(&flight->refs), 1);
    assert_true(flight->freed_bytes + LARGEST_CHUNK >= BODY_BYTES);
    flight_unref(&flight);
    event_fini(&room);
}

static void *run_joiner(void *arg)
{
    struct thread_reader *reader = arg;
    struct flight_wanted wanted = wanted_under("k");
    struct purge_subject about = subject();
    bool is_leader;
    wanted.left_before--; /* only joins */
    if (flight_join(flights, &wanted, purges, &about, &reader->waiter, &is_leader))
        read_all(reader);
    else
        reader->saw_end = true; /* it was over before */
    return NULL;
}

static void test_threads_join_a_kept_flight_at_any_time_from_its_first_byte(void **context)
{
    (void)context;
    struct reader leader;
    bool is_leader;
    struct flight *flight = flight_ref(join(&leader, "k", true, &is_leader));
    struct thread_reader readers[THREADS] = {0};
    for (unsigned i = 0; i < THREADS; i++) {
        event_init(&readers[i].woken);
        readers[i].waiter.wake = post_wake;
        readers[i].seed = i;
        pthread_create(&readers[i].thread, NULL, run_joiner, &readers[i]);
    }
    publish(flight, SIZE_MAX, true);
    produce(flight, WINDOW);
    struct blob *body = flight_body(flight);
    flight_end(flight);
    assert_int_equal(flights_count(flights), 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_true(readers[i].saw_end);
        event_fini(&readers[i].woken);
    }
    for (size_t i = 0; i < BODY_BYTES; i++)
        MUST((unsigned char)body->bytes[i] == pattern(i));
    blob_unref(&body);
    waiter_leave(&leader.waiter);
    assert_int_equal(atomic_load(&flight->refs), 1);
    flight_unref(&flight);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_3_1_the_first_leads_and_others_join),
        TEST(test_3_1_a_flight_is_found_under_its_final_key_only),
        TEST(test_3_1_rekeying_to_a_key_that_is_taken_hides_the_flight),
        TEST(test_1_1_a_flight_is_shared_by_the_text_of_its_key),
        TEST(test_hidden_flights_are_not_joined),
        TEST(test_a_refresh_is_started_once_and_may_be_joined),
        TEST(test_3_1_who_asked_memory_before_a_flight_left_asks_it_again),
        TEST(test_3_1_who_has_asked_memory_again_starts_one_although_others_go_on_leaving),
        TEST(test_3_3_a_flight_older_than_a_matching_purge_is_replaced),
        TEST(test_3_3_a_purge_of_something_else_does_not_matter),
        TEST(test_3_3_waiters_see_that_a_tag_of_the_head_was_purged),
        TEST(test_3_4_the_last_waiter_that_leaves_is_told_once),
        TEST(test_nobody_is_told_after_the_end),
        TEST(test_3_2_a_failure_is_seen_by_all),
        TEST(test_6_3_a_flight_that_may_be_stored_counts_until_it_is_gone),
        TEST(test_7_8_the_fetch_waits_beyond_the_window_and_goes_on_at_its_half),
        TEST(test_the_slowest_reader_decides_and_room_comes_when_it_leaves),
        TEST(test_what_comes_during_a_pause_does_not_end_it),
        TEST(test_nobody_is_awaited_once_the_renderer_is_done),
        TEST(test_a_paused_fetch_is_told_of_room_when_all_have_left),
        TEST(test_what_is_stored_never_waits_for_a_reader),
        TEST(test_the_body_of_a_kept_flight_is_what_was_appended),
        TEST(test_random_operations_agree_with_the_model),
        TEST(test_threads_read_what_another_appends_within_the_window),
        TEST(test_threads_join_a_kept_flight_at_any_time_from_its_first_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
