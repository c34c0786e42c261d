/* A pool alone: addresses, builds, back-off and the budget of retries, with a clock that is ours.
 */
#include "edge/origin/pool.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct worker_config worker;
    struct origin_config config;
    void *region;
    struct pool *pool;
    struct sockaddr_storage at[20];
    socklen_t bytes[20];
};

static mono_time at(int64_t ms)
{
    return (mono_time){ms};
}

static int make(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    char error[256];
    f->worker = (struct worker_config){.host = SLICE("renderer.example"), .port = 3000};
    f->config = (struct origin_config){
        .name = SLICE("renderer"),
        .workers = &f->worker,
        .worker_count = 1,
        .slots = 2,
        .shed_at = 32,
        .queue_is_per_slot = true,
        .connections = 4,
        .first_byte = {30000},
        .probe = {.up_after = 2, .down_after = 3, .expect = 200, .every = {2000}},
        .slot_max = {1000}};
    f->region = mem_alloc(slots_region_bytes());
    slots_region_init(f->region);
    f->pool = pool_new(&f->config, f->region, 1, error, sizeof(error));
    *state = f;
    return f->pool ? 0 : -1;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    pool_free(f->pool);
    free(f->region);
    free(f);
    return 0;
}

static void set_v4(struct fixture *f, size_t i, const char *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&f->at[i];
    memset(&f->at[i], 0, sizeof(f->at[i]));
    *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(3000)};
    inet_pton(AF_INET, address, &v4->sin_addr);
    f->bytes[i] = sizeof(*v4);
}

static void resolve(struct fixture *f, size_t count)
{
    pool_set_addresses(f->pool, 0, f->at, f->bytes, count, at(1));
}

static struct origin_state state_of(struct fixture *f)
{
    return pool_state(f->pool);
}

/* Asks for a slot; the waiter must not be queued: there is no loop here. */
static enum pool_answer ask(struct fixture *f, struct permit *permit, mono_time now)
{
    struct slot_waiter waiter = {.wants_slot = true};
    enum pool_answer answer = pool_ask(f->pool, &waiter, false, now);
    if (answer == POOL_QUEUED)
        assert_true(pool_leave(f->pool, &waiter));
    *permit = waiter.permit;
    return answer;
}

static void test_9_6_each_address_is_a_worker_and_a_failed_lookup_changes_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(state_of(f).workers, 1);
    assert_int_equal(state_of(f).live_workers, 0);
    set_v4(f, 0, "192.0.2.1");
    set_v4(f, 1, "192.0.2.2");
    resolve(f, 2);
    assert_int_equal(state_of(f).live_workers, 2);
    assert_int_equal(state_of(f).live_slots, 4);
    resolve(f, 0);
    assert_int_equal(state_of(f).live_workers, 2);
    resolve(f, 1);
    assert_int_equal(state_of(f).workers, 1);
    resolve(f, 2);
    assert_int_equal(state_of(f).live_workers, 2);
    assert_true(slice_equal(f->pool->workers[0]->name, SLICE("renderer/0")));
    assert_true(slice_equal(f->pool->workers[1]->name, SLICE("renderer/0.1")));
}

static void test_a_name_that_changes_all_day_does_not_fill_the_memory(void **state)
{
    struct fixture *f = *state;
    char address[32];
    for (int i = 0; i < 2000; i++) {
        snprintf(address, sizeof(address), "192.0.%d.%d", i / 200, i % 200 + 1);
        set_v4(f, 0, address);
        resolve(f, 1);
        assert_int_equal(state_of(f).live_workers, 1);
    }
    assert_in_range(f->pool->worker_count, 1, 2);
}

static void resolve_both_loopbacks(struct fixture *f)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&f->at[1];
    set_v4(f, 0, "127.0.0.1");
    *v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = htons(3000), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    f->bytes[1] = sizeof(*v6);
    resolve(f, 2);
}

static void test_both_loopback_addresses_share_their_slots(void **state)
{
    struct fixture *f = *state;
    struct permit permits[3];
    resolve_both_loopbacks(f);
    assert_int_equal(state_of(f).live_workers, 2);
    assert_int_equal(state_of(f).live_slots, 2);
    assert_int_equal(ask(f, &permits[0], at(10)), POOL_GRANTED);
    assert_int_equal(ask(f, &permits[1], at(10)), POOL_GRANTED);
    assert_int_equal(ask(f, &permits[2], at(10)), POOL_QUEUED);
    assert_int_equal(state_of(f).busy_slots, 2);
    pool_return(&permits[0], at(20));
    pool_return(&permits[1], at(20));
}

