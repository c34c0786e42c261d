/*
 * The master (edge/proc/master.c, master_events.c, reload.c, child.c, listeners.c) with a worker
 * that is not ours: this program, executed again as `… worker …`. What that worker does stands in
 * the file DIR/behaviour (one word); what it did goes as lines into a pipe. Both are named by the
 * environment, which passes through the master. Nothing here waits for a time; the limits of the
 * waiting are only for a test that fails.
 */
#include "base/must.h"
#include "edge/proc/master.h"
#include "edge/proc/protocol.h"
#include "edge/proc/shared.h"

#include "tests/unit/tree.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIR_NAME    "VARVE_TEST_DIR"
#define EVENTS_NAME "VARVE_TEST_EVENTS"

enum { PATIENCE_MS = 30000, SEEN_MAX = 64 };

/* --- the worker --- */

static struct worker_args fake_args;
static int fake_events;
static char fake_behaviour[64];

static void tell(const char *what, int detail)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "%s %d %d %lld\n", what, (int)getpid(), detail,
                          (long long)clock_now().mono.ms);
    MUST(write(fake_events, line, (size_t)length) == length);
}

static bool is(const char *word)
{
    return strcmp(fake_behaviour, word) == 0;
}

/* "WORD N" is WORD for the first N workers that read it. */
static void count_down(const char *directory, const char *text)
{
    char path[256];
    int times;
    if (sscanf(text, "%63s %d", fake_behaviour, &times) < 2)
        return;
    snprintf(path, sizeof(path), "%s/count", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, ".", 1) == 1);
    if (lseek(fd, 0, SEEK_END) > times)
        snprintf(fake_behaviour, sizeof(fake_behaviour), "serve");
    close(fd);
}

static void read_behaviour(void)
{
    char path[256], text[64];
    const char *directory = getenv(DIR_NAME);
    snprintf(path, sizeof(path), "%s/behaviour", directory);
    FILE *file = fopen(path, "r");
    MUST(file && fgets(text, sizeof(text), file));
    fclose(file);
    count_down(directory, text);
    fake_events = (int)strtol(getenv(EVENTS_NAME), NULL, 10);
}

static int die_of(int signal_number)
{
    signal(signal_number, SIG_DFL); /* the sanitizer would make an exit status of it */
    raise(signal_number);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return EXIT_FAILURE;
}

static void say_ready(void)
{
    char ready = READY_BYTE;
    tell("ready", 0); /* before what the master does about it */
    MUST(write(fake_args.ready, &ready, 1) == 1);
    close(fake_args.ready);
}

/* Until a TERM that is obeyed. USR1 is told; READ on the ask pipe never comes. */
static int serve(struct shared *shared)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    say_ready();
    for (int number; (number = sigwaitinfo(&all, NULL)) > 0;) {
        if (number == SIGUSR1)
            tell("reopen", 0);
        if (number != SIGTERM)
            continue;
        tell("term", atomic_load(&shared->places[fake_args.place].drain_deadline) > 0);
        if (is("slow")) /* leaves when the test says so */
            sigwaitinfo(&(sigset_t){{1u << (SIGUSR2 - 1)}}, NULL);
        if (!is("stubborn"))
            return is("unclean") ? 1 : 0;
    }
    return EXIT_FAILURE;
}

static int fake_worker(int argc, char **argv)
{
    MUST(worker_args_parse(argc, argv, &fake_args));
    struct shared *shared = shared_map(fake_args.shared);
    MUST(shared);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    read_behaviour();
    tell("start", atomic_load(&shared->is_draining_worker));
    if (is("size"))
        tell("size", (int)(fake_args.store_bytes >> 20));
    if (is("fail") || is("bad-policy")) {
        dprintf(fake_args.ready, "no luck today\n");
        return is("fail") ? EXIT_FAILURE : EXIT_BAD_POLICY;
    }
    if (is("hang"))
        for (;;)
            pause();
    if (is("crash") || is("bus") || is("in-store") || is("segv"))
        say_ready();
    if (is("in-store"))
        atomic_store(&shared->places[fake_args.place].in_store, 1);
    if (is("crash") || is("early-crash"))
        return die_of(SIGKILL);
    if (is("bus") || is("in-store") || is("segv"))
        return die_of(is("bus") ? SIGBUS : SIGSEGV);
    return serve(shared);
}

