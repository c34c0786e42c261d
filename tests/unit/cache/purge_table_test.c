/*
 * The mutex of the shared region in bad hands: a writer that holds it while it waits for the disk,
 * and one that was killed with it.
 */
#include "cache/purge_table.h"

#include "base/must.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const wall_time now = {1800000000000};
static char directory[64], file_path[96], lock_path[112];
static struct purge_region *region;

static struct purge_table *attach(const char *path)
{
    char error[256] = "";
    struct purge_table *table = purge_attach(region, slice_of_string(path), false, now, error);
    if (!table)
        fail_msg("%s", error);
    return table;
}

static int setup(void **context)
{
    (void)context;
    snprintf(directory, sizeof(directory), "/tmp/varve-purge-XXXXXX");
    MUST(mkdtemp(directory) != NULL);
    snprintf(file_path, sizeof(file_path), "%s/purges", directory);
    snprintf(lock_path, sizeof(lock_path), "%s.lock", file_path);
    region = mmap(NULL, purge_table_bytes(), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(region != MAP_FAILED);
    purge_table_init(region);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    munmap(region, purge_table_bytes());
    unlink(file_path);
    unlink(lock_path);
    return rmdir(directory);
}

static uint64_t add(struct purge_table *table, unsigned number)
{
    char path[32];
    uint64_t stamp = 0;
    snprintf(path, sizeof(path), "/%u", number);
    const struct purge_order order = {.host = SLICE("h"), .path = slice_of_string(path)};
    assert_int_equal(purge_add(table, &order, now, &stamp), 0);
    return stamp;
}

static enum purge_state check(const struct purge_table *table, const char *path, uint64_t stamp)
{
    const struct purge_subject subject = {
        .host = SLICE("h"), .path = slice_of_string(path), .stamp = stamp};
    return purge_check(table, &subject);
}

/* --- a writer that waits --- */

struct waiting {
    struct purge_table *table;
    atomic_bool is_answered;
};

static void *add_one(void *arg)
{
    struct waiting *waiting = arg;
    add(waiting->table, 1);
    atomic_store(&waiting->is_answered, true);
    return NULL;
}

/* The file is somebody else's meanwhile, as it can be that of a disk that hangs. */
static void test_6_3_a_look_up_waits_for_no_purge_that_waits_for_its_file(void **context)
{
    (void)context;
    pthread_t thread;
    struct waiting waiting = {.table = attach(file_path)};
    uint64_t before = purge_stamp(waiting.table);
    int other = open(lock_path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_int_equal(pthread_create(&thread, NULL, add_one, &waiting), 0);
    while (purge_stamp(waiting.table) == before)
        sched_yield();
    alarm(60); /* who waited would wait for ever */
    assert_int_equal(check(waiting.table, "/1", before), PURGE_DEAD);
    assert_int_equal(check(waiting.table, "/2", before), PURGE_ALIVE);
    alarm(0);
    assert_false(atomic_load(&waiting.is_answered)); /* nor is it before it is written */
    assert_int_equal(flock(other, LOCK_UN), 0);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&waiting.is_answered));
    close(other);
    purge_detach(waiting.table);
}

/* --- a writer that is killed --- */

/* The floor is raised before that for which it stands is dropped. */
static void die_behind_the_floor(uint64_t floor)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        purge_region_lock(region);
        atomic_store(&region->floor, floor);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_6_3_a_table_whose_writer_was_killed_while_it_made_room_has_room(void **context)
{
    (void)context;
    struct purge_table *table = attach("");
    uint64_t middle = 0;
    for (unsigned i = 0; i < PURGE_RECORDS_MAX; i++) {
        uint64_t stamp = add(table, i);
        middle = i == PURGE_RECORDS_MAX / 2 - 1 ? stamp : middle;
    }
    die_behind_the_floor(middle);
    assert_int_equal(purge_stats(table).records, PURGE_RECORDS_MAX / 2);
    uint64_t newest = add(table, PURGE_RECORDS_MAX);
    assert_int_equal(purge_stats(table).floor_stamp, middle);
    assert_int_equal(check(table, "/0", middle - 1), PURGE_DEAD);
    assert_int_equal(check(table, "/0", middle), PURGE_ALIVE);
    assert_int_equal(check(table, "/262143", middle), PURGE_DEAD);
    assert_int_equal(check(table, "/262144", newest - 1), PURGE_DEAD);
    purge_detach(table);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_6_3_a_look_up_waits_for_no_purge_that_waits_for_its_file),
        TEST(test_6_3_a_table_whose_writer_was_killed_while_it_made_room_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
