/* Data twins of pages: semantics 6.4. */
#include "policy/twins.h"
#include "tests/unit/policy/response_support.h"

static const char *const frameworks[] = {
    "{path}?_rsc", "/_next/data/*/index.json", "/_next/data/*{path}.json", "/_root.data",
    "{path}.data", "{path}/__data.json",       "{path}/_payload.json",
};

static slice tag_of(struct fixture *f, const char *target)
{
    struct decision decision = {0};
    slice url = slice_of_string(target);
    size_t mark = slice_find(url, '?', 0);
    f->request.host = SLICE("shop.example");
    f->request.path = slice_until(url, mark);
    decision.query = slice_from(url, mark + 1);
    decision.has_query = mark < url.len;
    return twins_tag_of(&f->policy, &f->request, &decision, &f->arena);
}

static void use_twins(struct fixture *f, const char *const *patterns, size_t count)
{
    slice *at = arena_array(&f->arena, slice, count);
    for (size_t i = 0; i < count; i++) {
        at[i] = slice_of_string(patterns[i]);
        assert_true(twins_is_pattern(at[i]));
    }
    f->policy.purge_twins = (struct slices){at, count};
}

static void test_6_4_each_frameworks_twin_names_its_page(void **state)
{
    static const struct {
        const char *twin, *page; /* NULL: it is none */
    } rows[] = {
        {"/a/b?_rsc=1x2y", "/a/b"},
        {"/a/b?page=2&_rsc", "/a/b"},
        {"/?_rsc=1", "/"},
        {"/a/b?my_rsc=1", NULL},
        {"/a/b?x=_rsc", NULL},
        {"/a/b", NULL},
        {"/_next/data/k3J_b/index.json", "/"},
        {"/_next/data/k3J_b/a/b.json?slug=b", "/a/b"},
        {"/_next/data/k3J_b/a.html", NULL},
        {"/_next/data/.json", NULL},
        {"/_next/data//a.json", NULL},
        {"/_next/static/k3J_b/a.json", NULL},
        {"/_root.data", "/"},
        {"/a/b.data?_routes=x", "/a/b"},
        {"/a/b.database", NULL},
        {"/__data.json?x-sveltekit-invalidated=01", "/"},
        {"/a/b/__data.json", "/a/b"},
        {"/a/b__data.json", NULL},
        {"/a/b/_payload.json?4a5b6c", "/a/b"},
        {"/_payload.json", "/"},
    };
    struct fixture *f = fixture_new();
    (void)state;
    assert_int_equal(tag_of(f, "/a.data").len, 0);
    use_twins(f, frameworks, ROWS(frameworks));
    for (size_t i = 0; i < ROWS(rows); i++) {
        slice tag = tag_of(f, rows[i].twin), expected = SLICE_NONE;
        if (rows[i].page)
            expected = twins_tag(SLICE("shop.example"), slice_of_string(rows[i].page), &f->arena);
        if (!slice_equal(tag, expected))
            fail_msg("%s: \"%" SLICE_FMT "\"", rows[i].twin, SLICE_ARG(tag));
    }
    fixture_free(f);
}

static void test_6_4_a_page_has_one_tag_with_and_without_a_slash(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    assert_true(slice_is(twins_tag(SLICE("h"), SLICE("/a/"), &f->arena), "twin h/a"));
    assert_true(slice_is(twins_tag(SLICE("h"), SLICE("/a"), &f->arena), "twin h/a"));
    assert_true(slice_is(twins_tag(SLICE("h"), SLICE("/"), &f->arena), "twin h/"));
    assert_true(slice_is(twins_tag(SLICE("h"), SLICE_NONE, &f->arena), "twin h/"));
    fixture_free(f);
}

static void test_6_4_the_tag_is_stored_and_no_answer_can_name_it(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    use_twins(f, frameworks, ROWS(frameworks));
    set_target(f, "/a.data");
    judge(f, 200, "Cache-Control: max-age=9\nCache-Tag: twin shop.example/b, x");
    struct slices tags = f->verdict.tags;
    assert_int_equal(tags.count, 4);
    assert_true(slice_is(tags.at[0], "twin shop.example/a"));
    assert_true(slice_is(tags.at[1], "twin"));
    assert_true(slice_is(tags.at[2], "shop.example/b"));
    fixture_free(f);
}

static void test_6_4_what_is_no_pattern(void **state)
{
    static const char *const bad[] = {
        "{path}",       "",           "a.json",          "x{path}.json", "/x*{path}",
        "/*x{path}",    "{path}*",    "{path}.{x}",      "{path}{path}", "/{x}{path}",
        "{path}?",      "{path}?a=1", "{path}?a&b",      "{path}?a?b",   "?_rsc",
        "{path} .data", "/a#b",       "/**/{path}.json", "*/a",
    };
    (void)state;
    for (size_t i = 0; i < ROWS(bad); i++)
        if (twins_is_pattern(slice_of_string(bad[i])))
            fail_msg("%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_6_4_each_frameworks_twin_names_its_page),
        cmocka_unit_test(test_6_4_a_page_has_one_tag_with_and_without_a_slash),
        cmocka_unit_test(test_6_4_the_tag_is_stored_and_no_answer_can_name_it),
        cmocka_unit_test(test_6_4_what_is_no_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