static void test_7_3_of_two_addresses_of_one_machine_one_that_answers_has_the_slots(void **state)
{
    struct fixture *f = *state;
    struct permit permits[3];
    resolve_both_loopbacks(f);
    pool_worker_failed(f->pool->workers[0], SLICE("refused"), at(5)); /* it listens on ::1 alone */
    assert_int_equal(state_of(f).live_slots, 2);
    assert_int_equal(ask(f, &permits[0], at(10)), POOL_GRANTED);
    assert_int_equal(ask(f, &permits[1], at(10)), POOL_GRANTED);
    assert_int_equal(ask(f, &permits[2], at(10)), POOL_QUEUED);
    pool_return(&permits[0], at(20));
    pool_return(&permits[1], at(20));
}

static void test_7_6_a_try_that_was_accepted_and_not_answered_is_none_again_at_once(void **state)
{
    struct fixture *f = *state;
    struct permit first, second;
    set_v4(f, 0, "192.0.2.1");
    set_v4(f, 1, "192.0.2.2");
    resolve(f, 2);
    struct worker *broken = f->pool->workers[0];
    pool_worker_failed(broken, SLICE("refused"), at(1000));
    assert_int_equal(ask(f, &first, at(1100)), POOL_GRANTED);
    assert_ptr_equal(first.worker, broken);
    first.is_used = true;
    pool_return(&first, at(1101)); /* a proxy before it took the connection, and closed it */
    assert_int_equal(ask(f, &second, at(1102)), POOL_GRANTED);
    assert_ptr_equal(second.worker, f->pool->workers[1]);
    pool_return(&second, at(1103));
    /* who left before he tried it has taken nothing from the next one */
    assert_int_equal(ask(f, &first, at(1300)), POOL_GRANTED);
    assert_ptr_equal(first.worker, broken);
    pool_return(&first, at(1301));
    assert_int_equal(ask(f, &second, at(1302)), POOL_GRANTED);
    assert_ptr_equal(second.worker, broken);
    pool_return(&second, at(1303));
}

static void test_a_refusing_worker_gets_one_try_after_each_quarter_of_its_time_away(void **state)
{
    struct fixture *f = *state;
    struct permit permit, other;
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    struct worker *worker = f->pool->workers[0];
    int64_t down = 1000, now = down, tries = 0;
    pool_worker_failed(worker, SLICE("refused"), at(now));
    while (now < down + 60000) {
        int64_t away = now - down;
        int64_t wait = away < 400 ? 100 : away > 20000 ? 5000 : away / 4;
        assert_int_equal(ask(f, &permit, at(now + wait - 1)), POOL_ALL_DOWN);
        now += wait;
        tries++;
        assert_int_equal(ask(f, &permit, at(now)), POOL_GRANTED);
        assert_int_equal(ask(f, &other, at(now)), POOL_ALL_DOWN); /* one try at a time */
        pool_worker_failed(worker, SLICE("refused"), at(now));
        pool_return(&permit, at(now));
    }
    assert_in_range(tries, 25, 35);
    now += 5000;
    assert_int_equal(ask(f, &permit, at(now)), POOL_GRANTED);
    pool_worker_answered(worker, at(now));
    assert_int_equal(ask(f, &other, at(now)), POOL_GRANTED);
    assert_int_equal(state_of(f).live_workers, 1);
    pool_return(&permit, at(now));
    pool_return(&other, at(now));
}

static void test_7_7_retries_are_a_tenth_of_the_last_ten_seconds_but_three_at_least(void **state)
{
    struct fixture *f = *state;
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    for (int i = 0; i < 3; i++)
        assert_true(pool_may_retry(f->pool, at(50000)));
    assert_false(pool_may_retry(f->pool, at(59999)));
    assert_true(pool_may_retry(f->pool, at(60000))); /* ten seconds later */
    for (int i = 0; i < 100; i++)
        pool_worker_answered(f->pool->workers[0], at(60001));
    for (int i = 0; i < 9; i++)
        assert_true(pool_may_retry(f->pool, at(61000)));
    assert_false(pool_may_retry(f->pool, at(61000)));
}

static void note(struct fixture *f, const char *value, int64_t ms)
{
    pool_note_build(f->pool->workers[0], slice_of_string(value), at(ms));
}

static void assert_newest(struct fixture *f, const char *value)
{
    assert_true(slice_equal(f->pool->newest_build->value, slice_of_string(value)));
}

static void test_1_1_while_a_deploy_rolls_the_new_build_stays_the_newest(void **state)
{
    struct fixture *f = *state;
    note(f, "", 0);
    assert_null(f->pool->newest_build);
    note(f, "one", 1000);
    note(f, "two", 2000);
    note(f, "one", 2500); /* an old worker still answers */
    assert_newest(f, "two");
    note(f, "two", 3000);
    note(f, "one", 60000);
    assert_newest(f, "two");
    note(f, "one", 63001); /* "two" was not seen for a minute: it was taken back */
    assert_newest(f, "one");
    char value[16];
    for (int i = 0; i < POOL_BUILDS_MAX + 10; i++) {
        snprintf(value, sizeof(value), "b%d", i);
        note(f, value, 70000);
    }
    assert_int_equal(f->pool->build_count, POOL_BUILDS_MAX);
}

