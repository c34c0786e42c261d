/* The origin client against bad origins, over real sockets on 127.0.0.1. */
#include "tests/unit/edge/origin_rig.h"

enum { ANY = -1 };

struct bad_origin {
    const char *name;
    slice method;
    struct script script;
    slice expected;
    long body_bytes;
};

#define BAD(name, method, head, repeated, times, tail, ending, expected, body_bytes)               \
    {#name,                                                                                        \
     SLICE(#method),                                                                               \
     {SLICE(head), SLICE(repeated), times, SLICE(tail), ending},                                   \
     SLICE(#expected),                                                                             \
     body_bytes},
static const struct bad_origin BAD_ORIGINS[] = {
#include "tests/data/bad_origins.def"
};
#undef BAD

static const struct script GOOD = {
    .head = SLICE("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"), .ending = KEEP};

/* "/good" is answered well; what else is asked, as the script in `arg` says. */
static bool answer_by_script(struct server *server, int fd, slice head)
{
    bool is_good = slice_search(head, SLICE(" /good ")) < head.len;
    return play(server, fd, is_good ? &GOOD : (const struct script *)server->arg);
}

static void assert_good(struct rig *rig)
{
    struct probe_call probe;
    probe_run(&probe, rig, SLICE("GET"), SLICE("/good"));
    assert_string_equal(probe.body, "good");
    assert_int_equal(probe.status, 200);
    assert_false(probe.has_failed);
    probe_fini(&probe);
}

/* Only the time-out that is expected is short: the others must not depend on the machine. */
static void set_times(struct rig *rig, slice expected)
{
    duration soon = {60};
    if (slice_equal(expected, SLICE("first_byte_timeout")))
        rig->config.first_byte = soon;
    if (slice_equal(expected, SLICE("between_bytes_timeout")))
        rig->config.between_bytes = soon;
    if (slice_equal(expected, SLICE("stuck")))
        rig->config.slot_max = soon;
    rig->config.retries = 0;
}

static void check_bad_origin(const struct bad_origin *bad)
{
    struct server server;
    struct rig rig;
    struct probe_call probe;
    server_start(&server, answer_by_script, (void *)(uintptr_t)&bad->script);
    rig_init(&rig, server.port);
    set_times(&rig, bad->expected);
    rig_start(&rig, 1);
    probe_run(&probe, &rig, bad->method, SLICE("/bad"));
    slice outcome = probe_outcome(&probe);
    if (!slice_equal(outcome, bad->expected))
        fail_msg("%s: %.*s (%s), not %.*s", bad->name, SLICE_ARG(outcome), probe.detail,
                 SLICE_ARG(bad->expected));
    if (bad->body_bytes != ANY && probe.body_bytes != (size_t)bad->body_bytes)
        fail_msg("%s: %zu bytes of body, not %ld", bad->name, probe.body_bytes, bad->body_bytes);
    probe_fini(&probe);
    server.is_released = true;
    assert_true(rig_wait(&rig, is_idle)); /* however it went, the slot is free in the end */
    assert_good(&rig);                    /* and the next request sees nothing of it */
    assert_good(&rig);
    rig_stop(&rig);
    server_stop(&server);
}

static void test_each_bad_origin_has_its_outcome_and_does_no_harm_to_the_next_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(BAD_ORIGINS) / sizeof(BAD_ORIGINS[0]); i++)
        check_bad_origin(&BAD_ORIGINS[i]);
}

static void test_7_5_a_trickling_body_is_stuck_after_slot_max(void **state)
{
    (void)state;
    static const struct bad_origin TRICKLING = {
        .name = "trickling_body",
        .method = SLICE("GET"),
        .script = {.head = SLICE("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
                   .repeated = SLICE("x"),
                   .times = 999999,
                   .ending = TRICKLE},
        .expected = SLICE("stuck"),
        .body_bytes = ANY};
    check_bad_origin(&TRICKLING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_bad_origin_has_its_outcome_and_does_no_harm_to_the_next_request),
        cmocka_unit_test(test_7_5_a_trickling_body_is_stuck_after_slot_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
