/* edge/request/candidate.c: what a stored page is good for, for whom; the clock is ours. */
#include "edge/request/candidate.h"

#include "policy/load.h"

#include "tests/unit/cache/store_help.h"

enum { STORED_S = 1000, LIFETIME_S = 60 };

static struct arena arena;
static const struct policy *policy;
static struct request request;
static struct decision decision;
static struct client_wish wish;
static struct object *object;

static void decide(const char *accept, const char *cache_control)
{
    request = (struct request){.arena = &arena,
                               .method = METHOD_GET,
                               .method_text = SLICE("GET"),
                               .scheme = SLICE("http"),
                               .host = SLICE("h"),
                               .target = SLICE("/"),
                               .path = SLICE("/")};
    fields_init(&request.fields, &arena);
    fields_add_id(&request.fields, FIELD_ACCEPT, slice_of_string(accept));
    if (cache_control)
        fields_add_id(&request.fields, FIELD_CACHE_CONTROL, slice_of_string(cache_control));
    decision = (struct decision){0};
    rules_receive(policy, &request, SLICE_NONE, &decision);
    client_wish_of(&request, decision.route, &wish);
}

static struct instant at(int64_t seconds)
{
    return (struct instant){{seconds * 1000}, {seconds * 1000}};
}

static struct candidate judged(enum purge_state purged, enum reason outdated, int64_t age_s)
{
    const struct grounds by = {&decision, &request.fields, &wish,
                               purged,    outdated,        at(STORED_S + age_s)};
    struct candidate found = {.object = object_ref(object)};
    candidate_judge(&found, &by);
    return found;
}

static void assert_judged(enum purge_state purged, enum reason outdated, int64_t age_s,
                          enum freshness freshness, enum reason reason)
{
    struct candidate found = judged(purged, outdated, age_s);
    assert_non_null(found.object);
    assert_int_equal(found.freshness, freshness);
    assert_int_equal(found.reason, reason);
    object_unref(&found.object);
}

static int setup(void **state)
{
    (void)state;
    struct diag diag;
    arena_init(&arena);
    diag_init(&diag, &arena);
    policy = policy_load_text(
        SLICE("renderer: http://127.0.0.1:1\n"
              "routes: [{match: \"/**\", client_cache_control: honour, stale: {while_revalidate: "
              "10s, if_error: 100s}}]\n"),
        SLICE("t"), &diag);
    assert_non_null(policy);
    decide("text/html", NULL);
    object = object_make(&(struct recipe){.url = 1, .version = 1, .body_bytes = 10});
    object->policy_hash = decision.route->policy_hash;
    object->facts = (struct facts){.status = 200,
                                   .flags = FACT_EXPLICIT | FACT_NAVIGATION | FACT_PAGE_TYPE,
                                   .request_time = at(STORED_S).wall,
                                   .response_time = at(STORED_S).wall,
                                   .response_mono = at(STORED_S).mono,
                                   .boot_id = clock_boot_id(),
                                   .explicit_lifetime = {LIFETIME_S * 1000},
                                   .stale_while_revalidate = DURATION_NONE,
                                   .stale_if_error = DURATION_NONE};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    object_unref(&object);
    policy_free((struct policy *)(uintptr_t)policy);
    arena_fini(&arena);
    return 0;
}

static void test_5_1_a_page_is_fresh_then_usable_then_kept_for_its_validators(void **state)
{
    (void)state;
    assert_judged(PURGE_ALIVE, REASON_NONE, 1, FRESH, REASON_FRESH);
    assert_judged(PURGE_ALIVE, REASON_NONE, LIFETIME_S + 1, STALE_WHILE_REVALIDATE, REASON_EXPIRED);
    assert_judged(PURGE_ALIVE, REASON_NONE, LIFETIME_S + 11, STALE_IF_ERROR, REASON_EXPIRED);
    assert_judged(PURGE_ALIVE, REASON_NONE, LIFETIME_S + 101, STALE_UNUSABLE, REASON_EXPIRED);
}

static void test_5_4_a_fresh_page_of_before_is_refreshed_behind_people(void **state)
{
    (void)state;
    assert_judged(PURGE_ALIVE, REASON_BUILD_CHANGED, 1, STALE_WHILE_REVALIDATE,
                  REASON_BUILD_CHANGED);
    assert_judged(PURGE_ALIVE, REASON_REVALIDATING, 1, STALE_WHILE_REVALIDATE, REASON_REVALIDATING);
    /* what is stale anyhow stays as stale as it is */
    assert_judged(PURGE_ALIVE, REASON_BUILD_CHANGED, LIFETIME_S + 11, STALE_IF_ERROR,
                  REASON_EXPIRED);
}