static void test_who_may_wait_for_a_renderer_that_starts_waits_and_who_may_not_is_told(void **state)
{
    struct fixture *f = *state;
    struct permit permit;
    set_v4(f, 0, "127.0.0.1");
    resolve(f, 1);
    struct slot_worker *slots = f->pool->workers[0]->slots;
    slots_set_gate(f->region, slots, GATE_HELD, at(10));
    assert_int_equal(ask(f, &permit, at(10)), POOL_QUEUED);
    assert_int_equal(state_of(f).live_workers, 1);
    assert_int_equal(state_of(f).live_slots, 0); /* who has a stale page need not wait */
    slots_set_gate(f->region, slots, GATE_CLOSED, at(10));
    assert_int_equal(ask(f, &permit, at(11)), POOL_ALL_DOWN);
    assert_int_equal(state_of(f).live_workers, 0);
    slots_set_gate(f->region, slots, GATE_OPEN, at(10));
    assert_int_equal(ask(f, &permit, at(12)), POOL_GRANTED);
    pool_return(&permit, at(13));
}

static void test_7_5_a_restarted_renderer_is_not_down_for_what_the_old_one_did(void **state)
{
    struct fixture *f = *state;
    struct permit first, second;
    set_v4(f, 0, "127.0.0.1");
    resolve(f, 1);
    struct worker *worker = f->pool->workers[0];
    pool_worker_failed(worker, SLICE("refused"), at(10));
    assert_int_equal(ask(f, &first, at(11)), POOL_ALL_DOWN);
    slots_set_gate(f->region, worker->slots, GATE_HELD, at(10)); /* the master starts it anew */
    assert_int_equal(ask(f, &first, at(12)), POOL_QUEUED);
    atomic_fetch_add(&slots_renderer(worker->slots)->readied, 1);
    slots_set_gate(f->region, worker->slots, GATE_OPEN, at(10));
    assert_int_equal(ask(f, &first, at(13)), POOL_GRANTED);
    assert_int_equal(ask(f, &second, at(13)), POOL_GRANTED); /* not one as a try, but both */
    pool_return(&first, at(14));
    pool_return(&second, at(14));
}

static void test_7_5_who_was_refused_waits_for_the_process_that_is_started_anew(void **state)
{
    struct fixture *f = *state;
    struct loop_message told = {.is_posted = true}; /* so none is posted: there is no loop here */
    struct slot_waiter waiter = {.wants_slot = true, .message = &told};
    f->config.spawn.is_set = true;
    set_v4(f, 0, "127.0.0.1");
    resolve(f, 1);
    struct worker *worker = f->pool->workers[0];
    assert_int_equal(pool_ask(f->pool, &waiter, false, at(10)), POOL_GRANTED);
    pool_note_tried(&waiter, worker);
    pool_worker_failed(worker, SLICE("refused"), at(11));
    pool_return(&waiter.permit, at(11));
    /* its master has not seen it die yet */
    assert_int_equal(pool_ask(f->pool, &waiter, true, at(12)), POOL_QUEUED);
    slots_set_gate(f->region, worker->slots, GATE_HELD, at(10));
    pool_poll(f->pool, at(5000));
    assert_int_equal(waiter.state, WAITER_QUEUED);
    atomic_fetch_add(&slots_renderer(worker->slots)->readied, 1);
    slots_set_gate(f->region, worker->slots, GATE_OPEN, at(10));
    pool_poll(f->pool, at(5100));
    assert_int_equal(waiter.state, WAITER_GRANTED);
    /* that one refuses too, and nobody sees it die: it lives, and does not listen */
    pool_note_tried(&waiter, worker);
    pool_worker_failed(worker, SLICE("refused"), at(5200));
    pool_return(&waiter.permit, at(5200));
    assert_int_equal(pool_ask(f->pool, &waiter, true, at(5201)), POOL_QUEUED);
    pool_poll(f->pool, at(6300));
    assert_int_equal(waiter.state, WAITER_ALL_DOWN);
}

