/* edge/proc/shared.c: one memory, seen by all processes. */
#include "edge/proc/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_regions_are_apart_and_on_pages(void **context)
{
    (void)context;
    int fd;
    struct shared *shared = shared_make(&fd);
    assert_non_null(shared);
    uintptr_t slots = (uintptr_t)shared_slots(shared), purges = (uintptr_t)shared_purges(shared);
    uintptr_t counters = (uintptr_t)shared_counters(shared), start = (uintptr_t)shared;
    assert_true(start + sizeof(*shared) <= slots);
    assert_true(slots < purges && purges < counters);
    assert_true(counters + counters_region_bytes() <= start + shared->bytes);
    assert_int_equal((slots | purges | counters) % 4096, 0);
    assert_int_equal(shared->master, getpid());
    shared_unmap(shared);
    close(fd);
}

static void count_in_child(int fd)
{
    struct shared *shared = shared_map(fd);
    if (!shared)
        _exit(1);
    struct counters *counters = counters_attach(shared_counters(shared));
    counter_add(counters_series(counters, SLICE("varve_test_total")), 5);
    atomic_store(&shared->places[1].in_store, 7);
    _exit(0);
}

static void test_9_2_what_a_process_counts_outlives_it(void **context)
{
    (void)context;
    int fd, status;
    struct shared *shared = shared_make(&fd);
    assert_non_null(shared);
    struct counters *counters = counters_attach(shared_counters(shared));
    counter_add(counters_series(counters, SLICE("varve_test_total")), 2);
    pid_t child = fork();
    if (child == 0)
        count_in_child(fd);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(atomic_load(counters_series(counters, SLICE("varve_test_total"))), 7);
    assert_int_equal(atomic_load(&shared->places[1].in_store), 7);
    shared_unmap(shared);
    close(fd);
}

static void test_the_size_cannot_be_changed_under_others(void **context)
{
    (void)context;
    int fd;
    struct shared *shared = shared_make(&fd);
    assert_non_null(shared);
    assert_int_equal(ftruncate(fd, 4096), -1);
    assert_int_equal(errno, EPERM);
    shared_unmap(shared);
    close(fd);
}

static void test_other_memory_is_refused(void **context)
{
    (void)context;
    int fd;
    struct shared *shared = shared_make(&fd);
    assert_non_null(shared);
    shared->magic++;
    assert_null(shared_map(fd));
    assert_int_equal(errno, EPROTO);
    shared_unmap(shared);
    close(fd);

    fd = memfd_create("other", MFD_CLOEXEC);
    assert_null(shared_map(fd)); /* empty: not even a header */
    assert_int_equal(errno, EPROTO);
    close(fd);
    assert_null(shared_map(-1));
}

static void test_ticket_keys_of_two_masters_differ(void **context)
{
    (void)context;
    int first_fd, second_fd;
    struct shared *first = shared_make(&first_fd), *second = shared_make(&second_fd);
    assert_non_null(first);
    assert_non_null(second);
    assert_memory_not_equal(first->ticket_key, second->ticket_key, TICKET_KEY_BYTES);
    shared_unmap(first);
    shared_unmap(second);
    close(first_fd);
    close(second_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regions_are_apart_and_on_pages),
        cmocka_unit_test(test_9_2_what_a_process_counts_outlives_it),
        cmocka_unit_test(test_the_size_cannot_be_changed_under_others),
        cmocka_unit_test(test_other_memory_is_refused),
        cmocka_unit_test(test_ticket_keys_of_two_masters_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
