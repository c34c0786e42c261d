/* Workers, slots, the queue and retries of the origin client, over real sockets on 127.0.0.1. */
#include "edge/origin/origins.h"
#include "edge/origin/pool.h"
#include "edge/origin/slots.h"

#include "tests/unit/edge/origin_rig.h"

static const struct script GOOD = {
    .head = SLICE("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"), .ending = KEEP};

static bool answer_good(struct server *server, int fd, slice head)
{
    (void)head;
    return play(server, fd, &GOOD);
}

static bool answer_when_released(struct server *server, int fd, slice head)
{
    while (!server->is_released && !server->is_stopping)
        poll(NULL, 0, 1);
    return answer_good(server, fd, head);
}

static bool close_without_a_word(struct server *server, int fd, slice head)
{
    (void)server, (void)fd, (void)head;
    return false;
}

/* Starts a server and a rig with one loop in front of it. */
static void start(struct rig *rig, struct server *server,
                  bool (*answer)(struct server *, int, slice), unsigned slots)
{
    server_start(server, answer, NULL);
    rig_init(rig, server->port);
    rig->config.slots = slots;
}

static void stop(struct rig *rig, struct server *server)
{
    rig_stop(rig);
    server_stop(server);
}

static void run(struct rig *rig, const char *method, const char *expected)
{
    struct probe_call probe;
    probe_run(&probe, rig, slice_of_string(method), SLICE("/"));
    if (!slice_equal(probe_outcome(&probe), slice_of_string(expected)))
        fail_msg("%s: %.*s (%s), not %s", method, SLICE_ARG(probe_outcome(&probe)), probe.detail,
                 expected);
    probe_fini(&probe);
}

static void abandon(struct probe_call *probe)
{
    call_abandon(probe->call);
    probe->call = NULL;
}

static bool is_one_busy(struct origin_state state)
{
    return state.busy_slots == 1;
}

static bool is_one_waiting(struct origin_state state)
{
    return state.waiting == 1;
}

static bool has_one_live(struct origin_state state)
{
    return state.live_workers == 1;
}

static bool are_two_live(struct origin_state state)
{
    return state.live_workers == 2;
}

/* --- order --- */

enum { QUEUE = 20 };

struct order {
    pthread_mutex_t lock;
    char targets[QUEUE];
    size_t count;
};

static bool answer_in_order(struct server *server, int fd, slice head)
{
    struct order *order = server->arg;
    pthread_mutex_lock(&order->lock);
    order->targets[order->count++] = head.ptr[5]; /* "GET /a HTTP/1.1" */
    pthread_mutex_unlock(&order->lock);
    return answer_when_released(server, fd, head);
}

static size_t expected_waiting;

static bool is_queue_so_long(struct origin_state state)
{
    return state.waiting == expected_waiting && state.busy_slots == 1;
}

static void
test_7_2_waiters_are_served_first_in_first_out_over_all_loops_one_at_a_time(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probes[QUEUE];
    struct order order = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static const char TARGETS[] = "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t";
    (void)state;
    start(&rig, &server, answer_in_order, 1);
    server.arg = &order;
    rig_start(&rig, 2);
    for (size_t i = 0; i < QUEUE; i++) {
        probe_init(&probes[i], &rig, SLICE("GET"), slice_of(TARGETS + 2 * i, 2));
        probes[i].loop = &rig_loops[i % 2];
        probe_start(&probes[i]);
        expected_waiting = i;
        assert_true(rig_wait(&rig, is_queue_so_long));
    }
    server.is_released = true;
    for (size_t i = 0; i < QUEUE; i++) {
        probe_await(&probes[i], &probes[i].is_done);
        assert_true(probes[i].is_clean);
        assert_string_equal(probes[i].worker, "renderer/0");
        assert_int_equal(order.targets[i], 'a' + (int)i);
        probe_fini(&probes[i]);
    }
    assert_int_equal(server.most, 1);
    stop(&rig, &server);
}