static void test_7_7_one_that_breaks_off_connections_and_lives_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    struct loop_message told = {.is_posted = true};
    struct slot_waiter waiter = {.wants_slot = true, .message = &told};
    f->config.spawn.is_set = true;
    set_v4(f, 0, "127.0.0.1");
    resolve(f, 1);
    struct worker *worker = f->pool->workers[0];
    assert_int_equal(pool_ask(f->pool, &waiter, false, at(10)), POOL_GRANTED);
    assert_false(pool_worker_broke(worker, 0, at(1000)));
    assert_true(pool_worker_broke(worker, 1, at(1010))); /* was it dying? */
    pool_note_tried(&waiter, worker);
    pool_return(&waiter.permit, at(1020));
    assert_int_equal(pool_ask(f->pool, &waiter, true, at(1020)), POOL_QUEUED);
    for (int64_t now = 1300; now < 2000; now += 300) {
        assert_false(pool_worker_broke(worker, 2, at(now)));
        pool_poll(f->pool, at(now));
        assert_int_equal(waiter.state, WAITER_QUEUED);
    }
    assert_false(pool_worker_broke(worker, 3, at(2100)));
    pool_poll(f->pool, at(2100));
    assert_int_equal(waiter.state, WAITER_ALL_DOWN);
    /* an answer shows that it lives: what it breaks off later is a new doubt */
    pool_worker_answered(worker, at(2200));
    pool_poll(f->pool, at(2250));
    assert_false(pool_worker_broke(worker, 4, at(2300)));
    pool_worker_answered(worker, at(2310)); /* it may have been said before it began to die */
    pool_poll(f->pool, at(2320));
    assert_true(pool_worker_broke(worker, 5, at(2330)));
    pool_poll(f->pool, at(9000)); /* but then it was not dying */
    assert_false(pool_worker_broke(worker, 6, at(9010)));
    assert_true(pool_worker_broke(worker, 7, at(9020)));
}

static void
test_7_6_the_first_success_after_all_were_down_admits_one_render_until_it_is_answered(void **state)
{
    struct fixture *f = *state;
    struct permit first, one, more[2];
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    struct worker *worker = f->pool->workers[0];
    pool_worker_failed(worker, SLICE("refused"), at(1000));
    assert_int_equal(ask(f, &first, at(1100)), POOL_GRANTED);
    pool_worker_answered(worker, at(1110));
    assert_int_equal(worker->state, WORKER_STARTING);
    pool_return(&first, at(1120));
    assert_int_equal(ask(f, &one, at(1130)), POOL_GRANTED);
    assert_int_equal(ask(f, &more[0], at(1140)), POOL_QUEUED); /* a slot is free, but kept back */
    pool_worker_answered(worker, at(1150));
    pool_return(&one, at(1160));
    assert_int_equal(ask(f, &more[0], at(1170)), POOL_GRANTED);
    assert_int_equal(worker->state, WORKER_LIVE);
    assert_int_equal(ask(f, &more[1], at(1170)), POOL_GRANTED);
    pool_return(&more[0], at(1180));
    pool_return(&more[1], at(1180));
}

static void test_7_6_a_slow_start_whose_one_render_fails_or_hangs_goes_on(void **state)
{
    struct fixture *f = *state;
    struct permit permit, other;
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    struct worker *worker = f->pool->workers[0];
    pool_worker_failed(worker, SLICE("refused"), at(1000));
    pool_worker_answered(worker, at(1100));
    assert_int_equal(ask(f, &permit, at(1110)), POOL_GRANTED);
    pool_return(&permit, at(1120)); /* no answer: the next one is the one */
    assert_int_equal(ask(f, &permit, at(1130)), POOL_GRANTED);
    assert_int_equal(ask(f, &other, at(1130)), POOL_QUEUED);
    assert_int_equal(ask(f, &other, at(31099)), POOL_QUEUED);
    assert_int_equal(ask(f, &other, at(31100)), POOL_GRANTED); /* first_byte has passed */
    pool_return(&permit, at(31200));
    pool_return(&other, at(31200));
}

static void test_7_6_no_slow_start_while_another_worker_is_up(void **state)
{
    struct fixture *f = *state;
    struct permit permits[4];
    set_v4(f, 0, "192.0.2.1");
    set_v4(f, 1, "192.0.2.2");
    resolve(f, 2);
    pool_worker_failed(f->pool->workers[0], SLICE("refused"), at(1000));
    pool_worker_answered(f->pool->workers[0], at(1100));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ask(f, &permits[i], at(1110)), POOL_GRANTED);
    for (size_t i = 0; i < 4; i++)
        pool_return(&permits[i], at(1120));
}

static void test_7_6_a_state_is_shown_for_a_second_and_what_flaps_in_one_line(void **state)
{
    struct fixture *f = *state;
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    struct worker *worker = f->pool->workers[0];
    pool_worker_failed(worker, SLICE("refused"), at(1000)); /* told at once */
    assert_int_equal(worker->untold, 0);
    for (int i = 1; i <= 4; i++) {
        pool_worker_answered(worker, at(1000 + i * 200));
        if (i < 4)
            pool_worker_failed(worker, SLICE("refused"), at(1100 + i * 200));
    }
    assert_int_equal(worker->untold, 7);
    pool_tell(f->pool, at(1999));
    assert_int_equal(worker->untold, 7);
    pool_tell(f->pool, at(2000));
    assert_int_equal(worker->untold, 0);
    assert_int_equal(worker->counters.downs, 4);
    assert_int_equal(worker->counters.ups, 4);
}

