/* edge/proc/state.c and set_aside.c: who may use a store, and whether what is in it can be trusted.
 */
#include "edge/proc/set_aside.h"
#include "edge/proc/state.h"

#include "tests/unit/tree.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct user_identity NOBODY;
static const wall_time NOW = {1767225600000}; /* 2026-01-01T00:00:00Z */

struct fixture {
    char root[64], store[128], text[STATE_ERROR_BYTES];
    struct store_state state;
};

static int setup(void **context)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->root, sizeof(f->root), "/tmp/varve-state-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->store, sizeof(f->store), "%s/store", f->root);
    f->state.lock = -1;
    *context = f;
    return 0;
}

static int teardown(void **context)
{
    struct fixture *f = *context;
    state_close(&f->state);
    remove_tree(f->root);
    free(f);
    return 0;
}

static enum store_open open_store(struct fixture *f, bool sync)
{
    f->text[0] = '\0';
    return state_open(&f->state, slice_of_string(f->store), sync, &NOBODY, NOW, f->text);
}

static void write_file(struct fixture *f, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->store, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void read_file(struct fixture *f, const char *name, char text[256])
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->store, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, 255, file)] = '\0';
    fclose(file);
}

static bool exists(struct fixture *f, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->root, name);
    return access(path, F_OK) == 0;
}

/* A store with data, left "dirty" in the boot before this one. */
static void write_state(struct fixture *f, const char *format, uint64_t boot, int clean, int synced)
{
    char line[128];
    snprintf(line, sizeof(line), "varve-store format=%s boot=%016" PRIx64 " clean=%d synced=%d\n",
             format, boot, clean, synced);
    write_file(f, "state", line);
}

/* An environment of LMDB whose meta pages are newer than the file is long. */
static void write_data(struct fixture *f, bool is_whole)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/f1", f->store);
    if (mkdir(path, 0700) != 0)
        assert_int_equal(errno, EEXIST);
    if (!is_whole)
        write_file(f, "f1/data.mdb", "short");
}

static void make_store(struct fixture *f)
{
    assert_int_equal(mkdir(f->store, 0700), 0);
    write_data(f, true);
}

/* Names in the root that start with "store.bad-". */
static int count_set_aside(struct fixture *f, char last[256])
{
    DIR *directory = opendir(f->root);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (strncmp(entry->d_name, "store.bad-", 10) != 0)
            continue;
        snprintf(last, 256, "%s", entry->d_name);
        count++;
    }
    closedir(directory);
    return count;
}

static void assert_set_aside(struct fixture *f, const char *why)
{
    char name[256];
    assert_int_equal(open_store(f, false), STORE_SET_ASIDE);
    assert_non_null(strstr(f->text, why));
    assert_int_equal(count_set_aside(f, name), 1);
    assert_string_equal(name, "store.bad-20260101T000000Z");
    assert_false(exists(f, "store/f1"));
    assert_true(exists(f, "store/state"));
}