/* The worker without exec, for a respawn from the master's memory. */
static int fake_enter(struct worker_args *args, struct policy *policy)
{
    fake_args = *args;
    MUST(policy->listen_count == args->listeners.count);
    fake_events = (int)strtol(getenv(EVENTS_NAME), NULL, 10);
    snprintf(fake_behaviour, sizeof(fake_behaviour), "serve");
    tell("enter", 0);
    return serve(shared_map(args->shared));
}

/* --- the test's side --- */

struct fixture {
    char root[64], policy[128], web[128];
    pid_t master;
    int events, events_in; /* read end; write end, inherited by master and workers */
    int errors;            /* the master's stderr */
    FILE *lines;
    struct master_options options;
    bool is_up; /* the master knows that its first worker is ready */
    pid_t seen[SEEN_MAX];
    size_t seen_count;
};

struct event {
    char what[16];
    pid_t pid;
    int detail;
    mono_time when; /* by the worker's clock reading, which is the same */
};

static void write_file(struct fixture *f, const char *name, const char *text)
{
    char path[256], fresh[256];
    snprintf(path, sizeof(path), "%s/%s", f->root, name);
    snprintf(fresh, sizeof(fresh), "%s/%s.new", f->root, name);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(fresh, path), 0);
}

static void behave(struct fixture *f, const char *word)
{
    write_file(f, "behaviour", word);
}

static void write_policy(struct fixture *f, const char *listen, const char *more)
{
    char text[2048];
    snprintf(text, sizeof(text),
             "listen: [%s]\n"
             "origins: {renderer: {workers: [\"http://127.0.0.1:1\"]}}\n"
             "admin: {listen: \"unix:%s/admin.sock\"}\n"
             "%s",
             listen, f->root, more);
    write_file(f, "varve.yaml", text);
}

static const char *web(struct fixture *f)
{
    snprintf(f->web, sizeof(f->web), "\"unix:%s/web.sock\"", f->root);
    return f->web;
}

static const char *usual(struct fixture *f)
{
    static char text[512];
    snprintf(text, sizeof(text),
             "store: {path: %s/store, size: 64MiB}\nshutdown: {drain: 30s}\nreload: {drain: 30s}\n",
             f->root);
    return text;
}

static int setup(void **context)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int ends[2];
    char number[16];
    snprintf(f->root, sizeof(f->root), "/tmp/varve-master-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->policy, sizeof(f->policy), "%s/varve.yaml", f->root);
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    f->events = ends[0];
    f->events_in = ends[1];
    f->errors = -1;
    snprintf(number, sizeof(number), "%d", ends[1]);
    setenv(DIR_NAME, f->root, 1);
    setenv(EVENTS_NAME, number, 1);
    f->lines = fdopen(f->events, "r");
    setvbuf(f->lines, NULL, _IONBF, 0);
    f->options = (struct master_options){
        .policy = {.path = slice_of_string(f->policy)},
        .program = "/proc/self/exe",
        .timing = {.backoff_first = {10}, .backoff_max = {40}, .kill_grace = {20}}};
    write_policy(f, web(f), usual(f));
    behave(f, "serve");
    *context = f;
    return 0;
}

static int teardown(void **context)
{
    struct fixture *f = *context;
    if (f->master > 0) { /* a test failed: the workers die with it */
        kill(f->master, SIGKILL);
        waitpid(f->master, NULL, 0);
    }
    fclose(f->lines);
    close(f->events_in);
    if (f->errors >= 0)
        close(f->errors);
    remove_tree(f->root);
    free(f);
    return 0;
}

/* In the master, when it has heard of its first worker. */
static void on_ready(void *arg, const struct policy *policy)
{
    (void)policy;
    struct fixture *f = arg;
    fake_events = f->events_in;
    tell("up", 0);
}