static void test_7_1_without_slots_there_are_so_many_connections_and_no_more(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probes[QUEUE];
    (void)state;
    start(&rig, &server, answer_when_released, 0);
    rig.config.connections = 3;
    rig_start(&rig, 2);
    for (size_t i = 0; i < QUEUE; i++) {
        probe_init(&probes[i], &rig, SLICE("POST"), SLICE("/"));
        probes[i].loop = &rig_loops[i % 2];
        probe_start(&probes[i]);
    }
    while (server.now < 3)
        poll(NULL, 0, 1);
    server.is_released = true;
    for (size_t i = 0; i < QUEUE; i++) {
        probe_await(&probes[i], &probes[i].is_done);
        assert_true(probes[i].is_clean);
        probe_fini(&probes[i]);
    }
    assert_int_equal(server.most, 3);
    stop(&rig, &server);
}

static void test_7_1_an_asset_needs_no_slot_unless_slots_cover_it(void **state)
{
    (void)state;
    for (int covers = 0; covers < 2; covers++) {
        struct rig rig;
        struct server server;
        struct probe_call render, asset;
        start(&rig, &server, answer_when_released, 1);
        rig.config.slots_cover_assets = covers;
        rig_start(&rig, 1);
        probe_init(&render, &rig, SLICE("GET"), SLICE("/"));
        probe_start(&render);
        assert_true(rig_wait(&rig, is_one_busy));
        probe_init(&asset, &rig, SLICE("GET"), SLICE("/a.js"));
        asset.request.is_asset = true;
        probe_start(&asset);
        if (covers)
            assert_true(rig_wait(&rig, is_one_waiting));
        while (server.now < (covers ? 1 : 2))
            poll(NULL, 0, 1);
        server.is_released = true;
        probe_await(&asset, &asset.is_done);
        probe_await(&render, &render.is_done);
        assert_int_equal(server.most, covers ? 1 : 2);
        probe_fini(&asset);
        probe_fini(&render);
        stop(&rig, &server);
    }
}

/* --- leaving --- */

static void test_3_4_an_abandoned_render_keeps_its_slot_until_it_is_answered(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call left, next;
    (void)state;
    start(&rig, &server, answer_when_released, 1);
    rig_start(&rig, 1);
    probe_init(&left, &rig, SLICE("GET"), SLICE("/"));
    probe_start(&left);
    while (server.now == 0)
        poll(NULL, 0, 1);
    do_on_loop(&left, abandon);
    probe_init(&next, &rig, SLICE("GET"), SLICE("/"));
    probe_start(&next);
    assert_true(rig_wait(&rig, is_one_waiting));
    assert_int_equal(server.requests, 1);
    server.is_released = true;
    probe_await(&next, &next.is_done);
    assert_true(next.is_clean);
    assert_int_equal(server.most, 1);
    assert_int_equal(server.connections, 1); /* and the connection was used again */
    assert_false(left.is_done);
    probe_fini(&left);
    probe_fini(&next);
    stop(&rig, &server);
}

static void test_3_4_an_abandoned_waiter_leaves_the_queue(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call first, left;
    (void)state;
    start(&rig, &server, answer_when_released, 1);
    rig_start(&rig, 1);
    probe_init(&first, &rig, SLICE("GET"), SLICE("/"));
    probe_start(&first);
    assert_true(rig_wait(&rig, is_one_busy));
    probe_init(&left, &rig, SLICE("GET"), SLICE("/"));
    probe_start(&left);
    assert_true(rig_wait(&rig, is_one_waiting));
    do_on_loop(&left, abandon);
    assert_int_equal(origin_state(rig.origins, &rig.config).waiting, 0);
    server.is_released = true;
    probe_await(&first, &first.is_done);
    assert_true(rig_wait(&rig, is_idle));
    assert_int_equal(server.requests, 1);
    probe_fini(&first);
    probe_fini(&left);
    stop(&rig, &server);
}

