/* edge/proc/shared.c: one memory, seen by all processes. */
#include "edge/proc/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
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

static void test_9_2_what_a_reload_says_is_cut_between_lines_and_says_so(void **context)
{
    char text[2 * RELOAD_TEXT_BYTES] = "", cut[RELOAD_TEXT_BYTES];
    size_t used = 0, lines = 0;
    (void)context;
    reload_text_write(cut, SLICE_NONE);
    assert_string_equal(cut, "");
    reload_text_write(cut, SLICE("one\ntwo\n\n"));
    assert_string_equal(cut, "one\ntwo");
    for (; used < RELOAD_TEXT_BYTES - 1 - 9; lines++) /* up to the last byte */
        used += (size_t)snprintf(text + used, sizeof(text) - used, "line %03zu\n", lines);
    text[used - 1] = '\0';
    while (used < RELOAD_TEXT_BYTES)
        text[used - 1] = 'x', text[used++] = '\0';
    reload_text_write(cut, slice_of_string(text));
    assert_string_equal(cut, text);
    snprintf(text + used - 1, sizeof(text) - used, "\nlast 1\nlast 2\n");
    reload_text_write(cut, slice_of_string(text));
    slice rest = slice_of_string(cut), line;
    for (size_t i = 0; slice_next(&rest, '\n', &line) && rest.ptr; i++) {
        assert_true(slice_starts_with(line, SLICE("line ")));
        lines--;
    }
    char note[64];
    snprintf(note, sizeof(note), "%zu more lines: see `varve check`, or the log", lines + 2);
    assert_true(slice_equal(line, slice_of_string(note)));
}

static void test_9_2_one_very_long_line_is_cut_between_letters(void **context)
{
    char text[2 * RELOAD_TEXT_BYTES], cut[RELOAD_TEXT_BYTES];
    (void)context;
    for (size_t shift = 0; shift < 2; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof(text); i += 2)
            memcpy(text + i, "\xc3\xbc", 3);
        reload_text_write(cut, slice_of_string(text));
        size_t length = strlen(cut) - strlen("…");
        assert_string_equal(cut + length, "…");
        assert_memory_equal(cut, text, length);
        assert_int_equal(length % 2, shift); /* no half of a letter */
        memcpy(text + RELOAD_TEXT_BYTES + 500, "\nnext", 6);
        reload_text_write(cut, slice_of_string(text));
        assert_true(slice_ends_with(slice_of_string(cut),
                                    SLICE("…\n1 more line: see `varve check`, or the log")));
    }
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
        cmocka_unit_test(test_9_2_what_a_reload_says_is_cut_between_lines_and_says_so),
        cmocka_unit_test(test_9_2_one_very_long_line_is_cut_between_letters),
        cmocka_unit_test(test_the_size_cannot_be_changed_under_others),
        cmocka_unit_test(test_other_memory_is_refused),
        cmocka_unit_test(test_ticket_keys_of_two_masters_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
