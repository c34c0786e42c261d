/*
 * What an unsafe request that succeeded does to its URL (semantics 6.1) and to cache groups
 * (RFC 9875): soft, by RFC 9111 §4.4, or nothing. The clock is the loop's, set by the test.
 */
#include "edge/request/invalidate.h"

#include "policy/load.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>

static struct server server;
static struct loop loop;
static struct arena arena;
static struct route route;
static struct decision decision;
static struct request request;
static struct response response;
static void *region;

static void set_up(slice policy)
{
    struct diag diag;
    char error[256];
    arena_init(&arena);
    diag_init(&diag, &arena);
    if (!loop.evloop)
        loop.evloop = h2o_evloop_create();
    region =
        mmap(NULL, purge_table_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    purge_table_init(region);
    server =
        (struct server){.policy = policy_load_text(policy, SLICE("t"), &diag),
                        .purges = purge_attach(region, SLICE_NONE, false, clock_now().wall, error),
                        .invalidations = marks_new()};
    route = server.policy->route_pass;
    decision = (struct decision){.route = &route};
    request = (struct request){.arena = &arena,
                               .scheme = SLICE("https"),
                               .host = SLICE("shop.example"),
                               .path = SLICE("/form"),
                               .target = SLICE("/form")};
    response = (struct response){.status = 303};
    fields_init(&response.fields, &arena);
}

static int setup(void **context)
{
    (void)context;
    set_up(SLICE("renderer: http://127.0.0.1:1\n"));
    return 0;
}

static int setup_with_twins(void **context)
{
    (void)context;
    set_up(SLICE("renderer: http://127.0.0.1:1\npurge: {twins: [\"{path}.data\"]}\n"));
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    invalidate_now(&loop);
    marks_free(server.invalidations);
    purge_detach(server.purges);
    policy_free((struct policy *)(uintptr_t)server.policy);
    munmap(region, purge_table_bytes());
    loop_fini(&loop);
    loop.timer_capacity = 0;
    arena_fini(&arena);
    return 0;
}

/* How something that was stored at `stamp` stands now. */
static enum purge_state state_of(slice path, uint64_t stamp)
{
    struct purge_subject subject = {.host = request.host, .path = path, .stamp = stamp};
    return purge_check(server.purges, &subject);
}

static enum purge_state state_of_tag(const char *tag, uint64_t stamp)
{
    uint64_t hash = purge_tag_hash(slice_of_string(tag));
    struct purge_subject subject = {.host = SLICE("elsewhere"),
                                    .path = SLICE("/"),
                                    .tag_hashes = &hash,
                                    .tag_count = 1,
                                    .stamp = stamp};
    return purge_check(server.purges, &subject);
}

static uint64_t stored_now(void)
{
    return purge_stamp(server.purges);
}

/* loop_now() reads the clock anew only when libh2o has. */
static void let_pass(int64_t ms)
{
    loop_now(&loop);
    loop.now.mono.ms += ms;
    loop.now.wall.ms += ms;
}

static void submit(void)
{
    invalidate_after(&server, &loop, &request, &decision, &response);
}

static void test_6_1_soft_the_first_marks_at_once(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_SOFT;
    uint64_t stamp = stored_now();
    submit();
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_SOFT);
    assert_int_equal(state_of(SLICE("/other"), stamp), PURGE_ALIVE);
    assert_int_equal(loop.timer_count, 0);
}

static void test_6_1_soft_further_ones_mark_together_at_the_end_of_ten_seconds(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_SOFT;
    submit();
    uint64_t stamp = stored_now();
    for (int i = 0; i < 5; i++)
        submit();
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_ALIVE);
    assert_int_equal(loop.timer_count, 1); /* one for all */
    assert_int_equal(mono_since(loop.heap[1]->due, loop_now(&loop).mono).ms, 10000);
    struct loop_timer *timer = loop.heap[1];
    loop_timer_stop(&loop, timer);
    timer->fire(timer);
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_SOFT);
}

static void test_6_1_the_first_begins_the_ten_seconds_and_not_the_second(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_SOFT;
    submit();
    let_pass(9000);
    uint64_t stamp = stored_now();
    submit();
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_ALIVE);
    assert_int_equal(loop.timer_count, 1);
    assert_int_equal(mono_since(loop.heap[1]->due, loop_now(&loop).mono).ms, 1000);
    let_pass(1000);
    submit(); /* the next ten begin */
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_SOFT);
}