static void test_7_5_after_first_byte_the_slot_stays_busy_until_the_late_answer(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call next;
    (void)state;
    start(&rig, &server, answer_when_released, 1);
    rig.config.first_byte = (duration){50};
    rig.config.slot_max = (duration){100};
    rig_start(&rig, 1);
    run(&rig, "GET", "first_byte_timeout");
    while (origin_state(rig.origins, &rig.config).quarantined == 0) /* slot_max passes */
        poll(NULL, 0, 1);
    rig.config.first_byte = rig.config.slot_max = (duration){60000};
    probe_init(&next, &rig, SLICE("GET"), SLICE("/"));
    probe_start(&next);
    assert_true(rig_wait(&rig, is_one_waiting));
    assert_int_equal(server.requests, 1);
    server.is_released = true;
    probe_await(&next, &next.is_done);
    assert_true(next.is_clean);
    assert_int_equal(server.most, 1);
    assert_int_equal(server.connections, 1);
    assert_int_equal(origin_state(rig.origins, &rig.config).quarantined, 0);
    probe_fini(&next);
    stop(&rig, &server);
}

/* --- down and up --- */

static void test_a_worker_that_refuses_costs_nobody_a_request_and_comes_back(void **state)
{
    struct rig rig;
    struct server dead, alive;
    (void)state;
    memset(&dead, 0, sizeof(dead));
    dead.answer = answer_good;
    server_bind(&dead);
    start(&rig, &alive, answer_good, 1);
    rig.workers[0].port = dead.port;
    rig_add_worker(&rig, alive.port);
    rig_start(&rig, 1);
    for (int i = 0; i < 10; i++)
        run(&rig, i % 2 ? "GET" : "POST", "CLEAN"); /* nothing was sent: any method goes on */
    assert_int_equal(alive.requests, 10);
    assert_true(rig_wait(&rig, has_one_live));
    server_listen(&dead);
    while (dead.requests == 0) /* when its back-off has ended, one request is the try */
        run(&rig, "GET", "CLEAN");
    assert_true(rig_wait(&rig, are_two_live));
    stop(&rig, &alive);
    server_stop(&dead);
}

static void test_7_3_when_all_are_down_nobody_waits(void **state)
{
    struct rig rig;
    struct server dead;
    struct probe_call probe;
    bool is_all_down = false;
    (void)state;
    memset(&dead, 0, sizeof(dead));
    server_bind(&dead);
    rig_init(&rig, dead.port);
    rig_start(&rig, 1);
    run(&rig, "GET", "refused");
    for (int i = 0; i < 1000 && !is_all_down; i++) { /* else its back-off had just ended */
        probe_run(&probe, &rig, SLICE("GET"), SLICE("/"));
        is_all_down = probe.failure == CALL_ALL_DOWN;
        assert_true(is_all_down || probe.failure == CALL_REFUSED);
        probe_fini(&probe);
    }
    assert_true(is_all_down);
    assert_int_equal(origin_state(rig.origins, &rig.config).live_workers, 0);
    rig_stop(&rig);
    close(dead.listener);
}

static void test_7_3_waiters_are_told_when_the_last_worker_goes_down(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probes[3];
    (void)state;
    start(&rig, &server, answer_when_released, 1);
    rig.config.retries = 0;
    rig_start(&rig, 1);
    for (size_t i = 0; i < 3; i++) {
        probe_init(&probes[i], &rig, SLICE("GET"), SLICE("/"));
        probe_start(&probes[i]);
        expected_waiting = i;
        assert_true(rig_wait(&rig, is_queue_so_long));
    }
    while (server.now == 0)
        poll(NULL, 0, 1);
    shutdown(server.listener, SHUT_RDWR); /* refuses from now on */
    server.is_stopping = true;            /* answers, then closes */
    for (size_t i = 0; i < 3; i++)
        probe_await(&probes[i], &probes[i].is_done);
    assert_true(probes[0].is_clean);
    assert_int_equal(probes[1].failure, CALL_REFUSED);
    assert_int_equal(probes[2].failure, CALL_ALL_DOWN);
    for (size_t i = 0; i < 3; i++)
        probe_fini(&probes[i]);
    stop(&rig, &server);
}