static void test_9_3_a_new_store_is_made_private_and_marked_dirty(void **context)
{
    struct fixture *f = *context;
    char text[256], expected[256];
    struct stat status;
    assert_int_equal(open_store(f, false), STORE_OPENED);
    assert_int_equal(stat(f->store, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    read_file(f, "state", text);
    snprintf(expected, sizeof(expected),
             "varve-store format=1 boot=%016" PRIx64 " clean=0 synced=0\n", clock_boot_id());
    assert_string_equal(text, expected);
}

static void test_9_3_directories_above_the_store_are_made(void **context)
{
    struct fixture *f = *context;
    snprintf(f->store, sizeof(f->store), "%s/a/b/store/", f->root);
    assert_int_equal(open_store(f, false), STORE_OPENED);
    assert_true(exists(f, "a/b/store/lock"));
}

static void test_9_3_a_store_of_this_boot_is_kept_though_dirty(void **context)
{
    struct fixture *f = *context;
    make_store(f);
    write_state(f, "1", clock_boot_id(), 0, 0);
    assert_int_equal(open_store(f, false), STORE_OPENED);
    assert_true(exists(f, "store/f1"));
}

static void test_9_3_a_dirty_store_of_another_boot_is_set_aside(void **context)
{
    make_store(*context);
    write_state(*context, "1", clock_boot_id() ^ 1, 0, 0);
    assert_set_aside(*context, "machine went down");
}

static void test_9_3_a_clean_store_of_another_boot_is_kept(void **context)
{
    struct fixture *f = *context;
    make_store(f);
    write_state(f, "1", clock_boot_id() ^ 1, 1, 0);
    assert_int_equal(open_store(f, false), STORE_OPENED);
    assert_true(exists(f, "store/f1"));
}

static void test_9_3_a_synced_store_survives_the_machine(void **context)
{
    struct fixture *f = *context;
    make_store(f);
    write_state(f, "1", clock_boot_id() ^ 1, 0, 1);
    assert_int_equal(open_store(f, true), STORE_OPENED);
    assert_true(exists(f, "store/f1"));
}

static void test_9_3_data_without_state_is_set_aside(void **context)
{
    make_store(*context);
    assert_set_aside(*context, "no state file");
}

static void test_9_3_nonsense_in_the_state_is_set_aside(void **context)
{
    static const char *const NONSENSE[] = {
        "",
        "varve-store",
        "varve-store format=1 boot=0 clean=1 synced=0\n",
        "varve-store format=1 boot=0000000000000001 clean=1 synced=0",
        "varve-store format=1 boot=0000000000000001 clean=1 synced=0\nmore",
        "varve-store format=01 boot=0000000000000001 clean=1 synced=0\n",
        "varve-store format=1 boot=-000000000000001 clean=1 synced=0\n",
        "varve-store format=1 boot=0000000000000001 clean=7 synced=0\n",
        "varve-store format=99999999999 boot=0000000000000001 clean=1 synced=0\n",
    };
    struct fixture *f = *context;
    make_store(f);
    for (size_t i = 0; i < sizeof(NONSENSE) / sizeof(*NONSENSE); i++) {
        write_data(f, true);
        write_file(f, "state", NONSENSE[i]);
        assert_int_equal(open_store(f, false), STORE_SET_ASIDE);
        assert_non_null(strstr(f->text, "damaged"));
        state_close(&f->state);
    }
}

static void test_9_3_another_format_is_set_aside(void **context)
{
    make_store(*context);
    write_state(*context, "2", clock_boot_id(), 1, 0);
    assert_set_aside(*context, "another format");
}

static void test_9_3_a_file_shorter_than_its_last_page_is_set_aside(void **context)
{
    make_store(*context);
    write_data(*context, false);
    write_state(*context, "1", clock_boot_id(), 1, 0);
    assert_set_aside(*context, "shorter");
}

static void test_9_3_only_one_is_kept_and_purges_stay(void **context)
{
    struct fixture *f = *context;
    char name[256];
    make_store(f);
    write_file(f, "purges", "purge log");
    for (int i = 0; i < 3; i++) {
        write_data(f, true);
        write_state(f, "7", 1, 1, 0);
        assert_int_equal(open_store(f, false), STORE_SET_ASIDE);
        state_close(&f->state);
        assert_int_equal(count_set_aside(f, name), 1);
    }
    assert_true(exists(f, "store/purges"));
}

static void test_9_3_what_is_not_ours_beside_the_store_stays(void **context)
{
    struct fixture *f = *context;
    char path[256];
    make_store(f);
    snprintf(path, sizeof(path), "%s/store.bad-news", f->root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/other.bad-20200101T000000Z", f->root);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_store(f, false), STORE_SET_ASIDE);
    assert_true(exists(f, "store.bad-news"));
    assert_true(exists(f, "other.bad-20200101T000000Z"));
}

static void test_9_3_set_aside_while_running_begins_a_new_store(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(open_store(f, false), STORE_OPENED);
    write_data(f, true);
    assert_true(state_set_aside(&f->state, "workers crashed in it", NOW, f->text));
    assert_non_null(strstr(f->text, "workers crashed in it"));
    assert_true(exists(f, "store.bad-20260101T000000Z/f1"));
    assert_false(exists(f, "store/f1"));
    assert_true(exists(f, "store/state"));
    assert_true(exists(f, "store/lock"));
}

static void test_9_3_clean_is_written_and_undone_by_the_next_start(void **context)
{
    struct fixture *f = *context;
    char text[256];
    assert_int_equal(open_store(f, false), STORE_OPENED);
    assert_int_equal(state_write_clean(&f->state), 0);
    read_file(f, "state", text);
    assert_non_null(strstr(text, "clean=1"));
    state_close(&f->state);
    assert_int_equal(open_store(f, false), STORE_OPENED);
    read_file(f, "state", text);
    assert_non_null(strstr(text, "clean=0"));
}

static void assert_synced(struct fixture *f, const char *expected)
{
    char text[256];
    read_file(f, "state", text);
    assert_non_null(strstr(text, expected));
}

static void test_9_3_synced_means_from_the_beginning(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(open_store(f, true), STORE_OPENED); /* new */
    assert_synced(f, "synced=1");
    assert_int_equal(state_set_sync(&f->state, false), 0);
    assert_synced(f, "synced=0");
    assert_int_equal(state_set_sync(&f->state, true), 0);
    assert_synced(f, "synced=0");
    state_close(&f->state);
    write_data(f, true);
    assert_int_equal(open_store(f, true), STORE_OPENED); /* dirty: was it synced? nobody knows */
    assert_synced(f, "synced=0");
    assert_int_equal(state_write_clean(&f->state), 0);
    state_close(&f->state);
    assert_int_equal(open_store(f, true), STORE_OPENED); /* clean: closed after a sync */
    assert_synced(f, "synced=1");
}

static void test_9_3_a_second_instance_is_told_the_pid(void **context)
{
    struct fixture *f = *context;
    struct store_state second;
    char text[STATE_ERROR_BYTES], pid[32];
    assert_int_equal(open_store(f, false), STORE_OPENED);
    snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
    assert_int_equal(state_open(&second, slice_of_string(f->store), false, &NOBODY, NOW, text),
                     STORE_IN_USE);
    assert_non_null(strstr(text, pid));
    state_close(&f->state);
    assert_int_equal(open_store(f, false), STORE_OPENED);
}

/* The master is gone, a worker of it is about to be: the lock is waited for. */
static void test_9_3_the_lock_of_a_dead_master_is_waited_for(void **context)
{
    struct fixture *f = *context;
    int hold[2];
    assert_int_equal(open_store(f, false), STORE_OPENED);
    assert_int_equal(pipe(hold), 0);
    pid_t worker = fork(); /* holds the lock by inheriting it */
    if (worker == 0) {
        char byte;
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(hold[0]);
    write_file(f, "lock", "999999999\n"); /* no such process */
    state_close(&f->state);
    pid_t starter = fork();
    if (starter == 0) {
        close(hold[1]);
        _exit((int)open_store(f, false));
    }
    close(hold[1]); /* the worker ends */
    int status;
    assert_int_equal(waitpid(starter, &status, 0), starter);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), STORE_OPENED);
    waitpid(worker, &status, 0);
}

static void test_a_store_that_is_a_link_is_refused(void **context)
{
    struct fixture *f = *context;
    char elsewhere[128];
    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", f->root);
    assert_int_equal(mkdir(elsewhere, 0700), 0);
    assert_int_equal(symlink(elsewhere, f->store), 0);
    assert_int_equal(open_store(f, false), STORE_UNUSABLE);
    assert_non_null(strstr(f->text, "symbolic link"));
}

static void test_a_file_in_place_of_the_store_is_refused(void **context)
{
    struct fixture *f = *context;
    int fd = open(f->store, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_int_equal(open_store(f, false), STORE_UNUSABLE);
    assert_int_equal(f->state.lock, -1);
}

static void test_without_a_path_nothing_is_done(void **context)
{
    struct fixture *f = *context;
    f->store[0] = '\0';
    assert_int_equal(open_store(f, false), STORE_OPENED);
    assert_int_equal(state_write_clean(&f->state), 0);
    assert_false(state_set_aside(&f->state, "x", NOW, f->text));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_9_3_a_new_store_is_made_private_and_marked_dirty),
        CASE(test_9_3_directories_above_the_store_are_made),
        CASE(test_9_3_a_store_of_this_boot_is_kept_though_dirty),
        CASE(test_9_3_a_dirty_store_of_another_boot_is_set_aside),
        CASE(test_9_3_a_clean_store_of_another_boot_is_kept),
        CASE(test_9_3_a_synced_store_survives_the_machine),
        CASE(test_9_3_data_without_state_is_set_aside),
        CASE(test_9_3_nonsense_in_the_state_is_set_aside),
        CASE(test_9_3_another_format_is_set_aside),
        CASE(test_9_3_a_file_shorter_than_its_last_page_is_set_aside),
        CASE(test_9_3_only_one_is_kept_and_purges_stay),
        CASE(test_9_3_what_is_not_ours_beside_the_store_stays),
        CASE(test_9_3_set_aside_while_running_begins_a_new_store),
        CASE(test_9_3_clean_is_written_and_undone_by_the_next_start),
        CASE(test_9_3_synced_means_from_the_beginning),
        CASE(test_9_3_a_second_instance_is_told_the_pid),
        CASE(test_9_3_the_lock_of_a_dead_master_is_waited_for),
        CASE(test_a_store_that_is_a_link_is_refused),
        CASE(test_a_file_in_place_of_the_store_is_refused),
        CASE(test_without_a_path_nothing_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