static void test_6_2_a_purged_page_is_dropped_and_a_softly_purged_one_is_stale(void **state)
{
    (void)state;
    struct candidate dead = judged(PURGE_DEAD, REASON_NONE, 1);
    assert_null(dead.object);
    assert_int_equal(dead.reason, REASON_PURGED);
    assert_judged(PURGE_SOFT, REASON_NONE, 1, STALE_WHILE_REVALIDATE, REASON_PURGED);
}

static void test_4_4_a_page_of_another_policy_is_for_errors_only(void **state)
{
    (void)state;
    object->policy_hash++;
    assert_judged(PURGE_ALIVE, REASON_NONE, 1, STALE_IF_ERROR, REASON_POLICY);
}

static void test_4_5_data_never_answers_a_navigation(void **state)
{
    (void)state;
    object->facts.flags = FACT_EXPLICIT;
    struct candidate odd = judged(PURGE_ALIVE, REASON_NONE, 1);
    assert_null(odd.object);
    assert_int_equal(odd.reason, REASON_TYPE_MISMATCH);
    decide("application/json", NULL);
    assert_judged(PURGE_ALIVE, REASON_NONE, 1, FRESH, REASON_FRESH);
}

static void test_a_client_may_want_more_than_freshness(void **state)
{
    (void)state;
    decide("text/html", "max-age=5");
    assert_judged(PURGE_ALIVE, REASON_NONE, 1, FRESH, REASON_FRESH);
    struct candidate found = judged(PURGE_ALIVE, REASON_NONE, 10);
    assert_true(found.is_declined);
    assert_int_equal(found.freshness, STALE_UNUSABLE);
    assert_int_equal(found.reason, REASON_NO_CACHE);
    object_unref(&found.object);
}

static void test_4_7_what_is_coded_with_no_transform_is_for_who_can_read_it(void **state)
{
    (void)state;
    object->coding = CODING_GZIP;
    struct candidate found = judged(PURGE_ALIVE, REASON_NONE, 1);
    assert_non_null(found.object); /* it can be decoded */
    object_unref(&found.object);
    object->facts.flags |= FACT_NO_TRANSFORM;
    found = judged(PURGE_ALIVE, REASON_NONE, 1);
    assert_null(found.object);
    assert_int_equal(miss_is_passed(&request, &decision, &wish, &found), REASON_VARY_MISMATCH);
    fields_add_id(&request.fields, FIELD_ACCEPT_ENCODING, SLICE("br, gzip"));
    assert_judged(PURGE_ALIVE, REASON_NONE, 1, FRESH, REASON_FRESH);
    object->coding = CODING_IDENTITY;
}

static void test_nothing_found_is_nothing_given(void **state)
{
    (void)state;
    struct given given;
    const struct candidate none = {.reason = REASON_COLD};
    assert_false(candidate_is_given(NULL, &decision, &none, &given));
}

static void test_4_1_a_part_is_passed_unless_the_whole_is_stored(void **state)
{
    (void)state;
    const struct candidate none = {.reason = REASON_COLD}, stale = {.object = object};
    assert_int_equal(miss_is_passed(&request, &decision, &wish, &none), REASON_NONE);
    fields_add_id(&request.fields, FIELD_RANGE, SLICE("bytes=0-1"));
    assert_int_equal(miss_is_passed(&request, &decision, &wish, &none), REASON_POLICY);
    assert_int_equal(miss_is_passed(&request, &decision, &wish, &stale), REASON_NONE);
    decide("text/html", "no-store");
    assert_int_equal(miss_is_passed(&request, &decision, &wish, &stale), REASON_NO_STORE);
}

static void test_only_if_cached_is_refused_with_the_reason_of_the_look_up(void **state)
{
    (void)state;
    struct refusal refusal;
    const struct candidate none = {.reason = REASON_COLD};
    assert_false(fetch_is_refused(&request, &decision, &wish, &none, &refusal));
    decide("text/html", "only-if-cached");
    assert_true(fetch_is_refused(&request, &decision, &wish, &none, &refusal));
    assert_int_equal(refusal.status, 504);
    assert_int_equal(refusal.reason, REASON_COLD);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_5_1_a_page_is_fresh_then_usable_then_kept_for_its_validators),
        TEST(test_5_4_a_fresh_page_of_before_is_refreshed_behind_people),
        TEST(test_6_2_a_purged_page_is_dropped_and_a_softly_purged_one_is_stale),
        TEST(test_4_4_a_page_of_another_policy_is_for_errors_only),
        TEST(test_4_5_data_never_answers_a_navigation),
        TEST(test_a_client_may_want_more_than_freshness),
        TEST(test_4_7_what_is_coded_with_no_transform_is_for_who_can_read_it),
        TEST(test_nothing_found_is_nothing_given),
        TEST(test_4_1_a_part_is_passed_unless_the_whole_is_stored),
        TEST(test_only_if_cached_is_refused_with_the_reason_of_the_look_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