static void test_a_black_hole_is_a_connect_timeout(void **state)
{
    struct rig rig;
    struct server hole;
    int fillers[8];
    (void)state;
    memset(&hole, 0, sizeof(hole));
    server_bind(&hole);
    listen(hole.listener, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(hole.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < 8; i++) { /* a full backlog: the kernel drops what comes */
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(fillers[i], (struct sockaddr *)&address, sizeof(address)) != 0)
            assert_int_equal(errno, EINPROGRESS);
    }
    rig_init(&rig, hole.port);
    rig.config.connect = (duration){50};
    rig_start(&rig, 1);
    run(&rig, "GET", "connect_timeout");
    assert_true(rig_wait(&rig, is_idle));
    rig_stop(&rig);
    for (size_t i = 0; i < 8; i++)
        close(fillers[i]);
    close(hole.listener);
}

static void test_9_6_a_name_that_does_not_resolve_is_a_worker_that_is_down(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, 1);
    rig.workers[0].host = SLICE("no-such-name.invalid");
    rig_start(&rig, 1);
    assert_int_equal(origin_state(rig.origins, &rig.config).workers, 1);
    run(&rig, "GET", "all_down");
    rig_stop(&rig);
}

static void test_9_6_localhost_is_one_machine_however_many_addresses_it_has(void **state)
{
    struct rig rig;
    struct server server;
    (void)state;
    start(&rig, &server, answer_good, 1);
    rig.workers[0].host = SLICE("localhost");
    rig_start(&rig, 1);
    run(&rig, "GET", "CLEAN");
    assert_int_equal(origin_state(rig.origins, &rig.config).slots, 1);
    stop(&rig, &server);
}

/* --- again --- */

static void test_7_7_a_get_is_retried_on_another_worker_and_a_post_is_not(void **state)
{
    struct rig rig;
    struct server dying, good;
    (void)state;
    server_start(&dying, close_without_a_word, NULL);
    start(&rig, &good, answer_good, 1);
    rig.workers[0].port = dying.port;
    rig_add_worker(&rig, good.port);
    rig_start(&rig, 1);
    run(&rig, "GET", "CLEAN");
    assert_int_equal(dying.requests, 1);
    while (dying.requests < 2)
        run(&rig, "POST", dying.requests == 1 ? "closed" : "CLEAN");
    assert_int_equal(good.requests, 1);
    stop(&rig, &good);
    server_stop(&dying);
}

static void test_7_7_retries_stay_within_a_budget(void **state)
{
    struct rig rig;
    struct server dying, also_dying;
    (void)state;
    server_start(&dying, close_without_a_word, NULL);
    start(&rig, &also_dying, close_without_a_word, 1);
    rig_add_worker(&rig, dying.port);
    rig_start(&rig, 1);
    for (int i = 0; i < 20; i++)
        run(&rig, "GET", "closed");
    /* 3 in each 10 s; the test may straddle two of them */
    assert_in_range(dying.requests + also_dying.requests, 23, 26);
    stop(&rig, &also_dying);
    server_stop(&dying);
}

static atomic_uint requests_on[1024]; /* by fd of the server's side */

static bool answer_once_per_connection(struct server *server, int fd, slice head)
{
    if (requests_on[fd]++ == 0)
        return answer_good(server, fd, head);
    requests_on[fd] = 0;
    return false;
}

static void test_an_idle_connection_that_closes_under_a_request_costs_nothing(void **state)
{
    struct rig rig;
    struct server server;
    (void)state;
    memset((void *)requests_on, 0, sizeof(requests_on));
    start(&rig, &server, answer_once_per_connection, 1);
    rig.config.retries = 0; /* it is not one of these */
    rig_start(&rig, 1);
    for (int i = 0; i < 6; i++)
        run(&rig, i % 2 ? "PUT" : "GET", "CLEAN");
    assert_int_equal(slots_renderer(rig.origins->pools[0]->workers[0]->slots)->errors, 0);
    assert_int_equal(server.connections, 6);
    stop(&rig, &server);
}

static void test_a_post_is_never_sent_twice(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    memset((void *)requests_on, 0, sizeof(requests_on));
    start(&rig, &server, answer_once_per_connection, 1);
    rig_start(&rig, 1);
    for (int i = 0; i < 6; i++) {
        unsigned before = server.requests;
        probe_run(&probe, &rig, SLICE("POST"), SLICE("/"));
        assert_int_equal(server.requests, before + 1);
        probe_fini(&probe);
    }
    stop(&rig, &server);
}