static void test_6_1_no_query_and_an_empty_one_are_two_urls(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_SOFT;
    submit();
    uint64_t stamp = stored_now();
    struct purge_subject empty = {
        .host = request.host, .path = request.path, .has_query = true, .stamp = stamp};
    decision.has_query = true;
    submit();
    assert_int_equal(purge_check(server.purges, &empty), PURGE_SOFT);
    assert_int_equal(loop.timer_count, 0);
    empty.stamp = stamp = stored_now();
    submit();
    decision.has_query = false;
    submit();
    assert_int_equal(loop.timer_count, 2);
    invalidate_now(&loop);
    assert_int_equal(purge_check(server.purges, &empty), PURGE_SOFT);
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_SOFT);
}

static void test_6_1_each_url_has_its_own_ten_seconds(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_SOFT;
    submit();
    uint64_t stamp = stored_now();
    decision.query = SLICE("a=1");
    decision.has_query = true;
    submit();
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_ALIVE);
    struct purge_subject subject = {.host = request.host,
                                    .path = SLICE("/form"),
                                    .query = SLICE("a=1"),
                                    .has_query = true,
                                    .stamp = stamp};
    assert_int_equal(purge_check(server.purges, &subject), PURGE_SOFT);
    assert_int_equal(loop.timer_count, 0);
}

static void test_9_1_a_drain_loses_no_marking(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_SOFT;
    submit();
    uint64_t stamp = stored_now();
    submit();
    invalidate_now(&loop);
    assert_int_equal(loop.timer_count, 0);
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_SOFT);
    atomic_store(&server.is_draining, true);
    stamp = stored_now();
    submit(); /* no timer would live to its end */
    assert_int_equal(loop.timer_count, 0);
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_SOFT);
}

static void test_6_1_rfc_drops_the_url_and_what_the_answer_names(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_RFC;
    fields_add_id(&response.fields, FIELD_LOCATION, SLICE("/thanks"));
    fields_add_id(&response.fields, FIELD_CONTENT_LOCATION, SLICE("https://shop.example/item"));
    uint64_t stamp = stored_now();
    submit();
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_DEAD);
    assert_int_equal(state_of(SLICE("/thanks"), stamp), PURGE_DEAD);
    assert_int_equal(state_of(SLICE("/item"), stamp), PURGE_DEAD);
    stamp = stored_now();
    submit(); /* each time */
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_DEAD);
}

static void test_6_1_6_4_rfc_drops_the_data_of_each_page_that_it_drops(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_RFC;
    fields_add_id(&response.fields, FIELD_LOCATION, SLICE("/thanks?order=1"));
    fields_add_id(&response.fields, FIELD_CONTENT_LOCATION, SLICE("https://bank.example/item"));
    uint64_t stamp = stored_now();
    submit();
    assert_int_equal(state_of_tag("twin shop.example/form", stamp), PURGE_DEAD);
    assert_int_equal(state_of_tag("twin shop.example/thanks", stamp), PURGE_DEAD);
    assert_int_equal(state_of_tag("twin bank.example/item", stamp), PURGE_ALIVE);
    assert_int_equal(state_of_tag("twin shop.example/item", stamp), PURGE_ALIVE);
}

static void test_6_1_rfc_another_origin_is_never_touched(void **context)
{
    (void)context;
    static const char *const elsewhere[] = {"http://bank.example/thanks",
                                            "//bank.example/thanks",
                                            "https://shop.example.evil/thanks",
                                            "http://shop.example/thanks",
                                            "https://shop.example:8443/thanks",
                                            "mailto:a@b",
                                            "",
                                            "::"};
    route.invalidate = INVALIDATE_RFC;
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        fields_init(&response.fields, &arena);
        fields_add_id(&response.fields, FIELD_LOCATION, slice_of_string(elsewhere[i]));
        uint64_t stamp = stored_now();
        submit();
        struct purge_subject subject = {
            .host = SLICE("bank.example"), .path = SLICE("/thanks"), .stamp = stamp};
        assert_int_equal(purge_check(server.purges, &subject), PURGE_ALIVE);
        assert_int_equal(state_of(SLICE("/thanks"), stamp), PURGE_ALIVE);
        assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_DEAD);
    }
}