/* Asks the worker what is due then, and answers it at once. */
static enum inquiry inquire(struct fixture *f, unsigned status, mono_time now)
{
    struct permit permit;
    enum inquiry inquiry = pool_take_inquiry(f->pool, &permit, now);
    if (inquiry == INQUIRY_NONE)
        return inquiry;
    pool_end_inquiry(permit.worker, inquiry, status, SLICE_NONE, now);
    pool_return(&permit, now);
    return inquiry;
}

/* Up to `limit`, when a probe becomes due: answered with `status`. */
static mono_time probe_next(struct fixture *f, unsigned status, mono_time from, int64_t limit)
{
    for (mono_time now = from; now.ms <= from.ms + limit; now.ms++)
        if (inquire(f, status, now) == INQUIRY_PROBE)
            return now;
    fail_msg("no probe within %d ms", (int)limit);
    return from;
}

static void
test_7_6_B3_down_after_so_many_failed_probes_and_up_after_so_many_good_ones(void **state)
{
    struct fixture *f = *state;
    struct permit permit;
    f->config.probe.path = SLICE("/healthz");
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    struct worker *worker = f->pool->workers[0];
    mono_time now = probe_next(f, 500, at(1), 2000);
    now = probe_next(f, 500, at(now.ms + 1), 2200);
    assert_true(now.ms >= 2000);
    now = probe_next(f, 200, at(now.ms + 1), 2200); /* two are not three */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(worker->state, WORKER_LIVE);
        now = probe_next(f, 500, at(now.ms + 1), 2200);
    }
    assert_int_equal(worker->state, WORKER_DOWN);
    assert_int_equal(ask(f, &permit, at(now.ms + 60000)), POOL_ALL_DOWN); /* not even as a try */
    pool_worker_answered(worker, now); /* a render that began before */
    assert_int_equal(worker->state, WORKER_DOWN);
    int64_t wait = 0;
    for (int i = 0; i < 5; i++) {
        mono_time next = probe_next(f, 0, at(now.ms + 1), 5600);
        wait = next.ms - now.ms;
        now = next;
    }
    assert_in_range(wait, 5000, 5500); /* less and less often */
    now = probe_next(f, 200, at(now.ms + 1), 5600);
    assert_int_equal(worker->state, WORKER_DOWN);
    now = probe_next(f, 200, at(now.ms + 1), 2200);
    assert_int_equal(worker->state, WORKER_LIVE);
    assert_int_equal(ask(f, &permit, now), POOL_GRANTED);
    pool_return(&permit, now);
}

static void test_7_6_B3_a_probe_takes_a_slot_and_waits_for_an_idle_one(void **state)
{
    struct fixture *f = *state;
    struct permit renders[2], probe;
    f->config.probe.path = SLICE("/healthz");
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    assert_int_equal(ask(f, &renders[0], at(10)), POOL_GRANTED);
    assert_int_equal(ask(f, &renders[1], at(10)), POOL_GRANTED);
    assert_int_equal(pool_take_inquiry(f->pool, &probe, at(9000)), INQUIRY_NONE);
    pool_return(&renders[0], at(9001));
    assert_int_equal(pool_take_inquiry(f->pool, &probe, at(9001)), INQUIRY_PROBE);
    assert_int_equal(state_of(f).busy_slots, 2);
    assert_int_equal(ask(f, &renders[0], at(9002)), POOL_QUEUED);
    pool_end_inquiry(probe.worker, INQUIRY_PROBE, 0, SLICE("first_byte_timeout"), at(9500));
    assert_int_equal(state_of(f).busy_slots, 2); /* it has not answered yet */
    assert_int_equal(pool_take_inquiry(f->pool, &renders[0], at(30000)), INQUIRY_NONE);
    pool_return(&probe, at(30001));
    assert_int_equal(ask(f, &renders[0], at(30002)), POOL_GRANTED);
    pool_return(&renders[0], at(30003));
    pool_return(&renders[1], at(30003));
}