static bool answer_and_close(struct server *server, int fd, slice head)
{
    answer_good(server, fd, head);
    return false; /* without having said so, as Node does after 5 s */
}

static void test_an_idle_connection_that_was_closed_is_not_used(void **state)
{
    struct rig rig;
    struct server server;
    (void)state;
    start(&rig, &server, answer_and_close, 1);
    rig_start(&rig, 1);
    for (int i = 0; i < 10; i++) {
        run(&rig, "POST", "CLEAN");
        while (server.threads > 0) /* it is closed */
            poll(NULL, 0, 1);
    }
    stop(&rig, &server);
}

/* --- a process before us died (semantics 7.2) --- */

static atomic_uint probes_seen;

static bool answer_good_or_400(struct server *server, int fd, slice head)
{
    if (head.ptr[0] != '?')
        return answer_good(server, fd, head);
    probes_seen++;
    server->requests--; /* the app is not asked */
    send_all(fd, SLICE("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
    return false;
}

/* Its probe is answered, anything else that is no request of ours is not. */
static bool answer_good_and_probes(struct server *server, int fd, slice head)
{
    if (head.ptr[0] == '?')
        return false;
    if (!slice_starts_with(head, SLICE("GET /healthz ")))
        return answer_good(server, fd, head);
    probes_seen++;
    server->requests--;
    send_all(fd, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    return false;
}

static bool answer_good_or_400_without_end(struct server *server, int fd, slice head)
{
    if (head.ptr[0] != '?')
        return answer_good(server, fd, head);
    probes_seen++;
    server->requests--;
    send_all(fd, SLICE("HTTP/1.1 400 Bad Request\r\n\r\n"));
    wait_for_release(server, fd);
    return false;
}

static void check_revival(bool (*answer)(struct server *server, int fd, slice head),
                          slice probe_path)
{
    enum { DEAD_PID = 77 };
    struct rig rig;
    struct server server;
    struct probe_call probe;
    char address[32];
    probes_seen = 0;
    start(&rig, &server, answer, 1);
    rig.config.slot_max = (duration){3000}; /* meanwhile the waiter is seen waiting */
    rig.config.probe = (struct probe_config){
        .path = probe_path, .expect = 200, .every = {600000}, .down_after = 3, .up_after = 2};
    void *region = shared_region();
    snprintf(address, sizeof(address), "loopback %u", server.port);
    struct slot_worker *worker = slots_attach(region, slice_of_string(address), DEAD_PID);
    mono_time taken = clock_now().mono;
    assert_int_equal(slot_take(worker, 1, DEAD_PID, taken), 0);
    slots_owner_died(region, DEAD_PID);

    rig_start_with(&rig, region, 1);
    probe_init(&probe, &rig, SLICE("GET"), SLICE("/"));
    probe_start(&probe);
    assert_true(rig_wait(&rig, is_one_waiting));
    assert_int_equal(origin_state(rig.origins, &rig.config).quarantined, 1);
    probe_await(&probe, &probe.is_done);
    assert_true(probe.is_clean);
    assert_int_equal(probes_seen, 1);
    assert_true(mono_since(probe.timing.sent.mono, taken).ms >= 3000);
    assert_int_equal(server.requests, 1);
    probe_fini(&probe);
    stop(&rig, &server);
}

static void test_7_2_a_slot_whose_owner_died_is_free_after_slot_max_and_one_answer(void **state)
{
    (void)state;
    check_revival(answer_good_or_400, SLICE_NONE);
}

static void test_7_2_where_a_probe_is_configured_that_is_what_must_be_answered(void **state)
{
    (void)state;
    check_revival(answer_good_and_probes, SLICE("/healthz"));
}

static void test_7_2_a_head_is_an_answer_though_its_body_never_ends(void **state)
{
    (void)state;
    check_revival(answer_good_or_400_without_end, SLICE_NONE);
}

static void test_7_2_who_refuses_to_be_asked_is_asked_once_a_second_and_stops_nobody(void **state)
{
    enum { DEAD_PID = 77, SLOTS = 8 };
    struct rig rig;
    struct server dead;
    char address[32];
    (void)state;
    memset(&dead, 0, sizeof(dead));
    server_bind(&dead);
    rig_init(&rig, dead.port);
    rig.config.slot_max = (duration){1};
    void *region = shared_region();
    snprintf(address, sizeof(address), "loopback %u", dead.port);
    struct slot_worker *worker = slots_attach(region, slice_of_string(address), DEAD_PID);
    for (int i = 0; i < SLOTS; i++)
        assert_int_equal(slot_take(worker, SLOTS, DEAD_PID, clock_now().mono), i);
    slots_owner_died(region, DEAD_PID);

    mono_time begun = clock_now().mono;
    rig_start_with(&rig, region, 1);
    const _Atomic uint64_t *probes = &rig.origins->pools[0]->workers[0]->counters.probes;
    while (atomic_load(probes) < 3)
        poll(NULL, 0, 1);
    uint64_t asked = atomic_load(probes); /* the first time perhaps at once */
    assert_true(mono_since(clock_now().mono, begun).ms >= ((int64_t)asked - 1) * 1000 - 50);
    struct probe_call probe; /* the loop goes on */
    probe_run(&probe, &rig, SLICE("GET"), SLICE("/"));
    probe_fini(&probe);
    rig_stop(&rig);
    close(dead.listener);
}

static void test_7_2_what_runs_when_a_process_ends_is_quarantined(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    char address[32];
    (void)state;
    start(&rig, &server, answer_when_released, 1);
    rig_start(&rig, 1);
    probe_init(&probe, &rig, SLICE("GET"), SLICE("/"));
    probe_start(&probe);
    while (server.now == 0)
        poll(NULL, 0, 1);
    rig_stop_loops(&rig);
    snprintf(address, sizeof(address), "loopback %u", server.port);
    struct slot_worker *worker = slots_attach(rig.slots, slice_of_string(address), 1);
    assert_int_equal(slot_view(worker, 0).state, SLOT_OWNER_DEAD);
    munmap(rig.slots, slots_region_bytes());
    probe_fini(&probe);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_7_2_waiters_are_served_first_in_first_out_over_all_loops_one_at_a_time),
        cmocka_unit_test(test_7_1_without_slots_there_are_so_many_connections_and_no_more),
        cmocka_unit_test(test_7_1_an_asset_needs_no_slot_unless_slots_cover_it),
        cmocka_unit_test(test_3_4_an_abandoned_render_keeps_its_slot_until_it_is_answered),
        cmocka_unit_test(test_3_4_an_abandoned_waiter_leaves_the_queue),
        cmocka_unit_test(test_7_5_after_first_byte_the_slot_stays_busy_until_the_late_answer),
        cmocka_unit_test(test_a_worker_that_refuses_costs_nobody_a_request_and_comes_back),
        cmocka_unit_test(test_7_3_when_all_are_down_nobody_waits),
        cmocka_unit_test(test_7_3_waiters_are_told_when_the_last_worker_goes_down),
        cmocka_unit_test(test_a_black_hole_is_a_connect_timeout),
        cmocka_unit_test(test_9_6_a_name_that_does_not_resolve_is_a_worker_that_is_down),
        cmocka_unit_test(test_9_6_localhost_is_one_machine_however_many_addresses_it_has),
        cmocka_unit_test(test_7_7_a_get_is_retried_on_another_worker_and_a_post_is_not),
        cmocka_unit_test(test_7_7_retries_stay_within_a_budget),
        cmocka_unit_test(test_an_idle_connection_that_closes_under_a_request_costs_nothing),
        cmocka_unit_test(test_a_post_is_never_sent_twice),
        cmocka_unit_test(test_an_idle_connection_that_was_closed_is_not_used),
        cmocka_unit_test(test_7_2_a_slot_whose_owner_died_is_free_after_slot_max_and_one_answer),
        cmocka_unit_test(test_7_2_where_a_probe_is_configured_that_is_what_must_be_answered),
        cmocka_unit_test(test_7_2_a_head_is_an_answer_though_its_body_never_ends),
        cmocka_unit_test(test_7_2_who_refuses_to_be_asked_is_asked_once_a_second_and_stops_nobody),
        cmocka_unit_test(test_7_2_what_runs_when_a_process_ends_is_quarantined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
