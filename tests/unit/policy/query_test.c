/* policy/query.c: the query rules of a route (semantics 1.6). */
#include "tests/unit/policy/request_support.h"

#define POLICY(rules)                                                                              \
    "renderer: http://127.0.0.1:3000\n"                                                            \
    "routes: [{match: \"/**\", ttl: 1m" rules "}]\n"

static void check(const char *yaml, const char *target, const char *expected)
{
    struct setup s;
    setup_init(&s, yaml);
    fill(&s, arena_printf(&s.arena, "GET http://h%s", target).ptr);
    assert_slice(s.forward.target, expected);
    pass(&s, arena_printf(&s.arena, "GET http://h%s", target).ptr);
    assert_slice(s.forward.target, target);
    setup_fini(&s);
}

static void test_1_6_without_rules_every_byte_survives(void **state)
{
    static const char *const targets[] = {"/a",   "/a?",    "/a??",  "/a?&&",
                                          "/a?b", "/a?b=",  "/a?=b", "/a?b=1&a=2&b=3",
                                          "/a?%", "/a?x?y", "/a?b#"};
    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        check(POLICY(""), targets[i], targets[i]);
}

static void test_1_6_drop(void **state)
{
    const char *yaml = POLICY(", query: {drop: [\"utm_*\", gclid]}");
    (void)state;
    check(yaml, "/a?utm_source=x&b=1&gclid=2&utm_=", "/a?b=1");
    check(yaml, "/a?utm_source=x", "/a");
    check(yaml, "/a?", "/a?");
    check(yaml, "/a?&b=1&&c", "/a?&b=1&&c");
    check(yaml, "/a?gclid2=1&xgclid=2", "/a?gclid2=1&xgclid=2");
    check(yaml, "/a", "/a");
}

static void test_1_6_keep(void **state)
{
    const char *yaml = POLICY(", query: {keep: [color, \"s*\"]}");
    (void)state;
    check(yaml, "/a?x=1&size=2&color=red&color=blue", "/a?size=2&color=red&color=blue");
    check(yaml, "/a?x=1", "/a");
    check(yaml, "/a?color", "/a?color");
    check(yaml, "/a?", "/a?");
}

static void test_1_6_an_empty_keep_list_keeps_nothing(void **state)
{
    (void)state;
    check(POLICY(", query: {keep: []}"), "/a?b=1", "/a");
}

static void test_1_6_sort_is_stable(void **state)
{
    const char *yaml = POLICY(", query: {sort: true}");
    (void)state;
    check(yaml, "/a?b=2&a=9&b=1&a", "/a?a=9&a&b=2&b=1");
    check(yaml, "/a?c&b&a", "/a?a&b&c");
    check(yaml, "/a?ab=1&a=2", "/a?a=2&ab=1");
}

static void test_1_1_no_query_is_not_an_empty_query(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, POLICY(""));
    slice none = receive(&s, "GET http://h/a")->url_text;
    slice empty = receive(&s, "GET http://h/a?")->url_text;
    assert_false(slice_equal(none, empty));
    setup_fini(&s);
}

static int compare_bytes(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

static void test_sorting_random_queries_keeps_every_parameter(void **state)
{
    struct setup s;
    unsigned seed = 7;
    (void)state;
    setup_init(&s, POLICY(", query: {sort: true}"));
    for (int i = 0; i < 2000; i++) {
        char text[80] = "GET http://h/a?", before[80], after[80];
        size_t start = strlen(text), count = 1 + (size_t)rand_r(&seed) % 30;
        for (size_t n = 0; n < count; n++)
            text[start + n] = "ab=&"[rand_r(&seed) % 4];
        text[start + count] = '\0';
        slice query = receive(&s, text)->query;
        assert_int_equal(query.len, count);
        memcpy(before, text + start, count);
        memcpy(after, query.ptr, count);
        qsort(before, count, 1, compare_bytes);
        qsort(after, count, 1, compare_bytes);
        assert_memory_equal(before, after, count);
        slice rest = query, parameter, last = SLICE_NONE;
        while (slice_next(&rest, '&', &parameter)) {
            slice name = slice_until(parameter, slice_find(parameter, '=', 0));
            assert_true(slice_compare(last, name) <= 0);
            last = name;
        }
    }
    setup_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_6_without_rules_every_byte_survives),
        cmocka_unit_test(test_1_6_drop),
        cmocka_unit_test(test_1_6_keep),
        cmocka_unit_test(test_1_6_an_empty_keep_list_keeps_nothing),
        cmocka_unit_test(test_1_6_sort_is_stable),
        cmocka_unit_test(test_1_1_no_query_is_not_an_empty_query),
        cmocka_unit_test(test_sorting_random_queries_keeps_every_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
