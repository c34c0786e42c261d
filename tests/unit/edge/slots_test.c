/* The slot table: one process, two processes, and a process that is killed. */
#include "edge/origin/slots.h"

#include "edge/origin/origin.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

static int make_region(void **state)
{
    *state = map(slots_region_bytes());
    slots_region_init(*state);
    return 0;
}

static int drop_region(void **state)
{
    return munmap(*state, slots_region_bytes());
}

static mono_time at(int64_t ms)
{
    return (mono_time){ms};
}

static void test_7_1_no_more_than_the_limit_are_taken(void **state)
{
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    assert_int_equal(slot_take(worker, 2, 1, at(10)), 0);
    assert_int_equal(slot_take(worker, 2, 1, at(11)), 1);
    assert_int_equal(slot_take(worker, 2, 1, at(12)), -1);
    uint32_t freed = slots_freed(*state);
    slot_release(*state, worker, 0, 1, at(20));
    assert_int_not_equal(slots_freed(*state), freed);
    assert_int_equal(slot_take(worker, 2, 1, at(21)), 0);
    assert_int_equal(slot_view(worker, 0).since.ms, 21);
    assert_int_equal(slot_view(worker, 0).owner, 1);
}

static void test_the_longest_idle_slot_is_taken_first(void **state)
{
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(slot_take(worker, 3, 1, at(1)), i);
    slot_release(*state, worker, 1, 1, at(10));
    slot_release(*state, worker, 0, 1, at(20));
    mono_time idle_since;
    unsigned busy;
    assert_true(slot_peek(worker, 3, &idle_since, &busy));
    assert_int_equal(idle_since.ms, 10);
    assert_int_equal(slot_take(worker, 3, 1, at(30)), 1);
}

static void test_a_smaller_limit_counts_what_an_older_process_still_holds(void **state)
{
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    slot_take(worker, 3, 1, at(1));
    slot_take(worker, 3, 1, at(1));
    assert_int_equal(slot_take(worker, 3, 1, at(1)), 2);
    slot_release(*state, worker, 0, 1, at(2));
    slot_release(*state, worker, 1, 1, at(2));
    assert_int_equal(slot_take(worker, 1, 2, at(3)), -1); /* slot 2 is still busy */
    slot_release(*state, worker, 2, 1, at(4));
    assert_int_equal(slot_take(worker, 1, 2, at(5)), 0);
}

static void test_a_slot_is_freed_only_by_its_owner(void **state)
{
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    int slot = slot_take(worker, 1, 1, at(1));
    slot_release(*state, worker, (unsigned)slot, 2, at(2));
    assert_int_equal(slot_view(worker, 0).state, SLOT_BUSY);
    assert_false(slot_mark(worker, 0, 2, SLOT_STUCK));
    assert_true(slot_mark(worker, 0, 1, SLOT_STUCK));
    assert_int_equal(slot_view(worker, 0).since.ms, 1);
    slot_release(*state, worker, 0, 1, at(3));
    assert_int_equal(slot_view(worker, 0).state, SLOT_FREE);
}

static void test_7_2_slots_of_a_dead_owner_are_free_only_after_slot_max_and_an_answer(void **state)
{
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    assert_ptr_equal(slots_attach(*state, SLICE("a"), 2), worker);
    slot_take(worker, 2, 1, at(100));
    slot_take(worker, 2, 1, at(200));
    slots_owner_died(*state, 1);
    assert_int_equal(slot_take(worker, 2, 2, at(300)), -1);
    assert_int_equal(slot_view(worker, 0).state, SLOT_OWNER_DEAD);
    slot_release(*state, worker, 0, 1, at(300)); /* a late release of the dead one's */
    assert_int_equal(slot_view(worker, 0).state, SLOT_OWNER_DEAD);
    assert_int_equal(slot_take_dead(worker, 2, at(100)), -1); /* not old enough */
    assert_int_equal(slot_take_dead(worker, 2, at(101)), 0);
    assert_int_equal(slot_take_dead(worker, 2, at(101)), -1); /* one asks at a time */
    assert_true(slot_mark(worker, 0, 2, SLOT_OWNER_DEAD));    /* no answer */
    assert_int_equal(slot_view(worker, 0).since.ms, 100);
    assert_int_equal(slot_take_dead(worker, 2, at(201)), 0);
    slots_revive(*state, worker, at(201), at(400)); /* the answer frees the other one too */
    slot_release(*state, worker, 0, 2, at(400));
    assert_int_equal(slot_take(worker, 2, 2, at(500)), 0);
    assert_int_equal(slot_take(worker, 2, 2, at(500)), 1);
}

