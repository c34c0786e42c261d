/* The text of Cache-Status: RFC 9211, http-caching §11. */
#include "policy/cache_status.h"

#include "policy/structured.h"
#include "tests/unit/policy/response_support.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void count(void *members, const struct sf_member *member)
{
    assert_true(member->type == SF_TOKEN || member->type == SF_STRING);
    ++*(int *)members;
}

/* Whatever it says, it is a List of tokens and strings (§2). */
static void check(slice before, const struct cache_status *status, const char *expected)
{
    int members = 0;
    slice text = cache_status_append(before, status, &arena);
    if (!slice_is(text, expected))
        fail_msg("\"%.*s\" is not \"%s\"", (int)text.len, text.ptr, expected);
    assert_true(sf_list_each(text, count, &members));
    assert_true(members >= 1);
}

/* Without `ttl`; with it. */
#define STATUS(...)                                                                                \
    &(const struct cache_status)                                                                   \
    {                                                                                              \
        .ttl = DURATION_NONE, __VA_ARGS__                                                          \
    }
#define WITH_TTL(...)                                                                              \
    &(const struct cache_status)                                                                   \
    {                                                                                              \
        .ttl = __VA_ARGS__                                                                         \
    }

static void test_11_each_parameter(void **state)
{
    (void)state;
    check(SLICE_NONE, STATUS(.forward = FORWARD_NONE), "varve; hit");
    check(SLICE_NONE, STATUS(.forward = FORWARD_BYPASS), "varve; fwd=bypass");
    check(SLICE_NONE, STATUS(.forward = FORWARD_METHOD), "varve; fwd=method");
    check(SLICE_NONE, STATUS(.forward = FORWARD_URI_MISS), "varve; fwd=uri-miss");
    check(SLICE_NONE, STATUS(.forward = FORWARD_VARY_MISS), "varve; fwd=vary-miss");
    check(SLICE_NONE, STATUS(.forward = FORWARD_MISS), "varve; fwd=miss");
    check(SLICE_NONE, STATUS(.forward = FORWARD_REQUEST), "varve; fwd=request");
    check(SLICE_NONE, STATUS(.forward = FORWARD_STALE), "varve; fwd=stale");
    check(SLICE_NONE,
          WITH_TTL({42999}, .forward = FORWARD_STALE, .forward_status = 304, .is_stored = true,
                   .collapse = COLLAPSE_REUSED, .key = SLICE("k"), .detail = SLICE("d_e")),
          "varve; fwd=stale; fwd-status=304; stored; collapsed; ttl=42; key=\"k\"; detail=d_e");
    check(SLICE_NONE, STATUS(.forward = FORWARD_MISS, .collapse = COLLAPSE_IN_VAIN),
          "varve; fwd=miss; collapsed=?0");
}

/* fwd-status, stored and collapsed mean nothing without fwd (§2.3, §2.5, §2.6). */
static void test_11_a_hit_has_no_parameters_of_forwarding(void **state)
{
    (void)state;
    check(SLICE_NONE,
          WITH_TTL({1000}, .forward_status = 200, .is_stored = true, .collapse = COLLAPSE_REUSED),
          "varve; hit; ttl=1");
    check(SLICE_NONE,
          STATUS(.is_generated = true, .forward = FORWARD_MISS, .forward_status = 200,
                 .detail = SLICE("all_down")),
          "varve; detail=all_down");
}

static void test_11_ttl_is_rounded_down_and_has_15_digits_at_most(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "varve; hit; ttl=0"},
        {999, "varve; hit; ttl=0"},
        {-1, "varve; hit; ttl=-1"},
        {-1000, "varve; hit; ttl=-1"},
        {-1001, "varve; hit; ttl=-2"},
        {INT64_MAX, "varve; hit; ttl=999999999999999"},
        {INT64_MIN + 1, "varve; hit; ttl=-999999999999999"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        check(SLICE_NONE, WITH_TTL({rows[i].ms}), rows[i].text);
}

static void test_11_it_comes_behind_other_members_that_can_be_read(void **state)
{
    (void)state;
    check(SLICE("Origin; hit, \"CDN Company\"; fwd=stale;x"), WITH_TTL({0}),
          "Origin; hit, \"CDN Company\"; fwd=stale;x, varve; hit; ttl=0");
    check(SLICE("  a "), WITH_TTL({0}), "a, varve; hit; ttl=0");
    static const char *const unreadable[] = {"",    " ",   "a,",     "HIT from 10.0.0.1 (x)",
                                             "\"a", "a b", "a; b c", "\x80"};
    for (size_t i = 0; i < ROWS(unreadable); i++)
        check(slice_of_string(unreadable[i]), WITH_TTL({0}), "varve; hit; ttl=0");
}

static void test_11_a_key_of_any_bytes_is_a_string(void **state)
{
    char all[256], text[4096];
    (void)state;
    check(SLICE_NONE, STATUS(.key = SLICE("http://h/a\"b\\c\xc3\xa4\x01")),
          "varve; hit; key=\"http://h/a\\\"b\\\\c%c3%a4%01\"");
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    int members = 0;
    assert_true(
        sf_list_each(cache_status_append(SLICE_NONE, STATUS(.key = slice_of(all, 256)), &arena),
                     count, &members));
    memset(text, '"', sizeof(text));
    slice cut = cache_status_append(SLICE_NONE, STATUS(.key = slice_of(text, 4096)), &arena);
    assert_int_equal(cut.len, sizeof("varve; hit; key=\"\"") - 1 + 2 * 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_11_each_parameter),
        cmocka_unit_test(test_11_a_hit_has_no_parameters_of_forwarding),
        cmocka_unit_test(test_11_ttl_is_rounded_down_and_has_15_digits_at_most),
        cmocka_unit_test(test_11_it_comes_behind_other_members_that_can_be_read),
        cmocka_unit_test(test_11_a_key_of_any_bytes_is_a_string),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