static void
test_G2_a_worker_is_warmed_up_once_before_its_first_render_and_after_being_down(void **state)
{
    struct fixture *f = *state;
    struct permit warmup, permit;
    f->config.warmup = SLICE("/_ah/warmup");
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    struct worker *worker = f->pool->workers[0];
    assert_int_equal(ask(f, &permit, at(10)), POOL_QUEUED);
    assert_int_equal(pool_take_inquiry(f->pool, &warmup, at(10)), INQUIRY_WARMUP);
    assert_int_equal(pool_take_inquiry(f->pool, &permit, at(10)), INQUIRY_NONE);
    assert_int_equal(ask(f, &permit, at(11)), POOL_QUEUED);
    pool_end_inquiry(worker, INQUIRY_WARMUP, 200, SLICE_NONE, at(20));
    pool_return(&warmup, at(20));
    assert_int_equal(ask(f, &permit, at(21)), POOL_GRANTED);
    pool_return(&permit, at(22));
    assert_int_equal(inquire(f, 200, at(60000)), INQUIRY_NONE); /* once */
    pool_worker_failed(worker, SLICE("refused"), at(60001));
    assert_int_equal(ask(f, &permit, at(60200)), POOL_ALL_DOWN); /* the warm-up is the try */
    assert_int_equal(inquire(f, 200, at(60100)), INQUIRY_NONE);
    assert_int_equal(inquire(f, 200, at(60101)), INQUIRY_WARMUP);
    assert_int_equal(ask(f, &permit, at(60201)), POOL_GRANTED);
    pool_return(&permit, at(60202));
    assert_int_equal(inquire(f, 200, at(90000)), INQUIRY_NONE);
}

static void test_G2_a_warm_up_without_an_answer_does_not_keep_a_worker_out(void **state)
{
    struct fixture *f = *state;
    struct permit permit;
    f->config.warmup = SLICE("/_ah/warmup");
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    assert_int_equal(inquire(f, 0, at(10)), INQUIRY_WARMUP);
    assert_int_equal(ask(f, &permit, at(11)), POOL_GRANTED);
    pool_return(&permit, at(12));
}

static void test_7_3_what_was_stuck_or_refused_says_nothing_of_how_long_one_waits(void **state)
{
    struct fixture *f = *state;
    struct permit quick, stuck, unseen;
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    assert_int_equal(ask(f, &quick, at(1000)), POOL_GRANTED);
    pool_return(&quick, at(1010));
    assert_int_equal(ask(f, &stuck, at(2000)), POOL_GRANTED);
    assert_int_equal(ask(f, &unseen, at(2000)), POOL_GRANTED);
    unseen.is_unseen = true;
    pool_return(&unseen, at(2000));
    pool_mark_stuck(&stuck);
    pool_return(&stuck, at(62000));
    assert_int_equal(f->pool->render.us, 10000);
    assert_int_equal(ask(f, &quick, at(70000)), POOL_GRANTED);
    pool_return(&quick, at(70030));
    assert_int_equal(f->pool->render.us, 20000);
}

/* --- builds that are asked for --- */

static struct worker *ask_for_builds(struct fixture *f)
{
    f->config.build_probe = SLICE("/_api/version");
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    return f->pool->workers[0];
}

/* Asks the worker for its build, which must be due, and answers. */
static void tell_build(struct fixture *f, const char *id, mono_time now)
{
    struct permit permit;
    assert_int_equal(pool_take_inquiry(f->pool, &permit, now), INQUIRY_BUILD);
    assert_int_equal(pool_take_inquiry(f->pool, &(struct permit){0}, now), INQUIRY_NONE);
    pool_end_build(permit.worker, slice_of_string(id), SLICE("status 404"), now);
    pool_return(&permit, now);
}

static bool is_build_due(struct fixture *f, mono_time now)
{
    struct permit permit;
    if (pool_take_inquiry(f->pool, &permit, now) != INQUIRY_BUILD)
        return false;
    pool_end_build(permit.worker, SLICE("b"), SLICE_NONE, now);
    pool_return(&permit, now);
    return true;
}

static slice build_of_an_answer(struct fixture *f, const char *named, int64_t ms)
{
    return pool_note_build(f->pool->workers[0], slice_of_string(named), at(ms));
}

static void test_1_1_G2_a_worker_tells_its_build_before_its_first_render(void **state)
{
    struct fixture *f = *state;
    struct permit permit;
    ask_for_builds(f);
    assert_int_equal(ask(f, &permit, at(2)), POOL_QUEUED);
    tell_build(f, "v1", at(3));
    assert_newest(f, "v1");
    assert_int_equal(ask(f, &permit, at(4)), POOL_GRANTED);
    assert_true(slice_equal(build_of_an_answer(f, "", 5), SLICE("v1")));
    pool_return(&permit, at(6));
    assert_false(is_build_due(f, at(9000)));
    assert_true(is_build_due(f, at(11100)));
}

