/*
 * The log's thread: what is queued is written, what does not fit is counted, files are reopened, a
 * forked child and a reader that does not read are survived. stderr is a pipe or file of the
 * test's.
 */
#include "base/log.h"

#include "base/must.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64], stderr_path[96], access_path[96], moved_path[96];
static int real_stderr;

static int setup(void **unused)
{
    (void)unused;
    snprintf(directory, sizeof(directory), "/tmp/varve-log-XXXXXX");
    MUST(mkdtemp(directory) != NULL);
    snprintf(stderr_path, sizeof(stderr_path), "%s/stderr", directory);
    snprintf(access_path, sizeof(access_path), "%s/access", directory);
    snprintf(moved_path, sizeof(moved_path), "%s/access.1", directory);
    real_stderr = dup(STDERR_FILENO);
    int fd = open(stderr_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    MUST(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    close(fd);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    log_stop();
    log_set_level(LOG_LEVEL_INFO);
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    unlink(stderr_path);
    unlink(access_path);
    unlink(moved_path);
    return rmdir(directory);
}

static char contents[4 << 20];

static const char *read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, contents, sizeof(contents) - 1);
    if (fd >= 0)
        close(fd);
    contents[got > 0 ? got : 0] = '\0';
    return contents;
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void test_lines_before_start_and_after_stop_go_straight_to_stderr(void **unused)
{
    (void)unused;
    log_info("before", {"n", LOG_NUMBER(1)});
    assert_non_null(strstr(read_file(stderr_path), " info before n=1\n"));
    assert_int_equal(log_start(SLICE("")), 0);
    log_warn("during", {"who", SLICE("a b")});
    log_stop();
    assert_non_null(strstr(read_file(stderr_path), " warn during who=\"a b\"\n"));
    log_error("after");
    assert_non_null(strstr(read_file(stderr_path), " error after\n"));
    log_stop(); /* harmless */
}

static void test_the_level_hides_what_is_below_it(void **unused)
{
    (void)unused;
    assert_false(log_is_on(LOG_LEVEL_DEBUG));
    log_debug("hidden");
    log_set_level(LOG_LEVEL_DEBUG);
    assert_true(log_is_on(LOG_LEVEL_DEBUG));
    log_debug("shown");
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("hidden");
    assert_null(strstr(read_file(stderr_path), "hidden"));
    assert_non_null(strstr(read_file(stderr_path), " debug shown\n"));
}

static void test_access_lines_reach_their_file_in_order(void **unused)
{
    (void)unused;
    uint64_t before = log_dropped();
    assert_int_equal(log_start(slice_of_string(access_path)), 0);
    for (int i = 0; i < 1000; i++) {
        char line[32];
        int length = snprintf(line, sizeof(line), "{\"n\":%d}\n", i);
        assert_true(log_access(slice_of(line, (size_t)length)));
    }
    log_stop();
    const char *text = read_file(access_path);
    for (int i = 0; i < 1000; i++) {
        char line[32];
        int length = snprintf(line, sizeof(line), "{\"n\":%d}\n", i);
        assert_memory_equal(text, line, (size_t)length);
        text += length;
    }
    assert_int_equal(*text, '\0');
    assert_true(log_dropped() == before);
}

static void
test_access_lines_are_dropped_and_counted_without_a_log_and_ignored_when_off(void **unused)
{
    (void)unused;
    uint64_t before = log_dropped();
    assert_false(log_access(SLICE("x\n")));
    assert_true(log_dropped() == before + 1);
    assert_int_equal(log_start(SLICE_NONE), 0);
    assert_true(log_access(SLICE("x\n")));
    assert_true(log_dropped() == before + 1);
    assert_int_equal(log_start(SLICE_NONE), EALREADY);
}

static void test_an_access_log_that_cannot_be_opened_is_an_error(void **unused)
{
    (void)unused;
    assert_int_equal(log_start(SLICE("/nonexistent/access.log")), ENOENT);
    log_info("still direct");
    assert_non_null(strstr(read_file(stderr_path), "still direct"));
    assert_int_equal(log_start(slice_of_string(access_path)), 0);
}

static void test_9_7_reopen_writes_to_a_new_file_after_the_old_was_moved(void **unused)
{
    (void)unused;
    assert_int_equal(log_start(slice_of_string(access_path)), 0);
    assert_int_equal(rename(access_path, moved_path), 0);
    log_reopen();
    assert_true(log_access(SLICE("new\n")));
    log_stop();
    assert_string_equal(read_file(access_path), "new\n");
}

static void test_reopen_that_fails_keeps_the_old_file_and_says_so(void **unused)
{
    (void)unused;
    assert_int_equal(log_start(slice_of_string(access_path)), 0);
    assert_int_equal(rename(access_path, moved_path), 0);
    assert_int_equal(mkdir(access_path, 0700), 0);
    log_reopen();
    assert_true(log_access(SLICE("kept\n")));
    log_stop();
    assert_int_equal(rmdir(access_path), 0);
    assert_string_equal(read_file(moved_path), "kept\n");
    assert_non_null(strstr(read_file(stderr_path), "access log not reopened"));
}

/* stderr becomes a pipe; returns the end to read from. */
static int stderr_to_pipe(void)
{
    int ends[2];
    MUST(pipe2(ends, O_CLOEXEC) == 0);
    MUST(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    close(ends[1]);
    return ends[0];
}

static void stderr_to_file(void)
{
    int fd = open(stderr_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    MUST(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    close(fd);
}

static void test_9_7_a_full_ring_drops_and_counts_and_never_blocks(void **unused)
{
    (void)unused;
    char text[1000];
    memset(text, 'x', sizeof(text));
    int unread = stderr_to_pipe();
    uint64_t before = log_dropped();
    assert_int_equal(log_start(SLICE_NONE), 0);
    for (int i = 0; i < 4000; i++) /* 4 MB: two buffers of 1 MiB and a pipe hold less */
        log_info("much", {"text", slice_of(text, sizeof(text))});
    assert_true(log_dropped() > before + 1000);
    assert_true(log_dropped() < before + 4000);
    log_stop(); /* gives up on the pipe: nobody reads it */
    close(unread);
    stderr_to_file();
}

struct reader {
    int fd;
    size_t bytes;
};

static void *read_until_told(void *arg)
{
    struct reader *reader = arg;
    ssize_t got;
    while (reader->bytes < sizeof(contents) - 1 &&
           (got = read(reader->fd, contents + reader->bytes,
                       sizeof(contents) - 1 - reader->bytes)) > 0) {
        reader->bytes += (size_t)got;
        contents[reader->bytes] = '\0';
        if (strstr(contents, "log lines dropped"))
            break;
    }
    return NULL;
}

static void test_9_7_dropped_lines_are_told_once_there_is_room_again(void **unused)
{
    (void)unused;
    char text[1000];
    memset(text, 'x', sizeof(text));
    struct reader reader = {.fd = stderr_to_pipe()};
    pthread_t thread;
    uint64_t before = log_dropped();
    assert_int_equal(log_start(SLICE_NONE), 0);
    while (log_dropped() == before)
        log_info("much", {"text", slice_of(text, sizeof(text))});
    assert_int_equal(pthread_create(&thread, NULL, read_until_told, &reader), 0);
    pthread_join(thread, NULL);
    assert_non_null(strstr(contents, " warn log lines dropped lines="));
    close(reader.fd); /* the rest meets a closed pipe: no signal, no error */
    log_stop();
    stderr_to_file();
}

/*
 * Until the thread has written something: the address sanitizer's allocator does not survive a fork
 * beside a thread that is just starting.
 */
static void start_and_see_it_write(void)
{
    assert_int_equal(log_start(slice_of_string(access_path)), 0);
    assert_true(log_access(SLICE("started\n")));
    while (count_lines(read_file(access_path)) == 0)
        sched_yield();
}

static void test_a_forked_child_logs_to_stderr_and_leaves_the_parent_s_lines_alone(void **unused)
{
    (void)unused;
    start_and_see_it_write();
    log_info("of parent");
    pid_t child = fork();
    if (child == 0) {
        log_info("of child");
        bool is_taken = log_access(SLICE("child\n"));
        log_stop();
        _exit(is_taken ? 1 : 0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(log_access(SLICE("parent\n")));
    log_stop();
    const char *text = read_file(stderr_path);
    assert_non_null(strstr(text, "of child"));
    assert_int_equal(count_lines(text), 2);
    assert_string_equal(read_file(access_path), "started\nparent\n");
}

static void test_a_forked_child_may_start_its_own_log(void **unused)
{
    (void)unused;
#ifdef __SANITIZE_THREAD__
    skip(); /* the thread sanitizer forbids threads after a fork */
#endif
    start_and_see_it_write();
    pid_t child = fork();
    if (child == 0) {
        int error = log_start(slice_of_string(access_path));
        bool is_taken = log_access(SLICE("child\n"));
        log_stop();
        _exit(error || !is_taken);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    log_stop();
    assert_string_equal(read_file(access_path), "started\nchild\n");
}

static void *log_much(void *unused)
{
    for (int i = 0; i < 500; i++) {
        log_info("thread", {"i", LOG_NUMBER(i)});
        MUST(log_access(SLICE("line\n")));
    }
    return unused;
}

static void test_threads_that_log_together_write_whole_lines(void **unused)
{
    (void)unused;
    pthread_t threads[4];
    assert_int_equal(log_start(slice_of_string(access_path)), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_much, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    log_stop();
    const char *text = read_file(access_path);
    assert_int_equal(count_lines(text), 2000);
    for (; *text; text += 5)
        assert_memory_equal(text, "line\n", 5);
    assert_int_equal(count_lines(read_file(stderr_path)), 2000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lines_before_start_and_after_stop_go_straight_to_stderr),
        TEST(test_the_level_hides_what_is_below_it),
        TEST(test_access_lines_reach_their_file_in_order),
        TEST(test_access_lines_are_dropped_and_counted_without_a_log_and_ignored_when_off),
        TEST(test_an_access_log_that_cannot_be_opened_is_an_error),
        TEST(test_9_7_reopen_writes_to_a_new_file_after_the_old_was_moved),
        TEST(test_reopen_that_fails_keeps_the_old_file_and_says_so),
        TEST(test_9_7_a_full_ring_drops_and_counts_and_never_blocks),
        TEST(test_9_7_dropped_lines_are_told_once_there_is_room_again),
        TEST(test_a_forked_child_logs_to_stderr_and_leaves_the_parent_s_lines_alone),
        TEST(test_a_forked_child_may_start_its_own_log),
        TEST(test_threads_that_log_together_write_whole_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