static void start(struct fixture *f)
{
    int ends[2];
    f->is_up = false;
    f->options.on_ready = on_ready;
    f->options.arg = f;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    f->master = fork();
    assert_true(f->master >= 0);
    if (f->master == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDERR_FILENO);
        _exit(master_run(&f->options));
    }
    close(ends[1]);
    if (f->errors >= 0)
        close(f->errors);
    f->errors = ends[0];
}

static void wait_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
}

static struct event read_event(struct fixture *f)
{
    struct event event = {0};
    long long when;
    int pid;
    char line[64];
    wait_readable(f->events);
    assert_non_null(fgets(line, sizeof(line), f->lines));
    assert_int_equal(sscanf(line, "%15s %d %d %lld", event.what, &pid, &event.detail, &when), 4);
    event.pid = pid;
    event.when = (mono_time){when};
    if (strcmp(event.what, "start") == 0 && f->seen_count < SEEN_MAX)
        f->seen[f->seen_count++] = pid;
    f->is_up = f->is_up || strcmp(event.what, "up") == 0;
    return event;
}

/* "up" may come anywhere. */
static struct event next_event(struct fixture *f)
{
    struct event event = read_event(f);
    return strcmp(event.what, "up") == 0 ? read_event(f) : event;
}

static struct event expect(struct fixture *f, const char *what)
{
    struct event event = next_event(f);
    assert_string_equal(event.what, what);
    return event;
}