static void test_1_1_G2_after_the_warm_up(void **state)
{
    struct fixture *f = *state;
    struct permit permit;
    f->config.warmup = SLICE("/_ah/warmup");
    ask_for_builds(f);
    assert_int_equal(inquire(f, 200, at(20000)), INQUIRY_WARMUP); /* it took its time */
    assert_int_equal(ask(f, &permit, at(20001)), POOL_QUEUED);
    tell_build(f, "v1", at(20002));
    assert_int_equal(ask(f, &permit, at(20003)), POOL_GRANTED);
    pool_return(&permit, at(20004));
}

/* What is due is taken until nothing is: put off, it must not be due at once. */
static void put_off(struct fixture *f, enum inquiry due, int64_t ms)
{
    struct permit permit;
    assert_int_equal(pool_take_inquiry(f->pool, &permit, at(ms)), due);
    pool_put_off_inquiry(permit.worker, at(ms));
    pool_return(&permit, at(ms));
    assert_int_equal(inquire(f, 200, at(ms)), INQUIRY_NONE);
    assert_int_equal(inquire(f, 200, at(ms + 999)), INQUIRY_NONE);
}

static void
test_7_6_G2_what_varve_itself_could_not_ask_is_asked_a_second_later_whatever_it_is(void **state)
{
    struct fixture *f = *state;
    f->config.warmup = SLICE("/_ah/warmup");
    f->config.probe.path = SLICE("/healthz");
    ask_for_builds(f);
    put_off(f, INQUIRY_WARMUP, 5000);
    assert_int_equal(inquire(f, 200, at(6000)), INQUIRY_WARMUP);
    put_off(f, INQUIRY_BUILD, 6000);
    tell_build(f, "v1", at(7000));
    put_off(f, INQUIRY_PROBE, 7000);
    assert_int_equal(inquire(f, 200, at(8000)), INQUIRY_PROBE);
    assert_int_equal(f->pool->workers[0]->probes_alike, 1);
}

static void test_7_6_G2_a_worker_that_is_down_is_asked_a_second_later_too(void **state)
{
    struct fixture *f = *state;
    struct permit permit;
    f->config.warmup = SLICE("/_ah/warmup");
    set_v4(f, 0, "192.0.2.1");
    resolve(f, 1);
    pool_worker_failed(f->pool->workers[0], SLICE("refused"), at(10));
    put_off(f, INQUIRY_WARMUP, 2000);
    assert_int_equal(inquire(f, 200, at(3000)), INQUIRY_WARMUP);
    assert_int_equal(ask(f, &permit, at(3001)), POOL_GRANTED);
    pool_return(&permit, at(3002));
}

static void test_1_1_no_build_is_asked_for_beside_a_render_in_the_only_slot(void **state)
{
    struct fixture *f = *state;
    struct permit renders[2];
    ask_for_builds(f);
    tell_build(f, "v1", at(3));
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(f, &renders[i], at(4)), POOL_GRANTED);
    assert_false(is_build_due(f, at(60000)));
    pool_return(&renders[0], at(60001));
    assert_true(is_build_due(f, at(60001)));
    pool_return(&renders[1], at(60002));
}

static void test_1_1_renders_wait_a_second_for_the_build_and_no_longer(void **state)
{
    struct fixture *f = *state;
    struct permit permit;
    struct worker *worker = ask_for_builds(f);
    assert_int_equal(ask(f, &permit, at(1000)), POOL_QUEUED);
    assert_int_equal(ask(f, &permit, at(1001)), POOL_GRANTED);
    assert_int_equal(build_of_an_answer(f, "", 1002).len, 0);
    assert_null(worker->build);
    pool_return(&permit, at(1003));
}

static void test_1_1_a_worker_that_comes_up_or_is_another_process_is_asked_anew(void **state)
{
    struct fixture *f = *state;
    struct permit permit;
    struct worker *worker = ask_for_builds(f);
    tell_build(f, "v1", at(3));
    pool_worker_failed(worker, SLICE("refused"), at(100));
    assert_null(worker->build);
    assert_false(is_build_due(f, at(101))); /* a visitor's request is the try, not this */
    assert_int_equal(ask(f, &permit, at(200)), POOL_GRANTED);
    pool_worker_answered(worker, at(201));
    assert_int_equal(build_of_an_answer(f, "", 201).len, 0);
    pool_return(&permit, at(202));
    assert_int_equal(ask(f, &permit, at(203)), POOL_QUEUED);
    tell_build(f, "v1", at(204));
    assert_int_equal(ask(f, &permit, at(205)), POOL_GRANTED);
    pool_worker_answered(worker, at(206));
    pool_return(&permit, at(206));
    atomic_fetch_add(&slots_renderer(worker->slots)->readied, 1);
    assert_int_equal(ask(f, &permit, at(300)), POOL_QUEUED);
    tell_build(f, "v2", at(301));
    assert_newest(f, "v2");
}