static void test_6_1_never_means_never(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_NEVER;
    uint64_t stamp = stored_now();
    submit();
    assert_int_equal(stored_now(), stamp);
    assert_int_equal(loop.timer_count, 0);
}

static void test_9875_groups_of_the_same_origin_are_marked_stale(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_SOFT;
    fields_add(&response.fields, SLICE("cache-group-invalidation"), SLICE("\"news\", \"home\""));
    uint64_t stamp = stored_now();
    submit();
    assert_int_equal(state_of_tag("https://shop.example news", stamp), PURGE_SOFT);
    assert_int_equal(state_of_tag("https://shop.example home", stamp), PURGE_SOFT);
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_SOFT);
    static const char *const untouched[] = {
        "http://shop.example news", "https://shop.example:8443 news", "https://bank.example news",
        "https://shop.example other", "news"};
    for (size_t i = 0; i < sizeof(untouched) / sizeof(untouched[0]); i++)
        assert_int_equal(state_of_tag(untouched[i], stamp), PURGE_ALIVE);
    assert_int_equal(loop.timer_count, 0);
}

static void test_9875_6_1_a_group_has_ten_seconds_of_its_own(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_SOFT;
    fields_add(&response.fields, SLICE("cache-group-invalidation"), SLICE("\"news\""));
    submit();
    uint64_t stamp = stored_now();
    request.path = SLICE("/another"); /* its URL is marked at once, the group is not */
    for (int i = 0; i < 5; i++)
        submit();
    assert_int_equal(state_of(SLICE("/another"), stamp), PURGE_SOFT);
    assert_int_equal(state_of_tag("https://shop.example news", stamp), PURGE_ALIVE);
    assert_int_equal(loop.timer_count, 2); /* one for the group, one for the URL */
    invalidate_now(&loop);
    assert_int_equal(state_of_tag("https://shop.example news", stamp), PURGE_SOFT);
    assert_int_equal(atomic_load(&server.late_invalidations), 0);
}

static void test_9875_rfc_drops_groups_and_never_means_never(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_NEVER;
    fields_add(&response.fields, SLICE("cache-group-invalidation"), SLICE("\"news\""));
    uint64_t stamp = stored_now();
    submit();
    assert_int_equal(stored_now(), stamp);
    route.invalidate = INVALIDATE_RFC;
    for (int i = 0; i < 2; i++) { /* each time */
        stamp = stored_now();
        submit();
        assert_int_equal(state_of_tag("https://shop.example news", stamp), PURGE_DEAD);
    }
}

/* Nothing is lost; what cannot wait is done at once. */
static void test_6_1_no_more_markings_wait_than_have_room(void **context)
{
    (void)context;
    route.invalidate = INVALIDATE_SOFT;
    submit();
    uint64_t stamp = stored_now();
    atomic_store(&server.late_invalidations, 16384);
    submit();
    assert_int_equal(loop.timer_count, 0);
    assert_int_equal(state_of(SLICE("/form"), stamp), PURGE_SOFT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_6_1_soft_the_first_marks_at_once),
        TEST(test_6_1_soft_further_ones_mark_together_at_the_end_of_ten_seconds),
        TEST(test_6_1_the_first_begins_the_ten_seconds_and_not_the_second),
        TEST(test_6_1_no_query_and_an_empty_one_are_two_urls),
        TEST(test_6_1_each_url_has_its_own_ten_seconds),
        TEST(test_9_1_a_drain_loses_no_marking),
        TEST(test_6_1_rfc_drops_the_url_and_what_the_answer_names),
        cmocka_unit_test_setup_teardown(test_6_1_6_4_rfc_drops_the_data_of_each_page_that_it_drops,
                                        setup_with_twins, teardown),
        TEST(test_6_1_rfc_another_origin_is_never_touched),
        TEST(test_6_1_never_means_never),
        TEST(test_9875_groups_of_the_same_origin_are_marked_stale),
        TEST(test_9875_6_1_a_group_has_ten_seconds_of_its_own),
        TEST(test_9875_rfc_drops_groups_and_never_means_never),
        TEST(test_6_1_no_more_markings_wait_than_have_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
