/* Bodies in both directions, upgrades, back-pressure, and calls that are left at random moments. */
#include "tests/unit/edge/origin_rig.h"

static const struct script GOOD = {
    .head = SLICE("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"), .ending = KEEP};

static bool is_good(slice head)
{
    return slice_search(head, SLICE(" /good ")) < head.len;
}

static void assert_good(struct rig *rig)
{
    struct probe_call probe;
    probe_run(&probe, rig, SLICE("GET"), SLICE("/good"));
    assert_string_equal(probe.body, "good");
    assert_true(probe.is_clean);
    probe_fini(&probe);
}

static void start(struct rig *rig, struct server *server,
                  bool (*answer)(struct server *, int, slice), unsigned slots)
{
    server_start(server, answer, NULL);
    rig_init(rig, server->port);
    rig->config.slots = slots;
    rig_start(rig, 1);
}

static void stop(struct rig *rig, struct server *server)
{
    rig_stop(rig);
    server_stop(server);
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

/* --- large answers --- */

enum { BLOCK = 65536, BLOCKS = 256 };

static bool answer_large(struct server *server, int fd, slice head)
{
    static char block[BLOCK];
    struct script large = {.head = SLICE("HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n"),
                           .repeated = slice_of(block, BLOCK),
                           .times = BLOCKS,
                           .ending = KEEP};
    return play(server, fd, is_good(head) ? &GOOD : &large);
}

static void pause_at_first(struct probe_call *probe, slice bytes)
{
    if (probe->body_bytes == bytes.len)
        call_pause(probe->call);
}

static size_t seen_bytes;

static void see(struct probe_call *probe)
{
    seen_bytes = probe->body_bytes;
}

static void resume(struct probe_call *probe)
{
    call_resume(probe->call);
}

static void test_a_paused_call_reads_no_further_and_loses_nothing(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    start(&rig, &server, answer_large, 2);
    probe_init(&probe, &rig, SLICE("GET"), SLICE("/"));
    probe.on_body = pause_at_first;
    probe_start(&probe);
    probe_await(&probe, &probe.has_head);
    for (int i = 0; i < 5; i++)
        assert_good(&rig); /* the loop goes on turning meanwhile */
    do_on_loop(&probe, see);
    assert_in_range(seen_bytes, 1, BLOCK);
    do_on_loop(&probe, resume);
    probe_await(&probe, &probe.is_done);
    assert_true(probe.is_clean);
    assert_int_equal(probe.body_bytes, BLOCK * BLOCKS);
    probe_fini(&probe);
    stop(&rig, &server);
}

static void test_3_4_an_abandoned_body_is_read_up_to_4_mib_then_closed(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    start(&rig, &server, answer_large, 1);
    probe_init(&probe, &rig, SLICE("GET"), SLICE("/"));
    probe.on_body = pause_at_first;
    probe_start(&probe);
    probe_await(&probe, &probe.has_head);
    do_on_loop(&probe, abandon);
    assert_true(rig_wait(&rig, is_idle));
    assert_good(&rig);
    assert_int_equal(server.connections, 2); /* it was closed: not all 16 MiB were read */
    probe_fini(&probe);
    stop(&rig, &server);
}

static bool answer_small_pieces(struct server *server, int fd, slice head)
{
    (void)head;
    struct script small = {.head = SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                           .repeated = SLICE("1\r\nx\r\n"),
                           .times = 1000,
                           .tail = SLICE("0\r\n\r\n"),
                           .ending = KEEP};
    return play(server, fd, is_good(head) ? &GOOD : &small);
}

static void
test_3_4_an_abandoned_small_body_is_read_to_its_end_and_the_connection_kept(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    start(&rig, &server, answer_small_pieces, 1);
    probe_init(&probe, &rig, SLICE("GET"), SLICE("/"));
    probe.on_body = pause_at_first;
    probe_start(&probe);
    probe_await(&probe, &probe.has_head);
    if (!probe.is_done) /* all of it may have come in one piece */
        do_on_loop(&probe, see);
    if (probe.call)
        do_on_loop(&probe, abandon);
    assert_true(rig_wait(&rig, is_idle));
    assert_good(&rig);
    assert_int_equal(server.connections, 1);
    probe_fini(&probe);
    stop(&rig, &server);
}

/* --- large requests --- */

enum { UPLOAD_BYTES = 4 * 1024 * 1024 };

static atomic_bool is_upload_right;

static char upload_byte(size_t at)
{
    return (char)(at * 7 + at / 251);
}

static bool answer_upload(struct server *server, int fd, slice head)
{
    static char block[BLOCK];
    size_t at = 0;
    ssize_t got = 0;
    if (slice_search(head, SLICE("content-length: 4194304\r\n")) == head.len)
        return play(server, fd, &GOOD);
    while (!server->is_released && !server->is_stopping)
        poll(NULL, 0, 1);
    is_upload_right = true;
    while (at < UPLOAD_BYTES && (got = recv(fd, block, BLOCK, 0)) > 0)
        for (ssize_t i = 0; i < got; i++, at++)
            if (block[i] != upload_byte(at))
                is_upload_right = false;
    if (at != UPLOAD_BYTES)
        is_upload_right = false;
    return play(server, fd, &GOOD);
}

static char *make_upload(void)
{
    char *body = mem_alloc(UPLOAD_BYTES);
    for (size_t i = 0; i < UPLOAD_BYTES; i++)
        body[i] = upload_byte(i);
    return body;
}

static void test_a_large_request_arrives_whole(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    start(&rig, &server, answer_upload, 1);
    server.is_released = true;
    probe_init(&probe, &rig, SLICE("POST"), SLICE("/"));
    char *body = make_upload();
    probe.request.body = slice_of(body, UPLOAD_BYTES);
    probe.request.has_body = true;
    probe_start(&probe);
    probe_await(&probe, &probe.is_done);
    assert_true(probe.is_clean);
    assert_true(is_upload_right);
    free(body);
    probe_fini(&probe);
    stop(&rig, &server);
}

static void test_3_4_a_body_being_sent_does_not_need_its_owner_any_more(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    is_upload_right = false;
    start(&rig, &server, answer_upload, 1);
    probe_init(&probe, &rig, SLICE("POST"), SLICE("/"));
    char *body = make_upload();
    probe.request.body = slice_of(body, UPLOAD_BYTES);
    probe.request.has_body = true;
    probe_start(&probe);
    while (server.now == 0)
        poll(NULL, 0, 1);
    do_on_loop(&probe, abandon);
    free(body);
    assert_true(is_one_busy(origin_state(rig.origins, &rig.config)));
    server.is_released = true;
    assert_true(rig_wait(&rig, is_idle));
    assert_true(is_upload_right);
    probe_fini(&probe);
    stop(&rig, &server);
}

static bool refuse_upload(struct server *server, int fd, slice head)
{
    struct script early = {.head = SLICE("HTTP/1.1 413 Content Too Large\r\n"
                                         "Content-Length: 3\r\nConnection: close\r\n\r\nno!"),
                           .ending = HANG};
    return play(server, fd, is_good(head) ? &GOOD : &early);
}

static void test_an_answer_before_the_request_is_sent_whole_is_taken(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    start(&rig, &server, refuse_upload, 1);
    probe_init(&probe, &rig, SLICE("POST"), SLICE("/"));
    char *body = make_upload();
    probe.request.body = slice_of(body, UPLOAD_BYTES);
    probe.request.has_body = true;
    probe_start(&probe);
    probe_await(&probe, &probe.is_done);
    assert_true(probe.is_clean);
    assert_int_equal(probe.status, 413);
    assert_string_equal(probe.body, "no!");
    free(body);
    assert_good(&rig);
    assert_int_equal(server.connections, 2);
    probe_fini(&probe);
    stop(&rig, &server);
}

/* --- answers without end --- */

static bool answer_endless(struct server *server, int fd, slice head)
{
    struct script stream = {.head =
                                SLICE("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; x=y\r\n"
                                      "\r\ndata: 1\n\n"),
                            .ending = HANG};
    struct script other = {.head =
                               SLICE("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nearly"),
                           .ending = HANG};
    if (slice_search(head, SLICE("connection: upgrade\r\n")) < head.len)
        return play(server, fd, &other);
    return play(server, fd, is_good(head) ? &GOOD : &stream);
}

static void
test_7_1_an_event_stream_frees_its_slot_at_the_head_and_is_closed_when_left(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    start(&rig, &server, answer_endless, 1);
    probe_init(&probe, &rig, SLICE("GET"), SLICE("/"));
    probe_start(&probe);
    probe_await(&probe, &probe.has_head);
    assert_good(&rig); /* there is one slot */
    assert_false(probe.is_done);
    unsigned threads = server.threads;
    do_on_loop(&probe, abandon);
    while (server.threads == threads) /* its connection is closed */
        poll(NULL, 0, 1);
    probe_fini(&probe);
    stop(&rig, &server);
}

static void test_7_1_a_worker_has_at_most_a_hundred_event_streams(void **state)
{
    enum { MOST = 100 };
    static struct probe_call probes[MOST + 1];
    struct rig rig;
    struct server server;
    (void)state;
    start(&rig, &server, answer_endless, 1);
    for (size_t i = 0; i <= MOST; i++) {
        probe_init(&probes[i], &rig, SLICE("GET"), SLICE("/"));
        probe_start(&probes[i]);
    }
    for (size_t i = 0; i < MOST; i++)
        probe_await(&probes[i], &probes[i].has_head);
    probe_await(&probes[MOST], &probes[MOST].is_done);
    assert_int_equal(probes[MOST].failure, CALL_LIMIT);
    for (size_t i = 0; i < MOST; i++)
        do_on_loop(&probes[i], abandon);
    for (size_t i = 0; i <= MOST; i++)
        probe_fini(&probes[i]);
    assert_good(&rig);
    stop(&rig, &server);
}

static char behind[8];

static void take_socket(struct probe_call *probe)
{
    slice read_behind;
    h2o_socket_t *socket = call_take_socket(probe->call, &read_behind);
    assert_non_null(socket);
    memcpy(behind, read_behind.ptr, read_behind.len < 7 ? read_behind.len : 7);
    h2o_socket_close(socket);
    call_free(probe->call);
    probe->call = NULL;
}

static void test_after_a_101_the_socket_and_what_was_read_behind_it_are_the_owners(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    start(&rig, &server, answer_endless, 1);
    probe_init(&probe, &rig, SLICE("GET"), SLICE("/"));
    probe.request.is_upgrade = true;
    probe_start(&probe);
    probe_await(&probe, &probe.has_head);
    assert_int_equal(probe.status, 101);
    assert_good(&rig);
    do_on_loop(&probe, take_socket);
    assert_string_equal(behind, "early");
    probe_fini(&probe);
    stop(&rig, &server);
}

static void test_an_upgraded_call_that_is_left_is_closed(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    start(&rig, &server, answer_endless, 1);
    probe_init(&probe, &rig, SLICE("GET"), SLICE("/"));
    probe.request.is_upgrade = true;
    probe_start(&probe);
    probe_await(&probe, &probe.has_head);
    do_on_loop(&probe, abandon);
    while (server.threads > 0)
        poll(NULL, 0, 1);
    probe_fini(&probe);
    stop(&rig, &server);
}

static bool answer_with_build(struct server *server, int fd, slice head)
{
    struct script built = {
        .head = SLICE("HTTP/1.1 200 OK\r\nX-App-Version: 42\r\nContent-Length: 0\r\n\r\n"),
        .ending = KEEP};
    (void)head;
    return play(server, fd, &built);
}

static void test_1_1_the_newest_build_is_known_after_an_answer_named_it(void **state)
{
    struct rig rig;
    struct server server;
    struct probe_call probe;
    (void)state;
    server_start(&server, answer_with_build, NULL);
    rig_init(&rig, server.port);
    rig.config.build_header = SLICE("x-app-version");
    rig_start(&rig, 1);
    assert_int_equal(origin_build(rig.origins, &rig.config).len, 0);
    probe_run(&probe, &rig, SLICE("GET"), SLICE("/"));
    assert_true(slice_equal(origin_build(rig.origins, &rig.config), SLICE("42")));
    probe_fini(&probe);
    stop(&rig, &server);
}

/* --- a storm: everything at once --- */

enum { STORM_CALLS = 5000, STORM_AT_ONCE = 24 }; /* per loop */

struct storm_call;

struct storm {
    struct rig *rig;
    struct loop *loop;
    struct loop_message start;
    struct fields no_fields;
    unsigned seed, started, over;
    atomic_bool is_done;
};

struct storm_call {
    struct storm *storm;
    struct forward forward;
    struct call *call;
    unsigned leave_at; /* 0: stays; 1: at once; 2: at the head; 3: in the body */
};

static void storm_next(struct storm *storm);

static void storm_over(struct storm_call *mine)
{
    struct storm *storm = mine->storm;
    free(mine);
    storm->over++;
    storm_next(storm);
}

static void storm_leave(struct storm_call *mine)
{
    call_abandon(mine->call);
    storm_over(mine);
}

static void storm_head(struct call *call, void *owner, const struct response *response,
                       size_t length)
{
    struct storm_call *mine = owner;
    (void)call, (void)response, (void)length;
    if (mine->leave_at == 2)
        storm_leave(mine);
}

static void storm_body(struct call *call, void *owner, slice bytes)
{
    struct storm_call *mine = owner;
    (void)bytes;
    if (mine->leave_at == 3)
        storm_leave(mine);
    else if (rand_r(&mine->storm->seed) % 4 == 0) {
        call_pause(call);
        call_resume(call);
    }
}

static void storm_end(struct call *call, void *owner, bool is_clean)
{
    (void)is_clean;
    call_free(call);
    storm_over(owner);
}

static void storm_fail(struct call *call, void *owner, enum call_failure failure, slice detail)
{
    (void)failure, (void)detail;
    call_free(call);
    storm_over(owner);
}

static const struct call_events STORM_EVENTS = {
    .head = storm_head, .body = storm_body, .end = storm_end, .fail = storm_fail};

static void storm_call(struct storm *storm)
{
    static const slice TARGETS[] = {SLICE("/good"),  SLICE("/good"),  SLICE("/chunks"),
                                    SLICE("/large"), SLICE("/close"), SLICE("/reset"),
                                    SLICE("/cut"),   SLICE("/stream")};
    static const slice METHODS[] = {SLICE("GET"), SLICE("POST"), SLICE("HEAD")};
    struct storm_call *mine = mem_alloc(sizeof(*mine));
    unsigned method = (unsigned)rand_r(&storm->seed) % 8;
    *mine = (struct storm_call){.storm = storm,
                                .leave_at = (unsigned)rand_r(&storm->seed) % 6,
                                .forward = {.method = METHODS[method < 3 ? method : 0],
                                            .target = TARGETS[rand_r(&storm->seed) % 8],
                                            .fields = storm->no_fields}};
    struct call_request request = {.origin = &storm->rig->config,
                                   .forward = &mine->forward,
                                   .is_retryable = method != 1,
                                   .is_asset = rand_r(&storm->seed) % 8 == 0,
                                   .host_header = SLICE("shop.example")};
    storm->started++;
    mine->call = call_new(storm->rig->origins, storm->loop, &request, &STORM_EVENTS, mine);
    if (mine->leave_at == 1)
        storm_leave(mine);
}

/* A call may be over while the next ones are being started: that only ends this loop later. */
static void storm_next(struct storm *storm)
{
    if (storm->over == STORM_CALLS)
        storm->is_done = true;
    if (storm->started < STORM_CALLS && storm->started - storm->over < STORM_AT_ONCE)
        loop_post(storm->loop, &storm->start);
}

static void storm_go(struct loop_message *message)
{
    struct storm *storm = container_of(message, struct storm, start);
    for (int i = 0; i < 8 && storm->started < STORM_CALLS; i++)
        storm_call(storm);
    storm_next(storm);
}

static bool answer_storm(struct server *server, int fd, slice head)
{
    static char block[BLOCK];
    struct script chunks = {.head = SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                            .repeated = SLICE("5\r\nhello\r\n"),
                            .times = 10,
                            .tail = SLICE("0\r\n\r\n"),
                            .ending = KEEP};
    struct script large = {.head = SLICE("HTTP/1.1 200 OK\r\nContent-Length: 196608\r\n\r\n"),
                           .repeated = slice_of(block, BLOCK),
                           .times = 3,
                           .ending = KEEP};
    struct script cut = large, nothing = {.ending = CLOSE}, reset = {.ending = RESET};
    struct script stream = {
        .head = SLICE("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nx"),
        .ending = CLOSE};
    bool is_head = head.ptr[0] == 'H';
    cut.times = 1;
    cut.ending = CLOSE;
    chunks.times = is_head ? 0 : chunks.times;
    chunks.tail = is_head ? SLICE_NONE : chunks.tail;
    large.times = is_head ? 0 : large.times;
    switch (slice_from(head, slice_find(head, '/', 0)).ptr[2]) {
    case 'h':
        return play(server, fd, &chunks);
    case 'a':
        return play(server, fd, &large);
    case 'l':
        return play(server, fd, &nothing);
    case 'e':
        return play(server, fd, &reset);
    case 'u':
        return play(server, fd, &cut);
    case 't':
        return play(server, fd, &stream);
    default:
        return play(
            server, fd,
            &(struct script){.head = slice_until(GOOD.head, GOOD.head.len - (is_head ? 4 : 0)),
                             .ending = KEEP});
    }
}

static void test_ten_thousand_calls_left_at_random_leave_nothing_behind(void **state)
{
    struct rig rig;
    struct server server;
    struct storm storms[2];
    (void)state;
    server_start(&server, answer_storm, NULL);
    rig_init(&rig, server.port);
    rig.config.slots = 6;
    rig.config.connections = 4;
    rig_start(&rig, 2);
    for (size_t i = 0; i < 2; i++) {
        storms[i] = (struct storm){.rig = &rig,
                                   .loop = &rig_loops[i],
                                   .start.deliver = storm_go,
                                   .seed = 11 + (unsigned)i};
        loop_post(storms[i].loop, &storms[i].start);
    }
    while (!storms[0].is_done || !storms[1].is_done)
        poll(NULL, 0, 1);
    assert_true(rig_wait(&rig, is_idle));
    assert_in_range(server.most, 1, 6 + 4);
    for (int i = 0; i < 20; i++)
        assert_good(&rig);
    stop(&rig, &server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_paused_call_reads_no_further_and_loses_nothing),
        cmocka_unit_test(test_3_4_an_abandoned_body_is_read_up_to_4_mib_then_closed),
        cmocka_unit_test(
            test_3_4_an_abandoned_small_body_is_read_to_its_end_and_the_connection_kept),
        cmocka_unit_test(test_a_large_request_arrives_whole),
        cmocka_unit_test(test_3_4_a_body_being_sent_does_not_need_its_owner_any_more),
        cmocka_unit_test(test_an_answer_before_the_request_is_sent_whole_is_taken),
        cmocka_unit_test(
            test_7_1_an_event_stream_frees_its_slot_at_the_head_and_is_closed_when_left),
        cmocka_unit_test(test_7_1_a_worker_has_at_most_a_hundred_event_streams),
        cmocka_unit_test(test_after_a_101_the_socket_and_what_was_read_behind_it_are_the_owners),
        cmocka_unit_test(test_an_upgraded_call_that_is_left_is_closed),
        cmocka_unit_test(test_1_1_the_newest_build_is_known_after_an_answer_named_it),
        cmocka_unit_test(test_ten_thousand_calls_left_at_random_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
