/* Counters: one place per name, over threads and processes, and a full table. */
#include "base/counters.h"

#include "base/must.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct counters *counters;

static int setup(void **unused)
{
    (void)unused;
    void *region = mmap(NULL, counters_region_bytes(), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(region != MAP_FAILED);
    counters_region_init(region);
    counters = counters_attach(region);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    return munmap(counters, counters_region_bytes());
}

struct search {
    slice name;
    uint64_t value;
    size_t place, seen, found;
};

static void search_one(void *arg, slice name, uint64_t value)
{
    struct search *search = arg;
    if (slice_equal(name, search->name)) {
        search->value = value;
        search->place = search->seen;
        search->found++;
    }
    search->seen++;
}

static struct search find(const char *name)
{
    struct search search = {.name = slice_of_string(name)};
    counters_each(counters, search_one, &search);
    return search;
}

static void test_a_name_has_one_place_and_is_shown_in_order_of_first_use(void **unused)
{
    (void)unused;
    counter *b = counters_series(counters, SLICE("b{x=\"1\"}"));
    counter *a = counters_series(counters, SLICE("a"));
    assert_ptr_equal(counters_series(counters, SLICE("b{x=\"1\"}")), b);
    assert_ptr_not_equal(a, b);
    counter_add(b, 2);
    counter_add(b, 3);
    counter_set(a, 7);
    assert_int_equal(find("b{x=\"1\"}").value, 5);
    assert_int_equal(find("a").value, 7);
    assert_int_equal(find("b{x=\"1\"}").place, 0);
    assert_int_equal(find("a").place, 1);
    assert_int_equal(find("a").seen, 2); /* no overflow: not shown */
}

static void test_a_full_table_and_a_long_name_go_to_the_overflow(void **unused)
{
    (void)unused;
    char name[COUNTER_NAME_BYTES + 1];
    memset(name, 'n', sizeof(name));
    counter *overflow = counters_series(counters, slice_of(name, sizeof(name)));
    assert_ptr_not_equal(counters_series(counters, slice_of(name, sizeof(name) - 1)), overflow);
    for (int i = 0; i < COUNTER_SERIES_MAX - 2; i++) {
        snprintf(name, sizeof(name), "series_%d", i);
        assert_ptr_not_equal(counters_series(counters, slice_of_string(name)), overflow);
    }
    assert_ptr_equal(counters_series(counters, SLICE("one_more")), overflow);
    assert_ptr_not_equal(counters_series(counters, SLICE("series_0")), overflow);
    counter_add(overflow, 4);
    assert_int_equal(find("varve_series_overflow_total").value, 4);
    struct histogram histogram;
    histogram_init(&histogram, counters, SLICE("h"), SLICE_NONE);
    histogram_observe(&histogram, 1);
    assert_int_equal(find("varve_series_overflow_total").value, 4 + 1 + 1 + 1);
}

static void test_histogram_buckets_are_cumulative_and_counted(void **unused)
{
    (void)unused;
    struct histogram histogram, same;
    histogram_init(&histogram, counters, SLICE("h"), SLICE("o=\"hit\""));
    histogram_observe(&histogram, 500);
    histogram_observe(&histogram, 501);
    histogram_observe(&histogram, 60000000);
    histogram_observe(&histogram, 60000001);
    assert_int_equal(find("h_bucket{o=\"hit\",le=\"0.0005\"}").value, 1);
    assert_int_equal(find("h_bucket{o=\"hit\",le=\"0.001\"}").value, 2);
    assert_int_equal(find("h_bucket{o=\"hit\",le=\"30\"}").value, 2);
    assert_int_equal(find("h_bucket{o=\"hit\",le=\"60\"}").value, 3);
    assert_int_equal(find("h_bucket{o=\"hit\",le=\"+Inf\"}").value, 4);
    assert_int_equal(find("h_sum{o=\"hit\"}").value, 500 + 501 + 60000000 + 60000001);
    assert_int_equal(find("h_count{o=\"hit\"}").value, 4);
    histogram_init(&same, counters, SLICE("h"), SLICE("o=\"hit\""));
    histogram_observe(&same, 0);
    assert_int_equal(find("h_bucket{o=\"hit\",le=\"0.0005\"}").value, 2);
    assert_int_equal(find("h_bucket{o=\"hit\",le=\"+Inf\"}").value, 5);
    histogram_init(&same, counters, SLICE("h"), SLICE_NONE);
    histogram_observe(&same, 0);
    assert_int_equal(find("h_bucket{le=\"0.0005\"}").value, 1);
    assert_int_equal(find("h_count").value, 1);
}

static void *count_in_thread(void *unused)
{
    (void)unused;
    for (int i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof(name), "thread_%d", i % 50);
        counter_add(counters_series(counters, slice_of_string(name)), 1);
    }
    return NULL;
}

static void test_threads_that_make_the_same_series_share_it(void **unused)
{
    (void)unused;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_in_thread, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof(name), "thread_%d", i);
        assert_int_equal(find(name).found, 1);
        assert_int_equal(find(name).value, 40);
    }
}

static void test_9_2_counters_survive_a_worker_that_is_killed(void **unused)
{
    (void)unused;
    int ends[2];
    char byte;
    MUST(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        counter_add(counters_series(counters, SLICE("of_child")), 9);
        MUST(write(ends[1], "x", 1) == 1);
        for (int i = 0;; i++) { /* makes series until it is killed, perhaps inside the mutex */
            char name[32];
            snprintf(name, sizeof(name), "c%d", i % COUNTER_SERIES_MAX / 2);
            counters_series(counters, slice_of_string(name));
        }
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(find("of_child").value, 9);
    counter_add(counters_series(counters, SLICE("of_child")), 1);
    counter_add(counters_series(counters, SLICE("afterwards")), 1);
    assert_int_equal(find("of_child").value, 10);
    assert_int_equal(find("afterwards").value, 1);
    close(ends[0]);
    close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_name_has_one_place_and_is_shown_in_order_of_first_use),
        TEST(test_a_full_table_and_a_long_name_go_to_the_overflow),
        TEST(test_histogram_buckets_are_cumulative_and_counted),
        TEST(test_threads_that_make_the_same_series_share_it),
        TEST(test_9_2_counters_survive_a_worker_that_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