/* The exit status of the master, within limits. */
static int wait_master(struct fixture *f)
{
    int status, fd = pidfd_open(f->master, 0);
    assert_true(fd >= 0);
    wait_readable(fd);
    close(fd);
    assert_int_equal(waitpid(f->master, &status, 0), f->master);
    f->master = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Everything the master said up to and with the line that holds `text`. */
static void expect_error(struct fixture *f, const char *text)
{
    char said[8192];
    size_t used = 0;
    for (said[0] = '\0'; !strstr(said, text);) {
        wait_readable(f->errors);
        ssize_t got = read(f->errors, said + used, sizeof(said) - 1 - used);
        if (got <= 0)
            fail_msg("not said: %s\nbut: %s", text, said);
        used += (size_t)got;
        said[used] = '\0';
    }
}

static void assert_all_gone(struct fixture *f)
{
    for (size_t i = 0; i < f->seen_count; i++) {
        assert_int_equal(kill(f->seen[i], 0), -1);
        assert_int_equal(errno, ESRCH);
    }
}

static void stop(struct fixture *f)
{
    kill(f->master, SIGTERM);
    expect(f, "term");
    assert_int_equal(wait_master(f), 0);
    assert_all_gone(f);
}

static void start_serving(struct fixture *f, struct event *first)
{
    start(f);
    *first = expect(f, "start");
    expect(f, "ready");
    while (!f->is_up)
        read_event(f);
}

static int connect_web(struct fixture *f, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", f->root, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(fd, (struct sockaddr *)&address, sizeof(address));
    close(fd);
    return result;
}

static void assert_state(struct fixture *f, const char *expected)
{
    char path[256], text[256] = "";
    snprintf(path, sizeof(path), "%s/store/state", f->root);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_non_null(strstr(text, expected));
}

/* --- start and stop --- */

static void test_9_3_term_drains_and_marks_the_store_clean(void **context)
{
    struct fixture *f = *context;
    struct event first;
    start_serving(f, &first);
    assert_state(f, "clean=0");
    kill(f->master, SIGTERM);
    assert_int_equal(expect(f, "term").detail, 1); /* it knows its deadline */
    assert_int_equal(wait_master(f), 0);
    assert_state(f, "clean=1");
    assert_int_equal(connect_web(f, "web.sock"), -1);
    assert_int_equal(connect_web(f, "admin.sock"), -1);
    assert_all_gone(f);
}

static void test_9_3_a_worker_that_did_not_close_well_leaves_the_store_dirty(void **context)
{
    struct fixture *f = *context;
    struct event first;
    behave(f, "unclean");
    start_serving(f, &first);
    stop(f);
    assert_state(f, "clean=0");
}

static void test_9_1_a_worker_that_does_not_leave_is_killed(void **context)
{
    struct fixture *f = *context;
    struct event first;
    char policy[512];
    snprintf(policy, sizeof(policy), "store: {path: %s/store}\nshutdown: {drain: 10ms}\n", f->root);
    write_policy(f, web(f), policy);
    behave(f, "stubborn");
    start_serving(f, &first);
    stop(f);
    assert_state(f, "clean=0");
}

static void test_a_second_interrupt_ends_it_now(void **context)
{
    struct fixture *f = *context;
    struct event first;
    behave(f, "stubborn"); /* and it has 30 s */
    start_serving(f, &first);
    kill(f->master, SIGINT);
    expect(f, "term");
    kill(f->master, SIGINT);
    assert_int_equal(wait_master(f), 0);
    assert_all_gone(f);
}

static void test_9_3_a_second_instance_is_refused_and_told_the_pid(void **context)
{
    struct fixture *f = *context, second = *f;
    struct event first;
    char pid[32];
    start_serving(f, &first);
    second.errors = -1;
    start(&second);
    assert_int_equal(wait_master(&second), 2);
    snprintf(pid, sizeof(pid), "pid %d", (int)f->master);
    expect_error(&second, pid);
    close(second.errors);
    assert_int_equal(connect_web(f, "web.sock"), 0); /* the first is untouched */
    stop(f);
}

static void test_a_bad_policy_ends_the_start(void **context)
{
    struct fixture *f = *context;
    write_policy(f, web(f), "stael: 1h\n");
    start(f);
    assert_int_equal(wait_master(f), 2);
    expect_error(f, "stael");
}

static void test_a_first_worker_that_says_no_ends_the_start(void **context)
{
    struct fixture *f = *context;
    behave(f, "fail");
    start(f);
    expect(f, "start");
    assert_int_equal(wait_master(f), 1);
    assert_all_gone(f);
}

static void test_a_first_worker_that_crashes_is_tried_five_times(void **context)
{
    struct fixture *f = *context;
    behave(f, "early-crash");
    start(f);
    for (int i = 0; i < 5; i++)
        expect(f, "start");
    assert_int_equal(wait_master(f), 1);
    assert_all_gone(f);
}

static void test_an_address_in_use_ends_the_start(void **context)
{
    struct fixture *f = *context;
    struct event first;
    char other[512];
    start_serving(f, &first);
    struct fixture second = *f;
    second.errors = -1;
    snprintf(other, sizeof(other), "store: {path: %s/other}\n", f->root);
    write_policy(f, web(f), other);
    start(&second);
    assert_int_equal(wait_master(&second), 1);
    expect_error(&second, "in use");
    close(second.errors);
    assert_int_equal(connect_web(f, "web.sock"), 0);
    stop(f);
}

static void test_a_socket_file_left_by_a_crash_is_taken_over(void **context)
{
    struct fixture *f = *context;
    struct event first;
    start_serving(f, &first);
    struct event second;
    kill(f->master, SIGKILL);
    waitpid(f->master, NULL, 0);
    start_serving(f, &second); /* waits for the worker, which dies with its master, to be gone */
    assert_int_equal(connect_web(f, "web.sock"), 0);
    assert_int_equal(waitpid(first.pid, NULL, 0), first.pid);
    stop(f);
}

static void test_workers_die_with_their_master(void **context)
{
    struct fixture *f = *context;
    struct event first;
    behave(f, "stubborn");
    start_serving(f, &first);
    kill(f->master, SIGKILL);
    waitpid(f->master, NULL, 0);
    f->master = 0;
    close(f->events_in); /* now only workers hold the pipe */
    wait_readable(f->events);
    assert_int_equal(fgetc(f->lines), EOF);
    f->events_in = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* --- respawn --- */

static void test_9_3_a_dead_worker_is_replaced_with_back_off(void **context)
{
    static const int64_t AT_LEAST_MS[] = {10, 20, 40, 40}; /* doubled up to backoff_max */
    struct fixture *f = *context;
    behave(f, "crash 4");
    start(f);
    struct event before = expect(f, "start");
    expect(f, "ready");
    for (size_t i = 0; i < 4; i++) {
        struct event next = expect(f, "start");
        expect(f, "ready");
        /* one less: both ends are whole milliseconds */
        assert_true(mono_since(next.when, before.when).ms >= AT_LEAST_MS[i] - 1);
        before = next;
    }
    stop(f);
}

static void test_9_3_a_respawn_that_fails_is_tried_again(void **context)
{
    struct fixture *f = *context;
    struct event first;
    start_serving(f, &first);
    behave(f, "fail");
    kill(first.pid, SIGKILL);
    expect(f, "start");
    expect(f, "start");
    behave(f, "serve");
    while (strcmp(next_event(f).what, "ready") != 0)
        continue;
    stop(f);
}

static void test_a_respawn_over_a_bad_file_uses_the_policy_in_memory(void **context)
{
    struct fixture *f = *context;
    struct event first;
    f->options.enter = fake_enter;
    start_serving(f, &first);
    behave(f, "bad-policy"); /* what a worker says of a file that was edited since */
    kill(first.pid, SIGKILL);
    expect(f, "start");
    expect(f, "enter");
    expect(f, "ready");
    assert_int_equal(connect_web(f, "web.sock"), 0);
    stop(f);
}

static void test_a_worker_that_hangs_at_its_start_is_killed(void **context)
{
    struct fixture *f = *context;
    f->options.timing.start_limit = (duration){20};
    behave(f, "hang");
    start(f);
    expect_error(f, "worker killed");
    assert_int_equal(wait_master(f), 1); /* after five of them */
}

/* A store with data; then workers that crash some times. Is the data still there? */
static bool survives(struct fixture *f, const char *behaviour, int crashes)
{
    char data[256], text[64];
    struct stat status;
    struct event first;
    start_serving(f, &first);
    stop(f);
    snprintf(data, sizeof(data), "%s/store/f1", f->root);
    assert_int_equal(mkdir(data, 0700), 0);
    snprintf(text, sizeof(text), "%s %d", behaviour, crashes);
    behave(f, text);
    start(f);
    for (int i = 0; i < crashes + 1; i++) {
        expect(f, "start");
        expect(f, "ready");
    }
    stop(f);
    return stat(data, &status) == 0;
}

static void test_9_3_two_sigbus_set_the_store_aside(void **context)
{
    assert_false(survives(*context, "bus", 2));
    expect_error(*context, "set aside as");
}

static void test_9_3_one_sigbus_does_not(void **context)
{
    assert_true(survives(*context, "bus", 1));
}

static void test_9_3_two_crashes_inside_the_store_set_it_aside(void **context)
{
    assert_false(survives(*context, "in-store", 2));
    expect_error(*context, "set aside as");
}

static void test_9_3_crashes_elsewhere_leave_the_store_alone(void **context)
{
    assert_true(survives(*context, "segv", 4));
}

/* --- reload --- */

static void test_9_1_a_reload_starts_the_new_one_before_the_old_leaves(void **context)
{
    struct fixture *f = *context;
    struct event first;
    start_serving(f, &first);
    kill(f->master, SIGHUP);
    struct event second = expect(f, "start");
    assert_int_not_equal(second.pid, first.pid);
    expect(f, "ready");
    assert_int_equal(expect(f, "term").pid, first.pid);
    stop(f);
}

static void test_9_2_a_new_worker_that_fails_leaves_the_old_one(void **context)
{
    struct fixture *f = *context;
    struct event first;
    start_serving(f, &first);
    behave(f, "fail");
    kill(f->master, SIGHUP);
    expect(f, "start");
    expect_error(f, "no luck today"); /* the worker's own words */
    assert_int_equal(connect_web(f, "web.sock"), 0);
    assert_int_equal(kill(first.pid, 0), 0);
    stop(f);
}

static void test_9_2_a_bad_file_starts_nothing(void **context)
{
    struct fixture *f = *context;
    struct event first;
    start_serving(f, &first);
    write_policy(f, web(f), "routes: nonsense\n");
    kill(f->master, SIGHUP);
    expect_error(f, "routes");
    write_policy(f, web(f), usual(f));
    stop(f);
    assert_int_equal(f->seen_count, 1);
}

static void expect_refused(struct fixture *f, const char *listen, const char *policy,
                           const char *what)
{
    write_policy(f, listen, policy);
    kill(f->master, SIGHUP);
    expect_error(f, what);
}

static void test_9_2_what_no_reload_changes_is_refused_by_name(void **context)
{
    struct fixture *f = *context;
    struct event first;
    char text[1024];
    start_serving(f, &first);
    snprintf(text, sizeof(text), "store: {path: %s/elsewhere, size: 64MiB}\n", f->root);
    expect_refused(f, web(f), text, "store.path cannot be changed");
    snprintf(text, sizeof(text), "store: {path: %s/store, size: 32MiB}\n", f->root);
    expect_refused(f, web(f), text, "store.size cannot become smaller");
    snprintf(text, sizeof(text), "%suser: nobody\n", usual(f));
    expect_refused(f, web(f), text, "user cannot be changed");
    snprintf(f->web, sizeof(f->web), "\"unix:%s/web.sock\"", f->root);
    snprintf(text, sizeof(text),
             "listen: [%s]\norigins: {renderer: {workers: [\"http://127.0.0.1:1\"]}}\n"
             "admin: {listen: \"unix:%s/other.sock\"}\n%s",
             f->web, f->root, usual(f));
    write_file(f, "varve.yaml", text);
    kill(f->master, SIGHUP);
    expect_error(f, "admin.listen cannot be changed");
    stop(f);
    assert_int_equal(f->seen_count, 1);
}

/* The default is half of the free disk, and it shrinks while the store fills. */
static void test_9_5_a_default_size_that_became_smaller_keeps_the_running_one(void **context)
{
    struct fixture *f = *context;
    struct event first;
    char text[512];
    snprintf(text, sizeof(text), "store: {path: %s/store, size: 9GiB}\n", f->root);
    write_policy(f, web(f), text);
    start_serving(f, &first);
    snprintf(text, sizeof(text), "store: {path: %s/store}\n", f->root); /* at most 8 GiB */
    write_policy(f, web(f), text);
    behave(f, "size");
    kill(f->master, SIGHUP);
    expect(f, "start");
    assert_int_equal(expect(f, "size").detail, 9 * 1024);
    expect(f, "ready");
    expect(f, "term");
    stop(f);
}

static void reload_in_vain(struct fixture *f, const char *store)
{
    char text[512];
    snprintf(text, sizeof(text), "store: {path: %s/store, %s}\n", f->root, store);
    write_policy(f, web(f), text);
    behave(f, "fail");
    kill(f->master, SIGHUP);
    expect(f, "start");
    expect_error(f, "no luck today");
}

static void test_9_2_the_size_of_a_reload_that_failed_is_forgotten(void **context)
{
    struct fixture *f = *context;
    struct event first;
    start_serving(f, &first);
    reload_in_vain(f, "size: 128MiB");
    write_policy(f, web(f), usual(f)); /* 64 MiB again */
    behave(f, "size");
    kill(f->master, SIGHUP);
    expect(f, "start");
    assert_int_equal(expect(f, "size").detail, 64);
    struct event serving = expect(f, "ready");
    expect(f, "term");
    reload_in_vain(f, "size: 128MiB");
    write_policy(f, web(f), usual(f));
    behave(f, "size");
    kill(serving.pid, SIGKILL); /* who comes after it is told the size in force */
    expect(f, "start");
    assert_int_equal(expect(f, "size").detail, 64);
    expect(f, "ready");
    stop(f);
}

static void test_9_2_a_reload_to_unsynced_that_failed_leaves_the_store_synced(void **context)
{
    struct fixture *f = *context;
    struct event first;
    char text[512];
    snprintf(text, sizeof(text), "store: {path: %s/store, size: 64MiB, durability: sync}\n",
             f->root);
    write_policy(f, web(f), text);
    start_serving(f, &first);
    assert_state(f, "synced=1");
    reload_in_vain(f, "size: 64MiB");
    kill(f->master, SIGUSR1); /* handled when the reload is over */
    expect(f, "reopen");
    assert_state(f, "synced=1");
    behave(f, "serve");
    kill(f->master, SIGHUP);
    expect(f, "start");
    assert_state(f, "synced=0"); /* before it can write */
    expect(f, "ready");
    expect(f, "term");
    write_policy(f, web(f), "routes: nonsense\n");
    kill(f->master, SIGHUP);
    expect_error(f, "routes");
    kill(f->master, SIGUSR1);
    expect(f, "reopen");
    assert_state(f, "synced=0"); /* what is in force is unsynced */
    stop(f);
}

static void test_listeners_come_and_go_with_a_reload(void **context)
{
    struct fixture *f = *context;
    struct event first;
    char both[512], second_only[128];
    snprintf(second_only, sizeof(second_only), "\"unix:%s/two.sock\"", f->root);
    snprintf(both, sizeof(both), "%s, %s", web(f), second_only);
    start_serving(f, &first);
    write_policy(f, both, usual(f));
    kill(f->master, SIGHUP);
    expect(f, "start");
    expect(f, "ready");
    expect(f, "term");
    assert_int_equal(connect_web(f, "web.sock"), 0);
    assert_int_equal(connect_web(f, "two.sock"), 0);
    write_policy(f, second_only, usual(f));
    kill(f->master, SIGHUP);
    expect(f, "start");
    expect(f, "ready");
    expect(f, "term");
    assert_int_equal(connect_web(f, "web.sock"), -1);
    assert_int_equal(connect_web(f, "two.sock"), 0);
    stop(f);
}

static void test_a_failed_reload_closes_what_it_opened(void **context)
{
    struct fixture *f = *context;
    struct event first;
    char both[256];
    snprintf(both, sizeof(both), "%s, \"unix:%s/two.sock\"", web(f), f->root);
    start_serving(f, &first);
    write_policy(f, both, usual(f));
    behave(f, "fail");
    kill(f->master, SIGHUP);
    expect(f, "start");
    expect_error(f, "no luck today");
    assert_int_equal(connect_web(f, "web.sock"), 0);
    stop(f);
    assert_int_equal(connect_web(f, "two.sock"), -1);
}

static void test_9_1_at_most_one_worker_drains_and_reloads_coalesce(void **context)
{
    struct fixture *f = *context;
    struct event first;
    behave(f, "slow");
    start_serving(f, &first);
    behave(f, "serve");
    kill(f->master, SIGHUP);
    expect(f, "start");
    struct event second = expect(f, "ready");
    assert_int_equal(expect(f, "term").pid, first.pid); /* and it stays, until it is told */
    for (int i = 0; i < 5; i++)
        kill(f->master, SIGHUP);
    kill(f->master, SIGUSR1); /* handled after them: nothing was started meanwhile */
    struct event event = expect(f, "reopen");
    assert_int_equal(event.pid, second.pid);
    kill(first.pid, SIGUSR2);
    assert_int_equal(expect(f, "start").detail, 0); /* nobody drains any more */
    expect(f, "ready");
    assert_int_equal(expect(f, "term").pid, second.pid);
    stop(f);
    assert_int_equal(f->seen_count, 3); /* the five became one */
}

static void test_9_1_a_draining_worker_that_stays_is_killed(void **context)
{
    struct fixture *f = *context;
    struct event first;
    char policy[512];
    snprintf(policy, sizeof(policy),
             "store: {path: %s/store, size: 64MiB}\nreload: {drain: 10ms}\n", f->root);
    write_policy(f, web(f), policy);
    behave(f, "stubborn");
    start_serving(f, &first);
    behave(f, "serve");
    kill(f->master, SIGHUP);
    kill(f->master, SIGHUP);
    expect(f, "start");
    expect(f, "ready");
    assert_int_equal(expect(f, "term").pid, first.pid);
    expect_error(f, "worker killed");
    stop(f);
}

static void test_a_stop_shortens_the_drain_of_a_reload(void **context)
{
    struct fixture *f = *context;
    struct event first;
    char policy[512];
    snprintf(policy, sizeof(policy),
             "store: {path: %s/store, size: 64MiB}\nreload: {drain: 1h}\nshutdown: {drain: 10ms}\n",
             f->root);
    write_policy(f, web(f), policy);
    behave(f, "stubborn");
    start_serving(f, &first);
    behave(f, "serve");
    kill(f->master, SIGHUP);
    expect(f, "start");
    expect(f, "ready");
    expect(f, "term");
    kill(f->master, SIGTERM);
    assert_int_equal(wait_master(f), 0);
    assert_all_gone(f);
}

static void test_a_stop_during_a_reload_leaves_nobody(void **context)
{
    struct fixture *f = *context;
    struct event first;
    f->options.timing.kill_grace = (duration){1};
    char policy[512];
    snprintf(policy, sizeof(policy),
             "store: {path: %s/store, size: 64MiB}\nshutdown: {drain: 1ms}\n", f->root);
    write_policy(f, web(f), policy);
    start_serving(f, &first);
    behave(f, "hang");
    kill(f->master, SIGHUP);
    expect(f, "start");
    kill(f->master, SIGTERM);
    assert_int_equal(wait_master(f), 0);
    assert_all_gone(f);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(test_9_3_term_drains_and_marks_the_store_clean),
        CASE(test_9_3_a_worker_that_did_not_close_well_leaves_the_store_dirty),
        CASE(test_9_1_a_worker_that_does_not_leave_is_killed),
        CASE(test_a_second_interrupt_ends_it_now),
        CASE(test_9_3_a_second_instance_is_refused_and_told_the_pid),
        CASE(test_a_bad_policy_ends_the_start),
        CASE(test_a_first_worker_that_says_no_ends_the_start),
        CASE(test_a_first_worker_that_crashes_is_tried_five_times),
        CASE(test_an_address_in_use_ends_the_start),
        CASE(test_a_socket_file_left_by_a_crash_is_taken_over),
        CASE(test_workers_die_with_their_master),
        CASE(test_9_3_a_dead_worker_is_replaced_with_back_off),
        CASE(test_9_3_a_respawn_that_fails_is_tried_again),
        CASE(test_a_respawn_over_a_bad_file_uses_the_policy_in_memory),
        CASE(test_a_worker_that_hangs_at_its_start_is_killed),
        CASE(test_9_3_two_sigbus_set_the_store_aside),
        CASE(test_9_3_one_sigbus_does_not),
        CASE(test_9_3_two_crashes_inside_the_store_set_it_aside),
        CASE(test_9_3_crashes_elsewhere_leave_the_store_alone),
        CASE(test_9_1_a_reload_starts_the_new_one_before_the_old_leaves),
        CASE(test_9_2_a_new_worker_that_fails_leaves_the_old_one),
        CASE(test_9_2_a_bad_file_starts_nothing),
        CASE(test_9_2_what_no_reload_changes_is_refused_by_name),
        CASE(test_9_5_a_default_size_that_became_smaller_keeps_the_running_one),
        CASE(test_9_2_the_size_of_a_reload_that_failed_is_forgotten),
        CASE(test_9_2_a_reload_to_unsynced_that_failed_leaves_the_store_synced),
        CASE(test_listeners_come_and_go_with_a_reload),
        CASE(test_a_failed_reload_closes_what_it_opened),
        CASE(test_9_1_at_most_one_worker_drains_and_reloads_coalesce),
        CASE(test_9_1_a_draining_worker_that_stays_is_killed),
        CASE(test_a_stop_shortens_the_drain_of_a_reload),
        CASE(test_a_stop_during_a_reload_leaves_nobody),
    };
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return fake_worker(argc - 1, argv + 1);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* workers whose master was killed are reaped here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
