/* policy/url.c: the decoded form of semantics 1.3. */
#include "policy/url.h"

#include "tests/unit/policy/request_support.h"

static struct routing_path decode(struct arena *arena, const char *path)
{
    struct routing_path routing;
    url_decode_path(arena, slice_of_string(path), &routing);
    return routing;
}

static void test_1_3_decoded_form(void **state)
{
    static const char *const cases[][2] = {
        {"/", "/"},
        {"", "/"},
        {"/a/b", "/a/b"},
        {"/A/b%43", "/a/bc"},
        {"/a/", "/a"},
        {"//a///b//", "/a/b"},
        {"/a/./b/../c", "/a/c"},
        {"/../../a", "/a"},
        {"/a;x=1/b;y", "/a/b"},
        {"/a/..;/b", "/b"},
        {"/a\\b", "/a/b"},
        {"/a%2fb%5Cc", "/a/b/c"},
        {"/%2561", "/a"},
        {"/%252561", "/a"},
        {"/100%", "/100%"},
        {"/%zz%4", "/%zz%4"},
        {"/%25zz", "/%zz"},
        {"/%c3%a9", "/\xc3\xa9"},
        {"/a?b", "/a?b"},
        {"/a/..%c0%afb", "/b"},
        {"/a/%C0%AE%c0%ae\xc0\xaf"
         "B",
         "/b"},
        {"/%c1%a1", "/a"},
        {"/a%e0%80%afb", "/a/b"},
        {"/a%f0%80%80%afb", "/a/b"},
        {"/a%f8%80%80%80%afb", "/a/b"},
        {"/a%fc%80%80%80%80%afb", "/a/b"},
        {"/a%f0%8f%bc%8fb", "/a/b"},
        {"/%fe%80%80%80%80%80%af", "/\xfe\x80\x80\x80\x80\x80\xaf"},
        {"/%f0%9f%98%80", "/\xf0\x9f\x98\x80"},
        {"/%f0%80%80", "/\xf0\x80\x80"},
        {"/%u0061%U0042", "/ab"},
        {"/%u00e9%u20ac", "/\xc3\xa9\xe2\x82\xac"},
        {"/a/..%uFF0f%uff21", "/a"},
        {"/a%ef%bc%8fb%ef%bc%bcc", "/a/b/c"},
        {"/%ef%bc%8e%ef%bc%8e/%ef%bd%81", "/a"},
        {"/%c0%a561", "/a"},
        {"/%25u0061", "/a"},
        {"/%u006", "/%u006"},
        {"/%c0", "/\xc0"},
        {"/%e2%82%ac%ef%bc%80%ef%bd%9f", "/\xe2\x82\xac\xef\xbc\x80\xef\xbd\x9f"},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_slice(decode(&arena, cases[i][0]).decoded, cases[i][1]);
    arena_fini(&arena);
}

static void test_1_3_decoding_stops_after_three_rounds(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena);
    assert_true(decode(&arena, "/%252561").is_stable);
    assert_false(decode(&arena, "/%25252561").is_stable);
    assert_slice(decode(&arena, "/%25252561").decoded, "/%61");
    assert_false(decode(&arena, "/%252525u0061").is_stable);
    arena_fini(&arena);
}

static void test_1_3_control_bytes_at_any_depth(void **state)
{
    static const char *const bad[] = {"/a\x01", "/\x7f",  "/%00",     "/%0A",    "/%1f",
                                      "/%7F",   "/%2500", "/%25250d", "/%u000d", "/%c0%af%250a"};
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(decode(&arena, bad[i]).has_control);
    assert_false(decode(&arena, "/%20%80%ff").has_control);
    arena_fini(&arena);
}

/* C1 BF is a letter of GBK, and so is C0 A5, which would be a `%`. */
static void test_1_3_control_bytes_of_lax_readings_only_make_a_path_unclear(void **state)
{
    static const char *const doubtful[] = {
        "/%D6%CA%C1%BF.html", "/\xd6\xca\xc1\xbf.html", "/%c0%80", "/%e0%80%8a", "/%25c1%25bf",
        "/%C0%A51000",        "/a%EF%BC%8500"};
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++) {
        struct routing_path routing = decode(&arena, doubtful[i]);
        assert_false(routing.has_control);
        assert_false(routing.is_stable);
    }
    assert_true(decode(&arena, "/%D6%CA%C1%BE.html").is_stable);
    arena_fini(&arena);
}

static void test_1_3_a_decoded_query_mark_gives_a_second_reading(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena);
    assert_slice(decode(&arena, "/a%3fb/../c").decoded, "/c");
    assert_slice(decode(&arena, "/a%3fb/../c").cut, "/a");
    assert_slice(decode(&arena, "/a%23b").cut, "/a");
    assert_slice(decode(&arena, "/a/b").cut, "/a/b");
    arena_fini(&arena);
}

static void test_percent_encoding_leaves_only_unreserved(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena);
    assert_slice(url_percent_encode(&arena, SLICE("https://h/a b?c=\xc3\xa9&d~_.-")),
                 "https%3A%2F%2Fh%2Fa%20b%3Fc%3D%C3%A9%26d~_.-");
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_3_decoded_form),
        cmocka_unit_test(test_1_3_decoding_stops_after_three_rounds),
        cmocka_unit_test(test_1_3_control_bytes_at_any_depth),
        cmocka_unit_test(test_1_3_control_bytes_of_lax_readings_only_make_a_path_unclear),
        cmocka_unit_test(test_1_3_a_decoded_query_mark_gives_a_second_reading),
        cmocka_unit_test(test_percent_encoding_leaves_only_unreserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