static void test_a_worker_keeps_its_slots_while_somebody_holds_one(void **state)
{
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    slot_take(worker, 1, 1, at(1));
    slots_owner_died(*state, 1);
    struct slot_worker *again = slots_attach(*state, SLICE("a"), 2);
    assert_ptr_equal(again, worker);
    assert_int_equal(slot_take(again, 1, 2, at(2)), -1);
}

static void test_the_table_is_bounded_and_forgets_what_nobody_uses(void **state)
{
    char name[16];
    struct slot_worker *worker = NULL;
    for (int i = 0; i < SLOT_WORKERS_MAX; i++) {
        snprintf(name, sizeof(name), "w%d", i);
        worker = slots_attach(*state, slice_of_string(name), 1);
        assert_non_null(worker);
    }
    assert_null(slots_attach(*state, SLICE("one more"), 1));
    slots_detach(*state, worker, 1);
    assert_non_null(slots_attach(*state, SLICE("one more"), 1));
    slots_owner_died(*state, 1);
    for (int i = 0; i < SLOT_WORKERS_MAX; i++) {
        snprintf(name, sizeof(name), "x%d", i);
        assert_non_null(slots_attach(*state, slice_of_string(name), 2));
    }
}

static void test_long_addresses_that_begin_alike_are_told_apart(void **state)
{
    char a[300], b[300];
    memset(a, 'x', sizeof(a));
    memset(b, 'x', sizeof(b));
    b[299] = 'y';
    struct slot_worker *first = slots_attach(*state, slice_of(a, 300), 1);
    assert_ptr_not_equal(slots_attach(*state, slice_of(b, 300), 1), first);
    assert_ptr_equal(slots_attach(*state, slice_of(a, 300), 1), first);
}

/* --- two processes --- */

struct tally {
    atomic_int now, most;
    atomic_uint takes;
};

static void contend(void *region, struct tally *tally, unsigned rounds)
{
    int pid = (int)getpid();
    struct slot_worker *worker = slots_attach(region, SLICE("shared"), pid);
    for (unsigned i = 0; i < rounds; i++) {
        int slot = slot_take(worker, 2, pid, at(1000 + i));
        if (slot < 0)
            continue;
        int now = atomic_fetch_add(&tally->now, 1) + 1;
        if (now > atomic_load(&tally->most))
            atomic_store(&tally->most, now);
        atomic_fetch_add(&tally->takes, 1);
        atomic_fetch_sub(&tally->now, 1);
        slot_release(region, worker, (unsigned)slot, pid, at(1000 + i));
    }
}

static int start_process(void *region, struct tally *tally, unsigned rounds)
{
    int pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        contend(region, tally, rounds);
        _exit(0);
    }
    return pid;
}

static void test_7_2_two_processes_together_never_hold_more_than_the_slots(void **state)
{
    struct tally *tally = map(sizeof(*tally));
    int status, a = start_process(*state, tally, 50000), b = start_process(*state, tally, 50000);
    assert_int_equal(waitpid(a, &status, 0), a);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(b, &status, 0), b);
    assert_int_equal(status, 0);
    assert_in_range(tally->most, 1, 2);
    assert_true(tally->takes > 0);
    munmap(tally, sizeof(*tally));
}

static void test_7_2_a_killed_process_leaves_its_slots_quarantined_and_nothing_else(void **state)
{
    struct tally *tally = map(sizeof(*tally));
    for (int round = 0; round < 20; round++) {
        int status, killed = start_process(*state, tally, UINT32_MAX);
        unsigned takes = tally->takes;
        while (tally->takes < takes + 100)
            ;
        kill(killed, SIGKILL);
        assert_int_equal(waitpid(killed, &status, 0), killed);
        slots_owner_died(*state, killed);
        struct slot_worker *worker = slots_attach(*state, SLICE("shared"), 1);
        for (unsigned i = 0; i < slots_used(worker); i++) {
            enum slot_state slot = slot_view(worker, i).state;
            assert_true(slot == SLOT_FREE || slot == SLOT_OWNER_DEAD);
        }
        slots_revive(*state, worker, at(INT64_MAX), at(1));
        slots_detach(*state, worker, 1);
    }
    munmap(tally, sizeof(*tally));
}

