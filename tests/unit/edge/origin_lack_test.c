/*
 * What varve itself lacks for a connection to a worker (files, local ports) says nothing of that
 * worker, over real sockets on 127.0.0.1.
 */
#include "edge/origin/origins.h"
#include "edge/origin/pool.h"

#include "tests/unit/edge/origin_rig.h"

#include <sys/resource.h>
#include <sys/syscall.h>

static const struct script GOOD = {
    .head = SLICE("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"), .ending = KEEP};

static bool answer_good(struct server *server, int fd, slice head)
{
    (void)head;
    return play(server, fd, &GOOD);
}

static void start(struct rig *rig, struct server *server)
{
    server_start(server, answer_good, NULL);
    rig_init(rig, server->port);
    rig->config.slots = 1;
}

static void stop(struct rig *rig, struct server *server)
{
    rig_stop(rig);
    server_stop(server);
}

static void run(struct rig *rig, const char *expected)
{
    struct probe_call probe;
    probe_run(&probe, rig, SLICE("GET"), SLICE("/"));
    if (!slice_equal(probe_outcome(&probe), slice_of_string(expected)))
        fail_msg("%.*s (%s), not %s", SLICE_ARG(probe_outcome(&probe)), probe.detail, expected);
    probe_fini(&probe);
}

/* No further socket can be made, until lack_nothing(). */
static struct rlimit files;

static void lack_files(void)
{
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    const struct rlimit none = {.rlim_cur = 3, .rlim_max = files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void lack_nothing(void)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

/* This machine has no address of that family (IPv6 is off), or no TCP port left for that one. */
static atomic_int lacking_family, lacking_ports_to;

int connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
    int type = 0;
    socklen_t type_bytes = sizeof(type);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_bytes);
    int port = ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (address->sa_family == lacking_family || (type == SOCK_STREAM && port == lacking_ports_to)) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    return (int)syscall(SYS_connect, fd, address, bytes);
}

static struct worker *worker_of(struct rig *rig)
{
    return rig->origins->pools[0]->workers[0];
}

/* --- the loop goes on --- */

struct turn {
    struct loop_message message;
    atomic_bool has_come;
};

static void on_turn(struct loop_message *message)
{
    atomic_store(&container_of(message, struct turn, message)->has_come, true);
}

/* A loop that asks without an end delivers nothing any more. */
static void await_turn(struct rig *rig)
{
    static struct turn turn;
    turn = (struct turn){.message.deliver = on_turn};
    loop_post(&rig_loops[0], &turn.message);
    while (!turn.has_come) {
        if (worker_of(rig)->counters.probes > 10000)
            fail_msg("the worker is asked without end");
        poll(NULL, 0, 1);
    }
}

/* Has the worker asked while there are no files, and lets it be asked again. */
static void ask_without_files(struct rig *rig)
{
    rig_make_loops();
    lack_files();
    rig_start(rig, 1);
    while (worker_of(rig)->counters.probes == 0)
        poll(NULL, 0, 1);
    await_turn(rig);
    lack_nothing();
}

/* --- tests --- */

static void test_7_6_a_request_that_varve_lacks_files_for_takes_no_worker_down(void **state)
{
    struct rig rig;
    struct server server;
    (void)state;
    start(&rig, &server);
    rig_start(&rig, 1);
    lack_files();
    run(&rig, "lack");
    lack_nothing();
    assert_int_equal(origin_state(rig.origins, &rig.config).live_workers, 1);
    run(&rig, "CLEAN");
    stop(&rig, &server);
}

static void test_7_6_G2_a_warm_up_that_varve_lacks_files_for_is_made_when_it_has_them(void **state)
{
    struct rig rig;
    struct server server;
    (void)state;
    start(&rig, &server);
    rig.config.warmup = SLICE("/warmup");
    ask_without_files(&rig);
    run(&rig, "CLEAN");
    assert_int_equal(server.requests, 2); /* the warm-up was the first */
    assert_int_equal(origin_state(rig.origins, &rig.config).live_workers, 1);
    assert_int_equal(worker_of(&rig)->counters.downs, 0);
    stop(&rig, &server);
}

static void test_the_log_names_the_worker_that_could_not_be_asked(void **state)
{
    struct rig rig;
    struct server server;
    char text[4096] = "";
    int stderr_fd = dup(STDERR_FILENO), log_fd = memfd_create("log", MFD_CLOEXEC);
    (void)state;
    start(&rig, &server);
    rig.config.warmup = SLICE("/warmup");
    assert_int_equal(dup2(log_fd, STDERR_FILENO), STDERR_FILENO);
    ask_without_files(&rig);
    assert_int_equal(dup2(stderr_fd, STDERR_FILENO), STDERR_FILENO);
    assert_true(pread(log_fd, text, sizeof(text) - 1, 0) > 0);
    assert_non_null(strstr(text, "no connection to a renderer can be made"));
    assert_non_null(strstr(text, "worker=renderer/0"));
    close(stderr_fd);
    close(log_fd);
    stop(&rig, &server);
}