static void test_1_1_a_worker_that_does_not_tell_is_asked_less_and_less(void **state)
{
    struct fixture *f = *state;
    struct permit permit;
    struct worker *worker = ask_for_builds(f);
    int64_t now = 3, wait = 10000;
    tell_build(f, "v1", at(now));
    for (int i = 0; i < 9; i++) {
        now = worker->build_at.ms;
        tell_build(f, "", at(now));
        wait = wait * 2 < 600000 ? wait * 2 : 600000;
        assert_in_range(worker->build_at.ms - now, wait, wait + wait / 10);
        assert_true(slice_equal(build_of_an_answer(f, "", now), SLICE("v1"))); /* as far as known */
        assert_int_equal(ask(f, &permit, at(now + 1)), POOL_GRANTED);
        pool_return(&permit, at(now + 1));
    }
    assert_int_equal(worker->counters.unclear_builds, 9);
    now = worker->build_at.ms;
    tell_build(f, "v2", at(now));
    assert_in_range(worker->build_at.ms - now, 10000, 11000);
}

static void test_1_1_what_answers_say_of_their_build_counts_more(void **state)
{
    struct fixture *f = *state;
    struct permit permit;
    struct worker *worker = ask_for_builds(f);
    tell_build(f, "asked", at(3));
    assert_true(slice_equal(build_of_an_answer(f, "named", 4), SLICE("named")));
    assert_newest(f, "named");
    assert_true(slice_equal(worker->build->value, SLICE("named")));
    assert_false(is_build_due(f, at(90000))); /* and nobody is asked any more */
    pool_worker_failed(worker, SLICE("refused"), at(90000));
    assert_int_equal(ask(f, &permit, at(90200)), POOL_GRANTED);
    pool_worker_answered(worker, at(90201));
    assert_int_equal(worker->render_at.ms, 0);
    pool_return(&permit, at(90202));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(test_9_6_each_address_is_a_worker_and_a_failed_lookup_changes_nothing),
        TEST(test_a_name_that_changes_all_day_does_not_fill_the_memory),
        TEST(test_both_loopback_addresses_share_their_slots),
        TEST(test_7_3_of_two_addresses_of_one_machine_one_that_answers_has_the_slots),
        TEST(test_7_6_a_try_that_was_accepted_and_not_answered_is_none_again_at_once),
        TEST(test_7_7_one_that_breaks_off_connections_and_lives_is_not_waited_for),
        TEST(test_a_refusing_worker_gets_one_try_after_each_quarter_of_its_time_away),
        TEST(test_7_6_the_first_success_after_all_were_down_admits_one_render_until_it_is_answered),
        TEST(test_7_6_a_slow_start_whose_one_render_fails_or_hangs_goes_on),
        TEST(test_7_6_no_slow_start_while_another_worker_is_up),
        TEST(test_7_6_a_state_is_shown_for_a_second_and_what_flaps_in_one_line),
        TEST(test_7_6_B3_down_after_so_many_failed_probes_and_up_after_so_many_good_ones),
        TEST(test_7_6_B3_a_probe_takes_a_slot_and_waits_for_an_idle_one),
        TEST(test_G2_a_worker_is_warmed_up_once_before_its_first_render_and_after_being_down),
        TEST(test_G2_a_warm_up_without_an_answer_does_not_keep_a_worker_out),
        TEST(test_7_6_G2_what_varve_itself_could_not_ask_is_asked_a_second_later_whatever_it_is),
        TEST(test_7_6_G2_a_worker_that_is_down_is_asked_a_second_later_too),
        TEST(test_1_1_G2_a_worker_tells_its_build_before_its_first_render),
        TEST(test_1_1_G2_after_the_warm_up),
        TEST(test_1_1_no_build_is_asked_for_beside_a_render_in_the_only_slot),
        TEST(test_1_1_renders_wait_a_second_for_the_build_and_no_longer),
        TEST(test_1_1_a_worker_that_comes_up_or_is_another_process_is_asked_anew),
        TEST(test_1_1_a_worker_that_does_not_tell_is_asked_less_and_less),
        TEST(test_1_1_what_answers_say_of_their_build_counts_more),
        TEST(test_7_7_retries_are_a_tenth_of_the_last_ten_seconds_but_three_at_least),
        TEST(test_1_1_while_a_deploy_rolls_the_new_build_stays_the_newest),
        TEST(test_who_may_wait_for_a_renderer_that_starts_waits_and_who_may_not_is_told),
        TEST(test_7_5_a_restarted_renderer_is_not_down_for_what_the_old_one_did),
        TEST(test_7_5_who_was_refused_waits_for_the_process_that_is_started_anew),
        TEST(test_7_3_what_was_stuck_or_refused_says_nothing_of_how_long_one_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