static void
test_7_2_behind_a_closed_gate_no_slot_is_taken_and_those_who_have_one_keep_it(void **state)
{
    mono_time idle_since;
    unsigned busy;
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    assert_int_equal(slot_take(worker, 2, 1, at(10)), 0);
    uint32_t freed = slots_freed(*state);
    assert_int_equal(slots_gate_since(worker).ms, 0);
    slots_set_gate(*state, worker, GATE_HELD, at(11));
    assert_int_equal(slots_gate_since(worker).ms, 11);
    assert_int_not_equal(slots_freed(*state), freed);
    assert_int_equal(slot_take(worker, 2, 1, at(11)), -1);
    assert_false(slot_peek(worker, 2, &idle_since, &busy));
    assert_int_equal(slots_awaited(worker), 1);
    slot_release(*state, worker, 0, 1, at(12));
    assert_int_equal(slots_awaited(worker), 0);
    slots_set_gate(*state, worker, GATE_OPEN, at(12));
    assert_int_equal(slots_gate_since(worker).ms, 12);
    assert_int_equal(slot_take(worker, 2, 1, at(13)), 1);
}

static void test_requests_without_a_slot_count_as_long_as_their_process_lives(void **state)
{
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    assert_ptr_equal(slots_attach(*state, SLICE("a"), 2), worker);
    slots_count_connection(worker, 1, 1);
    slots_count_connection(worker, 2, 1);
    slots_count_connection(worker, 2, -1);
    assert_int_equal(slots_awaited(worker), 1);
    assert_int_equal(slot_take(worker, 2, 1, at(10)), 0);
    assert_int_equal(slots_awaited(worker), 2);
    slots_owner_died(*state, 1);
    assert_int_equal(slots_awaited(worker), 0); /* it may render on, but for nobody */
}

static void test_7_5_a_process_that_is_gone_renders_nothing_for_dead_owners(void **state)
{
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    slots_attach(*state, SLICE("a"), 2);
    slot_take(worker, 2, 1, at(10));
    assert_int_equal(slot_take(worker, 2, 2, at(10)), 1);
    slots_owner_died(*state, 1);
    slots_bury_renders(*state, worker, at(20));
    assert_int_equal(slot_view(worker, 0).state, SLOT_FREE);
    assert_int_equal(slot_view(worker, 1).state, SLOT_BUSY); /* its owner sees the connection end */
}

static void test_a_worker_is_drained_since_it_was_first_told_so(void **state)
{
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    assert_false(slots_is_drained(worker));
    assert_int_equal(slots_drained_since(worker).ms, 0);
    slots_drain(*state, worker, true, at(50));
    slots_drain(*state, worker, true, at(60));
    assert_ptr_equal(slots_attach(*state, SLICE("a"), 2), worker); /* after a reload */
    slots_detach(*state, worker, 1);
    assert_true(slots_is_drained(worker));
    assert_int_equal(slots_drained_since(worker).ms, 50);
    assert_int_equal(slot_take(worker, 1, 2, at(61)), -1);
    slots_drain(*state, worker, false, at(70));
    assert_false(slots_is_drained(worker));
    assert_int_equal(slot_take(worker, 1, 2, at(71)), 0);
    slots_drain(*state, worker, true, at(80));
    assert_int_equal(slots_drained_since(worker).ms, 80);
}

static void test_a_forgotten_worker_leaves_no_gate_behind(void **state)
{
    struct slot_worker *worker = slots_attach(*state, SLICE("a"), 1);
    slots_set_gate(*state, worker, GATE_CLOSED, at(10));
    atomic_fetch_add(&slots_renderer(worker)->renders, 7);
    slots_detach(*state, worker, 1);
    assert_ptr_equal(slots_attach(*state, SLICE("b"), 1), worker);
    assert_int_equal(slots_gate(worker), GATE_OPEN);
    assert_int_equal(atomic_load(&slots_renderer(worker)->renders), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_region, drop_region)
    const struct CMUnitTest tests[] = {
        TEST(test_7_1_no_more_than_the_limit_are_taken),
        TEST(test_the_longest_idle_slot_is_taken_first),
        TEST(test_a_smaller_limit_counts_what_an_older_process_still_holds),
        TEST(test_a_slot_is_freed_only_by_its_owner),
        TEST(test_7_2_slots_of_a_dead_owner_are_free_only_after_slot_max_and_an_answer),
        TEST(test_a_worker_keeps_its_slots_while_somebody_holds_one),
        TEST(test_the_table_is_bounded_and_forgets_what_nobody_uses),
        TEST(test_long_addresses_that_begin_alike_are_told_apart),
        TEST(test_7_2_two_processes_together_never_hold_more_than_the_slots),
        TEST(test_7_2_a_killed_process_leaves_its_slots_quarantined_and_nothing_else),
        TEST(test_7_2_behind_a_closed_gate_no_slot_is_taken_and_those_who_have_one_keep_it),
        TEST(test_requests_without_a_slot_count_as_long_as_their_process_lives),
        TEST(test_7_5_a_process_that_is_gone_renders_nothing_for_dead_owners),
        TEST(test_a_worker_is_drained_since_it_was_first_told_so),
        TEST(test_a_forgotten_worker_leaves_no_gate_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