static const struct script TELLS_ITS_BUILD = {
    .head = SLICE("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nv1"), .ending = KEEP};

static bool tell_build(struct server *server, int fd, slice head)
{
    (void)head;
    return play(server, fd, &TELLS_ITS_BUILD);
}

static void
test_1_1_7_6_the_build_that_varve_lacks_files_to_ask_for_is_asked_for_later(void **state)
{
    struct rig rig;
    struct server server;
    (void)state;
    start(&rig, &server);
    server.answer = tell_build;
    rig.config.build_probe = SLICE("/build");
    ask_without_files(&rig);
    while (origin_build(rig.origins, &rig.config).len == 0)
        poll(NULL, 0, 1);
    assert_int_equal(worker_of(&rig)->counters.unclear_builds, 0);
    assert_int_equal(server.requests, 1);
    stop(&rig, &server);
}

static void test_7_6_a_probe_that_varve_lacks_files_for_is_none_that_failed(void **state)
{
    struct rig rig;
    struct server server;
    (void)state;
    start(&rig, &server);
    rig.config.probe = (struct probe_config){.path = SLICE("/healthz"),
                                             .every = {1},
                                             .timeout = {60000},
                                             .expect = 200,
                                             .up_after = 1,
                                             .down_after = 1};
    ask_without_files(&rig);
    while (server.requests == 0)
        poll(NULL, 0, 1);
    assert_int_equal(worker_of(&rig)->counters.downs, 0);
    stop(&rig, &server);
}

static void test_7_6_with_no_ports_left_no_worker_is_down(void **state)
{
    struct rig rig;
    struct server server;
    (void)state;
    start(&rig, &server);
    rig_start(&rig, 1);
    lacking_ports_to = server.port;
    run(&rig, "lack");
    lacking_ports_to = 0;
    assert_int_equal(origin_state(rig.origins, &rig.config).live_workers, 1);
    run(&rig, "CLEAN");
    assert_int_equal(worker_of(&rig)->counters.downs, 0);
    stop(&rig, &server);
}

/* The AAAA record of a name, where IPv6 is off: it is no worker to count upon. */
static void
test_9_6_an_address_of_a_family_that_this_machine_has_not_is_a_worker_that_is_down(void **state)
{
    struct rig rig;
    struct server server;
    (void)state;
    start(&rig, &server);
    rig_add_worker(&rig, server.port);
    rig.workers[1].host = SLICE("2001:db8::1");
    rig_start(&rig, 1);
    assert_int_equal(origin_state(rig.origins, &rig.config).live_slots, 2);
    lacking_family = AF_INET6;
    for (int i = 0; i < 4; i++)
        run(&rig, "CLEAN"); /* which goes to the other one without a word */
    assert_int_equal(origin_state(rig.origins, &rig.config).live_slots, 1);
    assert_int_equal(origin_state(rig.origins, &rig.config).live_workers, 1);
    lacking_family = AF_UNSPEC;
    stop(&rig, &server);
}

static void test_9_6_an_origin_without_any_other_address_is_down(void **state)
{
    struct rig rig;
    struct server server;
    (void)state;
    start(&rig, &server);
    rig.workers[0].host = SLICE("2001:db8::1");
    lacking_family = AF_INET6;
    rig_start(&rig, 1);
    run(&rig, "refused");
    assert_true(origin_state(rig.origins, &rig.config).is_down);
    lacking_family = AF_UNSPEC;
    stop(&rig, &server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_7_6_a_request_that_varve_lacks_files_for_takes_no_worker_down),
        cmocka_unit_test(test_the_log_names_the_worker_that_could_not_be_asked),
        cmocka_unit_test(
            test_1_1_7_6_the_build_that_varve_lacks_files_to_ask_for_is_asked_for_later),
        cmocka_unit_test(test_7_6_a_probe_that_varve_lacks_files_for_is_none_that_failed),
        cmocka_unit_test(test_7_6_with_no_ports_left_no_worker_is_down),
        cmocka_unit_test(
            test_9_6_an_address_of_a_family_that_this_machine_has_not_is_a_worker_that_is_down),
        cmocka_unit_test(test_9_6_an_origin_without_any_other_address_is_down),
        cmocka_unit_test(test_7_6_G2_a_warm_up_that_varve_lacks_files_for_is_made_when_it_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
